"""A CT in blocks of about 4 mm: thresholds and connectivity are found there, the border then on the CT's own voxels.

A CT of 512 x 512 x 400 has 10^8 voxels, but its organs need no more than the 10^6 blocks to be told apart. A threshold
is applied to the voxels before they are counted in blocks, so that a thin wall (diaphragm, trachea, pleura) still
parts what lies on its two sides: a block that holds a wall is not air.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.packed import Packed
from hepatica.core import Grid, Kind, Volume
from hepatica.core.region import Window

Mask = NDArray[np.bool_]
Axes = tuple[int, int, int]

BLOCK_MM = 4.0
"""Longest edge of a block; images whose voxels are larger than half of it are taken as they are."""

BODY_ABOVE_HU = -300.0
"""Skin against air with blur between them: half way from air (-1000) to soft tissue would be -475; clothes and the
couch's foam lie below -300."""

LUNG_BELOW_HU = -400.0
"""Half way from soft tissue to lung (about -800), so that the lung's border lies where the blurred edge crosses."""

TISSUE_SHARE, AIR_SHARE = 0.5, 0.75
"""Share of a block's voxels from which on it counts as tissue, or as air: a wall of 1 mm in a block of 4 mm is none."""


@dataclass(frozen=True, slots=True, eq=False)
class CtBlocks:
    """A CT and its blocks.

    Attributes
    ----------
    hu : Volume
        The CT in HU, any orientation.
    factors : tuple of int
        Voxels of a block along each axis; 1 where voxels are large.
    grid : Grid
        Of the blocks.
    mean_hu : ndarray of float32, shape ``grid.shape``
        Mean of each block.
    tissue, air : ndarray of bool, shape ``grid.shape``
        Blocks that are mostly above `BODY_ABOVE_HU`, or nearly all below `LUNG_BELOW_HU`.
    """

    hu: Volume
    factors: Axes
    grid: Grid
    mean_hu: NDArray[np.float32]
    tissue: Mask
    air: Mask

    @property
    def is_fine(self) -> bool:
        """Whether the blocks are the voxels themselves."""
        return self.factors == (1, 1, 1)

    @property
    def slice_axis(self) -> int:
        """Grid axis that runs most nearly along the patient."""
        return int(np.abs(self.grid.direction[2]).argmax())

    def voxels(self, window: Window) -> Window:
        """The voxels of a window of blocks."""
        i, j, k = (
            slice(w.start * f, min(w.stop * f, n))
            for w, f, n in zip(window, self.factors, self.hu.grid.shape, strict=True)
        )
        return i, j, k

    def expanded(self, blocks: Mask, window: Window) -> Packed:
        """A mask of blocks within a window, on the voxels of that window."""
        shape = tuple(w.stop - w.start for w in self.voxels(window))
        order = memory_axes(self.hu.values)
        part = blocks[window].transpose(order)
        slow, middle, fast = (self.factors[axis] for axis in order)
        counts = [shape[axis] for axis in order]
        planes = np.repeat(np.repeat(part, middle, axis=1)[:, : counts[1]], fast, axis=2)[:, :, : counts[2]]
        return Packed.of(planes).repeated(slow, counts[0])

    def where(self, condition: Callable[[NDArray[Any]], Mask], window: Window) -> Packed:
        """Voxels of a window of blocks whose HU meet a condition."""
        part = self.hu.values[self.voxels(window)].transpose(memory_axes(self.hu.values))
        return Packed.stacked(in_slabs(lambda a, b: Packed.of(condition(part[a:b])), part.shape[0]))

    def unpacked(self, packed: Packed) -> Mask:
        """Mask of voxels (i, j, k) from the bits of a window."""
        return packed.mask().transpose(np.argsort(memory_axes(self.hu.values)))


