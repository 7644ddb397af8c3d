"""Logistic regression by Newton's method, with model-based or cluster-robust variance.

References
----------
.. [1] Hosmer DW, Lemeshow S. Applied logistic regression, 2nd ed 2000.
.. [2] Liang KY, Zeger SL. Biometrika 1986;73:13 (robust variance, independence working correlation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import EvidenceError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LogisticFit:
    """Coefficients (intercept first), covariance, log likelihood, number of clusters (None without)."""

    coefficients: FloatArray
    covariance: FloatArray
    model_covariance: FloatArray
    log_likelihood: float
    clusters: int | None

    def probability(self, x: FloatArray) -> FloatArray:
        """Probability for rows of covariates, shape (n, p) without intercept."""
        return _expit(self.coefficients[0] + x @ self.coefficients[1:])


def fit_logistic(
    x: FloatArray,
    y: NDArray[np.bool_],
    *,
    names: Sequence[str],
    cluster: Sequence[object] | None = None,
    weights: FloatArray | None = None,
) -> LogisticFit:
    """Maximum-likelihood logistic regression.

    Parameters
    ----------
    x : ndarray, shape (n, p)
        Covariates without intercept.
    y : ndarray of bool, shape (n,)
        Outcome.
    names : sequence of str
        Covariates' names, for messages.
    cluster : sequence, optional
        Patient of each row; variance becomes robust, scaled by G / (G - 1) for G patients.
    weights : ndarray, optional
        Case weights.

    Raises
    ------
    EvidenceError
        If a covariate is constant or collinear, or separates the outcomes completely.
    """
    mean, scale = x.mean(axis=0), x.std(axis=0)
    for name, s in zip(names, scale, strict=True):
        if not s > 0:
            raise EvidenceError(f"covariate {name!r} is the same for all rows; leave it out")
    design = np.column_stack([np.ones(len(y)), (x - mean) / scale])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise EvidenceError(f"covariates {', '.join(names)} are collinear; leave one out")
    w = np.ones(len(y)) if weights is None else weights
    beta, loglik, information = _newton(design, y, w, names)
    model = np.linalg.inv(information)
    covariance, clusters = model, None
    if cluster is not None:
        labels = np.unique([str(c) for c in cluster], return_inverse=True)[1]
        clusters = int(labels.max()) + 1
        if clusters < 2:
            raise EvidenceError("clustered data need at least two patients")
        scores = np.zeros((clusters, design.shape[1]))
        np.add.at(scores, labels, design * (w * (y - _expit(design @ beta)))[:, None])
        covariance = model @ (scores.T @ scores) @ model * clusters / (clusters - 1)
    # Back to the covariates' own scale.
    back = np.eye(design.shape[1])
    back[1:, 1:] = np.diag(1 / scale)
    back[0, 1:] = -mean / scale
    return LogisticFit(back @ beta, back @ covariance @ back.T, back @ model @ back.T, loglik, clusters)


def _expit(t: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * t)), dtype=np.float64)


def log_likelihood(linear: FloatArray, y: NDArray[np.bool_], weights: FloatArray | float = 1.0) -> float:
    """Binomial log likelihood of a linear predictor."""
    return float(-np.sum(weights * np.logaddexp(0.0, np.where(y, -linear, linear))))


def _newton(
    design: FloatArray, y: NDArray[np.bool_], w: FloatArray, names: Sequence[str]
) -> tuple[FloatArray, float, FloatArray]:
    beta = np.zeros(design.shape[1])
    loglik = log_likelihood(design @ beta, y, w)
    for _ in range(60):
        p = _expit(design @ beta)
        information = (design * (w * p * (1 - p))[:, None]).T @ design
        if np.abs(beta).max() > 30 or np.linalg.cond(information) > 1e12:
            break
        step = np.linalg.solve(information, design.T @ (w * (y - p)))
        new = log_likelihood(design @ (beta + step), y, w)
        while new < loglik - 1e-10 and np.abs(step).max() > 1e-12:
            step = step / 2
            new = log_likelihood(design @ (beta + step), y, w)
        beta = beta + step
        done = np.abs(step).max() < 1e-10
        loglik = new
        if done:
            return beta, loglik, information
    raise EvidenceError(
        f"logistic regression on {', '.join(names)}: the covariates separate the outcomes completely, so the slope has "
        "no finite estimate"
    )
