"""What a decay emits, in the form the transport samples it: beta quantiles, lines with yields, energy left in place."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import PhysicsError, UnknownNameError
from hepatica.nuclides import Nuclide
from hepatica.nuclides.nuclide import BetaBranch
from hepatica.nuclides.spectrum import branches_spectrum, with_mean

FloatArray = NDArray[np.float64]
Parts = Literal["all", "beta", "photon"]

PARTS = ("all", "beta", "photon")
BETA_BINS = 4096


@dataclass(frozen=True, slots=True)
class Emission:
    """Emissions of one decay.

    Attributes
    ----------
    beta_yield : float
        Beta particles per decay.
    beta_kev : ndarray, shape (BETA_BINS + 1,)
        Edges of bins of equal probability; the energy is uniform within a bin.
    line_kev, line_yield : ndarray
        Conversion and Auger electrons above the electron cut-off, per decay.
    gamma_kev, gamma_yield : ndarray
        Gamma and X rays above the photon cut-off, per decay.
    local_kev : float
        Mean energy per decay of electrons and photons below the cut-offs, absorbed in place.
    positron_yield : float
        Internal pairs per decay; each is followed with its annihilation photons.
    positron_sum_kev : float
        Kinetic energy shared (evenly on average, uniformly distributed) by the pair.
    """

    beta_yield: float
    beta_kev: FloatArray
    line_kev: FloatArray
    line_yield: FloatArray
    gamma_kev: FloatArray
    gamma_yield: FloatArray
    local_kev: float
    positron_yield: float
    positron_sum_kev: float

    @property
    def mean_kev(self) -> float:
        """Mean energy emitted per decay, annihilation photons included."""
        beta = self.beta_yield * float((self.beta_kev[1:] + self.beta_kev[:-1]).mean()) / 2
        lines = float(self.line_kev @ self.line_yield + self.gamma_kev @ self.gamma_yield)
        return beta + lines + self.local_kev + self.positron_yield * (self.positron_sum_kev + 1021.9979)


def emission(
    nuclide: Nuclide,
    parts: Parts = "all",
    *,
    electron_cutoff_kev: float = 10.0,
    photon_cutoff_kev: float = 1.0,
    split_pairs: bool = False,
) -> Emission:
    """Emissions of `nuclide`: all, only beta particles and other electrons ("beta"), or only photons ("photon").

    Bremsstrahlung belongs to the electrons; the annihilation photons of internal pairs belong to them too, unless
    `split_pairs` makes two electrons of the pair and counts its annihilation photons among the photons, as the
    nuclide's energies do.

    Raises
    ------
    UnknownNameError
        If `parts` is none of the three.
    PhysicsError
        If there is nothing of that kind to emit.
    """
    if parts not in PARTS:
        raise UnknownNameError("part of the emission", parts, PARTS)
    electrons, photons = parts in ("all", "beta"), parts in ("all", "photon")
    local = 0.0
    lines = [e for e in nuclide.electrons if electrons and (split_pairs or e.kind != "pair")]
    local += sum(e.energy_kev * e.yield_per_decay for e in lines if e.energy_kev <= electron_cutoff_kev)
    lines = [e for e in lines if e.energy_kev > electron_cutoff_kev]
    gammas = [g for g in nuclide.photons if photons and (split_pairs or g.kind != "annihilation")]
    local += sum(g.energy_kev * g.yield_per_decay for g in gammas if g.energy_kev <= photon_cutoff_kev)
    gammas = [g for g in gammas if g.energy_kev > photon_cutoff_kev]
    pairs = [e.energy_kev for e in nuclide.electrons if e.kind == "pair"] if electrons and not split_pairs else []
    betas = bool(nuclide.betas) and electrons
    if not (betas or lines or gammas):
        raise PhysicsError(f"{nuclide.name} emits nothing of the part {parts!r}")
    return Emission(
        beta_yield=sum(b.yield_per_decay for b in nuclide.betas) if betas else 0.0,
        beta_kev=_beta_kev(nuclide.betas, nuclide.mass_number) if betas else np.zeros(BETA_BINS + 1),
        line_kev=np.array([e.energy_kev for e in lines]),
        line_yield=np.array([e.yield_per_decay for e in lines]),
        gamma_kev=np.array([g.energy_kev for g in gammas]),
        gamma_yield=np.array([g.yield_per_decay for g in gammas]),
        local_kev=local,
        positron_yield=nuclide.positron_yield if pairs else 0.0,
        positron_sum_kev=float(sum(pairs)),
    )


@functools.lru_cache(maxsize=16)
def _beta_kev(betas: tuple[BetaBranch, ...], mass_number: int) -> FloatArray:
    """Quantiles of the computed spectrum with the evaluated mean: the energy per decay that all engines have."""
    energy, density = branches_spectrum(betas, mass_number, step_kev=0.25)
    number = sum(branch.yield_per_decay for branch in betas)
    mean = sum(branch.yield_per_decay * branch.mean_kev for branch in betas) / number
    found = beta_quantiles_kev(energy, with_mean(energy, density, mean))
    found.setflags(write=False)
    return found


def beta_quantiles_kev(energy_kev: FloatArray, density: FloatArray) -> FloatArray:
    """Edges of BETA_BINS bins of equal probability under a density that is linear between the points given.

    The cumulative distribution is exact at the points and quadratic between them, so no interpolation bias arises
    (linear interpolation of a coarse spectrum raises its mean by 0.1-0.4 %).
    """
    steps = np.diff(energy_kev)
    cumulative = np.concatenate([[0.0], np.cumsum(steps * (density[1:] + density[:-1]) / 2)])
    wanted = np.linspace(0, cumulative[-1], BETA_BINS + 1)
    n = np.clip(np.searchsorted(cumulative, wanted, side="right") - 1, 0, len(steps) - 1)
    rest, low = wanted - cumulative[n], density[n]
    slope = (density[n + 1] - low) / steps[n]
    root = np.sqrt(np.maximum(low**2 + 2 * slope * rest, 0))
    edges = energy_kev[n] + np.where(rest > 0, 2 * rest / np.maximum(low + root, 1e-300), 0.0)
    edges[0], edges[-1] = energy_kev[0], energy_kev[-1]
    return np.asarray(np.minimum(edges, energy_kev[-1]))


def alias_table(weights: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Walker's alias method: probability of keeping each column, and the column taken otherwise.

    Columns below the mean are filled up by those above it in one sweep (Vose, IEEE Trans Softw Eng 1991;17:972),
    written with running sums: a light column takes from the heavy column in whose running excess its own running
    deficit begins; a heavy column that gives more than its excess is filled up by the next one.
    """
    scaled = np.asarray(weights, dtype=np.float64)
    scaled = scaled * (len(scaled) / scaled.sum())
    keep = np.ones(len(scaled))
    other = np.arange(len(scaled), dtype=np.int32)
    light, heavy = np.flatnonzero(scaled < 1), np.flatnonzero(scaled >= 1)
    if not len(heavy):  # all the same: each falls short of the mean by rounding alone
        return keep.astype(np.float32), other
    deficit = np.cumsum(1 - scaled[light])
    excess = np.cumsum(scaled[heavy] - 1)
    begins = np.concatenate([[0.0], deficit[:-1]])[: len(light)]
    giver = np.minimum(np.searchsorted(excess, begins, side="right"), len(heavy) - 1)
    keep[light] = scaled[light]
    other[light] = heavy[giver]
    if len(light):
        last = np.searchsorted(deficit, excess[:-1], side="right")
        over = np.where(last < len(light), deficit[np.minimum(last, len(light) - 1)] - excess[:-1], 0.0)
        begun = begins[np.minimum(last, len(light) - 1)] < excess[:-1]
        keep[heavy[:-1]] = 1 - np.where(begun, over, 0.0).clip(0, 1)
        other[heavy[:-1]] = heavy[1:]
    return keep.astype(np.float32), other
