"""``hepatica adaptive``: what the next treatment of a patient may still give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepatica.cli.table_options import AsJson, Figure, Out, Rows, Sheet, TablePath, deliver

if TYPE_CHECKING:
    from hepatica.dosimetry.radiobiology import Prediction
    from hepatica.outcome.response import Response
    from hepatica.workflow.planning.adaptive import AdaptiveAnalysis


def adaptive(
    table: TablePath,
    next_date: Annotated[str, typer.Option("--next", help="When the next one is planned, ISO: 2026-06-01T10:00.")],
    normal_gy_per_gbq: Annotated[float, typer.Option(help="Mean dose to the normal liver per GBq of the next one.")],
    tumour_gy_per_gbq: Annotated[float, typer.Option(help="Mean tumour dose per GBq.")],
    lung_gy_per_gbq: Annotated[float, typer.Option(help="Mean lung dose per GBq.")],
    tolerance: Annotated[str, typer.Option(help="BED the normal liver may reach in all, such as '93 Gy'.")],
    nuclide: Annotated[str, typer.Option(help="Radionuclide of the next treatment.")] = "Y-90",
    agent: Annotated[str, typer.Option(help="'glass', 'resin', 'PLLA', 'lipiodol'.")] = "",
    half_life: Annotated[str | None, typer.Option(help="Effective half-life; else the physical one.")] = None,
    territory: Annotated[str | None, typer.Option(help="Territory; others count for the lungs alone.")] = None,
    activity: Annotated[list[str] | None, typer.Option(help="Activity to predict for, '1.5 GBq'. Repeat.")] = None,
    response: Annotated[str | None, typer.Option(help="Response so far: CR, PR, SD or PD.")] = None,
    bilirubin_mg_dl: Annotated[float | None, typer.Option(help="Bilirubin now, mg/dL.")] = None,
    child_pugh: Annotated[int | None, typer.Option(help="Child-Pugh points now.", min=5, max=15)] = None,
    albi_before: Annotated[float | None, typer.Option(help="ALBI before the last treatment.")] = None,
    albi_now: Annotated[float | None, typer.Option(help="ALBI now.")] = None,
    sheet: Sheet = None,
    figure: Figure = None,
    out: Out = None,
    json: AsJson = False,
) -> None:
    """Remaining tolerance of liver and lungs after past treatments; BED, TCP and NTCP by activity of the next."""
    from hepatica.core.units import parse_quantity, parse_time
    from hepatica.nuclides import nuclide as find_nuclide
    from hepatica.outcome.adaptive import NextTreatment, Status
    from hepatica.workflow.planning.adaptive import analyse_adaptive

    substance = find_nuclide(nuclide)
    coming = NextTreatment(
        parse_time(next_date, "--next"),
        substance.name,
        agent,
        substance.half_life_h if half_life is None else parse_quantity(half_life, "h", "--half-life"),
        normal_gy_per_gbq,
        tumour_gy_per_gbq,
        lung_gy_per_gbq,
    )
    found = analyse_adaptive(
        table,
        coming,
        tolerance_bed_gy=parse_quantity(tolerance, "Gy", "--tolerance"),
        territory=territory,
        activities_gbq=[parse_quantity(a, "GBq", "--activity") for a in activity or ()],
        status=Status(_response(response), bilirubin_mg_dl, child_pugh, albi_before, albi_now),
        sheet=sheet,
    )
    deliver(
        found,
        lambda: _print(found),
        as_json=json,
        figure=(figure, lambda: _draw(found)),
        out=(out, lambda: _rows(found)),
    )


def _response(name: str | None) -> Response | None:
    from hepatica.errors import UnknownNameError
    from hepatica.outcome.response import Response

    if name is None:
        return None
    if name not in list(Response):
        raise UnknownNameError("response", name, tuple(Response))
    return Response(name)


def _draw(found: AdaptiveAnalysis) -> Any:
    from hepatica.report.figures.outcome import draw_adaptive

    return draw_adaptive(found.options, found.tolerance_bed_gy, found.remaining.activity_gbq)


def _rows(found: AdaptiveAnalysis) -> Rows:
    header = ("activity_gbq", "tumour_gy", "normal_gy", "lung_gy", "normal_bed_of_all_gy", "within")
    models = [p.model.name for p in (*found.options[0].tcp, *found.options[0].ntcp) if p.probability is not None]
    rows = [
        (
            o.activity_gbq,
            o.tumour_dose_gy,
            o.normal_dose_gy,
            o.lung_dose_gy,
            o.cumulative_normal_bed_gy,
            int(o.within),
            *(p.probability for p in (*o.tcp, *o.ntcp) if p.probability is not None),
        )
        for o in found.options
    ]
    return (*header, *(f"probability_{name}" for name in models)), rows


def _print(found: AdaptiveAnalysis) -> None:
    from hepatica.cli.printing import print_table

    print_table(
        "By activity of the next treatment" + (f", {found.territory}" if found.territory else ""),
        ("GBq", "tumour, Gy", "normal, Gy", "lungs, Gy", "BED in all, Gy", "within", "response", "toxicity"),
        [
            (
                o.activity_gbq,
                o.tumour_dose_gy,
                o.normal_dose_gy,
                o.lung_dose_gy,
                o.cumulative_normal_bed_gy,
                "yes" if o.within else "no",
                _predictions(o.tcp),
                _predictions(o.ntcp),
            )
            for o in found.options
        ],
    )
    for line in found.reading:
        typer.echo(line)


def _predictions(found: tuple[Prediction, ...]) -> str:
    """Probabilities where there are curves; else on which side of the published doses."""
    curves = [f"{p.model.name} {100 * p.probability:.0f} %" for p in found if p.probability is not None]
    if curves:
        return "; ".join(curves)
    above = sum(p.dose_gy >= p.model.d50_gy.value for p in found)
    return f"above {above} of {len(found)} published doses" if found else "no model"
