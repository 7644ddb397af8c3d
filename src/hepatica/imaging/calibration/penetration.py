"""How many of its counts a camera sees through lead: fitted from one source in air and one in water.

Through the holes and through lead, counts are attenuated and scattered differently by water: photons of high energy,
which cross lead, cross water too. With counts per second and megabecquerel through holes H and through lead L by the
camera's model, in air (a) and in water (w), a camera of another efficiency c and of kappa times the counts through lead
counts c (H + kappa L). The ratio of what it counts in water to what in air, r, does not depend on c:

    kappa = (H_w - r H_a) / (r L_a - L_w)

What both measurements have in common cancels in r with c: of one source at two distances what the activity meter and
the clock say (JCGM 100:2008, 5.2.2 and its example: quantities measured by one instrument).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.phantoms.objects import water_cylinder
from hepatica.anatomy.phantoms.solids import Ball, sampled
from hepatica.core import Estimate, Grid, Kind, Volume, decay_factor, seconds_between
from hepatica.core.message import Message
from hepatica.core.progress import Progress, silent
from hepatica.errors import GeometryError, InputError, PhysicsError
from hepatica.imaging.calibration.options import PhantomOptions
from hepatica.imaging.quantify.camera_factor import CameraCalibration, Component
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

SEED = 23
"""Of the random numbers of water."""

SAME_SIZE, SAME_ACTIVITY = 0.02, 2e-3
"""Difference of the shares that two sources' own water leaves of the counts through holes from which on they are not of
one size (the Monte Carlo knows each to half a per cent), and of the activities stated from which on they are not of one
measurement."""

SHARED = ("activity meter", "clock", "half-life", "dead time")
"""Parts of a factor's uncertainty that have one cause at both distances of one source."""

MIN_DIFFERENCE = 0.05
"""Least difference between the shares of counts through lead in air and in water: at it 1 % of the ratio of both
factors is 20 % of the counts through lead. A source at 10 cm and 20 cm of water, under a high-energy collimator, have
0.08 of 90Y, nothing of 131I."""


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
    ratio: Estimate, in_air: HolesAndLead, in_water: HolesAndLead, *, second: str = IN_WATER
) -> Estimate:
    """Counts through lead over those of the model.

    Parameters
    ----------
    ratio : Estimate
        What one head counts for a becquerel in the second geometry over that in the first, with the uncertainty of that
        ratio.
    in_air, in_water : HolesAndLead
        By the model, in the first geometry and in the second.
    second : str
        What the second geometry is, in messages: in water, or in air at another distance.

    Raises
    ------
    PhysicsError
        If the two geometries do not differ enough, or no possible share of lead explains the ratio.
    """
    if abs(in_air.share_through_lead - in_water.share_through_lead) < MIN_DIFFERENCE:
        raise PhysicsError(
            f"the share of counts through lead is {in_air.share_through_lead:.1%} in air and "
            f"{in_water.share_through_lead:.1%} {second}: too much alike to tell them apart",
            remedy=("take a larger cylinder" if second == IN_WATER else "measure one much nearer than the other")
            + ", or the first factor in air alone",
        )
    below = ratio.value * in_air.lead - in_water.lead
    found = (in_water.holes - ratio.value * in_air.holes) / below if below else math.inf
    if not MIN_PENETRATION <= found <= MAX_PENETRATION:
        raise PhysicsError(
            f"{second} over the first in air is {ratio.value:.3g} as measured and "
            f"{in_water.total / in_air.total:.3g} by the "
            "model; no possible share of counts through lead explains that",
            remedy="check activities, times, background and dead time of both, and size and place of the sources",
        )
    if ratio.sd is None:
        return Estimate(found, None)
    slope = (in_air.holes * in_water.lead - in_water.holes * in_air.lead) / below**2
    return Estimate(found, abs(slope) * ratio.sd)


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
    """The factor in air with the counts through lead that a cylinder or ball of water fits.

    Parameters
    ----------
    air, water : CameraCalibration
        Factors of the source in air, and of all counts of the projections of water: two fillings, of which what the
        activity meter says counts twice.
    data : Projections
        Of the water.
    window : Window
        In which both were counted.
    phantom : PhantomOptions
        Size of the cylinder, or of a ball, which has no length, and its centre in the projections' frame; else the axis
        of rotation and the middle of the counts.
    camera, nuclide
        What saw what.
    progress : callable, optional
        Told each step.

    Raises
    ------
    InputError, PhysicsError, GeometryError
        If the size is missing, the phantom is not in the field, or the two factors do not go together.
    """
    in_water = water_counts(data, window, phantom, camera=camera, nuclide=nuclide, progress=progress)
    second = Second(IN_WATER, in_water, water.factor.value, air.factor.relative_sd, water.factor.relative_sd, MODEL_SD)
    return _with_penetration(air, second, window, camera, nuclide)


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
    counted = far.factor.value * there.total / bare.total
    different = _unlike_sources(near, far, nuclide)
    if different is not None:
        of_both = (near.factor.relative_sd, far.factor.relative_sd, 0.0)
        found = _with_penetration(near, Second(FARTHER, there, counted, *of_both), window, camera, nuclide)
        return replace(found, messages=(*found.messages, different))
    shared = _shared_relative_sd(near, far, nuclide)
    second = Second(FARTHER, there, counted, _own_relative_sd(near), _own_relative_sd(far), shared)
    return _with_penetration(near, second, window, camera, nuclide)


