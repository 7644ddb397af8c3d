"""What a MetaImage or an NRRD header says of units and of scaling, which ITK reads over.

MetaIO's "ElementToIntensityFunction" takes a stored element to an intensity; NRRD's "space units" and MetaIO's
"DistanceUnits" say in what the spacing and the origin are given.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from hepatica.core.message import Message
from hepatica.errors import GeometryError, InputError, UnitError

LONGEST_HEADER = 64 * 1024
"""More bytes than this are no header of a volume."""

_LENGTHS_MM = {
    "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "cm": 10.0, "centimeter": 10.0, "centimetre": 10.0,
    "m": 1000.0, "meter": 1000.0, "metre": 1000.0, "um": 1e-3, "µm": 1e-3, "micron": 1e-3, "micrometer": 1e-3,
    "micrometre": 1e-3, "dm": 100.0, "inch": 25.4, "in": 25.4,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlainHeader:
    """Unit of length and scaling of the voxels.

    Attributes
    ----------
    length_mm : float
        The unit of spacing and origin, in mm.
    slope, offset : float
        A voxel is ``slope * stored + offset``.
    messages : tuple of Message
        What was converted.
    """

    length_mm: float = 1.0
    slope: float = 1.0
    offset: float = 0.0
    messages: tuple[Message, ...] = ()


def plain_header(path: Path) -> PlainHeader:
    """Unit of length and scaling of a MetaImage or NRRD file; the usual ones for another.

    Raises
    ------
    GeometryError
        If the unit of length is unknown, or not one for all axes.
    UnitError
        If the scaling is no scaling, or of a kind that is not read.
    """
    name = path.name.lower()
    if name.endswith((".mha", ".mhd")):
        return _metaimage(path, _fields(path, "="))
    if name.endswith(".nrrd"):
        return _nrrd(path, _fields(path, ":"))
    return PlainHeader()


def _fields(path: Path, mark: str) -> dict[str, str]:
    """Keys in lower case without spaces, and values, up to where the voxels begin."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(LONGEST_HEADER)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    found: dict[str, str] = {}
    for line in raw.split(b"\n"):
        text = line.decode("utf-8", "replace").strip()
        if not text and mark == ":":
            break
        key, there, value = text.partition(mark)
        if there:
            plain = key.strip().lower().replace(" ", "")
            found.setdefault(plain, value.removeprefix("=").strip())
            if plain == "elementdatafile":
                break
    return found


def _metaimage(path: Path, fields: dict[str, str]) -> PlainHeader:
    length, notes = _length(path, "DistanceUnits", [fields.get("distanceunits", "mm")])
    slope, offset = (
        _number(
            path, f"ElementToIntensityFunction{part}", fields.get(f"elementtointensityfunction{part.lower()}", usual)
        )
        for part, usual in (("Slope", "1"), ("Offset", "0"))
    )
    if slope == 0:
        raise UnitError(f"{path}: ElementToIntensityFunctionSlope: is 0: all values would be lost")
    if (slope, offset) != (1, 0):
        text = f"ElementToIntensityFunctionSlope {slope:g} and -Offset {offset:g} are applied to the stored values"
        notes += (Message("intensity-scaled", text, severity="note"),)
    return PlainHeader(length, slope, offset, notes)


def _nrrd(path: Path, fields: dict[str, str]) -> PlainHeader:
    for key in ("oldmin", "oldmax"):
        if key in fields:
            raise UnitError(
                f"{path}: {key[:3]} {key[3:]}: the values are quantised, which is not read; save them as they are"
            )
    key = "space units" if "spaceunits" in fields else "units"
    stated = [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', fields.get(key.replace(" ", ""), ""))]
    length, notes = _length(path, key, [unit for unit in stated if unit.lower() not in ("", "none", "???")])
    return PlainHeader(length, messages=notes)


def _length(path: Path, key: str, stated: list[str]) -> tuple[float, tuple[Message, ...]]:
    """A unit of length in mm, and what is said where it is not the millimetre."""
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


def _number(path: Path, key: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UnitError(f"{path}: {key}: {text!r} is not a number")
    return number
