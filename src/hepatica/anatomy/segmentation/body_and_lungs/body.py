"""The patient's body from a CT alone, by a threshold and connectivity.

The largest piece of tissue is the body, with what it encloses slice by slice: lungs, bowel gas, and the air between
trunk and an arm that touches it on both sides. Arms are part of it where they join the trunk within the image; arms
that lie apart (a scan below the shoulders), couch, mattress and clothes are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.body_and_lungs.blocks import BODY_ABOVE_HU, CtBlocks, Mask, ct_blocks
from hepatica.core import Region, Volume
from hepatica.core.region import Window, bounding_window
from hepatica.errors import GeometryError

OPENING_MM = 6.0
"""Bridges thinner than this are cut: couch to body, and the two lungs where they touch in front of the heart."""

THIN_WALLED_HU = (-940.0, -500.0)
"""Mean of what a wall that the opening took encloses, to be a lung: gas and air beside the patient are below, stool and
fat above."""

THIN_WALLED_RADIUS_MM = 25.0
"""Radius of the largest ball in it, at least: the foam in a couch's top is 4 to 5 cm thick. Our choice."""

ARM_RADIUS_MM = 18.0
"""Radius of the largest ball in a piece beside the trunk, from which on it is an arm: an upper arm holds one of 30 to
50 mm, a couch's top and its mattress less. Our choice."""


def body_region(hu: Volume, *, name: str = "body", limbs: bool = False) -> Region:
    """The patient: the largest piece above -300 HU, holes filled slice by slice.

    Parameters
    ----------
    hu : Volume
        CT in Hounsfield units, any orientation.
    name : str
        Name of the region.
    limbs : bool
        With the pieces beside the largest that are as thick as an arm.

    Raises
    ------
    UnitError
        If the volume is not in HU.
    GeometryError
        If nothing lies above the threshold.
    """
    blocks = ct_blocks(hu)
    return body_of_blocks(blocks, body_blocks(blocks, limbs=limbs), name)


def body_blocks(blocks: CtBlocks, *, limbs: bool = False) -> Mask:
    """Blocks of the body, shape ``blocks.grid.shape``.

    Raises
    ------
    GeometryError
        If nothing lies above the threshold.
    """
    from scipy import ndimage

    tissue = opened(blocks.tissue, blocks.grid.spacing_mm)
    labels, count = ndimage.label(tissue)
    if not count:
        raise GeometryError(
            f"{blocks.hu.name or 'CT'}: nothing lies above {BODY_ABOVE_HU:g} HU; is it in Hounsfield units?"
        )
    largest = labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1
    if limbs:
        # The image cuts arms off: beyond its border they go on.
        padded = np.pad(tissue, 1, mode="edge")
        inscribed = ndimage.distance_transform_edt(padded, blocks.grid.spacing_mm)[1:-1, 1:-1, 1:-1]
        radii = ndimage.maximum(inscribed, labels, np.arange(1, count + 1))
        largest |= np.isin(labels, 1 + np.flatnonzero(np.asarray(radii) >= ARM_RADIUS_MM))
    # The opening rounds off skin folds: take back tissue next to the largest piece.
    structure = ndimage.generate_binary_structure(3, 1)
    largest = ndimage.binary_dilation(largest, structure) & blocks.tissue
    filled = _filled(largest, blocks.slice_axis)
    return filled | _behind_thin_walls(filled, blocks)


def _filled(mask: Mask, axis: int) -> Mask:
    """Holes filled slice by slice."""
    from scipy import ndimage

    planes = [ndimage.binary_fill_holes(plane) for plane in np.moveaxis(mask, axis, 0)]
    return np.asarray(np.moveaxis(np.stack(planes), 0, axis), dtype=bool)


