"""Partial-volume correction: undo what the camera's blur moved out of a region and into it.

Three methods, from least to most demanding:

- `recover`: divide a region's contrast by its recovery coefficient, from a phantom (`imaging.recovery`).
- `geometric_transfer_matrix`: the means of all regions at once, from a matrix of how much of each is seen in each
  other (Rousset, Ma and Evans, J Nucl Med 1998;39:904).
- `iterative_yang`: voxel by voxel, with the regions' means found on the way (Yang et al., IEEE Trans Nucl Sci
  1996;43:3322; iterated as by Erlandsson et al., Phys Med Biol 2012;57:R119).

The last two take regions to be uniform inside and to lie where they are drawn, and the response to be known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate, Grid, Region, Volume
from hepatica.core.region import FULL_TOLERANCE
from hepatica.errors import GeometryError, InputError, PhysicsError
from hepatica.imaging.quantify.response import Float64, Psf

MAX_CONDITION = 100.0
"""Largest condition number of the transfer matrix: errors of the means may grow by so much. Our choice."""

MIN_SHARE = 1e-3
"""A Yang step divides by the blurred model; where that falls below this share of its maximum, voxels are left as
they are: the regions say nothing there."""

REST = "rest"
"""Name of what no region covers."""


def recover(mean: float, recovery: Estimate, *, background: float = 0.0, relative_sd: float | None = 0.0) -> Estimate:
    """True mean of a region from the mean seen: ``background + (mean - background) / recovery``.

    Parameters
    ----------
    mean : float
        Seen in the region, any unit.
    recovery : Estimate
        Recovery coefficient of its volume.
    background : float
        Around it, same unit.
    relative_sd : float or None
        Relative standard uncertainty of ``mean - background``; None if unknown.

    Raises
    ------
    InputError
        If the recovery is not positive.
    """
    if not recovery.value > 0:
        raise InputError(f"a recovery of {recovery.value} cannot be divided by")
    contrast = Estimate(mean - background, None if relative_sd is None else abs(mean - background) * relative_sd)
    return contrast / recovery + background


@dataclass(frozen=True, slots=True, eq=False)
class TransferResult:
    """Means of regions with and without the blur.

    Attributes
    ----------
    names : tuple of str
        Of the regions, "rest" last if it was asked for.
    seen, corrected : ndarray, shape (regions,)
        Mean in the image, and corrected, in the image's unit.
    corrected_sd : ndarray or None
        Standard uncertainty of `corrected` from those of the seen means and of the response's width; None if neither
        was given.
    matrix : ndarray, shape (regions, regions)
        Row i: how much of a unit concentration in region j is seen, on average, in region i.
    condition : float
        Condition number of the matrix.
    """

    names: tuple[str, ...]
    seen: Float64
    corrected: Float64
    corrected_sd: Float64 | None
    matrix: Float64
    condition: float

    def __getitem__(self, name: str) -> Estimate:
        """Corrected mean of a region."""
        n = self.names.index(name)
        return Estimate(float(self.corrected[n]), None if self.corrected_sd is None else float(self.corrected_sd[n]))


@dataclass(frozen=True, slots=True, eq=False)
class YangResult:
    """A corrected image.

    Attributes
    ----------
    image : Volume
        Same kind, grid and instant as the one given.
    names : tuple of str
        Regions.
    means : ndarray, shape (regions,)
        Their means at the end.
    iterations : int
        Done.
    change : float
        Largest change of a mean in the last iteration, relative to the largest mean.
    condition : float
        Condition number of the transfer matrix of the regions.
    """

    image: Volume
    names: tuple[str, ...]
    means: Float64
    iterations: int
    change: float
    condition: float


def geometric_transfer_matrix(
    image: Volume,
    regions: Sequence[Region],
    psf: Psf,
    *,
    rest: bool = True,
    seen_sd: Sequence[float] | None = None,
    other_psf: Psf | None = None,
    condition_max: float = MAX_CONDITION,
) -> TransferResult:
    """True means of regions from the means seen.

    Parameters
    ----------
    image : Volume
        Activity, concentration or counts, as seen.
    regions : sequence of Region
        On the image's grid; none overlaps another.
    psf : Psf
        Response of the image.
    rest : bool
        Take what no region covers as one more region. Without it all activity must lie in the regions.
    seen_sd : sequence of float, optional
        Standard uncertainty of each seen mean (of the rest as well), from noise; independent.
    other_psf : Psf, optional
        The response one standard uncertainty wider; what it changes is taken as the uncertainty from the response.
    condition_max : float
        Largest condition number.

    Raises
    ------
    GeometryError
        If grids differ, a region is empty, or regions overlap.
    PhysicsError
        If the matrix is so ill-conditioned that its inverse says nothing; the message names the regions that
        cannot be told apart.
    """
    image.require_finite()
    names, parts = _parts(regions, image.grid, rest=rest)
    weights = parts.reshape(len(names), -1)
    sizes = weights.sum(axis=1)
    seen = weights @ image.values.reshape(-1).astype(np.float64) / sizes
    matrix, condition = _matrix(parts, image.grid, psf)
    _require_conditioned(matrix, condition, names, condition_max)
    corrected = np.linalg.solve(matrix, seen)
    variance = None
    if seen_sd is not None:
        sd = np.asarray(seen_sd, dtype=np.float64)
        if sd.shape != seen.shape or not (np.isfinite(sd) & (sd >= 0)).all():
            raise InputError(f"seen_sd: one number from 0 on for each of {', '.join(names)} is needed")
        variance = np.square(np.linalg.inv(matrix)) @ np.square(sd)
    if other_psf is not None:
        wider, _ = _matrix(parts, image.grid, other_psf)
        shift = np.linalg.solve(wider, seen) - corrected
        variance = np.square(shift) + (0.0 if variance is None else variance)
    return TransferResult(names, seen, corrected, None if variance is None else np.sqrt(variance), matrix, condition)


def iterative_yang(
    image: Volume,
    regions: Sequence[Region],
    psf: Psf,
    *,
    rest: bool = True,
    iterations: int = 20,
    tolerance: float = 1e-4,
    condition_max: float = MAX_CONDITION,
) -> YangResult:
    """Voxel-wise correction: ``f <- image * model / blur(model)``, the model being the regions at their means in f.

    A voxel that several regions share holds their means by coverage; the means are found by least squares over all
    voxels, so that a truth that is uniform in the regions is a fixed point.

    Parameters
    ----------
    image, regions, psf, rest, condition_max
        As for `geometric_transfer_matrix`.
    iterations : int
        At most; 10 are usual.
    tolerance : float
        Stop when no mean changes by more than this share of the largest.

    Raises
    ------
    GeometryError, PhysicsError
        As for `geometric_transfer_matrix`.
    InputError
        If there is nothing to iterate.
    """
    if iterations < 1 or not tolerance >= 0:
        raise InputError(f"{iterations} iterations to a tolerance of {tolerance}: at least one, and not below 0")
    image.require_finite()
    names, parts = _parts(regions, image.grid, rest=rest)
    matrix, condition = _matrix(parts, image.grid, psf)
    _require_conditioned(matrix, condition, names, condition_max)
    flat = parts.reshape(len(names), -1)
    normal = flat @ flat.T
    data = image.values.astype(np.float64)
    blurred = np.stack([psf.blur(part, image.grid) for part in parts])
    means = np.maximum(np.linalg.solve(normal, flat @ data.reshape(-1)), 0)
    change, done, found = math.inf, 0, data
    while done < iterations and change > tolerance:
        model = np.tensordot(means, parts, axes=1)
        seen = np.tensordot(means, blurred, axes=1)
        enough = seen > MIN_SHARE * float(seen.max())
        found = np.where(enough, data * np.divide(model, seen, out=np.ones_like(seen), where=enough), data)
        new = np.maximum(np.linalg.solve(normal, flat @ found.reshape(-1)), 0)
        change = float(np.abs(new - means).max() / max(float(np.abs(new).max()), 1e-300))
        means, done = new, done + 1
    values = found.astype(image.values.dtype)
    return YangResult(image.with_values(values), names, means, done, change, condition)


def partition(regions: Sequence[Region]) -> tuple[Region, ...]:
    """Regions that do not overlap: each without what smaller ones inside it cover; those left empty are dropped.

    A liver that holds tumours becomes the liver around them, as transfer matrix and Yang need it.
    """
    taken: list[Region] = []
    for region in sorted(regions, key=lambda r: r.volume_ml):
        left = region
        for other in taken:
            left = (left - other).renamed(region.name)
        if left.volume_ml > 0.01 * region.volume_ml and not left.is_empty:
            taken.append(left)
    return tuple(taken)


@dataclass(frozen=True, slots=True, eq=False)
class PartShares:
    """Of how much of each part (and of the rest, last) a region is made, by volume."""

    flat: Float64
    normal: Float64

    @classmethod
    def of_parts(cls, parts: Sequence[Region]) -> PartShares:
        """For parts that do not overlap, on one grid."""
        flat = np.stack([part.full().ravel() for part in parts]).astype(np.float64)
        flat = np.vstack([flat, np.maximum(1 - flat.sum(axis=0), 0)])
        return cls(flat, flat @ flat.T)

    def __call__(self, region: Region) -> Float64:
        """Least squares over the voxels: exact for a union of parts, whatever their borders cover of a voxel."""
        taken = np.clip(np.linalg.solve(self.normal, self.flat @ region.full().ravel()), 0, 1)
        volumes = taken * self.flat.sum(axis=1)
        return np.asarray(volumes / volumes.sum())


# ---------------------------------------------------------------------------------------------------------------------


def _parts(regions: Sequence[Region], grid: Grid, *, rest: bool) -> tuple[tuple[str, ...], Float64]:
    """Names and coverage of all regions, shape (regions, *grid.shape)."""
    if not regions:
        raise InputError("partial-volume correction needs at least one region")
    names = tuple(region.name for region in regions) + ((REST,) if rest else ())
    if len(set(names)) != len(names):
        raise InputError(f"two regions have one name: {', '.join(names)}")
    for region in regions:
        grid.require_match(region.grid, f"image and region {region.name!r}")
        if region.is_empty:
            raise GeometryError(f"region {region.name!r} covers nothing of the image")
    parts = np.zeros((len(names), *grid.shape))
    for part, region in zip(parts, regions, strict=False):
        part[region.window] = region.coverage
    total = parts.sum(axis=0)
    # Borders of touching structures are rounded: a little above 1 is scaled back, more is an overlap.
    if float(total.max()) > 1 + 10 * FULL_TOLERANCE:
        worst = np.unravel_index(int(total.argmax()), total.shape)
        both = [region.name for region, part in zip(regions, parts, strict=False) if part[worst] > 0]
        raise GeometryError(
            f"regions {' and '.join(both)} overlap; partial-volume correction needs regions that do not",
            remedy="make them with hepatica.imaging.quantify.partial_volume.partition",
        )
    parts /= np.maximum(total, 1.0)
    if rest:
        parts[-1] = np.maximum(1 - total, 0)
        if parts[-1].sum() == 0:
            raise GeometryError("the regions cover the whole image: there is no rest")
    return names, parts


def _matrix(parts: Float64, grid: Grid, psf: Psf) -> tuple[Float64, float]:
    flat = parts.reshape(len(parts), -1)
    sizes = flat.sum(axis=1)
    columns = [flat @ psf.blur(part, grid).reshape(-1) / sizes for part in parts]
    matrix = np.stack(columns, axis=1)
    return matrix, float(np.linalg.cond(matrix))


def _require_conditioned(matrix: NDArray[Any], condition: float, names: tuple[str, ...], most: float) -> None:
    if condition <= most:
        return
    _, _, directions = np.linalg.svd(matrix)
    weak = np.abs(directions[-1])
    told = [name for name, share in zip(names, weak, strict=True) if share > 0.3]
    raise PhysicsError(
        f"the response blurs regions {', '.join(told)} into each other so far that their means cannot be told apart: "
        f"condition number {condition:.3g}, at most {most:g}",
        remedy="join them, or take a region recovery",
    )
