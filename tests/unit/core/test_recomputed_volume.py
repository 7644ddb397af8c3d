"""Volumes that are let go and made again: the same numbers, and only once for those who hold them."""

from __future__ import annotations

import gc
import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.core.volume import RecomputedVolume


def _hu(grid: Grid) -> NDArray[np.float32]:
    return np.random.default_rng(3).integers(-1024, 3072, grid.shape).astype(np.float32)


def test_whole_numbers_are_kept_in_two_bytes_and_come_back(oblique_grid: Grid) -> None:
    made = Volume(oblique_grid, _hu(oblique_grid), Kind.HU, name="CT")
    packed = RecomputedVolume.packed(made)
    assert isinstance(packed, RecomputedVolume)
    assert packed.values is made.values
    del made
    gc.collect()
    again = packed.values
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, _hu(oblique_grid))
    assert packed.values is again
    with pytest.raises(ValueError, match="read-only"):
        again[0, 0, 0] = 1
    assert packed.name == "CT"
    assert packed.with_values(again + 1).name == "CT"


@pytest.mark.parametrize("odd", [0.5, np.nan, 40000.0, -40000.0])
def test_other_numbers_stay_as_they_are(oblique_grid: Grid, odd: float) -> None:
    values = _hu(oblique_grid)
    values[1, 2, 3] = odd
    made = Volume(oblique_grid, values, Kind.HU)
    assert RecomputedVolume.packed(made) is made


def test_it_is_made_again_only_where_nobody_holds_it(oblique_grid: Grid) -> None:
    calls = []

    def make() -> NDArray[np.float32]:
        calls.append(1)
        return np.full(oblique_grid.shape, 2, np.float32)

    volume = RecomputedVolume(Volume(oblique_grid, make(), Kind.DENSITY), make)
    gc.collect()
    held = volume.values
    assert len(calls) == 2
    moved = volume.in_frame("1.2.3")
    assert moved.values is held
    assert moved.grid.frame_of_reference == "1.2.3"
    assert volume.grid.frame_of_reference == oblique_grid.frame_of_reference
    assert len(calls) == 2
    del held
    gc.collect()
    assert volume.in_frame("4.5.6").kind is Kind.DENSITY
    assert len(calls) == 2  # nothing is made for a frame of reference
    held = moved.values
    back = pickle.loads(pickle.dumps(moved))
    assert type(back) is Volume
    np.testing.assert_array_equal(back.values, held)
