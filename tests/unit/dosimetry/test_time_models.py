"""Trapezoids, single time points, curves measured otherwise, and what a bound costs."""

import math
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest

from hepatica.core import Estimate, Grid, Kind, Volume
from hepatica.dosimetry.time.curves import MAX_BOUND_COST
from hepatica.dosimetry.time.integration import integrate_images
from hepatica.dosimetry.time.one_image import integrate_image
from hepatica.dosimetry.time.options import TimeOptions
from hepatica.dosimetry.time.single_point import MeasuredShape, haenscheid_bias, population_decays
from hepatica.dosimetry.time.trapezoid import Trapezoid, point_curve
from hepatica.errors import HepaticaError, InputError, PhysicsError, TimeError

HOUR = 3600.0
T_S = 64.0 * HOUR
START = datetime(2026, 3, 2, 9, 30)
PLANAR = MeasuredShape((2.0, 24.0), (2.0, 1.0))


def image(grid: Grid, time_s: float, values: object) -> Volume:
    array = np.broadcast_to(np.asarray(values, np.float32), grid.shape)
    return Volume(grid, array, Kind.ACTIVITY, START + timedelta(seconds=time_s))


def uptake(times_s: np.ndarray, effective_s: float = 40 * HOUR, rise_s: float = 6 * HOUR) -> np.ndarray:
    """Rises first: exp(-t / eff) - exp(-t / rise), as a half-life each."""
    return np.asarray(1e6 * (2.0 ** (-times_s / effective_s) - 2.0 ** (-times_s / rise_s)))


def test_many_points_of_a_curve_with_uptake_give_its_integral() -> None:
    # Piecewise linear and logarithmic on a fine grid: error of second order in the spacing, well below 0.1 %.
    times = np.linspace(0, 400, 801)[1:] * HOUR
    exact = 1e6 * (40 * HOUR - 6 * HOUR) / math.log(2)
    shape = Trapezoid(tuple(times), T_S, "zero", "fit")
    assert point_curve(shape, uptake(times)).decays.value == pytest.approx(exact, rel=1e-3)


def test_three_points_one_before_the_maximum() -> None:
    times = np.array([2, 24, 96]) * HOUR
    points = [20e6, 60e6, 20e6]
    physical = math.log(2) / T_S
    first = 20e6 * math.expm1(physical * 2 * HOUR) / physical
    between = 22 * HOUR * 40e6 + 72 * HOUR * 40e6 / math.log(3)
    # The last two points fall to a third in 72 h: a half-life of 45.4 h.
    rate = math.log(3) / (72 * HOUR)
    found = point_curve(Trapezoid(tuple(times), T_S), points)
    assert found.decays.value == pytest.approx(first + between + 20e6 / rate, rel=1e-9)
    assert found.tail_half_life_h == pytest.approx(math.log(2) / rate / HOUR)
    with_physical = point_curve(Trapezoid(tuple(times), T_S, "zero", "physical"), points)
    assert with_physical.decays.value == pytest.approx(20e6 * HOUR + between + 20e6 / physical, rel=1e-9)
    effective = point_curve(Trapezoid(tuple(times), T_S, "zero", "effective", 30 * HOUR), points)
    assert effective.decays.value == pytest.approx(20e6 * HOUR + between + 20e6 * 30 * HOUR / math.log(2), rel=1e-9)


def test_a_tail_is_never_slower_than_physical_decay() -> None:
    found = point_curve(Trapezoid((HOUR, 24 * HOUR), T_S), [1e6, 2e6])
    assert found.tail_half_life_s == pytest.approx(T_S)
    assert [message.code for message in found.messages] == ["large-tail"]


def test_uncertainty_of_a_trapezoid_is_that_of_resampled_points() -> None:
    shape = Trapezoid((4 * HOUR, 24 * HOUR, 96 * HOUR), T_S)
    points, sds = np.array([3e6, 6e6, 2e6]), np.array([1e5, 2e5, 5e4])
    found = point_curve(shape, points, sds)
    samples = points + sds * np.random.default_rng(3).standard_normal((20000, 3))
    # 20000 samples give a standard deviation to 0.5 %.
    assert found.decays.sd == pytest.approx(float(shape.decays(samples.T).std()), rel=0.02)


