"""Which vial to order for a planned activity."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime

from hepatica.core import Provenance
from hepatica.core.document import INLINE
from hepatica.core.message import Message
from hepatica.core.options import Positive, parameters, verb
from hepatica.core.table import Table
from hepatica.nuclides import agent as find_agent
from hepatica.planning.delivery.order import Order, VialOffer, VialOrder, VialOrderOptions, vial_order
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
    agent: str,
    planned_gbq: Positive,
    *,
    administered_at: datetime,
    perfused_volume_ml: Positive | None = None,
    details: VialOrderOptions = VialOrderOptions(),
) -> VialOrderResult:
    """Vials and calibration days that give the planned activity at the treatment.

    Parameters
    ----------
    agent : str
        Agent: glass, resin or QuiremSpheres.
    planned_gbq : float
        Activity needed in the vial at the injection, residual included.
    administered_at : datetime
        The injection, with zone: 2026-03-12T10:00+01:00.
    perfused_volume_ml : float or None
        Perfused volume, for spheres per mL.
    details : VialOrderOptions
        What the agent's maker needs to know.

    Returns
    -------
    VialOrderResult
        Vials, closest first (of glass that no single vial comes close to: vials to order together), or the batch.

    Raises
    ------
    InputError
        If nothing that can be ordered fits, or the agent is not ordered in vials.
    TimeError
        If an instant has no zone.

    Examples
    --------
    >>> injection = datetime.fromisoformat("2026-03-12T10:00+01:00")
    >>> hepatica.order_vial("glass", 2.4, administered_at=injection).order.vials[0].nominal_gbq
    6.5
    """
    carrier = find_agent(agent)
    order = vial_order(carrier, Order(planned_gbq, administered_at, perfused_volume_ml), details)
    messages: tuple[Message, ...] = ()
    if order.several_vials_together:
        messages = (Message("several-vials", "no single vial comes close: order these together", severity="note"),)
    return VialOrderResult(
        order=order,
        messages=messages,
        provenance=Provenance(
            parameters=parameters(
                details, agent=carrier.name, planned_gbq=planned_gbq, administered_at=administered_at,
                perfused_volume_ml=perfused_volume_ml,
            )
        ),
    )  # fmt: skip
