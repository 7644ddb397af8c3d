"""``hepatica reconstruct``: from the projections of a gamma camera to a SPECT."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepatica.errors import InputError, UnitError

if TYPE_CHECKING:
    from hepatica.workflow.spect.options import SpectOptions


def reconstruct(
    projections: Annotated[Path, typer.Argument(help="Projections (NM TOMO): file or folder.")],
    ct: Annotated[Path, typer.Option(help="CT of the same patient, for attenuation.")],
    camera: Annotated[str, typer.Option(help="Camera by name: siemens-lehr, ge-megp, ...")],
    out: Annotated[Path, typer.Option(help="New folder for spect.dcm, spect.nii.gz, result.json.")],
    nuclide: Annotated[str | None, typer.Option(help="Nuclide, if the file does not name it.")] = None,
    method: Annotated[str, typer.Option(help="osem, mlem, or bsrem (penalised).")] = "osem",
    iterations: Annotated[int, typer.Option(help="Passes over all views.")] = 10,
    subsets: Annotated[int | None, typer.Option(help="Updates a pass; 6 if unsaid, 1 for mlem.")] = None,
    prior: Annotated[float, typer.Option(help="Strength of bsrem's relative-difference prior.")] = 0.0,
    until_noise: Annotated[bool, typer.Option(help="Stop when the fit is as good as noise lets it be.")] = False,
    scatter: Annotated[str, typer.Option(help="From windows: tew, dew, upper; of the image: esse, mc; none.")] = "none",
    mc_uncertainty: Annotated[
        str | None,
        typer.Option(help="Uncertainty of a bin, of each Monte Carlo update: '10 %' (the default)."),
    ] = None,
    mc_time: Annotated[str | None, typer.Option(help="Most time for each Monte Carlo update: '30 s'.")] = None,
    seed: Annotated[int, typer.Option(help="Of random numbers.")] = 1,
    device: Annotated[str, typer.Option(help="Monte Carlo on cpu or cuda.")] = "cpu",
    calibration: Annotated[
        Path | None, typer.Option(help="Measured sensitivity of one head: calibration.json of hepatica calibrate.")
    ] = None,
    sensitivity: Annotated[
        str | None,
        typer.Option(
            help="Of one head, measured: '91 cps/MBq', one for each main window with commas; or 'model'. "
            "Without: an image in counts."
        ),
    ] = None,
    windows: Annotated[
        str | None,
        typer.Option(
            help="Main windows in keV: 208, 105-195, #2 (number in the file); several with commas: one image."
        ),
    ] = None,
    energy: Annotated[str | None, typer.Option(help="One photon energy for all: '140 keV'.")] = None,
    radius: Annotated[str | None, typer.Option(help="Axis to collimator, if the file does not say: '250 mm'.")] = None,
    axis: Annotated[
        str | None, typer.Option(help="x,y of the axis and z of the lowest row in the CT, if the file does not say.")
    ] = None,
    post_filter: Annotated[str, typer.Option(help="Gaussian filter of the image, FWHM.")] = "0 mm",
    uncertainty: Annotated[
        str | None,
        typer.Option(help="spect_sd.nii.gz from so many resamplings of the counts (20 give it to 16 %), or 'quick'."),
    ] = None,
    registered: Annotated[bool, typer.Option(help="Projections and CT are registered although frames differ.")] = False,
    sum_gates: Annotated[bool, typer.Option(help="Add up the gates of a gated acquisition.")] = False,
    dead_time: Annotated[
        str | None, typer.Option(help="Dead time per count of all windows together: '1.5 us'. Without: none.")
    ] = None,
    dead_time_model: Annotated[str, typer.Option(help="paralysable or non-paralysable.")] = "paralysable",
    checkpoint: Annotated[Path | None, typer.Option(help="File that keeps an interrupted run, to go on from.")] = None,
    force: Annotated[bool, typer.Option(help="Replace the folder if it is there.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Reconstruct SPECT projections with attenuation, collimator response and scatter correction."""
    said = dict(locals())
    import json

    from hepatica.cli.show import progress, refuse_existing, warn
    from hepatica.workflow.spect.reconstruct import reconstruct_files

    refuse_existing(out, force=force)
    options = _options(said)
    with progress() as tell:
        result = reconstruct_files(projections, ct=ct, options=options, checkpoint=checkpoint, tell=tell)
        tell("writing")
        result.save(out, force=force)
    warn(result.warnings)
    if json_output:
        typer.echo(json.dumps(result.facts, indent=1))
    else:
        _print(result.facts, out)


