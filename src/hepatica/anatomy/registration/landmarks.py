"""A transform from landmarks: the closed-form fit, and how well the landmarks agree with it.

K. S. Arun, T. S. Huang, S. D. Blostein, IEEE PAMI 9 (1987) 698 (rigid); S. Umeyama, IEEE PAMI 13 (1991) 376 (with
scale); J. M. Fitzpatrick, J. B. West, C. R. Maurer, IEEE Trans. Med. Imaging 17 (1998) 694
(fiducial and target error). An affine fit is three linear regressions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.document import HIDDEN, reported
from hepatica.core.transform import Transform
from hepatica.errors import GeometryError, InputError

FloatArray = NDArray[np.float64]
Points = Mapping[str, Sequence[float]]

MIN_LANDMARKS = 3
"""Three points that are not on one line determine where a body lies."""

LandmarkKind = Literal["rigid", "similarity", "affine"]

MIN_AFFINE = 4
"""Landmarks of an affine fit: twelve numbers from three of each."""

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
        1 of a rigid fit; of an affine one the cube root of the change of volume.
    left_out_mm : tuple of float or None
        Error of each landmark by a fit of the others, which it did not draw to itself; None where the others are too
        few or do not determine one.
    """

    transform: Transform = field(metadata=HIDDEN)
    names: tuple[str, ...]
    fiducial_error_mm: float
    errors_mm: tuple[float, ...]
    localisation_mm: float | None
    fitted_scale: float
    left_out_mm: tuple[float | None, ...] = ()

    @property
    @reported
    def leave_one_out_mm(self) -> float | None:
        """Root mean square of the errors of left-out landmarks; None where one of them is not known."""
        known = [error for error in self.left_out_mm if error is not None]
        if not known or len(known) < len(self.left_out_mm):
            return None
        return float(np.sqrt(np.mean(np.square(known))))


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


def fit_landmarks(fixed: Points, moving: Points, kind: LandmarkKind = "rigid") -> LandmarkFit:
    """The transform that brings landmarks of the fixed image onto those of the same name in the moving one.

    Parameters
    ----------
    fixed, moving : mapping of str to three floats
        LPS positions in mm by name.
    kind : {"rigid", "similarity", "affine"}
        Position and turn; also one scale for all axes; also scale and shear.

    Raises
    ------
    InputError
        If fewer than three (affine: four) stand in both.
    GeometryError
        If they lie on a line (affine: in a plane), fit better when mirrored, or fit only with a scale beyond
        `MAX_SCALE`.
    """
    names, one, other = paired(fixed, moving)
    _require_spread(names, kind, one, other)
    matrix, scale = _fitted(one, other, kind)
    _refuse_mirrored(one, other, closed_form(one, other, scaled=False)[0])
    if not 1 / MAX_SCALE <= scale <= MAX_SCALE:
        raise GeometryError(
            f"the landmarks fit only with a scale of {scale:.3g}", remedy="check their unit (mm) and their names"
        )
    errors = np.linalg.norm(_moved(matrix, one) - other, axis=1)
    error = float(np.sqrt((errors**2).mean()))
    degrees = 3.0 * len(names) - {"rigid": 6, "similarity": 7, "affine": 12}[kind]
    spare = len(names) > (MIN_AFFINE if kind == "affine" else MIN_LANDMARKS)
    # Errors of both images lie in the residuals: each image's landmark has half of their variance.
    sigma = float(np.sqrt((errors**2).sum() / degrees / 2)) if spare else None
    transform = Transform.affine(matrix, method=f"{kind}, {len(names)} landmarks")
    left_out = _left_out(names, kind, one, other)
    return LandmarkFit(transform, names, error, tuple(float(e) for e in errors), sigma, scale, left_out)


