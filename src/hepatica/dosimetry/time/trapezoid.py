"""Decays by the points themselves, without a curve through all of them: for uptake that is seen, and for few points.

Before the first point the activity is carried back to the administration by physical decay (an agent that lodges at
once, never less dose), or rises from zero in a straight line. Between two points it follows a straight line where it
rises, and an exponential where it falls ("linear up, logarithmic down"; Gabrielsson and Weiner, Pharmacokinetic and
Pharmacodynamic Data Analysis, chapter 2.8: a straight line under a falling curve overestimates). After the last point
it falls with the rate of the last two points, with a stated effective half-life, or by physical decay, but never more
slowly than by physical decay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.document import HIDDEN, reported
from hepatica.core.message import Message
from hepatica.dosimetry.time.curves import check_times
from hepatica.errors import InputError, PhysicsError

FloatArray = NDArray[np.float64]
Start = Literal["physical", "zero"]
TrapezoidTail = Literal["fit", "physical", "effective"]

MIN_POINTS = 2
LARGE_TAIL = 0.3
"""Share of the decays after the last point above which it is said: the points then show less than they should.
MIRD Pamphlet 16 (Siegel 1999) asks for points that reach over three to five effective half-lives; 30 % is left after
1.7 of them. The bound is our choice."""


@dataclass(frozen=True, slots=True)
class Trapezoid:
    """How the activity goes on before, between and after the points.

    Attributes
    ----------
    times_s : tuple of float
        Of the points after the administration, rising, at least two.
    physical_half_life_s : float
        Of the nuclide.
    start : {"physical", "zero"}
        Before the first point.
    tail : {"fit", "physical", "effective"}
        After the last point: the rate of the last two points, physical decay, or the effective half-life.
    effective_half_life_s : float or None
        For the tail "effective".

    Raises
    ------
    InputError, TimeError
        For too few points, times that do not rise, or a tail that does not go with the half-life.
    PhysicsError
        If the effective half-life is longer than the physical one.
    """

    times_s: tuple[float, ...]
    physical_half_life_s: float
    start: Start = "physical"
    tail: TrapezoidTail = "fit"
    effective_half_life_s: float | None = None

    def __post_init__(self) -> None:
        check_times(np.array(self.times_s), MIN_POINTS)
        if (self.tail == "effective") is not (self.effective_half_life_s is not None):
            raise InputError("`tail` effective and `effective_half_life_s` go together")
        if (self.effective_half_life_s or 0) > self.physical_half_life_s * (1 + 1e-9):
            raise PhysicsError("the effective half-life of the tail is longer than the physical one")

    def parts(self, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Decays before the first point, between the points and after the last one.

        Parameters
        ----------
        values : array, shape (times, n)
            Activity at each time, Bq; one that is not positive counts with its sign between the points.

        Returns
        -------
        tuple of arrays, shape (n,)
            Bq s.
        """
        physical = math.log(2) / self.physical_half_life_s
        first = self.times_s[0]
        before = values[0] * (first / 2 if self.start == "zero" else math.expm1(physical * first) / physical)
        widths = np.diff(self.times_s)[:, None]
        between = (widths * _between(values[:-1], values[1:])).sum(axis=0)
        return before, between, np.maximum(values[-1], 0) / self.tail_rate(values)

    def tail_rate(self, values: FloatArray) -> FloatArray:
        """Decay constant after the last point, 1/s, shape (n,)."""
        physical = math.log(2) / self.physical_half_life_s
        slowest = np.full(values.shape[1], physical)
        if self.tail == "physical":
            return slowest
        if self.effective_half_life_s is not None:
            return np.asarray(np.full_like(slowest, math.log(2) / self.effective_half_life_s))
        last_two = (values[-2] > 0) & (values[-1] > 0)
        ratio = np.divide(values[-2], values[-1], out=np.ones_like(slowest), where=last_two)
        return np.asarray(np.maximum(np.log(ratio) / (self.times_s[-1] - self.times_s[-2]), physical))

    def decays(self, values: FloatArray) -> FloatArray:
        """Decays from the administration to infinity, Bq s, shape (n,)."""
        before, between, after = self.parts(values)
        return np.asarray(np.maximum(before + between + after, 0))

    def gradient(self, values: FloatArray) -> FloatArray:
        """Derivative of the decays by each point, s, shape (times, n): by differences of a millionth."""
        found = np.empty_like(values)
        for point in range(values.shape[0]):
            step = np.maximum(np.abs(values[point]), np.abs(values).max(axis=0) * 1e-3) * 1e-6
            step = np.where(step > 0, step, 1.0)
            up, down = values.copy(), values.copy()
            up[point] += step
            down[point] -= step
            found[point] = (sum(self.parts(up)) - sum(self.parts(down))) / (2 * step)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class PointCurve:
    """Time-activity curve made of its points, and its integral.

    Attributes
    ----------
    model : {"trapezoid"}
        By which it can be told from a fitted curve.
    times_s, activities_bq : tuple of float
        The points.
    tail_half_life_s : float
        After the last point.
    decays : Estimate
        From the administration to infinity, Bq s; its standard uncertainty is that of the points, None if they have
        none.
    before_share, after_share : float
        Shares of the decays before the first and after the last point.
    messages : tuple of Message
        What the reader must know.
    """

    times_s: tuple[float, ...] = field(metadata=HIDDEN)
    activities_bq: tuple[float, ...]
    tail_half_life_s: float = field(metadata=HIDDEN)
    decays: Estimate
    before_share: float
    after_share: float
    messages: tuple[Message, ...] = field(metadata=HIDDEN)
    model: Literal["trapezoid"] = "trapezoid"

    @property
    @reported
    def times_h(self) -> tuple[float, ...]:
        """Of the points, hours after the administration."""
        return tuple(time / SECONDS_PER_HOUR for time in self.times_s)

    @property
    @reported
    def tail_half_life_h(self) -> float:
        """After the last point."""
        return self.tail_half_life_s / SECONDS_PER_HOUR

    @property
    def half_lives_s(self) -> tuple[float, ...]:
        """That of the tail."""
        return (self.tail_half_life_s,)


