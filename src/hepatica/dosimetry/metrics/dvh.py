"""Dose-volume histograms: what a dose map says about one structure.

The model is the one that the numbers of a voxel dose map stand for: every voxel has one absorbed dose, and a structure
holds the covered fraction of each voxel (`Region.coverage`). Nothing is binned before it is asked for: D and V come
from the sorted voxel doses with their weights, and are exact for this model.

- V(d): fraction of the structure with a dose of at least d. A step function, continuous from the left.
- D_x: the minimum dose to the hottest x of the structure: the largest d with V(d) >= x. This is always the dose of a
  voxel of the structure; nothing is interpolated between voxels, so V(D_x) >= x holds exactly.

Definitions follow ICRU Report 83 (2010), section 3: D_98 % and D_2 % as near-minimum and near-maximum, homogeneity
index (D_2 % - D_98 %) / D_50 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Region, Volume
from hepatica.errors import GeometryError, InputError, UnitError

FloatArray = NDArray[np.float64]
Doses = NDArray[np.floating[Any]]
Weight = Literal["volume", "mass"]

MAX_EDGES = 10_000_000
"""Bins of one histogram; more is a bin width in the wrong unit."""

MAX_BINS = 400
"""A bin width that is not given is the smallest 1-2-5 number that needs no more bins than this."""

SHARE_TOLERANCE = 1e-9
"""Relative slack when a weight is compared with the one asked for: rounding of sums, far below one voxel."""


@dataclass(frozen=True, slots=True, eq=False)
class DvhCurve:
    """A histogram for drawing and for files.

    Attributes
    ----------
    dose_gy : ndarray
        Cumulative: doses at which the curve is given. Differential: edges of the bins, one more than values.
    fraction : ndarray
        Cumulative: fraction of the structure with at least that dose. Differential: fraction in the bin.
    amount : ndarray
        The same in mL, or in g where the histogram is weighted by mass.
    unit : str
        "mL" or "g".
    """

    dose_gy: FloatArray
    fraction: FloatArray
    amount: FloatArray
    unit: str


@dataclass(frozen=True, eq=False)
class Dvh:
    """Distribution of absorbed dose in one structure; made by `dose_volume_histogram`.

    Attributes
    ----------
    name : str
        The structure.
    weight : {"volume", "mass"}
        What D, V and the curves count: millilitres or grams.
    volume_ml, mass_g : float, float or None
        Of the structure; the mass is None where no density was given.
    mean_gy : float
        Absorbed energy over mass (the mean absorbed dose of ICRU 85a, section 5.2.4); without a density it equals
        `mean_volume_gy`.
    mean_volume_gy : float
        Voxel doses averaged by volume: what the area under the cumulative DVH gives.
    sd_gy : float
        Standard deviation of the voxel doses by volume, about `mean_volume_gy`: heterogeneity, not uncertainty.
    min_gy, max_gy : float
        Over all voxels that the structure touches; sensitive to single voxels: D_98 % and D_2 % are not.
    bin_gy : float
        Bin width of the curves.
    """

    name: str
    weight: Weight
    volume_ml: float
    mass_g: float | None
    mean_gy: float
    mean_volume_gy: float
    sd_gy: float
    min_gy: float
    max_gy: float
    bin_gy: float
    _whole: _Sorted
    _partial: _Sorted

    def d_percent(self, percent: float) -> float:
        """Minimum dose in Gy to the hottest `percent` of the structure.

        Raises
        ------
        InputError
            If `percent` lies outside 0 to 100.
        """
        if not 0 <= percent <= 100:
            raise InputError(f"D of {percent} % of {self.name!r}: a percentage from 0 to 100 is needed")
        return self._dose_to(percent / 100 * self._total)

    def d_cc(self, volume_ml: float) -> float:
        """Minimum dose in Gy to the hottest `volume_ml` mL.

        Raises
        ------
        InputError
            If the structure is smaller, or the histogram is weighted by mass.
        """
        if self.weight != "volume":
            raise InputError(f"D of a volume of {self.name!r}: this histogram counts grams; make one by volume")
        if not 0 <= volume_ml <= self.volume_ml * (1 + SHARE_TOLERANCE):
            raise InputError(f"D of {volume_ml:g} mL of {self.name!r}: it has {self.volume_ml:.4g} mL")
        return self._dose_to(volume_ml)

    def v_gy(self, dose_gy: float) -> float:
        """Fraction (0 to 1) of the structure with a dose of at least `dose_gy`."""
        return min(1.0, self._amount_from(dose_gy) / self._total)

    @property
    def homogeneity(self) -> float | None:
        """Homogeneity index (D_2 % - D_98 %) / D_50 % (ICRU 83, eq. 3.3); 0 is uniform; None where D_50 % is 0."""
        median = self.d_percent(50)
        return (self.d_percent(2) - self.d_percent(98)) / median if median > 0 else None

    @property
    def unit(self) -> str:
        """Unit of the amounts: "mL" or "g"."""
        return "mL" if self.weight == "volume" else "g"

    def cumulative(self, bin_gy: float | None = None) -> DvhCurve:
        """Fraction with at least a dose, every `bin_gy` from 0 until nothing is left; exact at each dose."""
        edges = self._edges(bin_gy)
        amount = np.asarray(self._amounts_from(edges))
        return DvhCurve(edges, np.minimum(amount / self._total, 1), amount, self.unit)

    def differential(self, bin_gy: float | None = None) -> DvhCurve:
        """Fraction in each bin [edge, next edge); the fractions add up to 1."""
        edges = self._edges(bin_gy)
        amount = -np.diff(self._amounts_from(edges))
        return DvhCurve(edges, amount / self._total, amount, self.unit)

    @property
    def _total(self) -> float:
        return self._whole.total + self._partial.total

    def _edges(self, bin_gy: float | None) -> FloatArray:
        step = self.bin_gy if bin_gy is None else _checked_bin(bin_gy)
        first = math.floor(min(0.0, self.min_gy) / step)
        last = math.floor(self.max_gy / step) + 1
        if last - first > MAX_EDGES:
            raise InputError(
                f"{last - first} bins of {step:g} Gy up to {self.max_gy:g} Gy are more than {MAX_EDGES}; widen them"
            )
        return np.asarray(np.arange(first, last + 1) * step, dtype=np.float64)

    def _amount_from(self, dose_gy: float) -> float:
        return float(self._amounts_from(np.asarray(dose_gy, dtype=np.float64)))

    def _amounts_from(self, dose_gy: FloatArray) -> FloatArray:
        return np.asarray(self._whole.amount_from(dose_gy) + self._partial.amount_from(dose_gy), dtype=np.float64)

    def _dose_to(self, amount: float) -> float:
        wanted = amount * (1 - SHARE_TOLERANCE)
        best = [
            part.last_where(lambda dose: self._amount_from(dose) >= wanted) for part in (self._whole, self._partial)
        ]
        found = [dose for dose in best if dose is not None]
        # Nothing reaches it only by rounding of the sum of all voxels: that is the coldest voxel.
        return max(found) if found else self.min_gy

    def __repr__(self) -> str:
        return (
            f"<Dvh {self.name!r} by {self.weight}: {self.volume_ml:.4g} mL, mean {self.mean_gy:.4g} Gy, "
            f"D95 {self.d_percent(95):.4g}, D50 {self.d_percent(50):.4g}, D2 {self.d_percent(2):.4g} Gy>"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Sorted:
    """Ascending doses, each with its weight; all weights equal (`unit_weight`) or given by their running sum."""

    dose_gy: Doses
    unit_weight: float
    running: FloatArray | None

    @classmethod
    def equal(cls, dose_gy: Doses, unit_weight: float) -> _Sorted:
        return cls(np.sort(dose_gy), unit_weight, None)

    @classmethod
    def weighted(cls, dose_gy: Doses, weight: NDArray[np.floating[Any]]) -> _Sorted:
        order = np.argsort(dose_gy, kind="stable")
        hottest_first = np.cumsum(weight[order][::-1], dtype=np.float64)
        return cls(dose_gy[order], 0.0, np.append(hottest_first[::-1], 0.0))

    @property
    def total(self) -> float:
        return self.dose_gy.size * self.unit_weight if self.running is None else float(self.running[0])

    def amount_from(self, dose_gy: FloatArray) -> FloatArray:
        """Weight of the voxels with at least each dose."""
        # Compared in double precision: a float32 voxel is exactly representable there, the dose asked for stays as is.
        first = np.searchsorted(self.dose_gy, _at_least(dose_gy, self.dose_gy.dtype), side="left")
        if self.running is None:
            return np.asarray((self.dose_gy.size - first) * self.unit_weight, dtype=np.float64)
        return np.asarray(self.running[first])

    def last_where(self, holds: Callable[[float], bool]) -> float | None:
        """Largest dose for which `holds`, which is true up to some dose and false above; None if for none."""
        low, high = 0, self.dose_gy.size
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if holds(float(self.dose_gy[middle])) else (low, middle)
        return float(self.dose_gy[low - 1]) if low else None


def dose_volume_histogram(
    dose: Volume,
    region: Region,
    density: Volume | None = None,
    *,
    weight: Weight = "volume",
    bin_gy: float | None = None,
) -> Dvh:
    """Distribution of the absorbed dose in a structure.

    Parameters
    ----------
    dose : Volume
        Absorbed dose in Gy.
    region : Region
        The structure, on the dose's grid; border voxels count by their covered fraction.
    density : Volume, optional
        Mass density in g/mL on the same grid; gives the mass and the mean dose as energy over mass.
    weight : {"volume", "mass"}
        What D_x, V_x and the curves count. "mass" needs a density.
    bin_gy : float, optional
        Bin width of the curves in Gy; by default the smallest 1-2-5 number that needs at most 400 bins. D and V do not
        depend on it.

    Raises
    ------
    GeometryError
        If the grids differ, or the region covers nothing.
    UnitError
        If a volume is of the wrong kind, or a dose inside the structure is NaN or infinite.
    InputError
        If the bin width is not positive, the density gives no mass, or mass is asked for without a density.
    """
    dose.require_kind(Kind.DOSE)
    region.grid.require_match(dose.grid, f"region {region.name!r} and dose")
    if region.is_empty:
        raise GeometryError(
            f"region {region.name!r} covers no voxel of the dose map; it is empty, or lies outside the image"
        )
    if weight == "mass" and density is None:
        raise InputError(f"DVH of {region.name!r} by mass: a density is needed")
    doses, covered = dose.values[region.window], region.coverage
    inside = covered == 1
    border = (covered > 0) & ~inside
    voxel_ml = dose.grid.voxel_volume_ml
    whole = _Sorted.equal(doses[inside], voxel_ml)
    partial = _Sorted.weighted(doses[border], covered[border] * np.float64(voxel_ml))
    low, high = _range(region.name, whole, partial)
    mean_volume, sd = _moments(whole, partial)
    mass, mean = None, mean_volume
    if density is not None:
        mass = region.mass_g(density)
        if not mass > 0:
            raise InputError(f"region {region.name!r} has no mass in the density map ({mass:g} g)")
        mean = _energy_over_mass(doses, covered, density.values[region.window])
        if weight == "mass":
            grams = density.values[region.window] * covered * np.float64(voxel_ml)
            touched = covered > 0
            whole, partial = _Sorted.equal(doses[:0, 0, 0], 0.0), _Sorted.weighted(doses[touched], grams[touched])
    return Dvh(
        name=region.name,
        weight=weight,
        volume_ml=region.volume_ml,
        mass_g=mass,
        mean_gy=mean,
        mean_volume_gy=mean_volume,
        sd_gy=sd,
        min_gy=low,
        max_gy=high,
        bin_gy=_default_bin(high) if bin_gy is None else _checked_bin(bin_gy),
        _whole=whole,
        _partial=partial,
    )


def _at_least(dose_gy: FloatArray, dtype: Any) -> NDArray[np.floating[Any]]:
    """The smallest numbers of `dtype` that are not below `dose_gy`, so that a search needs no copy of the voxels."""
    rounded = np.asarray(dose_gy).astype(dtype)
    return np.where(rounded < dose_gy, np.nextafter(rounded, np.asarray(np.inf, dtype=dtype)), rounded).astype(dtype)


def _range(name: str, *parts: _Sorted) -> tuple[float, float]:
    ends = [float(end) for part in parts if part.dose_gy.size for end in part.dose_gy[[0, -1]]]
    # NaN sorts to the end, infinities to either end: the ends show both.
    if not np.isfinite(ends).all():
        raise UnitError(f"region {name!r}: the dose map holds NaN or infinite values inside it")
    return min(ends), max(ends)


def _moments(whole: _Sorted, partial: _Sorted) -> tuple[float, float]:
    """Mean and standard deviation by volume, two passes in double precision."""
    weights = -np.diff(partial.running) if partial.running is not None else np.zeros(0)
    total = whole.total + partial.total
    first = whole.unit_weight * float(whole.dose_gy.sum(dtype=np.float64)) + float(weights @ partial.dose_gy)
    mean = first / total
    square = whole.unit_weight * _sum_of_squares(whole.dose_gy, mean)
    square += float(weights @ np.square(partial.dose_gy - np.float64(mean)))
    return mean, math.sqrt(max(0.0, square / total))


def _sum_of_squares(doses: Doses, mean: float, block: int = 1 << 20) -> float:
    return sum(float(np.square(doses[n : n + block] - np.float64(mean)).sum()) for n in range(0, doses.size, block))


def _energy_over_mass(doses: Doses, covered: NDArray[np.float32], density: Doses) -> float:
    energy = mass = 0.0
    # Plane by plane: the products stay in the cache, and sums are kept in double precision.
    for dose, share, grams in zip(doses, covered, density, strict=True):
        weight = share * grams.astype(np.float64)
        mass += float(weight.sum())
        # A voxel that the structure does not touch may hold NaN.
        energy += float(np.where(share > 0, weight * dose, 0.0).sum())
    return energy / mass


def _checked_bin(bin_gy: float) -> float:
    if not (math.isfinite(bin_gy) and bin_gy > 0):
        raise InputError(f"bin width of a DVH must be positive, not {bin_gy} Gy")
    return bin_gy


def _default_bin(max_gy: float) -> float:
    if max_gy <= 0:
        return 1.0
    least = max_gy / MAX_BINS
    decade = 10.0 ** math.floor(math.log10(least))
    return next(step * decade for step in (1, 2, 5, 10) if step * decade >= least * (1 - 1e-12))
