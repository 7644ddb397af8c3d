"""The one door to DICOM attributes: whatever a file holds, a caller gets a typed value or a HepaticaError.

pydicom converts an element when it is first read and may then raise almost anything, or warn. `Header` converts
failures to `DicomError` with file and keyword, and keeps the warnings for the reader to pass on.
"""

from __future__ import annotations

import functools
import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

from hepatica.core.message import Message
from hepatica.errors import DicomError, TimeError
from hepatica.io.dicom.deflated import read_deflated, read_meta
from hepatica.io.input_files import is_file

DEFLATED = "1.2.840.10008.1.2.1.99"
"""Transfer syntax whose whole data set is compressed (Deflated Explicit VR Little Endian)."""

DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
"""Transfer syntax whose frames are compressed each for itself (Deflated Image Frame Compression, PS3.5 A.4.14)."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""Characters that command a terminal; no text of a patient needs one."""

MAX_NUMBER = 1e30
"""No attribute that is read here holds a larger number; what is smaller can be squared and multiplied without leaving
the range of floating-point numbers."""


@functools.cache
def failures() -> tuple[type[Exception], ...]:
    """What pydicom and the pixel decoders raise on broken files; found by fuzzing, see tests/unit/io/test_fuzz.py."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (
        BytesLengthException,
        InvalidDicomError,
        ArithmeticError,
        AssertionError,
        AttributeError,
        EOFError,
        LookupError,
        MemoryError,
        NotImplementedError,
        OSError,
        RecursionError,
        RuntimeError,
        StopIteration,
        TypeError,
        ValueError,
        struct.error,
        zlib.error,
    )


@contextmanager
def pydicom_door(path: Path | None, doing: str, problems: dict[str, None] | None = None) -> Iterator[None]:
    """Turn what pydicom raises into DicomError, and what it warns into entries of `problems`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except failures() as error:
            raise DicomError(f"{doing}: {_one_line(error)}", path=path) from error
    if problems is not None:
        for message in caught:
            problems[_one_line(message.message)] = None


