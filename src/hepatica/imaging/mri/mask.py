"""Where there is tissue: voxels of a multi-echo scan that are worth a fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Region
from hepatica.imaging.mri.echoes import MultiEcho

Mask = NDArray[np.bool_]

CLEARLY_ABOVE = 5.0
"""First echo over the noise from which a voxel is tissue."""

MARGIN_MM = 8.0
"""Around structures: their neighbours help with S0."""


def body_mask(scan: MultiEcho, noise: float) -> Mask:
    """Voxels inside the patient, dark ones that tissue encloses among them."""
    from scipy import ndimage

    bright = scan.magnitude[0] > CLEARLY_ABOVE * noise
    closed = ndimage.binary_closing(bright, iterations=2) | bright
    for k in range(closed.shape[2]):
        closed[:, :, k] = ndimage.binary_fill_holes(closed[:, :, k])
    return np.asarray(closed)


def structures_mask(regions: Sequence[Region], margin_mm: float = MARGIN_MM) -> Mask:
    """Voxels of structures and within a margin of them."""
    from scipy import ndimage

    inside = np.zeros(regions[0].grid.shape, dtype=bool)
    for region in regions:
        inside[region.window] |= region.coverage > 0
    if margin_mm <= 0 or not inside.any():
        return inside
    distance = ndimage.distance_transform_edt(~inside, sampling=regions[0].grid.spacing_mm)
    return np.asarray(distance <= margin_mm)
