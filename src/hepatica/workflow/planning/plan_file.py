"""The plan file to fill in."""

from __future__ import annotations

from pathlib import Path

from hepatica.core.options import verb
from hepatica.core.table import Table
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

    def tables(self) -> tuple[Table, ...]:
        """None: the file is all there is."""
        return ()

    def write(self, folder: Path) -> None:
        """Write ``plan.toml``."""
        (folder / "plan.toml").write_text(self.template, encoding="utf-8")


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
