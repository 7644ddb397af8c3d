"""A document as PDF, with the same content as the HTML, by reportlab."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from itertools import groupby, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from hepatica.core.text.visible import one_line, visible
from hepatica.report.document import (
    Banner,
    Block,
    Bullets,
    Document,
    Fact,
    Facts,
    Notices,
    Paragraph,
    Picture,
    Section,
    TableBlock,
)
from hepatica.report.figures import palette

if TYPE_CHECKING:
    from reportlab.platypus import Flowable

MM = 72 / 25.4
PAGE_MM = (210.0, 297.0)
MARGIN_MM = 15.0
TEXT_WIDTH = (PAGE_MM[0] - 2 * MARGIN_MM) * MM
BOTTOM_MM, TOP_MM = 15.5, 16.5
TEXT_HEIGHT = (PAGE_MM[1] - BOTTOM_MM - TOP_MM) * MM
FONT, BOLD = "hepatica", "hepatica-bold"

BULLET = 0.87
"""Width of a bullet and the spaces after it, in sizes of the letters."""

RIGHT = 2
"""Alignment of reportlab."""

TEXT_SIZE = {False: 8.0, True: 10.5}
"""Size of letters in points: of a report, of a sheet."""

TIGHT_SIZE, APPENDIX_SIZE = 7.2, 6.8
TIGHT_HEADING = 0.87


def pdf_page(document: Document) -> bytes:
    """PDF document, A4, page numbers and the notice on every page; the same document gives the same bytes.

    Latin, Greek and Cyrillic letters print; a letter that the font (DejaVu Sans) lacks prints as a box.
    """
    return _built(document)[0]


def pages_of(document: Document) -> int:
    """Number of pages of a document as PDF."""
    return _built(document)[1]


def _built(document: Document) -> tuple[bytes, int]:
    """PDF document, and its number of pages."""
    from reportlab import rl_config
    from reportlab.platypus import BaseDocTemplate, Frame, KeepInFrame, PageTemplate

    # Pictures as bytes, not as ASCII: a fifth smaller, and the encoding took longer than the rest of the PDF.
    rl_config.useA85 = 0
    _register_fonts()
    out = io.BytesIO()
    frame = Frame(
        MARGIN_MM * MM,
        BOTTOM_MM * MM,
        TEXT_WIDTH,
        TEXT_HEIGHT,
        leftPadding=0,
        rightPadding=0,
        topPadding=0,
        bottomPadding=0,
    )
    file = BaseDocTemplate(
        out,
        pagesize=(PAGE_MM[0] * MM, PAGE_MM[1] * MM),
        title=document.title,
        author="hepatica",
        subject=document.notice,
        invariant=1,
    )
    file.addPageTemplates([PageTemplate(frames=[frame])])
    story = _story(document)
    if document.sheet:
        # One page: shrunk if a long translation needs it.
        file.build([KeepInFrame(TEXT_WIDTH, TEXT_HEIGHT, story, mode="shrink")])
    else:
        file.build(story, canvasmaker=_canvas_class(document))
    return out.getvalue(), file.page


def _story(document: Document) -> list[Flowable]:
    from reportlab.platypus import CondPageBreak, PageBreak, Spacer

    size = TEXT_SIZE[document.sheet]
    is_full = any(section.tight for section in document.sections)
    title = _paragraph(document.title, size=15 if is_full else 19, bold=True, spaceAfter=2)
    story: list[Flowable] = [title, _rule(palette.ACCENT, 1.6)] if document.title else []
    for name, found, status in (("Warning", document.warnings, "near"), ("Note", document.notes, "")):
        if found:
            heading = name if len(found) == 1 else f"{name}s"
            story += [Spacer(1, 8), _messages(Notices(heading, found, status), TEXT_WIDTH)]
    for half, group in groupby(document.all_sections(), key=lambda section: section.half):
        sections = list(group)
        if half and not document.sheet:
            story += [Spacer(1, HALVES_GAP), *_halves(sections, size)]
            continue
        for section in sections:
            if section.page and section.band:
                story.append(CondPageBreak(PAGE_SHARE * TEXT_HEIGHT))
            elif section.page or (section.appendix and section.level == 1):
                story.append(PageBreak())
            elif section.heading and not document.sheet:
                story.append(CondPageBreak(_needed_mm(section) * MM))
            story += _section(section, size, TEXT_WIDTH)
    if document.footer:
        story += [Spacer(1, 10), _note(document.footer, size)]
    return story


HALVES_GAP = 4
"""Points above two halves, whose headings have none of their own."""


def _halves(sections: Sequence[Section], size: float) -> list[Flowable]:
    """Sections two by two beside each other; one below the other where a pair would not fit a page."""
    from reportlab.platypus import Table

    story: list[Flowable] = []
    for n in range(0, len(sections), 2):
        pair = [_section(section, size, HALF_WIDTH) for section in sections[n : n + 2]]
        if max(_height(cell, HALF_WIDTH) for cell in pair) > HALF_LIMIT * TEXT_HEIGHT:
            for section in sections[n : n + 2]:
                story += _section(section, size, TEXT_WIDTH)
            continue
        cells = [pair[0], "", pair[1]] if len(pair) == len(("left", "right")) else [pair[0], "", ""]
        table = Table([cells], colWidths=[HALF_WIDTH, TEXT_WIDTH - 2 * HALF_WIDTH, HALF_WIDTH])
        padding = [(f"{side}PADDING", (0, 0), (-1, -1), 0) for side in ("LEFT", "RIGHT", "TOP", "BOTTOM")]
        table.setStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), *padding])
        story.append(table)
    return story


def _height(story: Sequence[Flowable], width: float) -> float:
    """Height of flowables one below the other."""
    return sum(part.wrap(width, 10 * TEXT_HEIGHT)[1] + part.getSpaceBefore() + part.getSpaceAfter() for part in story)


def _needed_mm(section: Section) -> float:
    """Height that must be left on a page for a section to begin there."""
    if section.appendix:
        return 14
    if section.band:
        return BAND_ROOM_MM
    long = any(isinstance(block, TableBlock) and len(block.table.rows) >= SHORT for block in section.blocks)
    return (60 if section.level == 1 else 45) if long else 25


SHORT = 12
"""A table with fewer rows is not split between pages."""

KEPT_ROWS, KEPT_SHARE = 4, 0.3
"""Rows of a long table that stay together at its beginning, with its head, and at its end: none stands alone. Where
they are taller than this share of a page they may be divided."""

LEAD_ROOM_MM = 30.0
"""The heading of a long table stands with the head of the table and its first rows."""

BAND_ROOM_MM = 45.0
"""A step of a course begins on a page that has this much left: some of its content stands below its band."""

PAGE_SHARE = 0.35
"""A band that begins a page goes on below what stands there where more than this share of the page is left."""

HALF_WIDTH = 0.485 * TEXT_WIDTH
HALF_LIMIT = 0.8
"""Sections stand beside each other up to this share of a page's height."""


