"""Agents compared on one patient, with what release rules say of each: planning and safety meet here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hepatica.core import Provenance
from hepatica.core.document import INLINE
from hepatica.core.message import Message
from hepatica.core.options import parameters, verb
from hepatica.core.tables.table import Cell, Table
from hepatica.nuclides import ConventionName
from hepatica.planning.planner.agent_comparison import AgentColumn, CompareAim, agents_side_by_side
from hepatica.planning.planner.prescribe import MassOptions
from hepatica.report.figures.outcome import save
from hepatica.report.figures.planning import draw_comparison
from hepatica.safety.contact import PatientSource
from hepatica.safety.dose_rate import Geometry, dose_rate_constant
from hepatica.safety.release import nrc_release
from hepatica.workflow.result import Result, result

DEFAULT_AGENTS = ("glass", "resin", "ho166-plla", "re188-sss-lipiodol", "i131-lipiodol", "lu177-microspheres")
"""One of each nuclide in use."""

ONE_PATIENT = Message(
    "one-distribution",
    "one patient and one distribution for all: agents differ in where they go, which this table does not show",
    severity="note",
)


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
    nrc_dose_to_others_msv : float
        To the most exposed other person by the rule of the NRC (RG 8.39), all activity retained.
    nrc_may_go_at_once : bool
        By that rule.
    """

    column: AgentColumn = field(metadata=INLINE)
    dose_rate_1m_usv_h: float
    dose_rate_convention: str
    nrc_dose_to_others_msv: float
    nrc_may_go_at_once: bool


_MODES = {"spect-bremsstrahlung": "brems", "pet": "PET", "spect": "SPECT", "mri": "MRI", "planar": "planar"}
_ROWS: tuple[tuple[str, Callable[[ComparedAgent], Cell]], ...] = (
    ("activity to the patient, GBq", lambda a: a.column.administered_gbq),
    ("J/GBq", lambda a: f"{a.column.constant.j_per_gbq:.4g}"),
    ("perfused, Gy", lambda a: a.column.doses.perfused_gy),
    ("tumour, Gy", lambda a: a.column.doses.tumour_gy),
    ("normal liver, Gy", lambda a: a.column.doses.normal_liver_gy),
    ("lungs, Gy", lambda a: a.column.doses.lung_gy),
    ("BED tumour, Gy", lambda a: a.column.bed_tumour_gy),
    ("BED normal liver, Gy", lambda a: a.column.bed_normal_liver_gy),
    ("dose rate at start, Gy/h", lambda a: a.column.initial_dose_rate_gy_h),
    ("hours to 90 % of dose", lambda a: a.column.hours_to_90_percent),
    ("effective half-life, h", lambda a: a.column.effective_half_life_h),
    ("spheres, million", lambda a: a.column.spheres_million),
    ("spheres per mL", lambda a: a.column.spheres_per_ml),
    ("particle volume, mL", lambda a: a.column.embolic_volume_ml),
    ("photons, MeV per decay", lambda a: a.column.photon_energy_mev),
    ("at 1 m, uSv/h", lambda a: a.dose_rate_1m_usv_h),
    ("to others (NRC), mSv", lambda a: a.nrc_dose_to_others_msv),
    ("may go at once (NRC)", lambda a: a.nrc_may_go_at_once),
    ("all decays in place", lambda a: a.column.trapping.startswith("perm")),
    ("limits exceeded", lambda a: " ".join(check.limit.id for check in a.column.exceeded)),
    ("imaging", lambda a: " ".join(_MODES[mode] for mode in a.column.imaging)),
    ("status", lambda a: a.column.status),
)
_PANELS: dict[str, Callable[[ComparedAgent], float | None]] = {
    "administered activity, GBq": lambda a: a.column.administered_gbq,
    "spheres per mL of perfused liver": lambda a: a.column.spheres_per_ml,
    "dose rate at the start, Gy/h": lambda a: a.column.initial_dose_rate_gy_h,
    "hours to 90 % of the dose": lambda a: a.column.hours_to_90_percent,
    "BED of normal liver, Gy": lambda a: a.column.bed_normal_liver_gy,
    "dose rate at 1 m, µSv/h": lambda a: a.dose_rate_1m_usv_h,
}


@result
class AgentComparisonResult(Result):
    """Agents side by side on one patient for one aim."""

    verb = "compare_agents"

    convention: str
    agents: tuple[ComparedAgent, ...]

    def title(self) -> str:
        """How many agents, by which dose constant."""
        return f"{len(self.agents)} agents on one patient (dose constants: {self.convention})"

    def table(self) -> Table:
        """One column for each agent."""
        rows = [(label, *(take(agent) for agent in self.agents)) for label, take in _ROWS]
        return Table.of(("", *(a.column.agent for a in self.agents)), rows, name="agents")

    def write(self, folder: Path) -> None:
        """Write ``agents.svg``, bars of what sets agents apart."""
        panels = {label: [take(agent) for agent in self.agents] for label, take in _PANELS.items()}
        save(draw_comparison([a.column.agent for a in self.agents], panels), folder / "agents.svg")


@verb
def compare_agents(
    agents: tuple[str, ...] = DEFAULT_AGENTS,
    *,
    masses: MassOptions = MassOptions(),
    aim: CompareAim = CompareAim(),
    convention: ConventionName = "ensdf",
) -> AgentComparisonResult:
    """Nuclides and agents side by side on one patient for one aim.

    Parameters
    ----------
    agents : tuple of str
        Agents, or nuclides for a generic particle; one of each nuclide in use if none is named.
    masses : MassOptions
        The patient: normal liver, tumours with their uptake, lungs.
    aim : CompareAim
        What all must reach.
    convention : {"ensdf", "ensdf-all", "mird", "label", "clinical", "icrp107", "beta-only"}
        Dose constant, the same for all, so that differences are physics and not rounding.

    Returns
    -------
    AgentComparisonResult
        Activity, spheres, dose rate, doses, BED, imaging and release of each.

    Raises
    ------
    InputError
        Unless exactly one aim is stated, or if an agent is named twice.
    UnknownNameError
        For an unknown agent, nuclide or convention.

    Examples
    --------
    >>> patient = MassOptions(normal_mass_kg=1.3, tumour_mass_kg=(0.2,), tumour_to_normal=(4.0,))
    >>> found = hepatica.compare_agents(("glass", "Ho-166"), masses=patient, aim=CompareAim(dose_gy=60.0))
    """
    columns = agents_side_by_side(agents, masses.partition(), aim, convention=convention)
    return AgentComparisonResult(
        convention=convention,
        agents=tuple(_with_release(column) for column in columns),
        messages=(
            *(check.message(f"{column.agent}: ") for column in columns for check in column.exceeded),
            ONE_PATIENT,
        ),
        provenance=Provenance(
            parameters=parameters(masses, aim, agents=list(agents), convention=convention),
            tables={"agents": "nuclides/tables/agents", "dose rates": "safety/dose_rates.toml"},
            conventions={"dose constant": convention, "release": "NRC RG 8.39, all activity retained"},
        ),
    )


def _with_release(column: AgentColumn) -> ComparedAgent:
    constant = dose_rate_constant(column.nuclide)
    source = PatientSource(column.administered_gbq, constant, ((1.0, column.effective_half_life_h),), Geometry("point"))
    rule = nrc_release(source)
    return ComparedAgent(column, source.rate_usv_per_h(1.0), constant.convention, rule.dose_msv, rule.may_go)
