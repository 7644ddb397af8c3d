"""Left and right lung from a CT alone, by thresholds and connectivity: where nobody drew them.

Simple on purpose. Trachea and main bronchi, bowel gas and air outside the patient are left out, vessels of a few mm
inside the lung are part of it; a consolidated or fluid-filled lung is missed. Look at the result before relying on a
lung dose.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.airways import airway_blocks
from hepatica.anatomy.segmentation.blocks import LUNG_BELOW_HU, CtBlocks, Mask, block_shares, ct_blocks
from hepatica.anatomy.segmentation.body import OPENING_MM, body_blocks, body_of_blocks, opened, region_of, rim
from hepatica.core import Region, Volume
from hepatica.core.region import Window, bounding_window

GAS_BELOW_HU = -940.0
"""A pocket that is on average below this is gas alone (bowel, stomach); lung holds vessels and septa."""

MIN_LUNG_ML = 50.0
"""A smaller pocket of air is not a lung."""

MIN_SHARE = 0.1
"""The second lung has at least this share of the first one's volume."""

MAX_EROSION_MM = 30.0
"""Two lungs that touch are parted where they are thinner than twice this."""

MIN_SIDE_SHARE = 0.25
"""One piece with this share of its volume on either side of the body's middle is both lungs, whatever joins them."""

MAX_GAP_MM = 10.0
"""Longest gap that is closed, and thus the widest vessel; two slices of 5 mm."""

MAX_VESSEL_MM2 = 300.0
"""Largest section, in whole blocks, of a vessel inside the lung: some 12 mm across, and the blocks that it touches. The
dome of the diaphragm, a hole in an axial slice too, is cut by this at less than a millimetre below its top."""

BORDER_LIMITS_HU = (-450.0, -250.0)
"""The border lies half way from soft tissue (0 HU) to this lung's own mean, within these limits: -400 HU for a lung of
-800; of a lung in expiration (-600) that would cut off a millimetre of its surface, a twentieth of its volume."""

Spacing = tuple[float, float, float]

NAMES = ("lung left", "lung right")

ORIGIN = f"CT below {LUNG_BELOW_HU:g} HU inside the body, airways left out"


def lung_regions(hu: Volume, body: Region | None = None) -> tuple[Region, ...]:
    """Left and right lung: the large pockets below -400 HU inside the body that do not reach the outside.

    Parameters
    ----------
    hu : Volume
        CT in Hounsfield units, any orientation.
    body : Region, optional
        The patient on the same grid; by default found as by `body_region`.

    Returns
    -------
    tuple of Region
        "lung left" and "lung right"; one where only one is in the image; none where there is none.

    Raises
    ------
    UnitError
        If the volume is not in HU.
    GeometryError
        If nothing is a body, or the body is on another grid.
    """
    if body is not None:
        body.grid.require_match(hu.grid, "body and CT")
    blocks = ct_blocks(hu)
    if body is None:
        return _lungs(blocks, body_blocks(blocks))
    return _lungs(blocks, np.asarray(block_shares(body.mask(), blocks.factors) >= 0.5))


def body_and_lungs(hu: Volume) -> tuple[Region, ...]:
    """Body and lungs, as `body_region` and `lung_regions` find them, in half of the time of both.

    Raises
    ------
    UnitError
        If the volume is not in HU.
    GeometryError
        If nothing is a body.
    """
    blocks = ct_blocks(hu)
    inside = body_blocks(blocks)
    return body_of_blocks(blocks, inside), *_lungs(blocks, inside)


def _lungs(blocks: CtBlocks, inside: Mask) -> tuple[Region, ...]:
    air = inside & blocks.air
    airway = airway_blocks(air, inside, blocks)
    air &= ~airway
    if not air.any():
        return ()
    window = bounding_window(air)
    middle_mm = _middle_mm(blocks, inside)
    seeds = _seeds(air[window], blocks, window, middle_mm)
    if seeds is None:
        return ()
    owner = np.zeros(air.shape, dtype=np.int8)
    owner[window] = _given_back(air[window], seeds, blocks.grid.spacing_mm)
    found = [_with_vessels(owner == number, blocks) for number in range(1, int(owner.max()) + 1)]
    placed = sorted(((_middle_mm(blocks, lung), lung) for lung in found), key=lambda lung: -lung[0])
    names = NAMES if len(placed) > 1 else NAMES[:1] if placed[0][0] > middle_mm else NAMES[1:]
    lungs = [lung for _, lung in placed]
    if blocks.is_fine:
        made = zip(names, lungs, strict=True)
        return tuple(Region.from_coverage(name, blocks.grid, lung, origin=ORIGIN) for name, lung in made)
    return _on_voxels(names, lungs, airway, blocks)


def _seeds(air: Mask, blocks: CtBlocks, window: Window, middle_mm: float) -> NDArray[np.int8] | None:
    """Cores of the lungs, 1 and 2; None where no pocket of air is a lung. `middle_mm` is the x of the body's middle."""
    from scipy import ndimage

    voxel_ml = blocks.grid.voxel_volume_ml
    labels, count = ndimage.label(opened(air, blocks.grid.spacing_mm))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    density = ndimage.mean(blocks.mean_hu[window], labels, range(count + 1)) if count else np.zeros(1)
    sizes = np.where(np.asarray(density) < GAS_BELOW_HU, 0, sizes)
    sizes[0] = 0
    order = np.argsort(sizes)[::-1][:2]
    large = [int(n) for n in order if sizes[n] * voxel_ml >= max(MIN_LUNG_ML, MIN_SHARE * sizes[order[0]] * voxel_ml)]
    if not large:
        return None
    seeds = np.zeros(air.shape, dtype=np.int8)
    for number, label in enumerate(large, start=1):
        seeds[labels == label] = number
    if len(large) > 1:
        return seeds
    x_mm, steps = blocks.grid.affine[0], np.ogrid[window]
    left_mm = sum((x_mm[axis] * steps[axis] for axis in range(3)), x_mm[3] - middle_mm)
    return _split_if_joined(seeds, left_mm, blocks.grid.spacing_mm)


