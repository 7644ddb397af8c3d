"""A volume brought over by a transform onto a grid of the fixed frame; the caller says what must be conserved.

- ``values``: the value at the place that the transform names, by trilinear interpolation at the new voxel's centre. For
  HU, a fitted map, a dose that is looked at.
- ``density``: the same, averaged over the new voxel: a mass density stays what it is although the tissue swells.
- ``activity``: what a piece of tissue holds goes with it: a concentration is multiplied by the Jacobian determinant
  (moving volume per fixed volume), and the total is kept. For activity, decays, counts, energy.
- ``labels``: the label with the largest trilinear share.

A dose that is to be added up goes by energy and mass: `hepatica.core.transform.energy`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hepatica.core.grid import Grid
from hepatica.core.message import Message
from hepatica.core.region import Region
from hepatica.core.resample import has_exact_overlaps, resample
from hepatica.core.transform.reach import amount_inside, reached_window, samples_per_voxel, uncovered_by_fields
from hepatica.core.transform.steps import FloatArray, blocks, index_of
from hepatica.core.transform.transform import Transform
from hepatica.core.volume import Kind, Volume
from hepatica.errors import GeometryError, UnitError, UnknownNameError

How = Literal["values", "density", "activity", "labels"]

SLIVER = 1e-6
"""Covered fractions below this are rounding."""

ROUNDING = 1e-9
"""Shares below this are rounding of sums."""

LEFT_SHARE = 1e-3
"""Share of an activity beyond the target's field of view that is warned of: what conservation is held to."""

CORRECTION_SHARE = 0.01
"""Difference of the sampled sum from what lies in the field of view that is warned of; hot single voxels do it."""

FIELD_SHARE = 0.01
"""Share of a target's voxels beyond the displacement field that is warned of."""


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the whole when a volume was brought over.

    Attributes
    ----------
    total_before, total_after : float or None
        Sum over all voxels in the unit of an extensive kind (an activity concentration: in Bq); None where the sum
        means nothing (HU, dose, labels).
    left_share : float or None
        Share of the sum that lies beyond the target's field of view.
    correction : float or None
        Factor that brought the sampled sum to what lies in the field of view; 1 where overlaps are exact.
    uncovered_share : float
        Share of the target's voxels whose centre lies beyond the moving image.
    beyond_field_share : float
        Share of the target's voxels that a displacement field does not reach: there it moves nothing.
    """

    total_before: float | None
    total_after: float | None
    left_share: float | None
    correction: float | None
    uncovered_share: float
    beyond_field_share: float


@dataclass(frozen=True, slots=True)
class Warped:
    """A volume that was brought over, and what became of the whole.

    Attributes
    ----------
    volume : Volume
        On the target's grid, in its frame of reference.
    account : Account
        Totals and what was cut off.
    messages : tuple of Message
        What the reader must know of it.
    """

    volume: Volume
    account: Account
    messages: tuple[Message, ...] = ()


def warp_volume(
    volume: Volume, transform: Transform, grid: Grid, how: How = "values", *, outside: float = 0.0
) -> Volume:
    """`warp` without its account: the volume on the target's grid."""
    return warp(volume, transform, grid, how, outside=outside).volume


def warp(
    volume: Volume,
    transform: Transform,
    grid: Grid,
    how: How = "values",
    *,
    outside: float = 0.0,
    may_miss: bool = False,
) -> Warped:
    """A volume of the moving frame on a grid of the fixed frame.

    Parameters
    ----------
    volume : Volume
        In the moving frame.
    transform : Transform
        From the fixed to the moving frame.
    grid : Grid
        The target, in the fixed frame.
    how : {"values", "density", "activity", "labels"}
        What to conserve; see the module.
    outside : float
        Value where the moving image says nothing; an activity is zero there.
    may_miss : bool
        Whether it is no error that nothing of the volume comes to lie in the grid: a picture of what was before.

    Returns
    -------
    Warped
        The volume, totals before and after, and what left the field of view.

    Raises
    ------
    GeometryError
        If the frames of reference are not the transform's, or nothing of the volume comes to lie in the grid.
    UnitError
        If `how` does not suit the kind, or a voxel is no number.
    UnknownNameError
        If there is no such `how`.
    """
    if how not in get_args(How):
        raise UnknownNameError("way to bring something over", str(how), get_args(How))
    name = volume.name or volume.kind.meaning
    transform.require_frames(grid, volume.grid, f"bringing over {name}")
    _require_fit(volume.kind, how, name)
    frame = grid.frame_of_reference or transform.fixed_frame
    target = grid.with_frame_of_reference(frame)
    before = after = left = correction = None
    if how == "labels":
        values, uncovered = _vote(volume, transform, target, int(outside))
    elif how == "activity":
        volume.require_finite()
        values, uncovered, correction = conserved(volume, transform, target)
        before, after = volume.total, _total(values, volume.kind, target)
        left = 1 - after / before if before else None
        left = 0.0 if left is not None and abs(left) < ROUNDING else left
    else:
        parts = (1, 1, 1) if how == "values" else samples_per_voxel(transform, target, volume.grid, finest=1.0)
        values, uncovered = _look_over(volume.values, volume.grid, transform, target, parts, outside)
    if uncovered == 1 and not may_miss:
        raise GeometryError(
            f"{name}: nothing of it lies where the transform leads",
            remedy="look at the direction of the transform: it leads from the fixed image to the moving one",
        )
    values = values.astype(volume.values.dtype, copy=False)
    beyond = uncovered_by_fields(transform, target)
    account = Account(before, after, left, correction, uncovered, beyond)
    warped = Volume(target, values, volume.kind, volume.time, volume.name)
    return Warped(warped, account, _messages(name, volume.kind, account))


