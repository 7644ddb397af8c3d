"""From activity at several instants to the number of decays in every voxel.

One exponential fitted in every voxel, or one or two whose half-lives come from the curve of the whole image; or the
points themselves. Decays count from the administration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Provenance, Volume, seconds_between
from hepatica.core.message import Message
from hepatica.core.resample import resample
from hepatica.dosimetry.time.curves import (
    MAX_BOUND_COST,
    PARAMETERS,
    Bound,
    Tail,
    check_times,
    fastest_rate,
    fit_curve,
    held_cost,
    integral_of_exponential,
)
from hepatica.dosimetry.time.one_image import TimeIntegral, trapezoid_of
from hepatica.dosimetry.time.options import TimeOptions
from hepatica.dosimetry.time.trapezoid import point_curve
from hepatica.errors import GeometryError, InputError, PhysicsError, TimeError

FloatArray = NDArray[np.float64]

CHUNK = 1 << 15
"""Voxels fitted at a time; the working arrays stay in the processor's cache."""

ITERATIONS = 12
CLAMPED_WARNING_FRACTION = 0.01

MAX_OUTSIDE_LATER = 0.05
"""Share of the first image's activity that a later image may not show before the fit is refused. Our choice."""

WHOLLY_SEEN = 0.999
WORTH_SAYING = 1e-4


def integrate_images(
    images: Sequence[Volume],
    time: TimeOptions = TimeOptions(),
    *,
    since: datetime,
    physical_half_life_s: float,
    relative_sd: Sequence[float] | None = None,
) -> TimeIntegral:
    """Decays per voxel from several registered images.

    "mono" fits amplitude and half-life in every voxel; a voxel whose half-life would exceed the physical one gets the
    physical one, and a voxel with a value that is not positive gets the half-life of the whole image. "bi" takes both
    half-lives from the whole image and fits two amplitudes in every voxel: four parameters per noisy voxel would fit
    the noise. "image" takes the half-life of the whole image in every voxel, "trapezoid" the points themselves.

    Parameters
    ----------
    images : sequence of Volume
        Kind.ACTIVITY on one grid, each with the time it refers to (not decay-corrected to a common one), in order.
    time : TimeOptions
        Model, what follows the last image, and what happens beyond the physical half-life.
    since : datetime
        Administration.
    physical_half_life_s : float
        Lower bound of every decay constant.
    relative_sd : sequence of float, optional
        Relative standard uncertainty of a voxel in each image, taken for the whole image's activity too. Without it
        all images weigh the same and the residuals, if there are more images than parameters, give the uncertainty.

    Raises
    ------
    InputError, TimeError, PhysicsError
        As :func:`hepatica.dosimetry.time.curves.fit_curve`, and if `relative_sd` does not fit the images.
    PhysicsError
        Also if holding voxels at the physical half-life costs more than 5 % of the decays, unless that is asked for.
    UnitError, GeometryError
        If an image is not a finite activity, or the grids differ.
    """
    if time.time_model == "trapezoid":
        return _by_points(images, time, since, physical_half_life_s, relative_sd)
    tail: Tail = "physical" if time.tail == "physical" else "fit"
    times = _times_of(images, since, PARAMETERS[time.curve_model])
    sds = _relative_sds(relative_sd, times.size)
    totals = [image.total for image in images]
    curve = fit_curve(
        times.tolist(),
        totals,
        None if sds is None else (sds * totals).tolist(),
        model=time.curve_model,
        physical_half_life_s=physical_half_life_s,
        tail=tail,
        beyond_physical=time.beyond_physical,
    )
    slowest = math.log(2) / physical_half_life_s
    rates = math.log(2) / np.array(curve.half_lives_s)
    fit = _Fit(times, sds, rates, slowest, tail)
    decays, relative, shares = _voxels(images, fit, time)
    step = f"Decays per voxel from {times.size} images."
    how = {"image": "one exponential of the whole image for all voxels"}.get(
        time.time_model, f"{time.time_model}-exponential fit in every voxel"
    )
    return TimeIntegral(
        decays=images[0].with_values(decays, Kind.DECAYS, time=None, name="decays"),
        relative_sd=images[0].with_values(relative, Kind.FRACTION, time=None, name=""),
        curve=curve,
        provenance=Provenance(
            parameters={
                "half_life_s": physical_half_life_s,
                "administered_at": since.isoformat(),
                "image_times_s": times.tolist(),
                "whole_image_half_lives_s": list(curve.half_lives_s),
            },
            conventions={"time integration": f"{how}; after the last image: {tail}"},
            steps=(step,),
        ),
        messages=curve.messages + shares.messages(float(decays.sum(dtype=np.float64)), time.beyond_physical),
        common_relative_sd=curve.decays.relative_sd,
    )


