import numpy as np
import pytest

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.dosimetry.metrics.dvh import dose_volume_histogram
from hepatica.errors import GeometryError, InputError, UnitError


@pytest.fixture
def noisy(oblique_grid: Grid) -> tuple[Volume, Region, Volume]:
    rng = np.random.default_rng(4)
    dose = Volume(oblique_grid, rng.gamma(2.0, 30.0, oblique_grid.shape).astype(np.float32), Kind.DOSE)
    density = Volume(oblique_grid, rng.uniform(0.3, 1.1, oblique_grid.shape), Kind.DENSITY)
    coverage = np.clip(rng.normal(0.6, 0.6, oblique_grid.shape), 0, 1)
    coverage[:3], coverage[:, -4:] = 0, 0
    return dose, Region.from_coverage("part", oblique_grid, coverage), density


def brute_d(doses: np.ndarray, weights: np.ndarray, share: float) -> float:
    """Definition read aloud: the largest voxel dose that at least this share of the weight reaches."""
    total = weights.sum()
    return max(d for d in doses if weights[doses >= d].sum() >= share * total * (1 - 1e-9))


@pytest.mark.parametrize("weight", ["volume", "mass"])
@pytest.mark.parametrize("percent", [0, 0.01, 2, 37.3, 50, 95, 98, 100])
def test_d_percent_is_its_definition(noisy: tuple[Volume, Region, Volume], weight: str, percent: float) -> None:
    dose, region, density = noisy
    covered = region.full().astype(float)
    weights = covered * (density.values if weight == "mass" else 1)
    inside = covered > 0
    doses, weights = dose.values[inside].astype(float), weights[inside]
    chosen = np.random.default_rng(1).choice(doses.size, 400, replace=False)  # brute force is slow
    small = Volume(
        Grid.axial((400, 1, 1), spacing_mm=(1, 1, 1)), dose.values[inside][chosen].reshape(-1, 1, 1), Kind.DOSE
    )
    part = Region.from_coverage("p", small.grid, covered[inside][chosen].reshape(-1, 1, 1))
    rho = Volume(small.grid, density.values[inside][chosen].reshape(-1, 1, 1), Kind.DENSITY)
    dvh = dose_volume_histogram(small, part, rho, weight=weight)  # type: ignore[arg-type]
    expected = max(doses[chosen]) if percent == 0 else brute_d(doses[chosen], weights[chosen], percent / 100)
    assert dvh.d_percent(percent) == pytest.approx(expected, rel=1e-6)
    assert dvh.v_gy(dvh.d_percent(percent)) >= percent / 100 - 1e-9


def test_moments_weigh_by_coverage_and_mass(noisy: tuple[Volume, Region, Volume]) -> None:
    dose, region, density = noisy
    dvh = dose_volume_histogram(dose, region, density)
    share, d, rho = region.full().astype(float), dose.values.astype(float), density.values
    mean = (share * d).sum() / share.sum()
    assert dvh.mean_volume_gy == pytest.approx(mean, rel=1e-6)
    assert dvh.sd_gy == pytest.approx(np.sqrt((share * (d - mean) ** 2).sum() / share.sum()), rel=1e-6)
    assert dvh.mean_gy == pytest.approx((share * d * rho).sum() / (share * rho).sum(), rel=1e-6)
    assert dvh.mass_g == pytest.approx((share * rho).sum() * dose.grid.voxel_volume_ml, rel=1e-6)
    assert (dvh.min_gy, dvh.max_gy) == (d[share > 0].min(), d[share > 0].max())
    assert dvh.mean_gy != pytest.approx(dvh.mean_volume_gy, rel=1e-4)


def test_without_density_there_is_no_mass(noisy: tuple[Volume, Region, Volume]) -> None:
    dose, region, _ = noisy
    dvh = dose_volume_histogram(dose, region)
    assert dvh.mass_g is None
    assert dvh.mean_gy == dvh.mean_volume_gy
    with pytest.raises(InputError, match="density"):
        dose_volume_histogram(dose, region, weight="mass")


def test_curves_agree_with_the_numbers_and_bins_do_not_change_them(noisy: tuple[Volume, Region, Volume]) -> None:
    dose, region, density = noisy
    coarse, fine = (dose_volume_histogram(dose, region, density, bin_gy=width) for width in (25.0, 0.5))
    assert coarse.d_percent(50) == fine.d_percent(50)
    cumulative, differential = fine.cumulative(), fine.differential(2.0)
    assert cumulative.fraction[0] == 1
    assert cumulative.fraction[-1] == 0
    assert np.all(np.diff(cumulative.fraction) <= 0)
    assert cumulative.fraction[100] == fine.v_gy(cumulative.dose_gy[100])
    assert differential.fraction.sum() == pytest.approx(1)
    assert differential.amount.sum() == pytest.approx(region.volume_ml)
    assert np.diff(differential.dose_gy) == pytest.approx(2.0)
    # The area under the cumulative DVH is the mean dose by volume (midpoint of 0.5 Gy steps: far below 0.1 %).
    middle = (cumulative.fraction[:-1] + cumulative.fraction[1:]) / 2
    assert middle.sum() * 0.5 == pytest.approx(fine.mean_volume_gy, rel=1e-3)


