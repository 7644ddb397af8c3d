"""Times of planning: probabilistic planner, voxel plan on a 128^3 scout. Run: python benchmarks/bench_planner.py."""

import time

import numpy as np

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.nuclides import nuclide
from hepatica.planning.planner.best_activity import Aim, Problem, Uncertainty, optimise
from hepatica.planning.planner.voxel import TerritoryActivity, dose_percentile, planned_decays, voxel_plan
from hepatica.planning.prescriptions.compartments import Lesion, Partition
from hepatica.planning.prescriptions.dose_constants import dose_constant


def planner() -> None:
    constant = dose_constant(nuclide("Y-90"), "mird")
    spread = Uncertainty(
        lung_shunt=0.02, tumour_to_normal=0.15, discordance=0.3, mass=0.08, lung_mass=0.1, calibration=0.05
    )
    for count in (1, 2, 3, 4):
        lesions = [(Lesion(f"a{n}", 0.1, 5.0), Lesion(f"b{n}", 0.05, 3.0)) for n in range(count)]
        territories = {f"t{n}": Partition(0.3 + 0.1 * n, pair, 0.04) for n, pair in enumerate(lesions)}
        start = time.perf_counter()
        optimise(Problem(territories, constant, spread, Aim(120, 40), unperfused_normal_kg=0.3))
        print(f"planner, {count} territories: {time.perf_counter() - start:.2f} s")


def voxels() -> None:
    grid = Grid.axial((128, 128, 128), spacing_mm=(4.0, 4.0, 4.0))
    index = np.indices(grid.shape)
    liver = Region.from_coverage("liver", grid, ((index - 64) ** 2).sum(axis=0) < 26**2)
    counts = liver.full() * np.random.default_rng(1).poisson(100, grid.shape)
    scout = Volume(grid, counts.astype(np.float32), Kind.COUNTS)
    density = Volume(grid, np.full(grid.shape, 1.04, np.float32), Kind.DENSITY)
    y90 = nuclide("Y-90")
    for engine in ("local", "kernel"):
        start = time.perf_counter()
        planned = planned_decays(scout, [TerritoryActivity(liver, 2.0, 0.05)], y90)
        dose_map = voxel_plan(planned, density, y90, engine=engine)
        d70 = dose_percentile(dose_map.dose, liver, 70.0)
        print(f"voxel plan 128^3, {engine}: {time.perf_counter() - start:.2f} s (D70 {d70:.1f} Gy)")


if __name__ == "__main__":
    planner()
    voxels()
