import math
from datetime import datetime

import numpy as np
import pytest

from hepatica.anatomy.phantoms.objects import (
    NEMA_SPHERES_MM,
    disc_source,
    grid_around,
    line_source,
    nema_grid,
    nema_phantom,
    point_source,
    sphere_in_water,
    water_cylinder,
)
from hepatica.core import Grid
from hepatica.errors import GeometryError, InputError, UnknownNameError

WHEN = datetime(2026, 3, 2, 9, 30)
COARSE = (4.42, 3.1, 5.5)


@pytest.mark.parametrize("spacing", [(3.0, 3.0, 3.0), COARSE, (9.0, 9.0, 9.0)])
def test_nema_spheres_hold_their_volume_whatever_the_voxels(spacing: tuple[float, float, float]) -> None:
    phantom = nema_phantom(nema_grid(spacing))
    assert tuple(phantom.sphere_diameters_mm.values()) == NEMA_SPHERES_MM
    for name, diameter in phantom.sphere_diameters_mm.items():
        # Chords across are taken by the midpoint rule: 0.1 % (solids.CHORDS_PER_RADIUS).
        assert phantom.regions[name].volume_ml == pytest.approx(math.pi / 6 * diameter**3 / 1000, rel=1e-3)


def test_nema_has_the_standards_geometry() -> None:
    phantom = nema_phantom(nema_grid((2.0, 2.0, 2.0)))
    # Half disc, rectangle and two quarter discs, times the length, without the insert and the spheres with walls.
    section = math.pi * 147**2 / 2 + 140 * 77 + math.pi * 77**2 / 2
    spheres = sum(math.pi / 6 * (d + 2) ** 3 for d in NEMA_SPHERES_MM)
    expected = (section * 194 - math.pi / 4 * 51**2 * 194 - spheres) / 1000
    assert phantom.regions["background"].volume_ml == pytest.approx(expected, rel=2e-3)
    centres = {
        name: _centre(phantom.regions[name].full(), phantom.grid) for name in (*phantom.sphere_diameters_mm, "insert")
    }
    for name in phantom.sphere_diameters_mm:
        assert np.hypot(*centres[name][:2]) == pytest.approx(57.2, abs=0.1)
        assert centres[name][2] == pytest.approx(0, abs=0.05)
    np.testing.assert_allclose(centres["sphere 17 mm"][:2], (57.2, 0), atol=0.1)
    np.testing.assert_allclose(centres["insert"][:2], (0, 0), atol=0.05)
    # Flat side towards the table (posterior, +y), axis at half height.
    body = phantom.regions["body"].full()
    y = phantom.grid.to_mm(np.argwhere(body > 0.5))[:, 1]
    assert y.min() == pytest.approx(-115, abs=2)
    assert y.max() == pytest.approx(115, abs=2)
    back = body[:, np.argmin(np.abs(phantom.grid.to_mm([[0, j, 0] for j in range(body.shape[1])])[:, 1] - 108)), 60]
    front = body[:, np.argmin(np.abs(phantom.grid.to_mm([[0, j, 0] for j in range(body.shape[1])])[:, 1] + 108)), 60]
    assert back.sum() > 1.5 * front.sum()
    assert np.median(phantom.hu.values[phantom.regions["insert"].mask()]) == -700


def test_nema_core_keeps_clear_of_everything() -> None:
    phantom = nema_phantom(nema_grid((4.0, 4.0, 4.0)))
    core = phantom.regions["core"].full()
    for name in (*phantom.sphere_diameters_mm, "insert"):
        assert not core[phantom.regions[name].full() > 0].any()
    assert (core <= phantom.regions["background"].full() + 1e-6).all()


def test_a_grid_turned_round_and_permuted_holds_the_same_phantom() -> None:
    usual = nema_grid(COARSE)
    affine = usual.affine @ np.diag([-1.0, 1.0, -1.0, 1.0])
    affine[:3, 3] = usual.to_mm([usual.shape[0] - 1, 0, usual.shape[2] - 1])
    flipped = Grid(usual.shape, affine)
    swapped = Grid((usual.shape[2], usual.shape[0], usual.shape[1]), usual.affine[:, [2, 0, 1, 3]])
    a, b, c = (nema_phantom(grid) for grid in (usual, flipped, swapped))
    for name, region in a.regions.items():
        np.testing.assert_allclose(region.full(), b.regions[name].full()[::-1, :, ::-1], atol=1e-5)
        np.testing.assert_allclose(region.full(), c.regions[name].full().transpose(1, 2, 0), atol=1e-5)
    np.testing.assert_allclose(a.hu.values, c.hu.values.transpose(1, 2, 0), atol=1e-2)


