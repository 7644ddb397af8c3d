"""Radionuclides as values: half-life, emissions, energy per decay, dose constants, imaging, production."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from hepatica.core import Estimate, decays_per_becquerel
from hepatica.core.constants import MEV_TO_J, SECONDS_PER_HOUR
from hepatica.core.document import HIDDEN, reported
from hepatica.core.tables.shipped import csv_rows, number, toml_table
from hepatica.core.tables.table import Cell, Table
from hepatica.errors import UnknownNameError


@dataclass(frozen=True, slots=True)
class BetaBranch:
    """One branch of beta-minus decay.

    Attributes
    ----------
    endpoint_kev, mean_kev : float
        Largest and mean kinetic energy as evaluated (ENSDF).
    endpoint_sd_kev, mean_sd_kev : float
        Standard uncertainties (k = 1).
    yield_per_decay, yield_sd : float
        Electrons per decay of the nuclide; the yields of all branches and captures add up to 1.
    daughter_z : int
        Atomic number of the daughter, for the Fermi function.
    level_kev : float
        Daughter level that the branch feeds.
    forbiddenness : str
        ENSDF's: "allowed", "firstForbidden", "firstForbiddenUnique" or "notClassified".
    shape : str
        What `hepatica.nuclides.spectrum` takes for it.
    """

    endpoint_kev: float
    endpoint_sd_kev: float
    mean_kev: float
    mean_sd_kev: float
    yield_per_decay: float
    yield_sd: float
    daughter_z: int
    level_kev: float
    forbiddenness: str
    shape: str

    @property
    def is_unique(self) -> bool:
        """Whether the spectrum takes the unique first-forbidden shape."""
        return self.shape == "unique first-forbidden"


@dataclass(frozen=True, slots=True)
class Line:
    """A discrete emission: energy in keV, yield per decay, standard uncertainties (None where unknown).

    `kind` is "gamma", "x" or "annihilation" for photons; "conversion", "auger" or "pair" for electrons ("pair" is the
    mean energy of a positron or electron of internal pair creation). `origin` names transition and shell, or the family
    of X rays or Auger electrons at whose mean energy the line stands.
    """

    energy_kev: float
    yield_per_decay: float
    kind: str
    energy_sd_kev: float | None = None
    yield_sd: float | None = None
    origin: str = ""


ConventionName = Literal["ensdf", "ensdf-all", "mird", "label", "clinical", "icrp107", "beta-only"]
"""Dose constants by name: of the decay data (electrons; with photons), and those published for some nuclides."""


@dataclass(frozen=True, slots=True)
class DoseConvention:
    """A named choice of energy per activity: J per GBq decayed completely, which is Gy in 1 kg."""

    name: str
    j_per_gbq: float
    text: str
    source: str
    confidence: str


@dataclass(frozen=True, slots=True)
class ImagingMode:
    """How a camera sees the nuclide: energy windows (low, high) in keV and collimator."""

    mode: str
    text: str
    windows_kev: tuple[tuple[float, float], ...]
    scatter_windows_kev: tuple[tuple[float, float], ...]
    collimator: str
    source: str
    confidence: str


@dataclass(frozen=True, slots=True)
class RangeFact:
    """A range of the electrons in water, mm: "mean", "max", "csda_endpoint", "x50" or "x90"."""

    quantity: str
    value_mm: float
    source: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Nuclide:
    """A radionuclide.

    Attributes
    ----------
    name : str
        "Y-90", "Tc-99m".
    element : str
        "yttrium".
    z, mass_number : int
        Atomic and mass number.
    spin_parity : str
        Of the decaying state.
    half_life : Estimate
        In s.
    q_value_kev : float
        Of the beta-minus decay; of the isomeric transition for 99mTc.
    betas : tuple of BetaBranch
        Beta-minus branches, largest endpoint first.
    electrons, photons : tuple of Line
        Discrete emissions in order of energy.
    capture_yield : float
        Electron captures per decay.
    positron : Estimate
        Positrons per decay (90Y: internal pair creation).
    conventions : mapping of str to DoseConvention
        Named dose constants; "ensdf" (electrons) and "ensdf-all" (electrons and all photons) are always there.
    imaging : tuple of ImagingMode
        What a camera can be set to.
    ranges : tuple of RangeFact
        Ranges in water from the literature.
    production, production_source : str
        How it is made, and who says so.
    """

    name: str
    element: str
    z: int
    mass_number: int
    spin_parity: str
    half_life: Estimate = field(metadata=HIDDEN)
    q_value_kev: float
    betas: tuple[BetaBranch, ...]
    electrons: tuple[Line, ...]
    photons: tuple[Line, ...]
    capture_yield: float
    positron: Estimate = field(metadata=HIDDEN)
    conventions: Mapping[str, DoseConvention]
    imaging: tuple[ImagingMode, ...]
    ranges: tuple[RangeFact, ...]
    production: str
    production_source: str

    @property
    def half_life_s(self) -> float:
        """Half-life in s."""
        return self.half_life.value

    @property
    @reported
    def half_life_h(self) -> float:
        """Half-life in h."""
        return self.half_life.value / SECONDS_PER_HOUR

    @property
    def label(self) -> str:
        """The clinic's spelling: "90Y", "99mTc"."""
        symbol, number = self.name.split("-")
        return number + symbol

    @property
    @reported
    def positron_yield(self) -> float:
        """Positrons per decay."""
        return self.positron.value

    @property
    @reported
    def positron_yield_sd(self) -> float | None:
        """Standard uncertainty of the positrons per decay."""
        return self.positron.sd

    @property
    def beta_energy_mev(self) -> float:
        """Mean energy of beta particles per decay, MeV."""
        return math.fsum(b.yield_per_decay * b.mean_kev for b in self.betas) / 1e3

    @property
    @reported
    def electron_energy_mev(self) -> float:
        """Energy of beta, conversion, Auger and pair electrons (and positrons) per decay, MeV."""
        return self.beta_energy_mev + _energy_mev(self.electrons)

    @property
    def electron_energy(self) -> Estimate:
        """Electron energy per decay with its standard uncertainty, MeV.

        Branch yields always add up to one decay, so that a branch's yield counts with its distance from the mean energy
        of all branches; means of the branches and discrete lines are taken as independent.
        """
        total = sum(b.yield_per_decay for b in self.betas)
        mean = 1e3 * self.beta_energy_mev / total if total else 0.0
        variance = sum(
            (b.yield_per_decay * b.mean_sd_kev) ** 2 + (b.yield_sd * (b.mean_kev - mean)) ** 2 for b in self.betas
        )
        variance += sum(((line.yield_sd or 0.0) * line.energy_kev) ** 2 for line in self.electrons)
        return Estimate(self.electron_energy_mev, math.sqrt(variance) / 1e3)

    @property
    @reported
    def photon_energy_mev(self) -> float:
        """Energy of gamma, X and annihilation photons per decay, MeV; bremsstrahlung is not an emission."""
        return _energy_mev(self.photons)

    @property
    def decays_per_bq(self) -> float:
        """Decays of 1 Bq until nothing is left."""
        return decays_per_becquerel(self.half_life_s)

    def dose_constant_j_per_gbq(self, convention: str = "ensdf") -> float:
        """Energy of all decays of 1 GBq, J; the dose in Gy if it stays in 1 kg.

        Parameters
        ----------
        convention : str
            A key of `conventions`.

        Raises
        ------
        UnknownNameError
            For a convention that this nuclide does not have; the message lists those it has.
        """
        if convention not in self.conventions:
            raise UnknownNameError(f"dose convention for {self.name}", convention, self.conventions)
        return self.conventions[convention].j_per_gbq

    def range_mm(self, quantity: str) -> RangeFact | None:
        """Preferred value of a range, or None where the table has none."""
        return next((r for r in self.ranges if r.quantity == quantity), None)

    def _repr_html_(self) -> str:
        facts: list[tuple[str, Cell]] = [
            ("half-life, h", self.half_life / SECONDS_PER_HOUR),
            ("electrons per decay, MeV", self.electron_energy),
            ("photons per decay, MeV", self.photon_energy_mev),
            ("positrons per decay", self.positron_yield),
            ("made by", self.production),
            ("imaging", "; ".join(f"{i.mode}: {i.text}" for i in self.imaging)),
        ]
        constants = [(c.name, f"{c.j_per_gbq:.3f}", c.text, c.source) for c in self.conventions.values()]
        title = f"{self.label} ({self.element}-{self.mass_number})"
        tables = (
            Table.of(("", ""), facts, title),
            Table.of(("convention", "J/GBq", "meaning", "source"), constants, "Dose constants"),
        )
        return "".join(table._repr_html_() for table in tables)

    def __repr__(self) -> str:
        return (
            f"<Nuclide {self.name}: {self.half_life_h:.5g} h, {self.electron_energy_mev:.4f} MeV electrons and "
            f"{self.photon_energy_mev:.4f} MeV photons per decay, {self.dose_constant_j_per_gbq():.2f} J/GBq>"
        )


