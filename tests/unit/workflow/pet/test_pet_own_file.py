"""A file of hepatica's own PET format, written with NumPy alone from what docs/pet.md says of it, and reconstructed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import hepatica
from hepatica.core import Grid
from hepatica.errors import InputError
from hepatica.io.pet_raw.read import read_pet_raw
from hepatica.workflow.pet.reconstruct import _messages, _methods

SOURCE = np.array([40.0, -30.0, 25.0])
"""Place of a point of activity, LPS mm."""
AXIS, BED_MM = (5.0, -10.0), 12.0
MODULES, EACH, RINGS, RADIUS, DEPTH, PITCH = 64, 9, 24, 405.1, 9.4, (4.52, 6.54)
BINS, BIN_MM = 55, 89.0 * 0.299792458 / 2
Arrays = dict[str, NDArray[Any]]


def crystals() -> NDArray[np.float64]:
    """Places of the crystals of the GE Discovery 690 in the patient, by the formula of the page."""
    number = np.arange(RINGS * MODULES * EACH)
    ring, around = number // (MODULES * EACH), number % (MODULES * EACH)
    angle = 2 * np.pi * (around // EACH) / MODULES
    along = (around % EACH - (EACH - 1) / 2) * PITCH[0]
    far = RADIUS + DEPTH
    x, y = far * np.cos(angle) - along * np.sin(angle), far * np.sin(angle) + along * np.cos(angle)
    return np.stack([x + AXIS[0], y + AXIS[1], (ring - (RINGS - 1) / 2) * PITCH[1] + BED_MM], axis=1)


def listed(number: int) -> Arrays:
    """Lines through the source: a crystal, and the one that lies best behind the source as seen from it."""
    places, rng = crystals(), np.random.default_rng(3)
    inner = np.flatnonzero(np.abs(places[:, 2] - BED_MM) < 40)
    pairs = []
    for one in rng.choice(inner, number):
        towards = (SOURCE - places[one]) / np.linalg.norm(SOURCE - places[one])
        behind = places - places[one]
        depth = behind @ towards
        off = np.linalg.norm(behind - depth[:, None] * towards, axis=1)
        pairs.append((one, np.where(depth > 600, off, np.inf).argmin()))
    first, second = np.sort(np.array(pairs), axis=1).T
    nearer_first = (
        np.linalg.norm(SOURCE - places[second], axis=1) - np.linalg.norm(SOURCE - places[first], axis=1)
    ) / 2
    tof_bin = np.floor(nearer_first / BIN_MM + BINS / 2)
    singles = np.full(len(places), 5.0)
    return {
        "first": first.astype("<i4"), "second": second.astype("<i4"), "tof_bin": tof_bin.astype("<i2"),
        "singles_cps": singles.astype("<f8"),
    }  # fmt: skip


def write(path: Path, arrays: Arrays) -> Path:
    """The file, with the keys that the page lists."""
    header = {
        "format": "hepatica PET list mode", "version": 1, "scanner": {"like": "discovery_690"}, "nuclide": "Y-90",
        "start": "2026-03-02T10:00:00+01:00", "axis_mm": AXIS, "frame_of_reference": None, "patient_id": "",
        "simulated": True,
        "beds": [{
            "bed_mm": BED_MM, "start_s": 0.0, "duration_s": 60.0, "live_fraction": 1.0, "prompts": len(arrays["first"]),
            "sha256": {name: hashlib.sha256(values.tobytes()).hexdigest() for name, values in arrays.items()},
        }],
    }  # fmt: skip
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez_compressed(path, header=text, **{f"bed0_{name}": values for name, values in arrays.items()})
    return path


@pytest.fixture(scope="module")
def ct() -> hepatica.Image:
    """Water around the source."""
    grid = Grid.axial((30, 30, 24), spacing_mm=(10.0, 10.0, 10.0), origin_mm=(-140.0, -155.0, -103.0))
    x, y = (grid.origin_mm[a] + 10.0 * np.arange(30) for a in range(2))
    inside = np.hypot(x[:, None] - AXIS[0], y[None, :] - AXIS[1]) < 110
    hu = np.where(inside[:, :, None] & np.ones(24, bool), 0.0, -1000.0).astype(np.float32)
    return hepatica.Image.from_array(hu, unit="HU", grid=grid)


OPTIONS = hepatica.PetOptions(
    iteration=hepatica.PetIterationOptions(method="osem", iterations=3, subsets=1),
    corrections=hepatica.PetCorrectionOptions(skip_scatter=True),
    image=hepatica.PetImageOptions(voxel_mm=(10, 10, 10), matter_mm=20.0, body_ends_with_ct=True),
    uncertainty=hepatica.PetUncertaintyOptions(skip_uncertainty=True),
)


def test_a_file_written_from_the_page_puts_the_source_where_it_is(tmp_path: Path, ct: hepatica.Image) -> None:
    found = hepatica.reconstruct_pet(write(tmp_path / "mine.npz", listed(1500)), ct=ct, options=OPTIONS)
    volume = found.volume
    peak = volume.grid.to_mm([np.unravel_index(volume.values.argmax(), volume.grid.shape)])[0]
    # the voxel that holds the source, whose middle is at most half a voxel away along each axis, or its neighbour
    assert np.abs(peak - SOURCE).max() <= 10.0
    values = np.maximum(volume.values, 0).astype(float)
    centre = [(values.sum(axis=tuple(b for b in range(3) if b != a)) * np.arange(n)).sum() / values.sum()
              for a, n in enumerate(volume.grid.shape)]  # fmt: skip
    np.testing.assert_allclose(volume.grid.to_mm([centre])[0], SOURCE, atol=5.0)
    assert found.time.isoformat() == "2026-03-02T10:00:00+01:00"


@pytest.mark.parametrize(("name", "said"), [
    ("first", "no coincidences"),
    ("singles_cps", "0 crystals do not belong"),
])  # fmt: skip
def test_empty_arrays_are_refused(tmp_path: Path, ct: hepatica.Image, name: str, said: str) -> None:
    arrays = listed(20)
    empty = ("first", "second", "tof_bin") if name == "first" else (name,)
    for one in empty:
        arrays[one] = arrays[one][:0]
    with pytest.raises(InputError, match=rf"mine\.npz.*{said}"):
        hepatica.reconstruct_pet(write(tmp_path / "mine.npz", arrays), ct=ct, options=OPTIONS)


def test_empty_arrays_without_singles_either(tmp_path: Path, ct: hepatica.Image) -> None:
    arrays = {
        name: np.zeros_like(values) if name == "singles_cps" else values[:0] for name, values in listed(5).items()
    }
    with pytest.raises(InputError, match="bed 1 holds no coincidences"):
        hepatica.reconstruct_pet(write(tmp_path / "mine.npz", arrays), ct=ct, options=OPTIONS)


def test_activity_that_is_sought_in_the_air_is_a_warning_and_recorded(tmp_path: Path) -> None:
    raw, _ = read_pet_raw(write(tmp_path / "mine.npz", listed(5)))
    anywhere = replace(OPTIONS, corrections=hepatica.PetCorrectionOptions(activity_anywhere=True))
    (warning,) = [one for one in _messages(anywhere, raw) if one.code == "activity-sought-in-box"]
    assert (warning.severity, "no longer that of the patient" in warning.text) == ("warning", True)
    assert "air too" in _methods(anywhere, ())["ReconstructionMethod"]
    assert not [one for one in _messages(OPTIONS, raw) if one.code == "activity-sought-in-box"]
    assert "air" not in _methods(OPTIONS, ())["ReconstructionMethod"]
