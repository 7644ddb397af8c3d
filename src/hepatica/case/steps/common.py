"""Inputs that several steps share."""

from __future__ import annotations

from hepatica.case.steps.inputs import Fact, ImageOf
from hepatica.case.steps.projections import SCOUT_IMAGE

SCOUT_IMAGES = (
    SCOUT_IMAGE,
    ImageOf("ct", ("scout-ct",)),
    ImageOf("structures", ("scout-structures",), needed=True),
)

CLINICAL = (
    Fact("agent", "treatment", "agent"),
    Fact("indication", "disease", "indication"),
    Fact("intent", "treatment", "intent"),
)