def nuclide(name: str | Nuclide) -> Nuclide:
    """Nuclide by name; a nuclide itself is returned as it is.

    Parameters
    ----------
    name : str or Nuclide
        "Y-90", "90Y", "y90", "yttrium-90"; case, hyphens, blanks and carets do not matter.

    Raises
    ------
    UnknownNameError
        If there is no such nuclide; the message lists those there are.

    Examples
    --------
    >>> nuclide("90Y").name
    'Y-90'
    """
    if isinstance(name, Nuclide):
        return name
    key = re.sub(r"[^a-z0-9]", "", name.lower())
    aliases = _aliases()
    if key not in aliases:
        raise UnknownNameError("nuclide", name, NUCLIDE_NAMES, why=_of_pet_alone(key))
    return _load(aliases[key])


def _of_pet_alone(key: str) -> str:
    """Why a nuclide of PET is none of therapy; empty for what is none of PET either."""
    from hepatica.nuclides.positron_emitters import emitter_named

    found = emitter_named(key)
    return "" if found is None else f"{found} is known to the simulation and reconstruction of PET alone"


NUCLIDE_NAMES = ("Y-90", "I-131", "Re-188", "Ho-166", "Lu-177", "Sm-153", "Re-186", "Tc-99m")
"""Names of the nuclides, in the order of tables."""


