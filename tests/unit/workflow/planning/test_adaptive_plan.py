"""The planner and what `remaining_tolerance` says earlier treatments leave."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from hepatica.errors import InputError
from hepatica.outcome.adaptive import NextTreatment
from hepatica.workflow.planning.adaptive import remaining_tolerance
from hepatica.workflow.planning.plan.plan import plan as run_plan

PLAN = """
[plan]
title = "second treatment"
agent = "resin"
[aims]
normal_limit = "40 Gy"
tumour = "120 Gy"
lung_limit = "30 Gy"
[lungs]
lung_shunt = "5 %"
lung_mass = "1 kg"
[course]
remaining_tolerance = ["next.json"]
[[territory]]
name = "right"
normal_mass = "0.9 kg"
[[territory.lesion]]
name = "segment 8"
mass = "120 g"
tumour_to_normal = 4.0
[uncertainty]
lung_shunt = "1 %"
tumour_to_normal = "15 %"
"""


def left_over(folder: Path, normal_gy: float = 35) -> dict[str, float]:
    """Write what is left of 93 Gy BED in the right lobe; give back the part for the planner."""
    table = folder / "course.csv"
    table.write_text(
        f"date,territory,nuclide,normal_gy,lung_gy\n2026-01-05,right,Y-90,{normal_gy},12\n2026-02-05,left,Y-90,25,8\n"
    )
    coming = NextTreatment(
        next_at=datetime(2026, 6, 5, 10), agent="resin", effective_half_life_h=64.05, normal_dose_gy_per_gbq=15.0,
        tumour_dose_gy_per_gbq=60.0, lung_dose_gy_per_gbq=2.0,
    )  # fmt: skip
    document = remaining_tolerance(table, coming=coming, tolerance_bed_gy=93.0, territory="right").as_dict()
    (folder / "next.json").write_text(json.dumps(document))
    return dict(document["for_plan"])


def plan_of(folder: Path, text: str) -> Path:
    (folder / "plan.toml").write_text(text)
    return folder / "plan.toml"


def test_allowance_caps_limits_and_search(tmp_path: Path) -> None:
    left = left_over(tmp_path)
    plan = run_plan(plan_of(tmp_path, PLAN)).course
    found = run_plan(plan_of(tmp_path, PLAN)).as_dict()
    # 93 Gy BED less 35 Gy and its BED leaves about 27 Gy, below the 40 Gy that were aimed at.
    assert 20 < left["normal_gy"] < 35
    assert found["doses"]["perfused_normal_gy"]["right"] == pytest.approx(left["normal_gy"])
    assert found["doses"]["lung_cumulative_gy"] == pytest.approx(20 + found["doses"]["lung_gy"])
    remaining = {c["id"]: c for c in found["limits"] if c["id"].startswith("remaining")}
    assert remaining["remaining-perfused_normal_gy"]["status"] in ("near", "met")
    assert remaining["remaining-lung_gy"]["limit"] == 30
    assert found["planner"]["binding_limit"] == "normal liver in right"
    assert [i["role"] for i in found["provenance"]["inputs"]] == ["plan", "remaining_tolerance"]
    assert plan.course.normal_limit_gy("left") == 40.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"right"', '"left"', "is of territory 'right'; the plan has left"),
        ('"resin"', '"QuiremSpheres"', "is for Y-90, but 'right' is planned with Ho-166"),
        ("next.json", "course.csv", "not a JSON file"),
        ("next.json", "absent.json", "cannot be read"),
        ('["next.json"]', '"next.json"', "must be a list of files"),
        ('["next.json"]', '["next.json", "next.json"]', "two files of what is left are of the same territory"),
        ("[[territory]]", '[[previous]]\nname = "2025"\nlung = "4 Gy"\n[[territory]]', "are stated twice"),
    ],
)
def test_an_allowance_that_does_not_fit_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    left_over(tmp_path)
    with pytest.raises(InputError, match=message):
        run_plan(plan_of(tmp_path, PLAN.replace(old, new)))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("territory", 5, r"for_plan.territory is 5"),
        ("territory", ["right"], r"for_plan.territory is \['right'\]"),
        ("normal_gy", "40", "for_plan.normal_gy is '40'"),
        ("normal_gy", True, "for_plan.normal_gy is True"),
        ("lung_gy", -1, "must be zero or more"),
        ("treatments", 1.5, "for_plan.treatments is 1.5"),
        ("cautions", "none", "for_plan.cautions is 'none'"),
        ("cautions", [1], "no list of text"),
        ("nuclide", None, "for_plan.nuclide is None"),
    ],
)
def test_an_allowance_with_a_wrong_value_is_refused(tmp_path: Path, key: str, value: object, message: str) -> None:
    left_over(tmp_path)
    content = json.loads((tmp_path / "next.json").read_text())
    content["for_plan"][key] = value
    (tmp_path / "next.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message) as caught:
        run_plan(plan_of(tmp_path, PLAN))
    assert "next.json" in str(caught.value)


def test_nothing_left_and_foreign_files_are_refused(tmp_path: Path) -> None:
    left_over(tmp_path, normal_gy=90)
    with pytest.raises(InputError, match="nothing is left for right"):
        run_plan(plan_of(tmp_path, PLAN))
    (tmp_path / "next.json").write_text('{"for_plan": {"territory": null}}')
    with pytest.raises(InputError, match="no result of remaining_tolerance"):
        run_plan(plan_of(tmp_path, PLAN))


@pytest.mark.parametrize(("so_far", "earlier"), [(49.05, 49.05), (None, 0.0)])
def test_the_earlier_dose_of_the_normal_liver_is_in_the_sum_or_said_to_lack(
    tmp_path: Path, so_far: float | None, earlier: float
) -> None:
    """Both sums of one table are over all treatments; a liver whose dose is not known is no liver without dose."""
    left_over(tmp_path)
    content = json.loads((tmp_path / "next.json").read_text())
    assert content["for_plan"]["normal_liver_so_far_gy"] is None  # rows of a table, of territories
    content["for_plan"]["normal_liver_so_far_gy"] = so_far
    (tmp_path / "next.json").write_text(json.dumps(content))
    plan = run_plan(plan_of(tmp_path, PLAN)).course
    liver = next(row for row in plan.lifetime if row.organ == "normal liver")
    assert liver.earlier_gy == pytest.approx(earlier)
    assert liver.lifetime_gy == pytest.approx(earlier + liver.this_treatment_gy)
    assert ("earlier-liver-dose-unknown" in {m.code for m in plan.messages}) == (so_far is None)


def test_a_plan_keeps_what_is_left_for_certain(tmp_path: Path) -> None:
    """The planner plans within the upper ends of earlier doses; what only they decide is near a limit, and said."""
    left_over(tmp_path)
    content = json.loads((tmp_path / "next.json").read_text())
    assert content["for_plan"]["normal_surely_gy"] is None  # rows of a table have no interval
    plain = run_plan(plan_of(tmp_path, PLAN)).course
    surely = 0.6 * content["for_plan"]["normal_gy"]
    content["for_plan"] |= {"normal_surely_gy": surely, "lung_surely_gy": content["for_plan"]["lung_gy"]}
    (tmp_path / "next.json").write_text(json.dumps(content))
    plan = run_plan(plan_of(tmp_path, PLAN)).course
    row = next(c for c in plan.limits if c.limit.id == "remaining-perfused_normal_gy")
    assert row.status == "near"
    assert f"{surely:.4g} Gy if earlier doses lay at the upper ends" in row.limit.text
    # Chances are over relative uncertainties of this treatment, so that the dose scales with what is left.
    assert plain.planner is not None
    assert plan.planner is not None
    assert plan.planner.administered_gbq["right"] == pytest.approx(
        0.6 * plain.planner.administered_gbq["right"], rel=0.01
    )
    content["for_plan"]["normal_surely_gy"] = 0.0
    (tmp_path / "next.json").write_text(json.dumps(content))
    none = run_plan(plan_of(tmp_path, PLAN)).course
    assert "upper ends" in none.planner_refused
