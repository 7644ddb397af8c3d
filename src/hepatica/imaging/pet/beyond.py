"""Activity beyond the end of a scanner's field, which it sees by scatter alone.

A PET has no collimator: of a pair that comes from beyond the field a photon may be scattered into it, and the
coincidence counts in the field. What lies there is known where another bed has seen it. Beyond all beds nobody knows
how much; but the CT is longer than the field in most scans, and shows where the liver ends. Its concentration in the
field's last planes is taken to go on as far as that; the rest of the body's as far as the body, 15 cm at most. How much
of the counts rests on it is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.resample import resample, resample_region
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
ASSUMED, SHOWN = 1.0, 0.5
"""Half-width of what is held for equally likely beyond the field, over what is taken to be there: anything up to twice
of it where nobody knows how far it goes on; where the CT shows that, its concentration may be by a half more or less
than that of the last planes. Our choice."""
ASKED_FROM = 0.05
"""Concentration at the end over that of the field from which on it is asked where the organ ends."""
CORE = 0.5
"""Covered share from which on a voxel tells the organ's concentration."""
AROUND_MM = 10.0
"""Around the organ, whose blur is not the rest of the body."""

Organ = Callable[[], Region | None]


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
    relative_sd : float
        Of how many they are, of a rectangular distribution (GUM, JCGM 100:2008, 4.3.7).
    in_organ : bool
        Whether most of them lie where the CT shows the organ go on.
    """

    known: Volume
    continued: Volume | None
    relative_sd: float = ASSUMED / math.sqrt(3)
    in_organ: bool = False


def sources(
    look: Float32,
    seen: Float32,
    grid: Grid,
    patient: Patient,
    around: Around | None = None,
    organ: Organ | None = None,
) -> Sources:
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
    organ : callable, optional
        The organ that took the activity up, in the grid's frame, on all of the CT; asked where activity touches an end
        of the field. None where nobody knows it.
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
    mean = float((values * weight).sum() / max(float(weight.sum()), 1e-30))
    planes = end_planes(step)
    ends = [(slice(0, low), slice(low, low + planes)), (slice(high, None), slice(high - planes, high))]
    shown = None
    if organ is not None and any(_ratio(values, weight, end, mean) > ASKED_FROM for _, end in ends):
        shown = _organ_on(organ(), longer)
    in_organ, elsewhere = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for outer, end in ends:
        others = weight[..., end]
        if shown is not None:
            held, of_mean = _held(values[..., end], weight[..., end] * (shown.core[..., end]), mean)
            level = float(held.sum()) / max(of_mean / mean, 1e-30) if mean > 0 else 0.0
            goes_on = touching(float(held.sum()), of_mean)
            in_organ[..., outer] = goes_on * level * shown.covered[..., outer] * inside[..., outer]
            others = others * ~shown.around[..., end]
        seen_there = others.sum(axis=2)
        held, of_mean = _held(values[..., end], others, mean)
        column = np.divide(held, seen_there, out=np.zeros_like(held), where=seen_there > 0)
        elsewhere[..., outer] = touching(float(held.sum()), of_mean) * column[..., None] * inside[..., outer]
    if shown is not None:
        elsewhere *= 1 - shown.covered
    beyond = in_organ + elsewhere
    known = Volume(longer, values * np.float32(voxel), Kind.DECAYS, name="annihilations")
    if not beyond.any():
        return Sources(known, None)
    share = float(in_organ.sum(dtype=np.float64) / beyond.sum(dtype=np.float64))
    doubt = (share * SHOWN + (1 - share) * ASSUMED) / math.sqrt(3)
    return Sources(known, known.with_values(beyond * np.float32(voxel)), doubt, share > 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """An organ on a grid: covered share of each voxel, voxels that are of it alone, and it with what is near it."""

    covered: Float32
    core: NDArray[np.bool_]
    around: NDArray[np.bool_]


def _organ_on(organ: Region | None, grid: Grid) -> _Shown | None:
    from scipy.ndimage import distance_transform_edt

    if organ is None:
        return None
    covered = resample_region(organ, grid).full().astype(np.float32)
    if not covered.any():
        return None
    near = distance_transform_edt(covered == 0, sampling=grid.spacing_mm) <= AROUND_MM
    return _Shown(covered, covered > CORE, np.asarray(near))


def _held(values: Float32, weight: NDArray[np.floating], mean: float) -> tuple[NDArray[np.floating], float]:
    """What each column of an end of the field holds, weighted; and what all would at the mean concentration."""
    return (values * weight).sum(axis=2), float(weight.sum()) * mean


def _ratio(values: Float32, weight: NDArray[np.floating], end: slice, mean: float) -> float:
    held, of_mean = _held(values[..., end], weight[..., end], mean)
    return float(held.sum()) / of_mean if of_mean > 0 else 0.0


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
