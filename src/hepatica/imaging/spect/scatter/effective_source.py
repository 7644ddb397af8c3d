"""Effective source scatter estimation: photons scattered in the patient as if emitted where they scattered last.

Frey and Tsui (IEEE Nucl Sci Symp Conf Rec 1996;2:1082) write the scatter seen by a head as the projection of an
*effective source*: the activity convolved with a kernel made once in water, times the patient's density, attenuated
from there like a source. The kernel depends on the direction of the head alone, so that it is one and the same in the
coordinates that turn with the head.

Here the kernel is made by a small Monte Carlo in water for nuclide, camera and window: all orders of Compton scatter of
all photons that the nuclide emits (so down-scatter of higher lines and of bremsstrahlung is in it), each collision
scored with its chance to send a photon towards the head that the window counts. Attenuation from the decay to the last
scatter is that of water; coherent scatter turns photons too little to be told from those that did not scatter. Septal
penetration and what scatters in collimator, crystal and behind it are not in it: they need the Monte Carlo.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Volume
from hepatica.core.constants import ELECTRON_REST_KEV, KEV_ANGSTROM
from hepatica.core.progress import Progress
from hepatica.imaging.spect.attenuation import attenuation_map
from hepatica.imaging.spect.camera.cameras import GammaCamera
from hepatica.imaging.spect.camera.hole_response import hole_response
from hepatica.imaging.spect.projections import Orbit
from hepatica.imaging.spect.projector import Float32, SpectProjector
from hepatica.imaging.spect.system import WindowModel
from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.photons import MOMENTUM_RANGE, build_photons, coefficients

FloatArray = NDArray[np.float64]

REACH_MM = 240.0
"""Of the kernel; 2.5 % of 140-keV photons get farther in water."""
COARSE_MM = 10.0
"""Voxels for scatter, which is smoother than any camera resolves."""
STEP_DEG = 9.0
"""Views nearer to each other than this are interpolated."""
PHOTONS = 200_000
KEPT = 12
MAX_SCATTERS = 60
DENSITY_KEV = 400.0
"""Where attenuation is nearly all Compton scatter, and so goes with the electrons per volume."""


@dataclass(frozen=True, slots=True, eq=False)
class ScatterKernel:
    """Effective source of scatter around a point source in water.

    Attributes
    ----------
    values : ndarray of float32, shape (depth, u, v)
        Effective activity in each voxel per activity in the middle one; depth grows towards the head. Odd shape.
    energy_kev : float
        Mean energy of the scattered photons that are counted.
    """

    values: Float32
    energy_kev: float


_KERNELS: dict[tuple[Any, ...], ScatterKernel] = {}


def scatter_kernel(
    model: WindowModel, spacing_mm: tuple[float, float, float], *, photons: int = PHOTONS, seed: int = 1
) -> ScatterKernel:
    """Kernel of a window on voxels of a size (depth, u, v), by Monte Carlo in water; kept for the next time."""
    key = (model.window, model.sensitivity_cps_per_bq, model.photon_kev.tobytes(), spacing_mm, photons, seed)
    if key not in _KERNELS:
        if len(_KERNELS) >= KEPT:
            _KERNELS.pop(next(iter(_KERNELS)))
        _KERNELS[key] = _made_kernel(model, spacing_mm, photons, seed)
    return _KERNELS[key]


def _made_kernel(model: WindowModel, spacing_mm: tuple[float, float, float], photons: int, seed: int) -> ScatterKernel:
    rng = np.random.default_rng(seed)
    half = np.array([math.ceil(REACH_MM / s) for s in spacing_mm])
    shape = tuple(int(n) for n in 2 * half + 1)
    water = _Water.of(model)
    possible = model.photon_kev > water.lowest_kev
    emitted = model.photon_yield[possible]
    energy = rng.choice(model.photon_kev[possible], photons, p=emitted / emitted.sum())
    weight = np.full(photons, emitted.sum() / photons)
    spacing = np.array(spacing_mm)
    place = (rng.random((photons, 3)) - 0.5) * spacing
    direction = _isotropic(rng, photons)
    total, of_energy = np.zeros(shape), 0.0
    for _ in range(MAX_SCATTERS):
        place = place + direction * (rng.exponential(size=weight.size) / water.mu_per_mm(energy))[:, None]
        weight = weight * water.scatter_share(energy)
        index = np.rint(place / spacing).astype(int) + half
        inside = ((index >= 0) & (index < shape)).all(axis=1)
        place, direction, energy, weight, index = (a[inside] for a in (place, direction, energy, weight, index))
        # Towards the head, which is in direction +depth.
        after, chance = water.towards(energy, direction[:, 0])
        score = weight * chance / model.sensitivity_cps_per_bq
        flat = np.ravel_multi_index(tuple(index.T), shape)
        total += np.bincount(flat, score, minlength=total.size).reshape(shape)
        of_energy += float(score @ after)
        direction, energy = water.scattered(rng, direction, energy)
        alive = energy > water.lowest_kev
        place, direction, energy, weight = (a[alive] for a in (place, direction, energy, weight))
        if not weight.size:
            break
    return ScatterKernel(_around_axis(total).astype(np.float32), of_energy / max(float(total.sum()), 1e-300))


class EsseScatter:
    """Scatter of an image in all views of one window: the `estimate` of `ScatterUpdate`.

    Parameters
    ----------
    hu : Volume
        CT for densities and attenuation.
    grid : Grid
        Of the image.
    orbit : Orbit
        Views.
    columns : int
        Pixels along u.
    camera, model
        What is imaged how.
    weights : ndarray, shape (views,)
        As given to `reconstruct`.
    threads : int, optional
        As for `SpectProjector`.
    """

    def __init__(
        self,
        hu: Volume,
        grid: Grid,
        orbit: Orbit,
        *,
        columns: int,
        camera: GammaCamera,
        model: WindowModel,
        weights: NDArray[Any],
        threads: int | None = None,
    ) -> None:
        self.grid, self.orbit, self.columns = grid, orbit, columns
        self.weights = np.asarray(weights, dtype=np.float32)
        pixel, slices = grid.spacing_mm[0], grid.spacing_mm[2]
        by, by_z = max(1, round(COARSE_MM / pixel)), max(1, round(COARSE_MM / slices))
        counts = (math.ceil(columns / by), math.ceil(grid.shape[2] / by_z))
        self._to_coarse = [_sums(grid.shape[axis], by) for axis in (0, 1)] + [_sums(grid.shape[2], by_z)]
        self._to_fine = [
            _interpolation(columns, counts[0], by, centred=True),
            _interpolation(grid.shape[2], counts[1], by_z, centred=False),
        ]
        coarse = _coarse_grid(grid, by, by_z)
        middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2)
        self._views, self._between = _spread_views(orbit)
        chosen = Orbit(orbit.angle_deg[self._views], orbit.radius_mm[self._views])
        spacing = (coarse.spacing_mm[0], coarse.spacing_mm[0], coarse.spacing_mm[2])
        self.kernel = scatter_kernel(model, spacing)
        mu = attenuation_map(hu, coarse, self.kernel.energy_kev)
        self._projector = SpectProjector(
            coarse, chosen, columns=counts[0], response=hole_response(camera, [self.kernel.energy_kev]), mu_per_mm=mu,
            centre_mm=(float(middle[0]), float(middle[1])), threads=threads,
        )  # fmt: skip
        of_water = coefficients(medium("water"), np.array([DENSITY_KEV])).sum() / 10
        self._density = attenuation_map(hu, coarse, DENSITY_KEV) / np.float32(of_water)
        self._transform: Any = None

    def __call__(self, image: Float32, iterations: int = 0) -> Float32:
        """Scattered counts of every view, shape (views, u, v)."""
        coarse = image
        for axis, sums in enumerate(self._to_coarse):
            coarse = np.moveaxis(np.tensordot(sums, coarse, axes=(1, axis)), 0, axis)
        seen = np.stack([self._of_view(coarse, view) for view in range(len(self._views))])
        every = np.einsum("wn,nuv->wuv", self._between, seen, optimize=True)
        fine = np.einsum("iu,wuv,jv->wij", self._to_fine[0], every, self._to_fine[1], optimize=True)
        return np.asarray(np.maximum(fine, 0) * self.weights[:, None, None], dtype=np.float32)

    def _of_view(self, image: Float32, view: int) -> Float32:
        from scipy import fft

        cells = self._projector.turn(image, view)
        kernel = self.kernel.values
        size = [fft.next_fast_len(n + m - 1, real=True) for n, m in zip(cells.shape, kernel.shape, strict=True)]
        if self._transform is None:
            self._transform = fft.rfftn(kernel, size)
        found = fft.irfftn(fft.rfftn(cells, size, workers=-1) * self._transform, size, workers=-1)
        start = [n // 2 for n in kernel.shape]
        part = found[tuple(slice(a, a + n) for a, n in zip(start, cells.shape, strict=True))]
        source = np.maximum(part, 0) * self._projector.sample(self._density, view)
        return self._projector.project_cells(source.astype(np.float32), view)


class EsseOfWindows:
    """Scatter of every window that is reconstructed: the `estimate` of `ScatterUpdate` for several.

    Parameters
    ----------
    hu, grid, orbit, columns, camera
        As for `EsseScatter`.
    models : sequence of WindowModel
        What each window sees.
    weights : ndarray, shape (windows * views,)
        As given to `reconstruct`.
    progress : callable
        Told each step.
    """

    def __init__(
        self,
        hu: Volume,
        grid: Grid,
        orbit: Orbit,
        *,
        columns: int,
        camera: GammaCamera,
        models: Sequence[WindowModel],
        weights: NDArray[Any],
        progress: Progress,
    ) -> None:
        progress("scatter: kernels in water")
        self._progress = progress
        self._windows = [
            EsseScatter(
                hu, grid, orbit, columns=columns, camera=camera, model=model,
                weights=weights[n * orbit.views :][: orbit.views],
            )
            for n, model in enumerate(models)
        ]  # fmt: skip

    def __call__(self, image: Float32, iterations: int) -> Float32:
        """Scattered counts of every view of every window."""
        self._progress(f"scatter: effective sources after iteration {iterations}")
        return np.concatenate([window(image, iterations) for window in self._windows])


# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Water:
    """Compton scatter in water on a grid of energies: attenuation, shares, angles, and the chance to be counted."""

    energy_kev: FloatArray
    mu: FloatArray
    share: FloatArray
    norm: FloatArray
    quantile: FloatArray
    counted_kev: FloatArray
    counted: FloatArray
    lowest_kev: float

    @classmethod
    def of(cls, model: WindowModel) -> _Water:
        counted_kev = np.geomspace(20.0, max(float(model.photon_kev.max()), 100.0), 2000)
        counted = model.chance(counted_kev)
        lowest = float(counted_kev[np.flatnonzero(counted > 1e-3 * counted.max())[0]])
        energy = np.geomspace(lowest, counted_kev[-1] * 1.001, 128)
        photoelectric, incoherent, _, pair = coefficients(medium("water"), energy)
        total = photoelectric + incoherent + pair
        nodes = 2 * np.linspace(0, 1, 400) ** 2
        density = _compton(energy[:, None], nodes)
        steps = np.diff(nodes) * (density[:, 1:] + density[:, :-1]) / 2
        cumulative = np.concatenate([np.zeros((energy.size, 1)), np.cumsum(steps, axis=1)], axis=1)
        wanted = np.linspace(0, 1, 257)
        quantile = np.stack([np.interp(wanted, row / row[-1], nodes) for row in cumulative])
        return cls(energy, total / 10, incoherent / total, cumulative[:, -1], quantile, counted_kev, counted, lowest)

    def mu_per_mm(self, energy: FloatArray) -> FloatArray:
        return np.interp(energy, self.energy_kev, self.mu)

    def scatter_share(self, energy: FloatArray) -> FloatArray:
        return np.interp(energy, self.energy_kev, self.share)

    def towards(self, energy: FloatArray, cosine: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Energy after a scatter by an angle, and its chance over that of isotropic emission times that of a count."""
        after = energy / (1 + energy / ELECTRON_REST_KEV * (1 - cosine))
        density = _compton(energy, 1 - cosine) / np.interp(energy, self.energy_kev, self.norm)
        # Density per unit of 1 - cos over that of an isotropic source, 1/2.
        return after, 2 * density * np.interp(after, self.counted_kev, self.counted)

    def scattered(
        self, rng: np.random.Generator, direction: FloatArray, energy: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Directions and energies after a scatter."""
        row = np.interp(energy, self.energy_kev, np.arange(self.energy_kev.size))
        row = np.minimum(np.floor(row + rng.random(energy.size)).astype(int), self.energy_kev.size - 1)
        place = rng.random(energy.size) * (self.quantile.shape[1] - 1)
        low = place.astype(int)
        turn = self.quantile[row, low] + (place - low) * (self.quantile[row, low + 1] - self.quantile[row, low])
        return _turned(rng, direction, 1 - turn), energy / (1 + energy / ELECTRON_REST_KEV * turn)


def _compton(energy: FloatArray, turn: FloatArray) -> FloatArray:
    """Klein-Nishina's shape times the incoherent scattering function of water, of turn = 1 - cos(theta)."""
    left = 1 / (1 + energy / ELECTRON_REST_KEV * turn)
    shape = left**2 * (left + 1 / left - turn * (2 - turn))
    table = _scattering_function()
    momentum = np.maximum(energy / KEV_ANGSTROM * np.sqrt(turn / 2), MOMENTUM_RANGE[0])
    return np.asarray(shape * np.interp(np.log(momentum), np.log(np.geomspace(*MOMENTUM_RANGE, table.size)), table))


@functools.cache
def _scattering_function() -> FloatArray:
    return np.asarray(build_photons((medium("water"),)).scattering_function[0])


def _isotropic(rng: np.random.Generator, number: int) -> FloatArray:
    made = rng.standard_normal((number, 3))
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True))


