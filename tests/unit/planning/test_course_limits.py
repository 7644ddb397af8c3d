"""A plan and its planner against every limit: label, guideline, plan, treatment, lifetime, several injections."""

from typing import Any

import pytest

from hepatica.core.message import Message
from hepatica.errors import InputError, UnknownNameError
from hepatica.planning.limits.assess import Assessed, Patient, activity_spread
from hepatica.planning.planner.course_plan import CoursePlan, plan_course
from hepatica.planning.planner.plan_file import plan_from
from hepatica.planning.planner.prescribe import (
    AimOptions,
    Asked,
    MassOptions,
    Method,
    PerfusedOptions,
    RuleOptions,
    SubstanceOptions,
    prescription,
)
from hepatica.planning.prescriptions.lipiodol import organ_uptake

LESION = {"name": "a", "mass": "100 g", "tumour_to_normal": 3.0}


def planned(agent: str, intent: str | None, **tables: dict[str, Any] | list[dict[str, Any]]) -> CoursePlan:
    raw: dict[str, Any] = {
        "plan": {"agent": agent, "indication": "HCC"} | ({"intent": intent} if intent else {}),
        "aims": {"perfused": "60 Gy", "normal_limit": "200 Gy", "tumour": "205 Gy"},
        "patient": {"bilirubin": "0.9 mg/dL", "compromised": False},
        "lungs": {"lung_shunt": "5 %", "lung_mass": "1 kg"},
        "territory": [{"name": "right", "normal_mass": "1.2 kg", "lesion": [LESION]}],
        "uncertainty": {"lung_shunt": "1 %", "tumour_to_normal": "15 %", "mass": "8 %"},
    }
    for name, table in tables.items():
        raw[name] = raw[name] | table if isinstance(table, dict) and name in raw else table
    return plan_course(plan_from(raw).course)


def best(plan: CoursePlan, limit: str) -> float:
    """The value of a limit at the activity with the best chance."""
    return next(check.value for check in plan.planner_limits if check.limit.id == limit)


def stops(plan: CoursePlan) -> list[Message]:
    return [message for message in plan.messages if message.severity == "critical"]


def test_the_best_chance_of_holmium_keeps_the_labels_60_gy() -> None:
    plan = planned("QuiremSpheres", "whole-liver")
    assert plan.planner is not None
    assert plan.planner.binding_limit == "ho166-perfused-60"
    # Activities of equal chance (0.2 %) are equal: the lowest is taken.
    assert 59 < best(plan, "ho166-perfused-60") <= 60
    assert not [check for check in plan.planner_limits if check.exceeded]


def test_a_limit_that_may_apply_is_kept_and_said() -> None:
    plan = planned("QuiremSpheres", None)
    assert best(plan, "ho166-perfused-60") <= 60
    (said,) = [m for m in plan.messages if m.code == "planner-keeps-open-limit"]
    assert "intent is whole-liver" in said.text


def test_the_best_chance_keeps_the_limits_of_glass_and_resin() -> None:
    glass = planned("glass", "unilobar")
    assert glass.planner is not None
    assert glass.planner.binding_limit == "glass-normal-75"
    assert best(glass, "glass-normal-75") <= 75
    resin = planned("resin", "whole-liver")
    assert resin.planner is not None
    assert resin.planner.binding_limit == "resin-normal-40-bilobar"
    assert best(resin, "resin-normal-40-bilobar") <= 40 + 1e-9


def test_the_activity_in_the_lungs_of_the_glass_label_binds_where_the_lungs_are_heavy() -> None:
    # 0.61 GBq in 1.5 kg are 20 Gy: the label's activity binds before its dose.
    lungs = {"lung_shunt": "30 %", "lung_mass": "1.5 kg"}
    plan = planned("glass", "segmentectomy", lungs=lungs, aims={"tumour": "600 Gy"})
    assert plan.planner is not None
    assert plan.planner.binding_limit == "glass-lung-activity"
    assert best(plan, "glass-lung-activity") <= 0.61 + 1e-9


