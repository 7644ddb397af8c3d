"""``hepatica segment`` as a user runs it, and a dose in what it proposes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

import hepatica
from command_line import hepatica as run
from hepatica.core import Kind, Volume
from hepatica.io.itk import write_itk


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patient") / "patient"
    hepatica.virtual_patient(
        seed=31,
        tumours=1,
        anatomy=hepatica.AnatomyOptions(terminals=24),
        ct=hepatica.VirtualCtOptions(spacing_mm=5.0),
    ).save(folder)
    return folder


def test_what_is_proposed_goes_into_a_dose(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "proposed"
    names = ("lungs", "liver")
    wanted = [word for name in names for word in ("--structures", name)]
    done = run("segment", made / "ct", "--uptake", made / "emission", *wanted, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "proposed by hepatica, not checked" in done.stdout
    found = json.loads((out / "result.json").read_text())
    volumes = {item["structure"]: item["volume_ml"] for item in found["quality"]}
    assert set(volumes) == {"lung left", "lung right", "liver"}
    true = json.loads((made / "result.json").read_text())["structures"]
    # Dice of 0.93 or more bounds the difference of volumes by 14 %.
    assert volumes["liver"] == pytest.approx(true["liver"]["volume_ml"], rel=0.14)
    rtstruct = pydicom.dcmread(out / "structures.dcm")
    ct = pydicom.dcmread(next((made / "ct").iterdir()))
    assert rtstruct.StudyInstanceUID == ct.StudyInstanceUID
    assert rtstruct.ApprovalStatus == "UNAPPROVED"
    assert (out / "contours.png").stat().st_size > 10_000
    for structures in ("structures.dcm", "structures-seg.dcm", "labels.nii.gz"):
        dose = run(
            "dose", made / "emission", "--ct", made / "ct", "--structures", out / structures,
            "--nuclide", "Y-90", "--engine", "local", "--json",
        )  # fmt: skip
        assert dose.returncode == 0, dose.stderr
        rows = {row["name"]: row for row in json.loads(dose.stdout)["structures"]}
        assert rows["liver"]["volume_ml"] == pytest.approx(volumes["liver"], rel=0.03)


def test_what_is_no_ct_is_refused_in_one_sentence(tmp_path: Path) -> None:
    values = np.random.default_rng(3).uniform(20, 600, (40, 40, 30)).astype(np.float32)
    grid = hepatica.Grid.axial((40, 40, 30), spacing_mm=(6.0, 6.0, 6.0))
    path = write_itk(Volume(grid, values, Kind.UNKNOWN), tmp_path / "mr.nii.gz")
    done = run("segment", path)
    assert done.returncode != 0
    assert "is it an MR" in done.stderr
    assert "Traceback" not in done.stderr
