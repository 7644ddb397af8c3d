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
    _past: deque[Array] = field(default_factory=deque)
    """At each look, shape (8, injections): sums until then of the signal, of the reference, of its square's noise, of
    the product's and of the signal's (`_noise`); level of the reference; ratio and its precision."""

    def value(self, look: Look, windows: list[int]) -> Array:
        """Take in a look; the statistic, shape (injections,)."""
        x = look.net @ self.signal
        y = look.net @ self.reference if self.reference is not None else look.reference
        prior = 1 / self.ratio_sd**2
        if not self._past:
            first = np.zeros((8, len(x)))
            first[6], first[7] = self.ratio, prior
            self._past.append(first)
        last = self._past[-1]
        ratio = last[6]
        parts = self._parts(look.variance)
        noise = _noise(parts, ratio) + ratio**2 * self.reference_noise
        self._products = self._products + x * y / noise
        # Errors of the reference would make the ratio too small; their mean square is taken off.
        self._squares = self._squares + (y * y - self.reference_noise) / noise
        precision = prior + np.maximum(self._squares, 0.0)
        now = np.empty_like(last)
        now[0], now[1] = last[0] + x * look.dt, last[1] + y * look.dt
        now[2:5] = last[2:5] + parts * look.dt**2
        now[5], now[6], now[7] = y, (self.ratio * prior + self._products) / precision, precision
        self._past.append(now)
        if len(self._past) > 2 * max(windows) + 2:
            self._past.popleft()
        return self._largest(look.dt, windows)

    def _parts(self, variance: Array) -> Array:
        """Of the noise of signal less ratio times reference: what the square of the ratio, the ratio and 1 multiply.

        Shape (3, injections).
        """
        if self.reference is None:
            nothing = np.zeros(len(variance))
            return np.stack([nothing, nothing, variance @ self.signal**2])
        squares = np.stack([self.reference**2, -2 * self.signal * self.reference, self.signal**2])
        return np.asarray(squares @ variance.T)

    def _largest(self, dt: float, windows: list[int]) -> Array:
        past = self._past
        lengths = [length for length in windows if length < len(past)]
        if not lengths:
            return np.full(past[-1].shape[1], -np.inf)
        # Rows of windows: all are judged at once.
        x, y, square, product, alone, level = (past[-1][:6] - [past[-1 - n][:6] for n in lengths]).swapaxes(0, 1)
        # What began a window ago has not touched the ratio of two windows ago, and shows most in the last one.
        ratio, precision = np.stack([past[-min(1 + 2 * n, len(past))][6:] for n in lengths], axis=1)
        noise = _noise((square, product, alone), ratio)
        noise = noise + ratio**2 * (self.reference_noise * dt * dt * np.array(lengths)[:, None])
        doubt = y**2 * (1 / precision + self.drift**2) + (ratio * self.lag_s * level) ** 2
        value = (x - ratio * y) / np.sqrt(noise + doubt)
        return np.asarray((np.abs(value) if self.sign == 0 else self.sign * value).max(axis=0))


def _noise(parts: tuple[Array, Array, Array] | Array, ratio: Array) -> Array:
    """Variance of signal less ratio times reference: a polynomial of the ratio, so that masks are summed but once."""
    square, product, alone = parts
    return np.asarray((square * ratio + product) * ratio + alone)


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
