"""Mean doses that a run looks at batch by batch: what it aims at, and the structures that a dose is reported of.

The groups of batches that any region's uncertainty comes from are few (7 to 20), and a run that stops as soon as such
an uncertainty is low enough stops where it happens to be low: the spread of seeds was 8 to 10 % above what was stated.
Of a region that is known beforehand every batch counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate, Grid, Region
from hepatica.core.resample import resample_region
from hepatica.transport.runner.batches import BatchSums, Windowed

FloatArray = NDArray[np.float64]

LOWEST_JUDGED_GY = 1.0
"""Mean doses below this are known to the target times this: no limit of any organ lies near it."""

AIR_G_ML = 0.05
"""Mean density below which a region is air: no dose of it is reported (`DoseSettings.air_below_g_ml`)."""

STOPPED_EARLY = 0.4
"""A run that stops at the first estimate below its target stops where the estimate is low: by this over the square root
of 2 n, its own standard uncertainty with n degrees of freedom. Found by simulated runs (20 to 100 batches): without it
the spread was 3.7 to 6 % above what was stated, with it 1 to 2 %."""

PATIENCE = 10
"""A run goes on for its structures until it has followed this many times the decays that the highest doses took."""


@dataclass(frozen=True, slots=True, eq=False)
class WatchedRegions:
    """Regions on the voxels of the dose, with what makes their energy a mean dose.

    Attributes
    ----------
    regions : tuple of Region
        None of them empty.
    gy_per_kev : tuple of float
        Mean dose of each, per keV and history in it.
    least_kev : float
        Energy of one decay. No uncertainty is less than that of one decay in all that left it: where none has been
        seen to reach a region, the next one may.
    density_g_ml : tuple of float
        Mean density of each.
    """

    regions: tuple[Region, ...]
    gy_per_kev: tuple[float, ...]
    least_kev: float = 0.0
    density_g_ml: tuple[float, ...] = ()

    @classmethod
    def on(
        cls,
        grid: Grid,
        regions: Sequence[Region],
        gy_per_kev: Windowed,
        *,
        density: NDArray[np.floating],
        least_kev: float = 0.0,
    ) -> WatchedRegions:
        """Those of `regions` that reach into a grid, whose voxels have that many Gy per keV and history, and g/mL."""
        found = [one for one in (resample_region(region, grid) for region in regions) if not one.is_empty]
        masses = [float((one.coverage / gy_per_kev[one.window]).sum(dtype=np.float64)) for one in found]
        dense = (
            float((one.coverage * density[one.window]).sum(dtype=np.float64) / one.coverage.sum(dtype=np.float64))
            for one in found
        )
        return cls(tuple(found), tuple(1 / mass for mass in masses), least_kev, tuple(dense))

    def __len__(self) -> int:
        return len(self.regions)

    def energies(self, tally: NDArray[np.floating]) -> FloatArray:
        """Energy of a batch in each region, border voxels by their covered fraction."""
        return np.array([float((tally[one.window] * one.coverage).sum(dtype=np.float64)) for one in self.regions])

    def means(
        self, sums: BatchSums, *, stopped_at: bool = False, known_relative_sd: float = 0.0
    ) -> tuple[Estimate, ...]:
        """Mean dose of each region in Gy, with the standard uncertainty that all batches give.

        With `stopped_at` it is that of a run that these uncertainties end (`STOPPED_EARLY`); `known_relative_sd` is
        that of what is known beside the batches, which no run makes less.
        """
        known = np.zeros(len(self)) if sums.known_kev is None else self.energies(sums.known_kev)
        total, squares = sums.watched
        variance = np.full(len(self), np.nan)
        if sums.batches > 1:
            variance = np.maximum(squares - total**2 / sums.histories, 0) / ((sums.batches - 1) * sums.histories)
            variance = np.maximum(variance, (self.least_kev / sums.histories) ** 2)
        mean = (total / sums.histories + known) * self.gy_per_kev
        sd = np.sqrt(variance) * self.gy_per_kev
        if stopped_at and sums.batches > 1:
            sd *= 1 + STOPPED_EARLY / math.sqrt(2 * (sums.batches - 1))
        sd = np.hypot(sd, known_relative_sd * np.abs(known) * self.gy_per_kev)
        return tuple(Estimate(float(m), float(s) if sums.batches > 1 else None) for m, s in zip(mean, sd, strict=True))

    def awaited(self, means: Sequence[Estimate], target: float, histories: int) -> tuple[bool, ...]:
        """Whether a run of that many decays can know each mean to the target.

        Not of air, nor of so little matter that the energy of one decay in it is more than that.
        """
        one_decay = [self.least_kev / histories * scale for scale in self.gy_per_kev]
        return tuple(
            density >= AIR_G_ML and sd <= target * max(abs(mean.value), LOWEST_JUDGED_GY)
            for density, sd, mean in zip(self.density_g_ml, one_decay, means, strict=True)
        )


NOTHING_WATCHED = WatchedRegions((), ())


def largest_uncertainty(means: Sequence[Estimate]) -> float:
    """Largest standard uncertainty of mean doses, each over the mean, or over 1 Gy where that is more; 0 of none."""
    return max(((m.sd or 0.0) / max(abs(m.value), LOWEST_JUDGED_GY) for m in means), default=0.0)
