"""Dynamic MR of holmium, watched from its files: activity by region against truth, and every fault is said."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

import hepatica as hp
from command_line import answer
from hepatica.core import Grid, Region
from hepatica.core.context import DicomContext
from hepatica.errors import InputError
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.io.dicom.mr.dynamic import read_mr_series
from hepatica.io.dicom.mr.write import write_multi_echo
from hepatica.io.dicom.structures.seg import write_seg
from hepatica.monitoring.options import FrameOptions, WatchOptions
from hepatica.monitoring.prepared import Prepared
from hepatica.monitoring.setup import Doubts, Setup
from hepatica.monitoring.simulation.flow import FlowSettings

GRID = Grid.axial((20, 16, 4), spacing_mm=(4, 4, 10), origin_mm=(-40, -30, 10), frame_of_reference="1.2.3")
WHEN = datetime(2026, 3, 3, 9)
TIMES = (0.004, 0.008, 0.012)
STEP_S = 5.0
INSTANTS, EARLY, LAST = 26, 5, 20
R2 = 96.0005
MBQ_MG = 3.0
"""Ten times a scout's: the target is small, and what a scout brings to it would leave no signal."""

PLANNED_MBQ = 30.0
SHARES = {"target": 0.8, "liver": 0.15, "lungs": 0.05}


def box(name: str, low: tuple[int, int, int], high: tuple[int, int, int]) -> Region:
    values = np.zeros(GRID.shape, np.float32)
    values[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = 1
    return Region.from_coverage(name, GRID, values)


TARGET, LIVER = box("target", (5, 4, 1), (10, 10, 3)), box("liver", (4, 3, 0), (15, 12, 3))


def mg_ml(arrived: float) -> np.ndarray:
    """Spheres when a share of them has arrived; those of the lungs are not in the picture."""
    whole_mg = PLANNED_MBQ / MBQ_MG * arrived
    rest = np.maximum(LIVER.full() - TARGET.full(), 0)
    out = sum(
        SHARES[name] * whole_mg * where / (float(where.sum()) * GRID.voxel_volume_ml)
        for name, where in (("target", TARGET.full()), ("liver", rest))
    )
    return np.asarray(out)


def arrived_at(n: int) -> float:
    """Mean of the share that has arrived during an instant."""
    return float(np.clip((n + 0.5 - EARLY) / (LAST - EARLY), 0, 1))


def image(n: int, *, noise: float = 0.01, extra: Any = 0.0, moved: int = 0, gain: float = 1.0) -> MultiEcho:
    random = np.random.default_rng(100 + n)
    where = np.indices(GRID.shape)
    # A body that is not the same everywhere: a move must show.
    tissue = (1 + 0.3 * np.sin(where[0] * 0.9) * np.cos(where[1] * 0.8)) * (where[1] > 1) * (where[1] < 14)
    rate = 40.0 + R2 * mg_ml(arrived_at(n)) + extra
    clean = gain * tissue * np.exp(-rate * np.asarray(TIMES)[:, None, None, None])
    clean = np.roll(clean, moved, axis=1)
    noisy = np.abs(clean + noise * (random.normal(size=clean.shape) + 1j * random.normal(size=clean.shape)))
    at = WHEN + timedelta(seconds=STEP_S * n)
    return MultiEcho.from_arrays(noisy, echo_times_s=TIMES, field_t=1.5, grid=GRID, time=at)


def written(folder: Path, change: Any = lambda n, made: made) -> Path:
    context = DicomContext.invented(patient_id="M1", patient_name="Watched^One", when=WHEN)
    context = replace(context, frame_of_reference="1.2.3")
    for n in range(INSTANTS):
        made = write_multi_echo(folder / "mr" / f"{n:03d}", change(n, image(n)), context, description="dynamic")
    write_seg(folder / "seg.dcm", [TARGET, LIVER], made)
    names = tuple(SHARES)
    setup = Setup(
        names, names, np.eye(3), np.zeros(3), 26.824 * 3600, PLANNED_MBQ * 1e6, STEP_S * (LAST - EARLY),
        np.array([*SHARES.values()]), goal_bq=15e6, lag_s=0.0, dispersion_s=0.0, has_meter=False,
        doubts=Doubts(lag_s=0.0, dispersion_s=0.0),
    )  # fmt: skip
    prepared = Prepared(setup, np.arange(3)[None], 4.0, "Ho-166", "ho166-scout", FlowSettings())
    (folder / "setup.json").write_text(json.dumps(prepared.as_document()))
    return folder


HOLMIUM = hp.HolmiumOptions(specific_activity_mbq_mg=MBQ_MG, calibrated_at=WHEN)
QUICK = WatchOptions(rehearsals=200, false_alarms=0.05, seed=5)


def watched(folder: Path, **kinds: Any) -> Any:
    given: dict[str, Any] = {"structures": folder / "seg.dcm", "holmium": HOLMIUM, "watching": QUICK}
    return hp.monitor(folder / "mr", setup=folder / "setup.json", **given | kinds)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("dynamic"))


