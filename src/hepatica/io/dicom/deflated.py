"""Deflated DICOM files, unpacked no further than their own header calls for.

pydicom unpacks the whole file before it looks at it: 2 MB may become 2 GB.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

from hepatica.io.input_files import RAW_DEFLATE, Inflater

HEADER_BYTES, HEADER_RATIO = 32 * 1024**2, 20
"""Attributes may unpack to so many bytes, or to so many times the file's own size: contours as text reach 10."""

TRAILING_BYTES = 1024**2
"""Attributes behind the pixel data (padding, signatures)."""

PIXELS = 0x7FE0
"""Group of the pixel data, after which only padding and signatures follow."""


class UnpackedFile:
    """An unpacked stream as pydicom reads one: forward, and back to what was read.

    Parameters
    ----------
    stream : binary file
        At the first deflated byte.
    most : int
        Bytes that it may unpack to; the limit may be raised when more is known.
    """

    def __init__(self, stream: BinaryIO, most: int) -> None:
        self._packed = Inflater(stream, RAW_DEFLATE)
        self._bytes, self._at, self.most = bytearray(), 0, most

    def read(self, size: int = -1) -> bytes:
        """So many bytes, fewer at the end.

        Raises
        ------
        ValueError
            If they go beyond the limit, or the stream is cut short.
        """
        end = self.most + 1 if size < 0 else self._at + size
        if end > len(self._bytes):
            self._bytes += self._packed.read(min(end, self.most + 1) - len(self._bytes))
        if len(self._bytes) > self.most:
            raise ValueError(f"it unpacks to more than the {self.most} bytes that its header accounts for")
        if len(self._bytes) < end and not self._packed.ended:
            raise ValueError("it is cut short: the deflated stream has no end")
        found = bytes(memoryview(self._bytes)[self._at : end])
        self._at += len(found)
        return found

    def tell(self) -> int:
        """Position in the unpacked bytes."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place; what lies ahead is unpacked when it is read."""
        if whence == os.SEEK_END:
            raise ValueError("its end is not known before it is read")
        self._at = max(0, offset + (self._at if whence == os.SEEK_CUR else 0))
        return self._at


def read_meta(stream: BinaryIO, at: int) -> Any:
    """Attributes of group 2, which begin at a byte of a file; the stream then stands at the first byte behind them."""
    from pydicom.filereader import read_dataset

    stream.seek(at)
    meta = read_dataset(
        stream, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, vr, n: tag >> 16 != 2
    )
    length = meta.get("FileMetaInformationGroupLength")
    if isinstance(length, int):
        # Compressed bytes may look like one more attribute of this group. Tag, type and length of the length take 12.
        stream.seek(at + 12 + length)
    return meta


def read_deflated(path: Path, stream: BinaryIO, meta: Any, *, pixels: bool) -> tuple[Any, bool]:
    """Data set of a deflated file, and whether it has pixel data.

    Parameters
    ----------
    path : Path
        The file, kept as the data set's name.
    stream : binary file
        At the first deflated byte.
    meta : pydicom.Dataset
        Attributes of group 2.
    pixels : bool
        Whether to read the pixel data too.

    Raises
    ------
    ValueError
        If it unpacks to more than its header accounts for; otherwise as pydicom does.
    """
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.filereader import read_dataset

    packed = os.fstat(stream.fileno()).st_size - stream.tell()
    unpacked = UnpackedFile(stream, HEADER_BYTES + HEADER_RATIO * packed)
    dataset = read_dataset(unpacked, is_implicit_VR=False, is_little_endian=True, stop_when=_Ascending(PIXELS << 16))
    here = unpacked.tell()
    has_pixels = bool(unpacked.read(1))
    unpacked.seek(here)
    if pixels and has_pixels:
        unpacked.most = here + _claimed(dataset) + TRAILING_BYTES
        dataset.update(read_dataset(unpacked, is_implicit_VR=False, is_little_endian=True, stop_when=_Ascending()))
    found = FileDataset(
        str(path), dataset, b"\0" * 128, FileMetaDataset(meta), is_implicit_VR=False, is_little_endian=True
    )
    return found, has_pixels


class _Ascending:
    """Tells pydicom to stop at a tag; refuses tags that do not ascend, as long runs of zeros do not."""

    def __init__(self, stop: int = 1 << 32) -> None:
        self._stop, self._last = stop, -1

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        if tag <= self._last:
            raise ValueError(f"attribute {tag >> 16:04x},{tag & 0xFFFF:04x} is out of order")
        self._last = int(tag)
        return tag >= self._stop


def _claimed(dataset: Any) -> int:
    """Bytes that the pixel data take by the attributes of the image."""
    rows, columns, bits = (int(dataset.get(keyword) or 0) for keyword in ("Rows", "Columns", "BitsAllocated"))
    frames, samples = (int(dataset.get(keyword) or 1) for keyword in ("NumberOfFrames", "SamplesPerPixel"))
    return rows * columns * frames * samples * bits // 8
