"""The predicted effect of the delivered dose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.steps.afterwards import CarrierOfAgent
from hepatica.case.steps.common import CLINICAL
from hepatica.case.steps.inputs import NuclideOfAgent, ResultOf, Section
from hepatica.case.steps.proposals import TherapyStructures
from hepatica.case.steps.shown import Layout
from hepatica.case.steps.step import Step


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Nuclide, agent", ", ".join(filter(None, (document.get("nuclide"), document.get("agent"))))),
        ("Models asked", str(len(document.get("models", ())))),
        ("BED, EUD", "over voxels, by volume; the next treatment takes the BED of the mean dose, which is less"),
    ]


STEP = Step(
    "prediction",
    "Predicted effect",
    "radiobiology",
    (
        ResultOf("dose_map", "dose", needed=True),
        TherapyStructures(needed=True),
        NuclideOfAgent(),
        CarrierOfAgent(),
        CLINICAL[1],
        Section("prediction"),
    ),
    layout=Layout(_facts),
)
