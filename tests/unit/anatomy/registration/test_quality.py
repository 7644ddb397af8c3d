"""What is measured of a registration, each against a case whose answer is known, and a known failure."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.anatomy.registration.orientation import Orientation, mirror_ratio
from hepatica.anatomy.registration.quality.criteria import marks
from hepatica.anatomy.registration.quality.dose_effect import dose_effects
from hepatica.anatomy.registration.quality.measures import (
    FieldVolumes,
    InverseConsistency,
    field_volumes,
    inverse_consistency,
    structure_agreement,
    target_error,
)
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.transform import Transform
from hepatica.errors import GeometryError, InputError

SOUND = FieldVolumes(0.9, 1.1, 0.95, 1.05, 0.0)


def box(grid: Grid, low: tuple[int, int, int], high: tuple[int, int, int], name: str = "liver") -> Region:
    coverage = np.zeros(grid.shape, dtype=np.float32)
    coverage[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = 1
    return Region.from_coverage(name, grid, coverage)


def test_target_error_is_the_distance() -> None:
    fixed = {"a": (0.0, 0.0, 0.0), "b": (10.0, 0.0, 0.0)}
    moving = {"a": (0.0, 0.0, 13.0), "b": (10.0, 4.0, 10.0)}
    found = target_error(fixed, moving, Transform.translation((0, 0, 10)))
    assert found.each_mm == pytest.approx({"a": 3.0, "b": 4.0})
    assert (found.mean_mm, found.max_mm) == pytest.approx((3.5, 4.0))
    assert found.sd_mm == pytest.approx(np.sqrt(0.5))
    assert found.mean_before_mm == pytest.approx((13 + np.hypot(4, 10)) / 2)


def test_structures_that_lie_on_each_other(oblique_grid: Grid) -> None:
    """On an oblique, flipped grid: a structure shifted by exactly what the transform says agrees with itself."""
    shift = 3 * oblique_grid.affine[:3, 0]
    fixed, moving = box(oblique_grid, (2, 2, 2), (5, 5, 5)), box(oblique_grid, (5, 2, 2), (8, 5, 5))
    assert min(oblique_grid.shape) >= 5
    found = structure_agreement(fixed, moving, Transform.translation(shift.tolist()))
    assert found is not None
    # Both are asked at the same points, and the transform leads from one's voxels exactly to the other's.
    assert found.dice > 0.999
    assert found.mean_distance_mm < 0.01
    assert found.dice_before < 0.3


def test_distances_of_a_shifted_box() -> None:
    grid = Grid.axial((30, 30, 30), spacing_mm=(2, 2, 2))
    one, other = box(grid, (8, 8, 8), (18, 18, 18)), box(grid, (8, 8, 11), (18, 18, 21))
    found = structure_agreement(one, other, Transform())
    assert found is not None
    # A trilinear border rounds edges off by up to half a voxel of 2 mm, of 20 mm sides: a hundredth of the volume;
    # distances are of points 1 mm apart.
    assert found.dice == pytest.approx(0.7, abs=0.01)
    assert found.hausdorff_95_mm == pytest.approx(6.0, abs=0.1)
    assert 0 < found.mean_distance_mm < 6.0


def test_a_ball_on_turned_voxels_is_the_same_ball() -> None:
    """Radius 20 mm on voxels of 5 mm, drawn anew on a grid that is turned by 30 degrees and moved, and 1.5 mm off.

    Of exact balls that lie d apart along an axis the distance of the surfaces is d |cos|, mean d / 2, at 95 % 0.95 d,
    and Dice is 1 - 3 d / (4 r). Drawings by covered fractions are good to a twentieth of a voxel.
    """
    grid = Grid.axial((16, 16, 16), spacing_mm=(5, 5, 5))
    angle = np.radians(30)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[:3, 3] = (3, -8, 11)
    middle = grid.corners_mm().mean(axis=0)
    other = Grid(grid.shape, turn @ grid.affine)
    transform = Transform.affine(turn)
    fixed = ball(grid, middle, 20.0)
    for off, low in ((0.0, 0.985), (1.5, 1 - 3 * 1.5 / 80 - 0.015)):
        moving = ball(other, transform.points_mm(middle[None] + np.array([0, 0, off]))[0], 20.0)
        found = structure_agreement(fixed, moving, transform)
        assert found is not None
        assert found.mean_distance_mm is not None
        assert found.hausdorff_95_mm is not None
        assert low < found.dice <= 1
        assert found.mean_distance_mm == pytest.approx(off / 2, abs=0.25)
        assert found.hausdorff_95_mm == pytest.approx(0.95 * off, abs=0.5)


def ball(grid: Grid, centre: np.ndarray, radius_mm: float) -> Region:
    parts = 4
    shares = np.zeros(grid.shape, dtype=np.float32)
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    for at in np.ndindex(parts, parts, parts):
        points = grid.to_mm(index + (np.array(at) + 0.5) / parts - 0.5)
        shares += np.linalg.norm(points - centre, axis=-1) < radius_mm
    return Region.from_coverage("liver", grid, shares / parts**3)


def test_a_structure_that_comes_to_lie_elsewhere() -> None:
    grid = Grid.axial((12, 12, 12), spacing_mm=(2, 2, 2))
    one = box(grid, (2, 2, 2), (6, 6, 6))
    assert structure_agreement(one, one, Transform.translation((0, 0, 500.0))) is None


def test_volumes_of_a_field() -> None:
    grid = Grid.axial((12, 12, 12), spacing_mm=(2, 2, 2))
    vectors = np.zeros((*grid.shape, 3))
    vectors[..., 0] = 0.2 * grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 0]
    inner = grid.to_mm(np.argwhere(np.ones((8, 8, 8)))) + 4.0
    found = field_volumes(Transform.field(grid, vectors), inner)
    assert (found.lowest, found.highest) == pytest.approx((1.2, 1.2), abs=1e-5)
    assert found.folded_percent == 0
    folded = field_volumes(Transform.field(grid, -7 * vectors), inner)
    assert folded.folded_percent == 100


def test_there_and_back() -> None:
    points = np.random.default_rng(1).uniform(-50, 50, (100, 3))
    there = Transform.translation((3, 4, 5))
    assert inverse_consistency(there, there.inverse(), points).mean_mm == pytest.approx(0)
    assert inverse_consistency(there, Transform(), points).mean_mm == pytest.approx(np.sqrt(50))


def test_marks_pass_look_and_fail() -> None:
    grid = Grid.axial((4, 4, 4), spacing_mm=(1, 1, 1))
    for mean, verdict in ((1.9, "pass"), (2.5, "look"), (3.1, "fail")):
        judged = marks((grid, grid), None, (), SOUND, InverseConsistency(mean, mean))
        assert [mark.verdict for mark in judged] == ["pass", verdict]
    folded = FieldVolumes(-0.1, 1.1, 0.9, 1.05, 1.0)
    assert marks((grid, grid), None, (), folded, None)[0].verdict == "fail"


def test_a_mirror_image_fails_and_nothing_passes_beside_it() -> None:
    """There and back agree of a mirror image as well: its mark must not pass."""
    grid = Grid.axial((4, 4, 4), spacing_mm=(1, 1, 1))
    back = InverseConsistency(0.1, 0.1)
    alike = [Orientation("as it is", False, 0.4), Orientation("mirrored", True, 0.2)]
    sound = marks((grid, grid), None, (), SOUND, back, mirror_ratio=mirror_ratio(alike))
    assert [(mark.value, mark.verdict) for mark in sound][-1] == (0.5, "pass")
    swapped = [Orientation("as it is", False, 0.2), Orientation("mirrored", True, 0.4)]
    failed = marks((grid, grid), None, (), SOUND, back, mirror_ratio=mirror_ratio(swapped), usable=False)
    assert {mark.verdict for mark in failed} == {"fail"}
    assert mirror_ratio(()) is None


def test_a_large_voxel_widens_the_limit_of_distances_only() -> None:
    grid = Grid.axial((4, 4, 4), spacing_mm=(1, 1, 5))
    target = target_error({"a": (0, 0, 0)}, {"a": (0, 0, 4.5)}, Transform())
    judged = marks((grid, grid), target, (), SOUND, InverseConsistency(4.5, 4.5))
    assert [mark.verdict for mark in judged] == ["pass", "pass", "fail"]


def test_effect_on_a_dose_that_rises_linearly() -> None:
    """Gradient 1 Gy/mm along z: a shift by 2 mm changes the mean by 2 Gy, along x and y by nothing."""
    grid = Grid.axial((20, 20, 40), spacing_mm=(2, 2, 2))
    dose = Volume(grid, np.broadcast_to(20 + 2.0 * np.arange(40), grid.shape).astype(np.float64), Kind.DOSE)
    (found,) = dose_effects(dose, [box(grid, (6, 6, 10), (12, 12, 20))], (1.0, 1.0, 2.0))
    assert found.mean == pytest.approx(20 + 2 * 14.5)
    assert (found.lowest, found.highest) == pytest.approx((found.mean - 2, found.mean + 2))
    assert found.relative_sd_percent == pytest.approx(100 * 2 / found.mean)


def test_effect_needs_a_structure_in_the_map() -> None:
    grid, away = (
        Grid.axial((8, 8, 8), spacing_mm=(2, 2, 2)),
        Grid.axial((8, 8, 8), spacing_mm=(2, 2, 2), origin_mm=(900, 0, 0)),
    )
    dose = Volume(grid, np.ones(grid.shape), Kind.DOSE)
    with pytest.raises(GeometryError, match="no structure lies"):
        dose_effects(dose, [box(away, (2, 2, 2), (5, 5, 5))], (1, 1, 1))
    with pytest.raises(InputError, match="three lengths"):
        dose_effects(dose, [box(grid, (2, 2, 2), (5, 5, 5))], (1, 1, -1))
