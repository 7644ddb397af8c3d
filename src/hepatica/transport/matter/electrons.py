"""How electrons lose energy: collisions (Bethe, Moller), density effect, bremsstrahlung.

Energies in keV, mass thickness in g/cm2. Formulas: ICRU Report 37 (1984), Stopping Powers for Electrons and Positrons;
Sternheimer, Phys Rev 1952;88:851 and 1984 (density effect); Koch and Motz, Rev Mod Phys 1959;31:920 (bremsstrahlung).
Positrons are followed with the stopping power of electrons.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.constants import AVOGADRO, ELECTRON_REST_KEV, FINE_STRUCTURE
from hepatica.transport.matter.composition import Medium, elements
from hepatica.transport.matter.composition import medium as medium_named

FloatArray = NDArray[np.float64]

CLASSICAL_RADIUS2_CM2 = 7.940787682e-26
COLLISION_CONSTANT = 2 * np.pi * CLASSICAL_RADIUS2_CM2 * AVOGADRO * ELECTRON_REST_KEV
"""2 pi r_e^2 N_A m c^2 in keV cm2/mol (ICRU 37 eq. 3.1)."""

WATER_RADIATIVE = (
    (10.0, 3.898e-3), (20.0, 3.963e-3), (50.0, 4.031e-3), (100.0, 4.228e-3), (200.0, 4.801e-3),
    (500.0, 7.257e-3), (1000.0, 1.280e-2), (2000.0, 2.678e-2), (3000.0, 4.299e-2),
)  # fmt: skip
"""Radiative stopping power of water, energy in keV and MeV cm2/g (NIST ESTAR): the bremsstrahlung cross section of
every medium is scaled by the ratio of these to the analytic cross section in water."""


_GAUSS_NODES, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(32)


def beta_squared(energy_kev: ArrayLike) -> FloatArray:
    """Square of v/c of an electron of that kinetic energy."""
    tau = np.asarray(energy_kev, dtype=np.float64) / ELECTRON_REST_KEV
    return np.asarray(tau * (tau + 2) / (tau + 1) ** 2)


def momentum_squared(energy_kev: ArrayLike) -> FloatArray:
    """Square of the momentum in units of (m c)^2."""
    tau = np.asarray(energy_kev, dtype=np.float64) / ELECTRON_REST_KEV
    return np.asarray(tau * (tau + 2))


class DensityEffect:
    """Density-effect correction by Sternheimer's oscillator model, for any composition and density.

    Atomic shells are the oscillators; their energies are scaled by one factor so that they give the medium's mean
    excitation energy.

    Parameters
    ----------
    medium : Medium
        Composition, density and mean excitation energy.
    """

    def __init__(self, medium: Medium) -> None:
        from scipy.optimize import brentq

        plasma_ev = 28.816 * np.sqrt(medium.density_g_ml * medium.electrons_per_gram_mol)
        total = medium.electrons_per_gram_mol
        strength, binding = [], []
        for z, weight in medium.fractions:
            element = elements()[z]
            for shell in element.shells:
                strength.append(weight / element.weight_g_mol * shell.electrons / total)
                binding.append(shell.binding_kev * 1000 / plasma_ev)
        self._strength = np.array(strength) / np.sum(strength)
        self._binding = np.array(binding)
        log_excitation = np.log(medium.mean_excitation_ev / plasma_ev)

        def excess(log_factor: float) -> float:
            levels = np.sqrt((np.exp(log_factor) * self._binding) ** 2 + 2 / 3 * self._strength)
            return float(self._strength @ np.log(levels) - log_excitation)

        self._scaled = np.exp(brentq(excess, -5, 8)) * self._binding
        self._level2 = self._scaled**2 + 2 / 3 * self._strength
        self._plasma_ev = plasma_ev

    def oscillators(self) -> tuple[FloatArray, FloatArray]:
        """Share of the electrons in each oscillator, and its energy in keV; their logarithmic mean is the medium's."""
        return self._strength, np.sqrt(self._level2) * self._plasma_ev / 1000

    def __call__(self, energy_kev: ArrayLike) -> FloatArray:
        """Delta (dimensionless) at each kinetic energy in keV."""
        energies = np.atleast_1d(np.asarray(energy_kev, dtype=np.float64))
        return np.array([self._at(float(b)) for b in beta_squared(energies)])

    def _at(self, beta2: float) -> float:
        from scipy.optimize import brentq

        wanted = 1 / beta2 - 1

        def excess(square: float) -> float:
            return float(np.sum(self._strength / (self._scaled**2 + square)) - wanted)

        if excess(0.0) <= 0:
            return 0.0
        square = brentq(excess, 0.0, 1 / wanted + 1)
        return float(self._strength @ np.log(1 + square / self._level2) - square * (1 - beta2))


