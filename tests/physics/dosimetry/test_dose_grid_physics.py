"""What a dose calculation says of structures does not hang on the voxels of the dose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import hepatica
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.resample import resample_region
from hepatica.dosimetry.engines.dose_map import DoseMap, DoseSettings
from hepatica.dosimetry.engines.montecarlo import MonteCarloEngine
from hepatica.dosimetry.engines.registry import dose_engine
from hepatica.dosimetry.metrics.region_dose import RegionDose, region_dose
from hepatica.transport.runner.montecarlo import simulate
from hepatica.transport.runner.scoring import DoseVoxels
from hepatica.transport.runner.settings import MonteCarloSettings

Y90 = hepatica.nuclide("Y-90")
CT = Grid.axial((32, 32, 40), spacing_mm=(2.0, 2.0, 2.0))
ACTIVITY = Grid.axial((16, 16, 20), spacing_mm=(4.2, 4.2, 4.2), origin_mm=(-0.5, -0.5, -0.9))
"""Neither its voxels nor its borders are the CT's; it reaches a little beyond."""


def _lungs_above_a_round_liver() -> tuple[Volume, dict[str, Region]]:
    """Liver of 1.06 g/mL under a dome, lung of 0.26 above: a border that cuts voxels of every size."""
    x, y, z = np.moveaxis(CT.to_mm(np.moveaxis(np.indices(CT.shape), 0, -1)), -1, 0)
    liver = z < 45 - ((x - 31) ** 2 + (y - 31) ** 2) / 60
    density = Volume(CT, np.where(liver, 1.06, 0.26), Kind.DENSITY)
    parts = {"liver": liver, "lung": ~liver}
    return density, {name: Region.from_coverage(name, CT, part) for name, part in parts.items()}


def _decays() -> Volume:
    """Even in the liver as an image of 4.2 mm voxels shows it, a tenth of that above: what a camera spills."""
    x, y, z = np.moveaxis(ACTIVITY.to_mm(np.moveaxis(np.indices(ACTIVITY.shape), 0, -1)), -1, 0)
    liver = z < 45 - ((x - 31) ** 2 + (y - 31) ** 2) / 60
    shown = np.zeros(ACTIVITY.shape)
    shown[1:-1, 1:-1, 1:-1] = np.where(liver, 1e9, 1e8)[1:-1, 1:-1, 1:-1]
    return Volume(ACTIVITY, shown, Kind.DECAYS)


def _grid(spacing_mm: float) -> Grid:
    return ACTIVITY.with_spacing((spacing_mm,) * 3)


def _found(dose_map: DoseMap) -> dict[str, RegionDose]:
    _, regions = _lungs_above_a_round_liver()
    return {name: region_dose(dose_map, region) for name, region in regions.items()}


@pytest.mark.parametrize("engine", ["local", "kernel"])
def test_means_and_masses_are_those_of_any_grid(engine: str) -> None:
    density, regions = _lungs_above_a_round_liver()
    decays = _decays()
    maps = {s: dose_engine(engine).compute_on(_grid(s), decays, density, Y90) for s in (1.0, 3.0, 4.2, 4.8)}
    found = {s: _found(dose_map) for s, dose_map in maps.items()}
    for name, region in regions.items():
        for spacing, each in found.items():
            # overlaps in single precision
            assert each[name].mass_g == pytest.approx(region.mass_g(density), rel=1e-4)
            assert each[name].volume_ml == pytest.approx(region.volume_ml, rel=1e-4)
            # wanted: 2 % (issue 13). Same fine voxels: rounding; 1 mm and 2 mm have finer ones, where the kernel's
            # energy is no longer taken as even over 2.1 mm: curvature, a per cent at most
            wanted = 1e-4 if spacing > 2.1 else 0.01
            assert each[name].dose_mean_gy == pytest.approx(found[4.2][name].dose_mean_gy, rel=wanted)
    for dose_map in maps.values():
        assert abs(dose_map.energy_balance.closure) < 1e-5
        joule = sum(each.dose_mean_gy * each.mass_g / 1000 for each in _found(dose_map).values())
        # The two structures are all there is in the CT; where the activity image's voxels reach 1 mm beyond it, a
        # kernel carries energy there: 1 mm of 64 on each side, with less than half the dose of the middle
        beyond = 1e-3 if engine == "local" else 0.01
        assert joule == pytest.approx(dose_map.energy_balance.deposited_j, rel=beyond)


def test_default_grid_of_a_matching_ct_is_the_dose_of_the_plain_engine() -> None:
    # activity and CT on the same voxels: cutting them finer and adding up again must give back the dose of each
    density, _ = _lungs_above_a_round_liver()
    decays = Volume(CT, np.where(density.values > 1, 1e8, 1e7), Kind.DECAYS)
    for engine in ("local", "kernel"):
        plain = dose_engine(engine).compute(decays, density, Y90)
        moved = dose_engine(engine).compute_on(CT, decays, density, Y90)
        np.testing.assert_allclose(moved.dose.values, plain.dose.values, rtol=1e-4, atol=1e-6 * plain.dose.values.max())


