"""Where a plan's images, earlier results and typed values meet: one number, or a message with both."""

import json
import tomllib
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepatica.core import Grid, Region
from hepatica.core.image import Image
from hepatica.errors import InputError, UnknownNameError
from hepatica.planning.limits.assumed import NO_SHUNT
from hepatica.planning.measured.earlier_results import EarlierOptions
from hepatica.planning.measured.values import Measured, reconciled
from hepatica.planning.planner.course_plan import plan_course
from hepatica.planning.planner.plan_file import Plan, plan_from
from hepatica.planning.planner.prescribe import AimOptions, MassOptions
from hepatica.planning.planner.voxel import PlanImages
from hepatica.planning.scout.scan import ScoutOptions
from hepatica.planning.scout.uptake import UptakeOptions
from hepatica.workflow.planning.lung_shunt import lung_shunt
from hepatica.workflow.planning.plan.plan import PlanResult, plan
from hepatica.workflow.planning.prescribe import prescribe
from hepatica.workflow.planning.tumour_to_normal import tumour_to_normal
from hepatica.workflow.planning.vial import order_vial

GRID = Grid.axial((40, 30, 44), spacing_mm=(6.0, 6.0, 6.0))
BOXES = {
    "liver": (slice(3, 23), slice(5, 25), slice(6, 24)),
    "tumour 1": (slice(6, 11), slice(8, 13), slice(10, 15)),
    "perfused right": (slice(3, 13), slice(5, 25), slice(6, 24)),
    "perfused left": (slice(13, 23), slice(5, 25), slice(6, 24)),
    "lungs": (slice(4, 36), slice(5, 27), slice(27, 41)),
    "stomach": (slice(28, 34), slice(8, 16), slice(10, 18)),
    "duodenum": (slice(26, 29), slice(18, 24), slice(8, 14)),
    "gallbladder": (slice(14, 18), slice(25, 29), slice(8, 12)),
}
SHARES = {"stomach": 0.015, "duodenum": 0.002, "gallbladder": 0.001}
SHUNT = 0.06
LIVER_KG_PER_VOXEL = 0.216e-3


def region(name: str) -> Region:
    values = np.zeros(GRID.shape, dtype=np.float32)
    values[BOXES[name]] = 1
    return Region.from_coverage(name, GRID, values)


REGIONS = tuple(region(name) for name in BOXES)


@cache
def images() -> tuple[Image, Image]:
    """Scout and CT of a patient whose T/N is 4, shunt 6 % of what liver and lungs hold, shares elsewhere as stated."""
    hu = np.full(GRID.shape, 40.0, dtype=np.float32)
    hu[BOXES["lungs"]] = -700.0
    counts = np.zeros(GRID.shape)
    counts[BOXES["liver"]] = 1.0
    counts[BOXES["tumour 1"]] = 4.0
    liver = counts.sum()
    lungs = liver * SHUNT / (1 - SHUNT)
    counts[BOXES["lungs"]] = lungs / region("lungs").voxels
    total = (liver + lungs) / (1 - sum(SHARES.values()))
    for name, share in SHARES.items():
        counts[BOXES[name]] = share * total / region(name).voxels
    return Image.from_array(counts, unit="counts", grid=GRID), Image.from_array(hu, unit="HU", grid=GRID)


def document(**changes: Any) -> dict[str, Any]:
    raw = tomllib.loads(
        """
        [plan]
        agent = "glass"
        intent = "unilobar"
        indication = "HCC"
        [aims]
        perfused = "100 Gy"
        normal_limit = "75 Gy"
        tumour = "205 Gy"
        [patient]
        bilirubin = "0.9 mg/dL"
        [lungs]
        lung_shunt = "6 %"
        [[territory]]
        name = "right"
        normal_mass = "0.75 kg"
        [[territory.lesion]]
        name = "tumour 1"
        mass = "28 g"
        tumour_to_normal = 4.0
        """
    )
    for key, value in changes.items():
        table: Any = raw
        *tables, last = key.split("__")
        for name in tables:
            table = table[name][0] if isinstance(table[name], list) else table[name]
        if value is None:
            del table[last]
        else:
            table[last] = value
    return raw


@cache
def plain() -> PlanResult:
    """The plan whose stated values agree with the images."""
    return answered()


def answered(kept: dict[str, str] | None = None, **changes: Any) -> PlanResult:
    scout, ct = images()
    where = {"right": "perfused right"}
    given = PlanImages(scout, REGIONS, ScoutOptions(ct=ct), where, engine="local", keep_stated=kept or {})
    return plan(Plan(plan_from(document(**changes)).course, given))


