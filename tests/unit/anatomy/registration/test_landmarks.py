"""Transforms from landmarks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hepatica.anatomy.registration.landmarks import closed_form, fit_landmarks
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
