"""Radiobiology against closed forms, quadrature that shares no code with it, and published numbers."""

import math
import time
from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, stats

from hepatica.core import Estimate
from hepatica.dosimetry.radiobiology import (
    LIVER,
    TUMOUR,
    DoseRate,
    Repair,
    Tissue,
    Treatment,
    bed_gy,
    course_bed_gy,
    dose_of_bed_gy,
    eqd2_gy,
    equivalent_uniform_dose_gy,
    fractionated_bed_gy,
    generalized_eud_gy,
    isoeffective_dose_gy,
    lea_catcheside_factor,
    poisson_tcp,
    predict,
    relative_effectiveness,
    response_model,
    response_models,
    response_probability,
)
from hepatica.dosimetry.radiobiology.response_models import ResponseModel
from hepatica.nuclides import NUCLIDE_NAMES, nuclide

LN2 = math.log(2)


def double_integral(rate: Callable[[float], float], mu: float, until_h: float) -> float:
    """G by brute force: 2 / D^2 of the integral over w < t of r(t) r(w) exp(-mu (t - w))."""
    value, _ = integrate.dblquad(
        lambda w, t: rate(t) * rate(w) * math.exp(-mu * (t - w)), 0, until_h, 0, lambda t: t, epsabs=1e-11, epsrel=1e-9
    )
    dose, _ = integrate.quad(rate, 0, until_h)
    return 2 * value / dose**2


def test_liver_toxicity_limit_of_strigari() -> None:
    # Worked example D1: 52 Gy is 92.5 Gy BED; published 93 Gy (J Nucl Med 2010;51:1377).
    bed = bed_gy(52.0, DoseRate.exponential(64.2), Tissue("liver", 2.5, Repair(2.5)))
    assert bed == pytest.approx(92.5, abs=0.05)
    assert bed == pytest.approx(93, abs=1)


def test_mean_tumour_bed_of_dewaraja() -> None:
    # Worked example D3's note: the BED of 292 Gy with alpha/beta 10 Gy, 1.5 h is 487 Gy, not the fitted 441 Gy.
    assert bed_gy(292.0, DoseRate.exponential(64.05), TUMOUR) == pytest.approx(487, abs=0.5)


def test_energy_delivered_by_day_11() -> None:
    # Worked example A3: 94.24 % (maker: 94 %).
    assert DoseRate.exponential(64.1).delivered_fraction(264.0) == pytest.approx(0.9424, abs=1e-4)


@pytest.mark.parametrize("name", NUCLIDE_NAMES)
def test_complete_decay_of_every_nuclide(name: str) -> None:
    # Dale 1985: G = lambda / (lambda + mu) = T_repair / (T_repair + T_half).
    half_life_h = nuclide(name).half_life_s / 3600
    g = lea_catcheside_factor(DoseRate.exponential(half_life_h), Repair(1.5))
    assert g == pytest.approx(1.5 / (1.5 + half_life_h), rel=1e-12)
    assert relative_effectiveness(100.0, DoseRate.exponential(half_life_h), TUMOUR) == pytest.approx(1 + 10 * g)


@pytest.mark.parametrize("until_h", [0.5, 12.0, 200.0])
def test_partial_delivery_against_brute_force(until_h: float) -> None:
    decay, mu = LN2 / 17.0, LN2 / 2.5
    expected = double_integral(lambda t: math.exp(-decay * t), mu, until_h)
    # dblquad is asked for 1e-9 relative; 1e-7 leaves room for its error in the longest case.
    assert lea_catcheside_factor(DoseRate.exponential(17.0), Repair(2.5), until_h=until_h) == pytest.approx(
        expected, rel=1e-7
    )


def test_partial_delivery_becomes_complete() -> None:
    rate = DoseRate((17.0, 3.0), (1.4, -0.4))
    complete = lea_catcheside_factor(rate, Repair(2.5))
    assert lea_catcheside_factor(rate, Repair(2.5), until_h=60 * 17.0) == pytest.approx(complete, rel=1e-9)


def test_uptake_and_washout_against_brute_force() -> None:
    # Two exponentials with an uptake phase: dose rate proportional to exp(-a t) - exp(-b t).
    washout, uptake, mu = LN2 / 100.0, LN2 / 5.0, LN2 / 1.5
    dose = 1 / washout - 1 / uptake
    rate = DoseRate((100.0, 5.0), (1 / washout / dose, -1 / uptake / dose))
    expected = double_integral(lambda t: math.exp(-washout * t) - math.exp(-uptake * t), mu, 1200.0)
    # Cut at 12 half-lives: 2^-12 of the dose is missing, which shifts G by about twice that.
    assert lea_catcheside_factor(rate, Repair(1.5)) == pytest.approx(expected, rel=1e-3)
    assert lea_catcheside_factor(rate, Repair(1.5), until_h=1200.0) == pytest.approx(expected, rel=1e-6)