def _turned(rng: np.random.Generator, direction: FloatArray, cosine: FloatArray) -> FloatArray:
    """Directions turned by polar angles, at a random azimuth."""
    other = _isotropic(rng, len(direction))
    across = other - (other * direction).sum(axis=1, keepdims=True) * direction
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    sine = np.sqrt(np.maximum(1 - cosine**2, 0))
    return np.asarray(cosine[:, None] * direction + sine[:, None] * across)


def _around_axis(kernel: FloatArray) -> FloatArray:
    """Mean over what the symmetry makes equal: u and v mirrored, and swapped where they are alike."""
    kernel = (kernel + kernel[:, ::-1]) / 2
    kernel = (kernel + kernel[:, :, ::-1]) / 2
    return kernel if kernel.shape[1] != kernel.shape[2] else (kernel + kernel.swapaxes(1, 2)) / 2


def _coarse_grid(grid: Grid, by: int, by_z: int) -> Grid:
    """Grid of voxels that hold `by` x `by` x `by_z` voxels, from the same corner; the last may reach beyond."""
    steps = (by, by, by_z)
    shape = tuple(math.ceil(n / step) for n, step in zip(grid.shape, steps, strict=True))
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_mm([(step - 1) / 2 for step in steps])
    affine[:3, :3] = grid.affine[:3, :3] * np.array(steps)
    return Grid((shape[0], shape[1], shape[2]), affine, grid.frame_of_reference)


