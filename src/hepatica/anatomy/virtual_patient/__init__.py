"""A virtual patient with known truth: anatomy, hepatic arteries, activity in every voxel at every time.

>>> from hepatica.anatomy.virtual_patient import PatientSettings, virtual_patient
>>> virtual_patient(PatientSettings(seed=7, spacing_mm=8, tumours=1)).tree.names[:3]
('common hepatic', 'proper hepatic', 'right hepatic')
"""

from hepatica.anatomy.virtual_patient.cohort import cohort, cohort_settings, ranges
from hepatica.anatomy.virtual_patient.patient import VirtualPatient, default_grid, virtual_patient
from hepatica.anatomy.virtual_patient.settings import PatientSettings, Treatment, Tumour
from hepatica.anatomy.virtual_patient.vessels.arteries import ArterialTree

__all__ = [
    "ArterialTree",
    "PatientSettings",
    "Treatment",
    "Tumour",
    "VirtualPatient",
    "cohort",
    "cohort_settings",
    "default_grid",
    "ranges",
    "virtual_patient",
]
