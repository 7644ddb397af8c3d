"""A fast analytic projector of a gamma camera and its exact transpose.

Each view is four linear steps, every one with its transpose at hand:

1. *Turn*: each voxel's content goes to the four nearest cells of a grid that stands square to the head, with bilinear
   weights. Counts and centres of gravity are kept exactly, whatever the angle.
2. *Attenuate*: each cell times exp(-integral of mu from the cell to the head). Where a window sees photons of several
   energies, times the mean of that factor over them, weighted with what each energy contributes in air.
3. *Blur*: each layer at its distance with the line spread of collimator and detector, first along the patient's axis,
   then across. Of a point the product of the two is taken, which has the exact width in both directions.
4. *Add* the layers. Steps 3 (across) and 4 are one product of matrices.

The approach (a turned grid, layer-wise Gaussian) is that of Zeng and Gullberg, IEEE Trans Nucl Sci 1992;39:1040; the
layers are blurred exactly, not by increments.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.spect.projections import Orbit

Float32 = NDArray[np.float32]
FloatArray = NDArray[np.float64]
Views = Sequence[int] | NDArray[np.intp]

CACHE_BYTES = 1_500_000_000
"""Attenuation factors of all views are kept if they fit here; else they are computed again for each use."""

KEPT_STEP_MM = 2.0
"""Distances at which line spreads are kept; the width between them is right within 1e-4 (linear in the distance)."""

LEAST_SD = 0.3
"""Least standard deviation in pixels of the crystal's part, so that a spread read off at pixels keeps its width."""

LEAST_MODELLED = 0.4
"""Least share of a width that is modelled where a blur is left in the image: near the collimator it may be as wide."""


@dataclass(frozen=True, slots=True)
class Response:
    """How camera and collimator spread a line, against distance.

    ``sd^2 = intrinsic_sd_mm^2 + (offset_mm + slope * distance)^2``, distance from the face of the collimator in mm.

    Attributes
    ----------
    intrinsic_sd_mm : float
        Standard deviation of the Gaussian of the crystal.
    offset_mm, slope : float
        Standard deviation of what the collimator makes of a line at its face, and its growth with distance.
    places, shares : tuple of float
        The shape of that: places in units of its standard deviation, and the share of the counts at each. Empty for a
        Gaussian.
    left_sd_mm : float
        Standard deviation of a blur that is left in the image: the spread is made narrower, so that this blur and what
        remains make the whole (in squares). An image that is to be sharper than the counts let it overshoots at edges
        (Snyder et al., IEEE Trans Med Imaging 1987;6:228). No less than `LEAST_MODELLED` of a width stays.
    """

    intrinsic_sd_mm: float
    offset_mm: float
    slope: float
    places: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    left_sd_mm: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.intrinsic_sd_mm, self.offset_mm, self.slope, self.left_sd_mm)
        if not all(np.isfinite(numbers)) or min(numbers) < 0:
            raise InputError(f"a response needs finite widths that are not negative, not {numbers}")

    def sd_mm(self, distance_mm: FloatArray | float) -> FloatArray:
        """Standard deviation at a distance from the collimator's face in mm."""
        whole = np.hypot(self.intrinsic_sd_mm, self.offset_mm + self.slope * np.asarray(distance_mm))
        return np.asarray(whole * self._modelled(whole))

    def _modelled(self, whole_mm: FloatArray) -> FloatArray:
        """Share of a standard deviation that is modelled, the rest being left in the image."""
        if not self.left_sd_mm:
            return np.ones_like(whole_mm)
        left = np.minimum(self.left_sd_mm / np.maximum(whole_mm, 1e-9), 1.0)
        return np.asarray(np.maximum(np.sqrt(1 - left**2), LEAST_MODELLED))

    def spread(self, distance_mm: FloatArray, step_mm: float, count: int) -> FloatArray:
        """Line spread at distances, at 0, 1, ... `count` - 1 steps from its middle, shape (distances, count).

        It adds up to 1 on an endless row on both sides.
        """
        if not self.places:
            return _gaussians(self.sd_mm(distance_mm) / step_mm, count)
        width = self.offset_mm + self.slope * np.asarray(distance_mm)
        modelled = self._modelled(np.hypot(self.intrinsic_sd_mm, width))
        width = width * modelled
        sharp = np.maximum(self.intrinsic_sd_mm * modelled, LEAST_SD * step_mm)
        furthest = float(width.max(initial=0.0)) * max(self.places) + 6 * float(sharp.max(initial=0.0))
        x = np.arange(max(count, math.ceil(furthest / step_mm) + 1)) * step_mm
        found = np.zeros((width.size, x.size))
        for place, share in zip(self.places, self.shares, strict=True):
            found += share * np.exp(-0.5 * ((x - place * width[:, None]) / sharp[:, None]) ** 2)
        whole = found[:, :1] + 2 * found[:, 1:].sum(axis=1, keepdims=True)
        return np.asarray(found[:, :count] / whole)

    @classmethod
    def mean(cls, responses: Sequence[Response], weights: Sequence[float]) -> Response:
        """Response of a mixture: its variance is the weighted mean of the variances, at every distance.

        That mean is a square in the distance with a floor, which is again of this form. The shape is that of the first,
        which the others share where they are of one collimator; a mixture of Gaussians is taken as a Gaussian.

        Raises
        ------
        InputError
            If weights and responses differ in number, or the weights are negative or add up to nothing.
        """
        share = _shares(weights, len(responses))
        numbers = np.array([(r.intrinsic_sd_mm, r.offset_mm, r.slope) for r in responses])
        square = float(share @ numbers[:, 2] ** 2)
        cross = float(share @ (numbers[:, 1] * numbers[:, 2]))
        constant = float(share @ (numbers[:, 0] ** 2 + numbers[:, 1] ** 2))
        slope = float(np.sqrt(square))
        offset = cross / slope if slope else 0.0
        intrinsic = float(np.sqrt(max(constant - offset**2, 0.0)))
        left = math.sqrt(float(share @ np.array([r.left_sd_mm**2 for r in responses])))
        return cls(intrinsic, offset, slope, responses[0].places, responses[0].shares, left)


