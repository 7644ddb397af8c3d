"""Planned against delivered dose: whether the activity went where the scout said."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.clinical import STRUCTURE_ROLES_TEXT, Structure, require_roles, union
from hepatica.anatomy.structures.drawn import DrawnStructures
from hepatica.core import Kind, Region, Volume
from hepatica.core.message import Message
from hepatica.core.options import Fraction, NonNegative, Positive, options
from hepatica.core.resample import resample, resample_region
from hepatica.core.seen_field import cut_words
from hepatica.errors import GeometryError, InputError
from hepatica.planning.delivery.placement import (
    POSITION_SD_MM,
    PartShare,
    centre_shift_mm,
    held_when_moved,
    mean_position_sd,
    part_shares,
    significance,
)
from hepatica.planning.guardrails import Situation, check
from hepatica.planning.limits.dose_limits import SEEN_WHOLE

CONSTANT = 1e-6
"""A map whose relative standard deviation in a region is below this is constant there."""

MAX_SHIFT_MM = 15.0
"""A centre of activity that moved by more than this within a part of the liver suggests that the catheter was elsewhere
(three times `placement.POSITION_SD_MM`). A flag to look, not a finding."""

QUANTIFICATION_RELATIVE_SD = 0.10
"""Relative standard uncertainty of the activity of either map. Our assumption, an option."""

LOST_SHARE = 0.2
"""A lesion that got less than this part of what was planned got none in practice: of 200 Gy planned, under 40 Gy. Our
choice."""

MIN_REST = 0.01
"""Less of the liver than this outside its parts is a border, not a part."""

MIN_PLANNED_SHARE = 0.1
"""A lesion that the plan gives less than this part of the mean over all lesions is not one that the plan treats."""

SURE_Z = 1.96
"""A change beyond this many standard uncertainties is called a change (95 %, two-sided)."""

GROSS_RATIO = 2.0
"""A total energy in the liver that is this many times the plan's, or less than its inverse, is critical. Our choice."""

NORMAL_LIVER = "normal liver"
"""Name of the liver less its tumours among the structures that are compared."""

