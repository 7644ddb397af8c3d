"""What a report takes from a case: facts, each step as it stands, and the results of those that are up to date."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hepatica.case.layout import STEPS
from hepatica.case.record import Record
from hepatica.case.state import Situation, StepState
from hepatica.case.steps.shown import source_words
from hepatica.core.message import Message, unique
from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.core.privacy.identity import withheld
from hepatica.core.tables.table import Cell, Table
from hepatica.core.text.files import json_file
from hepatica.core.text.visible import from_spreadsheet
from hepatica.errors import InputError
from hepatica.io.files.manifest import changed_files

RESULT = "result.json"


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture that a step drew.

    Attributes
    ----------
    name : str
        Of its file, without ending.
    png : bytes
        The picture.
    names : tuple of str
        What is written in it that comes from outside: names of structures.
    """

    name: str
    png: bytes = field(repr=False)
    names: tuple[str, ...] = ()

    def anonymised(self, anonymiser: Anonymiser) -> StoredPicture:
        """The same, or none where something written in it says whose it is: a letter in a picture cannot be changed."""
        is_clean = all(anonymiser.text(name) == name for name in self.names)
        return self if is_clean else StoredPicture(self.name, b"", ())


@dataclass(frozen=True, slots=True)
class CourseStep:
    """One step of one treatment, and what it found where that is up to date.

    Attributes
    ----------
    name, title : str
        "plan-2", "Plan".
    kind : str
        Name without the number of the treatment.
    treatment_number : int
        From 1.
    state : str
        As `case status` says it; "changed" where the result on the disk is not what the step wrote.
    reasons : tuple of str
        Why it is so.
    said : str
        Why a person left it out, or with what error it failed.
    checked_by, checked_on : str
        Who checked the result, and on which date; empty where nobody did.
    document : mapping
        Its ``result.json``; empty unless the step is up to date.
    tables : mapping of str to Table
        Its tables by name; likewise.
    pictures : tuple of StoredPicture
        Likewise.
    run_at : str
        Instant of the run, as the log has it.
    software : str
        Version that ran it.
    read : tuple of str
        Paths of what it read, as its result names them: of use only to take them out.
    given : mapping of str to str
        Option of its verb -> image or step that it was made from; empty unless the step is up to date.
    """

    name: str
    title: str
    kind: str
    treatment_number: int
    state: str
    reasons: tuple[str, ...] = ()
    said: str = field(default="", metadata=withheld())
    checked_by: str = field(default="", metadata=withheld("somebody"))
    checked_on: str = ""
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tables: Mapping[str, Table] = field(default_factory=dict, repr=False)
    pictures: tuple[StoredPicture, ...] = field(default=(), repr=False)
    run_at: str = ""
    software: str = ""
    read: tuple[str, ...] = field(default=(), repr=False)
    given: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def made_from(self) -> str:
        """Images and steps that it took, in the order of its inputs."""
        taken = dict.fromkeys(source for source in self.given.values() if source.startswith(("images/", "steps/")))
        return ", ".join(source_words(source) for source in taken)

    def sources(self, word: str) -> str:
        """Where the value of an option of its verb came from: "therapy-pet", "holmium-mri"; empty where unknown."""
        return source_words(self.given.get(word, ""))

    @property
    def is_current(self) -> bool:
        """Whether its numbers may be shown."""
        return self.state == "done"

    @property
    def messages(self) -> tuple[Message, ...]:
        """What it said of its numbers itself; what it was handed by the results it took stands at their own step."""
        return unique(Message(**message) for message in self.document.get("messages", ()))

    def picture(self, name: str) -> StoredPicture | None:
        """A picture by name; None where there is none."""
        return next((one for one in self.pictures if one.name == name and one.png), None)

    def standing(self) -> str:
        """How it stands, in words for people."""
        why = "; ".join(part for part in (*self.reasons, self.said) if part)
        return f"{self.state}: {why}" if why else self.state


def course_steps(situation: Situation) -> tuple[CourseStep, ...]:
    """Every step of every treatment, with the results of those that are up to date.

    Raises
    ------
    InputError
        If the result of a step that is done cannot be read.
    """
    found: list[CourseStep] = []
    changed: dict[str, str] = {}
    for state in situation.steps.values():
        step = _step(situation, state)
        above = [name for source in step.given.values() for name in _STEP.findall(source) if name in changed]
        if above and step.is_current:
            text = f"made from {', '.join(dict.fromkeys(changed[name] for name in above))}, whose result was changed"
            step = CourseStep(step.name, step.title, step.kind, step.treatment_number, "out of date", (text,))
            changed[step.name] = changed[above[0]]
        elif step.state == "changed":
            changed[step.name] = step.name
        found.append(step)
    return tuple(found)


_STEP = re.compile(r"steps/([a-z0-9-]+)")


