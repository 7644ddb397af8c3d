"""What is true of the demonstration patient, beside what each step of the case found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hepatica.anatomy.structures.clinical import union
from hepatica.anatomy.virtual_patient import VirtualPatient
from hepatica.anatomy.virtual_patient.named import PERFUSED
from hepatica.case.case import Case
from hepatica.case.demo.course import FIRST
from hepatica.core import Region
from hepatica.core.document import reported
from hepatica.core.numbers.units import parse_quantity
from hepatica.core.text.files import json_file
from hepatica.dosimetry.engines.dose_map import DoseMap
from hepatica.dosimetry.engines.montecarlo import MonteCarloEngine
from hepatica.dosimetry.engines.registry import EngineName, dose_engine
from hepatica.dosimetry.metrics.region_dose import region_dose
from hepatica.dosimetry.radiobiology.dose_map import DoseMapOptions, map_effect
from hepatica.dosimetry.radiobiology.summary import ExposureOptions
from hepatica.dosimetry.time.one_image import permanent_trapping
from hepatica.io.virtual.course import NEXT_AT, SCOUT_BQ, SCOUT_LESIONS, DemoCourse
from hepatica.io.virtual.demo import ADMINISTERED_AT, ADMINISTERED_BQ, AGENT, LUNG_SHUNT, NUCLIDE
from hepatica.nuclides import nuclide
from hepatica.outcome.adaptive import NextTreatment, PastTreatment, remaining_tolerance
from hepatica.planning.measured.treatment_results import planned_treatment
from hepatica.transport.matter.media import density_from_hu
from hepatica.transport.runner.settings import MonteCarloSettings
from hepatica.workflow.dose.options import DoseOptions

NORMAL_LIVER, PERFUSED_NORMAL = "liver minus tumours", "perfused minus tumours"
"""Names that hepatica gives to what follows from drawn structures."""

TRUE_HISTORIES = 4_000_000
"""With the Monte Carlo engine; mean doses of the structures are then known to about 0.3 %."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One number that a step found, and the true one.

    Attributes
    ----------
    step : str
        Of the case.
    quantity : str
        What it is.
    unit : str
        Of both.
    found_value, true_value : float
        By the step, and in truth.
    """

    step: str
    quantity: str
    unit: str
    found_value: float
    true_value: float

    @property
    @reported
    def difference_percent(self) -> float | None:
        """Relative difference; None where there is truly nothing."""
        return 100 * (self.found_value / self.true_value - 1) if self.true_value else None


def compared(course: DemoCourse, case: Case, engine: EngineName) -> tuple[Comparison, ...]:
    """Estimates of all steps beside the truth, in the order of the course.

    Notes
    -----
    True doses are those of the same dose engine on the true activity (no blur, no noise), density and structures, on
    the CT's voxels: what differs comes from the images. Dose that crosses from one structure into another is left out
    of the true ratio of verification.
    """
    truth = _true_dose(course, engine)
    doses = {name: region_dose(truth, region).dose_mean_gy for name, region in course.treated.regions.items()}
    for name, whole in ((NORMAL_LIVER, "liver"), (PERFUSED_NORMAL, PERFUSED)):
        doses[name] = region_dose(truth, _normal(course.treated.regions, whole)).dose_mean_gy
    return (
        *_of_scout(course, case),
        *_of_plan(course, case),
        *_of_treatment(course, case),
        *_of_doses(case, doses),
        *_of_verification(course, case),
        *_of_prediction(case, truth, course.treated.regions),
        *_afterwards(course, case, doses),
    )


def _result(case: Case, step: str) -> dict[str, Any]:
    found: dict[str, Any] = json_file(case[step] / "result.json")
    return found


def _normal(regions: Mapping[str, Region], whole: str) -> Region:
    """A part of the liver without its tumours."""
    return regions[whole] - union([regions[name] for name in SCOUT_LESIONS])


def _true_dose(course: DemoCourse, engine: EngineName) -> DoseMap:
    """Dose of the true activity."""
    n = nuclide(NUCLIDE)
    decays = permanent_trapping(course.treated.activity, n.half_life_s, since=ADMINISTERED_AT).decays
    calculation = dose_engine(engine)
    if isinstance(calculation, MonteCarloEngine):
        calculation = MonteCarloEngine(MonteCarloSettings(histories=TRUE_HISTORIES))
    return calculation.compute(decays, density_from_hu(course.treated.hu), n, DoseOptions().settings)


def _of_scout(course: DemoCourse, case: Case) -> Iterator[Comparison]:
    """Shunt, and uptake of each lesion over normal liver of the territory."""
    found = _result(case, "lung-shunt")
    yield Comparison("lung-shunt", "lung shunt", "%", 100 * float(found["lung_shunt"]), 100 * LUNG_SHUNT)
    regions = dict(course.scout.regions) | {PERFUSED: course.scout.perfused()}
    normal = _per_mass(course.scout, _normal(regions, PERFUSED))
    for lesion in _result(case, "uptake")["lesions"]:
        ratio = _per_mass(course.scout, regions[lesion["name"]]) / normal
        yield Comparison("uptake", f"T/N, {lesion['name']}", "", float(lesion["tumour_to_normal"]), ratio)


def _per_mass(patient: VirtualPatient, region: Region) -> float:
    return region.total(patient.activity()) / region.mass_g(patient.density)


def _of_plan(course: DemoCourse, case: Case) -> Iterator[Comparison]:
    """Activity for the mean dose that was aimed at, from true mass and shunt."""
    planned = planned_treatment(case["plan"])
    mass_kg = course.scout.perfused().mass_g(course.scout.density) / 1000
    aim_gy = parse_quantity(FIRST["treatment.aims.perfused"], "Gy", "aim")
    true_gbq = aim_gy * mass_kg / (planned.dose_constant_j_per_gbq * (1 - LUNG_SHUNT))
    yield Comparison("plan", "activity", "GBq", planned.administered_gbq, true_gbq)


def _of_treatment(course: DemoCourse, case: Case) -> Iterator[Comparison]:
    """Activity that reached the patient, and where the scout's lesions lie at the treatment."""
    given = float(_result(case, "delivery")["administered_gbq"])
    yield Comparison("delivery", "administered activity", "GBq", given, ADMINISTERED_BQ / 1e9)
    found = _result(case, "registration")["transform"]["steps"][0]["matrix_lps_mm"]
    matrix = np.asarray(found)
    for tumour in course.treated.virtual.tumours:
        point = np.append(tumour.centre_mm, 1.0)
        miss_mm = float(np.linalg.norm(((matrix - course.to_scout) @ point)[:3]))
        yield Comparison("registration", f"error at {tumour.name}", "mm", miss_mm, 0.0)


