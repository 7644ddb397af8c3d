"""Dose to people near the patient, and how long to keep away, from daily patterns of contact.

The dose from a pattern that begins `delay` after treatment is an integral of the decaying dose rate over every contact,
summed over all days to come (a geometric series): exact, whatever the half-life.

References
----------
.. [1] Cormack J, Shearer J. Phys Med Biol 1998;43:501.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from hepatica.core.constants import HOURS_PER_DAY
from hepatica.core.document import INLINE
from hepatica.core.tables.shipped import toml_table
from hepatica.errors import PhysicsError
from hepatica.safety.dose_rate import DoseRateConstant, Geometry

LN2 = math.log(2)


@dataclass(frozen=True, slots=True)
class PatientSource:
    """A treated patient as a source of radiation.

    Attributes
    ----------
    activity_gbq : float
        Administered activity, GBq.
    constant : DoseRateConstant
        Dose rate at 1 m per GBq.
    clearance : tuple of (float, float)
        (share, effective half-life in h) of each phase; shares add up to 1.
    geometry : Geometry
        Fall with distance.
    """

    activity_gbq: float
    constant: DoseRateConstant
    clearance: tuple[tuple[float, float], ...]
    geometry: Geometry

    def __post_init__(self) -> None:
        if not self.activity_gbq > 0:
            raise PhysicsError(f"activity must be positive, not {self.activity_gbq} GBq")
        if abs(sum(share for share, _ in self.clearance) - 1) > 1e-6 or any(t <= 0 for _, t in self.clearance):
            raise PhysicsError(f"clearance needs positive half-lives and shares that add up to 1, not {self.clearance}")

    def activity_left(self, hours: float) -> float:
        """Fraction of the administered activity in the patient after some hours."""
        return sum(share * math.exp2(-hours / t) for share, t in self.clearance)

    def rate_usv_per_h(self, distance_m: float, hours: float = 0.0) -> float:
        """Dose rate in uSv/h at a distance, some hours after administration."""
        at_1m = self.activity_gbq * self.constant.usv_m2_per_gbq_h * self.activity_left(hours)
        return at_1m * self.geometry.factor(distance_m, self.constant)

    def dose_msv(self, distance_m: float, start_h: float, end_h: float = math.inf) -> float:
        """Dose in mSv to someone who stays at a distance from `start_h` to `end_h` after administration."""
        at_1m = self.activity_gbq * self.constant.usv_m2_per_gbq_h * self.geometry.factor(distance_m, self.constant)
        decays = 0.0
        for share, half_life in self.clearance:
            constant = LN2 / half_life
            decays += share / constant * (math.exp(-constant * start_h) - math.exp(-constant * end_h))
        return at_1m * decays / 1000

    def hours_until_rate(self, distance_m: float, limit_usv_per_h: float) -> float:
        """Hours until the dose rate at a distance has fallen to a limit; 0 if it is there already."""
        return first_time(lambda h: self.rate_usv_per_h(distance_m, h), limit_usv_per_h)


@dataclass(frozen=True, slots=True)
class ContactPattern:
    """A day of contact with the patient.

    Attributes
    ----------
    name, text : str
        Key, and plain words.
    elements : tuple of (float, float, float)
        Start of each contact as hour of the day, duration in h, distance in m.
    constraint_msv : float
        Dose allowed, mSv, `per` "year" or "treatment".
    once : bool
        Happens once, right at the end of the restriction, instead of every day.
    """

    name: str
    text: str
    elements: tuple[tuple[float, float, float], ...]
    constraint_msv: float
    per: str = "year"
    once: bool = False
    group: str = "own"

    def __post_init__(self) -> None:
        end = 0.0
        for start, hours, distance in self.elements:
            if start < end - 1e-9 or hours <= 0 or start + hours > HOURS_PER_DAY + 1e-9:
                raise PhysicsError(f"pattern {self.name!r}: contacts must follow each other within one day")
            if not distance > 0:
                raise PhysicsError(f"pattern {self.name!r}: distance must be positive, not {distance} m")
            end = start + hours
        if not self.constraint_msv > 0:
            raise PhysicsError(f"pattern {self.name!r}: dose constraint must be positive")


def pattern_dose_msv(
    source: PatientSource, pattern: ContactPattern, delay_h: float, *, administration_hour: float = 12.0
) -> float:
    """Dose in mSv to someone who shares a pattern with the patient from `delay_h` after administration on.

    Parameters
    ----------
    source : PatientSource
        The patient.
    pattern : ContactPattern
        The contact.
    delay_h : float
        Hours after administration at which contact begins; a contact under way at that moment counts from then on.
    administration_hour : float
        Hour of the day (0 to 24) of administration.
    """
    if delay_h < 0:
        raise PhysicsError(f"delay must not be negative ({delay_h} h)")
    if pattern.once:
        return sum(source.dose_msv(d, delay_h + start, delay_h + start + hours) for start, hours, d in pattern.elements)
    total = 0.0
    for start, hours, distance in pattern.elements:
        # First contact of this kind that ends after the delay, in h after administration.
        first = start - administration_hour
        first += HOURS_PER_DAY * max(0, math.floor((delay_h - first - hours) / HOURS_PER_DAY) + 1)
        total += source.dose_msv(distance, max(first, delay_h), max(first + hours, delay_h))
        at_1m = source.activity_gbq * source.constant.usv_m2_per_gbq_h
        for share, half_life in source.clearance:
            c = LN2 / half_life
            next_day = first + HOURS_PER_DAY
            one = math.exp(-c * next_day) * -math.expm1(-c * hours) / c
            series = one / -math.expm1(-c * HOURS_PER_DAY)
            total += at_1m * share * source.geometry.factor(distance, source.constant) * series / 1000
    return total


@dataclass(frozen=True, slots=True)
class Restriction:
    """How long to keep away.

    Attributes
    ----------
    pattern : ContactPattern
        The contact in question.
    hours, days : float, int
        After administration; days are rounded up.
    dose_without_msv, dose_with_msv : float
        Dose without any restriction, and with the restriction of whole days.
    averaged_days : float or None
        By the textbook formula, contact spread evenly over the day; None for a single contact or several phases.
    until : str or None
        ISO date until which to keep away; None where the time of the administration is not known.
    """

    pattern: ContactPattern = field(metadata=INLINE)
    hours: float
    days: int
    dose_without_msv: float
    dose_with_msv: float
    averaged_days: float | None
    until: str | None = None


def restriction(
    source: PatientSource,
    pattern: ContactPattern,
    *,
    administration_hour: float = 12.0,
    constraint_msv: float | None = None,
) -> Restriction:
    """Shortest time to keep away so that the pattern's whole dose stays within the constraint.

    `constraint_msv` replaces the pattern's own. A pattern that happens once starts whenever the restriction ends.
    """
    limit = pattern.constraint_msv if constraint_msv is None else constraint_msv
    if not limit > 0:
        raise PhysicsError(f"dose constraint must be positive, not {limit} mSv")

    def dose(delay: float) -> float:
        return pattern_dose_msv(source, pattern, delay, administration_hour=administration_hour)

    hours = first_time(dose, limit)
    days = math.ceil(hours / HOURS_PER_DAY - 1e-6)
    averaged = None
    if not pattern.once and len(source.clearance) == 1:
        even = sum(source.dose_msv(d, 0.0) * h / HOURS_PER_DAY for _, h, d in pattern.elements)
        averaged = _days_to_fall(even, limit, source.clearance[0][1])
    return Restriction(pattern, hours, days, dose(0.0), dose(days * HOURS_PER_DAY), averaged)


def _days_to_fall(dose: float, limit: float, half_life_h: float) -> float:
    return max(0.0, half_life_h / LN2 * math.log(dose / limit) / HOURS_PER_DAY) if dose > 0 else 0.0


def first_time(value: Callable[[float], float], limit: float) -> float:
    """First time in h at which a falling function of time is down to a limit, to 1e-4 h, rounded up."""
    if value(0.0) <= limit:
        return 0.0
    high = 1.0
    while value(high) > limit:
        high *= 2
        if high > 1e7:
            raise PhysicsError("the limit is not reached within a thousand years")
    low = high / 2 if high > 1 else 0.0
    while high - low > 1e-4:
        middle = 0.5 * (low + high)
        if value(middle) > limit:
            low = middle
        else:
            high = middle
    return high


@functools.cache
def contact_patterns() -> dict[str, ContactPattern]:
    """Published patterns by name; `group` says which set ("cormack-shearer", "sfmn")."""
    rows = toml_table(__package__, "contact_patterns.toml")["pattern"]
    return {
        row["name"]: ContactPattern(
            row["name"],
            row["text"],
            tuple((float(a), float(b), float(c)) for a, b, c in row["elements"]),
            row["constraint_msv"],
            row["per"],
            row.get("once", False),
            row["set"],
        )
        for row in rows
    }
