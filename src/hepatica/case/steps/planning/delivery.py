"""The activity that reached the patient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.steps.inputs import Fact, NuclideOfAgent, ResultOf, Section
from hepatica.case.steps.shown import Layout, quantity
from hepatica.case.steps.step import Step


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Delivered", quantity(document, "administered_gbq", "GBq")),
        ("In the vial at the injection", quantity(document, "vial_at_injection_gbq", "GBq")),
        ("Residual", quantity(document, "residual_fraction", "%", 100.0)),
    ]


STEP = Step(
    "delivery",
    "Delivery",
    "delivered_activity",
    (
        NuclideOfAgent(),
        Fact("agent", "treatment", "agent"),
        Fact("administered_at", "treatment", "at"),
        ResultOf("planned_result", "plan"),
        Section(
            "delivery",
            needed=(
                "vial",
                "calibrated_at",
                "reading_before",
                "reading_before_at",
                "reading_after",
                "reading_after_at",
            ),
        ),
    ),
    layout=Layout(_facts, {"delivered": "", "dose": "Mean dose"}),
)
