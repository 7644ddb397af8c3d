"""Whose image it is and which files it came from: what an object written beside it must repeat."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.core.privacy.identity import Deidentified, Identity
from hepatica.core.volume import Volume

DUMMY_STUDY_ID = "1"

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"

UID_ROOT = "1.2.826.0.1.3680043.8.498."
"""Root that pydicom gives to all who have none of their own."""

UID_DIGITS = 64 - len(UID_ROOT)
"""A unique identifier has at most 64 characters (DICOM PS3.5, 9.1)."""


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
    deidentified : Deidentified or None
        That identity was taken out, which objects written beside it say.
    deidentified_by : str
        Name of the key by which the files themselves were de-identified by hepatica; empty where they were not.
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
    deidentified: Deidentified | None = None
    deidentified_by: str = ""

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
        """New context with new UIDs, for an image that has none (NIfTI, MetaImage, an array, the virtual patient).

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

    @classmethod
    def of_volume(cls, volume: Volume, patient_id: str) -> DicomContext:
        """New context with new UIDs, in the volume's frame of reference and at its time."""
        made, frame = cls.invented(patient_id=patient_id, when=volume.time), volume.grid.frame_of_reference
        return made if frame is None else replace(made, frame_of_reference=frame)

    @property
    def identity(self) -> Identity:
        """Everything in it that says whose it is."""
        return Identity(
            patient_id=self.patient_id,
            people=tuple(filter(None, (self.patient_name, self.referring_physician))),
            codes=tuple(filter(None, (self.accession, self.study_id))),
            texts=tuple(filter(None, (self.study_description, self.series_description))),
            dates=tuple(filter(None, (self.study_date, self.birth_date))),
            deidentified_by=self.deidentified_by,
        )

    def anonymised(self, anonymiser: Anonymiser) -> DicomContext:
        """By the basic profile of DICOM PS3.15, annex E, dates modified; sex is kept as a patient characteristic."""
        instances = (replace(i, sop_instance_uid=anonymiser.uid(i.sop_instance_uid), path=None) for i in self.instances)
        return replace(
            self,
            patient_id=anonymiser.person(self.patient_id),
            patient_name=anonymiser.name(self.patient_name, self.patient_id),
            birth_date="",
            study_uid=anonymiser.uid(self.study_uid),
            study_date=anonymiser.dicom_date(self.study_date),
            study_id=DUMMY_STUDY_ID,
            study_description="",
            accession="",
            referring_physician="",
            frame_of_reference=anonymiser.uid(self.frame_of_reference),
            series_uid=anonymiser.uid(self.series_uid),
            series_description="",
            instances=tuple(instances),
            deidentified=anonymiser.mark,
        )

    @property
    def is_multiframe(self) -> bool:
        """Whether one file holds all slices."""
        return len(self.instances) == 1 and self.instances[0].frames > 1

    def with_new_series(self, *, modality: str, description: str = "") -> DicomContext:
        """Same patient, study and frame of reference; a new series without instances."""
        return replace(self, series_uid=new_uid(), series_description=description, modality=modality, instances=())


def uid_of(*words: str) -> str:
    """The unique identifier that belongs to these words: the same ones always have the same."""
    digest = hashlib.sha256("\0".join(words).encode()).hexdigest()
    return f"{UID_ROOT}{int(digest, 16) % 10**UID_DIGITS}"


def new_uid() -> str:
    """A new unique identifier, random."""
    return f"{UID_ROOT}{secrets.randbelow(10**UID_DIGITS)}"
