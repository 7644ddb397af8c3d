"""Contours drawn on planes, as structure sets hold them, to a region with sub-voxel borders; and back.

Through the planes
    Each plane's contours stand for the space up to half way to the neighbouring planes; the first and the last plane
    reach as far outward as inward. Which gaps lie within the structure, and which separate two parts of it, is said in
    `hepatica.anatomy.structures.stacking`.
In the plane
    Even-odd rule: a contour inside another one is a hole, and so is a keyhole. An outline drawn again (reversed, from
    another point, a tenth of a millimetre off) is one outline. Contours that overlap in part, or that cross
    themselves, have no agreed inside and are refused.
Sampling a sphere of radius R with planes a distance h apart in this way gives its volume within -(h/R)²/4 to
+(h/R)²/8 of it, depending on where the planes fall: 2 mm planes on a sphere of 10 mm radius give -1.0 to +0.5 %,
1 mm planes -0.25 to +0.13 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.anatomy.structures.points import (
    checked_points,
    encloses,
    enclosing_contours,
    point_text,
    without_repeats,
)
from hepatica.anatomy.structures.polygons import (
    Crossings,
    FloatArray,
    IntArray,
    coverage,
    even_odd_area,
    first_self_crossing,
    keyhole,
    outlines,
    scan,
    signed_area,
)
from hepatica.anatomy.structures.redrawn import DISPUTE_MM2, redrawn_outlines
from hepatica.anatomy.structures.stacking import MERGE_MM, Slabs, planes_of, slabs, usual_step
from hepatica.core.grid import Grid
from hepatica.core.message import Message
from hepatica.core.region import Region, bounding_window
from hepatica.errors import GeometryError

PLANAR_TOLERANCE_MM = 0.1
"""Points of one contour may lie this far off its plane (structure sets round to 0.01 or 0.1 mm)."""

SNAP_MM = 0.01
"""A slab's face this close to a voxel's face is that face, so that rounding does not leak into the next slice."""

LINES_PER_PIXEL = 8
LINE_DISTANCE_MM = 0.25
"""Scan lines: at least eight per pixel, and no farther apart than this."""

CROSSING_IGNORED, CROSSING_REFUSED = 1e-3, 1e-2
"""Disputed part of a contour's area below which a self-crossing is drawing jitter, and above which it is refused."""

MIN_PIXELS = 0.05
"""An outline of less than this part of a pixel is not drawn: it rings a lone voxel that is covered by exactly half."""

MAX_CROSSINGS = 30_000_000
"""Of outlines and scan lines, in one structure; a body on a CT has a million. Each takes some 100 bytes."""

LOSS_WARNED = 1e-3
"""Fraction of a structure outside the image from which on it is said."""

SUBPOINTS, MAX_SUBPOINTS, POINTS_IN_ALL = 4, 10, 20_000_000
"""Sample points per voxel and axis where the contours' planes are oblique to the grid: as many as stay below the number
in all, within the two bounds. A small structure, whose border is most of it, gets the most."""

FINEST_PIXEL, MAX_PIXELS = 0.1, 1024
"""Pixels in which oblique planes are drawn: a tenth of a voxel, but no more than this many across a structure."""

CELLS_AT_ONCE = 8_000_000
"""Pixels rasterised at once: 64 MB of working memory."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A region made from contours, and what is to be known about it.

    Attributes
    ----------
    region : Region
        The covered fraction of each voxel.
    contour_volume_ml : float
        Volume of the contours themselves (area times slab thickness), whether inside the grid or not.
    lost_fraction : float
        Part of that volume outside the grid, 0 to 1.
    plane_distance_mm : float
        Distance between neighbouring contour planes.
    messages : tuple of Message
        Gaps, jitter, loss outside the image; each names the structure.
    """

    region: Region
    contour_volume_ml: float
    lost_fraction: float
    plane_distance_mm: float
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class _Frame:
    """Coordinates of the contours: u, v in pixels (edges at whole numbers), w in mm along the normal.

    ``uvw = to_uvw @ (x, y, z, 1)``. `axis` is the grid axis along the normal, None if the planes are oblique to it.
    """

    to_uvw: FloatArray
    pixel_mm: tuple[float, float]
    axis: int | None

    def apply(self, points_mm: FloatArray) -> FloatArray:
        return np.asarray(points_mm @ self.to_uvw[:, :3].T + self.to_uvw[:, 3])

    @property
    def lines_per_pixel(self) -> int:
        return max(LINES_PER_PIXEL, int(np.ceil(self.pixel_mm[1] / LINE_DISTANCE_MM)))