def test_a_shunt_that_the_resin_label_forbids_stops_the_planner() -> None:
    plan = planned("resin", "unilobar", lungs={"lung_shunt": "25 %"})
    assert plan.planner is None
    assert {"planner-no-activity", "limit-exceeded", "shunt-over-20-resin"} <= {m.code for m in stops(plan)}
    assert plan.verdict == "stop"


def test_limits_of_a_treatment_and_of_a_lifetime_are_told_apart() -> None:
    earlier = [{"name": "2025", "lung": "31 Gy"}]
    plan = planned("glass", "unilobar", previous=earlier, lungs={"lung_shunt": "15 %"})
    assert plan.planner is not None
    assert plan.planner.binding_limit == "lungs over a lifetime"
    assert best(plan, "lung-50-cumulative") < 50
    lungs = next(dose for dose in plan.lifetime if dose.organ == "lungs")
    assert (lungs.earlier_gy, lungs.treatment_limit_gy, lungs.lifetime_limit_gy) == (31.0, 30.0, 50.0)
    assert lungs.lifetime_gy == pytest.approx(31 + lungs.this_treatment_gy)
    by_limit = {check.limit.id: check for check in plan.limits}
    assert by_limit["lung-30"].earlier is None
    assert by_limit["lung-50-cumulative"].earlier == pytest.approx(31.0)
    assert by_limit["lung-50-cumulative"].limit.period == "lifetime"


def test_a_lifetime_that_is_used_up_says_so_and_what_used_it() -> None:
    plan = planned("glass", "unilobar", previous=[{"name": "2025", "lung": "55 Gy"}])
    assert plan.planner is None
    assert any("55 Gy of it from earlier treatments" in m.text for m in stops(plan))
    assert "gave the lungs 55 Gy" in plan.planner_refused


def test_no_earlier_dose_is_no_dose() -> None:
    none = planned("glass", "unilobar")
    zero = planned("glass", "unilobar", previous=[{"name": "2025", "lung": "0 Gy", "normal_liver": "0 Gy"}])
    assert zero.planner == none.planner
    assert {c.limit.id for c in zero.limits} - {c.limit.id for c in none.limits} == {"lung-50-cumulative"}


def test_a_lung_limit_of_zero_is_zero_and_not_no_limit() -> None:
    plan = planned("resin", "unilobar", aims={"lung_limit": "0 Gy", "method": "partition-normal"})
    assert plan.administered_gbq == 0
    assert plan.planner_refused.startswith("the lungs may get 0 Gy")
    assert "activity-zero" in {m.code for m in stops(plan)}
    without_shunt = planned("resin", "unilobar", aims={"lung_limit": "0 Gy"}, lungs={"lung_shunt": "0 %"})
    assert without_shunt.planner is not None
    assert without_shunt.planner.largest_allowed_total_gbq > 0


def test_earlier_liver_dose_counts_for_the_lifetime_and_not_for_the_treatment() -> None:
    earlier, aims = [{"name": "2025", "normal_liver": "50 Gy"}], {"normal_limit": "60 Gy"}
    assumed = planned("glass", "unilobar", previous=earlier, aims=aims)
    assert any(a.quantity == "lifetime limit of normal liver" and a.value == 60 for a in assumed.assumptions)
    stated = planned("glass", "unilobar", previous=earlier, aims=aims | {"normal_lifetime_limit": "120 Gy"})
    assert assumed.planner is not None
    assert stated.planner is not None
    assert assumed.planner.largest_allowed_total_gbq < stated.planner.largest_allowed_total_gbq / 4


TWO = [
    {"name": "right", "normal_mass": "0.8 kg", "lesion": [LESION]},
    {
        "name": "left",
        "normal_mass": "0.4 kg",
        "agent": "QuiremSpheres",
        "lesion": [LESION | {"name": "b", "tumour_to_normal": 2.0}],
    },
]


