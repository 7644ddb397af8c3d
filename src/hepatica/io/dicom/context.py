"""Identity of a series from its headers, and back into the objects written beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hepatica.core.context import DicomContext, Instance, new_uid
from hepatica.errors import DicomError
from hepatica.io.dicom.identity.profile import deidentified_by, say_deidentified
from hepatica.io.dicom.tags import Header


def context_of(headers: Sequence[Header]) -> DicomContext:
    """Context of the files of one series, given in the order of their slices.

    Raises
    ------
    DicomError
        If the UID of an instance is missing, or there is no file.

    Notes
    -----
    Where an anonymiser emptied the UID of study or series, a new one is made (the readers warn of it).
    """
    if not headers:
        raise DicomError("no file was given")
    first = headers[0]
    return DicomContext(
        patient_id=first.text("PatientID"),
        patient_name=first.text("PatientName"),
        birth_date=first.text("PatientBirthDate"),
        sex=first.text("PatientSex"),
        study_uid=first.text("StudyInstanceUID") or new_uid(),
        study_date=first.text("StudyDate"),
        study_time=first.text("StudyTime"),
        study_id=first.text("StudyID"),
        study_description=first.text("StudyDescription"),
        accession=first.text("AccessionNumber"),
        referring_physician=first.text("ReferringPhysicianName"),
        frame_of_reference=first.text("FrameOfReferenceUID"),
        series_uid=first.text("SeriesInstanceUID") or new_uid(),
        series_description=first.text("SeriesDescription"),
        modality=first.text("Modality"),
        instances=tuple(instance_of(header) for header in headers),
        timezone=first.text("TimezoneOffsetFromUTC"),
        deidentified_by=deidentified_by(first),
    )


def write_patient_and_study(context: DicomContext, dataset: Any) -> None:
    """Set the attributes of patient and study on a data set, which then belongs to the same study."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = context.patient_name
    dataset.PatientID = context.patient_id
    dataset.PatientBirthDate = context.birth_date if set(context.birth_date) - {"0"} else ""
    dataset.PatientSex = context.sex if context.sex in ("M", "F", "O") else ""
    dataset.StudyInstanceUID = context.study_uid
    dataset.StudyDate = context.study_date
    dataset.StudyTime = context.study_time
    dataset.StudyID = context.study_id
    dataset.AccessionNumber = context.accession
    dataset.ReferringPhysicianName = context.referring_physician
    if context.study_description:
        dataset.StudyDescription = context.study_description
    if context.timezone:
        dataset.TimezoneOffsetFromUTC = context.timezone
    if context.deidentified is not None:
        say_deidentified(dataset, context.deidentified.key)


def instance_of(header: Header) -> Instance:
    """Class and UID of a file; from its file meta information where an anonymiser emptied the data set's own.

    Raises
    ------
    DicomError
        If neither holds them.
    """
    return Instance(
        _uid(header, "SOPClassUID", "MediaStorageSOPClassUID"),
        _uid(header, "SOPInstanceUID", "MediaStorageSOPInstanceUID"),
        header.path,
        header.integer("NumberOfFrames") or 1,
    )


def _uid(header: Header, keyword: str, meta_keyword: str) -> str:
    if text := header.text(keyword):
        return text
    meta = getattr(header.dataset, "file_meta", None)
    text = Header(meta, header.path, header.problems).text(meta_keyword) if meta is not None else ""
    if not text:
        raise header.error(keyword, f"is missing or empty, and so is {meta_keyword}")
    return text
