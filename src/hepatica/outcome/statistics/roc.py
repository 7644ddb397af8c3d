"""How well a number separates two outcomes: ROC with DeLong interval, thresholds with honest performance, calibration.

References
----------
.. [1] DeLong ER et al. Biometrics 1988;44:837.
.. [2] Harrell FE et al. Stat Med 1996;15:361 (bootstrap optimism); Youden WJ. Cancer 1950;3:32.
.. [3] Clopper CJ, Pearson ES. Biometrika 1934;26:404.

The curve and the Brier score are scikit-learn's, exact intervals scipy's; DeLong and optimism are in neither.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.document import HIDDEN
from hepatica.errors import EvidenceError
from hepatica.outcome.statistics.evidence import Z95, as_binary, as_floats, normal_p, require_events, same_length
from hepatica.outcome.statistics.logistic import fit_logistic

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share k of n with exact (Clopper-Pearson) 95 % interval; value None for n = 0."""

    k: int
    n: int
    value: float | None
    low: float | None
    high: float | None


def proportion(k: int, n: int) -> Proportion:
    """Share with exact interval.

    >>> p = proportion(13, 15)
    >>> (round(p.low, 4), round(p.high, 4))
    (0.5954, 0.9834)
    """
    from scipy import stats

    if not 0 <= k <= n:
        raise EvidenceError(f"{k} of {n} is no proportion")
    if n == 0:
        return Proportion(0, 0, None, None, None)
    interval = stats.binomtest(k, n).proportion_ci(method="exact")
    return Proportion(k, n, k / n, float(interval.low), float(interval.high))


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A yes/no test against the truth: counts and the usual shares with exact intervals."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int
    sensitivity: Proportion
    specificity: Proportion
    positive_predictive_value: Proportion
    negative_predictive_value: Proportion
    accuracy: Proportion


def accuracy_of_counts(*, true_positive: int, false_positive: int, false_negative: int, true_negative: int) -> Accuracy:
    """Diagnostic accuracy from a two-by-two table."""
    tp, fp, fn, tn = true_positive, false_positive, false_negative, true_negative
    if min(tp, fp, fn, tn) < 0 or tp + fp + fn + tn == 0:
        raise EvidenceError("a two-by-two table needs counts that are not negative, and not all zero")
    return Accuracy(
        tp,
        fp,
        fn,
        tn,
        proportion(tp, tp + fn),
        proportion(tn, tn + fp),
        proportion(tp, tp + fp),
        proportion(tn, tn + fn),
        proportion(tp + tn, tp + fp + fn + tn),
    )


