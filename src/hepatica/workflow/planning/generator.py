"""What a 188W/188Re generator gives."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from hepatica.core import Provenance
from hepatica.core.options import Limits, Positive, Unit, parameters, verb
from hepatica.core.tables.table import Table
from hepatica.nuclides import generator
from hepatica.planning.delivery.elution import Elution, elution_schedule
from hepatica.workflow.result import Result, result


@result
class ElutionResult(Result):
    """Each elution of a generator."""

    verb = "elute_generator"

    generator: str
    elutions: tuple[Elution, ...]

    def title(self) -> str:
        """The generator."""
        return f"{self.generator} generator"

    def table(self) -> Table:
        """Activities just before each elution, and in the eluate."""
        parent, daughter = self.generator.split("/")
        rows = [(e.eluted_at.isoformat(), e.parent_gbq, e.daughter_before_gbq, e.eluted_gbq) for e in self.elutions]
        columns = ("elution", f"{parent}, GBq", f"{daughter} before, GBq", "eluted, GBq")
        return Table.of(columns, rows, name="elutions")


@verb
def elute_generator(
    parent_gbq: Positive,
    *,
    calibrated_at: datetime,
    eluted_at: tuple[datetime, ...],
    efficiency: Annotated[float, Unit("fraction"), Limits(above=0, high=1)] = 0.8,
) -> ElutionResult:
    """188Re from a 188W/188Re generator at each elution.

    Parameters
    ----------
    parent_gbq : float
        Activity of 188W at the generator's calibration.
    calibrated_at : datetime
        Calibration of the generator, with zone.
    eluted_at : tuple of datetime
        Each elution, with zone, in order.
    efficiency : float
        Share of the 188Re that an elution takes.

    Returns
    -------
    ElutionResult
        188W and 188Re before each elution, and the eluate.

    Raises
    ------
    TimeError
        If an instant has no zone, or they are not in order.

    Examples
    --------
    >>> monday, wednesday = (datetime(2026, 3, day, 8, tzinfo=UTC) for day in (2, 4))
    >>> answer = hepatica.elute_generator(20.0, calibrated_at=monday, eluted_at=(monday, wednesday))
    >>> round(answer.elutions[1].eluted_gbq, 1)
    14.0
    """
    found = generator("Re-188")
    return ElutionResult(
        generator=f"{found.parent}/{found.daughter.name}",
        elutions=elution_schedule(parent_gbq, calibrated_at, eluted_at, efficiency=efficiency),
        provenance=Provenance(
            parameters=parameters(
                parent_gbq=parent_gbq, calibrated_at=calibrated_at, eluted_at=eluted_at, efficiency=efficiency
            )
        ),
    )
