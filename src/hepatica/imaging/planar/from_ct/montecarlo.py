"""Scatter and penetration in planar views by Monte Carlo, organ by organ.

Where photons of high energy come through lead, or bremsstrahlung has no peak, windows beside the photopeak do not show
what is scattered in it (188Re, 166Ho, 90Y). Each organ of the patient's CT is given one becquerel, and both heads are
simulated: what comes unscattered through holes fixes the size of the organ's template, all the rest is an image that is
fitted with it. The fit of the views by both is linear in the organs' activities, so that nothing has to be iterated.

Everything is over what one head counts of one becquerel in air, by holes and by lead, so that a camera factor measured
in air without scatter correction belongs to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.core.options import Limits, NonNegative, Positive, options
from hepatica.core.progress import Progress, silent
from hepatica.errors import InputError
from hepatica.imaging.planar.from_ct.projection import BodyModel, Projected, blurred
from hepatica.imaging.planar.simulate import ANTERIOR_DEG, POSTERIOR_DEG, seen_from_the_front
from hepatica.imaging.spect.camera.cameras import gamma_camera
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import MonteCarloProjections, ProjectionSettings
from hepatica.imaging.spect.projections import Orbit, Window
from hepatica.nuclides import Nuclide

FloatArray = NDArray[np.float64]

MONTECARLO_NUCLIDES = ("Re-188", "Ho-166", "Y-90")
"""Whose photopeak holds more scatter and penetration of higher energies, or bremsstrahlung, than windows beside it
show: with them shares of virtual patients were off by up to 7 points (docs/biodistribution.md)."""

PARTS = 5
"""Independent parts of each organ's run, for the noise of the Monte Carlo in every result."""

MARGIN_MM = 120.0
"""Of the views beside the CT, into which scatter and penetration spread: of 188Re under a high-energy collimator 7 to
10 % of an organ's counts lie farther out, too thin to matter in a fit. Our choice."""


@options
class PlanarMonteCarloOptions:
    """Scatter of planar views by Monte Carlo.

    Attributes
    ----------
    camera : str or None
        Camera and collimator by name; those that the file names if not given.
    distance_mm : float
        From the patient's middle to either collimator.
    distance_sd_mm : float
        Standard uncertainty of that distance.
    montecarlo_smoothing_mm : float
        Smoothing of the scattered counts, FWHM.
    histories : int
        Photons and electrons followed for each organ.
    seed : int
        Seed of the random numbers.
    device : {"cpu", "cuda"}
        Where the Monte Carlo runs.
    """

    camera: str | None = None
    distance_mm: Annotated[float, Limits(low=50, high=600)] = 220.0
    distance_sd_mm: NonNegative = 20.0
    montecarlo_smoothing_mm: Positive = 12.0
    histories: Annotated[int, Limits(low=5000, high=10**10)] = 200_000
    seed: Annotated[int, Limits(low=0, below=2**63)] = 1
    device: Literal["cpu", "cuda"] = "cpu"

    def named(self, camera: str) -> PlanarMonteCarloOptions:
        """The same with the camera that a file names, where none is stated."""
        return self if self.camera is not None or not camera else replace(self, camera=camera)


@dataclass(frozen=True, slots=True, eq=False)
class OrganResponse:
    """What both views count of each organ, over what one head counts of it in air.

    Attributes
    ----------
    gain : ndarray, shape (organs, views)
        Unscattered counts through holes over those of the analytic template.
    other : ndarray, shape (organs, views, x, z)
        All other counts.
    camera : str
        Its model's name.
    left_out : tuple of OrganResponse
        The same without one part of the histories, for each.
    farther : OrganResponse or None
        With the heads one standard uncertainty farther away.
    """

    gain: FloatArray
    other: FloatArray
    camera: str = ""
    left_out: tuple[OrganResponse, ...] = ()
    farther: OrganResponse | None = None

    def applied_to(self, found: Projected) -> Projected:
        """Analytic templates with the Monte Carlo's size, and all other counts beside them."""
        return replace(found, templates=found.templates * self.gain[:, :, None, None], other=self.other)