Verdict = Literal["as planned", "less", "more", "lost", "not planned", "not planned, treated"]


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
    relative_difference : float or None
        (delivered - planned) / planned; None where the plan gives it nothing.
    correlation : float or None
        Pearson's over the structure's voxels; None where one map is constant.
    dice_at_isodose : float or None
        Overlap of the volumes above the isodose; None if both are empty.
    bland_altman : BlandAltman
        Voxel by voxel.
    difference_sd_gy : float
        Standard uncertainty of delivered minus planned, by position and quantification of both maps.
    verdict : {"as planned", "less", "more", "lost", "not planned", "not planned, treated"}
        Logarithm of delivered over planned against its uncertainty, so that half and twice are judged alike; "lost"
        below a fifth of what was planned (`LOST_SHARE`).
    verdict_by_share : same or None
        The same with the delivered map scaled to the plan's energy in the liver: what a wrong activity or calibration
        does to every lesion alike is taken off. None without liver or territory.
    """

    name: str
    planned_dose_mean_gy: float
    delivered_dose_mean_gy: float
    relative_difference: float | None
    correlation: float | None
    dice_at_isodose: float | None
    bland_altman: BlandAltman
    difference_sd_gy: float
    verdict: Verdict
    verdict_by_share: Verdict | None = None


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
    catheter_position_changed : bool or None
        A flag to look: a lesion lost, a part of the liver with another share, or a centre of dose that moved (see
        `MAX_SHIFT_MM`). None where there is neither liver nor territory nor a lost lesion to judge by.
    signs : tuple of str
        What speaks for it, a sentence each.
    parts : tuple of PartShare
        Shares of territories (else of lobes, else of where the plan has dose) and of the rest of the liver.
    shift_mm : float or None
        Largest shift of the centre of dose within a territory, else within the liver.
    territory_share_change : float or None
        Largest relative change of a share that was planned.
    total_ratio : float or None
        Energy in the liver, delivered over planned; None without liver or territory, or where either is zero.
    total_differs : bool
        Whether that is beyond the uncertainty of quantification of both maps.
    """

    structures: tuple[StructureConcordance, ...]
    isodose_gy: float
    tumour_to_normal_planned: float | None
    tumour_to_normal_delivered: float | None
    catheter_position_changed: bool | None
    signs: tuple[str, ...]
    parts: tuple[PartShare, ...]
    shift_mm: float | None
    territory_share_change: float | None
    total_ratio: float | None = None
    total_differs: bool = False


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well two maps can agree.

    Attributes
    ----------
    position_sd_mm : float
        Standard uncertainty of position between structures and either map, along each axis.
    quantification_relative_sd : float
        Relative standard uncertainty of the activity of either map.
    """

    position_sd_mm: float = POSITION_SD_MM
    quantification_relative_sd: float = QUANTIFICATION_RELATIVE_SD


def concordance(
    planned: Volume,
    delivered: Volume,
    lesions: Sequence[Region],
    *,
    normal: Region | None = None,
    territories: Sequence[Region] = (),
    isodose_gy: float,
    agreement: Agreement = Agreement(),
) -> Concordance:
    """Planned and delivered dose compared, per lesion and voxel, and by where the activity went.

    Parameters
    ----------
    planned, delivered : Volume
        Predicted and delivered dose (Gy) on one grid.
    lesions : sequence of Region
        On that grid.
    normal : Region, optional
        Normal liver, for T/N both ways; with the lesions it is the liver whose parts are compared.
    territories : sequence of Region
        Territories or lobes whose shares are compared.
    isodose_gy : float
        Level of the Dice overlap.
    agreement : Agreement
        How well the maps can agree.

    Raises
    ------
    InputError
        If there are no lesions, or the plan gives them all no dose.
    """
    for volume in (planned, delivered):
        volume.require_kind(Kind.DOSE)
        volume.require_finite()
    planned.grid.require_match(delivered.grid, "planned and delivered dose")
    if not lesions:
        raise InputError("concordance needs at least one lesion")
    if not isodose_gy > 0:
        raise InputError(f"the isodose must be positive, not {isodose_gy:g} Gy")
    mean = mean_dose_gy(planned, lesions)
    every = [*lesions, *([normal] if normal is not None else [])]
    # In a label map a lobe is no part of the structure "liver"; shares of less than the whole would sum to more than 1.
    around = [*(every if normal is not None else []), *territories]
    whole = union(around) if around else None
    parts = [] if whole is None else _parts(whole, territories, planned)
    regions = [*every, *([] if whole is None else [whole]), *parts]
    for region in regions:
        region.grid.require_match(planned.grid, f"region {region.name!r} and dose")
        if region.is_empty:
            raise InputError(f"region {region.name!r} is empty")
    held = [held_when_moved(dose, regions, agreement.position_sd_mm) for dose in (planned, delivered)]
    count = len(every)
    total = None if whole is None else _total_ratio(*(float(h[0, count]) for h in held))
    twice = [held_when_moved(dose, every, 2 * agreement.position_sd_mm) for dose in (planned, delivered)]
    sds = _mean_sds(every, [h[:, :count] for h in held], twice, agreement.quantification_relative_sd)
    rows = tuple(
        _compare(planned, delivered, region, isodose_gy, sds_gy=sd, least_gy=MIN_PLANNED_SHARE * mean, total=total)
        for region, sd in zip(every, sds, strict=True)
    )
    shares = part_shares(parts, *(h[:, count:] for h in held)) if parts else ()
    centres = [centre_shift_mm(planned, delivered, r) for r in territories or ([] if whole is None else [whole])]
    shift = max((d for d in centres if d is not None), default=None)
    signs = _signs(rows[: len(lesions)], shares, shift)
    changes = [abs(change) for part in shares if (change := part.relative_change) is not None]
    return Concordance(
        rows, isodose_gy, *_ratios(rows, lesions, normal), bool(signs) if whole is not None or signs else None, signs,
        shares, shift, max(changes, default=None), total, _total_differs(total, agreement.quantification_relative_sd),
    )  # fmt: skip


def _total_ratio(planned: float, delivered: float) -> float | None:
    return delivered / planned if planned > 0 and delivered > 0 else None


def _total_differs(ratio: float | None, relative_sd: float) -> bool:
    return ratio is not None and abs(math.log(ratio)) > SURE_Z * math.sqrt(2) * relative_sd


def _parts(whole: Region, territories: Sequence[Region], planned: Volume) -> list[Region]:
    """Territories, else where the plan has half its mean dose and more, and the rest of the liver."""
    if territories:
        parts = list(territories)
    else:
        level = whole.mean(planned) / 2
        covered = np.where(planned.values >= level, whole.full(), 0)
        parts = [Region.from_coverage("where the plan has dose", whole.grid, covered)]
    rest = (whole - union(parts)).renamed("rest of the liver")
    # A sliver at the border is no part.
    enough = rest.volume_ml > MIN_REST * whole.volume_ml
    found = [*parts, *([rest] if enough else [])]
    return found if len(found) > 1 else []


def _mean_sds(
    regions: Sequence[Region],
    once: Sequence[NDArray[np.float64]],
    twice: Sequence[NDArray[np.float64]],
    relative_sd: float,
) -> list[tuple[float, float]]:
    """Standard uncertainty of the planned and of the delivered mean of each region, Gy, by position and activity."""
    voxels = np.array([region.voxels for region in regions])
    sds = [
        np.hypot(mean_position_sd(near / voxels, far / voxels), relative_sd * near[0] / voxels)
        for near, far in zip(once, twice, strict=True)
    ]
    return [(float(a), float(b)) for a, b in zip(*sds, strict=True)]


def _ratios(
    rows: Sequence[StructureConcordance], lesions: Sequence[Region], normal: Region | None
) -> tuple[float | None, float | None]:
    if normal is None or not (rows[-1].planned_dose_mean_gy > 0 and rows[-1].delivered_dose_mean_gy > 0):
        return None, None
    volumes = [lesion.volume_ml for lesion in lesions]
    means = [(row.planned_dose_mean_gy, row.delivered_dose_mean_gy) for row in rows]
    tumour = [
        math.fsum(m[n] * v for m, v in zip(means[:-1], volumes, strict=True)) / math.fsum(volumes) for n in (0, 1)
    ]
    return tumour[0] / means[-1][0], tumour[1] / means[-1][1]


def _compare(
    planned: Volume,
    delivered: Volume,
    region: Region,
    isodose_gy: float,
    *,
    sds_gy: tuple[float, float],
    least_gy: float,
    total: float | None,
) -> StructureConcordance:
    weights = region.coverage.ravel().astype(np.float64)
    weights = weights / weights.sum()
    a, b = (v.values[region.window].ravel().astype(np.float64) for v in (planned, delivered))
    mean_a, mean_b = float(weights @ a), float(weights @ b)
    var_a, var_b = float(weights @ (a - mean_a) ** 2), float(weights @ (b - mean_b) ** 2)
    covariance = float(weights @ ((a - mean_a) * (b - mean_b)))
    # Doses are kept to seven digits: less spread than that is rounding, and correlates with nothing.
    spread = all(math.sqrt(v) > CONSTANT * abs(m) for v, m in ((var_a, mean_a), (var_b, mean_b)))
    correlation = covariance / math.sqrt(var_a * var_b) if spread and var_a > 0 and var_b > 0 else None
    both = float(weights @ ((a >= isodose_gy) & (b >= isodose_gy)))
    either = float(weights @ (a >= isodose_gy)) + float(weights @ (b >= isodose_gy))
    sd = math.sqrt(max(0.0, var_a + var_b - 2 * covariance))
    mean = mean_b - mean_a
    relative = math.hypot(*(s / m if m > 0 else 0.0 for s, m in zip(sds_gy, (mean_a, mean_b), strict=True)))
    return StructureConcordance(
        region.name, mean_a, mean_b, mean / mean_a if mean_a > 0 else None, correlation,
        2 * both / either if either else None, BlandAltman(mean, sd, mean - 1.96 * sd, mean + 1.96 * sd),
        math.hypot(*sds_gy), _verdict(mean_a, mean_b, relative, least_gy),
        None if total is None else _verdict(mean_a, mean_b / total, relative, least_gy),
    )  # fmt: skip


def _verdict(planned_gy: float, delivered_gy: float, relative_sd: float, least_gy: float) -> Verdict:
    if planned_gy < least_gy:
        return "not planned, treated" if delivered_gy >= least_gy / MIN_PLANNED_SHARE * LOST_SHARE else "not planned"
    if delivered_gy < LOST_SHARE * planned_gy:
        return "lost"
    z = significance(math.log(delivered_gy / planned_gy), relative_sd)
    if z is not None and abs(z) <= SURE_Z:
        return "as planned"
    return "more" if delivered_gy > planned_gy else "less"


def _signs(
    lesions: Sequence[StructureConcordance], parts: Sequence[PartShare], shift_mm: float | None
) -> tuple[str, ...]:
    """What speaks for another place of the catheter."""
    signs = [
        f"lesion {row.name!r} was planned to get {row.planned_dose_mean_gy:.3g} Gy and got "
        f"{row.delivered_dose_mean_gy:.3g} Gy"
        for row in lesions
        if (row.verdict_by_share or row.verdict) == "lost"
    ]
    signs += [
        f"lesion {row.name!r}, which the plan does not treat ({row.planned_dose_mean_gy:.3g} Gy), got "
        f"{row.delivered_dose_mean_gy:.3g} Gy"
        for row in lesions
        if (row.verdict_by_share or row.verdict) == "not planned, treated"
    ]
    signs += [part.sentence() for part in parts if part.differs]
    if shift_mm is not None and shift_mm > MAX_SHIFT_MM:
        signs.append(f"the centre of dose moved by {shift_mm:.0f} mm")
    return tuple(signs)


def about_total(found: Concordance) -> tuple[Message, ...]:
    """Whether the energy in the liver differs as a whole, which says nothing of where it went within."""
    if not found.total_differs or found.total_ratio is None:
        return ()
    gross = not 1 / GROSS_RATIO < found.total_ratio < GROSS_RATIO
    text = f"the liver got {found.total_ratio:.2g} times the energy that the plan has: activity or calibration differs"
    remedy = "compare the activities of plan and treatment, the calibration of either image, and what left the liver"
    return (Message("total-activity-differs", text, remedy, "critical" if gross else "warning"),)


def about_registration(registration_error_mm: float | None) -> tuple[Message, ...]:
    """What the guardrail on misaligned images says; nothing where the error is not known."""
    if registration_error_mm is None:
        return ()
    spoken = check(Situation(registration_error_mm=registration_error_mm)).warned
    return tuple(Message(one.id, one.message, severity="warning") for one in spoken if one.id == "registration")


def about_catheter(found: Concordance) -> tuple[Message, ...]:
    """Whether the catheter seems to have been elsewhere, and by what that is judged."""
    if found.catheter_position_changed is None:
        text = "whether the catheter was elsewhere is not judged: no structure is the liver, a lobe or a territory"
        return (Message("catheter-not-judged", text, "draw the liver, better its territories"),)
    if found.catheter_position_changed:
        text = f"the activity may have gone elsewhere than planned: {'; '.join(found.signs)}"
        remedy = "look whether the catheter was elsewhere, the flow had changed, or the images do not lie together"
        lost = any((row.verdict_by_share or row.verdict) == "lost" for row in found.structures)
        return (Message("catheter-position", text, remedy, "critical" if lost else "warning"),)
    by_share = " by its share" if found.total_differs else ""
    seen = [f"no lesion lost{by_share} of {sum(1 for row in found.structures[:-1] if row.verdict != 'not planned')}"]
    if found.parts:
        listed = ", ".join(f"{p.name} {p.planned_share:.0%} to {p.delivered_share:.0%}" for p in found.parts)
        seen.append(f"shares of the liver's activity within their uncertainty ({listed})")
    if found.shift_mm is not None:
        seen.append(f"centre of dose moved by {found.shift_mm:.0f} mm")
    text = f"no sign that the catheter was elsewhere: {'; '.join(seen)}; what changed within a part is not judged"
    return (Message("catheter-position-kept", text, severity="note"),)


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
    position_sd_mm : float
        Standard uncertainty of position between structures and either map, along each axis.
    quantification_relative_sd : float
        Relative standard uncertainty of the activity of either map.
    registration_error_mm : float or None
        How far the liver's or tumours' surfaces lie apart in both images after their registration, where that was
        measured: a guardrail looks at it.
    """

    isodose_gy: Positive | None = None
    structure_roles: Annotated[Mapping[str, str] | None, STRUCTURE_ROLES_TEXT] = None
    registered: bool = False
    position_sd_mm: NonNegative = POSITION_SD_MM
    quantification_relative_sd: Fraction = QUANTIFICATION_RELATIVE_SD
    registration_error_mm: NonNegative | None = None

    def __post_init__(self) -> None:
        require_roles(self.structure_roles)


