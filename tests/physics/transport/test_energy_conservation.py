"""Every joule emitted is deposited, stated as outside, or left out on purpose."""

from pathlib import Path

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.core.constants import MEV_TO_J
from hepatica.core.resample import resample
from hepatica.dosimetry.engines.registry import DoseSettings, dose_engine
from hepatica.imaging.quantify.activity import handle_negatives
from hepatica.io.itk import read_itk
from hepatica.nuclides import NUCLIDE_NAMES, nuclide
from hepatica.transport.kernels.voxel import kernel_names, point_kernel
from hepatica.transport.matter.media import density_from_hu

WITH_KERNEL = [name for name, medium in kernel_names() if medium == "water"]


def energy_of(dose: Volume, density: Volume) -> float:
    """Sum of dose times mass in J."""
    mass_kg = density.values.astype(np.float64) * density.grid.voxel_volume_ml / 1000
    return float((dose.values * mass_kg).sum())


@pytest.mark.parametrize("name", NUCLIDE_NAMES)
def test_local_in_a_patient_of_many_densities(name: str, oblique_grid: Grid) -> None:
    # Exact but for single precision: 1e-6 (wanted: 0.2 %).
    random = np.random.default_rng(11)
    decays = Volume(oblique_grid, random.uniform(0, 1e10, oblique_grid.shape), Kind.DECAYS)
    density = Volume(oblique_grid, random.uniform(0.1, 2.0, oblique_grid.shape), Kind.DENSITY)
    emitter = nuclide(name)
    electrons = dose_engine("local").compute(decays, density, emitter)
    expected = decays.total * emitter.electron_energy_mev * MEV_TO_J
    assert energy_of(electrons.dose, density) == pytest.approx(expected, rel=1e-6)
    everything = dose_engine("local").compute(decays, density, emitter, DoseSettings(local_photon_fraction=1.0))
    expected += decays.total * emitter.photon_energy_mev * MEV_TO_J
    assert energy_of(everything.dose, density) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", WITH_KERNEL)
@pytest.mark.parametrize("option", ["local", "none"])
def test_kernel_in_the_full_field(name: str, option: str) -> None:
    # One source in 1010 mm of water, so that all the kernel knows (500 mm) lies within. The energy of electrons and
    # photons must be there but for the shares that the table says are absorbed farther away; 0.2 % (issue 2).
    grid = Grid.axial((101, 101, 101), spacing_mm=(10, 10, 10))
    values = np.zeros(grid.shape, np.float32)
    values[50, 50, 50] = 1e12
    decays = Volume(grid, values, Kind.DECAYS)
    water = Volume(grid, np.ones(grid.shape, np.float32), Kind.DENSITY)
    emitter = nuclide(name)
    result = dose_engine("kernel").compute(decays, water, emitter, DoseSettings(density=option))  # type: ignore[arg-type]
    table = point_kernel(name)
    reachable = table.electron_sum * emitter.electron_energy_mev + table.photon_sum * emitter.photon_energy_mev
    assert energy_of(result.dose, water) == pytest.approx(1e12 * reachable * MEV_TO_J, rel=2e-3)
    assert result.energy_balance.deposited_j == pytest.approx(energy_of(result.dose, water), rel=1e-5)
    outside = result.energy_balance.outside_j / result.energy_balance.emitted_j
    assert outside == pytest.approx(1 - reachable / (emitter.electron_energy_mev + emitter.photon_energy_mev), abs=2e-3)


def test_kernel_keeps_energy_voxel_by_voxel_in_a_patient_of_many_densities(oblique_grid: Grid) -> None:
    # "local": what falls into tissue is what the uniform medium would get there, over each voxel's own mass.
    random = np.random.default_rng(12)
    decays = Volume(oblique_grid, random.uniform(0, 1e10, oblique_grid.shape), Kind.DECAYS)
    density = Volume(oblique_grid, random.uniform(0.0, 2.0, oblique_grid.shape), Kind.DENSITY)
    result = dose_engine("kernel").compute(decays, density, nuclide("Y-90"))
    balance = result.energy_balance
    assert energy_of(result.dose, density) == pytest.approx(balance.deposited_j, rel=1e-6)
    assert balance.in_air_j > 0
    assert balance.outside_j > 0


def test_y90_kernel_equals_local_inside_a_large_uniform_region() -> None:
    # A sphere of 150 mm radius in water, at its centre. 0.2 % (issue 2): electrons stop within 11 mm; of the
    # bremsstrahlung (0.4 % of the energy) a third leaves the sphere.
    grid = Grid.axial((80, 80, 64), spacing_mm=(4, 4, 5))
    centre = np.array([39.5, 39.5, 31.5]) * [4, 4, 5]
    i, j, k = (np.arange(n) * a - c for n, a, c in zip(grid.shape, grid.spacing_mm, centre, strict=True))
    inside = i[:, None, None] ** 2 + j[:, None] ** 2 + k**2 < 150**2
    decays = Volume(grid, np.where(inside, 1e9, 0), Kind.DECAYS)
    water = Volume(grid, np.ones(grid.shape, np.float32), Kind.DENSITY)
    y90 = nuclide("Y-90")
    kernel, local = (dose_engine(name).compute(decays, water, y90).dose.values for name in ("kernel", "local"))
    well_inside = np.s_[34:46, 34:46, 26:38]
    np.testing.assert_allclose(kernel[well_inside], local[well_inside], rtol=2e-3)


def test_a_real_torso(real_data: Path) -> None:
    # Real CT and SPECT-derived decays (HEPATICA_DATA torso-ct-tia, taken as 90Y), slightly negative background: the sum
    # of dose times mass is what the balance says, and the balance closes, with 0.2 % asked for and 1e-5 held.
    ct, _ = read_itk(real_data / "torso-ct-tia" / "ct.nii.gz", Kind.HU)
    measured, _ = read_itk(real_data / "torso-ct-tia" / "tia.nii.gz", Kind.DECAYS, factor=3.6e9)
    cleaned = handle_negatives(measured, "zero")
    assert cleaned.voxels > 0
    assert cleaned.messages
    decays = resample(cleaned.volume, ct.grid, "total")
    # 65.82 MBq h in the file (data/README.md); the CT's field of view leaves next to nothing out.
    assert decays.total / 3.6e9 == pytest.approx(65.82, rel=2e-3)
    density = density_from_hu(ct)
    emitter = nuclide("Y-90")
    maps = {name: dose_engine(name).compute(decays, density, emitter) for name in ("local", "kernel")}
    for result in maps.values():
        balance = result.energy_balance
        assert energy_of(result.dose, density) == pytest.approx(balance.deposited_j, rel=1e-5)
        assert balance.closure == pytest.approx(0, abs=1e-9)
        assert balance.in_air_j < 0.005 * balance.emitted_j
    # The kernel moves energy, it does not make any: what it deposits less than `local` left the image.
    lost = maps["local"].energy_balance.deposited_j - maps["kernel"].energy_balance.deposited_j
    assert 0 < lost < 0.005 * maps["local"].energy_balance.deposited_j
    assert any("(lung)" in str(message) for message in maps["kernel"].messages)
