"""A page of plain words (the patient sheet) as HTML or PDF."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from hepatica.errors import OutputError


class Page(Protocol):
    """What a page holds: `hepatica.safety.sheet.PatientSheet` is one."""

    @property
    def language(self) -> str:
        """Two letters."""

    @property
    def title(self) -> str:
        """Heading."""

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """Label and value."""

    @property
    def intro(self) -> str:
        """First paragraph."""

    @property
    def sections(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Heading and sentences."""

    @property
    def footer(self) -> str:
        """Small print."""


def write_page(page: Page, path: Path) -> None:
    """Write a page as .html or .pdf (one A4 page); wrap in `io.files.atomic_output`.

    Raises
    ------
    OutputError
        If the suffix is neither.
    """
    if path.suffix.lower() == ".html":
        path.write_text(_html(page), encoding="utf-8")
    elif path.suffix.lower() == ".pdf":
        path.write_bytes(_pdf(page))
    else:
        raise OutputError(f"{path.name}: a patient sheet is written as .html or .pdf")


def _html(page: Page) -> str:
    from jinja2 import Environment

    template = Environment(autoescape=True).from_string(_TEMPLATE)
    return str(template.render(page=page))


_TEMPLATE = """<!doctype html>
<html lang="{{ page.language }}"><head><meta charset="utf-8"><title>{{ page.title }}</title>
<style>
@page { size: A4; margin: 18mm; }
body { font: 12pt/1.4 system-ui, sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em; color: #1c2733; }
h1 { font-size: 20pt; margin: 0 0 .4em; } h2 { font-size: 13pt; margin: 1.1em 0 .2em; color: #0b5a6f; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1em 1em; margin: 0 0 1em; }
dt { color: #566573; } dd { margin: 0; } ul { margin: .2em 0; padding-left: 1.2em; }
footer { margin-top: 1.5em; font-size: 9pt; color: #566573; }
</style></head><body>
<h1>{{ page.title }}</h1>
<dl>{% for name, value in page.facts %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
<p>{{ page.intro }}</p>
{% for heading, lines in page.sections %}<h2>{{ heading }}</h2>
<ul>{% for line in lines %}<li>{{ line }}</li>{% endfor %}</ul>
{% endfor %}<footer>{{ page.footer }}</footer>
</body></html>
"""


def _pdf(page: Page) -> bytes:
    from html import escape
    from io import BytesIO

    from reportlab.lib.colors import HexColor
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import mm
    from reportlab.platypus import KeepInFrame, Paragraph, SimpleDocTemplate, Spacer, Table

    font = _font()
    body = ParagraphStyle("body", fontName=font, fontSize=10.5, leading=14, textColor=HexColor("#1c2733"))
    small = ParagraphStyle("small", parent=body, fontSize=8, leading=10, textColor=HexColor("#566573"))
    title = ParagraphStyle("title", parent=body, fontSize=19, leading=24, spaceAfter=6)
    heading = ParagraphStyle("heading", parent=body, fontSize=12.5, leading=16, textColor=HexColor("#0b5a6f"))
    heading.spaceBefore, heading.spaceAfter = 8, 2
    bullet = ParagraphStyle("bullet", parent=body, leftIndent=12, bulletIndent=2, spaceAfter=1.5)
    rows = [[Paragraph(escape(k), small), Paragraph(escape(v), body)] for k, v in page.facts]
    story = [Paragraph(escape(page.title), title), Table(rows, colWidths=[42 * mm, 128 * mm], hAlign="LEFT")]
    story += [Spacer(1, 6), Paragraph(escape(page.intro), body)]
    for name, lines in page.sections:
        story.append(Paragraph(escape(name), heading))
        story += [Paragraph(escape(line), bullet, bulletText="•") for line in lines]
    story += [Spacer(1, 10), Paragraph(escape(page.footer), small)]
    buffer = BytesIO()
    document = SimpleDocTemplate(
        buffer, pagesize=A4, leftMargin=20 * mm, rightMargin=20 * mm, topMargin=18 * mm, bottomMargin=16 * mm
    )
    document.title = page.title
    # One page: shrunk if a long translation needs it.
    document.build([KeepInFrame(170 * mm, 260 * mm, story, mode="shrink")])
    return buffer.getvalue()


def _font() -> str:
    """DejaVu Sans, which matplotlib ships: it has the letters of most languages, Helvetica does not."""
    import matplotlib
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    name = "DejaVuSans"
    if name not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(TTFont(name, str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf")))
    return name
