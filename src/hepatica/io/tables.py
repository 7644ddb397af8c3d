"""Tables of patients and lesions from CSV, Excel, a pandas DataFrame or rows of Python, checked row by row.

The first row of a file names the columns. Everything that is wrong is collected and reported at once, with file, row
and column. Rows count as in a spreadsheet, whose header is row 1; those of a DataFrame or of Python count from 1.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hepatica.core import InputFile
from hepatica.errors import InputError, TableError

YES = {"1", "1.0", "yes", "y", "true", "dead", "event"}
NO = {"0", "0.0", "no", "n", "false", "alive", "censored"}
MISSING = {"", "na", "n/a", "nan", "-", "null", "none", "."}
_WITH_UNIT = re.compile(r"^([+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?)\s*([A-Za-zµ%/]+)$")
DAYS_PER_MONTH = 365.25 / 12


@dataclass(frozen=True, slots=True)
class Table:
    """A table as text.

    Attributes
    ----------
    path : Path or None
        Where it came from; None where it is no file.
    columns : dict of str to tuple of str
        Cells of each column, stripped; "" for an empty one.
    rows : tuple of int
        Row numbers as their reader counts them.
    decimal_comma : bool
        Whether "3,5" is a number (a CSV separated by semicolons).
    """

    path: Path | None
    columns: dict[str, tuple[str, ...]]
    rows: tuple[int, ...]
    decimal_comma: bool = False

    @property
    def name(self) -> str:
        """The file, for messages."""
        return "table" if self.path is None else str(self.path)

    @property
    def inputs(self) -> tuple[InputFile, ...]:
        """The file with its hash, for the provenance; empty where it is no file."""
        return () if self.path is None else (InputFile.of("table", self.path),)

    def __len__(self) -> int:
        return len(self.rows)

    def check(self) -> TableCheck:
        """A reader that collects faults; call its `done` at the end."""
        return TableCheck(self)


@dataclass(slots=True)
class TableCheck:
    """Typed columns of a table, and everything that is wrong with them."""

    table: Table
    faults: list[str] = field(default_factory=list)

    def fault(self, index: int, column: str, text: str) -> None:
        """Record a fault of one cell; `index` counts from 0 over the table's rows."""
        self.faults.append(f"row {self.table.rows[index]}, column {column!r}: {text}")

    def column_fault(self, column: str, text: str) -> None:
        """Record what is wrong with a column as a whole."""
        self.faults.append(f"column {column!r}: {text}")

    def varying(self, name: str) -> list[float]:
        """Numbers of a column that a model needs: a missing one is a fault, and so is the same number everywhere."""
        values = self.numbers(name)
        if len(values) > 1 and not any(math.isnan(v) for v in values) and len(set(values)) == 1:
            self.column_fault(name, f"is {values[0]:g} in all {len(values)} rows; leave it out")
        return values

    def done(self) -> None:
        """Raise TableError if anything was wrong."""
        if self.faults:
            raise TableError(self.table.name, self.faults)

    def has(self, name: str) -> bool:
        """Whether the column is there."""
        return name in self.table.columns

    def _cells(self, name: str) -> tuple[str, ...]:
        if name not in self.table.columns:
            raise InputError(
                f"{self.table.name}: there is no column {name!r}; columns: {', '.join(self.table.columns)}"
            )
        return self.table.columns[name]

    def numbers(
        self, name: str, *, at_least: float | None = None, at_most: float | None = None, optional: bool = False
    ) -> list[float]:
        """Numbers of a column; a missing one is nan and a fault unless `optional`."""
        out = []
        for index, cell in enumerate(self._cells(name)):
            value = self._number(index, name, cell, optional=optional)
            if at_least is not None and value < at_least:
                self.fault(index, name, f"{cell} is below {at_least:g}")
            if at_most is not None and value > at_most:
                self.fault(index, name, f"{cell} is above {at_most:g}")
            out.append(value)
        return out

    def _number(self, index: int, name: str, cell: str, *, optional: bool) -> float:
        if cell.lower() in MISSING:
            if not optional:
                self.fault(index, name, "is empty")
            return math.nan
        text = cell.replace(",", ".") if self.table.decimal_comma and "." not in cell else cell
        try:
            value = float(text)
        except ValueError:
            unit = _WITH_UNIT.match(cell)
            if unit:
                hint = f"{cell!r} carries a unit; write the number alone and the unit into the column's name"
            elif "," in cell:
                hint = f"{cell!r} has a comma; write numbers with a point, or separate the file by semicolons"
            else:
                hint = f"{cell!r} is not a number"
            self.fault(index, name, hint)
            return math.nan
        if not math.isfinite(value):
            self.fault(index, name, f"{cell!r} is not finite")
        return value

    def yes_no(self, name: str, *, optional: bool = False) -> list[float]:
        """1 or 0 of a yes/no column; a missing one is nan and a fault unless `optional`."""
        out = []
        for index, cell in enumerate(self._cells(name)):
            low = cell.lower()
            if low in YES:
                out.append(1.0)
            elif low in NO:
                out.append(0.0)
            else:
                if low not in MISSING:
                    self.fault(index, name, f"{cell!r} is not yes or no; write 1 or 0")
                elif not optional:
                    self.fault(index, name, "is empty; write 1 or 0")
                out.append(math.nan)
        return out

    def texts(self, name: str, *, unique: bool = False) -> list[str]:
        """Texts of a column; an empty one is a fault, a repeated one too if `unique`."""
        seen: dict[str, int] = {}
        cells = list(self._cells(name))
        for index, cell in enumerate(cells):
            if cell.lower() in MISSING:
                self.fault(index, name, "is empty")
            elif unique and cell in seen:
                self.fault(index, name, f"{cell!r} is already in row {self.table.rows[seen[cell]]}")
            seen.setdefault(cell, index)
        return cells

    def words(self, name: str, choices: Sequence[str]) -> list[str]:
        """One of a few words for each row, "" where the cell is empty or there is no such column."""
        if not self.has(name):
            return [""] * len(self.table)
        cells = list(self.table.columns[name])
        for index, cell in enumerate(cells):
            if cell and cell not in choices:
                self.fault(index, name, f"{cell!r} is not one of {', '.join(choices)}")
        return cells

    def dates(self, name: str, *, optional: bool = False) -> list[date | None]:
        """Dates of a column, ISO (2026-03-02); a missing one is None and a fault unless `optional`."""
        out: list[date | None] = []
        for index, cell in enumerate(self._cells(name)):
            value = None
            if cell.lower() in MISSING:
                if not optional:
                    self.fault(index, name, "is empty")
            else:
                try:
                    value = datetime.fromisoformat(cell).date()
                except ValueError:
                    self.fault(index, name, f"{cell!r} is not a date such as 2026-03-02")
            out.append(value)
        return out

    def months_between(self, start: str, end: str) -> list[float]:
        """Months (365.25 / 12 days) from one date column to another; an end before its start is a fault."""
        out = []
        for index, (a, b) in enumerate(zip(self.dates(start), self.dates(end), strict=True)):
            if a is None or b is None:
                out.append(math.nan)
                continue
            if b < a:
                self.fault(index, end, f"{b} is before {a} in column {start!r}")
            out.append((b - a).days / DAYS_PER_MONTH)
        return out