def ct_blocks(hu: Volume) -> CtBlocks:
    """Blocks of a CT.

    Raises
    ------
    UnitError
        If the volume is not in HU.
    """
    hu.require_kind(Kind.HU)
    factors = block_factors(hu.grid)
    if factors == (1, 1, 1):
        values = np.asarray(hu.values, dtype=np.float32)
        return CtBlocks(hu, factors, hu.grid, values, hu.values > BODY_ABOVE_HU, hu.values < LUNG_BELOW_HU)
    order = memory_axes(hu.values)
    part, steps = hu.values.transpose(order), [factors[axis] for axis in order]
    counts = _voxels_in_blocks(part.shape, steps)
    mean = np.empty(counts.shape, dtype=np.float32)
    tissue, air = np.empty(counts.shape, dtype=bool), np.empty(counts.shape, dtype=bool)

    def reduce(first: int, last: int) -> None:
        for n in range(first, last):
            slab, held = part[n * steps[0] : (n + 1) * steps[0]], counts[n]
            mean[n] = _sums(slab.sum(axis=0, dtype=np.float32), steps) / held
            above = (slab > BODY_ABOVE_HU).view(np.uint8).sum(axis=0, dtype=np.uint16)
            tissue[n] = _sums(above, steps) >= TISSUE_SHARE * held
            below = (slab < LUNG_BELOW_HU).view(np.uint8).sum(axis=0, dtype=np.uint16)
            air[n] = _sums(below, steps) >= AIR_SHARE * held

    in_slabs(reduce, counts.shape[0])
    back = np.argsort(order)
    grid = _block_grid(hu.grid, factors)
    return CtBlocks(hu, factors, grid, mean.transpose(back), tissue.transpose(back), air.transpose(back))


def block_factors(grid: Grid) -> Axes:
    """Voxels of a block along each axis."""
    i, j, k = (max(1, int(BLOCK_MM / spacing + 1e-6)) for spacing in grid.spacing_mm)
    return i, j, k


def block_shares(values: NDArray[Any], factors: Axes) -> NDArray[np.float32]:
    """Mean of an array in each block."""
    order = memory_axes(values)
    part, steps = values.transpose(order), [factors[axis] for axis in order]
    counts = _voxels_in_blocks(part.shape, steps)
    slabs = (part[n * steps[0] : (n + 1) * steps[0]].sum(axis=0, dtype=np.float32) for n in range(counts.shape[0]))
    return (np.stack([_sums(slab, steps) for slab in slabs]) / counts).transpose(np.argsort(order)).astype(np.float32)


def memory_axes(values: NDArray[Any]) -> Axes:
    """Axes of an array from the slowest to the fastest in memory."""
    i, j, k = sorted(range(3), key=lambda axis: -abs(values.strides[axis]))
    return i, j, k


def in_slabs(work: Callable[[int, int], Any], count: int) -> list[Any]:
    """Results of `work(first, last)` over ranges that make up `count`, a thread for each processor."""
    threads = os.cpu_count() or 1
    bounds = np.linspace(0, count, min(count, 4 * threads) + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, bounds[:-1], bounds[1:]))


def _voxels_in_blocks(shape: Sequence[int], steps: Sequence[int]) -> NDArray[np.float32]:
    """Voxels in each block, fewer at the far edges."""
    along = [
        np.diff(np.append(np.arange(0, n, step), n)).astype(np.float32) for n, step in zip(shape, steps, strict=True)
    ]
    return np.asarray(along[0][:, None, None] * along[1][None, :, None] * along[2][None, None, :], dtype=np.float32)


def _sums(plane: NDArray[Any], steps: Sequence[int]) -> NDArray[Any]:
    """Sums over blocks in a plane."""
    rows, columns = (-(-n // step) for n, step in zip(plane.shape, steps[1:], strict=True))
    lacking = rows * steps[1] - plane.shape[0], columns * steps[2] - plane.shape[1]
    if any(lacking):
        plane = np.pad(plane, [(0, lacking[0]), (0, lacking[1])])
    along = plane.reshape(rows, steps[1], -1).sum(axis=1, dtype=plane.dtype)
    return np.asarray(along.reshape(rows, columns, steps[2]).sum(axis=2, dtype=plane.dtype))


def _block_grid(grid: Grid, factors: Axes) -> Grid:
    affine = np.array(grid.affine)
    affine[:3, :3] = grid.affine[:3, :3] * factors
    affine[:3, 3] = grid.to_mm((np.asarray(factors) - 1) / 2)
    i, j, k = (-(-n // f) for n, f in zip(grid.shape, factors, strict=True))
    return Grid((i, j, k), affine, grid.frame_of_reference)
