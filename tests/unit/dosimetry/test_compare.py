import numpy as np
import pytest

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.document import document
from hepatica.dosimetry.metrics.comparison import compare_doses
from hepatica.errors import GeometryError, UnitError


@pytest.fixture
def pair(oblique_grid: Grid) -> tuple[Volume, Volume, Region]:
    rng = np.random.default_rng(8)
    first = Volume(oblique_grid, rng.gamma(3, 20, oblique_grid.shape), Kind.DOSE)
    second = first.with_values(1.1 * first.values + rng.normal(2, 3, oblique_grid.shape))
    coverage = np.zeros(oblique_grid.shape)
    coverage[4:15, 5:13, 3:11] = rng.uniform(0.1, 1, (11, 8, 8))
    return first, second, Region.from_coverage("part", oblique_grid, coverage)


def test_numbers_are_their_formulas(pair: tuple[Volume, Volume, Region]) -> None:
    first, second, region = pair
    (row,) = compare_doses(first, second, [region]).regions
    weight = region.full()[region.full() > 0].astype(float)
    a, b = (volume.values[region.full() > 0] for volume in (first, second))
    cov = np.cov(a, b, aweights=weight, ddof=0)
    mean_a, mean_b = np.average(a, weights=weight), np.average(b, weights=weight)
    assert row.difference_mean_gy == pytest.approx(mean_b - mean_a)
    assert row.ratio_of_means == pytest.approx(mean_b / mean_a)
    assert row.pearson_r == pytest.approx(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]))
    assert row.lin_ccc == pytest.approx(2 * cov[0, 1] / (cov[0, 0] + cov[1, 1] + (mean_b - mean_a) ** 2))
    assert row.difference_sd_gy == pytest.approx(np.sqrt(np.cov(b - a, aweights=weight, ddof=0)))
    assert row.difference_max_gy == pytest.approx(np.abs(b - a).max())
    assert row.limits_of_agreement_gy[1] - row.limits_of_agreement_gy[0] == pytest.approx(3.92 * row.difference_sd_gy)
    assert row.dvh_difference_largest_gy > 0
    assert document(row)["dvh_difference_gy"]["50"] == row.dvh_difference_gy[50.0]


def test_equal_and_known_different(pair: tuple[Volume, Volume, Region]) -> None:
    first, _, region = pair
    (same,) = compare_doses(first, first, [region]).regions
    assert (same.difference_mean_gy, same.difference_max_gy, same.dvh_difference_largest_gy) == (0, 0, 0)
    assert (same.pearson_r, same.lin_ccc) == (pytest.approx(1), pytest.approx(1))
    (double,) = compare_doses(first, first.with_values(2 * first.values), [region]).regions
    assert double.ratio_of_means == pytest.approx(2)
    assert double.pearson_r == pytest.approx(1)
    assert double.lin_ccc < 0.8
    uniform = first.with_values(np.full(first.grid.shape, 5.0))
    (flat,) = compare_doses(uniform, uniform, [region]).regions
    assert (flat.pearson_r, flat.lin_ccc) == (None, None)


def test_other_grid_is_interpolated_and_missing_dose_is_said(pair: tuple[Volume, Volume, Region]) -> None:
    first, _, region = pair
    index = np.moveaxis(np.indices(first.grid.shape), 0, -1)
    linear = first.with_values(100 + first.grid.to_mm(index) @ [0.3, -0.2, 0.1])
    finer = first.grid.with_spacing((2.0, 2.0, 2.0))
    index = np.moveaxis(np.indices(finer.shape), 0, -1)
    other = Volume(finer, 100 + finer.to_mm(index) @ [0.3, -0.2, 0.1], Kind.DOSE)
    (row,) = compare_doses(linear, other, [region]).regions
    assert row.difference_max_gy < 1e-4
    part = Volume(first.grid.crop((slice(0, 10),) * 3), first.values[:10, :10, :10], Kind.DOSE)
    with pytest.raises(GeometryError, match="outside the second"):
        compare_doses(first, part, [region])
    with pytest.raises(UnitError):
        compare_doses(first, first.with_values(first.values, Kind.HU), [region])
