"""From the activity of one image to the number of decays in every voxel.

The agent stays where it is (permanent trapping, as microspheres do), or leaves with an effective half-life, that of a
population or by a formula for one time point, or as a curve that was measured otherwise. Decays count from the
administration; an image taken later is carried back to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from hepatica.core import Estimate, Kind, Provenance, Volume, decay_factor, decays_per_becquerel, seconds_between
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.message import Message
from hepatica.dosimetry.time.curves import CurveFit, fit_curve
from hepatica.dosimetry.time.options import TimeOptions
from hepatica.dosimetry.time.single_point import (
    HAENSCHEID_TIMES,
    MeasuredShape,
    between_points,
    haenscheid_bias,
    haenscheid_s,
    population_decays,
)
from hepatica.dosimetry.time.trapezoid import PointCurve, Trapezoid, point_curve
from hepatica.errors import InputError, PhysicsError, TimeError

TRAPPED = "permanent trapping: physical decay from the administration to infinity"


MIN_SHARE_OF_PHYSICAL = 0.25
"""Shortest half-life, as a share of the physical one, for which the formula for one time point is taken: below it the
formula gives less than a third of the decays of an agent that stays, and no agent here leaves so fast on the whole."""


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
    curve : CurveFit, PointCurve or None
        Curve of the activity of the whole image, where several images were given.
    provenance : Provenance
        Parameters and step.
    messages : tuple of Message
        What the reader must know.
    common_relative_sd : float or None
        Relative standard uncertainty of the integration that all voxels share; None if unknown.
    """

    decays: Volume
    relative_sd: Volume | None
    curve: CurveFit | PointCurve | None
    provenance: Provenance
    messages: tuple[Message, ...] = ()
    common_relative_sd: float | None = None


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
        common_relative_sd=0.0,
    )


def effective_decay(
    activity: Volume, effective_half_life_s: Estimate | float, *, physical_half_life_s: float, since: datetime
) -> TimeIntegral:
    """Decays of an agent that leaves every voxel with one effective half-life, after instant uptake.

    Parameters
    ----------
    activity : Volume
        Kind.ACTIVITY with its reference time.
    effective_half_life_s : Estimate or float
        Not longer than the physical one; its standard deviation is the spread between patients, from which the
        uncertainty follows to first order (`single_point.population_decays`).
    physical_half_life_s : float
        Of the nuclide.
    since : datetime
        Administration; the image is carried back to it with the effective half-life.

    Raises
    ------
    PhysicsError
        If the effective half-life is longer than the physical one.
    UnitError, TimeError
        If the volume is not an activity or has no reference time.
    """
    half_life = (
        effective_half_life_s if isinstance(effective_half_life_s, Estimate) else Estimate(effective_half_life_s)
    )
    if half_life.value > physical_half_life_s * (1 + 1e-9):
        raise PhysicsError(
            f"effective half-life {half_life.value / SECONDS_PER_HOUR:.4g} h is longer than the physical one, "
            f"{physical_half_life_s / SECONDS_PER_HOUR:.4g} h"
        )
    decays = _one_image(activity, half_life.value, since)
    after_s = seconds_between(since, _instant(activity))
    known = {} if half_life.sd is None else {"effective_half_life_sd_s": half_life.sd}
    return TimeIntegral(
        decays,
        None,
        None,
        Provenance(
            parameters={
                "effective_half_life_s": half_life.value,
                **known,
                "half_life_s": physical_half_life_s,
                "administered_at": since.isoformat(),
            },
            conventions={"time integration": "instant uptake, one effective half-life in all voxels"},
            steps=("Decays per voxel from one image and an effective half-life.",),
        ),
        common_relative_sd=population_decays(1.0, max(after_s, 0.0), half_life).relative_sd,
    )


