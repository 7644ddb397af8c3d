"""Beta spectra computed from the branches: Fermi function, finite nucleus, screening, forbiddenness.

The number of electrons per unit of total energy W (in electron rest masses) is

    N(W) = p W (W0 - W)^2  F0(Z, W) L0(Z, W)  C(W)

with the Fermi function F0 of a point nucleus evaluated at the nuclear radius, L0 its finite-size correction, Rose's
screening (W shifted by the potential of the electron cloud), and the shape factor C: 1 for allowed branches; also 1
for non-unique first-forbidden ones (the xi approximation: the Coulomb energy at the nuclear surface, 9-14 MeV here, is
large beside the decay energy); ``q^2 + lambda_2 p^2`` for unique first-forbidden ones. Measured shapes of non-unique
branches may differ from the xi approximation by a few per cent of their mean in unlucky cases (210Bi); no evidence of
that is used here, in line with the evaluations.

The means of the branches agree with ENSDF's within 0.3 %, except the unique branch of 166Ho (1773 keV): 643 keV here,
651.3 keV evaluated with LOGFT's approximate lambda_2, 645 keV from the Dirac equation (tests/physics). The energy per
decay of `Nuclide` keeps the evaluated means; the shape of the spectrum is the one computed here, and
`with_mean` gives it the evaluated mean where energy is carried with it, so that every dose engine has one energy.

References
----------
.. [1] Behrens H, Janecke J. Numerical tables for beta-decay and electron capture. Landolt-Boernstein I/4, 1969.
.. [2] Hayen L et al. High precision analytical description of the allowed beta spectrum shape. Rev Mod Phys
   2018;90:015008 (F0, L0, screening).
.. [3] Mougeot X. Reliability of usual assumptions in the calculation of beta and neutrino spectra. Phys Rev C
   2015;91:055504 (how well the xi approximation does).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import ELECTRON_REST_KEV
from hepatica.errors import PhysicsError

if TYPE_CHECKING:
    from hepatica.nuclides.nuclide import BetaBranch, Nuclide

FloatArray = NDArray[np.float64]

FINE_STRUCTURE = 7.2973525693e-3
COMPTON_FM = 386.15926796
"""Reduced Compton wavelength of the electron, the length unit of the formulas."""

_FINE_POINTS = 8001


def beta_spectrum(nuclide: Nuclide, *, step_kev: float = 0.5) -> tuple[FloatArray, FloatArray]:
    """Spectrum of all beta branches together, per decay.

    Parameters
    ----------
    nuclide : Nuclide
        Emitter.
    step_kev : float
        Grid step. Between grid points the density is to be taken as linear; at 0.5 keV the trapezoidal mean is within
        0.01 % of the branches' own.

    Returns
    -------
    energy_kev : ndarray, shape (n,)
        Kinetic energy from 0 to the largest endpoint, evenly spaced.
    density_per_kev : ndarray, shape (n,)
        Electrons per keV per decay; the trapezoidal integral is the total beta yield.

    Raises
    ------
    PhysicsError
        If the nuclide has no beta branch.
    """
    if not nuclide.betas:
        raise PhysicsError(f"{nuclide.name} has no beta branch")
    return branches_spectrum(nuclide.betas, nuclide.mass_number, step_kev=step_kev)


def branches_spectrum(
    betas: Sequence[BetaBranch], mass_number: int, *, step_kev: float
) -> tuple[FloatArray, FloatArray]:
    """Spectrum of some branches together; see `beta_spectrum`."""
    largest = max(branch.endpoint_kev for branch in betas)
    energy = np.linspace(0.0, largest, math.ceil(largest / step_kev) + 1)
    density = np.zeros_like(energy)
    for branch in betas:
        density += branch.yield_per_decay * branch_spectrum(branch, mass_number, energy)
    density *= sum(branch.yield_per_decay for branch in betas) / np.trapezoid(density, energy)
    return energy, density


def with_mean(energy_kev: FloatArray, density: FloatArray, mean_kev: float) -> FloatArray:
    """The same spectrum with another mean: times ``1 + a (E - mean)``, which moves neither its yield nor its endpoint.

    Raises
    ------
    PhysicsError
        If the mean is so far off that the density would become negative.
    """
    number = float(np.trapezoid(density, energy_kev))
    own = float(np.trapezoid(density * energy_kev, energy_kev)) / number
    variance = float(np.trapezoid(density * (energy_kev - own) ** 2, energy_kev)) / number
    factor = 1 + (mean_kev - own) / variance * (energy_kev - own)
    if float(factor.min()) < 0:
        raise PhysicsError(f"a spectrum of mean {own:.4g} keV cannot have the mean {mean_kev:.4g} keV")
    return np.asarray(density * factor)


def branch_spectrum(branch: BetaBranch, mass_number: int, energy_kev: FloatArray) -> FloatArray:
    """Probability density of one branch's kinetic energy.

    Parameters
    ----------
    branch : BetaBranch
        Endpoint, daughter and shape.
    mass_number : int
        Of the nuclide; sets the nuclear radius.
    energy_kev : ndarray
        Kinetic energies; 0 beyond the endpoint.

    Returns
    -------
    ndarray, shape of `energy_kev`
        Per keV; integrates to 1 from 0 to the endpoint.
    """
    shape = _shape(energy_kev, branch.endpoint_kev, branch.daughter_z, mass_number, branch.is_unique)
    norm, _ = _norm_and_mean(branch.endpoint_kev, branch.daughter_z, mass_number, branch.is_unique)
    return shape / norm


def branch_mean_kev(branch: BetaBranch, mass_number: int) -> float:
    """Mean kinetic energy of the computed spectrum of one branch, to compare with the evaluated one."""
    return _norm_and_mean(branch.endpoint_kev, branch.daughter_z, mass_number, branch.is_unique)[1]


@functools.lru_cache(maxsize=512)
def _norm_and_mean(endpoint_kev: float, daughter_z: int, mass_number: int, unique: bool) -> tuple[float, float]:
    energy = np.linspace(0.0, endpoint_kev, _FINE_POINTS)
    shape = _shape(energy, endpoint_kev, daughter_z, mass_number, unique)
    norm = float(np.trapezoid(shape, energy))
    return norm, float(np.trapezoid(shape * energy, energy)) / norm


def _shape(energy_kev: FloatArray, endpoint_kev: float, z: int, a: int, unique: bool) -> FloatArray:
    """Unnormalised number of electrons per keV."""
    # At rest the phase space (0) and the Fermi function (infinite) make a finite product: stay a breath above.
    kinetic = np.maximum(np.asarray(energy_kev, dtype=np.float64), 1e-3)
    w = 1 + kinetic / ELECTRON_REST_KEV
    w0 = 1 + endpoint_kev / ELECTRON_REST_KEV
    p = np.sqrt(w**2 - 1)
    q = np.clip(w0 - w, 0.0, None)
    # Screening (ref. 2, eq. for Rose): for an electron W is lowered by the cloud's potential; where that would leave
    # less than the rest mass the formula does not hold, and the unscreened value is used (below some 5-15 keV).
    cloud = 1.45 * FINE_STRUCTURE**2 * (z - 1) ** (4 / 3)
    ws = np.where(w - cloud > 1 + 1e-6, w - cloud, w)
    ps = np.sqrt(ws**2 - 1)
    fermi = _fermi(ws, ps, z, a, 1) * _finite_size(ws, z, a) * (ps * ws) / (p * w)
    spectrum = p * w * q**2 * fermi
    if unique:
        spectrum = spectrum * (q**2 + _lambda2(ws, ps, z, a) * ps**2)
    return np.asarray(spectrum)


def positron_shape(energy_kev: FloatArray, endpoint_kev: float, daughter_z: int, mass_number: int) -> FloatArray:
    """Unnormalised number of positrons per keV of an allowed branch: the Fermi function of a charge that repels.

    Screening is left out: it moves the mean of 68Ga by less than 0.1 %.

    Parameters
    ----------
    energy_kev : ndarray
        Kinetic energies; 0 beyond the endpoint.
    endpoint_kev : float
    daughter_z, mass_number : int
    """
    w = 1 + np.maximum(np.asarray(energy_kev, np.float64), 1e-3) / ELECTRON_REST_KEV
    p = np.sqrt(w**2 - 1)
    q = np.clip(1 + endpoint_kev / ELECTRON_REST_KEV - w, 0.0, None)
    fermi = _fermi(w, p, -daughter_z, mass_number, 1) * _finite_size(w, -daughter_z, mass_number)
    return np.asarray(p * w * q**2 * fermi)


def _radius(a: int) -> float:
    """Nuclear radius 1.2 A^(1/3) fm in Compton wavelengths."""
    return float(1.2 * a ** (1 / 3) / COMPTON_FM)


def _fermi(w: FloatArray, p: FloatArray, z: int, a: int, k: int) -> FloatArray:
    """Generalised Fermi function F_(k-1) of a point nucleus at the nuclear radius (ref. 1)."""
    from scipy.special import loggamma

    alpha_z = FINE_STRUCTURE * z
    gamma = math.sqrt(k**2 - alpha_z**2)
    y = alpha_z * w / p
    odd = math.prod(range(1, 2 * k, 2))
    log_front = 2 * math.log(k * odd) + k * math.log(4) - 2 * math.lgamma(1 + 2 * gamma)
    log_f = log_front + 2 * (gamma - k) * np.log(2 * p * _radius(a)) + math.pi * y
    return np.asarray(np.exp(log_f + 2 * loggamma(gamma + 1j * y).real))


def _finite_size(w: FloatArray, z: int, a: int) -> FloatArray:
    """Finite-size correction L0 to first order in the radius (Wilkinson; ref. 2)."""
    alpha_z, radius = FINE_STRUCTURE * z, _radius(a)
    gamma = math.sqrt(1 - alpha_z**2)
    first = alpha_z * w * radius * (41 - 26 * gamma) / (15 * (2 * gamma - 1))
    second = alpha_z * radius * gamma * (17 - 2 * gamma) / (30 * w * (2 * gamma - 1))
    return np.asarray(1 + 13 / 60 * alpha_z**2 - first - second)


def _lambda2(w: FloatArray, p: FloatArray, z: int, a: int) -> FloatArray:
    """Coulomb function lambda_2: ratio of the j = 3/2 to the j = 1/2 electron density at the nucleus (ref. 1)."""
    alpha_z = FINE_STRUCTURE * z
    gamma1, gamma2 = math.sqrt(1 - alpha_z**2), math.sqrt(4 - alpha_z**2)
    amplitude = (2 + gamma2) / (2 * (1 + gamma1))
    return np.asarray(_fermi(w, p, z, a, 2) / _fermi(w, p, z, a, 1) * amplitude)
