"""What a folder holds: DICOM series as a PACS exports them, and files of other kinds."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hepatica.case.sorting.rules import guesses
from hepatica.case.sorting.seen import Guess, Seen
from hepatica.core.message import Message
from hepatica.errors import HepaticaError
from hepatica.io.dicom.images.radiopharmaceutical import radiopharmaceutical_of
from hepatica.io.dicom.scan import Scan, Skipped, scan
from hepatica.io.dicom.series import Series, SeriesKind
from hepatica.io.dicom.tags import Header

if TYPE_CHECKING:
    from hepatica.io.dicom.mr.acquisition import MultiEchoSeries

_REGISTRATIONS = ("1.2.840.10008.5.1.4.1.1.66.1", "1.2.840.10008.5.1.4.1.1.66.3")

_TABLES = {"labs": ("bilirubin", "albumin"), "measurements": ("lesion",), "injection-readings": ("kind,time_s,value",)}
"""Role of a table -> part of a column's name by which it is known."""

_IMAGES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".h33", ".hv", ".hdr")


FIRST_YEAR = 1970
"""A date before it was put there by an anonymiser."""


@dataclass(frozen=True, slots=True)
class Found:
    """Files that belong together, and what they are taken for.

    Attributes
    ----------
    files : tuple of Path
        As they are.
    seen : Seen or None
        Of a DICOM series.
    guess : Guess
        What it is taken for.
    series : str
        SeriesInstanceUID, with its part where one holds several; empty for other files.
    """

    files: tuple[Path, ...]
    seen: Seen | None
    guess: Guess
    series: str = ""


@dataclass(frozen=True, slots=True)
class Heap:
    """Everything below a path.

    Attributes
    ----------
    found : tuple of Found
        In the order of the course.
    skipped : tuple of Skipped
        Files that are nothing for a case, and why.
    messages : tuple of Message
        What looks wrong.
    """

    found: tuple[Found, ...]
    skipped: tuple[Skipped, ...] = ()
    messages: tuple[Message, ...] = ()


def sort_heap(path: Path, treatments: Sequence[datetime | None], known: Mapping[str, Guess] | None = None) -> Heap:
    """What is below a path, and what each is taken for.

    Parameters
    ----------
    path : Path
        File or folder.
    treatments : sequence of datetime or None
        Instant of each treatment, local time.
    known : mapping of str to Guess, optional
        Frame of reference -> role and treatment of an image that the case has already: a CT is recognised by a SPECT
        that was added before.

    Raises
    ------
    InputError
        If the path does not exist.
    """
    scanned: Scan = scan(path, several_patients=True)
    units = _units(scanned)
    seen = [_seen_together(unit) for unit in units]
    raw = {item.path: one for item in scanned.skipped if (one := _raw_data(item.path)) is not None}
    guessed = guesses([*seen, *raw.values()], treatments, known)
    found = [
        Found(unit.files, one, _marked(unit.damaged, guess), unit.key)
        for unit, one, guess in zip(units, seen, guessed, strict=False)
    ]
    found += [
        Found(_raw_files(file), one, guess)
        for (file, one), guess in zip(raw.items(), guessed[len(seen) :], strict=True)
    ]
    skipped = []
    for item in scanned.skipped:
        if item.path in raw:
            continue
        guess = _other_file(item.path)
        if guess is None:
            skipped.append(item)
        elif guess.role != "companion":
            found.append(Found(_with_companion(item.path), None, guess))
    return Heap(tuple(found), tuple(skipped), scanned.messages)


@dataclass(frozen=True, slots=True, eq=False)
class _Unit:
    """What is one item: a series, or the series of one MR acquisition."""

    series: tuple[Series, ...]
    key: str
    echoes: MultiEchoSeries | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(file for one in self.series for file in one.files)

    @property
    def damaged(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys(file for one in self.series for file in one.damaged))


def _units(scanned: Scan) -> list[_Unit]:
    """Series, those of one multi-echo MR together where the first of them stands."""
    from hepatica.io.dicom.mr.acquisition import multi_echo_acquisitions  # the status of a case needs none of it

    of_series = {id(one): found for found in multi_echo_acquisitions(scanned.series) for one in found.series}
    units: list[_Unit] = []
    begun: set[int] = set()
    for one in scanned:
        found = of_series.get(id(one))
        if found is None:
            units.append(_Unit((one,), one.key))
        elif id(found) not in begun:
            begun.add(id(found))
            units.append(_Unit(found.series, found.key, found))
    return units


def _seen_together(unit: _Unit) -> Seen:
    one = _seen(unit.series[0])
    return one if unit.echoes is None else replace(one, what=unit.echoes.what, series_uids=unit.echoes.uids)


def _marked(damaged: Sequence[Path], guess: Guess) -> Guess:
    """A series of which files are damaged is not whole."""
    if not damaged:
        return guess
    text = f"{len(damaged)} of its files cannot be read ({damaged[0]})"
    return Guess(guess.role, guess.treatment, guess.why, (*guess.doubts, text))


