"""Planned against delivered dose: whether the activity went where the scout said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.clinical import STRUCTURE_ROLES_TEXT, Structure, require_roles, union
from hepatica.anatomy.structures.drawn import DrawnStructures
from hepatica.core import Kind, Region, Volume
from hepatica.core.message import Message
from hepatica.core.options import Positive, options
from hepatica.core.resample import resample, resample_region
from hepatica.errors import GeometryError, InputError
from hepatica.planning.scout.lung_shunt import region_sum

CONSTANT = 1e-6
"""A map whose relative standard deviation in a region is below this is constant there."""

MAX_SHIFT_MM = 15.0
MAX_SHARE_CHANGE = 0.25
"""A centre of activity that moved by more than 15 mm, or a territory whose share changed by over 25 %, suggests that
the catheter was elsewhere (uncertain: a flag to look, not a finding)."""


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Mean difference (delivered minus planned) in Gy, its standard deviation, and the 95 % limits of agreement."""

    mean_gy: float
    sd_gy: float
    low_gy: float
    high_gy: float


@dataclass(frozen=True, slots=True)
class StructureConcordance:
    """One structure on both dose maps.

    Attributes
    ----------
    name : str
        Of the structure.
    planned_dose_mean_gy, delivered_dose_mean_gy : float
        Mean doses, by volume.
    relative_difference : float
        (delivered - planned) / planned.
    correlation : float or None
        Pearson's over the structure's voxels; None where one map is constant.
    dice_at_isodose : float or None
        Overlap of the volumes above the isodose; None if both are empty.
    bland_altman : BlandAltman
        Voxel by voxel.
    """

    name: str
    planned_dose_mean_gy: float
    delivered_dose_mean_gy: float
    relative_difference: float
    correlation: float | None
    dice_at_isodose: float | None
    bland_altman: BlandAltman


@dataclass(frozen=True, slots=True)
class Concordance:
    """All structures, T/N on both sides, and whether the catheter seems to have moved.

    Attributes
    ----------
    structures : tuple of StructureConcordance
        Lesions, then normal liver.
    isodose_gy : float
        For Dice.
    tumour_to_normal_planned, tumour_to_normal_delivered : float or None
        Dose of all lesions over dose of normal liver on each map; None without both.
    catheter_position_changed : bool
        A flag to look, see `MAX_SHIFT_MM`.
    shift_mm : float or None
        Of the centre of activity in the territory.
    territory_share_change : float or None
        Largest relative change of a territory's share of the activity.
    """

    structures: tuple[StructureConcordance, ...]
    isodose_gy: float
    tumour_to_normal_planned: float | None
    tumour_to_normal_delivered: float | None
    catheter_position_changed: bool
    shift_mm: float | None
    territory_share_change: float | None


def concordance(
    planned: Volume,
    delivered: Volume,
    lesions: Sequence[Region],
    *,
    normal: Region | None = None,
    territories: Sequence[Region] = (),
    isodose_gy: float,
) -> Concordance:
    """Planned and delivered dose compared, per lesion and voxel.

    Parameters
    ----------
    planned, delivered : Volume
        Predicted and delivered dose (Gy) on one grid.
    lesions : sequence of Region
        On that grid.
    normal : Region, optional
        Normal liver, for T/N both ways.
    territories : sequence of Region
        For the catheter flag.
    isodose_gy : float
        Level of the Dice overlap.

    Raises
    ------
    InputError
        If there are no lesions, or a dose map is empty where it is compared.
    """
    for volume in (planned, delivered):
        volume.require_kind(Kind.DOSE)
        volume.require_finite()
    planned.grid.require_match(delivered.grid, "planned and delivered dose")
    if not lesions:
        raise InputError("concordance needs at least one lesion")
    if not isodose_gy > 0:
        raise InputError(f"the isodose must be positive, not {isodose_gy:g} Gy")
    every = [*lesions] + ([normal] if normal is not None else [])
    rows = tuple(_compare(planned, delivered, region, isodose_gy) for region in every)
    ratios: tuple[float | None, float | None] = (None, None)
    if normal is not None and rows[-1].planned_dose_mean_gy > 0 and rows[-1].delivered_dose_mean_gy > 0:
        volumes = [lesion.volume_ml for lesion in lesions]
        means = [(row.planned_dose_mean_gy, row.delivered_dose_mean_gy) for row in rows]
        tumour = [
            math.fsum(m[n] * v for m, v in zip(means[:-1], volumes, strict=True)) / math.fsum(volumes) for n in (0, 1)
        ]
        ratios = (tumour[0] / means[-1][0], tumour[1] / means[-1][1])
    shift, change = _catheter(planned, delivered, territories)
    moved = (shift or 0.0) > MAX_SHIFT_MM or (change or 0.0) > MAX_SHARE_CHANGE
    return Concordance(rows, isodose_gy, *ratios, moved, shift, change)


