"""Everything about going home after one treatment: the numbers behind `hepatica release` and the patient sheet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hepatica.core import Provenance
from hepatica.errors import PhysicsError, UnknownNameError
from hepatica.nuclides import nuclide
from hepatica.safety.afterwards import (
    Excretion,
    StaffTask,
    Waste,
    cremation_wait_days,
    excretion,
    published_effective_half_life_h,
    staff_tasks,
    surgery_wait_days,
    waste,
)
from hepatica.safety.contact import ContactPattern, PatientSource, Restriction, contact_patterns, restriction
from hepatica.safety.dose_rate import DoseRateConstant, Geometry, dose_rate_constant
from hepatica.safety.release import FrameworkVerdict, NrcRelease, frameworks, nrc_release, verdict

NOON = 12.0
PUBLIC_LIMIT_MSV = 1.0


@dataclass(frozen=True, slots=True)
class ReleaseQuestion:
    """What is asked.

    Attributes
    ----------
    nuclide, agent : str
        "I-131"; "lipiodol" ("" if not stated).
    activity_gbq : float
        Administered activity.
    administered : datetime or None
        When; None if only durations are wanted.
    effective_half_life_h : float or None
        None takes the physical one, which errs on the safe side.
    convention : str or None
        Dose-rate convention; None: measured where it was, else calculated.
    depth_cm : float
        Tissue in front of the source ("calculated" only).
    law, line_length_m : str or None, float
        Distance law; None: "measured" for a nuclide measured at two distances, else "point".
    occupancy : float or None
        Occupancy factor of the NRC formula; None: the guide's.
    patterns : str
        Set of contact patterns.
    public_constraint_msv : float or None
        In place of the 1 mSv of the patterns for the public (0.3 mSv in many European countries).
    """

    nuclide: str
    agent: str
    activity_gbq: float
    administered: datetime | None = None
    effective_half_life_h: float | None = None
    convention: str | None = None
    depth_cm: float = 0.0
    law: str | None = None
    line_length_m: float = 0.2
    occupancy: float | None = None
    patterns: str = "cormack-shearer"
    public_constraint_msv: float | None = None


@dataclass(frozen=True, slots=True)
class ReleasePlan:
    """Answers about going home; see the attributes' own types."""

    question: ReleaseQuestion
    source: PatientSource
    constant: DoseRateConstant
    nrc: NrcRelease
    verdicts: tuple[FrameworkVerdict, ...]
    restrictions: tuple[Restriction, ...]
    excretion: Excretion
    waste: Waste
    cremation: tuple[float, float, str] | None
    surgery_days: float
    staff: tuple[StaffTask, ...]
    warnings: tuple[str, ...]
    provenance: Provenance

    def date_after(self, days: float) -> str | None:
        """ISO date (rounded up to whole days) some days after administration; None if that is not known."""
        start = self.question.administered
        return None if start is None else (start + timedelta(days=days)).date().isoformat()

    def rates(self) -> list[dict[str, float]]:
        """Dose rate in uSv/h at 0.3, 1 and 2 m over the first four weeks."""
        hours = (0.0, 6.0, 24.0, 48.0, 72.0, 168.0, 336.0, 672.0)
        return [
            {
                "hours": h,
                "at_0_3_m_usv_per_h": self.source.rate_usv_per_h(0.3, h),
                "at_1_m_usv_per_h": self.source.rate_usv_per_h(1.0, h),
                "at_2_m_usv_per_h": self.source.rate_usv_per_h(2.0, h),
            }
            for h in hours
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, units in the keys."""
        q, n = self.question, self.nrc
        return {
            "nuclide": q.nuclide,
            "agent": q.agent or None,
            "activity_gbq": q.activity_gbq,
            "administered": None if q.administered is None else q.administered.isoformat(),
            "half_life_h": self.source.clearance[0][1],
            "dose_rate_constant": {
                "convention": self.constant.convention,
                "usv_m2_per_gbq_h": self.constant.usv_m2_per_gbq_h,
                "sd_usv_m2_per_gbq_h": self.constant.sd,
                "photon_part_usv_m2_per_gbq_h": self.constant.photon_part,
                "bremsstrahlung_part_usv_m2_per_gbq_h": self.constant.bremsstrahlung_part,
                "contact_usv_per_gbq_h": self.constant.contact_usv_per_gbq_h,
                "distance_law": self.source.geometry.law,
                "source": self.constant.source,
                "confidence": self.constant.confidence,
            },
            "dose_rates": self.rates(),
            "nrc": {
                "dose_msv": n.dose_msv,
                "occupancy": n.occupancy,
                "may_go": n.may_go,
                "instructions_due": n.instructions_due,
                "wait_h": n.wait_h,
                "activity_limit_gbq": n.activity_limit_gbq,
                "instruction_activity_gbq": n.instruction_activity_gbq,
                "rate_limit_at_1_m_usv_per_h": n.rate_limit_usv_per_h,
                "table_activity_limit_gbq": n.table_activity_limit_gbq,
                "table_instruction_activity_gbq": n.table_instruction_activity_gbq,
                "basis": n.basis,
            },
            "frameworks": [
                {
                    "name": v.framework.name,
                    "text": v.framework.text,
                    "may_go": v.may_go,
                    "wait_h": v.wait_h,
                    "reason": v.reason,
                    "source": v.framework.source,
                    "confidence": v.framework.confidence,
                }
                for v in self.verdicts
            ],
            "restrictions": self._restrictions(),
            "excretion": {
                "percent_48h_max": self.excretion.percent_48h_max,
                "advice": self.excretion.advice,
                "thyroid_block": self.excretion.thyroid_block,
                "source": self.excretion.source,
            },
            **self._afterwards(),
            "warnings": list(self.warnings),
            "provenance": self.provenance.as_dict(),
        }

    def _restrictions(self) -> list[dict[str, Any]]:
        return [
            {
                "name": r.pattern.name,
                "text": r.pattern.text,
                "constraint_msv": r.pattern.constraint_msv,
                "hours": r.hours,
                "days": r.days,
                "averaged_days": r.averaged_days,
                "until": self.date_after(r.days),
                "dose_without_msv": r.dose_without_msv,
                "dose_with_msv": r.dose_with_msv,
            }
            for r in self.restrictions
        ]

    def _afterwards(self) -> dict[str, Any]:
        return {
            "waste": {
                "ten_half_lives_days": self.waste.days_ten_half_lives,
                "exempt_bq_per_g": self.waste.exempt_bq_per_g,
                "impurity": self.waste.impurity,
                "impurity_half_life_d": self.waste.impurity_half_life_d,
                "impurity_fraction": self.waste.impurity_fraction,
                "impurity_overtakes_days": self.waste.impurity_overtakes_days,
                "source": self.waste.source,
            },
            "cremation": None
            if self.cremation is None
            else {
                "days": self.cremation[0],
                "date": self.date_after(self.cremation[0] + 1),
                "limit_mbq": self.cremation[1],
                "source": self.cremation[2],
            },
            "surgery_days": self.surgery_days,
            "staff": [
                {
                    "task": t.task,
                    "hours": t.hours,
                    "distance_m": t.distance_m,
                    "after_h": t.after_h,
                    "dose_usv": t.dose_usv,
                }
                for t in self.staff
            ],
        }


def _constrained(pattern: ContactPattern, public_msv: float | None) -> ContactPattern:
    if public_msv is None or pattern.constraint_msv != PUBLIC_LIMIT_MSV:
        return pattern
    return replace(pattern, constraint_msv=public_msv)


def release_plan(question: ReleaseQuestion) -> ReleasePlan:
    """Answer everything about going home after a treatment.

    Raises
    ------
    UnknownNameError
        For an unknown nuclide, dose-rate convention or pattern set.
    """
    substance = nuclide(question.nuclide)
    groups = {p.group for p in contact_patterns().values()}
    if question.patterns not in groups:
        raise UnknownNameError("set of contact patterns", question.patterns, groups)
    constant = dose_rate_constant(substance.name, question.convention, depth_cm=question.depth_cm)
    warnings = []
    half_life_h = question.effective_half_life_h
    if half_life_h is None:
        half_life_h = substance.half_life_h
        published = published_effective_half_life_h(substance.name, question.agent)
        if published is not None:
            warnings.append(
                f"the physical half-life ({half_life_h:.4g} h) is used, on the safe side; published effective: "
                f"{published[0]:g} h ({published[1]})"
            )
    elif half_life_h > substance.half_life_h * 1.01:
        raise PhysicsError(
            f"an effective half-life of {half_life_h:g} h is longer than the physical one of {substance.name}, "
            f"{substance.half_life_h:.4g} h"
        )
    if constant.confidence != "found" and constant.convention != "calculated":
        warnings.append(f"dose-rate constant of {constant.confidence} confidence: {constant.source}")
    if constant.convention == "calculated":
        warnings.append(f"{substance.name}: no dose rate measured on patients is in the table; {constant.source}")
    law = question.law or ("measured" if constant.near is not None else "point")
    source = PatientSource(
        question.activity_gbq, constant, ((1.0, half_life_h),), Geometry(law, question.line_length_m)
    )
    hour = NOON if question.administered is None else question.administered.hour + question.administered.minute / 60
    return ReleasePlan(
        question=question,
        source=source,
        constant=constant,
        nrc=nrc_release(source, occupancy=question.occupancy),
        verdicts=tuple(verdict(rule, source, occupancy=question.occupancy) for rule in frameworks().values()),
        restrictions=tuple(
            restriction(source, _constrained(p, question.public_constraint_msv), administration_hour=hour)
            for p in contact_patterns().values()
            if p.group == question.patterns
        ),
        excretion=excretion(substance.name, question.agent),
        waste=waste(substance.name),
        cremation=cremation_wait_days(source),
        surgery_days=surgery_wait_days(source),
        staff=staff_tasks(source),
        warnings=tuple(warnings),
        provenance=Provenance(
            parameters={"activity_gbq": question.activity_gbq, "half_life_h": half_life_h, "administration_hour": hour},
            tables={"safety/dose_rates.toml": constant.source, "safety/contact_patterns.toml": question.patterns},
            conventions={"dose rate": constant.convention, "distance": law, "occupancy": "RG 8.39"},
        ),
    )
