"""The system that a reconstruction inverts: projections in the CT's frame, what each window sees, and view weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Volume
from hepatica.core.constants import FWHM_PER_SD
from hepatica.core.document import document
from hepatica.core.message import Message, unique
from hepatica.core.options import options, parameters
from hepatica.core.progress import Progress, silent
from hepatica.errors import GeometryError, InputError, TimeError
from hepatica.imaging.quantify.acquisition_conditions import BLUR_LEFT, Conditions
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.quantify.dead_time import live_fraction
from hepatica.imaging.reconstruct.algorithms import (
    BLURRED_NUCLIDES,
    BREMSSTRAHLUNG_ITERATIONS,
    ITERATIONS,
    SLOW_NUCLIDES,
    IterationOptions,
)
from hepatica.imaging.reconstruct.levels.options import SpectLungOptions
from hepatica.imaging.reconstruct.multiple_windows import JointProjector
from hepatica.imaging.spect.attenuation import attenuation_map, uncovered_slices
from hepatica.imaging.spect.camera import hole_response
from hepatica.imaging.spect.camera.cameras import GammaCamera
from hepatica.imaging.spect.options import (
    FROM_WINDOWS,
    OF_THE_IMAGE,
    REMAINING_BLUR_SHARE,
    AcquisitionOptions,
    NoiseOptions,
    ScatterOptions,
    SpectInputOptions,
    WithoutCtOptions,
)
from hepatica.imaging.spect.projections import Projections, Window
from hepatica.imaging.spect.projector import LEAST_MODELLED, SpectProjector, SystemModel
from hepatica.imaging.spect.system import WindowModel, model_mismatch, reconstructed_mismatch, window_model
from hepatica.imaging.spect.windows import main_windows
from hepatica.nuclides import Nuclide

AXIS_TOLERANCE_MM = 1.0
"""Places of the axis that differ by less are the same."""

IN_AIR = ("planar", "point")
"""Sources of calibrations that are measured in air, without a reconstruction."""


@options
class SpectOptions:
    """All options of a reconstruction.

    Attributes
    ----------
    acquisition : AcquisitionOptions
        What was acquired, and what the camera counts.
    iteration : IterationOptions
        How counts become an image.
    scatter : ScatterOptions
        How scatter is corrected for.
    noise : NoiseOptions
        Filter and uncertainty.
    inputs : SpectInputOptions
        What is read.
    without_ct : WithoutCtOptions
        The patient where there is no CT.
    lung : SpectLungOptions
        How the lung is found.
    """

    acquisition: AcquisitionOptions = AcquisitionOptions()
    iteration: IterationOptions = IterationOptions()
    scatter: ScatterOptions = ScatterOptions()
    noise: NoiseOptions = NoiseOptions()
    inputs: SpectInputOptions = SpectInputOptions()
    without_ct: WithoutCtOptions = WithoutCtOptions()
    lung: SpectLungOptions = SpectLungOptions()

    def __post_init__(self) -> None:
        if self.noise.quick_uncertainty and self.iteration.method == "bsrem":
            raise InputError("the quick uncertainty is for mlem and osem", remedy="state `samples` for bsrem")
        if self.lung.lung_model == "levels" and self.scatter.scatter not in OF_THE_IMAGE:
            methods = ", ".join(OF_THE_IMAGE)
            raise InputError("`lung_model` levels needs scatter of the image", remedy=f"take `scatter` {methods}")
        if self.lung.lung_model == "levels" and self.iteration.method == "bsrem":
            raise InputError("`lung_model` levels is for mlem and osem", remedy="take `method` osem")

    @property
    def corrected(self) -> tuple[str, ...]:
        """What is corrected for, in the words of DICOM's Corrected Image."""
        scatter = ("SCAT",) if self.scatter.scatter != "none" else ()
        dead_time = ("DTIM",) if self.acquisition.dead_time_s else ()
        return ("DECY", "ATTN", *scatter, *dead_time)

    def for_nuclide(self, nuclide: Nuclide) -> SpectOptions:
        """These options with the number of iterations that is the nuclide's where none is stated."""
        if self.iteration.iterations is not None:
            return self
        bremsstrahlung = any(mode.mode == "spect-bremsstrahlung" for mode in nuclide.imaging)
        slow = (bremsstrahlung or nuclide.name in SLOW_NUCLIDES) and self.scatter.scatter == "mc"
        rounds = BREMSSTRAHLUNG_ITERATIONS if slow or nuclide.name in BLURRED_NUCLIDES else ITERATIONS
        return replace(self, iteration=replace(self.iteration, iterations=rounds))

    @property
    def calibration(self) -> CameraCalibration | None:
        """Measured sensitivity of one head, if there is one."""
        found = self.acquisition.calibration
        if found is not None and not isinstance(found, CameraCalibration):
            raise InputError(f"`calibration` is a CameraCalibration here, not {found!r}", remedy="load the file first")
        return found