def _energy_mev(lines: Iterable[Line]) -> float:
    return math.fsum(line.energy_kev * line.yield_per_decay for line in lines) / 1e3


def _clinical() -> Mapping[str, Any]:
    return toml_table(__package__, "clinical.toml")


@functools.cache
def _aliases() -> dict[str, str]:
    aliases = {}
    for name in NUCLIDE_NAMES:
        symbol, number = name.lower().split("-")
        for word in (symbol, _clinical()[name]["element"]):
            aliases[word + number] = aliases[number + word] = name
    return aliases


def _table(name: str) -> tuple[dict[str, str], ...]:
    return csv_rows(__package__, name)


@functools.cache
def _load(name: str) -> Nuclide:
    row = next(row for row in _table("nuclides.csv") if row["name"] == name)
    clinical = _clinical()[name]
    betas, electrons, photons = _betas(name), _lines("electrons.csv", name), _lines("photons.csv", name)
    half_life = Estimate(float(row["half_life_s"]), float(row["half_life_sd_s"]))
    electron_mev = math.fsum(b.yield_per_decay * b.mean_kev for b in betas) / 1e3 + _energy_mev(electrons)
    j_per_mev = MEV_TO_J * decays_per_becquerel(half_life.value) * 1e9
    computed = [
        ("ensdf", electron_mev, "all electrons (beta, conversion, Auger), ENSDF energies and half-life"),
        ("ensdf-all", electron_mev + _energy_mev(photons), "all electrons and all photons, ENSDF"),
    ]
    conventions = [
        DoseConvention(key, mev * j_per_mev, text, "ENSDF through paceENSDF 0.6.3; see sources.toml", "computed")
        for key, mev, text in computed
    ] + [DoseConvention(**entry) for entry in clinical["conventions"]]
    return Nuclide(
        name=name,
        element=clinical["element"],
        z=int(row["z"]),
        mass_number=int(row["a"]),
        spin_parity=row["spin_parity"],
        half_life=half_life,
        q_value_kev=float(row["q_kev"]),
        betas=betas,
        electrons=electrons,
        photons=photons,
        capture_yield=float(row["capture_yield"]),
        positron=Estimate(float(row["positron_yield"]), float(row["positron_yield_sd"])),
        conventions=MappingProxyType({c.name: c for c in conventions}),
        imaging=tuple(_imaging(entry) for entry in clinical["imaging"]),
        ranges=tuple(
            RangeFact(r["quantity"], float(r["value_mm"]), r["source"], r["confidence"])
            for r in _table("ranges.csv")
            if r["nuclide"] == name
        ),
        production=clinical["production"]["text"],
        production_source=f"{clinical['production']['source']} ({clinical['production']['confidence']})",
    )


def _betas(name: str) -> tuple[BetaBranch, ...]:
    return tuple(
        BetaBranch(
            endpoint_kev=float(row["endpoint_kev"]),
            endpoint_sd_kev=float(row["endpoint_sd_kev"]),
            mean_kev=float(row["mean_kev"]),
            mean_sd_kev=float(row["mean_sd_kev"]),
            yield_per_decay=float(row["yield"]),
            yield_sd=float(row["yield_sd"]),
            daughter_z=int(row["daughter_z"]),
            level_kev=float(row["level_kev"]),
            forbiddenness=row["forbiddenness"],
            shape=row["shape"],
        )
        for row in _table("betas.csv")
        if row["nuclide"] == name
    )


def _lines(table: str, name: str) -> tuple[Line, ...]:
    return tuple(
        Line(
            energy_kev=float(row["energy_kev"]),
            yield_per_decay=float(row["yield"]),
            kind=row["kind"],
            energy_sd_kev=number(row["energy_sd_kev"]),
            yield_sd=number(row["yield_sd"]),
            origin=row["origin"],
        )
        for row in _table(table)
        if row["nuclide"] == name
    )


def _imaging(entry: Mapping[str, Any]) -> ImagingMode:
    return ImagingMode(
        mode=entry["mode"],
        text=entry["text"],
        windows_kev=tuple((w[0], w[1]) for w in entry["windows"]),
        scatter_windows_kev=tuple((w[0], w[1]) for w in entry.get("scatter_windows", ())),
        collimator=entry["collimator"],
        source=entry["source"],
        confidence=entry["confidence"],
    )
