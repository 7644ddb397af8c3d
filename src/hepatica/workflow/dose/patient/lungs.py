"""The lungs of a dose result: by the stated shunt and by the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hepatica.core import Estimate
from hepatica.core.image import Image
from hepatica.imaging.quantify.options import administration_of
from hepatica.nuclides import Nuclide
from hepatica.planning.prescriptions.dose_constants import dose_constant
from hepatica.planning.scout.treated_lungs import ImagedLungDose, ShuntLungDose, TreatedLungs, shunt_lung_dose
from hepatica.workflow.dose.decays import DecayCount
from hepatica.workflow.dose.numbers import StructureResult
from hepatica.workflow.dose.options import DoseOptions
from hepatica.workflow.dose.patient.patient import Patient, PatientLungs, whole_mass_without_lungs

CONVENTION = "ensdf"
"""Dose constant of the lung dose by the shunt: that of the dose engine's decay data, electrons alone."""


def treated_lungs(
    patient: Patient,
    structures: Sequence[StructureResult],
    count: DecayCount,
    scan: Image,
    nuclide: Nuclide,
    options: DoseOptions,
) -> TreatedLungs | None:
    """Lung doses by shunt and by image; None where neither is known."""
    lungs = patient.lungs
    by_shunt = _by_shunt(lungs, count, scan, nuclide, options)
    by_image = None if lungs is None else _by_image(lungs, structures)
    return None if by_shunt is None and by_image is None else TreatedLungs(by_shunt, by_image)


def _by_shunt(
    lungs: PatientLungs | None, count: DecayCount, scan: Image, nuclide: Nuclide, options: DoseOptions
) -> ShuntLungDose | None:
    stated = options.quantification
    if not stated.lung_shunt:
        return None
    in_view = None if lungs is None else lungs.in_view
    administration = administration_of(scan, stated, in_view)
    if administration is not None:
        delivered = administration.delivered
    else:
        # What the image holds, over the part of what was delivered that it shows.
        one = administration_of(scan, replace(stated, administered_bq=1.0, residual=0.0), in_view)
        assert one is not None
        held = count.activity_in_image_bq / one.in_view.value
        sd = None if count.scale_relative_sd is None or one.in_view.sd is None else count.scale_relative_sd
        delivered = Estimate(held, None if sd is None else sd * held)
    mass = whole_mass_without_lungs(options.lungs) if lungs is None else lungs.whole_mass
    if options.lungs.lung_mass_relative_sd is not None:
        mass = replace(mass, relative_sd=options.lungs.lung_mass_relative_sd)
    constant = dose_constant(nuclide, CONVENTION)
    half_life = options.time.effective_half_life_s
    return shunt_lung_dose(
        delivered.value, stated.lung_shunt, mass, constant, effective_half_life_s=half_life,
        delivered_relative_sd=delivered.relative_sd, lung_shunt_sd=stated.lung_shunt_sd,
    )  # fmt: skip


def _by_image(lungs: PatientLungs, structures: Sequence[StructureResult]) -> ImagedLungDose | None:
    found = next((item for item in structures if item.dose.name == lungs.item.region.name), None)
    if found is None or lungs.in_view is None:
        return None
    dose = found.dose
    whole = lungs.seen.whole
    return ImagedLungDose(
        dose.name, dose.mass_g, found.mean.value, dose.activity_share, whole, lungs.mass_is_measured,
        found.dose_mean_known_sd_gy, found.dose_mean_interval_95_gy, found.interval_from,
    )  # fmt: skip
