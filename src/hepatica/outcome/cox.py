"""Proportional-hazards regression: Efron's partial likelihood, robust variance for clusters, test of proportionality.

References
----------
.. [1] Cox DR. J R Stat Soc B 1972;34:187; Efron B. J Am Stat Assoc 1977;72:557 (ties).
.. [2] Lin DY, Wei LJ. J Am Stat Assoc 1989;84:1074 (robust variance).
.. [3] Grambsch PM, Therneau TM. Biometrika 1994;81:515 (test of proportional hazards, here in its score form).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.errors import EvidenceError
from hepatica.outcome.evidence import (
    Z95,
    as_binary,
    as_floats,
    chi2_p,
    events_per_variable,
    normal_p,
    require_events,
    same_length,
)
from hepatica.outcome.survival import kaplan_meier

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Covariate:
    """One covariate of a Cox model: log hazard ratio, its standard error, hazard ratio with 95 % interval, p."""

    name: str
    coefficient: float
    standard_error: float
    hazard_ratio: float
    low: float
    high: float
    p: float
    proportional_chi2: float
    proportional_p: float


@dataclass(frozen=True, slots=True)
class CoxModel:
    """A fitted Cox model.

    Attributes
    ----------
    covariates : tuple of Covariate
        In the order given.
    n, events : int
        Patients and events.
    log_likelihood_null, log_likelihood : float
        Partial log likelihood without and with covariates.
    likelihood_ratio, p : float
        Test of all covariates together.
    proportional_chi2, proportional_p : float
        Global test of proportional hazards.
    concordance : float
        Chance that of two patients the one with the higher hazard dies first (Harrell).
    robust : bool
        Whether standard errors are robust (clusters).
    warnings : tuple of str
        What to doubt.
    """

    covariates: tuple[Covariate, ...]
    n: int
    events: int
    log_likelihood_null: float
    log_likelihood: float
    likelihood_ratio: float
    p: float
    proportional_chi2: float
    proportional_p: float
    concordance: float
    robust: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """Sorted by time."""

    time: FloatArray
    event: NDArray[np.bool_]
    x: FloatArray
    weight: FloatArray


def cox(
    time: ArrayLike,
    event: ArrayLike,
    covariates: Mapping[str, ArrayLike],
    *,
    cluster: Sequence[object] | None = None,
    weights: ArrayLike | None = None,
) -> CoxModel:
    """Fit a Cox model.

    Parameters
    ----------
    time, event : array_like, shape (n,)
        Time observed and event (0/1).
    covariates : mapping of str to array_like, shape (n,)
        Numbers; code groups as 0/1.
    cluster : sequence, optional
        Patient of each row, if rows are lesions: standard errors become robust.
    weights : array_like, optional
        Case weights (inverse probability of treatment); standard errors become robust.

    Raises
    ------
    EvidenceError
        For fewer than 5 events (or 5 per covariate), constant or collinear covariates, or a covariate that separates
        the events completely (the hazard ratio would be infinite).
    """
    data, order, warnings = _prepared(time, event, covariates, weights)
    names = list(covariates)
    mean, scale = data.x.mean(axis=0), data.x.std(axis=0)
    data = replace(data, x=(data.x - mean) / scale)
    beta, loglik, information = _newton(data, names)
    null = _likelihood(data, np.zeros(len(names)))[0]
    covariance = np.linalg.inv(information)
    robust = cluster is not None or weights is not None
    if robust:
        labels = np.arange(order.size)
        if cluster is not None:
            same_length(time=order, cluster=list(cluster))
            labels = np.unique([str(c) for c in cluster], return_inverse=True)[1]
        influence = _score_residuals(data, beta) @ covariance
        grouped = np.zeros((int(labels.max()) + 1, len(names)))
        np.add.at(grouped, labels[order], influence * data.weight[:, None])
        covariance = grouped.T @ grouped
    single, overall = _proportionality(data, beta)
    rows = _rows(names, beta / scale, np.sqrt(np.diag(covariance)) / scale, single)
    warnings += [
        f"{row.name}: hazards are not proportional (p = {row.proportional_p:.3g}); one hazard ratio for all times does "
        "not describe it"
        for row in rows
        if row.proportional_p < 0.05
    ]
    ratio = 2 * (loglik - null)
    return CoxModel(
        rows,
        order.size,
        int(data.event.sum()),
        null,
        loglik,
        ratio,
        chi2_p(max(ratio, 0.0), len(names)),
        overall,
        chi2_p(overall, len(names)),
        concordance(data.time, data.event, data.x @ beta),
        robust,
        tuple(warnings),
    )


def _prepared(
    time: ArrayLike, event: ArrayLike, covariates: Mapping[str, ArrayLike], weights: ArrayLike | None
) -> tuple[_Data, NDArray[np.intp], list[str]]:
    """Rows sorted by time (events first), their order in the input, and warnings; EvidenceError if they cannot do."""
    t, e = as_floats(time, "survival time"), as_binary(event, "event")
    columns = {name: as_floats(values, f"covariate {name!r}") for name, values in covariates.items()}
    same_length(time=t, event=e, **columns)
    require_events(int(e.sum()), "Cox model")
    warnings = list(events_per_variable(int(e.sum()), len(columns), "Cox model"))
    for name, column in columns.items():
        if np.ptp(column) == 0:
            raise EvidenceError(f"covariate {name!r} is the same for all patients; leave it out")
    w = np.ones(t.size) if weights is None else as_floats(weights, "weights")
    if (w <= 0).any():
        raise EvidenceError("weights must be positive")
    x = np.stack(list(columns.values()), axis=1)
    if np.linalg.matrix_rank((x - x.mean(axis=0)) / x.std(axis=0)) < len(columns):
        raise EvidenceError(f"covariates {', '.join(columns)} are collinear; leave one out")
    order = np.lexsort((~e, t))
    return _Data(t[order], e[order], x[order], w[order]), order, warnings


def _rows(
    names: Sequence[str], coefficients: FloatArray, errors: FloatArray, proportional: Sequence[float]
) -> tuple[Covariate, ...]:
    return tuple(
        Covariate(
            name,
            float(b),
            float(s),
            math.exp(b),
            math.exp(b - Z95 * s),
            math.exp(b + Z95 * s),
            normal_p(b / s),
            chi2,
            chi2_p(chi2, 1),
        )
        for name, b, s, chi2 in zip(names, coefficients, errors, proportional, strict=True)
    )


def _newton(data: _Data, names: Sequence[str]) -> tuple[FloatArray, float, FloatArray]:
    beta = np.zeros(data.x.shape[1])
    loglik, score, information = _likelihood(data, beta)
    for _ in range(50):
        step = np.linalg.solve(information, score)
        while True:
            candidate = beta + step
            new = _likelihood(data, candidate)
            if new[0] >= loglik - 1e-10 or np.abs(step).max() < 1e-12:
                break
            step = step / 2
        done = abs(new[0] - loglik) < 1e-12 * (1 + abs(loglik)) and np.abs(step).max() < 1e-8
        beta, (loglik, score, information) = candidate, new
        if np.abs(beta).max() > 20 or np.linalg.cond(information) > 1e12:
            worst = names[int(np.abs(beta).argmax())]
            raise EvidenceError(
                f"Cox model: {worst!r} separates those with the event from the others; its hazard ratio has no finite "
                "estimate. Compare the groups by log-rank test instead"
            )
        if done:
            return beta, loglik, information
    raise EvidenceError("Cox model: the fit does not converge; fewer covariates may help")


def _tied_terms(data: _Data, beta: FloatArray) -> list[tuple[NDArray[np.intp], FloatArray, FloatArray, FloatArray]]:
    """For every event time: dying rows, and Efron's d denominators, means (d, p) and covariances (d, p, p)."""
    risk = data.weight * np.exp(data.x @ beta)
    weighted = risk[:, None] * data.x
    squared = weighted[:, :, None] * data.x[:, None, :]
    # Sums over everyone still at risk, from the end.
    s0, s1, s2 = (np.cumsum(a[::-1], axis=0)[::-1] for a in (risk, weighted, squared))
    terms = []
    for moment in np.unique(data.time[data.event]):
        first = int(np.searchsorted(data.time, moment))
        dying = np.flatnonzero((data.time == moment) & data.event)
        share = np.arange(dying.size) / dying.size
        denominator = s0[first] - share * risk[dying].sum()
        means = (s1[first] - share[:, None] * weighted[dying].sum(axis=0)) / denominator[:, None]
        second = (s2[first] - share[:, None, None] * squared[dying].sum(axis=0)) / denominator[:, None, None]
        terms.append((dying, denominator, means, second - means[:, :, None] * means[:, None, :]))
    return terms


