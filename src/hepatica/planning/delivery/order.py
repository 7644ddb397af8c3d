"""From the planned activity to the vial to order."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hepatica.core import seconds_between
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.options import Positive, options
from hepatica.core.options.stated import require_unstated
from hepatica.errors import InputError, TimeError
from hepatica.nuclides import Agent
from hepatica.planning.delivery.times import decay_between, later, require_zone
from hepatica.planning.prescriptions.compartments import require_positive

GLASS_ZONE = "America/New_York"
GLASS_CALIBRATION_HOUR = 12
"""Glass vials are calibrated on Sunday 12:00 US Eastern Time (label; well established)."""

RESIN_EARLY_DAYS = (0, 1, 2, 3)
"""Resin may be ordered so that nominal calibration falls 0 to 3 days after the treatment (FLEXdose; from
memory)."""


@options
class VialOrderOptions:
    """What the agent's maker needs to know.

    Attributes
    ----------
    classic : bool
        Glass: only 3, 5, 7, 10, 15 and 20 GBq.
    calibrated_at : datetime or None
        Resin: nominal calibration on the treatment day, with zone.
    shipped_at : datetime or None
        166Ho: when the batch leaves, with zone.
    specific_activity_mbq_mg : float
        166Ho: specific activity at the injection.
    """

    classic: bool = False
    calibrated_at: datetime | None = None
    shipped_at: datetime | None = None
    specific_activity_mbq_mg: Positive = 11.0


@dataclass(frozen=True, slots=True)
class VialOffer:
    """One vial that could be ordered.

    Attributes
    ----------
    nominal_gbq : float
        Activity at calibration, in GBq.
    calibrated_at : datetime
        With zone.
    expires_at : datetime or None
        End of the shelf life.
    activity_at_injection_gbq : float
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
    calibrated_at: datetime
    expires_at: datetime | None
    activity_at_injection_gbq: float
    deviation: float
    spheres_million: float | None
    spheres_per_ml: float | None
    activity_per_sphere_bq: float | None
    draw_ml: float | None
    hours_after_calibration: float


@dataclass(frozen=True, slots=True)
class Order:
    """What is needed, where and when.

    Attributes
    ----------
    planned_gbq : float
        In the vial at the injection, residual included, in GBq.
    administered_at : datetime
        The injection, with zone.
    perfused_volume_ml : float or None
        For spheres per mL.
    """

    planned_gbq: float
    administered_at: datetime
    perfused_volume_ml: float | None = None

    def __post_init__(self) -> None:
        require_positive(self.planned_gbq, "activity to order", "GBq")
        require_zone(self.administered_at, "injection time")
        if self.perfused_volume_ml is not None:
            require_positive(self.perfused_volume_ml, "perfused volume", "mL")


def _number(agent: Agent, name: str) -> float:
    value = agent.fact(name).value
    if not isinstance(value, float):
        raise InputError(f"{agent.name}: {name.replace('_', ' ')} is not known ({agent.fact(name)})")
    return value


def _vial_sizes_gbq(agent: Agent) -> tuple[float, ...]:
    sizes = agent.fact("vials_gbq").value
    if not isinstance(sizes, tuple):
        raise InputError(f"{agent.name} has no vial sizes; it is not ordered in vials of fixed size")
    return sizes


