"""What a replay says of its files: their order, what they do not state, what cannot be used, what cannot be reached."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from hepatica.cli.dashboard import page, summary
from hepatica.core.context import DicomContext
from hepatica.errors import InputError
from hepatica.io.dicom.images.dynamic import read_dynamic, write_dynamic
from hepatica.io.dicom.images.write import Emission
from hepatica.io.monitoring.readings import read_readings
from hepatica.monitoring.feed import Frame
from hepatica.monitoring.judging.boundaries import calibrated
from hepatica.monitoring.options import FrameOptions
from hepatica.monitoring.prepared import Prepared
from hepatica.monitoring.simulation.flow import FlowSettings
from hepatica.monitoring.watch import Watch
from hepatica.workflow.monitoring.arrival import about_goal
from hepatica.workflow.monitoring.keeping import LiveFile
from hepatica.workflow.monitoring.monitor import Session, messages_of
from hepatica.workflow.monitoring.sources import Arrived, LiveFrames, replayed
from monitoring_makers import injection, mask, setup_of

START = datetime(2026, 3, 2, 10, 15, tzinfo=UTC)
PREPARED = Prepared(setup_of(), mask(), 4.0, "Tc-99m", "maa", FlowSettings())


def file_of(path: Path, frames: list[np.ndarray], *, at_s: float, number: int = 1, patient: str = "M1") -> Path:
    context = DicomContext.invented(patient_id=patient, patient_name="Watched^One", when=START)
    emission = Emission("Tc-99m", START + timedelta(seconds=at_s), 0.5)
    return write_dynamic(path, np.stack(frames), context, emission, pixel_mm=4.0, number=number)


def parts(folder: Path, names: str, *, numbers: tuple[int, ...], clock_s: tuple[float, ...]) -> list[Frame]:
    """Frames of a replay of four files of two seconds each, in time by their place in `names`."""
    frames = [frame.values for frame, _, _ in injection(setup_of(), seconds=8.0)]
    for n, name in enumerate(names):
        file_of(folder / f"{name}.dcm", frames[4 * n : 4 * n + 4], at_s=clock_s[n], number=numbers[n])
    arrived = Arrived()
    events = replayed(folder, None, FrameOptions(replay=True), arrived)
    SAID[:] = arrived.said
    return [event for event in events if isinstance(event, Frame)]


SAID: list[str] = []


@pytest.mark.parametrize("numbers", [(1, 1, 1, 1), (1, 2, 3, 4)])
def test_files_are_replayed_by_their_times_not_their_names(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    found = parts(tmp_path, "dbca", numbers=numbers, clock_s=(0.0, 2.0, 4.0, 6.0))
    whole = [frame.values for frame, _, _ in injection(setup_of(), seconds=8.0)]
    assert all((one.values == other).all() for one, other in zip(found, whole, strict=True))


def test_that_names_are_out_of_order_is_said_and_a_clock_that_was_set_keeps_them(tmp_path: Path) -> None:
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
    given = replayed_said(tmp_path / "a", "dbca", (1, 1, 1, 1), (0.0, 2.0, 4.0, 6.0))
    assert given == ["names of the files are not in the order of their times: they are taken by their times"]
    assert replayed_said(tmp_path / "b", "abcd", (1, 2, 3, 4), (0.0, 2.0, -3000.0, -2998.0)) == []
    assert replayed_said(tmp_path / "c", "abcd", (1, 1, 1, 1), (0.0, 2.0, 4.0, 6.0)) == []
    # The clock was set back, and the numbers of the files say so: they are taken as they are called.
    starts = [frame.start_s for frame in parts(tmp_path / "b", "abcd", numbers=(1, 2, 3, 4),
                                               clock_s=(0.0, 2.0, -3000.0, -2998.0))]  # fmt: skip
    assert starts[0] > starts[-1]


def replayed_said(folder: Path, names: str, numbers: tuple[int, ...], clock_s: tuple[float, ...]) -> list[str]:
    frames = [np.full((4, 4), 7.0)] * 4
    for n, name in enumerate(names):
        file_of(folder / f"{name}.dcm", frames, at_s=clock_s[n], number=numbers[n])
    arrived = Arrived()
    list(replayed(folder, None, FrameOptions(replay=True), arrived))
    return arrived.said


def test_files_found_at_one_look_are_taken_by_their_times(tmp_path: Path) -> None:
    paths = [file_of(tmp_path / f"{name}.dcm", [np.full((4, 4), 7.0 + n)] * 2, at_s=2.0 * n)
             for n, name in enumerate("ca")]  # fmt: skip
    events = LiveFrames(FrameOptions(), Arrived()).of(sorted(paths), 0.0)
    assert [event.values[0, 0] for event in events if isinstance(event, Frame)] == [7.0, 7.0, 8.0, 8.0]


def test_what_frames_do_not_state_is_not_checked_and_said(tmp_path: Path) -> None:
    good = read_dynamic(file_of(tmp_path / "a.dcm", [np.ones((16, 16))] * 2, at_s=0.0))
    arrived = Arrived(prepared=PREPARED)
    arrived.note(good)
    assert arrived.unchecked == {}
    arrived.note(replace(good, nuclide="", windows_kev=()))
    (said,) = [one for one in messages_of(arrived, PREPARED, Session(None, None, lambda _: None))
               if one.code == "not-checked"]  # fmt: skip
    assert said.severity == "warning"
    assert "the nuclide (that it is Tc-99m), which 1 file does not state" in said.text
    assert "the energy window" in said.text


def test_files_of_another_patient_are_said_once(tmp_path: Path) -> None:
    paths = [file_of(tmp_path / f"{n}.dcm", [np.ones((4, 4))], at_s=n, patient="M2") for n in range(5)]
    arrived, session = Arrived(patient_ids=("M1",)), Session(None, None, lambda _: None)
    for event in LiveFrames(FrameOptions(), arrived).of(paths, 0.0):
        session.take(event)
    (said,) = [one for one in messages_of(arrived, None, session) if one.code == "not-used"]
    assert said.text == "0.dcm: is of another patient than the case; it is not used (5 files)"


def test_a_goal_that_the_vial_cannot_give_is_said() -> None:
    (said,) = about_goal(setup_of(goal_bq=300e6))
    assert said.code == "goal-out-of-reach"
    assert "300 MBq, is more than the vial can give, 148.5 MBq" in said.text
    assert about_goal(setup_of(goal_bq=148e6)) == ()
    assert about_goal(setup_of(goal_bq=300e6, already_there="apart")) == ()


def test_how_many_rehearsals_are_needed_is_said() -> None:
    with pytest.raises(InputError) as raised:
        calibrated(setup_of(), FlowSettings(), injections=400)
    assert raised.value.remedy == "simulate 1000 or more"


def test_a_table_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "readings.csv"
    path.write_text("Kind,Time_s,Value\nvial,-1,900\n", encoding="utf-8-sig")
    assert [line.value for line in read_readings(path)] == [900.0]
    path.write_text("vial,-1,900\n", encoding="utf-8-sig")
    assert [line.kind for line in read_readings(path)] == ["vial"]


def test_the_screen_says_the_delivered_value_of_the_live_file(tmp_path: Path) -> None:
    """By frames and meter together, with its interval; the row of the frames alone is called so."""
    watch = Watch(setup_of(), mask(), None, nuclide="Tc-99m")
    for frame, readings, _ in injection(setup_of(), seconds=40.0):
        for one in readings:
            watch.reading(one)
        state = watch.frame(frame)
    live = LiveFile(tmp_path / "live.json", "test")
    live.show(state, watch.gate)
    fused = live.document("running")["delivered_mbq"]
    said = f"{fused['value']:.4g} MBq ({fused['low']:.4g} to {fused['high']:.4g}) delivered"
    # The two do differ: the test could not fail otherwise.
    assert f"{state.region('body').delivered_bq / 1e6:.4g}" != f"{fused['value']:.4g}"
    assert said in summary(state)
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(page(state))
    text = console.export_text()
    assert said in text
    assert "body, by the frames alone" in text
