"""From the readings of vial and waste to the activity that reached the patient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hepatica.core import Estimate, seconds_between
from hepatica.errors import InputError, TimeError
from hepatica.planning.delivery.times import decay_between, require_zone
from hepatica.planning.prescriptions.compartments import Partition, require_positive
from hepatica.planning.prescriptions.dose_constants import DoseConstant


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
    before_at, after_at : datetime
        Instants of the readings.
    administered_at : datetime
        When the activity reached the patient.
    """

    vial_gbq: Estimate
    calibrated_at: datetime
    before: Estimate
    after: Estimate
    before_at: datetime
    after_at: datetime
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
        (readings.before_at, "reading before"),
        (readings.after_at, "reading after"),
        (readings.administered_at, "injection"),
    ):
        require_zone(instant, what)
    if seconds_between(readings.administered_at, readings.after_at) < 0 or (
        seconds_between(readings.before_at, readings.administered_at) < 0
    ):
        raise TimeError("the vial is read before the injection and the waste after it; check the times")
    require_positive(readings.vial_gbq.value, "activity of the vial", "GBq")
    require_positive(readings.before.value, "reading of the vial", "")
    if readings.after.value < 0:
        raise InputError("the waste reads less than background: check background and detector")

    def at_injection(value: Estimate, instant: datetime) -> Estimate:
        return value * decay_between(instant, readings.administered_at, half_life_s)

    residual = at_injection(readings.after, readings.after_at) / at_injection(readings.before, readings.before_at)
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
