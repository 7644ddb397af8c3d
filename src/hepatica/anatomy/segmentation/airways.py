"""Trachea and main bronchi on a CT, so that they are not counted as lung."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.blocks import CtBlocks, Mask
from hepatica.core import Grid

MAX_AIRWAY_MM2 = 700.0
"""Largest section of the trachea, or of both main bronchi together, in one slice. A trachea measures 13-25 mm across
(up to 490 mm2); a lung is larger a slice or two below its apex."""

MIN_AIRWAY_MM2 = 30.0
"""A smaller pocket of air is no trachea."""

MIN_AIRWAY_MM = 40.0
"""A tube followed for less than this is not the trachea."""

MIDLINE_MM = 40.0
"""The trachea enters within this distance of the middle of the body."""


def airway_blocks(air: Mask, inside: Mask, blocks: CtBlocks) -> Mask:
    """Trachea and main bronchi: followed from the head down, slice by slice, until the tube opens into a lung."""
    from scipy import ndimage

    axis, grid = blocks.slice_axis, blocks.grid
    planes = np.moveaxis(air, axis, 0)
    body = np.moveaxis(inside, axis, 0)
    tube = np.zeros_like(planes)
    pixel_mm2 = 1000.0 * grid.voxel_volume_ml / grid.spacing_mm[axis]
    order = range(planes.shape[0])
    if grid.direction[2, axis] > 0:
        order = order[::-1]
    chain: list[int] = []
    for n in order:
        labels, count = ndimage.label(planes[n], structure=np.ones((3, 3)))
        areas = np.bincount(labels.ravel(), minlength=count + 1) * pixel_mm2
        if chain:
            touched = np.unique(labels[tube[chain[-1]]])
            chosen = touched[touched > 0]
            if not chosen.size or areas[chosen].sum() > MAX_AIRWAY_MM2:
                if len(chain) * grid.spacing_mm[axis] >= MIN_AIRWAY_MM:
                    break
                tube[chain] = False
                chain = []
        if not chain:
            chosen = _central(labels, areas, body[n], (grid, axis, n))
        if chosen.size:
            tube[n] = np.isin(labels, chosen)
            chain.append(n)
    if len(chain) * grid.spacing_mm[axis] < MIN_AIRWAY_MM:
        tube[:] = False
    return np.moveaxis(ndimage.binary_dilation(tube) & planes, 0, axis)


def _central(labels: NDArray[Any], areas: NDArray[Any], body: Mask, where: tuple[Grid, int, int]) -> NDArray[np.int64]:
    """Label of the largest small piece near the middle of the body's slice, if any."""
    grid, axis, n = where

    def x_mm(mask: Mask) -> float:
        return float(grid.to_mm(np.insert(np.argwhere(mask).mean(axis=0), axis, n))[0])

    small = [label for label in range(1, areas.size) if MIN_AIRWAY_MM2 <= areas[label] <= MAX_AIRWAY_MM2]
    if not small:
        return np.zeros(0, dtype=np.int64)
    middle = x_mm(body)
    central = [label for label in small if abs(x_mm(labels == label) - middle) < MIDLINE_MM]
    return np.asarray(sorted(central, key=lambda label: areas[label])[-1:], dtype=np.int64)
