"""Stored voxels of a file whose header was read: as many as it calls for, no fewer and no more."""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.errors import GeometryError, HepaticaError, InputError, UnitError
from hepatica.io.input_files import DEFLATE_LIMIT, PIECE, Bunzipper, Inflater, require_file, require_memory

MAX_PADDING_BYTES = 4096
"""So many zeros may follow the voxels, of programs that fill the last block of a file; or one line break."""

MAX_SKIPPED_BYTES = 64 * 1024**2
"""Unpacked bytes before the voxels: extensions of a header hold up to a DICOM header or a protocol."""

MAX_TEXT_BYTES = 40
"""Characters of a number in a text file; a double needs 24 and its separator."""

MAX_MM = 1e5
"""Nothing of a patient is 100 m away: such a number is damage."""

MIN_VOXEL_MM, MAX_VOXEL_MM = 0.05, 100.0
"""Sides of a voxel: a micro-CT of a specimen has 0.05 mm, a planar image one plane of some centimetres. What lies
beyond is a unit of length that was taken for another."""


@dataclass(frozen=True, slots=True)
class VoxelPlace:
    """Where the voxels of an image stand, and how.

    Attributes
    ----------
    header : Path
        File that says so, named in messages.
    file : Path
        File that holds them.
    start : int
        First byte, after which they stand; -1 where they are the last bytes of the file.
    kind : dtype
        Of one number, with its byte order.
    count : int
        How many numbers.
    encoding : str
        "raw"; "packed" (zlib or gzip) or "gzip-file" (the header too); "bzip2"; "text" or "hex".
    skip : int
        Bytes to leave out after unpacking.
    packed_bytes : int or None
        Length of the packed voxels, where the header states it.
    """

    header: Path
    file: Path
    start: int
    kind: np.dtype[Any]
    count: int
    encoding: Literal["raw", "packed", "gzip-file", "bzip2", "text", "hex"] = "raw"
    skip: int = 0
    packed_bytes: int | None = None

    @property
    def bytes_needed(self) -> int:
        """Bytes of the voxels, unpacked."""
        return self.count * self.kind.itemsize


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """InputError that names the file for what the system and zlib raise."""
    try:
        yield
    except (OSError, EOFError, zlib.error, MemoryError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"{path}: cannot be read ({reason})") from error


def read_voxels(place: VoxelPlace) -> NDArray[Any]:
    """The stored numbers in the machine's byte order, shape (count,), writable.

    Raises
    ------
    InputError
        If there are fewer or more of them than the header says, they are damaged, or too many for this machine.
    """
    size = require_file(place.file)
    require_memory(place.header, place.count, place.kind.itemsize)
    with reading(place.file), place.file.open("rb") as stream:
        if place.encoding == "raw":
            return _raw(place, stream, size)
        if place.encoding in ("text", "hex"):
            return _written_out(place, stream, size)
        return _packed(place, stream, size)


def _raw(place: VoxelPlace, stream: BinaryIO, size: int) -> NDArray[Any]:
    start = size - place.bytes_needed if place.start < 0 else place.start
    _require_length(place, size - start if start >= 0 else size)
    stream.seek(start)
    buffer = np.empty(place.bytes_needed, dtype=np.uint8)
    view, filled = buffer.data, 0
    while filled < len(view) and (read := stream.readinto(view[filled:])):  # type: ignore[attr-defined]
        filled += read
    _require_length(place, filled, behind=stream.read(MAX_PADDING_BYTES + 1))
    return _native(place, buffer)


def _packed(place: VoxelPlace, stream: BinaryIO, size: int) -> NDArray[Any]:
    whole_file = place.encoding == "gzip-file"
    stream.seek(0 if whole_file else place.start)
    packed = size - stream.tell()
    if place.packed_bytes is not None and packed < place.packed_bytes:
        raise InputError(f"{place.header}: is cut short: {packed} bytes of {place.packed_bytes} packed bytes of voxels")
    if place.encoding != "bzip2" and place.bytes_needed > DEFLATE_LIMIT * packed:
        raise InputError(f"{place.header}: claims {place.count} voxels in {packed} packed bytes; it is damaged")
    unpacked = Bunzipper(stream) if place.encoding == "bzip2" else Inflater(stream)
    before = place.start if whole_file else place.skip
    if before > MAX_SKIPPED_BYTES:
        raise InputError(f"{place.header}: its voxels are said to start {before} bytes behind where they can")
    while before > 0 and (passed := unpacked.read(min(before, PIECE))):
        before -= len(passed)
    buffer = np.empty(place.bytes_needed, dtype=np.uint8)
    view, filled = buffer.data, 0
    while filled < len(view) and (piece := unpacked.read(min(PIECE, len(view) - filled))):
        view[filled : filled + len(piece)] = piece
        filled += len(piece)
    _require_length(place, filled, behind=unpacked.read(MAX_PADDING_BYTES + 1))
    if not unpacked.ended:
        raise InputError(f"{place.header}: is cut short: the packed voxels have no end")
    if not _is_padding(unpacked.rest(MAX_PADDING_BYTES + 1)):
        raise InputError(
            f"{place.header}: something follows its packed voxels; the file is damaged or two were joined",
            remedy="unpack it and look, or write it again",
        )
    return _native(place, buffer)


