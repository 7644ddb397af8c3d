"""The physicist's annex: what went in with its hashes, and how each step came about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.report.course import CourseStep
from hepatica.case.report.material import CaseMaterial
from hepatica.core.tables.table import Table
from hepatica.report.document import Facts, Paragraph, Section, TableBlock
from hepatica.report.provenance import provenance_rows

HASH_LETTERS = 16
"""Of a hash; the files of the case have all."""


def annex_sections(material: CaseMaterial) -> list[Section]:
    """Images, runs and the provenance of every step that is up to date; nothing where there is none of them."""
    ran = [step for step in material.steps if step.is_current]
    if not material.images and not ran:
        return []
    intro = "Inputs (with the first 16 digits of their SHA-256), options, conventions and data of the steps up to date."
    sections = [Section("Physicist's annex", (Paragraph(intro, note=True),), band=True)]
    if material.images:
        rows = [
            (one.name, one.role, one.what, one.date, one.files, one.sha256[:HASH_LETTERS], one.state)
            for one in material.images
        ]
        columns = ("Image", "Taken for", "It says", "Date", "Files", "SHA-256 begins", "State")
        table = TableBlock(Table.of(columns, rows), prose=True, shares=(1.2, 1.5, 2.0, 0.9, 0.5, 1.5, 1.2))
        sections.append(Section("Images", (table,), level=2, appendix=True))
    if ran:
        runs = [(step.name, step.run_at[:19].replace("T", " "), step.software, _tables(step)) for step in ran]
        heads = ("Step", "Run at (UTC)", "hepatica", "Tables and data")
        table = TableBlock(Table.of(heads, runs), prose=True, shares=(1.0, 1.3, 0.6, 4.5))
        sections.append(Section("Runs", (table,), level=2, appendix=True))
    for step in ran:
        facts = provenance_facts(step.document.get("provenance", {}))
        if facts:
            sections.append(Section(f"{step.title} ({step.name})", (Facts.of(facts),), level=2, appendix=True))
    return sections


def provenance_facts(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Inputs with their hashes, options, conventions and what was done, each kind as one text."""
    inputs = [(f"Input: {one['role']}", _input(one)) for one in provenance.get("inputs", ())]
    rows = dict(provenance_rows({key: provenance.get(key) for key in ("parameters", "conventions", "steps")}))
    joined = [
        (title, "; ".join(f"{label} {text}" for label, text in rows[title]))
        for title in ("Parameters", "Conventions")
        if title in rows
    ]
    done = [("What was done", "; ".join(text for _, text in rows["Steps"]))] if "Steps" in rows else []
    return [*inputs, *joined, *done]


def _input(one: Mapping[str, Any]) -> str:
    count = f", {one['files']} files" if one["files"] != 1 else ""
    return f"{one['path']}{count}, {one['sha256'][:HASH_LETTERS]}"


def _tables(step: CourseStep) -> str:
    found = step.document.get("provenance", {}).get("tables", {})
    return "; ".join(f"{name}: {source}" for name, source in found.items()) or "–"
