"""Survival: Kaplan-Meier, log-rank, competing risks, landmark.

The estimators are short and written here with numpy; every number is held against R's survival and cmprsk in the tests.
(lifelines pins pandas below 3, which the rest of the environment does not have.)

References
----------
.. [1] Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457; Brookmeyer R, Crowley J. Biometrics 1982;38:29 (median).
.. [2] Aalen OO, Johansen S. Scand J Stat 1978;5:141 (competing risks).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.errors import EvidenceError, UnknownNameError
from hepatica.outcome.evidence import Z95, as_binary, as_floats, chi2_p, require_events, same_length

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SurvivalCurve:
    """Kaplan-Meier estimate of one group.

    Attributes
    ----------
    name : str
        Group.
    times : ndarray
        Distinct times (events and censorings), ascending, in the table's unit.
    at_risk, events, censored : ndarray
        Numbers at each of these times.
    survival, low, high : ndarray
        Estimate after each time and its 95 % interval.
    n, n_events : int
        Patients and events.
    median, median_low, median_high : float or None
        Median and 95 % interval by inverting the interval's bounds; None where the curve (or bound) stays above 0.5.
    median_follow_up : float or None
        By reverse Kaplan-Meier.
    """

    name: str
    times: FloatArray
    at_risk: FloatArray
    events: FloatArray
    censored: FloatArray
    survival: FloatArray
    low: FloatArray
    high: FloatArray
    n: int
    n_events: int
    median: float | None
    median_low: float | None
    median_high: float | None
    median_follow_up: float | None

    def at(self, time: float) -> tuple[float, float, float]:
        """Survival and its interval at a time; nan beyond the last observation unless the curve has reached zero."""
        index = int(np.searchsorted(self.times, time, side="right")) - 1
        if index < 0:
            return 1.0, 1.0, 1.0
        if time > self.times[-1] and self.survival[-1] > 0:
            return math.nan, math.nan, math.nan
        return float(self.survival[index]), float(self.low[index]), float(self.high[index])

    def number_at_risk(self, times: Sequence[float]) -> list[int]:
        """Patients still observed just before each time."""
        total = self.events + self.censored
        return [int(total[self.times >= t].sum()) for t in times]


def kaplan_meier(time: ArrayLike, event: ArrayLike, *, name: str = "all", interval: str = "log-log") -> SurvivalCurve:
    """Kaplan-Meier curve with Greenwood intervals.

    Parameters
    ----------
    time, event : array_like, shape (n,)
        Time observed (positive or zero) and whether the event happened then (1) or observation ended (0).
    name : str
        Group.
    interval : str
        "log-log" (stays within 0 to 1, recommended) or "log" (the default of R's survfit).

    Raises
    ------
    EvidenceError
        If a time is negative or missing, or there are fewer than two patients.
    """
    if interval not in ("log", "log-log"):
        raise UnknownNameError("survival interval", interval, ("log", "log-log"))
    t, e = _checked(time, event, name)
    times, at_risk, events, censored = _counts(t, e)
    survival = np.asarray(np.cumprod(1 - events / at_risk), dtype=np.float64)
    low, high = _bounds(survival, at_risk, events, interval)
    return SurvivalCurve(
        name,
        times,
        at_risk,
        events,
        censored,
        survival,
        low,
        high,
        t.size,
        int(e.sum()),
        _quantile(times, survival),
        _quantile(times, low),
        _quantile(times, high),
        _quantile(*_reverse(t, e)),
    )


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


def _bounds(s: FloatArray, at_risk: FloatArray, events: FloatArray, interval: str) -> tuple[FloatArray, FloatArray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        relative_sd = np.sqrt(np.cumsum(events / (at_risk * (at_risk - events))))
        if interval == "log":
            low, high = s * np.exp(-Z95 * relative_sd), np.minimum(1, s * np.exp(Z95 * relative_sd))
        else:
            half = Z95 * relative_sd / np.log(s)
            low, high = s ** np.exp(-half), s ** np.exp(half)
    # Before the first event the estimate is 1 without spread; at zero survival the interval is undefined.
    low, high = np.where(s == 1, 1.0, low), np.where(s == 1, 1.0, high)
    return np.where(s == 0, np.nan, low), np.where(s == 0, np.nan, high)


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


def _reverse(t: FloatArray, e: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    times, at_risk, events, censored = _counts(t, e)
    # Deaths leave the risk set before those censored at the same time.
    left = np.maximum(at_risk - events, np.where(censored > 0, censored, 1.0))
    return times, np.asarray(np.cumprod(1 - censored / left), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class LogRank:
    """Log-rank comparison of groups: observed and expected events, chi-square, degrees of freedom, p."""

    groups: tuple[str, ...]
    observed: tuple[float, ...]
    expected: tuple[float, ...]
    chi2: float
    degrees: int
    p: float


def log_rank(time: ArrayLike, event: ArrayLike, group: Sequence[object]) -> LogRank:
    """Log-rank test (Mantel-Haenszel variance) between two or more groups.

    Raises
    ------
    EvidenceError
        If there are fewer than two groups or fewer than 5 events.
    """
    t, e = _checked(time, event)
    same_length(time=t, group=list(group))
    names = sorted({str(g) for g in group})
    if len(names) < 2:
        raise EvidenceError(f"log-rank test needs two groups; all patients are in {names[0]!r}")
    require_events(int(e.sum()), "log-rank test")
    labels = np.array([names.index(str(g)) for g in group])
    k = len(names)
    observed, expected, variance = np.zeros(k), np.zeros(k), np.zeros((k, k))
    for moment in np.unique(t[e]):
        risk = np.bincount(labels[t >= moment], minlength=k).astype(np.float64)
        died = np.bincount(labels[(t == moment) & e], minlength=k)
        n, d = risk.sum(), died.sum()
        share = risk / n
        observed += died
        expected += d * share
        if n > 1:
            variance += d * (n - d) / (n - 1) * (np.diag(share) - np.outer(share, share))
    difference = (observed - expected)[:-1]
    chi2 = float(difference @ np.linalg.pinv(variance[:-1, :-1]) @ difference)
    return LogRank(
        tuple(names),
        tuple(observed.tolist()),
        tuple(expected.tolist()),
        chi2,
        k - 1,
        chi2_p(chi2, k - 1),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Incidence:
    """Cumulative incidence of one cause in the presence of others, with 95 % interval (log-log)."""

    cause: str
    times: FloatArray
    incidence: FloatArray
    sd: FloatArray
    low: FloatArray
    high: FloatArray
    n_events: int

    def at(self, time: float) -> tuple[float, float, float]:
        """Incidence and interval at a time."""
        index = int(np.searchsorted(self.times, time, side="right")) - 1
        if index < 0:
            return 0.0, 0.0, 0.0
        return float(self.incidence[index]), float(self.low[index]), float(self.high[index])


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
            name, times, incidence, sd, np.where(flat, 0, low), np.where(flat, 0, high), int(own.sum())
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