def collision_stopping(medium: Medium, energy_kev: ArrayLike, largest_loss_kev: ArrayLike | None = None) -> FloatArray:
    """Collision stopping power in keV cm2/g, restricted to losses up to `largest_loss_kev`.

    ICRU Report 37, eqs. 3.3 and 3.6; losses up to half the energy (all of them) where no limit is given.
    """
    energy = np.atleast_1d(np.asarray(energy_kev, dtype=np.float64))
    tau = energy / ELECTRON_REST_KEV
    half = tau / 2
    limit = half if largest_loss_kev is None else np.minimum(np.asarray(largest_loss_kev) / ELECTRON_REST_KEV, half)
    beta2 = beta_squared(energy)
    excitation = medium.mean_excitation_ev / 1000 / ELECTRON_REST_KEV
    bracket = np.log(2 * (tau + 2) / excitation**2) - 1 - beta2 + np.log((tau - limit) * limit) + tau / (tau - limit)
    bracket += (limit**2 / 2 + (2 * tau + 1) * np.log(1 - limit / tau)) / (tau + 1) ** 2
    bracket -= DensityEffect(medium)(energy)
    return np.asarray(COLLISION_CONSTANT * medium.electrons_per_gram_mol / beta2 * bracket)


def moller_moment(medium: Medium, energy_kev: float, low_kev: float, high_kev: float, power: int) -> float:
    """Integral of ``W**power`` over the Moller cross section from `low_kev` to `high_kev`, keV**power cm2/g.

    The energy transfers W are those of the slower electron, at most half the energy.
    """
    high = min(high_kev, energy_kev / 2)
    if high <= low_kev:
        return 0.0
    node, weight = _GAUSS_NODES, _GAUSS_WEIGHTS
    log_low, log_high = np.log(low_kev), np.log(high)
    loss = np.exp((log_high + log_low) / 2 + (log_high - log_low) / 2 * node)
    total = energy_kev + ELECTRON_REST_KEV
    cross = 1 / loss**2 + 1 / (energy_kev - loss) ** 2 + 1 / total**2
    cross -= ELECTRON_REST_KEV * (2 * energy_kev + ELECTRON_REST_KEV) / (total**2 * loss * (energy_kev - loss))
    front = COLLISION_CONSTANT * medium.electrons_per_gram_mol / float(beta_squared(energy_kev))
    return float(front * np.sum(weight * loss ** (power + 1) * cross) * (log_high - log_low) / 2)


def bethe_heitler(z: int, energy_kev: float, photon_kev: FloatArray) -> FloatArray:
    """Unscreened Born cross section k dsigma/dk with Elwert's Coulomb factor, cm2 per atom (Koch and Motz, 3BN)."""
    first = 1 + energy_kev / ELECTRON_REST_KEV
    k = photon_kev / ELECTRON_REST_KEV
    last = np.maximum(first - k, 1 + 1e-6)
    p0, p = np.sqrt(first**2 - 1), np.sqrt(last**2 - 1)
    e0, e = 2 * np.log(first + p0), 2 * np.log(last + p)
    big = 2 * np.log((first * last + p0 * p - 1) / k)
    inner = (
        (first * last + p0**2) / p0**3 * e0 - (first * last + p**2) / p**3 * e + 2 * k * first * last / (p * p0) ** 2
    )
    bracket = 4 / 3 - 2 * first * last * (p**2 + p0**2) / (p * p0) ** 2
    bracket += e0 * last / p0**3 + e * first / p**3 - e * e0 / (p * p0)
    bracket += big * (
        8 / 3 * first * last / (p0 * p)
        + k**2 * (first**2 * last**2 + p0**2 * p**2) / (p0 * p) ** 3
        + k / (2 * p0 * p) * inner
    )
    b0, b = p0 / first, p / last
    ratio = 2 * np.pi * FINE_STRUCTURE * z
    elwert = b0 * (1 - np.exp(-ratio / b0)) / (b * (1 - np.exp(-ratio / b)))
    return np.asarray(FINE_STRUCTURE * z**2 * CLASSICAL_RADIUS2_CM2 * p / p0 * bracket * elwert)


