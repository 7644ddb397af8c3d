"""A virtual patient with known truth: anatomy, hepatic arteries, activity in every voxel at every time.

>>> from hepatica.anatomy.virtual_patient import VirtualCtOptions, PatientSettings, virtual_patient
>>> virtual_patient(PatientSettings(seed=7, ct=VirtualCtOptions(spacing_mm=8), tumours=1)).tree.names[:3]
('common hepatic', 'proper hepatic', 'right hepatic')
"""

from hepatica.anatomy.virtual_patient.cohort import cohort, cohort_settings, ranges
from hepatica.anatomy.virtual_patient.patient import VirtualPatient, default_grid, virtual_patient
from hepatica.anatomy.virtual_patient.settings import (
    AnatomyOptions,
    FlowOptions,
    PatientSettings,
    Treatment,
    Tumour,
    VirtualCtOptions,
)
from hepatica.anatomy.virtual_patient.truth import PatientSummary, PatientTruth, patient_summary, patient_truth
from hepatica.anatomy.virtual_patient.vessels.arteries import ArterialTree

__all__ = [
    "AnatomyOptions",
    "ArterialTree",
    "FlowOptions",
    "PatientSettings",
    "PatientSummary",
    "PatientTruth",
    "Treatment",
    "Tumour",
    "VirtualCtOptions",
    "VirtualPatient",
    "cohort",
    "cohort_settings",
    "default_grid",
    "patient_summary",
    "patient_truth",
    "ranges",
    "virtual_patient",
]
