"""Texts from outside (names in images, tables and files), shown and written so that they stay texts.

A name may hold what a terminal takes for a command, what turns the letters after it around, or what a spreadsheet takes
for a formula. Here such a name becomes plain text; what it holds stays visible.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's control, format (among them the overrides of direction) and surrogate characters, line separators."""

_KEPT = {"\n", "\u200b", "\u200c", "\u200d", "\u00ad"}
"""Of these: line breaks of our own texts; joiners, which Persian and Indic names need; soft hyphens."""

_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a cell begins that a spreadsheet computes (OWASP, CSV injection), the wide forms of Japanese keyboards too."""

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")


def visible(text: str) -> str:
    r"""Text whose hidden characters are written out, but line breaks.

    >>> print(visible("liver\x1b[2J \u202etumour"))
    liver\x1b[2J \u202etumour
    """
    if text.isprintable():
        return text
    return "".join(_written_out(c) if _is_hidden(c) else c for c in text)


def one_line(text: str) -> str:
    r"""Text whose hidden characters are written out, line breaks too.

    >>> print(one_line("liver\nwritten to out"))
    liver\nwritten to out
    """
    return visible(text).replace("\n", "\\n")


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN_CATEGORIES and character not in _KEPT


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def spreadsheet_text(text: str) -> str:
    """A text that no spreadsheet takes for a formula: one that looks like it gets an apostrophe in front.

    >>> spreadsheet_text("=1+1"), spreadsheet_text("-5.2"), spreadsheet_text("liver")
    ("'=1+1", '-5.2', 'liver')
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def from_spreadsheet(text: str) -> str:
    """The text that `spreadsheet_text` was given.

    >>> from_spreadsheet("'=1+1"), from_spreadsheet("'s-Gravenhage")
    ('=1+1', "'s-Gravenhage")
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """CSV (RFC 4180, lines end in a line feed) of cells: texts as `spreadsheet_text`, others as they print.

    Characters that turn the letters after them around, or have no width, are written out as by `visible`.
    """
    return "".join(",".join(map(_csv_cell, row)) + "\n" for row in rows)


def _without_format(text: str) -> str:
    """Text whose format characters (Unicode's Cf, but joiners) are written out."""
    if text.isprintable():
        return text
    return "".join(_written_out(c) if unicodedata.category(c) == "Cf" and _is_hidden(c) else c for c in text)


def _csv_cell(cell: object) -> str:
    text = spreadsheet_text(_without_format(cell)) if isinstance(cell, str) else "" if cell is None else str(cell)
    return '"' + text.replace('"', '""') + '"' if re.search('[",\r\n]', text) else text
