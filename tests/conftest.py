"""Fixtures that every kind of test shares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hepatica.core import Grid

DATA = Path(__file__).resolve().parent / "data"

SLOW_FILES = {
    "test_virtual_patient.py", "test_montecarlo.py", "test_spect_reconstruct.py", "test_uncertainty_of_images.py",
    "test_fuzz.py", "test_structures_fuzz.py", "test_contours_as_they_come.py", "test_rtstruct_as_they_come.py",
    "test_seg_as_they_come.py", "test_projections_as_they_come.py", "test_sets_of_slices.py", "test_pet_clock.py",
    "test_reconstruct.py", "test_gamma.py", "test_report.py", "test_anonymous.py", "test_propose.py",
}  # fmt: skip
"""Unit tests that take seconds together: `make fast` leaves them to `make test`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the files that take long."""
    for item in items:
        if item.path.name in SLOW_FILES:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """What tests write need not outlive a power cut; that the system is asked for it is tested by the steps counted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def key_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test makes or uses the key by which whoever runs it takes identity out."""
    path = tmp_path_factory.mktemp("key") / "anonymous.key"
    path.write_text("0123456789abcdef" * 4, encoding="ascii")
    path.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEPATICA_ANONYMOUS_KEY", str(path))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real images, or a skip."""
    named = os.environ.get("HEPATICA_DATA")
    if not named or not Path(named).is_dir():
        pytest.skip("needs real images: the folder that HEPATICA_DATA names")
    return Path(named)


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of reference kernels and worked examples; its README says where they come from."""
    return DATA


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
