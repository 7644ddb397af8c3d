"""Time to Monte Carlo projections of the virtual patient at 4 % per bin in the liver, beside the dose Monte Carlo.

Run: ``python benchmarks/bench_spect_montecarlo.py [uncertainty]`` (default 0.04): 90Y in the virtual patient, 105 to
195 keV, HEGP, 60 views of 128 x 128 pixels of 4.8 mm (as many rows as the CT is long). The bins meant are those whose
line of sight crosses at least 2 cm of liver. Wall time depends on who else uses the machine: processor time is given as
well, and the rate of the dose Monte Carlo (decays per second of processor) from the same run.

``python benchmarks/bench_spect_montecarlo.py variance [CHECKOUT] [--runs 8] [--histories 15000]`` gives the squared
relative uncertainty of those bins times processor time, and with the folder of an older checkout how many times lower
it is than there: both in one run, one thread, the same patient, the uncertainty from runs of different seeds. Runs of
the two alternate, so that what else the machine does falls on both. The ratio is that of the times to 4 % per bin.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hepatica.core import Grid, Kind, Volume
from hepatica.nuclides import nuclide

try:
    from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
    from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
    from hepatica.imaging.spect.projections import Orbit, Window
except ImportError:  # an older checkout, for the comparison of variances
    from hepatica.imaging.montecarlo.projector import (  # type: ignore[import-not-found, no-redef]
        MonteCarloProjector,
        SpectSetup,
    )
    from hepatica.imaging.montecarlo.settings import ProjectionSettings  # type: ignore[import-not-found, no-redef]
    from hepatica.imaging.projections import Orbit, Window  # type: ignore[import-not-found, no-redef]

VIEWS, COLUMNS, PIXEL_MM, RADIUS_MM = 60, 128, 4.8, 260.0
ORBIT = Orbit.circular(VIEWS, radius_mm=RADIUS_MM)


def processor_s() -> float:
    """Seconds of processor of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def dose_rate(activity: Volume, density: Volume) -> float:
    """Decays per second of processor of the dose Monte Carlo in the same patient."""
    from hepatica.transport.runner.montecarlo import simulate
    from hepatica.transport.runner.settings import MonteCarloSettings

    decays = Volume(activity.grid, activity.values, Kind.DECAYS)
    settings = MonteCarloSettings(histories=20_000, seed=1)
    simulate(decays, density, nuclide("Y-90"), MonteCarloSettings(histories=1000))
    before = processor_s()
    simulate(decays, density, nuclide("Y-90"), settings)
    return 20_000 / (processor_s() - before)


def liver_bins(liver: np.ndarray, grid: Grid, orbit: Orbit) -> np.ndarray:
    """Bins whose line of sight crosses 2 cm of liver."""
    from hepatica.imaging.spect.projector import SpectProjector

    return SpectProjector(grid, orbit, columns=COLUMNS).forward(liver) * PIXEL_MM > 20.0


def scene() -> tuple[Volume, Volume, Volume, Grid, np.ndarray]:
    """CT, density and activity of the virtual patient, the camera's grid, and the bins that are meant."""
    from hepatica.anatomy.virtual_patient.patient import virtual_patient
    from hepatica.anatomy.virtual_patient.settings import PatientSettings, VirtualCtOptions
    from hepatica.core.resample import resample_region
    from hepatica.imaging.spect.simulate import camera_grid

    patient = virtual_patient(PatientSettings(seed=7, ct=VirtualCtOptions(spacing_mm=4.0)))
    grid = camera_grid(patient.hu.grid, pixel_mm=PIXEL_MM, columns=COLUMNS)
    region = resample_region(patient.regions["liver"], grid)
    liver = np.zeros(grid.shape, np.float32)
    liver[region.window] = region.coverage
    return patient.hu, patient.density, patient.activity(), grid, liver_bins(liver, grid, ORBIT)


def projector_of(hu: Volume, grid: Grid) -> MonteCarloProjector:
    """90Y, 105 to 195 keV, HEGP."""
    return MonteCarloProjector(hu, SpectSetup("siemens-hegp", nuclide("Y-90"), ORBIT, [Window(105.0, 195.0)], grid))