MOSTLY_HOLES = 0.97
"""Share through holes above which counts through lead are not worth a word: less than what scatter methods miss."""


@dataclass(frozen=True, slots=True, eq=False)
class ScanModel:
    """Everything a reconstruction starts from.

    Attributes
    ----------
    hu : Volume
        CT.
    camera, nuclide : GammaCamera, Nuclide
        What saw what.
    data : Projections
        In the CT's frame.
    main : tuple of int
        Numbers of the windows that are reconstructed.
    models : tuple of WindowModel
        What each of them sees.
    projector : SystemModel
        Of all of them, without the blur that is to be left in the image.
    exact : SystemModel
        The same with all of the camera's blur.
    counts : ndarray, shape (windows * views, u, v)
        Of the windows that are reconstructed, one after another.
    weights : ndarray, shape (windows * views,)
        Counts per unit of the image.
    start : datetime
        Of the acquisition.
    """

    hu: Volume
    camera: GammaCamera
    nuclide: Nuclide
    data: Projections
    main: tuple[int, ...]
    models: tuple[WindowModel, ...]
    projector: SystemModel
    exact: SystemModel
    counts: NDArray[np.float32]
    weights: NDArray[np.float64]
    start: datetime

    @property
    def window_limits_kev(self) -> tuple[tuple[float, float], ...]:
        """Limits of the windows that are reconstructed."""
        return tuple((window.low_kev, window.high_kev) for window in self.windows)

    @property
    def head_time_s(self) -> float:
        """Time of all views of all heads added up."""
        return self.data.orbit.views * self.data.view_s

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows that are reconstructed."""
        return tuple(self.data.windows[n] for n in self.main)

    def with_counts(self, counts: NDArray[np.float32]) -> ScanModel:
        """Same system with other counts in all windows."""
        data = replace(self.data, counts=counts)
        return replace(self, data=data, counts=np.concatenate([data.window(n) for n in self.main]))

    def messages(self, options: SpectOptions) -> tuple[Message, ...]:
        """What a reader of the image must know of the system and the options."""
        found = [message for model in self.models for message in self.camera.messages(model.mean_energy_kev)]
        if missing := uncovered_slices(self.hu, self.data.grid()):
            text = f"the CT does not reach {missing} of {self.data.shape[2]} slices; nothing is attenuated there"
            found.append(Message("ct-too-short", text))
        if options.scatter.scatter == "none":
            text = "scatter was not corrected: activity is overestimated and cold regions fill up"
            found.append(Message("scatter-not-corrected", text, "choose a method of `scatter`"))
        if options.acquisition.by_model:
            text = (
                "the sensitivity is that of the camera's model, not measured on the camera; it is that of scans which "
                "hepatica simulates (by Monte Carlo: with `scatter` mc), and of a real camera only within what the "
                "model is right for"
            )
            found.append(Message("sensitivity-of-the-model", text, "calibrate the camera with a source in air"))
            found.extend(lead_as_primary(self.models, options))
        return unique(found, self._too_much_blur(options), self._unlike_model(options))

    def blur_left_mm(self, options: SpectOptions) -> float:
        """Blur that is left in the image, FWHM: what was asked for, or all that the camera's own blur lets."""
        return blur_left_mm(options.noise.remaining_blur_mm, self.models, self.data)

    def response_name(self, options: SpectOptions) -> str:
        """What the iterations undo, by the rule or in millimetres."""
        by_rule = options.noise.remaining_blur_mm is None
        return response_name(None if by_rule else self.blur_left_mm(options))

    def _too_much_blur(self, options: SpectOptions) -> tuple[Message, ...]:
        """Whether more blur was to be left in the image than the camera makes."""
        asked, left = options.noise.remaining_blur_mm, self.blur_left_mm(options)
        if asked is None or asked == left:
            return ()
        own = min(own_blur_mm(model, self.data) for model in self.models)
        text = (
            f"{asked:g} mm of blur were to be left in the image; camera {self.camera.name} itself blurs by {own:.1f} "
            f"mm at the axis of this orbit: {left:g} mm are left, as is recorded"
        )
        remedy = f"state at most {left:g} mm as `remaining_blur_mm`, and smooth the image with `post_filter_mm`"
        return (Message("blur-of-the-camera-is-less", text, remedy),)

    def _unlike_model(self, options: SpectOptions) -> tuple[Message, ...]:
        """Whether sensitivities in air are those of the model; nothing once the counts through lead are fitted."""
        measured, calibration = options.acquisition.measured_cps_per_mbq, options.calibration
        if len(measured) != len(self.models):
            return ()
        if calibration is not None and calibration.source not in IN_AIR:
            return reconstructed_mismatch(
                measured[0], self.models[0], self.camera, scatter=options.scatter.scatter, nuclide=self.nuclide
            )
        if calibration is not None and calibration.penetration is not None:
            return ()
        sized = calibration is not None and calibration.kept_in_air is not None
        pairs = zip(measured, self.models, strict=True)
        return tuple(
            message
            for value, one in pairs
            for message in model_mismatch(value, one, self.camera, self.nuclide, source_known=sized)
        )

    def conditions(self, options: SpectOptions) -> Conditions:
        """Under which conditions the image is made, for a factor or curve that holds for one window."""
        window, iteration = self.windows[0], options.iteration
        return Conditions(
            self.nuclide.name,
            self.camera.name,
            (window.low_kev, window.high_kev),
            self.data.grid().spacing_mm,
            {
                "method": iteration.method,
                "iterations": iteration.rounds,
                "subsets": iteration.updates,
                "prior_strength": iteration.prior_strength,
                "scatter": options.scatter.scatter,
                "post_filter_mm": options.noise.post_filter_mm,
                **further_conditions(options),
                "detector": self.detectors,
                "response": self.response_name(options),
                BLUR_LEFT: self.blur_left_mm(options),
                # Other corrections know nothing of what comes through lead.
                **({"penetration": self.camera.penetration} if options.scatter.scatter == "mc" else {}),
            },
        )

    @property
    def detectors(self) -> list[str]:
        """Where the chance of a count comes from."""
        return list(dict.fromkeys(model.detector for model in self.models))


