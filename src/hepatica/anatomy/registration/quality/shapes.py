"""Two drawings of a structure, each on its own voxels, compared on points that are common to both.

Each drawing says by itself whether a point lies in it: where the trilinear share passes the level at which the drawing
holds its own volume. Nothing is resampled, so that grids which are turned against each other cost nothing: fractions of
resampled voxels made a liver of 5 mm voxels agree with itself by 0.97, a lesion of 4 mL by 0.82.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Region
from hepatica.core.transform import Transform
from hepatica.core.transform.steps import blocks, index_of

FloatArray = NDArray[np.float64]
Shares = NDArray[np.float32]

FINEST_MM, MOST_POINTS = 1.0, 2e6
"""Distance of the points, and how many at most: a liver then has points 1.7 mm apart."""

SUB_POINTS = 4
"""Points along each axis of a voxel by which the level that holds the volume is found."""

LEVELS = (0.2, 0.8)
"""Between which that level lies: one beyond belongs to drawings of a voxel or two."""


@dataclass(frozen=True, slots=True, eq=False)
class BorderOf:
    """A drawing that says whether a point lies in it.

    Attributes
    ----------
    shares : ndarray of float32
        Covered fractions with an empty voxel around them.
    grid : Grid
        Of these.
    level : float
        Trilinear share at the border, at which the drawing holds its volume.
    """

    shares: Shares
    grid: Grid
    level: float

    @classmethod
    def of(cls, region: Region) -> BorderOf:
        """The border of a region, which must not be empty."""
        around = region.grid.crop(tuple(slice(s.start - 1, s.stop + 1) for s in region.window))  # type: ignore[arg-type]
        shares = np.pad(region.coverage, 1)
        return cls(shares, around, _holding_level(shares))

    def at(self, points_mm: FloatArray) -> Shares:
        """Share over that of the border at points, shape (..., 3) -> (...): above 0 inside."""
        from scipy import ndimage

        index = np.moveaxis(index_of(self.grid, points_mm), -1, 0)
        found = ndimage.map_coordinates(self.shares, index, order=1, mode="constant", output=np.float32)
        return np.asarray(found - np.float32(self.level))


def _holding_level(shares: Shares) -> float:
    """Level whose inside, by trilinear interpolation, has the volume that the shares sum up to."""
    from scipy import ndimage

    steps = [(np.arange(size * SUB_POINTS) + 0.5) / SUB_POINTS - 0.5 for size in shares.shape]
    values: list[Shares] = []
    for i in steps[0].reshape(-1, SUB_POINTS):
        index = np.stack(np.meshgrid(i, steps[1], steps[2], indexing="ij"))
        found = ndimage.map_coordinates(shares, index, order=1, mode="constant", output=np.float32)
        values.append(found[found > LEVELS[0] / 2])
    every = np.concatenate(values)
    count = round(float(shares.sum(dtype=np.float64)) * SUB_POINTS**3)
    if not 0 < count < every.size:
        return LEVELS[0] if count else 0.5
    return float(np.clip(np.partition(every, every.size - count)[every.size - count], *LEVELS))


@dataclass(frozen=True, slots=True)
class ShapeAgreement:
    """How well two shapes agree.

    Attributes
    ----------
    dice : float
        Of the points inside.
    mean_mm, percentile_95_mm : float
        Surface to surface: mean of both ways' means, larger of both ways' percentiles.
    """

    dice: float
    mean_mm: float
    percentile_95_mm: float


def compared_shapes(fixed: BorderOf, moving: BorderOf, transform: Transform, around: Grid) -> ShapeAgreement | None:
    """Two drawings on common points of the fixed image; None where one of them holds none.

    Parameters
    ----------
    fixed, moving : BorderOf
        Each on its own image.
    transform : Transform
        From fixed to moving.
    around : Grid
        The block of the fixed image in which they are compared.
    """
    from scipy.spatial import cKDTree

    extent = np.asarray(around.shape) * around.spacing_mm
    step = max(FINEST_MM, float(np.cbrt(extent.prod() / MOST_POINTS)))
    points = around.with_spacing((step, step, step))
    one, other = (np.empty(points.shape, np.float32) for _ in range(2))
    for block, at in blocks(points):
        one[block] = fixed.at(at)
        other[block] = moving.at(transform.points_mm(at))
    inside = [values > 0 for values in (one, other)]
    counts = [int(mask.sum()) for mask in inside]
    surfaces = [_surface_mm(values, points) for values in (one, other)]
    if not all(counts) or not all(len(surface) for surface in surfaces):
        return None
    trees = [cKDTree(surface) for surface in surfaces]
    there, back = trees[1].query(surfaces[0])[0], trees[0].query(surfaces[1])[0]
    return ShapeAgreement(
        2 * int((inside[0] & inside[1]).sum()) / sum(counts),
        float((there.mean() + back.mean()) / 2),
        float(max(np.percentile(there, 95), np.percentile(back, 95))),
    )


def _surface_mm(values: Shares, grid: Grid) -> FloatArray:
    """Points between neighbours along each axis where the values pass 0, shape (n, 3)."""
    found = []
    for axis in range(3):
        low, high = np.moveaxis(values, axis, 0)[:-1], np.moveaxis(values, axis, 0)[1:]
        crossed = np.argwhere((low > 0) != (high > 0))
        first, second = low[tuple(crossed.T)], high[tuple(crossed.T)]
        at = crossed.astype(np.float64)
        at[:, 0] += first / (first - second)
        # The axis stood first: back to its place.
        found.append(np.insert(at[:, 1:], axis, at[:, 0], axis=1))
    return np.asarray(grid.to_mm(np.concatenate(found)))
