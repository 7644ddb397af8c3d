"""What a transform is made of: affine maps and displacement fields, each from points to points in LPS millimetres."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.grid import Grid
from hepatica.errors import GeometryError

FloatArray = NDArray[np.float64]

MIN_DETERMINANT = 1e-3
"""Volume of a millimetre cube after an affine map, below which the map flattens the patient; no organ shrinks so."""

MAX_INVERSE_RESIDUAL_VOXELS = 0.25
"""Largest distance, in the field's smallest voxel side, by which the inverse of a field may miss: a quarter of a voxel
is below what any registration reaches (TG-132 asks for one voxel)."""

INVERSE_STEPS = 200
"""Fixed-point steps at most: a field whose displacement changes by 0.9 mm per mm needs 90 for 1e-4 of the start."""

INVERSE_TOLERANCE = 1e-4
"""Fixed-point iteration stops where every node misses by less than this share of the smallest voxel side."""

POINTS_AT_ONCE = 1 << 20
"""Points that are looked up together, so that a large grid needs no memory of many times its size."""


@dataclass(frozen=True, eq=False)
class Affine:
    """An affine map of points.

    Parameters
    ----------
    matrix : array_like, shape (4, 4)
        Takes homogeneous LPS millimetres of the fixed frame to those of the moving frame; last row 0 0 0 1.

    Raises
    ------
    GeometryError
        If the matrix is not finite, not affine or has no inverse.
    """

    matrix: FloatArray

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise GeometryError("an affine transform is a finite 4x4 matrix")
        if not np.allclose(matrix[3], (0, 0, 0, 1), rtol=0, atol=1e-9):
            raise GeometryError(f"the last row of an affine transform is 0 0 0 1, not {matrix[3].tolist()}")
        matrix[3] = 0, 0, 0, 1
        if abs(np.linalg.det(matrix[:3, :3])) < MIN_DETERMINANT:
            raise GeometryError("an affine transform that flattens space (determinant almost 0) has no inverse")
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    def points_mm(self, points: FloatArray) -> FloatArray:
        """Where points go, shape (..., 3) -> (..., 3)."""
        return _mapped_by(self.matrix, points)

    def mapped(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Where points go, and determinants there: shapes (..., 3) and (...)."""
        return self.points_mm(points), self.determinants(points)

    def determinants(self, points: FloatArray) -> FloatArray:
        """Volume in the moving frame per volume in the fixed frame at points, shape (..., 3) -> (...)."""
        return np.full(points.shape[:-1], float(np.linalg.det(self.matrix[:3, :3])))

    def inverse(self) -> Affine:
        """The exact inverse."""
        return Affine(np.asarray(np.linalg.inv(self.matrix), dtype=np.float64))

    @property
    def is_rigid(self) -> bool:
        """Whether it only turns and shifts."""
        turn = self.matrix[:3, :3]
        return bool(np.abs(turn.T @ turn - np.eye(3)).max() < 1e-4 and np.linalg.det(turn) > 0)

    def check(self) -> None:
        """Raise GeometryError if it mirrors the patient."""
        if (determinant := float(np.linalg.det(self.matrix[:3, :3]))) <= 0:
            raise GeometryError(
                f"the affine transform mirrors the patient (determinant {determinant:.3g})",
            )

    def as_dict(self) -> Mapping[str, Any]:
        """Plain values for JSON."""
        return {"kind": "rigid" if self.is_rigid else "affine", "matrix_lps_mm": self.matrix.tolist()}


