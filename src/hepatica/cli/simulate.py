"""``hepatica simulate``: what a gamma camera would count of a known activity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepatica.errors import InputError

if TYPE_CHECKING:
    from hepatica.workflow.spect.scan import MonteCarloOptions, ScanOptions

MONTECARLO_ONLY = (
    "uncertainty", "histories", "time_limit", "threads", "device", "voxel", "response", "dead_time", "dead_time_model",
)  # fmt: skip


def simulate(
    activity: Annotated[Path, typer.Option(help="Activity image in Bq/mL: DICOM, NIfTI, MetaImage.")],
    ct: Annotated[Path, typer.Option(help="CT for attenuation and scatter.")],
    nuclide: Annotated[str, typer.Option(help="What is in the patient, for example Tc-99m.")],
    out: Annotated[Path, typer.Option(help="New folder for projections.dcm, truth.nii.gz and scan.json.")],
    camera: Annotated[str, typer.Option(help="Camera by name: siemens-lehr, ge-megp, ...")] = "siemens-lehr",
    method: Annotated[
        str, typer.Option(help="analytic: primary photons, no scatter; montecarlo: everything, bremsstrahlung too.")
    ] = "analytic",
    total: Annotated[str | None, typer.Option(help="Scale the image to this activity: '150 MBq'.")] = None,
    windows: Annotated[
        str | None, typer.Option(help="Windows of the nuclide: '113', '105-195', '208,113' or 'all'; the usual ones.")
    ] = None,
    scatter_window: Annotated[
        list[str] | None, typer.Option(help="Another window by its limits in keV: '478-931'; may be repeated.")
    ] = None,
    views: Annotated[int, typer.Option(help="Views over 360 degrees, shared by the heads.")] = 120,
    heads: Annotated[int, typer.Option(help="Number of heads.")] = 2,
    view_time: Annotated[str, typer.Option(help="Time per view.")] = "20 s",
    orbit: Annotated[str, typer.Option(help="circular, or auto: as near to the body as the clearance.")] = "circular",
    radius: Annotated[str, typer.Option(help="Circular orbit: from the axis to the collimator.")] = "250 mm",
    clearance: Annotated[str, typer.Option(help="Automatic orbit: between body and collimator.")] = "15 mm",
    pixel: Annotated[str, typer.Option(help="Size of pixels and slices.")] = "4.8 mm",
    matrix: Annotated[int, typer.Option(help="Pixels across.")] = 128,
    seed: Annotated[int, typer.Option(help="Of the Poisson noise and of the Monte Carlo.")] = 1,
    noise: Annotated[bool, typer.Option(help="Poisson noise, or expected counts.")] = True,
    uncertainty: Annotated[
        str | None, typer.Option(help="montecarlo: stop at this uncertainty per bin: '4 %' (the default).")
    ] = None,
    histories: Annotated[str | None, typer.Option(help="montecarlo: stop after so many histories: 2e6.")] = None,
    time_limit: Annotated[str | None, typer.Option(help="montecarlo: stop after this time: '3 min'.")] = None,
    response: Annotated[
        str | None, typer.Option(help="montecarlo: table (septa, collimator, crystal; the default) or holes alone.")
    ] = None,
    dead_time: Annotated[str | None, typer.Option(help="montecarlo: per pulse of a head: '2 us'.")] = None,
    dead_time_model: Annotated[str | None, typer.Option(help="paralysable (the default) or non-paralysable.")] = None,
    voxel: Annotated[str | None, typer.Option(help="montecarlo: voxels for the photons; 4 mm.")] = None,
    threads: Annotated[int | None, typer.Option(help="montecarlo: CPU threads; all.")] = None,
    device: Annotated[str | None, typer.Option(help="montecarlo: cpu (the default) or cuda.")] = None,
    spectrum: Annotated[bool, typer.Option(help="montecarlo: write the energy spectrum.")] = True,
    activity_unit: Annotated[str | None, typer.Option(help="Unit of a NIfTI or MetaImage: 'Bq/mL'.")] = None,
    at: Annotated[str | None, typer.Option(help="Instant of an image that states none.")] = None,
    force: Annotated[bool, typer.Option(help="Replace the folder if it is there.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Simulate a SPECT acquisition of a known activity and write its projections."""
    import json

    said = dict(locals())
    from hepatica.cli.show import progress, refuse_existing
    from hepatica.core.image import Stated
    from hepatica.core.units import parse_time
    from hepatica.workflow.spect.simulate import simulate_files

    refuse_existing(out, force=force)
    options = _options(said)
    stated = Stated(unit=activity_unit, time=None if at is None else parse_time(at, "--at"))
    with progress() as tell:
        facts = simulate_files(
            activity, ct=ct, nuclide_name=nuclide, out=out, options=options, stated=stated, force=force, tell=tell
        )
    if json_output:
        typer.echo(json.dumps(facts, indent=1))
    else:
        _print(facts, out)


