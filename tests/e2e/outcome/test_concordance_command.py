"""``hepatica scout-concordance`` on two dose maps whose differences are known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command_line import hepatica
from hepatica.core import Grid, Kind, Volume
from hepatica.core.context import DicomContext
from hepatica.core.image import Image
from hepatica.errors import GeometryError, HepaticaError, InputError
from hepatica.io.dicom.rtdose import write_rtdose
from hepatica.io.itk import read_itk, write_itk
from hepatica.io.structures.regions import read_structures
from hepatica.planning.delivery.concordance import ConcordanceOptions
from hepatica.workflow.planning.concordance import ConcordanceResult, scout_concordance

NORMAL_GY, LESION_GY = 40.0, 200.0
FACTOR = 0.75
"""Lesion dose of the therapy over that of the scout; the normal liver gets what was planned."""


def command(*arguments: object, code: int = 0) -> str:
    done = hepatica(*arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


@pytest.fixture
def files(tmp_path: Path, oblique_grid: Grid) -> Path:
    """A liver with a lesion on an oblique, anisotropic grid; a ramp within the lesion so that it correlates."""
    labels = np.zeros(oblique_grid.shape, dtype=np.int16)
    labels[2:18, 3:15, 4:14] = 1
    labels[5:12, 5:12, 6:12] = 2
    ramp = np.linspace(0.8, 1.2, oblique_grid.shape[0])[:, None, None]
    scout = np.where(labels == 2, LESION_GY * ramp, np.where(labels == 1, NORMAL_GY, 0.0))
    therapy = np.where(labels == 2, FACTOR * scout, scout)
    for name, values in (("scout", scout), ("therapy", therapy)):
        write_itk(Volume(oblique_grid, values.astype(np.float32), Kind.DOSE), tmp_path / f"{name}.nii.gz")
    write_itk(Volume(oblique_grid, labels, Kind.LABEL), tmp_path / "rois.nii.gz")
    (tmp_path / "rois.json").write_text('{"1": "liver", "2": "tumour 1"}')
    np.save(tmp_path / "lesion.npy", scout[labels == 2])
    return tmp_path


def read_values(path: Path) -> np.ndarray:
    return read_itk(path, Kind.DOSE)[0].values


def labels_of(folder: Path) -> np.ndarray:
    return read_itk(folder / "rois.nii.gz", Kind.LABEL)[0].values


def concordance_of(planned: Path, delivered: Path, structures: Path, **more: Any) -> ConcordanceResult:
    return scout_concordance(planned, delivered, structures=structures, comparison=ConcordanceOptions(**more))


def test_values_are_as_good_as_files(files: Path) -> None:
    by_file = concordance_of(*(files / f"{name}.nii.gz" for name in ("scout", "therapy", "rois")))
    planned, delivered = (read_itk(files / f"{name}.nii.gz", Kind.DOSE)[0] for name in ("scout", "therapy"))
    regions = read_structures(files / "rois.nii.gz", planned.grid).regions
    image = Image.from_array(delivered.values, unit="Gy", grid=delivered.grid)
    assert scout_concordance(planned, image, structures=regions).concordance == by_file.concordance
    with pytest.raises(InputError, match="a dose map is a path, a Volume or an Image, not int"):
        scout_concordance(3, delivered, structures=regions)  # type: ignore[arg-type]


def test_numbers_and_files(files: Path) -> None:
    arguments = [files / "scout.nii.gz", files / "therapy.nii.gz", "--structures", files / "rois.nii.gz"]
    out: dict[str, Any] = json.loads(command("scout-concordance", *arguments, "--json", "--out", files / "out"))
    lesion, normal = out["structures"]
    planned = np.load(files / "lesion.npy")
    assert lesion["planned_dose_mean_gy"] == pytest.approx(planned.mean(), rel=1e-6)
    assert lesion["relative_difference"] == pytest.approx(FACTOR - 1, rel=1e-5)
    assert lesion["correlation"] == pytest.approx(1, abs=1e-5)
    assert lesion["bland_altman"]["mean_gy"] == pytest.approx((FACTOR - 1) * planned.mean(), rel=1e-5)
    assert lesion["bland_altman"]["sd_gy"] == pytest.approx((1 - FACTOR) * planned.std(), rel=1e-4)
    # Isodose: the planned mean. Dice of the volumes above it on both maps.
    assert out["isodose_is_planned_mean"]
    assert out["isodose_gy"] == pytest.approx(planned.mean(), rel=1e-6)
    above, later = planned >= out["isodose_gy"], FACTOR * planned >= out["isodose_gy"]
    assert lesion["dice_at_isodose"] == pytest.approx(2 * (above & later).sum() / (above.sum() + later.sum()))
    assert normal["relative_difference"] == pytest.approx(0, abs=1e-6)
    ratio = planned.mean() / NORMAL_GY
    assert out["tumour_to_normal_planned"] == pytest.approx(ratio, rel=1e-5)
    assert out["tumour_to_normal_delivered"] == pytest.approx(FACTOR * ratio, rel=1e-5)
    # Centre of dose in the whole liver, lesion included, by hand.
    scout, therapy = (
        np.where(labels_of(files) > 0, read_values(files / f"{n}.nii.gz"), 0.0) for n in ("scout", "therapy")
    )
    grid = read_itk(files / "scout.nii.gz", Kind.DOSE)[0].grid
    index = np.stack(np.indices(grid.shape), axis=-1).reshape(-1, 3)
    centres = [grid.to_mm(np.average(index, axis=0, weights=v.ravel())) for v in (scout, therapy)]
    assert out["shift_mm"] == pytest.approx(float(np.linalg.norm(centres[1] - centres[0])), rel=1e-4)
    assert not out["catheter_position_changed"]
    assert {i["role"] for i in out["provenance"]["inputs"]} == {"planned dose", "delivered dose", "structures"}
    names = {"result.json", "concordance.csv", "concordance.png", "slices.png"}
    assert {path.name for path in (files / "out").iterdir()} - {".hepatica.sha256"} == names
    text = command("scout-concordance", *arguments, "--isodose", "100 Gy")
    assert "-25" in text
    assert "as stated" in text


def test_a_therapy_on_another_grid_and_in_dicom(files: Path, oblique_grid: Grid) -> None:
    context = DicomContext.invented(modality="CT")
    values = Volume(oblique_grid, np.full(oblique_grid.shape, 50.0, np.float32), Kind.DOSE)
    grid = oblique_grid.crop((slice(0, 20), slice(1, 16), slice(2, 16)))
    grid = grid.with_frame_of_reference(context.frame_of_reference)
    (files / "dose").mkdir()
    write_rtdose(files / "dose" / "dose.dcm", Volume(grid, np.full(grid.shape, 50.0, np.float32), Kind.DOSE), context)
    out = concordance_of(files / "scout.nii.gz", files / "dose", files / "rois.nii.gz", isodose_gy=45.0)
    assert out.concordance.structures[0].delivered_dose_mean_gy == pytest.approx(50.0, rel=1e-3)
    assert out.concordance.structures[0].correlation is None
    assert out.concordance.tumour_to_normal_delivered == pytest.approx(1.0, rel=1e-3)
    # A field of view that cuts the liver off must not read as zero dose.
    cut = values.grid.crop((slice(0, 10), slice(0, values.grid.shape[1]), slice(0, values.grid.shape[2])))
    write_itk(Volume(cut, np.full(cut.shape, 50.0, np.float32), Kind.DOSE), files / "cut.nii.gz")
    with pytest.raises(GeometryError, match="no lesion lies in both dose maps: 'tumour 1'"):
        concordance_of(files / "scout.nii.gz", files / "cut.nii.gz", files / "rois.nii.gz")
    other = DicomContext.invented(modality="CT")
    apart = oblique_grid.with_frame_of_reference(other.frame_of_reference)
    write_rtdose(files / "apart.dcm", Volume(apart, values.values, Kind.DOSE), other)
    with pytest.raises(GeometryError, match="`registered`"):
        concordance_of(files / "apart.dcm", files / "dose", files / "rois.nii.gz")
    assert concordance_of(files / "apart.dcm", files / "dose", files / "rois.nii.gz", registered=True)


def test_refused(files: Path) -> None:
    arguments = [files / "scout.nii.gz", files / "therapy.nii.gz", "--structures", files / "rois.nii.gz"]
    assert "no such dose map (planned dose)" in command(
        "scout-concordance", files / "absent.dcm", *arguments[1:], code=2
    )
    assert "isodose" in command("scout-concordance", *arguments, "--isodose", "100", code=2)
    (files / "rois.json").write_text('{"1": "liver", "2": "thing"}')
    with pytest.raises(InputError, match="`structure_roles`"):
        concordance_of(*arguments[:2], arguments[3])
    named = concordance_of(*arguments[:2], arguments[3], structure_roles={"thing": "tumour"})
    assert named.lesions[0].name == "thing"
    write_itk(
        Volume(named.planned.grid, np.zeros(named.planned.grid.shape, np.float32), Kind.DOSE), files / "nothing.nii.gz"
    )
    with pytest.raises(HepaticaError, match="no dose"):
        concordance_of(files / "nothing.nii.gz", arguments[1], arguments[3], structure_roles={"thing": "tumour"})
