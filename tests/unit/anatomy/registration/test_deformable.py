"""A known field found again, on small images of 8 mm voxels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hepatica.anatomy.registration.deformable import deform as module
from hepatica.anatomy.registration.deformable.deform import bend, deform
from hepatica.anatomy.registration.deformable.settings import DeformableSettings
from hepatica.core import Grid, Kind, Volume
from hepatica.core.transform import DisplacementField, Transform
from hepatica.errors import GeometryError

Array = NDArray[np.float64]
SIDE_MM = 8.0
SETTINGS = DeformableSettings(voxel_mm=SIDE_MM, levels=3, threads=2)
MIDDLE = np.array([-4.0, 3.0, 10.0])


def tissue(points: Array) -> Array:
    """HU of a trunk with two lungs, a liver, vessels, spine and ribs, smooth over a voxel."""
    x, y, z = np.moveaxis(points - MIDDLE, -1, 0)

    def inside(distance: Array) -> Array:
        return 1 / (1 + np.exp((distance - 1) * 12))

    trunk = inside(np.hypot(x / 140, y / 95))
    hu = -1000 + 1040 * trunk
    for side in (-1, 1):
        lung = inside(np.sqrt(((x - side * 65) / 50) ** 2 + (y / 65) ** 2 + ((z - 80) / 85) ** 2))
        hu = hu - 800 * lung + 400 * lung * (np.cos(x / 9) * np.cos(y / 9) * np.cos(z / 9)) ** 2
    hu = hu + 60 * inside(np.sqrt(((x + 45) / 70) ** 2 + (y / 60) ** 2 + ((z + 50) / 50) ** 2))
    hu = hu + 400 * inside(np.hypot(x / 18, (y - 65) / 18)) * (1 + 0.5 * np.cos(z / 8))
    shell = np.exp(-(((np.hypot(x / 140, y / 95) - 0.85) / 0.06) ** 2))
    return np.asarray(hu + 500 * shell * np.clip(np.cos(z / 7), 0, 1))


def true_displacement(points: Array) -> Array:
    bump = np.exp(-0.5 * (((points - MIDDLE) / 60.0) ** 2).sum(axis=-1))
    return np.stack([0 * bump, -5 * bump, 15 * bump], axis=-1)


def upright(shape: tuple[int, int, int] = (40, 28, 40)) -> Grid:
    affine = np.diag([SIDE_MM, SIDE_MM, SIDE_MM, 1.0])
    affine[:3, 3] = MIDDLE - SIDE_MM * (np.asarray(shape) - 1) / 2
    return Grid(shape, affine)


def oblique() -> Grid:
    """Turned, flipped, anisotropic."""
    shape = np.array([48, 36, 32])
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [8, -6, 12], degrees=True).as_matrix() @ np.diag([-7.0, 8.0, 11.0])
    affine[:3, 3] = MIDDLE - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid((48, 36, 32), affine)


def points_of(grid: Grid) -> Array:
    return grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))


def image(grid: Grid, *, moved: bool = False, noise_hu: float = 10.0, shift_mm: Array | float = 0.0) -> Volume:
    points = points_of(grid) - shift_mm
    if moved:
        points = points + true_displacement(points)
    noise = np.random.default_rng(int(moved)).normal(0, noise_hu, grid.shape)
    return Volume(grid, (tissue(points) + noise).astype(np.float32), Kind.HU)


def error_mm(
    found: Transform, grid: Grid, shift_mm: Array | float = 0.0, shown: Grid | None = None
) -> tuple[float, float]:
    """Mean error and mean displacement where the trunk moves by more than 2 mm, and the moving image shows it."""
    points = points_of(grid)
    true = true_displacement(points)
    moves = (np.linalg.norm(true, axis=-1) > 2) & (tissue(points) > -900)
    if shown is not None:
        index = shown.to_index(points + true)
        moves &= ((index >= 0) & (index <= np.asarray(shown.shape) - 1)).all(axis=-1)
    error = np.linalg.norm(found.points_mm(points[moves]) - points[moves] - true[moves] - shift_mm, axis=-1)
    return float(error.mean()), float(np.linalg.norm(true[moves], axis=-1).mean())


def test_a_known_field_is_found_to_a_quarter_of_a_voxel() -> None:
    """2 mm on voxels of 8: no registration reaches much below a quarter of a voxel with noise; the field is 7 mm."""
    grid = upright()
    found = deform(image(grid, moved=True), image(grid), Transform(), SETTINGS)
    missed, moved = error_mm(found, grid)
    assert missed < SIDE_MM / 4
    assert missed < moved / 3
    determinants = found.jacobian(grid)
    assert determinants.min() > 0.5
    assert determinants.max() < 2.0


def test_oblique_flipped_anisotropic_grids_and_a_start() -> None:
    """The same bound; the moving image lies 30 mm away and the start says so."""
    shift = np.array([12.0, -20.0, 18.0])
    fixed, grid = image(oblique(), moved=True), upright()
    affine = np.array(grid.affine)
    affine[:3, 3] += shift
    moving = image(Grid(grid.shape, affine), shift_mm=shift)
    found = deform(fixed, moving, Transform.translation(shift.tolist()), SETTINGS)
    assert error_mm(found, fixed.grid, shift)[0] < SIDE_MM / 4


def test_there_and_back_agree() -> None:
    """Half of the way from either side: the other direction is the inverse, but for the grid's interpolation."""
    grid = upright()
    fixed, moving = image(grid, moved=True), image(grid)
    there, back = (deform(*pair, Transform(), SETTINGS) for pair in ((fixed, moving), (moving, fixed)))
    points = points_of(grid)[tissue(points_of(grid)) > -900]
    missed = np.linalg.norm(back.points_mm(there.points_mm(points)) - points, axis=-1)
    assert np.percentile(missed, 95) < 0.05 * SIDE_MM


