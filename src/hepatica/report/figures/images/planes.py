"""Slices through the patient in any plane, sampled in millimetres: oblique and anisotropic grids need no special case.

Radiological convention: axial seen from the feet (patient's left on the right of the picture, anterior up), coronal
seen from the front, sagittal seen from the left (anterior on the left of the picture).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Region

FloatArray = NDArray[np.floating[Any]]
View = Literal["axial", "coronal", "sagittal"]

VIEWS: tuple[View, ...] = ("axial", "coronal", "sagittal")
# LPS directions of the picture's right and down, and the letters at its left, right, top and bottom.
ACROSS: dict[View, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "axial": ((1, 0, 0), (0, 1, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
}
LETTERS: dict[View, tuple[str, str, str, str]] = {
    "axial": ("R", "L", "A", "P"),
    "coronal": ("R", "L", "S", "I"),
    "sagittal": ("A", "P", "S", "I"),
}
NORMAL: dict[View, int] = {"axial": 2, "coronal": 1, "sagittal": 0}


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """A rectangle of square pixels in the patient.

    Attributes
    ----------
    view : {"axial", "coronal", "sagittal"}
        Orientation.
    centre_mm : ndarray, shape (3,)
        LPS position of the middle.
    width_mm, height_mm : float
        Size.
    pixel_mm : float
        Length of a pixel's edge.
    """

    view: View
    centre_mm: FloatArray
    width_mm: float
    height_mm: float
    pixel_mm: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the picture."""
        return max(2, round(self.height_mm / self.pixel_mm)), max(2, round(self.width_mm / self.pixel_mm))

    @property
    def extent_mm(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top for drawing, mm along the picture's right and up, in patient coordinates' size."""
        right, down = (np.asarray(axis, dtype=float) for axis in ACROSS[self.view])
        x, y = float(self.centre_mm @ right), float(self.centre_mm @ down)
        return x - self.width_mm / 2, x + self.width_mm / 2, y + self.height_mm / 2, y - self.height_mm / 2

    def affine_mm(self) -> FloatArray:
        """Takes (row, column, 0) to LPS mm, shape (3, 4)."""
        rows, columns = self.shape
        right, down = (np.asarray(axis, dtype=float) for axis in ACROSS[self.view])
        row, column = down * self.height_mm / rows, right * self.width_mm / columns
        first = self.centre_mm - row * (rows - 1) / 2 - column * (columns - 1) / 2
        return np.stack([row, column, np.zeros(3), first], axis=1)

    def axes_mm(self) -> tuple[FloatArray, FloatArray]:
        """Positions of the pixel centres along the picture, in the coordinates of `extent_mm`: columns, rows."""
        rows, columns = self.shape
        left, right, bottom, top = self.extent_mm
        x = left + (np.arange(columns) + 0.5) / columns * (right - left)
        return x, top + (np.arange(rows) + 0.5) / rows * (bottom - top)


def sample(values: NDArray[Any], grid: Grid, plane: Plane, *, outside: float) -> FloatArray:
    """Trilinear values on a plane, shape ``plane.shape``; `outside` beyond the voxels' outer faces."""
    rows, columns = plane.shape
    return sample_affine(values, grid, plane.affine_mm(), (rows, columns, 1), outside=outside)[..., 0]


def sample_affine(
    values: NDArray[Any], grid: Grid, affine_mm: FloatArray, shape: tuple[int, int, int], *, outside: float | None
) -> FloatArray:
    """Trilinear values where `affine_mm`, shape (3, 4), puts the indices of an array of `shape`.

    Without a value `outside` the values fall to 0 within a voxel beyond the outermost centres.
    """
    from scipy.ndimage import affine_transform

    inverse = grid.inverse_affine[:3]
    matrix, offset = inverse[:, :3] @ affine_mm[:, :3], inverse[:, :3] @ affine_mm[:, 3] + inverse[:, 3]
    mode = "grid-constant" if outside is None else "nearest"
    along = np.diag(np.diag(matrix))
    # Axes that run along each other are interpolated one by one, in a third of the time; a plane has no step across.
    steps = np.diag(matrix) if np.array_equal(matrix, along) and np.diag(matrix).all() else matrix
    out = affine_transform(np.asarray(values, dtype=np.float32), steps, offset, output_shape=shape, order=1, mode=mode)
    if outside is None:
        return np.asarray(out)
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    inside = np.ones(shape, dtype=bool)
    for row, start, size in zip(matrix, offset, grid.shape, strict=True):
        # Only the axes that matter: the sum is as large as they make it.
        index = sum((row[axis] * axes[axis] for axis in range(3) if row[axis] != 0), np.zeros((1, 1, 1))) + start
        inside &= (index >= -0.5) & (index <= size - 0.5)
    np.copyto(out, np.float32(outside), where=~inside)
    return np.asarray(out)


def sample_region(region: Region, plane: Plane) -> FloatArray:
    """Covered fraction on a plane; 0.5 is the outline."""
    if region.is_empty:
        return np.zeros(plane.shape, dtype=np.float32)
    rows, columns = plane.shape
    return sample_covered(region, plane.affine_mm(), (rows, columns, 1))[..., 0]


def sample_covered(region: Region, affine_mm: FloatArray, shape: tuple[int, int, int]) -> FloatArray:
    """Covered fraction where `affine_mm` puts the indices of an array of `shape`; 0.5 is the outline."""
    out = np.zeros(shape, dtype=np.float32)
    held = region.grid.crop(region.window)
    # Beyond a voxel around its own block a region is nowhere: only the part of the array that this reaches is sampled.
    block = held.to_mm(np.array(list(itertools.product(*((-1.0, float(n)) for n in held.shape)))))
    at = (block - affine_mm[:, 3]) @ np.linalg.pinv(affine_mm[:, :3]).T
    first = np.clip(np.floor(at.min(axis=0)).astype(int), 0, shape)
    after = np.clip(np.ceil(at.max(axis=0)).astype(int) + 1, first, shape)
    part = tuple(slice(int(a), int(b)) for a, b in zip(first, after, strict=True))
    if not out[part].size:
        return out
    moved = affine_mm.copy()
    moved[:, 3] += affine_mm[:, :3] @ first
    size = (int(after[0] - first[0]), int(after[1] - first[1]), int(after[2] - first[2]))
    out[part] = sample_affine(region.coverage, held, moved, size, outside=None)
    return out


def centre_of(region: Region) -> FloatArray:
    """LPS centre of mass of a region; if that lies outside of it (a ring), the covered voxel nearest to it."""
    weight = region.coverage.astype(np.float64)
    index = np.argwhere(weight > 0)
    share = weight[tuple(index.T)]
    start = np.asarray([s.start for s in region.window])
    points = region.grid.to_mm(index + start)
    middle = (share @ points) / share.sum()
    at = tuple(int(n) for n in np.rint(region.grid.to_index(middle)) - start)
    if weight[at] >= 0.5:
        return np.asarray(middle)
    solid = points[share >= 0.5 * share.max()]
    return np.asarray(solid[np.linalg.norm(solid - middle, axis=1).argmin()])


def bounds_mm(grid: Grid) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest LPS coordinates of a grid's block."""
    corners = grid.corners_mm()
    return corners.min(axis=0), corners.max(axis=0)


def framed(view: View, at_mm: FloatArray, low: FloatArray, high: FloatArray, size_mm: float, pixel_mm: float) -> Plane:
    """Square plane of `size_mm` through a point, moved within its plane so that it shows as much of a box as it can."""
    centre = np.array(at_mm, dtype=float)
    for axis in range(3):
        if axis == NORMAL[view]:
            continue
        room = (high[axis] - low[axis]) - size_mm
        middle = (high[axis] + low[axis]) / 2
        half = max(0.0, room / 2)
        centre[axis] = np.clip(centre[axis], middle - half, middle + half)
    return Plane(view, centre, size_mm, size_mm, pixel_mm)