def warp_region(region: Region, transform: Transform, grid: Grid) -> Region:
    """Region of the moving frame on a grid of the fixed frame: covered fraction of each new voxel.

    Raises
    ------
    GeometryError
        If the frames of reference are not the transform's.
    """
    transform.require_frames(grid, region.grid, f"bringing over structure {region.name!r}")
    target = grid.with_frame_of_reference(grid.frame_of_reference or transform.fixed_frame)
    nowhere = replace(region, grid=target, window=(slice(0, 0),) * 3, coverage=np.zeros((0, 0, 0), np.float32))
    if not region.coverage.size:
        return nowhere
    # One empty voxel around it: the border falls off to zero where the drawing ends, not at the window's edge.
    source = region.grid.crop(tuple(slice(s.start - 1, s.stop + 1) for s in region.window))  # type: ignore[arg-type]
    around = reached_window(source, transform, target)
    if around is None:
        return nowhere
    part = target.crop(around)
    parts = samples_per_voxel(transform, part, source, finest=0.5)
    coverage, _ = _look_over(np.pad(region.coverage, 1), source, transform, part, parts, 0.0)
    covered = np.where(coverage < SLIVER, 0, np.clip(coverage, 0, 1)).astype(np.float32)
    found = Region.from_coverage(region.name, part, covered, origin=region.origin)
    i, j, k = (
        slice(inner.start + outer.start, inner.stop + outer.start)
        for inner, outer in zip(found.window, around, strict=True)
    )
    return replace(found, grid=target, window=(i, j, k), codes=region.codes)


def conserved(volume: Volume, transform: Transform, target: Grid) -> tuple[NDArray[np.float64], float, float]:
    """Amounts or concentrations on the target with their sum kept, share of uncovered voxels, correction factor.

    The concentration is looked up at sub-voxels no larger than half a moving voxel and multiplied by the Jacobian
    determinant; the sum is then brought to the amount of those moving voxels that lie in the target's field of view.
    Where the moving grid only shifts along the target's axes, overlaps are exact.
    """
    if (placed := _placed(volume.grid, transform, target)) is not None:
        return _shared_out(volume, placed, target)
    scale = volume.grid.voxel_volume_ml if volume.kind.extensive else 1.0
    concentration = volume.values / scale
    parts = samples_per_voxel(transform, target, volume.grid, finest=0.5)
    found, uncovered = _look_over(concentration, volume.grid, transform, target, parts, 0.0, scaled=True)
    inside = amount_inside(volume.values / scale, transform, target, volume.grid) * volume.grid.voxel_volume_ml
    sampled = float(found.sum(dtype=np.float64)) * target.voxel_volume_ml
    correction = inside / sampled if sampled else 1.0
    out = found * (correction * (target.voxel_volume_ml if volume.kind.extensive else 1.0))
    return out, uncovered, correction


def _placed(source: Grid, transform: Transform, target: Grid) -> Grid | None:
    """The moving grid in the fixed frame, where a rigid transform leaves its axes along the target's; else None."""
    if transform.kind not in ("identity", "rigid"):
        return None
    matrix = np.linalg.inv(transform.matrix) @ source.affine
    matrix[3] = 0, 0, 0, 1
    placed = Grid(source.shape, matrix, target.frame_of_reference)
    return placed if has_exact_overlaps(placed, target) else None


def _shared_out(volume: Volume, placed: Grid, target: Grid) -> tuple[NDArray[np.float64], float, float]:
    """`conserved` by exact overlaps."""
    extensive = volume.kind.extensive
    amounts = volume.values.astype(np.float64) * (1.0 if extensive else placed.voxel_volume_ml)
    found = resample(Volume(placed, amounts, Kind.ENERGY), target, "total").values
    missing = 0
    for _, points in blocks(target):
        missing += int((~_within(index_of(placed, points), placed)).sum())
    return found / (1.0 if extensive else target.voxel_volume_ml), missing / target.size, 1.0


