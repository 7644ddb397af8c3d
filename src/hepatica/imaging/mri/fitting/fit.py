"""R2* of every voxel of a multi-echo acquisition, with its uncertainty and how it was come by."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.imaging.mri.fat import fat_signal
from hepatica.imaging.mri.fitting.prior import S0Prior, borrow
from hepatica.transport.runner.launch import load_warp

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

ABOVE_NOISE = 3.0
"""A magnitude above this many standard deviations holds signal: noise alone passes it in 1.1 % of voxels."""

OWN_ECHOES = 3
"""Echoes above the noise from which a voxel's own S0 is fitted."""

FULL_ECHOES = 5
"""Echoes above the noise from which a voxel needs no help: below, its neighbours' S0 enters with their spread. Chance
puts a voxel with fast decay above the noise, and what it says alone would be too slow a decay."""

SURE = 2.0
"""Standard uncertainties of a borrowed S0 that a lower limit stays below."""

DONOR_LOG_SD = 0.1
"""Standard uncertainty of the logarithm of an S0 that others may rest on."""

NOT_FITTED, OWN, NEIGHBOURS, LIMIT, NOTHING = range(5)
"""Routes of a voxel: not asked for; own S0; S0 of neighbours; a lower limit; dark, and no neighbour with an S0."""

ROUTE_NAMES = ("not fitted", "own S0", "S0 of neighbours", "lower limit", "nothing to go by")

MAX_THREADS = 8
FAT_STARTS = (0.03, 0.3)
GRADIENT_STARTS = (0.0, 0.02)
HIGHEST_FAT = 0.5
"""Above it magnitudes cannot tell fat from water."""

Model = Literal["plain", "fat", "gradient"]


@dataclass(frozen=True, slots=True, eq=False)
class DecayFit:
    """What was found of the decay in each voxel; NaN where it was not fitted. All arrays are of the grid's shape.

    Attributes
    ----------
    grid : Grid
        Voxels.
    r2star_per_s : ndarray
        1/s; where the route is `LIMIT` the lowest that it can be.
    r2star_sd_per_s : ndarray
        Standard uncertainty from noise, S0 of neighbours included; NaN at a limit.
    r2star_common_sd_per_s : ndarray
        Part of it that voxels share, as they rest on the same S0; zero where a voxel's own says all.
    log_s0 : ndarray
        Logarithm of the signal at echo time zero over the noise.
    third : ndarray
        Share of fat, or phase rate of the slice's gradient (rad/s); zero for a plain fit.
    misfit : ndarray
        Chi-squared of the echoes above the noise per degree of freedom; NaN without one.
    route : ndarray of uint8
        `NOT_FITTED`, `OWN`, `NEIGHBOURS`, `LIMIT` or `NOTHING`.
    noise : float
        Standard deviation of the noise, in the image's unit.
    model : {"plain", "fat", "gradient"}
        What else than S0 and R2* was fitted.
    echo_times_s : tuple of float
        Echoes that were used.
    borrowed : ndarray of bool
        Voxels whose S0 rests on tissue that may be another.
    """

    grid: Grid
    r2star_per_s: Array
    r2star_sd_per_s: Array
    r2star_common_sd_per_s: Array
    log_s0: Array
    third: Array
    misfit: Array
    route: NDArray[np.uint8]
    noise: float
    model: Model
    echo_times_s: tuple[float, ...]
    borrowed: Mask

    @property
    def is_measured(self) -> Mask:
        """Voxels with a value, not a limit."""
        return np.asarray((self.route == OWN) | (self.route == NEIGHBOURS))


