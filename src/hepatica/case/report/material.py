"""Everything that the report of a case says, as one value, from which identity can be taken out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hepatica.case.catalogue import Item
from hepatica.case.report.course import CourseStep, course_steps, places_of
from hepatica.case.report.summary import TreatmentSummary, summary_of
from hepatica.case.sorting.tables import in_doubt, table_messages
from hepatica.case.state import Situation
from hepatica.core.context import DicomContext
from hepatica.core.message import Message
from hepatica.core.privacy.identity import withheld
from hepatica.core.provenance import InputFile
from hepatica.errors import DicomError
from hepatica.io.dicom.context import context_of
from hepatica.io.dicom.identity.profile import identity_of
from hepatica.io.dicom.tags import open_dicom

CONTEXT_ROLES = ("therapy-pet", "therapy-spect", "therapy-ct", "scout-spect", "scout-ct")
"""Images in whose study the report's DICOM objects are filed, in order of preference; else any."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whose case it is.

    Attributes
    ----------
    patient_name, patient_id : str
        As stated, else as the images have them.
    birth_date : str
        YYYY-MM-DD; empty where nobody says it.
    sex : str
        M, F, O.
    name_of_images : str
        PatientName of the images where it is another than the stated one.
    """

    patient_name: str = ""
    patient_id: str = ""
    birth_date: str = field(default="", metadata=withheld())
    sex: str = ""
    name_of_images: str = field(default="", metadata=withheld())

    @property
    def shown_name(self) -> str:
        """For people: without the delimiter that DICOM wants in a pseudonym."""
        return self.patient_name.replace("^", " ").strip()


@dataclass(frozen=True, slots=True)
class Disease:
    """What is treated, as stated."""

    indication: str = ""
    description: str = field(default="", metadata=withheld())
    stage: str = field(default="", metadata=withheld())


@dataclass(frozen=True, slots=True)
class ImageLine:
    """An image of the case.

    Attributes
    ----------
    name, role, what : str
        In the case, what it is taken for, and what its file says.
    date : str
        Of its acquisition.
    files : int
        How many.
    sha256 : str
        Of its content; keyed where identity was taken out.
    state : str
        "as added", or what was found changed.
    """

    name: str
    role: str
    what: str
    date: str
    files: int
    sha256: str
    state: str


@dataclass(frozen=True, slots=True)
class CaseMaterial:
    """What a report says.

    Attributes
    ----------
    person, disease : Person, Disease
        As stated.
    treatments : tuple of TreatmentSummary
        In order.
    steps : tuple of CourseStep
        Of all treatments.
    images : tuple of ImageLine
        Of the case.
    messages : tuple of Message
        About the case itself: a log that was changed, files that are not what was added.
    log_lines : int
        Of the log.
    log_hash : str
        The last one.
    context : DicomContext or None
        Study in which DICOM objects are filed; None where the case has no DICOM image.
    inputs : tuple of InputFile
        Images, with whom they are about.
    paths : tuple of str
        Folder of the case, and paths that its results name: of use only to take them out.
    """

    person: Person
    disease: Disease
    treatments: tuple[TreatmentSummary, ...]
    steps: tuple[CourseStep, ...]
    images: tuple[ImageLine, ...]
    messages: tuple[Message, ...]
    log_lines: int
    log_hash: str
    context: DicomContext | None = None
    inputs: tuple[InputFile, ...] = field(default=(), repr=False)
    paths: tuple[str, ...] = field(default=(), repr=False)

    def of_treatment(self, number: int) -> Mapping[str, CourseStep]:
        """Steps of one treatment by kind."""
        return {step.kind: step for step in self.steps if step.treatment_number == number}

    @property
    def stale(self) -> tuple[CourseStep, ...]:
        """Steps that have a result which may not be used, or failed."""
        return tuple(step for step in self.steps if step.state in ("out of date", "changed", "failed"))


def case_material(situation: Situation) -> CaseMaterial:
    """Of a case as it is now.

    Raises
    ------
    InputError
        If the result of a step cannot be read.
    """
    steps = course_steps(situation)
    context = _context(situation)
    person = _person(situation, context)
    by_treatment = {n: {s.kind: s for s in steps if s.treatment_number == n} for n in situation.treatments}
    return CaseMaterial(
        person=person,
        disease=Disease(**{key: _text(situation, "disease", key) for key in ("indication", "description", "stage")}),
        treatments=tuple(
            summary_of(
                n,
                situation.facts.treatments[n - 1],
                by_treatment[n],
                [by_treatment[k] for k in range(1, n)],
                indication=_text(situation, "disease", "indication"),
            )
            for n in situation.treatments
        ),
        steps=steps,
        images=tuple(_image(item, situation) for item in situation.catalogue),
        messages=_messages(situation, person),
        log_lines=len(situation.history.entries),
        log_hash=situation.history.last_hash,
        context=context,
        inputs=tuple(_input(item, situation.folder) for item in situation.catalogue),
        paths=tuple(dict.fromkeys((str(situation.folder), *_paths(steps)))),
    )


def _paths(steps: Iterable[CourseStep]) -> Iterator[str]:
    """Where the case lay when its steps ran, and what they read: it may have been moved since."""
    for step in steps:
        yield from places_of("", step.read)
        yield from step.read


def _text(situation: Situation, table: str, key: str) -> str:
    value = situation.facts.table(table).get(key)
    return "" if value is None else str(value)


def person_of(situation: Situation) -> Person:
    """Whose case it is, as stated, else as the images have it; it reads one header and no result."""
    return _person(situation, _context(situation))


def _person(situation: Situation, context: DicomContext | None) -> Person:
    """Stated facts first, then those of the images."""
    name, number = _text(situation, "patient", "name"), _text(situation, "patient", "id")
    born, sex = _text(situation, "patient", "birth_date"), _text(situation, "patient", "sex")
    other = ""
    if context is not None:
        other = context.patient_name if name and _letters(name) != _letters(context.patient_name) else ""
        name, number = name or context.patient_name, number or context.patient_id
        born, sex = born or _dashed(context.birth_date), sex or context.sex
    return Person(name.replace("^", " ").strip(), number, born, sex, other.replace("^", " ").strip())


def _letters(name: str) -> list[str]:
    """Words of a name, whatever their order."""
    return sorted(name.replace("^", " ").replace(",", " ").casefold().split())


def _dashed(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if date.isdecimal() and len(date) == len("YYYYMMDD") else ""


def _context(situation: Situation) -> DicomContext | None:
    preferred = [item for role in CONTEXT_ROLES for item in reversed(situation.catalogue.of(role))]
    for item in (*preferred, *situation.catalogue):
        if item.series:
            try:
                return context_of([open_dicom(situation.folder / item.files[0].path, check_length=False)])
            except DicomError:
                continue  # that file was changed or is gone, which the report says; another one will do
    return None


def _input(item: Item, folder: Path) -> InputFile:
    """An image with whom its header is about; the hash is that of the catalogue."""
    found = InputFile(item.role, item.folder, item.digest, len(item.files))
    if not item.series:
        return found
    try:
        header = open_dicom(folder / item.files[0].path, check_length=False)
    except DicomError:
        return found
    return InputFile(item.role, item.folder, item.digest, len(item.files), identity=identity_of(header))


def _image(item: Item, situation: Situation) -> ImageLine:
    state = "; ".join(situation.altered.get(item.name, ())) or "as added"
    return ImageLine(item.name, item.role, item.what, item.date, len(item.files), item.digest, state)


def _messages(situation: Situation, person: Person) -> tuple[Message, ...]:
    found = []
    if situation.history.problem:
        text = "the log was changed: what it says of steps and checks cannot be trusted"
        found.append(Message("log-changed", text, "restore it from a backup", severity="critical"))
    if situation.altered:
        text = f"images are not what was added: {', '.join(situation.altered)}"
        found.append(Message("files-altered", text, "put them back, or add the new ones", severity="critical"))
    if person.name_of_images:
        text = "the name that is stated is not the name in the images"
        found.append(Message("names-differ", text, "make sure whose images they are", severity="critical"))
    found += table_messages(situation.catalogue)
    doubtful = in_doubt(situation.catalogue)
    if doubtful:
        text = f"what they are is in doubt: {', '.join(doubtful)}"
        found.append(Message("images-in-doubt", text, "say what each is"))
    return tuple(found)
