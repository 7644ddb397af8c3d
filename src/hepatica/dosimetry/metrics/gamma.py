"""Gamma index in three dimensions: whether two dose maps agree within a dose and a distance.

For a point p of the reference with dose D_r(p), gamma is the least

    sqrt( |x - p|^2 / distance^2 + (D_e(x) - D_r(p))^2 / dose_criterion^2 )

over all x of the evaluated map (Low et al., Med Phys 1998;25:656), whose dose between voxel centres is the trilinear
interpolation. There is no interpolation step: the minimum over all cells between voxel centres is found by branch and
bound, and is right to `tolerance`.

A cell's bounds. Let c be the point of the cell nearest to p, e the dose difference there over the criterion, d_a the
distance of c from p along axis a, and G_a the largest gradient along a that lowers |e| on a way from c into the cell
(each component of a trilinear gradient lies between the differences along the four edges). Then a point that lies r_a
further along each axis has

    gamma^2 >= sum_a (d_a + r_a)^2 + max(0, |e| - sum_a G_a r_a)^2,

and with (u)^2 >= 2 lambda u - lambda^2 for any lambda >= 0 the least over 0 <= r_a <= room_a has a closed form, axis by
axis: a lower bound (the Lagrange dual, equal to the minimum for a linear dose at the right lambda). The upper bound is
the value at the minimum for the linear dose with the value and gradient at c, moved into the cell; its dose difference
is the lambda that the lower bound takes. Where the dose is nearly linear in a cell both nearly meet, and few cells need
to be halved.
"""

from __future__ import annotations

import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Volume
from hepatica.core.document import HIDDEN, reported
from hepatica.errors import InputError

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]

REAL = np.float32
"""The search runs in single precision: 1e-7 of the maximum dose over a criterion is far below the tolerance."""

CHUNK = 32768
"""Reference points treated together: enough to make a call worth while, few enough for the cache."""

RING = 0.25
"""Cells are visited by distance, in shells this many distance criteria thick."""

MIN_WIDTH = 1e-3
"""A cropped cell keeps at least this fraction of its length, so that nothing is divided by zero."""

MAX_HALVINGS = 12
"""A cell is halved until the bounds meet; by then it is a 4000th of a voxel."""

CORNERS = tuple(itertools.product((0, 1), repeat=3))


@dataclass(frozen=True, slots=True, eq=False)
class GammaMap:
    """Gamma index of every voxel of the reference.

    Attributes
    ----------
    gamma : Volume
        Dimensionless, on the reference's grid, at most `max_gamma` (which then means "at least"); NaN where the
        reference dose is below the threshold.
    dose_percent, distance_mm : float
        The criteria.
    local : bool
        Whether the dose criterion is a percentage of the local reference dose (else of `normalisation_gy`).
    normalisation_gy : float
        Dose that the threshold, and the global criterion, are a percentage of.
    threshold_percent : float
        Voxels of the reference below this percentage were left out.
    max_gamma, tolerance : float
        Where the search stopped; how exact the values are.
    """

    gamma: Volume = field(metadata=HIDDEN)
    dose_percent: float
    distance_mm: float
    local: bool = field(metadata=HIDDEN)
    normalisation_gy: float
    threshold_percent: float
    max_gamma: float
    tolerance: float = field(metadata=HIDDEN)

    @property
    @reported
    def criterion(self) -> Literal["local", "global"]:
        """What the dose criterion is a percentage of."""
        return "local" if self.local else "global"

    @property
    @reported
    def voxels(self) -> int:
        """Number of voxels with a gamma."""
        return int(np.isfinite(self.gamma.values).sum())

    @property
    def pass_rate(self) -> float:
        """Fraction (0 to 1) of the evaluated voxels with gamma of at most 1."""
        return int((self.gamma.values <= 1).sum()) / self.voxels

    @property
    @reported
    def pass_percent(self) -> float:
        """Percentage of the evaluated voxels with gamma of at most 1."""
        return 100 * self.pass_rate

    @property
    @reported
    def gamma_mean(self) -> float:
        """Mean gamma of the evaluated voxels (those at `max_gamma` count as that)."""
        return float(np.nanmean(self.gamma.values, dtype=np.float64))

    def __repr__(self) -> str:
        kind = "local" if self.local else "global"
        return (
            f"<GammaMap {self.dose_percent:g} %/{self.distance_mm:g} mm {kind}: {100 * self.pass_rate:.2f} % of "
            f"{self.voxels} voxels pass, mean {self.gamma_mean:.3f}>"
        )


