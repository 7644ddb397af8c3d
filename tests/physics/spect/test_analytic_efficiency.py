"""What the analytic simulation counts, against the Monte Carlo of the detector, factor by factor and as a whole."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.imaging.reconstruct.algorithms import IterationOptions
from hepatica.imaging.spect.camera.cameras import gamma_camera, nuclide_windows
from hepatica.imaging.spect.camera.detector import mean_transmission
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.options import AcquisitionOptions
from hepatica.imaging.spect.projections import Orbit
from hepatica.imaging.spect.reconstruction import reconstruct_scan
from hepatica.imaging.spect.scan_model import SpectOptions, scan_model
from hepatica.imaging.spect.simulate import Scan, analytic_projections, camera_grid
from hepatica.imaging.spect.system import analytic_sensitivity, beside_peaks, window_model
from hepatica.nuclides import nuclide
from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.photons import build_photons


@pytest.mark.parametrize(
    ("camera_name", "kev"),
    [("siemens-megp", 80.6), ("siemens-lehr", 140.5), ("siemens-megp", 208.4), ("ge-lehr", 140.5)],
)
def test_crystal_of_the_formula_is_that_of_the_table(camera_name: str, kev: float) -> None:
    """Two Monte Carlo programs: photons into a slab (tools/tables/build_camera_tables.py, cross sections of xraylib)
    and the detector's (Warp, with covers and what lies behind). Both let K X rays of iodine escape: 6 % at 80 keV, 2 %
    at 140.

    The cover takes exp(-mu d) off a photon's line. 400 000 photons leave 0.1 %, 6000 in each of 24 bins 0.1 %; angles
    under a hole's 2 to 5 degrees lengthen the way by 0.4 % at most; xraylib against EPDL97 0.5 %: 1 %.
    """
    camera = gamma_camera(camera_name)
    table = detector_response(camera)
    near = slice(0, 24)
    solid = table.solid_angle_sr[near] * mean_transmission(camera.collimator, table.tangent)[near]
    found = float(table.at(kev)[0][0, near, 0] @ table.solid_angle_sr[near]) / float(solid.sum())
    before = (*camera.front, *camera.cover)
    photons = build_photons([medium(layer.medium) for layer in before])
    mu = [float(np.interp(math.log(kev), np.log(photons.energy_kev), row)) for row in photons.total]
    passed = math.exp(-sum(m * one.density_g_ml * one.thickness_mm for m, one in zip(mu, before, strict=True)))
    assert camera.photopeak_efficiency(kev) * passed == pytest.approx(found, rel=0.01)


@pytest.mark.parametrize(("camera_name", "name"), [("siemens-lehr", "Tc-99m"), ("siemens-megp", "Lu-177")])
def test_formula_counts_the_rims_that_the_table_calls_lead(camera_name: str, name: str) -> None:
    """Formula over table is (l / l_effective)^2, the rims of Anger's formula, times the cover that the formula lacks.

    That was 1.10 and 1.13 with another crystal (issue 15): no more is to be explained than 1 %.
    """
    camera, chosen = gamma_camera(camera_name), nuclide(name)
    peak = nuclide_windows(chosen)[0][0]
    model = window_model(camera, chosen, peak)
    kev = model.mean_energy_kev
    rims = (camera.collimator.length_mm / camera.collimator.effective_length_mm(kev)) ** 2
    aluminium = build_photons([medium("aluminium")])
    mu = 2.699 * float(np.interp(math.log(kev), np.log(aluminium.energy_kev), aluminium.total[0]))
    cover = math.exp(-mu * camera.cover[0].thickness_mm)
    over = camera.sensitivity_cps_per_bq(chosen, peak) / model.sensitivity_cps_per_bq
    assert over == pytest.approx(rims / cover, rel=0.01)
    assert rims > 1.06


@pytest.mark.parametrize(("camera_name", "name"), [("siemens-lehr", "Tc-99m"), ("siemens-megp", "Lu-177")])
def test_analytic_scan_is_read_right_by_the_model(camera_name: str, name: str) -> None:
    """A ball in water, simulated without scatter and reconstructed with `--sensitivity model`: 10 to 13 % too much
    before simulation and model counted alike. OSEM keeps the counts; what attenuation of 2.4-mm voxels on 4.8 mm
    leaves is 1 %, noise 0.1 %: within 2 %.
    """
    fine = Grid.axial((60, 60, 24), spacing_mm=(4.0, 4.0, 4.0), frame_of_reference="1.2.3")
    middle = fine.to_mm((np.asarray(fine.shape) - 1) / 2)
    x, y, z = np.moveaxis(fine.to_mm(np.moveaxis(np.indices(fine.shape), 0, -1)) - middle, -1, 0)
    when = datetime(2026, 3, 3, 9, 0)
    activity = Volume(fine, np.where(x**2 + y**2 + z**2 < 35**2, 4e5, 0.0), Kind.ACTIVITY, when)
    ct = Volume(fine, np.where(np.hypot(x, y) < 100, 0.0, -1000.0), Kind.HU)
    camera, chosen = gamma_camera(camera_name), nuclide(name)
    peak = nuclide_windows(chosen)[0][0]
    grid = camera_grid(fine, pixel_mm=8.0, columns=30)
    scan = Scan(Orbit.circular(30, radius_mm=150.0), 40.0, (peak,), columns=30)
    seen = analytic_projections(activity, ct, camera=camera, nuclide=chosen, scan=scan, grid=grid, seed=3)
    options = SpectOptions(
        acquisition=AcquisitionOptions(sensitivity_cps_per_mbq="model"),
        iteration=IterationOptions(iterations=4, subsets=5),
    )
    made = reconstruct_scan(scan_model(seen, ct, camera, chosen, options), options)
    assert made.total.value == pytest.approx(activity.total, rel=0.02)
    assert analytic_sensitivity(camera, chosen, peak)[0] == window_model(camera, chosen, peak).sensitivity_cps_per_bq


@pytest.mark.parametrize(
    ("camera_name", "name", "formula", "through_holes"),
    [("siemens-lehr", "Tc-99m", 2.35, 3.55), ("siemens-megp", "Lu-177", 0.02, 0.20)],
)
def test_window_below_the_peak_holds_what_photons_leave_in_part(
    camera_name: str, name: str, formula: float, through_holes: float
) -> None:
    """A ball in water, seen through holes in peak and window below it: the Monte Carlo follows photons one by one.

    The tail of the peak alone (the formula) is two thirds and a tenth of it. The Monte Carlo leaves 0.3 % in a window
    (primary only, one energy for most of it), the analytic attenuation at the mean energy 1 %, 2.4-mm voxels 1 %: 3 %.
    """
    camera, chosen = gamma_camera(camera_name), nuclide(name)
    peak, below = nuclide_windows(chosen)[0][0], nuclide_windows(chosen)[1][0]
    assert 1e6 * camera.sensitivity_cps_per_bq(chosen, below) == pytest.approx(formula, rel=0.1)
    assert 1e6 * analytic_sensitivity(camera, chosen, below)[0] == pytest.approx(through_holes, rel=0.02)
    fine = Grid.axial((60, 60, 24), spacing_mm=(4.0, 4.0, 4.0), frame_of_reference="1.2.3")
    middle = fine.to_mm((np.asarray(fine.shape) - 1) / 2)
    x, y, z = np.moveaxis(fine.to_mm(np.moveaxis(np.indices(fine.shape), 0, -1)) - middle, -1, 0)
    activity = Volume(fine, np.where(x**2 + y**2 + z**2 < 35**2, 4e5, 0.0), Kind.ACTIVITY)
    ct = Volume(fine, np.where(np.hypot(x, y) < 100, 0.0, -1000.0), Kind.HU)
    grid = camera_grid(fine, pixel_mm=8.0, columns=30)
    orbit, windows = Orbit.circular(4, radius_mm=150.0), (peak, below)
    scan = Scan(orbit, 1.0, windows, columns=30)
    seen = analytic_projections(activity, ct, camera=camera, nuclide=chosen, scan=scan, grid=grid, seed=None)
    setup = SpectSetup(camera, chosen, orbit, windows, grid)
    followed = MonteCarloProjector(ct, setup).project(activity, ProjectionSettings(histories=150_000, max_scatter=0))
    found, expected = (one.sum(axis=(1, 2, 3)) for one in (seen.counts, followed.primary))
    decay = float(seen.mean_activity(chosen.half_life_s).mean())
    np.testing.assert_allclose(found / decay, expected, rtol=0.03)
    (said,) = beside_peaks(camera, chosen, windows)
    assert said.code == "side-windows-without-scatter"
    assert str(below) in said.text
    assert str(peak) not in said.text
    assert not beside_peaks(camera, chosen, (peak,))
