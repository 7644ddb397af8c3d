"""The plan editor: a plan with other values, side by side with the one of the case, and the choice written into it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from hepatica.case.layout import STEPS, folder_name
from hepatica.core.text.files import json_file
from hepatica.core.text.visible import one_line
from hepatica.errors import InputError
from hepatica.nuclides import AGENT_NAMES, agent
from hepatica.planning.limits.dose_limits import INTENTS
from hepatica.web.application import Workbench, workbench_of
from hepatica.web.plans import EDITED, course_document, keys_in_case, plan_basis, planned, predicted, whole_edits

NUMBERS = ("planned_gbq", "administered_gbq", "doses", "limits")
"""Of a plan, which the case must give again once the edits are in it."""

router = APIRouter()
Bench = Annotated[Workbench, Depends(workbench_of)]


class Edits(BaseModel):
    """Values by key of the plan file, and the basis that the page shows: on another one nothing is planned."""

    edits: dict[str, str | None]
    basis: str = ""


class Wanted(Edits):
    """Edits whose dose map is wanted; a margin around every tumour that is looked at besides."""

    margin_mm: float = 0.0


class Choice(Edits):
    """Edits that go into the case, and why."""

    reason: str


@router.get("/cases/{key}/plans/{treatment}")
def open_plan(key: str, treatment: int, bench: Bench) -> dict[str, Any]:
    """The plan as the case has it, its controls, and the result that the step wrote."""
    one = bench.desk[key]
    situation = one.situation()
    name = folder_name("plan", treatment)
    stored = None
    if name in situation.records:
        stored = json_file(situation.folder / STEPS / name / "result.json")
        stored = {part: stored.get(part) for part in ("administered_gbq", "planned_gbq", "doses", "voxel_plan")}
    basis = plan_basis(one, treatment)
    whole = basis.tables
    tables = {name: table for name, table in whole.items() if name not in ("images", "measured", "course")}
    return {
        "basis": basis.mark,
        "tables": tables,
        "has_images": "images" in whole,
        "agents": [
            {"name": one.name, "product": one.product, "nuclide": one.nuclide_name}
            for one in map(agent, AGENT_NAMES)
            if one.purpose == "therapy"
        ],
        "intents": list(INTENTS),
        "stored": stored,
        "state": situation.steps[name].state,
        "plan": course_document(planned(one, treatment, {})[0]),
    }


@router.post("/cases/{key}/plans/{treatment}")
def edit_plan(key: str, treatment: int, said: Edits, bench: Bench) -> dict[str, Any]:
    """The plan with edits; nothing is written."""
    plan, basis = planned(bench.desk[key], treatment, said.edits)
    basis.require(said.basis)
    return {"plan": course_document(plan)}


@router.post("/cases/{key}/plans/{treatment}/voxels")
def predict_plan(key: str, treatment: int, said: Wanted, bench: Bench) -> dict[str, Any]:
    """Dose map of the plan with edits: doses and curves of its structures, and the key by which it is shown."""
    one = bench.desk[key]
    plan_basis(one, treatment).require(said.basis)
    return predicted(one, treatment, said.edits, said.margin_mm).as_document()


@router.post("/cases/{key}/plans/{treatment}/choose")
def choose_plan(key: str, treatment: int, said: Choice, bench: Bench) -> dict[str, Any]:
    """Write edits into the case, with the reason in its log; the plan step is out of date by it."""
    if not said.reason.strip():
        raise InputError("a choice needs a reason")
    one = bench.desk[key]
    reason = said.reason.strip()
    plan, basis = planned(one, treatment, said.edits)  # what cannot be planned is not written
    basis.require(said.basis)
    edited, tables = course_document(plan), basis.tables
    whole = whole_edits(tables, said.edits, f"{EDITED}: {one_line(reason)}")
    stated = one.situation().facts.flat()
    one.case.state(keys_in_case(tables, whole, treatment, stated), reason=reason)
    one.drop_recent()
    written = course_document(planned(one, treatment, {})[0])
    return {
        "state": one.situation().steps[folder_name("plan", treatment)].state,
        "holds": all(written[part] == edited[part] for part in NUMBERS),
    }
