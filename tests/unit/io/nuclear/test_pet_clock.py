"""The clock of a PET: days, midnight, zones, factors that deny, half-lives in minutes, weights in grams."""

from __future__ import annotations

import math
import random
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dicom_makers import changed, fluorine, pet_series, radiopharmaceutical, ramp, save, small_grid
from hepatica.core.image import Image
from hepatica.errors import DicomError, TimeError, UnitError
from hepatica.io.read import Stated, read_image

GRID = small_grid()
STORED = ramp(GRID)
BQML = STORED * np.arange(1, 7)
F18_S, Y90_S = 6586.2, 230580.0
SCAN = datetime(2026, 3, 2, 10, 30)
RANDOM = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(folder: Path, datasets: list[Dataset], **stated: Any) -> Image:
    for old in folder.glob("*.dcm"):
        old.unlink()
    save(datasets, folder)
    return read_image(folder, role="activity", stated=Stated(**stated))


def codes(image: Image) -> set[str]:
    return {message.code for message in image.messages}


def without_day(clock: str = "100000", make: Any = radiopharmaceutical) -> Dataset:
    return changed([make()], RadiopharmaceuticalStartDateTime=None, RadiopharmaceuticalStartTime=clock)[0]


def at(when: datetime) -> dict[str, str]:
    return {"AcquisitionDate": f"{when:%Y%m%d}", "AcquisitionTime": f"{when:%H%M%S}"}


class TestDay:
    def test_of_a_long_lived_nuclide_is_not_guessed(self, tmp_path: Path) -> None:
        image = read(tmp_path, pet_series(GRID, STORED, item=without_day()))
        assert image.acquisition.administered_at is None
        note = next(m for m in image.messages if m.code == "administration-day-unknown")
        assert "`administered_at`" in note.remedy

    def test_of_a_short_lived_one_is_that_of_the_scan(self, tmp_path: Path) -> None:
        image = read(tmp_path, pet_series(GRID, STORED, item=without_day(make=fluorine)))
        assert image.acquisition.administered_at == datetime(2026, 3, 2, 10)

    def test_stated_beats_guessed(self, tmp_path: Path) -> None:
        given_at = datetime(2026, 3, 1, 10)
        datasets = pet_series(GRID, STORED, item=without_day(), DecayCorrection="ADMIN")
        image = read(tmp_path, datasets, administered_at=given_at)
        assert image.time == image.acquisition.administered_at == given_at
        assert codes(image) == {"administration-not-confirmed"}
        with pytest.raises(TimeError, match=r"RadiopharmaceuticalStartDateTime: missing.*`administered_at`"):
            read(tmp_path, datasets)

    def test_stated_against_the_header_is_said(self, tmp_path: Path) -> None:
        image = read(tmp_path, pet_series(GRID, STORED), administered_at=datetime(2026, 3, 2, 8, 15))
        assert codes(image) == {"administration-time-overruled"}
        image = read(tmp_path, pet_series(GRID, STORED), administered_at=datetime(2026, 3, 2, 8, 5))
        assert not codes(image)

    @RANDOM
    @given(days=st.integers(0, 9), minutes=st.integers(0, 24 * 60 - 1))
    def test_found_by_the_decay_factor(self, tmp_path: Path, days: int, minutes: int) -> None:
        given_at = datetime(2026, 3, 2) - timedelta(days=days + 1) + timedelta(minutes=minutes)
        factor = 2 ** ((SCAN - given_at).total_seconds() / Y90_S)
        item = without_day(f"{given_at:%H%M%S}")
        datasets = pet_series(GRID, STORED, item=item, DecayCorrection="ADMIN", DecayFactor=f"{factor:.8g}")
        assert read(tmp_path, datasets).time == given_at


