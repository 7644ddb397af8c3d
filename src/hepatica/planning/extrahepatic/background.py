"""What an image shows outside liver and lungs if nothing lies there: spill-out, scatter tails, tissue background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import FWHM_PER_SD

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

BLURS_MM = (0.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 24.0)
"""Resolutions (FWHM) that are tried at the liver's edge: from none (a true activity) to a bremsstrahlung SPECT."""

TAILS_MM = (8.0, 16.0, 32.0, 64.0)
"""Widths (FWHM) of what spills out of liver and lungs: collimator response and breathing, penetration, scatter."""

TAIL_REACH_MM = 60.0
"""Distance from liver and lungs within which the tails are fitted: nearly all of the widest kernel's fall."""

SMOOTHED_MM = 25.0
"""FWHM of the smoothing before the background is opened, so that noise does not pull it down."""

OPENED_MM = 80.0
"""Edge of the cube of the opening: what is thinner in any direction is no background. A distended stomach is thinner,
the trunk is not."""

SPILL_RELATIVE_SD = 0.25
"""Relative standard uncertainty of the spill at a place: few kernels for the whole edge, and breathing smears some
parts of it more than others (tests/physics)."""

FIT_VOXELS = 20_000
"""Voxels of the fit of the tails, drawn at random: four unknowns need no more."""


def sigmas(fwhm_mm: float, spacing_mm: Sequence[float]) -> list[float]:
    """Standard deviations in voxels of a Gaussian of a width (FWHM) in mm."""
    return [fwhm_mm / FWHM_PER_SD / mm for mm in spacing_mm]


def blurred(
    values: Values, fwhm_mm: float, spacing_mm: Sequence[float], *, mode: Literal["nearest", "constant"] = "nearest"
) -> Values:
    """Values under a Gaussian of a width (FWHM) in mm; beyond the image the nearest ones, or zero ("constant")."""
    from scipy import ndimage

    if not fwhm_mm:
        return values
    sigma = sigmas(fwhm_mm, spacing_mm)
    return np.asarray(ndimage.gaussian_filter(values, sigma, mode=mode, truncate=3.0))


def smoothed_within(
    values: Values, where: Mask, fwhm_mm: float, spacing_mm: Sequence[float], weight: Values | None = None
) -> Values:
    """Gaussian mean of the values of a mask alone, everywhere; 0 where none is near; `weight` is the mask's own."""
    if weight is None:
        weight = blurred(where.astype(np.float64), fwhm_mm, spacing_mm, mode="constant")
    content = blurred(np.where(where, values, 0.0), fwhm_mm, spacing_mm, mode="constant")
    # Three standard deviations away from the mask the mean rests on a few voxels' tails.
    return np.divide(content, weight, out=np.zeros_like(content), where=weight > 1e-3)


def liver_edge(values: Values, liver: Mask, others: Mask, spacing_mm: Sequence[float]) -> tuple[float, Values]:
    """Resolution (FWHM, mm) of an image, from how far the liver's edge is smeared, and what it smears over the edge.

    The liver is filled from its inside (deeper than 8 mm), blurred with each of `BLURS_MM` and compared with the image
    within 12 mm of the edge, away from the lungs (`others`).
    """
    from scipy import ndimage

    corners = np.argwhere(liver)
    pad = [round(40 / mm) for mm in spacing_mm]
    bounds = zip(corners.min(axis=0), corners.max(axis=0), pad, liver.shape, strict=True)
    window = tuple(slice(max(0, low - p), min(n, high + p + 1)) for low, high, p, n in bounds)
    image, inside, lungs = values[window], liver[window], others[window]
    depth = ndimage.distance_transform_edt(inside, sampling=spacing_mm)
    outwards = ndimage.distance_transform_edt(~inside, sampling=spacing_mm)
    deep = depth > 8.0
    if not deep.any():
        deep = inside
    filled = np.where(inside, smoothed_within(image, deep, 15.0, spacing_mm), 0.0)
    edge = (np.where(inside, depth, outwards) <= 12.0) & ~lungs
    if lungs.any():
        edge &= ndimage.distance_transform_edt(~lungs, sampling=spacing_mm) > 15.0
    if edge.sum() < 100:
        return 0.0, np.zeros_like(values)
    # A uniform background beyond the edge is no blur.
    beyond = (outwards > 15.0) & (outwards <= 30.0) & ~lungs
    level = float(np.median(image[beyond])) if beyond.any() else 0.0
    below = np.where(inside, filled, level)
    # An edge that is smeared by less than a voxel is drawn, or sampled, and not blurred.
    tried = [mm for mm in BLURS_MM if not 0 < mm < 1.2 * max(spacing_mm)]
    # Hot places at the edge must not decide: absolute, not squared differences.
    misfit = [float(np.abs(blurred(below, mm, spacing_mm) - image)[edge].mean()) for mm in tried]
    found = tried[int(np.argmin(misfit))]
    smeared = np.zeros_like(values)
    smeared[window] = np.where(inside, 0.0, blurred(filled, found, spacing_mm))
    return found, smeared