def _section(section: Section, size: float, width: float) -> list[Flowable]:
    from reportlab.platypus import CondPageBreak, KeepTogether

    small = section.appendix
    heading_size = 8.5 if small and section.level > 1 else {1: 1.44 * size, 2: 1.25 * size}[section.level]
    parts: list[Flowable] = []
    if section.heading:
        heading_size *= TIGHT_HEADING if section.tight else 1
        parts = [_band(section, width)] if section.band else [_heading(section.heading, heading_size, section.tight)]
        if section.blocks and _is_split(section.blocks[0]):
            # Room below it was asked for; kept with all of a long table it would leave the rest of a page empty.
            parts[0].keepWithNext = 0
    story: list[Flowable] = []
    for block, after in zip_longest(section.blocks, section.blocks[1:]):
        # The heading stands with the first block.
        share = 0.3 if small or size > TEXT_SIZE[False] or width < TEXT_WIDTH else 0.24
        parts += _block(block, _text_size(section, size), width, label_share=share)
        if isinstance(block, Paragraph) and block.lead:
            if after is not None and _is_split(after) and width == TEXT_WIDTH:
                # Kept with all of a long table it would leave the rest of a page empty: with its first rows.
                parts[-1].keepWithNext = 0
                parts.insert(len(parts) - 1, CondPageBreak(LEAD_ROOM_MM * MM))
                story, parts = [*story, *parts], []
            continue
        whole = isinstance(block, Picture) or (isinstance(block, TableBlock) and len(block.table.rows) < SHORT)
        # In a cell all stands together anyway.
        story += [KeepTogether(parts)] if whole and width == TEXT_WIDTH else parts
        parts = []
    return [*story, *parts]


