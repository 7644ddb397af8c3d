"""The list of cases, one case with its steps, what people do to them, and steps that run."""

from __future__ import annotations

import os
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from pydantic import BaseModel

from hepatica.case.case import Case
from hepatica.case.facts import DISEASE, PATIENT, TREATMENT
from hepatica.case.report.material import Person, person_of
from hepatica.case.sorting.roles import ROLES
from hepatica.case.verbs.shown import shown
from hepatica.core.document import document
from hepatica.core.text.visible import one_line, visible
from hepatica.errors import HepaticaError, InputError, OutputError
from hepatica.web.application import Workbench, workbench_of
from hepatica.web.desk import OpenCase
from hepatica.web.routes.inside import require_inside

router = APIRouter()
Bench = Annotated[Workbench, Depends(workbench_of)]
Tab = Annotated[str, Header(alias="x-hepatica-tab", max_length=64)]


@router.get("/cases")
def list_cases(bench: Bench) -> dict[str, Any]:
    """Every case with how far it is; one that cannot be read says why."""
    rows = []
    for key, folder in bench.desk.folders().items():
        row: dict[str, Any] = {"key": key, "folder": folder.name}
        try:
            case = Case.open(folder)
            situation = case.situation()
            steps = list(situation.steps.values())
            disease = situation.facts.table("disease")
            row |= {
                **_whose(person_of(situation)),
                "disease": " ".join(str(disease.get(part, "")) for part in ("indication", "description")).strip(),
                "treatments": [
                    {"agent": str(one.get("agent", "")), "at": str(one.get("at", ""))}
                    for one in situation.facts.treatments
                ],
                "counts": {
                    state: sum(step.state == state for step in steps) for state in sorted({s.state for s in steps})
                },
                "open": [step.title for step in steps if step.state in ("out of date", "failed", "ready")][:6],
                "last": situation.history.entries[-1].at if situation.history.entries else "",
            }
        except HepaticaError as error:
            row |= {"error": error.args[0], "remedy": error.remedy}
        rows.append(row)
    return {"single": bench.desk.is_single, "cases": rows}


def _whose(person: Person) -> dict[str, str]:
    return {
        "patient": one_line(person.shown_name),
        "number": one_line(person.patient_id),
        "born": one_line(person.birth_date),
        "name_of_images": one_line(person.name_of_images),
    }


@router.get("/cases/{key}/who")
def whose_case(key: str, bench: Bench) -> dict[str, Any]:
    """Whose case it is: as stated, else as the images have it, as in the report; whether its folder can be changed."""
    one: OpenCase = bench.desk[key]
    found = one.held(f"who {one.mark()}", lambda: _whose(person_of(one.recent())))
    return found | {"folder": one.folder.name, "read_only": not os.access(one.folder, os.W_OK)}


@router.get("/cases/{key}")
def one_case(key: str, bench: Bench) -> dict[str, Any]:
    """A case: steps, images, facts, what is open, and the run if there is one."""
    one = bench.desk[key]
    case = one.case
    found = shown(case)
    situation = case.situation()
    messages = found.pop("messages")
    run = bench.runs.of(key)
    proposals = [name for name, step in situation.steps.items() if _awaits_check(name, step.state, step.checked_by)]
    told: dict[str, Any] = document(found)
    return told | {
        "key": key,
        "folder": one.folder.name,
        "messages": [{"severity": m.severity, "text": m.text, "remedy": m.remedy, "code": m.code} for m in messages],
        "patient": {name: str(value) for name, value in situation.facts.table("patient").items()},
        "disease": {name: str(value) for name, value in situation.facts.table("disease").items()},
        "facts": {name: _text(value) for name, value in situation.facts.flat().items() if name != "case.version"},
        "keys": {"patient": PATIENT, "disease": DISEASE, "treatment": TREATMENT},
        "treatments": len(situation.facts.treatments),
        "proposals": proposals,
        "roles": dict(ROLES),
        "run": None if run is None else run.as_document(),
    }


def _awaits_check(name: str, state: str, checked_by: str) -> bool:
    return name.split("-", maxsplit=1)[0] in ("registration", "structures") and state == "done" and not checked_by


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else visible(str(value))


