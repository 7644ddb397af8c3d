"""The scout laid onto the therapy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.steps.inputs import ImageOf, Section
from hepatica.case.steps.proposals import registration_not_needed
from hepatica.case.steps.shown import Layout, quantity
from hepatica.case.steps.step import Step


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    transform = document.get("transform") or {}
    return [
        ("Transform", f"{transform.get('kind', '')}, by {transform.get('method', '')}"),
        ("Uncertainty", quantity(transform, "uncertainty_mm", "mm")),
    ]


STEP = Step(
    "registration",
    "Scout laid onto therapy",
    "register",
    (
        ImageOf("moving", ("scout-ct",), needed=True),
        ImageOf("fixed", ("therapy-ct",), needed=True),
        ImageOf("moving_structures", ("scout-structures",)),
        ImageOf("structures", ("therapy-structures",)),
        Section("registration"),
    ),
    needless=registration_not_needed,
    layout=Layout(
        _facts,
        {"structures": "Structures of both", "marks": "Quality"},
        {"registration": "The scout CT on the therapy CT."},
    ),
)
