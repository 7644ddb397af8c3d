"""``hepatica tn``: tumour-to-normal ratio per lesion and overall, both definitions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def tn(
    scout: Annotated[Path, typer.Option(help="SPECT or PET: DICOM, NIfTI, MetaImage.")],
    regions: Annotated[Path, typer.Option(help="RTSTRUCT, SEG or label map with liver and tumours.")],
    ct: Annotated[Path | None, typer.Option(help="CT, for the masses; without, 1.05 g/mL.")] = None,
    territory: Annotated[str | None, typer.Option(help="Name of a perfused structure to take T/N in.")] = None,
    fwhm: Annotated[str | None, typer.Option(help="Resolution of the image, for the partial-volume note.")] = None,
    count_sd: Annotated[str | None, typer.Option(help="Relative uncertainty of each content.")] = None,
    mass_sd: Annotated[str | None, typer.Option(help="Relative uncertainty of each mass.")] = None,
    unit: Annotated[str | None, typer.Option(help="What a voxel of a NIfTI or MetaImage holds: counts, Bq/mL.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="What a structure is: 'ROI 3=tumour'.")] = None,
    registered: Annotated[
        bool, typer.Option(help="Scout and CT of different frames of reference lie together.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """T/N by activity per mass, and the activity ratio, per lesion and overall; masses and volumes."""
    from hepatica.cli.lsf import _fraction, _kinds, _quantity
    from hepatica.workflow.planning.scout import read_scout, uptake_of_scout

    found = read_scout(scout, regions, ct=ct, unit=unit, kinds=_kinds(kind), registered=registered)
    answer = uptake_of_scout(
        found,
        territory=territory,
        fwhm_mm=_quantity(fwhm, "mm", "resolution"),
        content_relative_sd=_fraction(count_sd, "uncertainty of the content"),
        mass_relative_sd=_fraction(mass_sd, "uncertainty of the mass"),
    )
    document = answer.as_dict()
    from hepatica.cli.plan_show import plain_table, print_json, print_warnings

    if as_json:
        print_json(document)
        return
    from rich.console import Console

    table = plain_table()
    for head in ("", "mass g", "T/N", "± (k = 1)", "95 %", "A_T/A_N"):
        table.add_column(head, justify="left" if not head else "right")
    for row in [*document["lesions"], document["overall"]]:
        sd, interval = row["tumour_to_normal_concentration_ratio_sd"], row["interval_95"]
        mass = answer.masses_kg.get(row["name"])
        table.add_row(
            row["name"],
            "" if mass is None else f"{1000 * mass:.1f}",
            f"{row['tumour_to_normal_concentration_ratio']:.2f}",
            "unknown" if sd is None else f"{sd:.2f}",
            "" if interval is None else " to ".join("–" if x is None else f"{x:.2f}" for x in interval),
            f"{row['tumour_to_normal_activity_ratio']:.3f}",
        )
    console = Console(highlight=False, markup=False)
    console.print(table)
    v = answer.volumes
    normal = answer.masses_kg["normal liver"]
    console.print(f"normal liver {normal:.3f} kg; liver {v.liver_ml:.0f} mL, involvement {v.involvement:.1%}")
    print_warnings(answer.warnings)