@dataclass(frozen=True, slots=True)
class Second:
    """A second geometry: what it is, the model of it, what was counted, and what leaves the ratio to the first open.

    `first_sd` and `own_sd` are relative standard uncertainties that the first and this one do not share, `further_sd`
    what the ratio has besides: the model of water, or what is left of shared parts. None where not known.
    """

    name: str
    by_model: HolesAndLead
    cps_per_mbq: float
    first_sd: float | None
    own_sd: float | None
    further_sd: float | None

    @property
    def ratio_sd(self) -> float | None:
        """Relative standard uncertainty of the ratio of both."""
        parts = (self.first_sd, self.own_sd, self.further_sd)
        return None if None in parts else math.hypot(*(part or 0.0 for part in parts))


def _own_relative_sd(found: CameraCalibration) -> float | None:
    """Relative uncertainty of a factor without what another distance of the same source shares with it."""
    if not found.budget:
        return found.factor.relative_sd
    own = [part.relative_sd for part in found.budget if part.name not in SHARED]
    return None if None in own else math.hypot(*(part or 0.0 for part in own))


def _shared_relative_sd(near: CameraCalibration, far: CameraCalibration, nuclide: Nuclide) -> float | None:
    """What shared parts leave in the ratio.

    Of meter and clock nothing, of the half-life the decay from one exposure to the other, of the dead time the
    difference of both.
    """
    relative = nuclide.half_life.relative_sd
    busy = [part.relative_sd for one in (near, far) for part in one.budget if part.name == "dead time"]
    if relative is None or None in busy:
        return None
    elapsed = seconds_between(near.measured_at, far.measured_at)
    lost = [part or 0.0 for part in busy]
    decay = math.log(2) / nuclide.half_life.value * elapsed * relative
    return math.hypot(decay, lost[0] - lost[1] if len(lost) == 2 else sum(lost))


def _unlike_sources(near: CameraCalibration, far: CameraCalibration, nuclide: Nuclide) -> Message | None:
    """That two sources are not one, by size or activity; None where they are."""
    assert near.kept_in_air is not None
    assert far.kept_in_air is not None
    first, other = near.kept_in_air[0], far.kept_in_air[0]
    elapsed = seconds_between(near.measured_at, far.measured_at)
    expected = near.activity_mbq * decay_factor(elapsed, nuclide.half_life.value)
    if abs(first / other - 1) > SAME_SIZE:
        text = (
            f"of the counts through holes the water of the first source leaves {first:.3f}, that of the second "
            f"{other:.3f}: they are not of one size"
        )
    elif abs(far.activity_mbq / expected - 1) > SAME_ACTIVITY:
        text = (
            f"the first source holds {expected:.5g} MBq at the second exposure, the second {far.activity_mbq:.5g}: "
            "they are not one measurement of activity"
        )
    else:
        return None
    text += "; what the activity meter says of each counts, and is in the uncertainty twice"
    return Message("sources-differ", text, "measure the same source at both distances, with its activity stated alike")


def _with_penetration(
    air: CameraCalibration, second: Second, window: Window, camera: GammaCamera, nuclide: Nuclide
) -> CameraCalibration:
    """The factor in air with the counts through lead that a second geometry fits."""
    if air.penetration is not None:
        raise InputError(
            "counts through lead are fitted in the first factor already",
            remedy="give the factor in air as it was before, with `calibration`",
        )
    bare = bare_source(window_model(replace(camera, penetration=1.0), nuclide, window))
    kept = air.kept_in_air or (1.0, 1.0)
    in_air = HolesAndLead(kept[0] * bare.holes, kept[1] * bare.lead)
    # As counted: the factor has the source's own losses taken out for a camera with the model's counts through lead.
    counted = scaled(air.factor, in_air.total / bare.total)
    ratio, relative = second.cps_per_mbq / counted.value, second.ratio_sd
    measured = Estimate(ratio, None if relative is None else ratio * relative)
    found = fitted_penetration(measured, in_air, second.by_model, second=second.name)
    fit, seen = bare.with_lead(found.value), in_air.with_lead(found.value)
    of_lead = Component("counts through lead", _of_lead(second, found, in_air, fit, seen), f"fitted {second.name}")
    text = (
        f"counts through lead are {found} times those of the model of {camera.name}: in air "
        f"{1 - fit.share_through_lead:.0%} of the counts come through holes, {1 - bare.share_through_lead:.0%} by the "
        "model; an energy window that lies elsewhere than stated is in it too: counts in two geometries cannot tell it "
        "from lead"
    )
    if found.sd is not None:
        share = fit.share_through_lead * found.sd / found.value
        text += f"; an image with scatter by Monte Carlo has {share:.1%} of uncertainty by that"
    said = tuple(message for message in air.messages if message.code != "sensitivity-unlike-model")
    if of_lead.relative_sd is None and air.factor.sd is not None:
        unknown = "the uncertainty of the factor is not known: that of the second geometry is not stated"
        said += (Message("calibration-uncertainty-unknown", unknown, "state `source_activity_sd` of both"),)
    return replace(
        air,
        factor=with_relative(scaled(counted, fit.total / seen.total), of_lead.relative_sd),
        budget=(*air.budget, of_lead),
        penetration=found,
        messages=(*said, Message("penetration-fitted", text, severity="note")),
    )


