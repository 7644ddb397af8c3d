"""What a camera with two opposed heads counts of a known activity: static views, or a scan along the body.

The heads stand before and behind the patient, as two views of the SPECT cameras' models: analytic (primary photons) or
Monte Carlo (scatter, penetration, bremsstrahlung). A scan along the body counts each point for the time for which it is
in the field: the length of the field over the speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Volume
from hepatica.core.message import Message
from hepatica.core.options import Limits, Positive, Unit, options
from hepatica.core.progress import Progress, silent
from hepatica.errors import InputError
from hepatica.imaging.planar.views import PlanarViews
from hepatica.imaging.spect.camera.cameras import GammaCamera
from hepatica.imaging.spect.camera.detector import geometric_response
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.montecarlo.projector import SpectSetup
from hepatica.imaging.spect.montecarlo.simulate import Acquisition, DeadTime, simulate_montecarlo
from hepatica.imaging.spect.projections import Orbit, Projections, Window
from hepatica.imaging.spect.scan import MonteCarloScanOptions, ScanOptions, measured_camera, scan_windows
from hepatica.imaging.spect.simulate import Scan, analytic_projections, camera_grid
from hepatica.imaging.spect.system import analytic_sensitivity, beside_peaks
from hepatica.nuclides import Nuclide

ANTERIOR_DEG, POSTERIOR_DEG = 180.0, 0.0
"""Angles of the heads, DICOM PS3.3 C.8.4.12: 0 behind the back."""


@options
class PlanarScanOptions:
    """How planar views are acquired.

    Attributes
    ----------
    method : {"analytic", "montecarlo"}
        Primary photons without scatter, or everything, bremsstrahlung too.
    technique : {"static", "whole-body"}
        Both heads stand still, or are scanned along the body.
    frame_duration_s : float
        Time of a static view.
    scan_speed : float
        Of a whole-body scan.
    field_mm : float
        Length of the heads' field along the body, for a whole-body scan.
    distance_mm : float
        From the patient's middle to either collimator.
    pixel_mm : float
        Size of a pixel.
    columns : int
        Pixels across.
    energy_windows : tuple of str
        Windows of the nuclide, by energy (113) or limits (105-195) in keV, or all; the usual ones by default.
    extra_energy_windows : tuple of str
        Any others, by their limits in keV: 478-931.
    sides : {"both", "anterior", "posterior"}
        Which views are taken.
    noise_free : bool
        Expected counts, without Poisson noise.
    """

    method: Literal["analytic", "montecarlo"] = "analytic"
    technique: Literal["static", "whole-body"] = "static"
    frame_duration_s: Positive = 600.0
    scan_speed: Annotated[float, Unit("mm/s"), Limits(above=0, high=100)] = 1.0
    field_mm: Positive = 387.0
    distance_mm: Positive = 220.0
    pixel_mm: Positive = 4.8
    columns: Annotated[int, Limits(low=2)] = 128
    energy_windows: tuple[str, ...] = ()
    extra_energy_windows: tuple[str, ...] = ()
    sides: Literal["both", "anterior", "posterior"] = "both"
    noise_free: bool = False

    @property
    def dwell_s(self) -> float:
        """Time for which a point is counted."""
        return self.frame_duration_s if self.technique == "static" else self.field_mm / self.scan_speed

    @property
    def taken(self) -> tuple[str, ...]:
        """Views that are taken."""
        return ("anterior", "posterior") if self.sides == "both" else (self.sides,)

    def as_spect(self) -> ScanOptions:
        """What the SPECT's functions take of it."""
        return ScanOptions(
            method=self.method, energy_windows=self.energy_windows, extra_energy_windows=self.extra_energy_windows
        )


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedViews:
    """Views of a known activity.

    Attributes
    ----------
    views : PlanarViews
        As counted.
    sensitivity_cps_per_mbq : tuple of float or None
        Of one head in each window, through holes, in air; None where no line falls into the window.
    lead_cps_per_mbq : tuple of float
        By way of lead, by Monte Carlo; else empty.
    scattered_share : tuple of float
        Of the counts in each window, scattered or through lead; empty of the analytic method.
    messages : tuple of Message
        What the counts of some windows lack.
    """

    views: PlanarViews
    sensitivity_cps_per_mbq: tuple[float | None, ...]
    lead_cps_per_mbq: tuple[float, ...] = ()
    scattered_share: tuple[float, ...] = ()
    messages: tuple[Message, ...] = ()


