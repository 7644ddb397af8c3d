"""A folder that is watched, a series that arrives in two parts, and records that are to be kept."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from dicom_makers import ct_series, ramp, save, small_grid
from hepatica.case.case import Case
from hepatica.case.protect.erase import erase
from hepatica.case.running.watching import watch
from hepatica.case.verbs.status import case_status
from hepatica.errors import InputError

LABS = "patient,date,bilirubin_mg_dl,albumin_g_dl\nA,2026-03-01,0.9,4.0\n"


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case.new(tmp_path / "case")


def test_what_arrives_is_added_and_run_and_what_cannot_be_added_is_said(case: Case, tmp_path: Path) -> None:
    inbox, said = tmp_path / "inbox", []
    inbox.mkdir()
    (inbox / "labs.csv").write_text(LABS, encoding="utf-8")

    def say(text: str) -> None:
        said.append(text)
        if text == "function" and not (inbox / "other").exists():
            ct = ct_series(small_grid(), ramp(small_grid()))
            for number, patient in enumerate(("P1", "P2")):
                for dataset in ct:
                    dataset.PatientID, dataset.SeriesInstanceUID = patient, f"1.2.{number}"
                save(ct, inbox / "other" / patient)

    assert watch(case, inbox, say=say, idle_s=0.2, look_s=0.05) == ("function",)
    assert [item.role for item in case.situation().catalogue] == ["labs"]
    assert any("a case is one patient's" in text for text in said)


def test_a_file_that_still_grows_is_left_alone(case: Case, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    path, looks = inbox / "labs.csv", iter(range(1000))
    path.write_text(LABS[:30], encoding="utf-8")

    def clock() -> float:
        look = next(looks)
        if look < 4:  # each look finds more of it
            path.write_text(LABS[: 31 + look], encoding="utf-8")
        if look == 4:
            path.write_text(LABS, encoding="utf-8")
        return time.monotonic()

    watch(case, inbox, say=lambda _: None, idle_s=0.3, look_s=0.02, clock=clock)
    (item,) = case.situation().catalogue
    assert item.path(case.folder).read_text(encoding="utf-8") == LABS
    with pytest.raises(InputError, match="no folder"):
        watch(case, tmp_path / "nowhere", say=lambda _: None)


def test_a_series_that_arrives_in_two_parts_is_one(case: Case, tmp_path: Path) -> None:
    paths = save(ct_series(small_grid(), ramp(small_grid())), tmp_path / "all")
    part = tmp_path / "part"
    part.mkdir()
    for path in paths[:3]:
        shutil.copy(path, part)
    case.add(part)
    case.take("ct-1", "baseline-ct")
    case.add(tmp_path / "all")
    (item,) = case.situation().catalogue
    assert (item.name, item.role, len(item.files), item.by_person) == ("ct-1", "baseline-ct", 6, True)
    assert case.add(part).known == ("ct-1",)
    assert not case.situation().altered


def test_a_series_of_the_same_identifier_and_other_content_is_asked_for(case: Case, tmp_path: Path) -> None:
    save(ct_series(small_grid(), ramp(small_grid())), tmp_path / "first")
    save(ct_series(small_grid(), ramp(small_grid()) + 100), tmp_path / "second")
    case.add(tmp_path / "first")
    case.add(tmp_path / "second")
    assert len(case.situation().catalogue) == 2
    for item in case.situation().catalogue:
        assert "other content: keep one" in "; ".join(item.doubts)


def test_records_are_kept_as_long_as_is_stated(case: Case) -> None:
    case.set(**{"case.retain_until": "2999-01-01"})
    assert case_status(case.folder).retain_until == "2999-01-01"
    with pytest.raises(InputError, match="to be kept until 2999-01-01"):
        erase(case.folder, "request")
    case.set(**{"case.retain_until": "2020-01-01"})
    assert "retention-ended" in [message.code for message in case_status(case.folder).messages]
    assert erase(case.folder, "retention ended") == 0
    with pytest.raises(InputError, match="no date"):
        Case.new(case.folder.parent / "other").set(**{"case.retain_until": "soon"})
