"""A watched injection held against the plan of its case: activity and limits, in the setup and in the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hepatica.case.injection.planned import unlike_plan
from hepatica.case.report.front import about_given
from hepatica.case.report.summary import summary_of
from hepatica.core import Estimate
from hepatica.monitoring.prepared import Prepared
from hepatica.monitoring.setup import Setup
from hepatica.monitoring.simulation.flow import FlowSettings
from hepatica.nuclides import nuclide
from hepatica.planning.measured.treatment_results import planned_treatment
from hepatica.workflow.monitoring.planned import plan_limits
from monitoring_makers import mask, setup_of

GBQ = 1e9


def plan_at(folder: Path, *limits: dict[str, Any], gbq: float = 1.4, shunt: float = 0.04) -> Path:
    """A result of `plan` with one territory, as far as an injection reads it."""
    method = {
        "planned_gbq": gbq, "administered_gbq": gbq, "agent": "glass", "terms": {"lung_shunt_fraction": shunt},
        "constant": {"nuclide": "Y-90", "j_per_gbq": 49.67, "convention": "exact"},
    }  # fmt: skip
    held = {
        "schema": "hepatica/plan/1", "territories": [{"name": "right", "methods": {"partition": method},
        "chosen": "partition"}], "limits": list(limits), "lifetime": [], "messages": [],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(held))
    return folder


def limit(quantity: str, value: float, most: float, **more: Any) -> dict[str, Any]:
    return {"quantity": quantity, "bound": "max", "limit": most, "value": value, "weight": "limit", "where": "",
            "waived": "", "earlier": None, **more}  # fmt: skip


def test_limits_of_the_plan_are_activities_of_lungs_and_target(tmp_path: Path) -> None:
    """Dose is in proportion to activity: 1.4 GBq with 4 % of shunt give the lungs 56 MBq, and the target 1344."""
    plan = plan_at(
        tmp_path / "plan",
        limit("lung_gy", 2.4, 30.0), limit("lung_cumulative_gy", 6.4, 50.0, earlier=4.0),
        limit("lung_activity_gbq", 0.056, 0.61), limit("perfused_normal_gy", 48.0, 44.0),
        limit("perfused_normal_gy", 48.0, 20.0, waived="asked"), limit("tumour_gy", 100.0, 205.0, bound="min"),
        limit("perfused_normal_gy", 48.0, 30.0, weight="goal"),
    )  # fmt: skip
    found = plan_limits(plan, planned_treatment(plan))
    # The smallest of 56 x 30 / 2.4 = 700, 56 x 46 / 2.4 = 1073 and 610 MBq.
    assert found["lungs"] == pytest.approx(0.61 * GBQ)
    assert found["target"] == pytest.approx(1.344 * GBQ * 44 / 48)
    without = plan_at(tmp_path / "none", limit("lung_gy", 2.4, 30.0), shunt=0.0)
    assert plan_limits(without, planned_treatment(without)) == {}


def prepared(**more: Any) -> Prepared:
    setup: Setup = setup_of().changed(half_life_s=nuclide("Y-90").half_life_s, **more)
    return Prepared(setup, mask(), 4.0, "Y-90", "glass", FlowSettings())


def case_with(plan: Path, agent: str = "glass") -> Any:
    """A case as far as the comparison sees it: its treatment's agent, and the folder of its plan."""

    class Stub(dict[str, Path]):
        def situation(self) -> Any:
            return SimpleNamespace(records={"plan"}, facts=SimpleNamespace(treatments=[{"agent": agent}]))

    return Stub(plan=plan)


def test_a_setup_of_another_activity_or_limit_than_the_plan_is_said(tmp_path: Path) -> None:
    plan = plan_at(tmp_path / "plan", limit("lung_activity_gbq", 0.056, 0.1), limit("perfused_normal_gy", 40.0, 60.0))
    given = {"planned_bq": 2.96 * GBQ, "goal_bq": None, "limits_bq": {"lungs": 0.3 * GBQ}}
    said = {one.code: one for one in unlike_plan(case_with(plan), 1, prepared(**given))}
    assert said["unlike-planned"].severity == "critical"
    assert "+111 % activity in the vial against the plan of treatment 1 (2.96 for 1.4 GBq)" in str(said)
    assert said["unlike-planned-limit"].severity == "critical"
    assert "the plan leaves the lungs 100 MBq, the setup allows 300 MBq" in said["unlike-planned-limit"].text
    assert "the plan leaves the target" in said["limit-not-watched"].text
    limits = plan_limits(plan, planned_treatment(plan))
    good = prepared(planned_bq=1.45 * GBQ, goal_bq=None, limits_bq=limits)
    assert unlike_plan(case_with(plan), 1, good) == ()
    # A scout's activity is not the plan's.
    scout = replace(good, agent="maa", nuclide="Tc-99m")
    assert unlike_plan(case_with(plan), 1, scout) == ()


def step(document: dict[str, Any]) -> Any:
    return SimpleNamespace(document=document, is_current=True, state="done", said="", sources=lambda _: "")


def test_the_report_says_first_what_was_seen_to_arrive_against_the_plan() -> None:
    plan = {"planned_gbq": 1.4, "administered_gbq": 1.4}
    watched = {"is_measured": True, "delivered_bq": 2.96 * GBQ, "delivered_bq_sd": 0.056 * GBQ, "agent": "glass"}

    def said(**more: Any) -> list[str]:
        steps = {"plan": step(plan), "injection": step(watched | more)}
        return [one.text for one in about_given(summary_of(2, {"agent": "TheraSphere"}, steps))]

    assert said() == [
        "treatment 2: +111 % activity seen to arrive by the watched injection against planned (2.96 for 1.40 GBq)"
    ]
    assert said(delivered_bq=1.42 * GBQ) == []
    assert said(agent="maa") == []
    assert said(is_measured=False) == []
    summary = summary_of(2, {"agent": "glass"}, {"plan": step(plan), "injection": step(watched)})
    other = replace(summary, planned_administered_gbq=None, administered_gbq=Estimate(1.4, 0.02))
    assert "against given (2.96 for 1.40 GBq)" in about_given(other)[0].text
