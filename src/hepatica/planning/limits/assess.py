"""A prescription beside the limits of its agent and the guardrails: what a reader must see with every activity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hepatica.core import Provenance
from hepatica.core.document import HIDDEN, INLINE, reported
from hepatica.core.message import Message, unique
from hepatica.core.options import Fraction, NonNegative, Positive, options
from hepatica.nuclides import Agent
from hepatica.nuclides.agents import Indication, Intent
from hepatica.planning.guardrails import Review, Situation, check
from hepatica.planning.limits.assumed import NO_SHUNT, Assumption
from hepatica.planning.limits.dose_limits import LimitCheck, LimitContext, check_limits, without_lungs
from hepatica.planning.prescriptions.compartments import Doses, Lesion, Partition
from hepatica.planning.prescriptions.dose_constants import Carrier
from hepatica.planning.prescriptions.microspheres import Prescription

LIVER_DENSITY_G_ML = 1.05
"""Mass of liver per volume where the agent's label says nothing (Taranis); the glass label takes 1.03."""

TABLES = {"limits": "nuclides/tables/limits.toml", "agents": "nuclides/tables/agents"}
"""What limits and agents rest on, for the provenance."""


@options
class Patient:
    """What is known of the patient and decides which limits apply.

    Attributes
    ----------
    intent : {"segmentectomy", "lobectomy", "unilobar", "bilobar", "whole-liver"} or None
        What the treatment is for.
    indication : {"HCC", "ICC", "mCRC", "other"} or None
        Disease.
    bilirubin_mg_dl : float or None
        Total bilirubin.
    hepatic_reserve : float or None
        Share of the normal liver that is spared.
    compromised : bool or None
        The liver tolerates little: cirrhotic, or pretreated by chemotherapy.
    previous_lung_gy : tuple of float
        Lung dose of an earlier treatment.
    lung_shunt_sd : float or None
        Standard uncertainty of the lung shunt.
    """

    intent: Intent | None = None
    indication: Indication | None = None
    bilirubin_mg_dl: Positive | None = None
    hepatic_reserve: Fraction | None = None
    compromised: bool | None = None
    previous_lung_gy: tuple[NonNegative, ...] = ()
    lung_shunt_sd: Fraction | None = None

    def context(self, agent: str) -> LimitContext:
        """What decides which limits of an agent apply."""
        return LimitContext(
            agent, self.intent, self.indication, self.bilirubin_mg_dl, self.hepatic_reserve, self.compromised
        )


@dataclass(frozen=True, slots=True)
class Assessed:
    """A prescription with its limits and guardrails.

    Attributes
    ----------
    prescription : Prescription
        Activity and doses.
    carrier : Carrier
        Agent, nuclide, constant.
    lung_cumulative_gy : float or None
        Lung dose with earlier treatments.
    limits : tuple of LimitCheck
        Violated first.
    guardrails : Review
        What they say.
    assumptions : tuple of Assumption
        What was not stated and had to be taken.
    """

    prescription: Prescription = field(metadata=INLINE)
    carrier: Carrier = field(metadata=HIDDEN)
    lung_cumulative_gy: float | None
    limits: tuple[LimitCheck, ...]
    guardrails: Review
    assumptions: tuple[Assumption, ...] = ()

    def without_lungs(self) -> Assessed:
        """The same where the lung shunt is not known: no lung dose, and no limit of the lungs is evaluated."""
        doses = self.prescription.doses
        bare = replace(self.prescription, doses=None if doses is None else replace(doses, lung_gy=None))
        return replace(self, prescription=bare, lung_cumulative_gy=None, limits=without_lungs(self.limits))

    @property
    @reported
    def agent(self) -> str | None:
        """Name of the agent; None for a nuclide in no particular agent."""
        return self.carrier.agent.name if self.carrier.agent else None

    @property
    def messages(self) -> tuple[Message, ...]:
        """Limits that are exceeded, the prescription's own, what the guardrails say, and what was assumed."""
        exceeded = (check.message() for check in self.limits if check.exceeded)
        return unique(
            exceeded, self.prescription.messages, self.guardrails.messages(), (a.message() for a in self.assumptions)
        )

    @property
    def provenance(self) -> Provenance:
        """What the prescription rests on."""
        return Provenance(
            parameters=dict(self.prescription.terms) | {"residual": self.prescription.residual},
            tables=TABLES,
            conventions=conventions([self.prescription]),
            steps=(self.prescription.source,),
        )


def conventions(prescriptions: Sequence[Prescription]) -> dict[str, str]:
    """Choices on which prescriptions rest, for the provenance."""
    constants = sorted({prescription.constant.text for prescription in prescriptions})
    return {"dose constant": "; ".join(constants), "deposition": "local, all decays in place"}


