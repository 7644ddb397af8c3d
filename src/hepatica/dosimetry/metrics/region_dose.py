"""The numbers of one structure in one dose map: what JSON, CSV and the report print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hepatica.core import Region, Volume
from hepatica.core.document import HIDDEN
from hepatica.dosimetry.engines.dose_map import DoseMap
from hepatica.dosimetry.engines.highest import highest_dose
from hepatica.dosimetry.metrics.dvh import Dvh, dose_volume_histogram

D_PERCENTS = (98.0, 95.0, 90.0, 70.0, 50.0, 5.0, 2.0)
"""Percentages x of the D_x that are reported; D_70 % and D_95 % are those of the tumour-dose literature, D_98 % and
D_2 % the near-minimum and near-maximum of ICRU Report 83."""

V_DOSES_GY = (10.0, 20.0, 30.0, 50.0, 70.0, 100.0, 120.0, 150.0, 200.0, 300.0)
"""Doses d of the V_d that are reported. A round ladder of ours; pass others where an agent has its own."""


@dataclass(frozen=True, slots=True, eq=False)
class RegionDose:
    """Absorbed dose of one structure.

    Attributes
    ----------
    name, origin : str
        Of the structure; where it came from.
    volume_ml, mass_g : float
        Border voxels count by their covered fraction; mass from the CT's voxels, or from the density map.
    dose_mean_gy : float
        Absorbed energy over mass (ICRU 85a).
    dose_mean_volume_gy : float
        Voxel doses averaged by volume, as many other programs print it.
    dose_mean_uncertainty_gy : float or None
        Standard uncertainty (k = 1) of `dose_mean_gy` that the dose engine states (`DoseMap.region_mean_sd`: counting
        statistics of a Monte Carlo run); None where it states none. What is common to all voxels (calibration,
        activity, contour) is not in it.
    dose_sd_gy : float
        Spread of the voxel doses by volume: heterogeneity, not uncertainty.
    dose_min_gy, dose_max_gy : float
        Over all voxels touched; D_98 % and D_2 % do not hang on single voxels.
    dose_max_reliable : bool
        False where the maximum lies in matter below 0.5 g/mL and the engine does not let electrons go as far as they
        do there (kernel, local).
    d_percent_gy : mapping of float to float
        x -> minimum dose to the hottest x %.
    v_gy_percent : mapping of float to float
        d -> percentage of the volume with at least d Gy.
    homogeneity : float or None
        (D_2 % - D_98 %) / D_50 %; None where D_50 % is 0.
    activity_share : float
        Decays in the structure over all decays in the image.
    dvh : Dvh
        The full distribution.
    """

    name: str
    origin: str
    volume_ml: float
    mass_g: float
    dose_mean_gy: float
    dose_mean_volume_gy: float
    dose_mean_uncertainty_gy: float | None
    dose_sd_gy: float
    dose_min_gy: float
    dose_max_gy: float
    dose_max_reliable: bool
    d_percent_gy: Mapping[float, float]
    v_gy_percent: Mapping[float, float]
    homogeneity: float | None
    activity_share: float
    dvh: Dvh = field(metadata=HIDDEN)

    def __repr__(self) -> str:
        return (
            f"<RegionDose {self.name!r}: {self.volume_ml:.4g} mL, {self.mass_g:.4g} g, "
            f"mean {self.dose_mean_gy:.4g} Gy, {100 * self.activity_share:.3g} % of the activity>"
        )


def region_dose(
    dose_map: DoseMap,
    region: Region,
    *,
    d_percents: Sequence[float] = D_PERCENTS,
    v_doses_gy: Sequence[float] = V_DOSES_GY,
    bin_gy: float | None = None,
) -> RegionDose:
    """All numbers of a structure in a dose map.

    Parameters
    ----------
    dose_map : DoseMap
        Dose, density and decays.
    region : Region
        On the dose map's grid (`core.resample.resample_region` brings it there). Of a map that knows more than its
        voxels (`DoseMap.detail`): on any voxels, best those of the CT.
    d_percents : sequence of float
        Percentages x of the D_x wanted.
    v_doses_gy : sequence of float
        Doses d of the V_d wanted, Gy.
    bin_gy : float, optional
        Bin width of the DVH's curves, Gy.

    Raises
    ------
    GeometryError
        If the grids differ or the region covers nothing.
    UnitError
        If the dose inside is not finite.
    """
    dose, density, mean_sd = dose_map.dose, dose_map.density, None
    if dose_map.detail is None:
        dvh = dose_volume_histogram(dose, region, density, bin_gy=bin_gy)
        mean_sd, inside = dose_map.region_mean_sd(region), region.total(dose_map.decays)
    else:
        own = dose_map.detail.structure(region, dose, density)
        dose, density, region = own.dose, own.density, own.region
        dvh = replace(dose_volume_histogram(dose, region, density, bin_gy=bin_gy), mean_gy=own.mean.value)
        mean_sd, inside = own.mean.sd, own.decays
    if dvh.mass_g is None:  # cannot be: a density was given
        raise AssertionError
    highest = highest_dose(_inside(dose, region), _on_window(density, region), follows_range=dose_map.follows_range)
    total = dose_map.decays.total
    return RegionDose(
        name=region.name,
        origin=region.origin,
        volume_ml=dvh.volume_ml,
        mass_g=dvh.mass_g,
        dose_mean_gy=dvh.mean_gy,
        dose_mean_volume_gy=dvh.mean_volume_gy,
        dose_mean_uncertainty_gy=mean_sd,
        dose_sd_gy=dvh.sd_gy,
        dose_min_gy=dvh.min_gy,
        dose_max_gy=dvh.max_gy,
        dose_max_reliable=highest.reliable,
        d_percent_gy={float(percent): dvh.d_percent(percent) for percent in d_percents},
        v_gy_percent={float(dose): 100 * dvh.v_gy(dose) for dose in v_doses_gy},
        homogeneity=dvh.homogeneity,
        activity_share=inside / total,
        dvh=dvh,
    )


def _inside(dose: Volume, region: Region) -> Volume:
    """Dose in the window of a region, 0 where the region does not touch a voxel."""
    there = np.where(region.coverage > 0, dose.values[region.window], 0)
    return Volume(dose.grid.crop(region.window), there, dose.kind)


def _on_window(density: Volume, region: Region) -> Volume:
    return Volume(density.grid.crop(region.window), density.values[region.window], density.kind)
