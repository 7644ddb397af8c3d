"""Structures proposed on the therapy CT."""

from __future__ import annotations

from hepatica.case.steps.inputs import FirstOf, ImageOf, ResultOf, Section
from hepatica.case.steps.pet import reconstructed_pet
from hepatica.case.steps.projections import SPECT
from hepatica.case.steps.proposals import FirstImageOf, structures_not_needed
from hepatica.case.steps.step import Step

STEP = Step(
    "structures",
    "Proposed structures",
    "segment",
    (
        ImageOf("ct", ("therapy-ct",), needed=True),
        FirstOf(
            (
                FirstImageOf("uptake", ("therapy-pet", "therapy-spect")),
                reconstructed_pet("uptake"),
                ResultOf("uptake", "reconstruction", file=SPECT),
            )
        ),
        Section("structures"),
    ),
    needless=structures_not_needed,
)
