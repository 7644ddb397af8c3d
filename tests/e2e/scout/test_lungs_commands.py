"""From ``hepatica lsf`` to ``hepatica dose`` to its verdict, on lungs that the image cuts off; a dose without CT."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import command_line
from hepatica.core import Grid, Kind, Volume
from hepatica.io.itk import write_itk

SHARE = 0.05


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Liver, tumour and the lower part of the lungs, which hold 5 % of the counts; liver at 141 HU."""
    folder = tmp_path_factory.mktemp("torso")
    grid = Grid.axial((30, 24, 32), spacing_mm=(8, 8, 8))
    x, y, z = np.mgrid[:30, :24, :32]
    liver = ((x - 11) / 8) ** 2 + ((y - 12) / 8) ** 2 + ((z - 11) / 7) ** 2 < 1
    tumour = (x - 11) ** 2 + (y - 12) ** 2 + (z - 11) ** 2 < 8
    lungs = (((abs(x - 15) - 6.5) / 5) ** 2 + ((y - 12) / 8) ** 2 < 1) & (z >= 20)
    hu = np.where(((x - 15) / 13.5) ** 2 + ((y - 12) / 10.5) ** 2 < 1, 0.0, -1000.0)
    hu[lungs], hu[liver] = -740, 141
    counts = np.where(tumour, 4.0, np.where(liver, 1.0, 0.0))
    counts[lungs] = counts.sum() * SHARE / (1 - SHARE) / lungs.sum()
    labels = np.where(tumour, 2, np.where(liver, 1, np.where(lungs, 3, 0)))
    write_itk(Volume(grid, hu.astype(np.float32), Kind.HU), folder / "ct.nii.gz")
    write_itk(Volume(grid, (counts * 1e6 / counts.sum()).astype(np.float32), Kind.COUNTS), folder / "scout.nii.gz")
    write_itk(Volume(grid, labels.astype(np.uint8), Kind.LABEL), folder / "labels.nii.gz")
    (folder / "labels.json").write_text(json.dumps({"1": "Liver", "2": "Tumour", "3": "Lungs"}))
    return folder


def hepatica(files: Path, *words: str) -> dict[str, Any]:
    common = ("--activity-unit", "counts", "--structures", "labels.nii.gz", "--json")
    run = command_line.hepatica(*words, *common, cwd=files)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


DOSE = (
    "dose", "scout.nii.gz", "--nuclide", "Y-90", "--engine", "local", "--agent", "glass", "--administered", "2 GBq",
    "--administered-at", "2026-03-02T10:30",
)  # fmt: skip


def codes(document: dict[str, Any]) -> set[str]:
    return {message["code"] for message in document["messages"]}


def test_the_shunt_goes_from_lsf_to_dose_and_its_verdict(files: Path) -> None:
    lsf = hepatica(files, "lsf", "scout.nii.gz", "--ct", "ct.nii.gz", "--planned", "2 GBq", "--lung-mass", "1.3 kg")
    assert {"lungs-cut-off", "contrast-enhanced-ct"} <= codes(lsf)
    assert lsf["lungs_whole"] is False
    # Seen mass m of 1.3 kg at the same uptake per gram: L = 5 x 1.3 / m against 95.
    lungs = 100 * SHARE * 1.3 / lsf["lung_mass_kg"]
    assert lsf["lung_shunt"] == pytest.approx(lungs / (lungs + 95), rel=1e-4)
    stated = ("--lung-shunt", str(lsf["lung_shunt"]), "--lung-mass", "1.3 kg", "--ct", "ct.nii.gz")
    dose = hepatica(files, *DOSE, *stated)
    found = dose["lung_doses"]
    assert found["by_shunt"]["dose_lung_gy"] == pytest.approx(lsf["lung_dose"]["dose_lung_gy"], rel=1e-6)
    # Both rest on one uptake per gram, so that image and shunt agree and nothing is said of a difference.
    assert found["by_image"]["dose_mean_gy"] == pytest.approx(found["by_shunt"]["dose_lung_gy"], rel=3e-3)
    assert not codes(dose) & {"shunt-against-image", "lung-doses-differ"}
    rows = [row for row in dose["limits"] if row["limit_gy"] == 30 and "ung" in row["structure"]]
    assert sorted(row["status"] == "unjudged" for row in rows) == [False, True]


def test_a_dose_without_ct_and_with_stated_densities(files: Path) -> None:
    words = ("--uniform-density", "1.05 g/mL", "--structure-density", "Lungs=0.26 g/mL", "--structure-density",
             "Liver=1.06 g/mL")  # fmt: skip
    document = hepatica(files, *DOSE, *words)
    assert "no-ct" in codes(document)
    by_name = {item["name"]: item for item in document["structures"]}
    origins = {name: by_name[name]["density_from"] for name in ("Liver", "Lungs", "Tumour")}
    assert origins == {"Liver": "stated", "Lungs": "stated", "Tumour": "uniform"}
    assert by_name["Lungs"]["mass_g"] == pytest.approx(0.26 * by_name["Lungs"]["volume_ml"], rel=1e-4)
    assert document["images"]["ct"] is None
    assert document["provenance"]["parameters"]["structure_density"] == {"Lungs": 0.26, "Liver": 1.06}
