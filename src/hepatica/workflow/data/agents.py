"""What carries the nuclides."""

from __future__ import annotations

from hepatica.core import Provenance
from hepatica.core.options import verb
from hepatica.core.tables.table import Cell, Table
from hepatica.nuclides import AGENT_NAMES, Agent
from hepatica.nuclides import agent as find_agent
from hepatica.workflow.result import Result, result

SPHERE_FACTS = ("sphere_diameter_um", "density_g_ml", "activity_per_sphere_bq")


@result
class AgentsResult(Result):
    """Agents with every fact, its source and how well that is known, and their dose limits."""

    verb = "list_agents"

    agents: tuple[Agent, ...]

    def title(self) -> str:
        """What is shown."""
        if len(self.agents) > 1:
            return "Agents of radioembolization"
        a = self.agents[0]
        return (
            f"{a.name}, {a.product}: {a.nuclide.label} {a.form}, {a.purpose}, {a.status}; prescription rule: "
            f"{a.prescription}; imaging: {', '.join(a.imaging)}"
        )

    def table(self) -> Table:
        """One row for each agent."""
        rows = [
            (
                a.name,
                a.product,
                a.nuclide.label,
                *(_value(a, fact) for fact in SPHERE_FACTS),
                ", ".join(a.imaging),
                a.status,
            )
            for a in self.agents
        ]
        columns = ("name", "product", "nuclide", "size, um", "g/mL", "Bq per sphere", "imaging", "status")
        return Table.of(columns, rows, "Agents", "agents")

    def tables(self) -> tuple[Table, ...]:
        """The list; of one agent its facts and limits."""
        if len(self.agents) > 1:
            return (self.table(),)
        a = self.agents[0]
        return (a.facts_table(), *([a.limits_table()] if a.limits else []))


@verb
def list_agents(agent: str | None = None) -> AgentsResult:
    """The agents of radioembolization, or one in full.

    Parameters
    ----------
    agent : str or None
        Agent to show in full, by name or product, such as glass or QuiremSpheres.

    Returns
    -------
    AgentsResult
        All agents, or the one.

    Raises
    ------
    UnknownNameError
        For an unknown agent; the message lists those there are.

    Examples
    --------
    >>> str(hepatica.list_agents("glass").agents[0].fact("density_g_ml"))
    '3.3 g/mL'
    """
    names = AGENT_NAMES if agent is None else (agent,)
    provenance = Provenance(
        tables={"nuclides/agents": "labels and publications, a source and a confidence for each fact"}
    )
    return AgentsResult(agents=tuple(find_agent(name) for name in names), provenance=provenance)


def _value(a: Agent, name: str) -> Cell:
    fact = a.fact(name)
    return None if fact.value is None else str(fact).removesuffix(fact.unit).strip()
