"""Polygons in a plane: how much of each pixel they cover, whether they cross themselves, and pixels back to polygons.

Coordinates are (u, v) in pixels: pixel (m, n) is the square from (m, n) to (m + 1, n + 1). The inside is given by the
even-odd rule over all polygons of a plane, so that a polygon inside another one is a hole, and a hole joined to its
outline by a keyhole (a channel of no width) is one too.

Areas come from scan lines along u, evenly spaced in v: along a line the covered length is exact, across lines it is
the midpoint rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Crossings:
    """Where outlines cross scan lines, one entry per crossing.

    Attributes
    ----------
    polygon : ndarray of int, shape (n,)
        Which polygon's outline.
    line : ndarray of int, shape (n,)
        Which scan line; line s lies at ``v = (s + 0.5) / lines_per_pixel``.
    u : ndarray, shape (n,)
        Where on the line, in pixels.
    sign : ndarray, shape (n,)
        +1 where the outline goes up (to larger v), -1 where it goes down.
    lines_per_pixel : int
        Scan lines in one pixel.
    """

    polygon: IntArray
    line: IntArray
    u: FloatArray
    sign: FloatArray
    lines_per_pixel: int

    def select(self, keep: NDArray[np.bool_]) -> Crossings:
        """The crossings where `keep` is true."""
        return Crossings(self.polygon[keep], self.line[keep], self.u[keep], self.sign[keep], self.lines_per_pixel)

    def only(self, polygons: IntArray) -> Crossings:
        """The crossings of these polygons (ascending), numbered anew from 0."""
        chosen = self.select(np.isin(self.polygon, polygons))
        number = np.searchsorted(polygons, chosen.polygon)
        return Crossings(number, chosen.line, chosen.u, chosen.sign, chosen.lines_per_pixel)


def scan(polygons: Sequence[FloatArray], lines_per_pixel: int) -> Crossings:
    """Cross every outline with the scan lines.

    Parameters
    ----------
    polygons : sequence of ndarray, shape (n, 2)
        Corners (u, v) in pixels; the last joins the first.
    lines_per_pixel : int
        Scan lines in one pixel.
    """
    sizes = np.array([len(p) for p in polygons], dtype=np.int64)
    points = np.concatenate(polygons) if len(polygons) else np.zeros((0, 2))
    following = np.arange(1, len(points) + 1)
    following[np.cumsum(sizes) - 1] = np.cumsum(sizes) - sizes
    begin, end = points, points[following]
    v_begin, v_end = begin[:, 1] * lines_per_pixel - 0.5, end[:, 1] * lines_per_pixel - 0.5
    # Half open: a corner that lies on a line belongs to the edge above it, so each line is crossed an even number of
    # times.
    first = np.ceil(np.minimum(v_begin, v_end)).astype(np.int64)
    count = np.ceil(np.maximum(v_begin, v_end)).astype(np.int64) - first
    edge = np.repeat(np.arange(len(points)), count)
    line = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    rise = np.where(count > 0, v_end - v_begin, 1.0)
    slope = (end[:, 0] - begin[:, 0]) / rise
    u = begin[edge, 0] + (line - v_begin[edge]) * slope[edge]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return Crossings(owner[edge], line, u, np.sign(rise)[edge], lines_per_pixel)


def _intervals(crossings: Crossings, group: IntArray) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Covered intervals by the even-odd rule within each group: (group, line, begin, end)."""
    if not len(crossings.u):
        return group, crossings.line, crossings.u, crossings.u
    line, u = crossings.line - crossings.line.min(), crossings.u - crossings.u.min()
    # One sort key: group, then line, then place on the line.
    order = np.argsort((group * (line.max() + 1) + line) * (u.max() + 1.0) + u)
    begin, end = order[0::2], order[1::2]
    return group[begin], crossings.line[begin], crossings.u[begin], crossings.u[end]


def even_odd_area(crossings: Crossings, group: IntArray, groups: int) -> FloatArray:
    """Covered area of each group of polygons in pixels, shape (groups,); `group` says which one a crossing is of."""
    which, _, begin, end = _intervals(crossings, group)
    return np.bincount(which, weights=end - begin, minlength=groups) / crossings.lines_per_pixel


def signed_area(crossings: Crossings, polygons: int) -> FloatArray:
    """Area within each outline in pixels, each part as often as the outline winds around it, shape (polygons,)."""
    total = np.bincount(crossings.polygon, weights=crossings.sign * crossings.u, minlength=polygons)
    return total / crossings.lines_per_pixel


def overlap_area(crossings: Crossings, first: int, second: int) -> float:
    """Area in pixels that two polygons share, from the even-odd areas: (A + B - A xor B) / 2."""
    pair = crossings.select((crossings.polygon == first) | (crossings.polygon == second))
    apart = even_odd_area(pair, (pair.polygon == second).astype(np.int64), 2)
    together = even_odd_area(pair, np.zeros_like(pair.polygon), 1)
    return float(apart.sum() - together[0]) / 2


