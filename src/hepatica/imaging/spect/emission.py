"""Photons that leave the place of decay: gamma and X-ray lines, bremsstrahlung in tissue, inner bremsstrahlung.

Bremsstrahlung is born within the range of the betas (3.6 mm on average for 90Y), which the analytic models take as the
place of decay. Its spectrum follows from the slowing down of the electrons: of N(> T) electrons that pass the energy T,
each emits ``dsigma/dk / S(T)`` photons per keV of photon energy and keV of its own energy.

Inner bremsstrahlung comes with the decay itself (`nuclides.internal_bremsstrahlung`), a lower bound. For 90Y in water
it is 28 % of all photons above 50 keV; most simulations leave it out. (For 32P it raises the dose beyond the range of
the betas by 30 to 40 %: abstract of "Internal Bremsstrahlung, the missing process in beta decay Monte Carlo simulation?
The relevance in 32P dose-point-kernel estimation".)
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.nuclides import Nuclide
from hepatica.nuclides import nuclide as nuclide_named
from hepatica.nuclides.internal_bremsstrahlung import photons_per_beta
from hepatica.nuclides.spectrum import beta_spectrum
from hepatica.transport.matter.composition import Medium, medium
from hepatica.transport.matter.electrons import bremsstrahlung_spectrum, collision_stopping, radiative_stopping

FloatArray = NDArray[np.float64]

LOWEST_KEV = 20.0
"""Photons below do not leave the body and are in no window."""
BINS = 160


@dataclass(frozen=True, slots=True, eq=False)
class PhotonSpectrum:
    """Photons per decay: lines, and a continuum in bins.

    Attributes
    ----------
    line_kev, line_yield : ndarray, shape (lines,)
        Energies and photons per decay.
    edge_kev : ndarray, shape (bins + 1,)
        Edges of the continuum's bins; empty without a continuum.
    continuum_yield : ndarray, shape (bins,)
        Photons per decay in each bin.
    """

    line_kev: FloatArray
    line_yield: FloatArray
    edge_kev: FloatArray
    continuum_yield: FloatArray

    @property
    def points(self) -> tuple[FloatArray, FloatArray]:
        """Lines and middles of bins together: energies in keV and photons per decay."""
        middle = np.sqrt(self.edge_kev[1:] * self.edge_kev[:-1])
        energy = np.concatenate([self.line_kev, middle])
        return energy, np.concatenate([self.line_yield, self.continuum_yield])


def photon_spectrum(nuclide: Nuclide, medium_name: str = "soft_tissue", *, inner: bool = True) -> PhotonSpectrum:
    """Photons above 20 keV that a decay in a medium sends out, annihilation photons left out.

    Parameters
    ----------
    nuclide : Nuclide
        What decays.
    medium_name : str
        In which the betas slow down.
    inner : bool
        With inner bremsstrahlung.

    Raises
    ------
    UnknownNameError
        If the medium is not known.
    """
    return _photon_spectrum(nuclide.name, medium_name, inner)


@functools.lru_cache(maxsize=16)
def _photon_spectrum(name: str, medium_name: str, inner: bool) -> PhotonSpectrum:
    nuclide = nuclide_named(name)
    lines = [p for p in nuclide.photons if p.kind != "annihilation" and p.energy_kev >= LOWEST_KEV]
    energies = np.array([p.energy_kev for p in lines])
    yields = np.array([p.yield_per_decay for p in lines])
    if not nuclide.betas:
        return PhotonSpectrum(energies, yields, np.zeros(0), np.zeros(0))
    electron, density = beta_spectrum(nuclide, step_kev=2.0)
    edges = np.geomspace(LOWEST_KEV, electron[-1], BINS + 1)
    middle = np.sqrt(edges[1:] * edges[:-1])
    per_kev = _slowing_down(electron, density, medium(medium_name), middle)
    if inner:
        per_kev = per_kev + _inner(electron, density, middle)
    return PhotonSpectrum(energies, yields, edges, per_kev * np.diff(edges))


def _slowing_down(electron: FloatArray, density: FloatArray, slowing: Medium, photon: FloatArray) -> FloatArray:
    """Bremsstrahlung photons per keV and decay of electrons of a spectrum that come to rest in a medium."""
    below = np.concatenate([[0.0], np.cumsum(np.diff(electron) * (density[1:] + density[:-1]) / 2)])
    above = below[-1] - below
    energy = np.geomspace(photon[0], electron[-1] * 0.999, 150)
    stopping = collision_stopping(slowing, energy) + np.array([radiative_stopping(slowing, float(t)) for t in energy])
    passing = np.interp(energy, electron, above)
    number = np.zeros((energy.size, photon.size))
    for row, t in enumerate(energy):
        softer = photon < 0.998 * t
        number[row, softer] = bremsstrahlung_spectrum(slowing, float(t), photon[softer]) / photon[softer]
    return np.asarray(np.trapezoid(number * (passing / stopping)[:, None], energy, axis=0))


def _inner(electron: FloatArray, density: FloatArray, photon: FloatArray) -> FloatArray:
    """Inner bremsstrahlung photons per keV and decay."""
    share = photons_per_beta(electron[:, None], photon)
    return np.asarray(np.trapezoid(density[:, None] * share, electron, axis=0))
