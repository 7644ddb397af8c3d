"""A plan that changes while it is edited: the plan step of the case with other values, planned anew at once.

The numbers come from the same reader, planner and dose engine as those of `hepatica plan`: what is edited is the
document of the plan file. What the images hold is measured once for an open case and kept; so are the last dose maps.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.anatomy.structures.roles import structure_of
from hepatica.case.facts import typed_value
from hepatica.case.layout import folder_name
from hepatica.case.steps.course import step_named
from hepatica.case.steps.plan_tables import plan_document_of
from hepatica.core.document import document
from hepatica.core.message import unique
from hepatica.core.region import Region
from hepatica.dosimetry.metrics.region_dose import RegionDose, region_dose
from hepatica.errors import InputError, OutputError
from hepatica.planning.measured.from_images import measured_on
from hepatica.planning.measured.values import QUANTITIES, Measured
from hepatica.planning.planner.course_plan import CoursePlan, plan_course
from hepatica.planning.planner.methods import effective_half_life_s
from hepatica.planning.planner.plan_file import Plan, plan_from
from hepatica.planning.planner.voxel import PlanImages
from hepatica.planning.scout.lung_shunt import grown
from hepatica.planning.scout.scan import Scout
from hepatica.report.figures.palette import styles_by_name
from hepatica.web.desk import OpenCase
from hepatica.web.images import EDITED_IMAGE, Loaded, Shown
from hepatica.workflow.planning.plan.voxel import VoxelPlan, predict
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


@dataclass(frozen=True, slots=True)
class Basis:
    """What the case gives the plan of a treatment.

    Attributes
    ----------
    tables : mapping
        Of the plan file.
    mark : str
        Changes with all that the plan stands on: facts, images, earlier results.
    images : str
        Changes with the images and how they are read.
    """

    tables: Mapping[str, Any]
    mark: str
    images: str

    def require(self, mark: str) -> None:
        """Refuse what was made on another basis; empty is made on none.

        Raises
        ------
        OutputError
            If the case has changed since.
        """
        if mark and mark != self.mark:
            raise OutputError(CHANGED, remedy="look at the plan as the case has it now, then edit it")


CHANGED = "the case was changed elsewhere since this plan was opened"


def plan_basis(one: OpenCase, treatment: int) -> Basis:
    """What the case gives the plan of a treatment, now.

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
    given = situation.given(step, treatment)
    tables = copy.deepcopy(plan_document_of({one.word: one.text for one in given}))
    digests = [(one.word, one.digest) for one in given]
    of_images = [digest for word, digest in digests if word == "images"]
    return Basis(tables, _digest(digests), _digest([treatment, of_images]))


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


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


def planned(one: OpenCase, treatment: int, edits: Mapping[str, str | None]) -> tuple[CoursePlan, Basis]:
    """The plan with edits, without its dose map, and what the case gave it.

    Raises
    ------
    InputError
        As `hepatica plan`.
    """
    plan, basis, _ = _read(one, treatment, edits)
    return plan_course(plan.course), basis


def _read(one: OpenCase, treatment: int, edits: Mapping[str, str | None]) -> tuple[Plan, Basis, Scout | None]:
    """The plan with edits as values, what the case gave it, and the scout where it has images."""
    basis = plan_basis(one, treatment)
    tables = with_edits(basis.tables, whole_edits(basis.tables, edits))
    scouts: list[Scout] = []

    def measure(images: PlanImages, names: Mapping[str, str | None], lung_mass_kg: float | None) -> Measured:
        scout = one.held(
            f"scout {basis.images}",
            lambda: read_scout(images.scout, images.structures, images.reading),
        )
        scouts.append(scout)
        wanted = f"measured {basis.images} {sorted(names.items())} {lung_mass_kg}"
        return one.held(wanted, lambda: measured_on(scout, names, images.reading.structure_roles, lung_mass_kg))

    return plan_from(tables, measure=measure), basis, scouts[0] if scouts else None


MOST_MAPS = 3
"""Dose maps of edited plans that are kept of a case: of the case, of the one kept beside it, and the edited one."""

MOST_MARGIN_MM = 50.0


