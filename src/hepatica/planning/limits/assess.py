"""A prescription beside the limits of its agent and the guardrails: what a reader must see with every activity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hepatica.core import Provenance
from hepatica.planning.guardrails import Review, Situation, check
from hepatica.planning.limits.dose_limits import LimitCheck, LimitContext, check_limits
from hepatica.planning.prescriptions.compartments import Partition
from hepatica.planning.prescriptions.dose_constants import Carrier
from hepatica.planning.prescriptions.microspheres import Prescription

LIVER_DENSITY_G_ML = 1.05
"""Mass of liver per volume where the agent's label says nothing (Taranis); the glass label takes 1.03."""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is known of the patient beyond the masses; None where it is not.

    Attributes
    ----------
    intent, indication : str or None
        See `hepatica.planning.limits.dose_limits`.
    bilirubin_mg_dl, hepatic_reserve : float or None
        Total bilirubin; share of normal liver that is spared.
    compromised : bool or None
        Liver of low tolerance.
    lung_mass_measured : bool
        Whether the lung mass was measured.
    previous_lung_doses_gy : tuple of float
        Of earlier treatments.
    lung_shunt_sd : float or None
        Standard uncertainty of the lung shunt fraction.
    """

    intent: str | None = None
    indication: str | None = None
    bilirubin_mg_dl: float | None = None
    hepatic_reserve: float | None = None
    compromised: bool | None = None
    lung_mass_measured: bool = False
    previous_lung_doses_gy: tuple[float, ...] = ()
    lung_shunt_sd: float | None = None


@dataclass(frozen=True, slots=True)
class Assessed:
    """A prescription with its limits and guardrails.

    Attributes
    ----------
    prescription : Prescription
        Activity and doses.
    carrier : Carrier
        Agent, nuclide, constant.
    limits : tuple of LimitCheck
        Violated first.
    review : Review
        Guardrails.
    lung_cumulative_gy : float or None
        Lung dose with earlier treatments.
    """

    prescription: Prescription
    carrier: Carrier
    limits: tuple[LimitCheck, ...]
    review: Review
    lung_cumulative_gy: float | None

    @property
    def warnings(self) -> tuple[str, ...]:
        """The prescription's own warnings and what the guardrails say, as sentences."""
        spoken = (f"{w.severity}: {w.message} [{w.id}]" for w in self.review.warned)
        return (*self.prescription.warnings, *spoken)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, units in the keys."""
        out = self.prescription.as_dict()
        constant = self.prescription.constant
        provenance = Provenance(
            parameters=dict(self.prescription.terms) | {"residual_fraction": self.prescription.residual},
            tables={"limits": "planning/tables/limits.toml", "agents": "nuclides/tables/agents"},
            conventions={"dose constant": constant.text, "deposition": "local, all decays in place"},
            steps=(self.prescription.source,),
        )
        return out | {
            "agent": self.carrier.agent.name if self.carrier.agent else None,
            "nuclide": self.carrier.nuclide.name,
            "convention": constant.convention,
            "dose_constant_j_per_gbq": constant.j_per_gbq,
            "dose_lung_cumulative_gy": self.lung_cumulative_gy,
            "limits": [limit.as_dict() for limit in self.limits],
            "guardrails": self.review.as_dict(),
            "warnings": list(self.warnings),
            "provenance": provenance.as_dict(),
        }


def assess(
    prescription: Prescription, of: Carrier, *, target: Partition | None = None, patient: Patient | None = None
) -> Assessed:
    """Limits and guardrails of a prescription.

    Parameters
    ----------
    prescription : Prescription
        What was planned.
    of : Carrier
        Agent and nuclide.
    target : Partition, optional
        Masses behind it; without, rules that need masses are not evaluated.
    patient : Patient, optional
        What decides which limits apply.
    """
    patient = patient or Patient()
    doses = prescription.doses
    lung = doses.lung_gy if doses else None
    cumulative = None if lung is None else lung + sum(patient.previous_lung_doses_gy)
    whole = patient.intent in (None, "whole-liver", "bilobar")
    normal = doses.normal_liver_gy if doses else None
    shunt = target.lung_shunt if target else prescription.terms.get("lung_shunt_fraction")
    values = {
        "lung_gy": lung,
        "lung_cumulative_gy": cumulative if patient.previous_lung_doses_gy else None,
        "normal_liver_gy": normal if whole else None,
        "perfused_normal_gy": normal,
        "perfused_gy": doses.perfused_gy if doses else None,
        "tumour_gy": doses.tumour_gy if doses else None,
        "lung_activity_gbq": None if shunt is None else prescription.activity_administered_gbq * shunt,
        "lung_shunt_fraction": shunt,
    }
    context = LimitContext(
        of.name,
        patient.intent,
        patient.indication,
        patient.bilirubin_mg_dl,
        patient.hepatic_reserve,
        patient.compromised,
    )
    limits = check_limits(values, context)
    if of.agent is None:
        prescription = prescription.warned(
            f"no agent stated: the generic rule for {of.nuclide.name}, without any label's targets or limits"
        )
    situation = _situation(prescription, of, target, patient)
    situation = replace(situation, lung_shunt=shunt, lung_dose_cumulative_gy=cumulative)
    return Assessed(prescription, of, limits, check(situation), cumulative)


def _situation(prescription: Prescription, of: Carrier, target: Partition | None, patient: Patient) -> Situation:
    doses = prescription.doses
    agent = of.agent
    method = prescription.method
    situation = Situation(
        nuclide=of.nuclide.name,
        convention=prescription.constant.convention,
        method=method,
        intent=patient.intent,
        indication=patient.indication,
        bilirubin_mg_dl=patient.bilirubin_mg_dl,
        hepatic_reserve=patient.hepatic_reserve,
        lung_shunt_sd=patient.lung_shunt_sd,
        activity_gbq=prescription.activity_gbq,
        activity_administered_gbq=prescription.activity_administered_gbq,
        residual=prescription.residual,
        lung_dose_gy=doses.lung_gy if doses else None,
        dose_perfused_gy=doses.perfused_gy if doses else None,
        lung_mass_measured=patient.lung_mass_measured if doses and doses.lung_gy else None,
    )
    if agent is not None:
        vials = agent.facts["vials_gbq"].value if "vials_gbq" in agent.facts else None
        situation = replace(
            situation,
            agent=agent.name,
            agent_nuclide=agent.nuclide_name,
            agent_form=agent.form,
            agent_purpose=agent.purpose,
            agent_approved=agent.status == "approved",
            has_label_rule=agent.prescription != "none",
            rule_labelled_for_agent=of.follows_label(method) if agent.prescription != "none" else None,
            largest_vial_gbq=max(vials) if isinstance(vials, tuple) else vials if isinstance(vials, float) else None,
        )
    if target is not None and target.lesions:
        ratios = [t.uptake_ratio for t in target.lesions]
        situation = replace(
            situation,
            tumour_to_normal=min(ratios),
            tumour_to_normal_max=max(ratios),
            lesions_count=len(ratios),
            smallest_lesion_ml=min(t.mass_kg for t in target.lesions) * 1000 / LIVER_DENSITY_G_ML,
        )
    if target is not None:
        perfused = target.perfused_mass_kg * 1000 / LIVER_DENSITY_G_ML
        situation = replace(situation, perfused_ml=perfused, lung_mass_kg=target.lung_mass_kg)
    return situation


def activity_spread(assessed: Sequence[Assessed]) -> float | None:
    """Largest over smallest activity of several methods; None with fewer than two."""
    activities = [a.prescription.activity_gbq for a in assessed if a.prescription.activity_gbq > 0]
    return max(activities) / min(activities) if len(activities) > 1 else None
