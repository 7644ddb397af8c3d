"""Names from outside are text wherever they are shown or written."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepatica.core.tables.table import Table
from hepatica.core.text.visible import csv_text, from_spreadsheet, one_line, spreadsheet_text, visible
from hepatica.io.files import write_text
from hepatica.io.tables import read_table

NAMES = (
    *("=1+1", "+1+1", "-1+1", "@sum(a1)", "\t=1", "\r=1", "'=1", "''=1", "'s-Gravenhage", "-", "＝1+1"),
    *("liver [/x] a", "[red]", "<script>alert(1)</script>", "a&b", "$x^2$", "$", "_hidden", 'say "no"', "a,b", "a;b"),
    *("line\nbreak", "line\r\nbreak", "a\u2028b", "a\x85b", "../../x", "CON", "a/b", "x" * 500, "\u202eabc", "\x1b[2J"),
)


@pytest.mark.parametrize("name", NAMES)
def test_no_cell_is_a_formula_and_ours_is_read_back(name: str, tmp_path: Path) -> None:
    table = Table.of((f"{name} Gy", "dose"), [(name, -5.5), ("plain", 2.0)])
    (cell, number), *_ = list(csv.reader(io.StringIO(table.csv(), newline="")))[1:]
    assert cell[0] not in "=+-@\t\r" or cell == "-5.2"
    assert number == "-5.5"
    write_text(tmp_path / "t.csv", table.csv())
    found = read_table(tmp_path / "t.csv")
    # What turns letters around stays written out.
    read_back = name.replace("\u202e", r"\u202e")
    assert next(iter(found.columns)) == f"{read_back} Gy"
    assert next(iter(found.columns.values()))[0] == read_back
    assert found.columns["dose"] == ("-5.5", "2.0")


@given(st.text(st.characters(exclude_categories=["Cf", "Cs"])))
def test_what_a_spreadsheet_must_not_compute_comes_back_whole(text: str) -> None:
    safe = spreadsheet_text(text)
    assert from_spreadsheet(safe) == text
    assert list(csv.reader(io.StringIO(csv_text([["x", text]]), newline=""))) == [["x", safe]] or "\0" in text


def test_no_cell_turns_letters_around_or_hides_them() -> None:
    cells = "liver\u202erumut", "a\u2066b\u200f", "\ufeffx", "کبد\u200cها"
    assert csv_text([cells]) == "liver\\u202erumut,a\\u2066b\\u200f,\\ufeffx,کبد\u200cها\n"


@pytest.mark.parametrize("number", ["-5.2", "+3", "-1e-5", "-,5", "-.5"])
def test_numbers_stay_numbers(number: str) -> None:
    assert spreadsheet_text(number) == number


def test_hidden_characters_are_seen() -> None:
    assert visible("\x1b[31mred\x07 \u202eabc\u2066 \ud800 \x9b") == r"\x1b[31mred\x07 \u202eabc\u2066 \ud800 \x9b"
    assert visible("µ ± ä 肝臓 کبد‌ها\nsecond line") == "µ ± ä 肝臓 کبد‌ها\nsecond line"
    assert one_line("a\r\nb") == r"a\r\nb"


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_shows_a_name_as_text(name: str) -> None:
    page = Table.of((name,), [(name,)], title=name)._repr_html_()
    assert "<script" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
