"""The SPECT of the scout's projections."""

from __future__ import annotations

from hepatica.case.steps.inputs import ImageOf, Section
from hepatica.case.steps.projections import RECONSTRUCTION, scout_is_reconstructed
from hepatica.case.steps.step import Step

STEP = Step(
    RECONSTRUCTION,
    "Reconstruction of the scout",
    "reconstruct_spect",
    (
        ImageOf("projections", ("scout-projections",), needed=True),
        ImageOf("ct", ("scout-ct",), needed=True),
        Section(RECONSTRUCTION, needed=("camera",)),
    ),
    needless=scout_is_reconstructed,
)
