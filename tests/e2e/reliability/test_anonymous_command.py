"""``--anonymous`` of the installed command: nothing on stdout, in messages or in files, and a key that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import Done, hepatica, installed
from identifying import found_in

NAME, HOSPITAL = "Zwetschgenkuchen", "Sankt Florian"
SHEET = (
    "release", "I-131", "2.2 GBq", "--agent", "lipiodol", "--administered-at", "2026-03-12T10:00+01:00",
    "--patient", NAME, "--hospital", HOSPITAL,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_key_yet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "settings"))
    monkeypatch.delenv("HEPATICA_ANONYMOUS_KEY")


def run(folder: Path, *more: str) -> Done:
    return hepatica(*SHEET, *more, cwd=folder)


def test_a_command_names_nobody_and_says_where_the_key_is(tmp_path: Path) -> None:
    done = installed(*SHEET, "--anonymous", "--out", "sheet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "anonymous.key is new" in done.stderr
    marks = {NAME, HOSPITAL, "2026-03-12"}
    assert found_in(tmp_path / "sheet", marks) == {}
    assert not any(mark in done.stdout + done.stderr for mark in marks)

    again = installed(*SHEET, "--anonymous", "--json", cwd=tmp_path)
    assert again.returncode == 0
    assert "is new" not in again.stderr
    assert not any(mark in again.stdout for mark in marks)
    # The same key gives the same dates; a patient whose number is given has others.
    assert administered(again.stdout) == administered(run(tmp_path, "--anonymous", "--json").stdout)
    own = run(tmp_path, "--anonymous", "--anonymous-patient", "MRN1", "--json")
    assert administered(own.stdout) != administered(again.stdout)


def administered(text: str) -> str:
    return next(line for line in text.splitlines() if "administered_at" in line)


def test_without_it_the_name_is_there(tmp_path: Path) -> None:
    done = run(tmp_path, "--out", "sheet")
    assert done.returncode == 0, done.stderr
    assert set(found_in(tmp_path / "sheet", {NAME, HOSPITAL, "2026-03-12"})) == {NAME, HOSPITAL, "2026-03-12"}