def gamma_index(  # noqa: PLR0913 - the criteria that belong to a pass rate, all by keyword
    reference: Volume,
    evaluated: Volume,
    *,
    dose_percent: float = 3.0,
    distance_mm: float = 3.0,
    local: bool = False,
    normalisation_gy: float | None = None,
    threshold_percent: float = 10.0,
    max_gamma: float = 2.0,
    tolerance: float = 0.01,
    workers: int = 2,
) -> GammaMap:
    """Gamma index of every voxel of `reference` against the dose interpolated in `evaluated`.

    Parameters
    ----------
    reference, evaluated : Volume
        Absorbed dose in Gy in one frame of reference; the grids may differ in every way.
    dose_percent, distance_mm : float
        The criteria.
    local : bool
        Take the dose criterion as a percentage of each reference dose, not of the normalisation.
    normalisation_gy : float, optional
        Dose of 100 %; by default the maximum of the reference. A dose map of microspheres may have its maximum in one
        noisy voxel: state a prescription there.
    threshold_percent : float
        Leave out reference voxels below this percentage of the normalisation.
    max_gamma : float
        Stop the search there; a gamma of this value means at least this.
    tolerance : float
        Largest error of a gamma, for the trilinear dose.
    workers : int
        Threads; the result does not depend on it.

    Returns
    -------
    GammaMap

    Raises
    ------
    InputError
        If a criterion is not positive, or no voxel lies above the threshold.
    GeometryError
        If the frames of reference differ.
    UnitError
        If a volume is not a dose, or not finite.

    References
    ----------
    .. [1] Low DA, Harms WB, Mutic S, Purdy JA. Med Phys 1998;25:656-661.
    .. [2] Ju T, Simpson T, Deasy JO, Low DA. Med Phys 2008;35:879-887 (gamma without an interpolation step).
    """
    for volume in (reference, evaluated):
        volume.require_kind(Kind.DOSE)
        volume.require_finite()
    reference.grid.require_shared_frame(evaluated.grid, "gamma index")
    positive = {
        "dose_percent": dose_percent,
        "distance_mm": distance_mm,
        "max_gamma": max_gamma,
        "tolerance": tolerance,
    }
    for name, value in positive.items():
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"gamma index: {name} must be positive, not {value}")
    full = float(reference.values.max()) if normalisation_gy is None else normalisation_gy
    wanted = (reference.values >= threshold_percent / 100 * full) & (reference.values > 0)
    if not (full > 0 and wanted.any()):
        raise InputError(f"gamma index: no voxel of the reference has {threshold_percent:g} % of {full:g} Gy or more")
    search = _Search.through(evaluated, distance_mm, max_gamma, tolerance)
    index = np.argwhere(wanted)
    doses = reference.values[wanted].astype(REAL)
    starts = range(0, len(index), CHUNK)

    def part(start: int) -> FloatArray:
        chunk = slice(start, start + CHUNK)
        at = evaluated.grid.to_index(reference.grid.to_mm(index[chunk])).T
        criterion = dose_percent / 100 * (doses[chunk] if local else np.full_like(doses[chunk], full))
        return search.gamma(at, doses[chunk], (1 / criterion).astype(REAL))

    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(part, starts))
    values = np.full(reference.grid.shape, np.nan, dtype=np.float32)
    values[wanted] = np.concatenate(parts)
    return GammaMap(
        gamma=Volume(reference.grid, values, Kind.UNKNOWN, name="gamma index"),
        dose_percent=dose_percent,
        distance_mm=distance_mm,
        local=local,
        normalisation_gy=full,
        threshold_percent=threshold_percent,
        max_gamma=max_gamma,
        tolerance=tolerance,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """The evaluated dose as cells between voxel centres, lengths in units of the distance criterion."""

    dose: FloatArray
    lowest: FloatArray
    highest: FloatArray
    rises: tuple[tuple[FloatArray, FloatArray], ...]
    shape: tuple[int, int, int]
    spacing: FloatArray
    max_gamma: float
    tolerance: float = field(metadata=HIDDEN)

    @classmethod
    def through(cls, evaluated: Volume, distance_mm: float, max_gamma: float, tolerance: float) -> _Search:
        values = np.asarray(evaluated.values, dtype=REAL)
        for axis, size in enumerate(values.shape):
            if size == 1:  # a single plane: the same dose on both sides, so that it has cells
                values = np.repeat(values, 2, axis=axis)
        i, j, k = values.shape
        spacing = np.asarray(evaluated.grid.spacing_mm, dtype=REAL) / REAL(distance_mm)
        lowest, highest = (_over_corners(extreme, values) for extreme in (np.minimum, np.maximum))
        rises = tuple(_rises(values, axis, float(length)) for axis, length in enumerate(spacing))
        flat = np.ascontiguousarray(values).reshape(-1)
        return cls(flat, lowest, highest, rises, (i, j, k), spacing, float(max_gamma), float(tolerance))

    def gamma(self, at: NDArray[np.float64], dose: FloatArray, per_gy: FloatArray) -> FloatArray:
        """Gamma of points at indices `at`, shape (3, n), with `dose`, shape (n,), and criteria per Gy, shape (n,)."""
        most = np.asarray(self.shape)[:, None] - 2
        # An index that is whole but for rounding is whole: the point then lies on cell corners, with tight bounds.
        whole = np.rint(at)
        at = np.where(np.abs(at - whole) < 1e-6, whole, at)
        base = np.clip(np.floor(at), 0, most).astype(np.int64)
        inside = (at - base).astype(REAL)
        best = np.full(dose.size, self.max_gamma**2, dtype=REAL)
        around = self._around(base, inside, dose, per_gy)
        self._first_guess(best, around, (base, inside), dose, per_gy)
        points = np.arange(dose.size)
        for least, steps in self._rings(inside):
            points = points[best[points] > max(least, self.tolerance**2)]
            if not points.size:
                break
            pair, cell, place = self._candidates(
                best, points, (least, steps), (base, inside), around, (dose, 1 / per_gy)
            )
            corners = self._corners(cell)
            corners -= dose[pair]
            corners *= per_gy[pair]
            lower, upper = _bounds(corners, place, self.spacing[:, None])
            np.minimum.at(best, pair, upper)
            self._refine(best, lower, pair, place, corners)
        return np.sqrt(best)

    def _around(self, base: IntArray, inside: FloatArray, dose: FloatArray, per_gy: FloatArray) -> FloatArray:
        """Lower bound of squared gamma in the eight cells around a point, shape (8, n), in the order of CORNERS.

        For a point on a corner of cells (two maps on one grid): a cell can only lower the difference by its steepest
        fall away from that corner. Zero, which says nothing, for a point within a cell; the first is its own cell.
        """
        _, nj, nk = self.shape
        own = (base[0] * nj + base[1]) * nk + base[2]
        excess = (self.dose[own] - dose) * per_gy
        above = excess > 0
        corner = (inside == 0).all(axis=0) & (base > 0).all(axis=0)
        own = np.where(corner, own, (nj + 1) * nk + 1)
        bounds = np.empty((len(CORNERS), dose.size), dtype=REAL)
        for n, back in enumerate(CORNERS):
            cell = own - ((back[0] * nj + back[1]) * nk + back[2])
            steep = np.zeros_like(excess)
            for (least, most), backwards in zip(self.rises, back, strict=True):
                falls, grows = -least[cell], most[cell]
                steep += np.square(np.maximum(0, np.where(above != bool(backwards), falls, grows)))
            bounds[n] = excess * excess / (1 + steep * np.square(per_gy))
        bounds[:, ~corner] = 0
        return bounds

    def _first_guess(
        self,
        best: FloatArray,
        around: FloatArray,
        where: tuple[IntArray, FloatArray],
        dose: FloatArray,
        per_gy: FloatArray,
    ) -> None:
        """Upper bound from the most promising cell of the eight around each point: it spares most of the rest."""
        base, inside = where
        _, nj, nk = self.shape
        back = np.asarray(CORNERS)[around.argmin(axis=0)].T
        cell = ((base[0] - back[0]) * nj + base[1] - back[1]) * nk + base[2] - back[2]
        corners = self._corners(cell)
        corners -= dose
        corners *= per_gy
        _, upper = _bounds(corners, inside + back.astype(REAL), self.spacing[:, None])
        np.minimum(best, upper, out=best)

    def _rings(self, inside: FloatArray) -> list[tuple[float, list[IntArray]]]:
        """Steps from a point's own cell, nearest first: the least squared distance of a ring, and its steps."""
        low, high = inside.min(axis=1), inside.max(axis=1)
        reach = np.ceil(self.max_gamma / self.spacing + np.abs(inside).max(axis=1)).astype(int) + 1
        steps = np.indices(2 * reach + 1).reshape(3, -1).T - reach
        gap = np.maximum(0, np.maximum(steps - high, low - steps - 1)) * self.spacing
        distance = np.sqrt((gap * gap).sum(axis=1))
        shell = np.ceil(distance / RING)
        rings = []
        for number in np.unique(shell[distance < self.max_gamma]):
            members = (shell == number) & (distance < self.max_gamma)
            rings.append((float(distance[members].min()) ** 2, list(steps[members])))
        return rings

    def _candidates(
        self,
        best: FloatArray,
        points: IntArray,
        ring: tuple[float, list[IntArray]],
        where: tuple[IntArray, FloatArray],
        around: FloatArray,
        doses: tuple[FloatArray, FloatArray],
    ) -> tuple[IntArray, IntArray, FloatArray]:
        """Pairs of point and cell of a ring that may lower gamma, judged by range and rise of the dose in the cell."""
        least, steps = ring
        base, inside = where
        dose, criterion = doses
        _, nj, nk = self.shape
        own = (base[0, points] * nj + base[1, points]) * nk + base[2, points]
        worth = self._worth(best[points])
        slack = np.sqrt(np.maximum(0, worth - REAL(least))) * criterion[points]
        low, high = dose[points] - slack, dose[points] + slack
        at_edge = base[:, points].min(axis=1), base[:, points].max(axis=1)
        pairs, cells, places = [], [], []
        for step in steps:
            flat = own + int((step[0] * nj + step[1]) * nk + step[2])
            if (at_edge[0] + step < 0).any() or (at_edge[1] + step > np.asarray(self.shape) - 2).any():
                cell = base[:, points] + step[:, None]
                valid = ((cell >= 0) & (cell < np.asarray(self.shape)[:, None] - 1)).all(axis=0)
                keep = np.flatnonzero(valid)
                keep = keep[(self.lowest[flat[keep]] < high[keep]) & (self.highest[flat[keep]] > low[keep])]
            else:
                keep = np.flatnonzero((self.lowest[flat] < high) & (self.highest[flat] > low))
            if (step <= 0).all() and (step >= -1).all():
                number = CORNERS.index(tuple((-step).tolist()))
                keep = keep[around[number, points[keep]] < worth[keep]]
            pairs.append(points[keep])
            cells.append(flat[keep])
            places.append(inside[:, pairs[-1]] - step[:, None].astype(REAL))
        return np.concatenate(pairs), np.concatenate(cells), np.concatenate(places, axis=1)

    def _corners(self, cell: IntArray) -> FloatArray:
        """Dose at the eight corners of each cell, shape (2, 2, 2, n)."""
        _, nj, nk = self.shape
        corners = np.empty((2, 2, 2, cell.size), dtype=REAL)
        for a, b, c in CORNERS:
            corners[a, b, c] = self.dose[cell + ((a * nj + b) * nk + c)]
        return corners

    def _worth(self, best: FloatArray) -> FloatArray:
        """A cell whose lower bound (squared) is above this cannot improve gamma by more than the tolerance."""
        return np.square(np.maximum(0, np.sqrt(best) - REAL(self.tolerance)))

    def _refine(
        self, best: FloatArray, lower: FloatArray, points: IntArray, place: FloatArray, corners: FloatArray
    ) -> None:
        """Crop and cut the cells that may still lower gamma, again and again, until the bounds meet."""
        size = np.broadcast_to(self.spacing[:, None], place.shape)
        for _ in range(MAX_HALVINGS):
            still = lower < self._worth(best[points])
            if not still.any():
                return
            points = points[still]
            radius = np.sqrt(best[points])
            box = _crop(corners[..., still], place[:, still], size[:, still], radius)
            lower, upper = _bounds(*box)
            np.minimum.at(best, points, upper)
            still = lower < self._worth(best[points])
            points = points[still]
            corners, place, size = (part[..., still] for part in box)
            lattice, place, size = _midpoints(corners), 2 * place, size / 2
            parts = []
            for octant in CORNERS:
                a, b, c = octant
                child = lattice[a : a + 2, b : b + 2, c : c + 2]
                inside = place - np.asarray(octant, dtype=REAL)[:, None]
                lower, upper = _bounds(child, inside, size)
                np.minimum.at(best, points, upper)
                left = lower < self._worth(best[points])
                parts.append((lower[left], points[left], inside[:, left], child[..., left], size[:, left]))
            lower, points, place, corners, size = (np.concatenate(p, axis=-1) for p in zip(*parts, strict=True))


def _crop(
    corners: FloatArray, place: FloatArray, size: FloatArray, radius: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Part of each cell that a sphere about the point touches, as a cell of its own: corners, place, size."""
    reach = radius / size
    low, high = np.clip(place - reach, 0, 1), np.clip(place + reach, 0, 1)
    width = np.maximum(high - low, REAL(MIN_WIDTH))
    low = np.minimum(low, 1 - width)
    out = corners
    for axis in range(3):
        first, second = (out[(slice(None),) * axis + (side,)] for side in (0, 1))
        rise = second - first
        near = first + low[axis] * rise
        out = np.stack([near, near + width[axis] * rise], axis=axis)
    return out, (place - low) / width, size * width


def _rises(values: FloatArray, axis: int, length: float) -> tuple[FloatArray, FloatArray]:
    """Least and largest rise along an axis over the four edges of each cell, per distance criterion; flat."""
    rise = np.zeros_like(values)
    ahead = (slice(None),) * axis + (slice(1, None),)
    behind = (slice(None),) * axis + (slice(None, -1),)
    rise[behind] = (values[ahead] - values[behind]) / REAL(length)
    least, most = rise, rise.copy()
    for other in {0, 1, 2} - {axis}:
        first = (slice(None),) * other + (slice(None, -1),)
        second = (slice(None),) * other + (slice(1, None),)
        least[first] = np.minimum(least[first], least[second])
        most[first] = np.maximum(most[first], most[second])
    return least.reshape(-1), most.reshape(-1)


def _over_corners(extreme: np.ufunc, values: FloatArray) -> FloatArray:
    """Least or largest of the eight corners of the cell above each voxel; flat, last planes not meaningful."""
    out = values.copy()
    for axis in range(3):
        first = (slice(None),) * axis + (slice(None, -1),)
        second = (slice(None),) * axis + (slice(1, None),)
        out[first] = extreme(out[first], out[second])
    return out.reshape(-1)


def _midpoints(corners: FloatArray) -> FloatArray:
    """Trilinear values at the 3 x 3 x 3 corners, edge, face and cell centres, shape (3, 3, 3, n)."""
    out = np.empty((3, 3, 3, corners.shape[-1]), dtype=corners.dtype)
    out[::2, ::2, ::2] = corners
    out[1, ::2, ::2] = (out[0, ::2, ::2] + out[2, ::2, ::2]) / 2
    out[:, 1, ::2] = (out[:, 0, ::2] + out[:, 2, ::2]) / 2
    out[:, :, 1] = (out[:, :, 0] + out[:, :, 2]) / 2
    return out


def _bounds(corners: FloatArray, place: FloatArray, lengths: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lower and upper bound of squared gamma in a cell.

    Parameters
    ----------
    corners : ndarray, shape (2, 2, 2, n)
        Dose less the reference dose at the cell's corners, in dose criteria.
    place : ndarray, shape (3, n)
        The reference point, in cell lengths from the first corner.
    lengths : ndarray, shape (3, n) or (3, 1)
        Cell lengths in distance criteria.
    """
    near = np.clip(place, 0, 1)
    away = (near - place) * lengths
    squared = _dot(away, away)
    excess, gradient = _trilinear(corners, near, lengths)

    along = (excess - _dot(gradient, away)) / (1 + _dot(gradient, gradient))
    guess = np.clip(place - gradient * along / lengths, 0, 1)
    moved = (guess - place) * lengths
    there, _ = _trilinear(corners, guess, None)
    upper = _dot(moved, moved) + there * there

    steepest = _steepest(corners, near, excess, lengths)
    multiplier = np.abs(there)
    room = np.maximum(near, 1 - near) * lengths
    pull = np.maximum(0, multiplier * steepest - np.abs(away))
    reach = np.minimum(pull, room)
    lower = squared + multiplier * (2 * np.abs(excess) - multiplier) - _dot(reach, 2 * pull - reach)
    return np.maximum(lower, squared), np.minimum(upper, squared + excess * excess)


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def _trilinear(corners: FloatArray, at: FloatArray, spacing: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Value, and gradient per distance criterion if a spacing is given, at a place inside the cell."""
    x, y, z = at
    along_x = corners[1] - corners[0]
    plane = corners[0] + x * along_x
    along_y = plane[1] - plane[0]
    line = plane[0] + y * along_y
    along_z = line[1] - line[0]
    value = line[0] + z * along_z
    if spacing is None:
        return value, at
    gradient = np.empty_like(at)
    edge = along_x[0] + y * (along_x[1] - along_x[0])
    gradient[0] = (edge[0] + z * (edge[1] - edge[0])) / spacing[0]
    gradient[1] = (along_y[0] + z * (along_y[1] - along_y[0])) / spacing[1]
    gradient[2] = along_z / spacing[2]
    return value, gradient


def _steepest(corners: FloatArray, near: FloatArray, excess: FloatArray, spacing: FloatArray) -> FloatArray:
    """Largest gradient along each axis that lowers |excess| on a way from `near` into the cell, shape (3, n)."""
    sign = np.sign(excess)
    out = np.empty_like(near)
    for axis in range(3):
        low, high = (corners[(slice(None),) * axis + (side,)] for side in (0, 1))
        rise = ((high - low) * sign).reshape(4, -1)
        falls_up = np.where(near[axis] < 1, -rise.min(axis=0), 0)
        falls_down = np.where(near[axis] > 0, rise.max(axis=0), 0)
        out[axis] = np.maximum(0, np.maximum(falls_up, falls_down)) / spacing[axis]
    return out
