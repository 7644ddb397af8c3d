"""Regression on the cumulative incidence of one cause while others compete: the model of Fine and Gray.

Neither lifelines nor statsmodels has it; coefficients and standard errors equal those of R's cmprsk::crr.

References
----------
.. [1] Fine JP, Gray RJ. J Am Stat Assoc 1999;94:496 (estimating equations; variance with the censoring estimated).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.errors import EvidenceError
from hepatica.outcome.statistics.evidence import (
    as_floats,
    chi2_p,
    events_per_variable,
    require_events,
    same_length,
    standardized,
)
from hepatica.outcome.statistics.hazard import covariate_columns, refuse_separation, wald

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SubdistributionRatio:
    """One covariate: log subdistribution hazard ratio, its standard error, ratio with 95 % interval, p."""

    name: str
    coefficient: float
    standard_error: float
    subdistribution_hazard_ratio: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class FineGrayModel:
    """A fitted model: covariates in the order given, patients, events of the cause and competing ones.

    Attributes
    ----------
    covariates : tuple of SubdistributionRatio
        In the order given. A ratio above 1 means a higher incidence, whichever way it comes about.
    n, events, competing_events : int
        Patients, events of the cause, competing events.
    log_likelihood_null, log_likelihood : float
        Pseudo log likelihood without and with covariates.
    pseudo_likelihood_ratio_chi2, p : float
        Twice their difference (cmprsk's pseudo likelihood ratio test), and its p.
    messages : tuple of Message
        What to doubt.
    """

    covariates: tuple[SubdistributionRatio, ...]
    n: int
    events: int
    competing_events: int
    log_likelihood_null: float
    log_likelihood: float
    pseudo_likelihood_ratio_chi2: float
    p: float
    messages: tuple[Message, ...] = field(default=(), metadata=HIDDEN)


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """Sorted by time; covariates standardized; `free` is the share not yet censored just before each time."""

    time: FloatArray
    own: NDArray[np.bool_]
    other: NDArray[np.bool_]
    x: FloatArray
    free: FloatArray

    @property
    def first(self) -> NDArray[np.intp]:
        """For each row the first row of the same time."""
        return np.searchsorted(self.time, self.time)


def fine_gray(
    time: ArrayLike, cause: Sequence[object], covariates: Mapping[str, ArrayLike], *, event: object = 1
) -> FineGrayModel:
    """Fit a proportional subdistribution hazards model.

    Parameters
    ----------
    time : array_like, shape (n,)
        Time observed.
    cause : sequence, length n
        What happened then: `event` is the cause of interest, 0 the end of observation, anything else competes.
    covariates : mapping of str to array_like, shape (n,)
        Numbers; code groups as 0/1.
    event : object
        The mark of the cause of interest.

    Raises
    ------
    EvidenceError
        For fewer than 5 events of the cause (or 5 per covariate), constant or collinear covariates, or one that
        separates the events completely.

    Notes
    -----
    A patient with a competing event stays in the risk set with the weight G(t-) / G(T-), the share that censoring would
    have left; tied events share one risk set (Breslow), as in R.
    """
    names = list(covariates)
    data, scale, messages = _prepared(time, cause, covariates, event)
    beta, loglik, information = _newton(data, names)
    null = _likelihood(data, np.zeros(len(names)))[0]
    inverse = np.linalg.inv(information)
    influence = _influence(data, beta) @ inverse
    errors = np.sqrt(np.diag(influence.T @ influence)) / scale
    ratio = 2 * (loglik - null)
    return FineGrayModel(
        tuple(
            SubdistributionRatio(name, b, s, *wald(b, s))
            for name, b, s in zip(names, (beta / scale).tolist(), errors.tolist(), strict=True)
        ),
        data.time.size,
        int(data.own.sum()),
        int(data.other.sum()),
        null,
        loglik,
        ratio,
        chi2_p(max(ratio, 0.0), len(names)),
        tuple(messages),
    )


def _prepared(
    time: ArrayLike, cause: Sequence[object], covariates: Mapping[str, ArrayLike], event: object
) -> tuple[_Data, FloatArray, list[Message]]:
    t = as_floats(time, "survival time")
    columns = covariate_columns(covariates)
    same_length(time=t, cause=list(cause), **columns)
    own = np.array([str(c) == str(event) for c in cause])
    other = np.array([str(c) not in (str(event), "0") for c in cause])
    require_events(int(own.sum()), "Fine-Gray model")
    messages = list(events_per_variable(int(own.sum()), len(columns), "Fine-Gray model"))
    if not other.any():
        text = "Fine-Gray model: no competing event happened; it says what the Cox model says"
        messages.append(Message("no-competing-event", text, severity="note"))
    x, _, scale = standardized(columns)
    order = np.argsort(t, kind="stable")
    t, own, other = t[order], own[order], other[order]
    return _Data(t, own, other, x[order], _uncensored(t, ~(own | other))), scale, messages


def _uncensored(t: FloatArray, censored: NDArray[np.bool_]) -> FloatArray:
    """Kaplan-Meier share not censored just before each (sorted) time."""
    times, first = np.unique(t, return_index=True)
    at_risk = t.size - first
    lost = np.bincount(np.searchsorted(times, t), weights=censored)
    after = np.cumprod(1 - lost / at_risk)
    return np.concatenate(([1.0], after[:-1]))[np.searchsorted(times, t)]


def _sums(data: _Data, values: FloatArray) -> FloatArray:
    """For each row's time u the sum of `values` over the weighted risk set at u; first axis runs over rows."""
    shape = (-1,) + (1,) * (values.ndim - 1)
    remaining = np.cumsum(values[::-1], axis=0)[::-1][data.first]
    kept = np.where(data.other, 1 / data.free, 0.0).reshape(shape) * values
    before = np.concatenate((np.zeros((1, *values.shape[1:])), np.cumsum(kept, axis=0)))[data.first]
    return np.asarray(remaining + data.free.reshape(shape) * before, dtype=np.float64)


def _moments(data: _Data, beta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sum of risks and mean covariates of the risk set at each row's time."""
    risk = np.exp(data.x @ beta)
    s0 = _sums(data, risk)
    return s0, _sums(data, risk[:, None] * data.x) / s0[:, None]


def _likelihood(data: _Data, beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Pseudo log likelihood, score and information."""
    risk = np.exp(data.x @ beta)
    s0, means = _moments(data, beta)
    second = _sums(data, risk[:, None, None] * data.x[:, :, None] * data.x[:, None, :]) / s0[:, None, None]
    own = data.own
    loglik = float((data.x[own] @ beta - np.log(s0[own])).sum())
    score = (data.x[own] - means[own]).sum(axis=0)
    information = (second[own] - means[own][:, :, None] * means[own][:, None, :]).sum(axis=0)
    return loglik, score, information


def _newton(data: _Data, names: Sequence[str]) -> tuple[FloatArray, float, FloatArray]:
    beta = np.zeros(data.x.shape[1])
    loglik, score, information = _likelihood(data, beta)
    for _ in range(60):
        step = np.linalg.solve(information, score)
        new = _likelihood(data, beta + step)
        while new[0] < loglik - 1e-10 and np.abs(step).max() > 1e-12:
            step = step / 2
            new = _likelihood(data, beta + step)
        beta, (loglik, score, information) = beta + step, new
        refuse_separation("Fine-Gray model", beta, information, names, "Gray's test")
        if np.abs(step).max() < 1e-10:
            return beta, loglik, information
    raise EvidenceError("Fine-Gray model: the fit does not converge; fewer covariates may help")


def _influence(data: _Data, beta: FloatArray) -> FloatArray:
    """Influence of every row on the score, shape (n, p): its own part and that through the censoring estimate."""
    risk = np.exp(data.x @ beta)
    s0, means = _moments(data, beta)
    hazard = np.where(data.own, 1 / s0, 0.0)  # of each event; tied ones add up
    last = np.searchsorted(data.time, data.time, side="right")

    def up_to(values: FloatArray, rows: NDArray[np.intp]) -> FloatArray:
        return np.concatenate((np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)))[rows]

    def later(values: FloatArray, rows: NDArray[np.intp]) -> FloatArray:
        return np.asarray(values.sum(axis=0) - up_to(values, rows), dtype=np.float64)

    x, first = data.x, data.first
    shrunk = hazard * data.free
    while_at_risk = x * up_to(hazard, last)[:, None] - up_to(hazard[:, None] * means, last)
    afterwards = x * later(shrunk, last)[:, None] - later(shrunk[:, None] * means, last)
    kept = np.where(data.other, risk / data.free, 0.0)
    eta = np.where(data.own[:, None], x - means, 0.0) - risk[:, None] * while_at_risk - kept[:, None] * afterwards
    # Through G: censoring at c lowers the weight, from c on, of everyone with a competing event before c.
    q = up_to(kept[:, None] * x, first) * later(shrunk, first)[:, None]
    q -= up_to(kept, first)[:, None] * later(shrunk[:, None] * means, first)
    at_risk = (data.time.size - first).astype(np.float64)[:, None]
    share = np.where((data.own | data.other)[:, None], 0.0, q / at_risk)
    return np.asarray(eta + share - up_to(share / at_risk, last), dtype=np.float64)
