"""The vial to order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.steps.inputs import Fact, ResultOf, Section
from hepatica.case.steps.shown import Layout, quantity
from hepatica.case.steps.step import Step


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Wanted", quantity(document, "planned_gbq", "GBq")),
        ("Treatment at", str(document.get("administered_at", "")).replace("T", " ")),
        ("Vials", str(len(document.get("vials", ())))),
    ]


STEP = Step(
    "order",
    "Order",
    "order_vial",
    (
        ResultOf("planned_result", "plan", needed=True),
        Fact("administered_at", "treatment", "at", needed=True),
        Section("order"),
    ),
    layout=Layout(_facts, {"vials": ""}),
)