def _sums(size: int, by: int) -> Float32:
    """Matrix that adds up groups of `by`, shape (groups, size)."""
    matrix = np.zeros((math.ceil(size / by), size), dtype=np.float32)
    matrix[np.arange(size) // by, np.arange(size)] = 1
    return matrix


def _interpolation(size: int, coarse: int, by: int, *, centred: bool) -> Float32:
    """Matrix of linear interpolation of counts from pixels `by` times as large, shape (size, coarse).

    Both rows of pixels have the same middle (`centred`) or the same first edge.
    """
    at = np.arange(size)
    place = (at - (size - 1) / 2) / by + (coarse - 1) / 2 if centred else (at - (by - 1) / 2) / by
    place = np.clip(place, 0, coarse - 1)
    low = np.minimum(place.astype(int), max(coarse - 2, 0))
    matrix = np.zeros((size, coarse), dtype=np.float32)
    matrix[at, low] = 1 - (place - low)
    matrix[at, np.minimum(low + 1, coarse - 1)] += place - low
    return matrix / np.float32(by)


def _spread_views(orbit: Orbit) -> tuple[NDArray[np.intp], Float32]:
    """Views at least STEP_DEG apart, and the matrix that interpolates all views between them by angle."""
    turned = np.mod(orbit.angle_deg, 360.0)
    order = np.argsort(turned, kind="stable")
    chosen: list[int] = []
    for view in order:
        if not chosen or turned[view] - turned[chosen[-1]] >= STEP_DEG - 1e-6:
            chosen.append(int(view))
    angles = turned[chosen]
    matrix = np.zeros((orbit.views, len(chosen)), dtype=np.float32)
    for view, angle in enumerate(turned):
        after = int(np.searchsorted(angles, angle, side="right"))
        low, high = after - 1 if after else len(chosen) - 1, after % len(chosen)
        gap = (angles[high] - angles[low]) % 360 or 360.0
        part = ((angle - angles[low]) % 360) / gap
        matrix[view, low] += 1 - part
        matrix[view, high] += part
    return np.array(chosen, dtype=np.intp), matrix
