"""What every DICOM object that hepatica writes has in common, and opening objects of one kind.

Unique identifiers are random under pydicom's root (`hepatica.core.context.new_uid`). Every object names hepatica and
its version as the equipment and says that it is for research use only, in its series description and in a text
attribute that viewers show.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hepatica.core import Grid, Provenance
from hepatica.core.context import DicomContext, Instance, new_uid, uid_of
from hepatica.core.region import Code
from hepatica.errors import DicomError, GeometryError
from hepatica.io.dicom.context import instance_of, write_patient_and_study
from hepatica.io.dicom.identity.profile import is_deidentified, keep_profile
from hepatica.io.dicom.tags import Header, open_dicom, pydicom_door
from hepatica.io.files import atomic_output
from hepatica.io.input_files import is_file
from hepatica.version import __version__

MANUFACTURER = "hepatica"
RESEARCH_ONLY = "Research use only; not a medical device."

STUDY_COMPONENT = "1.2.840.10008.3.1.2.3.1"
"""SOP class by which structure sets refer to a study (retired, still asked for by PS3.3 C.8.8.5)."""


def open_object(path: Path | str, sop_classes: Collection[str], what: str) -> Header:
    """Open a file that must be of one of the SOP classes given by UID.

    Raises
    ------
    DicomError
        If it is absent, no DICOM, or of another class; `what` names what was expected.
    """
    path = Path(path)
    if not is_file(path):
        raise DicomError(f"is not a file; one {what} file was expected", path=path)
    header = open_dicom(path)
    found = instance_of(header).sop_class_uid
    if found not in sop_classes:
        from pydicom.uid import UID

        with pydicom_door(path, "SOPClassUID"):
            name = UID(found).name
        raise header.error("SOPClassUID", f"is {name!r}; {what} was expected")
    return header


def new_object(context: DicomContext, sop_class_uid: str, modality: str, *, description: str) -> Any:
    """Data set with patient, study, series and equipment, a new instance of a new series in the study of `context`."""
    from pydicom.dataset import Dataset

    dataset = Dataset()
    write_patient_and_study(context, dataset)
    stamp(dataset, context)
    dataset.SOPClassUID = sop_class_uid
    dataset.SOPInstanceUID = new_uid()
    dataset.SeriesInstanceUID = new_uid()
    dataset.Modality = modality
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = 1
    dataset.SeriesDescription = _fitting(f"{description} (hepatica, research use only)", description)
    dataset.SeriesDate, dataset.SeriesTime = dataset.InstanceCreationDate, dataset.InstanceCreationTime
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = MANUFACTURER
    dataset.SoftwareVersions = __version__
    dataset.DeviceSerialNumber = "none"
    return dataset


def stamp(dataset: Any, context: DicomContext) -> None:
    """State the present as the time of creation, shifted like every date where identity was taken out."""
    now = datetime.now().astimezone()
    if context.deidentified is not None:
        now += context.deidentified.shift
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")


def save_object(dataset: Any, path: Path | str, *, implicit: bool = False) -> Path:
    """Write a data set as a DICOM file (little endian), whole or not at all.

    `implicit` writes no value types: then a text value may exceed 65534 bytes, as long contours do.

    Raises
    ------
    DicomError
        If a value does not fit DICOM.
    OutputError
        If the file cannot be written.
    """
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    path = Path(path)
    if is_deidentified(dataset):
        keep_profile(dataset)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    dataset.file_meta.ImplementationVersionName = f"HEPATICA_{__version__}"[:16]
    with atomic_output(path) as temporary:
        try:
            dataset.save_as(temporary, enforce_file_format=True)
        except (TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
            raise DicomError(f"cannot be written as DICOM ({error})", path=path) from error
    return path


def frame_of_reference(grid: Grid, context: DicomContext) -> str:
    """The frame of reference that an object on `grid` in the study of `context` states.

    Where neither has one, it is made from the UID of the series: all that is written beside one series lies together,
    today and in the next result.

    Raises
    ------
    GeometryError
        If both state one and they differ: the object would point at the wrong place of the images it refers to.
    """
    stated = {uid for uid in (grid.frame_of_reference, context.frame_of_reference) if uid}
    if len(stated) > 1:
        raise GeometryError(
            f"the grid's frame of reference ({grid.frame_of_reference}) is not that of the images referred to "
            f"({context.frame_of_reference}); register them first"
        )
    return stated.pop() if stated else uid_of("frame of reference", context.series_uid)


def require_patient(header: Header, context: DicomContext | None) -> None:
    """Raise DicomError if a file is of another patient than the image; an unknown one passes."""
    patient = header.text("PatientID")
    if context is not None and patient and context.patient_id and patient != context.patient_id:
        raise header.error("PatientID", f"{patient!r} is not the patient of the image, {context.patient_id!r}")


def require_numbered(header: Header, numbers: Sequence[int], sequence: str, keyword: str) -> None:
    """Raise DicomError unless a file holds structures, each with a number of its own."""
    if not numbers:
        raise header.error(sequence, "holds no structures")
    if len(set(numbers)) < len(numbers):
        raise header.error(keyword, "occurs twice: structures cannot be told apart")


def require_names(names: Sequence[str]) -> None:
    """Raise GeometryError unless there are names, all distinct, each of which DICOM can hold (LO: 64 characters)."""
    if not names:
        raise GeometryError("no structure was given")
    for name, count in Counter(names).items():
        if count > 1:
            raise GeometryError(f"structures need distinct names; {name!r} occurs {count} times")
        if not name or len(name) > 64 or "\\" in name or not name.isprintable():
            raise GeometryError(f"{name!r} is no name for DICOM: 1 to 64 characters, no backslash, no line break")


def dicom_names(names: Sequence[str]) -> list[str]:
    r"""Each name as DICOM can hold it (`require_names`), and still distinct: of a label map it may be of any length.

    >>> dicom_names(["liver", "a\nb", "a b"])
    ['liver', 'a b', 'a b~2']
    """
    found: list[str] = []
    for name in names:
        plain = " ".join("".join(c if c.isprintable() and c != "\\" else " " for c in name).split()) or "unnamed"
        short, count = plain[:64], 1
        while short in found:
            count += 1
            short = f"{plain[: 63 - len(str(count))]}~{count}"
        found.append(short)
    return found


def references(instances: Sequence[Instance]) -> list[Any]:
    """Sequence items that refer to instances by class and UID."""
    from pydicom.dataset import Dataset

    items = []
    for instance in instances:
        item = Dataset()
        item.ReferencedSOPClassUID = instance.sop_class_uid
        item.ReferencedSOPInstanceUID = instance.sop_instance_uid
        items.append(item)
    return items


def code(value: str, scheme: str, meaning: str) -> Any:
    """A coded concept as a sequence item."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def codes_in(header: Header, *keywords: str) -> tuple[Code, ...]:
    """Coded concepts in sequences of an item, in order; those without value or scheme are left out."""
    found = (
        Code(item.text("CodeValue"), item.text("CodingSchemeDesignator"), item.text("CodeMeaning"))
        for keyword in keywords
        for item in header.items(keyword)
    )
    return tuple(one for one in found if one.value and one.scheme)


def provenance_text(provenance: Provenance | None, limit: int) -> str:
    """Research notice, and the provenance as JSON, in at most `limit` characters, for an attribute of type ST or LT.

    (Those two take a backslash as it is; in others it separates values.)

    What does not fit is left out from the least needed on (steps, then parameters, then tables), and that is said.
    """
    if provenance is None:
        return RESEARCH_ONLY
    content = dict(provenance.as_document())
    for drop in ("", "steps", "parameters", "tables", "conventions", "inputs"):
        if drop:
            content[drop] = "left out for length"
        text = f"{RESEARCH_ONLY} {json.dumps(content, default=str, ensure_ascii=True)}"
        if len(text) <= limit:
            return text
    return f"{RESEARCH_ONLY} hepatica {__version__}"


def _fitting(*texts: str, limit: int = 64) -> str:
    return next((text for text in texts if len(text) <= limit), texts[-1][:limit])
