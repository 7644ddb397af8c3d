"""Activity that reached the patient, from readings of vial and waste."""

from __future__ import annotations

import math
from dataclasses import field, replace
from pathlib import Path

from hepatica.core import Estimate, InputFile, Provenance
from hepatica.core.document import INLINE
from hepatica.core.message import Message, unique
from hepatica.core.options import parameters, verb
from hepatica.core.tables.table import Table
from hepatica.nuclides import Nuclide
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.planning.delivery.delivered import Delivered, Delivery, DeliveryOptions, VialReadingOptions, delivery
from hepatica.planning.measured.earlier_results import document_of
from hepatica.planning.measured.treatment_results import (
    beside,
    differing,
    planned_treatments,
    require_same_agent,
    require_same_nuclide,
)
from hepatica.planning.measured.values import SHUNT_SD
from hepatica.workflow.result import Result, result


@result
class DeliveredResult(Result):
    """Activity that reached the patient, vial by vial and in all, and its dose if a mass was given."""

    verb = "delivered_activity"

    delivery: Delivery = field(metadata=INLINE)

    def title(self) -> str:
        """What was delivered."""
        total = self.delivery.total
        return f"{self.delivery.nuclide}: {total.administered_gbq} GBq of {total.vial_at_injection_gbq:.4g} GBq"

    def table(self) -> Table:
        """Each vial, and all together."""
        rows = [(f"vial {n}", *_cells(vial)) for n, vial in enumerate(self.delivery.vials, 1)]
        together = [("together", *_cells(self.delivery.total))] if len(rows) > 1 else []
        columns = ("", "at injection, GBq", "delivered, GBq", "residual, %")
        return Table.of(columns, [*rows, *together], "Delivered", "delivered")

    def tables(self) -> tuple[Table, ...]:
        """Activity; dose if there is one."""
        dose = self.delivery.dose
        if dose is None:
            return (self.table(),)
        row = (dose.dose_perfused_gy, dose.dose_lung_gy, dose.convention)
        return (self.table(), Table.of(("perfused, Gy", "lungs, Gy", "dose constant"), [row], "Mean dose", "dose"))


def _cells(vial: Delivered) -> tuple[float, Estimate, Estimate]:
    return vial.vial_at_injection_gbq, vial.administered_gbq, vial.residual_fraction * 100.0


@verb
def delivered_activity(
    nuclide: str | Nuclide,
    readings: VialReadingOptions,
    *,
    planned: DeliveryOptions = DeliveryOptions(),
) -> DeliveredResult:
    """Activity that reached the patient, from readings of vial and waste.

    Parameters
    ----------
    nuclide : str or Nuclide
        Radionuclide: Y-90, Ho-166, ...
    readings : VialReadingOptions
        What was read of each vial.
    planned : DeliveryOptions
        What was planned, and the dose of what was delivered.

    Returns
    -------
    DeliveredResult
        Activity with its uncertainty, residual, dose, and what the guardrails say.

    Raises
    ------
    InputError
        If readings and vials differ in number, or the waste reads more than the vial.
    TimeError
        If an instant has no zone, or the readings are not before and after the injection.

    Examples
    --------
    >>> at = [datetime(2026, 3, 12, hour, tzinfo=UTC) for hour in (9, 10, 11)]
    >>> readings = hepatica.VialReadingOptions(
    ...     vial_gbq=(3.0,), calibrated_at=(at[1],), reading_before_usv_per_h=(1200.0,), reading_before_at=(at[0],),
    ...     reading_after_usv_per_h=(20.0,), reading_after_at=(at[2],), administered_at=(at[1],),
    ... )
    >>> print(hepatica.delivered_activity("Y-90", readings).delivery.total.administered_gbq)
    2.95 ± 0.15
    """
    chosen = find_nuclide(nuclide)
    planned, said, inputs = _with_plan(planned, chosen)
    found = delivery(chosen, readings, planned)
    return DeliveredResult(
        delivery=found,
        messages=unique(said, found.messages),
        provenance=Provenance(inputs=inputs, parameters=parameters(readings, planned, nuclide=found.nuclide)),
    )


def _with_plan(
    stated: DeliveryOptions, nuclide: Nuclide
) -> tuple[DeliveryOptions, tuple[Message, ...], tuple[InputFile, ...]]:
    """What was planned by the result that is named, all injections together, with stated values compared."""
    if stated.planned_result is None:
        return stated, (), ()
    path = Path(stated.planned_result)
    rows = list(planned_treatments(path).values())
    agents = {row.agent for row in rows}
    for row in rows:
        require_same_nuclide(nuclide.name, row.nuclide, row.source)
        require_same_agent(stated.agent, row.agent, row.source)
    total = math.fsum(row.administered_gbq for row in rows)
    shunts = {row.lung_shunt for row in rows if row.lung_shunt}
    shunt = shunts.pop() if len(shunts) == 1 else None
    compared = []
    if stated.planned_gbq is not None:
        compared.append(beside("planned_activity", stated.planned_gbq, total, "GBq", str(path)))
    if stated.lung_shunt and shunt:
        compared.append(beside("lung_shunt", stated.lung_shunt, shunt, "", str(path), SHUNT_SD))
    used = replace(
        stated,
        planned_gbq=total,
        agent=stated.agent or (agents.pop() if len(agents) == 1 else None),
        lung_shunt=shunt or stated.lung_shunt,
    )
    said = unique(*(row.messages for row in rows), differing(tuple(compared)))
    return used, said, (InputFile.of("planned", document_of(path)),)
