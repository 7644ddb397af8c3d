"""A PDF as a DICOM object (Encapsulated PDF, PS3.3 A.45.1), so that it can be filed beside the images."""

from __future__ import annotations

from pathlib import Path

from hepatica.core.context import DicomContext
from hepatica.io.dicom.objects import code, new_object, save_object

ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def write_encapsulated_pdf(path: Path, pdf: bytes, title: str, context: DicomContext) -> Path:
    """Write a PDF into the study of `context`; each page of ours names the patient, which the object says."""
    dataset = new_object(context, ENCAPSULATED_PDF, "DOC", description=title)
    dataset.ConversionType = "WSD"
    dataset.ContentDate, dataset.ContentTime = dataset.InstanceCreationDate, dataset.InstanceCreationTime
    dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "NO" if context.deidentified is not None else "YES"
    dataset.DocumentTitle = title
    dataset.ConceptNameCodeSequence = [code("18748-4", "LN", "Diagnostic Imaging Report")]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(pdf)
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    return save_object(dataset, path)
