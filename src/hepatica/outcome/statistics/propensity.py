"""Comparing two agents that were not randomized: weights by the chance of having been given one of them.

References
----------
.. [1] Rosenbaum PR, Rubin DB. Biometrika 1983;70:41.
.. [2] Li F, Morgan KL, Zaslavsky AM. J Am Stat Assoc 2018;113:390 (overlap weights).
.. [3] Austin PC. Stat Med 2009;28:3083 (standardized differences).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.errors import UnknownNameError
from hepatica.outcome.statistics.evidence import as_binary, events_per_variable, require_events, same_length
from hepatica.outcome.statistics.hazard import covariate_columns
from hepatica.outcome.statistics.logistic import fit_logistic

Target = Literal["overlap", "all"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Balance:
    """Standardized mean difference of a covariate between the groups, before and after weighting."""

    name: str
    before: float
    after: float


@dataclass(frozen=True, slots=True, eq=False)
class Propensity:
    """Weights for a comparison of two groups.

    Attributes
    ----------
    score : ndarray
        Chance of each patient to be in the treated group.
    weights : ndarray
        Normalized to mean 1 in each group.
    target : str
        "overlap" (patients who might have got either) or "all" (stabilized inverse probability).
    balance : tuple of Balance
        One per covariate.
    effective_n : tuple of float
        Kish's effective number of patients, (untreated, treated).
    messages : tuple of Message
        Residual imbalance, little overlap.
    """

    score: FloatArray = field(metadata=HIDDEN)
    weights: FloatArray = field(metadata=HIDDEN)
    target: str
    balance: tuple[Balance, ...]
    effective_n: tuple[float, float]
    messages: tuple[Message, ...] = field(default=(), metadata=HIDDEN)


def propensity(treated: ArrayLike, covariates: Mapping[str, ArrayLike], *, target: Target = "overlap") -> Propensity:
    """Propensity weights by logistic regression of treatment on covariates.

    Parameters
    ----------
    treated : array_like, shape (n,)
        Which of two treatments (0/1).
    covariates : mapping of str to array_like
        What may have decided it, known before treatment.
    target : {"overlap", "all"}
        Whom the weighted groups stand for.

    Raises
    ------
    EvidenceError
        With fewer than 5 patients per covariate in the smaller group, or covariates that predict treatment completely.
    """
    if target not in ("overlap", "all"):
        raise UnknownNameError("target of the weights", target, ("overlap", "all"))
    z = as_binary(treated, "treatment")
    columns = covariate_columns(covariates)
    same_length(treatment=z, **columns)
    smaller = min(int(z.sum()), int((~z).sum()))
    require_events(smaller, "propensity score (patients in the smaller group)")
    messages = list(events_per_variable(smaller, len(columns), "propensity score"))
    x = np.stack(list(columns.values()), axis=1)
    score = fit_logistic(x, z, names=list(columns)).probability(x)
    if target == "overlap":
        weights = np.where(z, 1 - score, score)
    else:
        weights = np.where(z, z.mean() / score, (1 - z.mean()) / (1 - score))
        if weights.max() > 10:
            text = f"a patient counts {weights.max():.0f} times: little overlap"
            messages.append(Message("little-overlap", text, "use overlap weights"))
    for group in (z, ~z):
        weights[group] /= weights[group].mean()
    balance = tuple(
        Balance(name, _difference(v, z, np.ones(z.size)), _difference(v, z, weights)) for name, v in columns.items()
    )
    messages += [
        Message("still-unbalanced", f"{b.name}: groups still differ by {b.after:.2f} standard deviations")
        for b in balance
        if abs(b.after) > 0.1
    ]
    size = [float(weights[g].sum() ** 2 / (weights[g] ** 2).sum()) for g in (~z, z)]
    return Propensity(score, weights, target, balance, (size[0], size[1]), tuple(messages))


def _difference(v: FloatArray, z: NDArray[np.bool_], weights: FloatArray) -> float:
    """Difference of weighted means over the pooled standard deviation before weighting."""
    spread = np.sqrt((v[z].var(ddof=1) + v[~z].var(ddof=1)) / 2)
    if spread == 0:
        return 0.0
    return float((np.average(v[z], weights=weights[z]) - np.average(v[~z], weights=weights[~z])) / spread)
