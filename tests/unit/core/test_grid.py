import numpy as np
import pytest

from hepatica.core import Grid
from hepatica.errors import GeometryError


def test_index_to_mm_and_back(oblique_grid: Grid) -> None:
    index = np.array([[0, 0, 0], [3, 5, 7], [23, 17, 14]])
    np.testing.assert_allclose(oblique_grid.to_index(oblique_grid.to_mm(index)), index, atol=1e-10)
    step = oblique_grid.to_mm([1, 0, 0]) - oblique_grid.to_mm([0, 0, 0])
    assert np.linalg.norm(step) == pytest.approx(2.5)


def test_spacing_volume_and_direction(oblique_grid: Grid) -> None:
    assert oblique_grid.spacing_mm == pytest.approx((2.5, 3.5, 5.0))
    assert oblique_grid.voxel_volume_ml == pytest.approx(2.5 * 3.5 * 5 / 1000)
    np.testing.assert_allclose(oblique_grid.direction.T @ oblique_grid.direction, np.eye(3), atol=1e-12)
    assert not oblique_grid.is_axial


def test_affine_is_read_only(oblique_grid: Grid) -> None:
    with pytest.raises(ValueError, match="read-only"):
        oblique_grid.affine[0, 0] = 1


def test_crop_keeps_positions(oblique_grid: Grid) -> None:
    part = oblique_grid.crop((slice(2, 9), slice(0, 5), slice(4, 15)))
    assert part.shape == (7, 5, 11)
    np.testing.assert_allclose(part.to_mm([1, 2, 3]), oblique_grid.to_mm([3, 2, 7]))


def test_with_spacing_covers_the_same_block(oblique_grid: Grid) -> None:
    finer = oblique_grid.with_spacing((1.25, 1.75, 2.5))
    assert finer.shape == (48, 36, 30)
    np.testing.assert_allclose(
        np.sort(finer.corners_mm(), axis=0), np.sort(oblique_grid.corners_mm(), axis=0), atol=1e-9
    )
    grown = oblique_grid.with_spacing((4.0, 4.0, 4.0))
    np.testing.assert_allclose(grown.corners_mm().mean(axis=0), oblique_grid.corners_mm().mean(axis=0), atol=1e-9)
    assert np.prod(grown.shape) * grown.voxel_volume_ml >= oblique_grid.size * oblique_grid.voxel_volume_ml


def test_matching_needs_the_same_frame_and_the_same_corners(oblique_grid: Grid) -> None:
    assert oblique_grid.matches(Grid(oblique_grid.shape, oblique_grid.affine, None))
    other_frame = oblique_grid.with_frame_of_reference("1.2.3")
    assert not oblique_grid.matches(other_frame)
    with pytest.raises(GeometryError, match="frames of reference differ"):
        oblique_grid.require_match(other_frame, "CT and PET")
    moved = np.array(oblique_grid.affine)
    moved[0, 3] += 0.5
    with pytest.raises(GeometryError, match="CT and PET: grids differ"):
        oblique_grid.require_match(Grid(oblique_grid.shape, moved), "CT and PET")


@pytest.mark.parametrize(
    ("shape", "affine", "message"),
    [
        ((2, 2), np.eye(4), "three positive sizes"),
        ((2, 0, 2), np.eye(4), "three positive sizes"),
        ((2, 2, 2), np.full((4, 4), np.nan), "finite 4x4"),
        ((2, 2, 2), np.diag([1.0, 0.0, 1.0, 1.0]), "must be positive"),
        ((2, 2, 2), np.diag([1.0, 1e-320, 1.0, 1.0]), "must be positive"),
        ((2, 2, 2), np.diag([1.0, 1e300, 1.0, 1.0]), "no place of a patient"),
        ((2, 2, 2), np.array([[1, 0, 0, -1e38], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "no place of a patient"),
        ((2, 2, 2), np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "not perpendicular"),
    ],
)
def test_bad_grids_are_refused(shape: tuple[int, ...], affine: np.ndarray, message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        Grid(shape, affine)  # type: ignore[arg-type]
