"""The report as PDF, with the same content as the HTML, by reportlab."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from hepatica.report import tables
from hepatica.report.document import NOT_A_DEVICE, DoseReport, Fact
from hepatica.report.figures import palette
from hepatica.report.figures.pictures import Picture, Pictures, draw
from hepatica.report.html import created_text
from hepatica.report.provenance import provenance_rows

if TYPE_CHECKING:
    from reportlab.platypus import Flowable

MM = 72 / 25.4
PAGE_MM = (210.0, 297.0)
MARGIN_MM = 15.0
TEXT_WIDTH = (PAGE_MM[0] - 2 * MARGIN_MM) * MM
FONT, BOLD = "hepatica", "hepatica-bold"

DOSE_WIDTHS = (2.6, 1, 1, 1.35, 1, 1, 1, 1, 1, 1, 1.05)
LIMIT_WIDTHS = (1.5, 1.35, 1.1, 1.1, 2.0, 2.3)
IMAGE_WIDTHS = (1.2, 2.4, 0.8, 1.6, 3.2)


def pdf_report(report: DoseReport, pictures: Pictures | None = None) -> bytes:
    """PDF document, A4, page numbers and 'not a medical device' on every page.

    Latin, Greek and Cyrillic letters print; a letter that the font (DejaVu Sans) lacks prints as a box.

    Parameters
    ----------
    report : DoseReport
        What to print.
    pictures : Pictures, optional
        From `pictures.draw`, if they are drawn already.
    """
    from reportlab import rl_config
    from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

    # Pictures as bytes, not as ASCII: a fifth smaller, and the encoding took longer than the rest of the PDF.
    rl_config.useA85 = 0
    _register_fonts()
    out = io.BytesIO()
    frame = Frame(
        MARGIN_MM * MM, 18 * MM, TEXT_WIDTH, (PAGE_MM[1] - 18 - 19) * MM,
        leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0,
    )  # fmt: skip
    document = BaseDocTemplate(
        out,
        pagesize=(PAGE_MM[0] * MM, PAGE_MM[1] * MM),
        title=report.title,
        author="hepatica",
        subject=NOT_A_DEVICE,
        invariant=1,
    )
    document.addPageTemplates([PageTemplate(frames=[frame])])
    document.build(_story(report, pictures or draw(report)), canvasmaker=_canvas_class(report))
    return out.getvalue()


def _story(report: DoseReport, pictures: Pictures) -> list[Flowable]:
    return [*_front(report), *_results(report, pictures), *_background(report)]


def _front(report: DoseReport) -> list[Flowable]:
    """Title, warnings, who and what, doses against limits."""
    from reportlab.platypus import Spacer

    story: list[Flowable] = [_paragraph(report.title, size=19, bold=True, after=2), _rule(palette.ACCENT, 1.6)]
    if report.warnings:
        story += [Spacer(1, 8), _warnings(report.warnings)]
    for title, facts in (("Patient", report.patient), ("Treatment", report.treatment)):
        if facts:
            story += [_heading(title), _facts(facts)]
    if report.limits:
        story += [_heading("Doses against limits and goals"), _limits(report), _note(tables.LIMIT_NOTE)]
    return story


def _results(report: DoseReport, pictures: Pictures) -> list[Flowable]:
    """Tables, DVH, slices, activity."""
    from reportlab.platypus import CondPageBreak

    columns = tables.v_columns(report)
    story: list[Flowable] = [
        CondPageBreak(60 * MM),
        _heading("Absorbed dose by structure"),
        _doses(report),
        _note(tables.dose_note(report)),
        CondPageBreak(45 * MM),
        _heading("Volume above dose", size=10),
        _table([columns, *tables.v_rows(report)], [2.6, *[1] * (len(columns) - 1)]),
        _note(tables.V_NOTE),
    ]
    for further in report.further:
        shares = [2.6, *[1] * (len(further.columns) - 1)]
        cells = [list(further.columns), *(list(row) for row in further.rows)]
        story += [
            CondPageBreak(45 * MM),
            _heading(further.heading, size=10),
            _table(cells, shares),
            _note(further.note),
        ]
    story += _picture(pictures.dvh, level=1)
    for number, picture in enumerate(pictures.slices):
        story += _picture(picture, level=2, before="Dose distribution" if number == 0 else None)
    if pictures.left_out:
        story.append(_note(f"{pictures.left_out} smaller lesions have no slices here; they are in the tables."))
    if pictures.activity is not None:
        story += _picture(pictures.activity, level=1)
    return story


def _background(report: DoseReport) -> list[Flowable]:
    """Images, method, conventions, provenance."""
    from reportlab.platypus import CondPageBreak, PageBreak

    story: list[Flowable] = []
    if report.images:
        cells = [list(tables.IMAGE_COLUMNS), *(list(image) for image in report.images)]
        story += [CondPageBreak(30 * MM), _heading("Images used"), _table(cells, IMAGE_WIDTHS, text=True)]
    for title, facts in (("Method", report.method), ("Conventions", report.conventions)):
        if facts:
            story += [CondPageBreak(25 * MM), _heading(title), _facts(facts)]
    sections = provenance_rows(report.provenance)
    if sections:
        story += [PageBreak(), _heading("Appendix: provenance")]
    for title, rows in sections:
        story += [CondPageBreak(14 * MM), _heading(title, size=8.5)]
        story.append(_facts([Fact(*row) for row in rows], size=6.8, label_share=0.3))
    return story


def _register_fonts() -> None:
    import matplotlib as mpl
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    if FONT in pdfmetrics.getRegisteredFontNames():
        return
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    pdfmetrics.registerFont(TTFont(FONT, str(folder / "DejaVuSans.ttf")))
    pdfmetrics.registerFont(TTFont(BOLD, str(folder / "DejaVuSans-Bold.ttf")))


def _paragraph(
    text: str, *, size: float = 8, bold: bool = False, colour: str = palette.INK, before: float = 0, after: float = 0,
    right: bool = False, keep: bool = False,
) -> Flowable:  # fmt: skip
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph

    style = ParagraphStyle(
        "text", fontName=BOLD if bold else FONT, fontSize=size, leading=1.32 * size, textColor=HexColor(colour),
        spaceBefore=before, spaceAfter=after, alignment=2 if right else 0, splitLongWords=1, keepWithNext=int(keep),
    )  # fmt: skip
    return Paragraph(escape(text).replace("\n", "<br/>"), style)


def _heading(text: str, size: float = 11.5) -> Flowable:
    return _paragraph(text, size=size, bold=True, colour=palette.ACCENT, before=size, after=0.35 * size, keep=True)


def _note(text: str) -> Flowable:
    return _paragraph(text, size=6.8, colour=palette.MUTED, before=3)


def _rule(colour: str, width: float) -> Flowable:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import HRFlowable

    return HRFlowable(width="100%", thickness=width, color=HexColor(colour), spaceBefore=3, spaceAfter=2)


def _warnings(warnings: Sequence[str]) -> Flowable:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Table

    colour = palette.STATUS_COLOURS["near"]
    rows = [[_paragraph("Warning" if len(warnings) == 1 else "Warnings", size=9.5, bold=True, colour=colour)]]
    rows += [[_paragraph(f"•  {warning}", size=8)] for warning in warnings]
    table = Table(rows, colWidths=[TEXT_WIDTH])
    table.setStyle(
        [
            ("BACKGROUND", (0, 0), (-1, -1), HexColor("#FDF6E6")),
            ("LINEBEFORE", (0, 0), (0, -1), 3.5, HexColor(colour)),
            ("LEFTPADDING", (0, 0), (-1, -1), 10),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
        ]
    )
    return table


def _facts(facts: Sequence[Fact], size: float = 8, label_share: float = 0.24) -> Flowable:
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


def _table(
    cells: Sequence[Sequence[Any]], shares: Sequence[float], *, text: bool = False, extra: Sequence[Any] = ()
) -> Flowable:
    """Table whose head repeats on every page; numbers to the right unless `text`."""
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Table

    def cell(value: Any, column: int, bold: bool) -> Any:
        if not isinstance(value, str):
            return value
        return _paragraph(value, size=7.2, bold=bold, right=column > 0 and not text)

    rows = [[cell(value, n, bold=row == 0) for n, value in enumerate(line)] for row, line in enumerate(cells)]
    table = Table(rows, colWidths=[TEXT_WIDTH * share / sum(shares) for share in shares], repeatRows=1)
    table.setStyle(
        [
            ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
            ("VALIGN", (0, 1), (-1, -1), "TOP" if text else "MIDDLE"),
            ("LINEBELOW", (0, 0), (-1, 0), 0.9, HexColor(palette.INK)),
            ("LINEBELOW", (0, 1), (-1, -1), 0.4, HexColor(palette.RULE)),
            ("LEFTPADDING", (0, 0), (-1, -1), 2),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            ("TOPPADDING", (0, 0), (-1, -1), 2.2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.6),
            *extra,
        ]
    )
    return table


def _doses(report: DoseReport) -> Flowable:
    from reportlab.lib.colors import HexColor

    styles = palette.structure_styles([item.structure for item in report.regions])
    dash = {"solid": None, "dashed": (3, 1.5), "dotted": (1, 1.2), "dashdot": (3, 1, 1, 1)}
    # Before each name a sample of the line with which slices and DVH draw the structure.
    extra: list[Any] = [
        ("LINEBEFORE", (0, n), (0, n), 2.6, HexColor(style.colour), 0, dash[style.dashes])
        for n, style in enumerate(styles, start=1)
    ]
    extra.append(("LEFTPADDING", (0, 0), (0, -1), 6))
    return _table([tables.DOSE_COLUMNS, *tables.dose_rows(report)], DOSE_WIDTHS, extra=extra)


def _limits(report: DoseReport) -> Flowable:
    rows: list[list[Any]] = []
    for row in report.limits:
        cells: list[Any] = list(tables.limit_row(row))
        cells[3] = _paragraph(cells[3], size=7.2, bold=True, colour=palette.STATUS_COLOURS[row.status])
        cells[5] = _paragraph(cells[5], size=6.2, colour=palette.MUTED)
        rows.append(cells)
    return _table([list(tables.LIMIT_COLUMNS), *rows], LIMIT_WIDTHS, text=True)


def _picture(picture: Picture, *, level: int, before: str | None = None) -> list[Flowable]:
    from reportlab.lib.utils import ImageReader
    from reportlab.platypus import Image, KeepTogether

    width, height = ImageReader(io.BytesIO(picture.png)).getSize()
    image = Image(io.BytesIO(picture.png), width=TEXT_WIDTH, height=TEXT_WIDTH * height / width)
    parts = [_heading(before)] if before else []
    parts.append(_heading(picture.heading, size=11.5 if level == 1 else 9.5))
    return [KeepTogether([*parts, image, _note(picture.caption)])]


def _canvas_class(report: DoseReport) -> Any:
    """A canvas that writes head and foot once the number of pages is known."""
    from reportlab.lib.colors import HexColor
    from reportlab.pdfgen.canvas import Canvas

    who = ", ".join(fact.value for fact in report.patient[:2])
    made = created_text(report)

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
            self.drawString(left, top, who[:90])
            self.drawRightString(right, top, f"{report.title}{', ' + made if made else ''}"[:90])
            self.drawRightString(right, 9.5 * MM, f"Page {number} of {total}")
            self.setFillColor(HexColor(palette.STATUS_COLOURS["violated"]))
            self.setFont(BOLD, 6.8)
            self.drawString(left, 9.5 * MM, NOT_A_DEVICE)

    return NumberedCanvas
