"""Photon cross sections of media, as tables on a common logarithmic grid of energies.

Photoelectric, incoherent (bound) and coherent coefficients come from ``tables/photon_elements.txt`` (EPDL97-based, see
sources.toml); pair production from Maximon's expansions of the Bethe-Heitler cross section (J Res NBS 1968;72B:79, as
given by Hubbell, Gimm and Overbo 1980).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import AVOGADRO, ELECTRON_REST_KEV, FINE_STRUCTURE
from hepatica.transport.matter.composition import Medium, elements, numbers
from hepatica.transport.matter.electrons import CLASSICAL_RADIUS2_CM2

FloatArray = NDArray[np.float64]

LOWEST_KEV = 1.0
HIGHEST_KEV = 3000.0
ENERGIES = 1024
MOMENTA = 128
MOMENTUM_RANGE = (0.005, 250.0)
"""sin(theta/2)/wavelength in 1/angstrom; 250 is beyond backscatter at 3 MeV."""

FLUORESCENT_Z = 53
K_EDGE_KEV, K_JUMP, K_YIELD = 33.1694, 6.039, 0.8819
K_ALPHA_KEV, K_BETA_KEV, K_ALPHA_SHARE = 28.509, 32.405, 0.8163
"""Iodine, the one element of the list of media (but for lead) whose K radiation goes further than a voxel: K edge, jump
of its photoelectric cross section there, fluorescence yield, mean energies of the K-alpha and K-beta lines, share of
the former (xraylib 4: Elam, Ravel and Sieber, Radiat Phys Chem 2002;63:121)."""


@dataclass(frozen=True, slots=True)
class PhotonTables:
    """Photon tables for a list of media.

    Attributes
    ----------
    energy_kev : ndarray, shape (ENERGIES,)
        Logarithmic grid.
    total : ndarray, shape (medium, ENERGIES)
        Mass attenuation coefficient, 1/(mm g/mL).
    photoelectric, coherent, pair : ndarray, shape (medium, ENERGIES)
        Fractions of the total; the rest is incoherent.
    fluorescence : ndarray, shape (medium, ENERGIES)
        K x rays of iodine per photoelectric effect.
    scattering_function : ndarray, shape (medium, MOMENTA)
        Incoherent scattering function over its limit, 0 to 1, on a logarithmic grid of MOMENTUM_RANGE.
    form_integral : ndarray, shape (medium, MOMENTA)
        Integral of the squared form factor over the squared momentum up to each grid value.
    """

    energy_kev: FloatArray
    total: FloatArray
    photoelectric: FloatArray
    coherent: FloatArray
    pair: FloatArray
    fluorescence: FloatArray
    scattering_function: FloatArray
    form_integral: FloatArray


@cache
def _element_rows() -> dict[int, FloatArray]:
    rows = numbers("photon_elements.txt")
    return {int(z): rows[rows[:, 0] == z, 1:] for z in np.unique(rows[:, 0])}


@cache
def _form_rows() -> dict[int, FloatArray]:
    rows = numbers("form_factors.txt")
    return {int(z): rows[rows[:, 0] == z, 1:] for z in np.unique(rows[:, 0])}


def pair_cross_section_cm2(z: int, energy_kev: FloatArray) -> FloatArray:
    """Pair production in the field of the nucleus (Born, unscreened), cm2 per atom."""
    k = np.asarray(energy_kev, dtype=np.float64) / ELECTRON_REST_KEV
    above = np.maximum(k, 2.0)
    eps = (2 * above - 4) / (2 + above + 2 * np.sqrt(2 * above))
    low = 2 * np.pi / 3 * ((above - 2) / above) ** 3
    low *= 1 + eps / 2 + 23 / 40 * eps**2 + 11 / 60 * eps**3 + 29 / 960 * eps**4
    log = np.log(2 * above)
    high = 28 / 9 * log - 218 / 27
    high += (2 / above) ** 2 * (
        6 * log - 7 / 2 + 2 / 3 * log**3 - log**2 - np.pi**2 / 3 * log + 2 * 1.2020569 + np.pi**2 / 6
    )
    high -= (2 / above) ** 4 * (3 / 16 * log + 1 / 8) + (2 / above) ** 6 * (29 / 2304 * log - 77 / 13824)
    return np.asarray(FINE_STRUCTURE * CLASSICAL_RADIUS2_CM2 * z**2 * np.where(above < 4, low, high))


def coefficients(medium: Medium, energy_kev: FloatArray) -> FloatArray:
    """Photoelectric, incoherent, coherent and pair mass coefficients in cm2/g, shape (4, energies)."""
    result = np.zeros((4, len(energy_kev)))
    for z, weight in medium.fractions:
        rows = _element_rows()[z]
        for column in range(3):
            logs = np.interp(np.log(energy_kev), np.log(rows[:, 0]), np.log(rows[:, column + 1]))
            result[column] += weight * np.exp(logs)
        atoms = AVOGADRO * weight / elements()[z].weight_g_mol
        result[3] += atoms * pair_cross_section_cm2(z, energy_kev) * (energy_kev > 2 * ELECTRON_REST_KEV)
    return result


def k_x_rays(medium: Medium, energy_kev: FloatArray) -> FloatArray:
    """K x rays of iodine per photoelectric effect in a medium, at each photon energy."""
    share = dict(medium.fractions).get(FLUORESCENT_Z, 0.0)
    if share == 0:
        return np.zeros(len(energy_kev))
    rows = _element_rows()[FLUORESCENT_Z]
    iodine = share * np.exp(np.interp(np.log(energy_kev), np.log(rows[:, 0]), np.log(rows[:, 1])))
    of_k = np.where(energy_kev > K_EDGE_KEV, (1 - 1 / K_JUMP) * K_YIELD, 0.0)
    return np.asarray(of_k * iodine / coefficients(medium, energy_kev)[0])


def build_photons(media: Sequence[Medium]) -> PhotonTables:
    """Tables for `media`, in their order."""
    energy = np.geomspace(LOWEST_KEV, HIGHEST_KEV, ENERGIES)
    parts = np.array([coefficients(medium, energy) for medium in media])
    total = parts.sum(axis=1)
    scattering, form = zip(*[_form_tables(medium) for medium in media], strict=True)
    return PhotonTables(
        energy_kev=energy,
        total=total / 10,
        photoelectric=parts[:, 0] / total,
        coherent=parts[:, 2] / total,
        pair=parts[:, 3] / total,
        fluorescence=np.array([k_x_rays(medium, energy) for medium in media]),
        scattering_function=np.array(scattering),
        form_integral=np.array(form),
    )


def _form_tables(medium: Medium) -> tuple[FloatArray, FloatArray]:
    """Incoherent scattering function (over its limit) and integral of F^2 d(x^2) on the momentum grid."""
    x = np.geomspace(*MOMENTUM_RANGE, MOMENTA)
    incoherent, squared = np.zeros(MOMENTA), np.zeros(MOMENTA)
    limit = 0.0
    for z, weight in medium.fractions:
        atoms = weight / elements()[z].weight_g_mol
        rows = _form_rows()[z]
        incoherent += atoms * np.interp(np.log(x), np.log(rows[:, 0]), rows[:, 2])
        squared += atoms * np.exp(2 * np.interp(np.log(x), np.log(rows[:, 0]), np.log(rows[:, 1])))
        limit += atoms * z
    area = np.concatenate([[squared[0] * x[0] ** 2], (squared[1:] + squared[:-1]) / 2 * np.diff(x**2)])
    return incoherent / limit, np.cumsum(area)
