"""One patient's whole course with a file at every joint: the shared value is one number, or the difference is said."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

import hepatica
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.core.message import Message
from hepatica.errors import GeometryError, InputError
from hepatica.io.dicom.images.write import write_ct
from hepatica.io.dicom.structures.seg import write_seg
from hepatica.io.itk import write_itk
from hepatica.io.read import read_image

CONTEXT = DicomContext.invented(patient_id="JOINT-1")
GRID = Grid.axial((26, 20, 30), spacing_mm=(8.0, 8.0, 8.0)).with_frame_of_reference(CONTEXT.frame_of_reference)
BOXES = {
    "Liver": (slice(3, 19), slice(4, 18), slice(3, 15)),
    "Tumour 1": (slice(5, 9), slice(7, 11), slice(6, 10)),
    "Perfused right": (slice(3, 12), slice(4, 18), slice(3, 15)),
    "Lungs": (slice(3, 23), slice(4, 18), slice(17, 28)),
}
SHUNT, RATIO = 0.05, 4.0
CALIBRATED = datetime.fromisoformat("2026-03-08T12:00-04:00")
INJECTED = datetime.fromisoformat("2026-03-12T10:00+01:00")
SCANNED = datetime(2026, 3, 13, 10)
HALF_LIFE_H = 64.05


def mask(name: str) -> np.ndarray:
    found = np.zeros(GRID.shape, dtype=bool)
    found[BOXES[name]] = True
    return found


def uptake() -> np.ndarray:
    """Share of the activity in every voxel: T/N 4 in the right lobe, and what is shunted to the lungs."""
    liver = np.where(mask("Tumour 1"), RATIO, np.where(mask("Perfused right"), 1.0, 0.0))
    return (1 - SHUNT) * liver / liver.sum() + SHUNT * mask("Lungs") / mask("Lungs").sum()


PLAN = """
[plan]
agent = "glass"
intent = "unilobar"
indication = "HCC"
residual = "2 %"
[aims]
perfused = "100 Gy"
method = "mird"
[measured]
lung_shunt = "lsf"
tumour_to_normal = "tn"
[images]
scout = "scout.nii.gz"
ct = "ct"
structures = "structures.dcm"
engine = "local"
activity_unit = "counts"
[images.territories]
right = "Perfused right"
[[territory]]
name = "right"
[[territory.lesion]]
name = "Tumour 1"
"""


@dataclass(frozen=True)
class Course:
    """Folder of all results, and the results that the tests look at."""

    folder: Path
    plan: hepatica.PlanResult
    order: hepatica.VialOrderResult
    delivered: hepatica.DeliveredResult
    dose: hepatica.DoseResult
    concordance: hepatica.ConcordanceResult
    left: hepatica.ToleranceResult
    document: dict[str, Any]

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


def readings(vial_gbq: float, **changes: Any) -> hepatica.VialReadingOptions:
    """A vial of which 1 % stays behind, read an hour before and after the injection."""
    hour = timedelta(hours=1)
    stated = {
        "vial_gbq": (vial_gbq,), "calibrated_at": (CALIBRATED,), "administered_at": (INJECTED,),
        "reading_before_usv_per_h": (1000.0,), "reading_before_at": (INJECTED - hour,),
        "reading_after_usv_per_h": (10.0,), "reading_after_at": (INJECTED + hour,),
    }  # fmt: skip
    return hepatica.VialReadingOptions(**stated | changes)


def dose_of(folder: Path, *, nuclide: str = "Y-90", agent: str = "glass", **stated: Any) -> hepatica.DoseResult:
    options = hepatica.DoseOptions(
        images=hepatica.ImageOptions(activity_unit="Bq/mL", activity_at=(SCANNED,)),
        quantification=hepatica.QuantificationOptions(**stated),
        clinical=hepatica.StructureOptions(agent=agent, indication="HCC", intent="unilobar"),
    )
    return hepatica.absorbed_dose(
        folder / "pet.nii.gz", ct=folder / "ct", nuclide=nuclide, structures=folder / "structures.dcm", engine="local",
        options=options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    folder = tmp_path_factory.mktemp("course")
    write_ct(folder / "ct", Volume(GRID, np.where(mask("Lungs"), -700.0, 40.0).astype(np.float32), Kind.HU), CONTEXT)
    write_itk(Volume(GRID, (1e6 * uptake()).astype(np.float32), Kind.COUNTS), folder / "scout.nii.gz")
    regions = [Region.from_coverage(name, GRID, mask(name)) for name in BOXES]
    context = read_image(folder / "ct", role="ct").context
    assert context is not None
    write_seg(folder / "structures.dcm", regions, context, image_grid=GRID)
    reading = hepatica.ScoutOptions(ct=folder / "ct", activity_unit="counts")
    drawn = folder / "structures.dcm"
    hepatica.lung_shunt(folder / "scout.nii.gz", structures=drawn, reading=reading).save(folder / "lsf")
    inside = hepatica.UptakeOptions(territory="Perfused right")
    hepatica.tumour_to_normal(folder / "scout.nii.gz", structures=drawn, reading=reading, uptake=inside).save(
        folder / "tn"
    )
    (folder / "plan.toml").write_text(PLAN)
    plan = hepatica.plan(folder / "plan.toml")
    plan.save(folder / "plan")
    order = hepatica.order_vial(administered_at=INJECTED, planned_result=folder / "plan")
    order.save(folder / "order")
    planned = hepatica.DeliveryOptions(planned_result=folder / "plan")
    delivered = hepatica.delivered_activity("Y-90", readings(order.order.vials[0].nominal_gbq), planned=planned)
    delivered.save(folder / "delivered")
    bq = delivered.delivery.total.administered_gbq.value * 1e9 * 0.5 ** (24 / HALF_LIFE_H)
    activity = Volume(GRID, (bq * uptake() / GRID.voxel_volume_ml).astype(np.float32), Kind.ACTIVITY_CONCENTRATION)
    write_itk(activity, folder / "pet.nii.gz")
    dose = dose_of(folder, administered_result=folder / "delivered")
    dose.save(folder / "dose")
    concordance = hepatica.scout_concordance(folder / "plan", folder / "dose", structures=drawn)
    left = remaining(folder / "dose")
    left.save(folder / "next")
    document = json.loads((folder / "dose" / "result.json").read_text())
    return Course(folder, plan, order, delivered, dose, concordance, left, document)


def remaining(*results: Path, **changes: Any) -> hepatica.ToleranceResult:
    coming = hepatica.NextTreatment(
        next_at=datetime(2026, 9, 1, 10), normal_dose_gy_per_gbq=20.0, tumour_dose_gy_per_gbq=80.0,
        lung_dose_gy_per_gbq=3.0, agent="glass",
    )  # fmt: skip
    given = hepatica.DoseResultOptions(dose_results=results)
    return hepatica.remaining_tolerance(
        **{"coming": coming, "tolerance_bed_gy": 400.0, "territory": "right", "results": given} | changes
    )


def codes(messages: Iterable[Message]) -> list[str]:
    return [m.code for m in messages]


def text_of(result: hepatica.Result, code: str) -> str:
    found = [m.text for m in result.messages if m.code == code]
    assert len(found) == 1, codes(result.messages)
    return found[0]


def plan_row(course: Course) -> dict[str, Any]:
    """The chosen method's document in the plan's own file."""
    (row,) = json.loads((course / "plan" / "result.json").read_text())["territories"]
    return dict(row["methods"][row["chosen"]])


def test_scout_to_plan(course: Course) -> None:
    shunt = json.loads((course / "lsf" / "result.json").read_text())
    ratio = json.loads((course / "tn" / "result.json").read_text())
    target = course.plan.course.territories[0].territory.target
    assert shunt["lung_shunt"] == pytest.approx(SHUNT, rel=1e-6)
    assert target.lung_shunt == pytest.approx(shunt["lung_shunt"], rel=1e-6)
    assert target.lesions[0].tumour_to_normal == pytest.approx(ratio["lesions"][0]["tumour_to_normal"], rel=1e-6)
    assert target.normal_mass_kg == pytest.approx(ratio["masses_kg"]["normal liver"], rel=1e-6)
    assert target.lung_mass_kg == pytest.approx(shunt["whole_lung_mass"]["mass_kg"], rel=1e-6)


def test_compartments_to_voxels_of_the_plan(course: Course) -> None:
    """One mass and one share of activity, so that both differ by their dose constants alone, which are both named."""
    assert course.plan.voxel_plan is not None
    voxels = {dose.name: dose.dose_mean_gy for dose in course.plan.voxel_plan.structures}
    doses = course.plan.course.doses
    constant = 0.9324829 * 1.602177e-13 * 64.05 * 3600 / math.log(2) * 1e9
    # MeV per decay, J/MeV, mean life; deposition in place, voxels in float32.
    assert voxels["Tumour 1"] / doses.tumour_gy == pytest.approx(constant / 50.0, rel=1e-5)
    lungs, given = course.dose.lung_doses, course.delivered.delivery.total.administered_gbq.value
    assert lungs is not None
    assert lungs.by_shunt is not None
    in_plan = doses.lung_gy * given / course.plan.course.administered_gbq
    assert lungs.by_shunt.dose_lung_gy.value / in_plan == pytest.approx(constant / 50.0, rel=1e-5)
    said = text_of(course.plan, "dose-constants-differ")
    assert "50 J/GBq (label)" in said
    assert "49.7 J/GBq (ensdf)" in said


def test_plan_to_vial_to_what_was_given(course: Course) -> None:
    planned, order, given = plan_row(course), course.order.order, course.delivered.delivery
    assert order.planned_gbq == pytest.approx(planned["planned_gbq"], rel=1e-6)
    assert order.agent == "glass"
    assert order.planned_gbq * (1 - planned["residual"]) == pytest.approx(planned["administered_gbq"], rel=1e-6)
    # What the vial is said to hold at the injection is what it holds there by its calibration.
    assert given.total.vial_at_injection_gbq == pytest.approx(order.vials[0].activity_at_injection_gbq, rel=1e-6)
    assert course.order.provenance.inputs[0].sha256 == sha256_of(course / "plan" / "result.json")
    stated = course.delivered.provenance.parameters
    assert stated["planned_gbq"] == pytest.approx(planned["administered_gbq"], rel=1e-6)
    assert (stated["agent"], stated["lung_shunt"]) == ("glass", pytest.approx(SHUNT, rel=1e-6))


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_was_given_to_dose(course: Course) -> None:
    total, count = course.delivered.delivery.total, course.dose.count
    given = course.dose.provenance.parameters
    assert given["administered_activity_bq"] == pytest.approx(1e9 * total.administered_gbq.value, rel=1e-6)
    assert given["residual_fraction"] == 0
    assert given["lung_shunt_fraction"] == pytest.approx(SHUNT, rel=1e-6)
    assert course.dose.given.quantification.administered_sd_bq == pytest.approx(1e9 * (total.administered_gbq.sd or 0))
    # The image was made of that activity, a day later; the whole lungs are in view, so that no shunt is taken off.
    assert count.expected_bq == pytest.approx(1e9 * total.administered_gbq.value, rel=1e-6)
    assert count.activity_in_image_bq == pytest.approx(count.expected_bq, rel=1e-5)
    lungs = course.dose.lung_doses
    assert lungs is not None
    assert lungs.by_shunt is not None
    assert lungs.by_image is not None
    assert lungs.by_shunt.dose_lung_gy.value == pytest.approx(lungs.by_image.dose_mean_gy, rel=3e-4)
    roles = {one.role: one for one in course.dose.provenance.inputs}
    assert roles["administered"].sha256 == sha256_of(course / "delivered" / "result.json")


def test_what_was_given_scales_counts_with_its_uncertainty(course: Course) -> None:
    found = hepatica.quantify(
        course / "scout.nii.gz", nuclide="Y-90", structures=course / "structures.dcm",
        images=hepatica.ImageOptions(activity_unit="counts", activity_at=(SCANNED,)),
        quantification=hepatica.QuantificationOptions(administered_result=course / "delivered"),
    )  # fmt: skip
    given = course.delivered.delivery.total.administered_gbq
    assert found.activity_mbq == pytest.approx(1e3 * given.value, rel=1e-5)
    assert found.activity_scale_relative_sd == pytest.approx(given.relative_sd, rel=1e-6)
    assert [one.role for one in found.provenance.inputs] == ["activity", "structures", "administered"]
    with pytest.raises(InputError, match="uncertainty of an activity that is not stated"):
        hepatica.QuantificationOptions(administered_sd_bq=1e8)


def test_plan_to_dose_to_verification(course: Course) -> None:
    """The image is the scout's pattern at the activity given: each dose is the planned one times given over planned."""
    ratio = course.delivered.delivery.total.administered_gbq.value / plan_row(course)["administered_gbq"]
    rows = {row.name: row for row in course.concordance.concordance.structures}
    for row in rows.values():
        assert row.delivered_dose_mean_gy / row.planned_dose_mean_gy == pytest.approx(ratio, rel=1e-4)
        assert row.verdict == "as planned"
    assert course.plan.voxel_plan is not None
    planned = {dose.name: dose.dose_mean_gy for dose in course.plan.voxel_plan.structures}
    # One density in the whole lesion: means by volume (concordance) and by mass (dose) are one. RTDOSE has 16 bits.
    assert rows["Tumour 1"].planned_dose_mean_gy == pytest.approx(planned["Tumour 1"], rel=1e-4)
    assert rows["Tumour 1"].delivered_dose_mean_gy == pytest.approx(course.dose["Tumour 1"].dose_mean_gy, rel=1e-4)
    said = text_of(course.concordance, "given-and-planned")
    assert f"{plan_row(course)['administered_gbq']:.4g} GBq" in said
    assert f"{course.delivered.delivery.total.administered_gbq.value:.4g} GBq" in said


