"""Many seeds of the dose Monte Carlo with its control variate and without: the same mean, and is the spread as stated?

``python benchmarks/bench_montecarlo_seeds.py [--runs 100] [--decays 4e5] [--out FILE.npz]``: 90Y, uniform in a slab of
liver (1.06 g/mL) between bone (1.92) and lung (0.26), voxels of 4 x 4 x 3 mm, on one thread. A run without the control
follows 2.5 times as many decays. What is found so far is kept in FILE after every seed, and a run goes on from it. It
prints one table (docs/monte-carlo.md) with standard uncertainties from the spread of the runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.nuclides import nuclide
from hepatica.transport.runner.montecarlo import simulate
from hepatica.transport.runner.settings import MonteCarloSettings

SHAPE, SPACING_MM = (16, 16, 32), (4.0, 4.0, 3.0)
BONE, LUNG = slice(0, 8), slice(20, 32)
LAYERS = {
    "bone, first 3 mm": (7, 8),
    "bone, 3 to 6 mm": (6, 7),
    "liver, all": (8, 20),
    "liver, middle 12 mm": (12, 16),
    "liver, first 3 mm at the bone": (8, 9),
    "liver, last 3 mm at the lung": (19, 20),
    "lung, first 3 mm": (20, 21),
    "lung, 3 to 12 mm": (21, 24),
    "lung, 12 to 30 mm": (24, 30),
}
VOXELS = {"bone": (6, 8), "liver": (8, 20), "lung": (20, 24)}
PLAIN = 2.5
"""Decays of a run without the control, over those of one with it."""


def slab() -> tuple[Volume, Volume]:
    """Decays and density."""
    grid = Grid.axial(SHAPE, spacing_mm=SPACING_MM)
    density = np.full(SHAPE, 1.06)
    density[:, :, BONE], density[:, :, LUNG] = 1.92, 0.26
    decays = np.zeros(SHAPE)
    decays[:, :, BONE.stop : LUNG.start] = 1e9
    return Volume(grid, decays, Kind.DECAYS), Volume(grid, density, Kind.DENSITY)


def one_run(seed: int, decays: int, *, control: bool) -> NDArray[np.float64]:
    """Means of the layers with their stated uncertainties, then doses of the voxels with theirs, flat."""
    volumes = slab()
    settings = MonteCarloSettings(histories=decays, seed=seed, threads=1, control_variate=control)
    result = simulate(*volumes, nuclide("Y-90"), settings)
    rows: list[NDArray[np.float64]] = []
    for start, end in LAYERS.values():
        inside = np.zeros(SHAPE, np.float32)
        inside[:, :, start:end] = 1
        mean = result.region_mean(Region.from_coverage("layer", volumes[0].grid, inside))
        rows.append(np.array([mean.value, np.nan if mean.sd is None else mean.sd]))
    for start, end in VOXELS.values():
        part = (slice(4, 12), slice(4, 12), slice(start, end))
        rows += [result.dose_gy[part].ravel().astype(float), result.dose_sd_gy[part].ravel().astype(float)]
    return np.concatenate(rows)


def report(found: dict[str, NDArray[np.float64]]) -> None:
    """Print what the runs say."""
    on, off = found["control"], found["plain"]
    layers = 2 * len(LAYERS)
    print(f"{len(on)} runs with the control, {len(off)} without")
    print("| | with / without, minus 1 | spread over stated, with | without | variance per decay, without / with |")
    print("|---|---|---|---|---|")
    for n, name in enumerate(LAYERS):
        a, b = on[:, 2 * n], off[:, 2 * n]
        error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)) / b.mean()
        gain = PLAIN * b.var(ddof=1) / a.var(ddof=1)
        ratios = [_ratio(x[:, 2 * n], x[:, 2 * n + 1]) for x in (on, off)]
        difference = f"{100 * (a.mean() / b.mean() - 1):+.3f} ± {100 * error:.3f} %"
        print(f"| {name} | {difference} | {ratios[0]:.3f} | {ratios[1]:.3f} | {gain:.1f} |")
    start = layers
    for name, (first, last) in VOXELS.items():
        size = 64 * (last - first)
        dose, sd = slice(start, start + size), slice(start + size, start + 2 * size)
        start += 2 * size
        ratios = [_ratio(x[:, dose], x[:, sd]) for x in (on, off)]
        gain = PLAIN * off[:, dose].var(axis=0, ddof=1).mean() / on[:, dose].var(axis=0, ddof=1).mean()
        print(f"| voxels of {name} | | {ratios[0]:.3f} | {ratios[1]:.3f} | {gain:.1f} |")


def _ratio(values: NDArray[np.float64], stated: NDArray[np.float64]) -> float:
    return float(np.sqrt(values.var(axis=0, ddof=1).mean() / np.nanmean(stated**2)))


def main() -> None:
    """Run, keep, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--decays", type=float, default=4e5)
    parser.add_argument("--out", type=Path, default=Path("montecarlo-seeds.npz"))
    asked = parser.parse_args()
    rows: dict[str, list[NDArray[np.float64]]] = {"control": [], "plain": []}
    if asked.out.exists():
        with np.load(asked.out) as kept:
            rows = {name: list(kept[name]) for name in rows}
    for seed in range(len(rows["plain"]), asked.runs):
        rows["control"].append(one_run(seed, int(asked.decays), control=True))
        # Seeds of their own: the same decays would make the difference look more certain than it is.
        rows["plain"].append(one_run(10_000 + seed, int(PLAIN * asked.decays), control=False))
        np.savez(asked.out, **{name: np.array(values) for name, values in rows.items()})
    report({name: np.array(values) for name, values in rows.items()})


if __name__ == "__main__":
    main()
