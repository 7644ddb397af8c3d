"""What a plausible misregistration does to means of structures: each is shifted by one standard deviation, six ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hepatica.anatomy.registration.quality.position import position_sd
from hepatica.core import Grid, Region, Volume
from hepatica.core.resample import resample_region
from hepatica.errors import GeometryError, InputError


@dataclass(frozen=True, slots=True)
class DoseEffect:
    """Mean of a dose or an activity in a structure that lies elsewhere than it was thought to.

    Attributes
    ----------
    name : str
        The structure.
    unit : str
        Of the means: that of the map.
    mean : float
        Where the registration puts it.
    lowest, highest : float
        Of the six shifted means and the one in place.
    relative_sd_percent : float or None
        Standard uncertainty of the mean that the registration alone brings, %: root mean square of its changes by the
        two shifts along each axis, added in quadrature over the axes; None where the mean is 0.
    """

    name: str
    unit: str
    mean: float
    lowest: float
    highest: float
    relative_sd_percent: float | None


def dose_effects(image: Volume, regions: Sequence[Region], shift_mm: Sequence[float]) -> tuple[DoseEffect, ...]:
    """Means of structures in place and shifted by one standard deviation to either side along each patient axis.

    Parameters
    ----------
    image : Volume
        Absorbed dose or activity.
    regions : sequence of Region
        Structures in the frame of reference of the image.
    shift_mm : three floats
        Standard uncertainty of the registration along x, y and z.

    Raises
    ------
    GeometryError
        If the frames of reference differ.
    InputError
        If a shift is negative or not finite.
    """
    shifts = np.asarray(shift_mm, dtype=float)
    if shifts.shape != (3,) or not np.isfinite(shifts).all() or (shifts < 0).any():
        raise InputError(f"a shift is three lengths of at least 0 mm, not {shift_mm!r}")
    found = []
    for region in regions:
        placed = resample_region(region, image.grid)
        if placed.is_empty:
            continue
        mean = placed.mean(image)
        sides = [_shifted(region, axis, side * shifts[axis], image) for axis in range(3) for side in (-1, 1)]
        every = [mean, *sides]
        relative = 100.0 * position_sd(mean, sides) / abs(mean) if mean else None
        found.append(DoseEffect(region.name, image.kind.unit, mean, min(every), max(every), relative))
    if regions and not found:
        raise GeometryError("no structure lies in the dose or activity map; are they in the same frame of reference?")
    return tuple(found)


def _shifted(region: Region, axis: int, by_mm: float, image: Volume) -> float:
    affine = np.array(region.grid.affine)
    affine[axis, 3] += by_mm
    grid = Grid(region.grid.shape, affine, region.grid.frame_of_reference)
    return resample_region(replace(region, grid=grid), image.grid).mean(image)
