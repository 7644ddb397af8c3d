"""Radiolabelled lipiodol: fixed activities and activities set by organ limits from a scout.

Lipiodol leaves: activity is retained with an effective half-life per organ, so the energy that an organ receives is
share x T_eff / T_physical x constant. What is not retained or not in a listed organ is carried as "elsewhere".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hepatica.anatomy.structures.kinds import Structure
from hepatica.anatomy.structures.names import meaning_of
from hepatica.core.message import Message
from hepatica.core.numbers.confidence import FROM_MEMORY, WELL_ESTABLISHED
from hepatica.core.numbers.units import parse_fraction, parse_quantity
from hepatica.core.options.values import value_class
from hepatica.errors import InputError
from hepatica.planning.prescriptions.compartments import Doses, require_positive
from hepatica.planning.prescriptions.dose_constants import DoseConstant
from hepatica.planning.prescriptions.microspheres import Prescription

FIXED_I131_GBQ = 2.22
FIXED_SOURCE = "Lipiocis label: 2.22 GBq (60 mCi) of 131I-lipiodol, whatever the patient"
ORGAN_LIMIT_SOURCE = (
    "188Re-lipiodol, IAEA trial: scout of about 185 MBq, then the activity at which the first organ reaches its limit; "
    "lungs 12 Gy, normal liver 30 Gy, marrow 1.5 Gy (Bernal 2007)"
)

MARROW = "marrow"

ROLES_OF_LUNGS = (Structure.LUNG, Structure.LUNG_LEFT, Structure.LUNG_RIGHT)

SELF_DOSE_ONLY = Message(
    "photons-left-out", "photon dose from other organs is not in these means (self-dose of electrons, local deposition)"
)


@value_class
@dataclass(frozen=True, slots=True)
class OrganUptake:
    """What a scout says about one organ.

    Attributes
    ----------
    name : str
        "tumour", "normal liver", "lungs", "marrow", ...; tumours count as lesions, by what their name means.
    share : float
        Fraction of the administered activity, 0 to 1.
    mass_kg : float
        In kg.
    effective_half_life_s : float or None
        In s; None for permanent trapping.
    limit_gy : float or None
        Dose that must not be exceeded.
    """

    name: str
    share: float
    mass_kg: float
    effective_half_life_s: float | None = None
    limit_gy: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InputError(f"share of activity in {self.name} must lie between 0 and 1, not {self.share:g}")
        require_positive(self.mass_kg, f"mass of {self.name}", "kg")
        if self.limit_gy is not None:
            require_positive(self.limit_gy, f"dose limit of {self.name}", "Gy")

    def gy_per_gbq(self, constant: DoseConstant) -> float:
        """Mean self-dose in Gy per administered GBq."""
        return self.share * constant.retained(self.effective_half_life_s) / self.mass_kg

    @property
    def is_lesion(self) -> bool:
        """Whether it counts as tumour."""
        return meaning_of(self.name).structure in (Structure.TUMOUR, Structure.ALL_TUMOURS)

    @property
    def limited_as(self) -> str:
        """Which of an agent's limits are its own: "lung", "normal_liver", "marrow", or "" for none."""
        if self.is_lesion:
            return ""
        if "marrow" in self.name.lower():
            return MARROW
        role = meaning_of(self.name).structure
        if role in ROLES_OF_LUNGS:
            return Structure.LUNG.value
        return Structure.NORMAL_LIVER.value if role in (Structure.LIVER, Structure.NORMAL_LIVER) else ""


def organ_uptake(text: str) -> OrganUptake:
    """Uptake from text: organ:share:mass[:effective half-life[:limit]].

    >>> organ_uptake("lungs:9 %:1 kg:12 h:12 Gy").limit_gy
    12.0

    Raises
    ------
    InputError
        If a part is missing or has a wrong unit; the message names it.
    """
    parts = [part.strip() for part in text.split(":")]
    if not 3 <= len(parts) <= 5:
        raise InputError(f"uptake {text!r}: write organ:share:mass[:effective half-life[:limit]]")
    name, share, mass, *rest = parts
    half_life = parse_quantity(rest[0], "s", f"half-life in {name}") if rest and rest[0] else None
    limit = parse_quantity(rest[1], "Gy", f"limit of {name}") if len(rest) > 1 else None
    return OrganUptake(
        name, parse_fraction(share, f"share in {name}"), parse_quantity(mass, "kg", f"mass of {name}"), half_life, limit
    )


