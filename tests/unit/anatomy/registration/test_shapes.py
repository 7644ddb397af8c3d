"""What a drawing says of a point, worked out the short ways, against interpolation of every point by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from hepatica.anatomy.registration.quality.shapes import LEVELS, SUB_POINTS, BorderOf, compared_shapes, overlap
from hepatica.core import Grid, Region
from hepatica.core.transform import DisplacementField, Transform


def ball(grid: Grid, radius: float, least: float = 0.0) -> Region:
    """Around the middle of a grid, radius in voxels, covered fractions at its border; `least` leaves it uncertain."""
    places = np.stack(np.meshgrid(*[np.arange(n) - (n - 1) / 2 + 0.2 for n in grid.shape], indexing="ij"))
    coverage = np.clip(radius - np.sqrt((places**2).sum(axis=0)) + 0.5, 0, 1) * (1 - least)
    return Region.from_coverage("ball", grid, coverage.astype(np.float32))


def level_of_all(shares: np.ndarray) -> float:
    """Of every sub-point of the drawing, sorted."""
    steps = [(np.arange(size * SUB_POINTS) + 0.5) / SUB_POINTS - 0.5 for size in shares.shape]
    index = np.stack(np.meshgrid(*steps, indexing="ij"))
    every = np.sort(ndimage.map_coordinates(shares, index, order=1, mode="constant", output=np.float32).ravel())
    return float(np.clip(every[-round(float(shares.sum(dtype=np.float64)) * SUB_POINTS**3)], *LEVELS))


@pytest.mark.parametrize("region", [
    lambda grid: ball(grid, 1.2), lambda grid: ball(grid, 3.6), lambda grid: ball(grid, 3.6, least=0.3),
])  # fmt: skip
def test_the_level_that_holds_the_volume(region: Callable[[Grid], Region], oblique_grid: Grid) -> None:
    border = BorderOf.of(region(oblique_grid))
    # The same trilinear values, summed in another order: float32.
    assert border.level == pytest.approx(level_of_all(border.shares), abs=1e-6)


def test_every_way_to_a_grid_says_the_same_as_its_points(oblique_grid: Grid) -> None:
    border = BorderOf.of(ball(oblique_grid, 3.2))
    fine = oblique_grid.with_spacing((2.0, 1.7, 2.3))
    turn = np.eye(4)
    turn[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    about = np.append(oblique_grid.corners_mm().mean(axis=0), 1.0)
    turn[:, 3] += about - turn @ about
    bent = Transform((*Transform.affine(turn).steps, DisplacementField(fine, np.full((*fine.shape, 3), 1.5))))
    for points, transform in (
        (fine, Transform()), (fine, Transform.affine(turn)), (fine, bent),
        (Grid(fine.shape, turn @ fine.affine), Transform()),
    ):  # fmt: skip
        index = np.stack(np.meshgrid(*[np.arange(n) for n in points.shape], indexing="ij"), axis=-1)
        at = border.grid.to_index(transform.points_mm(points.to_mm(index)))
        plain = ndimage.map_coordinates(border.shares, np.moveaxis(at, -1, 0), order=1, mode="constant")
        found = border.on(points, transform)
        np.testing.assert_allclose(found, plain - border.level, atol=2e-6)
        assert (found > 0).any()


def test_overlap_is_the_dice_of_the_comparison(oblique_grid: Grid) -> None:
    one, other = BorderOf.of(ball(oblique_grid, 3.2)), BorderOf.of(ball(oblique_grid, 2.6))
    shift = Transform.translation((4.0, 1.0, -2.0))
    found = compared_shapes(one, other, shift, oblique_grid)
    assert found is not None
    assert 0.3 < found.dice < 0.95
    assert overlap(one, other, shift, oblique_grid) == found.dice
    assert overlap(one, other, Transform.translation((900.0, 0.0, 0.0)), oblique_grid) is None
