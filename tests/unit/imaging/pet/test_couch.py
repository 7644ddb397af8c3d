"""Whether a CT shows the couch on which the patient lay."""

from __future__ import annotations

import numpy as np

from hepatica.core import Grid, Kind, Volume
from hepatica.imaging.pet.acquisition.couch import about_couch, shows_couch


def ct(couch_at: int | None, *, along: int = 20) -> Volume:
    """Water of 160 mm, and a plate 320 mm wide behind it (towards +y)."""
    grid = Grid.axial((50, 50, 20), spacing_mm=(8.0, 8.0, 8.0), origin_mm=(-196.0, -196.0, 0.0))
    x = grid.origin_mm[0] + 8.0 * np.arange(50)
    hu = np.where(np.hypot(x[:, None], x[None, :])[:, :, None] < 80, 0.0, -1000.0) * np.ones(20)
    if couch_at is not None:
        hu[5:45, couch_at : couch_at + 2, :along] = -400.0
    return Volume(grid, hu.astype(np.float32), Kind.HU)


def test_a_couch_apart_from_the_body_is_seen() -> None:
    assert shows_couch(ct(38))
    assert about_couch(ct(38)) == ()


def test_without_one_it_is_said() -> None:
    assert not shows_couch(ct(None))
    (note,) = about_couch(ct(None))
    assert (note.code, note.severity) == ("couch-not-seen", "note")


def test_what_is_short_is_no_couch() -> None:
    assert not shows_couch(ct(38, along=6))


def test_a_couch_that_touches_the_body_is_one_with_it() -> None:
    assert not shows_couch(ct(33))