def fit_decay(
    scan: MultiEcho,
    mask: Mask,
    *,
    noise: float,
    model: Model = "plain",
    factor: Array | None = None,
    echoes: tuple[int, ...] | None = None,
    prior: S0Prior | None = None,
    threads: int | None = None,
) -> DecayFit:
    """Fit the decay of every voxel of a mask by maximum likelihood of Rician magnitudes.

    Parameters
    ----------
    scan : MultiEcho
        The echoes.
    mask : ndarray of bool, shape ``grid.shape``
        Voxels that are asked for.
    noise : float
        Standard deviation of the noise, in the image's unit.
    model : {"plain", "fat", "gradient"}
        Whether a share of fat or the gradient across the slice is fitted too.
    factor : ndarray or None, shape (echoes, i, j, k)
        What the signal is less by for a known field, each echo.
    echoes : tuple of int or None
        Which of the echoes are used; all by default.
    prior : S0Prior or None
        What is known of S0 from a scan before and from structures; by default all voxels are one tissue.
    threads : int or None
        CPU threads; all by default.

    Returns
    -------
    DecayFit
        R2* with its uncertainty and route.

    Raises
    ------
    InputError
        If the noise is not positive, or fewer echoes are used than the model has parameters.
    GeometryError
        If mask or factor do not fit.

    Notes
    -----
    A start by log-linear regression with weights m^2 is followed by Levenberg's steps on the log-likelihood of a
    Rician with its expected information, over all echoes: those in the noise say that there is no signal. The
    uncertainty is that information's inverse. A voxel with fewer than `OWN_ECHOES` above `ABOVE_NOISE` takes the S0
    of its neighbours, whose spread is part of its uncertainty ("S0 fitting", van de Maat et al., Eur Radiol
    2013;23:827); with fewer than `FULL_ECHOES` the neighbours' S0 is a Gaussian prior of its own; one with none has a
    lower limit: the R2* at which its first echo would stand at `ABOVE_NOISE`. What neighbours of another tissue say
    of S0 is put right by the scan before, or counts with the spread between tissues: see `S0Prior`.
    """
    used = tuple(range(scan.echoes)) if echoes is None else echoes
    _check(scan, mask, noise, model, factor, used)
    times = np.asarray([scan.echo_times_s[n] for n in used])
    where = np.flatnonzero(mask.ravel())
    signal = np.ascontiguousarray(scan.magnitude.reshape(scan.echoes, -1)[list(used)][:, where].T) / np.float32(noise)
    shading = (
        np.ones((1, len(used)), dtype=np.float32)
        if factor is None
        else np.ascontiguousarray(factor.reshape(scan.echoes, -1)[list(used)][:, where].T, dtype=np.float32)
    )
    above = np.logical_and.accumulate(signal > ABOVE_NOISE, axis=1).sum(axis=1).astype(np.int32)
    run = _Run(signal, shading, above, times, scan.field_t, model, threads or min(MAX_THREADS, os.cpu_count() or 1))
    found = run.fit(np.zeros((len(where), 2), dtype=np.float32))
    variance, log_variance = _variances(found)
    whole = above >= min(FULL_ECHOES, len(used))
    own = (above >= min(OWN_ECHOES, len(used))) & (variance > 0)
    donors = whole & (log_variance < DONOR_LOG_SD**2)
    s0 = borrow(scan.grid, where, (found[:, 0], log_variance), donors, ~whole, prior)
    route = np.where(own, OWN, NOTHING).astype(np.uint8)
    helped = ~whole & (above > 0) & s0.known
    dark = (above == 0) & s0.known
    common = np.zeros(len(where), dtype=np.float32)
    if helped.any():
        weight = 1 / s0.sd[helped] ** 2
        found[helped] = run.of(helped).fit(np.stack([s0.log_s0[helped], weight], axis=1).astype(np.float32))
        variance[helped] = _variances(found[helped])[0]
        common[helped] = _shared(found[helped], weight) * s0.common_sd[helped]
        route[helped & ~own] = NEIGHBOURS
    if dark.any():
        first = np.log(shading[0, 0] if len(shading) == 1 else np.maximum(shading[dark, 0], 1e-3))
        # An S0 of other tissue may be too high; a limit must not be.
        lowest = s0.log_s0[dark] - SURE * np.where(s0.borrowed[dark], s0.sd[dark], 0)
        found[dark, 1] = (lowest + first - np.log(ABOVE_NOISE)) / (1000 * times[0])
        found[dark, 0], found[dark, 2] = s0.log_s0[dark], 0
        variance[dark] = np.nan
        route[dark] = LIMIT
    nothing = route == NOTHING
    found[nothing], variance[nothing] = np.nan, np.nan
    judged = _Judged(variance, common, run.misfit(found, above), route, s0.borrowed & (helped | dark))
    return _on_grid(scan, where, found, judged, run, noise)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is said of the voxels asked for beside their parameters."""

    variance: NDArray[Any]
    common_sd: Array
    misfit: Array
    route: NDArray[np.uint8]
    borrowed: Mask


def _shared(found: Array, weight: NDArray[Any]) -> NDArray[np.float64]:
    """By how much the rate (1/ms) moves with the log S0 that a voxel is helped by; zero without an inverse."""
    aa, ar, rr = (found[:, n].astype(np.float64) for n in (3, 4, 5))
    determinant = aa * rr - ar**2
    good = determinant > 1e-6 * aa * rr
    return np.where(good, np.abs(ar) * weight / np.where(good, determinant, 1), 0)


def _variances(found: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variances of rate and log S0; NaN where the information has no inverse."""
    aa, ar, rr = (found[:, n].astype(np.float64) for n in (3, 4, 5))
    determinant = aa * rr - ar**2
    good = determinant > 1e-6 * aa * rr
    safe = np.where(good, determinant, 1)
    return np.where(good, aa / safe, np.nan), np.where(good, rr / safe, np.nan)


