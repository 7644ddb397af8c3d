"""Files of a case that are no DICOM, without identity; those that cannot be cleaned for certain are refused."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.core.privacy.values import anonymised
from hepatica.core.privacy.words import is_harmless
from hepatica.core.text.files import json_file
from hepatica.core.text.visible import csv_text, from_spreadsheet
from hepatica.errors import InputError

NIFTI_HEADER, NIFTI_DATA = 348, 352
NIFTI_TEXTS = ((4, 14), (14, 32), (148, 228), (228, 252), (328, 344))
"""Bytes of data_type, db_name, descrip, aux_file and intent_name in the header of NIfTI-1 (nifti1.h)."""

WITHHELD = "(removed)"

PERSON_COLUMNS = ("patient", "patient_id", "id", "patient_name", "name")
NAME_COLUMNS = ("lesion", "territory", "structure")

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def cleaned_file(path: Path, anonymiser: Anonymiser) -> bytes:
    """The bytes of a table, a NIfTI image or a calibration file without identity.

    Raises
    ------
    InputError
        If it is of another kind, or holds what cannot be cleaned for certain.
    """
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return _nifti(path)
    if name.endswith(".csv"):
        return _table(path, anonymiser).encode()
    if name.endswith(".json"):
        content: dict[str, Any] = anonymised(json_file(path), anonymiser)
        return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
    raise InputError(f"{path}: of this kind of file identity cannot be taken out for certain")


def _nifti(path: Path) -> bytes:
    raw = path.read_bytes()
    is_packed = raw.startswith(b"\x1f\x8b")
    content = bytearray(gzip.decompress(raw) if is_packed else raw)
    if len(content) < NIFTI_DATA or content[344:348] != b"n+1\0":
        raise InputError(f"{path}: is no NIfTI-1 file of one part; identity cannot be taken out for certain")
    if content[NIFTI_HEADER]:
        raise InputError(f"{path}: has an extension of its header, which may hold anything")
    for start, end in NIFTI_TEXTS:
        content[start:end] = b"\0" * (end - start)
    # No name and no time of the old file.
    return gzip.compress(bytes(content), compresslevel=1, mtime=0) if is_packed else bytes(content)


def _table(path: Path, anonymiser: Anonymiser) -> str:
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: is no table ({error})") from error
    head = [from_spreadsheet(text) for text in rows[0]] if rows else []
    if not all(re.fullmatch(r"[A-Za-z0-9_ %/().-]+", text) and anonymiser.text(text) == text for text in head):
        raise InputError(f"{path}: its headings are no plain words; identity cannot be taken out for certain")
    kinds = [text.strip().lower() for text in head]
    cells = [
        [_cell(from_spreadsheet(text), kind, anonymiser) for text, kind in zip(row, kinds, strict=False)]
        for row in rows[1:]
    ]
    return csv_text([head, *cells])


def _cell(text: str, kind: str, anonymiser: Anonymiser) -> str:
    """Numbers and words of the field stay, dates are shifted, patients have their pseudonym, the rest is withheld."""
    if not text.strip():
        return text
    if kind in PERSON_COLUMNS:
        return anonymiser.person(text)
    if _DATE.fullmatch(text) or kind in NAME_COLUMNS:
        return anonymiser.text(text)
    try:
        float(text)
    except ValueError:
        return text if is_harmless(text) or text.strip().lower() in CLINICAL else WITHHELD
    return text


_CLINICAL = """
none absent mild slight moderate severe controlled refractory grade yes no true false a b c 0 i ii iii iv v
cr pr sd pd ne target non-target new
"""

CLINICAL = frozenset(_CLINICAL.split())
"""Words in tables of laboratory values and lesions that the verbs read."""
