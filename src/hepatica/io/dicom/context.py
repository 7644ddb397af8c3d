"""Whose image it is and which files it came from: what an object written beside it must repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hepatica.errors import DicomError
from hepatica.io.dicom.tags import Header, new_uid

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM file of a series.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid : str
        What it is and which one it is.
    path : Path or None
        Where it was read; None for one that was not read from a file.
    frames : int
        Number of frames; 1 for a single-frame image.
    """

    sop_class_uid: str
    sop_instance_uid: str
    path: Path | None = None
    frames: int = 1


@dataclass(frozen=True, slots=True)
class DicomContext:
    """Patient, study, series and instances of an image.

    Attributes
    ----------
    patient_id, patient_name, birth_date, sex : str
        As in the file (dates as YYYYMMDD); empty where unknown.
    study_uid, study_date, study_time, study_id, study_description, accession, referring_physician : str
        Of the study; dates and times in DICOM's form.
    frame_of_reference, series_uid, series_description, modality : str
        Of the series. `frame_of_reference` is empty where the file has none.
    instances : tuple of Instance
        In the order of the slices of the grid (k = 0 first); one for a multi-frame object.
    timezone : str
        TimezoneOffsetFromUTC ("+0100"); empty where unknown.
    """

    patient_id: str
    patient_name: str
    birth_date: str
    sex: str
    study_uid: str
    study_date: str
    study_time: str
    study_id: str
    study_description: str
    accession: str
    referring_physician: str
    frame_of_reference: str
    series_uid: str
    series_description: str
    modality: str
    instances: tuple[Instance, ...]
    timezone: str = ""

    @classmethod
    def of(cls, headers: Sequence[Header]) -> DicomContext:
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
        return cls(
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
        )

    @classmethod
    def invented(
        cls,
        *,
        patient_id: str = "HEPATICA",
        patient_name: str = "Unknown^Patient",
        modality: str = "CT",
        slices: int = 0,
        sop_class_uid: str = CT_IMAGE_STORAGE,
        when: datetime | None = None,
    ) -> DicomContext:
        """New context with new UIDs, for an image that has none (NIfTI, MetaImage, the virtual patient).

        Parameters
        ----------
        patient_id, patient_name : str
            Of the patient.
        modality, sop_class_uid : str
            What the instances are.
        slices : int
            Number of instances; 0 for an image that no DICOM file holds.
        when : datetime or None
            Instant of the study; empty dates if None.
        """
        return cls(
            patient_id=patient_id,
            patient_name=patient_name,
            birth_date="",
            sex="",
            study_uid=new_uid(),
            study_date=when.strftime("%Y%m%d") if when else "",
            study_time=when.strftime("%H%M%S") if when else "",
            study_id="1",
            study_description="",
            accession="",
            referring_physician="",
            frame_of_reference=new_uid(),
            series_uid=new_uid(),
            series_description="",
            modality=modality,
            instances=tuple(Instance(sop_class_uid, new_uid()) for _ in range(slices)),
            timezone=when.strftime("%z") if when and when.tzinfo else "",
        )

    @property
    def is_multiframe(self) -> bool:
        """Whether one file holds all slices."""
        return len(self.instances) == 1 and self.instances[0].frames > 1

    def with_new_series(self, *, modality: str, description: str = "") -> DicomContext:
        """Same patient, study and frame of reference; a new series without instances."""
        return replace(self, series_uid=new_uid(), series_description=description, modality=modality, instances=())

    def write_patient_and_study(self, dataset: Any) -> None:
        """Set the attributes of patient and study on a data set, which then belongs to the same study."""
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.PatientName = self.patient_name
        dataset.PatientID = self.patient_id
        dataset.PatientBirthDate = self.birth_date if set(self.birth_date) - {"0"} else ""
        dataset.PatientSex = self.sex if self.sex in ("M", "F", "O") else ""
        dataset.StudyInstanceUID = self.study_uid
        dataset.StudyDate = self.study_date
        dataset.StudyTime = self.study_time
        dataset.StudyID = self.study_id
        dataset.AccessionNumber = self.accession
        dataset.ReferringPhysicianName = self.referring_physician
        if self.study_description:
            dataset.StudyDescription = self.study_description
        if self.timezone:
            dataset.TimezoneOffsetFromUTC = self.timezone


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
