"""Text that people and programs wrote: read as UTF-8, taken apart as JSON or TOML, refused if it is none.

Both formats let a small file ask for much: brackets without end use up the stack of every reader, so that their depth
is limited here, and the size of a file before it is read.
"""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import Any, NoReturn

from hepatica.errors import InputError

MAX_TEXT_BYTES = 100_000_000
"""Ten times the largest table or result that hepatica writes; what is larger is no text of this kind."""

LONGEST_WHOLE = 20
"""Characters of the largest whole number of 64 bits with its sign."""

_MARKS = ((b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


def text_file(path: Path, what: str = "text") -> str:
    """Text of a file in UTF-8, with or without a byte order mark.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What it should be, for the message ("a TOML file").

    Raises
    ------
    InputError
        If it cannot be read, is too large, or is in another encoding; the message names the file, and the line of a
        wrong byte.
    """
    try:
        with path.open("rb") as stream:
            size = min(path.stat().st_size, MAX_TEXT_BYTES)
            raw = stream.read(size + 1)
            if len(raw) > size:
                # The size of a pipe or a device is not known before.
                raw += stream.read(MAX_TEXT_BYTES - size)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if len(raw) > MAX_TEXT_BYTES:
        raise InputError(f"{path}: not {what} (it has more than {MAX_TEXT_BYTES / 1e6:g} MB)")
    for mark, name in _MARKS:
        if raw.startswith(mark):
            raise InputError(f"{path}: not {what} ({name}, not UTF-8)", remedy="save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line}: not {what} (not UTF-8: {error.reason})", remedy="save it as UTF-8"
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise InputError(f"{path}, line {line}: not {what} (it holds a NUL character)", remedy="save it as UTF-8")
    return text


def json_file(path: Path) -> Any:
    """What a JSON file holds.

    Raises
    ------
    InputError
        If it cannot be read or is no JSON; the message names the file, and line and column.
    """
    return json_text(text_file(path, "a JSON file"), path)


def json_text(text: str, path: Path) -> Any:
    """What a JSON text holds; NaN and infinity are no JSON, and a key stands once.

    Raises
    ------
    InputError
        If it is no JSON; the message names the file, and line and column.
    """
    try:
        return json.loads(
            text, parse_constant=_no_number, parse_int=_whole, parse_float=_finite, object_pairs_hook=_once
        )
    except RecursionError as error:
        raise InputError(f"{path}: not a JSON file (nested too deeply)") from error
    except ValueError as error:
        raise InputError(f"{path}: not a JSON file ({error})") from error


def toml_text(text: str, path: Path) -> dict[str, Any]:
    """What a TOML text holds.

    Raises
    ------
    InputError
        If it is no TOML; the message names the file, and line and column.
    """
    try:
        found = tomllib.loads(text)
        _require_small(found)
    except RecursionError as error:
        raise InputError(f"{path}: not a TOML file (nested too deeply)") from error
    except ValueError as error:
        raise InputError(f"{path}: not a TOML file ({error})") from error
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _whole(text: str) -> int:
    if len(text) > LONGEST_WHOLE or abs(number := int(text)) >= 2**63:
        raise ValueError(f"{text[:LONGEST_WHOLE]} is too large for a whole number")
    return number


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:LONGEST_WHOLE]} is too large for a number")
    return number


def _require_small(value: Any, key: str = "") -> None:
    """Raise ValueError for a whole number beyond 64 bits, which TOML does not have."""
    if isinstance(value, dict):
        for name, item in value.items():
            _require_small(item, name)
    elif isinstance(value, list):
        for item in value:
            _require_small(item, key)
    elif isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError(f"{key}: a whole number beyond 64 bits")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice")
    return found
