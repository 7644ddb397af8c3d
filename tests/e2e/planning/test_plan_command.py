"""``hepatica prescribe``, ``plan`` and ``compare-agents`` as a user runs them."""

import io
import json
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import validate

from command_line import require_refused_or_answered
from hepatica.cli.main import run as run_command
from hepatica.planning.limits.assess import Patient
from hepatica.planning.planner.agent_comparison import CompareAim
from hepatica.planning.planner.plan_file import TEMPLATE
from hepatica.planning.planner.prescribe import AimOptions, MassOptions, RuleOptions
from hepatica.planning.prescriptions.lipiodol import organ_uptake
from hepatica.workflow.planning.compare_agents import compare_agents
from hepatica.workflow.planning.plan.plan import plan
from hepatica.workflow.planning.prescribe import prescribe


@dataclass
class Done:
    stdout: str
    stderr: str


def run(*arguments: str, code: int = 0) -> Done:
    """The command's own entry point in this process: a subprocess for each of these would take a minute."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["hepatica", *arguments])
        with pytest.raises(SystemExit) as ended:
            run_command()
    assert (ended.value.code or 0) == code, err.getvalue()
    return Done(out.getvalue(), err.getvalue())


SHUNT, RATIO = "--lung-shunt", "--tumour-to-normal"


def answer(*arguments: str) -> dict[str, Any]:
    out: dict[str, Any] = json.loads(run("prescribe", *arguments, "--json").stdout)
    return out


@pytest.mark.parametrize(("shunt", "code"), [("5 %", 0), ("5", 2)])
def test_as_a_subprocess(shunt: str, code: int) -> None:
    command = [sys.executable, "-m", "hepatica", "prescribe", "mird", "--agent", "glass", "--mass", "1.5 kg"]
    done = subprocess.run(
        [*command, "--dose", "120 Gy", SHUNT, shunt, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code
    if code:
        assert done.stdout == ""
        assert "5 %" in done.stderr
    else:
        assert json.loads(done.stdout)["planned_gbq"] == pytest.approx(120 * 1.5 / (50 * 0.95))


KEYS = {
    "schema",
    "planned_gbq",
    "administered_gbq",
    "doses",
    "constant",
    "limits",
    "guardrails",
    "messages",
    "provenance",
}


def test_mird_for_glass() -> None:
    out = answer(
        "mird", "--agent", "glass", "--mass", "1.5 kg", "--dose", "120 Gy", SHUNT, "0.05", "--residual", "0.02"
    )
    assert set(out) >= KEYS
    assert out["planned_gbq"] == pytest.approx(120 * 1.5 / (50 * 0.95 * 0.98))
    assert out["administered_gbq"] == pytest.approx(120 * 1.5 / (50 * 0.95))
    assert out["doses"]["lung_gy"] == pytest.approx(out["administered_gbq"] * 0.05 * 50)
    assert out["constant"]["convention"] == "label"
    same = answer(
        "mird",
        "--agent",
        "TheraSphere",
        "--mass",
        "1500 g",
        "--dose",
        "12000 cGy",
        SHUNT,
        "5 %",
        "--residual",
        "2 %",
    )
    assert same["planned_gbq"] == pytest.approx(out["planned_gbq"], rel=1e-12)


@pytest.mark.parametrize(("convention", "constant"), [("label", 50.0), ("mird", 49.67)])
def test_the_convention_is_selectable(convention: str, constant: float) -> None:
    out = answer("mird", "--agent", "glass", "--mass", "1 kg", "--dose", "100 Gy", "--convention", convention)
    assert out["planned_gbq"] == pytest.approx(100 / constant)
    assert out["constant"]["j_per_gbq"] == constant


def test_the_convention_is_printed() -> None:
    done = run("prescribe", "mird", "--agent", "glass", "--mass", "1 kg", "--dose", "100 Gy", "--convention", "ensdf")
    assert "ensdf: 49.6" in done.stdout or "ensdf: 49.7" in done.stdout
    assert "note: " in done.stderr


def test_bsa_and_lobar_bsa() -> None:
    out = answer("bsa", "--height", "1.75 m", "--weight", "75 kg", "--involvement", "0.2")
    assert out["planned_gbq"] == pytest.approx(1.9031, abs=1e-3)
    assert answer("bsa", "--height", "180 cm", "--weight", "80 kg", "--involvement", "10 %")[
        "planned_gbq"
    ] == pytest.approx(1.8964, abs=1e-3)
    lobe = answer("bsa", "--height", "1.75 m", "--weight", "75 kg", "--involvement", "0.2", "--lobe-share", "0.6")
    assert lobe["planned_gbq"] == pytest.approx(0.6 * out["planned_gbq"])


def test_partition_by_its_three_aims() -> None:
    common = [
        "partition",
        "--tumour-mass",
        "200 g",
        "--normal-mass",
        "1.3 kg",
        RATIO,
        "5",
        SHUNT,
        "0.05",
    ]
    by_normal = answer(*common, "--normal-limit", "40 Gy")
    assert by_normal["planned_gbq"] == pytest.approx(40 * (5 * 0.2 + 1.3) / (49.67 * 0.95))
    assert by_normal["doses"]["tumour_gy"] == pytest.approx(200)
    by_tumour = answer(*common, "--tumour-dose", "200 Gy")
    assert by_tumour["planned_gbq"] == pytest.approx(by_normal["planned_gbq"])
    by_activity = answer(*common, "--planned", f"{by_normal['planned_gbq']} GBq")
    assert by_activity["doses"]["normal_liver_gy"] == pytest.approx(40)
    assert by_activity["constant"]["convention"] == "mird"


def test_several_lesions() -> None:
    out = answer(
        "partition", "--tumour-mass", "100 g", RATIO, "4", "--tumour-mass", "50 g", RATIO, "2",
        "--normal-mass", "1.3 kg", "--normal-limit", "40 Gy",
    )  # fmt: skip
    assert out["doses"]["lesions_gy"] == pytest.approx({"tumour 1": 160, "tumour 2": 80})


def test_holmium() -> None:
    out = answer("holmium", "--mass", "1 kg", "--dose", "60 Gy")
    assert out["planned_gbq"] * 1000 == pytest.approx(3780, rel=1e-3)


def test_any_nuclide_by_the_generic_rule_and_said_so() -> None:
    out = answer("mird", "--agent", "lu177-microspheres", "--mass", "1 kg", "--dose", "100 Gy")
    assert out["constant"]["convention"] == "ensdf"
    assert any("No labelled prescription" in m["text"] for m in out["messages"])
    for name in ("Y-90", "I-131", "Re-188", "Ho-166", "Lu-177", "Sm-153", "Re-186"):
        doc = answer("mird", "--nuclide", name, "--mass", "1 kg", "--dose", "50 Gy", "--convention", "ensdf")
        assert doc["planned_gbq"] * doc["constant"]["j_per_gbq"] == pytest.approx(50, rel=1e-9)
        assert any("generic" in m["text"] for m in doc["messages"])


def test_other_methods() -> None:
    assert answer("empiric", "--involvement", "0.3")["planned_gbq"] == 2.5
    out = answer(
        "activity-ratio",
        "--tumour-mass",
        "200 g",
        "--normal-mass",
        "1 kg",
        "--activity-ratio",
        "3",
        "--normal-limit",
        "40 Gy",
    )
    assert out["planned_gbq"] == pytest.approx(40 * 4 / 49.67)
    fixed = answer("lipiodol", "--fixed", "--uptake", "lungs:16 %:1 kg:5.84 d")
    assert fixed["planned_gbq"] == 2.22
    organs = ["--uptake", "lungs:9 %:1 kg:12 h:12 Gy", "--uptake", "normal liver:16 %:1.5 kg:12.6 h:30 Gy"]
    limited = answer("lipiodol", *organs)
    assert limited["doses"]["lung_gy"] == pytest.approx(12)


BAD = {
    "mass without unit": ["mird", "--agent", "glass", "--mass", "1.5", "--dose", "120 Gy"],
    "LSF in percent": ["mird", "--agent", "glass", "--mass", "1.5 kg", "--dose", "120 Gy", SHUNT, "5"],
    "LSF of 1": ["mird", "--agent", "glass", "--mass", "1.5 kg", "--dose", "120 Gy", SHUNT, "1"],
    "negative mass": ["mird", "--agent", "glass", "--mass", "-1.5 kg", "--dose", "120 Gy"],
    "T/N of 0": [
        "partition", "--tumour-mass", "200 g", "--normal-mass", "1.3 kg", RATIO, "0", "--normal-limit", "40 Gy",
    ],
    "agent of another nuclide": [
        "mird", "--agent", "glass", "--nuclide", "Ho-166", "--mass", "1 kg", "--dose", "60 Gy",
    ],
    "unknown agent": ["mird", "--agent", "marbles", "--mass", "1 kg", "--dose", "60 Gy"],
    "a surrogate": ["mird", "--agent", "maa", "--mass", "1 kg", "--dose", "60 Gy"],
    "no agent at all": ["mird", "--mass", "1 kg", "--dose", "60 Gy"],
    "unknown convention": ["mird", "--agent", "glass", "--mass", "1 kg", "--dose", "60 Gy", "--convention", "x"],
    "two aims": [
        "partition", "--tumour-mass", "200 g", "--normal-mass", "1.3 kg", RATIO, "3", "--normal-limit", "40 Gy",
        "--planned", "2 GBq",
    ],
    "dose in GBq": ["mird", "--agent", "glass", "--mass", "1.5 kg", "--dose", "120 GBq"],
    "mass and volume": ["mird", "--agent", "glass", "--mass", "1 kg", "--volume", "1 L", "--dose", "60 Gy"],
    "tumour heavier than target": [
        "mird", "--agent", "glass", "--mass", "1 kg", "--dose", "60 Gy", "--tumour-mass", "2 kg", RATIO, "3",
    ],
}  # fmt: skip


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD.keys())
def test_bad_input_gives_a_message_and_no_number(arguments: list[str]) -> None:
    done = run("prescribe", *arguments, "--json", code=2)
    assert done.stdout == ""
    assert done.stderr.startswith("hepatica: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_lung_shunt_over_20_percent_gives_no_resin_activity() -> None:
    out = answer("bsa", "--height", "1.75 m", "--weight", "75 kg", "--involvement", "0.2", SHUNT, "0.25")
    assert out["planned_gbq"] == 0
    assert "shunt-over-20-resin" in [m["code"] for m in out["messages"]]


def test_plan_file_from_template_to_report(tmp_path: Path) -> None:
    path, out = tmp_path / "new" / "plan.toml", tmp_path / "out"
    printed = run("plan-template", "--out", str(tmp_path / "new")).stdout
    assert path.read_text() == TEMPLATE
    assert TEMPLATE.rstrip() in printed
    assert run("plan-template", "--out", str(tmp_path / "new"), code=2).stderr.startswith("hepatica: ")
    document = json.loads(run("plan", str(path), "--json", "--out", str(out)).stdout)
    assert set(document) >= (KEYS - {"constant"}) | {"planner", "territories"}
    assert json.loads((out / "result.json").read_text())["planner"] == document["planner"]
    assert (out / "plan.html").stat().st_size > 4000
    text = run("plan", str(path)).stdout
    assert "partition-tumour" in text
    assert "best activity, right lobe" in text
    assert "95 % interval" in text
    path.write_text(TEMPLATE.replace('agent = "glass"', 'agnet = "glass"'))
    refused = run("plan", str(path), code=2).stderr
    assert re.search(r"plan.toml, line 7\).*did you mean agent", refused)


def test_compare_agents(tmp_path: Path) -> None:
    patient = ["--normal-mass", "1.3 kg", "--tumour-mass", "200 g", RATIO, "4", SHUNT, "5 %"]
    common = ["compare-agents", *patient]
    out = json.loads(run(*common, "--normal-dose", "40 Gy", "--json").stdout)
    assert [a["nuclide"] for a in out["agents"]] == ["Y-90", "Y-90", "Ho-166", "Re-188", "I-131", "Lu-177"]
    assert all(a["doses"]["normal_liver_gy"] == pytest.approx(40) for a in out["agents"])
    folder = tmp_path / "compared"
    text = run("compare-agents", "glass", "Ho-166", *patient, "--dose", "60 Gy", "--out", str(folder)).stdout
    assert "spheres per mL" in text
    assert (folder / "agents.svg").exists()
    assert "exactly one aim: --dose, --normal-dose or --tumour-dose" in run(*common, code=2).stderr


def numbers(document: dict[str, Any]) -> dict[str, Any]:
    """A document without the time at which it was made."""
    return {key: value for key, value in document.items() if key != "provenance"}


def test_python_and_command_give_the_same(tmp_path: Path) -> None:
    masses = MassOptions(normal_mass_kg=1.3, tumour_mass_kg=(0.1, 0.05), tumour_to_normal=(4.0, 2.0), lung_shunt=0.05)
    made = prescribe(
        "partition", masses=masses, aim=AimOptions(normal_limit_gy=40.0), patient=Patient(intent="bilobar")
    )
    words = [
        "--normal-mass", "1.3 kg", "--tumour-mass", "100 g", "--tumour-mass", "50 g", RATIO, "4", RATIO, "2",
        SHUNT, "5 %",
    ]  # fmt: skip
    asked = answer("partition", *words, "--normal-limit", "40 Gy", "--intent", "bilobar")
    assert numbers(json.loads(json.dumps(made.as_dict()))) == numbers(asked)
    validate(asked, type(made).schema())
    compared = compare_agents(("glass", "I-131"), masses=masses, aim=CompareAim(dose_gy=60.0))
    printed = json.loads(run("compare-agents", "glass", "I-131", *words, "--dose", "60 Gy", "--json").stdout)
    assert numbers(json.loads(json.dumps(compared.as_dict()))) == numbers(printed)
    (tmp_path / "plan.toml").write_text(TEMPLATE)
    plan_of = json.loads(run("plan", str(tmp_path / "plan.toml"), "--json").stdout)
    assert numbers(json.loads(json.dumps(plan(tmp_path / "plan.toml").as_dict()))) == numbers(plan_of)
    organs = ("lungs:9 %:1 kg:12 h:12 Gy", "tumour:40 %:120 g:14 h")
    lipiodol = prescribe("lipiodol", rule=RuleOptions(uptake=tuple(map(organ_uptake, organs))))
    assert numbers(json.loads(json.dumps(lipiodol.as_dict()))) == numbers(
        answer("lipiodol", "--uptake", organs[0], "--uptake", organs[1])
    )


REFUSED = {
    "an option of another method": (
        ["holmium", "--mass", "1 kg", "--height", "1.75 m"],
        "--height means nothing for holmium; holmium takes --mass, --volume, --dose",
    ),
    "an unknown method": (["mrid", "--mass", "1 kg"], "did you mean mird"),
    "a misspelt option": (["mird", "--agnt", "glass"], "did you mean"),
    "a missing option": (["bsa", "--height", "1.75 m", "--involvement", "0.2"], "bsa needs --weight"),
    "a wrong intent": (["mird", "--agent", "glass", "--mass", "1 kg", "--intent", "lobar"], "did you mean"),
    "two tumours, one ratio": (
        ["partition", "--normal-mass", "1 kg", "--tumour-mass", "9 g", "--tumour-mass", "7 g", RATIO, "4",
         "--normal-limit", "40 Gy"],
        "2 tumour masses and 1 T/N ratios; state one --tumour-to-normal for each --tumour-mass",
    ),
    "fixed and another activity": (
        ["lipiodol", "--uptake", "lungs:9 %:1 kg", "--fixed", "--administered", "2 GBq"], "states another",
    ),
    "an uptake without a mass": (["lipiodol", "--uptake", "lungs:9 %"], "write organ:share:mass"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals_say_what_to_do(arguments: list[str], message: str) -> None:
    refused = run("prescribe", *arguments, code=2)
    assert message in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_segmentectomy_takes_the_guidelines_dose() -> None:
    out = answer("mird", "--agent", "glass", "--volume", "200 mL", "--intent", "segmentectomy", "--indication", "HCC")
    # The glass label takes 1.03 g/mL.
    assert out["planned_gbq"] == pytest.approx(400 * 0.206 / 50)
    assert any("segmentectomy" in m["text"] for m in out["messages"])
    assert "state --dose, or --intent" in run("prescribe", "mird", "--agent", "glass", "--mass", "1 kg", code=2).stderr


@given(
    kg=st.floats(0.05, 5.0),
    dose=st.floats(10.0, 500.0),
    lsf=st.floats(0.0, 0.5),
    mass_unit=st.sampled_from([("kg", 1.0), ("g", 1e3), ("mg", 1e6)]),
    dose_unit=st.sampled_from([("Gy", 1.0), ("cGy", 1e2), ("mGy", 1e3), ("kGy", 1e-3)]),
)
@settings(max_examples=12, deadline=None)
def test_units_in_any_spelling_give_the_same_answer(
    kg: float, dose: float, lsf: float, mass_unit: tuple[str, float], dose_unit: tuple[str, float]
) -> None:
    plain = answer("mird", "--agent", "glass", "--mass", f"{kg!r} kg", "--dose", f"{dose!r} Gy", SHUNT, f"{lsf!r}")
    mass, gray = f"{kg * mass_unit[1]!r} {mass_unit[0]}", f"{dose * dose_unit[1]!r} {dose_unit[0]}"
    other = answer("mird", "--agent", "glass", "--mass", mass, "--dose", gray, SHUNT, f"{100 * lsf!r} %")
    assert other["planned_gbq"] == pytest.approx(plain["planned_gbq"], rel=1e-9)


COMMANDS = (
    ["mird", "--agent", "glass", "--mass", "1.5 kg", "--dose", "120 Gy", SHUNT, "0.05", "--residual", "0.02"],
    ["bsa", "--height", "1.75 m", "--weight", "75 kg", "--involvement", "0.2", "--lobe-share", "0.6"],
    ["partition", "--tumour-mass", "0.2 kg", "--normal-mass", "1 kg", RATIO, "5", "--normal-limit", "40 Gy"],
)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_mutated_command_is_refused_or_answered(data: st.DataObject) -> None:
    require_refused_or_answered(data, [["prescribe", *command] for command in COMMANDS])
