"""Tables that move an electron down a ladder of energies, one set for every medium.

The clock of an electron is its energy. A rung of the ladder is the interval between two energies in a fixed ratio; for
every medium and rung the tables hold the mass thickness it takes, the spread of that thickness, the angular
distribution, and the number of hard events (collisions that set an electron free, bremsstrahlung photons). Because all
media share the rungs, an electron that crosses into another medium in the middle of a rung simply goes on with the
other medium's thickness for the energy that is left: no step has to end at a boundary.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hepatica.transport.matter.composition import Medium
from hepatica.transport.matter.electrons import (
    bremsstrahlung_spectrum,
    collision_stopping,
    hard_bremsstrahlung,
    moller_moment,
    radiative_stopping,
)
from hepatica.transport.matter.scattering import angular_quantiles, scattering_per_mass

FloatArray = NDArray[np.float64]

HIGHEST_KEV = 3000.0
SPECTRUM_NODES = 256
"""Intervals of equal probability of a bremsstrahlung spectrum. The energy is evenly spread on a log scale within one,
which for 32 of them put 5 % too much energy into the photons of 1 to 2 MeV electrons, nearly all of it in the last."""
LARGEST_SPREAD = 0.4
"""The thickness of a rung is drawn from a triangle of this relative standard deviation at most, so it stays positive;
reached only below 35 keV, where a rung takes less than 5 micrometres of water."""


@dataclass(frozen=True, slots=True)
class StepModel:
    """How finely electrons are followed.

    Attributes
    ----------
    cutoff_kev : float
        Electrons below deposit their energy where they are.
    ratio : float
        Energy at the bottom of a rung over the energy at its top.
    hard_fraction : float
        Collisions that cost more than this fraction of the energy (and more than the cut-off) are followed one by one;
        smaller losses are continuous with straggling.
    photon_cutoff_kev : float
        Bremsstrahlung below is continuous; photons below are absorbed where they are.
    """

    cutoff_kev: float = 10.0
    ratio: float = 0.88
    hard_fraction: float = 0.1
    photon_cutoff_kev: float = 1.0


@dataclass(frozen=True, slots=True)
class Ladder:
    """Electron tables for a list of media; arrays are [medium, rung] unless said.

    Attributes
    ----------
    energy_kev : ndarray, shape (rungs + 1,)
        Energies of the rungs' ends, falling; the last but one is the cut-off (steps near it look one rung further).
    thickness : ndarray
        Mean mass thickness of a rung in mm g/mL.
    bend : ndarray
        How far the thickness for an electron that begins half-way down a rung lies below the mean of this rung's and
        the next one's, times 4, mm g/mL: ``thickness`` between the two is linear less ``bend * part * (1 - part)``.
    spread : ndarray
        Standard deviation of the thickness over its mean.
    hard : ndarray
        Expected number of hard events in a rung.
    photon_share : ndarray
        Fraction of the hard events that are bremsstrahlung.
    csda_range : ndarray
        Range from the top of the rung in mm g/mL by all (unrestricted) losses.
    photons_below : ndarray
        Expected number of bremsstrahlung photons from the top of the rung to rest.
    angle : ndarray, shape (medium, rung, QUANTILES + 1)
        Quantiles of (1 - cos)/2 over a rung.
    hard_limit_kev : ndarray, shape (rungs,)
        Smallest hard energy loss.
    photon_quantile : ndarray, shape (rungs, SPECTRUM_NODES + 1)
        Quantiles of ln(k/cutoff)/ln(T/cutoff) of bremsstrahlung photons of energy k.
    """

    energy_kev: FloatArray
    thickness: FloatArray
    bend: FloatArray
    spread: FloatArray
    hard: FloatArray
    photon_share: FloatArray
    csda_range: FloatArray
    photons_below: FloatArray
    angle: FloatArray
    hard_limit_kev: FloatArray
    photon_quantile: FloatArray


def build_ladder(media: Sequence[Medium], model: StepModel = StepModel()) -> Ladder:
    """Tables for `media`, in their order."""
    energy, limit = _rungs(model)
    columns = [_medium_tables(medium, model) for medium in media]
    stacked = {name: np.array([column[name] for column in columns]) for name in columns[0]}
    return Ladder(
        energy_kev=energy,
        hard_limit_kev=limit,
        photon_quantile=_photon_quantiles(media[0], energy, model.photon_cutoff_kev),
        **stacked,
    )


def _rungs(model: StepModel) -> tuple[FloatArray, FloatArray]:
    """Energies of the rungs' ends, and each rung's smallest hard loss, in keV."""
    rungs = int(np.ceil(np.log(HIGHEST_KEV / model.cutoff_kev) / -np.log(model.ratio)))
    energy = model.cutoff_kev * model.ratio ** -np.arange(rungs, -2, -1.0)
    return energy, np.maximum(model.cutoff_kev, model.hard_fraction * energy[:-1])


@cache
def _medium_tables(medium: Medium, model: StepModel) -> dict[str, FloatArray]:
    """Rows of `Ladder` of one medium, kept: patients share most of their media. Not to be changed."""
    energy, limit = _rungs(model)
    width = -np.diff(energy)
    points, weight = _quadrature(energy[:-1], energy[1:])
    stopping, photons = _soft_stopping(medium, points, limit, model)
    dose_weight = weight / stopping  # g/cm2 per quadrature point
    collisions = np.array(
        [[moller_moment(medium, t, low, t, 0) for t in row] for row, low in zip(points, limit, strict=True)]
    )
    variance = np.array(
        [[moller_moment(medium, t, 0.02, low, 2) for t in row] for row, low in zip(points, limit, strict=True)]
    )
    strengths = np.array(
        [
            sum(w * scattering_per_mass(medium, float(t), float(low)) for t, w in zip(row, ws, strict=True))
            for row, ws, low in zip(points, dose_weight, limit, strict=True)
        ]
    )
    thickness = dose_weight.sum(axis=1)
    spread = np.sqrt(np.sum(dose_weight * variance / stopping**2, axis=1)) / thickness
    number_photons = np.sum(dose_weight * photons, axis=1)
    number_hard = np.sum(dose_weight * collisions, axis=1) + number_photons
    whole = collision_stopping(medium, points.ravel()).reshape(points.shape)
    whole += np.array([[radiative_stopping(medium, float(t)) for t in row] for row in points])
    residual = energy[-1] / 2 / float(collision_stopping(medium, energy[-1])[0])
    csda = np.cumsum((weight / whole).sum(axis=1)[::-1])[::-1] + residual
    return {
        "thickness": thickness * 10,
        "bend": _bend(medium, energy, limit, thickness, model) * 10,
        "spread": np.minimum(spread, LARGEST_SPREAD),
        "hard": number_hard,
        # below both cut-offs there is neither
        "photon_share": np.divide(number_photons, number_hard, out=np.zeros(len(width)), where=number_hard > 0),
        "csda_range": csda * 10,
        "photons_below": np.cumsum(number_photons[::-1])[::-1],
        "angle": np.array([angular_quantiles(moments) for moments in strengths]),
    }


def _quadrature(top: FloatArray, bottom: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Energies between tops and bottoms, shape (rungs, 3), and their weights in keV (Gauss-Legendre)."""
    node, weight = np.polynomial.legendre.leggauss(3)
    width = (top - bottom)[:, None]
    return bottom[:, None] + width * (node + 1) / 2, width * weight / 2


