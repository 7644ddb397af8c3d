"""Values as JSON documents, and the schema of the documents: both made from the fields of dataclasses, written once.

A dataclass becomes an object of its fields and of those properties that are marked `reported`. A field that is no part
of the document is ``field(metadata=HIDDEN)``; one whose own fields stand in its place is ``field(metadata=INLINE)``. An
`Estimate` ``dose_gy`` becomes ``dose_gy`` and ``dose_gy_sd``. Numbers are finite or null. A class with another shape of
its own has ``as_document()``, and ``document_schema()`` beside it.
"""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from hepatica.core.numbers.estimate import Estimate

F = TypeVar("F", bound=Callable[..., Any])

HIDDEN: Mapping[str, Any] = types.MappingProxyType({"document": "hidden"})
"""Metadata of a field that is no part of the document (voxels, functions)."""

INLINE: Mapping[str, Any] = types.MappingProxyType({"document": "inline"})
"""Metadata of a field whose own fields stand in its place."""


def reported(function: F) -> F:
    """Mark what a property computes as part of the document (below ``@property``)."""
    function.__reported__ = True  # type: ignore[attr-defined]
    return function


def document(value: Any) -> Any:
    """A value as JSON holds it: objects, lists, text, true and false, finite numbers or null.

    Raises
    ------
    TypeError
        If a value has no form in JSON: a programming error, no fault of an input.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Enum):
        return document(value.value)
    if value is None or isinstance(value, str | bool | int):
        return value
    for kind, plain in _PLAIN_FORMS:
        if isinstance(value, kind):
            return plain(value)
    return document(value.as_document()) if hasattr(value, "as_document") else _container(value)


_PLAIN_FORMS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    ((datetime, date), lambda value: value.isoformat()),
    (Path, str),
    (Estimate, lambda value: {"value": document(value.value), "sd": document(value.sd)}),
)


def _container(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _object(value)
    if isinstance(value, Mapping):
        return {_key(key): document(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return document(value.tolist())
    if isinstance(value, Sequence | set | frozenset):
        return [document(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _key(key: Any) -> str:
    """Key of a mapping as text; 95.0 is "95"."""
    return f"{key:g}" if isinstance(key, float) else str(document(key))


def _object(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    cls: Any = type(value)
    for name, mode in _members(cls):
        item = getattr(value, name)
        if mode == "inline":
            found |= {} if item is None else document(item)
        elif mode == "estimate" and item is None:
            found |= {name: None, f"{name}_sd": None}
        elif isinstance(item, Estimate):
            found |= {name: document(item.value), f"{name}_sd": document(item.sd)}
        else:
            found[name] = document(item)
    return found


@functools.cache
def _members(cls: type) -> tuple[tuple[str, str], ...]:
    """Names of what a class reports, each with how: "plain" or "inline"."""
    own = [(f.name, f.metadata.get("document", "plain")) for f in fields(cls)]
    names = (*((name, mode) for name, mode in own if mode != "hidden"), *((name, "plain") for name in _reported(cls)))
    hints = _hints(cls)
    return tuple(
        (name, "estimate" if Estimate in (hints[name], *get_args(hints[name])) else mode) for name, mode in names
    )


def _hints(cls: type) -> dict[str, Any]:
    """Types of fields and of reported properties."""
    hints = get_type_hints(cls, include_extras=True)
    return hints | {name: get_type_hints(getattr(cls, name).fget)["return"] for name in _reported(cls)}


def _reported(cls: type) -> Iterator[str]:
    seen: set[str] = set()
    for base in reversed(cls.__mro__):
        for name, item in vars(base).items():
            if isinstance(item, property) and hasattr(item.fget, "__reported__") and name not in seen:
                seen.add(name)
                yield name


def document_schema(hint: Any) -> dict[str, Any]:
    """JSON schema of the documents of a type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return document_schema(arguments[0])
    if origin is Union or isinstance(hint, types.UnionType):
        choices = [document_schema(item) for item in arguments]
        return choices[0] if len(choices) == 1 else {"anyOf": choices}
    if origin is Literal:
        return {"enum": [document(item) for item in arguments]}
    if isinstance(hint, type) and hasattr(hint, "document_schema"):
        return dict(hint.document_schema())
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    container = origin or hint
    return _container_schema(container, arguments) if isinstance(container, type) else {}


def _container_schema(container: type, arguments: tuple[Any, ...]) -> dict[str, Any]:
    if issubclass(container, Enum):
        return {"enum": [document(item) for item in container]}
    if issubclass(container, Mapping):
        return {"type": "object"} | ({"additionalProperties": document_schema(arguments[1])} if arguments else {})
    if issubclass(container, tuple) and arguments and Ellipsis not in arguments:
        return {"type": "array", "prefixItems": [document_schema(item) for item in arguments], "items": False}
    if issubclass(container, Sequence | set | frozenset):
        return {"type": "array"} | ({"items": document_schema(arguments[0])} if arguments else {})
    return _object_schema(container) if is_dataclass(container) else {}


_PLAIN: Mapping[Any, Mapping[str, Any]] = {
    None: {"type": "null"},
    type(None): {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": ["number", "null"]},
    str: {"type": "string"},
    Path: {"type": "string"},
    datetime: {"type": "string"},
    date: {"type": "string"},
    Estimate: {"type": "object", "required": ["value", "sd"]},
}


def _object_schema(cls: type) -> dict[str, Any]:
    hints = _hints(cls)
    properties: dict[str, Any] = {}
    open_ended = False
    for name, mode in _members(cls):
        hint = hints[name]
        if mode == "inline":
            inner = document_schema(hint)
            open_ended |= "anyOf" in inner or "properties" not in inner
            properties |= inner.get("properties", {})
        elif mode == "estimate":
            properties |= {name: {"type": ["number", "null"]}, f"{name}_sd": {"type": ["number", "null"]}}
        else:
            properties[name] = document_schema(hint)
    return {
        "type": "object",
        "properties": properties,
        "required": [] if open_ended else list(properties),
        "additionalProperties": open_ended,
    }
