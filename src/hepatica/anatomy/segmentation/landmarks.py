"""Spine, inside of the ribs and diaphragm on cubic voxels along x (left), y (back), z (head)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.coarse import Mask

Array = NDArray[np.float64]

BONE_HU = 150.0
"""Above it, near the middle of the back, lies bone; contrast agent in the aorta lies before it."""

RIB_HU = 200.0
"""A rib averaged over 4 mm stays above this; muscle and unenhanced organs do not reach it."""

RIB_FROM = 0.6
"""Ribs lie beyond this share of the distance from the middle of the trunk to its skin; kidneys and bowel with contrast
agent seldom do."""

ANGLES = 72
"""Directions around the trunk, 5 degrees each."""

SKIN_MM = 6.0
"""Depth that certainly is beyond the skin, where the muscles' outer surface is looked for."""

WALL_MM = 10.0
"""Least thickness of muscle and cartilage between the subcutaneous fat and the liver. Our choice."""

DIAPHRAGM_REACH_MM = {"right": 110.0, "left": 70.0}
"""A lung ends on the diaphragm where it ends no higher than this above its lowest point; higher up, on the left, it
ends on the heart. Our choice, from the height of a dome above its recess in inspiration and expiration."""

MIDDLE_MM = 30.0
"""Beside the spine by less, the diaphragm carries the heart, and stands no higher than the right dome."""


@dataclass(frozen=True, slots=True, eq=False)
class Spine:
    """Middle and front of the vertebrae in each slice, voxel indices along x and y, shape (slices,) each."""

    middle: Array
    front: Array


def spine_of(hu: NDArray[np.float32], body: Mask, step_mm: float) -> Spine | None:
    """Vertebrae: bone near the middle of the back half of the body; interpolated where a slice has none.

    None where there is no such bone.
    """
    from scipy import ndimage

    slices = hu.shape[2]
    middle, front = np.full(slices, np.nan), np.full(slices, np.nan)
    for k in range(slices):
        inside = np.argwhere(body[:, :, k])
        bone = np.argwhere((hu[:, :, k] > BONE_HU) & body[:, :, k])
        if len(bone) < 10:
            continue
        centre = np.median(inside, axis=0)
        near = bone[(np.abs(bone[:, 0] - centre[0]) * step_mm < 40) & (bone[:, 1] > centre[1])]
        if len(near) < 8:
            continue
        middle[k] = np.median(near[:, 0])
        column = near[np.abs(near[:, 0] - middle[k]) * step_mm < 20]
        front[k] = np.percentile(column[:, 1], 10) if len(column) else np.nan
    if not np.isfinite(front).any():
        return None
    smooth = []
    for found in (middle, front):
        known = np.isfinite(found)
        steady = ndimage.median_filter(found[known], 9, mode="nearest")
        filled = np.interp(np.arange(slices), np.flatnonzero(known), steady)
        smooth.append(ndimage.gaussian_filter1d(filled, 4.0, mode="nearest"))
    return Spine(*smooth)


def spread(values: Array, known: Array, widths: Sequence[float | tuple[float, ...]]) -> Array:
    """Values smoothed where they are known, and carried from ever farther into the unknown (normalised convolution)."""
    from scipy import ndimage

    total, weight = np.zeros(values.shape), np.zeros(values.shape)
    for n, width in enumerate(widths):
        trust = 100.0**-n  # a farther neighbour counts only where no near one is known
        total += trust * ndimage.gaussian_filter(values * known, width, mode="nearest")
        weight += trust * ndimage.gaussian_filter(known, width, mode="nearest")
    return np.asarray(total / np.maximum(weight, 1e-12))


