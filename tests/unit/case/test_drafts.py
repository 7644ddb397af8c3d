"""Unsaved drawings: what is read again is what was kept, covered fractions too, and never on other voxels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hepatica import Case, InputError
from hepatica.case.drafts import Draft, drafts_of
from hepatica.core import Grid, Region
from hepatica.errors import OutputError


@pytest.fixture
def grid() -> Grid:
    return Grid.axial((7, 6, 5), spacing_mm=(2.0, 3.0, 4.0), origin_mm=(1.0, 2.0, 3.0))


def test_a_draft_is_read_as_it_was_kept(tmp_path: Path, grid: Grid) -> None:
    case = Case.new(tmp_path / "case")
    rng = np.random.default_rng(3)
    mask = rng.random(grid.shape) > 0.6
    covered = np.where(rng.random(grid.shape) > 0.5, rng.random(grid.shape), 0).astype(np.float32)
    regions = {
        "drawn": (1, Region.from_coverage("drawn", grid, mask)),
        "kept": (0, Region.from_coverage("kept", grid, covered)),
        "empty": (0, Region.from_coverage("empty", grid, np.zeros(grid.shape))),
    }
    draft = Draft(case.folder, "ct-1", "")
    draft.keep(regions, {"drawn": ["drawn"]})
    ((found, about),) = drafts_of(case.folder)
    read, _ = found.read(grid)
    assert about["drawn"] == ["drawn"]
    for region in read:
        assert np.array_equal(region.full(), regions[region.name][1].full())
    changed = Region.from_coverage("drawn", grid, ~mask)
    draft.keep(regions | {"drawn": (2, changed)}, {"drawn": ["drawn"]})
    assert np.array_equal(found.read(grid)[0][0].mask(), ~mask)
    assert len(list(draft.place.glob("*.npz"))) == 3  # nothing of before is left
    with pytest.raises(InputError, match="cannot be read"):
        found.read(Grid.axial((7, 6, 5), spacing_mm=(2.0, 3.0, 5.0), origin_mm=(1.0, 2.0, 3.0)))
    found.discard()
    assert drafts_of(case.folder) == ()


def test_of_two_that_draw_neither_overwrites_the_other(tmp_path: Path, grid: Grid) -> None:
    case = Case.new(tmp_path / "case")
    mask = np.zeros(grid.shape, bool)
    mask[2, 2, 2] = True

    def drawn(stamp: int, of: np.ndarray) -> dict[str, tuple[int, Region]]:
        return {"a": (stamp, Region.from_coverage("a", grid, of))}

    first = Draft(case.folder, "ct-1", "")
    first.keep(drawn(1, mask), {})
    ((second, _),) = drafts_of(case.folder)
    second.read(grid)
    second.keep(drawn(2, ~mask), {})
    assert first.is_changed
    assert not second.is_changed
    with pytest.raises(OutputError, match="another hepatica"):
        first.keep(drawn(3, mask), {})
    second.keep(drawn(4, ~mask), {})  # its files are whole
    assert np.array_equal(second.read(grid)[0][0].mask(), ~mask)
    begun = Draft(case.folder, "ct-1", "")  # began from nothing where something was kept meanwhile
    with pytest.raises(OutputError, match="another hepatica"):
        begun.keep(drawn(5, mask), {})
    first.read(grid)
    first.keep(drawn(6, mask), {})
    with pytest.raises(OutputError, match="another hepatica"):
        second.keep(drawn(7, mask), {})
