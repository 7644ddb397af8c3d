"""What the verbs of a case give back: how far it is after what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from hepatica.case.case import Case
from hepatica.case.catalogue import Item
from hepatica.case.layout import folder_name
from hepatica.case.sorting.seen import MULTI_ECHO
from hepatica.case.sorting.tables import in_doubt, table_messages
from hepatica.case.state import Situation, StepState
from hepatica.case.steps.course import step_named
from hepatica.case.steps.shown import source_words
from hepatica.core.message import Message
from hepatica.core.privacy.identity import withheld
from hepatica.core.tables.table import Table
from hepatica.workflow.result import Result, result

HERE = Path()
"""Without another statement the case is the current folder."""


@dataclass(frozen=True, slots=True)
class StepShown:
    """A step as it stands; see `hepatica.case.state.StepState`.

    Attributes
    ----------
    reasons : tuple of str
        What is missing, or changed; of a dose, from which image it is made.
    said : str
        Why a person left it out, or with what error it failed.
    """

    name: str
    title: str
    treatment_number: int
    state: str
    reasons: tuple[str, ...]
    said: str = field(metadata=withheld())
    checked_by: str = field(metadata=withheld())


@dataclass(frozen=True, slots=True)
class ImageShown:
    """Something that was added; see `hepatica.case.catalogue.Item`."""

    name: str
    role: str
    treatment_number: int
    what: str
    description: str = field(metadata=withheld())
    date: str = ""
    files: int = 1
    altered: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


@result
class CaseResult(Result):
    """How far a case is.

    Attributes
    ----------
    steps : tuple of StepShown
        All steps of all treatments.
    images : tuple of ImageShown
        What was added.
    log_lines : int
        Of its log.
    log_hash : str
        The last one.
    retain_until : str or None
        Last day on which the records are to be kept; None where none is stated.
    """

    verb: ClassVar[str] = ""

    steps: tuple[StepShown, ...]
    images: tuple[ImageShown, ...]
    log_lines: int
    log_hash: str
    retain_until: str | None = None

    def title(self) -> str:
        """How many steps stand how."""
        counts: dict[str, int] = {}
        for step in self.steps:
            counts[step.state] = counts.get(step.state, 0) + 1
        return "Case: " + ", ".join(f"{count} {state}" for state, count in counts.items())

    def table(self) -> Table:
        """One row for each step."""
        rows = [(s.name, s.state, "; ".join((*s.reasons, s.said)).strip("; "), s.checked_by) for s in self.steps]
        return Table.of(("step", "state", "why", "checked by"), rows, "Steps", "steps")

    def images_table(self) -> Table:
        """One row for each item."""
        rows = [
            (i.name, i.role, i.treatment_number or None, i.what, i.date, i.files, "; ".join((*i.altered, *i.doubts)))
            for i in self.images
        ]
        columns = ("image", "taken for", "treatment", "it says", "date", "files", "in doubt")
        return Table.of(columns, rows, "Images", "images")


def shown(case: Case) -> dict[str, Any]:
    """Fields of a `CaseResult`, and its messages."""
    situation = case.situation()
    steps = situation.steps
    return {
        "steps": tuple(_step(step, situation) for step in steps.values()),
        "images": tuple(_image(item, situation) for item in situation.catalogue),
        "log_lines": len(situation.history.entries),
        "log_hash": situation.history.last_hash,
        "retain_until": None if (until := situation.facts.retain_until) is None else until.isoformat(),
        "messages": _messages(situation),
    }


DOSE, ACTIVITY = "dose", "activity"


def _made_from(step: StepState, situation: Situation) -> tuple[str, ...]:
    """Which image a dose was, or would be, made from: where there are several that is a choice."""
    if step.name != folder_name(DOSE, step.treatment) or step.state not in ("done", "ready"):
        return ()
    given = {one.word: one.source for one in situation.given(step_named(DOSE), step.treatment)}
    return (f"from {source_words(given[ACTIVITY])}",) if ACTIVITY in given else ()


def _step(step: StepState, situation: Situation) -> StepShown:
    reasons, said = (*step.reasons, *_made_from(step, situation)), ""
    if step.state in ("skipped", "failed"):
        reasons, said = (), "; ".join(step.reasons)
    return StepShown(step.name, step.title, step.treatment, step.state, reasons, said, step.checked_by)


def _image(item: Item, situation: Situation) -> ImageShown:
    altered = situation.altered.get(item.name, ())
    return ImageShown(
        item.name, item.role, item.treatment, item.what, item.description, item.date, len(item.files), altered,
        item.doubts,
    )  # fmt: skip


def _messages(situation: Situation) -> tuple[Message, ...]:
    """What a reader of the status must know."""
    found = []
    if situation.history.problem:
        text = f"the log was changed: {situation.history.problem}"
        found.append(Message("log-changed", text, "restore the log from a backup", severity="critical"))
    if situation.altered:
        files = "; ".join(text for texts in situation.altered.values() for text in texts[:2])
        text = f"files are not what was added: {files}"
        found.append(
            Message(
                "files-altered",
                text,
                "copy the original files over them, or take the image for unused and add the new ones",
                severity="critical",
            )
        )
    until = situation.facts.retain_until
    if until is not None and until < datetime.now(UTC).date():
        text = f"the records were to be kept until {until}: nothing keeps them any longer"
        found.append(Message("retention-ended", text, "erase the patient (hepatica case erase), or state a later date"))
    found += table_messages(situation.catalogue)
    doubtful = in_doubt(situation.catalogue)
    if doubtful:
        text = f"what they are is in doubt: {', '.join(doubtful)}"
        found.append(Message("images-in-doubt", text, "say what each is (hepatica case take IMAGE ROLE)"))
    found += about_images(tuple(situation.catalogue), situation.facts.treatments)
    stale = [step.name for step in situation.steps.values() if step.state == "out of date"]
    if stale:
        text = f"out of date: {', '.join(stale)}"
        found.append(Message("steps-out-of-date", text, "run them again (hepatica case run)"))
    return tuple(found)


def about_images(items: Sequence[Item], treatments: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Images that no step takes or can take as they are: a follow-up before its treatment, MR beside the echoes."""
    found = []
    for item in items:
        if not item.role.startswith("follow-up") or not 1 <= item.treatment <= len(treatments) or not item.date:
            continue
        at = str(treatments[item.treatment - 1].get("at") or "")[:10]
        if at and item.date < at:
            text = f"{item.name} is taken for a follow-up and is of {item.date}, before the treatment of {at}"
            found.append(Message("follow-up-before-treatment", text, "see which date is wrong, or say what it is"))
    echoes = {(item.role, item.treatment) for item in items if item.what.startswith(MULTI_ECHO)}
    beside = [item.name for item in items if (item.role, item.treatment) in echoes and item.what == "MR"]
    if beside:
        text = f"{', '.join(beside)}: MR beside a scan of several echoes, and none of its echoes; no step uses it"
        found.append(Message("echo-not-used", text, "see whether an echo of the scan is among them", severity="note"))
    return tuple(found)
