"""The SPECT of projections after treatment."""

from __future__ import annotations

from hepatica.case.steps.inputs import ImageOf, NuclideOfAgent, Section
from hepatica.case.steps.projections import therapy_is_reconstructed
from hepatica.case.steps.step import Step

STEP = Step(
    "reconstruction",
    "Reconstruction",
    "reconstruct_spect",
    (
        ImageOf("projections", ("therapy-projections",), needed=True),
        ImageOf("ct", ("therapy-ct",), needed=True),
        ImageOf("calibration", ("calibration",)),
        NuclideOfAgent(),
        Section("reconstruction", needed=("camera",)),
    ),
    needless=therapy_is_reconstructed,
)