def test_two_repair_components_mix() -> None:
    # Millar 1991: with fixed shares the factor is the mean of those of the two rates.
    rate = DoseRate.exponential(64.05)
    fast, slow = (lea_catcheside_factor(rate, Repair(t)) for t in (0.4, 4.0))
    assert lea_catcheside_factor(rate, Repair(0.4, 4.0, 0.3)) == pytest.approx(0.7 * fast + 0.3 * slow, rel=1e-12)


def test_limits_of_acute_and_endless_delivery() -> None:
    assert lea_catcheside_factor(DoseRate.exponential(1e-6), Repair(1.5)) == pytest.approx(1, abs=1e-5)
    assert lea_catcheside_factor(DoseRate.exponential(1e9), Repair(1.5)) == pytest.approx(0, abs=1e-8)


def test_repair_as_fast_as_decay_has_no_singularity() -> None:
    rate = DoseRate.exponential(2.5)
    near = DoseRate.exponential(2.5 * (1 + 1e-7))
    assert lea_catcheside_factor(rate, Repair(2.5), until_h=4.0) == pytest.approx(
        lea_catcheside_factor(near, Repair(2.5), until_h=4.0), rel=1e-6
    )


def test_course_of_one_moment_is_one_treatment() -> None:
    rate = DoseRate.exponential(64.05)
    halves = [Treatment(0.0, 30.0, rate), Treatment(0.0, 22.0, rate)]
    assert course_bed_gy(halves, LIVER) == pytest.approx(bed_gy(52.0, rate, LIVER), rel=1e-12)


def test_course_far_apart_adds_up() -> None:
    rate = DoseRate.exponential(64.05)
    apart = [Treatment(0.0, 30.0, rate), Treatment(24 * 365.0, 22.0, rate)]
    alone = bed_gy(30.0, rate, LIVER) + bed_gy(22.0, rate, LIVER)
    assert course_bed_gy(apart, LIVER) == pytest.approx(alone, rel=1e-9)


def test_course_cross_term_against_brute_force() -> None:
    # 166Ho followed by 90Y one day later; the double integral of r1(w) r2(t) exp(-mu |t - w|), cut at 20 half-lives.
    first, second = DoseRate.exponential(26.8), DoseRate.exponential(64.05)
    c, d, mu, delay = LN2 / 26.8, LN2 / 64.05, LN2 / 2.5, 24.0

    def inner(t: float) -> float:
        # The integral over all w of c exp(-c w) exp(-mu |t - w|), by quadrature split at the kink.
        f = lambda w: c * math.exp(-c * w - mu * abs(t - w))  # noqa: E731
        return integrate.quad(f, 0, t, epsabs=1e-12)[0] + integrate.quad(f, t, t + 60, epsabs=1e-12)[0]

    cross = integrate.quad(lambda t: d * math.exp(-d * (t - delay)) * inner(t), delay, 1300, epsabs=1e-10, limit=200)[0]
    expected = bed_gy(40.0, first, LIVER) + bed_gy(50.0, second, LIVER) + 2 * cross * 40.0 * 50.0 / LIVER.alpha_beta_gy
    course = course_bed_gy([Treatment(24.0, 50.0, second), Treatment(0.0, 40.0, first)], LIVER)
    assert course == pytest.approx(expected, rel=1e-5)


def test_external_beam_and_eqd2() -> None:
    # 30 x 2 Gy is 60 Gy EQD2 whatever the ratio.
    assert eqd2_gy(fractionated_bed_gy(2.0, 30, 2.5), 2.5) == pytest.approx(60)
    assert fractionated_bed_gy(10.0, 5, 10.0) == pytest.approx(100)


def test_bed_and_its_inverse() -> None:
    rate = DoseRate.exponential(64.05)
    assert dose_of_bed_gy(bed_gy(120.0, rate, TUMOUR), rate, TUMOUR) == pytest.approx(120.0)
    same = isoeffective_dose_gy(120.0, rate, DoseRate.exponential(26.82), TUMOUR)
    assert bed_gy(same, DoseRate.exponential(26.82), TUMOUR) == pytest.approx(bed_gy(120.0, rate, TUMOUR))
    assert same < 120  # 166Ho delivers faster: less repair, fewer gray for the same effect


def test_eud_of_a_normal_dose_distribution() -> None:
    # For D ~ N(m, s) the EUD is m - alpha s^2 / 2 exactly; the sampling error of <exp(-alpha D)> over n voxels is
    # sqrt(exp(a^2 s^2) - 1) / sqrt(n) = 7.3e-4 relative, over alpha = 0.02 Gy.
    doses = np.random.default_rng(5).normal(150.0, 20.0, 1_000_000)
    assert equivalent_uniform_dose_gy(doses, 0.035) == pytest.approx(150 - 0.035 * 400 / 2, abs=0.1)