@dataclass(frozen=True, slots=True, eq=False)
class ComparedMaps:
    """Concordance of two maps, the delivered one on the voxels of the planned one, and the lesions there."""

    concordance: Concordance
    delivered: Volume
    lesions: tuple[Region, ...]
    messages: tuple[Message, ...] = ()


def compared_maps(
    planned: Volume,
    delivered: Volume,
    drawn: DrawnStructures,
    *,
    isodose_gy: float | None,
    agreement: Agreement = Agreement(),
    seen: Callable[[Region], float] = lambda region: 1.0,
) -> ComparedMaps:
    """Concordance on the structures of a patient; by default at the planned mean over all lesions.

    A lesion that lies outside either map, or of which the image after treatment sees a part alone, is left out, and
    said; the rest goes on. Of a liver that it does not see whole neither T/N, shares nor total are judged, of a
    territory no share. `seen` gives the share of a region that it sees.

    Raises
    ------
    InputError
        If no structure is a tumour, none of them lies in both maps, or the plan gives them no dose.
    GeometryError
        If the liver or a territory reaches outside the delivered dose map.
    """
    drawn = replace(drawn, regions={n: resample_region(r, planned.grid) for n, r in drawn.regions.items()})
    every, liver = drawn.of(Structure.TUMOUR), drawn.liver()
    if not every:
        raise InputError("no structure is a tumour", remedy="state `structure_roles`: 'NAME=tumour'")
    moved = resample(delivered, planned.grid, "linear", outside=np.nan)
    inside = [lesion for lesion in every if not lesion.is_empty and not _outside_ml(moved, lesion)]
    left_out = [lesion.name for lesion in every if lesion not in inside]
    cut = [(region.name, share) for region in drawn.regions.values() if (share := _compared_share(region, seen)) < 1]
    gone = {name for name, _ in cut}
    lesions = [lesion for lesion in inside if lesion.name not in gone]
    if not lesions:
        names = ", ".join(repr(lesion.name) for lesion in every)
        seen_too = " and in what the image of the delivered one sees" if inside else ""
        raise GeometryError(f"no lesion lies in both dose maps{seen_too}: {names}")
    liver = None if liver is None or liver.name in gone else liver
    # A label map cannot hold the tumours in the liver too.
    liver = None if liver is None else (liver | union(lesions)).renamed("liver")
    parts = drawn.of(Structure.PERFUSED) or drawn.of(Structure.LOBE)
    territories = [r for r in parts if not r.is_empty and r.name not in gone]
    normal = None if liver is None else (liver - union(lesions)).renamed(NORMAL_LIVER)
    _require_inside(moved, [*territories, *([] if normal is None else [normal])])
    moved = moved.with_values(np.nan_to_num(moved.values, nan=0.0))
    level = isodose_gy if isodose_gy is not None else mean_dose_gy(planned, lesions)
    found = concordance(
        planned, moved, lesions, normal=normal, territories=territories, isodose_gy=level, agreement=agreement
    )
    return ComparedMaps(found, moved, tuple(lesions), (*_about_lesions(found, left_out), *_about_cut(cut)))


