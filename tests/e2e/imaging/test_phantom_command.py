"""``hepatica phantom``: what it writes is read back by hepatica, and holds the truth it states."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from command_line import hepatica
from hepatica.anatomy.virtual_patient import FlowOptions, Treatment, Tumour, VirtualCtOptions
from hepatica.cli.command import run_verb
from hepatica.core import Kind
from hepatica.errors import HepaticaError
from hepatica.front_door import verb_named
from hepatica.io.itk import read_itk
from hepatica.io.read import read_image
from hepatica.workflow.phantom import virtual_patient


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("phantom") / "patient"
    done = hepatica(
        "phantom", "--seed", 5, "--out", folder, "--spacing", "5 x 5 x 6 mm",
        "--tumours", "50 mm, segment 8, necrosis 15 %", "--tumours", "30 mm, segment 6",
        "--catheters", "right anterior = 60 %", "--catheters", "segment 6 = 40 %", "--lung-shunt", "8 %",
        "--tumour-to-normal", "5", "--reflux", "cystic = 1 %", "--administered", "3 GBq", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_it_writes_what_it_says(made: tuple[Path, dict]) -> None:
    folder, truth = made
    assert {path.name for path in folder.iterdir()} - {".hepatica.sha256"} == {
        "ct", "emission", "rtstruct.dcm", "seg.dcm", "truth", "arteries.csv", "arteries.vtk", "patient.json",
        "patient.png", "result.json", "structures.csv", "balance.csv", "named-arteries.csv",
    }  # fmt: skip
    stored = json.loads((folder / "patient.json").read_text())
    assert {key: value for key, value in stored.items() if key not in ("software", "version")}.items() <= truth.items()
    assert truth["schema"] == "hepatica/virtual_patient/1"
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


def test_the_dose_of_it(made: tuple[Path, dict]) -> None:
    folder, truth = made
    assert "missing" in hepatica("inspect", folder).stdout
    done = hepatica(
        "dose", "--activity", folder / "emission", "--ct", folder / "ct", "--structures", folder / "rtstruct.dcm",
        "--nuclide", "Y-90", "--agent", "glass", "--engine", "local", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    regions = {r["name"]: r for r in json.loads(done.stdout)["structures"]}
    # Local deposition: dose is activity times 49.7 J/GBq over mass; contours on 5 x 5 x 6 mm voxels are drawn to half
    # a voxel of a 50 mm sphere at worst, a few percent of what it holds.
    for name, tolerance in (("liver", 0.02), ("segment 8", 0.06), ("tumour 1", 0.06)):
        held = truth["structures"][name]
        expected_gy = held["activity_bq"] / 1e9 * 49.73 / (held["mass_g"] / 1000)
        assert regions[name]["dose_mean_gy"] == pytest.approx(expected_gy, rel=tolerance), name


def test_spect_nuclide_and_cohort(tmp_path: Path) -> None:
    done = hepatica(
        "phantom-cohort", 2, "--out", tmp_path / "many", "--spacing", "12 mm", "--nuclide", "Ho-166", "--json"
    )
    assert done.returncode == 0, done.stderr
    patients = json.loads(done.stdout)["patients"]
    assert [p["patient"] for p in patients] == ["patient-001", "patient-002"]
    with (tmp_path / "many" / "cohort.csv").open(newline="") as stream:
        assert [row["seed"] for row in csv.DictReader(stream)] == [str(p["seed"]) for p in patients]
    image = read_image(tmp_path / "many" / "patient-002" / "emission", role="activity")
    expected = patients[1]["administered_gbq"] * 1e9 * 2 ** (-20 / 26.824)
    assert image.volume.total == pytest.approx(expected, rel=2e-3)


def test_python_gives_what_the_command_gives(made: tuple[Path, dict]) -> None:
    _, truth = made
    same = virtual_patient(
        seed=5,
        tumours=(Tumour(50, 8, 0.15), Tumour(30, 6)),
        ct=VirtualCtOptions(spacing_mm=(5, 5, 6)),
        treatment=Treatment(
            catheters={"right anterior": 0.6, "segment 6": 0.4},
            lung_shunt=0.08,
            tumour_to_normal=5,
            administered_bq=3e9,
            flow=FlowOptions(reflux={"cystic": 0.01}),
        ),
    )
    mine = json.loads(json.dumps(same.as_dict()))
    for document in (mine, truth):
        del document["provenance"]["created"], document["grid"]["frame_of_reference"]
    assert mine == truth
    # Arrays without files: what the emission image holds is the truth at the scan.
    assert same.emission.volume.total == pytest.approx(same.patient.activity(same.scanned_at).total, rel=1e-5)
    assert same.ct.grid == same.patient.grid
    assert "perfused volume" in [region.name for region in same.structures]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--spacing", "0 mm"), "--spacing must be from 0.5 to 12, not 0"),
        (("--spacing", "2 x 2 mm"), "3 are needed"),
        (("--catheters", "segment 11"), "unknown hepatic artery 'segment 11'"),
        (("--catheters", "segment 5 = 40 %", "--catheters", "segment 6"), "a share for every catheter"),
        (("--lung-shunt", "-3 %"), "outside 0 to 1"),
        (("--lung-shunt", "80 %", "--reflux", "cystic = 30 %"), "cannot exceed 1"),
        (("--nuclide", "U-235"), "unknown nuclide"),
        (("--agent", "sand"), "unknown agent"),
        (("--nuclide", "Lu-177"), "no administered activity of Lu-177 is given; state --administered"),
        (("--tumours", "90 mm, segment 3"), "larger than segment 3"),
        (("--tumours", "30 mm, lobe left"), "--tumours: 'lobe left' should be 'segment 8' or 'necrosis 20 %'"),
        (("--tumour", "30 mm"), "--tumours"),
        (("--sex", "other"), "known: female, male"),
    ],
)
def test_refusals(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    # In this process: the command's own door, without starting Python a dozen times.
    spacing = () if "--spacing" in arguments else ("--spacing", "12 mm")
    with pytest.raises(HepaticaError) as refused:
        run_verb(verb_named("phantom"), ["--out", str(tmp_path / "no"), *spacing, *arguments])
    assert message in str(refused.value)
    assert not (tmp_path / "no").exists()


def test_a_cohort_of_none_is_refused() -> None:
    with pytest.raises(HepaticaError, match="at least 1"):
        run_verb(verb_named("phantom-cohort"), ["0"])