def accuracy_of_rows(test: ArrayLike, truth: ArrayLike) -> Accuracy:
    """Diagnostic accuracy of a yes/no test, from one row per patient (0/1)."""
    a, b = as_binary(test, "test"), as_binary(truth, "truth")
    same_length(test=a, truth=b)
    return accuracy_of_counts(
        true_positive=int((a & b).sum()),
        false_positive=int((a & ~b).sum()),
        false_negative=int((~a & b).sum()),
        true_negative=int((~a & ~b).sum()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Roc:
    """A receiver operating characteristic: higher values predict the outcome.

    Attributes
    ----------
    thresholds, sensitivity, specificity : ndarray
        At "value >= threshold", from the largest value down.
    auc, auc_sd, auc_low, auc_high : float
        Area with DeLong's standard error and 95 % interval (cut at 0 and 1).
    p : float
        Of an area of one half.
    n, events : int
        Rows, and rows with the outcome.
    """

    thresholds: FloatArray = field(metadata=HIDDEN)
    sensitivity: FloatArray = field(metadata=HIDDEN)
    specificity: FloatArray = field(metadata=HIDDEN)
    auc: float
    auc_sd: float
    auc_low: float
    auc_high: float
    p: float
    n: int
    events: int


def roc(value: ArrayLike, outcome: ArrayLike) -> Roc:
    """ROC curve with DeLong interval.

    Raises
    ------
    EvidenceError
        If there are fewer than 5 rows with or without the outcome.
    """
    v, y = _checked(value, outcome)
    yes, no = _placements(v, y)
    auc = float(yes.mean())
    sd = math.sqrt(float(yes.var(ddof=1)) / yes.size + float(no.var(ddof=1)) / no.size)
    thresholds, sensitivity, specificity = _curve(v, y)
    p = normal_p((auc - 0.5) / sd) if sd > 0 else 0.0
    low, high = max(0.0, auc - Z95 * sd), min(1.0, auc + Z95 * sd)
    return Roc(thresholds, sensitivity, specificity, auc, sd, low, high, p, v.size, int(y.sum()))


def _checked(value: ArrayLike, outcome: ArrayLike) -> tuple[FloatArray, NDArray[np.bool_]]:
    v, y = as_floats(value, "predictor"), as_binary(outcome, "outcome")
    same_length(predictor=v, outcome=y)
    require_events(min(int(y.sum()), int((~y).sum())), "ROC curve (rows with or without the outcome, the fewer)")
    return v, y


def _placements(v: FloatArray, y: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """DeLong's structural components: share of the other outcome's values below (ties half), one per row."""
    yes, no = v[y], v[~y]
    comparison = (yes[:, None] > no[None, :]) + 0.5 * (yes[:, None] == no[None, :])
    return comparison.mean(axis=1), comparison.mean(axis=0)


@dataclass(frozen=True, slots=True)
class RocComparison:
    """Two predictors on the same rows: difference of areas, standard error, p (DeLong)."""

    auc_first: float
    auc_second: float
    difference: float
    sd: float
    p: float


def compare_roc(first: ArrayLike, second: ArrayLike, outcome: ArrayLike) -> RocComparison:
    """DeLong's test of two correlated ROC curves."""
    a, y = _checked(first, outcome)
    b, _ = _checked(second, outcome)
    (a_yes, a_no), (b_yes, b_no) = _placements(a, y), _placements(b, y)
    yes, no = np.cov(a_yes, b_yes), np.cov(a_no, b_no)
    contrast = np.array([1.0, -1.0])
    variance = float(contrast @ (yes / a_yes.size + no / a_no.size) @ contrast)
    difference = float(a_yes.mean() - b_yes.mean())
    sd = math.sqrt(max(variance, 0.0))
    p = normal_p(difference / sd) if sd > 0 else 1.0
    return RocComparison(float(a_yes.mean()), float(b_yes.mean()), difference, sd, p)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold and how well it does.

    Attributes
    ----------
    value : float
        "value >= threshold" predicts the outcome.
    chosen : {"prespecified", "optimal (Youden)"}
        How it came about.
    apparent : Accuracy
        On these data.
    sensitivity, specificity : float
        Corrected for optimism where the threshold was chosen on these data; apparent otherwise.
    optimism : float or None
        Of Youden's index (bootstrap); None for a prespecified threshold.
    value_low, value_high : float or None
        2.5 and 97.5 % points of the optimal threshold over bootstrap samples.
    """

    value: float = field(metadata=HIDDEN)
    chosen: Literal["prespecified", "optimal (Youden)"]
    apparent: Accuracy
    sensitivity: float
    specificity: float
    optimism: float | None
    value_low: float | None = field(metadata=HIDDEN)
    value_high: float | None = field(metadata=HIDDEN)


def prespecified_threshold(value: ArrayLike, outcome: ArrayLike, threshold: float) -> Threshold:
    """Performance of a threshold fixed before the data were seen (205 Gy): needs no correction."""
    v, y = _checked(value, outcome)
    found = accuracy_of_rows((v >= threshold).astype(float), y.astype(float))
    return Threshold(
        threshold,
        "prespecified",
        found,
        found.sensitivity.value or 0.0,
        found.specificity.value or 0.0,
        None,
        None,
        None,
    )


def optimal_threshold(
    value: ArrayLike, outcome: ArrayLike, *, seed: int, patient: Sequence[object] | None = None, samples: int = 500
) -> Threshold:
    """Threshold with the largest Youden index, with bootstrap-corrected sensitivity and specificity.

    Patients (not lesions) are drawn where `patient` is given. In each sample the threshold is chosen anew; the mean gap
    between its performance there and on the original data is the optimism.
    """
    v, y = _checked(value, outcome)
    best, sensitivity, specificity = _youden(v, y)
    labels = np.arange(v.size) if patient is None else np.unique([str(p) for p in patient], return_inverse=True)[1]
    members = [np.flatnonzero(labels == n) for n in range(int(labels.max()) + 1)]
    random = np.random.default_rng(seed)
    gaps: list[tuple[float, float]] = []
    chosen: list[float] = []
    while len(gaps) < samples:
        drawn = np.concatenate([members[n] for n in random.integers(len(members), size=len(members))])
        if not 0 < y[drawn].sum() < drawn.size:
            continue
        threshold, se, sp = _youden(v[drawn], y[drawn])
        gaps.append((se - float((v[y] >= threshold).mean()), sp - float((v[~y] < threshold).mean())))
        chosen.append(threshold)
    optimism = np.mean(gaps, axis=0)
    low, high = np.percentile(chosen, (2.5, 97.5)).tolist()
    return Threshold(
        best,
        "optimal (Youden)",
        accuracy_of_rows((v >= best).astype(float), y.astype(float)),
        float(np.clip(sensitivity - optimism[0], 0, 1)),
        float(np.clip(specificity - optimism[1], 0, 1)),
        float(optimism.sum()),
        low,
        high,
    )


def _curve(v: FloatArray, y: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Thresholds from the largest value down, sensitivity and specificity at "value >= threshold" (scikit-learn)."""
    from sklearn.metrics import roc_curve

    false, true, thresholds = roc_curve(y, v, drop_intermediate=False)
    # Its first point, above every value, is left out.
    return thresholds[1:], true[1:], 1 - false[1:]


def _youden(v: FloatArray, y: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Threshold of the largest Youden index (midway to the next lower value), its sensitivity and specificity."""
    values, sensitivity, specificity = _curve(v, y)
    n = int(np.argmax(sensitivity + specificity))
    threshold = values[n] if n + 1 == values.size else 0.5 * (values[n] + values[n + 1])
    return float(threshold), float(sensitivity[n]), float(specificity[n])


@dataclass(frozen=True, slots=True)
class CalibrationGroup:
    """Rows of similar predicted probability: mean predicted, observed share with exact interval."""

    predicted: float
    observed: Proportion


@dataclass(frozen=True, slots=True)
class Calibration:
    """How predicted probabilities meet what happened.

    Attributes
    ----------
    slope, slope_low, slope_high : float
        Of the outcome's logit on the predicted logit; 1 is right, below 1 predictions are too extreme.
    in_the_large : float
        Mean observed minus mean predicted probability.
    brier : float
        Mean squared error of the probability.
    groups : tuple of CalibrationGroup
        By quantiles of the prediction.
    """

    slope: float
    slope_low: float
    slope_high: float
    in_the_large: float
    brier: float
    groups: tuple[CalibrationGroup, ...]


def calibration(predicted: ArrayLike, outcome: ArrayLike, *, groups: int = 4) -> Calibration:
    """Calibration of a model's probabilities on data it was not fitted on."""
    from sklearn.metrics import brier_score_loss

    p, y = _checked(predicted, outcome)
    if (p <= 0).any() or (p >= 1).any():
        raise EvidenceError("predicted probabilities must lie between 0 and 1, both excluded")
    fit = fit_logistic(np.log(p / (1 - p))[:, None], y, names=("predicted",))
    slope, error = float(fit.coefficients[1]), math.sqrt(float(fit.covariance[1, 1]))
    parts = np.array_split(np.argsort(p, kind="stable"), min(groups, p.size))
    return Calibration(
        slope,
        slope - Z95 * error,
        slope + Z95 * error,
        float(y.mean() - p.mean()),
        float(brier_score_loss(y, p)),
        tuple(CalibrationGroup(float(p[n].mean()), proportion(int(y[n].sum()), n.size)) for n in parts),
    )
