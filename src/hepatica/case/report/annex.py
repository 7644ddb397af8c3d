"""The physicist's annex: what went in with its hashes, and how each step came about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.report.course import CourseStep
from hepatica.case.report.material import CaseMaterial
from hepatica.core.table import Table
from hepatica.report.document import Facts, Paragraph, Section, TableBlock
from hepatica.report.provenance import provenance_rows

HASH_LETTERS = 16
"""Of a hash in a table; the files of the case have all."""

LEFT_OUT = ("Software",)


def annex_sections(material: CaseMaterial) -> list[Section]:
    """Images, runs and checks, and the provenance of every step that is up to date."""
    intro = "Inputs by their hashes (SHA-256), tables, conventions and options of every step that is up to date."
    sections = [Section("Physicist's annex", (Paragraph(intro),), appendix=True)]
    if material.images:
        rows = [
            (one.name, one.role, one.what, one.date, one.files, one.sha256[:HASH_LETTERS], one.state)
            for one in material.images
        ]
        columns = ("Image", "Taken for", "It says", "Date", "Files", "SHA-256 begins", "State")
        table = TableBlock(Table.of(columns, rows), prose=True, shares=(1.2, 1.5, 2.0, 0.9, 0.5, 1.5, 1.2))
        sections.append(Section("Images", (table,), level=2, appendix=True))
    ran = [step for step in material.steps if step.is_current]
    if ran:
        rows2 = [(step.name, step.run_at[:19].replace("T", " "), step.software, _tables(step)) for step in ran]
        columns = ("Step", "Run at (UTC)", "hepatica", "Tables and data")
        table = TableBlock(Table.of(columns, rows2), prose=True, shares=(1.0, 1.3, 0.6, 4.5))
        sections.append(Section("Runs", (table,), level=2, appendix=True))
    for step in ran:
        sections += [
            Section(f"{step.title} ({step.name}): {title.lower()}", (Facts.of(rows3),), level=2, appendix=True)
            for title, rows3 in provenance_rows(_without(step.document.get("provenance", {})))
            if title not in LEFT_OUT
        ]
    return sections


def _without(provenance: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the table of runs does not say already."""
    return {key: value for key, value in provenance.items() if key != "tables"}


def _tables(step: CourseStep) -> str:
    found = step.document.get("provenance", {}).get("tables", {})
    return "; ".join(f"{name}: {source}" for name, source in found.items()) or "–"
