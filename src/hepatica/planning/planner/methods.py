"""One territory of a plan by every method that applies to it, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.document import HIDDEN, reported
from hepatica.core.numbers.compare import above
from hepatica.errors import InputError
from hepatica.nuclides import Agent
from hepatica.planning.limits.assess import Assessed, assess
from hepatica.planning.planner.course import METHODS, Course, Territory
from hepatica.planning.prescriptions import microspheres as rx
from hepatica.planning.prescriptions.compartments import LUNGS
from hepatica.planning.prescriptions.dose_constants import Carrier, carrier

STATED = "stated"
"""The method of an activity that a person states; its constant is the one of the single compartment."""


@dataclass(frozen=True, slots=True)
class TerritoryPlan:
    """All applicable methods for one territory, and the one that is given."""

    territory: Territory = field(metadata=HIDDEN)
    methods: Mapping[str, Assessed]
    chosen: str

    @property
    @reported
    def name(self) -> str:
        """Of the territory."""
        return self.territory.name

    @property
    def given(self) -> Assessed:
        """The chosen method's prescription."""
        return self.methods[self.chosen]

    def without_lungs(self) -> TerritoryPlan:
        """The same of a plan whose lung shunt is not known: no lung dose, and no limit of the lungs is evaluated."""
        return replace(self, methods={name: one.without_lungs() for name, one in self.methods.items()})


def effective_half_life_s(course: Course, agent: Agent | None) -> float | None:
    """Of activity that leaves: as stated, else of a lipiodol as its agent's table has it; None for all decays in place.

    Of a range the middle, as in the comparison of agents.
    """
    if course.effective_half_life_s is not None or agent is None or agent.form != "lipiodol":
        return course.effective_half_life_s
    value = agent.facts["effective_half_life_h"].value if "effective_half_life_h" in agent.facts else None
    hours = sum(value) / len(value) if isinstance(value, tuple) else value
    return hours * SECONDS_PER_HOUR if isinstance(hours, float) else None


def _carrier_for(course: Course, territory: Territory, method: str) -> Carrier:
    found = carrier(method, agent_name=territory.agent or course.agent, convention=course.convention)
    leaving = effective_half_life_s(course, found.agent)
    return found if leaving is None else replace(found, constant=found.constant.leaving(leaving))


def plan_territories(course: Course) -> tuple[TerritoryPlan, ...]:
    """Every territory by every method that applies to it; together they keep the lung limit as far as methods know it.

    Raises
    ------
    InputError
        As `plan_territory`.
    """
    shares = lung_shares(course)
    return tuple(plan_territory(course, t, shares.get(t.name, course.lung_limit_gy)) for t in course.territories)


def lung_shares(course: Course) -> dict[str, float]:
    """What the lungs may get from each territory, Gy, where the territories together would pass their limit.

    One patient has one pair of lungs. All injections whose method knows the lungs (partition) are lowered by the same
    factor; what the others give is taken off first. Empty where the limit is kept anyway, or there is one territory.
    """
    if len(course.territories) == 1:
        return {}
    alone = [plan_territory(course, t, None) for t in course.territories]
    doses = {p.name: p.territory.target.gy_per_gbq(p.given.prescription.constant)[LUNGS] for p in alone}
    doses = {p.name: doses[p.name] * p.given.prescription.administered_gbq for p in alone}
    lowered = {p.name: doses[p.name] for p in alone if p.chosen.startswith("partition")}
    total = math.fsum(lowered.values())
    left = max(0.0, course.lung_limit_gy - math.fsum(dose for name, dose in doses.items() if name not in lowered))
    if not above(total, left):
        return {}
    return {name: left * dose / total for name, dose in lowered.items() if dose > 0}


