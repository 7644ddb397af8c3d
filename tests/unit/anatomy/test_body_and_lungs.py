from pathlib import Path

import numpy as np
import pytest

from hepatica.anatomy.segmentation.body_and_lungs.body import body_region
from hepatica.anatomy.segmentation.body_and_lungs.lungs import body_and_lungs, lung_regions
from hepatica.anatomy.segmentation.body_and_lungs.packed import Packed
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


def test_lungs_behind_a_chest_wall_thinner_than_the_opening_are_found_and_foam_in_a_couch_is_none() -> None:
    """Walls of one voxel of 5 mm: the opening took them, and 97 g of 1.58 kg of lung were found in another phantom."""
    grid = Grid.axial((64, 50, 36), spacing_mm=(5.0, 5.0, 5.0), origin_mm=(-157.5, -110.0, -90.0))
    values = np.full(grid.shape, -1000.0, dtype=np.float32)
    x, y, z = np.moveaxis(grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)
    wall = (x / 150) ** 2 + (y / 100) ** 2 <= 1
    lung = ((x / 144) ** 2 + (y / 94) ** 2 < 1) & (np.abs(x) > 25) & (z > -40)
    values[wall], values[lung] = 40, -800
    # A couch that touches the back: a shell of one voxel with 35 mm of foam in it, of the lung's own CT number.
    values[(y > 98) & (y < 132) & (np.abs(x) < 140)] = 100
    foam = (y > 104) & (y < 127) & (np.abs(x) < 130)
    values[foam] = -800
    hu = Volume(grid, values, Kind.HU)
    left, right = lung_regions(hu)
    found = left.mask() | right.mask()
    assert (found & lung).sum() > 0.95 * lung.sum()
    assert (found & ~lung).sum() < 0.02 * lung.sum()
    assert not (body_region(hu).mask() & foam).any()


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


@pytest.fixture(scope="module")
def fine_grid() -> Grid:
    """Voxels of which many make a block, in memory as a DICOM series is; not whole blocks along any axis."""
    return Grid.axial((206, 171, 111), spacing_mm=(1.8, 1.8, 2.0), origin_mm=(-185, -150, -110))


def ct_of(hu: Volume, values: np.ndarray) -> Volume:
    return hu.with_values(np.asfortranarray(values.astype(np.float32)))


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def volumes(hu: Volume) -> dict[str, float]:
    return {lung.name: lung.volume_ml for lung in lung_regions(hu)}


@pytest.fixture(scope="module")
def fine(fine_grid: Grid) -> tuple[Volume, dict[str, np.ndarray], dict[str, float]]:
    """The torso, its parts, and the true volume of each lung in mL."""
    hu, parts = torso(fine_grid)
    trachea = parts["trachea"]
    true = {
        f"lung {side}": float((parts[side] & ~trachea).sum()) * fine_grid.voxel_volume_ml for side in ("left", "right")
    }
    return ct_of(hu, np.array(hu.values)), parts, true


Fine = tuple[Volume, dict[str, np.ndarray], dict[str, float]]


def test_blocks_find_what_lies_between_them(fine: Fine) -> None:
    """Borders on the voxels: 3 % of the volume are asked for, half a voxel all round a lung is 5 %."""
    hu, parts, true = fine
    body, left, right = body_and_lungs(hu)
    assert dice(body.mask(), parts["body"]) > 0.995
    assert not (body.mask() & parts["couch"]).any()
    for lung, side in ((left, "left"), (right, "right")):
        assert lung.volume_ml == pytest.approx(true[f"lung {side}"], rel=0.015)
        assert dice(lung.mask(), parts[side]) > 0.985
    assert not ((left.mask() | right.mask()) & parts["gas"]).any()
    assert not (left.mask() & right.mask()).any()
    # Each alone is what both together are.
    assert np.array_equal(body_region(hu).mask(), body.mask())
    assert volumes(hu) == {left.name: left.volume_ml, right.name: right.volume_ml}
    assert lung_regions(hu, body)[0].volume_ml == pytest.approx(left.volume_ml, rel=1e-3)


def test_noise_and_metal_move_little(fine: Fine) -> None:
    hu, parts, true = fine
    values = hu.values + np.random.default_rng(1).normal(0, 100, hu.grid.shape)
    values[100:103, 80:83, 40:60] = 3000  # a wire in the spine, with streaks
    values[:, 80:82, 48:52] += np.where(np.arange(hu.grid.shape[0]) % 2, 400, -400)[:, None, None]
    for name, volume_ml in volumes(ct_of(hu, values)).items():
        assert volume_ml == pytest.approx(true[name], rel=0.03)
    assert dice(body_region(ct_of(hu, values)).mask(), parts["body"]) > 0.99


