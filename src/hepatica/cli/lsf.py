"""``hepatica lsf``: lung shunt fraction from SPECT/CT, from planar views, or from counts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hepatica.errors import InputError


def lsf(
    scout: Annotated[Path | None, typer.Option(help="SPECT or PET, attenuation- and scatter-corrected.")] = None,
    planar: Annotated[
        list[Path] | None, typer.Option(help="NM file with both planar views, or repeat: one file per view.")
    ] = None,
    regions: Annotated[
        list[Path] | None, typer.Option(help="Lungs and liver: RTSTRUCT, SEG, label map; planar: one, or one per file.")
    ] = None,
    views: Annotated[
        str | None, typer.Option(help="Planar: what each frame is, 'ant,post', where ViewCodeSequence does not say.")
    ] = None,
    posterior: Annotated[
        str | None,
        typer.Option(help="Planar, regions on one view: posterior stored 'as-seen' (from behind) or 'mirrored'."),
    ] = None,
    energy_window: Annotated[int | None, typer.Option(help="Planar: which window of several, from 1.")] = None,
    ct: Annotated[Path | None, typer.Option(help="CT of the SPECT/CT, for the lungs' mass.")] = None,
    lung_counts: Annotated[
        str | None, typer.Option(help="Instead of files: counts in the lungs, 'anterior,posterior'.")
    ] = None,
    liver_counts: Annotated[str | None, typer.Option(help="The same for the liver.")] = None,
    unit: Annotated[str | None, typer.Option(help="What a voxel of a NIfTI or MetaImage holds: counts, Bq/mL.")] = None,
    dome_margin: Annotated[str | None, typer.Option(help="Lung nearer to the liver is replaced: '10 mm'.")] = None,
    lung_mass: Annotated[str | None, typer.Option(help="Mass of the whole lungs, if cut off by the image.")] = None,
    border: Annotated[str | None, typer.Option(help="Uncertainty of borders: SPECT '2 mm', planar '5 %'.")] = None,
    lung_count_sd: Annotated[
        str | None, typer.Option(help="SPECT: relative uncertainty of the lungs' content.")
    ] = None,
    liver_count_sd: Annotated[str | None, typer.Option(help="SPECT: the same of the liver's.")] = None,
    scatter: Annotated[str, typer.Option(help="Planar: liver counts that scatter into the lungs.")] = "0",
    scatter_sd: Annotated[str, typer.Option(help="Uncertainty of that fraction.")] = "0",
    lung_transmission: Annotated[
        str, typer.Option(help="Planar: factor by which attenuation lowers the lungs' geometric mean.")
    ] = "1",
    liver_transmission: Annotated[str, typer.Option(help="The same for the liver.")] = "1",
    half_life: Annotated[
        str | None, typer.Option(help="For the decay between planar views; the header's nuclide if left out.")
    ] = None,
    activity: Annotated[str | None, typer.Option(help="Administered activity planned: gives the lung dose.")] = None,
    nuclide: Annotated[str, typer.Option(help="Of the therapy, for the lung dose.")] = "Y-90",
    convention: Annotated[str, typer.Option(help="Dose constant of the lung dose.")] = "ensdf",
    kind: Annotated[list[str] | None, typer.Option(help="What a structure is: 'ROI 3=liver'.")] = None,
    registered: Annotated[
        bool, typer.Option(help="Scout and CT of different frames of reference lie together.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Lung shunt fraction with its uncertainty by source; with --activity the lung dose."""
    given = [name for name, value in (("scout", scout), ("planar", planar), ("counts", lung_counts)) if value]
    if len(given) != 1:
        raise InputError("give one of --scout, --planar, or --lung-counts with --liver-counts")
    said = dict(locals())
    answer = {"scout": _spect, "planar": _planar, "counts": _counts}[given[0]](said)
    document = answer.as_dict()
    if activity is not None:
        document |= _lung_dose(answer, said)
    if as_json:
        from hepatica.cli.plan_show import print_json

        print_json(document)
    else:
        _print(document)


def _kinds(pairs: list[str] | None) -> dict[str, str]:
    out = {}
    for pair in pairs or []:
        name, sign, kind = pair.partition("=")
        if not sign:
            raise InputError(f"--kind {pair!r}: write 'structure=kind'")
        # A reader says "lungs"; the table of structures says "lung".
        out[name.strip()] = {"lungs": "lung"}.get(kind.strip(), kind.strip())
    return out


def _fraction(text: str | None, what: str) -> float | None:
    from hepatica.core.units import parse_fraction

    return None if text is None else parse_fraction(text, what)


def _quantity(text: str | None, unit: str, what: str) -> float | None:
    from hepatica.core.units import parse_quantity

    return None if text is None else parse_quantity(text, unit, what)


def _spect(said: dict[str, Any]) -> Any:
    from hepatica.planning.scout.lung_shunt import SpectOptions
    from hepatica.workflow.planning.scout import read_scout, spect_shunt

    if len(said["regions"] or []) != 1:
        raise InputError("--scout needs one --regions with lungs and liver")
    options = SpectOptions(
        dome_margin_mm=_quantity(said["dome_margin"], "mm", "dome margin") or 0.0,
        lung_mass_kg=_quantity(said["lung_mass"], "kg", "lung mass"),
        border_mm=_quantity(said["border"], "mm", "border"),
        count_relative_sd=_pair(said),
        scatter_fraction_sd=_fraction(said["scatter_sd"], "scatter uncertainty") or 0.0,
    )
    scout = read_scout(
        said["scout"],
        said["regions"][0],
        ct=said["ct"],
        unit=said["unit"],
        kinds=_kinds(said["kind"]),
        registered=said["registered"],
    )
    administered = _quantity(said["activity"], "GBq", "activity")
    planned = None
    if administered is not None:
        from hepatica.nuclides import nuclide
        from hepatica.planning.prescriptions.dose_constants import dose_constant

        planned = (administered, dose_constant(nuclide(said["nuclide"]), said["convention"]))
    return spect_shunt(scout, options, planned=planned)