def test_mixed_agents_each_keep_their_own_limits() -> None:
    plan = planned("glass", "bilobar", territory=TWO, aims={"perfused": "100 Gy"})
    left = {check.limit.id: check for check in plan.limits if check.where == "left"}
    assert left["ho166-perfused-60"].exceeded
    assert left["ho166-perfused-60"].value == pytest.approx(100)
    assert any("in left" in m.text and "60 Gy" in m.text for m in stops(plan))
    assert plan.planner is not None
    assert max(c.value for c in plan.planner_limits if c.limit.id == "ho166-perfused-60") <= 60 + 1e-9
    assert set(plan.normal_liver_bed_gy) == {"right", "left"}
    # 166Ho gives its dose faster than 90Y: less repair, more BED per Gy.
    per_gy = {name: bed / plan.doses.perfused_normal_gy[name] ** 2 for name, bed in plan.normal_liver_bed_gy.items()}
    assert per_gy["left"] > per_gy["right"]
    assert "nuclides-added" in {m.code for m in plan.messages}


def test_a_stop_of_the_second_injection_is_heard() -> None:
    second = [TWO[0], TWO[1] | {"agent": "resin", "lung_shunt": "25 %"}]
    plan = planned("glass", "bilobar", territory=second)
    assert any(m.code == "shunt-over-20-resin" and m.text.startswith("left:") for m in stops(plan))
    assert "left: lung shunt fraction" in plan.planner_refused


def test_a_limit_is_waived_only_by_name_and_with_a_reason() -> None:
    plan = planned("glass", "unilobar", waived_limits={"glass-normal-75": "reserve of 45 %, tumour board"})
    assert plan.planner is not None
    assert plan.planner.binding_limit != "glass-normal-75"
    assert any("tumour board" in check.waived for check in plan.limits)
    with pytest.raises(InputError, match="without a reason"):
        planned("glass", "unilobar", waived_limits={"glass-normal-75": ""})
    with pytest.raises(UnknownNameError):
        planned("glass", "unilobar", waived_limits={"glass-normal": "x"})


def test_the_plans_own_limits_are_limits() -> None:
    plan = planned("glass", "unilobar", aims={"lung_limit": "2 Gy"})
    assert any("plan-lung" in m.text for m in stops(plan))
    assert plan.planner is not None
    assert plan.planner.binding_limit == "lungs"


def test_lipiodol_keeps_its_trial_and_says_that_it_stays() -> None:
    plan = planned("re188-sss-lipiodol", "unilobar")
    assert plan.planner is not None
    assert plan.planner.binding_limit == "liver-30-re188"
    assert any(a.quantity == "effective half-life" for a in plan.assumptions)
    leaving = planned("re188-sss-lipiodol", "unilobar", plan={"effective_half_life": "12.5 h"})
    # Activity for a dose grows as the decays that stay become fewer: physical over effective half-life.
    ratio = leaving.administered_gbq / plan.administered_gbq
    assert ratio == pytest.approx(17.005 / 12.5, rel=1e-3)


def test_lipiodol_of_a_plan_leaves_as_its_agents_table_says() -> None:
    plan = planned("re188-hdd-lipiodol", "unilobar")
    (taken,) = [a for a in plan.assumptions if a.quantity == "effective half-life"]
    assert taken.value == pytest.approx(12.5)
    # 60 Gy in 1.3 kg, 5 % to the lungs: 11.03 J/GBq of electrons times 12.5 h over 17.005 h.
    assert plan.administered_gbq == pytest.approx(60 * 1.3 / (0.95 * 11.03 * 12.5 / 17.005), rel=2e-3)


