"""``hepatica radiobiology``: what a dose does to tissue."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepatica.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from hepatica.dosimetry.radiobiology import Tissue, Treatment
    from hepatica.dosimetry.radiobiology.summary import DoseEffect


def radiobiology(
    dose: Annotated[str, typer.Option(help="Absorbed dose, for example '120 Gy'.")],
    nuclide: Annotated[str, typer.Option(help="Radionuclide.")] = "Y-90",
    tissue: Annotated[str, typer.Option(help="'tumour' or 'liver': sets alpha/beta, repair and models.")] = "tumour",
    agent: Annotated[str, typer.Option(help="'glass', 'resin', 'PLLA', 'lipiodol': to check the models' range.")] = "",
    dose_sd: Annotated[str | None, typer.Option(help="Standard uncertainty of the dose.")] = None,
    half_life: Annotated[
        str | None, typer.Option(help="Effective half-life in the tissue; the physical one if not given.")
    ] = None,
    alpha_beta: Annotated[str | None, typer.Option(help="alpha/beta, for example '2.5 Gy'.")] = None,
    repair_half_time: Annotated[str | None, typer.Option(help="Repair half-time, for example '2.5 h'.")] = None,
    slow_repair_half_time: Annotated[str | None, typer.Option(help="Half-time of a second repair component.")] = None,
    slow_repair_share: Annotated[str, typer.Option(help="Its share, for example '40 %'.")] = "0",
    earlier: Annotated[
        list[str] | None,
        typer.Option(help="Earlier treatment of the same tissue: 'DOSE @ TIME before', e.g. '40 Gy @ 30 d'. Repeat."),
    ] = None,
    figure: Annotated[Path | None, typer.Option(help="Write the figure here (.svg or .png).")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """BED, EQD2, comparison of nuclides, and published TCP and NTCP models at a dose."""
    from hepatica.cli.printing import print_json
    from hepatica.core.units import parse_quantity
    from hepatica.dosimetry.radiobiology.summary import Exposure, dose_effect
    from hepatica.nuclides import nuclide as find_nuclide

    source = find_nuclide(nuclide)
    half_life_h = source.half_life_h if half_life is None else parse_quantity(half_life, "h", "--half-life")
    exposure = Exposure(
        parse_quantity(dose, "Gy", "--dose"),
        None if dose_sd is None else parse_quantity(dose_sd, "Gy", "--dose-sd"),
        source.name,
        agent,
        half_life_h,
    )
    parameters = _tissue(tissue, alpha_beta, repair_half_time, slow_repair_half_time, slow_repair_share)
    effect = dose_effect(exposure, parameters, [_earlier(text, half_life_h) for text in earlier or []])
    if figure is not None:
        from hepatica.io.files import atomic_output
        from hepatica.report.outcome_figures import draw_dose_effect, save

        with atomic_output(figure) as new:
            save(draw_dose_effect(effect), new)
    if json:
        print_json(effect.as_dict())
    else:
        _print(effect, bool(earlier))


def _tissue(name: str, alpha_beta: str | None, repair: str | None, slow_repair: str | None, slow_share: str) -> Tissue:
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.dosimetry.radiobiology import TISSUES, Repair

    if name not in TISSUES:
        raise UnknownNameError("tissue", name, TISSUES)
    tissue = TISSUES[name]
    if (alpha_beta, repair, slow_repair) == (None, None, None):
        return tissue
    half_time_h = tissue.repair.half_time_h if repair is None else parse_quantity(repair, "h", "--repair-half-time")
    slow_h = None if slow_repair is None else parse_quantity(slow_repair, "h", "--slow-repair-half-time")
    share = parse_fraction(slow_share, "--slow-repair-share")
    if slow_h is not None and share == 0:
        raise InputError("--slow-repair-half-time needs --slow-repair-share, for example '40 %'")
    ratio = tissue.alpha_beta_gy if alpha_beta is None else parse_quantity(alpha_beta, "Gy", "--alpha-beta")
    return replace(
        tissue,
        alpha_beta_gy=ratio,
        repair=Repair(half_time_h, slow_h, share),
        source="given by the user",
        confidence="",
    )


def _earlier(text: str, half_life_h: float) -> Treatment:
    from hepatica.core.units import parse_quantity
    from hepatica.dosimetry.radiobiology import DoseRate, Treatment

    parts = re.split(r"\s*@\s*", text)
    if len(parts) != 2:
        raise InputError(f"--earlier {text!r}: write dose and time before this one, such as '40 Gy @ 30 d'")
    start_h = -parse_quantity(parts[1], "h", "--earlier")
    return Treatment(start_h, parse_quantity(parts[0], "Gy", "--earlier"), DoseRate.exponential(half_life_h))


def _print(effect: DoseEffect, is_course: bool) -> None:
    from hepatica.cli.printing import print_table, warn

    e, t = effect.exposure, effect.tissue
    rows: list[tuple[str, object, str]] = [
        ("absorbed dose", e.dose_gy, "Gy"),
        ("BED", effect.bed_gy, "Gy"),
        ("EQD2", effect.eqd2_gy, "Gy"),
        ("relative effectiveness", effect.relative_effectiveness, ""),
        ("Lea-Catcheside factor G", effect.lea_catcheside_factor, ""),
        ("initial dose rate", effect.initial_dose_rate_gy_per_h, "Gy/h"),
    ]
    if effect.bed_sd_gy is not None:
        rows.insert(2, ("BED, standard uncertainty from the dose", effect.bed_sd_gy, "Gy"))
    if is_course:
        rows.append(("BED with earlier treatments", effect.course_bed_gy, "Gy"))
    title = f"{e.nuclide}, {t.name}: alpha/beta {t.alpha_beta_gy:g} Gy, repair {t.repair.half_time_h:g} h"
    print_table(title, ("quantity", "value", "unit"), rows)
    print_table(
        f"{e.dose_gy:g} Gy of every nuclide (physical half-lives)",
        ("nuclide", "half-life / h", "G", "effectiveness", "BED / Gy", f"same effect as this {e.nuclide} / Gy"),
        [
            (
                n.nuclide,
                n.half_life_h,
                n.lea_catcheside_factor,
                n.relative_effectiveness,
                n.bed_gy,
                n.isoeffective_dose_gy,
            )
            for n in effect.nuclides
        ],
    )
    print_table(
        "Published models",
        ("model", "fitted on", "dose / Gy", "what it says", "confidence"),
        [
            (p.model.name, f"{p.model.nuclide} {p.model.agent}", p.dose_gy, p.reading, p.model.confidence)
            for p in effect.predictions
        ],
    )
    for prediction in effect.predictions:
        for text in prediction.warnings:
            warn(text)
