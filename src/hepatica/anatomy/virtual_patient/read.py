"""Reading the text tables of the virtual patient."""

from __future__ import annotations

import functools

from hepatica.core.tables.shipped import csv_rows


@functools.cache
def reference_masses_g(sex: str) -> dict[str, float]:
    """Mass of each organ of the reference adult, g."""
    return {row["organ"]: float(row[f"{sex}_g"]) for row in csv_rows(__package__, "reference_masses.csv")}


@functools.cache
def hounsfield(phase: str) -> dict[str, float]:
    """CT number of each tissue, HU; `phase` is "none" or "portal"."""
    return {row["tissue"]: float(row[f"{phase}_hu"]) for row in csv_rows(__package__, "hounsfield.csv")}
