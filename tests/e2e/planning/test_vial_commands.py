"""``hepatica order-vial``, ``elute-generator`` and ``delivered-activity`` against numbers by hand."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import require_refused_or_answered
from hepatica.cli.main import main
from hepatica.errors import InputError, UnknownNameError
from hepatica.planning.delivery.delivered import DeliveryOptions, VialReadingOptions
from hepatica.workflow.planning.delivered import delivered_activity
from hepatica.workflow.planning.generator import elute_generator
from hepatica.workflow.planning.vial import order_vial

AT = "2026-03-12T10:00+01:00"
READINGS = [
    "--reading-before", "1200 uSv/h", "--reading-before-at", "2026-03-12T09:00+01:00", "--reading-after", "20 uSv/h",
    "--reading-after-at", "2026-03-12T11:00+01:00", "--administered-at", AT, "--perfused-mass", "1.2 kg",
]  # fmt: skip


class Screen:
    """The command line in this process."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured

    def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        self._captured.readouterr()
        assert main(list(arguments)) == code
        return self._captured.readouterr()

    def document(self, *arguments: str) -> dict[str, Any]:
        return dict(json.loads(self(*arguments, "--json")[0]))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Screen:
    return Screen(capsys)


def numbers(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "provenance"}


def test_order_vial(run: Screen) -> None:
    glass = run.document("order-vial", "glass", "2.4 GBq", "--administered-at", AT)
    assert abs(glass["vials"][0]["deviation"]) < 0.05
    assert glass["vials"][0]["calibrated_at"] == "2026-03-08T12:00:00-04:00"
    assert numbers(order_vial("glass", 2.4, administered_at=datetime.fromisoformat(AT)).as_dict()) == numbers(glass)
    resin = ["order-vial", "resin", "1.4 GBq", "--administered-at", AT, "--calibrated-at", "2026-03-12T18:00+01:00"]
    assert run.document(*resin)["vials"][0]["draw_ml"] == pytest.approx(5 * 1.4 / (3 * 2 ** (8 / 64.05)), rel=1e-3)
    assert "draw, mL" in run(*resin)[0]
    holmium = ["order-vial", "QuiremSpheres", "4 GBq", "--administered-at", AT, "--specific-activity", "10 MBq/mg"]
    assert run.document(*holmium, "--shipped-at", "2026-03-11T12:00+01:00")["batch"]["carrier_mass_mg"] == 400
    assert "give --shipped-at" in run(*holmium, code=2)[1]
    assert "order these together" in run("order-vial", "glass", "25 GBq", "--administered-at", "2026-03-09T10:00Z")[1]
    for arguments, message in (
        (["glass", "2.4 GBq", "--administered-at", "2026-03-12T10:00"], "has no time zone"),
        (["glass", "2.4", "--administered-at", AT], "--planned: '2.4' has no unit"),
        (["glas", "2.4 GBq", "--administered-at", AT], "did you mean glass"),
        (["glass", "2.4 GBq"], "needs --administered-at"),
        (["glass", "2.4 GBq", "--administerd-at", AT], "did you mean --administered-at"),
    ):
        assert message in run("order-vial", *arguments, code=2)[1]
    with pytest.raises(UnknownNameError, match="did you mean glass"):
        order_vial("glas", 2.4, administered_at=datetime.fromisoformat(AT))


def test_elute_generator(run: Screen, tmp_path: Path) -> None:
    first, second = "2026-03-02T08:00Z", "2026-03-04T00:00Z"
    asked = ["elute-generator", "20 GBq", "--calibrated-at", first, "--eluted-at", first, "--eluted-at", second]
    out = run.document(*asked)
    assert out["elutions"][1]["daughter_before_gbq"] == pytest.approx(0.2 * 20.2 * 0.196 + 0.7958 * 20, rel=0.01)
    start, later = (datetime.fromisoformat(text) for text in (first, second))
    assert numbers(elute_generator(20.0, calibrated_at=start, eluted_at=(start, later)).as_dict()) == numbers(out)
    assert "Re-188 before, GBq" in run(*asked)[0]
    assert "in order" in run(*asked, "--eluted-at", first, code=2)[1]
    (tmp_path / "generator.toml").write_text(f'parent = "20 GBq"\ncalibrated-at = "{first}"\nefficiency = 80\n')
    said = run("elute-generator", "--eluted-at", first, "--options", str(tmp_path / "generator.toml"), code=2)[1]
    assert "generator.toml, line 3: efficiency" in said


