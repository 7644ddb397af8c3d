from datetime import datetime

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.errors import GeometryError, UnitError


def slab(grid: Grid, name: str, low: float, high: float) -> Region:
    """Everything between two fractional i indices, with exact coverage."""
    edges = np.arange(grid.shape[0])
    part = np.clip(np.minimum(edges + 0.5, high) - np.maximum(edges - 0.5, low), 0, 1)
    return Region.from_coverage(name, grid, np.broadcast_to(part[:, None, None], grid.shape))


def test_volume_is_read_only_and_leaves_the_callers_array_alone(oblique_grid: Grid) -> None:
    mine = np.zeros(oblique_grid.shape, dtype=np.float32)
    volume = Volume(oblique_grid, mine, Kind.DOSE)
    with pytest.raises(ValueError, match="read-only"):
        volume.values[0, 0, 0] = 1
    mine[0, 0, 0] = 1


def test_total_of_extensive_and_intensive(oblique_grid: Grid) -> None:
    ones = np.ones(oblique_grid.shape)
    assert Volume(oblique_grid, ones, Kind.ACTIVITY).total == pytest.approx(oblique_grid.size)
    litres = oblique_grid.size * oblique_grid.voxel_volume_ml
    assert Volume(oblique_grid, ones, Kind.DENSITY).total == pytest.approx(litres)


def test_kind_and_finiteness_are_checked(oblique_grid: Grid) -> None:
    counts = Volume(oblique_grid, np.ones(oblique_grid.shape), Kind.COUNTS, datetime(2026, 3, 2), "NM series")
    with pytest.raises(UnitError, match=r"NM series: holds counts per voxel; needed: activity concentration"):
        counts.require_kind(Kind.ACTIVITY_CONCENTRATION)
    values = np.ones(oblique_grid.shape)
    values[1, 2, 3] = np.nan
    with pytest.raises(UnitError, match=r"1 voxels are NaN or infinite, first at \(1, 2, 3\)"):
        counts.with_values(values).require_finite()


def test_region_volume_counts_fractions(oblique_grid: Grid) -> None:
    region = slab(oblique_grid, "liver", 3.2, 9.7)
    expected = 6.5 * 18 * 15 * oblique_grid.voxel_volume_ml
    assert region.volume_ml == pytest.approx(expected, rel=1e-6)
    assert region.window[0] == slice(3, 11)
    np.testing.assert_allclose(region.full().sum(), 6.5 * 18 * 15, rtol=1e-6)


def test_set_algebra_is_exact_for_nested_and_disjoint(oblique_grid: Grid) -> None:
    liver, tumour = slab(oblique_grid, "liver", 3.2, 9.7), slab(oblique_grid, "tumour", 5.1, 6.4)
    voxel = 18 * 15 * oblique_grid.voxel_volume_ml
    assert (liver - tumour).volume_ml == pytest.approx((6.5 - 1.3) * voxel, rel=1e-6)
    assert (liver & tumour).volume_ml == pytest.approx(1.3 * voxel, rel=1e-6)
    assert (liver | tumour).volume_ml == pytest.approx(6.5 * voxel, rel=1e-6)
    left, right = slab(oblique_grid, "left", 3.2, 6.3), slab(oblique_grid, "right", 6.3, 9.7)
    assert (left | right).volume_ml == pytest.approx(liver.volume_ml, rel=1e-6)
    assert (left & right).is_empty
    assert (left - right).volume_ml == pytest.approx(left.volume_ml, rel=1e-6)


def test_algebra_with_an_empty_region(oblique_grid: Grid) -> None:
    liver = slab(oblique_grid, "liver", 3.2, 9.7)
    empty = Region.from_coverage("nothing", oblique_grid, np.zeros(oblique_grid.shape))
    assert empty.is_empty
    assert (liver | empty).volume_ml == pytest.approx(liver.volume_ml)
    assert (empty | liver).volume_ml == pytest.approx(liver.volume_ml)
    assert (liver - empty).volume_ml == pytest.approx(liver.volume_ml)
    assert (liver & empty).is_empty
    assert (empty - liver).is_empty


def test_mass_needs_density_on_the_same_grid(oblique_grid: Grid) -> None:
    region = slab(oblique_grid, "liver", 3.2, 9.7)
    density = Volume(oblique_grid, np.full(oblique_grid.shape, 1.06), Kind.DENSITY)
    assert region.mass_g(density) == pytest.approx(1.06 * region.volume_ml, rel=1e-6)
    other = Grid.axial((24, 18, 15), spacing_mm=(2, 2, 2))
    with pytest.raises(GeometryError, match="region 'liver' and mass density"):
        region.mass_g(Volume(other, np.ones(other.shape), Kind.DENSITY))


def test_coverage_outside_zero_to_one_is_refused(oblique_grid: Grid) -> None:
    with pytest.raises(GeometryError, match="between 0 and 1"):
        Region.from_coverage("bad", oblique_grid, np.full(oblique_grid.shape, 1.5))


def test_total_and_mean_follow_the_coverage(oblique_grid: Grid) -> None:
    coverage = np.zeros(oblique_grid.shape)
    coverage[2, 3, 4], coverage[3, 3, 4] = 1.0, 0.25
    region = Region.from_coverage("two", oblique_grid, coverage)
    values = np.zeros(oblique_grid.shape)
    values[2, 3, 4], values[3, 3, 4] = 10.0, 20.0
    counts = Volume(oblique_grid, values, Kind.COUNTS)
    assert region.voxels == 1.25
    assert region.total(counts) == pytest.approx(15.0)
    assert region.mean(counts) == pytest.approx(12.0)
    concentration = counts.with_values(values, Kind.ACTIVITY_CONCENTRATION)
    assert region.total(concentration) == pytest.approx(15.0 * oblique_grid.voxel_volume_ml)
    empty = Region.from_coverage("none", oblique_grid, np.zeros(oblique_grid.shape))
    assert (empty.total(counts), empty.mean(counts)) == (0.0, 0.0)
    other = oblique_grid.with_frame_of_reference("1.2.3")
    with pytest.raises(GeometryError, match="frames of reference differ"):
        region.total(Volume(other, values, Kind.COUNTS))