def _is_split(block: Block) -> bool:
    """Whether a block may be divided between pages."""
    return isinstance(block, Facts) or (isinstance(block, TableBlock) and len(block.table.rows) >= SHORT)


def _text_size(section: Section, size: float) -> float:
    return APPENDIX_SIZE if section.appendix else TIGHT_SIZE if section.tight else size


def _block(block: Block, size: float, width: float, label_share: float) -> list[Flowable]:
    if isinstance(block, Paragraph):
        look: dict[str, Any] = {"bold": True, "keepWithNext": 1, "spaceAfter": 0.2 * size} if block.lead else {}
        text = _paragraph(block.text, size=size, spaceBefore=(0.9 if block.lead else 0.5) * size, **look)
        return [_note(block.text, size) if block.note else text]
    if isinstance(block, Bullets):
        return [
            _paragraph(
                f"•  {line}", size=size, spaceAfter=1.5, leftIndent=BULLET * size, firstLineIndent=-BULLET * size
            )
            for line in block.lines
        ]
    if isinstance(block, Facts):
        return [_facts(block.facts, size, width, label_share)]
    if isinstance(block, Banner | Notices):
        return [_banner(block, width) if isinstance(block, Banner) else _messages(block, width, size)]
    if isinstance(block, TableBlock):
        if block.folded:
            return [_note(f"{block.folded}: in the HTML report.", size)]
        if not block.table.rows:
            return [_paragraph("none", size=size)]
        return [_table(block, width, tight=size < TEXT_SIZE[False]), *([_note(block.note, size)] if block.note else [])]
    return _picture(block, size, width)


def _register_fonts() -> None:
    import matplotlib as mpl
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    if FONT in pdfmetrics.getRegisteredFontNames():
        return
    # DejaVu Sans, which matplotlib ships: it has the letters of most languages, Helvetica does not.
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    pdfmetrics.registerFont(TTFont(FONT, str(folder / "DejaVuSans.ttf")))
    pdfmetrics.registerFont(TTFont(BOLD, str(folder / "DejaVuSans-Bold.ttf")))


def is_printable(text: str) -> bool:
    """Whether the font of the pages has every letter of a text; another prints as a box.

    >>> is_printable("Żółć, Παπαδόπουλος"), is_printable("李")
    (True, False)
    """
    from reportlab.pdfbase import pdfmetrics

    _register_fonts()
    font: Any = pdfmetrics.getFont(FONT)
    letters = font.face.charToGlyph
    return all(ord(letter) in letters or letter.isspace() for letter in visible(text))


def _paragraph(text: str, *, size: float = 8, bold: bool = False, colour: str = palette.INK, **look: Any) -> Flowable:
    """One paragraph; `look` are settings of reportlab's style."""
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph as Printed

    style = ParagraphStyle(
        "text", fontName=BOLD if bold else FONT, fontSize=size, leading=1.32 * size, textColor=HexColor(colour),
        splitLongWords=1, **look,
    )  # fmt: skip
    return Printed(escape(visible(text)).replace("\n", "<br/>"), style)


