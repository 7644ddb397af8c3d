"""How finely a transform must be sampled, and what of the moving image reaches the target's field of view."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.grid import Grid
from hepatica.core.transform.steps import POINTS_AT_ONCE, Affine, DisplacementField, FloatArray, blocks, lead_back
from hepatica.core.transform.transform import Transform

LATTICE = 24
"""Places per axis at which the stretch of a transform is looked at."""

WINDOW_POINTS = 13
"""Places per axis at which the block of a structure is led back to see where it comes to lie."""

MAX_SAMPLES = 12
"""Sub-points per axis and voxel at most: a target voxel of six moving voxels, still at half a voxel each."""

LATTICE_TOLERANCE = 1e-3
"""Steps of whole moving voxels, within this many voxels, need no sub-points: every centre meets a centre."""


def samples_per_voxel(transform: Transform, target: Grid, source: Grid, *, finest: float) -> tuple[int, int, int]:
    """Sub-points per axis of a target voxel, so that they lie at most `finest` moving voxels apart.

    One where the step from voxel to voxel is at most one moving voxel, the same everywhere, and divides it evenly: then
    trilinear weights add up exactly.
    """
    spots = [np.linspace(0, max(n - 2, 0), min(LATTICE, n)) for n in target.shape]
    index = np.stack(np.meshgrid(*spots, indexing="ij"), axis=-1)
    here = source.to_index(transform.points_mm(target.to_mm(index)))
    counts, even = [], []
    for axis in range(3):
        step = source.to_index(transform.points_mm(target.to_mm(index + np.eye(3)[axis]))) - here
        length = np.abs(step).max(axis=-1)
        counts.append(int(np.clip(np.ceil(length.max() / finest - 1e-3), 1, MAX_SAMPLES)))
        even.append(
            bool(np.ptp(step.reshape(-1, 3), axis=0).max() < LATTICE_TOLERANCE) and _divides(step.reshape(-1, 3)[0])
        )
    i, j, k = (1, 1, 1) if all(even) else counts
    return i, j, k


def _divides(step: FloatArray) -> bool:
    """Whether a step runs along one moving axis and a whole number of them makes one moving voxel."""
    main = np.abs(step).max()
    across = np.sort(np.abs(step))[:2].max()
    return bool(
        across < LATTICE_TOLERANCE
        and main < 1 + LATTICE_TOLERANCE
        and abs(1 / main - round(1 / main)) < LATTICE_TOLERANCE
    )


def amount_inside(values: NDArray[Any], transform: Transform, target: Grid, source: Grid) -> float:
    """Sum of the moving voxels, those at the border by the part that lies in the target's field of view.

    Every moving voxel's centre is led back to the fixed frame; a voxel is cut by the target's faces as the box that it
    is there (its local turn and stretch left out, which matters for the outermost layer only).
    """
    width = _widths(transform, target, source)
    flat = values.reshape(-1)
    places = np.flatnonzero(flat)
    total = 0.0
    shape = np.asarray(target.shape)
    for start in range(0, len(places), POINTS_AT_ONCE):
        some = places[start : start + POINTS_AT_ONCE]
        index = np.stack(np.unravel_index(some, source.shape), axis=-1).astype(np.float64)
        at = target.to_index(led_back(transform, source.to_mm(index)))
        low = np.clip((at + 0.5) / width + 0.5, 0, 1)
        high = np.clip((shape - 0.5 - at) / width + 0.5, 0, 1)
        part = np.clip(low + high - 1, 0, 1).prod(axis=-1)
        total += float((flat[some] * part).sum(dtype=np.float64))
    return total


def led_back(transform: Transform, moving_mm: FloatArray) -> FloatArray:
    """Fixed points of moving points, shape (n, 3): affine steps exactly, fields by fixed-point iteration."""
    points = moving_mm
    for step in reversed(transform.steps):
        points = step.inverse().points_mm(points) if isinstance(step, Affine) else lead_back(step, points)
    return points


def reached_window(source: Grid, transform: Transform, target: Grid) -> tuple[slice, slice, slice] | None:
    """Voxels of a fixed grid between which a small moving grid may come to lie, with some to spare; None of none.

    Points throughout the moving grid are led back. Where a field ends it moves nothing, whatever it did at its border:
    what lies there may come from where the affine steps alone lead.
    """
    ends = [np.linspace(-0.5, n - 0.5, WINDOW_POINTS) for n in source.shape]
    points = source.to_mm(np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3))
    found = [led_back(transform, points)]
    if not transform.is_affine:
        unbent = Transform(tuple(step for step in transform.steps if isinstance(step, Affine)))
        found.append(led_back(unbent, points))
    at = target.to_index(np.concatenate(found))
    # Between neighbouring points a field may bulge by a part of their distance.
    extent = np.ptp(at, axis=0)
    spare = 2 + extent / (WINDOW_POINTS - 1)
    low = np.floor(at.min(axis=0) - spare).astype(int)
    high = np.ceil(at.max(axis=0) + spare).astype(int) + 1
    low, high = np.clip(low, 0, target.shape), np.clip(high, 0, target.shape)
    if (high <= low).any():
        return None
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return i, j, k


def uncovered_by_fields(transform: Transform, target: Grid) -> float:
    """Share of a target's voxels that lie beyond a displacement field of the transform (0 without one)."""
    if transform.is_affine:
        return 0.0
    missed = 0
    for _, points in blocks(target):
        at, beyond = points, np.zeros(points.shape[:-1], dtype=bool)
        for number, step in enumerate(transform.steps):
            if isinstance(step, DisplacementField):
                beyond |= ~step.covers(at)
            if number + 1 < len(transform.steps):
                at = step.points_mm(at)
        missed += int(beyond.sum())
    return missed / target.size


def _widths(transform: Transform, target: Grid, source: Grid) -> FloatArray:
    """Length of a moving voxel along each target axis, in target voxels; displacement fields left out."""
    matrix = np.eye(3)
    for step in transform.steps:
        if isinstance(step, Affine):
            matrix = step.matrix[:3, :3] @ matrix
    steps = target.inverse_affine[:3, :3] @ np.linalg.inv(matrix) @ source.affine[:3, :3]
    return np.asarray(np.linalg.norm(steps, axis=1))
