"""Logistic regression by statsmodels, with model-based or cluster-robust variance, and refusal of separated data.

References
----------
.. [1] Hosmer DW, Lemeshow S. Applied logistic regression, 2nd ed 2000.
.. [2] Liang KY, Zeger SL. Biometrika 1986;73:13 (robust variance, independence working correlation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import EvidenceError
from hepatica.outcome.statistics.evidence import standardized

FloatArray = NDArray[np.float64]

SEPARATED = 15.0
"""Log odds per standard deviation of a covariate beyond which it separates."""


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

    Raises
    ------
    EvidenceError
        If a covariate is constant or collinear, or separates the outcomes completely.
    """
    scaled, mean, scale = standardized(dict(zip(names, x.T, strict=True)), "rows")
    design = np.column_stack([np.ones(len(y)), scaled])
    labels = None if cluster is None else np.unique([str(c) for c in cluster], return_inverse=True)[1]
    clusters = None if labels is None else int(labels.max()) + 1
    if clusters is not None and clusters < 2:
        raise EvidenceError("clustered data need at least two patients")
    fit = _fit(design, y, names)
    beta, model = np.asarray(fit.params), np.asarray(fit.cov_params())
    covariance = model
    if labels is not None and clusters is not None:
        from statsmodels.stats.sandwich_covariance import cov_cluster

        covariance = np.asarray(cov_cluster(fit, labels, use_correction=False)) * clusters / (clusters - 1)
    # Back to the covariates' own scale.
    back = np.eye(design.shape[1])
    back[1:, 1:] = np.diag(1 / scale)
    back[0, 1:] = -mean / scale
    linear = design @ beta
    return LogisticFit(
        back @ beta, back @ covariance @ back.T, back @ model @ back.T, log_likelihood(linear, y), clusters
    )


def _expit(t: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * t)), dtype=np.float64)


def log_likelihood(linear: FloatArray, y: NDArray[np.bool_]) -> float:
    """Binomial log likelihood of a linear predictor."""
    return float(-np.sum(np.logaddexp(0.0, np.where(y, -linear, linear))))


def _fit(design: FloatArray, y: NDArray[np.bool_], names: Sequence[str]) -> Any:
    import warnings

    import statsmodels.api as sm

    model = sm.GLM(y.astype(float), design, family=sm.families.Binomial())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # separation shows in the coefficients, and is said below
        fit = model.fit(maxiter=100, tol=1e-13, tol_criterion="params")
    if not fit.converged or np.abs(fit.params).max() > SEPARATED or np.linalg.cond(fit.cov_params()) > 1e12:
        raise EvidenceError(
            f"logistic regression on {', '.join(names)}: the covariates separate the outcomes completely, so the slope "
            "has no finite estimate"
        )
    return fit
