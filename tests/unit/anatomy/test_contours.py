"""Contours to regions and back."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hepatica.anatomy.structures.contours import Filled, fill_contours, region_contours
from hepatica.anatomy.virtual_patient import (
    AnatomyOptions,
    PatientSettings,
    Tumour,
    VirtualCtOptions,
    VirtualPatient,
    virtual_patient,
)
from hepatica.core import Grid, Region
from hepatica.errors import GeometryError

Points = NDArray[np.float64]


def square(half: float, z: float, centre: tuple[float, float] = (0.0, 0.0)) -> Points:
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half + centre
    return np.column_stack([corners, np.full(4, z)])


def box(half: float, heights: list[float], centre: tuple[float, float] = (0.0, 0.0)) -> list[Points]:
    return [square(half, z, centre) for z in heights]


@pytest.fixture
def grid() -> Grid:
    """Axial, edges at whole millimetres from -20: 40 mm cube."""
    return Grid.axial((20, 10, 8), spacing_mm=(2, 4, 5), origin_mm=(-19, -18, -17.5))


def test_a_box_is_exact_voxel_by_voxel(grid: Grid) -> None:
    # Planes 3 mm apart stand for z from -7.5 to 7.5; the square is +-7 mm.
    filled = fill_contours("box", box(7, [-6, -3, 0, 3, 6]), grid)
    assert filled.contour_volume_ml == pytest.approx(14 * 14 * 15 / 1000)
    assert filled.plane_distance_mm == pytest.approx(3)
    assert not filled.messages
    edges = [np.arange(n + 1) * s - 20 for n, s in zip(grid.shape, grid.spacing_mm, strict=True)]
    part = [
        np.clip(np.minimum(e[1:], h) - np.maximum(e[:-1], -h), 0, None) for e, h in zip(edges, (7, 7, 7.5), strict=True)
    ]
    expected = np.einsum("i,j,k->ijk", *part) / np.prod(grid.spacing_mm)
    # In j the midpoint rule of 16 lines in 4 mm: half a line of error at most.
    np.testing.assert_allclose(filled.region.full(), expected, atol=1 / 32 + 1e-6)
    assert filled.region.volume_ml == pytest.approx(filled.contour_volume_ml, rel=1e-5)
    assert filled.region.full()[10, 5, 4] == 1.0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_planes_across_any_axis_of_an_oblique_feet_first_grid(oblique_grid: Grid, axis: int) -> None:
    # The same block of voxels, drawn across each of the grid's axes: indices 4..9, 5..8, 3..7 whole.
    low, high = np.array([3.5, 4.5, 2.5]), np.array([9.5, 8.5, 7.5])
    u, v = (a for a in range(3) if a != axis)
    contours = []
    for plane in np.arange(low[axis] + 0.5, high[axis]):
        corners = np.empty((4, 3))
        corners[:, axis] = plane
        corners[:, u] = [low[u], high[u], high[u], low[u]]
        corners[:, v] = [low[v], low[v], high[v], high[v]]
        contours.append(oblique_grid.to_mm(corners))
    region = fill_contours("block", contours, oblique_grid).region
    expected = np.zeros(oblique_grid.shape)
    expected[4:10, 5:9, 3:8] = 1
    np.testing.assert_allclose(region.full(), expected, atol=1e-5)
    assert region.window == (slice(4, 10), slice(5, 9), slice(3, 8))


def test_planes_oblique_to_the_grid(oblique_grid: Grid) -> None:
    centre = oblique_grid.to_mm([12, 9, 7])
    contours = [p + centre for p in box(12, list(np.arange(-13.5, 14, 3)))]
    filled = fill_contours("box", contours, oblique_grid)
    # 24 x 24 x 30 mm; points in voxels of 2.5 x 3.5 x 5 mm at quarters of them: surface 4032 mm2 sampled to a
    # fraction of a quarter voxel, errors of both signs.
    assert filled.region.volume_ml == pytest.approx(24 * 24 * 30 / 1000, rel=5e-3)
    assert filled.region.full()[12, 9, 7] == 1.0
    inside = np.stack(np.meshgrid(*map(np.arange, oblique_grid.shape), indexing="ij"), -1)
    offset = np.abs(oblique_grid.to_mm(inside) - centre)
    reach = np.linalg.norm(oblique_grid.spacing_mm) / 2
    full = filled.region.full()
    assert (full[(offset < np.array([12, 12, 15]) - reach).all(-1)] == 1).all()
    assert (full[(offset > np.array([12, 12, 15]) + reach).any(-1)] == 0).all()


def test_contours_turned_in_their_plane(grid: Grid) -> None:
    turn = np.deg2rad(30)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    filled = fill_contours("turned", [p @ rotation.T for p in box(8, [-5, 0, 5])], grid)
    assert filled.region.volume_ml == pytest.approx(16 * 16 * 15 / 1000, rel=2e-3)


def ring(heights: list[float]) -> list[Points]:
    return box(12, heights) + box(6, heights)


def test_a_contour_inside_another_is_a_hole(grid: Grid) -> None:
    filled = fill_contours("shell", ring([-5, 0, 5]), grid)
    assert filled.region.volume_ml == pytest.approx((24 * 24 - 12 * 12) * 15 / 1000, rel=1e-5)
    assert filled.region.full()[10, 5, 4] == 0


def test_an_island_in_a_hole_is_inside(grid: Grid) -> None:
    contours = [*ring([-5, 0, 5]), *box(2, [-5, 0, 5])]
    filled = fill_contours("shell", contours, grid)
    assert filled.region.volume_ml == pytest.approx((24 * 24 - 12 * 12 + 4 * 4) * 15 / 1000, rel=1e-5)


def test_a_keyhole_is_a_hole(grid: Grid) -> None:
    outer, inner = square(12, 0.0), square(6, 0.0)[::-1]
    joined = np.concatenate([outer, outer[:1], inner, inner[:1]])
    contours = [joined + np.array([0, 0, z]) for z in (-5, 0, 5)]
    filled = fill_contours("shell", contours, grid)
    assert filled.region.volume_ml == pytest.approx((24 * 24 - 12 * 12) * 15 / 1000, rel=1e-5)
    assert not filled.messages


def test_several_parts_on_one_plane(grid: Grid) -> None:
    contours = box(4, [-5, 0, 5], (-10, 0)) + box(3, [-5, 0, 5], (10, 5))
    filled = fill_contours("two", contours, grid)
    assert filled.region.volume_ml == pytest.approx((64 + 36) * 15 / 1000, rel=1e-5)


def test_slabs_meet_half_way_and_ends_reach_as_far_outward(grid: Grid) -> None:
    # Planes at -9, -5, 0: slabs from -11, -7, -2.5 to 2.5.
    contours = [square(4, -9.0), square(5, -5.0), square(6, 0.0)]
    filled = fill_contours("cone", contours, grid)
    assert filled.contour_volume_ml == pytest.approx((64 * 4 + 100 * 4.5 + 144 * 5) / 1000, rel=1e-6)
    assert not filled.messages


def test_one_missing_plane_is_filled_and_said(grid: Grid) -> None:
    filled = fill_contours("gap", box(5, [-12, -9, -6, 0, 3]), grid)
    assert filled.contour_volume_ml == pytest.approx(100 * 18 / 1000)
    assert "filled" in str(filled.messages[0])
    assert "adds 0.3 mL" in str(filled.messages[0])


def test_a_long_gap_separates_two_lesions(grid: Grid) -> None:
    filled = fill_contours("lesions", box(5, [-16, -13, -10, 8, 11, 14]), grid)
    assert filled.contour_volume_ml == pytest.approx(100 * 18 / 1000)
    assert "separate" in str(filled.messages[0])
    assert not filled.region.full()[:, :, 4].any()


def test_a_single_plane_is_one_slice_of_the_image_or_as_told(grid: Grid) -> None:
    filled = fill_contours("thin", [square(5, 2.0)], grid)
    assert filled.region.volume_ml == pytest.approx(0.5)
    assert "one plane" in str(filled.messages[0])
    told = fill_contours("thin", [square(5, 2.0)], grid, plane_distance_mm=2.0)
    assert told.region.volume_ml == pytest.approx(0.2)
    assert not told.messages


def test_planes_a_rounding_apart_are_one_plane(grid: Grid) -> None:
    contours = box(5, [-3, 0, 3]) + box(3, [-3.01, 0.01, 3.01], (12, 0))
    assert fill_contours("two", contours, grid).contour_volume_ml == pytest.approx(136 * 9 / 1000, rel=1e-2)


def test_part_outside_is_said_with_its_share(grid: Grid) -> None:
    filled = fill_contours("out", box(5, [-3, 0, 3], (20, 0)), grid)
    assert filled.lost_fraction == pytest.approx(0.5, abs=1e-4)
    assert filled.region.volume_ml == pytest.approx(0.45, rel=1e-4)
    assert "50.0 %" in str(filled.messages[0])
    assert "'out'" in str(filled.messages[0])


@pytest.mark.parametrize("shift", [(100, 0, 0), (0, -100, 0), (0, 0, 100)])
@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_wholly_outside_is_refused(grid: Grid, shift: tuple[float, float, float], tilt: float) -> None:
    rotation = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    with pytest.raises(GeometryError, match="'far' lies wholly outside"):
        fill_contours("far", [p @ rotation.T + shift for p in box(5, [-3, 0, 3])], grid)


BOW_TIE = np.array([[0, 0, 0], [10, 10, 0], [10, 0, 0], [0, 10, 0]], dtype=float)
# A loop drawn twice the same way round: even-odd calls the inner part a hole, winding calls it inside.
CURL = np.array([[0, 0, 0], [12, 0, 0], [12, 12, 0], [3, 12, 0], [3, 3, 0], [9, 3, 0], [9, 15, 0], [0, 15, 0]], float)


@pytest.mark.parametrize(
    ("contours", "message"),
    [
        ([], "empty"),
        ([[[0, 0, 0], [1, 0, 0]]], "has 2 points"),
        ([[[0, 0, 0], [1, 0, 0], [0, 0, 0]]], "has 2 points"),
        ([[0, 0, 0]], "needs points"),
        ([[[0, 0, 0], [5, 0, np.nan], [0, 5, 0]]], "NaN"),
        ([[[0, 0, 0], [5, 0, 0], [5, 5, 3], [0, 5, 0]]], "not flat"),
        ([square(5, 0.0), square(5, 3.0)[:, [2, 0, 1]]], "not parallel"),
        ([BOW_TIE], "crosses itself"),
        ([CURL], "crosses itself"),
        ([square(5, 0.0), square(5, 0.0, (5, 5))], "overlap in part"),
        ([[[0, 0, 0], [5, 0, 0], [9, 0, 0]]], "no volume"),
    ],
)
def test_bad_contours_are_refused_by_name(contours: list[Points], message: str, grid: Grid) -> None:
    with pytest.raises(GeometryError, match=message) as error:
        fill_contours("Liver", contours, grid)
    assert "'Liver'" in str(error.value)


def test_a_small_loop_is_drawing_jitter_and_said(grid: Grid) -> None:
    # A loop of about 0.3 mm2 at the corner of 100 mm2.
    contour = np.array([[0, 0, 0], [10, 0, 0], [10, 9.2, 0], [9.2, 10.4, 0], [10.2, 10, 0], [0, 10, 0]], float)
    filled = fill_contours("jitter", [contour + np.array([0, 0, z]) for z in (-3, 0, 3)], grid)
    assert "small loops" in str(filled.messages[0])


def test_a_repeated_contour_does_not_cancel(grid: Grid) -> None:
    filled = fill_contours("twice", box(5, [-3, 0, 3]) + box(5, [0]), grid)
    assert filled.region.volume_ml == pytest.approx(0.9)
    assert "taken once" in str(filled.messages[0])


def test_touching_parts_are_not_an_overlap(grid: Grid) -> None:
    contours = box(4, [-3, 0, 3], (-4, 0)) + box(4, [-3, 0, 3], (4, 0))
    assert fill_contours("touch", contours, grid).region.volume_ml == pytest.approx(128 * 9 / 1000)


def test_large_structures_are_drawn_in_batches(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fill_contours("box", box(7, [-6, -3, 0, 3, 6]), grid)
    monkeypatch.setattr("hepatica.anatomy.structures.contours.CELLS_AT_ONCE", 100)
    pieces = fill_contours("box", box(7, [-6, -3, 0, 3, 6]), grid)
    np.testing.assert_array_equal(whole.region.full(), pieces.region.full())


def dice(a: Region, b: Region) -> float:
    both = np.minimum(a.full(), b.full()).sum(dtype=float)
    return float(2 * both / (a.full().sum(dtype=float) + b.full().sum(dtype=float)))


@pytest.fixture(scope="module")
def body() -> VirtualPatient:
    settings = PatientSettings(
        tumours=(Tumour(44, 7), Tumour(58, 8)),
        anatomy=AnatomyOptions(terminals=24),
        ct=VirtualCtOptions(spacing_mm=(2.5, 2.5, 3.0)),
    )
    return virtual_patient(settings)


@pytest.mark.parametrize("holes", ["keyhole", "separate"])
def test_round_trip_keeps_organs(body: VirtualPatient, holes: str) -> None:
    for name in ("liver", "lung left", "lobe left", "tumour 1", "tumour 2", "spleen", "stomach"):
        region = body.regions[name]
        back = fill_contours(name, region_contours(region, holes=holes), region.grid)
        assert back.region.volume_ml == pytest.approx(region.volume_ml, rel=0.01)
        assert dice(region, back.region) > 0.98


def test_round_trip_keeps_holes_on_an_oblique_grid(oblique_grid: Grid) -> None:
    index = np.stack(np.meshgrid(*map(np.arange, oblique_grid.shape), indexing="ij"), -1)
    radius = np.hypot(*(((index - [11.4, 8.3, 7])[..., a] * oblique_grid.spacing_mm[a]) for a in (0, 1)))
    shell = np.clip(22 - radius, 0, 1) * np.clip(radius - 9, 0, 1) * (np.abs(index[..., 2] - 7) < 5)
    shell[17:19, 7:10] = 0  # a second hole
    region = Region.from_coverage("shell", oblique_grid, shell)
    for axis in (0, 2):
        for holes, each in (("keyhole", 1), ("separate", 3)):
            contours = region_contours(region, axis=axis, holes=holes)
            assert axis == 0 or len(contours) == each * 9
            back = fill_contours("shell", contours, oblique_grid)
            assert not back.messages
            assert back.region.volume_ml == pytest.approx(region.volume_ml, rel=0.03)
            assert dice(region, back.region) > 0.95


def test_exact_half_coverage_is_outlined(grid: Grid) -> None:
    values = np.zeros(grid.shape)
    values[5:15, 3:7, 2:5] = 0.5
    assert len(region_contours(Region.from_coverage("half", grid, values))) == 3


def test_a_lone_half_covered_voxel_is_not_outlined(grid: Grid) -> None:
    values = np.zeros(grid.shape)
    values[2:6, 2:6, 3:5] = 1
    values[10, 5, 4] = 0.5
    contours = region_contours(Region.from_coverage("r", grid, values))
    assert len(contours) == 2
    assert not fill_contours("r", contours, grid).messages


def test_an_empty_region_has_no_contours(grid: Grid) -> None:
    assert region_contours(Region.from_coverage("none", grid, np.zeros(grid.shape))) == ()


def test_unknown_hole_style_is_refused(grid: Grid) -> None:
    with pytest.raises(GeometryError, match="keyhole"):
        region_contours(Region.from_coverage("r", grid, np.ones(grid.shape)), holes="xor")


def test_a_filled_value_reads_well(grid: Grid) -> None:
    filled = fill_contours("box", box(5, [-3, 0, 3]), grid, origin="drawn")
    assert isinstance(filled, Filled)
    assert filled.region.origin == "drawn"


def test_agrees_with_points_in_polygons_counted_by_matplotlib(grid: Grid) -> None:
    from matplotlib.path import Path

    rng = np.random.default_rng(5)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 60))
    star = np.column_stack([np.cos(angle), np.sin(angle)]) * rng.uniform(9, 17, (60, 1)) + [1.3, -0.8]
    hole = np.column_stack([np.cos(angle), np.sin(angle)]) * rng.uniform(3, 6, (60, 1)) + [1.3, -0.8]
    contours = [np.column_stack([p, np.full(60, z)]) for z in (-5.0, 0.0, 5.0) for p in (star, hole[::-1])]
    found = fill_contours("star", contours, grid).region.full()[:, :, 4]
    # 40 x 40 points in each 2 x 4 mm voxel: a border is off by about one row of them, 1/40.
    steps = (np.arange(40) + 0.5) / 40
    x = (-20 + 2 * (np.arange(20)[:, None] + steps)).ravel()
    y = (-20 + 4 * (np.arange(10)[:, None] + steps)).ravel()
    points = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    inside = Path(star).contains_points(points) & ~Path(hole).contains_points(points)
    expected = inside.reshape(20, 40, 10, 40).mean(axis=(1, 3))
    np.testing.assert_allclose(found, expected, atol=0.03)
    assert found.sum() == pytest.approx(expected.sum(), rel=1e-3)
