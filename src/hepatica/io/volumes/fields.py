"""Fields of the text header of a MetaImage or NRRD file, read line by line to where the voxels begin."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hepatica.errors import GeometryError, InputError
from hepatica.io.input_files import require_file
from hepatica.io.volumes.voxels import reading

MAX_HEADER_BYTES, MAX_HEADER_LINES = 4_000_000, 50_000
"""Longest header; 3D Slicer writes ten lines on each of thousands of segments into it."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Keys and values of a header.

    Attributes
    ----------
    path : Path
        The file, for messages.
    values : dict of str to str
        By key, in lower case without spaces.
    repeated : frozenset of str
        Keys that stand twice with different values.
    end : int
        First byte after the header.
    strays : tuple of str
        Lines that are neither a field nor a comment.
    """

    path: Path
    values: dict[str, str]
    repeated: frozenset[str]
    end: int
    strays: tuple[str, ...] = ()

    def text(self, *keys: str) -> str | None:
        """Value of the first of these keys that is there, all of which mean the same; None if none is.

        Raises
        ------
        InputError
            If one stands twice with different values, or two of them differ.
        """
        found = {key: self.values[key] for key in keys if key in self.values}
        if self.repeated & set(found) or len({" ".join(value.split()) for value in found.values()}) > 1:
            raise InputError(f"{self.path}: {' and '.join(found)}: stated twice, differently")
        return next(iter(found.values()), None)

    def required(self, key: str) -> str:
        """Value of a key; InputError if it is not there."""
        value = self.text(key)
        if not value:
            raise InputError(f"{self.path}: cannot be read: {key} is missing in its header")
        return value

    def whole(self, key: str, *, least: int = 0, default: int | None = None) -> int:
        """One whole number; InputError if it is none."""
        text = self.text(key) if default is not None else self.required(key)
        if text is None and default is not None:
            return default
        numbers = self.wholes(key, least=least)
        if len(numbers) != 1:
            raise InputError(f"{self.path}: {key}: {text!r} is not one whole number")
        return numbers[0]

    def wholes(self, key: str, *, least: int = 0) -> list[int]:
        """Whole numbers; InputError if one is none or is below `least`."""
        text = self.required(key)
        words = text.split()
        if not words or not all(re.fullmatch(r"[+-]?[0-9]{1,18}", word) and int(word) >= least for word in words):
            raise InputError(f"{self.path}: {key}: {text[:80]!r} is not a whole number from {least}")
        return [int(word) for word in words]

    def numbers(self, text: str, key: str, count: int) -> list[float]:
        """So many finite numbers of a value that says where voxels are.

        Raises
        ------
        GeometryError
            If they are none, or another number of them.
        """
        words = text.split()
        try:
            found = [float(word) for word in words]
        except ValueError:
            found = []
        if len(found) != count or not all(map(math.isfinite, found)):
            raise GeometryError(f"{self.path}: {key}: {text[:80]!r}: {count} finite numbers are needed")
        return found


def read_fields(path: Path, mark: str, is_last: Callable[[str, str], bool], *, first: str = "") -> Fields:
    """Fields of a file, up to the line at which `is_last` (of the line and its key) is true.

    Raises
    ------
    InputError
        If it cannot be read, does not begin with the word `first`, or its header has no end.
    """
    require_file(path)
    values: dict[str, str] = {}
    repeated, strays = set(), []
    with reading(path), path.open("rb") as stream:
        for _ in range(MAX_HEADER_LINES):
            raw = stream.readline(MAX_HEADER_BYTES + 1)
            line = raw.decode("utf-8", "replace").strip()
            if first and not line.startswith(first):
                raise InputError(f"{path}: cannot be read: it does not begin with {first}")
            key, there, value = line.partition(mark)
            key, value = key.strip().lower().replace(" ", ""), value.strip()
            if first or line.startswith("#") or (mark == ":" and value.startswith("=")):
                # NRRD's first line, a comment, or a pair "key:=value", which says nothing of the voxels.
                first = ""
            elif there and key not in values:
                values[key] = value
            elif there and values[key] != value:
                repeated.add(key)
            elif line and not there:
                strays.append(line)
            if is_last(line, key):
                return Fields(path, values, frozenset(repeated), stream.tell(), tuple(strays))
            if not raw or stream.tell() > MAX_HEADER_BYTES:
                break
    raise InputError(f"{path}: cannot be read: its header has no end")