def codes(result: PlanResult, *severities: str) -> set[str]:
    return {m.code for m in result.messages if m.severity in severities}


def test_what_the_images_hold_is_what_the_plan_uses() -> None:
    found = plain()
    target = found.course.territories[0].territory.target
    lesion = 125
    # Density of 40 HU by the CT's own curve: the ratio of masses is that of voxels.
    assert target.lesions[0].mass_kg / target.normal_mass_kg == pytest.approx(lesion / (3600 - lesion), rel=1e-5)
    assert target.normal_mass_kg == pytest.approx((3600 - lesion) * LIVER_KG_PER_VOXEL * 1.05, rel=0.03)
    assert target.lesions[0].tumour_to_normal == pytest.approx(4.0, rel=1e-5)
    assert target.lung_shunt == pytest.approx(SHUNT, rel=1e-5)
    # -700 HU is 0.31 g/mL by the curve of the CT's densities.
    assert target.lung_mass_kg == pytest.approx(9856 * LIVER_KG_PER_VOXEL * 0.31, rel=0.01)
    # The left half is spared: 3600 of 7200 - 125 voxels.
    assert found.course.guardrails.not_evaluated
    assert found.course.course.patient.hepatic_reserve == pytest.approx(3600 / 7075, rel=1e-4)
    assert not codes(found, "critical", "warning") & {"stated-differs", "stated-contradicts-measured"}


def test_organs_are_told_apart_by_share_and_dose() -> None:
    found = plain()
    energy = found.course.energy_j
    drawn = {d.name: d for d in found.course.deposits if not d.found}
    assert set(drawn) == set(SHARES)
    for name, share in SHARES.items():
        # Within 0.1 percentage points, as the true activity is given.
        assert drawn[name].activity_share.value == pytest.approx(share, abs=1e-3)
        mass = region(name).voxels * LIVER_KG_PER_VOXEL * 1.05
        assert drawn[name].dose_gy.value == pytest.approx(share * energy / mass, rel=0.03)
    spoken = {warned.id for warned in found.course.guardrails.warned}
    assert drawn["stomach"].dose_gy.value > 10 > drawn["duodenum"].dose_gy.value
    assert "stomach" in spoken
    assert not {"duodenum", "gallbladder"} & spoken
    assert "stomach" in {d.name for d in found.course.deposits if d.found}
    assert "gut-uptake" in spoken


def test_the_images_answer_most_guardrails() -> None:
    review = plain().course.guardrails
    assert len(review.not_evaluated) < 20
    assert set(review.lacking_facts) == set(review.not_evaluated)
    assert all(review.lacking_facts.values())
    assert not set(review.not_evaluated) & {
        "tumour-outside-territory", "remnant-small", "reserve-low", "gut-uptake", "stomach", "duodenum", "gallbladder",
        "liver-implausible", "involvement-high", "counts-elsewhere", "territories-overlap", "lung-mass-implausible",
    }  # fmt: skip
    assert "patient" in review.other_steps


def test_two_injections_are_measured_apart_and_answer_as_many_guardrails() -> None:
    scout, ct = images()
    raw = document()
    raw["territory"].append({"name": "left", "normal_mass": "0.8 kg", "agent": "resin"})
    where = {"right": "perfused right", "left": "perfused left"}
    found = plan(Plan(plan_from(raw).course, PlanImages(scout, REGIONS, ScoutOptions(ct=ct), where, engine="local")))
    right, left = (t.territory.target for t in found.course.territories)
    assert left.normal_mass_kg / right.normal_mass_kg == pytest.approx(3600 / 3475, rel=1e-4)
    assert not left.lesions
    assert found.course.course.unperfused_normal_mass_kg == 0
    assert len(found.course.guardrails.not_evaluated) < 20


def test_a_tumour_outside_the_territory_is_seen() -> None:
    scout, ct = images()
    given = PlanImages(scout, REGIONS, ScoutOptions(ct=ct), {"right": "perfused left"}, engine="local")
    found = plan(Plan(plan_from(document()).course, given))
    assert "tumour-outside-territory" in {w.id for w in found.course.guardrails.warned}
    # A tumour that is stated there and drawn elsewhere is a contradiction.
    assert "stated-lesion-not-drawn" in codes(found, "critical")