class TestFactor:
    @RANDOM
    @given(hours=st.floats(6, 100), wrong=st.floats(0.2, 0.97))
    def test_that_denies_admin_is_refused(self, tmp_path: Path, hours: float, wrong: float) -> None:
        given_at = SCAN - timedelta(hours=hours)
        item = radiopharmaceutical(RadiopharmaceuticalStartDateTime=f"{given_at:%Y%m%d%H%M%S}")
        right = 2 ** (hours * 3600 / Y90_S)
        datasets = pet_series(GRID, STORED, item=item, DecayCorrection="ADMIN", DecayFactor=f"{right:.8g}")
        image = read(tmp_path, datasets)
        assert image.time == given_at.replace(microsecond=0)
        assert not codes(image)
        changed(datasets, DecayFactor=f"{right * wrong:.8g}")
        with pytest.raises(TimeError, match=r"DecayFactor: DecayCorrection ADMIN over .* h needs .*, the file says"):
            read(tmp_path, datasets)

    def test_of_one_denies_admin(self, tmp_path: Path) -> None:
        item = radiopharmaceutical(RadiopharmaceuticalStartDateTime="20260227100000")
        with pytest.raises(TimeError, match=r"ADMIN over 72.5 h needs 2\.19., the file says 1"):
            read(tmp_path, pet_series(GRID, STORED, item=item, DecayCorrection="ADMIN", DecayFactor="1"))

    def test_of_none_leaves_admin_in_doubt_where_it_matters(self, tmp_path: Path) -> None:
        # 72.5 h of 64.05 h: 54.4 % are gone; of 2.5 h 2.7 %, and of an hour 1.1 %, which no clock tells
        for clock, lost in (("20260227100000", "72.5 h.* 54.4 %"), ("20260302080000", "2.5 h.* 2.7 %")):
            item = radiopharmaceutical(RadiopharmaceuticalStartDateTime=clock)
            image = read(tmp_path / clock, pet_series(GRID, STORED, item=item, DecayCorrection="ADMIN"))
            (said,) = (one for one in image.messages if one.code == "administration-not-confirmed")
            assert said.severity == "warning"
            assert re.search(lost + " too low", said.text)
        item = radiopharmaceutical(RadiopharmaceuticalStartDateTime="20260302093000")
        image = read(tmp_path / "near", pet_series(GRID, STORED, item=item, DecayCorrection="ADMIN"))
        assert "administration-not-confirmed" not in codes(image)

    def test_denies_none(self, tmp_path: Path) -> None:
        datasets = pet_series(
            GRID, STORED, DecayCorrection="NONE", CorrectedImage=["ATTN", "SCAT", "RAN"], DecayFactor="1.4"
        )
        with pytest.raises(TimeError, match=r"NONE means a factor of 1, the file says 1\.4"):
            read(tmp_path, datasets)

    def test_clocks_ten_minutes_apart_are_said(self, tmp_path: Path) -> None:
        factor = 2 ** ((2.5 * 3600 + 25 * 60) / Y90_S)
        datasets = pet_series(GRID, STORED, DecayCorrection="ADMIN", DecayFactor=f"{factor:.8g}")
        assert "scanner-clock-differs" in codes(read(tmp_path, datasets))


class TestMidnight:
    @RANDOM
    @given(before=st.integers(1, 55), after=st.integers(0, 50))
    def test_date_not_advanced(self, tmp_path: Path, before: int, after: int) -> None:
        evening = datetime(2026, 3, 2) - timedelta(minutes=before)
        late = {"SeriesDate": f"{evening:%Y%m%d}", "SeriesTime": f"{evening:%H%M%S}"}
        item = radiopharmaceutical(RadiopharmaceuticalStartDateTime="20260301080000")
        datasets = pet_series(GRID, STORED, item=item, **late)
        changed(datasets, AcquisitionDate=f"{evening:%Y%m%d}", AcquisitionTime=f"{evening:%H%M%S}")
        changed(datasets[3:], AcquisitionTime=f"00{after:02d}00")
        image = read(tmp_path, datasets)
        assert image.time == image.acquisition.start == evening
        assert codes(image) == {"scan-over-midnight"}
        # With the date advanced nothing has to be said, and the instant is the same.
        changed(datasets[3:], AcquisitionDate="20260302")
        image = read(tmp_path, datasets)
        assert image.time == evening
        assert not codes(image)

    def test_not_known_which_day(self, tmp_path: Path) -> None:
        datasets = pet_series(GRID, STORED, AcquisitionTime="235000", SeriesTime="003000")
        changed(datasets[3:], AcquisitionTime="000500")
        with pytest.raises(TimeError, match="went over midnight"):
            read(tmp_path, datasets)
        assert read(tmp_path, datasets, time=SCAN).time == SCAN

    def test_series_before_and_acquisition_after(self, tmp_path: Path) -> None:
        with pytest.raises(TimeError, match="begun before midnight"):
            read(tmp_path, pet_series(GRID, STORED, SeriesTime="235000", AcquisitionTime="000500"))


