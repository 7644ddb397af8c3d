"""What a verb takes as an image or as structures: a path or a value, and the one place where both become values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hepatica.anatomy.ct.hounsfield import checked_hu
from hepatica.core import InputFile, Kind, Volume
from hepatica.core.context import DicomContext, uid_of
from hepatica.core.image import NOTHING_STATED, Image, Stated
from hepatica.core.message import Message, unique
from hepatica.core.seen_field import SeenField
from hepatica.core.tables.sources import DoseSource, ImageSource, StructureSource
from hepatica.core.text.files import json_file
from hepatica.dosimetry.engines.highest import below_zero_kept
from hepatica.errors import InputError, UnitError
from hepatica.io.dicom.identity.inputs import input_file
from hepatica.io.files import restore
from hepatica.io.read import read_image
from hepatica.planning.measured.earlier_results import is_result

__all__ = ["DoseInput", "DoseSource", "ImageSource", "StructureSource", "as_dose", "as_image", "as_images"]

UNKNOWN = "UNKNOWN"
"""PatientID that hepatica writes where no input names a patient."""

PLANNED_DOSE = "planned-dose.nii.gz"

SIGNED_DOSE, RT_DOSE = "dose.nii.gz", "dose.dcm"

MAPS_OF_DOSE = (RT_DOSE, SIGNED_DOSE)
"""Names of the maps that a result of an absorbed dose lies beside."""

DOSE_FILES = (PLANNED_DOSE, RT_DOSE)
"""Names of the dose map in a folder of a plan and of a dose, in the order in which they are looked for."""

WRITERS_OF_DOSE = ("absorbed_dose", "warp_image", "accumulated_dose")
"""Verbs whose ``dose.nii.gz`` may hold voxels below zero, which ``dose.dcm`` cannot."""


def as_image(source: ImageSource, *, role: str, series: str | None = None, stated: Stated = NOTHING_STATED) -> Image:
    """The image itself: read where a path was given.

    Raises
    ------
    InputError
        If it is neither a path nor an `Image`, or what only a file can need is stated of an image; otherwise as
        `hepatica.io.read.read_image` and `Image.stating`.
    UnitError
        Of a CT, if its numbers cannot be Hounsfield units (`anatomy.ct.hounsfield`); where they may not be it says so.
    """
    found = _as_image(source, role=role, series=series, stated=stated)
    return found if role != "ct" else found.with_messages(*checked_hu(found.volume, found.name))


def _as_image(source: ImageSource, *, role: str, series: str | None, stated: Stated) -> Image:
    if isinstance(source, Image):
        if series is not None:
            option = "ct_series" if role == "ct" else "series"
            raise InputError(f"{source.name}: is an image already; `{option}` chooses one from a folder")
        if stated.slice_spacing_mm is not None:
            raise InputError(f"{source.name}: has its voxels already; `slice_spacing_mm` belongs to a file")
        return source.stating(stated).used_as(role)
    path = _path(source, role)
    restore(path)
    return read_image(path, role=role, series=series, stated=stated)


def _path(source: object, role: str) -> Path | str:
    if isinstance(source, str | Path):
        return source
    raise InputError(
        f"{role}: an image is a path or a hepatica.Image, not {type(source).__name__}",
        remedy="make one with hepatica.Image.from_array, which needs unit and voxel size",
    )


def as_images(
    sources: ImageSource | Sequence[ImageSource], *, role: str, series: str | None = None, stated: Sequence[Stated] = ()
) -> tuple[Image, ...]:
    """Each of one or several sources as an image; `stated` holds one for each or none."""
    alone: Any = sources
    given = alone if isinstance(alone, Sequence) and not isinstance(alone, str) else [alone]
    if not given:
        raise InputError(f"{role}: no image was given")
    each = list(stated) or [NOTHING_STATED] * len(given)
    return tuple(as_image(item, role=role, series=series, stated=s) for item, s in zip(given, each, strict=True))


def require_one_patient(inputs: Sequence[InputFile]) -> None:
    """InputError where the headers of files name different patients."""
    named = {file.identity.patient_id: file.path for file in inputs if file.identity.patient_id not in ("", UNKNOWN)}
    if len(named) > 1:
        (first, here), (second, there), *_ = named.items()
        raise InputError(f"{here} is of patient {first!r}, {there} of {second!r}; they must be of one patient")


@dataclass(frozen=True, slots=True)
class DoseInput:
    """A dose map in Gy, the file it was read from, and its name.

    Attributes
    ----------
    volume : Volume
    inputs : tuple of InputFile
    name : str
    seen_field : SeenField or None
        Where the activity image behind it sees well, by the result of *dose* beside it; None of a mere map.
    scale_relative_sd : float or None
        Relative standard uncertainty common to all its voxels, likewise; None where it is not known.
    messages : tuple of Message
        What its reader must know: that voxels below zero were made zero, or that there are some.
    """

    volume: Volume
    inputs: tuple[InputFile, ...]
    name: str
    seen_field: SeenField | None = None
    scale_relative_sd: float | None = None
    messages: tuple[Message, ...] = ()


def as_dose(source: DoseSource, *, role: str) -> DoseInput:
    """The dose map itself: read where a path was given.

    Of a folder that hepatica wrote it is ``dose.nii.gz``, in the frame of reference of its result: it keeps the voxels
    below zero that noise of the activity image gives, without which means are too high. So it is of its ``dose.dcm``
    where there are such voxels. A volume may hold them too; a file of others may not.

    Raises
    ------
    InputError
        If it is neither a path, a Volume nor an `Image`, or there is no such file.
    UnitError
        If it is no absorbed dose, or holds an undefined one, or a negative one that no result of hepatica explains.
    DicomError
        If a DICOM file is no RTDOSE that hepatica reads.
    """
    if isinstance(source, str | Path):
        restore(source)
        found = _dose_of_path(_dose_file(Path(source)), str(source), role)
    elif isinstance(source, Image):
        found = DoseInput(source.volume, (source.source,), source.name)
    elif isinstance(source, Volume):
        found = DoseInput(source, (), source.name or "volume")
    else:
        raise InputError(f"{role}: a dose map is a path, a Volume or an Image, not {type(source).__name__}")
    found.volume.require_kind(Kind.DOSE)
    found.volume.require_finite()
    if float(found.volume.values.min()) >= 0:
        return found
    if isinstance(source, str | Path) and not _is_signed(Path(found.inputs[0].path)):
        raise UnitError(
            f"{found.name}: a dose is negative, and no result of hepatica beside it says that this is noise of the "
            "activity image",
            remedy=f"of hepatica's own give its folder, or keep the name {SIGNED_DOSE} and its result.json beside it; "
            "of other programs' maps nobody knows what is below zero",
        )
    return replace(found, messages=unique(found.messages, below_zero_kept(found.volume)))


def _dose_of_path(path: Path, name: str, role: str) -> DoseInput:
    """The dose of a file; beside an RT Dose of hepatica without its voxels below zero the map that has them."""
    signed = path.with_name(SIGNED_DOSE)
    if path.name == RT_DOSE and signed.is_file() and _is_signed(signed):
        volume, _ = _read_dose(signed, role)
        path = signed if float(volume.values.min()) < 0 else path
    volume, said = _read_dose(path, role)
    inputs: tuple[InputFile, ...] = (input_file(role, path),)
    if path.name == SIGNED_DOSE and _is_signed(path) and path.with_name(RT_DOSE).is_file():
        # A NIfTI does not say whose it is.
        inputs += (input_file(role, path.with_name(RT_DOSE)),)
    return DoseInput(_in_frame(volume, path), inputs, name, *_told_beside(path), messages=said)


def _is_signed(path: Path) -> bool:
    """Whether a file is the map of a result of hepatica that keeps its voxels below zero."""
    beside = path.with_name("result.json")
    return path.name == SIGNED_DOSE and beside.is_file() and is_result(beside, *WRITERS_OF_DOSE)


def _told_beside(path: Path) -> tuple[SeenField | None, float | None]:
    """What the result of an absorbed dose beside its map says of where its image sees, and of the common scale."""
    beside = path.with_name("result.json")
    if path.name not in MAPS_OF_DOSE or not beside.is_file():
        return None, None
    told = json_file(beside)
    if not isinstance(told, dict) or not str(told.get("schema", "")).startswith("hepatica/absorbed_dose/"):
        return None, None
    scale = told.get("activity_scale_relative_sd")
    return SeenField.of_document(told.get("seen_field") or {}), None if scale is None else float(scale)


def _in_frame(dose: Volume, path: Path) -> Volume:
    """A map in the frame of reference that the result beside it holds: a NIfTI has none, and would match any."""
    beside = path.with_name("result.json")
    if path.name not in (PLANNED_DOSE, SIGNED_DOSE) or not beside.is_file():
        return dose
    if path.name == SIGNED_DOSE and not _is_signed(path):
        return dose
    told = json_file(beside)
    grid = (told if path.name == SIGNED_DOSE else told.get("voxel_plan") or {}).get("grid") or {}
    if grid.get("frame_of_reference") is None and path.with_name(RT_DOSE).is_file():
        return dose.in_frame(_read_dose(path.with_name(RT_DOSE), "dose")[0].grid.frame_of_reference)
    return dose.in_frame(grid.get("frame_of_reference"))


def _dose_file(path: Path) -> Path:
    signed = path / SIGNED_DOSE
    names = (PLANNED_DOSE, SIGNED_DOSE, RT_DOSE) if signed.is_file() and _is_signed(signed) else DOSE_FILES
    inside = [path / name for name in names if (path / name).is_file()]
    return inside[0] if inside else path


def _read_dose(path: Path, role: str) -> tuple[Volume, tuple[Message, ...]]:
    """Voxels, and whether those below zero were made zero."""
    from hepatica.io.dicom.rtdose import read_rtdose
    from hepatica.io.itk import is_itk_file, read_itk

    if not path.is_file():
        raise InputError(f"{path}: no such dose map ({role}); give a file, or a folder with {' or '.join(DOSE_FILES)}")
    if is_itk_file(path):
        return read_itk(path, Kind.DOSE, name=path.name)[0], ()
    found = read_rtdose(path)
    return found.volume, tuple(one for one in found.messages if one.code == "dose-zero-below")


def dicom_context(image: Image) -> DicomContext:
    """Patient and study under which DICOM is written beside an image: its own, else invented ones.

    Results of one image that is no DICOM share a frame of reference, so that they can be compared.
    """
    if image.context is not None:
        return image.context
    made = DicomContext.invented(patient_id=UNKNOWN, patient_name="Unknown^Patient")
    if image.grid.frame_of_reference is not None:
        # Of an array that states where it lies: what is written beside it lies there too.
        return replace(made, frame_of_reference=image.grid.frame_of_reference)
    checksum = image.source.sha256
    return replace(made, frame_of_reference=uid_of("frame of reference", checksum)) if checksum else made
