"""S0 of a voxel from others: its neighbours, the scan before, and what tissue may differ by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

NEIGHBOUR_MM = (4.0, 8.0, 16.0)
"""Standard deviations of the weights of neighbours, the next where the one before finds too few."""

LEAST_SPREAD = 0.03
"""Of a neighbour's log S0: that of one voxel is never better known from others."""

FEWEST_NEIGHBOURS = 6.0
"""Effective number of neighbours with an own S0 that an S0 may rest on."""

CONTRAST_LOG_SD = 0.3
"""By what log S0 of tumour and liver differ in a scan weighted by T1 or proton density. An assumption; it is common to
the voxels of a structure."""


@dataclass(frozen=True, slots=True, eq=False)
class S0Prior:
    """What is known of S0 beside the neighbours'. Arrays are of the grid's shape.

    Attributes
    ----------
    tissue : ndarray of int
        Number of the tissue of each voxel, by structure: neighbours of the same one are trusted with their spread.
        Zero where that is not known.
    before : ndarray or None
        Logarithm of S0 in the scan before, of any scale; NaN where it was not measured. Holmium does not change S0:
        the neighbours then only tell the scale between both scans.
    before_sd : ndarray or None
        Its standard uncertainty.
    """

    tissue: NDArray[np.integer[Any]]
    before: Array | None = None
    before_sd: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Borrowed:
    """S0 of the voxels asked for, from others; NaN where none is near.

    Attributes
    ----------
    log_s0, sd : ndarray
        Logarithm, and its standard uncertainty.
    common_sd : ndarray
        Part of that which voxels share.
    borrowed : ndarray of bool
        Where it comes from tissue that may be another.
    """

    log_s0: Array
    sd: Array
    common_sd: Array
    borrowed: Mask

    @property
    def known(self) -> Mask:
        """Where there is one."""
        return np.asarray(np.isfinite(self.log_s0))


def borrow(
    grid: Grid, where: NDArray[np.intp], own: tuple[Array, NDArray[Any]], donors: Mask, wanted: Mask,
    prior: S0Prior | None = None,
) -> Borrowed:  # fmt: skip
    """Log S0 for voxels whose own is not known well enough.

    Parameters
    ----------
    grid : Grid
        Voxels.
    where : ndarray of int
        Places of the voxels asked for in the flat grid.
    own : tuple of ndarray
        Their own log S0 and its variance.
    donors, wanted : ndarray of bool
        Whose S0 others may rest on, and which need one.
    prior : S0Prior or None
        None takes all voxels as one tissue.

    Notes
    -----
    First by the scan before: the neighbours' ratio after to before times the voxel's own S0 before. Else from
    neighbours of the same tissue. Else from all, with `CONTRAST_LOG_SD` more.
    """
    log_s0_of, sd_of, common_of = (np.full(len(where), np.nan, dtype=np.float32) for _ in range(3))
    out = Borrowed(log_s0_of, sd_of, common_of, np.zeros(len(where), dtype=bool))
    log_s0, variance = own

    def take(found: tuple[Array, Array], own_sd: Any, common: float, borrowed: bool) -> None:
        new = np.isfinite(found[0]) & ~out.known
        out.log_s0[new] = found[0][new]
        out.sd[new] = np.sqrt(found[1] ** 2 + own_sd**2)[new]
        out.common_sd[new] = common
        out.borrowed[new] = borrowed

    if prior is None:
        take(_neighbours(grid, where, log_s0, variance, donors, wanted=wanted), 0.0, 0.0, False)
        return out
    if prior.before is not None and prior.before_sd is not None:
        before, before_sd = prior.before.ravel()[where], prior.before_sd.ravel()[where]
        known = np.isfinite(before) & np.isfinite(before_sd)
        ratio = np.where(known, log_s0 - np.nan_to_num(before), 0).astype(np.float32)
        spread = variance + np.nan_to_num(before_sd) ** 2
        mean, sd = _neighbours(grid, where, ratio, spread, donors & known, wanted=wanted & known)
        take((mean + before, sd), np.nan_to_num(before_sd), LEAST_SPREAD, False)
    tissue = prior.tissue.ravel()[where]
    for number in np.unique(tissue[wanted & ~out.known]):
        if number:
            same = tissue == number
            open_ = wanted & same & ~out.known
            take(_neighbours(grid, where, log_s0, variance, donors & same, wanted=open_), 0.0, LEAST_SPREAD, False)
    rest = _neighbours(grid, where, log_s0, variance, donors, wanted=wanted & ~out.known)
    take(rest, CONTRAST_LOG_SD, CONTRAST_LOG_SD, True)
    return out


def _neighbours(
    grid: Grid, where: NDArray[np.intp], log_s0: Array, variance: NDArray[Any], own: Mask, *, wanted: Mask
) -> tuple[Array, Array]:
    """Mean and spread of the neighbours' log S0 for voxels without one of their own; NaN where there are too few."""
    from scipy import ndimage

    mean = np.full(len(where), np.nan, dtype=np.float32)
    spread = mean.copy()
    if not own.any() or not wanted.any():
        return mean, spread
    index = np.stack(np.unravel_index(where, grid.shape))
    box = tuple(slice(int(a), int(b) + 1) for a, b in zip(index.min(axis=1), index.max(axis=1), strict=True))
    size = tuple(s.stop - s.start for s in box)
    places = tuple(index - np.array([s.start for s in box])[:, None])
    weight, value = np.zeros(size, dtype=np.float32), np.zeros(size, dtype=np.float32)
    # S0 that is badly known weighs less; the spread of tissue (about 10 %) bounds the weight of one that is well known.
    weight[places] = np.where(own, 1 / (np.nan_to_num(variance, nan=1e6) + 0.01), 0)
    level = float(np.median(log_s0[own]))
    value[places] = np.where(own, log_s0 - level, 0)
    largest = float(weight.max())
    for width_mm in NEIGHBOUR_MM:
        open_ = wanted & np.isnan(mean)
        if not open_.any():
            break
        sigma = [width_mm / h for h in grid.spacing_mm]
        total, first, second = (
            ndimage.gaussian_filter(part, sigma, mode="constant", truncate=3)
            for part in (weight, weight * value, weight * value**2)
        )
        volume = float(np.prod([2 * np.sqrt(np.pi) * max(s, 0.28) for s in sigma]))
        here = tuple(p[open_] for p in places)
        enough = total[here] * volume / largest >= FEWEST_NEIGHBOURS
        with np.errstate(divide="ignore", invalid="ignore"):
            m = first[here] / total[here]
            s = np.sqrt(np.maximum(second[here] / total[here] - m**2, LEAST_SPREAD**2))
        mean[open_] = np.where(enough, m + level, np.nan)
        spread[open_] = np.where(enough, s, np.nan)
    return mean, spread
