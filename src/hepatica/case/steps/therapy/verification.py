"""What was planned against what was delivered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hepatica.case.steps.inputs import ResultOf, Section
from hepatica.case.steps.proposals import ScoutToTherapy, StructuresOfBoth
from hepatica.case.steps.shown import Layout, quantity
from hepatica.case.steps.step import Step
from hepatica.core.numbers.wording import three
from hepatica.core.options import from_texts
from hepatica.core.text.files import json_file
from hepatica.front_door import verb_named


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    moved = document.get("catheter_position_changed")
    planned, delivered = document.get("tumour_to_normal_planned"), document.get("tumour_to_normal_delivered")
    return [
        (
            "Where it went",
            "" if moved is None else "distributed unlike the scout" if moved else "distributed as the scout",
        ),
        ("Energy in the liver, of planned", quantity(document, "total_ratio", "")),
        ("Tumour to normal", "" if planned is None else f"planned {three(planned)}, delivered {three(delivered)}"),
        ("Centre of dose moved by", quantity(document, "shift_mm", "mm")),
    ]


REGISTRATION_ERROR = "registration_error"


def _arguments(texts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Arguments of the verb; how far the registration of the case left liver and tumours apart, if it measured that."""
    from hepatica.planning.measured.earlier_results import is_result  # the status of a case needs none of it

    given = dict(texts)
    # Beside a transform that the case found lies the result of its step; beside one that was added there is none.
    file = Path(str(given.get("transform", ""))).parent / "result.json"
    if REGISTRATION_ERROR not in given and file.is_file() and is_result(file, "register"):
        apart = surface_distance_mm(json_file(file))
        given |= {} if apart is None else {REGISTRATION_ERROR: f"{apart:.6g} mm"}
    return from_texts(verb_named("scout_concordance").load(), given, command="verification")


def surface_distance_mm(registration: Mapping[str, Any]) -> float | None:
    """Largest mean distance of surfaces of liver and tumours by a result of `register`; None where it has none."""
    from hepatica.anatomy.structures.kinds import LESIONS, LIVER_PARTS
    from hepatica.anatomy.structures.roles import structure_of

    rows = registration.get("structures") or ()
    apart = [
        float(row["mean_distance_mm"])
        for row in rows
        if row.get("mean_distance_mm") is not None and structure_of(row["name"]) in LESIONS | LIVER_PARTS
    ]
    return max(apart, default=None)


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
    _arguments,
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