def test_dose_to_next_plan(course: Course) -> None:
    left, dose = course.left.prospect.remaining, course.dose
    (normal,) = [found for found in dose.structures if found.role == "perfused_normal"]
    assert dose.lung_doses is not None
    assert left.lung_dose_so_far_gy == pytest.approx(dose.lung_doses.dose_judged_gy, rel=1e-6)
    # BED = D (1 + G D / (alpha/beta)), G = repair / (repair + physical) half-lives; months apart nothing is shared.
    d, g = normal.dose.dose_mean_gy, 2.5 / (2.5 + HALF_LIFE_H)
    assert left.delivered_bed_gy == pytest.approx(d * (1 + g * d / 2.5), rel=1e-4)
    assert left.days_since_last == pytest.approx((datetime(2026, 9, 1, 10) - datetime(2026, 3, 12, 10)).days, abs=1e-6)
    text = PLAN.replace("[[territory]]", '[course]\nremaining_tolerance = ["next/result.json"]\n[[territory]]', 1)
    cut = text[: text.index("[images]")] + text[text.index("[course]") :]
    (course / "again.toml").write_text(cut)
    again = hepatica.plan(course / "again.toml").course
    assert again.course.allowances[0].normal_gy == pytest.approx(left.normal_dose_gy, rel=1e-6)
    lungs = next(row for row in again.lifetime if row.organ == "lungs")
    assert lungs.earlier_gy == pytest.approx(left.lung_dose_so_far_gy, rel=1e-6)


