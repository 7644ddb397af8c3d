"""Lines on a plane through the patient: isodose lines, outlines of structures, and values at one point.

A plane is a corner, two directions and a step, all in LPS mm. Lines come back as polylines in plane coordinates (mm
along the two directions from the corner), so that the page draws them at any zoom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.region import Region
from hepatica.core.resample import values_at
from hepatica.core.volume import Volume
from hepatica.errors import InputError

MOST_POINTS = 1_200_000
"""Samples of one plane; a finer one is refused."""

FINEST_MM = 0.5

Line = list[float]
"""x and y of each point, one after the other, rounded to 0.01 mm."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A rectangle in the patient.

    Attributes
    ----------
    origin : tuple of float
        LPS position of its first corner, mm.
    across, down : tuple of float
        Unit vectors of its sides.
    width_mm, height_mm : float
        Its extent.
    """

    origin: tuple[float, float, float]
    across: tuple[float, float, float]
    down: tuple[float, float, float]
    width_mm: float
    height_mm: float

    def __post_init__(self) -> None:
        numbers = (*self.origin, *self.across, *self.down, self.width_mm, self.height_mm)
        if not np.isfinite(numbers).all() or min(self.width_mm, self.height_mm) <= 0:
            raise InputError("a plane needs a corner, two directions and a size")
        u, v = np.asarray(self.across), np.asarray(self.down)
        if abs(u @ v) > 1e-6 or abs(u @ u - 1) > 1e-6 or abs(v @ v - 1) > 1e-6:
            raise InputError("the directions of a plane are perpendicular unit vectors")

    def points_mm(self, step_mm: float) -> NDArray[np.float64]:
        """LPS positions of its samples, shape (down, across, 3).

        Raises
        ------
        InputError
            If there would be too many.
        """
        nx, ny = int(self.width_mm / step_mm) + 2, int(self.height_mm / step_mm) + 2
        if nx * ny > MOST_POINTS:
            raise InputError(f"a plane of {nx} x {ny} samples is too fine")
        x, y = np.arange(nx) * step_mm, np.arange(ny) * step_mm
        u, v = np.asarray(self.across), np.asarray(self.down)
        return np.asarray(np.asarray(self.origin) + y[:, None, None] * v + x[None, :, None] * u)


def step_for(volume: Volume) -> float:
    """Distance of samples for lines of a volume: a quarter of its smallest voxel side, at least 0.5 mm.

    The error of an isoline is then that of trilinear interpolation itself.
    """
    return max(FINEST_MM, min(volume.grid.spacing_mm) / 4)


def isolines(volume: Volume, plane: Plane, levels: Sequence[float]) -> dict[float, list[Line]]:
    """Lines of equal value on a plane.

    Parameters
    ----------
    volume : Volume
        Dose or another value.
    plane : Plane
        Where.
    levels : sequence of float
        Values, in the unit of the volume.

    Returns
    -------
    dict of float to list of Line
        Lines of each level; empty where there are none.
    """
    step = max(step_for(volume), np.sqrt(plane.width_mm * plane.height_mm / MOST_POINTS) * 1.01)
    sampled = values_at(volume, plane.points_mm(step))
    return {float(level): _contours(sampled, float(level), step) for level in levels}


def outlines(region: Region, plane: Plane) -> list[Line]:
    """Border of a structure on a plane: where the covered fraction, interpolated, is one half."""
    if region.is_empty or not _may_cross(region, plane):
        return []
    volume = _padded(region)
    step = max(
        FINEST_MM, min(region.grid.spacing_mm) / 2, np.sqrt(plane.width_mm * plane.height_mm / MOST_POINTS) * 1.01
    )
    sampled = values_at(volume, plane.points_mm(step))
    return _contours(np.nan_to_num(sampled, nan=0.0), 0.5, step)


def holds(region: Region, point_mm: Sequence[float]) -> bool:
    """Whether a point lies in a structure as it is outlined."""
    found = float(values_at(_padded(region), np.asarray(point_mm)))
    return bool(np.isfinite(found) and found >= 0.5)


def _padded(region: Region) -> Volume:
    """Covered fractions of a region's own voxels with one more on each side, which hold nothing."""
    from hepatica.core.grid import Grid
    from hepatica.core.volume import Kind

    inner = region.grid.crop(region.window)
    affine = np.array(inner.affine)
    affine[:3, 3] = inner.to_mm((-1, -1, -1))
    i, j, k = (n + 2 for n in inner.shape)
    grid = Grid((i, j, k), affine, inner.frame_of_reference)
    return Volume(grid, np.pad(region.coverage, 1), Kind.FRACTION)


def _may_cross(region: Region, plane: Plane) -> bool:
    """Whether the corners of a region's block lie on both sides of a plane."""
    normal = np.cross(plane.across, plane.down)
    side = (region.grid.crop(region.window).corners_mm() - np.asarray(plane.origin)) @ normal
    reach = max(region.grid.spacing_mm)
    return bool(side.min() <= reach and side.max() >= -reach)


def _contours(sampled: NDArray[np.float64], level: float, step_mm: float) -> list[Line]:
    import contourpy

    if not (np.nanmin(sampled, initial=np.inf) <= level <= np.nanmax(sampled, initial=-np.inf)):
        return []
    masked: Any = np.ma.masked_invalid(sampled)
    made = contourpy.contour_generator(z=masked, line_type=contourpy.LineType.Separate)
    return [np.round(np.asarray(line) * step_mm, 2).ravel().tolist() for line in made.lines(level)]
