"""``hepatica release``: rules, restrictions and the patient's sheet, from the command and from Python alike."""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from hepatica.cli.command import run_verb
from hepatica.core.document import document_schema
from hepatica.errors import HepaticaError, InputError, PhysicsError, UnitError, UnknownNameError
from hepatica.front_door import verb_named
from hepatica.safety.plan import ContactOptions, DoseRateOptions
from hepatica.workflow.safety.release import ReleaseResult, SheetOptions, release

IODINE = ("I-131", "--administered", "2.2 GBq", "--agent", "lipiodol", "--administered-at", "2026-03-02T14:00")


def hepatica(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hepatica", "release", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("release") / "iodine"
    return folder, json.loads(hepatica(*IODINE, "--out", folder, "--json").stdout)


def test_what_the_rules_say(saved: tuple[Path, dict]) -> None:
    _, found = saved
    assert found["schema"] == "hepatica/release/1"
    assert not found["nrc"]["may_go"]
    assert found["nrc"]["table_activity_limit_gbq"] == pytest.approx(33 * 0.037)
    assert all(r["dose_with_msv"] <= r["constraint_msv"] for r in found["restrictions"])
    assert found["restrictions"][0]["until"] > "2026-03-02"
    assert [m["code"] for m in found["messages"]] == ["physical-half-life", "dose-rate-calculated"]


def test_the_folder_holds_sheet_figure_and_tables(saved: tuple[Path, dict]) -> None:
    folder, found = saved
    assert {path.name for path in folder.iterdir()} == {
        "result.json", "sheet.html", "sheet.pdf", "dose-rates.svg", "release.csv", "dose-rates.csv", "nrc.csv",
        "contact.csv", "afterwards.csv", "staff.csv",
    }  # fmt: skip
    assert (folder / "sheet.pdf").read_bytes().startswith(b"%PDF")
    assert "<svg" in (folder / "dose-rates.svg").read_text()
    stored = json.loads((folder / "result.json").read_text())
    for document in (stored, found):
        document["provenance"].pop("created", None)
    assert stored == found


def test_tables_on_the_screen_and_messages_beside_them() -> None:
    done = hepatica("Y-90", "3 GBq", "--agent", "glass")
    assert "Going home" in done.stdout
    assert "may" not in done.stderr
    done = hepatica("I-131", "--administered", "2.2 GBq", "--agent", "lipiodol")
    assert "published effective" in done.stderr
    assert "published effective" not in done.stdout


def test_python_gives_what_the_command_gives(saved: tuple[Path, dict]) -> None:
    _, found = saved
    same = release("I-131", 2.2, agent="lipiodol", administered_at=datetime(2026, 3, 2, 14))
    mine = json.loads(json.dumps(same.as_dict()))
    for document in (mine, found):
        document["provenance"].pop("created", None)
    assert mine == found
    assert set(ReleaseResult.schema()["required"]) <= mine.keys()
    assert document_schema(ReleaseResult)["properties"].keys() <= mine.keys()


def test_options_of_every_step_reach_the_plan(tmp_path: Path) -> None:
    options = tmp_path / "release.toml"
    options.write_text('[contact]\npublic-constraint = "0.3 mSv"\npatterns = "sfmn"\n', encoding="utf-8")
    found = json.loads(
        hepatica(
            "Y-90", "3 GBq", "--options", options, "--convention", "calculated", "--depth", "5 cm",
            "--patient", "Case 9", "--out", tmp_path / "out", "--json",
        ).stdout
    )  # fmt: skip
    assert found["dose_rate_constant"]["convention"] == "calculated"
    assert {r["group"] for r in found["restrictions"]} == {"sfmn"}
    assert "Case 9" in (tmp_path / "out" / "sheet.html").read_text()
    same = release(
        "Y-90",
        3.0,
        dose_rate=DoseRateOptions(convention="calculated", depth_cm=5.0),
        contact=ContactOptions(public_constraint_msv=0.3, patterns="sfmn"),
        sheet=SheetOptions(patient="Case 9"),
    )
    assert found["nrc"] == json.loads(json.dumps(same.as_dict()))["nrc"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("I-131", "--administerd", "2.2 GBq"), "--administered"),
        (("I-131", "--administered", "2.2"), "has no unit"),
        (("I-131", "--administered", "2.2 Gy"), "cannot be converted"),
        (("I-131",), "needs --administered"),
        (("I-132", "2.2 GBq"), "unknown nuclide"),
        (("I-131", "2.2 GBq", "--convention", "dorm"), "did you mean dorn"),
        (("I-131", "2.2 GBq", "--effective-half-life", "300 h"), "longer than the physical one"),
        (("I-131", "2.2 GBq", "--occupancy", "1.2"), "--occupancy must be"),
    ],
)
def test_refusals_are_one_sentence(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(HepaticaError) as refused:
        run_verb(verb_named("release"), list(arguments))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_wrong_call_exits_with_2() -> None:
    done = hepatica("I-131", "--administered", "2.2", code=2)
    assert done.stdout == ""
    assert done.stderr.startswith("hepatica: ")


def test_the_same_refusals_from_python() -> None:
    with pytest.raises(InputError, match=r"no option `administered_at_`; did you mean `administered_at`"):
        release("I-131", 2.2, administered_at_=None)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="needs `administered_gbq`"):
        release("I-131")  # type: ignore[call-arg]
    with pytest.raises(UnitError, match=r"`administered_gbq` is a number in GBq, not '2.2 GBq'"):
        release("I-131", "2.2 GBq")  # type: ignore[arg-type]
    with pytest.raises(PhysicsError, match="longer than the physical one"):
        release("I-131", 2.2, effective_half_life_h=300.0)
    with pytest.raises(UnknownNameError, match="unknown nuclide"):
        release("I-132", 2.2)