def _likelihood(data: _Data, beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Efron's partial log likelihood, score and information."""
    p = beta.size
    loglik, score, information = 0.0, np.zeros(p), np.zeros((p, p))
    for dying, denominator, means, spreads in _tied_terms(data, beta):
        w = data.weight[dying]
        mean_weight = float(w.mean())
        loglik += float(w @ (data.x[dying] @ beta)) - mean_weight * float(np.log(denominator).sum())
        score += w @ data.x[dying] - mean_weight * means.sum(axis=0)
        information += mean_weight * spreads.sum(axis=0)
    return loglik, score, information


def _score_residuals(data: _Data, beta: FloatArray) -> FloatArray:
    """Score residual of every row (Efron), shape (n, p)."""
    risk = np.exp(data.x @ beta)
    out = np.zeros_like(data.x)
    for dying, denominator, means, _ in _tied_terms(data, beta):
        d = dying.size
        share = np.arange(d) / d
        mean_weight = float(data.weight[dying].mean())
        out[dying] += data.x[dying] - means.mean(axis=0)
        at_risk = data.time >= data.time[dying[0]]
        hazard = mean_weight / denominator
        pull = hazard.sum() * data.x[at_risk] - (hazard[:, None] * means).sum(axis=0)
        out[at_risk] -= risk[at_risk, None] * pull
        # A dying row counts only 1 - l/d in Efron's l-th denominator.
        relief = (hazard * share).sum() * data.x[dying] - ((hazard * share)[:, None] * means).sum(axis=0)
        out[dying] += risk[dying, None] * relief
    return out


def _proportionality(data: _Data, beta: FloatArray) -> tuple[list[float], float]:
    """Score test of a time-dependent effect beta + theta g(t), g = 1 - Kaplan-Meier just before t."""
    curve = kaplan_meier(data.time, data.event)
    p = beta.size
    score = np.zeros(p)
    i_bb, i_bg, i_gg = np.zeros((p, p)), np.zeros((p, p)), np.zeros((p, p))
    moments = np.unique(data.time[data.event])
    index = np.searchsorted(curve.times, moments)
    g = 1 - np.concatenate(([1.0], curve.survival))[index]
    deaths = np.array([int(((data.time == m) & data.event).sum()) for m in moments])
    g = g - float((g * deaths).sum() / deaths.sum())
    for value, (dying, _, means, spreads) in zip(g, _tied_terms(data, beta), strict=True):
        w = data.weight[dying]
        mean_weight = float(w.mean())
        score += value * (w @ data.x[dying] - mean_weight * means.sum(axis=0))
        v = mean_weight * spreads.sum(axis=0)
        i_bb += v
        i_bg += value * v
        i_gg += value**2 * v
    spread = i_gg - i_bg.T @ np.linalg.solve(i_bb, i_bg)
    overall = float(score @ np.linalg.solve(spread, score))
    single = []
    for n in range(p):
        own = i_gg[n, n] - i_bg[:, n] @ np.linalg.solve(i_bb, i_bg[:, n])
        single.append(float(score[n] ** 2 / own))
    return single, overall


def concordance(time: ArrayLike, event: ArrayLike, risk: ArrayLike) -> float:
    """Harrell's concordance: share of comparable pairs in which the higher risk dies first, ties in risk count half."""
    t, e, r = np.asarray(time, float), np.asarray(event, bool), np.asarray(risk, float)
    agree = total = 0.0
    for n in np.flatnonzero(e):
        later = (t > t[n]) | ((t == t[n]) & ~e)
        total += later.sum()
        agree += (r[n] > r[later]).sum() + 0.5 * (r[n] == r[later]).sum()
    if total == 0:
        raise EvidenceError("concordance: no pair of patients can be compared")
    return float(agree / total)
