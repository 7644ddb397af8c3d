"""Writing so that a result is whole or absent: to a hidden temporary name beside the target, then renamed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from hepatica.errors import OutputError


@contextmanager
def atomic_output(path: Path | str) -> Iterator[Path]:
    """Path to write to; it becomes `path` when the block ends well and vanishes when it does not.

    Parameters
    ----------
    path : Path
        File to make or replace. Its folder must exist.

    Yields
    ------
    Path
        A name in a hidden folder beside `path`, with the same file name (so that a format chosen by suffix holds).

    Raises
    ------
    OutputError
        If the file cannot be written (no folder, no permission, disk full).
    """
    path = Path(path)
    try:
        hidden = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({_reason(error)})") from error
    try:
        yield hidden / path.name
        (hidden / path.name).replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({_reason(error)}); nothing was left behind") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


@contextmanager
def output_folder(path: Path | str, *, force: bool = False) -> Iterator[Path]:
    """Folder to write to; it becomes `path` when the block ends well and vanishes when it does not.

    Parameters
    ----------
    path : Path
        Folder to make. An existing empty folder is used; one that holds anything is refused unless `force`.
    force : bool
        Replace what `path` holds: the old folder is there, untouched, until the new one is complete.

    Yields
    ------
    Path
        A hidden folder beside `path`.

    Raises
    ------
    OutputError
        If `path` exists and is not empty (without `force`), is a file, or cannot be written.
    """
    path = Path(path)
    refuse_existing(path, force=force)
    target = path.absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise OutputError(f"{path}: cannot be made ({_reason(error)})") from error
    new = hidden / "new"
    try:
        new.mkdir()
        yield new
        # Checked again: another run may have written there meanwhile.
        refuse_existing(path, force=force)
        if target.is_dir():
            target.replace(hidden / "old")
        try:
            new.replace(target)
        except OSError:
            if (hidden / "old").is_dir():
                (hidden / "old").replace(target)
            raise
    except OutputError as error:
        # A file inside names itself by its hidden place, which is gone when the user reads this.
        raise OutputError(str(error).replace(str(new), str(path))) from error
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({_reason(error)}); nothing was left behind") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _reason(error: OSError) -> str:
    """The system's words ("No space left on device"), also where pydicom wraps its error in a stack trace."""
    cause = error.__cause__ or error.__context__
    if error.strerror is None and isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return error.strerror or (str(error).splitlines() or [type(error).__name__])[0]


def refuse_existing(path: Path, *, force: bool) -> None:
    """Refuse an output folder that could not be written or must not be replaced.

    Raises
    ------
    OutputError
        If it is a file, holds anything (without `force`), or (with it) is the root, home or current folder or one that
        hepatica did not write.
    """
    if path.is_dir():
        if not force and any(path.iterdir()):
            raise OutputError(f"{path} exists and is not empty", remedy="give another folder, or `force` to replace it")
    elif path.exists() or path.is_symlink():
        raise OutputError(f"{path} exists and is not a folder; give another name")
    if force and path.is_dir() and _is_precious(path):
        raise OutputError(f"{path} is the root, home or current folder; it is not replaced, give another folder")
    if force and path.is_dir() and any(path.iterdir()) and not _is_ours(path):
        raise OutputError(
            f"{path} was not written by hepatica (it holds no {MARK} of ours); it is not replaced",
            remedy="give another folder",
        )


def set_times(folder: Path, instant: datetime) -> None:
    """Date every file and folder within a folder, and itself, to an instant."""
    for path in (*sorted(folder.rglob("*"), reverse=True), folder):
        os.utime(path, (instant.timestamp(), instant.timestamp()))


MARK = "result.json"
"""Every folder that hepatica writes holds it; only such a folder is replaced."""


def _is_ours(path: Path) -> bool:
    """Whether hepatica wrote a folder: its result.json names a schema of hepatica."""
    try:
        return str(json.loads((path / MARK).read_text(encoding="utf-8")).get("schema", "")).startswith("hepatica/")
    except (OSError, ValueError, AttributeError):
        return False


def _is_precious(path: Path) -> bool:
    resolved = path.resolve()
    here = Path.cwd()
    return resolved in (Path(resolved.anchor), Path.home().resolve()) or here.is_relative_to(resolved)
