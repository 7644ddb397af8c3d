"""Iodised oil as a material: its composition by share, and the K radiation that iodine sends through tissue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.nuclides import nuclide
from hepatica.transport.matter.composition import MEDIA_BY_DENSITY, media_by_density, medium
from hepatica.transport.matter.iodised_oil import density_with_oil, media_with_oil, oil_g_ml
from hepatica.transport.matter.photons import build_photons, coefficients
from hepatica.transport.matter.stepping import StepModel
from hepatica.transport.runner.decays import DecayTransport, Places
from hepatica.transport.runner.montecarlo import simulate
from hepatica.transport.runner.settings import MonteCarloSettings
from hepatica.transport.runner.source import emission
from hepatica.transport.runner.upload import Phantom

IODINE = 53


def test_medium_of_a_voxel_follows_its_oil_and_what_else_it_holds() -> None:
    hu = np.array([55.0, 130.0, 1255.0, 20_000.0])
    oil = oil_g_ml(hu, 55.0)
    density = density_with_oil(oil, 1.06)
    index, media = media_with_oil(density, oil, MEDIA_BY_DENSITY)
    iodine = [dict(media[n].fractions).get(IODINE, 0.0) for n in index]
    # mg of iodine in a mL by 25 HU each, over g of the mL; steps of 1.4 in the share, 0.6 % of oil is none
    wanted = np.array([0, 0, 0.048, 0.480]) / density
    assert iodine[:2] == [0.0, 0.0]
    assert iodine[2] == pytest.approx(wanted[2], rel=0.2)
    assert iodine[3] == pytest.approx(wanted[3], rel=1e-3)
    assert [media[n].name for n in index[:2]] == ["soft_tissue"] * 2
    assert media[index[3]].density_g_ml == pytest.approx(1.28)
    # oil in lung is lung with oil
    lung, names = media_with_oil(np.array([0.30]), np.array([0.05]), MEDIA_BY_DENSITY)
    assert names[lung[0]].name.startswith("lung with 1")
    # without oil nothing changes
    everywhere = np.linspace(0.001, 3.0, 50)
    plain, oily = media_by_density(everywhere), media_with_oil(everywhere, np.zeros(50), MEDIA_BY_DENSITY)
    assert [plain[1][n].name for n in plain[0]] == [oily[1][n].name for n in oily[0]]


@pytest.mark.parametrize(("kev", "absorbed"), [(40.0, 9.606), (60.0, 4.515)])
def test_k_radiation_of_iodine_by_its_energy_absorption(kev: float, absorbed: float) -> None:
    """Mass energy-absorption coefficient of iodine (NIST, as xraylib 4 prints it): what is left out are x rays."""
    tables = build_photons([medium("iodised_oil"), medium("soft_tissue")])
    at = int(np.argmin(np.abs(tables.energy_kev - kev)))
    iodine = replace(medium("sodium_iodide"), fractions=((IODINE, 1.0),))
    photoelectric = float(coefficients(iodine, np.array([kev]))[0, 0])
    # mean energy of a K x ray: 0.816 of 28.5, 0.184 of 32.4 keV
    leaves = tables.fluorescence[0, at] * 29.22 / kev
    # L x rays, which stay here, are 1 % of 40 keV; K shares of two tabulations differ by 2 %
    assert photoelectric * (1 - leaves) == pytest.approx(absorbed, rel=0.04)
    assert not tables.fluorescence[0, tables.energy_kev < 33.1].any()
    assert not tables.fluorescence[1].any()


def test_photons_that_iodine_absorbs_send_x_rays_on() -> None:
    """40 keV photons in a small sphere's worth of oil: what a first absorption leaves is less by the K x ray."""
    oil = medium("iodised_oil")
    size = 0.02  # mm, a fiftieth of the mean free path: second collisions are few
    shape = (1, 1, 1)
    phantom = Phantom((size,) * 3, np.full(shape, oil.density_g_ml, np.float32), np.zeros(shape, np.uint8), (oil,))
    emitted = replace(
        emission(nuclide("I-131"), "photon"), gamma_kev=np.array([40.0]), gamma_yield=np.ones(1), local_kev=0.0
    )
    places = Places.of_phantom(phantom, np.array([0]), np.ones(1))
    # no electron leaves the voxel: only photons of more than 50 keV would be followed as electrons
    model = StepModel(cutoff_kev=50.0)
    n = 400_000
    tally, counters = DecayTransport(phantom, emitted, places, model=model).run(3, 0, n, 1)
    sent_on = counters[2] / n
    photoelectric, compton, coherent, _ = coefficients(oil, np.array([40.0]))[:, 0]
    share = build_photons([oil]).fluorescence[0]
    at = int(np.argmin(np.abs(build_photons([oil]).energy_kev - 40.0)))
    per_collision = photoelectric * (40.0 - share[at] * 29.22) / (photoelectric + compton + coherent)
    without = photoelectric * 40.0 / (photoelectric + compton + coherent)
    stays = float(tally.sum()) / n
    collided = stays / per_collision
    assert 0.002 < collided < 0.02
    # without fluorescence they would leave 1 / (1 - 0.834 x 0.882 x 29.22 / 40) times as much
    assert without / per_collision == pytest.approx(2.16, rel=0.02)
    assert stays + sent_on == pytest.approx(40.0, rel=1e-6)
    path_mm = -np.log(1 - collided) / ((photoelectric + compton + coherent) * oil.density_g_ml / 10)
    # mean way out of a cube of edge a from anywhere in it: 0.448 a (by 2e6 rays). 3000 collisions: 2 %; x rays that are
    # absorbed again 1 %
    assert path_mm == pytest.approx(0.448 * size, rel=0.06)


def test_dose_to_tissue_with_oil_by_monte_carlo() -> None:
    """90Y in uniform matter: dose is energy over mass, whatever of it is oil; by the CT's density it would be 0.65."""
    grid = Grid.axial((12, 12, 12), spacing_mm=(4.0, 4.0, 4.0))
    decays = Volume(grid, np.full(grid.shape, 1e9), Kind.DECAYS)
    oil = np.full(grid.shape, 0.128, np.float32)
    density = Volume(grid, density_with_oil(oil, 1.06), Kind.DENSITY)
    settings = MonteCarloSettings(histories=60_000, seed=5)
    found = simulate(decays, density, nuclide("Y-90"), settings, oil=density.with_values(oil))
    middle = found.dose_gy[4:8, 4:8, 4:8].mean()
    electrons_j = nuclide("Y-90").electron_energy_mev * 1.602e-13 * 1e9
    expected = electrons_j / (0.064e-3 * float(density.values[0, 0, 0]))
    # 0.3 % is bremsstrahlung that leaves, the rest noise of 60 000 decays
    assert middle == pytest.approx(expected, rel=0.03)