class SystemModel(Protocol):
    """What a reconstruction needs to know of a camera: a linear map from an image to counts, and its transpose."""

    @property
    def grid(self) -> Grid:
        """Voxels of the image."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Views (of all windows, one window after another), columns and rows."""

    @property
    def angle_deg(self) -> FloatArray:
        """Angle of each view, shape (views,)."""

    def forward(self, image: NDArray[Any], views: Views | None = None) -> Float32:
        """Projections of an image."""

    def back(self, projections: NDArray[Any], views: Views | None = None) -> Float32:
        """The transpose of `forward`."""


class SpectProjector:
    """Forward and back projection for all views of an acquisition.

    Parameters
    ----------
    grid : Grid
        Voxels: i along +x or any direction in the axial plane, k along +z; square in the plane.
    orbit : Orbit
        Views; the axis of rotation runs along z through `centre_mm`.
    columns : int
        Pixels along u. Their size is that of the voxels in the plane; rows are the slices k.
    response : Response or None
        Blur of collimator and detector; None for none.
    mu_per_mm : ndarray or None, shape ``grid.shape`` or (energies, *grid.shape)
        Linear attenuation coefficient in 1/mm; None for none. Several maps, one for each energy that the window sees,
        attenuate by the weighted mean of their factors.
    energy_weights : sequence of float, optional
        Share of each of several maps: what its energy contributes to the window in air. They are made to add up to 1.
    centre_mm : tuple of float, optional
        x and y of the axis of rotation; the middle of the grid by default.
    threads : int, optional
        Views worked on at once; the number of processors by default.

    Raises
    ------
    GeometryError
        If the grid is not axial with k along +z and square voxels in the plane.
    InputError
        If mu has another shape, or is negative or not finite.

    Notes
    -----
    `forward` of an activity in Bq per voxel gives what a camera of unit sensitivity would count per second:
    multiply by cps per Bq and seconds. What lies behind the face of the collimator is not seen.
    """

    def __init__(
        self,
        grid: Grid,
        orbit: Orbit,
        *,
        columns: int,
        response: Response | None = None,
        mu_per_mm: NDArray[Any] | None = None,
        energy_weights: Sequence[float] | None = None,
        centre_mm: tuple[float, float] | None = None,
        threads: int | None = None,
    ) -> None:
        _require_axial(grid)
        self.grid, self.orbit, self.columns, self.response = grid, orbit, columns, response
        self.pixel_mm = grid.spacing_mm[0]
        self._mu = [] if mu_per_mm is None else _checked_mu(mu_per_mm, grid)
        self._weights = _shares(energy_weights, len(self._mu)) if self._mu else np.ones(0)
        middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2)
        self.centre_mm = (float(middle[0]), float(middle[1])) if centre_mm is None else centre_mm
        self.threads = threads or os.cpu_count() or 1
        self._depth = _depths(grid, self.centre_mm)
        self._turns: dict[int, Any] = {}
        self._turns_back: dict[int, Any] = {}
        self._factors: dict[int, Float32] = {}
        self._blurs: dict[float, tuple[Float32, Float32]] = {}
        self._spreads: dict[tuple[float, int], FloatArray] = {}
        cells = len(self._depth) * columns * grid.shape[2]
        self._keep_factors = 4 * cells * orbit.views <= CACHE_BYTES

    # -----------------------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int, int]:
        """Views, columns (u) and rows (v) of the projections."""
        return self.orbit.views, self.columns, self.grid.shape[2]

    @property
    def angle_deg(self) -> FloatArray:
        """Angle of each view."""
        return self.orbit.angle_deg

    def forward(self, image: NDArray[Any], views: Views | None = None) -> Float32:
        """Projections of an image of shape ``grid.shape``, shape (views, u, v)."""
        chosen = self._chosen(views)
        flat = self._flat(image)
        out = np.empty((len(chosen), *self.shape[1:]), dtype=np.float32)

        def work(n: int) -> None:
            out[n] = self._forward_one(flat, chosen[n])

        self._each(work, range(len(chosen)))
        return out

    def back(self, projections: NDArray[Any], views: Views | None = None) -> Float32:
        """Transpose of `forward`: an image of shape ``grid.shape`` from projections of shape (views, u, v)."""
        chosen = self._chosen(views)
        data = np.ascontiguousarray(projections, dtype=np.float32)
        if data.shape != (len(chosen), *self.shape[1:]):
            raise InputError(f"projections of shape {data.shape}: expected {(len(chosen), *self.shape[1:])}")
        parts: list[Float32 | None] = [None] * min(self.threads, len(chosen))

        def work(part: int) -> None:
            total = np.zeros((self.grid.shape[0] * self.grid.shape[1], self.grid.shape[2]), dtype=np.float32)
            for n in range(part, len(chosen), len(parts)):
                total += self._back_one(data[n], chosen[n])
            parts[part] = total

        self._each(work, range(len(parts)))
        total = sum(part for part in parts if part is not None)
        return np.asarray(total, dtype=np.float32).reshape(self.grid.shape)

    def turn(self, image: NDArray[Any], view: int) -> Float32:
        """Content of an image in the cells that stand square to the head, shape (depth, u, v); sums are kept."""
        cells = self._turn(view) @ self._flat(image)
        return np.asarray(cells.reshape(len(self._depth), self.columns, -1), dtype=np.float32)

    def sample(self, image: NDArray[Any], view: int) -> Float32:
        """Values of an image at the middles of these cells, shape (depth, u, v)."""
        sample = _sampling(self.grid, float(self.orbit.angle_deg[view]), self.centre_mm, self._depth, self.columns)
        values = sample @ self._flat(image)
        return np.asarray(values.reshape(len(self._depth), self.columns, -1), dtype=np.float32)

    def project_cells(self, cells: Float32, view: int) -> Float32:
        """Attenuate, blur and add the layers of `turn`; `forward` of a view is both together, shape (u, v)."""
        flat = np.array(cells, dtype=np.float32).reshape(len(self._depth) * self.columns, -1)
        return self._project_cells(flat, view)

    def with_response(self, response: Response | None) -> SpectProjector:
        """The same geometry and attenuation with another response; turning matrices and factors are shared."""
        made: SpectProjector = copy.copy(self)
        made.response, made._blurs, made._spreads = response, {}, {}
        return made

    def share_turns(self, other: SpectProjector) -> None:
        """Use the turning matrices of a projector of the same geometry instead of own ones."""
        self._turns, self._turns_back = other._turns, other._turns_back

    def sensitivity(self, views: Views | None = None) -> Float32:
        """Back projection of ones: how well each voxel is seen by the views."""
        return self.back(np.ones((len(self._chosen(views)), *self.shape[1:]), dtype=np.float32), views)

    # -----------------------------------------------------------------------------------------------------------------

    def _forward_one(self, flat: Float32, view: int) -> Float32:
        return self._project_cells(self._turn(view) @ flat, view)

    def _project_cells(self, cells: Float32, view: int) -> Float32:
        """Project cells in place, shape (depth * u, v)."""
        if self._mu:
            cells *= self._attenuation(view)
        layers = cells.reshape(len(self._depth), self.columns, -1)
        if self.response is None:
            return np.asarray((layers * self._seen(view)[:, None, None]).sum(axis=0))
        across, along = self._blur(float(self.orbit.radius_mm[view]))
        layers = np.matmul(layers, along)
        return np.asarray(across.T @ layers.reshape(-1, layers.shape[2]))

    def _back_one(self, projection: Float32, view: int) -> Float32:
        if self.response is None:
            layers = np.broadcast_to(projection, (len(self._depth), *projection.shape)).copy()
            layers *= self._seen(view)[:, None, None]
        else:
            across, along = self._blur(float(self.orbit.radius_mm[view]))
            layers = (across @ projection).reshape(len(self._depth), self.columns, -1)
            # The matrices along the axis are symmetric.
            layers = np.matmul(layers, along)
        cells = layers.reshape(-1, projection.shape[1])
        if self._mu:
            cells *= self._attenuation(view)
        return np.asarray(self._turn_back(view) @ cells)

    def _seen(self, view: int) -> Float32:
        """1 for layers in front of the collimator, 0 behind."""
        return np.asarray(self.orbit.radius_mm[view] - self._depth > 0, dtype=np.float32)

    def _turn(self, view: int) -> Any:
        """Sparse matrix voxels -> cells of a view."""
        if view not in self._turns:
            angle = float(self.orbit.angle_deg[view])
            self._turns[view] = _turning(self.grid, angle, self.centre_mm, self._depth, self.columns)
        return self._turns[view]

    def _turn_back(self, view: int) -> Any:
        """Its transpose, stored by rows: twice as fast as a transposed view of the same memory."""
        if view not in self._turns_back:
            self._turns_back[view] = self._turn(view).T.tocsr()
        return self._turns_back[view]

    def _attenuation(self, view: int) -> Float32:
        """Attenuation factor of every cell of a view, shape (depth * u, v)."""
        kept = self._factors.get(view)
        if kept is not None:
            return kept
        sample = _sampling(self.grid, float(self.orbit.angle_deg[view]), self.centre_mm, self._depth, self.columns)
        factors: Float32 | None = None
        for mu, weight in zip(self._mu, self._weights, strict=True):
            one = _path_factors(sample @ mu, len(self._depth), self.pixel_mm)
            if len(self._mu) > 1:
                one *= np.float32(weight)
            factors = one if factors is None else factors + one
        assert factors is not None
        if self._keep_factors:
            self._factors[view] = factors
        return factors

    def _blur(self, radius_mm: float) -> tuple[Float32, Float32]:
        """Matrices across, shape (depth * u, u), and along the axis, shape (depth, v, v), at a radius."""
        if (kept := self._blurs.get(radius_mm)) is not None:
            return kept
        assert self.response is not None
        distance = radius_mm - self._depth
        seen = (distance > 0)[:, None, None].astype(np.float32)
        across = _matrices(self._spread(distance, self.pixel_mm, self.columns)) * seen
        along = _matrices(self._spread(distance, self.grid.spacing_mm[2], self.grid.shape[2]))
        made = across.reshape(-1, self.columns), along
        if len(self._blurs) < 16:
            self._blurs[radius_mm] = made
        return made

    def _spread(self, distance: FloatArray, step_mm: float, count: int) -> FloatArray:
        """Line spread of the response at distances, linear between those kept for whole multiples of `KEPT_STEP_MM`."""
        assert self.response is not None
        near = np.maximum(distance, 0.0)
        if not self.response.places:
            return self.response.spread(near, step_mm, count)
        at = near / KEPT_STEP_MM
        below = at.astype(int)
        table = self._spreads.get((step_mm, count))
        if table is None or len(table) < below.max() + 2:
            table = self.response.spread(np.arange(below.max() + 2) * KEPT_STEP_MM, step_mm, count)
            self._spreads[step_mm, count] = table
        part = (at - below)[:, None]
        return np.asarray(table[below] * (1 - part) + table[below + 1] * part)

    def _chosen(self, views: Views | None) -> list[int]:
        return list(range(self.orbit.views)) if views is None else [int(v) for v in views]

    def _flat(self, image: NDArray[Any]) -> Float32:
        if image.shape != self.grid.shape:
            raise GeometryError(f"image of shape {image.shape} does not fit {self.grid}")
        return np.ascontiguousarray(image, dtype=np.float32).reshape(-1, self.grid.shape[2])

    def _each(self, work: Callable[[int], None], numbers: Iterable[int]) -> None:
        if self.threads == 1:
            for n in numbers:
                work(n)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(work, numbers))


