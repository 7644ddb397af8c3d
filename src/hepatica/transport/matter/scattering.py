"""Multiple scattering of electrons: Goudsmit-Saunderson angular distributions of one energy step.

Elastic scattering on nuclei follows the screened Rutherford cross section with Moliere's screening angle, times the
spin factor of McKinley and Feshbach (Phys Rev 1948;74:1759), which is accurate for light elements. Deflections by soft
collisions with atomic electrons are those of free electrons (Moller) where the energy transfer is above that of the
electron's oscillator, and below it those of the oscillator (Liljequist, J Phys D 1983;16:1567): the atom does not
screen them, as it does its nucleus (Fano, Phys Rev 1954;93:117). They end at the angle that belongs to the largest soft
energy loss, so that hard collisions (followed one by one) are not counted twice. The angular distribution after a step
is the exact Legendre series of Goudsmit and Saunderson (Phys Rev 1940;57:24), summed here and inverted into quantile
tables.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import AVOGADRO, ELECTRON_REST_KEV, FINE_STRUCTURE
from hepatica.transport.matter.composition import Medium, elements
from hepatica.transport.matter.electrons import (
    CLASSICAL_RADIUS2_CM2,
    DensityEffect,
    beta_squared,
    momentum_squared,
)

FloatArray = NDArray[np.float64]

ORDERS = 240
"""Legendre orders summed; a step has tens of collisions or more, so the series has converged long before."""

QUANTILES = 64
"""Intervals of the tables; nodes at cumulative probability ``1 - (1 - v)**2`` with v = 0, 1/64, ..., 1: finer towards
large angles."""


@cache
def _deflections() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Quadrature in mu = (1 - cos)/2 on a log scale: nodes, weights, and 1 - P_l(1 - 2 mu) of shape (ORDERS + 1, n)."""
    from scipy.special import eval_legendre

    node, weight = np.polynomial.legendre.leggauss(8)
    panels = np.linspace(np.log(1e-10), 0.0, 41)
    half = np.diff(panels)[:, None] / 2
    log_mu = (panels[:-1, None] + half + half * node).ravel()
    mu = np.exp(log_mu)
    lost = 1 - eval_legendre(np.arange(ORDERS + 1)[:, None], 1 - 2 * mu)
    return mu, (half * weight).ravel() * mu, lost


def soft_deflection_limit(energy_kev: float, loss_kev: float) -> float:
    """Largest mu of a collision with a free electron that costs at most `loss_kev`."""
    loss = min(loss_kev, energy_kev / 2)
    cosine2 = (energy_kev - loss) * (energy_kev + 2 * ELECTRON_REST_KEV)
    cosine2 /= energy_kev * (energy_kev - loss + 2 * ELECTRON_REST_KEV)
    return float((1 - np.sqrt(cosine2)) / 2)


def scattering_per_mass(medium: Medium, energy_kev: float, largest_soft_loss_kev: float) -> FloatArray:
    """Legendre moments of the inverse mean free path, ``G_l`` in cm2/g, l = 0 to ORDERS (G_0 = 0)."""
    mu, weight, lost = _deflections()
    beta2, p2 = float(beta_squared(energy_kev)), float(momentum_squared(energy_kev))
    beta = np.sqrt(beta2)
    limit = soft_deflection_limit(energy_kev, largest_soft_loss_kev)
    differential = np.zeros_like(mu)
    for z, fraction in medium.fractions:
        atoms = AVOGADRO * fraction / elements()[z].weight_g_mol
        screening = (FINE_STRUCTURE / 0.885) ** 2 * z ** (2 / 3) / (4 * p2)
        screening *= 1.13 + 3.76 * (FINE_STRUCTURE * z) ** 2 / beta2
        spin = 1 - beta2 * mu + np.pi * FINE_STRUCTURE * beta * z * np.sqrt(mu) * (1 - np.sqrt(mu))
        front = atoms * np.pi * CLASSICAL_RADIUS2_CM2 / (p2 * beta2)
        differential += front * z**2 * spin / (mu + screening) ** 2
    differential += soft_deflections(medium, energy_kev, mu) * (mu < limit)
    return np.asarray(lost @ (differential * weight))


