"""``hepatica inspect`` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from command_line import Done, hepatica, installed
from dicom_makers import changed, ct_series, nm_volume, pet_series, ramp, save, small_grid
from hepatica.core import Kind, Volume
from hepatica.errors import InputError
from hepatica.io.itk import write_itk
from hepatica.io.read import read_image
from hepatica.workflow.inspect import InspectResult, inspect_images

GRID = small_grid()


@pytest.fixture(autouse=True)
def _wide_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def inspect(*arguments: object, by: Callable[..., Done] = hepatica) -> Done:
    return by("inspect", *arguments)


def folder_of(tmp_path: Path) -> Path:
    save(ct_series(GRID, ramp(GRID)), tmp_path / "patient")
    save(pet_series(GRID, ramp(GRID)), tmp_path / "patient")
    save(nm_volume(GRID, ramp(GRID)), tmp_path / "patient")
    (tmp_path / "patient" / "readme.txt").write_text("not an image")
    return tmp_path / "patient"


def test_table(tmp_path: Path) -> None:
    result = inspect(folder_of(tmp_path), by=installed)
    assert result.returncode == 0
    assert result.stderr == ""
    for text in (
        "CT: test CT 1",
        "Bq/mL (in the file: BQML)",
        "2026-03-02 10:30:00",
        "DecayCorrection START",
        "Y-90, Y-90 microspheres, half-life 64.05 h",
        "2100 MBq at 2026-03-02 08:00:00",
        "axial: i to right, j to posterior, k to feet, turned",
        "calibration: counts need a camera factor",
        "20 s a projection, 120 projections, 126-154 keV",
        "is not a DICOM file",
    ):
        assert text in result.stdout, text


def test_json(tmp_path: Path) -> None:
    document = json.loads(inspect(folder_of(tmp_path), "--json").stdout)
    ct, pet, nm = document["series"]
    assert (ct["what"], ct["unit"], ct["grid"]["shape"]) == ("CT", "HU", [7, 5, 6])
    assert pet["acquisition"]["half_life_s"] == 230580
    assert pet["acquisition"]["administered_bq"] == 2.1e9
    assert pet["time"] == "2026-03-02T10:30:00"
    expected = (ramp(GRID) * np.arange(1, 7)).sum() * GRID.voxel_volume_ml / 1e6
    assert np.isclose(pet["activity_in_image_mbq"], expected)
    assert nm["counts_in_image"] == ramp(GRID).sum()
    assert len(document["skipped"]) == 1


def test_what_keeps_a_pet_from_use_is_all_said(tmp_path: Path) -> None:
    datasets = changed(pet_series(GRID, ramp(GRID)), Units=None, DecayCorrection=None, AcquisitionTime=None)
    save(datasets, tmp_path)
    result = inspect(tmp_path)
    assert result.returncode == 1  # nothing here can be used
    for text in ("cannot be used", "Units: missing", "DecayCorrection: is missing", "7 x 5 x 6 voxels"):
        assert text in result.stdout, text
    assert result.stdout.count("Units: missing") == 1


def test_one_series_that_can_be_used_is_enough(tmp_path: Path) -> None:
    save(changed(pet_series(GRID, ramp(GRID)), Units=None), tmp_path)
    assert not inspect_images(tmp_path).is_usable
    save(ct_series(GRID, ramp(GRID)), tmp_path)
    assert inspect_images(tmp_path).is_usable


def test_nifti(tmp_path: Path) -> None:
    path = write_itk(Volume(GRID, ramp(GRID) / 4, Kind.DECAYS), tmp_path / "tia.nii.gz")
    assert "does not say what a voxel holds" in inspect(path).stdout
    document = json.loads(inspect(path, "--voxel-unit", "MBq h", "--json").stdout)
    assert document["series"][0]["unit"] == "Bq s"


def test_errors_are_one_line_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    for path, words in ((tmp_path / "nowhere", "no such file or folder"), (tmp_path, "no image was found")):
        result = inspect(path)
        assert result.returncode == 2
        assert words in result.stderr
        assert "Traceback" not in result.stderr


def test_two_patients_are_shown_with_a_warning(tmp_path: Path) -> None:
    save(ct_series(GRID, ramp(GRID)), tmp_path)
    save(changed(pet_series(GRID, ramp(GRID)), PatientID="PAT2", PatientName="Other^One"), tmp_path)
    result = inspect(tmp_path)
    assert result.returncode == 0
    assert "two patients are mixed" in result.stderr


def test_python_and_the_command_give_the_same(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    document = json.loads(inspect(folder, "--json").stdout)
    ours = inspect_images(folder).as_dict()
    jsonschema.validate(document, InspectResult.schema())
    for answer in (document, ours):
        del answer["provenance"]["created"]
    assert document == ours
    assert [item["files"] for item in document["provenance"]["inputs"]] == [6, 6, 1]
    image = read_image(folder, role="activity", series=document["series"][1]["series"])
    (alone,) = inspect_images(image).as_dict()["series"]
    same = ("acquisition", "kind", "unit", "time", "grid", "minimum", "maximum", "activity_in_image_mbq", "missing")
    assert {key: alone[key] for key in same} == {key: document["series"][1][key] for key in same}


def test_bad_input_is_one_sentence(tmp_path: Path) -> None:
    path = write_itk(Volume(GRID, ramp(GRID) / 4, Kind.DECAYS), tmp_path / "tia.nii.gz")
    for arguments, words in (
        ((path, "--voxel-unt", "Gy"), "--voxel-unt"),
        ((path, "--voxel-unit", "furlong"), "voxel unit 'furlong' is not known"),
        ((), "needs --image"),
    ):
        result = inspect(*arguments)
        assert words in result.stdout + result.stderr
        assert "Traceback" not in result.stderr
    with pytest.raises(InputError, match="did you mean `voxel_unit`"):
        inspect_images(path, voxel_unt="Gy")  # type: ignore[call-arg]
