"""``hepatica agreement`` and ``hepatica accuracy``: two measurements, or a test and the truth, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hepatica.case.agreement import AccuracyAnalysis, AgreementAnalysis


def agreement(
    table: Annotated[Path, typer.Argument(help="CSV or Excel table, one row per pair.")],
    first: Annotated[str, typer.Option(help="Column of the first measurement, such as scout_gy.")],
    second: Annotated[str, typer.Option(help="Column of the second, such as therapy_gy, in the same unit.")],
    patient: Annotated[str | None, typer.Option(help="Column of patient ids.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Excel sheet.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Write the Bland-Altman figure here (.svg or .png).")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Agreement of two measurements: Bland-Altman limits, Lin's concordance, Passing-Bablok regression."""
    from hepatica.case.agreement import analyse_agreement
    from hepatica.cli.printing import print_json, warn
    from hepatica.io.files import atomic_output

    found = analyse_agreement(table, first=first, second=second, patient=patient, sheet=sheet)
    if figure is not None:
        from hepatica.report.outcome_figures import draw_agreement, save

        with atomic_output(figure) as new:
            save(draw_agreement(found.first, found.second, found.bland_altman, labels=found.names), new)
    for text in found.warnings:
        warn(text)
    if json:
        print_json(found.as_dict())
    else:
        _print_agreement(found)


def accuracy(
    table: Annotated[Path, typer.Argument(help="CSV or Excel table, one row per patient.")],
    test: Annotated[str, typer.Option(help="Column of what the test said: 1 or 0.")],
    truth: Annotated[str, typer.Option(help="Column of the truth: 1 or 0.")],
    patient: Annotated[str | None, typer.Option(help="Column of patient ids; each may occur once.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Excel sheet.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Diagnostic accuracy of a yes/no test: sensitivity, specificity, predictive values with exact intervals."""
    from hepatica.case.agreement import analyse_accuracy
    from hepatica.cli.printing import print_json, warn

    found = analyse_accuracy(table, test=test, truth=truth, patient=patient, sheet=sheet)
    for text in found.warnings:
        warn(text)
    if json:
        print_json(found.as_dict())
    else:
        _print_accuracy(found)


def _print_agreement(found: AgreementAnalysis) -> None:
    from hepatica.cli.printing import print_table

    b, c, p = found.bland_altman, found.lin, found.passing_bablok
    rows: list[tuple[str, float, float | None, float | None]] = [
        ("bias", b.bias, b.bias_low, b.bias_high),
        ("lower limit of agreement", b.lower_limit, b.lower_limit - b.limit_error, b.lower_limit + b.limit_error),
        ("upper limit of agreement", b.upper_limit, b.upper_limit - b.limit_error, b.upper_limit + b.limit_error),
    ]
    if c is not None:
        rows += [("Lin's concordance", c.coefficient, c.low, c.high), ("Pearson's r", c.pearson, None, None)]
    if p is not None:
        rows.append(("Passing-Bablok slope", p.slope, p.slope_low, p.slope_high))
        rows.append(("Passing-Bablok intercept", p.intercept, p.intercept_low, p.intercept_high))
    print_table(
        f"{found.names[1]} against {found.names[0]}: {b.n} pairs, difference is {found.names[1]} - {found.names[0]}",
        ("quantity", "value", "from", "to"),
        rows,
    )
    for line in found.reading:
        typer.echo(line)


def _print_accuracy(found: AccuracyAnalysis) -> None:
    from hepatica.cli.printing import print_table

    a = found.accuracy
    print_table(
        f"{found.names[0]} against {found.names[1]}: {a.true_positive} true and {a.false_positive} false positive, "
        f"{a.true_negative} true and {a.false_negative} false negative",
        ("quantity", "of", "share", "from", "to"),
        [
            (name, f"{p.k} of {p.n}", p.value, p.low, p.high)
            for name, p in (
                ("sensitivity", a.sensitivity),
                ("specificity", a.specificity),
                ("positive predictive value", a.positive_predictive_value),
                ("negative predictive value", a.negative_predictive_value),
                ("accuracy", a.accuracy),
            )
        ],
    )
    for line in found.reading:
        typer.echo(line)
