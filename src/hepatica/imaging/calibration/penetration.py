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
from hepatica.imaging.spect.camera.cameras import MAX_PENETRATION, MIN_PENETRATION, GammaCamera, gamma_camera
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.projections import Projections, Window
from hepatica.imaging.spect.system import WindowModel, window_model
from hepatica.nuclides import Nuclide

HISTORIES = 400_000
"""Of each of the two simulations."""
MODEL_SD = 0.005
"""Relative standard uncertainty that so many leave of the sum of all views."""

VOXEL_MM = 5.0
"""Of the simulated phantom."""

IN_WATER, FARTHER = "in water", "in air at the other distance"
"""What the second geometry is."""

SAME_SOURCE = 0.02
"""Difference of the shares that two sources' own water leaves of the counts through holes from which on they are not of
one size; the Monte Carlo knows each to half a per cent."""

MIN_DIFFERENCE = 0.05
"""Least difference between the shares of counts through lead in air and in water: at it 1 % of the ratio of both
factors is 20 % of the counts through lead. With 20 cm of water and a high-energy collimator 90Y has 0.14, 131I 0.03."""


@dataclass(frozen=True, slots=True)
class HolesAndLead:
    """Counts per second and MBq of one head by the camera's model, through holes and by all other ways."""

    holes: float
    lead: float

    @property
    def total(self) -> float:
        """Counts by all ways."""
        return self.holes + self.lead

    def with_lead(self, times: float) -> HolesAndLead:
        """Those of a camera with so many times the counts through lead."""
        return HolesAndLead(self.holes, times * self.lead)

    @property
    def share_through_lead(self) -> float:
        """Counts through lead over all."""
        return self.lead / self.total