class Statement(BaseModel):
    """Values by key, None takes a key away; what a form showed of them before, where it showed any."""

    values: dict[str, str | None]
    before: dict[str, str | None] = {}


@router.post("/cases/{key}/facts")
def state_facts(key: str, said: Statement, bench: Bench) -> dict[str, Any]:
    """State or correct values, and the case after it."""
    one = bench.desk[key]
    require_inside(one.folder, said.values)
    now = one.situation().facts.flat()
    for name, shown_before in said.before.items():
        stands = _text(now[name]) if name in now else None
        if stands != shown_before:
            text = f"{name} was changed elsewhere since this form was opened: it is {stands or 'not stated'}"
            raise OutputError(text, remedy="look at it as it is now, then state it again")
    one.case.set(**said.values)
    return one_case(key, bench)


class Check(BaseModel):
    """Who checked."""

    by: str


@router.post("/cases/{key}/steps/{step}/check")
def check_step(key: str, step: str, said: Check, bench: Bench) -> dict[str, Any]:
    """Note that somebody checked a result."""
    bench.desk[key].case.check(step, said.by)
    return one_case(key, bench)


class Reason(BaseModel):
    """Why something is done."""

    reason: str


@router.post("/cases/{key}/steps/{step}/skip")
def skip_step(key: str, step: str, said: Reason, bench: Bench) -> dict[str, Any]:
    """Leave a step out."""
    bench.desk[key].case.skip(step, said.reason)
    return one_case(key, bench)


class Taken(BaseModel):
    """What an image is."""

    role: str


@router.post("/cases/{key}/items/{item}")
def take_item(key: str, item: str, said: Taken, bench: Bench) -> dict[str, Any]:
    """Say what an image is."""
    bench.desk[key].case.take(item, said.role)
    return one_case(key, bench)


class Wanted(BaseModel):
    """Steps to run; none for all that is due."""

    steps: list[str]


@router.post("/cases/{key}/run")
def start_run(key: str, said: Wanted, bench: Bench) -> dict[str, Any]:
    """Begin a run."""
    one = bench.desk[key]
    known = one.situation().steps
    if wrong := [step for step in said.steps if step not in known]:
        raise InputError(f"the case has no step {wrong[0]!r}")
    return bench.runs.start(key, one.folder, tuple(said.steps)).as_document()


@router.get("/cases/{key}/run")
def see_run(key: str, bench: Bench) -> dict[str, Any] | None:
    """How the run stands; null where there was none."""
    bench.desk.touch()
    run = bench.runs.of(key)
    return None if run is None else run.as_document()


@router.post("/cases/{key}/run/stop")
def stop_run(key: str, bench: Bench) -> dict[str, Any] | None:
    """Stop the run."""
    run = bench.runs.of(key)
    if run is not None:
        run.stop()
    return see_run(key, bench)


@router.post("/cases/{key}/here")
def still_here(key: str, bench: Bench, tab: Tab = "") -> dict[str, Any]:
    """An open page says that it is there, and learns whether the case or its run changed since."""
    one = bench.desk[key]
    one.seen(tab)
    run = bench.runs.of(key)
    return {"mark": one.mark(), "run": None if run is None else [run.state, round(run.started, 3)]}


@router.post("/cases/{key}/close")
def close_case(key: str, bench: Bench, tab: Tab = "") -> dict[str, bool]:
    """A page was closed: let go of what was read of the case, unless another one shows it."""
    if bench.desk.is_open(key) and bench.desk[key].left_by(tab):
        bench.desk.release(key)
    return {"ok": True}


@router.get("/cases/{key}/log")
def read_log(key: str, bench: Bench) -> dict[str, Any]:
    """The log, proved line by line, with what is kept apart of persons."""
    situation = bench.desk[key].situation()
    lines = [
        {
            "number": entry.number,
            "at": entry.at,
            "what": entry.what,
            "about": {name: _text(value) for name, value in entry.about.items()},
            "personal": {name: _text(value) for name, value in situation.personal.get(entry.personal, {}).items()},
            "hash": entry.hash,
        }
        for entry in situation.history.entries
    ]
    return {"lines": lines, "problem": situation.history.problem, "last": situation.history.last_hash}
