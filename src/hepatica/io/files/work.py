"""The hidden folder beside an output: its lock, what is being written, and what a killed run left.

``.out.hepatica`` beside ``out`` holds

- ``lock``: locked by the system for as long as its process lives, and naming that process;
- ``new``: what is being written;
- ``old``: what it replaces, where the file system cannot exchange two folders in one step;
- ``ready``: written once ``new`` is whole and ``old`` about to make room; until ``new`` has its name, either is kept.

The lock says whether the owner lives: what is found without one is left by a killed run, and is completed or removed by
the next run that writes in the same place, or reads what is missing. Where somebody has put something else under the
name of the output meanwhile, old and new are kept beside it as ``out.recovered-1`` and ``-2``.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import socket
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from hepatica.errors import OutputError
from hepatica.io.files.system import reason, sync_file, sync_folder

LOG = logging.getLogger(__name__)
"""Where it is said what was recovered, and what could not be removed; the command line shows it on stderr."""

SUFFIX = ".hepatica"

LOCK, NEW, OLD, READY = PARTS = ("lock", "new", "old", "ready")

HEAD = b"hepatica "
"""First bytes of a lock."""

WAIT_S = 5.0
"""A second run waits so long for the first, which mostly is about to finish writing; then it is refused."""

MOST_GONE = 50
"""So often may the hidden folder vanish, because others finish, before something else is taken to be wrong."""

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""How a file system says that it has no locks; nothing is written there."""

LONGEST_NAME = 200
"""Bytes of a name that is used as it is; file systems allow 255."""


def work_folder(target: Path) -> Path:
    """The hidden folder that belongs to an output."""
    return target.with_name(f".{_short(target.name)}{SUFFIX}")


def _short(name: str) -> str:
    """A name to which something can be added."""
    if len(os.fsencode(name)) <= LONGEST_NAME:
        return name
    return f"{name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"


def is_inside_work(target: Path) -> bool:
    """Whether a path lies in what is being written already, which is whole or absent as one."""
    return any(_is_work_name(parent.name) for parent in target.parents)


def _is_work_name(name: str) -> bool:
    return name.startswith(".") and name.endswith(SUFFIX) and len(name) > len(SUFFIX) + 1


