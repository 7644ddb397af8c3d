"""What no treatment can be is refused when it is stated, and a step that cannot run says what failed above it."""

from __future__ import annotations

from pathlib import Path

import pytest

from case_makers import FACTS_TEXT, stated_case
from hepatica.case.layout import FACTS
from hepatica.errors import HepaticaError, InputError


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("treatment.aims.perfused", "-120 Gy", "aims"),
        ("treatment.aims.perfuse", "120 Gy", "perfused"),
        ("treatment.aims.perfused", "120 MBq", "aims"),
        ("treatment.dose.engin", "local", "engine"),
        ("treatment.delivery.reading_after", "120 uSv/h", "more than"),
        ("treatment.delivery.reading_after_at", "2026-03-12T09:00+01:00", "before"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_changed(tmp_path: Path, key: str, value: str, said: str) -> None:
    case = stated_case(tmp_path / "case")
    with pytest.raises(HepaticaError, match=said):
        case.set(**{key: value})
    assert (case.folder / FACTS).read_text("utf-8") == FACTS_TEXT


def test_an_aim_may_be_stated_after_a_limit(tmp_path: Path) -> None:
    case = stated_case(tmp_path / "case")
    case.set(**{"treatment.aims.lung_limit": "20 Gy", "treatment.aims.perfused": None})
    case.set(**{"treatment.aims.tumour": "205 Gy"})


def test_a_step_says_which_one_above_it_failed_and_why(tmp_path: Path) -> None:
    case = stated_case(tmp_path / "case")
    text = FACTS_TEXT.replace('vial = "3 GBq"', 'vial = "-3 GBq"')
    (case.folder / FACTS).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"delivery failed: .*vial"):
        case.run("safety")
