"""Probability of response against absorbed dose: D50, slope, their intervals, lesions clustered in patients.

References
----------
.. [1] Dewaraja YK et al. J Nucl Med 2020;61:104 (logit of the dose, lesions).
.. [2] Venzon DJ, Moolgavkar SH. Appl Stat 1988;37:87 (profile likelihood).
.. [3] Chandler RE, Bate S. Biometrika 2007;94:167 (likelihood adjusted for clusters).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.document import HIDDEN, reported
from hepatica.core.message import Message
from hepatica.errors import EvidenceError, UnknownNameError
from hepatica.outcome.statistics.evidence import Z95, as_binary, as_floats, chi2_p, require_events, same_length
from hepatica.outcome.statistics.logistic import LogisticFit, fit_logistic, log_likelihood

FloatArray = NDArray[np.float64]
Scale = Literal["linear", "log"]


@dataclass(frozen=True, slots=True, eq=False)
class DoseResponse:
    """A fitted dose-response curve.

    Attributes
    ----------
    scale : str
        "linear": logit p = b0 + b1 D. "log": logit p = b0 + b1 ln D, that is 1 / (1 + (D50/D)^(4 gamma50)).
    n, responders, patients : int
        Lesions (rows), responders, patients (None if rows were not grouped).
    d50_gy, d50_low_gy, d50_high_gy : float
        50 % dose and its 95 % profile-likelihood interval; a bound is None where the data do not bound it.
    gamma50, gamma50_low, gamma50_high : float
        Normalized slope at the 50 % dose, D50 dP/dD, and its interval.
    odds_ratio_per_10_gy, odds_ratio_per_10_gy_low, odds_ratio_per_10_gy_high : float or None
        Linear scale only (Wald, robust if clustered).
    likelihood_ratio_p : float
        Of dose against no dose; None if clustered (Wald test instead in `p`).
    p : float
        Of the slope (Wald, robust if clustered).
    design_effect : float
        Variance of D50 with clusters over that without.
    fit : LogisticFit
        Coefficients and covariance.
    dose_range_gy : tuple of float
        Smallest and largest dose.
    messages : tuple of Message
        What to doubt.
    """

    scale: Scale
    n: int
    responders: int
    patients: int | None
    d50_gy: float
    d50_low_gy: float | None
    d50_high_gy: float | None
    gamma50: float
    gamma50_low: float | None
    gamma50_high: float | None
    odds_ratio_per_10_gy: float | None
    odds_ratio_per_10_gy_low: float | None
    odds_ratio_per_10_gy_high: float | None
    likelihood_ratio_p: float | None
    p: float
    design_effect: float
    fit: LogisticFit = field(metadata=HIDDEN)
    dose_range_gy: tuple[float, float]
    messages: tuple[Message, ...] = field(default=(), metadata=HIDDEN)

    @property
    @reported
    def intercept(self) -> float:
        """Logit at no dose (at 1 Gy on the logarithmic scale)."""
        return float(self.fit.coefficients[0])

    @property
    @reported
    def slope_per_gy(self) -> float | None:
        """Rise of the logit per Gy; None on the logarithmic scale."""
        return float(self.fit.coefficients[1]) if self.scale == "linear" else None

    @property
    @reported
    def slope_per_ln_gy(self) -> float | None:
        """Rise of the logit per unit of ln(dose in Gy); None on the linear scale."""
        return float(self.fit.coefficients[1]) if self.scale == "log" else None

    def curve(self, dose_gy: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Probability and pointwise 95 % band at doses in Gy."""
        dose = np.asarray(dose_gy, dtype=np.float64)
        x = np.log(dose) if self.scale == "log" else dose
        design = np.column_stack([np.ones(dose.size), x])
        linear = design @ self.fit.coefficients
        half = Z95 * np.sqrt(np.einsum("ij,jk,ik->i", design, self.fit.covariance, design))
        probability, low, high = (1 / (1 + np.exp(-(linear + s * half))) for s in (0, -1, 1))
        return probability, low, high

    def dose_for(self, probability: float) -> float:
        """Dose in Gy of a response probability."""
        if not 0 < probability < 1:
            raise EvidenceError(f"a probability lies between 0 and 1, not {probability}")
        b0, b1 = self.fit.coefficients.tolist()
        x = (math.log(probability / (1 - probability)) - b0) / b1
        return math.exp(x) if self.scale == "log" else x


