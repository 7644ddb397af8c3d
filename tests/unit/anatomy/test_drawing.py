"""Drawing on an oblique, anisotropic, flipped grid: what a brush covers, and shapes made of it."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.anatomy.drawing import brush, shapes
from hepatica.core import Grid
from hepatica.errors import InputError
from web_makers import oblique


def centres(grid: Grid) -> np.ndarray:
    return grid.to_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))


def whole(grid: Grid, found: tuple[brush.Window, brush.Mask]) -> np.ndarray:
    out = np.zeros(grid.shape, dtype=bool)
    out[found[0]] = found[1]
    return out


def test_a_ball_is_every_centre_within_its_radius(oblique_grid: Grid) -> None:
    middle = oblique_grid.to_mm((11.3, 8.1, 7.4))
    found = whole(oblique_grid, brush.stroke(oblique_grid, [middle], 9.0))
    expected = np.linalg.norm(centres(oblique_grid) - middle, axis=-1) <= 9.0
    assert found.any()
    assert np.array_equal(found, expected)


def test_a_stroke_covers_its_way_in_one_layer(oblique_grid: Grid) -> None:
    """Along the grid's own k axis the layer is one slice of voxels, and the way is a capsule."""
    normal = oblique_grid.direction[:, 2]
    start, end = oblique_grid.to_mm((6, 9, 7)), oblique_grid.to_mm((16, 9, 7))
    found = whole(oblique_grid, brush.stroke(oblique_grid, [start, end], 6.0, normal))
    assert np.flatnonzero(found.any(axis=(0, 1))).tolist() == [7]
    away = np.abs((np.arange(oblique_grid.shape[1]) - 9) * oblique_grid.spacing_mm[1])
    assert found[11, :, 7].tolist() == (away <= 6.0).tolist()


def test_a_contour_is_filled_by_the_even_odd_rule(oblique_grid: Grid) -> None:
    normal = oblique_grid.direction[:, 2]
    corners = [(4.5, 3.5), (15.5, 3.5), (15.5, 12.5), (4.5, 12.5)]
    found = whole(
        oblique_grid, brush.contour(oblique_grid, [oblique_grid.to_mm((i, j, 5)) for i, j in corners], normal)
    )
    expected = np.zeros(oblique_grid.shape, dtype=bool)
    expected[5:16, 4:13, 5] = True
    assert np.array_equal(found, expected)


def test_a_brush_without_points_or_radius_is_refused(oblique_grid: Grid) -> None:
    for points, radius in (([], 3.0), ([(0, 0, 0)], 0.0), ([(0, 0)], 3.0), ([(0, 0, float("nan"))], 3.0)):
        with pytest.raises(InputError):
            brush.stroke(oblique_grid, points, radius)
    outside = brush.stroke(oblique_grid, [(1e4, 1e4, 1e4)], 3.0)
    assert not outside[1].any()


def test_growing_stops_at_limits_distance_and_gaps(oblique_grid: Grid) -> None:
    values = np.zeros(oblique_grid.shape)
    values[4:10, 4:10, 4:10] = 5.0
    values[12:16, 4:10, 4:10] = 5.0  # of the same value, but apart
    seed = oblique_grid.to_mm((6, 6, 6))
    found = shapes.grown(values, oblique_grid, seed, 4, 6, 500)
    assert found.sum() == 216
    near = shapes.grown(values, oblique_grid, seed, 4, 6, 6.0)
    assert 0 < near.sum() < 216
    with pytest.raises(InputError, match="value at the seed"):
        shapes.grown(values, oblique_grid, oblique_grid.to_mm((1, 1, 1)), 4, 6, 50)


def test_a_margin_and_its_opposite(oblique_grid: Grid) -> None:
    mask = np.zeros(oblique_grid.shape, dtype=bool)
    mask[8:14, 6:11, 5:9] = True
    larger = shapes.with_margin(mask, oblique_grid, 5.1)
    # 5.1 mm are two voxels of 2.5 mm, one of 3.5 mm and one of 5 mm along the axes
    assert larger[6, 8, 6]
    assert not larger[5, 8, 6]
    assert larger[10, 5, 6]
    assert larger[10, 8, 4]
    smaller = shapes.with_margin(larger, oblique_grid, -5.1)
    assert not (smaller & ~mask).any()


def test_slices_in_between_follow_the_shape(oblique_grid: Grid) -> None:
    """Between two discs of one middle the radius is interpolated linearly, to a voxel."""
    middle = oblique_grid.to_mm((12, 9, 0))
    away = np.linalg.norm(centres(oblique_grid) - middle, axis=-1)[:, :, 0]
    mask = np.zeros(oblique_grid.shape, dtype=bool)
    mask[:, :, 4], mask[:, :, 12] = away <= 8.0, away <= 20.0
    found = shapes.between_slices(mask, oblique_grid, oblique_grid.direction[:, 2])
    assert np.array_equal(found[:, :, [4, 12]], mask[:, :, [4, 12]])
    expected = away <= 14.0
    assert np.logical_xor(found[:, :, 8], expected).sum() <= 0.2 * expected.sum()
    assert not found[:, :, :4].any()


@pytest.mark.parametrize("normal", [(0, 0, 1), (0, 1, 0), (1, 0, 0)])
def test_slices_in_between_of_planes_oblique_to_the_voxels_give_a_cylinder(normal: tuple[int, int, int]) -> None:
    """Two equal discs in planes of the patient: the cylinder between them, as thick at its ends as the layers drawn.

    Voxels count by their centres: the count of a body is off by about a voxel for every voxel of its border over the
    root of their number, and the planes cut by half a voxel at most; 4 % holds both for some 1000 voxels.
    """
    grid = oblique((60, 50, 44), (2.0, 2.5, 3.0), None)
    along = np.asarray(normal, dtype=float)
    ends = [np.array([5.0, 2.0, 12.0]) + along * far for far in (-20.0, 22.0)]
    mask = np.zeros(grid.shape, dtype=bool)
    for end in ends:
        window, found = brush.stroke(grid, [end], 15.0, normal)
        mask[window] |= found
    filled = shapes.between_slices(mask, grid, normal)
    assert (filled & mask).sum() == mask.sum()
    thick = brush.thickness_mm(grid, normal)
    expected_ml = np.pi * 15.0**2 * (42.0 + thick) / 1000
    assert filled.sum() * grid.voxel_volume_ml == pytest.approx(expected_ml, rel=0.04)
    # Nothing outside of the cylinder, by the diagonal of a voxel
    away = centres(grid)[filled] - ends[0]
    radius = np.linalg.norm(away - (away @ along)[:, None] * along, axis=1)
    assert radius.max() < 15.0 + np.linalg.norm(grid.spacing_mm)
    # Where there is no gap nothing changes
    assert np.array_equal(shapes.between_slices(filled, grid, normal), filled)


def test_holes_are_filled_in_every_slice(oblique_grid: Grid) -> None:
    mask = np.zeros(oblique_grid.shape, dtype=bool)
    mask[5:12, 5:12, 4:7] = True
    mask[8, 8, 5] = False
    assert shapes.filled(mask, 2)[8, 8, 5]
    with pytest.raises(InputError, match="lower limit"):
        shapes.thresholded(np.zeros(3), 2, 1)