def fill_contours(
    name: str,
    contours: Sequence[ArrayLike],
    grid: Grid,
    *,
    plane_distance_mm: float | None = None,
    origin: str = "",
) -> Filled:
    """Region covered by closed planar contours.

    Parameters
    ----------
    name : str
        The structure's name, for the region and for every message.
    contours : sequence of array_like, shape (n, 3)
        Corner points of each contour in LPS mm, in the grid's frame of reference; all in parallel planes, of any
        orientation and at any position relative to the grid.
    grid : Grid
        The voxels to cover.
    plane_distance_mm : float, optional
        Distance between the planes, for a structure that has contours on a single plane; by default (said in a
        warning) the grid's own spacing across that plane. Other structures tell their own distance.
    origin : str
        Where the contours came from, for the report.

    Raises
    ------
    GeometryError
        If there is no contour, or one has fewer than three points, is not finite, not flat, not parallel to the
        others, crosses itself or overlaps another one in part; if the structure has no volume; if it lies wholly
        outside the grid. The message names the structure and the plane.
    """
    outlines_mm, messages = enclosing_contours(name, [checked_points(name, contour) for contour in contours])
    outlines_mm, repeats = without_repeats(outlines_mm)
    frame = _frame(name, outlines_mm, grid)
    points = [frame.apply(outline) for outline in outlines_mm]
    expected = sum(float(np.abs(np.diff(p[:, 1], append=p[0, 1])).sum()) for p in points) * frame.lines_per_pixel
    if expected > MAX_CROSSINGS:
        raise GeometryError(f"structure {name!r}: its contours are {expected:.0g} scan lines long: they are damaged")
    crossings = scan([p[:, :2] for p in points], frame.lines_per_pixel)
    messages += _check_crossings(name, outlines_mm, points, crossings, frame)
    plane_of = planes_of(np.array([p[:, 2].mean() for p in points]))
    redrawn, walls = redrawn_outlines(name, outlines_mm, points, crossings, plane_of, frame.pixel_mm)
    messages += walls
    repeats += [outlines_mm[at] for at in redrawn]
    if redrawn:
        kept = np.setdiff1d(np.arange(len(points)), redrawn)
        outlines_mm, points = [outlines_mm[at] for at in kept], [points[at] for at in kept]
        crossings = crossings.only(kept)
        plane_of = planes_of(np.array([p[:, 2].mean() for p in points]))
    if repeats:
        text = f"{len(repeats)} contours are drawn twice, the first on the plane through {point_text(repeats[0][0])} mm"
        messages.append(Message("contours-drawn-twice", f"structure {name!r}: {text}; each is taken once"))
    stack = _slabs(name, points, plane_of, crossings, plane_distance_mm, frame, grid)
    messages += stack.messages

    pixel_area = frame.pixel_mm[0] * frame.pixel_mm[1]
    area = even_odd_area(crossings, stack.plane_of[crossings.polygon], len(stack.low)) * pixel_area
    volume_ml = float(area @ (stack.high - stack.low)) / 1000.0
    if stack.bridged.any():
        added_ml = float(area @ stack.bridged) / 1000.0
        added = f"places without contour (planes {stack.distance_mm:.3g} mm apart) were filled from both sides"
        messages.append(Message("gaps-filled", f"structure {name!r}: {added}, which adds {added_ml:.3g} mL"))
    if not volume_ml > 0:
        raise GeometryError(f"structure {name!r} has no volume: its contours enclose no area")
    fill = _fill_oblique if frame.axis is None else _fill_aligned
    region = fill(name, grid, frame, stack, crossings, origin)
    lost = max(0.0, 1.0 - region.volume_ml / volume_ml)
    if region.is_empty:
        low, high = (
            np.min([o.min(axis=0) for o in outlines_mm], axis=0),
            np.max([o.max(axis=0) for o in outlines_mm], 0),
        )
        corners = grid.corners_mm()
        raise GeometryError(
            f"structure {name!r} lies wholly outside the image: it spans {point_text(low)} to {point_text(high)} "
            f"mm LPS, the image {point_text(corners.min(axis=0))} to {point_text(corners.max(axis=0))}"
        )
    # Sampling an oblique structure is exact to about a thousandth only; a loss must exceed that.
    if lost > (LOSS_WARNED if frame.axis is not None else 10 * LOSS_WARNED):
        text = f"structure {name!r}: {100 * lost:.1f} % of its volume lies outside the image and is lost"
        messages.append(Message("structure-cut-off", text))
    return Filled(region, volume_ml, lost, stack.distance_mm, tuple(messages))


