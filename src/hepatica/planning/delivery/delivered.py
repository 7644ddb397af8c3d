"""From the readings of vial and waste to the activity that reached the patient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from hepatica.core import Estimate, seconds_between
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.document import HIDDEN, INLINE
from hepatica.core.message import Message, Severity, unique
from hepatica.core.options import Fraction, Limits, NonNegative, Positive, Unit, options
from hepatica.errors import InputError, TimeError
from hepatica.nuclides import Agent, ConventionName, Nuclide, agent
from hepatica.planning.delivery.times import decay_between, require_zone
from hepatica.planning.guardrails import Situation, check
from hepatica.planning.measured.watched_activity import VIAL_RELATIVE_SD, WatchedActivity
from hepatica.planning.prescriptions.compartments import Partition, require_positive
from hepatica.planning.prescriptions.dose_constants import DoseConstant, dose_constant

TakenFrom = Literal["vial readings", "watched injection"]

ONCE = ("calibrated_at", "reading_before_at", "reading_after_at", "administered_at")
"""Instants that hold for all vials where they are given once."""

OF_THE_VIAL = (
    "vial_gbq", "calibrated_at", "reading_before_usv_per_h", "reading_before_at", "reading_after_usv_per_h",
    "reading_after_at",
)  # fmt: skip
"""All are needed, or none."""

ABOUT_ALL = ("delivered-less", "delivered-more")
"""Guardrails that speak of all vials together."""


@options
class VialReadingOptions:
    """Readings of each vial in one geometry, background taken off; all, or none where a watched injection is given.

    Attributes
    ----------
    vial_gbq : tuple of float
        Calibrated activity; repeat for each vial.
    calibrated_at : tuple of datetime
        Instant of that activity, with zone; once, or for each vial.
    reading_before_usv_per_h : tuple of float
        Reading of the vial before the injection; for each vial.
    reading_before_at : tuple of datetime
        Instant of that reading; once, or for each vial.
    reading_after_usv_per_h : tuple of float
        Reading of the waste after it; for each vial.
    reading_after_at : tuple of datetime
        Instant of that reading; once, or for each vial.
    administered_at : tuple of datetime
        The injection; once, or for each vial.
    vial_relative_sd : float
        Relative uncertainty of the calibrated activity, the same error in all vials; of a watched injection too, where
        a meter at the vial counts in it.
    reading_relative_sd : float
        Relative uncertainty of each reading.
    """

    vial_gbq: tuple[Positive, ...] = ()
    calibrated_at: tuple[datetime, ...] = ()
    reading_before_usv_per_h: tuple[Positive, ...] = ()
    reading_before_at: tuple[datetime, ...] = ()
    reading_after_usv_per_h: tuple[NonNegative, ...] = ()
    reading_after_at: tuple[datetime, ...] = ()
    administered_at: tuple[datetime, ...] = ()
    vial_relative_sd: Fraction = VIAL_RELATIVE_SD
    reading_relative_sd: Fraction = 0.05


@options
class DeliveryOptions:
    """What was planned, and the dose of what was delivered.

    Attributes
    ----------
    agent : str or None
        Agent, to check nuclide and shelf life.
    planned_gbq : float or None
        Activity that was planned to reach the patient.
    planned_result : path or None
        Result of the plan or prescription: agent, planned activity and lung shunt come from it.
    perfused_mass_kg : float or None
        Perfused mass, for the mean dose delivered.
    lung_shunt : float
        Fraction that reached the lungs, for the dose.
    convention : {"ensdf", "ensdf-all", "mird", "label", "clinical", "icrp107", "beta-only"}
        Dose constant: that of the decay data (ensdf; with photons ensdf-all), or one published for the nuclide (mird,
        label of 90Y; clinical, or label, of 166Ho).
    """

    agent: str | None = None
    planned_gbq: Positive | None = None
    planned_result: Path | None = None
    perfused_mass_kg: Positive | None = None
    lung_shunt: Annotated[float, Unit("fraction"), Limits(low=0, below=1)] = 0.0
    convention: ConventionName = "ensdf"


@dataclass(frozen=True, slots=True)
class VialReadings:
    """What was measured of one vial.

    Attributes
    ----------
    vial_gbq : Estimate
        Calibrated activity at `calibrated_at`, in GBq.
    calibrated_at : datetime
        Instant of that activity.
    before, after : Estimate
        Readings (dose rate or counts, one geometry, background taken off) of the vial before and of the waste after.
    reading_before_at, reading_after_at : datetime
        Instants of the readings.
    administered_at : datetime
        When the activity reached the patient.
    """

    vial_gbq: Estimate
    calibrated_at: datetime
    before: Estimate
    after: Estimate
    reading_before_at: datetime
    reading_after_at: datetime
    administered_at: datetime


@dataclass(frozen=True, slots=True)
class Delivered:
    """What reached the patient.

    Attributes
    ----------
    administered_gbq : Estimate
        At the injection.
    residual_fraction : Estimate
        Share that stayed behind.
    vial_at_injection_gbq : float
        In the vial at the injection.
    """

    administered_gbq: Estimate
    residual_fraction: Estimate
    vial_at_injection_gbq: float


def delivered(readings: VialReadings, half_life_s: float) -> Delivered:
    """Delivered activity from vial and waste readings, each decay-corrected to the injection.

    Raises
    ------
    InputError
        If the waste reads less than nothing or more than the vial did.
    TimeError
        If a time has no zone, or the waste was read before the injection.

    Notes
    -----
    R = waste / vial at one time; A_delivered = A_calibrated(t_injection) (1 - R). The vial's and the waste's readings
    are taken as independent.
    """
    for instant, what in (
        (readings.calibrated_at, "calibration"),
        (readings.reading_before_at, "reading before"),
        (readings.reading_after_at, "reading after"),
        (readings.administered_at, "injection"),
    ):
        require_zone(instant, what)
    if seconds_between(readings.administered_at, readings.reading_after_at) < 0 or (
        seconds_between(readings.reading_before_at, readings.administered_at) < 0
    ):
        raise TimeError("the vial is read before the injection and the waste after it; check the times")
    require_positive(readings.vial_gbq.value, "activity of the vial", "GBq")
    require_positive(readings.before.value, "reading of the vial", "")
    if readings.after.value < 0:
        raise InputError("the waste reads less than background: check background and detector")

    def at_injection(value: Estimate, instant: datetime) -> Estimate:
        return value * decay_between(instant, readings.administered_at, half_life_s)

    residual = at_injection(readings.after, readings.reading_after_at) / at_injection(
        readings.before, readings.reading_before_at
    )
    if residual.value >= 1:
        raise InputError(
            f"the waste reads {residual.value:.0%} of the vial: nothing was delivered, or readings swapped"
        )
    vial = at_injection(readings.vial_gbq, readings.calibrated_at)
    return Delivered(vial * (1 - residual), residual, vial.value)


def delivered_from_all(vials: Sequence[Delivered], *, shared_relative_sd: float = 0.0) -> Delivered:
    """What several vials gave together; a single vial is itself.

    Parameters
    ----------
    vials : sequence of Delivered
        Each at its own injection: the energy given is proportional to their sum, whenever each was injected.
    shared_relative_sd : float
        Part of every vial's relative uncertainty that is the same error in all, as of one dose calibrator: it adds up
        linearly, the rest in quadrature (GUM, JCGM 100:2008, 5.2.2).

    Raises
    ------
    InputError
        If there are no vials, or the shared part exceeds a vial's own uncertainty.
    """
    if not vials:
        raise InputError("no vials")
    if not shared_relative_sd >= 0:
        raise InputError(f"a shared uncertainty cannot be {shared_relative_sd:g}")
    administered = _sum([vial.administered_gbq for vial in vials], shared_relative_sd)
    if len(vials) == 1:
        return vials[0]
    in_vials = sum(vial.vial_at_injection_gbq for vial in vials)
    left = [(vial.vial_at_injection_gbq * (vial.residual_fraction.sd or 0.0)) ** 2 for vial in vials]
    residual = Estimate(1 - administered.value / in_vials, sum(left) ** 0.5 / in_vials)
    return Delivered(administered, residual, in_vials)


def _sum(activities: Sequence[Estimate], shared_relative_sd: float) -> Estimate:
    total = math.fsum(activity.value for activity in activities)
    variance = (shared_relative_sd * total) ** 2
    for activity in activities:
        if activity.sd is None:
            return Estimate(total, None)
        own = activity.sd**2 - (shared_relative_sd * activity.value) ** 2
        if own < -1e-9 * activity.sd**2:
            raise InputError("the shared uncertainty is larger than that of a vial alone")
        variance += max(0.0, own)
    return Estimate(total, math.sqrt(variance))


@dataclass(frozen=True, slots=True)
class DeliveredDose:
    """Mean doses of what was delivered.

    Attributes
    ----------
    dose_perfused_gy : Estimate
        Of the perfused volume; its uncertainty is that of the activity alone.
    dose_lung_gy : float
        Of 1 kg of lung.
    convention : str
        Of the dose constant.
    dose_constant_j_per_gbq : float
        J per GBq.
    """

    dose_perfused_gy: Estimate
    dose_lung_gy: float
    convention: str
    dose_constant_j_per_gbq: float


def delivered_dose(
    administered: Estimate, perfused_mass_kg: float, lung_shunt: float, constant: DoseConstant
) -> DeliveredDose:
    """Mean doses of an activity (GBq) in a perfused mass, by local deposition."""
    per = Partition(perfused_mass_kg, (), lung_shunt).doses(1.0, constant)
    perfused = per.perfused_gy or 0.0
    return DeliveredDose(
        Estimate(administered.value * perfused, None if administered.sd is None else administered.sd * perfused),
        administered.value * (per.lung_gy or 0.0),
        constant.convention,
        constant.j_per_gbq,
    )


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one treatment gave.

    Attributes
    ----------
    nuclide : str
        "Y-90".
    total : Delivered
        Of all vials, or by the watched injection.
    vials : tuple of Delivered
        One by one; empty where a watched injection alone says what was delivered.
    dose : DeliveredDose or None
        Where a perfused mass is known.
    messages : tuple of Message
        What the guardrails on vials and delivery say.
    taken_from : {"vial readings", "watched injection"}
        What `total` is of.
    watched_injection : WatchedActivity or None
        What the watched injection brought, taken or held beside the readings.
    """

    nuclide: str
    total: Delivered = field(metadata=INLINE)
    vials: tuple[Delivered, ...]
    dose: DeliveredDose | None
    messages: tuple[Message, ...] = field(metadata=HIDDEN)
    taken_from: TakenFrom = "vial readings"
    watched_injection: WatchedActivity | None = None


