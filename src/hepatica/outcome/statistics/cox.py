"""Proportional-hazards regression: lifelines' fit (Efron), robust variance for clusters, test of proportionality.

Robust variance and test are our own: with tied times lifelines' score residuals are not Efron's (robust standard errors
differ from R's in the third digit), and its test is the approximation of 1994, not the score test that R has used since
2019.

References
----------
.. [1] Cox DR. J R Stat Soc B 1972;34:187; Efron B. J Am Stat Assoc 1977;72:557 (ties).
.. [2] Lin DY, Wei LJ. J Am Stat Assoc 1989;84:1074 (robust variance).
.. [3] Grambsch PM, Therneau TM. Biometrika 1994;81:515 (test of proportional hazards, here in its score form).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.errors import EvidenceError
from hepatica.outcome.statistics.evidence import (
    as_binary,
    as_floats,
    chi2_p,
    events_per_variable,
    layers_of,
    require_events,
    same_length,
    standardized,
)
from hepatica.outcome.statistics.hazard import covariate_columns, refuse_separation, wald

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
    proportional_hazards_chi2: float
    proportional_hazards_p: float


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
    likelihood_ratio_chi2, p : float
        Test of all covariates together.
    proportional_hazards_chi2, proportional_hazards_p : float
        Global test of proportional hazards.
    concordance : float
        Chance that of two patients the one with the higher hazard dies first (Harrell).
    robust_standard_errors : bool
        Whether standard errors are robust (clusters, weights).
    messages : tuple of Message
        What to doubt.
    """

    covariates: tuple[Covariate, ...]
    n: int
    events: int
    log_likelihood_null: float
    log_likelihood: float
    likelihood_ratio_chi2: float
    p: float
    proportional_hazards_chi2: float
    proportional_hazards_p: float
    concordance: float
    robust_standard_errors: bool
    messages: tuple[Message, ...] = field(default=(), metadata=HIDDEN)


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """Sorted by stratum and time; covariates standardized."""

    time: FloatArray
    event: NDArray[np.bool_]
    x: FloatArray
    weight: FloatArray
    stratum: NDArray[np.intp]


