"""Survival: Kaplan-Meier (lifelines), log-rank (statsmodels), competing risks, landmark.

Every number is held against R's survival and cmprsk in the tests. Competing risks are our own: lifelines' estimate
moves tied times apart at random.

References
----------
.. [1] Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457; Brookmeyer R, Crowley J. Biometrics 1982;38:29 (median).
.. [2] Aalen OO, Johansen S. Scand J Stat 1978;5:141 (competing risks).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.document import HIDDEN
from hepatica.errors import EvidenceError
from hepatica.outcome.statistics.evidence import (
    Z95,
    as_binary,
    as_floats,
    group_names,
    layers_of,
    require_events,
    same_length,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int_]


def _step(
    times: FloatArray, time: float, curves: tuple[FloatArray, FloatArray, FloatArray], *, before: float
) -> tuple[float, float, float]:
    """A value and its interval at the last step up to a time; all `before` where there is none."""
    index = int(np.searchsorted(times, time, side="right")) - 1
    if index < 0:
        return before, before, before
    value, low, high = (float(curve[index]) for curve in curves)
    return value, low, high


@dataclass(frozen=True, slots=True, eq=False)
class SurvivalCurve:
    """Kaplan-Meier estimate of one group.

    Attributes
    ----------
    name : str
        Group.
    n, events : int
        Patients and events.
    median, median_low, median_high : float or None
        Median and 95 % interval by inverting the interval's bounds; None where the curve (or bound) stays above 0.5.
    median_follow_up : float or None
        By reverse Kaplan-Meier.
    time : ndarray
        Distinct times (events and censorings), ascending, in the table's unit.
    survival, low, high : ndarray
        Estimate after each time and its 95 % interval.
    at_risk, events_then, censored_then : ndarray of int
        Numbers at each of these times.
    """

    name: str
    n: int
    events: int
    median: float | None
    median_low: float | None
    median_high: float | None
    median_follow_up: float | None
    time: FloatArray
    survival: FloatArray
    low: FloatArray
    high: FloatArray
    at_risk: IntArray
    events_then: IntArray
    censored_then: IntArray

    def at(self, time: float) -> tuple[float, float, float]:
        """Survival and its interval at a time; nan beyond the last observation unless the curve has reached zero."""
        if self.time.size and time > self.time[-1] and self.survival[-1] > 0:
            return math.nan, math.nan, math.nan
        return _step(self.time, time, (self.survival, self.low, self.high), before=1.0)

    def number_at_risk(self, times: Sequence[float]) -> list[int]:
        """Patients still observed just before each time."""
        total = self.events_then + self.censored_then
        return [int(total[self.time >= t].sum()) for t in times]


def kaplan_meier(time: ArrayLike, event: ArrayLike, *, name: str = "all") -> SurvivalCurve:
    """Kaplan-Meier curve with log-log (exponential Greenwood) intervals, which stay within 0 to 1.

    Parameters
    ----------
    time, event : array_like, shape (n,)
        Time observed (positive or zero) and whether the event happened then (1) or observation ended (0).
    name : str
        Group.

    Raises
    ------
    EvidenceError
        If a time is negative or missing, or there are fewer than two patients.

    Notes
    -----
    R's ``survfit(..., conf.type = "log-log")``; its default interval is "log".
    """
    t, e = _checked(time, event, name)
    times, survival, low, high, counts = _fitted(t, e)
    followed = _fitted(t, ~e)
    return SurvivalCurve(
        name=name,
        n=t.size,
        events=int(e.sum()),
        median=_quantile(times, survival),
        median_low=_quantile(times, low),
        median_high=_quantile(times, high),
        median_follow_up=_quantile(followed[0], followed[1]),
        time=times,
        survival=survival,
        low=low,
        high=high,
        at_risk=counts[0],
        events_then=counts[1],
        censored_then=counts[2],
    )


def _fitted(
    t: FloatArray, e: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, tuple[IntArray, IntArray, IntArray]]:
    """Times, survival and its bounds, and numbers (at risk, events, censored), by lifelines."""
    from lifelines import KaplanMeierFitter

    with np.errstate(divide="ignore", invalid="ignore"):
        fit = KaplanMeierFitter().fit(t, e)
    steps = fit.event_table.loc[np.unique(t)]
    times = np.asarray(steps.index, dtype=np.float64)
    survival = np.asarray(fit.survival_function_at_times(times), dtype=np.float64)
    low, high = np.asarray(fit.confidence_interval_.loc[times], dtype=np.float64).T
    # Before the first event the estimate is 1 without spread; at zero survival the interval is undefined.
    low, high = np.where(survival == 1, 1.0, low), np.where(survival == 1, 1.0, high)
    low, high = np.where(survival == 0, np.nan, low), np.where(survival == 0, np.nan, high)
    counts = [np.asarray(steps[c], dtype=np.int_) for c in ("at_risk", "observed", "censored")]
    return times, survival, low, high, (counts[0], counts[1], counts[2])


def _checked(time: ArrayLike, event: ArrayLike, name: str = "all") -> tuple[FloatArray, NDArray[np.bool_]]:
    t, e = as_floats(time, "survival time"), as_binary(event, "event")
    same_length(time=t, event=e)
    if t.size < 2:
        raise EvidenceError(f"group {name!r}: survival of a single patient is no curve")
    if (t < 0).any():
        raise EvidenceError(f"{int((t < 0).sum())} survival times are negative")
    return t, e


def _counts(t: FloatArray, e: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    times, index = np.unique(t, return_inverse=True)
    events = np.asarray(np.bincount(index, weights=e, minlength=times.size), dtype=np.float64)
    total = np.asarray(np.bincount(index, minlength=times.size), dtype=np.float64)
    at_risk = np.asarray(total[::-1].cumsum()[::-1], dtype=np.float64)
    return times, at_risk, events, total - events


def _quantile(times: FloatArray, curve: FloatArray, level: float = 0.5) -> float | None:
    """First time at which a falling curve is at or below a level; the middle of a flat stretch exactly at it."""
    below = np.flatnonzero(curve <= level + 1e-12)
    if not below.size:
        return None
    first = int(below[0])
    if abs(curve[first] - level) < 1e-9:
        further = np.flatnonzero(curve < level - 1e-9)
        if further.size:
            return float((times[first] + times[further[0]]) / 2)
    return float(times[first])


@dataclass(frozen=True, slots=True)
class GroupTest:
    """Comparison of groups: events of each, observed and expected were they alike; chi-square and p."""

    observed: Mapping[str, float]
    expected: Mapping[str, float]
    chi2: float
    degrees_of_freedom: int
    p: float

    @classmethod
    def of(cls, names: Sequence[str], observed: FloatArray, expected: FloatArray, chi2: float, p: float) -> GroupTest:
        """From arrays, one entry for each name."""
        counts, chances = (dict(zip(names, found.tolist(), strict=True)) for found in (observed, expected))
        return cls(counts, chances, chi2, len(names) - 1, p)


def log_rank(
    time: ArrayLike, event: ArrayLike, group: Sequence[object], *, strata: Sequence[object] | None = None
) -> GroupTest:
    """Log-rank test (Mantel-Haenszel variance) between two or more groups.

    Parameters
    ----------
    time, event : array_like, shape (n,)
        Time observed and event (0/1).
    group : sequence, length n
        Group of each patient.
    strata : sequence, optional
        Stratum of each patient (centre): groups are compared within strata, and the differences added up.

    Raises
    ------
    EvidenceError
        If there are fewer than two groups or fewer than 5 events, or a group carries no information.
    """
    from statsmodels.duration.survfunc import survdiff

    t, e = _checked(time, event)
    layers = layers_of(strata, t.size)
    same_length(time=t, group=list(group), strata=layers)
    names = group_names(group, "log-rank test")
    require_events(int(e.sum()), "log-rank test")
    labels = np.array([str(g) for g in group])
    observed, expected = np.zeros(len(names)), np.zeros(len(names))
    for layer in np.unique(layers):
        here = layers == layer
        for moment in np.unique(t[here & e]):
            risk, died = here & (t >= moment), here & (t == moment) & e
            observed += [np.sum(died & (labels == n)) for n in names]
            expected += died.sum() * np.array([np.sum(risk & (labels == n)) for n in names]) / risk.sum()
    try:
        chi2, p = survdiff(t, e.astype(int), labels, strata=None if strata is None else layers)
    except np.linalg.LinAlgError as error:
        raise EvidenceError(
            "log-rank test: a group carries no information (nobody at risk when events happen)"
        ) from error
    return GroupTest.of(names, observed, expected, float(chi2), float(p))


@dataclass(frozen=True, slots=True, eq=False)
class Incidence:
    """Cumulative incidence of one cause in the presence of others, with 95 % interval (log-log)."""

    cause: str = field(metadata=HIDDEN)
    events: int
    time: FloatArray
    incidence: FloatArray
    sd: FloatArray
    low: FloatArray
    high: FloatArray

    def at(self, time: float) -> tuple[float, float, float]:
        """Incidence and interval at a time."""
        return _step(self.time, time, (self.incidence, self.low, self.high), before=0.0)


def cumulative_incidence(time: ArrayLike, cause: Sequence[object], *, censored: object = 0) -> Mapping[str, Incidence]:
    """Aalen-Johansen incidence of every cause.

    Parameters
    ----------
    time : array_like, shape (n,)
        Time observed.
    cause : sequence, length n
        What happened at that time; `censored` marks the end of observation.
    censored : object
        The mark of censoring.

    Notes
    -----
    One minus Kaplan-Meier would overstate the incidence, since it treats the other causes as censoring. The standard
    deviation is the infinitesimal jackknife.
    """
    t = as_floats(time, "survival time")
    same_length(time=t, cause=list(cause))
    happened = np.array([str(c) != str(censored) for c in cause])
    require_events(int(happened.sum()), "cumulative incidence")
    times, at_risk, events, _ = _counts(t, happened)
    hazard = events / at_risk
    before = np.concatenate(([1.0], np.cumprod(1 - hazard)[:-1]))
    out = {}
    for name in sorted({str(c) for c, h in zip(cause, happened, strict=True) if h}):
        own = np.array([str(c) == name for c in cause])
        _, _, d, _ = _counts(t, own)
        incidence = np.cumsum(before * d / at_risk)
        sd = _jackknife_sd(t, happened, own, (times, at_risk, hazard, d / at_risk, before))
        with np.errstate(divide="ignore", invalid="ignore"):
            half = Z95 * sd / (incidence * np.log(incidence))
            low, high = incidence ** np.exp(-half), incidence ** np.exp(half)
        flat = incidence == 0
        out[name] = Incidence(
            name, int(own.sum()), times, incidence, sd, np.where(flat, 0, low), np.where(flat, 0, high)
        )
    return out


def _jackknife_sd(
    t: FloatArray,
    happened: NDArray[np.bool_],
    own: NDArray[np.bool_],
    curve: tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray],
) -> FloatArray:
    """Infinitesimal-jackknife standard deviation: the derivative of the incidence by each patient's weight."""
    times, at_risk, hazard, own_hazard, before = curve
    index = np.searchsorted(times, t)
    variance = np.zeros(times.size)
    steps = np.where(hazard < 1, 1 - hazard, 1.0)
    # Patients with the same time and the same event have the same influence.
    kinds, counts = np.unique(np.stack([index, happened, own]), axis=1, return_counts=True)
    for (last, event, mine), count in zip(kinds.T.tolist(), counts.tolist(), strict=True):
        risk = (np.arange(times.size) <= last).astype(np.float64)
        d_all = -risk * hazard / at_risk
        d_own = -risk * own_hazard / at_risk
        d_all[last] += event / at_risk[last]
        d_own[last] += mine / at_risk[last]
        lost = np.concatenate(([0.0], np.cumsum(d_all / steps)[:-1]))
        influence = np.cumsum(before * (d_own - lost * own_hazard))
        variance += count * influence**2
    return np.asarray(np.sqrt(variance), dtype=np.float64)


def landmark(time: ArrayLike, event: ArrayLike, at: float) -> tuple[NDArray[np.bool_], FloatArray]:
    """Patients still observed and free of the event at a landmark, and the time from there.

    A group known only later (response at three months) must be compared from then on: earlier deaths could not have
    responded.

    Returns
    -------
    kept : ndarray of bool, shape (n,)
        Whether a patient is in the landmark set.
    time : ndarray, shape (kept.sum(),)
        Time after the landmark.

    Raises
    ------
    EvidenceError
        If the landmark is not positive or fewer than two patients are left.
    """
    t, _ = _checked(time, event)
    if not at > 0:
        raise EvidenceError(f"a landmark must be positive, not {at}")
    kept = t > at
    if int(kept.sum()) < 2:
        raise EvidenceError(f"only {int(kept.sum())} patients are left at the landmark {at:g}")
    return kept, t[kept] - at
