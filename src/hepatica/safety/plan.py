"""Everything about going home after one treatment: the numbers behind `hepatica release` and the patient sheet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Literal

from hepatica.core import Provenance
from hepatica.core.document import HIDDEN, reported
from hepatica.core.message import Message
from hepatica.core.numbers.confidence import READ_AT_THE_SOURCE
from hepatica.core.options import Limits, NonNegative, Positive, options, parameters
from hepatica.errors import PhysicsError
from hepatica.nuclides import Nuclide, nuclide, require_carried
from hepatica.safety.afterwards import (
    Excretion,
    StaffTask,
    Waste,
    cremation_wait_days,
    excretion,
    published_effective_half_life_h,
    staff_tasks,
    surgery_wait_days,
    waste,
)
from hepatica.safety.contact import ContactPattern, PatientSource, Restriction, contact_patterns, restriction
from hepatica.safety.dose_rate import DoseRateConstant, Geometry, dose_rate_constant
from hepatica.safety.release import FrameworkVerdict, NrcRelease, frameworks, nrc_release, verdict

NOON = 12.0
PUBLIC_LIMIT_MSV = 1.0


@options
class DoseRateOptions:
    """How the dose rate around the patient is found.

    Attributes
    ----------
    dose_rate_convention : {"measured", "calculated", "rg839", "dorn"} or None
        Dose-rate constant; if not given, the one measured on patients where there is one, else the calculated one.
    depth_cm : float
        Tissue in front of the source, for the calculated constant.
    law : {"point", "line", "power-1.5", "measured"} or None
        Fall with distance; if not given, "measured" for a nuclide measured at two distances, else
        "point".
    line_length_cm : float
        Length of the line source.
    occupancy : float or None
        Occupancy factor of the NRC formula; the guide's if not given.
    """

    dose_rate_convention: Literal["measured", "calculated", "rg839", "dorn"] | None = None
    depth_cm: NonNegative = 0.0
    law: Literal["point", "line", "power-1.5", "measured"] | None = None
    line_length_cm: Positive = 20.0
    occupancy: Annotated[float, Limits(above=0, high=1)] | None = None


@options
class ContactOptions:
    """With whom the patient lives, and which limits hold.

    Attributes
    ----------
    patterns : {"cormack-shearer", "sfmn"}
        Set of contact patterns.
    public_constraint_msv : float or None
        In place of the 1 mSv of the patterns for the public (0.3 mSv in many European countries).
    """

    patterns: Literal["cormack-shearer", "sfmn"] = "cormack-shearer"
    public_constraint_msv: Positive | None = None


@dataclass(frozen=True, slots=True)
class DoseRateRow:
    """Dose rates at one time after the administration."""

    hours: float
    at_0_3_m_usv_per_h: float
    at_1_m_usv_per_h: float
    at_2_m_usv_per_h: float


@dataclass(frozen=True, slots=True)
class CremationWait:
    """From when a body may be cremated without precaution."""

    days: float
    date: str | None
    limit_mbq: float
    source: str


@dataclass(frozen=True, slots=True)
class ReleasePlan:
    """Answers about going home; see the attributes' own types."""

    nuclide: str
    agent: str | None
    administered_gbq: float
    administered_at: datetime | None
    half_life_h: float
    source: PatientSource = field(metadata=HIDDEN)
    dose_rate_constant: DoseRateConstant
    nrc: NrcRelease
    frameworks: tuple[FrameworkVerdict, ...]
    restrictions: tuple[Restriction, ...]
    excretion: Excretion
    waste: Waste
    cremation: CremationWait | None
    surgery_days: float
    staff: tuple[StaffTask, ...]
    messages: tuple[Message, ...] = field(metadata=HIDDEN)
    provenance: Provenance = field(metadata=HIDDEN)

    def date_after(self, days: float) -> str | None:
        """ISO date (rounded up to whole days) some days after administration; None if that is not known."""
        return date_after(self.administered_at, days)

    @property
    @reported
    def dose_rates(self) -> tuple[DoseRateRow, ...]:
        """Dose rate at 0.3, 1 and 2 m over the first four weeks."""
        hours = (0.0, 6.0, 24.0, 48.0, 72.0, 168.0, 336.0, 672.0)
        return tuple(DoseRateRow(h, *(self.source.rate_usv_per_h(d, h) for d in (0.3, 1.0, 2.0))) for h in hours)

    @property
    @reported
    def distance_law(self) -> str:
        """How the dose rate falls with distance."""
        return self.source.geometry.law


def date_after(start: datetime | None, days: float) -> str | None:
    """ISO date (rounded up to whole days) some days after an instant; None if that is not known."""
    return None if start is None else (start + timedelta(days=days)).date().isoformat()


