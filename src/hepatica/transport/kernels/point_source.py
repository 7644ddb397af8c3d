"""Energy around a point source in an infinite uniform medium: what point kernels and ranges are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.nuclides import Nuclide
from hepatica.transport.matter.composition import Medium
from hepatica.transport.matter.stepping import StepModel
from hepatica.transport.runner.decays import DecayTransport, Places
from hepatica.transport.runner.source import Parts, emission
from hepatica.transport.runner.upload import Phantom, Shells

FloatArray = NDArray[np.float64]

ENDLESS_MM = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class RadialEnergy:
    """Energy absorbed in shells about a point source.

    Attributes
    ----------
    edges_mm : ndarray, shape (shells + 1,)
        Edges of the shells, from 0.
    kev_per_decay, kev_sd : ndarray, shape (shells,)
        Energy per decay in each shell, keV, and its standard uncertainty.
    beyond_kev : float
        Energy per decay absorbed beyond the last edge.
    emitted_kev : float
        Energy emitted per decay as sampled; `mean_kev` is what it tends to.
    mean_kev : float
        Mean energy emitted per decay.
    histories : int
        Decays followed.
    """

    edges_mm: FloatArray
    kev_per_decay: FloatArray
    kev_sd: FloatArray
    beyond_kev: float
    emitted_kev: float
    mean_kev: float
    histories: int

    @property
    def fractions(self) -> FloatArray:
        """Fraction of the emitted energy (as sampled) in each shell; with what lies beyond they add up to 1."""
        return self.kev_per_decay / self.emitted_kev


def radial_energy(
    nuclide: Nuclide,
    medium: Medium,
    shells: Shells,
    *,
    histories: int,
    parts: Parts = "beta",
    seed: int = 1,
    threads: int = 1,
    model: StepModel = StepModel(),
) -> RadialEnergy:
    """Follow decays of a point source in an infinite medium at its nominal density.

    Parameters
    ----------
    nuclide, medium : Nuclide, Medium
        What decays, and in what.
    shells : Shells
        Where energy is tallied.
    histories : int
        Decays, followed in 20 batches for the uncertainty.
    parts : str
        Emissions followed, see `source.emission`; annihilation photons of internal pairs count among the photons.
    seed, threads : int
        Random numbers and CPU threads.
    model : StepModel
        How finely electrons are followed.
    """
    phantom = Phantom(
        (ENDLESS_MM, ENDLESS_MM, ENDLESS_MM),
        np.full((1, 1, 1), medium.density_g_ml, np.float32),
        np.zeros((1, 1, 1), np.uint8),
        (medium,),
    )
    emitted = emission(
        nuclide,
        parts,
        electron_cutoff_kev=model.cutoff_kev,
        photon_cutoff_kev=model.photon_cutoff_kev,
        split_pairs=True,
    )
    # where photons are rare (90Y: one in 8000 decays) every history follows one, and energies are scaled back
    rarity = min(1.0, float(emitted.gamma_yield.sum())) if parts == "photon" else 1.0
    mean_kev = emitted.mean_kev
    emitted = replace(emitted, gamma_yield=emitted.gamma_yield / rarity, local_kev=emitted.local_kev / rarity)
    transport = DecayTransport(
        phantom, emitted, Places.of_phantom(phantom, np.array([0]), np.ones(1)), model=model, tally=shells
    )
    batches = 20
    size = max(histories // batches, 1)
    runs = [tuple(part.copy() for part in transport.run(seed, n * size, size, threads)) for n in range(batches)]
    tallies, counters = zip(*runs, strict=True)
    energy = np.array(tallies) * (rarity / size)
    mean, sd = energy.mean(axis=0), energy.std(axis=0, ddof=1) / np.sqrt(batches)
    return RadialEnergy(
        edges_mm=shells.edges_mm,
        kev_per_decay=mean[:-1],
        kev_sd=sd[:-1],
        beyond_kev=float(mean[-1]),
        emitted_kev=float(np.sum(counters, axis=0)[0]) * rarity / (batches * size),
        mean_kev=mean_kev,
        histories=batches * size,
    )