@dataclass(frozen=True, eq=False)
class DisplacementField:
    """A displacement at every voxel of a grid, linear between their centres.

    A point x of the fixed frame goes to x + u(x). Outside the grid (half a voxel beyond the outermost centres) u is
    zero, as in ITK and in DICOM's Deformable Spatial Registration.

    Parameters
    ----------
    grid : Grid
        Where the displacements are given: a grid in the fixed frame.
    vectors_mm : array_like, shape ``grid.shape + (3,)``
        Displacement in LPS millimetres, kept as float32 or float64. Made read-only.
    residual_mm : float
        Of a field that is the inverse of another: the largest distance by which it misses, 0 for an original.

    Raises
    ------
    GeometryError
        If the shape does not fit the grid or a displacement is not finite; the message names the first such voxel.
    """

    grid: Grid
    vectors_mm: NDArray[Any]
    residual_mm: float = 0.0

    def __post_init__(self) -> None:
        vectors = np.asarray(self.vectors_mm)
        if vectors.shape != (*self.grid.shape, 3):
            raise GeometryError(f"displacements of shape {vectors.shape} do not fit {self.grid}")
        if vectors.dtype not in (np.float32, np.float64):
            vectors = vectors.astype(np.float32)
        if (bad := ~np.isfinite(vectors).all(axis=-1)).any():
            index = np.argwhere(bad)[0]
            raise GeometryError(
                f"the displacement field holds {int(bad.sum())} voxels that are no numbers, {_place(self.grid, index)}"
            )
        vectors = vectors.view()
        vectors.setflags(write=False)
        object.__setattr__(self, "vectors_mm", vectors)

    @cached_property
    def components(self) -> tuple[NDArray[Any], ...]:
        """The three components of the displacements, each contiguous."""
        return tuple(np.ascontiguousarray(self.vectors_mm[..., axis]) for axis in range(3))

    @cached_property
    def _determinants(self) -> NDArray[np.float32]:
        """Jacobian determinant at every voxel centre, by central differences (one-sided at the border)."""
        return _determinant(self, [_central] * 3).astype(np.float32)

    def points_mm(self, points: FloatArray) -> FloatArray:
        """Where points go, shape (..., 3) -> (..., 3)."""
        return points + self.displacements_mm(points)

    def displacements_mm(self, points: FloatArray, *, edge: bool = False) -> FloatArray:
        """Displacement at points, shape (..., 3) -> (..., 3); beyond the grid zero, or that of its edge."""
        out = np.zeros(points.shape)
        index = index_of(self.grid, points)
        for axis, component in enumerate(self.components):
            out[..., axis] = _look_up(component, index)
        if not edge:
            out[~self.covers(points)] = 0
        return out

    def determinants(self, points: FloatArray) -> FloatArray:
        """Volume in the moving frame per volume in the fixed frame at points, shape (..., 3) -> (...); 1 outside."""
        found = _look_up(self._determinants, index_of(self.grid, points)).astype(np.float64)
        found[~self.covers(points)] = 1.0
        return np.asarray(found)

    def mapped(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Where points go, and determinants there, looked up together: shapes (..., 3) and (...)."""
        index = np.ascontiguousarray(np.moveaxis(index_of(self.grid, points), -1, 0))
        there = np.ones(points.shape[:-1], dtype=bool)
        for axis, size in enumerate(self.grid.shape):
            there &= (index[axis] >= -0.5 - 1e-6) & (index[axis] <= size - 0.5 + 1e-6)
        places = np.array(points)
        for axis, component in enumerate(self.components):
            places[..., axis] += np.where(there, _look_up_at(component, index), 0.0)
        return places, np.where(there, _look_up_at(self._determinants, index), 1.0)

    def covers(self, points: FloatArray) -> NDArray[np.bool_]:
        """Whether points lie in a voxel of the field's grid, shape (..., 3) -> (...)."""
        index = index_of(self.grid, points)
        return np.asarray(((index >= -0.5 - 1e-6) & (index <= np.asarray(self.grid.shape) - 0.5 + 1e-6)).all(axis=-1))

    def inverse(self) -> DisplacementField:
        """The field that leads back, by fixed-point iteration v(y) = -u(y + v(y)) at every node.

        Its grid covers where the voxels of this field go. `residual_mm` is the largest distance by which it misses,
        taken between the nodes, where interpolation is worst.

        Raises
        ------
        GeometryError
            If it misses by more than `MAX_INVERSE_RESIDUAL_VOXELS`: the field folds or is too rough for its grid.

        Notes
        -----
        M. Chen et al., Med. Phys. 35 (2008) 81: the iteration converges where u changes by less than 1 mm per mm; a
        step is halved at points where the miss grew.
        """
        grid = _reach(self)
        vectors = np.empty((*grid.shape, 3), dtype=np.float32)
        for block, points in blocks(grid):
            vectors[block] = lead_back(self, points) - points
        missed = _largest_miss(self, grid, vectors)
        side = min(self.grid.spacing_mm)
        if missed > MAX_INVERSE_RESIDUAL_VOXELS * side:
            raise GeometryError(
                f"the displacement field has no inverse that is good to {MAX_INVERSE_RESIDUAL_VOXELS:g} voxels: "
                f"it misses by up to {missed:.2f} mm",
                remedy="use a smoother field, or the transform of the other direction",
            )
        return DisplacementField(grid, vectors, max(missed, self.residual_mm))

    def check(self) -> None:
        """Raise GeometryError if the field folds: where the determinant at a corner of a cell is not positive."""
        if min(self.grid.shape) < 2:
            return
        for sides in product((_forward, _backward), repeat=3):
            determinants = _determinant(self, sides)
            if (low := float(determinants.min())) <= 0:
                index = np.unravel_index(int(determinants.argmin()), determinants.shape)
                share = float((determinants <= 0).mean())
                raise GeometryError(
                    f"the displacement field folds (determinant {low:.3g}, {share:.2%} of its voxels), "
                    f"{_place(self.grid, np.asarray(index))}",
                    remedy="register with more smoothing",
                )

    def as_dict(self) -> Mapping[str, Any]:
        """Plain values for JSON; of the displacements only their size."""
        length = np.sqrt((self.vectors_mm.astype(np.float64) ** 2).sum(axis=-1))
        return {
            "kind": "displacement field",
            "grid": dict(self.grid.as_document()),
            "mean_displacement_mm": float(length.mean()),
            "largest_displacement_mm": float(length.max()),
            "residual_mm": self.residual_mm,
        }


Step = Affine | DisplacementField


def blocks(grid: Grid) -> Iterator[tuple[slice, FloatArray]]:
    """Slabs of a grid along i with the LPS points of their voxel centres, shape (n, j, k, 3)."""
    _, j, k = grid.shape
    thick = max(1, POINTS_AT_ONCE // (j * k))
    plane = np.stack(np.meshgrid(np.arange(j), np.arange(k), indexing="ij"), axis=-1) @ grid.affine[:3, 1:3].T
    for start in range(0, grid.shape[0], thick):
        stop = min(start + thick, grid.shape[0])
        along = np.arange(start, stop)[:, None, None, None] * grid.affine[:3, 0]
        yield slice(start, stop), plane + (along + grid.affine[:3, 3])


def index_of(grid: Grid, points: FloatArray) -> FloatArray:
    """`Grid.to_index` of many points, row by row: products of many small matrices are slow."""
    return _mapped_by(grid.inverse_affine, points)


def _mapped_by(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """A 4x4 matrix on points of shape (..., 3)."""
    out = np.empty(points.shape)
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    for row in range(3):
        a, b, c, d = matrix[row].tolist()
        out[..., row] = a * x + b * y + c * z + d
    return out


def _look_up(values: NDArray[Any], index: ArrayLike) -> NDArray[Any]:
    """Trilinear value at fractional indices, shape (..., 3); beyond the outermost centres that of the edge."""
    return _look_up_at(values, np.moveaxis(np.asarray(index), -1, 0))


def _look_up_at(values: NDArray[Any], index: NDArray[Any]) -> NDArray[Any]:
    """The same for indices of shape (3, ...)."""
    from scipy import ndimage

    found: NDArray[Any] = ndimage.map_coordinates(values, index, order=1, mode="nearest")
    return found


def _place(grid: Grid, index: NDArray[Any]) -> str:
    """A voxel in words."""
    where = ", ".join(f"{c:.0f}" for c in grid.to_mm(index))
    return f"first at voxel {tuple(int(n) for n in index)}, ({where}) mm LPS"


def _central(values: NDArray[Any], axis: int) -> NDArray[Any]:
    return np.asarray(np.gradient(values, axis=axis)) if values.shape[axis] > 1 else np.zeros_like(values)


def _forward(values: NDArray[Any], axis: int) -> NDArray[Any]:
    step = np.diff(values, axis=axis)
    return np.concatenate([step, np.take(step, [-1], axis=axis)], axis=axis)


def _backward(values: NDArray[Any], axis: int) -> NDArray[Any]:
    step = np.diff(values, axis=axis)
    return np.concatenate([np.take(step, [0], axis=axis), step], axis=axis)


def _determinant(field: DisplacementField, differences: Any) -> NDArray[Any]:
    """Determinant of d(moving)/d(fixed) at every voxel centre, each axis by the difference given for it.

    In the grid's own axes: M = A^-1 (A + dU/dindex), so that its determinant is that of the map in millimetres.
    """
    inverse = field.grid.inverse_affine[:3, :3]
    columns = []
    for axis in range(3):
        gradient = [differences[axis](component, axis) for component in field.components]
        columns.append([sum(inverse[row, c] * gradient[c] for c in range(3)) + (row == axis) for row in range(3)])
    a, b, c = columns
    return np.asarray(
        a[0] * (b[1] * c[2] - b[2] * c[1]) - b[0] * (a[1] * c[2] - a[2] * c[1]) + c[0] * (a[1] * b[2] - a[2] * b[1])
    )


def _reach(field: DisplacementField) -> Grid:
    """Grid of the same axes and spacing over everywhere that the field's voxels go, one voxel more on each side."""
    shift = field.vectors_mm.reshape(-1, 3) @ field.grid.inverse_affine[:3, :3].T
    low = np.floor(np.minimum(shift.min(axis=0), 0)).astype(int) - 1
    high = np.ceil(np.maximum(shift.max(axis=0), 0)).astype(int) + 1
    affine = np.array(field.grid.affine)
    affine[:3, 3] = field.grid.to_mm(low)
    i, j, k = (int(n) for n in np.asarray(field.grid.shape) + high - low)
    return Grid((i, j, k), affine)


def lead_back(field: DisplacementField, points: FloatArray) -> FloatArray:
    """Points x with x + u(x) = points by fixed-point iteration, u continued by its edge values; shape (..., 3)."""
    side = min(field.grid.spacing_mm)
    target = points.reshape(-1, 3)
    at = target - field.displacements_mm(target, edge=True)
    missed = target - at - field.displacements_mm(at, edge=True)
    length = np.linalg.norm(missed, axis=-1)
    pace = np.ones(len(at))
    for _ in range(INVERSE_STEPS):
        going = np.flatnonzero(length > INVERSE_TOLERANCE * side)
        if not going.size:
            break
        trial = at[going] + pace[going, None] * missed[going]
        left = target[going] - trial - field.displacements_mm(trial, edge=True)
        new = np.linalg.norm(left, axis=-1)
        better = new < length[going]
        pace[going[~better]] /= 2
        kept = going[better]
        at[kept], missed[kept], length[kept] = trial[better], left[better], new[better]
    return np.asarray(at.reshape(points.shape))


def _largest_miss(field: DisplacementField, grid: Grid, vectors: NDArray[Any]) -> float:
    """Largest distance between points midway between nodes and where inverse and field take them, in mm.

    Only where the inverse leads into the field's grid: beyond it neither field says anything.
    """
    between = np.array(grid.affine)
    between[:3, 3] = grid.to_mm([0.5, 0.5, 0.5])
    found = DisplacementField(grid, vectors)
    largest = 0.0
    i, j, k = (max(1, n - 1) for n in grid.shape)
    for _, points in blocks(Grid((i, j, k), between)):
        back = found.points_mm(points)
        index = field.grid.to_index(back)
        inside = ((index >= 0) & (index <= np.asarray(field.grid.shape) - 1)).all(axis=-1)
        missed = np.linalg.norm(field.points_mm(back[inside]) - points[inside], axis=-1)
        largest = max(largest, float(missed.max(initial=0.0)))
    return largest
