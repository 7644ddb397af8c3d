"""Reconstruction on files: the SPECT of a patient from projections and CT."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hepatica.case.spect_checkpoint import Checkpoint, run_key
from hepatica.core import Kind, Provenance, Volume
from hepatica.errors import GeometryError, InputError, PhysicsError, TimeError, UnknownNameError
from hepatica.imaging.attenuation import attenuation_map, uncovered_slices
from hepatica.imaging.cameras import GammaCamera, gamma_camera, nuclide_windows
from hepatica.imaging.dead_time import DeadTimeModel, live_fraction
from hepatica.imaging.projections import Projections
from hepatica.imaging.projector import SpectProjector
from hepatica.imaging.reconstruct import Reconstruction, Settings, Update, reconstruct
from hepatica.imaging.scatter import dual_window, triple_window
from hepatica.io.dicom.context import DicomContext
from hepatica.io.dicom.projections import ProjectionFile, read_projections
from hepatica.io.dicom.write_image import Emission, write_nm
from hepatica.io.files import output_folder
from hepatica.io.image import Image, other_nuclide
from hepatica.io.itk import write_itk
from hepatica.io.read import read_image
from hepatica.nuclides import Nuclide, nuclide

Tell = Callable[[str], None]
Scatter = Literal["none", "dew", "tew"]


def _silent(step: str) -> None:
    """No progress."""


@dataclass(frozen=True, slots=True)
class SpectOptions:
    """How to reconstruct projections.

    Attributes
    ----------
    camera : str
        Camera by name: its response is modelled.
    settings : Settings
        Method, iterations, subsets, prior.
    scatter : {"none", "dew", "tew"}
        Scatter from windows beside the main one.
    scatter_smooth_mm : float
        Smoothing of that estimate, FWHM.
    nuclide : str or None
        Where the file does not name it.
    window : int or None
        Number of the main window (from 1); by default the one around the nuclide's peak.
    energy_kev : float or None
        Photon energy of attenuation and response; by default that of the lines in the window.
    sensitivity_cps_per_mbq : float or None
        Of one head, measured; without it the image is in counts.
    radius_mm : float or None
        Where the file has no radius.
    axis_mm : tuple of float or None
        x and y of the axis and z of the lowest row in the CT's frame, where the file does not say.
    post_filter_mm : float
        Gaussian filter of the image, FWHM; 0 for none.
    registered : bool
        Projections and CT are registered although their frames of reference differ.
    dead_time_s, dead_time_model
        Dead time per count, measured against the counts of all windows of a head together, and its model.
    """

    camera: str
    settings: Settings = field(default_factory=Settings)
    scatter: Scatter = "none"
    scatter_smooth_mm: float = 20.0
    nuclide: str | None = None
    window: int | None = None
    energy_kev: float | None = None
    sensitivity_cps_per_mbq: float | None = None
    radius_mm: float | None = None
    axis_mm: tuple[float, float, float] | None = None
    post_filter_mm: float = 0.0
    registered: bool = False
    dead_time_s: float = 0.0
    dead_time_model: DeadTimeModel = "paralysable"

    def __post_init__(self) -> None:
        if self.scatter not in get_args(Scatter):
            raise UnknownNameError("scatter correction", self.scatter, get_args(Scatter))
        if self.sensitivity_cps_per_mbq is not None and not self.sensitivity_cps_per_mbq > 0:
            raise InputError("the sensitivity of a head must be positive")
        if min(self.post_filter_mm, self.scatter_smooth_mm) < 0:
            raise InputError("a filter cannot be narrower than 0 mm")


@dataclass(frozen=True, slots=True, eq=False)
class SpectResult:
    """A reconstructed SPECT.

    Attributes
    ----------
    volume : Volume
        Counts (as acquired, without attenuation), or Bq/mL at the start of the acquisition.
    reconstruction : Reconstruction
        How it went.
    facts : dict
        What ``result.json`` holds.
    warnings : tuple of str
        What the reader must know.
    """

    volume: Volume
    reconstruction: Reconstruction
    context: DicomContext
    emission: Emission
    facts: dict[str, Any]
    warnings: tuple[str, ...]

    def save(self, folder: Path | str, *, force: bool = False) -> None:
        """Write ``spect.dcm`` (NM RECON TOMO), ``spect.nii.gz`` and ``result.json``; OutputError if it cannot be."""
        with output_folder(folder, force=force) as new:
            write_nm(
                new / "spect.dcm", self.volume, self.context, self.emission,
                description="SPECT reconstruction", comment="Reconstructed by hepatica.",
            )  # fmt: skip
            write_itk(self.volume, new / "spect.nii.gz")
            (new / "result.json").write_text(json.dumps(self.facts, indent=1), encoding="utf-8")


def reconstruct_files(
    projections: Path | str,
    *,
    ct: Path | str,
    options: SpectOptions,
    checkpoint: Path | None = None,
    tell: Tell = _silent,
) -> SpectResult:
    """Reconstruct projections with attenuation from the CT, collimator response, and scatter from windows.

    Parameters
    ----------
    projections, ct : path
        NM TOMO file and CT of one patient.
    options : SpectOptions
        Camera, method and what the file does not say.
    checkpoint : path or None
        File that keeps the image after every pass; a run that was interrupted goes on from it. Removed at the end.
    tell : callable
        Told each step, and each update with the time left.

    Raises
    ------
    InputError
        If nuclide or windows do not fit, or the patients differ.
    GeometryError
        If the place of the axis is not known, or the frames of reference differ and are not stated to be registered.
    """
    camera = gamma_camera(options.camera)
    tell("reading")
    file = read_projections(projections, radius_mm=options.radius_mm)
    hu = read_image(ct, role="ct")
    _require_patient(file, hu)
    chosen = _nuclide_of(file, options)
    data = _placed(file.projections, hu, options)
    main = _main_window(data, chosen, options)
    energy = options.energy_kev or _energy(camera, chosen, data, main)
    grid = data.grid()
    tell(f"attenuation at {energy:.0f} keV")
    mu = attenuation_map(hu.volume, grid, energy)
    projector = SpectProjector(grid, data.orbit, columns=data.shape[1], response=camera.response(energy), mu_per_mm=mu)
    additive, used = _scatter(data, main, options)
    decay = data.mean_activity(chosen.half_life_s)
    known = options.sensitivity_cps_per_mbq
    live = _live(data, options)
    weights = live * (decay / decay.sum() if known is None else decay * data.view_s * known / 1e6)
    kept = Checkpoint.open(checkpoint, run_key(file.source, hu.source, options))
    found = reconstruct(
        data.window(main), projector, options.settings, weights=weights, additive=additive,
        initial=kept.image, passes_done=kept.passes, on_update=_progress(tell, options.settings, kept),
    )  # fmt: skip
    kept.done()
    values = _filtered(found.image, grid.spacing_mm, options.post_filter_mm)
    kind = Kind.COUNTS if known is None else Kind.ACTIVITY_CONCENTRATION
    start = data.start
    if start is None:
        raise TimeError(
            f"{file.source.path}: AcquisitionDate and AcquisitionTime are missing: the image has no instant"
        )
    if known is not None:
        values = values / np.float32(grid.voxel_volume_ml)
    volume = Volume(grid, values, kind, start, "SPECT")
    warnings = _warnings(file, hu, camera, energy, data, options)
    emission = Emission(
        nuclide=chosen.name, start=start, frame_duration_s=data.view_s, projections=data.orbit.views,
        energy_window_kev=(data.windows[main].low_kev, data.windows[main].high_kev),
        corrected=("DECY", "ATTN", "SCAT") if used else ("DECY", "ATTN"),
        agent=chosen.name,
    )  # fmt: skip
    provenance = _provenance(file, hu, camera, options, energy)
    facts = _result_facts(volume, found, data, main, used, energy, chosen) | {
        "warnings": list(warnings),
        "provenance": provenance.as_dict(),
    }
    return SpectResult(volume, found, file.context, emission, facts, warnings)


# ---------------------------------------------------------------------------------------------------------------------
def _require_patient(file: ProjectionFile, hu: Image) -> None:
    if hu.context is not None and file.context.patient_id != hu.context.patient_id:
        raise InputError(
            f"{file.source.path} is of patient {file.context.patient_id!r}, {hu.source.path} of "
            f"{hu.context.patient_id!r}; projections and CT must be of one patient"
        )


def _nuclide_of(file: ProjectionFile, options: SpectOptions) -> Nuclide:
    stated, found = options.nuclide, file.projections.nuclide
    if stated is None and found is None:
        raise InputError(f"{file.source.path}: names no nuclide; state it with --nuclide")
    if stated is not None and found not in (None, nuclide(stated).name):
        raise other_nuclide(found or "", nuclide(stated).name, file.source.path)
    return nuclide(stated or found or "")


def _placed(data: Projections, hu: Image, options: SpectOptions) -> Projections:
    if data.axis_mm is None or options.axis_mm is not None:
        if options.axis_mm is None:
            raise GeometryError(
                "the projections do not say where the axis of rotation lies in the patient (ImagePositionPatient of "
                "the detector); state it with --axis x,y,z in the CT's mm"
            )
        return data.placed(options.axis_mm, hu.grid.frame_of_reference)
    if options.registered:
        return replace(data, frame_of_reference=hu.grid.frame_of_reference)
    return data


def _main_window(data: Projections, chosen: Nuclide, options: SpectOptions) -> int:
    listed = ", ".join(f"{n}: {window}" for n, window in enumerate(data.windows, start=1))
    if options.window is not None:
        if not 1 <= options.window <= len(data.windows):
            raise InputError(f"there is no window {options.window}; windows are {listed}")
        return options.window - 1
    peak = nuclide_windows(chosen)[0][0]
    around = [n for n, w in enumerate(data.windows) if w.low_kev < peak.centre_kev < w.high_kev]
    if len(around) != 1:
        raise InputError(
            f"{len(around)} windows hold {peak.centre_kev:.0f} keV, the peak of {chosen.name}; windows are {listed}; "
            "name one with --window"
        )
    return around[0]


def _energy(camera: GammaCamera, chosen: Nuclide, data: Projections, main: int) -> float:
    try:
        return camera.mean_energy_kev(chosen, data.windows[main])
    except PhysicsError as error:
        raise PhysicsError(f"{error}; state an effective photon energy with --energy") from error


def _scatter(data: Projections, main: int, options: SpectOptions) -> tuple[NDArray[np.float32] | None, tuple[int, ...]]:
    """Additive term and the windows it was made of."""
    if options.scatter == "none":
        return None, ()
    window = data.windows[main]
    below = [n for n, w in enumerate(data.windows) if n != main and w.centre_kev <= window.low_kev]
    above = [n for n, w in enumerate(data.windows) if n != main and w.centre_kev >= window.high_kev]
    if not below or (options.scatter == "tew" and not above):
        needed = "windows on either side of" if options.scatter == "tew" else "a window below"
        raise InputError(
            f"scatter correction {options.scatter} needs {needed} {window}; the projections have "
            f"{', '.join(map(str, data.windows))}"
        )
    lower = max(below, key=lambda n: data.windows[n].high_kev)
    if options.scatter == "dew":
        return dual_window(data, main, lower=lower, smooth_fwhm_mm=options.scatter_smooth_mm), (lower,)
    upper = min(above, key=lambda n: data.windows[n].low_kev)
    estimate = triple_window(data, main, lower=lower, upper=upper, smooth_fwhm_mm=options.scatter_smooth_mm)
    return estimate, (lower, upper)


def _live(data: Projections, options: SpectOptions) -> NDArray[np.float64]:
    """Share of its counts that each view kept."""
    counts = data.counts.sum(axis=(0, 2, 3), dtype=np.float64)
    return live_fraction(counts, data.view_s, tau_s=options.dead_time_s, model=options.dead_time_model)


def _progress(tell: Tell, settings: Settings, kept: Checkpoint) -> Callable[[Update], None]:
    started = time.monotonic()

    def after(update: Update) -> None:
        done = (update.iteration - 1 - kept.passes) * update.subsets + update.subset
        ahead = (update.iterations - update.iteration) * update.subsets + update.subsets - update.subset
        left = (time.monotonic() - started) / done * ahead
        if update.subset == update.subsets:
            kept.keep(update.image, update.iteration)
        tell(
            f"{settings.method}: pass {update.iteration} of {update.iterations}, subset {update.subset} of "
            f"{update.subsets}, {left:.0f} s left"
        )

    return after


def _filtered(
    image: NDArray[np.float32], spacing_mm: tuple[float, float, float], fwhm_mm: float
) -> NDArray[np.float32]:
    if not fwhm_mm:
        return image
    from scipy import ndimage

    sd = fwhm_mm / np.sqrt(8 * np.log(2)) / np.asarray(spacing_mm)
    return np.asarray(ndimage.gaussian_filter(image, sd, mode="constant"), dtype=np.float32)


def _warnings(
    file: ProjectionFile, hu: Image, camera: GammaCamera, energy: float, data: Projections, options: SpectOptions
) -> tuple[str, ...]:
    notes = [*file.warnings, *hu.warnings, *camera.warnings(energy)]
    if missing := uncovered_slices(hu.volume, data.grid()):
        notes.append(f"the CT does not reach {missing} of {data.shape[2]} slices; nothing is attenuated there")
    if options.scatter == "none":
        notes.append("scatter was not corrected: activity is overestimated and cold regions fill up")
    return tuple(dict.fromkeys(notes))


def _provenance(
    file: ProjectionFile, hu: Image, camera: GammaCamera, options: SpectOptions, energy: float
) -> Provenance:
    s = options.settings
    return Provenance(
        inputs=(file.source, hu.source),
        parameters={
            "method": s.method,
            "iterations": s.iterations,
            "subsets": s.subsets,
            "prior_strength": s.prior_strength,
            "scatter": options.scatter,
            "scatter_smooth_mm": options.scatter_smooth_mm,
            "energy_kev": energy,
            "sensitivity_cps_per_mbq": options.sensitivity_cps_per_mbq,
            "post_filter_mm": options.post_filter_mm,
            "dead_time_s": options.dead_time_s,
            "dead_time_model": options.dead_time_model if options.dead_time_s else None,
            "camera": camera.as_dict(),
        },
        steps=("attenuation map from the CT", "iterative reconstruction with attenuation and collimator response"),
    )


def _result_facts(
    volume: Volume,
    found: Reconstruction,
    data: Projections,
    main: int,
    used: tuple[int, ...],
    energy: float,
    chosen: Nuclide,
) -> dict[str, Any]:
    total = volume.total
    quantity = {"total_counts": total} if volume.kind is Kind.COUNTS else {"total_activity_mbq": total / 1e6}
    return {
        "nuclide": chosen.name,
        "unit": volume.kind.unit,
        "time": None if volume.time is None else volume.time.isoformat(),
        **quantity,
        "window_kev": [data.windows[main].low_kev, data.windows[main].high_kev],
        "scatter_windows_kev": [[data.windows[n].low_kev, data.windows[n].high_kev] for n in used],
        "energy_kev": energy,
        "views": data.orbit.views,
        "head_time_s": data.orbit.views * data.view_s,
        "iterations_done": found.iterations,
        "stopped_by": found.stopped,
        "residual_over_noise": list(found.residual_ratio),
        "grid": volume.grid.as_dict(),
    }
