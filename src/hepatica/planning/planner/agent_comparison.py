"""Nuclides and agents on the same patient: what each would need and do, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.document import HIDDEN, reported
from hepatica.core.options import Positive, options
from hepatica.errors import HepaticaError, InputError
from hepatica.nuclides import Agent, spheres_per_mg
from hepatica.nuclides import agent as find_agent
from hepatica.planning.limits.dose_limits import LimitCheck, LimitContext, check_limits
from hepatica.planning.prescriptions.compartments import Doses, Partition
from hepatica.planning.prescriptions.dose_constants import Carrier, DoseConstant, carrier
from hepatica.planning.prescriptions.microspheres import mird, partition

ONE_AIM = "agents are compared by exactly one aim: `dose_gy`, `normal_dose_gy` or `tumour_dose_gy`"


@options
class CompareAim:
    """One aim that all agents must reach, of three.

    Attributes
    ----------
    dose_gy : float or None
        Mean dose to everything perfused.
    normal_dose_gy : float or None
        Mean dose to normal liver.
    tumour_dose_gy : float or None
        Mean dose over all tumours.
    """

    dose_gy: Positive | None = None
    normal_dose_gy: Positive | None = None
    tumour_dose_gy: Positive | None = None

    def __post_init__(self) -> None:
        if self.stated > 1:
            raise InputError(ONE_AIM)

    @property
    def stated(self) -> int:
        """How many aims are stated."""
        return sum(v is not None for v in (self.dose_gy, self.normal_dose_gy, self.tumour_dose_gy))


@dataclass(frozen=True, slots=True)
class AgentColumn:
    """One agent in the comparison; None where the agents' table does not know.

    Attributes
    ----------
    carrier : Carrier
        Agent, nuclide and constant.
    administered_gbq : float
        Activity that reaches the patient.
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
    bed_tumour_gy, bed_normal_liver_gy : float or None
        Biologically effective doses.
    exceeded : tuple of LimitCheck
        Limits of the agent that the activity exceeds, or may exceed.
    """

    carrier: Carrier = field(metadata=HIDDEN)
    administered_gbq: float
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
    bed_normal_liver_gy: float | None
    exceeded: tuple[LimitCheck, ...] = ()

    @property
    @reported
    def agent(self) -> str:
        """Name of the agent, or of the nuclide where there is none."""
        return self.carrier.name

    @property
    @reported
    def nuclide(self) -> str:
        """Name of the nuclide."""
        return self.carrier.nuclide.name

    @property
    @reported
    def constant(self) -> DoseConstant:
        """Dose constant, with washout where activity leaves."""
        return self.carrier.constant


def agents_side_by_side(
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
    if not aim.stated:
        raise InputError(ONE_AIM)
    if len(set(names)) != len(names):
        raise InputError(f"an agent is named twice: {', '.join(names)}")
    return tuple(_column(_carrier(name, convention), target, aim) for name in names)


def _carrier(name: str, convention: str) -> Carrier:
    try:
        find_agent(name)
    except HepaticaError:
        return carrier("mird", nuclide_name=name, convention=convention)
    return carrier("mird", agent_name=name, convention=convention)


def _column(substance: Carrier, target: Partition, aim: CompareAim) -> AgentColumn:
    physical_h = substance.nuclide.half_life_h
    stated_h = _effective_half_life_h(substance.agent)
    effective_h, trapping = stated_h or physical_h, "permanent trapping"
    if substance.agent is not None and substance.agent.form == "lipiodol" and stated_h is not None:
        # Oil washes out: energy is given in proportion to the effective half-life.
        retained = replace(substance.constant, j_per_gbq=substance.constant.retained(stated_h * SECONDS_PER_HOUR))
        substance, trapping = replace(substance, constant=retained), f"effective half-life {stated_h:g} h"
    if aim.dose_gy is not None:
        activity = mird(aim.dose_gy, target, substance.constant).administered_gbq
    else:
        out = partition(
            target, substance.constant, normal_limit_gy=aim.normal_dose_gy, tumour_dose_gy=aim.tumour_dose_gy
        )
        activity = out.administered_gbq
    doses = target.doses(activity, substance.constant)
    rate_h = effective_h if trapping != "permanent trapping" else physical_h
    spheres, volume = _particles(substance.agent, activity)
    perfused_ml = target.perfused_mass_kg * 1000 / 1.05
    perfused = doses.perfused_gy or 0.0
    bed_tumour, bed_normal = _beds(doses, rate_h)
    return AgentColumn(
        carrier=substance,
        administered_gbq=activity,
        doses=doses,
        spheres_million=None if spheres is None else spheres / 1e6,
        spheres_per_ml=None if spheres is None else spheres / perfused_ml,
        embolic_volume_ml=volume,
        effective_half_life_h=effective_h,
        trapping=trapping,
        initial_dose_rate_gy_h=perfused * math.log(2) / rate_h,
        hours_to_90_percent=rate_h * math.log2(10),
        photon_energy_mev=substance.nuclide.photon_energy_mev,
        imaging=substance.agent.imaging if substance.agent else tuple(mode.mode for mode in substance.nuclide.imaging),
        status=substance.agent.status if substance.agent else "no agent",
        follows_label=bool(substance.follows_label("mird" if aim.dose_gy is not None else "partition")),
        bed_tumour_gy=bed_tumour,
        bed_normal_liver_gy=bed_normal,
        exceeded=_exceeded(substance, target, doses),
    )


def _exceeded(substance: Carrier, target: Partition, doses: Doses) -> tuple[LimitCheck, ...]:
    """Limits of the agent that this activity exceeds, or may: the intent is not known here."""
    values = {
        "lung_gy": doses.lung_gy,
        "normal_liver_gy": doses.normal_liver_gy,
        "perfused_normal_gy": doses.normal_liver_gy,
        "perfused_gy": doses.perfused_gy,
        "lung_activity_gbq": doses.administered_gbq * target.lung_shunt,
        "lung_shunt_fraction": target.lung_shunt,
    }
    return tuple(check for check in check_limits(values, LimitContext(substance.name)) if check.exceeded)


def _effective_half_life_h(agent: Agent | None) -> float | None:
    return None if agent is None else _middle(agent, "effective_half_life_h")


def _middle(agent: Agent, name: str) -> float | None:
    """A fact of an agent as one number, the middle of a range; None where it is not known."""
    value = agent.facts[name].value if name in agent.facts else None
    if isinstance(value, tuple):
        return sum(value) / len(value)
    return value if isinstance(value, float) else None


def _particles(agent: Agent | None, administered_gbq: float) -> tuple[float | None, float | None]:
    """Number of spheres and the volume of their matter in mL, as far as the agents' table tells."""
    if agent is None:
        return None, None
    number = None
    if (per_gbq := _middle(agent, "spheres_per_gbq")) is not None:
        number = per_gbq * administered_gbq
    elif (per_sphere := _middle(agent, "activity_per_sphere_bq")) is not None:
        number = administered_gbq * 1e9 / per_sphere
    diameter, density = _middle(agent, "sphere_diameter_um"), _middle(agent, "density_g_ml")
    if number is None or diameter is None or density is None:
        return number, None
    return number, number / spheres_per_mg(diameter, density) / 1000 / density


def _beds(doses: Doses, half_life_h: float) -> tuple[float | None, float | None]:
    from hepatica.dosimetry.radiobiology.bed import LIVER, TUMOUR, DoseRate, bed_gy

    rate = DoseRate.exponential(half_life_h)
    tumour = None if doses.tumour_gy is None else float(bed_gy(doses.tumour_gy, rate, TUMOUR))
    normal = None if doses.normal_liver_gy is None else float(bed_gy(doses.normal_liver_gy, rate, LIVER))
    return tumour, normal
