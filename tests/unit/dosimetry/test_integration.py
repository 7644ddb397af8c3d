"""Time integration: what it takes, what it refuses, what it says."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.dosimetry.time.curves import fit_curve
from hepatica.dosimetry.time.integration import integrate_images
from hepatica.dosimetry.time.one_image import effective_decay, permanent_trapping
from hepatica.errors import GeometryError, InputError, PhysicsError, TimeError, UnitError, UnknownNameError

HOUR = 3600.0
T_S = 160.0 * HOUR
START = datetime(2026, 3, 2, 9, 30)
TIMES = [4 * HOUR, 24 * HOUR, 72 * HOUR, 168 * HOUR]


def image_at(grid: Grid, time_s: float, values: object = 1e6) -> Volume:
    return Volume(
        grid,
        np.broadcast_to(np.asarray(values, np.float32), grid.shape),
        Kind.ACTIVITY,
        START + timedelta(seconds=time_s),
    )


def decaying(grid: Grid, half_life_s: float, times: list[float] = TIMES) -> list[Volume]:
    start = np.random.default_rng(4).uniform(1e4, 1e6, grid.shape)
    return [image_at(grid, t, start * 2 ** (-t / half_life_s)) for t in times]


def test_permanent_trapping_counts_from_the_administration(oblique_grid: Grid) -> None:
    # An image one half-life later holds half of what was there.
    result = permanent_trapping(image_at(oblique_grid, T_S), T_S, since=START)
    assert result.decays.kind is Kind.DECAYS
    assert result.decays.time is None
    np.testing.assert_allclose(result.decays.values, 2e6 * T_S / np.log(2), rtol=1e-6)
    assert "permanent trapping" in result.provenance.conventions["time integration"]


def test_effective_half_life(oblique_grid: Grid) -> None:
    effective = 100 * HOUR
    image = image_at(oblique_grid, effective)
    result = effective_decay(image, effective, physical_half_life_s=T_S, since=START)
    np.testing.assert_allclose(result.decays.values, 2e6 * effective / np.log(2), rtol=1e-6)
    with pytest.raises(PhysicsError, match="longer than the physical"):
        effective_decay(image, 1.01 * T_S, physical_half_life_s=T_S, since=START)


def test_one_image_needs_kind_and_time(oblique_grid: Grid) -> None:
    image = image_at(oblique_grid, 0)
    with pytest.raises(TimeError, match="no reference time"):
        permanent_trapping(image.with_values(image.values, time=None), T_S, since=START)
    with pytest.raises(UnitError, match="needed"):
        permanent_trapping(image.with_values(image.values, Kind.COUNTS), T_S, since=START)


@pytest.mark.parametrize(
    ("times", "error", "message"),
    [
        ([HOUR], InputError, "needs at least 2"),
        ([], InputError, "needs at least 2"),
        ([HOUR, HOUR], TimeError, "point 2"),
        ([HOUR, 3 * HOUR, 2 * HOUR], TimeError, "point 3"),
        ([-HOUR, HOUR], TimeError, "before the administration"),
        ([0.0, float("nan")], TimeError, "finite"),
    ],
)
def test_times_must_make_sense(times: list[float], error: type[Exception], message: str, oblique_grid: Grid) -> None:
    with pytest.raises(error, match=message):
        fit_curve(times, [1e6] * len(times), physical_half_life_s=T_S)
    if not any(np.isnan(times)):
        with pytest.raises(error, match=message):
            integrate_images([image_at(oblique_grid, t) for t in times], since=START, physical_half_life_s=T_S)


@pytest.mark.parametrize(
    ("activity", "sd", "message"),
    [
        ([1e6, -1.0], None, "not negative"),
        ([1e6, float("inf")], None, "finite"),
        ([0.0, 0.0], None, "not all zero"),
        ([1e6], None, "equal length"),
        ([1e6, 5e5], [1e4, 0.0], "uncertainties must be positive"),
        ([1e6, 5e5], [1e4], "equal length"),
    ],
)
def test_activities_must_make_sense(activity: list[float], sd: list[float] | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_curve([HOUR, 50 * HOUR], activity, sd, physical_half_life_s=T_S)


def test_choices_and_numbers_of_points() -> None:
    with pytest.raises(InputError, match="3 time points; this model needs at least 4"):
        fit_curve(TIMES[:3], [3.0, 2.0, 1.0], model="bi", physical_half_life_s=T_S)
    with pytest.raises(UnknownNameError, match="known: bi, mono"):
        fit_curve(TIMES, [4.0, 3.0, 2.0, 1.0], model="tri", physical_half_life_s=T_S)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="known: fit, physical"):
        fit_curve(TIMES, [4.0, 3.0, 2.0, 1.0], tail="none", physical_half_life_s=T_S)  # type: ignore[arg-type]
    with pytest.raises(PhysicsError, match="too far apart"):
        fit_curve([0.0, 500 * HOUR], [1.0, 0.5], physical_half_life_s=HOUR / 10)


def test_slower_than_physical_decay() -> None:
    def points(half_life_s: float) -> list[float]:
        return [1e9 * 2 ** (-t / half_life_s) for t in TIMES]

    slightly = fit_curve(TIMES, points(1.03 * T_S), physical_half_life_s=T_S)
    assert slightly.half_lives_s == pytest.approx((T_S,))
    assert slightly.half_life_sds_s == (0.0,)
    assert "the physical one is used" in str(slightly.messages[0])
    with pytest.raises(PhysicsError, match="must not be decay-corrected to one time"):
        fit_curve(TIMES, points(2 * T_S), physical_half_life_s=T_S)
    uncertain = fit_curve(TIMES, points(1.12 * T_S), [2e8] * 4, physical_half_life_s=T_S)
    assert uncertain.messages
    clamped = fit_curve(TIMES, points(2 * T_S), physical_half_life_s=T_S, beyond_physical="clamp")
    assert clamped.half_lives_s == pytest.approx((T_S,))


def test_images_on_different_grids_or_without_time(oblique_grid: Grid) -> None:
    images = decaying(oblique_grid, 100 * HOUR)
    with pytest.raises(TimeError, match="image 2 has no reference time"):
        integrate_images(
            [images[0], images[1].with_values(images[1].values, time=None)], since=START, physical_half_life_s=T_S
        )
    with pytest.raises(GeometryError, match="images 1 and 2"):
        integrate_images(
            [images[0], image_at(Grid.axial((2, 2, 2), spacing_mm=(1, 1, 1)), HOUR)],
            since=START,
            physical_half_life_s=T_S,
        )
    with pytest.raises(InputError, match="one positive number for each of the 4 images"):
        integrate_images(images, since=START, physical_half_life_s=T_S, relative_sd=[0.1, 0.1])


def test_the_result_keeps_the_grid_and_tells_its_story(oblique_grid: Grid) -> None:
    result = integrate_images(decaying(oblique_grid, 100 * HOUR), since=START, physical_half_life_s=T_S)
    assert result.decays.grid is oblique_grid
    assert result.decays.kind is Kind.DECAYS
    assert result.curve is not None
    assert result.provenance.parameters["image_times_s"] == TIMES
    assert result.messages == ()


def test_voxels_that_cannot_be_fitted_borrow_and_say_so(oblique_grid: Grid) -> None:
    images = decaying(oblique_grid, 100 * HOUR)
    last = images[-1].values.copy()
    last[:4] = 0
    first = [image.values.copy() for image in images[:-1]]
    for values in first:
        values[-1] = 0
    last[-1] = 0
    images = [image.with_values(v) for image, v in zip(images, [*first, last], strict=True)]
    result = integrate_images(images, since=START, physical_half_life_s=T_S)
    assert any("not positive" in str(message) for message in result.messages)
    assert not result.decays.values[-1].any()
    assert np.isfinite(result.decays.values).all()
    assert (result.decays.values[:4] > 0).all()


def test_two_images_give_no_uncertainty_of_their_own(oblique_grid: Grid) -> None:
    result = integrate_images(decaying(oblique_grid, 100 * HOUR, TIMES[:2]), since=START, physical_half_life_s=T_S)
    assert result.relative_sd is not None
    assert np.isnan(result.relative_sd.values).all()
    assert result.curve is not None
    assert result.curve.decays.sd is None
    assert any("uncertainty" in str(message) for message in result.messages)