def single_time_point(activity: Volume, *, physical_half_life_s: float, since: datetime) -> TimeIntegral:
    """Decays by Hänscheid's formula for one late measurement: ``2 t A(t) / ln 2``.

    Parameters
    ----------
    activity : Volume
        Kind.ACTIVITY at the instant of the measurement.
    physical_half_life_s : float
        Of the nuclide; an agent that does not leave must not be measured too early.
    since : datetime
        Administration.

    Raises
    ------
    TimeError
        If the measurement is not after the administration.
    PhysicsError
        If it is so late that no half-life for which the formula is meant is as short as the physical one, or so early
        that all of them are below a quarter of it.
    """
    after_s = seconds_between(since, _instant(activity))
    factor = haenscheid_s(after_s)
    _require_in_time(after_s, physical_half_life_s)
    low, high = (after_s / turns / SECONDS_PER_HOUR for turns in reversed(HAENSCHEID_TIMES))
    hours = after_s / SECONDS_PER_HOUR
    worst = abs(haenscheid_bias(HAENSCHEID_TIMES[1], 1.0))
    text = (
        f"the formula for one time point, {hours:.3g} h after the administration, is within {100 * worst:.0f} % for "
        f"effective half-lives from {low:.3g} to {high:.3g} h; for an agent that stays where it is (physical decay "
        f"alone) its decays would be {100 * haenscheid_bias(after_s, physical_half_life_s):+.0f} % off"
    )
    message = Message("single-time-point", text, "state `effective_half_life_s`, or measure several times")
    values = activity.values * activity.values.dtype.type(factor)
    return TimeIntegral(
        activity.with_values(values, Kind.DECAYS, time=None, name="decays"),
        None,
        None,
        Provenance(
            parameters={"half_life_s": physical_half_life_s, "administered_at": since.isoformat()},
            conventions={"time integration": "one time point, 2 t A(t) / ln 2 (Hänscheid 2018)"},
            steps=(f"Decays per voxel from one image, {hours:.3g} h after the administration.",),
        ),
        (message,),
        common_relative_sd=worst / math.sqrt(3),
    )


def _require_in_time(after_s: float, physical_half_life_s: float) -> None:
    """PhysicsError where no half-life for which the formula for one time point is meant can be the agent's."""
    low, high = (after_s / turns / SECONDS_PER_HOUR for turns in reversed(HAENSCHEID_TIMES))
    hours, physical = after_s / SECONDS_PER_HOUR, physical_half_life_s / SECONDS_PER_HOUR
    if physical < low:
        raise PhysicsError(
            f"{hours:.3g} h after the administration is too late for the formula for one time point: it is meant for "
            f"half-lives above {low:.3g} h; the physical one is {physical:.3g} h",
            remedy="state `effective_half_life_s`",
        )
    if high < MIN_SHARE_OF_PHYSICAL * physical * (1 - 1e-9):
        raise PhysicsError(
            f"{hours:.3g} h after the administration is too early for the formula for one time point: it is meant for "
            f"half-lives up to {high:.3g} h, below a quarter of the physical {physical:.3g} h; of an agent that stays "
            f"its decays would be {100 * haenscheid_bias(after_s, physical_half_life_s):+.0f} % off",
            remedy="state `effective_half_life_s`, or measure later",
        )


def measured_otherwise(
    activity: Volume, shape: MeasuredShape, time: TimeOptions, *, physical_half_life_s: float, since: datetime
) -> TimeIntegral:
    """Decays of one image whose course in time was measured otherwise: hybrid planar and SPECT.

    Every voxel follows the curve: decays = A(t) times the curve's integral over its value at t.

    Parameters
    ----------
    activity : Volume
        Kind.ACTIVITY at the instant of the scan, which lies within the curve.
    shape : MeasuredShape
        The curve.
    time : TimeOptions
        Model of the curve ("mono", "bi" or "trapezoid") and its ends.
    physical_half_life_s, since
        Of the nuclide; administration.

    Raises
    ------
    TimeError
        If the image is outside the curve.
    HepaticaError
        As `fit_curve` or `Trapezoid`.
    """
    at_s = seconds_between(since, _instant(activity))
    points = tuple(shape.activities)
    curve, factor_s = _shaped(shape, points, at_s, time, physical_half_life_s)
    relative = None
    if shape.sds is not None:
        changes = []
        for number, sd in enumerate(shape.sds):
            moved = tuple(value + (sd if at == number else 0.0) for at, value in enumerate(points))
            changes.append(_shaped(shape, moved, at_s, time, physical_half_life_s)[1] / factor_s - 1)
        relative = math.hypot(*changes)
    return TimeIntegral(
        activity.with_values(
            activity.values * activity.values.dtype.type(factor_s), Kind.DECAYS, time=None, name="decays"
        ),
        None,
        curve,
        Provenance(
            parameters={
                "half_life_s": physical_half_life_s,
                "administered_at": since.isoformat(),
                "curve_times_h": list(shape.times_h),
                "curve_activities": list(points),
            },
            conventions={"time integration": f"shape of {shape.name} ({curve.model}), height of the image"},
            steps=("Decays per voxel from one image and a curve measured otherwise.",),
        ),
        curve.messages,
        common_relative_sd=relative,
    )


