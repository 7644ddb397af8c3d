"""Contours set right: the largest part, holes, smoothing that keeps the volume, margins in millimetres.

All distances are in millimetres along the patient's axes whatever the voxels: anisotropic and oblique grids included,
since a grid's axes are perpendicular.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Region
from hepatica.core.region import Window, bounding_window
from hepatica.errors import InputError

Array = NDArray[np.float32]

MAX_MARGIN_MM = 100.0
"""A wider margin or smoothing is a slip of the pen."""


def largest_part(region: Region) -> Region:
    """The connected part that holds most volume; parts joined by a face of a voxel are one."""
    from scipy import ndimage

    labels, count = ndimage.label(region.coverage > 0)
    if count < 2:
        return region
    volumes = ndimage.sum_labels(region.coverage, labels, range(1, count + 1))
    kept = np.where(labels == int(np.argmax(volumes)) + 1, region.coverage, np.float32(0))
    return _placed(region, kept, region.window, "largest part")


def without_holes(region: Region) -> Region:
    """Region with everything filled that it encloses on all sides, border voxels of the holes included."""
    from scipy import ndimage

    if region.is_empty:
        return region
    covered = region.coverage >= 0.5
    holes = ndimage.binary_fill_holes(covered) & ~covered
    filled = np.where(holes | (covered & ndimage.binary_dilation(holes)), np.float32(1), region.coverage)
    return _placed(region, filled, region.window, "holes filled")


def smoothed(region: Region, width_mm: float) -> Region:
    """Region with a smooth surface and the same volume.

    A Gaussian blur of the coverage, and the level of it that encloses the volume there was: a ball stays a ball of its
    size, where the usual level of one half would shrink it.

    Parameters
    ----------
    region : Region
        Any grid.
    width_mm : float
        Standard deviation of the blur, mm; details thinner than about twice that disappear.

    Raises
    ------
    InputError
        If the width is negative or above `MAX_MARGIN_MM`.
    """
    from scipy import ndimage

    _require_length("smoothing", width_mm, low=0.0)
    if region.is_empty or width_mm == 0:
        return region
    values, window = _with_room(region, 3 * width_mm)
    blur = ndimage.gaussian_filter(values, [width_mm / s for s in region.grid.spacing_mm], mode="nearest")
    wanted = float(values.sum(dtype=np.float64))
    # Soft steps at the surface keep sub-voxel borders: a voxel's coverage follows from the blur's slope across it.
    slope = ndimage.maximum_filter(blur, 3) - ndimage.minimum_filter(blur, 3)
    slope = np.maximum(slope / 2, 1e-6)

    def covered(level: float) -> Array:
        return np.asarray(np.clip((blur - level) / slope + 0.5, 0, 1), np.float32)

    low, high = 0.0, 1.0
    for _ in range(30):  # halving: the volume falls with the level
        middle = (low + high) / 2
        low, high = (middle, high) if float(covered(middle).sum(dtype=np.float64)) > wanted else (low, middle)
    return _placed(region, covered((low + high) / 2), window, f"smoothed by {width_mm:g} mm, volume kept")


def with_margin(region: Region, margin_mm: float) -> Region:
    """Region grown (positive) or shrunk (negative) by a margin in all directions, to a fraction of a voxel.

    A grown region ends at the image's edge; a shrunk one does not draw back from it, since the edge is no surface.

    Raises
    ------
    InputError
        If the margin is not finite or above `MAX_MARGIN_MM`.
    """
    _require_length("margin", margin_mm, low=-MAX_MARGIN_MM)
    if region.is_empty or margin_mm == 0:
        return region
    word = f"{'grown' if margin_mm > 0 else 'shrunk'} by {abs(margin_mm):g} mm"
    if margin_mm > 0:
        values, window = _with_room(region, margin_mm)
        return _placed(region, _grown(values, margin_mm, region.grid.spacing_mm), window, word)
    values, window = _with_room(region, 0.0)
    padded = np.pad(1 - values, 1, mode="edge")
    outside = _grown(padded, -margin_mm, region.grid.spacing_mm)[1:-1, 1:-1, 1:-1]
    return _placed(region, np.minimum(1 - outside, values), window, word)


def _grown(values: Array, margin_mm: float, spacing_mm: tuple[float, float, float]) -> Array:
    """Coverage grown: how far each voxel lies inside the new surface, from the nearest covered voxel's own border."""
    from scipy import ndimage

    inside = values >= 0.5
    if not inside.any():
        return values
    distance, nearest = ndimage.distance_transform_edt(~inside, sampling=spacing_mm, return_indices=True)
    here = np.indices(values.shape)
    way = np.abs(nearest - here) * np.asarray(spacing_mm)[:, None, None, None]
    # Along its way out a voxel is as long as its sides seen from there.
    length = (way * np.asarray(spacing_mm)[:, None, None, None]).sum(axis=0) / np.maximum(distance, 1e-9)
    length = np.where(distance > 0, length, min(spacing_mm))
    # A border voxel covered by c ends (c - 0.5) of its length beyond its centre, one that is full half a voxel beyond.
    reach = margin_mm + (values[tuple(nearest)] - 0.5) * length
    return np.asarray(
        np.where(inside & (distance == 0), 1.0, np.clip((reach - distance) / length + 0.5, 0, 1)), np.float32
    )


def _with_room(region: Region, room_mm: float) -> tuple[Array, Window]:
    """Coverage in a window widened by a distance, as far as the grid goes."""
    i, j, k = (
        slice(max(0, w.start - steps), min(n, w.stop + steps))
        for w, n, steps in zip(
            region.window,
            region.grid.shape,
            (int(np.ceil(room_mm / s)) + 2 for s in region.grid.spacing_mm),
            strict=True,
        )
    )
    out = np.zeros((i.stop - i.start, j.stop - j.start, k.stop - k.start), np.float32)
    a, b, c = (slice(w.start - o.start, w.stop - o.start) for w, o in zip(region.window, (i, j, k), strict=True))
    out[a, b, c] = region.coverage
    return out, (i, j, k)


def _placed(region: Region, values: Array, window: Window, done: str) -> Region:
    """The same structure with other coverage; what was done is added to its origin."""
    values = np.where(values < 1e-6, np.float32(0), values)
    inner = bounding_window(values > 0)
    i, j, k = (slice(w.start + n.start, w.start + n.stop) for w, n in zip(window, inner, strict=True))
    origin = f"{region.origin}, {done}" if region.origin else done
    return Region(region.name, region.grid, (i, j, k), values[inner], origin, region.codes)


def _require_length(what: str, value_mm: float, *, low: float) -> None:
    if not np.isfinite(value_mm) or not low <= value_mm <= MAX_MARGIN_MM:
        raise InputError(f"{what} of {value_mm:g} mm: must lie between {low:g} and {MAX_MARGIN_MM:g} mm")
