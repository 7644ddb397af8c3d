"""An organ from where it may lie and how bright it is: probabilities that learn from the image and end at edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.coarse import Mask, blurred, grown, largest_part, opened, shrunk
from hepatica.anatomy.segmentation.torso import STEP_MM, Torso
from hepatica.anatomy.segmentation.walker import random_walk

Array = NDArray[np.float32]

PASSES = 4
"""Rounds of learning; what changes between the third and the fourth is a per cent."""

BIN_HU = 2.5
EDGES_HU = np.arange(-205.0, 410.0, BIN_HU)
CENTRES_HU = (EDGES_HU[:-1] + EDGES_HU[1:]) / 2

MIN_SD_HU = 4.0
"""An organ is no more uniform than this on real images."""

LEFT_NOISE = 0.3
"""Share of the noise that smoothing leaves near borders, where fewer like neighbours are."""

OTHER_SHARE = 0.08
"""Share of an organ that has other CT numbers: lesions, vessels."""

OTHER_HU = (-60.0, 80.0)
"""Their range beside the organ's own."""

EVIDENCE = (-5.0, 4.0)
"""Limits of the logarithm of what one voxel's CT number says for an organ."""

PULL = 0.15
"""Weight of intensity and place against the link of two like neighbours: a handful of neighbours outvote one voxel."""

MIN_EDGE_HU = 8.0
"""Contrast at which neighbours come apart, where noise is low: that of unenhanced liver against spleen."""


@dataclass(frozen=True, slots=True, eq=False)
class Brightness:
    """What the CT number of a voxel says for an organ.

    Attributes
    ----------
    mean_hu, sd_hu : float
        Of the organ's own tissue.
    evidence : ndarray, shape of `CENTRES_HU`
        Logarithm of the likelihood ratio, organ over everything around it.
    """

    mean_hu: float
    sd_hu: float
    evidence: NDArray[np.float64]

    def of(self, hu: Array) -> Array:
        """Evidence in each voxel."""
        return np.asarray(np.interp(hu, CENTRES_HU, self.evidence), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Grown:
    """An organ on coarse voxels.

    Attributes
    ----------
    probability : ndarray
        That a voxel belongs to it, 0 to 1.
    place : ndarray
        What was expected of its place in the last round.
    brightness : Brightness
        What it looks like.
    """

    probability: Array
    place: Array
    brightness: Brightness

    @property
    def mask(self) -> Mask:
        """Voxels that more likely belong to it than not."""
        return np.asarray(self.probability > 0.5)


def logistic(x: NDArray[np.floating] | float) -> Array:
    """Rise from 0 to 1 around 0."""
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))), np.float32)


def prevailing_hu(values: Array) -> tuple[float, float]:
    """CT number that prevails among many, and its standard deviation from the peak's width at half its height.

    Values of another tissue on one side of the peak do not widen it: the narrower side counts.
    """
    from scipy import ndimage

    counts, edges = np.histogram(values, bins=np.arange(-40.0, 260.0, 1.0))
    smooth = ndimage.gaussian_filter1d(counts.astype(np.float64), 4.0)
    top = int(smooth.argmax())
    below = np.flatnonzero(smooth[:top] < smooth[top] / 2)
    above = np.flatnonzero(smooth[top:] < smooth[top] / 2)
    left = top - int(below[-1]) if below.size else top + 1
    right = int(above[0]) if above.size else len(smooth) - top
    return float((edges[top] + edges[top + 1]) / 2), max(2 * min(left, right) / 2.355, MIN_SD_HU)


