"""``hepatica survival``: survival of a table of patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepatica.cli.table_options import AsJson, Figure, Out, Rows, Sheet, TablePath, deliver

if TYPE_CHECKING:
    from hepatica.cohort.survival import SurvivalAnalysis


def survival(
    table: TablePath,
    time: Annotated[str | None, typer.Option(help="Column of time observed, such as os_months.")] = None,
    event: Annotated[str, typer.Option(help="Column of the event: 1 happened, 0 did not.")] = "event",
    by: Annotated[str | None, typer.Option(help="Column of groups, or a cut: 'dose_gy>=205', dose_ge_205.")] = None,
    covariate: Annotated[list[str] | None, typer.Option(help="Numeric column for the models. Repeat.")] = None,
    balance: Annotated[list[str] | None, typer.Option(help="Column for propensity weights. Repeat.")] = None,
    competing: Annotated[
        str | None, typer.Option(help="Column of a competing event (1/0): incidence, Gray's test, Fine-Gray model.")
    ] = None,
    strata: Annotated[str | None, typer.Option(help="Column of strata, such as the centre.")] = None,
    landmark: Annotated[float | None, typer.Option(help="Form groups at this time; drop earlier events.")] = None,
    start_date: Annotated[str | None, typer.Option(help="Column of treatment dates, instead of --time.")] = None,
    end_date: Annotated[str | None, typer.Option(help="Column of event or last-seen dates.")] = None,
    patient: Annotated[str | None, typer.Option(help="Column of patient ids; each may occur once.")] = None,
    sheet: Sheet = None,
    figure: Figure = None,
    out: Out = None,
    json: AsJson = False,
) -> None:
    """Kaplan-Meier, log-rank, Cox with its check, competing risks, landmark, propensity weights."""
    from hepatica.cohort.survival import analyse_survival
    from hepatica.cohort.survival_table import SurvivalQuestion

    question = SurvivalQuestion(
        time=time,
        event=event,
        by=by,
        covariates=tuple(covariate or ()),
        patient=patient,
        competing=competing,
        landmark=landmark,
        start_date=start_date,
        end_date=end_date,
        balance=tuple(balance or ()),
        strata=strata,
        sheet=sheet,
    )
    found = analyse_survival(table, question)
    deliver(
        found,
        lambda: _print(found),
        as_json=json,
        figure=(figure, lambda: _draw(found)),
        out=(out, lambda: _rows(found)),
    )


def _draw(found: SurvivalAnalysis) -> Any:
    from hepatica.outcome.evidence import p_text
    from hepatica.report.figures.outcome import draw_incidence, draw_survival

    if found.incidences:
        note = "" if found.gray is None else f"Gray {p_text(found.gray.p)}"
        return draw_incidence(found.incidences, unit=found.unit, title=found.question.event, note=note)
    note = "" if found.log_rank is None else f"log-rank {p_text(found.log_rank.p)}"
    return draw_survival(found.curves, unit=found.unit, title="", note=note)


def _rows(found: SurvivalAnalysis) -> Rows:
    rows = [
        (c.name, t, int(n), s, low, high)
        for c in found.curves
        for t, n, s, low, high in zip(
            c.times.tolist(), c.at_risk.tolist(), c.survival.tolist(), c.low.tolist(), c.high.tolist(), strict=True
        )
    ]
    return ("group", f"time_{found.unit.split()[0]}", "at_risk", "survival", "low", "high"), rows


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
    if found.fine_gray is not None:
        f = found.fine_gray
        print_table(
            f"Fine-Gray model: {f.n} patients, {f.events} events, {f.competing} competing",
            ("covariate", "subdistribution hazard ratio", "from", "to", "p"),
            [(c.name, c.ratio, c.low, c.high, c.p) for c in f.covariates],
        )
    if found.propensity is not None:
        print_table(
            "Balance (standardized mean difference)",
            ("covariate", "before", "after"),
            [(b.name, round(b.before, 6), round(b.after, 6)) for b in found.propensity.balance],
        )
    if found.incidences:
        print_table(
            "Cumulative incidence at the last time",
            ("group", "events", "incidence", "from", "to"),
            [(n, i.n_events, float(i.incidence[-1]), float(i.low[-1]), float(i.high[-1])) for n, i in found.incidences],
        )
    for line in found.reading:
        typer.echo(line)
