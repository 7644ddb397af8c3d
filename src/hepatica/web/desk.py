"""What the server holds: the cases that it may open, and of the open ones the images, until nobody looks at them."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hepatica.case.case import Case
from hepatica.case.layout import CATALOGUE, FACTS, LOG, STEPS
from hepatica.case.state import Situation
from hepatica.errors import InputError, UnknownNameError
from hepatica.io.input_files import is_file

T = TypeVar("T")

RELEASED_AFTER_S = 90.0
"""An open page says every 20 s that it is there; a case of which nothing was heard for so long is let go."""

RECENT_S = 5.0


def _changed(path: Path) -> int:
    """When a file or folder changed last; 0 where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def is_case(folder: Path) -> bool:
    """Whether a folder holds a case."""
    return is_file(folder / FACTS) and is_file(folder / LOG)


@dataclass(eq=False)
class OpenCase:
    """A case somebody looks at, with what was read of it.

    Attributes
    ----------
    key : str
        Name in addresses: says nothing of the patient.
    folder : Path
        Of the case.
    """

    key: str
    folder: Path
    _held: dict[str, Any] = field(default_factory=dict, repr=False)
    _locks: dict[str, threading.Lock] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _recent: tuple[tuple[int, ...], float, Situation] | None = field(default=None, repr=False)
    _tabs: dict[str, float] = field(default_factory=dict, repr=False)
    _seen: float = field(default_factory=time.monotonic, repr=False)

    @property
    def case(self) -> Case:
        """The case itself.

        Raises
        ------
        InputError
            If it is damaged, or of a newer hepatica.
        """
        return Case.open(self.folder)

    def situation(self) -> Situation:
        """How it stands now."""
        return self.case.situation()

    def recent(self) -> Situation:
        """How it stood a moment ago: enough to find an image by its name, many times a second.

        It is read anew when facts, catalogue, log or the folder of results change, and every few seconds.
        """
        stamps = self._stamps()
        now = time.monotonic()
        if self._recent is None or self._recent[0] != stamps or now - self._recent[1] > RECENT_S:
            self._recent = (stamps, now, self.situation())
        return self._recent[2]

    def _stamps(self) -> tuple[int, ...]:
        return tuple(_changed(self.folder / name) for name in (FACTS, CATALOGUE, LOG, STEPS))

    def mark(self) -> str:
        """Changes whenever the case does, by whomever; cheap enough to be asked every second."""
        return "-".join(f"{stamp:x}" for stamp in self._stamps())

    def held(self, name: str, make: Callable[[], T]) -> T:
        """What was read under a name, read now if it was not; two who ask at once read it once."""
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._held:
                self._held[name] = make()
            found: T = self._held[name]
            return found

    def kept(self, prefix: str) -> tuple[str, ...]:
        """Names of what is held that begin so."""
        return tuple(name for name in list(self._held) if name.startswith(prefix))

    def drop(self, prefix: str = "") -> None:
        """Let go what is held under names that begin so."""
        for name in self.kept(prefix):
            self._held.pop(name, None)
        self._recent = None

    def drop_recent(self) -> None:
        """Read how the case stands anew when it is asked next."""
        self._recent = None

    def seen(self, tab: str = "") -> None:
        """Note that somebody looks at it, and in which tab of a browser."""
        self._seen = time.monotonic()
        if tab:
            self._tabs[tab] = self._seen

    def left_by(self, tab: str) -> bool:
        """Note that a tab was closed; whether no other one looks at it."""
        self._tabs.pop(tab, None)
        now = time.monotonic()
        return all(now - at > RELEASED_AFTER_S for at in self._tabs.values())

    def is_left(self, now: float) -> bool:
        """Whether nobody looks at it any more."""
        return now - self._seen > RELEASED_AFTER_S


class Desk:
    """Cases by key. Nothing outside their folders is reached: a key is looked up, never put together to a path.

    Parameters
    ----------
    place : Path
        A case, or a folder of cases (those directly in it).

    Raises
    ------
    InputError
        If it is no folder, or holds no case.
    """

    def __init__(self, place: Path) -> None:
        self.place = place.resolve()
        self._open: dict[str, OpenCase] = {}
        self._lock = threading.Lock()
        self.used = time.monotonic()
        if not self.place.is_dir():
            raise InputError(f"{place}: no such folder")
        self.is_single = is_case(self.place)
        if not self.folders():
            raise InputError(f"{place}: is no case, and holds none", remedy="make one: hepatica case new")

    def folders(self) -> Mapping[str, Path]:
        """Cases by key, as they are now."""
        found = [self.place] if self.is_single else sorted(filter(_is_inside, self.place.iterdir()))
        return {_key(path): path for path in found}

    def __getitem__(self, key: str) -> OpenCase:
        """The case of a key, opened if it was not.

        Raises
        ------
        UnknownNameError
            If there is none.
        """
        with self._lock:
            if key not in self._open:
                folders = self.folders()
                if key not in folders:
                    raise UnknownNameError("case", key, folders)
                self._open[key] = OpenCase(key, folders[key])
            found = self._open[key]
        found.seen()
        return found

    def is_open(self, key: str) -> bool:
        """Whether anything is held of a case."""
        return key in self._open

    def touch(self) -> None:
        """Note that somebody asked something."""
        self.used = time.monotonic()

    def release(self, key: str) -> None:
        """Let a case go, with all that was read of it."""
        with self._lock:
            found = self._open.pop(key, None)
        if found is not None:
            found.drop()
            _give_back()

    def sweep(self) -> None:
        """Let go of cases that nobody looks at."""
        now = time.monotonic()
        for key in [key for key, one in list(self._open.items()) if one.is_left(now)]:
            self.release(key)

    def close(self) -> None:
        """Let everything go."""
        for key in list(self._open):
            self.release(key)


def _give_back() -> None:
    """Give memory that was let go back to the system, where the allocator (glibc) would keep it for later."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _is_inside(path: Path) -> bool:
    """Whether a folder is a case and no link, which may lead anywhere."""
    return not path.is_symlink() and path.is_dir() and is_case(path)


def _key(path: Path) -> str:
    return hashlib.sha256(str(path).encode("utf-8", "surrogatepass")).hexdigest()[:12]
