"""Reconstruction on files: the SPECT of a patient from projections and CT."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Provenance, Volume
from hepatica.core.constants import FWHM_PER_SD
from hepatica.core.context import DicomContext
from hepatica.errors import InputError
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.reconstruct.algorithms import Reconstruction, Settings, Update, reconstruct
from hepatica.imaging.reconstruct.resampling import Ensemble
from hepatica.imaging.reconstruct.scatter_updates import ScatterUpdate
from hepatica.imaging.spect.attenuation import uncovered_slices
from hepatica.imaging.spect.scatter.montecarlo import MonteCarloScatter
from hepatica.io.dicom.images.write import Emission, write_nm
from hepatica.io.files import output_folder
from hepatica.io.itk import write_itk
from hepatica.workflow.dose.replicates import FILE_NAME as REPLICATES
from hepatica.workflow.dose.replicates import save_replicates
from hepatica.workflow.spect.checkpoint import Checkpoint, run_key
from hepatica.workflow.spect.inputs import SpectCase, prepare_spect, primary_sensitivities
from hepatica.workflow.spect.options import FROM_WINDOWS, SpectOptions
from hepatica.workflow.spect.scatter import modelled_scatter, windows_scatter
from hepatica.workflow.spect.uncertainty import quick_voxel_sd, voxel_uncertainty

Tell = Callable[[str], None]


def _silent(step: str) -> None:
    """No progress."""


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
    provenance : Provenance
        How it came about.
    ensemble : Ensemble or None
        Replicates of the image, in its unit, where they were asked for.
    sd : ndarray or None
        Standard deviation of every voxel, from the replicates or the quick estimate.
    """

    volume: Volume
    reconstruction: Reconstruction
    context: DicomContext
    emission: Emission
    facts: dict[str, Any]
    warnings: tuple[str, ...]
    provenance: Provenance
    ensemble: Ensemble | None = None
    sd: NDArray[np.float32] | None = None

    def save(self, folder: Path | str, *, force: bool = False) -> None:
        """Write ``spect.dcm`` (NM RECON TOMO), ``spect.nii.gz`` and ``result.json``.

        With an uncertainty also ``spect_sd.nii.gz``, and with replicates ``spect_replicates.npz``.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        with output_folder(folder, force=force) as new:
            write_nm(
                new / "spect.dcm", self.volume, self.context, self.emission,
                description="SPECT reconstruction", comment="Reconstructed by hepatica.", provenance=self.provenance,
            )  # fmt: skip
            write_itk(self.volume, new / "spect.nii.gz")
            if self.sd is not None:
                write_itk(self.volume.with_values(self.sd, name="SPECT sd"), new / "spect_sd.nii.gz")
            if self.ensemble is not None:
                save_replicates(new / REPLICATES, self.ensemble, self.volume.grid)
            (new / "result.json").write_text(json.dumps(self.facts, indent=1), encoding="utf-8")


def reconstruct_files(
    projections: Path | str,
    *,
    ct: Path | str,
    options: SpectOptions,
    checkpoint: Path | None = None,
    tell: Tell = _silent,
) -> SpectResult:
    """Reconstruct projections with attenuation from the CT, collimator response, and scatter correction.

    Parameters
    ----------
    projections, ct : path
        NM TOMO file and CT of one patient.
    options : SpectOptions
        Camera, method and what the file does not say.
    checkpoint : path or None
        File that keeps image and scatter after every pass; a run that was interrupted goes on from it (replicates for
        the uncertainty start anew). Removed at the end.
    tell : callable
        Told each step, and each update with the time left.

    Raises
    ------
    InputError
        If nuclide or windows do not fit, or the patients differ.
    PhysicsError
        If the windows see nothing of the nuclide.
    GeometryError
        If the place of the axis is not known, or the frames of reference differ and are not stated to be registered.
    TimeError
        If the file has no time of acquisition.
    """
    case = prepare_spect(projections, ct=ct, options=options, tell=tell)
    unchecked = _calibrated(case, options)
    additive, used = windows_scatter(case, options)
    update = modelled_scatter(case, options, tell)
    within = None if update is None else update.body
    kept = Checkpoint.open(checkpoint, run_key(case.file.source, case.hu.source, options))
    found = reconstruct(
        case.counts, case.projector, options.settings, weights=case.weights,
        additive=additive if update is None else update, start=kept.start, within=within,
        on_update=_progress(tell, options.settings, kept),
    )  # fmt: skip
    volume = _volume(case, found.image, options)

    def finished(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return _volume(case, image, options).values

    ensemble = voxel_uncertainty(case, found, options, finished, tell, within=within)
    sd = quick_voxel_sd(case, found, options) if ensemble is None else ensemble.sd
    kept.done()
    warnings, provenance = (*_warnings(case, options), *unchecked), _provenance(case, options, update)
    facts = _result_facts(volume, found, case, used) | _uncertainty_facts(volume, ensemble, options)
    calibration = None if options.calibration is None else options.calibration.as_dict()
    facts |= {"calibration": calibration, "warnings": list(warnings), "provenance": provenance.as_dict()}
    emission = _emission(case, options)
    return SpectResult(volume, found, case.file.context, emission, facts, warnings, provenance, ensemble, sd)


# ---------------------------------------------------------------------------------------------------------------------
def _calibrated(case: SpectCase, options: SpectOptions) -> tuple[str, ...]:
    """What of a calibration's conditions could not be compared with the projections; InputError if they differ."""
    if options.calibration is None:
        return ()
    if len(case.windows) > 1:
        raise InputError("a calibration file holds for one main window; state several sensitivities instead")
    window, settings = case.windows[0], options.settings
    made = Conditions(
        case.nuclide.name,
        options.camera,
        (window.low_kev, window.high_kev),
        case.data.grid().spacing_mm,
        {
            "method": settings.method,
            "iterations": settings.iterations,
            "subsets": settings.subsets,
            "prior_strength": settings.prior_strength,
            "scatter": options.scatter,
            "post_filter_mm": options.post_filter_mm,
            "detector": list(dict.fromkeys(model.detector for model in case.models)),
        },
    )
    return options.calibration.conditions.require_fit(made, "the calibration")


