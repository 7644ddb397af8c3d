import numpy as np
import pytest

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.resample import resample, resample_region
from hepatica.errors import GeometryError, UnitError


@pytest.fixture
def blob(oblique_grid: Grid) -> Volume:
    """A smooth activity that dies out before the border."""
    centre = (np.asarray(oblique_grid.shape) - 1) / 2
    index = np.stack(np.indices(oblique_grid.shape), axis=-1)
    r2 = (((index - centre) * oblique_grid.spacing_mm / (8.0, 9.0, 10.0)) ** 2).sum(axis=-1)
    return Volume(oblique_grid, np.exp(-r2 / 2), Kind.ACTIVITY)


def permuted(grid: Grid) -> Grid:
    """Same block of space with the axes in another order, flipped, of other spacing."""
    coarse = grid.with_spacing((3.1, 2.2, 6.3))
    swap = np.zeros((4, 4))
    swap[2, 0] = 1
    swap[0, 1] = -1
    swap[0, 3] = coarse.shape[0] - 1
    swap[1, 2] = swap[3, 3] = 1
    return Grid((coarse.shape[2], coarse.shape[0], coarse.shape[1]), coarse.affine @ swap, grid.frame_of_reference)


def surrounding(grid: Grid) -> Grid:
    """A patient-axis grid around all of it, turned against it."""
    corners = grid.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    spacing = np.array([3.0, 3.3, 4.1])
    shape = np.ceil((high - low) / spacing).astype(int) + 2
    return Grid.axial(
        shape, spacing_mm=spacing, origin_mm=low - spacing / 2, frame_of_reference=grid.frame_of_reference
    )


def centre_of_mass(volume: Volume) -> np.ndarray:
    where = volume.grid.to_mm(np.stack(np.indices(volume.grid.shape), axis=-1)).reshape(-1, 3)
    return np.asarray(np.average(where, axis=0, weights=volume.values.reshape(-1).astype(float)))


@pytest.mark.parametrize("target", [permuted, surrounding])
def test_total_keeps_the_sum_and_the_place(blob: Volume, target: object) -> None:
    moved = resample(blob, target(blob.grid), "total")  # type: ignore[operator]
    assert moved.total == pytest.approx(blob.total, rel=1e-6)
    np.testing.assert_allclose(centre_of_mass(moved), centre_of_mass(blob), atol=0.05)


@pytest.mark.parametrize("target", [permuted, surrounding])
def test_mean_keeps_mass(blob: Volume, target: object) -> None:
    density = blob.with_values(blob.values, Kind.DENSITY)
    moved = resample(density, target(blob.grid), "mean")  # type: ignore[operator]
    # Turned grids are averaged over sub-points; their error is that of the point rule, well under 0.5 %.
    assert moved.total == pytest.approx(density.total, rel=5e-3)
    np.testing.assert_allclose(centre_of_mass(moved), centre_of_mass(density), atol=0.1)


def test_mean_of_a_constant_is_the_constant_where_covered(oblique_grid: Grid) -> None:
    constant = Volume(oblique_grid, np.full(oblique_grid.shape, -700.0), Kind.HU)
    inner = oblique_grid.crop((slice(4, 20), slice(4, 14), slice(3, 12))).with_spacing((4, 4, 4))
    np.testing.assert_allclose(resample(constant, inner, "mean", outside=-1000).values, -700, rtol=1e-5)


@pytest.mark.parametrize("target", [permuted, surrounding])
def test_linear_reproduces_a_linear_field(oblique_grid: Grid, target: object) -> None:
    def field(grid: Grid) -> np.ndarray:
        mm = grid.to_mm(np.stack(np.indices(grid.shape), axis=-1))
        return mm @ [0.3, -0.2, 0.1] + 5.0

    grid = target(oblique_grid)  # type: ignore[operator]
    moved = resample(Volume(oblique_grid, field(oblique_grid), Kind.DOSE), grid, "linear", outside=np.nan)
    index = oblique_grid.to_index(grid.to_mm(np.stack(np.indices(grid.shape), axis=-1)))
    inner = ((index >= 0) & (index <= np.asarray(oblique_grid.shape) - 1)).all(axis=-1)
    assert inner.sum() > 1000
    np.testing.assert_allclose(moved.values[inner], field(grid)[inner], atol=2e-4)


def test_labels_take_nearest_and_stay_integers(oblique_grid: Grid) -> None:
    labels = Volume(oblique_grid, np.arange(oblique_grid.size, dtype=np.int32).reshape(oblique_grid.shape), Kind.LABEL)
    moved = resample(labels, permuted(oblique_grid), "nearest")
    assert moved.values.dtype == np.int32
    with pytest.raises(UnitError, match="only be resampled by 'nearest'"):
        resample(labels, permuted(oblique_grid), "linear")


def test_the_wrong_method_is_refused(blob: Volume) -> None:
    with pytest.raises(UnitError, match="must be resampled by 'total'"):
        resample(blob, permuted(blob.grid), "linear")
    with pytest.raises(UnitError, match="must be resampled by 'mean', 'linear' or 'nearest'"):
        resample(blob.with_values(blob.values, Kind.DOSE), permuted(blob.grid), "total")


def test_other_frame_of_reference_is_refused(blob: Volume) -> None:
    with pytest.raises(GeometryError, match="register the images first"):
        resample(blob, permuted(blob.grid).with_frame_of_reference("1.2.3"), "total")


@pytest.mark.parametrize("target", [permuted, surrounding])
def test_region_keeps_its_volume(blob: Volume, target: object) -> None:
    region = Region.from_coverage("lesion", blob.grid, blob.values > 0.2)
    moved = resample_region(region, target(blob.grid))  # type: ignore[operator]
    assert moved.volume_ml == pytest.approx(region.volume_ml, rel=0.01)


def test_region_wholly_elsewhere_becomes_empty(blob: Volume) -> None:
    region = Region.from_coverage("lesion", blob.grid, blob.values > 0.2)
    far = Grid.axial(
        (5, 5, 5), spacing_mm=(2, 2, 2), origin_mm=(900, 900, 900), frame_of_reference="1.2.826.0.1.3680043.8.498.1"
    )
    assert resample_region(region, far).is_empty
