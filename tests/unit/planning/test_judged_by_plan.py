"""What a plan adds to the goals and limits of a delivered dose: aims, its own limits, what earlier treatments left."""

from __future__ import annotations

from typing import Any

import pytest

from hepatica.nuclides import agent
from hepatica.planning.delivery.top_up import dose_interval
from hepatica.planning.limits.dose_limits import limits
from hepatica.planning.measured.judged_by_plan import asked_by_plan, with_plan
from hepatica.planning.measured.judged_doses import JudgedDose, judged


def _structure(name: str, role: str, gray: float) -> dict[str, Any]:
    return {"name": name, "role": role, "dose_mean_gy": gray, "dose_mean_known_sd_gy": 1.0, "uncertainty": {}}


DOSE: dict[str, Any] = {
    "structures": [
        _structure("right lobe", "perfused", 100.0),
        _structure("rest", "perfused_normal", 80.2),
        _structure("lungs", "lung", 4.0),
    ],
    "lung_doses": {"judged": "image", "dose_judged_gy": 4.0, "by_image": {"structure": "lungs"}, "by_shunt": None},
}
LIMIT = {"bound": "max", "source": "next/result.json", "waived": "", "period": "treatment"}
PLAN: dict[str, Any] = {
    "territories": [{"name": "right lobe", "chosen": "mird", "methods": {"mird": {"terms": {"dose_gy": 60.0}}}}],
    "lifetime": [{"organ": "lungs", "earlier_gy": 4.3}],
    "limits": [
        {
            **LIMIT,
            "id": "remaining-x",
            "quantity": "perfused_normal_gy",
            "limit": 44.3,
            "text": "left",
        },
        {**LIMIT, "id": "plan-lung", "quantity": "lung_gy", "limit": 20.0, "text": "of the plan"},
        {**LIMIT, "id": "lung-30", "quantity": "lung_gy", "limit": 30.0, "text": "published: the dose judges it"},
    ],
}


def test_a_plan_adds_its_aim_its_limits_and_what_was_left() -> None:
    rows = {(one.structure, one.comparison, one.limit_gy): one for one in asked_by_plan(PLAN, DOSE)}
    assert rows.keys() == {("right lobe", ">=", 60.0), ("rest", "<=", 44.3), ("lungs", "<=", 20.0)}
    assert rows["right lobe", ">=", 60.0].is_aim
    assert rows["rest", "<=", 44.3].dose_gy == pytest.approx(80.2)


def test_limits_of_a_lifetime_count_the_treatments_before() -> None:
    lungs = JudgedDose("lungs", "lung", 4.0, 1.0, True, "<=", 50.0, "cumulative", "van Roekel")
    found = with_plan((lungs,), PLAN, DOSE)
    assert found[0].total_gy == pytest.approx(8.3)
    assert found[0].is_lifetime
    # One that is published in the same words is not judged twice.
    again = with_plan((JudgedDose("lungs", "lung", 4.0, 1.0, True, "<=", 20.0, "label", "label"),), PLAN, DOSE)
    assert sum(one.limit_gy == 20.0 for one in again) == 1


def test_lungs_by_the_shunt_have_the_uncertainty_of_a_quantification() -> None:
    row = {"structure": "lungs by the shunt", "dose_mean_gy": 26.0, "comparison": "<=", "limit_gy": 30.0}
    row |= {"condition": "per treatment", "source": "label"}
    lungs = judged(row, None, {"lung_doses": {"by_shunt": {"dose_lung_gy_sd": None}}})
    # 26 Gy, 1.96 x 10 % to either side: 20.9 to 31.1 Gy.
    found = dose_interval(lungs, 0.10)
    assert found.high_gy == pytest.approx(26 * 1.196)
    assert found.certainty == "open"


STRUCTURES = {"perfused": "perfused_gy", "perfused_normal": "perfused_normal_gy", "tumour": "tumour_gy"}


@pytest.mark.parametrize("name", ["glass", "i131-lipiodol"])
def test_plan_and_dose_judge_a_structure_by_the_same_goals(name: str) -> None:
    # Two tables: a change of one without the other would tell two verdicts of one treatment.
    plan = {
        (row.quantity, row.limit, row.indications, row.intents)
        for row in limits()
        if name in row.agents and row.bound == "min"
    }
    dose = {
        (STRUCTURES[row.structure], row.dose_gy, row.indications, row.intents)
        for row in agent(name).limits
        if row.comparison == ">="
    }
    assert dose == plan
