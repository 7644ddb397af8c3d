"""A meter at the delivery line: the sum of its readings over time is what has passed it.

It is used for what was delivered alone. Its readings rise with whatever stays in the line beside it, and its factor
holds for one geometry: no test rests on it, so that the stated error rates hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from hepatica.monitoring.judging.sequential import LINE, SMOOTH_S
from hepatica.monitoring.setup import Setup

GAP_S = 5.0
"""Without a reading, after which the sum is no total any more."""

BEFORE = 10
"""Readings before the first frame that give its background."""


@dataclass(slots=True)
class LineMeter:
    """Readings of the line, summed over time.

    Attributes
    ----------
    bq_per_unit_s : float or None
        Activity that has passed for a reading of one over a second; None where it is not known.
    factor_sd : float
        Its relative standard uncertainty.
    lost : str
        Why its sum is no total any more; empty as long as it is one.
    """

    bq_per_unit_s: float | None
    factor_sd: float
    lost: str = ""
    _before: list[float] = field(default_factory=list)
    _last: tuple[float, float] | None = None
    _sum: float = 0.0
    _seconds: float = 0.0
    _squares: float = 0.0
    _history: list[tuple[float, float]] = field(default_factory=list)

    def take(self, at_s: float, value: float) -> str:
        """Take in a reading; what is wrong with it, empty where nothing is."""
        if not math.isfinite(value) or value < 0:
            return "the meter at the line reads less than nothing, or no number"
        if at_s <= 0:
            self._before.append(value)
            self._last = (at_s, value)
            return ""
        if self._last is not None and at_s <= self._last[0]:
            return "a reading of the line came twice or late; it is not used"
        if self._last is None or at_s - max(self._last[0], 0.0) > GAP_S:
            self.lost = self.lost or f"no reading of the line came for more than {GAP_S:.0f} s: its sum is no total"
        if self._last is not None:
            step = at_s - max(self._last[0], 0.0)
            self._sum += 0.5 * (value + self._last[1]) * step
            self._seconds += step
            self._squares += step**2
        self._last = (at_s, value)
        self._history.append((at_s, self._sum - self._background() * self._seconds))
        return ""

    def _background(self) -> float:
        return float(np.mean(self._before)) if self._before else 0.0

    @property
    def why_not(self) -> str:
        """Why it says no activity; empty where it does."""
        if self.bq_per_unit_s is None:
            return "the factor of the meter at the line is not known"
        if len(self._before) < BEFORE:
            return "the line was read fewer than ten times before the first frame: its background is not known"
        return self.lost

    @property
    def has_come(self) -> bool:
        """Whether there is a reading since the first frame."""
        return bool(self._history)

    def silent_s(self, now_s: float) -> float:
        """Since the last reading."""
        return math.inf if self._last is None else now_s - self._last[0]

    def passed_bq(self, at_s: float) -> tuple[float, float] | None:
        """What had passed at an instant and its standard deviation, Bq; None where it is not known.

        The standard deviation holds the factor, the noise of each reading and of the background, and nothing of the
        way from line to tissue.
        """
        if self.why_not or not self._history or self.bq_per_unit_s is None:
            return None
        times, sums = (np.array(column) for column in zip(*self._history, strict=True))
        total = float(np.interp(at_s, [0.0, *times], [0.0, *sums]))
        noise = float(np.std(self._before, ddof=1))
        spread = noise * math.sqrt(self._squares + self._seconds**2 / len(self._before))
        return total * self.bq_per_unit_s, self.bq_per_unit_s * math.hypot(spread, self.factor_sd * total)

    def come_bq(self, setup: Setup, now_s: float) -> tuple[float, float] | None:
        """What passed the line and had time to arrive, and its standard deviation, the way to the tissue included."""
        doubts, late = setup.doubts, setup.lag_s + setup.dispersion_s
        passed, before = self.passed_bq(now_s - late), self.passed_bq(now_s - late - SMOOTH_S)
        if passed is None or before is None:
            return None
        rate = abs(passed[0] - before[0]) / SMOOTH_S
        way = rate * math.hypot(doubts.lag_s, doubts.dispersion_s, doubts.clock_s, setup.dispersion_s)
        return passed[0], math.hypot(passed[1], LINE * passed[0], way, 1e-6 * setup.planned_bq)

    def factor_by(self, left_bq: float) -> float | None:
        """The factor for which the sum is what left the vial; None where nothing has passed."""
        total = self._history[-1][1] if self._history else 0.0
        return left_bq / total if total > 0 and left_bq > 0 else None