def _constrained(pattern: ContactPattern, public_msv: float | None) -> ContactPattern:
    if public_msv is None or pattern.constraint_msv != PUBLIC_LIMIT_MSV:
        return pattern
    return replace(pattern, constraint_msv=public_msv)


def release_plan(
    name: str,
    administered_gbq: float,
    *,
    agent: str = "",
    administered_at: datetime | None = None,
    effective_half_life_h: float | None = None,
    dose_rate: DoseRateOptions = DoseRateOptions(),
    contact: ContactOptions = ContactOptions(),
) -> ReleasePlan:
    """Answer everything about going home after a treatment.

    Parameters
    ----------
    name, agent : str
        Nuclide ("I-131"); carrier ("lipiodol", "" if not stated).
    administered_gbq : float
        Administered activity.
    administered_at : datetime or None
        When; None if only durations are wanted.
    effective_half_life_h : float or None
        None takes the physical one, which errs on the safe side.
    dose_rate, contact
        How the dose rate is found; with whom the patient lives.

    Raises
    ------
    UnknownNameError
        For an unknown nuclide.
    InputError
        If the agent carries another nuclide.
    PhysicsError
        If the effective half-life is longer than the physical one.
    """
    substance = nuclide(name)
    require_carried(agent, substance)
    constant = dose_rate_constant(substance.name, dose_rate.dose_rate_convention, depth_cm=dose_rate.depth_cm)
    half_life_h, messages = _half_life_h(substance, agent, effective_half_life_h)
    law = dose_rate.law or ("measured" if constant.near is not None else "point")
    geometry = Geometry(law, dose_rate.line_length_cm / 100)
    source = PatientSource(administered_gbq, constant, ((1.0, half_life_h),), geometry)
    hour = NOON if administered_at is None else administered_at.hour + administered_at.minute / 60
    occupancy = dose_rate.occupancy
    wait = cremation_wait_days(source)
    return ReleasePlan(
        nuclide=substance.name,
        agent=agent or None,
        administered_gbq=administered_gbq,
        administered_at=administered_at,
        half_life_h=half_life_h,
        source=source,
        dose_rate_constant=constant,
        nrc=nrc_release(source, occupancy=occupancy),
        frameworks=tuple(verdict(rule, source, occupancy=occupancy) for rule in frameworks().values()),
        restrictions=tuple(
            _dated(
                restriction(source, _constrained(p, contact.public_constraint_msv), administration_hour=hour),
                administered_at,
            )
            for p in contact_patterns().values()
            if p.group == contact.patterns
        ),
        excretion=excretion(substance.name, agent),
        waste=waste(substance.name),
        cremation=None if wait is None else CremationWait(wait[0], date_after(administered_at, wait[0] + 1), *wait[1:]),
        surgery_days=surgery_wait_days(source),
        staff=staff_tasks(source),
        messages=(*messages, *_about_constant(substance, constant)),
        provenance=Provenance(
            parameters={
                "administered_gbq": administered_gbq, "half_life_h": half_life_h, "administration_hour": hour,
                **parameters(dose_rate, contact),
            },
            tables={"safety/dose_rates.toml": constant.source, "safety/contact_patterns.toml": contact.patterns},
            conventions={"dose rate": constant.convention, "distance": law, "occupancy": "RG 8.39"},
        ),
    )  # fmt: skip


def _dated(found: Restriction, administered_at: datetime | None) -> Restriction:
    return replace(found, until=date_after(administered_at, found.days))


def _half_life_h(substance: Nuclide, agent: str, stated_h: float | None) -> tuple[float, tuple[Message, ...]]:
    """Half-life in the patient, and what to know where the physical one stands in for it."""
    if stated_h is None:
        published = published_effective_half_life_h(substance.name, agent)
        if published is None:
            return substance.half_life_h, ()
        text = (
            f"the physical half-life ({substance.half_life_h:.4g} h) is used, on the safe side; published effective: "
            f"{published[0]:g} h ({published[1]})"
        )
        return substance.half_life_h, (Message("physical-half-life", text, severity="note"),)
    if stated_h > substance.half_life_h * 1.01:
        raise PhysicsError(
            f"an effective half-life of {stated_h:g} h is longer than the physical one of {substance.name}, "
            f"{substance.half_life_h:.4g} h"
        )
    return stated_h, ()


def _about_constant(substance: Nuclide, constant: DoseRateConstant) -> tuple[Message, ...]:
    if constant.convention == "calculated":
        text = f"{substance.name}: no dose rate measured on patients is in the table; {constant.source}"
        return (Message("dose-rate-calculated", text),)
    if constant.confidence != READ_AT_THE_SOURCE:
        text = f"dose-rate constant, confidence: {constant.confidence}; {constant.source}"
        return (Message("dose-rate-confidence", text),)
    return ()
