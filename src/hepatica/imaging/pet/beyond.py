"""Activity beyond the end of a scanner's field, which it sees by scatter alone.

A PET has no collimator: of a pair that comes from beyond the field a photon may be scattered into it, and the
coincidence counts in the field. What lies there is known where another bed has seen it. Beyond all beds nobody knows;
in a body that goes on the activity of the field's last planes is taken to go on too, and how much of the counts rests
on that is told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.core.resample import resample
from hepatica.imaging.spect.montecarlo.patient import BODY_DENSITY_G_ML, Patient

Float32 = NDArray[np.float32]

REACH_MM = 150.0
"""So far activity is followed beyond the field: an adult's liver is some 15 cm long, so a liver that passes the end of
the field goes on for no more. Our choice."""
END_MM = 20.0
"""Of the field's end, whose mean goes on, each plane weighted by how well it is seen: few planes, or activity that ends
just within the field is taken to go on; it is their total that makes the scatter, so that noise matters little."""
TOUCHES = (0.2, 0.4)
"""Concentration at the end over that of the field, both weighted by how well it is seen, up to which nothing goes on
(expectation maximisation leaves a fifth of the surroundings where nothing is), and from which on all of it does."""


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """What all beds saw, for one of them.

    Attributes
    ----------
    grid : Grid
        Of the whole scan; the bed's own grid is a window of it along z.
    look : ndarray of float32, shape of the grid
        Annihilations per mm^3 within the bed's frame.
    weight : ndarray, shape of the grid
        How well each voxel is seen.
    """

    grid: Grid
    look: Float32
    weight: NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Where the photons of a frame come from.

    Attributes
    ----------
    known : Volume
        Annihilations of each voxel in the bed's own field and, as far as other beds saw them, around it.
    continued : Volume or None
        Those taken to be beyond all beds; None where the body ends there, or holds nothing.
    """

    known: Volume
    continued: Volume | None


def sources(look: Float32, seen: Float32, grid: Grid, patient: Patient, around: Around | None = None) -> Sources:
    """Annihilations in the field and beyond it.

    Parameters
    ----------
    look : ndarray of float32, shape of the grid
        Annihilations per mm^3 in the bed's own field, none below zero.
    seen : ndarray of float32, same shape
        Its sensitivity.
    grid : Grid
        Of the bed, axial.
    patient : Patient
        In whose body activity goes on.
    around : Around, optional
        What all beds saw.
    """
    step, own = grid.spacing_mm[2], grid.shape[2]
    reach = int(REACH_MM / step)
    whole = Around(grid, look, seen) if around is None else around
    # planes counted from the lowest that is within reach
    first = reach - round((grid.origin_mm[2] - whole.grid.origin_mm[2]) / step)
    shape = (*grid.shape[:2], own + 2 * reach)
    values, weight = np.zeros(shape, np.float32), np.zeros(shape)
    low, high = max(first, 0), min(first + whole.grid.shape[2], shape[2])
    values[..., low:high] = whole.look[..., low - first : high - first]
    weight[..., low:high] = whole.weight[..., low - first : high - first]
    values[..., reach : reach + own] = look
    x, y, z = map(float, grid.origin_mm)
    longer = Grid.axial(
        shape, spacing_mm=grid.spacing_mm, origin_mm=(x, y, z - reach * step),
        frame_of_reference=grid.frame_of_reference,
    )  # fmt: skip
    voxel = float(np.prod(grid.spacing_mm))
    body = resample(Volume(patient.grid, patient.phantom.density, Kind.DENSITY), longer, "mean").values
    inside = body > BODY_DENSITY_G_ML / 2
    beyond, planes = np.zeros(shape, np.float32), end_planes(step)
    mean = float((values * weight).sum() / max(float(weight.sum()), 1e-30))
    for outer, end in ((slice(0, low), slice(low, low + planes)), (slice(high, None), slice(high - planes, high))):
        seen_there = weight[..., end].sum(axis=2)
        held = (values[..., end] * weight[..., end]).sum(axis=2)
        column = np.divide(held, seen_there, out=np.zeros_like(held), where=seen_there > 0)
        goes_on = touching(float(held.sum()), float(seen_there.sum()) * mean)
        beyond[..., outer] = goes_on * column[..., None] * inside[..., outer]
    known = Volume(longer, values * np.float32(voxel), Kind.DECAYS, name="annihilations")
    continued = known.with_values(beyond * np.float32(voxel)) if beyond.any() else None
    return Sources(known, continued)


def end_planes(step_mm: float) -> int:
    """Planes that are the field's end."""
    return max(int(END_MM / step_mm), 1)


def touching(held: float, of_mean: float) -> float:
    """How far activity at the end of the field is taken to go on, from 0 to 1.

    Parameters
    ----------
    held, of_mean : float
        What the end holds, and what it would at the mean concentration; in one unit.
    """
    ratio = held / of_mean if of_mean > 0 else 0.0
    return min(max((ratio - TOUCHES[0]) / (TOUCHES[1] - TOUCHES[0]), 0.0), 1.0)
