"""``hepatica demo``: the main job on a patient that hepatica makes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="New folder for the patient's DICOM files and the report.")] = Path(
        "demo-output"
    ),
    method: Annotated[str, typer.Option(help="Dose engine by name: kernel, local, ...")] = "kernel",
    force: Annotated[bool, typer.Option(help="Replace the folder if it is there.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a patient with known 90Y activity as DICOM, compute the dose, and compare it with the truth."""
    import json
    from dataclasses import replace

    from hepatica.cli.show import progress, refuse_existing, warn
    from hepatica.io.files import output_folder
    from hepatica.workflow.demo import demo_result, true_doses, write_demo_patient
    from hepatica.workflow.phantom import patient_png

    refuse_existing(out, force=force)
    with progress() as tell:
        tell("making the patient")
        with output_folder(out, force=force) as new:
            patient = write_demo_patient(new / "patient")
            tell("drawing the patient")
            (new / "patient.png").write_bytes(patient_png(patient.virtual))
        patient = replace(patient, folder=out / "patient")
        result = demo_result(patient, method=method, progress=tell)
        tell("dose of the true activity")
        compared = true_doses(patient, result)
        tell("writing the report")
        result.save(out / "report")
    warn(result.warnings)
    rows = [(c.structure, c.dose_gy, c.true_dose_gy, 100 * c.difference) for c in compared]
    if json_output:
        keys = ("structure", "dose_gy", "true_dose_gy", "difference_percent")
        typer.echo(
            json.dumps({"out": str(out), "regions": [dict(zip(keys, row, strict=True)) for row in rows]}, indent=1)
        )
        return
    _print(rows, result.title(), out)


def _print(rows: list[tuple[str, float, float, float]], title: str, out: Path) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from hepatica.cli.show import console
    from hepatica.core.numbers import three
    from hepatica.report.document import NOT_A_DEVICE

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
    for n, name in enumerate(("structure", "mean dose from the PET", "true mean dose", "difference")):
        table.add_column(name, justify="left" if n == 0 else "right")
    for structure, dose_gy, true_gy, percent in rows:
        table.add_row(structure, f"{three(dose_gy)} Gy", f"{three(true_gy)} Gy", f"{percent:+.1f} %")
    screen = console()
    screen.print(table)
    screen.print("The PET is blurred to 5.5 mm and noisy: small and hot structures lose dose to their surroundings.")
    report = out / "report"
    screen.print(f"Patient as DICOM: {out / 'patient'}; as a picture: {out / 'patient.png'}")
    screen.print(f"Report: {report / 'report.html'}, {report / 'report.pdf'}")
    screen.print(f"{NOT_A_DEVICE}.")
