"""The PET of raw data after treatment."""

from __future__ import annotations

from hepatica.case.steps.inputs import ImageOf, NuclideOfAgent, Section
from hepatica.case.steps.pet import PET_RECONSTRUCTION, ZoneOfTreatment, pet_is_reconstructed
from hepatica.case.steps.proposals import DRAWN
from hepatica.case.steps.step import Step

STEP = Step(
    PET_RECONSTRUCTION,
    "PET reconstruction",
    "reconstruct_pet",
    (
        ImageOf("raw", ("therapy-coincidences",), needed=True),
        ImageOf("ct", ("therapy-ct",), needed=True),
        DRAWN,
        NuclideOfAgent(),
        ZoneOfTreatment(),
        Section(PET_RECONSTRUCTION),
    ),
    needless=pet_is_reconstructed,
    is_rare=True,
)
