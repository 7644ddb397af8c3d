"""How likely noise alone makes the brightest place of an image: the test behind the search.

The image less spill-out is smoothed with a filter of the size of a small deposit and compared with its surroundings.
Noise of OSEM is lognormal (Barrett et al., Phys Med Biol 1994;39:833), that of filtered counts less skewed, so that the
rate that is stated is an upper bound. Mean and spread come from the image itself, by quantiles in classes of the
background, which a few deposits do not move, and the tail is stretched to the one seen.
Noise of neighbouring voxels belongs together: the probability that the maximum over all voxels exceeds a height comes
from the smoothness (Forman et al., Magn Reson Med 1995;33:636) by the theory of random fields (Worsley et al., Hum
Brain Mapp 1996;4:58), and is never more than that of as many independent voxels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hepatica.planning.extrahepatic.background import (
    SPILL_RELATIVE_SD,
    Background,
    Mask,
    Values,
    blurred,
    smoothed_within,
)

FILTER_MM = 12.0
"""FWHM of the search filter: about that of a point in a SPECT, so that small deposits stand out most."""

AROUND_MM = 50.0
"""FWHM of the surroundings that a place is compared with: several times a deposit, and much less than the trunk."""

CLASSES = 10
"""Classes of background in which the noise is measured."""

CLASS_VOXELS = 500
"""Fewest voxels of a class: a quantile of fewer correlated voxels is itself noise."""

LOWEST_OF_TISSUE = 0.3
"""Share of the level around the liver below which background is taken as this: air has hardly any noise of its own."""

LOWEST_OF_LIVER = 1e-3
"""The same of the liver's mean, for images of true activity that have no background."""

SPARSE = 0.25
"""Lower quantile over mean below which counts are single: a gamma distribution's at a relative spread of 0.8."""

LOW, TAIL = 15.8655, 97.7250
"""Percentiles of a normal distribution at -1 and 2 standard deviations."""

DEPOSIT = 6.0
"""Heights above this are no noise (once in a thousand million voxels)."""

MOST_RELATIVE = 0.5
"""A class that is wider is one of tails and deposits, and not of noise: filtered SPECT has 0.1 to 0.3."""

FEW_BELOW = 0.02
"""Share of voxels below zero around a place; of fewer the whole image's are taken."""

PLANE_VOXELS = 100
"""Voxels below zero by which a plane across the patient tells its own noise."""

HIGHEST = 35.0
"""Heights are cut here: their probability is zero in floating point."""


@dataclass(frozen=True, slots=True, eq=False)
class Significance:
    """Heights above noise, and how unlikely they are.

    Attributes
    ----------
    height : ndarray
        Of each voxel, in standard deviations of noise; meaningful in the domain.
    excess : ndarray
        Smoothed image less background, in the image's unit.
    spread : ndarray
        Standard deviation of the smoothed image, its unit.
    resels : float
        Volume searched, in units of the noise's own resolution.
    voxels : int
        Searched.
    """

    height: Values
    excess: Values
    spread: Values
    resels: float
    voxels: int

    def p_value(self, height: float) -> float:
        """Probability that noise alone exceeds a height anywhere in the volume searched."""
        if height <= 1:
            return 1.0
        return min(1.0, max(_euler(height, self.resels), 0.0), self.voxels * 0.5 * math.erfc(height / math.sqrt(2)))

    def threshold(self, rate: float) -> float:
        """Height that noise alone exceeds in a share `rate` of images."""
        low, high = 1.0, HIGHEST
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.p_value(middle) > rate else (low, middle)
        return high


def _euler(height: float, resels: float) -> float:
    """Expected Euler characteristic of a normal field above a height, over a cube of so many resels."""
    side = math.cbrt(resels)
    fall = math.exp(-(height**2) / 2)
    four = 4 * math.log(2)
    expected: float = (
        0.5 * math.erfc(height / math.sqrt(2))
        + 3 * side * math.sqrt(four) / (2 * math.pi) * fall
        + 3 * side**2 * four / (2 * math.pi) ** 1.5 * height * fall
        + resels * four**1.5 / (2 * math.pi) ** 2 * (height**2 - 1) * fall
    )
    return expected


