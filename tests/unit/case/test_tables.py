"""Tables of laboratory values and lesion sizes: of this patient alone, and such that their step takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from case_makers import states
from hepatica.case.case import Case
from hepatica.case.verbs.status import case_status
from hepatica.errors import InputError
from hepatica.workflow.outcome.liver_function import liver_function

HEADS = "patient,date,bilirubin_mg_dl,albumin_g_dl\n"


def written(folder: Path, text: str, name: str = "labs.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("who", ["P-7", "p-7", "Mustermann", "Mustermann^Erika", "Erika Mustermann"])
def test_the_patient_is_known_by_number_and_name(tmp_path: Path, who: str) -> None:
    case = Case.new(tmp_path / "case")
    case.set(**{"patient.id": "P-7", "patient.name": "Erika Mustermann"})
    case.add(written(tmp_path, f"{HEADS}{who},2026-03-01,0.9,4.0\n"))
    case.run("function")
    assert states(case)["function"] == "done"


@pytest.mark.parametrize("rows", ["P-70,2026-03-01,0.9,4.0\n", "P-7,2026-03-01,0.9,4.0\nP-8,2026-03-01,9.9,2.0\n"])
def test_a_table_of_another_patient_is_refused(tmp_path: Path, rows: str) -> None:
    case = Case.new(tmp_path / "case")
    case.set(**{"patient.id": "P-7"})
    with pytest.raises(InputError, match="a case is one patient's"):
        case.add(written(tmp_path, HEADS + rows))
    assert not case.situation().catalogue.items


def test_a_table_that_came_before_the_patient_was_named_feeds_no_step_of_another(tmp_path: Path) -> None:
    case = Case.new(tmp_path / "case")
    case.add(written(tmp_path, f"{HEADS}SOMEONE-ELSE,2026-03-01,9.9,2.0\n"))
    case.set(**{"patient.id": "P-7"})
    with pytest.raises(InputError, match="SOMEONE-ELSE"):
        case.run("function")
    assert states(case)["function"] == "failed"


def test_two_patients_in_a_case_that_names_nobody_are_refused(tmp_path: Path) -> None:
    case = Case.new(tmp_path / "case")
    with pytest.raises(InputError, match="one patient's"):
        case.add(written(tmp_path, f"{HEADS}A,2026-03-01,0.9,4.0\nB,2026-03-01,0.9,4.0\n"))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("labs.csv", f"{HEADS}A,2026-03-01,0.9,390\n", "row 2, column 'albumin_g_dl'"),
        ("labs.csv", f"{HEADS}A,2026-02-30,0.9,4.0\n", "column 'date'"),
        ("labs.csv", f"{HEADS}A,2126-03-01,0.9,4.0\n", "column 'date'"),
        ("measurements.csv", "patient,lesion,date,diameter_mm\nA,1,2026-03-01,-30\n", "column 'diameter_mm'"),
        (
            "measurements.csv",
            "patient,lesion,date,viable_mm\nA,1,2026-03-01,abc\n",
            "column 'viable_mm'",
        ),
    ],
)
def test_a_table_that_its_step_refuses_says_so_when_it_comes(tmp_path: Path, name: str, text: str, said: str) -> None:
    case = Case.new(tmp_path / "case")
    (item,) = case.add(written(tmp_path, text, name)).items
    (doubt,) = item.doubts
    assert said in doubt
    assert "abc" not in doubt  # what stands in a cell may name somebody
    assert str(tmp_path) not in doubt
    codes = {message.code for message in case_status(case.folder).messages}
    assert "table-unusable" in codes
    assert "images-in-doubt" not in codes


def test_a_first_visit_is_enough(tmp_path: Path) -> None:
    """A baseline alone has no response yet, and is a sound table."""
    case = Case.new(tmp_path / "case")
    text = "patient,lesion,date,diameter_mm,viable_mm,new\nA,1,2026-03-01,50,45,\n"
    (item,) = case.add(written(tmp_path, text, "measurements.csv")).items
    assert item.doubts == ()


def test_the_door_has_the_rules_of_the_step(tmp_path: Path) -> None:
    """What the door calls sound the step takes, and the other way round."""
    for bilirubin in ("0.9", "-4", "zero point nine", "61", ""):
        case = Case.new(tmp_path / f"case-{bilirubin}")
        path = written(tmp_path, f"{HEADS}A,2026-03-01,{bilirubin},4.0\n")
        (item,) = case.add(path).items
        try:
            liver_function(path)
            is_sound = True
        except InputError:
            is_sound = False
        assert (item.doubts == ()) is is_sound
