"""``hepatica compare-doses`` as a user runs it."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import command_line
from command_line import Done
from hepatica.core import Grid, Kind, Volume
from hepatica.core.context import DicomContext
from hepatica.dosimetry.metrics.gamma_criteria import Criteria, GammaOptions
from hepatica.io.dicom.rtdose import write_rtdose
from hepatica.io.itk import write_itk
from hepatica.workflow.dose.comparison import DoseComparisonResult, compare_doses
from hepatica.workflow.sources import as_dose


def hepatica(*arguments: object, code: int = 0) -> Done:
    done = command_line.hepatica(*arguments)
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def maps(tmp_path: Path, oblique_grid: Grid) -> tuple[Path, Path]:
    """A hill of dose as RTDOSE, and the same 2 % higher as NIfTI."""
    centre = (np.asarray(oblique_grid.shape) - 1) / 2
    index = np.stack(np.indices(oblique_grid.shape), axis=-1)
    dose = 100 * np.exp(-((((index - centre) * oblique_grid.spacing_mm) / 18.0) ** 2).sum(axis=-1) / 2)
    volume = Volume(oblique_grid, dose, Kind.DOSE)
    context = DicomContext.invented(modality="CT")
    grid = oblique_grid.with_frame_of_reference(context.frame_of_reference)
    write_rtdose(tmp_path / "a.dcm", Volume(grid, dose, Kind.DOSE), context)
    write_itk(volume.with_values(1.02 * dose), tmp_path / "b.nii.gz")
    return tmp_path / "a.dcm", tmp_path / "b.nii.gz"


def test_two_percent_is_found_and_passes_three(maps: tuple[Path, Path], tmp_path: Path) -> None:
    document = json.loads(hepatica("compare-doses", *maps, "--json", "--out", tmp_path / "out").stdout)
    (region,) = document["structures"]
    assert region["ratio_of_means"] == pytest.approx(1.02, rel=1e-4)
    assert document["gamma"]["pass_percent"] == 100
    assert {path.name for path in (tmp_path / "out").iterdir()} - {".hepatica.sha256"} == {
        *("comparison.png", "difference.nii.gz", "comparison.csv", "result.json")
    }


def test_volumes_and_their_files_give_one_document(maps: tuple[Path, Path]) -> None:
    document = json.loads(hepatica("compare-doses", *maps, "--json", "--gamma", "2%/1mm", "--local").stdout)
    criteria = GammaOptions(gamma=Criteria(2.0, 1.0), local=True)
    jsonschema.validate(document, DoseComparisonResult.schema())
    by_path = compare_doses(*maps, criteria=criteria).as_dict()
    by_value = compare_doses(*(as_dose(path, role="dose").volume for path in maps), criteria=criteria).as_dict()
    for found in (document, by_path, by_value):
        found["provenance"]["created"] = ""
    assert by_path == document
    for key in ("structures", "gamma", "messages"):
        assert by_value[key] == document[key]
    assert by_value["provenance"]["parameters"] == document["provenance"]["parameters"]


def test_a_real_difference_fails(maps: tuple[Path, Path]) -> None:
    document = json.loads(hepatica("compare-doses", *maps, "--json", "--gamma", "1%/0.1mm").stdout)
    assert document["gamma"]["pass_percent"] < 90


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{a}", "{a}x"], "no such dose map"),
        (["{a}", "{b}", "--gamma", "3/3mm"], "not a percentage"),
        (["{a}", "{b}", "--gamma", "3%"], "not of the form"),
        (["{a}", "{b}", "--gamma", "3%/3"], "has no unit"),
    ],
)
def test_bad_input_is_one_clear_line(maps: tuple[Path, Path], arguments: list[str], message: str) -> None:
    said = [argument.format(a=maps[0], b=maps[1]) for argument in arguments]
    done = hepatica("compare-doses", *said, code=2)
    assert message in done.stderr
    assert done.stdout == ""
