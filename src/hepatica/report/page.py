"""A page of plain words (the patient's sheet) as a document, written as HTML or PDF."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from hepatica.errors import OutputError
from hepatica.report.document import Bullets, Document, Facts, Paragraph, Section
from hepatica.report.files import document_files


class Page(Protocol):
    """What a page holds: `hepatica.safety.sheet.PatientSheet` is one."""

    @property
    def language(self) -> str:
        """Two letters."""

    @property
    def title(self) -> str:
        """Heading."""

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """Label and value."""

    @property
    def intro(self) -> str:
        """First paragraph."""

    @property
    def sections(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Heading and sentences."""

    @property
    def footer(self) -> str:
        """Small print."""


def page_document(page: Page) -> Document:
    """The page as a document: one A4 page in large letters."""
    return Document(
        title=page.title,
        sections=(
            Section("", (Facts.of(page.facts), Paragraph(page.intro))),
            *(Section(heading, (Bullets(lines),)) for heading, lines in page.sections),
        ),
        notice="",
        footer=page.footer,
        language=page.language,
        sheet=True,
    )


def write_page(page: Page, path: Path) -> None:
    """Write a page as .html or .pdf (one A4 page); wrap in `io.files.atomic_output`.

    Raises
    ------
    OutputError
        If the suffix is neither.
    """
    files = document_files(page_document(page), path.stem)
    name = f"{path.stem}{path.suffix.lower()}"
    if name not in files:
        raise OutputError(f"{path.name}: a patient sheet is written as .html or .pdf")
    path.write_bytes(files[name])