def scan_model(
    projections: Projections,
    hu: Volume,
    camera: GammaCamera,
    nuclide: Nuclide,
    options: SpectOptions,
    progress: Progress | None = None,
) -> ScanModel:
    """System model of an acquisition.

    Parameters
    ----------
    projections : Projections
        All windows.
    hu : Volume
        CT in HU.
    camera, nuclide : GammaCamera, Nuclide
        What saw what.
    options : SpectOptions
        Acquisition (windows, place, sensitivity, dead time) and scatter.
    progress : callable, optional
        Told each step.

    Raises
    ------
    InputError
        If the windows do not fit, or as many sensitivities were not stated as there are main windows.
    GeometryError
        If the place of the axis is not known, or the frames of reference differ and are not registered.
    PhysicsError
        If the windows see nothing of the nuclide.
    TimeError
        If the acquisition has no instant.
    """
    report_progress = progress or silent
    stated = options.acquisition
    data = _placed(projections, hu, stated)
    if data.start is None:
        raise TimeError("AcquisitionDate and AcquisitionTime are missing: the image would have no instant")
    main = main_windows(data, nuclide, stated.energy_windows)
    models = tuple(window_model(camera, nuclide, data.windows[n], energy_kev=stated.photon_energy_kev) for n in main)
    windows = []
    left_mm = blur_left_mm(options.noise.remaining_blur_mm, models, data)
    for model in models:
        report_progress(f"attenuation at {energies_text(model)}")
        windows.append(_projector(hu, data, model))
    exact = projector = _joint(windows)
    if left_mm:
        narrower = [replace(model.response, left_sd_mm=left_mm / FWHM_PER_SD) for model in models]
        projector = _joint([one.with_response(response) for one, response in zip(windows, narrower, strict=True)])
    return ScanModel(
        hu, camera, nuclide, data, main, models,
        projector=projector,
        exact=exact,
        counts=np.concatenate([data.window(n) for n in main]),
        weights=view_weights(data, models, nuclide, options),
        start=data.start,
    )  # fmt: skip