def test_voxels_of_a_trapezoid_are_the_curve_of_each(oblique_grid: Grid) -> None:
    times = np.array([2, 24, 96]) * HOUR
    scale = np.random.default_rng(5).uniform(0.1, 2, oblique_grid.shape)
    images = [image(oblique_grid, t, scale * value) for t, value in zip(times, (2e6, 6e6, 2e6), strict=True)]
    for time in (TimeOptions(time_model="trapezoid"), TimeOptions(time_model="trapezoid", tail="physical")):
        result = integrate_images(images, time, since=START, physical_half_life_s=T_S)
        shape = Trapezoid(tuple(times), T_S, "physical", "physical" if time.tail == "physical" else "fit")
        expected = point_curve(shape, [2e6, 6e6, 2e6]).decays.value
        np.testing.assert_allclose(result.decays.values, scale * expected, rtol=1e-5)
        assert result.curve is not None
        assert result.curve.model == "trapezoid"
        assert result.curve.decays.value == pytest.approx(result.decays.total, rel=1e-5)


def test_uptake_is_an_error_of_the_fit_that_names_the_trapezoid(oblique_grid: Grid) -> None:
    images = [image(oblique_grid, t * HOUR, value) for t, value in ((2, 2e6), (24, 6e6), (96, 5e6))]
    with pytest.raises(PhysicsError, match="`time_model` trapezoid"):
        integrate_images(images, since=START, physical_half_life_s=T_S)


def noisy(grid: Grid, noise: float) -> list[Volume]:
    random = np.random.default_rng(8)
    return [
        image(grid, t * HOUR, 1e6 * 2 ** (-t / 64) * (1 + noise * random.standard_normal(grid.shape)))
        for t in (4.0, 24.0, 72.0)
    ]


def test_a_bound_that_costs_more_than_five_percent_is_an_error_unless_asked_for() -> None:
    # Physical decay and 40 % noise: half the voxels seem slower, and holding only those biases the sum by -9 %.
    grid = Grid.axial((20, 20, 20), spacing_mm=(4, 4, 4))
    images = noisy(grid, 0.4)
    exact = 1e6 * T_S / math.log(2) * 8000
    with pytest.raises(PhysicsError, match="`time_model` image"):
        integrate_images(images, since=START, physical_half_life_s=T_S)
    clamped = integrate_images(images, TimeOptions(beyond_physical="clamp"), since=START, physical_half_life_s=T_S)
    assert clamped.decays.total / exact - 1 < -0.05
    assert "voxels-at-physical-half-life" in [message.code for message in clamped.messages]
    whole = integrate_images(images, TimeOptions(time_model="image"), since=START, physical_half_life_s=T_S)
    # One half-life for all: 40 % noise in three images of 8000 voxels leaves 0.3 %; negative sums set to 0 add less.
    assert whole.decays.total == pytest.approx(exact, rel=0.02)
    small = integrate_images(noisy(grid, 0.05), since=START, physical_half_life_s=T_S)
    assert small.decays.total == pytest.approx(exact, rel=MAX_BOUND_COST)


def test_a_population_half_life_gives_the_uncertainty_of_its_spread() -> None:
    half_life = Estimate(50 * HOUR, 5 * HOUR)
    found = population_decays(1e6, 24 * HOUR, half_life)
    values = [population_decays(1e6, 24 * HOUR, Estimate((50 + d) * HOUR)).value for d in (-0.01, 0.01)]
    assert found.sd == pytest.approx(abs(values[1] - values[0]) / 0.02 * 5, rel=1e-4)
    best = population_decays(1e6, 50 * HOUR / math.log(2), half_life)
    assert best.sd == pytest.approx(0, abs=1e-6 * best.value)


def test_single_time_point_formula_against_exponentials() -> None:
    turns = np.linspace(0.75, 2.5, 200)
    bias = np.array([haenscheid_bias(t, 1.0) for t in turns])
    assert bias.min() == pytest.approx(-0.1161, abs=1e-4)
    assert bias.max() == pytest.approx(2 / (math.e * math.log(2)) - 1, abs=1e-4)


def test_one_image_and_its_ways_in_time(oblique_grid: Grid) -> None:
    scan = image(oblique_grid, 60 * HOUR, 1e6)

    def of(time: TimeOptions) -> tuple[float, float | None]:
        found = integrate_image(scan, scan, half_life_s=T_S, time=time, since=START, name="x")
        return float(found.decays.values[0, 0, 0]), found.common_relative_sd

    assert of(TimeOptions()) == (pytest.approx(1e6 * 2 ** (60 / 64) * T_S / math.log(2), rel=1e-6), 0.0)
    decays, sd = of(TimeOptions(effective_half_life_s=40 * HOUR, effective_half_life_sd_s=8 * HOUR))
    assert decays == pytest.approx(1e6 * 2**1.5 * 40 * HOUR / math.log(2), rel=1e-6)
    assert sd == pytest.approx(abs(1.5 * math.log(2) - 1) * 0.2)
    assert of(TimeOptions(effective_half_life_s=40 * HOUR))[1] is None
    decays, sd = of(TimeOptions(time_model="haenscheid"))
    assert decays == pytest.approx(2 * 60 * HOUR / math.log(2) * 1e6, rel=1e-6)
    assert sd == pytest.approx(0.1161 / math.sqrt(3), abs=1e-4)


