"""Values of the detector's response: windows, interpolation, errors."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hepatica.errors import InputError, PhysicsError
from hepatica.imaging.spect.camera.cameras import CAMERA_NAMES, GammaCamera, gamma_camera
from hepatica.imaging.spect.camera.collimator_montecarlo import Bench, DetectorRun, simulate_detector
from hepatica.imaging.spect.camera.detector import (
    DetectorResponse,
    geometric_response,
    hexagon_transmission,
    mean_transmission,
    solid_angle_sr,
)
from hepatica.imaging.spect.camera.detector_tables import decode, detector_response, encode, geometry_of, kept_file
from hepatica.imaging.spect.projections import Window

WIDE = Window(1.0, 3000.0)


def made_up(components: int = 12) -> DetectorResponse:
    rng = np.random.default_rng(3)
    parts = rng.uniform(0.001, 0.01, (2, 3, 5, components))
    return DetectorResponse(
        camera="made-up",
        energy_resolution=0.1,
        energy_kev=np.array([100.0, 200.0, 400.0]),
        tangent=np.array([0.0, 0.1, 0.2, 0.5, 1.0, 2.0]),
        depth_mm=np.array([30.0, 31.0, 32.0]),
        geometric=parts[0],
        through=parts[1],
    )


def test_a_window_over_everything_holds_every_deposit() -> None:
    response = made_up()
    found = response.window([WIDE], response.energy_kev)
    # the lowest bin of the continuum leaks below 1 keV by the finite resolution
    np.testing.assert_allclose(found.geometric[0], response.geometric.sum(axis=2), rtol=0.02)
    np.testing.assert_allclose(found.total[0], (response.geometric + response.through).sum(axis=2), rtol=0.02)


def test_windows_side_by_side_add_up() -> None:
    found = made_up().window([Window(50, 90), Window(90, 130), Window(50, 130)])
    np.testing.assert_allclose(found.total[0] + found.total[1], found.total[2], rtol=1e-9)


def test_the_peak_is_a_gaussian_of_the_cameras_resolution() -> None:
    response = made_up()
    only_peak = DetectorResponse(
        camera="made-up",
        energy_resolution=0.1,
        energy_kev=response.energy_kev,
        tangent=response.tangent,
        depth_mm=response.depth_mm,
        geometric=np.concatenate([np.ones((3, 5, 1)), np.zeros((3, 5, 11))], axis=2),
        through=np.zeros((3, 5, 12)),
    )
    sd = 0.1 / math.sqrt(8 * math.log(2)) * math.sqrt(140.5 * 200)
    found = only_peak.window([Window(200 - sd, 200 + sd)], [200.0])
    assert found.geometric[0, 0, 0] == pytest.approx(math.erf(math.sqrt(0.5)), rel=1e-6)


def test_pulse_heights_are_windows() -> None:
    response = made_up()
    heights = response.pulse_heights(150.0, [60.0, 100.0, 140.0])
    found = response.window([Window(60, 100), Window(100, 140)], [150.0, 151.0])
    np.testing.assert_allclose(heights, found.sensitivity(150.0), rtol=1e-9)


def test_interpolation_keeps_tabulated_values_and_powers() -> None:
    response = made_up()
    np.testing.assert_allclose(response.at(200.0)[0][0], response.geometric[1], rtol=1e-12)
    between = response.at(math.sqrt(100 * 200))[1][0].sum(axis=1)
    expected = np.sqrt(response.through[0].sum(axis=1) * response.through[1].sum(axis=1))
    np.testing.assert_allclose(between, expected, rtol=1e-12)


def test_solid_angles_fill_the_cone() -> None:
    assert solid_angle_sr(np.array([0.0, 0.3, 1.0])).sum() == pytest.approx(2 * math.pi * (1 - math.sqrt(0.5)))


def test_point_density_holds_the_sensitivity() -> None:
    found = geometric_response("siemens-hegp").window([WIDE], [300.0, 364.0])
    # rings out to beyond what the holes let through: 0.08 * (100 + 70) mm
    edges = np.linspace(0, 30, 3001)
    middle = (edges[1:] + edges[:-1]) / 2
    counts = found.point_density(364.0, 100.0, middle)[0] @ (math.pi * np.diff(edges**2))
    # the density is linear between the middles of 24 bins: a few parts in a thousand
    assert counts == pytest.approx(found.sensitivity(364.0)[0], rel=0.01)


def test_transmission_of_straight_photons_is_the_open_share() -> None:
    collimator = gamma_camera("siemens-lehr").collimator
    assert hexagon_transmission(collimator, 0.0) == pytest.approx((1.11 / 1.27) ** 2)
    assert hexagon_transmission(collimator, 2 / math.sqrt(3) * 1.11 / 24.05) == pytest.approx(0.0, abs=1e-12)
    assert mean_transmission(collimator, np.array([0.0, 1e-6]))[0] == pytest.approx((1.11 / 1.27) ** 2, rel=1e-4)


def test_what_is_refused() -> None:
    response = made_up()
    with pytest.raises(InputError, match="at least one energy window"):
        response.window([])
    with pytest.raises(PhysicsError, match="100 to 400 keV, not 90"):
        response.at(90.0)


def test_a_table_is_read_as_written() -> None:
    camera = gamma_camera("ge-hegp")
    response = geometric_response(camera)
    again = decode(encode(response, geometry_of(camera)), camera, "table")
    np.testing.assert_allclose(again.geometric, response.geometric, rtol=0.006, atol=1e-9)
    np.testing.assert_allclose(again.tangent, response.tangent, rtol=1e-5)


def test_a_table_of_another_geometry_is_refused() -> None:
    camera = gamma_camera("ge-hegp")
    data = encode(geometric_response(camera), geometry_of(camera))
    with pytest.raises(InputError, match="made for"):
        decode(data, gamma_camera("ge-megp"), "table")


@pytest.mark.parametrize("name", CAMERA_NAMES)
def test_a_star_adds_and_takes_no_counts(name: str) -> None:
    """Its sectors have a mean of 1 in every bin; two bins at 30 keV of GE's high-energy collimator had 1.33."""
    star = detector_response(name).star
    assert star is not None
    np.testing.assert_allclose(star.mean(axis=2), 1.0, rtol=1e-9)