def region_contours(region: Region, *, axis: int = 2, holes: str = "keyhole") -> tuple[FloatArray, ...]:
    """Closed planar contours around a region, where its coverage passes one half.

    Parameters
    ----------
    region : Region
        What to outline. Parts that fill less than half of every voxel they touch have no outline.
    axis : int
        Grid axis across the planes; one plane through the voxel centres of each slice.
    holes : {"keyhole", "separate"}
        Holes joined to their outline by a channel of no width, which DICOM asks of CLOSED_PLANAR contours (PS3.3
        C.8.8.6.3), or as contours of their own, which readers take as holes by the exclusive-or rule.

    Returns
    -------
    tuple of ndarray, shape (n, 3)
        Corner points in LPS mm, ordered by slice; the last joins the first.
    """
    if holes not in ("keyhole", "separate"):
        raise GeometryError(f"holes must be 'keyhole' or 'separate', not {holes!r}")
    axis_u, axis_v = (a for a in range(3) if a != axis)
    starts = [s.start for s in region.window]
    slices = np.moveaxis(region.coverage, (axis, axis_v, axis_u), (0, 1, 2))
    contours: list[FloatArray] = []
    for number, pixels in enumerate(slices):
        if not pixels.size or float(pixels.max()) < 0.5:
            continue
        # Just below one half, so that voxels covered by exactly half count as inside, as in Region.mask.
        for part in outlines(pixels, level=0.5 - 1e-6):
            if _area(part[0]) < MIN_PIXELS:
                continue
            rings = [keyhole(part[0], part[1:])] if holes == "keyhole" and len(part) > 1 else part
            for ring in rings:
                index = np.empty((len(ring), 3))
                index[:, axis_u] = ring[:, 0] - 0.5 + starts[axis_u]
                index[:, axis_v] = ring[:, 1] - 0.5 + starts[axis_v]
                index[:, axis] = number + starts[axis]
                contours.append(region.grid.to_mm(index))
    return tuple(contours)


def plane_distance_mm(contours: Sequence[ArrayLike]) -> float | None:
    """Distance between neighbouring planes of a structure's contours; None if there are fewer than two planes.

    The lower median of the distances: neither a short step nor the jump between two parts moves it.
    """
    points = [np.asarray(contour, dtype=np.float64) for contour in contours]
    points = [p for p in points if p.ndim == 2 and np.isfinite(p).all() and encloses(p)]
    if not points:
        return None
    normal = _common_normal(points)
    heights = np.array([float((p @ normal).mean()) for p in points])
    plane_of = planes_of(heights)
    steps = np.diff(np.bincount(plane_of, weights=heights) / np.bincount(plane_of))
    return usual_step(steps[steps > MERGE_MM])


