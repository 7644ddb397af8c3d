"""A whole plan: every applicable method for every territory, the sum, limits, chances, guardrails, voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from hepatica.core import Provenance
from hepatica.core.document import INLINE
from hepatica.core.message import unique
from hepatica.core.options import verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.errors import InputError
from hepatica.io.files import write_text
from hepatica.io.itk import write_itk
from hepatica.planning.limits.assess import TABLES, conventions
from hepatica.planning.measured.from_images import measured_on
from hepatica.planning.measured.values import Measured, reconciled
from hepatica.planning.planner.course_plan import CoursePlan, plan_course
from hepatica.planning.planner.plan_file import Measure, Plan, plan_from, read_plan
from hepatica.planning.planner.tables import (
    chances_table,
    course_doses_table,
    further_tables,
    limits_table,
    methods_table,
)
from hepatica.planning.planner.voxel import PlanImages, territory_names
from hepatica.planning.scout.scan import Scout
from hepatica.report.files import document_files
from hepatica.report.tables import histograms_csv
from hepatica.workflow.planning.plan.document import plan_document
from hepatica.workflow.planning.plan.voxel import VoxelPlan, predict
from hepatica.workflow.planning.scout import read_scout
from hepatica.workflow.result import Result, result

PlanSource = Path | str | Plan | Mapping[str, Any]
"""A plan: its TOML file, a `Plan`, or the tables of a file."""


@result
class PlanResult(Result):
    """The answer to a plan."""

    verb = "plan"

    course: CoursePlan = field(metadata=INLINE)
    voxel_plan: VoxelPlan | None

    def title(self) -> str:
        """Of the plan, with its agent."""
        return f"{self.course.title} ({self.course.agent})"

    def table(self) -> Table:
        """All methods for the first territory side by side."""
        return methods_table(self.course.territories[0])

    def tables(self) -> tuple[Table, ...]:
        """Methods for each territory, doses together, limits, chances, voxels."""
        course = self.course
        found = [*map(methods_table, course.territories), course_doses_table(course), limits_table(course.limits)]
        found += further_tables(course)
        if course.planner is not None:
            found.append(chances_table(course.planner))
        if self.voxel_plan is not None:
            found.append(self.voxel_plan.table())
        return tuple(found)

    def write(self, folder: Path) -> None:
        """Write ``plan.html``, ``plan.pdf``; with images also ``planned-dose.nii.gz`` and ``planned-dvh.csv``."""
        page = plan_document(self.course, self.voxel_plan, self.provenance)
        for name, content in document_files(page, "plan").items():
            (folder / name).write_bytes(content)
        if self.voxel_plan is not None:
            write_itk(self.voxel_plan.dose_map.dose, folder / "planned-dose.nii.gz")
            write_text(folder / "planned-dvh.csv", histograms_csv(self.voxel_plan.structures))


@verb
def plan(plan: PlanSource, *, progress: Progress | None = None) -> PlanResult:
    """A whole plan from a file: every territory by every method, limits, chances, guardrails.

    Parameters
    ----------
    plan : path, Plan or mapping
        Plan file (TOML), a plan of values, or the tables of a plan file.
    progress : callable, optional
        Told what is being done.

    Returns
    -------
    PlanResult
        Methods side by side, doses of the chosen ones together, and with images the predicted dose map.

    Raises
    ------
    InputError
        If the file is wrong (the message names file, line and key), or a territory has no applicable method.

    Examples
    --------
    >>> hepatica.plan("plan.toml").save("plan")  # doctest: +SKIP
    """
    report_progress = progress or silent
    scouts: list[Scout] = []

    def measure(images: PlanImages, names: Mapping[str, str | None], lung_mass_kg: float | None) -> Measured:
        report_progress("measuring on the scout")
        scouts.append(read_scout(images.scout, images.structures, images.reading, report_progress))
        return measured_on(scouts[0], names, images.reading.structure_roles, lung_mass_kg)

    asked = _asked(plan, measure)
    report_progress("planning")
    found = plan_course(asked.course)
    voxels = None
    if asked.images is not None:
        report_progress("predicting the dose map")
        voxels = predict(found, asked.images, scouts[0])
    given = [t.given.prescription for t in found.territories]
    planner = found.planner
    provenance = Provenance(
        inputs=asked.inputs,
        parameters={"planner_samples": planner.samples, "planner_seed": planner.seed} if planner else {},
        tables=TABLES,
        conventions=conventions(given),
        steps=(
            *(step for scout in scouts for step in scout.steps),
            *(f"{t.name}: {made.source}" for t, made in zip(found.territories, given, strict=True)),
        ),
    )
    return PlanResult(
        course=found,
        voxel_plan=voxels,
        messages=unique(found.messages, voxels.messages if voxels else ()),
        provenance=provenance.merged(voxels.provenance) if voxels else provenance,
    )


def _asked(plan: PlanSource, measure: Measure) -> Plan:
    """The plan as a value, with what its images hold."""
    if isinstance(plan, Plan):
        return _measured(plan, measure)
    return plan_from(plan, measure=measure) if isinstance(plan, Mapping) else read_plan(_path(plan), measure)


def _measured(plan: Plan, measure: Measure) -> Plan:
    """A plan of values with what its images hold."""
    images = plan.images
    if images is None:
        return plan
    course = plan.course
    lung_kg = course.territories[0].target.lung_mass_kg if course.lung_mass_measured else None
    found = measure(images, territory_names(course, images), lung_kg)
    return replace(plan, course=reconciled(course, found, images.keep_stated))


def _path(given: object) -> Path:
    if isinstance(given, str | Path):
        return Path(given)
    raise InputError(f"a plan is a path or a hepatica.Plan, not {type(given).__name__}")
