"""Deflated DICOM files unpack no further than their own header accounts for."""

from __future__ import annotations

import io
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID

from dicom_makers import ct_series, ramp, save, small_grid
from hepatica.errors import DicomError
from hepatica.io.dicom import deflated
from hepatica.io.dicom.pixels import stored_values
from hepatica.io.dicom.tags import DEFLATED, open_dicom
from hepatica.io.read import read_image

GRID = small_grid()


@pytest.fixture
def slice_file(tmp_path: Path) -> Path:
    path = save(ct_series(GRID, ramp(GRID)), tmp_path)[0]
    file = pydicom.dcmread(path)
    file.file_meta.TransferSyntaxUID = UID(DEFLATED)
    file.save_as(path)
    return path


def repacked(path: Path, behind: bytes, *, times: int = 1) -> Path:
    """The file with more bytes at the end of its unpacked data set."""
    raw = path.read_bytes()
    stream = io.BytesIO(raw)
    deflated.read_meta(stream, 132)
    start = stream.tell()
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = zlib.decompress(raw[start:], -15)
    packed = packer.compress(content) + b"".join(packer.compress(behind) for _ in range(times)) + packer.flush()
    path.write_bytes(raw[:start] + packed)
    return path


def test_the_same_pixels_as_pydicom(slice_file: Path) -> None:
    header = open_dicom(slice_file)
    assert header.has_pixels
    assert "PixelData" not in header
    assert np.array_equal(stored_values(header)[0], pydicom.dcmread(slice_file).pixel_array)
    # Attributes behind the pixels, and an odd file that was padded.
    repacked(slice_file, b"\xfc\xff\xfc\xffOB\0\0\x04\0\0\0pad.")
    assert stored_values(open_dicom(slice_file)).size == pydicom.dcmread(slice_file).pixel_array.size


@pytest.mark.parametrize(
    "element", [b"\xe0\x7f\x11\x00OB\0\0\xff\xff\xff\x7f", b"\xfc\xff\xfc\xffOB\0\0\xff\xff\xff\x7f", b""]
)
def test_a_bomb_behind_the_pixels(slice_file: Path, element: bytes) -> None:
    """128 MB of zeros in 0.13 MB, behind the pixels that the header tells of, are not unpacked.

    Attributes may take 32 MB and 20 times the file, what is behind the pixels 1 MB: half the bomb is more than both.
    """
    repacked(repacked(slice_file, element), bytes(1 << 22), times=32)
    tracemalloc.start()
    try:
        header = open_dicom(slice_file)
        with pytest.raises(DicomError, match=rf"{slice_file.name}.*(unpacks to more than|out of order)"):
            stored_values(header)
        with pytest.raises(DicomError, match=r"unpacks to more than|out of order"):
            read_image(slice_file, role="ct")
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_bomb_in_the_header(slice_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflated, "HEADER_BYTES", 1 << 20)
    raw = slice_file.read_bytes()
    stream = io.BytesIO(raw)
    deflated.read_meta(stream, 132)
    head = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100"
    text = b"\x08\x00\x70\x00UT\0\0" + (64 << 20).to_bytes(4, "little") + bytes(64 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    slice_file.write_bytes(raw[: stream.tell()] + packer.compress(head + text) + packer.flush())
    with pytest.raises(DicomError, match="unpacks to more than"):
        open_dicom(slice_file)


def test_a_stream_cut_short(slice_file: Path) -> None:
    whole = slice_file.read_bytes()
    for share in (0.5, 0.8, 0.99):
        slice_file.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DicomError, match=r"cut short|cannot be read"):
            stored_values(open_dicom(slice_file))