def spill(values: Values, inner: Mask, smeared: Values, distance_mm: Values, spacing_mm: Sequence[float]) -> Values:
    """What liver and lungs (`inner`) send beyond their edges, beside what the resolution smears over the liver's edge.

    Gaussians of `TAILS_MM` are fitted to the image itself.

    Each kernel's share is not negative; places that exceed the fit are left out of it in three rounds, so that a
    deposit does not count as a tail.
    """
    from scipy import optimize

    tails = [blurred(np.where(inner, values, 0.0), mm, spacing_mm) for mm in TAILS_MM]
    near = np.flatnonzero((distance_mm > 0) & (distance_mm <= TAIL_REACH_MM))
    if near.size < 100:
        return np.zeros_like(values)
    chosen = near if near.size <= FIT_VOXELS else np.random.default_rng(0).choice(near, FIT_VOXELS, replace=False)
    design = np.stack([tail.ravel()[chosen] for tail in tails] + [np.ones(chosen.size)], axis=1)
    seen = np.clip((values - smeared).ravel()[chosen], 0.0, None)
    level = design[:, 1] + 0.01 * float(values[inner].mean())
    kept = np.ones(chosen.size, dtype=bool)
    shares = np.zeros(len(tails) + 1)
    for _ in range(3):
        weight = 1 / level[kept]
        shares, _ = optimize.nnls(design[kept] * weight[:, None], seen[kept] * weight)
        rest = (seen - design @ shares) / level
        middle = float(np.median(rest))
        kept = rest < middle + 3 * 1.4826 * float(np.median(np.abs(rest - middle))) + 1e-9
    return np.asarray(smeared + sum(share * tail for share, tail in zip(shares[:-1], tails, strict=True)))


def tissue_level(rest: Values, domain: Mask, spacing_mm: Sequence[float]) -> Values:
    """Level of a broad background: the smoothed image within the domain, opened by a cube of `OPENED_MM`.

    An opening leaves a plateau and its edges as they are and takes away what is smaller than its cube, so that neither
    the skin nor a deposit stands out of its own background.
    """
    from scipy import ndimage

    size = [max(1, round(OPENED_MM / mm)) for mm in spacing_mm]
    smooth = smoothed_within(rest, domain, SMOOTHED_MM, spacing_mm)
    lowest = ndimage.minimum_filter(np.where(domain, smooth, np.inf), size=size, mode="nearest")
    lowest[~np.isfinite(lowest)] = -np.inf
    level = ndimage.maximum_filter(lowest, size=size, mode="nearest")
    return np.asarray(np.clip(np.where(np.isfinite(level), level, 0.0), 0.0, None))


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """An image taken apart.

    Attributes
    ----------
    rest : ndarray
        Image less the spill of liver and lungs.
    spill, level : ndarray
        Spill, and broad tissue background.
    response_mm : float
        Resolution (FWHM) at the liver's edge; 0 for a true activity.
    liver_mean : float
        Mean of the image in the liver.
    spacing_mm : tuple of float
        Of the grid.
    """

    rest: Values
    spill: Values
    level: Values
    response_mm: float
    liver_mean: float
    spacing_mm: tuple[float, float, float]


def background_of(
    values: Values, liver: Mask, lungs: Mask, distance_mm: Values, domain: Mask, spacing_mm: tuple[float, float, float]
) -> Background:
    """Spill, broad background and resolution of an image."""
    inner = liver | lungs
    fwhm, smeared = liver_edge(values, liver, lungs & ~liver, spacing_mm)
    tails = spill(values, inner, smeared, distance_mm, spacing_mm) if fwhm else np.zeros_like(values)
    rest = values - tails
    return Background(
        rest, tails, tissue_level(rest, domain, spacing_mm), fwhm, float(values[liver].mean()), spacing_mm
    )
