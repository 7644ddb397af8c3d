"""A folder or a file that is whole or as it was: written to a hidden place, put on the disk, then given its name."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from hepatica.errors import HepaticaError, OutputError
from hepatica.io.files import system
from hepatica.io.files.manifest import foreign, write_manifest
from hepatica.io.files.system import reason, sync_file, sync_folder, sync_tree
from hepatica.io.files.work import NEW, Work, is_inside_work, work_folder


@contextmanager
def atomic_output(path: Path | str) -> Iterator[Path]:
    """Path to write to; it becomes `path` when the block ends well and vanishes when it does not.

    Parameters
    ----------
    path : Path
        File to make or replace, in one step. Its folder must exist.

    Yields
    ------
    Path
        A name in a hidden folder beside `path`, with the same file name (so that a format chosen by suffix holds).
        In a folder that is being written itself: `path`.

    Raises
    ------
    OutputError
        If the file cannot be written (no folder, no permission, disk full), or another process is writing it.
    """
    path = Path(path)
    target = _target(path)
    if is_inside_work(target):
        with _removed_on_failure(path, target):
            yield path
        return
    before = os.path.lexists(target)
    with _reported(path, before=before), _claimed(target, make_parents=False) as work:
        work.new.mkdir()
        new = work.new / target.name
        yield new
        sync_file(new)
        if before:
            shutil.copymode(target, new)
        new.replace(target)
        sync_folder(target.parent)


@contextmanager
def output_folder(path: Path | str, *, force: bool = False, listed: bool = True) -> Iterator[Path]:
    """Folder to write to; it becomes `path` when the block ends well and vanishes when it does not.

    `path` is locked for as long as the block runs. A list of the files, with hashes, is put beside them: by it a later
    run knows that it may replace the folder.

    Parameters
    ----------
    path : Path
        Folder to make. An existing empty folder is used; one that holds anything is refused unless `force`.
    force : bool
        Replace a folder that hepatica wrote: the old one has its name until the new one takes it, in one step.

    listed : bool
        Put the list of its files into the folder; without it the folder is never replaced.

    Yields
    ------
    Path
        A hidden folder beside `path`.

    Raises
    ------
    OutputError
        If `path` is no place for a result (see `refuse_existing`), holds anything (without `force`) or anything but the
        unchanged files of a result of hepatica (with it), cannot be written, or is being written by another process.
    KeyboardInterrupt
        As it came; its text says whether `path` is as it was or the new result.
    """
    path = Path(path)
    target = _target(path)
    refuse_existing(path, force=force)
    if is_inside_work(target):
        with _removed_on_failure(path, target):
            target.mkdir(parents=True, exist_ok=True)
            yield path
        return
    with _reported(path, before=os.path.lexists(target)), _claimed(target, make_parents=True) as work:
        refuse_existing(path, force=force)  # a run that was waited for may have written it
        _refuse_content(path, target, force=force)
        work.new.mkdir()
        yield work.new
        if listed:
            write_manifest(work.new)
        sync_tree(work.new)
        _put_in_place(path, work, force=force)
        _confirm(path, target.parent)


def _target(path: Path) -> Path:
    """The place itself: links are followed, and stay."""
    try:
        target = path.resolve()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            target.lstat()
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({reason(error)}); nothing was left behind") from error
    except (ValueError, RuntimeError) as error:
        raise OutputError(f"{str(path)!r} is no name for an output ({error})") from error
    return target


@contextmanager
def _claimed(target: Path, *, make_parents: bool) -> Iterator[Work]:
    work = Work.claim(target, make_parents=make_parents)
    try:
        yield work
    finally:
        work.release()


@contextmanager
def _removed_on_failure(path: Path, target: Path) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                target.unlink()
        if isinstance(error, OSError):
            raise OutputError(f"{path}: cannot be written ({reason(error)}); nothing was left behind") from error
        raise


@contextmanager
def _reported(path: Path, *, before: bool) -> Iterator[None]:
    """Errors and interrupts in words that say what is there now."""
    target = _target(path)
    old = identity(target)
    as_it_was = f"{path} is as it was" if before else "nothing was left behind"
    try:
        yield
    except HepaticaError as error:
        # A file inside names itself by its hidden place, which is gone when the user reads this.
        hidden = str(work_folder(target) / NEW)
        if hidden not in str(error):
            raise
        raise OutputError(str(error).replace(hidden, str(path))) from error
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({reason(error)}); {as_it_was}") from error
    except KeyboardInterrupt as stop:
        stop.args = (outcome(path, old),)
        raise


def outcome(path: Path, before: tuple[int, int] | None) -> str:
    """What there is after a run was stopped, in words, from the `identity` of the output before it."""
    now = identity(path)
    if now is not None and now != before:
        return f"{path} is the new result"
    return "nothing was written" if before is None else f"nothing was written; {path} is as it was"


def identity(path: Path) -> tuple[int, int] | None:
    """Which file or folder a name stands for on the disk (device and number); None for none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _put_in_place(path: Path, work: Work, *, force: bool) -> None:
    """Give the new folder its name; an old one is taken out in the same step where the file system can do that."""
    new, target = work.new, work.target
    if not os.path.lexists(target):
        new.rename(target)
        return
    shutil.copymode(target, new)
    if system.exchange(new, target):
        try:
            # What is about to be removed is looked at once more, now that nobody finds it by its name.
            _refuse_content(path, new, force=force)
        except OutputError:
            system.exchange(new, target)
            raise
        return
    work.announce()
    target.rename(work.old)
    try:
        _refuse_content(path, work.old, force=force)
        new.rename(target)
    except (OSError, OutputError):
        work.ready.unlink()
        work.old.rename(target)
        raise


