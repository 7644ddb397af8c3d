"""Mean absorbed dose of every organ from the time-integrated activity of the source organs (MIRD schema).

    D(target) = sum over sources of  A~(source) S(target <- source)

What is in none of the named organs lies in the remainder of the body, even by mass; its S value is that of the whole
body less what the named organs are of it (Cloutier et al., Phys Med Biol 1973;18:56).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from hepatica.core import Estimate
from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.dosimetry.organs.s_values import (
    REMAINDER,
    TOTAL_BODY,
    Sex,
    SValue,
    reference_masses_g,
    scaled_s_value,
    targets,
)
from hepatica.errors import InputError

NOT_TARGETS = ("other_tissue",)

PHANTOM_GEOMETRY = Message(
    "phantom-geometry",
    "organ doses are those of a reference adult: distances between organs, and masses that are not stated, are the "
    "phantom's; the uncertainty is that of the activity and of the Monte Carlo alone",
    severity="note",
)


@dataclass(frozen=True, slots=True)
class OrganDose:
    """Dose of one organ.

    Attributes
    ----------
    organ : str
        As in the table of S values.
    mass_g : float
        Used for the self-dose.
    dose_gy : Estimate
        Mean absorbed dose.
    self_gy : float
        Of it, from the organ itself.
    photons_gy : float
        Of it, by photons.
    by_source : mapping of str to float
        Gy from each source.
    """

    organ: str
    mass_g: float
    dose_gy: Estimate
    self_gy: float
    photons_gy: float
    by_source: Mapping[str, float] = field(metadata=HIDDEN)


def organ_doses(
    decays: Mapping[str, Estimate], nuclide: str, sex: Sex, *, masses_g: Mapping[str, float] | None = None
) -> tuple[OrganDose, ...]:
    """Doses of all organs.

    Parameters
    ----------
    decays : mapping of str to Estimate
        Time-integrated activity of each source organ in Bq s; "remainder" for the rest of the body. Uncertainties of
        different organs are taken as independent.
    nuclide : str
        What decays.
    sex : {"female", "male"}
        Reference adult.
    masses_g : mapping of str to float, optional
        The patient's masses, by organ.

    Raises
    ------
    UnknownNameError
        If nuclide or an organ is not in the table.
    InputError
        If nothing decays, or a number is negative.
    """
    if not decays or any(one.value < 0 for one in decays.values()):
        raise InputError("organ doses need the decays of at least one organ, none negative")
    named = [source for source in decays if source not in (REMAINDER, TOTAL_BODY)]
    found = []
    for target in targets(sex, nuclide):
        if target in NOT_TARGETS:
            continue
        value, variance, own, photons = 0.0, 0.0, 0.0, 0.0
        by_source = {}
        for source, number in decays.items():
            s = _remainder(sex, nuclide, target, named) if source == REMAINDER else scaled_s_value(
                sex, nuclide, target, source, masses_g
            )  # fmt: skip
            # mGy/(MBq s) is 1e-9 Gy/(Bq s).
            part = number * s.total * 1e-9
            value += part.value
            variance = math.nan if part.sd is None else variance + part.sd**2
            own += part.value if source == target else 0.0
            photons += number.value * s.photons.value * 1e-9
            by_source[source] = part.value
        sd = None if math.isnan(variance) else math.sqrt(variance)
        mass = (masses_g or {}).get(target, reference_masses_g(sex)[target])
        found.append(OrganDose(target, mass, Estimate(value, sd), own, photons, by_source))
    return tuple(found)


def _remainder(sex: Sex, nuclide: str, target: str, named: list[str]) -> SValue:
    """S value of the rest of the body, even by mass; what noise puts below zero is zero."""
    masses = reference_masses_g(sex)
    whole = scaled_s_value(sex, nuclide, target, TOTAL_BODY)
    rest = masses[TOTAL_BODY] - sum(masses[source] for source in named)
    electrons, photons = whole.electrons * masses[TOTAL_BODY], whole.photons * masses[TOTAL_BODY]
    for source in named:
        part = scaled_s_value(sex, nuclide, target, source)
        electrons, photons = electrons - part.electrons * masses[source], photons - part.photons * masses[source]
    return SValue(_positive(electrons / rest), _positive(photons / rest))


def _positive(value: Estimate) -> Estimate:
    return Estimate(max(value.value, 0.0), value.sd)


def sphere_dose_gy(decays: Estimate, electrons_kev: float, mass_g: float) -> Estimate:
    """Dose of a lesion by the electrons of what it holds, all absorbed in it; its photons are not counted.

    Raises
    ------
    InputError
        If the mass is not positive.
    """
    from hepatica.core.constants import KEV_TO_J

    if not mass_g > 0:
        raise InputError(f"the mass of a lesion must be positive, not {mass_g:g} g")
    return decays * (electrons_kev * KEV_TO_J * 1e3 / mass_g)
