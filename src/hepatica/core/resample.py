"""From one grid to another, conserving what must be conserved; the caller says which.

- ``total``: what each voxel holds is shared out over the voxels it overlaps; the sum is kept. For activity, decays,
  counts.
- ``mean``: each new voxel gets the average over its own volume. For a density onto larger voxels (mass is kept), for
  the coverage of a region.
- ``linear``: value at the new voxel's centre by trilinear interpolation. For dose, HU, concentration.
- ``nearest``: value of the voxel that holds the new centre. For labels.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from hepatica.core.grid import Grid
from hepatica.core.region import Region, bounding_window
from hepatica.core.volume import Kind, Volume
from hepatica.errors import UnitError

if TYPE_CHECKING:
    from scipy import sparse

Method = Literal["total", "mean", "linear", "nearest"]

AXIS_TOLERANCE = 1e-4
SLIVER = 1e-6
"""Covered fractions below this are rounding."""

MAX_CELLS_AT_ONCE = 4_000_000
"""Values of planes that are being brought to another grid, so that no second image stands in memory."""

MAX_CELLS_TOGETHER = 100_000
"""Of these, values of planes that go through one product: many products of small planes cost more than the sums."""

SUBSAMPLES = 4
"""Points per axis and voxel where grids are turned against each other and overlaps have no closed form."""


def resample(volume: Volume, grid: Grid, method: Method, *, outside: float = 0.0) -> Volume:
    """Volume on another grid.

    Parameters
    ----------
    volume : Volume
        What to resample.
    grid : Grid
        The grid to resample to, in the same frame of reference.
    method : {"total", "mean", "linear", "nearest"}
        What to conserve; see the module.
    outside : float
        Value of space that the volume does not cover ("mean", "linear", "nearest"). With "total" it is zero, and what
        the new grid does not cover is lost: compare ``total`` before and after.

    Raises
    ------
    GeometryError
        If the frames of reference differ.
    UnitError
        If the method does not suit the kind: an extensive quantity is summed and never interpolated, an intensive one
        the other way round; labels take "nearest" only.
    """
    volume.grid.require_shared_frame(grid, f"resampling {volume.name or volume.kind.meaning}")
    if volume.kind is Kind.LABEL and method != "nearest":
        raise UnitError(f"labels can only be resampled by 'nearest', not {method!r}")
    if volume.kind.extensive != (method == "total"):
        wanted = "'total'" if volume.kind.extensive else "'mean', 'linear' or 'nearest'"
        raise UnitError(f"{volume.kind.meaning} must be resampled by {wanted}, not {method!r}")
    if volume.grid.matches(grid):
        return Volume(grid, volume.values, volume.kind, volume.time, volume.name)
    if method in ("total", "mean"):
        values = _share_out(volume.values, volume.grid, grid, method, outside)
    else:
        values = _interpolate(volume.values, volume.grid, grid, 1 if method == "linear" else 0, outside)
    return Volume(grid, values.astype(volume.values.dtype, copy=False), volume.kind, volume.time, volume.name)


def resample_region(region: Region, grid: Grid) -> Region:
    """Region on another grid: covered fraction of each new voxel, so that the volume is kept.

    Raises
    ------
    GeometryError
        If the frames of reference differ.
    """
    if region.grid.matches(grid):
        return replace(region, grid=grid)
    region.grid.require_shared_frame(grid, f"resampling region {region.name!r}")
    nowhere = replace(region, grid=grid, window=(slice(0, 0),) * 3, coverage=np.zeros((0, 0, 0), np.float32))
    if not region.coverage.size:
        return nowhere
    source = region.grid.crop(region.window)
    window = grid.window_of(source)
    if window[0].stop == 0:
        return nowhere
    values = resample(Volume(source, region.coverage, Kind.FRACTION), grid.crop(window), "mean").values
    covered = np.where(values < SLIVER, 0, np.clip(values, 0, 1))
    inner = bounding_window(covered > 0)
    i, j, k = (slice(w.start + b.start, w.stop + b.start) for w, b in zip(inner, window, strict=True))
    return replace(region, grid=grid, window=(i, j, k), coverage=covered[inner])


def _interpolate(values: NDArray[Any], source: Grid, target: Grid, order: int, outside: float) -> NDArray[Any]:
    from scipy import ndimage

    matrix = source.inverse_affine @ target.affine
    # Half a voxel beyond the outermost centres is still inside the image: extend by the edge value, then mask.
    out = ndimage.affine_transform(
        values.astype(np.float32) if order else values,
        matrix[:3, :3],
        matrix[:3, 3],
        target.shape,
        order=order,
        mode="nearest",
    )
    inside = _inside(source, target, matrix)
    return np.where(inside, out, np.asarray(outside, dtype=out.dtype))


def _inside(source: Grid, target: Grid, matrix: NDArray[np.float64]) -> NDArray[np.bool_]:
    inside = np.ones(target.shape, dtype=bool)
    axes = np.ogrid[tuple(slice(0, n) for n in target.shape)]
    for row, size in zip(range(3), source.shape, strict=True):
        index = sum(matrix[row, a] * axes[a] for a in range(3)) + matrix[row, 3]
        inside &= (index >= -0.5 - 1e-6) & (index <= size - 0.5 + 1e-6)
    return inside


def has_exact_overlaps(source: Grid, target: Grid) -> bool:
    """Whether the axes of two grids run along each other, so that "total" and "mean" know their overlaps exactly."""
    matrix = target.inverse_affine[:3, :3] @ source.affine[:3, :3]
    axes = np.abs(matrix).argmax(axis=0)
    main = np.zeros((3, 3))
    main[axes, range(3)] = matrix[axes, range(3)]
    return sorted(axes) == [0, 1, 2] and bool(np.abs(matrix - main).max() < AXIS_TOLERANCE)


def _share_out(values: NDArray[Any], source: Grid, target: Grid, method: Method, outside: float) -> NDArray[Any]:
    if has_exact_overlaps(source, target):
        matrix = target.inverse_affine @ source.affine
        axes = np.abs(matrix[:3, :3]).argmax(axis=0)
        return _share_out_aligned(values, source, target, matrix, axes, method, outside)
    return _share_out_turned(values, source, target, method, outside)


def _share_out_aligned(
    values: NDArray[Any],
    source: Grid,
    target: Grid,
    matrix: NDArray[np.float64],
    axes: NDArray[np.intp],
    method: Method,
    outside: float,
) -> NDArray[Any]:
    """Exact overlaps, one axis after the other as they lie in memory, some planes of the target at a time."""
    order = sorted(range(3), key=lambda axis: -abs(values.strides[axis]))
    dtype = np.float32 if values.dtype == np.float32 else np.float64
    laid = values.transpose(order).astype(dtype, copy=False)
    along = []
    for axis in order:
        to = int(axes[axis])
        whole = abs(matrix[to, axis]) if method == "total" else 1.0
        along.append(_overlaps(source.shape[axis], target.shape[to], matrix[to, axis], matrix[to, 3], whole, dtype))
    first, second, third = along
    out = np.empty([overlap.shape[0] for overlap in along], dtype=dtype)
    flat = laid.reshape(laid.shape[0], -1)
    planes = max(1, MAX_CELLS_AT_ONCE // flat.shape[1])
    for start in range(0, len(out), planes):
        rows = first if planes >= len(out) else first[start : start + planes]
        part = (rows @ flat).reshape(-1, *laid.shape[1:])
        together = max(1, MAX_CELLS_TOGETHER // math.prod(laid.shape[1:]))
        for n in range(0, len(part), together):
            few = part[n : n + together]
            lines = second @ few.transpose(1, 0, 2).reshape(laid.shape[1], -1)
            lines = lines.reshape(len(lines), -1, laid.shape[2])
            cells = third @ lines.transpose(2, 1, 0).reshape(laid.shape[2], -1)
            out[start + n : start + n + len(few)] = cells.reshape(len(cells), len(few), -1).transpose(1, 2, 0)
    if method == "mean" and outside != 0:
        inside = [np.asarray(overlap.sum(axis=1)) for overlap in along]
        out = out + np.asarray(outside, dtype) * (1 - inside[0][:, None, None] * inside[1][:, None] * inside[2])
    # Put each axis where the target has it.
    return np.moveaxis(out, range(3), [int(axes[axis]) for axis in order])


def _overlaps(
    n_source: int, n_target: int, scale: float, shift: float, whole: float, dtype: DTypeLike
) -> sparse.csr_array:
    """Length of source voxel s inside target voxel t over `whole`, in target voxels, shape (n_target, n_source)."""
    from scipy import sparse

    edges = np.sort(scale * np.stack([np.arange(n_source) - 0.5, np.arange(n_source) + 0.5]) + shift, axis=0)
    low, high = edges
    reach = int(np.ceil(abs(scale))) + 1
    first = np.floor(low + 0.5).astype(int)
    columns = np.arange(n_source)
    parts = []
    for step in range(reach + 1):
        rows = first + step
        length = np.minimum(high, rows + 0.5) - np.maximum(low, rows - 0.5)
        keep = (length > 0) & (rows >= 0) & (rows < n_target)
        parts.append((length[keep], rows[keep], columns[keep]))
    length, rows, cols = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sparse.csr_array(((length * (1 / whole)).astype(dtype), (rows, cols)), shape=(n_target, n_source))


def _share_out_turned(values: NDArray[Any], source: Grid, target: Grid, method: Method, outside: float) -> NDArray[Any]:
    """Overlaps by points: each source voxel is cut into equal parts, each goes to the voxel that holds its centre."""
    # Cut finely enough that a part is smaller than a quarter of a target voxel along every axis.
    parts = np.ceil(SUBSAMPLES * np.maximum(1, np.asarray(source.spacing_mm) / np.asarray(target.spacing_mm).min()))
    parts = parts.astype(int)
    if method == "mean":
        return _average_turned(values, source, target, outside)
    matrix = target.inverse_affine @ source.affine
    index = np.indices(source.shape).reshape(3, -1).astype(np.float64)
    amount = values.reshape(-1).astype(np.float64) / parts.prod()
    nonzero = amount != 0
    index, amount = index[:, nonzero], amount[nonzero]
    out = np.zeros(target.size)
    for offset in np.ndindex(*parts.tolist()):
        shift = (np.asarray(offset) + 0.5) / parts - 0.5
        at = np.rint(matrix[:3, :3] @ (index + shift[:, None]) + matrix[:3, 3:4]).astype(int)
        inside = ((at >= 0) & (at < np.asarray(target.shape)[:, None])).all(axis=0)
        flat = np.ravel_multi_index(tuple(at[:, inside]), target.shape)
        out += np.bincount(flat, weights=amount[inside], minlength=target.size)
    return np.asarray(out.reshape(target.shape))


def _average_turned(values: NDArray[Any], source: Grid, target: Grid, outside: float) -> NDArray[Any]:
    """Average over each target voxel of the source voxels that its sub-points fall into."""
    fine = np.ceil(np.asarray(target.spacing_mm) / np.asarray(source.spacing_mm).min()).astype(int) * 2
    out = np.zeros(target.shape, dtype=np.float64)
    for offset in np.ndindex(*fine.tolist()):
        shift = (np.asarray(offset) + 0.5) / fine - 0.5
        affine = np.array(target.affine)
        affine[:3, 3] = target.to_mm(shift)
        moved = Grid(target.shape, affine, target.frame_of_reference)
        out += _interpolate(values, source, moved, 0, outside)
    return np.asarray(out / fine.prod())


def values_at(volume: Volume, points_mm: ArrayLike) -> NDArray[np.float64]:
    """Values at points of the patient by trilinear interpolation in double precision.

    Parameters
    ----------
    volume : Volume
        No labels; its own grid is used, and nothing is resampled first.
    points_mm : array_like, shape (..., 3)
        LPS positions in the volume's frame of reference.

    Returns
    -------
    ndarray of float64, shape (...)
        NaN outside the voxels; within half a voxel of the border, the value of the border, as `resample` has it.

    Raises
    ------
    UnitError
        If the volume holds labels.
    """
    from scipy import ndimage

    if volume.kind is Kind.LABEL:
        raise UnitError("labels have no values between voxels")
    index = volume.grid.to_index(points_mm)
    flat = index.reshape(-1, 3)
    out = np.empty(len(flat))
    ndimage.map_coordinates(volume.values, flat.T, output=out, order=1, mode="nearest", prefilter=False)
    inside = ((flat >= -0.5 - 1e-6) & (flat <= np.asarray(volume.grid.shape) - 0.5 + 1e-6)).all(axis=-1)
    return np.where(inside, out, np.nan).reshape(index.shape[:-1])
