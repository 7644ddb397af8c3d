"""The log of a case: append only, each line hashed over the one before, what is personal kept apart.

A line says what happened, when, to which step and with which hashes. What names or describes a person (a value of the
patient, a path, who checked) is encrypted in a second file, and the line holds a keyed hash of it (HMAC-SHA-256, RFC
2104). Destroying the key erases the person from the log, and every line can still be proved.

The chain shows a line that was changed, removed or put in between. That the end of the log was cut off shows only
beside a report, which carries the last hash, or a step that no line names.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hepatica.case.layout import LOG
from hepatica.case.protect.personal import Personal
from hepatica.errors import InputError, OutputError
from hepatica.io.files.system import sync_file

START = "0" * 64
"""What the first line is hashed over."""

_PARTS = ("number", "at", "what", "about", "personal", "previous")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line.

    Attributes
    ----------
    number : int
        From 1.
    at : str
        Instant, ISO 8601 in UTC.
    what : str
        "created", "added", "facts", "ran", "failed", "skipped", "checked", "erased", ...
    about : mapping
        What it concerns, without anything personal.
    personal : str
        Keyed hash of what is kept apart; empty where nothing is.
    previous, hash : str
        SHA-256 of the line before, and of this one.
    """

    number: int
    at: str
    what: str
    about: Mapping[str, Any]
    personal: str
    previous: str
    hash: str

    @classmethod
    def after(cls, last: Entry | None, what: str, about: Mapping[str, Any], personal: str) -> Entry:
        """The line that follows another."""
        number, previous = (1, START) if last is None else (last.number + 1, last.hash)
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        return cls(number, at, what, about, personal, previous, "").hashed()

    def hashed(self) -> Entry:
        """The same with the hash that belongs to it."""
        content = {part: getattr(self, part) for part in _PARTS}
        return Entry(**content, hash=hashlib.sha256(canonical(content)).hexdigest())

    def line(self) -> str:
        """As it stands in the file."""
        content = {part: getattr(self, part) for part in (*_PARTS, "hash")}
        return json.dumps(content, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n"


def canonical(value: Any) -> bytes:
    """One spelling of plain values, to be hashed: sorted keys, no spaces, UTF-8 (close to RFC 8785)."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class History:
    """A log as it was read.

    Attributes
    ----------
    entries : tuple of Entry
        Lines up to the first that is wrong.
    problem : str
        Where and how the chain breaks; empty where it holds.
    is_torn : bool
        Whether a last line was cut off by a run that was killed; it counts for nothing, and the next one replaces it.
    """

    entries: tuple[Entry, ...]
    problem: str = ""
    is_torn: bool = False

    @property
    def last_hash(self) -> str:
        """What a report carries; `START` of an empty log."""
        return self.entries[-1].hash if self.entries else START

    def about(self, what: str, **about: Any) -> tuple[Entry, ...]:
        """Lines of one kind about one thing, in order."""
        return tuple(
            entry
            for entry in self.entries
            if entry.what == what and all(entry.about.get(key) == value for key, value in about.items())
        )


@dataclass(frozen=True, slots=True)
class Log:
    """The log of the case in a folder.

    Attributes
    ----------
    folder : Path
        Of the case.
    personal : Personal
        What is kept apart.
    """

    folder: Path
    personal: Personal = field(repr=False)

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / LOG

    def read(self) -> History:
        """All lines, each proved.

        Raises
        ------
        InputError
            If the file cannot be read.
        """
        try:
            raw = self.path.read_bytes()
        except OSError as error:
            raise InputError(f"{self.path}: the log cannot be read ({error.strerror})") from error
        whole, newline, rest = raw.rpartition(b"\n")
        entries: list[Entry] = []
        lines = (whole + newline).splitlines()
        for number, line in enumerate(lines, 1):
            entry = _entry(line)
            if entry is None:
                return History(tuple(entries), f"{self.path}, line {number}: is no line of a log")
            problem = _wrong(entry, entries[-1] if entries else None)
            if problem:
                return History(tuple(entries), f"{self.path}, line {number}: {problem}")
            entries.append(entry)
        return History(tuple(entries), is_torn=bool(rest))

    def append(self, what: str, about: Mapping[str, Any], personal: Mapping[str, Any] | None = None) -> Entry:
        """Add a line, on the disk when this returns. The caller holds the lock of the case.

        Raises
        ------
        InputError
            If a line was changed: nothing is added to a chain that does not hold.
        OutputError
            If it cannot be written.
        """
        history = self.read() if self.path.exists() else History(())
        if history.problem:
            raise InputError(f"{history.problem}; nothing is added to it", remedy="restore the log from a backup")
        kept = "" if personal is None else self.personal.keep(personal)
        entry = Entry.after(history.entries[-1] if history.entries else None, what, dict(about), kept)
        try:
            if history.is_torn:
                _cut_torn(self.path)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o640)
            try:
                os.write(descriptor, entry.line().encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OutputError(f"{self.path}: the log cannot be written ({error.strerror})") from error
        return entry


def _cut_torn(path: Path) -> None:
    """Take away what stands behind the last end of a line."""
    with path.open("r+b") as stream:
        stream.truncate(stream.read().rfind(b"\n") + 1)
    sync_file(path)


def _entry(line: bytes) -> Entry | None:
    try:
        content = json.loads(line)
        entry = Entry(**content)
    except (ValueError, TypeError):
        return None
    texts = (entry.at, entry.what, entry.personal, entry.previous, entry.hash)
    sound = isinstance(entry.number, int) and isinstance(entry.about, dict) and all(isinstance(t, str) for t in texts)
    return entry if sound else None


def _wrong(entry: Entry, last: Entry | None) -> str:
    """What is wrong with a line; empty where nothing is."""
    if entry.previous != (START if last is None else last.hash):
        return "does not follow the line before it: lines were removed, added or changed"
    if entry.number != (1 if last is None else last.number + 1):
        return f"has number {entry.number}"
    if not hmac.compare_digest(entry.hashed().hash, entry.hash):
        return "was changed: its hash is that of another text"
    return ""
