"""The folder of a case: steps run once, only what follows from a change again, and nothing is lost on the way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from case_makers import FACTS_TEXT, result, stated_case, states
from hepatica.case.case import Case
from hepatica.case.layout import FACTS, KEY, LOG, SET_ASIDE
from hepatica.case.log import START
from hepatica.errors import InputError, OutputError, UnknownNameError


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return stated_case(tmp_path / "patient")


def test_steps_run_in_order_and_once(case: Case) -> None:
    assert [step.name for step in case.run()] == ["plan", "order", "delivery", "safety"]
    assert case.run() == ()
    assert {states(case)[name] for name in ("plan", "order", "delivery", "safety")} == {"done"}


def test_what_a_step_finds_is_handed_on(case: Case) -> None:
    """The planned activity and the delivered one are typed nowhere."""
    case.run()
    planned = result(case, "plan")["territories"][0]  # type: ignore[index]
    chosen = planned["methods"][planned["chosen"]]
    assert result(case, "order")["provenance"]["parameters"]["planned_gbq"] == pytest.approx(chosen["planned_gbq"])  # type: ignore[index]
    given = result(case, "delivery")["administered_gbq"]
    assert result(case, "safety")["administered_gbq"] == pytest.approx(given)


def test_only_what_follows_from_a_change_is_out_of_date(case: Case) -> None:
    case.run()
    case.set(**{"treatment.delivery.reading_after": "3 uSv/h"})
    found = states(case)
    assert (found["plan"], found["order"]) == ("done", "done")
    assert (found["delivery"], found["safety"]) == ("out of date", "out of date")
    assert [step.name for step in case.run()] == ["delivery", "safety"]


def test_a_change_above_reaches_everything_below(case: Case) -> None:
    case.run()
    case.set(**{"treatment.aims.perfused": "130 Gy"})
    assert {name for name, state in states(case).items() if state == "out of date"} == {
        "plan", "order", "delivery", "safety",
    }  # fmt: skip


def test_a_named_step_runs_what_it_stands_on(case: Case) -> None:
    assert [step.name for step in case.run("order")] == ["plan", "order"]


def test_a_step_that_lacks_something_says_what(case: Case) -> None:
    with pytest.raises(InputError, match="dose cannot run: add therapy-pet or therapy-spect"):
        case.run("dose")


def test_a_step_that_fails_is_noted_and_others_go_on(case: Case) -> None:
    path = case.folder / FACTS  # `set` refuses what cannot be; a hand does not
    path.write_text(path.read_text(encoding="utf-8").replace('"3 GBq"', '"-3 GBq"'), encoding="utf-8")
    case.run()
    assert states(case)["delivery"] == "failed"
    assert states(case)["plan"] == "done"
    case.set(**{"treatment.delivery.vial": "3 GBq"})
    assert states(case)["delivery"] == "ready"


def test_a_check_falls_with_the_result(case: Case) -> None:
    case.run()
    case.check("plan", "A. Physicist")
    assert next(s for s in case.steps() if s.name == "plan").checked_by.startswith("A. Physicist, 20")
    case.set(**{"treatment.aims.perfused": "130 Gy"})
    assert next(s for s in case.steps() if s.name == "plan").checked_by == ""
    with pytest.raises(InputError, match="out of date"):
        case.check("plan", "A. Physicist")


def test_a_skipped_step_keeps_its_reason(case: Case) -> None:
    case.skip("lung-shunt", "no 99mTc-MAA was given")
    found = next(s for s in case.steps() if s.name == "lung-shunt")
    assert (found.state, found.reasons) == ("skipped", ("no 99mTc-MAA was given",))


def test_the_second_treatment_has_steps_of_its_own(case: Case) -> None:
    case.run()
    text = (case.folder / FACTS).read_text(encoding="utf-8")
    second = text[text.index("[[treatment]]") :].replace("2026-03-12", "2026-06-12")
    (case.folder / FACTS).write_text(text + "\n" + second, encoding="utf-8")
    assert states(case)["plan"] == "done"
    assert [step.name for step in case.run("plan-2")] == ["plan-2"]


def test_a_moved_case_is_as_it_was(case: Case, tmp_path: Path) -> None:
    case.run()
    shutil.move(case.folder, tmp_path / "elsewhere")
    moved = Case.open(tmp_path / "elsewhere")
    assert states(moved)["order"] == "done"
    assert moved.run() == ()


def test_a_file_that_changed_makes_its_steps_out_of_date(case: Case, tmp_path: Path) -> None:
    labs = tmp_path / "labs.csv"
    labs.write_text("patient,date,bilirubin_mg_dl,albumin_g_dl\nMustermann,2026-03-01,0.9,4.0\n", encoding="utf-8")
    case.add(labs, "labs")
    case.run("function")
    kept = next((case.folder / "images").glob("labs-1/*.csv"))
    kept.write_text(kept.read_text(encoding="utf-8").replace("0.9", "9.0"), encoding="utf-8")
    found = next(s for s in case.steps() if s.name == "function")
    assert found.state == "out of date"
    assert found.reasons == ("images/labs-1/labs.csv changed",)
    with pytest.raises(InputError, match="changed"):
        case.run("function")


def test_the_same_file_is_not_added_twice(case: Case, tmp_path: Path) -> None:
    labs = tmp_path / "labs.csv"
    labs.write_text("patient,date,bilirubin_mg_dl\n", encoding="utf-8")
    case.add(labs, "labs")
    assert case.add(labs, "labs").known == ("labs-1",)
    assert len(case.situation().catalogue) == 1
    with pytest.raises(UnknownNameError, match="role"):
        case.add(labs, "laboratory")


def test_set_keeps_comments_and_refuses_what_is_no_key(case: Case) -> None:
    case.set(**{"patient.weight": "80 kg"})
    assert 'weight = "80 kg"        # measured at admission' in (case.folder / FACTS).read_text(encoding="utf-8")
    before = (case.folder / FACTS).read_text(encoding="utf-8")
    with pytest.raises(InputError, match="wieght"):
        case.set(**{"patient.wieght": "80 kg"})
    assert (case.folder / FACTS).read_text(encoding="utf-8") == before


def test_a_newer_case_is_refused(case: Case) -> None:
    (case.folder / FACTS).write_text(FACTS_TEXT.replace("version = 1", "version = 2"), encoding="utf-8")
    with pytest.raises(InputError, match="newer hepatica"):
        Case.open(case.folder)


def test_the_chain_shows_a_changed_a_removed_and_an_added_line(case: Case) -> None:
    case.run()
    path = case.folder / LOG
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for wrong in (
        [*lines[:2], lines[2].replace('"plan"', '"dose"').replace('"what": "', '"what": "x'), *lines[3:]],
        [*lines[:1], *lines[2:]],
        [*lines[:2], lines[1], *lines[2:]],
    ):
        path.write_text("".join(wrong), encoding="utf-8")
        assert "line " in case.history().problem
        with pytest.raises(InputError, match="log"):
            case.run()
    path.write_text("".join(lines), encoding="utf-8")
    assert case.history().problem == ""
    assert case.history().last_hash != START


def test_the_log_names_no_person_and_outlives_its_key(case: Case) -> None:
    case.set(**{"patient.name": "Max Mustermann"})
    case.check("plan", "A. Physicist") if case.run() else None
    public = (case.folder / LOG).read_text(encoding="utf-8")
    assert "Mustermann" not in public
    assert "Physicist" not in public
    assert "Mustermann" not in (case.folder / "personal.jsonl").read_text(encoding="utf-8")
    (case.folder / KEY).unlink()
    assert case.history().problem == ""
    assert next(s for s in case.steps() if s.name == "plan").checked_by.startswith("somebody (erased)")


def test_what_a_kill_left_is_noted(case: Case) -> None:
    """A run that was killed between its result and its line; a line that was cut off."""
    case.run()
    path = case.folder / LOG
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
    assert case.history().is_torn
    assert states(case)["safety"] == "done"
    case.set(**{"patient.weight": "76 kg"})
    later = case.history().about("ran", step="safety", noted_later=True)
    assert len(later) == 1
    assert not case.history().is_torn


def test_one_process_at_a_time(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    from hepatica.case import changing

    monkeypatch.setattr(changing, "WAIT_S", 0.05)
    with FileLock(case.folder / ".lock"), pytest.raises(OutputError, match="another process"):
        case.run()


def test_a_result_that_was_edited_is_set_aside(case: Case) -> None:
    case.run()
    (case["plan"] / "plan.html").write_text("mine", encoding="utf-8")
    case.set(**{"treatment.aims.perfused": "130 Gy"})
    case.run("plan")
    (aside,) = (case.folder / SET_ASIDE).iterdir()
    assert (aside / "plan.html").read_text(encoding="utf-8") == "mine"
    assert "mine" not in (case["plan"] / "plan.html").read_text(encoding="utf-8")


def test_what_is_no_result_of_a_step_keeps_the_folder(case: Case) -> None:
    case.run()
    (case["plan"] / "notes.txt").write_text("mine", encoding="utf-8")
    case.set(**{"treatment.aims.perfused": "130 Gy"})
    with pytest.raises(OutputError, match=r"notes\.txt"):
        case.run("plan")
