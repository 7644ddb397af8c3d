"""``hepatica dose``: from images to absorbed dose, histograms and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepatica.errors import InputError

if TYPE_CHECKING:
    from hepatica.transport.runner.settings import MonteCarloSettings
    from hepatica.workflow.dose.options import DoseOptions
    from hepatica.workflow.dose.result import DoseResult


def dose(
    activity: Annotated[
        list[Path],
        typer.Option(
            help="Activity image: DICOM file or folder (PET, SPECT), NIfTI, MetaImage. Repeat for time points."
        ),
    ],
    nuclide: Annotated[str, typer.Option(help="Nuclide, for example Y-90.")],
    ct: Annotated[Path, typer.Option(help="CT: DICOM folder, or NIfTI or MetaImage in HU.")],
    regions: Annotated[
        Path | None, typer.Option(help="Structures: RTSTRUCT, SEG, label map. Without: body and lungs from the CT.")
    ] = None,
    method: Annotated[str, typer.Option(help="Dose engine by name: kernel, local, ...")] = "kernel",
    out: Annotated[Path | None, typer.Option(help="New folder for report, RTDOSE, NIfTI, CSV and JSON.")] = None,
    activity_unit: Annotated[
        str | None,
        typer.Option(help="What a voxel of a NIfTI or MetaImage holds: 'MBq h' (time-integrated), 'Bq/mL', 'counts'."),
    ] = None,
    administered: Annotated[str | None, typer.Option(help="Activity administered: '2.1 GBq'.")] = None,
    administered_at: Annotated[str | None, typer.Option(help="When: 2026-03-02T10:15.")] = None,
    at: Annotated[
        list[str] | None, typer.Option(help="Instant that an activity image refers to, if its file does not say.")
    ] = None,
    calibration: Annotated[
        str | None, typer.Option(help="Camera factor of a SPECT in counts: '4.6 cps/MBq', or calibration.json.")
    ] = None,
    frame_duration: Annotated[
        str | None, typer.Option(help="Time in which SPECT counts were collected: '20 min'.")
    ] = None,
    pvc: Annotated[
        str | None,
        typer.Option(help="Partial volume: region (tumours by --recovery), gtm or yang (by --psf), none."),
    ] = None,
    recovery: Annotated[Path | None, typer.Option(help="Recovery curve of hepatica calibrate: recovery.json.")] = None,
    recovery_extrapolate: Annotated[
        bool, typer.Option(help="Use it for tumours beyond the sizes of its spheres as well.")
    ] = False,
    psf: Annotated[str | None, typer.Option(help="Response in the image, FWHM: '12 mm'.")] = None,
    psf_sd: Annotated[str | None, typer.Option(help="Its standard uncertainty: '1 mm'.")] = None,
    contour_sd: Annotated[str, typer.Option(help="Standard uncertainty of where surfaces were drawn.")] = "0 mm",
    replicates: Annotated[
        Path | None,
        typer.Option(help="Noise of the counts: spect_replicates.npz of hepatica reconstruct --uncertainty."),
    ] = None,
    lung_shunt: Annotated[str, typer.Option(help="Lung shunt fraction: 0.05 or '5 %'.")] = "0",
    residual: Annotated[str, typer.Option(help="Share left in vial and tubing: 0.02 or '2 %'.")] = "0",
    outside: Annotated[str, typer.Option(help="Share of the activity outside the field of view.")] = "0",
    lungs_in_image: Annotated[bool, typer.Option(help="The activity in the lungs is part of the image.")] = False,
    half_life: Annotated[
        str | None, typer.Option(help="Effective half-life: '40 h'. Without: permanent trapping.")
    ] = None,
    time_model: Annotated[str, typer.Option(help="Curve through several time points: mono or bi.")] = "mono",
    tail: Annotated[
        str, typer.Option(help="After the last time point: as fitted ('fit') or 'physical' decay.")
    ] = "fit",
    density: Annotated[
        str, typer.Option(help="kernel engine: 'local' divides by each voxel's own mass, 'none' is dose to water.")
    ] = "local",
    histories: Annotated[str | None, typer.Option(help="montecarlo engine: decays to follow, '1e7'.")] = None,
    target_uncertainty: Annotated[
        str | None, typer.Option(help="montecarlo engine: stop at this uncertainty above half the maximum: '2 %'.")
    ] = None,
    time_limit: Annotated[str | None, typer.Option(help="montecarlo engine: stop after this time: '5 min'.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="montecarlo engine: seed of the random numbers, 1 if unsaid.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="montecarlo engine: cpu (if unsaid) or cuda.")] = None,
    parts: Annotated[
        str | None, typer.Option(help="montecarlo engine: all (if unsaid), beta (with its bremsstrahlung) or photon.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="montecarlo engine: file that keeps an interrupted run, to go on from.")
    ] = None,
    hu_table: Annotated[Path | None, typer.Option(help="The scanner's own table, CSV with hu,density_g_ml.")] = None,
    grid: Annotated[str, typer.Option(help="Voxels of the dose: activity, ct, or a size: '3 mm'.")] = "activity",
    agent: Annotated[str | None, typer.Option(help="Agent, for its dose limits: glass, resin, ...")] = None,
    lung_margin: Annotated[
        str | None, typer.Option(help="Also report the lungs without this margin to the liver: '10 mm'.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="What a structure is, if its name does not say: 'Seg 5=perfused'.")
    ] = None,
    registered: Annotated[
        bool, typer.Option(help="State that images of different frames of reference are registered.")
    ] = False,
    accept_nuclide: Annotated[bool, typer.Option(help="Accept an image whose header names another nuclide.")] = False,
    series: Annotated[str | None, typer.Option(help="SeriesInstanceUID of the activity, if there are several.")] = None,
    ct_series: Annotated[str | None, typer.Option(help="SeriesInstanceUID of the CT, if there are several.")] = None,
    slice_spacing: Annotated[
        str | None, typer.Option(help="Distance between slices of an NM volume that states none: '4.4 mm'.")
    ] = None,
    rtdose_bits: Annotated[int, typer.Option(help="Bits of the RTDOSE: 16 (read everywhere) or 32 (finer).")] = 16,
    force: Annotated[bool, typer.Option(help="Replace the output folder if it is there.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Absorbed dose of a treated patient, from activity image, CT and structures."""
    said = dict(locals())
    import json

    from hepatica.cli.show import progress, refuse_existing, warn
    from hepatica.workflow.dose.absorbed_dose import absorbed_dose

    refuse_existing(out, force=force)
    options = _options(said)
    with progress() as tell:
        result = absorbed_dose(
            activity, ct=ct, nuclide=nuclide, regions=regions, method=method, options=options, progress=tell
        )
        if out is not None:
            tell("writing")
            result.save(out, force=force)
    warn(result.warnings)
    if json_output:
        typer.echo(json.dumps(result.as_dict(), indent=1))
    else:
        _print(result, out)


