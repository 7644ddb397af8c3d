"""Real-world value mapping: what a stored value means in a stated unit (DICOM PS3.3, C.7.6.16.2.11).

The mapping is a statement of its own beside RescaleSlope: it takes *stored* values to a unit that a code names. It may
have several ranges, each with its slope, and a file may hold mappings to several units.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind
from hepatica.core.message import Message
from hepatica.errors import UnitError
from hepatica.io.dicom.tags import Header

KEYWORD = "RealWorldValueMappingSequence"

SAME_SCALE = 1e-3
"""Two slopes that differ by less than this are one: they were rounded differently."""

_PER_VOLUME = {"ml": 1.0, "cc": 1.0, "cm3": 1.0, "l": 1e-3, "dm3": 1e-3, "mm3": 1e3, "ul": 1e3}
_PREFIX = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True, slots=True)
class Range:
    """Stored values from `first` to `last`, and the line that takes them to the unit; None where no limit is stated."""

    first: float | None
    last: float | None
    slope: float
    intercept: float


@dataclass(frozen=True, slots=True)
class RealWorld:
    """A mapping of stored values to one unit.

    Attributes
    ----------
    kind : Kind
        What the unit measures; UNKNOWN for one that hepatica does not use.
    factor : float
        From the unit to hepatica's unit of `kind`.
    unit : str
        As the file writes it.
    ranges : tuple of Range
        In the order of the file.
    where : str
        File and attribute, for messages.
    """

    kind: Kind
    factor: float
    unit: str
    ranges: tuple[Range, ...]
    where: str

    @property
    def line(self) -> tuple[float, float]:
        """Slope and intercept in hepatica's unit, of a mapping with one range.

        Raises
        ------
        UnitError
            If it has several.
        """
        if len({(r.slope, r.intercept) for r in self.ranges}) > 1:
            raise UnitError(f"{self.where}: has {len(self.ranges)} ranges with different slopes: not read here")
        return self.ranges[0].slope * self.factor, self.ranges[0].intercept * self.factor

    def apply(self, stored: NDArray[Any]) -> tuple[NDArray[np.float64], tuple[Message, ...]]:
        """Values in hepatica's unit, and what to know of stored values outside the range.

        Raises
        ------
        UnitError
            If stored values lie in none of several ranges, or in two that contradict each other.
        """
        if len(self.ranges) == 1:
            slope, intercept = self.line
            found = self.ranges[0]
            outside = 0
            if found.first is not None and found.last is not None and found.first < found.last:
                outside = int(((stored < found.first) | (stored > found.last)).sum())
            notes: tuple[Message, ...] = ()
            if outside:
                text = (
                    f"{outside} stored values lie outside those that {KEYWORD} maps, {found.first:g} to "
                    f"{found.last:g}: the same slope is taken for them"
                )
                notes = (Message("outside-mapped-range", text),)
            return np.asarray(stored * slope + intercept, dtype=np.float64), notes
        values = np.full(stored.shape, np.nan)
        for r in self.ranges:
            if r.first is None or r.last is None:
                raise UnitError(f"{self.where}: has several ranges, one of them without its first or last value")
            here = (stored >= r.first) & (stored <= r.last)
            mapped = stored[here] * (r.slope * self.factor) + r.intercept * self.factor
            before = values[here]
            again = ~np.isnan(before)
            if again.any() and not np.allclose(before[again], mapped[again], rtol=SAME_SCALE, atol=0):
                raise UnitError(f"{self.where}: two ranges overlap and give one stored value two values")
            values[here] = mapped
        bad = int(np.isnan(values).sum())
        if bad:
            raise UnitError(f"{self.where}: {bad} stored values lie in none of its {len(self.ranges)} ranges")
        return values, ()


def real_worlds(header: Header) -> tuple[RealWorld, ...]:
    """Mappings of a file or of the item of a functional group, one for each unit; empty if there are none.

    Raises
    ------
    UnitError
        If a mapping is a table, or has no unit.
    DicomError
        If its slope is missing or zero.
    """
    by_unit: dict[str, list[Range]] = {}
    for item in header.items(KEYWORD):
        code = item.item("MeasurementUnitsCodeSequence")
        unit = "" if code is None else code.text("CodeValue") or code.text("LongCodeValue") or code.text("CodeMeaning")
        if not unit:
            raise UnitError(
                f"{header.path}: {KEYWORD}: MeasurementUnitsCodeSequence: missing, so its unit is not known"
            )
        if "RealWorldValueLUTData" in item:
            raise UnitError(f"{header.path}: {KEYWORD}: RealWorldValueLUTData: values by a table are not read")
        slope = item.required_number("RealWorldValueSlope")
        if slope == 0:
            raise item.error("RealWorldValueSlope", "is 0: all values would be lost")
        first, last = (_limit(item, end) for end in ("First", "Last"))
        found = Range(first, last, slope, item.number("RealWorldValueIntercept") or 0.0)
        if found not in by_unit.setdefault(unit, []):
            by_unit[unit].append(found)
    return tuple(
        RealWorld(*unit_of_code(unit), unit, tuple(ranges), f"{header.path}: {KEYWORD} ({unit})")
        for unit, ranges in by_unit.items()
    )


def only(worlds: Sequence[RealWorld], kind: Kind) -> RealWorld | None:
    """The mapping to a unit of this kind; None if there is none.

    Raises
    ------
    UnitError
        If mappings to two units of the kind contradict each other.
    """
    fitting = [world for world in worlds if world.kind is kind]
    for other in fitting[1:]:
        if len(fitting[0].ranges) > 1 or not same_line(fitting[0].line, other.line):
            raise UnitError(f"{fitting[0].where}: contradicts the mapping to {other.unit}")
    return fitting[0] if fitting else None


def same_line(a: tuple[float, float], b: tuple[float, float]) -> bool:
    """Whether two pairs of slope and intercept give the same values."""
    # An intercept counts against the slope: as many stored values as it moves the line.
    return abs(a[0] - b[0]) <= SAME_SCALE * abs(a[0]) and abs(a[1] - b[1]) <= max(
        0.5 * abs(a[0]), SAME_SCALE * abs(a[1])
    )


def unit_of_code(text: str) -> tuple[Kind, float]:
    """What a unit's code measures, and the factor to hepatica's unit; UNKNOWN for one that is not used.

    >>> unit_of_code("kBq/ml"), unit_of_code("{counts}")[0].name, unit_of_code("g/ml{SUVbw}")[0].name
    ((<Kind.ACTIVITY_CONCENTRATION: ('activity concentration', 'Bq/mL', False)>, 1000.0), 'COUNTS', 'UNKNOWN')
    """
    plain = re.sub(r"[\s{}\[\]]", "", text)
    if match := re.fullmatch(
        r"([kKMG]?)[Bb][Qq](?:/|\.)?(ml|cc|cm3|dm3|l|mm3|ul)(?:-1)?", re.sub("(ML|mL|L)$", _lower, plain)
    ):
        return Kind.ACTIVITY_CONCENTRATION, _PREFIX[match[1]] * _PER_VOLUME[match[2]]
    if re.fullmatch(r"(counts?|cnts?|cts?)", plain, re.IGNORECASE):
        return Kind.COUNTS, 1.0
    if re.fullmatch(r"(cps|(counts?|cnts?|cts?)/s)", plain, re.IGNORECASE):
        return Kind.COUNT_RATE, 1.0
    if plain.lower() in ("hu", "hnsf'u"):
        return Kind.HU, 1.0
    return Kind.UNKNOWN, 1.0


def meaning(unit: str) -> str:
    """A unit's name with what it is, where that helps: "g/ml{SUVbw} (SUV)"."""
    return f"{unit!r} (SUV)" if "suv" in unit.lower() else repr(unit)


def _lower(match: re.Match[str]) -> str:
    return match[0].lower()


def _limit(item: Header, end: str) -> float | None:
    stated = item.number(f"RealWorldValue{end}ValueMapped")
    return item.number(f"DoubleFloatRealWorldValue{end}ValueMapped") if stated is None else stated
