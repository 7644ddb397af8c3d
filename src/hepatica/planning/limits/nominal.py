"""A limit of a label as the planner keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NominalLimit:
    """A limit of a label or guideline, which holds for the plan's own numbers and not for their spread.

    Attributes
    ----------
    name : str
        For the answer.
    per_gbq : mapping of str to float
        By territory: what an administered GBq adds to what is limited.
    limit : float
        What must not be exceeded.
    """

    name: str
    per_gbq: Mapping[str, float]
    limit: float
