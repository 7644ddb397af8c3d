"""An injection watched for a case: shown as it goes, entered when it ends, and not lost whatever ends it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

import hepatica as hp
from hepatica.case.changing import changing
from hepatica.case.injection.watched import watched_run
from hepatica.core.context import DicomContext
from hepatica.errors import InputError, OutputError
from hepatica.io.dicom.images.dynamic import write_dynamic
from hepatica.io.dicom.images.write import Emission
from hepatica.monitoring.feed import FrameGate
from hepatica.monitoring.prepared import Prepared
from hepatica.monitoring.simulation.flow import FlowSettings
from hepatica.monitoring.state import Alarm, RegionState, Residual, State
from hepatica.monitoring.state import Test as Judged
from hepatica.monitoring.wording import certainty, severity
from hepatica.workflow.monitoring.keeping import MOST_POINTS, LiveFile
from hepatica.workflow.monitoring.monitor import bare_state
from hepatica.workflow.monitoring.sources import Silence, replayed
from monitoring_makers import PLANNED, injection, mask, setup_of, spread

START = datetime(2026, 3, 2, 10, 15, tzinfo=UTC)
FEW: dict[str, Any] = {"rehearsals": 200, "false_alarms": 0.05, "seed": 5}
QUICK = hp.WatchOptions(**FEW, idle_s=1.0)


def write_file(path: Path, frames: list[Any], *, first: int, patient: str = "M1") -> None:
    context = DicomContext.invented(patient_id=patient, patient_name="Watched^One", when=START)
    emission = Emission("Tc-99m", START + timedelta(seconds=0.5 * first), 0.5)
    write_dynamic(path, np.stack(frames), context, emission, pixel_mm=4.0, number=first)


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of a stasis in files of eight seconds, readings and setup beside them."""
    root = tmp_path_factory.mktemp("arrived")
    (root / "camera").mkdir()
    run = list(injection(setup_of(), "stasis", seconds=64))
    frames = [frame.values for frame, _, _ in run]
    for n in range(0, len(frames), 16):
        write_file(root / "camera" / f"{n}.dcm", frames[n : n + 16], first=n)
    rows = [f"{r.kind},{r.at_s},{r.value}" for _, readings, _ in run for r in readings]
    (root / "readings.csv").write_text("kind,time_s,value\n" + "\n".join(rows) + "\n")
    prepared = Prepared(setup_of(), mask(), 4.0, "Tc-99m", "maa", FlowSettings())
    (root / "setup.json").write_text(json.dumps(prepared.as_document()))
    return root


@pytest.fixture
def case(tmp_path: Path) -> hp.Case:
    made = hp.Case.new(tmp_path / "case")
    made.set(**{"treatment.agent": "maa"})
    return made


def live_of(case: hp.Case) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((case.folder / "monitoring" / "live.json").read_text())
    return found


def log_of(case: hp.Case, what: str) -> list[dict[str, Any]]:
    lines = (case.folder / "log.jsonl").read_text().splitlines()
    return [entry["about"] for entry in map(json.loads, lines) if entry["what"] == what]


