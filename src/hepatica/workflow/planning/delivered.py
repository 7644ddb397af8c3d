"""Activity that reached the patient, from readings of vial and waste."""

from __future__ import annotations

from dataclasses import field

from hepatica.core import Estimate, Provenance
from hepatica.core.document import INLINE
from hepatica.core.options import parameters, verb
from hepatica.core.table import Table
from hepatica.nuclides import Nuclide
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.planning.delivery.delivered import Delivered, Delivery, DeliveryOptions, VialReadingOptions, delivery
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
    found = delivery(find_nuclide(nuclide), readings, planned)
    return DeliveredResult(
        delivery=found,
        messages=found.messages,
        provenance=Provenance(parameters=parameters(readings, planned, nuclide=found.nuclide)),
    )
