"""Stasis where no meter says what has left the vial: arrival falls behind its own trend.

The planned infusion is the clock. What has arrived over what should have, until a window began, is how fast this hand
pushes; the statistic is what is missing in the window by that speed, over its standard deviation. A flow by hand varies
slowly (standard deviation `VARIES`, correlated over `VARIES_S`): over a window of w seconds its sum has the variance
2 s² t² (w/t - 1 + exp(-w/t)), so that a flow that stands shows the more the longer it does, and a slow minute does not.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from hepatica.monitoring.setup import Array, Setup

VARIES, VARIES_S = 0.25, 15.0
"""Of the flow; a little more than the 20 % of simulated injections (assumption)."""

WINDOWS_S = (4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0)

ENDS = 0.25
"""Of a window over which its beginning and its end are averaged."""

LEAST_S = 5.0
"""Of the planned infusion that must have arrived before a window begins: else nothing is known of the speed."""

LEAST_ARRIVED = 0.03
"""Of the planned activity, the same."""


class Slowing:
    """The statistic of injections side by side.

    Parameters
    ----------
    setup : Setup
        Plan, response, doubts.
    injections : int
        How many.
    look_s : float
        Time between looks.
    """

    def __init__(self, setup: Setup, injections: int, look_s: float) -> None:
        self._setup = setup
        response, shares = setup.response_cps_per_bq, setup.expected_shares
        self._whole = 1 / float((response @ shares).sum())
        self._looks = sorted({max(2, round(w / look_s)) for w in WINDOWS_S})
        zero = np.zeros(injections)
        self._past: deque[tuple[Array, Array, Array]] = deque([(zero, zero, zero)], maxlen=2 * self._looks[-1])

    def value(self, net: Array, variance: Array, come_bq: Array) -> Array:
        """Take in a look; the statistic, shape (injections,).

        Parameters
        ----------
        net, variance : ndarray, shape (injections, masks)
            Net counts per second and their variances.
        come_bq : ndarray, shape (injections,)
            What by the planned infusion, or by what was pushed, had time to arrive.
        """
        seen, spread = net.sum(axis=1) * self._whole, variance.sum(axis=1) * self._whole**2
        last = self._past[-1]
        self._past.append((last[0] + seen, last[1] + spread, last[2] + come_bq))
        best = np.full(len(seen), -np.inf)
        for looks in self._looks:
            few = max(1, round(ENDS * looks))
            if looks + few >= len(self._past):
                break
            best = np.maximum(best, self._missing(looks, few))
        return best

    def _missing(self, looks: int, few: int) -> Array:
        """What is missing in a window, in standard deviations."""
        setup = self._setup
        ends = [
            tuple((a - b) / few for a, b in zip(self._past[-1 - back], self._past[-1 - back - few], strict=True))
            for back in (0, looks)
        ]
        (now, noise, come), (then, noise_then, come_then) = ends
        per_s = setup.planned_bq / setup.infusion_s
        before, window = come_then / per_s, (come - come_then) / per_s
        known = (before > LEAST_S) & (then > LEAST_ARRIVED * setup.planned_bq) & (window > 0)
        long = np.where(known, before, 1.0)
        speed = np.where(known, then, 0.0) / long
        late = np.hypot(setup.doubts.lag_s, setup.doubts.dispersion_s)
        doubt = speed**2 * (varied(window) + (window / long) ** 2 * (varied(long) + late**2))
        value = (speed * window - (now - then)) / np.sqrt((noise + noise_then) / few + doubt + 1e-300)
        return np.where(known, value, -np.inf)


def varied(seconds: Array | NDArray[np.float64]) -> Array:
    """Variance of a flow's sum over so long, in s² of its mean."""
    part = np.maximum(seconds, 0.0) / VARIES_S
    return np.asarray(2 * (VARIES * VARIES_S) ** 2 * (part - 1 + np.exp(-part)))
