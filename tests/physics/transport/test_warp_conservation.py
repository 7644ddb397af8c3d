"""What a transform brings over: activity is kept by mass, dose by value, labels stay labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.transform import Transform, warp, warp_region, warp_volume
from hepatica.core.transform.energy import added_doses, warp_dose
from hepatica.errors import GeometryError, UnitError

KEPT = 1e-3
"""Share of an activity that warping may lose or make: what issue and clinic ask for."""


def oblique(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], degrees: float, *, flip: bool = False
) -> Grid:
    turn = np.deg2rad(degrees)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(turn / 2), np.sin(turn / 2)], [0, -np.sin(turn / 2), np.cos(turn / 2)]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag([1, -1 if flip else 1, -1 if flip else 1]) * spacing
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return Grid(shape, affine)


def centres(grid: Grid) -> NDArray[np.float64]:
    return grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))


def blob(
    points: NDArray[np.float64], at: tuple[float, float, float] = (8.0, 4.0, -6.0), width: float = 14.0
) -> NDArray[np.float64]:
    return 1000 * np.exp(-((points - at) ** 2).sum(-1) / 2 / width**2)


def breathing(grid: Grid, *, height: float = 14.0, width: float = 30.0) -> Transform:
    points = centres(grid)
    shape = np.exp(-(points**2).sum(-1) / 2 / width**2)[..., None]
    return Transform.field(grid, shape * np.array([1.0, 5.0, height])).checked()


MOVING = oblique((34, 34, 26), (4.0, 4.2, 5.0), 9.0, flip=True)
FIXED = oblique((44, 44, 40), (4.0, 4.0, 4.0), 0.0)
TARGETS = (
    oblique((36, 36, 30), (4.0, 4.0, 5.0), -12.0),
    oblique((64, 64, 60), (2.3, 2.3, 2.4), 5.0, flip=True),
    oblique((14, 14, 12), (11.0, 10.0, 13.0), 0.0),
)


@pytest.mark.parametrize("target", TARGETS, ids=("alike", "finer", "coarser"))
@pytest.mark.parametrize("kind", [Kind.ACTIVITY_CONCENTRATION, Kind.DECAYS])
def test_activity_is_kept_to_a_thousandth_whatever_the_target(target: Grid, kind: Kind) -> None:
    transform = breathing(FIXED).then(Transform.translation((3.0, -2.0, 4.0)))
    volume = Volume(MOVING, blob(centres(MOVING)), kind)
    found = warp(volume, transform, target, "activity")
    assert found.volume.total == pytest.approx(volume.total, rel=KEPT)
    assert found.account.left_share is not None
    assert abs(found.account.left_share) < KEPT
    # The sum is right before it is corrected, too: sub-voxels of half a moving voxel.
    assert found.account.correction == pytest.approx(1, abs=2e-3)


def test_a_concentration_is_multiplied_by_the_determinant() -> None:
    transform = breathing(FIXED)
    target = TARGETS[1]
    points = centres(target)
    expected = blob(transform.points_mm(points)) * transform.jacobian(target)
    found = warp_volume(
        Volume(MOVING, blob(centres(MOVING)), Kind.ACTIVITY_CONCENTRATION), transform, target, "activity"
    )
    # Trilinear interpolation of a Gaussian of 14 mm at 4 to 5 mm: h^2/8 of the second derivative a voxel's side,
    # (4^2 + 4.2^2 + 5^2) / 8 / 14^2 = 3.7 % of the top at most, where all three curve.
    assert np.abs(found.values - expected).max() < 0.037 * expected.max()
    plain = warp_volume(Volume(MOVING, blob(centres(MOVING)), Kind.DOSE), transform, target, "values")
    assert np.abs(plain.values - blob(transform.points_mm(points))).max() < 0.037 * 1000


shifts = st.tuples(*[st.floats(-15, 15)] * 3)


@given(shifts, st.floats(-20, 20), st.floats(0.85, 1.15))
@settings(max_examples=8, deadline=None)
def test_affine_maps_keep_activity(shift: tuple[float, float, float], degrees: float, scale: float) -> None:
    matrix = np.array(oblique((2, 2, 2), (scale, scale, scale), degrees).affine)
    matrix[:3, 3] = shift
    moving = oblique((26, 26, 20), (5.0, 5.2, 6.0), 9.0, flip=True)
    volume = Volume(moving, blob(centres(moving), (0, 0, 0), 12.0), Kind.ACTIVITY)
    target = oblique((36, 36, 30), (5.0, 5.0, 6.0), 4.0)
    found = warp(volume, Transform.affine(matrix), target, "activity")
    assert found.volume.total == pytest.approx(volume.total, rel=KEPT)
    assert found.account.correction == pytest.approx(1, abs=5e-3)
    # The centre of activity goes where the inverse says.
    weights = found.volume.values / found.volume.values.sum()
    middle = (centres(target) * weights[..., None]).sum((0, 1, 2))
    assert np.allclose(middle, np.linalg.inv(matrix)[:3, 3], atol=0.15)


def test_the_identity_changes_nothing_and_whole_voxels_add_up() -> None:
    volume = Volume(MOVING, np.random.default_rng(2).random(MOVING.shape), Kind.ACTIVITY)
    same = warp_volume(volume, Transform(), MOVING, "activity")
    assert np.allclose(same.values, volume.values, rtol=1e-9)
    coarse = MOVING.with_spacing(np.asarray(MOVING.spacing_mm) * 2)
    halves = warp_volume(volume, Transform(), coarse, "activity").values
    blocks = volume.values.reshape(17, 2, 17, 2, 13, 2).sum((1, 3, 5))
    assert np.allclose(halves, blocks, rtol=1e-9)


def test_a_uniform_concentration_that_is_only_turned_stays_uniform() -> None:
    volume = Volume(MOVING, np.full(MOVING.shape, 7.0), Kind.ACTIVITY_CONCENTRATION)
    turn = Transform.affine(oblique((2, 2, 2), (1, 1, 1), 6.0).affine)
    found = warp_volume(volume, turn, oblique((12, 12, 10), (4.0, 4.0, 4.0), 0.0), "activity")
    assert np.ptp(found.values) < 1e-9
    assert found.values.mean() == pytest.approx(7.0, rel=5e-3)


def test_what_leaves_the_field_of_view_is_said_and_in_the_right_size() -> None:
    source = Grid.axial((40, 20, 20), spacing_mm=(4, 4, 4), origin_mm=(0, 0, 0))
    volume = Volume(source, np.ones(source.shape), Kind.ACTIVITY)
    # Fixed x = moving x - 40 mm: ten of forty columns fall off the left of the same grid.
    found = warp(volume, Transform.translation((40.0, 0, 0)), source, "activity")
    assert found.account.left_share == pytest.approx(0.25, abs=1e-9)
    assert found.volume.total == pytest.approx(0.75 * volume.total)
    assert found.account.uncovered_share == pytest.approx(0.25)
    assert {m.code for m in found.messages} >= {"left-field-of-view", "target-not-covered", "total-conserved"}
    half = warp(volume, Transform.translation((38.0, 0, 0)), source, "activity")
    assert half.account.left_share == pytest.approx(9.5 / 40, abs=1e-9)


def test_a_deformation_at_the_border_of_the_target_loses_what_lies_beyond() -> None:
    transform = breathing(FIXED)
    target = oblique((20, 44, 40), (4.0, 4.0, 4.0), 0.0)
    volume = Volume(MOVING, blob(centres(MOVING), (38.0, 0.0, 0.0)), Kind.ACTIVITY)
    wide, narrow = (warp(volume, transform, grid, "activity") for grid in (FIXED, target))
    cut = wide.volume.values[12:32].sum() / wide.volume.values.sum()
    assert 1 - narrow.account.left_share == pytest.approx(cut, abs=2e-3)  # type: ignore[operator]


def test_labels_stay_labels_and_the_largest_share_wins() -> None:
    labels = np.where(centres(MOVING)[..., 0] > 0, 5, 2).astype(np.int16)
    volume = Volume(MOVING, labels, Kind.LABEL)
    found = warp(volume, Transform.translation((6.0, 0, 0)), TARGETS[1], "labels", outside=9)
    assert set(np.unique(found.volume.values)) <= {2, 5, 9}
    points = centres(TARGETS[1])
    clear = (np.abs(points[..., 0] + 6) > 5) & (found.volume.values != 9)
    assert np.array_equal(found.volume.values[clear], np.where(points[..., 0] > -6, 5, 2)[clear])
    same = warp_volume(volume, Transform(), MOVING, "labels")
    assert np.array_equal(same.values, labels)


def test_a_region_keeps_its_volume_under_a_rigid_map_and_scales_by_the_determinant_otherwise() -> None:
    region = Region.from_coverage("liver", MOVING, np.linalg.norm(centres(MOVING) - (5, 0, 0), axis=-1) < 30)
    shift = warp_region(region, Transform.translation((5.0, 3.0, -4.0)), TARGETS[0])
    assert shift.volume_ml == pytest.approx(region.volume_ml, rel=5e-3)
    grown = warp_region(region, Transform.affine(np.diag([0.9, 0.9, 0.9, 1])), TARGETS[0])
    assert grown.volume_ml == pytest.approx(region.volume_ml / 0.9**3, rel=1e-2)
    assert shift.name == "liver"


def test_dose_by_energy_and_mass_keeps_the_energy_where_density_jumps() -> None:
    dose = Volume(MOVING, blob(centres(MOVING)) / 10, Kind.DOSE)
    density = Volume(MOVING, np.where(centres(MOVING)[..., 2] > 0, 0.3, 1.06), Kind.DENSITY)
    found = warp_dose(dose, density, breathing(FIXED), TARGETS[2])
    energy = (dose.values * density.values).sum() * MOVING.voxel_volume_ml
    assert (found.dose.values * found.mass_g).sum() == pytest.approx(energy, rel=KEPT)
    # A uniform dose stays what it is, whatever the masses.
    uniform = warp_dose(dose.with_values(np.full(MOVING.shape, 50.0)), density, breathing(FIXED), TARGETS[2])
    covered = uniform.mass_g > 1e-2
    assert np.allclose(uniform.dose.values[covered], 50.0, rtol=2e-3)
    twice = added_doses(found.dose, found.dose)
    assert np.allclose(twice.values, 2 * found.dose.values)


def test_what_does_not_suit_is_refused() -> None:
    dose = Volume(MOVING, np.ones(MOVING.shape), Kind.DOSE)
    with pytest.raises(UnitError, match="no total to conserve"):
        warp(dose, Transform(), MOVING, "activity")
    with pytest.raises(UnitError, match="whose total is kept"):
        warp(dose.with_values(dose.values, Kind.DECAYS), Transform(), MOVING, "values")
    with pytest.raises(UnitError, match="'labels'"):
        warp(dose.with_values(dose.values.astype(int), Kind.LABEL), Transform(), MOVING)
    elsewhere = Transform(fixed_frame="1.1", moving_frame="1.2")
    with pytest.raises(GeometryError, match=r"moving frame of reference is 1\.2"):
        warp(dose.in_frame("1.9"), elsewhere, FIXED)
