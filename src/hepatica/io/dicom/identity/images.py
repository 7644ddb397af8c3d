"""DICOM files of scanners and other programs without identity: what cannot be cleaned for certain is refused.

The same profile as for our own objects (PS3.15, annex E: attributes that are not listed are removed, private ones
first), and free texts are withheld as a whole. Letters that are burned into pixels, and faces, are beyond it: files
that say that they hold such, or are of a kind that often does, are refused.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.errors import DicomError
from hepatica.io.dicom.identity.attributes import FREE_TEXTS, KEPT, MORE_OF_IMAGES
from hepatica.io.dicom.identity.profile import deidentify
from hepatica.io.dicom.tags import open_dicom

CLEANED = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "enhanced CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "enhanced MR",
    "1.2.840.10008.5.1.4.1.1.20": "NM",
    "1.2.840.10008.5.1.4.1.1.128": "PET",
    "1.2.840.10008.5.1.4.1.1.130": "enhanced PET",
    "1.2.840.10008.5.1.4.1.1.66.1": "registration",
    "1.2.840.10008.5.1.4.1.1.66.3": "deformable registration",
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.481.2": "RT dose",
    "1.2.840.10008.5.1.4.1.1.481.3": "RT structures",
}
"""Kinds of object whose pixels come from an acquisition or a program, not from a screen."""

OF_SCREENS = ("SCREEN", "SCREENSAVE", "CAPTURE", "SNAPSHOT", "INFO", "PROT", "REPORT")
"""Words of ImageType by which scanners mark pictures with texts in their pixels, whatever the kind of object."""

WITH_FACE = ("HEAD", "BRAIN", "SKULL", "FACE", "HEADNECK", "WHOLEBODY")
"""Body parts by which somebody could be recognised."""

GREY = ("", "MONOCHROME1", "MONOCHROME2")


def deidentified_image(path: Path, anonymiser: Anonymiser) -> bytes:
    """The bytes of a DICOM file of anybody, without identity.

    Raises
    ------
    DicomError
        If it cannot be cleaned for certain (the message says why), or is no DICOM.
    """
    import pydicom
    from pydicom.dataset import FileMetaDataset

    header = open_dicom(path)
    if reason := cannot_be_cleaned(header.dataset):
        raise DicomError(f"cannot be cleaned of identity for certain: {reason}", path=path)
    dataset = pydicom.dcmread(path)
    syntax = dataset.file_meta.TransferSyntaxUID
    _withhold(dataset)
    deidentify(dataset, anonymiser, frozenset((*KEPT, *MORE_OF_IMAGES)))
    # Made anew: the old one may name an application and an institution, the preamble may hold anything.
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.preamble = b"\0" * 128
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def cannot_be_cleaned(dataset: Any) -> str:
    """Why identity cannot be taken out of a file; empty where it can."""
    kind = str(dataset.get("SOPClassUID", ""))
    image_type = {word for part in _listed(dataset.get("ImageType")) for word in re.split(r"[ _]", str(part).upper())}
    part = str(dataset.get("BodyPartExamined", "")).upper().replace(" ", "").replace("_", "")
    reasons = (
        (kind not in CLEANED, f"its kind ({_name_of(kind)}) may hold texts or pictures of screens"),
        (str(dataset.get("BurnedInAnnotation", "")) == "YES", "it says that texts are burned into its pixels"),
        (str(dataset.get("RecognizableVisualFeatures", "")) == "YES", "it says that somebody can be recognised in it"),
        (not image_type.isdisjoint(OF_SCREENS), "ImageType says that it is from a screen"),
        (part in WITH_FACE, f"it shows a face (BodyPartExamined {part})"),
        (
            str(dataset.get("PhotometricInterpretation", "")) not in GREY,
            "its pixels have colours",
        ),
    )
    return next((said for found, said in reasons if found), "")


def _listed(value: Any) -> list[Any]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _name_of(uid: str) -> str:
    from pydicom.uid import UID

    return UID(uid).name if uid else "not stated"


def _withhold(dataset: Any) -> None:
    """Take out free texts, and say of contrast only that it was given."""
    for element in list(dataset):
        if element.keyword in FREE_TEXTS:
            del dataset[element.tag]
        elif element.keyword == "StructureSetLabel":
            element.value = "structures"
        elif element.keyword == "ContentLabel":
            element.value = "CONTENT"
        elif element.keyword == "ContrastBolusAgent":
            element.value = "contrast" if element.value else ""
        elif element.VR == "SQ":
            for item in element.value:
                _withhold(item)
