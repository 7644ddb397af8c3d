"""Response by lesion sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.steps.inputs import ImageOf, Section
from hepatica.case.steps.shown import Layout
from hepatica.case.steps.step import Step


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    best = ", ".join(f"{row['response']} ({row['reason']})" if row.get("reason") else str(row["response"])
                     for row in document.get("best", ()))  # fmt: skip
    return [("Criterion", str(document.get("criterion", ""))), ("Best response", best)]


STEP = Step(
    "response",
    "Response",
    "tumour_response",
    (ImageOf("measurements", ("measurements",), needed=True), Section("response")),
    layout=Layout(_facts, {"best": "", "visits": "Visits"}),
)
