"""What a watched injection brought is what reached the patient where no readings of the vial are stated."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import hepatica as hp
from case_makers import FACTS_TEXT, result, stated_case, states
from hepatica.case.changing import changing
from hepatica.case.layout import FACTS
from hepatica.case.report.front import about_given
from hepatica.case.running.run import enter_result
from hepatica.core import Provenance
from hepatica.core.context import DicomContext
from hepatica.errors import InputError
from hepatica.io.dicom.images.dynamic import write_dynamic
from hepatica.io.dicom.images.write import Emission
from hepatica.monitoring.prepared import Prepared
from hepatica.monitoring.simulation.flow import FlowSettings
from hepatica.monitoring.watch import Watch
from hepatica.nuclides import nuclide
from hepatica.web.routes.forms import step_form
from hepatica.workflow.monitoring.result import FrameFaults, MonitorResult
from monitoring_makers import PLANNED, injection, mask, setup_of

AT = datetime(2026, 3, 12, 9, 0, tzinfo=UTC)

WITHOUT_READINGS = FACTS_TEXT[: FACTS_TEXT.index("[treatment.delivery]")]


def watched(**more: Any) -> MonitorResult:
    """2.00 of 2.50 GBq of glass, as a watch that went to the end says it."""
    usual: dict[str, Any] = {
        "nuclide": "Y-90", "agent": "glass", "frames_used": 2, "duration_s": 60.0, "first_cps": 1e3, "largest_cps": 1e4,
        "frame_faults": FrameFaults(), "planned_bq": 2.5e9, "is_measured": True, "not_measured": (),
        "delivered_bq": 2e9, "delivered_bq_sd": 0.04e9, "delivered_share": 0.8, "measured_by": "camera and meter",
        "flow_had_ended": True, "drawn_bq": None, "drawn_bq_sd": None, "arrival": (), "blind_since_s": None,
        "already_there_bq": 0.0, "delivery": (), "residual_bq": 0.5e9, "residual_bq_sd": 0.03e9, "false_alarms": 0.01,
        "rehearsals": 1000, "alarms": (), "tests": (), "notes": (), "messages": (), "provenance": Provenance(),
    }  # fmt: skip
    return MonitorResult(**usual | more)


NOT_MEASURED = {"is_measured": False, "not_measured": ("the picture stands still",), "delivered_bq": None}


@pytest.fixture(scope="module")
def with_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case without readings that has its plan, and frames and setup of an injection that nobody has judged yet."""
    root = tmp_path_factory.mktemp("watched")
    case = stated_case(root / "case")
    (case.folder / FACTS).write_text(WITHOUT_READINGS, encoding="utf-8")
    case.run("plan")
    context = DicomContext.invented(patient_id="M1", patient_name="Mustermann^Erika", when=AT)
    write_dynamic(root / "frames.dcm", np.ones((2, 16, 16)), context, Emission("Y-90", AT, 0.5), pixel_mm=4.0, number=0)
    setup = setup_of().changed(half_life_s=nuclide("Y-90").half_life_s)
    document = Prepared(setup, mask(), 4.0, "Y-90", "glass", FlowSettings()).as_document()
    (root / "setup.json").write_text(json.dumps(document), encoding="utf-8")
    case.add(root / "frames.dcm", "injection-frames", treatment=1)
    case.add(root / "setup.json", "injection-setup", treatment=1)
    return Path(case.folder)


@pytest.fixture
def case(with_frames: Path, tmp_path: Path) -> hp.Case:
    shutil.copytree(with_frames, tmp_path / "case")
    return hp.Case.open(tmp_path / "case")


def enter(case: hp.Case, found: MonitorResult) -> None:
    """As the end of `hepatica.monitor` does, in place of what was entered before."""
    shutil.rmtree(case.folder / "steps" / "injection", ignore_errors=True)
    with changing(case.folder) as log:
        enter_result(case.folder, log, "injection", found)


def form_of(case: hp.Case) -> dict[str, Any]:
    """The workbench's form of the delivery."""
    bench: Any = SimpleNamespace(desk={"k": SimpleNamespace(situation=case.situation)})
    return step_form("k", "delivery", 1, bench)


