"""The part of each step: its numbers, tables and pictures as the step wrote them, in one design."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hepatica.case.report.course import CourseStep
from hepatica.case.report.front import STATE_MARKS, STATE_WORDS
from hepatica.case.report.warnings import few_of_each
from hepatica.case.steps.course import step_named
from hepatica.case.steps.shown import Layout
from hepatica.core.message import Message
from hepatica.core.numbers.wording import three
from hepatica.core.tables.table import Cell, Table
from hepatica.report.document import Block, Facts, Notices, Paragraph, Picture, Section, TableBlock

LONG_TABLE = 40
"""Rows of a table that a page shows; the file of the step has all."""

SLICES_SHOWN = 3

NUMBER_SHARE, NAME_SHARE = 1.0, 2.4
PROSE_SHARES, LETTERS_OF_A_SHARE = (1.8, 7.0), 11.0
"""Widths of a column of sentences, from the least to the most, and letters of a cell that ask for one share."""

OF_NO_INTEREST = ("patient",)
"""Columns that say what each page says in its head."""

SHORT_CELL = 28
"""Letters of a cell that is no prose."""


def step_section(step: CourseStep, dose: CourseStep | None = None) -> Section:
    """Band, and below it what the step found; why it did not where it did not.

    `dose` is the absorbed dose of the same treatment: means that a step sampled anew are compared with its.
    """
    words = STATE_WORDS.get(step.state, step.state)
    side = words
    if step.is_current:
        by = ", ".join(filter(None, (step.checked_by, step.checked_on)))
        side = f"run {step.run_at[:10]}; {f'checked by {by}' if by else 'checked by nobody'}"
    mark = "" if step.is_current else STATE_MARKS.get(step.state, "")
    blocks = (*_sampled_anew(step, dose), *blocks_of(step))
    return Section(step.title, blocks, band=True, side=side, side_mark=mark)


SAMPLED_ANEW = {
    "prediction": (
        "dose_mean_gy",
        "Its structures are not those of the absorbed dose: goals and limits are judged by its means",
    ),
    "verification": (
        "delivered_dose_mean_gy",
        "Both maps are compared on the plan's voxels and in its outlines, by volume; the absorbed dose has its own",
    ),
}
"""Steps that may take means of another sampling -> where they have them, and what is another about it."""

SAME_MEAN = 0.005
"""Relative difference of two means that both print the same."""


def _sampled_anew(step: CourseStep, dose: CourseStep | None) -> tuple[Block, ...]:
    """Means that are not those of the absorbed dose, with both numbers, and why they are not."""
    if dose is None or not dose.is_current or not step.is_current or step.kind not in SAMPLED_ANEW:
        return ()
    key, why = SAMPLED_ANEW[step.kind]
    means = {one["name"]: one["dose_mean_gy"] for one in dose.document.get("structures", ())}
    differing = [
        f"{one['name']} {three(here)} Gy here, {three(there)} Gy there"
        for one in step.document.get("structures", ())
        if (here := one.get(key)) is not None
        and (there := means.get(one["name"])) is not None
        and abs(here - there) > SAME_MEAN * abs(there)
    ]
    if not differing:
        return ()
    return (Notices("Two samplings", (Message("means-differ", f"{why}: {'; '.join(differing)}"),), ""),)


def blocks_of(step: CourseStep) -> tuple[Block, ...]:
    """What stands below the band."""
    if not step.is_current:
        return (Paragraph(f"No numbers: {step.standing()}."),)
    layout = step_named(step.kind).layout
    facts = [(label, value) for label, value in layout.facts(step.document) if value]
    facts += [("Made from", step.made_from)] if step.made_from else []
    blocks: list[Block] = [Facts.of(facts)] if facts else []
    tables, pictures = _tables(step, layout), _pictures(step, layout)
    blocks += [*tables, *pictures]
    messages = step.messages
    warnings = tuple(message for message in messages if message.severity != "note")
    notes = tuple(message for message in messages if message.severity == "note")
    shown, more = few_of_each(warnings)
    note = f"{more} more of a kind that is shown stand in the result of the step." if more else ""
    blocks += [Notices("Warnings" if len(warnings) > 1 else "Warning", shown, note=note)] if warnings else []
    blocks += [Notices("Notes" if len(notes) > 1 else "Note", notes, "")] if notes else []
    return tuple(blocks) or (Paragraph("Nothing to report."),)


def _tables(step: CourseStep, layout: Layout) -> list[Block]:
    wanted = {name: name.replace("-", " ").capitalize() for name in step.tables}
    if layout.tables is not None:
        wanted = {
            name: heading
            for prefix, heading in layout.tables.items()
            for name in sorted(step.tables)
            if name == prefix or (prefix.endswith("*") and name.startswith(prefix[:-1]))
        }
    found: list[Block] = []
    for name, heading in wanted.items():
        table = step.tables[name]
        if table.rows:
            found += [Paragraph(heading, lead=True), _table_block(table)] if heading else [_table_block(table)]
    return found


def _table_block(table: Table) -> TableBlock:
    """A table of a step: without columns that hold nothing, in widths by what its columns hold."""
    kept = [
        n
        for n, column in enumerate(table.columns)
        if column not in OF_NO_INTEREST and any(row[n] is not None for row in table.rows)
    ]
    rows = [[_rounded(row[n]) for n in kept] for row in table.rows[:LONG_TABLE]]
    shown = Table.of([table.columns[n] for n in kept], rows)
    numeric = shown.numeric()
    shares = [
        NUMBER_SHARE if numeric[n] else _prose_share(rows, n) if _is_prose(rows, n) else NAME_SHARE if n == 0 else 1.4
        for n in range(len(kept))
    ]
    left = len(table.rows) - LONG_TABLE
    note = f"{left} further rows are in the table of the step." if left > 0 else ""
    return TableBlock(shown, note, prose=True, shares=tuple(shares))


_LONG_NUMBER = re.compile(r"-?\d+\.\d{5,}")


def _rounded(cell: Cell) -> Cell:
    """A number that stands among texts, to four digits; columns of numbers are rounded by the table."""
    if not isinstance(cell, str) or not _LONG_NUMBER.fullmatch(cell):
        return cell
    value = float(cell)
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _prose_share(rows: Sequence[Sequence[Any]], column: int) -> float:
    """By how much most of its cells hold: a column of one long cell and many short ones needs no room."""
    letters = sum(len(str(row[column] or "")) for row in rows) / len(rows)
    least, most = PROSE_SHARES
    return min(most, max(least, letters / LETTERS_OF_A_SHARE))


def _is_prose(rows: Sequence[Sequence[Any]], column: int) -> bool:
    return max((len(str(row[column])) for row in rows), default=0) > SHORT_CELL


def _pictures(step: CourseStep, layout: Layout) -> list[Block]:
    found: list[Block] = []
    wanted = {"": ""} if layout.pictures is None else layout.pictures
    for prefix, caption in wanted.items():
        fitting = [one for one in step.pictures if one.png and one.name.startswith(prefix)]
        found += [Picture("", caption or one.name.replace("-", " "), one.png) for one in fitting[:SLICES_SHOWN]]
        if len(fitting) > SLICES_SHOWN:
            found.append(
                Paragraph(f"{len(fitting) - SLICES_SHOWN} further pictures are in the step's folder.", note=True)
            )
    if any(not one.png for one in step.pictures):
        found.append(Paragraph("Pictures with names in them are left out here.", note=True))
    return found
