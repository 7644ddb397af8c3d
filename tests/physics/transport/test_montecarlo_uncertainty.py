"""The uncertainty that the Monte Carlo states is the spread of independent runs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.nuclides import nuclide
from hepatica.transport.runner.batches import BatchSums
from hepatica.transport.runner.montecarlo import simulate
from hepatica.transport.runner.settings import MonteCarloSettings
from hepatica.transport.runner.stopping import RunClock
from hepatica.transport.runner.watched import WatchedRegions

SEEDS = 40
SOURCES = 64
TOLERANCE = 0.05
"""Three standard uncertainties of the ratio of spread to stated, in both tests.

The spread of 40 seeds has 39 degrees of freedom, pooled over 64 sources 2496: it is known to
1 / sqrt(2 * 2496) = 1.42 %. What is stated has 39 degrees of freedom in each voxel (40 batches) and 19 in each region
(20 groups), over 64 * 40 of them: 0.22 % and 0.32 %. The energy in a voxel is that of about 4000 / 64 = 62 decays, so
that its excess kurtosis is about 2.3 / 62 = 0.04 (<x^4> / <x^2>^2 of the 90Y spectrum is 2.3), which adds
sqrt(0.04 / (4 * 2560)) = 0.2 %. Together 1.5 %; the sources share little: they are 12 mm apart, a range of 90Y.
"""


@pytest.fixture(scope="module")
def runs() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Dose and stated uncertainty of the voxels with activity, mean dose and stated uncertainty of the cubes."""
    grid = Grid.axial((12, 12, 12), spacing_mm=(4.0, 4.0, 4.0))
    decays = np.zeros(grid.shape)
    decays[1::3, 1::3, 1::3] = 1e6
    source = decays > 0
    cubes = []
    for centre in np.argwhere(source):
        covered = np.zeros(grid.shape, np.float32)
        covered[tuple(slice(n - 1, n + 2) for n in centre)] = 1
        cubes.append(Region.from_coverage("cube", grid, covered))
    rows = []
    for seed in range(SEEDS):
        result = simulate(
            Volume(grid, decays, Kind.DECAYS),
            Volume(grid, np.full(grid.shape, 1.06), Kind.DENSITY),
            nuclide("Y-90"),
            MonteCarloSettings(histories=4000, seed=seed, threads=1, control_variate=False),
        )
        means = [result.region_mean(cube) for cube in cubes]
        rows.append(
            (
                result.dose_gy[source],
                result.dose_sd_gy[source],
                [mean.value for mean in means],
                [np.nan if mean.sd is None else mean.sd for mean in means],
            )
        )
    dose, dose_sd, mean, mean_sd = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    return dose, dose_sd, mean, mean_sd


def _spread_over_stated(values: NDArray[np.float64], stated: NDArray[np.float64]) -> float:
    return float(np.sqrt(values.var(axis=0, ddof=1).mean() / (stated**2).mean()))


def test_uncertainty_of_voxels_is_the_spread_of_seeds(runs: tuple[NDArray[np.float64], ...]) -> None:
    dose, dose_sd, _, _ = runs
    assert dose.shape == (SEEDS, SOURCES)
    assert _spread_over_stated(dose, dose_sd) == pytest.approx(1, abs=TOLERANCE)
    assert _spread_over_stated(dose, 0.9 * dose_sd) != pytest.approx(1, abs=TOLERANCE)  # the comparison can fail


def test_uncertainty_of_regions_is_the_spread_of_seeds(runs: tuple[NDArray[np.float64], ...]) -> None:
    _, _, mean, mean_sd = runs
    assert _spread_over_stated(mean, mean_sd) == pytest.approx(1, abs=TOLERANCE)
    assert _spread_over_stated(mean, 1.1 * mean_sd) != pytest.approx(1, abs=TOLERANCE)


RUNS = 1200
"""Their spread is known to 1 / sqrt(2400) = 2.0 %."""


