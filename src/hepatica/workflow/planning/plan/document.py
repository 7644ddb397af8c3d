"""A plan as a document to print."""

from __future__ import annotations

from math import nan
from typing import Any

from hepatica.core import Provenance
from hepatica.core.message import unique
from hepatica.core.tables.table import Table
from hepatica.planning.guardrails import Review
from hepatica.planning.planner.best_activity import Optimum
from hepatica.planning.planner.course_plan import CoursePlan
from hepatica.planning.planner.tables import (
    activity_table,
    chances_table,
    course_doses_table,
    further_tables,
    limits_table,
    methods_table,
)
from hepatica.report.document import Document, Paragraph, Picture, Section, TableBlock
from hepatica.report.figures.dosimetry.dose import png, svg
from hepatica.report.figures.places import places_picture
from hepatica.report.figures.planning import draw_trade_off
from hepatica.workflow.planning.plan.voxel import VoxelPlan

CHECK = "Every number must be checked by a qualified person before use."
METHOD_SHARES = (2.3, 1.05, 1.2, 1.35, 1.2, 1.2, 1.05, 2.6, 3.6)
"""Widths of the columns of methods side by side."""

VIAL_NOTE = "In the vial: at the instant of administration, residual included."


def plan_document(course: CoursePlan, voxels: VoxelPlan | None, provenance: Provenance) -> Document:
    """Everything that the page of a plan says, in order."""
    sections = [
        Section("", (Paragraph(CHECK, note=True),)),
        Section("Activity", (TableBlock(activity_table(course), VIAL_NOTE, prose=True),)),
        *(
            _section(methods_table(territory), prose=True, shares=METHOD_SHARES, muted=(8,))
            for territory in course.territories
        ),
        _section(course_doses_table(course)),
        _limits(course),
        *(_section(table, prose=True) for table in further_tables(course)),
    ]
    if voxels is not None:
        note = f"Dose engine {voxels.engine}; the scout's distribution scaled to the activities chosen."
        table = voxels.table()
        sections.append(Section(_PREDICTED, (TableBlock(table, note), *voxels.pictures())))
        centres = [one.centre_lps_mm for one in course.deposits if one.centre_lps_mm is not None]
        if centres:
            outlines = {
                item.structure: item.region for item in voxels.shown if item.structure in ("normal_liver", "lung")
            }
            picture = places_picture(voxels.dose_map.decays, outlines, centres)
            sections.append(Section("Uptake outside liver and lungs", (picture,)))
    if course.planner is not None:
        sections.append(_chances(course.planner))
    sections.append(_guardrails(course.guardrails))
    return Document(
        title=f"Plan: {course.title}",
        sections=tuple(sections),
        messages=unique(course.own_messages, voxels.messages if voxels else ()),
        created=provenance.now().astimezone(),
        provenance=provenance.as_document(),
    )


_PREDICTED = "Predicted from the scout, voxel by voxel"


def _section(table: Table, **looks: Any) -> Section:
    return Section(table.title, (TableBlock(table, **looks),))


def _limits(course: CoursePlan) -> Section:
    return _section(
        limits_table(course.limits), prose=True, marks=tuple(check.status for check in course.limits), muted=(4,)
    )


def _chances(planner: Optimum) -> Section:
    table = chances_table(planner)
    curves = [
        [point.probability_tumour_reached for point in planner.trade_off],
        [point.probability_normal_liver_exceeded for point in planner.trade_off],
        [nan if (lungs := point.probability_lung_exceeded) is None else lungs for point in planner.trade_off],
    ]
    totals = [point.administered_total_gbq for point in planner.trade_off]
    figure = draw_trade_off(totals, curves, sum(planner.administered_gbq.values()))
    caption = (
        f"Chances against the total activity; dashed: the best one. {planner.samples} samples, seed {planner.seed}."
    )
    return Section(table.title, (TableBlock(table, prose=True), Picture("", caption, png(figure), svg(figure))))


def _guardrails(review: Review) -> Section:
    rows = [(w.severity, w.message, w.id) for w in review.warned]
    note = (
        f"{len(review.quiet)} guardrails had nothing to say; {len(review.not_evaluated)} lacked a fact and were not "
        "evaluated."
    )
    facts = sorted({fact for needed in review.lacking_facts.values() for fact in needed})
    if facts:
        note += f" Facts that they lack: {', '.join(fact.replace('_', ' ') for fact in facts)}."
    table = Table.of(("", "what to do", "id"), rows)
    return Section("Guardrails", (TableBlock(table, note, prose=True, marks=tuple(w.severity for w in review.warned)),))