def soft_deflections(medium: Medium, energy_kev: float, mu: FloatArray) -> FloatArray:
    """Cross section in cm2/g per unit of mu for deflections of an electron by atomic electrons.

    An oscillator of energy W takes W at any momentum transfer below that of a free electron at rest (recoil energy Q
    less than W, ``dQ/(W Q)``), and Q by collisions with free electrons above (Moller).
    """
    tau = energy_kev / ELECTRON_REST_KEV
    beta2, p2 = float(beta_squared(energy_kev)), float(momentum_squared(energy_kev))
    front = 2 * np.pi * CLASSICAL_RADIUS2_CM2 * AVOGADRO * medium.electrons_per_gram_mol / beta2
    cosine = np.maximum(1 - 2 * mu, 0.0)  # a free electron turns another by less than a right angle
    spread = tau + 2 - tau * cosine**2
    loss = tau * (tau + 2) * (1 - cosine**2) / spread
    left = tau - loss
    slower = np.minimum(loss, left)  # of the two that leave, the faster goes on
    with np.errstate(divide="ignore", invalid="ignore"):
        free = 1 / loss**2 + 1 / left**2 + 1 / (tau + 1) ** 2 - (2 * tau + 1) / ((tau + 1) ** 2 * loss * left)
    free = np.where(loss <= tau / 2, free, 0.0) * 8 * cosine * tau * (tau + 2) / spread**2
    found = np.zeros_like(mu)
    for share, level_kev in zip(*_oscillators(medium), strict=True):
        level = level_kev / ELECTRON_REST_KEV
        if level < tau:
            distant = 1 / (level * (mu + level**2 / (4 * p2 * beta2)))
            found += share * np.where(slower > level, free, np.where(loss <= level, distant, 0.0))
    return np.asarray(front * found)


@cache
def _oscillators(medium: Medium) -> tuple[FloatArray, FloatArray]:
    return DensityEffect(medium).oscillators()


def angular_quantiles(moments: FloatArray) -> FloatArray:
    """Quantiles of mu = (1 - cos)/2 after a step whose scattering strengths are `moments` (``K_l``, dimensionless).

    Returns
    -------
    ndarray, shape (QUANTILES + 1,)
        Values at the cumulative probabilities described at `QUANTILES`; sampled with linear interpolation in v they
        give the exact mean cosine ``exp(-K_1)``.
    """
    grid, difference = _cumulative_basis()
    kept = np.exp(-moments)
    cumulative = (grid + difference @ kept[1:]).clip(0, 1)
    cumulative = np.maximum.accumulate(cumulative)
    cumulative = cumulative / cumulative[-1]
    cumulative += np.arange(len(grid)) * 1e-14
    v = np.linspace(0, 1, QUANTILES + 1)
    quantiles = np.interp(1 - (1 - v) ** 2, cumulative, grid)
    # mean of the sampled mu: integral of 2 (1 - v) mu(v) with mu linear between the nodes
    step = 1 / QUANTILES
    low, high, start = quantiles[:-1], quantiles[1:], v[:-1]
    mean = np.sum(step * ((1 - start) * (low + high) - step * (low / 3 + 2 * high / 3)))
    return np.asarray(np.minimum(quantiles * ((1 - kept[1]) / 2 / mean), 1.0))


@cache
def _cumulative_basis() -> tuple[FloatArray, FloatArray]:
    """Grid in mu and, for each order l >= 1, ``(P_(l-1) - P_(l+1)) / 2``: the integral of ``(2l+1) P_l / 2``."""
    from scipy.special import eval_legendre

    grid = np.concatenate([[0.0], np.geomspace(1e-6, 1.0, 700)])
    legendre = eval_legendre(np.arange(ORDERS + 2)[:, None], 1 - 2 * grid)
    return grid, ((legendre[:-2] - legendre[2:]) / 2).T