def test_a_watched_folder_is_shown_as_it_goes_and_enters_the_case(arrived: Path, case: hp.Case) -> None:
    seen: list[dict[str, Any]] = []
    found = hp.monitor(
        arrived / "camera", setup=arrived / "setup.json", readings=arrived / "readings.csv", watching=QUICK,
        keeping=hp.KeepOptions(case=case.folder), live_view=lambda _: seen.append(live_of(case)),
    )  # fmt: skip
    assert {one["state"] for one in seen} == {"running"}
    live = live_of(case)
    assert (live["schema"], live["state"], live["agent"], live["source"]) == (
        1,
        "ended",
        "maa",
        "frames arriving in camera",
    )
    assert live["frames"]["seen"] == 128
    assert not any(count for name, count in live["frames"].items() if name != "seen")
    assert found.is_usable
    assert live["planned_mbq"] == PLANNED / 1e6
    assert [(one["kind"], one["severity"]) for one in live["alarms"]] == [("stasis", "warning")]
    assert "uneventful injections" in live["alarms"][0]["certainty"]
    assert live["delivered_mbq"]["value"] == pytest.approx(found.delivered_bq / 1e6, abs=1e-3)
    assert live["delivered_mbq"]["low"] < live["delivered_mbq"]["value"] < live["delivered_mbq"]["high"]
    assert {one["name"]: one["limit_mbq"] for one in live["regions"]}["lungs"] == 15.0
    assert live["curve"]["time_s"][-1] == 64.0
    assert live["curve"]["delivered_mbq"][-1] == live["delivered_mbq"]["value"]
    # The step is done as it stands: nothing is to be run again.
    (step,) = [one for one in case.steps() if one.name == "injection"]
    assert step.state == "done"
    (measured,) = log_of(case, "measured")
    assert measured["delivered_bq"] == found.delivered_bq
    assert [one["state"] for one in log_of(case, "watched")] == ["running", "ended"]
    with pytest.raises(InputError, match="holds frames of a watched injection"):
        hp.monitor(arrived / "camera", keeping=hp.KeepOptions(case=case.folder))
    # A replay of what the case holds finds the same.
    roles = {item.role: item for item in case.situation().catalogue}
    assert len(roles["injection-frames"].files) == 8
    again = hp.monitor(
        roles["injection-frames"].path(case.folder), setup=roles["injection-setup"].path(case.folder),
        readings=roles["injection-readings"].path(case.folder), watching=QUICK, which=hp.FrameOptions(replay=True),
    )  # fmt: skip
    assert again.delivered_bq == pytest.approx(found.delivered_bq, rel=1e-3)
    assert [alarm.kind for alarm in again.alarms] == ["stasis"]


def test_a_crash_loses_nothing_and_is_said(arrived: Path, case: hp.Case) -> None:
    """What breaks off in the middle leaves every state, reading and alarm on the disk, and the state "lost"."""

    def breaks(state: State) -> None:
        if state.alarms:
            raise RuntimeError("the screen is gone")

    with pytest.raises(RuntimeError):
        hp.monitor(
            arrived / "camera", setup=arrived / "setup.json", readings=arrived / "readings.csv", watching=QUICK,
            keeping=hp.KeepOptions(case=case.folder), live_view=breaks,
        )  # fmt: skip
    assert live_of(case)["state"] == "lost"
    (run,) = (case.folder / "monitoring").glob("run-*")
    entries = [json.loads(line) for line in (run / "states.jsonl").read_text().splitlines()]
    (alarm,) = [entry for entry in entries if entry["entry"] == "alarm"]
    assert len((run / "readings.csv").read_text().splitlines()) > 2 * alarm["at_s"]
    assert [one["state"] for one in log_of(case, "watched")] == ["running", "lost"]
    assert log_of(case, "watched")[-1]["alarms"] == [f"stasis at {alarm['at_s']:.1f} s"]
    # The camera's frames are still there: watched again, the injection enters the case.
    hp.monitor(
        arrived / "camera", setup=arrived / "setup.json", watching=QUICK, which=hp.FrameOptions(replay=True),
        readings=run / "readings.csv", keeping=hp.KeepOptions(case=case.folder),
    )  # fmt: skip
    assert live_of(case)["state"] == "ended"
    assert len(log_of(case, "measured")) == 1


def test_an_interrupt_ends_a_watched_folder_and_enters_it(arrived: Path, case: hp.Case) -> None:
    def stop(state: State) -> None:
        if state.time_s > 40 and state.watching != "stopped":
            raise KeyboardInterrupt

    found = hp.monitor(
        arrived / "camera", setup=arrived / "setup.json", readings=arrived / "readings.csv",
        watching=hp.WatchOptions(**FEW), keeping=hp.KeepOptions(case=case.folder), live_view=stop,
    )  # fmt: skip
    assert 40 < found.duration_s < 42
    assert live_of(case)["state"] == "ended"
    assert (case.folder / "steps" / "injection" / "step.json").is_file()


