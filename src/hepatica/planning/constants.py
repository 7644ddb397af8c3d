"""The dose constant a plan rests on: energy of all decays of 1 GBq, under the convention that was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hepatica.errors import PhysicsError

if TYPE_CHECKING:
    from hepatica.nuclides import Nuclide


@dataclass(frozen=True, slots=True)
class DoseConstant:
    """Energy that all decays of 1 GBq leave where they happen; the same number is the dose in Gy of 1 GBq in 1 kg.

    Attributes
    ----------
    j_per_gbq : float
        Energy in J per GBq, local deposition, every decay in place.
    nuclide : str
        "Y-90".
    convention : str
        Which of the published values ("label" 50, "mird" 49.67, "ensdf" from the decay data).
    half_life_s : float
        Physical half-life in s.
    """

    j_per_gbq: float
    nuclide: str
    convention: str
    half_life_s: float

    def __post_init__(self) -> None:
        if not self.j_per_gbq > 0 or not self.half_life_s > 0:
            raise PhysicsError(f"dose constant of {self.nuclide}: energy and half-life must be positive")

    def retained(self, effective_half_life_s: float | None) -> float:
        """J per GBq where activity leaves with an effective half-life (s); None for permanent trapping.

        Raises
        ------
        PhysicsError
            If the effective half-life is not positive or is longer than the physical one.
        """
        if effective_half_life_s is None:
            return self.j_per_gbq
        if not 0 < effective_half_life_s <= self.half_life_s * (1 + 1e-9):
            raise PhysicsError(
                f"effective half-life {effective_half_life_s / 3600:g} h: must be positive and no longer than "
                f"the physical one of {self.nuclide} ({self.half_life_s / 3600:g} h)"
            )
        return self.j_per_gbq * effective_half_life_s / self.half_life_s

    @property
    def text(self) -> str:
        """For example "mird: 49.67 J/GBq (Y-90)"."""
        return f"{self.convention}: {self.j_per_gbq:.5g} J/GBq ({self.nuclide})"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"name": self.convention, "nuclide": self.nuclide, "dose_constant_j_per_gbq": self.j_per_gbq}


def dose_constant(nuclide: Nuclide, convention: str) -> DoseConstant:
    """The constant of a nuclide under a named convention; an unknown name is an error that lists the known ones."""
    return DoseConstant(nuclide.dose_constant_j_per_gbq(convention), nuclide.name, convention, nuclide.half_life_s)
