"""Reading the text tables of this room."""

from __future__ import annotations

import csv
import tomllib
from importlib import resources
from typing import Any

_FOLDER = resources.files("hepatica.nuclides") / "tables"


def csv_rows(name: str) -> list[dict[str, str]]:
    """Rows of a CSV table by column name; lines that start with # are comments."""
    lines = (_FOLDER / name).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if line and not line.startswith("#")))


def toml_table(name: str) -> dict[str, Any]:
    """A TOML table."""
    return tomllib.loads((_FOLDER / name).read_text(encoding="utf-8"))


def number(text: str) -> float | None:
    """Float, or None from an empty cell."""
    return float(text) if text else None