def _soft_stopping(
    medium: Medium, points: FloatArray, limit: FloatArray, model: StepModel
) -> tuple[FloatArray, FloatArray]:
    """Continuous losses (keV cm2/g) below a limit for each row of energies, and photons above the cut-off per g/cm2."""
    limits = np.broadcast_to(limit[:, None], points.shape)
    soft = collision_stopping(medium, points.ravel(), limits.ravel()).reshape(points.shape)
    spectra = np.array([hard_bremsstrahlung(medium, float(t), model.photon_cutoff_kev) for t in points.ravel()])
    photons, soft_radiative = spectra.T.reshape(2, *points.shape)
    return soft + soft_radiative, photons


def _bend(medium: Medium, energy: FloatArray, limit: FloatArray, thickness: FloatArray, model: StepModel) -> FloatArray:
    """`Ladder.bend` in g/cm2: an electron that begins between two rungs' tops loses the same part of its energy."""
    top = (energy[:-2] + energy[1:-1]) / 2
    points, weight = _quadrature(top, top * model.ratio)
    stopping, _ = _soft_stopping(medium, points, (limit[:-1] + limit[1:]) / 2, model)
    half_way = (weight / stopping).sum(axis=1)
    return np.append(4 * ((thickness[:-1] + thickness[1:]) / 2 - half_way), 0.0)


def _photon_quantiles(medium: Medium, energy: FloatArray, cutoff_kev: float) -> FloatArray:
    """Energy spectrum of bremsstrahlung in each rung; its shape hardly depends on the (light) medium."""
    rows = []
    for top, bottom in itertools.pairwise(energy.tolist()):
        middle = (top + bottom) / 2
        x = np.linspace(0, 0.99999, 2000)
        photon = cutoff_kev * (middle / cutoff_kev) ** x
        values = bremsstrahlung_spectrum(medium, middle, photon)
        cumulative = np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2)])
        rows.append(np.interp(np.linspace(0, 1, SPECTRUM_NODES + 1), cumulative / cumulative[-1], x))
    return np.array(rows)