def organ_response(
    hu: Volume,
    body: BodyModel,
    *,
    mu_scale: float,
    nuclide: Nuclide,
    window: Window,
    options: PlanarMonteCarloOptions,
    progress: Progress | None = None,
) -> OrganResponse:
    """Simulate both heads for each organ of a CT.

    Parameters
    ----------
    hu : Volume
        CT in HU.
    body : BodyModel
        Its organs in the camera's columns, with a margin of `MARGIN_MM`.
    mu_scale : float
        Of the analytic templates.
    nuclide, window : Nuclide, Window
        What emits, and the photopeak.
    options : PlanarMonteCarloOptions
        Camera, distance, histories.
    progress : callable, optional
        Told each organ.

    Raises
    ------
    InputError
        If the camera is not known.
    PhysicsError
        If no photon of the nuclide can be counted in the window, or the camera has no response table.
    """
    if options.camera is None:
        raise InputError(
            "scatter by Monte Carlo needs the camera with its collimator, which the planar files do not name",
            remedy="state `camera`, or take another `planar_scatter`",
        )
    analytic = body.projected(mu_scale=mu_scale).templates.sum(axis=(2, 3))
    camera, say = gamma_camera(options.camera), progress or silent

    def setup(distance_mm: float) -> SpectSetup:
        orbit = Orbit(np.array([ANTERIOR_DEG, POSTERIOR_DEG]), np.full(2, distance_mm))
        return SpectSetup(camera, nuclide, orbit, (window,), body.grid)

    found = _simulated(hu, body, analytic, setup(options.distance_mm), options, PARTS, say)
    if not options.distance_sd_mm:
        return found
    fewer = replace(options, histories=max(options.histories // 2, 5000))
    away = setup(options.distance_mm + options.distance_sd_mm)
    return replace(found, farther=_simulated(hu, body, analytic, away, fewer, 1, say))


def _simulated(
    hu: Volume,
    body: BodyModel,
    analytic: FloatArray,
    setup: SpectSetup,
    options: PlanarMonteCarloOptions,
    parts: int,
    progress: Progress,
) -> OrganResponse:
    progress("scatter: preparing the Monte Carlo")
    projector = MonteCarloProjector(hu, setup, device=options.device)
    in_air = float(projector.sensitivity_in_air()[0].sum())
    covered = _inside(hu.grid, body.grid)
    gain = np.ones((parts, *analytic.shape))
    other = np.zeros((parts, *analytic.shape, body.grid.shape[0], body.grid.shape[2]))
    for number, name in enumerate(body.names):
        held = body.shares[number][:, :, ::-1].astype(np.float64) * covered
        if not held.sum() > 0:
            continue
        progress(f"scatter: {name} at {setup.orbit.radius_mm[0]:g} mm")
        activity = Volume(body.grid, (held / held.sum()).astype(np.float32), Kind.ACTIVITY)
        for part in range(parts):
            seed = int(np.random.SeedSequence([options.seed, part, number]).generate_state(1)[0])
            settings = ProjectionSettings(histories=max(options.histories // parts, 1), seed=seed)
            made = projector.project(activity, settings)
            gain[part, number] = made.primary[0].sum(axis=(1, 2)) / in_air / analytic[number]
            other[part, number] = _other(made, body, options.montecarlo_smoothing_mm) / in_air
    without = [np.arange(parts) != part for part in range(parts)] if parts > 1 else []
    name = projector.camera.name
    left_out = tuple(OrganResponse(gain[kept].mean(axis=0), other[kept].mean(axis=0), name) for kept in without)
    return OrganResponse(gain.mean(axis=0), other.mean(axis=0), name, left_out)


def _other(made: MonteCarloProjections, body: BodyModel, smoothing_mm: float) -> FloatArray:
    """Counts per becquerel that scattered or crossed lead, as the anterior view is seen, smoothed."""
    views = seen_from_the_front(made.other[0].astype(np.float64), ("anterior", "posterior"))
    return np.stack([blurred(view, body.pixel_mm, smoothing_mm) for view in views])


def _inside(ct: Grid, columns: Grid) -> NDArray[np.bool_]:
    """Voxels whose middle lies in the CT."""
    index = ct.to_index(columns.to_mm(np.moveaxis(np.indices(columns.shape), 0, -1).reshape(-1, 3)))
    inside = ((index >= -0.5) & (index <= np.asarray(ct.shape) - 0.5)).all(axis=1)
    return np.asarray(inside.reshape(columns.shape))