def _progress(tell: Tell, settings: Settings, kept: Checkpoint) -> Callable[[Update], None]:
    started = time.monotonic()
    before = kept.passes

    def after(update: Update) -> None:
        done = (update.iteration - 1 - before) * update.subsets + update.subset
        ahead = (update.iterations - update.iteration) * update.subsets + update.subsets - update.subset
        left = (time.monotonic() - started) / done * ahead
        if update.subset == update.subsets:
            kept.keep(update.image, update.iteration, update.additive)
        tell(
            f"{settings.method}: pass {update.iteration} of {update.iterations}, subset {update.subset} of "
            f"{update.subsets}, {left:.0f} s left"
        )

    return after


def _volume(case: SpectCase, image: NDArray[np.float32], options: SpectOptions) -> Volume:
    grid = case.projector.grid
    values = _filtered(image, grid.spacing_mm, options.post_filter_mm)
    if not options.in_activity:
        return Volume(grid, values, Kind.COUNTS, case.start, "SPECT")
    values = values / np.float32(grid.voxel_volume_ml)
    return Volume(grid, values, Kind.ACTIVITY_CONCENTRATION, case.start, "SPECT")


def _filtered(
    image: NDArray[np.float32], spacing_mm: tuple[float, float, float], fwhm_mm: float
) -> NDArray[np.float32]:
    if not fwhm_mm:
        return image
    from scipy import ndimage

    sd = fwhm_mm / FWHM_PER_SD / np.asarray(spacing_mm)
    return np.asarray(ndimage.gaussian_filter(image, sd, mode="constant"), dtype=np.float32)


def _emission(case: SpectCase, options: SpectOptions) -> Emission:
    corrected = ["DECY", "ATTN"]
    if options.scatter != "none":
        corrected.append("SCAT")
    if options.dead_time_s:
        corrected.append("DTIM")
    return Emission(
        nuclide=case.nuclide.name, start=case.start, frame_duration_s=case.data.view_s,
        projections=case.data.orbit.views,
        energy_window_kev=(case.windows[0].low_kev, case.windows[0].high_kev),
        more_windows_kev=tuple((window.low_kev, window.high_kev) for window in case.windows[1:]),
        corrected=tuple(corrected),
        agent=case.nuclide.name,
    )  # fmt: skip


