"""The numbers of one structure in one dose map: what JSON, CSV and the report print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hepatica.core import Region
from hepatica.core.document import HIDDEN
from hepatica.dosimetry.engines.dose_map import DoseMap
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
        Over all voxels touched.
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
    mass_g: float | None = None,
) -> RegionDose:
    """All numbers of a structure in a dose map.

    Parameters
    ----------
    dose_map : DoseMap
        Dose, density and decays.
    region : Region
        On the dose map's grid (`core.resample.resample_region` brings it there).
    d_percents : sequence of float
        Percentages x of the D_x wanted.
    v_doses_gy : sequence of float
        Doses d of the V_d wanted, Gy.
    bin_gy : float, optional
        Bin width of the DVH's curves, Gy.
    mass_g : float, optional
        Mass of the structure from finer voxels (the CT's) than the dose has: mean dose is the energy in the structure
        over this mass. The dose map's own density otherwise.

    Raises
    ------
    GeometryError
        If the grids differ or the region covers nothing.
    UnitError
        If the dose inside is not finite.
    """
    dvh = dose_volume_histogram(dose_map.dose, region, dose_map.density, bin_gy=bin_gy)
    if dvh.mass_g is None:  # cannot be: a density was given
        raise AssertionError
    total = dose_map.decays.total
    inside = region.total(dose_map.decays)
    factor = 1.0 if mass_g is None or not mass_g > 0 or not dose_map.shares_energy_by_volume else dvh.mass_g / mass_g
    sd = dose_map.region_mean_sd(region)
    return RegionDose(
        name=region.name,
        origin=region.origin,
        volume_ml=dvh.volume_ml,
        mass_g=mass_g or dvh.mass_g,
        dose_mean_gy=factor * dvh.mean_gy,
        dose_mean_volume_gy=dvh.mean_volume_gy,
        dose_mean_uncertainty_gy=None if sd is None else factor * sd,
        dose_sd_gy=dvh.sd_gy,
        dose_min_gy=dvh.min_gy,
        dose_max_gy=dvh.max_gy,
        d_percent_gy={float(percent): dvh.d_percent(percent) for percent in d_percents},
        v_gy_percent={float(dose): 100 * dvh.v_gy(dose) for dose in v_doses_gy},
        homogeneity=dvh.homogeneity,
        activity_share=inside / total,
        dvh=dvh,
    )
