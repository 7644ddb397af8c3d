"""A structure is brought over within the block that it can reach, and nothing of it is lost."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from hepatica.core import Grid, Region
from hepatica.core.transform import Affine, DisplacementField, Transform, warp_region

FIXED = Grid.axial((30, 28, 26), spacing_mm=(4, 4, 4), origin_mm=(-58, -54, -50))
MOVING = Grid.axial((24, 26, 20), spacing_mm=(5, 4.5, 6), origin_mm=(-60, -50, -55))


def bending(peak_mm: float) -> DisplacementField:
    """A field on a part of the fixed grid that does not end at zero: it jumps at its border."""
    nodes = Grid.axial((9, 9, 8), spacing_mm=(10, 10, 10), origin_mm=(-40, -40, -35))
    at = nodes.to_mm(np.moveaxis(np.indices(nodes.shape), 0, -1))
    vectors = np.stack([np.sin(at[..., 1] / 30), np.cos(at[..., 2] / 25), np.ones(nodes.shape)], axis=-1)
    return DisplacementField(nodes, peak_mm * vectors)


def turned() -> Affine:
    matrix = np.eye(4)
    matrix[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    matrix[:3, 3] = (7, -4, 9)
    return Affine(matrix)


@pytest.mark.parametrize("centre", [(0.0, 0.0, 0.0), (30.0, 5.0, 20.0), (-45.0, -40.0, -45.0)])
@pytest.mark.parametrize("steps", [(turned(),), (bending(6.0),), (bending(6.0), turned())])
def test_the_block_holds_all_of_it(
    centre: tuple[float, float, float], steps: tuple[Affine, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    distance = np.linalg.norm(MOVING.to_mm(np.moveaxis(np.indices(MOVING.shape), 0, -1)) - centre, axis=-1)
    region = Region.from_coverage("ball", MOVING, distance < 13)
    found = warp_region(region, Transform(steps), FIXED)
    whole = tuple(slice(0, n) for n in FIXED.shape)
    monkeypatch.setattr(sys.modules["hepatica.core.transform.warp"], "reached_window", lambda *_: whole)
    expected = warp_region(region, Transform(steps), FIXED)
    assert found.grid.matches(FIXED)
    # The jump at the field's border asks for more sub-points over the whole grid than in the block: a voxel's coverage
    # differs by a sub-point or two of the eight, and a voxel that the block lost would differ by all of it.
    assert np.abs(found.full() - expected.full()).max() < 0.26
    assert found.volume_ml == pytest.approx(expected.volume_ml, rel=0.01)
    assert not expected.full()[found.full() == 0].max() > 0.13


def test_a_structure_elsewhere_is_empty() -> None:
    region = Region.from_coverage("ball", MOVING, np.ones(MOVING.shape))
    assert warp_region(region, Transform.translation((900.0, 0.0, 0.0)), FIXED).is_empty