def _joint(windows: list[SpectProjector]) -> SystemModel:
    return windows[0] if len(windows) == 1 else JointProjector(windows)


def _projector(hu: Volume, data: Projections, model: WindowModel) -> SpectProjector:
    grid = data.grid()
    maps = np.stack([attenuation_map(hu, grid, energy) for energy in model.energy_kev])
    return SpectProjector(
        grid, data.orbit, columns=data.shape[1], response=model.response, mu_per_mm=maps, energy_weights=model.weights
    )


def own_blur_mm(model: WindowModel, data: Projections) -> float:
    """Blur of camera and collimator at the axis, FWHM of a Gaussian of the same standard deviation."""
    return FWHM_PER_SD * float(model.response.sd_mm(float(np.mean(data.orbit.radius_mm))))


def blur_left_mm(asked_mm: float | None, models: tuple[WindowModel, ...], data: Projections) -> float:
    """Blur that is left in the image: what was asked for, or the default share of what the camera blurs at the axis.

    Where the camera blurs less than what was asked for, it is the most that the response can leave there, in whole
    tenths of a millimetre. Nearer to the collimator than where the camera blurs by that much, what it blurs is left.
    """
    own = min(own_blur_mm(model, data) for model in models)
    if asked_mm is None:
        return round(REMAINING_BLUR_SHARE * own, 1)
    if asked_mm <= own:
        return asked_mm
    return math.floor(10 * own * math.sqrt(1 - LEAST_MODELLED**2)) / 10


def response_name(remaining_blur_mm: float | None) -> str:
    """How conditions and provenance call what the iterations undo: another name where images become other ones.

    The default has one name for all orbits, so that a factor or curve of a phantom holds for patients of another size.
    """
    if remaining_blur_mm is None:
        return f"{hole_response.NAME}, {REMAINING_BLUR_SHARE:.0%} of the camera's blur at the axis left in the image"
    left = f", {remaining_blur_mm:g} mm left in the image" if remaining_blur_mm else ""
    return hole_response.NAME + left


def view_weights(
    data: Projections, models: tuple[WindowModel, ...], nuclide: Nuclide, options: SpectOptions
) -> NDArray[np.float64]:
    """Counts per unit of the image of every view of every window; one unit is a becquerel, or a count.

    Errors as for `primary_sensitivities` and `live_fraction`.
    """
    stated = options.acquisition
    known = primary_sensitivities(models, options)
    decay = data.mean_activity(nuclide.half_life_s)
    expected = np.concatenate([decay * data.view_s * sensitivity for sensitivity in known])
    if not stated.in_activity:
        # Counts of all views as if nothing had decayed since the start, as the file says of them.
        expected = expected * decay.mean() / expected.sum()
    # Dead time takes counts away that would be there.
    counts = data.counts.sum(axis=(0, 2, 3), dtype=np.float64)
    live = live_fraction(counts, data.view_s, tau_s=stated.dead_time_s, model=stated.dead_time_model)
    return np.asarray(expected * np.tile(live, len(models)))


