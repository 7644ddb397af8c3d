"""``hepatica survival``: survival of a table of patients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hepatica.case.survival import SurvivalAnalysis


def survival(
    table: Annotated[Path, typer.Argument(help="CSV or Excel table, one row per patient.")],
    time: Annotated[str | None, typer.Option(help="Column of time observed, such as os_months.")] = None,
    event: Annotated[str, typer.Option(help="Column of the event: 1 happened, 0 did not.")] = "event",
    by: Annotated[str | None, typer.Option(help="Column of groups, or a cut: 'dose_gy>=205', dose_ge_205.")] = None,
    covariate: Annotated[list[str] | None, typer.Option(help="Numeric column for the Cox model. Repeat.")] = None,
    balance: Annotated[list[str] | None, typer.Option(help="Column for propensity weights. Repeat.")] = None,
    competing: Annotated[str | None, typer.Option(help="Column of a competing event (1/0).")] = None,
    landmark: Annotated[float | None, typer.Option(help="Form groups at this time; drop earlier events.")] = None,
    start_date: Annotated[str | None, typer.Option(help="Column of treatment dates, instead of --time.")] = None,
    end_date: Annotated[str | None, typer.Option(help="Column of event or last-seen dates.")] = None,
    patient: Annotated[str | None, typer.Option(help="Column of patient ids; each may occur once.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Excel sheet.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Write the Kaplan-Meier figure here (.svg or .png).")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the curves as a table here (.csv).")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Kaplan-Meier, log-rank, Cox with its check, competing risks, landmark, propensity weights."""
    from hepatica.case.survival import SurvivalQuestion, analyse_survival
    from hepatica.cli.printing import print_json, warn

    found = analyse_survival(
        table,
        SurvivalQuestion(
            time,
            event,
            by,
            tuple(covariate or ()),
            patient,
            competing,
            landmark,
            start_date,
            end_date,
            tuple(balance or ()),
            sheet,
        ),
    )
    if figure is not None:
        _draw(found, figure)
    if out is not None:
        _write(found, out)
    for text in found.warnings:
        warn(text)
    if json:
        print_json(found.as_dict())
    else:
        _print(found)


def _draw(found: SurvivalAnalysis, path: Path) -> None:
    from hepatica.io.files import atomic_output
    from hepatica.outcome.evidence import p_text
    from hepatica.report.outcome_figures import draw_incidence, draw_survival, save

    if found.incidences:
        picture = draw_incidence(found.incidences, unit=found.unit, title=found.question.event)
    else:
        note = "" if found.log_rank is None else f"log-rank {p_text(found.log_rank.p)}"
        picture = draw_survival(found.curves, unit=found.unit, title="", note=note)
    with atomic_output(path) as new:
        save(picture, new)


def _write(found: SurvivalAnalysis, path: Path) -> None:
    from hepatica.io.files import atomic_output
    from hepatica.io.tables import write_table

    rows = [
        (c.name, t, int(n), s, low, high)
        for c in found.curves
        for t, n, s, low, high in zip(
            c.times.tolist(), c.at_risk.tolist(), c.survival.tolist(), c.low.tolist(), c.high.tolist(), strict=True
        )
    ]
    with atomic_output(path) as new:
        write_table(new, ("group", f"time_{found.unit}", "at_risk", "survival", "low", "high"), rows)


def _print(found: SurvivalAnalysis) -> None:
    from hepatica.cli.printing import print_table

    print_table(
        f"Survival, {found.unit}",
        ("group", "patients", "events", "median", "from", "to", "follow-up (median)"),
        [(c.name, c.n, c.n_events, c.median, c.median_low, c.median_high, c.median_follow_up) for c in found.curves],
    )
    for name, model in (("Cox model", found.cox), ("Cox model, propensity weights", found.weighted_cox)):
        if model is not None:
            print_table(
                f"{name}: {model.n} patients, {model.events} events, concordance {model.concordance:.2f}",
                ("covariate", "hazard ratio", "from", "to", "p", "proportional, p"),
                [(c.name, c.hazard_ratio, c.low, c.high, c.p, c.proportional_p) for c in model.covariates],
            )
    if found.propensity is not None:
        print_table(
            "Balance (standardized mean difference)",
            ("covariate", "before", "after"),
            [(b.name, b.before, b.after) for b in found.propensity.balance],
        )
    if found.incidences:
        print_table(
            "Cumulative incidence at the last time",
            ("group", "events", "incidence", "from", "to"),
            [(n, i.n_events, float(i.incidence[-1]), float(i.low[-1]), float(i.high[-1])) for n, i in found.incidences],
        )
    for line in found.reading:
        typer.echo(line)
