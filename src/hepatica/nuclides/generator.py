"""Radionuclide generators: what grows in after an elution.

>>> round(generator("Re-188").fraction_of_equilibrium(40 * 3600), 3)
0.801
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from hepatica.core import Estimate
from hepatica.core.tables.shipped import csv_rows
from hepatica.errors import TimeError, UnknownNameError
from hepatica.nuclides.nuclide import Nuclide, nuclide


@dataclass(frozen=True, slots=True)
class Generator:
    """A parent that decays into a daughter that is eluted.

    Attributes
    ----------
    parent : str
        "W-188".
    parent_half_life : Estimate
        In s.
    daughter : Nuclide
        What is eluted.
    branching : float
        Fraction of the parent's decays that feed the daughter.

    References
    ----------
    .. [1] Bateman H. The solution of a system of differential equations occurring in the theory of radioactive
       transformations. Proc Cambridge Phil Soc 1910;15:423.
    """

    parent: str
    parent_half_life: Estimate
    daughter: Nuclide
    branching: float

    def daughter_activity(self, elapsed_s: float, *, parent_bq: float = 1.0, daughter_bq: float = 0.0) -> float:
        """Activity of the daughter in Bq after `elapsed_s`.

        Parameters
        ----------
        elapsed_s : float
            Time since the elution, s; not negative.
        parent_bq, daughter_bq : float
            Activities at that elution (what the elution left of the daughter).
        """
        slow, fast = self._constants()
        _require_later(elapsed_s)
        grown = -math.expm1(-(fast - slow) * elapsed_s) * math.exp(-slow * elapsed_s) * fast / (fast - slow)
        return self.branching * parent_bq * grown + daughter_bq * math.exp(-fast * elapsed_s)

    def fraction_of_equilibrium(self, elapsed_s: float) -> float:
        """Daughter activity over that of transient equilibrium with the parent at the same time, from nothing."""
        slow, fast = self._constants()
        _require_later(elapsed_s)
        return -math.expm1(-(fast - slow) * elapsed_s)

    @property
    def time_of_maximum_s(self) -> float:
        """When the daughter's activity is largest after a complete elution, s."""
        slow, fast = self._constants()
        return math.log(fast / slow) / (fast - slow)

    def _constants(self) -> tuple[float, float]:
        """Decay constants of parent and daughter, 1/s."""
        return math.log(2) / self.parent_half_life.value, math.log(2) / self.daughter.half_life_s


def generator(name: str) -> Generator:
    """Generator of a daughter.

    Parameters
    ----------
    name : str
        Parent ("W-188") or daughter ("Re-188").

    Raises
    ------
    UnknownNameError
        If there is no such generator; the message lists those there are.
    """
    known = _generators()
    key = "".join(c for c in name.lower() if c.isalnum())
    for found in known:
        if key in {_plain(found.parent), _plain(found.daughter.name), _plain(found.daughter.label)}:
            return found
    raise UnknownNameError("generator", name, [f"{g.parent}/{g.daughter.name}" for g in known])


def _plain(name: str) -> str:
    return name.lower().replace("-", "")


@functools.cache
def _generators() -> tuple[Generator, ...]:
    return tuple(
        Generator(
            row["name"],
            Estimate(float(row["half_life_s"]), float(row["half_life_sd_s"])),
            nuclide(row["daughter"]),
            float(row["branching"]),
        )
        for row in csv_rows(__package__, "parents.csv")
    )


def _require_later(elapsed_s: float) -> None:
    if not elapsed_s >= 0:
        raise TimeError(f"time since the elution must not be negative, but is {elapsed_s} s")
