"""A simulated scan on files: the projections that a gamma camera would count of a known activity."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.core import Kind, Volume
from hepatica.errors import InputError, PhysicsError, TimeError
from hepatica.imaging.cameras import GammaCamera, gamma_camera, nuclide_windows
from hepatica.imaging.projections import Orbit, Projections
from hepatica.imaging.simulate import Scan, camera_grid, simulate_spect
from hepatica.io.dicom.context import DicomContext
from hepatica.io.dicom.projections import write_projections
from hepatica.io.dicom.write_image import Emission
from hepatica.io.files import output_folder
from hepatica.io.image import Image, Stated
from hepatica.io.itk import write_itk
from hepatica.io.read import read_image
from hepatica.nuclides import Nuclide, nuclide

Tell = Callable[[str], None]


def _silent(step: str) -> None:
    """No progress."""


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What a simulated scan is like.

    Attributes
    ----------
    camera : str
        Camera by name.
    views, heads : int
        Views over 360 degrees, shared by the heads.
    view_s, radius_mm, pixel_mm : float
        Time per view, radius of the circular orbit, size of pixels and slices.
    columns : int
        Pixels across.
    total_bq : float or None
        Scale the image to this activity at the start; needed where the image is of another nuclide.
    seed : int or None
        Of the Poisson noise; None for expected counts.
    """

    camera: str = "siemens-lehr"
    views: int = 120
    heads: int = 2
    view_s: float = 20.0
    radius_mm: float = 250.0
    pixel_mm: float = 4.8
    columns: int = 128
    total_bq: float | None = None
    seed: int | None = 1


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
        New folder: ``projections.dcm`` (NM TOMO), ``truth.nii.gz`` (Bq/mL on the camera's grid), ``scan.json``.
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
    tell("reading")
    image, hu = read_image(activity, role="activity", stated=stated or Stated()), read_image(ct, role="ct")
    source = _activity_of(image, chosen, options)
    peaks, beside = nuclide_windows(chosen)
    turned = Orbit.circular(options.views, radius_mm=options.radius_mm)
    scan = Scan(turned, options.view_s, (*peaks, *beside), options.columns, options.heads)
    frame = hu.grid.frame_of_reference or image.grid.frame_of_reference
    grid = camera_grid(hu.grid, pixel_mm=options.pixel_mm, columns=options.columns).with_frame_of_reference(frame)
    shown = simulate_spect(
        source, hu.volume, camera=camera, nuclide=chosen, scan=scan, grid=grid, seed=options.seed, tell=tell
    )
    facts = _scan_facts(shown, camera, chosen, source, options)
    tell("writing")
    context = hu.context or DicomContext.invented(patient_id="SIMULATED", when=source.time)
    assert source.time is not None
    emission = Emission(
        nuclide=chosen.name, start=source.time, frame_duration_s=options.view_s, agent=f"{chosen.name} simulated"
    )
    with output_folder(out, force=force) as new:
        write_projections(new / "projections.dcm", shown, context, emission, heads=options.heads)
        write_itk(_concentration(source, grid), new / "truth.nii.gz")
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


def _concentration(source: Volume, grid: Any) -> Volume:
    from hepatica.core.resample import resample

    on_grid = resample(source, grid, "total")
    return on_grid.with_values(on_grid.values / np.float32(grid.voxel_volume_ml), Kind.ACTIVITY_CONCENTRATION)


def _scan_facts(
    shown: Projections, camera: GammaCamera, chosen: Nuclide, source: Volume, options: ScanOptions
) -> dict[str, Any]:
    windows = []
    for number, window in enumerate(shown.windows):
        try:
            sensitivity: float | None = camera.sensitivity_cps_per_bq(chosen, window) * 1e6
        except PhysicsError:
            sensitivity = None
        windows.append(
            {
                "low_kev": window.low_kev,
                "high_kev": window.high_kev,
                "counts": float(shown.counts[number].sum(dtype=np.float64)),
                "sensitivity_cps_per_mbq": sensitivity,
            }
        )
    return {
        "nuclide": chosen.name,
        "activity_mbq": source.total / 1e6,
        "start": None if source.time is None else source.time.isoformat(),
        "method": "analytic: primary photons, no scatter, no septal penetration",
        "camera": camera.as_dict(),
        "views": options.views,
        "heads": options.heads,
        "time_per_view_s": options.view_s,
        "radius_mm": options.radius_mm,
        "pixel_mm": options.pixel_mm,
        "seed": options.seed,
        "windows": windows,
    }
