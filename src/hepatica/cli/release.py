"""``hepatica release``: when a patient may go home, and how to keep others safe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepatica.cli.table_options import AsJson, Figure, write_figure

if TYPE_CHECKING:
    from hepatica.safety.plan import ReleasePlan


def release(
    nuclide: Annotated[str, typer.Option(help="Radionuclide, such as I-131.")],
    activity: Annotated[str, typer.Option(help="Administered activity, such as '2.2 GBq' or '60 mCi'.")],
    agent: Annotated[str, typer.Option(help="'glass', 'resin', 'PLLA', 'lipiodol'.")] = "",
    administered: Annotated[str | None, typer.Option(help="When, ISO: 2026-03-02T14:00.")] = None,
    half_life: Annotated[
        str | None, typer.Option(help="Effective half-life; the physical one, on the safe side, if not given.")
    ] = None,
    dose_rate: Annotated[
        str | None, typer.Option(help="Dose-rate convention: measured, calculated, rg839 or dorn.")
    ] = None,
    depth_cm: Annotated[float, typer.Option(help="Tissue in front of the source, cm (calculated dose rate).")] = 0.0,
    law: Annotated[str | None, typer.Option(help="Fall with distance: point, line, power-1.5 or measured.")] = None,
    line_length_cm: Annotated[float, typer.Option(help="Length of the line source, cm.")] = 20.0,
    occupancy: Annotated[float | None, typer.Option(help="Occupancy factor of the NRC formula.")] = None,
    patterns: Annotated[str, typer.Option(help="Contact patterns: cormack-shearer or sfmn.")] = "cormack-shearer",
    constraint: Annotated[
        str | None, typer.Option(help="In place of the patterns' 1 mSv for the public, such as '0.3 mSv'.")
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write the patient's sheet here (.html or .pdf).")] = None,
    language: Annotated[str, typer.Option(help="Language of the sheet: 'en', or a translated .toml file.")] = "en",
    patient: Annotated[str, typer.Option(help="Name or number printed on the sheet.")] = "",
    contact: Annotated[str, typer.Option(help="Whom the patient may call; printed on the sheet.")] = "",
    framework: Annotated[str, typer.Option(help="Rule stated on the sheet: nrc, france, germany, australia.")] = "nrc",
    figure: Figure = None,
    json: AsJson = False,
) -> None:
    """Dose rates, release rules, contact restrictions, waste, staff doses and the patient sheet after a treatment."""
    from hepatica.cli.printing import print_json, warn
    from hepatica.core.units import parse_quantity, parse_time
    from hepatica.nuclides import nuclide as find_nuclide
    from hepatica.safety.plan import ReleaseQuestion, release_plan

    plan = release_plan(
        ReleaseQuestion(
            find_nuclide(nuclide).name,
            agent,
            parse_quantity(activity, "GBq", "--activity"),
            None if administered is None else parse_time(administered, "--administered"),
            None if half_life is None else parse_quantity(half_life, "h", "--half-life"),
            dose_rate,
            depth_cm,
            law,
            line_length_cm / 100,
            occupancy,
            patterns,
            None if constraint is None else parse_quantity(constraint, "mSv", "--constraint"),
        )
    )
    if sheet is not None:
        _write_sheet(plan, sheet, language, {"patient": patient, "contact": contact, "framework": framework})
    if figure is not None:
        _draw(plan, figure)
    for text in plan.warnings:
        warn(text)
    if json:
        print_json(plan.as_dict())
    else:
        _print(plan)


def _write_sheet(plan: ReleasePlan, path: Path, language: str, words: dict[str, str]) -> None:
    from hepatica.io.files import atomic_output
    from hepatica.report.page import write_page
    from hepatica.safety.sheet import patient_sheet, sheet_texts

    page = patient_sheet(plan, texts=sheet_texts(language), **words)
    with atomic_output(path) as new:
        write_page(page, new)


def _draw(plan: ReleasePlan, path: Path) -> None:
    from hepatica.report.figures.outcome import draw_dose_rates

    hours = [h / 4 for h in range(int(4 * 12 * plan.source.clearance[0][1]) + 1)]
    curves = {f"{d:g} m": [plan.source.rate_usv_per_h(d, h) for h in hours] for d in (0.3, 1.0, 2.0)}
    write_figure(draw_dose_rates(hours, curves, f"{plan.question.nuclide}, {plan.question.activity_gbq:.3g} GBq"), path)


def _print(plan: ReleasePlan) -> None:
    from hepatica.cli.printing import print_table

    c, n, q = plan.constant, plan.nrc, plan.question
    print_table(
        f"{q.activity_gbq:.4g} GBq {q.nuclide} {q.agent}: {c.usv_m2_per_gbq_h:.3g} uSv/h per GBq at 1 m "
        f"({c.convention}), half-life {plan.source.clearance[0][1]:.4g} h",
        ("hours", "0.3 m, uSv/h", "1 m, uSv/h", "2 m, uSv/h"),
        [list(row.values()) for row in plan.rates()],
    )
    yes_no = {True: "yes", False: "no", None: "by contact"}
    print_table(
        "Going home",
        ("rule", "now", "wait, h", "why"),
        [(v.framework.name, yes_no[v.may_go], v.wait_h, v.reason) for v in plan.verdicts],
    )
    print_table(
        f"NRC: {n.basis}",
        ("dose, mSv", "instructions", "activity limit, GBq", "RG 8.39 table, GBq", "limit at 1 m, uSv/h"),
        [
            (
                n.dose_msv,
                "due" if n.instructions_due else "not due",
                n.activity_limit_gbq,
                n.table_activity_limit_gbq,
                n.rate_limit_usv_per_h,
            )
        ],
    )
    print_table(
        "Keep away",
        ("contact", "constraint, mSv", "days", "until", "without, mSv", "with, mSv"),
        [
            (
                r.pattern.text,
                r.pattern.constraint_msv,
                r.days,
                plan.date_after(r.days),
                r.dose_without_msv,
                r.dose_with_msv,
            )
            for r in plan.restrictions
        ],
    )
    print_table("Excreta, waste, afterwards", ("what", "value"), _afterwards(plan))
    print_table(
        "Staff (our planning times; external radiation from the patient only)",
        ("task", "hours", "distance, m", "after, h", "dose, uSv"),
        [(t.task, t.hours, t.distance_m, t.after_h, t.dose_usv) for t in plan.staff],
    )


def _afterwards(plan: ReleasePlan) -> list[tuple[str, str]]:
    w, e = plan.waste, plan.excretion
    rows = [("excreta", e.advice)]
    if e.percent_48h_max is not None:
        rows.append(("excreted in 48 h, highest published", f"{e.percent_48h_max:g} % of injected ({e.source})"))
    if e.thyroid_block:
        rows.append(("thyroid block", e.thyroid_block))
    rows.append(("waste, ten half-lives", f"{w.days_ten_half_lives:.0f} days"))
    if w.exempt_bq_per_g is not None:
        rows.append(("exempt concentration", f"{w.exempt_bq_per_g:g} Bq/g"))
    if w.impurity:
        text = f"{w.impurity}, half-life {w.impurity_half_life_d:g} d"
        if w.impurity_overtakes_days is not None:
            text += f"; at {w.impurity_fraction:g} it overtakes after {w.impurity_overtakes_days:.0f} d"
        else:
            text += "; its share must be measured"
        rows.append(("long-lived impurity", text))
    if plan.cremation is not None:
        days, limit, source = plan.cremation
        rows.append(("cremation without precaution", f"after {days:.1f} d ({limit:g} MBq; {source})"))
    rows.append(("4 h of surgery at 0.3 m under 100 uSv", f"after {plan.surgery_days:.1f} d"))
    return rows