@pytest.fixture(scope="module")
def result(whole: Path) -> Any:
    return watched(whole)


def test_it_is_written_with_its_curves(result: Any, tmp_path: Path) -> None:
    result.save(tmp_path / "out")
    assert (tmp_path / "out" / "monitor.png").stat().st_size > 10_000


def test_activity_of_each_region_by_time(result: Any) -> None:
    codes = {message.code for message in result.messages}
    assert {"mr-noise", "mr-unseen"} <= codes
    assert result.nuclide == "Ho-166"
    assert not result.not_measured
    # Relaxivity and outline are exact here. Noise is 0.08 MBq; a frame shows its mean, and where the flow ends within
    # one, the trend goes on for half of it: 2.5 s of 0.32 MBq/s.
    for state in result.states[EARLY + 2 :]:
        share = float(np.clip((state.time_s / STEP_S - EARLY) / (LAST - EARLY), 0, 1))
        for name in ("target", "liver"):
            one = state.region(name)
            assert one.delivered_bq == pytest.approx(PLANNED_MBQ * 1e6 * SHARES[name] * share, abs=0.8e6)
            assert one.low_bq <= PLANNED_MBQ * 1e6 * SHARES[name] * share <= one.high_bq
    assert [alarm.kind for alarm in result.alarms] == ["target-reached"]


def test_the_command_gives_the_same(whole: Path, result: Any) -> None:
    found = answer(
        "monitor", whole / "mr", "--setup", whole / "setup.json", "--structures", whole / "seg.dcm",
        "--specific-activity", "3 MBq/mg", "--calibrated-at", WHEN.isoformat(), "--rehearsals", "200",
        "--false-alarms", "0.05", "--seed", "5",
    )  # fmt: skip
    assert found["delivered_bq"] == pytest.approx(result.delivered_bq)


def test_one_echo_is_enough(whole: Path, tmp_path: Path) -> None:
    folder = written(tmp_path)
    for path in (folder / "mr").rglob("MR_e0[13]_*.dcm"):
        path.unlink()
    assert read_mr_series(folder / "mr").echo_times_s == (0.008,)
    found = watched(folder)
    assert found.delivered_bq == pytest.approx(0.95 * PLANNED_MBQ * 1e6, rel=0.03)


