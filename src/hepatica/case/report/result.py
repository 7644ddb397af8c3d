"""The report of a case as a result: the numbers of its first page; saved, its pages and DICOM objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from hepatica.case.pictures import KeptPicture, kept_pictures
from hepatica.case.report.document import case_document
from hepatica.case.report.material import CaseMaterial, Disease, Person, case_material
from hepatica.case.report.objects import REPORT, write_objects
from hepatica.case.report.summary import TreatmentSummary, shown_structures
from hepatica.case.report.warnings import open_warnings
from hepatica.case.state import Situation
from hepatica.core.document import HIDDEN
from hepatica.core.message import Message, unique
from hepatica.core.privacy.identity import withheld
from hepatica.core.provenance import Provenance
from hepatica.core.tables.table import Table
from hepatica.planning.limits.dose_limits import SEEN_WHOLE
from hepatica.report.document import Document
from hepatica.report.files import document_files
from hepatica.workflow.result import Result, result


@dataclass(frozen=True, slots=True)
class StepLine:
    """How a step stands on the report.

    Attributes
    ----------
    name, title, state : str
        As `case status` has them; "changed" where the result on the disk is not what the step wrote.
    treatment_number : int
        From 1.
    reasons : tuple of str
        Why it is so.
    said : str
        Why a person left it out, or with what error it failed.
    checked_by, checked_on : str
        Who checked the result, and on which date.
    """

    name: str
    title: str
    treatment_number: int
    state: str
    reasons: tuple[str, ...]
    said: str = field(metadata=withheld())
    checked_by: str = field(metadata=withheld("somebody"))
    checked_on: str = ""


@result
class CaseReportResult(Result):
    """The report of a case: numbers of the first page, each from the result of a step that is up to date.

    Attributes
    ----------
    case_patient : Person
        Whose case it is.
    disease : Disease
        What is treated.
    case_treatments : tuple of TreatmentSummary
        Planned against delivered, of each treatment.
    steps : tuple of StepLine
        How each step stands, and who checked it.
    log_lines : int
        Of the log of the case.
    log_hash : str
        The last one.
    """

    verb: ClassVar[str] = "case_report"

    case_patient: Person
    disease: Disease
    case_treatments: tuple[TreatmentSummary, ...]
    steps: tuple[StepLine, ...]
    log_lines: int
    log_hash: str
    material: CaseMaterial = field(metadata=HIDDEN)
    kept: tuple[KeptPicture, ...] = field(default=(), metadata=HIDDEN)

    def title(self) -> str:
        """What is up to date."""
        current = sum(step.state == "done" for step in self.steps)
        stale = [step.name for step in self.steps if step.state in ("out of date", "changed", "failed")]
        left = f"; not up to date: {', '.join(stale)}" if stale else ""
        return f"Report of the course: {current} of {len(self.steps)} steps are up to date{left}"

    def table(self) -> Table:
        """Planned against delivered of all treatments; what was seen of each, where something is cut off."""
        shown = [(one, s) for one in self.case_treatments for s in shown_structures(one.structures)]
        cut = any(s.seen_share < SEEN_WHOLE for _, s in shown)
        rows = [
            (
                one.number, s.name, s.volume_ml, s.planned_dose_gy, s.delivered_dose_gy, s.delivered_known_sd_gy,
                s.d95_gy, *((100 * s.seen_share,) if cut else ()),
            )
            for one, s in shown
        ]  # fmt: skip
        columns = (
            "treatment", "structure", "volume, mL", "planned, Gy", "delivered, Gy", "known SD, Gy", "D95, Gy",
            *(("seen, %",) if cut else ()),
        )  # fmt: skip
        return Table.of(columns, rows, "Planned against delivered", "planned-and-delivered")

    def tables(self) -> tuple[Table, ...]:
        """Doses, and the steps."""
        rows = [
            (
                s.name,
                s.state,
                "; ".join(filter(None, (*s.reasons, s.said))),
                ", ".join(filter(None, (s.checked_by, s.checked_on))),
            )
            for s in self.steps
        ]
        return (self.table(), Table.of(("step", "state", "why", "checked by"), rows, "Steps", "steps"))

    def document(self) -> Document:
        """All pages. Without identity the pictures that persons kept are left out: who knows what stands in them."""
        kept = self.kept if self.provenance.deidentified is None else ()
        return case_document(self.material, self.provenance.now().astimezone(), kept)

    def write(self, folder: Path) -> None:
        """Write ``report.html``, ``report.pdf``, and as DICOM ``report.dcm`` and ``radiation-dose-1.dcm``, ..."""
        document = self.document()
        for name, content in document_files(document, REPORT).items():
            (folder / name).write_bytes(content)
        write_objects(folder, self.material, document.title)


def report_of(situation: Situation) -> CaseReportResult:
    """The report of a case as it is now.

    Raises
    ------
    InputError
        If the result of a step cannot be read.
    """
    material = case_material(situation)
    lines = tuple(
        StepLine(s.name, s.title, s.treatment_number, s.state, s.reasons, s.said, s.checked_by, s.checked_on)
        for s in material.steps
    )
    warnings = [
        message
        for one in material.treatments
        for message in open_warnings(material.of_treatment(one.number).values())[0]
    ]
    return CaseReportResult(
        case_patient=material.person,
        disease=material.disease,
        case_treatments=material.treatments,
        steps=lines,
        log_lines=material.log_lines,
        log_hash=material.log_hash,
        material=material,
        kept=kept_pictures(situation),
        messages=unique(material.messages, _stale(material), warnings),
        provenance=Provenance(inputs=material.inputs, conventions={"case log": material.log_hash}),
    )


def _stale(material: CaseMaterial) -> list[Message]:
    return [
        Message(
            "step-not-usable", f"{step.name} is {step.state}: its numbers are not shown", "run it again", "critical"
        )
        for step in material.stale
    ]
