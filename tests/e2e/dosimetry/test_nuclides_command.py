"""``hepatica nuclides`` and ``hepatica agents`` as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from command_line import hepatica as run
from hepatica.nuclides import NUCLIDE_NAMES
from hepatica.workflow.data.agents import list_agents
from hepatica.workflow.data.guardrails import list_guardrails
from hepatica.workflow.data.nuclides import list_nuclides
from hepatica.workflow.result import Result


def document(*arguments: str) -> Any:
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_comparison_shows_every_nuclide() -> None:
    done = run("nuclides")
    assert done.returncode == 0
    for name in NUCLIDE_NAMES:
        assert name in done.stdout
    assert "49.7" in done.stdout
    assert "64.05" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [("nuclides",), ("nuclides", "Ho-166"), ("nuclides", "Tc-99m"), ("agents",), ("agents", "glass"), ("guardrails",)],
)
def test_tables_fit_a_file_and_cut_nothing(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    title, *lines = done.stdout.splitlines()
    assert title
    assert all(len(line) <= 140 for line in lines)
    assert "…" not in done.stdout


def test_one_nuclide_shows_its_conventions() -> None:
    done = run("nuclides", "Ho-166")
    for word in ("clinical", "15.870", "80.58", "unique first-forbidden", "Dy-166"):
        assert word in done.stdout


def test_formulas_are_printed_whole() -> None:
    """Square brackets are units, not markup."""
    assert "M[kg]" in run("agents", "glass").stdout


def test_json_of_all_nuclides() -> None:
    rows = document("nuclides", "--json")["nuclides"]
    assert [row["name"] for row in rows][:2] == ["Y-90", "I-131"]
    keys = {"name", "half_life_h", "electron_energy_mev", "photon_energy_mev", "dose_constant_j_per_gbq"}
    assert all(keys <= set(row) for row in rows)
    assert rows[0]["half_life_h"] == 64.05
    assert rows[0]["half_life_h_sd"] == pytest.approx(0.05)


def test_json_of_one_nuclide_holds_it_in_full() -> None:
    found = document("nuclides", "166Ho", "--json", "--convention", "clinical")
    (row,) = found["nuclides"]
    assert row["name"] == found["nuclide"]["name"] == "Ho-166"
    assert row["dose_constant_j_per_gbq"] == 15.87
    assert found["nuclide"]["betas"][0]["endpoint_kev"] == 1854.7
    assert found["nuclide"]["conventions"]["clinical"]["confidence"] == "read at the source"


def test_json_of_agents() -> None:
    assert len(document("agents", "--json")["agents"]) == 17
    (glass,) = document("agents", "TheraSphere", "--json")["agents"]
    assert glass["facts"]["density_g_ml"]["value"] == 3.3
    assert {row["id"]: row["dose_gy"] for row in glass["limits"]}["glass-label-perfused-80"] == 80


def test_json_of_guardrails() -> None:
    rows = document("guardrails", "--json")["guardrails"]
    assert len(rows) > 100
    assert set(rows[0]) == {"id", "severity", "needs", "advice", "source", "confidence", "step"}


@pytest.mark.parametrize(
    ("arguments", "ours"),
    [
        (("nuclides", "90Y", "--convention", "mird"), lambda: list_nuclides("90Y", convention="mird")),
        (("agents", "resin"), lambda: list_agents("resin")),
        (("guardrails",), list_guardrails),
    ],
)
def test_python_and_the_command_give_the_same(arguments: tuple[str, ...], ours: Callable[[], Result]) -> None:
    result = ours()
    answers = [document(*arguments, "--json"), result.as_dict()]
    jsonschema.validate(answers[0], result.schema())
    for answer in answers:
        del answer["provenance"]["created"]
    assert answers[0] == answers[1]
    assert "<table>" in result._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nuclides", "--conventon", "mird"), "--convention"),
        (("nuclides", "U-235"), "unknown nuclide 'U-235'; known: Ho-166"),
        (("nuclides", "--convention", "mine"), "unknown --convention 'mine'"),
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
