"""Transforms from landmarks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hepatica.anatomy.registration.landmarks import closed_form, expected_error_mm, fit_landmarks
from hepatica.errors import GeometryError, InputError

FIXED = np.array([[0.0, 0, 0], [80, 5, -10], [10, 60, 20], [-30, 20, 90], [50, -40, 60]])


def matrix_of(scale: float = 1.0) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    matrix = np.eye(4)
    matrix[:3, :3] = scale * Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
    matrix[:3, 3] = (15, -7, 120)
    return matrix


def named(points: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> dict[str, tuple[float, ...]]:
    return {f"point {n}": tuple(point) for n, point in enumerate(points.tolist())}


def moved(scale: float = 1.0) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    matrix = matrix_of(scale)
    return FIXED @ matrix[:3, :3].T + matrix[:3, 3]


def test_rigid_fit_is_exact_without_errors() -> None:
    found = fit_landmarks(named(FIXED), named(moved()))
    np.testing.assert_allclose(found.transform.matrix, matrix_of(), atol=1e-9)
    assert found.fiducial_error_mm < 1e-9
    assert found.fitted_scale == 1.0


def test_similarity_finds_the_scale() -> None:
    found = fit_landmarks(named(FIXED), named(moved(1.05)), "similarity")
    assert found.fitted_scale == pytest.approx(1.05)
    np.testing.assert_allclose(found.transform.matrix, matrix_of(1.05), atol=1e-9)


def test_localisation_is_that_of_the_points() -> None:
    """Noise of 1 mm in each image is found again: 400 fits of 5 landmarks leave about 2 %."""
    rng = np.random.default_rng(4)
    squares = []
    for _ in range(400):
        one, other = FIXED + rng.normal(0, 1, FIXED.shape), moved() + rng.normal(0, 1, FIXED.shape)
        sigma = fit_landmarks(named(one), named(other)).localisation_mm
        assert sigma is not None
        squares.append(sigma**2)
    assert np.sqrt(np.mean(squares)) == pytest.approx(1.0, rel=0.06)


def test_order_and_others_do_not_matter() -> None:
    other = {"alone": (0.0, 0.0, 0.0)} | dict(reversed(named(moved()).items()))
    np.testing.assert_allclose(fit_landmarks(named(FIXED), other).transform.matrix, matrix_of(), atol=1e-9)


def test_two_landmarks_are_too_few() -> None:
    with pytest.raises(InputError, match="needs 3"):
        fit_landmarks(named(FIXED[:2]), named(moved()))


def test_no_common_name() -> None:
    with pytest.raises(InputError, match="same name"):
        fit_landmarks(named(FIXED), {"other": (0, 0, 0)})


def test_landmarks_on_a_line() -> None:
    line = np.outer(np.arange(5), (10.0, 20.0, 5.0)) + np.array([1.0, 0, 0])
    with pytest.raises(GeometryError, match="on a line"):
        fit_landmarks(named(line), named(line + 3.0))


def test_mirrored_landmarks_are_refused() -> None:
    with pytest.raises(GeometryError, match="mirrored"):
        fit_landmarks(named(FIXED), named(FIXED * (-1, 1, 1)))


def test_landmarks_in_centimetres_are_refused() -> None:
    with pytest.raises(GeometryError, match="scale"):
        fit_landmarks(named(FIXED), named(FIXED / 5), "similarity")


def test_a_mirror_is_found_where_it_is_asked_for() -> None:
    matrix, _ = closed_form(FIXED, FIXED * (1, 1, -1), scaled=False, mirrored=True)
    np.testing.assert_allclose(matrix[:3, :3], np.diag([1, 1, -1]), atol=1e-9)


def test_affine_fit_is_exact_without_errors() -> None:
    matrix = matrix_of()
    matrix[:3, :3] = matrix[:3, :3] @ np.array([[1.05, 0.02, 0], [0, 0.98, -0.03], [0, 0, 1.01]])
    points = np.vstack([FIXED, [[-60.0, -50, -20], [20, 70, -60]]])
    other = points @ matrix[:3, :3].T + matrix[:3, 3]
    found = fit_landmarks(named(points), named(other), "affine")
    np.testing.assert_allclose(found.transform.matrix, matrix, atol=1e-9)
    assert found.leave_one_out_mm == pytest.approx(0, abs=1e-9)


def test_a_left_out_landmark_shows_its_own_error() -> None:
    """One of five is off by 10 mm: the fit draws a part of that to itself, without it the whole is seen."""
    other = moved()
    other[1] += (10.0, 0, 0)
    found = fit_landmarks(named(FIXED), named(other))
    assert found.left_out_mm[1] == pytest.approx(10.0)
    assert found.errors_mm[1] < 9
    assert found.leave_one_out_mm is not None
    assert found.leave_one_out_mm > found.fiducial_error_mm


def test_three_landmarks_leave_none_out() -> None:
    found = fit_landmarks(named(FIXED[:3]), named(moved()[:3]))
    assert found.left_out_mm == (None, None, None)
    assert found.leave_one_out_mm is None


@pytest.mark.parametrize("kind", ["rigid", "affine"])
def test_the_expected_error_is_that_of_many_fits(kind: str) -> None:
    """Noise of 1 mm along each axis of either image; 600 fits of 8 landmarks, errors of two points beside them.

    The mean square over 600 x 2 x 3 numbers has a relative standard error of about sqrt(2 / 1200) = 4 %, its root 2 %;
    the formula is first order in the noise over the landmarks' distances.
    """
    rng = np.random.default_rng(11)
    truth, points = rng.normal(0, 40, (8, 3)), np.array([[60.0, 10, 0], [0, 0, 90]])
    matrix = matrix_of()
    there = truth @ matrix[:3, :3].T + matrix[:3, 3]
    squares, said = [], []
    for _ in range(600):
        one, other = truth + rng.normal(0, 1, truth.shape), there + rng.normal(0, 1, truth.shape)
        fit = fit_landmarks(named(one), named(other), kind)  # type: ignore[arg-type]
        missed = fit.transform.points_mm(points) - (points @ matrix[:3, :3].T + matrix[:3, 3])
        squares.append((missed**2).mean())
        expected = expected_error_mm(fit, kind, named(one), points)  # type: ignore[arg-type]
        assert expected is not None
        said.append(expected**2)
    assert np.sqrt(np.mean(said)) == pytest.approx(np.sqrt(np.mean(squares)), rel=0.08)


def test_an_affine_fit_of_a_plane_or_of_three_is_refused() -> None:
    flat = FIXED * (1, 1, 0.02)
    with pytest.raises(GeometryError, match="in a plane"):
        fit_landmarks(named(flat), named(flat), "affine")
    with pytest.raises(InputError, match="needs 4"):
        fit_landmarks(named(FIXED[:3]), named(moved()[:3]), "affine")
    # A plane determines position and turn.
    np.testing.assert_allclose(fit_landmarks(named(flat), named(flat)).transform.matrix, np.eye(4), atol=1e-9)
