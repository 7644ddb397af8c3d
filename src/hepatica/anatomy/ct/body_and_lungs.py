"""Body and lungs from a CT alone, by thresholds and connectivity: where nobody drew them.

Simple on purpose. Borders are whole voxels; the trachea and main bronchi, bowel gas and air outside the patient are
left out; a consolidated or fluid-filled lung is missed. Look at the result before relying on a lung dose.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Region, Volume
from hepatica.core.region import bounding_window
from hepatica.errors import GeometryError

Mask = NDArray[np.bool_]

BODY_ABOVE_HU = -300.0
"""Skin against air with blur between them: half way from air (-1000) to soft tissue would be -475; clothes and the
couch's foam lie below -300."""

LUNG_BELOW_HU = -400.0
"""Half way from soft tissue to lung (about -800), so that the lung's border lies where the blurred edge crosses."""

GAS_BELOW_HU = -940.0
"""A pocket that is on average below this is gas alone (bowel, stomach); lung holds vessels and septa."""

MAX_AIRWAY_MM2 = 700.0
"""Largest section of the trachea, or of both main bronchi together, in one slice. A trachea measures 13-25 mm across
(up to 490 mm2); a lung is larger a slice or two below its apex."""

MIN_AIRWAY_MM = 40.0
"""A tube followed for less than this is not the trachea."""

MIDLINE_MM = 40.0
"""The trachea enters within this distance of the middle of the body."""

MIN_LUNG_ML = 50.0
"""A smaller pocket of air is not a lung."""

MIN_SHARE = 0.1
"""The second lung has at least this share of the first one's volume."""

OPENING_MM = 6.0
"""Bridges thinner than this are cut: couch to body, and the two lungs where they touch in front of the heart."""


def body_region(hu: Volume, *, name: str = "body") -> Region:
    """The patient: the largest piece above -300 HU, holes filled slice by slice.

    Parameters
    ----------
    hu : Volume
        CT in Hounsfield units, any orientation.
    name : str
        Name of the region.

    Raises
    ------
    UnitError
        If the volume is not in HU.
    GeometryError
        If nothing lies above the threshold.
    """
    hu.require_kind(Kind.HU)
    mask = _body_mask(hu)
    return Region.from_coverage(name, hu.grid, mask, origin=f"CT above {BODY_ABOVE_HU:g} HU, largest piece, filled")