def _options(said: dict[str, Any]) -> ScanOptions:
    from hepatica.core.units import parse_quantity
    from hepatica.workflow.spect.scan import ScanOptions

    return ScanOptions(
        camera=said["camera"],
        method=said["method"],
        views=said["views"],
        heads=said["heads"],
        view_s=parse_quantity(said["view_time"], "s", "--view-time"),
        orbit=said["orbit"],
        radius_mm=parse_quantity(said["radius"], "mm", "--radius"),
        clearance_mm=parse_quantity(said["clearance"], "mm", "--clearance"),
        pixel_mm=parse_quantity(said["pixel"], "mm", "--pixel"),
        columns=said["matrix"],
        windows=said["windows"],
        more_windows=tuple(said["scatter_window"] or ()),
        total_bq=None if said["total"] is None else parse_quantity(said["total"], "Bq", "--total"),
        seed=said["seed"],
        noise=said["noise"],
        montecarlo=_montecarlo(said),
    )


def _montecarlo(said: dict[str, Any]) -> MonteCarloOptions | None:
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.workflow.spect.scan import MonteCarloOptions

    given = [f"--{name.replace('_', '-')}" for name in MONTECARLO_ONLY if said[name] is not None]
    if said["method"] != "montecarlo":
        if given:
            raise InputError(f"{', '.join(given)}: only with --method montecarlo")
        return None

    def quantity(name: str, unit: str) -> float | None:
        text = said[name]
        return None if text is None else parse_quantity(text, unit, f"--{name.replace('_', '-')}")

    text = said["uncertainty"]
    return MonteCarloOptions(
        uncertainty=None if text is None else parse_fraction(text, "--uncertainty"),
        histories=_whole(said["histories"]),
        time_limit_s=quantity("time_limit", "s"),
        threads=said["threads"],
        device=said["device"] or "cpu",
        voxel_mm=quantity("voxel", "mm") or 4.0,
        response=said["response"] or "table",
        dead_time_s=quantity("dead_time", "s") or 0.0,
        dead_time_model=said["dead_time_model"] or "paralysable",
        spectrum=said["spectrum"],
    )


def _whole(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not value.is_integer():
        raise InputError(f"--histories {text}: is not a whole number")
    return int(value)


def _print(facts: dict[str, Any], out: Path) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from hepatica.cli.show import console

    title = f"{facts['nuclide']}, {facts['activity_mbq']:.4g} MBq, {facts['camera']['name']}, {facts['views']} views"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
    shares = facts.get("scattered_or_penetrating_share")
    for name in ("window", "counts", "sensitivity of a head", *(("scatter and penetration",) if shares else ())):
        table.add_column(name, justify="right")
    for number, window in enumerate(facts["windows"]):
        known = window["sensitivity_cps_per_mbq"]
        table.add_row(
            f"{window['low_kev']:g}-{window['high_kev']:g} keV",
            f"{window['counts']:.0f}",
            "no line" if known is None else f"{known:.4g} cps/MBq",
            *([f"{100 * shares[number]:.0f} %"] if shares else []),
        )
    screen = console()
    screen.print(table)
    if shares:
        run = facts["montecarlo"]
        reached = f"{100 * run['reached_uncertainty']:.2g} % per bin"
        screen.print(f"{run['histories']:.3g} histories in {run['seconds']:.0f} s, {reached}")
    if min(facts.get("live_fraction", [1.0])) < 1:
        screen.print(f"dead time: {100 * min(facts['live_fraction']):.3g} % of the pulses kept in the worst view")
    screen.print(f"{facts['method']}; written to {out}")