def test_delivered_activity(run: Screen) -> None:
    vial = ["delivered-activity", "Y-90", "--vial"]
    out = run.document(*vial, "3 GBq", "--calibrated-at", AT, *READINGS)
    assert out["residual_fraction"] == pytest.approx(20 / 1200 * 2 ** (2 / 64.05), rel=1e-6)
    assert out["dose"]["dose_perfused_gy"] == pytest.approx(out["administered_gbq"] * 49.699 / 1.2, rel=1e-4)
    at, before, after = (datetime.fromisoformat(f"2026-03-12T{hour}:00+01:00") for hour in ("10", "09", "11"))
    readings = VialReadingOptions(
        vial_gbq=(3.0,), calibrated_at=(at,), reading_before_usv_per_h=(1200.0,), reading_before_at=(before,),
        reading_after_usv_per_h=(20.0,), reading_after_at=(after,), administered_at=(at,),
    )  # fmt: skip
    by_value = delivered_activity("Y-90", readings, planned=DeliveryOptions(perfused_mass_kg=1.2))
    assert numbers(by_value.as_dict()) == numbers(out)
    late = ["--calibrated-at", "2026-02-20T12:00Z", *READINGS, "--agent", "glass", "--planned", "5 GBq"]
    messages = run.document(*vial, "50 GBq", *late)["messages"]
    assert {"code": "vial-expired", "severity": "critical"}.items() <= messages[0].items()
    assert any(message["code"].startswith("delivered-") for message in messages)


def test_several_vials_are_summed(run: Screen) -> None:
    calibrations = ["--calibrated-at", "2026-03-08T12:00-04:00", "--calibrated-at", "2026-03-01T12:00-05:00"]
    both = ["delivered-activity", "Y-90", "--vial", "3 GBq", "--vial", "7 GBq", *calibrations]
    both += [
        "--reading-before",
        "1200 uSv/h",
        "--reading-before",
        "0.5 mSv/h",
        "--reading-before-at",
        "2026-03-11T08:00+01:00",
    ]
    both += [
        "--reading-after",
        "24 uSv/h",
        "--reading-after",
        "30 uSv/h",
        "--reading-after-at",
        "2026-03-11T11:00+01:00",
    ]
    both += ["--administered-at", "2026-03-11T10:00+01:00", "--perfused-mass", "1.5 kg", "--lung-shunt", "5 %"]
    out = run.document(*both)
    # By hand: 65 h and 232 h after calibration; residuals decay-corrected over the 3 h between the readings.
    half_life, later = 64.05, 2 ** (3 / 64.05)
    first = 3 * 2 ** (-65 / half_life) * (1 - 24 / 1200 * later)
    second = 7 * 2 ** (-232 / half_life) * (1 - 30 / 500 * later)
    assert out["administered_gbq"] == pytest.approx(first + second, rel=1e-3)
    assert [v["administered_gbq"] for v in out["vials"]] == pytest.approx([first, second], rel=1e-3)
    assert out["dose"]["dose_perfused_gy"] == pytest.approx(
        (first + second) * 0.95 * out["dose"]["dose_constant_j_per_gbq"] / 1.5, rel=1e-3
    )
    # The calibration's 5 % is one error in both.
    assert out["administered_gbq_sd"] / out["administered_gbq"] == pytest.approx(0.05, rel=0.02)
    assert "vial 2" in run(*both)[0]
    for name in ("--reading-after", "--calibrated-at"):
        extra = [name, "1 uSv/h" if name == "--reading-after" else "2026-03-08T12:00-04:00"]
        assert f"{name} is given 3 times for 2 vials" in run(*both, *extra, code=2)[1]
    instant = datetime.fromisoformat(AT)
    with pytest.raises(InputError, match="`reading_after_usv_per_h` is given 1 times for 2 vials"):
        delivered_activity(
            "Y-90",
            VialReadingOptions(
                vial_gbq=(3.0, 7.0), calibrated_at=(instant,), reading_before_usv_per_h=(1200.0, 500.0),
                reading_before_at=(instant,),
                reading_after_usv_per_h=(20.0,), reading_after_at=(instant,), administered_at=(instant,),
            ),
        )  # fmt: skip


COMMANDS = (
    ["order-vial", "--agent", "glass", "--planned", "2 GBq", "--administered-at", AT],
    ["elute-generator", "--parent", "20 GBq", "--calibrated-at", "2026-03-02T08:00Z", "--eluted-at", AT],
    ["lsf", "--lung-counts", "5000,4700", "--liver-counts", "80000,60000", "--border-relative-sd", "5 %", "--planned",
     "2 GBq"],
)  # fmt: skip


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_mutated_command_is_refused_or_answered(data: st.DataObject) -> None:
    require_refused_or_answered(data, COMMANDS)