def test_identical_images_give_identity() -> None:
    one = image(upright())
    found = deform(one, one, Transform(), SETTINGS)
    points = points_of(one.grid)
    np.testing.assert_allclose(found.points_mm(points), points, atol=1e-6)


def test_a_cropped_field_of_view_does_not_pull() -> None:
    """The moving image shows half of the height: what both show is as good, and nothing folds beyond."""
    grid = upright()
    part = grid.crop((slice(0, 40), slice(0, 28), slice(8, 32)))
    found = deform(image(grid, moved=True), image(part), Transform(), SETTINGS)
    assert error_mm(found, grid, shown=part)[0] < SIDE_MM / 4


def test_the_field_goes_on_to_zero_without_a_jump() -> None:
    """Beyond its grid a field is zero: at its border it must be, though the fixed image ends where tissue moves."""
    part = upright().crop((slice(8, 32), slice(4, 24), slice(10, 30)))
    found = deform(image(part, moved=True), image(upright()), Transform(), SETTINGS)
    field = found.steps[0]
    assert isinstance(field, DisplacementField)
    rim = [np.take(field.vectors_mm, [0, -1], axis=axis) for axis in range(3)]
    assert max(np.abs(side).max() for side in rim) < 0.1
    assert found.jacobian(field.grid).min() > 0.2


def test_a_field_that_folds_is_smoothed_more_and_then_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    grid, calls = upright(), []

    def folding(*arguments: object) -> NDArray[np.float32]:
        calls.append(arguments[3])
        out = np.zeros((20, 14, 20, 3), np.float32)
        if len(calls) < enough:
            out[..., 0] = np.where(np.arange(20) % 2, 9, -9)[:, None, None]
        return out

    monkeypatch.setattr(module, "velocity", folding)
    monkeypatch.setattr(module, "_working_grid", lambda *_: (1, grid))
    enough = 2
    bent = bend(image(grid), image(grid), Transform(), SETTINGS)
    assert bent.folded == 1
    assert bent.smoothing == 4 * calls[0]
    enough = 99
    with pytest.raises(GeometryError, match="however much it is smoothed"):
        bend(image(grid), image(grid), Transform(), SETTINGS)


def test_images_that_do_not_overlap_are_refused() -> None:
    one = image(upright())
    with pytest.raises(GeometryError, match="overlap"):
        deform(one, one, Transform.translation((0, 0, 2000.0)), SETTINGS)
