"""Readings of a meter: a CSV file that may grow, or a serial line."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hepatica.errors import InputError, TableError

KINDS = ("vial", "line", "pushed")

LONGEST = 200
"""Characters of a line; a longer one is no reading."""


class MeterLine(NamedTuple):
    """One reading as it was written: what it is of, when (None on a serial line without a time), and the value."""

    kind: str
    at_s: float | None
    value: float


def read_readings(path: Path | str) -> list[MeterLine]:
    """All readings of a CSV file with the columns ``kind,time_s,value``, in the order of the file.

    Raises
    ------
    InputError
        If there is no such file.
    TableError
        If a row is no reading; the message names all of them.
    """
    growing = GrowingReadings(Path(path))
    found = list(growing.new(whole=True))
    if growing.faults:
        raise TableError(path, growing.faults)
    return found


@dataclass(slots=True)
class GrowingReadings:
    """A CSV file of readings that is being written.

    Attributes
    ----------
    path : Path
        The file; it may be missing as yet.
    faults : list of str
        Rows that are no readings.
    """

    path: Path
    faults: list[str] = field(default_factory=list)
    _at: int = 0
    _row: int = 0
    _rest: str = ""

    def new(self, *, whole: bool = False) -> Iterator[MeterLine]:
        """Readings since the last look; a row that is not ended is left for the next one, unless the file is whole.

        Raises
        ------
        InputError
            If the file is whole and missing, or was cut short.
        """
        try:
            with self.path.open("rb") as stream:
                if os.fstat(stream.fileno()).st_size < self._at:
                    raise InputError(f"{self.path}: became shorter while it was read; readings are lost")
                stream.seek(self._at)
                raw = stream.read()
        except FileNotFoundError as error:
            if whole:
                raise InputError(f"{self.path}: no such file of readings") from error
            return
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror})") from error
        self._at += len(raw)
        text = raw.decode("utf-8", "replace")
        # A table saved by a spreadsheet may begin with a mark of its encoding.
        text = text.removeprefix("\ufeff") if self._at == len(raw) else text
        lines = (self._rest + text).split("\n")
        self._rest = lines.pop()
        if whole and self._rest:
            lines.append(self._rest)
        for line in lines:
            self._row += 1
            if not line.strip() or (self._row == 1 and "value" in line.lower()):
                continue
            found = parsed(line)
            if found is None or found.at_s is None:
                self.faults.append(f"row {self._row}: {line.strip()[:60]!r} is no 'kind,time_s,value'")
            else:
                yield found


def parsed(line: str) -> MeterLine | None:
    """A line "kind,time,value", "kind,value" or "value" (of the vial), parted by commas or blanks; None if it is none.

    >>> parsed("vial,12.5,830"), parsed("812.5"), parsed("hello")
    (MeterLine(kind='vial', at_s=12.5, value=830.0), MeterLine(kind='vial', at_s=None, value=812.5), None)
    >>> parsed('"vial","12.5","830"')
    MeterLine(kind='vial', at_s=12.5, value=830.0)
    """
    if len(line) > LONGEST:
        return None
    words = [word.strip('"') for word in line.replace(",", " ").replace(";", " ").split()]
    kind = words.pop(0).lower() if words and words[0].lower() in KINDS else "vial"
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return None
    if len(numbers) not in (1, 2) or not all(map(math.isfinite, numbers)):
        return None
    return MeterLine(kind, numbers[0] if len(numbers) == 2 else None, numbers[-1])


class SerialReadings:
    """A meter on a serial line: one reading a line, read without waiting.

    Parameters
    ----------
    device : Path
        Of the line ("/dev/ttyUSB0"), set to its speed by the system.

    Raises
    ------
    InputError
        If it cannot be opened.
    """

    def __init__(self, device: Path) -> None:
        self.device = device
        self.faults: list[str] = []
        self._rest = b""
        try:
            self._descriptor = os.open(device, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOCTTY", 0))
        except OSError as error:
            raise InputError(f"{device}: the serial line cannot be opened ({error.strerror})") from error

    def new(self) -> Iterator[MeterLine]:
        """Readings since the last look; a line that is gone gives none, and the silence is seen by whoever waits."""
        raw = b""
        with contextlib.suppress(BlockingIOError):
            try:
                raw = os.read(self._descriptor, 65536)
            except BlockingIOError:
                raise
            except OSError as error:
                self.faults.append(f"the serial line is gone ({error.strerror})")
        *lines, self._rest = (self._rest + raw).split(b"\n")
        self._rest = self._rest[-LONGEST:]
        for line in lines:
            found = parsed(line.decode("ascii", "replace").strip())
            if found is None:
                self.faults.append(f"{line[:60]!r} is no reading")
            else:
                yield found

    def close(self) -> None:
        """Give the line back."""
        os.close(self._descriptor)
