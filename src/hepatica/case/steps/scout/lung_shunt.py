"""The lung shunt by the scout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.steps.common import SCOUT_IMAGES
from hepatica.case.steps.inputs import FirstOf, ImageOf, Section
from hepatica.case.steps.planar import shunt_of_planar_scout
from hepatica.case.steps.projections import SCOUT_IMAGE
from hepatica.case.steps.shown import Layout, at, quantity
from hepatica.case.steps.step import Step
from hepatica.core.numbers.wording import percent, three


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    interval = document.get("interval_95")
    spread = f" (95 %: {' to '.join(percent(100 * one) for one in interval)} %)" if interval else ""
    mass = at(document, "whole_lung_mass.mass_kg")
    return [
        ("Lung shunt", f"{quantity(document, 'lung_shunt', '%', 100.0)}{spread}"),
        ("Method", str(document.get("method", ""))),
        ("Mass of the lungs", "" if mass is None else f"{three(mass)} kg, {at(document, 'whole_lung_mass.source')}"),
        ("Elsewhere in view", quantity(document, "share_elsewhere", "%", 100.0)),
        ("Places outside liver and lungs", str(len(document.get("extrahepatic") or ()))),
    ]


STEP = Step(
    "lung-shunt",
    "Lung shunt",
    "lung_shunt",
    (
        FirstOf((*SCOUT_IMAGE.inputs, ImageOf("planar", ("scout-planar",), needed=True, several=True)), needed=True),
        *SCOUT_IMAGES[1:],
        Section("lung-shunt"),
    ),
    needless=shunt_of_planar_scout,
    layout=Layout(_facts, {"lung-shunt": "", "extrahepatic": "Outside liver and lungs"}),
)