def _frame(name: str, contours: list[FloatArray], grid: Grid) -> _Frame:
    """Frame along a grid axis if every contour is flat across one, else in the contours' own planes."""
    for axis in (2, 1, 0):
        row = grid.inverse_affine[axis, :3] * grid.spacing_mm[axis]
        if all(float(np.ptp(points @ row)) <= PLANAR_TOLERANCE_MM for points in contours):
            axis_u, axis_v = (a for a in range(3) if a != axis)
            to_uvw = grid.inverse_affine[[axis_u, axis_v, axis]].copy()
            to_uvw[:2, 3] += 0.5
            to_uvw[2] *= grid.spacing_mm[axis]
            return _Frame(to_uvw, (grid.spacing_mm[axis_u], grid.spacing_mm[axis_v]), axis)
    normal = _common_normal(contours)
    for points in contours:
        off = float(np.ptp(points @ normal))
        if off <= PLANAR_TOLERANCE_MM:
            continue
        own = _flatness(points)
        why = (
            f"is not flat: its points lie up to {own:.2g} mm off one plane"
            if own > PLANAR_TOLERANCE_MM
            else "is not parallel to the structure's other contours"
        )
        raise GeometryError(f"structure {name!r}: the contour through {point_text(points[0])} mm {why}")
    everything = np.concatenate(contours)
    pixel = max(min(grid.spacing_mm) * FINEST_PIXEL, float(np.ptp(everything, axis=0).max()) / MAX_PIXELS)
    across = grid.direction[:, int(np.abs(grid.direction.T @ normal).argmin())]
    along_u = across - normal * (across @ normal)
    along_u /= np.linalg.norm(along_u)
    rows = np.stack([along_u / pixel, np.cross(normal, along_u) / pixel, normal])
    return _Frame(np.column_stack([rows, np.zeros(3)]), (pixel, pixel), None)


def _common_normal(contours: list[FloatArray]) -> FloatArray:
    """Unit normal that the contours share, large contours counting most (a small one's own is lost in rounding)."""
    # A polygon's area vector (Newell): half the sum of the cross products of its corners about one of them.
    areas = [np.cross(p - p[0], np.roll(p, -1, axis=0) - p[0]).sum(axis=0) / 2 for p in contours]
    _, vectors = np.linalg.eigh(sum(np.outer(a, a) for a in areas))
    return np.asarray(vectors[:, -1])


def _flatness(points: FloatArray) -> float:
    """Width of the points across their best plane in mm."""
    centred = points - points.mean(axis=0)
    normal = np.linalg.svd(centred, full_matrices=False)[2][-1]
    return float(np.ptp(centred @ normal))


def _slabs(
    name: str,
    points: list[FloatArray],
    plane_of: IntArray,
    crossings: Crossings,
    alone_mm: float | None,
    frame: _Frame,
    grid: Grid,
) -> Slabs:
    """Slab of space that each plane's contours stand for."""
    group = plane_of[crossings.polygon]
    area = even_odd_area(crossings, group, int(plane_of.max()) + 1)

    def shared_part(plane: int) -> float:
        pair = (group == plane) | (group == plane + 1)
        both = even_odd_area(crossings.select(pair), np.zeros(int(pair.sum()), np.int64), 1)[0]
        smaller = float(area[plane : plane + 2].min())
        return float(area[plane] + area[plane + 1] - both) / 2 / smaller if smaller > 0 else 0.0

    across = int(np.abs(frame.to_uvw[2, :3] @ grid.direction).argmax())
    return slabs(
        name,
        np.array([p[:, 2].mean() for p in points]),
        plane_of,
        alone_mm=alone_mm,
        slice_mm=grid.spacing_mm[across],
        shared_part=shared_part,
    )


def _check_crossings(
    name: str, contours: list[FloatArray], points: list[FloatArray], crossings: Crossings, frame: _Frame
) -> list[Message]:
    """Refuse contours that cross themselves; note small loops.

    The even-odd area and the area that the outline winds around are equal for a simple outline (keyholes included) and
    differ by what is in dispute where it crosses itself: for a figure of eight one is the sum of both lobes, the other
    their difference.
    """
    area = even_odd_area(crossings, crossings.polygon, len(points))
    disputed = np.abs(area - np.abs(signed_area(crossings, len(points))))
    disputed[disputed * frame.pixel_mm[0] * frame.pixel_mm[1] < DISPUTE_MM2] = 0.0
    share = disputed / np.maximum(area, 1e-12)
    worst = int(share.argmax())
    if share[worst] > CROSSING_REFUSED:
        at = first_self_crossing(points[worst][:, :2])
        near = contours[worst][0] if at is None else contours[worst][np.abs(points[worst][:, :2] - at).sum(1).argmin()]
        raise GeometryError(
            f"structure {name!r}: the contour near {point_text(near)} mm crosses itself; what is inside is in doubt "
            f"for {100 * share[worst]:.0f} % of its area. Redraw it"
        )
    if jitter := int((share > CROSSING_IGNORED).sum()):
        loops = f"{jitter} contours cross themselves in small loops (up to {100 * share[worst]:.1f} % of their area)"
        return [Message("contours-cross-themselves", f"structure {name!r}: {loops}; read by the even-odd rule")]
    return []


