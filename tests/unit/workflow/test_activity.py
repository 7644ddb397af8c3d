"""From images to decays: each way, each missing thing."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepatica.core import Estimate, Grid, InputFile, Kind, Volume, decay_factor
from hepatica.core.image import Acquisition, Image
from hepatica.dosimetry.time.options import TimeOptions
from hepatica.errors import GeometryError, HepaticaError, InputError, PhysicsError, TimeError, UnitError
from hepatica.imaging.quantify.options import QuantificationOptions
from hepatica.io.calibration_files import camera_of
from hepatica.io.read import CtOptions
from hepatica.nuclides import nuclide
from hepatica.workflow.dose.decays import decays_from
from hepatica.workflow.dose.options import OutputOptions

Y90 = nuclide("Y-90")
GIVEN_AT = datetime(2026, 3, 2, 10, 0)
SCANNED_AT = GIVEN_AT + timedelta(hours=20)
GIVEN_BQ = 2.0e9


def image(grid: Grid, kind: Kind, total: float, when: datetime | None = SCANNED_AT, **facts: object) -> Image:
    values = np.zeros(grid.shape, np.float32)
    values[8:16, 6:12, 5:10] = np.random.default_rng(1).uniform(0.5, 1.5, (8, 6, 5))
    scale = 1.0 if kind.extensive else grid.voxel_volume_ml
    values *= total / (values.sum() * scale)
    volume = Volume(grid, values, kind, when, "scan")
    return Image(volume, None, Acquisition(**facts), InputFile("activity", "scan.dcm", "0" * 64))  # type: ignore[arg-type]


@pytest.fixture
def pet(oblique_grid: Grid) -> Image:
    left = decay_factor(20 * 3600, Y90.half_life_s)
    return image(
        oblique_grid,
        Kind.ACTIVITY_CONCENTRATION,
        GIVEN_BQ * left,
        start=SCANNED_AT,
        administered_bq=GIVEN_BQ,
        administered_at=GIVEN_AT,
    )


def test_pet_is_carried_back_to_the_administration(pet: Image) -> None:
    count = decays_from([pet], Y90)
    assert count.decays.total == pytest.approx(GIVEN_BQ * Y90.decays_per_bq, rel=1e-5)
    assert count.activity_in_image_bq == pytest.approx(GIVEN_BQ, rel=1e-5)
    assert count.expected_bq == pytest.approx(GIVEN_BQ)
    assert count.messages == ()


def test_a_fifth_too_much_in_the_image_is_said(pet: Image) -> None:
    count = decays_from([pet], Y90, QuantificationOptions(administered_bq=1.5e9))
    text = " ".join(map(str, count.messages))
    assert "+33 %" in text
    assert "stated as 1500 MBq, the header says 2000 MBq" in text


def test_without_administration_decays_count_from_the_scan(oblique_grid: Grid) -> None:
    count = decays_from([image(oblique_grid, Kind.ACTIVITY_CONCENTRATION, 1e9)], Y90)
    assert count.decays.total == pytest.approx(1e9 * Y90.decays_per_bq, rel=1e-5)
    assert any("decays are counted from the instant of the image" in str(message) for message in count.messages)
    assert any("could not be checked" in str(message) for message in count.messages)


def test_counts_by_camera_factor(oblique_grid: Grid) -> None:
    # 1 GBq seen at 5 cps/MBq for 20 min, decaying meanwhile.
    mean = (1 - decay_factor(1200, Y90.half_life_s)) / (np.log(2) * 1200 / Y90.half_life_s)
    spect = image(oblique_grid, Kind.COUNTS, 1000 * 5 * 1200 * mean)
    options = QuantificationOptions(
        calibration=Estimate(5.0), calibration_sd_cps_per_mbq=0.2, frame_duration_s=1200, administered_at=SCANNED_AT
    )
    count = decays_from([spect], Y90, options)
    assert count.activity_in_image_bq == pytest.approx(1e9, rel=1e-5)
    assert count.scale_relative_sd == pytest.approx(0.04)


def test_counts_by_administered_activity_need_no_clock(oblique_grid: Grid) -> None:
    spect = image(oblique_grid, Kind.COUNTS, 12345.0, when=None)
    options = QuantificationOptions(administered_bq=GIVEN_BQ, lung_shunt=0.05, residual=0.02, outside=0.01)
    count = decays_from([spect], Y90, options)
    in_view = GIVEN_BQ * 0.98 * 0.99 * 0.95
    assert count.decays.total == pytest.approx(in_view * Y90.decays_per_bq, rel=1e-5)
    seen = decays_from([spect], Y90, replace(options, lungs_in_image=True))
    assert seen.decays.total == pytest.approx(in_view / 0.95 * Y90.decays_per_bq, rel=1e-5)


def test_time_integrated_activity_is_taken_as_it_is(oblique_grid: Grid) -> None:
    tia = image(oblique_grid, Kind.DECAYS, 3.6e14, when=None)
    count = decays_from([tia], Y90, QuantificationOptions(administered_bq=3.6e14 / Y90.decays_per_bq))
    assert count.decays.total == pytest.approx(3.6e14, rel=1e-6)
    assert count.activity_in_image_bq == pytest.approx(3.6e14 / Y90.decays_per_bq)
    assert count.messages == ()


def test_effective_half_life_undoes_the_scanners_physical_correction(oblique_grid: Grid) -> None:
    # Leaves with 24 h: at the scan 2^(-20/24) is there; the scanner corrected it physically to the administration.
    at_scan = 1e9 * 0.5 ** (20 / 24)
    shown = at_scan / decay_factor(20 * 3600, Y90.half_life_s)
    corrected = image(
        oblique_grid, Kind.ACTIVITY_CONCENTRATION, shown, when=GIVEN_AT, start=SCANNED_AT, administered_at=GIVEN_AT
    )
    count = decays_from([corrected], Y90, time=TimeOptions(effective_half_life_s=24 * 3600))
    assert count.decays.total == pytest.approx(1e9 * 24 * 3600 / np.log(2), rel=1e-5)


def test_several_time_points_are_fitted(oblique_grid: Grid) -> None:
    half_life_h = 40.0
    scans = [
        image(oblique_grid, Kind.ACTIVITY, 1e9 * 0.5 ** (hours / half_life_h), when=GIVEN_AT + timedelta(hours=hours))
        for hours in (4, 24, 72)
    ]
    fitted = decays_from(scans, Y90, QuantificationOptions(administered_at=GIVEN_AT))
    k, end = np.log(2) / (half_life_h * 3600), 72 * 3600
    assert fitted.decays.total == pytest.approx(1e9 / k, rel=1e-3)
    assert fitted.curve is not None
    assert fitted.curve.half_lives_s[0] == pytest.approx(half_life_h * 3600, rel=1e-3)
    # With a physical tail it goes on with 64 h instead of 40 h after the last image.
    tail = decays_from(scans, Y90, QuantificationOptions(administered_at=GIVEN_AT), TimeOptions(tail="physical"))
    expected = 1e9 * ((1 - np.exp(-k * end)) / k + np.exp(-k * end) * Y90.decays_per_bq)
    assert tail.decays.total == pytest.approx(expected, rel=1e-3)


def test_time_points_are_sorted_and_seen_together(oblique_grid: Grid) -> None:
    early = image(oblique_grid, Kind.ACTIVITY, 1e9, when=GIVEN_AT + timedelta(hours=4))
    values = np.array(early.volume.values) * 0.5 ** (20 / 40)
    late = replace(early, volume=early.volume.with_values(values, time=GIVEN_AT + timedelta(hours=24)))
    in_order = decays_from([early, late], Y90, QuantificationOptions(administered_at=GIVEN_AT))
    turned = decays_from([late, early], Y90, QuantificationOptions(administered_at=GIVEN_AT))
    assert turned.decays.total == pytest.approx(in_order.decays.total, rel=1e-6)
    # The later scan ends before the activity does: what it does not show has no curve, and is no wash-out.
    for stop, outside in ((16, 0.0), (15, 1 / 8)):
        window = (slice(0, stop), slice(0, 18), slice(0, 15))
        short = replace(late, volume=Volume(oblique_grid.crop(window), values[window], Kind.ACTIVITY, late.volume.time))
        if outside:
            with pytest.raises(GeometryError, match="field of view of a later one"):
                decays_from([early, short], Y90, QuantificationOptions(administered_at=GIVEN_AT))
        else:
            count = decays_from([early, short], Y90, QuantificationOptions(administered_at=GIVEN_AT))
            assert count.decays.total == pytest.approx(in_order.decays.total, rel=1e-5)


def test_administered_activity_with_a_half_life_is_not_decayed_to_the_scan_and_back(oblique_grid: Grid) -> None:
    spect = image(oblique_grid, Kind.COUNTS, 1e5, start=SCANNED_AT)
    options = QuantificationOptions(administered_bq=GIVEN_BQ, administered_at=GIVEN_AT)
    count = decays_from([spect], Y90, options, TimeOptions(effective_half_life_s=40 * 3600))
    assert count.decays.total == pytest.approx(GIVEN_BQ * 40 * 3600 / np.log(2), rel=1e-5)


@pytest.mark.parametrize("correction", ["START", "ADMIN"])
def test_decay_in_the_frame_is_not_corrected_twice(oblique_grid: Grid, correction: str) -> None:
    when = SCANNED_AT if correction == "START" else GIVEN_AT
    spect = image(oblique_grid, Kind.COUNTS, 1000 * 5 * 1200, when=when, start=SCANNED_AT, decay_correction=correction)
    options = QuantificationOptions(calibration=Estimate(5.0), frame_duration_s=1200, administered_at=when)
    assert decays_from([spect], Y90, options).activity_in_image_bq == pytest.approx(1e9, rel=1e-5)


def test_several_counts_need_a_camera_factor(oblique_grid: Grid) -> None:
    scans = [image(oblique_grid, Kind.COUNTS, 1e5, when=GIVEN_AT + timedelta(hours=hours)) for hours in (4, 24)]
    with pytest.raises(UnitError, match="wash-out would be lost"):
        decays_from(scans, Y90, QuantificationOptions(administered_bq=GIVEN_BQ, administered_at=GIVEN_AT))


def test_activity_in_the_image_is_that_at_a_known_administration(oblique_grid: Grid) -> None:
    pet = image(oblique_grid, Kind.ACTIVITY_CONCENTRATION, 1e9, administered_at=GIVEN_AT, start=SCANNED_AT)
    left = decay_factor(20 * 3600, Y90.half_life_s)
    assert decays_from([pet], Y90).activity_in_image_bq == pytest.approx(1e9 / left, rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "when", "options", "error", "message"),
    [
        (Kind.COUNTS, SCANNED_AT, {}, UnitError, "need a camera factor"),
        (Kind.UNKNOWN, SCANNED_AT, {}, UnitError, "state what it holds"),
        (Kind.ACTIVITY_CONCENTRATION, None, {}, TimeError, "instant that the image refers to is not known"),
        (Kind.COUNTS, SCANNED_AT, {"calibration": Estimate(5.0)}, InputError, "frame duration"),
        (
            Kind.ACTIVITY_CONCENTRATION,
            SCANNED_AT,
            {"administered_at": SCANNED_AT + timedelta(days=1)},
            TimeError,
            "before the administration",
        ),
        (
            Kind.ACTIVITY_CONCENTRATION,
            SCANNED_AT,
            {"effective_half_life_s": 100 * 3600},
            PhysicsError,
            "longer than the physical one",
        ),
    ],
)
def test_what_is_missing_is_named(
    oblique_grid: Grid,
    kind: Kind,
    when: datetime | None,
    options: dict[str, Any],
    error: type[HepaticaError],
    message: str,
) -> None:
    time = TimeOptions(effective_half_life_s=options.pop("effective_half_life_s", None))
    with pytest.raises(error, match=message):
        decays_from([image(oblique_grid, kind, 1e9, when)], Y90, QuantificationOptions(**options), time)


def test_projection_time_is_not_guessed(oblique_grid: Grid) -> None:
    spect = image(oblique_grid, Kind.COUNTS, 1e6, frame_duration_s=20.0, projections=120)
    with pytest.raises(InputError, match="how many heads turned"):
        decays_from([spect], Y90, QuantificationOptions(calibration=Estimate(5.0)))


def test_negative_noise_is_removed_and_more_is_refused(oblique_grid: Grid) -> None:
    good = image(oblique_grid, Kind.DECAYS, 1e12, when=None)
    values = good.volume.values.copy()
    values[0, 0, 0] = -0.005e12
    noisy = replace(good, volume=good.volume.with_values(values))
    assert "negative" in str(decays_from([noisy], Y90).messages[0])
    values[0, 0, 0] = -0.5e12
    broken = replace(good, volume=good.volume.with_values(values))
    with pytest.raises(InputError, match="negative"):
        decays_from([broken], Y90)
    kept = decays_from([noisy], Y90, negatives="keep")
    assert kept.decays.values.min() < 0


def test_options_are_checked_at_the_door(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`lung_shunt` must be from 0 to below 1"):
        QuantificationOptions(lung_shunt=1.0)
    with pytest.raises(InputError, match="`administered_bq` must be positive"):
        QuantificationOptions(administered_bq=-1.0)
    with pytest.raises(InputError, match=r"`grid` must be from 0.5 to 20"):
        OutputOptions(grid=0.01)
    with pytest.raises(InputError, match="cannot be read"):
        CtOptions(hu_table=tmp_path / "none.csv").calibration()
    with pytest.raises(InputError, match="did you mean `administered_bq`"):
        QuantificationOptions(administerd_bq=1e9)  # type: ignore[call-arg]


def test_a_calibration_is_a_number_a_file_or_a_value() -> None:
    text = QuantificationOptions(calibration="4.6 cps/MBq", calibration_sd_cps_per_mbq=0.2)
    assert camera_of(text) == camera_of(QuantificationOptions(calibration=Estimate(4.6, 0.2))) == Estimate(4.6, 0.2)
    assert QuantificationOptions(calibration="some.json").calibration_file == Path("some.json")
    with pytest.raises(InputError, match="cannot be read"):
        camera_of(QuantificationOptions(calibration=Path("some.json")))
    with pytest.raises(InputError, match="belongs to a camera factor"):
        camera_of(QuantificationOptions(calibration_sd_cps_per_mbq=0.2))
    with pytest.raises(InputError, match="Estimate in cps/MBq"):
        camera_of(QuantificationOptions(calibration=4.6))  # type: ignore[arg-type]