def _check(
    scan: MultiEcho, mask: Mask, noise: float, model: Model, factor: Array | None, used: tuple[int, ...]
) -> None:
    if mask.shape != scan.grid.shape or (factor is not None and factor.shape != scan.magnitude.shape):
        raise GeometryError(f"{scan.name}: mask or factor do not fit {scan.grid}")
    if not (np.isfinite(noise) and noise > 0):
        raise InputError(f"{scan.name}: the noise must be positive, not {noise:g}")
    if not mask.any():
        raise InputError(f"{scan.name}: no voxel is asked for")
    needed = 2 if model == "plain" else 4
    if len(used) < needed:
        raise InputError(f"{scan.name}: {len(used)} echoes are used; a {model} fit needs at least {needed}")


class _Run:
    """Launches of the kernel over voxels, shared among threads."""

    def __init__(
        self, signal: Array, shading: Array, above: NDArray[np.int32], times_s: NDArray[np.float64], field_t: float,
        model: Model, threads: int,
    ) -> None:  # fmt: skip
        self.signal, self.shading, self.above = signal, shading, above
        self.times_s, self.field_t, self.model, self.threads = times_s, field_t, model, threads
        self._wp = load_warp()
        from hepatica.imaging.mri.fitting import kernels

        self._kernels: Any = kernels
        self._wp.load_module(kernels, device="cpu")

    def of(self, chosen: Mask) -> _Run:
        """The same of some voxels."""
        shading = self.shading if len(self.shading) == 1 else np.ascontiguousarray(self.shading[chosen])
        signal, above = np.ascontiguousarray(self.signal[chosen]), np.ascontiguousarray(self.above[chosen])
        return _Run(signal, shading, above, self.times_s, self.field_t, self.model, self.threads)

    def fit(self, priors: Array) -> Array:
        """Log S0, rate (1/ms), third, information (3), log-likelihood of each voxel.

        `priors` holds log S0 and its weight (1 over its variance, zero for none), shape (voxels, 2).
        """
        wp, count = self._wp, len(self.signal)
        found = np.zeros((count, 7), dtype=np.float32)
        starts = {"plain": (0.0,), "fat": FAT_STARTS, "gradient": GRADIENT_STARTS}[self.model]
        times_ms = 1000 * self.times_s
        # The gradient's third parameter is the squared phase rate; the sinc's first zero must lie past the last echo.
        highest = {"plain": 0.0, "fat": HIGHEST_FAT, "gradient": float((2.8 / times_ms[-1]) ** 2)}[self.model]
        if self.model == "gradient":
            starts = tuple(min(s, 0.5 * highest) for s in starts)
        fat = fat_signal(self.times_s, self.field_t)
        pairs = np.stack([fat.real, fat.imag], axis=1).astype(np.float32)

        def array(values: NDArray[Any], kind: Any = wp.float32) -> Any:
            return wp.array(values, dtype=kind, device="cpu", copy=False)

        given = (
            array(self.signal), array(self.shading), array(self.above, wp.int32),
            array(priors, wp.vec2), array(times_ms.astype(np.float32)),
            wp.array(pairs, dtype=wp.vec2, device="cpu"), array(information_table()),
            array(np.asarray(starts, dtype=np.float32)), {"plain": 0, "fat": 1, "gradient": 2}[self.model], highest,
        )  # fmt: skip
        out = array(found)

        def work(first: int, last: int) -> None:
            wp.launch(self._kernels.fit_voxels, dim=last - first, inputs=[*given, first, out], device="cpu")

        cuts = [count * n // self.threads for n in range(self.threads + 1)]
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(work, cuts[:-1], cuts[1:]))
        return found

    def misfit(self, found: Array, above: NDArray[np.int32]) -> Array:
        """Chi-squared per degree of freedom of the echoes above the noise, the mean magnitude being the Rician's."""
        out = np.full(len(found), np.nan, dtype=np.float32)
        total = np.zeros(len(found))
        for n, time_s in enumerate(self.times_s):
            known = above > n
            amount = np.exp(np.clip(found[known, 0] - found[known, 1] * 1000 * time_s, -40, 25))
            if self.model == "fat":
                amount = amount * np.abs(1 + found[known, 2] * (fat_signal([time_s], self.field_t)[0] - 1))
            elif self.model == "gradient":
                amount = amount * np.sinc(np.sqrt(np.maximum(found[known, 2], 0)) * 1000 * time_s / np.pi)
            amount = amount * (self.shading[0, n] if len(self.shading) == 1 else self.shading[known, n])
            total[known] += (self.signal[known, n] - np.sqrt(amount**2 + 1)) ** 2
        freedom = above - (2 if self.model == "plain" else 3)
        judged = freedom > 0
        out[judged] = total[judged] / freedom[judged]
        return out


