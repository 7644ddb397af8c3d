"""What a plan takes because nobody stated it: each with its value and where the value comes from."""

from __future__ import annotations

from dataclasses import dataclass

from hepatica.core.message import Message


@dataclass(frozen=True, slots=True)
class Assumption:
    """One value that was not stated and had to be taken.

    Attributes
    ----------
    quantity : str
        What it is of.
    value : float or str
        What was taken.
    unit : str
        Of the value; empty for a fraction.
    source : str
        Why this value.
    """

    quantity: str
    value: float | str
    unit: str
    source: str

    def message(self) -> Message:
        """The same for the reader of a result."""
        taken = self.value if isinstance(self.value, str) else f"{self.value:.4g}"
        number = f"{taken} {self.unit}".rstrip()
        return Message("assumed", f"assumed, as it is not stated: {self.quantity} {number} ({self.source})", "", "note")


REFERENCE_LUNG_MASS_KG = 1.0
"""Mass behind the lung limits of the labels."""

LUNG_MASS = Assumption("lung mass", REFERENCE_LUNG_MASS_KG, "kg", "the mass behind the lung limits of the labels")
NO_SHUNT = Assumption("lung shunt", 0.0, "", "nothing reaches the lungs")
NO_RESIDUAL = Assumption("residual", 0.0, "", "nothing stays in vial and tubing")