def test_dose_to_response(course: Course) -> None:
    """What the dose calls its lesion, and its volume, are what response compares."""
    drawn = course / "dose" / "structures-seg.dcm"
    found = hepatica.segmented_response(drawn, drawn)
    (lesion,) = found.lesions
    assert lesion.name == "Tumour 1"
    assert lesion.before.volume_ml == pytest.approx(course.dose["Tumour 1"].volume_ml, rel=1e-6)
    assert lesion.relative_volume_change == pytest.approx(0, abs=1e-9)


def test_what_was_given_to_release(course: Course) -> None:
    home = hepatica.release(administered_result=course / "delivered")
    assert home.plan.administered_gbq == pytest.approx(course.delivered.delivery.total.administered_gbq.value, rel=1e-6)
    assert (home.plan.nuclide, home.plan.agent, home.plan.administered_at) == ("Y-90", "glass", INJECTED)
    typed = hepatica.release(
        "Y-90", 1.1 * home.plan.administered_gbq, administered_result=course / "delivered",
        administered_at=INJECTED + timedelta(days=1),
    )  # fmt: skip
    assert typed.plan.administered_gbq == home.plan.administered_gbq
    assert f"{home.plan.administered_gbq:.4g} GBq is in" in text_of(typed, "stated-differs")
    assert "2026-03-13" in text_of(typed, "administration-time-differs")


