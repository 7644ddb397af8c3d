"""Time to Monte Carlo projections of the virtual patient at 4 % per bin in the liver, beside the dose Monte Carlo.

Run: ``python benchmarks/bench_spect_montecarlo.py [uncertainty]`` (default 0.04): 90Y in the virtual patient, 105 to
195 keV, HEGP, 60 views of 128 x 128 pixels of 4.8 mm (as many rows as the CT is long). The bins meant are those whose
line of sight crosses at least 2 cm of liver. Wall time depends on who else uses the machine: processor time is given as
well, and the rate of the dose Monte Carlo (decays per second of processor) from the same run.
"""

import resource
import sys
import time

import numpy as np

from hepatica.anatomy.virtual_patient.patient import virtual_patient
from hepatica.anatomy.virtual_patient.settings import PatientSettings, VirtualCtOptions
from hepatica.core import Grid, Kind, Volume
from hepatica.core.resample import resample, resample_region
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.projections import Orbit, Window
from hepatica.imaging.spect.projector import SpectProjector
from hepatica.imaging.spect.simulate import camera_grid
from hepatica.nuclides import nuclide
from hepatica.transport.runner.montecarlo import simulate
from hepatica.transport.runner.settings import MonteCarloSettings

VIEWS, COLUMNS, PIXEL_MM, RADIUS_MM = 60, 128, 4.8, 260.0


def processor_s() -> float:
    """Seconds of processor of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def dose_rate(activity: Volume, density: Volume) -> float:
    """Decays per second of processor of the dose Monte Carlo in the same patient."""
    decays = Volume(activity.grid, activity.values, Kind.DECAYS)
    settings = MonteCarloSettings(histories=20_000, seed=1)
    simulate(decays, density, nuclide("Y-90"), MonteCarloSettings(histories=1000))
    before = processor_s()
    simulate(decays, density, nuclide("Y-90"), settings)
    return 20_000 / (processor_s() - before)


def liver_bins(liver: np.ndarray, grid: Grid, orbit: Orbit) -> np.ndarray:
    """Bins whose line of sight crosses 2 cm of liver."""
    return SpectProjector(grid, orbit, columns=COLUMNS).forward(liver) * PIXEL_MM > 20.0


def main(wanted: float) -> None:
    """Print everything."""
    patient = virtual_patient(PatientSettings(seed=7, ct=VirtualCtOptions(spacing_mm=4.0)))
    activity = patient.activity()
    grid = camera_grid(patient.hu.grid, pixel_mm=PIXEL_MM, columns=COLUMNS)
    orbit = Orbit.circular(VIEWS, radius_mm=RADIUS_MM)
    region = resample_region(patient.regions["liver"], grid)
    liver = np.zeros(grid.shape, np.float32)
    liver[region.window] = region.coverage
    bins = liver_bins(liver, grid, orbit)
    print(f"{VIEWS} views, {COLUMNS} x {grid.shape[2]} pixels of {PIXEL_MM} mm, {int(bins.sum())} bins in the liver")
    before, started = processor_s(), time.monotonic()
    setup = SpectSetup("siemens-hegp", nuclide("Y-90"), orbit, [Window(105.0, 195.0)], grid)
    projector = MonteCarloProjector(patient.hu, setup)
    ready, cpu = time.monotonic() - started, processor_s() - before
    print(f"built in {ready:.1f} s, {cpu:.1f} s of processor; table of {patient.hu.grid.shape} voxels")
    before = processor_s()
    found = projector.project(activity, ProjectionSettings(target_uncertainty=wanted, seed=1), target_bins=bins)
    cpu = processor_s() - before
    rate = found.histories / cpu
    print(
        f"{100 * found.uncertainty:.2f} % per bin: {found.seconds:.0f} s, {cpu:.0f} s of processor, "
        f"{found.histories:.3g} histories, {rate:.3g} a second of processor"
    )
    on_grid = resample(activity, projector.patient.grid, "total")
    density = resample(patient.density, projector.patient.grid, "mean")
    decays = dose_rate(on_grid, density)
    print(f"dose Monte Carlo: {decays:.3g} decays a second of processor; ratio {rate / decays:.2f}")
    print(f"scatter and penetration: {found.other.sum() / found.total.sum():.3f} of the counts")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.04)
