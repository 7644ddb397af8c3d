"""Steps of a case: each is one file and one line, its verb exists, and it takes results of steps above it only."""

from __future__ import annotations

from pathlib import Path

import pytest

from hepatica.case.steps import course
from hepatica.case.steps.course import COURSE, FILES
from hepatica.case.steps.step import Step
from hepatica.front_door import verb_named

FOLDERS = ("scout", "planning", "therapy", "after")


def test_every_file_of_a_step_is_named_and_every_name_is_a_file() -> None:
    place = Path(course.__file__).parent
    files = {f"{folder}.{path.stem}" for folder in FOLDERS for path in (place / folder).glob("[a-z]*.py")}
    assert files == set(FILES)
    assert len(FILES) == len(set(FILES)) == len(COURSE)


def test_names_are_their_own() -> None:
    names = [step.name for step in COURSE]
    assert len(names) == len(set(names))
    assert [file.rpartition(".")[2].replace("_", "-") for file in FILES] == names


@pytest.mark.parametrize("step", COURSE, ids=lambda step: step.name)
def test_a_step_has_a_verb_and_takes_what_is_made_before_it(step: Step) -> None:
    assert verb_named(step.verb).load()
    before = [one.name for one in COURSE[: COURSE.index(step)]]
    # What a second treatment takes of the first one may be of any step: "dose", "next".
    for name in step.fed_by(2):
        assert name.removesuffix("-2") in before or not name.endswith("-2")
    assert set(step.fed_by(1)) <= set(before)


def test_a_step_of_the_first_treatment_takes_nothing_of_one_before_it() -> None:
    plan = next(step for step in COURSE if step.name == "plan")
    assert "next" in plan.fed_by(2)
    assert "next" not in plan.fed_by(1)
