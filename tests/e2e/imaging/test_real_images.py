"""The readers on real images; what is expected was read from the headers by hand or comes from another reader."""

from __future__ import annotations

import tarfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from hepatica.core import Kind
from hepatica.errors import DicomError, UnitError
from hepatica.io.read import SeriesKind, Stated, read_image, scan


def unpacked(archive: Path, folder: Path) -> Path:
    if not archive.is_file():
        pytest.skip(f"{archive.name} is not among the real data")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


def test_jaszczak_stacks_backwards(real_data: Path) -> None:
    path = real_data / "nm-jaszczak" / "jaszczak_recon_tomo.dcm"
    image = read_image(path, role="activity")
    assert image.grid.shape == (128, 128, 45)
    assert np.allclose(image.grid.spacing_mm, 4.12999964)
    # First slice at z = -165.2, the other 44 below it: SpacingBetweenSlices is -4.13.
    assert np.allclose(image.grid.origin_mm, (0, -264.319977, -165.199986 - 44 * 4.12999964), atol=1e-4)
    frames = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    assert np.array_equal(image.volume.values[:, :, 44], frames[0].T)
    assert image.volume.total == frames.sum(dtype=np.int64)
    facts = image.acquisition
    assert (facts.nuclide, facts.frame_duration_s, facts.projections) == ("Tc-99m", 45.0, 128)
    assert image.volume.time == datetime(2014, 11, 14, 18, 45, 21)
    assert any("negative" in str(message) for message in image.messages)


def test_planar_lines(real_data: Path) -> None:
    image = read_image(real_data / "nm-jaszczak" / "static_line_x.dcm", role="planar")
    assert image.volume.total == 1497463  # CountsAccumulated of the header
    assert image.acquisition.frame_duration_s == 180.59
    with pytest.raises(DicomError, match="two patients are mixed"):
        scan(real_data / "nm-jaszczak")


def test_earl_pet(real_data: Path, tmp_path: Path) -> None:
    folder = unpacked(real_data / "pet-earl" / "EARL-Anon.tar.xz", tmp_path)
    image = read_image(folder, role="activity")
    assert image.grid.shape == (200, 200, 85)
    assert np.allclose(image.grid.spacing_mm, (4.07283, 4.07283, 3.0))  # SliceThickness says 5
    assert image.volume.kind is Kind.ACTIVITY_CONCENTRATION
    assert image.volume.time == datetime(2025, 7, 9, 12, 28, 52)
    assert "confirmed by DecayFactor" in image.acquisition.time_rule
    assert (image.acquisition.nuclide, image.acquisition.administered_bq) == ("F-18", 186e6)
    # ITK (GDCM) applies the slope of each slice too.
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(next(folder.iterdir())))
    other = sitk.ReadImage(files)
    assert np.allclose(image.volume.values, sitk.GetArrayFromImage(other).transpose(2, 1, 0), rtol=1e-6, atol=1e-3)
    assert np.allclose(image.grid.origin_mm, other.GetOrigin())
    with pytest.raises(DicomError, match="header says F-18, asked for is Y-90"):
        read_image(folder, role="activity", stated=Stated(nuclide="Y-90"))


def test_pet_without_units_is_refused(real_data: Path, tmp_path: Path) -> None:
    folder = unpacked(real_data / "pet-no-units" / "pet_recon_1.tar.xz", tmp_path)
    with pytest.raises(UnitError, match=r"\.dcm: Units: missing, so the values are not known to be activity"):
        read_image(folder, role="activity")


def test_ct_series_equals_the_nifti_of_the_same_patient(real_data: Path, tmp_path: Path) -> None:
    folder = unpacked(real_data / "torso-ct-tia" / "ct-dicom.tar.xz", tmp_path)
    dicom = read_image(folder, role="ct")
    nifti = read_image(real_data / "torso-ct-tia" / "ct.nii.gz", role="ct")
    assert dicom.grid.shape == (124, 72, 190)
    points = dicom.grid.to_mm(np.random.default_rng(5).integers(0, dicom.grid.shape, (5000, 3)))
    index = nifti.grid.to_index(points)
    assert np.abs(index - np.rint(index)).max() < 1e-3
    at_nifti = nifti.volume.values[tuple(np.rint(index).astype(int).T)]
    at_dicom = dicom.volume.values[tuple(np.rint(dicom.grid.to_index(points)).astype(int).T)]
    assert np.array_equal(at_dicom, at_nifti)


def test_time_integrated_activity(real_data: Path) -> None:
    path = real_data / "torso-ct-tia" / "tia.nii.gz"
    image = read_image(path, role="activity", stated=Stated(unit="MBq h", nuclide="Y-90"))
    assert image.volume.kind is Kind.DECAYS
    assert image.volume.total / 3.6e9 == pytest.approx(65.82, abs=0.005)  # MBq h, from the data's README


def test_compressed_and_anonymised_ct(real_data: Path, tmp_path: Path) -> None:
    folder = unpacked(real_data / "ct-mr-small" / "example_ct_dicom.tar.xz", tmp_path)
    assert [series.kind for series in scan(folder)] == [SeriesKind.CT]
    image = read_image(folder, role="ct")
    assert image.grid.shape == (512, 512, 20)
    assert np.allclose(image.grid.spacing_mm, (0.9765625, 0.9765625, 2.0))  # SliceThickness says 3
    assert any("SeriesInstanceUID is missing" in str(message) for message in image.messages)
    path = min(file for file in folder.rglob("*") if file.is_file())
    slice_ = sitk.ReadImage(str(path))
    k = round(float(image.grid.to_index(slice_.GetOrigin())[2]))
    assert np.array_equal(image.volume.values[:, :, k], sitk.GetArrayFromImage(slice_)[0].T)
