"""Counts through lead by another way: rays marched through the lattice of holes, written apart from the Monte Carlo."""

import math

import numpy as np
import pytest

from hepatica.imaging.spect.camera.cameras import gamma_camera
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.photons import coefficients

KEV = 364.489


def per_mm(name: str) -> tuple[float, float]:
    """Total and coherent attenuation of a medium in 1/mm; cross sections are shared with the Monte Carlo."""
    found = medium(name)
    parts = coefficients(found, np.array([KEV]))[:, 0] * found.density_g_ml / 10
    return float(parts.sum()), float(parts[2])


LEAD_PER_MM, COHERENT_PER_MM = per_mm("lead")
NAI_PER_MM = per_mm("sodium_iodide")[0]
FIRST, LAST = 0.1, 0.7
"""Tangents where no hole lets anything through and the crystal's edges do not matter."""


def in_lead(points: np.ndarray, pitch_mm: float, flats_mm: float) -> np.ndarray:
    """Whether points of the plane lie in a wall: the nearest hole of two rectangular lattices is tried."""
    cell = np.array([pitch_mm, pitch_mm * math.sqrt(3)])
    near = [points - shift - np.round((points - shift) / cell) * cell for shift in (np.zeros(2), cell / 2)]
    first = (near[0] ** 2).sum(axis=-1) < (near[1] ** 2).sum(axis=-1)
    place = np.where(first[..., None], near[0], near[1])
    turns = np.radians([0.0, 60.0, 120.0])
    return (np.abs(place @ np.stack([np.cos(turns), np.sin(turns)])) > flats_mm / 2).any(axis=-1)


def lead_paths_mm(name: str, tangent: float, rng: np.random.Generator, rays: int = 2000) -> np.ndarray:
    """Length of lead on rays that enter anywhere under one polar angle and any azimuth."""
    found = gamma_camera(name).collimator
    pitch, steps = found.hole_mm + found.septum_mm, 150
    start = rng.uniform(0, 1, (rays, 2)) * np.array([pitch, pitch * math.sqrt(3)])
    turn = rng.uniform(0, 2 * math.pi, rays)
    slope = tangent * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    depth = (np.arange(steps) + rng.uniform(size=(rays, 1))) / steps * found.length_mm
    points = start[:, None] + slope[:, None] * depth[..., None]
    return in_lead(points, pitch, found.hole_mm).mean(axis=1) * found.length_mm * math.hypot(1, tangent)


@pytest.mark.parametrize("name", ["siemens-lehr", "siemens-leap"])
def test_low_energy_collimators_let_through_what_rays_say(name: str) -> None:
    """364-keV photons that leave all their energy, from 6 to 35 degrees, where only lead is crossed.

    The table lies between rays that coherent scatter ends (too few) and rays that it does not touch (too many), with
    7 % on either side: 3 % for the noise of 2000 rays, 5 % for the crystal, whose full-energy share is taken to grow
    with the slant as the chance of a first interaction does. Siemens cameras have nothing before their collimators.
    """
    rng = np.random.default_rng(4)
    camera, table = gamma_camera(name), detector_response(name)
    middle = (table.tangent[1:] + table.tangent[:-1]) / 2
    chosen = np.flatnonzero((middle > FIRST) & (middle < LAST))
    geometric, through = table.at(KEV)
    few = many = found = 0.0
    for bin_, tangent in zip(chosen, middle[chosen], strict=True):
        paths = lead_paths_mm(name, float(tangent), rng)
        slant = (1 - math.exp(-NAI_PER_MM * camera.crystal_mm * math.hypot(1, tangent))) / (
            1 - math.exp(-NAI_PER_MM * camera.crystal_mm)
        )
        seen = table.solid_angle_sr[bin_] * camera.photopeak_efficiency(KEV) * slant
        few += seen * np.exp(-LEAD_PER_MM * paths).mean()
        many += seen * np.exp(-(LEAD_PER_MM - COHERENT_PER_MM) * paths).mean()
        found += table.solid_angle_sr[bin_] * (geometric + through)[0, bin_, 0]
    assert 0.93 * few < found < 1.07 * many


def counts_within(name: str, widest: float, rng: np.random.Generator) -> np.ndarray:
    """Full-energy counts at 364 keV of a source in air: rays that coherent scatter ends, that it spares, the table.

    Over all angles up to a tangent, holes included; what lies before collimator and crystal takes by its slant.
    """
    camera, table = gamma_camera(name), detector_response(name)
    middle = (table.tangent[1:] + table.tangent[:-1]) / 2
    geometric, through = table.at(KEV)
    before = sum(per_mm(layer.medium)[0] * layer.thickness_mm for layer in (*camera.front, *camera.cover))
    crystal = NAI_PER_MM * camera.crystal_mm
    found = np.zeros(3)
    for bin_ in np.flatnonzero(middle < widest):
        slant = math.hypot(1, middle[bin_])
        paths = lead_paths_mm(name, float(middle[bin_]), rng, rays=500)
        share = camera.photopeak_efficiency(KEV) * math.expm1(-crystal * slant) / math.expm1(-crystal)
        by_rays = [np.exp(-mu * paths).mean() for mu in (LEAD_PER_MM, LEAD_PER_MM - COHERENT_PER_MM)]
        seen = share * math.exp(-before * slant) * np.array(by_rays)
        found += table.solid_angle_sr[bin_] * np.append(seen, (geometric + through)[0, bin_, 0])
    return found


def test_ge_collimators_at_364_kev_let_through_what_rays_say() -> None:
    """Low-energy over high-energy collimator: rays say 98 to 113, and 73 to 81 up to 45 degrees (table 101 and 73).

    OpenTOPAS-SPECT found 64.5 and SIMIND 67.7 (docs/detector.md) in a detector whose extent they do not state: that of
    one that ends at 40 to 45 degrees is the same by rays, so that the third between is of the field, not of the lead.
    Tolerance: 4 % for 500 rays at each of fifty angles and 4 % for the crystal, whose full-energy share is taken to
    grow as the chance of a first interaction does.
    """
    for widest, published in ((10.0, None), (1.0, 67.7)):
        rng = np.random.default_rng(4)
        low, high = (counts_within(name, widest, rng) for name in ("ge-lehr", "ge-hegp"))
        for few, many, table in (low, high, low / high):
            assert 0.93 * few < table < 1.07 * many
        if published is not None:
            few, _, _ = low / high
            assert few == pytest.approx(published, rel=0.1)
