"""Gamma index against closed forms and against pymedphys."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.dosimetry.metrics.gamma import gamma_index


@pytest.mark.parametrize("offset_percent", [1.0, 3.0, 4.5])
def test_uniform_offset(oblique_grid: Grid, offset_percent: float) -> None:
    """No gradient: moving does not help, gamma is the dose difference over the criterion."""
    reference = Volume(oblique_grid, np.full(oblique_grid.shape, 100.0), Kind.DOSE)
    evaluated = reference.with_values(reference.values * (1 + offset_percent / 100))
    result = gamma_index(reference, evaluated)
    np.testing.assert_allclose(result.gamma.values, offset_percent / 3, atol=1e-4)
    assert result.pass_rate == (1 if offset_percent <= 3 else 0)


@pytest.mark.parametrize(("gradient_gy_mm", "shift_mm"), [(0.5, 1.0), (2.0, 2.0), (10.0, 4.0), (0.2, 5.0)])
def test_shifted_gradient(oblique_grid: Grid, gradient_gy_mm: float, shift_mm: float) -> None:
    """A linear dose moved by s along its gradient g: gamma = s g / D / sqrt(1 + (g R / D)^2), R and D the criteria.

    The distance from the point to a plane in the space of place and dose (Low 1998, both axes in criteria); trilinear
    interpolation of a linear dose is exact, so only `tolerance` and single precision remain.
    """
    direction = np.array([0.48, -0.6, 0.64])
    along = oblique_grid.to_mm(np.moveaxis(np.indices(oblique_grid.shape), 0, -1)) @ direction
    base = 2000.0 + gradient_gy_mm * along
    reference = Volume(oblique_grid, base, Kind.DOSE)
    evaluated = Volume(oblique_grid, base + gradient_gy_mm * shift_mm, Kind.DOSE)
    dose_gy, distance_mm = 3.0, 3.0
    result = gamma_index(reference, evaluated, dose_percent=100, normalisation_gy=dose_gy, distance_mm=distance_mm)
    steep = gradient_gy_mm * distance_mm / dose_gy
    expected = gradient_gy_mm * shift_mm / dose_gy / np.sqrt(1 + steep**2)
    inner = result.gamma.values[5:-5, 4:-4, 3:-3]  # near the image's border the nearest dose may lie outside
    np.testing.assert_allclose(inner, expected, atol=0.011)


def test_against_pymedphys() -> None:
    """pymedphys 0.41 samples spheres every DTA / 10: its gamma can only be higher, by half a step and what one step
    changes in dose; ours only by its tolerance of 0.01."""
    pymedphys = pytest.importorskip("pymedphys")
    pytest.importorskip("numba")
    logging.getLogger().setLevel(logging.WARNING)
    shape, spacing = (28, 24, 20), (2.0, 2.5, 3.0)
    grid = Grid.axial(shape, spacing_mm=spacing)
    axes = tuple(np.arange(n) * s for n, s in zip(shape, spacing, strict=True))
    x, y, z = np.meshgrid(*axes, indexing="ij")
    reference = 100 * np.exp(-((x - 27) ** 2 + (y - 29) ** 2 + (z - 28) ** 2) / (2 * 16**2))
    evaluated = 105 * np.exp(-((x - 29.2) ** 2 + (y - 28.2) ** 2 + (z - 28.9) ** 2) / (2 * 15.5**2))
    theirs = pymedphys.gamma(axes, reference, axes, evaluated, 3, 3, lower_percent_dose_cutoff=20, max_gamma=2)
    ours = gamma_index(
        Volume(grid, reference, Kind.DOSE), Volume(grid, evaluated, Kind.DOSE), threshold_percent=20
    ).gamma.values
    both = np.isfinite(theirs)
    np.testing.assert_array_equal(both, np.isfinite(ours))
    excess = theirs[both] - ours[both]
    assert excess.min() > -0.0105
    # Largest gradient here: 100 Gy exp(-1/2) / 16 mm = 3.8 Gy/mm, times 3 mm over 3 Gy: 3.8 criteria per DTA. Half a
    # step (0.05 DTA) off changes gamma by at most 0.05 sqrt(1 + 3.8^2) = 0.2; the mean is far less.
    assert excess.max() < 0.2
    assert abs(excess.mean()) < 0.02
    assert 0.2 < (theirs[both] <= 1).mean() < 0.999  # neither all nor nothing: the comparison says something
    assert (theirs[both] <= 1).mean() == pytest.approx((ours[both] <= 1).mean(), abs=0.01)