def fit_dose_response(
    dose_gy: ArrayLike, response: ArrayLike, *, patient: Sequence[object] | None = None, scale: Scale = "linear"
) -> DoseResponse:
    """Fit a logistic dose-response curve.

    Parameters
    ----------
    dose_gy, response : array_like, shape (n,)
        Dose of each lesion, Gy, and whether it responded (0/1).
    patient : sequence, optional
        Patient of each lesion. Lesions of one patient resemble each other; intervals then use a variance robust to it.
    scale : {"linear", "log"}
        Dose or its logarithm.

    Raises
    ------
    EvidenceError
        If there are fewer than 5 responders or non-responders, if doses separate them completely, or if response does
        not rise with dose.
    """
    dose, y = _checked(dose_gy, response, scale)
    x = np.log(dose) if scale == "log" else dose
    groups = None if patient is None or len(set(map(str, patient))) == dose.size else patient
    fit = fit_logistic(x[:, None], y, names=("dose",), cluster=groups)
    b0, b1 = fit.coefficients.tolist()
    if b1 <= 0:
        raise EvidenceError(
            f"response does not rise with dose in these {dose.size} rows (slope {b1:.3g}); a 50 % dose has no meaning"
        )
    effect, quantile = _cluster_adjustment(fit)
    low, high = _profile(_d50_likelihood(x, y, b1), -b0 / b1, fit, quantile * effect)
    gamma_low, gamma_high = _gamma_profile(x, y, fit, scale, quantile * _gamma_effect(fit, scale))
    to_gy = math.exp if scale == "log" else float
    odds = _odds_ratio(fit, scale, quantile)
    return DoseResponse(
        scale,
        dose.size,
        int(y.sum()),
        None if patient is None else len(set(map(str, patient))),
        to_gy(-b0 / b1),
        None if low is None else to_gy(low),
        None if high is None else to_gy(high),
        b1 / 4 if scale == "log" else -b0 / 4,
        gamma_low,
        gamma_high,
        odds[0],
        odds[1],
        odds[2],
        None if fit.clusters is not None else _likelihood_ratio_p(fit, y),
        _slope_p(b1 / math.sqrt(fit.covariance[1, 1]), fit.clusters),
        effect,
        fit,
        (float(dose.min()), float(dose.max())),
        _doubts(dose, y, to_gy(-b0 / b1), (low, high), fit.clusters),
    )


def _odds_ratio(fit: LogisticFit, scale: str, quantile: float) -> tuple[float, float, float] | tuple[None, None, None]:
    """Odds ratio per 10 Gy and its Wald interval; none on the logarithmic scale."""
    if scale == "log":
        return None, None, None
    b1, error = float(fit.coefficients[1]), math.sqrt(fit.covariance[1, 1])
    reach = Z95 if fit.clusters is None else math.sqrt(quantile)
    value, low, high = (math.exp(10 * (b1 + s * reach * error)) for s in (0, -1, 1))
    return value, low, high


def _checked(dose_gy: ArrayLike, response: ArrayLike, scale: str) -> tuple[FloatArray, NDArray[np.bool_]]:
    if scale not in ("linear", "log"):
        raise UnknownNameError("dose scale", scale, ("linear", "log"))
    dose, y = as_floats(dose_gy, "dose"), as_binary(response, "response")
    same_length(dose=dose, response=y)
    require_events(min(int(y.sum()), int((~y).sum())), "dose-response curve (responders or non-responders, the fewer)")
    if (dose < 0).any() or (scale == "log" and (dose <= 0).any()):
        raise EvidenceError("doses must be positive")
    _refuse_separation(dose, y)
    return dose, y


def _refuse_separation(dose: FloatArray, y: NDArray[np.bool_]) -> None:
    yes, no = dose[y], dose[~y]
    if no.max() <= yes.min():
        raise EvidenceError(
            f"every lesion from {yes.min():g} Gy on responded and none up to {no.max():g} Gy: the doses separate them "
            "completely, so a slope has no finite estimate; the threshold lies between these doses"
        )
    if yes.max() <= no.min():
        raise EvidenceError(
            f"all responders ({yes.max():g} Gy at most) had less dose than all others: no curve is fitted"
        )


def _d50_likelihood(x: FloatArray, y: NDArray[np.bool_], start: float) -> Callable[[float], float]:
    """Largest log likelihood for a fixed 50 % dose: logit p = k (x - x50), best k."""

    def best(x50: float) -> float:
        u = x - x50
        return _best_one(u, y, start)

    return best


def _best_one(u: FloatArray, y: NDArray[np.bool_], k: float, offset: FloatArray | float = 0.0) -> float:
    """Largest log likelihood over k of logit p = offset + k u, by Newton with halved steps (concave)."""
    value = log_likelihood(offset + k * u, y)
    for _ in range(60):
        p = 0.5 * (1 + np.tanh(0.5 * (offset + k * u)))
        information = float((p * (1 - p) * u * u).sum())
        if information <= 0:
            break
        step = float(((y - p) * u).sum()) / information
        new = log_likelihood(offset + (k + step) * u, y)
        while new < value - 1e-12 and abs(step) > 1e-14 * (1 + abs(k)):
            step /= 2
            new = log_likelihood(offset + (k + step) * u, y)
        k, gain, value = k + step, new - value, new
        if gain < 1e-11:
            break
    return value