def test_a_killed_run_is_noted_by_the_next_and_one_watches_at_a_time(arrived: Path, case: hp.Case) -> None:
    if (child := os.fork()) == 0:
        killed = watched_run(case, None, "a folder", arrived / "setup.json")
        begun = killed.__enter__()
        begun.keeper.entry({"entry": "alarm", "kind": "reflux", "at_s": 12.5})
        os._exit(9)
    os.waitpid(child, 0)
    assert live_of(case)["state"] == "running"
    other = watched_run(case, 1, "", None)
    with watched_run(case, 1, "again", None), pytest.raises(OutputError, match="watched by another process"):
        other.__enter__()
    states = [(one["state"], one.get("alarms")) for one in log_of(case, "watched")]
    assert states == [("running", None), ("lost", ["reflux at 12.5 s"]), ("running", None), ("ended", [])]


def test_what_cannot_enter_is_kept_beside_it(arrived: Path, case: hp.Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hepatica.case.injection.watched.PATIENCE_S", 0.1)
    held: list[Any] = []

    def hold(state: State) -> None:
        if state.watching == "stopped":
            held.append(changing(case.folder))
            held[0].__enter__()

    found = hp.monitor(
        arrived / "camera", setup=arrived / "setup.json", which=hp.FrameOptions(replay=True), watching=QUICK,
        keeping=hp.KeepOptions(case=case.folder), live_view=hold,
    )  # fmt: skip
    held[0].__exit__(None, None, None)
    (message,) = [one for one in found.messages if one.code == "not-entered"]
    assert message.severity == "critical"
    assert not found.is_usable  # the command ends with exit code 1
    (run,) = (case.folder / "monitoring").glob("run-*")
    assert (run / "result" / "result.json").is_file()
    assert live_of(case)["state"] == "ended"


def test_frames_of_another_patient_are_not_used(arrived: Path, case: hp.Case, tmp_path: Path) -> None:
    case.set(**{"patient.id": "M2"})
    found = hp.monitor(
        arrived / "camera", setup=arrived / "setup.json", which=hp.FrameOptions(replay=True), watching=QUICK,
        keeping=hp.KeepOptions(case=case.folder),
    )  # fmt: skip
    assert found.frames_used == 0
    assert any("another patient than the case" in one.text for one in found.messages)
    live = live_of(case)
    assert any("another patient" in note for note in live["notes"])
    assert any("another patient" in why for why in live["not_measured"])
    assert "not-entered" in {one.code for one in found.messages}
    with pytest.raises(InputError, match="no treatment 3"):
        hp.monitor(arrived / "camera", keeping=hp.KeepOptions(case=case.folder, treatment=3))
    with pytest.raises(InputError, match="is one of a case"):
        hp.monitor(arrived / "camera", keeping=hp.KeepOptions(treatment=1))


def test_the_live_file_is_written_once_a_second_and_its_curve_stays_short(tmp_path: Path) -> None:
    now = [0.0]
    file = LiveFile(tmp_path / "live.json", "test", "glass", {}, clock=lambda: now[0])
    written = 0
    for n in range(5000):
        now[0] = min(0.1 * n, 6.0)  # a disk is slow: what is written later is not looked at
        file.show(state_at(0.1 * (n + 1)), FrameGate("", (1, 1)))
        if n % 10 == 9 and n < 60:
            stamp = (tmp_path / "live.json").stat().st_mtime_ns
            written += stamp != getattr(file, "stamp", None)
            file.stamp = stamp  # type: ignore[attr-defined]
    assert written == 6
    file.write("ended")
    curve = json.loads((tmp_path / "live.json").read_text())["curve"]
    assert MOST_POINTS / 2 - 1 <= len(curve["time_s"]) <= MOST_POINTS
    steps = np.diff(curve["time_s"])
    assert steps.min() > 0.8 * np.median(steps)
    assert curve["delivered_mbq"][-1] == pytest.approx(curve["time_s"][-1], abs=1e-3)


def test_while_boundaries_are_simulated_the_file_is_fresh_and_says_so(tmp_path: Path) -> None:
    file = LiveFile(tmp_path / "live.json", "test", planned_bq=PLANNED)

    def held() -> dict[str, Any]:
        found: dict[str, Any] = json.loads((tmp_path / "live.json").read_text())
        return found

    with file.rehearsing():
        first = held()
        assert (first["state"], first["watching"], first["planned_mbq"]) == ("running", "rehearsing", PLANNED / 1e6)
        for _ in range(30):
            time.sleep(0.1)
            if held()["updated"] > first["updated"]:
                break
        assert first["updated"] < held()["updated"]
    file.write("running")
    assert held()["watching"] == "waiting"
    assert held()["not_measured"] == ["no frame that can be used has come"]
    file.unused("is of another patient")  # said at once, and not written anew for each file
    stamp = held()["updated"]
    file.unused("is of another patient")
    assert held()["updated"] == stamp
    assert held()["notes"] == ["not used: is of another patient"]
    assert "is of another patient (2 times)" in file.document("running")["not_measured"][-1]


def test_without_a_setup_the_live_file_says_why_nothing_is_measured(tmp_path: Path) -> None:
    file = LiveFile(tmp_path / "live.json", "test")
    file.show(bare_state(3.0, 900.0, (), 6), None)
    assert file.document("ended")["not_measured"] == ["there is no setup"]
    assert file.document("ended")["rate_cps"] == 900.0


def test_what_is_not_judged_is_said_with_its_reason(tmp_path: Path) -> None:
    silent, no = "the meter is silent", "no limit is set"
    tests = (Judged("stasis", None, 3.0, False, silent), Judged("no-delivery", None, 3.0, False, silent),
             Judged("limit-in-sight", None, 3.0, False, no), Judged("reflux", 1.0, 3.0, True))  # fmt: skip
    state = replace(state_at(3.0), tests=tests, watching="degraded", notes=("the patient moved",))
    file = LiveFile(tmp_path / "live.json", "test")
    file.show(state, None)
    said = ["the patient moved", "not judged: stasis, no-delivery (the meter is silent)",
            "not judged: limit-in-sight (no limit is set)"]  # fmt: skip
    assert file.document("running")["notes"] == said


def state_at(time_s: float, **more: Any) -> State:
    region = RegionState("target", "target", time_s * 1e6, 0.0, 2e8, 1e6, 1.0, 1e6)
    return State(time_s, "watching", (), 0.0, 1, 1e3, 1.0, (region,), time_s * 1e6, 1e5, 6e8, None, Residual(), (),
                 more.get("alarms", ()))  # fmt: skip


def test_an_alarm_says_how_sure_and_how_grave_it_is() -> None:
    alarm = Alarm("limit-in-sight", 3.0, "lungs", "why", 4.0, 3.0, 0.002, 0.99997, "")
    assert severity(alarm) == "critical"
    assert certainty(alarm) == "probability over 99.9 %; as large in at most 0.2 % of uneventful injections"
    doubtful = Alarm("reflux", 3.0, "", "why", 4.0, 3.0, 0.01, None, "", "the patient moved")
    assert severity(doubtful) == "warning"
    assert certainty(doubtful).endswith("; doubtful")


def test_a_folder_is_replayed_in_order_with_readings_from_its_first_frame(arrived: Path) -> None:
    from hepatica.workflow.monitoring.sources import Arrived

    events: Iterator[Any] = replayed(
        arrived / "camera", arrived / "readings.csv", hp.FrameOptions(replay=True), Arrived()
    )
    times = [
        event.at_s if hasattr(event, "at_s") else event.start_s for event in events if not isinstance(event, Silence)
    ]
    first = START.timestamp()
    assert times[0] < first
    within = [time - first for time in times if time >= first]
    assert len(within) == 128 + 2 * 128
    assert all(later - earlier > -0.51 for earlier, later in pairwise(within))


def test_a_case_makes_the_setup_of_its_watched_injection(arrived: Path, tmp_path: Path) -> None:
    """CT and structures of the case, one frame of the empty field: nothing that they hold is typed again."""
    folder = tmp_path / "made"
    patient = hp.virtual_patient(seed=7, tumours=1, ct=hp.VirtualCtOptions(spacing_mm=12.0)).save(folder)
    case = hp.Case.new(tmp_path / "case")
    case.set(**{"treatment.agent": "maa"})
    case.add(patient / "ct", "scout-ct", treatment=1)
    case.add(patient / "rtstruct.dcm", "scout-structures", treatment=1)
    identity = str(dcmread(patient / "rtstruct.dcm").PatientID)
    write_file(tmp_path / "empty.dcm", [np.zeros((64, 64))] * 4, first=0, patient=identity)
    case.add(tmp_path / "empty.dcm", "injection-view", treatment=1)
    stated = {
        "camera": "siemens-lehr",
        "head": "anterior",
        "offset": '["0 mm", "0 mm"]',
        "planned": "150 MBq",
        "empty-field": "true",
    }
    case.set(**{f"treatment.prepare-injection.{key}": value for key, value in stated.items()})
    assert [step.state for step in case.run("prepare-injection")] == ["done"]
    with watched_run(case, 1, "a folder", None) as run:
        assert run.is_of_case
        assert run.setup is not None
        assert json.loads(run.setup.read_text())["planned_bq"] == 150e6


def test_a_second_part_enters_beside_the_first(arrived: Path, case: hp.Case, tmp_path: Path) -> None:
    """What the first part left in the field, a third of the vial, is taken off what the second brought."""
    setup, random = setup_of(), np.random.default_rng(8)
    there = setup.response_cps_per_bq @ (setup.expected_shares * PLANNED / 3)
    run = list(injection(setup, seconds=80))
    frames = [frame.values + spread(random.poisson(0.5 * there), random) for frame, _, _ in run]
    rows = [f"{r.kind},{r.at_s},{r.value}" for _, readings, _ in run for r in readings]
    (tmp_path / "second.csv").write_text("kind,time_s,value\n" + "\n".join(rows) + "\n")
    (tmp_path / "second").mkdir()
    write_file(tmp_path / "second" / "1.dcm", frames, first=0)
    replay = hp.FrameOptions(replay=True)
    given: dict[str, Any] = {"setup": arrived / "setup.json", "readings": arrived / "readings.csv", "which": replay}
    first = hp.monitor(arrived / "camera", watching=hp.WatchOptions(**FEW),
                       keeping=hp.KeepOptions(case=case.folder), **given)  # fmt: skip
    with pytest.raises(InputError, match="holds frames of a watched injection") as raised:
        hp.monitor(tmp_path / "second", keeping=hp.KeepOptions(case=case.folder, treatment=1), **given)
    assert "a treatment of its own" in str(raised.value.remedy)
    case.set(**{"treatment.2.agent": "maa"})
    second = hp.monitor(tmp_path / "second", watching=hp.WatchOptions(already_there="apart", **FEW),
                        keeping=hp.KeepOptions(case=case.folder, treatment=2),
                        **given | {"readings": tmp_path / "second.csv"})  # fmt: skip
    one, two = log_of(case, "measured")
    assert one["delivered_bq"] == first.delivered_bq
    assert two["already_there_bq"] == pytest.approx(PLANNED / 3, rel=0.1)
    assert two["delivered_bq"] == second.delivered_bq == pytest.approx(float(run[-1][2].sum()), rel=0.05)
    stated = (case.folder / "case.toml").read_text()
    assert 'already-there = "apart"' in stated
