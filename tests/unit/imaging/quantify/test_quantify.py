"""From image to becquerels: each way, what is refused, what is warned of."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from hepatica.core import Estimate, Grid, Kind, Volume
from hepatica.errors import InputError, TimeError, UnitError, UnknownNameError
from hepatica.imaging.quantify.activity import (
    Administration,
    activity_by_administration,
    activity_by_camera_factor,
    activity_from_concentration,
    compare_with_administered,
    decay_correct,
    handle_negatives,
)

T_S = 64.05 * 3600
NOON = datetime(2026, 3, 2, 12, 0)
GIVEN = Administration(
    Estimate(2.0e9, 6e7),
    NOON,
    residual_fraction=Estimate(0.02, 0.0),
    lung_shunt_fraction=Estimate(0.05, 0.01),
    outside_fraction=Estimate(0.1, 0.0),
)


@pytest.fixture
def image(oblique_grid: Grid) -> Volume:
    values = np.random.default_rng(2).uniform(0, 1e5, oblique_grid.shape).astype(np.float32)
    return Volume(oblique_grid, values, Kind.ACTIVITY_CONCENTRATION, NOON, "PET")


def test_concentration_times_volume_decayed_to_an_instant(image: Volume) -> None:
    quantified = activity_from_concentration(image, half_life_s=T_S)
    assert quantified.activity.kind is Kind.ACTIVITY
    assert quantified.activity.total == pytest.approx(image.total, rel=1e-6)
    assert quantified.activity.time == NOON
    assert quantified.scale_relative_sd is None
    later = activity_from_concentration(image, half_life_s=T_S, at=NOON + timedelta(seconds=T_S)).activity
    assert later.total == pytest.approx(image.total / 2, rel=1e-6)
    assert later.time == NOON + timedelta(seconds=T_S)


def test_decay_to_an_earlier_instant_is_growth(image: Volume) -> None:
    earlier = decay_correct(image, T_S, NOON - timedelta(seconds=2 * T_S))
    assert earlier.total == pytest.approx(4 * image.total, rel=1e-6)
    assert earlier.kind is Kind.ACTIVITY_CONCENTRATION


def test_decay_needs_times(image: Volume) -> None:
    with pytest.raises(TimeError, match="no reference time"):
        decay_correct(image.with_values(image.values, time=None), T_S, NOON)
    with pytest.raises(TimeError, match="time zone"):
        decay_correct(image, T_S, NOON.replace(tzinfo=UTC))
    with pytest.raises(UnitError, match="needed"):
        decay_correct(image.with_values(image.values, Kind.COUNTS), T_S, NOON)


def test_counts_by_camera_factor(image: Volume) -> None:
    counts = image.with_values(image.values, Kind.COUNTS)
    # 10 cps/MBq for 1200 s; decay in the frame (0.18 %) raises the activity at its start.
    quantified = activity_by_camera_factor(counts, Estimate(10.0, 0.5), half_life_s=T_S, frame_duration_s=1200.0)
    x = np.log(2) * 1200 / T_S
    expected = counts.total / 1200 / 10 * 1e6 / ((1 - np.exp(-x)) / x)
    assert quantified.activity.total == pytest.approx(expected, rel=1e-6)
    assert quantified.scale_relative_sd == pytest.approx(0.05)
    rate = image.with_values(image.values, Kind.COUNT_RATE)
    at_start = activity_by_camera_factor(rate, Estimate(10.0), half_life_s=T_S)
    assert at_start.activity.total == pytest.approx(rate.total / 10 * 1e6, rel=1e-6)
    assert at_start.scale_relative_sd is None
    over_frame = activity_by_camera_factor(rate, Estimate(10.0), half_life_s=T_S, frame_duration_s=1200.0)
    assert over_frame.activity.total == pytest.approx(expected * 1200, rel=1e-6)


def test_camera_factor_refuses(image: Volume) -> None:
    counts = image.with_values(image.values, Kind.COUNTS)
    with pytest.raises(InputError, match="frame duration"):
        activity_by_camera_factor(counts, Estimate(10.0), half_life_s=T_S)
    with pytest.raises(InputError, match="frame duration must be positive"):
        activity_by_camera_factor(counts, Estimate(10.0), half_life_s=T_S, frame_duration_s=-1.0)
    for factor in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="camera factor"):
            activity_by_camera_factor(counts, Estimate(factor), half_life_s=T_S, frame_duration_s=1.0)
    with pytest.raises(UnitError, match="needed"):
        activity_by_camera_factor(image, Estimate(10.0), half_life_s=T_S, frame_duration_s=1.0)


def test_administered_activity_is_shared_out(image: Volume) -> None:
    in_view = 2.0e9 * 0.98 * 0.95 * 0.9
    assert GIVEN.delivered.value == pytest.approx(1.96e9)
    for kind in (Kind.COUNTS, Kind.ACTIVITY_CONCENTRATION):
        quantified = activity_by_administration(image.with_values(image.values, kind), GIVEN, half_life_s=T_S)
        assert quantified.activity.total == pytest.approx(in_view, rel=1e-6)
        assert quantified.activity.time == NOON
        # 3 % of the activity and 0.01 / 0.95 of the lung shunt.
        assert quantified.scale_relative_sd == pytest.approx(np.hypot(0.03, 0.01 / 0.95), rel=1e-6)
        ratio = quantified.activity.values / image.values
        np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-5)
    late = activity_by_administration(image, GIVEN, half_life_s=T_S, at=NOON + timedelta(seconds=T_S))
    assert late.activity.total == pytest.approx(in_view / 2, rel=1e-6)
    assert late.provenance.parameters["lung_shunt_fraction"] == 0.05


def test_lung_shunt_stays_where_the_lungs_are_seen() -> None:
    seen = Administration(Estimate(1e9), NOON, lung_shunt_fraction=Estimate(0.1), lungs_in_view=True)
    assert seen.in_view.value == pytest.approx(1e9)
    assert seen.in_view.sd is None


@pytest.mark.parametrize("bad", [{"residual_fraction": 5.0}, {"lung_shunt_fraction": -0.1}, {"outside_fraction": 1.0}])
def test_administration_refuses_fractions(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(bad))):
        Administration(Estimate(1e9), NOON, **{name: Estimate(value) for name, value in bad.items()})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="must be positive"):
        Administration(Estimate(0.0), NOON)


def test_zero_activity_cannot_be_shared_out(image: Volume) -> None:
    with pytest.raises(InputError, match="no activity"):
        activity_by_administration(image.with_values(np.zeros(image.grid.shape)), GIVEN, half_life_s=T_S)


@pytest.mark.parametrize(("scale", "warned"), [(1.0, False), (1.19, False), (1.21, True), (0.79, True), (0.81, False)])
def test_image_against_administration(image: Volume, scale: float, warned: bool) -> None:
    shared = activity_by_administration(image, GIVEN, half_life_s=T_S, at=NOON + timedelta(hours=20)).activity
    compared = compare_with_administered(shared.with_values(shared.values * scale), GIVEN, half_life_s=T_S)
    assert compared.ratio == pytest.approx(scale, rel=1e-5)
    assert bool(compared.messages) is warned


def test_decays_against_administration(image: Volume) -> None:
    decays = image.with_values(image.values, Kind.DECAYS)
    compared = compare_with_administered(decays, GIVEN, half_life_s=T_S)
    assert compared.in_image_bq == pytest.approx(decays.total * np.log(2) / T_S)
    with pytest.raises(UnitError, match="needed"):
        compare_with_administered(image, GIVEN, half_life_s=T_S)


def test_small_negatives_become_zero_and_are_told(image: Volume) -> None:
    values = image.values.copy()
    values[:2] = -10.0
    noisy = image.with_values(values)
    cleaned = handle_negatives(noisy, "zero")
    count = values[:2].size
    assert cleaned.voxels == count
    assert cleaned.removed == pytest.approx(10.0 * count)
    assert float(cleaned.volume.values.min()) == 0
    assert f"{count} voxels are negative" in str(cleaned.messages[0])
    kept = handle_negatives(noisy, "keep")
    assert kept.volume is noisy
    assert kept.messages
    with pytest.raises(InputError, match="voxels are negative"):
        handle_negatives(noisy, "refuse")
    with pytest.raises(UnknownNameError, match="known: keep, refuse, zero"):
        handle_negatives(noisy, "clip")  # type: ignore[arg-type]


def test_large_negatives_are_an_error(image: Volume) -> None:
    values = image.values.copy()
    values[:2] *= -1
    with pytest.raises(InputError, match="up to 1 % would be taken for noise"):
        handle_negatives(image.with_values(values), "zero")
    with pytest.raises(InputError, match="there is no activity in it"):
        handle_negatives(image.with_values(-image.values), "zero")
    values[0, 0, 0] = np.nan
    with pytest.raises(UnitError, match="NaN"):
        handle_negatives(image.with_values(values), "keep")


def test_nothing_negative_changes_nothing(image: Volume) -> None:
    cleaned = handle_negatives(image, "zero")
    assert cleaned.volume is image
    assert cleaned.messages == ()
