"""The Monte Carlo engine behind the protocol of the dose engines."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.core import Estimate, Grid, Kind, Region, Volume
from hepatica.dosimetry.engines.dose_map import DoseSettings
from hepatica.dosimetry.engines.montecarlo import MonteCarloEngine
from hepatica.dosimetry.engines.registry import dose_engine
from hepatica.dosimetry.metrics.region_dose import region_dose
from hepatica.errors import GeometryError, InputError
from hepatica.nuclides import nuclide
from hepatica.transport.runner.settings import MonteCarloSettings


@pytest.fixture
def case(oblique_grid: Grid) -> tuple[Volume, Volume]:
    decays = np.zeros(oblique_grid.shape)
    decays[8:16, 6:12, 5:9] = 2e6
    density = np.full(oblique_grid.shape, 1.06)
    density[:, :, 11:] = 0.0012
    return Volume(oblique_grid, decays, Kind.DECAYS), Volume(oblique_grid, density, Kind.DENSITY)


def test_the_default_engine_aims_at_two_percent() -> None:
    engine = dose_engine("montecarlo")
    assert isinstance(engine, MonteCarloEngine)
    assert engine.settings.target_uncertainty == 0.02


def test_dose_map_with_uncertainties_balance_and_provenance(case: tuple[Volume, Volume]) -> None:
    decays, density = case
    engine = MonteCarloEngine(MonteCarloSettings(histories=60_000, seed=11))
    dose_map = engine.compute(decays, density, nuclide("Y-90"), DoseSettings())
    assert dose_map.engine == "montecarlo"
    assert dose_map.dose_sd is not None
    assert dose_map.dose_sd.kind is Kind.DOSE_SD
    assert (dose_map.dose.values[:, :, 11:] == 0).all()
    assert abs(dose_map.energy_balance.closure) < 1e-8
    assert dose_map.energy_balance.in_air_j >= 0
    parameters = dose_map.provenance.parameters
    assert (parameters["histories"], parameters["seed"], parameters["electron_cutoff_kev"]) == (60_000, 11, 10.0)
    # local deposition in the middle of a large source: the mean dose of the source lies below it by what leaves
    source = Region.from_coverage("source", decays.grid, decays.values > 0)
    mean = dose_map.region_mean(source)
    local = dose_engine("local").compute(decays, density, nuclide("Y-90")).dose.values[10, 8, 6]
    assert 0.6 * local < mean.value < local
    assert mean.sd is not None
    assert 0 < mean.sd < 0.01 * mean.value


def test_noise_is_said(case: tuple[Volume, Volume]) -> None:
    settings = MonteCarloSettings(histories=1000, control_variate=False)
    dose_map = MonteCarloEngine(settings).compute(*case, nuclide("Y-90"))
    assert "few-histories" in [message.code for message in dose_map.messages]


def test_no_dose_is_negative_and_means_are_not_biased_by_it() -> None:
    """A control leaves noise around zero where there is little dose; a map says zero there, a mean keeps it."""
    grid = Grid.axial((24, 18, 15), spacing_mm=(3.0, 3.0, 3.0))
    values = np.zeros(grid.shape)
    values[4:20, 4:14, 3:10] = 1e3
    values[8:16, 6:12, 5:9] = 2e6
    density = Volume(grid, 1.06 + np.random.default_rng(1).normal(0, 0.1, grid.shape), Kind.DENSITY)
    engine = MonteCarloEngine(MonteCarloSettings(histories=5000, seed=3))
    dose_map = engine.compute(Volume(grid, values, Kind.DECAYS), density, nuclide("Y-90"))
    assert dose_map.result is not None
    raw = dose_map.result.dose_gy
    assert raw.min() < 0
    assert dose_map.dose.values.min() == 0
    everything = Region.from_coverage("all", grid, np.ones(grid.shape))
    weighted = float((raw * density.values).sum(dtype=np.float64) / density.values.sum(dtype=np.float64))
    assert dose_map.region_mean(everything).value == pytest.approx(weighted, rel=1e-5)


def test_oil_of_the_ct_is_followed_in_joined_voxels_on_any_grid() -> None:
    """CT of 1 mm, joined to 2 mm, dose of 4 mm: 30 keV gamma rays of 131I's X rays stop where the oil is."""
    ct = Grid.axial((16, 16, 16), spacing_mm=(1.0, 1.0, 1.0))
    oil = np.zeros(ct.shape, np.float32)
    oil[:, :, :8] = 0.6
    density = Volume(ct, np.where(oil > 0, 1.16, 1.06), Kind.DENSITY)
    decays = Volume(ct, np.full(ct.shape, 1e9), Kind.DECAYS)
    grid = Grid.axial((4, 4, 4), spacing_mm=(4.0, 4.0, 4.0), origin_mm=(1.5, 1.5, 1.5))
    engine = MonteCarloEngine(MonteCarloSettings(histories=40_000, parts="photon"))
    plain, oily = (
        one.compute_on(grid, decays, density, nuclide("I-131"))
        for one in (engine, engine.with_oil(density.with_values(oil)))
    )
    where = (slice(None), slice(None))
    # photons below 40 keV (5 % of the decays, 30 keV) meet 20 times the photoelectric effect
    assert oily.dose.values[(*where, slice(0, 2))].mean() > 1.3 * plain.dose.values[(*where, slice(0, 2))].mean()
    assert oily.dose.values[(*where, slice(2, 4))].mean() == pytest.approx(
        plain.dose.values[(*where, slice(2, 4))].mean(), rel=0.15
    )
    with pytest.raises(GeometryError, match="iodised oil"):
        engine.with_oil(Volume(grid, np.zeros(grid.shape), Kind.DENSITY)).compute_on(
            grid, decays, density, nuclide("I-131")
        )


