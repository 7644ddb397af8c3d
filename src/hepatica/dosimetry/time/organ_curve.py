"""Time-integrated activity of an organ from its activity at one or several times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.dosimetry.time.curves import PARAMETERS, CurveFit, fit_curve
from hepatica.dosimetry.time.options import TimeOptions
from hepatica.dosimetry.time.single_point import MeasuredShape, between_points, haenscheid_s
from hepatica.errors import InputError, PhysicsError

FloatArray = NDArray[np.float64]

CARRIES = 0.01
"""Of the highest point, below which an exponential carries nothing. Our choice."""

HALF_LIFE_TOLERANCE = 1e-3
"""Relative, by which a stated half-life may exceed the physical one: tables differ by less."""


@dataclass(frozen=True, slots=True, eq=False)
class OrganCurve:
    """How an organ's activity goes on in time.

    Attributes
    ----------
    organ : str
        Its name.
    effective_half_life_h : Estimate or None
        Of the last exponential; its uncertainty None where it was not measured, itself where a formula needs none.
    residence_time_h : Estimate
        Time-integrated activity over the administered activity (time-integrated activity coefficient).
    decays_bq_s : Estimate or None
        Time-integrated activity; None without an administered activity.
    points_h, points : tuple of float
        Times after the administration, and the share of the administered activity at each.
    amplitudes, half_lives_s : tuple of float
        Of the curve, as shares of the administered activity.
    messages : tuple of Message
        What must be known.
    """

    organ: str
    effective_half_life_h: Estimate | None
    residence_time_h: Estimate
    decays_bq_s: Estimate | None
    points_h: tuple[float, ...]
    points: tuple[float, ...]
    amplitudes: tuple[float, ...] = field(metadata=HIDDEN)
    half_lives_s: tuple[float, ...] = field(metadata=HIDDEN)
    messages: tuple[Message, ...] = field(default=(), metadata=HIDDEN)

    def at(self, times_s: FloatArray) -> FloatArray:
        """Share of the administered activity at times after the administration."""
        times = np.asarray(times_s, dtype=np.float64)[:, None]
        return np.asarray((np.array(self.amplitudes) * np.exp2(-times / np.array(self.half_lives_s))).sum(axis=1))


def organ_curve(
    organ: str,
    times_s: Sequence[float],
    shares: Sequence[float],
    random_sd: Sequence[float],
    common_relative_sd: float,
    options: TimeOptions,
    *,
    physical_half_life_s: float,
    administered: Estimate | None = None,
) -> OrganCurve:
    """Curve of an organ.

    Parameters
    ----------
    organ : str
        Its name.
    times_s : sequence of float
        After the administration.
    shares : sequence of float
        Activity at each time over the administered activity, as it was then (not decay-corrected).
    random_sd : sequence of float
        Standard uncertainties that the times do not share.
    common_relative_sd : float
        Relative standard uncertainty that is the same at all times.
    options : TimeOptions
        One time: effective half-life, physical if not stated; the formula of Hänscheid; or a curve measured
        otherwise, read (`MeasuredShape`). Several: mono or bi.
    physical_half_life_s : float
        Of the nuclide.
    administered : Estimate, optional
        Activity in Bq.

    Raises
    ------
    InputError, PhysicsError, TimeError
        As `fit_curve`; if the model is of voxels, a stated half-life is longer than the physical one, or a curve is
        still a path.
    """
    notes: tuple[Message, ...] = ()
    amplitudes: tuple[float, ...]
    half_lives: tuple[float, ...]
    if len(times_s) == 1:
        one = _one_point(times_s[0], shares[0], options, physical_half_life_s)
        amplitudes, half_lives, notes = one.amplitudes, one.half_lives_s, one.messages
        relative = math.hypot(random_sd[0] / shares[0] if shares[0] > 0 else 0.0, one.relative_sd)
        decays = Estimate(one.integral_s, one.integral_s * relative)
        effective: Estimate | None = one.effective_s
    else:
        if options.time_model not in PARAMETERS:
            raise InputError(
                f"`time_model` {options.time_model} is of voxels; organs of planar views follow mono or bi"
            )
        fit, notes = _fitted(organ, times_s, shares, random_sd, options, physical_half_life_s)
        amplitudes, half_lives, decays = fit.amplitudes_bq, fit.half_lives_s, fit.decays
        last = int(np.argmax(half_lives))
        sds = fit.half_life_sds_s
        effective = Estimate(half_lives[last], None if sds is None else sds[last])
    both = None if decays.sd is None else math.hypot(decays.sd, common_relative_sd * decays.value)
    coefficient = Estimate(decays.value, both)
    return OrganCurve(
        organ,
        None if effective is None else _over(effective, SECONDS_PER_HOUR),
        _over(coefficient, SECONDS_PER_HOUR),
        None if administered is None else coefficient * administered,
        tuple(t / SECONDS_PER_HOUR for t in times_s),
        tuple(shares),
        tuple(amplitudes),
        tuple(half_lives),
        notes,
    )


def _fitted(
    organ: str,
    times_s: Sequence[float],
    shares: Sequence[float],
    random_sd: Sequence[float],
    options: TimeOptions,
    physical_s: float,
) -> tuple[CurveFit, tuple[Message, ...]]:
    """Curve through several points; one exponential in place of two that the points do not tell apart."""

    def fitted(model: Literal["mono", "bi"]) -> CurveFit:
        return fit_curve(
            times_s, shares, [max(sd, 1e-9) for sd in random_sd], model=model, physical_half_life_s=physical_s,
            tail="physical" if options.tail == "physical" else "fit", beyond_physical=options.beyond_physical,
        )  # fmt: skip

    found = fitted(options.curve_model)
    if options.curve_model == "mono" or _told_apart(found, times_s, shares):
        return found, found.messages
    text = f"the points of {organ} do not tell two exponentials apart"
    try:
        single = fitted("mono")
    except PhysicsError as fault:
        note = Message("two-exponentials-not-told", f"{text}, and one does not fit them ({fault}): its half-life is a "
                       "guess, its decays are those of the fit", "take `time_model` mono for all")  # fmt: skip
        return found, (*found.messages, note)
    return single, (*single.messages, Message("two-exponentials-not-told", f"{text}: one is fitted"))


def _told_apart(fit: CurveFit, times_s: Sequence[float], shares: Sequence[float]) -> bool:
    """Whether each exponential carries something at a point, and its half-life is known better than to itself."""
    times = np.asarray(times_s, dtype=np.float64)
    held = [np.abs(a * np.exp2(-times / t)).max() for a, t in zip(fit.amplitudes_bq, fit.half_lives_s, strict=True)]
    sds = fit.half_life_sds_s
    known = sds is not None and all(sd < t for sd, t in zip(sds, fit.half_lives_s, strict=True))
    return known and float(min(held)) > CARRIES * max(shares)


@dataclass(frozen=True, slots=True, eq=False)
class _OnePoint:
    """A curve through one point: its exponentials and their integral."""

    amplitudes: tuple[float, ...]
    half_lives_s: tuple[float, ...]
    integral_s: float
    effective_s: Estimate | None
    relative_sd: float = 0.0
    messages: tuple[Message, ...] = ()


def _one_point(time_s: float, share: float, options: TimeOptions, physical_s: float) -> _OnePoint:
    """How one point goes on: by a curve measured otherwise, by Hänscheid's formula, or by one half-life."""
    if options.time_curve is not None:
        return _shaped(time_s, share, options, physical_s)
    if options.time_model == "haenscheid":
        text = (
            "decays are 2 t A / ln 2 of the one time of views (Hänscheid): within 12 % where they were taken 0.75 to "
            "2.5 effective half-lives after the administration; no half-life is known"
        )
        # One exponential of half-life t through the point has the same integral.
        return _OnePoint((2 * share,), (time_s,), share * haenscheid_s(time_s), None,
                         messages=(Message("one-time-formula", text, "give views of further times"),))  # fmt: skip
    half_life, sd = options.effective_half_life_s or physical_s, options.effective_half_life_sd_s
    if half_life > physical_s * (1 + HALF_LIFE_TOLERANCE):
        hours = [value / SECONDS_PER_HOUR for value in (half_life, physical_s)]
        raise PhysicsError(
            f"an effective half-life of {hours[0]:.4g} h is longer than the physical one of {hours[1]:.4g} h",
            remedy="correct `effective_half_life_s`",
        )
    # A measured point stays; the decays before it and after it are those of the half-life.
    start = share * 2 ** (time_s / half_life)
    slope = 0.0 if sd is None else sd / half_life * abs(1 - math.log(2) * time_s / half_life)
    notes: tuple[Message, ...] = ()
    if options.effective_half_life_s is None:
        text = (
            "one time of views: each organ's activity is taken to decay physically from the administration on; "
            "what is excreted before and after makes the dose lower"
        )
        notes = (Message("one-time-physical-decay", text, "give views of further times", severity="note"),)
    return _OnePoint((start,), (half_life,), start * half_life / math.log(2), Estimate(half_life, sd), slope, notes)


