"""What one treatment hands to its own steps and to the next: instants, earlier doses, the organ that was judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hepatica.case.catalogue import Item
from hepatica.case.steps.inputs import StatedInstant


@dataclass
class Fake:
    """A case of some stated values, images and results."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    instants: Mapping[str, str] = field(default_factory=dict)
    done: frozenset[str] = frozenset()
    coming: Mapping[str, Any] = field(default_factory=dict)
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folder: Path = Path("case")
    treatment: int = 1

    def fact(self, table: str, key: str) -> Any:
        return self.facts.get(key)

    def following(self, key: str) -> Any:
        return self.coming.get(key)

    def section(self, step: str) -> Mapping[str, Any]:
        return self.sections.get(step, {})

    def images(self, role: str) -> Sequence[Item]:
        at = self.instants.get(role)
        return [] if at is None else [Item(f"{role}-1", role, 1, (), role, facts={"at": at})]

    def result(self, step: str, *, earlier: bool = False) -> tuple[Path, str] | None:
        return (self.folder / "steps" / step, "digest") if step in self.done else None

    def results(self, step: str) -> Sequence[tuple[Path, str]]:
        return []

    def accepted(self, step: str) -> bool:
        return False

    def left_out(self, step: str) -> bool:
        return False

    def digest(self, value: Any) -> str:
        return str(value)


@pytest.mark.parametrize(
    ("image", "handed_on"),
    [
        ("2026-03-03T06:55:00", "2026-03-02T20:15"),
        ("2026-03-03T06:55:00+01:00", "2026-03-02T20:15+01:00"),
    ],
)
def test_the_stated_administration_reaches_the_dose(image: str, handed_on: str) -> None:
    """By the scanner's clock where the image has no zone: one with and one without cannot be subtracted."""
    view = Fake({"at": "2026-03-02T20:15+01:00"}, {"therapy-pet": image})
    (given,) = StatedInstant().given(view)
    assert (given.word, given.text) == ("administered_at", handed_on)
    assert StatedInstant().given(Fake(view.facts, view.instants, frozenset({"delivery"}))) == ()
