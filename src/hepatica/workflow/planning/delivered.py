"""Activity that reached the patient, from readings of vial and waste."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from typing import Annotated, Literal

from hepatica.core import Estimate, Provenance, seconds_between
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.document import INLINE
from hepatica.core.message import Message, unique
from hepatica.core.options import Fraction, Limits, NonNegative, Positive, Unit, options, parameters, verb
from hepatica.core.table import Table
from hepatica.errors import InputError
from hepatica.nuclides import Agent
from hepatica.nuclides import agent as find_agent
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.planning.delivery.delivered import (
    Delivered,
    DeliveredDose,
    VialReadings,
    delivered,
    delivered_dose,
    delivered_from_all,
)
from hepatica.planning.guardrails import Situation, check
from hepatica.planning.prescriptions.dose_constants import dose_constant
from hepatica.workflow.result import Result, result

ONCE = ("calibrated_at", "before_at", "after_at", "administered_at")
"""Instants that hold for all vials where they are given once."""

ABOUT_ALL = ("delivered-less", "delivered-more")
"""Guardrails that speak of all vials together."""


@options
class ReadingOptions:
    """Readings of each vial in one geometry, background taken off.

    Attributes
    ----------
    vial_gbq : tuple of float
        Calibrated activity; repeat for each vial.
    calibrated_at : tuple of datetime
        Instant of that activity, with zone; once, or for each vial.
    before_usv_per_h : tuple of float
        Reading of the vial before the injection; for each vial.
    before_at : tuple of datetime
        Its instant; once, or for each vial.
    after_usv_per_h : tuple of float
        Reading of the waste after it; for each vial.
    after_at : tuple of datetime
        Its instant; once, or for each vial.
    administered_at : tuple of datetime
        The injection; once, or for each vial.
    vial_relative_sd : float
        Relative uncertainty of the calibrated activity, the same error in all vials.
    reading_relative_sd : float
        Relative uncertainty of each reading.
    """

    vial_gbq: tuple[Positive, ...]
    calibrated_at: tuple[datetime, ...]
    before_usv_per_h: tuple[Positive, ...]
    before_at: tuple[datetime, ...]
    after_usv_per_h: tuple[NonNegative, ...]
    after_at: tuple[datetime, ...]
    administered_at: tuple[datetime, ...]
    vial_relative_sd: Fraction = 0.05
    reading_relative_sd: Fraction = 0.05


@options
class PlannedOptions:
    """What was planned, and the dose of what was delivered.

    Attributes
    ----------
    agent : str or None
        To check nuclide and shelf life.
    planned_gbq : float or None
        Activity that was planned to reach the patient.
    perfused_mass_kg : float or None
        Gives the mean dose delivered.
    lung_shunt : float
        For the dose.
    convention : {"ensdf", "mird", "label"}
        Dose constant; ensdf is that of the decay data.
    """

    agent: str | None = None
    planned_gbq: Positive | None = None
    perfused_mass_kg: Positive | None = None
    lung_shunt: Annotated[float, Unit("fraction"), Limits(low=0, below=1)] = 0.0
    convention: Literal["ensdf", "mird", "label"] = "ensdf"


@result
class DeliveredResult(Result):
    """Activity that reached the patient, vial by vial and in all, and its dose if a mass was given."""

    verb = "delivered_activity"

    nuclide: str
    total: Delivered = field(metadata=INLINE)
    vials: tuple[Delivered, ...]
    dose: DeliveredDose | None

    def title(self) -> str:
        """What was delivered."""
        return f"{self.nuclide}: {self.total.administered_gbq} GBq of {self.total.vial_at_injection_gbq:.4g} GBq"

    def table(self) -> Table:
        """Each vial, and all together."""
        rows = [(f"vial {n}", *_cells(vial)) for n, vial in enumerate(self.vials, 1)]
        together = [("together", *_cells(self.total))] if len(rows) > 1 else []
        columns = ("", "at injection, GBq", "delivered, GBq", "residual, %")
        return Table.of(columns, [*rows, *together], "Delivered", "delivered")

    def tables(self) -> tuple[Table, ...]:
        """Activity; dose if there is one."""
        if self.dose is None:
            return (self.table(),)
        row = (self.dose.dose_perfused_gy, self.dose.dose_lung_gy, self.dose.convention)
        return (self.table(), Table.of(("perfused, Gy", "lungs, Gy", "dose constant"), [row], "Mean dose", "dose"))


def _cells(of_vial: Delivered) -> tuple[float, Estimate, Estimate]:
    return of_vial.vial_at_injection_gbq, of_vial.administered_gbq, of_vial.residual_fraction * 100.0


@verb
def delivered_activity(
    nuclide: str,
    readings: ReadingOptions,
    *,
    planned: PlannedOptions = PlannedOptions(),
) -> DeliveredResult:
    """Activity that reached the patient, from readings of vial and waste.

    Parameters
    ----------
    nuclide : str
        Y-90, Ho-166, ...
    readings : ReadingOptions
        What was read of each vial.
    planned : PlannedOptions
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
    >>> readings = hepatica.ReadingOptions(
    ...     vial_gbq=(3.0,), calibrated_at=(at[1],), before_usv_per_h=(1200.0,), before_at=(at[0],),
    ...     after_usv_per_h=(20.0,), after_at=(at[2],), administered_at=(at[1],),
    ... )
    >>> print(hepatica.delivered_activity("Y-90", readings).total.administered_gbq)
    2.95 ± 0.15
    """
    substance = find_nuclide(nuclide)
    read = _per_vial(readings)
    vials = tuple(delivered(one, substance.half_life_s) for one in read)
    total = delivered_from_all(vials, shared_relative_sd=readings.vial_relative_sd)
    dose = None
    if planned.perfused_mass_kg is not None:
        constant = dose_constant(substance, planned.convention)
        dose = delivered_dose(total.administered_gbq, planned.perfused_mass_kg, planned.lung_shunt, constant)
    return DeliveredResult(
        nuclide=substance.name,
        total=total,
        vials=vials,
        dose=dose,
        messages=_guardrails(substance.name, vials, read, planned),
        provenance=Provenance(parameters=parameters(readings, planned, nuclide=substance.name)),
    )


def _per_vial(given: ReadingOptions) -> list[VialReadings]:
    """One value of every reading for each vial; instants given once hold for all."""
    count = len(given.vial_gbq)
    for name in ("before_usv_per_h", "after_usv_per_h", *ONCE):
        values: Sequence[object] = getattr(given, name)
        if len(values) != count and not (name in ONCE and len(values) == 1):
            rule = "once, or once for each vial" if name in ONCE else "once for each vial"
            raise InputError(f"`{name}` is given {len(values)} times for {count} vials; give it {rule}")

    def pick(instants: Sequence[datetime], n: int) -> datetime:
        return instants[n if len(instants) > 1 else 0]

    def reading(value: float) -> Estimate:
        return Estimate(value, given.reading_relative_sd * value)

    return [
        VialReadings(
            Estimate(activity, given.vial_relative_sd * activity),
            pick(given.calibrated_at, n),
            reading(given.before_usv_per_h[n]),
            reading(given.after_usv_per_h[n]),
            pick(given.before_at, n),
            pick(given.after_at, n),
            pick(given.administered_at, n),
        )
        for n, activity in enumerate(given.vial_gbq)
    ]


def _guardrails(
    nuclide: str, vials: Sequence[Delivered], read: Sequence[VialReadings], planned: PlannedOptions
) -> tuple[Message, ...]:
    """What the guardrails on vials and delivery say, vial by vial and of all together."""
    carrier = None if planned.agent is None else find_agent(planned.agent)
    total = sum(vial.administered_gbq.value for vial in vials)
    over = None if planned.planned_gbq is None else total / planned.planned_gbq
    messages = []
    for number, (vial, one) in enumerate(zip(vials, read, strict=True), 1):
        situation = Situation(
            agent=carrier.name if carrier else None,
            agent_nuclide=carrier.nuclide_name if carrier else None,
            nuclide=nuclide,
            hours_after_calibration=seconds_between(one.calibrated_at, one.administered_at) / SECONDS_PER_HOUR,
            shelf_life_h=_shelf_life_h(carrier),
            residual_measured=vial.residual_fraction.value,
            delivered_over_planned=over if number == 1 else None,
        )
        for spoken in check(situation).warned:
            # "resin-standard" speaks of every resin vial, not of this delivery.
            if spoken.id != "resin-standard":
                where = f"vial {number}: " if len(vials) > 1 and spoken.id not in ABOUT_ALL else ""
                severity: Literal["note", "warning", "critical"] = (
                    "critical" if spoken.severity == "stop" else spoken.severity
                )
                messages.append(Message(spoken.id, where + spoken.message, severity=severity))
    return unique(messages)


def _shelf_life_h(carrier: Agent | None) -> float | None:
    known = carrier.facts["shelf_life_h"].value if carrier and "shelf_life_h" in carrier.facts else None
    return known if isinstance(known, float) else None
