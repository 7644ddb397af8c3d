"""From the increase of R2* to microspheres: concentration, mass and activity, by voxel and by structure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.imaging.mri.baseline import Baseline
from hepatica.imaging.mri.fitting.fit import LIMIT, DecayFit
from hepatica.imaging.mri.relaxivity import Relaxivity
from hepatica.imaging.quantify.uncertainty import Outline, edge_over_mean

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


ABOVE_ZERO_SDS = 2.0
"""Standard uncertainties by which a mean that others are divided by must lie above zero."""

ROUNDING = 1e-5
"""Part of a volume that is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class HolmiumMap:
    """Microspheres in every voxel.

    Attributes
    ----------
    grid : Grid
        Voxels.
    concentration_mg_ml : ndarray of float32
        mg of microspheres per mL; noise makes it negative in places. At a limit the lowest it can be; NaN where
        nothing is known.
    sd_mg_ml : ndarray of float32
        Standard uncertainty of the voxel by itself; NaN at a limit.
    common_sd_mg_ml : ndarray of float32
        What voxels of a structure share by the baseline and by an S0 that they borrow.
    shift_mg_ml : tuple of ndarray
        For each axis what every voxel is off by if the scan before lies off by its standard uncertainty along it.
    limit : ndarray of bool
        Where only a lower limit is known.
    relaxivity : Relaxivity
        By which it was found; its uncertainty is common to all voxels.
    """

    grid: Grid
    concentration_mg_ml: Array
    sd_mg_ml: Array
    common_sd_mg_ml: Array
    shift_mg_ml: tuple[Array, ...]
    limit: Mask
    relaxivity: Relaxivity

    @property
    def known(self) -> Mask:
        """Voxels with a value or a limit."""
        return np.asarray(np.isfinite(self.concentration_mg_ml))

    @property
    def total_sd_mg_ml(self) -> Array:
        """Standard uncertainty of a voxel, all parts together; NaN at a limit."""
        relative = self.relaxivity.ml_per_mg_s.relative_sd or 0.0
        parts = self.sd_mg_ml**2 + self.common_sd_mg_ml**2 + (relative * self.concentration_mg_ml) ** 2
        parts = parts + sum(part**2 for part in self.shift_mg_ml)
        return np.asarray(np.sqrt(parts), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class StructureHolmium:
    """Microspheres of one structure.

    Attributes
    ----------
    name : str
        Of the structure.
    volume_ml : float
        Of the structure.
    not_measured_ml : float
        Part of it where nothing is known.
    limit_ml : float
        Part of it where the concentration is above what can be measured.
    near_lung_ml : float
        Part of it where the field of the lung may reach.
    r2star_before_per_s, r2star_after_per_s : float or None
        Means over the voxels measured; None without any.
    concentration_mg_ml, concentration_sd_mg_ml : float or None
        Mean of the voxels known, with its standard uncertainty.
    mass_mg, mass_sd_mg : float or None
        Sum over the voxels known; a lower limit where `limit_ml` is not zero.
    activity_mbq, activity_sd_mbq : float or None
        At the instant of the scan; None without a specific activity.
    """

    name: str
    volume_ml: float
    not_measured_ml: float
    limit_ml: float
    near_lung_ml: float
    r2star_before_per_s: float | None
    r2star_after_per_s: float | None
    concentration_mg_ml: float | None
    concentration_sd_mg_ml: float | None
    mass_mg: float | None
    mass_sd_mg: float | None
    activity_mbq: float | None = None
    activity_sd_mbq: float | None = None


@dataclass(frozen=True, slots=True)
class Ratio:
    """Mean concentration in a tumour over that in the normal liver, with its standard uncertainty.

    `is_lower_limit` says whether dark voxels make the tumour's mean one.
    """

    name: str
    tumour_to_normal: float
    tumour_to_normal_sd: float
    is_lower_limit: bool = False


def holmium_map(after: DecayFit, baseline: Baseline, relaxivity: Relaxivity) -> HolmiumMap:
    """Concentration from the increase of R2*: (R2* - R2*_0) / r2*."""
    r2 = relaxivity.ml_per_mg_s.value
    value = ((after.r2star_per_s - baseline.r2star_per_s) / r2).astype(np.float32)
    shared = np.nan_to_num(after.r2star_common_sd_per_s)
    alone = np.maximum(after.r2star_sd_per_s**2 - shared**2, 0)
    sd = (np.sqrt(alone + baseline.sd_per_s**2) / r2).astype(np.float32)
    limit = (after.route == LIMIT) & np.isfinite(value)
    together = np.hypot(baseline.common_sd_per_s, shared)
    common = np.where(np.isfinite(value), together / r2, np.nan).astype(np.float32)
    shift = tuple(np.where(np.isfinite(value), part / r2, 0).astype(np.float32) for part in baseline.shift_per_s)
    return HolmiumMap(after.grid, value, sd, common, shift, limit, relaxivity)


def structure_holmium(
    region: Region, found: HolmiumMap, after: DecayFit, baseline: Baseline, near: Mask, *,
    mbq_per_mg: float | None = None, mbq_per_mg_relative_sd: float = 0.0,
) -> StructureHolmium:  # fmt: skip
    """Sums and means over a structure, border voxels by their covered fraction.

    Noise adds up in quadrature; what the baseline and a borrowed S0 share adds up linearly, and so does the
    relaxivity's. A registration that is off moves all voxels the same way: what rises on one side falls on the other.
    A baseline interpolated from a scan of other voxels is counted with the uncertainty of a voxel: neighbours that
    share noise make up for what interpolation takes from it. An outline known to a voxel adds e u(v) / v to a mass and
    |e - 1| u(v) / v to a mean, with e the concentration at the edge over the mean (EANM 2018, as for dose).
    """
    voxel = region.grid.voxel_volume_ml
    weight = region.coverage.astype(np.float64) * voxel
    c, sd = (a[region.window].astype(np.float64) for a in (found.concentration_mg_ml, found.sd_mg_ml))
    known = np.isfinite(c) & (weight > 0)
    limit = known & found.limit[region.window]
    covered = float(weight[known].sum())
    near_ml = float(weight[near[region.window] & (weight > 0)].sum())
    missing = float(weight.sum()) - covered
    missing = missing if missing > ROUNDING * region.volume_ml else 0.0
    parts = (region.volume_ml, missing, float(weight[limit].sum()), near_ml)
    if not covered:
        return StructureHolmium(region.name, *parts, None, None, None, None, None, None)
    before, later = (
        float((weight * np.nan_to_num(a[region.window]))[known].sum()) / covered
        for a in (baseline.r2star_per_s, after.r2star_per_s)
    )
    mass = float((weight * np.nan_to_num(c))[known].sum())
    noise = float(np.square(weight * np.nan_to_num(sd))[known].sum())
    shared = _together(weight, known, region, found)
    scale = (found.relaxivity.ml_per_mg_s.relative_sd or 0.0) * mass
    of_mass, of_mean = outline_relative_sd(region, found)
    mass_sd = math.sqrt(noise + shared**2 + scale**2 + (of_mass * mass) ** 2)
    mean_sd = math.sqrt(noise + shared**2 + scale**2 + (of_mean * mass) ** 2) / covered
    relative = mass_sd / abs(mass) if mass else 0.0
    return StructureHolmium(
        region.name,
        *parts,
        r2star_before_per_s=before,
        r2star_after_per_s=later,
        concentration_mg_ml=mass / covered,
        concentration_sd_mg_ml=mean_sd,
        mass_mg=mass,
        mass_sd_mg=mass_sd,
        activity_mbq=None if mbq_per_mg is None else mass * mbq_per_mg,
        activity_sd_mbq=(
            None if mbq_per_mg is None else abs(mass) * mbq_per_mg * math.hypot(relative, mbq_per_mg_relative_sd)
        ),
    )


def tumour_ratio(tumour: Region, normal: Region, found: HolmiumMap) -> Ratio | None:
    """T/N of a tumour; None where a mean is not known or that of the normal liver is not clearly above zero.

    The relaxivity cancels. What voxels of a structure share by the baseline is taken as independent between tumour
    and normal liver where the baseline is by structure.
    """
    parts = [_mean(region, found) for region in (tumour, normal)]
    if parts[0] is None or parts[1] is None or parts[1][0] <= ABOVE_ZERO_SDS * parts[1][2]:
        return None
    (t, t_sd, _), (n, n_sd, _) = parts[0], parts[1]
    dark = bool((found.limit[tumour.window] & (tumour.coverage > 0)).any())
    return Ratio(tumour.name, t / n, math.hypot(t_sd / n, t * n_sd / n**2), dark)


def _mean(region: Region, found: HolmiumMap) -> tuple[float, float, float] | None:
    """Mean concentration, its standard uncertainty without the relaxivity's, and that without the outline's too."""
    weight = region.coverage.astype(np.float64)
    c = found.concentration_mg_ml[region.window].astype(np.float64)
    known = np.isfinite(c) & (weight > 0)
    total = float(weight[known].sum())
    if not total:
        return None
    of_mean = outline_relative_sd(region, found)[1]
    noise = float(np.square(weight * np.nan_to_num(found.sd_mg_ml[region.window]))[known].sum())
    shared = _together(weight, known, region, found)
    mean = float((weight * np.nan_to_num(c))[known].sum()) / total
    alone = math.sqrt(noise + shared**2) / total
    return mean, math.hypot(alone, of_mean * mean), alone


def _together(weight: NDArray[np.float64], known: Mask, region: Region, found: HolmiumMap) -> float:
    """Standard uncertainty of a weighted sum by what its voxels share."""
    common = np.nan_to_num(found.common_sd_mg_ml[region.window])
    parts = [float((weight * part[region.window])[known].sum()) for part in found.shift_mg_ml]
    return math.hypot(float((weight * common)[known].sum()), *parts)


def outline_relative_sd(region: Region, found: HolmiumMap) -> tuple[float, float]:
    """Relative standard uncertainties of sum and mean of a structure whose outline is known to a voxel.

    Zero where the mean is not positive: then noise is all.
    """
    image = Volume(found.grid, np.nan_to_num(found.concentration_mg_ml), Kind.ACTIVITY_CONCENTRATION)
    if region.mean(image) <= 0 or region.volume_ml <= 0:
        return 0.0, 0.0
    edge = edge_over_mean(image, region)
    spread = Outline(1 / 3 * sum(region.grid.spacing_mm)).volume_relative_sd(region.volume_ml)
    return abs(edge) * spread, abs(edge - 1) * spread
