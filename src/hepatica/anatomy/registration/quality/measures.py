"""What is measured of a registration: target error, overlap of structures, volumes, the way there and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.registration.landmarks import Points, paired
from hepatica.core import Grid, Region
from hepatica.core.region import bounding_window
from hepatica.core.transform import Transform, warp_region

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TargetError:
    """Distances of moved landmarks from where the reader put them in the moving image (TRE).

    Attributes
    ----------
    mean_mm, sd_mm, max_mm : float
        Over the landmarks; the standard deviation is 0 of one.
    each_mm : mapping of str to float
        By name.
    mean_before_mm : float
        Of the same landmarks as the headers place the images.
    """

    mean_mm: float
    sd_mm: float
    max_mm: float
    each_mm: Mapping[str, float]
    mean_before_mm: float


@dataclass(frozen=True, slots=True)
class StructureAgreement:
    """A structure of the fixed image and the same of the moving one, brought over.

    Attributes
    ----------
    name : str
        Of both.
    dice : float
        2 |A and B| / (|A| + |B|), border voxels by their covered fraction.
    mean_distance_mm : float or None
        From surface to surface, both ways, averaged (MSD); None of a structure that fills no voxel by half.
    hausdorff_95_mm : float or None
        95th percentile of these distances, the larger of both ways (HD95); None likewise.
    dice_before : float
        Dice as the headers place the images.
    volume_fixed_ml, volume_moved_ml : float
        Volumes of the two.
    """

    name: str
    dice: float
    mean_distance_mm: float | None
    hausdorff_95_mm: float | None
    dice_before: float
    volume_fixed_ml: float
    volume_moved_ml: float


@dataclass(frozen=True, slots=True)
class FieldVolumes:
    """Jacobian determinant: volume of the moving tissue per volume of the fixed, over the region that counts.

    Attributes
    ----------
    lowest, highest : float
        Over the region; 0 or less is a fold.
    percentile_1, percentile_99 : float
        Between them lie 98 % of the region.
    folded_percent : float
        Share of the region that folds, %.
    """

    lowest: float
    highest: float
    percentile_1: float
    percentile_99: float
    folded_percent: float


@dataclass(frozen=True, slots=True)
class InverseConsistency:
    """How far from its start a point ends that goes there by this registration and back by another of the other way.

    Attributes
    ----------
    mean_mm, percentile_95_mm : float
        Over the region that counts.
    """

    mean_mm: float
    percentile_95_mm: float


def target_error(fixed: Points, moving: Points, transform: Transform) -> TargetError:
    """Target registration error of landmarks that stand in both images, LPS mm by name.

    Raises
    ------
    InputError
        If none does.
    """
    names, one, other = paired(fixed, moving)
    errors = np.linalg.norm(transform.points_mm(one) - other, axis=1)
    before = float(np.linalg.norm(one - other, axis=1).mean())
    sd = float(errors.std(ddof=1)) if len(names) > 1 else 0.0
    each = {name: float(error) for name, error in zip(names, errors, strict=True)}
    return TargetError(float(errors.mean()), sd, float(errors.max()), each, before)


def structure_agreement(fixed: Region, moving: Region, transform: Transform) -> StructureAgreement | None:
    """A structure of both images on the fixed image's voxels; None where nothing of the moving one comes there.

    Parameters
    ----------
    fixed, moving : Region
        Each on its own image.
    transform : Transform
        From fixed to moving.
    """
    if fixed.is_empty or moving.is_empty:
        return None
    grid = fixed.grid.crop(_around(fixed, moving, transform))
    one = _cropped(fixed, grid)
    moved = warp_region(moving, transform, grid)
    if moved.is_empty:
        return None
    # Headers mean the same place: the frames' names say nothing for this comparison.
    plain = Region(moving.name, moving.grid.with_frame_of_reference(None), moving.window, moving.coverage)
    placed = warp_region(plain, Transform(), fixed.grid.crop(_around(fixed, moving, Transform())))
    whole = Region.from_coverage(fixed.name, placed.grid, _cropped(fixed, placed.grid).full())
    there, back = surface_distances_mm(one.mask(), moved.mask(), grid)
    return StructureAgreement(
        fixed.name,
        dice(one.full(), moved.full()),
        float((there.mean() + back.mean()) / 2) if there.size and back.size else None,
        float(max(np.percentile(there, 95), np.percentile(back, 95))) if there.size and back.size else None,
        dice(whole.full(), placed.full()),
        fixed.volume_ml,
        moved.volume_ml,
    )


def dice(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Dice coefficient of two coverages of the same voxels; 0 of two that are empty."""
    together = float(one.sum(dtype=np.float64) + other.sum(dtype=np.float64))
    return 2 * float(np.minimum(one, other).sum(dtype=np.float64)) / together if together else 0.0


def surface_distances_mm(one: Mask, other: Mask, grid: Grid) -> tuple[FloatArray, FloatArray]:
    """Distances of each surface voxel of the one from the surface of the other, and the other way round."""
    from scipy import ndimage

    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in (one, other)]
    if not all(surface.any() for surface in surfaces):
        return np.zeros(0), np.zeros(0)
    first, second = (ndimage.distance_transform_edt(~surface, sampling=grid.spacing_mm) for surface in surfaces)
    return np.asarray(second[surfaces[0]]), np.asarray(first[surfaces[1]])


def field_volumes(transform: Transform, points_mm: FloatArray) -> FieldVolumes:
    """Jacobian determinant at points of the fixed image, shape (n, 3)."""
    found = transform.determinants(points_mm)
    one, ninety_nine = (float(n) for n in np.percentile(found, [1, 99]))
    return FieldVolumes(float(found.min()), float(found.max()), one, ninety_nine, 100.0 * float((found <= 0).mean()))


def inverse_consistency(there: Transform, back: Transform, points_mm: FloatArray) -> InverseConsistency:
    """Distance between points of the fixed image, shape (n, 3), and where `there` and then `back` take them."""
    missed = np.linalg.norm(back.points_mm(there.points_mm(points_mm)) - points_mm, axis=1)
    return InverseConsistency(float(missed.mean()), float(np.percentile(missed, 95)))


def _around(fixed: Region, moving: Region, transform: Transform) -> tuple[slice, slice, slice]:
    """Voxels of the fixed grid that hold the fixed structure and the moving one where its box may come to lie."""
    corners = moving.grid.crop(moving.window).corners_mm()
    index = fixed.grid.to_index(transform.inverse().points_mm(corners))
    slack = 20.0 / np.asarray(fixed.grid.spacing_mm)
    low, high = np.floor(index.min(axis=0) - slack), np.ceil(index.max(axis=0) + slack)
    bounds = []
    for axis, own in enumerate(fixed.window):
        start = int(np.clip(min(low[axis], own.start - 2), 0, own.start))
        stop = int(np.clip(max(high[axis], own.stop + 2), own.stop, fixed.grid.shape[axis]))
        bounds.append(slice(start, stop))
    i, j, k = bounds
    return i, j, k


def _cropped(region: Region, grid: Grid) -> Region:
    """A region on a part of its grid that holds it."""
    start = np.rint(region.grid.to_index(grid.origin_mm)).astype(int)
    full = np.zeros(grid.shape, dtype=np.float32)
    inner = tuple(slice(w.start - int(s), w.stop - int(s)) for w, s in zip(region.window, start, strict=True))
    full[inner] = region.coverage
    return Region(region.name, grid, window := bounding_window(full > 0), full[window], region.origin)
