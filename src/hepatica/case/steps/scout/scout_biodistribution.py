"""The biodistribution of the scout by planar views."""

from __future__ import annotations

from hepatica.case.steps.inputs import ImageOf, Section
from hepatica.case.steps.planar import no_planar_scout
from hepatica.case.steps.step import Step

STEP = Step(
    "scout-biodistribution",
    "Biodistribution of the scout by planar views",
    "biodistribution",
    (
        ImageOf("planar", ("scout-planar",), needed=True, several=True),
        ImageOf("ct", ("scout-ct",), needed=True),
        ImageOf("structures", ("scout-structures",), needed=True),
        Section("scout-biodistribution"),
    ),
    needless=no_planar_scout,
    is_rare=True,
)
