"""Which vial to order for a planned activity."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from pathlib import Path

from hepatica.core import InputFile, Provenance
from hepatica.core.document import INLINE
from hepatica.core.message import Message
from hepatica.core.options import Positive, parameters, verb
from hepatica.core.tables.table import Table
from hepatica.errors import InputError
from hepatica.nuclides import Agent
from hepatica.nuclides import agent as find_agent
from hepatica.planning.delivery.order import Order, VialOffer, VialOrder, VialOrderOptions, vial_order
from hepatica.planning.measured.earlier_results import document_of
from hepatica.planning.measured.treatment_results import beside, differing, planned_treatment, require_same_agent
from hepatica.workflow.result import Result, result


@result
class VialOrderResult(Result):
    """Vials to choose from, vials to order together, or the batch to order."""

    verb = "order_vial"

    order: VialOrder = field(metadata=INLINE)

    def title(self) -> str:
        """What is needed, and when."""
        o = self.order
        return f"{o.agent}: {o.planned_gbq:.4g} GBq needed at {o.administered_at.isoformat()}"

    def table(self) -> Table:
        """One row for each vial, or the batch."""
        if (batch := self.order.batch) is not None:
            row = (
                batch.activity_at_shipping_gbq, batch.carrier_mass_mg, batch.spheres_million,
                batch.activity_per_sphere_bq,
            )  # fmt: skip
            return Table.of(("at shipping, GBq", "carrier, mg", "million spheres", "Bq each"), [row], "Batch", "vials")
        columns = (
            "GBq", "calibration", "h after", "at injection, GBq", "million spheres", "Bq each", "per mL",
            "draw, mL", "deviation, %",
        )  # fmt: skip
        return Table.of(columns, [_row(vial) for vial in self.order.vials], "Vials", "vials")


def _row(v: VialOffer) -> tuple[float | str | None, ...]:
    return (
        v.nominal_gbq, v.calibrated_at.strftime("%a %d %b %H:%M %z"), v.hours_after_calibration,
        v.activity_at_injection_gbq, v.spheres_million, v.activity_per_sphere_bq, v.spheres_per_ml, v.draw_ml,
        None if v.draw_ml is not None else 100 * v.deviation,
    )  # fmt: skip


@verb
def order_vial(
    agent: str | None = None,
    planned_gbq: Positive | None = None,
    *,
    administered_at: datetime,
    perfused_volume_ml: Positive | None = None,
    planned_result: Path | None = None,
    territory: str | None = None,
    details: VialOrderOptions = VialOrderOptions(),
) -> VialOrderResult:
    """Vials and calibration days that give the planned activity at the treatment.

    Parameters
    ----------
    agent : str or None
        Agent: glass, resin or QuiremSpheres.
    planned_gbq : float or None
        Activity needed in the vial at the injection, residual included.
    administered_at : datetime
        The injection, with zone: 2026-03-12T10:00+01:00.
    perfused_volume_ml : float or None
        Perfused volume, for spheres per mL.
    planned_result : path or None
        Result of a plan or a prescription: agent and activity come from it.
    territory : str or None
        Territory of that plan, where it has several.
    details : VialOrderOptions
        What the agent's maker needs to know.

    Returns
    -------
    VialOrderResult
        Vials, closest first (of glass that no single vial comes close to: vials to order together), or the batch.

    Raises
    ------
    InputError
        If nothing that can be ordered fits, the agent is not ordered in vials, or neither activity nor a result is
        given.
    TimeError
        If an instant has no zone.

    Examples
    --------
    >>> injection = datetime.fromisoformat("2026-03-12T10:00+01:00")
    >>> hepatica.order_vial("glass", 2.4, administered_at=injection).order.vials[0].nominal_gbq
    6.5
    """
    carrier, needed_gbq, said, inputs = _needed(agent, planned_gbq, planned_result, territory)
    order = vial_order(carrier, Order(needed_gbq, administered_at, perfused_volume_ml), details)
    messages = said
    if order.several_vials_together:
        text = "no single vial comes close: order these together"
        messages = (*said, Message("several-vials", text, severity="note"))
    return VialOrderResult(
        order=order,
        messages=messages,
        provenance=Provenance(
            inputs=inputs,
            parameters=parameters(
                details, agent=carrier.name, planned_gbq=needed_gbq, administered_at=administered_at,
                perfused_volume_ml=perfused_volume_ml, territory=territory,
            ),
        ),
    )  # fmt: skip


def _needed(
    agent: str | None, planned_gbq: float | None, result: Path | None, territory: str | None
) -> tuple[Agent, float, tuple[Message, ...], tuple[InputFile, ...]]:
    """Agent and activity as stated, or of a plan with stated values compared; what is said of it, and its file."""
    if result is None:
        if agent is None or planned_gbq is None:
            raise InputError("`agent` and `planned_gbq` are needed", remedy="or give `planned_result`")
        if territory is not None:
            raise InputError("`territory` is one of the plan in `planned_result`, which is not given")
        return find_agent(agent), planned_gbq, (), ()
    path = Path(result)
    found = planned_treatment(path, territory)
    if found.agent is None:
        raise InputError(f"{found.source}: plans {found.nuclide} without an agent, so that there is no vial of it")
    require_same_agent(agent, found.agent, found.source)
    said = found.messages
    if planned_gbq is not None:
        said += differing((beside("planned_activity", planned_gbq, found.planned_gbq, "GBq", found.source),))
    return find_agent(found.agent), found.planned_gbq, said, (InputFile.of("planned", document_of(path)),)