def _heading(text: str, size: float, tight: bool = False) -> Flowable:
    above, below = (0.45, 0.15) if tight else (1.0, 0.35)
    return _paragraph(
        text, size=size, bold=True, colour=palette.ACCENT, spaceBefore=above * size, spaceAfter=below * size,
        keepWithNext=1,
    )  # fmt: skip


def _note(text: str, size: float) -> Flowable:
    return _paragraph(text, size=0.85 * size, colour=palette.MUTED, spaceBefore=3)


def _rule(colour: str, width: float) -> Flowable:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import HRFlowable

    return HRFlowable(width="100%", thickness=width, color=HexColor(colour), spaceBefore=3, spaceAfter=2)


def _messages(notices: Notices, width: float, size: float = TEXT_SIZE[False]) -> Flowable:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Table

    colour = palette.STATUS_COLOURS.get(notices.status, palette.MUTED)
    critical = {"critical": "CRITICAL: "}
    rows = [[_paragraph(notices.heading, size=1.19 * size, bold=True, colour=colour)]]
    rows += [
        [
            _paragraph(
                f"•  {critical.get(message.severity, '')}{message.plain_text}",
                size=size,
                leftIndent=size * BULLET,
                firstLineIndent=-size * BULLET,
            )
        ]
        for message in notices.messages
    ]
    rows += [[_note(notices.note, size)]] if notices.note else []
    table = Table(rows, colWidths=[width], spaceBefore=5, spaceAfter=2)
    table.setStyle(
        [
            ("BACKGROUND", (0, 0), (-1, -1), HexColor(BOXES[notices.status])),
            ("NOSPLIT", (0, 0), (0, 1)),
            # Nor does the last message go over to the next page alone.
            *([("NOSPLIT", (0, -2), (0, -1))] if len(rows) > ALONE else []),
            ("LINEBEFORE", (0, 0), (0, -1), 3.5, HexColor(colour)),
            ("LEFTPADDING", (0, 0), (-1, -1), 10),
            ("TOPPADDING", (0, 0), (-1, -1), 2.0),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.0),
        ]
    )
    return table


ALONE = 3
"""A heading and two messages stand together anyway."""

BOXES = {"": "#F5F7F9", "near": "#FDF6E6", "violated": "#FBEDEC"}
"""Colour of a box of messages."""


def _banner(banner: Banner, width: float) -> Flowable:
    """Whom it is about, in a box; each cell as wide as its text asks for."""
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Table

    cells = [
        [
            _paragraph(fact.label, size=6.8, colour=palette.MUTED),
            _paragraph(fact.value, size=9.5, bold=True),
        ]
        for fact in banner.facts
    ]
    letters = [min(34, max(9, len(fact.label), int(1.25 * len(fact.value)))) for fact in banner.facts]
    table = Table([cells], colWidths=[width * n / sum(letters) for n in letters], spaceBefore=3)
    table.setStyle(
        [
            ("BACKGROUND", (0, 0), (-1, -1), HexColor("#EAF0F6")),
            ("LINEBEFORE", (0, 0), (0, -1), 3.5, HexColor(palette.ACCENT)),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 7),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
        ]
    )
    return table


BAND_SIZE, BAND_PADDING = 11.5, 4.0


def _band(section: Section, width: float) -> Flowable:
    """Heading of a step, with how it stands to the right."""
    from reportlab.lib.colors import HexColor
    from reportlab.pdfbase.pdfmetrics import stringWidth
    from reportlab.platypus import Table

    colour = palette.STATUS_COLOURS.get(section.side_mark, palette.MUTED)
    cells = [
        _paragraph(section.heading, size=BAND_SIZE, bold=True, colour=palette.ACCENT),
        _paragraph(section.side, size=8, bold=bool(section.side_mark), colour=colour, alignment=RIGHT),
    ]
    # As much as each side asks for, the heading first.
    asked = stringWidth(section.heading, BOLD, BAND_SIZE) + 2 * BAND_PADDING + 1
    left = min(max(asked, 0.3 * width), 0.75 * width)
    table = Table([cells], colWidths=[left, width - left], spaceBefore=12, spaceAfter=3)
    table.setStyle(
        [
            ("LINEABOVE", (0, 0), (-1, 0), 1.2, HexColor(palette.ACCENT)),
            ("BACKGROUND", (0, 0), (-1, -1), HexColor("#F3F6F9")),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            ("LEFTPADDING", (0, 0), (-1, -1), BAND_PADDING),
            ("RIGHTPADDING", (0, 0), (-1, -1), BAND_PADDING),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
        ]
    )
    table.keepWithNext = 1
    return table


