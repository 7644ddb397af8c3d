"""Runs of the Monte Carlo: settings, stopping, seeds, checkpoints, errors, the GPU's code."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.errors import GeometryError, InputError, PhysicsError, UnitError, UnknownNameError
from hepatica.nuclides import nuclide
from hepatica.transport.matter.composition import media_by_density, medium
from hepatica.transport.runner import montecarlo, stopping
from hepatica.transport.runner.batches import BatchSums
from hepatica.transport.runner.launch import load_warp
from hepatica.transport.runner.montecarlo import (
    KERNEL_RELATIVE_SD,
    MeanEnergy,
    _sd_of_mean,
    high_dose_uncertainty,
    simulate,
)
from hepatica.transport.runner.settings import MonteCarloSettings
from hepatica.transport.runner.stopping import RunProgress

Y90 = nuclide("Y-90")
SHORT = MonteCarloSettings(histories=20_000, seed=5, threads=1)


@pytest.fixture
def case(oblique_grid: Grid) -> tuple[Volume, Volume]:
    rng = np.random.default_rng(2)
    decays = np.zeros(oblique_grid.shape)
    decays[8:16, 6:12, 5:10] = rng.uniform(1e6, 2e6, (8, 6, 5))
    density = np.full(oblique_grid.shape, 1.06)
    density[:, :, 10:] = 0.26
    return Volume(oblique_grid, decays, Kind.DECAYS), Volume(oblique_grid, density, Kind.DENSITY)


def test_same_seed_same_dose_on_one_and_two_threads(case: tuple[Volume, Volume]) -> None:
    one = simulate(*case, Y90, SHORT)
    two = simulate(*case, Y90, replace(SHORT, threads=2))
    other = simulate(*case, Y90, replace(SHORT, seed=6))
    np.testing.assert_allclose(two.dose_gy, one.dose_gy, rtol=1e-6)
    assert not np.allclose(other.dose_gy, one.dose_gy, rtol=1e-3)


def test_energy_and_dose_agree(case: tuple[Volume, Volume]) -> None:
    decays, density = case
    result = simulate(decays, density, Y90, replace(SHORT, control_variate=False))
    mass_kg = density.values * density.grid.voxel_volume_ml * 1e-3
    assert float((result.dose_gy * mass_kg).sum()) == pytest.approx(result.deposited_j, rel=1e-5)
    # with a control the dose has less noise than the energy that was counted: 20 000 decays of 90Y have a mean energy
    # known to 0.65 / sqrt(20 000) = 0.5 %
    controlled = simulate(decays, density, Y90, SHORT)
    assert float((controlled.dose_gy * mass_kg).sum()) == pytest.approx(controlled.deposited_j, rel=0.015)
    assert result.batches == 40
    assert result.histories == 20_000


def test_region_mean_and_its_uncertainty(case: tuple[Volume, Volume]) -> None:
    decays, density = case
    region = Region.from_coverage("source", decays.grid, decays.values > 0)
    doses, uncertainties = [], []
    for seed in range(12):
        result = simulate(decays, density, Y90, replace(SHORT, seed=seed, histories=5_000))
        mean = result.region_mean(region)
        doses.append(mean.value)
        uncertainties.append(mean.sd or 0.0)
        covered = result.dose_gy[decays.values > 0]
        assert mean.value == pytest.approx(float(covered.mean()), rel=1e-5)
    # spread over 12 seeds is known to 21 %, the mean stated one to 16 % / sqrt(12); all of the mean is known to 0.05 %
    # but for the kernel, which no seed shows
    expected = np.hypot(np.std(doses, ddof=1), KERNEL_RELATIVE_SD * np.mean(doses))
    assert np.mean(uncertainties) == pytest.approx(expected, rel=0.6)
    assert min(uncertainties) >= 0.99 * KERNEL_RELATIVE_SD * np.mean(doses)


@pytest.mark.parametrize(
    ("worth", "relative_sd", "known", "reached", "stated"),
    [
        pytest.param(2.0, 0.4, 0.0, 0.0, False, id="some six contributions"),
        pytest.param(2.0, 0.1, 0.0, 0.0, True, id="a hundred small ones of photons, out of reach of electrons"),
        pytest.param(2.0, 0.1, 0.0, 3.0, False, id="the same where three decays' electrons are expected and not seen"),
        pytest.param(2.0, 0.1, 0.0, None, False, id="the same where that is not known"),
        pytest.param(20.0, 0.1, 18.0, 30.0, True, id="worth thirty, found twenty"),
        pytest.param(30.0, 0.1, 18.0, 20.0, False, id="worth twenty, found thirty"),
        pytest.param(400.0, 0.0, 399.0, 400.0, True, id="nearly all known"),
    ],
)
def test_an_uncertainty_is_stated_by_the_decays_that_a_mean_is_worth(
    worth: float, relative_sd: float, known: float, reached: float | None, stated: bool
) -> None:
    """Energies in decays of 900 keV, of 20 000 in 20 groups; 0.7 of one is the least that can be unseen."""
    one = 900.0 / 20_000
    sums = BatchSums.empty((1,))
    sums.histories, sums.batches = 20_000, 40
    sums.group_histories[:] = 1000
    # twenty groups, ten above and ten below: the mean of them has the spread d of one over the root of 19
    up_and_down = np.where(np.arange(20) % 2, 1.0, -1.0) * relative_sd * worth * np.sqrt(19)
    residuals = (worth - known + up_and_down) * one
    sd = _sd_of_mean(
        sums, residuals, MeanEnergy(worth * one, known * one, None if reached is None else reached * one), 900.0
    )
    assert (sd is not None) is stated
    if sd is not None:
        floor = 0.7 if max(known, reached or 0.0) else 0.0
        assert sd == pytest.approx(
            np.hypot(max(relative_sd * worth, floor), KERNEL_RELATIVE_SD * known) * one, rel=1e-6
        )


def test_what_photons_alone_bring_has_an_uncertainty(case: tuple[Volume, Volume]) -> None:
    """131I: hundreds of small contributions are worth few decays, and their spread is sound: 10 % or less."""
    decays, density = case
    far = np.zeros(decays.grid.shape)
    far[:4, :4, :] = 1
    mean = simulate(decays, density, nuclide("I-131"), SHORT).region_mean(Region.from_coverage("far", decays.grid, far))
    assert mean.sd is not None
    assert 0 < mean.sd < 0.2 * mean.value


def test_an_empty_region_has_no_mean(case: tuple[Volume, Volume]) -> None:
    decays, density = case
    nothing = Region.from_coverage("nothing", decays.grid, np.zeros(decays.grid.shape))
    with pytest.raises(GeometryError, match="covers no voxel"):
        simulate(decays, density, Y90, SHORT).region_mean(nothing)


def test_stops_at_the_uncertainty_and_reports_progress(case: tuple[Volume, Volume]) -> None:
    seen: list[RunProgress] = []
    settings = MonteCarloSettings(target_uncertainty=0.05, threads=2)
    result = simulate(*case, Y90, settings, progress=seen.append)
    assert result.relative_uncertainty <= 0.05
    assert result.batches >= 20
    assert seen[-1].histories == result.histories
    assert seen[-1].histories_per_s > 0


def test_stops_at_a_regions_uncertainty(case: tuple[Volume, Volume]) -> None:
    region = Region.from_coverage("source", case[0].grid, case[0].values > 0)
    settings = MonteCarloSettings(target_uncertainty=0.01, threads=2)
    result = simulate(*case, Y90, settings, target_region=region)
    assert (result.region_mean(region).relative_sd or 1) <= 0.01


@pytest.mark.parametrize("of_region", [False, True])
def test_what_ends_a_run_is_the_uncertainty_that_it_states(
    case: tuple[Volume, Volume], monkeypatch: pytest.MonkeyPatch, of_region: bool
) -> None:
    monkeypatch.setattr(montecarlo, "SMALL_BATCH", 200)
    monkeypatch.setattr(stopping, "PROGRESS_EVERY_S", -1.0)  # each report has the uncertainty of its batch
    source = Region.from_coverage("source", case[0].grid, case[0].values > 0)
    seen: list[RunProgress] = []
    target = 0.005 if of_region else 0.08
    result = simulate(
        *case,
        Y90,
        MonteCarloSettings(target_uncertainty=target, threads=1, control_variate=False),
        target_region=source if of_region else None,
        progress=seen.append,
    )
    mean = result.region_mean(source)
    groups, held = result.covariance_groups(source), result.sums.group_histories
    by_groups = np.sqrt(held @ (groups - np.average(groups, weights=held)) ** 2 / ((len(groups) - 1) * held.sum()))
    if of_region:
        # what it aimed at rests on every batch: near what the groups say (20 of them: 16 %), not the same
        assert mean.sd == pytest.approx(by_groups, rel=0.5)
        assert mean.sd != pytest.approx(by_groups, rel=1e-6)
    else:
        assert mean.sd == pytest.approx(by_groups, rel=1e-6)
    dose, sd = result.dose_gy.astype(float), result.dose_sd_gy.astype(float)
    high = dose > 0.5 * np.sort(dose.ravel())[-10:].mean()
    high_dose = float(np.sqrt(np.mean((sd[high] / dose[high]) ** 2)))
    assert result.relative_uncertainty == pytest.approx(high_dose, rel=1e-5)
    assert seen[-1].relative_uncertainty == pytest.approx(mean.relative_sd if of_region else high_dose, rel=1e-5)
    assert len(seen) > 20  # by this rule, not by the least number of batches
    assert (seen[-2].relative_uncertainty or 0) > target >= (seen[-1].relative_uncertainty or 1)


def test_uncertainty_of_the_high_dose_voxels() -> None:
    # ten voxels of 10 Gy set the highest dose, 5.1 Gy is above half of it and 5 Gy is not
    dose = np.array([10.0] * 10 + [5.1, 5.0, 1.0])
    sd = np.array([0.3] * 10 + [0.51, 5.0, 5.0])
    assert high_dose_uncertainty(dose, sd) == pytest.approx(math.sqrt((10 * 0.03**2 + 0.1**2) / 11), rel=1e-9)
    assert high_dose_uncertainty(np.zeros(3), np.zeros(3)) is None
    assert high_dose_uncertainty(np.array([2.0]), np.array([0.1])) == pytest.approx(0.05)


def test_stops_at_the_time(case: tuple[Volume, Volume]) -> None:
    result = simulate(*case, Y90, MonteCarloSettings(time_limit_s=0.5, threads=2))
    assert result.batches >= 20


def test_interrupted_run_goes_on_to_the_same_dose(case: tuple[Volume, Volume], tmp_path: Path) -> None:
    whole = simulate(*case, Y90, SHORT)
    settings = replace(SHORT, checkpoint=tmp_path / "run.ckpt")

    def interrupt(progress: RunProgress) -> None:
        if progress.histories >= 8_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(*case, Y90, settings, progress=interrupt)
    assert (tmp_path / "run.ckpt").exists()
    resumed = simulate(*case, Y90, settings)
    np.testing.assert_array_equal(resumed.dose_gy, whole.dose_gy)
    np.testing.assert_array_equal(resumed.dose_sd_gy, whole.dose_sd_gy)
    with pytest.raises(InputError, match="another run"):
        simulate(*case, Y90, replace(settings, seed=99))


def test_parts_of_the_dose_add_up(case: tuple[Volume, Volume]) -> None:
    iodine = nuclide("I-131")
    energy = {p: simulate(*case, iodine, replace(SHORT, parts=p)).deposited_j for p in ("all", "beta", "photon")}  # type: ignore[arg-type]
    assert energy["beta"] + energy["photon"] == pytest.approx(energy["all"], rel=0.03)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"histories": 0}, "`histories` must be from"),
        ({"histories": 10**15}, "`histories` must be from"),
        ({"histories": None}, "say when to stop"),
        ({"target_uncertainty": 2.0}, "target_uncertainty"),
        ({"time_limit_s": 0.0}, "time_limit_s"),
        ({"seed": -1}, "seed"),
        ({"threads": 0}, "threads"),
    ],
)
def test_bad_settings(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(SHORT, **changes)  # type: ignore[arg-type]


def test_bad_input(case: tuple[Volume, Volume], oblique_grid: Grid) -> None:
    decays, density = case
    with pytest.raises(UnitError):
        simulate(density, density, Y90, SHORT)
    with pytest.raises(InputError, match="negative"):
        simulate(decays.with_values(decays.values - 1.0), density, Y90, SHORT)
    with pytest.raises(InputError, match="no activity"):
        simulate(decays.with_values(np.zeros(decays.grid.shape)), density, Y90, SHORT)
    smaller = oblique_grid.crop((slice(0, 5), slice(0, 5), slice(0, 5)))
    with pytest.raises(GeometryError):
        simulate(decays, Volume(smaller, np.ones(smaller.shape), Kind.DENSITY), Y90, SHORT)
    with pytest.raises(UnknownNameError, match="device"):
        simulate(decays, density, Y90, replace(SHORT, device="tpu"))


def test_an_absent_gpu_is_an_error_that_says_what_to_do(case: tuple[Volume, Volume]) -> None:
    if load_warp().is_cuda_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(PhysicsError, match="device 'cuda' was asked for"):
        simulate(*case, Y90, replace(SHORT, device="cuda"))


def test_the_same_source_compiles_for_a_gpu(tmp_path: Path) -> None:
    wp = load_warp()
    from hepatica.transport.device import decays as device_kernel

    # sm_90 (H100), without a driver
    wp.compile_aot_module(device_kernel, arch=90, module_dir=tmp_path, use_ptx=True)
    (ptx,) = tmp_path.glob("*.ptx")
    assert "follow_decays" in ptx.read_text()


def test_media_by_density() -> None:
    index, found = media_by_density(np.array([0.001, 0.26, 1.06, 1.06, 1.92]))
    assert [found[n].name for n in index] == ["air", "lung", "soft_tissue", "soft_tissue", "bone"]
    with pytest.raises(InputError, match="no medium above"):
        media_by_density(np.array([5.0]), ((1.5, "water"),))
    with pytest.raises(InputError, match="must rise"):
        media_by_density(np.array([1.0]), ((1.5, "water"), (1.0, "bone")))
    with pytest.raises(UnknownNameError, match="medium"):
        medium("custard")
