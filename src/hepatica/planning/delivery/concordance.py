"""Scout against therapy: whether the activity went where the plan said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hepatica.core import Kind, Region, Volume
from hepatica.errors import InputError

CONSTANT = 1e-6
"""A map whose relative standard deviation in a region is below this is constant there."""

CATHETER_SHIFT_MM = 15.0
CATHETER_SHARE = 0.25
"""A centre of activity that moved by more than 15 mm, or a territory whose share changed by over 25 %, suggests that
the catheter was elsewhere (uncertain: a flag to look, not a finding)."""


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Mean difference (therapy minus scout) in Gy, its standard deviation, and the 95 % limits of agreement."""

    mean_gy: float
    sd_gy: float
    low_gy: float
    high_gy: float


@dataclass(frozen=True, slots=True)
class RegionConcordance:
    """One region on both dose maps.

    Attributes
    ----------
    name : str
        Of the region.
    scout_gy, therapy_gy : float
        Mean doses, by volume.
    difference : float
        (therapy - scout) / scout.
    correlation : float or None
        Pearson's over the region's voxels; None where one map is constant.
    dice : float or None
        Overlap of the volumes above the isodose; None if both are empty.
    bland_altman : BlandAltman
        Voxel by voxel.
    """

    name: str
    scout_gy: float
    therapy_gy: float
    difference: float
    correlation: float | None
    dice: float | None
    bland_altman: BlandAltman

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        b = self.bland_altman
        return {
            "name": self.name,
            "scout_dose_mean_gy": self.scout_gy,
            "therapy_dose_mean_gy": self.therapy_gy,
            "relative_difference": self.difference,
            "correlation": self.correlation,
            "dice_at_isodose": self.dice,
            "bland_altman_gy": {"mean": b.mean_gy, "sd": b.sd_gy, "low": b.low_gy, "high": b.high_gy},
        }


@dataclass(frozen=True, slots=True)
class Concordance:
    """All regions, T/N on both sides, and whether the catheter seems to have moved.

    Attributes
    ----------
    regions : tuple of RegionConcordance
        As given.
    isodose_gy : float
        For Dice.
    ratio_scout, ratio_therapy : float or None
        Dose of all lesions over dose of normal liver on each map; None without both.
    catheter_changed : bool
        A flag to look, see `CATHETER_SHIFT_MM`.
    shift_mm : float or None
        Of the centre of activity in the territory.
    share_change : float or None
        Largest relative change of a territory's share of the activity.
    """

    regions: tuple[RegionConcordance, ...]
    isodose_gy: float
    ratio_scout: float | None
    ratio_therapy: float | None
    catheter_changed: bool
    shift_mm: float | None
    share_change: float | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "regions": [region.as_dict() for region in self.regions],
            "isodose_gy": self.isodose_gy,
            "tumour_to_normal_scout": self.ratio_scout,
            "tumour_to_normal_therapy": self.ratio_therapy,
            "catheter_position_changed": self.catheter_changed,
            "shift_mm": self.shift_mm,
            "territory_share_change": self.share_change,
        }


def concordance(
    scout: Volume,
    therapy: Volume,
    lesions: Sequence[Region],
    *,
    normal: Region | None = None,
    territories: Sequence[Region] = (),
    isodose_gy: float,
) -> Concordance:
    """Planned and delivered dose compared, per lesion and voxel.

    Parameters
    ----------
    scout, therapy : Volume
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
    for volume in (scout, therapy):
        volume.require_kind(Kind.DOSE)
        volume.require_finite()
    scout.grid.require_match(therapy.grid, "planned and delivered dose")
    if not lesions:
        raise InputError("concordance needs at least one lesion")
    if not isodose_gy > 0:
        raise InputError(f"the isodose must be positive, not {isodose_gy:g} Gy")
    every = [*lesions] + ([normal] if normal is not None else [])
    rows = tuple(_compare(scout, therapy, region, isodose_gy) for region in every)
    ratios: list[float | None] = [None, None]
    if normal is not None and rows[-1].scout_gy > 0 and rows[-1].therapy_gy > 0:
        volumes = [lesion.volume_ml for lesion in lesions]
        for n, pick in enumerate(("scout_gy", "therapy_gy")):
            means = [getattr(row, pick) for row in rows[:-1]]
            tumour = math.fsum(m * v for m, v in zip(means, volumes, strict=True)) / math.fsum(volumes)
            ratios[n] = tumour / getattr(rows[-1], pick)
    shift, change = _catheter(scout, therapy, territories)
    moved = (shift or 0.0) > CATHETER_SHIFT_MM or (change or 0.0) > CATHETER_SHARE
    return Concordance(rows, isodose_gy, ratios[0], ratios[1], moved, shift, change)


def _compare(scout: Volume, therapy: Volume, region: Region, isodose_gy: float) -> RegionConcordance:
    region.grid.require_match(scout.grid, f"region {region.name!r} and dose")
    weights = region.coverage.ravel().astype(np.float64)
    if not weights.sum() > 0:
        raise InputError(f"region {region.name!r} is empty")
    weights = weights / weights.sum()
    a, b = (v.values[region.window].ravel().astype(np.float64) for v in (scout, therapy))
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
    return RegionConcordance(region.name, mean_a, mean_b, mean / mean_a, correlation, dice, agreement)


def _catheter(scout: Volume, therapy: Volume, territories: Sequence[Region]) -> tuple[float | None, float | None]:
    """Largest shift of a territory's centre of dose in mm, and largest relative change of its share."""
    if not territories:
        return None, None
    shifts, shares = [], []
    totals = [math.fsum(t.total(v) for t in territories) for v in (scout, therapy)]
    for territory in territories:
        centres = []
        for volume in (scout, therapy):
            weights = territory.coverage * volume.values[territory.window]
            total = float(weights.sum(dtype=np.float64))
            if not total > 0:
                raise InputError(f"a dose map holds nothing in territory {territory.name!r}")
            axes = np.meshgrid(*(np.arange(s.start, s.stop) for s in territory.window), indexing="ij", sparse=True)
            index = [float((weights * axis).sum(dtype=np.float64)) / total for axis in axes]
            centres.append(territory.grid.to_mm(index))
        shifts.append(float(np.linalg.norm(centres[1] - centres[0])))
        before, after = (territory.total(v) / t for v, t in zip((scout, therapy), totals, strict=True))
        shares.append(abs(after / before - 1))
    return max(shifts), max(shares)
