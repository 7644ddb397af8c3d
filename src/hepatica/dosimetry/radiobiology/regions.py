"""BED, EUD and response of a structure from its voxel doses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Region, Volume
from hepatica.dosimetry.radiobiology.bed import DoseRate, Tissue, bed_gy, eqd2_gy, lea_catcheside_factor
from hepatica.dosimetry.radiobiology.uniform import equivalent_uniform_dose_gy, generalized_eud_gy, poisson_tcp
from hepatica.errors import GeometryError


@dataclass(frozen=True, slots=True)
class RegionRadiobiology:
    """What the voxel doses of a structure amount to.

    Attributes
    ----------
    name : str
        Of the structure.
    volume_ml : float
        Volume by covered fraction of voxels, mL.
    dose_mean_gy, bed_mean_gy : float
        Means over the volume; the mean of voxel BED exceeds the BED of the mean dose.
    bed_of_mean_dose_gy : float
        BED of the mean dose.
    eqd2_mean_gy : float
        Mean EQD2.
    eud_gy, eubed_gy : float
        Uniform dose and uniform BED of the same cell survival.
    lea_catcheside_factor : float
        G.
    tissue : Tissue
        alpha/beta and repair used.
    alpha_per_gy : float
        Radiosensitivity used for EUD, EUBED and TCP.
    generalized_eud_gy : float or None
        By the exponent asked for; None where none was.
    poisson_tcp : float or None
        Chance that no clonogenic cell survives; None without a density of clonogens.
    """

    name: str
    volume_ml: float
    dose_mean_gy: float
    bed_mean_gy: float
    bed_of_mean_dose_gy: float
    eqd2_mean_gy: float
    eud_gy: float
    eubed_gy: float
    lea_catcheside_factor: float
    tissue: Tissue
    alpha_per_gy: float
    generalized_eud_gy: float | None = None
    poisson_tcp: float | None = None


def bed_volume(dose: Volume, rate: DoseRate, tissue: Tissue) -> Volume:
    """BED in Gy of every voxel of a dose volume (still `Kind.DOSE`; the name says that it is BED).

    Raises
    ------
    UnitError
        If the volume is not a dose.
    """
    dose.require_kind(Kind.DOSE)
    name = f"BED of {dose.name or 'dose'} (alpha/beta {tissue.alpha_beta_gy:g} Gy)"
    return dose.with_values(bed_gy(np.asarray(dose.values), rate, tissue), name=name)


def region_radiobiology(
    dose: Volume,
    region: Region,
    rate: DoseRate,
    tissue: Tissue,
    *,
    alpha_per_gy: float,
    eud_exponent: float | None = None,
    clonogens_per_ml: float | None = None,
) -> RegionRadiobiology:
    """BED, EQD2, EUD and EUBED of a structure; border voxels count by their covered fraction.

    Voxels below zero count in the means of dose and BED; for EUD, EUBED and TCP they hold no dose.

    With an exponent also the generalized EUD, with a density of clonogenic cells the Poisson TCP.

    Raises
    ------
    GeometryError
        If the structure lies on another grid than the dose, or is empty.
    UnitError
        If the volume is not a dose.
    """
    doses, weights = _voxels(dose, region)
    beds = bed_gy(doses, rate, tissue)
    total = float(weights.sum())
    mean = float(np.dot(doses, weights)) / total
    bed_mean = float(np.dot(beds, weights)) / total
    # Voxels below zero are noise, and would rule a mean of survivals: only means count them.
    doses, beds = np.maximum(doses, 0), np.maximum(beds, 0)
    return RegionRadiobiology(
        name=region.name,
        volume_ml=region.volume_ml,
        dose_mean_gy=mean,
        bed_mean_gy=bed_mean,
        bed_of_mean_dose_gy=bed_gy(mean, rate, tissue),
        eqd2_mean_gy=eqd2_gy(bed_mean, tissue.alpha_beta_gy),
        eud_gy=equivalent_uniform_dose_gy(doses, alpha_per_gy, weights),
        eubed_gy=equivalent_uniform_dose_gy(beds, alpha_per_gy, weights),
        lea_catcheside_factor=lea_catcheside_factor(rate, tissue.repair),
        tissue=tissue,
        alpha_per_gy=alpha_per_gy,
        generalized_eud_gy=None if eud_exponent is None else generalized_eud_gy(doses, eud_exponent, weights),
        poisson_tcp=None
        if clonogens_per_ml is None
        else poisson_tcp(beds, alpha_per_gy, weights * (clonogens_per_ml * dose.grid.voxel_volume_ml)),
    )


def _voxels(dose: Volume, region: Region) -> tuple[NDArray[Any], NDArray[Any]]:
    """Doses and covered fractions of the structure's voxels, float64, flat."""
    dose.require_kind(Kind.DOSE)
    region.grid.require_match(dose.grid, f"region {region.name!r} and dose")
    if region.is_empty:
        raise GeometryError(f"region {region.name!r} is empty")
    inside = region.coverage > 0
    doses = dose.values[region.window][inside].astype(np.float64)
    return doses, region.coverage[inside].astype(np.float64)
