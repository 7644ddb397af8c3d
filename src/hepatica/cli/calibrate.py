"""``hepatica calibrate``: a camera factor or a recovery curve from images of a known source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepatica.errors import UnitError

if TYPE_CHECKING:
    from hepatica.imaging.quantify.camera_factor import DeadTime
    from hepatica.workflow.spect.calibration_options import CalibrateOptions


def calibrate(
    image: Annotated[
        Path, typer.Argument(help="Planar NM, NM TOMO (point), or reconstructed SPECT: DICOM, NIfTI, folder.")
    ],
    source: Annotated[str, typer.Option(help="planar, point, sphere, cylinder, nema (recovery), or patient.")],
    activity_at: Annotated[str, typer.Option(help="When the activity was measured: 2026-03-02T10:15.")],
    activity: Annotated[str | None, typer.Option(help="In the source (patient: administered): '50 MBq'.")] = None,
    activity_sd: Annotated[str | None, typer.Option(help="Uncertainty of the activity meter (k = 1): '2 %'.")] = None,
    residual: Annotated[str, typer.Option(help="Left in the syringe: '1.2 MBq'.")] = "0 MBq",
    residual_at: Annotated[str | None, typer.Option(help="When that was measured.")] = None,
    clock_sd: Annotated[str, typer.Option(help="Uncertainty between the clocks of meter and camera: '30 s'.")] = "0 s",
    concentration: Annotated[str | None, typer.Option(help="nema: in the spheres: '80 kBq/mL'.")] = None,
    background: Annotated[str, typer.Option(help="nema: around them: '10 kBq/mL'.")] = "0 Bq/mL",
    regions: Annotated[
        Path | None, typer.Option(help="nema: structures 'sphere 10 mm', ..., 'background': RTSTRUCT, SEG, label map.")
    ] = None,
    centre: Annotated[
        str | None, typer.Option(help="x,y,z in mm (LPS) of sphere, cylinder or ring. nema: or --regions.")
    ] = None,
    diameter: Annotated[str | None, typer.Option(help="sphere, cylinder: inner diameter.")] = None,
    length: Annotated[str | None, typer.Option(help="cylinder: inner length.")] = None,
    margin: Annotated[
        str, typer.Option(help="sphere: count so far around it. cylinder, nema: keep so far from walls.")
    ] = "20 mm",
    shell: Annotated[bool, typer.Option(help="sphere: subtract the background in a shell beyond the margin.")] = False,
    volume: Annotated[str | None, typer.Option(help="cylinder: of the liquid, if not that of its size.")] = None,
    volume_sd: Annotated[str | None, typer.Option(help="cylinder: uncertainty of that volume: '0.5 %'.")] = None,
    blank: Annotated[Path | None, typer.Option(help="planar, point: the same view without the source.")] = None,
    roi: Annotated[str | None, typer.Option(help="planar, point: circle about the source; else the field.")] = None,
    energy_window: Annotated[int | None, typer.Option(help="Which of several windows, from 1.")] = None,
    frame_duration: Annotated[str | None, typer.Option(help="planar: if the file does not say it.")] = None,
    head_time: Annotated[
        str | None, typer.Option(help="SPECT: time of all views of all heads added up, if not hepatica's own.")
    ] = None,
    heads: Annotated[int, typer.Option(help="Heads that count at once.")] = 1,
    nuclide: Annotated[str | None, typer.Option(help="Nuclide, if the file does not name it.")] = None,
    camera: Annotated[str | None, typer.Option(help="Camera with its collimator, by name.")] = None,
    unit: Annotated[str | None, typer.Option(help="What a voxel of a NIfTI or MetaImage holds: counts, Bq/mL.")] = None,
    at: Annotated[str | None, typer.Option(help="Start of the scan, if the file does not say it.")] = None,
    dead_time: Annotated[str | None, typer.Option(help="planar, point: dead time of a head, '1.5 us'.")] = None,
    dead_time_sd: Annotated[str | None, typer.Option(help="Its uncertainty: '10 %'.")] = None,
    dead_time_model: Annotated[str, typer.Option(help="paralysable or non-paralysable.")] = "paralysable",
    calibration: Annotated[Path | None, typer.Option(help="nema: camera factor of an image in counts.")] = None,
    lung_shunt: Annotated[str, typer.Option(help="patient: share in the lungs that is not in view.")] = "0",
    outside: Annotated[str, typer.Option(help="patient: share outside the field of view.")] = "0",
    out: Annotated[
        Path | None, typer.Option(help="New folder for calibration.json, or recovery.json and .png.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace the folder if it is there.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure the camera factor (cps/MBq) or the recovery curve of a camera, with uncertainty."""
    said = dict(locals())
    import json

    from hepatica.cli.show import progress, refuse_existing, warn
    from hepatica.workflow.spect.calibrate import calibrate_files

    refuse_existing(out, force=force)
    options = _options(said)
    with progress() as tell:
        result = calibrate_files(image, options, tell=tell)
        if out is not None:
            tell("writing")
            result.save(out, force=force)
    warn(result.warnings)
    if json_output:
        typer.echo(json.dumps(result.as_dict(), indent=1))
    else:
        _print(result.as_dict(), out)