def test_no_star_of_what_does_not_cross_lead() -> None:
    """Chances of 1e-320 are multiples of the smallest number, of which sectors hold one, two or none."""
    bench = Bench(gamma_camera("ge-hegp"), DetectorRun(crystal_photons=1000, collimator_photons=1000, rays=100))
    for kev in (30.0, 80.0, 400.0):
        star = bench.straight(0, kev)[2]
        np.testing.assert_allclose(star.mean(axis=1), 1.0, rtol=1e-9)
    np.testing.assert_array_equal(bench.straight(0, 30.0)[2][30:40], 1.0)


def few_energies(camera: GammaCamera) -> DetectorResponse:
    run = DetectorRun(crystal_photons=1000, collimator_photons=1000, rays=100)
    return simulate_detector(camera, run, np.array([60.0, 80.0])).response


def test_a_camera_of_ones_own_is_made_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    own = replace(gamma_camera("siemens-lehr"), name="own", gap_mm=5.0)
    with pytest.raises(PhysicsError, match="make=simulated_response"):
        detector_response(own)
    made = detector_response(own, make=few_energies)
    assert [file.suffix for file in (tmp_path / "hepatica").iterdir()] == [".gz"]
    np.testing.assert_array_equal(detector_response(own).geometric, made.geometric)
    kept_file(own).write_bytes(b"not a table")
    with pytest.raises(InputError, match="delete it"):
        detector_response(own)


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hepatica").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    own = replace(gamma_camera("siemens-lehr"), name="own", gap_mm=5.0)
    with pytest.warns(UserWarning, match="could not be kept"):
        detector_response(own, make=few_energies)
