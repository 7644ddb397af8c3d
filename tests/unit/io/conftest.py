"""What tests of written DICOM share."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hepatica.core import Grid, Region
from hepatica.core.context import DicomContext


@pytest.fixture
def dciodvfy() -> Callable[[Path], list[str]]:
    """Errors that dicom3tools' dciodvfy finds in a file; skips where the program is not installed."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")

    def errors(path: Path) -> list[str]:
        done = subprocess.run([program, "-new", str(path)], capture_output=True, text=True, check=False, timeout=60)
        said = (done.stdout + done.stderr).splitlines()
        assert said, "dciodvfy said nothing"
        assert done.returncode >= 0, "dciodvfy was killed"
        return [line for line in said if line.startswith(("Error", "Abort")) or "Assert" in line]

    return errors


@pytest.fixture
def context(oblique_grid: Grid) -> DicomContext:
    """Images on the oblique grid."""
    made = DicomContext.invented(slices=oblique_grid.shape[2], patient_id="P1")
    from dataclasses import replace

    assert oblique_grid.frame_of_reference is not None
    return replace(made, frame_of_reference=oblique_grid.frame_of_reference)


def ball(name: str, grid: Grid, centre: tuple[float, float, float], radius_mm: float) -> Region:
    """A ball about a voxel index, its border covered in part."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    distance = np.linalg.norm(grid.to_mm(index) - grid.to_mm(centre), axis=-1)
    return Region.from_coverage(name, grid, np.clip((radius_mm - distance) / 3 + 0.5, 0, 1), origin="a test")


@pytest.fixture
def two_regions(oblique_grid: Grid) -> list[Region]:
    """A liver, and a tumour inside it."""
    return [
        ball("Liver", oblique_grid, (11.3, 8.8, 7.2), 22.0),
        ball("Tumour 1", oblique_grid, (13.0, 9.0, 6.0), 9.0),
    ]
