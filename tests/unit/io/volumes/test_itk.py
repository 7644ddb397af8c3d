"""NIfTI and MetaImage: place, unit and time, and what is refused."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dicom_makers import ramp, small_grid
from hepatica.core import Grid, Kind, Volume
from hepatica.errors import GeometryError, InputError, OutputError, UnitError
from hepatica.io.itk import read_itk, voxel_unit, write_itk
from hepatica.io.read import Stated, read_image

GRID = small_grid(None)
VALUES = ramp(GRID).astype(np.float32) + 0.25


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.mha", "a.nrrd"])
def test_round_trip(tmp_path: Path, name: str, oblique_grid: Grid) -> None:
    left = np.array(oblique_grid.affine)
    left[:3, 0] *= -1
    for grid in (oblique_grid, Grid(oblique_grid.shape, left)):
        values = np.random.default_rng(3).normal(size=grid.shape)
        path = write_itk(Volume(grid, values, Kind.DOSE), tmp_path / name)
        image = read_image(path, stated=Stated(unit="Gy"))
        assert np.array_equal(image.volume.values, values)
        assert image.grid.matches(grid)


def test_nifti_agrees_with_nibabel(tmp_path: Path) -> None:
    """An independent reader: the same value at the same point, RAS turned to LPS."""
    path = write_itk(Volume(GRID, VALUES, Kind.COUNTS), tmp_path / "a.nii.gz")
    other = nibabel.load(path)
    assert np.array_equal(other.get_fdata(), VALUES)
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    assert np.allclose(to_lps @ other.affine, GRID.affine, atol=1e-4)


def test_labels_stay_whole(tmp_path: Path) -> None:
    labels = np.arange(GRID.size).reshape(GRID.shape).astype(np.int64)
    path = write_itk(Volume(GRID, labels, Kind.LABEL), tmp_path / "labels.nii.gz")
    volume, _ = read_itk(path, Kind.LABEL)
    assert np.issubdtype(volume.values.dtype, np.integer)
    assert np.array_equal(volume.values, labels)
    write_itk(Volume(GRID, VALUES, Kind.DOSE), path)
    with pytest.raises(UnitError, match="whole numbers"):
        read_itk(path, Kind.LABEL)


@pytest.mark.parametrize(
    ("text", "kind", "factor"),
    [
        ("kBq/mL", Kind.ACTIVITY_CONCENTRATION, 1e3),
        ("Bq/cc", Kind.ACTIVITY_CONCENTRATION, 1.0),
        ("MBq", Kind.ACTIVITY, 1e6),
        ("MBq h", Kind.DECAYS, 3.6e9),
        ("HU", Kind.HU, 1.0),
        ("counts", Kind.COUNTS, 1.0),
        ("cps", Kind.COUNT_RATE, 1.0),
        ("mGy", Kind.DOSE, 1e-3),
        ("kg/m^3", Kind.DENSITY, 1e-3),
    ],
)
def test_voxel_units(text: str, kind: Kind, factor: float) -> None:
    assert voxel_unit(text) == (kind, pytest.approx(factor))


def test_unit_and_time_come_from_the_caller(tmp_path: Path) -> None:
    path = write_itk(Volume(GRID, VALUES, Kind.ACTIVITY_CONCENTRATION), tmp_path / "a.mha")
    at = datetime(2026, 3, 2, 10)
    image = read_image(path, role="activity", stated=Stated(unit="kBq/mL", time=at, nuclide="Y-90"))
    assert np.allclose(image.volume.values, VALUES * 1000)
    assert image.volume.time == at
    assert image.missing == ()
    assert len(read_image(path, role="activity", stated=Stated(unit="Bq/mL")).missing) == 2
    with pytest.raises(UnitError, match="does not say what a voxel holds"):
        read_image(path, role="activity")
    with pytest.raises(UnitError, match="furlong"):
        read_image(path, role="activity", stated=Stated(unit="furlong"))
    assert read_image(path, role="ct").volume.kind is Kind.HU


def test_nan_is_refused(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[1, 2, 3] = np.nan
    path = write_itk(Volume(GRID, values, Kind.DOSE), tmp_path / "a.nii")
    with pytest.raises(UnitError, match="1 voxels are NaN"):
        read_image(path, stated=Stated(unit="Gy"))


def nifti(path: Path, affine: np.ndarray | None, shape: tuple[int, ...] = (4, 5, 6)) -> Path:
    image = nibabel.Nifti1Image(np.zeros(shape, np.float32), affine)
    nibabel.save(image, path)
    return path


def test_nifti_without_a_place_is_refused(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", np.eye(4))
    image = nibabel.load(path)
    image.header["qform_code"] = image.header["sform_code"] = 0
    raw = bytearray(path.read_bytes())
    raw[252:256] = b"\0\0\0\0"  # qform_code and sform_code
    path.write_bytes(raw)
    with pytest.raises(GeometryError, match="qform_code and sform_code are 0"):
        read_image(path, stated=Stated(unit="Gy"))


def test_shear_and_contradiction_are_refused(tmp_path: Path) -> None:
    shear = np.eye(4)
    shear[0, 1] = 0.3
    with pytest.raises(GeometryError, match="perpendicular"):
        read_image(nifti(tmp_path / "shear.nii", shear), stated=Stated(unit="Gy"))
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.float32), np.diag([2.0, 2, 2, 1]))
    image.set_qform(np.diag([-2.0, -2, 2, 1]), code=1)
    image.set_sform(np.diag([2.0, 2, 2, 1]), code=1)
    nibabel.save(image, tmp_path / "two.nii")
    with pytest.raises(GeometryError, match="qform and sform place the image differently"):
        read_image(tmp_path / "two.nii", stated=Stated(unit="Gy"))


def test_not_one_volume_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dimensions"):
        read_image(nifti(tmp_path / "four.nii", np.eye(4), (4, 5, 6, 3)), stated=Stated(unit="Gy"))
    assert read_image(nifti(tmp_path / "one.nii", np.eye(4), (4, 5, 6, 1)), stated=Stated(unit="Gy")).grid.shape[2] == 6


def test_damaged_files(tmp_path: Path) -> None:
    path = write_itk(Volume(GRID, VALUES, Kind.DOSE), tmp_path / "a.nii.gz")
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(InputError):
        read_image(path, stated=Stated(unit="Gy"))
    path.write_text("no image")
    with pytest.raises(InputError, match="cannot be read"):
        read_image(path, stated=Stated(unit="Gy"))
    with pytest.raises(InputError, match="no such file"):
        read_image(tmp_path / "none.nii", stated=Stated(unit="Gy"))


def test_claimed_size_is_checked_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "bomb.mha"
    header = (
        "ObjectType = Image\nNDims = 3\nDimSize = 60000 60000 60000\nElementType = MET_FLOAT\nElementDataFile = LOCAL\n"
    )
    path.write_text(header + "x" * 100)
    with pytest.raises(InputError, match="claims"):
        read_image(path, stated=Stated(unit="Gy"))


def test_write_refuses_other_names(tmp_path: Path) -> None:
    for name in ("a.txt", "a.mhd"):
        with pytest.raises(OutputError, match="must end in"):
            write_itk(Volume(GRID, VALUES, Kind.DOSE), tmp_path / name)
    with pytest.raises(OutputError):
        write_itk(Volume(GRID, VALUES, Kind.DOSE), tmp_path / "no" / "a.nii")
