"""Time integration against closed forms, scipy's curve_fit and simulated measurements."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import curve_fit

from hepatica.core import Grid, Kind, Volume
from hepatica.dosimetry.time.curves import fit_curve
from hepatica.dosimetry.time.integration import integrate_images
from hepatica.dosimetry.time.options import TimeOptions
from hepatica.nuclides import nuclide

HOUR = 3600.0
T_S = nuclide("I-131").half_life_s
TIMES = np.array([2.0, 24.0, 72.0, 168.0]) * HOUR
START = datetime(2026, 3, 2, 9, 30)


def mono(t: np.ndarray, amplitude: float, rate: float) -> np.ndarray:
    return np.asarray(amplitude * np.exp(-rate * t))


def test_mono_exponential_is_recovered() -> None:
    rate = np.log(2) / (5 * 24 * HOUR)
    fit = fit_curve(TIMES.tolist(), mono(TIMES, 2e9, rate).tolist(), physical_half_life_s=T_S)
    assert fit.decays.value == pytest.approx(2e9 / rate, rel=1e-8)
    assert fit.half_lives_s[0] == pytest.approx(5 * 24 * HOUR, rel=1e-8)


@pytest.mark.parametrize("uptake", [-0.6, 0.5])
def test_bi_exponential_is_recovered(uptake: float) -> None:
    # An uptake phase of 3 h, or a fast wash-out of 3 h, and 5 days of retention.
    slow, fast = np.log(2) / (5 * 24 * HOUR), np.log(2) / (3 * HOUR)
    times = np.array([1.0, 4.0, 24.0, 72.0, 168.0]) * HOUR
    activity = mono(times, 1e9, slow) + mono(times, uptake * 1e9, fast)
    fit = fit_curve(times.tolist(), activity.tolist(), model="bi", physical_half_life_s=T_S)
    assert fit.decays.value == pytest.approx(1e9 / slow + uptake * 1e9 / fast, rel=1e-6)
    np.testing.assert_allclose(fit.activity_bq(times), activity, rtol=1e-7)


def test_physical_tail_against_quadrature() -> None:
    rate = np.log(2) / (3 * 24 * HOUR)
    fit = fit_curve(TIMES.tolist(), mono(TIMES, 1e9, rate).tolist(), physical_half_life_s=T_S, tail="physical")
    measured, _ = quad(lambda t: 1e9 * np.exp(-rate * t), 0, TIMES[-1])
    tail = 1e9 * np.exp(-rate * TIMES[-1]) * T_S / np.log(2)
    assert fit.decays.value == pytest.approx(measured + tail, rel=1e-8)


def test_fit_and_covariance_against_scipy() -> None:
    # scipy.optimize.curve_fit(mono, t, y, p0, sigma, absolute_sigma=True): an independent implementation.
    random = np.random.default_rng(8)
    activity = mono(TIMES, 1e9, np.log(2) / (4 * 24 * HOUR)) * (1 + 0.05 * random.standard_normal(4))
    sds = 0.05 * activity
    (amplitude, rate), covariance = curve_fit(
        mono, TIMES, activity, p0=(1e9, 2e-6), sigma=sds, absolute_sigma=True, xtol=1e-14, ftol=1e-14
    )
    gradient = np.array([1 / rate, -amplitude / rate**2])
    fit = fit_curve(TIMES.tolist(), activity.tolist(), sds.tolist(), physical_half_life_s=T_S)
    assert fit.decays.value == pytest.approx(amplitude / rate, rel=1e-5)
    assert fit.decays.sd == pytest.approx(np.sqrt(gradient @ covariance @ gradient), rel=1e-4)
    assert fit.half_life_sds_s is not None
    assert fit.half_life_sds_s[0] == pytest.approx(np.log(2) / rate**2 * np.sqrt(covariance[1, 1]), rel=1e-4)


def test_stated_uncertainty_is_the_scatter_of_repeated_measurements() -> None:
    # 400 repeats with 3 % noise: the sd of a sd is 1 / sqrt(800) = 3.5 %; three of them, and 3 % for non-linearity.
    random = np.random.default_rng(9)
    truth = mono(TIMES, 1e9, np.log(2) / (3 * 24 * HOUR))
    fits = [
        fit_curve(TIMES.tolist(), y.tolist(), (0.03 * truth).tolist(), physical_half_life_s=T_S)
        for y in truth * (1 + 0.03 * random.standard_normal((400, 4)))
    ]
    pulls = [(fit.decays.value - 1e9 * 3 * 24 * HOUR / np.log(2)) / (fit.decays.sd or 0) for fit in fits]
    assert np.std(pulls) == pytest.approx(1, abs=0.14)
    assert abs(np.mean(pulls)) < 0.3


def images_of(start: np.ndarray, half_life_s: np.ndarray, noise: float) -> list[Volume]:
    grid = Grid.axial((16, 17, 18), spacing_mm=(4, 4, 5))
    random = np.random.default_rng(10)
    return [
        Volume(
            grid,
            start * 2 ** (-t / half_life_s) * (1 + noise * random.standard_normal(grid.shape)),
            Kind.ACTIVITY,
            START + timedelta(seconds=float(t)),
        )
        for t in TIMES
    ]


def truth() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(13)
    return random.uniform(1e4, 1e6, (16, 17, 18)), random.uniform(1, 6.5, (16, 17, 18)) * 24 * HOUR


def test_voxel_fit_recovers_every_voxel() -> None:
    start, half_life = truth()
    result = integrate_images(images_of(start, half_life, 0.0), since=START, physical_half_life_s=T_S)
    np.testing.assert_allclose(result.decays.values, start * half_life / np.log(2), rtol=1e-5)


def test_voxel_fit_is_the_curve_fit() -> None:
    # The vectorised fit and the scalar one minimise the same sum when all images weigh the same.
    start, half_life = truth()
    images = images_of(start, half_life, 0.03)
    result = integrate_images(images, since=START, physical_half_life_s=T_S)
    for at in ((0, 0, 0), (5, 6, 7), (15, 3, 11)):
        points = [float(image.values[at]) for image in images]
        fit = fit_curve(TIMES.tolist(), points, physical_half_life_s=T_S, beyond_physical="clamp")
        assert float(result.decays.values[at]) == pytest.approx(fit.decays.value, rel=1e-5)
        assert result.relative_sd is not None
        assert float(result.relative_sd.values[at]) == pytest.approx(fit.decays.relative_sd or 0, rel=1e-3)


def test_voxel_uncertainty_is_the_scatter() -> None:
    # 4896 voxels: the sd of the pulls is known to 1 %; weights from a first fit make them 10 % too wide at 5 % noise.
    start, half_life = truth()
    result = integrate_images(
        images_of(start, half_life, 0.05), since=START, physical_half_life_s=T_S, relative_sd=[0.05] * 4
    )
    error = result.decays.values / (start * half_life / np.log(2)) - 1
    assert result.relative_sd is not None
    assert np.std(error / result.relative_sd.values) == pytest.approx(1, abs=0.15)
    assert abs(np.mean(error)) < 0.01


def test_voxel_bi_exponential_of_a_common_shape() -> None:
    start, _ = truth()
    grid = Grid.axial((16, 17, 18), spacing_mm=(4, 4, 5))
    slow, fast = np.log(2) / (5 * 24 * HOUR), np.log(2) / (6 * HOUR)
    share = np.random.default_rng(14).uniform(0.1, 0.9, grid.shape)
    images = [
        Volume(
            grid,
            start * (share * np.exp(-slow * t) + (1 - share) * np.exp(-fast * t)),
            Kind.ACTIVITY,
            START + timedelta(seconds=float(t)),
        )
        for t in TIMES
    ]
    result = integrate_images(images, TimeOptions(time_model="bi"), since=START, physical_half_life_s=T_S)
    np.testing.assert_allclose(result.decays.values, start * (share / slow + (1 - share) / fast), rtol=1e-3)
