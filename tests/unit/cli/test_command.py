"""The command line as it is made from the verbs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hepatica.cli.command import option_name
from hepatica.cli.main import main
from hepatica.core.options import options_of
from hepatica.front_door import VERBS, Verb, verb_named


def test_help_lists_every_verb_under_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for verb in VERBS:
        assert f"  {verb.command} " in text
        assert f"{verb.group}:" in text


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.command)
def test_help_of_a_verb_shows_its_options(verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb.command, "--help"]) == 0
    text = capsys.readouterr().out
    for option in options_of(verb.load()):
        assert option_name(option.name) in text
    assert "--json" in text
    assert not any(heading in text for heading in ("Parameters", "Returns", "Examples", ">>>"))


def test_help_says_unit_choices_and_what_is_taken_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phantom", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for shown in (
        '--scan-after "N h" Time', "[default: 20 h]", "[default: 2.5 mm]", "[male, female] [default: male]",
        "[default: right hepatic]", "[default: yes]", "--tumours TEXT...", "--lung-shunt FRACTION",
    ):  # fmt: skip
        assert shown in text, shown
    assert main(["release", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "ADMINISTERED --administered Administered activity. [quantity in GBq]" in text
    assert main(["kernel", "--help"]) == 0
    assert "[required]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["relase"], "unknown command 'relase' (did you mean release?)"),
        (["release", "I-131", "--administerd", "2 GBq"], "has no option --administerd; did you mean --administered"),
        (["release", "I-131", "--administered", "--json"], "--administered needs a value"),
        (["release", "I-131"], "--nuclide and --administered are needed; or give --administered-result"),
        (["release", "I-131", "2"], "--administered: '2' has no unit"),
        (["release", "I-131", "2 GBq", "--law", "pont"], "unknown --law 'pont' (did you mean point?)"),
        (["release", "I-131", "-2 GBq"], "--administered must be positive"),
        (["release", "I-131", "2 GBq", "--options", "none.toml"], "none.toml: cannot be read"),
        (["--json", "release"], "--json stands before the command"),
        (["case", "add", "a", "b"], "case add: 'b' is too much; for several values of an option repeat the option"),
        (["schema"], "hepatica schema needs the name of one command"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert len(captured.err.strip().splitlines()) == 1


def test_options_from_a_file_count_less_than_those_beside_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "release.toml"
    file.write_text('nuclide = "Ho-166"\nadministered = "2 GBq"\n[contact]\npublic-constraint = "0.3 mSv"\n')
    assert main(["release", "--options", str(file), "--administered", "3 GBq", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["nuclide"], found["administered_gbq"]) == ("Ho-166", 3.0)
    assert {r["constraint_msv"] for r in found["restrictions"]} >= {0.3}


def test_a_used_folder_is_refused_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept").write_text("")
    assert main(["release", "I-131", "2 GBq", "--out", str(tmp_path)]) == 2
    assert "or --force to replace it" in capsys.readouterr().err
    assert verb_named("release").function == "release"
