"""The Monte Carlo of collimator and crystal: balance, geometry, variance reduction, reproducibility."""

from dataclasses import replace

import numpy as np
import pytest

from hepatica.errors import InputError
from hepatica.imaging.spect.camera.cameras import GammaCamera, Layer, gamma_camera
from hepatica.imaging.spect.camera.collimator_montecarlo import (
    LEAD_K_EDGE_KEV,
    Bench,
    DetectorRun,
    default_energies,
    simulate_detector,
)
from hepatica.imaging.spect.camera.detector import NEAR_BINS, mean_transmission, solid_angle_sr
from hepatica.imaging.spect.projections import Window

QUICK = DetectorRun(crystal_photons=1000, collimator_photons=60_000, rays=4000)


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(gamma_camera("siemens-megp"), replace(QUICK, force=False))


@pytest.mark.parametrize("kev", [80.0, 300.0, 1500.0])
@pytest.mark.parametrize("mode", [0, 1])
def test_energy_is_conserved(bench: Bench, kev: float, mode: int) -> None:
    _, extra, balance = bench.launch(0, kev, mode)
    photons = bench.photons(mode)
    # single precision: sums over a history are good to 1e-6, and a pair's rest energy counts as emitted again
    assert balance.sum() == pytest.approx(photons * kev, rel=2e-6)
    assert extra[:, :, 0].sum() == pytest.approx(balance[0], rel=1e-6)


def test_lines_through_holes_are_the_exact_share(bench: Bench) -> None:
    free = (bench.paths_mm < 0).mean(axis=1)[:NEAR_BINS]
    expected = mean_transmission(gamma_camera("siemens-megp").collimator, bench.tangent)[:NEAR_BINS]
    # 4000 lines per bin: binomial, 4.5 standard deviations in 24 bins
    assert (np.abs(free - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / 4000) + 1e-9).all()


def test_mean_path_in_lead_is_the_share_of_lead(bench: Bench) -> None:
    collimator = gamma_camera("siemens-megp").collimator
    mean = np.maximum(bench.paths_mm, 0).mean(axis=1)
    cosine = np.mean([1 / np.sqrt(1 + bench.tangent[1:] ** 2), 1 / np.sqrt(1 + bench.tangent[:-1] ** 2)], axis=0)
    lead = 1 - (collimator.hole_mm / (collimator.hole_mm + collimator.septum_mm)) ** 2
    # a line from an even distribution of places spends that share of its length in lead, whatever its direction;
    # the spread of the path is at most its length times 0.5: 0.5 / sqrt(4000) is 0.8 %
    np.testing.assert_allclose(mean, lead * collimator.length_mm / cosine, rtol=0.04)


def test_forced_branches_change_no_mean() -> None:
    camera = gamma_camera("siemens-lehr")
    energies = np.array([138.0, 140.5])
    counts = []
    for force in (True, False):
        run = replace(QUICK, collimator_photons=400_000, force=force)
        found = simulate_detector(camera, run, energies)
        through = replace(found.response, through=found.parts["collimator"]).window([Window(60, 95)], energies).through
        counts.append(through[0].mean(axis=0) @ solid_angle_sr(found.response.tangent))
    # lead X rays; the standard deviation of either is about a tenth (four runs each with other seeds)
    assert counts[0] == pytest.approx(counts[1], rel=0.4)


def test_threads_and_runs_give_the_same_table() -> None:
    camera, energies = gamma_camera("ge-lehr"), np.array([100.0, 200.0, 300.0])
    small = replace(QUICK, collimator_photons=20_000, rays=500)
    one = simulate_detector(camera, small, energies).response
    two = simulate_detector(camera, replace(small, threads=2), energies).response
    np.testing.assert_array_equal(one.geometric, two.geometric)
    # weights are added in the same order within an energy
    np.testing.assert_array_equal(one.through, two.through)


def test_a_thick_crystal_takes_all_but_what_turns_back() -> None:
    camera = gamma_camera("siemens-lehr")
    thick = replace(camera, crystal_mm=300.0, gap_mm=0.0, cover=(), back=())
    found = simulate_detector(thick, QUICK, np.array([140.5, 141.0])).response
    straight = found.geometric[0, :NEAR_BINS, 0].sum() / mean_transmission(camera.collimator, found.tangent).sum()
    # iodine X rays and Compton photons through the front: 4 to 5 %
    assert 0.93 < straight < 0.98
    assert found.depth_mm[0] - camera.collimator.length_mm == pytest.approx(4.0, abs=0.5)


def test_energies_stand_on_either_side_of_leads_edge() -> None:
    energies = default_energies()
    assert (np.diff(energies) > 0).all()
    assert not (np.abs(energies / LEAD_K_EDGE_KEV - 1) < 0.01).any()
    assert np.diff(energies)[np.searchsorted(energies, LEAD_K_EDGE_KEV) - 1] < 3.0


def test_what_is_refused() -> None:
    camera = gamma_camera("ge-lehr")
    with pytest.raises(InputError, match="two energies"):
        simulate_detector(camera, QUICK, np.array([140.0]))
    with pytest.raises(InputError, match="at least one"):
        DetectorRun(rays=0)
    full: GammaCamera = replace(camera, cover=(Layer("aluminium", 2.7, 5.0),))
    with pytest.raises(InputError, match="thicker than the gap"):
        simulate_detector(full, QUICK, np.array([140.0, 150.0]))
