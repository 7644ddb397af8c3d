"""Holmium by MR in a case: sorted from a heap as one item, fed to the dose, reported; silent without holmium."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from hepatica.case.case import Case
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.io.dicom.images.write import Emission, write_nm
from hepatica.io.dicom.mr.acquisition import multi_echo_acquisitions
from hepatica.io.dicom.mr.write import write_multi_echo
from hepatica.io.dicom.scan import scan
from hepatica.io.dicom.structures.seg import write_seg

GRID = Grid.axial((14, 12, 8), spacing_mm=(5.0, 5.0, 6.0))
TIMES = (0.0012, 0.0024, 0.0036, 0.0048)
TREATED, SCANNED, BEFORE = datetime(2026, 3, 2, 10), datetime(2026, 3, 3, 9), datetime(2026, 2, 20, 9)
SPECIFIC = 10.0
FACTS = {
    "disease.indication": "HCC",
    "treatment.agent": "QuiremSpheres",
    "treatment.intent": "unilobar",
    "treatment.at": "2026-03-02T10:00",
    "treatment.dose.uniform_density": "1.05 g/mL",
    "treatment.holmium-mri.specific_activity": f"{SPECIFIC} MBq/mg",
    "treatment.holmium-mri.calibrated_at": "2026-03-03T09:00",
}


def _ball(name: str, radius_mm: float) -> Region:
    index = np.indices(GRID.shape).transpose(1, 2, 3, 0)
    away = np.linalg.norm((index - (7, 6, 4)) * GRID.spacing_mm, axis=-1)
    return Region.from_coverage(name, GRID, (away < radius_mm).astype(np.float32))


LIVER, TUMOUR = _ball("liver", 19), _ball("tumour 1", 8)
MG_ML = 0.3 * LIVER.full() + 0.9 * TUMOUR.full()


def _scan(mg_ml: Any, when: datetime, seed: int) -> MultiEcho:
    random = np.random.default_rng(seed)
    rate = 40.0 + 96.0005 * np.asarray(mg_ml)
    clean = _ball("body", 26).full() * np.exp(-rate * np.asarray(TIMES)[:, None, None, None])
    noise = random.normal(size=(2, *clean.shape))
    return MultiEcho.from_arrays(
        np.abs(clean + 0.004 * (noise[0] + 1j * noise[1])), echo_times_s=TIMES, field_t=1.5, grid=GRID, time=when
    )


@pytest.fixture(scope="module")
def heap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scan before as one series, that after as one series for each echo; structures; a spin echo beside them."""
    folder = tmp_path_factory.mktemp("mr-heap")
    context = DicomContext.invented(patient_id="HOLMIUM", when=SCANNED)
    grid = GRID.with_frame_of_reference(context.frame_of_reference)
    before, after = _scan(0.0, BEFORE, 2), _scan(MG_ML, SCANNED, 1)
    write_multi_echo(folder / "a", replace(before, grid=grid), context, description="GRE")
    made = write_multi_echo(folder / "b", replace(after, grid=grid), context, description="GRE")
    uids: dict[str, str] = {}
    for file in sorted((folder / "b").rglob("*.dcm")):
        dataset = pydicom.dcmread(file)
        dataset.SeriesInstanceUID = uids.setdefault(str(dataset.EchoTime), generate_uid())
        dataset.save_as(file)
    (folder / "c").mkdir()
    for file in sorted((folder / "b").rglob("MR_e01*")):
        dataset = pydicom.dcmread(file)
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "1.2.3.4", generate_uid()
        dataset.ScanningSequence = "SE"
        dataset.save_as(folder / "c" / file.name)
    regions = [Region.from_coverage(one.name, grid, one.full()) for one in (LIVER, TUMOUR)]
    write_seg(folder / "drawn.dcm", regions, made)
    return folder


def _case(folder: Path, heap: Path, **facts: str) -> Case:
    case = Case.new(folder)
    case.set(**(FACTS | facts))
    case.add(heap)
    return case


