"""Nuclides and agents on the same patient: what each would need and do, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.errors import HepaticaError, InputError
from hepatica.nuclides import Agent, agent, spheres_per_mg
from hepatica.planning.prescriptions.compartments import Doses, Partition
from hepatica.planning.prescriptions.dose_constants import Carrier, carrier
from hepatica.planning.prescriptions.microspheres import mird, partition


@dataclass(frozen=True, slots=True)
class CompareAim:
    """One aim for all agents: exactly one of three.

    Attributes
    ----------
    perfused_gy, normal_gy, tumour_gy : float or None
        Mean dose over everything perfused, to normal liver, or over all lesions.
    """

    perfused_gy: float | None = None
    normal_gy: float | None = None
    tumour_gy: float | None = None

    def __post_init__(self) -> None:
        if sum(v is not None for v in (self.perfused_gy, self.normal_gy, self.tumour_gy)) != 1:
            raise InputError("compare by exactly one aim: dose to the perfused volume, to normal liver, or to tumour")


@dataclass(frozen=True, slots=True)
class AgentColumn:
    """One agent in the comparison; None where the agents' table does not know.

    Attributes
    ----------
    carrier : Carrier
        Agent, nuclide and constant.
    activity_gbq : float
        Administered.
    doses : Doses
        Mean doses.
    spheres_million, spheres_per_ml, embolic_volume_ml : float or None
        Number, per mL of perfused volume, volume of the particles themselves.
    effective_half_life_h : float
        In the patient, as measured with the agent where known, else physical.
    trapping : str
        "permanent trapping", or the effective half-life that the doses rest on (lipiodol washes out).
    initial_dose_rate_gy_h : float
        In the perfused volume at the start.
    hours_to_90_percent : float
        Until 90 % of the dose is given.
    photon_energy_mev : float
        Per decay; what cameras and neighbours see.
    imaging : tuple of str
        Modes.
    status : str
        Approval.
    follows_label : bool
        Whether the aim is what the agent's labelled rule prescribes by.
    bed_tumour_gy, bed_normal_gy : float or None
        Biologically effective doses.
    """

    carrier: Carrier
    activity_gbq: float
    doses: Doses
    spheres_million: float | None
    spheres_per_ml: float | None
    embolic_volume_ml: float | None
    effective_half_life_h: float
    trapping: str
    initial_dose_rate_gy_h: float
    hours_to_90_percent: float
    photon_energy_mev: float
    imaging: tuple[str, ...]
    status: str
    follows_label: bool
    bed_tumour_gy: float | None
    bed_normal_gy: float | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        constant = self.carrier.constant
        return {
            "agent": self.carrier.name,
            "nuclide": self.carrier.nuclide.name,
            "convention": constant.convention,
            "dose_constant_j_per_gbq": constant.j_per_gbq,
            "activity_administered_gbq": self.activity_gbq,
            "dose_perfused_gy": self.doses.perfused_gy,
            "dose_tumour_gy": self.doses.tumour_gy,
            "dose_normal_liver_gy": self.doses.normal_liver_gy,
            "dose_lung_gy": self.doses.lung_gy,
            "bed_tumour_gy": self.bed_tumour_gy,
            "bed_normal_liver_gy": self.bed_normal_gy,
            "spheres_million": self.spheres_million,
            "spheres_per_ml": self.spheres_per_ml,
            "embolic_volume_ml": self.embolic_volume_ml,
            "effective_half_life_h": self.effective_half_life_h,
            "trapping": self.trapping,
            "initial_dose_rate_gy_h": self.initial_dose_rate_gy_h,
            "hours_to_90_percent": self.hours_to_90_percent,
            "photon_energy_mev": self.photon_energy_mev,
            "imaging": list(self.imaging),
            "status": self.status,
            "follows_label": self.follows_label,
        }


def compare_agents(
    names: Sequence[str], target: Partition, aim: CompareAim, *, convention: str = "ensdf"
) -> tuple[AgentColumn, ...]:
    """The same patient and aim with each agent.

    Parameters
    ----------
    names : sequence of str
        Agents (or nuclides, for a generic particle without agent).
    target : Partition
        One patient: masses, T/N, lung shunt, the same for all, although agents differ in where they go.
    aim : CompareAim
        What all must reach.
    convention : str
        Dose constant; "ensdf" for all, so that differences are physics and not rounding.
    """
    if not names:
        raise InputError("name at least one agent or nuclide to compare")
    if len(set(names)) != len(names):
        raise InputError(f"an agent is named twice: {', '.join(names)}")
    return tuple(_column(_carrier(name, convention), target, aim) for name in names)


def _carrier(name: str, convention: str) -> Carrier:
    try:
        agent(name)
    except HepaticaError:
        return carrier("mird", nuclide_name=name, convention=convention)
    return carrier("mird", agent_name=name, convention=convention)


def _column(of: Carrier, target: Partition, aim: CompareAim) -> AgentColumn:
    physical_h = of.nuclide.half_life_h
    stated_h = _effective_half_life_h(of.agent)
    effective_h, trapping = stated_h or physical_h, "permanent trapping"
    if of.agent is not None and of.agent.form == "lipiodol" and stated_h is not None:
        # Oil washes out: energy is given in proportion to the effective half-life.
        retained = replace(of.constant, j_per_gbq=of.constant.retained(stated_h * SECONDS_PER_HOUR))
        of, trapping = replace(of, constant=retained), f"effective half-life {stated_h:g} h"
    if aim.perfused_gy is not None:
        activity = mird(aim.perfused_gy, target, of.constant).activity_administered_gbq
    else:
        out = partition(target, of.constant, normal_limit_gy=aim.normal_gy, tumour_dose_gy=aim.tumour_gy)
        activity = out.activity_administered_gbq
    doses = target.doses(activity, of.constant)
    rate_h = effective_h if trapping != "permanent trapping" else physical_h
    spheres, volume = _particles(of.agent, activity)
    perfused_ml = target.perfused_mass_kg * 1000 / 1.05
    perfused = doses.perfused_gy or 0.0
    bed_tumour, bed_normal = _beds(doses, rate_h)
    return AgentColumn(
        carrier=of,
        activity_gbq=activity,
        doses=doses,
        spheres_million=None if spheres is None else spheres / 1e6,
        spheres_per_ml=None if spheres is None else spheres / perfused_ml,
        embolic_volume_ml=volume,
        effective_half_life_h=effective_h,
        trapping=trapping,
        initial_dose_rate_gy_h=perfused * math.log(2) / rate_h,
        hours_to_90_percent=rate_h * math.log2(10),
        photon_energy_mev=of.nuclide.photon_energy_mev,
        imaging=of.agent.imaging if of.agent else tuple(mode.mode for mode in of.nuclide.imaging),
        status=of.agent.status if of.agent else "no agent",
        follows_label=of.follows_label("mird" if aim.perfused_gy is not None else "partition"),
        bed_tumour_gy=bed_tumour,
        bed_normal_gy=bed_normal,
    )


def _effective_half_life_h(of: Agent | None) -> float | None:
    if of is None or "effective_half_life_h" not in of.facts:
        return None
    value = of.facts["effective_half_life_h"].value
    if isinstance(value, tuple):
        return sum(value) / len(value)
    return value if isinstance(value, float) else None


def _particles(of: Agent | None, activity_gbq: float) -> tuple[float | None, float | None]:
    """Number of spheres and the volume of their matter in mL, as far as the agents' table tells."""
    if of is None:
        return None, None

    def fact(name: str) -> float | None:
        value = of.facts[name].value if name in of.facts else None
        if isinstance(value, tuple):
            return sum(value) / len(value)
        return value if isinstance(value, float) else None

    number = None
    if (per_gbq := fact("spheres_per_gbq")) is not None:
        number = per_gbq * activity_gbq
    elif (per_sphere := fact("activity_per_sphere_bq")) is not None:
        number = activity_gbq * 1e9 / per_sphere
    diameter, density = fact("sphere_diameter_um"), fact("density_g_ml")
    if number is None or diameter is None or density is None:
        return number, None
    return number, number / spheres_per_mg(diameter, density) / 1000 / density


def _beds(doses: Doses, half_life_h: float) -> tuple[float | None, float | None]:
    from hepatica.dosimetry.radiobiology.bed import LIVER, TUMOUR, DoseRate, bed_gy

    rate = DoseRate.exponential(half_life_h)
    tumour = None if doses.tumour_gy is None else float(bed_gy(doses.tumour_gy, rate, TUMOUR))
    normal = None if doses.normal_liver_gy is None else float(bed_gy(doses.normal_liver_gy, rate, LIVER))
    return tumour, normal