def lead_as_primary(models: tuple[WindowModel, ...], options: SpectOptions) -> tuple[Message, ...]:
    """Counts through lead lie in all scans but analytic ones, and only scatter by Monte Carlo takes them away."""
    through = min(one.holes_share for one in models)
    if options.scatter.scatter == "mc" or through > MOSTLY_HOLES:
        return ()
    text = (
        f"the model's sensitivity is of photons through holes, {through:.0%} of what a source in air counts here; "
        f"`{options.scatter.scatter}` leaves most of those through lead in the counts, so activity is up to "
        f"{1 / through - 1:.0%} too high, but in projections that were simulated analytically, which have none"
    )
    return (Message("lead-taken-as-holes", text, "take `scatter` mc, or a sensitivity measured in air"),)


def primary_sensitivities(models: tuple[WindowModel, ...], options: SpectOptions) -> tuple[float, ...]:
    """Primary counts per second and becquerel in air, of one head, in each main window.

    A sensitivity measured in air counts a source by whatever way. Monte Carlo scatter knows septal penetration and
    scatter in the camera for itself: then the share through holes is taken of it; else all of it is taken as primary.
    A calibration by a reconstruction, of a sphere or cylinder in water, is of primary counts as that reconstruction is.

    Raises
    ------
    InputError
        If as many were not stated as there are main windows.
    """
    measured = options.acquisition.measured_cps_per_mbq
    if not measured:
        return tuple(model.sensitivity_cps_per_bq for model in models)
    if len(measured) != len(models):
        raise InputError(f"{len(measured)} sensitivities for {len(models)} main windows", remedy="state one for each")
    known = tuple(value / 1e6 for value in measured)
    calibration = options.calibration
    reconstructed = calibration is not None and calibration.source not in IN_AIR
    if options.scatter.scatter != "mc" or reconstructed:
        return known
    return tuple(value * model.holes_share for value, model in zip(known, models, strict=True))


def lead_relative_sd(models: tuple[WindowModel, ...], options: SpectOptions) -> float:
    """Relative standard uncertainty of becquerels by counts through lead that were fitted; 0 where none were.

    With scatter by Monte Carlo and a factor in air the share through holes is taken, h / (h + p l), which changes by
    -l / (h + p l) of itself for one of p. What lead counts of a lesion's surroundings makes up for some of it in liver
    and total, and nothing of it in hot lesions (docs/spect-study.md): it is not less than what they have.
    """
    calibration = options.calibration
    if calibration is None or calibration.penetration is None:
        return 0.0
    fitted, first = calibration.penetration, models[0]
    if options.scatter.scatter != "mc" or calibration.source not in IN_AIR or fitted.sd is None or not fitted.value > 0:
        return 0.0
    return (1 - first.holes_share) / fitted.value * fitted.sd


def scale_relative_sd(models: tuple[WindowModel, ...], options: SpectOptions) -> float | None:
    """Relative standard uncertainty of what turns counts into becquerels, factor and lead; None where not known."""
    factor = None if options.calibration is None else options.calibration.factor.relative_sd
    return None if factor is None else math.hypot(factor, lead_relative_sd(models, options))


def require_calibrated(model: ScanModel, options: SpectOptions) -> tuple[Message, ...]:
    """What of a calibration's conditions could not be compared with the projections.

    Raises
    ------
    InputError
        If they differ, or there are several main windows.
    """
    if options.calibration is None:
        return ()
    if len(model.windows) > 1:
        raise InputError(
            f"a calibration holds for one main window, and here are {len(model.windows)}: "
            f"{', '.join(map(str, model.windows))}",
            remedy="choose one with `energy_windows`, or state `sensitivity_cps_per_mbq` of each in place of it",
        )
    return options.calibration.conditions.require_fit(model.conditions(options), "the calibration")


