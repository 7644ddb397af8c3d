"""The SPECT of a patient from projections and CT."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import field, replace
from datetime import datetime
from pathlib import Path

from hepatica.core import Estimate, Grid, InputFile, Kind, Volume
from hepatica.core.certainty import ImageCertainty
from hepatica.core.context import DicomContext
from hepatica.core.document import HIDDEN, reported
from hepatica.core.image import Image
from hepatica.core.message import unique
from hepatica.core.numbers.wording import three
from hepatica.core.options import verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.imaging.quantify.acquisition_conditions import BLUR_LEFT, Conditions
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.reconstruct.algorithms import Update
from hepatica.imaging.reconstruct.levels.lung import LungReading
from hepatica.imaging.spect.camera.cameras import GammaCamera, gamma_camera
from hepatica.imaging.spect.reconstruction import ReconstructedScan, VoxelUncertainty, reconstruct_scan
from hepatica.imaging.spect.scan_model import (
    SpectOptions,
    overruled,
    require_calibrated,
    run_parameters,
    scale_relative_sd,
    scan_model,
)
from hepatica.imaging.spect.without_ct import patient_without_ct, placed_without_ct, require_known_patient
from hepatica.io.calibration_files import load_calibration
from hepatica.io.checkpoint import Checkpoint, run_key
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource
from hepatica.workflow.spect.doubts import carried_doubts
from hepatica.workflow.spect.reading import ProjectionSource, read_spect


@result
class SpectResult(Result):
    """A reconstructed SPECT.

    Attributes
    ----------
    image : Image
        Counts (as acquired, without attenuation), or Bq/mL at the start of the acquisition: what other verbs take.
    scan : ReconstructedScan
        Image with samples and standard deviations, and how the iterations went.
    conditions : Conditions
        Under which it was made, for camera factors and recovery curves.
    total_counts, total_activity_mbq : Estimate or None
        In the image, whichever it holds; its uncertainty is of the calibration and, with samples, of the counts.
    head_time_s : float
        Time of all views of all heads added up.
    residual_over_noise : tuple of float
        Squared residuals over expected counts of each iteration: 1 where the fit is as good as noise lets it be.
    lung : LungReading or None
        Mean of the lungs with its uncertainty, where they were found as levels.
    """

    verb = "reconstruct_spect"

    image: Image = field(metadata=HIDDEN)
    scan: ReconstructedScan = field(metadata=HIDDEN)
    conditions: Conditions = field(metadata=HIDDEN)
    corrected: tuple[str, ...] = field(metadata=HIDDEN)
    nuclide: str
    unit: str
    time: datetime
    total_counts: Estimate | None
    total_activity_mbq: Estimate | None
    energy_windows_kev: tuple[tuple[float, float], ...]
    scatter_windows_kev: tuple[tuple[float, float], ...]
    energies_kev: tuple[tuple[float, ...], ...]
    energy_weights: tuple[tuple[float, ...], ...]
    views: int
    head_time_s: float
    additive_counts: float
    iterations_done: int
    stopped_by: str
    residual_over_noise: tuple[float, ...]
    grid: Grid
    uncertainty: VoxelUncertainty | None
    calibration: CameraCalibration | None
    lung: LungReading | None

    @property
    def volume(self) -> Volume:
        """Voxels of the image."""
        return self.image.volume

    @property
    @reported
    def image_certainty(self) -> ImageCertainty:
        """What is known of its becquerels, which goes with the image into a dose."""
        return self.image.acquisition.certainty

    def title(self) -> str:
        """Nuclide and what the image holds."""
        return f"SPECT of {self.nuclide} in {self.unit} at {self.time.isoformat(sep=' ')}"

    def table(self) -> Table:
        """What the image holds and how it was reached."""
        rows: list[tuple[str, str | float | int | Estimate | None]] = [("nuclide", self.nuclide)]
        for (low, high), energies in zip(self.energy_windows_kev, self.energies_kev, strict=True):
            seen = ", ".join(f"{energy:.0f}" for energy in energies)
            rows.append(("window", f"{low:g}-{high:g} keV, attenuation at {seen} keV"))
        if self.total_activity_mbq is not None:
            rows.append(("activity in the image, MBq", self.total_activity_mbq))
        if self.total_counts is not None:
            rows.append(("counts in the image", self.total_counts))
        left_mm = self.conditions.reconstruction.get(BLUR_LEFT)
        if isinstance(left_mm, int | float):
            rows.append(("blur left in the image, mm FWHM", float(left_mm)))
        rows += [("iterations", self.iterations_done), ("stopped by", self.stopped_by)]
        if self.residual_over_noise:
            rows.append(("residual over noise", self.residual_over_noise[-1]))
        if self.lung is not None:
            unit = self.unit if self.unit != "counts" else "counts per voxel"
            low, high = self.lung.interval_95
            rows.append((f"mean of the lungs, {unit}", self.lung.mean.value))
            rows.append(("true mean of the lungs, 95 %, without the calibration", f"{three(low)} to {three(high)}"))
            rows.append(("lungs over the image, %", 100 * self.lung.share_of_image))
        return Table.of(("what", "value"), rows, "SPECT", "spect")

    def write(self, folder: Path) -> None:
        """Write ``spect.dcm`` (NM RECON TOMO) and ``spect.nii.gz``.

        With an uncertainty also ``spect_sd.nii.gz``, and with samples ``spect_replicates.npz``.
        """
        from hepatica.io.dicom.images.write import Emission, write_nm
        from hepatica.io.dicom.private import RECONSTRUCTED
        from hepatica.io.itk import write_itk
        from hepatica.io.replicates import FILE_NAME, save_replicates

        facts = self.image.acquisition
        first, *more = self.energy_windows_kev
        emission = Emission(
            nuclide=self.nuclide, start=self.time, frame_duration_s=facts.frame_duration_s or 0.0,
            projections=self.views, energy_window_kev=first, more_windows_kev=tuple(more), corrected=self.corrected,
            agent=self.nuclide, lung=facts.lung, certainty=facts.certainty, said=carried_doubts(self.messages),
        )  # fmt: skip
        context = self.image.context or DicomContext.of_volume(self.volume, "RECONSTRUCTED")
        write_nm(
            folder / "spect.dcm", self.volume, context, emission,
            description="SPECT reconstruction", comment=RECONSTRUCTED, provenance=self.provenance,
        )  # fmt: skip
        write_itk(self.volume, folder / "spect.nii.gz")
        if self.scan.sd is not None:
            write_itk(self.volume.with_values(self.scan.sd, name="SPECT sd"), folder / "spect_sd.nii.gz")
        if self.scan.samples is not None:
            save_replicates(folder / FILE_NAME, self.scan.samples, self.grid)


@verb
def reconstruct_spect(
    projections: ProjectionSource,
    *,
    ct: ImageSource | None = None,
    camera: str | GammaCamera,
    options: SpectOptions = SpectOptions(),
    progress: Progress | None = None,
) -> SpectResult:
    """A SPECT from the projections of a gamma camera.

    Parameters
    ----------
    projections : Path or Projections
        Projections (NM TOMO): file or folder.
    ct : Path, Image or None
        CT of the same patient, for attenuation. Without it a uniform density or attenuation and an outline
        are to be stated.
    camera : str or GammaCamera
        Camera by name: siemens-lehr, ge-megp, ...
    options : SpectOptions
        Acquisition, iterations, scatter and noise.
    progress : callable, optional
        Told each step, and each update with the time left.

    Returns
    -------
    SpectResult
        ``image`` goes into other verbs; ``save`` writes DICOM and NIfTI.

    Raises
    ------
    InputError
        If nuclide or windows do not fit, the patients differ, or the calibration is of other conditions.
    PhysicsError
        If the windows see nothing of the nuclide.
    GeometryError
        If the place of the axis is not known, or the frames of reference differ and are not stated to be registered.
    TimeError
        If the projections have no time of acquisition.

    Examples
    --------
    >>> from hepatica.imaging.spect.projections import Orbit, Projections, Window
    >>> orbit, windows = Orbit.circular(16, radius_mm=200), (Window(126.5, 154.6),)
    >>> known = {"axis_mm": (0.0, 0.0, -50.0), "start": datetime(2026, 3, 2, 10), "nuclide": "Tc-99m"}
    >>> counted = Projections([[[[100.0] * 6] * 12] * 16], orbit, windows, (20.0, 20.0), 30.0, **known)
    >>> ct = Image.from_array([[[0.0] * 6] * 12] * 12, unit="HU", grid=counted.grid())
    >>> spect = reconstruct_spect(counted, ct=ct, camera="siemens-lehr")
    >>> spect.image.unit, spect.iterations_done
    ('counts', 10)
    """
    report_progress = progress or silent
    head = gamma_camera(camera)
    acquisition = options.acquisition
    of_camera: tuple[InputFile, ...] = ()
    if isinstance(acquisition.calibration, str | Path):
        of_camera = (InputFile.of("calibration", Path(acquisition.calibration)),)
        acquisition = acquisition.with_calibration(load_calibration(acquisition.calibration))
        options = replace(options, acquisition=acquisition)
    if options.calibration is not None and options.calibration.penetration is not None:
        head = replace(head, penetration=options.calibration.penetration.value)
    require_known_patient(ct is not None, options.without_ct)
    report_progress("reading")
    given = read_spect(projections, ct, acquisition, options.inputs)
    options = options.for_nuclide(given.nuclide)
    data, hu = given.projections, given.hu
    notes = given.messages
    if hu is None:
        data = placed_without_ct(data)
        hu = patient_without_ct(data, head, given.nuclide, options, report_progress)
        notes = unique(notes, hu.messages)
    model = scan_model(data, hu.volume, head, given.nuclide, options, report_progress)
    unchecked = require_calibrated(model, options)
    used = run_parameters(model, options)
    kept = Checkpoint.open(options.iteration.checkpoint, run_key(given.sources, used))
    found = reconstruct_scan(
        model, options, start=kept.start, on_update=_after_update(report_progress, options, kept),
        progress=report_progress,
    )  # fmt: skip
    kept.done()
    data, total, done = model.data, found.total, found.reconstruction
    in_counts = found.volume.kind is Kind.COUNTS
    said = unique(
        notes, overruled(given.projections, head, acquisition), model.messages(options), unchecked,
        found.messages(model.nuclide.name, options), found.doubts(model, options),
    )  # fmt: skip
    return SpectResult(
        image=found.image(model, options, given.context).with_messages(*carried_doubts(said)),
        scan=found,
        conditions=model.conditions(options),
        corrected=options.corrected,
        nuclide=model.nuclide.name,
        unit=found.volume.kind.unit,
        time=model.start,
        total_counts=total if in_counts else None,
        total_activity_mbq=None if in_counts else _calibrated(total / 1e6, scale_relative_sd(model.models, options)),
        energy_windows_kev=model.window_limits_kev,
        scatter_windows_kev=tuple((data.windows[n].low_kev, data.windows[n].high_kev) for n in found.scatter_windows),
        energies_kev=tuple(one.energy_kev for one in model.models),
        energy_weights=tuple(one.weights for one in model.models),
        views=data.orbit.views,
        head_time_s=model.head_time_s,
        additive_counts=float(done.additive.sum(dtype="float64")),
        iterations_done=done.iterations,
        stopped_by=done.stopped,
        residual_over_noise=done.residual_ratio,
        grid=found.volume.grid,
        uncertainty=found.uncertainty(options.noise),
        calibration=options.calibration,
        lung=found.lung,
        messages=said,
        provenance=found.provenance((*given.sources, *of_camera), used),
    )


def _calibrated(total: Estimate, relative: float | None) -> Estimate:
    """A total with the uncertainty of the calibration that made it, where one is known."""
    return (
        total if relative is None else Estimate(total.value, total.value * math.hypot(relative, total.relative_sd or 0))
    )


def _after_update(progress: Progress, options: SpectOptions, kept: Checkpoint) -> Callable[[Update], None]:
    """Keeps the state after whole iterations and tells how long it will take."""
    started = time.monotonic()
    before, method = kept.iterations, options.iteration.method

    def after(update: Update) -> None:
        done = (update.iteration - 1 - before) * update.subsets + update.subset
        ahead = (update.iterations - update.iteration) * update.subsets + update.subsets - update.subset
        left = (time.monotonic() - started) / done * ahead
        if update.subset == update.subsets:
            kept.keep(update.image, update.iteration, update.additive)
        progress(
            f"{method}: iteration {update.iteration} of {update.iterations}, subset {update.subset} of "
            f"{update.subsets}, {left:.0f} s left"
        )

    return after
