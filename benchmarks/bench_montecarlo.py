"""Decays per second of the Monte Carlo, beside ompmc (EGSnrc physics) where it is installed; and the clinical case.

``python benchmarks/bench_montecarlo.py`` needs ``pip install ompmc==0.4.0`` for the comparison (GPL: for benchmarks and
tests only) and the folder named by HEPATICA_DATA for the clinical case; it says so where one is absent.

``python benchmarks/bench_montecarlo.py variance [CHECKOUT] [--edge 6] [--decays 1e6]`` gives variance times CPU time in
the torso, by tissue, and with the folder of an older checkout how many times lower it is than there, both in one run
and on one thread.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.resample import resample
from hepatica.nuclides import nuclide

try:
    from hepatica.transport.matter.media import density_from_hu
    from hepatica.transport.runner.montecarlo import simulate
    from hepatica.transport.runner.settings import MonteCarloSettings
except ImportError:  # an older checkout, for the comparison of variances
    from hepatica.transport.media import density_from_hu  # type: ignore[import-not-found, no-redef]
    from hepatica.transport.montecarlo import MonteCarloSettings, simulate  # type: ignore[import-not-found, no-redef]

VOXELS, EDGE_MM = 64, 4.0
WATER = ((np.inf, "water"),)


def ours(histories: int, threads: int) -> float:
    """Decays per second of 90Y in a cube of water, everything included but start-up."""
    grid = Grid.axial((VOXELS,) * 3, spacing_mm=(EDGE_MM,) * 3)
    decays = np.zeros(grid.shape)
    decays[20:44, 20:44, 20:44] = 1.0
    volumes = Volume(grid, decays, Kind.DECAYS), Volume(grid, np.ones(grid.shape), Kind.DENSITY)
    settings = MonteCarloSettings(histories=histories, threads=threads, media=WATER)
    simulate(*volumes, nuclide("Y-90"), MonteCarloSettings(histories=1000, media=WATER))
    return histories / simulate(*volumes, nuclide("Y-90"), settings).elapsed_s


def ompmc_rate(histories: int, threads: int, **options: float) -> float:
    """Decays per second of ompmc in the same cube, its start-up taken off by a run of half the length."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "physics" / "transport"))
    from ompmc_source import ompmc_dose, write_decays

    os.environ["OMP_NUM_THREADS"] = str(threads)
    bounds = [np.arange(VOXELS + 1) * EDGE_MM / 10] * 3
    cube = np.ones((VOXELS,) * 3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "decays"
        write_decays(path, "Y-90", np.full(3, 20 * EDGE_MM / 10), np.full(3, 44 * EDGE_MM / 10), histories)
        times = []
        for count in (histories // 2, histories):
            started = time.perf_counter()
            ompmc_dose(path, bounds, cube, cube, ["H2O521ICRU"], count, **options)
            times.append(time.perf_counter() - started)
    return (histories - histories // 2) / (times[1] - times[0])


def torso(folder: Path, edge_mm: float = 4.0) -> tuple[Volume, Volume]:
    """Decays of 90Y and density of the torso case, in voxels of 4 mm or joined to larger ones."""
    import SimpleITK as sitk  # noqa: N813

    def read(name: str, kind: Kind) -> Volume:
        image = sitk.ReadImage(str(folder / "torso-ct-tia" / name))
        affine = np.eye(4)
        affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
        affine[:3, 3] = image.GetOrigin()
        values = sitk.GetArrayFromImage(image).transpose(2, 1, 0).astype(np.float32)
        return Volume(Grid(values.shape, affine), values, kind)

    density = density_from_hu(read("ct.nii.gz", Kind.HU))
    if edge_mm > 4:
        density = resample(density, density.grid.with_spacing((edge_mm,) * 3), "mean")
    activity = read("tia.nii.gz", Kind.DECAYS)
    decays = resample(activity.with_values(np.maximum(activity.values, 0)), density.grid, "total")
    return decays.with_values(np.maximum(decays.values, 0) * 3.6e9), density


def clinical(folder: Path) -> None:
    """Time to the uncertainties of issue 3 in the torso case: 90Y, 4 mm voxels."""
    decays, density = torso(folder)
    simulate(decays, density, nuclide("Y-90"), MonteCarloSettings(histories=1000))
    aimed = simulate(decays, density, nuclide("Y-90"), MonteCarloSettings(target_uncertainty=0.01))
    print(
        f"torso: {100 * aimed.relative_uncertainty:.2f} % in voxels above half the maximum with {aimed.histories} "
        f"decays in {aimed.elapsed_s:.1f} s"
    )
    started = time.perf_counter()
    result = simulate(decays, density, nuclide("Y-90"), MonteCarloSettings(histories=20_000_000))
    elapsed = time.perf_counter() - started
    liver = Region.from_coverage("uptake", density.grid, result.dose_gy > 0.1 * np.percentile(result.dose_gy, 99.9))
    mean = result.region_mean(liver)
    relative = result.relative_uncertainty
    print(
        f"torso {density.grid}: {result.histories} decays in {elapsed:.1f} s ({result.histories / elapsed:.3g}/s); "
        f"{100 * relative:.2f} % in voxels above half the maximum, "
        f"2 % after about {elapsed * (relative / 0.02) ** 2:.0f} s; "
        f"mean of {liver.volume_ml:.0f} mL of uptake {100 * (mean.relative_sd or 0):.3f} %, "
        f"0.3 % after about {elapsed * ((mean.relative_sd or 0) / 0.003) ** 2:.2f} s"
    )


TISSUES = {"liver above half its maximum": (0.9, 1.2), "lung": (0.05, 0.6), "bone": (1.25, 9.0)}


def variances(decays: Volume, density: Volume, reference_gy: np.ndarray, histories: int) -> dict[str, float]:
    """Variance (Gy^2, mean of voxels) times CPU seconds by tissue; everything but the compilation is counted."""
    simulate(decays, density, nuclide("Y-90"), MonteCarloSettings(histories=1000, threads=1))
    started = time.process_time()
    result = simulate(decays, density, nuclide("Y-90"), MonteCarloSettings(histories=histories, threads=1))
    seconds = time.process_time() - started
    high = float(np.percentile(reference_gy * density.values, 99.9))  # of the liver: the case has hotter spots in fat
    found = {"CPU seconds": seconds}
    for name, (low, top) in TISSUES.items():
        tissue = (density.values > low) & (density.values < top)
        where = tissue & (reference_gy > (0.5 if "liver" in name else 0.01) * high)
        found[name] = float((result.dose_sd_gy[where].astype(float) ** 2).mean()) * seconds
    return found


def compare(asked: argparse.Namespace) -> None:
    """Variance times time of this checkout, and over that of another one."""
    decays, density = torso(Path(os.environ["HEPATICA_DATA"]), asked.edge)
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(asked.reference or Path(folder) / "reference.npy")
        if not asked.reference:
            from hepatica.dosimetry.engines.registry import dose_engine

            np.save(reference, dose_engine("kernel").compute(decays, density, nuclide("Y-90")).dose.values)
        ours_found = variances(decays, density, np.load(reference), int(asked.decays))
        if asked.reference:
            print(json.dumps(ours_found))
            return
        print(f"torso, {asked.edge:g} mm, {asked.decays:g} decays: {ours_found}")
        if asked.checkout:
            environment = os.environ | {"PYTHONPATH": str(Path(asked.checkout) / "src")}
            options = ["--edge", str(asked.edge), "--decays", str(asked.decays), "--reference", str(reference)]
            command = [sys.executable, str(Path(__file__).resolve()), "variance", *options]
            text = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
            theirs = json.loads(text.splitlines()[-1])
            print(f"{asked.checkout}: {theirs}")
            for name in TISSUES:
                print(f"{name}: variance times time {theirs[name] / ours_found[name]:.1f} times lower")


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("speed", "variance"), default="speed")
    parser.add_argument("checkout", nargs="?")
    parser.add_argument("--edge", type=float, default=6.0)
    parser.add_argument("--decays", type=float, default=1e6)
    parser.add_argument("--reference", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.what == "variance":
        compare(asked)
        return
    threads = os.cpu_count() or 1
    rate = ours(4_000_000, threads)
    print(f"hepatica: {rate:.4g} decays/s on {threads} threads, {ours(2_000_000, 1):.4g} on one")
    if importlib.util.find_spec("ompmc") is None:
        print("ompmc is not installed: no comparison (pip install ompmc==0.4.0)")
    else:
        for label, options in (("", {}), (" with range rejection (esave 0.7)", {"esave": 0.7})):
            theirs = ompmc_rate(200_000, threads, **options)
            print(f"ompmc{label}: {theirs:.4g} decays/s; hepatica is {rate / theirs:.1f} times as fast")
        print(f"hepatica again: {ours(4_000_000, threads):.4g} decays/s")
    if folder := os.environ.get("HEPATICA_DATA"):
        clinical(Path(folder))
    else:
        print("HEPATICA_DATA is not set: no clinical case")


if __name__ == "__main__":
    main()