def delivery(
    nuclide: Nuclide,
    readings: VialReadingOptions,
    planned: DeliveryOptions = DeliveryOptions(),
    watched: WatchedActivity | None = None,
) -> Delivery:
    """Activity and dose of one treatment from the readings of its vials, else from its watched injection.

    Raises
    ------
    InputError
        If there are neither readings nor a watched injection that can be taken, some readings are missing, or readings
        and vials differ in number; otherwise as `delivered`.
    """
    if watched is not None and not any(getattr(readings, name) for name in OF_THE_VIAL):
        return _as_watched(nuclide, readings, planned, watched)
    if left := [name for name in (*OF_THE_VIAL, "administered_at") if not getattr(readings, name)]:
        raise InputError(
            f"{', '.join(f'`{name}`' for name in left)} {'is' if len(left) == 1 else 'are'} needed",
            remedy="state all readings of the vial, or none and the result of a watched injection (`watched_result`)",
        )
    read = _per_vial(readings)
    vials = tuple(delivered(one, nuclide.half_life_s) for one in read)
    total = delivered_from_all(vials, shared_relative_sd=readings.vial_relative_sd)
    hours = [seconds_between(one.calibrated_at, one.administered_at) / SECONDS_PER_HOUR for one in read]
    said = _guardrails(nuclide.name, vials, hours, planned)
    if watched is not None:
        said = unique(said, watched.beside_readings(total.administered_gbq))
    return Delivery(nuclide.name, total, vials, _dose(nuclide, total, planned), said, watched_injection=watched)


