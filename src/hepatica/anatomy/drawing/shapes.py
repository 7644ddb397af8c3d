"""Structures made of values and of other slices: threshold, growing from a seed, margins, slices in between."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.grid import Grid
from hepatica.errors import InputError

Mask = NDArray[np.bool_]
Values = NDArray[np.floating]


def thresholded(values: Values, low: float, high: float, within: Mask | None = None) -> Mask:
    """Voxels whose value lies between two limits, both included, inside of another mask if one is given.

    Raises
    ------
    InputError
        If the limits are the wrong way round.
    """
    if not low <= high:
        raise InputError(f"the lower limit ({low}) is above the upper one ({high})")
    found = (values >= low) & (values <= high)
    return np.asarray(found if within is None else found & within)


def grown(values: Values, grid: Grid, seed_mm: ArrayLike, low: float, high: float, reach_mm: float) -> Mask:
    """Voxels between two limits that are joined to a seed by faces, no farther off than `reach_mm`.

    Raises
    ------
    InputError
        If the seed is outside the grid, or its own value is outside the limits.
    """
    from scipy import ndimage

    at = np.rint(grid.to_index(np.asarray(seed_mm, dtype=np.float64))).astype(int)
    if (at < 0).any() or (at >= grid.shape).any():
        raise InputError("the seed is outside the image")
    value = float(values[tuple(at)])
    if not low <= value <= high:
        raise InputError(f"the value at the seed, {value:.4g}, is not between {low:.4g} and {high:.4g}")
    size = np.ceil(reach_mm / np.asarray(grid.spacing_mm)).astype(int)
    window = tuple(slice(max(0, a - s), min(n, a + s + 1)) for a, s, n in zip(at, size, grid.shape, strict=True))
    fits = thresholded(values[window], low, high) & _ball(grid, window, seed_mm, reach_mm)
    labels, _ = ndimage.label(fits)
    inner = tuple(a - s.start for a, s in zip(at, window, strict=True))
    found = np.zeros(grid.shape, dtype=bool)
    found[window] = labels == labels[inner]
    return found


def _ball(grid: Grid, window: tuple[slice, ...], centre_mm: ArrayLike, radius_mm: float) -> Mask:
    index = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in window), indexing="ij"), axis=-1)
    away = grid.to_mm(index) - np.asarray(centre_mm, dtype=np.float64)
    return np.asarray((away**2).sum(axis=-1) <= radius_mm**2)


def with_margin(mask: Mask, grid: Grid, margin_mm: float) -> Mask:
    """The mask grown (or, negative, shrunk) by a distance in the patient, by centres of voxels."""
    from scipy import ndimage

    if margin_mm == 0 or not mask.any():
        return mask.copy()
    if margin_mm > 0:
        away = ndimage.distance_transform_edt(~mask, sampling=grid.spacing_mm)
        return np.asarray(away <= margin_mm)
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=grid.spacing_mm)[1:-1, 1:-1, 1:-1]
    return np.asarray(depth > -margin_mm)


def filled(mask: Mask, axis: int) -> Mask:
    """The mask without holes in any slice across a grid axis."""
    from scipy import ndimage

    planes = np.moveaxis(mask, axis, 0)
    return np.moveaxis(np.stack([ndimage.binary_fill_holes(plane) for plane in planes]), 0, axis)


def between_slices(mask: Mask, grid: Grid, axis: int) -> Mask:
    """The mask with slices between drawn ones: each from the signed distances of the two drawn next to it.

    Notes
    -----
    Shape-based interpolation after Raya and Udupa, IEEE Trans Med Imaging 1990;9:32: the distance to the border,
    negative outside, is interpolated linearly and cut at zero.
    """
    planes = np.moveaxis(mask, axis, 0)
    drawn = np.flatnonzero(planes.any(axis=(1, 2)))
    spacing = [side for n, side in enumerate(grid.spacing_mm) if n != axis]
    out = planes.copy()
    for first, last in pairwise(drawn):
        if last - first < 2:
            continue
        below, above = _signed(planes[first], spacing), _signed(planes[last], spacing)
        for n in range(first + 1, last):
            share = (n - first) / (last - first)
            out[n] = (1 - share) * below + share * above > 0
    return np.moveaxis(out, 0, axis)


def _signed(plane: Mask, spacing_mm: list[float]) -> NDArray[np.float64]:
    """Distance to the border of a plane's mask, half a pixel inside its outermost centres; negative outside."""
    from scipy import ndimage

    half = min(spacing_mm) / 2
    inside = ndimage.distance_transform_edt(plane, sampling=spacing_mm)
    outside = ndimage.distance_transform_edt(~plane, sampling=spacing_mm)
    return np.asarray(np.where(plane, inside - half, half - outside))