def _look_over(
    values: NDArray[Any],
    source: Grid,
    transform: Transform,
    target: Grid,
    parts: tuple[int, int, int],
    outside: float,
    *,
    scaled: bool = False,
) -> tuple[NDArray[np.float64], float]:
    """Mean over each target voxel's sub-points of the value there (times the determinant); share that is uncovered."""
    from scipy import ndimage

    numbers = values.astype(np.float64, copy=False)
    out = np.zeros(target.shape)
    count, missing = int(np.prod(parts)), 0
    shifts = [(np.asarray(at) + 0.5) / parts - 0.5 for at in np.ndindex(*parts)]
    for block, centres in blocks(target):
        for shift in shifts:
            points = centres + target.affine[:3, :3] @ shift
            places, determinants = transform.mapped(points) if scaled else (transform.points_mm(points), None)
            index = index_of(source, places)
            found = ndimage.map_coordinates(numbers, np.moveaxis(index, -1, 0), order=1, mode="nearest")
            absent = ~_within(index, source)
            found[absent] = outside
            missing += int(absent.sum())
            out[block] += found if determinants is None else found * determinants
    out /= count
    return out, missing / (count * target.size)


def _vote(volume: Volume, transform: Transform, target: Grid, outside: int) -> tuple[NDArray[Any], float]:
    """Label with the largest trilinear share at each voxel's centre; the nearest one where shares are equal."""
    out = np.full(target.shape, outside, dtype=volume.values.dtype)
    missing = 0
    top = np.asarray(volume.grid.shape) - 1
    for block, points in blocks(target):
        index = index_of(volume.grid, transform.points_mm(points))
        inside = _within(index, volume.grid)
        missing += int((~inside).sum())
        at = index[inside]
        nearest = np.clip(np.rint(at), 0, top).astype(int)
        found = volume.values[tuple(nearest.T)]
        low = np.floor(at)
        part = at - low
        corners = list(product((0, 1), repeat=3))
        labels = np.stack([volume.values[tuple(np.clip(low + c, 0, top).astype(int).T)] for c in corners])
        mixed = np.flatnonzero((labels != labels[0]).any(axis=0))
        if mixed.size:
            weights = np.stack([np.where(c, part[mixed], 1 - part[mixed]).prod(axis=1) for c in corners])
            some = labels[:, mixed]
            shares = np.stack([(weights * (some == label)).sum(axis=0) for label in some])
            own = (weights * (some == found[mixed])).sum(axis=0)
            best = shares.argmax(axis=0)
            rows = np.arange(mixed.size)
            found[mixed] = np.where(shares[best, rows] > own + SLIVER, some[best, rows], found[mixed])
        slab = out[block]
        slab[inside] = found
    return out, missing / target.size


def _within(index: FloatArray, grid: Grid) -> NDArray[np.bool_]:
    """Whether fractional indices lie in a voxel of the grid."""
    return np.asarray(((index >= -0.5 - 1e-6) & (index <= np.asarray(grid.shape) - 0.5 + 1e-6)).all(axis=-1))


def _total(values: NDArray[Any], kind: Kind, grid: Grid) -> float:
    return float(values.sum(dtype=np.float64)) * (1.0 if kind.extensive else grid.voxel_volume_ml)


def _require_fit(kind: Kind, how: How, name: str) -> None:
    summed = kind.extensive or kind is Kind.ACTIVITY_CONCENTRATION
    if how == "labels" or kind is Kind.LABEL:
        if (how, kind) != ("labels", Kind.LABEL):
            raise UnitError(f"{name}: labels are brought over as 'labels' and nothing else is, not as {how!r}")
    elif how == "activity" and not summed and kind is not Kind.UNKNOWN:
        raise UnitError(f"{name}: {kind.meaning} has no total to conserve; bring it over as 'values' or 'density'")
    elif how != "activity" and kind.extensive:
        raise UnitError(f"{name}: {kind.meaning} must be brought over as 'activity', whose total is kept, not {how!r}")


def _messages(name: str, kind: Kind, account: Account) -> tuple[Message, ...]:
    found = []
    if account.left_share is not None and account.total_before is not None:
        unit = "Bq" if kind is Kind.ACTIVITY_CONCENTRATION else kind.unit
        text = (
            f"{name}: {1 - account.left_share:.2%} of {account.total_before:.4g} {unit} brought over, conserved by mass"
        )
        found.append(Message("total-conserved", text, severity="note"))
        if abs(account.left_share) > LEFT_SHARE:
            text = f"{name}: {account.left_share:.2%} of the total lie beyond the target's field of view and are lost"
            found.append(Message("left-field-of-view", text, "bring it over to a larger grid"))
    if account.correction is not None and abs(account.correction - 1) > CORRECTION_SHARE:
        text = f"{name}: the sampled sum was multiplied by {account.correction:.3f} to keep the total"
        found.append(Message("total-corrected", text, "single hot voxels near a border do this; look at the image"))
    if account.uncovered_share > 0:
        text = f"{name}: {account.uncovered_share:.1%} of the target's volume lie beyond it; nothing is known there"
        found.append(Message("target-not-covered", text, severity="note"))
    if account.beyond_field_share > FIELD_SHARE:
        text = (
            f"the displacement field does not reach {account.beyond_field_share:.1%} of the target: nothing moves there"
        )
        found.append(Message("field-not-reaching", text, "register over the whole target"))
    return tuple(found)
