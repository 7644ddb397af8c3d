"""What every verb prints with: tables for people, one JSON document for programs, warnings on stderr."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import typer


def print_json(document: Mapping[str, Any]) -> None:
    """Exactly one JSON document on stdout; NaN and infinity, which JSON does not have, become null."""
    typer.echo(json.dumps(_plain(document), indent=2, allow_nan=False))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on stdout; numbers with four significant digits, a missing value as a dash."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", header_style="")
    for name, column in zip(header, zip(*rows, strict=True) if rows else [()] * len(header), strict=True):
        numeric = any(isinstance(v, int | float) for v in column)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    Console(width=None if typer.get_text_stream("stdout").isatty() else 140, soft_wrap=False).print(table)


def warn(text: str) -> None:
    """One warning on stderr."""
    typer.echo(f"warning: {text}", err=True)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.5g}"
    return str(value).replace("[", "\\[")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if hasattr(value, "item"):
        return _plain(value.item())
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
