"""What no treatment can be is refused when it is stated, and a step that cannot run says what failed above it."""

from __future__ import annotations

from pathlib import Path

import pytest

from case_makers import FACTS_TEXT, stated_case
from hepatica.case.catalogue import Item
from hepatica.case.layout import FACTS
from hepatica.case.verbs.shown import about_images
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
        ("treatment.delivery.reading_after_at", "2026-03-12T09:55+01:00", "before the injection"),
        ("treatment.delivery.reading_before_at", "2026-03-12T10:05+01:00", "after the injection"),
        ("treatment.delivery.vial", "-1 GBq", "positive"),
        ("treatment.dose.administered", "0 GBq", "positive"),
        ("treatment.residual", "140 %", "0 to 1"),
        ("treatment.lungs.lung_shunt", "140 %", "0 to 1"),
        ("treatment.territory.1.normal_mass", "-0.9 kg", "positive"),
        ("treatment.uncertainty.mass", "-5 %", "0 to 1"),
        ("patient.weight", "-70 kg", "positive"),
        ("patient.weight", "7000 kg", "between 0.5 and 650 kg"),
        ("patient.height", "175 m", "between 0.3 and 2.8 m"),
        ("patient.bilirubin", "61 mg/dL", "mg/dL"),
        ("patient.sex", "Z", "known: F, M, O"),
        ("patient.birth_date", "2026-03-13", "before they are born"),
        ("patient.birth_date", "yesterday", "no date"),
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


def test_images_that_no_step_can_take_as_they_are_are_said() -> None:
    def item(name: str, role: str, what: str, date: str) -> Item:
        return Item(name, role, 1, (), name, what=what, date=date)

    treatments = ({"at": "2026-03-02T10:15"},)
    early, late = (item("ct-1", "follow-up-ct", "CT", day) for day in ("2026-03-01", "2026-06-01"))
    (said,) = about_images((early, late), treatments)
    assert said.code == "follow-up-before-treatment"
    assert "ct-1" in said.text
    echoes = item("mr-1", "therapy-mr", "multi-echo MR, 4 echoes, magnitude", "2026-03-03")
    single = item("mr-2", "therapy-mr", "MR", "2026-03-03")
    assert [m.code for m in about_images((echoes, single), treatments)] == ["echo-not-used"]
    assert about_images((echoes,), treatments) == about_images((single,), treatments) == ()
