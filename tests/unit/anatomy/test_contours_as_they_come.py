"""Contours drawn twice, planes at mixed distances, contours that enclose nothing: random inputs of each kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from hepatica.anatomy.structures.contours import Filled, fill_contours, plane_distance_mm
from hepatica.core import Grid
from hepatica.errors import GeometryError

Points = NDArray[np.float64]

SEEDS = range(12)


def placed(grid: Grid, uvw: Points) -> Points:
    """Points in mm along the grid's axes from its middle, as LPS mm."""
    middle = grid.to_mm((np.array(grid.shape) - 1) / 2)
    return np.asarray(middle + uvw @ grid.direction.T)


def blob(rng: np.random.Generator, w: float, *, radius: float = 14.0, centre: Sequence[float] = (0.0, 0.0)) -> Points:
    """A star-shaped outline, in mm along the grid's axes, at height w."""
    angle = np.linspace(0, 2 * np.pi, int(rng.integers(40, 90)), endpoint=False)
    wave = 1 + 0.15 * np.sin(rng.integers(2, 5) * angle + rng.uniform(0, 6)) + 0.05 * np.sin(7 * angle)
    r = radius * rng.uniform(0.8, 1.0) * wave
    return np.column_stack([r * np.cos(angle) + centre[0], r * np.sin(angle) + centre[1], np.full(len(angle), w)])


def area_mm2(uvw: Points) -> float:
    u, v = uvw[:, 0], uvw[:, 1]
    return abs(float(u @ np.roll(v, -1) - v @ np.roll(u, -1))) / 2


def redrawn(rng: np.random.Generator, uvw: Points, *, through_mm: float) -> Points:
    """The same outline from another start, either way round, with points added, a tenth of a millimetre off."""
    again = np.roll(uvw, int(rng.integers(len(uvw))), axis=0)
    if rng.random() < 0.5:
        again = again[::-1]
    if rng.random() < 0.5:
        halves = (again + np.roll(again, -1, axis=0)) / 2
        again = np.stack([again, halves], axis=1).reshape(-1, 3)
    way = rng.choice(["same", "shifted", "larger", "rounded"])
    if way == "shifted":
        turn = rng.uniform(0, 2 * np.pi)
        again = again + 0.1 * np.array([np.cos(turn), np.sin(turn), 0])
    elif way == "larger":
        middle = again.mean(axis=0)
        r = np.linalg.norm(again - middle, axis=1, keepdims=True)
        again = middle + (again - middle) * (1 + rng.choice([-0.1, 0.1]) / r)
    elif way == "rounded":
        again = np.column_stack([np.round(again[:, :2], 1), again[:, 2]])
    return np.asarray(again + np.array([0, 0, through_mm]))


def volume(name: str, contours: Sequence[Points], grid: Grid) -> Filled:
    return fill_contours(name, [placed(grid, points) for points in contours], grid)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_outline_drawn_twice_is_one_outline(seed: int, oblique_grid: Grid) -> None:
    rng = np.random.default_rng(seed)
    heights = np.arange(-15, 16, rng.choice([2.5, 3.0, 5.0]))
    hole = rng.random() < 0.3
    drawn = [blob(rng, w) for w in heights] + [blob(rng, w, radius=5.0) for w in heights if hole]
    once = volume("tumour", drawn, oblique_grid)
    whole = rng.random() < 0.5
    chosen = range(len(drawn)) if whole else [int(rng.integers(len(drawn)))]
    through = float(rng.choice([0.0, 0.1, -0.1, 0.4]))
    twice = [redrawn(rng, drawn[at], through_mm=through) for at in chosen]
    order = rng.permutation(len(drawn)) if rng.random() < 0.5 else np.arange(len(drawn))
    found = volume("tumour", [*(drawn[at] for at in order), *twice], oblique_grid)
    # A tenth of a millimetre on 11 mm of radius is 2 % of the area of the plane, whichever outline is taken.
    assert found.contour_volume_ml == pytest.approx(once.contour_volume_ml, rel=0.01)
    assert found.region.volume_ml == pytest.approx(once.region.volume_ml, rel=0.01)
    (message,) = (m for m in found.messages if m.code == "contours-drawn-twice")
    assert f"{len(twice)} contours are drawn twice" in message.text
    assert "on the plane through (" in message.text
    assert found.plane_distance_mm == pytest.approx(once.plane_distance_mm, abs=0.41)
    assert plane_distance_mm([placed(oblique_grid, p) for p in [*drawn, *twice]]) == pytest.approx(
        once.plane_distance_mm, abs=0.41
    )


@pytest.mark.parametrize("tilt", [0.0, 0.4])
def test_the_whole_structure_drawn_again_on_planes_oblique_to_the_grid(tilt: float, oblique_grid: Grid) -> None:
    rng = np.random.default_rng(7)
    rotation = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    drawn = [blob(rng, w, radius=12) for w in np.arange(-9.0, 10, 3)]
    both = [*drawn, *(redrawn(rng, points, through_mm=0.1) for points in drawn)]
    found = volume("tumour", [points @ rotation.T for points in both], oblique_grid)
    expected = sum(area_mm2(points) for points in drawn) * 3 / 1000
    assert found.contour_volume_ml == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("slice_mm", [0.2, 0.4, 0.5])
def test_thin_slices_are_not_planes_drawn_twice(slice_mm: float, oblique_grid: Grid) -> None:
    rng = np.random.default_rng(2)
    spot = [blob(rng, w, radius=4) for w in (20, 20 + slice_mm)]
    large = [blob(rng, w, radius=9) for w in np.arange(-2, 2, slice_mm)]
    for drawn in (spot, [*large, *spot]):
        expected = sum(map(area_mm2, drawn)) * slice_mm / 1000
        assert volume("spots", drawn, oblique_grid).contour_volume_ml == pytest.approx(expected, rel=5e-3)


