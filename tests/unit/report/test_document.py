"""One document, two writers: what is said stands in both, escaped, marked, in its place."""

import re
from datetime import datetime

import pytest

from hepatica.core.message import Message
from hepatica.core.tables.table import Table
from hepatica.report.document import (
    Bullets,
    Document,
    Fact,
    Facts,
    Paragraph,
    Picture,
    Section,
    TableBlock,
)
from hepatica.report.figures.dosimetry.dose import png, svg
from hepatica.report.figures.planning import CHANCES, draw_trade_off
from hepatica.report.files import document_files
from hepatica.report.html import html_page
from hepatica.report.page import page_document
from hepatica.report.pdf import pdf_page
from hepatica.safety.sheet import PatientSheet

NASTY = "<b>Möller & Żółć</b>"


def limits(**looks: object) -> TableBlock:
    rows = [("violated", NASTY, 31.234, "label"), ("met", "lungs", 3.0, "label"), ("odd", "liver", None, "label")]
    table = Table.of(("status", "limit", "plan\nGy", "source"), rows, formats=("", "", ".1f", ""))
    return TableBlock(table, "What the columns mean.", **looks)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def document() -> Document:
    figure = draw_trade_off([0.5, 1.0, 1.5], [[0.1, 0.5, 0.9], [0.0, 0.0, 0.1], [0.0, 0.0, 0.0]], 1.2)
    drawn = Picture("", "Against the activity.", png(figure), svg(figure))
    return Document(
        title="A plan",
        sections=(
            Section("Patient", (Facts((Fact("Name", NASTY),)),), half=True),
            Section("Treatment", (Facts((Fact("Agent", "glass"),)),), half=True),
            Section("Limits", (limits(prose=True, marks=("violated", "met", "odd"), muted=(3,)),)),
            Section("Nothing", (TableBlock(Table.of(("a", "b"), [])),), level=2),
            Section("Chances", (drawn, Paragraph("Small.", note=True))),
        ),
        messages=(
            Message("a", "the shunt forbids it", "do not treat", severity="critical"),
            Message("b", "methods differ"),
            Message("c", "for the record", severity="note"),
        ),
        who=NASTY,
        created=datetime(2026, 3, 2, 12, 0),
        provenance={"software": "hepatica", "inputs": [{"role": "plan", "path": "plan.toml"}]},
    )  # fmt: skip


