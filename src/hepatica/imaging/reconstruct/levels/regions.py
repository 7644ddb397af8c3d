"""Where activity is found voxel by voxel, and where the counts give a level alone: lung in parts, and the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import FWHM_PER_SD

Float32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

SMOOTHING_MM = 15.0
"""FWHM of the Gaussian before hot voxels are looked for: the resolution of bremsstrahlung SPECT (Elschot 2013)."""
OVER_LUNG = 3.0
"""Hot voxels hold more than this many times the median of the lungs: noise of the smoothed lung stays below."""
OF_LIVER = (0.05, 0.4)
"""Least and most of that threshold, as shares of the concentration that half of the activity exceeds: the noise of an
empty lung is not hot, and a liver between much hotter lesions is."""
MIN_SHARE = 0.002
"""Of the activity that a separate hot piece must hold, so that noise is none."""
MARGIN_MM = 19.0
"""Around hot voxels: what a response of 12 to 15 mm spills, and 8 mm of the CT beside the SPECT."""
SLABS = 3
"""Parts of each lung, from below up."""
MIN_LEVEL_ML = 30.0
"""A smaller part gets no level of its own and joins its neighbour."""


@dataclass(frozen=True, slots=True, eq=False)
class LevelRegions:
    """Where an image is free and where it is level.

    Attributes
    ----------
    hot : ndarray of bool, shape of the image
        Every voxel is found by the iterations.
    names : tuple of str
        Of the parts; those of the lungs first.
    parts : tuple of ndarray of float32
        Share of each voxel in each part, zero in hot ones.
    """

    hot: Mask
    names: tuple[str, ...]
    parts: tuple[Float32, ...]

    @property
    def lungs(self) -> tuple[int, ...]:
        """Numbers of the parts that are lung."""
        return tuple(n for n, name in enumerate(self.names) if name.startswith("lung"))


def hot_voxels(
    image: NDArray[Any], lung: Float32, spacing_mm: Sequence[float], *, margin_mm: float = MARGIN_MM
) -> Mask:
    """Voxels of liver and hot spots, with a margin, by the activity that iterations have found.

    Parameters
    ----------
    image : ndarray
        Activity, not negative.
    lung : ndarray, same shape
        Share of each voxel in the lungs.
    spacing_mm : sequence of float
        Voxel size.
    margin_mm : float
        Added around.
    """
    from scipy import ndimage

    spacing = np.asarray(spacing_mm)
    smooth = ndimage.gaussian_filter(np.asarray(image, np.float32), SMOOTHING_MM / FWHM_PER_SD / spacing)
    values = np.sort(smooth.ravel())[::-1].astype(np.float64)
    half = values[min(int(np.searchsorted(np.cumsum(values), values.sum() / 2)), values.size - 1)]
    inside = smooth[lung > 0.5]
    in_lung = float(np.median(inside)) if inside.size else 0.0
    hot = smooth > np.clip(OVER_LUNG * in_lung, OF_LIVER[0] * half, OF_LIVER[1] * half)
    labels, count = ndimage.label(hot)
    if not count:
        return np.asarray(hot)
    held = ndimage.sum_labels(image, labels, np.arange(count + 1))
    held[0] = 0.0
    hot = (held >= MIN_SHARE * float(np.sum(image, dtype=np.float64)))[labels]
    return np.asarray(ndimage.distance_transform_edt(~hot, sampling=spacing) <= margin_mm, dtype=bool)


def level_regions(hot: Mask, lungs: Sequence[Float32], body: Mask, voxel_ml: float) -> LevelRegions:
    """Parts outside hot voxels: each lung in slabs of equal volume, and the rest of the body as one.

    Parameters
    ----------
    hot : ndarray of bool
        Of `hot_voxels`.
    lungs : sequence of ndarray
        Share of each voxel in each lung.
    body : ndarray of bool
        Where activity can be.
    voxel_ml : float
        Volume of a voxel.
    """
    open_to = (body & ~hot).astype(np.float32)
    names, parts = [], []
    for number, lung in enumerate(lungs, start=1):
        cold = lung * open_to
        for slab, part in enumerate(_slabs(cold, voxel_ml), start=1):
            names.append(f"lung {number}, part {slab}")
            parts.append(part)
    all_lung: Float32 = np.zeros(hot.shape, np.float32)
    for lung in lungs:
        all_lung += lung
    rest = np.maximum(1 - all_lung, 0) * open_to
    if float(rest.sum()) * voxel_ml >= MIN_LEVEL_ML:
        names.append("rest of the body")
        parts.append(rest)
    return LevelRegions(hot & body, tuple(names), tuple(parts))


def _slabs(lung: Float32, voxel_ml: float) -> list[Float32]:
    """Slabs along the third axis, of about equal volume."""
    along = lung.sum(axis=(0, 1), dtype=np.float64)
    number = min(SLABS, int(along.sum() * voxel_ml / MIN_LEVEL_ML))
    if number < 1:
        return []
    middle = (np.cumsum(along) - along / 2) / along.sum()
    which = np.minimum((middle * number).astype(int), number - 1)
    return [np.where(which == n, lung, np.float32(0)).astype(np.float32) for n in range(number)]
