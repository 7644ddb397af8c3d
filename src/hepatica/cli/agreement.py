"""``hepatica agreement`` and ``hepatica accuracy``: two measurements, or a test and the truth, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepatica.cli.table_options import AsJson, Figure, Out, Rows, Sheet, TablePath, deliver

if TYPE_CHECKING:
    from hepatica.cohort.agreement import AccuracyAnalysis, AgreementAnalysis
    from hepatica.outcome.roc import Proportion


def agreement(
    table: TablePath,
    first: Annotated[str, typer.Option(help="Column of the first measurement, such as scout_gy.")],
    second: Annotated[str, typer.Option(help="Column of the second, such as therapy_gy, in the same unit.")],
    patient: Annotated[str | None, typer.Option(help="Column of patient ids.")] = None,
    sheet: Sheet = None,
    figure: Figure = None,
    out: Out = None,
    json: AsJson = False,
) -> None:
    """Agreement of two measurements: Bland-Altman limits, Lin's concordance, Passing-Bablok regression."""
    from hepatica.cohort.agreement import analyse_agreement

    found = analyse_agreement(table, first=first, second=second, patient=patient, sheet=sheet)
    deliver(
        found,
        lambda: _print_agreement(found),
        as_json=json,
        figure=(figure, lambda: _draw_agreement(found)),
        out=(out, lambda: (("quantity", "value", "low", "high"), _agreement_rows(found))),
    )


def accuracy(
    table: TablePath,
    test: Annotated[str, typer.Option(help="Column of what the test said: 1 or 0.")],
    truth: Annotated[str, typer.Option(help="Column of the truth: 1 or 0.")],
    patient: Annotated[str | None, typer.Option(help="Column of patient ids; each may occur once.")] = None,
    sheet: Sheet = None,
    figure: Figure = None,
    out: Out = None,
    json: AsJson = False,
) -> None:
    """Diagnostic accuracy of a yes/no test: sensitivity, specificity, predictive values with exact intervals."""
    from hepatica.cohort.agreement import analyse_accuracy

    found = analyse_accuracy(table, test=test, truth=truth, patient=patient, sheet=sheet)
    deliver(
        found,
        lambda: _print_accuracy(found),
        as_json=json,
        figure=(figure, lambda: _draw_accuracy(found)),
        out=(out, lambda: _accuracy_rows(found)),
    )


def _draw_agreement(found: AgreementAnalysis) -> Any:
    from hepatica.report.figures.outcome import draw_agreement

    return draw_agreement(found.first, found.second, found.bland_altman, labels=found.names)


def _draw_accuracy(found: AccuracyAnalysis) -> Any:
    from hepatica.report.figures.outcome import draw_accuracy

    a = found.accuracy
    counts = ((a.true_positive, a.false_negative), (a.false_positive, a.true_negative))
    return draw_accuracy(counts, _shares(found), labels=found.names)


def _shares(found: AccuracyAnalysis) -> list[tuple[str, Proportion]]:
    a = found.accuracy
    return [
        ("sensitivity", a.sensitivity),
        ("specificity", a.specificity),
        ("positive predictive value", a.positive_predictive_value),
        ("negative predictive value", a.negative_predictive_value),
        ("accuracy", a.accuracy),
    ]


def _accuracy_rows(found: AccuracyAnalysis) -> Rows:
    header = ("quantity", "count", "of", "share", "low", "high")
    return header, [(name, p.k, p.n, p.value, p.low, p.high) for name, p in _shares(found)]


def _agreement_rows(found: AgreementAnalysis) -> list[tuple[str, float, float | None, float | None]]:
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
    return rows


def _print_agreement(found: AgreementAnalysis) -> None:
    from hepatica.cli.printing import print_table

    first, second = found.names
    print_table(
        f"{second} against {first}: {found.bland_altman.n} pairs, difference is {second} - {first}",
        ("quantity", "value", "from", "to"),
        _agreement_rows(found),
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
        [(name, f"{p.k} of {p.n}", p.value, p.low, p.high) for name, p in _shares(found)],
    )
    for line in found.reading:
        typer.echo(line)
