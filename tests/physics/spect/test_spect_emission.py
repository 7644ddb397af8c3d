"""What a decay sends out and what a window sees of it, against stopping powers, theory and published yields."""

import math

import numpy as np
import pytest

from hepatica.errors import PhysicsError
from hepatica.imaging.spect.camera.cameras import gamma_camera, nuclide_windows
from hepatica.imaging.spect.emission import photon_spectrum
from hepatica.imaging.spect.projections import Window
from hepatica.imaging.spect.system import basis_energies, peak_chance, window_model
from hepatica.nuclides import nuclide
from hepatica.nuclides.spectrum import beta_spectrum
from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.electrons import collision_stopping, hard_bremsstrahlung, radiative_stopping
from hepatica.transport.matter.photons import coefficients


def test_bremsstrahlung_carries_the_radiative_loss() -> None:
    """The photons' energy is the electrons' radiative loss on the way to rest, less that to photons below 20 keV.

    Within 3 %: the loss to soft photons takes the cross section k dsigma/dk as even below 20 keV.
    """
    water, spectrum = medium("water"), photon_spectrum(nuclide("Y-90"), "water", inner=False)
    energy, density = beta_spectrum(nuclide("Y-90"), step_kev=5.0)
    steps = np.geomspace(5.0, energy[-1], 200)
    radiative = np.array([radiative_stopping(water, float(t)) for t in steps])
    soft = np.array([hard_bremsstrahlung(water, float(t), 20.0)[1] if t > 21 else math.inf for t in steps])
    share = np.maximum(radiative - soft, 0) / (radiative + collision_stopping(water, steps))
    lost = np.concatenate([[0.0], np.cumsum(np.diff(steps) * (share[1:] + share[:-1]) / 2)])
    expected = np.trapezoid(density * np.interp(energy, steps, lost), energy)
    middle, yields = spectrum.points
    assert (middle * yields).sum() == pytest.approx(expected, rel=0.03)


def test_yields_of_yttrium() -> None:
    """Photons above 50 keV per decay in tissue: 2.3 % (Rault et al., Cancer Biother Radiopharm 2010;25:423, as
    generally quoted; confidence medium). External bremsstrahlung alone gives 1.8 %, with inner bremsstrahlung 2.5 %."""
    for inner, low, high in ((False, 0.015, 0.023), (True, 0.022, 0.028)):
        energy, yields = photon_spectrum(nuclide("Y-90"), inner=inner).points
        assert low < yields[energy > 50].sum() < high


def test_inner_bremsstrahlung_goes_as_one_over_energy() -> None:
    """For soft photons an electron of velocity b emits alpha / (pi k) * (ln((1 + b) / (1 - b)) / b - 2) per energy."""
    inner = photon_spectrum(nuclide("Y-90")), photon_spectrum(nuclide("Y-90"), inner=False)
    middle = np.sqrt(inner[0].edge_kev[1:] * inner[0].edge_kev[:-1])
    per_kev = (inner[0].continuum_yield - inner[1].continuum_yield) / np.diff(inner[0].edge_kev)
    energy, density = beta_spectrum(nuclide("Y-90"), step_kev=2.0)
    total = 1 + energy[1:] / 510.99895
    b = np.sqrt(1 - 1 / total**2)
    chance = (np.log((1 + b) / (1 - b)) / b - 2) / 137.036 / np.pi
    expected = np.trapezoid(density[1:] * chance, energy[1:]) / middle[0]
    # At 20 keV of 2280 keV the soft limit is still 6 % too high.
    assert per_kev[0] == pytest.approx(expected, rel=0.08)
    assert per_kev[0] < expected


@pytest.mark.parametrize("limits", ["105-195", "75-225", "55-285"])
def test_three_energies_attenuate_like_the_whole_spectrum(limits: str) -> None:
    """Within 1.5 % for 10 and 20 cm of water, 2.5 % for 30; one mean energy is 5 % wrong at 20 in the widest."""
    camera, yttrium = gamma_camera("siemens-hegp"), nuclide("Y-90")
    window = nuclide_windows(yttrium, which=limits)[0][0]
    model = window_model(camera, yttrium, window)
    energy, emitted = photon_spectrum(yttrium).points
    counts = emitted * model.chance(energy)
    seen = counts > 0
    water = medium("water")

    def left(at: np.ndarray, weights: np.ndarray, cm: float) -> float:
        mu = coefficients(water, np.asarray(at)).sum(axis=0)
        return float(np.average(np.exp(-mu * cm), weights=weights))

    for cm, within in ((10.0, 0.015), (20.0, 0.015), (30.0, 0.025)):
        exact = left(energy[seen], counts[seen], cm)
        assert left(np.array(model.energy_kev), np.array(model.weights), cm) == pytest.approx(exact, rel=within)
    if limits == "55-285":
        mean = left(np.array([model.mean_energy_kev]), np.ones(1), 20.0)
        assert mean > 1.04 * left(energy[seen], counts[seen], 20.0)


def test_peaks_are_as_the_formula_says_and_the_rest_is_refused() -> None:
    camera = gamma_camera("siemens-megp")
    lutetium = nuclide("Lu-177")
    peak = nuclide_windows(lutetium)[0][0]
    model = window_model(camera, lutetium, peak)
    assert len(model.energy_kev) == 1
    assert model.energy_kev[0] == pytest.approx(208.4, abs=1.0)
    # The bremsstrahlung of its betas adds less than 1 % to the line; a table of the detector adds partial deposits.
    assert model.sensitivity_cps_per_bq == pytest.approx(camera.sensitivity_cps_per_bq(lutetium, peak), rel=0.15)
    formula = peak_chance(camera, peak)(np.array([208.37, 500.0, 5000.0]))
    assert formula[0] > 0
    assert formula[1:].tolist() == [0, 0]
    assert window_model(camera, lutetium, peak, energy_kev=150.0).energy_kev == (150.0,)
    with pytest.raises(PhysicsError, match="no photon line of Lu-177"):
        window_model(camera, lutetium, Window(400.0, 500.0))
    with pytest.raises(PhysicsError, match="no window for the bremsstrahlung"):
        window_model(gamma_camera("siemens-hegp"), nuclide("Y-90"), Window(435.0, 650.0))
    assert basis_energies(np.array([140.0, 141.0]), np.array([1.0, 1.0])) == ((140.5,), (1.0,))