def point_curve(shape: Trapezoid, activity_bq: Sequence[float], sd_bq: Sequence[float] | None = None) -> PointCurve:
    """Integrate the points of a region.

    Parameters
    ----------
    shape : Trapezoid
        Times, start and tail.
    activity_bq : sequence of float
        One for each time, not decay-corrected.
    sd_bq : sequence of float, optional
        Their standard uncertainties, independent of each other.

    Raises
    ------
    InputError
        If numbers are missing, not finite or negative, or all are zero.
    """
    values = np.asarray(activity_bq, float)
    if values.shape != (len(shape.times_s),) or not np.isfinite(values).all() or (values < 0).any() or not values.any():
        raise InputError(f"activities must be finite, not negative and not all zero: {values.tolist()} Bq")
    column = values[:, None]
    before, between, after = (float(part[0]) for part in shape.parts(column))
    total = before + between + after
    sd = None
    if sd_bq is not None:
        sd = float(np.linalg.norm(shape.gradient(column)[:, 0] * np.asarray(sd_bq, float)))
    messages: tuple[Message, ...] = ()
    if after > LARGE_TAIL * total:
        text = (
            f"{100 * after / total:.0f} % of the decays are after the last point, "
            f"{shape.times_s[-1] / SECONDS_PER_HOUR:.3g} h after the administration: they rest on the tail chosen"
        )
        messages = (Message("large-tail", text, "measure later, and compare with `tail` physical"),)
    half_life_s = math.log(2) / float(shape.tail_rate(column)[0])
    return PointCurve(
        times_s=tuple(shape.times_s),
        activities_bq=tuple(values.tolist()),
        tail_half_life_s=half_life_s,
        decays=Estimate(total, sd),
        before_share=before / total,
        after_share=after / total,
        messages=messages,
    )


def _between(left: FloatArray, right: FloatArray) -> FloatArray:
    """Mean activity between two points: logarithmic where it falls and both are positive, else arithmetic."""
    mean = (left + right) / 2
    falls = (left > right) & (right > 0)
    ratio = np.divide(left, right, out=np.full_like(mean, 2.0), where=falls)
    logarithmic = np.divide(left - right, np.log(ratio), out=mean.copy(), where=falls)
    # Close to equal points the logarithmic mean loses digits and is the arithmetic one to a millionth.
    return np.asarray(np.where(falls & (ratio > 1 + 1e-3), logarithmic, mean))