@runtime_checkable
class Frame(Protocol):
    """What of a pandas DataFrame is used."""

    @property
    def columns(self) -> Any:
        """Names of the columns."""

    def itertuples(self, index: bool = True, name: str | None = "Pandas") -> Iterable[tuple[Any, ...]]:
        """Rows."""


TableSource = Path | str | Table | Frame | Sequence[Mapping[str, object]]
"""A table: CSV or Excel file, pandas DataFrame, rows as mappings from column to value, or a `Table`."""


def as_table(source: TableSource, *, sheet: str | None = None) -> Table:
    """The table itself: read where a path was given.

    Raises
    ------
    InputError
        If it is none of these, or `sheet` is stated of something that is no file; otherwise as `read_table`.
    """
    if isinstance(source, str | Path):
        return read_table(source, sheet=sheet)
    if sheet is not None:
        raise InputError("`sheet` names a sheet of an Excel file; this table is no file")
    if isinstance(source, Table):
        return source
    if isinstance(source, Frame):
        names = [str(name) for name in source.columns]
        body = [list(row) for row in source.itertuples(index=False, name=None)]
    elif isinstance(source, Sequence) and source and all(isinstance(row, Mapping) for row in source):
        mappings = [row for row in source if isinstance(row, Mapping)]
        names = list(dict.fromkeys(name for row in mappings for name in row))
        body = [[row.get(name) for name in names] for row in mappings]
    else:
        empty = " without rows" if isinstance(source, Sequence) and not source else ""
        raise InputError(
            "a table is a CSV or Excel file, a pandas DataFrame or a list of rows (mappings from column to value), not "
            f"{type(source).__name__}{empty}"
        )
    rows = [names, *([_cell_text(value) for value in row] for row in body)]
    return _from_rows(None, rows, decimal_comma=False)


