"""What an option can be: a type with, where the type does not say it, a unit, limits or a way to read it from text."""

from __future__ import annotations

import copyreg
import math
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hepatica.core.numbers.units import parse_fraction, parse_quantity, parse_time
from hepatica.errors import InputError, UnitError, UnknownNameError


def read_only(value: Mapping[Any, Any]) -> MappingProxyType[Any, Any]:
    """A copy of a mapping that nobody can change."""
    return MappingProxyType(dict(value))


def _as_pickled(value: MappingProxyType[Any, Any]) -> tuple[Callable[..., Any], tuple[dict[Any, Any]]]:
    return read_only, (dict(value),)


# Options and results go to other processes and are copied; the standard library can do neither with a mappingproxy.
copyreg.pickle(MappingProxyType, _as_pickled)


@dataclass(frozen=True, slots=True)
class Unit:
    """Unit of a number whose name does not end in it; "fraction" reads 0.05 and "5 %"."""

    name: str


@dataclass(frozen=True, slots=True)
class Limits:
    """Range of a number; `above` and `below` exclude the limit itself."""

    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    def allow(self, value: float) -> bool:
        """Whether a number is finite and within."""
        return math.isfinite(value) and self.low <= value <= self.high and self.above < value < self.below

    def __str__(self) -> str:
        if self.high == self.below == math.inf:
            return (
                "positive"
                if self.above == 0
                else f"at least {self.low:g}"
                if self.above < 0
                else f"above {self.above:g}"
            )
        low = f"above {self.above:g}" if self.above > -math.inf else f"from {self.low:g}"
        return f"{low} to {'below ' if self.below < math.inf else ''}{min(self.high, self.below):g}"


@dataclass(frozen=True, slots=True)
class Text:
    """How a value of a type of its own is read from text; `form` shows what is expected ("NAME=ROLE").

    With `whole` the function is given the list of all texts of a repeated option, else each text alone.
    """

    parse: Callable[[Any], Any]
    form: str
    whole: bool = False


Positive = Annotated[float, Limits(above=0)]
NonNegative = Annotated[float, Limits(low=0)]
Fraction = Annotated[float, Unit("fraction"), Limits(low=0, high=1)]

_UNITS = {
    "cps_per_mbq": "cps/MBq", "gy_per_gbq": "Gy/GBq", "per_gy": "1/Gy", "per_ml": "1/mL", "bq_per_g": "Bq/g",
    "bq_ml": "Bq/mL", "mbq_ml": "MBq/mL", "mbq_mg": "MBq/mg", "g_ml": "g/mL", "mg_dl": "mg/dL", "g_dl": "g/dL",
    "umol_l": "umol/L", "g_l": "g/L", "usv_per_h": "uSv/h", "gbq": "GBq", "mbq": "MBq", "kbq": "kBq", "bq": "Bq",
    "msv": "mSv", "gy": "Gy", "mm": "mm", "cm": "cm", "m": "m", "um": "um", "kg": "kg", "g": "g", "ml": "mL",
    "kev": "keV", "mev": "MeV", "days": "day", "d": "day", "h": "h", "s": "s", "hu": "HU", "cps": "cps",
    "deg": "degree",
}  # fmt: skip
"""Ends of names that are units; longer ones first."""


def unit_of(name: str) -> tuple[str, str]:
    """Name without its unit, and the unit; "" where the name has none.

    >>> unit_of("administered_bq"), unit_of("camera_cps_per_mbq"), unit_of("iterations")
    (('administered', 'Bq'), ('camera', 'cps/MBq'), ('iterations', ''))
    """
    for end, unit in _UNITS.items():
        if name.endswith(f"_{end}"):
            return name.removesuffix(f"_{end}"), unit
    return name, ""


