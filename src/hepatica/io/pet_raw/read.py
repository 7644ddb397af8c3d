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
from hepatica.io.pet_raw.sinogram_files import (
    NOTHING_BESIDE,
    PROMPTS,
    Beside,
    is_sinogram,
    read_sinograms,
    sinogram_facts,
    sinogram_files,
)


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
    if is_sinogram(path):
        found = sinogram_facts(path)
        return None if found is None else RawFacts(**found)
    return RawFacts(**petsird_facts(path)) if is_petsird(path) else None


def raw_files(path: Path) -> tuple[Path, ...]:
    """All files of raw data that are named by one: of a sinogram its header and data, and those of its randoms."""
    return sinogram_files(path) if is_sinogram(path) else (path,)


def read_pet_raw(
    path: Path | str, *, scanner: Scanner | None = None, beside: Beside = NOTHING_BESIDE
) -> tuple[PetRawData, tuple[Message, ...]]:
    """Raw data of a PET, and what the reader of them must know.

    Parameters
    ----------
    path : Path
        ``coincidences.npz``, a PETSIRD file, an Interfile sinogram, or a folder that holds one of them.
    scanner : Scanner or None
        What the file does not say of its scanner.
    beside : Beside
        What a sinogram does not say of itself.

    Raises
    ------
    InputError
        If there is no such file, it is of no known format, newer than this version, damaged or cut short, or
        something is stated that only a sinogram lacks.
    """
    path = Path(path)
    if path.is_dir():
        path = _in_folder(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file of PET raw data")
    if is_sinogram(path):
        return read_sinograms(path, scanner, beside)
    if beside.stated:
        raise InputError(
            f"{path}: is a list, which says it itself; stated are {', '.join(f'`{name}`' for name in beside.stated)}",
            remedy="leave them out: they are for Interfile sinograms",
        )
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
    raise InputError(
        f"{path}: is no PET raw data that hepatica reads: {FILE_NAME} of hepatica, PETSIRD, Interfile sinograms (.hs)",
        remedy="convert a vendor's list mode first: docs/pet.md says by what",
    )


def _in_folder(folder: Path) -> Path:
    """The raw data of a folder: a list, prompts, or the only sinogram that it holds."""
    for name in (FILE_NAME, PROMPTS):
        if (folder / name).is_file():
            return folder / name
    headers = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".hs")
    if len(headers) == 1:
        return headers[0]
    raise InputError(
        f"{folder}: holds no {FILE_NAME}, no {PROMPTS} and not one sinogram alone",
        remedy="give the file of raw data itself",
    )
