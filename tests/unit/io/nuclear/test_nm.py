"""SPECT volumes and planar images: counts, unit, times, slices in any direction."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom_makers import NM_CLASS, base, nm_volume, put_pixels, radiopharmaceutical, ramp, save, small_grid
from hepatica.core import Grid, Kind
from hepatica.errors import DicomError, TimeError, UnitError
from hepatica.io.read import Stated, read_image

GRID = small_grid()
COUNTS = ramp(GRID)


def read(folder: Path, dataset: Dataset, stated: Stated | None = None, role: str = "activity"):  # noqa: ANN201
    save(dataset, folder)
    return read_image(folder, role=role, stated=stated or Stated())


def test_counts_and_place(tmp_path: Path) -> None:
    image = read(tmp_path, nm_volume(GRID, COUNTS))
    assert image.volume.kind is Kind.COUNTS
    assert np.array_equal(image.volume.values, COUNTS)
    assert np.abs(image.grid.corners_mm() - GRID.corners_mm()).max() < 1e-6
    facts = image.acquisition
    assert (facts.nuclide, facts.frame_duration_s, facts.projections) == ("Tc-99m", 20.0, 120)
    assert facts.energy_windows_kev == ((126.0, 154.0),)
    assert facts.decay_correction == "NONE"
    assert image.volume.time == datetime(2026, 3, 2, 10, 30)
    assert any("calibration" in line for line in image.missing)
    assert image.context is not None
    assert image.context.is_multiframe


def test_negative_spacing_puts_every_count_where_it_was(tmp_path: Path) -> None:
    affine = np.array(GRID.affine)
    affine[:3, 3] = GRID.to_mm([0, 0, GRID.shape[2] - 1])
    affine[:3, 2] *= -1
    backwards = Grid(GRID.shape, affine, GRID.frame_of_reference)
    image = read(tmp_path, nm_volume(backwards, COUNTS[:, :, ::-1]))
    assert np.array_equal(image.volume.values, COUNTS)
    assert np.abs(image.grid.corners_mm() - GRID.corners_mm()).max() < 1e-6


def test_slice_vector_orders_the_frames(tmp_path: Path) -> None:
    dataset = nm_volume(GRID, COUNTS)
    put_pixels(dataset, COUNTS.transpose(2, 1, 0)[[2, 0, 1, 5, 3, 4]].astype(np.uint16))
    dataset.SliceVector = [3, 1, 2, 6, 4, 5]
    assert np.array_equal(read(tmp_path, dataset).volume.values, COUNTS)


def test_rescale_slope_is_used(tmp_path: Path) -> None:
    image = read(tmp_path, nm_volume(GRID, COUNTS, RescaleSlope="0.25", RescaleIntercept="3"))
    assert np.array_equal(image.volume.values, COUNTS * 0.25 + 3)


def test_becquerels_by_units_or_by_real_world_values(tmp_path: Path) -> None:
    image = read(tmp_path / "a", nm_volume(GRID, COUNTS, Units="BQML", RescaleSlope="12.5"))
    assert image.volume.kind is Kind.ACTIVITY_CONCENTRATION
    assert np.array_equal(image.volume.values, COUNTS * 12.5)
    code, item = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "Bq/ml", "UCUM", "Becquerels/milliliter"
    item.MeasurementUnitsCodeSequence = [code]
    item.RealWorldValueSlope, item.RealWorldValueIntercept = 7.5, 0.0
    image = read(tmp_path / "b", nm_volume(GRID, COUNTS, RealWorldValueMappingSequence=[item]))
    assert image.volume.kind is Kind.ACTIVITY_CONCENTRATION
    assert np.array_equal(image.volume.values, COUNTS * 7.5)
    assert not any("calibration" in line for line in image.missing)


def test_views_by_angle_when_the_header_counts_slices(tmp_path: Path) -> None:
    dataset = nm_volume(GRID, COUNTS)
    dataset.RotationInformationSequence[0].NumberOfFramesInRotation = 6
    image = read(tmp_path, dataset)
    assert image.acquisition.projections == 120
    assert any("6 views" in str(message) for message in image.messages)


def test_small_total_dose_is_megabecquerel(tmp_path: Path) -> None:
    item = radiopharmaceutical(RadionuclideTotalDose="150")
    image = read(tmp_path, nm_volume(GRID, COUNTS, RadiopharmaceuticalInformationSequence=[item]))
    assert image.acquisition.administered_bq == 150e6
    assert any("taken as MBq" in str(message) for message in image.messages)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"Units": "PROPCPS"}, UnitError, "PROPCPS"),
        ({"NumberOfSlices": 3}, DicomError, "several volumes"),
        ({"SliceVector": [1, 2, 3, 4, 5, 5]}, DicomError, "SliceVector"),
        ({"CorrectedImage": "DECY", "DecayCorrection": "NONE"}, TimeError, "contradicts"),
        ({"AcquisitionTime": "99"}, TimeError, "AcquisitionTime"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "TOMO"]}, DicomError, "no PET or NM reconstruction"),
    ],
)
def test_refused(tmp_path: Path, changes: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        read(tmp_path, nm_volume(GRID, COUNTS, **changes))


def test_other_nuclide(tmp_path: Path) -> None:
    dataset = nm_volume(GRID, COUNTS)
    with pytest.raises(DicomError, match=r"header says Tc-99m, asked for is Ho-166"):
        read(tmp_path, dataset, Stated(nuclide="Ho-166"))
    image = read(tmp_path, dataset, Stated(nuclide="Ho-166", override_nuclide=True))
    assert any("overridden by Ho-166" in str(message) for message in image.messages)
    assert image.acquisition.nuclide == "Ho-166"
    corrected = nm_volume(GRID, COUNTS, CorrectedImage="DECY", DecayCorrection="START")
    with pytest.raises(DicomError, match="corrected for the decay of Tc-99m"):
        read(tmp_path, corrected, Stated(nuclide="Ho-166", override_nuclide=True))


def test_planar(tmp_path: Path) -> None:
    dataset = base(NM_CLASS, "NM")
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "WHOLE BODY", "EMISSION"]
    dataset.NumberOfFrames, dataset.PixelSpacing, dataset.ActualFrameDuration = 2, ["2.0", "3.0"], "600000"
    counts = np.arange(40).reshape(2, 4, 5)
    put_pixels(dataset, counts.astype(np.uint16))
    image = read(tmp_path, dataset, role="planar")
    assert np.array_equal(image.volume.values, counts.transpose(2, 1, 0))
    assert image.grid.spacing_mm[:2] == (3.0, 2.0)
    assert image.acquisition.frame_duration_s == 600.0
