"""PET to Bq/mL at one instant: units, decay correction, nuclide, and what is refused."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom_makers import changed, fluorine, pet_series, radiopharmaceutical, ramp, save, small_grid
from hepatica.core import Kind
from hepatica.core.image import Image
from hepatica.errors import DicomError, TimeError, UnitError
from hepatica.io.read import Stated, read_image

GRID = small_grid()
STORED = ramp(GRID)
BQML = STORED * np.arange(1, 7)  # slope k + 1
F18_S, Y90_S = 6586.2, 230580.0
START = datetime(2026, 3, 2, 10, 30)


def read(folder: Path, datasets: list[Dataset], **stated: Any) -> Image:
    save(datasets, folder)
    return read_image(folder, role="activity", stated=Stated(**stated))


def decay(seconds: float, half_life_s: float) -> float:
    return math.exp(-math.log(2) * seconds / half_life_s)


def mean_over(duration_s: float, half_life_s: float) -> float:
    x = math.log(2) * duration_s / half_life_s
    return (1 - math.exp(-x)) / x


def factor(start_s: float, duration_s: float, half_life_s: float) -> float:
    """DecayFactor of a frame that begins `start_s` after the reference: from its mean activity to the reference."""
    return 1 / (decay(start_s, half_life_s) * mean_over(duration_s, half_life_s))


def test_values_unit_time_and_facts(tmp_path: Path) -> None:
    image = read(tmp_path, pet_series(GRID, STORED))
    assert image.volume.kind is Kind.ACTIVITY_CONCENTRATION
    assert np.array_equal(image.volume.values, BQML.astype(np.float32))
    assert np.abs(image.grid.corners_mm() - GRID.corners_mm()).max() < 1e-6
    assert image.volume.time == START
    facts = image.acquisition
    assert (facts.nuclide, facts.half_life_s, facts.decay_correction) == ("Y-90", Y90_S, "START")
    assert facts.administered_bq == 2.1e9
    assert facts.administered_at == datetime(2026, 3, 2, 8)
    assert (facts.frame_duration_s, facts.weight_kg) == (1200.0, 70.0)
    assert "START" in facts.time_rule
    assert image.missing == ()
    assert image.messages == ()


def test_time_zone_makes_times_aware(tmp_path: Path) -> None:
    image = read(tmp_path, pet_series(GRID, STORED, TimezoneOffsetFromUTC="+0200"))
    assert image.volume.time is not None
    assert image.volume.time.utcoffset() == timedelta(hours=2)
    assert image.acquisition.administered_at is not None
    assert image.acquisition.administered_at.tzinfo is not None


class TestUnits:
    @pytest.mark.parametrize("unit", ["CNTS", "CPS", "PROPCPS", "CM2ML", "GML", "NONSENSE"])
    def test_refused(self, tmp_path: Path, unit: str) -> None:
        with pytest.raises(UnitError, match=unit):
            read(tmp_path, pet_series(GRID, STORED, Units=unit))

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(UnitError, match=r"PT2-.*Units: missing.*BQML"):
            read(tmp_path, pet_series(GRID, STORED, Units=None))

    def test_mixed(self, tmp_path: Path) -> None:
        datasets = pet_series(GRID, STORED)
        changed(datasets[3:4], Units="CNTS")
        with pytest.raises(DicomError, match="Units"):
            read(tmp_path, datasets)

    def test_philips_counts(self, tmp_path: Path) -> None:
        datasets = pet_series(GRID, STORED, Units="CNTS")
        for dataset in datasets:
            block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
            block.add_new(0x00, "DS", "0.0003")
        with pytest.raises(UnitError, match=r"SUV factor.*no activity factor"):
            read(tmp_path / "a", datasets)
        for k, dataset in enumerate(datasets):
            block = dataset.private_block(0x7053, "Philips PET Private Group")
            block.add_new(0x09, "DS", str(2.5 + k))
        image = read(tmp_path / "b", datasets)
        assert np.allclose(image.volume.values, BQML * (2.5 + np.arange(6)), rtol=1e-6)
        assert any("Philips" in str(message) for message in image.messages)

    def test_suv_by_body_weight_is_turned_back(self, tmp_path: Path) -> None:
        image = read(tmp_path, pet_series(GRID, STORED, Units="GML", SUVType="BW"))
        # SUV = concentration x weight / activity at the reference, 2.5 h after the administration.
        scale = 2.1e9 * decay(2.5 * 3600, Y90_S) / 70_000
        assert np.allclose(image.volume.values, BQML * scale, rtol=1e-6)

    def test_suv_without_weight(self, tmp_path: Path) -> None:
        with pytest.raises(UnitError, match="PatientWeight must be known"):
            read(tmp_path, pet_series(GRID, STORED, Units="GML", SUVType="BW", PatientWeight=None))


class TestReferenceTime:
    def test_admin(self, tmp_path: Path) -> None:
        image = read(tmp_path, pet_series(GRID, STORED, DecayCorrection="ADMIN"))
        assert image.volume.time == datetime(2026, 3, 2, 8)
        item = radiopharmaceutical(RadiopharmaceuticalStartDateTime=None)
        with pytest.raises(TimeError, match="RadiopharmaceuticalStartDateTime"):
            read(tmp_path / "b", pet_series(GRID, STORED, item=item, DecayCorrection="ADMIN"))

    def test_none_brings_every_slice_to_one_instant(self, tmp_path: Path) -> None:
        datasets = pet_series(GRID, STORED, item=fluorine(), DecayCorrection="NONE", CorrectedImage=["ATTN"])
        changed(datasets[:3], AcquisitionTime="105000")  # the second bed
        image = read(tmp_path, datasets)
        assert image.volume.time == START
        expected = BQML / mean_over(1200, F18_S)
        expected[:, :, :3] /= decay(1200, F18_S)
        assert np.allclose(image.volume.values, expected, rtol=1e-6)

    @pytest.mark.parametrize("keyword", ["ActualFrameDuration", "RadionuclideHalfLife"])
    def test_none_needs_duration_and_half_life(self, tmp_path: Path, keyword: str) -> None:
        item = fluorine()
        datasets = pet_series(GRID, STORED, item=item, DecayCorrection="NONE", CorrectedImage=["ATTN"])
        changed([item, *datasets], **{keyword: None})
        with pytest.raises(TimeError, match=keyword):
            read(tmp_path, datasets)

    def test_two_beds_refer_to_the_first(self, tmp_path: Path) -> None:
        datasets = pet_series(GRID, STORED, item=fluorine(), DecayFactor=f"{factor(0, 1200, F18_S):.6g}")
        changed(datasets[:3], AcquisitionTime="105000", DecayFactor=f"{factor(1200, 1200, F18_S):.6g}")
        image = read(tmp_path, datasets)
        assert image.volume.time == START
        assert "confirmed by DecayFactor" in image.acquisition.time_rule

    def test_decay_factor_tells_series_time_from_acquisition_time(self, tmp_path: Path) -> None:
        # The first bed (10:10, when the series began) is not in the folder: values refer to it all the same.
        datasets = pet_series(GRID, STORED, item=fluorine(), SeriesTime="101000")
        changed(datasets, DecayFactor=f"{factor(1200, 1200, F18_S):.6g}")
        assert read(tmp_path / "a", datasets).volume.time == datetime(2026, 3, 2, 10, 10)
        # The series was made anew at 15:00; the factor says that values refer to the acquisition.
        changed(datasets, SeriesTime="150000", DecayFactor=f"{factor(0, 1200, F18_S):.6g}")
        assert read(tmp_path / "b", datasets).volume.time == START

    def test_decay_factor_that_fits_no_time(self, tmp_path: Path) -> None:
        datasets = pet_series(GRID, STORED, item=fluorine(), DecayFactor="1.9")
        with pytest.raises(TimeError, match=r"DecayFactor: leads to .* none of"):
            read(tmp_path, datasets)

    def test_decay_factors_that_contradict_each_other(self, tmp_path: Path) -> None:
        datasets = pet_series(GRID, STORED, item=fluorine(), DecayFactor="1.1")
        changed(datasets[:2], DecayFactor="1.3")
        with pytest.raises(TimeError, match=r"lead to instants .* s apart"):
            read(tmp_path, datasets)

    def test_series_time_without_a_factor(self, tmp_path: Path) -> None:
        datasets = pet_series(GRID, STORED, item=fluorine(), SeriesTime="150000")
        image = read(tmp_path / "late", datasets)
        assert image.volume.time == START
        assert any("later than the acquisition" in str(message) for message in image.messages)
        changed(datasets, SeriesTime="100000")
        with pytest.raises(TimeError, match="bed positions missing"):
            read(tmp_path / "early", datasets)

    def test_ge_private_scan_time(self, tmp_path: Path) -> None:
        datasets = pet_series(GRID, STORED, item=fluorine(), SeriesTime="150000")
        for dataset in datasets:
            dataset.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20260302102500.00")
        image = read(tmp_path, datasets)
        assert image.volume.time == datetime(2026, 3, 2, 10, 25)
        assert "GE private" in image.acquisition.time_rule

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"AcquisitionTime": None}, "AcquisitionTime: missing"),
            ({"AcquisitionTime": "256161"}, "AcquisitionTime"),
            ({"AcquisitionDate": "2026-13-45"}, "AcquisitionDate"),
            ({"DecayCorrection": None}, "DecayCorrection: is missing"),
            ({"DecayCorrection": "LATER"}, "LATER"),
            ({"DecayCorrection": "NONE"}, "contradicts CorrectedImage"),
            ({"CorrectedImage": ["ATTN"]}, "contradicts CorrectedImage"),
            ({"ActualFrameDuration": "-5"}, "negative"),
            ({"TimezoneOffsetFromUTC": "+9900"}, "offset from UTC"),
        ],
    )
    def test_missing_or_contradictory(self, tmp_path: Path, changes: dict[str, Any], words: str) -> None:
        with pytest.raises(TimeError, match=words) as caught:
            read(tmp_path, pet_series(GRID, STORED, **changes))
        assert "PT2-" in str(caught.value)

    def test_stated_time_takes_its_place(self, tmp_path: Path) -> None:
        at = datetime(2026, 3, 2, 9)
        image = read(tmp_path, pet_series(GRID, STORED, AcquisitionTime=None), time=at)
        assert image.volume.time == at
        assert any("stated by the user" in str(message) for message in image.messages)

    def test_injection_before_midnight(self, tmp_path: Path) -> None:
        item = changed([fluorine()], RadiopharmaceuticalStartDateTime=None, RadiopharmaceuticalStartTime="233000")[0]
        datasets = pet_series(GRID, STORED, item=item, AcquisitionTime="003000", SeriesTime="003000")
        image = read(tmp_path, datasets)
        assert image.acquisition.administered_at == datetime(2026, 3, 1, 23, 30)
        assert any("day before" in str(message) for message in image.messages)

    def test_start_datetime_and_start_time_disagree(self, tmp_path: Path) -> None:
        item = radiopharmaceutical(RadiopharmaceuticalStartTime="233000")
        with pytest.raises(DicomError, match="contradict each other"):
            read(tmp_path, pet_series(GRID, STORED, item=item))


class TestNuclide:
    def test_other_nuclide_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DicomError, match=r"header says F-18, asked for is Y-90"):
            read(tmp_path, pet_series(GRID, STORED, item=fluorine()), nuclide="Y-90")

    def test_half_life_of_another_nuclide_is_refused(self, tmp_path: Path) -> None:
        item = fluorine()
        del item.RadionuclideCodeSequence
        del item.Radiopharmaceutical
        with pytest.raises(DicomError, match=r"half-life of 6586.*asked for is Y-90"):
            read(tmp_path, pet_series(GRID, STORED, item=item), nuclide="Y-90")

    def test_override_redoes_decay_and_positron_fraction(self, tmp_path: Path) -> None:
        datasets = pet_series(GRID, STORED, item=fluorine())
        changed(datasets[:3], AcquisitionTime="105000")
        image = read(tmp_path, datasets, nuclide="Y-90", override_nuclide=True)
        # The scanner multiplied by the factor of 18F and divided by 0.9673; 90Y has half-life 64.05 h and 31.86e-6.
        expected = BQML * (0.9673 / 31.86e-6)
        for slices, start_s in ((slice(0, 3), 1200), (slice(3, 6), 0)):
            expected[:, :, slices] *= factor(start_s, 1200, Y90_S) / factor(start_s, 1200, F18_S)
        assert np.allclose(image.volume.values, expected, rtol=1e-5)
        assert any("overridden by Y-90" in str(message) for message in image.messages)
        assert image.acquisition.nuclide == "Y-90"

    def test_override_needs_what_the_scanner_used(self, tmp_path: Path) -> None:
        item = fluorine()
        del item.RadionuclidePositronFraction
        with pytest.raises(DicomError, match="RadionuclidePositronFraction"):
            read(tmp_path, pet_series(GRID, STORED, item=item), nuclide="Y-90", override_nuclide=True)
        with pytest.raises(DicomError, match="emits no positrons"):
            read(tmp_path / "b", pet_series(GRID, STORED, item=fluorine()), nuclide="Lu-177", override_nuclide=True)

    def test_contradictions(self, tmp_path: Path) -> None:
        item = radiopharmaceutical(RadionuclideHalfLife="6586.2")
        with pytest.raises(DicomError, match="not the half-life of Y-90"):
            read(tmp_path / "a", pet_series(GRID, STORED, item=item))
        item = radiopharmaceutical()
        item.RadionuclideCodeSequence[0].CodeMeaning = "^18^Fluorine"
        with pytest.raises(DicomError, match="code C-162A7 means Y-90"):
            read(tmp_path / "b", pet_series(GRID, STORED, item=item))
        two = changed(pet_series(GRID, STORED), RadiopharmaceuticalInformationSequence=[fluorine(), fluorine()])
        with pytest.raises(DicomError, match="several nuclides"):
            read(tmp_path / "c", two)

    def test_positron_fraction_far_from_the_table_is_noted(self, tmp_path: Path) -> None:
        item = radiopharmaceutical(RadionuclidePositronFraction="1")
        image = read(tmp_path, pet_series(GRID, STORED, item=item))
        assert any("positron fraction of Y-90 is 1" in str(message) for message in image.messages)

    def test_no_radiopharmaceutical_is_missing_not_wrong(self, tmp_path: Path) -> None:
        datasets = pet_series(GRID, STORED, RadiopharmaceuticalInformationSequence=None)
        image = read(tmp_path, datasets, nuclide="Y-90")
        assert image.acquisition.nuclide is None
        assert any("RadionuclideCodeSequence" in line for line in image.missing)


def test_fewer_slices_than_the_header_says(tmp_path: Path) -> None:
    image = read(tmp_path, pet_series(GRID, STORED)[1:])
    assert any("NumberOfSlices says 6, 5 are here" in str(message) for message in image.messages)


def test_slices_of_two_administrations_are_refused(tmp_path: Path) -> None:
    datasets = pet_series(GRID, STORED)
    datasets[2].RadiopharmaceuticalInformationSequence[0].RadionuclideHalfLife = "6586.2"
    with pytest.raises(DicomError, match=r"RadionuclideHalfLife: '6586.2' differs"):
        read(tmp_path, datasets)


def test_a_stated_unit_that_the_header_contradicts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnitError, match=r"activity concentration \(Bq/mL\) by its own header; .*'MBq h'"):
        read(tmp_path, pet_series(GRID, STORED), unit="MBq h")


def test_a_stated_unit_that_the_header_confirms_is_taken(tmp_path: Path) -> None:
    assert read(tmp_path, pet_series(GRID, STORED), unit="Bq/mL").volume.kind is Kind.ACTIVITY_CONCENTRATION
