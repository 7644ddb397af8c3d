"""Text tables in a folder ``tables`` beside the code that reads them: CSV with a commented head, and TOML."""

from __future__ import annotations

import csv
import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any


def table_text(package: str, name: str) -> str:
    """Text of a table; `name` may lead into a folder ("agents/glass.toml")."""
    return (resources.files(package) / "tables" / name).read_text(encoding="utf-8")


@functools.cache
def csv_rows(package: str, name: str) -> tuple[dict[str, str], ...]:
    """Rows of a CSV table by column name; empty lines and lines that start with # are comments."""
    lines = table_text(package, name).splitlines()
    return tuple(csv.DictReader(line for line in lines if line and not line.startswith("#")))


@functools.cache
def toml_table(package: str, name: str) -> Mapping[str, Any]:
    """A TOML table."""
    return tomllib.loads(table_text(package, name))


def number(text: str) -> float | None:
    """Float, or None from an empty cell."""
    return float(text) if text else None