PHOTON_FRACTIONS: FloatArray = np.concatenate([np.geomspace(1e-4, 0.1, 25)[:-1], np.linspace(0.1, 0.998, 46)])
"""Photon energy over electron energy at which the bremsstrahlung spectrum is tabulated."""


def _unscaled_spectrum(medium: Medium, energy_kev: float, photon_kev: FloatArray) -> FloatArray:
    total = np.zeros_like(photon_kev)
    for z, weight in medium.fractions:
        atoms = AVOGADRO * weight / elements()[z].weight_g_mol
        # electron-electron bremsstrahlung as one more unit of Z^2 for each electron, 1 + 1/Z (small below 100 keV,
        # where the scaling to ESTAR takes it back)
        total += atoms * (1 + 1 / z) * bethe_heitler(z, energy_kev, photon_kev)
    return total


@cache
def _element_spectrum(z: int, energy_kev: float) -> FloatArray:
    """`bethe_heitler` at PHOTON_FRACTIONS, kept: media share elements and energies."""
    values = bethe_heitler(z, energy_kev, PHOTON_FRACTIONS * energy_kev)
    values.setflags(write=False)
    return values


def _gridded_spectrum(medium: Medium, energy_kev: float) -> FloatArray:
    total = np.zeros_like(PHOTON_FRACTIONS)
    for z, weight in medium.fractions:
        total += AVOGADRO * weight / elements()[z].weight_g_mol * (1 + 1 / z) * _element_spectrum(z, energy_kev)
    return total


def _unscaled_radiative(medium: Medium, energy_kev: float) -> float:
    fraction = np.concatenate([[0.0], PHOTON_FRACTIONS, [1.0]])
    values = _gridded_spectrum(medium, energy_kev)
    padded = np.concatenate([[values[0]], values, [values[-1]]])
    return float(np.trapezoid(padded, fraction)) * energy_kev


@cache
def _water_ratios() -> tuple[FloatArray, FloatArray]:
    water = medium_named("water")
    logs = np.log([energy for energy, _ in WATER_RADIATIVE])
    return logs, np.array([s * 1000 / _unscaled_radiative(water, energy) for energy, s in WATER_RADIATIVE])


def radiative_scale(energy_kev: ArrayLike) -> FloatArray:
    """Ratio of ESTAR's radiative stopping power of water to the analytic one, interpolated in log energy."""
    return np.asarray(np.interp(np.log(np.asarray(energy_kev)), *_water_ratios()))


def bremsstrahlung_spectrum(medium: Medium, energy_kev: float, photon_kev: FloatArray) -> FloatArray:
    """Bremsstrahlung cross section ``k dsigma/dk`` in cm2/g at photon energies below the electron energy."""
    return _unscaled_spectrum(medium, energy_kev, photon_kev) * float(radiative_scale(energy_kev))


def hard_bremsstrahlung(medium: Medium, energy_kev: float, cutoff_kev: float) -> tuple[float, float]:
    """Photons above a cut-off per g/cm2, and keV cm2/g lost to photons below it."""
    photon = PHOTON_FRACTIONS * energy_kev
    values = _gridded_spectrum(medium, energy_kev) * float(radiative_scale(energy_kev))
    at_cutoff = float(np.interp(np.log(cutoff_kev), np.log(photon), values))
    above = photon > cutoff_kev
    logs = np.concatenate([[np.log(cutoff_kev)], np.log(photon[above])])
    number = np.trapezoid(np.concatenate([[at_cutoff], values[above]]), logs)
    return float(number), at_cutoff * cutoff_kev


def radiative_stopping(medium: Medium, energy_kev: float) -> float:
    """Radiative stopping power in keV cm2/g."""
    return _unscaled_radiative(medium, energy_kev) * float(radiative_scale(energy_kev))
