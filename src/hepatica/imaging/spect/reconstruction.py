"""The SPECT of projections: iterations with scatter, the image in its unit, and the uncertainty of every voxel."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate, InputFile, Kind, Provenance, Volume
from hepatica.core.certainty import ImageCertainty
from hepatica.core.constants import FWHM_PER_SD
from hepatica.core.context import DicomContext
from hepatica.core.document import document
from hepatica.core.image import Acquisition, Image
from hepatica.core.message import Message
from hepatica.core.progress import Progress, silent
from hepatica.imaging.reconstruct.algorithms import IterationOptions, Reconstruction, Start, Update, reconstruct
from hepatica.imaging.reconstruct.levels.lung import LungReading
from hepatica.imaging.reconstruct.levels.options import LEVELS_FOR
from hepatica.imaging.reconstruct.levels.update import Levels, LevelUpdate
from hepatica.imaging.reconstruct.noise_estimate import quick_sd
from hepatica.imaging.reconstruct.resampling import Ensemble, bootstrap
from hepatica.imaging.reconstruct.scatter_updates import ScatterUpdate
from hepatica.imaging.spect.attenuation import body_voxels
from hepatica.imaging.spect.lung_levels import level_update, lungs_on, reading_of, without_blur_in_lung
from hepatica.imaging.spect.montecarlo.projector import SpectSetup
from hepatica.imaging.spect.options import FROM_WINDOWS, OF_THE_IMAGE, NoiseOptions
from hepatica.imaging.spect.scan_model import ScanModel, SpectOptions, lead_relative_sd, scale_relative_sd
from hepatica.imaging.spect.scatter.effective_source import EsseOfWindows
from hepatica.imaging.spect.scatter.montecarlo import MonteCarloScatter
from hepatica.imaging.spect.windows import scatter_from_windows

Float32 = NDArray[np.float32]

SETTLED_UPDATES = 16
"""Updates of the image from which on residuals and activity beside the body say something."""
DOUBTFUL_RESIDUAL = 2.2
"""From here on it is said: a thorax whose lungs the CT shows as soft tissue leaves 2.5. Our choice."""
MAX_RESIDUAL = 3.0
"""Squared residuals over noise: 1.2 to 1.7 for 90Y with the right CT, 7 with one 12 cm beside its place. Our choice."""
SCATTER_SETTLED = 4
"""Iterations from which on scatter that is computed of the image (after iterations 1, 2, ...) follows what is there."""
MAX_OUTSIDE = 0.15
"""Share of the activity outside the body of the CT; scatter that was not corrected puts less there. Our choice."""


@dataclass(frozen=True, slots=True)
class VoxelUncertainty:
    """How the uncertainty of the voxels was found.

    Attributes
    ----------
    method : str
        Bootstrap or quick estimate.
    samples, seed : int or None
        Reconstructions of resampled counts, and their random numbers.
    relative_error_of_sd : float or None
        How well so many give a standard deviation.
    """

    method: str
    samples: int | None = None
    seed: int | None = None
    relative_error_of_sd: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ReconstructedScan:
    """A reconstructed image with its uncertainty.

    Attributes
    ----------
    volume : Volume
        Counts (as acquired, without attenuation), or Bq/mL at the start of the acquisition.
    reconstruction : Reconstruction
        How it went.
    scatter_windows : tuple of int
        Numbers of the windows from which scatter was estimated.
    scatter_update : ScatterUpdate or None
        Scatter computed of the image, where it was.
    samples : Ensemble or None
        Reconstructions of resampled counts, in the image's unit, where they were asked for.
    sd : ndarray or None
        Standard deviation of every voxel, from the samples or the quick estimate.
    lung : LungReading or None
        Mean of the lungs with its uncertainty, where they were found as levels.
    lung_in_view : bool
        Whether the CT shows a lung, where it was looked for; True too where nothing was.
    """

    volume: Volume
    reconstruction: Reconstruction
    scatter_windows: tuple[int, ...]
    scatter_update: ScatterUpdate | None
    samples: Ensemble | None
    sd: Float32 | None
    lung: LungReading | None = None
    lung_in_view: bool = True

    @property
    def total(self) -> Estimate:
        """Counts or becquerels in the image, with the uncertainty of the samples."""
        if self.samples is None:
            return Estimate(self.volume.total)
        mean, sd = self.samples.region(np.ones(self.volume.grid.shape))
        return Estimate(self.volume.total, self.volume.total * sd / mean)

    def messages(self, nuclide: str, options: SpectOptions) -> tuple[Message, ...]:
        """What a reader of the image must know of how its lungs were found."""
        if self.lung is not None:
            return (self.lung.message(nuclide), *self.lung.doubts())
        by_level = options.lung.as_levels(nuclide, options.scatter.scatter, options.iteration.method)
        if by_level and nuclide in LEVELS_FOR and not self.lung_in_view:
            text = (
                f"the CT shows no lungs, so that none in this {nuclide} SPECT were found as levels: if lungs are in "
                "the field it is not this patient's CT, not in HU, or beside its place, and a lung reads wrong"
            )
            return (Message("no-lungs-on-ct", text, "check the CT; a lung dose from this image is not supported"),)
        unasked = options.lung.lung_model != "levels" and not self.lung_in_view
        if unasked or not (by_level or nuclide in LEVELS_FOR):
            return ()
        if not by_level:
            return (_lung_by_voxels(nuclide),)
        text = (
            "no lung was found as levels (the CT shows none beyond liver and hot spots, or there were too few "
            "iterations): every voxel was found by the iterations, which read a faint lung too low"
        )
        return (Message("lung-by-voxel", text, severity="note"),)

    def doubts(self, model: ScanModel, options: SpectOptions) -> tuple[Message, ...]:
        """What speaks against CT, place or model: counts that the image does not explain, activity beside the body."""
        done, found = self.reconstruction, list(self._too_few_updates(options))
        settled = done.iterations * options.iteration.updates >= SETTLED_UPDATES
        remedy = "check that CT and projections are of one patient and lie on each other, the axis, and the camera"
        if settled and done.residual_ratio and done.residual_ratio[-1] > DOUBTFUL_RESIDUAL:
            text = (
                f"the squared residuals are {done.residual_ratio[-1]:.3g} times what noise makes of them: the image "
                "does not explain the counts, so that CT, place, scatter correction or camera are not as stated"
            )
            sure = done.residual_ratio[-1] > MAX_RESIDUAL
            found.append(Message("counts-not-explained", text, remedy, "critical" if sure else "warning"))
        if options.without_ct.stated:
            return tuple(found)
        body = body_voxels(model.hu, self.volume.grid)
        total = float(self.volume.values.sum(dtype=np.float64))
        outside = float(self.volume.values[~body].sum(dtype=np.float64)) / total if total else 0.0
        if not body.any():
            found.append(Message("no-body-on-ct", "the CT shows no body: nothing was attenuated", remedy, "critical"))
        elif settled and outside > MAX_OUTSIDE:
            text = f"{outside:.0%} of the activity lies outside the body that the CT shows: the CT is not where it was"
            found.append(Message("activity-beside-body", text, remedy, "critical"))
        return tuple(found)

    def _too_few_updates(self, options: SpectOptions) -> tuple[Message, ...]:
        """Whether the image, or the scatter that is computed of it, has not settled."""
        done, subsets = self.reconstruction.iterations, options.iteration.updates
        of_image = options.scatter.scatter in OF_THE_IMAGE
        if done * subsets >= SETTLED_UPDATES and not (of_image and done < SCATTER_SETTLED):
            return ()
        text = f"{done} iteration(s) of {subsets} subset(s), {done * subsets} updates of the image, are too few: "
        if not of_image:
            text += "activity is spread out and has not settled, small lesions read too low"
        elif done == 1:
            text += "scatter, computed after the first iteration, was never corrected for, and lies in the image"
        else:
            text += "scatter, computed of the image between them, has not settled, and the total is wrong with it"
        remedy = f"make at least {SCATTER_SETTLED} iterations and {SETTLED_UPDATES} updates, or leave `iterations` out"
        return (Message("too-few-updates", text, remedy, "critical" if of_image else "warning"),)

    def uncertainty(self, noise: NoiseOptions) -> VoxelUncertainty | None:
        """How the uncertainty of the voxels was found; None if it was not asked for."""
        if noise.quick_uncertainty:
            return VoxelUncertainty("quick estimate of voxels, noise of the counts alone, within a third")
        if self.samples is None:
            return None
        return VoxelUncertainty(
            "bootstrap of the projections: noise of the counts alone",
            self.samples.samples,
            self.samples.seed,
            self.samples.relative_error,
        )

    def image(self, model: ScanModel, options: SpectOptions, context: DicomContext | None) -> Image:
        """The volume with what other verbs must know of it."""
        measured = list(options.acquisition.measured_cps_per_mbq)
        facts = Acquisition(
            modality="NM",
            description="SPECT reconstruction",
            nuclide=model.nuclide.name,
            decay_correction="START",
            time_rule="start of the acquisition",
            start=model.start,
            frame_duration_s=model.data.view_s,
            projections=model.data.orbit.views,
            energy_windows_kev=model.window_limits_kev,
            head_time_s=model.head_time_s,
            camera=model.camera.name,
            reconstruction={
                **model.conditions(options).reconstruction,
                **({"sensitivity": "model"} if options.acquisition.by_model else {}),
                **({"sensitivity_cps_per_mbq": measured} if measured else {}),
            },
            lung=None if self.lung is None else self.lung.told,
            certainty=self.certainty(model, options),
        )
        sha256 = hashlib.sha256(self.volume.values.tobytes()).hexdigest()
        return Image(self.volume, context, facts, InputFile("activity", "reconstructed SPECT", sha256, files=0))

    def certainty(self, model: ScanModel, options: SpectOptions) -> ImageCertainty:
        """What is known of its becquerels: the factor that made them, and counting where there are samples."""
        factor = None if self.volume.kind is Kind.COUNTS else scale_relative_sd(model.models, options)
        lead = 0.0 if factor is None else lead_relative_sd(model.models, options)
        return ImageCertainty(factor, self.total.relative_sd, scan_relative_sd=lead)

    def provenance(self, sources: tuple[InputFile, ...], used: Mapping[str, Any]) -> Provenance:
        """Of the files and parameters of the run, and of the scatter that was computed on the way."""
        update = self.scatter_update
        runs: dict[str, Any] = {}
        if update is not None:
            runs["scatter_updated_after_iterations"] = list(update.iterations)
            if isinstance(update.estimate, MonteCarloScatter):
                estimate = update.estimate
                runs["scatter_monte_carlo"] = {"settings": estimate.provenance, "updates": document(estimate.updates)}
        if self.lung is not None:
            runs["lung_levels"] = document(self.lung)
        return Provenance(
            inputs=sources,
            parameters={**used, **runs},
            steps=("attenuation map from the CT", "iterative reconstruction with attenuation and collimator response"),
        )


def reconstruct_scan(
    model: ScanModel,
    options: SpectOptions,
    *,
    start: Start | None = None,
    on_update: Callable[[Update], None] | None = None,
    progress: Progress | None = None,
) -> ReconstructedScan:
    """Reconstruct with attenuation, collimator response and scatter correction.

    Parameters
    ----------
    model : ScanModel
        System, counts and weights.
    options : SpectOptions
        As the model was made with.
    start : Start, optional
        Where an earlier run stopped.
    on_update : callable, optional
        Called after every update of the image.
    progress : callable, optional
        Told each step.

    Raises
    ------
    InputError
        If a window that the scatter correction needs is missing, or as `reconstruct`.
    """
    report_progress = progress or silent
    additive, used = windows_scatter(model, options)
    update = scatter_update(model, options, report_progress)
    within = None if update is None else update.body
    by_level = (
        None if update is None else level_update(model, options, update, None if start is None else start.additive)
    )
    found = reconstruct(
        model.counts, model.projector, options.iteration, weights=model.weights,
        additive=by_level or update or additive, start=start, within=within, on_update=on_update,
    )  # fmt: skip
    levels = None if by_level is None else by_level.finished(found.image)
    lung = None
    if by_level is not None and levels is not None:
        report_progress("lung: without the blur left, and how well its mean is known")
        levels = without_blur_in_lung(model.exact, _as_done(options, found), by_level, levels)
        found = replace(found, image=levels.image, additive=levels.scattered.reshape(found.additive.shape))
        lung = reading_of(model, options, by_level, levels)
    samples = _samples(model, found, options, report_progress, _Again(within, by_level, levels))
    sd = _quick_sd(model, found, options, levels) if samples is None else samples.sd
    seen = lung is not None or _lung_in_view(model, options)
    return ReconstructedScan(finished(model, found.image, options), found, used, update, samples, sd, lung, seen)


def _lung_in_view(model: ScanModel, options: SpectOptions) -> bool:
    """Whether the CT shows a lung; True where there is no CT, or nothing would be said of a lung."""
    asked = options.lung.lung_model == "levels" or model.nuclide.name in LEVELS_FOR
    return options.without_ct.stated or not asked or bool(lungs_on(model.hu, model.projector.grid))


def _lung_by_voxels(nuclide: str) -> Message:
    text = (
        f"a lung in this {nuclide} SPECT was found voxel by voxel, which reads a faint one too low (of 90Y by 15 to 25 "
        "%): a lung dose from it is too low"
    )
    return Message("lung-by-voxel", text, "take `lung_model` levels, with `scatter` mc and `method` osem")


@dataclass(frozen=True, slots=True, eq=False)
class _Again:
    """What a reconstruction of other counts takes over: where activity can be, and the levels if there are any."""

    within: NDArray[np.bool_] | None
    by_level: LevelUpdate | None
    levels: Levels | None


def windows_scatter(model: ScanModel, options: SpectOptions) -> tuple[Float32 | None, tuple[int, ...]]:
    """Additive term from windows beside the main ones, and their numbers; None where scatter is not taken from them."""
    if options.scatter.scatter not in FROM_WINDOWS:
        return None, ()
    parts = [scatter_from_windows(model.data, n, model.main, model.nuclide, options.scatter) for n in model.main]
    used = tuple(dict.fromkeys(n for _, numbers in parts for n in numbers))
    return np.concatenate([estimate for estimate, _ in parts]), used


def scatter_update(model: ScanModel, options: SpectOptions, progress: Progress) -> ScatterUpdate | None:
    """Additive term of scatter that is computed of the image; None where there is none."""
    if options.scatter.scatter not in OF_THE_IMAGE:
        return None
    estimate: EsseOfWindows | MonteCarloScatter
    grid = model.projector.grid
    if options.scatter.scatter == "esse":
        estimate = EsseOfWindows(
            model.hu, grid, model.data.orbit, columns=model.data.shape[1], camera=model.camera, models=model.models,
            weights=model.weights, progress=progress,
        )  # fmt: skip
    else:
        setup = SpectSetup(model.camera, model.nuclide, model.data.orbit, model.windows, grid)
        estimate = MonteCarloScatter(
            model.hu, setup, projector=model.projector, weights=model.weights, options=options.scatter,
            progress=progress,
        )  # fmt: skip
    body = body_voxels(model.hu, grid)
    return ScatterUpdate(estimate, model.projector, model.counts, model.weights, body, len(model.windows))


def finished(model: ScanModel, image: Float32, options: SpectOptions) -> Volume:
    """Image after the filter, in counts or Bq/mL."""
    grid = model.projector.grid
    values = _filtered(image, grid.spacing_mm, options.noise.post_filter_mm)
    if not options.acquisition.in_activity:
        return Volume(grid, values, Kind.COUNTS, model.start, "SPECT")
    values = values / np.float32(grid.voxel_volume_ml)
    return Volume(grid, values, Kind.ACTIVITY_CONCENTRATION, model.start, "SPECT")


def _filtered(image: Float32, spacing_mm: tuple[float, float, float], fwhm_mm: float) -> Float32:
    if not fwhm_mm:
        return image
    from scipy import ndimage

    sd = fwhm_mm / FWHM_PER_SD / np.asarray(spacing_mm)
    return np.asarray(ndimage.gaussian_filter(image, sd, mode="constant"), dtype=np.float32)


def _as_done(options: SpectOptions, found: Reconstruction) -> IterationOptions:
    """Options of a reconstruction that makes as many iterations as were done."""
    return replace(options.iteration, iterations=found.iterations, until_noise=False)


def _quick_sd(model: ScanModel, found: Reconstruction, options: SpectOptions, levels: Levels | None) -> Float32 | None:
    """Quick estimate of every voxel's standard deviation, in the image's unit; None where it was not asked for.

    A voxel at a level has the standard deviation that counting leaves of the level.
    """
    if not options.noise.quick_uncertainty:
        return None
    sd = quick_sd(
        found.image, model.projector, _as_done(options, found),
        weights=model.weights, additive=found.additive, post_filter_mm=options.noise.post_filter_mm,
    )  # fmt: skip
    if levels is not None:
        spread = np.sqrt(np.diag(levels.fit.covariance)[2:]).astype(np.float32)
        parts = levels.regions.parts
        of_level = np.sum([one * part for one, part in zip(spread, parts, strict=True)], axis=0, dtype=np.float32)
        sd = np.where(levels.regions.hot, sd, of_level).astype(np.float32)
    return sd / np.float32(model.projector.grid.voxel_volume_ml) if options.acquisition.in_activity else sd


def _samples(
    model: ScanModel,
    found: Reconstruction,
    options: SpectOptions,
    progress: Progress,
    same: _Again,
) -> Ensemble | None:
    """Finished images of resampled counts; None where none were asked for.

    Scatter from windows is estimated of each sample's own windows; scatter computed of the image is kept as the
    reconstruction ended with it, so that its noise is not in the spread. Each sample makes as many iterations as the
    reconstruction did, holds activity where that one could, and has levels where that one has.
    """
    wanted = options.noise.samples
    if wanted is None:
        return None
    iteration = _as_done(options, found)

    def one(counts: Float32) -> Float32:
        again = model.with_counts(counts)
        of_windows, _ = windows_scatter(again, options)
        by_level = None
        if same.by_level is not None and same.levels is not None:
            by_level = same.by_level.again(again.counts, same.levels)
        made = reconstruct(
            again.counts, model.projector, iteration, weights=model.weights,
            additive=by_level or (found.additive if of_windows is None else of_windows), within=same.within,
        )  # fmt: skip
        levels = None if by_level is None else by_level.finished(made.image)
        if by_level is not None and levels is not None:
            levels = without_blur_in_lung(model.exact, iteration, by_level, levels)
        image = made.image if levels is None else levels.image
        return np.asarray(finished(model, image, options).values, dtype=np.float32)

    return bootstrap(
        model.data.counts, one, samples=wanted, seed=options.scatter.stopping.seed,
        progress=lambda number: progress(f"uncertainty: sample {number} of {wanted}"),
    )  # fmt: skip
