"""What `inspect_images` shows can be used, and the rest says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_makers import ct_series, ramp, save, small_grid
from hepatica.core import Kind, Volume
from hepatica.core.context import DicomContext
from hepatica.io.dicom.rtdose import write_rtdose
from hepatica.workflow.inspect import inspect_images

GRID = small_grid()
HU = ramp(GRID, -1000, 1000)


@pytest.fixture
def dose_file(tmp_path: Path) -> Path:
    path = tmp_path / "dose.dcm"
    dose = Volume(GRID, np.linspace(0, 300, int(np.prod(GRID.shape))).reshape(GRID.shape), Kind.DOSE)
    from dataclasses import replace

    context = replace(
        DicomContext.invented(slices=GRID.shape[2], patient_id="P1"), frame_of_reference=GRID.frame_of_reference
    )
    write_rtdose(path, dose, context)
    return path


def test_a_dose_is_read_as_it_is_by_who_takes_it(dose_file: Path) -> None:
    found = inspect_images(dose_file)
    assert found.is_usable
    dose = found.series[0]
    assert dose.unit == "GY"
    assert dose.maximum == pytest.approx(300, rel=1e-4)  # 16 bits
    assert dose.grid is not None


@pytest.mark.parametrize("scaling", ["1e308", "-0.007", "0", "1e5"])
def test_a_dose_that_cannot_be_used_says_so(dose_file: Path, scaling: str) -> None:
    dataset = pydicom.dcmread(dose_file)
    dataset.DoseGridScaling = scaling
    dataset.save_as(dose_file)
    found = inspect_images(dose_file)
    assert not found.is_usable
    assert "DoseGridScaling" in found.series[0].problems[0]
    assert found.series[0].unit == "GY"


def test_a_slice_that_lost_its_position_is_no_dose_report(tmp_path: Path) -> None:
    slices = ct_series(GRID, HU)[:3]
    del slices[2].ImagePositionPatient
    save(slices, tmp_path)
    found = inspect_images(tmp_path)
    assert not found.is_usable
    assert "damaged" in found.series[0].problems[0]
    assert found.series[1].what == "CT slice without ImagePositionPatient (a damaged file?)"


def test_a_dose_report_alone_is_nothing_to_use(tmp_path: Path) -> None:
    report = ct_series(GRID, HU, ImagePositionPatient=None, ImageOrientationPatient=None)[:1]
    save(report, tmp_path)
    found = inspect_images(tmp_path)
    assert "dose report" in found.series[0].what
    assert not found.is_usable
