"""From activity at one or several instants to the number of decays in every voxel.

One image: the agent stays where it is (permanent trapping, as microspheres do), or leaves with an effective half-life.
Several images: one exponential fitted in every voxel, or two whose half-lives come from the curve of the whole image.
Decays count from the administration; an image taken later is carried back to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Provenance, Volume, decay_factor, decays_per_becquerel, seconds_between
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.message import Message
from hepatica.core.resample import resample
from hepatica.dosimetry.time.curves import (
    PARAMETERS,
    Bound,
    CurveFit,
    Model,
    Tail,
    check_times,
    fastest_rate,
    fit_curve,
    integral_of_exponential,
)
from hepatica.errors import GeometryError, InputError, PhysicsError, TimeError

FloatArray = NDArray[np.float64]

TRAPPED = "permanent trapping: physical decay from the administration to infinity"

CHUNK = 1 << 15
"""Voxels fitted at a time; the working arrays stay in the processor's cache."""

ITERATIONS = 12
CLAMPED_WARNING_FRACTION = 0.01

MAX_OUTSIDE_LATER = 0.05
"""Share of the first image's activity that a later image may not show before the fit is refused. Our choice."""

WHOLLY_SEEN = 0.999
WORTH_SAYING = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class TimeIntegral:
    """Number of decays per voxel and how it was obtained.

    Attributes
    ----------
    decays : Volume
        Kind.DECAYS (Bq s).
    relative_sd : Volume or None
        Relative standard uncertainty of each voxel (Kind.FRACTION) from the fit; NaN in voxels where the points do not
        give it; None where nothing was fitted.
    curve : CurveFit or None
        Fit to the activity of the whole image, where several images were given.
    provenance : Provenance
        Parameters and step.
    messages : tuple of Message
        What the reader must know.
    """

    decays: Volume
    relative_sd: Volume | None
    curve: CurveFit | None
    provenance: Provenance
    messages: tuple[Message, ...] = ()


def permanent_trapping(activity: Volume, half_life_s: float, *, since: datetime) -> TimeIntegral:
    """Decays of an agent that stays where the image shows it: ``A(since) * T / ln 2``.

    Parameters
    ----------
    activity : Volume
        Kind.ACTIVITY with its reference time.
    half_life_s : float
        Physical half-life.
    since : datetime
        Administration; decays count from it.

    Raises
    ------
    UnitError
        If the volume is not an activity.
    TimeError
        If it has no reference time.
    """
    decays = _one_image(activity, half_life_s, since)
    return TimeIntegral(
        decays,
        None,
        None,
        Provenance(
            parameters={"half_life_s": half_life_s, "administered_at": since.isoformat()},
            conventions={"time integration": TRAPPED},
            steps=("Decays per voxel from one image, permanent trapping.",),
        ),
    )


def effective_decay(
    activity: Volume, effective_half_life_s: float, *, physical_half_life_s: float, since: datetime
) -> TimeIntegral:
    """Decays of an agent that leaves every voxel with one effective half-life, after instant uptake.

    Parameters
    ----------
    activity : Volume
        Kind.ACTIVITY with its reference time.
    effective_half_life_s, physical_half_life_s : float
        The first not longer than the second.
    since : datetime
        Administration; the image is carried back to it with the effective half-life.

    Raises
    ------
    PhysicsError
        If the effective half-life is longer than the physical one.
    UnitError, TimeError
        If the volume is not an activity or has no reference time.
    """
    if effective_half_life_s > physical_half_life_s * (1 + 1e-9):
        raise PhysicsError(
            f"effective half-life {effective_half_life_s / SECONDS_PER_HOUR:.4g} h is longer than the physical one, "
            f"{physical_half_life_s / SECONDS_PER_HOUR:.4g} h"
        )
    decays = _one_image(activity, effective_half_life_s, since)
    return TimeIntegral(
        decays,
        None,
        None,
        Provenance(
            parameters={
                "effective_half_life_s": effective_half_life_s,
                "half_life_s": physical_half_life_s,
                "administered_at": since.isoformat(),
            },
            conventions={"time integration": "instant uptake, one effective half-life in all voxels"},
            steps=("Decays per voxel from one image and an effective half-life.",),
        ),
    )


