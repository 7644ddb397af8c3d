"""A named part of the patient: the fraction of every voxel that it covers.

A region keeps only its bounding box of voxels, so ten structures on a large CT stay small. Set algebra is exact for
regions that are nested or that do not overlap, whatever fraction of the border voxels they fill; for regions that
overlap partially it is exact in the interior and bounded by the border voxels they share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.grid import Grid
from hepatica.core.volume import Kind, Volume
from hepatica.errors import GeometryError, InputError

Window = tuple[slice, slice, slice]
Coverage = NDArray[np.float32]

FULL_TOLERANCE = 1e-3
"""Two coverages that add up to at most 1 plus this do not overlap."""


class Code(NamedTuple):
    """A coded concept that a source gives a structure: value, scheme ("SCT", "FMA", ...), meaning in words."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A named structure with sub-voxel borders.

    Parameters
    ----------
    name : str
        The structure's name, unique within a case.
    grid : Grid
        The grid whose voxels are covered.
    window : tuple of slice
        Bounding box of the covered voxels.
    coverage : ndarray of float32, shape of `window`
        Fraction of each voxel inside the structure, 0 to 1. Made read-only.
    origin : str
        Where it came from ("RTSTRUCT file, ROI 3", "liver minus tumours"); for the report.
    codes : tuple of Code
        What its source says it is, beside the name (`hepatica.anatomy.structures.codes` reads them); set algebra drops
        them.

    See Also
    --------
    Region.from_coverage : from an array over the whole grid.
    """

    name: str
    grid: Grid
    window: Window
    coverage: Coverage
    origin: str = ""
    codes: tuple[Code, ...] = ()

    def __post_init__(self) -> None:
        coverage = np.asarray(self.coverage, dtype=np.float32)
        expected = tuple(s.stop - s.start for s in self.window)
        if coverage.shape != expected:
            raise GeometryError(f"region {self.name!r}: coverage of shape {coverage.shape} in a window of {expected}")
        most = float(coverage.max(initial=0))
        if float(coverage.min(initial=0)) < 0 or most > 1 + FULL_TOLERANCE:
            raise GeometryError(f"region {self.name!r}: coverage must lie between 0 and 1")
        coverage = np.minimum(coverage, np.float32(1)) if most > 1 else coverage.view()
        coverage.setflags(write=False)
        object.__setattr__(self, "coverage", coverage)

    @classmethod
    def from_coverage(cls, name: str, grid: Grid, coverage: ArrayLike, *, origin: str = "") -> Region:
        """Region from the covered fraction (or a mask) of every voxel of `grid`, shape ``grid.shape``."""
        full = np.asarray(coverage)
        if full.shape != grid.shape:
            raise GeometryError(f"region {name!r}: array of shape {full.shape} does not fit {grid}")
        window = bounding_window(full > 0)
        return cls(name, grid, window, full[window].astype(np.float32), origin)

    @property
    def is_empty(self) -> bool:
        """Whether it covers nothing."""
        return not self.coverage.size or not bool(self.coverage.any())

    @property
    def volume_ml(self) -> float:
        """Volume in mL, border voxels counted by their covered fraction."""
        return float(self.coverage.sum(dtype=np.float64)) * self.grid.voxel_volume_ml

    def full(self) -> Coverage:
        """Covered fraction of every voxel of the grid, shape ``grid.shape``."""
        out = np.zeros(self.grid.shape, dtype=np.float32)
        out[self.window] = self.coverage
        return out

    def mask(self) -> NDArray[np.bool_]:
        """Voxels covered by at least half, shape ``grid.shape``."""
        return np.asarray(self.full() >= 0.5)

    @property
    def voxels(self) -> float:
        """Number of voxels, border voxels counted by their covered fraction."""
        return float(self.coverage.sum(dtype=np.float64))

    def total(self, volume: Volume) -> float:
        """What the region holds: extensive kinds are summed, intensive ones integrated over volume (mL).

        Raises
        ------
        GeometryError
            If the volume is on another grid.
        """
        scale = 1.0 if volume.kind.extensive else volume.grid.voxel_volume_ml
        return self._weighted(volume) * scale

    def mean(self, volume: Volume) -> float:
        """Mean of the voxel values, border voxels counted by their covered fraction; 0 for an empty region.

        Raises
        ------
        GeometryError
            If the volume is on another grid.
        """
        return self._weighted(volume) / self.voxels if self.voxels else 0.0

    def _weighted(self, volume: Volume) -> float:
        self.grid.require_match(volume.grid, f"region {self.name!r} and {volume.name or volume.kind.meaning}")
        weighted = self.coverage * volume.values[self.window]
        return float(weighted.sum(dtype=np.float64))

    def mass_g(self, density: Volume) -> float:
        """Mass in g from a density volume (g/mL) on the same grid."""
        density.require_kind(Kind.DENSITY)
        return self._weighted(density) * self.grid.voxel_volume_ml

    def renamed(self, name: str, origin: str | None = None) -> Region:
        """Same voxels under another name."""
        return replace(self, name=name, origin=self.origin if origin is None else origin)

    def __or__(self, other: Region) -> Region:
        def union(a: Coverage, b: Coverage) -> Coverage:
            return a + b if _disjoint(a, b) else np.maximum(a, b)

        return self._combine(other, union, "or")

    def __and__(self, other: Region) -> Region:
        def intersection(a: Coverage, b: Coverage) -> Coverage:
            return np.zeros_like(a) if _disjoint(a, b) else np.minimum(a, b)

        return self._combine(other, intersection, "and")

    def __sub__(self, other: Region) -> Region:
        def difference(a: Coverage, b: Coverage) -> Coverage:
            return a if _disjoint(a, b) else a - np.minimum(a, b)

        return self._combine(other, difference, "minus")

    def _combine(self, other: Region, operation: Callable[[Coverage, Coverage], Coverage], word: str) -> Region:
        self.grid.require_match(other.grid, f"regions {self.name!r} and {other.name!r}")
        box = _hull(self, other)
        values = operation(_within(self, box), _within(other, box))
        inner = bounding_window(values > 0)
        window = _shift(inner, box)
        name = f"{self.name} {word} {other.name}"
        return Region(name, self.grid, window, values[inner], origin=name)

    def __repr__(self) -> str:
        return f"<Region {self.name!r}, {self.volume_ml:.1f} mL, on {self.grid}>"


def require_distinct(regions: Iterable[Region]) -> None:
    """InputError if two regions have the same name: one would take the place of the other."""
    names = [region.name for region in regions]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"two structures have the same name: {', '.join(twice)}", remedy="rename one")


def bounding_window(mask: NDArray[np.bool_]) -> Window:
    """Smallest box of slices that holds every True voxel; empty slices (0, 0) for an empty mask."""
    bounds = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        bounds.append(slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, 0))
    i, j, k = bounds
    return i, j, k


def _disjoint(a: Coverage, b: Coverage) -> bool:
    return not a.size or float((a + b).max()) <= 1 + FULL_TOLERANCE


def _hull(a: Region, b: Region) -> Window:
    if not a.coverage.size:
        return b.window
    if not b.coverage.size:
        return a.window
    i, j, k = (slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in zip(a.window, b.window, strict=True))
    return i, j, k


def _shift(window: Window, box: Window) -> Window:
    i, j, k = (slice(w.start + b.start, w.stop + b.start) for w, b in zip(window, box, strict=True))
    return i, j, k


def _within(region: Region, box: Window) -> Coverage:
    out = np.zeros([s.stop - s.start for s in box], dtype=np.float32)
    if region.coverage.size:
        out[tuple(slice(w.start - b.start, w.stop - b.start) for w, b in zip(region.window, box, strict=True))] = (
            region.coverage
        )
    return out