def _behind_thin_walls(body: Mask, blocks: CtBlocks) -> Mask:
    """Lungs that the body lacks because the opening took a chest wall of a few millimetres, with that wall."""
    from scipy import ndimage

    labels, _ = ndimage.label(blocks.tissue)
    own = np.unique(labels[body & blocks.tissue])
    whole = np.isin(labels, own[own > 0])
    lost = _filled(whole, blocks.slice_axis) & ~whole & ~body
    pockets, count = ndimage.label(lost)
    if not count:
        return np.zeros_like(body)
    numbers = np.arange(1, count + 1)
    depth = ndimage.distance_transform_edt(np.pad(lost, 1, mode="edge"), blocks.grid.spacing_mm)[1:-1, 1:-1, 1:-1]
    radius = np.asarray(ndimage.maximum(depth, pockets, numbers))
    mean = np.asarray(ndimage.mean(blocks.mean_hu, pockets, numbers))
    low, high = THIN_WALLED_HU
    lungs = np.isin(pockets, numbers[(radius >= THIN_WALLED_RADIUS_MM) & (mean > low) & (mean < high)])
    if not lungs.any():
        return np.zeros_like(body)
    reach = ndimage.distance_transform_edt(~lungs, blocks.grid.spacing_mm) <= 2 * max(
        OPENING_MM, *blocks.grid.spacing_mm
    )
    return np.asarray(lungs | (whole & reach), dtype=bool)


def body_of_blocks(blocks: CtBlocks, body: Mask, name: str = "body") -> Region:
    """The body on the CT's own voxels: its skin is sought within a block of the border of `body`."""
    origin = f"CT above {BODY_ABOVE_HU:g} HU, largest piece, filled"
    if blocks.is_fine:
        return Region.from_coverage(name, blocks.hu.grid, body, origin=origin)
    inner, outer = rim(body)
    # With a block more all round, from which the air outside reaches in.
    i, j, k = (
        slice(max(0, w.start - 1), min(n, w.stop + 1)) for w, n in zip(bounding_window(outer), body.shape, strict=True)
    )
    window = (i, j, k)
    kept = blocks.expanded(inner, window)
    near = blocks.expanded(outer, window)
    tissue = (blocks.where(lambda hu: hu > BODY_ABOVE_HU, window) & near) | kept
    steps = max(blocks.factors)
    skin = blocks.expanded(body, window).grown(tissue, steps)
    # What the air outside does not reach in its slice, within the rim, is enclosed.
    order = np.argsort([-abs(step) for step in blocks.hu.values.strides]).tolist()
    across = [order.index(axis) for axis in range(3) if axis != blocks.slice_axis]
    outside = (~near).grown(~skin, 3 * steps, across)
    return region_of(name, blocks, ~outside & near, window, origin)


def rim(mask: Mask) -> tuple[Mask, Mask]:
    """The blocks of a mask without its border, and with their neighbours."""
    from scipy import ndimage

    neighbours = np.ones((3, 3, 3), dtype=bool)
    inner = ndimage.binary_erosion(mask, neighbours, border_value=1)
    return np.asarray(inner, dtype=bool), np.asarray(ndimage.binary_dilation(mask, neighbours), dtype=bool)


def region_of(name: str, blocks: CtBlocks, packed: Any, window: Window, origin: str) -> Region:
    """Region from bits in a window of blocks."""
    mask = blocks.unpacked(packed)
    inner = bounding_window(mask)
    i, j, k = (slice(a.start + w.start, a.stop + w.start) for a, w in zip(inner, blocks.voxels(window), strict=True))
    return Region(name, blocks.hu.grid, (i, j, k), mask[inner].astype(np.float32), origin)


def opened(mask: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Opening with a ball of OPENING_MM diameter (or one voxel's neighbours where voxels are larger)."""
    from scipy import ndimage

    radii = np.maximum(1, np.rint(OPENING_MM / 2 / np.asarray(spacing_mm))).astype(int)
    axes = np.ogrid[tuple(slice(-r, r + 1) for r in radii)]
    ball: NDArray[np.bool_] = sum(np.square(axis / r) for axis, r in zip(axes, radii, strict=True)) <= 1
    # The image's border is not the patient's: extend by the edge before eroding.
    padded = np.pad(mask, [(r, r) for r in radii], mode="edge")
    result = ndimage.binary_opening(padded, structure=ball)
    i, j, k = (slice(r, -r) for r in radii)
    return np.asarray(result[i, j, k], dtype=bool)
