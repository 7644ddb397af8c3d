"""The plan of a treatment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.steps.plan_tables import PlanTables, plan_arguments
from hepatica.case.steps.shown import Layout, quantity
from hepatica.case.steps.step import Step


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    chosen = ", ".join(f"{t['name']}: {t['chosen']}" for t in document.get("territories", ()))
    return [
        ("Activity in the vial", quantity(document, "planned_gbq", "GBq")),
        ("Activity to the patient", quantity(document, "administered_gbq", "GBq")),
        ("Method chosen", chosen),
        ("Verdict of its limits", str(document.get("verdict", ""))),
    ]


STEP = Step(
    "plan",
    "Plan",
    "plan",
    (PlanTables(),),
    plan_arguments,
    layout=Layout(
        _facts,
        {
            "methods-*": "Methods side by side",
            "doses": "Doses of the chosen methods together",
            "predicted": "Predicted from the scout, voxel by voxel",
            "limits": "Limits and goals",
            "chances": "Chances",
            "assumptions": "Taken without being stated",
        },
    ),
)