def plan_territory(course: Course, territory: Territory, lung_limit_gy: float | None) -> TerritoryPlan:
    """A territory by every method that applies to it; `lung_limit_gy` is what it may give the lungs, None for any dose.

    Raises
    ------
    InputError
        If none applies; the message says what is missing.
    """
    methods: dict[str, Assessed] = {}
    for name in METHODS:
        substance = _carrier_for(course, territory, "mird" if name == STATED else name.split("-")[0])
        made = _prescription(course, territory, name, substance, lung_limit_gy)
        if made is not None:
            methods[name] = assess(
                made,
                substance,
                target=territory.target,
                patient=course.patient,
                lung_mass_measured=course.lung_mass_measured,
            )
    if not methods:
        raise InputError(f"territory {territory.name!r}: no method applies; state an aim, or lesions with mass and T/N")
    wanted = territory.method or course.aims.method
    if wanted is not None and wanted not in methods:
        raise InputError(
            f"territory {territory.name!r}: method {wanted!r} does not apply here; applicable: {', '.join(methods)}"
        )
    first = STATED if STATED in methods else _first_choice(course, territory, methods)
    return TerritoryPlan(territory, methods, wanted or first)


def _first_choice(course: Course, territory: Territory, methods: Mapping[str, Assessed]) -> str:
    rule = _carrier_for(course, territory, "mird").agent
    preferred = {
        "resin-bsa or partition": ("partition-normal", "partition-tumour", "bsa"),
        "ho166-whole-liver": ("holmium",),
    }
    order = (*preferred.get(rule.prescription if rule else "", ("mird",)), *METHODS)
    return next(name for name in order if name in methods)


def _prescription(
    course: Course, territory: Territory, name: str, substance: Carrier, lung_limit_gy: float | None
) -> rx.Prescription | None:
    """A prescription by one method, or None where it does not apply."""
    aims, target = course.aims, territory.target
    resin = substance.agent is not None and substance.agent.name == "resin"
    if name == STATED and territory.administered_gbq is not None:
        return rx.stated(territory.administered_gbq, target, substance.constant, residual=course.residual)
    if name == "mird" and aims.perfused_gy is not None:
        return rx.mird(aims.perfused_gy, target, substance.constant, residual=course.residual)
    if name == "holmium" and substance.nuclide.name == "Ho-166" and aims.perfused_gy is not None:
        return rx.holmium(aims.perfused_gy, target, substance.constant, residual=course.residual)
    if name.startswith("partition") and target.lesions:
        limit = course.normal_limit_gy(territory.name)
        normal = limit if name == "partition-normal" and target.normal_mass_kg else None
        tumour = aims.tumour_gy if name == "partition-tumour" else None
        if normal is None and tumour is None:
            return None
        return rx.partition(
            target,
            substance.constant,
            normal_limit_gy=normal,
            tumour_dose_gy=tumour,
            lung_limit_gy=lung_limit_gy,
            residual=course.residual,
        )
    if resin and name in ("bsa", "empiric"):
        return _resin_rule(course, territory, name, substance)
    return None


def _resin_rule(course: Course, territory: Territory, name: str, substance: Carrier) -> rx.Prescription | None:
    target = territory.target
    liver = course.liver_kg
    share = min(1.0, target.perfused_mass_kg / liver)
    involvement = target.tumour_mass_kg / target.perfused_mass_kg
    options: dict[str, float] = {"lung_shunt": target.lung_shunt, "residual": course.residual}
    if name == "empiric":
        return rx.with_doses(rx.empiric(involvement, substance.constant, target_share=share, **options), target)
    if course.height_m is None or course.weight_kg is None:
        return None
    if share > 0.999:
        made = rx.bsa(course.height_m, course.weight_kg, involvement, substance.constant, **options)
    else:
        # Masses stand for volumes: tumour and normal liver have nearly one density.
        volumes = rx.LobeVolumes(target.tumour_mass_kg * 1000, target.perfused_mass_kg * 1000, liver * 1000)
        made = rx.bsa_lobar(course.height_m, course.weight_kg, volumes, substance.constant, **options)
    return rx.with_doses(made, target)
