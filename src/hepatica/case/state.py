"""How far a case is: each step done, out of date, ready, waiting for something, failed or skipped, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from hepatica.case.catalogue import Catalogue, Item
from hepatica.case.facts import Facts
from hepatica.case.layout import RECORD, STEPS, folder_name
from hepatica.case.log import History, canonical
from hepatica.case.record import Record, inputs_of
from hepatica.case.steps.course import COURSE
from hepatica.case.steps.inputs import Given, View
from hepatica.case.steps.step import Step
from hepatica.errors import InputError
from hepatica.io.files.manifest import altered_files

State = Literal["done", "out of date", "ready", "waiting", "failed", "skipped"]

_STEP_SOURCE = re.compile(r"steps/([a-z0-9-]+)")
_IMAGE_SOURCE = re.compile(r"images/([^,]+)")


@dataclass(frozen=True, slots=True)
class StepState:
    """One step of one treatment as it stands.

    Attributes
    ----------
    name : str
        "plan", "plan-2" of the second treatment.
    title : str
        For people.
    treatment : int
        From 1.
    state : str
        "done"; "out of date" (an input changed since); "ready" (never run, nothing is missing); "waiting" (something
        is missing); "failed" (the last run, with these inputs); "skipped".
    reasons : tuple of str
        Why it is so.
    checked_by : str
        Who checked the result that is there, with the date; empty where nobody did, or the result changed since.
    result : str
        Hash of the result; empty where there is none.
    """

    name: str
    title: str
    treatment: int
    state: State
    reasons: tuple[str, ...] = ()
    checked_by: str = ""
    result: str = ""


@dataclass(frozen=True, eq=False)
class Situation:
    """A case at one instant: what is stated, what was added, what happened, what was made.

    Attributes
    ----------
    folder : Path
        Of the case.
    facts : Facts
        What persons state.
    catalogue : Catalogue
        What was added.
    history : History
        The log.
    personal : mapping
        What the log says of persons, by keyed hash; empty once that was erased.
    """

    folder: Path
    facts: Facts
    catalogue: Catalogue
    history: History
    personal: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @cached_property
    def altered(self) -> Mapping[str, tuple[str, ...]]:
        """Files that are not what was added, by item."""
        return {item.name: found for item in self.catalogue if (found := item.altered(self.folder))}

    @cached_property
    def records(self) -> Mapping[str, Record]:
        """What each step was made from, by its folder."""
        place = self.folder / STEPS
        folders = sorted(place.iterdir()) if place.is_dir() else []
        return {path.name: Record.read(path) for path in folders if (path / RECORD).is_file()}

    @cached_property
    def edited(self) -> Mapping[str, tuple[str, ...]]:
        """Files of results that are not what their step wrote, by step."""
        return {name: found for name in self.records if (found := self.edits(name))}

    def edits(self, name: str, *, thorough: bool = False) -> tuple[str, ...]:
        """Files of one result that are not what the step wrote; thoroughly: also where time and size say nothing.

        Raises
        ------
        InputError
            If one cannot be read.
        """
        place = self.folder / STEPS / name
        try:
            return tuple(f"steps/{name}/{text}" for text in altered_files(place, thorough=thorough))
        except OSError as error:
            raise InputError(f"{error.filename or place}: cannot be read ({error.strerror})") from error

    def require_unedited(self, given: Sequence[Given]) -> None:
        """Refuse inputs that are not what was added or made, by the hash of every file.

        Raises
        ------
        InputError
            That names them.
        """
        found: list[str] = []
        for one in given:
            for name in _STEP_SOURCE.findall(one.source):
                found += self.edits(name, thorough=True) if name in self.records else ()
            for item in self.catalogue:
                if item.name in _IMAGE_SOURCE.findall(one.source):
                    found += item.altered(self.folder, thorough=True)
        if found:
            raise InputError(
                f"{'; '.join(dict.fromkeys(found))}: not what was added or made",
                remedy="bring back the file, add it anew, or run the step again that made it",
            )

    @property
    def treatments(self) -> range:
        """Numbers of the treatments."""
        return range(1, len(self.facts.treatments) + 1)

    @cached_property
    def steps(self) -> Mapping[str, StepState]:
        """All steps of all treatments, in order."""
        found: dict[str, StepState] = {}
        for number in self.treatments:
            for step in COURSE:
                state = self._state(step, number, found)
                found[state.name] = state
        return found

    def view(self, treatment: int) -> View:
        """What the inputs of one treatment look at."""
        return _View(self, treatment)

    def given(self, step: Step, treatment: int) -> tuple[Given, ...]:
        """Inputs of a step as they are now."""
        view = _View(self, treatment)
        found: dict[str, Given] = {}
        for one in step.inputs:
            found |= {given.word: given for given in one.given(view)}
        return tuple(found.values())

    def missing(self, step: Step, treatment: int) -> tuple[str, ...]:
        """What is to be done before a step can run."""
        view = _View(self, treatment)
        return tuple(dict.fromkeys(text for one in step.inputs if (text := one.missing(view))))

    def _state(self, step: Step, number: int, above: Mapping[str, StepState]) -> StepState:
        name = folder_name(step.name, number)
        record = self.records.get(name)
        given = self.given(step, number)
        last = self.last(name)
        needless = step.needless(_View(self, number)) if step.needless else ""

        def state(found: State, *reasons: str) -> StepState:
            result = "" if record is None else record.result
            if needless and found not in ("done", "skipped"):
                return StepState(name, step.title, number, "skipped", (f"not needed: {needless}",), "", result)
            checked = self.checked(name, result) if found == "done" else ""
            return StepState(name, step.title, number, found, reasons, checked, result)

        if last is not None and last.what == "skipped":
            return state("skipped", str(self.personal.get(last.personal, {}).get("reason", "")))
        missing = self.missing(step, number)
        stale = tuple(self.stale(given, above))
        if record is None and (missing or stale):
            return state("waiting", *missing, *stale)
        if last is not None and last.what == "failed" and last.about.get("inputs") == digest_of(given):
            return state("failed", str(self.personal.get(last.personal, {}).get("error", "")))
        if record is None:
            return state("ready")
        reasons = (*self.edited.get(name, ()), *record.changes(given), *missing, *stale)
        return state("out of date", *dict.fromkeys(reasons)) if reasons else state("done")

    def last(self, name: str) -> Any:
        """The last line of the log about a step that says how it stands."""
        kinds = ("ran", "failed", "skipped", "unskipped")
        found = [entry for entry in self.history.entries if entry.what in kinds and entry.about.get("step") == name]
        return found[-1] if found else None

    def checked(self, name: str, result: str) -> str:
        """Who checked this result of a step, and when; empty where nobody did."""
        found = self.history.about("checked", step=name, result=result)
        if not found:
            return ""
        by = self.personal.get(found[-1].personal, {}).get("by", "somebody (erased)")
        return f"{by}, {found[-1].at[:10]}"

    def stale(self, given: Sequence[Given], above: Mapping[str, StepState]) -> Iterator[str]:
        """What an input stands on that is not as it was."""
        for one in given:
            for name in _STEP_SOURCE.findall(one.source):
                if name in above and above[name].state in ("out of date", "failed"):
                    yield f"{name} is {above[name].state}"
            for name in _IMAGE_SOURCE.findall(one.source):
                yield from self.altered.get(name, ())


def digest_of(given: Sequence[Given]) -> str:
    """One hash of all inputs."""
    import hashlib

    return hashlib.sha256(canonical(sorted(inputs_of(given).items()))).hexdigest()


@dataclass(frozen=True, slots=True)
class _View:
    """What inputs of one treatment look at; see `hepatica.case.steps.inputs.View`."""

    situation: Situation
    treatment: int

    @property
    def folder(self) -> Path:
        return self.situation.folder

    def fact(self, table: str, key: str) -> Any:
        if table == "treatment":
            return self._own.get(key)
        return self.situation.facts.table(table).get(key)

    def following(self, key: str) -> Any:
        treatments = self.situation.facts.treatments
        return treatments[self.treatment].get(key) if self.treatment < len(treatments) else None

    def section(self, step: str) -> Mapping[str, Any]:
        found = self._own.get(step, {})
        return found if isinstance(found, Mapping) else {}

    def images(self, role: str) -> Sequence[Item]:
        return self.situation.catalogue.of(role, self.treatment)

    def result(self, step: str, *, earlier: bool = False) -> tuple[Path, str] | None:
        number = self.treatment - earlier
        name = folder_name(step, number)
        record = self.situation.records.get(name) if number > 0 else None
        if record is None or self._is_left_out(name):
            return None
        return self.folder / STEPS / name, record.result

    def results(self, step: str) -> Sequence[tuple[Path, str]]:
        names = [folder_name(step, number) for number in range(1, self.treatment + 1)]
        records = self.situation.records
        kept = [name for name in names if name in records and not self._is_left_out(name)]
        return [(self.folder / STEPS / name, records[name].result) for name in kept]

    def accepted(self, step: str) -> bool:
        name = folder_name(step, self.treatment)
        record = self.situation.records.get(name)
        if record is None or self._is_left_out(name):
            return False
        return self.situation.checked(name, record.result) != ""

    def left_out(self, step: str) -> bool:
        return self._is_left_out(folder_name(step, self.treatment))

    def _is_left_out(self, name: str) -> bool:
        last = self.situation.last(name)
        return last is not None and last.what == "skipped"

    def digest(self, value: Any) -> str:
        import hashlib

        return hashlib.sha256(canonical(value)).hexdigest()

    @property
    def _own(self) -> Mapping[str, Any]:
        return self.situation.facts.treatments[self.treatment - 1]
