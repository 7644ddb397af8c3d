"""Fixtures that every kind of test shares."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from hepatica.core import Grid

BESIDE = Path(__file__).resolve().parents[2] / "shared"


def _folder(variable: str, beside: Path) -> Path:
    folder = Path(os.environ.get(variable, beside))
    if not folder.is_dir():
        pytest.skip(f"needs the folder named by {variable}, or {beside.name}/ beside the checkout; there is neither")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real images, or a skip."""
    return _folder("HEPATICA_DATA", BESIDE / "data")


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of reference kernels and worked examples, or a skip."""
    return _folder("HEPATICA_REFERENCE", BESIDE / "reference")


@pytest.fixture
def oblique_grid() -> Grid:
    """Turned about two axes, anisotropic, feet-first (k runs to the feet): what geometry tests must survive."""
    turn, tilt = np.deg2rad(17.0), np.deg2rad(-9.0)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    feet_first = np.diag([-1.0, 1.0, -1.0])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ feet_first * [2.5, 3.5, 5.0]
    affine[:3, 3] = (31.0, -42.0, 128.0)
    return Grid((24, 18, 15), affine, "1.2.826.0.1.3680043.8.498.1")