def _stopped_runs(target: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and stated uncertainty of a region of two voxels in runs that it ends.

    Energies are drawn, not transported: 20 keV a history in both voxels together, with a standard deviation of 10.
    """
    rng = np.random.default_rng(12)
    grid = Grid.axial((2, 1, 1), spacing_mm=(1.0, 1.0, 1.0))
    watched = WatchedRegions.on(
        grid,
        [Region.from_coverage("both", grid, np.ones(grid.shape))],
        np.full(grid.shape, 2.0, np.float32),
        density=np.ones(grid.shape),
    )
    rows = []
    for _ in range(RUNS):
        sums = BatchSums.empty(grid.shape)
        sums.watched = np.zeros((2, 1))
        clock = RunClock(
            MonteCarloSettings(target_uncertainty=target),
            lambda sums=sums: watched.means(sums, stopped_at=True)[0].relative_sd,  # type: ignore[misc]
            min_batches=20,
        )
        while not clock.finished(sums):
            size = max(100, sums.histories // 20)
            energy = 10 * size + 5 * np.sqrt(size) * rng.normal() * np.ones((2, 1, 1))
            sums.add(energy, np.zeros(5), size, watched.energies(energy))
        mean = watched.means(sums, stopped_at=True)[0]
        rows.append((mean.value, mean.sd))
    value, sd = np.array(rows, dtype=float).T
    return value, sd


def test_uncertainty_of_a_region_that_a_run_stops_at() -> None:
    mean, sd = _stopped_runs(0.008)
    # 20 keV a history, 2 Gy per keV in a voxel, over the masses of two
    assert mean.mean() == pytest.approx(20.0, rel=1e-3)
    stated = float(mean.std(ddof=1) / np.sqrt((sd**2).mean()))
    # 2.0 % by the number of runs
    assert stated == pytest.approx(1, abs=0.06)
    assert stated / 0.9 != pytest.approx(1, abs=0.06)


def test_uncertainty_by_groups_where_some_hold_more_batches() -> None:
    """29 batches in 20 groups, of 64 regions at once in 60 runs: 1 / sqrt(2 * 3840) = 1.1 % by number."""
    rng = np.random.default_rng(13)
    means, stated = [], []
    for _ in range(60):
        sums = BatchSums.empty((64,))
        for _ in range(29):
            size = max(100, sums.histories // 20)
            sums.add(10 * size + 5 * np.sqrt(size) * rng.normal(size=64), np.zeros(5), size)
        assert sorted(set(np.round(sums.group_histories / 100))) != [1.0]
        means.append(sums.mean_kev())
        stated.append([sums.sd_of_groups(sums.group_sums((np.array([n]),), np.ones(1))) for n in range(64)])
    ratio = np.std(means, ddof=1) / np.sqrt(np.mean(np.square(np.array(stated, dtype=float))))
    # what groups alike would have said was 7 % too much
    assert ratio == pytest.approx(1, abs=0.035)
    assert ratio / 1.07 != pytest.approx(1, abs=0.035)


FEW = 40
"""Runs of few decays: a root mean square of their deviations is known to 1 / sqrt(80) = 11 %, less well where the
deviations are skewed."""


def _few_decays() -> NDArray[np.float64]:
    """Of each run and each organ beside a liver: mean, stated uncertainty, bare spread of the groups of batches."""
    grid = Grid.axial((12, 12, 12), spacing_mm=(4.0,) * 3)
    rng = np.random.default_rng(5)
    density, decays = np.full(grid.shape, 1.06), np.zeros(grid.shape)
    decays[2:7, 2:10, 2:10] = rng.uniform(0.5, 1.5, (5, 8, 8)) * 1e9
    density[7:8], density[8:] = 0.94, 1.03
    density += rng.normal(0, 0.025, grid.shape)
    organs = []
    for i, j, k in (((7, 9), (8, 12), (1, 6)), ((7, 10), (9, 11), (1, 4)), ((11, 12), (0, 3), (0, 3))):
        inside = np.zeros(grid.shape, np.float32)
        inside[i[0] : i[1], j[0] : j[1], k[0] : k[1]] = 1
        organs.append(Region.from_coverage("organ", grid, inside))
    rows = []
    for seed in range(FEW):
        result = simulate(
            Volume(grid, decays, Kind.DECAYS),
            Volume(grid, density, Kind.DENSITY),
            nuclide("Y-90"),
            MonteCarloSettings(histories=20_000, seed=seed, threads=1),
        )
        for organ in organs:
            mean, groups = result.region_mean(organ), result.covariance_groups(organ)
            bare = float(np.std(groups, ddof=1)) / np.sqrt(len(groups))
            rows.append((mean.value, np.nan if mean.sd is None else mean.sd, bare))
    return np.array(rows, dtype=float).reshape(FEW, len(organs), 3)


def test_after_few_decays_no_uncertainty_is_far_too_small() -> None:
    """Organs reached by twins whose mean is known: what decays do not share with them comes rarely."""
    (beside, corner, far) = np.moveaxis(_few_decays(), 1, 0)
    value, stated, _ = beside.T  # worth 77 decays
    assert np.isfinite(stated).all()
    # twice the 11 % of `FEW`, and as much again for the skewness of rare events
    assert np.sqrt(np.mean(((value - value.mean()) / stated) ** 2)) == pytest.approx(1, abs=0.4)
    _, stated, bare = corner.T  # worth 19 decays: what the batches alone would state is four times too small in a run
    assert np.isnan(stated).all()
    assert np.max(np.abs(corner[:, 0] - corner[:, 0].mean()) / bare) > 4
    assert np.isnan(far[:, 1]).all()  # bremsstrahlung of few decays in nine voxels
