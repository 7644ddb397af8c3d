"""Values between voxels, against eight corners in double precision and against the resampling of the library."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.core.resample import resample, values_at
from hepatica.errors import UnitError


def test_values_are_those_of_resample(oblique_grid: Grid) -> None:
    rng = np.random.default_rng(3)
    volume = Volume(oblique_grid, rng.normal(size=oblique_grid.shape), Kind.DOSE)
    target = Grid.axial((5, 4, 6), spacing_mm=(3, 4, 5), origin_mm=oblique_grid.to_mm((8, 6, 9)).tolist(),
                        frame_of_reference=oblique_grid.frame_of_reference)  # fmt: skip
    index = np.stack(np.meshgrid(*map(np.arange, target.shape), indexing="ij"), axis=-1)
    expected = resample(volume, target, "linear").values
    # resample interpolates in single precision: 6e-8 of values of some units
    assert np.allclose(values_at(volume, target.to_mm(index)), expected, rtol=0, atol=2e-6)


def test_a_linear_field_is_met_exactly_and_nothing_lies_outside(oblique_grid: Grid) -> None:
    index = np.stack(np.meshgrid(*map(np.arange, oblique_grid.shape), indexing="ij"), axis=-1)
    volume = Volume(oblique_grid, oblique_grid.to_mm(index) @ (0.3, -1.2, 0.7), Kind.DOSE)
    point = oblique_grid.to_mm((7.25, 3.5, 11.125))
    assert float(values_at(volume, point)) == pytest.approx(float(point @ (0.3, -1.2, 0.7)), rel=1e-12)
    edge = values_at(volume, oblique_grid.to_mm([(-0.4, 3, 3), (-0.6, 3, 3)]))
    assert edge[0] == pytest.approx(float(volume.values[0, 3, 3]))
    assert np.isnan(edge[1])


def test_labels_have_no_values_in_between(oblique_grid: Grid) -> None:
    with pytest.raises(UnitError):
        values_at(Volume(oblique_grid, np.zeros(oblique_grid.shape, np.int32), Kind.LABEL), (0, 0, 0))