def read_table(path: Path | str, *, sheet: str | None = None) -> Table:
    """Read a CSV (comma, semicolon or tab) or Excel (.xlsx) table.

    Parameters
    ----------
    path : Path
        The file.
    sheet : str or None
        Excel sheet; None takes the only one.

    Raises
    ------
    InputError
        If the file is missing, empty, of another kind, or has several sheets and none is named.
    TableError
        If a header is empty or repeated, or a row has more cells than the header.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv", ".txt"):
        rows, decimal_comma = _read_csv(path)
    elif suffix == ".xlsx":
        rows, decimal_comma = _read_excel(path, sheet), False
    else:
        raise InputError(f"{path}: a table is .csv, .tsv or .xlsx, not {suffix or 'without suffix'}")
    return _from_rows(path, rows, decimal_comma=decimal_comma)


def _from_rows(path: Path | None, rows: list[list[str]], *, decimal_comma: bool) -> Table:
    filled = [(n, row) for n, row in enumerate(rows, start=0 if path is None else 1) if any(row)]
    if len(filled) < 2:
        raise InputError(f"{path or 'table'}: needs a header row and at least one row of data")
    header_row, header = filled[0]
    while header and not header[-1]:
        header = header[:-1]
    faults = [f"row {header_row}: column {n + 1} has no name" for n, name in enumerate(header) if not name]
    faults += [
        f"row {header_row}: column {name!r} is there twice" for name in header if header.count(name) > 1 and name
    ]
    for number, row in filled[1:]:
        if any(row[len(header) :]):
            faults.append(f"row {number}: has more cells than the header has names")
    if faults:
        raise TableError(path or "table", dict.fromkeys(faults))
    body = [(n, (row + [""] * len(header))[: len(header)]) for n, row in filled[1:]]
    columns = {name: tuple(row[n] for _, row in body) for n, name in enumerate(header)}
    return Table(path, columns, tuple(n for n, _ in body), decimal_comma)


def _read_csv(path: Path) -> tuple[list[list[str]], bool]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error.reason}); save it as CSV UTF-8") from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    try:
        rows = [
            [cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=delimiter, strict=True)
        ]
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV table: {error}") from error
    return rows, delimiter == ";"


def _read_excel(path: Path, sheet: str | None) -> list[list[str]]:
    import zipfile

    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise InputError(f"{path}: is not an Excel workbook ({error})") from error
    try:
        names = list(book.sheetnames)
        if sheet is None and len(names) > 1:
            raise InputError(f"{path}: has sheets {', '.join(names)}; name one")
        if sheet is not None and sheet not in names:
            raise InputError(f"{path}: has no sheet {sheet!r}; sheets: {', '.join(names)}")
        return [[_cell_text(cell) for cell in row] for row in book[sheet or names[0]].iter_rows(values_only=True)]
    finally:
        book.close()


def _cell_text(value: Any) -> str:
    """A value of a spreadsheet, a DataFrame or Python as a CSV would hold it."""
    if value is None or type(value).__name__ in ("NaTType", "NAType"):
        return ""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV with a header; None becomes an empty cell. Wrap in `io.files.atomic_output`."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([["" if v is None else v for v in row] for row in rows])
