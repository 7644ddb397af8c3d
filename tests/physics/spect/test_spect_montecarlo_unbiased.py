"""Tabulated transmission in the SPECT Monte Carlo leaves means and stated uncertainties as they are.

The comparison is with exact rays alone (`RayWork.exact`), the method that `test_spect_montecarlo` holds to formulas.
Means over seeds are compared by their own standard errors: d = (a - b) / se is normal, so chi-square over n groups of
bins has mean n and standard deviation sqrt(2 n); 5 standard deviations are allowed, seeds are fixed.
"""

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.errors import InputError
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings, RayWork
from hepatica.imaging.spect.projections import Orbit, Window
from hepatica.nuclides import nuclide

GRID = Grid.axial((24, 24, 16), spacing_mm=(14.0, 14.0, 14.0), origin_mm=(-161.0, -161.0, -105.0))
PLACE = np.moveaxis(np.indices(GRID.shape), 0, -1) * 14.0 + np.array([-161.0, -161.0, -105.0])
ORBIT = Orbit(np.array([0.0, 80.0, 200.0]), np.array([150.0, 170.0, 190.0]))
SEEDS, HISTORIES = 10, 3000
WINDOWS = [Window(80.0, 200.0), Window(328.0, 400.0)]


def patient() -> Volume:
    """An ellipse of water with a lung and a bone, so that tables of coarse cells are wrong at their borders."""
    x, y, z = np.moveaxis(PLACE, -1, 0)
    density = np.where((x / 130) ** 2 + (y / 95) ** 2 < 1, 1.0, 0.0012) * (np.abs(z) < 100)
    density[(x + 50) ** 2 + y**2 + (z - 30) ** 2 < 45**2] = 0.25
    density[(x - 20) ** 2 + (y - 70) ** 2 < 18**2] = 1.7
    return Volume(GRID, np.maximum(density, 5e-4).astype(np.float32), Kind.DENSITY)


def activity() -> Volume:
    x, y, z = np.moveaxis(PLACE, -1, 0)
    warm = ((x / 110) ** 2 + (y / 75) ** 2 < 1) & (np.abs(z) < 70)
    return Volume(GRID, (warm * np.where(x > 0, 3.0, 1.0)).astype(np.float32), Kind.ACTIVITY)


def projector(windows: list[Window], **options: object) -> MonteCarloProjector:
    setup = SpectSetup("siemens-hegp", nuclide("I-131"), ORBIT, windows, GRID)
    return MonteCarloProjector(patient(), setup, parts=4, **options)  # type: ignore[arg-type]


def counts(made: MonteCarloProjector) -> np.ndarray:
    """Counts of each part, window, view and block of 6 x 4 pixels, a row per seed."""
    rows = []
    for seed in range(SEEDS):
        found = made.project(activity(), ProjectionSettings(histories=HISTORIES, seed=seed)).parts
        assert found is not None
        parts, windows, views = found.shape[:3]
        rows.append(found.reshape(parts, windows, views, 4, 6, 4, 4).sum(axis=(4, 6), dtype=np.float64).ravel())
    return np.array(rows)


def chi_square(one: np.ndarray, other: np.ndarray) -> tuple[float, int]:
    """Of the difference of means, over groups that most runs count in."""
    used = ((one > 0).mean(axis=0) > 0.9) & ((other > 0).mean(axis=0) > 0.9)
    variance = (one[:, used].var(axis=0, ddof=1) + other[:, used].var(axis=0, ddof=1)) / SEEDS
    # a variance from 2 x 9 degrees of freedom: the mean of its inverse is 18 / 16 too large
    square = (one[:, used].mean(axis=0) - other[:, used].mean(axis=0)) ** 2 / variance * 16 / 18
    return float(square.sum()), int(used.sum())


def agree(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the means agree: chi-square of groups that go together has up to three times its usual spread."""
    square, groups = chi_square(one, other)
    assert groups > 60
    totals = one.sum(axis=1), other.sum(axis=1)
    error = np.sqrt((totals[0].var(ddof=1) + totals[1].var(ddof=1)) / SEEDS)
    return square < groups + 5 * np.sqrt(2 * groups) and abs(totals[0].mean() - totals[1].mean()) < 4 * error


@pytest.fixture(scope="module")
def exact() -> np.ndarray:
    return counts(projector(WINDOWS, work=RayWork(exact=True)))


def test_means_are_those_of_exact_rays_in_bins_parts_and_windows(exact: np.ndarray) -> None:
    found = counts(projector(WINDOWS))
    assert agree(found, exact)
    # a shift of 3 % in all of it would be seen
    assert not agree(1.03 * found, exact)


@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_a_wrong_table_does_not_shift_the_mean(exact: np.ndarray, factor: float) -> None:
    """Optical depths of the tables 0.6 and 1.5 times what they are: transmissions wrong by half and more."""
    wrong = projector(WINDOWS)
    wrong._rays.exits.assign((wrong._rays.exits.numpy() * factor).astype(np.float32))
    wrong._rays.coarse_basis.assign((wrong._rays.coarse_basis.numpy() * factor).astype(np.float32))
    found = counts(wrong)
    assert agree(found, exact)
    # and the tables are used: without the exact rays the mean is shifted
    blind = projector(WINDOWS, work=RayWork(near_check=1e-6, far_check=1e-6))
    blind._rays.exits.assign((blind._rays.exits.numpy() * factor).astype(np.float32))
    blind._rays.coarse_basis.assign((blind._rays.coarse_basis.numpy() * factor).astype(np.float32))
    assert not agree(counts(blind), exact)


def test_stated_uncertainty_is_the_spread_of_seeds() -> None:
    """40 seeds: the variance of a bin is known to 20 %, the mean of some hundred bins to 3 %, views going together."""
    made = projector([Window(328.0, 400.0)])
    runs = [made.project(activity(), ProjectionSettings(histories=1500, seed=seed)) for seed in range(40)]
    totals = np.array([run.total[0] for run in runs], dtype=np.float64)
    mean = totals.mean(axis=0)
    bright = mean > 0.4 * mean.max()
    assert bright.sum() > 100
    stated = np.array([run.relative_sd[0][bright] for run in runs], dtype=np.float64) * totals[:, bright]
    ratio = (stated**2).mean() / totals[:, bright].var(axis=0, ddof=1).mean()
    assert ratio == pytest.approx(1.0, abs=0.12)


def test_ray_work_is_checked() -> None:
    with pytest.raises(InputError, match="chances up to 1"):
        RayWork(near_check=0.0)
