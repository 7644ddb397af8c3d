"""Instants of calibration and injection, and decay between them.

All times carry a zone: calibration is stated in the maker's zone, the injection in the patient's, and only true elapsed
time counts, whatever the clocks did in between.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hepatica.core import decay_factor, seconds_between
from hepatica.errors import TimeError

MAX_HALF_LIVES = 50.0


def require_zone(instant: datetime, what: str) -> datetime:
    """`instant` if it has a time zone.

    Raises
    ------
    TimeError
        If it has none: the vial's calibration is in another zone, and the difference would be a guess.
    """
    if instant.tzinfo is None or instant.utcoffset() is None:
        raise TimeError(f"{what} {instant.isoformat()} has no time zone; write for example {instant.isoformat()}+01:00")
    if not 1950 <= instant.year <= 2200:
        raise TimeError(f"{what} {instant.isoformat()}: the year is not plausible")
    return instant


def decay_between(start: datetime, end: datetime, half_life_s: float) -> float:
    """Fraction left at `end` of the activity at `start`; above 1 if `end` is earlier.

    Raises
    ------
    TimeError
        If they are more than 50 half-lives apart: one of the dates is wrong.
    """
    elapsed = seconds_between(start, end)
    if abs(elapsed) > MAX_HALF_LIVES * half_life_s:
        raise TimeError(
            f"{start.isoformat()} and {end.isoformat()} are {abs(elapsed) / half_life_s:.0f} half-lives apart; "
            "check the dates"
        )
    return decay_factor(elapsed, half_life_s)


def later(instant: datetime, hours: float) -> datetime:
    """`instant` plus true hours, in its own zone (adding to a zoned clock would ignore a change of clocks)."""
    return (instant.astimezone(UTC) + timedelta(hours=hours)).astimezone(instant.tzinfo)
