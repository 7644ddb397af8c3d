"""A case that needs no images: stated facts, of which plan, order and delivery can be made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hepatica.case.case import Case
from hepatica.case.layout import FACTS

FACTS_TEXT = """\
[case]
version = 1

[patient]
name = "Erika Mustermann"
weight = "75 kg"        # measured at admission

[disease]
indication = "HCC"

[[treatment]]
agent = "glass"
at = "2026-03-12T10:00+01:00"

[treatment.aims]
perfused = "120 Gy"

[treatment.lungs]
lung_shunt = "5 %"

[[treatment.territory]]
name = "right lobe"
normal_mass = "0.9 kg"

[treatment.delivery]
vial = "3 GBq"
calibrated_at = "2026-03-12T08:00+01:00"
reading_before = "100 uSv/h"
reading_before_at = "2026-03-12T09:50+01:00"
reading_after = "2 uSv/h"
reading_after_at = "2026-03-12T10:30+01:00"
"""


def stated_case(folder: Path) -> Case:
    """A new case with these facts; nothing was run."""
    made = Case.new(folder)
    (made.folder / FACTS).write_text(FACTS_TEXT, encoding="utf-8")
    return made


def states(case: Case) -> dict[str, str]:
    """State of each step by its name."""
    return {step.name: step.state for step in case.steps()}


def result(case: Case, step: str) -> dict[str, Any]:
    """The ``result.json`` of a step that is done."""
    found: dict[str, Any] = json.loads((case[step] / "result.json").read_text(encoding="utf-8"))
    return found