def planar_views(
    activity: Volume,
    hu: Volume,
    *,
    camera: GammaCamera,
    nuclide: Nuclide,
    scan: PlanarScanOptions,
    montecarlo: MonteCarloScanOptions = MonteCarloScanOptions(),
    progress: Progress | None = None,
) -> SimulatedViews:
    """Views of an activity.

    Parameters
    ----------
    activity : Volume
        Becquerels per voxel at the start.
    hu : Volume
        CT in HU.
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
    report_progress = progress or silent
    of_spect = scan.as_spect()
    montecarlo.require_fit(of_spect)
    windows = scan_windows(nuclide, of_spect)
    angles = [{"anterior": ANTERIOR_DEG, "posterior": POSTERIOR_DEG}[side] for side in scan.taken]
    orbit = Orbit(np.array(angles), np.full(len(angles), scan.distance_mm))
    plan = Scan(orbit, scan.dwell_s, windows, scan.columns, len(angles))
    grid = camera_grid(hu.grid, pixel_mm=scan.pixel_mm, columns=scan.columns)
    grid = grid.with_frame_of_reference(activity.grid.frame_of_reference)
    if scan.method == "analytic":
        seed = None if scan.noise_free else montecarlo.stopping.seed
        found = analytic_projections(
            activity, hu, camera=camera, nuclide=nuclide, scan=plan, grid=grid, seed=seed, progress=report_progress
        )
        known = tuple(_in_air(camera, nuclide, window) for window in windows)
        return SimulatedViews(_views(found, grid, scan), known, messages=beside_peaks(camera, nuclide, windows))
    measured = measured_camera(camera, nuclide, windows, montecarlo)
    table = montecarlo.detector_response == "table"
    response = detector_response(measured.camera) if table else geometric_response(measured.camera)
    setup = SpectSetup(measured.camera, nuclide, orbit, windows, grid, response)
    source = activity.with_values(activity.values * np.float32(measured.efficiency))
    return _by_montecarlo(source, hu, setup, scan, montecarlo, measured.efficiency, report_progress)


def _by_montecarlo(
    activity: Volume,
    hu: Volume,
    setup: SpectSetup,
    scan: PlanarScanOptions,
    montecarlo: MonteCarloScanOptions,
    efficiency: float,
    progress: Progress,
) -> SimulatedViews:
    plan = Scan(setup.orbit, scan.dwell_s, tuple(setup.windows), scan.columns, len(scan.taken))
    lost = montecarlo.dead_time_s
    acquisition = Acquisition(plan, not scan.noise_free, DeadTime(lost, montecarlo.dead_time_model) if lost else None)
    made = simulate_montecarlo(
        activity, hu, setup, acquisition,
        montecarlo.settings(), progress=progress, voxel_mm=montecarlo.voxel_mm, device=montecarlo.device,
    )  # fmt: skip
    in_air = 1e6 * efficiency * made.sensitivity_cps_per_bq
    share = tuple(
        float(other.sum() / max(float(counts.sum()), 1e-300))
        for other, counts in zip(made.expected.other, made.expected.total, strict=True)
    )
    return SimulatedViews(
        _views(made.projections, setup.grid, scan),
        tuple(float(x) or None for x in in_air[:, 0]),
        tuple(float(x) for x in in_air[:, 1]),
        share,
    )


def _in_air(camera: GammaCamera, nuclide: Nuclide, window: Window) -> float | None:
    from hepatica.errors import PhysicsError

    try:
        return 1e6 * analytic_sensitivity(camera, nuclide, window)[0]
    except PhysicsError:
        return None


def seen_from_the_front(counts: NDArray[np.float64], sides: tuple[str, ...]) -> NDArray[np.float64]:
    """Projections, shape (..., views, u, v), as the anterior view is seen: the posterior one flipped, rows downward."""
    downward = counts[..., ::-1]
    turned = [downward[..., n, :: 1 if side == "anterior" else -1, :] for n, side in enumerate(sides)]
    return np.stack(turned, axis=-3)


def _views(found: Projections, grid: Grid, scan: PlanarScanOptions) -> PlanarViews:
    """Projections as views on one frame: the posterior one flipped, rows towards the feet."""
    sides = scan.taken
    images = np.moveaxis(seen_from_the_front(found.counts.astype(np.float64), sides), 1, 0)
    first = grid.to_mm((0, 0, grid.shape[2] - 1))
    return PlanarViews(
        images, sides, found.windows, found.pixel_mm, (scan.dwell_s,) * len(sides),
        (0.0,) * len(sides), found.start, (float(first[0]), float(first[2])), scan.technique == "whole-body",
    )  # fmt: skip


def require_heads(scan: PlanarScanOptions, camera: GammaCamera) -> None:
    """InputError if a camera of one head is asked for both views at once."""
    if scan.sides == "both" and camera.heads < 2:
        raise InputError(f"{camera.name} has one head", remedy="take anterior and posterior views one after the other")