@dataclass(frozen=True, slots=True, eq=False)
class EditedMap:
    """Dose map of an edited plan.

    Attributes
    ----------
    image : str
        Its key among the images of the case, for as long as it is one of the last few.
    plan : VoxelPlan
        Map and structures, as the plan step writes them.
    margins : tuple of RegionDose
        Tumours with a margin of liver around them.
    """

    image: str
    plan: VoxelPlan
    margins: tuple[RegionDose, ...]

    def as_document(self) -> dict[str, Any]:
        """Structures with their numbers and curves, for the page."""
        rows = (*self.plan.structures, *self.margins)
        styles = styles_by_name({one.name: structure_of(one.name).value for one in rows})
        return {
            "image": self.image,
            "engine": self.plan.engine,
            "voxel_mm": max(self.plan.grid.spacing_mm),
            "structures": [document(one) | {"curve": _curve(one), "colour": styles[one.name].colour} for one in rows],
            "messages": document(self.plan.messages),
        }


def predicted(one: OpenCase, treatment: int, edits: Mapping[str, str | None], margin_mm: float = 0.0) -> EditedMap:
    """Dose map of the plan with edits, by the engine of the plan, where the case has the images for it.

    Parameters
    ----------
    one : OpenCase
        The case.
    treatment : int
        From 1.
    edits : mapping of str to str or None
        As `planned`.
    margin_mm : float
        Around every tumour, within the liver, whose dose is looked at besides; it changes nothing of the plan.

    Raises
    ------
    InputError
        As `hepatica plan`, or if the plan has no images.
    """
    if not 0 <= margin_mm <= MOST_MARGIN_MM:
        raise InputError(f"a margin lies between 0 and {MOST_MARGIN_MM:g} mm, not {margin_mm:g}")
    plan, basis, scout = _read(one, treatment, edits)
    if plan.images is None or scout is None:
        raise InputError("the plan has no images", remedy="add the scout with CT and structures to the case")
    course, images = plan_course(plan.course), plan.images
    name = _map_name(course, basis.images)
    voxels = one.held(f"voxel plan {name}", lambda: predict(course, images, scout))
    margins = one.held(f"margins {name} {margin_mm:g}", lambda: _margins(voxels, scout, margin_mm))
    one.held(f"image {EDITED_IMAGE}{name}", lambda: _as_image(EDITED_IMAGE + name, voxels, treatment))
    for old in one.kept("voxel plan ")[:-MOST_MAPS]:
        gone = old.removeprefix("voxel plan ")
        for prefix in (old, f"margins {gone}", f"image {EDITED_IMAGE}{gone}"):
            one.drop(prefix)
    return EditedMap(EDITED_IMAGE + name, voxels, margins)


def _map_name(course: CoursePlan, images: str) -> str:
    """Changes with all that a dose map depends on."""
    given = [(t.name, t.given.prescription.administered_gbq, t.territory.target.lung_shunt) for t in course.territories]
    carriers = {t.given.carrier.nuclide.name for t in course.territories}
    leaving = effective_half_life_s(course.course, course.territories[0].given.carrier.agent)
    return hashlib.sha256(repr((images, given, sorted(carriers), leaving)).encode()).hexdigest()[:12]


def _margins(voxels: VoxelPlan, scout: Scout, margin_mm: float) -> tuple[RegionDose, ...]:
    if not margin_mm:
        return ()
    (liver,) = scout.need("liver")

    def around(tumour: Region) -> Region:
        return ((grown(tumour, margin_mm) & liver) | tumour).renamed(f"{tumour.name} with {margin_mm:g} mm of liver")

    return tuple(region_dose(voxels.dose_map, around(item.region)) for item in voxels.shown if item.is_lesion)


def _as_image(key: str, voxels: VoxelPlan, treatment: int) -> Loaded:
    dose = voxels.dose_map.dose
    shown = Shown(key, "Dose of the edited plan", "dose", Path(), treatment=treatment)
    return Loaded(shown, dose, False, float(np.min(dose.values)), float(np.max(dose.values)))


CURVE_POINTS = 300


def _curve(dose: RegionDose) -> dict[str, list[float]]:
    found = dose.dvh.cumulative(max(dose.dvh.bin_gy, dose.dose_max_gy / CURVE_POINTS))
    return {
        "dose_gy": np.round(found.dose_gy, 4).tolist(),
        "volume_percent": np.round(100 * found.fraction, 4).tolist(),
    }


def course_document(course: CoursePlan) -> dict[str, Any]:
    """Numbers for the page, those of ``result.json`` of the plan; warnings of guardrails stand with the guardrails."""
    return {**document(course), "messages": document(unique(course.own_messages, course.guardrails.lacking()))}


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