def _shaped(
    shape: MeasuredShape, points: tuple[float, ...], at_s: float, time: TimeOptions, physical_half_life_s: float
) -> tuple[CurveFit | PointCurve, float]:
    """The curve, and the decays per becquerel at an instant, s."""
    curve: CurveFit | PointCurve
    if time.time_model == "trapezoid":
        curve = point_curve(trapezoid_of(time, shape.times_s, physical_half_life_s), points, shape.sds)
        return curve, curve.decays.value / between_points(shape.times_s, points, at_s)
    between_points(shape.times_s, points, at_s)  # The image must be where the curve was measured.
    curve = fit_curve(
        shape.times_s, points, shape.sds, model=time.curve_model, physical_half_life_s=physical_half_life_s,
        tail="physical" if time.tail == "physical" else "fit", beyond_physical=time.beyond_physical,
    )  # fmt: skip
    return curve, curve.decays.value / float(curve.activity_bq(np.array([at_s]))[0])


def trapezoid_of(time: TimeOptions, times_s: Sequence[float], physical_half_life_s: float) -> Trapezoid:
    """The trapezoid that the options ask for."""
    return Trapezoid(
        tuple(times_s),
        physical_half_life_s,
        time.start,
        time.tail,
        time.effective_half_life_s if time.tail == "effective" else None,
    )


def integrate_image(
    activity: Volume,
    at_scan: Volume,
    *,
    half_life_s: float,
    time: TimeOptions = TimeOptions(),
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
        What is not carried in time by physical decay alone: the same at the start of the scan, before which the
        scanner knew nothing of it.
    half_life_s : float
        Physical half-life.
    time : TimeOptions
        How the activity goes on; by default it stays where it is.
    since : datetime or None
        Administration.
    by_administration : bool
        Whether `activity` is that of the administration itself, scaled to what was given.
    name : str
        Of the image, for messages.

    Raises
    ------
    TimeError
        If the image's instant is not known, or before the administration, or the administration is needed.
    InputError
        If the activity was not measured, but scaled to what was given, and a model needs a measurement.
    PhysicsError
        As the models.
    """
    half_life = time.effective_half_life_s
    measured = time.time_curve is not None or time.time_model == "haenscheid"
    if measured and by_administration:
        raise InputError(
            f"{name}: is scaled to the activity administered, so it is no measurement at its own instant",
            remedy="state `calibration`, or `effective_half_life_s` in place of a curve",
        )
    if since is None and by_administration and half_life is None:
        values = activity.values * activity.values.dtype.type(decays_per_becquerel(half_life_s))
        decays = activity.with_values(values, Kind.DECAYS, time=None, name="decays")
        return TimeIntegral(
            decays, None, None, Provenance(conventions={"time integration": TRAPPED}), common_relative_sd=0.0
        )
    if activity.time is None:
        raise TimeError(
            f"{name}: the instant that the image refers to is not known",
            remedy="state it: `activity_at`, such as 2026-03-02T14:30",
        )
    notes: tuple[Message, ...] = ()
    if since is None and measured:
        raise TimeError(f"{name}: the course in time counts from the administration", remedy="state `administered_at`")
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
    if isinstance(time.time_curve, MeasuredShape):
        found = measured_otherwise(at_scan, time.time_curve, time, physical_half_life_s=half_life_s, since=since)
    elif time.time_model == "haenscheid":
        found = single_time_point(at_scan, physical_half_life_s=half_life_s, since=since)
    elif half_life is None:
        found = permanent_trapping(activity, half_life_s, since=since)
    else:
        known = Estimate(half_life, time.effective_half_life_sd_s)
        found = effective_decay(at_scan, known, physical_half_life_s=half_life_s, since=since)
    return replace(found, messages=(*notes, *found.messages))


def _instant(activity: Volume) -> datetime:
    """TimeError if the volume does not say what instant it refers to."""
    activity.require_kind(Kind.ACTIVITY)
    activity.require_finite()
    if activity.time is None:
        raise TimeError(f"{activity.name or 'activity'}: has no reference time; state the instant it refers to")
    return activity.time


def _one_image(activity: Volume, half_life_s: float, since: datetime) -> Volume:
    to_since = 1 / decay_factor(seconds_between(since, _instant(activity)), half_life_s)
    factor = to_since * decays_per_becquerel(half_life_s)
    return activity.with_values(activity.values * np.float32(factor), Kind.DECAYS, time=None, name="decays")