# ---------------------------------------------------------------------------------------------------------------------


def _require_axial(grid: Grid) -> None:
    if abs(grid.direction[2, 2] - 1) > 1e-6:
        raise GeometryError(f"SPECT needs a grid whose slices follow one another along +z; this is {grid}")
    if abs(grid.spacing_mm[0] / grid.spacing_mm[1] - 1) > 1e-6:
        raise GeometryError(f"SPECT needs voxels that are square in the axial plane; these are {grid.spacing_mm} mm")


def _checked_mu(mu: NDArray[Any], grid: Grid) -> list[Float32]:
    maps = mu if mu.ndim == 4 else mu[None]
    if maps.shape[1:] != grid.shape or not len(maps):
        raise GeometryError(f"attenuation map of shape {mu.shape} does not fit {grid}; resample it first")
    if not np.isfinite(maps).all() or (maps < 0).any():
        raise InputError("attenuation map: every voxel must be finite and not negative (1/mm)")
    return [np.ascontiguousarray(one, dtype=np.float32).reshape(-1, grid.shape[2]) for one in maps]


def _shares(weights: Sequence[float] | None, count: int) -> FloatArray:
    """Weights that add up to 1, as many as there are energies."""
    if weights is None and count == 1:
        return np.ones(1)
    share = np.asarray(() if weights is None else weights, dtype=np.float64)
    if share.shape != (count,) or not np.isfinite(share).all() or (share < 0).any() or not share.sum() > 0:
        raise InputError(f"{count} energies need a weight each, not negative and not all zero; got {weights}")
    return np.asarray(share / share.sum())


