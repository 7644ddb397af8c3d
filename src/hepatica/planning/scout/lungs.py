"""Lung mass from CT and lung dose, per treatment and over a life."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hepatica.core import Estimate, Kind, Region, Volume
from hepatica.errors import InputError
from hepatica.planning.prescriptions.compartments import require_positive
from hepatica.planning.prescriptions.dose_constants import DoseConstant

REFERENCE_LUNG_MASS_KG = 1.0
"""The mass that labels and limits assume where none is measured."""

MAXIMUM_LUNG_DENSITY_G_ML = 1.1
"""Densities are cut to 0..1.1 g/mL (Kao et al., EJNMMI Res 2014;4:33): air holds no mass, and bone is no lung."""


def lung_mass_kg(hu: Volume, lungs: Region) -> float:
    """Lung mass by CT densitovolumetry: sum of (HU + 1000) / 1000 g/mL, cut to 0..1.1, over the lungs.

    Parameters
    ----------
    hu : Volume
        CT in HU.
    lungs : Region
        On the CT's grid.

    References
    ----------
    .. [1] Kao et al., EJNMMI Res 2014;4:33.
    """
    hu.require_kind(Kind.HU)
    hu.require_finite()
    lungs.grid.require_match(hu.grid, f"region {lungs.name!r} and CT")
    if lungs.is_empty:
        raise InputError("the lung region is empty: no lung mass")
    values = hu.values[lungs.window].astype(np.float64)
    density = np.clip((values + 1000) / 1000, 0, MAXIMUM_LUNG_DENSITY_G_ML)
    return float((lungs.coverage * density).sum()) * hu.grid.voxel_volume_ml / 1000


def lung_dose_gy(
    activity_administered_gbq: float, lung_shunt: Estimate, lung_mass: Estimate, constant: DoseConstant
) -> Estimate:
    """Mean lung dose in Gy of an activity (GBq) that reaches the patient; lung mass in kg.

    With a residual R in the vial the activity is A_vial (1 - R).
    """
    require_positive(lung_mass.value, "lung mass", "kg")
    if not 0 <= lung_shunt.value < 1:
        raise InputError(f"lung shunt fraction must be at least 0 and below 1, not {lung_shunt.value:g}")
    return lung_shunt * (activity_administered_gbq * constant.j_per_gbq) / lung_mass


def cumulative_lung_dose_gy(planned: Estimate, earlier: Sequence[Estimate]) -> Estimate:
    """Planned and earlier lung doses (Gy) added up; unknown uncertainty of one makes that of the sum unknown."""
    total = planned
    for dose in earlier:
        if dose.value < 0:
            raise InputError(f"an earlier lung dose cannot be negative ({dose.value:g} Gy)")
        total = total + dose
    return total
