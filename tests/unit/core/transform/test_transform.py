"""A transform maps points, turns round, composes, and refuses what folds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.core.transform import Affine, DisplacementField, Transform
from hepatica.errors import GeometryError

POINTS = np.array([[0.0, 0.0, 0.0], [10.0, -20.0, 30.0], [-41.0, 13.0, 55.5]])


def turned(
    degrees: tuple[float, float, float], shift: tuple[float, float, float], scale: float = 1.0
) -> NDArray[np.float64]:
    matrix = np.eye(4)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        turn = np.eye(3)
        a, b = (n for n in range(3) if n != axis)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix[:3, :3] = turn @ matrix[:3, :3]
    matrix[:3, :3] *= scale
    matrix[:3, 3] = shift
    return matrix


def bump(grid: Grid, height_mm: tuple[float, float, float], width_mm: float = 25.0) -> NDArray[np.float64]:
    """A Gaussian displacement about the grid's middle, shape (i, j, k, 3)."""
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2)
    return np.exp(-((points - middle) ** 2).sum(-1) / 2 / width_mm**2)[..., None] * np.asarray(height_mm)


angles = st.tuples(*[st.floats(-40, 40)] * 3)
shifts = st.tuples(*[st.floats(-200, 200)] * 3)


@given(angles, shifts, st.floats(0.7, 1.4))
@settings(max_examples=30, deadline=None)
def test_an_affine_map_is_undone_exactly_and_has_one_determinant(
    degrees: tuple[float, float, float], shift: tuple[float, float, float], scale: float
) -> None:
    transform = Transform.affine(turned(degrees, shift, scale))
    assert np.allclose(transform.inverse().points_mm(transform.points_mm(POINTS)), POINTS, atol=1e-9)
    assert np.allclose(transform.determinants(POINTS), scale**3)
    assert transform.kind == ("rigid" if abs(scale - 1) < 3e-5 else "affine")


@given(angles, shifts, angles, shifts)
@settings(max_examples=20, deadline=None)
def test_composition_is_one_map_after_the_other(
    a: tuple[float, float, float],
    s: tuple[float, float, float],
    b: tuple[float, float, float],
    t: tuple[float, float, float],
) -> None:
    first, second = Transform.affine(turned(a, s)), Transform.affine(turned(b, t))
    both = first.then(second)
    assert np.allclose(both.points_mm(POINTS), second.points_mm(first.points_mm(POINTS)), atol=1e-9)
    assert np.allclose(both.points_mm(POINTS), both.simplified().points_mm(POINTS), atol=1e-9)
    assert len(both.simplified().steps) == 1
    assert np.allclose(both.matrix, second.matrix @ first.matrix)


def test_a_field_is_its_vectors_at_its_voxels_linear_between_and_nothing_beyond(oblique_grid: Grid) -> None:
    field = DisplacementField(oblique_grid, bump(oblique_grid, (2.0, -3.0, 4.0)))
    index = np.array([[3, 4, 5], [10, 9, 7]])
    at = oblique_grid.to_mm(index)
    assert np.allclose(field.points_mm(at) - at, field.vectors_mm[tuple(index.T)], atol=1e-9)
    between = oblique_grid.to_mm([[3.5, 4, 5]])
    mean = (field.vectors_mm[3, 4, 5] + field.vectors_mm[4, 4, 5]) / 2
    assert np.allclose(field.points_mm(between) - between, mean, atol=1e-9)
    far = oblique_grid.to_mm([[-1.0, 4, 5], [24.0, 0, 0]])
    assert np.array_equal(field.points_mm(far), far)


def test_the_inverse_of_a_field_leads_back_within_its_stated_residual(oblique_grid: Grid) -> None:
    transform = Transform.field(
        oblique_grid, bump(oblique_grid, (3.0, -4.0, 9.0), 14.0), moving_frame="1.2.3"
    ).checked()
    back = transform.inverse()
    assert (back.fixed_frame, back.moving_frame) == ("1.2.3", oblique_grid.frame_of_reference)
    inner = oblique_grid.to_mm(np.random.default_rng(1).uniform(2, np.asarray(oblique_grid.shape) - 3, (500, 3)))
    assert 0 < back.residual_mm < 0.25 * min(oblique_grid.spacing_mm)
    missed = np.linalg.norm(back.points_mm(transform.points_mm(inner)) - inner, axis=1)
    # The residual is taken at the inverse's points midway between nodes; another point may miss by a little more.
    assert missed.max() < 1.5 * back.residual_mm


