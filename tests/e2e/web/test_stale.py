"""What stands on an open page is of the case as it is now, whoever changed it; an edit of an older one is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hepatica import Case
from web_seen import until


def test_open_plan_and_histograms_and_forms_follow_the_case(new_seen: Any, bench: Any, cases: Path) -> None:
    key = bench.key("course")
    names = ("plan", "histograms", "forms")
    pages = [new_seen().open("course", view) for view in names]
    plan, histograms, forms = pages
    aim = bench.json("GET", f"/api/cases/{key}")["facts"]["treatment.1.aims.perfused"]
    plan.locator('[data-name="plan.residual"]').fill("4 %")
    until(plan, "!workbench.isOpen")
    plan_before = plan.evaluate("workbench.about.plan.administered_gbq")
    forms.locator('[name="patient.weight"]').fill("71 kg")
    try:
        Case.open(cases / "course").state({"treatment.1.aims.perfused": "77 Gy", "treatment.1.residual": "1 %"})
        plan.get_by_text("Your edits are kept on top of it").first.wait_for()
        assert plan.locator('[data-name="aims.perfused"]').input_value() == "77 Gy"
        assert plan.locator('[data-name="plan.residual"]').input_value() == "4 %"  # what was edited stays
        assert plan.evaluate("workbench.about.plan.administered_gbq") < plan_before
        histograms.get_by_text("plan is out of date").wait_for()
        assert not histograms.get_by_text(", planned").count()
        forms.get_by_text("the fields show it").first.wait_for()
        assert forms.locator('[name="treatment.1.residual"]').input_value() == "1 %"
        assert forms.locator('[name="patient.weight"]').input_value() == "71 kg"
    finally:
        Case.open(cases / "course").state({"treatment.1.aims.perfused": aim, "treatment.1.residual": None})


def test_what_was_edited_on_an_old_case_is_refused(bench: Any, cases: Path) -> None:
    key = bench.key("course")
    plans = f"/api/cases/{key}/plans/1"
    basis = bench.json("GET", plans)["basis"]
    edits = {"edits": {"plan.residual": "4 %"}, "basis": basis}
    bench.json("POST", plans, edits)
    aim = bench.json("GET", f"/api/cases/{key}")["facts"]["treatment.1.aims.perfused"]
    Case.open(cases / "course").state({"treatment.1.aims.perfused": "77 Gy"})
    try:
        for path, more in ((plans, {}), (f"{plans}/voxels", {}), (f"{plans}/choose", {"reason": "tumour board"})):
            status, content, _ = bench.answer("POST", path, edits | more)
            assert (status, b"changed elsewhere" in content) == (409, True), path
        name = "treatment.1.aims.perfused"
        said = {"values": {name: "88 Gy"}, "before": {name: aim}}
        status, content, _ = bench.answer("POST", f"/api/cases/{key}/facts", said)
        assert (status, b"77 Gy" in content) == (409, True)
        rows = {"heads": ["lesion"], "rows": [["Tumour 1"]], "instead_of": "measurements-9"}
        assert bench.answer("POST", f"/api/cases/{key}/tables/measurements", rows)[0] == 409
    finally:
        Case.open(cases / "course").state({"treatment.1.aims.perfused": aim})
