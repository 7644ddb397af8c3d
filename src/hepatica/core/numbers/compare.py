"""Whether a number passes a limit: one comparison for labels, guidelines, guardrails and the planner."""

from __future__ import annotations

ROUNDING = 1e-9
"""Relative difference below which a number is at its limit: an activity set to a limit gives it back to about 1e-15 in
floating point, and no measurement tells doses apart to 1e-9."""


def above(value: float, limit: float) -> bool:
    """Whether a number is above its limit, by more than rounding.

    >>> above(75.00000000000001, 75.0), above(75.1, 75.0)
    (False, True)
    """
    return bool(value > limit + ROUNDING * abs(limit))


def below(value: float, limit: float) -> bool:
    """Whether a number is below what is asked for, by more than rounding.

    >>> below(204.99999999999997, 205.0), below(204.0, 205.0)
    (False, True)
    """
    return bool(value < limit - ROUNDING * abs(limit))
