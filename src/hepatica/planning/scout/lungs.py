"""Lung mass from CT and lung dose, per treatment and over a life."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepatica.anatomy.ct.lung_mass import LungMass, whole_lung_mass
from hepatica.core import Estimate, Kind, Region, Volume
from hepatica.core.options import Positive, options
from hepatica.errors import InputError
from hepatica.nuclides import ConventionName, nuclide
from hepatica.planning.prescriptions.compartments import require_positive
from hepatica.planning.prescriptions.dose_constants import DoseConstant, dose_constant

MAXIMUM_LUNG_DENSITY_G_ML = 1.1
"""Densities are cut to 0..1.1 g/mL (Kao et al., EJNMMI Res 2014;4:33): air holds no mass, and bone is no lung."""


@options
class LungDoseOptions:
    """What the lung dose is asked for.

    Attributes
    ----------
    planned_gbq : float or None
        Activity that will reach the patient: gives the lung dose, and that of uptake elsewhere.
    nuclide : str
        Nuclide of the therapy.
    convention : {"ensdf", "ensdf-all", "mird", "label", "clinical", "icrp107", "beta-only"}
        Dose constant: that of the decay data (ensdf; with photons ensdf-all), or one published for the nuclide (mird,
        label of 90Y; clinical, or label, of 166Ho).
    """

    planned_gbq: Positive | None = None
    nuclide: str = "Y-90"
    convention: ConventionName = "ensdf"

    @property
    def planned(self) -> tuple[float, DoseConstant] | None:
        """Activity in GBq and dose constant; None where no activity is asked about."""
        if self.planned_gbq is None:
            return None
        return self.planned_gbq, dose_constant(nuclide(self.nuclide), self.convention)


@dataclass(frozen=True, slots=True)
class LungDose:
    """Mean dose to the lungs at a planned activity.

    Attributes
    ----------
    planned_gbq : float
        Activity that reaches the patient.
    dose_lung_gy : Estimate
        Its uncertainty is that of the lung shunt alone.
    lung_mass_used_kg : float
        Stated, or from the CT, or 1 kg.
    lung_mass_measured : bool
        Whether it was stated or taken from a CT.
    convention : str
        Of the dose constant.
    dose_constant_j_per_gbq : float
        J per GBq.
    lung_mass_from : str
        Where the mass comes from, in words.
    """

    planned_gbq: float
    dose_lung_gy: Estimate
    lung_mass_used_kg: float
    lung_mass_measured: bool
    convention: str
    dose_constant_j_per_gbq: float
    lung_mass_from: str = ""


def lung_dose(
    planned_gbq: float, lung_shunt: Estimate, mass: LungMass | float | None, constant: DoseConstant
) -> LungDose:
    """Lung dose at a planned activity; `mass` in kg, 1 kg of lung where it is not known (None)."""
    if not isinstance(mass, LungMass):
        mass = whole_lung_mass(mass)
    dose = lung_dose_gy(planned_gbq, lung_shunt, Estimate(mass.mass_kg, 0.0), constant)
    measured = mass.origin in ("stated", "ct")
    return LungDose(planned_gbq, dose, mass.mass_kg, measured, constant.convention, constant.j_per_gbq, mass.source)


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