def _options(said: Mapping[str, Any]) -> CalibrateOptions:
    from hepatica.core.units import parse_fraction, parse_quantity, parse_time
    from hepatica.workflow.dose.calibration_files import load_calibration
    from hepatica.workflow.spect.calibration_options import CalibrateOptions

    def number(name: str, unit: str) -> float | None:
        text = said[name]
        return None if text is None else parse_quantity(text, unit, f"--{name.replace('_', '-')}")

    def certain(name: str, unit: str) -> float:
        return parse_quantity(said[name], unit, f"--{name.replace('_', '-')}")

    def share(name: str) -> float | None:
        return None if said[name] is None else parse_fraction(said[name], f"--{name.replace('_', '-')}")

    def instant(name: str) -> Any:
        return None if said[name] is None else parse_time(said[name], f"--{name.replace('_', '-')}")

    return CalibrateOptions(
        source=said["source"],
        nuclide=said["nuclide"],
        activity_bq=number("activity", "Bq"),
        activity_relative_sd=share("activity_sd"),
        activity_at=instant("activity_at"),
        residual_bq=certain("residual", "Bq"),
        residual_at=instant("residual_at"),
        clock_sd_s=certain("clock_sd", "s"),
        concentration_bq_ml=number("concentration", "Bq/mL"),
        background_bq_ml=certain("background", "Bq/mL"),
        regions=said["regions"],
        centre_mm=None if said["centre"] is None else _point(said["centre"]),
        diameter_mm=number("diameter", "mm"),
        length_mm=number("length", "mm"),
        margin_mm=certain("margin", "mm"),
        shell=said["shell"],
        volume_ml=number("volume", "mL"),
        volume_relative_sd=share("volume_sd"),
        blank=said["blank"],
        roi_mm=number("roi", "mm"),
        energy_window=said["energy_window"],
        duration_s=number("frame_duration", "s"),
        head_time_s=number("head_time", "s"),
        heads=said["heads"],
        camera=said["camera"],
        unit=said["unit"],
        at=instant("at"),
        dead_time=_dead_time(said),
        calibration=None if said["calibration"] is None else load_calibration(said["calibration"]),
        lung_shunt=parse_fraction(said["lung_shunt"], "--lung-shunt"),
        outside=parse_fraction(said["outside"], "--outside"),
    )


def _dead_time(said: Mapping[str, Any]) -> DeadTime | None:
    from hepatica.core import Estimate
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.imaging.quantify.camera_factor import DeadTime

    if said["dead_time"] is None:
        return None
    tau = parse_quantity(said["dead_time"], "s", "--dead-time")
    relative = None if said["dead_time_sd"] is None else parse_fraction(said["dead_time_sd"], "--dead-time-sd")
    return DeadTime(Estimate(tau, None if relative is None else tau * relative), said["dead_time_model"])


def _point(text: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        raise UnitError(f"--centre: {text!r} is not three numbers in mm, x,y,z") from None
    return x, y, z


def _print(facts: Mapping[str, Any], out: Path | None) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from hepatica.cli.show import console

    screen = console()
    if "factor_cps_per_mbq" in facts:
        sd = facts["factor_sd_cps_per_mbq"]
        title = f"Camera factor of one head: {facts['factor_cps_per_mbq']:.4g} cps/MBq"
        title += (
            " (uncertainty not known)" if sd is None else f" ± {sd:.2g} ({facts['factor_sd_percent']:.2g} %, k = 1)"
        )
        table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
        for name in ("uncertainty from", "%", "basis"):
            table.add_column(name, justify="right" if name == "%" else "left")
        for part in facts["budget"]:
            percent = "not known" if part["sd_percent"] is None else f"{part['sd_percent']:.2g}"
            table.add_row(part["name"], percent, part["basis"])
    else:
        title = f"Recovery = 1 / (1 + ({facts['half_volume_ml']:.3g} mL / v)^{facts['exponent']:.3f})"
        table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
        for name in ("sphere mm", "mL", "mean", "highest voxel"):
            table.add_column(name, justify="right")
        for sphere in facts["spheres"]:
            highest = sphere["maximum_recovery"]
            table.add_row(
                f"{sphere['diameter_mm']:.3g}", f"{sphere['volume_ml']:.3g}", f"{sphere['mean_recovery']:.3f}",
                "" if highest is None else f"{highest:.3f}",
            )  # fmt: skip
    screen.print(title, soft_wrap=True)
    screen.print(table)
    if facts.get("background_recovery") is not None:
        screen.print(f"background: {facts['background_recovery']:.3f} of the truth")
    if out is not None:
        screen.print(f"written to {out}", markup=False)
