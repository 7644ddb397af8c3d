"""Agents: what carries a nuclide into the hepatic artery, each fact with its source and how well it is known."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from hepatica.core.tables.shipped import toml_table
from hepatica.core.tables.table import Table
from hepatica.errors import InputError, UnknownNameError
from hepatica.nuclides.dose_limits import DoseLimit, limits_of
from hepatica.nuclides.nuclide import Nuclide, nuclide

FactValue = float | str | tuple[float, ...] | None

_UNITS = {
    "_um": "um",
    "_g_ml": "g/mL",
    "_mbq_mg": "MBq/mg",
    "_per_cm_gbq": "GBq/cm",
    "_gbq": "GBq",
    "_bq": "Bq",
    "_ml": "mL",
    "_mg": "mg",
    "_percent_48h": "% in 48 h",
    "_percent": "%",
    "_h": "h",
}
_COUNTS = {"spheres_per_mg": "1/mg", "spheres_per_gbq": "1/GBq", "spheres_per_treatment": "", "vials_gbq": "GBq"}


Intent = Literal["segmentectomy", "lobectomy", "unilobar", "bilobar", "whole-liver"]
Indication = Literal["HCC", "ICC", "mCRC", "other"]


@dataclass(frozen=True, slots=True)
class Fact:
    """A value with its source.

    Attributes
    ----------
    value : float, str, tuple of float or None
        None where there is none (see `confidence`); a pair of numbers is a range, unless the name is plural.
    unit : str
        Empty for text.
    source : str
        Where it was read, or why it is not there.
    confidence : str
        How well it is known: a word of `hepatica.core.numbers.confidence` ("read at the source", ...).
    """

    value: FactValue
    unit: str
    source: str
    confidence: str

    def __str__(self) -> str:
        if self.value is None:
            return self.confidence
        if isinstance(self.value, tuple):
            separator = "–" if len(self.value) == 2 else ", "
            text = separator.join(_plain(number) for number in self.value)
        else:
            text = _plain(self.value) if isinstance(self.value, float) else self.value
        return f"{text} {self.unit}".strip()


@dataclass(frozen=True, slots=True)
class Agent:
    """A product or preparation that carries a nuclide.

    Attributes
    ----------
    name : str
        "glass", "ho166-plla", "maa".
    product : str
        Trade name or usual name.
    nuclide_name : str
        "Y-90".
    form : str
        "microspheres", "lipiodol", "gel complex", "albumin aggregates".
    purpose : str
        "therapy", "scout" or "surrogate".
    status : str
        "approved" (somewhere: the fact "approval" says where and for what), "investigational", "pre-clinical" or
        "withdrawn".
    prescription : str
        Id of the rule that sets the activity: "glass-single-compartment", "resin-bsa or partition",
        "ho166-whole-liver", "fixed-activity", "activity-per-diameter", "organ-limit" or "none" (no rule known).
    imaging : tuple of str
        Modes that show where it is; the nuclide says how.
    facts : mapping of str to Fact
        Everything else: sphere size, density, activity per sphere, vials, calibration, approval and more.
    limits : tuple of DoseLimit
        Goals and limits of absorbed dose; those of every agent last.
    """

    name: str
    product: str
    nuclide_name: str
    form: str
    purpose: str
    status: str
    prescription: str
    imaging: tuple[str, ...]
    facts: Mapping[str, Fact]
    limits: tuple[DoseLimit, ...]

    @property
    def nuclide(self) -> Nuclide:
        """The nuclide it carries."""
        return nuclide(self.nuclide_name)

    def fact(self, name: str) -> Fact:
        """Fact by name.

        Raises
        ------
        UnknownNameError
            If nothing was ever looked up under that name; the message lists what was.
        """
        if name not in self.facts:
            raise UnknownNameError(f"fact of {self.name}", name, self.facts)
        return self.facts[name]

    def limits_for(self, structure: str) -> tuple[DoseLimit, ...]:
        """Goals and limits of one kind of structure."""
        return tuple(limit for limit in self.limits if limit.structure == structure)

    def facts_table(self) -> Table:
        """Every fact with its source and how well that is known."""
        rows = [(fact_label(name), str(f), f.source, f.confidence) for name, f in self.facts.items()]
        return Table.of(("fact", "value", "source", "confidence"), rows, f"{self.name}: {self.product}", "facts")

    def limits_table(self) -> Table:
        """Goals (>=) and limits (<=) of mean absorbed dose."""
        rows = [
            (x.structure.replace("_", " "), f"{x.comparison} {x.dose_gy:g}", x.condition, x.source, x.confidence)
            for x in self.limits
        ]
        columns = ("structure", "mean dose, Gy", "when", "source", "confidence")
        return Table.of(columns, rows, "Mean absorbed dose: goals (>=) and limits (<=)", "limits")

    def _repr_html_(self) -> str:
        tables = (self.facts_table(), *([self.limits_table()] if self.limits else []))
        return "".join(table._repr_html_() for table in tables)

    def __repr__(self) -> str:
        return f"<Agent {self.name}: {self.product}, {self.nuclide.label} {self.form}, {self.purpose}>"


AGENT_NAMES = (
    "glass",
    "resin",
    "ho166-plla",
    "ho166-scout",
    "ho166-chitosan",
    "ho166-alginate",
    "ho166-oxine-lipiodol",
    "i131-lipiodol",
    "i131-hcus-plga",
    "re188-hdd-lipiodol",
    "re188-dedc-lipiodol",
    "re188-sss-lipiodol",
    "re188-hsa",
    "sm153-microspheres",
    "lu177-microspheres",
    "re186-microspheres",
    "maa",
)
"""Names of the agents, in the order of tables."""


def agent(name: str | Agent) -> Agent:
    """Agent by name, product or alias; an agent itself is returned as it is.

    Parameters
    ----------
    name : str or Agent
        "glass", "TheraSphere", "90Y glass"; case, hyphens and blanks do not matter.

    Raises
    ------
    UnknownNameError
        If there is no such agent; the message lists those there are.

    Examples
    --------
    >>> agent("theraSphere").name
    'glass'
    """
    if isinstance(name, Agent):
        return name
    key = _key(name)
    if key not in _aliases():
        raise UnknownNameError("agent", name, AGENT_NAMES)
    return _load(_aliases()[key])


def require_carried(agent_name: str | Agent, nuclide_name: str | Nuclide) -> None:
    """InputError if an agent of the table carries another nuclide; a word that is no agent of it ("lipiodol") passes.

    Raises
    ------
    UnknownNameError
        For an unknown nuclide.

    Examples
    --------
    >>> require_carried("glass", "Ho-166")
    Traceback (most recent call last):
    hepatica.errors.InputError: glass carries Y-90, not Ho-166: there is no 166Ho glass
    """
    wanted = nuclide(nuclide_name)
    if not isinstance(agent_name, Agent) and _key(agent_name) not in _aliases():
        return
    carrier = agent(agent_name)
    if carrier.nuclide_name != wanted.name:
        raise InputError(
            f"{carrier.name} carries {carrier.nuclide_name}, not {wanted.name}: "
            f"there is no {wanted.label} {carrier.name}"
        )


def is_same_agent(first: str, second: str) -> bool:
    """Whether two words name one agent; "lipiodol" and other forms name every agent of that form.

    Examples
    --------
    >>> is_same_agent("TheraSphere", "glass"), is_same_agent("lipiodol", "i131-lipiodol")
    (True, True)
    >>> is_same_agent("glass", "resin")
    False
    """
    one, other = (_aliases().get(_key(word)) for word in (first, second))
    if one is not None and other is not None:
        return one == other
    if one is None and other is None:
        return _key(first) == _key(second)
    known, word = (one, second) if one is not None else (other, first)
    return known is not None and _key(agent(known).form) == _key(word)


def spheres_per_mg(diameter_um: float, density_g_ml: float) -> float:
    """Number of solid spheres in a milligram.

    >>> round(spheres_per_mg(25.0, 3.3))
    37040
    """
    return 1e9 / (density_g_ml * math.pi / 6 * diameter_um**3)


def fact_label(name: str) -> str:
    """Name of a fact for a reader: the unit stands beside the value.

    >>> fact_label("vial_volume_ml")
    'vial volume'
    """
    if name not in _COUNTS or name == "vials_gbq":
        name = name.removesuffix(next((ending for ending in _UNITS if name.endswith(ending)), ""))
    return name.replace("_", " ").replace("gbq", "GBq")


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _plain(number: float) -> str:
    return f"{number:.6g}" if abs(number) < 1e5 else f"{number / 1e6:.4g} million"


@functools.cache
def _table() -> dict[str, dict[str, Any]]:
    merged: dict[str, dict[str, Any]] = {}
    for file in ("glass", "resin", "holmium", "iodine_rhenium", "others"):
        merged |= toml_table(__package__, f"agents/{file}.toml")
    return merged


@functools.cache
def _aliases() -> dict[str, str]:
    return {
        _key(word): name
        for name in AGENT_NAMES
        for word in (name, _table()[name]["product"], *_table()[name]["aliases"])
    }


@functools.cache
def _load(name: str) -> Agent:
    entry = _table()[name]
    return Agent(
        name=name,
        product=entry["product"],
        nuclide_name=entry["nuclide"],
        form=entry["form"],
        purpose=entry["purpose"],
        status=entry["status"],
        prescription=entry["prescription"],
        imaging=tuple(entry["imaging"]),
        facts=MappingProxyType({key: _fact(key, fact) for key, fact in entry["facts"].items()}),
        limits=limits_of(name) if entry["purpose"] == "therapy" else (),
    )


def _fact(name: str, entry: Mapping[str, Any]) -> Fact:
    value = entry.get("value")
    if isinstance(value, list):
        value = tuple(float(number) for number in value)
    if isinstance(value, str) or value is None:
        return Fact(value, "", entry["source"], entry["confidence"])
    unit = _COUNTS.get(name) or next((u for ending, u in _UNITS.items() if name.endswith(ending)), "")
    return Fact(value, unit, entry["source"], entry["confidence"])