def integrate_image(
    activity: Volume,
    at_scan: Volume,
    *,
    half_life_s: float,
    effective_half_life_s: float | None = None,
    since: datetime | None = None,
    by_administration: bool = False,
    name: str = "",
) -> TimeIntegral:
    """Decays of one image since the administration, or since the image's own instant (which is said) if unknown.

    Parameters
    ----------
    activity : Volume
        Kind.ACTIVITY at the instant it refers to.
    at_scan : Volume
        What is carried back with an effective half-life: the same at the start of the scan, before which the scanner
        knew nothing of it.
    half_life_s : float
        Physical half-life.
    effective_half_life_s : float or None
        None if the agent stays where it is.
    since : datetime or None
        Administration.
    by_administration : bool
        Whether `activity` is that of the administration itself, scaled to what was given.
    name : str
        Of the image, for messages.

    Raises
    ------
    TimeError
        If the image's instant is not known, or before the administration.
    PhysicsError
        As `effective_decay`.
    """
    if since is None and by_administration and effective_half_life_s is None:
        values = activity.values * activity.values.dtype.type(decays_per_becquerel(half_life_s))
        decays = activity.with_values(values, Kind.DECAYS, time=None, name="decays")
        return TimeIntegral(decays, None, None, Provenance(conventions={"time integration": TRAPPED}))
    if activity.time is None:
        raise TimeError(
            f"{name}: the instant that the image refers to is not known",
            remedy="state it: `activity_at`, such as 2026-03-02T14:30",
        )
    notes: tuple[Message, ...] = ()
    if since is None:
        since = activity.time
        text = (
            "the time of the administration is not known: decays are counted from the instant of the image, "
            f"{since.isoformat(sep=' ')}; those before it are left out"
        )
        notes = (Message("administration-time-unknown", text, "state `administered_at`"),)
    if seconds_between(since, activity.time) < 0:
        raise TimeError(
            f"{name}: the image refers to {activity.time.isoformat()}, before the administration at {since.isoformat()}"
        )
    if effective_half_life_s is None:
        found = permanent_trapping(activity, half_life_s, since=since)
    else:
        found = effective_decay(at_scan, effective_half_life_s, physical_half_life_s=half_life_s, since=since)
    return replace(found, messages=(*notes, *found.messages))