def speed(wanted: float) -> None:
    """Time to an uncertainty."""
    from hepatica.core.resample import resample

    hu, known, activity, grid, bins = scene()
    print(f"{VIEWS} views, {COLUMNS} x {grid.shape[2]} pixels of {PIXEL_MM} mm, {int(bins.sum())} bins in the liver")
    before, started = processor_s(), time.monotonic()
    projector = projector_of(hu, grid)
    ready, cpu = time.monotonic() - started, processor_s() - before
    print(f"built in {ready:.1f} s, {cpu:.1f} s of processor; table of {hu.grid.shape} voxels")
    before = processor_s()
    found = projector.project(activity, ProjectionSettings(target_uncertainty=wanted, seed=1), target_bins=bins)
    cpu = processor_s() - before
    rate = found.histories / cpu
    print(
        f"{100 * found.uncertainty:.2f} % per bin: {found.seconds:.0f} s, {cpu:.0f} s of processor, "
        f"{found.histories:.3g} histories, {rate:.3g} a second of processor"
    )
    on_grid = resample(activity, projector.patient.grid, "total")
    decays = dose_rate(on_grid, resample(known, projector.patient.grid, "mean"))
    print(f"dose Monte Carlo: {decays:.3g} decays a second of processor; ratio {rate / decays:.2f}")
    print(f"scatter and penetration: {found.other.sum() / found.total.sum():.3f} of the counts")


def serve(case: Path, histories: int) -> None:
    """Answer each seed on the input with counts in the bins (a file) and seconds of processor, on one thread."""
    with np.load(case) as kept:
        hu = Volume(Grid(kept["hu"].shape, kept["hu_affine"]), kept["hu"], Kind.HU)
        activity = Volume(Grid(kept["activity"].shape, kept["activity_affine"]), kept["activity"], Kind.ACTIVITY)
        grid, bins = Grid(tuple(int(n) for n in kept["shape"]), kept["affine"]), kept["bins"]
    projector = projector_of(hu, grid)
    projector.project(activity, ProjectionSettings(histories=500, seed=0, threads=1))
    print("ready", flush=True)
    for line in sys.stdin:
        seed = int(line)
        before = time.process_time()
        found = projector.project(activity, ProjectionSettings(histories=histories, seed=seed, threads=1))
        seconds = time.process_time() - before
        path = case.with_name(f"{os.getpid()}-{seed}.npy")
        np.save(path, found.total[0][bins])
        print(json.dumps([str(path), seconds]), flush=True)


def started(folder: Path, case: Path, histories: int) -> subprocess.Popen[str]:
    """A process that serves runs of the checkout in a folder."""
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "serve", str(case), "--histories", str(histories)]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line_of(process: subprocess.Popen[str]) -> str:
    """Next line that a process says; notes of libraries are passed over."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(("ready", "[")):
            return line
    raise SystemExit("a process ended without an answer")


def compare(checkout: str | None, runs: int, histories: int) -> None:
    """Squared relative uncertainty times processor time, here and in another checkout."""
    folders = {"here": Path(__file__).resolve().parents[1]} | ({checkout: Path(checkout)} if checkout else {})
    hu, _, activity, grid, bins = scene()
    with tempfile.TemporaryDirectory() as temporary:
        case = Path(temporary) / "case.npz"
        np.savez(
            case, hu=hu.values, hu_affine=hu.grid.affine, activity=activity.values,
            activity_affine=activity.grid.affine, shape=grid.shape, affine=grid.affine, bins=bins,
        )  # fmt: skip
        served = {name: started(folder, case, histories) for name, folder in folders.items()}
        for process in served.values():
            line_of(process)
        counts: dict[str, list[np.ndarray]] = {name: [] for name in folders}
        seconds = dict.fromkeys(folders, 0.0)
        for seed in range(1, runs + 1):
            for name, process in served.items():
                assert process.stdin is not None
                process.stdin.write(f"{seed}\n")
                process.stdin.flush()
                path, spent = json.loads(line_of(process))
                counts[name].append(np.load(path).astype(float))
                seconds[name] += spent
        for process in served.values():
            process.communicate()
    mean = np.mean([np.mean(found, axis=0) for found in counts.values()], axis=0)
    figure = {}
    for name, found in counts.items():
        squared = float((np.var(found, axis=0, ddof=1) / mean**2).mean())
        figure[name] = squared * seconds[name] / runs
        total = np.sum(found, axis=1)
        print(
            f"{name}: {100 * squared**0.5:.1f} % per bin in {seconds[name] / runs:.2f} s of processor, 4 % in "
            f"{figure[name] / 0.04**2:.1f} s; counts {total.mean():.6g} +- {total.std(ddof=1) / runs**0.5:.2g}"
        )
    if checkout:
        print(f"variance times time {figure[checkout] / figure['here']:.2f} times lower")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="0.04", help="an uncertainty, or variance")
    parser.add_argument("checkout", nargs="?")
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--histories", type=int, default=15_000)
    asked = parser.parse_args()
    if asked.what == "variance":
        compare(asked.checkout, asked.runs, asked.histories)
    elif asked.what == "serve":
        serve(Path(asked.checkout), asked.histories)
    else:
        speed(float(asked.what))


if __name__ == "__main__":
    main()