def _seen(series: Series) -> Seen:
    header = series.headers[0]
    nuclide, activity, tracer = _radiopharmaceutical(header)
    what = "registration" if header.text("SOPClassUID") in _REGISTRATIONS else series.what or series.kind.value
    return Seen(
        kind=series.kind,
        what=what,
        at=_acquired(header),
        nuclide=nuclide,
        administered_bq=activity,
        tracer=tracer,
        description=series.description,
        frame=header.text("FrameOfReferenceUID"),
        refers_to=_refers_to(series.kind, header),
        has_contrast=bool(header.text("ContrastBolusAgent")),
        patient=header.text("PatientID"),
        name="".join(c for c in header.text("PatientName").upper() if c.isalnum()),
        birth_date=header.text("PatientBirthDate"),
        is_derived="DERIVED" in header.texts("ImageType"),
        lacks_attenuation="CorrectedImage" in header and "ATTN" not in header.texts("CorrectedImage"),
    )


def _raw_data(path: Path) -> Seen | None:
    """PET raw data by what their header says; None of any other file."""
    if not path.name.lower().endswith((".npz", ".petsird", ".bin", ".hs")) or _is_beside(path):
        return None
    from hepatica.io.pet_raw.read import pet_raw_facts

    try:
        said = pet_raw_facts(path)
    except HepaticaError:
        return None  # what it is instead is said of a skipped file
    if said is None:
        return None
    at = said.start.replace(tzinfo=None)
    return Seen(
        kind=SeriesKind.PET_RAW, what=SeriesKind.PET_RAW.value, at=at, nuclide=said.nuclide or None,
        description=said.scanner, frame=said.frame_of_reference, patient=said.patient_id,
    )  # fmt: skip


def _raw_files(path: Path) -> tuple[Path, ...]:
    from hepatica.io.pet_raw.read import raw_files

    return raw_files(path)


def _is_beside(path: Path) -> bool:
    """Whether a sinogram or its data go with another file that names them."""
    if not path.name.lower().endswith((".hs", ".s", ".s.gz")):
        return False
    from hepatica.io.pet_raw.sinogram_files import is_beside

    return is_beside(path)


def _radiopharmaceutical(header: Header) -> tuple[str | None, float | None, str]:
    """Nuclide, activity and tracer; nothing where the header is contradictory: its verb will say so."""
    try:
        found = radiopharmaceutical_of(header, first_acquisition=None)
    except HepaticaError:
        return None, None, ""
    return found.nuclide, found.activity_bq, found.name or found.written


def _acquired(header: Header) -> datetime | None:
    for date, time in (("AcquisitionDate", "AcquisitionTime"), ("SeriesDate", "SeriesTime"),
                       ("StructureSetDate", "StructureSetTime"), ("ContentDate", "ContentTime"),
                       ("StudyDate", "StudyTime")):  # fmt: skip
        try:
            found = header.date_and_time(date, time)
        except HepaticaError:
            continue
        if found is not None and found.year >= FIRST_YEAR:
            return found.replace(tzinfo=None)
    return None


def _refers_to(kind: SeriesKind, header: Header) -> tuple[str, ...]:
    if kind is SeriesKind.RTSTRUCT:
        frames = [item.text("FrameOfReferenceUID") for item in header.items("ReferencedFrameOfReferenceSequence")]
        frames += [item.text("ReferencedFrameOfReferenceUID") for item in header.items("StructureSetROISequence")]
    elif header.text("SOPClassUID") in _REGISTRATIONS:
        frames = [header.text("FrameOfReferenceUID")]
        frames += [item.text("FrameOfReferenceUID") for item in header.items("RegistrationSequence")]
        frames += [item.text("SourceFrameOfReferenceUID") for item in header.items("DeformableRegistrationSequence")]
    else:
        return ()
    return tuple(dict.fromkeys(frame for frame in frames if frame))


def _other_file(path: Path) -> Guess | None:
    """What a file that is no DICOM is; None for nothing that a case needs."""
    name = path.name.lower()
    if _is_beside(path):
        return Guess("companion")
    if name.endswith(_IMAGES):
        return Guess("unused", 0, "an image that does not say what it is", ("say what it is",))
    if name.endswith(".json"):
        return _json(path)
    if name.endswith((".csv", ".xlsx")):
        return _table(path)
    return None


def _json(path: Path) -> Guess | None:
    """Calibration and recovery files of hepatica; names of a label map go with it."""
    if any((path.parent / f"{path.stem}{ending}").exists() for ending in _IMAGES):
        return Guess("companion")
    try:
        schema = str(json.loads(path.read_text(encoding="utf-8")).get("schema", ""))
    except (OSError, ValueError, AttributeError):
        return None
    if schema.startswith("hepatica/monitoring-setup/"):
        return Guess("injection-setup", 0, "a setup of a watched injection")
    for word in ("calibration", "recovery"):
        if word in schema or (not schema and word in path.stem):
            return Guess(word, 0, f"a {word} file")
    return None


def _table(path: Path) -> Guess | None:
    if path.suffix.lower() == ".xlsx":
        return Guess("unused", 0, "a workbook", ("a workbook: say what it is",))
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            columns = ",".join(next(csv.reader(stream), [])).lower()
    except (OSError, ValueError, csv.Error):
        return None
    for role, words in _TABLES.items():
        if any(word in columns for word in words):
            return Guess(role, 0, "by its columns")
    return None


def _with_companion(path: Path) -> tuple[Path, ...]:
    """A file, and what lies beside it under its name: names of a label map, data of a header."""
    stem = path.name
    for ending in sorted(_IMAGES, key=len, reverse=True):
        stem = stem.removesuffix(ending)
    beside = (path.parent / f"{stem}{ending}" for ending in (".json", ".raw", ".zraw", ".v", ".i33", ".i33.gz", ".img"))
    return (path, *(file for file in beside if file.exists() and file != path))
