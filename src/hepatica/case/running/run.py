"""Running steps: those that are out of date, what they stand on first, and nothing else."""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hepatica.case.adding import sorted_anew
from hepatica.case.catalogue import Catalogue
from hepatica.case.facts import Facts
from hepatica.case.layout import RECORD, SET_ASIDE, STEPS
from hepatica.case.log import Log
from hepatica.case.protect.personal import Personal
from hepatica.case.record import Record
from hepatica.case.sorting.tables import STEP_OF, require_own, table_of
from hepatica.case.state import Situation, StepState, digest_of
from hepatica.case.steps.course import STEPS as STEP_NAMES
from hepatica.case.steps.course import step_named
from hepatica.case.steps.inputs import Given
from hepatica.case.steps.step import Step
from hepatica.core.options import from_texts
from hepatica.core.progress import Progress
from hepatica.errors import HepaticaError, InputError, OutputError
from hepatica.front_door import verb_named
from hepatica.io.files import output_folder
from hepatica.version import __version__
from hepatica.workflow.result import Result


def situation_of(folder: Path) -> Situation:
    """All that is known of a case now.

    Raises
    ------
    InputError
        If a file of the case is damaged.
    """
    personal = Personal.open(folder)
    facts = Facts.read(folder, STEP_NAMES)
    # What was written into case.toml by hand sorts the images as what was set does.
    catalogue = sorted_anew(Catalogue.read(folder), facts)
    return Situation(folder, facts, catalogue, Log(folder, personal).read(), personal.read())


def run_steps(folder: Path, log: Log, wanted: Sequence[str], say: Progress) -> tuple[StepState, ...]:
    """Run steps that are not done, and what they stand on first; all that can run, if none is wanted.

    The caller holds the case. See `hepatica.case.case.Case.run`.
    """
    ran = []
    situation = situation_of(folder)
    needed = _needed(situation, wanted) if wanted else set(situation.steps)
    for name in (one for one in situation.steps if one in needed):
        situation = situation_of(folder)
        if _is_due(situation, name, named=name in wanted):
            say(name)
            _run_one(situation, name, log, say, raising=name in wanted)
            ran.append(name)
    after = situation_of(folder).steps
    return tuple(after[name] for name in ran)


def _is_due(situation: Situation, name: str, *, named: bool) -> bool:
    """Whether a step is to run now; InputError where it was named and cannot."""
    found = situation.steps[name]
    step, number = step_of(found)
    hindrances = (
        *_failed_above(situation, name),
        *situation.missing(step, number),
        *situation.stale(situation.given(step, number), situation.steps),
    )
    if found.state == "done" or (found.state in ("failed", "skipped") and not named):
        return False
    if hindrances and named:
        raise InputError(f"{name} cannot run: {'; '.join(hindrances)}")
    return not hindrances


def _failed_above(situation: Situation, name: str) -> tuple[str, ...]:
    """What a step stands on that failed, and with what error: the true reason why it cannot run."""
    step, number = step_of(situation.steps[name])
    if not situation.missing(step, number):
        return ()
    above = [one for one in situation.steps if one in _needed(situation, [name]) and one != name]
    return tuple(
        f"{one} failed: {'; '.join(situation.steps[one].reasons)}"
        for one in above
        if situation.steps[one].state == "failed"
    )


def _needed(situation: Situation, wanted: Sequence[str]) -> set[str]:
    """Steps and all that they stand on."""
    found: set[str] = set()
    left = list(wanted)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            step, number = step_of(situation.steps[name])
            left += [above for above in step.fed_by(number) if above in situation.steps]
    return found


def _run_one(situation: Situation, name: str, log: Log, progress: Progress, *, raising: bool) -> None:
    step, number = step_of(situation.steps[name])
    given = situation.given(step, number)
    place = situation.folder / STEPS / name
    run = secrets.token_hex(8)
    try:
        situation.require_unedited(given)
        _require_own_tables(situation, given)
        if situation.edits(name):
            _set_aside(place, run)
        result = _result(step, {one.word: one.text for one in given}, progress)
        record = _written(place, Record.of(run, given, result.as_dict(), __version__), result)
    except HepaticaError as error:
        log.append("failed", {"step": name, "inputs": digest_of(given)}, {"error": str(error)})
        if raising:
            raise
        return
    _note_result(log, name, record, result)


def _require_own_tables(situation: Situation, given: Sequence[Given]) -> None:
    """Tables that came in before anybody was named are of this patient, or nothing is made of them."""
    for item in situation.catalogue:
        if item.role in STEP_OF and any(one.source == f"images/{item.name}" for one in given):
            table = table_of(item.path(situation.folder), item.role, situation.facts)
            require_own(table, situation.facts, situation.catalogue)


def enter_result(folder: Path, log: Log, name: str, result: Result) -> None:
    """Keep as a step's what was worked out while its inputs came in, which are the case's by now.

    The caller holds the case.

    Raises
    ------
    InputError
        If the step lacks something, or a result of it is up to date. One of inputs that the case no longer uses is
        replaced; one that was edited is set aside.
    """
    situation = situation_of(folder)
    step, number = step_of(situation.steps[name])
    if missing := situation.missing(step, number):
        raise InputError(f"{name} cannot be entered: {'; '.join(missing)}")
    if situation.steps[name].state == "done":
        raise InputError(f"{name}: the case has a result of it")
    place, run = folder / STEPS / name, secrets.token_hex(8)
    if situation.edits(name):
        _set_aside(place, run)
    given = situation.given(step, number)
    record = _written(place, Record.of(run, given, result.as_dict(), __version__), result)
    _note_result(log, name, record, result)


def _written(place: Path, record: Record, result: Result) -> Record:
    with output_folder(place, force=place.exists()) as new:
        result.write_all(new)
        (new / RECORD).write_text(record.text(), encoding="utf-8")
    return record


def _note_result(log: Log, name: str, record: Record, result: Result) -> None:
    log.append("ran", {"step": name, "run": record.run, "result": record.result, "software": record.software})
    if measured := result.measured_values():
        log.append("measured", {"step": name, "run": record.run, **measured})


def _set_aside(place: Path, run: str) -> None:
    """Move a result that somebody edited out of the way: it is somebody's work, and no step's any more."""
    aside = place.parent.parent / SET_ASIDE
    try:
        aside.mkdir(exist_ok=True)
        place.rename(aside / f"{place.name}-{run}")
    except OSError as error:
        raise OutputError(f"{place}: was edited, and cannot be set aside ({error.strerror})") from error


def _result(step: Step, texts: Mapping[str, Any], progress: Progress) -> Result:
    function = verb_named(step.verb).load()
    call = dict(step.arguments(texts)) if step.arguments else from_texts(function, texts, command=step.name)
    if "progress" in inspect.signature(function).parameters:
        call["progress"] = progress
    result: Result = function(**call)
    return result


def step_of(state: StepState) -> tuple[Step, int]:
    """The step of a state, and its treatment."""
    name = state.name if state.treatment == 1 else state.name.removesuffix(f"-{state.treatment}")
    return step_named(name), state.treatment