def _compare(planned: Volume, delivered: Volume, region: Region, isodose_gy: float) -> StructureConcordance:
    region.grid.require_match(planned.grid, f"region {region.name!r} and dose")
    weights = region.coverage.ravel().astype(np.float64)
    if not weights.sum() > 0:
        raise InputError(f"region {region.name!r} is empty")
    weights = weights / weights.sum()
    a, b = (v.values[region.window].ravel().astype(np.float64) for v in (planned, delivered))
    mean_a, mean_b = float(weights @ a), float(weights @ b)
    if not mean_a > 0:
        raise InputError(f"the plan gives {region.name!r} no dose: there is nothing to compare with")
    var_a, var_b = float(weights @ (a - mean_a) ** 2), float(weights @ (b - mean_b) ** 2)
    covariance = float(weights @ ((a - mean_a) * (b - mean_b)))
    # Doses are kept to seven digits: less spread than that is rounding, and correlates with nothing.
    spread = all(math.sqrt(v) > CONSTANT * abs(m) for v, m in ((var_a, mean_a), (var_b, mean_b)))
    correlation = covariance / math.sqrt(var_a * var_b) if spread and var_a > 0 and var_b > 0 else None
    both = float(weights @ ((a >= isodose_gy) & (b >= isodose_gy)))
    either = float(weights @ (a >= isodose_gy)) + float(weights @ (b >= isodose_gy))
    sd = math.sqrt(max(0.0, var_a + var_b - 2 * covariance))
    mean = mean_b - mean_a
    agreement = BlandAltman(mean, sd, mean - 1.96 * sd, mean + 1.96 * sd)
    dice = 2 * both / either if either else None
    return StructureConcordance(region.name, mean_a, mean_b, mean / mean_a, correlation, dice, agreement)


def _catheter(planned: Volume, delivered: Volume, territories: Sequence[Region]) -> tuple[float | None, float | None]:
    """Largest shift of a territory's centre of dose in mm, and largest relative change of its share."""
    if not territories:
        return None, None
    shifts, shares = [], []
    totals = [math.fsum(region_sum(v, t) for t in territories) for v in (planned, delivered)]
    for territory in territories:
        centres = []
        for volume in (planned, delivered):
            weights = territory.coverage * volume.values[territory.window]
            total = float(weights.sum(dtype=np.float64))
            if not total > 0:
                raise InputError(f"a dose map holds nothing in territory {territory.name!r}")
            axes = np.meshgrid(*(np.arange(s.start, s.stop) for s in territory.window), indexing="ij", sparse=True)
            index = [float((weights * axis).sum(dtype=np.float64)) / total for axis in axes]
            centres.append(territory.grid.to_mm(index))
        shifts.append(float(np.linalg.norm(centres[1] - centres[0])))
        before, after = (region_sum(v, territory) / t for v, t in zip((planned, delivered), totals, strict=True))
        shares.append(abs(after / before - 1))
    return max(shifts), max(shares)