def test_a_missing_echo_a_gone_signal_a_move_and_a_gain_are_said(tmp_path: Path) -> None:
    def change(n: int, made: MultiEcho) -> MultiEcho:
        if n == 10:
            return image(n, moved=2)
        if n == 13:
            return image(n, gain=0.8)
        if n >= INSTANTS - 2:
            return image(n, extra=np.where(TARGET.full() > 0, 3000.0, 0.0))
        return made

    folder = written(tmp_path, change)
    for path in (folder / "mr" / "007").rglob("MR_e02_*.dcm"):
        path.unlink()
    found = watched(folder)
    said = [message.text for message in found.messages]
    assert any("echoes at 8 ms are missing" in text for text in said)
    assert any("the patient moved" in note for note in found.notes)
    assert any("tissue without beads changed by -20 %" in note for note in found.notes)
    assert any("the signal is gone" in note for note in found.notes)
    blind = [state.time_s for state in found.states if state.watching == "blind"]
    assert {11 * STEP_S, 14 * STEP_S} <= set(blind)
    assert not found.is_measured
    assert found.blind_since_s is not None
    # What was bad did not stay in the estimate.
    later = next(state for state in found.states if state.time_s == 18 * STEP_S)
    assert later.region("target").delivered_bq == pytest.approx(
        PLANNED_MBQ * 1e6 * 0.8 * (18 - EARLY) / (LAST - EARLY), abs=0.8e6
    )


def test_what_cannot_be_watched_is_refused(whole: Path) -> None:
    with pytest.raises(InputError, match="specific activity"):
        watched(whole, holmium=hp.HolmiumOptions())
    for late in (7, 12):
        with pytest.raises(InputError, match="beads arrive"):
            watched(whole, which=FrameOptions(before_beads=late))
    with pytest.raises(InputError, match="with a setup"):
        hp.monitor(whole / "mr", structures=whole / "seg.dcm", holmium=HOLMIUM)


def test_in_a_case_it_is_an_item_and_its_step_replays_it(whole: Path, tmp_path: Path) -> None:
    case = hp.Case.new(tmp_path / "case")
    case.set(**{"treatment.agent": "ho166-scout"})
    found = watched(whole, keeping=hp.KeepOptions(case=case.folder))
    assert found.is_usable
    roles = {item.role for item in case.situation().catalogue}
    assert roles == {"injection-frames", "injection-setup", "injection-structures"}
    stated = (case.folder / "case.toml").read_text()
    assert 'specific-activity = "3 MBq/mg"' in stated
    # The step again, from what the case holds alone, once an option makes it out of date.
    case.set(**{"treatment.1.injection.rehearsals": "210"})
    (again,) = case.run("injection")
    assert again.state == "done"
    kept = json.loads((case["injection"] / "result.json").read_text())
    assert kept["delivered_bq"] == pytest.approx(found.delivered_bq)


@pytest.mark.parametrize("tag", ["AcquisitionNumber", "TemporalPositionIdentifier"])
def test_instants_are_told_by_their_number_where_slices_have_times_of_their_own(tmp_path: Path, tag: str) -> None:
    """Slices that are taken one after the other: by time alone each would be an instant."""
    context = replace(DicomContext.invented(patient_id="M1", patient_name="x", when=WHEN), frame_of_reference="1.2.3")
    numbers = [3, 1, 2, 5, 4, 6]
    for n, number in enumerate(numbers):
        write_multi_echo(tmp_path / f"{n}", image(n, noise=0.0), context, description="dynamic")
        for k, path in enumerate(sorted((tmp_path / f"{n}").rglob("*.dcm"))):
            header = dcmread(path)
            for other in ("AcquisitionNumber", "TemporalPositionIdentifier", "AcquisitionDateTime"):
                if other in header:
                    delattr(header, other)
            setattr(header, tag, number)
            at = WHEN + timedelta(seconds=STEP_S * n + 0.1 * k)
            header.AcquisitionDate, header.AcquisitionTime = at.strftime("%Y%m%d"), at.strftime("%H%M%S.%f")
            header.save_as(path)
    series = read_mr_series(tmp_path)
    assert len(series.instants) == len(numbers)
    # In the order of their times, whatever their numbers say.
    assert [(one.at.replace(tzinfo=None) - WHEN).total_seconds() for one in series.instants] == [
        STEP_S * n for n in range(len(numbers))
    ]
    for n, (_, magnitude, why) in enumerate(series.magnitudes()):
        assert not why
        assert magnitude is not None
        # Kept to 7.6e-6 of its maximum.
        wanted = image(n, noise=0.0).magnitude
        assert magnitude == pytest.approx(wanted, abs=1e-5 * float(wanted.max()))