def further_conditions(options: SpectOptions) -> dict[str, Any]:
    """Further settings on which counts in an image depend: attenuation, prior, and smoothing of scatter windows."""
    iteration, scatter, without = options.iteration, options.scatter, options.without_ct
    energy = options.acquisition.photon_energy_kev
    patient = "of the CT"
    if without.uniform_density_g_ml is not None:
        patient = f"uniform, {without.uniform_density_g_ml:g} g/mL"
    elif without.uniform_attenuation is not None:
        patient = f"uniform, {without.uniform_attenuation:g} 1/cm"
    found: dict[str, Any] = {
        "attenuation": patient,
        "attenuation_energy": "of the nuclide" if energy is None else f"{energy:g} keV",
    }
    if iteration.method == "bsrem":
        found |= {"prior_edge": iteration.prior_edge, "relaxation": iteration.relaxation}
    if scatter.scatter in FROM_WINDOWS:
        found["window_smoothing_mm"] = scatter.window_smoothing_mm
    return found


def run_parameters(model: ScanModel, options: SpectOptions) -> Mapping[str, Any]:
    """Everything that an image depends on beside projections and CT, plain values."""
    stated, scatter = options.acquisition, options.scatter
    unused = [
        *(["window_smoothing_mm"] if scatter.scatter not in FROM_WINDOWS else []),
        *(["montecarlo_smoothing_mm", "device"] if scatter.scatter != "mc" else []),
        *(["prior_edge", "relaxation"] if options.iteration.method != "bsrem" else []),
        *(["dead_time_model"] if not stated.dead_time_s else []),
    ]
    sensitivity = "model" if stated.by_model else "stated" if stated.in_activity else None
    primary = [1e6 * value for value in primary_sensitivities(model.models, options)] if stated.in_activity else None
    return parameters(
        replace(stated, calibration=None), replace(options.iteration, checkpoint=None), scatter, options.noise,
        options.inputs, options.without_ct, options.lung,
        **dict.fromkeys(unused),
        **further_conditions(options),
        subsets=options.iteration.updates,
        energy_kev=[one.energy_kev for one in model.models],
        energy_weights=[one.weights for one in model.models],
        detector=model.detectors,
        remaining_blur_mm=model.blur_left_mm(options),
        response=model.response_name(options),
        sensitivity=sensitivity,
        sensitivity_cps_per_mbq=stated.measured_cps_per_mbq or None,
        primary_sensitivity_cps_per_mbq=primary,
        share_through_holes_in_air=[one.holes_share for one in model.models],
        camera=document(model.camera),
    )  # fmt: skip


def overruled(data: Projections, camera: GammaCamera, stated: AcquisitionOptions) -> tuple[Message, ...]:
    """What is said where the projections know better: another place of the axis, or another camera."""
    found, axis = [], stated.axis_mm
    if axis is not None and data.axis_mm is not None:
        away = float(np.linalg.norm(np.subtract(axis, data.axis_mm)))
        if away > AXIS_TOLERANCE_MM:
            mine, other = (", ".join(f"{value:g}" for value in place) for place in (axis, data.axis_mm))
            text = (
                f"the axis is stated at ({mine}) mm, the projections say ({other}) mm, {away:.3g} mm away; what is "
                "stated is used"
            )
            found.append(Message("axis-overruled", text, "leave it out unless the file is wrong", "critical"))
    if data.camera is not None and data.camera != camera.name:
        text = f"the projections are of camera {data.camera}, stated is {camera.name}; what is stated is used"
        found.append(Message("camera-overruled", text, f"state {data.camera}, unless the file is wrong", "critical"))
    return tuple(found)


def energies_text(model: WindowModel) -> str:
    """The energies that stand for what a window sees."""
    return ", ".join(f"{energy:.0f}" for energy in model.energy_kev) + " keV"


def _placed(data: Projections, hu: Volume, stated: AcquisitionOptions) -> Projections:
    """Projections in the CT's frame of reference."""
    if stated.axis_mm is not None:
        return data.placed(stated.axis_mm, hu.grid.frame_of_reference)
    if data.axis_mm is None:
        raise GeometryError(
            "the projections do not say where the axis of rotation lies in the patient (ImagePositionPatient of the "
            "detector)",
            remedy="state `axis_mm`, x and y of the axis and z of the lowest row in the CT",
        )
    if stated.registered:
        return replace(data, frame_of_reference=hu.grid.frame_of_reference)
    return data
