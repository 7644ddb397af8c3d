"""Photons that accompany beta decay itself, because a charge appears and leaves: internal bremsstrahlung.

Knipp and Uhlenbeck, Physica 1936;3:425, and Bloch, Phys Rev 1936;50:272 (the KUB theory, exact for allowed decays
without the nuclear charge). With energies in units of the electron's rest energy, the number of photons of energy k per
beta particle that would have had the total energy We is ::

    (alpha / pi) (p / pe) / k * ((We^2 + W^2) / (We p) * ln(W + p) - 2) dk,    W = We - k

The nuclear charge and forbiddenness raise it by 5 to 15 % for the decays used here; that is not in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.constants import ELECTRON_REST_KEV, FINE_STRUCTURE
from hepatica.nuclides.nuclide import Nuclide
from hepatica.nuclides.spectrum import beta_spectrum

FloatArray = NDArray[np.float64]


def photons_per_beta(beta_kev: ArrayLike, photon_kev: ArrayLike) -> FloatArray:
    """Internal bremsstrahlung photons per keV and beta particle; 0 at and above the particle's energy (broadcast)."""
    total = 1 + np.asarray(beta_kev, dtype=np.float64) / ELECTRON_REST_KEV
    k = np.asarray(photon_kev, dtype=np.float64) / ELECTRON_REST_KEV
    left = total - k
    possible = left > 1
    left = np.where(possible, left, 2.0)
    p, p_first = np.sqrt(left**2 - 1), np.sqrt(np.maximum(total**2 - 1, 1e-12))
    bracket = (total**2 + left**2) / (total * p) * np.log(left + p) - 2
    found = FINE_STRUCTURE / np.pi * p / p_first / k * bracket / ELECTRON_REST_KEV
    return np.where(possible, np.maximum(found, 0.0), 0.0)


def internal_bremsstrahlung(nuclide: Nuclide, edges_kev: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Photons per decay in bins of energy.

    Parameters
    ----------
    nuclide : Nuclide
        All its beta branches together.
    edges_kev : array, shape (n + 1,)
        Edges of the bins, rising, above 0.

    Returns
    -------
    energy_kev : ndarray, shape (n,)
        Geometric mean of each bin's edges.
    photons : ndarray, shape (n,)
        Photons per decay.
    """
    edges = np.asarray(edges_kev, dtype=np.float64)
    middle = np.sqrt(edges[1:] * edges[:-1])
    if not nuclide.betas:
        return middle, np.zeros(middle.size)
    energy, density = beta_spectrum(nuclide)
    weights = density * np.gradient(energy)
    weights *= sum(b.yield_per_decay for b in nuclide.betas) / weights.sum()
    # photons per keV fall about as 1/k: k times that is nearly even within a bin
    per_log = photons_per_beta(energy[:, None], middle) * middle
    return middle, np.asarray(weights @ per_log * np.log(edges[1:] / edges[:-1]))
