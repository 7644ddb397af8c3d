from pathlib import Path

import numpy as np
import pytest

from hepatica.anatomy.segmentation.body import body_region
from hepatica.anatomy.segmentation.lungs import lung_regions
from hepatica.core import Grid, Kind, Volume
from hepatica.errors import GeometryError, UnitError
from hepatica.io.itk import read_itk  # the room above; a test may use it


def torso(grid: Grid) -> tuple[Volume, dict[str, np.ndarray]]:
    """Ellipse of water with two lungs, a trachea that opens upwards, bowel gas, and a couch under it."""
    x, y, z = np.moveaxis(grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)
    parts = {
        "body": (x / 150) ** 2 + (y / 100) ** 2 <= 1,
        "left": ((x - 70) / 45) ** 2 + (y / 65) ** 2 + ((z - 20) / 75) ** 2 <= 1,
        "right": ((x + 70) / 50) ** 2 + (y / 65) ** 2 + ((z - 20) / 75) ** 2 <= 1,
        "trachea": (x**2 + y**2 <= 9**2) & (z > 20),
        "gas": (x - 10) ** 2 + (y + 60) ** 2 + (z + 90) ** 2 <= 26**2,
        "couch": (np.abs(y - 125) < 6) & (np.abs(x) < 180),
    }
    hu = np.full(grid.shape, -1000.0)
    for name, value in (
        ("body", 40),
        ("left", -800),
        ("right", -820),
        ("trachea", -1000),
        ("gas", -1000),
        ("couch", 100),
    ):
        hu[parts[name]] = value
    return Volume(grid, hu + np.random.default_rng(0).normal(0, 15, grid.shape), Kind.HU), parts


@pytest.fixture
def turned_grid() -> Grid:
    """Feet first, axes in another order, turned by 8 degrees: slices run along the first axis."""
    turn = np.deg2rad(8)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]])
    order = np.array([[0, -1.0, 0], [0, 0, 1.0], [-1.0, 0, 0]])  # i -> -z, j -> -x, k -> y
    affine = np.eye(4)
    affine[:3, :3] = about_z @ order @ np.diag([6.0, 4.0, 5.0])
    shape = (44, 96, 62)
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(shape) - 1) / 2) + [0, 10, 0]
    return Grid(shape, affine)


def test_body_and_lungs_of_a_turned_torso(turned_grid: Grid) -> None:
    hu, parts = torso(turned_grid)
    body = body_region(hu)
    assert body.volume_ml == pytest.approx(parts["body"].sum() * turned_grid.voxel_volume_ml, rel=0.02)
    assert not (body.mask() & parts["couch"]).any()
    left, right = lung_regions(hu)
    assert (left.name, right.name) == ("lung left", "lung right")
    for lung, truth in ((left, parts["left"]), (right, parts["right"])):
        overlap = 2 * (lung.mask() & truth).sum() / (lung.mask().sum() + truth.sum())
        assert overlap > 0.97
    lungs = left.mask() | right.mask()
    only_trachea = parts["trachea"] & ~parts["left"] & ~parts["right"]
    assert (lungs & only_trachea).sum() < 0.1 * only_trachea.sum()
    assert not (lungs & parts["gas"]).any()


def test_touching_lungs_are_parted_and_a_single_lung_is_named(turned_grid: Grid) -> None:
    hu, _ = torso(turned_grid)
    x, y, z = np.moveaxis(turned_grid.to_mm(np.moveaxis(np.indices(turned_grid.shape), 0, -1)), -1, 0)
    values = hu.values.copy()
    values[(np.abs(x) < 40) & (np.abs(y + 10) < 12) & (np.abs(z - 10) < 25)] = -810
    left, right = lung_regions(hu.with_values(values))
    assert 0.6 < left.volume_ml / right.volume_ml < 1.3
    values = hu.values.copy()
    values[(x > 10) & (values < -600) & (np.abs(x) < 130) & (np.abs(y) < 70)] = 20
    (only,) = lung_regions(hu.with_values(values))
    assert only.name == "lung right"


def test_no_lung_no_body(turned_grid: Grid) -> None:
    water = Volume(turned_grid, np.zeros(turned_grid.shape), Kind.HU)
    assert lung_regions(water) == ()
    with pytest.raises(GeometryError, match="Hounsfield"):
        body_region(water.with_values(np.full(turned_grid.shape, -1000.0)))
    with pytest.raises(UnitError):
        body_region(water.with_values(water.values, Kind.DENSITY))


def test_real_torso(real_data: Path) -> None:
    hu, _ = read_itk(real_data / "torso-ct-tia" / "ct.nii.gz", Kind.HU)
    left, right = lung_regions(hu)
    body = body_region(hu)
    # Looked at as slices: the couch, the trachea down to its fork and bowel gas are left out, arms belong to the body.
    assert 45_000 < body.volume_ml < 52_000
    assert 600 < left.volume_ml < right.volume_ml < 1400
