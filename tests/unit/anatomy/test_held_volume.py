"""A small structure that was brought over is drawn with the volume that it has."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.anatomy.structures.held_volume import Form, drawn_volume_ml, holding_volume
from hepatica.core import Grid, Region
from hepatica.core.transform import Transform, warp_region


@pytest.mark.parametrize("form", ["contours", "voxels"])
def test_a_small_ball_between_voxels_keeps_its_volume(form: Form) -> None:
    """A ball of 9 mm radius (3.1 mL) on voxels of 5 mm, moved by half a voxel: at half share a tenth is lost."""
    grid = Grid.axial((14, 14, 14), spacing_mm=(5, 5, 5))
    fine = grid.with_spacing((1, 1, 1))
    middle = grid.corners_mm().mean(axis=0)
    inside = np.linalg.norm(fine.to_mm(np.moveaxis(np.indices(fine.shape), 0, -1)) - middle, axis=-1) < 9
    share = inside.reshape(14, 5, 14, 5, 14, 5).mean(axis=(1, 3, 5)).astype(np.float32)
    moved = warp_region(Region.from_coverage("tumour", grid, share), Transform.translation((2.5, 2.5, 1.0)), grid)
    # The shares hold the ball, in cubes of 1 mm, whatever the border does.
    assert moved.volume_ml == pytest.approx(inside.sum() / 1000, rel=1e-3)
    assert drawn_volume_ml(moved, form) < 0.92 * moved.volume_ml
    drawn = holding_volume(moved, form)
    # Contours to what is asked of them; whole voxels of 0.125 mL to a voxel, of which symmetry ties up to four.
    most = 2e-3 * moved.volume_ml if form == "contours" else 2 * grid.voxel_volume_ml
    assert abs(drawn_volume_ml(drawn, form) - moved.volume_ml) <= most
    assert drawn.window == moved.window


def test_what_holds_its_volume_is_left() -> None:
    grid = Grid.axial((8, 8, 8), spacing_mm=(2, 2, 2))
    box = np.zeros(grid.shape, dtype=np.float32)
    box[2:6, 2:6, 2:6] = 1
    region = Region.from_coverage("box", grid, box)
    assert drawn_volume_ml(region, "voxels") == pytest.approx(region.volume_ml)
    np.testing.assert_array_equal(holding_volume(region, "voxels").coverage >= 0.5, region.coverage >= 0.5)
