"""The report of a case as a document of the house, and as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from hepatica.case.pictures import KeptPicture
from hepatica.case.report.annex import annex_sections
from hepatica.case.report.front import carried_sections, front_sections, histograms_picture
from hepatica.case.report.material import CaseMaterial
from hepatica.case.report.pages import step_section
from hepatica.case.report.room import ROOMS
from hepatica.case.report.summary import TreatmentSummary
from hepatica.report.document import Document, Picture, Section
from hepatica.report.pdf import pages_of

TITLE = "Radioembolization: report of the course"

NAME_LETTERS = 44
"""Of a long name in the head of a page, so that the number has room; the first page has all of it."""

LEFT_WITHOUT_PART = ("waiting", "ready", "skipped")
"""States of a step that the list on the first page says all about: such a step has no part of its own."""


def case_document(material: CaseMaterial, created: datetime, kept: Sequence[KeptPicture] = ()) -> Document:
    """First page, a part for each step, annex.

    Parameters
    ----------
    material : CaseMaterial
        What is said.
    created : datetime
        When.
    kept : sequence of KeptPicture
        Pictures that persons kept, before the annex.
    """
    sections: list[Section] = []
    latest = _latest(material)
    carried: list[Section] = []
    for treatment in sorted(material.treatments, key=lambda one: (one.number != latest, one.number)):
        page, over = _one_page(material, treatment, first=treatment.number == latest)
        sections += page
        carried += over
    sections += carried
    begun = False
    for step in material.steps:
        if step.state in LEFT_WITHOUT_PART:
            continue
        part = step_section(step, material.of_treatment(step.treatment_number).get("dose"))
        heading = f"{part.heading}, treatment {step.treatment_number}" if len(material.treatments) > 1 else part.heading
        sections.append(
            Section(heading, part.blocks, band=True, side=part.side, side_mark=part.side_mark, page=not begun)
        )
        begun = True
    person = material.person
    whole = person.shown_name
    name = whole if len(whole) <= NAME_LETTERS else f"{whole[:NAME_LETTERS]}…"
    who = ", ".join(filter(None, (name, person.patient_id, person.birth_date and f"born {person.birth_date}")))
    return Document(
        title=TITLE,
        sections=(*sections, *_kept(kept), *annex_sections(material)),
        who=who,
        created=created,
    )


def _one_page(
    material: CaseMaterial, treatment: TreatmentSummary, *, first: bool
) -> tuple[list[Section], list[Section]]:
    """The page of a treatment with as much as it has room for, and what is carried over to the pages after it."""
    histograms = histograms_picture(treatment, material.of_treatment(treatment.number))
    for room in ROOMS:
        page = front_sections(material, treatment, room, histograms, first=first)
        # The title stands on the first page alone.
        begun = replace(page[0], page=False)
        if pages_of(Document(TITLE if first else "", (begun, *page[1:]))) == 1:
            break
    carried = room != ROOMS[0]
    return page, carried_sections(material, treatment, room, histograms, first=first) if carried else []


def _kept(pictures: Sequence[KeptPicture]) -> list[Section]:
    """Pictures that persons kept, each with what it shows, who kept it and when."""
    if not pictures:
        return []
    found = [Picture("", f"{one.caption} (kept by {one.by}, {one.at[:10]})", one.png) for one in pictures]
    return [Section("Pictures that were kept", tuple(found), band=True)]


def _latest(material: CaseMaterial) -> int:
    """The treatment of the first page: the last one of which something was done."""
    done = [step.treatment_number for step in material.steps if step.document]
    return max(done, default=1)