def _options(said: Mapping[str, Any]) -> DoseOptions:
    """Text of the command line to numbers."""
    from hepatica.core.units import parse_fraction, parse_quantity, parse_time
    from hepatica.dosimetry.engines.dose_map import DoseSettings
    from hepatica.workflow.dose.options import DoseOptions

    def number(name: str, unit: str) -> float | None:
        text = said[name]
        return None if text is None else parse_quantity(text, unit, f"--{name.replace('_', '-')}")

    def fraction(name: str) -> float:
        return parse_fraction(said[name], f"--{name.replace('_', '-')}")

    grid = said["grid"] if said["grid"] in ("activity", "ct") else parse_quantity(said["grid"], "mm", "--grid")
    times = tuple(parse_time(text, "--at") for text in said["at"] or ())
    if len(times) not in (0, len(said["activity"])):
        raise InputError(f"--at was given {len(times)} times for {len(said['activity'])} activity images")
    when = said["administered_at"]
    return DoseOptions(
        activity_unit=said["activity_unit"],
        at=times,
        administered_bq=number("administered", "Bq"),
        administered_at=None if when is None else parse_time(when, "--administered-at"),
        **_calibration(said["calibration"]),
        pvc=said["pvc"] or ("none" if said["recovery"] is None else "region"),
        recovery_file=said["recovery"],
        recovery_extrapolate=said["recovery_extrapolate"],
        psf_mm=number("psf", "mm"),
        psf_sd_mm=number("psf_sd", "mm"),
        contour_sd_mm=number("contour_sd", "mm") or 0.0,
        replicates_file=said["replicates"],
        frame_duration_s=number("frame_duration", "s"),
        lung_shunt=fraction("lung_shunt"),
        residual=fraction("residual"),
        outside=fraction("outside"),
        lungs_in_image=said["lungs_in_image"],
        effective_half_life_s=number("half_life", "s"),
        time_model=said["time_model"],
        tail=said["tail"],
        settings=DoseSettings(density=said["density"]),
        montecarlo=_montecarlo(said),
        hu_calibration=said["hu_table"],
        grid=grid,
        registered=said["registered"],
        accept_nuclide=said["accept_nuclide"],
        agent=said["agent"],
        lung_margin_mm=number("lung_margin", "mm"),
        kinds=_kinds(said["kind"] or []),
        series=said["series"],
        ct_series=said["ct_series"],
        slice_spacing_mm=number("slice_spacing", "mm"),
        rtdose_bits=said["rtdose_bits"],
    )


