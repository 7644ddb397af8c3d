"""Plan files: read, refused, answered, written."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import validate

from hepatica.core.document import document as as_document
from hepatica.errors import HepaticaError, InputError, OutputError, UnitError, UnknownNameError
from hepatica.planning.planner.course import METHODS
from hepatica.planning.planner.course_plan import CoursePlan, plan_course
from hepatica.planning.planner.plan_file import TEMPLATE, Plan, plan_from, read_plan
from hepatica.workflow.planning.plan.file import plan_template
from hepatica.workflow.planning.plan.plan import plan as plan_verb


def document(**changes: Any) -> dict[str, Any]:
    out = tomllib.loads(TEMPLATE)
    for path, value in changes.items():
        *tables, key = path.split("__")
        table = out
        for name in tables:
            table = table[name] if not isinstance(table[name], list) else table[name][0]
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
    return out


def answered(raw: dict[str, Any]) -> CoursePlan:
    return plan_course(plan_from(raw).course)


def test_the_template_is_a_plan() -> None:
    plan = answered(document())
    assert set(plan.territories[0].methods) == {"mird", "partition-normal", "partition-tumour"}
    assert plan.territories[0].chosen == "mird"
    assert plan.doses.energy_j == pytest.approx(plan.administered_gbq * 50, rel=1e-9)
    assert plan.planned_gbq == pytest.approx(plan.administered_gbq / 0.98)
    by_tumour = plan.territories[0].methods["partition-tumour"].prescription.doses
    assert by_tumour is not None
    assert by_tumour.tumour_gy == pytest.approx(205)
    assert plan.planner is not None
    assert plan.planner.binding_limit == "normal liver"


def test_the_method_can_be_chosen() -> None:
    plan = answered(document(aims__method="partition-normal"))
    assert plan.territories[0].chosen == "partition-normal"
    assert plan.doses.perfused_normal_gy["right lobe"] == pytest.approx(75)
    with pytest.raises(InputError, match="does not apply"):
        answered(document(aims__method="bsa"))


def test_an_activity_can_be_stated_for_a_territory() -> None:
    """By no rule: what it gives is what the same activity gives by the rule that found it."""
    rule = answered(document())
    stated = answered(document(territory__administered=f"{rule.administered_gbq!r} GBq"))
    assert stated.territories[0].chosen == "stated"
    assert stated.administered_gbq == pytest.approx(rule.administered_gbq, rel=1e-12)
    assert stated.doses.lesions_gy == pytest.approx(rule.doses.lesions_gy, rel=1e-12)
    assert "rule-of-other-agent" not in {one.id for one in stated.guardrails.warned}
    twice = answered(document(territory__administered=f"{2 * rule.administered_gbq!r} GBq"))
    assert twice.doses.lung_gy == pytest.approx(2 * rule.doses.lung_gy, rel=1e-12)
    asked = answered(document(territory__administered="1 GBq", territory__method="mird"))
    assert (asked.territories[0].chosen, asked.administered_gbq) == ("mird", rule.administered_gbq)
    with pytest.raises(InputError):
        answered(document(territory__administered="0 GBq"))


def test_resin_gets_its_own_rules_side_by_side() -> None:
    plan = answered(
        document(plan__agent="resin", patient__height="1.75 m", patient__weight="75 kg", plan__convention=None)
    )
    assert set(plan.territories[0].methods) == {"mird", "partition-normal", "partition-tumour", "bsa", "empiric"}
    lobar = plan.territories[0].methods["bsa"].prescription
    # Lobe 1.055 of 1.655 kg, tumour 0.155 kg: (BSA - 0.2 + 0.155/1.055) x 1.055/1.655.
    assert lobar.method == "bsa-lobar"
    assert lobar.administered_gbq == pytest.approx((1.9031 - 0.2 + 0.155 / 1.055) * 1.055 / 1.655, rel=1e-3)


def test_holmium_and_two_territories_and_earlier_treatment() -> None:
    raw = document(plan__agent="QuiremSpheres", aims__perfused="60 Gy", uncertainty=None)
    raw["territory"].append({"name": "left", "normal_mass": "0.5 kg", "lung_shunt": "2 %"})
    raw["liver"]["unperfused_normal_mass"] = "0.1 kg"
    raw["previous"] = [{"name": "2025", "lung": "5 Gy", "normal_liver": "10 Gy"}]
    plan = answered(raw)
    assert [t.chosen for t in plan.territories] == ["holmium", "holmium"]
    assert plan.doses.lung_cumulative_gy == pytest.approx(plan.doses.lung_gy + 5)
    assert plan.doses.energy_j == pytest.approx(plan.administered_gbq * 15.87, rel=1e-9)
    assert plan.planner is None
    assert any(w.id == "retreatment" for w in plan.guardrails.warned)


def test_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(TEMPLATE.replace("right lobe, HCC", "<b>lobe</b>"))
    made = plan_verb(path)
    made.save(tmp_path / "out")
    tables = {"methods-right-lobe.csv", "doses.csv", "limits.csv", "chances.csv", "assumptions.csv"}
    assert {p.name for p in (tmp_path / "out").iterdir()} - {".hepatica.sha256"} == {
        "result.json",
        "plan.html",
        "plan.pdf",
        *tables,
    }
    written = json.loads((tmp_path / "out/result.json").read_text())
    assert written["planned_gbq"] == made.as_dict()["planned_gbq"] == made.course.planned_gbq
    validate(written, type(made).schema())
    html = (tmp_path / "out/plan.html").read_text()
    assert "&lt;b&gt;lobe" in html
    assert "not a medical device" in html
    assert 'src="data:image/svg+xml;base64,' in html
    assert "http" not in html.replace("http-equiv", "")
    assert (tmp_path / "out/plan.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(OutputError, match="force"):
        made.save(tmp_path / "out")
    made.save(tmp_path / "out", force=True)


def test_a_plan_from_values_is_the_plan_from_its_file(tmp_path: Path) -> None:
    plan_template().save(tmp_path / "new")
    read = plan_verb(tmp_path / "new" / "plan.toml")
    made = plan_verb(Plan(plan_from(document()).course))
    same = {"provenance"}
    assert {k: v for k, v in read.as_dict().items() if k not in same} == {
        k: v for k, v in made.as_dict().items() if k not in same
    }
    assert [entry.role for entry in read.provenance.inputs] == ["plan"]
    with pytest.raises(InputError, match="not int"):
        plan_verb(3)  # type: ignore[arg-type]


WRONG_LINES = {
    "a unit": ('lung_shunt = "5 %"', 'lung_shunt = "5"', r"lungs.lung_shunt \(.*plan.toml, line 31\)"),
    "a choice": ('intent = "unilobar"', 'intent = "lobar"', r"plan.intent \(.*plan.toml, line 11\).*unilobar"),
    "a key": ('indication = "HCC"', 'indicatoin = "HCC"', r"plan.indicatoin \(.*line 12\).*did you mean indication"),
    "in the second lesion": ('mass = "35 g"', 'mass = "35"', r"lesion.mass \(.*plan.toml, line 52\)"),
    "a negative number": ('perfused = "120 Gy"', 'perfused = "-120 Gy"', r"aims.perfused \(.*line 15\).*positive"),
    "what is missing": ('normal_mass = "0.9 kg"', "", r"territory.normal_mass is missing \[quantity in kg\]"),
}


@pytest.mark.parametrize(("old", "new", "message"), WRONG_LINES.values(), ids=WRONG_LINES.keys())
def test_errors_name_file_line_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "plan.toml").write_text(TEMPLATE.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read_plan(tmp_path / "plan.toml")


BAD: dict[str, tuple[dict[str, Any], type[HepaticaError]]] = {
    "mass without unit": ({"territory__normal_mass": "0.9"}, UnitError),
    "mass as a number": ({"territory__normal_mass": 0.9}, UnitError),
    "negative mass": ({"territory__normal_mass": "-0.9 kg"}, InputError),
    "shunt in percent": ({"lungs__lung_shunt": 5}, UnitError),
    "shunt of 1": ({"lungs__lung_shunt": "100 %"}, InputError),
    "T/N of 0": ({"territory__lesion": [{"name": "a", "mass": "10 g", "tumour_to_normal": 0}]}, InputError),
    "T/N as text": ({"territory__lesion": [{"name": "a", "mass": "10 g", "tumour_to_normal": "4"}]}, InputError),
    "unknown table": ({"plans": {}}, UnknownNameError),
    "unknown key": ({"plan__agnet": "glass"}, UnknownNameError),
    "unknown agent": ({"plan__agent": "marbles"}, UnknownNameError),
    "unknown intent": ({"plan__intent": "lobar"}, UnknownNameError),
    "unknown method": ({"aims__method": "magic"}, UnknownNameError),
    "no aims": ({"aims": {"lung_limit": "30 Gy"}}, InputError),
    "no territory": ({"territory": []}, InputError),
    "territory as table": ({"territory": {"name": "x"}}, InputError),
    "unknown fact": ({"facts__colour": 1}, UnknownNameError),
    "fact of the wrong type": ({"facts__share_elsewhere": "3 %"}, InputError),
    "flag as text": ({"patient__compromised": "no"}, InputError),
    "height alone": ({"patient__height": "1.7 m"}, InputError),
    "bilirubin in umol": ({"patient__bilirubin": "15 umol/L"}, UnitError),
}


@pytest.mark.parametrize(("changes", "error"), BAD.values(), ids=BAD.keys())
def test_bad_plans_name_what_is_wrong(changes: dict[str, Any], error: type[HepaticaError]) -> None:
    with pytest.raises(error):
        answered(document(**changes))


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(tmp_path / "missing.toml")
    (tmp_path / "bad.toml").write_text("[plan\n")
    with pytest.raises(InputError, match="not a TOML"):
        read_plan(tmp_path / "bad.toml")
    assert "mird" in METHODS


def leaves(table: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    below = [leaf for key, value in items for leaf in leaves(value, (*path, key))]
    return [*([path] if path else []), *below]


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 200),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=8),
    st.sampled_from(["5", "5 %", "-5 kg", "1e400 kg", "nan Gy", "0 kg", "0 Gy", "1 GBq", "100 %", "1e-300 kg"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_mutated_plan_is_refused_or_answered(data: st.DataObject) -> None:
    raw = document(uncertainty=None, plan__convention="label", territory__agent="resin", territory__method="mird")
    raw["patient"] |= {"height": "1.7 m", "weight": "70 kg", "compromised": False, "hepatic_reserve": "40 %"}
    raw["previous"] = [{"name": "2025", "lung": "5 Gy", "normal_liver": "10 Gy"}]
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(leaves(raw)))
        table: Any = raw
        for key in path[:-1]:
            table = table[key]
        table[path[-1]] = data.draw(JUNK)
    try:
        plan = answered(raw)
    except HepaticaError:
        plan = None
    if plan is not None:
        assert plan.planned_gbq >= 0
        json.dumps(as_document(plan), allow_nan=False)
