"""What a plan itself knows and the guardrails look at, beside what its file states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from hepatica.core.message import Message
from hepatica.planning.guardrails import Situation
from hepatica.planning.limits.assess import (
    LIVER_DENSITY_G_ML,
    activity_spread,
    largest_dose_gy,
    of_agent,
    of_lesions,
    of_patient,
)
from hepatica.planning.limits.assumed import NO_SHUNT
from hepatica.planning.planner.best_activity import Optimum
from hepatica.planning.planner.course import Course
from hepatica.planning.planner.methods import TerritoryPlan
from hepatica.planning.planner.territories import CourseDoses

SHUNT_DECIDES_FROM = 0.8
"""From this share of the lung limit on the lung shunt decides: its usual uncertainty of 20 % then reaches the limit."""

LARGEST_DIFFERENCE = 0.1
"""A stated fact may differ so much, relatively, from what the plan knows before the reader is told."""


def known_facts(course: Course, plan: TerritoryPlan, doses: CourseDoses, planner: Optimum | None) -> Situation:
    """Facts of one territory, and of the patient as far as the plan tells them."""
    target, given = plan.territory.target, plan.given
    made = given.prescription
    own = made.doses
    chances = planner.chances if planner else None
    known = of_patient(of_agent(Situation(), given.carrier.agent), course.patient)
    # A territory without tumour is judged by those of the plan.
    here = target.lesions or tuple(lesion for t in course.territories for lesion in t.target.lesions)
    known = of_lesions(known, here)
    lesions = [doses.lesions_gy[lesion.name] for lesion in here]
    agent = given.carrier.agent
    limit, unknown = course.lung_limit_gy, NO_SHUNT in course.assumptions
    known = replace(
        known,
        nuclide=given.carrier.nuclide.name,
        agent_purpose=agent.purpose if agent else None,
        rule_labelled_for_agent=given.carrier.follows_label(made.method)
        if agent and agent.prescription != "none"
        else None,
        methods_ratio=activity_spread(list(plan.methods.values())),
        method=made.method,
        probability_tumour=chances.probability_tumour_reached if chances else None,
        probability_normal_exceeded=chances.probability_normal_liver_exceeded if chances else None,
        convention=made.constant.convention,
        lung_shunt=target.lung_shunt,
        lung_shunt_decides=doses.lungs_by_shunt_gy > SHUNT_DECIDES_FROM * limit
        or bool(planner and planner.binding_limit.startswith("lung")),
        lung_mass_kg=target.lung_mass_kg,
        lung_mass_measured=course.lung_mass_measured,
        lung_dose_gy=None if unknown else doses.lung_gy,
        lung_dose_cumulative_gy=None if unknown else doses.lung_cumulative_gy,
        planned_gbq=made.planned_gbq,
        administered_gbq=made.administered_gbq,
        energy_j=made.administered_gbq * made.constant.j_per_gbq,
        residual=course.residual,
        perfused_ml=target.perfused_mass_kg * 1000 / LIVER_DENSITY_G_ML,
        normal_mass_kg=target.normal_mass_kg,
        tumour_to_normal_definition="concentration" if here else None,
        dose_tumour_gy=min(lesions, default=None),
        dose_tumour_target_gy=course.aims.tumour_gy,
        dose_normal_liver_gy=doses.normal_liver_gy,
        dose_normal_limit_gy=course.aims.normal_limit_gy,
        dose_perfused_gy=own.perfused_gy if own else None,
        dose_aim_gy=max(
            (aim for aim in (course.aims.perfused_gy, course.aims.tumour_gy, course.aims.normal_limit_gy) if aim),
            default=None,
        ),
        dose_largest_gy=largest_dose_gy(own),
        previous_tare_count=len(course.previous) or max((a.treatments for a in course.allowances), default=0),
        vials_count=len(course.territories),
    )
    if course.uncertainty is not None and here:
        known = replace(known, tumour_to_normal_relative_sd=course.uncertainty.tumour_to_normal)
        if known.lung_shunt_sd is None:
            known = replace(known, lung_shunt_sd=course.uncertainty.lung_shunt)
    return _of_liver(known, course)


def _of_liver(known: Situation, course: Course) -> Situation:
    """Volumes of the whole liver, where the part of it that no territory reaches is known."""
    if course.patient.hepatic_reserve is None:
        return known
    tumour_kg = sum(t.target.tumour_mass_kg for t in course.territories)
    found = replace(
        known, future_remnant_share=course.patient.hepatic_reserve, hepatic_reserve=course.patient.hepatic_reserve
    )
    if course.unperfused_normal_mass_kg == 0 and course.patient.intent not in ("whole-liver", "bilobar"):
        return found
    return replace(
        found,
        liver_ml=course.liver_kg * 1000 / LIVER_DENSITY_G_ML,
        tumour_ml=tumour_kg * 1000 / LIVER_DENSITY_G_ML,
        involvement=tumour_kg / course.liver_kg,
    )


def completed(known: Situation, *others: Situation) -> Situation:
    """What is known, completed by what the others know; the first that knows a fact wins."""
    values = {}
    for item in fields(Situation):
        found = [getattr(one, item.name) for one in (known, *others)]
        values[item.name] = next((value for value in found if value is not None), None)
    return Situation(**values)


def contradictions(known: Situation, stated: Situation, source: str = "the plan") -> Sequence[Message]:
    """Stated facts that differ from what is known, with both values; what is known is used."""
    found = []
    for item in fields(Situation):
        own, said = getattr(known, item.name), getattr(stated, item.name)
        if own is None or said is None or own == said:
            continue
        numbers = isinstance(own, int | float) and isinstance(said, int | float) and not isinstance(own, bool)
        if numbers and abs(own - said) <= LARGEST_DIFFERENCE * max(abs(own), abs(said)):
            continue
        shown = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in (said, own)]
        text = f"facts: {item.name} is stated as {shown[0]}; {source} itself gives {shown[1]}, which is used"
        found.append(Message("stated-differs", text, "correct the fact, or what it follows from"))
    return found
