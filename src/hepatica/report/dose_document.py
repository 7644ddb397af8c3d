"""The report of a dose calculation as a document: sections, tables and pictures in the order in which they are read."""

from __future__ import annotations

from collections.abc import Sequence

from hepatica.core.tables.table import Table
from hepatica.report import tables
from hepatica.report.document import Document, Fact, Facts, Paragraph, Section, TableBlock
from hepatica.report.dose_report import DoseReport, LimitRow
from hepatica.report.figures.palette import structure_styles
from hepatica.report.figures.pictures import Pictures, draw

NAME_SHARE = 2.6
"""Width of a column of names where one of numbers is 1."""


def dose_document(report: DoseReport, pictures: Pictures | None = None) -> Document:
    """Everything that is printed of a dose calculation.

    Parameters
    ----------
    report : DoseReport
        What to print.
    pictures : Pictures, optional
        From `pictures.draw`, if they are drawn already.
    """
    sections = (
        *_facts(("Patient", report.patient), ("Treatment", report.treatment)),
        *_limits(report),
        *_doses(report),
        *_pictures(pictures or draw(report)),
        *([Section("Uptake outside liver and lungs", (report.places,))] if report.places else []),
        *_images(report),
        *_facts(("Method", report.method), ("Conventions", report.conventions)),
    )
    return Document(
        title=report.title,
        sections=sections,
        messages=report.messages,
        who=", ".join(fact.value for fact in report.patient[:2]),
        created=report.created,
        provenance=report.provenance,
    )


def _facts(*named: tuple[str, tuple[Fact, ...]]) -> list[Section]:
    return [Section(heading, (Facts(facts),), half=True) for heading, facts in named if facts]


def _limits(report: DoseReport) -> list[Section]:
    if not report.limits:
        return []
    shown = [row for row in report.limits if row.applies is not False]
    others = [row for row in report.limits if row.applies is False]
    blocks = [_limit_table(shown, tables.limit_note(shown))]
    if others:
        blocks.append(_limit_table(others, "", folded=f"{len(others)} for other indications or intents"))
    return [Section("Doses against limits and goals", tuple(blocks))]


def _limit_table(rows: Sequence[LimitRow], note: str, *, folded: str = "") -> TableBlock:
    return TableBlock(
        Table.of(tables.LIMIT_COLUMNS, [tables.limit_row(row) for row in rows]),
        note,
        prose=True,
        shares=(1.5, 1.35, 1.1, 1.1, 2.0, 2.3),
        # What is not for this patient takes no colour: it is neither kept nor exceeded here.
        marks=() if folded else tuple(row.status for row in rows),
        marked=3,
        muted=(5,),
        folded=folded,
    )


def _doses(report: DoseReport) -> list[Section]:
    styles = structure_styles([item.structure for item in report.regions])
    heads = tables.dose_columns(report)
    interval = (1.6,) if len(heads) > len(tables.DOSE_COLUMNS) else ()
    doses = TableBlock(
        Table.of(heads, tables.dose_rows(report)),
        tables.dose_note(report),
        shares=(NAME_SHARE, 1, 1, 1.35, *interval, *[1] * (len(tables.DOSE_COLUMNS) - 5), 1.05),
        swatches=styles,
    )
    columns = tables.v_columns(report)
    volumes = TableBlock(Table.of(columns, tables.v_rows(report)), tables.V_NOTE, shares=_shares(len(columns)))
    return [
        Section("Absorbed dose by structure", (doses,)),
        Section("Volume above dose", (volumes,), level=2),
        *(
            Section(
                more.heading,
                (TableBlock(Table.of(more.columns, more.rows), more.note, shares=_shares(len(more.columns))),),
                level=2,
            )
            for more in report.further
        ),
    ]


def _shares(columns: int) -> tuple[float, ...]:
    return (NAME_SHARE, *[1.0] * (columns - 1))


def _pictures(pictures: Pictures) -> list[Section]:
    from dataclasses import replace

    def headed(heading: str) -> Section:
        (found,) = [p for p in (pictures.dvh, pictures.activity) if p is not None and p.heading == heading]
        return Section(heading, (replace(found, heading=""),))

    found = [headed(pictures.dvh.heading)]
    if pictures.slices:
        left = f"{pictures.left_out} smaller lesions have no slices here; they are in the tables."
        note = (Paragraph(left, note=True),) if pictures.left_out else ()
        found.append(Section("Dose distribution", (*pictures.slices, *note)))
    if pictures.activity is not None:
        found.append(headed(pictures.activity.heading))
    return found


def _images(report: DoseReport) -> list[Section]:
    if not report.images:
        return []
    table = Table.of(tables.IMAGE_COLUMNS, report.images)
    found = TableBlock(table, prose=True, shares=(1.2, 2.4, 0.8, 1.6, 3.2), muted=(4,))
    return [Section("Images used", (found,))]
