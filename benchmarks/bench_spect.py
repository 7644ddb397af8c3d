"""OSEM with attenuation and response: seconds, processor time and recovery, beside pytomography where it is installed.

Run: ``python benchmarks/bench_spect.py [voxels] [iterations]``; by default 128 and 4: 128 x 128 x 64, 60 views.
Both programs reconstruct projections that hepatica made of one object on one grid without noise.
"""

import sys
import time

import numpy as np

from hepatica.core import Grid
from hepatica.imaging.reconstruct.algorithms import IterationOptions, reconstruct
from hepatica.imaging.spect.projections import Orbit
from hepatica.imaging.spect.projector import Response, SpectProjector

VIEWS, SUBSETS, RADIUS_MM, SLOPE, OFFSET_MM, MU = 60, 6, 250.0, 0.02, 1.6, 0.015


def scene(n: int) -> tuple[Grid, np.ndarray, np.ndarray, np.ndarray]:
    """Grid, body, activity and the hot sphere (4 cm across)."""
    pixel = 563.2 / n
    grid = Grid.axial((n, n, n // 2), spacing_mm=(pixel, pixel, pixel))
    x, y, z = (
        np.expand_dims((np.arange(m) - (m - 1) / 2) * pixel, [a for a in range(3) if a != i])
        for i, m in enumerate(grid.shape)
    )
    body = np.broadcast_to((x / 180) ** 2 + (y / 120) ** 2 < 1, grid.shape)
    sphere = (x - 70) ** 2 + (y - 20) ** 2 + z**2 < 20**2
    activity = np.where(sphere, 8.0, body & (np.abs(z) < 100)).astype(np.float32)
    return grid, body, activity, sphere


def report(name: str, image: np.ndarray, truth: np.ndarray, sphere: np.ndarray, wall: float, cpu: float) -> None:
    total, recovery = image.sum() / truth.sum(), image[sphere].mean() / truth[sphere].mean()
    print(f"{name}: {wall:.1f} s, {cpu:.1f} s of processor; total {total:.3f}, 4-cm sphere {recovery:.3f} of the truth")


def by_pytomography(grid: Grid, body: np.ndarray, shown: np.ndarray, iterations: int) -> np.ndarray:
    """OSEM of the same projections on the same grid, attenuation and response."""
    import torch
    from pytomography.algorithms import OSEM
    from pytomography.likelihoods import PoissonLogLikelihood
    from pytomography.metadata.SPECT import SPECTObjectMeta, SPECTProjMeta, SPECTPSFMeta
    from pytomography.projectors.SPECT import SPECTSystemMatrix
    from pytomography.transforms.SPECT import SPECTAttenuationTransform, SPECTPSFTransform

    pixel_cm = grid.spacing_mm[0] / 10
    torch.set_num_threads(2)
    meta = SPECTObjectMeta([pixel_cm] * 3, list(grid.shape))
    angles = np.arange(VIEWS) * 360.0 / VIEWS
    projections = SPECTProjMeta(shown.shape[1:], (pixel_cm, pixel_cm), angles, np.full(VIEWS, RADIUS_MM / 10))
    response = SPECTPSFMeta(sigma_fit_params=(SLOPE, OFFSET_MM / 10), sigma_fit=lambda r, a, b: a * r + b)
    attenuation = SPECTAttenuationTransform(torch.tensor(body * np.float32(MU * 10)))
    system = SPECTSystemMatrix([attenuation, SPECTPSFTransform(response)], [], meta, projections)
    likelihood = PoissonLogLikelihood(system, torch.tensor(shown))
    return np.asarray(OSEM(likelihood)(n_iters=iterations, n_subsets=SUBSETS))


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 128
    iterations = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    grid, body, truth, sphere = scene(n)
    orbit = Orbit.circular(VIEWS, radius_mm=RADIUS_MM)
    options = {"columns": n, "response": Response(0.0, OFFSET_MM, SLOPE), "mu_per_mm": body * MU}
    shown = SpectProjector(grid, orbit, **options).forward(truth)
    start, cpu = time.perf_counter(), time.process_time()
    found = reconstruct(
        shown, SpectProjector(grid, orbit, **options), IterationOptions(iterations=iterations, subsets=SUBSETS)
    )
    report("hepatica", found.image, truth, sphere, time.perf_counter() - start, time.process_time() - cpu)
    try:
        import pytomography  # noqa: F401
    except ImportError:
        print("pytomography is not installed")
        return
    start, cpu = time.perf_counter(), time.process_time()
    # Its angles start elsewhere and may turn the other way: the body is symmetric, the sphere finds the orientation.
    by_other = by_pytomography(grid, body, np.ascontiguousarray(shown), iterations)
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    turned = [np.rot90(m, k) for m in (by_other, by_other[::-1]) for k in range(4)]
    best = max(turned, key=lambda m: float((m * truth).sum()))
    report("pytomography", best, truth, sphere, wall, used)


if __name__ == "__main__":
    main()
