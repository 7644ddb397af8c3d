"""``hepatica phantom``: what it writes is read back by hepatica, and holds the truth it states."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hepatica.core import Kind
from hepatica.io.itk import read_itk
from hepatica.io.read import read_image


def hepatica(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hepatica", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("phantom") / "patient"
    done = hepatica(
        "phantom", "--seed", 5, "--out", folder, "--spacing", "5 x 5 x 6 mm",
        "--tumour", "50 mm, segment 8, necrosis 15 %", "--tumour", "30 mm, segment 6",
        "--catheter", "right anterior = 60 %", "--catheter", "segment 6 = 40 %",
        "--lung-shunt", "8 %", "--tn", "5", "--reflux", "cystic = 1 %", "--activity", "3 GBq", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_it_writes_what_it_says(made: tuple[Path, dict]) -> None:
    folder, truth = made
    assert {path.name for path in folder.iterdir()} == {
        "ct", "emission", "rtstruct.dcm", "seg.dcm", "truth", "arteries.csv", "arteries.vtk", "patient.json",
        "patient.png",
    }  # fmt: skip
    assert json.loads((folder / "patient.json").read_text()).items() <= truth.items()
    assert sum(truth["balance_bq"].values()) == pytest.approx(3e9, rel=1e-6)
    assert truth["balance_bq"]["lungs"] == pytest.approx(0.08 * 3e9, rel=1e-6)
    activity, _ = read_itk(folder / "truth" / "activity.nii.gz", Kind.ACTIVITY)
    assert activity.total == pytest.approx(truth["activity_in_field_bq"], rel=1e-6)
    labels, _ = read_itk(folder / "truth" / "labels.nii.gz", Kind.LABEL)
    assert set(np.unique(labels.values).tolist()) - {0} == {int(n) for n in truth["labels"]}
    with (folder / "arteries.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == truth["arteries"]["branches"]
    assert sum(int(row["is_end"]) for row in rows) == truth["arteries"]["end_branches"]


def test_the_emission_is_the_truth_decayed(made: tuple[Path, dict]) -> None:
    folder, truth = made
    image = read_image(folder / "emission", role="activity")
    # 20 h after 3 GBq of 90Y; the PET keeps 1.6e-5 of each slice's maximum.
    assert image.volume.total == pytest.approx(truth["activity_in_field_bq"] * 2 ** (-20 / 64.05), rel=1e-3)


def test_the_dose_of_it(made: tuple[Path, dict], tmp_path: Path) -> None:
    folder, truth = made
    assert "missing" in hepatica("inspect", folder).stdout
    done = hepatica(
        "dose", "--activity", folder / "emission", "--ct", folder / "ct", "--regions", folder / "rtstruct.dcm",
        "--nuclide", "Y-90", "--agent", "glass", "--method", "local", "--out", tmp_path / "dose", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    regions = {r["name"]: r for r in json.loads(done.stdout)["regions"]}
    # Local deposition: dose is activity times 49.7 J/GBq over mass; contours on 5 x 5 x 6 mm voxels are drawn to half
    # a voxel of a 50 mm sphere at worst, a few percent of what it holds.
    for name, tolerance in (("liver", 0.02), ("segment 8", 0.06), ("tumour 1", 0.06)):
        held = truth["structures"][name]
        expected_gy = held["activity_bq"] / 1e9 * 49.73 / (held["mass_g"] / 1000)
        assert regions[name]["dose_mean_gy"] == pytest.approx(expected_gy, rel=tolerance), name


def test_spect_nuclide_and_cohort(tmp_path: Path) -> None:
    done = hepatica(
        "phantom", "--out", tmp_path / "many", "--cohort", 2, "--spacing", "8 mm", "--nuclide", "Ho-166", "--json"
    )
    assert done.returncode == 0, done.stderr
    patients = json.loads(done.stdout)["patients"]
    assert [p["patient"] for p in patients] == ["patient-001", "patient-002"]
    with (tmp_path / "many" / "cohort.csv").open(newline="") as stream:
        assert [row["seed"] for row in csv.DictReader(stream)] == [str(p["seed"]) for p in patients]
    image = read_image(tmp_path / "many" / "patient-002" / "emission", role="activity")
    expected = patients[1]["activity_gbq"] * 1e9 * 2 ** (-20 / 26.824)
    assert image.volume.total == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--spacing", "0 mm"), "voxel size"),
        (("--spacing", "2 x 2 mm"), "one length or three"),
        (("--catheter", "segment 11"), "unknown hepatic artery 'segment 11'; known: common hepatic"),
        (("--catheter", "segment 5 = 40 %", "--catheter", "segment 6"), "a share for every catheter"),
        (("--lung-shunt", "-3 %"), "outside 0 to 1"),
        (("--lung-shunt", "80 %", "--reflux", "cystic = 30 %"), "cannot exceed 1"),
        (("--nuclide", "U-235"), "unknown nuclide"),
        (("--agent", "sand"), "unknown agent"),
        (("--nuclide", "Lu-177"), "give the activity of Lu-177"),
        (("--tumour", "90 mm, segment 3"), "larger than segment 3"),
        (("--tumour", "30 mm, lobe left"), "should be 'segment 8' or 'necrosis 20 %'"),
        (("--cohort", "0"), "at least 1"),
    ],
)
def test_refusals(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    # In this process: the command's own door, without starting Python a dozen times.
    from typer.testing import CliRunner

    from hepatica.cli.main import app
    from hepatica.errors import HepaticaError

    spacing = () if "--spacing" in arguments else ("--spacing", "12 mm")
    done = CliRunner().invoke(app, ["phantom", "--out", str(tmp_path / "no"), *spacing, *arguments])
    assert isinstance(done.exception, HepaticaError)
    assert message in str(done.exception)
    assert not (tmp_path / "no").exists()
