"""What the next treatment may still give."""

from __future__ import annotations

from hepatica.case.steps.afterwards import NextAt, next_arguments
from hepatica.case.steps.common import CLINICAL
from hepatica.case.steps.inputs import ResultsOf, Section
from hepatica.case.steps.step import Step

STEP = Step(
    "next",
    "Next treatment",
    "remaining_tolerance",
    (
        ResultsOf("dose_results", "dose", needed=True),
        *CLINICAL[:2],
        NextAt(),
        Section("next", needed=("tolerance_bed",)),
    ),
    next_arguments,
)
