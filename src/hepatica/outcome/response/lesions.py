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


OWN_LONGEST, OWN_ACROSS = 0.5, 0.75
"""Part of a voxel's width added to the distance of the outermost voxel centres. The outermost centres lie half a voxel
inside the surface on average, at either end: a whole width in one direction. The longest of all directions picks those
that lie further out and needs less, the extent across it lies between. So chosen, digital spheres of 8 to 40 mm on
voxels of 1 to 3 mm read true to half a voxel in the mean over their positions."""


def lesion_size(region: Region) -> LesionSize:
    """Measure a segmented lesion as a reader would: longest diameter over all slices (planes of constant k).

    Voxels covered by half or more count; their own width is added in part (`OWN_LONGEST`).

    Raises
    ------
    EvidenceError
        If no voxel is covered by half.
    """
    inside = region.coverage >= 0.5
    spacing = np.asarray(region.grid.spacing_mm)[:2]
    best = (0.0, 0.0)
    for k in range(inside.shape[2]):
        if inside[:, :, k].any():
            best = max(best, _diameters(_outermost(inside[:, :, k]) * spacing, spacing))
    if best[0] == 0:
        raise EvidenceError(f"lesion {region.name!r} covers no voxel by half; it cannot be measured")
    return LesionSize(region.volume_ml, *best)


def _outermost(inside: np.ndarray) -> np.ndarray:
    """First and last voxel of every row, indices, shape (n, 2)."""
    rows = np.flatnonzero(inside.any(axis=1))
    first, last = inside[rows].argmax(axis=1), inside.shape[1] - 1 - inside[rows, ::-1].argmax(axis=1)
    return np.stack([np.tile(rows, 2), np.concatenate([first, last])], axis=1)


def _diameters(centres_mm: np.ndarray, spacing_mm: np.ndarray) -> tuple[float, float]:
    difference = centres_mm[:, None] - centres_mm[None]
    squared = (difference**2).sum(axis=-1)
    a, b = np.unravel_index(int(squared.argmax()), squared.shape)
    between = float(np.sqrt(squared[a, b]))
    # A single voxel has no direction.
    along = difference[a, b] / between if between > 0 else np.array([1.0, 0.0])
    normal = np.array([-along[1], along[0]])
    longest = between + OWN_LONGEST * float(np.linalg.norm(along * spacing_mm))
    across = float(np.ptp(centres_mm @ normal)) + OWN_ACROSS * float(np.linalg.norm(normal * spacing_mm))
    return longest, min(longest, across)
