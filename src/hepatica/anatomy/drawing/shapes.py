"""Structures made of values and of other slices: threshold, growing from a seed, margins, slices in between."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.grid import Grid
from hepatica.errors import InputError

ALONG_AXIS = 1e-6
"""A direction whose cosine with an axis of the grid is this close to 1 is that axis."""

LAYER_GAP = 0.75
"""Drawn layers that lie farther apart than this part of a voxel's height have something between them."""

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


def between_slices(mask: Mask, grid: Grid, normal: ArrayLike) -> Mask:
    """The mask with slices between drawn ones: each from the signed distances of the two drawn next to it.

    Parameters
    ----------
    mask : ndarray of bool, shape of the grid
        Slices that were drawn, as the brush covers them: layers of voxels at planes across the normal.
    grid : Grid
        Its voxels, which may lie oblique to those planes.
    normal : array_like, shape (3,)
        Direction in the patient (LPS) across which the slices were drawn.

    Notes
    -----
    Shape-based interpolation after Raya and Udupa, IEEE Trans Med Imaging 1990;9:32: the distance to the border,
    negative outside, is interpolated linearly and cut at zero. Distances are taken in planes across the normal.
    """
    along = np.asarray(normal, dtype=np.float64) / np.linalg.norm(normal)
    cosines = np.abs(grid.direction.T @ along)
    axis = int(cosines.argmax())
    if cosines[axis] > 1 - ALONG_AXIS:
        return _between_own(mask, grid, axis)
    return _between_layers(mask, grid, along, axis)


def _between_own(mask: Mask, grid: Grid, axis: int) -> Mask:
    """Across an axis of the grid, whose slices are planes of the patient."""
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


def _between_layers(mask: Mask, grid: Grid, along: NDArray[np.float64], axis: int) -> Mask:
    """Across a direction that is no axis of the grid: the drawn layers are cut by planes, and joined between these."""
    index = np.argwhere(mask)
    centres = grid.to_mm(index)
    if not len(index):
        return mask.copy()
    frame = _frame(along)
    where = centres @ frame.T  # across, down, along
    height = float(grid.spacing_mm[axis])
    order = np.sort(where[:, 2])
    ends = np.flatnonzero(np.diff(order) > LAYER_GAP * height)
    out = mask.copy()
    side = min(grid.spacing_mm) / 2
    low, high = where[:, :2].min(axis=0) - 4 * side, where[:, :2].max(axis=0) + 4 * side
    raster = [np.arange(a, b + side, side) for a, b in zip(low, high, strict=True)]
    for end in ends:
        levels = order[end] - height / 2, order[end + 1] + height / 2
        cuts = []
        for level in levels:
            layer = np.zeros(tuple(np.delete(grid.shape, axis)), dtype=bool)
            near = index[np.abs(where[:, 2] - level) <= height / 2 + 1e-6]
            layer[tuple(np.delete(near, axis, axis=1).T)] = True
            cuts.append(_signed(_cut(layer, grid, axis, frame, raster, level), [side, side]))
        _join(out, grid, frame, raster, levels, cuts)
    return out


def _frame(along: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two directions across another one, and that one, as rows."""
    across = np.cross(along, np.eye(3)[int(np.abs(along).argmin())])
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(along, across), along])


def _cut(
    layer: Mask, grid: Grid, axis: int, frame: NDArray[np.float64], raster: list[NDArray[np.float64]], level: float
) -> Mask:
    """A layer of columns of voxels as a plane cuts it: each point of the plane by the column that it lies in."""
    u, v = np.meshgrid(*raster, indexing="ij")
    points = np.stack([u, v, np.full_like(u, level)], axis=-1) @ frame
    at = np.delete(np.rint(grid.to_index(points)).astype(int), axis, axis=-1)
    inside = ((at >= 0) & (at < layer.shape)).all(axis=-1)
    found = np.zeros(u.shape, dtype=bool)
    found[inside] = layer[tuple(at[inside].T)]
    return found


def _join(
    out: Mask, grid: Grid, frame: NDArray[np.float64], raster: list[NDArray[np.float64]],
    levels: tuple[float, float], cuts: list[NDArray[np.float64]],
) -> None:  # fmt: skip
    """Add the voxels between two planes whose interpolated distance lies inside."""
    from scipy.interpolate import RegularGridInterpolator

    ends = [(raster[0][0], raster[0][-1]), (raster[1][0], raster[1][-1]), levels]
    corners = grid.to_index(np.array(np.meshgrid(*ends)).reshape(3, -1).T @ frame)
    first = np.clip(np.floor(corners.min(axis=0)), 0, grid.shape).astype(int)
    last = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, grid.shape).astype(int)
    index = np.stack(np.meshgrid(*map(np.arange, first, last), indexing="ij"), axis=-1).reshape(-1, 3)
    where = grid.to_mm(index) @ frame.T
    between = (where[:, 2] > levels[0]) & (where[:, 2] < levels[1])
    index, where = index[between], where[between]
    share = (where[:, 2] - levels[0]) / (levels[1] - levels[0])
    below, above = (
        RegularGridInterpolator(raster, cut, bounds_error=False, fill_value=-np.inf)(where[:, :2]) for cut in cuts
    )
    out[tuple(index[(1 - share) * below + share * above > 0].T)] = True


def _signed(plane: Mask, spacing_mm: list[float]) -> NDArray[np.float64]:
    """Distance to the border of a plane's mask, half a pixel inside its outermost centres; negative outside."""
    from scipy import ndimage

    half = min(spacing_mm) / 2
    inside = ndimage.distance_transform_edt(plane, sampling=spacing_mm)
    outside = ndimage.distance_transform_edt(~plane, sampling=spacing_mm)
    return np.asarray(np.where(plane, inside - half, half - outside))
