"""Size of a lesion from its segmentation: volume, longest diameter in a slice, and the widest across it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepatica.core import Region
from hepatica.errors import EvidenceError


@dataclass(frozen=True, slots=True)
class LesionSize:
    """Volume in mL, longest in-slice diameter and the longest perpendicular to it in that slice, mm."""

    volume_ml: float
    longest_mm: float
    perpendicular_mm: float


NO_LESION = LesionSize(0.0, 0.0, 0.0)
"""Size of a lesion that is gone."""


def lesion_size(region: Region) -> LesionSize:
    """Measure a segmented lesion as a reader would: longest diameter over all slices (planes of constant k).

    Voxels covered by half or more count with their full extent, so that diameters err by up to a voxel.

    Raises
    ------
    EvidenceError
        If no voxel is covered by half.
    """
    inside = region.coverage >= 0.5
    spacing = np.asarray(region.grid.spacing_mm)
    best = (0.0, 0.0)
    for k in range(inside.shape[2]):
        i, j = np.nonzero(inside[:, :, k])
        if i.size:
            best = max(best, _diameters(_corners(i, j, spacing)))
    if best[0] == 0:
        raise EvidenceError(f"lesion {region.name!r} covers no voxel by half; it cannot be measured")
    return LesionSize(region.volume_ml, *best)


def _corners(i: np.ndarray, j: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Corners in mm of the outermost voxels of every row, shape (n, 2)."""
    points = []
    for row in np.unique(i):
        cells = j[i == row]
        points += [(row + a, b) for a in (-0.5, 0.5) for b in (cells.min() - 0.5, cells.max() + 0.5)]
    return np.asarray(np.asarray(points) * spacing[:2])


def _diameters(points: np.ndarray) -> tuple[float, float]:
    difference = points[:, None] - points[None]
    squared = (difference**2).sum(axis=-1)
    a, b = np.unravel_index(int(squared.argmax()), squared.shape)
    longest = float(np.sqrt(squared[a, b]))
    across = np.array([-difference[a, b][1], difference[a, b][0]]) / longest
    return longest, float(np.ptp(points @ across))
