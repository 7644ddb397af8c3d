"""``hepatica compare``: two dose maps side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepatica.errors import InputError

if TYPE_CHECKING:
    from hepatica.workflow.dose.comparison import DoseMapsCompared


def compare(
    first: Annotated[Path, typer.Argument(help="Reference: RTDOSE, NIfTI in Gy, or a folder of hepatica dose.")],
    second: Annotated[Path, typer.Argument(help="Dose map compared with it.")],
    regions: Annotated[
        Path | None, typer.Option(help="RTSTRUCT, SEG, label map. Without: above 10 % of the maximum.")
    ] = None,
    gamma: Annotated[str, typer.Option(help="Criteria of the gamma index.")] = "3%/3mm",
    local: Annotated[bool, typer.Option(help="Dose criterion as a share of the local dose.")] = False,
    out: Annotated[Path | None, typer.Option(help="New folder for figure, difference map and JSON.")] = None,
    force: Annotated[bool, typer.Option(help="Replace the output folder if it is there.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare two dose maps of one patient: by structure, gamma index, profiles."""
    import json

    from hepatica.cli.show import progress, refuse_existing
    from hepatica.workflow.dose.comparison import compare_dose_maps

    refuse_existing(out, force=force)
    dose_percent, distance_mm = _criteria(gamma)
    with progress() as tell:
        tell("comparing")
        result = compare_dose_maps(
            first, second, regions=regions, dose_percent=dose_percent, distance_mm=distance_mm, local=local
        )
        if out is not None:
            tell("writing")
            result.save(out, force=force)
    if json_output:
        typer.echo(json.dumps(result.as_dict(), indent=1))
    else:
        _print(result, gamma, out)


def _criteria(text: str) -> tuple[float, float]:
    from hepatica.core.units import parse_fraction, parse_quantity

    dose, slash, distance = text.partition("/")
    if not slash:
        raise InputError(f"--gamma: {text!r} is not of the form '3%/3mm'")
    if not dose.strip().endswith("%"):
        raise InputError(f"--gamma: {dose!r} is not a percentage, as in '3%/3mm'")
    return 100 * parse_fraction(dose, "--gamma"), parse_quantity(distance, "mm", "--gamma")


def _print(result: DoseMapsCompared, criteria: str, out: Path | None) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from hepatica.cli.show import console
    from hepatica.core.numbers import percent, three

    screen = console()
    screen.print(f"first: {result.names[0]}\nsecond: {result.names[1]}", markup=False)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for n, name in enumerate(("structure", "first Gy", "second Gy", "second/first", "SD of diff.", "max diff.", "Lin")):
        table.add_column(name, justify="left" if n == 0 else "right")
    for row in result.comparison.regions:
        ratio = "–" if row.ratio_of_means is None else f"{row.ratio_of_means:.4f}"
        numbers = (row.mean_first_gy, row.mean_second_gy)
        spread = (row.difference_sd_gy, row.difference_max_gy, row.lin_ccc)
        table.add_row(row.name, *map(three, numbers), ratio, *map(three, spread))
    screen.print(table)
    share = percent(100 * result.gamma.pass_rate)
    screen.print(f"gamma {criteria}: {share} % of {result.gamma.evaluated} voxels pass, mean {result.gamma.mean:.3f}")
    if out is not None:
        screen.print(f"Figure: {out / 'comparison.png'}", markup=False)