def about_catheter(found: Concordance) -> tuple[Message, ...]:
    """What to know if the catheter seems to have been elsewhere."""
    if not found.catheter_position_changed:
        return ()
    text = "the dose lies elsewhere within a territory, or is shared differently among territories"
    return (Message("catheter-position", text, "look whether the catheter was elsewhere"),)


def onto_planned(delivered: Volume, planned: Volume, regions: Sequence[Region]) -> Volume:
    """Delivered dose on the voxels of the planned one; nothing is made up where a structure leaves its view."""
    moved = resample(delivered, planned.grid, "linear", outside=np.nan)
    for region in regions:
        outside = np.isnan(moved.values[region.window]) & (region.coverage > 0)
        if outside.any():
            missing = float(region.coverage[outside].sum(dtype=np.float64)) * planned.grid.voxel_volume_ml
            raise GeometryError(f"structure {region.name!r}: {missing:.3g} mL lie outside the delivered dose map")
    return moved.with_values(np.nan_to_num(moved.values, nan=0.0))


def mean_dose_gy(dose: Volume, regions: Sequence[Region]) -> float:
    """Mean dose over all regions by volume."""
    total = math.fsum(float((r.coverage * dose.values[r.window]).sum(dtype=np.float64)) for r in regions)
    mean = total / math.fsum(region.voxels for region in regions)
    if not mean > 0:
        raise InputError("the plan gives the lesions no dose: there is nothing to compare with")
    return mean


def voxel_doses(
    planned: Volume, delivered: Volume, region: Region
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Doses of the voxels that are at least half inside a region (all of them in a region smaller than that)."""
    inside = region.coverage >= min(0.5, float(region.coverage.max()))
    return planned.values[region.window][inside], delivered.values[region.window][inside]


@options
class ConcordanceOptions:
    """How the maps are compared.

    Attributes
    ----------
    isodose_gy : float or None
        Level of the Dice overlap; the planned mean over all lesions if not given.
    structure_roles : mapping of str to str
        What a structure is, where its name does not say: tumour, liver, perfused.
    registered : bool
        Maps of different frames of reference lie together.
    """

    isodose_gy: Positive | None = None
    structure_roles: Annotated[Mapping[str, str] | None, STRUCTURE_ROLES_TEXT] = None
    registered: bool = False

    def __post_init__(self) -> None:
        require_roles(self.structure_roles)


@dataclass(frozen=True, slots=True, eq=False)
class ComparedMaps:
    """Concordance of two maps, the delivered one on the voxels of the planned one, and the lesions there."""

    concordance: Concordance
    delivered: Volume
    lesions: tuple[Region, ...]


def compared_maps(
    planned: Volume, delivered: Volume, drawn: DrawnStructures, *, isodose_gy: float | None
) -> ComparedMaps:
    """Concordance on the structures of a patient; by default at the planned mean over all lesions.

    Raises
    ------
    InputError
        If no structure is a tumour, or a map holds nothing where it is compared.
    GeometryError
        If a structure reaches outside the delivered dose map.
    """
    drawn = replace(drawn, regions={n: resample_region(r, planned.grid) for n, r in drawn.regions.items()})
    lesions, liver = drawn.of(Structure.TUMOUR), drawn.liver()
    if not lesions:
        raise InputError("no structure is a tumour", remedy="state `structure_roles`: 'NAME=tumour'")
    # A label map cannot hold the tumours in the liver too.
    liver = None if liver is None else (liver | union(lesions)).renamed("liver")
    territories = drawn.of(Structure.PERFUSED) or ([] if liver is None else [liver])
    normal = None if liver is None else (liver - union(lesions)).renamed("normal liver")
    used = [*lesions, *territories, *([] if normal is None else [normal])]
    moved = onto_planned(delivered, planned, used)
    level = isodose_gy if isodose_gy is not None else mean_dose_gy(planned, lesions)
    found = concordance(planned, moved, lesions, normal=normal, territories=territories, isodose_gy=level)
    return ComparedMaps(found, moved, tuple(lesions))
