"""What the command line writes, replaces and refuses to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import hepatica
from hepatica.cli.main import main

PRESCRIBE = ("prescribe", "mird", "--agent", "glass", "--mass", "1.5 kg", "--dose", "120 Gy")


def test_an_own_result_is_replaced_and_an_edited_one_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([*PRESCRIBE, "--out", str(out)]) == 0
    assert main([*PRESCRIBE, "--out", str(out)]) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*PRESCRIBE, "--out", str(out), "--force"]) == 0
    (out / "prescription.csv").write_text("edited")
    assert main([*PRESCRIBE, "--out", str(out), "--force"]) == 2
    assert capsys.readouterr().err.count("hepatica: ") == 1
    assert (out / "prescription.csv").read_text() == "edited"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_read_is_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    hepatica.plan_template().save("new")
    options = {"toml": tmp_path / "mine.toml"}
    options["toml"].write_text('plan = "new/plan.toml"\n')
    for given in (["new/plan.toml"], ["../" + tmp_path.name + "/new/plan.toml"], ["--options", "mine.toml"]):
        assert main(["plan", *given, "--out", "new", "--force"]) == 2
        assert "which is read; nothing is written there; give another folder" in capsys.readouterr().err
    assert main([*PRESCRIBE, "--options", "new/plan.toml", "--out", "new", "--force"]) == 2
    assert (tmp_path / "new" / "plan.toml").is_file()


def test_python_refuses_to_replace_its_inputs_too(tmp_path: Path) -> None:
    hepatica.plan_template().save(tmp_path / "new")
    found = hepatica.plan(tmp_path / "new" / "plan.toml")
    with pytest.raises(hepatica.HepaticaError, match="which is read; nothing is written there"):
        found.save(tmp_path / "new", force=True)


def test_no_trace_of_a_run_that_could_not_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("n" * 300), "a\0b"):
        assert main([*PRESCRIBE, "--out", str(out)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_strange_file_name_in_a_result_is_still_json(tmp_path: Path) -> None:
    strange = tmp_path / "labs-\udc80.csv"
    try:
        strange.write_text("patient,date,bilirubin_mg_dl,albumin_g_dl\np1,2026-01-01,1.0,4.0\n")
    except OSError:
        pytest.skip("this file system takes no such name")
    hepatica.liver_function(strange).save(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))["provenance"]["inputs"]