def _path_factors(mu: Float32, layers: int, pixel_mm: float) -> Float32:
    """Attenuation from each cell to the head, shape of `mu` (depth * u, v).

    Depth grows towards the head: what lies nearer attenuates, and half of the cell itself.
    """
    step: Float32 = (mu * np.float32(pixel_mm)).reshape(layers, -1)
    path = np.empty_like(step)
    nearer = np.zeros(step.shape[1], dtype=np.float32)
    for layer in range(layers - 1, -1, -1):
        np.multiply(step[layer], np.float32(-0.5), out=path[layer])
        path[layer] -= nearer
        nearer += step[layer]
    return np.exp(path, out=path).reshape(mu.shape)


def _plane_mm(grid: Grid, centre_mm: tuple[float, float]) -> FloatArray:
    """Place in the plane of every voxel column relative to the axis: x and y in mm, shape (i * j, 2)."""
    i, j = np.meshgrid(np.arange(grid.shape[0]), np.arange(grid.shape[1]), indexing="ij")
    index = np.stack([i.ravel(), j.ravel(), np.zeros(i.size)], axis=1)
    return np.asarray(grid.to_mm(index)[:, :2] - np.asarray(centre_mm))


def _depths(grid: Grid, centre_mm: tuple[float, float]) -> FloatArray:
    """Positions of the layers along the view's direction, relative to the axis, rising towards the head."""
    reach = float(np.hypot(*_plane_mm(grid, centre_mm).T).max())
    half = int(np.ceil(reach / grid.spacing_mm[0]))
    # A layer is dropped where only the corners of the square grid lie, outside the circle that every view can hold.
    half = min(half, (max(grid.shape[:2]) + 1) // 2)
    return np.asarray((np.arange(2 * half + 1) - half) * grid.spacing_mm[0], dtype=np.float64)


def _turned(points: FloatArray, angle_deg: float) -> tuple[FloatArray, FloatArray]:
    """Coordinates of points (relative to the axis) along u and towards the head, mm."""
    sine, cosine = np.sin(np.deg2rad(angle_deg)), np.cos(np.deg2rad(angle_deg))
    return points[:, 1] * sine - points[:, 0] * cosine, points[:, 0] * sine + points[:, 1] * cosine


def _turning(grid: Grid, angle_deg: float, centre_mm: tuple[float, float], depth: FloatArray, columns: int) -> Any:
    """Sparse matrix that puts each voxel's content into the four nearest cells, shape (depth * u, i * j)."""
    from scipy import sparse

    u, d = _turned(_plane_mm(grid, centre_mm), angle_deg)
    pixel = grid.spacing_mm[0]
    rows, weights, voxels = _bilinear(
        (d - depth[0]) / pixel, u / pixel + (columns - 1) / 2, shape=(len(depth), columns)
    )
    shape = (len(depth) * columns, grid.shape[0] * grid.shape[1])
    return sparse.csr_array((weights, (rows, voxels)), shape=shape)


def _sampling(grid: Grid, angle_deg: float, centre_mm: tuple[float, float], depth: FloatArray, columns: int) -> Any:
    """Sparse matrix of bilinear interpolation of voxels at the cells, shape (depth * u, i * j)."""
    from scipy import sparse

    sine, cosine = np.sin(np.deg2rad(angle_deg)), np.cos(np.deg2rad(angle_deg))
    d, u = np.meshgrid(depth, (np.arange(columns) - (columns - 1) / 2) * grid.spacing_mm[0], indexing="ij")
    x, y = d * sine - u * cosine, d * cosine + u * sine
    z = np.full_like(x, grid.origin_mm[2])
    points = np.stack([x + centre_mm[0], y + centre_mm[1], z], axis=-1).reshape(-1, 3)
    index = grid.to_index(points)
    voxels, weights, cells = _bilinear(index[:, 0], index[:, 1], shape=(grid.shape[0], grid.shape[1]))
    shape = (len(depth) * columns, grid.shape[0] * grid.shape[1])
    return sparse.csr_array((weights, (cells, voxels)), shape=shape)


def _bilinear(
    a: FloatArray, b: FloatArray, *, shape: tuple[int, int]
) -> tuple[NDArray[np.int32], Float32, NDArray[np.int32]]:
    """Flat target, weight and number of the point for every (point, neighbour) inside a grid of `shape`."""
    low_a, low_b = np.floor(a).astype(np.int32), np.floor(b).astype(np.int32)
    part_a, part_b = a - low_a, b - low_b
    numbers = np.arange(a.size, dtype=np.int32)
    targets, weights, points = [], [], []
    for step_a, weight_a in ((0, 1 - part_a), (1, part_a)):
        for step_b, weight_b in ((0, 1 - part_b), (1, part_b)):
            at_a, at_b = low_a + step_a, low_b + step_b
            weight = weight_a * weight_b
            inside = (at_a >= 0) & (at_a < shape[0]) & (at_b >= 0) & (at_b < shape[1]) & (weight > 1e-9)
            targets.append((at_a * shape[1] + at_b)[inside])
            weights.append(weight[inside].astype(np.float32))
            points.append(numbers[inside])
    return np.concatenate(targets), np.concatenate(weights), np.concatenate(points)


def _gaussians(sd_pixels: FloatArray, count: int) -> FloatArray:
    """Gaussians at 0, 1, ... `count` - 1 pixels, one per standard deviation, that add up to 1 on an endless row."""
    reach = np.arange(max(count, 2) + int(8 * float(sd_pixels.max(initial=0.0))) + 1)
    found = np.exp(-0.5 * (reach / np.maximum(sd_pixels, 1e-3)[:, None]) ** 2)
    return np.asarray(found[:, :count] / (1 + 2 * found[:, 1:].sum(axis=1, keepdims=True)))


def _matrices(spread: FloatArray) -> Float32:
    """Symmetric matrices that blur a row of pixels, from line spreads of shape (n, size): shape (n, size, size).

    What falls beyond the ends is lost, as on a detector.
    """
    kernel = np.concatenate([spread[:, :0:-1], spread], axis=1).astype(np.float32)
    # Row r of matrix n is kernel[n, size-1-r : 2*size-1-r].
    windows = np.lib.stride_tricks.sliding_window_view(kernel, spread.shape[1], axis=1)
    return np.ascontiguousarray(windows[:, ::-1, :])
