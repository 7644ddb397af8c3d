"""Registration and structures are proposals: used only once a person accepted them, and only where they are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hepatica.case.catalogue import Item
from hepatica.case.steps.proposals import (
    ScoutToTherapy,
    StructuresOfBoth,
    TherapyStructures,
    registration_not_needed,
    structures_not_needed,
)


@dataclass
class Fake:
    """A case of a few images, in which one proposal may be made and accepted."""

    frames: Mapping[str, str]
    made: bool = False
    checked: bool = False
    skipped: bool = False
    stated: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path("case")
    treatment: int = 1

    def fact(self, table: str, key: str) -> Any:
        return None

    def section(self, step: str) -> Mapping[str, Any]:
        return self.stated

    def images(self, role: str) -> Sequence[Item]:
        return [Item(f"{role}-1", role, 1, (), role, frame=self.frames[role])] if role in self.frames else []

    def result(self, step: str, *, earlier: bool = False) -> tuple[Path, str] | None:
        return (self.folder / "steps" / step, "digest") if self.made else None

    def results(self, step: str) -> Sequence[tuple[Path, str]]:
        return []

    def accepted(self, step: str) -> bool:
        return self.checked

    def left_out(self, step: str) -> bool:
        return self.skipped

    def digest(self, value: Any) -> str:
        return str(value)


APART = {"scout-ct": "A", "therapy-ct": "B"}


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (Fake(APART), "run structures"),
        (Fake(APART, made=True), "check the proposed structures"),
        (Fake(APART, made=True, checked=True), ""),
        (Fake(APART, skipped=True), ""),
        (Fake({**APART, "therapy-structures": "B"}), ""),
        (Fake({"therapy-pet": "B"}), ""),
    ],
)
def test_a_dose_waits_for_the_proposal_to_be_accepted(view: Fake, said: str) -> None:
    assert TherapyStructures().missing(view) == said


def test_what_was_drawn_goes_before_the_proposal() -> None:
    drawn = Fake({**APART, "therapy-structures": "B"}, made=True, checked=True)
    assert TherapyStructures().given(drawn)[0].source == "images/therapy-structures-1"
    assert TherapyStructures().given(Fake(APART, made=True))[0].source == "steps/structures"
    assert structures_not_needed(drawn)
    assert not structures_not_needed(Fake(APART))


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (Fake(APART), "run registration or add registration"),
        (Fake(APART, made=True), "check the proposed registration"),
        (Fake(APART, made=True, checked=True), ""),
        (Fake(APART, stated={"registered": True}), ""),
        (Fake({**APART, "registration": ""}), ""),
        (Fake({"scout-ct": "A", "therapy-ct": "A"}), ""),
    ],
)
def test_a_registration_is_needed_where_frames_differ(view: Fake, said: str) -> None:
    assert ScoutToTherapy("verification").missing(view) == said


def test_one_frame_of_reference_needs_no_registration() -> None:
    same = Fake({"scout-ct": "A", "therapy-ct": "A"}, made=True)
    assert registration_not_needed(same)
    assert ScoutToTherapy("verification").given(same) == ()
    assert not registration_not_needed(Fake(APART))


def test_structures_of_the_scout_are_read_where_frames_differ() -> None:
    both = {"scout-structures": "A", "therapy-structures": "B"}
    assert StructuresOfBoth().given(Fake({**APART, **both}))[0].source == "images/scout-structures-1"