RE188 = RuleOptions(uptake=(organ_uptake("lungs:5 %:1 kg:12 h:12 Gy"),))
ABSURD: dict[str, tuple[Method, dict[str, Any], str]] = {
    "perfused 900 kg": (
        "mird",
        {"perfused": PerfusedOptions(mass_kg=900.0), "aim": AimOptions(dose_gy=120.0)},
        "liver-mass",
    ),
    "normal liver 900 kg": (
        "partition",
        {"masses": MassOptions(normal_mass_kg=900.0), "aim": AimOptions(normal_limit_gy=40.0)},
        "liver-mass",
    ),
    "tumour 900 kg": (
        "partition",
        {
            "masses": MassOptions(normal_mass_kg=1.0, tumour_mass_kg=(900.0,), tumour_to_normal=(5.0,)),
            "aim": AimOptions(normal_limit_gy=40.0),
        },
        "tumour-mass",
    ),
    "T/N 500": (
        "partition",
        {
            "masses": MassOptions(normal_mass_kg=1.0, tumour_mass_kg=(0.1,), tumour_to_normal=(500.0,)),
            "aim": AimOptions(normal_limit_gy=40.0),
        },
        "uptake-ratio",
    ),
    "12 000 Gy": (
        "mird",
        {"perfused": PerfusedOptions(mass_kg=0.2), "aim": AimOptions(dose_gy=12000.0)},
        "dose-aim",
    ),
    "300 GBq": (
        "partition",
        {"masses": MassOptions(normal_mass_kg=1.0), "aim": AimOptions(planned_gbq=300.0)},
        "activity-y90",
    ),
    "17 GBq of 188Re": (
        "lipiodol",
        {
            "substance": SubstanceOptions(agent="re188-dedc-lipiodol"),
            "rule": RE188,
            "aim": AimOptions(administered_gbq=17.0),
        },
        "activity-re188",
    ),
    "22.2 GBq of 131I": (
        "lipiodol",
        {
            "rule": RuleOptions(uptake=(organ_uptake("lungs:5 %:1 kg:100 h"),)),
            "aim": AimOptions(administered_gbq=22.2),
        },
        "activity-i131",
    ),
}


@pytest.mark.parametrize(("method", "asked", "guardrail"), ABSURD.values(), ids=ABSURD.keys())
def test_absurd_numbers_stop(method: Method, asked: dict[str, Any], guardrail: str) -> None:
    substance = SubstanceOptions(agent="glass") if method == "mird" else SubstanceOptions()
    empty = Asked(substance, PerfusedOptions(), MassOptions(), AimOptions(), RuleOptions(), Patient())
    values = {name: asked.get(name, getattr(empty, name)) for name in Asked.__slots__}
    found = prescription(method, Asked(**values))
    assert f"implausible-{guardrail}" in {m.code for m in found.messages if m.severity == "critical"}


def test_lipiodol_takes_the_trials_limits_where_none_is_stated_whatever_organs_are_called() -> None:
    uptake = (
        "lung left:5 %:0.5 kg:12 h",
        "lung right:5 %:0.6 kg:12 h",
        "liver:40 %:1.5 kg:12.6 h",
        "marrow:1 %:1 kg:12 h",
    )
    asked = Asked(
        SubstanceOptions(agent="re188-dedc-lipiodol"), PerfusedOptions(), MassOptions(), AimOptions(),
        RuleOptions(uptake=tuple(map(organ_uptake, uptake))), Patient(),
    )  # fmt: skip
    found = prescription("lipiodol", asked)
    doses = found.prescription.doses
    assert doses is not None
    assert doses.normal_liver_gy is not None
    assert doses.lung_gy is not None
    # Both lungs together, by mass; the left one alone reaches its 12 Gy first or the liver 30.
    left, right = doses.lesions_gy["lung left"], doses.lesions_gy["lung right"]
    assert doses.lung_gy == pytest.approx((left * 0.5 + right * 0.6) / 1.1)
    assert max(doses.normal_liver_gy / 30, left / 12, doses.lesions_gy["marrow"] / 1.5) == pytest.approx(1.0)
    assert {"liver-30-re188", "lung-12-re188", "marrow-1.5-re188"} <= {c.limit.id for c in found.limits}
    assert {a.quantity for a in found.assumptions} >= {"limit of lung left", "limit of liver", "limit of marrow"}


