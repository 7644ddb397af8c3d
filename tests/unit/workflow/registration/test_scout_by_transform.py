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
    # Nobody stated how much scatter is left: that is no finding of 0 %.
    assert "from scatter" not in str(truth.table())
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


def test_the_position_is_in_the_uncertainty_of_the_shunt() -> None:
    """A shift of 4 mm along an axis, against the shunt of scouts that really lie 4 mm off."""
    counts = hepatica.SpectShuntOptions(lung_count_relative_sd=0.01, liver_count_relative_sd=0.01, border_mm=2.0)

    def shunt(by_mm: tuple[float, float, float], sd_mm: float | None) -> hepatica.LungShuntResult:
        off = Transform.translation(np.add((16.0, -8.0, 24.0), by_mm).tolist(), fixed_frame=FIXED, moving_frame=MOVING)
        reading = hepatica.ScoutOptions(ct=CT, transform=off, transform_uncertainty_mm=sd_mm)
        return hepatica.lung_shunt(THERE, structures=STRUCTURES, reading=reading, spect=counts)

    here = shunt((0, 0, 0), 4.0).shunt
    value = here.lung_shunt.value
    changes = [
        shunt(tuple(side * 4.0 * np.eye(3)[axis]), 0.0).shunt.lung_shunt.value - value  # type: ignore[arg-type]
        for axis in range(3)
        for side in (-1, 1)
    ]
    # First order against six real shifts: the fraction changes by a few per cent of itself.
    assert here.components_sd["position"] == pytest.approx(np.sqrt(np.square(changes).sum() / 2), rel=0.05)
    assert here.lung_shunt.sd == pytest.approx(np.sqrt(np.square(list(here.components_sd.values())).sum()))
    without = shunt((0, 0, 0), 0.0).shunt
    assert "position" not in without.components_sd
    assert without.lung_shunt.sd is not None
    assert here.lung_shunt.sd is not None
    assert here.lung_shunt.sd > without.lung_shunt.sd
    assert shunt((0, 0, 0), None).shunt.lung_shunt.sd is None


def test_the_position_is_in_the_uncertainty_of_the_uptake() -> None:
    stated = hepatica.UptakeOptions(count_relative_sd=0.05, mass_relative_sd=0.05)

    def ratio(sd_mm: float) -> hepatica.UptakeResult:
        reading = hepatica.ScoutOptions(ct=CT, transform=SHIFT, transform_uncertainty_mm=sd_mm)
        return hepatica.tumour_to_normal(THERE, structures=[LIVER, TUMOUR], reading=reading, uptake=stated)

    sure, unsure = (ratio(sd).uptake.overall for sd in (0.0, 4.0))
    assert sure.position_relative_sd == 0
    assert unsure.position_relative_sd is not None
    # A tumour of 28 mm radius, four times as hot: 4 mm along an axis take 3/4 x 4 / 28 = 11 % of it out, of which three
    # quarters are lost and the liver gains; the six ways add up to sqrt(3) of that or less: 10 to 20 %.
    assert 0.08 < unsure.position_relative_sd < 0.2
    assert unsure.tumour_to_normal.sd is not None
    assert sure.tumour_to_normal.sd is not None
    expected = np.hypot(sure.tumour_to_normal.sd, unsure.position_relative_sd * unsure.tumour_to_normal.value)
    assert unsure.tumour_to_normal.sd == pytest.approx(expected, rel=1e-3)


def test_what_contradicts_itself_is_refused() -> None:
    with pytest.raises(InputError, match="there is none"):
        hepatica.ScoutOptions(transform=SHIFT)
    with pytest.raises(InputError, match="none was given"):
        hepatica.ScoutOptions(ct=CT, transform_uncertainty_mm=2.0)
    both = hepatica.ScoutOptions(ct=CT, transform=SHIFT, registered=True)
    with pytest.raises(InputError, match="`registered` says"):
        hepatica.lung_shunt(THERE, structures=STRUCTURES, reading=both)
