"""A moving image bent onto a fixed one, from where a rigid or affine registration has brought it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.registration.deformable.flow import Field, Flow
from hepatica.anatomy.registration.deformable.settings import Contrast, DeformableSettings
from hepatica.anatomy.registration.deformable.solver import VOXELS_PER_NODE, velocity
from hepatica.anatomy.registration.prepared import PERCENTILES, coarse, mask_on, padding
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.transform import DisplacementField, Transform
from hepatica.core.transform.steps import blocks, index_of
from hepatica.errors import GeometryError

Image = NDArray[np.float32]

HU_RANGE = (-1000.0, 1000.0)
"""Air to compact bone: metal and its streaks do not count for more."""

SMOOTHING = {"like": 10.0, "unlike": 300.0}
"""Measured: of one kind on a torso CT with known fields, across kinds on virtual patients' CT and MR: 10 and 30
left 5.6 and 4.4 mm in one's liver; of four others 100 left 3.4 mm on average, 300 3.0 mm, and 1000 of two 3.1 mm."""
MORE_SMOOTHING = 4.0
ATTEMPTS = 3
"""A field that folds is sought with 4 and with 16 times the smoothing, then refused."""

TAPER = 4.0
"""Width over which the velocity falls to zero beyond the fixed image, in the largest velocity at its border. The
steepest part of the fall is 1.5 / 4 per axis; the exponential of it has an inverse at any slope."""

MIN_NODES = 2
"""Nodes along each axis of the coarsest level."""

MIN_SEEN = 0.02
"""Share of the fixed image's voxels that must count in both; less determines no field."""


@dataclass(frozen=True, slots=True, eq=False)
class Bent:
    """A deformable registration and what it took.

    Attributes
    ----------
    transform : Transform
        From fixed to moving LPS mm: a displacement field, then the steps of the start.
    smoothing : float
        With which it was found.
    contrast : {"like", "unlike"}
        What was compared.
    folded : int
        Attempts with less smoothing that folded.
    """

    transform: Transform
    smoothing: float
    contrast: Contrast
    folded: int


def deform(
    fixed: Volume,
    moving: Volume,
    start: Transform,
    settings: DeformableSettings = DeformableSettings(),
    mask: Region | None = None,
) -> Transform:
    """Transform by which the moving image, bent, lies on the fixed one; parameters and errors as of `bend`."""
    return bend(fixed, moving, start, settings, mask).transform


def bend(
    fixed: Volume,
    moving: Volume,
    start: Transform,
    settings: DeformableSettings = DeformableSettings(),
    mask: Region | None = None,
) -> Bent:
    """Bend the moving image onto the fixed one.

    Parameters
    ----------
    fixed, moving : Volume
        CT (HU), MR or another image of anatomy, on any grids.
    start : Transform
        From fixed to moving points; what it leaves is bent.
    settings : DeformableSettings
        Voxels, contrast, smoothing.
    mask : Region or None
        What counts, drawn on the fixed image; beyond it the field goes on smoothly. Everything if None.

    Returns
    -------
    Bent
        The field reaches beyond the fixed image until it is zero: there is no jump where its grid ends.

    Raises
    ------
    GeometryError
        If the images do not overlap, or the field folds however much it is smoothed.
    UnitError
        If a voxel is not finite.
    """
    for volume in (fixed, moving):
        volume.require_finite()
    start.require_frames(fixed.grid, moving.grid, "bending the moving image")
    levels, grid = _working_grid(fixed.grid, settings)
    one, seen = _brought(fixed, Transform(), grid)
    other, shown = _brought(moving, start, grid)
    if mask is not None:
        mask.grid.require_shared_frame(fixed.grid, f"structure {mask.name!r} and the fixed image")
        seen *= mask_on(mask, grid, settings.rim_mm)
    if not (seen * shown).any() or (seen * shown).sum() < MIN_SEEN * seen.sum():
        raise GeometryError(
            "the images do not overlap where they count: nothing says how the one is bent",
            remedy="start from a rigid registration, or state another structure to count in",
        )
    contrast: Contrast = settings.contrast or ("like" if fixed.kind is moving.kind else "unlike")
    steps = tuple(settings.steps[min(n, len(settings.steps) - 1)] for n in range(levels))
    flow = Flow(settings.threads)
    smoothing = SMOOTHING[contrast] if settings.smoothing is None else settings.smoothing
    folds = ""
    for attempt in range(ATTEMPTS):
        found = velocity((one, other), (seen, shown), contrast, smoothing, steps, flow)
        field = _field(found, grid, flow)
        try:
            field.check()
        except GeometryError as error:
            folds = str(error)
            smoothing *= MORE_SMOOTHING
            continue
        method = f"{start.method or 'start'}; then deformable, symmetric, {contrast} contrast, smoothing {smoothing:g}"
        steps_of = (field, *start.steps)
        frames = (
            start.fixed_frame or fixed.grid.frame_of_reference,
            start.moving_frame or moving.grid.frame_of_reference,
        )
        return Bent(Transform(steps_of, *frames, method=method).checked(), smoothing, contrast, attempt)
    raise GeometryError(f"the registration folds however much it is smoothed: {folds}", remedy="register affinely")


