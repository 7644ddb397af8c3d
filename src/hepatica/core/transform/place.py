"""Where the grid of a moving image lies in the fixed frame."""

from __future__ import annotations

import numpy as np

from hepatica.core.grid import Grid
from hepatica.core.transform.reach import led_back
from hepatica.core.transform.transform import Transform
from hepatica.errors import GeometryError

SURFACE_POINTS = 17
"""Points per axis of a moving image that are led back to see how far it reaches."""

MAX_GROWTH = 27.0
"""A grid over the moved image may hold this many times its voxels: three times along each axis."""


def placed_grid(source: Grid, transform: Transform) -> Grid | None:
    """The moving grid, voxel by voxel, in the fixed frame; None unless the transform only turns and shifts."""
    if transform.kind not in ("identity", "rigid"):
        return None
    matrix = np.linalg.inv(transform.matrix) @ source.affine
    matrix[3] = 0, 0, 0, 1
    return Grid(source.shape, matrix, transform.fixed_frame)


def covering_grid(source: Grid, transform: Transform, like: Grid) -> Grid:
    """Grid of the axes of `like` and voxels of the moving grid's size, over all of the moving image in the fixed frame.

    Raises
    ------
    GeometryError
        If that is far larger than the moving image: the transform tears it apart.
    """
    ends = [np.linspace(-0.5, n - 0.5, SURFACE_POINTS) for n in source.shape]
    index = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3)
    points = led_back(transform, source.to_mm(index))
    along = points @ like.direction
    # The moving voxel's size along whichever of its axes runs most along each axis of `like`.
    turned = np.abs(like.direction.T @ np.linalg.inv(_turn(transform)) @ source.direction)
    spacing = np.asarray(source.spacing_mm)[turned.argmax(axis=1)]
    low, high = along.min(axis=0), along.max(axis=0)
    shape = np.maximum(1, np.ceil((high - low) / spacing - 1e-6)).astype(int)
    if shape.prod(dtype=np.float64) > MAX_GROWTH * source.size:
        raise GeometryError(
            f"the transform spreads an image of {source.size} voxels over {shape.prod(dtype=np.float64):.0f}: it is "
            "none of these images"
        )
    affine = np.eye(4)
    affine[:3, :3] = like.direction * spacing
    affine[:3, 3] = like.direction @ ((low + high) / 2 - spacing * (shape - 1) / 2)
    i, j, k = (int(n) for n in shape)
    return Grid((i, j, k), affine, like.frame_of_reference)


def _turn(transform: Transform) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Linear part of the affine steps."""
    from hepatica.core.transform.steps import Affine

    matrix = np.eye(3)
    for step in transform.steps:
        if isinstance(step, Affine):
            matrix = step.matrix[:3, :3] @ matrix
    return matrix
