"""``hepatica simulate``: what a gamma camera would count of a known activity."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hepatica.errors import UnknownNameError


def simulate(
    activity: Annotated[Path, typer.Option(help="Activity image in Bq/mL: DICOM, NIfTI, MetaImage.")],
    ct: Annotated[Path, typer.Option(help="CT for the attenuation.")],
    nuclide: Annotated[str, typer.Option(help="What is in the patient, for example Tc-99m.")],
    out: Annotated[Path, typer.Option(help="New folder for projections.dcm, truth.nii.gz and scan.json.")],
    camera: Annotated[str, typer.Option(help="Camera by name: siemens-lehr, ge-megp, ...")] = "siemens-lehr",
    method: Annotated[str, typer.Option(help="analytic: primary photons, no scatter.")] = "analytic",
    total: Annotated[str | None, typer.Option(help="Scale the image to this activity: '150 MBq'.")] = None,
    views: Annotated[int, typer.Option(help="Views over 360 degrees, shared by the heads.")] = 120,
    heads: Annotated[int, typer.Option(help="Number of heads.")] = 2,
    view_time: Annotated[str, typer.Option(help="Time per view.")] = "20 s",
    radius: Annotated[str, typer.Option(help="From the axis to the collimator.")] = "250 mm",
    pixel: Annotated[str, typer.Option(help="Size of pixels and slices.")] = "4.8 mm",
    matrix: Annotated[int, typer.Option(help="Pixels across.")] = 128,
    seed: Annotated[int, typer.Option(help="Of the Poisson noise.")] = 1,
    noise: Annotated[bool, typer.Option(help="Poisson noise, or expected counts.")] = True,
    activity_unit: Annotated[str | None, typer.Option(help="Unit of a NIfTI or MetaImage: 'Bq/mL'.")] = None,
    at: Annotated[str | None, typer.Option(help="Instant of an image that states none.")] = None,
    force: Annotated[bool, typer.Option(help="Replace the folder if it is there.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Simulate a SPECT acquisition of a known activity and write its projections."""
    import json

    from hepatica.case.spect_simulate import ScanOptions, simulate_files
    from hepatica.cli.show import progress, refuse_existing
    from hepatica.core.units import parse_quantity, parse_time
    from hepatica.io.image import Stated

    if method != "analytic":
        raise UnknownNameError("simulation method", method, ("analytic",))
    refuse_existing(out, force=force)
    options = ScanOptions(
        camera=camera,
        views=views,
        heads=heads,
        view_s=parse_quantity(view_time, "s", "--view-time"),
        radius_mm=parse_quantity(radius, "mm", "--radius"),
        pixel_mm=parse_quantity(pixel, "mm", "--pixel"),
        columns=matrix,
        total_bq=None if total is None else parse_quantity(total, "Bq", "--total"),
        seed=seed if noise else None,
    )
    stated = Stated(unit=activity_unit, time=None if at is None else parse_time(at, "--at"))
    with progress() as tell:
        facts = simulate_files(
            activity, ct=ct, nuclide_name=nuclide, out=out, options=options, stated=stated, force=force, tell=tell
        )
    if json_output:
        typer.echo(json.dumps(facts, indent=1))
    else:
        _print(facts, out)


def _print(facts: dict[str, Any], out: Path) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from hepatica.cli.show import console

    title = f"{facts['nuclide']}, {facts['activity_mbq']:.4g} MBq, {facts['camera']['name']}, {facts['views']} views"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("window", "counts", "sensitivity of a head"):
        table.add_column(name, justify="right")
    for window in facts["windows"]:
        known = window["sensitivity_cps_per_mbq"]
        table.add_row(
            f"{window['low_kev']:g}-{window['high_kev']:g} keV",
            f"{window['counts']:.0f}",
            "no line" if known is None else f"{known:.4g} cps/MBq",
        )
    screen = console()
    screen.print(table)
    screen.print(f"{facts['method']}; written to {out}")