def _fill_aligned(name: str, grid: Grid, frame: _Frame, stack: Slabs, crossings: Crossings, origin: str) -> Region:
    """Planes across a grid axis: exact overlap of slabs and voxels, plane by plane."""
    axis = 2 if frame.axis is None else frame.axis
    axis_u, axis_v = (a for a in range(3) if a != axis)
    n_u, n_v, n_w = grid.shape[axis_u], grid.shape[axis_v], grid.shape[axis]
    weights = _slab_weights(stack, grid.spacing_mm[axis], n_w)
    u_low, u_high = _span(crossings.u, n_u)
    v_low, v_high = _span(crossings.line / crossings.lines_per_pixel, n_v)
    touched = np.flatnonzero(weights.any(axis=0))
    if not touched.size or u_low >= u_high or v_low >= v_high:
        return Region(name, grid, (slice(0, 0),) * 3, np.zeros((0, 0, 0), np.float32), origin)
    w_low, w_high = int(touched[0]), int(touched[-1]) + 1
    shape = (v_high - v_low, u_high - u_low)
    moved = Crossings(
        crossings.polygon,
        crossings.line - v_low * crossings.lines_per_pixel,
        crossings.u - u_low,
        crossings.sign,
        crossings.lines_per_pixel,
    )
    covered = np.zeros((w_high - w_low, *shape), dtype=np.float32)
    at_once = max(1, CELLS_AT_ONCE // (shape[0] * (shape[1] + 2)))
    plane = stack.plane_of[moved.polygon]
    for first in range(0, len(stack.low), at_once):
        batch = (plane >= first) & (plane < first + at_once)
        planes = min(at_once, len(stack.low) - first)
        pixels = coverage(moved.select(batch), plane[batch] - first, planes, shape)
        for number in range(planes):
            for w in np.flatnonzero(weights[first + number]):
                covered[w - w_low] += weights[first + number, w] * pixels[number]
    np.minimum(covered, 1, out=covered)
    box = [slice(0, 0)] * 3
    box[axis], box[axis_v], box[axis_u] = slice(w_low, w_high), slice(v_low, v_high), slice(u_low, u_high)
    return _trimmed(name, grid, box, np.moveaxis(covered, (0, 1, 2), (axis, axis_v, axis_u)), origin)


def _span(along: FloatArray, size: int) -> tuple[int, int]:
    """First pixel and one past the last that the crossings reach, within the grid."""
    if not len(along):
        return 0, 0
    return max(0, int(np.floor(along.min()))), min(size, int(np.ceil(along.max())) + 1)


def _slab_weights(stack: Slabs, spacing_mm: float, n_w: int) -> NDArray[np.float32]:
    """Share of each grid slice that each slab fills, shape (planes, n_w)."""
    faces = np.stack([stack.low, stack.high]) / spacing_mm + 0.5  # voxel m spans m to m + 1
    whole = np.rint(faces)
    faces = np.where(np.abs(faces - whole) * spacing_mm < SNAP_MM, whole, faces)
    voxel = np.arange(n_w)
    share = np.minimum(faces[1][:, None], voxel + 1) - np.maximum(faces[0][:, None], voxel)
    return np.asarray(np.maximum(share, 0), dtype=np.float32)


def _fill_oblique(name: str, grid: Grid, frame: _Frame, stack: Slabs, crossings: Crossings, origin: str) -> Region:
    """Planes oblique to the grid: points in every voxel are looked up in finely drawn planes."""
    line_v = crossings.line / crossings.lines_per_pixel
    lows = np.floor([crossings.u.min(), line_v.min()]).astype(np.int64)
    n_u, n_v = (np.ceil([crossings.u.max(), line_v.max()]).astype(np.int64) + 1 - lows).tolist()
    moved = Crossings(
        crossings.polygon,
        crossings.line - int(lows[1]) * crossings.lines_per_pixel,
        crossings.u - lows[0],
        crossings.sign,
        crossings.lines_per_pixel,
    )
    drawn = np.zeros((len(stack.low), n_v, n_u), dtype=bool)
    plane = stack.plane_of[moved.polygon]
    for number in range(len(stack.low)):
        here = plane == number
        drawn[number] = coverage(moved.select(here), np.zeros(int(here.sum()), np.int64), 1, (n_v, n_u))[0] >= 0.5
    low = np.array([lows[0], lows[1], stack.low[0]], dtype=np.float64)
    box = _reach(grid, frame, low, np.array([lows[0] + n_u, lows[1] + n_v, stack.high[-1]], dtype=np.float64))
    shape = tuple(s.stop - s.start for s in box)
    if min(shape) <= 0:
        return Region(name, grid, (slice(0, 0),) * 3, np.zeros((0, 0, 0), np.float32), origin)

    # uvw of a point at grid index (i, j, k), relative to the drawn planes' corner.
    turn = frame.to_uvw[:, :3] @ grid.affine[:3, :3]
    corner = frame.apply(grid.to_mm([s.start for s in box])) - np.array([lows[0], lows[1], 0.0])
    subpoints = int(np.clip(np.cbrt(POINTS_IN_ALL / np.prod(shape)), SUBPOINTS, MAX_SUBPOINTS))
    offsets = (np.arange(subpoints) + 0.5) / subpoints - 0.5
    i, j, di, dj = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), offsets, offsets, indexing="ij")
    in_slice = np.stack([i + di, j + dj], axis=-1) @ turn[:, :2].T + corner
    covered = np.zeros((shape[2], shape[0], shape[1]), dtype=np.float32)
    for k in range(shape[2]):
        for dk in offsets:
            uvw = in_slice + turn[:, 2] * (k + dk)
            covered[k] += _look_up(drawn, stack, uvw).mean(axis=(2, 3), dtype=np.float32)
    covered /= subpoints
    return _trimmed(name, grid, list(box), covered.transpose(1, 2, 0), origin)


