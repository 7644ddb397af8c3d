"""Dose at the scale of single microspheres: why a gray of glass is not a gray of resin.

Few hot spheres (glass, 2500 Bq at calibration) leave cold tissue between them where many weak ones (resin, 50 Bq) do
not. Spheres lodge in the portal tracts at the corners of hexagonal liver lobules. A block of lobules, periodic in all
three directions, is filled with clusters of spheres at random; their doses add up by convolution with the point kernel.

References
----------
.. [1] Walrand S et al. J Nucl Med 2014;55:135 and 1317 (lobule model, trapping of glass and resin).
.. [2] Campbell NR. Proc Camb Phil Soc 1909;15:117 (mean and variance of a filtered Poisson process; checks the model).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.dosimetry.radiobiology.uniform import equivalent_uniform_dose_gy
from hepatica.errors import PhysicsError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SphereAgent:
    """What matters of an agent at the scale of spheres.

    Attributes
    ----------
    name : str
        For the report.
    activity_per_sphere_bq : float
        Activity of one sphere when it is administered, Bq.
    spheres_per_cluster : float
        Mean number of spheres that lodge together (geometric distribution); 1 for single spheres.
    """

    name: str
    activity_per_sphere_bq: float
    spheres_per_cluster: float = 1.0

    def __post_init__(self) -> None:
        if not self.activity_per_sphere_bq > 0 or not self.spheres_per_cluster >= 1:
            raise PhysicsError(f"{self.name}: activity per sphere must be positive, spheres per cluster at least 1")


@dataclass(frozen=True, slots=True, eq=False)
class RadialKernel:
    """Fraction of the emitted energy that is absorbed in spherical shells around a point in tissue.

    Attributes
    ----------
    edges_mm : ndarray, shape (n + 1,)
        Shell borders, first 0, mm.
    fraction : ndarray, shape (n,)
        Fraction of the electron energy per decay absorbed in each shell.
    energy_j_per_bq : float
        Energy of all decays of 1 Bq, J.
    """

    edges_mm: FloatArray
    fraction: FloatArray
    energy_j_per_bq: float

    def within(self, radius_mm: FloatArray) -> FloatArray:
        """Fraction absorbed within a radius."""
        cumulative = np.concatenate(([0.0], np.cumsum(self.fraction)))
        return np.asarray(np.interp(radius_mm, self.edges_mm, cumulative), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class LobuleBlock:
    """A periodic block of hexagonal lobules.

    Attributes
    ----------
    voxel_um : float
        Voxel edge, um.
    columns, rows : int
        Rectangular cells (two lobules each) along x and y.
    length_mm : float
        Extent along the lobules' axes, mm.
    side_mm : float
        Side of the hexagon, mm; 0.7 mm makes lobules 1.2 mm across (order of magnitude of a human lobule; the exact
        value is our assumption).
    """

    voxel_um: float = 50.0
    columns: int = 3
    rows: int = 5
    length_mm: float = 6.4
    side_mm: float = 0.7

    @property
    def size_mm(self) -> tuple[float, float, float]:
        """Extent of the block in mm."""
        return self.columns * 3 * self.side_mm, self.rows * math.sqrt(3) * self.side_mm, self.length_mm

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels; the block is stretched by less than half a voxel to hold whole ones."""
        x, y, z = (max(1, round(s * 1000 / self.voxel_um)) for s in self.size_mm)
        return x, y, z

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size, mm."""
        x, y, z = (s / n for s, n in zip(self.size_mm, self.shape, strict=True))
        return x, y, z

    @property
    def volume_ml(self) -> float:
        """Volume in mL."""
        return math.prod(self.size_mm) / 1000

    def portal_tracts_mm(self) -> FloatArray:
        """Positions of the corners of the lobules in x, y, shape (4 columns rows, 2), mm."""
        cell = self.side_mm * np.array([[0.5, 0.0], [1.0, math.sqrt(3) / 2], [2.0, math.sqrt(3) / 2], [2.5, 0.0]])
        step = np.array([3.0, math.sqrt(3)]) * self.side_mm
        return np.concatenate([cell + step * (c, r) for c in range(self.columns) for r in range(self.rows)])


@dataclass(frozen=True, slots=True, eq=False)
class SphereDose:
    """Dose of one agent at the scale of spheres.

    Attributes
    ----------
    agent : SphereAgent
        The agent.
    mean_dose_gy : float
        Macroscopic dose, Gy.
    spheres_per_ml : float
        Expected number density.
    relative_sd : float
        Standard deviation of the voxel dose over its mean.
    percentiles_gy : dict
        Percentile (5, 25, 50, 75, 95) -> dose, Gy.
    eud_gy : float
        Uniform dose with the same cell survival.
    dose_gy : ndarray
        Voxel doses of the block, Gy.
    """

    agent: SphereAgent
    mean_dose_gy: float
    spheres_per_ml: float
    relative_sd: float
    percentiles_gy: dict[int, float]
    eud_gy: float
    dose_gy: FloatArray


def spheres_per_ml(
    mean_dose_gy: float, activity_per_sphere_bq: float, energy_j_per_bq: float, *, density_g_ml: float = 1.06
) -> float:
    """Spheres per mL of tissue that give a mean dose when their energy stays in place.

    >>> round(spheres_per_ml(60.0, 50.0, 49.67e-9, density_g_ml=1.06))
    25609
    """
    return mean_dose_gy * density_g_ml * 1e-3 / (activity_per_sphere_bq * energy_j_per_bq)


def simulate_spheres(
    agent: SphereAgent,
    mean_dose_gy: float,
    kernel: RadialKernel,
    *,
    alpha_per_gy: float,
    seed: int,
    block: LobuleBlock | None = None,
    density_g_ml: float = 1.06,
    placement: str = "portal",
) -> SphereDose:
    """Dose in a block of lobules filled at random with one agent.

    Parameters
    ----------
    agent : SphereAgent
        Activity per sphere and cluster size.
    mean_dose_gy : float
        Macroscopic dose that the block is to have on average, Gy.
    kernel : RadialKernel
        Point kernel of the nuclide in tissue of `density_g_ml`.
    alpha_per_gy : float
        Radiosensitivity for the EUD.
    seed : int
        Same seed, same spheres.
    block : LobuleBlock, optional
        Geometry; by default 30 lobules, 6.3 x 6.1 x 6.4 mm at 50 um.
    density_g_ml : float
        Tissue density.
    placement : str
        "portal" (in the portal tracts) or "uniform" (anywhere; for checks against theory).

    Notes
    -----
    The number of clusters is drawn from a Poisson distribution; the doses are then scaled so that the block's mean is
    the macroscopic dose, which is what is known (from PET or SPECT) about a place.
    """
    if placement not in ("portal", "uniform"):
        raise PhysicsError(f"placement must be 'portal' or 'uniform', not {placement!r}")
    if not mean_dose_gy > 0:
        raise PhysicsError(f"mean dose must be positive, not {mean_dose_gy} Gy")
    block = block or LobuleBlock()
    density = spheres_per_ml(
        mean_dose_gy, agent.activity_per_sphere_bq, kernel.energy_j_per_bq, density_g_ml=density_g_ml
    )
    counts = _random_counts(agent, density * block.volume_ml, block, placement, np.random.default_rng(seed))
    if not counts.any():
        raise PhysicsError(f"{agent.name}: no sphere fell into the block; {mean_dose_gy:g} Gy is too little for it")
    relative = _convolved(counts, _spectrum(kernel, block))
    dose = relative * (mean_dose_gy / float(relative.mean()))
    return SphereDose(
        agent,
        mean_dose_gy,
        density,
        float(dose.std()) / mean_dose_gy,
        {p: float(v) for p, v in zip((5, 25, 50, 75, 95), np.percentile(dose, (5, 25, 50, 75, 95)), strict=True)},
        equivalent_uniform_dose_gy(dose, alpha_per_gy),
        dose,
    )


def equivalent_mean_dose_gy(
    agent: SphereAgent,
    wanted_eud_gy: float,
    kernel: RadialKernel,
    *,
    alpha_per_gy: float,
    seed: int,
    block: LobuleBlock | None = None,
) -> float:
    """Macroscopic dose of an agent that leaves the same cell survival as `wanted_eud_gy` given uniformly.

    Found to 0.5 % by Brent's method; a single block carries the noise of its number of spheres.
    """
    from scipy import optimize

    @functools.cache
    def short_by(log_dose: float) -> float:
        dose = math.exp(log_dose)
        found = simulate_spheres(agent, dose, kernel, alpha_per_gy=alpha_per_gy, seed=seed, block=block)
        return math.log(found.eud_gy / wanted_eud_gy)

    low = high = math.log(wanted_eud_gy)
    for _ in range(12):
        if short_by(high) >= 0:
            break
        low, high = high, high + math.log(1.6)
    else:
        raise PhysicsError(
            f"{agent.name}: no mean dose below {math.exp(high):.3g} Gy has an EUD of {wanted_eud_gy:g} Gy"
        )
    if low == high:
        return wanted_eud_gy
    return math.exp(float(optimize.brentq(short_by, low, high, xtol=0.0025)))


@functools.lru_cache(maxsize=4)
def _spectrum(kernel: RadialKernel, block: LobuleBlock) -> Any:
    from scipy import fft

    return fft.rfftn(folded_kernel(kernel, block))


@functools.lru_cache(maxsize=4)
def folded_kernel(kernel: RadialKernel, block: LobuleBlock) -> FloatArray:
    """Fraction of the energy absorbed per voxel around a voxel of the periodic block, all images summed.

    Shape `block.shape`, source at index (0, 0, 0); adds up to the energy within the kernel's largest radius.
    """
    spacing = np.asarray(block.spacing_mm)
    reach = float(kernel.edges_mm[-1])
    axes = [np.arange(int(reach / s) + 2) * s for s in spacing]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    radius = np.sqrt(x**2 + y**2 + z**2)
    voxel = math.prod(spacing)
    # Energy per volume at distance r, from the shell's share; a voxel near the source takes it from the energy
    # between spheres of the voxel's own extent instead of the steep density at its centre.
    half = float(np.cbrt(3 * voxel / (4 * math.pi)))
    inner, outer = np.maximum(radius - half, 0), radius + half
    # Products, since a power of an array takes ten times as long.
    shell = 4 / 3 * math.pi * (outer * outer * outer - inner * inner * inner)
    octant = (kernel.within(outer) - kernel.within(inner)) * voxel / shell
    octant[0, 0, 0] = float(kernel.within(np.array([half]))[0])
    folded: FloatArray = octant
    for axis, n in enumerate(block.shape):
        folded = _fold(folded, axis, n)
    return np.asarray(folded * (kernel.fraction.sum() / folded.sum()), dtype=np.float64)


def _fold(values: FloatArray, axis: int, n: int) -> FloatArray:
    """Sum of all periodic images, both sides of the symmetric half axis, onto n cells."""
    values = np.moveaxis(values, axis, 0)
    out = np.zeros((n, *values.shape[1:]))
    for index, part in enumerate(values):
        out[index % n] += part
        if index:
            out[-index % n] += part
    return np.moveaxis(out, 0, axis)


def _random_counts(
    agent: SphereAgent, expected: float, block: LobuleBlock, placement: str, random: np.random.Generator
) -> FloatArray:
    """Number of spheres in every voxel."""
    clusters = int(random.poisson(expected / agent.spheres_per_cluster))
    size = np.asarray(block.size_mm)
    position = random.random((clusters, 3)) * size
    if placement == "portal":
        tracts = block.portal_tracts_mm()
        position[:, :2] = tracts[random.integers(len(tracts), size=clusters)]
    spheres = random.geometric(1 / agent.spheres_per_cluster, size=clusters)
    index = np.floor(position / block.spacing_mm + 1e-9).astype(int) % np.asarray(block.shape)
    counts = np.zeros(block.shape)
    np.add.at(counts, tuple(index.T), spheres)
    return counts


def _convolved(counts: FloatArray, spectrum: Any) -> FloatArray:
    """Periodic convolution with a kernel's spectrum; rounding noise below zero is cut."""
    from scipy import fft

    return np.maximum(np.asarray(fft.irfftn(fft.rfftn(counts) * spectrum, s=counts.shape), dtype=np.float64), 0.0)
