"""Point kernels from tables, and voxel S values made from them for any spacing by one integration.

The energy that a decay, uniform in one voxel, leaves in another voxel depends only on the vector between two points,
one in each. That vector has a probability density which is a product of three triangles, so

    E(n) = integral over r of dE/dr(r) * < prod_i max(0, 1 - |r u_i / a_i - n_i|) >_u

with dE/dr the radial kernel, u all directions, a the spacing and n the voxel offset. The average over directions is
what trilinear "splatting" of the points r*u onto the lattice of voxel offsets does: nothing is singular at r = 0, the
self-dose is one of the values, any spacing will do, and every point's weights add up to one, so energy is kept
exactly. Far from the source, where the kernel hardly changes within a voxel, the kernel is sampled at the offsets
instead. The two parts are blended smoothly.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import MEV_TO_J
from hepatica.core.tables.shipped import table_text
from hepatica.errors import InputError, PhysicsError, UnknownNameError
from hepatica.nuclides import Nuclide

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

COLUMNS = "r_in_mm,r_out_mm,electron_fraction,electron_rel_sd,photon_fraction,photon_rel_sd"
_TABLE_NAME = re.compile(r"dpk_(?P<nuclide>[A-Z][a-z]?-\d+m?)_(?P<medium>[a-z0-9_]+)\.csv")

DIRECTIONS = 2048
"""Directions per radius in one octant, in each of the two sets; up to four times as many far out."""

STEPS_PER_VOXEL = 12
"""Radial steps per smallest voxel edge (two Gauss points each); half as many beyond four edges."""

SPLAT_POINTS = 1 << 18
"""Points splatted at a time."""

NEAR_VOXELS = 5.0
"""Radius, in largest voxel edges, within which points are splatted; blended over the next half of it.

