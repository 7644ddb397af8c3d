"""Watching an injection from files: replay, a folder being written, meters, a listener, the screen, the log, a case."""

import io
import json
import os
import pty
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import hepatica as hp
from command_line import answer, hepatica
from hepatica.cli.dashboard import Lines, page, summary
from hepatica.core.context import DicomContext
from hepatica.errors import DicomError, InputError, TableError
from hepatica.io.dicom.images.dynamic import read_dynamic, write_dynamic
from hepatica.io.dicom.images.write import Emission
from hepatica.io.monitoring.folder import ArrivingFiles
from hepatica.io.monitoring.listener import listening
from hepatica.io.monitoring.readings import GrowingReadings, MeterLine, SerialReadings, read_readings
from hepatica.monitoring.feed import Frame
from hepatica.monitoring.options import FrameOptions, WatchOptions
from hepatica.monitoring.prepared import Prepared
from hepatica.monitoring.simulation.flow import FlowSettings
from hepatica.monitoring.watch import Watch
from hepatica.workflow.monitoring.monitor import Session
from hepatica.workflow.monitoring.sources import Arrived, Fault, LiveFrames, Queue, Silence, live
from monitoring_makers import PLANNED, boundaries, injection, mask, setup_of

START = datetime(2026, 3, 2, 10, 15, tzinfo=UTC)
HALF = timedelta(seconds=0.5)
QUICK = WatchOptions(rehearsals=1000, seed=5)
FEW = WatchOptions(rehearsals=200, false_alarms=0.05, seed=5)
"""Where no boundary is the point."""


