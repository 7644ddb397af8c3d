"""Iterative reconstruction of SPECT: MLEM, OSEM, and a penalised method (BSREM with the relative-difference prior).

All maximise the Poisson likelihood of ``counts ~ weight * forward(image) + additive``; scatter enters as the additive
term and is never subtracted from the counts, which would spoil their statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError, UnknownNameError
from hepatica.imaging.projector import SpectProjector

Float32 = NDArray[np.float32]
Method = Literal["mlem", "osem", "bsrem"]

SEEN = 1e-4
"""Voxels seen less than this share of the best seen one are left at zero: the data say nothing of them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reconstruct.

    Parameters
    ----------
    method : {"mlem", "osem", "bsrem"}
        "mlem" takes all views at once; "osem" subsets (Hudson and Larkin 1994), which does not converge; "bsrem"
        maximises the penalised likelihood with subsets and falling steps (De Pierro and Yamagishi 2001; Ahn and
        Fessler, IEEE Trans Med Imaging 2003;22:613) and does.
    iterations, subsets : int
        Passes over all views, and updates per pass.
    prior_strength : float
        Weight of the relative-difference prior of "bsrem" (Nuyts et al., IEEE Trans Nucl Sci 2002;49:56). It grows
        with the counts that an image value stands for: see `reconstruct`.
    edge : float
        Gamma of that prior: larger keeps edges more.
    relaxation : float
        Step of pass n of "bsrem" is 1 / (1 + relaxation * n).
    until_noise : bool
        Stop as soon as the projections fit the counts as well as Poisson noise lets them: the squared residuals of a
        pass add up to no more than the expected counts.

    Raises
    ------
    UnknownNameError
        If the method is not known.
    InputError
        If a number makes no sense.
    """

    method: Method = "osem"
    iterations: int = 10
    subsets: int = 6
    prior_strength: float = 0.0
    edge: float = 2.0
    relaxation: float = 0.1
    until_noise: bool = False

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise UnknownNameError("reconstruction method", self.method, get_args(Method))
        if self.iterations < 1 or self.subsets < 1:
            raise InputError(f"{self.iterations} iterations of {self.subsets} subsets: both must be at least 1")
        if min(self.prior_strength, self.edge, self.relaxation) < 0:
            raise InputError("prior strength, edge and relaxation cannot be negative")
        if self.prior_strength and self.method != "bsrem":
            raise InputError(f"method {self.method} has no prior; take bsrem, or prior strength 0")
        if self.method == "mlem" and self.subsets != 1:
            raise InputError("mlem takes all views at once: subsets must be 1 (or take osem)")


@dataclass(frozen=True, slots=True)
class Update:
    """State after an update, for progress: pass and subset counted from 1, and how many there are."""

    iteration: int
    subset: int
    iterations: int
    subsets: int
    image: Float32


@dataclass(frozen=True, slots=True, eq=False)
class Reconstruction:
    """What came out.

    Attributes
    ----------
    image : ndarray of float32, shape of the grid
        Never negative.
    iterations : int
        Passes done in all (fewer than asked for if the noise rule stopped it).
    residual_ratio : tuple of float
        Squared residuals over expected counts of each pass of this run; 1 where the fit is as good as Poisson
        noise lets it be.
    stopped : str
        "iterations", "noise" or "callback".
    """

    image: Float32
    iterations: int
    residual_ratio: tuple[float, ...]
    stopped: str


def reconstruct(
    counts: NDArray[Any],
    projector: SpectProjector,
    settings: Settings,
    *,
    weights: NDArray[Any] | None = None,
    additive: NDArray[Any] | None = None,
    initial: NDArray[Any] | None = None,
    passes_done: int = 0,
    on_update: Callable[[Update], bool | None] | None = None,
) -> Reconstruction:
    """Reconstruct one window.

    Parameters
    ----------
    counts : ndarray, shape (views, u, v)
        As acquired.
    projector : SpectProjector
        Geometry, attenuation and response.
    settings : Settings
        Method and its numbers.
    weights : ndarray, shape (views,), optional
        Counts per unit of the image and view: cps per Bq times seconds times decay gives an image in Bq per voxel;
        ones (the default) give counts per view.
    additive : ndarray, shape (views, u, v), optional
        Expected counts that do not come straight from the source: scatter.
    initial : ndarray, optional
        Image to start from (to go on with an earlier run); uniform by default.
    passes_done : int
        Passes that `initial` has behind it; only the rest are done.
    on_update : callable, optional
        Called after every update; True stops the run after it.

    Returns
    -------
    Reconstruction

    Raises
    ------
    InputError
        If counts or additive term are negative, not finite or of another shape, a view has no counts, there are fewer
        views than subsets, or a weight is not positive.
    """
    data, scatter, scale = _checked(counts, projector, settings, weights, additive)
    groups = subset_views(projector.orbit.angle_deg, settings.subsets)
    seen = [projector.back(np.broadcast_to(scale[g][:, None, None], data[g].shape), g) for g in groups]
    total = np.sum(seen, axis=0)
    support = total > SEEN * float(total.max())
    image = _first(initial, data, scatter, total, support)
    ratios: list[float] = []
    stopped = "iterations"
    for number in range(passes_done, settings.iterations):
        squares, expected_sum = 0.0, 0.0
        for n, group in enumerate(groups):
            expected = projector.forward(image, group) * scale[group][:, None, None] + scatter[group]
            squares += float(np.square(data[group] - expected, dtype=np.float64).sum())
            expected_sum += float(expected.sum(dtype=np.float64))
            ratio = np.divide(data[group], expected, out=np.zeros_like(expected), where=expected > 0)
            ratio *= scale[group][:, None, None]
            back = projector.back(ratio, group)
            if settings.method == "bsrem":
                step = 1 / (1 + settings.relaxation * number)
                image = _bsrem_step(image, back - seen[n], total, step, settings, projector.grid.spacing_mm)
                image[~support] = 0
            else:
                image = np.where(support & (seen[n] > 0), image * back / np.where(seen[n] > 0, seen[n], 1), 0)
                image = image.astype(np.float32)
            update = Update(number + 1, n + 1, settings.iterations, len(groups), image)
            if on_update is not None and on_update(update):
                stopped = "callback"
                break
        ratios.append(squares / expected_sum if expected_sum else float("inf"))
        if settings.until_noise and ratios[-1] <= 1.0:
            stopped = "noise"
        if stopped != "iterations":
            break
    image.setflags(write=False)
    return Reconstruction(image, passes_done + len(ratios), tuple(ratios), stopped)


def subset_views(angle_deg: NDArray[np.float64], subsets: int) -> list[NDArray[np.intp]]:
    """Views of each subset: spread evenly over the angles, and each subset far from the one before it."""
    by_angle = np.argsort(np.mod(angle_deg, 360.0), kind="stable")
    order = sorted(range(subsets), key=lambda n: _reversed_bits(n, max(1, (subsets - 1).bit_length())))
    return [np.sort(by_angle[start::subsets]) for start in order]


def penalty_gradient(image: Float32, settings: Settings, spacing_mm: Sequence[float]) -> Float32:
    """Gradient of ``strength * sum over neighbours of (a - b)^2 / (a + b + edge * |a - b|)`` for every voxel.

    The six neighbours count, each pair once, weighted with the smallest spacing over their own.
    """
    gradient: Float32 = np.zeros_like(image)
    for axis in range(3):
        weight = np.float32(settings.prior_strength * min(spacing_mm) / spacing_mm[axis])
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        a, b = image[tuple(low)], image[tuple(high)]
        difference = a - b
        spread = np.float32(settings.edge) * np.abs(difference)
        bottom = np.square(a + b + spread)
        bottom = np.where(bottom > 0, bottom, np.float32(1))
        gradient[tuple(low)] += weight * difference * (spread + a + 3 * b) / bottom
        gradient[tuple(high)] -= weight * difference * (spread + b + 3 * a) / bottom
    return gradient


def penalty(image: NDArray[Any], settings: Settings, spacing_mm: Sequence[float]) -> float:
    """The relative-difference prior itself; see `penalty_gradient`."""
    total = 0.0
    for axis in range(3):
        difference = np.diff(image.astype(np.float64), axis=axis)
        pair = np.moveaxis(image.astype(np.float64), axis, 0)
        both = np.moveaxis(pair[1:] + pair[:-1], 0, axis) + settings.edge * np.abs(difference)
        term = np.divide(difference**2, both, out=np.zeros_like(both), where=both > 0)
        total += settings.prior_strength * min(spacing_mm) / spacing_mm[axis] * float(term.sum())
    return total


# ---------------------------------------------------------------------------------------------------------------------


def _bsrem_step(
    image: Float32, difference: Float32, total: Float32, step: float, settings: Settings, spacing_mm: Sequence[float]
) -> Float32:
    """One relaxed step up the subset's penalised likelihood, scaled by image over the subset's share of sensitivity."""
    ascent = difference
    if settings.prior_strength:
        ascent = difference - penalty_gradient(image, settings, spacing_mm) / np.float32(settings.subsets)
    scale = image * settings.subsets / np.where(total > 0, total, 1)
    # A voxel at zero would stay there: it is kept a little above.
    floor = np.float32(1e-6 * float(image.max()))
    return np.maximum(image + np.float32(step) * scale * ascent, floor).astype(np.float32)


def _first(
    initial: NDArray[Any] | None, data: Float32, scatter: Float32, total: Float32, support: NDArray[np.bool_]
) -> Float32:
    if initial is None:
        level = max(float((data - scatter).sum(dtype=np.float64)), 1.0) / float(total[support].sum(dtype=np.float64))
        return np.where(support, np.float32(level), np.float32(0)).astype(np.float32)
    image = np.array(initial, dtype=np.float32)
    if image.shape != total.shape or not np.isfinite(image).all() or (image < 0).any():
        raise InputError("the image to start from must be finite, not negative and on the grid of the reconstruction")
    return image


def _checked(
    counts: NDArray[Any],
    projector: SpectProjector,
    settings: Settings,
    weights: NDArray[Any] | None,
    additive: NDArray[Any] | None,
) -> tuple[Float32, Float32, Float32]:
    data = _projections(counts, projector.shape, "counts")
    empty = np.flatnonzero(data.sum(axis=(1, 2)) == 0)
    if empty.size:
        raise InputError(f"counts: views {', '.join(str(n + 1) for n in empty[:8])} hold none; leave them out")
    if settings.subsets > projector.orbit.views:
        raise InputError(f"{settings.subsets} subsets of {projector.orbit.views} views: take fewer subsets")
    scatter = np.zeros_like(data) if additive is None else _projections(additive, projector.shape, "additive term")
    scale = np.ones(len(data), np.float32) if weights is None else np.asarray(weights, dtype=np.float32)
    if scale.shape != (len(data),) or not np.isfinite(scale).all() or (scale <= 0).any():
        raise InputError("weights: one positive number per view is needed")
    return data, scatter, scale


def _projections(values: NDArray[Any], shape: tuple[int, int, int], what: str) -> Float32:
    array = np.ascontiguousarray(values, dtype=np.float32)
    if array.shape != shape:
        raise InputError(f"{what} of shape {array.shape}: the projector makes {shape} (views, columns, rows)")
    if not np.isfinite(array).all():
        raise InputError(f"{what}: {int((~np.isfinite(array)).sum())} values are NaN or infinite")
    if (array < 0).any():
        raise InputError(f"{what}: {int((array < 0).sum())} values are negative")
    return array


def _reversed_bits(number: int, bits: int) -> int:
    return int(format(number, f"0{bits}b")[::-1], 2)
