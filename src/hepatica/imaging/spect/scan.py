"""A simulated acquisition: what it can be told, the windows and orbit that follow, and the counts by either method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from hepatica.anatomy.segmentation.body_and_lungs.body import body_region
from hepatica.core import Grid, Volume
from hepatica.core.message import Message
from hepatica.core.options import Limits, NonNegative, Positive, options
from hepatica.core.options.stated import require_unstated
from hepatica.core.progress import Progress, silent
from hepatica.core.resample import resample
from hepatica.errors import InputError, PhysicsError
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.quantify.dead_time import DeadTimeModel
from hepatica.imaging.spect.camera.cameras import (
    MAX_PENETRATION,
    MIN_PENETRATION,
    GammaCamera,
    nuclide_windows,
    window_numbers,
)
from hepatica.imaging.spect.camera.contour_orbit import CLEARANCE_MM, contour_orbit
from hepatica.imaging.spect.camera.detector import geometric_response
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.montecarlo.projector import SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.montecarlo.simulate import Acquisition, DeadTime, SimulatedScan, simulate_montecarlo
from hepatica.imaging.spect.montecarlo.spectrum import HISTORIES
from hepatica.imaging.spect.projections import Orbit, Projections, Window
from hepatica.imaging.spect.scan_model import IN_AIR
from hepatica.imaging.spect.simulate import Scan, analytic_projections, camera_grid, require_in_field
from hepatica.imaging.spect.system import analytic_sensitivity, beside_peaks, window_model
from hepatica.nuclides import Nuclide
from hepatica.transport.runner.settings import StoppingOptions

SCAN_UNCERTAINTY = 0.04
"""Of a bin, where no stopping rule is given."""


@options
class ScanOptions:
    """How the scan is acquired.

    Attributes
    ----------
    method : {"analytic", "montecarlo"}
        Primary photons without scatter, or everything, bremsstrahlung too.
    views : int
        Views over 360 degrees, shared by the heads.
    heads : int
        Heads that count at once.
    frame_duration_s : float
        Time per view.
    orbit : {"circular", "auto"}
        A circle, or each view as near to the body as the clearance lets it.
    radius_mm : float
        Circular orbit: from the axis to the collimator.
    clearance_mm : float
        Automatic orbit: between body and collimator.
    pixel_mm : float
        Size of pixels and slices.
    columns : int
        Pixels across.
    energy_windows : tuple of str
        Windows of the nuclide, by energy (113) or limits (105-195) in keV, or all; the usual ones by default.
    extra_energy_windows : tuple of str
        Any others, by their limits in keV: 478-931.
    noise_free : bool
        Expected counts, without Poisson noise.
    """

    method: Literal["analytic", "montecarlo"] = "analytic"
    views: Annotated[int, Limits(low=1)] = 120
    heads: Annotated[int, Limits(low=1)] = 2
    frame_duration_s: Positive = 20.0
    orbit: Literal["circular", "auto"] = "circular"
    radius_mm: Positive = 250.0
    clearance_mm: NonNegative = CLEARANCE_MM
    pixel_mm: Positive = 4.8
    columns: Annotated[int, Limits(low=2)] = 128
    energy_windows: tuple[str, ...] = ()
    extra_energy_windows: tuple[str, ...] = ()
    noise_free: bool = False


@options
class MonteCarloScanOptions:
    """What only the Monte Carlo knows; the seed is that of the Poisson noise too.

    Attributes
    ----------
    stopping : StoppingOptions
        When the run ends; at 4 % of a bin above half the highest if nothing is stated.
    threads : int or None
        CPU threads; all if not given.
    device : {"cpu", "cuda"}
        Where it runs.
    voxel_mm : float
        Voxels in which photons are followed.
    detector_response : {"table", "holes"}
        Collimator with septal penetration and scatter, crystal and backscatter; or holes alone.
    penetration : float
        Counts through lead over those of the table, as `calibrate_camera` fits them.
    calibration : Path, CameraCalibration or None
        Factor of a camera in air, and the counts through lead fitted beside it: what is counted is what this camera
        would count.
    dead_time_s : float
        Dead time per pulse of a head; 0 for none.
    dead_time_model : {"paralysable", "non-paralysable"}
        Behaviour of a head that is busy.
    skip_spectrum : bool
        No energy spectrum.
    """

    stopping: StoppingOptions = StoppingOptions()
    threads: Annotated[int, Limits(low=1)] | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    voxel_mm: Positive = 4.0
    detector_response: Literal["table", "holes"] = "table"
    penetration: Annotated[float, Limits(low=MIN_PENETRATION, high=MAX_PENETRATION)] = 1.0
    calibration: Path | str | CameraCalibration | None = None
    dead_time_s: Annotated[float, Limits(low=0, below=1)] = 0.0
    dead_time_model: DeadTimeModel = "paralysable"
    skip_spectrum: bool = False

    def __post_init__(self) -> None:
        if self.calibration is None:
            return
        require_unstated(self, why="not beside `calibration`, which holds it", only=("penetration",))
        if self.detector_response != "table":
            raise InputError("`calibration` is of a whole camera", remedy="take `detector_response` table")

    def settings(self) -> ProjectionSettings:
        """When to stop."""
        return ProjectionSettings.of(self.stopping.with_default(SCAN_UNCERTAINTY), threads=self.threads)

    def require_fit(self, scan: ScanOptions) -> None:
        """InputError if one of these options, the seed aside, is stated for the analytic method."""
        if scan.method == "analytic":
            require_unstated(self, why="only with `method` montecarlo", but=("seed",))


@dataclass(frozen=True, slots=True)
class MeasuredCamera:
    """A camera as it was calibrated.

    Attributes
    ----------
    camera : GammaCamera
        With its counts through lead.
    efficiency : float
        Counts of a source in air over those of the model with these counts through lead.
    messages : tuple of Message
        What of the calibration's conditions could not be compared with the scan.
    """

    camera: GammaCamera
    efficiency: float = 1.0
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class AcquiredScan:
    """Counts of a known activity.

    Attributes
    ----------
    projections : Projections
        As acquired.
    sensitivity_cps_per_mbq : tuple of float or None
        Of one head in each window, through holes, in air; None where no line falls into the window.
    simulated : SimulatedScan or None
        What the Monte Carlo says of itself.
    measured : MeasuredCamera or None
        How the camera differs from its model; None by the analytic method.
    notes : tuple of Message
        What the counts of some windows lack.
    """

    projections: Projections
    sensitivity_cps_per_mbq: tuple[float | None, ...]
    simulated: SimulatedScan | None = None
    measured: MeasuredCamera | None = None
    notes: tuple[Message, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """What a user of the counts must know."""
        return (*self.notes, *(() if self.measured is None else self.measured.messages))


def scan_windows(nuclide: Nuclide, scan: ScanOptions) -> tuple[Window, ...]:
    """Windows to acquire: those of the nuclide, those beside them, and others that were asked for.

    Raises
    ------
    UnknownNameError, InputError
        If a window is not one of the nuclide's, or cannot be read.
    """
    peaks, beside = nuclide_windows(nuclide, which=scan.energy_windows)
    others = []
    for text in scan.extra_energy_windows:
        numbers = window_numbers(text)
        if len(numbers) != 2:
            raise InputError(f"`extra_energy_windows`: {text!r} is not the limits of a window in keV, low-high")
        others.append(Window(numbers[0], numbers[1], "extra"))
    found: dict[tuple[float, float], Window] = {}
    for window in (*peaks, *beside, *others):
        found.setdefault(_limits(window), window)
    return tuple(found.values())


def _limits(window: Window) -> tuple[float, float]:
    """Limits as they are printed, by which somebody names a window again."""
    return round(window.low_kev, 1), round(window.high_kev, 1)


def windows_named_again(nuclide: Nuclide, scan: ScanOptions) -> tuple[Message, ...]:
    """Says which windows were asked for and are acquired already: each is acquired once."""
    limits = {_limits(w) for w in scan_windows(nuclide, replace(scan, extra_energy_windows=()))}
    again = []
    for text in scan.extra_energy_windows:
        low, high = window_numbers(text)
        asked = Window(low, high)
        if _limits(asked) in limits:
            again.append(str(asked))
        limits.add(_limits(asked))
    if not again:
        return ()
    text = f"windows that are acquired already and were asked for again: {', '.join(again)}; each is acquired once"
    return (Message("window-named-again", text, severity="note"),)


def scan_orbit(hu: Volume, grid: Grid, scan: ScanOptions) -> Orbit:
    """Circular orbit, or one that follows the body of the CT."""
    circle = Orbit.circular(scan.views, radius_mm=scan.radius_mm)
    if scan.orbit == "circular":
        return circle
    return contour_orbit(body_region(hu), grid, np.asarray(circle.angle_deg), clearance_mm=scan.clearance_mm)


def scan_grid(hu: Volume, scan: ScanOptions, frame_of_reference: str | None) -> Grid:
    """Grid of the camera around the CT."""
    grid = camera_grid(hu.grid, pixel_mm=scan.pixel_mm, columns=scan.columns)
    return grid.with_frame_of_reference(frame_of_reference)


def acquire(
    activity: Volume,
    hu: Volume,
    grid: Grid,
    *,
    camera: GammaCamera,
    nuclide: Nuclide,
    scan: ScanOptions,
    montecarlo: MonteCarloScanOptions = MonteCarloScanOptions(),
    progress: Progress | None = None,
) -> AcquiredScan:
    """Projections of a known activity.

    Parameters
    ----------
    activity : Volume
        Becquerels per voxel at the start of the scan.
    hu : Volume
        CT in HU.
    grid : Grid
        Of the camera, see `scan_grid`.
    camera, nuclide, scan, montecarlo
        What is imaged how.
    progress : callable, optional
        Told each step.

    Raises
    ------
    InputError
        If activity lies outside the field, or an option of the Monte Carlo is stated for the analytic method.
    PhysicsError
        If no window sees a photon of the nuclide.
    """
    montecarlo.require_fit(scan)
    report_progress = progress or silent
    windows = scan_windows(nuclide, scan)
    plan = Scan(scan_orbit(hu, grid, scan), scan.frame_duration_s, windows, scan.columns, scan.heads)
    if scan.method == "analytic":
        seed = None if scan.noise_free else montecarlo.stopping.seed
        counted = analytic_projections(
            activity, hu, camera=camera, nuclide=nuclide, scan=plan, grid=grid, seed=seed, progress=report_progress
        )
        known = tuple(_sensitivity(camera, nuclide, window) for window in windows)
        return AcquiredScan(counted, known, notes=beside_peaks(camera, nuclide, windows))
    require_in_field(activity, resample(activity, grid, "total"), plan.orbit)
    table = montecarlo.detector_response == "table"
    measured = measured_camera(camera, nuclide, windows, montecarlo)
    camera = measured.camera
    response = detector_response(camera) if table else geometric_response(camera)
    if measured.efficiency != 1.0:
        # All windows and all pulses of such a camera are in this proportion, as those of more activity are.
        activity = activity.with_values(activity.values * np.float32(measured.efficiency))
    lost = montecarlo.dead_time_s
    acquisition = Acquisition(
        scan=plan,
        noise=not scan.noise_free,
        dead_time=DeadTime(lost, montecarlo.dead_time_model) if lost else None,
        spectrum_histories=0 if montecarlo.skip_spectrum else HISTORIES,
    )
    found = simulate_montecarlo(
        activity, hu, SpectSetup(camera, nuclide, plan.orbit, windows, grid, response), acquisition,
        montecarlo.settings(), progress=report_progress, voxel_mm=montecarlo.voxel_mm, device=montecarlo.device,
    )  # fmt: skip
    found = replace(found, sensitivity_cps_per_bq=measured.efficiency * found.sensitivity_cps_per_bq)
    through_holes = tuple(1e6 * float(x) for x in found.sensitivity_cps_per_bq[:, 0])
    return AcquiredScan(found.projections, through_holes, found, measured)


def measured_camera(
    camera: GammaCamera, nuclide: Nuclide, windows: tuple[Window, ...], montecarlo: MonteCarloScanOptions
) -> MeasuredCamera:
    """The camera as options state or a calibration says.

    Raises
    ------
    InputError
        If the calibration is of another nuclide, camera or window, or was not measured in air.
    """
    found = montecarlo.calibration
    if found is None:
        return MeasuredCamera(replace(camera, penetration=montecarlo.penetration * camera.penetration))
    if not isinstance(found, CameraCalibration):
        raise InputError(f"`calibration` is a CameraCalibration here, not {found!r}", remedy="load the file first")
    if found.source not in IN_AIR:
        raise InputError(
            f"the calibration is that of a {found.source} and its reconstruction, not of the camera",
            remedy="take the factor of a dish or point in air",
        )
    limits = found.conditions.window_kev
    if limits is None:
        raise InputError(
            "the calibration does not say in which energy window",
            remedy="add the limits of the window to its conditions",
        )
    own = Window(*limits)
    of_scan = next((window for window in windows if window.is_near(own)), windows[0])
    notes = found.conditions.require_fit(
        Conditions(nuclide.name, camera.name, (of_scan.low_kev, of_scan.high_kev)), "the calibration"
    )
    if found.penetration is not None:
        camera = replace(camera, penetration=found.penetration.value)
    model = window_model(camera, nuclide, own)
    in_air = 1e6 * model.sensitivity_cps_per_bq / model.holes_share
    return MeasuredCamera(camera, found.factor.value / in_air, notes)


def _sensitivity(camera: GammaCamera, nuclide: Nuclide, window: Window) -> float | None:
    try:
        return 1e6 * analytic_sensitivity(camera, nuclide, window)[0]
    except PhysicsError:
        return None
