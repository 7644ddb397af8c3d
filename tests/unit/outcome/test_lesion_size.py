"""Diameters of segmented lesions against digital spheres of known diameter."""

import numpy as np
import pytest

from hepatica.core import Grid, Region
from hepatica.outcome.response.lesions import lesion_size


def sphere(diameter_mm: float, spacing_mm: tuple[float, float, float], offset: np.ndarray) -> Region:
    """Voxels whose centre lies in a sphere that is shifted by a part of a voxel."""
    half = int(diameter_mm / 2 / min(spacing_mm)) + 2
    grid = Grid.axial((2 * half + 1,) * 3, spacing_mm=spacing_mm, origin_mm=(0, 0, 0))
    indices = np.moveaxis(np.indices(grid.shape), 0, -1) - half - offset
    inside = ((indices * grid.spacing_mm) ** 2).sum(axis=-1) <= (diameter_mm / 2) ** 2
    return Region.from_coverage("lesion", grid, inside.astype(np.float32))


@pytest.mark.parametrize("spacing_mm", [(1, 1, 1), (2, 2, 2), (3, 3, 3), (1.5, 2, 3)])
@pytest.mark.parametrize("diameter_mm", [8, 9, 15, 40])
def test_diameters_are_unbiased_to_half_a_voxel(diameter_mm: float, spacing_mm: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(13)
    offsets = rng.uniform(-0.5, 0.5, (40, 3))
    sizes = [lesion_size(sphere(diameter_mm, spacing_mm, offset)) for offset in offsets]
    voxel_mm = float(np.sqrt(spacing_mm[0] * spacing_mm[1]))
    for found in ([s.longest_mm for s in sizes], [s.perpendicular_mm for s in sizes]):
        assert np.mean(found) == pytest.approx(diameter_mm, abs=0.5 * voxel_mm)


def test_one_voxel_has_a_size() -> None:
    size = lesion_size(sphere(1.0, (2, 2, 2), np.zeros(3)))
    assert 0 < size.perpendicular_mm <= size.longest_mm <= 2
