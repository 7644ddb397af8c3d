"""Whether groups differ in the cumulative incidence of one cause while others compete: Gray's test.

References
----------
.. [1] Gray RJ. Ann Stat 1988;16:1141 (weight rho = 0; variance of section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.errors import EvidenceError
from hepatica.outcome.statistics.evidence import as_floats, chi2_p, group_names, layers_of, require_events, same_length
from hepatica.outcome.statistics.survival import GroupTest

FloatArray = NDArray[np.float64]


@dataclass(slots=True)
class _State:
    """Running estimates just before a time, one entry per group, and the sums that make up the variance."""

    free: FloatArray
    incidence: FloatArray
    drift: FloatArray
    spread: FloatArray
    cross: FloatArray
    direct: FloatArray
    pooled: float = 0.0

    @classmethod
    def of(cls, k: int) -> _State:
        return cls(np.ones(k), np.zeros(k), np.zeros((k, k)), np.zeros(k), np.zeros((k, k)), np.zeros((k, k)))

    def add(self, change: FloatArray, along: FloatArray, share: FloatArray) -> None:
        """Add the variance of one kind of event: `change` (group, source), `along` and `share` per source."""
        self.spread += along**2 * share
        self.cross += change * along * share
        self.direct += (change * share) @ change.T

    def variance(self) -> FloatArray:
        """Covariance of observed less expected."""
        mixed = self.drift @ self.cross.T
        return np.asarray(self.direct + (self.drift * self.spread) @ self.drift.T + mixed + mixed.T, dtype=np.float64)


def gray_test(
    time: ArrayLike,
    cause: Sequence[object],
    group: Sequence[object],
    *,
    event: object = 1,
    strata: Sequence[object] | None = None,
) -> GroupTest:
    """Compare the cumulative incidence of one cause between groups.

    Parameters
    ----------
    time : array_like, shape (n,)
        Time observed.
    cause : sequence, length n
        What happened then: `event` is the cause of interest, 0 is the end of observation, anything else competes.
    group : sequence, length n
        Group of each patient.
    event : object
        The mark of the cause of interest.
    strata : sequence, optional
        Stratum of each patient (centre): groups are compared within strata, and the differences added up.

    Raises
    ------
    EvidenceError
        If there are fewer than two groups, or fewer than 5 events of the cause.

    Notes
    -----
    A patient who had a competing event still counts as at risk, in the share that the group's censoring leaves: the
    risk set of group k is Y (1 - F) / S, with incidence F and event-free share S just before the time.
    """
    t = as_floats(time, "survival time")
    layers = layers_of(strata, t.size)
    same_length(time=t, cause=list(cause), group=list(group), strata=layers)
    names = group_names(group, "Gray's test")
    k = len(names)
    label = np.array([names.index(str(g)) for g in group])
    own = np.array([str(c) == str(event) for c in cause])
    other = np.array([str(c) not in (str(event), "0") for c in cause])
    require_events(int(own.sum()), "Gray's test")
    observed, expected, variance = np.zeros(k), np.zeros(k), np.zeros((k, k))
    for layer in np.unique(layers):
        here, state = layers == layer, _State.of(k)
        for moment in np.unique(t[here & (own | other)]):
            at_risk, d1, d2 = (
                np.bincount(label[which], minlength=k).astype(np.float64)
                for which in (here & (t >= moment), here & (t == moment) & own, here & (t == moment) & other)
            )
            observed += d1
            expected += _step(state, at_risk, d1, d2)
        variance += state.variance()
    chi2 = _statistic(observed - expected, variance)
    return GroupTest.of(names, observed, expected, chi2, chi2_p(chi2, k - 1))


def _statistic(difference: FloatArray, variance: FloatArray) -> float:
    """Chi-square of all groups but the last, which follows from the others."""
    part = variance[:-1, :-1]
    if np.linalg.matrix_rank(part) < part.shape[0]:
        raise EvidenceError("Gray's test: a group carries no information (nobody at risk when events happen)")
    return float(difference[:-1] @ np.linalg.solve(part, difference[:-1]))


def _step(state: _State, at_risk: FloatArray, d1: FloatArray, d2: FloatArray) -> FloatArray:
    """One time: events expected in each group; moves the estimates and the variance past it."""
    present = at_risk > 0
    size = np.where(present, at_risk, 1.0)
    free_after = np.where(present, state.free * (1 - (d1 + d2) / size), state.free)
    scaled = np.where(present, at_risk / np.where(present, state.free, 1.0), 0.0)
    total, n1 = scaled.sum(), d1.sum()
    weighted = scaled * (1 - state.incidence)
    expected = n1 * weighted / weighted.sum() if n1 else np.zeros(d1.size)
    pooled_after = state.pooled + n1 / total
    if n1:
        weight = np.diag(scaled) - np.outer(scaled, scaled) / total
        state.drift += weight * n1 / (total * (1 - state.pooled))
        ties = np.ones(d1.size)
        if n1 > 1:
            ties = 1 - (n1 - 1) / (total * state.free - 1)
        along = np.where(free_after > 0, 1 - (1 - pooled_after) / np.where(free_after > 0, free_after, 1.0), 1.0)
        share = np.where(present, ties * state.free * n1 / (total * size), 0.0)
        state.add(weight - along * state.drift, along, share)
    if d2.any():
        going = present & (free_after > 0) & (d2 > 0)
        along = np.where(going, (1 - pooled_after) / np.where(going, free_after, 1.0), 0.0)
        ties = np.where(d2 > 1, 1 - (d2 - 1) / np.where(size > 1, size - 1, 1.0), 1.0)
        share = np.where(going, ties * (state.free / size) ** 2 * d2, 0.0)
        state.add(along * state.drift, -along, share)
    state.incidence = state.incidence + np.where(present, state.free * d1 / size, 0.0)
    state.free, state.pooled = free_after, pooled_after
    return np.asarray(expected, dtype=np.float64)
