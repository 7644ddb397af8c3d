"""The door for PET raw data: whatever the format, `PetRawData`, or an error that says why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.imaging.pet.acquisition.raw import PetRawData
from hepatica.imaging.pet.scanner import Scanner
from hepatica.io.pet_raw.own_format import FILE_NAME, SUFFIX, header_facts, is_own, read_raw
from hepatica.io.pet_raw.petsird_files import is_petsird, petsird_facts, read_petsird


@dataclass(frozen=True, slots=True)
class RawFacts:
    """What the header of raw data says.

    Attributes
    ----------
    scanner, nuclide, frame_of_reference, patient_id : str
        Empty where it does not say.
    start : datetime
        Of the first bed.
    """

    scanner: str
    nuclide: str
    start: datetime
    frame_of_reference: str
    patient_id: str


def pet_raw_facts(path: Path | str) -> RawFacts | None:
    """What raw data say of themselves, their lists left unread; None of a file that is none.

    Raises
    ------
    InputError
        If it is raw data, and damaged, newer than this version, or needs a package that is not installed.
    """
    path = Path(path)
    if path.suffix.lower() == SUFFIX:
        return RawFacts(**header_facts(path)) if is_own(path) else None
    return RawFacts(**petsird_facts(path)) if is_petsird(path) else None


def read_pet_raw(path: Path | str, *, scanner: Scanner | None = None) -> tuple[PetRawData, tuple[Message, ...]]:
    """Raw data of a PET, and what the reader of them must know.

    Parameters
    ----------
    path : Path
        ``coincidences.npz``, the folder of a simulation that holds it, or a PETSIRD file.
    scanner : Scanner or None
        What the file does not say of its scanner.

    Raises
    ------
    InputError
        If there is no such file, it is of no known format, newer than this version, damaged or cut short.
    """
    path = Path(path)
    if path.is_dir():
        path = path / FILE_NAME
        if not path.is_file():
            raise InputError(f"{path.parent}: holds no {FILE_NAME}", remedy="give the file of raw data itself")
    if not path.is_file():
        raise InputError(f"{path}: no such file of PET raw data")
    if path.suffix.lower() == SUFFIX:
        found = read_raw(path)
        if scanner is not None and scanner != found.scanner:
            raise InputError(
                f"{path}: holds its own scanner, {found.scanner.name}, which is not the one stated, {scanner.name}",
                remedy="leave `scanner` out: it is for PETSIRD files",
            )
        return found, ()
    if is_petsird(path):
        return read_petsird(path, scanner)
    raise InputError(f"{path}: is no PET raw data that hepatica reads: {FILE_NAME} of hepatica, or PETSIRD")