def _of_lead(
    second: Second, found: Estimate, in_air: HolesAndLead, fit: HolesAndLead, seen: HolesAndLead
) -> float | None:
    """What the fit adds to the relative uncertainty of the factor of a bare source, N (H + kappa L) / (h + kappa l).

    With g = d ln((H + kappa L) / (h + kappa l)) / d ln r, ln of the factor is (1 - g) ln N + g ln (second), so that to
    the first's own u(N)^2 are added g^2 u(r)^2 - 2 g u(N)^2.
    """
    if found.sd is None or second.first_sd is None or second.ratio_sd is None:
        return None
    if not second.ratio_sd:
        return 0.0
    # More lead is a smaller ratio where the second geometry has the smaller share of it.
    sign = 1 if second.by_model.share_through_lead > in_air.share_through_lead else -1
    slope = (fit.share_through_lead - seen.share_through_lead) / found.value
    g = sign * slope * found.sd / second.ratio_sd
    return math.sqrt(max(0.0, (g * second.ratio_sd) ** 2 - 2 * g * second.first_sd**2))


def bare_source(model: WindowModel) -> HolesAndLead:
    """Counts per second and MBq by a camera's model of a source in air without matter, in an endless field."""
    total = 1e6 * model.sensitivity_cps_per_bq / model.holes_share
    return HolesAndLead(total * model.holes_share, total * (1 - model.holes_share))


def with_relative(factor: Estimate, relative_sd: float | None) -> Estimate:
    """An estimate with another relative uncertainty added in squares; None where either is not known."""
    known = factor.relative_sd
    if known is None or relative_sd is None:
        return Estimate(factor.value, None)
    return Estimate(factor.value, factor.value * math.hypot(known, relative_sd))


def scaled(factor: Estimate, by: float) -> Estimate:
    """An estimate times a known number."""
    return Estimate(factor.value * by, None if factor.sd is None else factor.sd * by)


def water_counts(
    data: Projections,
    window: Window,
    phantom: PhantomOptions,
    *,
    camera: GammaCamera,
    nuclide: Nuclide,
    progress: Progress | None = None,
) -> HolesAndLead:
    """Mean counts of a view by the model of a cylinder or ball of water of 1 MBq, by Monte Carlo; errors as above."""
    report_progress = progress or silent
    if phantom.diameter_mm is None:
        raise InputError("a cylinder needs `diameter_mm` and `length_mm`, a sphere `diameter_mm`")
    placed = data if data.axis_mm is not None else data.placed((0.0, 0.0, 0.0), None)
    grid = placed.grid()
    centre = phantom.centre_mm or middle_of_counts(placed, grid)
    around = _grid_about(centre, phantom.diameter_mm, phantom.length_mm or phantom.diameter_mm)
    hu, share = _water(around.with_frame_of_reference(grid.frame_of_reference), phantom, centre)
    total = float(share.sum(dtype=np.float64))
    if not total > 0:
        raise GeometryError("the water holds no voxel of the simulation", remedy="check `diameter_mm`")
    one = Volume(hu.grid, share / np.float32(total), Kind.ACTIVITY)
    seen = SpectSetup(camera, nuclide, placed.orbit, (window,), grid)
    report_progress(f"{'cylinder' if phantom.length_mm else 'ball'} of water, by Monte Carlo")
    return counts_by_model(hu, one, seen, seed=SEED, voxel_mm=VOXEL_MM)


def _water(
    grid: Grid, phantom: PhantomOptions, centre: tuple[float, float, float]
) -> tuple[Volume, NDArray[np.float32]]:
    """HU of a cylinder in its wall, or of a ball in air, and where its activity is."""
    assert phantom.diameter_mm is not None
    if phantom.length_mm is not None:
        made = water_cylinder(grid, diameter_mm=phantom.diameter_mm, length_mm=phantom.length_mm, centre_mm=centre)
        return made.hu, made.activity({"cylinder": 1.0}, time=None).values.astype(np.float32)
    region = sampled("sphere", Ball(centre, phantom.diameter_mm), grid)
    share = np.zeros(grid.shape, np.float32)
    share[region.window] = region.coverage
    return Volume(grid, (1000 * share - 1000).astype(np.float32), Kind.HU), share


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