@dataclass(frozen=True, slots=True)
class Header:
    """Attributes of one DICOM file or sequence item, read with types.

    Parameters
    ----------
    dataset : pydicom.Dataset
        The file's data set or an item of one of its sequences.
    path : Path or None
        The file, for messages.
    problems : dict
        Keys are the warnings that pydicom gave while values were read (shared between a file and its items).
    has_pixels : bool
        Whether pixel data follow in the file (they are not read with the header).

    Notes
    -----
    An attribute that is absent or empty gives None or an empty value; the ``required_`` forms raise DicomError.
    """

    dataset: Any
    path: Path | None = None
    problems: dict[str, None] = field(default_factory=dict)
    has_pixels: bool = False

    def error(self, keyword: str, message: str, *, remedy: str = "") -> DicomError:
        """Error that names this file and the attribute."""
        return DicomError(message, path=self.path, tag=keyword, remedy=remedy)

    def messages(self) -> tuple[Message, ...]:
        """What pydicom complained about while values were read."""
        return tuple(Message("dicom-header", f"header: {problem}") for problem in self.problems)

    def value(self, keyword: str) -> Any:
        """Value as pydicom gives it; None if absent or empty."""
        # What is absent or was converted before can neither fail nor warn: no door is needed, which takes most of
        # the time of a scan.
        tag = _tag(keyword)
        if tag is not None:
            element = self.dataset.get_item(tag, keep_deferred=True)
            if element is None:
                return None
            plain = element.value if isinstance(element, _element_type()) else None
            if isinstance(plain, (str, int, float)):
                return None if isinstance(plain, str) and not plain else plain
        try:
            with pydicom_door(self.path, keyword, self.problems):
                value = self.dataset.get(keyword)
                if value is None or (not isinstance(value, (int, float)) and len(value) == 0):
                    return None
                return value
        except DicomError as error:
            raise self.error(keyword, f"cannot be read ({error.__cause__})") from error

    def __contains__(self, keyword: str) -> bool:
        return self.value(keyword) is not None

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Values as stripped text; empty if absent."""
        value = self.value(keyword)
        if value is None:
            return ()
        if isinstance(value, bytes):
            raise self.error(keyword, "holds bytes, expected text")
        if isinstance(value, str):
            return (_harmless(value),)
        with pydicom_door(self.path, keyword, self.problems):
            return tuple(_harmless(str(part)) for part in (list(value) if _is_list(value) else [value]))

    def text(self, keyword: str) -> str:
        """Value as stripped text, several joined by a backslash; empty if absent."""
        return "\\".join(self.texts(keyword))

    def required_text(self, keyword: str) -> str:
        """Value as text.

        Raises
        ------
        DicomError
            If absent or empty.
        """
        text = self.text(keyword)
        if not text:
            raise self.error(keyword, "is missing or empty")
        return text

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Values as finite floats; empty if absent.

        Raises
        ------
        DicomError
            If a value is not a number, or not finite.
        """
        value = self.value(keyword)
        if value is None:
            return ()
        parts = list(value) if _is_list(value) else [value]
        try:
            floats = tuple(float(part) for part in parts)
        except failures():
            raise self.error(keyword, f"{_short(value)} is not a number") from None
        if not all(map(math.isfinite, floats)):
            raise self.error(keyword, f"{_short(value)} is not finite")
        if any(abs(part) > MAX_NUMBER for part in floats):
            raise self.error(keyword, f"{_short(value)} is out of all proportion")
        return floats

    def number(self, keyword: str) -> float | None:
        """One float; None if absent.

        Raises
        ------
        DicomError
            If there are several values, or it is not a finite number.
        """
        numbers = self.numbers(keyword)
        if len(numbers) > 1:
            raise self.error(keyword, f"has {len(numbers)} values, expected one")
        return numbers[0] if numbers else None

    def required_number(self, keyword: str) -> float:
        """One float; DicomError if absent."""
        number = self.number(keyword)
        if number is None:
            raise self.error(keyword, "is missing or empty")
        return number

    def required_numbers(self, keyword: str, count: int) -> tuple[float, ...]:
        """`count` floats; DicomError if absent or another number of them."""
        numbers = self.numbers(keyword)
        if len(numbers) != count:
            found = f"has {len(numbers)} values" if numbers else "is missing or empty"
            raise self.error(keyword, f"{found}, expected {count} numbers")
        return numbers

    def integer(self, keyword: str) -> int | None:
        """One whole number; None if absent."""
        number = self.number(keyword)
        if number is not None and number != int(number):
            raise self.error(keyword, f"{number} is not a whole number")
        return None if number is None else int(number)

    def required_integer(self, keyword: str) -> int:
        """One whole number; DicomError if absent."""
        number = self.integer(keyword)
        if number is None:
            raise self.error(keyword, "is missing or empty")
        return number

    def items(self, keyword: str) -> list[Header]:
        """Items of a sequence; empty if absent.

        Raises
        ------
        DicomError
            If the attribute is not a sequence.
        """
        value = self.value(keyword)
        if value is None:
            return []
        if not _is_list(value) or not all(map(_is_item, value)):
            raise self.error(keyword, "is not a sequence")
        return [Header(item, self.path, self.problems) for item in value]

    def item(self, keyword: str) -> Header | None:
        """First item of a sequence; None if absent or without items."""
        items = self.items(keyword)
        return items[0] if items else None

    def private(self, group: int, creator: str, element: int) -> Any:
        """Value of a private attribute by its creator's name; None if absent."""
        try:
            with pydicom_door(
                self.path, f"private attribute ({group:04x},xx{element:02x}) of {creator!r}", self.problems
            ):
                return self.dataset.private_block(group, creator)[element].value
        except DicomError as error:
            if isinstance(error.__cause__, KeyError):
                return None
            raise

    @property
    def syntax(self) -> Any:
        """Transfer syntax as a pydicom UID; None if the file states none.

        Raises
        ------
        DicomError
            If what it states is not a transfer syntax.
        """
        from pydicom.uid import UID

        meta = getattr(self.dataset, "file_meta", None)
        text = Header(meta, self.path, self.problems).text("TransferSyntaxUID") if meta is not None else ""
        if not text:
            return None
        if text == DEFLATED_FRAMES:
            return _deflated_frames()
        try:
            with pydicom_door(self.path, "TransferSyntaxUID"):
                syntax = UID(text)
                # Raises ValueError for a UID that is not a transfer syntax.
                syntax.is_compressed  # noqa: B018
        except DicomError as error:
            raise self.error("TransferSyntaxUID", f"{text!r} is not a transfer syntax") from error
        return syntax

    def zone(self) -> timezone | None:
        """Time zone that TimezoneOffsetFromUTC states; None if absent."""
        text = self.text("TimezoneOffsetFromUTC")
        return _zone(text, self, "TimezoneOffsetFromUTC") if text else None

    def instant(self, keyword: str, zone: timezone | None = None) -> datetime | None:
        """Value of a DT attribute; None if absent. `zone` is used where the value states none.

        Raises
        ------
        TimeError
            If it is not a DICOM date with a time.
        """
        text = self.text(keyword)
        if not text:
            return None
        match = re.fullmatch(r"(\d{8})(\d{2,6}(?:\.\d{1,6})?)([+-]\d{4})?", text)
        if not match:
            raise TimeError(f"{self.path}: {keyword}: {text!r} is not a date with a time (YYYYMMDDHHMMSS)")
        day, clock, offset = match.groups()
        found = _zone(offset, self, keyword) if offset else zone
        return datetime.combine(_date(day, self, keyword), _time(clock, self, keyword), found)

    def date_and_time(self, date_keyword: str, time_keyword: str, zone: timezone | None = None) -> datetime | None:
        """Instant from a DA and a TM attribute; None if either is absent.

        Raises
        ------
        TimeError
            If one of them is not a DICOM date or time.
        """
        day, clock = self.text(date_keyword), self.text(time_keyword)
        if not day or not clock:
            return None
        return datetime.combine(_date(day, self, date_keyword), _time(clock, self, time_keyword), zone)

    def clock(self, keyword: str) -> time | None:
        """Time of day of a TM attribute; None if absent."""
        text = self.text(keyword)
        return _time(text, self, keyword) if text else None


