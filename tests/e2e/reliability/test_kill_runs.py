"""Commands that are stopped, and whose writing fails at every step: old or new, whole, is what is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[3] / "tools" / "checks" / "kill_runs.py"
CASE_TOOL = TOOL.with_name("kill_case.py")
FAST = ("prescribe", "nuclides", "plan-template")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("arguments", [("kill", "--runs", "27", "--seed", "7"), ("fail", "--most", "5")])
def test_old_or_new_is_left(arguments: tuple[str, ...]) -> None:
    only = [part for command in FAST for part in ("--only", command)]
    done = subprocess.run(
        [sys.executable, str(TOOL), *arguments, *only], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Faults: 0" in done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_case_runs_on_to_the_same_numbers() -> None:
    done = subprocess.run(
        [sys.executable, str(CASE_TOOL), "--runs", "6", "--seed", "5"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 runs. Faults: 0" in done.stdout
    assert "killed" in done.stdout
