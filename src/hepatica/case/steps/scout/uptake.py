"""Tumour to normal, and perfused volumes, by the scout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.steps.common import SCOUT_IMAGES
from hepatica.case.steps.inputs import Section, StatedTerritory
from hepatica.case.steps.shown import Layout, quantity
from hepatica.case.steps.step import Step


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Tumour to normal, all lesions", quantity(document, "overall.tumour_to_normal", "")),
        ("Liver", quantity(document, "volumes.liver_ml", "mL")),
        ("Tumours", quantity(document, "volumes.tumour_ml", "mL")),
        ("Perfused share of the liver", quantity(document, "volumes.perfused_share", "%", 100.0)),
        ("Hepatic reserve", quantity(document, "volumes.hepatic_reserve", "%", 100.0)),
    ]


STEP = Step(
    "uptake",
    "Tumour to normal",
    "tumour_to_normal",
    (*SCOUT_IMAGES, StatedTerritory(), Section("uptake")),
    layout=Layout(_facts, {"tumour-to-normal": "Lesions", "territories": "Territories"}),
)
