"""S values of the reference adults' organs, and their scaling to a patient's masses.

The table is made by our own Monte Carlo on the phantoms of ICRP Publication 110 (tools/tables/build_organ_s_values.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from hepatica.core import Estimate
from hepatica.core.tables.shipped import csv_rows
from hepatica.errors import InputError, UnknownNameError

Sex = Literal["female", "male"]
PACKAGE = "hepatica.dosimetry.organs"
TOTAL_BODY = "total_body"
REMAINDER = "remainder"

PHOTON_EXPONENT = 2 / 3
"""Self-dose by photons falls with mass^(2/3): their absorbed fraction grows with the organ's size, mass^(1/3) (Snyder;
MIRD Pamphlet 11, 1975). By electrons, which stay in the organ, with the mass itself."""


@dataclass(frozen=True, slots=True)
class SValue:
    """Dose to a target per decay in a source, mGy/(MBq s): by electrons with their bremsstrahlung, and by photons."""

    electrons: Estimate
    photons: Estimate

    @property
    def total(self) -> Estimate:
        """Both together."""
        return self.electrons + self.photons


@cache
def _table(sex: str, nuclide: str) -> Mapping[tuple[str, str], SValue]:
    """By target and source."""
    return {
        (row["target"], row["source"]): SValue(
            Estimate(float(row["electrons"]), float(row["electrons_sd"])),
            Estimate(float(row["photons"]), float(row["photons_sd"])),
        )
        for row in csv_rows(PACKAGE, "s_values.csv")
        if row["sex"] == sex and row["nuclide"] == nuclide
    }


@cache
def reference_masses_g(sex: Sex) -> Mapping[str, float]:
    """Masses of the phantom's organs in g, the whole body as "total_body"."""
    found = {row["organ"]: float(row["mass_g"]) for row in csv_rows(PACKAGE, "organ_masses.csv") if row["sex"] == sex}
    if not found:
        raise UnknownNameError("sex of a reference adult", sex, ("female", "male"))
    return found


def sources(sex: Sex, nuclide: str) -> tuple[str, ...]:
    """Source organs of a nuclide."""
    return tuple(dict.fromkeys(source for _, source in _known(sex, nuclide)))


def targets(sex: Sex, nuclide: str) -> tuple[str, ...]:
    """Target organs of a nuclide."""
    return tuple(dict.fromkeys(target for target, _ in _known(sex, nuclide)))


def _known(sex: Sex, nuclide: str) -> Mapping[tuple[str, str], SValue]:
    found = _table(sex, nuclide)
    if not found:
        known = {row["nuclide"] for row in csv_rows(PACKAGE, "s_values.csv")}
        raise UnknownNameError("nuclide with S values of organs", nuclide, known)
    return found


def s_value(sex: Sex, nuclide: str, target: str, source: str) -> SValue:
    """S value of the reference adult.

    Raises
    ------
    UnknownNameError
        If nuclide, target or source are not in the table.

    Examples
    --------
    >>> round(s_value("male", "Tc-99m", "liver", "liver").total.value * 1e6, 2)
    3.45
    """
    found = _known(sex, nuclide)
    if (target, source) not in found:
        if source not in sources(sex, nuclide):
            raise UnknownNameError("source organ", source, sources(sex, nuclide))
        raise UnknownNameError("target organ", target, targets(sex, nuclide))
    return found[target, source]


def scaled_s_value(
    sex: Sex, nuclide: str, target: str, source: str, masses_g: Mapping[str, float] | None = None
) -> SValue:
    """S value with the self-dose scaled to the patient's mass of the organ; cross-dose stays that of the phantom.

    Raises
    ------
    InputError
        If a mass is not positive.
    """
    found = s_value(sex, nuclide, target, source)
    mass = (masses_g or {}).get(target)
    if mass is None or target != source:
        return found
    if not mass > 0:
        raise InputError(f"the mass of {target} must be positive, not {mass:g} g")
    ratio = reference_masses_g(sex)[target] / mass
    return SValue(found.electrons * ratio, found.photons * ratio**PHOTON_EXPONENT)