def test_monte_carlo_means_are_those_of_any_grid() -> None:
    density, regions = _lungs_above_a_round_liver()
    decays = _decays()
    settings = MonteCarloSettings(histories=150_000, seed=5)
    maps = [MonteCarloEngine(settings).compute_on(grid, decays, density, Y90) for grid in (CT, _grid(3.0), _grid(4.8))]
    found = [_found(dose_map) for dose_map in maps]
    for name, region in regions.items():
        for each in found:
            assert each[name].mass_g == pytest.approx(region.mass_g(density), rel=1e-4)
            # the same histories through the same matter: only their energy within soft tissue or lung of a voxel that
            # two structures share is divided otherwise. Wanted: 2 %
            assert each[name].dose_mean_gy == pytest.approx(found[0][name].dose_mean_gy, rel=0.005)
            assert each[name].dose_mean_uncertainty_gy == pytest.approx(
                found[0][name].dose_mean_uncertainty_gy, rel=0.7
            )
    for dose_map in maps:
        assert abs(dose_map.energy_balance.closure) < 1e-6


def _ball(centre_mm: tuple[float, float, float], radius_mm: float) -> Region:
    """A ball on the CT's voxels, those that its surface cuts by their covered fraction."""
    fine = CT.with_spacing((0.5, 0.5, 0.5))
    at = fine.to_mm(np.moveaxis(np.indices(fine.shape), 0, -1)) - np.array(centre_mm)
    return resample_region(Region.from_coverage("tumour", fine, (at**2).sum(axis=-1) < radius_mm**2), CT)


def test_monte_carlo_counts_a_tumour_apart_from_the_liver_around_it() -> None:
    density, regions = _lungs_above_a_round_liver()
    tumour = _ball((30.3, 32.4, 22.2), 10.0)
    rest = replace(regions["liver"] - tumour, name="rest of the liver")
    kidney = _ball((44.0, 46.0, 8.0), 6.0).renamed("kidney")  # without activity, in contact with what has it
    share = 20.0 * tumour.full() + (1 - tumour.full()) * (density.values > 1) * (1 - kidney.full())
    decays = Volume(CT, 1e8 * share, Kind.DECAYS)
    drawn = (tumour, regions["liver"], rest, kidney)
    engine = MonteCarloEngine(MonteCarloSettings(histories=60_000, seed=5))
    found = []
    for spacing in (1.0, 3.0, 4.8):  # in 1 mm no voxel of the dose holds two of matter
        dose_map = engine.compute_on(CT.with_spacing((spacing,) * 3), decays, density, Y90, regions=drawn)
        assert abs(dose_map.energy_balance.closure) < 1e-6
        found.append([region_dose(dose_map, region) for region in drawn])
    for coarse in found[1:]:
        for mine, exact in zip(coarse, found[0], strict=True):
            assert mine.mass_g == pytest.approx(exact.mass_g, rel=1e-4)
            # The same histories: what is left is that the voxels of matter which a contour cuts share their dose within
            # one voxel of the dose, if it covers them by the same quarter. Wanted: 0.5 % (4 % without labels); 1 %
            # where all the dose comes over the border, from a liver of 40 times the dose.
            wanted = 0.01 if mine.name == "kidney" else 0.005
            assert mine.dose_mean_gy == pytest.approx(exact.dose_mean_gy, rel=wanted), mine.name
            assert mine.dose_mean_uncertainty_gy == pytest.approx(exact.dose_mean_uncertainty_gy, rel=0.1)


def test_monte_carlo_counts_in_shifted_voxels_what_lies_there() -> None:
    # One hot voxel of the dose; matter on voxels that are shifted against it by half. The same from matter whose
    # borders are those of the dose: an electron not followed further lies where it would have ended. 1.5 %: three
    # standard uncertainties of the ratio of two runs (0.35 % each).
    dose = Grid.axial((9, 9, 9), spacing_mm=(4.0, 4.0, 4.0))
    decays = np.zeros(dose.shape)
    decays[4, 4, 4] = 1e9
    settings = MonteCarloSettings(histories=100_000, seed=3)
    hot = []
    for origin, shape in ((0.0, 9), (-2.0, 10)):
        matter = Grid.axial((shape,) * 3, spacing_mm=(4.0,) * 3, origin_mm=(origin,) * 3)
        water = Volume(matter, np.ones(matter.shape), Kind.DENSITY)
        found = simulate(Volume(dose, decays, Kind.DECAYS), water, Y90, settings, dose_voxels=DoseVoxels(dose))
        assert found.deposited_j + found.elsewhere_j + found.escaped_electrons_j + found.escaped_photons_j == (
            pytest.approx(found.emitted_j, rel=1e-6)
        )
        hot.append(float(found.dose_gy[4, 4, 4]))
    assert hot[1] == pytest.approx(hot[0], rel=0.015)


def test_highest_dose_in_lung_is_marked() -> None:
    density, _ = _lungs_above_a_round_liver()
    values = np.zeros(CT.shape, np.float32)
    values[16, 16, 35] = 1e9  # in lung
    values[16, 16, 5] = 1e9  # in liver
    decays = Volume(CT, values, Kind.DECAYS)
    kernel = dose_engine("kernel").compute_on(CT, decays, density, Y90)
    assert "maximum-in-low-density" in [message.code for message in kernel.messages]
    assert not kernel.highest.reliable
    assert kernel.highest.dose_gy > 3 * kernel.highest.in_tissue_gy  # the same energy over a quarter of the mass
    found = _found(kernel)
    assert not found["lung"].dose_max_reliable
    assert found["liver"].dose_max_reliable
    tissue = Volume(CT, np.full(CT.shape, 1.06), Kind.DENSITY)
    assert dose_engine("kernel").compute(decays, tissue, Y90, DoseSettings()).highest.reliable
    carried = MonteCarloEngine(MonteCarloSettings(histories=2000, seed=1)).compute(decays, density, Y90)
    assert carried.highest.reliable
    assert "maximum-in-low-density" not in [message.code for message in carried.messages]