def _pair(said: dict[str, Any]) -> tuple[float, float] | None:
    lungs, liver = (_fraction(said[name], name.replace("_", " ")) for name in ("lung_count_sd", "liver_count_sd"))
    if (lungs is None) != (liver is None):
        raise InputError("give both --lung-count-sd and --liver-count-sd, or neither")
    return None if lungs is None or liver is None else (lungs, liver)


def _planar_options(said: dict[str, Any]) -> Any:
    from hepatica.planning.scout.lung_shunt import PlanarOptions

    return PlanarOptions(
        half_life_s=_quantity(said["half_life"], "s", "half-life"),
        lung_transmission=_fraction(said["lung_transmission"], "transmission of the lungs") or 0.0,
        liver_transmission=_fraction(said["liver_transmission"], "transmission of the liver") or 0.0,
        scatter_fraction=_fraction(said["scatter"], "scatter") or 0.0,
        scatter_fraction_sd=_fraction(said["scatter_sd"], "scatter uncertainty") or 0.0,
        border_relative_sd=_fraction(said["border"], "border"),
    )


def _planar(said: dict[str, Any]) -> Any:
    from hepatica.workflow.planning.planar import PlanarFiles, planar_shunt

    if not said["regions"]:
        raise InputError("--planar needs --regions with lungs and liver")
    files = PlanarFiles(
        said["planar"],
        said["regions"],
        views=None if said["views"] is None else said["views"].split(","),
        posterior=said["posterior"],
        energy_window=said["energy_window"],
        unit=said["unit"],
        kinds=_kinds(said["kind"]),
    )
    return planar_shunt(files, _planar_options(said))


def _counts(said: dict[str, Any]) -> Any:
    from hepatica.planning.scout.lung_shunt import PlanarView, planar_lung_shunt
    from hepatica.workflow.planning.scout import ShuntAnswer

    lungs, liver = _two(said["lung_counts"], "lung counts"), _two(said["liver_counts"], "liver counts")
    views = [PlanarView(a, b, 1.0, 1.0) for a, b in zip(lungs, liver, strict=True)]
    return ShuntAnswer(planar_lung_shunt(views[0], views[1], _planar_options(said)), None, None, (), ())


def _two(text: str | None, what: str) -> tuple[float, float]:
    parts = (text or "").split(",")
    try:
        anterior, posterior = (float(part) for part in parts)
    except ValueError:
        raise InputError(f"{what}: write two numbers, 'anterior,posterior', not {text!r}") from None
    return anterior, posterior


def _lung_dose(answer: Any, said: dict[str, Any]) -> dict[str, Any]:
    from hepatica.core import Estimate
    from hepatica.nuclides import nuclide
    from hepatica.planning.prescriptions.dose_constants import dose_constant
    from hepatica.planning.scout.lungs import REFERENCE_LUNG_MASS_KG, lung_dose_gy

    mass = _quantity(said["lung_mass"], "kg", "lung mass") or answer.lung_mass_kg
    constant = dose_constant(nuclide(said["nuclide"]), said["convention"])
    shunt = Estimate(answer.shunt.fraction, answer.shunt.fraction_sd)
    administered = _quantity(said["activity"], "GBq", "activity") or 0.0
    dose = lung_dose_gy(administered, shunt, Estimate(mass or REFERENCE_LUNG_MASS_KG, 0.0), constant)
    return {
        "activity_administered_gbq": administered,
        "dose_lung_gy": dose.value,
        "dose_lung_gy_sd_from_shunt": dose.sd,
        "lung_mass_used_kg": mass or REFERENCE_LUNG_MASS_KG,
        "lung_mass_measured": mass is not None,
        "convention": constant.convention,
        "dose_constant_j_per_gbq": constant.j_per_gbq,
    }


def _print(document: dict[str, Any]) -> None:
    sd, interval = document["lung_shunt_fraction_sd"], document["lung_shunt_fraction_interval_95"]
    spread = "" if sd is None else f" ± {100 * sd:.2f} %"
    between = "" if interval is None else f"   95 %: {100 * interval[0]:.2f} to {100 * interval[1]:.2f} %"
    typer.echo(
        f"lung shunt fraction ({document['method']})  {100 * document['lung_shunt_fraction']:.2f} %{spread}{between}"
    )
    for name, value in document["components_sd"].items():
        typer.echo(f"  uncertainty from {name:<12}{100 * value:.2f} %")
    for name, value in document["details"].items():
        typer.echo(f"  {name.replace('_', ' '):<40}{value:.4g}")
    if document["lung_mass_kg"] is not None:
        typer.echo(f"  lung mass from CT {document['lung_mass_kg']:.3f} kg")
    for blob in document["extrahepatic"]:
        dose = "" if blob["dose_gy"] is None else f", {blob['dose_gy']:.1f} Gy"
        share = f"{100 * blob['activity_share']:.2f} % of counts"
        typer.echo(f"  outside: {blob['site']}, {blob['volume_ml']:.1f} mL, {share}{dose}")
    if "dose_lung_gy" in document:
        typer.echo(
            f"lung dose {document['dose_lung_gy']:.2f} Gy at {document['activity_administered_gbq']:.3g} GBq "
            f"in {document['lung_mass_used_kg']:.3g} kg ({document['convention']})"
        )
    for warning in document["warnings"]:
        typer.echo(f"! {warning}", err=True)
