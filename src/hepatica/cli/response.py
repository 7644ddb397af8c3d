"""``hepatica response``: tumour response, lipiodol, the future remnant and liver function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepatica.cli.table_options import AsJson, Figure, Out, Rows, Sheet, write_figure, write_rows
from hepatica.errors import InputError

if TYPE_CHECKING:
    from hepatica.workflow.outcome.liver_function import LiverFunction
    from hepatica.workflow.outcome.response import ResponseAnalysis
    from hepatica.workflow.outcome.segmented import SegmentationsCompared
    from hepatica.workflow.outcome.volumes import VolumeAnalysis


@dataclass(frozen=True, slots=True)
class _Part:
    """One answer: what it says, shows, draws and writes."""

    document: dict[str, Any]
    warnings: tuple[str, ...]
    show: Callable[[], None]
    draw: Callable[[], Any]
    rows: Callable[[], Rows]


def response(
    table: Annotated[
        Path | None, typer.Argument(help="CSV or Excel: patient, lesion, date, measurements (docs/outcome.md).")
    ] = None,
    criterion: Annotated[
        str,
        typer.Option(
            help="recist, mrecist, easl, qeasl, volume, percist, eortc, choi; lipiodol: retention; remnant: growth."
        ),
    ] = "mrecist",
    confirm: Annotated[bool, typer.Option(help="Whether CR and PR need a second assessment.")] = True,
    confirmation_days: Annotated[int, typer.Option(help="Least days until it.")] = 28,
    labs: Annotated[Path | None, typer.Option(help="Table of laboratory values: liver scores and grades.")] = None,
    before: Annotated[
        Path | None,
        typer.Option(help="Structures before treatment: label map (names in a .json beside it), SEG, RTSTRUCT."),
    ] = None,
    after: Annotated[Path | None, typer.Option(help="Structures after treatment, same names.")] = None,
    before_image: Annotated[Path | None, typer.Option(help="Image that an RTSTRUCT --before was drawn on.")] = None,
    after_image: Annotated[Path | None, typer.Option(help="Image that an RTSTRUCT --after was drawn on.")] = None,
    days: Annotated[float | None, typer.Option(help="Days between --before and --after.")] = None,
    sheet: Sheet = None,
    figure: Figure = None,
    out: Out = None,
    json: AsJson = False,
) -> None:
    """Response per lesion and patient, best response with confirmation, lipiodol, remnant, liver function scores."""
    from hepatica.cli.printing import print_json, warn

    parts = []
    if table is not None and criterion in ("lipiodol", "remnant"):
        parts.append(_volumes(table, criterion, sheet))
    elif table is not None:
        parts.append(_measured(table, criterion, (confirm, confirmation_days), sheet))
    parts += _segmentations((before, after), (before_image, after_image), days)
    if labs is not None:
        parts.append(_labs(labs, None if table is not None else sheet))
    if not parts:
        raise InputError("give a table of measurements, --labs, or --before and --after")
    if len(parts) > 1 and (figure is not None or out is not None):
        raise InputError("--figure and --out write one answer; ask for the table, --labs and --before one at a time")
    if figure is not None:
        write_figure(parts[0].draw(), figure)
    if out is not None:
        write_rows(parts[0].rows(), out)
    for text in dict.fromkeys(text for part in parts for text in part.warnings):
        warn(text)
    if json:
        print_json({key: value for part in parts for key, value in part.document.items()})
        return
    for part in parts:
        part.show()


def _measured(table: Path, criterion: str, confirmation: tuple[bool, int], sheet: str | None) -> _Part:
    from hepatica.workflow.outcome.response import analyse_response

    confirm, days = confirmation
    found = analyse_response(table, criterion, confirm=confirm, confirmation_days=days, sheet=sheet)
    return _Part(
        found.as_dict(), found.warnings, lambda: _print(found), lambda: _waterfall(found), lambda: _visits(found)
    )


def _volumes(table: Path, criterion: str, sheet: str | None) -> _Part:
    from hepatica.workflow.outcome.volumes import analyse_remnant, analyse_retention

    analyse = analyse_retention if criterion == "lipiodol" else analyse_remnant
    found = analyse(table, sheet=sheet)
    return _Part(
        found.as_dict(),
        found.warnings,
        lambda: _print_volumes(found),
        lambda: _draw_volumes(found),
        lambda: _volume_rows(found),
    )


def _segmentations(
    files: tuple[Path | None, Path | None], images: tuple[Path | None, Path | None], days: float | None
) -> list[_Part]:
    from hepatica.workflow.outcome.segmented import compare_segmentation_files

    before, after = files
    if (before is None) != (after is None):
        raise InputError("--before and --after go together")
    if before is None or after is None:
        if any(images) or days is not None:
            raise InputError("--before-image, --after-image and --days go with --before and --after")
        return []
    found = compare_segmentation_files(before, after, before_image=images[0], after_image=images[1], days=days)
    return [
        _Part(
            found.as_dict(),
            found.warnings,
            lambda: _print_segmented(found),
            lambda: _draw_segmented(found),
            lambda: _segmented_rows(found),
        )
    ]


def _labs(table: Path, sheet: str | None) -> _Part:
    from hepatica.workflow.outcome.liver_function import analyse_liver_function

    found = analyse_liver_function(table, sheet=sheet)
    return _Part(
        {"liver_function": found.as_dict()},
        found.warnings,
        lambda: _print_liver(found),
        lambda: _draw_liver(found),
        lambda: _liver_rows(found),
    )


def _waterfall(found: ResponseAnalysis) -> Any:
    from hepatica.report.figures.outcome import draw_waterfall

    changes: dict[str, float] = {}
    for v in found.visits:
        changes[v.patient] = min(changes.get(v.patient, v.change), v.change)
    best = {patient: b.response.value for patient, b in found.best}
    return draw_waterfall(changes, best, f"best change, {found.criterion}")


def _visits(found: ResponseAnalysis) -> Rows:
    header = ("patient", "date", "sum", "relative_change", "relative_change_from_reference", "target", "overall")
    return header, [
        (v.patient, v.when, v.total, v.change, v.change_from_reference, v.target.value, v.overall.value)
        for v in found.visits
    ]


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


def _volume_rows(found: VolumeAnalysis) -> Rows:
    rows = [row.as_dict() for row in (found.retention or found.remnant)]
    return tuple(rows[0]) if rows else (), [tuple(row.values()) for row in rows]


def _print_volumes(found: VolumeAnalysis) -> None:
    from hepatica.cli.printing import print_table

    if found.kind == "lipiodol":
        _print_retention(
            [(r.patient, r.lesion, r.when, r.retained_ml, r.tumour_ml, r.share, r.grade) for r in found.retention]
        )
        return
    print_table(
        "Future liver remnant",
        ("patient", "date", "before, mL", "after, mL", "growth, %", "% a week", "share before, %", "share after, %"),
        [
            (
                r.patient,
                r.when,
                r.found.growth.before_ml,
                r.found.growth.after_ml,
                100 * r.found.growth.relative,
                None if r.found.growth.relative_per_week is None else 100 * r.found.growth.relative_per_week,
                100 * r.found.share_before,
                100 * r.found.share_after,
            )
            for r in found.remnant
        ],
    )


def _print_retention(rows: list[tuple[Any, ...]]) -> None:
    from hepatica.cli.printing import print_table

    print_table(
        "Lipiodol retention",
        ("patient", "lesion", "date", "retained, mL", "tumour, mL", "share, %", "retention"),
        [(*row[:5], 100 * row[5], row[6]) for row in rows],
    )


def _draw_volumes(found: VolumeAnalysis) -> Any:
    from hepatica.report.figures.response import draw_remnant, draw_retention

    if found.kind == "lipiodol":
        return draw_retention([(f"{r.patient}, {r.lesion}, {r.when}", r.share) for r in found.retention])
    return draw_remnant([(r.patient, r.days or 0.0, r.found.share_before, r.found.share_after) for r in found.remnant])


def _print_segmented(found: SegmentationsCompared) -> None:
    from hepatica.cli.printing import print_table

    if found.lesions:
        from hepatica.workflow.outcome.response import SEGMENTED, patient_responses

        together = patient_responses(found.lesions)
        print_table(
            "Segmented lesions (mRECIST and EASL: if the viable part was segmented)",
            ("lesion", "before, mL", "after, mL", "change, %", "before, mm", "after, mm", *SEGMENTED),
            [
                (
                    s.name,
                    s.before.volume_ml,
                    0.0 if s.after is None else s.after.volume_ml,
                    100 * s.relative_volume_change,
                    s.before.longest_mm,
                    0.0 if s.after is None else s.after.longest_mm,
                    *(s.responses[name].value for name in SEGMENTED),
                )
                for s in found.lesions
            ]
            + [("all together", None, None, None, None, None, *(together[name].value for name in SEGMENTED))],
        )
    if found.retention:
        _print_retention([("", r.lesion, None, r.retained_ml, r.tumour_ml, r.share, r.grade) for r in found.retention])
    if found.remnant is not None:
        f = found.remnant.found
        print_table(
            "Future liver remnant",
            ("before, mL", "after, mL", "growth, %", "share before, %", "share after, %", "degree of hypertrophy, %"),
            [
                (
                    f.growth.before_ml,
                    f.growth.after_ml,
                    100 * f.growth.relative,
                    100 * f.share_before,
                    100 * f.share_after,
                    100 * f.degree_of_hypertrophy,
                )
            ],
        )


def _draw_segmented(found: SegmentationsCompared) -> Any:
    from hepatica.report.figures.response import draw_segmented

    rows = [
        (s.name, s.before.volume_ml, 0.0 if s.after is None else s.after.volume_ml, s.responses["volume"].value)
        for s in found.lesions
    ]
    if found.remnant is not None:
        growth = found.remnant.found.growth
        rows.append(("future remnant", growth.before_ml, growth.after_ml, ""))
    return draw_segmented(rows)


def _segmented_rows(found: SegmentationsCompared) -> Rows:
    rows = [s.as_dict() for s in found.lesions]
    if not rows:
        raise InputError("there is no lesion to write with --out; --json has the remnant")
    return tuple(rows[0]), [tuple(row.values()) for row in rows]


def _print_liver(liver: LiverFunction) -> None:
    from hepatica.cli.printing import print_table

    print_table(
        "Liver function",
        ("patient", "date", "ALBI", "grade", "Child-Pugh", "class", "MELD", "BCLC", "CTCAE above 0", "REILD"),
        [
            (
                r.patient,
                r.when,
                r.albi,
                r.albi_grade,
                r.child_pugh,
                r.child_pugh_class,
                r.meld,
                r.bclc,
                ", ".join(f"{name} {grade}" for name, grade in r.ctcae.items() if grade) or "0",
                None if r.reild is None else r.reild.split(":")[0],
            )
            for r in liver.rows
        ],
    )


def _draw_liver(liver: LiverFunction) -> Any:
    from hepatica.report.figures.response import draw_liver_function

    return draw_liver_function(
        [(r.patient, r.when, r.albi, r.bilirubin_mg_dl, (r.reild or "").startswith("suspected")) for r in liver.rows]
    )


def _liver_rows(liver: LiverFunction) -> Rows:
    rows = []
    for row in liver.as_dict()["rows"]:
        grades = "; ".join(f"{name} {grade}" for name, grade in row["ctcae_grades"].items())
        rows.append(row | {"ctcae_grades": grades})
    return tuple(rows[0]), [tuple(row.values()) for row in rows]
