"""Counts through lead by another way: rays marched through the lattice of holes, written apart from the Monte Carlo."""

import math

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.imaging.spect.camera.cameras import gamma_camera, nuclide_windows
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.emission import photon_spectrum
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.projections import Orbit
from hepatica.nuclides import nuclide
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


def lead_paths_mm(
    name: str, tangent: float, rng: np.random.Generator, rays: int = 2000, azimuth: tuple[float, float] = (0.0, 360.0)
) -> np.ndarray:
    """Length of lead on rays that enter anywhere under one polar angle and any azimuth (degrees) between two."""
    found = gamma_camera(name).collimator
    pitch, steps = found.hole_mm + found.septum_mm, 150
    start = rng.uniform(0, 1, (rays, 2)) * np.array([pitch, pitch * math.sqrt(3)])
    turn = np.radians(rng.uniform(*azimuth, rays))
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


@pytest.mark.parametrize(("name", "tangent"), [("siemens-hegp", 0.17), ("siemens-hegp", 0.35), ("ge-hegp", 0.33)])
def test_star_of_straight_lines_is_what_rays_say(name: str, tangent: float) -> None:
    """364 keV, counts across the thin walls (sector 0) and along them (sector 5) over the mean of all azimuths.

    Rays that any collision ends, as in the table. 10 000 rays a sector, whose chances spread by up to twice their
    mean: 2 %; the table's 40 000 in six sectors 2.5 %; the middle of a bin for all of it 5 %: within 10 %.
    """
    rng, table = np.random.default_rng(6), detector_response(name)
    bin_ = int(np.searchsorted(table.tangent, tangent)) - 1
    middle = float(table.tangent[bin_ : bin_ + 2].mean())
    chance = [
        float(np.exp(-LEAD_PER_MM * lead_paths_mm(name, middle, rng, 10_000, (5.0 * n, 5.0 * n + 5))).mean())
        for n in range(6)
    ]
    assert table.star is not None
    near = int(np.argmin(np.abs(table.energy_kev - KEV)))
    weights = np.log(table.energy_kev[near - 1 : near + 2])
    found = [np.interp(math.log(KEV), weights, table.star[near - 1 : near + 2, bin_, n]) for n in (0, 5)]
    assert found == pytest.approx(np.array([chance[0], chance[5]]) / np.mean(chance), rel=0.10)


def test_point_of_iodine_makes_a_star_of_six_arms() -> None:
    """A point of 131I in air, 10 cm before a high-energy collimator: counts through lead along the six arms.

    Expected is the table's response to every line of 131I in a ring of tangents 0.25 to 0.5. The crystal's 4 mm smear
    an arm, 10 degrees or 10 mm wide there: 12 %; between the arms, and in all, the ring's cut by pixels and bins: 6 %.
    """
    camera = gamma_camera("siemens-hegp")
    iodine = nuclide("I-131")
    grid = Grid.axial((61, 61, 61), spacing_mm=(3.0, 3.0, 3.0), origin_mm=(-90.0, -90.0, -90.0))
    air = np.full(grid.shape, 0.0012, np.float32)
    air[:2, :2], air[-2:, -2:] = 0.06, 0.06  # A patient is looked for; photons do not pass there.
    values = np.zeros(grid.shape, np.float32)
    values[30, 30, 30] = 1
    peak = nuclide_windows(iodine)[0][0]
    setup = SpectSetup(camera, iodine, Orbit(np.array([0.0]), np.array([100.0])), [peak], grid)
    projector = MonteCarloProjector(Volume(grid, air, Kind.DENSITY), setup)
    found = projector.project(Volume(grid, values, Kind.ACTIVITY), ProjectionSettings(histories=60_000, seed=5))
    lead = found.other[0, 0]
    u, v = (np.indices(lead.shape) - 30) * 3.0
    table = detector_response(camera)
    level = 100.0 + float(np.interp(KEV, table.energy_kev, table.depth_mm))
    ring = (np.hypot(u, v) > 0.25 * level) & (np.hypot(u, v) < 0.5 * level)
    azimuth = np.degrees(np.arctan2(v, u))
    from_arm = np.abs(azimuth - np.round(azimuth / 60) * 60)
    of = {name: float(lead[ring & chosen].mean()) for name, chosen in
          (("arm", from_arm < 5), ("between", from_arm > 20), ("all", from_arm >= 0))}  # fmt: skip
    energy, emitted = photon_spectrum(iodine).points
    use = [n for n in np.argsort(energy) if 300 < energy[n] < 1000]
    seen = table.window([peak], energy[use])
    middle = (seen.tangent[1:] + seen.tangent[:-1]) / 2
    bins = (middle > 0.25) & (middle < 0.5)
    assert seen.star is not None
    counts = np.einsum("n,nm,nms->s", emitted[use], seen.through[0] * seen.solid_angle_sr * bins, seen.star[0])
    assert of["arm"] / of["all"] == pytest.approx(counts[0] / counts.mean(), rel=0.12)
    assert of["between"] / of["all"] == pytest.approx(counts[4:].mean() / counts.mean(), rel=0.06)
    assert of["arm"] > 1.6 * of["between"]
    # All angles together: as many as without a star.
    radius = np.hypot(u, v)[ring]
    even = sum(
        n * float(seen.point_density(e, 100.0, radius)[0].sum()) for e, n in zip(energy[use], emitted[use], strict=True)
    )
    assert float(lead[ring].sum()) == pytest.approx(even * 9.0, rel=0.06)