def _facts(facts: Sequence[Fact], size: float, width: float, label_share: float) -> Flowable:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Table

    rows = [
        [_paragraph(fact.label, size=size, colour=palette.MUTED), _paragraph(fact.value, size=size)] for fact in facts
    ]
    table = Table(rows, colWidths=[label_share * width, (1 - label_share) * width], splitInRow=1)
    table.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor(palette.RULE)),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), (0.25 if size >= TEXT_SIZE[False] else 0.12) * size),
            ("BOTTOMPADDING", (0, 0), (-1, -1), (0.3 if size >= TEXT_SIZE[False] else 0.2) * size),
        ]
    )
    return table


DASHES = {"solid": None, "dashed": (3, 1.5), "dotted": (1, 1.2), "dashdot": (3, 1, 1, 1)}


CELL_SIZE, SMALL_CELL_SIZE = 7.2, 6.2
CELL_PADDING = 5.0
SAMPLE_PADDING = 4.0
"""Room of the sample of a line before a name."""


def _column_widths(block: TableBlock, heads: Sequence[str], width: float) -> list[float]:
    """Widths in the shares of the block, but no column narrower than its longest word: no word is broken.

    Where the longest words together are wider than the page the shares hold, and the letters of long words divide.
    """
    from reportlab.pdfbase.pdfmetrics import stringWidth

    _register_fonts()
    shares, rows = block.widths(), block.cells()
    least = []
    for n, head in enumerate(heads):
        size = SMALL_CELL_SIZE if n in block.muted else CELL_SIZE
        words = [(word, BOLD, CELL_SIZE) for word in head.split()]
        # At spaces and line breaks, not at a no-break space.
        words += [(word, BOLD if n == block.marked and block.marks else FONT, size) for row in rows
                  for word in re.split("[ \n]", row[n])]  # fmt: skip
        longest = max((stringWidth(*word) for word in words), default=0.0)
        least.append(longest + CELL_PADDING + 1 + SAMPLE_PADDING * bool(block.swatches and n == 0))
    wanted = [width * share / sum(shares) for share in shares]
    if sum(least) > width:
        return wanted
    # What narrow columns need more than their share, the others give in proportion to what they have to spare.
    lacking = sum(max(0.0, low - has) for low, has in zip(least, wanted, strict=True))
    spare = sum(max(0.0, has - low) for low, has in zip(least, wanted, strict=True))
    return [low if low >= has else has - lacking * (has - low) / spare for low, has in zip(least, wanted, strict=True)]