def diaphragm_height(right: Mask, left: Mask, spine: Spine, step_mm: float) -> Array | None:
    """Slice index of the diaphragm in each column, shape (i, j): the lungs' lower ends, carried on between them.

    None where no lung ends inside the image.
    """
    height, known = np.zeros(right.shape[:2]), np.zeros(right.shape[:2])
    for lung, reach in ((left, DIAPHRAGM_REACH_MM["left"]), (right, DIAPHRAGM_REACH_MM["right"])):
        columns = lung.any(axis=2)
        if not columns.any():
            continue
        lowest = lung.argmax(axis=2)
        ends = columns & ((lowest - np.percentile(lowest[columns], 2)) * step_mm < reach) & (lowest > 0)
        height[ends], known[ends] = lowest[ends], 1.0
    if not known.any():
        return None
    scale = 4.0 / step_mm
    found = spread(height, known, [1.0 * scale, 5.0 * scale, 15.0 * scale, 40.0 * scale])
    beside = (np.arange(right.shape[0])[:, None] - np.median(spine.middle)) * step_mm
    dome = right.any(axis=2) & (right.argmax(axis=2) > 0) & (beside < -MIDDLE_MM)
    if dome.any():
        top = float(np.percentile(found[dome], 98))
        found = np.where(beside > -MIDDLE_MM, np.minimum(found, top), found)
    return found


def depth_inside_ribs_mm(hu: NDArray[np.float32], body: Mask, spine: Spine, step_mm: float) -> NDArray[np.float32]:
    """Distance of each voxel from the inner surface of the chest and abdominal wall, mm, positive inside.

    Around each slice's middle the nearest rib in every direction is found; between ribs, and below them, their surface
    is carried on, but never nearer to the muscles' outer surface than `WALL_MM`.
    """
    from scipy import ndimage

    slices = hu.shape[2]
    x, y = np.meshgrid(*(np.arange(n) for n in hu.shape[:2]), indexing="ij")
    rib, known, muscle = (np.zeros((ANGLES, slices)) for _ in range(3))
    radius, angle = np.zeros(hu.shape, np.float32), np.zeros(hu.shape, np.int16)
    for k in range(slices):
        trunk = _largest(body[:, :, k])
        front = np.percentile(y[trunk], 2) if trunk.any() else 0.0
        centre_x, centre_y = spine.middle[k], (front + spine.front[k]) / 2
        r = np.hypot(x - centre_x, y - centre_y)
        a = np.floor(np.arctan2(y - centre_y, x - centre_x) / (2 * np.pi) * ANGLES).astype(int) % ANGLES
        radius[:, :, k], angle[:, :, k] = r, a
        skin = np.zeros(ANGLES)
        np.maximum.at(skin, a[trunk], r[trunk])
        deep = ndimage.distance_transform_edt(np.pad(trunk, 1))[1:-1, 1:-1] * step_mm > SKIN_MM
        soft = (hu[:, :, k] > -30) & deep
        np.maximum.at(muscle[:, k], a[soft], r[soft])
        vertebra = (np.abs(x - centre_x) * step_mm < 30) & (y > centre_y)
        bone = (hu[:, :, k] > RIB_HU) & trunk & ~vertebra & (r > RIB_FROM * skin[a])
        nearest = np.full(ANGLES, np.inf)
        np.minimum.at(nearest, a[bone], r[bone])
        found = np.isfinite(nearest)
        rib[found, k], known[found, k] = nearest[found], 1.0
    scale = 4.0 / step_mm
    widths = [(1.2, 3 * scale), (3.0, 6 * scale), (8.0, 10 * scale), (15.0, 30 * scale)]
    around = [np.concatenate([part] * 3) for part in (rib, known)]
    wall = spread(around[0], around[1], widths)[ANGLES : 2 * ANGLES]
    outer = ndimage.median_filter(np.concatenate([muscle[-2:], muscle, muscle[:2]]), 5, mode="nearest")[2:-2]
    outer -= WALL_MM / step_mm
    wall = np.minimum(wall, outer) if known.any() else outer
    return np.asarray((wall[angle, np.broadcast_to(np.arange(slices), hu.shape)] - radius) * step_mm, np.float32)


def _largest(mask: Mask) -> Mask:
    """Trunk without arms in one slice."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    return np.asarray(labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1) if count > 1 else mask
