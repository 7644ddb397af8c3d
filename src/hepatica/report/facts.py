"""Facts about patient and images, as reports print them."""

from __future__ import annotations

from hepatica.core.context import DicomContext
from hepatica.core.image import Image
from hepatica.core.numbers.wording import three
from hepatica.report.document import Fact
from hepatica.report.dose_report import ImageUsed


def patient_facts(context: DicomContext | None) -> tuple[Fact, ...]:
    """Whose images they are."""
    if context is None:
        return (Fact("Patient", "not stated (the images are not DICOM)"),)
    born = context.birth_date
    return stated_facts(
        ("Name", context.patient_name.replace("^", " ").strip()),
        ("ID", context.patient_id),
        ("Born", f"{born[:4]}-{born[4:6]}-{born[6:8]}" if len(born) == len("19610102") else born),
        ("Sex", context.sex),
        ("Study", context.study_description or context.study_id),
        ("Accession", context.accession),
    )


def image_used(role: str, image: Image) -> ImageUsed:
    """One image as the report names it."""
    facts, volume = image.acquisition, image.volume
    words = " ".join(filter(None, (facts.modality, facts.description, facts.scanner))) or image.name
    when = "" if volume.time is None else f"{volume.time:%Y-%m-%d %H:%M:%S}"
    size = " x ".join(map(str, volume.grid.shape))
    spacing = " x ".join(three(s) for s in volume.grid.spacing_mm)
    return ImageUsed(role, words, volume.kind.unit, when, f"{size} of {spacing} mm")


def stated_facts(*pairs: tuple[str, str]) -> tuple[Fact, ...]:
    """Labels with their values; without those that have none."""
    return tuple(Fact(label, value) for label, value in pairs if value)
