"""Two dose maps of one patient compared, structure by structure: planned and delivered, one engine and another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Region, Volume
from hepatica.core.resample import resample
from hepatica.dosimetry.metrics.dvh import dose_volume_histogram
from hepatica.errors import GeometryError

FloatArray = NDArray[np.float64]

DVH_PERCENTS = (98.0, 95.0, 90.0, 80.0, 70.0, 60.0, 50.0, 40.0, 30.0, 20.0, 10.0, 5.0, 2.0)
"""Where the difference of two cumulative DVHs is sampled."""


@dataclass(frozen=True, slots=True, eq=False)
class RegionComparison:
    """Second dose map against the first (the reference) in one structure; all moments by volume.

    Attributes
    ----------
    name : str
        The structure.
    volume_ml : float
        Its volume.
    mean_first_gy, mean_second_gy : float
        Voxel doses averaged by volume.
    difference_mean_gy, difference_sd_gy : float
        Of second less first, voxel by voxel.
    difference_max_gy : float
        Largest magnitude.
    limits_of_agreement_gy : tuple of float
        Mean difference -1.96 and +1.96 standard deviations (Bland and Altman, Lancet 1986;327:307).
    ratio_of_means : float or None
        Second over first; None where the first mean is 0.
    pearson_r : float or None
        Correlation of the voxel doses; None where one of the maps is uniform.
    lin_ccc : float or None
        Concordance correlation: correlation times agreement with the line of identity (Lin, Biometrics 1989;45:255);
        None where both maps are uniform and equal.
    dvh_difference_gy : mapping of float to float
        x -> D_x % of the second less D_x % of the first.
    """

    name: str
    volume_ml: float
    mean_first_gy: float
    mean_second_gy: float
    difference_mean_gy: float
    difference_sd_gy: float
    difference_max_gy: float
    limits_of_agreement_gy: tuple[float, float]
    ratio_of_means: float | None
    pearson_r: float | None
    lin_ccc: float | None
    dvh_difference_gy: Mapping[float, float]

    @property
    def dvh_difference_largest_gy(self) -> float:
        """Largest magnitude of the DVH differences sampled."""
        return max(abs(value) for value in self.dvh_difference_gy.values())


@dataclass(frozen=True, slots=True, eq=False)
class DoseComparison:
    """Result of `compare_doses`.

    Attributes
    ----------
    first, second : Volume
        The dose maps, both on the first one's grid.
    difference : Volume
        Second less first, Gy.
    regions : tuple of RegionComparison
        One for each structure.
    """

    first: Volume
    second: Volume
    difference: Volume
    regions: tuple[RegionComparison, ...]

    @property
    def hottest_mm(self) -> tuple[float, ...]:
        """Place of the highest voxel of the first map, LPS."""
        grid = self.first.grid
        hottest = np.unravel_index(int(np.argmax(self.first.values)), grid.shape)
        return tuple(grid.to_mm(hottest).tolist())


def compare_doses(first: Volume, second: Volume, regions: Sequence[Region]) -> DoseComparison:
    """Compare two dose maps in every structure.

    Parameters
    ----------
    first : Volume
        Reference dose, Gy.
    second : Volume
        Dose compared with it; interpolated (trilinear) to the first one's grid if it has another.
    regions : sequence of Region
        Structures on the first one's grid.

    Raises
    ------
    GeometryError
        If the frames of reference differ, a structure is on another grid or empty, or it reaches outside the second
        dose map, where there is no dose to compare.
    UnitError
        If a volume is not a dose or not finite.
    """
    for volume in (first, second):
        volume.require_kind(Kind.DOSE)
        volume.require_finite()
    moved = resample(second, first.grid, "linear", outside=np.nan)
    for region in regions:
        region.grid.require_match(first.grid, f"region {region.name!r} and dose")
        outside = np.isnan(moved.values[region.window]) & (region.coverage > 0)
        if outside.any():
            missing = float(region.coverage[outside].sum(dtype=np.float64)) * first.grid.voxel_volume_ml
            raise GeometryError(f"region {region.name!r}: {missing:.3g} mL of it lie outside the second dose map")
    difference = first.with_values(moved.values - first.values, Kind.UNKNOWN, name="dose difference, Gy")
    rows = tuple(_compare_region(first, moved, region) for region in regions)
    return DoseComparison(first, moved, difference, rows)


def _compare_region(first: Volume, second: Volume, region: Region) -> RegionComparison:
    dvhs = [dose_volume_histogram(dose, region) for dose in (first, second)]
    covered = region.coverage > 0
    weight = region.coverage[covered].astype(np.float64)
    a, b = (dose.values[region.window][covered].astype(np.float64) for dose in (first, second))
    weight /= weight.sum()
    mean_a, mean_b = float(weight @ a), float(weight @ b)
    var_a, var_b = float(weight @ np.square(a - mean_a)), float(weight @ np.square(b - mean_b))
    together = float(weight @ ((a - mean_a) * (b - mean_b)))
    delta = b - a
    shift = mean_b - mean_a
    spread = float(np.sqrt(weight @ np.square(delta - shift)))
    discord = var_a + var_b + shift * shift
    return RegionComparison(
        name=region.name,
        volume_ml=region.volume_ml,
        mean_first_gy=mean_a,
        mean_second_gy=mean_b,
        difference_mean_gy=shift,
        difference_sd_gy=spread,
        difference_max_gy=float(np.abs(delta).max()),
        limits_of_agreement_gy=(shift - 1.96 * spread, shift + 1.96 * spread),
        ratio_of_means=mean_b / mean_a if mean_a else None,
        pearson_r=together / float(np.sqrt(var_a * var_b)) if var_a > 0 and var_b > 0 else None,
        lin_ccc=2 * together / discord if discord > 0 else None,
        dvh_difference_gy={p: dvhs[1].d_percent(p) - dvhs[0].d_percent(p) for p in DVH_PERCENTS},
    )