@dataclass(frozen=True, slots=True)
class Form:
    """What an option holds, taken from its annotation.

    Attributes
    ----------
    base : type
        bool, int, float, str, Path, datetime, or ``object`` for a type of its own (then `text` reads it).
    unit : str
        Of a float.
    choices : tuple
        Allowed words; beside them a number may stand (``Literal["activity", "ct"] | float``).
    limits : Limits or None
        Of a number.
    many : bool
        Whether it may be given several times.
    count : int or None
        How many numbers stand in one value ("1 x 1 x 3 mm").
    optional : bool
        Whether it may be None.
    text : Text or None
        Own reader.
    words_too : bool
        Of a path: whether text stands for itself and not for a path ("en", or a file).
    mixed : bool
        Whether it may also be a value that no text names (a dose or a dose map).
    """

    base: type
    unit: str = ""
    choices: tuple[Any, ...] = ()
    limits: Limits | None = None
    many: bool = False
    count: int | None = None
    optional: bool = False
    text: Text | None = None
    words_too: bool = False
    mixed: bool = False

    @property
    def word(self) -> str:
        """What a reader is asked for: "quantity in mm", "path", the choices."""
        if self.text is not None:
            return self.text.form
        kinds = {bool: "yes or no", int: "whole number", str: "text", Path: "path", datetime: "instant"}
        number = "fraction" if self.unit == "fraction" else f"quantity in {self.unit}" if self.unit else "number"
        plain = number if self.base is float else kinds.get(self.base, "value")
        if not self.choices:
            return plain
        words = ", ".join(str(choice) for choice in self.choices)
        return f"{words}, or a {plain}" if self.base is float else words

    def read(self, given: Any, label: str) -> Any:
        """Value from text (or from what TOML holds); errors name it by `label`."""
        if self.text is not None and self.text.whole:
            return self.text.parse(given if isinstance(given, list) else [given])
        if self.many:
            return tuple(self._one(item, label) for item in (given if isinstance(given, list) else [given]))
        if self.count is not None:
            return self._several(given, label)
        return self._one(given, label)

    def _one(self, given: Any, label: str) -> Any:
        if self.text is not None:
            return self.text.parse(given)
        if isinstance(given, list | dict):
            raise InputError(f"{label} is one {self.word}, not {given!r}")
        if self.choices:
            by_word = {str(choice): choice for choice in self.choices}
            if str(given) in by_word:
                return by_word[str(given)]
            if self.base is not float or not re.match(r"\s*[-+.\d]", str(given)):
                raise UnknownNameError(label, str(given), by_word)
        return _READERS[self.base](given, self.unit, label)

    def _several(self, given: Any, label: str) -> tuple[float, ...]:
        if isinstance(given, list):
            parts = [str(item) for item in given]
        else:
            *numbers, last = str(given).replace(" x ", ",").replace("×", ",").split(",")
            unit = re.sub(r"^[-+.\deE]+", "", last.strip()).strip()
            parts = [f"{item.strip()} {unit}".strip() for item in (*numbers, last.strip().removesuffix(unit))]
        if len(parts) == 1 and self.unit:
            parts *= self.count or 1
        if len(parts) != self.count:
            raise InputError(f"{label}: {given!r} holds {len(parts)} numbers; {self.count} are needed")
        return tuple(self._one(part, label) for part in parts)

    def check(self, value: Any, name: str) -> None:
        """InputError unless a value from Python is what the option holds."""
        if value is None and self.optional:
            return
        value = self._each(value)
        if self.many or self.count is not None:
            if isinstance(value, str) or not isinstance(value, Sequence):
                value = (value,)
            if self.count is not None and self.text is None and len(value) != self.count:
                raise InputError(f"`{name}` is {self.count} numbers, not {len(value)}")
            for item in value:
                replace(self, many=False, count=None).check(item, name)
            return
        if self.choices and value in self.choices:
            return
        if self.choices and self.base is not float:
            raise UnknownNameError(f"`{name}`", str(value), [str(choice) for choice in self.choices])
        if self.base in (int, float) and self.text is None:
            self._check_number(value, name)
        if self.text is None and self.base in _KINDS and not isinstance(value, _KINDS[self.base]):
            raise InputError(f"`{name}` is {_KIND_NAMES[self.base]}, not {value!r}")

    def settled(self, value: Any) -> Any:
        """The value as it is kept: a tuple of what may be repeated, a path where one was named, a copy of a mapping."""
        if isinstance(value, dict):
            return read_only(value)
        if self.text is not None or value is None:
            return value
        value = self._each(value)
        if self.many or self.count is not None:
            items = value if isinstance(value, list | tuple) else (value,) if isinstance(value, _PLAIN) else value
            return tuple(self._plain(item) for item in items) if isinstance(items, tuple | list) else items
        return self._plain(value)

    def _each(self, value: Any) -> Any:
        """One number with a unit stands for as many: a cube's edge, as in text."""
        alone = self.count is not None and self.unit and isinstance(value, int | float)
        return (value,) * (self.count or 1) if alone else value

    def _plain(self, value: Any) -> Any:
        if self.base is int and not isinstance(value, int | str) and hasattr(value, "__int__"):
            return int(value)  # 1e5 is a whole number, which `check` has made sure of
        return Path(value) if self.base is Path and isinstance(value, str) and not self.words_too else value

    def _check_number(self, value: Any, name: str) -> None:
        if isinstance(value, bool) or not hasattr(value, "__float__") or isinstance(value, str):
            kind = f"a number in {self.unit}" if self.unit and self.unit != "fraction" else "a number"
            if self.choices:
                raise UnknownNameError(f"`{name}` ({kind}, or a word)", str(value), map(str, self.choices))
            raise UnitError(f"`{name}` is {kind}, not {value!r}")
        if self.limits is not None and not self.limits.allow(float(value)):
            raise InputError(f"`{name}` must be {self.limits}, not {value:g}")
        if not math.isfinite(float(value)):
            raise InputError(f"`{name}` must be finite, not {value}")
        if self.base is int and float(value) != int(value):
            raise InputError(f"`{name}` is a whole number, not {value:g}")