def _step(situation: Situation, state: StepState) -> CourseStep:
    folder = situation.folder / STEPS / state.name
    reasons, said, found, document = state.reasons, "", state.state, {}
    read: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    if state.state in ("skipped", "failed"):
        # An error names options in backticks; on paper they are words.
        reasons, said = (), Message("", "; ".join(state.reasons)).plain_text
    shown: str = found
    if found == "done":
        document = json_file(folder / RESULT)
        changed = _changed(folder, document, situation.records[state.name])
        if changed:
            text = f"{', '.join(changed)} is not what the step wrote; run it again"
            shown, reasons, document = "changed", (text,), {}
        else:
            read = tuple(str(one["path"]) for one in document.get("provenance", {}).get("inputs", ()))
            places = places_of(str(situation.folder), read)
            document = dict(_own(without_places(document, places)))
    by, _, on = state.checked_by.rpartition(", ")
    ran = situation.last(state.name)
    kind = state.name.removesuffix(f"-{state.treatment}") if state.treatment > 1 else state.name
    return CourseStep(
        name=state.name,
        title=state.title,
        kind=kind,
        treatment_number=state.treatment,
        state=shown,
        reasons=reasons,
        said=said,
        checked_by=by if shown == "done" else "",
        checked_on=on if shown == "done" else "",
        document=document,
        tables=_tables(folder, places) if document else {},
        pictures=_pictures(folder, _names_in(document)) if document else (),
        run_at=ran.at if document and ran is not None and ran.what == "ran" else "",
        software=situation.records[state.name].software if document else "",
        read=read,
        given={word: source for word, (source, _) in situation.records[state.name].inputs.items()} if document else {},
    )


def places_of(folder: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Folders in which a case lies and lay when its steps ran, longest first: it may have been moved since."""
    found = {folder}
    for path in paths:
        plain = path.replace("\\", "/")
        found |= {plain.rpartition(inside)[0] for inside in ("/images/", "/steps/")}
    return tuple(sorted(found - {""}, key=len, reverse=True))


def without_places(value: Any, places: tuple[str, ...]) -> Any:
    """Texts in which files of the case are named from its own folder: a report is read elsewhere."""
    if isinstance(value, str):
        for place in places:
            for sign in ("/", "\\"):
                value = value.replace(f"{place}{sign}", "").replace(f"{place.replace('/', sign)}{sign}", "")
        return value
    if isinstance(value, Mapping):
        return {key: without_places(item, places) for key, item in value.items()}
    return [without_places(item, places) for item in value] if isinstance(value, list) else value


_HANDED_ON = re.compile(r"\S*steps[/\\][a-z0-9-]+: ")
"""How a message begins that a step was handed: with the folder of the step that said it."""


def _own(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A result with the messages that the step said itself."""
    messages = [one for one in document.get("messages", ()) if not _HANDED_ON.match(str(one.get("text", "")))]
    return {**document, "messages": messages}


def _changed(folder: Path, document: Mapping[str, Any], record: Record) -> tuple[str, ...]:
    """Files of a step that somebody edited since it ran, by the hashes that were noted then."""
    try:
        found = changed_files(folder, (".csv", ".png"))
    except OSError as error:
        raise InputError(f"{error.filename or folder}: cannot be read ({error.strerror})") from error
    is_same = Record.of_document(record.inputs, document) == record.result
    return found if is_same else (RESULT, *found)


def _pictures(folder: Path, names: tuple[str, ...]) -> tuple[StoredPicture, ...]:
    found = []
    for path in sorted(folder.glob("*.png")):
        try:
            found.append(StoredPicture(path.stem, path.read_bytes(), names))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    return tuple(found)


_NAMED = ("name", "structure", "lesion", "moving_name", "fixed_name")


def _names_in(value: Any) -> tuple[str, ...]:
    """Every name of a structure or image in a result."""
    found: dict[str, None] = {}

    def walk(item: Any, key: str = "") -> None:
        if isinstance(item, Mapping):
            for inner, content in item.items():
                walk(content, inner)
        elif isinstance(item, list):
            for content in item:
                walk(content, key)
        elif isinstance(item, str) and key in _NAMED:
            found[item] = None

    walk(value)
    return tuple(found)


def _tables(folder: Path, places: tuple[str, ...]) -> dict[str, Table]:
    """Tables that a step wrote as CSV, numbers as numbers."""
    found = {}
    for path in sorted(folder.glob("*.csv")):
        try:
            with path.open(encoding="utf-8", newline="") as stream:
                head, *rows = csv.reader(stream)
        except (OSError, ValueError, csv.Error) as error:
            raise InputError(f"{path}: is no table that a step wrote ({error})") from error
        columns = [from_spreadsheet(text) for text in head]
        rows = without_places(rows, places)
        found[path.stem] = Table.of(columns, _cells(rows, len(columns)), "", path.stem)
    return found


def _cells(rows: Sequence[Sequence[str]], columns: int) -> list[list[Cell]]:
    whole = [row for row in rows if len(row) == columns]
    kinds = [_kind([row[n] for row in whole if row[n]]) for n in range(columns)]
    return [[None if not text else kind(text) for text, kind in zip(row, kinds, strict=True)] for row in whole]


WORDS = {"True": True, "False": False}


def _kind(texts: Sequence[str]) -> Callable[[str], Cell]:
    """What a column holds: whole numbers, numbers, yes and no, or texts."""
    if texts and all(text in WORDS for text in texts):
        return WORDS.__getitem__
    for number in (int, float):
        try:
            for text in texts:
                number(text)
        except ValueError:
            continue
        return number
    return from_spreadsheet
