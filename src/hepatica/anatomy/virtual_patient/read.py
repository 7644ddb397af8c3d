"""Reading the text tables of the virtual patient."""

from __future__ import annotations

import csv
import functools
import tomllib
from importlib import resources
from typing import Any

_FOLDER = resources.files("hepatica.anatomy.virtual_patient") / "tables"


@functools.cache
def csv_rows(name: str) -> tuple[dict[str, str], ...]:
    """Rows of a CSV table by column name; lines that start with # are comments."""
    lines = (_FOLDER / name).read_text(encoding="utf-8").splitlines()
    return tuple(csv.DictReader(line for line in lines if line and not line.startswith("#")))


@functools.cache
def toml_table(name: str) -> dict[str, Any]:
    """A TOML table."""
    return tomllib.loads((_FOLDER / name).read_text(encoding="utf-8"))


@functools.cache
def reference_masses_g(sex: str) -> dict[str, float]:
    """Mass of each organ of the reference adult, g."""
    return {row["organ"]: float(row[f"{sex}_g"]) for row in csv_rows("reference_masses.csv")}


@functools.cache
def hounsfield(phase: str) -> dict[str, float]:
    """CT number of each tissue, HU; `phase` is "none" or "portal"."""
    return {row["tissue"]: float(row[f"{phase}_hu"]) for row in csv_rows("hounsfield.csv")}
