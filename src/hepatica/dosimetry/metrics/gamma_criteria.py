"""When two doses agree: the criteria of the gamma index, as a user states them."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from hepatica.core.numbers.units import parse_fraction, parse_quantity
from hepatica.core.options import Text, options
from hepatica.errors import InputError


class Criteria(NamedTuple):
    """Of the gamma index: a dose in percent and a distance."""

    dose_percent: float
    distance_mm: float

    def __str__(self) -> str:
        return f"{self.dose_percent:g}%/{self.distance_mm:g}mm"


def parse_criteria(text: str) -> Criteria:
    """Criteria from text.

    >>> parse_criteria("3%/3mm")
    Criteria(dose_percent=3.0, distance_mm=3.0)

    Raises
    ------
    InputError
        If it is not of that form.
    """
    dose, slash, distance = text.partition("/")
    if not slash:
        raise InputError(f"`gamma`: {text!r} is not of the form '3%/3mm'")
    if not dose.strip().endswith("%"):
        raise InputError(f"`gamma`: {dose!r} is not a percentage, as in '3%/3mm'")
    return Criteria(100 * parse_fraction(dose, "`gamma`"), parse_quantity(distance, "mm", "`gamma`"))


@options
class GammaOptions:
    """When two doses agree.

    Attributes
    ----------
    gamma : Criteria
        Dose and distance of the gamma index: '3%/3mm'.
    local : bool
        Dose criterion as a share of the local dose, not of the maximum.
    """

    gamma: Annotated[Criteria, Text(parse_criteria, "DOSE%/DISTANCE mm")] = Criteria(3.0, 3.0)
    local: bool = False
