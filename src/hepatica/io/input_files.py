"""Files that others made: what may be opened, how much memory a header may ask for, and unpacking in bounded pieces."""

from __future__ import annotations

import bz2
import os
import stat
import zlib
from pathlib import Path
from typing import BinaryIO

from hepatica.errors import HepaticaError, InputError

MAX_VOXELS = 2**31
"""Voxels of one image: 1024 x 1024 x 2048, more than any whole-body scan has."""

MEMORY_SHARE = 1 / 3
"""Share of the machine's memory that the voxels of one file may take: converting them to floats takes twice as much."""

DEFLATE_LIMIT = 1032
"""Most that deflate can compress (zlib's manual); a header that claims more than that is refused before allocation."""

PIECE = 1 << 20

GZIP_OR_ZLIB = 47
"""`wbits` of zlib for a stream whose header says which of the two it is."""

RAW_DEFLATE = -zlib.MAX_WBITS

_SPECIAL = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def is_file(path: Path) -> bool:
    """Whether there is a regular file.

    Raises
    ------
    InputError
        If the system refuses to look (no permission, a loop of links).
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def require_file(path: Path, error: type[HepaticaError] = InputError) -> int:
    """Size in bytes of a regular file, which opening cannot block on.

    Raises
    ------
    HepaticaError
        Of the type given, if there is none, or it is a folder, a pipe, a socket or a device.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as problem:
        if isinstance(problem, FileNotFoundError | NotADirectoryError):
            raise error(f"{path}: no such file") from None
        # A loop of links, a name with a null byte, a folder that may not be entered.
        reason = getattr(problem, "strerror", None) or str(problem)
        raise error(f"{path}: cannot be read ({reason})") from problem
    for holds, what in _SPECIAL.items():
        if holds(found.st_mode):
            raise error(f"{path}: is {what}, not a file")
    return found.st_size


def require_memory(path: Path, voxels: int, voxel_bytes: int) -> None:
    """InputError if a header calls for more voxels than are read, or than this machine can hold."""
    if voxels > MAX_VOXELS:
        raise InputError(f"{path}: claims {voxels} voxels; at most {MAX_VOXELS} are read; it may be damaged")
    memory = machine_memory()
    if memory is not None and voxels * voxel_bytes > MEMORY_SHARE * memory:
        held = f"{memory / 2**30:.1f} GiB of memory"
        raise InputError(f"{path}: claims {voxels} voxels of {voxel_bytes} bytes; this machine has {held}")


def machine_memory() -> int | None:
    """Bytes of memory that this process may use; None where the system does not say (it refuses by itself then)."""
    found = []
    if hasattr(os, "sysconf") and {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= set(os.sysconf_names):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    try:
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    except (OSError, ValueError):
        # Not Linux, no container, or "max".
        found.append(-1)
    return min((number for number in found if number > 0), default=None)


class Inflater:
    """Compressed bytes, unpacked only as far as they are asked for.

    Parameters
    ----------
    stream : binary file
        At the first compressed byte.
    wbits : int
        Kind of stream: `GZIP_OR_ZLIB` or `RAW_DEFLATE`. Members of a gzip file follow one another.
    """

    def __init__(self, stream: BinaryIO, wbits: int = GZIP_OR_ZLIB) -> None:
        self._stream, self._wbits = stream, wbits
        self._engine = zlib.decompressobj(wbits)
        self._packed = b""

    @property
    def ended(self) -> bool:
        """Whether the end of the compressed stream was met; a checksum, where there is one, was then right."""
        return self._engine.eof

    def read(self, size: int) -> bytes:
        """So many unpacked bytes; fewer at the end of the stream or of the file.

        Raises
        ------
        zlib.error
            If the stream is damaged.
        """
        pieces: list[bytes] = []
        left = size
        while left > 0:
            if self._engine.eof and not self._next_member():
                break
            self._packed = self._packed or self._stream.read(PIECE)
            exhausted = not self._packed
            # Without input zlib still gives what it had no room for the last time.
            piece = self._engine.decompress(self._packed, min(left, PIECE))
            self._packed = self._engine.unused_data if self._engine.eof else self._engine.unconsumed_tail
            pieces.append(piece)
            left -= len(piece)
            if exhausted and not piece:
                break
        return b"".join(pieces)

    def rest(self, size: int) -> bytes:
        """At most so many bytes behind the compressed stream, once its end was met."""
        return (self._packed + self._stream.read(size))[:size]

    def _next_member(self) -> bool:
        """Begin the next member of a gzip file; what else may follow (padding) is left alone."""
        if self._wbits != GZIP_OR_ZLIB:
            return False
        if len(self._packed) < 2:
            self._packed += self._stream.read(2)
        if not self._packed.startswith(b"\x1f\x8b"):
            return False
        self._engine = zlib.decompressobj(self._wbits)
        return True


class Bunzipper:
    """As `Inflater`, of bzip2.

    Parameters
    ----------
    stream : binary file
        At the first compressed byte. Streams that follow one another, as parallel programs write them, are one.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._engine = stream, bz2.BZ2Decompressor()
        self._behind = b""

    @property
    def ended(self) -> bool:
        """Whether the end of the compressed stream was met; its checksum was then right."""
        return self._engine.eof

    def read(self, size: int) -> bytes:
        """So many unpacked bytes; fewer at the end of the stream or of the file.

        Raises
        ------
        OSError
            If the stream is damaged.
        """
        pieces: list[bytes] = []
        left = size
        while left > 0:
            packed = b""
            if self._engine.eof:
                self._behind = packed = self._behind or self._engine.unused_data or self._stream.read(PIECE)
                if not packed.startswith(b"BZh"):
                    break
                self._engine, self._behind = bz2.BZ2Decompressor(), b""
            elif self._engine.needs_input and not (packed := self._stream.read(PIECE)):
                break
            pieces.append(self._engine.decompress(packed, min(left, PIECE)))
            left -= len(pieces[-1])
        return b"".join(pieces)

    def rest(self, size: int) -> bytes:
        """At most so many bytes behind the compressed stream, once its end was met."""
        return ((self._behind or self._engine.unused_data) + self._stream.read(size))[:size]
