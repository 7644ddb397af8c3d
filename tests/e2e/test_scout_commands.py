"""``hepatica lsf`` and ``hepatica tn`` on files of a patient whose shunt and T/N are known."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepatica.anatomy.virtual_patient import (
    AnatomyOptions,
    PatientSettings,
    Tumour,
    VirtualCtOptions,
    default_grid,
    virtual_patient,
)
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.resample import resample
from hepatica.errors import GeometryError, HepaticaError, InputError
from hepatica.io.itk import write_itk
from hepatica.planning.scout.lung_shunt import SpectOptions
from hepatica.workflow.planning.plan import TEMPLATE
from hepatica.workflow.planning.scout import read_scout, spect_shunt, uptake_of_scout

SHUNT, RATIOS = 0.08, {"tumour 1": 5.0, "tumour 2": 3.0}
NAMES = ("lung left", "lung right", "liver", "tumour 1", "tumour 2", "stomach")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CT and labels at 6 mm, scout at 8 mm on another grid: counts with known shunt and T/N."""
    folder = tmp_path_factory.mktemp("scout")
    tumours_of_it = (Tumour(44, segment=7), Tumour(58, segment=8))
    body = virtual_patient(
        PatientSettings(tumours=tumours_of_it, anatomy=AnatomyOptions(terminals=24), ct=VirtualCtOptions(spacing_mm=6))
    )
    grid = body.hu.grid
    liver = body.regions["liver"]
    tumours = {name: body.regions[name] & liver for name in RATIOS}
    normal = liver - tumours["tumour 1"] - tumours["tumour 2"]
    activity = normal.full().astype(np.float64)
    for name, ratio in RATIOS.items():
        activity += ratio * tumours[name].full()
    lungs = (body.regions["lung left"] | body.regions["lung right"]) - liver
    activity *= (1 - SHUNT) * 1e6 / activity.sum()
    activity += lungs.full() * (SHUNT * 1e6 / lungs.full().sum())
    fine = Volume(grid, activity, Kind.COUNTS, name="counts")
    scout = resample(fine, default_grid(PatientSettings(ct=VirtualCtOptions(spacing_mm=8))), "total")
    labels = np.zeros(grid.shape, dtype=np.int16)
    for number, name in enumerate(NAMES, 1):
        labels[body.regions[name].mask() & (labels == 0) | (body.regions[name].mask() & name.startswith("tum"))] = (
            number
        )
    write_itk(body.hu, folder / "ct.nii.gz")
    write_itk(fine, folder / "fine.nii.gz")
    write_itk(scout, folder / "scout.nii.gz")
    write_itk(Volume(grid, labels, Kind.LABEL), folder / "labels.nii.gz")
    (folder / "labels.json").write_text(json.dumps({str(n): name for n, name in enumerate(NAMES, 1)}))
    return folder


