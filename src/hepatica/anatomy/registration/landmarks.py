"""A transform from landmarks: the closed-form fit, and how well the landmarks agree with it.

K. S. Arun, T. S. Huang, S. D. Blostein, IEEE PAMI 9 (1987) 698 (rigid); S. Umeyama, IEEE PAMI 13 (1991) 376 (with
scale); J. M. Fitzpatrick, J. B. West, C. R. Maurer, IEEE Trans. Med. Imaging 17 (1998) 694
(fiducial and target error).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.document import HIDDEN
from hepatica.core.transform import Transform
from hepatica.errors import GeometryError, InputError

FloatArray = NDArray[np.float64]
Points = Mapping[str, Sequence[float]]

MIN_LANDMARKS = 3
"""Three points that are not on one line determine where a body lies."""

MIN_SPREAD_MM = 5.0
"""Root-mean-square distance of the landmarks from the line nearest to them: with an error of 2 mm of each, less leaves
the turn around that line uncertain by more than 20 degrees."""

MIRRORED_BY = 3.0
"""Landmarks that fit so many times better mirrored are swapped left and right."""

MIN_MIRRORED_MM = 5.0
"""And this much better, so that rounding does not count as a mirror."""

MAX_SCALE = 1.25
"""A similarity that scales the patient by more is no fit of landmarks but a mix-up of them or of their unit."""


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkFit:
    """A transform that was fitted to pairs of landmarks.

    Attributes
    ----------
    transform : Transform
        From fixed to moving.
    names : tuple of str
        Landmarks in both images, in the order of the errors.
    fiducial_error_mm : float
        Root-mean-square distance of the moved landmarks from where they should be (FRE).
    errors_mm : tuple of float
        Of each.
    localisation_mm : float or None
        Standard uncertainty along one axis with which a landmark was placed in either image, from the errors and the
        3 n - 6 degrees of freedom of a rigid fit (7 with a scale); None of three landmarks, too few to tell.
    fitted_scale : float
        1 of a rigid fit.
    """

    transform: Transform = field(metadata=HIDDEN)
    names: tuple[str, ...]
    fiducial_error_mm: float
    errors_mm: tuple[float, ...]
    localisation_mm: float | None
    fitted_scale: float


def paired(fixed: Points, moving: Points) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
    """Names and positions, shape (n, 3) each, of the landmarks that stand in both.

    Raises
    ------
    InputError
        If none has the same name in both, or a position is no three finite numbers.
    """
    names = tuple(name for name in fixed if name in moving)
    if not names:
        raise InputError(
            f"no landmark has the same name in both images ({', '.join(list(fixed)[:5])} and "
            f"{', '.join(list(moving)[:5])})",
            remedy="name each landmark alike in both",
        )
    one, other = (np.asarray([points[name] for name in names], dtype=np.float64) for points in (fixed, moving))
    for points in (one, other):
        if points.shape != (len(names), 3) or not np.isfinite(points).all():
            raise InputError("a landmark is three finite numbers, LPS in mm")
    return names, one, other


def fit_landmarks(fixed: Points, moving: Points, kind: Literal["rigid", "similarity"] = "rigid") -> LandmarkFit:
    """The transform that brings landmarks of the fixed image onto those of the same name in the moving one.

    Parameters
    ----------
    fixed, moving : mapping of str to three floats
        LPS positions in mm by name.
    kind : {"rigid", "similarity"}
        Without or with one scale for all axes.

    Raises
    ------
    InputError
        If fewer than three stand in both.
    GeometryError
        If they lie on a line, fit better when mirrored, or fit only with a scale beyond `MAX_SCALE`.
    """
    names, one, other = paired(fixed, moving)
    _require_spread(names, one, other)
    matrix, scale = closed_form(one, other, scaled=kind == "similarity")
    _refuse_mirrored(one, other, matrix)
    if not 1 / MAX_SCALE <= scale <= MAX_SCALE:
        raise GeometryError(
            f"the landmarks fit only with a scale of {scale:.3g}", remedy="check their unit (mm) and their names"
        )
    errors = np.linalg.norm(_moved(matrix, one) - other, axis=1)
    error = float(np.sqrt((errors**2).mean()))
    degrees = 3.0 * len(names) - (7 if kind == "similarity" else 6)
    # Errors of both images lie in the residuals: each image's landmark has half of their variance.
    sigma = float(np.sqrt((errors**2).sum() / degrees / 2)) if len(names) > MIN_LANDMARKS else None
    transform = Transform.affine(matrix, method=f"{kind}, {len(names)} landmarks")
    return LandmarkFit(transform, names, error, tuple(float(e) for e in errors), sigma, scale)


def closed_form(
    fixed: ArrayLike, moving: ArrayLike, *, scaled: bool, mirrored: bool = False
) -> tuple[FloatArray, float]:
    """Matrix, shape (4, 4), and scale of the least-squares fit of paired points, shape (n, 3) each."""
    x, y = np.asarray(fixed, dtype=np.float64), np.asarray(moving, dtype=np.float64)
    a, b = x - x.mean(axis=0), y - y.mean(axis=0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.ones(3)
    if bool(np.linalg.det(u @ vt) < 0) != mirrored:
        sign[2] = -1
    turn = u @ np.diag(sign) @ vt
    scale = float((s * sign).sum() / (a**2).sum()) if scaled else 1.0
    matrix = np.eye(4)
    matrix[:3, :3] = scale * turn
    matrix[:3, 3] = y.mean(axis=0) - scale * turn @ x.mean(axis=0)
    return matrix, scale


def _moved(matrix: FloatArray, points: FloatArray) -> FloatArray:
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])


def _require_spread(names: Sequence[str], *sets: FloatArray) -> None:
    if len(names) < MIN_LANDMARKS:
        raise InputError(
            f"{len(names)} landmarks stand in both images ({', '.join(names)}); a transform needs {MIN_LANDMARKS} that "
            "are not on one line"
        )
    for points in sets:
        spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
        off_line = float(np.sqrt((spread[1:] ** 2).sum() / len(points)))
        if off_line < MIN_SPREAD_MM:
            raise GeometryError(
                f"the landmarks lie on a line (on average {off_line:.1f} mm off it, {MIN_SPREAD_MM:g} mm are needed): "
                "the turn around it is not determined",
                remedy="add one beside it",
            )


def _refuse_mirrored(fixed: FloatArray, moving: FloatArray, matrix: FloatArray) -> None:
    """A reflection always fits as well if all landmarks lie in a plane: only what stands out of it can tell."""
    found = np.linalg.norm(_moved(matrix, fixed) - moving, axis=1)
    other, _ = closed_form(fixed, moving, scaled=False, mirrored=True)
    mirrored = np.linalg.norm(_moved(other, fixed) - moving, axis=1)
    plain, swapped = (float(np.sqrt((e**2).mean())) for e in (found, mirrored))
    if plain > MIRRORED_BY * swapped and plain - swapped > MIN_MIRRORED_MM:
        raise GeometryError(
            f"the landmarks fit mirrored ({swapped:.1f} mm) and not as they are ({plain:.1f} mm)",
            remedy="check whether left and right are swapped in one of the images or lists",
        )
