"""How much of an image's content a place or an organ holds, with background taken off and blur put back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate
from hepatica.planning.extrahepatic.background import SPILL_RELATIVE_SD, Background, Mask, Values, blurred

REACH = 1.25
"""Distance around a place that is counted with it, in resolutions (FWHM): a Gaussian leaves 0.2 % beyond it."""

RING = 1.0
"""Width of the ring that tells the background around it, in resolutions."""

RING_VOXELS = 30
"""A ring of fewer voxels tells nothing: the broad background is taken."""

LEAST_NOISE = float(np.finfo(np.float32).eps)
"""Scatter of the background per voxel, over the liver's mean, that an image's own rounding makes: less is no noise."""

LEAST_RECOVERY = 0.1
"""Below it uncertainties are not enlarged further."""

METHOD_RELATIVE_SD = 0.10
"""Relative standard uncertainty of a share by border and recovery, from phantoms without noise (tests/physics)."""


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """What a place holds.

    Attributes
    ----------
    amount : Estimate
        Content in the image's unit times voxels; its uncertainty is None where the image does not tell its noise.
    recovery : float
        Share of a place's blurred image that lies where it was counted; what is missing was put back by it.
    """

    amount: Estimate
    recovery: float


def contents(
    places: Mapping[str, Values],
    seen: Background,
    inner: Mask,
    spacing_mm: Sequence[float],
    *,
    excess_only: bool,
    elsewhere: Mask | None = None,
) -> dict[str, Content]:
    """Content of each place: counted in it and as far around as blur reaches, and divided by the recovery there.

    Parameters
    ----------
    places : mapping of str to ndarray
        Coverage of each, 0 to 1; what lies between two belongs to the nearer one.
    seen : Background
        The image taken apart.
    inner : ndarray of bool
        Liver and lungs, where nothing is counted.
    spacing_mm : sequence of float
        Of the grid.
    excess_only : bool
        Whether the background within a place is no part of it (a place found), or is (an organ drawn).
    elsewhere : ndarray of bool, optional
        Other places with uptake, which tell no background and are not counted.
    """
    from scipy import ndimage, optimize

    fwhm = seen.response_mm
    reach = max(REACH * fwhm, 1.5 * max(spacing_mm) if excess_only else 0.0)
    masks = {name: _solid(coverage) for name, coverage in places.items()}
    owner = np.zeros(inner.shape, dtype=np.int32)
    for number, mask in enumerate(masks.values(), start=1):
        owner[mask & (owner == 0)] = number
    distance, nearest = ndimage.distance_transform_edt(owner == 0, sampling=spacing_mm, return_indices=True)
    nearest_owner = owner[tuple(nearest)]
    free = ~inner if elsewhere is None else ~inner & ~elsewhere
    noise = _voxel_noise(seen, free & (distance > reach))
    counted = []
    for number, coverage in enumerate(places.values(), start=1):
        own = nearest_owner == number
        held = own & (distance <= reach) & (free | (coverage > 0))
        # In liver and lungs only by the covered fraction: a sliver there must not count a voxel of the liver's edge.
        weight = np.where(free, 1.0, coverage) * held if reach else np.asarray(coverage, dtype=np.float64)
        ring = own & (distance > max(reach, min(spacing_mm))) & (distance <= reach + max(RING * fwhm, 10.0)) & free
        counted.append(_count(seen, coverage, weight, ring, noise))
    # Rousset et al., J Nucl Med 1998;39:904: what is counted at each place is what all places send there.
    sent = np.eye(len(counted))
    if fwhm:
        for j, coverage in enumerate(places.values()):
            image = blurred(coverage, fwhm, spacing_mm) / float(coverage.sum())
            sent[:, j] = [float((one.weight * image).sum()) for one in counted]
    amounts, _ = optimize.nnls(sent, np.array([max(one.net, 0.0) for one in counted]))
    return {
        name: _content(one, float(amount), max(float(sent[n, n]), LEAST_RECOVERY), excess_only, bool(fwhm))
        for n, (name, one, amount) in enumerate(zip(places, counted, amounts, strict=True))
    }


def _solid(coverage: Values) -> Mask:
    """Voxels of a place by half; all that it touches where none is."""
    half = coverage >= 0.5
    return np.asarray(half if half.any() else coverage > 0)


class _Counted(NamedTuple):
    """Counted at a place: net of background and spill, the spill, the background within its shape, and variance.

    The variance is None where the image does not tell its noise.
    """

    weight: Values
    net: float
    spilt: float
    within: float
    variance: float | None


def _count(seen: Background, coverage: Values, weight: Values, ring: Mask, noise: Values | None) -> _Counted:
    near = weight > 0
    level = float(np.median(seen.rest[ring])) if ring.sum() >= RING_VOXELS else float(np.median(seen.level[near]))
    level = max(level, 0.0)
    net = float((weight * (seen.rest - level)).sum())
    spilt = float((weight * seen.spill).sum())
    variance = None if noise is None else float(noise[near].sum())
    return _Counted(weight, net, spilt, level * float(coverage.sum()), variance)


def _content(one: _Counted, amount: float, recovery: float, excess_only: bool, is_blurred: bool) -> Content:
    whole = amount + (0.0 if excess_only else one.within)
    if one.variance is None:
        return Content(Estimate(whole, None), recovery)
    known = (math.sqrt(one.variance), SPILL_RELATIVE_SD * one.spilt)
    sd = math.hypot(*(part / recovery for part in known), METHOD_RELATIVE_SD * whole * is_blurred)
    return Content(Estimate(whole, sd), recovery)


def _voxel_noise(seen: Background, where: Mask) -> Values | None:
    """Variance that each voxel adds to a sum: that of sums over blocks of noise, scaled with the image's level.

    Blocks as large as the noise's correlation hold the covariances of neighbours with them. Counts: variance follows
    the level.

    None where the image does not tell its noise: too few blocks, or most of them alike to its rounding, as where
    nothing was seen or negative values were cut off. That a place there has no noise would not follow.
    """
    size = [max(1, round(max(seen.response_mm, 10.0) / mm)) for mm in seen.spacing_mm]
    known = seen.level + seen.spill
    rest = np.where(where, seen.rest - seen.level, 0.0)
    sums = [_blocks(array, size) for array in (rest, known * where, where.astype(np.float64))]
    whole = sums[2] >= 0.99 * math.prod(size)
    if whole.sum() < RING_VOXELS:
        return None
    content, level, count = (array[whole] for array in sums)
    middle = np.median(content)
    spread = 1.4826 * float(np.median(np.abs(content - middle)))
    if spread <= LEAST_NOISE * seen.liver_mean * math.prod(size):
        return None
    variance = spread**2
    per_level = variance / max(float(level.mean()), 1e-12)
    floor = variance / float(count.mean())
    return np.asarray(np.maximum(per_level * np.clip(known + np.clip(rest, 0, None), 0, None), floor))


def _blocks(values: Values, size: Sequence[int]) -> NDArray[np.float64]:
    """Sums over blocks of so many voxels; what is left at the far edges is left out."""
    cut = values[tuple(slice(0, n // s * s) for n, s in zip(values.shape, size, strict=True))]
    split = cut.reshape([part for n, s in zip(cut.shape, size, strict=True) for part in (n // s, s)])
    return np.asarray(split.sum(axis=(1, 3, 5)))
