"""A treated patient that hepatica makes itself, written as DICOM, and what is truly in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from hepatica.anatomy.virtual_patient import (
    PatientSettings,
    Treatment,
    Tumour,
    VirtualCtOptions,
    VirtualPatient,
    default_grid,
    virtual_patient,
)
from hepatica.anatomy.virtual_patient.named import PERFUSED
from hepatica.core import Region, Volume, decay_factor, seconds_between
from hepatica.core.context import DicomContext
from hepatica.imaging.quantify.blurred.scan import blurred_pet
from hepatica.io.dicom.images.write import Emission, write_ct, write_pet
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.nuclides import nuclide

NUCLIDE = "Y-90"
AGENT = "glass"
ADMINISTERED_BQ = 2.6e9
ADMINISTERED_AT = datetime(2026, 3, 2, 10, 15)
SCANNED_AT = ADMINISTERED_AT + timedelta(hours=20, minutes=40)
SCAN_DURATION_S = 1800.0
LUNG_SHUNT = 0.04
PET_SPACING_MM = (4.07, 4.07, 3.0)
PET_FWHM_MM = 5.5
PET_NOISE = 0.25
SEED = 90

SETTINGS = PatientSettings(
    seed=SEED,
    tumours=(Tumour(42, segment=7), Tumour(58, segment=8, necrosis=0.13)),
    treatment=Treatment(
        nuclide=NUCLIDE,
        agent=AGENT,
        administered_bq=ADMINISTERED_BQ,
        administered_at=ADMINISTERED_AT,
        catheters="right hepatic",
        lung_shunt=LUNG_SHUNT,
        tumour_to_normal=4.0,
    ),
    ct=VirtualCtOptions(spacing_mm=(2.5, 2.5, 3.0)),
)
"""The patient: two tumours in the right lobe, treated through the right hepatic artery."""

REPORTED = ("liver", "lobe right", "lobe left", "tumour 1", "tumour 2", "tumour 2 necrosis", "lung right", "lung left")
"""Structures that are drawn, beside what the right hepatic artery feeds."""


@dataclass(frozen=True, slots=True, eq=False)
class DemoPatient:
    """The patient and the truth.

    Attributes
    ----------
    folder : Path
        Holds ``ct/``, ``pet/`` and ``rtstruct.dcm``.
    virtual : VirtualPatient
        All that is known of the patient.
    hu : Volume
        Noise-free CT.
    activity : Volume
        True activity per voxel (Bq) at the administration, on the CT's grid.
    regions : mapping of str to Region
        True structures on the CT's grid, those that are drawn in the RTSTRUCT.
    """

    folder: Path
    virtual: VirtualPatient
    hu: Volume
    activity: Volume
    regions: Mapping[str, Region]


def write_demo_patient(
    folder: Path,
    *,
    ct_spacing_mm: tuple[float, float, float] = (2.5, 2.5, 3.0),
    pet_spacing_mm: tuple[float, float, float] = PET_SPACING_MM,
    seed: int = SEED,
) -> DemoPatient:
    """Make the patient and write CT, PET and RTSTRUCT as DICOM.

    Parameters
    ----------
    folder : Path
        New folder; it gets ``ct/``, ``pet/`` and ``rtstruct.dcm``.
    ct_spacing_mm, pet_spacing_mm : tuple of float
        Voxels of the CT and of the PET.
    seed : int
        Of the patient and of the noise in CT and PET.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    context = DicomContext.invented(patient_id="HEPATICA-DEMO", patient_name="Demo^Patient", when=SCANNED_AT)
    settings = replace(SETTINGS, seed=seed, ct=VirtualCtOptions(spacing_mm=ct_spacing_mm))
    patient = virtual_patient(settings, default_grid(settings, context.frame_of_reference))
    activity = patient.activity()
    pet = _demo_pet(activity, pet_spacing_mm, seed)

    folder.mkdir(parents=True, exist_ok=True)
    ct = patient.ct.with_values(patient.ct.values, time=SCANNED_AT)
    ct_context = write_ct(folder / "ct", ct, context, description="Demo CT")
    emission = Emission(
        nuclide=NUCLIDE,
        start=SCANNED_AT,
        frame_duration_s=SCAN_DURATION_S,
        administered_bq=ADMINISTERED_BQ,
        administered_at=ADMINISTERED_AT,
    )
    write_pet(folder / "pet", pet, context, emission, description="Demo 90Y PET")
    regions = {name: patient.regions[name] for name in REPORTED}
    regions[PERFUSED] = patient.perfused().renamed(PERFUSED)
    write_rtstruct(
        folder / "rtstruct.dcm", list(regions.values()), ct_context, image_grid=patient.grid, drawn_at=SCANNED_AT
    )
    return DemoPatient(folder, patient, patient.hu, activity, regions)


def _demo_pet(activity: Volume, spacing_mm: tuple[float, float, float], seed: int) -> Volume:
    """PET at the start of the scan."""
    left = decay_factor(seconds_between(ADMINISTERED_AT, SCANNED_AT), nuclide(NUCLIDE).half_life_s)
    at_scan = activity.with_values(activity.values * np.float32(left), time=SCANNED_AT)
    grid = activity.grid.with_spacing(spacing_mm)
    return blurred_pet(at_scan, grid, fwhm_mm=PET_FWHM_MM, noise=PET_NOISE, seed=seed)