def _voxels(
    images: Sequence[Volume], fit: _Fit, time: TimeOptions
) -> tuple[NDArray[np.float32], NDArray[np.float32], _Shares]:
    """Decays, their relative uncertainty, and how many of them rest on a bound."""
    flat = [image.values.reshape(-1) for image in images]
    decays, relative = np.zeros(flat[0].size, np.float32), np.zeros(flat[0].size, np.float32)
    clamped, borrowed, cost = 0.0, 0.0, 0.0
    for first in range(0, flat[0].size, CHUNK):
        part = slice(first, first + CHUNK)
        values = np.stack([image[part] for image in flat]).astype(np.float64)
        some = np.flatnonzero(values.any(axis=0))
        if not some.size:
            continue
        one = time.time_model != "bi"
        result = fit.one(values[:, some], shared=time.time_model == "image") if one else fit.two(values[:, some])
        decays[first + some], relative[first + some] = result.decays, result.relative_sd
        clamped += float(result.decays[result.clamped].sum())
        if time.time_model == "mono":
            borrowed += float(result.decays[result.borrowed].sum())
            held = values[:, some[result.clamped]]
            cost += float(held_cost(fit.times, held, result.decays[result.clamped], fit.slowest).sum())
    shape = images[0].grid.shape
    return decays.reshape(shape), relative.reshape(shape), _Shares(clamped, borrowed, cost)


def _by_points(
    images: Sequence[Volume],
    time: TimeOptions,
    since: datetime,
    physical_half_life_s: float,
    relative_sd: Sequence[float] | None,
) -> TimeIntegral:
    """The points themselves in every voxel."""
    times = _times_of(images, since, 2)
    shape = trapezoid_of(time, times.tolist(), physical_half_life_s)
    sds = _relative_sds(relative_sd, times.size)
    totals = [image.total for image in images]
    curve = point_curve(shape, totals, None if sds is None else (sds * totals).tolist())
    flat = [image.values.reshape(-1) for image in images]
    decays = np.zeros(flat[0].size, np.float32)
    relative = np.full(flat[0].size, np.nan, np.float32)
    for first in range(0, flat[0].size, CHUNK):
        part = slice(first, first + CHUNK)
        values = np.stack([image[part] for image in flat]).astype(np.float64)
        found = shape.decays(values)
        decays[part] = found
        if sds is not None:
            sd = np.linalg.norm(shape.gradient(values) * sds[:, None] * np.abs(values), axis=0)
            relative[part] = np.divide(sd, found, out=np.full_like(found, np.nan), where=found > 0)
    grid = images[0].grid.shape
    ends = f"before the first image: {time.start}; after the last: {time.tail}"
    return TimeIntegral(
        decays=images[0].with_values(decays.reshape(grid), Kind.DECAYS, time=None, name="decays"),
        relative_sd=images[0].with_values(relative.reshape(grid), Kind.FRACTION, time=None, name=""),
        curve=curve,
        provenance=Provenance(
            parameters={
                "half_life_s": physical_half_life_s,
                "administered_at": since.isoformat(),
                "image_times_s": times.tolist(),
            },
            conventions={"time integration": f"trapezoid through the images in every voxel; {ends}"},
            steps=(f"Decays per voxel from {times.size} images.",),
        ),
        messages=curve.messages,
        common_relative_sd=curve.decays.relative_sd,
    )


@dataclass(frozen=True, slots=True)
class _Shares:
    """Decays (Bq s) that rest on a bound, and what the bound costs."""

    clamped: float
    borrowed: float
    cost: float

    def messages(self, total: float, beyond_physical: Bound) -> tuple[Message, ...]:
        """What the reader must know; PhysicsError if the bound costs too much and was not asked for."""
        found = []
        if self.clamped > CLAMPED_WARNING_FRACTION * total:
            text = (
                f"voxels with {100 * self.clamped / total:.0f} % of the decays fell more slowly than by physical "
                f"decay; the physical half-life was used, which changes the decays by {-100 * self.cost / total:+.1f} %"
            )
            if abs(self.cost) > MAX_BOUND_COST * total and beyond_physical == "error":
                raise PhysicsError(
                    text,
                    remedy="check times and decay correction; take one half-life for all voxels (`time_model` image) "
                    "or the points (`time_model` trapezoid), or state `beyond_physical` clamp",
                )
            found.append(Message("voxels-at-physical-half-life", text))
        if self.borrowed > CLAMPED_WARNING_FRACTION * total:
            text = (
                f"voxels with {100 * self.borrowed / total:.0f} % of the decays have a value that is not positive; the "
                "half-life of the whole image was used there"
            )
            found.append(Message("voxels-at-image-half-life", text))
        return tuple(found)


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

    def one(self, values: FloatArray, *, shared: bool = False) -> _Voxels:
        """One exponential per voxel, or that of the whole image for all; values of shape (times, voxels)."""
        times = self.times[:, None]
        fastest = fastest_rate(self.times)
        borrowed = np.asarray((values <= 0).any(axis=0) | shared)
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
