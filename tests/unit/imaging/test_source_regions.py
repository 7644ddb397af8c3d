"""Regions that hold the source of a calibration image."""

import math

import pytest

from hepatica.core import Grid
from hepatica.errors import InputError
from hepatica.imaging.quantify.source_regions import cylinder_core


def test_core_of_a_cylinder_is_the_smaller_cylinder() -> None:
    grid = Grid.axial((50, 50, 50), spacing_mm=(5.0, 5.0, 5.0))
    core, volume_ml = cylinder_core(grid, (122.5, 122.5, 122.5), diameter_mm=200.0, length_mm=180.0, margin_mm=20.0)
    assert volume_ml == pytest.approx(5654.87, rel=1e-6)  # 31 415.93 mm^2 times 180 mm
    # 160 mm wide and 140 mm long, sampled in 5 mm voxels
    assert core.volume_ml == pytest.approx(math.pi / 4 * 160**2 * 140 / 1000, rel=0.01)
    with pytest.raises(InputError, match="nothing of the cylinder lies farther than 101 mm"):
        cylinder_core(grid, (122.5, 122.5, 122.5), diameter_mm=200.0, length_mm=180.0, margin_mm=101.0)
