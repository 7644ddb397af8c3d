"""A cohort as values and as files: patients beyond what is kept are made again, and are the same."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from hepatica.anatomy.virtual_patient import VirtualCtOptions
from hepatica.core import Kind
from hepatica.io.itk import read_itk
from hepatica.workflow import phantom_cohort
from hepatica.workflow.phantom_cohort import virtual_cohort


def test_files_are_those_of_the_patients(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one_patient = 29 * 22 * 33
    monkeypatch.setattr(phantom_cohort, "MAX_KEPT_VOXELS", 1.5 * one_patient)  # the second is made again
    steps: list[str] = []
    found = virtual_cohort(2, seed=3, ct=VirtualCtOptions(spacing_mm=12), progress=steps.append)
    assert steps == ["patient: 1 of 2", "patient: 2 of 2"]
    folder = found.save(tmp_path / "cohort")
    assert {path.name for path in folder.iterdir()} - {".hepatica.sha256"} == {
        "patient-001", "patient-002", "cohort.csv", "patients.csv", "result.json",
    }  # fmt: skip
    document = json.loads((folder / "result.json").read_text())
    with (folder / "cohort.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row, line, one in zip(rows, document["patients"], found.patients, strict=True):
        assert row["patient"] == line["patient"] == one.patient
        truth = json.loads((folder / one.patient / "patient.json").read_text())
        assert truth["settings"]["seed"] == int(row["seed"]) == one.seed
        assert truth["structures"]["liver"]["volume_ml"] == pytest.approx(one.liver_ml, abs=0.06)
        activity, _ = read_itk(folder / one.patient / "truth" / "activity.nii.gz", Kind.ACTIVITY)
        assert activity.total == pytest.approx(truth["activity_in_field_bq"], rel=1e-6)
    np.testing.assert_array_equal(
        activity.values, found.made[1].patient.activity().values, err_msg="the last patient, made again"
    )
