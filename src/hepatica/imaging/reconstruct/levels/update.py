"""Iterations that alternate: voxels of liver and hot spots by OSEM, levels of lung and rest of the body by a fit.

Iterations that cannot go below zero turn noise of the empty body into activity that a faint lung then lacks, and reach
a lung under an additive term of ten times its own counts slowly. Neither happens to a level: it is the amount of a
pattern of known shape, found by a Poisson fit with primary and scattered counts of each part. Voxels are then found by
iterations only where there is enough activity for them. Scatter of the parts is computed once; that of the hot voxels
after some iterations, each computation added to the mean of those before, brought to the image by the term that
follows it: 1 % of the scatter of 90Y is 3 to 7 % of its lung.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.imaging.reconstruct.background_term import Additive
from hepatica.imaging.reconstruct.levels.fit import LevelFit, fit_levels
from hepatica.imaging.reconstruct.levels.regions import LevelRegions, hot_voxels, level_regions
from hepatica.imaging.reconstruct.scatter_updates import ScatterUpdate
from hepatica.imaging.spect.projector import Float32, SystemModel

FIRST = 4
"""Iterations before the first fit, at least: until then scatter has not settled."""
MIN_UPDATES = 16
"""Updates of the image before it: until then hot voxels cannot be told from others (six subsets have made 24)."""

TIED = 1e-5
"""Standard deviation of the ratio of scattered to primary counts where it is the model's: none, but for rounding."""
UNTIED = 10.0
"""The same where the counts decide."""

PartScatter = Callable[[Float32, int], Float32]
"""A part's pattern and its number -> scattered counts of every view."""


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """An image with levels, and the fit behind it.

    Attributes
    ----------
    image : ndarray of float32
        Activity: hot voxels, and parts at their level.
    regions : LevelRegions
        Hot voxels and parts.
    fit : LevelFit
        Of the patterns: primary and scattered counts of the hot voxels as they were, then the parts.
    patterns : ndarray of float32, shape (2 + parts, bins)
        Counts at level 1.
    scattered : ndarray of float32, shape (bins,)
        Expected scattered counts of the image.
    """

    image: Float32
    regions: LevelRegions
    fit: LevelFit
    patterns: Float32
    scattered: Float32

    @property
    def scatter_scale(self) -> float:
        """Scattered over primary counts of the hot voxels, relative to the model's."""
        primary, scattered = (float(level) for level in self.fit.levels[:2])
        return scattered / primary if primary else float("nan")

    @property
    def part_levels(self) -> NDArray[np.float64]:
        """Activity per voxel in each part."""
        return self.fit.levels[2:]