def why(case: hp.Case, name: str) -> str:
    return "; ".join(next(step for step in case.steps() if step.name == name).reasons)


def test_without_readings_the_watched_activity_is_delivered_and_handed_on(case: hp.Case, tmp_path: Path) -> None:
    assert "treatment.delivery.reading_after_at" in why(case, "delivery")
    enter(case, watched())
    form = form_of(case)
    assert form["remark"] == (
        "No readings of the vial are stated: 2.000 ± 0.040 GBq by the watched injection (camera and meter) are taken."
    )
    assert not any(one["needed"] or one["word"] == "watched_result" for one in form["fields"])
    assert [step.name for step in case.run("safety")] == ["delivery", "safety"]
    found = result(case, "delivery")
    assert found["taken_from"] == "watched injection"
    assert found["administered_gbq"] == 2.0
    # The watch's own uncertainty and 5 % of the vial's calibration, which the meter's shares are of.
    assert found["administered_gbq_sd"] == pytest.approx((0.04**2 + 0.10**2) ** 0.5)
    assert found["residual_fraction"] == pytest.approx(0.2)
    assert (found["watched_injection"]["measured_by"], found["vials"]) == ("camera and meter", [])
    assert result(case, "safety")["administered_gbq"] == 2.0
    report = case.report()
    treatment = report.case_treatments[0]
    assert treatment.administered_gbq is not None
    assert treatment.administered_gbq.value == 2.0
    assert treatment.given_as_watched == "the watched injection (camera and meter)"
    # One number stands once on the first page, with one uncertainty, and is held against the plan once.
    page = (report.save(tmp_path / "report") / "report.html").read_text(encoding="utf-8")
    assert "by the watched injection (camera and meter)" in page
    assert "By the injection" not in page
    assert len([one for one in about_given(treatment) if one.code == "given-unlike-planned"]) <= 1
    # Another replay makes what stands on it out of date.
    enter(case, watched(delivered_bq=2.1e9))
    assert (states(case)["delivery"], states(case)["safety"]) == ("out of date", "out of date")
    case.run("delivery")
    assert result(case, "delivery")["administered_gbq"] == pytest.approx(2.1)


def test_the_camera_alone_knows_nothing_of_the_vials_calibration(case: hp.Case) -> None:
    enter(case, watched(measured_by="camera"))
    case.run("delivery")
    assert result(case, "delivery")["administered_gbq_sd"] == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (NOT_MEASURED, "the picture stands still"),
        ({"planned_bq": None, **NOT_MEASURED}, "without a setup"),
        ({"flow_had_ended": False}, "while beads still flowed"),
        ({"flow_had_ended": None}, "run it again"),
        ({"agent": "maa", "nuclide": "Tc-99m"}, "what was watched is maa, the treatment is of glass"),
        ({"agent": ""}, "names no agent"),
        ({"delivered_bq": 3.2e9}, "more than it held"),
    ],
)
def test_what_cannot_be_taken_says_why(case: hp.Case, more: dict[str, Any], said: str) -> None:
    enter(case, watched(**more))
    assert states(case)["delivery"] == "waiting"
    reason = why(case, "delivery")
    assert "treatment.delivery.reading_after_at (the watched injection is not taken: " in reason
    assert said in reason
    assert said in form_of(case)["remark"]
    with pytest.raises(InputError, match="delivery cannot run"):
        case.run("delivery")


