"""``hepatica dose-response``: probability of response against dose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepatica.cli.table_options import AsJson, Figure, Out, Rows, Sheet, TablePath, deliver

if TYPE_CHECKING:
    from hepatica.cohort.dose_response import DoseResponseAnalysis


def dose_response(
    table: TablePath,
    dose: Annotated[str, typer.Option(help="Column of doses in Gy, such as tumour_gy.")],
    response: Annotated[str, typer.Option(help="Column of responses: 1 or 0.")],
    patient: Annotated[str | None, typer.Option(help="Column of patient ids: several lesions each.")] = None,
    threshold: Annotated[str | None, typer.Option(help="Threshold fixed beforehand, such as '205 Gy'.")] = None,
    scale: Annotated[str, typer.Option(help="'linear' or 'log' dose.")] = "linear",
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 1,
    sheet: Sheet = None,
    figure: Figure = None,
    out: Out = None,
    json: AsJson = False,
) -> None:
    """Logistic dose-response curve, 50 % dose, ROC, thresholds with honest performance, calibration."""
    from hepatica.cohort.dose_response import analyse_dose_response
    from hepatica.core.units import parse_quantity

    found = analyse_dose_response(
        table,
        dose=dose,
        response=response,
        patient=patient,
        threshold_gy=None if threshold is None else parse_quantity(threshold, "Gy", "--threshold"),
        scale=scale,
        sheet=sheet,
        seed=seed,
    )
    deliver(
        found,
        lambda: _print(found),
        as_json=json,
        figure=(figure, lambda: _draw(found)),
        out=(out, lambda: _rows(found)),
    )


def _draw(found: DoseResponseAnalysis) -> Any:
    from hepatica.report.figures.outcome import draw_dose_response

    c, r = found.curve, found.roc
    return draw_dose_response(
        found.dose_gy,
        found.response,
        curve=None if c is None else c.curve,
        d50=None if c is None else (c.d50_gy, c.d50_low_gy, c.d50_high_gy),
        roc=None
        if r is None
        else (r.sensitivity, r.specificity, f"area {r.auc:.2f} ({r.auc_low:.2f} to {r.auc_high:.2f})"),
        labels=(
            found.dose_column if "gy" in found.dose_column.lower() else f"{found.dose_column}, Gy",
            found.response_column,
        ),
    )


def _rows(found: DoseResponseAnalysis) -> Rows:
    from hepatica.errors import EvidenceError

    if found.curve is None:
        raise EvidenceError("no curve was fitted, so --out has none to write")
    low, high = found.curve.dose_range_gy
    doses = [low + (high - low) * n / 100 for n in range(101)]
    columns = [v.tolist() for v in found.curve.curve(doses)]
    return ("dose_gy", "probability", "low", "high"), list(zip(doses, *columns, strict=True))


def _print(found: DoseResponseAnalysis) -> None:
    from hepatica.cli.printing import print_table

    c = found.curve
    if c is not None:
        print_table(
            f"Dose-response, {c.scale} dose: {c.n} lesions"
            + (f" of {c.patients} patients" if c.patients is not None else ""),
            ("quantity", "value", "from", "to"),
            [
                ("50 % dose, Gy", c.d50_gy, c.d50_low_gy, c.d50_high_gy),
                ("slope gamma50", c.gamma50, c.gamma50_low, c.gamma50_high),
                ("odds ratio per 10 Gy", c.odds_ratio_per_10_gy, c.odds_ratio_low, c.odds_ratio_high),
                ("p of dose", c.p, None, None),
                ("design effect of clustering", c.design_effect, None, None),
            ],
        )
    if found.thresholds:
        print_table(
            "Thresholds",
            ("Gy", "chosen", "sensitivity", "specificity", "optimism", "PPV (apparent)", "PPV from", "PPV to"),
            [
                (
                    t.value,
                    t.chosen,
                    t.sensitivity,
                    t.specificity,
                    t.optimism,
                    t.apparent.positive_predictive_value.value,
                    t.apparent.positive_predictive_value.low,
                    t.apparent.positive_predictive_value.high,
                )
                for t in found.thresholds
            ],
        )
    for line in found.reading:
        typer.echo(line)
