"""Where the ends of what an image sees lie after a transform."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hepatica.core.grid import Grid
from hepatica.core.transform.steps import FloatArray
from hepatica.core.transform.transform import Transform

Ends = tuple[float, float]
Direction = tuple[float, float, float]

STRIDE = 4
"""In a plane every so many voxels are led back: fields are smooth over some voxels."""

NOTHING_MM = 1e-3
"""Length of what is seen where no plane surely is: nothing, but an interval with two ends."""


def brought_ends(ends: Ends, along: Direction, transform: Transform, grid: Grid) -> tuple[Ends, Direction]:
    """Ends of what a moving image sees, in the fixed frame of reference.

    Planes stay planes where the transform is affine: ``n . (A x + b)`` between the ends is ``(A^T n) . x`` between the
    ends less ``n . b``. A field bends them; then the planes of `grid` are taken that lie between them everywhere, so
    that rather less counts as seen.

    Parameters
    ----------
    ends : tuple of float
        Between which the moving image is seen well, mm along `along` from the origin.
    along : tuple of float
        Unit vector in LPS of the moving frame.
    transform : Transform
        From the fixed to the moving frame.
    grid : Grid
        Voxels of the image in the fixed frame.
    """
    if transform.is_affine:
        matrix = transform.matrix
        normal = matrix[:3, :3].T @ np.asarray(along)
        length, shift = float(np.linalg.norm(normal)), float(np.asarray(along) @ matrix[:3, 3])
        low, high = ((end - shift) / length for end in ends)
        return (low, high), _direction(normal / length)
    whole = [_lies_between(k, ends, np.asarray(along), transform, grid) for k in range(grid.shape[2])]
    normal = np.asarray(grid.direction)[:, 2]
    start, step = float(normal @ grid.origin_mm), grid.spacing_mm[2]
    first, count = _longest(whole)
    if not count:
        return (start, start + NOTHING_MM), _direction(normal)
    return (start + (first - 0.5) * step, start + (first + count - 0.5) * step), _direction(normal)


def slice_ends(grid: Grid) -> tuple[Ends, Direction]:
    """Outer faces of the first and the last slice of an image, mm along the unit vector from slice to slice."""
    normal = np.asarray(grid.direction)[:, 2]
    start, step = float(normal @ grid.origin_mm), grid.spacing_mm[2]
    return (start - 0.5 * step, start + (grid.shape[2] - 0.5) * step), _direction(normal)


def _lies_between(k: int, ends: Ends, along: FloatArray, transform: Transform, grid: Grid) -> bool:
    """Whether a plane of a grid lies between the ends everywhere, looked at at every fourth voxel."""
    spots = [np.unique([*range(0, n, STRIDE), n - 1]) for n in grid.shape[:2]]
    index = np.stack(np.meshgrid(*spots, [k], indexing="ij"), axis=-1)
    place = transform.points_mm(grid.to_mm(index)) @ along
    return bool(((place > ends[0]) & (place < ends[1])).all())


def _direction(vector: FloatArray) -> Direction:
    x, y, z = (float(part) for part in vector)
    return x, y, z


def _longest(flags: Sequence[bool]) -> tuple[int, int]:
    """Start and length of the longest run that is true."""
    best = start = length = 0
    for n, flag in enumerate(flags):
        length = length + 1 if flag else 0
        if length > best:
            best, start = length, n - length + 1
    return start, best