def coverage(crossings: Crossings, plane: IntArray, planes: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Covered fraction of every pixel of every plane, shape (planes, n_v, n_u) for a `shape` of (n_v, n_u).

    `plane` says which plane a crossing lies on; what lies outside the pixels (from (0, 0)) is left out.
    """
    n_v, n_u = shape
    which, line, begin, end = _intervals(crossings, plane)
    row = line // crossings.lines_per_pixel
    inside = (row >= 0) & (row < n_v)
    start = (which[inside] * n_v + row[inside]) * (n_u + 2)
    at, amount = [], []
    for where, weight in ((begin, 1.0), (end, -1.0)):
        u = np.clip(where[inside], 0, n_u)
        whole = u.astype(np.int64)
        part = u - whole
        # An edge inside pixel m covers the rest of m and all pixels after it: a step that the running sum spreads.
        at += [start + whole, start + whole + 1]
        amount += [weight * (1 - part), weight * part]
    cells = planes * n_v * (n_u + 2)
    steps = np.bincount(np.concatenate(at), weights=np.concatenate(amount), minlength=cells)
    filled = steps.reshape(planes, n_v, n_u + 2)
    np.cumsum(filled, axis=2, out=filled)
    out = np.empty((planes, n_v, n_u), dtype=np.float32)
    np.multiply(filled[:, :, :n_u], 1.0 / crossings.lines_per_pixel, out=out, casting="same_kind")
    out[out < 1e-7] = 0.0  # rounding of the running sum
    return np.minimum(out, np.float32(1), out=out)


def first_self_crossing(polygon: FloatArray) -> FloatArray | None:
    """A point (u, v) where two edges of the outline cross in their interiors; None if there is none."""
    begin, end = polygon, np.roll(polygon, -1, axis=0)
    along = end - begin

    def side(edge: int, points: FloatArray) -> FloatArray:
        offset = points - begin[edge]
        return np.asarray(along[edge, 0] * offset[:, 1] - along[edge, 1] * offset[:, 0])

    for edge in range(len(polygon) - 2):
        others = np.arange(edge + 2, len(polygon))
        begin_side, end_side = side(edge, begin[others]), side(edge, end[others])
        for other in others[begin_side * end_side < 0]:
            this = side(int(other), np.stack([begin[edge], end[edge]]))
            if this[0] * this[1] < 0:
                return np.asarray(begin[edge] + along[edge] * this[0] / (this[0] - this[1]))
    return None


def outlines(pixels: NDArray[np.float32], level: float) -> list[list[FloatArray]]:
    """Closed outlines of where `pixels` (n_v, n_u) reach `level`, by marching squares between pixel centres.

    Returns
    -------
    list of list of ndarray, shape (n, 2)
        One entry per connected part: its outer outline, then its holes; corners (u, v) in pixels, first not repeated.
    """
    from contourpy import FillType, contour_generator

    padded = np.pad(pixels, 1)
    n_v, n_u = padded.shape
    # Index m of the padded array is the centre of pixel m - 1, which lies at m - 0.5.
    generator = contour_generator(
        x=np.arange(n_u) - 0.5, y=np.arange(n_v) - 0.5, z=padded, name="serial", fill_type=FillType.OuterOffset
    )
    # With this fill type: all points of a part, and where each of its rings begins.
    filled: Any = generator.filled(level, np.inf)
    points, offsets = filled
    parts: list[list[FloatArray]] = []
    for corners, bounds in zip(points, offsets, strict=True):
        rings = [np.asarray(corners[a : b - 1], dtype=np.float64) for a, b in pairwise(bounds)]
        parts.append([ring for ring in rings if len(ring) >= 3])
    return [part for part in parts if part]


def keyhole(outer: FloatArray, holes: Sequence[FloatArray]) -> FloatArray:
    """One outline for a polygon with holes: each hole is joined to the outline by a channel of no width.

    From the point of a hole with the least u the channel runs straight to smaller u until it meets the outline. Holes
    are joined in the order of that point, so that nothing not yet joined can lie in between.
    """
    merged = outer
    for hole in sorted(holes, key=lambda ring: float(ring[:, 0].min())):
        tip = hole[hole[:, 0].argmin()]
        begin, end = merged, np.roll(merged, -1, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (tip[1] - begin[:, 1]) / (end[:, 1] - begin[:, 1])
            u = begin[:, 0] + share * (end[:, 0] - begin[:, 0])
        # Half open, as for scan lines: a corner is met once.
        met = ((begin[:, 1] <= tip[1]) != (end[:, 1] <= tip[1])) & (u < tip[0])
        edge = int(np.flatnonzero(met)[u[met].argmax()])
        gate = np.array([[u[edge], tip[1]]])
        turned = np.roll(hole, -int(hole[:, 0].argmin()), axis=0)
        merged = np.concatenate([merged[: edge + 1], gate, turned, turned[:1], gate, merged[edge + 1 :]])
    return merged
