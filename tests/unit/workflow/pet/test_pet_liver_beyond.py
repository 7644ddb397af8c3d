"""Where the liver ends beyond a PET's field: drawn, or proposed where nothing is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.anatomy.structures.clinical import ClinicalRegion
from hepatica.anatomy.structures.kinds import Structure
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.workflow.pet.liver_beyond import LiverBeyond

GRID = Grid.axial((40, 40, 30), spacing_mm=(8.0, 8.0, 8.0))


@pytest.fixture(scope="module")
def cylinder() -> Volume:
    """Of water in air: no CT of a trunk."""
    x = (np.arange(40) - 19.5) * 8
    water = np.hypot(x[:, None], x[None, :]) < 120
    return Volume(GRID, np.where(np.repeat(water[:, :, None], 30, axis=2), 0.0, -1000.0).astype(np.float32), Kind.HU)


def test_a_liver_that_is_drawn_is_taken_and_nothing_is_proposed(cylinder: Volume) -> None:
    told: list[str] = []
    drawn = Region.from_coverage("Leber", GRID, np.ones(GRID.shape))
    other = Region.from_coverage("spleen", GRID, np.ones(GRID.shape))
    given = (ClinicalRegion(other, Structure.SPLEEN), ClinicalRegion(drawn, Structure.LIVER))
    liver = LiverBeyond(cylinder, given, told.append)
    assert liver() is drawn
    assert not told
    assert liver.messages(used=True) == ()


def test_where_no_liver_is_found_nobody_knows_its_end(cylinder: Volume) -> None:
    told: list[str] = []
    liver = LiverBeyond(cylinder, (), told.append)
    assert liver() is None
    assert told == ["pet: where the liver ends beyond the field"]
    assert liver.messages(used=False) == ()
    (said,) = liver.messages(used=True)
    assert said.code == "liver-beyond-field-proposed"
    assert "`structures`" in said.remedy
