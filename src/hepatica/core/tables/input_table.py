"""A table as text, and its columns with types: everything that is wrong with them is collected and reported at once."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from hepatica.core import InputFile
from hepatica.errors import InputError, TableError

YES = {"1", "1.0", "yes", "y", "true", "dead", "event"}

NO = {"0", "0.0", "no", "n", "false", "alive", "censored"}

MISSING = {"", "na", "n/a", "nan", "-", "null", "none", "."}

_WITH_UNIT = re.compile(r"^([+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?)\s*([A-Za-zµ%/]+)$")

_THOUSANDS = re.compile(r"^[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d+)?$")
"""Numbers whose points may stand between thousands, as in "1.200" and "1.200,5"."""

_POINT = re.compile(r"^[+-]?\d*\.\d+([eE][+-]?\d+)?$")

_COMMA = re.compile(r"^[+-]?[\d.]*,\d+$")

MIN_NUMBER, MAX_NUMBER = 1e-60, 1e15
"""No quantity of a patient in any unit of this field is larger (1000 Ci are 4e13 Bq); the squares that statistics take
of what lies between still have a place among floating-point numbers."""

DAYS_PER_MONTH = 365.25 / 12


@dataclass(frozen=True, slots=True)
class InputTable:
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

    table: InputTable
    faults: list[str] = field(default_factory=list)
    marks: tuple[bool, bool] | None = None

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
        text = cell
        if self.table.decimal_comma and _THOUSANDS.match(cell):
            text = cell.replace(".", "") if self._points_group_thousands(cell) else cell
            if text is cell and not self._points_are_decimal():
                whole = cell.replace(".", "")
                hint = f"{cell!r} may be {whole} or have a decimal point; write no points between thousands"
                self.fault(index, name, hint)
                return math.nan
        if self.table.decimal_comma and "." not in text:
            text = text.replace(",", ".")
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
        elif value and not MIN_NUMBER <= abs(value) <= MAX_NUMBER:
            self.fault(index, name, f"{cell!r} is out of all proportion; is it mistyped?")
        return value

    def _points_group_thousands(self, cell: str) -> bool:
        """Whether points stand between thousands: there are several, or decimal commas and no decimal points."""
        return "," in cell or cell.count(".") > 1 or (self._marks()[1] and not self._marks()[0])

    def _points_are_decimal(self) -> bool:
        """Whether points are decimal: some number of the table has one that can be nothing else, none has a comma."""
        return self._marks() == (True, False)

    def _marks(self) -> tuple[bool, bool]:
        """Whether numbers of the table have decimal points, and whether they have decimal commas."""
        if self.marks is None:
            cells = [cell for column in self.table.columns.values() for cell in column]
            points = any(_POINT.match(cell) and not _THOUSANDS.match(cell) for cell in cells)
            self.marks = points, any(_COMMA.match(cell) for cell in cells)
        return self.marks

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
