"""Everything that a reconstruction on files starts from: projections, CT, windows, system model and weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Volume
from hepatica.core.image import Image, other_nuclide
from hepatica.errors import GeometryError, InputError, TimeError
from hepatica.imaging.quantify.dead_time import live_fraction
from hepatica.imaging.reconstruct.multiple_windows import JointProjector
from hepatica.imaging.spect.attenuation import attenuation_map
from hepatica.imaging.spect.camera.cameras import GammaCamera, gamma_camera
from hepatica.imaging.spect.projections import Projections, Window
from hepatica.imaging.spect.projector import SpectProjector, SystemModel
from hepatica.imaging.spect.system import WindowModel, window_model
from hepatica.io.dicom.images.projections import ProjectionFile, read_projections
from hepatica.io.read import read_image
from hepatica.nuclides import Nuclide, nuclide
from hepatica.workflow.spect.options import SpectOptions
from hepatica.workflow.spect.windows import main_windows

Tell = Callable[[str], None]

IN_AIR = ("planar", "point")
"""Sources of calibrations that are measured in air, without a reconstruction."""


@dataclass(frozen=True, slots=True, eq=False)
class SpectCase:
    """Everything a reconstruction starts from.

    Attributes
    ----------
    file, hu : ProjectionFile, Image
        As read.
    camera, nuclide : GammaCamera, Nuclide
        What saw what.
    data : Projections
        In the CT's frame.
    main : tuple of int
        Numbers of the windows that are reconstructed.
    models : tuple of WindowModel
        What each of them sees.
    projector : SystemModel
        Of all of them.
    counts : ndarray, shape (windows * views, u, v)
        Theirs.
    weights : ndarray, shape (windows * views,)
        Counts per unit of the image.
    start : datetime
        Of the acquisition.
    """

    file: ProjectionFile
    hu: Image
    camera: GammaCamera
    nuclide: Nuclide
    data: Projections
    main: tuple[int, ...]
    models: tuple[WindowModel, ...]
    projector: SystemModel
    counts: NDArray[np.float32]
    weights: NDArray[np.float64]
    start: datetime

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows that are reconstructed."""
        return tuple(self.data.windows[n] for n in self.main)


def prepare_spect(
    projections: Path | str, *, ct: Path | str, options: SpectOptions, tell: Tell = lambda step: None
) -> SpectCase:
    """Read projections and CT and build the system model.

    Parameters and errors as `hepatica.workflow.spect.reconstruct.reconstruct_files`.
    """
    camera = gamma_camera(options.camera)
    tell("reading")
    file = read_projections(projections, radius_mm=options.radius_mm, sum_gates=options.sum_gates)
    hu = read_image(ct, role="ct")
    _require_patient(file, hu)
    chosen = _nuclide_of(file, options)
    data = _placed(file.projections, hu, options)
    if data.start is None:
        raise TimeError(
            f"{file.source.path}: AcquisitionDate and AcquisitionTime are missing: the image would have no instant"
        )
    main = main_windows(data, chosen, options.windows)
    models = tuple(window_model(camera, chosen, data.windows[n], energy_kev=options.energy_kev) for n in main)
    projectors = []
    for model in models:
        tell(f"attenuation at {energies_text(model)}")
        projectors.append(_projector(hu.volume, data, model))
    return SpectCase(
        file, hu, camera, chosen, data, main, models,
        projector=projectors[0] if len(projectors) == 1 else JointProjector(projectors),
        counts=np.concatenate([data.window(n) for n in main]),
        weights=_weights(data, models, chosen, options),
        start=data.start,
    )  # fmt: skip


def _projector(hu: Volume, data: Projections, model: WindowModel) -> SpectProjector:
    grid = data.grid()
    maps = np.stack([attenuation_map(hu, grid, energy) for energy in model.energy_kev])
    return SpectProjector(
        grid, data.orbit, columns=data.shape[1], response=model.response, mu_per_mm=maps, energy_weights=model.weights
    )


def _weights(
    data: Projections, models: tuple[WindowModel, ...], chosen: Nuclide, options: SpectOptions
) -> NDArray[np.float64]:
    """Counts per unit of the image of every view of every window; one unit is a becquerel, or a count.

    Errors as for `SpectOptions.sensitivities` and `live_fraction`.
    """
    known = primary_sensitivities(models, options)
    decay = data.mean_activity(chosen.half_life_s)
    expected = np.concatenate([decay * data.view_s * sensitivity for sensitivity in known])
    if not options.in_activity:
        # Counts of all views as if nothing had decayed since the start, as the file says of them.
        expected = expected * decay.mean() / expected.sum()
    # Dead time takes counts away that would be there.
    counts = data.counts.sum(axis=(0, 2, 3), dtype=np.float64)
    live = live_fraction(counts, data.view_s, tau_s=options.dead_time_s, model=options.dead_time_model)
    return np.asarray(expected * np.tile(live, len(models)))


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


def primary_sensitivities(models: tuple[WindowModel, ...], options: SpectOptions) -> tuple[float, ...]:
    """Primary counts per second and becquerel in air, of one head, in each main window.

    A sensitivity measured in air counts a source by whatever way. Monte Carlo scatter knows septal penetration and
    scatter in the camera for itself: then the share through holes is taken of it; else all of it is taken as primary.
    A calibration by a reconstruction, of a sphere or cylinder in water, is of primary counts as that reconstruction is.
    """
    known = options.sensitivities(tuple(model.sensitivity_cps_per_bq for model in models))
    reconstructed = options.calibration is not None and options.calibration.source not in IN_AIR
    if options.sensitivity_cps_per_mbq is None or options.scatter != "mc" or reconstructed:
        return known
    return tuple(value * model.holes_share for value, model in zip(known, models, strict=True))


def energies_text(model: WindowModel) -> str:
    """The energies that stand for what a window sees."""
    return ", ".join(f"{energy:.0f}" for energy in model.energy_kev) + " keV"
