"""How a prescription looks on a screen."""

from __future__ import annotations

import json
from typing import Any

import typer


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(document, indent=2, allow_nan=False))


def print_assessed(assessed: Any, as_json: bool) -> None:
    """A prescription with limits and guardrails: JSON, or tables with the warnings on stderr."""
    if as_json:
        print_json(assessed.as_dict())
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    rx = assessed.prescription
    console.print(f"{rx.method}  {assessed.carrier.name}", style="bold")
    console.print(rx.source, style="dim")
    console.print(f"dose constant  {rx.constant.text}")
    if rx.residual:
        console.print(f"activity in the vial at administration  {rx.activity_gbq:.3f} GBq (residual {rx.residual:.1%})")
        console.print(f"activity that reaches the patient       {rx.activity_administered_gbq:.3f} GBq")
    else:
        console.print(f"activity at administration  {rx.activity_gbq:.3f} GBq")
    if rx.doses is not None:
        print_doses(console, rx.doses)
    print_limits(console, assessed.limits)
    print_warnings(assessed.warnings)


def print_doses(console: Any, doses: Any) -> None:
    """Mean doses, one line each."""
    rows = {
        "perfused": doses.perfused_gy,
        "tumour": doses.tumour_gy,
        "normal liver": doses.normal_liver_gy,
        "lungs": doses.lung_gy,
    }
    for name, value in rows.items():
        if value is not None:
            console.print(f"  {name:<14}{value:8.1f} Gy")
    if len(doses.lesions_gy) > 1:
        for name, value in doses.lesions_gy.items():
            console.print(f"    {name:<12}{value:8.1f} Gy")


def print_limits(console: Any, limits: Any) -> None:
    """Table of limits, violated ones first."""
    if not limits:
        return
    table = plain_table()
    for head in ("", "limit", "Gy", "plan", "only if", "source"):
        table.add_column(head)
    styles = {"violated": "bold red", "near": "yellow", "met": "green"}
    for check in limits:
        sign = "≤" if check.limit.bound == "max" else "≥"
        table.add_row(
            f"{check.status} if" if check.applies_if else check.status,
            check.limit.text,
            f"{sign} {check.limit.value:.4g}",
            f"{check.value:.3g}",
            check.applies_if,
            check.limit.source,
            style=styles[check.status],
        )
    console.print(table)


def print_warnings(warnings: Any) -> None:
    """Warnings, on stderr."""
    for warning in warnings:
        typer.echo(f"! {warning}", err=True)


def plain_table(title: str | None = None) -> Any:
    """Table without box."""
    from rich.table import Table

    return Table(box=None, padding=(0, 2, 0, 0), title=title, title_justify="left", header_style="dim")


def print_voxels(voxel: Any) -> None:
    """The voxel-based prediction, one line per structure."""
    from rich.console import Console

    table = plain_table(f"\npredicted from the scout, engine {voxel['method']}")
    for head in ("structure", "mL", "mean Gy", "D95", "D70", "D50"):
        table.add_column(head, justify="left" if head == "structure" else "right")
    for r in voxel["regions"]:
        d = r["d_percent_gy"]
        doses = (r["dose_mean_gy"], d["95"], d["70"], d["50"])
        table.add_row(r["name"], f"{r['volume_ml']:.1f}", *(f"{value:.1f}" for value in doses))
    Console(highlight=False, markup=False).print(table)
    print_warnings(voxel["warnings"])


def print_course(plan: Any) -> None:
    """A whole plan: methods side by side, doses, limits, chances; warnings on stderr."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.print(f"{plan.course.title}  ({plan.course.agent})", style="bold")
    for t in plan.territories:
        table = plain_table(f"\n{t.territory.name}: activity in GBq, mean doses in Gy")
        for head in ("method", "vial", "patient", "perfused", "tumour", "normal", "lungs"):
            table.add_column(head, justify="left" if head == "method" else "right")
        for name, assessed in t.methods.items():
            rx, d = assessed.prescription, assessed.prescription.doses
            doses = (d.perfused_gy, d.tumour_gy, d.normal_liver_gy, d.lung_gy)
            table.add_row(
                f"> {name}" if name == t.chosen else f"  {name}",
                f"{rx.activity_gbq:.3f}",
                f"{rx.activity_administered_gbq:.3f}",
                *("–" if v is None else f"{v:.1f}" for v in doses),
                style="bold" if name == t.chosen else "",
            )
        console.print(table)
        constants = dict.fromkeys(a.prescription.constant.text for a in t.methods.values())
        console.print(f"  dose constants  {'; '.join(constants)}", style="dim")
    console.print("\nall territories together, mean doses", style="dim")
    for name, dose in plan.doses.lesions_gy.items():
        console.print(f"  {name:<30}{dose:8.1f} Gy")
    for name, dose in plan.doses.perfused_normal_gy.items():
        console.print(f"  {'normal liver in ' + name:<30}{dose:8.1f} Gy")
    console.print(f"  {'normal liver, whole':<30}{plan.doses.normal_liver_cumulative_gy:8.1f} Gy")
    console.print(f"  {'lungs':<30}{plan.doses.lung_cumulative_gy:8.1f} Gy\n")
    print_limits(console, plan.limits)
    if plan.optimum is not None:
        o = plan.optimum
        best = ", ".join(f"{name} {activity:.3f} GBq" for name, activity in o.activity_gbq.items())
        console.print(f"\nbest chance: {best} to the patient", style="bold")
        console.print(
            f"  tumour target reached {o.chances.tumour:.0%}, normal liver exceeded {o.chances.normal_exceeded:.1%}, "
            f"lungs exceeded {o.chances.lung_exceeded:.1%}; stopped by: {o.binding}"
        )
        for name, value in o.value_of_knowing.items():
            gain, words = value["gain_in_probability"], name.replace("_", " ")
            console.print(f"  halving the uncertainty of {words}: chance {gain:+.1%}")
    print_warnings(plan.warnings)