def _as_watched(
    nuclide: Nuclide, readings: VialReadingOptions, planned: DeliveryOptions, watched: WatchedActivity
) -> Delivery:
    """What the watched injection brought; what did not arrive of the vial is its residual."""
    if watched.why_not:
        raise InputError(f"{watched.source}: {watched.why_not}", remedy="state the readings of the vial")
    if len(readings.administered_at) != 1:
        raise InputError("`administered_at` is needed, once: the watched injection's activity is of its beginning")
    require_zone(readings.administered_at[0], "injection")
    assert watched.administered_gbq is not None
    # The meter tells shares of the vial, whose calibration the watch takes as exact.
    vial_relative_sd = readings.vial_relative_sd if "meter" in watched.measured_by else 0.0
    given = watched.administered_gbq
    sd = None if given.sd is None else math.hypot(given.sd, vial_relative_sd * given.value)
    left = max(0.0, 1 - given.value / watched.vial_gbq)
    residual = Estimate(left, None if given.sd is None else given.sd / watched.vial_gbq)
    total = Delivered(Estimate(given.value, sd), residual, watched.vial_gbq)
    said = unique(watched.messages, _guardrails(nuclide.name, (total,), [None], planned))
    return Delivery(nuclide.name, total, (), _dose(nuclide, total, planned), said, "watched injection", watched)