def _of_doses(case: Case, true_gy: Mapping[str, float]) -> Iterator[Comparison]:
    for row in _result(case, "dose")["structures"]:
        if row["name"] in true_gy:
            yield Comparison("dose", row["name"], "Gy", float(row["dose_mean_gy"]), true_gy[row["name"]])


def _of_verification(course: DemoCourse, case: Case) -> Iterator[Comparison]:
    """Delivered over planned dose of each lesion: by activity, that of the scout scaled to what was planned."""
    planned = planned_treatment(case["plan"])
    scale = planned.administered_gbq * 1e9 / SCOUT_BQ
    for row in _result(case, "verification")["structures"]:
        if (name := row["name"]) in SCOUT_LESIONS:
            ratio = float(row["delivered_dose_mean_gy"]) / float(row["planned_dose_mean_gy"])
            held = course.treated.regions[name].total(course.treated.activity)
            expected = scale * course.scout.regions[name].total(course.scout.activity())
            yield Comparison("verification", f"delivered over planned, {name}", "", ratio, held / expected)


def _of_prediction(case: Case, truth: DoseMap, regions: Mapping[str, Region]) -> Iterator[Comparison]:
    """BED and EUD that the models look at."""
    asked = DoseMapOptions(indication="HCC")
    exact = map_effect(truth.dose, list(regions.values()), ExposureOptions(nuclide=NUCLIDE, agent=AGENT), asked)
    true = {row.name: row for row in exact.structures}
    for row in _result(case, "prediction")["structures"]:
        if (name := row["name"]) in SCOUT_LESIONS:
            yield Comparison("prediction", f"EUD, {name}", "Gy", float(row["eud_gy"]), true[name].eud_gy)
        elif name == NORMAL_LIVER:
            yield Comparison("prediction", f"BED, {name}", "Gy", float(row["bed_mean_gy"]), true[name].bed_mean_gy)


def _afterwards(course: DemoCourse, case: Case, true_gy: Mapping[str, float]) -> Iterator[Comparison]:
    """Volumes at follow-up, and what the first treatment leaves for the second."""
    for row in _result(case, "follow-up")["lesions"]:
        before, after = course.tumour_volumes_ml[row["name"]]
        change = 100 * float(row["relative_volume_change"])
        yield Comparison("follow-up", f"change of volume, {row['name']}", "%", change, 100 * (after / before - 1))
    found = _result(case, "next")
    hours = nuclide(NUCLIDE).half_life_h
    past = PastTreatment(ADMINISTERED_AT, true_gy[PERFUSED_NORMAL], 0.0, hours)
    coming = NextTreatment(
        next_at=NEXT_AT, normal_dose_gy_per_gbq=0.0, tumour_dose_gy_per_gbq=0.0, lung_dose_gy_per_gbq=0.0
    )
    tolerance = float(found["tolerance_bed_gy"])
    true = remaining_tolerance([past], coming, tolerance_bed_gy=tolerance)
    yield Comparison(
        "next", "BED of the territory's normal liver", "Gy", float(found["delivered_bed_gy"]), true.delivered_bed_gy
    )
    yield Comparison("next", "dose that is left to it", "Gy", float(found["normal_dose_gy"]), true.normal_dose_gy)