def test_html_says_everything_escaped_and_in_order(document: Document) -> None:
    text = html_page(document)
    assert "<b>M" not in text
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:)""", text)
    order = [
        "A plan</h1>", "made 2026-03-02 12:00", "Warnings</h2>", "critical</strong>",
        "the shunt forbids it; do not treat", "methods differ", "Note</h2>", "for the record", "Patient</h2>",
        "Limits</h2>", "31.2", "What the columns mean.", "Nothing</h3>", "<p>none</p>", "Chances</h2>",
        "data:image/svg+xml;base64,", "Appendix: provenance", "plan.toml",
        "Research software, not a medical device. Made by hepatica.",
    ]  # fmt: skip
    places = [text.index(words, text.index("<main>")) for words in order]
    assert places == sorted(places)
    assert text.count('class="columns"') == 1


def test_a_status_is_coloured_and_numbers_stand_to_the_right(document: Document) -> None:
    text = html_page(document)
    assert '<td class="violated">violated</td>' in text
    assert '<td class="met">met</td>' in text
    assert "<td>odd</td>" in text
    assert '<td class="right">31.2</td>' in text
    assert '<td class="right">–</td>' in text
    assert '<td class="muted">label</td>' in text
    numbers = limits()
    assert [numbers.right(n) for n in range(4)] == [False, True, True, True]
    assert numbers.emphasis(0, 2) == ""


def test_pdf_has_all_pages_and_is_the_same_each_time(document: Document) -> None:
    data = pdf_page(document)
    assert data.startswith(b"%PDF")
    assert data == pdf_page(document)
    # The appendix begins a page.
    assert len(re.findall(rb"/Type /Page\b", data)) == 2
    assert data.count(b"/Subtype /Image") >= 1
    assert set(document_files(document, "plan")) == {"plan.html", "plan.pdf"}


def test_a_long_table_runs_over_pages() -> None:
    rows = [(f"row {n}", float(n)) for n in range(150)]
    long = Document("Long", (Section("Rows", (TableBlock(Table.of(("name", "value"), rows)),)),))
    assert len(re.findall(rb"/Type /Page\b", pdf_page(long))) >= 3
    assert html_page(long).count("<tr>") == 151


@pytest.mark.parametrize("height", [60, 80, 200, 330, 400, 430, 440])
def test_no_row_of_a_long_table_stands_alone_on_a_page(height: float) -> None:
    """Whatever room is left: four rows and the head at either end, or all of it on the next page."""
    from hepatica.report.pdf import TEXT_WIDTH, _register_fonts, _table

    _register_fonts()
    block = TableBlock(Table.of(("organ", "Gy"), [(f"organ {n}", float(n)) for n in range(30)]))
    table = _table(block, TEXT_WIDTH)
    assert table.wrap(TEXT_WIDTH, 10000)[1] > height
    parts = [len(part._cellvalues) for part in table.split(TEXT_WIDTH, height)]
    assert parts == [] or min(parts) >= 5
    assert parts == [] or sum(parts) == 32
    # Rows as tall as a page are divided all the same.
    tall = TableBlock(Table.of(("", ""), [("word " * 600, 1.0) for _ in range(13)]), prose=True)
    assert pdf_page(Document("Tall", (Section("", (tall,)),)))


def test_the_patients_sheet_is_one_page_however_long() -> None:
    sections = tuple((f"Heading {n}", tuple(f"Sentence {k} of what to heed." for k in range(12))) for n in range(9))
    sheet = PatientSheet("de", "Nach der Behandlung", (("Name", NASTY),), "Einleitung.", sections, "Kleingedrucktes")
    page = page_document(sheet)
    assert len(re.findall(rb"/Type /Page\b", pdf_page(page))) == 1
    text = html_page(page)
    assert '<html lang="de">' in text
    assert 'class="sheet"' in text
    assert "Sentence 11 of what to heed." in text
    assert "Kleingedrucktes" in text
    assert "Made by hepatica" not in text
    assert isinstance(page.sections[1].blocks[0], Bullets)


def test_the_best_activity_is_marked() -> None:
    figure = draw_trade_off([1.0, 2.0], [[0.2, 0.8], [0.0, 0.3], [0.0, 0.1]], 1.5)
    axis = figure.axes[0]
    assert [line.get_label() for line in axis.lines[:3]] == list(CHANCES)
    assert list(axis.lines[3].get_xdata()) == [1.5, 1.5]
    assert axis.get_xlim()[1] == 2.0


def test_no_word_of_a_table_is_broken_while_all_fit() -> None:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    from hepatica.report.pdf import CELL_SIZE, FONT, TEXT_WIDTH, _column_widths

    words = ("Hepatocholangiocarcinoma", "just\u00a0reached", "1")
    block = TableBlock(Table.of(("a", "b", "c"), [(words[0], words[1], 1.0)]), prose=True, shares=(0.1, 0.1, 9.0))
    widths = _column_widths(block, ("a", "b", "c"), TEXT_WIDTH)
    assert sum(widths) == pytest.approx(TEXT_WIDTH)
    for word, width in zip(words, widths, strict=True):
        assert stringWidth(word, FONT, CELL_SIZE) < width - 5
    # Where they do not fit the shares hold, and letters divide.
    wide = TableBlock(Table.of(("a", "b"), [("x" * 400, "y")]), prose=True, shares=(1.0, 1.0))
    assert _column_widths(wide, ("a", "b"), 100.0) == [50.0, 50.0]


def test_short_sections_stand_beside_each_other_on_paper_and_long_ones_below() -> None:
    def page(rows: int) -> Document:
        facts = Facts.of([(f"label {n}", "a value") for n in range(rows)])
        return Document("Halves", tuple(Section(f"H{n}", (facts,), half=True) for n in range(2)))

    pages = [len(re.findall(rb"/Type /Page\b", pdf_page(page(rows)))) for rows in (30, 70)]
    assert pages == [1, 3]


def test_a_name_in_the_head_of_printed_pages_stays_a_text() -> None:
    text = html_page(Document("x", (), who='"} body { display: none } </style>\\'))
    head = re.search(r'@top-left \{ content: "(.*?)"; font', text)
    assert head is not None
    assert re.fullmatch(r"(?:[\w ]|\\[0-9a-f]{6})*", head[1])