STATED: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "ten per cent more": ({"administered_bq": 1.87e9}, "stated-differs", ("1.87 GBq is stated", "1.7 GBq is used")),
    "a factor of ten": ({"administered_bq": 17e9}, "stated-contradicts-measured", ("17 GBq is stated", "1.7 GBq is")),
    "residual again": ({"residual": 0.03}, "residual-taken-off-once", ("3 %", "1.02 %")),
    "shunt": ({"lung_shunt": 0.4}, "stated-contradicts-measured", ("0.4 is stated", "0.05 is used")),
    "a day": (
        {"administered_at": datetime(2026, 3, 11, 10)}, "administration-time-differs", ("2026-03-11", "2026-03-12"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("stated", "code", "numbers"), STATED.values(), ids=STATED.keys())
def test_a_typed_value_beside_what_was_given_is_said(
    course: Course, stated: dict[str, Any], code: str, numbers: tuple[str, ...]
) -> None:
    found = dose_of(course.folder, administered_result=course / "delivered", **stated)
    for number in numbers:
        assert number in text_of(found, code)
    if code != "administration-time-differs":
        assert found["Tumour 1"].dose_mean_gy == pytest.approx(course.dose["Tumour 1"].dose_mean_gy, rel=1e-9)
    else:
        # By a clock without a zone, which only the user knows; the image then holds less than was given, by a day.
        assert "activity-disagrees" in codes(found.messages)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nuclide": "Ho-166", "agent": "QuiremSpheres"}, "is of the nuclide Y-90, and Ho-166 is stated"),
        ({"agent": "resin"}, "is of the agent glass, and resin is stated"),
        ({"administered_result": "plan"}, "no result of delivered_activity"),
        ({"administered_result": "ct"}, "cannot be read"),
    ],
)
def test_a_result_that_does_not_fit_the_dose_is_refused(course: Course, change: dict[str, Any], message: str) -> None:
    given = {"administered_result": "delivered"} | change
    with pytest.raises(InputError, match=message):
        dose_of(course.folder, **given | {"administered_result": course / given["administered_result"]})


