"""The installed command on what is no image: one sentence that names the file, and nothing else on the screen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import openpyxl
import pydicom
import pytest

import hepatica as library
from command_line import hepatica, installed
from dicom_makers import ct_series, pet_series, ramp, save, small_grid

GRID = small_grid()

LOUD = """
import logging, sys, warnings
import numpy as np
from hepatica.core.options import verb

@verb
def noisy(name: str) -> int:
    warnings.warn_explicit("of a library", UserWarning, "library.py", 1, module="library")
    warnings.warn_explicit("of hepatica", UserWarning, "own.py", 1, module="hepatica.own")
    return 1

noisy("a")
"""


@pytest.mark.parametrize("name", ["a.nii", "a.dcm"])
def test_a_pipe_on_the_command_line_is_not_waited_for(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    os.mkfifo(path)
    done = installed(
        "dose", "--activity", str(path), "--activity-unit", "Bq/mL", "--ct", str(path), "--nuclide", "Y-90"
    )
    assert done.returncode == 2
    assert str(path) in done.stderr.splitlines()[-1]


def test_warnings_of_libraries_stay_off_the_screen(tmp_path: Path) -> None:
    """pydicom warns of the values, openpyxl of the style; the result says what is wrong with the file."""
    paths = save(pet_series(GRID, ramp(GRID)), tmp_path / "pet")
    for path in paths:
        raw = path.read_bytes()
        # Neither a date nor an identifier by the rules of DICOM.
        path.write_bytes(raw.replace(b"PAT1", b"P\\\xe91", 1))
    done = installed("inspect", str(tmp_path / "pet"), "--json")
    assert done.returncode == 0
    assert done.stderr == ""
    book = openpyxl.Workbook()
    book.active.append(["os_months", "event"])
    for number in range(30):
        book.active.append([1 + number * 0.7, number % 2])
    book.active["A5"].number_format = "yyyy-mm-dd"
    book.active["A5"] = -5e9
    book.save(tmp_path / "t.xlsx")
    done = installed("survival", str(tmp_path / "t.xlsx"), "--time", "os_months")
    assert done.returncode == 2
    assert "row 5, column 'os_months'" in done.stderr
    assert "Warning" not in done.stderr


def test_in_python_only_hepaticas_own_warnings_are_shown() -> None:
    source = str(Path(library.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", LOUD],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert "of hepatica" in done.stderr
    assert "of a library" not in done.stderr


def test_a_slice_without_its_place_is_missed(tmp_path: Path) -> None:
    paths = save(ct_series(GRID, ramp(GRID))[:3], tmp_path / "ct")
    file = pydicom.dcmread(paths[2])
    del file.ImagePositionPatient
    file.save_as(paths[2])
    done = installed("inspect", str(tmp_path / "ct"))
    shown = " ".join(done.stdout.split())
    assert "cannot be used" in shown
    assert paths[2].name in shown


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("plan", "--help"),
        ("nuclides", "Ho-166"),
        ("agents", "plastic"),
        ("release", "I-131", "2.2 GBq", "--agent", "lipiodol"),
        ("compare-spheres", "60 Gy", "--own-spheres", "mine, Re-188"),
    ],
)
def test_a_process_of_its_own_says_what_the_entry_point_says(words: tuple[str, ...]) -> None:
    """What lets other tests call the entry point where this process has loaded everything already."""
    inside, outside = hepatica(*words), installed(*words)
    assert inside.returncode == outside.returncode
    assert (inside.stdout, inside.stderr) == (outside.stdout, outside.stderr)
