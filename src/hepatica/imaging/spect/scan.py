"""A simulated acquisition: what it can be told, the windows and orbit that follow, and the counts by either method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from hepatica.anatomy.segmentation.body import body_region
from hepatica.core import Grid, Volume
from hepatica.core.options import Limits, NonNegative, Positive, options
from hepatica.core.options.stated import require_unstated
from hepatica.core.progress import Progress, silent
from hepatica.core.resample import resample
from hepatica.errors import InputError, PhysicsError
from hepatica.imaging.quantify.dead_time import DeadTimeModel
from hepatica.imaging.spect.camera.cameras import GammaCamera, nuclide_windows, window_numbers
from hepatica.imaging.spect.camera.contour_orbit import CLEARANCE_MM, contour_orbit
from hepatica.imaging.spect.camera.detector import geometric_response
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.montecarlo.projector import SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.montecarlo.simulate import Acquisition, DeadTime, SimulatedScan, simulate_montecarlo
from hepatica.imaging.spect.montecarlo.spectrum import HISTORIES
from hepatica.imaging.spect.projections import Orbit, Projections, Window
from hepatica.imaging.spect.simulate import Scan, analytic_projections, camera_grid, require_in_field
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
    dead_time_s: Annotated[float, Limits(low=0, below=1)] = 0.0
    dead_time_model: DeadTimeModel = "paralysable"
    skip_spectrum: bool = False

    def settings(self) -> ProjectionSettings:
        """When to stop."""
        return ProjectionSettings.of(self.stopping.with_default(SCAN_UNCERTAINTY), threads=self.threads)

    def require_fit(self, scan: ScanOptions) -> None:
        """InputError if one of these options, the seed aside, is stated for the analytic method."""
        if scan.method == "analytic":
            require_unstated(self, why="only with `method` montecarlo", but=("seed",))


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
    """

    projections: Projections
    sensitivity_cps_per_mbq: tuple[float | None, ...]
    simulated: SimulatedScan | None = None


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
    return tuple(dict.fromkeys((*peaks, *beside, *others)))


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
        return AcquiredScan(counted, tuple(_sensitivity(camera, nuclide, window) for window in windows))
    require_in_field(activity, resample(activity, grid, "total"), plan.orbit)
    table = montecarlo.detector_response == "table"
    response = detector_response(camera) if table else geometric_response(camera)
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
    through_holes = tuple(1e6 * float(x) for x in found.sensitivity_cps_per_bq[:, 0])
    return AcquiredScan(found.projections, through_holes, found)


def _sensitivity(camera: GammaCamera, nuclide: Nuclide, window: Window) -> float | None:
    try:
        return camera.sensitivity_cps_per_bq(nuclide, window) * 1e6
    except PhysicsError:
        return None