@pytest.fixture(scope="module")
def finished(heap: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    case = _case(tmp_path_factory.mktemp("mr-case") / "case", heap)
    case.run("dose")
    return case


def test_the_echoes_of_a_scan_are_one_item(finished: Case) -> None:
    found = {item.role: item for item in finished.situation().catalogue if item.what.startswith("multi-echo")}
    assert set(found) == {"baseline-mr", "therapy-mr"}
    assert len(found["therapy-mr"].files) == len(TIMES) * GRID.shape[2]
    assert not any(item.doubts for item in found.values())
    others = [item.role for item in finished.situation().catalogue if item.what == "MR"]
    assert others == ["therapy-mr"]  # the spin echo is beside it, and no rival


def test_holmium_is_found_and_feeds_the_dose(finished: Case) -> None:
    document = json.loads((finished["holmium-mri"] / "result.json").read_text())
    masses = {one["name"]: one["mass_mg"] for one in document["structures"]}
    truth = float((MG_ML * LIVER.full()).sum()) * GRID.voxel_volume_ml
    # The noise of 0.4 % of the first signal is some 0.02 mg/mL in a voxel, of some 600 voxels 0.3 % of the mean.
    assert masses["liver"] == pytest.approx(truth, rel=0.02)
    dose = json.loads((finished["dose"] / "result.json").read_text())
    liver = next(one for one in dose["structures"] if one["name"] == "liver")
    # 15.53 J/GBq at the administration 23 h before (T 26.82 h), all in place, less 0.2 % that starts before it; in
    # 1.05 g/mL; photons, 4 %, leave and are not in it (local engine).
    activity_gbq = SPECIFIC * masses["liver"] / 1e3 * 2 ** (23 / 26.82)
    expected = 15.53 * activity_gbq / (1.05e-3 * LIVER.volume_ml)
    assert liver["dose_mean_gy"] == pytest.approx(expected, rel=0.02)


def test_the_report_has_it(finished: Case, tmp_path: Path) -> None:
    finished.report().save(tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Holmium by MR" in page
    assert "Microspheres" in page


def test_spect_and_mr_are_compared_where_both_are_there(heap: Path, tmp_path: Path) -> None:
    case = _case(tmp_path / "case", heap)
    header = pydicom.dcmread(next((heap / "a").rglob("*.dcm")))
    context = replace(
        DicomContext.invented(patient_id="HOLMIUM", when=SCANNED), frame_of_reference=header.FrameOfReferenceUID
    )
    grid = GRID.with_frame_of_reference(header.FrameOfReferenceUID)
    values = np.asarray(1e6 * SPECIFIC * MG_ML, np.float32)
    emission = Emission("Ho-166", SCANNED, 20.0, 2e9, TREATED)
    spect = Volume(grid, values, Kind.ACTIVITY_CONCENTRATION, SCANNED)
    write_nm(tmp_path / "spect.dcm", spect, context, emission)
    case.add(tmp_path / "spect.dcm")
    case.run("spect-mri-agreement")
    document = json.loads((case["spect-mri-agreement"] / "result.json").read_text())
    assert document["pearson"] > 0.9
    assert "holmium-mri" not in next(g.source for g in case.situation().given(_step("dose"), 1) if g.word == "activity")


def _step(name: str) -> Any:
    from hepatica.case.steps.course import step_named

    return step_named(name)


@pytest.mark.parametrize("agent", ["glass", "QuiremSpheres"])
def test_without_holmium_or_mr_nothing_is_asked(tmp_path: Path, agent: str) -> None:
    case = Case.new(tmp_path / "case")
    case.set(**{"treatment.agent": agent})
    states = {step.name: step for step in case.steps()}
    for name in ("holmium-mri", "spect-mri-agreement"):
        assert states[name].state == "skipped"
        assert states[name].reasons[0].startswith("not needed")


def test_two_scans_with_the_same_echoes_are_not_mixed(heap: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()
    series: dict[str, str] = {}
    for number, file in enumerate(sorted((heap / "b").rglob("*.dcm"))):
        for copy in range(2):
            dataset = pydicom.dcmread(file)
            key = f"{dataset.SeriesInstanceUID}{copy}"
            dataset.SeriesInstanceUID, dataset.SOPInstanceUID = series.setdefault(key, generate_uid()), generate_uid()
            dataset.save_as(again / f"{number}-{copy}.dcm")
    assert multi_echo_acquisitions(scan(again).series) == ()
    (alone,) = multi_echo_acquisitions(scan(heap / "b").series)
    assert (alone.echoes, alone.has_phase, len(alone.uids)) == (4, False, 4)
