"""Counts that fall although beads stay: something lies between, patient or camera moved, or the camera lost its gain.

A fall of many seconds shows against the largest activity that was there for a while. A sudden one hides while beads
still arrive, since a few seconds before there was as little: it shows where the mean of a second or two lies under that
of the time just before, which no flow can do. What rose as suddenly a few seconds before was a flash, and no beads.
"""

from __future__ import annotations

import math
from collections import deque

from hepatica.monitoring.relative import FALL, FALL_SD, KEPT_S, TREND_S

SUDDEN_S = (1.0, 2.0)
"""Of the two means that are compared."""

AGREED_S = 3.0
"""For which camera and meter must agree after a fall before it is taken for none."""

RISEN = 0.5
"""Of a fall: a rise that was as sudden, shortly before, makes it a flash; shortly after, its end."""


class Falls:
    """Falls of one injection's counts.

    Attributes
    ----------
    recent : deque of (s, Bq)
        Activity of the body over the last seconds, less two standard deviations.
    lost : float
        Share of the counts that the sudden fall took which still holds; 0 where none does.
    at_s : float
        When it was seen.
    is_low : bool
        Whether what is there now lies under what has been there.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: the masks have been moved."""
        self.recent: deque[tuple[float, float]] = deque()
        self.lost, self.at_s, self.is_low = 0.0, 0.0, False
        self._largest_bq = 0.0
        self._looks: deque[tuple[float, float, float, float]] = deque()
        self._rises: deque[tuple[float, float]] = deque()
        self._fell_bq = 0.0
        self._agreed_from_s: float | None = None

    def slow(self, at_s: float, body_bq: float, sd_bq: float) -> None:
        """Take in what the state says of the body, and its standard deviation by counting."""
        self.recent.append((at_s, body_bq - 2 * sd_bq))
        if at_s - self.recent[0][0] >= KEPT_S:
            kept = min(value for at, value in self.recent if at_s - at <= KEPT_S)
            self._largest_bq = max(self._largest_bq, kept)
        while at_s - self.recent[0][0] > TREND_S:
            self.recent.popleft()
        self.is_low = self._largest_bq - body_bq > FALL * self._largest_bq + FALL_SD * sd_bq

    def sudden(self, at_s: float, exposure_s: float, seen: tuple[float, float], *, agrees: bool) -> bool:
        """Take in a look; whether a fall is new.

        Parameters
        ----------
        at_s : float
            Its end.
        exposure_s : float
            Its length.
        seen : tuple of float
            Activity by the counts of the whole field, Bq, and its variance, Bq².
        agrees : bool
            Whether a meter says that as much should be there as is seen.
        """
        self._looks.append((at_s, exposure_s, *seen))
        while at_s - self._looks[0][0] > 2 * SUDDEN_S[-1] + 1e-6:
            self._looks.popleft()
        steps = [step for long in SUDDEN_S if (step := self._step(at_s, long)) is not None]
        if not steps:
            return False
        rise = -min(drop for drop, _, _ in steps)
        usual = sorted(value for _, value in self._rises)
        expected = max(usual[len(usual) // 2], 0.0) if usual else 0.0
        flash = max((value for _, value in self._rises), default=0.0) - expected
        self._rises.append((at_s, rise))
        while at_s - self._rises[0][0] > KEPT_S + SUDDEN_S[-1]:
            self._rises.popleft()
        if self.lost:
            self._end(at_s, rise - expected, agrees=agrees)
            return False
        for drop, before, sd in steps:
            if drop > FALL * before + FALL_SD * sd and flash < RISEN * drop:
                self.lost, self.at_s, self._fell_bq, self._agreed_from_s = drop / before, at_s, drop, None
                return True
        return False

    def _step(self, at_s: float, long_s: float) -> tuple[float, float, float] | None:
        """By how much the mean of the last seconds lies under that of those before, that mean, and the sd of it."""
        means = []
        for until, since in ((at_s - long_s, at_s - 2 * long_s), (at_s, at_s - long_s)):
            some = [look for look in self._looks if since - 1e-6 < look[0] - look[1] / 2 < until + 1e-6]
            time = sum(look[1] for look in some)
            if time < 0.75 * long_s:
                return None
            mean = sum(look[1] * look[2] for look in some) / time
            means.append((mean, sum(look[1] ** 2 * look[3] for look in some) / time**2))
        (before, a), (after, b) = means
        return before - after, before, math.sqrt(a + b)

    def _end(self, at_s: float, rise_bq: float, *, agrees: bool) -> None:
        """A fall ends where counts come back at once, or where the meter shows for a while that none are missing."""
        self._agreed_from_s = (self._agreed_from_s or at_s) if agrees else None
        has_agreed = self._agreed_from_s is not None and at_s - self._agreed_from_s >= AGREED_S
        if rise_bq >= RISEN * self._fell_bq or (has_agreed and at_s - self.at_s > 2 * AGREED_S):
            self.lost = 0.0
