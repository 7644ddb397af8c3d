"""What a brush or a closed contour covers, on the voxels of any grid.

A stroke or contour lies in a plane of the patient; voxels count by their centres, in millimetres, so that oblique and
anisotropic grids need no case of their own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.grid import Grid
from hepatica.errors import InputError

Mask = NDArray[np.bool_]
Window = tuple[slice, slice, slice]

MOST_POINTS = 5000
"""Of one stroke or contour."""

EDGE_MM = 1e-6
"""Of two layers at the same distance from a plane the lower one is meant, whatever rounding does."""


def thickness_mm(grid: Grid, normal: ArrayLike) -> float:
    """Distance of voxel layers along a direction: that of the grid axis that runs along it most."""
    along = np.abs(grid.direction.T @ np.asarray(normal, dtype=np.float64))
    return float(grid.spacing_mm[int(along.argmax())])


def stroke(grid: Grid, points_mm: ArrayLike, radius_mm: float, normal: ArrayLike | None = None) -> tuple[Window, Mask]:
    """Voxels whose centres a round brush touches on its way.

    Parameters
    ----------
    grid : Grid
        Of the structure.
    points_mm : array_like, shape (n, 3)
        LPS positions of the way, joined by straight lines.
    radius_mm : float
        Of the brush.
    normal : array_like, shape (3,), or None
        Direction of the plane that is drawn on: only the layer of voxels at the plane is covered. None for a ball.

    Returns
    -------
    window, mask
        Block of voxels and which of them are covered.

    Raises
    ------
    InputError
        If there is no point, too many, or the radius is not positive.
    """
    points = _points(points_mm, least=1)
    if not 0 < radius_mm < np.inf:
        raise InputError(f"the radius of a brush is positive, not {radius_mm} mm")
    reach = radius_mm + max(grid.spacing_mm)
    window = _window(grid, points.min(axis=0) - reach, points.max(axis=0) + reach)
    centres = _centres(grid, window)
    along = None if normal is None else np.asarray(normal, dtype=np.float64) / np.linalg.norm(normal)
    nearest = np.full(centres.shape[:-1], np.inf)
    ends = points[1:] if len(points) > 1 else points
    for start, end in zip(points[: len(ends)], ends, strict=True):
        nearest = np.minimum(nearest, _distance_squared(centres, start, end, along))
    mask = nearest <= radius_mm**2
    if along is not None:
        mask &= _layer(grid, centres, points[0], along)
    return window, mask


def contour(grid: Grid, points_mm: ArrayLike, normal: ArrayLike) -> tuple[Window, Mask]:
    """Voxels of the layer at a plane whose centres lie inside of a closed contour, by the even-odd rule.

    Raises
    ------
    InputError
        If it has fewer than three points, or too many.
    """
    points = _points(points_mm, least=3)
    along = np.asarray(normal, dtype=np.float64) / np.linalg.norm(normal)
    reach = max(grid.spacing_mm)
    window = _window(grid, points.min(axis=0) - reach, points.max(axis=0) + reach)
    centres = _centres(grid, window)
    across = np.eye(3)[int(np.abs(along).argmin())]
    u = np.cross(along, across)
    u /= np.linalg.norm(u)
    v = np.cross(along, u)
    inside = _inside(centres @ u, centres @ v, points @ u, points @ v)
    return window, inside & _layer(grid, centres, points[0], along)


def _points(points_mm: ArrayLike, *, least: int) -> NDArray[np.float64]:
    points = np.asarray(points_mm, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InputError("a stroke is a list of positions with three coordinates")
    if not least <= len(points) <= MOST_POINTS:
        raise InputError(f"a stroke has {least} to {MOST_POINTS} points, not {len(points)}")
    return points


def _window(grid: Grid, low_mm: NDArray[np.float64], high_mm: NDArray[np.float64]) -> Window:
    """Voxels of a block in the patient; empty slices where it misses the grid."""
    corners = np.array(np.meshgrid(*zip(low_mm, high_mm, strict=True))).reshape(3, -1).T
    index = grid.to_index(corners)
    first = np.clip(np.floor(index.min(axis=0)), 0, grid.shape).astype(int)
    last = np.clip(np.ceil(index.max(axis=0)) + 1, 0, grid.shape).astype(int)
    i, j, k = (slice(int(a), max(int(a), int(b))) for a, b in zip(first, last, strict=True))
    return i, j, k


def _centres(grid: Grid, window: Window) -> NDArray[np.float64]:
    index = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in window), indexing="ij"), axis=-1)
    return grid.to_mm(index)


def _layer(grid: Grid, centres: NDArray[np.float64], point: NDArray[np.float64], normal: NDArray[np.float64]) -> Mask:
    """Voxels within half a layer of a plane; of two layers at the same distance the lower one."""
    half = thickness_mm(grid, normal) / 2
    away = (centres - point) @ normal
    return np.asarray((away > -half - EDGE_MM) & (away <= half - EDGE_MM))


def _distance_squared(
    centres: NDArray[np.float64],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    normal: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """To a line between two points; without the part along the normal where there is one."""
    way = end - start
    length = float(way @ way)
    from_start = centres - start
    share = np.clip(from_start @ way / length, 0, 1) if length > 0 else np.zeros(centres.shape[:-1])
    apart = from_start - share[..., None] * way
    found = (apart**2).sum(axis=-1)
    return np.asarray(found if normal is None else found - (apart @ normal) ** 2)


def _inside(
    x: NDArray[np.float64], y: NDArray[np.float64], corners_x: NDArray[np.float64], corners_y: NDArray[np.float64]
) -> Mask:
    """Even-odd rule for points against a closed polygon."""
    found = np.zeros(x.shape, dtype=bool)
    for ax, ay, bx, by in zip(corners_x, corners_y, np.roll(corners_x, -1), np.roll(corners_y, -1), strict=True):
        if ay == by:
            continue
        crosses = (ay > y) != (by > y)
        found ^= crosses & (x < ax + (y - ay) * (bx - ax) / (by - ay))
    return found