def _calibration(text: str | None) -> dict[str, Any]:
    """A number with its unit, or a file."""
    from hepatica.core.units import parse_quantity

    if text is None:
        return {}
    if Path(text).suffix in (".json", ".toml"):
        return {"calibration_file": Path(text)}
    return {"calibration_cps_per_mbq": parse_quantity(text, "cps/MBq", "--calibration")}


def _montecarlo(said: Mapping[str, Any]) -> MonteCarloSettings | None:
    """Settings of a Monte Carlo run, None if the command says nothing about one."""
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.dosimetry.engines.montecarlo import DEFAULT_UNCERTAINTY
    from hepatica.transport.runner.settings import MonteCarloSettings

    names = ("histories", "target_uncertainty", "time_limit", "checkpoint", "seed", "device", "parts")
    if said["method"] != "montecarlo" and all(said[name] is None for name in names):
        return None
    histories, limit = said["histories"], said["time_limit"]
    try:
        count = None if histories is None else round(float(histories))
    except (ValueError, OverflowError):
        raise InputError(f"--histories: {histories!r} is not a number of decays, such as 1e7") from None
    time_limit_s = None if limit is None else parse_quantity(limit, "s", "--time-limit")
    target = said["target_uncertainty"]
    if target is not None:
        uncertainty: float | None = parse_fraction(target, "--target-uncertainty")
    else:
        uncertainty = DEFAULT_UNCERTAINTY if count is None and time_limit_s is None else None
    return MonteCarloSettings(
        histories=count,
        target_uncertainty=uncertainty,
        time_limit_s=time_limit_s,
        seed=1 if said["seed"] is None else said["seed"],
        device=said["device"] or "cpu",
        parts=said["parts"] or "all",
        checkpoint=said["checkpoint"],
    )


def _kinds(pairs: list[str]) -> dict[str, str]:
    kinds = {}
    for pair in pairs:
        name, equals, what = pair.rpartition("=")
        if not equals or not name:
            raise InputError(f"--kind: {pair!r} is not of the form 'NAME=KIND', such as 'Seg 5=perfused'")
        kinds[name] = what
    return kinds


def _print(result: DoseResult, out: Path | None) -> None:
    from hepatica.cli.show import console
    from hepatica.report.document import NOT_A_DEVICE

    screen = console()
    header, *body = result.rows()
    _print_wide(result.title(), header, body)
    _print_activity(result)
    _print_limits(result)
    if out is not None:
        screen.print(f"Report: {out / 'report.html'}, {out / 'report.pdf'}; RTDOSE: {out / 'dose.dcm'}", markup=False)
    screen.print(f"{NOT_A_DEVICE}.")


def _print_activity(result: DoseResult) -> None:
    from hepatica.workflow.dose.region_activity import ACTIVITY_COLUMNS

    if rows := result.activity_rows():
        _print_wide("Partial volume and uncertainty (k = 1)", ACTIVITY_COLUMNS, rows)


def _print_wide(title: str, header: Sequence[str], body: Sequence[Sequence[str]]) -> None:
    """Table of names and numbers; a number is never cut: the line runs over the edge of a narrow screen instead."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from hepatica.cli.show import console

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for n, cell in enumerate(header):
        table.add_column(cell, justify="left" if n == 0 else "right", no_wrap=n > 0, max_width=28 if n == 0 else None)
    for row in body:
        table.add_row(*row)
    widths = [max(len(line) for row in (header, *body) for line in row[n].split("\n")) + 2 for n in range(len(header))]
    console(width=max(console().width, min(widths[0], 30) + sum(widths[1:]))).print(table)


def _print_limits(result: DoseResult) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from hepatica.cli.show import console
    from hepatica.core.numbers import three

    if not result.limits:
        return
    title = f"Mean dose against the limits of {result.options.agent} (the condition says which applies)"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("structure", "dose Gy", "limit Gy", "status", "condition"):
        table.add_column(name, justify="right" if name.endswith("Gy") else "left")
    for check in result.limits:
        limit = f"{check.comparison} {check.limit_gy:g}"
        table.add_row(check.region, three(check.dose_gy), limit, check.verdict, check.condition)
    console().print(table)
