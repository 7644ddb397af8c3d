import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.dosimetry.engines.dose_grid import decays_on, dose_grid
from hepatica.dosimetry.engines.dose_map import density_to
from hepatica.errors import GeometryError
from hepatica.transport.matter.media import density_from_hu


def test_activity_grid_is_cut_to_what_the_ct_covers(oblique_grid: Grid) -> None:
    ct = oblique_grid.crop((slice(4, 20), slice(3, 15), slice(2, 12))).with_spacing((1.0, 1.0, 2.0))
    grid = dose_grid(oblique_grid, ct, "activity")
    assert grid.shape == (16, 12, 10)
    np.testing.assert_allclose(grid.to_mm([0, 0, 0]), oblique_grid.to_mm([4, 3, 2]), atol=1e-9)
    assert dose_grid(oblique_grid, ct, "ct") is ct
    assert dose_grid(oblique_grid, ct, 2.0).spacing_mm == pytest.approx((2, 2, 2))


def test_a_ct_elsewhere_is_refused(oblique_grid: Grid) -> None:
    elsewhere = Grid.axial((10, 10, 10), spacing_mm=(2, 2, 2), origin_mm=(900, 0, 0))
    with pytest.raises(GeometryError, match="covers nothing of the activity image"):
        dose_grid(oblique_grid, elsewhere, "activity")


def decays_with_share_outside(grid: Grid, share: float) -> Volume:
    values = np.zeros(grid.shape)
    values[10, 8, 7] = 1 - share
    values[0, 0, 0] = share
    return Volume(grid, values * 1e12, Kind.DECAYS)


def test_activity_outside_the_ct_is_told_or_refused(oblique_grid: Grid) -> None:
    inner = oblique_grid.crop((slice(4, 20), slice(3, 15), slice(2, 12)))
    moved, messages = decays_on(inner, decays_with_share_outside(oblique_grid, 0.02))
    assert moved.total == pytest.approx(0.98e12)
    assert "2.00 % of the activity lies outside the CT" in str(messages[0])
    assert decays_on(inner, decays_with_share_outside(oblique_grid, 0.0))[1] == ()
    with pytest.raises(GeometryError, match=r"10.0 % of the activity lies outside the CT"):
        decays_on(inner, decays_with_share_outside(oblique_grid, 0.1))


def test_density_keeps_mass_and_is_air_beyond_the_ct(oblique_grid: Grid) -> None:
    inner = oblique_grid.crop((slice(4, 20), slice(3, 15), slice(2, 12)))
    hu = Volume(inner, np.random.default_rng(3).uniform(-900, 900, inner.shape), Kind.HU)
    fine = density_from_hu(hu)
    density = density_to(oblique_grid.with_spacing((5.0, 7.0, 10.0)), fine)
    air = float(density.values[0, 0, 0])
    assert 0.001 < air < 0.0015
    beyond = (density.grid.size * density.grid.voxel_volume_ml - inner.size * inner.voxel_volume_ml) * air
    assert density.total == pytest.approx(fine.total + beyond, rel=1e-4)
