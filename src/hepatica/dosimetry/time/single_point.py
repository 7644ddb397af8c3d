"""One measurement and what is known of others: decays from a single time point, or from a curve measured otherwise.

- A population's effective half-life T with its spread s(T): decays = A(t) T / ln 2 * 2^(t / T). The spread gives the
  uncertainty: |ln 2 * t / T - 1| * s(T) / T, which vanishes where the measurement lies one mean life (1.44 T) after
  the administration (Madsen et al., Med Phys 2018, 45:2318; Hou et al., EJNMMI Phys 2019, 6:23).
- Hänscheid et al. (J Nucl Med 2018, 59:75): decays = 2 t A(t) / ln 2, without a half-life. Against one exponential of
  half-life T the ratio is 2 (t / T) 2^(-t / T): between 0.88 and 1.06 for t from 0.75 T to 2.5 T.
- A curve measured otherwise (planar views, a probe): its shape is taken, the image gives its height.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.errors import InputError, PhysicsError, TimeError

FloatArray = NDArray[np.float64]

HAENSCHEID_TIMES = (0.75, 2.5)
"""Time of measurement in effective half-lives for which the formula is meant (Hänscheid 2018)."""


def haenscheid_s(time_s: float) -> float:
    """Decays per becquerel measured at a time after the administration: ``2 t / ln 2``.

    Raises
    ------
    TimeError
        If the time is not positive.
    """
    if not time_s > 0:
        raise TimeError("the single-time-point formula needs a measurement after the administration")
    return 2 * time_s / math.log(2)


def haenscheid_bias(time_s: float, half_life_s: float) -> float:
    """Its decays over those of one exponential, minus 1.

    >>> round(haenscheid_bias(96.0, 96.0), 12)
    0.0
    """
    turns = time_s / half_life_s
    return 2 * turns * 2**-turns - 1


def population_decays(activity_bq: float, time_s: float, half_life_s: Estimate) -> Estimate:
    """Decays (Bq s) from one activity and a population's effective half-life.

    Parameters
    ----------
    activity_bq : float
        At `time_s` after the administration.
    time_s : float
        Not negative.
    half_life_s : Estimate
        Mean and spread (standard deviation between patients) of the effective half-life; first order in the spread.

    Raises
    ------
    PhysicsError
        If the half-life is not positive.
    TimeError
        If the time is negative.
    """
    if not half_life_s.value > 0:
        raise PhysicsError(f"the effective half-life must be positive, not {half_life_s.value:g} s")
    if time_s < 0:
        raise TimeError("the measurement lies before the administration")
    rate = math.log(2) / half_life_s.value
    decays = activity_bq * math.exp(rate * time_s) / rate
    relative = half_life_s.relative_sd
    return Estimate(decays, None if relative is None else abs(rate * time_s - 1) * relative * decays)


@dataclass(frozen=True, slots=True)
class MeasuredShape:
    """Time-activity curve measured otherwise than by the image, such as by planar views; only its shape counts.

    Attributes
    ----------
    times_h : tuple of float
        After the administration, rising.
    activities : tuple of float
        In any unit, not decay-corrected.
    sds : tuple of float or None
        Standard uncertainties in the same unit.
    name : str
        Where it comes from.

    Raises
    ------
    InputError
        If the lists differ in length, hold fewer than two points or numbers that are not finite and positive.
    """

    times_h: tuple[float, ...]
    activities: tuple[float, ...]
    sds: tuple[float, ...] | None = None
    name: str = "curve"

    def __post_init__(self) -> None:
        lists = [self.times_h, self.activities] + ([] if self.sds is None else [self.sds])
        if len({len(one) for one in lists}) != 1 or len(self.times_h) < 2:
            raise InputError(f"{self.name}: needs at least two points, each with its time and activity")
        if not all(math.isfinite(x) for one in lists for x in one) or min(self.activities) <= 0:
            raise InputError(f"{self.name}: activities must be positive, and all numbers finite")

    @property
    def times_s(self) -> tuple[float, ...]:
        """After the administration."""
        return tuple(time * SECONDS_PER_HOUR for time in self.times_h)


def between_points(times_s: Sequence[float], values: Sequence[float], at_s: float) -> float:
    """Value of a curve of points at an instant that they span, logarithmic between them.

    Raises
    ------
    TimeError
        If the instant is outside the points.
    """
    if not times_s[0] <= at_s <= times_s[-1]:
        hours = [f"{time / SECONDS_PER_HOUR:.3g}" for time in (at_s, times_s[0], times_s[-1])]
        raise TimeError(
            f"the image, {hours[0]} h after the administration, is outside the curve ({hours[1]} to {hours[2]} h)"
        )
    return float(np.exp(np.interp(at_s, times_s, np.log(values))))
