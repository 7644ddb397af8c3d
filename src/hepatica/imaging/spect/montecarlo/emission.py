"""What a history starts with: a photon line or an electron, drawn by what it may contribute to the projections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import PhysicsError
from hepatica.nuclides import Nuclide
from hepatica.nuclides.internal_bremsstrahlung import internal_bremsstrahlung
from hepatica.nuclides.spectrum import beta_spectrum
from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.stepping import StepModel
from hepatica.transport.runner.source import Emission, beta_quantiles_kev, emission
from hepatica.transport.runner.upload import tables_for

FloatArray = NDArray[np.float64]
Importance = Callable[[FloatArray], FloatArray]

NEGLIGIBLE = 1e-4
"""Electrons are left out where the bremsstrahlung could contribute less than this share of the counts."""
MIN_COUNTS = 1e-9
"""Counts per decay, times 4 pi, below which windows count as seeing nothing: a GBq would give less than 0.1 cps."""
PHOTONS_PER_ELECTRON = 1.5
"""Bremsstrahlung is made so much more often that an electron of the mean energy makes about this many photons."""
INTERNAL_BINS = 200
MIN_SHARE = 0.05
"""Least share of the histories for photons and for electrons, where there are both."""


@dataclass(frozen=True, slots=True, eq=False)
class EmissionMixture:
    """Starts of histories and the weights that make them one decay on average.

    Attributes
    ----------
    photon_share : float
        Probability that a history is a photon of a line.
    line_kev, line_share, line_weight : ndarray, shape (lines,)
        Photon lines: energy, probability among the lines, weight.
    electron_kev, electron_share, electron_weight : ndarray, shape (1 + electron lines,)
        The first stands for the beta particles.
    beta_kev : ndarray, shape (bins + 1,)
        Edges of bins of equal probability.
    beta_weight : ndarray, shape (bins,)
        Weight of each.
    more_photons : float
        Factor by which bremsstrahlung is made more often.
    reference : float
        Weight times importance of a typical photon.
    expected : tuple of float
        What lines and electrons may contribute, in the unit of the importance.
    """

    photon_share: float
    line_kev: FloatArray
    line_share: FloatArray
    line_weight: FloatArray
    electron_kev: FloatArray
    electron_share: FloatArray
    electron_weight: FloatArray
    beta_kev: FloatArray
    beta_weight: FloatArray
    more_photons: float
    reference: float
    expected: tuple[float, float]


def electron_model(lowest_kev: float) -> StepModel:
    """Steps for electrons of which only photons above an energy matter: slower electrons cannot make them."""
    return StepModel(cutoff_kev=lowest_kev, ratio=0.88, hard_fraction=0.1, photon_cutoff_kev=lowest_kev)


def highest_photon_kev(nuclide: Nuclide) -> float:
    """Highest energy of a line or of bremsstrahlung."""
    ends = [b.endpoint_kev for b in nuclide.betas] + [e.energy_kev for e in nuclide.electrons]
    return max([line.energy_kev for line in nuclide.photons] + ends, default=0.0)


def emission_mixture(
    nuclide: Nuclide, importance: Importance, lowest_kev: float, *, internal: bool = True
) -> EmissionMixture:
    """Mixture for a nuclide; `importance` says what a photon of an energy may contribute.

    Internal bremsstrahlung (unless `internal` is False) is one more set of photon lines. The annihilation photons of
    internal pairs start where the decay was; of bremsstrahlung, what secondary electrons make is followed with them.

    Raises
    ------
    PhysicsError
        If nothing that the nuclide emits can be counted.
    """
    emitted = emission(nuclide, electron_cutoff_kev=lowest_kev, photon_cutoff_kev=lowest_kev, split_pairs=True)
    line_kev, line_yield = (
        _with_internal(nuclide, emitted, lowest_kev)
        if internal
        else (
            emitted.gamma_kev,
            emitted.gamma_yield,
        )
    )
    line_value = line_yield * importance(line_kev)
    yields, born = bremsstrahlung_per_electron(importance, lowest_kev)
    energy, density = beta_spectrum(nuclide, step_kev=0.25) if emitted.beta_yield else (np.zeros(2), np.zeros(2))
    mean_value, biased, weight = _biased_beta(energy, density, yields)
    electron_kev = np.concatenate([[0.0], emitted.line_kev])
    per_electron = np.concatenate([[mean_value], yields(emitted.line_kev)])
    number = np.concatenate([[emitted.beta_yield], emitted.line_yield])
    electron_value = number * per_electron
    lines, electrons = float(line_value.sum()), float(electron_value.sum())
    if not lines + electrons > MIN_COUNTS:
        raise PhysicsError(f"hardly any photon of {nuclide.name} is counted in these windows; take others")
    if electrons < NEGLIGIBLE * (lines + electrons):
        photon_share = 1.0
    else:
        photon_share = float(np.clip(lines / (lines + electrons), MIN_SHARE, 1 - MIN_SHARE)) if lines else 0.0
    mean_kev = float(np.average(energy, weights=density)) if emitted.beta_yield else float(electron_kev.max())
    photons = float(born(np.array([max(mean_kev, 2 * lowest_kev)]))[0])
    return EmissionMixture(
        photon_share=photon_share,
        line_kev=line_kev,
        line_share=line_value / lines if lines else np.ones(line_value.size),
        line_weight=_over(line_yield, line_value / lines if lines else line_value) / max(photon_share, 1e-9),
        electron_kev=electron_kev,
        electron_share=electron_value / electrons if electrons else np.ones(electron_kev.size),
        electron_weight=_over(number, electron_value / electrons if electrons else electron_value)
        / max(1 - photon_share, 1e-9),
        beta_kev=biased,
        beta_weight=weight,
        more_photons=float(np.clip(PHOTONS_PER_ELECTRON / max(photons, 1e-9), 1.0, 500.0)),
        reference=lines + (electrons if photon_share < 1 else 0.0),
        expected=(lines, electrons),
    )


def _with_internal(nuclide: Nuclide, emitted: Emission, lowest_kev: float) -> tuple[FloatArray, FloatArray]:
    """Photon lines and the internal bremsstrahlung in bins: energies and photons per decay."""
    end = max((b.endpoint_kev for b in nuclide.betas), default=0.0)
    if end <= lowest_kev:
        return emitted.gamma_kev, emitted.gamma_yield
    energy, photons = internal_bremsstrahlung(nuclide, np.geomspace(lowest_kev, end, INTERNAL_BINS + 1))
    return np.concatenate([emitted.gamma_kev, energy]), np.concatenate([emitted.gamma_yield, photons])


def bremsstrahlung_per_electron(importance: Importance, lowest_kev: float) -> tuple[Importance, Importance]:
    """Summed importance and number of the photons that an electron of an energy makes in water until it stops."""
    ladder, _ = tables_for((medium("water"),), electron_model(lowest_kev))
    top, photons = ladder.energy_kev[:-1], ladder.hard[0] * ladder.photon_share[0]
    middle = (ladder.photon_quantile[:, 1:] + ladder.photon_quantile[:, :-1]) / 2
    photon_kev = lowest_kev * (top[:, None] / lowest_kev) ** middle
    value = photons * importance(photon_kev.ravel()).reshape(photon_kev.shape).mean(axis=1)
    rising = top[::-1]

    def table(per_rung: FloatArray) -> Importance:
        below = np.cumsum(per_rung[::-1])
        return lambda kev: np.interp(kev, rising, below, left=0.0)

    return table(value), table(photons)


def _biased_beta(energy: FloatArray, density: FloatArray, value: Importance) -> tuple[float, FloatArray, FloatArray]:
    """Mean value of a beta particle; edges of equally probable bins of a spectrum times value; their weights."""
    worth = value(energy)
    mass = density * np.gradient(energy)
    if not (mass * worth).sum() > 0:
        return 0.0, np.zeros(2), np.ones(1)
    mean = float((mass * worth).sum() / mass.sum())
    # a little of the plain spectrum keeps weights finite where hardly any photon is made
    edges = beta_quantiles_kev(energy, density * (worth / mean + 0.05))
    steps = np.diff(energy) * (density[1:] + density[:-1]) / 2
    cumulative = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    n = np.clip(np.searchsorted(energy, edges, side="right") - 1, 0, energy.size - 2)
    part = (edges - energy[n]) / (energy[n + 1] - energy[n])
    slope = density[n + 1] - density[n]
    inside = (energy[n + 1] - energy[n]) * (density[n] * part + slope * part**2 / 2) / steps.sum()
    return mean, edges, np.diff(cumulative[n] + inside) * (edges.size - 1)


def _over(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
