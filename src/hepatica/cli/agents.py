"""``hepatica agents``: what carries the nuclides, or one agent in full."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from hepatica.nuclides import Agent


def agents(
    name: Annotated[str | None, typer.Argument(help="Agent to show in full, such as glass or QuiremSpheres.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the agents of radioembolization, or show one in full: facts, dose limits, sources."""
    from hepatica.nuclides import AGENT_NAMES, agent

    chosen = [agent(name)] if name is not None else [agent(known) for known in AGENT_NAMES]
    if as_json:
        typer.echo(json.dumps([a.as_dict() for a in chosen], indent=2, allow_nan=False))
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if name is None:
        _print_list(console, chosen)
    else:
        _print_one(console, chosen[0])


def _print_list(console: Console, chosen: list[Agent]) -> None:
    from hepatica.cli.nuclides import WIDE, _table

    wide = console.width >= WIDE
    table = _table()
    heads = ["\nname", "\nproduct", "\n", "size\nµm", "\ng/mL", "Bq per\nsphere", "\nimaging", "\nstatus"]
    for head in heads:
        if wide or head != "\nproduct":
            numeric = head in ("size\nµm", "\ng/mL", "Bq per\nsphere")
            table.add_column(head, justify="right" if numeric else "left", no_wrap=True)
    modes = {"pet": "PET", "spect": "SPECT", "spect-bremsstrahlung": "SPECT", "mri": "MRI", "planar": "planar"}
    for a in chosen:
        cells = [_value(a, key) for key in ("sphere_diameter_um", "density_g_ml", "activity_per_sphere_bq")]
        product = [a.product] if wide else []
        table.add_row(a.name, *product, a.nuclide.label, *cells, ", ".join(modes[m] for m in a.imaging), a.status)
    console.print(table)
    console.print("– not found or not applicable. `hepatica agents NAME` gives every fact's source.", style="dim")


def _value(a: Agent, key: str) -> str:
    fact = a.fact(key)
    return "–" if fact.value is None else str(fact).removesuffix(fact.unit).strip()


def _print_one(console: Console, a: Agent) -> None:
    from hepatica.cli.nuclides import _section
    from hepatica.nuclides.agents import fact_label

    console.print(f"{a.name}  {a.product}: {a.nuclide.label} {a.form}, {a.purpose}, {a.status}", style="bold")
    console.print(f"prescription rule: {a.prescription}; imaging: {', '.join(a.imaging)}")
    facts = [[fact_label(key), str(f), f"{f.source} · {f.confidence}"] for key, f in a.facts.items()]
    _section(console, "facts", ["fact", "value", "source · confidence"], facts)
    limits = [
        [x.structure.replace("_", " "), f"{x.comparison} {x.dose_gy:g} Gy", x.condition, f"{x.source} · {x.confidence}"]
        for x in a.limits
    ]
    if limits:
        _section(console, "mean absorbed dose: goals (>=) and limits (<=)", _LIMIT_HEADS, limits)
    else:
        console.print("\nno dose limits found", style="dim")


_LIMIT_HEADS = ["structure", "mean dose", "when", "source · confidence"]
