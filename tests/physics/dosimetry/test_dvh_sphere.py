"""DVH of structures smaller than a few voxels against what can be written down."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.dosimetry.metrics.dvh import dose_volume_histogram

RADIUS_MM = 10.0
CENTRE_MM = np.array([3.7, -2.1, 11.3])
VOLUME_ML = 4 / 3 * np.pi


def sphere(grid: Grid, parts: int = 8) -> Region:
    """Covered fraction by counting points: what a contour filled with sub-voxel borders approaches."""
    coverage = np.zeros(grid.shape)
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    for offset in np.ndindex(parts, parts, parts):
        points = grid.to_mm(index + (np.asarray(offset) + 0.5) / parts - 0.5)
        coverage += np.linalg.norm(points - CENTRE_MM, axis=-1) <= RADIUS_MM
    return Region.from_coverage("sphere", grid, coverage / parts**3)


def grids() -> list[Grid]:
    turn = np.deg2rad(23)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine[:3, :3] = affine[:3, :3] @ np.diag([4.0, -4.0, -5.0])
    affine[:3, 3] = CENTRE_MM - affine[:3, :3] @ [7.3, 7.1, 5.8]
    return [Grid.axial((16, 16, 12), spacing_mm=(4, 4, 5), origin_mm=(-28, -31, -20)), Grid((16, 16, 12), affine)]


@pytest.mark.parametrize("grid", grids(), ids=["axial", "oblique"])
def test_volume_within_one_percent(grid: Grid) -> None:
    dose = Volume(grid, np.ones(grid.shape), Kind.DOSE)
    dvh = dose_volume_histogram(dose, sphere(grid))
    # 8^3 points in each of ~90 border voxels: standard error well below 0.2 %. A half-voxel mask misses by percents.
    assert dvh.volume_ml == pytest.approx(VOLUME_ML, rel=0.005)


@pytest.mark.parametrize("grid", grids(), ids=["axial", "oblique"])
@pytest.mark.parametrize("direction", [(1, 0, 0), (0.6, 0.0, 0.8), (0.48, -0.6, 0.64)])
def test_linear_dose_in_a_sphere(grid: Grid, direction: tuple[float, float, float]) -> None:
    """Dose 50 Gy + 2 Gy/mm along a direction: mean 50, SD gradient * R / sqrt 5, D50 50, D_x from the spherical cap."""
    gradient = 2.0
    x = np.moveaxis(np.indices(grid.shape), 0, -1)
    dose = Volume(grid, 50 + gradient * ((grid.to_mm(x) - CENTRE_MM) @ np.asarray(direction)), Kind.DOSE)
    dvh = dose_volume_histogram(dose, sphere(grid))
    # One dose per voxel: each border voxel's dose is that of its centre, not of its covered part. The shifts of both
    # sides cancel in the mean to second order; what is left is the voxel-sampling of the ball: 0.2 mm is 2 % of R.
    assert dvh.mean_gy == pytest.approx(50, abs=gradient * 0.2)
    # Border voxels count by their centres, which lie outside of their covered part: SD grows by a few percent.
    assert dvh.sd_gy == pytest.approx(gradient * RADIUS_MM / np.sqrt(5), rel=0.10)
    # D_x is the dose of a voxel: within half the largest voxel's reach along the direction (4 * |d| ... 5 mm / 2).
    half = 0.5 * np.abs(np.asarray(direction) @ grid.affine[:3, :3]).sum()
    for percent, height in ((98, -0.8386), (90, -0.6084), (50, 0.0), (10, 0.6084), (2, 0.8386)):
        # Share of a ball above height h (in radii): (2 - 3 h + h^3) / 4.
        assert (2 - 3 * height + height**3) / 4 == pytest.approx(percent / 100, abs=2e-3)
        assert dvh.d_percent(percent) == pytest.approx(50 + gradient * RADIUS_MM * height, abs=gradient * half)


def test_exponential_distribution() -> None:
    """Many voxels of exponentially distributed dose: V(d) = exp(-d / mean), D_x = -mean ln x."""
    grid = Grid.axial((100, 100, 100), spacing_mm=(2, 2, 2))
    rng = np.random.default_rng(7)
    dose = Volume(grid, rng.exponential(40.0, grid.shape), Kind.DOSE)
    dvh = dose_volume_histogram(dose, Region.from_coverage("box", grid, np.ones(grid.shape)))
    # Sampling error of a fraction p of a million: sqrt(p (1 - p) / 1e6) <= 5e-4; four of those.
    for d in (5.0, 40.0, 120.0):
        assert dvh.v_gy(d) == pytest.approx(np.exp(-d / 40), abs=2e-3)
    for x in (95, 70, 50, 5):
        share = x / 100
        spread = 40 * np.sqrt((1 - share) / share / 1e6)
        assert dvh.d_percent(x) == pytest.approx(-40 * np.log(share), abs=4 * spread)
