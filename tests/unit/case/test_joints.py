"""What one treatment hands to its own steps and to the next: instants, earlier doses, the organ that was judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hepatica.case.catalogue import Item
from hepatica.case.steps.afterwards import NextAt
from hepatica.case.steps.course import step_named
from hepatica.case.steps.inputs import FirstOf, StatedInstant
from hepatica.case.steps.pet import ZoneOfTreatment
from hepatica.case.steps.plan_tables import PlanTables
from hepatica.case.steps.projections import therapy_is_reconstructed
from hepatica.planning.measured.treatment_results import AbsorbedDose
from hepatica.workflow.planning.adaptive import _about_organ


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
        return [] if at is None else [Item(f"{role}-1", role, 1, (), role, date=at[:10], facts={"at": at})]

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


def territories(given: Sequence[Any]) -> list[str]:
    return [one.text for one in given if one.word == "territory"]


def test_the_organ_that_was_judged_stays_where_the_next_treatment_is_not_in_the_case() -> None:
    right, left = {"territory": [{"name": "right"}]}, {"territory": [{"name": "left"}], "at": "2026-06-01T10:00"}
    assert territories(NextAt().given(Fake(right, sections={"next": {"next_at": "2026-06-01T10:00"}}))) == ["right"]
    assert territories(NextAt().given(Fake(right, coming=right))) == ["right"]
    # Of another territory, or of none: the verb says that the whole liver is judged.
    assert territories(NextAt().given(Fake(right, coming=left))) == []
    assert territories(NextAt().given(Fake(right, coming={"at": "2026-06-01T10:00"}))) == []


def test_a_part_that_had_more_than_the_mean_of_the_liver_is_said() -> None:
    dose = AbsorbedDose("dose", "Y-90", "glass", None, 2.0, 0.05, (64.05,), 4.0, {
        "whole": ("normal_liver", 49.0), "part": ("perfused_normal", 82.0), "right": ("perfused", 101.0),
    }, ())  # fmt: skip
    assert [m.severity for m in _about_organ(dose, None, 49.0)] == ["critical"]
    assert _about_organ(dose, "right", 82.0) == []
    assert [m.code for m in _about_organ(dose, "left", 82.0)] == ["other-territory"]


def test_a_plan_without_masses_waits_for_the_scout() -> None:
    facts = {"agent": "glass", "aims": {"perfused": "120 Gy"}}
    assert "normal_mass" in PlanTables().missing(Fake(facts))
    assert PlanTables().missing(Fake({**facts, "territory": [{"name": "right", "normal_mass": "0.9 kg"}]})) == ""


def test_a_pet_needs_no_reconstruction_of_projections() -> None:
    day = "2026-03-03T06:55:00"
    assert therapy_is_reconstructed(Fake(instants={"therapy-pet": day}))
    assert therapy_is_reconstructed(Fake(instants={"therapy-pet": day, "therapy-projections": day})) == ""


def test_the_age_of_the_scout_reaches_the_guardrails_and_a_stated_one_beats_it() -> None:
    facts = {"agent": "glass", "at": "2026-03-02T10:15+01:00"}
    view = Fake(facts, {"scout-projections": "2026-01-16T11:20:00", "scout-ct": "2026-03-16T11:20:00"})
    tables = {one.word: one.text for one in PlanTables().given(view)}
    assert tables["facts"] == {"scout_to_therapy_days": 45.0, "ct_age_days": -14.0}
    stated = Fake({**facts, "facts": {"scout_to_therapy_days": 12}}, view.instants)
    assert {one.word: one.text for one in PlanTables().given(stated)}["facts"]["scout_to_therapy_days"] == 12
    assert "facts" not in {one.word for one in PlanTables().given(Fake({"agent": "glass"}, view.instants))}


DAY = "2026-03-03T09:00:00"


@pytest.mark.parametrize(("at", "zone"), [("2026-03-02T10:15+01:00", "+01:00"), ("2026-03-02T10:15Z", "+00:00")])
def test_raw_data_of_a_pet_are_told_by_the_zone_of_the_treatment(at: str, zone: str) -> None:
    view = Fake({"at": at}, {"therapy-coincidences": DAY})
    assert [(one.word, one.text) for one in ZoneOfTreatment().given(view)] == [("time_zone", zone)]
    assert [one.text for one in StatedInstant().given(view)] == [at]
    beside = Fake(view.facts, view.instants, frozenset({"delivery"}))
    assert [one.text for one in StatedInstant().given(beside)] == [at]


def test_without_a_zone_of_the_treatment_none_is_given() -> None:
    assert ZoneOfTreatment().given(Fake({"at": "2026-03-02T10:15"}, {"therapy-coincidences": DAY})) == ()
    stated = Fake({"at": DAY + "+01:00"}, sections={"pet-reconstruction": {"time-zone": "+02:00"}})
    assert ZoneOfTreatment().given(stated) == ()


def test_the_dose_waits_for_the_reconstruction_of_raw_data() -> None:
    dose = step_named("dose")
    (activity,) = (one for one in dose.inputs if isinstance(one, FirstOf))
    assert "run pet-reconstruction" in activity.missing(Fake(instants={"therapy-coincidences": DAY}))
    assert activity.missing(Fake(instants={"therapy-coincidences": DAY}, done=frozenset({"pet-reconstruction"}))) == ""
    assert "pet-reconstruction" not in activity.missing(Fake())
