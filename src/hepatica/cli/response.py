"""``hepatica response``: tumour response and liver function."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepatica.errors import InputError

if TYPE_CHECKING:
    from hepatica.case.liver_function import LiverFunction
    from hepatica.case.response import ResponseAnalysis, SegmentedLesion


def response(
    table: Annotated[Path | None, typer.Argument(help="CSV or Excel: patient, lesion, date, measurements.")] = None,
    criterion: Annotated[
        str, typer.Option(help="recist, mrecist, easl, qeasl, volume, percist, eortc or choi.")
    ] = "mrecist",
    confirm: Annotated[bool, typer.Option(help="Whether CR and PR need a second assessment.")] = True,
    confirmation_days: Annotated[int, typer.Option(help="Least days until it.")] = 28,
    labs: Annotated[Path | None, typer.Option(help="Table of laboratory values: liver scores and grades.")] = None,
    before: Annotated[
        Path | None,
        typer.Option(help="Lesions before treatment: label map (names in a .json beside it), SEG, RTSTRUCT."),
    ] = None,
    after: Annotated[Path | None, typer.Option(help="Lesions after treatment, same names.")] = None,
    before_image: Annotated[Path | None, typer.Option(help="Image that an RTSTRUCT --before was drawn on.")] = None,
    after_image: Annotated[Path | None, typer.Option(help="Image that an RTSTRUCT --after was drawn on.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Excel sheet.")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Write the waterfall of best changes here (.svg or .png).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Response per lesion and patient, best response with confirmation, liver function scores."""
    from hepatica.cli.printing import print_json

    if table is None and labs is None and before is None:
        raise InputError("give a table of measurements, --labs, or --before and --after")
    found = None
    document: dict[str, object] = {}
    if table is not None:
        found = _measured(table, criterion, (confirm, confirmation_days), sheet, figure)
        document |= found.as_dict()
    elif figure is not None:
        raise InputError("--figure shows the changes of a table of measurements; give one")
    liver = None
    if labs is not None:
        from hepatica.case.liver_function import analyse_liver_function

        liver = analyse_liver_function(labs)
        document["liver_function"] = liver.as_dict()
    segmented = _segmentations((before, after), (before_image, after_image))
    if segmented:
        document["segmented_lesions"] = [_segmented_dict(s) for s in segmented]
    if json:
        print_json(document)
        return
    if found is not None:
        _print(found)
    if segmented:
        _print_segmented(segmented)
    if liver is not None:
        _print_liver(liver)


def _measured(
    table: Path, criterion: str, confirmation: tuple[bool, int], sheet: str | None, figure: Path | None
) -> ResponseAnalysis:
    from hepatica.case.response import analyse_response
    from hepatica.cli.printing import warn

    confirm, days = confirmation
    found = analyse_response(table, criterion, confirm=confirm, confirmation_days=days, sheet=sheet)
    for text in found.warnings:
        warn(text)
    if figure is not None:
        _draw(found, figure)
    return found


def _segmentations(
    files: tuple[Path | None, Path | None], images: tuple[Path | None, Path | None]
) -> tuple[SegmentedLesion, ...]:
    from hepatica.case.segmented import compare_segmentation_files
    from hepatica.cli.printing import warn

    before, after = files
    if (before is None) != (after is None):
        raise InputError("--before and --after go together")
    if before is None or after is None:
        if any(images):
            raise InputError("--before-image and --after-image go with --before and --after")
        return ()
    found = compare_segmentation_files(before, after, before_image=images[0], after_image=images[1])
    for text in found.warnings:
        warn(text)
    return found.lesions


def _segmented_dict(s: SegmentedLesion) -> dict[str, object]:
    return {
        "name": s.name,
        "volume_before_ml": s.before.volume_ml,
        "volume_after_ml": 0.0 if s.after is None else s.after.volume_ml,
        "longest_before_mm": s.before.longest_mm,
        "longest_after_mm": 0.0 if s.after is None else s.after.longest_mm,
        "relative_volume_change": s.relative_volume_change,
        "recist": s.diameter_response.value,
        "volume": s.volume_response.value,
    }


def _draw(found: ResponseAnalysis, path: Path) -> None:
    from hepatica.io.files import atomic_output
    from hepatica.report.outcome_figures import draw_waterfall, save

    changes: dict[str, float] = {}
    for v in found.visits:
        changes[v.patient] = min(changes.get(v.patient, v.change), v.change)
    best = {patient: b.response.value for patient, b in found.best}
    with atomic_output(path) as new:
        save(draw_waterfall(changes, best, f"best change, {found.criterion}"), new)


def _print(found: ResponseAnalysis) -> None:
    from hepatica.cli.printing import print_table

    print_table(
        f"{found.criterion}: sum over target lesions" + (f", {found.unit}" if found.unit else ""),
        ("patient", "date", "sum", "change, %", "from nadir, %", "target", "overall"),
        [
            (v.patient, v.when, v.total, 100 * v.change, 100 * v.change_from_reference, v.target.value, v.overall.value)
            for v in found.visits
        ],
    )
    print_table(
        "Best response",
        ("patient", "best", "first on", "confirmed", "why"),
        [(p, b.response.value, b.when, "yes" if b.confirmed else "no", b.reason) for p, b in found.best],
    )


def _print_segmented(lesions: tuple[SegmentedLesion, ...]) -> None:
    from hepatica.cli.printing import print_table

    print_table(
        "Segmented lesions",
        ("lesion", "before, mL", "after, mL", "change, %", "before, mm", "after, mm", "RECIST", "volume"),
        [
            (
                s.name,
                s.before.volume_ml,
                0.0 if s.after is None else s.after.volume_ml,
                100 * s.relative_volume_change,
                s.before.longest_mm,
                0.0 if s.after is None else s.after.longest_mm,
                s.diameter_response.value,
                s.volume_response.value,
            )
            for s in lesions
        ],
    )


def _print_liver(liver: LiverFunction) -> None:
    from hepatica.cli.printing import print_table

    print_table(
        "Liver function",
        ("patient", "date", "ALBI", "grade", "Child-Pugh", "class", "MELD", "CTCAE", "REILD"),
        [
            (
                r.patient,
                r.when,
                r.albi,
                r.albi_grade,
                r.child_pugh,
                r.child_pugh_class,
                r.meld,
                ", ".join(f"{name} {grade}" for name, grade in r.ctcae.items()),
                r.reild,
            )
            for r in liver.rows
        ],
    )