def _options(said: dict[str, Any]) -> SpectOptions:
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.imaging.reconstruct.algorithms import Settings
    from hepatica.imaging.spect.scatter.montecarlo import MonteCarloOptions
    from hepatica.workflow.dose.calibration_files import load_calibration
    from hepatica.workflow.spect.options import SpectOptions

    def number(name: str, unit: str) -> float | None:
        text = said[name]
        return None if text is None else parse_quantity(text, unit, f"--{name.replace('_', '-')}")

    subsets = said["subsets"] if said["subsets"] is not None else (1 if said["method"] == "mlem" else 6)
    text = said["sensitivity"]
    by_model = text is not None and text.strip().lower() == "model"
    measured = None
    if text is not None and not by_model:
        measured = tuple(parse_quantity(part, "cps/MBq", "--sensitivity") for part in text.split(","))
    settings = Settings(
        said["method"], said["iterations"], subsets, prior_strength=said["prior"], until_noise=said["until_noise"]
    )
    quick = (said["uncertainty"] or "").strip().lower() == "quick"
    runs = 0 if said["uncertainty"] is None or quick else _whole(said["uncertainty"])
    wanted, seconds = said["mc_uncertainty"], number("mc_time", "s")
    uncertainty = None if wanted is None else parse_fraction(wanted, "--mc-uncertainty")
    if uncertainty is None and seconds is None:
        uncertainty = MonteCarloOptions().uncertainty
    return SpectOptions(
        camera=said["camera"],
        settings=settings,
        scatter=said["scatter"],
        nuclide=said["nuclide"],
        windows=said["windows"],
        energy_kev=number("energy", "keV"),
        sensitivity_cps_per_mbq=measured,
        sensitivity_by_model=by_model,
        calibration=None if said["calibration"] is None else load_calibration(said["calibration"]),
        radius_mm=number("radius", "mm"),
        axis_mm=None if said["axis"] is None else _point(said["axis"]),
        post_filter_mm=number("post_filter", "mm") or 0.0,
        uncertainty_runs=runs,
        quick_uncertainty=quick,
        registered=said["registered"],
        montecarlo=MonteCarloOptions(uncertainty, seconds, seed=said["seed"], device=said["device"]),
        sum_gates=said["sum_gates"],
        dead_time_s=number("dead_time", "s") or 0.0,
        dead_time_model=said["dead_time_model"],
    )


def _whole(text: str) -> int:
    if not text.strip().isdigit():
        raise InputError(f"--uncertainty: {text!r} is neither a number of resamplings nor 'quick'")
    return int(text)


def _point(text: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        raise UnitError(f"--axis: {text!r} is not three numbers in mm, x,y,z") from None
    return x, y, z


def _print(facts: dict[str, Any], out: Path) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from hepatica.cli.show import console

    table = Table(title="SPECT", title_justify="left", box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("what")
    table.add_column("value", justify="right")
    table.add_row("nuclide", facts["nuclide"])
    for (low, high), energies in zip(facts["windows_kev"], facts["energies_kev"], strict=True):
        at = ", ".join(f"{energy:.0f}" for energy in energies)
        table.add_row("window", f"{low:g}-{high:g} keV, attenuation at {at} keV")
    if "total_activity_mbq" in facts:
        known = facts.get("uncertainty")
        error = f" ± {known['total_activity_sd_mbq']:.2g}" if known and "total_activity_sd_mbq" in known else ""
        table.add_row("activity in the image", f"{facts['total_activity_mbq']:.4g}{error} MBq at {facts['time']}")
    else:
        table.add_row("counts in the image", f"{facts['total_counts']:.4g}")
    table.add_row("passes", f"{facts['iterations_done']}, stopped by {facts['stopped_by']}")
    if facts["residual_over_noise"]:
        table.add_row("residual over noise", f"{facts['residual_over_noise'][-1]:.3f}")
    screen = console()
    screen.print(table)
    screen.print(f"written to {out}")