def lung_regions(hu: Volume, body: Region | None = None) -> tuple[Region, ...]:
    """Left and right lung: the large pockets below -400 HU inside the body that do not reach the outside.

    Parameters
    ----------
    hu : Volume
        CT in Hounsfield units, any orientation.
    body : Region, optional
        The patient on the same grid; by default from `body_region`.

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
    from scipy import ndimage

    hu.require_kind(Kind.HU)
    if body is not None:
        body.grid.require_match(hu.grid, "body and CT")
    inside = _body_mask(hu) if body is None else body.mask()
    air = inside & (hu.values < LUNG_BELOW_HU)
    air &= ~_airway(air, inside, hu)
    if not air.any():
        return ()
    voxel_ml = hu.grid.voxel_volume_ml
    window = bounding_window(air)
    air = air[window]
    core = _open(air, hu.grid.spacing_mm)
    labels, count = ndimage.label(core)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    density = ndimage.mean(hu.values[window], labels, range(count + 1)) if count else np.zeros(1)
    sizes = np.where(np.asarray(density) < GAS_BELOW_HU, 0, sizes)
    sizes[0] = 0
    order = np.argsort(sizes)[::-1][:2]
    large = [int(n) for n in order if sizes[n] * voxel_ml >= max(MIN_LUNG_ML, MIN_SHARE * sizes[order[0]] * voxel_ml)]
    if not large:
        return ()
    seeds = np.zeros(air.shape, dtype=np.int8)
    for number, label in enumerate(large, start=1):
        seeds[labels == label] = number
    seeds = _split_if_joined(seeds, hu, window) if len(large) == 1 else seeds
    # Give back what the opening took: every voxel of air goes to the nearest core, if it is close to it.
    distance, nearest = ndimage.distance_transform_edt(seeds == 0, sampling=hu.grid.spacing_mm, return_indices=True)
    owner = np.where(air & (distance <= 2 * OPENING_MM), seeds[tuple(nearest)], 0)
    return _named(owner, hu, window)


def _named(owner: NDArray[Any], hu: Volume, window: tuple[slice, slice, slice]) -> tuple[Region, ...]:
    from scipy import ndimage

    lungs = []
    for number in range(1, int(owner.max()) + 1):
        mask = ndimage.binary_closing(np.pad(owner == number, 2), iterations=1)[2:-2, 2:-2, 2:-2] | (owner == number)
        full = np.zeros(hu.grid.shape, dtype=bool)
        full[window] = mask
        # LPS: x grows to the patient's left.
        x = float(hu.grid.to_mm(np.argwhere(full).mean(axis=0))[0])
        lungs.append((x, full))
    lungs.sort(key=lambda lung: -lung[0])
    if len(lungs) == 1:
        middle = float(hu.grid.to_mm(np.argwhere(_body_mask(hu)).mean(axis=0))[0])
        names = ["lung left" if lungs[0][0] > middle else "lung right"]
    else:
        names = ["lung left", "lung right"]
    origin = f"CT below {LUNG_BELOW_HU:g} HU inside the body, airways left out"
    return tuple(
        Region.from_coverage(name, hu.grid, mask, origin=origin) for name, (_, mask) in zip(names, lungs, strict=True)
    )


def _split_if_joined(seeds: NDArray[np.int8], hu: Volume, window: tuple[slice, slice, slice]) -> NDArray[np.int8]:
    """Both lungs in one piece: erode until it falls into two of comparable size; one lung alone stays whole."""
    from scipy import ndimage

    whole = seeds > 0
    depth = ndimage.distance_transform_edt(np.pad(whole, 1), sampling=hu.grid.spacing_mm)[1:-1, 1:-1, 1:-1]
    for erosion_mm in np.arange(OPENING_MM, 30.0, OPENING_MM / 3):
        labels, count = ndimage.label(depth > erosion_mm)
        sizes = np.sort(np.bincount(labels.ravel(), minlength=count + 1)[1:])[::-1]
        if count > 1 and sizes[1] > MIN_SHARE * 2 * sizes[0]:
            kept = np.argsort(np.bincount(labels.ravel())[1:])[::-1][:2] + 1
            out = np.zeros_like(seeds)
            for number, label in enumerate(kept, start=1):
                out[labels == label] = number
            nearest = ndimage.distance_transform_edt(out == 0, return_distances=False, return_indices=True)
            return np.asarray(np.where(whole, out[tuple(nearest)], 0), dtype=np.int8)
    return seeds


def _body_mask(hu: Volume) -> Mask:
    from scipy import ndimage

    tissue = _open(hu.values > BODY_ABOVE_HU, hu.grid.spacing_mm)
    labels, count = ndimage.label(tissue)
    if not count:
        raise GeometryError(f"{hu.name or 'CT'}: nothing lies above {BODY_ABOVE_HU:g} HU; is it in Hounsfield units?")
    largest = labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1
    # The opening rounds off skin folds: take back tissue next to the largest piece.
    structure = ndimage.generate_binary_structure(3, 1)
    largest = ndimage.binary_dilation(largest, structure) & (hu.values > BODY_ABOVE_HU)
    axis = _slice_axis(hu)
    planes = np.moveaxis(largest, axis, 0)
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in planes])
    return np.asarray(np.moveaxis(filled, 0, axis), dtype=bool)


def _airway(air: Mask, inside: Mask, hu: Volume) -> Mask:
    """Trachea and main bronchi: followed from the head down, slice by slice, until the tube opens into a lung."""
    from scipy import ndimage

    axis = _slice_axis(hu)
    planes = np.moveaxis(air, axis, 0)
    body = np.moveaxis(inside, axis, 0)
    tube = np.zeros_like(planes)
    pixel_mm2 = 1000.0 * hu.grid.voxel_volume_ml / hu.grid.spacing_mm[axis]
    order = range(planes.shape[0])
    if hu.grid.direction[2, axis] > 0:
        order = order[::-1]
    chain: list[int] = []
    for n in order:
        labels, count = ndimage.label(planes[n], structure=np.ones((3, 3)))
        areas = np.bincount(labels.ravel(), minlength=count + 1) * pixel_mm2
        if chain:
            touched = np.unique(labels[tube[chain[-1]]])
            chosen = touched[touched > 0]
            if not chosen.size or areas[chosen].sum() > MAX_AIRWAY_MM2:
                if len(chain) * hu.grid.spacing_mm[axis] >= MIN_AIRWAY_MM:
                    break
                tube[chain] = False
                chain = []
        if not chain:
            chosen = _central(labels, areas, body[n], (hu, axis, n))
        if chosen.size:
            tube[n] = np.isin(labels, chosen)
            chain.append(n)
    if len(chain) * hu.grid.spacing_mm[axis] < MIN_AIRWAY_MM:
        tube[:] = False
    return np.moveaxis(ndimage.binary_dilation(tube) & planes, 0, axis)


def _central(
    labels: NDArray[Any], areas: NDArray[Any], body: Mask, where: tuple[Volume, int, int]
) -> NDArray[np.int64]:
    """Label of the largest small piece near the middle of the body's slice, if any."""
    hu, axis, n = where

    def x_mm(mask: Mask) -> float:
        return float(hu.grid.to_mm(np.insert(np.argwhere(mask).mean(axis=0), axis, n))[0])

    small = [label for label in range(1, areas.size) if 30.0 <= areas[label] <= MAX_AIRWAY_MM2]
    if not small:
        return np.zeros(0, dtype=np.int64)
    middle = x_mm(body)
    central = [label for label in small if abs(x_mm(labels == label) - middle) < MIDLINE_MM]
    return np.asarray(sorted(central, key=lambda label: areas[label])[-1:], dtype=np.int64)


def _slice_axis(hu: Volume) -> int:
    """Grid axis that runs most nearly along the patient."""
    return int(np.abs(hu.grid.direction[2]).argmax())


def _open(mask: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Opening with a ball of OPENING_MM diameter (or one voxel's neighbours where voxels are larger)."""
    from scipy import ndimage

    radii = np.maximum(1, np.rint(OPENING_MM / 2 / np.asarray(spacing_mm))).astype(int)
    axes = np.ogrid[tuple(slice(-r, r + 1) for r in radii)]
    ball = sum(np.square(axis / radius) for axis, radius in zip(axes, radii, strict=True)) <= 1
    # The image's border is not the patient's: extend by the edge before eroding.
    padded = np.pad(mask, [(r, r) for r in radii], mode="edge")
    opened = ndimage.binary_opening(padded, structure=ball)
    i, j, k = (slice(r, -r) for r in radii)
    return np.asarray(opened[i, j, k], dtype=bool)