@functools.cache
def _deflated_frames() -> Any:
    """The transfer syntax that pydicom does not know, as one of its UIDs."""
    from pydicom.uid import UID

    class DeflatedFrames(UID):  # type: ignore[misc]
        name = "Deflated Image Frame Compression"
        is_compressed = is_encapsulated = is_little_endian = is_transfer_syntax = True
        is_implicit_VR = is_deflated = False  # noqa: N815

    return DeflatedFrames(DEFLATED_FRAMES)


def open_dicom(path: Path, *, pixels: bool = False, check_length: bool = True) -> Header:
    """Header of a DICOM file, found by its content, not its name.

    Parameters
    ----------
    path : Path
        The file.
    pixels : bool
        Whether to read the pixel data too.
    check_length : bool
        Whether a file that ends before its pixel data do is an error.

    Raises
    ------
    DicomError
        If it is not DICOM, cannot be read, or its pixel data end before they should.
    """
    import pydicom

    problems: dict[str, None] = {}
    # A named pipe would be waited for; what is absent or may not be read is said by opening it.
    if not is_file(path) and path.exists():
        raise DicomError("is not a file", path=path)
    with pydicom_door(path, "cannot be read", problems), path.open("rb") as stream:
        start = stream.read(132)
        if len(start) < 132 or (start[128:] != b"DICM" and not _looks_bare(start)):
            raise DicomError(f"is not a DICOM file{_other_format(path)}", path=path)
        has_preamble = start[128:] == b"DICM"
        meta = read_meta(stream, 132 if has_preamble else 0)
        deflated = meta.get("TransferSyntaxUID") == DEFLATED
        if deflated:
            dataset, more = read_deflated(path, stream, meta, pixels=pixels)
            left = int(more)
        else:
            stream.seek(0)
            dataset = pydicom.dcmread(stream, stop_before_pixels=not pixels, force=not has_preamble)
            # Reading stops in front of the pixel data, and the file position stays there.
            left = 0 if pixels else path.stat().st_size - stream.tell()
    header = Header(dataset, path, problems, has_pixels=left > 0)
    if not pixels and check_length and not deflated:
        _refuse_truncated(header, left)
    return header


_OTHER_FORMATS = {
    ".nii": "NIfTI", ".mha": "MetaImage", ".mhd": "MetaImage", ".nrrd": "NRRD", ".nhdr": "NRRD", ".hv": "Interfile",
    ".hs": "Interfile", ".h33": "Interfile",
}  # fmt: skip
"""Formats that are read where the file itself is named, by suffix."""

_FORMATS_NOT_READ = {
    ".vtk": "VTK", ".vti": "VTK", ".tif": "TIFF", ".tiff": "TIFF", ".gipl": "GIPL", ".mnc": "MINC",
    ".mgz": "FreeSurfer", ".mgh": "FreeSurfer", ".par": "Philips PAR/REC",
    ".ima.gz": "packed DICOM", ".dcm.gz": "packed DICOM",
    ".zip": "an archive", ".tar": "an archive", ".tgz": "an archive", ".tar.gz": "an archive", ".7z": "an archive",
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".mat": "MATLAB", ".npy": "NumPy", ".npz": "NumPy",
    ".h5": "HDF5", ".hdr": "Analyze", ".img": "Analyze",
}  # fmt: skip


