"""The rules that experienced teams apply."""

from __future__ import annotations

import re

from hepatica.core.options import verb
from hepatica.core.tables.table import Table
from hepatica.planning.guardrails import GUARDRAILS, Guardrail
from hepatica.workflow.result import Result, result


@result
class GuardrailsResult(Result):
    """All guardrails."""

    verb = "list_guardrails"

    guardrails: tuple[Guardrail, ...]

    def title(self) -> str:
        """How many."""
        return f"{len(self.guardrails)} guardrails"

    def table(self) -> Table:
        """One row for each."""
        rows = [
            (g.id, g.severity, ", ".join(g.needs), _with_dots(g.advice), g.source, g.confidence)
            for g in self.guardrails
        ]
        columns = ("id", "severity", "facts it needs", "what it says", "source", "confidence")
        return Table.of(columns, rows, "Guardrails", "guardrails")


def _with_dots(advice: str) -> str:
    """Dots where the numbers of a patient will stand."""
    return re.sub(r"\{[^}]*\}", "N", advice)


@verb
def list_guardrails() -> GuardrailsResult:
    """All guardrails: what they look at, when they speak, what to do.

    Returns
    -------
    GuardrailsResult
        Each with id, severity, the facts it needs, its sentence, its source and how well that is known.

    Examples
    --------
    >>> hepatica.list_guardrails().guardrails[0].severity in ("stop", "warning", "note")
    True
    """
    return GuardrailsResult(guardrails=GUARDRAILS)