def _warnings(case: SpectCase, options: SpectOptions) -> tuple[str, ...]:
    notes = [str(m) for m in (*case.file.messages, *case.hu.messages)]
    for model in case.models:
        notes.extend(case.camera.warnings(model.mean_energy_kev))
    if missing := uncovered_slices(case.hu.volume, case.data.grid()):
        notes.append(f"the CT does not reach {missing} of {case.data.shape[2]} slices; nothing is attenuated there")
    if options.scatter == "none":
        notes.append("scatter was not corrected: activity is overestimated and cold regions fill up")
    if options.sensitivity_by_model:
        notes.append("the sensitivity is that of the camera's model, not measured on the camera")
    return tuple(dict.fromkeys(notes))


def _provenance(case: SpectCase, options: SpectOptions, update: ScatterUpdate | None) -> Provenance:
    s = options.settings
    estimate = None if update is None else update.estimate
    runs = None
    if isinstance(estimate, MonteCarloScatter):
        runs = asdict(options.montecarlo) | {"settings": estimate.provenance, "updates": estimate.updates}
    return Provenance(
        inputs=(case.file.source, case.hu.source),
        parameters={
            "method": s.method,
            "iterations": s.iterations,
            "subsets": s.subsets,
            "prior_strength": s.prior_strength,
            "scatter": options.scatter,
            "scatter_smooth_mm": options.scatter_smooth_mm if options.scatter in FROM_WINDOWS else None,
            "scatter_monte_carlo": runs,
            "scatter_updated_after_passes": None if update is None else list(update.passes),
            "energy_kev": [list(model.energy_kev) for model in case.models],
            "energy_weights": [list(model.weights) for model in case.models],
            "detector": list(dict.fromkeys(model.detector for model in case.models)),
            "sensitivity_cps_per_mbq": options.sensitivity_cps_per_mbq,
            "primary_sensitivity_cps_per_mbq": _sensitivities(case, options),
            "share_through_holes_in_air": [model.holes_share for model in case.models],
            "sensitivity": "model" if options.sensitivity_by_model else "stated" if options.in_activity else None,
            "post_filter_mm": options.post_filter_mm,
            "dead_time_s": options.dead_time_s,
            "dead_time_model": options.dead_time_model if options.dead_time_s else None,
            "sum_gates": options.sum_gates,
            "uncertainty_runs": options.uncertainty_runs,
            "quick_uncertainty": options.quick_uncertainty,
            "camera": case.camera.as_dict(),
        },
        steps=("attenuation map from the CT", "iterative reconstruction with attenuation and collimator response"),
    )


def _sensitivities(case: SpectCase, options: SpectOptions) -> list[float] | None:
    if not options.in_activity:
        return None
    return [1e6 * value for value in primary_sensitivities(case.models, options)]


def _uncertainty_facts(volume: Volume, ensemble: Ensemble | None, options: SpectOptions) -> dict[str, Any]:
    if options.quick_uncertainty:
        return {"uncertainty": {"method": "quick estimate of voxels, noise of the counts alone, within a third"}}
    if ensemble is None:
        return {}
    mean, sd = ensemble.region(np.ones(volume.grid.shape))
    quantity = "total_counts_sd" if volume.kind is Kind.COUNTS else "total_activity_sd_mbq"
    total = volume.total if volume.kind is Kind.COUNTS else volume.total / 1e6
    return {
        "uncertainty": {
            "method": "bootstrap of the projections: noise of the counts alone",
            "runs": ensemble.runs,
            "seed": ensemble.seed,
            quantity: total * sd / mean,
            "relative_error_of_sd": ensemble.relative_error,
        }
    }


def _result_facts(volume: Volume, found: Reconstruction, case: SpectCase, used: tuple[int, ...]) -> dict[str, Any]:
    total, data = volume.total, case.data
    quantity = {"total_counts": total} if volume.kind is Kind.COUNTS else {"total_activity_mbq": total / 1e6}
    return {
        "nuclide": case.nuclide.name,
        "unit": volume.kind.unit,
        "time": case.start.isoformat(),
        **quantity,
        "windows_kev": [[window.low_kev, window.high_kev] for window in case.windows],
        "scatter_windows_kev": [[data.windows[n].low_kev, data.windows[n].high_kev] for n in used],
        "energies_kev": [list(model.energy_kev) for model in case.models],
        "energy_weights": [list(model.weights) for model in case.models],
        "views": data.orbit.views,
        "head_time_s": data.orbit.views * data.view_s,
        "additive_counts": float(found.additive.sum(dtype=np.float64)),
        "iterations_done": found.iterations,
        "stopped_by": found.stopped,
        "residual_over_noise": list(found.residual_ratio),
        "grid": volume.grid.as_dict(),
    }
