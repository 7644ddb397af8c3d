"""What media are made of: elements, atomic shells, and the shipped list of media.

The list of media is ``tables/compositions.txt`` (ICRU reports 37, 44, 46); atomic weights and shell energies come from
``tables/atomic_shells.txt``. `media.py` says which density or HU means which medium.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hepatica.core.tables.shipped import table_text
from hepatica.errors import InputError, UnknownNameError

FloatArray = NDArray[np.float64]

SYMBOLS = {
    "H": 1, "B": 5, "C": 6, "N": 7, "O": 8, "Na": 11, "Mg": 12, "Al": 13, "Si": 14, "P": 15, "S": 16,
    "Cl": 17, "Ar": 18, "K": 19, "Ca": 20, "Ti": 22, "Fe": 26, "Ge": 32, "Y": 39, "I": 53, "Lu": 71,
    "Pb": 82, "Bi": 83,
}  # fmt: skip

EXCITATION_IN_COMPOUND_EV = {
    1: 19.2, 6: 81.0, 7: 82.0, 8: 106.0, 11: 168.4, 12: 176.3, 15: 195.5, 16: 203.4,
    17: 180.0, 18: 212.4, 19: 214.7, 20: 215.8, 22: 263.3, 26: 323.2, 53: 554.8,
}  # fmt: skip
"""Mean excitation energy in eV of an element in a liquid or solid compound (ICRU Report 37, table 5.1: H, C, N, O, Cl
as printed there, the others 1.13 times the elemental value)."""

FIRST_IONISATION_EV = {
    1: 13.598, 5: 8.298, 6: 11.260, 7: 14.534, 8: 13.618, 11: 5.139, 12: 7.646, 13: 5.986, 14: 8.152,
    15: 10.487, 16: 10.360, 17: 12.968, 18: 15.760, 19: 4.341, 20: 6.113, 22: 6.828, 26: 7.902, 32: 7.899, 39: 6.217,
    53: 10.451, 71: 5.426, 82: 7.417, 83: 7.286,
}  # fmt: skip
"""First ionisation energy of the free atom in eV (NIST Atomic Spectra Database). No shell is bound less than this: the
shell table holds edges of solids, which for valence shells are lower (oxygen 2p: 7.1 eV) and would put the density
effect of water at 1 MeV at 0.37 instead of 0.24."""


@dataclass(frozen=True, slots=True)
class Shell:
    """Electrons of one atomic shell.

    Attributes
    ----------
    electrons : float
        Number of electrons.
    binding_kev : float
        Binding energy in keV.
    """

    electrons: float
    binding_kev: float


@dataclass(frozen=True, slots=True)
class Element:
    """One element: atomic number, atomic weight in g/mol, shells from the K shell outward."""

    z: int
    weight_g_mol: float
    shells: tuple[Shell, ...]


@dataclass(frozen=True, slots=True)
class Medium:
    """A medium in which radiation moves.

    Attributes
    ----------
    name : str
        As in the list ("liver").
    density_g_ml : float
        Density at which its density effect is taken; a voxel may have another.
    fractions : tuple of (int, float)
        Atomic number and mass fraction, summing to 1.
    mean_excitation_ev : float
        Mean excitation energy I in eV.
    """

    name: str
    density_g_ml: float
    fractions: tuple[tuple[int, float], ...]
    mean_excitation_ev: float

    @property
    def electrons_per_gram_mol(self) -> float:
        """Mean Z/A in mol/g."""
        return sum(w * z / elements()[z].weight_g_mol for z, w in self.fractions)

    def with_excitation(self, mean_excitation_ev: float) -> Medium:
        """Same medium with another mean excitation energy in eV (water: 75 eV in ICRU 37, 78 eV in ICRU 90)."""
        return replace(self, mean_excitation_ev=mean_excitation_ev)


def table(name: str) -> str:
    """Text of a table in ``hepatica/transport/tables``."""
    return table_text("hepatica.transport", name)


def numbers(name: str) -> FloatArray:
    """Rows of a numeric table, comment lines left out, shape (rows, columns)."""
    return np.loadtxt(table(name).splitlines(), comments="#", ndmin=2)


@cache
def elements() -> Mapping[int, Element]:
    """Elements by atomic number."""
    found: dict[int, Element] = {}
    for z, weight, _, electrons, binding in numbers("atomic_shells.txt").tolist():
        shell = Shell(electrons, max(binding, FIRST_IONISATION_EV[int(z)] / 1000))
        earlier = found[int(z)].shells if int(z) in found else ()
        found[int(z)] = Element(int(z), weight, (*earlier, shell))
    return found


@cache
def media() -> Mapping[str, Medium]:
    """Media by name.

    Raises
    ------
    InputError
        If a composition in the table does not add up to 100 % within 0.2 %.
    """
    found: dict[str, Medium] = {}
    for line in table("compositions.txt").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, density, excitation, _, *parts = line.split()
        percent = {SYMBOLS[part.split("=")[0]]: float(part.split("=")[1]) for part in parts}
        total = sum(percent.values())
        if abs(total - 100) > 0.2:
            raise InputError(f"composition of {name!r} adds up to {total:g} %, not 100 %")
        fractions = tuple((z, p / total) for z, p in percent.items())
        found[name] = Medium(name, float(density), fractions, float(excitation) or additive_excitation_ev(fractions))
    return found


def medium(name: str) -> Medium:
    """Medium of that name.

    Raises
    ------
    UnknownNameError
        If it is not in the list.
    """
    if name not in media():
        raise UnknownNameError("medium", name, media())
    return media()[name]


AIR_BELOW_G_ML, LUNG_BELOW_G_ML = 0.05, 0.60

MEDIA_BY_DENSITY: tuple[tuple[float, str], ...] = (
    (AIR_BELOW_G_ML, "air"),
    (LUNG_BELOW_G_ML, "lung"),
    (0.985, "adipose"),
    (1.10, "soft_tissue"),
    (1.25, "bone_spongiosa"),
    (1.47, "bone_femur"),
    (1.76, "bone_cranium"),
    (2.80, "bone"),
    (np.inf, "titanium"),
)
"""Medium of a voxel by its density: each entry holds below its density in g/mL. Bounds lie half-way between the nominal
densities of the media, for air where `dosimetry` parts air from lung. Iodised oil cannot be told from bone by density
and must be named."""


def media_by_density(
    density_g_ml: NDArray[np.floating], table: tuple[tuple[float, str], ...] = MEDIA_BY_DENSITY
) -> tuple[NDArray[np.uint8], tuple[Medium, ...]]:
    """Index of each voxel's medium and the media that occur, in the order of the indices.

    Parameters
    ----------
    density_g_ml : ndarray
        Density of each voxel.
    table : tuple of (float, str)
        Upper density and medium, densities rising; the last must be infinite or above every voxel.

    Raises
    ------
    UnknownNameError
        If a medium is not in the list.
    InputError
        If the bounds do not rise or a voxel lies above the last.
    """
    bounds = [bound for bound, _ in table]
    if any(low >= high for low, high in itertools.pairwise(bounds)):
        raise InputError("media by density: the upper densities must rise from entry to entry")
    everything = tuple(medium(name) for _, name in table)
    flat = np.ravel(density_g_ml)
    index = np.empty(flat.size, np.uint8)
    for start in range(
        0, flat.size, 2**18
    ):  # searchsorted answers in 64-bit integers: not for the whole volume at once
        part = slice(start, start + 2**18)
        index[part] = np.searchsorted(bounds, flat[part], side="right")
    if index.size and int(index.max()) >= len(table):
        raise InputError(f"media by density: no medium above {bounds[-1]:g} g/mL, but voxels are denser")
    present = np.unique(index)
    renumbered = np.zeros(len(table), dtype=np.uint8)
    renumbered[present] = np.arange(len(present))
    return renumbered[index].reshape(np.shape(density_g_ml)), tuple(everything[n] for n in present)


def additive_excitation_ev(fractions: tuple[tuple[int, float], ...]) -> float:
    """Mean excitation energy in eV by Bragg additivity, ln I weighted with the electrons of each element."""
    electrons = np.array([w * z / elements()[z].weight_g_mol for z, w in fractions])
    logs = np.log([EXCITATION_IN_COMPOUND_EV[z] for z, _ in fractions])
    return float(np.exp(electrons @ logs / electrons.sum()))