def _dose(nuclide: Nuclide, total: Delivered, planned: DeliveryOptions) -> DeliveredDose | None:
    if planned.perfused_mass_kg is None:
        return None
    constant = dose_constant(nuclide, planned.convention)
    return delivered_dose(total.administered_gbq, planned.perfused_mass_kg, planned.lung_shunt, constant)


def _per_vial(given: VialReadingOptions) -> list[VialReadings]:
    """One value of every reading for each vial; instants given once hold for all."""
    count = len(given.vial_gbq)
    for name in ("reading_before_usv_per_h", "reading_after_usv_per_h", *ONCE):
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
            reading(given.reading_before_usv_per_h[n]),
            reading(given.reading_after_usv_per_h[n]),
            pick(given.reading_before_at, n),
            pick(given.reading_after_at, n),
            pick(given.administered_at, n),
        )
        for n, activity in enumerate(given.vial_gbq)
    ]


def _guardrails(
    nuclide: str, vials: Sequence[Delivered], hours: Sequence[float | None], planned: DeliveryOptions
) -> tuple[Message, ...]:
    """What the guardrails on vials and delivery say, vial by vial (hours after calibration) and of all together."""
    carrier = None if planned.agent is None else agent(planned.agent)
    total = sum(vial.administered_gbq.value for vial in vials)
    over = None if planned.planned_gbq is None else total / planned.planned_gbq
    messages = []
    for number, (vial, late_h) in enumerate(zip(vials, hours, strict=True), 1):
        situation = Situation(
            agent=carrier.name if carrier else None,
            agent_nuclide=carrier.nuclide_name if carrier else None,
            nuclide=nuclide,
            hours_after_calibration=late_h,
            shelf_life_h=_shelf_life_h(carrier),
            residual_measured=vial.residual_fraction.value,
            delivered_over_planned=over if number == 1 else None,
        )
        for spoken in check(situation).warned:
            # "resin-standard" speaks of every resin vial, not of this delivery.
            if spoken.id != "resin-standard":
                where = f"vial {number}: " if len(vials) > 1 and spoken.id not in ABOUT_ALL else ""
                severity: Severity = "critical" if spoken.severity == "stop" else spoken.severity
                messages.append(Message(spoken.id, where + spoken.message, severity=severity))
    return unique(messages)


def _shelf_life_h(carrier: Agent | None) -> float | None:
    known = carrier.facts["shelf_life_h"].value if carrier and "shelf_life_h" in carrier.facts else None
    return known if isinstance(known, float) else None
