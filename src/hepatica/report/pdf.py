"""A document as PDF, with the same content as the HTML, by reportlab."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from hepatica.core.message import Message
from hepatica.core.text import one_line, visible
from hepatica.report.document import Block, Bullets, Document, Fact, Facts, Paragraph, Picture, Section, TableBlock
from hepatica.report.figures import palette

if TYPE_CHECKING:
    from reportlab.platypus import Flowable

MM = 72 / 25.4
PAGE_MM = (210.0, 297.0)
MARGIN_MM = 15.0
TEXT_WIDTH = (PAGE_MM[0] - 2 * MARGIN_MM) * MM
TEXT_HEIGHT = (PAGE_MM[1] - 18 - 19) * MM
FONT, BOLD = "hepatica", "hepatica-bold"

BULLET = 0.87
"""Width of a bullet and the spaces after it, in sizes of the letters."""

RIGHT = 2
"""Alignment of reportlab."""

TEXT_SIZE = {False: 8.0, True: 10.5}
"""Size of letters in points: of a report, of a sheet."""


def pdf_page(document: Document) -> bytes:
    """PDF document, A4, page numbers and the notice on every page; the same document gives the same bytes.

    Latin, Greek and Cyrillic letters print; a letter that the font (DejaVu Sans) lacks prints as a box.
    """
    from reportlab import rl_config
    from reportlab.platypus import BaseDocTemplate, Frame, KeepInFrame, PageTemplate

    # Pictures as bytes, not as ASCII: a fifth smaller, and the encoding took longer than the rest of the PDF.
    rl_config.useA85 = 0
    _register_fonts()
    out = io.BytesIO()
    frame = Frame(
        MARGIN_MM * MM, 18 * MM, TEXT_WIDTH, TEXT_HEIGHT, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0
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
    return out.getvalue()


def _story(document: Document) -> list[Flowable]:
    from reportlab.platypus import CondPageBreak, PageBreak, Spacer

    size = TEXT_SIZE[document.sheet]
    story: list[Flowable] = [_paragraph(document.title, size=19, bold=True, spaceAfter=2), _rule(palette.ACCENT, 1.6)]
    for name, found, status in (("Warning", document.warnings, "near"), ("Note", document.notes, "")):
        if found:
            story += [Spacer(1, 8), _messages(name, found, palette.STATUS_COLOURS.get(status, palette.MUTED))]
    for section in document.all_sections():
        if section.appendix and section.level == 1:
            story.append(PageBreak())
        elif section.heading and not document.sheet:
            story.append(CondPageBreak(_needed_mm(section) * MM))
        story += _section(section, size)
    if document.footer:
        story += [Spacer(1, 10), _note(document.footer, size)]
    return story


def _needed_mm(section: Section) -> float:
    """Height that must be left on a page for a section to begin there."""
    if section.appendix:
        return 14
    long = any(isinstance(block, TableBlock) and len(block.table.rows) >= SHORT for block in section.blocks)
    return (60 if section.level == 1 else 45) if long else 25


SHORT = 12
"""A table with fewer rows is not split between pages."""


def _section(section: Section, size: float) -> list[Flowable]:
    from reportlab.platypus import KeepTogether

    small = section.appendix
    heading_size = 8.5 if small and section.level > 1 else {1: 1.44 * size, 2: 1.25 * size}[section.level]
    parts: list[Flowable] = [_heading(section.heading, heading_size)] if section.heading else []
    story: list[Flowable] = []
    for block in section.blocks:
        # The heading stands with the first block.
        parts += _block(block, 6.8 if small else size, label_share=0.3 if small or size > TEXT_SIZE[False] else 0.24)
        whole = isinstance(block, Picture) or (isinstance(block, TableBlock) and len(block.table.rows) < SHORT)
        story += [KeepTogether(parts)] if whole else parts
        parts = []
    return [*story, *parts]


def _block(block: Block, size: float, label_share: float) -> list[Flowable]:
    if isinstance(block, Paragraph):
        return [_note(block.text, size) if block.note else _paragraph(block.text, size=size, spaceBefore=0.5 * size)]
    if isinstance(block, Bullets):
        return [
            _paragraph(
                f"•  {line}", size=size, spaceAfter=1.5, leftIndent=BULLET * size, firstLineIndent=-BULLET * size
            )
            for line in block.lines
        ]
    if isinstance(block, Facts):
        return [_facts(block.facts, size, label_share)]
    if isinstance(block, TableBlock):
        if block.folded:
            return [_note(f"{block.folded}: in the HTML report.", size)]
        if not block.table.rows:
            return [_paragraph("none", size=size)]
        return [_table(block), *([_note(block.note, size)] if block.note else [])]
    return _picture(block, size)


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


def _heading(text: str, size: float) -> Flowable:
    return _paragraph(
        text, size=size, bold=True, colour=palette.ACCENT, spaceBefore=size, spaceAfter=0.35 * size, keepWithNext=1
    )


def _note(text: str, size: float) -> Flowable:
    return _paragraph(text, size=0.85 * size, colour=palette.MUTED, spaceBefore=3)


def _rule(colour: str, width: float) -> Flowable:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import HRFlowable

    return HRFlowable(width="100%", thickness=width, color=HexColor(colour), spaceBefore=3, spaceAfter=2)


def _messages(name: str, found: Sequence[Message], colour: str) -> Flowable:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Table

    critical = {"critical": "CRITICAL: "}
    rows = [[_paragraph(name if len(found) == 1 else f"{name}s", size=9.5, bold=True, colour=colour)]]
    rows += [
        [
            _paragraph(
                f"•  {critical.get(message.severity, '')}{message.plain_text}",
                size=8,
                leftIndent=8 * BULLET,
                firstLineIndent=-8 * BULLET,
            )
        ]
        for message in found
    ]
    table = Table(rows, colWidths=[TEXT_WIDTH])
    table.setStyle(
        [
            ("BACKGROUND", (0, 0), (-1, -1), HexColor("#F5F7F9" if colour == palette.MUTED else "#FDF6E6")),
            ("LINEBEFORE", (0, 0), (0, -1), 3.5, HexColor(colour)),
            ("LEFTPADDING", (0, 0), (-1, -1), 10),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
        ]
    )
    return table


def _facts(facts: Sequence[Fact], size: float, label_share: float) -> Flowable:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Table

    rows = [
        [_paragraph(fact.label, size=size, colour=palette.MUTED), _paragraph(fact.value, size=size)] for fact in facts
    ]
    table = Table(rows, colWidths=[label_share * TEXT_WIDTH, (1 - label_share) * TEXT_WIDTH])
    table.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor(palette.RULE)),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 0.25 * size),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 0.3 * size),
        ]
    )
    return table


DASHES = {"solid": None, "dashed": (3, 1.5), "dotted": (1, 1.2), "dashdot": (3, 1, 1, 1)}


def _table(block: TableBlock) -> Flowable:
    """Table whose head repeats on every page."""
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Table

    def cell(text: str, row: int, column: int) -> Flowable:
        mark = block.mark(row, column)
        muted = column in block.muted
        colour = palette.STATUS_COLOURS[mark] if mark else palette.MUTED if muted else palette.INK
        return _paragraph(
            text,
            size=6.2 if muted else 7.2,
            bold=bool(mark),
            colour=colour,
            alignment=RIGHT * (block.right(column) and not muted),
        )

    heads = [
        _paragraph(
            "\n".join(filter(None, parts)),
            size=7.2,
            bold=True,
            alignment=RIGHT * (block.right(n) and n not in block.muted),
        )
        for n, parts in enumerate(block.headings())
    ]
    rows = [heads, *([cell(text, r, c) for c, text in enumerate(row)] for r, row in enumerate(block.table.shown()))]
    shares = block.widths()
    table = Table(rows, colWidths=[TEXT_WIDTH * share / sum(shares) for share in shares], repeatRows=1)
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
            ("TOPPADDING", (0, 0), (-1, -1), 2.2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.6),
            *swatches,
            *([("LEFTPADDING", (0, 0), (0, -1), 6)] if swatches else []),
        ]
    )
    return table


def _picture(picture: Picture, size: float) -> list[Flowable]:
    from reportlab.lib.utils import ImageReader
    from reportlab.platypus import Image

    width, height = ImageReader(io.BytesIO(picture.png)).getSize()
    image = Image(io.BytesIO(picture.png), width=TEXT_WIDTH, height=TEXT_WIDTH * height / width)
    heading = [_heading(picture.heading, 9.5)] if picture.heading else []
    return [*heading, image, _note(picture.caption, size)]


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