def form_of(name: str, hint: Any) -> Form:
    """What a field or parameter holds, from its name and annotation (with `Annotated` kept)."""
    found = _Reader(name)
    found.take(hint)
    return found.form()


class _Reader:
    """Walks an annotation and gathers what it says."""

    def __init__(self, name: str) -> None:
        self.unit = unit_of(name)[1]
        self.choices: list[Any] = []
        self.bases: list[type] = []
        self.limits: Limits | None = None
        self.text: Text | None = None
        self.many = self.optional = False
        self.count: int | None = None

    def take(self, hint: Any) -> None:
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is Annotated:
            for extra in arguments[1:]:
                self._extra(extra)
            self.take(arguments[0])
        elif origin is Union or isinstance(hint, types.UnionType):
            for item in arguments:
                self.take(item)
        elif hint is type(None):
            self.optional = True
        elif origin is Literal:
            self.choices += arguments
            self.bases += [type(item) for item in arguments if not self.bases]
        elif origin in (tuple, list) or (isinstance(origin, type) and issubclass(origin, Sequence)):
            self._sequence(origin, arguments)
        elif isinstance(hint, type):
            self.bases.append(hint)
        elif origin is not None and isinstance(origin, type):
            self.bases.append(origin)

    def _extra(self, extra: Any) -> None:
        if isinstance(extra, Unit):
            self.unit = extra.name
        elif isinstance(extra, Limits):
            self.limits = extra
        elif isinstance(extra, Text):
            self.text = extra

    def _sequence(self, origin: Any, arguments: tuple[Any, ...]) -> None:
        plain = [item for item in arguments if item is not Ellipsis]
        if origin is tuple and Ellipsis not in arguments:
            self.count = len(plain)
            self.take(plain[0])
        else:
            before = len(self.bases)
            self.take(plain[0])
            new = self.bases[before:]
            # A sequence of things that no text can name (regions) does not make a path repeatable.
            self.many = self.many or any(item in _PLAIN for item in new) or self.text is not None

    def form(self) -> Form:
        bases = self.bases
        base = next((kind for kind in (Path, float, datetime, bool, int, str) if kind in bases), object)
        if self.text is not None:
            base = object
        return Form(
            base, self.unit if base in (float, object) else "", tuple(self.choices), self.limits, self.many, self.count,
            self.optional, self.text, Path in bases and str in bases,
            any(kind not in (*_PLAIN, bool) for kind in bases),
        )  # fmt: skip


_KINDS: Mapping[type, type] = {datetime: datetime, bool: bool, str: str}
_KIND_NAMES: Mapping[type, str] = {datetime: "an instant (datetime)", bool: "True or False", str: "text"}

_PLAIN = (Path, float, int, str, datetime)


def is_options(hint: Any) -> bool:
    """Whether an annotation is a class of options."""
    return isinstance(hint, type) and is_dataclass(hint) and "__options__" in vars(hint)


def word_of(name: str) -> str:
    """The word of a front end for a field: without its unit."""
    return unit_of(name)[0]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _bool(given: Any, _unit: str, label: str) -> bool:
    if isinstance(given, bool):
        return given
    words = {"true": True, "yes": True, "false": False, "no": False}
    if str(given).lower() not in words:
        raise InputError(f"{label}: {given!r} is neither true nor false")
    return words[str(given).lower()]


def _int(given: Any, _unit: str, label: str) -> int:
    number = _float(given, "", label)
    if number != int(number):
        raise InputError(f"{label}: {given!r} is not a whole number")
    return int(number)


def _float(given: Any, unit: str, label: str) -> float:
    if unit == "fraction":
        return parse_fraction(str(given), label)
    if unit:
        return parse_quantity(str(given), unit, label)
    if isinstance(given, bool) or not _is_number(text := str(given)):
        raise InputError(f"{label}: {given!r} is not a number")
    return float(text)


def _instant(given: Any, _unit: str, label: str) -> datetime:
    return given if isinstance(given, datetime) else parse_time(str(given), label)


_READERS: Mapping[type, Callable[[Any, str, str], Any]] = {
    bool: _bool,
    int: _int,
    float: _float,
    str: lambda given, _unit, _label: str(given),
    object: lambda given, _unit, _label: given,
    Path: lambda given, _unit, _label: Path(str(given)),
    datetime: _instant,
}