def _working_grid(fixed: Grid, settings: DeformableSettings) -> tuple[int, Grid]:
    """Levels, and cubic voxels along the axes of the fixed image, around it; sizes are whole nodes of every level."""
    side = settings.voxel_mm
    extent = np.asarray(fixed.shape) * fixed.spacing_mm
    levels = settings.levels
    while levels > 1 and extent.min() / side < MIN_NODES * VOXELS_PER_NODE * 2 ** (levels - 1):
        levels -= 1
    whole = VOXELS_PER_NODE * 2 ** (levels - 1)
    i, j, k = (int(n) for n in np.maximum(np.ceil(extent / side / whole - 1e-6), 2 if levels == 1 else 1) * whole)
    affine = np.eye(4)
    affine[:3, :3] = fixed.direction * side
    middle = fixed.to_mm((np.asarray(fixed.shape) - 1) / 2)
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array([i, j, k]) - 1) / 2)
    return levels, Grid((i, j, k), affine, fixed.frame_of_reference)


def _brought(volume: Volume, transform: Transform, grid: Grid) -> tuple[Image, Image]:
    """An image on the working voxels, 0 to 1 over the range that counts, and where its field of view reaches."""
    from scipy import ndimage

    small = coarse(volume, float(min(grid.spacing_mm)))
    there = ~padding(volume, small.grid)
    low, high = HU_RANGE if volume.kind is Kind.HU else np.percentile(small.values[there], PERCENTILES)
    scaled = np.clip((small.values - low) / max(high - low, 1e-6 * max(1.0, abs(low))), 0, 1).astype(np.float32)
    out = np.empty(grid.shape, np.float32)
    seen = np.empty(grid.shape, np.float32)
    for block, points in blocks(grid):
        index = np.moveaxis(index_of(small.grid, transform.points_mm(points)), -1, 0)
        out[block] = ndimage.map_coordinates(scaled, index, order=1, mode="nearest")
        seen[block] = ndimage.map_coordinates(there.astype(np.float32), index, order=0, mode="constant", cval=0.0)
    return out, seen


def _field(found: Field, grid: Grid, flow: Flow) -> DisplacementField:
    """Displacements of a velocity on its nodes, which go on beyond the grid until they have fallen to zero."""
    sides = [np.take(found, [0, -1], axis=axis) for axis in range(3)]
    fastest = max(float(np.sqrt((side**2).sum(axis=-1)).max()) for side in sides)
    more = int(np.ceil(TAPER * fastest)) + 1
    wide = np.pad(found, [(more, more)] * 3 + [(0, 0)], mode="edge")
    for axis, size in enumerate(found.shape[:3]):
        at = np.arange(-more, size + more)
        off = np.clip(np.maximum(-at, at - (size - 1)) / more, 0, 1)
        fall = (1 - off * off * (3 - 2 * off)).astype(np.float32)
        wide *= fall.reshape([-1 if n == axis else 1 for n in range(4)])
    moved = flow.exponential(wide)
    affine = np.array(grid.affine)
    affine[:3, :3] *= VOXELS_PER_NODE
    affine[:3, 3] = grid.to_mm(np.full(3, (VOXELS_PER_NODE - 1) / 2 - VOXELS_PER_NODE * more))
    i, j, k = moved.shape[:3]
    nodes = Grid((i, j, k), affine, grid.frame_of_reference)
    return DisplacementField(nodes, (moved @ affine[:3, :3].T.astype(np.float32)).astype(np.float32))
