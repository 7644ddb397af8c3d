"""A simulated scan on files: the projections that a gamma camera would count of a known activity."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.core import Grid, Kind, Provenance, Volume
from hepatica.core.context import DicomContext
from hepatica.core.image import Image, Stated
from hepatica.core.resample import resample
from hepatica.errors import InputError, PhysicsError, TimeError
from hepatica.imaging.spect.camera.cameras import GammaCamera, gamma_camera
from hepatica.imaging.spect.camera.detector import detector_response, geometric_response
from hepatica.imaging.spect.montecarlo.spectrum import EnergySpectrum
from hepatica.imaging.spect.projections import Projections
from hepatica.imaging.spect.simulate import Scan, camera_grid, require_in_field, simulate_spect
from hepatica.io.dicom.images.projections import write_projections
from hepatica.io.dicom.images.write import Emission
from hepatica.io.files import output_folder
from hepatica.io.itk import write_itk
from hepatica.io.read import read_image
from hepatica.nuclides import Nuclide, nuclide
from hepatica.workflow.spect.scan import MonteCarloOptions, ScanOptions, scan_orbit, scan_windows

Tell = Callable[[str], None]


def _silent(step: str) -> None:
    """No progress."""


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """Projections, what the method says of itself, and files of its own by name."""

    projections: Projections
    sensitivity_cps_per_mbq: list[float | None]
    facts: dict[str, Any]
    files: dict[str, bytes]


def simulate_files(
    activity: Path | str,
    *,
    ct: Path | str,
    nuclide_name: str,
    out: Path | str,
    options: ScanOptions,
    stated: Stated | None = None,
    force: bool = False,
    tell: Tell = _silent,
) -> dict[str, Any]:
    """Simulate a SPECT of an activity image and write the projections (``projections.dcm``) and the truth.

    Parameters
    ----------
    activity, ct : path
        Activity image (Bq/mL) and CT, in one frame of reference.
    nuclide_name : str
        What the simulated patient holds.
    out : path
        New folder: ``projections.dcm`` (NM TOMO), ``truth.nii.gz`` (Bq/mL on the camera's grid), ``scan.json``; by
        Monte Carlo also ``spectrum.csv`` and ``spectrum.png``.
    options : ScanOptions
        Camera and acquisition.
    stated : Stated, optional
        Unit and time of an activity without them.
    force : bool
        Replace the folder.
    tell : callable
        Told each step.

    Returns
    -------
    dict
        What ``scan.json`` holds.

    Raises
    ------
    InputError
        If the image is of another nuclide and no total is stated, or activity lies outside the field.
    TimeError
        If the image refers to no instant.
    """
    chosen, camera = nuclide(nuclide_name), gamma_camera(options.camera)
    windows = scan_windows(chosen, options)
    tell("reading")
    image, hu = read_image(activity, role="activity", stated=stated or Stated()), read_image(ct, role="ct")
    source = _activity_of(image, chosen, options)
    frame = hu.grid.frame_of_reference or image.grid.frame_of_reference
    grid = camera_grid(hu.grid, pixel_mm=options.pixel_mm, columns=options.columns).with_frame_of_reference(frame)
    scan = Scan(
        scan_orbit(hu.volume, grid, options), options.view_s, windows, options.columns,
        options.heads,
    )  # fmt: skip
    simulate = _analytic if options.method == "analytic" else _montecarlo
    shown = simulate(source, hu.volume, camera, chosen, scan, grid, options, tell)
    facts = _scan_facts(shown, camera, chosen, source, scan, options)
    facts["provenance"] = _provenance(image, hu, facts).as_dict()
    tell("writing")
    context = hu.context or DicomContext.invented(patient_id="SIMULATED", when=source.time)
    assert source.time is not None
    emission = Emission(
        nuclide=chosen.name, start=source.time, frame_duration_s=options.view_s, agent=f"{chosen.name} simulated"
    )
    with output_folder(out, force=force) as new:
        write_projections(new / "projections.dcm", shown.projections, context, emission, heads=options.heads)
        write_itk(_concentration(source, grid), new / "truth.nii.gz")
        for name, content in shown.files.items():
            (new / name).write_bytes(content)
        (new / "scan.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return facts


# ---------------------------------------------------------------------------------------------------------------------
def _activity_of(image: Image, chosen: Nuclide, options: ScanOptions) -> Volume:
    """Becquerels per voxel at the image's instant."""
    volume = image.volume
    volume.require_kind(Kind.ACTIVITY_CONCENTRATION, Kind.ACTIVITY)
    if volume.time is None:
        raise TimeError(f"{image.source.path}: refers to no instant; state it with --at")
    other = image.acquisition.nuclide
    if other not in (None, chosen.name) and options.total_bq is None:
        raise InputError(
            f"{image.source.path} shows {other}, the scan is to be of {chosen.name}: state the activity with --total; "
            "the image then gives the distribution"
        )
    scale = volume.grid.voxel_volume_ml if volume.kind is Kind.ACTIVITY_CONCENTRATION else 1.0
    # Noise of a PET dips below zero; nothing emits negative photons.
    becquerels = np.maximum(volume.values, 0) * np.float32(scale)
    total = float(becquerels.sum(dtype=np.float64))
    if not total > 0:
        raise InputError(f"{image.source.path}: holds no activity")
    if options.total_bq is not None:
        becquerels = becquerels * np.float32(options.total_bq / total)
    return volume.with_values(becquerels, Kind.ACTIVITY)


def _concentration(source: Volume, grid: Grid) -> Volume:
    on_grid = resample(source, grid, "total")
    return on_grid.with_values(on_grid.values / np.float32(grid.voxel_volume_ml), Kind.ACTIVITY_CONCENTRATION)


def _analytic(
    source: Volume,
    hu: Volume,
    camera: GammaCamera,
    chosen: Nuclide,
    scan: Scan,
    grid: Grid,
    options: ScanOptions,
    tell: Tell,
) -> _Shown:
    seed = options.seed if options.noise else None
    shown = simulate_spect(source, hu, camera=camera, nuclide=chosen, scan=scan, grid=grid, seed=seed, tell=tell)
    return _Shown(
        shown,
        _lines_seen(camera, chosen, scan),
        {"method": "analytic: primary photons, no scatter, no septal penetration"},
        {},
    )


def _montecarlo(
    source: Volume,
    hu: Volume,
    camera: GammaCamera,
    chosen: Nuclide,
    scan: Scan,
    grid: Grid,
    options: ScanOptions,
    tell: Tell,
) -> _Shown:
    from hepatica.imaging.spect.montecarlo.projector import SpectSetup
    from hepatica.imaging.spect.montecarlo.simulate import Acquisition, DeadTime, simulate_montecarlo
    from hepatica.imaging.spect.montecarlo.spectrum import HISTORIES

    chosen_options = options.montecarlo or MonteCarloOptions()
    require_in_field(source, resample(source, grid, "total"), scan.orbit)
    response = detector_response(camera) if chosen_options.response == "table" else geometric_response(camera)
    lost = chosen_options.dead_time_s
    acquisition = Acquisition(
        scan=scan,
        noise=options.noise,
        dead_time=DeadTime(lost, chosen_options.dead_time_model) if lost else None,
        spectrum_histories=HISTORIES if chosen_options.spectrum else 0,
    )
    found = simulate_montecarlo(
        source, hu, SpectSetup(camera, chosen, scan.orbit, scan.windows, grid, response), acquisition,
        chosen_options.settings(options.seed), progress=tell,
        voxel_mm=chosen_options.voxel_mm, device=chosen_options.device,
    )  # fmt: skip
    expected = found.expected
    facts = {
        "method": "Monte Carlo with forced detection: scatter, bremsstrahlung, "
        + ("septal penetration and collimator scatter" if chosen_options.response == "table" else "holes alone"),
        "response": chosen_options.response,
        "sensitivity_by_way_of_lead_cps_per_mbq": [1e6 * float(x) for x in found.sensitivity_cps_per_bq[:, 1]],
        "montecarlo": expected.provenance,
        "scattered_or_penetrating_share": [
            float(other.sum() / max(float(all_of.sum()), 1e-300))
            for other, all_of in zip(expected.other, expected.total, strict=True)
        ],
        "dead_time_s": lost,
        "dead_time_model": chosen_options.dead_time_model if lost else None,
        "live_fraction": [round(float(x), 6) for x in found.live_fraction],
    }
    files = {} if found.spectrum is None else _spectrum_files(found.spectrum, scan)
    if found.spectrum is not None:
        facts["pulses_per_s"] = [float(x) for x in found.spectrum.cps_per_view]
    return _Shown(found.projections, [1e6 * float(x) for x in found.sensitivity_cps_per_bq[:, 0]], facts, files)


def _lines_seen(camera: GammaCamera, chosen: Nuclide, scan: Scan) -> list[float | None]:
    found: list[float | None] = []
    for window in scan.windows:
        try:
            found.append(camera.sensitivity_cps_per_bq(chosen, window) * 1e6)
        except PhysicsError:
            found.append(None)
    return found


def _spectrum_files(spectrum: EnergySpectrum, scan: Scan) -> dict[str, bytes]:
    import io

    from hepatica.report.figures.spect import draw_energy_spectrum

    table = spectrum.table()
    rows = [{n: float(x) for n, x in zip(table.columns, row, strict=True)} for row in table.rows]  # type: ignore[arg-type]
    lines = [",".join(rows[0])] + [",".join(f"{value:.6g}" for value in row.values()) for row in rows]
    figure = draw_energy_spectrum(rows, [(w.low_kev, w.high_kev) for w in scan.windows])
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=160)
    return {"spectrum.csv": ("\n".join(lines) + "\n").encode(), "spectrum.png": picture.getvalue()}