def test_d_cc_and_limits_of_questions(noisy: tuple[Volume, Region, Volume]) -> None:
    dose, region, density = noisy
    dvh = dose_volume_histogram(dose, region, density)
    assert dvh.d_cc(dvh.volume_ml * 0.3) == dvh.d_percent(30)
    assert dvh.d_cc(dvh.volume_ml) == dvh.min_gy
    for question in (lambda: dvh.d_cc(dvh.volume_ml * 1.01), lambda: dvh.d_percent(101), lambda: dvh.d_percent(-1)):
        with pytest.raises(InputError):
            question()
    with pytest.raises(InputError, match="grams"):
        dose_volume_histogram(dose, region, density, weight="mass").d_cc(1.0)


def test_structure_within_one_voxel(oblique_grid: Grid) -> None:
    coverage = np.zeros(oblique_grid.shape)
    coverage[4, 5, 6] = 0.125
    dose = Volume(oblique_grid, np.arange(oblique_grid.size, dtype=np.float32).reshape(oblique_grid.shape), Kind.DOSE)
    dvh = dose_volume_histogram(dose, Region.from_coverage("speck", oblique_grid, coverage))
    value = float(dose.values[4, 5, 6])
    assert dvh.volume_ml == pytest.approx(0.125 * oblique_grid.voxel_volume_ml)
    assert {dvh.d_percent(p) for p in (0, 2, 50, 98, 100)} == {value}
    assert (dvh.mean_gy, dvh.sd_gy, dvh.homogeneity) == (value, 0, 0)


def test_uniform_and_zero_dose(oblique_grid: Grid) -> None:
    region = Region.from_coverage("all", oblique_grid, np.ones(oblique_grid.shape))
    uniform = dose_volume_histogram(Volume(oblique_grid, np.full(oblique_grid.shape, 7.25), Kind.DOSE), region)
    assert (uniform.mean_gy, uniform.sd_gy, uniform.homogeneity, uniform.v_gy(7.25), uniform.v_gy(7.2501)) == (
        7.25, 0, 0, 1, 0,
    )  # fmt: skip
    nothing = dose_volume_histogram(Volume(oblique_grid, np.zeros(oblique_grid.shape), Kind.DOSE), region)
    assert nothing.homogeneity is None
    assert nothing.cumulative().fraction.tolist() == [1, 0]


def test_threshold_between_single_precision_numbers(oblique_grid: Grid) -> None:
    # 0.1 in single precision is above 0.1 in double: the voxel does have at least 0.1 Gy, but not 0.100000002.
    dose = Volume(oblique_grid, np.full(oblique_grid.shape, 0.1, dtype=np.float32), Kind.DOSE)
    dvh = dose_volume_histogram(dose, Region.from_coverage("all", oblique_grid, np.ones(oblique_grid.shape)))
    assert dvh.v_gy(0.1) == 1
    assert dvh.v_gy(0.100000001) == 1  # float32(0.1) = 0.10000000149...: still above
    assert dvh.v_gy(0.100000002) == 0


def test_what_is_refused(noisy: tuple[Volume, Region, Volume]) -> None:
    dose, region, density = noisy
    empty = Region.from_coverage("nothing", dose.grid, np.zeros(dose.grid.shape))
    with pytest.raises(GeometryError, match="'nothing' covers no voxel"):
        dose_volume_histogram(dose, empty)
    with pytest.raises(GeometryError, match="part"):
        dose_volume_histogram(Volume(dose.grid.crop((slice(0, 5),) * 3), dose.values[:5, :5, :5], Kind.DOSE), region)
    with pytest.raises(UnitError):
        dose_volume_histogram(density, region)
    broken = dose.values.copy()
    broken[tuple(np.argwhere(region.full() == 1)[0])] = np.nan
    with pytest.raises(UnitError, match="NaN"):
        dose_volume_histogram(dose.with_values(broken), region)
    outside = dose.values.copy()
    outside[region.full() == 0] = np.nan
    assert np.isfinite(dose_volume_histogram(dose.with_values(outside), region, density).mean_gy)
    with pytest.raises(InputError, match="bin width"):
        dose_volume_histogram(dose, region, bin_gy=0)
    with pytest.raises(InputError, match="no mass"):
        dose_volume_histogram(dose, region, density.with_values(np.zeros(dose.grid.shape)))


def test_bins_in_the_wrong_unit_are_refused(oblique_grid: Grid) -> None:
    dose = Volume(oblique_grid, np.full(oblique_grid.shape, 100.0), Kind.DOSE)
    region = Region.from_coverage("all", oblique_grid, np.ones(oblique_grid.shape))
    with pytest.raises(InputError, match="widen them"):
        dose_volume_histogram(dose, region).cumulative(1e-9)
