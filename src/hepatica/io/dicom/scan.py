"""What is in a folder: DICOM files found by content, grouped to series, sorted by what they are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hepatica.core.message import Message
from hepatica.errors import AmbiguousSeriesError, DicomError, HepaticaError, InputError
from hepatica.io.dicom import geometry
from hepatica.io.dicom.series import Series, SeriesKind
from hepatica.io.dicom.tags import Header, open_dicom
from hepatica.io.input_files import is_file

_KINDS = {
    "1.2.840.10008.5.1.4.1.1.2": SeriesKind.CT,
    "1.2.840.10008.5.1.4.1.1.2.1": SeriesKind.CT,
    "1.2.840.10008.5.1.4.1.1.2.2": SeriesKind.CT,
    "1.2.840.10008.5.1.4.1.1.128": SeriesKind.PET,
    "1.2.840.10008.5.1.4.1.1.128.1": SeriesKind.PET,
    "1.2.840.10008.5.1.4.1.1.130": SeriesKind.PET,
    "1.2.840.10008.5.1.4.1.1.20": SeriesKind.NM_RECON,
    "1.2.840.10008.5.1.4.1.1.4": SeriesKind.MR,
    "1.2.840.10008.5.1.4.1.1.4.1": SeriesKind.MR,
    "1.2.840.10008.5.1.4.1.1.481.2": SeriesKind.RTDOSE,
    "1.2.840.10008.5.1.4.1.1.481.3": SeriesKind.RTSTRUCT,
    "1.2.840.10008.5.1.4.1.1.66.4": SeriesKind.SEG,
    "1.2.840.10008.5.1.4.1.1.66.7": SeriesKind.SEG,
}

_MODALITIES = {
    "CT": SeriesKind.CT,
    "PT": SeriesKind.PET,
    "NM": SeriesKind.NM_RECON,
    "MR": SeriesKind.MR,
    "RTSTRUCT": SeriesKind.RTSTRUCT,
    "RTDOSE": SeriesKind.RTDOSE,
    "SEG": SeriesKind.SEG,
}

_STACKED = (SeriesKind.CT, SeriesKind.PET, SeriesKind.MR)

_WITH_PIXELS = frozenset(SeriesKind) - {SeriesKind.RTSTRUCT, SeriesKind.OTHER}

_VOLUME_KEYWORDS = (
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "FrameReferenceTime",
    "TriggerTime",
    "ConvolutionKernel",
    "EchoNumbers",
    "AcquisitionTime",
    "ImageType",
)
"""What tells two volumes in one series apart, tried in this order."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """The series found under a path; iterates over them.

    Attributes
    ----------
    path : Path
        What was scanned.
    series : tuple of Series
        CT, PET, NM, MR, structures, doses, others.
    skipped : tuple of Skipped
        Files that are not used.
    messages : tuple of Message
        What looks wrong.
    """

    path: Path
    series: tuple[Series, ...]
    skipped: tuple[Skipped, ...] = ()
    messages: tuple[Message, ...] = ()

    def __iter__(self) -> Iterator[Series]:
        return iter(self.series)

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, index: int) -> Series:
        return self.series[index]

    def of_kind(self, *kinds: SeriesKind) -> list[Series]:
        """Series of these kinds."""
        return [series for series in self.series if series.kind in kinds]

    def choose(self, what: str, kinds: Sequence[SeriesKind], uid: str | None = None) -> Series:
        """The one series that fits.

        Parameters
        ----------
        what : str
            What it is wanted for, for the message ("ct", "activity").
        kinds : sequence of SeriesKind
            Kinds that fit; empty for any.
        uid : str or None
            SeriesInstanceUID, or the key that a list of candidates shows.

        Raises
        ------
        DicomError
            If none fits; what was found is listed.
        AmbiguousSeriesError
            If several fit; they are listed.
        """
        fitting = [s for s in self.series if (not kinds or s.kind in kinds) and (uid is None or uid in (s.uid, s.key))]
        if len(fitting) == 1:
            return fitting[0]
        wanted = f" with the UID {uid}" if uid else ""
        if fitting:
            raise AmbiguousSeriesError(
                f"{self.path}: {len(fitting)} series{wanted} can be the {what}:\n{_listed(fitting)}",
                remedy=f"choose one by its UID (`{'ct_series' if what == 'ct' else 'series'}`), or name its folder",
            )
        names = " or ".join(kind.value for kind in kinds) or "series"
        found = f"; found:\n{_listed(self.series)}" if self.series else "; no DICOM series was found"
        skipped = [
            f"\n{len(self.skipped)} files were skipped, the first: {s.path}: {s.reason}" for s in self.skipped[:1]
        ]
        raise DicomError(f"{self.path}: no {names}{wanted} for the {what}{found}{''.join(skipped)}")


def scan(path: Path | str, *, several_patients: bool = False) -> Scan:
    """Find the DICOM series under a path.

    Parameters
    ----------
    path : Path
        A file or a folder, searched to any depth. Files are recognised by content; hidden ones are passed over.
    several_patients : bool
        Do not raise if the files belong to several patients (a message instead).

    Raises
    ------
    InputError
        If the path does not exist.
    DicomError
        If files belong to different patients; both are named.
    """
    path = Path(path)
    headers, skipped, damaged = _read_headers(path)
    messages = _check_patients(headers, path, several_patients)
    series: list[Series] = []
    groups: dict[tuple[str, str], list[Header]] = {}
    for header in headers:
        groups.setdefault((_series_uid(header), header.text("SOPClassUID")), []).append(header)
    groups, scattered = _gathered(groups)
    messages += scattered
    strays = _strays(groups)
    for header in strays:
        if header.path is not None:
            damaged[header.path] = header
    for (uid, _), members in groups.items():
        try:
            parts = _parts(members)
        except HepaticaError as error:
            skipped += [Skipped(header.path or path, str(error)) for header in members]
            messages.append(Message("series-unreadable", f"series {uid}: {error}"))
            continue
        series += [Series(kind, what, uid, part, tuple(files)) for kind, what, part, files in parts]
    uids = {one.uid for one in series}
    series = [
        replace(one, damaged=tuple(file for file, header in damaged.items() if _belongs(file, header, one, uids)))
        for one in series
    ]
    order = list(SeriesKind)
    series.sort(key=lambda s: (order.index(s.kind), s.date, s.uid, s.part))
    return Scan(path, tuple(series), tuple(skipped), tuple(messages))


def _files(path: Path) -> tuple[list[Path], list[Skipped]]:
    """The file, or all files of a folder and below it; folders and files that the system does not let us see."""
    if is_file(path):
        return [path], []
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder")
    closed: list[Skipped] = []
    found = []
    for folder in _folders(path, closed):
        for file in folder.iterdir():
            if any(part.startswith(".") for part in file.relative_to(path).parts):
                continue
            try:
                if is_file(file):
                    found.append(file)
            except InputError as error:
                closed.append(Skipped(file, str(error).removeprefix(f"{file}: ")))
    return sorted(found), closed


def _folders(path: Path, closed: list[Skipped]) -> Iterator[Path]:
    """The folder and all below it, links to folders too, each real one once; those that cannot be read to `closed`."""

    def refuse(error: OSError) -> None:
        folder = Path(error.filename)
        if folder == path:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        closed.append(Skipped(folder, f"cannot be read ({error.strerror})"))

    seen: set[Path] = set()
    for name, below, _ in os.walk(path, followlinks=True, onerror=refuse):
        folder = Path(name)
        if (real := folder.resolve()) in seen:
            below.clear()
            continue
        seen.add(real)
        below.sort()
        yield folder


def _read_headers(path: Path) -> tuple[list[Header], list[Skipped], dict[Path, Header | None]]:
    """Headers, files not used, and damaged files with what can still be read of them."""
    headers: list[Header] = []
    files, skipped = _files(path)
    damaged: dict[Path, Header | None] = {}
    seen: dict[str, Header] = {}
    for file in files:
        try:
            header = open_dicom(file)
            if not _series_uid(header):
                skipped.append(Skipped(file, _why_no_series(header)))
                if "DirectoryRecordSequence" not in header:
                    damaged[file] = header
                continue
            _require_identity(header)
            if _stated_kind(header) in _WITH_PIXELS and not header.has_pixels:
                raise DicomError("the file is truncated: it ends before its pixel data", path=file)
            if (copy_of := seen.get(header.text("SOPInstanceUID"))) and _same_bytes(copy_of.path, file):
                skipped.append(Skipped(file, f"is a copy of {copy_of.path}"))
                continue
            if header.text("SOPInstanceUID"):
                seen[header.text("SOPInstanceUID")] = header
            headers.append(header)
        except HepaticaError as error:
            empty = not file.stat().st_size
            skipped.append(Skipped(file, "is empty" if empty else str(error).removeprefix(f"{file}: ")))
            damaged[file] = _damaged_header(file)
    return headers, skipped, damaged


def _series_uid(header: Header) -> str:
    """SeriesInstanceUID; where an anonymiser emptied it, what else tells series apart; empty for what is no image."""
    if uid := header.text("SeriesInstanceUID"):
        return uid
    if not header.text("Modality") or "Rows" not in header:
        return ""
    folder = str(header.path.parent) if header.path else ""
    told = [header.text(k) for k in ("Modality", "FrameOfReferenceUID", "SeriesNumber", "SeriesDescription")]
    return "without-uid/" + "/".join([folder, *told])


def _require_identity(header: Header) -> None:
    """Raise DicomError unless what every series is listed by can be read."""
    for keyword in ("PatientID", "PatientName", "StudyDate", "SeriesDate", "SeriesDescription"):
        header.text(keyword)
    header.integer("NumberOfFrames")
    _class_of(header)


def _why_no_series(header: Header) -> str:
    if "DirectoryRecordSequence" in header:
        return "is a DICOMDIR"
    return "has no SeriesInstanceUID: cut short, or not an image"


def _same_bytes(a: Path | None, b: Path) -> bool:
    return a is not None and a.stat().st_size == b.stat().st_size and a.read_bytes() == b.read_bytes()


def _damaged_header(file: Path) -> Header | None:
    """What can still be read of a damaged file; None if nothing."""
    try:
        return open_dicom(file, check_length=False)
    except HepaticaError:
        return None


def _belongs(file: Path, header: Header | None, series: Series, uids: set[str]) -> bool:
    """Whether a damaged file is a piece of a series.

    By UID, by kind and folder if it has none of the known UIDs, or by its name if it is no DICOM any more.
    """
    alike = series.kind in _STACKED and len(series.files) > 1 and any(_named_alike(file, f) for f in series.files)
    if header is None:
        return alike
    if header.path in series.files:
        return False
    try:
        uid, kind = header.text("SeriesInstanceUID"), _stated_kind(header)
    except HepaticaError:
        return alike
    if uid in uids:
        return uid == series.uid and series.kind is not SeriesKind.CT_LOCALIZER
    if kind is SeriesKind.OTHER:
        return alike
    return kind is series.kind and header.path is not None and header.path.parent in {f.parent for f in series.files}


def _check_patients(headers: Sequence[Header], path: Path, several: bool) -> list[Message]:
    """Messages; DicomError if two patients are mixed. An empty ID or name (anonymised) fits any."""
    known: list[tuple[str, str, Path | None]] = []
    blank = False
    for header in headers:
        number, name = header.text("PatientID"), header.text("PatientName").upper().rstrip("^ ")
        if not number and not name:
            blank = True
        elif not any(number == other and name == other_name for other, other_name, _ in known):
            known.append((number, name, header.path))
    first = known[0] if known else ("", "", None)
    for number, name, file in known[1:]:
        if (number and first[0] and number != first[0]) or (name and first[1] and name != first[1]):
            text = (
                f"{path}: two patients are mixed: {first[1] or '(no name)'} (ID {first[0] or 'none'}, for example "
                f"{first[2]}) and {name or '(no name)'} (ID {number or 'none'}, for example {file})"
            )
            if several:
                return [Message("patients-mixed", text)]
            raise DicomError(text, remedy="name the folder of one patient")
    if blank and known:
        text = f"some files name no patient, others {first[1] or first[0]}"
        return [Message("patient-not-named", text, "check that they belong together")]
    return []


def _stated_kind(header: Header) -> SeriesKind:
    """Kind by SOP class; by modality where an anonymiser emptied the class."""
    meta = getattr(header.dataset, "file_meta", None)
    stored = Header(meta, header.path).text("MediaStorageSOPClassUID") if meta is not None else ""
    if sop_class := header.text("SOPClassUID") or stored:
        return _KINDS.get(sop_class, SeriesKind.OTHER)
    return _MODALITIES.get(header.text("Modality"), SeriesKind.OTHER)


def _class_of(header: Header) -> tuple[SeriesKind, str]:
    """Kind and words for one file."""
    from pydicom.uid import UID

    kind = _stated_kind(header)
    sop_class, modality = header.text("SOPClassUID"), header.text("Modality")
    image_type = [word.upper() for word in header.texts("ImageType")]
    if kind is SeriesKind.OTHER:
        return kind, UID(sop_class, validation_mode=0).name if sop_class else f"modality {modality or 'not stated'}"
    if kind is SeriesKind.NM_RECON:
        third = image_type[2] if len(image_type) > 2 else ""
        if third in ("RECON TOMO", "RECON GATED TOMO"):
            return kind, ""
        if "TOMO" in third:
            return SeriesKind.NM_PROJECTIONS, third
        return SeriesKind.NM_PLANAR, third
    single = "PerFrameFunctionalGroupsSequence" not in header
    if kind is SeriesKind.CT and {"LOCALIZER", "SCOUT"} & set(image_type):
        return SeriesKind.CT_LOCALIZER, ""
    if kind in _STACKED and single and not geometry.has_plane(header):
        if geometry.has_part_of_plane(header):
            lost = "ImagePositionPatient" if "ImagePositionPatient" not in header else "ImageOrientationPatient"
            return SeriesKind.OTHER, f"{kind.value} slice without {lost} (a damaged file?)"
        return SeriesKind.OTHER, f"{kind.value} without a place in the patient (dose report or screen save)"
    return kind, ""


def _parts(headers: Sequence[Header]) -> list[tuple[SeriesKind, str, str, list[Header]]]:
    """Kind, words, part and files of every volume among the files of one series."""
    by_kind: dict[tuple[SeriesKind, str], list[Header]] = {}
    for header in headers:
        by_kind.setdefault(_class_of(header), []).append(header)
    parts: list[tuple[SeriesKind, str, str, list[Header]]] = []
    for (kind, what), members in by_kind.items():
        if _is_stack(kind, members):
            volumes = [part for group in geometry.alike(members) for part in _volumes(group)]
        elif kind in (
            SeriesKind.RTSTRUCT,
            SeriesKind.SEG,
            SeriesKind.RTDOSE,
            SeriesKind.NM_RECON,
            SeriesKind.NM_PROJECTIONS,
            SeriesKind.NM_PLANAR,
        ):
            # One object per file, whatever series they share.
            volumes = [(f"file {member.path.name if member.path else ''}", [member]) for member in members]
        else:
            volumes = [("", list(members))]
        for number, (how, files) in enumerate(volumes, start=1):
            part = f"part {number}: {how or 'another orientation, spacing or size'}" if len(volumes) > 1 else ""
            parts.append((kind, what, part, files))
    return parts


def _is_stack(kind: SeriesKind, members: Sequence[Header]) -> bool:
    """Whether files are slices of volumes, one in each."""
    if len(members) < 2 or any("PerFrameFunctionalGroupsSequence" in header for header in members):
        return False
    if kind is SeriesKind.NM_RECON:
        single = all((header.integer("NumberOfFrames") or 1) == 1 and geometry.has_plane(header) for header in members)
        return single and not all(geometry.positions_repeat([members[0], other]) for other in members[1:])
    return kind in _STACKED


def _named_alike(file: Path, other: Path) -> bool:
    """Whether two files of one folder are numbered in one manner: "023.dcm" and "007.dcm", "IM12" and "IM7"."""
    return file.parent == other.parent and _numbered(file) == _numbered(other) != file.name


def _numbered(file: Path) -> str:
    # A UID as a name has as many parts as its maker liked.
    return re.sub(r"#(\.#)+", "#", re.sub(r"\d+", "#", file.name))


def _gathered(
    groups: dict[tuple[str, str], list[Header]],
) -> tuple[dict[tuple[str, str], list[Header]], list[Message]]:
    """The groups with slices that each have a SeriesInstanceUID of their own put together, and what is said of it."""
    alone: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for key, members in groups.items():
        if len(members) == 1 and (common := _common(members[0])):
            alone.setdefault(common, []).append(key)
    messages = []
    for keys in alone.values():
        members = [groups[key][0] for key in keys]
        if len(members) < 3 or not _one_stack(members):
            continue
        for key in keys:
            del groups[key]
        groups[keys[0]] = members
        text = (
            f"every slice of {members[0].text('SeriesDescription')!r} has a SeriesInstanceUID of its own: "
            f"{len(members)} files are taken as one series, {keys[0][0]}"
        )
        messages.append(Message("series-uid-per-slice", text, "check that they are one scan"))
    return groups, messages


def _common(header: Header) -> tuple[str, ...] | None:
    """What slices of one scan share beside their series; None for what is no single slice of a stack."""
    try:
        kind, _ = _class_of(header)
        if kind not in (*_STACKED, SeriesKind.NM_RECON) or (header.integer("NumberOfFrames") or 1) > 1:
            return None
        shared = ("StudyInstanceUID", "FrameOfReferenceUID", "SeriesDescription", "ImageType", "Rows", "Columns")
        return kind.name, *(header.text(keyword) for keyword in shared)
    except HepaticaError:
        return None


def _one_stack(members: list[Header]) -> bool:
    """Whether images lie parallel at as many positions as there are images."""
    try:
        return len(geometry.alike(members)) == 1 and not geometry.positions_repeat(members)
    except HepaticaError:
        return False


def _strays(groups: dict[tuple[str, str], list[Header]]) -> list[Header]:
    """Files that a damaged tag keeps out of their own series: alike in all but their class or their place.

    A dose report or a screen save that shares the UID of a CT has no place at all.
    """
    by_uid: dict[str, list[Header]] = {}
    for (uid, _), members in groups.items():
        by_uid.setdefault(uid, []).extend(members)
    strays = []
    for members in by_uid.values():
        try:
            kinds = [_class_of(header)[0] for header in members]
            main = max(_STACKED, key=kinds.count)
            looks = {_look(h) for h, kind in zip(members, kinds, strict=True) if kind is main}
            if kinds.count(main) > 1:
                others = [h for h, kind in zip(members, kinds, strict=True) if kind is not main]
                strays += [h for h in others if _look(h) in looks and geometry.has_part_of_plane(h)]
        except HepaticaError:
            continue
    return strays


def _look(header: Header) -> tuple[str, ...]:
    return tuple(header.text(keyword) for keyword in ("Modality", "ImageType", "Rows", "Columns", "BitsAllocated"))


def _volumes(group: list[Header]) -> list[tuple[str, list[Header]]]:
    """The volumes among parallel images, told apart by the first attribute that leaves no position twice.

    Where none does, the group stays whole and its reader refuses it, naming the files.
    """
    if not geometry.positions_repeat(group):
        return [("", group)]
    for keyword in _VOLUME_KEYWORDS:
        by_value: dict[str, list[Header]] = {}
        for header in group:
            by_value.setdefault(header.text(keyword), []).append(header)
        sizes = [len(files) for files in by_value.values()]
        if len(sizes) > 1 and min(sizes) > 1 and not any(map(geometry.positions_repeat, by_value.values())):
            return [(f"{keyword} {value or 'empty'}", files) for value, files in sorted(by_value.items())]
    return [("", group)]


def _listed(series: Sequence[Series]) -> str:
    return "\n".join(
        f"  {s.kind.value}: {s.description or '(no description)'}, {s.images} images, {s.date or 'no date'}"
        f"{', ' + s.part if s.part else ''}, series {s.key}"
        for s in series
    )
