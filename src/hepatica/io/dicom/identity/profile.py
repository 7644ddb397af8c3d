"""DICOM PS3.15, annex E: the basic application level confidentiality profile, for objects that hepatica writes.

With three options: clean descriptors (E.3.8: descriptions are of hepatica's own making, names of structures were
cleaned), retain longitudinal temporal information with modified dates (E.3.6: every date is shifted by the same
time), and retain patient characteristics (E.3.7: sex, weight and size, on which dose depends).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Collection, Iterator
from typing import Any

from hepatica.core.context import DUMMY_STUDY_ID
from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.core.privacy.identity import Identity
from hepatica.errors import DicomError
from hepatica.io.dicom.identity.attributes import CODES, DAYS, DESCRIPTIONS, EMPTIED, KEPT, PEOPLE
from hepatica.io.dicom.private import is_own
from hepatica.io.dicom.tags import Header
from hepatica.version import __version__

METHODS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113105", "Clean Descriptors Option"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    ("113108", "Retain Patient Characteristics Option"),
)
"""PS3.16, CID 7050."""

_BY = "hepatica "
_KEY = ", key "

DATES = ("DA", "DT")
TEXTS = ("LO", "SH", "LT", "ST", "UT", "UC")


def say_deidentified(dataset: Any, key: str) -> None:
    """State that identity was taken out, how, and by which key (PS3.3 C.7.1.1)."""
    from pydicom.dataset import Dataset

    dataset.PatientIdentityRemoved = "YES"
    # Z in the table: empty, or a dummy, without which no DICOMDIR can be made.
    dataset.StudyID = DUMMY_STUDY_ID
    dataset.DeidentificationMethod = f"{_BY}{__version__}{_KEY}{key}"
    items = []
    for value, meaning in METHODS:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
        items.append(item)
    dataset.DeidentificationMethodCodeSequence = items
    dataset.LongitudinalTemporalInformationModified = "MODIFIED"


def is_deidentified(dataset: Any) -> bool:
    """Whether a data set says that its patient's identity was removed."""
    return bool(dataset.get("PatientIdentityRemoved", "") == "YES")


def deidentified_by(header: Header) -> str:
    """Name of the key by which hepatica took identity out of a file; empty if it did not."""
    text = header.text("DeidentificationMethod")
    removed = header.text("PatientIdentityRemoved") == "YES"
    return text.partition(_KEY)[2] if removed and text.startswith(_BY) else ""


def keep_profile(dataset: Any, kept: Collection[str] = KEPT) -> None:
    """Remove what is not known to be harmless, and empty what must be there without value.

    Private attributes go first, but hepatica's own, which are numbers alone.

    What an object may keep is listed by name: an attribute that a writer adds is removed until it stands there.
    """
    for element in list(dataset):
        if is_own(element):
            continue
        if element.tag.is_private or element.keyword not in (*kept, *EMPTIED):
            del dataset[element.tag]
        elif element.keyword in EMPTIED:
            dataset[element.tag].value = ""
        elif element.VR == "SQ":
            for item in element.value:
                keep_profile(item, kept)


def deidentify(dataset: Any, anonymiser: Anonymiser, kept: Collection[str] = KEPT) -> None:
    """Take identity out of a whole object; `kept` are the attributes that it may have (by default, of our own)."""
    patient = str(dataset.get("PatientID", ""))
    for element in _elements(dataset):
        if element.keyword == "PatientName":
            element.value = anonymiser.name(str(element.value), patient)
        elif element.keyword == "PatientID":
            element.value = anonymiser.person(patient)
        elif element.VR == "UI":
            many = element.VM > 1
            element.value = (
                [anonymiser.uid(str(u)) for u in element.value] if many else anonymiser.uid(str(element.value))
            )
        elif element.VR in DATES + TEXTS and element.value:
            many = element.VM > 1
            texts = [anonymiser.text(str(text)) for text in (element.value if many else [element.value])]
            element.value = texts if many else texts[0]
    say_deidentified(dataset, anonymiser.mark.key)
    keep_profile(dataset, kept)


def deidentified_file(content: bytes, anonymiser: Anonymiser) -> bytes:
    """The bytes of a file that hepatica wrote, without identity."""
    import pydicom

    dataset = pydicom.dcmread(io.BytesIO(content))
    deidentify(dataset, anonymiser)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _elements(dataset: Any) -> Iterator[Any]:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _elements(item)
        else:
            yield element


def identity_of(header: Header) -> Identity:
    """Everything in a file's header that says whose it is, or where and by whom it was made."""
    # With a list of its own: what is looked up here only is no matter of the reader of the image.
    header = Header(header.dataset, header.path)
    found = {kind: _texts(header, kind) for kind in (PEOPLE, CODES, DESCRIPTIONS, DAYS)}
    return Identity(
        header.text("PatientID"), found[PEOPLE], found[CODES], found[DESCRIPTIONS], found[DAYS], deidentified_by(header)
    )


def _texts(header: Header, keywords: tuple[str, ...]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for keyword in keywords:
        # What cannot be read is shown nowhere either.
        with contextlib.suppress(DicomError):
            found |= dict.fromkeys(filter(None, header.texts(keyword)))
    return tuple(found)
