"""What the verbs that answer from a table share: options, and how an answer reaches screen and files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

TablePath = Annotated[Path, typer.Argument(help="CSV or Excel table; docs/outcome.md lists the columns.")]
Sheet = Annotated[str | None, typer.Option("--sheet", help="Excel sheet, where there are several.")]
Figure = Annotated[Path | None, typer.Option("--figure", help="Write the figure here (.svg, .png or .pdf).")]
Out = Annotated[Path | None, typer.Option("--out", help="Write the numbers as a table here (.csv).")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

Rows = tuple[Sequence[str], Sequence[Sequence[object]]]
"""Header and rows of a table."""


class Answer(Protocol):
    """What an analysis gives."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to doubt."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""


def write_figure(picture: Any, path: Path) -> None:
    """Write a figure, whole or not at all."""
    from hepatica.io.files import atomic_output
    from hepatica.report.figures.outcome import save

    with atomic_output(path) as new:
        save(picture, new)


def write_rows(rows: Rows, path: Path) -> None:
    """Write a table as CSV, whole or not at all."""
    from hepatica.errors import OutputError
    from hepatica.io.files import atomic_output
    from hepatica.io.tables import write_table

    if path.suffix.lower() != ".csv":
        raise OutputError(f"{path.name}: a table is written as .csv")
    with atomic_output(path) as new:
        write_table(new, *rows)


def deliver(
    found: Answer,
    show: Callable[[], None],
    *,
    as_json: bool,
    figure: tuple[Path | None, Callable[[], Any]],
    out: tuple[Path | None, Callable[[], Rows]],
) -> None:
    """Write figure and table where asked, warnings on stderr, the answer on stdout."""
    from hepatica.cli.printing import print_json, warn

    picture_path, draw = figure
    if picture_path is not None:
        write_figure(draw(), picture_path)
    table_path, rows = out
    if table_path is not None:
        write_rows(rows(), table_path)
    for text in found.warnings:
        warn(text)
    if as_json:
        print_json(found.as_dict())
    else:
        show()