def assess(
    prescription: Prescription,
    substance: Carrier,
    *,
    target: Partition | None = None,
    patient: Patient = Patient(),
    lung_mass_measured: bool = False,
    assumptions: Sequence[Assumption] = (),
) -> Assessed:
    """Limits and guardrails of a prescription.

    Parameters
    ----------
    prescription : Prescription
        What was planned.
    substance : Carrier
        Agent and nuclide.
    target : Partition, optional
        Masses behind it; without, rules that need masses are not evaluated.
    patient : Patient
        What decides which limits apply.
    lung_mass_measured : bool
        Whether the lung mass was measured.
    assumptions : sequence of Assumption
        What was not stated and had to be taken.
    """
    doses = prescription.doses
    lung = doses.lung_gy if doses else None
    cumulative = None if lung is None else lung + sum(patient.previous_lung_gy)
    whole = patient.intent in (None, "whole-liver", "bilobar")
    normal = doses.normal_liver_gy if doses else None
    shunt = target.lung_shunt if target else prescription.terms.get("lung_shunt_fraction")
    values = {
        "lung_gy": lung,
        "lung_cumulative_gy": cumulative if patient.previous_lung_gy else None,
        "normal_liver_gy": normal if whole else None,
        # A patient's treatments add up in the lungs; what each gave to the liver is not stated here.
        "perfused_normal_gy": normal,
        "perfused_gy": doses.perfused_gy if doses else None,
        "tumour_gy": doses.tumour_gy if doses else None,
        "lung_activity_gbq": None if shunt is None else prescription.administered_gbq * shunt,
        "lung_shunt_fraction": shunt,
        "marrow_gy": max((gy for name, gy in doses.lesions_gy.items() if "marrow" in name.lower()), default=None)
        if doses
        else None,
    }
    if substance.agent is None:
        text = f"no agent stated: the generic rule for {substance.nuclide.name}, without any label's targets or limits"
        prescription = prescription.adding(Message("no-agent", text))
    situation = replace(
        _of_target(_situation(prescription, substance, patient), target),
        lung_mass_measured=None if lung is None or lung == 0 else lung_mass_measured,
        lung_shunt=shunt,
        lung_dose_cumulative_gy=cumulative,
    )
    earlier = {"lung_cumulative_gy": sum(patient.previous_lung_gy)}
    limits = check_limits(values, patient.context(substance.name), earlier=earlier)
    known = NO_SHUNT not in assumptions
    if not known:
        situation = replace(situation, lung_mass_measured=None, lung_dose_gy=None, lung_dose_cumulative_gy=None)
    review = check(situation, ("plan",))
    found = Assessed(prescription, substance, cumulative, limits, review, tuple(assumptions))
    return found if known else found.without_lungs()


def _situation(prescription: Prescription, substance: Carrier, patient: Patient) -> Situation:
    doses, method = prescription.doses, prescription.method
    situation = Situation(
        nuclide=substance.nuclide.name,
        convention=prescription.constant.convention,
        method=method,
        planned_gbq=prescription.planned_gbq,
        administered_gbq=prescription.administered_gbq,
        residual=prescription.residual,
        lung_dose_gy=doses.lung_gy if doses else None,
        dose_perfused_gy=doses.perfused_gy if doses else None,
        dose_aim_gy=prescription.terms.get("dose_gy"),
        dose_largest_gy=largest_dose_gy(doses),
        energy_j=prescription.administered_gbq * prescription.constant.j_per_gbq,
    )
    agent = substance.agent
    if agent is not None:
        labelled = substance.follows_label(method) if agent.prescription != "none" else None
        situation = replace(situation, agent_purpose=agent.purpose, rule_labelled_for_agent=labelled)
    return of_patient(of_agent(situation, agent), patient)


def largest_dose_gy(doses: Doses | None) -> float | None:
    """Largest mean dose that a prescription predicts; None where it predicts none."""
    if doses is None:
        return None
    means = (doses.tumour_gy, doses.normal_liver_gy, doses.lung_gy, doses.perfused_gy, *doses.lesions_gy.values())
    return max((dose for dose in means if dose is not None), default=None)


def of_agent(situation: Situation, agent: Agent | None) -> Situation:
    """A situation with what guardrails ask of an agent; as it is without one."""
    if agent is None:
        return situation
    vials = agent.facts["vials_gbq"].value if "vials_gbq" in agent.facts else None
    return replace(
        situation,
        agent=agent.name,
        agent_nuclide=agent.nuclide_name,
        agent_form=agent.form,
        agent_approved=agent.status == "approved",
        has_label_rule=agent.prescription != "none",
        largest_vial_gbq=max(vials) if isinstance(vials, tuple) else vials if isinstance(vials, float) else None,
    )


def of_patient(situation: Situation, patient: Patient) -> Situation:
    """A situation with what guardrails ask of the patient."""
    return replace(
        situation,
        intent=patient.intent,
        indication=patient.indication,
        bilirubin_mg_dl=patient.bilirubin_mg_dl,
        hepatic_reserve=patient.hepatic_reserve,
        lung_shunt_sd=patient.lung_shunt_sd,
    )


def of_lesions(situation: Situation, lesions: Sequence[Lesion]) -> Situation:
    """A situation with what guardrails ask of the lesions."""
    ratios = [lesion.tumour_to_normal for lesion in lesions]
    volumes = [lesion.mass_kg * 1000 / LIVER_DENSITY_G_ML for lesion in lesions]
    return replace(
        situation,
        tumour_to_normal=min(ratios, default=None),
        tumour_to_normal_max=max(ratios, default=None),
        lesions_count=len(ratios) or None,
        smallest_lesion_ml=min(volumes, default=None),
        tumour_mass_kg=sum(lesion.mass_kg for lesion in lesions) if lesions else None,
    )


def _of_target(situation: Situation, target: Partition | None) -> Situation:
    if target is None:
        return situation
    perfused = target.perfused_mass_kg * 1000 / LIVER_DENSITY_G_ML
    return replace(
        of_lesions(situation, target.lesions),
        perfused_ml=perfused,
        normal_mass_kg=target.normal_mass_kg,
        lung_mass_kg=target.lung_mass_kg,
        tumour_to_normal_definition="activity" if situation.method == "activity-ratio" else "concentration",
    )


def activity_spread(assessed: Sequence[Assessed]) -> float | None:
    """Largest over smallest activity of several methods; None with fewer than two."""
    activities = [a.prescription.planned_gbq for a in assessed if a.prescription.planned_gbq > 0]
    return max(activities) / min(activities) if len(activities) > 1 else None
