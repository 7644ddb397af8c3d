"""A patient whose every identifying attribute holds a mark of its own, and a search for the marks in files of any kind.

The marks stand for names, numbers, institutions, devices, comments, UIDs, dates, and names of files and folders.
"""

from __future__ import annotations

import base64
import gzip
import io
import re
import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from hepatica.io.dicom.identity.attributes import CODES, DAYS, DESCRIPTIONS, PEOPLE

UID_MARK = "1.3.6.1.4.1.99999.77"
SHIFT = timedelta(days=4763)
"""From the virtual patient's dates to those of the marked one, so that no other date of the files is like them."""

LAST_YEAR = 2035
"""Later dates are shifted already."""

BORN = "19430711"
FOLDER, STEM = "Zwetschgenkuchen_Ottokar", "OTTOKAR"
NAME, PATIENT_ID = "Zwetschgenkuchen^Ottokar", "MRN7731942"
STRUCTURE_WORD = "Zwetschgenkuchen"

MARKS = {
    "Zwetschgenkuchen", "Ottokar", PATIENT_ID, BORN, UID_MARK, "Privmark", "Qmark",
}  # fmt: skip


def mark(dataset: Dataset, *, root: bool = True) -> None:
    """Put the marks into a data set: attributes, UIDs (one for one), dates (shifted by `SHIFT`), private attributes."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                mark(item, root=False)
        elif element.VR == "UI":
            element.value = marked_uid(str(element.value))
        elif element.VR in ("DA", "DT") and element.value:
            element.value = _later(str(element.value))
    if not root:
        return
    for n, keyword in enumerate(PEOPLE + CODES + DESCRIPTIONS):
        setattr(dataset, keyword, f"Qmark{n:02d}x^Q" if keyword in PEOPLE else f"Qmark{n:02d}x")
    for keyword in DAYS:
        if keyword not in dataset:
            setattr(dataset, keyword, dataset.StudyDate)
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = NAME, PATIENT_ID, BORN
    dataset.PatientWeight, dataset.PatientSex, dataset.TimezoneOffsetFromUTC = "71", "M", "+0100"
    block = dataset.private_block(0x0009, "Privmark maker", create=True)
    block.add_new(0x01, "LO", "Privmark")


def marked_uid(uid: str) -> str:
    return uid if uid.startswith(("1.2.840.10008.", UID_MARK)) else f"{UID_MARK}.{zlib.crc32(uid.encode())}"


def _later(text: str) -> str:
    if int(text[:4]) > LAST_YEAR:
        return text
    day = date.fromisoformat(text[:8]) + SHIFT
    return day.strftime("%Y%m%d") + text[8:]


def mark_file(source: Path, target: Path) -> None:
    """A marked copy of a DICOM file."""
    dataset = pydicom.dcmread(source)
    mark(dataset)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    target.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(target)


def forms_of(day: date) -> set[str]:
    """How a date may be written."""
    forms = ("%Y%m%d", "%Y-%m-%d", "%d.%m.%Y", "%Y:%m:%d", "%d %b %Y", "%d %B %Y", "%d/%m/%Y")
    return {day.strftime(form) for form in forms}


def found_in(folder: Path, marks: set[str]) -> dict[str, set[str]]:
    """Marks that are in the files of a folder or in their names: mark -> where."""
    # In any case, as one byte a letter or as two.
    coded = {
        mark: (one := mark.lower().encode(), b"\0".join(one[n : n + 1] for n in range(len(one)))) for mark in marks
    }
    found: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        everything = b"\n".join([name.encode(), *(_texts_of(path) if path.is_file() else ())]).lower()
        for mark, patterns in coded.items():
            if any(pattern in everything for pattern in patterns):
                found.setdefault(mark, set()).add(name)
    return found


def _texts_of(path: Path) -> Iterator[bytes]:
    yield from _layers(path.read_bytes())
    if path.suffix == ".dcm":
        yield "\n".join(_values(pydicom.dcmread(path))).encode()
    if path.suffix == ".pdf" and shutil.which("pdftotext"):
        done = subprocess.run(["pdftotext", str(path), "-"], capture_output=True, text=True, check=True, timeout=60)
        yield done.stdout.encode()


def _values(dataset: Any) -> Iterator[str]:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _values(item)
        elif not isinstance(element.value, bytes):
            yield str(element.value)


def _layers(content: bytes) -> Iterator[bytes]:
    """A file's bytes, and all that is packed in them; of pictures in a page what they hold, not how that is written."""
    yield re.sub(rb"base64,[A-Za-z0-9+/=]+", b"base64,", content)
    if content.startswith(b"\x1f\x8b"):
        yield from _layers(gzip.decompress(content))
    elif content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            for member in file.infolist():
                yield f"{member.filename} {member.date_time} {member.comment!r}".encode()
                yield from _layers(file.read(member))
    elif content.startswith(b"%PDF"):
        for stream in re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL):
            yield _unpacked(stream)
    elif content.startswith(b"\x89PNG"):
        at = 8
        while at < len(content):
            size, kind = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
            data = content[at + 8 : at + 8 + size]
            if kind in (b"zTXt", b"iTXt"):
                yield from (_unpacked(data[n:]) for n in range(len(data)) if data[n : n + 1] == b"x")
            at += 12 + size
    else:
        for packed in re.findall(rb"base64,([A-Za-z0-9+/=]+)", content):
            yield from _layers(base64.b64decode(packed))


def _unpacked(stream: bytes) -> bytes:
    if stream.rstrip().endswith(b"~>"):
        stream = (
            base64.a85decode(stream.strip(), adobe=False)
            if stream.startswith(b"<~")
            else base64.a85decode(stream.strip()[:-2])
        )
    try:
        return zlib.decompressobj().decompress(stream)
    except zlib.error:
        return stream