def _compared_share(region: Region, seen: Callable[[Region], float]) -> float:
    """What is seen of a structure; 1 where that is as good as all of it, or where it is empty."""
    if region.is_empty:
        return 1.0
    share = seen(region)
    return 1.0 if share >= SEEN_WHOLE else share


def _about_cut(cut: Sequence[tuple[str, float]]) -> tuple[Message, ...]:
    if not cut:
        return ()
    text = (
        f"the image of the delivered dose sees a part of these structures alone ({cut_words(cut)}): they are not "
        "compared, as what lies outside of it counts as no dose; of a liver so cut neither T/N nor catheter is judged"
    )
    return (Message("structure-not-seen-whole", text, "take an image that sees them whole"),)


def _about_lesions(found: Concordance, left_out: Sequence[str]) -> tuple[Message, ...]:
    messages = []
    if left_out:
        text = f"outside one of the dose maps, not compared: {', '.join(map(repr, left_out))}"
        messages.append(Message("lesion-outside-map", text, "use maps that hold every lesion", "critical"))
    unplanned = [row.name for row in found.structures if row.verdict.startswith("not planned")]
    if unplanned:
        text = f"the plan does not treat {', '.join(map(repr, unplanned))}: there is no change to give"
        messages.append(Message("lesion-not-planned", text, "look whether it was meant to be treated"))
    return tuple(messages)


def _outside_ml(moved: Volume, region: Region) -> float:
    outside = np.isnan(moved.values[region.window]) & (region.coverage > 0)
    return float(region.coverage[outside].sum(dtype=np.float64)) * moved.grid.voxel_volume_ml


def _require_inside(moved: Volume, regions: Sequence[Region]) -> None:
    for region in regions:
        if missing := _outside_ml(moved, region):
            raise GeometryError(f"structure {region.name!r}: {missing:.3g} mL lie outside the delivered dose map")
