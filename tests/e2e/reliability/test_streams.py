"""Standard output and error that are closed, full or of few letters; and names that would be commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hepatica
from hepatica.cli.screen import Screen
from hepatica.workflow.result import Result

COMMAND = [sys.executable, "-m", "hepatica"]


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    whole = line.replace("hepatica", " ".join(COMMAND), 1)
    return subprocess.run(
        ["bash", "-c", whole], capture_output=True, text=True, timeout=120, check=False, env=os.environ | environment
    )


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (
            "hepatica guardrails | head -1; exit ${PIPESTATUS[0]}",
            141,
            "standard output was closed before all was printed",
        ),
        ("hepatica guardrails --json | true; exit ${PIPESTATUS[0]}", 141, "standard output was closed"),
        ("hepatica nuclides Ho-166 > /dev/full", 2, "standard output cannot be written (No space left on device)"),
        ("hepatica --help > /dev/full", 2, "standard output cannot be written (No space left on device)"),
        ("hepatica nuclides Ho-166 >&-", 141, "standard output is closed: nothing was printed"),
        ("hepatica nuclides Ho-166 --json 2>&-", 0, ""),
        ("hepatica nuclides none 2>&-", 2, ""),
        ("hepatica nuclides none 2>/dev/full", 2, ""),
    ],
)
def test_a_stream_that_takes_nothing_is_one_sentence(line: str, code: int, said: str) -> None:
    done = shell(line)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(f"hepatica: {said}" if said else "")
    assert len(done.stderr.splitlines()) == bool(said)


def test_what_was_written_stands_although_nobody_reads_the_screen(tmp_path: Path) -> None:
    done = shell(f"hepatica guardrails --out {tmp_path / 'out'} | head -1; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == 141
    assert done.stderr.strip().endswith(f"was closed before all was printed; {tmp_path / 'out'} is the new result")
    assert json.loads((tmp_path / "out" / "result.json").read_text())["schema"].startswith("hepatica/")


def test_a_terminal_of_few_letters_ends_no_run(tmp_path: Path) -> None:
    few = {"PYTHONIOENCODING": "ascii", "LANG": "C", "LC_ALL": "C"}
    assert shell("hepatica nuclides Ho-166", **few).returncode == 0
    found = shell("hepatica nuclides Ho-166 --json", **few)
    assert found.stdout.isascii()
    assert (
        json.loads(found.stdout)["nuclides"] == json.loads(shell("hepatica nuclides Ho-166 --json").stdout)["nuclides"]
    )
    assert shell(f"hepatica inspect '{tmp_path}/é\udc80'", **few).returncode == 2


NAMES = (
    *(
        "liver [/x] a",
        "[bold]x[/]",
        "</script><img src=x>",
        "$x^2$ and $y$",
        "$_",
        "_hidden",
        "&amp; <b>",
        "=1+1",
        "@x",
    ),
    *(
        "line\nbreak",
        "\x1b[2J\x1b]0;title\x07",
        "\u202egnp.exe",
        "../../x",
        "CON",
        "a/b",
        "back\\",
        "'",
        "a" * 400,
        "%s {0}",
    ),
)


def test_names_of_structures_are_text_in_everything_that_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = hepatica.Image.from_array(np.zeros((12, 12, 12)), unit="HU", spacing_mm=(5, 5, 5))
    rng = np.random.default_rng(1)
    activity = hepatica.Image.from_array(rng.random((12, 12, 12)) + 0.5, unit="MBq h", spacing_mm=(5, 5, 5))
    regions = []
    for n, name in enumerate(NAMES):
        part = np.zeros((12, 12, 12))
        part[n % 4 * 3 : n % 4 * 3 + 3, n // 4 : n // 4 + 3, 2:9] = 1
        regions.append(hepatica.Region.from_coverage(name, grid.grid, part))
    result = hepatica.absorbed_dose(activity, ct=grid, nuclide="Y-90", structures=regions, engine="local")
    require_text_everywhere(result, tmp_path / "out", capsys)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<img src=x>" not in page
    assert "\x1b" not in page
    rows = (tmp_path / "out" / "metrics.csv").read_text()
    assert "\n'=1+1," in rows
    assert "\n'@x," in rows
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


def require_text_everywhere(result: Result, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result.save(out)
    for as_json in (False, True):
        Screen(as_json=as_json, word=str).show(result, out)
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert "\u202e" not in shown.out.partition('{\n "schema"')[0]
    assert "liver [/x] a" in shown.out
    assert "\x1b" not in str(result) + result._repr_html_()
