"""Radioactive decay between two instants: the one place where hepatica decay-corrects."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from hepatica.errors import TimeError


def seconds_between(start: datetime, end: datetime) -> float:
    """Seconds from `start` to `end`, negative if `end` is earlier.

    Raises
    ------
    TimeError
        If one of them has a time zone and the other has none: the difference would be a guess.
    """
    if (start.tzinfo is None) != (end.tzinfo is None):
        raise TimeError(
            f"{start.isoformat()} and {end.isoformat()}: one has a time zone and the other none; "
            "give both with a zone or both as the scanner's local time"
        )
    if start.tzinfo is not None:
        # Between two instants of one zone Python subtracts clock readings, an hour wrong across a change of clocks.
        start, end = start.astimezone(UTC), end.astimezone(UTC)
    return (end - start).total_seconds()


def decay_factor(elapsed_s: float, half_life_s: float) -> float:
    """Fraction of the activity that is left after `elapsed_s`; above 1 for a time before.

    >>> decay_factor(64.05 * 3600, half_life_s=64.05 * 3600)
    0.5
    """
    if not half_life_s > 0:
        raise TimeError(f"half-life must be positive, not {half_life_s} s")
    return math.exp2(-elapsed_s / half_life_s)


def decays_per_becquerel(half_life_s: float) -> float:
    """Number of decays still to come per becquerel present: the mean life in s, T / ln 2."""
    if not half_life_s > 0:
        raise TimeError(f"half-life must be positive, not {half_life_s} s")
    return half_life_s / math.log(2)


def acquisition_decay_factor(duration_s: float, half_life_s: float) -> float:
    """Mean activity over an acquisition, as a fraction of the activity at its start.

    ``(1 - exp(-x)) / x`` with ``x = ln 2 * duration / half-life``; divide by it to refer a frame to its start.
    """
    x = math.log(2) * duration_s / half_life_s
    return -math.expm1(-x) / x if x else 1.0
