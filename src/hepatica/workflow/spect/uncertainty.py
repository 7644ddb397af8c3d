"""Uncertainty of every voxel of a reconstruction on files, from resampled projections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hepatica.imaging.reconstruct.algorithms import Reconstruction, reconstruct
from hepatica.imaging.reconstruct.noise_estimate import quick_sd
from hepatica.imaging.reconstruct.resampling import Ensemble, bootstrap
from hepatica.workflow.spect.inputs import SpectCase
from hepatica.workflow.spect.options import FROM_WINDOWS, SpectOptions
from hepatica.workflow.spect.scatter import windows_scatter

Float32 = NDArray[np.float32]


def quick_voxel_sd(case: SpectCase, found: Reconstruction, options: SpectOptions) -> Float32 | None:
    """Quick estimate of every voxel's standard deviation, in the image's unit; None where it was not asked for."""
    if not options.quick_uncertainty:
        return None
    settings = replace(options.settings, iterations=found.iterations, until_noise=False)
    sd = quick_sd(
        found.image, case.projector, settings,
        weights=case.weights, additive=found.additive, post_filter_mm=options.post_filter_mm,
    )  # fmt: skip
    return sd / np.float32(case.projector.grid.voxel_volume_ml) if options.in_activity else sd


def voxel_uncertainty(
    case: SpectCase,
    found: Reconstruction,
    options: SpectOptions,
    finished: Callable[[Float32], Float32],
    tell: Callable[[str], None],
    *,
    within: NDArray[np.bool_] | None = None,
) -> Ensemble | None:
    """Replicates of the finished image (`finished` filters and scales it); None where none were asked for.

    Scatter from windows is estimated of each replicate's own windows; scatter computed of the image is kept as the
    reconstruction ended with it, so that its noise is not in the spread. Each replicate makes as many passes as the
    reconstruction did, and holds activity where that one could.
    """
    if not options.uncertainty_runs:
        return None
    settings = replace(options.settings, iterations=found.iterations, until_noise=False)

    def one(counts: Float32) -> Float32:
        data = replace(case.data, counts=counts)
        again = replace(case, data=data, counts=np.concatenate([data.window(n) for n in case.main]))
        additive = windows_scatter(again, options)[0] if options.scatter in FROM_WINDOWS else found.additive
        made = reconstruct(
            again.counts, case.projector, settings, weights=case.weights, additive=additive, within=within
        )
        return finished(made.image)

    def progress(number: int) -> None:
        tell(f"uncertainty: replicate {number} of {options.uncertainty_runs}")

    return bootstrap(
        case.data.counts, one, runs=options.uncertainty_runs, seed=options.montecarlo.seed, progress=progress
    )
