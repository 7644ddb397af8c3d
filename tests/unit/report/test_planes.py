"""Slices through a volume are what lies in them, however its axes run."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from hepatica.core import Grid, Region
from hepatica.report.figures.images.planes import VIEWS, Plane, View, bounds_mm, sample_affine, sample_covered


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_plane_shows_a_linear_field_exactly(view: View, order: tuple[int, int, int]) -> None:
    spacing = np.array([3.0, 2.0, 4.0])
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) * spacing)[:, list(order)]
    affine[:3, 3] = (-20.0, 5.0, 11.0)
    grid = Grid((12, 14, 13), affine)
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    slope = np.array([1.0, -2.0, 0.5])
    values = grid.to_mm(index) @ slope
    plane = Plane(view, grid.to_mm(np.array([6.0, 6.0, 6.0])), 10.0, 8.0, 1.0)
    rows, columns = plane.shape
    shown = sample_affine(values, grid, plane.affine_mm(), (rows, columns, 1), outside=np.nan)[..., 0]
    pixels = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), [0], indexing="ij"), axis=-1)[..., 0, :]
    expected = (pixels @ plane.affine_mm()[:, :3].T + plane.affine_mm()[:, 3]) @ slope
    assert np.allclose(shown, expected, atol=1e-4)


def test_only_what_a_region_reaches_is_sampled_and_nothing_changes(oblique_grid: Grid) -> None:
    covered = np.zeros(oblique_grid.shape)
    covered[5:12, 3:9, 4:11] = np.random.default_rng(0).random((7, 6, 7))
    region = Region.from_coverage("lesion", oblique_grid, covered)
    low, high = bounds_mm(oblique_grid)
    cube = Grid.axial((30, 25, 28), spacing_mm=((high - low) / (30, 25, 28)).tolist(), origin_mm=low.tolist())
    through = cube.affine[:3] @ np.diag([1.0, 1.0, 0.0, 1.0])
    through[:, 3] = cube.to_mm(np.array([0.0, 0.0, 14.0]))
    elsewhere = cube.affine[:3].copy()
    elsewhere[0, 3] += 1e4
    for affine, shape in ((cube.affine[:3], cube.shape), (through, (30, 25, 1)), (elsewhere, cube.shape)):
        held = region.grid.crop(region.window)
        whole = sample_affine(region.coverage, held, affine, shape, outside=None)
        assert sample_covered(region, affine, shape) == pytest.approx(whole, abs=1e-6)  # float32
        assert (whole.max() > 0.5) == (affine is not elsewhere)
