"""Where an activity image sees well: its voxels, and between which ends; a dose keeps it for whoever reads the dose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hepatica.core.grid import Grid
from hepatica.core.region import Region, bounding_window
from hepatica.core.resample import resample_region
from hepatica.core.transform.ends import Direction, Ends
from hepatica.core.transform.steps import index_of
from hepatica.core.transform.transform import Transform
from hepatica.errors import GeometryError

ALONG_Z: Direction = (0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class SeenField:
    """Where an activity image sees well.

    Attributes
    ----------
    grid : Grid
        Its voxels.
    ends_mm : tuple of float or None
        Between which of them it sees well, mm along `along`; None where that is not known: then all of them.
    along : tuple of float
        Unit vector in LPS.
    """

    grid: Grid
    ends_mm: Ends | None = None
    along: Direction = ALONG_Z

    @classmethod
    def of_document(cls, told: Mapping[str, Any]) -> SeenField | None:
        """From a result's document; None where it is none."""
        try:
            place, ends = told["grid"], told["ends_mm"]
            i, j, k = (int(n) for n in place["shape"])
            x, y, z = (float(part) for part in told["along"])
            grid = Grid((i, j, k), np.asarray(place["affine_lps_mm"], dtype=np.float64), place["frame_of_reference"])
            return cls(grid, None if ends is None else (float(ends[0]), float(ends[1])), (x, y, z))
        except (KeyError, IndexError, TypeError, ValueError, GeometryError):
            return None

    def share(self, region: Region, transform: Transform | None = None) -> float:
        """Share of a region's volume that lies in it, 0 to 1.

        Parameters
        ----------
        region : Region
            As it was drawn, on any grid.
        transform : Transform or None
            From the region's frame of reference to this one's, where they differ.
        """
        if not region.volume_ml:
            return 0.0
        return self._led_into(region, transform) if transform is not None else self._here(region)

    def seen_part(self, region: Region, transform: Transform | None = None) -> Region:
        """The part of a region that lies in it, by the middles of the region's own voxels; itself where all of it does.

        Parameters
        ----------
        region : Region
            On any grid.
        transform : Transform or None
            From the region's frame of reference to this one's, where they differ.

        Raises
        ------
        GeometryError
            If the frames of reference differ.
        """
        if region.is_empty:
            return region
        if transform is None:
            region.grid.require_shared_frame(self.grid, f"what the activity image sees and region {region.name!r}")
        axes = [np.arange(s.start, s.stop) for s in region.window]
        points = region.grid.to_mm(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
        points = points if transform is None else transform.points_mm(points)
        index = index_of(self.grid, points)
        seen = ((index > -0.5) & (index < np.asarray(self.grid.shape) - 0.5)).all(axis=-1)
        if self.ends_mm is not None:
            # A plane of the image is seen or not, as a whole.
            seen &= self._place(self.grid.to_mm(np.rint(index)))
        seen = np.asarray(seen)
        if seen[region.coverage > 0].all():
            return region
        kept = np.where(seen, region.coverage, np.float32(0))
        inner = bounding_window(kept > 0)
        i, j, k = (slice(w.start + b.start, w.start + b.stop) for w, b in zip(region.window, inner, strict=True))
        return replace(region, window=(i, j, k), coverage=kept[inner])

    def _here(self, region: Region) -> float:
        there = resample_region(region, self.grid)
        seen_ml = there.volume_ml
        if self.ends_mm is not None:
            axes = [np.arange(s.start, s.stop) for s in there.window]
            place = self._place(self.grid.to_mm(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)))
            seen_ml = float(there.coverage[place].sum(dtype=np.float64)) * self.grid.voxel_volume_ml
        return min(1.0, seen_ml / region.volume_ml)

    def _led_into(self, region: Region, transform: Transform) -> float:
        """By the middles of the region's own voxels."""
        inside = np.argwhere(region.coverage > 0)
        weights = region.coverage[region.coverage > 0].astype(np.float64)
        corner = np.array([s.start for s in region.window])
        points = transform.points_mm(region.grid.to_mm(inside + corner))
        index = index_of(self.grid, points)
        seen = ((index > -0.5) & (index < np.asarray(self.grid.shape) - 0.5)).all(axis=-1)
        if self.ends_mm is not None:
            seen &= self._place(points)
        return float(weights[seen].sum() / weights.sum())

    def _place(self, points_mm: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> np.ndarray[Any, Any]:
        assert self.ends_mm is not None
        place = points_mm @ np.asarray(self.along)
        return np.asarray((place > self.ends_mm[0]) & (place < self.ends_mm[1]))


def padded(grid: Grid, margin_mm: float) -> Grid:
    """A grid with as many voxels more on every side as the margin takes."""
    more = [int(np.ceil(margin_mm / s)) for s in grid.spacing_mm]
    affine = np.array(grid.affine)
    affine[:3, 3] = grid.to_mm([-n for n in more])
    i, j, k = (n + 2 * m for n, m in zip(grid.shape, more, strict=True))
    return Grid((i, j, k), affine, grid.frame_of_reference)


def cut_words(shares: Sequence[tuple[str, float]]) -> str:
    """Names with the share that is seen of each: "liver 62 %, lungs 40 %"."""
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares)
