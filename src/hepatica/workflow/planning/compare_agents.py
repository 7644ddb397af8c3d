"""Agents compared on one patient, with what release rules say of each: planning and safety meet here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepatica.planning.planner.agent_comparison import AgentColumn, CompareAim, compare_agents
from hepatica.planning.prescriptions.compartments import Partition
from hepatica.safety.contact import PatientSource
from hepatica.safety.dose_rate import Geometry, dose_rate_constant
from hepatica.safety.release import nrc_release


@dataclass(frozen=True, slots=True)
class ComparedAgent:
    """One agent on the patient.

    Attributes
    ----------
    column : AgentColumn
        Activity, doses, particles, time.
    dose_rate_1m_usv_h : float
        From the patient right after injection.
    dose_rate_convention : str
        Measured or calculated.
    nrc_dose_msv : float
        To the most exposed other person by the rule of the NRC (RG 8.39), all activity retained.
    may_go_at_once : bool
        By that rule.
    """

    column: AgentColumn
    dose_rate_1m_usv_h: float
    dose_rate_convention: str
    nrc_dose_msv: float
    may_go_at_once: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return self.column.as_dict() | {
            "dose_rate_1m_usv_h": self.dose_rate_1m_usv_h,
            "dose_rate_convention": self.dose_rate_convention,
            "nrc_dose_to_others_msv": self.nrc_dose_msv,
            "nrc_may_go_at_once": self.may_go_at_once,
        }


def compare_on_patient(
    names: Sequence[str], target: Partition, aim: CompareAim, *, convention: str = "ensdf"
) -> tuple[ComparedAgent, ...]:
    """Each agent (or nuclide) on the same patient for the same aim; see `planning.planner.agent_comparison`."""
    return tuple(_with_release(c) for c in compare_agents(names, target, aim, convention=convention))


def _with_release(column: AgentColumn) -> ComparedAgent:
    constant = dose_rate_constant(column.carrier.nuclide.name)
    source = PatientSource(column.activity_gbq, constant, ((1.0, column.effective_half_life_h),), Geometry("point"))
    rule = nrc_release(source)
    return ComparedAgent(column, source.rate_usv_per_h(1.0), constant.convention, rule.dose_msv, rule.may_go)


def save_figure(compared: Sequence[ComparedAgent], path: Path) -> None:
    """The comparison as a figure (.svg, .png or .pdf), whole or not at all."""
    from hepatica.io.files import atomic_output
    from hepatica.report.figures.outcome import save
    from hepatica.report.figures.planning import draw_comparison

    with atomic_output(path) as new:
        save(draw_comparison([c.as_dict() for c in compared]), new)
