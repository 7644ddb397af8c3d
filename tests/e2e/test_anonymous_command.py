"""``--anonymous`` of the installed command: nothing on stdout, in messages or in files, and a key that is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from identifying import found_in

NAME, HOSPITAL = "Zwetschgenkuchen", "Sankt Florian"


def run(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"XDG_CONFIG_HOME": str(folder / "settings"), "APPDATA": str(folder / "settings")}
    environment.pop("HEPATICA_ANONYMOUS_KEY", None)
    command = [sys.executable, "-m", "hepatica", "release", "I-131", "2.2 GBq", "--agent", "lipiodol", *more]
    given = ["--administered-at", "2026-03-12T10:00+01:00", "--patient", NAME, "--hospital", HOSPITAL]
    return subprocess.run(
        [*command, *given], cwd=folder, capture_output=True, text=True, timeout=120, check=False, env=environment
    )


def test_a_command_names_nobody_and_says_where_the_key_is(tmp_path: Path) -> None:
    done = run(tmp_path, "--anonymous", "--out", "sheet")
    assert done.returncode == 0, done.stderr
    assert "anonymous.key is new" in done.stderr
    marks = {NAME, HOSPITAL, "2026-03-12"}
    assert found_in(tmp_path / "sheet", marks) == {}
    assert not any(mark in done.stdout + done.stderr for mark in marks)

    again = run(tmp_path, "--anonymous", "--json")
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
