"""What a file system does in one step, and what it has put on the disk for good."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

_NOT_THERE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""How a system says that this file system has no such step."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = _RENAME_SWAP = 2


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders or files in one step, so that at no moment either name is missing.

    Linux: ``renameat2`` with ``RENAME_EXCHANGE`` [1]_; macOS: ``renamex_np`` with ``RENAME_SWAP`` [2]_.

    Returns
    -------
    bool
        False, and nothing done, where the system or this file system has no such step (Windows, NFS, HFS+, exFAT).

    Raises
    ------
    OSError
        If the step is there and failed.

    References
    ----------
    .. [1] rename(2), Linux manual page, since Linux 3.15.
    .. [2] rename(2), Darwin manual page, since macOS 10.12.
    """
    call = _exchange_call()
    if call is None:
        return False
    if call(os.fsencode(one), os.fsencode(other)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_THERE:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))


@cache
def _exchange_call() -> Any:
    """The function of the system that exchanges two names; None where there is none."""
    if sys.platform not in ("linux", "darwin"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        swap = getattr(library, "renamex_np", None)
        return None if swap is None else lambda one, other: swap(one, other, ctypes.c_uint(_RENAME_SWAP))
    rename = getattr(library, "renameat2", None)
    if rename is None:
        return None
    return lambda one, other: rename(_AT_FDCWD, one, _AT_FDCWD, other, ctypes.c_uint(_RENAME_EXCHANGE))


def sync_file(path: Path) -> None:
    """Return once the bytes of a file are on the disk.

    Raises
    ------
    OSError
        If the system could not write them.
    """
    # Windows only flushes what is open for writing.
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0) if os.name == "nt" else os.O_RDONLY)
    try:
        _flush(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Return once the names in a folder are on the disk; nothing where the system has no such call (Windows).

    Raises
    ------
    OSError
        If the system could not write them.
    """
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _flush(descriptor)
    except OSError as error:
        if error.errno not in _NOT_THERE:  # network and FUSE file systems that know no fsync of a folder
            raise
    finally:
        os.close(descriptor)


def _flush(descriptor: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        # fsync of macOS leaves the bytes in the cache of the drive; some file systems know only that.
        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError:
            os.fsync(descriptor)
        return
    os.fsync(descriptor)


def sync_tree(folder: Path) -> None:
    """Return once a folder and everything in it is on the disk.

    Raises
    ------
    OSError
        If the system could not write it.
    """
    for name, _, files in os.walk(folder, topdown=False):
        for file in files:
            sync_file(Path(name) / file)
        sync_folder(Path(name))


def reason(error: OSError) -> str:
    """The system's words ("No space left on device"), also where pydicom wraps its error in a stack trace."""
    cause = error.__cause__ or error.__context__
    if error.strerror is None and isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return error.strerror or (str(error).splitlines() or [type(error).__name__])[0]
