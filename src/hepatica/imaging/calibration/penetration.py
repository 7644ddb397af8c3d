"""How many of its counts a camera sees through lead: fitted from one source in air and one in water.

Through the holes and through lead, counts are attenuated and scattered differently by water: photons of high energy,
which cross lead, cross water too. With counts per second and megabecquerel through holes H and through lead L by the
camera's model, in air (a) and in water (w), a camera of another efficiency c and of kappa times the counts through lead
counts c (H + kappa L). The ratio of what it counts in water to what in air, r, does not depend on c:

    kappa = (H_w - r H_a) / (r L_a - L_w)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from hepatica.anatomy.phantoms.objects import water_cylinder
from hepatica.core import Estimate, Grid, Kind, Volume
from hepatica.core.message import Message
from hepatica.core.progress import Progress, silent
from hepatica.errors import GeometryError, InputError, PhysicsError
from hepatica.imaging.calibration.options import PhantomOptions
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.spect.camera.cameras import MAX_PENETRATION, MIN_PENETRATION, GammaCamera
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.projections import Projections, Window
from hepatica.imaging.spect.system import window_model
from hepatica.nuclides import Nuclide

HISTORIES = 400_000
"""Of each of the two simulations: the sum of all views is then known within 0.5 % or so."""

VOXEL_MM = 5.0
"""Of the simulated phantom."""

MIN_DIFFERENCE = 0.05
"""Least difference between the shares of counts through lead in air and in water: at it 1 % of the ratio of both
factors is 20 % of the counts through lead. With 20 cm of water and a high-energy collimator 90Y has 0.14, 131I 0.03."""


@dataclass(frozen=True, slots=True)
class HolesAndLead:
    """Counts per second and MBq of one head by the camera's model, through holes and by all other ways."""

    holes: float
    lead: float

    @property
    def share_through_lead(self) -> float:
        """Counts through lead over all."""
        return self.lead / (self.holes + self.lead)


def fitted_penetration(air: Estimate, water: Estimate, in_air: HolesAndLead, in_water: HolesAndLead) -> Estimate:
    """Counts through lead over those of the model.

    Parameters
    ----------
    air, water : Estimate
        Measured, of one head, in cps/MBq.
    in_air, in_water : HolesAndLead
        By the model.

    Raises
    ------
    PhysicsError
        If the two geometries do not differ enough, or no possible share of lead explains both factors.
    """
    if abs(in_air.share_through_lead - in_water.share_through_lead) < MIN_DIFFERENCE:
        raise PhysicsError(
            f"the share of counts through lead is {in_air.share_through_lead:.1%} in air and "
            f"{in_water.share_through_lead:.1%} in water: too much alike to tell them apart",
            remedy="take a larger cylinder, or the factor in air alone",
        )
    ratio = water.value / air.value
    below = ratio * in_air.lead - in_water.lead
    found = (in_water.holes - ratio * in_air.holes) / below if below else math.inf
    if not MIN_PENETRATION <= found <= MAX_PENETRATION:
        raise PhysicsError(
            f"water over air is {ratio:.3g} as measured and {_ratio(in_air, in_water):.3g} by the model; no possible "
            "share of counts through lead explains that",
            remedy="check activities, times, background and dead time of both, and the size of the cylinder",
        )
    if air.relative_sd is None or water.relative_sd is None:
        return Estimate(found, None)
    slope = (in_water.holes * in_air.lead - in_air.holes * in_water.lead) / below**2
    return Estimate(found, abs(slope) * ratio * math.hypot(air.relative_sd, water.relative_sd))


