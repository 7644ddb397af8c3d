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

from hepatica.core.grid import Grid
from hepatica.core.region import Region
from hepatica.core.resample import values_at
from hepatica.core.transform.transform import Transform
from hepatica.core.volume import Kind, Volume
from hepatica.errors import InputError

MOST_POINTS = 1_200_000
"""Samples of one plane; a larger plane is sampled more coarsely."""

FINEST_MM = 0.5

Part = tuple[int, int, int, int]
"""First and last sample (not with it) across, then down."""

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

    def points_mm(self, steps_mm: tuple[float, float], part: Part | None = None) -> NDArray[np.float64]:
        """LPS positions of its samples, or of a part of them, shape (down, across, 3)."""
        x0, x1, y0, y1 = part or (0, int(self.width_mm / steps_mm[0]) + 2, 0, int(self.height_mm / steps_mm[1]) + 2)
        x, y = np.arange(x0, x1) * steps_mm[0], np.arange(y0, y1) * steps_mm[1]
        u, v = np.asarray(self.across), np.asarray(self.down)
        return np.asarray(np.asarray(self.origin) + y[:, None, None] * v + x[None, :, None] * u)

    def steps_for(self, grid: Grid, parts: int) -> tuple[float, float]:
        """Distances of samples along its sides: a part of the voxel along each, at least 0.5 mm, never too many.

        With four parts the error of an isoline is that of trilinear interpolation itself.
        """
        inverse = grid.inverse_affine[:3, :3]
        across, down = (
            max(FINEST_MM, 1 / float(np.abs(inverse @ np.asarray(side)).max()) / parts)
            for side in (self.across, self.down)
        )
        crowd = np.sqrt(max(1.0, self.width_mm / across * self.height_mm / down / MOST_POINTS))
        return float(across * crowd), float(down * crowd)


def isolines(
    volume: Volume, plane: Plane, levels: Sequence[float], transform: Transform | None = None
) -> dict[float, list[Line]]:
    """Lines of equal value on a plane.

    Parameters
    ----------
    volume : Volume
        Dose or another value.
    plane : Plane
        Where.
    levels : sequence of float
        Values, in the unit of the volume.
    transform : Transform or None
        From the plane's frame of reference to the volume's; None where they are the same.

    Returns
    -------
    dict of float to list of Line
        Lines of each level; empty where there are none.
    """
    steps = plane.steps_for(volume.grid, parts=4)
    points = plane.points_mm(steps)
    sampled = values_at(volume, points if transform is None else transform.points_mm(points))
    return {float(level): _contours(sampled, float(level), steps) for level in levels}


@dataclass(frozen=True, slots=True, eq=False)
class Outlined:
    """A structure as planes cut it: its border is where the covered fraction, interpolated, is one half.

    Attributes
    ----------
    name : str
        Of the structure.
    coverage : Volume or None
        Covered fractions of its own voxels with one more on each side, which hold nothing; None of an empty one.
    """

    name: str
    coverage: Volume | None

    @classmethod
    def of(cls, region: Region) -> Outlined:
        """Of a region."""
        if region.is_empty:
            return cls(region.name, None)
        inner = region.grid.crop(region.window)
        affine = np.array(inner.affine)
        affine[:3, 3] = inner.to_mm((-1, -1, -1))
        i, j, k = (n + 2 for n in inner.shape)
        grid = Grid((i, j, k), affine, inner.frame_of_reference)
        return cls(region.name, Volume(grid, np.pad(region.coverage, 1), Kind.FRACTION))

    def outlines(self, plane: Plane) -> list[Line]:
        """Border on a plane; only the part of the plane that the structure's block reaches is looked at."""
        if self.coverage is None:
            return []
        u, v = np.asarray(plane.across), np.asarray(plane.down)
        corners = self.coverage.grid.corners_mm() - np.asarray(plane.origin)
        side = corners @ np.cross(u, v)
        if side.min() > 0 or side.max() < 0:
            return []
        steps = plane.steps_for(self.coverage.grid, parts=2)
        x, y = corners @ u / steps[0], corners @ v / steps[1]
        last = int(plane.width_mm / steps[0]) + 2, int(plane.height_mm / steps[1]) + 2
        x0, y0 = max(0, int(np.floor(x.min()))), max(0, int(np.floor(y.min())))
        x1, y1 = min(last[0], int(np.ceil(x.max())) + 1), min(last[1], int(np.ceil(y.max())) + 1)
        if x1 - x0 < 2 or y1 - y0 < 2:
            return []
        sampled = values_at(self.coverage, plane.points_mm(steps, (x0, x1, y0, y1)))
        return _contours(np.nan_to_num(sampled, nan=0.0), 0.5, steps, (x0, y0))

    def holds(self, point_mm: Sequence[float]) -> bool:
        """Whether a point lies inside of the border."""
        if self.coverage is None:
            return False
        found = float(values_at(self.coverage, np.asarray(point_mm)))
        return bool(np.isfinite(found) and found >= 0.5)


def _contours(
    sampled: NDArray[np.float64], level: float, steps_mm: tuple[float, float], first: tuple[int, int] = (0, 0)
) -> list[Line]:
    import contourpy

    if not (np.nanmin(sampled, initial=np.inf) <= level <= np.nanmax(sampled, initial=-np.inf)):
        return []
    masked: Any = np.ma.masked_invalid(sampled)
    made = contourpy.contour_generator(z=masked, line_type=contourpy.LineType.Separate)
    place = np.asarray(first)
    return [np.round((np.asarray(line) + place) * steps_mm, 2).ravel().tolist() for line in made.lines(level)]
