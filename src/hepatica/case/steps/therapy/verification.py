"""What was planned against what was delivered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.steps.inputs import ResultOf, Section
from hepatica.case.steps.proposals import ScoutToTherapy, StructuresOfBoth
from hepatica.case.steps.shown import Layout, quantity
from hepatica.case.steps.step import Step
from hepatica.core.numbers.wording import three


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    moved = document.get("catheter_position_changed")
    planned, delivered = document.get("tumour_to_normal_planned"), document.get("tumour_to_normal_delivered")
    return [
        ("Where it went", "" if moved is None else "elsewhere than the scout" if moved else "as the scout"),
        ("Energy in the liver, of planned", quantity(document, "total_ratio", "")),
        ("Tumour to normal", "" if planned is None else f"planned {three(planned)}, delivered {three(delivered)}"),
        ("Centre of dose moved by", quantity(document, "shift_mm", "mm")),
    ]


STEP = Step(
    "verification",
    "Planned against delivered",
    "scout_concordance",
    (
        ResultOf("planned_dose", "plan", needed=True),
        ResultOf("delivered_dose", "dose", needed=True),
        StructuresOfBoth(),
        ScoutToTherapy("verification"),
        Section("verification"),
    ),
    layout=Layout(
        _facts,
        {
            "concordance": "Planned against delivered",
            "suggestions": "Questions for the team: no orders, each with its source",
            "parts": "Share of the liver's activity",
        },
        {
            "slices": "Planned and delivered dose, their difference, and profiles.",
            "concordance": "Voxels of the lesions: delivered against planned, and Bland-Altman.",
        },
    ),
)
