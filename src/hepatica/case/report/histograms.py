"""Histograms of planned and delivered dose by structure, from the tables that the steps wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hepatica.case.report.course import CourseStep
from hepatica.case.report.summary import TUMOUR, StructureDose
from hepatica.core.tables.table import Table
from hepatica.report.figures.course import Curve, Histogram
from hepatica.report.tables import UNSUPPORTED

ENDING = " volume_percent"

PLANNED_NAMES = {"normal_liver": "normal liver"}
"""Role -> what the plan's map calls a structure that is not drawn itself."""


def histograms_of(structures: Sequence[StructureDose], steps: Mapping[str, CourseStep]) -> tuple[Histogram, ...]:
    """Of the tumours and the normal liver; empty where neither step has any."""
    planned, delivered = _curves(steps, "plan", "planned-dvh"), _curves(steps, "dose", "dvh")
    found = []
    for one in structures:
        if one.role not in (TUMOUR, "normal_liver"):
            continue
        before = planned.get(one.name) or planned.get(PLANNED_NAMES.get(one.role, ""))
        after = delivered.get(one.name)
        if before or after:
            found.append(Histogram(one.name, one.role, before, after))
    return tuple(found)


def _curves(steps: Mapping[str, CourseStep], kind: str, name: str) -> Mapping[str, Curve]:
    """Curves of a table by structure."""
    table: Table | None = steps[kind].tables.get(name) if kind in steps else None
    if table is None:
        return {}
    columns = list(zip(*table.rows, strict=True))
    doses = tuple(float(cell or 0) for cell in columns[0])
    return {
        head.removesuffix(ENDING).removesuffix(UNSUPPORTED): (doses, tuple(float(cell or 0) for cell in column))
        for head, column in zip(table.columns[1:], columns[1:], strict=True)
    }