def test_activity_is_what_was_filled_in() -> None:
    phantom = nema_phantom(nema_grid(COARSE))
    activity = phantom.activity({"background": 1e3}, total_bq={"sphere 37 mm": 2e6}, time=WHEN)
    background = phantom.regions["background"].volume_ml * 1e3
    assert activity.total == pytest.approx(background + 2e6, rel=1e-5)
    assert activity.time == WHEN
    sphere = phantom.regions["sphere 37 mm"]
    assert activity.values[sphere.window][sphere.coverage == 1].min() == pytest.approx(
        2e6 / sphere.volume_ml * phantom.grid.voxel_volume_ml, rel=1e-5
    )


def test_cylinders_spheres_discs_points_and_lines() -> None:
    grid = grid_around((230, 230, 230), spacing_mm=COARSE, centre_mm=(12.0, -7.0, 33.0))
    at = (12.0, -7.0, 33.0)
    cylinder = water_cylinder(grid, centre_mm=at)
    assert cylinder.regions["cylinder"].volume_ml == pytest.approx(math.pi * 2 * 1e3, rel=1e-3)
    assert cylinder.regions["core"].volume_ml == pytest.approx(math.pi * 0.7**2 * 1.4 * 1e3, rel=2e-3)
    hot = sphere_in_water(grid, diameter_mm=60, centre_mm=at)
    assert hot.regions["sphere"].volume_ml == pytest.approx(math.pi * 36, rel=1e-3)
    assert hot.regions["cylinder"].volume_ml == pytest.approx(math.pi * 2000 - math.pi / 6 * 62**3 / 1000, rel=2e-3)
    assert hot.compartments == ("sphere", "cylinder")
    disc = disc_source(grid, centre_mm=at)
    assert disc.regions["source"].volume_ml == pytest.approx(math.pi * 25 * 0.5, rel=1e-3)
    assert np.ptp(grid.to_mm(np.argwhere(disc.regions["source"].full() > 0))[:, 1]) < 9
    for source in (point_source(grid, centre_mm=at), line_source(grid, centre_mm=at, along="x", medium="water")):
        activity = source.activity(total_bq={"source": 5e6}, time=WHEN)
        assert activity.total == pytest.approx(5e6, rel=1e-5)
        np.testing.assert_allclose(_centre(activity.values, grid), at, atol=0.3)
    assert point_source(grid, centre_mm=at).hu.values.mean() < -990
    assert line_source(grid, centre_mm=at, medium="water").hu.values.max() > 100


def test_what_cannot_be_is_refused(oblique_grid: Grid) -> None:
    with pytest.raises(GeometryError, match="oblique"):
        nema_phantom(oblique_grid)
    with pytest.raises(GeometryError, match=r"body: only .* of .* mL lie in the field"):
        nema_phantom(grid_around((250, 250, 250), spacing_mm=COARSE))
    grid = nema_grid((9.0, 9.0, 9.0))
    with pytest.raises(InputError, match="must be positive"):
        nema_phantom(grid, diameters_mm=(0.0,))
    with pytest.raises(InputError, match="one to six"):
        nema_phantom(grid, diameters_mm=range(8, 15))
    with pytest.raises(InputError, match="differ in size"):
        nema_phantom(grid, diameters_mm=(10.0, 10.0))
    with pytest.raises(InputError, match="touch each other"):
        nema_phantom(grid, diameters_mm=(60.0,))
    with pytest.raises(UnknownNameError, match="known: cylinder, lung, none"):
        nema_phantom(grid, insert="bone")  # type: ignore[arg-type]
    phantom = nema_phantom(grid, insert="cylinder")
    assert "insert" in phantom.compartments
    for filled, message in (
        ({"background": -1.0}, "background: an activity cannot be -1.0"),
        ({"background": math.nan}, "cannot be nan"),
        ({}, "fill at least one"),
    ):
        with pytest.raises(InputError, match=message):
            phantom.activity(filled, time=WHEN)
    with pytest.raises(UnknownNameError, match="compartment"):
        phantom.activity({"sphere 11 mm": 1.0}, time=WHEN)
    with pytest.raises(InputError, match="not both"):
        phantom.activity({"background": 1.0}, total_bq={"background": 1.0}, time=WHEN)
    with pytest.raises(InputError, match="does not fit a cylinder"):
        sphere_in_water(grid, diameter_mm=210)
    with pytest.raises(UnknownNameError, match="medium"):
        point_source(grid, medium="oil")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="axis"):
        line_source(grid, along="t")  # type: ignore[arg-type]


def _centre(values: np.ndarray, grid: Grid) -> np.ndarray:
    index = np.argwhere(values > 0)
    return np.average(grid.to_mm(index), axis=0, weights=values[tuple(index.T)].astype(float))
