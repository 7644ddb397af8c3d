"""Goals and limits of mean doses: one table, by which a plan is judged as well as a dose that was given."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hepatica.core.numbers.compare import above, below
from hepatica.core.tables.shipped import toml_table

STRUCTURES = {
    "lung_gy": "lung",
    "lung_cumulative_gy": "lung",
    "normal_liver_gy": "normal_liver",
    "perfused_normal_gy": "perfused_normal",
    "perfused_gy": "perfused",
    "tumour_gy": "tumour",
    "marrow_gy": "marrow",
}
"""Quantity of a row -> structure whose mean dose it is."""


@dataclass(frozen=True, slots=True)
class DoseLimit:
    """A dose that a mean should reach or not pass.

    Attributes
    ----------
    id : str
        Of its row in the table of limits; a plan names it by the same.
    structure : str
        "tumour", "normal_liver" (whole liver less tumours), "perfused", "perfused_normal", "lung" or "marrow".
    comparison : str
        ">=" for a goal, "<=" for a limit.
    dose_gy : float
        Mean absorbed dose, Gy.
    condition : str
        When it holds; a reader chooses among limits of one structure by it.
    source, confidence : str
        As in `Fact`.
    indications, intents : tuple of str
        Those it is for, of `Indication` and `Intent`; ("*",) for any.
    """

    id: str
    structure: str
    comparison: str
    dose_gy: float
    condition: str
    source: str
    confidence: str
    indications: tuple[str, ...] = ("*",)
    intents: tuple[str, ...] = ("*",)

    def applies(self, indication: str | None, intent: str | None) -> bool | None:
        """Whether it is for a patient's indication and intent; None where that is not known and would decide."""
        pairs = ((indication, self.indications), (intent, self.intents))
        known = [given in allowed for given, allowed in pairs if "*" not in allowed and given is not None]
        if not all(known):
            return False
        return None if any("*" not in allowed and given is None for given, allowed in pairs) else True

    def is_met(self, dose_gy: float) -> bool:
        """Whether a mean dose in Gy meets the limit or goal."""
        return not below(dose_gy, self.dose_gy) if self.comparison == ">=" else not above(dose_gy, self.dose_gy)


@functools.cache
def limit_table() -> tuple[Mapping[str, Any], ...]:
    """Every row of ``tables/limits.toml``, which explains the fields."""
    return tuple(toml_table(__package__, "limits.toml")["limit"])


def limits_of(agent: str) -> tuple[DoseLimit, ...]:
    """Goals and limits of mean doses with an agent, those that hold for every agent last.

    The upper end of a label's range is not among them: guidelines pass it knowingly, so only a plan names it.
    """
    own = [row for row in limit_table() if agent in row["agents"]]
    rows = [*own, *(row for row in limit_table() if "*" in row["agents"])]
    return tuple(_limit(row) for row in rows if row["quantity"] in STRUCTURES and row.get("weight") != "range")


def _limit(row: Mapping[str, Any]) -> DoseLimit:
    return DoseLimit(
        id=row["id"],
        structure=STRUCTURES[row["quantity"]],
        comparison=">=" if row["bound"] == "min" else "<=",
        dose_gy=row["limit"],
        condition=row["condition"],
        source=row["source"],
        confidence=row["confidence"],
        indications=tuple(row.get("indications", ("*",))),
        intents=tuple(row["intents"]),
    )
