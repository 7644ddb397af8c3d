"""A simulated scan: spectrum, dead time, decay, noise."""

from datetime import datetime

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.errors import InputError, UnknownNameError
from hepatica.imaging.spect.camera.cameras import gamma_camera
from hepatica.imaging.spect.camera.detector import geometric_response
from hepatica.imaging.spect.montecarlo.projector import SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.montecarlo.simulate import Acquisition, DeadTime, SimulatedScan, simulate_montecarlo
from hepatica.imaging.spect.montecarlo.spectrum import energy_spectrum
from hepatica.imaging.spect.projections import Orbit, Window
from hepatica.imaging.spect.simulate import Scan
from hepatica.nuclides import nuclide

CAMERA = gamma_camera("siemens-lehr")
TC = nuclide("Tc-99m")
GRID = Grid.axial((16, 16, 10), spacing_mm=(15.0,) * 3, origin_mm=(-112.5, -112.5, -67.5))
PATIENT = Volume(
    Grid.axial((15, 15, 15), spacing_mm=(10.0,) * 3, origin_mm=(-70.0,) * 3), np.ones((15,) * 3), Kind.DENSITY
)
PEAK, BELOW = Window(126.45, 154.55), Window(108.0, 126.45)
VIEW_S = 3600.0


def setup(windows: tuple[Window, ...] = (PEAK, BELOW)) -> SpectSetup:
    orbit = Orbit.circular(4, radius_mm=130)
    return SpectSetup(CAMERA, TC, orbit, windows, GRID, geometric_response(CAMERA))


def activity(becquerel: float) -> Volume:
    values = np.zeros((15, 15, 15), np.float32)
    values[5:10, 5:10, 5:10] = becquerel / 125
    return Volume(PATIENT.grid, values, Kind.ACTIVITY, time=datetime(2026, 3, 3, 9))


def scan(becquerel: float = 1e9, heads: int = 2, **how: object) -> SimulatedScan:
    chosen = setup()
    taken = Scan(chosen.orbit, VIEW_S, (PEAK, BELOW), 16, heads)
    acquisition = Acquisition(taken, **how)  # type: ignore[arg-type]
    settings = ProjectionSettings(histories=3000, seed=4)
    return simulate_montecarlo(activity(becquerel), PATIENT, chosen, acquisition, settings, voxel_mm=10.0)


def test_counts_decay_view_by_view() -> None:
    found = scan(noise=False)
    ratio = found.projections.counts.sum(axis=(0, 2, 3)) / found.expected.total.sum(axis=(0, 2, 3)) / VIEW_S
    half = 0.5 ** (VIEW_S / TC.half_life_s)
    # two heads: views 0 and 2 in the first hour, 1 and 3 in the second
    np.testing.assert_allclose(ratio[1] / ratio[0], half, rtol=1e-4)
    np.testing.assert_allclose(ratio[2], ratio[0], rtol=1e-4)
    assert half < ratio[0] < 1
    assert found.spectrum is None
    assert (found.live_fraction == 1).all()


def test_dead_time_takes_the_rate_of_the_whole_spectrum() -> None:
    found = scan(noise=False, dead_time=DeadTime(5e-6, "non-paralysable"), spectrum_histories=3000)
    assert found.spectrum is not None
    in_windows = found.expected.total.sum(axis=(0, 2, 3))
    assert (found.spectrum.cps_per_view > in_windows).all()
    first = found.spectrum.cps_per_view[0] * found.projections.mean_activity(TC.half_life_s)[0]
    assert found.live_fraction[0] == pytest.approx(1 / (1 + 5e-6 * first), rel=1e-6)
    # an hour later fewer are lost
    assert found.live_fraction[1] > found.live_fraction[0]
    kept = found.projections.counts[:, 0].sum() / found.expected.total[:, 0].sum() / VIEW_S
    assert kept == pytest.approx(found.live_fraction[0] * found.projections.mean_activity(TC.half_life_s)[0], rel=1e-3)


def test_noise_is_poisson_and_its_seed_is_kept() -> None:
    one, two, none = scan(1e6), scan(1e6), scan(1e6, noise=False)
    np.testing.assert_array_equal(one.projections.counts, two.projections.counts)
    mean = none.projections.counts.astype(float)
    seen = mean > 20
    chi2 = (((one.projections.counts - mean) ** 2)[seen] / mean[seen]).mean()
    assert chi2 == pytest.approx(1.0, abs=5 * np.sqrt(2 / seen.sum()))


def test_the_spectrum_holds_the_windows_counts() -> None:
    found = energy_spectrum(
        PATIENT,
        setup(),
        activity(1.0),
        bin_kev=7.0,
        settings=ProjectionSettings(histories=20_000, seed=2),
        voxel_mm=10.0,
    )
    assert found.cps.shape == (4, found.edge_kev.size - 1)
    assert found.edge_kev[found.per_kev.argmax()] == pytest.approx(140.5 - 3.5, abs=4)
    low, high = (int(np.argmin(abs(found.edge_kev - e))) for e in (114.0, 156.0))
    window = setup((Window(float(found.edge_kev[low]), float(found.edge_kev[high])),))
    taken = Scan(window.orbit, 1.0, tuple(window.windows), 16, 1)
    settings = ProjectionSettings(histories=20_000, seed=5)
    other = simulate_montecarlo(
        activity(1.0), PATIENT, window, Acquisition(taken, noise=False), settings, voxel_mm=10.0
    ).expected
    # 20 000 photons each, weights spread by depth and angle: 1.5 % each
    assert found.cps[:, low:high].sum() == pytest.approx(other.total.sum() / 4, rel=0.06)
    table = found.table()
    assert table.rows[low][table.columns.index("primary_cps")] == found.cps[0, low]


def test_what_is_refused() -> None:
    chosen = setup()
    other = Scan(Orbit.circular(3, radius_mm=130), 1.0, (PEAK, BELOW), 16, 1)
    with pytest.raises(InputError, match="same views and windows"):
        simulate_montecarlo(activity(1.0), PATIENT, chosen, Acquisition(other), ProjectionSettings(histories=1000))
    with pytest.raises(UnknownNameError):
        DeadTime(1e-6, "always")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="wider than 0"):
        energy_spectrum(PATIENT, chosen, activity(1.0), bin_kev=0.0)