def _on_grid(
    scan: MultiEcho, where: NDArray[np.intp], found: Array, judged: _Judged, run: _Run, noise: float
) -> DecayFit:
    """The fit of the voxels asked for on the whole grid."""

    def full(values: NDArray[Any]) -> Array:
        out = np.full(scan.grid.size, np.nan, dtype=np.float32)
        out[where] = values
        out = out.reshape(scan.grid.shape)
        out.setflags(write=False)
        return out

    routes = np.zeros(scan.grid.size, dtype=np.uint8)
    routes[where] = judged.route
    borrowed = np.zeros(scan.grid.size, dtype=bool)
    borrowed[where] = judged.borrowed
    third = found[:, 2] if run.model != "gradient" else 1000 * np.sqrt(np.maximum(found[:, 2], 0))
    return DecayFit(
        scan.grid, full(1000 * found[:, 1]), full(1000 * np.sqrt(judged.variance)), full(1000 * judged.common_sd),
        full(found[:, 0]), full(third), full(judged.misfit), routes.reshape(scan.grid.shape), noise, run.model,
        tuple(run.times_s.tolist()), borrowed.reshape(scan.grid.shape),
    )  # fmt: skip


@cache
def information_table() -> Array:
    """Fisher information of a Rician magnitude about its signal, both over sigma, at signals 0, 1/32, ... 10.

    It is the variance of the score, E[(m I1(m s) / I0(m s))^2] - s^2, by quadrature over the density of m.
    """
    from scipy import special

    signal = np.arange(0, 10 + 3 / 64, 1 / 32)[:, None]
    m = np.linspace(0, 20, 4001)[None, :]
    product = m * signal
    density = m * np.exp(-((m - signal) ** 2) / 2) * special.i0e(product)
    ratio = special.i1e(product) / special.i0e(product)
    step = m[0, 1]
    mean_square = ((m * ratio) ** 2 * density).sum(axis=1) * step / (density.sum(axis=1) * step)
    return np.asarray(np.maximum(mean_square - signal[:, 0] ** 2, 0), dtype=np.float32)
