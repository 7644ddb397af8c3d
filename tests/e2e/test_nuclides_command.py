"""``hepatica nuclides`` and ``hepatica agents`` as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest


def run(*arguments: str, columns: int = 80) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hepatica", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"COLUMNS": str(columns), "PYTHONIOENCODING": "utf-8"},
        encoding="utf-8",
    )


def document(*arguments: str) -> Any:
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize("columns", [80, 120])
def test_comparison_fits_the_screen(columns: int) -> None:
    done = run("nuclides", columns=columns)
    assert done.returncode == 0
    assert all(len(line) <= columns for line in done.stdout.splitlines())
    assert "…" not in done.stdout
    for label in ("90Y", "131I", "188Re", "166Ho", "177Lu", "153Sm", "186Re", "99mTc"):
        assert label in done.stdout
    assert "49.70" in done.stdout


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    "arguments", [("nuclides", "Ho-166"), ("nuclides", "Tc-99m"), ("agents",), ("agents", "glass")]
)
def test_other_tables_fit_the_screen(arguments: tuple[str, ...], columns: int) -> None:
    done = run(*arguments, columns=columns)
    assert done.returncode == 0
    assert all(len(line) <= columns for line in done.stdout.splitlines())
    assert "…" not in done.stdout


def test_one_nuclide_shows_its_conventions() -> None:
    done = run("nuclides", "Ho-166", columns=120)
    for word in ("clinical", "15.870", "80.58", "unique first-forbidden", "Dy-166"):
        assert word in done.stdout


def test_formulas_are_printed_whole() -> None:
    """Square brackets are units, not markup."""
    assert "M[kg]" in run("agents", "glass", columns=200).stdout


def test_json_of_all_nuclides() -> None:
    rows = document("nuclides", "--json")
    assert [row["name"] for row in rows][:2] == ["Y-90", "I-131"]
    keys = {"name", "half_life_h", "electron_energy_mev", "photon_energy_mev", "dose_constant_j_per_gbq"}
    assert all(keys <= set(row) for row in rows)
    assert rows[0]["half_life_h"] == 64.05


def test_json_of_one_nuclide_is_a_list_of_one() -> None:
    (row,) = document("nuclides", "166Ho", "--json", "--convention", "clinical")
    assert row["name"] == "Ho-166"
    assert row["dose_constant_j_per_gbq"] == 15.87
    assert row["betas"][0]["endpoint_kev"] == 1854.7


def test_json_of_agents() -> None:
    assert len(document("agents", "--json")) == 17
    (glass,) = document("agents", "TheraSphere", "--json")
    assert glass["facts"]["density_g_ml"]["value"] == 3.3
    assert glass["limits"][0]["dose_gy"] == 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nuclides", "U-235"), "unknown nuclide 'U-235'; known: Ho-166"),
        (("nuclides", "--convention", "mine"), "unknown dose convention 'mine'"),
        (("nuclides", "Y-90", "--convention", "clinical"), "ensdf, ensdf-all, icrp107, label, mird"),
        (("agents", "plastic"), "unknown agent 'plastic'; known: glass"),
    ],
)
def test_unknown_names_are_one_line_and_exit_code_two(arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
