"""The report of a case: numbers of its first page are those of the steps, and none that is out of date is shown."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from case_makers import result, stated_case
from hepatica.case.case import Case
from hepatica.case.report.course import CourseStep, StoredPicture
from hepatica.case.report.document import case_document
from hepatica.case.report.front import front_sections
from hepatica.case.report.histograms import histograms_of
from hepatica.case.report.material import CaseMaterial, Disease, Person
from hepatica.case.report.objects import administration
from hepatica.case.report.room import ROOMS, Room
from hepatica.case.report.summary import LESIONS_SHOWN, shown_structures, summary_of
from hepatica.case.report.warnings import few_of_each, open_warnings
from hepatica.core.message import Message
from hepatica.core.numbers.wording import three
from hepatica.core.tables.table import Table
from hepatica.report.document import Document, TableBlock
from hepatica.report.html import html_page
from hepatica.report.pdf import pages_of, pdf_page

STATED = {"agent": "glass", "intent": "lobectomy", "at": "2026-03-12T10:00+01:00"}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    made = stated_case(tmp_path / "patient")
    made.run()
    return made


def page(case: Case) -> str:
    report = case.report()
    return html_page(case_document(report.material, report.provenance.now()))


def test_numbers_of_the_first_page_are_those_of_the_steps(case: Case) -> None:
    (found,) = case.report().as_dict()["case_treatments"]
    plan, delivery = result(case, "plan"), result(case, "delivery")
    assert found["planned_gbq"] == plan["planned_gbq"]
    assert found["planned_lung_dose_gy"] == plan["doses"]["lung_gy"]
    assert (found["administered_gbq"], found["administered_gbq_sd"]) == (
        delivery["administered_gbq"], delivery["administered_gbq_sd"],
    )  # fmt: skip
    assert found["residual_fraction"] == delivery["residual_fraction"]
    assert found["vial_at_injection_gbq"] == delivery["vial_at_injection_gbq"]
    text = page(case)
    for number in ("planned_gbq", "vial_at_injection_gbq", "planned_lung_dose_gy"):
        assert three(found[number]) in text, number
    assert case.report().log_hash == case.history().last_hash
    assert case.history().last_hash in text


def test_what_is_out_of_date_is_said_and_its_numbers_are_not_shown(case: Case) -> None:
    given = result(case, "delivery")["vial_at_injection_gbq"]
    assert three(given) in page(case)
    case.set(**{"treatment.delivery.vial": "4 GBq"})
    report = case.report()
    (found,) = report.case_treatments
    assert (found.administered_gbq, found.residual_fraction, found.vial_at_injection_gbq) == (None, None, None)
    assert found.planned_gbq is not None
    text = page(case)
    assert "Delivery (delivery) is out of date" in text
    assert three(given) not in text
    assert {m.code for m in report.messages} >= {"step-not-usable"}
    assert "not up to date: delivery, safety" in report.title()


def test_a_result_that_was_edited_is_not_shown(case: Case) -> None:
    path = case["plan"] / "result.json"
    content = json.loads(path.read_text("utf-8"))
    content["planned_gbq"] *= 10
    path.write_text(json.dumps(content), encoding="utf-8")
    (found,) = case.report().case_treatments
    assert found.planned_gbq is None
    assert "is out of date" in page(case)


def test_what_was_made_from_an_edited_result_is_not_shown_either(case: Case) -> None:
    path = case["plan"] / "result.json"
    times = path.stat()
    text = path.read_text("utf-8")
    path.write_text(text.replace('"planned_gbq": 2', '"planned_gbq": 7', 1), encoding="utf-8")
    assert path.read_text("utf-8") != text
    # Neither size nor time tells it: the hashes do.
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_size == times.st_size
    found = {step.name: step for step in case.report().material.steps}
    assert found["plan"].state == "changed"
    assert (found["order"].state, found["order"].document) == ("out of date", {})
    assert "made from plan, whose result was changed" in found["order"].reasons
    assert found["function"].state == "waiting"


def test_a_table_that_was_edited_is_not_shown(case: Case) -> None:
    path = case["plan"] / "doses.csv"
    path.write_text(path.read_text("utf-8").replace("120", "12"), encoding="utf-8")
    path.write_text(path.read_text("utf-8") + "lungs of somebody,7\n", encoding="utf-8")
    assert next(step for step in case.report().steps if step.name == "plan").state == "out of date"
    assert "lungs of somebody" not in page(case)


def test_a_step_left_out_has_its_reason_and_a_failed_one_its_error(case: Case) -> None:
    case.skip("lung-shunt", "no 99mTc-MAA was given")
    case.set(**{"treatment.delivery.reading_before_at": "2026-03-12T09:50"})  # no zone: the step refuses it
    case.run()
    text = page(case)
    assert "Lung shunt (no 99mTc-MAA was given)" in text
    assert "Delivery (delivery) failed" in text


def test_who_checked_what_and_when(case: Case) -> None:
    case.check("plan", "A. Physicist <b>")
    text = page(case)
    assert re.search(r"Plan by A\. Physicist &lt;b&gt; on 20\d\d-\d\d-\d\d", text)
    case.set(**{"treatment.aims.perfused": "130 Gy"})
    assert "Plan by" not in page(case)


def test_an_empty_case_has_a_report(tmp_path: Path) -> None:
    case = Case.new(tmp_path / "new")
    report = case.report()
    report.save(tmp_path / "out")
    assert (tmp_path / "out" / "report.pdf").read_bytes().startswith(b"%PDF")
    assert not list((tmp_path / "out").glob("*.dcm"))


def test_the_report_changes_nothing_in_the_case(case: Case) -> None:
    before = {path: path.read_bytes() for path in case.folder.rglob("*") if path.is_file()}
    case.report()
    assert {path: path.read_bytes() for path in case.folder.rglob("*") if path.is_file()} == before


def structure(name: str, role: str, gray: float, volume: float = 50.0, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "role": role, "volume_ml": volume, "mass_g": 1.05 * volume, "dose_mean_gy": gray,
        "dose_mean_known_sd_gy": 0.1 * gray, "d_percent_gy": {"95": 0.5 * gray},
        "uncertainty": {"not_known": ["calibration"]}, **more,
    }  # fmt: skip


def limit(name: str, status: str, **more: Any) -> dict[str, Any]:
    row = {"structure": name, "comparison": ">=", "limit_gy": 205.0, "status": status, "applies": True}
    return {**row, "condition": "HCC", "source": "label", "not_judged": "", **more}


DOSE = {
    "nuclide": "Y-90",
    "engine": "kernel",
    "structures": [
        structure("liver", "liver", 60.0, 1500.0),
        structure("perfused", "perfused", 101.0, 900.0),
        *(structure(f"tumour {n}", "tumour", 200.0 + n, 10.0 * n) for n in range(1, 9)),
        structure("all tumours", "all_tumours", 204.0, 360.0),
        structure("liver minus tumours", "normal_liver", 48.0, 1140.0),
    ],
    "limits": [
        limit("tumour 8", "met"),
        limit("tumour 8", "violated", applies=False),
        limit("lungs by the shunt", "near", comparison="<=", limit_gy=30.0),
        limit("lungs", "met", comparison="<=", not_judged="lungs by the shunt is judged"),
    ],
    "lung_doses": {
        "by_shunt": {"dose_lung_gy": 4.3, "dose_lung_gy_sd": 0.4, "lung_mass_kg": 1.1},
        "by_image": {"structure": "lungs", "dose_mean_gy": 3.9},
        "judged": "shunt",
        "dose_judged_gy": 4.3,
    },
}  # fmt: skip
PLAN = {
    "planned_gbq": 3.1,
    "territories": [{"name": "right lobe", "chosen": "mird", "methods": {"mird": {"doses": {"perfused_gy": 120.0}}}}],
    "doses": {
        "tumour_gy": 240.0, "lesions_gy": {"tumour 8": 250.0}, "normal_liver_gy": 50.0, "lung_gy": 5.0,
        "perfused_normal_gy": {"right lobe": 80.0},
    },
}  # fmt: skip
DELIVERY = {
    "nuclide": "Y-90", "administered_gbq": 2.9, "administered_gbq_sd": 0.1, "residual_fraction": 0.02,
    "residual_fraction_sd": 0.001, "vial_at_injection_gbq": 3.0,
}  # fmt: skip
PREDICTION = {
    "models": [
        {"structure": s, "name": n, "endpoint": "response", "kind": k, "probability": 0.7, "probability_low": 0.6,
         "probability_high": 0.8, "messages": m, "source": "a publication"}
        for s, n, k, m in (("liver", "a", "ntcp", ["of another agent"]), ("liver", "b", "ntcp", []),
                           ("all tumours", "c", "tcp", []))
    ]
}  # fmt: skip


def done(kind: str, document: dict[str, Any], **more: Any) -> CourseStep:
    return CourseStep(kind, kind.capitalize(), kind, 1, "done", document=document, run_at="2026-03-13T08:00", **more)


def steps() -> dict[str, CourseStep]:
    documents = {"plan": PLAN, "delivery": DELIVERY, "dose": DOSE, "prediction": PREDICTION}
    return {kind: done(kind, document) for kind, document in documents.items()}


def material(found: dict[str, CourseStep], name: str = "Erika Mustermann") -> CaseMaterial:
    return CaseMaterial(
        person=Person(name, "1234567", "1950-01-01", "F"),
        disease=Disease("HCC", "two lesions"),
        treatments=(summary_of(1, STATED, found),),
        steps=tuple(found.values()),
        images=(),
        messages=(),
        log_lines=3,
        log_hash="0" * 64,
    )


def test_planned_and_delivered_dose_of_each_structure_with_the_goals_that_apply() -> None:
    found = {one.name: one for one in summary_of(1, STATED, steps()).structures}
    assert "liver" not in found
    eighth = found["tumour 8"]
    assert (eighth.planned_dose_gy, eighth.delivered_dose_gy, eighth.d95_gy) == (250.0, 208.0, 104.0)
    assert [(g.comparison, g.limit_gy, g.status) for g in eighth.goals] == [(">=", 205.0, "met")]
    assert found["tumour 1"].planned_dose_gy is None
    assert (found["all tumours"].planned_dose_gy, found["liver minus tumours"].planned_dose_gy) == (240.0, 50.0)
    lungs = found["lungs by the shunt"]
    assert (lungs.planned_dose_gy, lungs.delivered_dose_gy, lungs.delivered_known_sd_gy) == (5.0, 4.3, 0.4)
    assert [goal.status for goal in lungs.goals] == ["near"]
    assert "lungs" not in found
    # What is drawn as perfused is no territory of another name.
    assert found["perfused"].planned_dose_gy is None


def _page(found: dict[str, CourseStep], room: Room = ROOMS[0], indication: str = "HCC") -> str:
    one = summary_of(1, STATED, found, indication=indication)
    made = replace(material(found), treatments=(one,))
    sections = front_sections(made, one, room, None, first=True)
    return html_page(Document("Course", sections=tuple(sections)))


def test_a_limit_that_was_exceeded_is_never_left_out() -> None:
    rest = structure("perfused minus tumours", "perfused_normal", 80.2)
    limits = [
        limit("perfused minus tumours", "violated", limit_gy=88.0, condition="hypertrophy"),
        limit("perfused minus tumours", "violated", limit_gy=44.3, comparison="<=", condition="left by earlier"),
        limit("perfused minus tumours", "violated", limit_gy=60.0, comparison="<=", condition="label"),
        limit("perfused minus tumours", "met", limit_gy=120.0, comparison="<=", condition="reserve"),
    ]
    text = _page({"dose": done("dose", DOSE | {"structures": [rest], "limits": limits})}, ROOMS[-1])
    assert "44.3 Gy: left by earlier" in text
    assert "60.0 Gy: label" in text
    assert "hypertrophy" not in text
    assert "2 goals and limits, 1 of them missed or exceeded, are carried over" in text


def test_limits_and_aims_of_the_plan_stand_beside_the_published_ones() -> None:
    aim = PLAN | {
        "territories": [{"name": "right lobe", "chosen": "mird", "methods": {"mird": {"terms": {"dose_gy": 110.0}}}}]
    }
    found = {one.name: one for one in summary_of(1, STATED, steps() | {"plan": done("plan", aim)}).structures}
    (goal,) = found["perfused"].goals
    assert (goal.limit_gy, goal.status, goal.is_published) == (110.0, "violated", False)
    missed = DOSE | {"limits": [limit("perfused", "violated", limit_gy=140.0, condition="lobectomy")]}
    text = _page({"plan": done("plan", aim), "dose": done("dose", missed)}, ROOMS[-1])
    assert "140 Gy: lobectomy" in text
    assert "110 Gy: aim of the plan" in text


def test_another_activity_than_planned_stands_first() -> None:
    verification = {"total_ratio": 1.86, "total_differs": True, "catheter_position_changed": False}
    found = steps() | {
        "plan": done("plan", PLAN | {"administered_gbq": 2.0}),
        "delivery": done("delivery", DELIVERY | {"administered_gbq": 3.7}),
        "verification": done("verification", verification),
    }
    text = _page(found)
    assert "treatment 1: +85.0 % activity given against planned" in text
    assert "+85.0 % against planned" in text
    assert "distributed as the scout; but another amount: energy in the liver 1.86 of planned" in text
    assert "activity given against planned" not in _page(steps() | {"delivery": done("delivery", DELIVERY)})
    # Without readings of the vial the header's activity tells it.
    header = {"provenance": {"parameters": {"administered_activity_bq": 3.7e9, "residual_fraction": 0.0}}}
    text = _page({"plan": found["plan"], "dose": done("dose", DOSE | header)})
    assert "treatment 1: +85.0 % activity given against planned" in text
    assert "3.70 GBq as the dose has it" in text


def test_the_image_of_a_dose_and_of_the_lungs_is_named() -> None:
    lungs = {"by_image": {"structure": "lungs"}, "judged": "image", "dose_judged_gy": 3.9}
    dose = done(
        "dose", DOSE | {"lung_doses": lungs}, given={"activity": "images/therapy-pet-2", "agent": "treatment 1"}
    )
    assert dose.made_from == "therapy-pet-2"
    text = _page(steps() | {"dose": dose})
    assert "therapy-pet-2" in text
    assert "Lungs: planned by the shunt, delivered by the image." in text
    assert "delivered by the image" not in _page(steps())
    assert "does not determine the dose of single voxels" not in text
    imaged = structure("lungs", "lung", 3.9, voxels_supported=False)
    alone = done("dose", DOSE | {"lung_doses": lungs, "structures": [*DOSE["structures"], imaged]})
    text = _page(steps() | {"dose": alone})
    assert "lungs (mean\N{NO-BREAK SPACE}alone)" in text
    assert "Mean alone: the image does not determine the dose of single voxels there." in text


def test_a_goal_that_is_not_there_says_why() -> None:
    found = {"dose": done("dose", DOSE | {"limits": []})}
    assert "no published goal or limit for this indication and intent" in _page(found)
    assert "indication or intent is not stated" in _page(found, indication="")


def test_questions_of_the_first_page_begin_with_what_speaks_against_a_top_up() -> None:
    def asked(structure: str, kind: str) -> dict[str, Any]:
        row = {"structure": structure, "finding": f"found {kind}", "kind": kind, "certainty": "certain"}
        return {**row, "question": "?", "source": "a", "limit_gy": 1.0}

    kinds = ("open", "top-up", "untreated", "no top-up")
    found = steps() | {"verification": done("verification", {"suggestions": [asked(k, k) for k in kinds]})}
    text = _page(found)
    assert text.index("found no top-up") < text.index("found untreated")
    assert "fed by another artery?" in text
    assert "found open" not in text  # there is room for two


def test_the_largest_lesions_stand_on_the_first_page() -> None:
    shown = [one.name for one in shown_structures(summary_of(1, STATED, steps()).structures) if one.role == "tumour"]
    assert shown == [f"tumour {n}" for n in range(9 - LESIONS_SHOWN, 9)]


def test_predictions_within_their_validity_come_first() -> None:
    chances = summary_of(1, STATED, steps()).chances
    assert [(one.model, one.within_validity) for one in chances] == [("c", True), ("b", True), ("a", False)]


def test_what_a_watched_injection_brought_is_said_with_its_agent_or_that_it_is_not_measured() -> None:
    seen = {"agent": "maa", "is_measured": True, "delivered_bq": 147.3e6, "delivered_bq_sd": 2.4e6}
    assert summary_of(1, STATED, steps()).watched == ""
    assert summary_of(1, STATED, steps() | {"injection": done("injection", seen)}).watched == "maa: 147 ± 2.4 MBq"
    blind = seen | {"is_measured": False, "delivered_bq": None}
    assert summary_of(1, STATED, steps() | {"injection": done("injection", blind)}).watched == "maa: not measured"


def test_a_message_that_was_handed_on_is_said_once(case: Case) -> None:
    """The plan breaks a limit of its own; order and delivery hand on what it says of that."""
    case.set(**{"treatment.aims.lung_limit": "1 Gy"})
    case.run()
    assert any("steps/plan: " in one["text"] for one in result(case, "order")["messages"])
    material = case.report().material
    assert not any("steps/plan: " in message.text for step in material.steps for message in step.messages)
    messages, _ = open_warnings(material.of_treatment(1).values(), 99)
    assert len({message.text for message in messages}) == len(messages) > 0
    assert page(case).count("steps/plan: ") == 0


def test_the_folder_of_a_case_is_not_named_without_identity(case: Case) -> None:
    moved = case.folder.rename(case.folder.with_name("nickname of somebody"))
    report = Case.open(moved).report().anonymous()
    text = html_page(case_document(report.material, report.provenance.now()))
    for path in (str(case.folder), "nickname of somebody"):
        assert path not in text
        assert path not in json.dumps(report.as_dict())


def test_a_uid_does_not_fill_the_first_page() -> None:
    uid = "1.2.826.0.1.3680043.8.498.63456789012345678901234567890123456789"
    step = done("dose", {"messages": [{"code": "a", "text": f"frame {uid} is another", "severity": "warning"}]})
    (message,), _ = open_warnings([step])
    assert message.text == "Dose: frame …23456789 is another"


def test_histograms_are_those_of_the_tables() -> None:
    table = Table.of(
        ("dose_gy", "tumour 8 volume_percent", "other volume_percent"), [(0.0, 100.0, 100.0), (9.0, 40.0, 1)]
    )
    planned = Table.of(("dose_gy", "tumour 8 volume_percent", "normal liver volume_percent"), [(0.0, 100.0, 100.0)])
    found = {
        "plan": done("plan", PLAN, tables={"planned-dvh": planned}),
        "dose": done("dose", DOSE, tables={"dvh": table}),
    }
    curves = {one.name: one for one in histograms_of(summary_of(1, STATED, found).structures, found)}
    assert curves["tumour 8"].delivered == ((0.0, 9.0), (100.0, 40.0))
    assert curves["tumour 8"].planned == ((0.0,), (100.0,))
    assert curves["liver minus tumours"].planned == ((0.0,), (100.0,))
    assert curves["liver minus tumours"].delivered is None


def test_the_administration_of_the_dose_report_is_what_was_delivered() -> None:
    found = administration(summary_of(1, STATED, steps()), steps()["dose"])
    assert found is not None
    assert (found.activity_bq, found.nuclide) == (2.9e9, "Y-90")
    assert {one.organ: one.dose_gy for one in found.doses} == {"liver": 60.0, "lungs": 4.3}
    assert found.started_at.isoformat() == "2026-03-12T10:00:00+01:00"
    late = {**steps(), "delivery": CourseStep("delivery", "Delivery", "delivery", 1, "out of date")}
    assert administration(summary_of(1, STATED, late), late["dose"]) is None


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils are not installed")
@pytest.mark.parametrize("name", ["Erika Mustermann", "Μαρία Παπαδοπούλου-Αλεξανδροπούλου " * 3, "李 小龍"])
def test_pages_name_the_patient_and_no_heading_is_left_alone(tmp_path: Path, name: str) -> None:
    rows = [(f"row {n}", float(n), "a sentence that says what was found there and why") for n in range(30)]
    tables = {
        "doses": Table.of(("structure", "mean, Gy", "condition"), rows),
        "limits": Table.of(("a", "b"), [("x", 1.0)]),
    }
    found = {kind: done(kind, step.document, tables=tables) for kind, step in steps().items()}
    found |= {kind: done(kind, {}, tables=tables) for kind in ("uptake", "verification", "response", "function")}
    document = case_document(material(found, name), datetime(2026, 4, 1))
    (tmp_path / "report.pdf").write_bytes(pdf_page(document))
    made = subprocess.run(
        ["pdftotext", "-layout", str(tmp_path / "report.pdf"), "-"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    pages = made.stdout.split("\f")[:-1]
    headings = {section.heading for section in document.sections if section.heading}
    for number, text in enumerate(pages, 1):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        assert f"Page {number} of {len(pages)}" in lines[-1]
        assert "1234567" in lines[0]
        last = re.split(r"\s{3,}", lines[-2])[0]
        assert last not in headings, (number, last)
    assert "Planned against delivered" in pages[0]
    assert "Steps and checks" in pages[0]


LONG = "Tumour of the caudate lobe that reaches the inferior vena cava, as drawn by the second reader"


def _crowded(number: int, *, words: int) -> dict[str, CourseStep]:
    """Steps of a treatment with long names, many goals, messages and steps that are not up to date."""
    rows = [structure(f"{LONG} {n}" * words, "tumour", 90.0 + n, 10.0 * n) for n in range(1, 9)]
    rows.append(structure("liver minus tumours", "normal_liver", 88.0, 1140.0))
    limits = [limit(row["name"], status, source=status) for row in rows for status in ("met", "violated", "near")]
    said = [
        {"code": f"limit-{n}", "text": f"{LONG} " * 3, "severity": "critical" if n < 5 else "warning"}
        for n in range(20)
    ]
    asked = {
        "structure": "tumour 1", "finding": "90 Gy, goal of 205 Gy", "kind": "top-up", "certainty": "certain",
        "question": "?", "source": "a publication", "top_up": {"activity_gbq": 1.2, "allowed_gbq": 0.4},
    }  # fmt: skip
    found = {
        "plan": done("plan", PLAN | {"messages": said[:7]}),
        "dose": done("dose", DOSE | {"structures": rows, "limits": limits, "messages": said[7:]}),
        "verification": done("verification", {"suggestions": [asked | {"structure": f"tumour {n}"} for n in range(6)]}),
        "prediction": done("prediction", PREDICTION),
    }
    for n, kind in enumerate(("uptake", "order", "registration", "structures", "safety", "response", "function")):
        state = ("failed", "out of date", "waiting")[n % 3]
        found[kind] = CourseStep(kind, kind.capitalize(), kind, number, state, (LONG,), LONG)
    return {kind: replace(step, treatment_number=number) for kind, step in found.items()}


@pytest.mark.parametrize("words", [1, 4])
def test_the_page_of_a_treatment_stays_one_page_and_says_what_goes_over(words: int) -> None:
    first, second = _crowded(1, words=words), _crowded(2, words=words)
    notices = tuple(Message(f"notice-{n}", f"{LONG} {n}", "put it right", severity="critical") for n in range(12))
    crowded = replace(
        material(second, LONG),
        treatments=(summary_of(1, STATED, first), summary_of(2, STATED, second, [first])),
        steps=(*first.values(), *second.values()),
        messages=notices,
        disease=Disease("HCC", LONG * 3, LONG),
    )
    sections = case_document(crowded, datetime(2026, 4, 1)).sections
    begins = [n for n, section in enumerate(sections) if section.page]
    page = sections[: begins[0]]
    assert pages_of(Document("title", page)) == 1
    assert [section.heading for section in page][-1] == "Steps and checks"
    said = str([section.blocks for section in page])
    assert "carried over to the next page" in said
    assert "notice-1'" in said or "notice-0'" in said
    # What was left out is in full on the pages after it.
    over = str([section.blocks for section in sections[begins[0] :]])
    assert all(f"{LONG} {n}" in over for n in range(12))
    assert all(one["name"] in over for one in second["dose"].document["structures"])
    # The other treatment's page is one page as well.
    assert pages_of(Document("", (replace(sections[begins[0]], page=False), *sections[begins[0] + 1 : begins[1]]))) == 1


def test_a_goal_that_is_missed_is_shown_before_one_that_is_reached() -> None:
    found = _crowded(1, words=4)
    sections = case_document(material(found), datetime(2026, 4, 1)).sections
    table = next(b for s in sections if s.heading == "Planned against delivered" for b in s.blocks)
    assert isinstance(table, TableBlock)
    assert set(table.marks) == {"violated", ""}


def test_a_picture_with_a_name_in_it_is_left_out_without_identity() -> None:
    class Names:
        @staticmethod
        def text(text: str) -> str:
            return text.replace("Mustermann", "X1234")

    kept = StoredPicture("key", b"png", ("tumour 1",)).anonymised(Names())  # type: ignore[arg-type]
    gone = StoredPicture("key", b"png", ("GTV Mustermann",)).anonymised(Names())  # type: ignore[arg-type]
    assert kept.png == b"png"
    assert gone.png == b""


def test_letters_that_paper_cannot_print_are_said() -> None:
    said = "cannot print every letter"
    when = datetime(2026, 4, 1)
    assert said in html_page(case_document(material(steps(), "李 小龍"), when))
    assert said not in html_page(case_document(material(steps(), "Zoë Żółć"), when))


def lungs_of(gray: float, *earlier: float | None, comparison: str = "<=") -> Any:
    """Lung goals of a treatment after others whose lungs had a dose, or one that is not known."""

    def dose(own: float | None) -> dict[str, Any]:
        rows = [
            limit("lungs", "met", comparison=comparison, limit_gy=gy, dose_mean_gy=own, condition=condition)
            for gy, condition in ((30.0, "per treatment"), (50.0, "cumulative"))
        ]
        lungs = {"by_image": {"structure": "lungs"}, "judged": "image", "dose_judged_gy": own}
        return {"structures": [structure("t", "tumour", 200.0)], "limits": rows, "lung_doses": lungs}

    before = [{"dose": done("dose", {} if own is None else dose(own))} for own in earlier]
    found = summary_of(1 + len(before), STATED, {"dose": done("dose", dose(gray))}, before)
    return next(one for one in found.structures if one.role == "lung").goals


def test_a_limit_of_all_treatments_is_judged_by_their_sum() -> None:
    assert [goal.status for goal in lungs_of(28.0)] == ["met", "met"]
    each, together = lungs_of(28.0, 28.0)
    assert (each.status, together.status, together.judged_gy) == ("met", "violated", 56.0)
    # A dose that nobody knows is not 0 Gy; what is too much without it is too much.
    unknown = lungs_of(28.0, None)[1]
    assert (unknown.status, unknown.not_judged) == ("unjudged", "the lung dose of treatment 1 is not known")
    assert lungs_of(28.0, 28.0, None)[1].status == "violated"


def test_what_the_treatment_before_left_is_a_limit_of_the_next() -> None:
    left = {"territory": None, "normal_gy": 41.5, "tolerance_bed_gy": 250.0, "delivered_bed_gy": 182.6}
    before = [{"next": done("next", {"for_plan": left}), "dose": done("dose", DOSE)}]
    found = {one.name: one for one in summary_of(2, STATED, steps(), before).structures}
    (goal,) = found["liver minus tumours"].goals
    assert (goal.limit_gy, goal.status) == (41.5, "violated")


def test_a_plan_alone_shows_the_limits_it_was_judged_by() -> None:
    rows = [
        {"quantity": quantity, "bound": bound, "limit": limit, "value": value, "status": status, "text": "label",
         "where": "", "earlier": None, "applies_if": "", "waived": "", "source": "label"}
        for quantity, bound, limit, value, status in (
            ("tumour_gy", "min", 205.0, 121.0, "violated"), ("perfused_normal_gy", "max", 41.5, 80.0, "violated"),
            ("lung_gy", "max", 30.0, 5.0, "met"), ("lung_activity_gbq", "max", 0.61, 0.07, "met"))
    ]  # fmt: skip
    found = {
        one.name: one for one in summary_of(1, STATED, {"plan": done("plan", {**PLAN, "limits": rows})}).structures
    }
    assert [(name, goal.status, goal.judged_gy) for name, one in found.items() for goal in one.goals] == [
        ("tumours", "violated", 121.0), ("normal liver in right lobe", "violated", 80.0), ("lungs", "met", 5.0),
    ]  # fmt: skip


def test_what_may_harm_stands_before_what_is_of_a_model() -> None:
    def said(code: str, severity: str = "warning") -> dict[str, str]:
        return {"code": code, "text": f"{code}. [id-1; a label]", "remedy": "", "severity": severity}

    early = [said("administered-in-mbq"), said("scatter-not-corrected"), said("model-confidence")]
    late = [said("registration-fails"), said("extrahepatic-dose"), *(said(f"stop-{n}", "critical") for n in range(3))]
    found = [done("lung-shunt", {"messages": early}), done("plan", {"messages": late})]
    shown, left = open_warnings(found, 5)
    assert [m.code for m in shown] == ["stop-0", "stop-1", "stop-2", "extrahepatic-dose", "registration-fails"]
    assert left == 3
    assert shown[0].text == "Plan: stop-0."
    # No critical one is left to a later page.
    assert [m.code for m in open_warnings(found, 1)[0]] == ["stop-0", "stop-1", "stop-2"]


def test_of_many_warnings_of_a_kind_a_step_shows_a_few_and_every_critical_one() -> None:
    places = [Message("uptake-found-elsewhere", f"place {n}") for n in range(5)]
    graver = [Message("uptake-found-elsewhere", f"organ {n}", "", "critical") for n in range(4)]
    shown, more = few_of_each([*places, Message("other", "another"), *graver])
    assert shown == (*places[:3], Message("other", "another"), *graver)
    assert more == 2
