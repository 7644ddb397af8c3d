"""hepatica's own file of PET raw data: one NumPy archive with a header in JSON (docs/pet.md describes every key).

The header holds the scanner in full, so that a file needs no table beside it, and the hash of every array.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from hepatica.core import InputFile
from hepatica.core.privacy.identity import Identity
from hepatica.core.text.files import json_text
from hepatica.errors import HepaticaError, InputError, OutputError
from hepatica.imaging.pet.acquisition.raw import Bed, Efficiencies, PetRawData
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.frame import Frame
from hepatica.imaging.pet.scanner import Scanner, scanner_from_table, scanner_table
from hepatica.io.arrays import Wanted, read_arrays
from hepatica.io.files import atomic_output
from hepatica.nuclides.positron_emitters import pet_nuclide
from hepatica.version import __version__

FORMAT, VERSION = "hepatica PET list mode", 2
PATTERN = "crystal_efficiency"
"""Array of the crystals' efficiencies, of version 2; without it a file is of version 1, which older programs read."""
FILE_NAME = "coincidences.npz"
SUFFIX = ".npz"

MOST_BYTES = 40_000_000_000
"""Of one array: ten thousand million coincidences."""
MOST_HEADER_BYTES = 1_000_000

LISTS = {"first": "<i4", "second": "<i4", "tof_bin": "<i2", "singles_cps": "<f8"}
HEADER_KEYS = (
    "scanner", "nuclide", "start", "axis_mm", "frame_of_reference", "patient_id", "simulated", "beds"
)  # fmt: skip
BED_KEYS = ("bed_mm", "start_s", "duration_s", "live_fraction", "prompts", "sha256")
OPTIONAL_LISTS = {"kind": "|u1", "gate": "|u1"}


