"""A plan that changes while it is edited: the plan step of the case with other values, planned anew at once.

The numbers come from the same reader and planner as those of `hepatica plan`: what is edited is the document of the
plan file. What the images hold is measured once for an open case and kept.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from hepatica.case.facts import typed_value
from hepatica.case.layout import folder_name
from hepatica.case.steps.course import step_named
from hepatica.case.steps.plan_tables import plan_document_of
from hepatica.core.document import document
from hepatica.errors import InputError
from hepatica.planning.measured.from_images import measured_on
from hepatica.planning.measured.values import QUANTITIES, Measured
from hepatica.planning.planner.course_plan import CoursePlan, plan_course
from hepatica.planning.planner.plan_file import plan_from
from hepatica.planning.planner.voxel import PlanImages
from hepatica.web.desk import OpenCase
from hepatica.workflow.planning.scout import read_scout

EDITED = "edited in the workbench"
"""Why a stated value is used although the images hold another one."""

KEPT = "images.keep_stated."
"""Keys of a plan file that name quantities whose stated value is used although the images hold another one."""

SINGLE = ("lung_shunt", "lung_mass", "unperfused_normal_mass")
"""Of these a plan states one value at most: without it nothing is left that could be kept as stated."""

MOST_ENTRIES = 50

FILES_OF_CASE = ("images", "measured", "course")
"""Tables of a plan file that the case fills."""

IN_CASE = {"plan": "", "aims": "aims.", "lungs": "lungs.", "liver": "liver.", "territory": "territory.",
           "uncertainty": "uncertainty.", "facts": "facts.", "waived_limits": "waived_limits.",
           "images": "images."}  # fmt: skip
"""Table of a plan file -> where its keys stand below a treatment of a case."""


def plan_document(one: OpenCase, treatment: int) -> dict[str, Any]:
    """Tables of the plan of a treatment as the case has them.

    Raises
    ------
    InputError
        If there is no such treatment, or something is missing that a plan needs.
    """
    situation = one.recent()
    if treatment not in situation.treatments:
        raise InputError(f"the case has no treatment {treatment}")
    step = step_named("plan")
    if missing := situation.missing(step, treatment):
        raise InputError(f"{folder_name('plan', treatment)} waits: {'; '.join(missing)}")
    return copy.deepcopy(plan_document_of({given.word: given.text for given in situation.given(step, treatment)}))


def whole_edits(
    tables: Mapping[str, Any], edits: Mapping[str, str | None], reason: str = EDITED
) -> dict[str, str | None]:
    """Edits with all that makes them hold: what the plan step would overrule, and names that an entry needs.

    Where the images of a plan hold a quantity, the step uses what they hold unless the plan says, with a reason, that
    the stated value is kept. An edit of such a quantity says so; one that takes the value away takes that away too.

    Raises
    ------
    InputError
        If a key names files: those come from the case.
    """
    if wrong := next((key for key in edits if key.split(".")[0] in FILES_OF_CASE), None):
        raise InputError(f"{wrong} cannot be edited here: it is what the case gives the plan")
    found = dict(edits)
    kept = dict(tables.get("images", {}).get("keep_stated", {}))
    for key, value in edits.items():
        above, _, name = key.rpartition(".")
        if name in QUANTITIES and "images" in tables and above.split(".")[0] in ("lungs", "liver", "territory"):
            if value is not None:
                found[KEPT + name] = reason
            elif name in kept and name in SINGLE:
                found[KEPT + name] = None
    return found


def with_edits(tables: Mapping[str, Any], edits: Mapping[str, str | None]) -> dict[str, Any]:
    """Tables with values set by dotted keys ("aims.perfused", "territory.1.lesion.2.mass"); None takes one away.

    Raises
    ------
    InputError
        If a key leads nowhere.
    """
    edited = copy.deepcopy(dict(tables))
    for key, value in edits.items():
        *above, name = key.split(".")
        if not above:
            raise InputError(f"{key!r} is no key of a plan")
        place: Any = edited
        for part in above:
            place = _inside(place, part, key)
        if not isinstance(place, dict):
            raise InputError(f"{key!r} is no key of a plan")
        if value is None:
            place.pop(name, None)
        else:
            place[name] = typed_value(value)  # as the case will read it again
    return edited


def _inside(place: Any, part: str, key: str) -> Any:
    if isinstance(place, list):
        if part.isdecimal() and int(part) == len(place) + 1 <= MOST_ENTRIES:
            place.append({})
        if not part.isdecimal() or not 1 <= int(part) <= len(place):
            raise InputError(f"{key!r} is no key of a plan: there are {len(place)}")
        return place[int(part) - 1]
    if not isinstance(place, dict):
        raise InputError(f"{key!r} leads through a value")
    return place.setdefault(part, [] if part in ("territory", "lesion") else {})


def planned(one: OpenCase, treatment: int, edits: Mapping[str, str | None]) -> tuple[CoursePlan, dict[str, Any]]:
    """The plan with edits, without its dose map, and the document that it was made from.

    Raises
    ------
    InputError
        As `hepatica plan`.
    """
    tables = plan_document(one, treatment)
    tables = with_edits(tables, whole_edits(tables, edits))

    def measure(images: PlanImages, names: Mapping[str, str | None], lung_mass_kg: float | None) -> Measured:
        scout = one.held(
            f"scout {treatment} {_images_of(tables)}",
            lambda: read_scout(images.scout, images.structures, images.reading),
        )
        wanted = f"measured {treatment} {_images_of(tables)} {sorted(names.items())} {lung_mass_kg}"
        return one.held(wanted, lambda: measured_on(scout, names, images.reading.structure_roles, lung_mass_kg))

    return plan_course(plan_from(tables, measure=measure).course), tables


def _images_of(tables: Mapping[str, Any]) -> str:
    """What the measurement depends on."""
    return repr({key: value for key, value in tables.get("images", {}).items() if key != "keep_stated"})


def course_document(course: CoursePlan) -> dict[str, Any]:
    """Numbers for the page, those of ``result.json`` of the plan."""
    return {**document(course), "messages": document(course.own_messages)}


def keys_in_case(
    tables: Mapping[str, Any], edits: Mapping[str, str | None], treatment: int, stated: Mapping[str, Any]
) -> dict[str, str | None]:
    """Edits of a plan as keys of the case, with the names of territories that the case does not state yet.

    Parameters
    ----------
    tables : mapping
        The plan as the case has it.
    edits : mapping of str to str or None
        As `whole_edits` gives them.
    treatment : int
        From 1.
    stated : mapping of str to value
        What the case states, by its dotted keys.

    Raises
    ------
    InputError
        If one belongs to no fact of a treatment.
    """
    head = f"treatment.{treatment}."
    found: dict[str, str | None] = {}
    for key, value in edits.items():
        table, _, rest = key.partition(".")
        if table == "patient":
            found[key] = value
        elif key == "plan.indication":
            found["disease.indication"] = value
        elif table in IN_CASE:
            found[f"{head}{IN_CASE[table]}{'name' if rest == 'title' else rest}"] = value
        else:
            raise InputError(f"{key} cannot be kept in the case")
    territories = sorted({int(key.split(".")[1]) for key in edits if key.startswith("territory.")})
    names = {
        f"{head}territory.{n}.name": str(tables["territory"][n - 1]["name"])
        for n in territories
        if n <= len(tables.get("territory", ())) and f"{head}territory.{n}.name" not in stated
    }
    # What is taken away and is not there needs nothing.
    return names | {key: value for key, value in found.items() if value is not None or key in stated}
