"""Cells of an Excel workbook (.xlsx), whose parts are checked before openpyxl unpacks and reads them.

A workbook is a zip archive of XML. A small one may unpack to gigabytes, define entities that grow without end or name
files of this machine, or hold a cell in the last row and column, up to which openpyxl fills the sheet.
"""

from __future__ import annotations

import re
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO
from xml.parsers import expat

from hepatica.errors import InputError
from hepatica.io.input_files import PIECE, require_file

MAX_PARTS = 1000
"""Parts of a workbook: sheets, styles, texts, drawings. One of Excel has about ten and one for each sheet."""

MAX_UNPACKED_BYTES = 64 * 1024**2
"""Of all parts together: `MAX_CELLS` with their formats take half of it."""

MAX_CELLS = 250_000
"""Of the workbook: 2500 patients with 100 columns, which openpyxl reads in some seconds."""

MAX_ROWS, MAX_COLUMNS = 100_000, 2000
"""Of a sheet; a cell beyond is one that was touched by accident."""

MAX_ELEMENTS = 6 * MAX_CELLS
"""XML elements of all parts: a cell with its value and shared text has five."""

MAX_DEPTH = 100
"""XML elements inside each other."""

STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


def read_workbook(path: Path, sheet: str | None = None) -> list[tuple[Any, ...]]:
    """Values of a sheet, row by row from row 1; None for an empty cell.

    Parameters
    ----------
    path : Path
        The file.
    sheet : str or None
        Name of the sheet; None takes the only one.

    Raises
    ------
    InputError
        If it is no workbook, damaged, too large, holds a formula that was never computed, or has several sheets and
        none is named.
    """
    require_file(path)
    with warnings.catch_warnings():
        # Of styles, validation and other things that hold no value. A date that is none gives a text, which is refused.
        warnings.simplefilter("ignore")
        try:
            with path.open("rb") as stream:
                guard = _Guard(path)
                guard.check(stream)
                return _rows(path, stream, sheet, has_formulas=guard.has_formulas)
        except InputError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(f"{path}: is not an Excel workbook, or a damaged one ({reason})") from error


def _rows(path: Path, stream: BinaryIO, sheet: str | None, *, has_formulas: bool) -> list[tuple[Any, ...]]:
    from openpyxl import load_workbook
    from openpyxl.utils import get_column_letter

    book = load_workbook(stream, read_only=True, data_only=True)
    names = list(book.sheetnames)
    if not names:
        raise InputError(f"{path}: is not an Excel workbook: it has no sheet")
    if sheet is None and len(names) > 1:
        raise InputError(f"{path}: has sheets {', '.join(names)}", remedy="name one of them (`sheet`), or keep only it")
    if sheet is not None and sheet not in names:
        raise InputError(f"{path}: has no sheet {sheet!r}; sheets: {', '.join(names)}")
    name = sheet or names[0]
    rows = _values(path, book, name)
    if has_formulas:
        written = _values(path, load_workbook(stream, read_only=True, data_only=False), name)
        for number, (values, formulas) in enumerate(zip(rows, written, strict=True), start=1):
            for column, (value, formula) in enumerate(zip(values, formulas, strict=True), start=1):
                if value is None and formula is not None:
                    cell = f"{get_column_letter(column)}{number}"
                    raise InputError(
                        f"{path}: sheet {name!r}, cell {cell}: its formula has no computed value",
                        remedy="open the file in a spreadsheet program and save it",
                    )
    return rows


def _values(path: Path, book: Any, name: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    try:
        sheet = book[name]
        # What the file says of its own extent may be wrong, and would cut off rows.
        sheet.reset_dimensions()
        for row in sheet.iter_rows(values_only=True):
            rows.append(row)  # noqa: PERF402 - so that an error can say how far it came
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path}: sheet {name!r}, row {len(rows) + 1}: cannot be read ({reason})") from error
    return rows


