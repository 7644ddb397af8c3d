"""Release and contact restrictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.steps.inputs import Fact, ResultOf, Section
from hepatica.case.steps.shown import Layout, quantity
from hepatica.case.steps.step import Step


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    constant = document.get("dose_rate_constant") or {}
    return [
        ("Administered", quantity(document, "administered_gbq", "GBq")),
        (
            "Dose rate constant",
            f"{quantity(constant, 'usv_m2_per_gbq_h', 'µSv m²/(GBq h)')}, {constant.get('source', '')}",
        ),
        ("Waste to ten half-lives", quantity(document, "waste.days_ten_half_lives", "d")),
    ]


STEP = Step(
    "safety",
    "Release and contact",
    "release",
    (
        ResultOf("administered_result", "delivery", needed=True),
        Fact("patient", "patient", "name"),
        Section("safety"),
    ),
    layout=Layout(
        _facts, {"release": "Release", "contact": "Contact", "dose-rates": "Dose rates", "afterwards": "Afterwards"}
    ),
)
