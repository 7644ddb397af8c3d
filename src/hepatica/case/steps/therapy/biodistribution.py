"""The biodistribution of what was given, by planar views after treatment."""

from __future__ import annotations

from hepatica.case.steps.inputs import ImageOf, NuclideOfAgent, Section
from hepatica.case.steps.planar import no_planar_therapy
from hepatica.case.steps.proposals import TherapyStructures
from hepatica.case.steps.step import Step

STEP = Step(
    "biodistribution",
    "Biodistribution by planar views",
    "biodistribution",
    (
        ImageOf("planar", ("therapy-planar",), needed=True, several=True),
        ImageOf("ct", ("therapy-ct",), needed=True),
        TherapyStructures(needed=True),
        NuclideOfAgent(),
        Section("biodistribution"),
    ),
    needless=no_planar_therapy,
    is_rare=True,
)
