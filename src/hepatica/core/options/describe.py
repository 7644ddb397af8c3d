"""All options of a verb with their help: command line, TOML, schema and reference page are made from them."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from hepatica.core.options.declare import hints_of
from hepatica.core.options.kinds import Form, form_of, is_options, word_of

HANDED_IN = ("progress", "live_view")
"""Parameters of verbs that a caller hands in and nobody types."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a verb.

    Attributes
    ----------
    path : tuple of str
        Parameter of the verb, then fields down to the option.
    form : Form
        What it holds.
    default : Any
        Value without it; `dataclasses.MISSING` if it is required.
    help : str
        One sentence or two, from the numpydoc line.
    group : str
        Heading: what the class of options says of itself; empty for the verb's own parameters.
    """

    path: tuple[str, ...]
    form: Form
    default: Any
    help: str
    group: str

    @property
    def name(self) -> str:
        """Name of the field, with its unit."""
        return self.path[-1]

    @property
    def word(self) -> str:
        """Word of the front ends, without the unit."""
        return word_of(self.name)

    @property
    def is_flag(self) -> bool:
        """Whether it is said by its name alone."""
        return self.form.base is bool and self.default is False

    @property
    def holds(self) -> str:
        """What a reader is asked for: "quantity in mm; repeat", the choices, "flag"."""
        return "flag" if self.is_flag else f"{self.form.word}; repeat" if self.repeated else self.form.word

    @property
    def repeated(self) -> bool:
        """Whether it may be given several times."""
        return self.form.many or (self.form.text is not None and self.form.text.whole)

    @property
    def shown_default(self) -> str:
        """Value without it, as a reader writes it; empty where nothing is taken, or the help says what."""
        if self.required or self.default in (None, (), False, "") or isinstance(self.default, Mapping):
            return ""
        values = self.default if isinstance(self.default, list | tuple) else (self.default,)
        if self.form.text is not None and not all(isinstance(value, str | int) for value in values):
            return ""
        shown = [_in_words(value) for value in values]
        unit = "" if self.form.unit == "fraction" or isinstance(values[0], str) else self.form.unit
        same = self.form.count is not None and len(set(shown)) == 1
        return " ".join(part for part in (shown[0] if same else ", ".join(shown), unit) if part)

    @property
    def required(self) -> bool:
        """Whether the verb cannot run without it."""
        return self.default is MISSING


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(plain(value))


@functools.cache
def options_of(verb: Callable[..., Any]) -> tuple[Option, ...]:
    """All options of a verb, its own parameters first, then those of each class of options."""
    function = inspect.unwrap(verb)
    hints = hints_of(function)
    helps = _helps(function)
    own: list[Option] = []
    grouped: list[Option] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in HANDED_IN:
            continue
        hint = hints[parameter.name]
        if is_options(hint):
            grouped += _fields(hint, (parameter.name,))
        else:
            default = MISSING if parameter.default is parameter.empty else parameter.default
            form = form_of(parameter.name, hint)
            own.append(Option((parameter.name,), form, default, helps.get(parameter.name, ""), ""))
    return (*own, *grouped)


def _fields(cls: type, path: tuple[str, ...]) -> list[Option]:
    """Options of a class, and of the classes within it."""
    hints, helps, group = hints_of(cls), _helps(cls), first_line(cls).rstrip(".")
    found: list[Option] = []
    for item in fields(cls):
        hint, here = hints[item.name], (*path, item.name)
        if is_options(hint):
            found += _fields(hint, here)
            continue
        default = item.default if item.default_factory is MISSING else item.default_factory()
        found.append(Option(here, form_of(item.name, hint), default, helps.get(item.name, ""), group))
    return found


def first_line(thing: Any) -> str:
    """First line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


@functools.cache
def _helps(thing: Any) -> dict[str, str]:
    """Help of each parameter or attribute from a numpydoc docstring, "a, b : float" for both."""
    text = inspect.getdoc(thing) or ""
    match = re.search(r"^(?:Parameters|Attributes)\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}$|\Z)", text, re.S | re.M)
    helps: dict[str, str] = {}
    if match is None:
        return helps
    for head, body in re.findall(r"^(\S[^\n]*)\n((?:[ \t]+[^\n]*\n?|\n)*)", match[1], re.M):
        sentence = " ".join(body.split())
        for name in head.partition(":")[0].split(","):
            helps[name.strip()] = sentence
    return helps


def parameters(*given: Any, **named: Any) -> dict[str, Any]:
    """Plain values of options for a provenance, by name with unit; what was not said (None, empty) is left out."""
    found: dict[str, Any] = {}
    for value in given:
        for item in fields(value):
            inner = getattr(value, item.name)
            if is_options(type(inner)):
                found |= parameters(inner)
            else:
                named.setdefault(item.name, inner)
    found |= {name: plain(value) for name, value in named.items() if value is not None and value not in ((), {})}
    return found


def plain(value: Any) -> Any:
    """A value of an option as JSON holds it."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return plain(value.value)
    if hasattr(value, "as_document") and not isinstance(value, type):
        return plain(value.as_document())
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        return value.item()
    return str(value) if isinstance(value, Path) or not isinstance(value, str | int | float | bool | None) else value