def expected_error_mm(fit: LandmarkFit, kind: LandmarkKind, fixed: Points, points_mm: FloatArray) -> float | None:
    """Standard uncertainty along one axis, root mean square over points, that the landmarks' errors bring.

    Rigid and similarity by Fitzpatrick's formula, ``TRE^2 = FLE^2 / n (1 + sum_k d_k^2 / f_k^2 / 3)`` with d the
    distance of the point and f the root-mean-square distance of the landmarks from their k-th principal axis; affine by
    linear regression. None where the error of a landmark is not known.

    Parameters
    ----------
    fit : LandmarkFit
        Of these landmarks.
    kind : {"rigid", "similarity", "affine"}
        Of the fit.
    fixed : mapping of str to three floats
        Landmarks of the fixed image, LPS mm.
    points_mm : ndarray, shape (n, 3)
        Where the error is asked for, fixed LPS mm.
    """
    if fit.localisation_mm is None:
        return None
    landmarks = np.array([fixed[name] for name in fit.names], dtype=np.float64)
    middle = landmarks.mean(axis=0)
    _, widths, axes = np.linalg.svd(landmarks - middle, full_matrices=False)
    at = (points_mm - middle) @ axes.T
    count = len(fit.names)
    if kind == "affine":
        factor = 1 / count + (at**2 / widths**2).sum(axis=1)
    else:
        of_landmarks = (widths**2).sum() - widths**2
        far = (at**2).sum(axis=1, keepdims=True) - at**2
        factor = (1 + (far / (of_landmarks / count)).sum(axis=1) / 3) / count
    # Each image's landmark is off by `localisation_mm` along each axis.
    return float(np.sqrt(2) * fit.localisation_mm * np.sqrt(factor.mean()))


def _fitted(one: FloatArray, other: FloatArray, kind: LandmarkKind) -> tuple[FloatArray, float]:
    if kind != "affine":
        return closed_form(one, other, scaled=kind == "similarity")
    rows = np.column_stack([one, np.ones(len(one))])
    matrix = np.eye(4)
    matrix[:3] = np.linalg.lstsq(rows, other, rcond=None)[0].T
    return matrix, float(np.cbrt(np.linalg.det(matrix[:3, :3])))


def _left_out(names: Sequence[str], kind: LandmarkKind, one: FloatArray, other: FloatArray) -> tuple[float | None, ...]:
    errors: list[float | None] = []
    for n in range(len(names)):
        rest = np.arange(len(names)) != n
        if _too_flat(kind, one[rest]) or _too_flat(kind, other[rest]):
            errors.append(None)
            continue
        matrix, _ = _fitted(one[rest], other[rest], kind)
        errors.append(float(np.linalg.norm(_moved(matrix, one[n : n + 1]) - other[n])))
    return tuple(errors)


def _too_flat(kind: LandmarkKind, points: FloatArray) -> bool:
    if len(points) < (MIN_AFFINE if kind == "affine" else MIN_LANDMARKS):
        return True
    off_line, off_plane = _spread_mm(points)
    return (off_plane if kind == "affine" else off_line) < MIN_SPREAD_MM


def _spread_mm(points: FloatArray) -> tuple[float, float]:
    """Root-mean-square distance of points from the line and from the plane nearest to them."""
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    off_line = float(np.sqrt((spread[1:] ** 2).sum() / len(points)))
    return off_line, float(spread[2] / np.sqrt(len(points))) if len(spread) > 2 else 0.0


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


def _require_spread(names: Sequence[str], kind: LandmarkKind, *sets: FloatArray) -> None:
    least, where = (MIN_AFFINE, "in one plane") if kind == "affine" else (MIN_LANDMARKS, "on one line")
    if len(names) < least:
        raise InputError(
            f"{len(names)} landmarks stand in both images ({', '.join(names)}); a transform needs {least} that are "
            f"not {where}"
        )
    for points in sets:
        off_line, off_plane = _spread_mm(points)
        if kind == "affine" and off_plane < MIN_SPREAD_MM:
            raise GeometryError(
                f"the landmarks lie in a plane (on average {off_plane:.1f} mm off it, {MIN_SPREAD_MM:g} mm are needed):"
                " the stretch across it is not determined",
                remedy="add one beside it, or register rigidly",
            )
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
