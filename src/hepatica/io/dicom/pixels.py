"""Stored pixel values of a DICOM file, checked against the file's length before anything is allocated."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import DicomError
from hepatica.io.dicom.codecs.pool import WORKER
from hepatica.io.dicom.tags import DEFLATED_FRAMES, Header, open_dicom, pydicom_door
from hepatica.io.input_files import require_memory

MAX_COMPRESSION = 5000
"""Pixel data said to be more than this times larger than their compressed form are refused. A constant 512 x 512
slice in JPEG 2000 reaches about 2000 (measured); beyond that a few bytes would claim the machine's memory."""

SMALL_BYTES = 64 * 1024**2
"""Compressed pixel data that claim less than this are decoded whatever the ratio."""


GREY = ("MONOCHROME1", "MONOCHROME2")

RLE = "1.2.840.10008.1.2.5"


def stored_values(header: Header, *, photometric: tuple[str, ...] = GREY) -> NDArray[Any]:
    """Stored values of all frames, before rescaling.

    Parameters
    ----------
    header : Header
        Of a file with a path; the file is read again, with its pixels.
    photometric : tuple of str
        What PhotometricInterpretation may say; by default a grey-scale image.

    Returns
    -------
    ndarray of integers, shape (frames, rows, columns)

    Raises
    ------
    DicomError
        If there are no pixel data, they are shorter or longer than rows, columns, frames and bits say, the image is
        not of one sample per pixel, or the transfer syntax cannot be decoded (it is named).
    """
    if header.path is None:
        raise DicomError("pixel data need a file")
    full = open_dicom(header.path, pixels=True)
    shape = _shape(full, photometric)
    bits, stored = full.required_integer("BitsAllocated"), full.required_integer("BitsStored")
    stated_high = full.integer("HighBit")
    high = stored - 1 if stated_high is None else stated_high
    signed = full.required_integer("PixelRepresentation")
    if bits not in (8, 16, 32) or not 1 <= stored <= bits or not stored - 1 <= high < bits or signed not in (0, 1):
        raise full.error("BitsAllocated", f"{bits} bits, {stored} stored, high bit {high}, sign {signed}: not an image")
    syntax = full.syntax
    with pydicom_door(header.path, "PixelData", full.problems):
        data = full.dataset.get("PixelData")
    if not isinstance(data, (bytes, bytearray)) or not data:
        raise full.error("PixelData", "is missing or empty")
    expected = math.prod(shape) * bits // 8
    if syntax == DEFLATED_FRAMES:
        require_memory(header.path, math.prod(shape), bits // 8)
        _require_plausible(full, expected, len(data))
        inflated = frame_bytes(full, shape[0], expected // shape[0], most=expected // shape[0] + 1)
        kind = f"<{'i' if signed else 'u'}{bits // 8}"
        values = np.frombuffer(b"".join(frame[: expected // shape[0]] for frame in inflated), dtype=kind)
        return _without_unused_bits(values.reshape(shape), bits=bits, stored=stored, high=high)
    if syntax is not None and syntax.is_encapsulated:
        return decoded(full, shape)
    # An odd number of bytes is padded with one; some writers leave a few more zeros, less than another row.
    spare = bytes(data[expected:])
    if len(data) < expected or (len(spare) > expected % 2 and (len(spare) >= shape[2] * bits // 8 or any(spare))):
        raise full.error(
            "PixelData",
            f"holds {len(data)} bytes, but {shape[0]} frames of {shape[1]} x {shape[2]} pixels of {bits} bits need "
            f"{expected}; the file is {'truncated' if len(data) < expected else 'contradictory'}",
        )
    kind = f"{'<' if syntax is None or syntax.is_little_endian else '>'}{'i' if signed else 'u'}{bits // 8}"
    raw = np.frombuffer(data, dtype=kind, count=expected // (bits // 8)).reshape(shape)
    return _without_unused_bits(raw, bits=bits, stored=stored, high=high)


def frame_bytes(full: Header, frames: int, needed: int, *, most: int | None = None) -> list[bytes]:
    """Bytes of each frame of a file whose frames are compressed each for itself as RLE (one segment) or deflated.

    Parameters
    ----------
    full : Header
        Of a file read with its pixels.
    frames : int
        How many there must be.
    needed : int
        Bytes that a frame must have at least.
    most : int or None
        Bytes that are unpacked of a frame; by default enough for a byte for each bit.

    Raises
    ------
    DicomError
        If there are fewer frames, or one is damaged.
    """
    from pydicom.encaps import generate_frames

    inflate = _unrun if full.syntax == RLE else _inflated
    with pydicom_door(full.path, f"PixelData: frame cannot be decoded ({full.syntax.name})", full.problems):
        encoded = generate_frames(full.dataset.get("PixelData"), number_of_frames=frames)
        out = [inflate(frame, 8 * needed + 2 if most is None else most) for frame in encoded]
    short = [number for number, frame in enumerate(out, start=1) if len(frame) < needed]
    if short or len(out) != frames:
        which = f"frame {short[0]} holds {len(out[short[0] - 1])} of {needed} bytes" if short else f"{len(out)} frames"
        raise full.error("PixelData", f"{which}; {frames} frames of {needed} bytes each are needed")
    return out


def _inflated(frame: bytes, most: int) -> bytes:
    """A deflated frame (RFC 1951, without a header), no longer than `most`."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, most)


def _unrun(frame: bytes, most: int) -> bytes:
    """The one segment of a run-length encoded frame (PS3.5, annex G), no longer than `most`."""
    segments, at = struct.unpack_from("<2L", frame)
    if segments != 1 or at != 64:
        raise ValueError(f"{segments} segments from byte {at}; one from byte 64 is expected")
    out = bytearray()
    while at < len(frame) - 1 and len(out) < most:
        count = frame[at]
        if count < 128:
            out += frame[at + 1 : at + 2 + count]
            at += 2 + count
        elif count > 128:
            out += frame[at + 1 : at + 2] * (257 - count)
            at += 2
        else:
            at += 1
    return bytes(out)


def _shape(full: Header, photometric_allowed: tuple[str, ...]) -> tuple[int, int, int]:
    frames = full.integer("NumberOfFrames")
    shape = (1 if frames is None else frames, full.required_integer("Rows"), full.required_integer("Columns"))
    if min(shape) < 1:
        raise full.error("Rows", f"{shape[0]} frames of {shape[1]} x {shape[2]} pixels is no image")
    samples = full.integer("SamplesPerPixel") or 1
    photometric = full.text("PhotometricInterpretation")
    if samples != 1 or photometric not in photometric_allowed:
        raise full.error(
            "PhotometricInterpretation", f"{photometric!r} with {samples} samples is not a grey-scale image"
        )
    return shape


def decoded(full: Header, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Values of all frames of a file whose pixel data are compressed (encapsulated), decoded in another process.

    Parameters
    ----------
    full : Header
        Of a file read with its pixels; one sample per pixel.
    shape : tuple of int
        Frames, rows, columns.

    Raises
    ------
    DicomError
        If they claim too much or cannot be decoded: the codec refuses, dies or takes too long; the syntax is named.
    """
    syntax = full.syntax
    data = full.dataset.get("PixelData")
    if not isinstance(data, (bytes, bytearray)) or not data:
        raise full.error("PixelData", "is missing or empty")
    count = math.prod(shape)
    claimed = count * max(full.required_integer("BitsAllocated"), 8) // 8
    require_memory(file_of(full), count, claimed // count)
    _require_plausible(full, claimed, len(data))
    attributes = {keyword: full.required_integer(keyword) for keyword in _PIXEL_MODULE}
    high = full.integer("HighBit")
    attributes["HighBit"] = attributes["BitsStored"] - 1 if high is None else high
    texts = {"PhotometricInterpretation": full.required_text("PhotometricInterpretation")}
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if isinstance(table := full.value(keyword), bytes):
            texts[keyword] = table.decode("latin-1")
    try:
        with pydicom_door(full.path, "PixelData", full.problems):
            values, problems = WORKER.decode(
                str(syntax),
                {**attributes, **texts, "NumberOfFrames": shape[0], "SamplesPerPixel": 1},
                bytes(data),
                count=count,
                claimed=claimed,
            )
    except DicomError as error:
        raise full.error(
            "PixelData",
            f"compressed as {syntax.name} ({syntax}) cannot be decoded ({error.__cause__}); "
            "it may be damaged; otherwise decompress it first, for example with gdcmconv --raw",
        ) from error
    full.problems.update(dict.fromkeys(problems))
    return values.reshape(shape)


def _require_plausible(full: Header, claimed: int, found: int) -> None:
    """DicomError if so few compressed bytes cannot hold what is claimed."""
    if claimed > SMALL_BYTES and claimed > MAX_COMPRESSION * found:
        raise full.error("PixelData", f"holds {found} compressed bytes and claims {claimed} pixels' bytes")


_PIXEL_MODULE = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")


def _without_unused_bits(raw: NDArray[Any], *, bits: int, stored: int, high: int) -> NDArray[Any]:
    """Only the stored bits, sign extended: others may hold an overlay (DICOM before 2004)."""
    if stored == bits:
        return raw
    native = raw.astype(raw.dtype.newbyteorder("="))
    return (native << (bits - 1 - high)) >> (bits - stored)


def rescale(header: Header, *, required: bool) -> tuple[float, float]:
    """RescaleSlope and RescaleIntercept of a file (or of the item of a functional group).

    Parameters
    ----------
    header : Header
        Where they stand.
    required : bool
        Whether a missing slope or intercept is an error; else 1 and 0.

    Raises
    ------
    DicomError
        If they are required and missing, the slope is zero, or a ModalityLUTSequence stands in their place.
    """
    if header.items("ModalityLUTSequence"):
        raise header.error("ModalityLUTSequence", "values by a look-up table are not read; export with RescaleSlope")
    slope, intercept = header.number("RescaleSlope"), header.number("RescaleIntercept")
    if required and (slope is None or intercept is None):
        raise header.error("RescaleSlope" if slope is None else "RescaleIntercept", "is missing")
    slope = 1.0 if slope is None else slope
    if slope == 0:
        raise header.error("RescaleSlope", "is 0: all values would be lost")
    return slope, intercept or 0.0


def is_lossy(header: Header) -> bool:
    """Whether the file says that it was once compressed with loss."""
    return header.text("LossyImageCompression") == "01"


def file_of(header: Header) -> Path:
    """Path of the file; DicomError if it was made in memory."""
    if header.path is None:
        raise DicomError("this data set was not read from a file")
    return header.path
