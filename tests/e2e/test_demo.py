"""The demonstration: the whole course of a virtual patient by one command, each step beside the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import hepatica
from command_line import hepatica as entry_point
from hepatica.case.case import Case

COURSE = {
    "scout-reconstruction", "lung-shunt", "uptake", "plan", "order", "delivery", "registration", "dose", "verification",
    "prediction", "safety", "function", "follow-up", "next", "plan-2", "order-2",
}  # fmt: skip
"""Steps that the demonstration goes through."""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of the page of verbs, run once: it takes longer than any other."""
    folder = tmp_path_factory.mktemp("demo")
    command = ["demo", "--engine", "local", "--voxel", "10mm", "--out", "demo-output", "--json"]
    done = entry_point(*command, cwd=folder)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    written = json.loads((folder / "demo-output" / "result.json").read_text(encoding="utf-8"))
    assert document["numbers"] == written["numbers"]
    jsonschema.validate(document, hepatica.schema("demo"))
    return folder / "demo-output"


@pytest.fixture(scope="module")
def numbers(out: Path) -> dict[tuple[str, str], dict[str, Any]]:
    document = json.loads((out / "result.json").read_text(encoding="utf-8"))
    return {(row["step"], row["quantity"]): row for row in document["numbers"]}


def test_the_truth_stands_beside_every_step(numbers: dict[tuple[str, str], dict[str, Any]]) -> None:
    def off(step: str, quantity: str) -> float:
        found: float = abs(numbers[step, quantity]["difference_percent"])
        return found

    # A SPECT of 14 mm pixels blurs liver into the lung (4 % of it within a pixel of the dome) and lesions of 42 mm.
    assert off("lung-shunt", "lung shunt") < 30
    assert off("uptake", "T/N, tumour 2") < 25
    # What is given follows from mass and shunt, or from readings that were made for 2.6 GBq.
    assert off("plan", "activity") < 2
    assert off("delivery", "administered activity") < 0.1
    assert max(numbers["registration", f"error at tumour {n}"]["found_value"] for n in (1, 2)) < 3  # a third of a voxel
    # Blur of 5.5 mm and 25 % noise leave the mean of the treated lobe within 5 %, of a 3 cm tumour within 10 %.
    assert off("dose", "lobe right") < 5
    assert off("dose", "tumour 2") < 10
    assert off("verification", "delivered over planned, tumour 2") < 15
    # BED follows the square of the dose.
    assert off("prediction", "BED, liver minus tumours") < 10
    assert off("next", "BED of the territory's normal liver") < 10


def test_the_case_is_there_and_every_step_of_the_course_is_done(out: Path) -> None:
    case = Case.open(out / "case")
    assert case.history().problem == ""
    assert {step.name for step in case.steps() if step.state == "done"} >= COURSE
    assert not case.situation().altered
    dates = {item.role: item.date for item in case.situation().catalogue}
    assert dates["scout-ct"] == "2026-02-16"
    assert dates["therapy-ct"] == dates["therapy-pet"] == dates["therapy-structures"] == "2026-03-03"
    assert dates["follow-up-ct"] == dates["follow-up-structures"] == "2026-05-04"
    assert (out / "patient.png").exists()
    assert (out / "patient" / "rtstruct.dcm").exists()
