import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.errors import InputError
from hepatica.imaging.quantify.blurred.scan import blurred_pet


@pytest.fixture
def cube(oblique_grid: Grid) -> Volume:
    values = np.zeros(oblique_grid.shape)
    values[8:16, 6:12, 5:10] = 100.0
    return Volume(oblique_grid, values, Kind.ACTIVITY)


def test_blur_keeps_the_activity(cube: Volume) -> None:
    image = blurred_pet(cube, cube.grid.with_spacing((4, 4, 4)), fwhm_mm=6, noise=0, seed=1)
    assert image.kind is Kind.ACTIVITY_CONCENTRATION
    # A 6 mm blur carries less than 0.5 % of this cube over the edge of the grid, 15 mm away.
    assert image.total == pytest.approx(cube.total, rel=5e-3)


def test_noise_has_the_stated_size_and_is_repeatable(oblique_grid: Grid) -> None:
    flat = Volume(oblique_grid, np.full(oblique_grid.shape, 50.0), Kind.ACTIVITY)
    image = blurred_pet(flat, oblique_grid, fwhm_mm=0, noise=0.2, seed=7)
    # Relative error of a standard deviation from about 6480 voxels correlated over 2 each: 1/sqrt(2 * 3240) = 1.3 %.
    assert image.values.std() / image.values.mean() == pytest.approx(0.2, rel=0.05)
    again = blurred_pet(flat, oblique_grid, fwhm_mm=0, noise=0.2, seed=7)
    np.testing.assert_array_equal(image.values, again.values)
    assert image.values.min() >= 0


def test_negative_settings_are_refused(cube: Volume) -> None:
    with pytest.raises(InputError, match="cannot be negative"):
        blurred_pet(cube, cube.grid, fwhm_mm=-1, noise=0, seed=1)
