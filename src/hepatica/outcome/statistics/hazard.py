"""What the models of hazards share: Cox's, and that of Fine and Gray."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.errors import EvidenceError
from hepatica.outcome.statistics.evidence import Z95, as_floats, normal_p

FloatArray = NDArray[np.float64]

SEPARATED = 8.0
"""Log hazard ratio per standard deviation of a covariate beyond which it separates: 3 000 times the hazard."""


def covariate_columns(covariates: Mapping[str, ArrayLike]) -> dict[str, FloatArray]:
    """Checked columns of numbers, by name."""
    return {name: as_floats(values, f"covariate {name!r}") for name, values in covariates.items()}


def wald(coefficient: float, standard_error: float) -> tuple[float, float, float, float]:
    """Hazard ratio, its 95 % interval and p from a log hazard ratio and its standard error."""
    b, s = float(coefficient), float(standard_error)
    return math.exp(b), math.exp(b - Z95 * s), math.exp(b + Z95 * s), normal_p(b / s)


def refuse_separation(model: str, beta: FloatArray, matrix: FloatArray, names: Sequence[str], instead: str) -> None:
    """Raise EvidenceError if a standardized covariate separates those with the event from the others.

    Parameters
    ----------
    model, instead : str
        Name of the model; test to compare the groups by instead.
    beta, matrix : ndarray
        Standardized coefficients; covariance or information.
    names : sequence of str
        Covariates.
    """
    if np.abs(beta).max() > SEPARATED or np.linalg.cond(matrix) > 1e12:
        worst = names[int(np.abs(beta).argmax())]
        raise EvidenceError(
            f"{model}: {worst!r} separates those with the event from the others; its hazard ratio has no finite "
            f"estimate. Compare the groups by {instead} instead"
        )