def calibrated_with_water(
    air: CameraCalibration,
    water: CameraCalibration,
    data: Projections,
    window: Window,
    phantom: PhantomOptions,
    *,
    camera: GammaCamera,
    nuclide: Nuclide,
    progress: Progress | None = None,
) -> CameraCalibration:
    """The factor in air with the counts through lead that a cylinder of water fits.

    Parameters
    ----------
    air, water : CameraCalibration
        Factors of the source in air, and of all counts of the cylinder's projections.
    data : Projections
        Of the cylinder.
    window : Window
        In which both were counted.
    phantom : PhantomOptions
        Size of the cylinder, and its centre in the projections' frame; else the axis of rotation and the middle of the
        counts.
    camera, nuclide
        What saw what.
    progress : callable, optional
        Told each step.

    Raises
    ------
    InputError, PhysicsError, GeometryError
        If the size is missing, the phantom is not in the field, or the two factors do not go together.
    """
    model = window_model(camera, nuclide, window)
    all_ways = 1e6 * model.sensitivity_cps_per_bq / model.holes_share
    in_air = HolesAndLead(all_ways * model.holes_share, all_ways * (1 - model.holes_share))
    in_water = cylinder_counts(data, window, phantom, camera=camera, nuclide=nuclide, progress=progress)
    found = fitted_penetration(air.factor, water.factor, in_air, in_water)
    fit = HolesAndLead(in_air.holes, found.value * in_air.lead)
    text = (
        f"counts through lead are {found} times those of the model of {camera.name}: in air "
        f"{1 - fit.share_through_lead:.0%} of the counts come through holes, {model.holes_share:.0%} by the model"
    )
    said = tuple(message for message in air.messages if message.code != "sensitivity-unlike-model")
    return replace(air, penetration=found, messages=(*said, Message("penetration-fitted", text, severity="note")))


def cylinder_counts(
    data: Projections,
    window: Window,
    phantom: PhantomOptions,
    *,
    camera: GammaCamera,
    nuclide: Nuclide,
    seed: int = 23,
    progress: Progress | None = None,
) -> HolesAndLead:
    """Mean counts of a view by the model of a cylinder of water of 1 MBq, by Monte Carlo; errors as above."""
    report_progress = progress or silent
    if phantom.diameter_mm is None or phantom.length_mm is None:
        raise InputError("a cylinder needs `diameter_mm` and `length_mm`")
    placed = data if data.axis_mm is not None else data.placed((0.0, 0.0, 0.0), None)
    grid = placed.grid()
    centre = phantom.centre_mm or _middle(placed, grid)
    around = _grid_about(centre, phantom.diameter_mm, phantom.length_mm).with_frame_of_reference(
        grid.frame_of_reference
    )
    made = water_cylinder(around, diameter_mm=phantom.diameter_mm, length_mm=phantom.length_mm, centre_mm=centre)
    activity = made.activity({"cylinder": 1.0}, time=None)
    total = float(activity.total)
    if not total > 0:
        raise GeometryError("the cylinder holds no voxel of the simulation", remedy="check `diameter_mm`")
    one = Volume(activity.grid, activity.values / np.float32(total), Kind.ACTIVITY)
    response = detector_response(replace(camera, penetration=1.0))
    none = np.zeros_like(response.geometric)
    rates = []
    for text, part in (("holes", replace(response, through=none)), ("lead", replace(response, geometric=none))):
        report_progress(f"cylinder of water, counts through {text}")
        setup = SpectSetup(camera, nuclide, placed.orbit, (window,), grid, part)
        projector = MonteCarloProjector(made.hu, setup, voxel_mm=VOXEL_MM)
        found = projector.project(one, ProjectionSettings(histories=HISTORIES, seed=seed))
        views = float((found.primary + found.other).sum(dtype=np.float64)) / placed.orbit.views
        rates.append(1e6 * views)
    return HolesAndLead(*rates)


def _ratio(in_air: HolesAndLead, in_water: HolesAndLead) -> float:
    return (in_water.holes + in_water.lead) / (in_air.holes + in_air.lead)


def _middle(data: Projections, grid: Grid) -> tuple[float, float, float]:
    """The axis of rotation, and the mean row of the counts."""
    rows = data.counts.sum(axis=(0, 1, 2), dtype=np.float64)
    middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2)
    row = float(rows @ np.arange(rows.size) / rows.sum())
    return float(middle[0]), float(middle[1]), float(grid.origin_mm[2] + row * grid.spacing_mm[2])


def _grid_about(centre: tuple[float, float, float], diameter_mm: float, length_mm: float) -> Grid:
    sizes = np.array([diameter_mm, diameter_mm, length_mm]) + 30
    shape = tuple(int(n) for n in np.ceil(sizes / VOXEL_MM))
    origin = tuple(float(c - VOXEL_MM * (n - 1) / 2) for c, n in zip(centre, shape, strict=True))
    return Grid.axial(shape, spacing_mm=(VOXEL_MM,) * 3, origin_mm=origin)
