"""Taking identity out of a value of any class: its fields, and theirs, all the way down; arrays stay what they are."""

from __future__ import annotations

import copy
import functools
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, get_args, get_origin, get_type_hints, runtime_checkable

from hepatica.core.privacy.anonymiser import Anonymiser, path_names
from hepatica.core.privacy.identity import Identity
from hepatica.core.privacy.secret import Secret
from hepatica.core.privacy.words import title_words

T = TypeVar("T")

PERSON_FIELDS = frozenset({"patient", "patient_id", "patient_name"})
"""Text in a field of this name is a patient."""

PATH_FIELDS = frozenset({"path", "paths"})
"""Text in a field of this name is a path."""

AGE_FIELD, MAX_AGE_YEARS = "age_years", 90.0
"""Ages over 89 are rare enough to tell who it is; all of them become 90 (45 CFR 164.514(b)(2)(i)(C))."""

PUBLISHED = ("hepatica.nuclides.", "hepatica.transport.")
"""Rooms whose values hold published data and nobody's."""


@runtime_checkable
class KnowsHow(Protocol):
    """A value that takes its own identity out."""

    def anonymised(self, anonymiser: Anonymiser) -> Any:
        """The same without identity."""


def anonymiser_for(value: Any, secret: Secret, patient: str = "") -> Anonymiser:
    """What takes identity out of a value: all names, identifiers and paths that are anywhere in it are looked up first.

    Parameters
    ----------
    value : object
        A result.
    secret : Secret
        The key.
    patient : str
        Whose it is, where no file says.

    Raises
    ------
    InputError
        As `Anonymiser.of`.
    """
    identities: list[Identity] = []
    paths: dict[str, str] = {}
    for name, item, owner in _all_within(value, set()):
        if isinstance(item, Identity):
            identities.append(item)
        elif isinstance(item, Path):
            paths.setdefault(str(item), "file")
        elif not isinstance(item, str) or not item:
            continue
        elif name == "patient_name":
            identities.append(Identity(people=(item,)))
        elif name in PERSON_FIELDS:
            # A patient may be called by name too ("Doe^Jane" on a sheet).
            is_name = not any(letter.isdecimal() for letter in item)
            identities.append(Identity(patient_id=item, people=(item,) if is_name else ()))
        elif name in PATH_FIELDS:
            paths[item] = str(getattr(owner, "role", "file"))
    names = tuple(sorted({name for path in paths for name in path_names(path)}))
    return Anonymiser.of(secret, [*identities, Identity(codes=names)], paths, patient)


def _all_within(value: Any, seen: set[int], name: str = "", owner: Any = None) -> Iterator[tuple[str, Any, Any]]:
    """Every text, path and identity within a value, with the field that holds it and the field's owner."""
    if isinstance(value, str | Path | Identity):
        yield name, value, owner
        return
    if _is_plain(value) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _all_within(key, seen)
            yield from _all_within(item, seen)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _all_within(item, seen, name, owner)
    elif is_dataclass(value) and not type(value).__module__.startswith(PUBLISHED):
        if isinstance(identity := getattr(value, "identity", None), Identity):
            yield "identity", identity, value
        for entry in fields(value):
            if "anonymous" in entry.metadata and isinstance(text := getattr(value, entry.name), str):
                words = title_words(text) if entry.metadata["may_name"] else ()
                yield "identity", Identity(texts=(text,), people=words), value
            yield from _all_within(getattr(value, entry.name), seen, entry.name, value)


@functools.cache
def _closed(cls: type) -> frozenset[str]:
    """Fields that hold one of a few words, or a message's code: words of programs, whatever a patient is called."""
    try:
        hints = get_type_hints(cls)
    except NameError:
        # A type that only type checkers know; then texts are texts.
        return frozenset({"code"})
    closed = {
        name for name, hint in hints.items() if any(get_origin(part) is Literal for part in (hint, *get_args(hint)))
    }
    return frozenset(closed | {"code"})


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | bytes | Enum | type | types.FunctionType)


def anonymised(value: T, anonymiser: Anonymiser) -> T:
    """A value without identity; what holds none is the same object, arrays always."""
    found: T = _Walk(anonymiser).clean(value)
    return found


class _Walk:
    """One pass over a value; an object that is met twice is made once."""

    def __init__(self, anonymiser: Anonymiser) -> None:
        self._by = anonymiser
        # The old object is kept too: its id must not be given to another.
        self._made: dict[tuple[int, str], tuple[Any, Any]] = {}

    def clean(self, value: Any) -> Any:
        if _is_plain(value):
            return value
        if isinstance(value, str):
            return self._by.text(value)
        if isinstance(value, datetime):
            return self._by.instant(value)
        if isinstance(value, date):
            return self._by.day(value)
        if isinstance(value, Path):
            return Path(self._by.path(str(value)))
        key = (id(value), self._by.patient)
        if key not in self._made:
            self._made[key] = (value, self._container(value))
        return self._made[key][1]

    def _container(self, value: Any) -> Any:
        if isinstance(value, KnowsHow):
            return value.anonymised(self._by)
        if isinstance(value, dict | types.MappingProxyType):
            made: dict[Any, Any] = {}
            for key, item in value.items():
                made[self._key(key, made)] = self._item(key, item)
            same = all(a is b for a, b in zip((*made, *made.values()), (*value, *value.values()), strict=True))
            return value if same else made if isinstance(value, dict) else types.MappingProxyType(made)
        if isinstance(value, list | tuple | set | frozenset):
            items = [self.clean(item) for item in value]
            if all(a is b for a, b in zip(items, value, strict=True)):
                return value
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        if is_dataclass(value) and not type(value).__module__.startswith(PUBLISHED):
            return self._dataclass(value)
        return value

    def _key(self, key: Any, made: dict[Any, Any]) -> Any:
        """A key without identity; two that differed only in that stay two."""
        clean = self.clean(key)
        return f"{clean} {self._by.secret.short(key, 4)}" if clean in made and isinstance(key, str) else clean

    def _item(self, key: Any, item: Any) -> Any:
        is_age = key == AGE_FIELD and isinstance(item, int | float)
        return min(item, MAX_AGE_YEARS) if is_age else self.clean(item)

    def _dataclass(self, value: Any) -> Any:
        outer = self._by
        person = next((getattr(value, f.name) for f in fields(value) if f.name in ("patient_id", "patient")), "")
        if isinstance(person, str):
            self._by = outer.of_patient(person)
        try:
            changed = {
                entry.name: made
                for entry in fields(value)
                if (made := self._field(value, entry, getattr(value, entry.name))) is not getattr(value, entry.name)
            }
        finally:
            self._by = outer
        if not changed:
            return value
        # Copied, not built anew: the values were checked when they were made, and derived ones must not change.
        made = copy.copy(value)
        for name, item in changed.items():
            object.__setattr__(made, name, item)
        return made

    def _field(self, owner: Any, entry: Any, value: Any) -> Any:
        if entry.name == AGE_FIELD and isinstance(value, int | float):
            return min(value, MAX_AGE_YEARS)
        cls: Any = type(owner)
        if isinstance(value, str) and entry.name in _closed(cls):
            return value
        if "anonymous" in entry.metadata and isinstance(value, str):
            return entry.metadata["anonymous"] if value else value
        if entry.name == "patient_name" and isinstance(value, str):
            return self._by.name(value, getattr(owner, "patient_id", ""))
        if entry.name in PERSON_FIELDS and isinstance(value, str):
            return self._by.person(value)
        if entry.name in PATH_FIELDS and isinstance(value, str):
            return self._by.path(value)
        return self.clean(value)