class TestZone:
    @RANDOM
    @given(
        quarters=st.integers(-44, 56),
        stated=st.booleans(),
        minutes=st.integers(0, 2 * 24 * 60),
        own=st.integers(-40, 40),
    )
    def test_instant_in_another_zone(self, tmp_path: Path, quarters: int, stated: bool, minutes: int, own: int) -> None:
        if not stated:
            quarters = quarters % 40 - 20
        local = SCAN - timedelta(minutes=minutes)
        written = local - timedelta(minutes=15 * quarters) + timedelta(minutes=15 * own)
        offset = f"{'-' if own < 0 else '+'}{abs(own) * 15 // 60:02d}{abs(own) * 15 % 60:02d}"
        zone = f"{'-' if quarters < 0 else '+'}{abs(quarters) * 15 // 60:02d}{abs(quarters) * 15 % 60:02d}"
        item = radiopharmaceutical(
            RadiopharmaceuticalStartDateTime=f"{written:%Y%m%d%H%M%S}{offset}",
            RadiopharmaceuticalStartTime=f"{local:%H%M%S}",
        )
        datasets = pet_series(GRID, STORED, item=item, **({"TimezoneOffsetFromUTC": zone} if stated else {}))
        found = read(tmp_path, datasets).acquisition.administered_at
        assert found is not None
        assert found.replace(tzinfo=None) == local
        assert (found.tzinfo is not None) is stated


class TestImplausible:
    @pytest.mark.parametrize("years", [1, 3])
    def test_a_year_before(self, tmp_path: Path, years: int) -> None:
        item = radiopharmaceutical(RadiopharmaceuticalStartDateTime=f"{2026 - years}0302080000")
        datasets = pet_series(GRID, STORED, item=item)
        with pytest.raises(TimeError, match=r"RadiopharmaceuticalStartDateTime .* half-lives before the acquisition"):
            read(tmp_path, datasets)
        given_at = datetime(2026, 3, 2, 8)
        assert read(tmp_path, datasets, administered_at=given_at).acquisition.administered_at == given_at

    def test_after_the_acquisition_is_said(self, tmp_path: Path) -> None:
        item = radiopharmaceutical(RadiopharmaceuticalStartDateTime="20260302120000")
        assert codes(read(tmp_path, pet_series(GRID, STORED, item=item))) == {"acquired-before-administration"}

    @pytest.mark.parametrize(
        ("name", "half_life_s"),
        [("^18^Fluorine", F18_S), ("^68^Gallium", 4062.6), ("^89^Zirconium", 282276.0), ("^64^Copper", 45721.0),
         ("^124^Iodine", 360806.0), ("^11^Carbon", 1221.8), ("^90^Yttrium", Y90_S), ("", F18_S), ("", Y90_S)],
    )  # fmt: skip
    @pytest.mark.parametrize("unit_s", [60.0, 3600.0])
    def test_half_life_in_another_unit(self, tmp_path: Path, name: str, half_life_s: float, unit_s: float) -> None:
        item = radiopharmaceutical(RadionuclideHalfLife=f"{half_life_s / unit_s:.5g}")
        code = item.RadionuclideCodeSequence[0]
        code.CodeValue, code.CodeMeaning = "X", name
        if not name:
            del item.RadionuclideCodeSequence, item.Radiopharmaceutical
        with pytest.raises(DicomError, match=r"RadionuclideHalfLife: .*(minutes|hours)"):
            read(tmp_path / "wrong", pet_series(GRID, STORED, item=item))
        item.RadionuclideHalfLife = f"{half_life_s:.9g}"
        item.RadiopharmaceuticalStartDateTime = "20260302102000"
        assert read(tmp_path / "right", pet_series(GRID, STORED, item=item)).acquisition.half_life_s == half_life_s

    @pytest.mark.parametrize("grams", random.Random(5).choices(range(30_000, 140_000), k=4))
    def test_weight_in_grams(self, tmp_path: Path, grams: int) -> None:
        datasets = pet_series(GRID, STORED, Units="GML", SUVType="BW", PatientWeight=str(grams))
        with pytest.raises(
            UnitError, match=rf"PatientWeight: {grams:g} kg is no patient's; in grams .*{grams / 1000:g} kg"
        ):
            read(tmp_path, datasets)
        image = read(tmp_path, changed(datasets, PatientWeight=str(grams / 1000)))
        scale = 2.1e9 * 2 ** (-2.5 * 3600 / Y90_S) / grams
        assert np.allclose(image.volume.values, BQML * scale, rtol=1e-6)


@pytest.mark.parametrize(
    ("corrected", "expected"),
    [
        (["DECY", "ATTN", "SCAT", "RAN"], set()),
        (["DECY", "ATTN", "RAN"], {"not-scatter-corrected"}),
        (["DECY", "NORM", "SCAT", "RAN"], {"not-attenuation-corrected"}),
        (["DECY", "RAN"], {"not-attenuation-corrected", "not-scatter-corrected"}),
    ],
)
def test_corrections_that_are_missing(tmp_path: Path, corrected: list[str], expected: set[str]) -> None:
    image = read(tmp_path, pet_series(GRID, STORED, CorrectedImage=corrected))
    assert codes(image) == expected
    assert all("dose" in message.text for message in image.messages)
    assert math.isclose(float(image.volume.values.max()), BQML.max())
