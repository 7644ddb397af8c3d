"""Numbers that no patient and no treatment has: a wrong unit or a slip of the keyboard stops the plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from hepatica.core.numbers.compare import above, below
from hepatica.core.numbers.confidence import COMMON_PRACTICE
from hepatica.core.options import unit_of
from hepatica.core.tables.shipped import toml_table
from hepatica.planning.guardrails.rule import Guardrail


def _outside(fact: str, low: float, high: float, nuclide: str | None) -> Callable[[Any], bool]:
    def speaks(situation: Any) -> bool:
        if nuclide is not None and situation.nuclide != nuclide:
            return False
        value = float(getattr(situation, fact))
        # Zero is no number that was measured: rules of their own speak of it.
        return value != 0 and (below(value, low) or above(value, high))

    return speaks


def _guardrail(row: Mapping[str, Any]) -> Guardrail:
    fact, nuclide = row["fact"], row.get("nuclide")
    low, high = row.get("low", -math.inf), row.get("high", math.inf)
    unit = row.get("unit", unit_of(fact)[1])
    between = " to ".join(f"{bound:g}" for bound in (low, high) if math.isfinite(bound))
    edge = "" if math.isfinite(low) and math.isfinite(high) else "at most " if math.isfinite(high) else "at least "
    advice = (
        f"The {row['what']} of {{{fact}:.4g}} {unit} is not plausible ({edge}{between} {unit}: {row['reason']}); check "
        "number and unit."
    )
    return Guardrail(
        f"implausible-{row['id']}",
        "stop",
        (fact,) if nuclide is None else ("nuclide", fact),
        _outside(fact, low, high, nuclide),
        " ".join(advice.split()).replace(" :", ":").replace(" )", ")"),
        "practice",
        COMMON_PRACTICE,
    )


def largest_plausible_gbq(nuclide: str, per_gbq: Mapping[str, float]) -> dict[str, float]:
    """Largest administered activity that these guardrails let pass, GBq, by the id of the guardrail.

    Parameters
    ----------
    nuclide : str
        Which the activity is of.
    per_gbq : mapping of str to float
        Facts that grow with the activity (`administered_gbq`, `energy_j`, `dose_largest_gy`): what one GBq gives.
    """
    return {
        f"implausible-{row['id']}": row["high"] / per_gbq[row["fact"]]
        for row in toml_table(__package__, "plausible.toml")["range"]
        if per_gbq.get(row["fact"], 0.0) > 0 and "high" in row and row.get("nuclide", nuclide) == nuclide
    }


PLAUSIBLE: tuple[Guardrail, ...] = tuple(_guardrail(row) for row in toml_table(__package__, "plausible.toml")["range"])
"""One for each row of ``tables/plausible.toml``."""
