"""Liver function by laboratory values."""

from __future__ import annotations

from hepatica.case.steps.inputs import ImageOf, Section
from hepatica.case.steps.step import Step

STEP = Step(
    "function", "Liver function", "liver_function", (ImageOf("labs", ("labs",), needed=True), Section("function"))
)
