"""About a hundred rules that experienced teams apply, each with an id, a severity and what to do."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from hepatica.planning.guardrails.patient_and_dose import ACTIVITY, AGENT, PATIENT
from hepatica.planning.guardrails.plausible import PLAUSIBLE
from hepatica.planning.guardrails.rule import STEPS, Guardrail, Review, Step, Warned, review, together
from hepatica.planning.guardrails.shunt_and_uptake import ELSEWHERE, SHUNT, UPTAKE, VOLUMES
from hepatica.planning.guardrails.situation import Situation
from hepatica.planning.guardrails.vial_and_images import AFTER, DELIVERY, IMAGES, SPHERES, VIAL


def _of_step(step: Step, *groups: Iterable[Guardrail]) -> tuple[Guardrail, ...]:
    return tuple(replace(rule, step=step) for group in groups for rule in group)


GUARDRAILS: tuple[Guardrail, ...] = (
    *_of_step("plan", SHUNT, UPTAKE, VOLUMES, ELSEWHERE),
    *_of_step("patient", PATIENT),
    *_of_step("plan", AGENT, ACTIVITY, PLAUSIBLE),
    *_of_step("vial", SPHERES, VIAL),
    *_of_step("delivery", DELIVERY),
    *_of_step("plan", IMAGES),
    *_of_step("verification", AFTER),
)


def check(situation: Situation, steps: Collection[str] = STEPS) -> Review:
    """What all guardrails say of a situation; those of other steps that lack a fact are listed apart."""
    return review(situation, GUARDRAILS, steps)


__all__ = ["GUARDRAILS", "STEPS", "Guardrail", "Review", "Situation", "Warned", "check", "review", "together"]