def _require_organs(organs: Sequence[OrganUptake]) -> None:
    if not organs:
        raise InputError("give at least one organ with its share of activity and its mass")
    names = [organ.name for organ in organs]
    if len(set(names)) != len(names):
        raise InputError(f"an organ is listed twice: {', '.join(sorted(names))}")
    if (total := math.fsum(organ.share for organ in organs)) > 1 + 1e-9:
        raise InputError(f"the organs' shares of activity add up to {total:.4g}; they cannot exceed 1")


def organ_doses(administered_gbq: float, organs: Sequence[OrganUptake], constant: DoseConstant) -> Doses:
    """Mean self-doses of all organs at an administered activity (GBq).

    Returns
    -------
    Doses
        `lesions_gy` holds every organ by its own name.
    """
    _require_organs(organs)
    by_name = {organ.name: administered_gbq * organ.gy_per_gbq(constant) for organ in organs}

    def mean(chosen: Sequence[OrganUptake]) -> float | None:
        mass = math.fsum(organ.mass_kg for organ in chosen)
        return math.fsum(by_name[organ.name] * organ.mass_kg for organ in chosen) / mass if chosen else None

    def limited(structure: str) -> list[OrganUptake]:
        return [organ for organ in organs if organ.limited_as == structure]

    lesions = [organ for organ in organs if organ.is_lesion]
    normal = limited(Structure.NORMAL_LIVER.value)
    lungs = limited(Structure.LUNG.value)
    return Doses(administered_gbq, mean(lesions), mean(normal), mean(lungs), mean([*lesions, *normal]), by_name)


def with_limits(organs: Sequence[OrganUptake], limits_gy: Mapping[str, float]) -> tuple[OrganUptake, ...]:
    """Organs with the limits of the agent (by `OrganUptake.limited_as`, Gy) where none is stated."""
    return tuple(
        replace(organ, limit_gy=limits_gy[organ.limited_as])
        if organ.limit_gy is None and organ.limited_as in limits_gy
        else organ
        for organ in organs
    )


def fixed_activity(
    organs: Sequence[OrganUptake],
    constant: DoseConstant,
    *,
    administered_gbq: float = FIXED_I131_GBQ,
    residual: float = 0.0,
    source: str = FIXED_SOURCE,
) -> Prescription:
    """Fixed activity (2.22 GBq of 131I-lipiodol) and the doses it gives with the uptake stated."""
    require_positive(administered_gbq, "activity", "GBq")
    doses = organ_doses(administered_gbq, organs, constant) if organs else None
    return Prescription(
        "fixed",
        source,
        administered_gbq,
        residual,
        constant,
        doses,
        {"fixed_activity_gbq": administered_gbq},
        (SELF_DOSE_ONLY,),
        WELL_ESTABLISHED,
    )


def organ_limited(
    organs: Sequence[OrganUptake],
    constant: DoseConstant,
    *,
    residual: float = 0.0,
    source: str = ORGAN_LIMIT_SOURCE,
) -> Prescription:
    """Highest activity at which no organ exceeds its limit, from the shares that a scout measured.

    Raises
    ------
    InputError
        If no organ with a limit takes up any activity: nothing would bound the answer.
    """
    _require_organs(organs)
    caps = {
        organ.name: organ.limit_gy / organ.gy_per_gbq(constant)
        for organ in organs
        if organ.limit_gy is not None and organ.share > 0
    }
    if not caps:
        raise InputError("no organ with a dose limit takes up activity: the organ-limit rule has no answer")
    binding = min(caps, key=lambda name: caps[name])
    administered = caps[binding]
    terms = {f"activity_at_limit_of_{name.replace(' ', '_')}_gbq": cap for name, cap in caps.items()}
    doses = organ_doses(administered, organs, constant)
    messages = (Message("activity-set-by-limit", f"the activity is set by the limit of {binding}"), SELF_DOSE_ONLY)
    return Prescription("organ-limit", source, administered, residual, constant, doses, terms, messages, FROM_MEMORY)
