"""Internal bremsstrahlung against the theorem on soft photons and the limit of energy."""

import numpy as np
import pytest

from hepatica.nuclides import nuclide
from hepatica.nuclides.internal_bremsstrahlung import FINE_STRUCTURE, internal_bremsstrahlung, photons_per_beta


@pytest.mark.parametrize("beta_kev", [50.0, 500.0, 2000.0])
def test_soft_photons_follow_classical_radiation(beta_kev: float) -> None:
    """A charge that suddenly moves with beta radiates ``k dN/dk = (alpha/pi) (1/beta ln((1+beta)/(1-beta)) - 2)``.

    Jackson, Classical Electrodynamics, 3rd ed., eq. 15.66. At k = 1e-4 of the energy the quantum correction is of
    that order.
    """
    total = 1 + beta_kev / 510.99895
    beta = np.sqrt(1 - 1 / total**2)
    expected = FINE_STRUCTURE / np.pi * (np.log((1 + beta) / (1 - beta)) / beta - 2)
    k = 1e-4 * beta_kev
    assert float(photons_per_beta(beta_kev, k)) * k == pytest.approx(expected, rel=2e-3)


def test_no_photon_has_more_than_the_beta_particle() -> None:
    found = photons_per_beta(300.0, np.array([10.0, 299.0, 300.0, 301.0]))
    assert (found[:2] > 0).all()
    assert (found[2:] == 0).all()


def test_bins_add_up_whatever_their_width() -> None:
    coarse = internal_bremsstrahlung(nuclide("Y-90"), np.geomspace(50, 2000, 60))[1].sum()
    fine = internal_bremsstrahlung(nuclide("Y-90"), np.geomspace(50, 2000, 400))[1].sum()
    assert coarse == pytest.approx(fine, rel=2e-3)
    # the order of alpha/pi per decade of energy
    assert 0.002 < fine < 0.02
    assert internal_bremsstrahlung(nuclide("Tc-99m"), [100.0, 200.0])[1][0] < 1e-5