def _written_out(place: VoxelPlace, stream: BinaryIO, size: int) -> NDArray[Any]:
    """Numbers as text or as hexadecimal digits."""
    stream.seek(place.start)
    if size - place.start > MAX_TEXT_BYTES * (place.bytes_needed + 1):
        raise InputError(f"{place.header}: has {size - place.start} characters for {place.count} voxels")
    text = stream.read()
    try:
        if place.encoding == "hex":
            buffer = np.frombuffer(bytes.fromhex(text.decode("ascii")), dtype=np.uint8).copy()
            _require_length(place, len(buffer), behind=buffer[place.bytes_needed :].tobytes())
            return _native(place, buffer[: place.bytes_needed])
        with warnings.catch_warnings():
            # numpy warns where a word is no number.
            warnings.simplefilter("error")
            numbers = np.fromstring(text.decode("ascii"), dtype=np.float64, sep=" ")
    except (ValueError, DeprecationWarning) as error:
        raise InputError(f"{place.header}: the voxels are not written in numbers ({error})") from error
    if len(numbers) != place.count:
        raise InputError(f"{place.header}: holds {len(numbers)} numbers for {place.count} voxels")
    if np.issubdtype(place.kind, np.integer):
        limits = np.iinfo(place.kind)
        if place.kind.itemsize > 4 or not ((np.rint(numbers) == numbers) & (abs(numbers) <= limits.max)).all():
            raise InputError(f"{place.header}: its numbers are not all whole numbers of {limits.bits} bits")
    return numbers.astype(place.kind.newbyteorder("="))


def _is_padding(behind: bytes) -> bool:
    """Whether bytes behind the voxels say nothing."""
    return behind in (b"\n", b"\r\n") or (len(behind) <= MAX_PADDING_BYTES and not any(behind))


def _require_length(place: VoxelPlace, found: int, *, behind: bytes = b"") -> None:
    """InputError unless there are enough bytes for the voxels, and nothing but padding behind them."""
    needed = place.bytes_needed
    if found < needed:
        raise InputError(
            f"{place.header}: is cut short: {found} bytes of {needed} bytes of voxels that its header claims"
        )
    if not _is_padding(behind):
        raise InputError(
            f"{place.header}: holds more than the {place.count} voxels of {place.kind.itemsize} bytes that its header "
            "claims; header and voxels contradict each other"
        )


def _native(place: VoxelPlace, buffer: NDArray[np.uint8]) -> NDArray[Any]:
    numbers = buffer.view(place.kind)
    if place.kind.isnative:
        return numbers
    return numbers.byteswap(inplace=True).view(place.kind.newbyteorder("="))


def scaled(stored: NDArray[Any], slope: float, offset: float, precision: Any) -> NDArray[Any]:
    """``slope * stored + offset`` in double precision, rounded once to `precision`; by blocks, to spare memory."""
    flat, out = stored.ravel(order="K"), np.empty(stored.size, dtype=precision)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(out), PIECE):
            block = slice(start, start + PIECE)
            out[block] = flat[block] * np.float64(slope) + offset
    return out.reshape(stored.shape, order="F" if stored.flags.f_contiguous else "C")


def refuse_not_finite(path: Path, values: NDArray[Any]) -> None:
    """UnitError if a stored number is NaN or infinite."""
    if not np.issubdtype(values.dtype, np.floating):
        return
    flat = values.ravel(order="K")
    blocks = (flat[start : start + PIECE] for start in range(0, len(flat), PIECE))
    if bad := sum(int((~np.isfinite(block)).sum()) for block in blocks):
        raise UnitError(f"{path}: {bad} voxels are NaN or infinite")


def grid_of(path: Path, shape: Sequence[int], affine: NDArray[np.float64]) -> Grid:
    """Grid of the voxels in LPS mm.

    Raises
    ------
    GeometryError
        If the place is no number, absurd, or the axes are not perpendicular.
    """
    spacing = [math.hypot(*column) for column in affine[:3, :3].T]
    if not np.isfinite(affine).all() or np.abs(affine[:3]).max() > MAX_MM or min(spacing) == 0:
        shown = ", ".join(f"{number:g}" for number in affine[:3].ravel())
        raise GeometryError(f"{path}: its affine ({shown}) is no place of an image in mm")
    if not MIN_VOXEL_MM * 0.999 <= min(spacing) <= max(spacing) <= MAX_VOXEL_MM * 1.001:
        sides = " x ".join(f"{side:g}" for side in spacing)
        raise GeometryError(
            f"{path}: its voxels would be {sides} mm; from {MIN_VOXEL_MM:g} to {MAX_VOXEL_MM:g} mm are read",
            remedy="look whether its unit of length (xyzt_units, DistanceUnits, space units) is the one of its numbers",
        )
    try:
        return Grid((shape[0], shape[1], shape[2]), affine)
    except GeometryError as error:
        raise GeometryError(f"{path}: {error}; its axes may not be perpendicular (shear): resample it first") from error


def voxel_file(header: Path, name: str, error: type[HepaticaError] = InputError) -> Path:
    """The file of voxels that a header names: a regular file in the header's own folder or below.

    Raises
    ------
    HepaticaError
        If it is elsewhere, also by a link, is absent, or is no regular file.
    """
    folder = header.resolve().parent
    try:
        found = (folder / name).resolve()
        inside = "\0" not in name and found.is_relative_to(folder)
    except (OSError, ValueError, RuntimeError):
        # A loop of links, or a name that is none.
        inside = False
    parts = name.replace("\\", "/").split("/")
    if not inside or ".." in parts or name.startswith(("/", "\\")) or ":" in parts[0]:
        raise error(
            f"{header}: its voxels are said to be in {name!r}, which is not in its own folder",
            remedy="put both files into one folder and name it without a path",
        )
    if found == header.resolve():
        raise error(f"{header}: names itself as the file of its voxels")
    try:
        require_file(header.parent / name, error)
    except HepaticaError as problem:
        raise error(f"{header}: its voxels: {problem}") from problem
    return header.parent / name