def fitted_penetration(
    air: Estimate, water: Estimate, in_air: HolesAndLead, in_water: HolesAndLead, *, second: str = IN_WATER
) -> Estimate:
    """Counts through lead over those of the model.

    Parameters
    ----------
    air, water : Estimate
        Measured, of one head, in cps/MBq.
    in_air, in_water : HolesAndLead
        By the model.
    second : str
        What the second geometry is, in messages: in water, or in air at another distance.

    Raises
    ------
    PhysicsError
        If the two geometries do not differ enough, or no possible share of lead explains both factors.
    """
    if abs(in_air.share_through_lead - in_water.share_through_lead) < MIN_DIFFERENCE:
        raise PhysicsError(
            f"the share of counts through lead is {in_air.share_through_lead:.1%} in air and "
            f"{in_water.share_through_lead:.1%} {second}: too much alike to tell them apart",
            remedy=("take a larger cylinder" if second == IN_WATER else "measure one much nearer than the other")
            + ", or the first factor in air alone",
        )
    ratio = water.value / air.value
    below = ratio * in_air.lead - in_water.lead
    found = (in_water.holes - ratio * in_air.holes) / below if below else math.inf
    if not MIN_PENETRATION <= found <= MAX_PENETRATION:
        raise PhysicsError(
            f"{second} over the first in air is {ratio:.3g} as measured and {_ratio(in_air, in_water):.3g} by the "
            "model; no possible share of counts through lead explains that",
            remedy="check activities, times, background and dead time of both, and size and place of the sources",
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
    in_water = cylinder_counts(data, window, phantom, camera=camera, nuclide=nuclide, progress=progress)
    return _with_penetration(air, with_relative(water.factor, MODEL_SD), in_water, window, camera, nuclide)


def calibrated_near_and_far(
    near: CameraCalibration, far: CameraCalibration, window: Window, *, camera: GammaCamera, nuclide: Nuclide
) -> CameraCalibration:
    """The factor in air with the counts through lead that the same source at another distance fits.

    Counts through holes are the same at any distance; of those through lead the fewer fall into the field the farther
    the source is. Both factors are those of sources whose size is stated (`kept_in_air`).

    Raises
    ------
    InputError, PhysicsError
        If a size is not stated, or the two factors do not go together.
    """
    if near.kept_in_air is None or far.kept_in_air is None:
        raise InputError(
            "two distances in air give the counts through lead where the model of both is known",
            remedy="state `diameter_mm` of the source in both, and turn it round, so that field and distance are known",
        )
    bare = bare_source(window_model(replace(camera, penetration=1.0), nuclide, window))
    there = HolesAndLead(far.kept_in_air[0] * bare.holes, far.kept_in_air[1] * bare.lead)
    counted = scaled(far.factor, there.total / bare.total)
    # Of the same source, what the activity meter said is the same in both: it is counted once, in the first.
    own = [part.relative_sd for part in far.budget if part.name != "activity meter"]
    relative = None if None in own else math.hypot(*(part or 0.0 for part in own))
    counted = Estimate(counted.value, None if relative is None else counted.value * relative)
    found = _with_penetration(near, counted, there, window, camera, nuclide, second_is=FARTHER)
    first, other = near.kept_in_air[0], far.kept_in_air[0]
    if abs(first / other - 1) <= SAME_SOURCE:
        return found
    text = (
        f"of the counts through holes the water of the first source leaves {first:.3f}, that of the second "
        f"{other:.3f}: they are not of one size, so that what the activity meter says of each counts, and is not in "
        "the uncertainty"
    )
    said = Message("sources-differ", text, "measure the same source at both distances")
    return replace(found, messages=(*found.messages, said))


def _with_penetration(
    air: CameraCalibration,
    second: Estimate,
    by_model: HolesAndLead,
    window: Window,
    camera: GammaCamera,
    nuclide: Nuclide,
    *,
    second_is: str = IN_WATER,
) -> CameraCalibration:
    """The factor in air with the counts through lead that a second geometry fits, as counted and by the model."""
    bare = bare_source(window_model(replace(camera, penetration=1.0), nuclide, window))
    kept = air.kept_in_air or (1.0, 1.0)
    in_air = HolesAndLead(kept[0] * bare.holes, kept[1] * bare.lead)
    # As counted: the factor has the source's own losses taken out for a camera with the model's counts through lead.
    counted = scaled(air.factor, in_air.total / bare.total)
    found = fitted_penetration(counted, second, in_air, by_model, second=second_is)
    fit, seen = bare.with_lead(found.value), in_air.with_lead(found.value)
    text = (
        f"counts through lead are {found} times those of the model of {camera.name}: in air "
        f"{1 - fit.share_through_lead:.0%} of the counts come through holes, {1 - bare.share_through_lead:.0%} by the "
        "model"
    )
    said = tuple(message for message in air.messages if message.code != "sensitivity-unlike-model")
    return replace(
        air,
        factor=scaled(counted, fit.total / seen.total),
        penetration=found,
        messages=(*said, Message("penetration-fitted", text, severity="note")),
    )


def bare_source(model: WindowModel) -> HolesAndLead:
    """Counts per second and MBq by a camera's model of a source in air without matter, in an endless field."""
    total = 1e6 * model.sensitivity_cps_per_bq / model.holes_share
    return HolesAndLead(total * model.holes_share, total * (1 - model.holes_share))


def with_relative(factor: Estimate, relative_sd: float) -> Estimate:
    """An estimate with another relative uncertainty added in squares."""
    known = factor.relative_sd
    return Estimate(factor.value, None if known is None else factor.value * math.hypot(known, relative_sd))


def scaled(factor: Estimate, by: float) -> Estimate:
    """An estimate times a known number."""
    return Estimate(factor.value * by, None if factor.sd is None else factor.sd * by)


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
    centre = phantom.centre_mm or middle_of_counts(placed, grid)
    around = _grid_about(centre, phantom.diameter_mm, phantom.length_mm).with_frame_of_reference(
        grid.frame_of_reference
    )
    made = water_cylinder(around, diameter_mm=phantom.diameter_mm, length_mm=phantom.length_mm, centre_mm=centre)
    activity = made.activity({"cylinder": 1.0}, time=None)
    total = float(activity.total)
    if not total > 0:
        raise GeometryError("the cylinder holds no voxel of the simulation", remedy="check `diameter_mm`")
    one = Volume(activity.grid, activity.values / np.float32(total), Kind.ACTIVITY)
    seen = SpectSetup(camera, nuclide, placed.orbit, (window,), grid)
    report_progress("cylinder of water, by Monte Carlo")
    return counts_by_model(made.hu, one, seen, seed=seed, voxel_mm=VOXEL_MM)


def counts_by_model(hu: Volume, one: Volume, seen: SpectSetup, *, seed: int, voxel_mm: float) -> HolesAndLead:
    """Mean counts of a view by the model of one becquerel in an object of water, times 10^6, by Monte Carlo.

    Parameters
    ----------
    hu : Volume
        The object.
    one : Volume
        Where the becquerel is.
    seen : SpectSetup
        By what; its response is not used.
    seed : int
        Of the random numbers.
    voxel_mm : float
        In which photons are followed.
    """
    response = detector_response(replace(gamma_camera(seen.camera), penetration=1.0))
    none = np.zeros_like(response.geometric)
    rates = []
    for part in (replace(response, through=none), replace(response, geometric=none)):
        projector = MonteCarloProjector(hu, replace(seen, response=part), voxel_mm=voxel_mm)
        found = projector.project(one, ProjectionSettings(histories=HISTORIES, seed=seed))
        rates.append(1e6 * float((found.primary + found.other).sum(dtype=np.float64)) / seen.orbit.views)
    return HolesAndLead(*rates)


def _ratio(in_air: HolesAndLead, in_water: HolesAndLead) -> float:
    return in_water.total / in_air.total


def middle_of_counts(data: Projections, grid: Grid) -> tuple[float, float, float]:
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