def _split_if_joined(seeds: NDArray[np.int8], left_mm: NDArray[np.float64], spacing_mm: Spacing) -> NDArray[np.int8]:
    """Both lungs in one piece: erode until it falls into two of comparable size on both sides of the body's middle.

    One lung alone stays whole, also where it falls into an upper and a lower part. What reaches far to both sides and
    does not fall apart is cut at the middle. `left_mm` is the distance of each block to the left of the middle.
    """
    from scipy import ndimage

    whole = seeds > 0
    share = float((left_mm[whole] > 0).mean())
    if min(share, 1 - share) < MIN_SHARE:
        return seeds
    depth = ndimage.distance_transform_edt(np.pad(whole, 1), sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    for erosion_mm in np.arange(OPENING_MM, MAX_EROSION_MM, OPENING_MM / 3):
        labels, count = ndimage.label(depth > erosion_mm)
        if count < 2:
            continue
        sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        first, second = (int(n) + 1 for n in np.argsort(sizes)[::-1][:2])
        one, other = (float(left_mm[labels == label].mean()) for label in (first, second))
        if sizes[second - 1] > 2 * MIN_SHARE * sizes[first - 1] and one * other < 0:
            out = np.where(labels == first, 1, np.where(labels == second, 2, 0)).astype(np.int8)
            nearest = ndimage.distance_transform_edt(out == 0, return_distances=False, return_indices=True)
            return np.asarray(np.where(whole, out[tuple(nearest)], 0), dtype=np.int8)
    if min(share, 1 - share) < MIN_SIDE_SHARE:
        return seeds
    return np.asarray(np.where(whole, np.where(left_mm > 0, 1, 2), 0), dtype=np.int8)


def _given_back(air: Mask, seeds: NDArray[np.int8], spacing_mm: Spacing) -> NDArray[np.int8]:
    """What the opening took: every block of air goes to the nearest core, if it is close to it."""
    from scipy import ndimage

    distance, nearest = ndimage.distance_transform_edt(seeds == 0, sampling=spacing_mm, return_indices=True)
    return np.asarray(np.where(air & (distance <= 2 * OPENING_MM), seeds[tuple(nearest)], 0), dtype=np.int8)


def _with_vessels(lung: Mask, blocks: CtBlocks) -> Mask:
    """Gaps no wider than two blocks filled, and vessels: holes of a small section in a plane across any grid axis."""
    from scipy import ndimage

    # Not across thick slices, between which two blocks are more than a vessel.
    reach = [int(spacing <= MAX_GAP_MM / 2) for spacing in blocks.grid.spacing_mm]
    near = ndimage.generate_binary_structure(3, 1)[tuple(slice(1 - r, 2 + r) for r in reach)]
    closed = ndimage.binary_closing(np.pad(lung, 2), near)[2:-2, 2:-2, 2:-2] | lung
    if blocks.is_fine:
        return np.asarray(closed, dtype=bool)
    out = np.array(closed, dtype=bool)
    for axis in range(3):
        connected = np.zeros((3, 3, 3), dtype=bool)
        across: list[slice | int] = [slice(None)] * 3
        across[axis] = 1
        connected[tuple(across)] = ndimage.generate_binary_structure(2, 1)
        labels, count = ndimage.label(~closed, connected)
        pixel_mm2 = 1000.0 * blocks.grid.voxel_volume_ml / blocks.grid.spacing_mm[axis]
        small = np.bincount(labels.ravel(), minlength=count + 1) * pixel_mm2 <= MAX_VESSEL_MM2
        # What touches the edge of the image is no hole.
        for other in {0, 1, 2} - {axis}:
            small[np.take(labels, [0, -1], axis=other)] = False
        small[0] = False
        out |= small[labels]
    return out


def _middle_mm(blocks: CtBlocks, mask: Mask) -> float:
    """Mean x of a mask; LPS: it grows to the patient's left."""
    middle = [
        float(np.average(np.arange(n), weights=mask.sum(axis=tuple({0, 1, 2} - {axis}))))
        for axis, n in enumerate(mask.shape)
    ]
    return float(blocks.grid.to_mm(middle)[0])


def _on_voxels(names: tuple[str, ...], lungs: list[Mask], airway: Mask, blocks: CtBlocks) -> tuple[Region, ...]:
    """Lungs on the CT's own voxels: their border is sought within a block of that of the blocks, through air alone."""
    regions = []
    steps = max(blocks.factors)
    for name, lung in zip(names, lungs, strict=True):
        others = np.any([airway, *(other for other in lungs if other is not lung)], axis=0)
        inner, outer = rim(lung)
        window = bounding_window(outer)
        whole = blocks.expanded(inner & ~others, window)
        near = blocks.expanded(outer & ~others, window)
        border_hu = float(np.clip(np.median(blocks.mean_hu[lung]) / 2, *BORDER_LIMITS_HU))
        air = (blocks.where(partial(np.greater, border_hu), window) & near) | whole
        found = blocks.expanded(lung, window).grown(air, 2 * steps).closed()
        regions.append(region_of(name, blocks, found & near, window, ORIGIN))
    return tuple(regions)
