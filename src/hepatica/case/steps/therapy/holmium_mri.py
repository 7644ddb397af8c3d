"""Microspheres and activity by MR before and after a treatment with holmium."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.steps.inputs import Fact, Section
from hepatica.case.steps.mr import (
    AFTER,
    BEFORE,
    HOLMIUM_MRI,
    BeforeOntoAfter,
    CalibrationOfVial,
    EchoesOf,
    StructuresOnMr,
    holmium_not_asked,
)
from hepatica.case.steps.shown import Layout, at, quantity
from hepatica.case.steps.step import Step
from hepatica.core.numbers.wording import percent, three


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    times = document.get("echo_times_ms") or ()
    echoes = f", {len(times)} echoes from {three(times[0])} ms" if times else ""
    reach = at(document, "usable.neighbours_mg_ml")
    share = at(document, "vial.found_share")
    return [
        ("Scan", f"{three(document.get('field_strength_t'))} T{echoes}"),
        ("Baseline", str(document.get("baseline", ""))),
        ("Scanned at", str(document.get("scanned_at") or "").replace("T", " ")),
        ("Specific activity", quantity(document, "specific_activity_mbq_mg", "MBq/mg")),
        ("Usable up to", "" if reach is None else f"{three(reach)} mg/mL"),
        ("Found of what was given", "" if share is None else f"{percent(100 * share)} %"),
    ]


STEP = Step(
    HOLMIUM_MRI,
    "Holmium by MR",
    "holmium_mri",
    (
        EchoesOf("after", "after_series", AFTER, needed=True),
        EchoesOf("before", "before_series", BEFORE),
        StructuresOnMr(),
        BeforeOntoAfter(),
        Fact("agent", "treatment", "agent"),
        CalibrationOfVial(),
        Section(HOLMIUM_MRI),
    ),
    needless=holmium_not_asked,
    is_rare=True,
    layout=Layout(
        _facts,
        {
            "structures": "Microspheres",
            "tumour-to-normal": "Tumour to normal liver",
            "not-measured": "Not or not surely measured",
            "routes": "How R2* was found",
        },
        {"holmium": "First echo, R2* before and after, and mg of microspheres per mL."},
    ),
)
