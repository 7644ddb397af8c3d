"""A report as one value: title, messages, sections of paragraphs, facts, tables and pictures, provenance.

Whatever is printed (the dose report, the plan, the patient's sheet) becomes a `Document`; `html` and `pdf` write it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from hepatica.core.message import Message
from hepatica.core.tables.table import Table
from hepatica.report.figures.palette import STATUS_COLOURS, Style
from hepatica.report.provenance import provenance_rows

NOT_A_DEVICE = "Research software, not a medical device"

CHARACTERS = (9, 40)
"""Widths of columns follow the longest text of each, within these bounds."""


class Fact(NamedTuple):
    """A label and its value, as they are to be printed."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph; `note` is small and grey, `lead` stands above a table and is never parted from it."""

    text: str
    note: bool = False
    lead: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """Sentences, one below the other."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels and values, one below the other."""

    facts: tuple[Fact, ...]

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]]) -> Facts:
        """Of pairs of text."""
        return cls(tuple(Fact(*pair) for pair in pairs))


@dataclass(frozen=True, slots=True)
class TableBlock:
    """A table as it is printed.

    Attributes
    ----------
    table : Table
        Columns and rows; the unit of a heading ("vial, GBq") is printed on a second line.
    note : str
        What the columns mean, below.
    prose : bool
        Cells are sentences: only columns of numbers stand to the right. Otherwise all but the first do.
    shares : tuple of float
        Widths of the columns, relative; by the longest text if empty.
    marks : tuple of str
        One for each row, by which the cell in column `marked` is coloured: "met", "near", "violated", "critical",
        "stop", "warning"; another word leaves it as it is.
    marked : int
        Column that takes the colour.
    muted : tuple of int
        Columns in small grey print.
    swatches : tuple of Style
        One for each row: the line with which pictures draw what the row is about.
    folded : str
        Heading under which HTML folds the table away and PDF leaves it out; empty for a table that is shown.
    continued : tuple of int
        Rows that go on with the one above: what they leave open stays empty there.
    """

    table: Table
    note: str = ""
    prose: bool = False
    shares: tuple[float, ...] = ()
    marks: tuple[str, ...] = ()
    marked: int = 0
    muted: tuple[int, ...] = ()
    swatches: tuple[Style, ...] = ()
    folded: str = ""
    continued: tuple[int, ...] = ()

    def cells(self) -> tuple[tuple[str, ...], ...]:
        """Cells as text."""
        return tuple(
            tuple("" if n in self.continued and cell is None else text for cell, text in zip(row, texts, strict=True))
            for n, (row, texts) in enumerate(zip(self.table.rows, self.table.shown(), strict=True))
        )

    def headings(self) -> tuple[tuple[str, str], ...]:
        """Name and unit of each column; "" where it has none."""
        found = []
        for column in self.table.columns:
            name, _, unit = column.partition("\n") if "\n" in column else column.rpartition(", ")
            found.append((name, unit) if name and " " not in unit else (column, ""))
        return tuple(found)

    def widths(self) -> tuple[float, ...]:
        """Relative widths of the columns."""
        if self.shares:
            return self.shares
        lines = [[max(heading, key=len) for heading in self.headings()], *self.cells()]
        low, high = CHARACTERS
        return tuple(float(min(high, max(low, *(len(line[n]) for line in lines)))) for n in range(len(lines[0])))

    def right(self, column: int) -> bool:
        """Whether a column stands to the right."""
        is_empty = all(row[column] is None for row in self.table.rows)
        return is_empty or self.table.numeric()[column] if self.prose else column > 0

    def mark(self, row: int, column: int) -> str:
        """The word by which a cell is coloured; empty without."""
        word = self.marks[row] if column == self.marked and row < len(self.marks) else ""
        return word if word in STATUS_COLOURS else ""

    def emphasis(self, row: int, column: int) -> str:
        """Words of all that sets a cell apart."""
        words = (
            self.mark(row, column),
            "muted" if column in self.muted else "",
            "right" if self.prose and self.right(column) else "",
        )
        return " ".join(word for word in words if word)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A drawn picture.

    Attributes
    ----------
    heading, caption : str
        What it shows.
    png : bytes
        The picture.
    svg : bytes
        The same as SVG, if there is one: HTML takes it, PDF the PNG.
    """

    heading: str
    caption: str
    png: bytes
    svg: bytes = b""


@dataclass(frozen=True, slots=True)
class Banner:
    """Whom a page is about: labels and values side by side in a box."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Notices:
    """Messages of one kind in a box, where a document has them elsewhere than first.

    Attributes
    ----------
    heading : str
        Above them.
    messages : tuple of Message
        In order.
    status : {"near", "violated", ""}
        Colour of the box.
    note : str
        Below them: how many more there are, and where.
    """

    heading: str
    messages: tuple[Message, ...]
    status: str = "near"
    note: str = ""


Block = Paragraph | Bullets | Facts | TableBlock | Picture | Banner | Notices


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """A heading and what stands below it.

    Attributes
    ----------
    heading : str
        Empty for none.
    blocks : tuple of Block
        In order.
    level : int
        1, or 2 below the section before it.
    half : bool
        Stands beside its neighbour where there is room.
    appendix : bool
        Begins a page and is in small print.
    band : bool
        The heading is a band over the whole width: a step of a course.
    side : str
        In the band, to the right: how the step stands.
    side_mark : str
        The word by which `side` is coloured, as in a table.
    page : bool
        Begins a page; on paper a band does so unless most of a page is left.
    tight : bool
        In smaller print on paper: a page that holds much.
    """

    heading: str
    blocks: tuple[Block, ...] = ()
    level: int = 1
    half: bool = False
    appendix: bool = False
    band: bool = False
    side: str = ""
    side_mark: str = ""
    page: bool = False
    tight: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """Everything that is printed.

    Attributes
    ----------
    title : str
        Heading.
    sections : tuple of Section
        In order.
    messages : tuple of Message
        What the reader must know, printed first.
    who : str
        Patient, in the head of each page.
    created : datetime or None
        When it was made.
    provenance : mapping
        Of `Provenance.as_document()`; an appendix.
    notice : str
        In head and foot of each page; empty for none.
    footer : str
        Small print at the end.
    language : str
        Two letters.
    sheet : bool
        For a lay reader: large letters, one A4 page.
    """

    title: str
    sections: tuple[Section, ...]
    messages: tuple[Message, ...] = ()
    who: str = ""
    created: datetime | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notice: str = NOT_A_DEVICE
    footer: str = ""
    language: str = "en"
    sheet: bool = False

    @property
    def made(self) -> str:
        """When it was made, as printed; empty if not said."""
        return "" if self.created is None else self.created.strftime("%Y-%m-%d %H:%M")

    @property
    def warnings(self) -> tuple[Message, ...]:
        """Messages that call for attention."""
        return tuple(message for message in self.messages if message.severity != "note")

    @property
    def notes(self) -> tuple[Message, ...]:
        """Messages for the record."""
        return tuple(message for message in self.messages if message.severity == "note")

    def all_sections(self) -> tuple[Section, ...]:
        """The sections, and the provenance as an appendix."""
        found = [
            Section(title, (Facts.of(rows),), level=2, appendix=True)
            for title, rows in provenance_rows(self.provenance)
        ]
        return (*self.sections, *([Section("Appendix: provenance", appendix=True)] if found else []), *found)