@dataclass(slots=True)
class Work:
    """The claim of one process on one output.

    Attributes
    ----------
    target : Path
        The output, absolute, links resolved.
    place : Path
        The hidden folder.
    descriptor : int
        Of the lock.
    made : tuple of Path
        Folders above the output that were made for it, the innermost first.
    """

    target: Path
    place: Path
    descriptor: int
    made: tuple[Path, ...] = field(default=())

    @classmethod
    def claim(cls, target: Path, *, make_parents: bool) -> Work:
        """Lock an output; what a killed run left of it is completed or removed.

        Raises
        ------
        OutputError
            If another process holds it for longer than `WAIT_S`.
        OSError
            If nothing can be written there.
        """
        place, until, gone = work_folder(target), time.monotonic() + WAIT_S, 0
        made: tuple[Path, ...] = ()
        while True:
            try:
                if make_parents:
                    made = _make_parents(target) or made
                place.mkdir(exist_ok=True)
                descriptor = _locked(place, create=True)
            except FileNotFoundError:
                # Its owner finished, and removed it, between two of these lines.
                gone += 1
                if gone > MOST_GONE or not (make_parents or target.parent.is_dir()):
                    raise
                descriptor = None
            except OSError:
                _remove_empty(place, *made)
                raise
            if descriptor is not None:
                break
            if time.monotonic() > until:
                _remove_empty(*made)
                raise OutputError(f"{target} is being written by {_holder(place)}", remedy="give another name, or wait")
            time.sleep(0.02)
        work = cls(target, place, descriptor, made)
        try:
            work._sign()
            if problem := work.settle():
                raise OutputError(
                    f"{target}: cannot be written: what an earlier run left in {place} cannot be removed ({problem})",
                    remedy="remove it by hand",
                )
            _sweep(place)
        except BaseException:
            work.release()
            raise
        return work

    @property
    def new(self) -> Path:
        """Where to write."""
        return self.place / NEW

    @property
    def old(self) -> Path:
        """Where a replaced folder waits until the new one has its name."""
        return self.place / OLD

    @property
    def ready(self) -> Path:
        """Says that `new` is whole and may take the name of the output."""
        return self.place / READY

    def _sign(self) -> None:
        who = {
            "output": self.target.name,
            "process": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        os.ftruncate(self.descriptor, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        os.write(self.descriptor, HEAD + json.dumps(who).encode())

    def announce(self) -> None:
        """Put on the disk that `new` is whole and about to take the place of the output.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self.ready.write_bytes(b"")
        sync_file(self.ready)
        sync_folder(self.place)

    def settle(self) -> str:
        """Complete a replacement that was cut in two, and remove what is left of others.

        Returns
        -------
        str
            Why something that is left could not be removed; empty if nothing is left.

        Raises
        ------
        OSError
            If the output cannot get its name; nothing is removed then.
        """
        if self.old.exists() and self.new.exists():
            self._complete()
        elif self.old.exists() and not self.ready.exists() and not os.path.lexists(self.target):
            self.old.rename(self.target)
            sync_folder(self.target.parent)
        problems: list[str] = []
        for part in (self.new, self.old):
            if part.is_dir() and not part.is_symlink():
                try:
                    shutil.rmtree(part)
                except OSError as error:
                    problems.append(reason(error))
                    shutil.rmtree(part, ignore_errors=True)  # as much as can be
        if self.new.exists() or self.old.exists():
            return problems[0] if problems else "it is no folder"
        # Only now: with this mark and without `new`, `old` is what was replaced, perhaps half removed.
        with contextlib.suppress(OSError):
            self.ready.unlink()
        return ""

    def _complete(self) -> None:
        """Of an old and a new folder, neither of which has the name of the output, give it to one; or keep both."""
        is_whole = self.ready.exists()
        with contextlib.suppress(OSError):
            self.target.rmdir()  # an empty folder that somebody made meanwhile
        if not os.path.lexists(self.target):
            (self.new if is_whole else self.old).rename(self.target)
        else:
            kept = [self._keep(part) for part in ((self.new, self.old) if is_whole else (self.old,))]
            LOG.warning(
                "%s was made by somebody else after a run of hepatica was stopped; it is as it was, and %s",
                self.target,
                f"the new result is {kept[0]}, the one before it {kept[1]}" if is_whole else f"the result is {kept[0]}",
            )
        sync_folder(self.target.parent)

    def _keep(self, part: Path) -> Path:
        """Give a folder a plain name beside the output; that name."""
        number = 1
        while os.path.lexists(kept := self.target.with_name(f"{_short(self.target.name)}.recovered-{number}")):
            number += 1
        part.rename(kept)
        return kept

    def release(self) -> None:
        """Remove everything that is hidden, and unlock; what cannot be removed now is by a later run.

        Raises
        ------
        OutputError
            If the old folder has made room and the new one cannot take its place: both are kept.
        """
        try:
            if problem := self.settle():
                LOG.warning(
                    "what was replaced or not finished cannot be removed from %s (%s); remove it by hand",
                    self.place,
                    problem,
                )
            _remove(self.place)
        except OSError as error:
            raise OutputError(
                f"{self.target}: cannot be written ({reason(error)}); old and new are kept in {self.place}, the next "
                "run puts the new one in place"
            ) from error
        finally:
            os.close(self.descriptor)
        if os.name == "nt":
            _remove(self.place)
        if not self.target.exists():
            _remove_empty(*self.made)


def _make_parents(target: Path) -> tuple[Path, ...]:
    """Make the folders above an output; those that were not there, the innermost first."""
    missing = [parent for parent in target.parents if not parent.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    return tuple(missing)


def _remove_empty(*folders: Path) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _locked(place: Path, *, create: bool) -> int | None:
    """Descriptor of the lock in a hidden folder; None where another process holds it, or it has been removed.

    Raises
    ------
    OSError
        If it cannot be opened, or the file system knows no locks.
    """
    from filelock import lock_descriptor

    path = place / LOCK
    if place.is_symlink() or path.is_symlink():
        raise OSError(f"{place} is a link")
    flags = os.O_RDWR | (os.O_CREAT if create else 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        held = lock_descriptor(descriptor, blocking=False)
        # A lock on a file that its owner has removed meanwhile guards nothing.
        if held and path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except FileNotFoundError:
        held = False
    except BaseException as error:
        os.close(descriptor)
        if create and isinstance(error, OSError) and error.errno in NO_LOCKS:
            path.unlink()
        raise
    os.close(descriptor)
    return None


def _holder(place: Path) -> str:
    """Who holds a lock, in words."""
    try:
        who = json.loads((place / LOCK).read_bytes().removeprefix(HEAD))
        return f"another run of hepatica (process {who['process']} on {who['host']}, since {who['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run of hepatica"


def _parts(place: Path) -> set[str]:
    return {item.name for item in place.iterdir()}


def _remove(place: Path) -> None:
    """Remove a hidden folder that is empty but for its lock: while that is locked, so that whoever waits begins anew.

    Windows removes no open file; there it is done once the lock is closed, and fails if another run has opened it.
    """
    with contextlib.suppress(OSError):
        if _parts(place) == {LOCK}:
            (place / LOCK).unlink()
        place.rmdir()


def _sweep(place: Path) -> None:
    """Complete or remove what killed runs left beside an output; what cannot be removed stays."""
    with contextlib.suppress(OSError):
        with os.scandir(place.parent) as entries:
            found = [entry.name for entry in entries if _is_work_name(entry.name) and entry.name != place.name]
        for name in found:
            with contextlib.suppress(OSError, OutputError):
                _sweep_one(place.parent / name)


def _sweep_one(place: Path) -> None:
    if place.is_symlink() or not place.is_dir():
        return
    parts = _parts(place)
    if not parts:
        place.rmdir()
    if LOCK not in parts or not parts <= set(PARTS):
        return
    descriptor = _locked(place, create=False)
    if descriptor is None:
        return
    name = _output_name(descriptor)
    if name is not None and work_folder(place.with_name(name)) == place:
        Work(place.with_name(name), place, descriptor).release()
        return
    if parts == {LOCK} and os.fstat(descriptor).st_size == 0:  # killed before its first line
        _remove(place)
    os.close(descriptor)


def _output_name(descriptor: int) -> str | None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    signed = os.read(descriptor, 10_000)
    if not signed.startswith(HEAD):
        return None
    try:
        name = json.loads(signed.removeprefix(HEAD))["output"]
    except (ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) and Path(name).name == name else None


def restore(path: Path | str) -> None:
    """Complete, before a path that is missing is read, a replacement of it that a killed run left cut in two.

    Where another process is just replacing it, its new content is waited for. Anything else is left alone.
    """
    path = Path(path).resolve()
    missing = [item for item in (path, *path.parents) if not os.path.lexists(item)]
    if not missing:
        return
    place = work_folder(missing[-1])
    until = time.monotonic() + WAIT_S
    while os.path.lexists(place / READY) and not os.path.lexists(missing[-1]) and time.monotonic() < until:
        with contextlib.suppress(OSError, OutputError):
            _sweep_one(place)
        if not os.path.lexists(missing[-1]):
            time.sleep(0.02)
