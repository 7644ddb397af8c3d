"""One function for every way from an image to becquerels: what it chooses, what it refuses, what it says."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from hepatica.core import Estimate, Grid, decay_factor
from hepatica.core.image import Image
from hepatica.errors import InputError, UnitError
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.activity import Administration
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.quantify.quantify import quantify
from hepatica.nuclides import nuclide

LU = nuclide("Lu-177")
WHEN = datetime(2026, 3, 2, 10, 0)
CALIBRATION = CameraCalibration(Estimate(10.0, 0.3), "cylinder", Conditions("Lu-177"), (), WHEN, 200.0)


def image(grid: Grid, unit: str, **facts: object) -> Image:
    values = np.zeros(grid.shape)
    values[8:16, 6:12, 5:10] = np.random.default_rng(1).uniform(0.5, 1.5, (8, 6, 5))
    return Image.from_array(values, unit=unit, grid=grid, time=WHEN, nuclide="Lu-177", **facts)  # type: ignore[arg-type]


def test_a_calibration_goes_before_the_administration(oblique_grid: Grid) -> None:
    counts = image(oblique_grid, "counts", frame_duration_s=600.0)
    given = Administration(Estimate(7.4e9, 1e8), WHEN)
    by_factor = quantify(counts, Estimate(10.0, 0.5), given, nuclide=LU)
    mean = (1 - decay_factor(600, LU.half_life_s)) / (np.log(2) * 600 / LU.half_life_s)
    assert by_factor.activity.total == pytest.approx(counts.volume.total / 10 / 600 / mean * 1e6, rel=1e-5)
    assert by_factor.scale_relative_sd == pytest.approx(0.05)
    assert quantify(counts, None, given, nuclide=LU).activity.total == pytest.approx(7.4e9, rel=1e-5)
    twice = quantify(counts, Estimate(10.0, 0.5), nuclide=LU, frame_duration_s=1200.0)
    assert twice.activity.total == pytest.approx(by_factor.activity.total / 2, rel=1e-3)
    with pytest.raises(UnitError, match="`calibration`"):
        quantify(counts, nuclide=LU)
    with pytest.raises(InputError, match="frame duration"):
        quantify(image(oblique_grid, "counts"), CALIBRATION, nuclide=LU)
    with pytest.raises(InputError, match="how many heads turned"):
        quantify(image(oblique_grid, "counts", frame_duration_s=20.0, projections=60), CALIBRATION, nuclide=LU)


def test_becquerels_take_the_uncertainty_alone(oblique_grid: Grid) -> None:
    pet = image(oblique_grid, "Bq/mL")
    plain, known = quantify(pet, nuclide=LU), quantify(pet, CALIBRATION, nuclide=LU)
    np.testing.assert_array_equal(known.activity.values, plain.activity.values)
    assert plain.activity.total == pytest.approx(pet.volume.total)
    assert (plain.scale_relative_sd, known.scale_relative_sd) == (None, pytest.approx(0.03))
    assert "calibration-gives-uncertainty" in {message.code for message in known.messages}
    with pytest.raises(UnitError, match="which is no activity"):
        quantify(image(oblique_grid, "HU"), CALIBRATION, nuclide=LU)


def test_conditions_are_those_of_the_image_unless_stated(oblique_grid: Grid) -> None:
    counts = image(oblique_grid, "counts", frame_duration_s=600.0, energy_windows_kev=((187.0, 229.0),))
    fitting = replace(CALIBRATION, conditions=Conditions("Lu-177", None, (187.2, 228.8)))
    assert quantify(counts, fitting, nuclide=LU).scale_relative_sd == pytest.approx(0.03)
    other = replace(CALIBRATION, conditions=Conditions("Lu-177", None, (100.0, 120.0)))
    with pytest.raises(InputError, match="energy window"):
        quantify(counts, other, nuclide=LU)
    made = Conditions("Lu-177", "camera of the calibration", (100.0, 120.0))
    assert quantify(counts, other, nuclide=LU, conditions=made).scale_relative_sd == pytest.approx(0.03)
    with pytest.raises(InputError, match="nuclide: Lu-177 against Y-90"):
        quantify(counts, CALIBRATION, nuclide=nuclide("Y-90"))


def test_noise_below_zero_is_the_callers_choice(oblique_grid: Grid) -> None:
    values = np.array(image(oblique_grid, "Bq/mL").volume.values)
    values[0, 0, 0] = -0.1
    noisy = Image.from_array(values, unit="Bq/mL", grid=oblique_grid, time=WHEN)
    assert quantify(noisy, nuclide=LU).activity.values.min() == 0
    kept = quantify(noisy, nuclide=LU, negatives="keep")
    assert kept.activity.values.min() < 0
    assert {message.code for message in kept.messages} == {"negative-voxels"}
    with pytest.raises(InputError, match="1 voxels are negative"):
        quantify(noisy, nuclide=LU, negatives="refuse")
