"""A dose with voxels below zero, saved and read by other verbs: their means are those that the dose states."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

import hepatica
from command_line import answer
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.image import Image
from hepatica.io.itk import write_itk

GIVEN_AT = datetime(2026, 3, 2, 10, 30)
READ, LOST = "dose-below-zero-read", "dose-zero-below"
GRID = Grid.axial((16, 16, 16), spacing_mm=(8.0, 8.0, 8.0))


def drawn() -> list[Region]:
    x, y, z = np.mgrid[:16, :16, :16]
    inside = ((x - 8) ** 2 + (y - 8) ** 2 < 36) & (z >= 2) & (z < 14)
    halves = {"Liver": inside & (x < 8), "Spleen": inside & (x >= 8), "Tumour": inside & (x < 6) & (z > 7)}
    return [Region.from_coverage(name, GRID, mask) for name, mask in halves.items()]


@pytest.fixture(scope="module")
def found() -> hepatica.DoseResult:
    """1 MBq/mL in the liver, none in the spleen, and as much noise as there is activity."""
    liver, spleen, _ = drawn()
    noise = np.random.default_rng(5).normal(0, 1e6, GRID.shape)
    seen = 1e6 * liver.full() + noise * (liver.full() + spleen.full())
    image = Image.from_array(seen, unit="Bq/mL", grid=GRID, time=GIVEN_AT, nuclide="Y-90", name="pet")
    ct = Image.from_array(np.full(GRID.shape, 50.0), unit="HU", grid=GRID, name="ct")
    return hepatica.absorbed_dose(
        image, ct=ct, nuclide="Y-90", structures=drawn(), engine="local",
        options=hepatica.DoseOptions(
            settings=hepatica.DoseSettings(negatives="keep"),
            quantification=hepatica.QuantificationOptions(administered_at=GIVEN_AT),
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def saved(found: hepatica.DoseResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return found.save(tmp_path_factory.mktemp("below") / "dose")


def test_a_folder_its_maps_and_the_volume_have_the_means_of_the_dose(found: hepatica.DoseResult, saved: Path) -> None:
    """One density, so that means by volume are those by mass."""
    own = {one.dose.name: one.dose.dose_mean_gy for one in found.structures}
    assert found["Spleen"].dose_min_gy < 0
    for source in (saved, saved / "dose.nii.gz", saved / "dose.dcm"):
        compared = hepatica.compare_doses(source, source, structures=drawn())
        assert {row.name: row.mean_first_gy for row in compared.structures} == pytest.approx(
            {row.name: own[row.name] for row in compared.structures}, rel=1e-4, abs=1e-4
        )
        assert READ in {m.code for m in compared.messages}
    summed = hepatica.accumulated_dose(saved, saved, structures=drawn()).course
    for row in summed.structures:
        assert row.first_dose_mean_gy == pytest.approx(own[row.name], rel=1e-4, abs=1e-4)
        assert row.dose_mean_gy == pytest.approx(2 * own[row.name], rel=1e-4, abs=1e-4)
    of_map = hepatica.radiobiology(dose_map=saved, structures=drawn()).effect
    liver = next(row for row in of_map.structures if row.name == "Liver")
    assert liver.dose_mean_gy == pytest.approx(own["Liver"], rel=1e-4)
    assert 0 <= liver.eud_gy <= liver.dose_mean_gy
    # As a value, and as the map of a sum.
    hepatica.compare_doses(found.dose, saved, structures=drawn())


def test_what_is_clipped_says_so(found: hepatica.DoseResult, saved: Path, tmp_path: Path) -> None:
    shutil.copy(saved / "dose.dcm", tmp_path / "alone.dcm")
    compared = hepatica.compare_doses(tmp_path / "alone.dcm", saved, structures=drawn())
    assert LOST in {m.code for m in compared.messages}
    spleen = next(row for row in compared.structures if row.name == "Spleen")
    assert spleen.mean_first_gy > 5 * abs(spleen.mean_second_gy)
    said = hepatica.accumulated_dose(saved, tmp_path / "alone.dcm", structures=drawn()).messages
    assert LOST in {m.code for m in said}
    assert answer("accumulate", saved, saved, "--structures", saved / "structures.dcm")["structures"]


def test_a_map_away_from_its_result_says_what_is_missing(saved: Path, tmp_path: Path) -> None:
    shutil.copy(saved / "dose.nii.gz", tmp_path)
    with pytest.raises(hepatica.UnitError, match="negative") as refused:
        hepatica.compare_doses(tmp_path / "dose.nii.gz", saved, structures=drawn())
    assert "result.json beside it" in refused.value.remedy
    # What it says to do is enough.
    shutil.copy(saved / "result.json", tmp_path)
    row = hepatica.compare_doses(tmp_path / "dose.nii.gz", saved, structures=drawn()).structures[0]
    assert row.mean_first_gy == pytest.approx(row.mean_second_gy)


def test_a_negative_map_of_someone_else_is_no_dose(tmp_path: Path) -> None:
    write_itk(Volume(GRID, np.full(GRID.shape, -1.0, np.float32), Kind.DOSE), tmp_path / "dose.nii.gz")
    with pytest.raises(hepatica.UnitError, match="negative"):
        hepatica.compare_doses(tmp_path / "dose.nii.gz", tmp_path / "dose.nii.gz")