def test_a_watch_that_was_withdrawn_feeds_nothing_and_makes_room_for_another(case: hp.Case, tmp_path: Path) -> None:
    enter(case, watched())
    case.run("delivery")
    frames = next(item for item in case.situation().catalogue if item.role == "injection-frames")
    case.take(frames.name, "unused")
    found = states(case)
    assert found["injection"] == "skipped"
    assert found["delivery"] != "done"
    context = DicomContext.invented(patient_id="M1", patient_name="Mustermann^Erika", when=AT)
    other = np.full((2, 16, 16), 2.0)
    write_dynamic(tmp_path / "again.dcm", other, context, Emission("Y-90", AT, 0.5), pixel_mm=4.0, number=0)
    case.add(tmp_path / "again.dcm", "injection-frames", treatment=1)
    with changing(case.folder) as log:
        enter_result(case.folder, log, "injection", watched(delivered_bq=2.2e9))
        with pytest.raises(InputError, match="has a result of it"):
            enter_result(case.folder, log, "injection", watched())
    case.run("delivery")
    assert result(case, "delivery")["administered_gbq"] == pytest.approx(2.2)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"planned_bq": 0.0}, "planned_bq"),
        ({"delivered_bq": -1e9}, "delivered_bq"),
        ({"delivered_bq_sd": 0.0}, "delivered_bq"),
        ({"measured_by": "banana"}, "measured_by"),
        ({"measured_by": ""}, "measured_by"),
    ],
)
def test_a_result_that_no_watch_can_have_is_refused(more: dict[str, Any], said: str, tmp_path: Path) -> None:
    saved = watched(**more).save(tmp_path / "saved")
    with pytest.raises(InputError, match=said):
        hp.delivered_activity("Y-90", planned=hp.DeliveryOptions(agent="glass"), watched_result=saved)


@pytest.mark.parametrize(("delivered", "differs"), [(2.88e9, False), (2.0e9, True)])
def test_readings_decide_and_are_held_against_what_was_watched(case: hp.Case, delivered: float, differs: bool) -> None:
    (case.folder / FACTS).write_text(FACTS_TEXT, encoding="utf-8")
    enter(case, watched(delivered_bq=delivered, planned_bq=3e9))
    case.run("delivery")
    found = result(case, "delivery")
    assert found["taken_from"] == "vial readings"
    # 3 GBq of 08:00 at 10:00; 98 % left the vial, by readings 40 min apart.
    left = 0.02 * 2 ** (2 / 3 / 64.05)
    assert found["administered_gbq"] == pytest.approx(3 * 2 ** (-2 / 64.05) * (1 - left), rel=1e-4)
    assert found["watched_injection"]["administered_gbq"] == delivered / 1e9
    assert ("watched-differs" in {one["code"] for one in found["messages"]}) == differs


def test_readings_that_are_stated_in_part_are_waited_for(case: hp.Case) -> None:
    enter(case, watched())
    case.set(**{"treatment.delivery.vial": "3 GBq"})
    assert "or none of the readings" in why(case, "delivery")


def test_one_vial_of_several_planned_is_not_all_that_was_given(case: hp.Case, tmp_path: Path) -> None:
    plan = json.loads((case["plan"] / "result.json").read_text(encoding="utf-8"))
    plan["territories"] = [plan["territories"][0] | {"name": name} for name in ("right", "left")]
    (tmp_path / "result.json").write_text(json.dumps(plan), encoding="utf-8")
    made = watched().save(tmp_path / "watched")
    planned, at = hp.DeliveryOptions(planned_result=tmp_path), hp.VialReadingOptions(administered_at=(AT,))
    with pytest.raises(InputError, match="2 injections of"):
        hp.delivered_activity("Y-90", at, planned=planned, watched_result=made)
    with pytest.raises(InputError, match="`administered_at` is needed"):
        hp.delivered_activity("Y-90", watched_result=made)
    with pytest.raises(InputError, match="`vial_gbq`, `calibrated_at`"):
        hp.delivered_activity("Y-90")


def test_a_watch_says_what_measured_and_whether_the_flow_had_ended() -> None:
    setup = setup_of(infusion_s=20.0)
    watch, ended = Watch(setup, mask(), None, nuclide="Tc-99m"), []
    for frame, readings, _ in injection(setup, seconds=40):
        for one in readings:
            watch.reading(one)
        watch.frame(frame)
        ended.append(watch.flow_had_ended())
    # Frames of 0.5 s: from 6 to 18 s of an infusion of 20 s beads flow.
    assert not any(ended[12:36])
    assert ended[-1]
    assert watch.measured_by() == "camera and meter"
    assert watch.stop().delivered_bq == pytest.approx(PLANNED, rel=0.05)
    alone = Watch(setup.changed(has_meter=False), mask(), None, nuclide="Tc-99m")
    for frame, _, _ in injection(setup, seconds=12):
        alone.frame(frame)
    assert (alone.measured_by(), alone.flow_had_ended()) == ("camera", False)
    assert watched(measured_by="camera").measured_values()["measured_by"] == "camera"