def _confirm(path: Path, parent: Path) -> None:
    try:
        sync_folder(parent)
    except OSError as error:
        raise OutputError(
            f"{path} is the new result, but the system does not confirm that its name is on the disk ({reason(error)})"
        ) from error


def refuse_existing(path: Path, *, force: bool) -> None:
    """Refuse an output folder that cannot be one, or is in use; whose it is, is looked at once it is locked.

    Raises
    ------
    OutputError
        If it is a file, the root, home or current folder or one above; or if it holds anything (without `force`).
    """
    target = _target(path)
    if os.path.isdir(path):  # noqa: PTH112 - a name that is too long is no folder either
        here = Path.cwd()
        if target in (Path(target.anchor), Path.home().resolve()) or here.is_relative_to(target):
            raise OutputError(
                f"{path} is the root, home or current folder, or one above; it is not replaced",
                remedy="give another folder",
            )
        if not force:
            _refuse_content(path, target, force=False)
    elif os.path.lexists(path):
        raise OutputError(f"{path} exists and is not a folder; give another name")


def _refuse_content(path: Path, folder: Path, *, force: bool) -> None:
    """Refuse to replace `path`, whose content lies in `folder`, unless it is empty or, with `force`, hepatica's."""
    try:
        if not os.path.lexists(folder) or not any(folder.iterdir()):
            return
        if not force:
            raise OutputError(f"{path} exists and is not empty", remedy="give another folder, or `force` to replace it")
        why = foreign(folder)
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({reason(error)}); it is not replaced") from error
    if why is not None:
        raise OutputError(
            f"{path} is not replaced: {why}", remedy="give another folder, or move what it holds to another place"
        )


def refuse_inputs(folder: Path | str, inputs: Iterable[Path | str]) -> None:
    """Refuse a folder that holds something that is read, or lies in a folder that is, where the next reading finds it.

    Files are known by their identity on the disk, so that links, mounts and other spellings do not hide them.

    Parameters
    ----------
    folder : Path
        The output.
    inputs : iterable of Path
        Files and folders that are read, as they were named; what is not there is passed over.

    Raises
    ------
    OutputError
        If the folder and an input overlap.
    """
    folder = Path(folder)
    target = _target(folder)
    own = identity(target)
    held = {identity(path) for path in target.rglob("*")} if own is not None and target.is_dir() else set()
    for given in inputs:
        real = Path(os.path.realpath(given))
        if real.is_relative_to(target) or (own and own in {identity(parent) for parent in (real, *real.parents)}):
            raise _overlap(f"{folder} holds {given}, which is read")
        if not os.path.lexists(real):
            continue
        above = {identity(parent) for parent in target.parents} - {None}
        if real.is_dir() and (target.is_relative_to(real) or identity(real) in above):
            raise _overlap(f"{folder} lies in {given}, which is read")
        if not held:
            continue
        files = [real, *real.rglob("*")] if real.is_dir() else [real]
        shared = next((file for file in files if identity(file) in held), None)
        if shared is not None:
            raise _overlap(f"{folder} holds {shared}, which is read")


def _overlap(what: str) -> OutputError:
    return OutputError(f"{what}; nothing is written there", remedy="give another folder")


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, the same bytes on every system; half a character (of a strange file name) is written out.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path.write_bytes(text.encode("utf-8", "backslashreplace"))


def set_times(folder: Path, instant: datetime) -> None:
    """Date every file and folder within a folder, and itself, to an instant."""
    for path in (*sorted(folder.rglob("*"), reverse=True), folder):
        os.utime(path, (instant.timestamp(), instant.timestamp()))