def _offer(agent: Agent, order: Order, nominal_gbq: float, calibrated_at: datetime) -> VialOffer:
    elapsed = seconds_between(calibrated_at, order.administered_at)
    perfused_ml = order.perfused_volume_ml
    activity = nominal_gbq * decay_between(calibrated_at, order.administered_at, agent.nuclide.half_life_s)
    spheres = nominal_gbq * _number(agent, "spheres_per_gbq") if "spheres_per_gbq" in agent.facts else None
    shelf = agent.facts["shelf_life_h"].value if "shelf_life_h" in agent.facts else None
    volume = agent.facts["vial_volume_ml"].value if "vial_volume_ml" in agent.facts else None
    # Resin is drawn from its vial; a glass vial is given whole.
    drawn = order.planned_gbq / activity if agent.name == "resin" else 1.0
    return VialOffer(
        nominal_gbq=nominal_gbq,
        calibrated_at=calibrated_at,
        expires_at=later(calibrated_at, shelf) if isinstance(shelf, float) else None,
        activity_at_injection_gbq=activity,
        deviation=activity / order.planned_gbq - 1,
        spheres_million=None if spheres is None else spheres * drawn / 1e6,
        spheres_per_ml=None if spheres is None or not perfused_ml else spheres * drawn / perfused_ml,
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


def glass_offers(
    agent: Agent, order: Order, *, tolerance: float = 0.05, classic: bool = False
) -> tuple[VialOffer, ...]:
    """Glass vials and calibration weeks that give the activity needed, closest first.

    Parameters
    ----------
    agent : Agent
        Glass.
    order : Order
        What is needed at the injection.
    tolerance : float
        Largest relative deviation that is offered.
    classic : bool
        Only the classic six sizes; else 3 to 20 GBq in steps of 0.5 can be ordered too.

    Returns
    -------
    tuple of VialOffer
        Empty if no single vial comes close: then combine several (`several_vials`).
    """
    steps = [] if classic else [3.0 + 0.5 * n for n in range(35)]
    sizes = sorted({*_vial_sizes_gbq(agent), *steps})
    weeks = glass_calibrations(order.administered_at, _number(agent, "shelf_life_h"))
    offers = [_offer(agent, order, size, week) for week in weeks for size in sizes]
    close = [offer for offer in offers if abs(offer.deviation) <= tolerance]
    return tuple(sorted(close, key=lambda offer: abs(offer.deviation)))


def several_vials(agent: Agent, order: Order, *, most: int = 4) -> tuple[VialOffer, ...]:
    """The fewest glass vials of one calibration week whose sum is closest to what is needed."""
    from itertools import combinations_with_replacement

    classic = _vial_sizes_gbq(agent)
    best: tuple[float, tuple[VialOffer, ...]] | None = None
    for week in glass_calibrations(order.administered_at, _number(agent, "shelf_life_h")):
        single = [_offer(agent, order, size, week) for size in classic]
        for count in range(1, most + 1):
            for combination in combinations_with_replacement(single, count):
                off = abs(sum(v.activity_at_injection_gbq for v in combination) / order.planned_gbq - 1)
                if best is None or off < best[0] - 0.02 * (len(combination) - len(best[1])) - 1e-12:
                    best = (off, combination)
    if best is None or best[0] > 0.1:
        raise InputError(f"no combination of up to {most} vials comes within 10 % of {order.planned_gbq:.3g} GBq")
    return best[1]


def resin_offers(agent: Agent, order: Order, calibrated_at: datetime) -> tuple[VialOffer, ...]:
    """Resin vials with nominal calibration 0 to 3 days after the treatment day: volume to draw, spheres.

    Parameters
    ----------
    agent : Agent
        Resin.
    order : Order
        What is needed at the injection.
    calibrated_at : datetime
        Nominal calibration on the treatment day (label: 18:00 or 23:00), with zone; later days are added to it.

    Returns
    -------
    tuple of VialOffer
        Only vials that hold enough; the plain one first.
    """
    require_zone(calibrated_at, "calibration time")
    nominal = _vial_sizes_gbq(agent)
    out = []
    for days in RESIN_EARLY_DAYS:
        offer = _offer(agent, order, nominal[0], calibrated_at + timedelta(days=days))
        if offer.expires_at is not None and order.administered_at > offer.expires_at:
            continue
        if offer.activity_at_injection_gbq >= order.planned_gbq:
            out.append(offer)
    if not out and seconds_between(calibrated_at, order.administered_at) > 0:
        raise InputError(
            f"every resin vial calibrated at {calibrated_at.isoformat()} or up to 3 days later has expired or holds "
            f"less than {order.planned_gbq:.3g} GBq at the injection; order another"
        )
    if not out:
        raise InputError(f"no single resin vial holds {order.planned_gbq:.3g} GBq at the injection; order several")
    return tuple(out)


@dataclass(frozen=True, slots=True)
class HolmiumBatch:
    """A 166Ho batch: activity at shipping, carrier mass, spheres."""

    activity_at_shipping_gbq: float
    carrier_mass_mg: float
    spheres_million: float
    activity_per_sphere_bq: float


def holmium_batch(agent: Agent, order: Order, shipped_at: datetime, *, specific_activity_mbq_mg: float) -> HolmiumBatch:
    """What a 166Ho batch must hold when it leaves, and how much carrier that is.

    Parameters
    ----------
    specific_activity_mbq_mg : float
        At the injection; 7-20 MBq/mg is usual (from memory).
    """
    from hepatica.nuclides import spheres_per_mg

    require_zone(shipped_at, "shipping time")
    elapsed = seconds_between(shipped_at, order.administered_at)
    if elapsed < 0:
        raise TimeError("the batch would leave after the injection; check the times")
    require_positive(specific_activity_mbq_mg, "specific activity", "MBq/mg")
    mass = order.planned_gbq * 1000 / specific_activity_mbq_mg
    spheres = mass * spheres_per_mg(_number(agent, "sphere_diameter_um"), _number(agent, "density_g_ml"))
    return HolmiumBatch(
        order.planned_gbq / decay_between(shipped_at, order.administered_at, agent.nuclide.half_life_s),
        mass,
        spheres / 1e6,
        order.planned_gbq * 1e9 / spheres,
    )


@dataclass(frozen=True, slots=True)
class VialOrder:
    """What to order for one treatment.

    Attributes
    ----------
    agent, nuclide : str
        "glass", "Y-90".
    planned_gbq : float
        In the vial at the injection.
    administered_at : datetime
        The injection.
    several_vials_together : bool
        Whether the vials are to be ordered together, since no single one comes close; else each is a choice.
    vials : tuple of VialOffer
        Closest first; empty for a batch.
    batch : HolmiumBatch or None
        For 166Ho.
    """

    agent: str
    nuclide: str
    planned_gbq: float
    administered_at: datetime
    several_vials_together: bool = False
    vials: tuple[VialOffer, ...] = ()
    batch: HolmiumBatch | None = None


OF_AGENTS = {
    "glass": ("classic",),
    "resin": ("calibrated_at",),
    "ho166-plla": ("shipped_at", "specific_activity_mbq_mg"),
}
"""What each agent's maker needs to know."""


def _require_of_use(agent: Agent, details: VialOrderOptions) -> None:
    """InputError if something is stated that only another agent's maker needs."""
    for other, names in OF_AGENTS.items():
        if agent.name in OF_AGENTS and agent.name != other:
            require_unstated(details, why=f"only of {other}, not of {agent.name}", only=names)


def vial_order(agent: Agent, order: Order, details: VialOrderOptions = VialOrderOptions()) -> VialOrder:
    """What to order of an agent.

    Raises
    ------
    InputError
        If the agent is not ordered in vials that are known here, an instant that it needs is missing, or nothing that
        can be ordered fits.
    """
    _require_of_use(agent, details)
    head = VialOrder(agent.name, agent.nuclide_name, order.planned_gbq, order.administered_at)
    if agent.name == "glass":
        offers = glass_offers(agent, order, classic=details.classic)
        together = not offers
        return replace(head, several_vials_together=together, vials=offers or several_vials(agent, order))
    if agent.name == "resin":
        if details.calibrated_at is None:
            raise InputError("resin: the nominal calibration is not known", remedy="give `calibrated_at`, with zone")
        return replace(head, vials=resin_offers(agent, order, details.calibrated_at))
    if agent.name == "ho166-plla":
        if details.shipped_at is None:
            raise InputError("ho166-plla: the time of shipping is not known", remedy="give `shipped_at`, with zone")
        specific = details.specific_activity_mbq_mg
        return replace(head, batch=holmium_batch(agent, order, details.shipped_at, specific_activity_mbq_mg=specific))
    raise InputError(f"{agent.name} is not ordered in vials that hepatica knows; known: glass, resin, ho166-plla")
