"""Every step that changes files below a folder, counted, and something done at one of them: fail, or end the process.

Steps are what Python asks of the system: make or remove a file or folder, open for writing, write, rename, exchange,
put on the disk. ``tools/checks/kill_runs.py`` and the tests stand on this.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hepatica.io.files import output, system

Act = Callable[[str, str], None]
"""What is done at a step: called with its kind ("rename") and its path."""

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)

ON_DESCRIPTORS = ("write", "fsync", "ftruncate")
NAMED = ("mkdir", "rename", "replace", "unlink", "remove", "rmdir", "chmod")


@contextmanager
def watched(folder: Path, act: Act) -> Iterator[None]:
    """Call `act` before every step below `folder`; what it raises, the step raises."""
    opened, exchanged, watch = io.open, system.exchange, _Watch(str(folder), act)
    kept = {name: getattr(os, name) for name in (*NAMED, *ON_DESCRIPTORS, "open", "close")}
    changed: dict[str, Any] = {name: watch.named(name, kept[name]) for name in NAMED}
    changed |= {name: watch.on_descriptor(name, kept[name]) for name in ON_DESCRIPTORS}
    changed |= {"open": watch.opening(kept["open"]), "close": watch.closing(kept["close"])}
    try:
        for name, step in changed.items():
            setattr(os, name, step)
        builtins.open = io.open = watch.file(opened)
        system.exchange = watch.named("exchange", exchanged)
        yield
    finally:
        for name, step in kept.items():
            setattr(os, name, step)
        builtins.open = io.open = opened
        system.exchange = exchanged


class _Watch:
    """The steps of the system, each with `act` before it."""

    def __init__(self, place: str, act: Act) -> None:
        self._place, self._act, self._ours = place, act, set[int]()

    def _is_below(self, path: Any, more: dict[str, Any]) -> bool:
        if more.get("dir_fd") is not None:
            return True
        return not isinstance(path, int) and os.fsdecode(path).startswith(self._place)

    def named(self, name: str, inner: Any) -> Any:
        def step(path: Any, *args: Any, **more: Any) -> Any:
            if self._is_below(path, more):
                self._act(name, str(path))
            return inner(path, *args, **more)

        return step

    def on_descriptor(self, name: str, inner: Any) -> Any:
        def step(descriptor: int, *args: Any) -> Any:
            if descriptor in self._ours:
                self._act(name, str(descriptor))
            return inner(descriptor, *args)

        return step

    def opening(self, inner: Any) -> Any:
        def step(path: Any, flags: int, *args: Any, **more: Any) -> Any:
            below = self._is_below(path, more)
            if below and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._act("open", str(path))
            found = inner(path, flags, *args, **more)
            if below:
                self._ours.add(found)
            return found

        return step

    def closing(self, inner: Any) -> Any:
        def step(descriptor: int) -> None:
            self._ours.discard(descriptor)
            inner(descriptor)

        return step

    def file(self, inner: Any) -> Any:
        def step(file: Any, mode: str = "r", *args: Any, **more: Any) -> Any:
            if isinstance(file, int) or not set(mode) & set("wax+") or not self._is_below(file, {}):
                return inner(file, mode, *args, **more)
            self._act("open", str(file))
            return _File(inner(file, mode, *args, **more), self._act, str(file))

        return step


class _File:
    """An open file whose writes are steps."""

    def __init__(self, inner: Any, act: Act, path: str) -> None:
        self._inner, self._act, self._path = inner, act, path

    def write(self, content: Any) -> Any:
        self._act("write", self._path)
        return self._inner.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __enter__(self) -> _File:
        self._inner.__enter__()
        return self

    def __exit__(self, *args: object) -> Any:
        return self._inner.__exit__(*args)

    def __iter__(self) -> Any:
        return iter(self._inner)


class Counted:
    """Counts steps, and at the `at`-th (from 0) does what `then` says; -1 only counts."""

    def __init__(self, at: int, then: Act) -> None:
        self.at, self.then = at, then
        self.steps: list[tuple[str, str]] = []

    def __call__(self, kind: str, path: str) -> None:
        """One step."""
        self.steps.append((kind, path))
        if len(self.steps) == self.at + 1:
            self.then(kind, path)


def failing(number: int) -> Act:
    """Raise the error that the system would."""

    def fail(_kind: str, path: str) -> None:
        raise OSError(number, os.strerror(number), path)

    return fail


def killing(number: int) -> Act:
    """Send the process a signal."""

    def kill(_kind: str, _path: str) -> None:
        os.kill(os.getpid(), number)

    return kill


@contextmanager
def no_exchange() -> Iterator[None]:
    """As on a file system that cannot exchange two folders in one step."""
    kept = system.exchange
    system.exchange = lambda one, other: False
    try:
        yield
    finally:
        system.exchange = kept


assert output.system is system, "the file layer must look the exchange up where it is replaced here"
