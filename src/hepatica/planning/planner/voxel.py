"""The voxel-based plan: the scout's distribution, scaled per territory, through any dose engine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.clinical import Structure, union
from hepatica.core import Kind, Provenance, Region, Volume, decays_per_becquerel
from hepatica.core.message import Message
from hepatica.core.options.values import value_class
from hepatica.core.tables.sources import ImageSource, StructureSource
from hepatica.dosimetry.engines.dose_map import DoseMap, DoseSettings
from hepatica.dosimetry.metrics.dvh import dose_volume_histogram
from hepatica.errors import GeometryError, InputError
from hepatica.nuclides import Nuclide
from hepatica.planning.measured.from_images import territory_regions
from hepatica.planning.planner.course import Course
from hepatica.planning.planner.course_plan import CoursePlan
from hepatica.planning.prescriptions.compartments import require_share
from hepatica.planning.scout.scan import Scout, ScoutOptions
from hepatica.planning.scout.volumes import OVERLAP_TOLERANCE_ML

SCOUT_KINDS = (Kind.COUNTS, Kind.COUNT_RATE, Kind.ACTIVITY, Kind.ACTIVITY_CONCENTRATION, Kind.DECAYS)


@dataclass(frozen=True, slots=True)
class TerritoryActivity:
    """What will be injected into one territory.

    Attributes
    ----------
    region : Region
        The perfused volume, on the scout's grid.
    administered_gbq : float
        Activity that reaches the patient, in GBq.
    lung_shunt : float
        Share of it that goes to the lungs.
    """

    region: Region
    administered_gbq: float
    lung_shunt: float = 0.0

    def __post_init__(self) -> None:
        require_share(self.lung_shunt, f"lung shunt of {self.region.name}")
        if not (math.isfinite(self.administered_gbq) and self.administered_gbq > 0):
            raise InputError(f"activity for {self.region.name} must be positive, not {self.administered_gbq:g} GBq")


@dataclass(frozen=True, slots=True, eq=False)
class PlannedDecays:
    """Decays per voxel that the plan predicts.

    Attributes
    ----------
    decays : Volume
        Bq s per voxel.
    lung_activity_gbq : float
        Activity shunted to the lungs.
    lungs_in_map : bool
        Whether it is in the map (a lung region was given) or left out of it.
    provenance : Provenance
        Steps and parameters.
    messages : tuple of Message
        Negative voxels, activity left out.
    """

    decays: Volume
    lung_activity_gbq: float
    lungs_in_map: bool
    provenance: Provenance
    messages: tuple[Message, ...]


def planned_decays(
    scout: Volume,
    territories: Sequence[TerritoryActivity],
    nuclide: Nuclide,
    *,
    lungs: Region | None = None,
    effective_half_life_s: float | None = None,
) -> PlannedDecays:
    """Decays that the planned activities will make if they go where the scout went.

    Within a territory every voxel's share of the activity is its share of the scout's counts there (patient-relative
    calibration), all decays in place. Only the distribution of the scout matters, not its unit.

    Parameters
    ----------
    scout : Volume
        Counts, rate, Bq, Bq/mL or decays per voxel.
    territories : sequence of TerritoryActivity
        On the scout's grid; they do not overlap.
    nuclide : Nuclide
        Of the therapy.
    lungs : Region, optional
        Shunted activity is put there in proportion to the scout's counts; without it, it is left out and said so.
    effective_half_life_s : float, optional
        Of activity that leaves; all decays in place without.

    Raises
    ------
    GeometryError
        If territories overlap, or grids differ.
    InputError
        If a territory holds no counts.

    References
    ----------
    .. [1] Chiesa et al., EJNMMI Phys 2021;8:77.
    """
    scout.require_kind(*SCOUT_KINDS)
    scout.require_finite()
    if not territories:
        raise InputError("a voxel plan needs at least one territory")
    for n, a in enumerate(territories):
        for b in territories[n + 1 :]:
            if (shared := (a.region & b.region).volume_ml) > OVERLAP_TOLERANCE_ML:
                raise GeometryError(f"{a.region.name!r} and {b.region.name!r} overlap by {shared:.1f} mL")
    counts = np.maximum(scout.values, 0).astype(np.float64)
    messages = []
    if (negative := float(-np.minimum(scout.values, 0).sum(dtype=np.float64))) > 0.01 * counts.sum():
        text = f"negative voxels ({negative / counts.sum():.1%} of all counts) were set to zero"
        messages.append(Message("negative-voxels", text))
    out = np.zeros(scout.grid.shape)
    mean_life_s = decays_per_becquerel(effective_half_life_s or nuclide.half_life_s)
    for territory in territories:
        region = territory.region
        region.grid.require_match(scout.grid, f"territory {region.name!r} and scout")
        _share_out(out, counts, region, territory.administered_gbq * 1e9 * (1 - territory.lung_shunt) * mean_life_s)
    shunted = math.fsum(t.administered_gbq * t.lung_shunt for t in territories)
    if lungs is not None and shunted:
        lungs.grid.require_match(scout.grid, "lungs and scout")
        own = lungs
        for territory in territories:
            own = own - territory.region
        _share_out(out, counts, own, shunted * 1e9 * mean_life_s)
    elif shunted:
        text = f"{shunted:.3g} GBq go to the lungs and are not in this map"
        messages.append(Message("shunt-not-in-map", text, "state the lungs among the structures"))
    names = ", ".join(f"{t.region.name} {t.administered_gbq:.4g} GBq" for t in territories)
    provenance = Provenance(
        parameters={f"activity_{t.region.name.replace(' ', '_')}_gbq": t.administered_gbq for t in territories},
        conventions={"activity of the plan": "scout counts scaled per territory to the activity that stays there"},
        steps=(f"scaled the scout to {names}",),
    )
    decays = scout.with_values(out.astype(np.float32), Kind.DECAYS, name="planned decays", time=None)
    return PlannedDecays(decays, shunted, lungs is not None and shunted > 0, provenance, tuple(messages))


def _share_out(out: NDArray[np.float64], counts: NDArray[np.float64], region: Region, decays: float) -> None:
    """Add `decays` to `out` in proportion to counts in the region."""
    weights = region.coverage * counts[region.window]
    total = float(weights.sum())
    if not total > 0:
        raise InputError(f"the scout holds no counts in {region.name!r}; its activity cannot be placed")
    out[region.window] += weights * (decays / total)


def voxel_plan(
    planned: PlannedDecays,
    density: Volume,
    nuclide: Nuclide,
    *,
    engine: str = "kernel",
    settings: DoseSettings | None = None,
) -> DoseMap:
    """Predicted absorbed dose of planned decays through a dose engine chosen by name.

    Parameters
    ----------
    planned : PlannedDecays
        See `planned_decays`.
    density : Volume
        g/mL on the same grid.
    engine : str
        "local", "kernel", or another of the engines.

    Returns
    -------
    DoseMap
        Its DVH, D_x and V_x come from `hepatica.dosimetry`, as for any dose map.
    """
    # Engines bring transport with them, which takes a second to load.
    from hepatica.dosimetry.engines.registry import dose_engine

    dose_map = dose_engine(engine).compute(planned.decays, density, nuclide, settings)
    return replace(
        dose_map,
        provenance=planned.provenance.merged(dose_map.provenance),
        messages=(*planned.messages, *dose_map.messages),
    )


def activity_for_dx(
    dose_map: DoseMap, region: Region, *, administered_gbq: float, dose_gy: float, volume_percent: float | None = None
) -> float:
    """Activity (GBq) at which D_x of a region (its mean without x) reaches `dose_gy`, everything else scaled with it.

    `administered_gbq` is the activity that the map was made for; dose is linear in it.
    """
    reached = dose_percentile(dose_map.dose, region, volume_percent)
    if not reached > 0:
        raise InputError(f"{region.name!r} gets no dose in this plan: no activity reaches {dose_gy:g} Gy there")
    return administered_gbq * dose_gy / reached


def dose_percentile(dose: Volume, region: Region, volume_percent: float | None = None) -> float:
    """D_x of a region in Gy (x above 0, below 100); the mean by volume for x None."""
    if volume_percent is not None and not 0 < volume_percent < 100:
        raise InputError(f"x of D_x must lie between 0 and 100 %, not {volume_percent:g}")
    histogram = dose_volume_histogram(dose, region)
    return histogram.mean_volume_gy if volume_percent is None else histogram.d_percent(volume_percent)


@value_class
@dataclass(frozen=True, slots=True, eq=False)
class PlanImages:
    """What the voxel-based prediction is made of.

    Attributes
    ----------
    scout : path or Image
        Scout scan.
    structures : path or regions
        Liver, lesions, lungs, territories.
    reading : ScoutOptions
        The CT, which must be there, and what the files do not say.
    territories : mapping of str to str
        Territory of the plan -> name of its structure.
    engine : str
        Dose engine.
    keep_stated : mapping of str to str
        Quantities whose stated value is used although the images hold another -> reason.
    """

    scout: ImageSource
    structures: StructureSource
    reading: ScoutOptions
    territories: Mapping[str, str] = field(default_factory=dict)
    engine: str = "kernel"
    keep_stated: Mapping[str, str] = field(default_factory=dict)


def territory_names(plan: Course, images: PlanImages) -> dict[str, str | None]:
    """Territory of the plan -> name of its structure; None where it names none."""
    return {t.name: images.territories.get(t.name) for t in plan.territories}


def territory_activities(plan: CoursePlan, images: PlanImages, scout: Scout) -> list[TerritoryActivity]:
    """Each territory's administered activity on its structure; the whole liver where one territory names none."""
    regions = territory_regions(scout, territory_names(plan.course, images))
    return [
        TerritoryActivity(regions[t.name], t.given.prescription.administered_gbq, t.territory.target.lung_shunt)
        for t in plan.territories
    ]


def structures_of_interest(images: PlanImages, scout: Scout) -> list[tuple[Region, Structure]]:
    """Lesions, normal liver in all and by territory, lungs; each that holds something, with what it is."""
    (liver,) = scout.need("liver")
    tumours = list(scout.tumours.values())
    out = [(region, Structure.TUMOUR) for region in tumours]
    normal = liver - union(tumours) if tumours else liver
    out.append((normal.renamed("normal liver"), Structure.NORMAL_LIVER))
    known = {**scout.territories, **scout.others}
    out += [
        ((known[name] & normal).renamed(f"normal liver in {t}"), Structure.PERFUSED_NORMAL)
        for t, name in images.territories.items()
    ]
    if scout.lungs is not None:
        out.append((scout.lungs - liver, Structure.LUNG))
    return [(region, structure) for region, structure in out if not region.is_empty]