def test_a_day_between_calibration_and_injection_is_said(course: Course) -> None:
    """A vial of the day before holds 23 % less than was planned; one of a day later 30 % more."""
    planned = hepatica.DeliveryOptions(planned_result=course / "plan")
    vial = course.order.order.vials[0].nominal_gbq
    for days, code in ((-1, "delivered-less"), (1, "delivered-more")):
        read = readings(vial, calibrated_at=(CALIBRATED + timedelta(days=days),))
        assert code in codes(hepatica.delivered_activity("Y-90", read, planned=planned).messages)
    typed = hepatica.DeliveryOptions(planned_result=course / "plan", planned_gbq=3.0, lung_shunt=0.4)
    found = hepatica.delivered_activity("Y-90", readings(vial), planned=typed)
    said = [m.text for m in found.messages if m.code.startswith("stated-")]
    assert ["planned activity: 3 GBq" in said[0], "lung shunt: 0.4 is" in said[1]] == [True, True]
    assert found.provenance.parameters["planned_gbq"] == course.delivered.provenance.parameters["planned_gbq"]
    with pytest.raises(InputError, match="is of the nuclide Y-90, and Ho-166 is stated"):
        hepatica.delivered_activity("Ho-166", readings(vial), planned=planned)


def test_an_order_beside_its_plan(course: Course, tmp_path: Path) -> None:
    typed = hepatica.order_vial("glass", 17.0, administered_at=INJECTED, planned_result=course / "plan")
    assert typed.order.planned_gbq == course.order.order.planned_gbq
    assert "17 GBq is stated" in text_of(typed, "stated-contradicts-measured")
    with pytest.raises(InputError, match="is of the agent glass, and resin is stated"):
        hepatica.order_vial("resin", administered_at=INJECTED, planned_result=course / "plan")
    with pytest.raises(InputError, match=r"territory in .*'left'"):
        hepatica.order_vial(administered_at=INJECTED, planned_result=course / "plan", territory="left")
    with pytest.raises(InputError, match="no result of plan or prescribe"):
        hepatica.order_vial(administered_at=INJECTED, planned_result=course / "delivered")
    with pytest.raises(InputError, match="`planned_gbq` are needed"):
        hepatica.order_vial("glass", administered_at=INJECTED)
    # A prescription is as good as a plan; what it says must not be given is said again at the order.
    glass, mass = hepatica.SubstanceOptions(agent="glass"), hepatica.PerfusedOptions(mass_kg=1.5)
    lungs = hepatica.MassOptions(lung_shunt=0.4)
    made = hepatica.prescribe(
        "mird", substance=glass, perfused=mass, masses=lungs, aim=hepatica.AimOptions(dose_gy=120)
    )
    (tmp_path / "result.json").write_text(json.dumps(made.as_dict()))
    order = hepatica.order_vial(administered_at=INJECTED, planned_result=tmp_path)
    assert order.order.planned_gbq == pytest.approx(made.assessed.prescription.planned_gbq, rel=1e-6)
    stops = {m.code for m in made.messages if m.severity == "critical"}
    assert stops
    assert stops <= set(codes(order.messages))