def test_a_run_goes_on_for_its_structures_and_says_where_it_could_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hot block and one voxel of a fifth of it: the highest doses are known long before that voxel is."""
    monkeypatch.setattr("hepatica.transport.runner.montecarlo.SMALL_BATCH", 500)
    grid = Grid.axial((20, 12, 12), spacing_mm=(4.0, 4.0, 4.0))
    values = np.zeros(grid.shape)
    values[2:8, 3:9, 3:9], values[16, 6, 6] = 1e12, 2e11
    faint = Region.from_coverage("faint", grid, values == 2e11)
    volumes = Volume(grid, values, Kind.DECAYS), Volume(grid, np.full(grid.shape, 1.06), Kind.DENSITY)
    found = {}
    for regions in ((), (faint,)):
        engine = MonteCarloEngine(MonteCarloSettings(target_uncertainty=0.15, seed=2, control_variate=False))
        found[len(regions)] = engine.compute_on(grid, *volumes, nuclide("Y-90"), regions=regions)
    plain, named = (found[n].result for n in (0, 1))
    assert plain is not None
    assert named is not None
    assert named.histories > 2 * plain.histories
    (mean,) = named.watched.means(named.sums)
    assert mean.value == pytest.approx(named.region_mean(faint).value, rel=1e-6)
    assert (mean.sd or 1) <= 0.15 * max(mean.value, 1.0)
    assert "structures-less-certain" not in [message.code for message in found[1].messages]
    cut = MonteCarloSettings(target_uncertainty=0.15, histories=15_000, seed=2, control_variate=False)
    short = MonteCarloEngine(cut).compute_on(grid, *volumes, nuclide("Y-90"), regions=(faint,))
    (said,) = (message for message in short.messages if message.code == "structures-less-certain")
    assert "faint" in said.text


def test_a_run_does_not_wait_for_air_nor_for_what_it_cannot_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """Air beside a hot block, and a grain of tissue in which one decay is far more than the target."""
    monkeypatch.setattr("hepatica.transport.runner.montecarlo.SMALL_BATCH", 500)
    grid = Grid.axial((20, 12, 12), spacing_mm=(4.0, 4.0, 4.0))
    values, density = np.zeros(grid.shape), np.full(grid.shape, 1.06)
    values[2:8, 3:9, 3:9] = 1e12
    gas, grain = np.zeros(grid.shape), np.zeros(grid.shape)
    gas[9:12, 4:8, 4:8] = 1
    density[gas > 0] = 0.0012
    grain[18, 10, 10] = 1e-4
    regions = Region.from_coverage("gas", grid, gas), Region.from_coverage("grain", grid, grain)
    volumes = Volume(grid, values, Kind.DECAYS), Volume(grid, density, Kind.DENSITY)
    settings = MonteCarloSettings(target_uncertainty=0.15, seed=2, control_variate=False)
    plain, named = (
        MonteCarloEngine(settings).compute_on(grid, *volumes, nuclide("Y-90"), regions=some) for some in ((), regions)
    )
    assert plain.result is not None
    assert named.result is not None
    assert named.result.histories == plain.result.histories
    (said,) = (message for message in named.messages if message.code == "structures-not-awaited")
    assert "gas, grain" in said.text


def test_voxels_with_few_counts_are_said(case: tuple[Volume, Volume]) -> None:
    """Where the highest doses are known well and others not: a hot block and a faint one at a tenth of it."""
    grid = case[0].grid
    decays = np.zeros(grid.shape)
    decays[2:6, 2:6, 2:6], decays[14:20, 10:16, 8:12] = 1e9, 1e8
    volumes = Volume(grid, decays, Kind.DECAYS), Volume(grid, np.full(grid.shape, 1.06), Kind.DENSITY)
    for histories, said in ((10_000, True), (400_000, False)):
        settings = MonteCarloSettings(histories=histories, control_variate=False)
        found = MonteCarloEngine(settings).compute(*volumes, nuclide("Y-90"))
        assert ("few-counts" in [message.code for message in found.messages]) is said
        few = found.provenance.parameters["few_counts_voxels"]
        assert found.result is not None
        assert few == int((found.result.dose_sd_gy > 0.2 * np.abs(found.result.dose_gy)).sum())


def test_negative_decays_are_refused_even_if_kept_elsewhere(case: tuple[Volume, Volume]) -> None:
    decays, density = case
    values = decays.values.copy()
    values[0, 0, 0] = -1e5
    engine = MonteCarloEngine(MonteCarloSettings(histories=1000))
    with pytest.raises(InputError, match="cannot follow negative activity"):
        engine.compute(decays.with_values(values), density, nuclide("Y-90"), DoseSettings(negatives="keep"))


def test_activity_in_air_is_said_though_its_energy_goes_elsewhere() -> None:
    """Activity shifted off the patient: electrons of 90Y cross metres of air, so hardly any energy stays in it."""
    grid = Grid.axial((12, 12, 12), spacing_mm=(4.0, 4.0, 4.0))
    density = np.full(grid.shape, 1.06)
    density[:, :, 6:] = 0.0012
    decays = np.zeros(grid.shape)
    decays[4:8, 4:8, 4:8] = 1e6
    volumes = (Volume(grid, decays, Kind.DECAYS), Volume(grid, density, Kind.DENSITY))
    engine = MonteCarloEngine(MonteCarloSettings(histories=2000))
    for found in (
        engine.compute(*volumes, nuclide("Y-90")),
        engine.compute_on(grid, *volumes, nuclide("Y-90"), DoseSettings()),
    ):
        said = [message.text for message in found.messages if message.code == "energy-in-air"]
        assert said == ["50.0 % of the activity lies in voxels below 0.05 g/mL (air); their dose is 0"]
    decays[:, :, 6:] = 0
    found = engine.compute(volumes[0].with_values(decays), volumes[1], nuclide("Y-90"))
    assert "energy-in-air" not in [message.code for message in found.messages]


def test_a_structure_that_few_decays_reach_has_no_uncertainty_and_is_named() -> None:
    """1000 decays, an organ 3 cm beyond the electrons of 90Y: a handful of photons say nothing of the mean's error."""
    grid = Grid.axial((12, 12, 24), spacing_mm=(4.0, 4.0, 4.0))
    decays, organ, source = (np.zeros(grid.shape) for _ in range(3))
    source[4:8, 4:8, 2:6] = 1
    decays[source > 0] = 1e6
    organ[5:7, 5:7, 17:19] = 1
    regions = [Region.from_coverage("Stomach", grid, organ), Region.from_coverage("Tumour", grid, source)]
    volumes = (Volume(grid, decays, Kind.DECAYS), Volume(grid, np.full(grid.shape, 1.05), Kind.DENSITY))
    settings = MonteCarloSettings(histories=1000, threads=1)
    found = MonteCarloEngine(settings).compute_on(grid, *volumes, nuclide("Y-90"), DoseSettings(), regions)
    stomach, tumour = (region_dose(found, region) for region in regions)
    assert stomach.dose_mean_uncertainty_gy is None
    assert tumour.dose_mean_uncertainty_gy is not None
    (noisy,) = (message.text for message in found.messages if message.code == "few-counts-in-voxels")
    assert "5 % of the volume of Stomach" in noisy
    (said,) = (message.text for message in found.messages if message.code == "few-counts-in-structures")
    assert "is not stated" in said
    assert "Stomach" in said
    assert "Tumour" not in said


def test_the_uncertainty_that_a_message_states_is_that_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hepatica.transport.runner.montecarlo.SMALL_BATCH", 200)
    grid = Grid.axial((10, 10, 10), spacing_mm=(4.0, 4.0, 4.0))
    decays, organ = np.zeros(grid.shape), np.zeros(grid.shape)
    decays[2:5, 2:8, 2:8], organ[6, 2:8, 2:8] = 2e12, 1
    density = np.full(grid.shape, 1.05)
    density[6] = 1.3
    region = Region.from_coverage("Stomach", grid, organ)
    volumes = (Volume(grid, decays, Kind.DECAYS), Volume(grid, density, Kind.DENSITY))
    settings = MonteCarloSettings(histories=30_000, target_uncertainty=1e-4, threads=1)
    found = MonteCarloEngine(settings).compute_on(grid, *volumes, nuclide("Y-90"), DoseSettings(), [region])
    dose = region_dose(found, region)
    assert dose.dose_mean_uncertainty_gy is not None
    (said,) = (message.text for message in found.messages if message.code == "structures-less-certain")
    assert said.endswith(f": Stomach {Estimate(dose.dose_mean_gy, dose.dose_mean_uncertainty_gy)} Gy")