def significance(background: Background, domain: Mask, near: Mask, spacing_mm: Sequence[float]) -> Significance:
    """Heights of an image above its noise, in the domain; `near` is the shell around the liver that tells the level.

    The filter may use what lies outside liver and lungs; where that is less than a whole filter, at the image's edge
    and along the margin, its mean is noisier, and the height lower in proportion.
    """
    smooth = smoothed_within(background.rest, domain, FILTER_MM, spacing_mm)
    inside = domain.astype(np.float64)
    # Of white noise: variance of a normalised Gaussian mean, over that of a whole one.
    whole = blurred(inside, FILTER_MM, spacing_mm, mode="constant")
    squared = blurred(inside, FILTER_MM / math.sqrt(2), spacing_mm, mode="constant")
    thin = np.sqrt(np.maximum(squared / np.maximum(whole, 0.05) ** 2, 1.0))
    lowest = _lowest(background, near)
    known = background.level + background.spill
    weight = blurred(inside, AROUND_MM, spacing_mm, mode="constant")
    for _ in range(2):
        mean = np.maximum(known, lowest)
        spread = _spread(smooth, background, mean, domain) * thin
        clipped = np.minimum(smooth, mean - background.spill + 3 * spread)
        around = smoothed_within(clipped, domain, AROUND_MM, spacing_mm, weight)
        known = np.maximum(_unbiased(background.level, around, domain, lowest), around) + background.spill
    mean = np.maximum(known, lowest)
    spread = _spread(smooth, background, mean, domain) * thin
    height = np.zeros_like(smooth)
    height[domain] = _height((smooth + background.spill)[domain], mean[domain], spread[domain])
    seen = height[domain]
    # A large deposit is no tail of the noise.
    stretch = max(1.0, float(np.percentile(seen[seen < DEPOSIT], TAIL)) / 2)
    height /= stretch
    excess = smooth + background.spill - known
    return Significance(height, excess, stretch * spread, _resels(height, domain), int(domain.sum()))


def with_negatives(
    test: Significance, background: Background, domain: Mask, spacing_mm: Sequence[float], along: int
) -> Significance:
    """Heights of an image whose noise goes below zero, as those of linear reconstructions do.

    Such noise is no lognormal one in proportion to the mean. What is below zero is noise alone, whose square around a
    place has the mean of all noise's where nothing lies (a half normal distribution); where something lies it is less.
    Of this spread and the other the larger is taken, and of both heights the lower. Planes across the patient (`along`
    is the array's axis along it) are judged by their own noise too: where a scanner's field ends it rises by some times
    within 2 cm, which a mean over the surroundings is too low for, and such planes then showed uptake that is none.
    There it also differs within a plane, so that its tail is longer than a normal one's: a plane's spread is at least
    what its most negative voxel would be the greatest of.
    """
    smooth = smoothed_within(background.rest, domain, FILTER_MM, spacing_mm)
    below = domain & (smooth < 0) & (background.rest != 0)
    if not below.any():
        return test
    square = np.where(below, np.square(smooth), 0.0)
    everywhere = float(square.sum() / below.sum())
    near = blurred(below.astype(np.float64), AROUND_MM, spacing_mm, mode="constant")
    around = blurred(square, AROUND_MM, spacing_mm, mode="constant")
    local = np.where(near > FEW_BELOW, around / np.maximum(near, FEW_BELOW), everywhere)
    across = tuple(axis for axis in range(3) if axis != along)
    many = below.sum(axis=across, keepdims=True)
    tail = square.max(axis=across, keepdims=True) / np.square(_greatest(np.maximum(many, 1)))
    mean = square.sum(axis=across, keepdims=True) / np.maximum(many, 1)
    planes = np.where(many >= PLANE_VOXELS, np.maximum(mean, tail), everywhere)
    spread = np.maximum(test.spread, np.sqrt(np.maximum(np.maximum(local, everywhere), planes)))
    height = np.zeros_like(smooth)
    height[domain] = np.clip(np.minimum(test.excess[domain] / spread[domain], test.height[domain]), -HIGHEST, HIGHEST)
    seen = height[domain & (background.rest != 0)]
    stretch = max(1.0, float(np.percentile(seen[seen < DEPOSIT], TAIL)) / 2)
    height /= stretch
    return Significance(height, test.excess, stretch * spread, _resels(height, domain), test.voxels)


def _greatest(number: NDArray[np.integer]) -> Values:
    """Median of the greatest of so many independent voxels of half a normal distribution, in standard deviations."""
    from scipy.stats import norm

    return np.asarray(norm.isf(-np.expm1(-math.log(2) / number) / 2))


