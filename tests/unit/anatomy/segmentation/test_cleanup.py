"""Contours are cleaned in millimetres, on grids that are turned, flipped and anisotropic."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from hepatica.anatomy.segmentation.cleanup import MAX_MARGIN_MM, largest_part, smoothed, with_margin, without_holes
from hepatica.anatomy.segmentation.conflicts import without_conflicts
from hepatica.core import Grid, Region
from hepatica.errors import GeometryError, InputError


@pytest.fixture(scope="module")
def wide() -> Grid:
    """Turned, flipped and anisotropic, with room for a ball."""
    turn = np.deg2rad(23.0)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ np.diag([1.5, -2.0, -3.0])
    affine[:3, 3] = (31.0, -42.0, 128.0)
    return Grid((70, 54, 36), affine)


@cache
def ball(
    grid: Grid, radius_mm: float, *, shift_mm: tuple[float, float, float] = (0, 0, 0), name: str = "ball"
) -> Region:
    """A ball with covered fractions from 8 points in each voxel."""
    centre = grid.to_mm(np.asarray(grid.shape) / 2) + np.asarray(shift_mm)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    covered = np.zeros(grid.shape)
    for offset in np.ndindex(2, 2, 2):
        points = grid.to_mm(index + (np.asarray(offset) - 0.5) / 2)
        covered += np.linalg.norm(points - centre, axis=-1) < radius_mm
    return Region.from_coverage(name, grid, covered / 8)


def radius_mm(region: Region) -> float:
    return float((region.volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3))


@pytest.mark.parametrize("margin_mm", [-10.0, -5.0, -2.0, 2.0, 5.0, 12.0])
def test_a_margin_moves_the_surface_by_as_much(wide: Grid, margin_mm: float) -> None:
    # Half a voxel's shortest side (0.75 mm) would be the error of whole voxels; coverage does better.
    assert radius_mm(with_margin(ball(wide, 22), margin_mm)) == pytest.approx(22 + margin_mm, abs=0.4)


def test_a_margin_along_one_axis_is_as_wide_as_along_another(wide: Grid) -> None:
    point = np.zeros(wide.shape, dtype=bool)
    point[34, 27, 18] = True
    grown = with_margin(Region.from_coverage("point", wide, point), 12.0)
    across = [
        float(np.sqrt((grown.full() * ((index - at) * step) ** 2).sum() / grown.voxels))
        for index, at, step in zip(np.ogrid[:70, :54, :36], (34, 27, 18), wide.spacing_mm, strict=True)
    ]
    assert max(across) / min(across) < 1.12  # a box of the voxel's own shape remains inside, 1.5 to 3 mm wide


def test_shrinking_does_not_draw_back_from_the_edge_of_the_image(wide: Grid) -> None:
    half = np.zeros(wide.shape, dtype=bool)
    half[:, :, :18] = True
    shrunk = with_margin(Region.from_coverage("half", wide, half), -6.0)
    assert shrunk.full()[:, :, 0].all()
    assert shrunk.volume_ml == pytest.approx(16 / 18 * half.sum() * wide.voxel_volume_ml, rel=0.01)


@pytest.mark.parametrize("width_mm", [2.0, 5.0])
def test_smoothing_keeps_the_volume(wide: Grid, width_mm: float) -> None:
    whole = ball(wide, 15)
    assert smoothed(whole, width_mm).volume_ml == pytest.approx(whole.volume_ml, rel=1e-3)


def test_smoothing_takes_a_spike_away(wide: Grid) -> None:
    spiked = ball(wide, 15).full()
    spiked[:, 27, 18] = 1.0
    assert smoothed(Region.from_coverage("spiked", wide, spiked), 4.0).full()[:5].max() == 0


def test_the_largest_part_is_kept(wide: Grid) -> None:
    both = ball(wide, 8) | ball(wide, 5, shift_mm=(0, 0, 30))
    assert largest_part(both).volume_ml == pytest.approx(ball(wide, 8).volume_ml, rel=1e-6)


def test_a_hole_is_filled_and_a_dent_is_not(wide: Grid) -> None:
    hollow = ball(wide, 20) - ball(wide, 8)
    assert without_holes(hollow).volume_ml == pytest.approx(ball(wide, 20).volume_ml, rel=2e-3)
    dented = ball(wide, 20) - ball(wide, 8, shift_mm=(0, 0, 20))
    assert without_holes(dented).volume_ml == pytest.approx(dented.volume_ml, rel=2e-3)


def test_nothing_stays_nothing(wide: Grid) -> None:
    empty = Region.from_coverage("empty", wide, np.zeros(wide.shape))
    for done in (largest_part(empty), without_holes(empty), smoothed(empty, 3.0), with_margin(empty, 5.0)):
        assert done.is_empty
    assert with_margin(ball(wide, 5), -20.0).is_empty


@pytest.mark.parametrize("margin_mm", [float("nan"), float("inf"), MAX_MARGIN_MM + 1])
def test_a_margin_that_is_a_slip_is_refused(wide: Grid, margin_mm: float) -> None:
    with pytest.raises(InputError, match="mm: must lie between"):
        with_margin(ball(wide, 5), margin_mm)
    with pytest.raises(InputError, match="mm: must lie between"):
        smoothed(ball(wide, 5), -1.0)


def test_what_two_claim_goes_to_the_first_in_the_order(wide: Grid) -> None:
    liver, spleen = ball(wide, 15, name="liver"), ball(wide, 15, shift_mm=(12, 0, 0), name="spleen")
    lung, body = ball(wide, 12, shift_mm=(0, 0, 18), name="lung right"), ball(wide, 30, name="body")
    regions, messages = without_conflicts([spleen, liver, body, lung])
    found = {region.name: region for region in regions}
    assert [region.name for region in regions] == ["spleen", "liver", "body", "lung right"]
    assert found["lung right"].volume_ml == pytest.approx(lung.volume_ml)
    assert found["body"].volume_ml == pytest.approx(body.volume_ml)
    claimed = sum(found[name].full() for name in ("spleen", "liver", "lung right"))
    assert float(claimed.max()) <= 1.001
    assert found["liver"].volume_ml < liver.volume_ml
    assert {message.code for message in messages} == {"structure-overlap"}
    assert len(messages) == 2


def test_conflicts_need_one_grid_and_distinct_names(wide: Grid, oblique_grid: Grid) -> None:
    liver = ball(wide, 15, name="liver")
    with pytest.raises(InputError, match="same name"):
        without_conflicts([liver, liver])
    other = Region.from_coverage("spleen", oblique_grid, np.ones(oblique_grid.shape))
    with pytest.raises(GeometryError):
        without_conflicts([liver, other])
    assert without_conflicts([]) == ((), ())
