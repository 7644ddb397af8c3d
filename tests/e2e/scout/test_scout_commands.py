"""``hepatica lsf`` and ``hepatica tn`` on files of a patient whose shunt and T/N are known."""

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command_line import hepatica
from hepatica.anatomy.virtual_patient import (
    AnatomyOptions,
    PatientSettings,
    Tumour,
    VirtualCtOptions,
    default_grid,
    virtual_patient,
)
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.image import Image, Stated
from hepatica.core.resample import resample
from hepatica.errors import HepaticaError, InputError, UnknownNameError
from hepatica.io.itk import read_itk_image, write_itk
from hepatica.io.structures.regions import read_structures
from hepatica.planning.planner.plan_file import TEMPLATE, Plan, plan_from
from hepatica.planning.planner.voxel import PlanImages
from hepatica.planning.scout.lung_shunt import SpectShuntOptions
from hepatica.planning.scout.lungs import LungDoseOptions
from hepatica.planning.scout.scan import ScoutOptions
from hepatica.planning.scout.uptake import UptakeOptions
from hepatica.workflow.planning.lung_shunt import lung_shunt
from hepatica.workflow.planning.plan.plan import plan
from hepatica.workflow.planning.scout import read_scout
from hepatica.workflow.planning.tumour_to_normal import tumour_to_normal

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
    done = hepatica(*arguments)
    assert done.returncode == code, done.stderr
    return done.stdout if not code else done.stderr


def numbers(document: dict[str, Any]) -> dict[str, Any]:
    """A document without where its inputs came from."""
    return {key: value for key, value in document.items() if key not in ("provenance", "messages")}


def reading(files: Path) -> ScoutOptions:
    return ScoutOptions(ct=files / "ct.nii.gz", activity_unit="counts")


def test_lsf_command(files: Path) -> None:
    common = ["--structures", files / "labels.nii.gz", "--ct", files / "ct.nii.gz", "--activity-unit", "counts"]
    noise = ["--border", "1 mm", "--lung-count-relative-sd", "2 %", "--liver-count-relative-sd", "1 %"]
    asked = ["lsf", files / "fine.nii.gz", *common, *noise, "--planned", "2 GBq"]
    out: dict[str, Any] = json.loads(command(*asked, "--json", "--out", files / "lsf"))
    # Labels are whole voxels of 6 mm: borders of lung and liver move by a fraction of one.
    assert out["lung_shunt"] == pytest.approx(SHUNT, rel=0.06)
    low, high = out["interval_95"]
    assert low < SHUNT < high
    assert 0.3 < out["lung_mass_kg"] < 1.5
    dose = out["lung_dose"]
    assert dose["lung_mass_measured"]
    assert dose["dose_lung_gy"] == pytest.approx(
        2 * out["lung_shunt"] * dose["dose_constant_j_per_gbq"] / out["lung_mass_kg"]
    )
    assert out["share_elsewhere"] < 0.02
    assert numbers(json.loads((files / "lsf/result.json").read_text())) == numbers(out)
    assert (files / "lsf/lung-shunt.csv").read_text().startswith(",value,unit\nlung shunt,")
    assert "Lung dose" in command(*asked)
    result = lung_shunt(
        files / "fine.nii.gz",
        structures=files / "labels.nii.gz",
        reading=reading(files),
        spect=SpectShuntOptions(border_mm=1.0, lung_count_relative_sd=0.02, liver_count_relative_sd=0.01),
        dose=LungDoseOptions(planned_gbq=2.0),
    )
    assert json.loads(json.dumps(numbers(result.as_dict()))) == numbers(out)