def _unbiased(level: Values, around: Values, domain: Mask, lowest: float) -> Values:
    """The opened background, raised by what noise pulled it down: by its ratio to the mean around, inside of tissue.

    Along the skin the mean around is low, and so is that ratio: the upper quartile is that of the inside.
    """
    tissue = domain & (level > lowest)
    if not tissue.any():
        return level
    factor = float(np.percentile(around[tissue] / level[tissue], 75))
    return level * min(max(factor, 1.0), 2.0)


def _lowest(background: Background, near: Mask) -> float:
    around = float(np.median(background.rest[near])) if near.any() else 0.0
    return max(LOWEST_OF_TISSUE * around, LOWEST_OF_LIVER * background.liver_mean, 1e-12)


def _spread(smooth: Values, background: Background, mean: Values, domain: Mask) -> Values:
    """Standard deviation of what is seen where nothing lies: noise, and what the spill is not known to."""
    noise = mean * _relative_spread(smooth + background.spill, mean, domain)
    return np.asarray(np.hypot(noise, SPILL_RELATIVE_SD * background.spill))


def _relative_spread(values: Values, mean: Values, domain: Mask) -> Values:
    """Relative standard deviation of the noise in every voxel, by quantiles in classes of the mean.

    The lower half of a lognormal distribution tells all of it, and deposits lie in the upper one.
    """
    level = np.log(mean)
    ratio, levels = values[domain] / mean[domain], level[domain]
    edges = np.unique(np.quantile(levels, np.linspace(0, 1, CLASSES + 1)))
    places, spreads, sparse = [], [], []
    for low, high in pairwise(edges):
        inside = ratio[(levels >= low) & (levels <= high)]
        if inside.size >= CLASS_VOXELS:
            below, middle = np.percentile(inside, (LOW, 50))
            places.append((low + high) / 2)
            spreads.append(_lognormal_spread(below, middle))
            sparse.append(below < SPARSE)
    if not places:
        below, middle = np.percentile(ratio, (LOW, 50))
        places, spreads, sparse = [0.0], [_lognormal_spread(below, middle)], [False]
    # Of counts the variance over the mean is the same everywhere, of filtered OSEM it falls with the mean: where counts
    # are so few that quantiles see little but zeros, it is taken from the next brighter class.
    relative = np.array(spreads)
    for n in reversed(range(len(places) - 1)):
        if sparse[n]:
            relative[n] = max(relative[n], relative[n + 1] * math.exp((places[n + 1] - places[n]) / 2))
    return np.asarray(np.clip(np.exp(np.interp(level, places, np.log(relative + 1e-12))), 1e-4, None))


def _lognormal_spread(below: float, middle: float) -> float:
    """Relative standard deviation of a lognormal distribution from its median and the quantile below it; 0 of zeros."""
    if middle <= 0:
        return 0.0
    width = math.log(middle / max(below, 0.1 * middle))
    return min(math.sqrt(math.expm1(width**2)), MOST_RELATIVE)


def _height(values: Values, mean: Values, spread: Values) -> Values:
    """Height in a normal distribution that is as unlikely as a value in a lognormal one of this mean and spread."""
    variance = np.log1p((spread / mean) ** 2)
    with np.errstate(divide="ignore"):
        height = (np.log(np.clip(values, 0, None) / mean) + variance / 2) / np.sqrt(variance)
    return np.asarray(np.clip(height, -HIGHEST, HIGHEST))


def _resels(height: Values, domain: Mask) -> float:
    """Volume of the domain in units of the noise's resolution (FWHM) along each axis."""
    held = np.clip(height, -3, 3)
    count = float(domain.sum())
    variance = float(held[domain].var())
    if not variance > 0:
        return count
    for axis in range(3):
        before = tuple(slice(None, -1) if n == axis else slice(None) for n in range(3))
        after = tuple(slice(1, None) if n == axis else slice(None) for n in range(3))
        both = domain[before] & domain[after]
        step = float(((held[after] - held[before])[both] ** 2).mean()) if both.any() else 2 * variance
        correlated = 1 - step / (2 * variance)
        # Uncorrelated neighbours: no smoother than a voxel.
        count /= max(1.0, math.sqrt(-2 * math.log(2) / math.log(correlated))) if 0 < correlated < 1 else 1.0
    return count
