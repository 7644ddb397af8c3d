"""Slices through a volume are what lies in them, however its axes run."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from hepatica.core import Grid
from hepatica.report.figures.images.planes import VIEWS, Plane, View, sample_affine


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
