"""Solids as implicit functions, and how much of each voxel they cover.

A `Solid` knows for any point a number that is negative inside, positive outside and close to the distance in mm near
its surface, and a box outside which there is nothing. From it any grid, oblique ones included, gets covered fractions:
no shape is ever tied to a voxel size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core import Grid
from hepatica.core.region import Window

Array = NDArray[np.float32]
Points = tuple[Array, Array, Array]
"""LPS coordinates in mm as three arrays that broadcast against each other."""

Field = Callable[[Points], Array]

FINE_MM = 4.2
"""Voxels longer than this are sampled at several points along that axis; thin solids ask for less."""

BAND = 2.5
"""The border of a solid is searched within this many voxel diagonals of the zero of its function."""


@dataclass(frozen=True, slots=True, eq=False)
class Solid:
    """A body in space.

    Attributes
    ----------
    field : callable
        Takes points to a number: negative inside, positive outside, about the distance in mm near the surface.
    low, high : ndarray, shape (3,)
        Box in LPS mm that holds the solid.
    """

    field: Field
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def grown(self, by_mm: float) -> Solid:
        """The solid with its surface moved outwards (inwards if negative)."""
        return Solid(lambda p: self.field(p) - np.float32(by_mm), self.low - by_mm, self.high + by_mm)

    def without(self, *others: Solid, gap_mm: float = 0.0, rounding_mm: float = 0.0) -> Solid:
        """What lies outside the others, and at least `gap_mm` away from them."""
        others = tuple(o for o in others if (o.low - gap_mm <= self.high).all() and (o.high + gap_mm >= self.low).all())

        def field(p: Points) -> Array:
            value = self.field(p)
            for other in others:
                value = smooth_max(value, gap_mm - other.field(p), rounding_mm)
            return value

        return Solid(field, self.low, self.high)

    def within(self, *others: Solid, rounding_mm: float = 0.0) -> Solid:
        """What lies inside the others too."""

        def field(p: Points) -> Array:
            value = self.field(p)
            for other in others:
                value = smooth_max(value, other.field(p), rounding_mm)
            return value

        low = np.max([self.low, *(o.low for o in others)], axis=0)
        high = np.min([self.high, *(o.high for o in others)], axis=0)
        return Solid(field, low, high)

    def scaled(self, factor: float | Sequence[float], about: ArrayLike) -> Solid:
        """The solid stretched about a point, by one factor or one per axis."""
        f = np.broadcast_to(np.asarray(factor, dtype=np.float64), (3,))
        c = np.asarray(about, dtype=np.float64)
        mean = np.float32(np.cbrt(f.prod()))

        def field(p: Points) -> Array:
            x, y, z = (((q - np.float32(m)) / np.float32(s) + np.float32(m)) for q, m, s in zip(p, c, f, strict=True))
            return mean * self.field((x, y, z))

        return Solid(field, c + (self.low - c) * f, c + (self.high - c) * f)

    def moved(self, by: ArrayLike) -> Solid:
        """The solid shifted by a vector in mm."""
        d = np.asarray(by, dtype=np.float64)
        x0, y0, z0 = d.astype(np.float32)
        return Solid(lambda p: self.field((p[0] - x0, p[1] - y0, p[2] - z0)), self.low + d, self.high + d)


def smooth_max(a: Array, b: Array, rounding_mm: float = 0.0) -> Array:
    """Larger of two fields; the edge where they meet is rounded over about `rounding_mm` (polynomial blend)."""
    if rounding_mm <= 0:
        return np.maximum(a, b)
    k = np.float32(rounding_mm)
    blend = np.maximum(k - np.abs(a - b), 0)
    return np.asarray(np.maximum(a, b) + blend * blend / (4 * k), dtype=np.float32)


def smooth_min(a: Array, b: Array, rounding_mm: float = 0.0) -> Array:
    """Smaller of two fields, the crease filled."""
    return np.asarray(-smooth_max(-a, -b, rounding_mm))


def union(*solids: Solid, rounding_mm: float = 0.0) -> Solid:
    """Everything inside any of the solids."""

    def field(p: Points) -> Array:
        return reduce(lambda a, b: smooth_min(a, b, rounding_mm), (s.field(p) for s in solids))

    low = np.min([s.low for s in solids], axis=0) - rounding_mm / 2
    return Solid(field, low, np.max([s.high for s in solids], axis=0) + rounding_mm / 2)


def ellipsoid(centre: ArrayLike, radii: ArrayLike, *, power: float = 2.0, axes: ArrayLike | None = None) -> Solid:
    """(Super)ellipsoid: sum of |q_n / r_n|^power = 1 along `axes` (rows, orthonormal; the patient's if None)."""
    c = np.asarray(centre, dtype=np.float64)
    r = np.asarray(radii, dtype=np.float64)
    turn = np.eye(3) if axes is None else np.asarray(axes, dtype=np.float64)
    flat, c32 = turn.astype(np.float32), c.astype(np.float32)

    def field(p: Points) -> Array:
        d = [q - m for q, m in zip(p, c32, strict=True)]
        along = d if axes is None else [sum(t * q for t, q in zip(row, d, strict=True)) for row in flat]
        if power == 2.0:
            g = np.sqrt(sum((q / np.float32(s)) ** 2 for q, s in zip(along, r, strict=True)))
        else:
            g = sum(np.abs(q / np.float32(s)) ** np.float32(power) for q, s in zip(along, r, strict=True))
            g = g ** np.float32(1 / power)
        distance = np.sqrt(sum(q * q for q in d))
        # Along the ray from the centre the surface lies at distance / g.
        return np.asarray(np.where(g > 1e-3, distance * (1 - 1 / np.maximum(g, 1e-3)), -r.min()), dtype=np.float32)

    reach = np.sqrt((turn.T**2) @ r**2) if power == 2.0 else np.abs(turn.T) @ r
    return Solid(field, c - reach, c + reach)


def half_space(point: Sequence[float], normal: Sequence[float]) -> Field:
    """Field of everything behind a plane; `normal` points out of it."""
    n = np.asarray(normal, dtype=np.float64)
    n = n / np.linalg.norm(n)
    offset = np.float32(n @ np.asarray(point, dtype=np.float64))
    a, b, c = n.astype(np.float32)
    return lambda p: np.asarray(a * p[0] + b * p[1] + c * p[2] - offset, dtype=np.float32)


def tube(points: ArrayLike, radii: ArrayLike, *, rounding_mm: float = 0.0) -> Solid:
    """Chain of round cones through points (n, 3) with a radius at each (n,), mm."""
    at = np.asarray(points, dtype=np.float64)
    r = np.broadcast_to(np.asarray(radii, dtype=np.float64), (len(at),))

    def field(p: Points) -> Array:
        parts = (_cone(p, at[n], at[n + 1], r[n], r[n + 1]) for n in range(len(at) - 1))
        return reduce(lambda a, b: smooth_min(a, b, rounding_mm), parts)

    return Solid(field, (at - r[:, None]).min(axis=0) - rounding_mm, (at + r[:, None]).max(axis=0) + rounding_mm)


def _cone(p: Points, a: NDArray[np.float64], b: NDArray[np.float64], r_a: float, r_b: float) -> Array:
    axis = (b - a).astype(np.float32)
    d = [q - np.float32(m) for q, m in zip(p, a, strict=True)]
    length2 = np.float32(max(float(axis @ axis), 1e-12))
    t = np.clip(sum(q * n for q, n in zip(d, axis, strict=True)) / length2, 0, 1)
    away2 = sum((q - t * n) ** 2 for q, n in zip(d, axis, strict=True))
    return np.asarray(np.sqrt(away2) - (np.float32(r_a) + t * np.float32(r_b - r_a)), dtype=np.float32)


def ripple(amplitude_mm: float, wavelength_mm: float, random: np.random.Generator, waves: int = 4) -> Field:
    """Smooth random relief with a standard deviation of `amplitude_mm`, to be added to a field."""
    direction = random.normal(size=(waves, 3))
    direction *= 2 * np.pi / wavelength_mm / np.linalg.norm(direction, axis=1, keepdims=True)
    k, phase = direction.astype(np.float32), random.uniform(0, 2 * np.pi, waves).astype(np.float32)
    size = np.float32(amplitude_mm * np.sqrt(2 / waves))

    def field(p: Points) -> Array:
        waves = (np.sin(a * p[0] + b * p[1] + c * p[2] + o) for (a, b, c), o in zip(k, phase, strict=True))
        return np.asarray(size * sum(waves), dtype=np.float32)

    return field


def plus(solid: Solid, relief: Field, reach_mm: float) -> Solid:
    """Solid with a relief added to its field; `reach_mm` is the most that the relief adds."""
    return Solid(lambda p: solid.field(p) + relief(p), solid.low - reach_mm, solid.high + reach_mm)


# ---------------------------------------------------------------------------------------------------------------------


def coordinates(grid: Grid, window: Window | None = None) -> Points:
    """LPS coordinates of the voxel centres in a window, as arrays that broadcast to its shape."""
    start = (0, 0, 0) if window is None else tuple(s.start for s in window)
    stop = grid.shape if window is None else tuple(s.stop for s in window)
    index = [np.arange(a, b, dtype=np.float64) for a, b in zip(start, stop, strict=True)]
    open_index = [v.reshape([-1 if m == n else 1 for m in range(3)]) for n, v in enumerate(index)]
    affine = grid.affine
    out = []
    for patient in range(3):
        value = np.float64(affine[patient, 3])
        for axis in range(3):
            # An axis along which this coordinate does not change stays of length 1.
            if affine[patient, axis] != 0:
                value = value + affine[patient, axis] * open_index[axis]
        out.append(np.asarray(np.broadcast_to(value, value.shape or (1, 1, 1)), dtype=np.float32))
    return out[0], out[1], out[2]


def window_of(grid: Grid, low: ArrayLike, high: ArrayLike) -> Window:
    """Voxels that a box in LPS mm touches; empty slices (0, 0) if none."""
    lo, hi = np.asarray(low, float), np.asarray(high, float)
    corners = np.array(
        [[(lo, hi)[a][0], (lo, hi)[b][1], (lo, hi)[c][2]] for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    )
    index = grid.to_index(corners)
    first = np.clip(np.floor(index.min(axis=0)), 0, grid.shape).astype(int)
    last = np.clip(np.ceil(index.max(axis=0)) + 1, 0, grid.shape).astype(int)
    if (last <= first).any():
        return slice(0, 0), slice(0, 0), slice(0, 0)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return i, j, k


def coverage(solid: Solid, grid: Grid, fine_mm: float = FINE_MM) -> tuple[Window, Array]:
    """Covered fraction of every voxel in the solid's box.

    Returns
    -------
    tuple of slice, ndarray of float32
        Window of the grid and the fractions in it, 0 to 1.

    Notes
    -----
    At the border the surface is taken as flat: the fraction falls linearly over the width of the voxel across it,
    1/2 - f / sqrt(sum of (df/dn)^2) with df/dn the change of the field from voxel to voxel along each grid axis, which
    has the mean and the variance of the exact overlap of plane and box whatever their angle.
    """
    window = window_of(grid, solid.low, solid.high)
    shape = tuple(s.stop - s.start for s in window)
    if min(shape) == 0:
        return window, np.zeros(shape, dtype=np.float32)
    factors = [max(1, int(np.ceil(h / fine_mm))) for h in grid.spacing_mm]
    fine = _finer(grid, window, factors)
    value = np.broadcast_to(solid.field(coordinates(fine)), fine.shape)
    covered = _ramp(np.asarray(value), float(np.linalg.norm(fine.spacing_mm)))
    if max(factors) > 1:
        a, b, c = factors
        covered = covered.reshape(shape[0], a, shape[1], b, shape[2], c).mean(axis=(1, 3, 5), dtype=np.float32)
    return window, covered


def _finer(grid: Grid, window: Window, factors: Sequence[int]) -> Grid:
    part = grid.crop(window)
    affine = np.array(part.affine)
    affine[:3, 3] = part.to_mm([(1 / f - 1) / 2 for f in factors])
    affine[:3, :3] = affine[:3, :3] / np.asarray(factors)
    i, j, k = (n * f for n, f in zip(part.shape, factors, strict=True))
    return Grid((i, j, k), affine, grid.frame_of_reference)


def _ramp(value: Array, diagonal_mm: float) -> Array:
    covered = (value < 0).astype(np.float32)
    at = np.nonzero(np.abs(value) < BAND * diagonal_mm)
    change2 = np.zeros(len(at[0]), dtype=np.float32)
    for axis in range(3):
        n = value.shape[axis]
        above, below = list(at), list(at)
        above[axis], below[axis] = np.minimum(at[axis] + 1, n - 1), np.maximum(at[axis] - 1, 0)
        apart = np.maximum(above[axis] - below[axis], 1)
        change2 += ((value[tuple(above)] - value[tuple(below)]) / apart) ** 2
    covered[at] = np.clip(0.5 - value[at] / np.sqrt(np.maximum(change2, 1e-12)), 0, 1)
    return covered


def volume_ml(solid: Solid, spacing_mm: float = 4.0) -> float:
    """Volume in mL, counted on a grid of its own."""
    extent = solid.high - solid.low
    shape = np.maximum(np.ceil(extent / spacing_mm).astype(int) + 2, 3)
    centre = (solid.low + solid.high) / 2
    origin = centre - (shape - 1) / 2 * spacing_mm
    grid = Grid.axial(shape.tolist(), spacing_mm=(spacing_mm,) * 3, origin_mm=origin.tolist())
    value = np.broadcast_to(solid.field(coordinates(grid)), grid.shape)
    covered = _ramp(np.asarray(value), float(np.linalg.norm(grid.spacing_mm)))
    return float(covered.sum(dtype=np.float64)) * grid.voxel_volume_ml
