"""What a simulated scan can be told, and the windows and orbit that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from hepatica.anatomy.ct.body_and_lungs import body_region
from hepatica.core import Grid, Volume
from hepatica.errors import InputError, UnknownNameError
from hepatica.imaging.quantify.dead_time import DeadTimeModel
from hepatica.imaging.spect.camera.cameras import nuclide_windows, window_numbers
from hepatica.imaging.spect.camera.contour_orbit import CLEARANCE_MM, contour_orbit
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.projections import Orbit, Window
from hepatica.nuclides import Nuclide

Method = Literal["analytic", "montecarlo"]
OrbitKind = Literal["circular", "auto"]
ResponseKind = Literal["table", "holes"]

DEFAULT_UNCERTAINTY = 0.04


@dataclass(frozen=True, slots=True)
class MonteCarloOptions:
    """What only the Monte Carlo knows.

    Attributes
    ----------
    uncertainty, histories, time_limit_s
        Relative uncertainty per bin above half the highest, histories, wall time: the first that is reached ends it.
        4 % if none is given.
    threads : int or None
        CPU threads.
    device : str
        "cpu" or "cuda".
    voxel_mm : float
        Voxels in which photons are followed.
    response : str
        "table": collimator with septal penetration and scatter, crystal, backscatter; "holes": holes alone.
    dead_time_s, dead_time_model
        Dead time per pulse of a head and its model; 0 for none.
    spectrum : bool
        Write the energy spectrum.
    """

    uncertainty: float | None = None
    histories: int | None = None
    time_limit_s: float | None = None
    threads: int | None = None
    device: str = "cpu"
    voxel_mm: float = 4.0
    response: ResponseKind = "table"
    dead_time_s: float = 0.0
    dead_time_model: DeadTimeModel = "paralysable"
    spectrum: bool = True

    def __post_init__(self) -> None:
        if self.response not in get_args(ResponseKind):
            raise UnknownNameError("detector response", self.response, get_args(ResponseKind))
        if self.dead_time_model not in get_args(DeadTimeModel):
            raise UnknownNameError("dead-time model", self.dead_time_model, get_args(DeadTimeModel))
        if not self.voxel_mm > 0 or not 0 <= self.dead_time_s < 1:
            raise InputError("Monte Carlo: voxels must be larger than 0 mm, and a dead time from 0 to below 1 s")

    def settings(self, seed: int) -> ProjectionSettings:
        """When to stop."""
        open_ended = self.histories is None and self.time_limit_s is None
        wanted = DEFAULT_UNCERTAINTY if self.uncertainty is None and open_ended else self.uncertainty
        return ProjectionSettings(
            histories=self.histories,
            target_uncertainty=wanted,
            time_limit_s=self.time_limit_s,
            seed=seed,
            threads=self.threads,
        )


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What a simulated scan is like.

    Attributes
    ----------
    camera : str
        Camera by name.
    method : str
        "analytic" or "montecarlo".
    views, heads : int
        Views over 360 degrees, shared by the heads.
    view_s, pixel_mm : float
        Time per view, size of pixels and slices.
    orbit : str
        "circular", or "auto": each view as near to the body as the clearance lets it.
    radius_mm, clearance_mm : float
        Of the circular orbit; between body and collimator of the automatic one.
    columns : int
        Pixels across.
    windows : str or None
        Windows of the nuclide: "113", "105-195", several with commas, "all"; the usual ones by default.
    more_windows : tuple of str
        Any others, by their limits: "478-931".
    total_bq : float or None
        Scale the image to this activity at the start; needed where the image is of another nuclide.
    seed : int
        Of the noise and of the Monte Carlo.
    noise : bool
        Poisson noise, or expected counts.
    montecarlo : MonteCarloOptions or None
        Only with that method.
    """

    camera: str = "siemens-lehr"
    method: Method = "analytic"
    views: int = 120
    heads: int = 2
    view_s: float = 20.0
    orbit: OrbitKind = "circular"
    radius_mm: float = 250.0
    clearance_mm: float = CLEARANCE_MM
    pixel_mm: float = 4.8
    columns: int = 128
    windows: str | None = None
    more_windows: tuple[str, ...] = ()
    total_bq: float | None = None
    seed: int = 1
    noise: bool = True
    montecarlo: MonteCarloOptions | None = None

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise UnknownNameError("simulation method", self.method, get_args(Method))
        if self.orbit not in get_args(OrbitKind):
            raise UnknownNameError("orbit", self.orbit, get_args(OrbitKind))
        if self.method == "analytic" and self.montecarlo is not None:
            raise InputError(
                "uncertainty, histories, time limit, threads, device, response and dead time belong to the method "
                "montecarlo"
            )


def scan_windows(nuclide: Nuclide, options: ScanOptions) -> tuple[Window, ...]:
    """Windows to acquire: those of the nuclide, those beside them, and others that were asked for.

    Raises
    ------
    UnknownNameError, InputError
        If a window is not one of the nuclide's, or cannot be read.
    """
    peaks, beside = nuclide_windows(nuclide, which=options.windows)
    others = []
    for text in options.more_windows:
        numbers = window_numbers(text)
        if len(numbers) != 2:
            raise InputError(f"{text!r}: another window is named by its limits in keV, low-high")
        others.append(Window(numbers[0], numbers[1], "extra"))
    return tuple(dict.fromkeys((*peaks, *beside, *others)))


def scan_orbit(hu: Volume, grid: Grid, options: ScanOptions) -> Orbit:
    """Circular orbit, or one that follows the body of the CT."""
    circle = Orbit.circular(options.views, radius_mm=options.radius_mm)
    if options.orbit == "circular":
        return circle
    return contour_orbit(body_region(hu), grid, np.asarray(circle.angle_deg), clearance_mm=options.clearance_mm)
