"""Activity that reached the patient, from readings of vial and waste, or from its watched injection."""

from __future__ import annotations

import math
from dataclasses import field, replace
from pathlib import Path
from typing import Any

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
from hepatica.planning.measured.watched_activity import watched_activity
from hepatica.workflow.result import Result, result


@result
class DeliveredResult(Result):
    """Activity that reached the patient, vial by vial and in all or as it was watched; its dose if a mass was given."""

    verb = "delivered_activity"

    delivery: Delivery = field(metadata=INLINE)

    def title(self) -> str:
        """What was delivered."""
        total, watched = self.delivery.total, self.delivery.watched_injection
        by = f", {watched.words}" if watched is not None and self.delivery.taken_from == "watched injection" else ""
        return f"{self.delivery.nuclide}: {total.administered_gbq} GBq of {total.vial_at_injection_gbq:.4g} GBq{by}"

    def table(self) -> Table:
        """Each vial, all together, and what was watched."""
        rows = [(f"vial {n}", *_cells(vial)) for n, vial in enumerate(self.delivery.vials, 1)]
        together = [("together", *_cells(self.delivery.total))] if len(rows) > 1 else []
        columns = ("", "at injection, GBq", "delivered, GBq", "residual, %")
        return Table.of(columns, [*rows, *together, *self._watched()], "Delivered", "delivered")

    def _watched(self) -> list[tuple[Any, ...]]:
        """What the watched injection brought: as it is taken, or beside the readings."""
        watched = self.delivery.watched_injection
        if watched is None or watched.administered_gbq is None:
            return []
        if self.delivery.taken_from == "watched injection":
            return [(watched.words, *_cells(self.delivery.total))]
        return [(f"{watched.words}, not used", watched.vial_gbq, watched.administered_gbq, None)]

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
    readings: VialReadingOptions = VialReadingOptions(),
    *,
    planned: DeliveryOptions = DeliveryOptions(),
    watched_result: Path | None = None,
) -> DeliveredResult:
    """Activity that reached the patient, from readings of vial and waste, or from its watched injection.

    Parameters
    ----------
    nuclide : str or Nuclide
        Radionuclide: Y-90, Ho-166, ...
    readings : VialReadingOptions
        What was read of each vial.
    planned : DeliveryOptions
        What was planned, and the dose of what was delivered.
    watched_result : path or None
        Result of the watched injection (`monitor`): its activity is taken where no readings of the vial are given,
        else held beside them.

    Returns
    -------
    DeliveredResult
        Activity with its uncertainty, residual, dose, and what the guardrails say.

    Raises
    ------
    InputError
        If readings and vials differ in number, the waste reads more than the vial, or neither readings are given nor a
        watched injection that measured what arrived to the end.
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
    watched = None
    if watched_result is not None:
        path = Path(watched_result)
        watched = watched_activity(path, planned.agent or "", planned.planned_result)
        if watched.nuclide:
            require_same_nuclide(chosen.name, watched.nuclide, watched.source)
        inputs = (*inputs, InputFile.of("watched", document_of(path)))
    found = delivery(chosen, readings, planned, watched)
    stated = parameters(readings, planned, nuclide=found.nuclide, watched_result=watched_result)
    return DeliveredResult(
        delivery=found,
        messages=unique(said, found.messages),
        provenance=Provenance(inputs=inputs, parameters=stated),
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
