"""Time-activity curves of a region: one or two exponentials fitted to a few points, integrated over all time.

    A(t) = sum of A_n exp(-lambda_n t)        decays = integral from the administration to infinity

Every lambda is at least the physical decay constant: activity cannot stay longer than it lives. Weighted least squares;
the covariance is that of the linearised problem (first order).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.document import HIDDEN, reported
from hepatica.core.message import Message
from hepatica.errors import InputError, PhysicsError, TimeError, UnknownNameError

FloatArray = NDArray[np.float64]
Model = Literal["mono", "bi"]
Tail = Literal["fit", "physical"]
Bound = Literal["error", "clamp"]

PARAMETERS = {"mono": 2, "bi": 4}
FASTEST = 5.0
"""Largest decay constant tried, times the shortest interval between administration and points: what decays faster has
left nothing (exp(-5) = 0.7 %) after that interval."""

BEYOND_SIGMAS = 2.0
BEYOND_RELATIVE = 0.05
"""A fitted half-life longer than the physical one by no more than two standard uncertainties or 5 % is taken for the
physical one (with a warning); a longer one is an error unless clamping is asked for. Our choice."""


MAX_BOUND_COST = 0.05
"""Share of the decays that holding a half-life at the physical one may change before it is an error unless asked for.
Our choice: half of what the other uncertainties of a time integration are."""


@dataclass(frozen=True, slots=True, eq=False)
class CurveFit:
    """Fitted time-activity curve and its integral.

    Attributes
    ----------
    model : {"mono", "bi"}
        Number of exponentials.
    amplitudes_bq : tuple of float
        At the administration (t = 0); a negative one is an uptake phase.
    half_lives_s : tuple of float
        Effective half-life of each exponential.
    half_life_sds_s : tuple of float or None
        Standard uncertainties; None where the points do not give them (as many parameters as points, no stated
        uncertainties); 0 for a half-life held at the physical one.
    decays : Estimate
        Number of decays (Bq s) from the administration to infinity.
    chi_squared : float
        Weighted sum of squared residuals (in Bq^2 if no uncertainties were given).
    degrees_of_freedom : int
        Points minus parameters.
    messages : tuple of Message
        What the reader must know.
    """

    model: Model
    amplitudes_bq: tuple[float, ...]
    half_lives_s: tuple[float, ...] = field(metadata=HIDDEN)
    half_life_sds_s: tuple[float, ...] | None = field(metadata=HIDDEN)
    decays: Estimate
    chi_squared: float
    degrees_of_freedom: int
    messages: tuple[Message, ...] = field(metadata=HIDDEN)

    @property
    @reported
    def half_lives_h(self) -> tuple[float, ...]:
        """Effective half-life of each exponential in hours."""
        return tuple(half_life / SECONDS_PER_HOUR for half_life in self.half_lives_s)

    @property
    @reported
    def half_life_sds_h(self) -> tuple[float, ...] | None:
        """Their standard uncertainties in hours; None where the points do not give them."""
        return None if self.half_life_sds_s is None else tuple(sd / SECONDS_PER_HOUR for sd in self.half_life_sds_s)

    def activity_bq(self, times_s: FloatArray) -> FloatArray:
        """Fitted activity at times after the administration."""
        return _curve(
            np.asarray(times_s, float), np.array(self.amplitudes_bq), math.log(2) / np.array(self.half_lives_s)
        )


def fit_curve(
    times_s: Sequence[float],
    activity_bq: Sequence[float],
    sd_bq: Sequence[float] | None = None,
    *,
    model: Model = "mono",
    physical_half_life_s: float,
    tail: Tail = "fit",
    beyond_physical: Bound = "error",
) -> CurveFit:
    """Fit one or two exponentials to the activity of a region and integrate them.

    Parameters
    ----------
    times_s : sequence of float
        Seconds after the administration, rising.
    activity_bq : sequence of float
        Activity at each, not decay-corrected.
    sd_bq : sequence of float, optional
        Standard uncertainties; without them all points weigh the same and the residuals give the uncertainty.
    model : {"mono", "bi"}
        Two parameters or four, so at least two or four points.
    physical_half_life_s : float
        Lower bound of every decay constant.
    tail : {"fit", "physical"}
        After the last point: the fitted curve goes on, or what is left decays physically (an upper bound).
    beyond_physical : {"error", "clamp"}
        What to do with a half-life clearly longer than the physical one.

    Raises
    ------
    TimeError
        If a time is negative or times do not rise.
    InputError
        If there are too few points, numbers are not finite or not positive where they must be.
    PhysicsError
        If the activity falls more slowly than by physical decay (and clamping was not asked for).
    """
    for name, value, choices in (("model", model, Model), ("tail", tail, Tail), ("bound", beyond_physical, Bound)):
        if value not in get_args(choices):
            raise UnknownNameError(name, value, get_args(choices))
    times, values, sds = _checked(times_s, activity_bq, sd_bq, PARAMETERS[model], physical_half_life_s)
    weights = 1 / sds if sds is not None else np.ones_like(values)
    slowest = math.log(2) / physical_half_life_s
    if model == "mono":
        rates, free, messages = _mono(times, values, weights, slowest, beyond_physical, sds is not None)
    else:
        rates, free, messages = _bi(times, values, weights, slowest)
    amplitudes = _amplitudes(times, values, weights, rates)
    residual = (_curve(times, amplitudes, rates) - values) * weights
    chi_squared = float(residual @ residual)
    freedom = times.size - amplitudes.size - int(free.sum())
    covariance = _covariance(times, amplitudes, rates, free, weights)
    if sds is None and covariance is not None:
        covariance = covariance * chi_squared / freedom if freedom > 0 else None
    decays, gradient = _integral(amplitudes, rates, free, times[-1], slowest, tail)
    if not decays > 0:
        raise PhysicsError(
            f"the fitted curve integrates to {decays:.4g} Bq s; the points do not follow the {model} model"
        )
    if amplitudes.sum() < 0:
        messages += (Message("curve-negative", "the fitted curve is negative at the administration"),)
    if covariance is None:
        messages += (Message("fit-uncertainty-unknown", "the points do not give the uncertainty of the fit"),)
    return CurveFit(
        model=model,
        amplitudes_bq=tuple(amplitudes.tolist()),
        half_lives_s=tuple((math.log(2) / rates).tolist()),
        half_life_sds_s=_half_life_sds(covariance, rates, free),
        decays=Estimate(decays, None if covariance is None else math.sqrt(float(gradient @ covariance @ gradient))),
        chi_squared=chi_squared,
        degrees_of_freedom=freedom,
        messages=messages,
    )


def check_times(times_s: FloatArray, needed: int) -> None:
    """Refuse times that are too few, negative or not rising.

    Raises
    ------
    InputError
        If there are fewer than `needed`.
    TimeError
        If one is negative or not later than the one before.
    """
    if times_s.size < needed:
        raise InputError(f"{times_s.size} time points; this model needs at least {needed}")
    if not np.isfinite(times_s).all():
        raise TimeError(f"times must be finite: {times_s.tolist()} s")
    if times_s[0] < 0:
        raise TimeError(f"the first point lies {-times_s[0]:.0f} s before the administration")
    if (late := np.flatnonzero(np.diff(times_s) <= 0)).size:
        at = int(late[0])
        raise TimeError(f"times must rise: point {at + 2} ({times_s[at + 1]:.0f} s) is not after {times_s[at]:.0f} s")


def fastest_rate(times_s: FloatArray) -> float:
    """Largest decay constant that points at these times can tell, 1/s."""
    intervals = np.diff(np.concatenate([[0.0], times_s]))
    return FASTEST / float(intervals[intervals > 0].min())


def _checked(
    times_s: Sequence[float],
    activity_bq: Sequence[float],
    sd_bq: Sequence[float] | None,
    needed: int,
    physical_half_life_s: float,
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    times, values = np.asarray(times_s, float), np.asarray(activity_bq, float)
    sds = None if sd_bq is None else np.asarray(sd_bq, float)
    if times.ndim != 1 or values.shape != times.shape or (sds is not None and sds.shape != times.shape):
        raise InputError("times, activities and their uncertainties must be lists of equal length")
    check_times(times, needed)
    if not np.isfinite(values).all() or (values < 0).any() or not values.any():
        raise InputError(f"activities must be finite, not negative and not all zero: {values.tolist()} Bq")
    if sds is not None and not (np.isfinite(sds).all() and (sds > 0).all()):
        raise InputError(f"uncertainties must be positive: {sds.tolist()} Bq")
    if not 0 < physical_half_life_s < math.inf:
        raise InputError(f"physical half-life must be positive, not {physical_half_life_s} s")
    return times, values, sds


def _curve(times: FloatArray, amplitudes: FloatArray, rates: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-np.outer(times, rates)) @ amplitudes)


def _amplitudes(times: FloatArray, values: FloatArray, weights: FloatArray, rates: FloatArray) -> FloatArray:
    """Best amplitudes for given decay constants: a linear problem."""
    matrix = np.exp(-np.outer(times, rates)) * weights[:, None]
    return np.asarray(np.linalg.lstsq(matrix, values * weights, rcond=None)[0])


def _best(times: FloatArray, values: FloatArray, weights: FloatArray, low: float, terms: int) -> tuple[FloatArray, Any]:
    """Decay constants of `terms` exponentials above `low`: a coarse search, then least squares on their logarithms."""
    from scipy.optimize import least_squares

    def residual(logarithms: FloatArray) -> FloatArray:
        rates = np.exp(logarithms)
        amplitudes = _amplitudes(times, values, weights, rates)
        return np.asarray((_curve(times, amplitudes, rates) - values) * weights)

    high = fastest_rate(times)
    if not low < high:
        raise PhysicsError(
            f"the points lie too far apart for this half-life: after the shortest interval, {FASTEST / high:.0f} s, "
            "less than 1 % would be left"
        )
    grid = np.linspace(math.log(low), math.log(high), 40)
    starts = [np.array(start) for start in combinations(grid, terms)]
    start = min(starts, key=lambda s: float(np.sum(residual(s) ** 2)))
    scale = float(np.abs(values * weights).max())
    solved = least_squares(
        lambda x: residual(x) / scale,
        start,
        bounds=(math.log(low) - 1e-9, math.log(high) + 1e-9),
        xtol=1e-14,
        ftol=1e-14,
        gtol=1e-14,
    )
    return np.asarray(np.exp(solved.x)), solved


def _mono(
    times: FloatArray,
    values: FloatArray,
    weights: FloatArray,
    slowest: float,
    beyond_physical: Bound,
    has_sds: bool,
) -> tuple[FloatArray, NDArray[np.bool_], tuple[Message, ...]]:
    """Decay constant, whether it is free, messages."""
    # Searched below the physical bound too, to see how far the points are from it.
    rates, _ = _best(times, values, weights, slowest / 100, 1)
    if rates[0] >= slowest * (1 - 1e-9):
        return np.maximum(rates, slowest), np.array([True]), ()
    free = np.array([True])
    amplitudes = _amplitudes(times, values, weights, rates)
    covariance = _covariance(times, amplitudes, rates, free, weights)
    scale = 1.0
    if not has_sds:
        residual = (_curve(times, amplitudes, rates) - values) * weights
        scale = float(residual @ residual) / (times.size - 2) if times.size > 2 else 0.0
    sd = math.sqrt(scale * covariance[1, 1]) if covariance is not None else 0.0
    excess = slowest - float(rates[0])
    fitted_s, physical_s = math.log(2) / float(rates[0]), math.log(2) / slowest
    hours = [f"{seconds / SECONDS_PER_HOUR:.4g} h" for seconds in (fitted_s, physical_s)]
    decay = np.exp(-slowest * times)
    held_bq = float((weights * decay) @ (weights * values) / ((weights * decay) @ (weights * decay)))
    cost = float(held_cost(times, values[:, None], np.array([held_bq / slowest]), slowest)[0]) * slowest / held_bq
    text = (
        f"fitted half-life {hours[0]} is longer than the physical one, {hours[1]}; holding it there changes the decays "
        f"by {-100 * cost:+.1f} %"
    )
    clear = excess > max(BEYOND_SIGMAS * sd, BEYOND_RELATIVE * slowest) or abs(cost) > MAX_BOUND_COST
    if beyond_physical == "error" and clear:
        raise PhysicsError(
            text,
            remedy="check times, decay correction (activities must not be decay-corrected to one time) and scatter; "
            "where uptake is seen take `time_model` trapezoid; or state `beyond_physical` clamp",
        )
    held = Message("half-life-held", f"{text}; the physical one is used")
    return np.array([slowest]), np.array([False]), (held,)


def _bi(
    times: FloatArray, values: FloatArray, weights: FloatArray, slowest: float
) -> tuple[FloatArray, NDArray[np.bool_], tuple[Message, ...]]:
    rates, _ = _best(times, values, weights, slowest, 2)
    rates = np.sort(rates)
    free = rates > slowest * (1 + 1e-6)
    messages: tuple[Message, ...] = ()
    if not free[0]:
        messages = (Message("half-life-held", "the slow exponential is held at physical decay, its bound"),)
    if rates[1] > 0.99 * fastest_rate(times):
        text = "the fast exponential is faster than the points can tell; its part of the integral is a guess"
        messages += (Message("half-life-too-fast", text),)
    return np.maximum(rates, slowest), free, messages


def _covariance(
    times: FloatArray, amplitudes: FloatArray, rates: FloatArray, free: NDArray[np.bool_], weights: FloatArray
) -> FloatArray | None:
    """Covariance of (amplitudes, free rates) for unit residuals; None if the points do not determine them."""
    decay = np.exp(-np.outer(times, rates))
    jacobian = np.hstack([decay, (-times[:, None] * decay * amplitudes)[:, free]]) * weights[:, None]
    norm = np.linalg.norm(jacobian, axis=0)
    if jacobian.shape[0] < jacobian.shape[1] or not (norm > 0).all():
        return None
    scaled = jacobian / norm
    if np.linalg.cond(scaled) > 1e7:
        return None
    return np.asarray(np.linalg.inv(scaled.T @ scaled) / np.outer(norm, norm))


def _integral(
    amplitudes: FloatArray,
    rates: FloatArray,
    free: NDArray[np.bool_],
    last_s: float,
    slowest: float,
    tail: Tail,
) -> tuple[float, FloatArray]:
    """Decays and their gradient with respect to (amplitudes, free rates)."""
    unit, slope = integral_of_exponential(rates, last_s, slowest, tail)
    return float(amplitudes @ unit), np.concatenate([unit, (amplitudes * slope)[free]])


def integral_of_exponential(
    rates: FloatArray, last_s: float, slowest: float, tail: Tail
) -> tuple[FloatArray, FloatArray]:
    """Integral of exp(-rate t) from 0 to infinity and its derivative by the rate.

    With a physical tail the curve follows exp(-slowest t) after `last_s`.
    """
    if tail == "fit":
        return 1 / rates, -1 / rates**2
    left = np.exp(-rates * last_s)
    unit = (1 - left) / rates + left / slowest
    slope = last_s * left / rates - (1 - left) / rates**2 - last_s * left / slowest
    return np.asarray(unit), np.asarray(slope)


def held_cost(times: FloatArray, values: FloatArray, held_decays: FloatArray, slowest: float) -> FloatArray:
    """Decays (Bq s) that the points show beyond those of curves held at physical decay, shape (n,).

    What the points show is an exponential as slow as they are, or rising, to the last of them, and physical decay of
    what is left.

    Parameters
    ----------
    times : array, shape (times,)
        Seconds after the administration.
    values : array, shape (times, n)
        Positive activities.
    held_decays : array, shape (n,)
        Decays of the held curves.
    slowest : float
        Physical decay constant, 1/s.
    """
    centred = times - times.mean()
    rates = -(centred[:, None] * np.log(values)).sum(axis=0) / (centred**2).sum()
    decay = np.exp(-rates * times[:, None])
    amplitudes = (values * decay).sum(axis=0) / (decay**2).sum(axis=0)
    turns = np.where(np.abs(rates * times[-1]) < 1e-9, 1e-9, rates * times[-1])
    shown = times[-1] * -np.expm1(-turns) / turns + np.exp(-turns) / slowest
    return np.asarray(amplitudes * shown - held_decays)


def _half_life_sds(
    covariance: FloatArray | None, rates: FloatArray, free: NDArray[np.bool_]
) -> tuple[float, ...] | None:
    if covariance is None:
        return None
    sds = np.zeros(rates.size)
    sds[free] = np.sqrt(np.diag(covariance)[rates.size :])
    return tuple((math.log(2) / rates**2 * sds).tolist())
