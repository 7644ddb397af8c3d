"""What a plan adds to the goals and limits of a delivered dose: aims, its own limits, what earlier treatments left."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from hepatica.nuclides import AGENT_NAMES, agent
from hepatica.nuclides.dose_limits import STRUCTURES
from hepatica.planning.delivery.suggestions import suggestions
from hepatica.planning.delivery.top_up import dose_interval
from hepatica.planning.limits.dose_limits import INDICATIONS, INTENTS, LimitContext, check_limits, ruled_out
from hepatica.planning.measured.judged_by_plan import asked_by_plan, with_plan
from hepatica.planning.measured.judged_doses import JudgedDose, JudgedTreatment, judged


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


def _by_shunt(gray: float) -> JudgedDose:
    row = {"structure": "lungs by the shunt", "dose_mean_gy": gray, "comparison": "<=", "limit_gy": 30.0}
    row |= {"condition": "per treatment", "source": "label"}
    return judged(row, None, {"lung_doses": {"by_shunt": {"dose_lung_gy_sd": 0.5}}})


def test_the_uncertainty_of_lungs_by_the_shunt_stays_unknown() -> None:
    # The mass alone is known to 0.5 Gy; of the shunt nothing is.
    lungs = dose_interval(_by_shunt(26.0), 0.10)
    assert (lungs.low_gy, lungs.high_gy, lungs.certainty) == (None, None, "not known")
    # The limit is 4 Gy away: 4 / 1.96 Gy, 7.8 % of the dose.
    assert lungs.deciding_sd_gy == pytest.approx(4 / 1.96)
    (asked,) = suggestions(JudgedTreatment((_by_shunt(26.0),), (), 2.0))
    assert (asked.kind, asked.certainty) == ("open", "not known")
    assert "from a standard uncertainty of 2.04 Gy, 8% of the dose, on" in asked.question
    # Far below, a width as of a calibration does not reach the limit; above it what is asked says the same.
    assert suggestions(JudgedTreatment((_by_shunt(20.0),), (), 2.0)) == ()
    beyond = suggestions(JudgedTreatment((_by_shunt(33.0),), (), 2.0))
    assert {one.certainty for one in beyond} == {"not known"}
    assert all("1.53 Gy" in one.question for one in beyond if one.kind in ("watch", "mitigate"))


def test_no_top_up_is_sure_to_keep_a_limit_of_unknown_uncertainty() -> None:
    tumour = JudgedDose("tumour", "tumour", 100.0, 1.0, True, ">=", 120.0, "HCC", "Weber 2022")
    liver = JudgedDose("normal liver", "normal_liver", 20.0, 1.0, True, "<=", 75.0, "unilobar", "Weber 2022")
    first = suggestions(JudgedTreatment((tumour, liver, _by_shunt(20.0)), (), 2.0))[0]
    assert first.top_up is not None
    assert [row.standing for row in first.top_up.limits] == ["kept", "not known"]
    assert not first.top_up.keeps_limits
    # 20 x 1.2 = 24 of 30 Gy: 6 / 1.96 Gy.
    assert "uncertainty not known, open from 3.06 Gy (k = 1) on" in first.question


QUANTITIES: dict[str, float | None] = dict.fromkeys(STRUCTURES, 1.0)


@pytest.mark.parametrize("name", [name for name in AGENT_NAMES if agent(name).purpose == "therapy"])
def test_plan_and_dose_judge_a_patient_by_the_same_goals(name: str) -> None:
    compared = 0
    for intent, indication, mg_dl in itertools.product(INTENTS, INDICATIONS, (0.8, 1.5)):
        context = LimitContext(name, intent, indication, mg_dl, hepatic_reserve=0.5, compromised=False)
        plan = {check.limit.id for check in check_limits(QUANTITIES, context) if check.limit.weight != "range"}
        out = ruled_out(context)
        dose = {row.id for row in agent(name).limits if row.applies(indication, intent) and row.id not in out}
        assert dose == plan
        compared += len(dose)
    assert compared >= 2 * 2 * len(INTENTS) * len(INDICATIONS)  # the lungs' at least


@pytest.mark.parametrize("name", ["glass", "resin", "ho166-plla"])
def test_a_limit_that_the_liver_rules_out_in_the_plan_is_not_held_against_the_dose(name: str) -> None:
    healthy = ruled_out(LimitContext(name, bilirubin_mg_dl=0.8, compromised=False))
    rows = [
        {"structure": row.structure, "dose_mean_gy": 55.0, "comparison": row.comparison, "limit_gy": row.dose_gy}
        | {"condition": row.condition, "source": row.source, "limit_id": row.id}
        for row in agent(name).limits
    ]
    doses = tuple(judged(row, _structure(str(row["structure"]), "liver", 55.0), {}) for row in rows)
    kept = {one.limit_id for one in with_plan(doses, {"limits_ruled_out": list(healthy)}, DOSE)}
    assert kept == {row.id for row in agent(name).limits} - set(healthy)
    excluded = {"glass": {"glass-normal-50-bilirubin"}, "ho166-plla": set()}
    excluded["resin"] = {"resin-normal-30-compromised", "resin-label-normal-70-cirrhotic"}
    assert set(healthy) == excluded[name]