def test_tn_command(files: Path) -> None:
    common = ["--structures", files / "labels.nii.gz", "--ct", files / "ct.nii.gz", "--activity-unit", "counts"]
    text = command("tn", "--scout", files / "fine.nii.gz", *common)
    assert "all lesions" in text
    noise = ["--count-relative-sd", "3 %", "--mass-relative-sd", "3 %"]
    out = json.loads(command("tn", files / "fine.nii.gz", *common, *noise, "--json"))
    by_name = {row["name"]: row for row in out["lesions"]}
    for name, ratio in RATIOS.items():
        assert by_name[name]["tumour_to_normal"] == pytest.approx(ratio, rel=0.1)
    assert out["overall"]["tumour_to_normal_sd"] > 0
    uptake = UptakeOptions(count_relative_sd=0.03, mass_relative_sd=0.03)
    result = tumour_to_normal(
        files / "fine.nii.gz", structures=files / "labels.nii.gz", reading=reading(files), uptake=uptake
    )
    assert json.loads(json.dumps(numbers(result.as_dict()))) == numbers(out)


def test_images_and_regions_are_as_good_as_files(files: Path) -> None:
    counts = read_itk_image(files / "fine.nii.gz", role="activity", stated=Stated(unit="counts")).volume
    hu = read_itk_image(files / "ct.nii.gz", role="ct", stated=Stated(unit="HU")).volume
    scout = Image.from_array(counts.values, unit="counts", grid=counts.grid)
    ct = Image.from_array(hu.values, unit="HU", grid=hu.grid)
    regions = read_structures(files / "labels.nii.gz", hu.grid).regions
    by_value = lung_shunt(scout, structures=regions, reading=ScoutOptions(ct=ct))
    by_file = lung_shunt(files / "fine.nii.gz", structures=files / "labels.nii.gz", reading=reading(files))
    assert numbers(by_value.as_dict()) == numbers(by_file.as_dict())
    ratios = tumour_to_normal(scout, structures=regions, reading=ScoutOptions(ct=ct))
    paths = tumour_to_normal(files / "fine.nii.gz", structures=files / "labels.nii.gz", reading=reading(files))
    assert ratios.uptake.overall == paths.uptake.overall
    with pytest.raises(InputError, match=r"an image is a path or a hepatica\.Image, not Volume"):
        lung_shunt(counts, structures=regions)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a list of them, not int"):
        lung_shunt(scout, structures=[3])  # type: ignore[list-item]


def test_quick_counts() -> None:
    out = json.loads(command("lsf", "--lung-counts", "5000,5000", "--liver-counts", "45000,45000", "--json"))
    assert out["lung_shunt"] == pytest.approx(0.1)
    assert out["lung_dose"] is None
    for arguments, message in (
        ([], "give one of --scout, --planar, or --lung-counts with --liver-counts"),
        (["--lung-counts", "5000,5000"], "give both --lung-counts and --liver-counts, or neither"),
        (["--lung-counts", "5000", "--liver-counts", "4,4"], "'5000' holds 1 numbers; 2 are needed"),
        (["--lung-count", "5000,5000"], "did you mean --lung-counts"),
        (["--lung-counts", "1,1", "--liver-counts", "4,4", "--planned", "2"], "--planned: '2' has no unit"),
        (["--lung-counts", "1,1", "--liver-counts", "4,4", "--convention", "enfd"], "did you mean ensdf"),
        (["image.nii", "--structures", "a", "--lung-counts", "1,1", "--liver-counts", "4,4"], "give one of --scout"),
    ):
        assert message in command("lsf", *arguments, code=2)


def test_another_grid_gives_nearly_the_same(files: Path) -> None:
    structures = files / "labels.nii.gz"
    spect = SpectShuntOptions(dome_margin_mm=12)
    coarse = lung_shunt(files / "scout.nii.gz", structures=structures, reading=reading(files), spect=spect).shunt
    assert coarse.lung_shunt.value == pytest.approx(SHUNT, rel=0.1)
    assert coarse.details["fraction_as_drawn"] > 0
    uptake = UptakeOptions(response_mm=12)
    ratios = tumour_to_normal(files / "scout.nii.gz", structures=structures, reading=reading(files), uptake=uptake)
    assert ratios.uptake.volumes.involvement == pytest.approx(0.1, abs=0.07)
    assert set(ratios.uptake.masses_kg) == {"tumour 1", "tumour 2", "normal liver"}