def grow_organ(
    torso: Torso,
    place: Array,
    start: Mask,
    *,
    certain: Mask | None = None,
    also: Array | None = None,
    thin_mm: float = 7.0,
) -> Grown | None:
    """An organ from its expected place and a region that mostly holds it.

    Each round learns the organ's CT numbers and those of everything around it, weighs them with the place, finds the
    border by `random_walk`, cuts thin bridges and keeps what hangs together with the start.

    Parameters
    ----------
    torso : Torso
        Image and landmarks.
    place : ndarray
        Probability by place alone.
    start : ndarray of bool
        Region in which the organ prevails.
    certain : ndarray of bool, optional
        Voxels known to belong to it (uptake).
    also : ndarray, optional
        Logarithm of the likelihood ratio for the organ from another image in each voxel.
    thin_mm : float
        Radius of bridges that are cut.

    Returns
    -------
    Grown or None
        None where the start holds no tissue that prevails.
    """
    image = torso.smooth
    if not start.any():
        return None
    mean, sd = prevailing_hu(image[start])
    least_sd = max(MIN_SD_HU, LEFT_NOISE * torso.noise_hu)
    sd = max(sd, least_sd)
    # Narrow at first: a neighbour taken in now would be learnt as the organ, and never as what is around it.
    found = largest_part(opened(start & (np.abs(image - mean) < 1.8 * sd), STEP_MM * 1.5, STEP_MM))
    decide = (place > 0.005) & (image > -60)
    probability: Array | None = None
    expected, brightness = place, None
    for _ in range(PASSES):
        if not found.any():
            return None
        core = shrunk(found, 5.0, STEP_MM) if probability is not None else found
        if probability is not None:
            values = image[core if core.any() else found]
            mean = float(np.median(values))
            sd = max(1.4826 * float(np.median(np.abs(values - mean))), least_sd)
            around = np.clip(1.6 * blurred(probability, 8.0, STEP_MM), 0, 1)
            expected = place * (0.05 + 0.95 * around)
        margin = 20.0 if probability is None else 8.0
        rest = torso.body & ~torso.lungs & ~grown(found, margin, STEP_MM) & (place > 0.002)
        brightness = _brightness(mean, sd, image[rest])
        odds = np.clip(expected, 1e-4, 0.999)
        says = brightness.of(image) if also is None else brightness.of(image) + also
        prior = logistic(np.log(odds / (1 - odds)) + says)
        if certain is not None:
            prior = np.maximum(prior, np.float32(0.95) * certain)
        edge = max(0.75 * torso.noise_hu, MIN_EDGE_HU)
        probability = random_walk(image, decide, prior, edge_hu=edge, pull=PULL)
        found = _held_together(opened(probability > 0.5, thin_mm, STEP_MM), start)
        probability = np.where(grown(found, 5.0, STEP_MM), probability, np.float32(0))
    if probability is None or brightness is None:
        return None
    return Grown(probability, np.asarray(expected, np.float32), brightness)


def _brightness(mean: float, sd: float, around: Array) -> Brightness:
    from scipy import ndimage

    counts, _ = np.histogram(around, EDGES_HU)
    other = ndimage.gaussian_filter1d(counts.astype(np.float64), 2.0)
    other += 0.002 * max(other.sum(), 1.0) / len(other)
    other /= other.sum() * BIN_HU
    wide = 1.15 * sd
    own = np.exp(-np.square((CENTRES_HU - mean) / wide) / 2) / wide / np.sqrt(2 * np.pi)
    low, high = (mean + shift for shift in OTHER_HU)
    within = (low < CENTRES_HU) & (high > CENTRES_HU)
    own = (1 - OTHER_SHARE) * own + OTHER_SHARE * within / (high - low)
    return Brightness(mean, sd, np.clip(np.log((own + 1e-9) / (other + 1e-9)), *EVIDENCE))


def _held_together(mask: Mask, start: Mask) -> Mask:
    """Parts of a mask that the largest piece of the start touches."""
    from scipy import ndimage

    core = mask & start
    seed = largest_part(core if core.any() else mask)
    labels, _ = ndimage.label(mask)
    kept = np.unique(labels[seed])
    return np.asarray(np.isin(labels, kept[kept > 0]))