def test_one_time_point_must_not_be_too_early_or_too_late(oblique_grid: Grid) -> None:
    time = TimeOptions(time_model="haenscheid")

    def at(hours: float) -> float:
        scan = image(oblique_grid, hours * HOUR, 1e6)
        found = integrate_image(scan, scan, half_life_s=T_S, time=time, since=START, name="x")
        return float(found.decays.values[0, 0, 0])

    # A quarter of 64 h times 0.75 is 12 h.
    assert at(12.0) == pytest.approx(24 * HOUR / math.log(2) * 1e6, rel=1e-6)
    with pytest.raises(PhysicsError, match=r"too early .* up to 5.33 h, .* -88 % off"):
        at(4.0)
    with pytest.raises(PhysicsError, match="too late"):
        at(161.0)


def test_hybrid_planar_and_spect(oblique_grid: Grid) -> None:
    # Planar counts in any unit that fall with 40 h: the image at 24 h gives the height.
    hours = (2.0, 24.0, 48.0, 96.0)
    curve = MeasuredShape(hours, tuple(7.3 * 2 ** (-t / 40) for t in hours), (0.1, 0.1, 0.1, 0.1))
    scan = image(oblique_grid, 24 * HOUR, 3e5)
    exact = 3e5 * 2 ** (24 / 40) * 40 * HOUR / math.log(2)
    found = integrate_image(scan, scan, half_life_s=T_S, time=TimeOptions(time_curve=curve), since=START)
    np.testing.assert_allclose(found.decays.values, exact, rtol=1e-5)
    assert found.curve is not None
    assert found.common_relative_sd is not None
    random = np.random.default_rng(6)
    samples = []
    for _ in range(100):
        moved = MeasuredShape(hours, tuple(a + 0.1 * float(random.standard_normal()) for a in curve.activities))
        time = TimeOptions(time_curve=moved)
        one = integrate_image(scan, scan, half_life_s=T_S, time=time, since=START)
        samples.append(float(one.decays.values[0, 0, 0]))
    # 100 samples give a standard deviation to 7 %.
    assert found.common_relative_sd == pytest.approx(np.std(samples) / exact, rel=0.25)
    points = integrate_image(
        scan, scan, half_life_s=T_S, time=TimeOptions(time_curve=curve, time_model="trapezoid"), since=START
    )
    assert points.decays.total == pytest.approx(found.decays.total, rel=0.02)
    late = image(oblique_grid, 120 * HOUR, 3e5)
    with pytest.raises(TimeError, match="outside the curve"):
        integrate_image(late, late, half_life_s=T_S, time=TimeOptions(time_curve=curve), since=START)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TimeOptions(tail="effective"), "needs `effective_half_life_s`"),
        (lambda: TimeOptions(time_model="haenscheid", time_curve=PLANAR), "`time_model` haenscheid has no effect"),
        (lambda: TimeOptions(time_model="image", time_curve=PLANAR), "`time_model` image has no effect"),
        (lambda: TimeOptions(start="zero"), "`start` is of `time_model` trapezoid"),
        (lambda: TimeOptions(effective_half_life_sd_s=1.0), "which is not stated"),
        (lambda: TimeOptions(time_model="haenscheid").require_used(2, integrated=False), "for one image"),
        (lambda: TimeOptions(time_model="trapezoid").require_used(1, integrated=False), "there is one image"),
        (lambda: TimeOptions(time_model="haenscheid").require_used(1, integrated=True), "has no effect"),
        (lambda: Trapezoid((HOUR,), T_S), "at least 2"),
        (lambda: Trapezoid((HOUR, HOUR), T_S), "must rise"),
        (lambda: Trapezoid((0.0, HOUR), T_S, tail="effective", effective_half_life_s=2 * T_S), "longer than"),
        (lambda: point_curve(Trapezoid((0.0, HOUR), T_S), [-1.0, 1.0]), "not negative"),
        (lambda: MeasuredShape((1.0,), (1.0,)), "at least two points"),
        (lambda: MeasuredShape((1.0, 2.0), (1.0, 0.0)), "positive"),
    ],
)
def test_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(HepaticaError, match=message):
        call()


def test_a_curve_needs_a_measured_image(oblique_grid: Grid) -> None:
    scan = image(oblique_grid, HOUR, 1e6)
    time = TimeOptions(time_model="haenscheid")
    with pytest.raises(InputError, match="no measurement"):
        integrate_image(scan, scan, half_life_s=T_S, time=time, since=START, by_administration=True)
    with pytest.raises(TimeError, match="counts from the administration"):
        integrate_image(scan, scan, half_life_s=T_S, time=time)
