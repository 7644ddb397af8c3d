"""Workbooks that are damaged or hostile: an error that names the file, and the part, row or cell; never another one."""

from __future__ import annotations

import io
import os
import re
import time
import zipfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hepatica.errors import HepaticaError, InputError
from hepatica.io import workbook
from hepatica.io.tables import read_table

SHEET = "xl/worksheets/sheet1.xml"


def whole() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["patient", "dose_gy", "dead"])
    for number in range(20):
        book.active.append([f"p{number}", 100 + number / 2, number % 2])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


WHOLE = whole()


def parts(content: bytes = WHOLE) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, changed: dict[str, bytes | None], *, level: int = 6) -> Path:
    """The workbook with other parts; None leaves one out."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, content in {**parts(), **changed}.items():
            if content is not None:
                archive.writestr(name, content)
    return path


def edited(path: Path, old: bytes, new: bytes, *, part: str = SHEET) -> Path:
    content = parts()[part]
    assert old in content
    return packed(path, {part: content.replace(old, new, 1)})


def refused(path: Path, words: str) -> None:
    begun = time.monotonic()
    with pytest.raises(InputError, match=words) as found:
        read_table(path)
    assert path.name in str(found.value)
    assert time.monotonic() - begun < 10


def read_or_refused(path: Path) -> None:
    try:
        found = str(read_table(path).path)
    except HepaticaError as error:
        found = str(error)
    assert path.name in found


LAUGHS = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
STRANGER = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    "part", [SHEET, "xl/workbook.xml", "docProps/core.xml", "[Content_Types].xml", "xl/styles.xml"]
)
@pytest.mark.parametrize("definition", [LAUGHS, STRANGER])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_definitions_of_entities(tmp_path: Path, part: str, definition: bytes, encoding: str) -> None:
    text = re.sub(r"^<\?xml.*?\?>\s*", "", parts()[part].decode())
    content = f'<?xml version="1.0" encoding="{encoding}"?>{definition.decode()}{text}'.encode(encoding)
    refused(packed(tmp_path / "t.xlsx", {part: content}), "document type definition")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'r="B5"', b'r="XFD5"', r"cell 'XFD5' in row 5"),
        (b'<row r="21"', b'<row r="1048576"', "row '1048576'"),
        (b'<row r="21"', b'<row r="99999999999999"', "row '99999999999999'"),
        (b'<row r="21"', b'<row r="1e5"', "row '1e5'"),
        (b'<row r="5"', b'<row r="-5"', "row '-5'"),
        (b'<row r="5"', b'<row r="3"', "row '3' follows row 4"),
        (b'<row r="5"', b'<row r="4"', "row '4' follows row 4"),
        (b'r="B5"', b'r="A5"', "cell 'A5'"),
        (b'r="B5"', b'r="B6"', "cell 'B6'"),
        (b'r="B5"', b'r="BBBBBBBB5"', "cell"),
        (b"<v>101.5</v>", b"<v>many</v>", "sheet 'Sheet', row 5"),
        (b"<v>101.5</v>", b"<v>" + b"9" * 5000 + b"</v>", "sheet 'Sheet', row 5"),
        (b't="inlineStr"><is><t>p3</t></is>', b't="s"><v>99999</v>', "sheet 'Sheet', row 5"),
        (b't="inlineStr"><is><t>p3</t></is>', b't="s"><v>-1</v>', "row 5: '-1' is no number of a shared text"),
    ],
)  # fmt: skip
def test_rows_and_cells_that_are_wrong(tmp_path: Path, old: bytes, new: bytes, words: str) -> None:
    refused(edited(tmp_path / "t.xlsx", old, new), words)


def test_what_a_sheet_says_of_its_extent_cuts_nothing_off(tmp_path: Path) -> None:
    table = read_table(edited(tmp_path / "t.xlsx", b'ref="A1:C21"', b'ref="A1:B3"'))
    assert list(table.columns) == ["patient", "dose_gy", "dead"]
    assert len(table) == 20
    table = read_table(edited(tmp_path / "t.xlsx", b'ref="A1:C21"', b'ref="A1:XFD1048576"'))
    assert len(table) == 20


def test_parts_that_are_missing_damaged_or_twice(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    for part in parts():
        if part != "docProps/app.xml":
            read_or_refused(packed(path, {part: None}))
    refused(packed(path, {SHEET: None}), "has no sheet|damaged")
    refused(packed(path, {SHEET: parts()[SHEET][:500]}), f"part {SHEET} is damaged")
    refused(packed(path, {SHEET: b"<a>" * 200_000}), "100 deep")
    refused(edited(path, b'calcId="124519"', b'calcId="1e400"', part="xl/workbook.xml"), "is not an Excel workbook")
    packed(path, {})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(SHEET, b"<worksheet/>")
    refused(path, "parts, 9 names|parts, 10 names")
    content = bytearray(WHOLE)
    content[60:64] = b"\xff" * 4
    path.write_bytes(content)
    refused(path, "damaged")


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.xlsx"
    row = b'<row r="%d"><c r="A%d"><v>1</v></c></row>'
    sheet = parts()[SHEET].partition(b"<sheetData>")[0] + b"<sheetData>"
    refused(packed(path, {SHEET: sheet + b" " * (70 << 20)}, level=1), "unpacks to 70 MB|unpacks to 73 MB")
    refused(packed(path, {f"x{n}.xml": b"<a/>" for n in range(1000)}), "1009 parts|10.. parts")
    monkeypatch.setattr(workbook, "MAX_CELLS", 100)
    many = b"".join(row % (n, n) for n in range(1, 200)) + b"</sheetData></worksheet>"
    refused(packed(path, {SHEET: sheet + many}), "more than 100 cells")
    monkeypatch.setattr(workbook, "MAX_ELEMENTS", 300)
    refused(packed(path, {"xl/sharedStrings.xml": b"<sst>" + b"<si/>" * 400 + b"</sst>"}), "more than 100 cells")
    # The length of a part that its archive states is not believed either.
    content = bytearray(packed(path, {SHEET: sheet + b" " * (1 << 20) + many}).read_bytes())
    size = content.rfind(b"PK\x01\x02")
    content[size + 24 : size + 28] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    refused(path, "damaged|Excel|cells")


def test_a_formula_without_a_value_is_no_empty_cell(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    refused(
        edited(path, b"<v>101.5</v>", b"<f>A1*2</f><v/>"), "sheet 'Sheet', cell B5: its formula has no computed value"
    )
    table = read_table(edited(path, b"<v>101.5</v>", b"<f>A1*2</f><v>3.5</v>"))
    assert table.columns["dose_gy"][3] == "3.5"


@pytest.mark.parametrize("name", ["t.csv", "t.xlsx"])
def test_what_is_no_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    os.mkfifo(path)
    refused(path, "a named pipe")
    path.unlink()
    path.mkdir()
    refused(path, "a folder")
    path.rmdir()
    path.write_bytes(b"")
    refused(path, "header row|not an Excel workbook")
    path.write_bytes(WHOLE[:100] if name == "t.xlsx" else b'a,b\n"1' + b"2" * 200_000)
    refused(path, "not an Excel workbook|not a CSV table")


def test_a_text_with_too_many_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a" + b"," * 3_000_000)
    refused(path, "more than 2000000 cells")
    monkeypatch.setattr("hepatica.io.tables.MAX_CSV_BYTES", 1000)
    refused(path, "is a text of 3 MB")


@settings(max_examples=60, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(data=st.data())
def test_damaged_at_random(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes of the archive or of a part inside: a table, or an error of hepatica."""
    path = tmp_path / "t.xlsx"
    if data.draw(st.booleans()):
        content = bytearray(WHOLE)
        for _ in range(data.draw(st.integers(1, 5))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2]))])
    else:
        part = data.draw(st.sampled_from(sorted(parts())))
        found = list(re.finditer(rb'"[^"]*"|>[^<>]+<', parts()[part]))
        match = found[data.draw(st.integers(0, len(found) - 1))]
        word = data.draw(st.sampled_from([b"", b"-1", b"1e400", b"nan", b"0x10", b"abc", b"9" * 30, b"\xff"]))
        content = parts()[part]
        packed(path, {part: content[: match.start() + 1] + word + content[match.end() - 1 :]})
    read_or_refused(path)
