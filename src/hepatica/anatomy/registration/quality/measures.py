"""What is measured of a registration: target error, overlap of structures, volumes, the way there and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.registration.landmarks import Points, paired
from hepatica.anatomy.registration.quality.shapes import BorderOf, compared_shapes, overlap
from hepatica.core import Grid, Region
from hepatica.core.transform import Transform

FloatArray = NDArray[np.float64]


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
        2 |A and B| / (|A| + |B|), of points 1 to 2 mm apart, each inside or outside of either drawing.
    mean_distance_mm : float or None
        From surface to surface, both ways, averaged (MSD); None of a structure that holds no point.
    hausdorff_95_mm : float or None
        95th percentile of these distances, the larger of both ways (HD95); None likewise.
    dice_before : float
        Dice as the headers place the images.
    volume_fixed_ml, volume_moved_ml : float
        Volumes of the two, each on its own image.
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
    """A structure of both images on common points; None where nothing of the moving one comes there.

    Parameters
    ----------
    fixed, moving : Region
        Each on its own image.
    transform : Transform
        From fixed to moving.
    """
    if fixed.is_empty or moving.is_empty:
        return None
    # Headers mean the same place: the frames' names say nothing for this comparison.
    one, other = BorderOf.of(fixed), BorderOf.of(moving)
    after = compared_shapes(one, other, transform, _around(fixed, moving, transform))
    if after is None:
        return None
    before = overlap(one, other, Transform(), _around(fixed, moving, Transform()))
    return StructureAgreement(
        fixed.name,
        after.dice,
        after.mean_mm,
        after.percentile_95_mm,
        before or 0.0,
        fixed.volume_ml,
        moving.volume_ml,
    )


def field_volumes(transform: Transform, points_mm: FloatArray) -> FieldVolumes:
    """Jacobian determinant at points of the fixed image, shape (n, 3)."""
    found = transform.determinants(points_mm)
    one, ninety_nine = (float(n) for n in np.percentile(found, [1, 99]))
    return FieldVolumes(float(found.min()), float(found.max()), one, ninety_nine, 100.0 * float((found <= 0).mean()))


def inverse_consistency(there: Transform, back: Transform, points_mm: FloatArray) -> InverseConsistency:
    """Distance between points of the fixed image, shape (n, 3), and where `there` and then `back` take them."""
    missed = np.linalg.norm(back.points_mm(there.points_mm(points_mm)) - points_mm, axis=1)
    return InverseConsistency(float(missed.mean()), float(np.percentile(missed, 95)))


def _around(fixed: Region, moving: Region, transform: Transform) -> Grid:
    """The part of the fixed grid that holds the fixed structure and the moving one where its box may come to lie."""
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
    return fixed.grid.crop((i, j, k))
