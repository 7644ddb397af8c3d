"""Lung shunt and tumour-to-normal ratio of a scout that lies in another frame of reference than the CT."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hepatica
from hepatica.core import Grid, Region
from hepatica.core.transform import Transform, warp_volume
from hepatica.errors import GeometryError, InputError
from hepatica.io.registration.itk_transform import write_itk_transform

FIXED, MOVING = "1.2.826.0.1.3680043.8.498.11111111", "1.2.826.0.1.3680043.8.498.22222222"
GRID = Grid.axial((30, 26, 34), spacing_mm=(8, 8, 8), origin_mm=(-116, -100, -132), frame_of_reference=FIXED)
OWN = Grid.axial((38, 34, 42), spacing_mm=(8, 8, 8), origin_mm=(-148, -132, -164), frame_of_reference=MOVING)


def ball(name: str, centre: tuple[float, float, float], radius: float) -> Region:
    points = GRID.to_mm(np.moveaxis(np.indices(GRID.shape), 0, -1))
    return Region.from_coverage(name, GRID, np.linalg.norm(points - centre, axis=-1) < radius)


LIVER, LUNG, TUMOUR = (
    ball("Liver", (0, 0, -50), 60),
    ball("Lungs", (0, 0, 75), 50),
    ball("Tumour", (20, 0, -50), 28),
)
HU = np.where(LUNG.mask(), -700.0, np.where(ball("body", (0, 0, 0), 1000).mask(), 30.0, -1000.0))
CT = hepatica.Image.from_array(HU, unit="HU", grid=GRID, name="CT")
COUNTS = LIVER.full() * 100.0 + TUMOUR.full() * 300.0 + LUNG.full() * 10.0
HERE = hepatica.Image.from_array(COUNTS, unit="counts", grid=GRID, nuclide="Tc-99m", name="scout")
# Whole voxels, so that the answer is the same to the last bit but for rounding.
SHIFT = Transform.translation((16.0, -8.0, 24.0), fixed_frame=FIXED, moving_frame=MOVING, uncertainty_mm=4.0)
THERE = replace(HERE, volume=warp_volume(HERE.volume, SHIFT.inverse(), OWN, "activity"))
STRUCTURES = [LIVER, LUNG, TUMOUR]


def test_the_shunt_is_that_of_a_scout_that_lies_with_its_ct(tmp_path: Path) -> None:
    path = write_itk_transform(tmp_path / "t.tfm", SHIFT)
    truth = hepatica.lung_shunt(HERE, structures=STRUCTURES, reading=hepatica.ScoutOptions(ct=CT))
    with pytest.raises(GeometryError, match="`transform`"):
        hepatica.lung_shunt(THERE, structures=STRUCTURES, reading=hepatica.ScoutOptions(ct=CT))
    reading = hepatica.ScoutOptions(ct=CT, transform=path)
    found = hepatica.lung_shunt(THERE, structures=STRUCTURES, reading=reading)
    assert found.shunt.lung_shunt.value == pytest.approx(truth.shunt.lung_shunt.value, rel=1e-6)
    said = {message.code: message.text for message in found.messages}
    assert "uncertainty 4 mm" in said["image-moved"]
    assert "transform" in [item.role for item in found.provenance.inputs]


def test_the_uptake_too() -> None:
    truth = hepatica.tumour_to_normal(HERE, structures=[LIVER, TUMOUR], reading=hepatica.ScoutOptions(ct=CT))
    reading = hepatica.ScoutOptions(ct=CT, transform=SHIFT)
    found = hepatica.tumour_to_normal(THERE, structures=[LIVER, TUMOUR], reading=reading)
    one, other = (answer.uptake.overall.tumour_to_normal.value for answer in (truth, found))
    assert other == pytest.approx(one, rel=1e-6)


def test_what_contradicts_itself_is_refused() -> None:
    with pytest.raises(InputError, match="there is none"):
        hepatica.ScoutOptions(transform=SHIFT)
    with pytest.raises(InputError, match="none was given"):
        hepatica.ScoutOptions(ct=CT, transform_uncertainty_mm=2.0)
    both = hepatica.ScoutOptions(ct=CT, transform=SHIFT, registered=True)
    with pytest.raises(InputError, match="`registered` says"):
        hepatica.lung_shunt(THERE, structures=STRUCTURES, reading=both)
