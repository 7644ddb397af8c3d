"""A stated value beside the one that the plan's own files hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hepatica.core.document import reported
from hepatica.core.message import Message

COVERAGE = 2.0
"""Standard uncertainties by which two values of one thing may differ (95 %)."""

CONTRADICTION = 2.0
"""Beyond this factor one of two values is wrong, whatever their uncertainties."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A quantity by both ways.

    Attributes
    ----------
    quantity : str
        Key of the plan file.
    where : str
        Territory and lesion; empty for the patient.
    stated, measured : float
        Both values.
    unit : str
        Of both; empty for a ratio or fraction.
    sd : float
        Standard uncertainty of their difference, same unit.
    used : str
        "measured" or "stated".
    source : str
        What holds the measured one.
    reason : str
        Why the stated one is used; empty otherwise.
    beside : str
        File of an earlier result that holds the stated value; empty where the plan states it.
    """

    quantity: str
    where: str
    stated: float
    measured: float
    unit: str
    sd: float
    used: Literal["measured", "stated"]
    source: str
    reason: str = ""
    beside: str = ""

    @property
    @reported
    def differs(self) -> bool:
        """Whether they differ by more than their uncertainty."""
        return abs(self.stated - self.measured) > COVERAGE * self.sd

    @property
    @reported
    def contradicts(self) -> bool:
        """Whether one of them must be wrong."""
        low, high = sorted((self.stated, self.measured))
        return self.differs and high > CONTRADICTION * low

    def message(self) -> Message:
        """Both numbers, and which is used."""
        unit = f" {self.unit}" if self.unit else ""
        place = f" ({self.where})" if self.where else ""
        by = f"is in {self.beside}" if self.beside else "is stated"
        value = self.stated if self.used == "stated" else self.measured
        text = (
            f"{self.quantity.replace('_', ' ')}{place}: {self.stated:.4g}{unit} {by}, {self.measured:.4g}{unit} is in "
            f"{self.source}; {value:.4g}{unit} is used" + (f" ({self.reason})" if self.reason else "")
        )
        return Message(
            "stated-contradicts-measured" if self.contradicts else "stated-differs",
            text,
            "find out which is wrong and correct it",
            "critical" if self.contradicts else "warning",
        )
