"""``hepatica radiobiology``: what a dose does to tissue."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepatica.cli.table_options import AsJson, Figure, write_figure
from hepatica.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from hepatica.dosimetry.radiobiology import Tissue, Treatment
    from hepatica.dosimetry.radiobiology.summary import DoseEffect
    from hepatica.workflow.dose.spheres import Spheres


def radiobiology(
    dose: Annotated[str | None, typer.Option(help="Absorbed dose, for example '120 Gy'.")] = None,
    dose_map: Annotated[Path | None, typer.Option("--map", help="Dose map in Gy instead: RTDOSE, NIfTI.")] = None,
    structures: Annotated[Path | None, typer.Option(help="Structures on the map: RTSTRUCT, SEG, label map.")] = None,
    spheres: Annotated[bool, typer.Option("--spheres", help="Compare agents at 50 um: glass, resin, 166Ho.")] = False,
    sphere: Annotated[
        list[str] | None, typer.Option(help="With --spheres, one of your own: 'NAME, Re-188, 900 Bq'. Repeat.")
    ] = None,
    alpha: Annotated[
        str, typer.Option(help="Of the EUD: unified, external-beam, resin, glass, or per Gy.")
    ] = "unified",
    seed: Annotated[int, typer.Option(help="Seed of the sphere model.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder for the BED maps (NIfTI).")] = None,
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
    figure: Figure = None,
    json: AsJson = False,
) -> None:
    """BED, EQD2, EUD, comparison of nuclides and published TCP and NTCP models, for a dose or a dose map."""
    from hepatica.core.units import parse_quantity

    half_life_h = None if half_life is None else parse_quantity(half_life, "h", "--half-life")
    if dose_map is not None:
        _of_map(dose_map, structures, (nuclide, agent, _alpha(alpha), half_life_h), (out, figure), as_json=json)
        return
    if out is not None:
        raise InputError("--out takes the BED maps of --map; give --map and --structures")
    if dose is None:
        raise InputError("give --dose, or --map with --structures")
    dose_gy = parse_quantity(dose, "Gy", "--dose")
    if spheres:
        _of_spheres(dose_gy, (_alpha(alpha), seed), [_sphere(text) for text in sphere or []], figure, as_json=json)
        return
    sd = None if dose_sd is None else parse_quantity(dose_sd, "Gy", "--dose-sd")
    parameters = _tissue(tissue, alpha_beta, repair_half_time, slow_repair_half_time, slow_repair_share)
    _of_dose((dose_gy, sd, nuclide, agent, half_life_h), parameters, earlier or [], figure, as_json=json)


def _of_dose(
    asked: tuple[float, float | None, str, str, float | None],
    tissue: Tissue,
    earlier: list[str],
    figure: Path | None,
    *,
    as_json: bool,
) -> None:
    from hepatica.cli.printing import print_json, warn
    from hepatica.dosimetry.radiobiology.summary import Exposure, dose_effect
    from hepatica.nuclides import nuclide as find_nuclide

    dose_gy, sd_gy, name, agent, half_life_h = asked
    source = find_nuclide(name)
    hours = source.half_life_h if half_life_h is None else half_life_h
    effect = dose_effect(
        Exposure(dose_gy, sd_gy, source.name, agent, hours), tissue, [_earlier(text, hours) for text in earlier]
    )
    if figure is not None:
        from hepatica.report.figures.outcome import draw_dose_effect

        write_figure(draw_dose_effect(effect), figure)
    for text in dict.fromkeys(w for p in effect.predictions for w in p.warnings):
        warn(text)
    if as_json:
        print_json(effect.as_dict())
    else:
        _print(effect, bool(earlier))


def _sphere(text: str) -> Spheres:
    from hepatica.core.units import parse_quantity
    from hepatica.nuclides import nuclide as find_nuclide
    from hepatica.workflow.dose.spheres import Spheres

    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not parts[0]:
        raise InputError(f"--sphere {text!r}: write name, nuclide and activity of one sphere: 'NAME, Re-188, 900 Bq'")
    activity_bq = parse_quantity(parts[2], "Bq", f"--sphere {parts[0]}")
    return Spheres(parts[0], find_nuclide(parts[1]).name, activity_bq, "given by the user")


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
    from hepatica.cli.printing import print_table

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


def _alpha(text: str) -> float:
    from hepatica.dosimetry.radiobiology import alpha, alphas

    if text in alphas():
        return alpha(text).alpha_per_gy
    try:
        value = float(text)
    except ValueError:
        raise UnknownNameError("radiosensitivity", text, [*alphas(), "a number per Gy"]) from None
    if not value > 0:
        raise InputError(f"--alpha must be positive, not {text}")
    return value


def _of_map(
    path: Path,
    structures: Path | None,
    question: tuple[str, str, float, float | None],
    files: tuple[Path | None, Path | None],
    *,
    as_json: bool,
) -> None:
    from hepatica.cli.printing import print_json, print_table, warn
    from hepatica.workflow.dose.radiobiology import map_radiobiology

    if structures is None:
        raise InputError("--map needs --structures: a file of structures, or a label map")
    name, agent, alpha, hours = question
    found = map_radiobiology(path, structures, nuclide_name=name, agent=agent, alpha_per_gy=alpha, half_life_h=hours)
    out, figure = files
    if figure is not None:
        from hepatica.report.figures.outcome import draw_bed_histograms

        write_figure(draw_bed_histograms(found.histograms), figure)
    if out is not None:
        from hepatica.io.files import output_folder
        from hepatica.io.itk import write_itk

        with output_folder(out) as folder:
            for tissue, volume in found.bed:
                write_itk(volume, folder / f"bed-{tissue}.nii.gz")
    for text in dict.fromkeys((*found.warnings, *(w for _, p in found.predictions for w in p.warnings))):
        warn(text)
    if as_json:
        print_json(found.as_dict())
        return
    print_table(
        f"{name}, EUD with alpha {alpha:g} per Gy",
        ("structure", "mL", "dose, Gy", "BED, Gy", "EQD2, Gy", "EUD, Gy", "EUBED, Gy"),
        [
            (r.name, r.volume_ml, r.dose_mean_gy, r.bed_mean_gy, r.eqd2_mean_gy, r.eud_gy, r.eubed_gy)
            for r in found.regions
        ],
    )
    print_table(
        "Published models",
        ("structure", "model", "fitted on", "dose, Gy", "what it says", "confidence"),
        [
            (region, p.model.name, f"{p.model.nuclide} {p.model.agent}", p.dose_gy, p.reading, p.model.confidence)
            for region, p in found.predictions
        ],
    )


def _of_spheres(
    dose_gy: float, model: tuple[float, int], others: list[Spheres], figure: Path | None, *, as_json: bool
) -> None:
    from hepatica.cli.printing import print_json, print_table, warn
    from hepatica.workflow.dose.spheres import compare_spheres

    alpha, seed = model
    found = compare_spheres(dose_gy, alpha_per_gy=alpha, seed=seed, others=others)
    if figure is not None:
        from hepatica.report.figures.outcome import draw_spheres

        write_figure(
            draw_spheres([(s.name, d.dose_gy) for s, d in zip(found.spheres, found.doses, strict=True)], dose_gy),
            figure,
        )
    for text in found.warnings:
        warn(text)
    if as_json:
        print_json(found.as_dict())
        return
    print_table(
        f"{dose_gy:g} Gy of microspheres in liver lobules, 50 um voxels, alpha {alpha:g} per Gy",
        (
            "agent",
            "nuclide",
            "Bq/sphere",
            "spheres/mL",
            "spread, %",
            "5 %, Gy",
            "50 %, Gy",
            "95 %, Gy",
            "EUD, Gy",
            "as resin, Gy",
        ),
        [
            (
                s.name,
                s.nuclide_name,
                s.activity_bq,
                d.spheres_per_ml,
                100 * d.relative_sd,
                d.percentiles_gy[5],
                d.percentiles_gy[50],
                d.percentiles_gy[95],
                d.eud_gy,
                same,
            )
            for s, d, same in zip(found.spheres, found.doses, found.equivalent_gy, strict=True)
        ],
    )
