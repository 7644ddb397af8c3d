"""What a source "in air" keeps for itself: its own water takes photons, and betas that leave it make none.

A camera factor in air is that of a source without matter, in an endless field. 90Y has its photons from betas that
stop: a ball of 3 cm of water in air counts 14 % less than if all of them stopped and no photon were lost, one of 1.5 cm
20 % less; one of 3 cm with 131I 10 % less. Of the counts through lead many fall beside a field of 40 by 53 cm: of 90Y
13 % of a source at 5 cm, half at 35 cm. Left in the factor this is taken for a camera unlike its model, and for lead.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hepatica.anatomy.phantoms.objects import grid_around
from hepatica.anatomy.phantoms.solids import Ball, Solid, cylinder, sampled
from hepatica.core import Grid, Kind, Volume
from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.imaging.calibration.options import PhantomOptions
from hepatica.imaging.calibration.penetration import (
    MODEL_SD,
    bare_source,
    counts_by_model,
    middle_of_counts,
    scaled,
    with_relative,
)
from hepatica.imaging.quantify.camera_factor import CameraCalibration, Component
from hepatica.imaging.spect.camera.cameras import GammaCamera
from hepatica.imaging.spect.montecarlo.projector import SpectSetup
from hepatica.imaging.spect.projections import Orbit, Projections, Window
from hepatica.imaging.spect.system import window_model
from hepatica.nuclides import Nuclide

SEED = 29
FIELD = (64, 20.0)
"""Pixels across and their size in mm, of a field that holds all counts of a planar exposure; at 15 cm."""
VOXELS = 8
"""Across the smallest dimension of the source."""


def without_own_water(
    found: CameraCalibration,
    phantom: PhantomOptions,
    data: Projections | None,
    window: Window,
    *,
    camera: GammaCamera,
    nuclide: Nuclide,
) -> CameraCalibration:
    """The factor in air of a source without matter, from that of a dish, ball or vial of water.

    Parameters
    ----------
    found : CameraCalibration
        As counted.
    phantom : PhantomOptions
        Diameter; of a dish and a vial the length too.
    data : Projections or None
        Of a source that was turned round: with their field and orbit; None for planar exposures, whose field is taken
        to hold all counts.
    window : Window
        In which was counted.
    camera, nuclide
        What saw what.

    Raises
    ------
    InputError
        If sizes are missing.
    """
    planar = found.source == "planar"
    if phantom.diameter_mm is None or (planar and phantom.length_mm is None):
        raise InputError("the water of a dish needs `diameter_mm` and, for its depth, `length_mm`")
    thin = min(phantom.diameter_mm, phantom.length_mm or phantom.diameter_mm)
    voxel_mm = float(np.clip(thin / VOXELS, 0.5, 5.0))
    sizes, solid = _solid(phantom.diameter_mm, phantom.length_mm, planar)
    seen = _seen(data, window, camera, nuclide)
    centre = phantom.centre_mm or ((0.0, 0.0, 0.0) if data is None else middle_of_counts(data, seen.grid))
    grid = grid_around(
        [size + 2 * voxel_mm for size in sizes],
        spacing_mm=(voxel_mm,) * 3,
        frame_of_reference=seen.grid.frame_of_reference,
    )
    region = sampled("source", solid, grid)
    share = np.zeros(grid.shape, np.float32)
    share[region.window] = region.coverage
    affine = grid.affine.copy()
    affine[:3, 3] += centre
    grid = replace(grid, affine=affine)
    hu = Volume(grid, (1000 * share - 1000).astype(np.float32), Kind.HU)
    one = Volume(grid, share / np.float32(share.sum(dtype=np.float64)), Kind.ACTIVITY)
    counted = counts_by_model(hu, one, seen, seed=SEED, voxel_mm=voxel_mm)
    bare = bare_source(window_model(replace(camera, penetration=1.0), nuclide, window))
    kept = (counted.holes + counted.lead) / (bare.holes + bare.lead)
    text = (
        f"the source in air counts {kept:.3f} of one without water, all of whose betas stop, in an endless field, by "
        f"the model of {camera.name}: the factor is the counted one over that"
    )
    budget = (*found.budget, Component("the source's own water", MODEL_SD, "Monte Carlo"))
    return replace(
        found,
        factor=with_relative(scaled(found.factor, 1 / kept), MODEL_SD),
        budget=budget,
        kept_in_air=(counted.holes / bare.holes, counted.lead / bare.lead),
        messages=(*found.messages, Message("own-water-corrected", text, severity="note")),
    )


def size_not_stated(nuclide: Nuclide) -> tuple[Message, ...]:
    """What is not corrected where nobody says how large the source is; nothing of a nuclide with a line to count."""
    if not any(mode.mode == "spect-bremsstrahlung" for mode in nuclide.imaging):
        return ()
    text = (
        f"the size of the source of {nuclide.name} is not stated: betas that leave it make no photons and its water "
        "takes some, so that it counts 10 to 20 % less than one all of whose betas stop, and of the counts through "
        "lead a tenth (at 5 cm) to half (at 35 cm) or more falls beside the field, another 5 to 35 % of all; the "
        "factor is too low by both, and counts through lead that are fitted with it are wrong"
    )
    remedy = "state `diameter_mm` of a ball of water, and `length_mm` of a vial or the depth of a dish, with `camera`"
    return (Message("source-size-unknown", text, remedy),)


def _solid(diameter_mm: float, length_mm: float | None, planar: bool) -> tuple[tuple[float, float, float], Solid]:
    """Extent and shape; a dish lies across the direction in which the camera looks, a vial along the patient."""
    origin = (0.0, 0.0, 0.0)
    if length_mm is None:
        return (diameter_mm,) * 3, Ball(origin, diameter_mm)
    if planar:
        dish = cylinder(origin, diameter_mm=diameter_mm, length_mm=length_mm, axis=1)
        return (diameter_mm, length_mm, diameter_mm), dish
    return (diameter_mm, diameter_mm, length_mm), cylinder(origin, diameter_mm=diameter_mm, length_mm=length_mm)


def _seen(data: Projections | None, window: Window, camera: GammaCamera, nuclide: Nuclide) -> SpectSetup:
    """By what the source is seen."""
    if data is not None:
        placed = data if data.axis_mm is not None else data.placed((0.0, 0.0, 0.0), None)
        return SpectSetup(camera, nuclide, placed.orbit, (window,), placed.grid())
    number, size = FIELD
    grid = Grid.axial((number,) * 3, spacing_mm=(size,) * 3, origin_mm=(-size * (number - 1) / 2,) * 3)
    return SpectSetup(camera, nuclide, Orbit(np.array([0.0]), np.array([150.0])), (window,), grid)
