"""Text with a unit, parsed once at the edge: command line, TOML, web. Inside hepatica numbers are plain floats."""

from __future__ import annotations

import functools
import math
import re
from datetime import datetime
from typing import Any

from hepatica.errors import TimeError, UnitError

# Spellings of the clinic that pint does not know or knows differently ("cc", "gy", "mCi/ml").
_SPELLINGS = {"cc": "mL", "ccm": "mL", "µ": "u", "μ": "u", "³": "**3", "²": "**2", "·": "*", "⋅": "*", "×": "*"}
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$")

_LONGEST_UNIT = 80
"""Characters; "MBq h / (mL kg)" has fifteen."""

_UNBOUNDED = re.compile(
    r"(\*\*|\^)\s*(?![-+]?\d{1,2}(?![\d.eE])|\([-+]?\d{1,2}\))"  # a power that is no small whole number
    r"|(\*\*|\^)[^*^/ ]*(\*\*|\^)"  # a power of a power
    r"|\)\s*(\*\*|\^).*\)\s*(\*\*|\^)|\)\s*(\*\*|\^)\s*[-+(]*\d\d"  # several of brackets, or a high one
    r"|\d{5}"
)
"""What pint would work out in whole numbers without end ("Gy**9**9**9")."""


_NOT_FOR = {
    "gray": ("sievert", "rem"),
    "becquerel": ("hertz", "revolutions_per_minute", "count", "cps", "counts_per_second"),
}
"""Units of the same dimension that mean something else: an equivalent dose is no absorbed dose, a count rate or a
frequency is no activity."""


@functools.cache
def _registry() -> Any:
    import pint

    registry: Any = pint.UnitRegistry(autoconvert_offset_to_baseunit=False)
    registry.define("cps = count / second")
    registry.define("lipiodol_mL = mL")
    registry.define("HU = [radiodensity]")
    return registry


USUAL_UNITS = {"Bq": "MBq"}
"""Unit in which a number is usually written, where its own is too small to be meant."""


def parse_quantity(text: str, unit: str, what: str = "value") -> float:
    """Number in `unit` from text with a unit.

    Parameters
    ----------
    text : str
        For example "2.1 GBq", "60mCi", "1.5 kg", "120 Gy".
    unit : str
        The unit wanted, for example "Bq".
    what : str
        Name for the message.

    Raises
    ------
    UnitError
        If there is no number, no unit, an unknown unit, or a unit of another dimension.

    Examples
    --------
    >>> parse_quantity("2.1 GBq", "MBq")
    2100.0
    """
    match = _NUMBER.match(text)
    if not match:
        raise UnitError(f"{what}: {text!r} is not a number with a unit, such as '1.5 {unit}'")
    number, unit_text = match.groups()
    if re.match(r",\d", unit_text):
        raise UnitError(f"{what}: {text!r} has a decimal comma; write a point")
    if not unit_text:
        usual = USUAL_UNITS.get(unit, unit)
        raise UnitError(f"{what}: {text!r} has no unit; write for example '{number} {usual}'")
    value = float(number) * unit_factor(unit_text, unit, what)
    if not math.isfinite(value):
        raise UnitError(f"{what}: {text!r} is not finite")
    return value


def unit_factor(unit_text: str, unit: str, what: str = "value") -> float:
    """How many `unit` one `unit_text` is.

    >>> unit_factor("MBq h", "Bq s")
    3600000000.0
    """
    import tokenize

    import pint

    for spelling, plain in _SPELLINGS.items():
        unit_text = (
            re.sub(rf"\b{spelling}\b", plain, unit_text)
            if spelling.isalpha() and spelling.isascii()
            else (unit_text.replace(spelling, plain))
        )
    if len(unit_text) > _LONGEST_UNIT or _UNBOUNDED.search(unit_text):
        shown = unit_text if len(unit_text) <= _LONGEST_UNIT else f"{unit_text[:_LONGEST_UNIT]}..."
        raise UnitError(f"{what}: unit {shown!r} is not known; expected one like {unit!r}")
    registry = _registry()
    try:
        given = registry.Quantity(1.0, unit_text.strip())
        factor = float(given.to(unit).magnitude)
    except pint.DimensionalityError as error:
        raise UnitError(f"{what}: {unit_text!r} cannot be converted to {unit}") from error
    except (
        pint.UndefinedUnitError,
        pint.errors.DefinitionSyntaxError,
        ValueError,
        TypeError,
        AttributeError,
        AssertionError,
        # What pint's reader lets out for text that is no expression: "0]", "1 Gy**(", "Gy//0".
        tokenize.TokenError,
        SyntaxError,
        ArithmeticError,
        LookupError,
    ) as error:
        raise UnitError(f"{what}: unit {unit_text!r} is not known; expected one like {unit!r}") from error
    _require_meaning(given, registry.Quantity(1.0, unit), f"{what}: {unit_text!r} cannot be taken as {unit}")
    # pint multiplies prefixes in binary floating point (1e6 * 3600 may end in ...0.0000004): take the decimal meant.
    return float(f"{factor:.14g}")


def _require_meaning(given: Any, wanted: Any, message: str) -> None:
    """Raise UnitError if a unit has the right dimension and the wrong meaning (pint takes Sv for Gy and Hz for Bq)."""
    wanted_units, offered = ([str(name) for name, _ in quantity.unit_items()] for quantity in (wanted, given))
    for name, others in _NOT_FOR.items():
        if not any(unit.endswith(name) for unit in wanted_units):
            continue
        if any(unit.endswith(others) for unit in wanted_units):
            continue
        wrong = [unit for unit in offered if unit.endswith(others)]
        if wrong:
            raise UnitError(f"{message}: {wrong[0]} is not {name}, though of the same dimension")


def parse_fraction(text: str, what: str = "fraction") -> float:
    """Fraction 0 to 1 from "0.05" or "5 %".

    Raises
    ------
    UnitError
        If it is not a number, or lies outside 0 to 1: a bare "5" is refused, since it may mean 5 %.

    Examples
    --------
    >>> parse_fraction("5 %")
    0.05
    """
    percent = text.strip().endswith("%")
    try:
        value = float(text.strip().removesuffix("%")) / (100 if percent else 1)
    except ValueError:
        raise UnitError(f"{what}: {text!r} is not a fraction; write 0.05 or '5 %'") from None
    if not 0 <= value <= 1:
        hint = f"; if you mean percent, write '{text.strip()} %'" if not percent and 1 < value <= 100 else ""
        raise UnitError(f"{what}: {text!r} lies outside 0 to 1{hint}")
    return value


def parse_time(text: str, what: str = "time") -> datetime:
    """Instant from ISO 8601 text, with or without a zone ("2026-03-02T14:30", "2026-03-02 14:30+01:00").

    Raises
    ------
    TimeError
        If it is not an ISO date with a time.
    """
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError:
        value = None
    if value is None or len(text.strip()) <= len("2026-03-02"):
        raise TimeError(f"{what}: {text!r} is not a date with a time, such as 2026-03-02T14:30:00") from None
    return value
