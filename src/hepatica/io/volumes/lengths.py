"""Units of length that a MetaImage ("DistanceUnits") or an NRRD header ("space units") states."""

from __future__ import annotations

from pathlib import Path

from hepatica.core.message import Message
from hepatica.errors import GeometryError

_LENGTHS_MM = {
    "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "cm": 10.0, "centimeter": 10.0, "centimetre": 10.0,
    "m": 1000.0, "meter": 1000.0, "metre": 1000.0, "um": 1e-3, "µm": 1e-3, "micron": 1e-3, "micrometer": 1e-3,
    "micrometre": 1e-3, "dm": 100.0, "inch": 25.4, "in": 25.4,
}  # fmt: skip


def length_in_mm(path: Path, key: str, stated: list[str]) -> tuple[float, tuple[Message, ...]]:
    """A unit of length in mm, and what is said where it is not the millimetre.

    Raises
    ------
    GeometryError
        If it is unknown, or not one for all axes.
    """
    factors = set()
    for unit in stated:
        word = unit.strip().lower()
        factor = _LENGTHS_MM.get(word) or _LENGTHS_MM.get(word.removesuffix("s"))
        if word == "?":
            factor = 1.0
        if factor is None:
            raise GeometryError(f"{path}: {key}: {unit!r} is no unit of length that is known (mm, cm, m, um)")
        factors.add(factor)
    if len(factors) > 1:
        raise GeometryError(f"{path}: {key}: {', '.join(stated)}: one unit of length is needed for all axes")
    factor = factors.pop() if factors else 1.0
    if factor == 1:
        return 1.0, ()
    text = f"{key} is {stated[0]}: spacing and origin are turned into mm"
    return factor, (Message("length-converted", text, severity="note"),)
