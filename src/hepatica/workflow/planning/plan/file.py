"""The plan file to fill in."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hepatica.core.options import verb
from hepatica.core.tables.table import Table
from hepatica.planning.planner.plan_file import TEMPLATE
from hepatica.workflow.result import Result, result


@result
class PlanTemplateResult(Result):
    """A commented plan file."""

    verb = "plan_template"

    template: str

    def title(self) -> str:
        """The file itself."""
        return self.template.rstrip("\n")

    def table(self) -> Table:
        """Entries of the file that are no comments."""
        return Table.of(("entry", "example"), list(_entries(tomllib.loads(self.template))), "Plan file", "entries")

    def tables(self) -> tuple[Table, ...]:
        """None: the file is all there is."""
        return ()

    def write(self, folder: Path) -> None:
        """Write ``plan.toml``."""
        (folder / "plan.toml").write_text(self.template, encoding="utf-8")


def _entries(content: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _entries(value, f"{where}{key}.")
        elif isinstance(value, list):
            for item in value:
                yield from _entries(item, f"{where}{key}.")
        else:
            yield f"{where}{key}", str(value)


@verb
def plan_template() -> PlanTemplateResult:
    """A commented plan file to fill in.

    Returns
    -------
    PlanTemplateResult
        The text; ``save`` writes it as ``plan.toml``.

    Examples
    --------
    >>> hepatica.plan_template().save("new-plan")  # doctest: +SKIP
    """
    return PlanTemplateResult(template=TEMPLATE)