def _scan_facts(
    shown: _Shown, camera: GammaCamera, chosen: Nuclide, source: Volume, scan: Scan, options: ScanOptions
) -> dict[str, Any]:
    counts = shown.projections.counts
    windows = []
    for number, window in enumerate(scan.windows):
        windows.append(
            {
                "low_kev": window.low_kev,
                "high_kev": window.high_kev,
                "counts": float(counts[number].sum(dtype=np.float64)),
                "sensitivity_cps_per_mbq": shown.sensitivity_cps_per_mbq[number],
            }
        )
    return {
        "nuclide": chosen.name,
        "activity_mbq": source.total / 1e6,
        "start": None if source.time is None else source.time.isoformat(),
        **shown.facts,
        "camera": camera.as_dict(),
        "views": options.views,
        "heads": options.heads,
        "time_per_view_s": options.view_s,
        "orbit": options.orbit,
        "radius_mm": options.radius_mm if options.orbit == "circular" else scan.orbit.radius_mm.round(2).tolist(),
        "pixel_mm": options.pixel_mm,
        "seed": options.seed,
        "noise": options.noise,
        "windows": windows,
    }


def _physics_tables(facts: dict[str, Any]) -> dict[str, str]:
    """Tables that a Monte Carlo rests on; none for the analytic method."""
    if "montecarlo" not in facts:
        return {}
    shipped = f"imaging/tables/detector_{facts['camera']['name']}.txt.gz, made by hepatica's own Monte Carlo"
    return {
        "detector response": shipped if facts["response"] == "table" else "holes by formula",
        "photons": "transport/tables/photon_elements.txt and form_factors.txt (EPDL97-based, see sources.toml)",
        "decay": "ENSDF",
    }


def _provenance(image: Image, hu: Image, facts: dict[str, Any]) -> Provenance:
    kept = ("nuclide", "activity_mbq", "method", "seed", "noise", "orbit", "pixel_mm", "views", "heads")
    return Provenance(
        inputs=(image.source, hu.source),
        parameters={name: facts[name] for name in kept},
        tables={"camera": facts["camera"]["source"]} | _physics_tables(facts),
        steps=("activity scaled and placed", f"projections: {facts['method']}"),
    )