def test_nothing_is_assumed_unsaid() -> None:
    asked = Asked(
        SubstanceOptions(), PerfusedOptions(volume_ml=1500.0), MassOptions(), AimOptions(), RuleOptions(), Patient()
    )
    found = prescription("holmium", asked)
    taken = {a.quantity: a.value for a in found.assumptions}
    assert taken == {
        "agent": "ho166-plla", "dose constant": 15.87, "lung shunt": 0.0, "lung mass": 1.0, "residual": 0.0,
        "density of liver": 1.05, "dose": 60.0,
    }  # fmt: skip
    said = [m.text for m in found.messages if m.code == "assumed"]
    assert len(said) == len(taken)
    assert any("60 Gy" in text for text in said)


def test_a_range_of_a_label_is_no_dose_to_aim_at() -> None:
    glass = SubstanceOptions(agent="glass")
    for intent in ("unilobar", "bilobar", "whole-liver"):
        asked = Asked(
            glass, PerfusedOptions(mass_kg=1.0), MassOptions(), AimOptions(), RuleOptions(), Patient(intent=intent)
        )
        with pytest.raises(InputError, match="no guideline here states a dose"):
            prescription("mird", asked)


def _mird(perfused: PerfusedOptions, dose_gy: float) -> Assessed:
    glass = SubstanceOptions(agent="glass")
    return prescription(
        "mird", Asked(glass, perfused, MassOptions(), AimOptions(dose_gy=dose_gy), RuleOptions(), Patient())
    )


def test_activity_for_a_mass_and_the_spread_of_methods() -> None:
    # 120 Gy in 1.5 kg at 50 J/GBq: 3.6 GBq
    one, two = _mird(PerfusedOptions(mass_kg=1.5), 120.0), _mird(PerfusedOptions(mass_kg=1.5), 150.0)
    assert one.prescription.planned_gbq == pytest.approx(3.6, rel=1e-6)
    assert activity_spread([two, one]) == pytest.approx(1.25, rel=1e-6)
    assert activity_spread([one]) is None
    for both in (PerfusedOptions(), PerfusedOptions(mass_kg=1.5, volume_ml=1400.0)):
        with pytest.raises(InputError, match="`mass_kg`"):
            _mird(both, 120.0)


@pytest.mark.parametrize("aim", [{"perfused": "60 Gy"}, {"normal_limit": "40 Gy"}, {"tumour": "205 Gy"}])
def test_one_aim_is_enough_and_none_is_not(aim: dict[str, str]) -> None:
    raw: dict[str, Any] = {
        "plan": {"agent": "glass"},
        "lungs": {"lung_shunt": "5 %"},
        "territory": [{"name": "right", "normal_mass": "1.2 kg", "lesion": [LESION]}],
    }
    assert plan_from(raw | {"aims": aim}).course.territories
    with pytest.raises(InputError):
        plan_from(raw | {"aims": {}})


def test_a_limit_binds_however_little_a_gigabecquerel_adds_to_it() -> None:
    # 0.5 % of 50 J/GBq in 1 kg of lung are 0.25 Gy/GBq; 0.2 Gy of 50 are left for a lifetime: less than 0.8 GBq
    lungs = {"lung_shunt": "0.5 %", "lung_mass": "1 kg"}
    earlier = [{"name": "2025", "lung": "49.8 Gy"}]
    plan = planned("glass", "unilobar", previous=earlier, lungs=lungs, uncertainty={"lung_shunt": "0.1 %"})
    assert plan.planner is not None
    assert plan.planner.binding_limit == "lungs over a lifetime"
    assert 49.8 < best(plan, "lung-50-cumulative") <= 50