TENFOLD = {
    "normal_mass": {"territory__normal_mass": "0.075 kg"},
    "mass": {"territory__lesion__mass": "280 g"},
    "tumour_to_normal": {"territory__lesion__tumour_to_normal": 40.0},
    "lung_shunt": {"lungs__lung_shunt": "0.6 %"},
    "lung_mass": {"lungs__lung_mass": "6.4 kg"},
}


@pytest.mark.parametrize(("quantity", "change"), TENFOLD.items(), ids=TENFOLD.keys())
def test_a_slip_of_ten_stops_and_changes_nothing(quantity: str, change: dict[str, Any]) -> None:
    right, wrong = plain(), answered(**change)
    assert wrong.course.administered_gbq == pytest.approx(right.course.administered_gbq, rel=1e-12)
    assert wrong.course.verdict == "stop"
    said = [m.text for m in wrong.messages if m.code == "stated-contradicts-measured"]
    assert len(said) == 1
    assert said[0].startswith(quantity.replace("_", " "))
    (one,) = [c for c in wrong.course.compared if c.contradicts]
    assert f"{one.stated:.4g}" in said[0]
    assert f"{one.measured:.4g}" in said[0]


def test_a_stated_value_wins_only_with_a_reason_and_never_unsaid() -> None:
    kept = answered({"tumour_to_normal": "PET of the same week"}, territory__lesion__tumour_to_normal=6.0)
    assert kept.course.territories[0].territory.target.lesions[0].tumour_to_normal == 6.0
    (said,) = [m for m in kept.messages if m.code == "stated-differs"]
    assert "PET of the same week" in said.text
    with pytest.raises(InputError, match="without a reason"):
        answered({"lung_shunt": " "})
    with pytest.raises(UnknownNameError):
        answered({"shunt": "x"})