def test_bad_scouts(files: Path, tmp_path: Path) -> None:
    with pytest.raises(HepaticaError):
        read_scout(files / "scout.nii.gz", files / "labels.nii.gz")  # no unit
    grid = Grid.axial((4, 4, 4), spacing_mm=(4.0, 4.0, 4.0))
    write_itk(Volume(grid, np.ones(grid.shape, np.int16), Kind.LABEL), tmp_path / "one.nii.gz")
    write_itk(Volume(grid, np.ones(grid.shape, np.float32), Kind.COUNTS), tmp_path / "image.nii.gz")
    image, structures, counts = tmp_path / "image.nii.gz", tmp_path / "one.nii.gz", ScoutOptions(activity_unit="counts")
    with pytest.raises(InputError, match="no structure is the liver; state `structure_roles`"):
        lung_shunt(image, structures=structures, reading=counts)
    with pytest.raises(InputError, match="`structure_roles`"):
        tumour_to_normal(image, structures=structures, reading=counts)
    called = ScoutOptions(activity_unit="counts", structure_roles={"label 1": "liver"})
    assert isinstance(read_scout(image, structures, called).liver, Region)
    with pytest.raises(InputError, match="no structure is a tumour"):
        tumour_to_normal(image, structures=structures, reading=called)
    asked = ["tn", image, "--structures", structures, "--activity-unit", "counts"]
    assert "--structure-roles" in command(*asked, code=2)
    assert "did you mean tumour" in command(*asked, "--structure-roles", "label 1=tumur", code=2)
    assert "is not NAME=ROLE" in command(*asked, "--structure-roles", "label 1", code=2)
    with pytest.raises(UnknownNameError, match="did you mean label 1"):
        read_scout(image, structures, ScoutOptions(activity_unit="counts", structure_roles={"labl 1": "liver"}))


def test_voxel_plan_from_a_plan_file(files: Path, tmp_path: Path) -> None:
    body = TEMPLATE.split("# [images]")[0].split("[uncertainty]")[0]
    images = f"""
[images]
scout = "{files / "fine.nii.gz"}"
ct = "{files / "ct.nii.gz"}"
structures = "{files / "labels.nii.gz"}"
activity_unit = "counts"
engine = "local"
"""
    path = tmp_path / "plan.toml"
    path.write_text(body + images)
    out = json.loads(command("plan", path, "--json", "--out", tmp_path / "out"))
    voxel = {row["name"]: row for row in out["voxel_plan"]["structures"]}
    # Local deposition: the doses of the two tumours stand to normal liver as their T/N.
    normal = voxel["normal liver"]["dose_mean_gy"]
    assert voxel["tumour 1"]["dose_mean_gy"] / normal == pytest.approx(RATIOS["tumour 1"], rel=0.12)
    total = out["voxel_plan"]["energy_balance"]
    assert total["emitted_j"] == pytest.approx(out["administered_gbq"] * 49.7, rel=2e-3)
    assert (tmp_path / "out/planned-dose.nii.gz").exists()
    page = (tmp_path / "out/plan.html").read_text()
    assert "voxel by voxel" in page
    # Slices through both lesions and the DVHs; the page needs no other file.
    assert page.count('src="data:image/png;base64,') == 3
    assert (tmp_path / "out/plan.pdf").read_bytes().count(b"/Subtype /Image") >= 3
    path.write_text(body + images + 'territories = { "left" = "liver" }\n')
    assert "right lobe" in command("plan", path, code=2)
    # Images and regions are as good as files.
    counts = read_itk_image(files / "fine.nii.gz", role="activity", stated=Stated(unit="counts"))
    ct = read_itk_image(files / "ct.nii.gz", role="ct", stated=Stated(unit="HU"))
    regions = read_structures(files / "labels.nii.gz", ct.grid).regions
    course = plan_from(tomllib.loads(body)).course
    made = plan(Plan(course, PlanImages(counts, regions, ScoutOptions(ct=ct), engine="local")))
    assert made.as_dict()["voxel_plan"] == out["voxel_plan"]
