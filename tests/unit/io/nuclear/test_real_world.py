"""Real-world value mapping: slopes, units, several ranges; never ignored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dicom_makers import base, changed, ct_series, nm_volume, pet_series, put_pixels, ramp, save, small_grid
from hepatica.core import Kind
from hepatica.core.image import Image
from hepatica.errors import DicomError, UnitError
from hepatica.io.dicom import geometry
from hepatica.io.read import Stated, read_image

GRID = small_grid()
STORED = ramp(GRID)
RANDOM = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ACTIVITY = {"Bq/ml": 1.0, "kBq/ml": 1e3, "MBq/mL": 1e6, "{Bq}/ml": 1.0, "BQML": 1.0, "Bq/cm3": 1.0, "kBq/L": 1.0}
COUNTS = ["{counts}", "counts", "Counts", "CNTS"]


def mapping(unit: str, slope: float, intercept: float = 0.0, first: int = 0, last: int = 65535) -> Dataset:
    code, item = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = unit, "UCUM", unit
    item.MeasurementUnitsCodeSequence = [code]
    item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, intercept
    for keyword, value in (("RealWorldValueFirstValueMapped", first), ("RealWorldValueLastValueMapped", last)):
        item.add_new(keyword, "US", value)
    return item


def nm(folder: Path, *mappings: Dataset, stored: Any = STORED, **tags: Any) -> Image:
    save(nm_volume(GRID, stored, RealWorldValueMappingSequence=list(mappings), **tags), folder)
    return read_image(folder, role="activity")


@RANDOM
@given(unit=st.sampled_from(sorted(ACTIVITY)), slope=st.floats(1e-4, 1e4), intercept=st.floats(-10, 10))
def test_spect_in_activity(tmp_path: Path, unit: str, slope: float, intercept: float) -> None:
    assume((STORED * slope + intercept).sum() > 0)  # an image that is negative on the whole is none of activity
    image = nm(tmp_path, mapping(unit, slope, intercept))
    assert image.volume.kind is Kind.ACTIVITY_CONCENTRATION
    expected = (STORED * slope + intercept) * ACTIVITY[unit]
    assert np.allclose(image.volume.values, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


@RANDOM
@given(unit=st.sampled_from(COUNTS), slope=st.floats(1e-4, 1e4))
def test_spect_in_counts(tmp_path: Path, unit: str, slope: float) -> None:
    image = nm(tmp_path, mapping(unit, slope))
    assert image.volume.kind is Kind.COUNTS
    assert np.allclose(image.volume.values, STORED * slope, rtol=1e-6)


def test_activity_beats_counts(tmp_path: Path) -> None:
    image = nm(tmp_path, mapping("{counts}", 0.5), mapping("kBq/ml", 2.0))
    assert image.volume.kind is Kind.ACTIVITY_CONCENTRATION
    assert np.allclose(image.volume.values, STORED * 2e3)


@pytest.mark.parametrize("unit", ["g/ml{SUVbw}", "{SUVlbm}g/ml", "mBq/ml", "Gy", "%", "{propcounts}", "cm2/ml"])
def test_other_units_are_refused_by_name(tmp_path: Path, unit: str) -> None:
    with pytest.raises(UnitError) as caught:
        nm(tmp_path, mapping(unit, 0.01))
    assert "RealWorldValueMappingSequence" in str(caught.value)
    assert unit in str(caught.value)


@RANDOM
@given(cut=st.integers(100, 900), slopes=st.tuples(st.floats(0.1, 9), st.floats(0.1, 9)))
def test_several_ranges_have_each_its_slope(tmp_path: Path, cut: int, slopes: tuple[float, float]) -> None:
    low, high = mapping("Bq/ml", slopes[0], last=cut), mapping("Bq/ml", slopes[1], 5.0, first=cut + 1)
    image = nm(tmp_path, high, low)
    expected = np.where(cut >= STORED, STORED * slopes[0], STORED * slopes[1] + 5)
    assert np.allclose(image.volume.values, expected, rtol=1e-6)


def test_ranges_with_a_gap_or_in_contradiction(tmp_path: Path) -> None:
    with pytest.raises(UnitError, match="in none of its 2 ranges"):
        nm(tmp_path, mapping("Bq/ml", 1, last=300), mapping("Bq/ml", 2, first=500))
    with pytest.raises(UnitError, match="two ranges overlap"):
        nm(tmp_path, mapping("Bq/ml", 1, last=500), mapping("Bq/ml", 2, first=300))


def test_what_is_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(DicomError, match="RealWorldValueSlope: is 0"):
        nm(tmp_path, mapping("Bq/ml", 0.0, 7.0))
    table = mapping("Bq/ml", 1.0)
    table.RealWorldValueLUTData = [1.0, 2.0]
    with pytest.raises(UnitError, match="RealWorldValueLUTData"):
        nm(tmp_path, table)
    with pytest.raises(UnitError, match=r"differ from those of RescaleSlope, 0\.5"):
        nm(tmp_path, mapping("{counts}", 2.0), RescaleSlope="0.5", RescaleIntercept="0")


def test_values_outside_the_range_are_said(tmp_path: Path) -> None:
    image = nm(tmp_path, mapping("Bq/ml", 2.0, last=500))
    assert "outside-mapped-range" in {message.code for message in image.messages}


class TestPet:
    def read(self, folder: Path, unit: str, factor: float, **tags: Any) -> Image:
        datasets = pet_series(GRID, STORED, **tags)
        for k, dataset in enumerate(datasets):
            dataset.RealWorldValueMappingSequence = [mapping(unit, (k + 1) * factor)]
        save(datasets, folder)
        return read_image(folder, role="activity")

    def test_that_agrees(self, tmp_path: Path) -> None:
        image = self.read(tmp_path, "kBq/ml", 1e-3)
        assert np.array_equal(image.volume.values, (STORED * np.arange(1, 7)).astype(np.float32))
        assert not image.messages
        # An SUV beside it is another quantity.
        assert not self.read(tmp_path, "g/ml{SUVbw}", 0.01).messages

    @pytest.mark.parametrize("factor", [0.01, 100.0])
    def test_that_contradicts(self, tmp_path: Path, factor: float) -> None:
        with pytest.raises(UnitError, match=r"RealWorldValueMappingSequence \(Bq/ml\): gives other Bq/mL"):
            self.read(tmp_path, "Bq/ml", factor)

    @pytest.mark.parametrize("unit", [None, "CNTS", "PROPCPS"])
    def test_that_alone_gives_activity(self, tmp_path: Path, unit: str | None) -> None:
        image = self.read(tmp_path, "kBq/ml", 0.25, Units=unit)
        assert np.allclose(image.volume.values, STORED * np.arange(1, 7) * 250.0)
        assert {message.code for message in image.messages} == {"real-world-mapping"}


class TestCt:
    def read(self, folder: Path, item: Dataset, role: str = "ct", **tags: Any) -> Image:
        hu = ramp(GRID, -1000, 400) // 2 * 2
        save(ct_series(GRID, hu, RealWorldValueMappingSequence=[item], **tags), folder)
        return read_image(folder, role=role)

    def test_another_quantity_is_no_ct(self, tmp_path: Path) -> None:
        item = mapping("ml/100ml/s", 1.0, -1024.0)
        same = {"RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "US"}
        with pytest.raises(UnitError, match="'ml/100ml/s', not in Hounsfield units"):
            self.read(tmp_path, item, **same)
        image = self.read(tmp_path, item, "image", **same)
        assert image.volume.kind is Kind.UNKNOWN
        assert [m.severity for m in image.messages if m.code == "not-hounsfield"] == ["critical"]

    def test_of_hu_must_agree(self, tmp_path: Path) -> None:
        with pytest.raises(UnitError, match="other HU than RescaleSlope"):
            self.read(tmp_path, mapping("[hnsf'U]", 10.0, -1024.0))


def enhanced_pet(unit: str = "kBq/ml", **changes: Any) -> Dataset:
    """Enhanced PET, one multi-frame file, frames in the order of a shuffled deck."""
    dataset = base("1.2.840.10008.5.1.4.1.1.130", "PT", series=9)
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "C-162A7", "SRT", "^90^Yttrium"
    agent = Dataset()
    agent.RadionuclideCodeSequence, agent.RadionuclideHalfLife = [code], "230580"
    agent.RadionuclideTotalDose, agent.RadiopharmaceuticalStartDateTime = "2100", "20260302080000"
    dataset.RadiopharmaceuticalInformationSequence = [agent]
    dataset.AcquisitionDateTime, dataset.DecayCorrected, dataset.DecayCorrectionDateTime = (
        "20260302103000", "YES", "20260302103000",
    )  # fmt: skip
    dataset.AttenuationCorrected = dataset.ScatterCorrected = "YES"
    order = [3, 0, 5, 1, 4, 2]
    shared, frames = Dataset(), []
    plane = Dataset()
    geometry.write_plane(plane, GRID, 0)
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = plane.ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = plane.PixelSpacing, plane.SliceThickness
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    for k in order:
        frame, position = Dataset(), Dataset()
        geometry.write_plane(plane, GRID, k)
        position.ImagePositionPatient = plane.ImagePositionPatient
        frame.PlanePositionSequence = [position]
        frame.RealWorldValueMappingSequence = [mapping(unit, 0.5 * (k + 1))]
        frames.append(frame)
    dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence = [shared], frames
    dataset.FrameOfReferenceUID, dataset.NumberOfFrames = GRID.frame_of_reference, len(order)
    put_pixels(dataset, STORED.transpose(2, 1, 0)[order].astype(np.uint16))
    return changed([dataset], **changes)[0]


class TestEnhancedPet:
    def test_values_place_and_time(self, tmp_path: Path) -> None:
        save(enhanced_pet(), tmp_path)
        image = read_image(tmp_path, role="activity", stated=Stated(nuclide="Y-90"))
        assert np.allclose(image.volume.values, STORED * np.arange(1, 7) * 500.0)
        assert np.abs(image.grid.corners_mm() - GRID.corners_mm()).max() < 1e-4
        assert image.time is not None
        assert (image.time.hour, image.time.minute) == (10, 30)
        assert image.acquisition.administered_bq == 2.1e9

    def test_refused(self, tmp_path: Path) -> None:
        save(enhanced_pet(DecayCorrected="NO"), tmp_path)
        with pytest.raises(DicomError.__mro__[1], match="DecayCorrected: NO"):
            read_image(tmp_path, role="activity")
        save(enhanced_pet("g/ml{SUVbw}"), tmp_path)
        with pytest.raises(UnitError, match=r"frame 1 maps to 'g/ml\{SUVbw\}' \(SUV\)"):
            read_image(tmp_path, role="activity")

    def test_not_corrected_for_attenuation(self, tmp_path: Path) -> None:
        save(enhanced_pet(AttenuationCorrected="NO"), tmp_path)
        image = read_image(tmp_path, role="activity")
        assert "not-attenuation-corrected" in {message.code for message in image.messages}
