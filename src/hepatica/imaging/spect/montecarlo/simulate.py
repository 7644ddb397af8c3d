"""A whole scan by Monte Carlo: expected projections, dead time, decay, Poisson noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Volume
from hepatica.core.progress import Progress, silent
from hepatica.errors import InputError
from hepatica.imaging.quantify.dead_time import DeadTimeModel, observed_rate
from hepatica.imaging.spect.montecarlo.projector import VOXEL_MM, MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import MonteCarloProjections, ProjectionSettings
from hepatica.imaging.spect.montecarlo.spectrum import HISTORIES, EnergySpectrum, energy_spectrum
from hepatica.imaging.spect.projections import Projections
from hepatica.imaging.spect.simulate import Scan
from hepatica.transport.runner.stopping import RunProgress

FloatArray = NDArray[np.float64]

NOISE_STREAM = 0x90
"""Parts the random numbers of the noise from those of the photons, which have the same seed."""


@dataclass(frozen=True, slots=True)
class DeadTime:
    """Dead time of a head: seconds per pulse, and how it behaves (see `quantify.dead_time`)."""

    tau_s: float
    model: DeadTimeModel = "paralysable"

    def __post_init__(self) -> None:
        observed_rate(0.0, tau_s=self.tau_s, model=self.model)


@dataclass(frozen=True, slots=True)
class Acquisition:
    """How the expected counts become acquired ones.

    Attributes
    ----------
    scan : Scan
        Views, time per view, windows, heads.
    noise : bool
        Poisson noise, or expected counts.
    dead_time : DeadTime or None
        Lost by each head, in each view, from the pulses of the whole spectrum.
    spectrum_histories : int
        Histories for the spectrum; 0 for none, unless dead time needs it.
    """

    scan: Scan
    noise: bool = True
    dead_time: DeadTime | None = None
    spectrum_histories: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedScan:
    """A simulated acquisition and what it was made of.

    Attributes
    ----------
    projections : Projections
        Counts as acquired.
    expected : MonteCarloProjections
        Counts per second at the start, without dead time and noise.
    spectrum : EnergySpectrum or None
        Pulse heights at the start, if asked for or needed for the dead time.
    live_fraction : ndarray, shape (views,)
        Share of the counts that each view kept.
    sensitivity_cps_per_bq : ndarray, shape (windows, 2)
        As `MonteCarloProjector.sensitivity_in_air`.
    """

    projections: Projections
    expected: MonteCarloProjections
    spectrum: EnergySpectrum | None
    live_fraction: FloatArray
    sensitivity_cps_per_bq: FloatArray


def simulate_montecarlo(
    activity: Volume,
    patient: Volume,
    setup: SpectSetup,
    acquisition: Acquisition,
    settings: ProjectionSettings,
    *,
    progress: Progress | None = None,
    voxel_mm: float = VOXEL_MM,
    device: str = "cpu",
) -> SimulatedScan:
    """Projections of a known activity with scatter, penetration, bremsstrahlung, dead time, decay and noise.

    Parameters
    ----------
    activity : Volume
        Becquerels per voxel at the start of the scan.
    patient : Volume
        CT in HU or density in g/mL.
    setup : SpectSetup
        Camera, nuclide, orbit, windows, pixels; orbit and windows are those of the scan.
    acquisition : Acquisition
        Scan, noise, dead time.
    settings : ProjectionSettings
        When the Monte Carlo stops; its seed is that of the noise as well.
    progress : callable, optional
        Told each step.
    voxel_mm : float
        Voxels in which photons are followed.
    device : {"cpu", "cuda"}
        Where it runs.

    Raises
    ------
    InputError
        If scan and setup disagree, or as `MonteCarloProjector.project`.
    PhysicsError, GeometryError, UnitError
        As `MonteCarloProjector`.
    """
    activity.require_kind(Kind.ACTIVITY)
    scan = acquisition.scan
    if scan.orbit.views != setup.orbit.views or tuple(scan.windows) != tuple(setup.windows):
        raise InputError("scan and setup need the same views and windows")
    report_progress = progress or silent
    report_progress("preparing the Monte Carlo")
    projector = MonteCarloProjector(patient, setup, voxel_mm=voxel_mm, device=device)

    def report(run: RunProgress) -> None:
        reached = f", {100 * run.relative_uncertainty:.2g} % per bin" if run.relative_uncertainty else ""
        report_progress(f"montecarlo: {run.histories:.3g} histories{reached}")

    expected = projector.project(activity, settings, progress=report)
    spectrum = None
    if acquisition.spectrum_histories or acquisition.dead_time is not None:
        report_progress("energy spectrum")
        few = ProjectionSettings(
            histories=acquisition.spectrum_histories or HISTORIES, seed=settings.seed, threads=settings.threads
        )
        spectrum = energy_spectrum(patient, setup, activity, few, voxel_mm=voxel_mm, device=device)
    return _acquired(activity, projector, acquisition, expected, spectrum, settings.seed)


def _acquired(
    activity: Volume,
    projector: MonteCarloProjector,
    acquisition: Acquisition,
    expected: MonteCarloProjections,
    spectrum: EnergySpectrum | None,
    seed: int,
) -> SimulatedScan:
    scan, dead_time = acquisition.scan, acquisition.dead_time
    grid = projector.grid
    x, y, _ = grid.to_mm((np.asarray(grid.shape) - 1) / 2).tolist()
    made = Projections(
        expected.total * np.float32(scan.view_s), scan.orbit, tuple(scan.windows),
        (grid.spacing_mm[0], grid.spacing_mm[2]), scan.view_s,
        axis_mm=(x, y, float(grid.origin_mm[2])), start=activity.time, nuclide=projector.nuclide.name,
        frame_of_reference=grid.frame_of_reference, view_start_s=scan.view_start_s,
    )  # fmt: skip
    decay = made.mean_activity(projector.nuclide.half_life_s)
    live = np.ones(scan.orbit.views)
    if dead_time is not None and spectrum is not None:
        true = spectrum.cps_per_view * decay
        seen = observed_rate(true, tau_s=dead_time.tau_s, model=dead_time.model)
        live = np.divide(seen, true, out=np.ones_like(true), where=true > 0)
    counts = made.counts * (decay * live).astype(np.float32)[None, :, None, None]
    if acquisition.noise:
        counts = np.random.default_rng((seed, NOISE_STREAM)).poisson(counts).astype(np.float32)
    acquired = replace(made, counts=np.asarray(counts, dtype=np.float32))
    return SimulatedScan(acquired, expected, spectrum, live, projector.sensitivity_in_air())
