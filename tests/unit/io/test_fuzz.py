"""Broken DICOM through scan and read: a HepaticaError or an image, never another exception, never a hang.

Three ways to break a file: tags removed or given wrong values, bytes flipped, the file cut or garbled. What comes back
as an image must be a whole one: finite values on a grid, with a unit and, for activity, an instant.
"""

from __future__ import annotations

import functools
import io
import os
import tempfile
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicom_makers import ct_series, nm_volume, pet_series, ramp, save, small_grid
from hepatica.core import Kind, Volume
from hepatica.core.document import document
from hepatica.core.image import Image
from hepatica.errors import HepaticaError
from hepatica.io.describe import describe
from hepatica.io.itk import write_itk
from hepatica.io.read import Stated, read_image

ROLE = {"ct": "ct", "pet": "activity", "nm": "activity", "j2k": "ct", "rle": "activity"}

FUZZ = settings(
    max_examples=int(os.environ.get("HEPATICA_FUZZ_EXAMPLES", "25")),
    deadline=timedelta(seconds=5),
    derandomize="HEPATICA_FUZZ_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)


@functools.cache
def originals(kind: str) -> tuple[tuple[str, bytes], ...]:
    grid = small_grid()
    values = ramp(grid)
    with tempfile.TemporaryDirectory() as folder:
        if kind == "ct":
            save(ct_series(grid, values)[:3], Path(folder))
        elif kind == "pet":
            save(pet_series(grid, values)[:3], Path(folder))
        elif kind == "nm":
            save(nm_volume(grid, values), Path(folder))
        elif kind == "rle":
            save(nm_volume(grid, values), Path(folder), syntax="1.2.840.10008.1.2.5")
        else:
            big = np.random.default_rng(1).integers(0, 1000, (40, 36, 6))
            wide = type(grid)((40, 36, 6), grid.affine, grid.frame_of_reference)
            save(ct_series(wide, big)[:3], Path(folder), syntax="1.2.840.10008.1.2.4.90")
        return tuple((path.name, path.read_bytes()) for path in sorted(Path(folder).iterdir()))


def check(kind: str, files: list[tuple[str, bytes]]) -> Image | None:
    """Read the files; the image if there is one. Anything but a HepaticaError propagates."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, content in files:
            (Path(folder) / name).write_bytes(content)
        described = describe(folder)
        assert described is not None
        try:
            image = read_image(folder, role=ROLE[kind], stated=Stated(nuclide=None))
        except HepaticaError:
            return None
    assert np.isfinite(image.volume.values).all()
    assert image.volume.values.shape == image.grid.shape
    if image.volume.kind is Kind.ACTIVITY_CONCENTRATION and kind == "pet":
        assert image.volume.time is not None
    document(image)
    return image


def test_the_originals_are_read() -> None:
    for kind in ROLE:
        assert check(kind, list(originals(kind))) is not None


def tags_of(dataset: Dataset, inside: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    paths = []
    for element in dataset:
        paths.append((*inside, element.tag))
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                paths += tags_of(item, (*inside, element.tag, number))
    return paths


WRONG = st.one_of(
    st.none(),
    st.sampled_from(
        ["", "0", "-1", "1e999", "nan", "inf", "NaN\\1", "abc", "1\\2", "9" * 30, "20260230", "250000", "\\"]
    ),
    st.sampled_from([b"", b"\xff\xfe\xfd", b"\0" * 40, b"1.5 ", b"1\\2\\3\\4\\5\\6", b"-0", b"65535", b"99999999999"]),
    st.integers(-(2**31), 2**31 - 1),
    st.floats(allow_nan=True, allow_infinity=True, width=32),
    st.binary(max_size=24),
    st.text(max_size=12),
)
REPRESENTATIONS = st.sampled_from(
    [
        None,
        "DS",
        "IS",
        "US",
        "SS",
        "UL",
        "FD",
        "FL",
        "LO",
        "UI",
        "DA",
        "TM",
        "DT",
        "PN",
        "OB",
        "OW",
        "UN",
        "AT",
        "CS",
        "SQ",
    ]
)


def broken(content: bytes, path_number: int, value: Any, vr: str | None) -> bytes | None:
    """The file with one element replaced or removed; None if pydicom itself cannot write that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = dcmread(io.BytesIO(content))
        paths = tags_of(file)
        *inside, tag = paths[path_number % len(paths)]
        holder: Any = file
        for step in inside:
            holder = holder[step] if isinstance(step, int) and not isinstance(step, type(tag)) else holder[step].value
        old = holder[tag]
        try:
            if value is None and vr is None:
                del holder[tag]
            else:
                from pydicom.dataelem import DataElement
                from pydicom.sequence import Sequence

                new_vr = vr or old.VR
                del holder[tag]
                holder[Tag(tag)] = DataElement(tag, new_vr, Sequence() if new_vr == "SQ" else value)
            out = io.BytesIO()
            file.save_as(out)
        except Exception:  # noqa: BLE001 - whatever cannot be written cannot be met
            return None
        return out.getvalue()


@pytest.mark.parametrize("kind", ["ct", "pet", "nm"])
@FUZZ
@given(data=st.data())
def test_one_element_wrong(kind: str, data: st.DataObject) -> None:
    files = list(originals(kind))
    which = data.draw(st.integers(0, len(files) - 1))
    content = broken(files[which][1], data.draw(st.integers(0, 200)), data.draw(WRONG), data.draw(REPRESENTATIONS))
    if content is not None:
        files[which] = (files[which][0], content)
        check(kind, files)


@pytest.mark.parametrize("kind", ["ct", "pet", "nm"])
def test_each_element_removed(kind: str) -> None:
    """Systematic, not by chance: every element of the first file left out once, nested ones too."""
    files = list(originals(kind))
    count = 0
    for number in range(len(tags_of(dcmread(io.BytesIO(files[0][1]))))):
        content = broken(files[0][1], number, None, None)
        if content is not None:
            check(kind, [(files[0][0], content), *files[1:]])
            count += 1
    assert count > 30


@pytest.mark.parametrize("kind", list(ROLE))
@FUZZ
@given(data=st.data())
def test_bytes_wrong(kind: str, data: st.DataObject) -> None:
    files = list(originals(kind))
    which = data.draw(st.integers(0, len(files) - 1))
    content = bytearray(files[which][1])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
    files[which] = (files[which][0], bytes(content))
    check(kind, files)


@pytest.mark.parametrize("kind", list(ROLE))
@FUZZ
@given(data=st.data())
def test_cut_or_garbled(kind: str, data: st.DataObject) -> None:
    files = list(originals(kind))
    which = data.draw(st.integers(0, len(files) - 1))
    content = files[which][1]
    at = data.draw(st.integers(0, len(content)))
    tail = data.draw(st.one_of(st.just(b""), st.binary(max_size=64)))
    files[which] = (files[which][0], content[:at] + tail)
    check(kind, files)


@FUZZ
@given(st.binary(max_size=400))
def test_noise(content: bytes) -> None:
    check("ct", [("noise", content), ("noise.dcm", b"\0" * 128 + b"DICM" + content)])


@functools.cache
def volume_file(name: str) -> bytes:
    grid = small_grid(None)
    with tempfile.TemporaryDirectory() as folder:
        volume = Volume(grid, ramp(grid).astype(np.float32), Kind.COUNTS)
        return write_itk(volume, Path(folder) / name).read_bytes()


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha"])
@FUZZ
@given(data=st.data())
def test_volume_files(name: str, data: st.DataObject) -> None:
    """NIfTI and MetaImage: mostly the header is hit, where the sizes and the place are."""
    content = bytearray(volume_file(name))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(400, len(content)) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        (Path(folder) / name).write_bytes(content)
        assert describe(Path(folder) / name).series
        try:
            image = read_image(Path(folder) / name, stated=Stated(unit="counts"))
        except HepaticaError:
            return
    assert np.isfinite(image.volume.values).all()


def test_claimed_size_is_checked_before_memory_is_taken() -> None:
    files = []
    for name, content in originals("nm"):
        file = dcmread(io.BytesIO(content))
        file.Rows, file.Columns, file.NumberOfFrames = 65535, 65535, "2147483647"
        out = io.BytesIO()
        file.save_as(out)
        files.append((name, out.getvalue()))
    assert check("nm", files) is None