def _shaped(time_s: float, share: float, options: TimeOptions, physical_s: float) -> _OnePoint:
    """The shape of a curve that was measured otherwise, with the height of the one point."""
    shape = options.time_curve
    if not isinstance(shape, MeasuredShape):
        raise InputError("a curve is read before it is used", remedy="give `time_curve` as MeasuredShape")
    if options.time_model not in PARAMETERS:
        raise InputError(f"`time_model` {options.time_model} is of voxels; organs of planar views follow mono or bi")
    between_points(shape.times_s, shape.activities, time_s)  # The views must be where the curve was measured.
    fit = fit_curve(
        shape.times_s, shape.activities, shape.sds, model=options.curve_model, physical_half_life_s=physical_s,
        tail="physical" if options.tail == "physical" else "fit", beyond_physical=options.beyond_physical,
    )  # fmt: skip
    height = share / float(fit.activity_bq(np.array([time_s]))[0])
    last = int(np.argmax(fit.half_lives_s))
    sd = None if fit.half_life_sds_s is None else fit.half_life_sds_s[last]
    relative = 0.0 if fit.decays.sd is None else fit.decays.sd / fit.decays.value
    return _OnePoint(
        tuple(height * a for a in fit.amplitudes_bq), tuple(fit.half_lives_s), height * fit.decays.value,
        Estimate(fit.half_lives_s[last], sd), relative, fit.messages,
    )  # fmt: skip


def _over(value: Estimate, unit: float) -> Estimate:
    return Estimate(value.value / unit, None if value.sd is None else value.sd / unit)
