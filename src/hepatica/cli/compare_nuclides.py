"""``hepatica compare-nuclides``: nuclides and agents side by side on the same patient."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

DEFAULT_AGENTS = ("glass", "resin", "ho166-plla", "re188-sss-lipiodol", "i131-lipiodol", "lu177-microspheres")


def compare_nuclides(
    normal_mass: Annotated[str, typer.Option(help="Perfused normal liver, '1.3 kg'.")],
    agent: Annotated[
        list[str] | None, typer.Option(help="Agent or nuclide; repeat. Without: one of each nuclide in use.")
    ] = None,
    tumour_mass: Annotated[list[str] | None, typer.Option(help="Mass of a tumour; repeat for several.")] = None,
    tn: Annotated[list[float] | None, typer.Option(help="Tumour-to-normal ratio, one per tumour mass.")] = None,
    lsf: Annotated[str, typer.Option(help="Lung shunt fraction: 0.05 or '5 %'.")] = "0",
    lung_mass: Annotated[str, typer.Option(help="Lung mass.")] = "1 kg",
    dose: Annotated[str | None, typer.Option(help="Aim: mean dose to everything perfused, '60 Gy'.")] = None,
    normal_dose: Annotated[str | None, typer.Option(help="Aim: mean dose to normal liver, '40 Gy'.")] = None,
    tumour_dose: Annotated[str | None, typer.Option(help="Aim: mean dose over all tumours, '120 Gy'.")] = None,
    convention: Annotated[str, typer.Option(help="Dose constant, the same for all.")] = "ensdf",
    figure: Annotated[Path | None, typer.Option(help="Write the comparison as .svg, .png or .pdf.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Activity, spheres, dose rate, doses, BED, imaging and release of several agents for one aim."""
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.planning.planner.agent_comparison import CompareAim
    from hepatica.planning.prescriptions.compartments import Partition, lesions_from
    from hepatica.workflow.planning.compare_agents import compare_on_patient, save_figure

    def gray(text: str | None) -> float | None:
        return None if text is None else parse_quantity(text, "Gy", "dose")

    masses = [parse_quantity(text, "kg", "tumour mass") for text in tumour_mass or []]
    target = Partition(
        parse_quantity(normal_mass, "kg", "normal mass"),
        lesions_from(masses, tn or []),
        parse_fraction(lsf, "lung shunt fraction"),
        parse_quantity(lung_mass, "kg", "lung mass"),
    )
    aim = CompareAim(gray(dose), gray(normal_dose), gray(tumour_dose))
    compared = compare_on_patient(agent or DEFAULT_AGENTS, target, aim, convention=convention)
    if figure is not None:
        save_figure(compared, figure)
        typer.echo(f"wrote {figure}", err=True)
    if as_json:
        from hepatica.cli.plan_show import print_json

        print_json({"convention": convention, "note": NOTE, "agents": [c.as_dict() for c in compared]})
        return
    _print(compared)


NOTE = "one patient and one distribution for all: agents differ in where they go, which this table does not show"


def _print(compared: Any) -> None:
    from rich.console import Console

    from hepatica.cli.plan_show import plain_table

    rows = [c.as_dict() for c in compared]
    table = plain_table()
    table.add_column("", no_wrap=True)
    for row in rows:
        table.add_column(row["agent"], justify="right", overflow="fold")
    lines: dict[str, tuple[str, str]] = {
        "activity to the patient, GBq": ("activity_administered_gbq", ".3g"),
        "J/GBq": ("dose_constant_j_per_gbq", ".4g"),
        "perfused, Gy": ("dose_perfused_gy", ".1f"),
        "tumour, Gy": ("dose_tumour_gy", ".1f"),
        "normal liver, Gy": ("dose_normal_liver_gy", ".1f"),
        "lungs, Gy": ("dose_lung_gy", ".1f"),
        "BED tumour, Gy": ("bed_tumour_gy", ".1f"),
        "BED normal liver, Gy": ("bed_normal_liver_gy", ".1f"),
        "dose rate at start, Gy/h": ("initial_dose_rate_gy_h", ".2f"),
        "hours to 90 % of dose": ("hours_to_90_percent", ".0f"),
        "effective half-life, h": ("effective_half_life_h", ".1f"),
        "spheres, million": ("spheres_million", ".3g"),
        "spheres per mL": ("spheres_per_ml", ".0f"),
        "particle volume, mL": ("embolic_volume_ml", ".2g"),
        "photons, MeV per decay": ("photon_energy_mev", ".3f"),
        "at 1 m, uSv/h": ("dose_rate_1m_usv_h", ".3g"),
        "to others (NRC), mSv": ("nrc_dose_to_others_msv", ".2g"),
    }
    for label, (key, style) in lines.items():
        table.add_row(label, *("–" if row[key] is None else format(row[key], style) for row in rows))
    table.add_row("may go at once (NRC)", *("yes" if row["nrc_may_go_at_once"] else "no" for row in rows))
    table.add_row("all decays in place", *("yes" if row["trapping"].startswith("perm") else "no" for row in rows))
    modes = {"spect-bremsstrahlung": "brems", "pet": "PET", "spect": "SPECT", "mri": "MRI", "planar": "planar"}
    table.add_row("imaging", *(" ".join(modes[mode] for mode in row["imaging"]) for row in rows))
    table.add_row("status", *(row["status"] for row in rows))
    Console(highlight=False, markup=False).print(table)
    typer.echo(f"! {NOTE}", err=True)