def integrate_images(
    images: Sequence[Volume],
    *,
    since: datetime,
    physical_half_life_s: float,
    relative_sd: Sequence[float] | None = None,
    model: Model = "mono",
    tail: Tail = "fit",
    beyond_physical: Bound = "error",
) -> TimeIntegral:
    """Decays per voxel from several registered images, by a fit in every voxel.

    "mono" fits amplitude and half-life in every voxel; a voxel whose half-life would exceed the physical one gets the
    physical one, and a voxel with a value that is not positive gets the half-life of the whole image. "bi" takes both
    half-lives from the whole image and fits two amplitudes in every voxel: four parameters per noisy voxel would fit
    the noise.

    Parameters
    ----------
    images : sequence of Volume
        Kind.ACTIVITY on one grid, each with the time it refers to (not decay-corrected to a common one), in order.
    since : datetime
        Administration.
    physical_half_life_s : float
        Lower bound of every decay constant.
    relative_sd : sequence of float, optional
        Relative standard uncertainty of a voxel in each image, taken for the whole image's activity too. Without it
        all images weigh the same and the residuals, if there are more images than parameters, give the uncertainty.
    model : {"mono", "bi"}
        At least two or four images.
    tail : {"fit", "physical"}
        After the last image.
    beyond_physical : {"error", "clamp"}
        What to do if the whole image's half-life clearly exceeds the physical one.

    Raises
    ------
    InputError, TimeError, PhysicsError
        As :func:`hepatica.dosimetry.time.curves.fit_curve`, and if `relative_sd` does not fit the images.
    UnitError, GeometryError
        If an image is not a finite activity, or the grids differ.
    """
    times = _times_of(images, since, PARAMETERS[model])
    sds = _relative_sds(relative_sd, times.size)
    totals = [image.total for image in images]
    curve = fit_curve(
        times.tolist(),
        totals,
        None if sds is None else (sds * totals).tolist(),
        model=model,
        physical_half_life_s=physical_half_life_s,
        tail=tail,
        beyond_physical=beyond_physical,
    )
    slowest = math.log(2) / physical_half_life_s
    rates = math.log(2) / np.array(curve.half_lives_s)
    flat = [image.values.reshape(-1) for image in images]
    decays, relative = np.zeros(flat[0].size, np.float32), np.zeros(flat[0].size, np.float32)
    fit = _Fit(times, sds, rates, slowest, tail)
    clamped, borrowed = 0.0, 0.0
    for first in range(0, flat[0].size, CHUNK):
        part = slice(first, first + CHUNK)
        values = np.stack([image[part] for image in flat]).astype(np.float64)
        some = np.flatnonzero(values.any(axis=0))
        if not some.size:
            continue
        result = fit.one(values[:, some]) if model == "mono" else fit.two(values[:, some])
        decays[first + some], relative[first + some] = result.decays, result.relative_sd
        clamped += float(result.decays[result.clamped].sum())
        borrowed += float(result.decays[result.borrowed].sum())
    messages = curve.messages + _share_messages(clamped, borrowed, float(decays.sum(dtype=np.float64)))
    return TimeIntegral(
        decays=images[0].with_values(decays.reshape(images[0].grid.shape), Kind.DECAYS, time=None, name="decays"),
        relative_sd=images[0].with_values(relative.reshape(images[0].grid.shape), Kind.FRACTION, time=None, name=""),
        curve=curve,
        provenance=Provenance(
            parameters={
                "half_life_s": physical_half_life_s,
                "administered_at": since.isoformat(),
                "image_times_s": times.tolist(),
                "whole_image_half_lives_s": list(curve.half_lives_s),
            },
            conventions={
                "time integration": f"{model}-exponential fit in every voxel; after the last image: {tail}",
            },
            steps=(f"Decays per voxel from {times.size} images.",),
        ),
        messages=messages,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Voxels:
    """Fitted voxels, arrays of shape (n,)."""

    decays: FloatArray
    relative_sd: FloatArray
    clamped: NDArray[np.bool_]
    borrowed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """What is common to all voxels of a fit."""

    times: FloatArray
    sds: FloatArray | None
    rates: FloatArray
    slowest: float
    tail: Tail

    def one(self, values: FloatArray) -> _Voxels:
        """One exponential per voxel; values of shape (times, voxels)."""
        times = self.times[:, None]
        fastest = fastest_rate(self.times)
        borrowed = np.asarray((values <= 0).any(axis=0))
        rate = np.clip(self._log_linear(values, borrowed), self.slowest, fastest)
        weights = self._weights(values, rate)
        for _ in range(ITERATIONS):
            decay = np.exp(-rate * times)
            amplitude = (weights * values * decay).sum(axis=0) / (weights * decay**2).sum(axis=0)
            slope = -amplitude * times * decay
            a, b, c = ((weights * p * q).sum(axis=0) for p, q in ((decay, decay), (decay, slope), (slope, slope)))
            # Gauss-Newton for the rate with the amplitude eliminated; never further than a factor of two at a time.
            pull = (weights * slope * (values - amplitude * decay)).sum(axis=0)
            bend = c - b**2 / a
            step = np.divide(pull, bend, out=np.zeros_like(rate), where=bend > 0)
            new = np.clip(rate + np.clip(step, -0.5 * rate, rate), self.slowest, fastest)
            new[borrowed] = self.rates[0]
            moved, rate = float(np.abs(new / rate - 1).max()), new
            if moved < 1e-9:
                break
        held = np.asarray((rate <= self.slowest * (1 + 1e-9)) | borrowed)
        return self._one_result(values, weights, rate, held, borrowed)

    def _one_result(
        self,
        values: FloatArray,
        weights: FloatArray,
        rate: FloatArray,
        held: NDArray[np.bool_],
        borrowed: NDArray[np.bool_],
    ) -> _Voxels:
        decay = np.exp(-rate * self.times[:, None])
        a = (weights * decay**2).sum(axis=0)
        # A sum below zero is noise about nothing: no decays.
        amplitude = np.maximum((weights * values * decay).sum(axis=0) / a, 0)
        slope = -amplitude * self.times[:, None] * decay
        b, c = (weights * decay * slope).sum(axis=0), (weights * slope**2).sum(axis=0)
        unit, change = integral_of_exponential(rate, float(self.times[-1]), self.slowest, self.tail)
        decays, by_rate = amplitude * unit, amplitude * change
        determinant = a * c - b**2
        free = ~held & (determinant > 0)
        both = np.divide(
            unit**2 * c - 2 * unit * by_rate * b + by_rate**2 * a, determinant, out=np.zeros_like(a), where=free
        )
        variance = np.where(free, both, unit**2 / a)
        variance *= self._residual_scale(values - amplitude * decay, weights, np.where(held, 1, 2))
        relative = np.divide(np.sqrt(variance), decays, out=np.full_like(a, np.nan), where=decays > 0)
        return _Voxels(decays, relative, held & ~borrowed, borrowed)

    def two(self, values: FloatArray) -> _Voxels:
        """Two exponentials of given rates; amplitudes per voxel by linear least squares."""
        decay = np.exp(-np.outer(self.times, self.rates))
        unit, _ = integral_of_exponential(self.rates, float(self.times[-1]), self.slowest, self.tail)
        weights = self._weights(values, np.full(values.shape[1], self.rates.min()))
        normal = np.einsum("ta,tb,tv->vab", decay, decay, weights)
        pull = np.einsum("ta,tv->va", decay, weights * values)
        inverse = np.linalg.inv(normal)
        amplitude = np.einsum("vab,vb->va", inverse, pull)
        decays = np.maximum(amplitude @ unit, 0)
        variance = np.einsum("a,vab,b->v", unit, inverse, unit)
        variance *= self._residual_scale(values - decay @ amplitude.T, weights, np.full(decays.shape, 2))
        relative = np.divide(np.sqrt(variance), decays, out=np.full_like(decays, np.nan), where=decays > 0)
        none = np.zeros(decays.shape, bool)
        return _Voxels(decays, relative, none, none)

    def _log_linear(self, values: FloatArray, borrowed: NDArray[np.bool_]) -> FloatArray:
        """First guess of the rate: straight line through the logarithms."""
        logarithms = np.log(np.where(borrowed, 1.0, values))
        centred = self.times - self.times.mean()
        rate = -(centred[:, None] * logarithms).sum(axis=0) / (centred**2).sum()
        return np.asarray(np.where(borrowed, self.rates[0], rate))

    def _weights(self, values: FloatArray, rate: FloatArray) -> FloatArray:
        """Inverse variances; relative uncertainties are taken of a first fit, not of the noisy values themselves."""
        if self.sds is None:
            return np.ones_like(values)
        decay = np.exp(-rate * self.times[:, None])
        expected = decay * (np.maximum(values, 0) / decay).mean(axis=0)
        floor = np.abs(values).max(axis=0) * 1e-6
        return np.asarray(1 / (self.sds[:, None] * np.maximum(expected, floor)) ** 2)

    def _residual_scale(self, residual: FloatArray, weights: FloatArray, used: NDArray[np.int_]) -> FloatArray:
        """1 with stated uncertainties, otherwise the mean squared residual; NaN if no point is left over."""
        if self.sds is not None:
            return np.ones(residual.shape[1])
        freedom = self.times.size - used
        total = (weights * residual**2).sum(axis=0)
        return np.asarray(np.divide(total, freedom, out=np.full_like(total, np.nan), where=freedom > 0))


def _one_image(activity: Volume, half_life_s: float, since: datetime) -> Volume:
    activity.require_kind(Kind.ACTIVITY)
    activity.require_finite()
    if activity.time is None:
        raise TimeError(f"{activity.name or 'activity'}: has no reference time; state the instant it refers to")
    to_since = 1 / decay_factor(seconds_between(since, activity.time), half_life_s)
    factor = to_since * decays_per_becquerel(half_life_s)
    return activity.with_values(activity.values * np.float32(factor), Kind.DECAYS, time=None, name="decays")


def _times_of(images: Sequence[Volume], since: datetime, needed: int) -> FloatArray:
    times = []
    for number, image in enumerate(images, 1):
        image.require_kind(Kind.ACTIVITY)
        image.require_finite()
        image.grid.require_match(images[0].grid, f"images 1 and {number}")
        if image.time is None:
            raise TimeError(f"image {number} has no reference time; state the instant it refers to")
        times.append(seconds_between(since, image.time))
    array = np.array(times, dtype=np.float64)
    check_times(array, needed)
    return array


def _relative_sds(relative_sd: Sequence[float] | None, count: int) -> FloatArray | None:
    if relative_sd is None:
        return None
    sds = np.asarray(relative_sd, float)
    if sds.shape != (count,) or not (np.isfinite(sds).all() and (sds > 0).all()):
        raise InputError(f"relative_sd must hold one positive number for each of the {count} images")
    return sds


def _share_messages(clamped: float, borrowed: float, total: float) -> tuple[Message, ...]:
    found = []
    if clamped > CLAMPED_WARNING_FRACTION * total:
        text = (
            f"voxels with {100 * clamped / total:.0f} % of the decays fell more slowly than by physical decay; the "
            "physical half-life was used there"
        )
        found.append(Message("voxels-at-physical-half-life", text))
    if borrowed > CLAMPED_WARNING_FRACTION * total:
        text = (
            f"voxels with {100 * borrowed / total:.0f} % of the decays have a value that is not positive; the "
            "half-life of the whole image was used there"
        )
        found.append(Message("voxels-at-image-half-life", text))
    return tuple(found)


def in_common_field(images: Sequence[Volume]) -> tuple[list[Volume], tuple[Message, ...]]:
    """All images on the first one's grid, in the field of view that all share.

    Where a later image does not reach it would read as complete wash-out; such voxels are left out of all images.

    Raises
    ------
    GeometryError
        If more than 5 % of the first image's activity lies outside a later image.
    """
    first = images[0]
    seen = np.ones(first.grid.shape, dtype=bool)
    for image in images[1:]:
        everywhere = image.with_values(np.ones(image.grid.shape, np.float32), Kind.FRACTION)
        seen &= resample(everywhere, first.grid, "mean").values > WHOLLY_SEEN
    lost = 1 - float(first.values.sum(where=seen, dtype=np.float64)) / first.total
    if lost > MAX_OUTSIDE_LATER:
        raise GeometryError(
            f"{100 * lost:.1f} % of the activity of the first image lies outside the field of view of a later one, "
            f"more than {100 * MAX_OUTSIDE_LATER:.0f} %: there is no curve there",
            remedy="use images that cover the same volume",
        )
    moved = [resample(image, first.grid, "total") for image in images]
    if seen.all():
        return moved, ()
    text = f"{100 * lost:.2f} % of the activity of the first image lies outside a later one and is left out"
    cut = [image.with_values(image.values * seen) for image in moved]
    return cut, ((Message("activity-outside-later-image", text),) if lost > WORTH_SAYING else ())