def test_the_determinant_of_a_field_is_that_of_its_formula() -> None:
    grid = Grid.axial((41, 41, 41), spacing_mm=(2.0, 2.0, 2.0), origin_mm=(-40.0, -40.0, -40.0))
    height, width = 9.0, 20.0
    found = Transform.field(grid, bump(grid, (0, 0, height), width)).jacobian(grid)
    z = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    expected = 1 - height * z[..., 2] / width**2 * np.exp(-(z**2).sum(-1) / 2 / width**2)
    # Central differences: h^2/6 of the third derivative, at most 1.4 height / width^3 for a Gaussian: 1.1e-3.
    assert np.abs(found - expected)[1:-1, 1:-1, 1:-1].max() < 1.5e-3


def test_determinants_multiply_along_the_steps(oblique_grid: Grid) -> None:
    field = Transform.field(oblique_grid, bump(oblique_grid, (3.0, 0.0, 5.0), 15.0))
    both = field.then(Transform.affine(turned((5, 0, 0), (1, 2, 3), 1.1)))
    assert np.allclose(both.jacobian(oblique_grid), field.jacobian(oblique_grid) * 1.1**3, rtol=1e-5)


def test_the_whole_map_as_one_field_is_the_map(oblique_grid: Grid) -> None:
    both = Transform.field(oblique_grid, bump(oblique_grid, (3.0, 0.0, 5.0), 15.0)).then(
        Transform.affine(turned((2, 1, 0), (1, 2, 3)))
    )
    one = both.sampled(oblique_grid)
    inner = oblique_grid.to_mm([[3, 4, 5], [20, 10, 3]])
    assert np.allclose(one.points_mm(inner), both.points_mm(inner), atol=1e-4)


def test_what_folds_is_refused_and_the_place_named(oblique_grid: Grid) -> None:
    with pytest.raises(GeometryError, match=r"folds .*voxel \(\d+, \d+, \d+\)"):
        Transform.field(oblique_grid, bump(oblique_grid, (0, 0, 30.0), 10.0)).checked()
    with pytest.raises(GeometryError, match="mirrors"):
        Transform.affine(np.diag([-1.0, 1, 1, 1])).checked()


def test_what_is_no_number_is_refused_and_the_place_named(oblique_grid: Grid) -> None:
    vectors = np.zeros((*oblique_grid.shape, 3))
    vectors[3, 2, 1, 0] = np.nan
    with pytest.raises(GeometryError, match=r"1 voxels that are no numbers, first at voxel \(3, 2, 1\)"):
        DisplacementField(oblique_grid, vectors)
    with pytest.raises(GeometryError, match="finite"):
        Affine(np.full((4, 4), np.inf))
    with pytest.raises(GeometryError, match="flattens"):
        Affine(np.diag([1.0, 1, 0, 1]))
    with pytest.raises(GeometryError, match="last row"):
        Affine(np.ones((4, 4)))


def test_a_field_that_cannot_be_undone_says_so(oblique_grid: Grid) -> None:
    with pytest.raises(GeometryError, match="no inverse"):
        Transform.field(oblique_grid, bump(oblique_grid, (0, 0, 40.0), 8.0)).inverse()


def test_transforms_of_other_frames_do_not_compose() -> None:
    first = Transform.translation((1, 0, 0), fixed_frame="1.1", moving_frame="1.2", uncertainty_mm=3.0)
    with pytest.raises(GeometryError, match=r"leads to the frame of reference 1\.2, the second begins in 1\.3"):
        first.then(Transform(fixed_frame="1.3"))
    both = first.then(Transform.translation((0, 1, 0), fixed_frame="1.2", moving_frame="1.9", uncertainty_mm=4.0))
    assert (both.fixed_frame, both.moving_frame, both.uncertainty_mm) == ("1.1", "1.9", 5.0)
    assert first.then(Transform()).uncertainty_mm is None


def test_the_wrong_direction_is_named() -> None:
    fixed = Grid.axial((2, 2, 2), spacing_mm=(1, 1, 1), frame_of_reference="1.1")
    moving = fixed.with_frame_of_reference("1.2")
    transform = Transform(fixed_frame="1.1", moving_frame="1.2")
    transform.require_frames(fixed, moving, "here")
    with pytest.raises(GeometryError, match="other direction: invert it"):
        transform.require_frames(moving, fixed, "here")


def test_as_plain_values(oblique_grid: Grid) -> None:
    plain = Transform.field(oblique_grid, bump(oblique_grid, (0, 3.0, 4.0)), method="made").as_dict()
    assert plain["kind"] == "deformable"
    assert plain["fixed_frame"] == oblique_grid.frame_of_reference
    assert 4.9 < plain["steps"][0]["largest_displacement_mm"] <= 5
    assert Transform().as_dict()["kind"] == "identity"
