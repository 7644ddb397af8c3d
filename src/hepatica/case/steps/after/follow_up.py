"""Change of lesions that were segmented before and after."""

from __future__ import annotations

from hepatica.case.steps.afterwards import AFTER, BEFORE, StageOf
from hepatica.case.steps.inputs import Section
from hepatica.case.steps.step import Step

STEP = Step(
    "follow-up",
    "Change of segmented lesions",
    "segmented_response",
    (
        StageOf("before", "before_image", BEFORE),
        StageOf("after", "after_image", AFTER),
        Section("follow-up"),
    ),
)