class _Guard:
    """Sizes and structure of all parts of a workbook."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.has_formulas = False
        self._cells = self._elements = 0

    def check(self, stream: BinaryIO) -> None:
        """Refuse what is too large, or holds what no spreadsheet program writes.

        Raises
        ------
        InputError
            Naming the part, and the row or cell where there is one.
        zipfile.BadZipFile
            If the archive is damaged.
        """
        with zipfile.ZipFile(stream) as archive:
            parts = archive.infolist()
            names = {part.filename for part in parts}
            size = sum(part.file_size for part in parts)
            if len(parts) > MAX_PARTS or len(names) < len(parts):
                raise InputError(f"{self.path}: is not an Excel workbook: {len(parts)} parts, {len(names)} names")
            if size > MAX_UNPACKED_BYTES:
                raise InputError(
                    f"{self.path}: unpacks to {size / 1e6:.0f} MB; a table has at most {MAX_UNPACKED_BYTES / 1e6:.0f}"
                )
            for part in parts:
                if part.flag_bits & 1 or part.compress_type not in (STORED, DEFLATED):
                    raise InputError(f"{self.path}: part {part.filename} is encrypted or packed in another way")
                if part.filename.lower().endswith((".xml", ".rels")):
                    try:
                        with archive.open(part) as content:
                            self._check_part(part.filename, content)
                    except (expat.ExpatError, zlib.error, zipfile.BadZipFile, EOFError, RuntimeError) as error:
                        raise InputError(f"{self.path}: its part {part.filename} is damaged ({error})") from error

    def _check_part(self, name: str, content: Any) -> None:
        """Read a part of XML without building anything of it."""
        walk = _Walk(self, name)
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = walk.doctype
        parser.StartElementHandler = walk.start
        parser.EndElementHandler = walk.end
        parser.CharacterDataHandler = walk.text
        while piece := content.read(PIECE):
            parser.Parse(piece, False)
        parser.Parse(b"", True)

    def count(self, *, cell: bool, what: str) -> None:
        """One more element, or cell."""
        self._elements += 1
        self._cells += cell
        if self._cells > MAX_CELLS or self._elements > MAX_ELEMENTS:
            raise InputError(f"{self.path}: {what}: the workbook has more than {MAX_CELLS} cells")


class _Walk:
    """Where in a part the parser is."""

    def __init__(self, guard: _Guard, name: str) -> None:
        self._guard, self._name = guard, name
        self._depth, self._row, self._column = 0, 0, 0
        self._is_sheet, self._of_shared_text = False, False
        self._index: str | None = None

    def doctype(self, *_: Any) -> None:
        """No spreadsheet program writes a DTD; entities that grow or name files are defined in one."""
        raise InputError(f"{self._guard.path}: {self._name}: holds a document type definition; it is not read")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin of an element."""
        self._depth += 1
        tag = tag.rpartition(":")[2]
        self._guard.count(cell=tag == "c" and self._is_sheet, what=self._name)
        if self._depth > MAX_DEPTH:
            raise InputError(f"{self._guard.path}: {self._name}: elements stand in each other {MAX_DEPTH} deep")
        if self._depth == 1:
            self._is_sheet = tag == "worksheet"
        elif self._is_sheet and tag == "row":
            self._begin_row(attributes.get("r", ""))
        elif self._is_sheet and tag == "c":
            self._begin_cell(attributes.get("r", ""))
            self._of_shared_text = attributes.get("t") == "s"
        elif self._is_sheet and tag == "v" and self._of_shared_text:
            self._index = ""
        elif self._is_sheet and tag == "f":
            self._guard.has_formulas = True

    def text(self, text: str) -> None:
        """Text inside an element."""
        if self._index is not None:
            self._index += text

    def end(self, _: str) -> None:
        """End of an element."""
        self._depth -= 1
        # openpyxl counts a negative number from the last text.
        if self._index is not None and not re.fullmatch(r"\s*[0-9]+\s*", self._index):
            raise InputError(
                f"{self._guard.path}: {self._name}: row {self._row}: {self._index[:20]!r} is no number of a shared text"
            )
        self._index = None

    def _begin_row(self, reference: str) -> None:
        # A row or cell without a reference follows the one before.
        number = int(reference) if re.fullmatch(r"[0-9]{1,7}", reference) else 0 if reference else self._row + 1
        if not self._row < number <= MAX_ROWS:
            raise InputError(
                f"{self._guard.path}: {self._name}: row {reference[:20]!r} follows row {self._row}; rows stand in "
                f"order, each once, from 1 to {MAX_ROWS}",
                remedy=_REMEDY,
            )
        self._row, self._column = number, 0

    def _begin_cell(self, reference: str) -> None:
        match = re.fullmatch(r"([A-Z]{1,3})([0-9]{1,7})", reference)
        column, row = self._column + 1, self._row
        if match:
            column, row = _column_number(match[1]), int(match[2])
        if (reference and not match) or row != self._row or not self._column < column <= MAX_COLUMNS:
            raise InputError(
                f"{self._guard.path}: {self._name}: cell {reference[:20]!r} in row {self._row} behind column "
                f"{self._column}; cells stand in order, each once, in columns 1 to {MAX_COLUMNS}",
                remedy=_REMEDY,
            )
        self._column = column


_REMEDY = "delete what stands outside the table, or save it as CSV"


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number
