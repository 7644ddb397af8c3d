"""Nuclides that PET scanners are used and tested with: what a simulation and a reconstruction of PET need of them.

They stand apart from the nuclides of radioembolization, whose tables hold everything that dose needs; here is what
makes coincidences alone.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate
from hepatica.core.constants import ELECTRON_REST_KEV
from hepatica.core.tables.shipped import toml_table
from hepatica.errors import PhysicsError, UnknownNameError
from hepatica.nuclides.nuclide import NUCLIDE_NAMES, Line, Nuclide, RangeFact, nuclide
from hepatica.nuclides.spectrum import positron_shape, with_mean

FloatArray = NDArray[np.float64]

TABLE = "positron_emitters.toml"
STEP_KEV = 0.5
SOURCE = "positron_emitters.toml, see sources.toml"
PROMPT_GAMMAS: Mapping[str, str] = MappingProxyType({
    "Zr-89": "909 keV in 99 % of the decays, of which a block counts the scattered ones",
    "I-124": "603 keV in 63 % of the decays, many within a microsecond of a positron and inside the energy window",
    "Rb-82": "777 keV in 15 % of the decays, together with the positron",
    "Sc-44": "1157 keV with almost every positron",
    "Y-86": "gammas of 628 and 1077 keV with the positrons",
})  # fmt: skip
"""Positron emitters that are refused, and why: a gamma in coincidence with the positron, which is not followed."""


@dataclass(frozen=True, slots=True)
class PositronBranch:
    """One branch of beta-plus decay: endpoint and mean kinetic energy, positrons per decay."""

    endpoint_kev: float
    mean_kev: float
    yield_per_decay: float


@functools.cache
def positron_emitters() -> tuple[str, ...]:
    """Names of the nuclides of the table."""
    return tuple(toml_table(__package__, TABLE))


def pet_nuclide(name: str | Nuclide) -> Nuclide:
    """A nuclide of PET by its name, in any of the usual spellings: those of the table, and all of `nuclide`.

    Raises
    ------
    PhysicsError
        If it is a positron emitter whose gammas coincide with the positrons: that is not modelled.
    UnknownNameError
        If there is no such nuclide.

    Examples
    --------
    >>> pet_nuclide("18F").positron_yield
    0.9686
    """
    if isinstance(name, Nuclide):
        return name
    wanted = _plain(name)
    found = emitter_named(wanted)
    if found is not None:
        return _emitter(found)
    for known, why in PROMPT_GAMMAS.items():
        if wanted in _spellings(known, ""):
            raise PhysicsError(
                f"PET of {known} is not modelled: {why}, so that coincidences of one decay are not all of two "
                "annihilation photons",
                remedy=f"take one of {', '.join(('Y-90', *positron_emitters()))}",
            )
    try:
        return nuclide(name)
    except UnknownNameError:
        raise UnknownNameError("nuclide", name, (*NUCLIDE_NAMES, *positron_emitters())) from None


def emitter_named(name: str) -> str | None:
    """Name of a nuclide of the table in any of the usual spellings; None where it is none of them."""
    rows = toml_table(__package__, TABLE)
    return next((known for known in rows if _plain(name) in _spellings(known, str(rows[known]["element"]))), None)


def positron_branches(of: Nuclide) -> tuple[PositronBranch, ...]:
    """Branches of beta-plus decay; none of 90Y, whose positrons come of internal pairs."""
    row = toml_table(__package__, TABLE).get(of.name)
    return () if row is None else tuple(PositronBranch(*map(float, branch)) for branch in row["branches"])


def positron_spectrum(of: Nuclide) -> tuple[FloatArray, FloatArray]:
    """Kinetic energy of the positrons per decay: keV, and positrons per keV, each branch with its evaluated mean.

    Raises
    ------
    PhysicsError
        If it has no beta-plus branch.
    """
    branches = positron_branches(of)
    if not branches:
        raise PhysicsError(f"{of.name} has no beta-plus branch")
    energy = np.arange(0.0, max(b.endpoint_kev for b in branches) + STEP_KEV, STEP_KEV)
    density = np.zeros_like(energy)
    for branch in branches:
        shape = positron_shape(energy, branch.endpoint_kev, of.z - 1, of.mass_number)
        inside = energy <= branch.endpoint_kev
        own = np.zeros_like(energy)
        own[inside] = with_mean(energy[inside], shape[inside], branch.mean_kev)
        density += own * (branch.yield_per_decay / float(np.trapezoid(own, energy)))
    return energy, density


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _spellings(name: str, element: str) -> set[str]:
    symbol, number = name.lower().split("-")
    words = {symbol, element} - {""}
    return {word + number for word in words} | {number + word for word in words}


@functools.cache
def _emitter(name: str) -> Nuclide:
    row: Mapping[str, Any] = toml_table(__package__, TABLE)[name]
    yields, sd = map(float, row["positrons"])
    mean, largest = map(float, row["range"])
    branches = tuple(PositronBranch(*map(float, branch)) for branch in row["branches"])
    return Nuclide(
        name=name,
        element=str(row["element"]),
        z=int(row["z"]),
        mass_number=int(row["a"]),
        spin_parity="",
        half_life=Estimate(*map(float, row["half_life"])),
        q_value_kev=max(b.endpoint_kev for b in branches) + 2 * ELECTRON_REST_KEV,
        betas=(),
        # the positrons, at their mean energies
        electrons=tuple(Line(b.mean_kev, b.yield_per_decay, "pair", origin="beta plus") for b in branches),
        photons=(Line(ELECTRON_REST_KEV, 2 * yields, "annihilation"),),
        capture_yield=0.0,
        positron=Estimate(yields, sd),
        conventions=MappingProxyType({}),
        imaging=(),
        ranges=(RangeFact("mean", mean, SOURCE, "general"), RangeFact("max", largest, SOURCE, "general")),
        production="cyclotron or generator",
        production_source=SOURCE,
    )
