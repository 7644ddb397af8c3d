"""Time to fit R2* of a million voxels with twelve echoes, against a plain fit of each voxel by scipy in the same run.

Run as ``python benchmarks/bench_holmium_mri.py [voxels] [threads]``.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from scipy.optimize import least_squares

from hepatica.core import Grid
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.imaging.mri.fitting.fit import fit_decay

TIMES_S = 0.0012 * np.arange(1, 13)
NOISE = 0.02
BY_SCIPY = 400
"""Voxels that scipy fits: a million would take it half an hour."""


def main() -> None:
    """Print times of one run: they vary with the load of the machine, their ratio less."""
    voxels = int(float(sys.argv[1])) if len(sys.argv) > 1 else 1_000_000
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    random = np.random.default_rng(1)
    grid = Grid.axial((100, 100, max(1, voxels // 10_000)), spacing_mm=(2, 2, 3))
    # A treated liver: 30 to 45 per second of its own, holmium of 0 to 1 mg/mL, and one voxel in fifty of 1 to 8.
    rate = 38 + 4 * random.normal(size=grid.shape) + 96 * random.gamma(2.0, 0.17, size=grid.shape)
    hot = random.random(grid.shape) < 0.02
    rate[hot] += 96 * random.uniform(1, 8, size=int(hot.sum()))
    magnitude = np.empty((len(TIMES_S), *grid.shape), dtype=np.float32)
    for n, at in enumerate(TIMES_S):
        noise = random.normal(size=(2, *grid.shape)) * NOISE
        magnitude[n] = np.hypot(np.exp(-rate * at) + noise[0], noise[1])
    scan = MultiEcho.from_arrays(magnitude, echo_times_s=TIMES_S, field_t=1.5, grid=grid)
    mask = np.ones(grid.shape, dtype=bool)
    small = mask.copy()
    small[:, :, 1:] = False
    fit_decay(scan, small, noise=NOISE, threads=threads)  # compiles
    start, busy = time.perf_counter(), time.process_time()
    found = fit_decay(scan, mask, noise=NOISE, threads=threads)
    wall, busy = time.perf_counter() - start, time.process_time() - busy
    print(f"{grid.size} voxels x {len(TIMES_S)} echoes, {threads} threads: {wall:.2f} s, {busy:.2f} s of processors")
    flat = magnitude.reshape(len(TIMES_S), -1)[:, :BY_SCIPY].astype(float)
    start = time.process_time()
    other = [_plain(flat[:, n]) for n in range(BY_SCIPY)]
    each = (time.process_time() - start) / BY_SCIPY
    ours = busy / grid.size
    print(f"a voxel: {1e6 * ours:.2f} us, by scipy {1e6 * each:.0f} us: {each / ours:.0f} times as long")
    truth = rate.ravel()[:BY_SCIPY]
    mine = found.r2star_per_s.ravel()[:BY_SCIPY]
    print(
        f"root mean square error: {np.sqrt(np.mean((mine - truth) ** 2)):.2f} 1/s, by scipy "
        f"{np.sqrt(np.mean((np.asarray(other) - truth) ** 2)):.2f} 1/s"
    )


def _plain(signal: np.ndarray) -> float:
    """R2* by least squares on magnitudes, as one would write it first."""
    fitted = least_squares(lambda p: p[0] * np.exp(-p[1] * TIMES_S) - signal, x0=[signal[0], 50.0])
    return float(fitted.x[1])


if __name__ == "__main__":
    main()