def _table(block: TableBlock, width: float, *, tight: bool = False) -> Flowable:
    """Table whose head repeats on every page."""
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Table

    def cell(text: str, row: int, column: int) -> Flowable:
        mark = block.mark(row, column)
        muted = column in block.muted
        colour = palette.STATUS_COLOURS[mark] if mark else palette.MUTED if muted else palette.INK
        return _paragraph(
            text,
            size=SMALL_CELL_SIZE if muted else CELL_SIZE,
            bold=bool(mark),
            colour=colour,
            alignment=RIGHT * (block.right(column) and not muted),
        )

    heads = [
        _paragraph(
            "\n".join(filter(None, parts)),
            size=CELL_SIZE,
            bold=True,
            alignment=RIGHT * (block.right(n) and n not in block.muted),
        )
        for n, parts in enumerate(block.headings())
    ]
    rows = [heads, *([cell(text, r, c) for c, text in enumerate(row)] for r, row in enumerate(block.cells()))]
    words = [" ".join(parts) for parts in block.headings()]
    table = Table(rows, colWidths=_column_widths(block, words, width), repeatRows=1)
    # Before each name a sample of the line with which slices and DVH draw the structure.
    swatches: list[Any] = [
        ("LINEBEFORE", (0, n), (0, n), 2.6, HexColor(style.colour), 0, DASHES[style.dashes])
        for n, style in enumerate(block.swatches, start=1)
    ]
    table.setStyle(
        [
            ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
            ("VALIGN", (0, 1), (-1, -1), "TOP" if block.prose else "MIDDLE"),
            ("LINEBELOW", (0, 0), (-1, 0), 0.9, HexColor(palette.INK)),
            ("LINEBELOW", (0, 1), (-1, -1), 0.4, HexColor(palette.RULE)),
            ("LEFTPADDING", (0, 0), (-1, -1), 2),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            ("TOPPADDING", (0, 0), (-1, -1), 1.2 if tight else 2.2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1.6 if tight else 2.6),
            *swatches,
            *([("LEFTPADDING", (0, 0), (0, -1), 6)] if swatches else []),
        ]
    )
    if len(rows) > SHORT:
        _keep_ends(table, width)
    return table


def _keep_ends(table: Any, width: float) -> None:
    """Keep the first and the last rows of a long table together, unless they are tall."""
    table.wrap(width, 10 * TEXT_HEIGHT)
    heights = table._rowHeights  # noqa: SLF001 - reportlab has no other name for them
    if max(sum(heights[: KEPT_ROWS + 1]), sum(heights[-KEPT_ROWS:])) < KEPT_SHARE * TEXT_HEIGHT:
        table.setStyle([("NOSPLIT", (0, 0), (0, KEPT_ROWS)), ("NOSPLIT", (0, -KEPT_ROWS), (0, -1))])


def _picture(picture: Picture, size: float, room: float) -> list[Flowable]:
    from reportlab.lib.utils import ImageReader
    from reportlab.platypus import Image

    width, height = ImageReader(io.BytesIO(picture.png)).getSize()
    image = Image(io.BytesIO(picture.png), width=room, height=room * height / width)
    heading = [_heading(picture.heading, 9.5)] if picture.heading else []
    return [*heading, image, *([_note(picture.caption, size)] if picture.caption else [])]


def _canvas_class(document: Document) -> Any:
    """A canvas that writes head and foot once the number of pages is known."""
    from reportlab.lib.colors import HexColor
    from reportlab.pdfgen.canvas import Canvas

    class NumberedCanvas(Canvas):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._pages: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 - reportlab's name
            self._pages.append(dict(self.__dict__))
            self._startPage()  # type: ignore[attr-defined]

        def save(self) -> None:
            total = len(self._pages)
            for number, page in enumerate(self._pages, start=1):
                self.__dict__.update(page)
                self._head_and_foot(number, total)
                super().showPage()
            super().save()

        def _head_and_foot(self, number: int, total: int) -> None:
            left, right = MARGIN_MM * MM, (PAGE_MM[0] - MARGIN_MM) * MM
            self.setFillColor(HexColor(palette.MUTED))
            self.setStrokeColor(HexColor(palette.RULE))
            self.setLineWidth(0.5)
            self.line(left, 13.5 * MM, right, 13.5 * MM)
            self.setFont(FONT, 6.8)
            top = (PAGE_MM[1] - 12) * MM
            self.drawString(left, top, one_line(document.who)[:90])
            self.drawRightString(
                right, top, f"{one_line(document.title)}{', ' + document.made if document.made else ''}"[:90]
            )
            self.drawRightString(right, 9.5 * MM, f"Page {number} of {total}")
            self.setFillColor(HexColor(palette.STATUS_COLOURS["violated"]))
            self.setFont(BOLD, 6.8)
            self.drawString(left, 9.5 * MM, document.notice)

    return NumberedCanvas