def _cluster_adjustment(fit: LogisticFit) -> tuple[float, float]:
    """Design effect of D50 and the quantile its likelihood drop is compared with (chi-square, or F(1, G - 1))."""
    from scipy import special

    if fit.clusters is None:
        return 1.0, float(special.chdtri(1, 0.05))
    b0, b1 = fit.coefficients.tolist()
    gradient = np.array([-1 / b1, b0 / b1**2])
    effect = float(gradient @ fit.covariance @ gradient) / float(gradient @ fit.model_covariance @ gradient)
    return effect, float(special.fdtri(1, fit.clusters - 1, 0.95))


def _gamma_effect(fit: LogisticFit, scale: str) -> float:
    n = 1 if scale == "log" else 0
    return float(fit.covariance[n, n] / fit.model_covariance[n, n])


def _profile(
    likelihood: Callable[[float], float], best: float, fit: LogisticFit, drop: float
) -> tuple[float | None, float | None]:
    """Where twice the drop of the profile likelihood reaches `drop`, on either side; None where it never does."""
    from scipy import optimize

    b0, b1 = fit.coefficients.tolist()
    gradient = np.array([-1 / b1, b0 / b1**2])
    width = math.sqrt(float(gradient @ fit.model_covariance @ gradient))

    def excess(x50: float) -> float:
        return 2 * (fit.log_likelihood - likelihood(x50)) - drop

    ends: list[float | None] = []
    for side in (-1.0, 1.0):
        inner, outer = best, best + side * width
        for _ in range(40):
            if excess(outer) > 0:
                ends.append(float(optimize.brentq(excess, inner, outer, xtol=1e-9 * (1 + abs(best)))))
                break
            inner, outer = outer, best + 1.6 * (outer - best)
        else:
            ends.append(None)
    return ends[0], ends[1]


def _gamma_profile(
    x: FloatArray, y: NDArray[np.bool_], fit: LogisticFit, scale: str, drop: float
) -> tuple[float | None, float | None]:
    """Interval of gamma50: of -b0 / 4 on the linear scale, of b1 / 4 on the logarithmic one."""
    from scipy import optimize

    b0, b1 = fit.coefficients.tolist()
    n = 1 if scale == "log" else 0
    best, sign = (b1, 0.25) if scale == "log" else (b0, -0.25)
    width = math.sqrt(fit.model_covariance[n, n])

    def excess(value: float) -> float:
        if scale == "log":
            found = _best_one(np.ones_like(x), y, b0 + (b1 - value) * float(x.mean()), value * x)
        else:
            found = _best_one(x, y, b1, value)
        return 2 * (fit.log_likelihood - found) - drop

    ends = []
    for side in (-1.0, 1.0):
        inner, outer = best, best + side * width
        for _ in range(40):
            if excess(outer) > 0:
                ends.append(sign * float(optimize.brentq(excess, inner, outer, xtol=1e-10 * (1 + abs(best)))))
                break
            inner, outer = outer, best + 1.6 * (outer - best)
        else:
            return None, None
    return min(ends), max(ends)


def _likelihood_ratio_p(fit: LogisticFit, y: NDArray[np.bool_]) -> float:
    share = float(y.mean())
    null = y.size * (share * math.log(share) + (1 - share) * math.log(1 - share))
    return chi2_p(max(2 * (fit.log_likelihood - null), 0.0), 1)


def _slope_p(z: float, clusters: int | None) -> float:
    from scipy import special

    if clusters is None:
        return math.erfc(abs(z) / math.sqrt(2))
    return float(2 * special.stdtr(clusters - 1, -abs(z)))


def _doubts(
    dose: FloatArray,
    y: NDArray[np.bool_],
    d50: float,
    bounds: tuple[float | None, float | None],
    clusters: int | None,
) -> tuple[Message, ...]:
    found = []
    few = min(int(y.sum()), int((~y).sum()))
    if few < 10:
        text = f"only {few} in the smaller of responders and non-responders; the curve is a sketch"
        found.append(Message("few-responders", text))
    if not dose.min() <= d50 <= dose.max():
        text = f"the 50 % dose, {d50:.4g} Gy, lies outside the doses seen ({dose.min():.4g} to {dose.max():.4g} Gy)"
        found.append(Message("d50-outside-doses", text))
    if None in bounds:
        found.append(Message("d50-unbounded", "the data do not bound the 50 % dose on both sides"))
    if clusters is not None and clusters < 20:
        text = f"only {clusters} patients; intervals robust to clustering are too narrow with so few"
        found.append(Message("few-patients", text))
    return tuple(found)
