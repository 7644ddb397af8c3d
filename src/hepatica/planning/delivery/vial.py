"""From the planned activity to the vial to order, and from the readings after the injection to what was delivered.

All times carry a zone: calibration is stated in the maker's zone, the injection in the patient's, and only true elapsed
time counts, whatever the clocks did in between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hepatica.core import Estimate, decay_factor, seconds_between
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.errors import InputError, TimeError
from hepatica.nuclides import Agent, generator
from hepatica.planning.prescriptions.compartments import require_positive, require_share

GLASS_ZONE = "America/New_York"
GLASS_CALIBRATION_HOUR = 12
"""Glass vials are calibrated on Sunday 12:00 US Eastern Time (label; well established)."""

MOST_HALF_LIVES = 50.0

RESIN_EARLY_DAYS = (0, 1, 2, 3)
"""Resin may be ordered so that nominal calibration falls 0 to 3 days after the treatment (FLEXdose; from memory)."""


def require_zone(instant: datetime, what: str) -> datetime:
    """`instant` if it has a time zone.

    Raises
    ------
    TimeError
        If it has none: the vial's calibration is in another zone, and the difference would be a guess.
    """
    if instant.tzinfo is None or instant.utcoffset() is None:
        raise TimeError(f"{what} {instant.isoformat()} has no time zone; write for example {instant.isoformat()}+01:00")
    if not 1950 <= instant.year <= 2200:
        raise TimeError(f"{what} {instant.isoformat()}: the year is not plausible")
    return instant


def decay_between(start: datetime, end: datetime, half_life_s: float) -> float:
    """Fraction left at `end` of the activity at `start`; above 1 if `end` is earlier.

    Raises
    ------
    TimeError
        If they are more than 50 half-lives apart: one of the dates is wrong.
    """
    elapsed = seconds_between(start, end)
    if abs(elapsed) > MOST_HALF_LIVES * half_life_s:
        raise TimeError(
            f"{start.isoformat()} and {end.isoformat()} are {abs(elapsed) / half_life_s:.0f} half-lives apart; "
            "check the dates"
        )
    return decay_factor(elapsed, half_life_s)


def later(instant: datetime, hours: float) -> datetime:
    """`instant` plus true hours, in its own zone (adding to a zoned clock would ignore a change of clocks)."""
    return (instant.astimezone(UTC) + timedelta(hours=hours)).astimezone(instant.tzinfo)


@dataclass(frozen=True, slots=True)
class VialOffer:
    """One vial that could be ordered.

    Attributes
    ----------
    nominal_gbq : float
        Activity at calibration, in GBq.
    calibration : datetime
        With zone.
    expires : datetime or None
        End of the shelf life.
    activity_gbq : float
        In the vial at the injection.
    deviation : float
        Activity at the injection over what is needed, minus 1.
    spheres_million : float or None
        That are injected (resin: in what is drawn).
    spheres_per_ml : float or None
        Of perfused volume, if that is known.
    activity_per_sphere_bq : float or None
        At the injection.
    draw_ml : float or None
        Volume to draw for the activity needed (resin).
    hours_after_calibration : float
        Negative before calibration.
    """

    nominal_gbq: float
    calibration: datetime
    expires: datetime | None
    activity_gbq: float
    deviation: float
    spheres_million: float | None
    spheres_per_ml: float | None
    activity_per_sphere_bq: float | None
    draw_ml: float | None
    hours_after_calibration: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "nominal_gbq": self.nominal_gbq,
            "calibration": self.calibration.isoformat(),
            "expires": self.expires.isoformat() if self.expires else None,
            "activity_at_injection_gbq": self.activity_gbq,
            "deviation": self.deviation,
            "spheres_million": self.spheres_million,
            "spheres_per_ml": self.spheres_per_ml,
            "activity_per_sphere_bq": self.activity_per_sphere_bq,
            "draw_ml": self.draw_ml,
            "hours_after_calibration": self.hours_after_calibration,
        }


@dataclass(frozen=True, slots=True)
class Order:
    """What is needed, where and when.

    Attributes
    ----------
    activity_gbq : float
        In the vial at the injection, residual included, in GBq.
    injection : datetime
        With zone.
    perfused_ml : float or None
        For spheres per mL.
    """

    activity_gbq: float
    injection: datetime
    perfused_ml: float | None = None

    def __post_init__(self) -> None:
        require_positive(self.activity_gbq, "activity to order", "GBq")
        require_zone(self.injection, "injection time")
        if self.perfused_ml is not None:
            require_positive(self.perfused_ml, "perfused volume", "mL")


def _number(agent: Agent, name: str) -> float:
    value = agent.fact(name).value
    if not isinstance(value, float):
        raise InputError(f"{agent.name}: {name.replace('_', ' ')} is not known ({agent.fact(name)})")
    return value


def _offer(agent: Agent, order: Order, nominal_gbq: float, calibration: datetime) -> VialOffer:
    elapsed = seconds_between(calibration, order.injection)
    activity = nominal_gbq * decay_between(calibration, order.injection, agent.nuclide.half_life_s)
    spheres = nominal_gbq * _number(agent, "spheres_per_gbq") if "spheres_per_gbq" in agent.facts else None
    shelf = agent.facts["shelf_life_h"].value if "shelf_life_h" in agent.facts else None
    volume = agent.facts["vial_volume_ml"].value if "vial_volume_ml" in agent.facts else None
    # Resin is drawn from its vial; a glass vial is given whole.
    drawn = order.activity_gbq / activity if agent.name == "resin" else 1.0
    return VialOffer(
        nominal_gbq=nominal_gbq,
        calibration=calibration,
        expires=later(calibration, shelf) if isinstance(shelf, float) else None,
        activity_gbq=activity,
        deviation=activity / order.activity_gbq - 1,
        spheres_million=None if spheres is None else spheres * drawn / 1e6,
        spheres_per_ml=None if spheres is None or not order.perfused_ml else spheres * drawn / order.perfused_ml,
        activity_per_sphere_bq=None if spheres is None else activity * 1e9 / spheres,
        draw_ml=volume * drawn if agent.name == "resin" and isinstance(volume, float) else None,
        hours_after_calibration=elapsed / SECONDS_PER_HOUR,
    )


def glass_calibrations(injection: datetime, shelf_life_h: float) -> tuple[datetime, ...]:
    """Sundays 12:00 US Eastern whose vials are within their shelf life at the injection, latest first."""
    from zoneinfo import ZoneInfo

    require_zone(injection, "injection time")
    local = injection.astimezone(ZoneInfo(GLASS_ZONE))
    sunday = local.date() - timedelta(days=(local.weekday() + 1) % 7)
    out = []
    for weeks in range(1 + math.ceil(shelf_life_h / 168)):
        day = sunday - timedelta(weeks=weeks)
        calibration = datetime(day.year, day.month, day.day, GLASS_CALIBRATION_HOUR, tzinfo=ZoneInfo(GLASS_ZONE))
        hours = seconds_between(calibration, injection) / SECONDS_PER_HOUR
        if 0 <= hours <= shelf_life_h:
            out.append(calibration)
    return tuple(out)


def glass_offers(agent: Agent, order: Order, *, tolerance: float = 0.05, custom: bool = True) -> tuple[VialOffer, ...]:
    """Glass vials and calibration weeks that give the activity needed, closest first.

    Parameters
    ----------
    agent : Agent
        Glass.
    order : Order
        What is needed at the injection.
    tolerance : float
        Largest relative deviation that is offered.
    custom : bool
        Whether sizes of 3 to 20 GBq in steps of 0.5 can be ordered; else only the classic six.

    Returns
    -------
    tuple of VialOffer
        Empty if no single vial comes close: then combine several (`several_vials`).
    """
    classic = agent.fact("vials_gbq").value
    if not isinstance(classic, tuple):
        raise InputError(f"{agent.name} has no vial sizes; it is not ordered in vials of fixed size")
    steps = [3.0 + 0.5 * n for n in range(35)] if custom else []
    sizes = sorted({*classic, *steps})
    weeks = glass_calibrations(order.injection, _number(agent, "shelf_life_h"))
    offers = [_offer(agent, order, size, week) for week in weeks for size in sizes]
    close = [offer for offer in offers if abs(offer.deviation) <= tolerance]
    return tuple(sorted(close, key=lambda offer: abs(offer.deviation)))


def several_vials(agent: Agent, order: Order, *, most: int = 4) -> tuple[VialOffer, ...]:
    """The fewest glass vials of one calibration week whose sum is closest to what is needed."""
    from itertools import combinations_with_replacement

    classic = agent.fact("vials_gbq").value
    if not isinstance(classic, tuple):
        raise InputError(f"{agent.name} has no vial sizes")
    best: tuple[float, tuple[VialOffer, ...]] | None = None
    for week in glass_calibrations(order.injection, _number(agent, "shelf_life_h")):
        single = [_offer(agent, order, size, week) for size in classic]
        for count in range(1, most + 1):
            for combination in combinations_with_replacement(single, count):
                off = abs(sum(v.activity_gbq for v in combination) / order.activity_gbq - 1)
                if best is None or off < best[0] - 0.02 * (len(combination) - len(best[1])) - 1e-12:
                    best = (off, combination)
    if best is None or best[0] > 0.1:
        raise InputError(f"no combination of up to {most} vials comes within 10 % of {order.activity_gbq:.3g} GBq")
    return best[1]


def resin_offers(agent: Agent, order: Order, calibration_time: datetime) -> tuple[VialOffer, ...]:
    """Resin vials with nominal calibration 0 to 3 days after the treatment day: volume to draw, spheres.

    Parameters
    ----------
    agent : Agent
        Resin.
    order : Order
        What is needed at the injection.
    calibration_time : datetime
        Nominal calibration on the treatment day (label: 18:00 or 23:00), with zone; later days are added to it.

    Returns
    -------
    tuple of VialOffer
        Only vials that hold enough; the plain one first.
    """
    require_zone(calibration_time, "calibration time")
    nominal = agent.fact("vials_gbq").value
    if not isinstance(nominal, tuple):
        raise InputError(f"{agent.name} has no vial size")
    out = []
    for days in RESIN_EARLY_DAYS:
        offer = _offer(agent, order, nominal[0], calibration_time + timedelta(days=days))
        if offer.expires is not None and order.injection > offer.expires:
            continue
        if offer.activity_gbq >= order.activity_gbq:
            out.append(offer)
    if not out and seconds_between(calibration_time, order.injection) > 0:
        raise InputError(
            f"every resin vial calibrated at {calibration_time.isoformat()} or up to 3 days later has expired or holds "
            f"less than {order.activity_gbq:.3g} GBq at the injection; order another"
        )
    if not out:
        raise InputError(f"no single resin vial holds {order.activity_gbq:.3g} GBq at the injection; order several")
    return tuple(out)


@dataclass(frozen=True, slots=True)
class HolmiumBatch:
    """A 166Ho batch: activity at shipping, carrier mass, spheres."""

    activity_at_shipping_gbq: float
    mass_mg: float
    spheres_million: float
    activity_per_sphere_bq: float


def holmium_batch(agent: Agent, order: Order, shipping: datetime, *, specific_activity_mbq_mg: float) -> HolmiumBatch:
    """What a 166Ho batch must hold when it leaves, and how much carrier that is.

    Parameters
    ----------
    specific_activity_mbq_mg : float
        At the injection; 7-20 MBq/mg is usual (from memory).
    """
    from hepatica.nuclides import spheres_per_mg

    require_zone(shipping, "shipping time")
    elapsed = seconds_between(shipping, order.injection)
    if elapsed < 0:
        raise TimeError("the batch would leave after the injection; check the times")
    require_positive(specific_activity_mbq_mg, "specific activity", "MBq/mg")
    mass = order.activity_gbq * 1000 / specific_activity_mbq_mg
    spheres = mass * spheres_per_mg(_number(agent, "sphere_diameter_um"), _number(agent, "density_g_ml"))
    return HolmiumBatch(
        order.activity_gbq / decay_between(shipping, order.injection, agent.nuclide.half_life_s),
        mass,
        spheres / 1e6,
        order.activity_gbq * 1e9 / spheres,
    )


@dataclass(frozen=True, slots=True)
class Elution:
    """One elution of a 188W/188Re generator: when, and activities in GBq just before and in the eluate."""

    at: datetime
    parent_gbq: float
    daughter_before_gbq: float
    eluted_gbq: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "at": self.at.isoformat(),
            "parent_gbq": self.parent_gbq,
            "daughter_before_gbq": self.daughter_before_gbq,
            "eluted_gbq": self.eluted_gbq,
        }


def elution_schedule(
    parent_gbq: float, calibration: datetime, elutions: Sequence[datetime], *, efficiency: float = 0.80
) -> tuple[Elution, ...]:
    """188Re from a 188W/188Re generator at each elution, regrowth in between.

    Parameters
    ----------
    parent_gbq : float
        188W at `calibration`, in equilibrium with its daughter.
    calibration : datetime
        With zone.
    elutions : sequence of datetime
        In order, with zone, after calibration.
    efficiency : float
        Share of the 188Re that an elution takes (75-85 % is typical, from memory).

    Raises
    ------
    TimeError
        If an instant has no zone or they are not in order.
    """
    require_positive(parent_gbq, "activity of the generator", "GBq")
    require_zone(calibration, "generator calibration")
    if not 0 < efficiency <= 1:
        raise InputError(f"elution efficiency must be above 0 and at most 1, not {efficiency:g}")
    g = generator("Re-188")
    fast, slow = g.daughter.half_life_s, g.parent_half_life.value
    # Transient equilibrium at calibration.
    parent, daughter = parent_gbq, g.branching * parent_gbq * slow / (slow - fast)
    last, out = calibration, []
    for at in elutions:
        elapsed = seconds_between(last, require_zone(at, "elution"))
        if elapsed < 0:
            raise TimeError("elutions must be in order and after the generator's calibration")
        daughter = g.daughter_activity(elapsed, parent_bq=parent, daughter_bq=daughter)
        parent *= decay_between(last, at, slow)
        out.append(Elution(at, parent, daughter, efficiency * daughter))
        daughter *= 1 - efficiency
        last = at
    return tuple(out)


@dataclass(frozen=True, slots=True)
class VialReadings:
    """What was measured of one vial.

    Attributes
    ----------
    activity_gbq : Estimate
        Calibrated activity at `calibration`, in GBq.
    calibration : datetime
        Instant of that activity.
    before, after : Estimate
        Readings (dose rate or counts, one geometry, background taken off) of the vial before and of the waste after.
    before_at, after_at : datetime
        Instants of the readings.
    injection : datetime
        When the activity reached the patient.
    """

    activity_gbq: Estimate
    calibration: datetime
    before: Estimate
    after: Estimate
    before_at: datetime
    after_at: datetime
    injection: datetime


@dataclass(frozen=True, slots=True)
class Delivered:
    """What reached the patient.

    Attributes
    ----------
    activity_gbq : Estimate
        At the injection.
    residual : Estimate
        Share that stayed behind.
    vial_gbq : Estimate
        In the vial at the injection.
    """

    activity_gbq: Estimate
    residual: Estimate
    vial_gbq: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "activity_delivered_gbq": self.activity_gbq.value,
            "activity_delivered_gbq_sd": self.activity_gbq.sd,
            "residual_fraction": self.residual.value,
            "residual_fraction_sd": self.residual.sd,
            "vial_at_injection_gbq": self.vial_gbq.value,
        }


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
        (readings.calibration, "calibration"),
        (readings.before_at, "reading before"),
        (readings.after_at, "reading after"),
        (readings.injection, "injection"),
    ):
        require_zone(instant, what)
    if seconds_between(readings.injection, readings.after_at) < 0 or (
        seconds_between(readings.before_at, readings.injection) < 0
    ):
        raise TimeError("the vial is read before the injection and the waste after it; check the times")
    require_positive(readings.activity_gbq.value, "activity of the vial", "GBq")
    require_positive(readings.before.value, "reading of the vial", "")
    if readings.after.value < 0:
        raise InputError("the waste reads less than background: check background and detector")

    def at_injection(value: Estimate, instant: datetime) -> Estimate:
        return value * decay_between(instant, readings.injection, half_life_s)

    residual = at_injection(readings.after, readings.after_at) / at_injection(readings.before, readings.before_at)
    if residual.value >= 1:
        raise InputError(
            f"the waste reads {residual.value:.0%} of the vial: nothing was delivered, or readings swapped"
        )
    vial = at_injection(readings.activity_gbq, readings.calibration)
    return Delivered(vial * (1 - residual), residual, vial)


def delivered_from_all(vials: Sequence[Delivered], *, shared_relative_sd: float = 0.0) -> Estimate:
    """Activity of several vials together, in GBq.

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
    total = math.fsum(vial.activity_gbq.value for vial in vials)
    variance = (shared_relative_sd * total) ** 2
    for vial in vials:
        if vial.activity_gbq.sd is None:
            return Estimate(total, None)
        own = vial.activity_gbq.sd**2 - (shared_relative_sd * vial.activity_gbq.value) ** 2
        if own < -1e-9 * vial.activity_gbq.sd**2:
            raise InputError("the shared uncertainty is larger than that of a vial alone")
        variance += max(0.0, own)
    return Estimate(total, math.sqrt(variance))


def vial_for(administered_gbq: float, residual: float) -> float:
    """Activity needed in the vial for `administered_gbq` in the patient: divided by 1 - R."""
    require_positive(administered_gbq, "activity", "GBq")
    return administered_gbq / (1 - require_share(residual, "residual"))