def write_frames(
    path: Path, frames: list[np.ndarray], *, start: datetime = START, nuclide: str = "Tc-99m", number: int = 1
) -> Path:
    context = DicomContext.invented(patient_id="M1", patient_name="Watched^One", when=START)
    return write_dynamic(path, np.stack(frames), context, Emission(nuclide, start, 0.5), pixel_mm=4.0, number=number)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stasis: frames, readings, setup."""
    folder = tmp_path_factory.mktemp("injection")
    setup = setup_of()
    run = list(injection(setup, "stasis"))
    write_frames(folder / "frames.dcm", [frame.values for frame, _, _ in run])
    rows = [f"{r.kind},{r.at_s},{r.value}" for _, readings, _ in run for r in readings]
    (folder / "readings.csv").write_text("kind,time_s,value\n" + "\n".join(rows) + "\n")
    prepared = Prepared(setup, mask(), 4.0, "Tc-99m", "maa", FlowSettings())
    (folder / "setup.json").write_text(json.dumps(prepared.as_document()))
    truth = tmp_path_factory.mktemp("truth") / "truth.json"
    truth.write_text(json.dumps(run[-1][2].tolist()))
    TRUTH.append(truth)
    return folder


TRUTH: list[Path] = []


@pytest.fixture(scope="module")
def watched(made: Path, tmp_path_factory: pytest.TempPathFactory) -> hp.MonitorResult:
    log = tmp_path_factory.mktemp("log") / "states.jsonl"
    return hp.monitor(
        made / "frames.dcm", setup=made / "setup.json", readings=made / "readings.csv", watching=QUICK,
        keeping=hp.KeepOptions(state_log=log),
    )  # fmt: skip


def test_a_replay_finds_the_event_and_what_was_delivered(made: Path, watched: hp.MonitorResult, tmp_path: Path) -> None:
    assert [alarm.kind for alarm in watched.alarms] == ["stasis"]
    true = sum(json.loads(TRUTH[-1].read_text()))
    assert watched.delivered_bq == pytest.approx(true, abs=3 * watched.delivered_bq_sd)
    assert watched.delivered_share == pytest.approx(true / PLANNED, rel=0.05)
    assert watched.measured_values()["alarms"] == ["stasis"]
    folder = watched.save(tmp_path / "out")
    lines = [json.loads(line) for line in (folder / "states.jsonl").read_text().splitlines()]
    assert 75 <= len(lines) <= 90
    assert lines[-1]["watching"] == "stopped"
    assert (folder / "monitor.png").stat().st_size > 20_000
    assert "for research and replay" in str(watched)


def test_command_and_python_say_the_same(made: Path, watched: hp.MonitorResult) -> None:
    found = answer("monitor", made / "frames.dcm", "--setup", made / "setup.json", "--readings", made / "readings.csv",
                   "--rehearsals", 1000, "--seed", 5)  # fmt: skip
    assert found["alarms"] == watched.as_dict()["alarms"]
    assert found["delivered_bq"] == watched.delivered_bq


def test_the_log_holds_each_entry_as_it_came(made: Path, tmp_path: Path) -> None:
    log = tmp_path / "states.jsonl"
    hp.monitor(
        made / "frames.dcm", setup=made / "setup.json", readings=made / "readings.csv", watching=FEW,
        keeping=hp.KeepOptions(state_log=log),
    )  # fmt: skip
    entries = [json.loads(line)["entry"] for line in log.read_text().splitlines()]
    assert entries.count("alarm") == 1
    assert entries[-1] == "stopped"


def test_the_real_series_runs() -> None:
    folder = os.environ.get("HEPATICA_DATA")
    path = Path(folder or "/nowhere") / "nm-dynamic" / "mcr.dcm"
    if not path.exists():
        pytest.skip("no real images here")
    found = hp.monitor(path)
    # 30 frames of one second; 32.7 kcps at first and 82 in the sixth, as counted by another program.
    assert found.frames_used == 30
    assert found.nuclide == "Tc-99m"
    rates = [state.rate_cps for state in found.states]
    assert rates[0] == 32723
    assert rates[5] == 82417
    assert not found.alarms
    assert {"no-setup", "dead-time-corrected"} <= {message.code for message in found.messages}


def test_wrong_nuclide_and_wrong_files_are_refused(made: Path, tmp_path: Path) -> None:
    other = write_frames(
        tmp_path / "lu.dcm", [frame.values for frame, _, _ in injection(setup_of(), seconds=2)], nuclide="Lu-177"
    )
    with pytest.raises(InputError, match="Lu-177, the injection is of Tc-99m"):
        hp.monitor(other, setup=made / "setup.json", watching=FEW)
    with pytest.raises(InputError, match="no such file or folder"):
        hp.monitor(tmp_path / "none.dcm")
    with pytest.raises(DicomError):
        hp.monitor(made / "setup.json")
    (tmp_path / "bad.csv").write_text("kind,time_s,value\nvial,1,900\nvial,x,3\n")
    with pytest.raises(TableError, match="row 3"):
        read_readings(tmp_path / "bad.csv")
    with pytest.raises(InputError, match="keeps what it takes in a folder"):
        hp.monitor(made / "frames.dcm", which=FrameOptions(listen_port=0))


def test_frames_come_back_as_they_were_written(tmp_path: Path) -> None:
    frames = [np.arange(12.0).reshape(3, 4) + 100 * n for n in range(3)]
    found = read_dynamic(write_frames(tmp_path / "a.dcm", frames))
    assert (found.counts == np.stack(frames)).all()
    assert found.duration_s.tolist() == [0.5] * 3
    assert found.start_s.tolist() == [0.0, 0.5, 1.0]
    assert (found.nuclide, found.pixel_mm) == ("Tc-99m", (4.0, 4.0))
    with pytest.raises(DicomError, match="has no 2"):
        read_dynamic(tmp_path / "a.dcm", energy_window=2)


def test_a_folder_that_is_written_is_followed_and_a_silence_is_said(made: Path, tmp_path: Path) -> None:
    """A clock of its own: frames arrive one by one, then none."""
    run = [frame.values for frame, _, _ in injection(setup_of(), seconds=10)]
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        n = round(now[0] / 0.5)
        path = tmp_path / f"{n:04d}.dcm"
        if n < len(run) and not path.exists():
            write_frames(path, [run[n]], start=START + n * HALF, number=n)

    events = list(live(tmp_path, None, FrameOptions(), Arrived(), idle_s=5.0, clock=lambda: now[0], sleep=sleep))
    frames = [event for event in events if not isinstance(event, Silence)]
    assert len(frames) == len(run)
    assert [frame.number for frame in frames] == list(range(len(run)))
    silences = [event.seconds for event in events[-9:] if isinstance(event, Silence)]
    assert silences
    assert silences[-1] > 4


def test_a_file_counts_once_it_is_whole(tmp_path: Path) -> None:
    arriving = ArrivingFiles(tmp_path)
    (tmp_path / "10.dcm").write_bytes(b"part")
    assert arriving.new() == []
    (tmp_path / "10.dcm").write_bytes(b"part and more")
    (tmp_path / "9.dcm").write_bytes(b"whole")
    (tmp_path / ".hidden").write_bytes(b"x")
    assert arriving.new() == []
    assert [path.name for path in arriving.new()] == ["9.dcm", "10.dcm"]
    assert arriving.new() == []


def test_a_file_that_was_read_half_written_is_given_again(tmp_path: Path) -> None:
    arriving = ArrivingFiles(tmp_path)
    path = tmp_path / "1.dcm"
    path.write_bytes(b"half")
    arriving.new()
    assert arriving.are_coming
    assert arriving.new() == [path]
    arriving.unread(path)
    assert arriving.new() == []
    path.write_bytes(b"half and half")
    arriving.new()
    assert arriving.new() == [path]
    assert not arriving.are_coming


def test_a_finished_folder_is_watched_as_its_replay_is(made: Path, tmp_path: Path) -> None:
    """Frames in files of eight seconds, all readings there: no false stasis, and the meter is used."""
    run = [frame.values for frame, _, _ in injection(setup_of())]
    for n in range(0, len(run), 16):
        write_frames(tmp_path / f"{n}.dcm", run[n : n + 16], start=START + n * HALF, number=n)
    rows = [f"{r.kind},{r.at_s},{r.value}" for _, readings, _ in injection(setup_of()) for r in readings]
    table = tmp_path / ".readings.csv"
    table.write_text("kind,time_s,value\n" + "\n".join(rows) + "\n")
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    events = list(live(tmp_path, table, FrameOptions(), Arrived(), idle_s=3.0, clock=lambda: now[0], sleep=sleep))
    session = Session(Watch(setup_of(), mask(), boundaries(), nuclide="Tc-99m"), None, lambda _: None, is_live=True)
    for event in events:
        session.take(event)
    session.stop()
    end = session.states[-1]
    assert {alarm.kind for alarm in end.alarms} == {"target-reached"}
    assert end.infused_bq == pytest.approx(PLANNED, rel=0.03)
    assert not end.not_measured
    times = [state.time_s for state in session.states]
    assert times == sorted(times)


def test_frames_wait_for_readings_but_not_for_ever() -> None:
    queue = Queue(has_meter=True)
    frames = [Frame(np.ones((2, 2)), 100.0 + n, 1.0, n, received_s=10.0) for n in range(3)]
    queue.frames.extend(frames)
    queue.add_lines([MeterLine("vial", -1.0, 9.0), MeterLine("vial", 1.0, 8.0)], 0.0)
    first = list(queue.ready(10.1, 100.0))
    assert [getattr(one, "number", None) for one in first] == [0, None, None]
    assert [one.at_s for one in first[1:]] == [99.0, 101.0]
    assert list(queue.ready(11.0, 100.0)) == []
    assert [one.number for one in queue.ready(12.1, 100.0)] == [1, 2]


def test_frames_that_the_setup_does_not_describe_are_refused(made: Path, tmp_path: Path) -> None:
    prepared = Prepared(setup_of(), mask(), 4.0, "Tc-99m", "maa", FlowSettings())
    frames = [frame.values for frame, _, _ in injection(setup_of(), seconds=2)]
    good = read_dynamic(write_frames(tmp_path / "a.dcm", frames))
    arrived = Arrived(prepared=prepared)
    arrived.note(good)
    for changes, said in (
        ({"pixel_mm": (2.0, 2.0)}, "pixels of 2 x 2 mm"), ({"windows_kev": ((75.0, 88.0),)}, "holds no line of Tc-99m"),
        ({"patient_id": "another"}, "of another patient"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            arrived.note(replace(good, **changes))
    # In a folder it is said, and the watch goes on.
    write_frames(tmp_path / "b.dcm", frames, start=START + 4 * HALF, number=2)
    lives = LiveFrames(FrameOptions(), Arrived(prepared=replace(prepared, pixel_mm=3.0)))
    assert [type(event) for event in lives.of([tmp_path / "a.dcm"], 0.0)] == [Fault]


def test_a_file_that_freezes_is_not_measured(made: Path, tmp_path: Path) -> None:
    run = [frame.values for frame, _, _ in injection(setup_of())]
    frozen = write_frames(tmp_path / "frozen.dcm", [*run[:60], *[run[60]] * 100])
    found = hp.monitor(frozen, setup=made / "setup.json", readings=made / "readings.csv", watching=FEW)
    assert not found.is_measured
    assert found.table().name == "last-estimate-not-measured-by-region"
    assert found.delivered_bq is None
    assert found.measured_values() == {}
    assert found.frame_faults.frozen == 99
    assert "not measured" in found.title()
    assert {"not-measured", "frames-at-fault", "was-blind"} <= {message.code for message in found.messages}
    assert any(state.watching == "blind" for state in found.states if state.time_s < 33.5)


def test_a_growing_table_gives_whole_rows_only(tmp_path: Path) -> None:
    path = tmp_path / "meter.csv"
    growing = GrowingReadings(path)
    assert list(growing.new()) == []
    path.write_text("kind,time_s,value\nvial,1,900\nvial,2,8")
    assert [line.value for line in growing.new()] == [900.0]
    with path.open("a") as stream:
        stream.write("90\nnonsense\n")
    assert [line.value for line in growing.new()] == [890.0]
    assert len(growing.faults) == 1
    path.write_text("x\n")
    with pytest.raises(InputError, match="became shorter"):
        list(growing.new())


def test_a_serial_line_is_read_without_waiting() -> None:
    ours, theirs = pty.openpty()
    line = SerialReadings(Path(os.ttyname(theirs)))
    assert list(line.new()) == []
    os.write(ours, b"vial 812.5\nnoise!\npushed 0.25\nvial 81")
    deadline, found = time.monotonic() + 5, []
    while len(found) < 2 and time.monotonic() < deadline:
        found += list(line.new())
    assert [(one.kind, one.at_s, one.value) for one in found] == [("vial", None, 812.5), ("pushed", None, 0.25)]
    assert any("noise" in fault for fault in line.faults)
    line.close()
    os.close(ours)
    os.close(theirs)
    with pytest.raises(InputError, match="cannot be opened"):
        SerialReadings(Path("/dev/no-such-line"))


def test_a_listener_keeps_what_a_camera_sends(tmp_path: Path) -> None:
    pynetdicom = pytest.importorskip("pynetdicom")
    import pydicom

    sent = write_frames(tmp_path / "sent.dcm", [frame.values for frame, _, _ in injection(setup_of(), seconds=2)])
    kept = tmp_path / "kept"
    kept.mkdir()
    with listening(kept, port=0) as port:
        camera = pynetdicom.AE()
        dataset = pydicom.dcmread(sent)
        camera.add_requested_context(dataset.SOPClassUID)
        link = camera.associate("127.0.0.1", port)
        assert link.is_established
        assert link.send_c_store(dataset).Status == 0
        link.release()
        with pytest.raises(InputError, match="cannot be listened on"), listening(kept, port=port):
            pass
    (path,) = kept.glob("*.dcm")
    assert (read_dynamic(path).counts == read_dynamic(sent).counts).all()


def test_the_screen_never_looks_well_without_frames(
    watched: hp.MonitorResult, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    good = next(state for state in watched.states if state.watching == "watching")
    blind = replace(good, watching="blind", silent_s=12.0, notes=("no data for 12 s",))
    shown = []
    for state in (good, blind):
        console = Console(width=120, record=True, file=io.StringIO())
        console.print(page(state))
        shown.append(console.export_text())
    assert "WATCHING" in shown[0]
    assert "BLIND: NOTHING IS JUDGED" in shown[1]
    assert "no data for 12 s" in shown[1]
    assert "research and replay" in shown[1]
    assert summary(blind).startswith("BLIND")
    show = Lines()
    for state in (good, blind, watched.states[-1]):
        show(state)
    said = capsys.readouterr().err
    assert "ALARM stasis" in said
    assert "alarms: stasis" in said.splitlines()[-1]
    degraded = replace(good, watching="degraded", tests=tuple(replace(t, why_not="no meter") for t in good.tests[:2]))
    assert "not judged: target-reached, limit-in-sight (no meter)" in summary(degraded)
    assert "0 MBq" not in summary(replace(good, watching="waiting", frames=0))
    assert "BLIND" in said


def test_a_simulated_injection_is_what_the_monitor_takes(tmp_path: Path) -> None:
    done = hepatica("simulate-injection", "--flow-event", "off-target", "--frame", "1 s", "--out", tmp_path / "made")
    assert done.returncode == 0, done.stderr
    found = hp.monitor(tmp_path / "made" / "frames.dcm", setup=tmp_path / "made" / "setup.json",
                       readings=tmp_path / "made" / "readings.csv",
                       watching=WatchOptions(rehearsals=1000, look_s=1.0))  # fmt: skip
    assert "off-target" in {alarm.kind for alarm in found.alarms}
    assert "guard" in {alarm.region for alarm in found.alarms}


def test_a_watched_injection_is_a_step_of_a_case(made: Path, tmp_path: Path) -> None:
    case = hp.Case.new(tmp_path / "case")
    case.add(made)
    names = {item.role: item.name for item in case.situation().catalogue}
    assert {"injection-setup", "injection-readings"} <= set(names)
    case.take(names["unused"], "injection-frames")
    case.set(
        **{
            "treatment.injection.rehearsals": "200",
            "treatment.injection.false-alarms": "0.05",
            "treatment.injection.seed": "5",
        }
    )
    assert [step.state for step in case.run("injection")] == ["done"]
    entries = [json.loads(line) for line in (tmp_path / "case" / "log.jsonl").read_text().splitlines()]
    (measured,) = [entry for entry in entries if entry["what"] == "measured"]
    assert measured["about"]["alarms"] == ["stasis"]
    assert measured["about"]["delivered_bq"] > 0


def test_a_live_run_stops_by_itself_and_gives_its_result(made: Path, tmp_path: Path) -> None:
    """The verb on a folder in real time: a few frames, then nothing for a second."""
    run = [frame.values for frame, _, _ in injection(setup_of(), seconds=3)]

    def write() -> None:
        for n, values in enumerate(run):
            write_frames(tmp_path / f".{n}", [values], start=START + n * HALF, number=n)
            (tmp_path / f".{n}").rename(tmp_path / f"{n}.dcm")
            time.sleep(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    states = []
    found = hp.monitor(tmp_path, setup=made / "setup.json", live_view=states.append,
                       watching=replace(FEW, idle_s=3.0))  # fmt: skip
    writer.join()
    assert found.frames_used == len(run)
    assert any(state.watching == "blind" and state.notes[0].startswith("no data for") for state in states)
