"""The dose constant a plan rests on: energy of all decays of 1 GBq, under the convention that was chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.errors import InputError, PhysicsError
from hepatica.nuclides import Agent, Nuclide, agent, nuclide, require_carried

LABEL_NAMES = {"Ho-166": "clinical"}
"""What "label" means where the decay tables call the labelled constant something else."""

RULES_OF_METHODS = {
    "mird": ("glass-single-compartment", "ho166-whole-liver"),
    "holmium": ("ho166-whole-liver",),
    "bsa": ("resin-bsa or partition",),
    "bsa-lobar": ("resin-bsa or partition",),
    "empiric": ("resin-bsa or partition",),
    "partition": ("resin-bsa or partition",),
    "activity-ratio": ("resin-bsa or partition",),
    "fixed": ("fixed-activity",),
    "organ-limit": ("organ-limit",),
}
"""Which agents' own prescription rule a method is."""


@dataclass(frozen=True, slots=True)
class DoseConstant:
    """Energy that all decays of 1 GBq leave where they happen; the same number is the dose in Gy of 1 GBq in 1 kg.

    Attributes
    ----------
    j_per_gbq : float
        Energy in J per GBq, local deposition, every decay in place.
    nuclide : str
        "Y-90".
    convention : str
        Which of the published values ("label" 50, "mird" 49.67, "ensdf" from the decay data).
    half_life_s : float
        Half-life of the dose rate in s: the physical one, or the effective one of `leaving`.
    """

    j_per_gbq: float
    nuclide: str
    convention: str
    half_life_s: float

    def __post_init__(self) -> None:
        if not self.j_per_gbq > 0 or not self.half_life_s > 0:
            raise PhysicsError(f"dose constant of {self.nuclide}: energy and half-life must be positive")

    def retained(self, effective_half_life_s: float | None) -> float:
        """J per GBq where activity leaves with an effective half-life (s); None for permanent trapping.

        Raises
        ------
        PhysicsError
            If the effective half-life is not positive or is longer than the physical one.
        """
        if effective_half_life_s is None:
            return self.j_per_gbq
        if not 0 < effective_half_life_s <= self.half_life_s * (1 + 1e-9):
            raise PhysicsError(
                f"effective half-life {effective_half_life_s / SECONDS_PER_HOUR:g} h: must be positive and no longer "
                f"than the physical one of {self.nuclide} ({self.half_life_s / SECONDS_PER_HOUR:g} h)"
            )
        return self.j_per_gbq * effective_half_life_s / self.half_life_s

    def leaving(self, effective_half_life_s: float) -> DoseConstant:
        """The constant of activity that leaves with an effective half-life (s): the energy of the decays that stay."""
        return replace(self, j_per_gbq=self.retained(effective_half_life_s), half_life_s=effective_half_life_s)

    @property
    def text(self) -> str:
        """For example "mird: 49.67 J/GBq (Y-90)"."""
        return f"{self.convention}: {self.j_per_gbq:.5g} J/GBq ({self.nuclide})"


def dose_constant(substance: Nuclide, convention: str) -> DoseConstant:
    """The constant of a nuclide under a named convention.

    "label" is the constant of the product's label, whatever the decay tables call it.

    Raises
    ------
    UnknownNameError
        If the nuclide has no such convention; the message lists those it has.
    """
    known = LABEL_NAMES.get(substance.name, convention) if convention == "label" else convention
    return DoseConstant(substance.dose_constant_j_per_gbq(known), substance.name, convention, substance.half_life_s)


def default_convention(substance: Nuclide, method: str, carrier: Agent | None) -> str:
    """The convention that a method's source takes: labels round, the partition papers take 49.67.

    Falls on the evaluated decay data ("ensdf") where no published constant exists for the nuclide.
    """
    labelled = carrier is not None and carrier.prescription in RULES_OF_METHODS.get(method, ())
    if substance.name in LABEL_NAMES or (method == "mird" and labelled and "label" in substance.conventions):
        return "label"
    return "mird" if "mird" in substance.conventions else "ensdf"


@dataclass(frozen=True, slots=True)
class Carrier:
    """What is planned: nuclide, agent (None for a nuclide in no particular agent) and constant."""

    nuclide: Nuclide
    agent: Agent | None
    constant: DoseConstant

    @property
    def name(self) -> str:
        """Agent's name, or the nuclide's."""
        return self.agent.name if self.agent else self.nuclide.name

    def follows_label(self, method: str) -> bool | None:
        """Whether `method` is the agent's own labelled rule; None where an activity was stated, by no rule."""
        if method == "stated":
            return None
        return self.agent is not None and self.agent.prescription in RULES_OF_METHODS.get(method, ())


def carrier(
    method: str, *, agent_name: str | None = None, nuclide_name: str | None = None, convention: str | None = None
) -> Carrier:
    """Nuclide, agent and constant from their names.

    Raises
    ------
    InputError
        If neither is given, the agent does not carry the nuclide, or it is a scout or surrogate.
    UnknownNameError
        For a name that is not known; the message lists the choices.
    """
    if agent_name is None and nuclide_name is None:
        raise InputError(
            "neither agent nor nuclide is stated", remedy="state `agent`, or `nuclide` where no agent fits"
        )
    of_agent = agent(agent_name) if agent_name is not None else None
    wanted = nuclide(nuclide_name) if nuclide_name is not None else None
    if of_agent is not None and wanted is not None:
        require_carried(of_agent, wanted)
    if of_agent is not None and of_agent.purpose != "therapy":
        raise InputError(f"{of_agent.name} is a {of_agent.purpose}, not a therapy: nothing is prescribed with it")
    substance = wanted or (of_agent.nuclide if of_agent else None)
    if substance is None or substance.name == "Tc-99m":
        raise InputError("99mTc is a surrogate's nuclide: nothing is prescribed with it")
    chosen = convention or default_convention(substance, method, of_agent)
    return Carrier(substance, of_agent, dose_constant(substance, chosen))
