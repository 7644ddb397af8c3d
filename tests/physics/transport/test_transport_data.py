"""Stopping powers, attenuation and scattering against published tables."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.core.constants import AVOGADRO
from hepatica.transport.matter.composition import elements, media, medium
from hepatica.transport.matter.electrons import (
    CLASSICAL_RADIUS2_CM2,
    DensityEffect,
    collision_stopping,
    hard_bremsstrahlung,
    radiative_stopping,
)
from hepatica.transport.matter.photons import coefficients
from hepatica.transport.matter.scattering import (
    _deflections,
    angular_quantiles,
    scattering_per_mass,
    soft_deflections,
)
from hepatica.transport.matter.stepping import StepModel, build_ladder

# NIST ESTAR (physics.nist.gov/PhysRefData/Star), liquid water, I = 75 eV: MeV cm2/g; printed to four digits.
ESTAR_WATER = {10: 22.56, 20: 13.17, 50: 6.603, 100: 4.115, 200: 2.793, 500: 2.034, 1000: 1.849, 2000: 1.824}
ESTAR_AIR = {10: 19.75, 100: 3.633, 1000: 1.661}
# NIST (Hubbell and Seltzer, NISTIR 5632), water with coherent scattering: cm2/g
XCOM_WATER = {10: 5.329, 30: 0.3756, 60: 0.2059, 100: 0.1707, 200: 0.1370, 500: 0.09687, 1000: 0.07072, 2000: 0.04942}


@pytest.mark.parametrize(("name", "table"), [("water", ESTAR_WATER), ("air", ESTAR_AIR)])
def test_collision_stopping_power_is_estars(name: str, table: dict[int, float]) -> None:
    ours = collision_stopping(medium(name), list(table)) / 1000
    # both are the Bethe formula; what is left is the density effect (ours from free-atom shells) and the rounding
    np.testing.assert_allclose(ours, list(table.values()), rtol=6e-4)


def test_density_effect_of_water_is_estars_and_lung_has_its_own() -> None:
    # ESTAR prints 0.2428 at 1 MeV; 0.005 of it is 0.03 % of the stopping power
    assert DensityEffect(medium("water"))(1000.0)[0] == pytest.approx(0.2428, abs=0.005)
    # lung at 0.26 g/mL against the same composition at unit density: less density effect, stopping 0.5-2 % larger
    lung = medium("lung")
    dense = type(lung)(lung.name, 1.05, lung.fractions, lung.mean_excitation_ev)
    ratio = collision_stopping(lung, [1000.0])[0] / collision_stopping(dense, [1000.0])[0]
    assert 1.005 < ratio < 1.02


def test_csda_range_of_water_is_estars() -> None:
    ladder = build_ladder([medium("water")])
    energy, reach = ladder.energy_kev[:-1][::-1], ladder.csda_range[0][::-1] / 10
    # ESTAR, g/cm2; 0.4 %: linear interpolation in our ladder and the residual range below the cut-off
    for kev, published in {100: 1.431e-2, 200: 4.488e-2, 500: 0.1766, 1000: 0.4367, 2000: 0.9785}.items():
        found = np.exp(np.interp(np.log(kev), np.log(energy), np.log(reach)))
        assert found == pytest.approx(published, rel=4e-3)


def test_radiative_stopping_power_of_other_media() -> None:
    # ESTAR, dry air at 1 MeV 1.271e-2 MeV cm2/g, from water by Z(Z+1) scaling of the analytic cross section: 2 %
    assert radiative_stopping(medium("air"), 1000.0) / 1000 == pytest.approx(1.271e-2, rel=0.02)


def test_photon_attenuation_of_water_is_xcoms() -> None:
    energies = np.array(list(XCOM_WATER), dtype=float)
    ours = coefficients(medium("water"), energies).sum(axis=0)
    # EPDL97 against XCOM: 1 % below 30 keV (photoelectric), better above
    np.testing.assert_allclose(ours, list(XCOM_WATER.values()), rtol=0.01)


def test_pair_production_opens_at_threshold_and_matches_xcom() -> None:
    nuclear = coefficients(medium("water"), np.array([1000.0, 2000.0]))[3]
    assert nuclear[0] == 0
    # XCOM, water, nuclear field, 2 MeV: 3.908e-4 cm2/g; Born without screening 2 % there
    assert nuclear[1] == pytest.approx(3.908e-4, rel=0.03)


# First elastic transport coefficient of water, cm2/g, from the partial waves (ELSEPA) that PENELOPE-2018 tabulates;
# printed by pyPenred 1.15.2: materials.createListed(278, "water.mat"), column sigma_1 times 6.02214e23 / 18.015.
ELSEPA_WATER = {50: 213.0, 200: 19.42, 1000: 1.564}


def test_elastic_scattering_of_water_agrees_with_partial_waves() -> None:
    for kev, published in ELSEPA_WATER.items():
        # Moliere's screening and the spin factor stay within 1 % of partial waves for H and O above 20 keV
        assert scattering_per_mass(medium("water"), kev, 1e-6)[1] == pytest.approx(published, rel=0.015)


def test_atomic_electrons_are_not_screened_by_the_atom() -> None:
    """Fano, Phys Rev 1954;93:117: inelastic collisions have a longer logarithm than elastic ones, by this in the form
    ``ln[0.160 Z^(-2/3) (1 + 3.33 Z alpha / beta)] - u``, -u = 3.6 for hydrogen and 5.0 for oxygen.
    """
    water, kev = medium("water"), 1000.0
    mu, weight, lost = _deflections()
    tau, small = kev / 511.0, 1e-3  # beyond oxygen's K shell, and both cross sections are Rutherford's
    beta2, p2 = tau * (tau + 2) / (tau + 1) ** 2, tau * (tau + 2)
    logarithms = {1: 3.6, 8: 5.0}
    screened, fano = np.zeros_like(mu), 0.0
    for z, share in water.fractions:
        atoms = AVOGADRO * share / elements()[z].weight_g_mol * np.pi * CLASSICAL_RADIUS2_CM2 / (p2 * beta2)
        charge = z / 137.036
        # Moliere's screening angle, as for the nucleus
        screening = z ** (2 / 3) / (137.036 * 0.885) ** 2 / (4 * p2) * (1.13 + 3.76 * charge**2 / beta2)
        screened += atoms * z / (mu + screening) ** 2
        longer = np.log(0.160 * z ** (-2 / 3) * (1 + 3.33 * charge / np.sqrt(beta2))) + logarithms[z]
        fano += 2 * atoms * z * longer  # G_1 is twice the integral of mu
    inelastic = soft_deflections(water, kev, mu)
    found = float((lost[1] * weight * (mu < small)) @ (inelastic - screened))
    # The logarithm is longer by 1.9. Ours, 2 + ln(screening / mu of 75 eV), is the molecule's, theirs of free atoms
    assert found == pytest.approx(fano, rel=0.1)
    assert found > 0.02 * scattering_per_mass(water, kev, 1e-6)[1]  # far from nothing: ranges are 0.3 % shorter by it


def test_thickness_of_a_step_that_begins_between_two_rungs() -> None:
    # thickness goes with E^1.75 at low energies: linear interpolation made steps there up to 0.4 % too long
    water, model = medium("water"), StepModel()
    ladder = build_ladder([water], model)
    top, limit = ladder.energy_kev[:-2], ladder.hard_limit_kev[:-1]
    for part in (0.25, 0.5, 0.75):
        begins = top + part * (ladder.energy_kev[1:-1] - top)
        hard = limit + part * (ladder.hard_limit_kev[1:] - limit)
        thickness, bend = ladder.thickness[0], ladder.bend[0][:-1]
        found = thickness[:-1] + part * (thickness[1:] - thickness[:-1] - (1 - part) * bend)
        for one, kev, largest in list(zip(found, begins, hard, strict=True))[::6]:
            energies = np.linspace(kev * model.ratio, kev, 41)
            losses = collision_stopping(water, energies, np.full(41, largest))
            losses += [hard_bremsstrahlung(water, float(e), model.photon_cutoff_kev)[1] for e in energies]
            assert one == pytest.approx(10 * np.trapezoid(1 / losses, energies), rel=5e-4)


@pytest.mark.parametrize("kev", [100.0, 500.0, 1000.0, 2000.0])
def test_bremsstrahlung_photons_carry_the_radiative_stopping_power(kev: float) -> None:
    ladder = build_ladder([medium("water")])
    rung = int(np.argmin(np.abs(ladder.energy_kev[:-1] - kev)))
    middle = float(ladder.energy_kev[rung : rung + 2].mean())
    nodes = ladder.photon_quantile[rung]
    place = (np.arange(100 * (len(nodes) - 1)) + 0.5) / 100
    sampled = middle ** np.interp(place, np.arange(len(nodes)), nodes)  # the photon cut-off is 1 keV
    number, below = hard_bremsstrahlung(medium("water"), middle, 1.0)
    # 0.7 %: the total is integrated on a coarser grid up to the end of the spectrum
    assert number * sampled.mean() + below == pytest.approx(radiative_stopping(medium("water"), middle), rel=7e-3)


def test_goudsmit_saunderson_sampling_keeps_the_first_moments() -> None:
    water = medium("water")
    moments = 0.02 * scattering_per_mass(water, 500.0, 50.0) / scattering_per_mass(water, 500.0, 50.0)[1] * 7
    quantiles = angular_quantiles(moments)
    v = (np.arange(200_000) + 0.5) / 200_000
    probability = 2 * (1 - v) / np.sum(2 * (1 - v))
    cosine = 1 - 2 * np.interp(v * (len(quantiles) - 1), np.arange(len(quantiles)), quantiles)
    # exact moments of the Legendre series: exp(-K_1), and <cos^2> = (1 + 2 exp(-K_2)) / 3
    assert probability @ cosine == pytest.approx(np.exp(-moments[1]), abs=1e-4)
    assert probability @ cosine**2 == pytest.approx((1 + 2 * np.exp(-moments[2])) / 3, abs=2e-3)


def test_every_medium_has_tables() -> None:
    for one in media().values():
        ladder = build_ladder([one], StepModel(ratio=0.7))
        assert (ladder.thickness > 0).all()
        assert (np.diff(ladder.csda_range[0]) < 0).all()
        # a rung's thickness times the stopping power is about the rung's energy
        assert np.isfinite(ladder.angle).all()
