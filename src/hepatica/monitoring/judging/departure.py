"""One signal held against its reference, and what has left a vial as it comes out of the catheter."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from hepatica.monitoring.setup import Array, Setup


@dataclass(slots=True)
class Departure:
    """One signal held against its reference.

    Attributes
    ----------
    signal : ndarray, shape (masks,)
        Weights of the net counts.
    reference : ndarray, shape (masks,) or None
        Weights of the reference's counts; None where it has no counting noise (spill, what was infused).
    ratio, ratio_sd : float
        Before anything is seen.
    drift : float
        Standard deviation by which the ratio changes within an injection.
    sign : int
        1 for an excess, -1 for a deficit, 0 for both.
    reference_noise : float
        Variance of one reading of the reference.
    lag_s : float
        Standard deviation of the time by which the signal follows the reference.
    """

    signal: Array
    reference: Array | None
    ratio: float
    ratio_sd: float
    drift: float
    sign: int = 1
    reference_noise: float = 0.0
    lag_s: float = 0.0
    _products: Array | float = 0.0
    _squares: Array | float = 0.0
    _past: deque[tuple[Array, Array, Array, Array, Array, Array]] = field(default_factory=deque)

    def value(self, look: Look, windows: list[int]) -> Array:
        """Take in a look; the statistic, shape (injections,)."""
        x = look.net @ self.signal
        y = look.net @ self.reference if self.reference is not None else look.reference
        prior = 1 / self.ratio_sd**2
        if not self._past:
            zero = np.zeros_like(x)
            self._past.append((zero, zero, np.zeros_like(look.net), zero + self.ratio, zero + prior, zero))
        sx, sy, variance, ratio, _, _ = self._past[-1]
        sx, sy, variance = sx + x * look.dt, sy + y * look.dt, variance + look.variance * look.dt**2
        noise = (look.variance * self._weights(ratio) ** 2).sum(axis=1) + ratio**2 * self.reference_noise
        self._products = self._products + x * y / noise
        # Errors of the reference would make the ratio too small; their mean square is taken off.
        self._squares = self._squares + (y * y - self.reference_noise) / noise
        precision = prior + np.maximum(self._squares, 0.0)
        self._past.append((sx, sy, variance, (self.ratio * prior + self._products) / precision, precision, y))
        if len(self._past) > 2 * max(windows) + 2:
            self._past.popleft()
        return self._largest(look.dt, windows)

    def _weights(self, ratio: Array) -> Array:
        if self.reference is None:
            return np.broadcast_to(self.signal, (len(ratio), len(self.signal)))
        return self.signal - ratio[:, None] * self.reference

    def _largest(self, dt: float, windows: list[int]) -> Array:
        x, y, variance, _, _, level = self._past[-1]
        best = np.full(len(x), -np.inf)
        for length in windows:
            if length >= len(self._past):
                break
            x0, y0, variance0, _, _, level0 = self._past[-1 - length]
            # What began a window ago has not touched the ratio of two windows ago, and shows most in the last one.
            ratio, precision = self._past[-min(1 + 2 * length, len(self._past))][3:5]
            noise = ((variance - variance0) * self._weights(ratio) ** 2).sum(axis=1)
            noise = noise + ratio**2 * self.reference_noise * length * dt * dt
            doubt = (y - y0) ** 2 * (1 / precision + self.drift**2) + (ratio * self.lag_s * (level - level0)) ** 2
            value = (x - x0 - ratio * (y - y0)) / np.sqrt(noise + doubt)
            best = np.maximum(best, np.abs(value) if self.sign == 0 else self.sign * value)
        return best


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One look, as a test takes it in.

    Attributes
    ----------
    dt : float
        Exposure, s.
    net, variance : ndarray, shape (injections, masks)
        Net counts per second and their variances.
    reference : ndarray, shape (injections,)
        What has no counting noise: spill, or what was infused.
    time_s : float
        Middle of the exposure.
    is_metered : bool
        Whether a meter says what left the vial; else the camera stands in, which is no second opinion.
    """

    dt: float
    net: Array
    variance: Array
    reference: Array
    time_s: float = 0.0
    is_metered: bool = True

    def holding(self, reference: Array) -> Look:
        """The same against another reference."""
        return replace(self, reference=reference)


class Transit:
    """What has left the vial, as it comes out of the catheter: later, and spread.

    Parameters
    ----------
    setup : Setup
        Lag and dispersion.
    injections : int
        How many side by side.
    look_s : float
        Time before the first look.
    """

    def __init__(self, setup: Setup, injections: int, look_s: float) -> None:
        self._lag_s, self._dispersion_s = setup.lag_s, setup.dispersion_s
        self._left: deque[tuple[float, Array]] = deque()
        self._come = np.zeros(injections)
        self._last_s = -look_s / 2

    def keep(self, infused: Array, time_s: float) -> None:
        """Take in a reading of what has left the vial."""
        self._left.append((time_s, infused))

    def come(
        self, infused: Array, time_s: float, *, wanted_s: float | None = None, elapsed_s: float | None = None
    ) -> Array:
        """Activity out of the catheter, shape (injections,); between two looks it is interpolated.

        Parameters
        ----------
        infused : ndarray, shape (injections,)
            Out of the vial.
        time_s : float
            When.
        wanted_s : float, optional
            When what comes out now had left the vial; earlier by the lag if not given.
        elapsed_s : float, optional
            Since the last call; by the times if not given.
        """
        elapsed = time_s - self._last_s if elapsed_s is None else elapsed_s
        self._last_s = time_s
        self.keep(infused, time_s)
        wanted = time_s - self._lag_s if wanted_s is None else wanted_s
        while len(self._left) > 1 and self._left[1][0] <= wanted + 1e-9:
            self._left.popleft()
        first, before = self._left[0]
        if first > wanted + 1e-9:
            return self._come
        if len(self._left) > 1 and wanted > first:
            second, after = self._left[1]
            before = before + (after - before) * ((wanted - first) / (second - first))
        part = 1 - np.exp(-elapsed / self._dispersion_s) if self._dispersion_s else 1.0
        self._come = self._come + part * (before - self._come)
        return self._come
