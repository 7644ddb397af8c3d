"""What is not as it was made, or was left out, is never used for what stands on it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from case_makers import FACTS_TEXT, stated_case, states
from hepatica.case.adding import sorted_anew
from hepatica.case.case import Case
from hepatica.case.catalogue import Catalogue, Item
from hepatica.case.facts import Facts
from hepatica.case.layout import FACTS, STEPS
from hepatica.case.protect.pack import Lock, pack
from hepatica.case.sorting.seen import Seen
from hepatica.case.steps.course import step_named
from hepatica.errors import InputError, UnknownNameError
from hepatica.io.dicom.series import SeriesKind


@pytest.fixture
def case(tmp_path: Path) -> Case:
    made = stated_case(tmp_path / "patient")
    made.run()
    return made


def edited(path: Path, *, same_time: bool = False) -> None:
    before = path.stat()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"9", b"8"))
    assert path.read_bytes() != content
    if same_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_what_stands_on_a_skipped_step_is_out_of_date(case: Case) -> None:
    case.skip("delivery", "vial not measured")
    found = states(case)
    assert (found["delivery"], found["safety"]) == ("skipped", "out of date")
    assert found["plan"] == "done"
    with pytest.raises(InputError, match="skipped"):
        case["delivery"]


def test_an_edited_result_is_used_by_nothing(case: Case) -> None:
    edited(case.folder / STEPS / "delivery" / "result.json")
    found = {step.name: step for step in case.steps()}
    assert found["delivery"].reasons == ("steps/delivery/result.json was changed after it was written",)
    assert found["safety"].state == "out of date"
    with pytest.raises(InputError, match="run it first"):
        case.check("delivery", "A. Physicist")
    assert "delivery" in [step.name for step in case.run()]
    assert {states(case)[name] for name in ("delivery", "safety")} == {"done"}


def test_an_edit_that_kept_the_time_is_found_before_the_result_is_used(case: Case, tmp_path: Path) -> None:
    edited(case.folder / STEPS / "delivery" / "result.json", same_time=True)
    with pytest.raises(InputError, match=r"delivery/result\.json was changed"):
        case.check("delivery", "A. Physicist")
    phrase = tmp_path / "phrase"
    phrase.write_text("a passphrase of some length", encoding="utf-8")
    with pytest.raises(InputError, match="could not be proved"):
        pack(case.folder, tmp_path / "case.age", Lock.of((), phrase))
    situation = case.situation()
    with pytest.raises(InputError, match="not what was added or made"):
        situation.require_unedited(situation.given(step_named("safety"), 1))


@pytest.mark.parametrize(
    ("key", "value", "error", "said"),
    [
        ("treatment.agent", "glas", UnknownNameError, "glass"),
        ("treatment.intent", "lobectom", UnknownNameError, "lobectomy"),
        ("treatment.at", "2026-13-40", InputError, "no instant"),
    ],
)
def test_what_cannot_be_is_not_stated(case: Case, key: str, value: str, error: type[Exception], said: str) -> None:
    before = (case.folder / FACTS).read_text(encoding="utf-8")
    with pytest.raises(error, match=said):
        case.set(**{key: value})
    assert (case.folder / FACTS).read_text(encoding="utf-8") == before


def test_treatments_stand_in_their_order(case: Case) -> None:
    with pytest.raises(InputError, match="treatment 2 is given on 2026-01-05, before treatment 1"):
        case.set(**{"treatment.2.at": "2026-01-05T10:00+01:00"})


def image(name: str, at: str = "2026-05-20T10:00:00", **more: str) -> Item:
    facts = Seen(SeriesKind.CT, "CT", frame=name, patient=more.get("patient", "7"), name=more.get("person", "")).facts()
    return Item(name, "unused", 0, (), name, patient=more.get("patient", "7"), facts=facts | {"at": at})


def test_images_follow_what_was_written_by_hand(case: Case) -> None:
    Catalogue((image("ct-1"),)).write(case.folder)
    assert case.situation().catalogue["ct-1"].role == "follow-up-ct"
    text = FACTS_TEXT.replace("2026-03-12", "2026-06-12")
    (case.folder / FACTS).write_text(text, encoding="utf-8")
    assert case.situation().catalogue["ct-1"].role == "baseline-ct"


def test_another_person_of_the_same_number_is_in_doubt(case: Case) -> None:
    facts = Facts(case.folder / FACTS, {"treatment": []})
    items = (image("ct-1", person="MUSTERMANNERIKA"), image("ct-2", person="SOMEONEELSE"), image("ct-3", patient=""))
    found = sorted_anew(Catalogue(items), facts)
    assert any("another name of the patient than ct-2" in text for text in found["ct-1"].doubts)
    assert any("names no patient" in text for text in found["ct-3"].doubts)


def test_a_number_that_the_images_do_not_have_is_refused(case: Case) -> None:
    Catalogue((image("ct-1"),)).write(case.folder)
    with pytest.raises(InputError, match="is of patient '7'"):
        case.set(**{"patient.id": "OTHER"})