def test_the_density_behind_a_mass_is_said() -> None:
    """The label of glass takes 1.03 g/mL; of another agent another is taken: both stand in the messages."""
    said = {}
    for agent in ("glass", "QuiremSpheres"):
        found = hepatica.prescribe(
            "mird", substance=hepatica.SubstanceOptions(agent=agent), aim=hepatica.AimOptions(dose_gy=60),
            perfused=hepatica.PerfusedOptions(volume_ml=1000.0),
        )  # fmt: skip
        said[agent] = " ".join(m.text for m in found.messages)
    assert "1.03" in said["glass"]
    assert "1.03" not in said["QuiremSpheres"]
    assert "1.0" in said["QuiremSpheres"]


@pytest.fixture(scope="module")
def elsewhere(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Doses of this treatment that are not this plan's: each one file of the good dose changed."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name, tag, value in (("patient", "PatientID", "JOINT-2"), ("frame", "FrameOfReferenceUID", "1.2.3.4")):
        (folder / name).mkdir()
        shutil.copy(course / "dose" / "result.json", folder / name)
        ds = pydicom.dcmread(course / "dose" / "dose.dcm")
        setattr(ds, tag, value)
        ds.save_as(folder / name / "dose.dcm")
    holmium = dose_of(course.folder, nuclide="Ho-166", agent="QuiremSpheres", administered_bq=1.7e9)
    (folder / "holmium").mkdir()
    (folder / "holmium" / "result.json").write_text(json.dumps(holmium.as_dict()))
    shutil.copy(course / "dose" / "dose.dcm", folder / "holmium")
    other = json.loads((course / "dose" / "result.json").read_text())
    other["provenance"]["parameters"]["administered_activity_bq"] *= 0.8
    other["options"] |= {"lung_shunt": 0.4, "agent": "resin"}
    (folder / "less").mkdir()
    (folder / "less" / "result.json").write_text(json.dumps(other))
    shutil.copy(course / "dose" / "dose.dcm", folder / "less")
    return folder


def test_a_dose_that_is_not_the_plans_is_said(course: Course, elsewhere: Path) -> None:
    drawn = course / "structures.dcm"
    found = hepatica.scout_concordance(course / "plan", elsewhere / "holmium", structures=drawn)
    assert "Y-90 was planned, the delivered dose is of Ho-166" in text_of(found, "other-nuclide")
    found = hepatica.scout_concordance(course / "plan", elsewhere / "less", structures=drawn)
    assert "glass was planned, the delivered dose is of resin" in text_of(found, "other-agent")
    assert "1.696 GBq were planned to reach the patient, 1.36 GBq did" in text_of(found, "given-and-planned")
    assert "0.05 was planned with, 0.4 is stated" in text_of(found, "lung-shunt-differs")
    with pytest.raises(InputError, match="'JOINT-2'"):
        hepatica.scout_concordance(course / "plan", elsewhere / "patient", structures=drawn)
    # The plan's NIfTI has no frame of reference of its own, and matched any.
    with pytest.raises(GeometryError, match="different frames of reference"):
        hepatica.scout_concordance(course / "plan", elsewhere / "frame", structures=drawn)


def test_past_doses_that_do_not_fit_are_refused(course: Course, elsewhere: Path, tmp_path: Path) -> None:
    twice = remaining(course / "dose", course / "dose")
    assert "2026-03-12" in text_of(twice, "treatment-counted-twice")
    with pytest.raises(InputError, match="'JOINT-2'"):
        remaining(course / "dose", elsewhere / "patient")
    with pytest.raises(InputError, match="no result of absorbed_dose"):
        remaining(course / "plan")
    with pytest.raises(InputError, match="no past treatment is given"):
        remaining()
    other = hepatica.DoseResultOptions(dose_results=(course / "dose",), normal_structure="Leber")
    with pytest.raises(InputError, match=r"structure in .*'Leber'.*Liver"):
        remaining(results=other)
    without = course.document | {"structures": course.document["structures"][:2]}
    (tmp_path / "result.json").write_text(json.dumps(without))
    with pytest.raises(InputError, match="holds no structures that are perfused normal"):
        remaining(tmp_path)
    (tmp_path / "result.json").write_text(json.dumps(course.document | {"lung_doses": None}))
    with pytest.raises(InputError, match="holds no lung dose"):
        remaining(tmp_path)
    # A table and a result are one course, in which the lungs add up.
    (tmp_path / "course.csv").write_text("date,territory,nuclide,normal_gy,lung_gy\n2025-06-01,left,Y-90,30,7\n")
    both = remaining(course / "dose", table=tmp_path / "course.csv").prospect.remaining
    alone = course.left.prospect.remaining
    assert both.lung_dose_so_far_gy == pytest.approx(7 + alone.lung_dose_so_far_gy, rel=1e-6)
    assert both.delivered_bed_gy == pytest.approx(alone.delivered_bed_gy, rel=1e-9)


def test_a_product_goes_home_as_its_agent_does(course: Course) -> None:
    """The plan says "ho166-plla", the user "QuiremSpheres", the table of excretion "PLLA"."""
    words = ("PLLA", "QuiremSpheres", "ho166-plla")
    given = [hepatica.release("Ho-166", 4.0, agent=word).plan.excretion for word in words]
    assert given[0].percent_48h_max == 0.0184
    assert given[1] == given[2] == given[0]
    assert hepatica.release(administered_result=course / "delivered", agent="TheraSphere").plan.agent == "TheraSphere"
    with pytest.raises(InputError, match="is of the agent glass, and resin is stated"):
        hepatica.release(administered_result=course / "delivered", agent="resin")
    with pytest.raises(InputError, match="is of the nuclide Y-90, and Ho-166 is stated"):
        hepatica.release("Ho-166", administered_result=course / "delivered")
    with pytest.raises(InputError, match="`administered_gbq` are needed"):
        hepatica.release("Y-90")
