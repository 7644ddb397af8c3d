"""How far the meter's clock stands apart from the camera's, and stasis judged under every clock that may be right.

A reading that is stamped late makes beads arrive before they left, and later fewer than left: a stasis that is none.
Each offset of a row is a hypothesis. Until `LEARNED` of the plan has arrived, its likelihood is that of what the
camera sees given what by this clock had time to arrive; then it is held, so that what happens later cannot pass for a
clock. The statistic is the smallest over all offsets that may be right: no clock that may be right explains the alarm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hepatica.monitoring.judging.departure import Departure, Look, Transit
from hepatica.monitoring.setup import Array, Setup

MOST_S = 4.5
"""By which the clocks may stand apart and are still followed; one offset more on each side tells that they are not."""

STEP_S = 1.5
"""Between two offsets: a true clock lies 0.75 s from the nearest at most, about the doubt of lag and dispersion
together, which each test holds."""

LEARNED = 0.2
"""Of the plan in the body; from then on the offset is held."""

PLAUSIBLE = 9.0
"""Twice the difference of log likelihood to the best offset, up to which another one may be right: 3 sd of one
parameter, so that the true clock is left out in 0.3 % of injections, less than the 1 % at which *stasis* is stated."""


class Clocks:
    """Stasis under each offset of the meter's clock, for injections side by side.

    Parameters
    ----------
    setup : Setup
        Lag, dispersion, plan and doubts.
    injections : int
        How many.
    look_s : float
        Time between looks.
    transit : callable
        Makes what turns readings into what has come out of the catheter.
    departure : callable
        Makes the test under one offset.
    """

    def __init__(
        self, setup: Setup, injections: int, look_s: float, transit: Callable[[], Transit],
        departure: Callable[[], Departure],
    ) -> None:  # fmt: skip
        most = MOST_S + STEP_S
        few = np.arange(-most, most + STEP_S / 2, STEP_S)
        self.offsets_s = few if setup.has_meter and setup.doubts.clock_s else np.zeros(1)
        self._setup = setup
        # An offset beyond the lag needs readings that are still to come: its test waits for so many looks.
        self._waits = [max(0, int(np.ceil((offset - setup.lag_s) / look_s - 1e-9))) for offset in self.offsets_s]
        self._transits = [transit() for _ in self.offsets_s]
        self._tests = [departure() for _ in self.offsets_s]
        self._looks: deque[Look] = deque(maxlen=max(self._waits) + 1)
        self._come: list[deque[Array]] = [deque(maxlen=max(self._waits) - wait + 1) for wait in self._waits]
        shape = (len(self.offsets_s), injections)
        self._xy, self._yy, self._xx = np.zeros(shape), np.zeros(shape), np.zeros(injections)
        self._has_learned = np.zeros(injections, dtype=np.bool_)

    def value(self, seen: Look, windows: list[int], body_bq: Array) -> Array:
        """Take in a look; the statistic, shape (injections,).

        Parameters
        ----------
        seen : Look
            Counts; its reference is what has left the vial by the meter.
        windows : list of int
            Looks over which an excess is summed.
        body_bq : ndarray, shape (injections,)
            What the camera says is there.
        """
        self._looks.append(seen)
        found = np.full((len(self.offsets_s), len(body_bq)), -np.inf)
        for n, (offset, wait) in enumerate(zip(self.offsets_s, self._waits, strict=True)):
            if len(self._looks) <= wait:
                self._transits[n].keep(seen.reference, seen.time_s)
                continue
            look = self._looks[-1 - wait]
            wanted = look.time_s - self._setup.lag_s + float(offset)
            come = self._transits[n].come(seen.reference, seen.time_s, wanted_s=wanted, elapsed_s=look.dt)
            if not look.is_metered:
                come = look.net @ self._tests[n].signal
            self._come[n].append(come)
            found[n] = self._tests[n].value(look.holding(come), windows)
        self._learn(body_bq)
        smallest = np.where(self.may_be(), found, np.inf).min(axis=0)
        return np.asarray(np.where(self.is_apart(), -np.inf, smallest))

    def _learn(self, body_bq: Array) -> None:
        """Take the oldest look that all offsets have a reading for into their likelihoods."""
        if len(self.offsets_s) == 1 or len(self._looks) < self._looks.maxlen:  # type: ignore[operator]
            return
        self._has_learned = self._has_learned | (body_bq > LEARNED * self._setup.planned_bq)
        look, test = self._looks[0], self._tests[0]
        x = look.net @ test.signal
        y = np.stack([kept[0] for kept in self._come])
        noise = (look.variance * test.signal**2).sum(axis=1) + test.reference_noise
        part = ~self._has_learned * float(look.is_metered) / noise
        self._xx = self._xx + x * x * part
        self._xy = self._xy + x * y * part
        self._yy = self._yy + (y * y - test.reference_noise) * part

    def hold(self) -> None:
        """Learn no more: what is seen from now on says nothing of a clock."""
        self._has_learned = np.ones_like(self._has_learned)

    def misfit(self) -> Array:
        """Minus twice the log likelihood of each offset, the ratio of camera to meter at its best for it.

        Shape (offsets, injections).
        """
        sd = self._tests[0].ratio_sd
        prior = 1 / sd**2 if sd else np.inf
        yy = np.maximum(self._yy, 0.0)
        ratio = (prior + self._xy) / (prior + yy)
        return np.asarray(self._xx - 2 * ratio * self._xy + ratio**2 * yy + prior * (ratio - 1) ** 2)

    def may_be(self) -> NDArray[np.bool_]:
        """Which offsets may be right, bool, shape (offsets, injections)."""
        misfit = self.misfit()
        return np.asarray(misfit - misfit.min(axis=0) <= PLAUSIBLE)

    def is_apart(self) -> NDArray[np.bool_]:
        """Whether the clocks stand farther apart than is followed: only the outermost offset may be right.

        Shape (injections,).
        """
        if len(self.offsets_s) == 1:
            return np.zeros(self._xy.shape[1], dtype=np.bool_)
        return np.asarray(~self.may_be()[1:-1].any(axis=0))

    def offset_s(self) -> tuple[Array, Array]:
        """Smallest and largest offset of the meter's clock that may be right, shape (injections,)."""
        may = self.may_be()
        low = np.where(may, self.offsets_s[:, None], np.inf).min(axis=0)
        high = np.where(may, self.offsets_s[:, None], -np.inf).max(axis=0)
        return low, high