def test_an_activity_set_to_a_limit_is_at_it_and_not_above() -> None:
    # In floating point the dose of an activity that was set to a limit comes back as 75.00000000000001.
    for limit in range(30, 78, 3):
        plan = planned(
            "glass",
            "unilobar",
            aims={"normal_limit": f"{limit} Gy", "method": "partition-normal"},
            territory=[
                {
                    "name": "right",
                    "normal_mass": "1.06 kg",
                    "lesion": [LESION | {"mass": "60 g", "tumour_to_normal": 4.0}],
                }
            ],
        )
        assert not stops(plan), limit
        assert plan.doses.normal_liver_gy == pytest.approx(limit, rel=1e-12)
    for shunt in range(20, 27):
        plan = planned("glass", "unilobar", lungs={"lung_shunt": f"{shunt} %"}, aims={"method": "partition-normal"})
        assert plan.doses.lung_gy == pytest.approx(30, rel=1e-12)
        assert "lung-dose-30" not in {message.code for message in stops(plan)}


def test_several_territories_keep_the_lung_limit_together() -> None:
    two = [
        {"name": "right", "normal_mass": "0.8 kg", "lesion": [LESION]},
        {"name": "left", "normal_mass": "0.4 kg", "lesion": [LESION | {"name": "b", "mass": "50 g"}]},
    ]
    plan = planned(
        "glass", "whole-liver", lungs={"lung_shunt": "10 %"}, aims={"method": "partition-normal"}, territory=two
    )
    alone = planned(
        "glass",
        "whole-liver",
        lungs={"lung_shunt": "10 %"},
        aims={"method": "partition-normal", "lung_limit": "60 Gy"},
        territory=two,
    )
    assert alone.doses.lung_gy > 30
    assert plan.doses.lung_gy == pytest.approx(30, rel=1e-12)
    assert not {"lung-dose-30", "limit-exceeded"} & {message.code for message in stops(plan) if "lung" in message.text}
    assert "lung-limit-shared" in {message.code for message in plan.messages}
    # One factor for all.
    factors = [
        a.given.prescription.administered_gbq / b.given.prescription.administered_gbq
        for a, b in zip(plan.territories, alone.territories, strict=True)
    ]
    assert factors[0] == pytest.approx(factors[1])
    lifetime = planned(
        "glass",
        "whole-liver",
        lungs={"lung_shunt": "10 %"},
        aims={"method": "partition-normal"},
        territory=two,
        previous=[{"name": "x", "lung": "49.9 Gy"}],
    )
    assert lifetime.doses.lung_cumulative_gy == pytest.approx(50, rel=1e-12)
    assert "lung-dose-cumulative-50" not in {message.code for message in stops(lifetime)}
    # What a method that does not know the lungs gives is taken off first.
    mixed = planned(
        "glass", "whole-liver", lungs={"lung_shunt": "10 %"}, aims={"perfused": "300 Gy", "method": "partition-normal"},
        territory=[two[0] | {"method": "mird"}, two[1]],
    )  # fmt: skip
    assert mixed.doses.lung_gy == pytest.approx(30, rel=1e-12)


def test_the_best_chance_is_no_activity_that_a_guardrail_stops() -> None:
    for agent, intent, gbq in (("i131-lipiodol", "whole-liver", 4.44), ("QuiremSpheres", "segmentectomy", 15.0)):
        plan = planned(agent, intent, aims={"normal_limit": "900 Gy", "tumour": "900 Gy"}, lungs={"lung_shunt": "1 %"})
        assert plan.planner is not None
        assert plan.planner.largest_allowed_total_gbq == pytest.approx(gbq)
        assert plan.planner.binding_limit.startswith("implausible-activity-")
        assert "planner-keeps-plausible" in {message.code for message in plan.messages}
    # A patient with two injections is one patient.
    two = [
        {"name": "right", "normal_mass": "0.8 kg", "lesion": [LESION]},
        {"name": "left", "normal_mass": "0.4 kg", "lesion": [LESION | {"name": "b"}]},
    ]
    plan = planned("i131-lipiodol", "whole-liver", aims={"normal_limit": "900 Gy", "tumour": "500 Gy"}, territory=two)
    assert plan.planner is not None
    assert sum(plan.planner.administered_gbq.values()) <= 4.44
