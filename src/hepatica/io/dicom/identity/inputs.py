"""Input files for the provenance, with whom their headers are about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hepatica.core import InputFile
from hepatica.errors import DicomError
from hepatica.io.dicom.identity.profile import identity_of
from hepatica.io.dicom.tags import open_dicom

MAX_HEADERS = 20
"""Files of a folder that are opened for the identity: structures come in one file, seldom in several."""


def input_file(role: str, path: Path, files: list[Path] | None = None) -> InputFile:
    """As `InputFile.of`; of DICOM files also whom they are about."""
    found = InputFile.of(role, path, files)
    here = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    for file in here[:MAX_HEADERS]:
        try:
            return replace(found, identity=identity_of(open_dicom(file, check_length=False)))
        except DicomError:
            # No DICOM file: nobody is named in a header.
            continue
    return found