def test_what_may_be_a_wall_is_refused_with_its_plane(oblique_grid: Grid) -> None:
    rng = np.random.default_rng(1)
    outer = [blob(rng, w) for w in (-3.0, 0.0, 3.0)]

    def inner(points: Points, wall: float) -> Points:
        r = np.linalg.norm(points[:, :2], axis=1, keepdims=True)
        return np.column_stack([points[:, :2] * (1 - wall / r), points[:, 2]])

    with pytest.raises(GeometryError, match=r"'cyst': two contours lie 0\.\d+ mm apart on the plane through \("):
        volume("cyst", [*outer, inner(outer[1], 0.45)], oblique_grid)
    thin = volume("cyst", [*outer, *(inner(points, 0.8) for points in outer)], oblique_grid)
    assert [message.code for message in thin.messages] == ["wall-is-thin"]
    assert "3 pairs of contours lie 0.7" in thin.messages[0].text
    shell = volume("cyst", [*outer, *(inner(points, 2.0) for points in outer)], oblique_grid)
    expected = sum(area_mm2(points) - area_mm2(inner(points, 2.0)) for points in outer) * 3 / 1000
    assert shell.contour_volume_ml == pytest.approx(expected, rel=1e-3)
    assert not shell.messages


@pytest.mark.parametrize("seed", SEEDS)
def test_planes_at_mixed_distances_have_the_thickness_that_each_has(seed: int, oblique_grid: Grid) -> None:
    rng = np.random.default_rng(100 + seed)
    gaps: list[float] = []
    for distance in rng.permutation([1.0, 2.0, 2.5, 5.0])[: int(rng.integers(2, 5))]:
        gaps += [float(distance)] * int(rng.integers(2, 7))
    planes = np.concatenate([[0.0], np.cumsum(gaps)])
    planes -= planes.mean()
    drawn = [blob(rng, w, radius=12) for w in planes]
    found = volume("tumour", [drawn[at] for at in rng.permutation(len(drawn))], oblique_grid)
    faces = np.concatenate([[planes[0] - gaps[0] / 2], planes[:-1] + np.diff(planes) / 2, [planes[-1] + gaps[-1] / 2]])
    expected = sum(area_mm2(p) * t for p, t in zip(drawn, np.diff(faces), strict=True)) / 1000
    assert found.contour_volume_ml == pytest.approx(expected, rel=2e-3)
    assert not [m for m in found.messages if m.severity != "note"]


@pytest.mark.parametrize("seed", SEEDS)
def test_one_coarse_step_in_a_body_is_filled_and_said(seed: int, oblique_grid: Grid) -> None:
    rng = np.random.default_rng(200 + seed)
    long = float(rng.uniform(4, 10))
    planes = np.concatenate([np.arange(-8, 1.0), np.arange(0, 8.0) + long])
    planes -= planes.mean()
    drawn = [blob(rng, w, radius=12) for w in planes]
    found = volume("tumour", drawn, oblique_grid)
    half = (1 + long) / 2
    thick = [half if at in (8, 9) else 1.0 for at in range(len(planes))]
    expected = sum(area_mm2(p) * t for p, t in zip(drawn, thick, strict=True)) / 1000
    assert found.contour_volume_ml == pytest.approx(expected, rel=2e-3)
    assert [m.code for m in found.messages] == ["gaps-filled"]
    # The same step between two lesions beside each other separates them.
    shifted = [p + np.array([0 if p[0, 2] < 0 else 14.0, 0, 0]) for p in (q * [0.4, 0.4, 1] for q in drawn)]
    apart = volume("two", shifted, oblique_grid)
    assert apart.contour_volume_ml == pytest.approx(sum(map(area_mm2, shifted)) / 1000, rel=5e-3)
    assert [m.code for m in apart.messages] == ["gaps-separate-parts"]


def test_two_parts_drawn_at_two_distances_have_ends_of_their_own(oblique_grid: Grid) -> None:
    rng = np.random.default_rng(5)
    thin, thick = np.arange(-30, -19.0), np.array([5.0, 10.0, 15.0, 20.0])
    drawn = [blob(rng, w, radius=10) for w in (*thin, *thick)]
    found = volume("parts", drawn, oblique_grid)
    expected = sum(area_mm2(p) * (1 if p[0, 2] < 0 else 5) for p in drawn) / 1000
    assert found.contour_volume_ml == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("seed", range(5))
def test_contours_that_enclose_nothing_change_nothing(seed: int, oblique_grid: Grid) -> None:
    rng = np.random.default_rng(300 + seed)
    drawn = [blob(rng, w, radius=9) for w in np.arange(-12, 13, 3.0)]
    once = volume("vessel", drawn, oblique_grid)
    a, b = rng.uniform(-5, 5, (2, 3))
    w = float(rng.choice([-12.0, 1.0, 15.0]))
    nothing = [np.array([a]), np.array([a, b]), np.array([a, b, a]), np.array([a, b, (a + b) / 2, 2 * b - a])]
    chosen = [points * [1, 1, 0] + [0, 0, w] for points in nothing[: int(rng.integers(1, 5))]]
    found = volume("vessel", [*drawn, *chosen], oblique_grid)
    np.testing.assert_array_equal(found.region.full(), once.region.full())
    (message,) = found.messages
    assert message.code == "contours-enclose-nothing"
    assert f"'vessel': {len(chosen)} contours" in message.text
