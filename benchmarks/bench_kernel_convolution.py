"""Kernel convolution of a 256^3 volume against the bare FFTs of the same padded size, in one run.

Usage: python benchmarks/bench_kernel_convolution.py [size] [repeats]

Bare FFTs: scipy.fft.rfftn of the padded data and of the padded kernel, and one irfftn, float32, same lengths, same
threads. Peak memory: of a child process that does only the one or the other, above its memory before it starts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hepatica.transport.kernels.convolution import convolve_even, even_fast_length


def arrays(size: int) -> tuple[np.ndarray, np.ndarray]:
    values = np.random.default_rng(1).random((size, size, size), dtype=np.float32)
    i = np.arange(size, dtype=np.float32)
    distance = np.sqrt(i[:, None, None] ** 2 + i[:, None] ** 2 + i**2)
    return values, np.exp(-distance).astype(np.float32)


def ours(values: np.ndarray, octant: np.ndarray) -> None:
    convolve_even(values, octant)


def bare(values: np.ndarray, octant: np.ndarray) -> None:
    from scipy.fft import irfftn, rfftn

    lengths = [even_fast_length(2 * n - 1) for n in values.shape]
    workers = os.cpu_count()
    data = rfftn(values, lengths, workers=workers)
    kernel = rfftn(octant, lengths, workers=workers)  # the padded kernel costs the same whatever its values
    data *= kernel
    irfftn(data, lengths, workers=workers, overwrite_x=True)


def seconds(work: Callable[[np.ndarray, np.ndarray], None], pair: tuple[np.ndarray, np.ndarray]) -> float:
    start = time.perf_counter()
    work(*pair)
    return time.perf_counter() - start


def peak_mib(which: str, size: int) -> float:
    folder = Path(__file__).resolve().parent
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import bench_kernel_convolution as b; "
        f"pair = b.arrays({size}); b.ours(*[p[:8, :8, :8] for p in pair]); b.bare(*[p[:8, :8, :8] for p in pair]); "
        f"before = b.status_mib('VmRSS'); b.{which}(*pair); print(b.status_mib('VmHWM') - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def status_mib(key: str) -> float:
    """VmRSS (now) or VmHWM (highest since the program was started) of this process; Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs="?", type=int, default=256)
    parser.add_argument("repeats", nargs="?", type=int, default=3)
    options = parser.parse_args()
    pair = arrays(options.size)
    rows = [(seconds(ours, pair), seconds(bare, pair)) for _ in range(options.repeats)]
    for mine, theirs in rows:
        print(f"convolution {mine:.2f} s, bare FFTs {theirs:.2f} s, ratio {mine / theirs:.2f}")
    print(f"median ratio {np.median([a / b for a, b in rows]):.2f} (wanted: at most 1.5)")
    mine, theirs = (peak_mib(which, options.size) for which in ("ours", "bare"))
    print(f"peak memory above input: {mine:.0f} MiB, bare {theirs:.0f} MiB")


if __name__ == "__main__":
    main()
