"""The liver as points 3 mm apart, whatever the image's voxels: on these tumours are placed and arteries grow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.virtual_patient.body import Body
from hepatica.anatomy.virtual_patient.liver import segment_of
from hepatica.anatomy.virtual_patient.shapes import coordinates
from hepatica.core import Grid

STEP_MM = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """Points of the liver's box.

    Attributes
    ----------
    grid : Grid
        Along the patient's axes, `STEP_MM` apart.
    depth_mm : ndarray of float32, shape of the grid
        Distance below the liver's surface, negative outside (near the surface; deep inside it is a lower bound).
    segment : ndarray of uint8, shape of the grid
        Couinaud segment of points in the liver, 0 outside.
    points_mm : ndarray, shape (n, 3)
        The points in the liver.
    segments : ndarray of uint8, shape (n,)
        Their segments.
    """

    grid: Grid
    depth_mm: NDArray[np.float32]
    segment: NDArray[np.uint8]
    points_mm: NDArray[np.float64]
    segments: NDArray[np.uint8]

    @classmethod
    def of(cls, body: Body) -> Lattice:
        """Sample the liver of a body."""
        liver = body.organs["liver"]
        shape = np.ceil((liver.high - liver.low) / STEP_MM).astype(int) + 3
        origin = liver.low - STEP_MM
        grid = Grid.axial(shape.tolist(), spacing_mm=(STEP_MM,) * 3, origin_mm=origin.tolist())
        x, y, z = coordinates(grid)
        depth = -np.asarray(np.broadcast_to(liver.field((x, y, z)), grid.shape), dtype=np.float32)
        a, b, c = body.size
        labels = segment_of(x / np.float32(a), y / np.float32(b), z / np.float32(c), body.fissures)
        segment = np.where(depth > 0, labels, 0).astype(np.uint8)
        index = np.argwhere(segment)
        return cls(grid, depth, segment, grid.to_mm(index), segment[tuple(index.T)])

    def volume_ml(self, segment: int | None = None) -> float:
        """Volume of a segment, or of the liver."""
        count = len(self.segments) if segment is None else int((self.segments == segment).sum())
        return count * STEP_MM**3 / 1000

    def depth_at(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Depth below the surface at any points, shape (..., 3) -> (...), trilinear; -STEP_MM beyond the box."""
        from scipy.ndimage import map_coordinates

        index = np.moveaxis(self.grid.to_index(points_mm), -1, 0)
        shape = index.shape[1:]
        found = map_coordinates(self.depth_mm, index.reshape(3, -1), order=1, mode="constant", cval=-STEP_MM)
        return np.asarray(found, dtype=np.float64).reshape(shape)

    def centroid(self, *segments: int) -> NDArray[np.float64]:
        """Centre of some segments together, mm."""
        return np.asarray(self.points_mm[np.isin(self.segments, segments)].mean(axis=0))

    def snapped(self, point_mm: NDArray[np.float64], *segments: int, depth_mm: float = 4.0) -> NDArray[np.float64]:
        """Nearest point that lies in one of the segments and at least so deep; as deep as there is, failing that."""
        near = np.isin(self.segments, segments)
        points = self.points_mm[near]
        depth = self.depth_at(points)
        points = points[depth >= min(depth_mm, float(depth.max()))]
        return np.asarray(points[np.linalg.norm(points - point_mm, axis=1).argmin()])