def _look_up(drawn: NDArray[np.bool_], stack: Slabs, uvw: FloatArray) -> NDArray[np.bool_]:
    """Whether points lie inside: in a slab, and in a drawn pixel of its plane; shape (..., 3) -> (...)."""
    planes, n_v, n_u = drawn.shape
    slab = np.searchsorted(stack.low, uvw[..., 2], side="right") - 1
    u, v = np.floor(uvw[..., 0]).astype(np.int64), np.floor(uvw[..., 1]).astype(np.int64)
    inside = (slab >= 0) & (u >= 0) & (u < n_u) & (v >= 0) & (v < n_v)
    slab = np.clip(slab, 0, planes - 1)
    inside &= uvw[..., 2] < stack.high[slab]
    return np.asarray(inside & drawn[slab, np.clip(v, 0, n_v - 1), np.clip(u, 0, n_u - 1)])


def _reach(grid: Grid, frame: _Frame, low: FloatArray, high: FloatArray) -> tuple[slice, slice, slice]:
    """Box of grid voxels that a box in (u, v, w) can touch, within the grid; empty slices where it touches none."""
    corners = np.array([[u, v, w] for u in (low[0], high[0]) for v in (low[1], high[1]) for w in (low[2], high[2])])
    back = np.linalg.inv(frame.to_uvw[:, :3])
    index = grid.to_index((corners - frame.to_uvw[:, 3]) @ back.T)
    first = np.maximum(np.floor(index.min(axis=0) + 0.5).astype(int), 0)
    last = np.minimum(np.ceil(index.max(axis=0) + 0.5).astype(int), grid.shape)
    i, j, k = (slice(int(a), max(int(a), int(b))) for a, b in zip(first, last, strict=True))
    return i, j, k


def _trimmed(name: str, grid: Grid, box: list[slice], covered: NDArray[np.float32], origin: str) -> Region:
    inner = bounding_window(covered > 0)
    i, j, k = (slice(b.start + n.start, b.start + n.stop) for b, n in zip(box, inner, strict=True))
    return Region(name, grid, (i, j, k), covered[inner], origin)


def _area(polygon: FloatArray) -> float:
    u, v = polygon.T
    return abs(float(u @ np.roll(v, -1) - v @ np.roll(u, -1))) / 2