class LevelUpdate:
    """The callable `additive` of `reconstruct` that finds lung and rest of the body as levels.

    Parameters
    ----------
    scatter : ScatterUpdate
        Scatter of an image; before the first fit, and where no lung is left outside the hot voxels, nothing else.
    lungs : sequence of ndarray, shape of the image
        Share of each voxel in each lung.
    part_scatter : callable
        Scatter of a part; it may be coarser, since the parts hold little.
    updates : int
        Updates of the image in each iteration.
    fitted_scale : bool
        Let the counts decide how scattered and primary counts of the hot voxels compare.
    start : Additive, optional
        Term in use where an earlier run stopped.
    """

    def __init__(
        self,
        scatter: ScatterUpdate,
        lungs: Sequence[Float32],
        part_scatter: PartScatter,
        *,
        updates: int,
        fitted_scale: bool = False,
        start: Additive | None = None,
    ) -> None:
        self.scatter, self.lungs, self._part_scatter = scatter, tuple(lungs), part_scatter
        self._updates = updates
        self._first = max(FIRST, -(-MIN_UPDATES // updates))
        self._tie = UNTIED if fitted_scale else TIED
        self._term = start
        self._regions: LevelRegions | None = None
        self._columns: list[tuple[Float32, Float32]] = []
        self._known: Additive | None = None
        if start is not None and start.free is not None:
            self._divide(start.free)

    def __call__(self, image: Float32, done: int) -> Additive | None:
        """Image and additive term from now on, or None to go on as it was."""
        if done < self._first and self._known is not None:
            return self._known if done == 0 else None
        if done < self._first:
            return self.scatter(image, done)
        if done not in self.scatter.iterations:
            return None
        known = None
        if self._regions is None:
            self._divide(self._hot(image))
        elif self._regions.lungs and self._known is None:
            known = self._hot_scatter(image, self._regions)
        regions = self._regions
        if regions is None or not regions.lungs:
            return self.scatter(image, done)
        hot = np.where(regions.hot, image, np.float32(0))
        scattered = np.maximum(self.scatter.estimate(hot, done), 0)
        if known is not None:
            before = sum(self._first <= n < done for n in self.scatter.iterations)
            scattered = (before * known + scattered) / np.float32(before + 1)
        self._term = self._as_term(self._fitted(hot, scattered, regions))
        return self._term

    def finished(self, image: Float32) -> Levels | None:
        """The image after the last iteration with its levels fitted once more; None where there are none."""
        regions = self._regions
        if regions is None or not regions.lungs or self._term is None or self._term.free is None:
            return None
        hot = np.where(regions.hot, image, np.float32(0))
        return self._fitted(hot, self._hot_scatter(image, regions), regions)

    def again(self, counts: NDArray[Any], last: Levels) -> LevelUpdate:
        """The same for a resampling of the counts: scatter is that of the finished image, not computed again."""
        total = last.scattered.reshape(counts.shape)
        hot = (last.fit.levels[1] * last.patterns[1]).astype(np.float32).reshape(counts.shape)
        known = replace(self.scatter, counts=counts, estimate=lambda image, done: hot)
        made = LevelUpdate(
            known, self.lungs, self._part_scatter, updates=self._updates, fitted_scale=self._tie == UNTIED
        )
        made._regions, made._columns, made._known = last.regions, self._columns, Additive(total)
        return made

    def of_system(self, projector: SystemModel, last: Levels) -> LevelUpdate:
        """The same for another response of the camera and a finished image, whose regions, levels and scatter it takes.

        Nothing is computed or fitted between the iterations; the scatter follows the image.
        """
        made = LevelUpdate(
            replace(self.scatter, projector=projector, iterations=(sys.maxsize,)), self.lungs, self._part_scatter,
            updates=self._updates, fitted_scale=self._tie == UNTIED,
        )  # fmt: skip
        made._regions, made._columns = last.regions, self._columns
        made._term = made._known = replace(self._as_term(last), image=None)
        return made

    # -----------------------------------------------------------------------------------------------------------------

    def _primary(self, image: Float32) -> Float32:
        """Primary counts of every view."""
        made = self.scatter.projector.forward(image)
        made *= np.asarray(self.scatter.weights, dtype=np.float32)[:, None, None]
        return made

    def _hot(self, image: Float32) -> NDArray[np.bool_]:
        grid, body = self.scatter.projector.grid, self.scatter.body
        shown = image if body is None else np.where(body, image, np.float32(0))
        lung: Float32 = np.zeros(grid.shape, np.float32)
        for one in self.lungs:
            lung += one
        return hot_voxels(shown, lung, grid.spacing_mm)

    def _divide(self, hot: NDArray[np.bool_]) -> None:
        body = np.ones(hot.shape, bool) if self.scatter.body is None else self.scatter.body
        self._regions = level_regions(hot, self.lungs, body, self.scatter.projector.grid.voxel_volume_ml)

    def _of_parts(self, regions: LevelRegions) -> list[tuple[Float32, Float32]]:
        """Primary and scattered counts of each part at level 1."""
        if not self._columns:
            straight = [self._primary(part) for part in regions.parts]
            scattered = [np.maximum(self._part_scatter(part, n), 0) for n, part in enumerate(regions.parts)]
            self._columns = list(zip(straight, scattered, strict=True))
        return self._columns

    def _hot_scatter(self, image: Float32, regions: LevelRegions) -> Float32:
        """Scattered counts of the hot voxels as the term in use expects them of an image."""
        term = self._term
        if term is None:
            return self.scatter.estimate(image, self._first)
        primary = self._primary(image)
        scattered = np.array(term.at(primary, np.arange(len(primary))), dtype=np.float32)
        for part, (_, of_part) in zip(regions.parts, self._of_parts(regions), strict=True):
            level = float((image * part).sum(dtype=np.float64)) / float(np.square(part).sum(dtype=np.float64))
            scattered -= np.float32(level) * of_part
        return np.maximum(scattered, 0)

    def _fitted(self, hot: Float32, scattered: Float32, regions: LevelRegions) -> Levels:
        primary = self._primary(hot)
        of_parts = self._of_parts(regions)
        patterns = np.stack([primary.ravel(), scattered.ravel(), *((p + s).ravel() for p, s in of_parts)])
        fit = fit_levels(np.asarray(self.scatter.counts).ravel(), patterns, ties=((0, 1, self._tie),))
        levels = fit.levels.astype(np.float32)
        image, other = levels[0] * hot, levels[1] * scattered.ravel()
        for level, part, (_, of_part) in zip(levels[2:], regions.parts, of_parts, strict=True):
            image = image + level * part
            other = other + level * of_part.ravel()
        return Levels(image.astype(np.float32), regions, fit, patterns, other.astype(np.float32))

    def _as_term(self, levels: Levels) -> Additive:
        scatter = self.scatter
        shape = np.shape(scatter.counts)
        other = levels.scattered.reshape(shape)
        primary = self._primary(levels.image)
        spacing = scatter.projector.grid.spacing_mm
        term = Additive.following(other, primary, (spacing[0], spacing[2]), scatter.windows)
        return replace(term, image=levels.image, free=levels.regions.hot)
