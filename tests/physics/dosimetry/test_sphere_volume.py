"""Volume of a sphere of 10 mm radius on a coarse grid: the smallest lesion whose dose-volume histogram is asked for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hepatica.anatomy.structures.contours import fill_contours, region_contours
from hepatica.core import Grid, Region
from hepatica.core.resample import resample_region

RADIUS_MM = 10.0
VOLUME_ML = 4 / 3 * np.pi * RADIUS_MM**3 / 1000
CORNERS = 120


def circles(grid: Grid, *, step_mm: float, phase: float) -> list[NDArray[np.float64]]:
    """Circles of a sphere in the grid's middle on axial planes, as polygons of the circles' own area."""
    centre = grid.to_mm((np.asarray(grid.shape) - 1) / 2 + [0.21, -0.34, 0.13])
    angle = np.arange(CORNERS) * 2 * np.pi / CORNERS
    swell = np.sqrt(2 * np.pi / CORNERS / np.sin(2 * np.pi / CORNERS))
    heights = (np.arange(-30, 30) + phase) * step_mm
    out = []
    for z in heights[np.abs(heights) < RADIUS_MM - 1e-9]:
        r = np.sqrt(RADIUS_MM**2 - z**2) * swell
        ring = np.column_stack([r * np.cos(angle), r * np.sin(angle), np.full(CORNERS, z)])
        out.append(ring + centre)
    return out


@pytest.fixture
def coarse() -> Grid:
    return Grid.axial((14, 14, 12), spacing_mm=(4, 4, 5), origin_mm=(-31, 12, 80))


@pytest.fixture
def coarse_oblique(oblique_grid: Grid) -> Grid:
    affine = np.array(oblique_grid.affine)
    affine[:3, :3] = oblique_grid.direction * [4, 4, 5]
    return Grid((14, 14, 12), affine)


@pytest.mark.parametrize("phase", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("step_mm", [1.0, 2.0])
def test_contours_fill_the_slabs_they_stand_for(coarse: Grid, step_mm: float, phase: float) -> None:
    # Slabs of height h sum to the volume within -(h/R)^2/4 to +(h/R)^2/8 (Euler-Maclaurin for pi (R^2 - z^2), whose
    # remainder is -h^2/4 with a plane through the centre and +h^2/8 half way): 0.25 % for 1 mm, 1.0 % for 2 mm.
    # The raster itself adds 0.05 %: polygon areas are exact along scan lines 0.25 mm apart.
    filled = fill_contours("sphere", circles(coarse, step_mm=step_mm, phase=phase), coarse)
    relative = (step_mm / RADIUS_MM) ** 2
    assert -relative / 4 - 5e-4 < filled.region.volume_ml / VOLUME_ML - 1 < relative / 8 + 5e-4
    assert filled.region.volume_ml == pytest.approx(filled.contour_volume_ml, rel=5e-4)


@pytest.mark.parametrize("phase", [0.0, 0.25, 0.5])
def test_contours_on_a_turned_grid(coarse_oblique: Grid, phase: float) -> None:
    # Points a tenth of a voxel apart: a border voxel is right to about 1/10 of itself at worst; some 100 border voxels
    # of 0.08 mL add up to 0.1 * 0.08 * sqrt(100) mL = 0.08 mL at worst, and in practice a tenth of that: 0.2 %.
    filled = fill_contours("sphere", circles(coarse_oblique, step_mm=1.0, phase=phase), coarse_oblique)
    assert filled.region.volume_ml == pytest.approx(VOLUME_ML, rel=0.005)
    assert filled.region.volume_ml == pytest.approx(filled.contour_volume_ml, rel=0.002)


def test_through_the_image_that_it_was_drawn_on(coarse: Grid) -> None:
    """Analytic coverage on a fine CT, to contours, back to the CT and onto the coarse grid."""
    fine = coarse.with_spacing((1.0, 1.0, 1.0))
    index = np.stack(np.meshgrid(*map(np.arange, fine.shape), indexing="ij"), -1)
    distance = np.linalg.norm(fine.to_mm(index) - fine.to_mm((np.asarray(fine.shape) - 1) / 2 + 0.3), axis=-1)
    sphere = Region.from_coverage("sphere", fine, np.clip(RADIUS_MM - distance + 0.5, 0, 1))
    back = fill_contours("sphere", region_contours(sphere), fine).region
    direct = fill_contours("sphere", region_contours(sphere), coarse).region
    for region in (sphere, back, direct, resample_region(sphere, coarse), resample_region(back, coarse)):
        assert region.volume_ml == pytest.approx(VOLUME_ML, rel=0.01)
    np.testing.assert_allclose(direct.full(), resample_region(back, coarse).full(), atol=0.03)
