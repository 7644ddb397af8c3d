"""Tables of patients and lesions from CSV, Excel, a pandas DataFrame or rows of Python, checked row by row.

The first row of a file names the columns. Everything that is wrong is collected and reported at once, with file, row
and column. Rows count as in a spreadsheet, whose header is row 1; those of a DataFrame or of Python count from 1.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hepatica.core.tables.input_table import InputTable
from hepatica.core.text.visible import from_spreadsheet
from hepatica.errors import InputError, TableError
from hepatica.io.input_files import require_file
from hepatica.io.workbook import read_workbook

MAX_CSV_CELLS = 2_000_000
"""20 000 patients with 100 columns."""

MAX_CSV_BYTES = 64 * 1024**2
"""32 characters for each cell."""


@runtime_checkable
class Frame(Protocol):
    """What of a pandas DataFrame is used."""

    @property
    def columns(self) -> Any:
        """Names of the columns."""

    def itertuples(self, index: bool = True, name: str | None = "Pandas") -> Iterable[tuple[Any, ...]]:
        """Rows."""


TableSource = Path | str | InputTable | Frame | Sequence[Mapping[str, object]]
"""A table: CSV or Excel file, pandas DataFrame, rows as mappings from column to value, or an `InputTable`."""


def as_table(source: TableSource, *, sheet: str | None = None) -> InputTable:
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
    if isinstance(source, InputTable):
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


def read_table(path: Path | str, *, sheet: str | None = None) -> InputTable:
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
    size = require_file(path)
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv", ".txt"):
        if size > MAX_CSV_BYTES:
            raise InputError(f"{path}: is a text of {size / 1e6:.0f} MB; a table has at most {MAX_CSV_BYTES / 1e6:.0f}")
        rows, decimal_comma = _read_csv(path)
    elif suffix == ".xlsx":
        rows, decimal_comma = [[_cell_text(cell) for cell in row] for row in read_workbook(path, sheet)], False
    else:
        raise InputError(f"{path}: a table is .csv, .tsv or .xlsx, not {suffix or 'without suffix'}")
    return _from_rows(path, rows, decimal_comma=decimal_comma)


def _from_rows(path: Path | None, rows: list[list[str]], *, decimal_comma: bool) -> InputTable:
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
    return InputTable(path, columns, tuple(n for n, _ in body), decimal_comma)


def _read_csv(path: Path) -> tuple[list[list[str]], bool]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error.reason}); save it as CSV UTF-8") from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    try:
        rows, cells = [], 0
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            rows.append([from_spreadsheet(cell.strip()) for cell in row])
            cells += len(row)
            if cells > MAX_CSV_CELLS:
                raise InputError(f"{path}: row {len(rows)}: the table has more than {MAX_CSV_CELLS} cells")
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV table: {error}") from error
    return rows, delimiter == ";"


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
