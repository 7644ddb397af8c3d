"""Provenance as rows to print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def provenance_rows(provenance: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Sections of (label, text): software, inputs with hashes, parameters, tables, conventions, steps."""
    sections: list[tuple[str, list[tuple[str, str]]]] = []
    plain = [
        (str(key), str(value)) for key, value in provenance.items() if not isinstance(value, Mapping | list | tuple)
    ]
    if plain:
        sections.append(("Software", plain))
    for key, value in provenance.items():
        title = str(key).replace("_", " ").capitalize()
        if isinstance(value, Mapping) and value:
            sections.append((title, [(str(k), _text(v)) for k, v in value.items()]))
        elif isinstance(value, list | tuple) and value:
            sections.append((title, [_numbered(n, entry) for n, entry in enumerate(value, start=1)]))
    return sections


def _numbered(n: int, entry: Any) -> tuple[str, str]:
    if isinstance(entry, Mapping):
        rest = dict(entry)
        label = str(rest.pop("role", n))
        return label, "; ".join(f"{key} {_text(value)}" for key, value in rest.items())
    return str(n), _text(entry)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(inner) for inner in value)
    return str(value)