def test_prone_and_in_thick_slices(fine: Fine) -> None:
    hu, _, true = fine
    prone = hu.with_values(hu.values[::-1, ::-1])
    found = volumes(prone)
    assert found["lung left"] == pytest.approx(true["lung right"], rel=0.03)  # the picture is turned, not the patient
    thick = Volume(hu.grid.with_spacing((1.8, 1.8, 6.0)), hu.values.reshape(206, 171, 37, 3).mean(axis=3), Kind.HU)
    for name, volume_ml in volumes(thick).items():
        assert volume_ml == pytest.approx(true[name], rel=0.03)


def test_lungs_that_touch_in_front_of_the_heart_are_parted(fine: Fine) -> None:
    """A junction of 3 cm and 5 cm height whose wall the CT does not show, as in emphysema."""
    hu, parts, true = fine
    x, y, z = np.moveaxis(hu.grid.to_mm(np.moveaxis(np.indices(hu.grid.shape), 0, -1)), -1, 0)
    bridge = (np.abs(x) < 45) & (np.abs(y + 45) < 8) & (np.abs(z - 10) < 25)
    found = volumes(ct_of(hu, np.where(bridge, -850, hu.values)))
    # Each lung may get a part of what joins them, at most two thirds.
    added = (bridge & ~(parts["left"] | parts["right"])).sum() * hu.grid.voxel_volume_ml * 2 / 3
    assert set(found) == set(true)
    for name, volume_ml in found.items():
        assert true[name] * 0.97 < volume_ml < true[name] + added
    wide = (np.abs(x) < 70) & (np.abs(y) < 60) & (np.abs(z - 10) < 70)
    assert set(volumes(ct_of(hu, np.where(wide, -850, hu.values)))) == set(true)


def test_one_lung_stays_one_and_is_named(fine: Fine) -> None:
    hu, parts, true = fine
    # Consolidated left lung; the right one with a waist that erosion would cut.
    z = hu.grid.to_mm(np.stack([np.zeros(111), np.zeros(111), np.arange(111)], axis=1))[:, 2]
    x = hu.grid.to_mm(np.stack([np.arange(206), np.zeros(206), np.zeros(206)], axis=1))[:, 0]
    values = np.where(parts["left"], 30, hu.values)
    waist = (np.abs(z - 20) < 5)[None, None, :] & (np.abs(x + 70) > 12)[:, None, None] & parts["right"]
    found = volumes(ct_of(hu, np.where(waist, 30, values)))
    lost = float(waist.sum()) * hu.grid.voxel_volume_ml
    assert found == {"lung right": pytest.approx(true["lung right"] - lost, rel=0.03)}


def test_effusion_is_left_out_and_a_cut_lung_goes_to_the_edge(fine: Fine) -> None:
    hu, parts, true = fine
    y = hu.grid.to_mm(np.stack([np.zeros(171), np.arange(171), np.zeros(171)], axis=1))[:, 1]
    fluid = parts["left"] & (y > 20)[None, :, None]
    found = volumes(ct_of(hu, np.where(fluid, 10, hu.values)))
    assert found["lung left"] == pytest.approx(true["lung left"] - fluid.sum() * hu.grid.voxel_volume_ml, rel=0.03)
    upper = slice(0, 206), slice(0, 171), slice(60, 111)
    cut = Volume(hu.grid.crop(upper), hu.values[upper], Kind.HU)
    for lung in lung_regions(cut):
        assert lung.window[2].start == 0
        kept = parts[lung.name.removeprefix("lung ")][upper] & ~parts["trachea"][upper]
        assert lung.volume_ml == pytest.approx(kept.sum() * hu.grid.voxel_volume_ml, rel=0.03)


def test_no_lung_in_fine_voxels(fine: Fine) -> None:
    hu, parts, _ = fine
    full = ct_of(hu, np.where(parts["left"] | parts["right"] | parts["trachea"], 40, hu.values))
    assert lung_regions(full) == ()
    with pytest.raises(GeometryError, match="Hounsfield"):
        body_region(ct_of(hu, np.full(hu.grid.shape, -1000.0)))


def test_packed_masks_do_as_arrays_do() -> None:
    from scipy import ndimage

    rng = np.random.default_rng(0)
    for shape in ((5, 7, 16), (4, 6, 21)):
        mask, through = rng.random(shape) < 0.2, rng.random(shape) < 0.7
        packed = Packed.of(mask)
        assert np.array_equal(packed.mask(), mask)
        assert np.array_equal((~packed).mask(), ~mask)
        assert np.array_equal((packed - Packed.of(through)).mask(), mask & ~through)
        assert np.array_equal(packed.dilated().mask(), ndimage.binary_dilation(mask))
        grown = ndimage.binary_dilation(mask & through, iterations=3, mask=through)
        assert np.array_equal(packed.grown(Packed.of(through), 3).mask(), grown)
        closed = ndimage.binary_erosion(ndimage.binary_dilation(mask), border_value=1)
        assert np.array_equal(packed.closed().mask(), closed)
