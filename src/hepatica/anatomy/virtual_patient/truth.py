"""The truth about a virtual patient as values: masses, activities, tumours, where the activity is, arteries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hepatica.anatomy.virtual_patient.patient import VirtualPatient
from hepatica.anatomy.virtual_patient.settings import PatientSettings
from hepatica.anatomy.virtual_patient.vessels.arteries import TreeStatistics
from hepatica.core import Grid
from hepatica.core.document import INLINE


@dataclass(frozen=True, slots=True)
class StructureTruth:
    """One structure; the share is that of the administered activity, at the administration."""

    volume_ml: float
    mass_g: float
    activity_bq: float
    activity_share: float


@dataclass(frozen=True, slots=True)
class TumourTruth:
    """One tumour as it was placed; necrosis is the share of its volume."""

    name: str
    diameter_mm: float
    segment: int | None
    necrosis: float
    centre_lps_mm: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ArteriesTruth:
    """Numbers that describe the arterial tree."""

    variant: str
    tree: TreeStatistics = field(metadata=INLINE)


@dataclass(frozen=True, slots=True)
class PatientTruth:
    """Everything that is known of a patient, but for voxels.

    Attributes
    ----------
    settings : PatientSettings
        What was asked for.
    grid : Grid
        Of the images.
    structures : mapping of str to StructureTruth
        Each structure in the field.
    tumours : tuple of TumourTruth
        Where they are.
    tumour_to_normal : float or None
        Of mean concentrations, where the catheters reach.
    balance_bq : mapping of str to float
        Where the activity is at the administration, in and out of the field.
    activity_in_field_bq : float
        Of it, in the images.
    perfused_volume_ml : float
        What the catheters reach.
    territories_ml : mapping of str to float
        What each named artery feeds.
    arteries : ArteriesTruth
        The tree.
    """

    settings: PatientSettings
    grid: Grid
    structures: Mapping[str, StructureTruth]
    tumours: tuple[TumourTruth, ...]
    tumour_to_normal: float | None
    balance_bq: Mapping[str, float]
    activity_in_field_bq: float
    perfused_volume_ml: float
    territories_ml: Mapping[str, float]
    arteries: ArteriesTruth


def patient_truth(patient: VirtualPatient) -> PatientTruth:
    """Count voxels and activity of every structure."""
    activity, density = patient.activity(), patient.density
    structures = {}
    for name, region in patient.regions.items():
        held = float((region.coverage * activity.values[region.window]).sum(dtype=np.float64))
        structures[name] = StructureTruth(
            region.volume_ml, region.mass_g(density), held, held / patient.treatment.activity_bq
        )
    return PatientTruth(
        settings=patient.settings,
        grid=patient.grid,
        structures=structures,
        tumours=tuple(
            TumourTruth(t.name, t.tumour.diameter_mm, t.tumour.segment, t.tumour.necrosis, tuple(t.centre_mm.tolist()))
            for t in patient.tumours
        ),
        tumour_to_normal=patient.tumour_to_normal(),
        balance_bq=patient.balance(),
        activity_in_field_bq=activity.total,
        perfused_volume_ml=patient.perfused().volume_ml,
        territories_ml={name: patient.territory(name).volume_ml for name in patient.tree.names},
        arteries=ArteriesTruth(variant=patient.settings.anatomy.variant, tree=patient.tree.statistics()),
    )


@dataclass(frozen=True, slots=True)
class PatientSummary:
    """One line about a patient of a cohort; volumes and sizes rounded."""

    patient: str
    seed: int
    sex: str
    cirrhosis: bool
    variant: str
    liver_ml: float
    tumours: int
    tumour_ml: float
    largest_tumour_mm: float
    nuclide: str
    agent: str
    administered_gbq: float
    catheters: str
    perfused_ml: float
    lung_shunt: float
    tumour_to_normal: float


def patient_summary(name: str, patient: VirtualPatient) -> PatientSummary:
    """One line about a patient, under a name ("patient-001")."""
    settings, treatment = patient.settings, patient.treatment
    tumours = [patient.regions[p.name] for p in patient.tumours if p.name in patient.regions]
    return PatientSummary(
        patient=name,
        seed=settings.seed,
        sex=settings.anatomy.sex,
        cirrhosis=settings.anatomy.cirrhosis,
        variant=settings.anatomy.variant,
        liver_ml=round(patient.regions["liver"].volume_ml, 1),
        tumours=len(tumours),
        tumour_ml=round(sum(region.volume_ml for region in tumours), 2),
        largest_tumour_mm=max((p.tumour.diameter_mm for p in patient.tumours), default=0.0),
        nuclide=treatment.nuclide,
        agent=treatment.agent,
        administered_gbq=treatment.activity_bq / 1e9,
        catheters=" + ".join(treatment.catheters),
        perfused_ml=round(patient.perfused().volume_ml, 1),
        lung_shunt=treatment.lung_shunt,
        tumour_to_normal=treatment.tumour_to_normal,
    )