def write_raw(path: Path | str, raw: PetRawData) -> None:
    """Write raw data; the same data give the same bytes.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    arrays = {f"bed{n}_{name}": values for n, bed in enumerate(raw.beds) for name, values in _lists(bed)}
    if raw.crystal_efficiency is not None:
        arrays[PATTERN] = raw.crystal_efficiency.astype("<f4")
    text = json.dumps(_header(raw, arrays), indent=1, ensure_ascii=False, allow_nan=False)
    arrays = {"header": np.frombuffer(text.encode(), np.uint8), **arrays}
    try:
        with atomic_output(path) as new, ZipFile(new, "w", ZIP_DEFLATED, compresslevel=1) as file:
            for name, values in arrays.items():
                # with a fixed time: ZipInfo begins with 1980
                member = ZipInfo(f"{name}.npy")
                member.compress_type = ZIP_DEFLATED
                with file.open(member, "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, values, allow_pickle=False)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error


def read_raw(path: Path | str) -> PetRawData:
    """Raw data from a file that hepatica wrote.

    Raises
    ------
    InputError
        If it is no such file, of a newer version, cut short, damaged, or contradicts itself.
    """
    path = Path(path)
    header = _read_header(path)
    _require_keys(path, header)
    try:
        count = len(header["beds"])
        wanted = {
            f"bed{n}_{name}": Wanted(np.dtype(kind).kind, 1, optional, MOST_BYTES, may_be_empty=True)
            for n in range(count)
            for optional, lists in ((False, LISTS), (True, OPTIONAL_LISTS))
            for name, kind in lists.items()
        }
        wanted[PATTERN] = Wanted("f", 1, True, MOST_BYTES)
        arrays = read_arrays(path, wanted)
        scanner = scanner_from_table(header["scanner"], f"{path}: scanner")
        beds = tuple(_bed(path, scanner, n, header["beds"][n], arrays) for n in range(count))
        x, y = (float(value) for value in header["axis_mm"])
        frame = header["frame_of_reference"]
        person = str(header["patient_id"])
        return PetRawData(
            scanner=scanner,
            beds=beds,
            nuclide=pet_nuclide(str(header["nuclide"])).name,
            start=datetime.fromisoformat(header["start"]),
            axis_mm=(x, y),
            frame_of_reference=None if frame is None else str(frame),
            patient_id=person,
            simulated=bool(header["simulated"]),
            crystal_efficiency=_pattern(path, header, arrays),
            source=raw_source(path, person),
        )
    except HepaticaError as error:
        raise error if str(path) in str(error) else InputError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: header: {type(error).__name__} {error}: it was not written by hepatica") from error


def _require_keys(path: Path, header: Mapping[str, Any]) -> None:
    """InputError that names every key of header and beds that is missing or of another kind."""
    wrong = [f"{key} (missing)" for key in HEADER_KEYS if key not in header]
    if "start" in header and not isinstance(header["start"], str):
        wrong.append("start (an instant as text is needed, such as 2026-03-02T10:00:00)")
    beds = header.get("beds")
    if isinstance(beds, list) and beds and all(isinstance(bed, dict) for bed in beds):
        wrong += [f"beds[{n}].{key} (missing)" for n, bed in enumerate(beds) for key in BED_KEYS if key not in bed]
    elif beds is not None:
        wrong.append("beds (a list with an object for each bed is needed)")
    if wrong:
        raise InputError(f"{path}: header: {', '.join(wrong)}", remedy="write the keys that docs/pet.md lists")


def is_own(path: Path) -> bool:
    """Whether a NumPy archive has the header of raw data."""
    try:
        with ZipFile(path) as archive:
            return "header.npy" in archive.namelist()
    except (OSError, BadZipFile):
        return False


def header_facts(path: Path) -> dict[str, Any]:
    """Scanner, nuclide, start, frame of reference and patient of a file, its lists left unread.

    Raises
    ------
    InputError
        As `read_raw`, of the header.
    """
    header = _read_header(path)
    try:
        return {
            "scanner": str(header["scanner"]["name"]),
            "nuclide": str(header["nuclide"]),
            "start": datetime.fromisoformat(header["start"]),
            "frame_of_reference": str(header["frame_of_reference"] or ""),
            "patient_id": str(header["patient_id"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: header: {type(error).__name__} {error}: it was not written by hepatica") from error


def raw_source(path: Path, patient_id: str) -> InputFile:
    """File and hash of raw data, and whose they are."""
    found = InputFile.of("raw", path)
    return replace(found, identity=Identity(patient_id=patient_id)) if patient_id else found


def _lists(bed: Bed) -> Iterator[tuple[str, NDArray[Any]]]:
    prompts = bed.frame.prompts
    yield "first", prompts.first.astype("<i4")
    yield "second", prompts.second.astype("<i4")
    yield "tof_bin", prompts.tof_bin.astype("<i2")
    yield "singles_cps", bed.frame.singles_cps.astype("<f8")
    for name, values in (("kind", bed.frame.kinds), ("gate", bed.gate)):
        if values is not None:
            yield name, values.astype("|u1")


def _header(raw: PetRawData, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION if PATTERN in arrays else 1,
        "software": f"hepatica {__version__}",
        "scanner": scanner_table(raw.scanner),
        "nuclide": raw.nuclide,
        "start": raw.start.isoformat(),
        "axis_mm": list(raw.axis_mm),
        "frame_of_reference": raw.frame_of_reference,
        "patient_id": raw.patient_id,
        "simulated": raw.simulated,
        **({f"{PATTERN}_sha256": _hash(arrays[PATTERN])} if PATTERN in arrays else {}),
        "beds": [
            {
                "bed_mm": bed.bed_mm,
                "start_s": bed.start_s,
                "duration_s": bed.duration_s,
                "live_fraction": bed.live_fraction,
                "prompts": len(bed.frame.prompts),
                "sha256": {
                    name.partition("_")[2]: _hash(values)
                    for name, values in arrays.items()
                    if name.startswith(f"bed{n}_")
                },
            }
            for n, bed in enumerate(raw.beds)
        ],
    }


def _hash(values: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def _read_header(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such file", remedy=f"give {FILE_NAME} of a simulation, or a PETSIRD file")
    found = read_arrays(path, {"header": Wanted("u", 1, most_bytes=MOST_HEADER_BYTES)})["header"]
    if found.dtype != np.uint8:
        raise InputError(f"{path}: header: is no text")
    try:
        header = json_text(found.tobytes().decode(), path)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: header: is no text ({error.reason})") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise InputError(f"{path}: is no {FORMAT}")
    version = header.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError(f"{path}: version {version!r} is none")
    if version > VERSION:
        raise InputError(
            f"{path}: is of version {version} of the format; this hepatica reads up to {VERSION}",
            remedy="read it with the hepatica that wrote it, or a newer one",
        )
    return header


def _pattern(path: Path, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Efficiencies | None:
    """Efficiencies of the crystals; InputError where array and hash are not those of each other."""
    found, said = arrays.get(PATTERN), header.get(f"{PATTERN}_sha256")
    if found is None and said is None:
        return None
    if found is None or found.dtype != np.dtype("<f4") or _hash(found) != said:
        raise InputError(f"{path}: {PATTERN}: is not what its hash says; the file was changed or damaged")
    return found.copy()


def _bed(path: Path, scanner: Scanner, n: int, said: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Bed:
    own = {name.partition("_")[2]: values for name, values in arrays.items() if name.startswith(f"bed{n}_")}
    hashes = said["sha256"]
    if set(hashes) != set(own):
        raise InputError(f"{path}: bed {n + 1}: holds {', '.join(sorted(own))}, its header {', '.join(sorted(hashes))}")
    for name, values in own.items():
        if values.dtype != np.dtype((LISTS | OPTIONAL_LISTS)[name]) or _hash(values) != hashes[name]:
            raise InputError(f"{path}: bed {n + 1}: {name}: is not what its hash says; the file was changed or damaged")
    if len(own["first"]) != said["prompts"]:
        raise InputError(f"{path}: bed {n + 1}: {len(own['first'])} coincidences, not {said['prompts']}")
    prompts = Coincidences(
        scanner, own["first"].copy(), own["second"].copy(), own["tof_bin"].copy(), float(said["duration_s"]),
        float(said["bed_mm"]),
    )  # fmt: skip
    frame = Frame(prompts, own["singles_cps"], own.get("kind"))
    return Bed(frame, float(said["start_s"]), float(said["live_fraction"]), own.get("gate"))
