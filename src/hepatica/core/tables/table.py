"""A table as a value: what a screen, a notebook, a page and a CSV file show of a result."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from hepatica.core.numbers.estimate import Estimate
from hepatica.core.numbers.wording import significant, with_uncertainty
from hepatica.core.text.visible import csv_text, one_line, visible

NOT_STATED = "not stated"


class Unstated(Estimate):
    """A value beside others with an uncertainty, whose own is too badly known to be stated: that is shown."""


def with_doubt(value: Estimate) -> Estimate:
    """The value for a column of values with uncertainties, where one that is not known is to be seen as such.

    >>> shown(with_doubt(Estimate(12.34))), shown(with_doubt(Estimate(12.34, 0.5)))
    ('12.3 ± not stated', '12.34 ± 0.50')
    """
    return Unstated(value.value) if value.sd is None else value


Cell = str | float | int | bool | Estimate | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below named columns, numbers as they are: rounding is the reader's business.

    Attributes
    ----------
    columns : tuple of str
        Headings, with units.
    rows : tuple of tuple of Cell
        One cell for each column; None is shown as a dash.
    title : str
        One line above.
    name : str
        Of the file it is saved to, without ending.
    formats : tuple of str
        How the numbers of each column are shown (".3f"); "" for three significant digits.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    name: str = "table"
    formats: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        columns: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        title: str = "",
        name: str = "table",
        formats: Sequence[str] = (),
    ) -> Table:
        """Table of any sequences."""
        return cls(tuple(columns), tuple(tuple(row) for row in rows), title, name, tuple(formats))

    def shown(self) -> tuple[tuple[str, ...], ...]:
        """Cells as text, numbers with the digits they deserve."""
        formats = self.formats or ("",) * len(self.columns)
        return tuple(tuple(shown(cell, how) for cell, how in zip(row, formats, strict=True)) for row in self.rows)

    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold numbers and nothing else; those stand to the right."""
        columns = ([row[n] for row in self.rows if row[n] is not None] for n in range(len(self.columns)))
        return tuple(
            bool(cells) and all(isinstance(c, float | int | Estimate) and not isinstance(c, bool) for c in cells)
            for cells in columns
        )

    def __str__(self) -> str:
        lines = [tuple(map(one_line, self.columns)), *self.shown()]
        widths = [max(len(line[n]) for line in lines) for n in range(len(self.columns))]
        right = self.numeric()
        text = [
            "  ".join(
                cell.rjust(width) if is_right else cell.ljust(width)
                for cell, width, is_right in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in lines
        ]
        rule = "-" * max(len(line) for line in text)
        return "\n".join([*([visible(self.title)] if self.title else []), text[0], rule, *text[1:]])

    def _repr_html_(self) -> str:
        right = self.numeric()
        head = "".join(f"<th>{html.escape(visible(name))}</th>" for name in self.columns)
        body = "".join(
            "<tr>"
            + "".join(
                f'<td style="text-align:{"right" if is_right else "left"}">{html.escape(cell)}</td>'
                for cell, is_right in zip(row, right, strict=True)
            )
            + "</tr>"
            for row in self.shown()
        )
        title = f"<caption>{html.escape(visible(self.title))}</caption>" if self.title else ""
        return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def csv(self) -> str:
        """The table as CSV (RFC 4180), numbers in full; an estimate takes a second column for its uncertainty."""
        with_sd = [any(isinstance(row[n], Estimate) for row in self.rows) for n in range(len(self.columns))]
        lines: list[list[Cell]] = [
            [text for name, sd in zip(self.columns, with_sd, strict=True) for text in (name, f"{name} sd")[: 1 + sd]]
        ]
        lines += [
            [part for cell, sd in zip(row, with_sd, strict=True) for part in _plain(cell)[: 1 + sd]]
            for row in self.rows
        ]
        return csv_text(lines)


def shown(cell: Cell, how: str = "") -> str:
    """A cell as a reader sees it; `how` formats a plain number.

    >>> shown(None), shown(0.1234), shown(Estimate(12.34, 0.5)), shown(True), shown(49.6971, ".4g")
    ('–', '0.123', '12.34 ± 0.50', 'yes', '49.7')
    """
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, Unstated):
        return f"{significant(cell.value)} ± {NOT_STATED}"
    if isinstance(cell, Estimate):
        return with_uncertainty(cell.value, cell.sd) if cell.sd else significant(cell.value)
    if isinstance(cell, float):
        return format(cell, how) if how and math.isfinite(cell) else significant(cell)
    return one_line(str(cell))


def _plain(cell: Cell) -> list[Cell]:
    if isinstance(cell, Unstated):
        return [float(cell.value), NOT_STATED]
    if isinstance(cell, Estimate):
        return [float(cell.value), None if cell.sd is None else float(cell.sd)]
    return [float(cell) if isinstance(cell, float) else cell, None]