Beyond, eight nodes miss the fourth moment of the triangles: (1/15 - 1/36) / 24 * 120 (a/r)^4 = 0.2 (a/r)^4 for a kernel
that falls as 1/r^2, 0.03 % at five edges."""

NEAR_AT_LEAST_G_CM2 = 1.5
"""The near part reaches beyond the range of every electron: 15 mm of water (90Y: 11 mm, 1.1 g/cm2)."""

NODES_VOXELS = 20.0
"""Radius, in largest voxel edges, within which the far part averages eight nodes per voxel instead of taking one."""


MGY_PER_MBQ_S = 1e9
"""mGy/(MBq s) in one Gy per decay."""


@dataclass(frozen=True, slots=True, eq=False)
class PointKernel:
    """Share of the emitted energy absorbed in shells around a point source in an infinite uniform medium.

    Attributes
    ----------
    nuclide, medium : str
        What it was computed for.
    density_g_ml : float
        Density of the medium; for another density distances scale with its inverse.
    r_mm : ndarray, shape (n + 1,)
        Shell edges; the first is 0.
    electron_fraction, photon_fraction : ndarray, shape (n,)
        Fraction of the electron (beta, conversion, Auger; with its bremsstrahlung) and of the photon energy emitted
        per decay that is absorbed in the shell. What is missing from 1 is absorbed beyond the last radius.
    electron_rel_sd, photon_rel_sd : ndarray, shape (n,)
        Relative statistical standard uncertainty per shell; NaN where the computation did not state it.
    source : str
        Code and file, for the provenance.
    """

    nuclide: str
    medium: str
    density_g_ml: float
    r_mm: FloatArray
    electron_fraction: FloatArray
    photon_fraction: FloatArray
    electron_rel_sd: FloatArray
    photon_rel_sd: FloatArray
    source: str

    @property
    def electron_sum(self) -> float:
        """Fraction of the electron energy absorbed within the last radius."""
        return float(self.electron_fraction.sum())

    @property
    def photon_sum(self) -> float:
        """Fraction of the photon energy absorbed within the last radius."""
        return float(self.photon_fraction.sum())

    def radius_of_fraction_mm(self, fraction: float) -> float:
        """Radius within which `fraction` of the electron energy is absorbed (X90 for 0.9)."""
        cumulative = np.concatenate([[0.0], np.cumsum(self.electron_fraction)])
        if not 0 < fraction < cumulative[-1]:
            raise PhysicsError(f"the kernel holds {cumulative[-1]:.4f} of the electron energy, not {fraction}")
        return float(np.interp(fraction, cumulative, self.r_mm))


@dataclass(frozen=True, slots=True, eq=False)
class VoxelKernel:
    """Dose per decay in a voxel at offset (i, j, k) from the voxel that holds the (uniform) source.

    Attributes
    ----------
    nuclide, medium : str
        What it was made for.
    spacing_mm : tuple of float
        Voxel edges along i, j, k.
    density_g_ml : float
        Density of the uniform medium.
    electron_gy_per_decay, photon_gy_per_decay : ndarray of float32, shape ``half_shape``
        Octant i, j, k >= 0; the kernel is even in each index. 1 Gy per decay = 1e9 mGy/(MBq s).
    integration_rel_error : float
        Half the relative difference between the two independent halves of the integration, the largest of the source
        voxel's and its six nearest neighbours' (electrons): about the standard error of their mean, which is used.
    covered_electron_fraction, covered_photon_fraction : float
        Share of the emitted energy that the voxels of the whole (eight-octant) kernel receive.
    """

    nuclide: str
    medium: str
    spacing_mm: tuple[float, float, float]
    density_g_ml: float
    electron_gy_per_decay: NDArray[np.float32]
    photon_gy_per_decay: NDArray[np.float32]
    integration_rel_error: float
    covered_electron_fraction: float
    covered_photon_fraction: float

    @property
    def gy_per_decay(self) -> NDArray[np.float32]:
        """Electrons and photons together, octant i, j, k >= 0."""
        if not self.covered_photon_fraction:
            return self.electron_gy_per_decay
        return self.electron_gy_per_decay + self.photon_gy_per_decay


def in_mgy_per_mbq_s(gy_per_decay: NDArray[np.float32]) -> FloatArray:
    """Gy per decay in the unit of S values."""
    return gy_per_decay.astype(np.float64) * MGY_PER_MBQ_S


def energy_within_mev(kernel: VoxelKernel) -> tuple[float, float]:
    """Energy per decay that the voxels of the whole (eight-octant) kernel and its source voxel receive, MeV."""
    mgy_per_mbq_s = in_mgy_per_mbq_s(kernel.gy_per_decay)
    images = np.ones(mgy_per_mbq_s.shape)
    for axis in range(3):
        images[tuple(slice(1, None) if a == axis else slice(None) for a in range(3))] *= 2
    voxel_kg = float(np.prod(kernel.spacing_mm)) * 1e-6 * kernel.density_g_ml
    to_mev = voxel_kg / MEV_TO_J / 1e9
    return float((mgy_per_mbq_s * images).sum()) * to_mev, float(mgy_per_mbq_s[0, 0, 0]) * to_mev


def kernel_names() -> tuple[tuple[str, str], ...]:
    """(nuclide, medium) of every point kernel that is shipped."""
    files = (
        _TABLE_NAME.fullmatch(item.name) for item in resources.files("hepatica.transport").joinpath("tables").iterdir()
    )
    return tuple(sorted((match["nuclide"], match["medium"]) for match in files if match))


@functools.cache
def point_kernel(nuclide_name: str, medium: str = "water") -> PointKernel:
    """Point kernel of a nuclide in a medium.

    Raises
    ------
    UnknownNameError
        If there is no table for it; the message lists those there are.
    """
    names = kernel_names()
    if (nuclide_name, medium) not in names:
        known = [f"{name} in {other}" for name, other in names]
        raise UnknownNameError("point kernel", f"{nuclide_name} in {medium}", known)
    file = f"dpk_{nuclide_name}_{medium}.csv"
    return parse_point_kernel(table_text("hepatica.transport", file), file)


def parse_point_kernel(text: str, what: str) -> PointKernel:
    """Point kernel from the text of a table: header lines ``# key: value``, the column names, one line per shell.

    Raises
    ------
    InputError
        If a header entry or column is missing, shells do not join, or a fraction is negative or sums to more than 1.
    """
    header = dict(re.findall(r"^# (\w+): (.*)$", text, flags=re.MULTILINE))
    missing = [key for key in ("nuclide", "medium", "density_g_ml", "code") if key not in header]
    body = [line for line in text.splitlines() if line and not line.startswith("#")]
    if missing or not body or body[0] != COLUMNS:
        raise InputError(f"{what}: needs header entries nuclide, medium, density_g_ml, code and columns {COLUMNS}")
    rows = np.array([[float(x) for x in line.split(",")] for line in body[1:]])
    r_in, r_out, electrons, electron_sd, photons, photon_sd = rows.T
    if r_in[0] != 0 or not np.array_equal(r_in[1:], r_out[:-1]) or not (np.diff(r_out) > 0).all():
        raise InputError(f"{what}: shells must start at 0, join and grow outwards")
    for name, part in (("electron", electrons), ("photon", photons)):
        if (part < 0).any() or part.sum() > 1 + 1e-6:
            raise InputError(f"{what}: {name} fractions must not be negative or sum to more than 1 ({part.sum():.6f})")
    edges = np.concatenate([[0.0], r_out])
    for array in (edges, electrons, electron_sd, photons, photon_sd):
        array.setflags(write=False)
    return PointKernel(
        nuclide=header["nuclide"],
        medium=header["medium"],
        density_g_ml=float(header["density_g_ml"]),
        r_mm=edges,
        electron_fraction=electrons,
        photon_fraction=photons,
        electron_rel_sd=electron_sd,
        photon_rel_sd=photon_sd,
        source=f"{what}: {header['code']}",
    )


def voxel_kernel(
    nuclide: Nuclide,
    spacing_mm: Sequence[float],
    *,
    half_shape: Sequence[int],
    medium: str = "water",
    density_g_ml: float = 1.0,
) -> VoxelKernel:
    """Voxel S values for any spacing, out to any distance that the point kernel knows.

    Parameters
    ----------
    nuclide : Nuclide
        Name and energies per decay; the shares come from the point kernel.
    spacing_mm : sequence of float
        Voxel edges along i, j, k.
    half_shape : sequence of int
        Size of the octant: offsets 0 to n - 1. The shape of an image covers every pair of its voxels.
    medium : str
        Medium of the point kernel.
    density_g_ml : float
        Density of the medium; distances are scaled by the table's density over it (exact in a uniform medium).

    Raises
    ------
    UnknownNameError
        If there is no point kernel for the nuclide in the medium.
    InputError
        If spacing, shape or density are not positive.
    """
    # Rounded to a nanometre so that the last bit of an affine does not make another kernel.
    edges = tuple(round(float(s), 6) for s in spacing_mm)
    shape = tuple(int(n) for n in half_shape)
    if len(edges) != 3 or not min(edges) > 0:
        given = " x ".join(f"{edge:g}" for edge in edges)
        raise InputError(
            f"voxel kernel: voxels of {given} mm; three edges above 0 are expected",
            remedy="give the voxel's size, such as 4 mm",
        )
    if len(shape) != 3 or min(shape) < 1 or not density_g_ml > 0:
        raise InputError(f"voxel kernel: half shape {shape}, density {density_g_ml:g} g/mL; both must be above 0")
    kernel = point_kernel(nuclide.name, medium)
    i, j, k = (a * density_g_ml / kernel.density_g_ml for a in edges)
    near = _near_shares(nuclide.name, medium, (i, j, k))
    electrons, photons = (
        _octant(part, near.radius_mm, _cumulative(kernel, fraction), (i, j, k), shape)
        for part, fraction in ((near.electrons, kernel.electron_fraction), (near.photons, kernel.photon_fraction))
    )
    voxel_kg = edges[0] * edges[1] * edges[2] * density_g_ml * 1e-6
    e_gy = nuclide.electron_energy_mev * MEV_TO_J / voxel_kg
    p_gy = nuclide.photon_energy_mev * MEV_TO_J / voxel_kg
    covered = [_whole_kernel(part) for part in (electrons, photons)]
    return VoxelKernel(
        nuclide=nuclide.name,
        medium=medium,
        spacing_mm=(edges[0], edges[1], edges[2]),
        density_g_ml=density_g_ml,
        electron_gy_per_decay=_scaled(electrons, e_gy),
        photon_gy_per_decay=_scaled(photons, p_gy),
        integration_rel_error=near.rel_error,
        covered_electron_fraction=covered[0],
        covered_photon_fraction=covered[1],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Near:
    """Shares of the emitted energy that voxels of one octant get from within `radius_mm` (blended out beyond it)."""

    electrons: FloatArray
    photons: FloatArray
    radius_mm: float
    rel_error: float


@functools.lru_cache(maxsize=32)
def _near_shares(nuclide_name: str, medium: str, edges: tuple[float, float, float]) -> _Near:
    kernel = point_kernel(nuclide_name, medium)
    radius = max(NEAR_VOXELS * max(edges), 10 * NEAR_AT_LEAST_G_CM2 / kernel.density_g_ml)
    cumulative = [_cumulative(kernel, part) for part in (kernel.electron_fraction, kernel.photon_fraction)]
    radii, energies = _radial_points(kernel, cumulative, radius, min(edges))
    halves = [_splat(radii, energies, np.array(edges), half) for half in (0, 1)]
    first, second = halves[0][0], halves[1][0]
    neighbours = ([0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1])
    difference = np.abs(first - second)[neighbours] / (first + second)[neighbours]
    electrons, photons = (halves[0] + halves[1]) / 2
    return _Near(electrons, photons, radius, float(difference.max()))


def _cumulative(kernel: PointKernel, fraction: FloatArray) -> Any:
    """Fraction absorbed within r: monotone cubic through the shell edges, so every shell keeps its energy."""
    from scipy.interpolate import PchipInterpolator

    return PchipInterpolator(kernel.r_mm, np.concatenate([[0.0], np.cumsum(fraction)]), extrapolate=False)


def _near_weight(r_mm: FloatArray, radius_mm: float) -> FloatArray:
    """1 within `radius_mm`, 0 beyond 1.5 times that, cosine squared between."""
    position = np.clip((r_mm - radius_mm) / (0.5 * radius_mm), 0, 1)
    return np.asarray(np.cos(0.5 * np.pi * position) ** 2)


def _radial_points(
    kernel: PointKernel, cumulative: list[Any], radius_mm: float, edge_mm: float
) -> tuple[FloatArray, FloatArray]:
    """Radii (n,) and the energy shares (2, n) they stand for: two Gauss points in every step."""
    end = min(1.5 * radius_mm, kernel.r_mm[-1])
    step = edge_mm / STEPS_PER_VOXEL
    fine = np.arange(0, min(4 * edge_mm, end), step)
    coarse = np.arange(4 * edge_mm, end, 2 * step)
    # The shells themselves matter where the voxels' overlap changes with every step: within the source voxel.
    shells = kernel.r_mm[kernel.r_mm < min(edge_mm, end)]
    edges = np.unique(np.concatenate([fine, coarse, shells, [end]]))
    low, high = edges[:-1], edges[1:]
    middle, reach = (low + high) / 2, (high - low) / 2 / np.sqrt(3)
    radii = np.stack([middle - reach, middle + reach])
    shares = []
    for total in cumulative:
        density = np.maximum(total.derivative()(radii), 0)
        weight = density / np.where(density.sum(axis=0) > 0, density.sum(axis=0), 1)
        shares.append((weight * (total(high) - total(low)) * _near_weight(radii, radius_mm)).ravel())
    return radii.ravel(), np.stack(shares)


def _directions(count: int, first: int, start: int) -> FloatArray:
    """Unit vectors that fill one octant evenly, shape (3, count): the R2 sequence from its member `start` on.

    Plastic-number (R2) sequence: Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018.
    `first` (0 or 1) takes one of two interleaved sequences.
    """
    plastic = 1.32471795724474602596
    n = start + np.arange(count) + 0.5 * first
    cosine = np.mod(0.5 + n / plastic, 1.0)
    azimuth = 0.5 * np.pi * np.mod(0.5 + n / plastic**2, 1.0)
    sine = np.sqrt(1 - cosine**2)
    return np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine])


def _splat(radii: FloatArray, energies: FloatArray, edges: FloatArray, half: int) -> FloatArray:
    """Energy shares of the voxels of one octant, shape (2, i, j, k), from points on spheres of the given radii."""
    shape = tuple(int(n) for n in np.floor(radii.max() / edges) + 2)
    out = np.zeros((2, int(np.prod(shape))))
    counts = (DIRECTIONS * np.clip((radii / (6 * edges.min())) ** 2, 1, 4)).astype(int)
    # As many radii at a time as the lattice has voxels, so that adding up the lattice costs no more than the points.
    batches = np.cumsum(counts) // max(SPLAT_POINTS, out.shape[1])
    for batch in np.unique(batches):
        chosen = batches == batch
        number = counts[chosen]
        unit = _directions(int(number.sum()), half, int(counts[batches < batch].sum()))
        points = unit * (np.repeat(radii[chosen], number) / edges[:, None])
        share = [np.repeat(part[chosen] / number, number) for part in energies]
        for index, weight in _corners(points, shape):
            for part, energy in enumerate(share):
                if energy.any():
                    out[part] += np.bincount(index, weight * energy, out.shape[1])
    # A point stands for its mirror images in all octants; an offset off the mirror planes gets its share of them.
    return out.reshape(2, *shape) / _multiplicity(shape)


def _corners(points: FloatArray, shape: tuple[int, ...]) -> Iterator[tuple[NDArray[np.intp], FloatArray]]:
    """Flat index and trilinear weight of each of the eight lattice points around `points` (3, n)."""
    base = np.floor(points).astype(np.intp)
    fraction = points - base
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod([f if c else 1 - f for f, c in zip(fraction, corner, strict=True)], axis=0)
        yield np.ravel_multi_index(tuple(base + np.array(corner)[:, None]), shape), weight


def _octant(
    near: FloatArray,
    near_radius_mm: float,
    cumulative: Any,
    edges: tuple[float, float, float],
    shape: tuple[int, ...],
) -> Float32Array:
    """Share of the energy in each voxel of an octant of `shape`: near part plus the smooth far part."""
    reach = float(cumulative.x[-1])
    r = np.arange(0.0, reach + 0.1, 0.1)
    density = np.nan_to_num(cumulative.derivative()(r)) * (1 - _near_weight(r, near_radius_mm))
    per_mm3 = np.zeros_like(r)
    per_mm3[1:] = np.maximum(density[1:], 0) / (4 * np.pi * r[1:] ** 2)
    out = np.zeros(shape, np.float32)
    if per_mm3.any():
        out = _sample(r, per_mm3 * np.prod(edges), edges, shape)
    both = tuple(slice(0, min(n, m)) for n, m in zip(shape, near.shape, strict=True))
    out[both] += near[both].astype(np.float32)
    return out


def _sample(
    r: FloatArray, profile: FloatArray, edges: tuple[float, float, float], shape: tuple[int, ...]
) -> Float32Array:
    """Profile at every voxel offset; nearby, its mean over eight nodes, exact to the third order of the triangles.

    A triangle of half width a has the variance a^2 / 6: two nodes at a / sqrt(6) on either side.
    """
    x, y, z = (np.arange(n) * a for n, a in zip(shape, edges, strict=True))
    out = np.empty(shape, np.float32)
    in_slice = y[:, None] ** 2 + z**2
    for index, at in enumerate(x):
        out[index] = np.interp(np.sqrt(at**2 + in_slice), r, profile, right=0.0)
    inner = [axis[: int(NODES_VOXELS * max(edges) / a) + 1] for axis, a in zip((x, y, z), edges, strict=True)]
    mean = np.zeros([axis.size for axis in inner])
    for signs in np.ndindex(2, 2, 2):
        u, v, w = ((axis + (2 * s - 1) * a / np.sqrt(6)) ** 2 for axis, a, s in zip(inner, edges, signs, strict=True))
        mean += np.interp(np.sqrt(u[:, None, None] + v[:, None] + w), r, profile, right=0.0) / 8
    out[tuple(slice(0, n) for n in mean.shape)] = mean
    return out


def _multiplicity(shape: Sequence[int]) -> FloatArray:
    """How many voxels of the whole kernel each octant offset stands for: 1, 2, 4 or 8."""
    i, j, k = (np.where(np.arange(n) == 0, 1.0, 2.0) for n in shape)
    return np.asarray(i[:, None, None] * j[:, None] * k)


def _whole_kernel(octant: Float32Array) -> float:
    """Sum over all eight octants, plane by plane in double precision."""
    i, j, k = (np.where(np.arange(n) == 0, 1.0, 2.0) for n in octant.shape)
    return float(sum(m * (j @ (plane.astype(np.float64) @ k)) for m, plane in zip(i, octant, strict=True)))


def _scaled(octant: Float32Array, factor: float) -> Float32Array:
    if octant.any():  # zeros that nobody writes to take no memory
        octant *= np.float32(factor)
    octant.setflags(write=False)
    return octant