def cox(
    time: ArrayLike,
    event: ArrayLike,
    covariates: Mapping[str, ArrayLike],
    *,
    cluster: Sequence[object] | None = None,
    weights: ArrayLike | None = None,
    strata: Sequence[object] | None = None,
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
    strata : sequence, optional
        Stratum of each row (centre): each has its own baseline hazard.

    Raises
    ------
    EvidenceError
        For fewer than 5 events (or 5 per covariate), constant or collinear covariates, or a covariate that separates
        the events completely (the hazard ratio would be infinite).
    """
    names = list(covariates)
    data, order, scale, messages = _prepared(time, event, covariates, (weights, strata))
    beta, model, loglik = _fit(data, names, weighted=weights is not None)
    null = _log_likelihood(data, np.zeros(len(names)))
    robust = cluster is not None or weights is not None
    if cluster is not None:
        same_length(time=order, cluster=list(cluster))
    covariance = _robust(data, beta, model, order, cluster) if robust else model
    single, overall = _proportionality(data, beta)
    rows = _rows(names, beta / scale, np.sqrt(np.diag(covariance)) / scale, single)
    messages += [_not_proportional(row) for row in rows if row.proportional_hazards_p < 0.05]
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
        concordance(data.time, data.event, data.x @ beta, strata=data.stratum.tolist()),
        robust,
        tuple(messages),
    )


def _not_proportional(row: Covariate) -> Message:
    text = (
        f"{row.name}: hazards are not proportional (p = {row.proportional_hazards_p:.3g}); one hazard ratio for all "
        "times does not describe it"
    )
    return Message("hazards-not-proportional", text)


def _prepared(
    time: ArrayLike,
    event: ArrayLike,
    covariates: Mapping[str, ArrayLike],
    given: tuple[ArrayLike | None, Sequence[object] | None],
) -> tuple[_Data, NDArray[np.intp], FloatArray, list[Message]]:
    """Rows sorted by stratum and time (events first), their order in the input, the covariates' scale, messages."""
    t, e = as_floats(time, "survival time"), as_binary(event, "event")
    columns = covariate_columns(covariates)
    weights, strata = given
    layer = np.zeros(t.size, int) if strata is None else np.unique([str(s) for s in strata], return_inverse=True)[1]
    same_length(time=t, event=e, strata=layer, **columns)
    require_events(int(e.sum()), "Cox model")
    messages = list(events_per_variable(int(e.sum()), len(columns), "Cox model"))
    w = np.ones(t.size) if weights is None else as_floats(weights, "weights")
    if (w <= 0).any():
        raise EvidenceError("weights must be positive")
    x, _, scale = standardized(columns)
    order = np.lexsort((~e, t, layer))
    return _Data(t[order], e[order], x[order], w[order], layer[order]), order, scale, messages


def _fit(data: _Data, names: Sequence[str], *, weighted: bool) -> tuple[FloatArray, FloatArray, float]:
    """Coefficients, model-based covariance and log likelihood, by lifelines."""
    import warnings

    import pandas as pd
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError

    frame = pd.DataFrame(data.x, columns=[str(n) for n in range(len(names))]).assign(
        time=data.time, event=data.event, weight=data.weight, stratum=data.stratum
    )
    strata = ["stratum"] if data.stratum.any() else None
    fitter = CoxPHFitter()
    with warnings.catch_warnings():
        # Separation shows in the coefficients; what lifelines says of weights and variances is said here in our words.
        warnings.simplefilter("ignore")
        try:
            fitter.fit(
                frame if strata else frame.drop(columns="stratum"),
                "time",
                "event",
                weights_col="weight",
                strata=strata,
                robust=False,
                fit_options={"precision": 1e-14, "r_precision": 1e-14},
            )
        except ConvergenceError as error:
            raise EvidenceError("Cox model: the fit does not converge; fewer covariates may help") from error
    beta = np.asarray(fitter.params_, dtype=np.float64)
    covariance = np.asarray(fitter.variance_matrix_, dtype=np.float64)
    refuse_separation("Cox model", beta, covariance, names, "log-rank test")
    return beta, covariance, float(fitter.log_likelihood_)


def _robust(
    data: _Data,
    beta: FloatArray,
    covariance: FloatArray,
    order: NDArray[np.intp],
    cluster: Sequence[object] | None,
) -> FloatArray:
    """Sandwich variance from Efron's score residuals, added up over the rows of a cluster."""
    labels = np.arange(order.size)
    if cluster is not None:
        labels = np.unique([str(c) for c in cluster], return_inverse=True)[1]
    influence = _score_residuals(data, beta) @ covariance
    grouped = np.zeros((int(labels.max()) + 1, beta.size))
    np.add.at(grouped, labels[order], influence * data.weight[:, None])
    return np.asarray(grouped.T @ grouped, dtype=np.float64)


def _rows(
    names: Sequence[str], coefficients: FloatArray, errors: FloatArray, proportional: Sequence[float]
) -> tuple[Covariate, ...]:
    return tuple(
        Covariate(name, float(b), float(s), *wald(b, s), chi2, chi2_p(chi2, 1))
        for name, b, s, chi2 in zip(names, coefficients, errors, proportional, strict=True)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Tie:
    """One event time of one stratum: rows that die and rows at risk; Efron's d denominators, means, covariances."""

    dying: NDArray[np.intp]
    at_risk: slice
    denominator: FloatArray
    means: FloatArray
    spreads: FloatArray


def _ties(data: _Data, beta: FloatArray) -> Iterator[_Tie]:
    """Every event time of every stratum."""
    risk = data.weight * np.exp(data.x @ beta)
    weighted = risk[:, None] * data.x
    squared = weighted[:, :, None] * data.x[:, None, :]
    edges = np.flatnonzero(np.diff(data.stratum, prepend=-1, append=-1))
    for start, end in itertools.pairwise(edges.tolist()):
        time, event = data.time[start:end], data.event[start:end]
        # Sums over everyone still at risk, from the end.
        s0, s1, s2 = (np.cumsum(a[start:end][::-1], axis=0)[::-1] for a in (risk, weighted, squared))
        for moment in np.unique(time[event]):
            first = int(np.searchsorted(time, moment))
            dying = start + np.flatnonzero((time == moment) & event)
            share = np.arange(dying.size) / dying.size
            denominator = s0[first] - share * risk[dying].sum()
            means = (s1[first] - share[:, None] * weighted[dying].sum(axis=0)) / denominator[:, None]
            second = (s2[first] - share[:, None, None] * squared[dying].sum(axis=0)) / denominator[:, None, None]
            spreads = second - means[:, :, None] * means[:, None, :]
            yield _Tie(dying, slice(start + first, end), denominator, means, spreads)


def _log_likelihood(data: _Data, beta: FloatArray) -> float:
    """Efron's partial log likelihood."""
    total = 0.0
    for tie in _ties(data, beta):
        w = data.weight[tie.dying]
        total += float(w @ (data.x[tie.dying] @ beta)) - float(w.mean()) * float(np.log(tie.denominator).sum())
    return total


def _score_residuals(data: _Data, beta: FloatArray) -> FloatArray:
    """Score residual of every row (Efron), shape (n, p)."""
    risk = np.exp(data.x @ beta)
    out = np.zeros_like(data.x)
    for tie in _ties(data, beta):
        dying, means = tie.dying, tie.means
        share = np.arange(dying.size) / dying.size
        out[dying] += data.x[dying] - means.mean(axis=0)
        hazard = float(data.weight[dying].mean()) / tie.denominator
        pull = hazard.sum() * data.x[tie.at_risk] - (hazard[:, None] * means).sum(axis=0)
        out[tie.at_risk] -= risk[tie.at_risk, None] * pull
        # A dying row counts only 1 - l/d in Efron's l-th denominator.
        relief = (hazard * share).sum() * data.x[dying] - ((hazard * share)[:, None] * means).sum(axis=0)
        out[dying] += risk[dying, None] * relief
    return out


def _proportionality(data: _Data, beta: FloatArray) -> tuple[list[float], float]:
    """Score test of a time-dependent effect beta + theta g(t), g = 1 - Kaplan-Meier (of all strata) just before t."""
    p = beta.size
    score = np.zeros(p)
    i_bb, i_bg, i_gg = np.zeros((p, p)), np.zeros((p, p)), np.zeros((p, p))
    moments, g = _time_scale(data)
    for tie in _ties(data, beta):
        value = float(g[np.searchsorted(moments, data.time[tie.dying[0]])])
        w = data.weight[tie.dying]
        mean_weight = float(w.mean())
        score += value * (w @ data.x[tie.dying] - mean_weight * tie.means.sum(axis=0))
        v = mean_weight * tie.spreads.sum(axis=0)
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


def _time_scale(data: _Data) -> tuple[FloatArray, FloatArray]:
    """Event times and g there, with mean 0 over the events."""
    moments, deaths = np.unique(data.time[data.event], return_counts=True)
    at_risk = data.time.size - np.searchsorted(np.sort(data.time), moments)
    survival = np.cumprod(1 - deaths / at_risk)
    g = 1 - np.concatenate(([1.0], survival[:-1]))
    return moments, np.asarray(g - float((g * deaths).sum() / deaths.sum()), dtype=np.float64)


def concordance(time: ArrayLike, event: ArrayLike, risk: ArrayLike, *, strata: Sequence[object] | None = None) -> float:
    """Harrell's concordance: share of comparable pairs (of one stratum) in which the higher risk dies first.

    Ties in risk, to ten digits, count half (lifelines lets rounding decide them).
    """
    t, e, r = np.asarray(time, float), np.asarray(event, bool), np.round(np.asarray(risk, float), 10)
    layers = layers_of(strata, t.size)
    agree = total = 0.0
    for n in np.flatnonzero(e):
        later = ((t > t[n]) | ((t == t[n]) & ~e)) & (layers == layers[n])
        total += later.sum()
        agree += (r[n] > r[later]).sum() + 0.5 * (r[n] == r[later]).sum()
    if total == 0:
        raise EvidenceError("concordance: no pair of patients can be compared")
    return float(agree / total)