def _other_format(path: Path) -> str:
    """What the name of a file that is no DICOM says of its format."""
    name = path.name.lower()
    for suffix, format_name in _OTHER_FORMATS.items():
        if name.removesuffix(".gz").endswith(suffix):
            return f" but {format_name} by its name; give that file itself where an image is asked for"
    for suffix, format_name in _FORMATS_NOT_READ.items():
        if name.endswith(suffix):
            kind = "unpack it first" if "pack" in format_name or "archive" in format_name else _CONVERT
            return f" but {format_name} by its name, which is not read: {kind}"
    return ""


_CONVERT = "save it as NIfTI (.nii.gz), MetaImage (.mha) or NRRD with the program that wrote it"


def _looks_bare(start: bytes) -> bool:
    """Whether it begins like a data set without preamble: group 2 or 8, little endian, a low element number."""
    return start[0] in (2, 8) and start[1] == 0 and start[3] == 0


def _refuse_truncated(header: Header, left: int) -> None:
    """Native pixel data must all be there; compressed ones are checked when they are decoded."""
    rows, columns = header.value("Rows"), header.value("Columns")
    bits, frames = header.value("BitsAllocated"), header.value("NumberOfFrames")
    if rows is None or columns is None or bits is None:
        return
    syntax = header.syntax
    if syntax is not None and syntax.is_compressed:
        return
    rows, columns, bits = (header.required_integer(k) for k in ("Rows", "Columns", "BitsAllocated"))
    expected = rows * columns * bits // 8 * (header.integer("NumberOfFrames") or 1 if frames is not None else 1)
    expected *= header.integer("SamplesPerPixel") or 1
    if left < expected:
        raise header.error("PixelData", f"the file is truncated: {left} bytes left for {expected} bytes of pixels")


@functools.cache
def _tag(keyword: str) -> Any:
    """Tag of an attribute; None where pydicom knows no such keyword."""
    from pydicom.datadict import tag_for_keyword
    from pydicom.tag import Tag

    found = tag_for_keyword(keyword)
    return None if found is None else Tag(found)


@functools.cache
def _element_type() -> type[Any]:
    """Type of an element that was converted."""
    import pydicom

    found: type[Any] = pydicom.DataElement
    return found


def _harmless(text: str) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.strip("\0 \t\r\n"))


def _is_list(value: Any) -> bool:
    from pydicom.multival import MultiValue

    return isinstance(value, (list, tuple, MultiValue)) or type(value).__name__ == "Sequence"


def _is_item(value: Any) -> bool:
    from pydicom.dataset import Dataset

    return isinstance(value, Dataset)


def _date(text: str, header: Header, keyword: str) -> date:
    digits = text.replace(".", "").replace("-", "")
    try:
        if len(digits) != 8 or not digits.isdigit():
            raise ValueError(text)
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        raise TimeError(f"{header.path}: {keyword}: {text!r} is not a date (YYYYMMDD)") from None


def _time(text: str, header: Header, keyword: str) -> time:
    # ACR-NEMA wrote colons; a TM may leave out seconds and minutes (PS3.5, 6.2). Second 60 is a leap second.
    match = re.fullmatch(r"(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?", text.replace(":", ""), re.ASCII)
    try:
        if not match:
            raise ValueError(text)
        hour, minute, second, fraction = match.groups()
        return time(int(hour), int(minute or 0), min(int(second or 0), 59), int((fraction or "0").ljust(6, "0")))
    except ValueError:
        raise TimeError(f"{header.path}: {keyword}: {text!r} is not a time of day (HHMMSS)") from None


def _zone(text: str, header: Header, keyword: str) -> timezone:
    match = re.fullmatch(r"([+-])(\d{2})(\d{2})", text, re.ASCII)
    if not match or int(match[2]) > 14 or int(match[3]) > 59:
        raise TimeError(f"{header.path}: {keyword}: {text!r} is not an offset from UTC (+HHMM)")
    minutes = int(match[2]) * 60 + int(match[3])
    return timezone(timedelta(minutes=minutes if match[1] == "+" else -minutes))


def _one_line(error: object) -> str:
    text = " ".join(str(error).split())
    return (text[:200] + "...") if len(text) > 200 else text or type(error).__name__


def _short(value: object) -> str:
    return _one_line(repr(value) if isinstance(value, (str, bytes)) else value)[:80]


def shared_text(headers: Sequence[Header], keyword: str) -> str:
    """The text that all files of a series give for `keyword`; empty if none does.

    Raises
    ------
    DicomError
        If two files differ; both are named.
    """
    first = headers[0]
    wanted = first.text(keyword)
    for header in headers[1:]:
        if (other := header.text(keyword)) != wanted:
            raise header.error(keyword, f"{other!r} differs from {wanted!r} in {first.path} of the same series")
    return wanted