def command(*arguments: str | Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "hepatica", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if not code else done.stderr


def test_lsf_command(files: Path) -> None:
    common = ["--regions", files / "labels.nii.gz", "--ct", files / "ct.nii.gz", "--unit", "counts"]
    noise = ["--border", "1 mm", "--lung-count-sd", "2 %", "--liver-count-sd", "1 %", "--activity", "2 GBq"]
    out: dict[str, Any] = json.loads(command("lsf", "--scout", files / "fine.nii.gz", *common, *noise, "--json"))
    # Labels are whole voxels of 6 mm: borders of lung and liver move by a fraction of one.
    assert out["lung_shunt_fraction"] == pytest.approx(SHUNT, rel=0.06)
    low, high = out["lung_shunt_fraction_interval_95"]
    assert low < SHUNT < high
    assert 0.3 < out["lung_mass_kg"] < 1.5
    assert out["dose_lung_gy"] == pytest.approx(
        2 * out["lung_shunt_fraction"] * out["dose_constant_j_per_gbq"] / out["lung_mass_kg"]
    )
    assert out["share_elsewhere"] < 0.02


def test_tn_command(files: Path) -> None:
    common = ["--regions", files / "labels.nii.gz", "--ct", files / "ct.nii.gz", "--unit", "counts"]
    text = command("tn", "--scout", files / "fine.nii.gz", *common)
    assert "all lesions" in text
    out = json.loads(
        command("tn", "--scout", files / "fine.nii.gz", *common, "--count-sd", "3 %", "--mass-sd", "3 %", "--json")
    )
    by_name = {row["name"]: row for row in out["lesions"]}
    for name, ratio in RATIOS.items():
        assert by_name[name]["tumour_to_normal_concentration_ratio"] == pytest.approx(ratio, rel=0.1)
    assert out["overall"]["tumour_to_normal_concentration_ratio_sd"] > 0


def test_quick_counts() -> None:
    out = json.loads(command("lsf", "--lung-counts", "5000,5000", "--liver-counts", "45000,45000", "--json"))
    assert out["lung_shunt_fraction"] == pytest.approx(0.1)
    assert "give one of" in command("lsf", code=2)


def test_another_grid_gives_nearly_the_same(files: Path) -> None:
    scout = read_scout(files / "scout.nii.gz", files / "labels.nii.gz", ct=files / "ct.nii.gz", unit="counts")
    coarse = spect_shunt(scout, SpectOptions(dome_margin_mm=12)).shunt
    assert coarse.fraction == pytest.approx(SHUNT, rel=0.1)
    assert coarse.details["fraction_as_drawn"] > 0
    ratios = uptake_of_scout(scout, fwhm_mm=12)
    assert ratios.volumes.involvement == pytest.approx(0.1, abs=0.07)
    assert set(ratios.masses_kg) == {"tumour 1", "tumour 2", "normal liver"}


def test_bad_scouts(files: Path, tmp_path: Path) -> None:
    with pytest.raises(HepaticaError):
        read_scout(files / "scout.nii.gz", files / "labels.nii.gz")  # no unit
    grid = Grid.axial((4, 4, 4), spacing_mm=(4.0, 4.0, 4.0))
    write_itk(Volume(grid, np.ones(grid.shape, np.int16), Kind.LABEL), tmp_path / "one.nii.gz")
    write_itk(Volume(grid, np.ones(grid.shape, np.float32), Kind.COUNTS), tmp_path / "image.nii.gz")
    bare = read_scout(tmp_path / "image.nii.gz", tmp_path / "one.nii.gz", unit="counts")
    with pytest.raises(InputError, match="--kind"):
        spect_shunt(bare, SpectOptions())
    with pytest.raises(InputError, match="--kind"):
        uptake_of_scout(bare)
    named = read_scout(tmp_path / "image.nii.gz", tmp_path / "one.nii.gz", unit="counts", kinds={"label 1": "liver"})
    assert isinstance(named.liver, Region)
    with pytest.raises(InputError, match="no structure among the regions is a tumour"):
        uptake_of_scout(named)
    assert issubclass(GeometryError, HepaticaError)


def test_voxel_plan_from_a_plan_file(files: Path, tmp_path: Path) -> None:
    body = TEMPLATE.split("# [images]")[0].split("[uncertainty]")[0]
    images = f"""
[images]
scout = "{files / "fine.nii.gz"}"
ct = "{files / "ct.nii.gz"}"
regions = "{files / "labels.nii.gz"}"
unit = "counts"
method = "local"
"""
    path = tmp_path / "plan.toml"
    path.write_text(body + images)
    out = json.loads(command("plan", path, "--json", "--out", tmp_path / "out"))
    voxel = {row["name"]: row for row in out["voxel_plan"]["regions"]}
    # Local deposition: the doses of the two tumours stand to normal liver as their T/N.
    normal = voxel["normal liver"]["dose_mean_gy"]
    assert voxel["tumour 1"]["dose_mean_gy"] / normal == pytest.approx(RATIOS["tumour 1"], rel=0.12)
    total = out["voxel_plan"]["energy_balance"]
    assert total["emitted_j"] == pytest.approx(out["activity_administered_gbq"] * 49.7, rel=2e-3)
    assert (tmp_path / "out/planned-dose.nii.gz").exists()
    page = (tmp_path / "out/plan.html").read_text()
    assert "voxel by voxel" in page
    # Slices through both lesions and the DVHs; the page needs no other file.
    assert page.count('src="data:image/png;base64,') == 3
    assert (tmp_path / "out/plan.pdf").read_bytes().count(b"/Subtype /Image") >= 3
    path.write_text(body + images + 'territories = { "left" = "liver" }\n')
    assert "right lobe" in command("plan", path, code=2)
