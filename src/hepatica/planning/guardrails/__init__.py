"""About a hundred rules that experienced teams apply, each with an id, a severity and what to do."""

from hepatica.planning.guardrails.patient_and_dose import ACTIVITY, AGENT, PATIENT
from hepatica.planning.guardrails.rule import Guardrail, Review, Warned, review
from hepatica.planning.guardrails.shunt_and_uptake import ELSEWHERE, SHUNT, UPTAKE, VOLUMES
from hepatica.planning.guardrails.situation import Situation
from hepatica.planning.guardrails.vial_and_images import DELIVERY, IMAGES, SPHERES, VIAL

GUARDRAILS: tuple[Guardrail, ...] = (
    *SHUNT, *UPTAKE, *VOLUMES, *ELSEWHERE, *PATIENT, *AGENT, *ACTIVITY, *SPHERES, *VIAL, *DELIVERY, *IMAGES,
)  # fmt: skip


def check(situation: Situation) -> Review:
    """What all guardrails say of a situation."""
    return review(situation, GUARDRAILS)


__all__ = ["GUARDRAILS", "Guardrail", "Review", "Situation", "Warned", "check", "review"]
