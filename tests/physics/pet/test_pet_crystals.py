"""Photons counted by a plate of crystal, against a second Monte Carlo: other sampling, no electron binding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hepatica.core.constants import ELECTRON_REST_KEV, FWHM_PER_SD
from hepatica.imaging.pet.photon_efficiency import photon_efficiency
from hepatica.imaging.pet.scanner import Scanner, scanner
from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.photons import coefficients

PHOTONS = 30_000


def scattered(energy: NDArray[np.float64], rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energy and cosine after a collision with a free electron: Klein and Nishina, by rejection."""
    cosine, open_ = np.empty(len(energy)), np.arange(len(energy))
    while open_.size:
        tried = rng.uniform(-1, 1, open_.size)
        left = 1 / (1 + energy[open_] / ELECTRON_REST_KEV * (1 - tried))
        taken = rng.random(open_.size) < left**2 * (left + 1 / left - (1 - tried**2)) / 2
        cosine[open_[taken]] = tried[taken]
        open_ = open_[~taken]
    return energy / (1 + energy / ELECTRON_REST_KEV * (1 - cosine)), cosine


def turned(
    direction: NDArray[np.float64], cosine: NDArray[np.float64], azimuth: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Directions turned by an angle."""
    aside = np.where(np.abs(direction[:, [2]]) < 0.9, [0.0, 0.0, 1.0], [1.0, 0.0, 0.0])
    u = np.cross(direction, aside)
    u /= np.linalg.norm(u, axis=1)[:, None]
    v = np.cross(direction, u)
    sine = np.sqrt(1 - cosine**2)
    return cosine[:, None] * direction + sine[:, None] * (np.cos(azimuth)[:, None] * u + np.sin(azimuth)[:, None] * v)


def plate(of: Scanner, rng: np.random.Generator) -> float:
    """Share of 511 keV photons at right angles to an endless plate of the crystal that fall into the window."""
    crystal = medium(of.crystal)
    energy, laid = np.full(PHOTONS, ELECTRON_REST_KEV), np.zeros(PHOTONS)
    depth, direction = np.zeros(PHOTONS), np.tile([0.0, 0.0, 1.0], (PHOTONS, 1))
    going = np.arange(PHOTONS)
    while going.size:
        per_mm = coefficients(crystal, energy[going])[:3] * crystal.density_g_ml / 10
        depth[going] -= np.log(rng.random(going.size)) / per_mm.sum(axis=0) * direction[going, 2]
        inside = (depth[going] > 0) & (depth[going] < of.crystal_mm[2])
        going, per_mm = going[inside], per_mm[:, inside]
        chosen = rng.random(going.size) * per_mm.sum(axis=0)
        absorbed, free = chosen < per_mm[0], (chosen >= per_mm[0]) & (chosen < per_mm[0] + per_mm[1])
        laid[going[absorbed]] += energy[going[absorbed]]
        hit = going[free]
        left, cosine = scattered(energy[hit], rng)
        laid[hit] += energy[hit] - left
        energy[hit] = left
        direction[hit] = turned(direction[hit], cosine, rng.uniform(0, 2 * np.pi, hit.size))
        going = going[~absorbed]
    blur = of.energy_resolution / FWHM_PER_SD * np.sqrt(laid * ELECTRON_REST_KEV)
    seen = laid + rng.standard_normal(PHOTONS) * blur
    return float(((seen > of.energy_window_kev[0]) & (seen < of.energy_window_kev[1])).mean())


@pytest.mark.parametrize("name", ["biograph_mct", "discovery_st"])
def test_a_plate_without_slits_counts_as_a_second_monte_carlo_does(name: str) -> None:
    # Coherent scatter goes straight on in the second one, and electrons are free: 0.5 %. Counting: 0.4 % of 30 000
    # photons, 0.4 % of the table.
    shipped = scanner(name)
    pitch = shipped.crystal_mm[:2]
    # modules side by side at the mean depth
    side = shipped.module_crystals * pitch[0] / 2 / np.tan(np.pi / shipped.modules_around)
    endless = replace(
        shipped, counted_share=1.0, adds_blocks=True, pitch_mm=pitch, module_gap=0, module_ring_gap=0,
        radius_mm=side - shipped.depth_mm,
    )  # fmt: skip
    # within a degree of right angles: 9 times 4 000 photons
    found = photon_efficiency(endless).coarse[:3, :3].mean()
    assert found == pytest.approx(plate(endless, np.random.default_rng(1)), rel=0.02)
    # the same with the slits and blocks of the scanner counts less: what the test could not tell apart otherwise
    assert photon_efficiency(replace(shipped, counted_share=1.0)).coarse[:3, :3].mean() < 0.97 * found


def test_photons_along_the_slits_are_lost() -> None:
    # BGO of 6.3 mm at 6.63 x 6.54 mm: 8.5 % of a face are slits. At right angles nothing is in them, beyond 6 degrees
    # a photon leaves the slit within 3 of 30 mm. The table that lines use had no angle below 1.8 degrees.
    table = photon_efficiency(replace(scanner("discovery_st"), counted_share=1.0))
    level = table.coarse[4:9, 4:9].mean()
    slits = 1 - np.prod(scanner("discovery_st").crystal_mm[:2]) / np.prod(scanner("discovery_st").pitch_mm)
    assert table.coarse[0, 0] == pytest.approx((1 - slits) * level, rel=0.04)
    np.testing.assert_allclose(table.at(np.zeros(1), np.zeros(1)), table.coarse[0, 0], rtol=1e-3)
