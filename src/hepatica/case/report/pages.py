"""The part of each step: its numbers, tables and pictures as the step wrote them, in one design."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hepatica.case.report.course import CourseStep
from hepatica.case.report.front import STATE_MARKS, STATE_WORDS
from hepatica.case.report.goals import at
from hepatica.case.report.summary import estimate
from hepatica.core.message import Message
from hepatica.core.numbers.wording import percent, three, with_uncertainty
from hepatica.core.tables.table import Cell, Table
from hepatica.report.document import Block, Facts, Notices, Paragraph, Picture, Section, TableBlock

LONG_TABLE = 40
"""Rows of a table that a page shows; the file of the step has all."""

SLICES_SHOWN = 3

NUMBER_SHARE, NAME_SHARE, PROSE_SHARE = 1.0, 2.4, 3.2

OF_NO_INTEREST = ("patient",)
"""Columns that say what each page says in its head."""

SHORT_CELL = 28
"""Letters of a cell that is no prose."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What stands in the part of a step.

    Attributes
    ----------
    facts : callable
        Label and value from the result; those without value are left out.
    tables : mapping of str to str
        Beginning of a table's name -> heading; in this order. What is not named stands in the step's folder only.
    pictures : mapping of str to str
        Beginning of a picture's name -> caption.
    pictures_first : bool
        Pictures stand above the tables: tall ones begin a page, and tables fill what is left of it.
    """

    facts: Callable[[Mapping[str, Any]], Sequence[tuple[str, str]]] = lambda document: ()
    tables: Mapping[str, str] | None = None
    pictures: Mapping[str, str] | None = None
    pictures_first: bool = False


def step_section(step: CourseStep, dose: CourseStep | None = None) -> Section:
    """Band, and below it what the step found; why it did not where it did not.

    `dose` is the absorbed dose of the same treatment: means that a step sampled anew are compared with its.
    """
    words = STATE_WORDS.get(step.state, step.state)
    side = words
    if step.is_current:
        by = ", ".join(filter(None, (step.checked_by, step.checked_on)))
        side = f"run {step.run_at[:10]}; {f'checked by {by}' if by else 'checked by nobody'}"
    mark = "" if step.is_current else STATE_MARKS.get(step.state, "")
    blocks = (*_sampled_anew(step, dose), *blocks_of(step))
    return Section(step.title, blocks, band=True, side=side, side_mark=mark)


SAMPLED_ANEW = {"prediction": "dose_mean_gy", "verification": "delivered_dose_mean_gy"}
"""Steps that take their means from the dose file again -> where they have them."""

SAME_MEAN = 0.005
"""Relative difference of two means that both print the same."""


def _sampled_anew(step: CourseStep, dose: CourseStep | None) -> tuple[Block, ...]:
    """Means that are not those of the absorbed dose, with both numbers: what lies between them is not decided."""
    if dose is None or not dose.is_current or not step.is_current or step.kind not in SAMPLED_ANEW:
        return ()
    means = {one["name"]: one["dose_mean_gy"] for one in dose.document.get("structures", ())}
    differing = [
        f"{one['name']} {three(here)} Gy here, {three(there)} Gy there"
        for one in step.document.get("structures", ())
        if (here := one.get(SAMPLED_ANEW[step.kind])) is not None
        and (there := means.get(one["name"])) is not None
        and abs(here - there) > SAME_MEAN * abs(there)
    ]
    if not differing:
        return ()
    text = (
        "Mean doses of this part are sampled anew from the dose file, voxel by voxel; those of the absorbed dose are "
        f"by mass, and goals and limits are judged by them: {'; '.join(differing)}. What a published dose between the "
        "two says is open."
    )
    if step.kind == "prediction":
        text += (
            " BED here is the mean over voxels; that of the next treatment is the BED of the mean dose, which is less."
        )
    return (Notices("Two means of one tissue", (Message("means-differ", text),)),)


def blocks_of(step: CourseStep) -> tuple[Block, ...]:
    """What stands below the band."""
    if not step.is_current:
        return (Paragraph(f"No numbers: {step.standing()}."),)
    layout = LAYOUTS.get(step.kind, Layout())
    facts = [(label, value) for label, value in layout.facts(step.document) if value]
    blocks: list[Block] = [Facts.of(facts)] if facts else []
    tables, pictures = _tables(step, layout), _pictures(step, layout)
    blocks += [*pictures, *tables] if layout.pictures_first else [*tables, *pictures]
    messages = step.messages
    warnings = tuple(message for message in messages if message.severity != "note")
    notes = tuple(message for message in messages if message.severity == "note")
    blocks += [Notices("Warnings" if len(warnings) > 1 else "Warning", warnings)] if warnings else []
    blocks += [Notices("Notes" if len(notes) > 1 else "Note", notes, "")] if notes else []
    return tuple(blocks) or (Paragraph("Nothing to report."),)


def _tables(step: CourseStep, layout: Layout) -> list[Block]:
    wanted = {name: name.replace("-", " ").capitalize() for name in step.tables}
    if layout.tables is not None:
        wanted = {
            name: heading
            for prefix, heading in layout.tables.items()
            for name in sorted(step.tables)
            if name == prefix or (prefix.endswith("*") and name.startswith(prefix[:-1]))
        }
    found: list[Block] = []
    for name, heading in wanted.items():
        table = step.tables[name]
        if table.rows:
            found += [Paragraph(heading, lead=True), _table_block(table)] if heading else [_table_block(table)]
    return found


def _table_block(table: Table) -> TableBlock:
    """A table of a step: without columns that hold nothing, in widths by what its columns hold."""
    kept = [
        n
        for n, column in enumerate(table.columns)
        if column not in OF_NO_INTEREST and any(row[n] is not None for row in table.rows)
    ]
    rows = [[_rounded(row[n]) for n in kept] for row in table.rows[:LONG_TABLE]]
    shown = Table.of([table.columns[n] for n in kept], rows)
    numeric = shown.numeric()
    shares = [
        NUMBER_SHARE if numeric[n] else PROSE_SHARE if _is_prose(rows, n) else NAME_SHARE if n == 0 else 1.4
        for n in range(len(kept))
    ]
    left = len(table.rows) - LONG_TABLE
    note = f"{left} further rows are in the table of the step." if left > 0 else ""
    return TableBlock(shown, note, prose=True, shares=tuple(shares))


_LONG_NUMBER = re.compile(r"-?\d+\.\d{5,}")


def _rounded(cell: Cell) -> Cell:
    """A number that stands among texts, to four digits; columns of numbers are rounded by the table."""
    if not isinstance(cell, str) or not _LONG_NUMBER.fullmatch(cell):
        return cell
    value = float(cell)
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _is_prose(rows: Sequence[Sequence[Any]], column: int) -> bool:
    return max((len(str(row[column])) for row in rows), default=0) > SHORT_CELL


def _pictures(step: CourseStep, layout: Layout) -> list[Block]:
    found: list[Block] = []
    wanted = {"": ""} if layout.pictures is None else layout.pictures
    for prefix, caption in wanted.items():
        fitting = [one for one in step.pictures if one.png and one.name.startswith(prefix)]
        found += [Picture("", caption or one.name.replace("-", " "), one.png) for one in fitting[:SLICES_SHOWN]]
        if len(fitting) > SLICES_SHOWN:
            found.append(
                Paragraph(f"{len(fitting) - SLICES_SHOWN} further pictures are in the step's folder.", note=True)
            )
    if any(not one.png for one in step.pictures):
        found.append(Paragraph("Pictures with names in them are left out here.", note=True))
    return found


def _quantity(document: Mapping[str, Any], path: str, unit: str, factor: float = 1.0) -> str:
    """A value with its uncertainty and unit; empty where there is none."""
    found = estimate(document, path)
    if found is None:
        return ""
    sd = None if found.sd is None else factor * found.sd
    return f"{with_uncertainty(factor * found.value, sd)} {unit}".strip()


def _lung_shunt(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    interval = document.get("interval_95")
    spread = f" (95 %: {' to '.join(percent(100 * one) for one in interval)} %)" if interval else ""
    mass = at(document, "whole_lung_mass.mass_kg")
    return [
        ("Lung shunt", f"{_quantity(document, 'lung_shunt', '%', 100.0)}{spread}"),
        ("Method", str(document.get("method", ""))),
        ("Mass of the lungs", "" if mass is None else f"{three(mass)} kg, {at(document, 'whole_lung_mass.source')}"),
        ("Elsewhere in view", _quantity(document, "share_elsewhere", "%", 100.0)),
        ("Places outside liver and lungs", str(len(document.get("extrahepatic") or ()))),
    ]


def _uptake(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Tumour to normal, all lesions", _quantity(document, "overall.tumour_to_normal", "")),
        ("Liver", _quantity(document, "volumes.liver_ml", "mL")),
        ("Tumours", _quantity(document, "volumes.tumour_ml", "mL")),
        ("Perfused share of the liver", _quantity(document, "volumes.perfused_share", "%", 100.0)),
        ("Hepatic reserve", _quantity(document, "volumes.hepatic_reserve", "%", 100.0)),
    ]


def _plan(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    chosen = ", ".join(f"{t['name']}: {t['chosen']}" for t in document.get("territories", ()))
    return [
        ("Activity in the vial", _quantity(document, "planned_gbq", "GBq")),
        ("Activity to the patient", _quantity(document, "administered_gbq", "GBq")),
        ("Method chosen", chosen),
        ("Verdict of its limits", str(document.get("verdict", ""))),
    ]


def _order(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Wanted", _quantity(document, "planned_gbq", "GBq")),
        ("Treatment at", str(document.get("administered_at", "")).replace("T", " ")),
        ("Vials", str(len(document.get("vials", ())))),
    ]


def _delivery(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Delivered", _quantity(document, "administered_gbq", "GBq")),
        ("In the vial at the injection", _quantity(document, "vial_at_injection_gbq", "GBq")),
        ("Residual", _quantity(document, "residual_fraction", "%", 100.0)),
    ]


def _registration(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    transform = document.get("transform") or {}
    return [
        ("Transform", f"{transform.get('kind', '')}, by {transform.get('method', '')}"),
        ("Uncertainty", _quantity(transform, "uncertainty_mm", "mm")),
    ]


def _dose(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    shape, spacing = at(document, "grid.shape") or (), at(document, "grid.spacing_mm") or ()
    expected = _quantity(document, "activity_expected_mbq", "MBq")
    return [
        ("Nuclide, engine", f"{document.get('nuclide', '')}, {document.get('engine', '')}"),
        ("Activity in the image", _quantity(document, "activity_in_image_mbq", "MBq")),
        ("Expected in view", expected),
        ("Voxels", f"{' × '.join(map(str, shape))} of {' × '.join(map(three, spacing))} mm"),
    ]


def _verification(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    moved = document.get("catheter_position_changed")
    planned, delivered = document.get("tumour_to_normal_planned"), document.get("tumour_to_normal_delivered")
    return [
        ("Where it went", "" if moved is None else "elsewhere than the scout" if moved else "as the scout"),
        ("Energy in the liver, of planned", _quantity(document, "total_ratio", "")),
        ("Tumour to normal", "" if planned is None else f"planned {three(planned)}, delivered {three(delivered)}"),
        ("Centre of dose moved by", _quantity(document, "shift_mm", "mm")),
    ]


def _safety(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    constant = document.get("dose_rate_constant") or {}
    return [
        ("Administered", _quantity(document, "administered_gbq", "GBq")),
        (
            "Dose rate constant",
            f"{_quantity(constant, 'usv_m2_per_gbq_h', 'µSv m²/(GBq h)')}, {constant.get('source', '')}",
        ),
        ("Waste to ten half-lives", _quantity(document, "waste.days_ten_half_lives", "d")),
    ]


def _response(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    best = ", ".join(f"{row['response']} ({row['reason']})" if row.get("reason") else str(row["response"])
                     for row in document.get("best", ()))  # fmt: skip
    return [("Criterion", str(document.get("criterion", ""))), ("Best response", best)]


def _prediction(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Nuclide, agent", ", ".join(filter(None, (document.get("nuclide"), document.get("agent"))))),
        ("Models asked", str(len(document.get("models", ())))),
    ]


LAYOUTS: Mapping[str, Layout] = {
    "lung-shunt": Layout(_lung_shunt, {"lung-shunt": "", "extrahepatic": "Outside liver and lungs"}),
    "uptake": Layout(_uptake, {"tumour-to-normal": "Lesions", "territories": "Territories"}),
    "plan": Layout(
        _plan,
        {
            "methods-*": "Methods side by side",
            "doses": "Doses of the chosen methods together",
            "predicted": "Predicted from the scout, voxel by voxel",
            "limits": "Limits and goals",
            "chances": "Chances",
            "assumptions": "Taken without being stated",
        },
    ),
    "order": Layout(_order, {"vials": ""}),
    "delivery": Layout(_delivery, {"delivered": "", "dose": "Mean dose"}),
    "registration": Layout(
        _registration,
        {"structures": "Structures of both", "marks": "Quality"},
        {"registration": "The scout CT on the therapy CT."},
        pictures_first=True,
    ),
    "dose": Layout(
        _dose,
        {"doses": "Absorbed dose by structure", "lung-doses": "Lungs", "limits": "Limits of the agent that may apply"},
        {
            "slices": "CT, dose as colour, isodose lines and outlines through a lesion. Axial seen from the feet.",
            "dvh": "Cumulative dose-volume histograms of the delivered dose; a triangle marks the mean.",
            "activity": "Maximum projections of the time-integrated activity.",
        },
    ),
    "verification": Layout(
        _verification,
        {"concordance": "Planned against delivered", "parts": "Share of the liver's activity"},
        {
            "slices": "Planned and delivered dose, their difference, and profiles.",
            "concordance": "Voxels of the lesions: delivered against planned, and Bland-Altman.",
        },
    ),
    "prediction": Layout(_prediction),
    "safety": Layout(
        _safety, {"release": "Release", "contact": "Contact", "dose-rates": "Dose rates", "afterwards": "Afterwards"}
    ),
    "response": Layout(_response, {"best": "", "visits": "Visits"}),
}
"""Step -> what its part shows; a step that is not here shows all of its tables and pictures."""