def test_a_fact_that_the_plan_knows_better_is_said() -> None:
    found = answered(facts={"share_elsewhere": 0.0001, "scout_to_therapy_days": 12})
    assert any(m.code == "stated-differs" and "share_elsewhere" in m.text for m in found.messages)
    assert "scout-too-old" in found.course.guardrails.quiet


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the lung shunt and of T/N in the right territory."""
    folder = tmp_path_factory.mktemp("results")
    scout, ct = images()
    reading = ScoutOptions(ct=ct)
    lung_shunt(scout, structures=REGIONS, reading=reading).save(folder / "lsf")
    tumour_to_normal(scout, structures=REGIONS, reading=reading, uptake=UptakeOptions(territory="perfused right")).save(
        folder / "tn"
    )
    return folder


def test_scout_to_plan_needs_no_typing(results: Path) -> None:
    raw = document(lungs=None, territory__normal_mass=None, territory__lesion=[{"name": "tumour 1"}])
    raw["measured"] = {"lung_shunt": "lsf/result.json", "tumour_to_normal": "tn"}
    (results / "plan.toml").write_text(toml(raw))
    from_results = plan(results / "plan.toml")
    shunt = json.loads((results / "lsf/result.json").read_text())
    uptake = json.loads((results / "tn/result.json").read_text())
    target = from_results.course.territories[0].territory.target
    assert target.lung_shunt == shunt["lung_shunt"]
    assert target.lung_mass_kg == shunt["whole_lung_mass"]["mass_kg"]
    assert target.normal_mass_kg == uptake["masses_kg"]["normal liver"]
    assert target.lesions[0].tumour_to_normal == uptake["lesions"][0]["tumour_to_normal"]
    # The same as the images themselves say.
    by_images = plain().course
    assert from_results.course.administered_gbq == pytest.approx(by_images.administered_gbq, rel=1e-9)
    assert {entry.role for entry in from_results.provenance.inputs} == {"plan", "measured"}


def test_scout_to_prescription_is_the_same_number(results: Path) -> None:
    earlier = EarlierOptions(lung_shunt_result=results / "lsf", uptake_result=results / "tn" / "result.json")
    made = prescribe("partition", earlier=earlier, aim=AimOptions(normal_limit_gy=40.0))
    target = plain().course.territories[0].territory.target
    expected = target.activity_for_normal_dose(40.0, made.assessed.prescription.constant)
    assert made.assessed.prescription.administered_gbq == pytest.approx(expected, rel=1e-9)
    typed = prescribe(
        "partition", earlier=earlier, aim=AimOptions(normal_limit_gy=40.0), masses=MassOptions(lung_shunt=0.6)
    )
    assert typed.assessed.prescription.administered_gbq == made.assessed.prescription.administered_gbq
    assert [m.code for m in typed.messages if m.code.startswith("stated")] == ["stated-contradicts-measured"]
    with pytest.raises(InputError, match="no result of lung_shunt"):
        prescribe("partition", earlier=EarlierOptions(lung_shunt_result=results / "tn"))


def test_plan_to_vial_is_the_same_number() -> None:
    planned = plain().course.planned_gbq
    injection = datetime.fromisoformat("2026-03-12T10:00+01:00")
    order = order_vial("glass", planned, administered_at=injection).order
    assert order.planned_gbq == planned
    assert order.vials[0].activity_at_injection_gbq == pytest.approx(planned, rel=0.1)


def test_images_without_a_value_leave_it_to_the_plan() -> None:
    # A shunt that nobody states is assumed, said, and no statement beside that of the images.
    unknown = plan_from(document(lungs=None)).course
    assert unknown.assumptions == (NO_SHUNT,)
    assert "lung-shunt-not-stated" in {m.code for m in plan_course(unknown).messages if m.severity == "warning"}
    measured = answered(lungs=None)
    assert not {"lung-shunt-not-stated", "stated-contradicts-measured"} & {m.code for m in measured.messages}
    used = measured.course.territories[0].territory.target.lung_shunt
    assert used == pytest.approx(plain().course.territories[0].territory.target.lung_shunt)
    zero = plan_course(plan_from(document(lungs={"lung_shunt": "0 %"})).course)
    assert zero.assumptions
    assert NO_SHUNT not in zero.assumptions
    assert not [m for m in zero.messages if "state the measured one" in m.text]
    course = plan_from(document()).course
    assert reconciled(course, Measured("nothing"), {}).territories == course.territories


def cut_off(shunt: str, lung_mass: str | None) -> PlanResult:
    """The plan with scout and CT that end in the middle of the lungs."""
    short = GRID.crop((slice(0, 40), slice(0, 30), slice(0, 34)))
    whole = images()
    scout, ct = (
        Image.from_array(one.volume.values[:, :, :34], unit=unit, grid=short)
        for one, unit in zip(whole, ("counts", "HU"), strict=True)
    )
    where = {"right": "perfused right"}
    given = PlanImages(scout, REGIONS, ScoutOptions(ct=ct), where, engine="local")
    lungs = {"lung_shunt": shunt} | ({} if lung_mass is None else {"lung_mass": lung_mass})
    return plan(Plan(plan_from(document(lungs=lungs)).course, given))


@pytest.mark.parametrize(
    ("shunt", "mass_stated", "said"),
    [
        ("5.9 %", True, None),  # Completed to the plan's own mass it is the true one.
        ("20 %", True, "stated-contradicts-measured"),
        ("2 %", True, "stated-contradicts-measured"),
        ("7 %", False, None),  # 1 kg +- 25 % is assumed: 8.8 % +- 2.0 %.
        ("15 %", False, "stated-differs"),
    ],
)
def test_the_shunt_of_lungs_cut_off_is_compared_both_ways(shunt: str, mass_stated: bool, said: str | None) -> None:
    whole_kg = plain().course.territories[0].territory.target.lung_mass_kg
    found = cut_off(shunt, f"{whole_kg} kg" if mass_stated else None)
    (one,) = (c for c in found.course.compared if c.quantity == "lung_shunt")
    assert one.used == "stated"
    # The same uptake per gram in the whole mass, or in the 1 kg that is assumed.
    odds = SHUNT / (1 - SHUNT) * (1 if mass_stated else 1 / whole_kg)
    assert one.measured == pytest.approx(odds / (1 + odds), rel=1e-3)
    texts = {m.code for m in found.messages if m.text.startswith("lung shunt")}
    assert texts == ({said} if said else set())


def test_a_lung_mass_below_what_is_in_view_is_wrong() -> None:
    assert "lung-mass-below-seen" in codes(cut_off("6 %", "0.1 kg"), "critical")


def toml(raw: dict[str, Any]) -> str:
    """A plan document as text: tables of plain values, and territories with their lesions."""
    lines = []
    for name, table in raw.items():
        if name != "territory":
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    for row in raw["territory"]:
        lines += ["[[territory]]", *(f"{k} = {json.dumps(v)}" for k, v in row.items() if k != "lesion")]
        for lesion in row.get("lesion", []):
            lines += ["[[territory.lesion]]", *(f"{k} = {json.dumps(v)}" for k, v in lesion.items())]
    return "\n".join(lines)