def test_eud_of_weighted_voxels() -> None:
    doses, weights = np.array([10.0, 200.0, -500.0]), np.array([1.0, 3.0, 0.0])
    expected = -math.log((math.exp(-0.35) + 3 * math.exp(-7.0)) / 4) / 0.035
    assert equivalent_uniform_dose_gy(doses, 0.035, weights) == pytest.approx(expected, rel=1e-12)


def test_eud_survives_large_doses() -> None:
    # exp(-0.3 * 5000) underflows; the result must not.
    assert equivalent_uniform_dose_gy(np.array([5000.0, 5000.0]), 0.3) == pytest.approx(5000)


def test_generalized_eud() -> None:
    doses = np.array([1.0, 2.0, 4.0])
    assert generalized_eud_gy(doses, 1.0) == pytest.approx(7 / 3)
    assert generalized_eud_gy(doses, -1.0) == pytest.approx(3 / (1 + 0.5 + 0.25))
    assert generalized_eud_gy(doses, 300.0) == pytest.approx(4.0, rel=5e-3)


def test_poisson_tcp() -> None:
    doses = np.array([100.0, 120.0])
    expected = math.exp(-1e4 * (math.exp(-10.0) + math.exp(-12.0)))
    assert poisson_tcp(doses, 0.1, 1e4) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("form", ["lkb", "logistic", "poisson"])
def test_curves_have_their_50_percent_dose_and_slope(form: str) -> None:
    slope = 0.28 if form == "lkb" else 1.8
    assert response_probability(form, 52.0, d50_gy=52.0, slope=slope) == pytest.approx(0.5)
    step = 1e-4
    up, down = (response_probability(form, 52.0 + s, d50_gy=52.0, slope=slope) for s in (step, -step))
    # gamma50 = D50 dP/dD at D50; the Lyman curve has 1 / (m sqrt(2 pi)).
    gamma = 1 / (0.28 * math.sqrt(2 * math.pi)) if form == "lkb" else slope
    assert 52.0 * (up - down) / (2 * step) == pytest.approx(gamma, rel=1e-6)


def test_lyman_against_scipy() -> None:
    for dose in (10.0, 36.0, 75.0):
        expected = stats.norm.cdf((dose - 52) / (0.28 * 52))
        assert response_probability("lkb", dose, d50_gy=52.0, slope=0.28) == pytest.approx(expected, rel=1e-12)


def test_interval_against_sampling() -> None:
    # 200 000 draws; the 2.5 and 97.5 % points of the sampled probability have a standard error of about 0.001; first
    # order in ratios of normal variables differs by up to 0.02 at 10 % uncertainty.
    model = ResponseModel(
        "x", "ntcp", "lkb", Estimate(52.0, 3.0), Estimate(0.28, 0.03), "Y-90", "resin", "liver", "mean_dose", "x"
    )
    p = predict(model, 45.0, dose_sd_gy=3.0)
    rng = np.random.default_rng(1)
    d50, m, dose = (rng.normal(v, s, 200_000) for v, s in ((52.0, 3.0), (0.28, 0.03), (45.0, 3.0)))
    low, high = np.percentile(stats.norm.cdf((dose - d50) / (m * d50)), (2.5, 97.5))
    assert p.interval_is_complete
    assert (p.probability_low, p.probability_high) == pytest.approx((low, high), abs=0.02)


def test_published_models() -> None:
    # Worked examples D3, D4, D7, D8 and Strigari's values.
    value = {name: m.reference_dose_gy.value for name, m in response_models().items()}
    assert (value["dewaraja-2020"], value["dewaraja-2020-bed"]) == (292, 441)
    assert (value["chiesa-2015-tumour"], value["resin-tumour"], value["external-beam-tumour"]) == (250, 60, 53)
    assert (value["hepar-primary-90"], value["hepar-primary-100"]) == (155, 184.5)
    assert value["garin-205"] == 205
    strigari = response_model("strigari-2010-liver")
    assert strigari.reference_dose_gy.value == 52
    assert strigari.reference_dose_gy.sd == pytest.approx(17 / 3.92, rel=1e-3)
    assert predict(strigari, 52.0).probability == pytest.approx(0.5)


def test_voxel_measures_take_under_a_second() -> None:
    # Issue 6: BED, EUD and TCP of 256^3 voxels in under 1 s each (0.04 to 0.06 s measured on one idle core).
    doses = np.random.default_rng(2).random((256, 256, 256), dtype=np.float32) * 300
    for measure in (
        lambda: bed_gy(doses, DoseRate.exponential(64.05), TUMOUR),
        lambda: equivalent_uniform_dose_gy(doses, 0.035),
        lambda: poisson_tcp(doses, 0.035, 10.0),
    ):
        start = time.process_time()
        measure()
        assert time.process_time() - start < 1.0
