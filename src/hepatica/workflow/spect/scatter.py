"""Scatter of a reconstruction on files: from windows before it, or from a model of the image between its passes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hepatica.imaging.reconstruct.scatter_updates import ScatterUpdate
from hepatica.imaging.spect.attenuation import body_voxels
from hepatica.imaging.spect.montecarlo.projector import SpectSetup
from hepatica.imaging.spect.scatter.montecarlo import MonteCarloScatter
from hepatica.workflow.spect.inputs import SpectCase
from hepatica.workflow.spect.options import FROM_WINDOWS, SpectOptions
from hepatica.workflow.spect.windows import scatter_from_windows

Tell = Callable[[str], None]
Float32 = NDArray[np.float32]


def windows_scatter(case: SpectCase, options: SpectOptions) -> tuple[Float32 | None, tuple[int, ...]]:
    """Additive term from windows beside the main ones, and their numbers; None where scatter is not taken from them."""
    if options.scatter not in FROM_WINDOWS:
        return None, ()
    parts = [scatter_from_windows(case.data, n, case.main, case.nuclide, options) for n in case.main]
    used = tuple(dict.fromkeys(n for _, numbers in parts for n in numbers))
    return np.concatenate([estimate for estimate, _ in parts]), used


def modelled_scatter(case: SpectCase, options: SpectOptions, tell: Tell) -> ScatterUpdate | None:
    """Additive term of scatter that is computed of the image; None where there is none."""
    if options.scatter not in ("esse", "mc"):
        return None
    estimate: EsseOfAll | MonteCarloScatter
    if options.scatter == "esse":
        estimate = EsseOfAll(case, tell)
    else:
        setup = SpectSetup(case.camera, case.nuclide, case.data.orbit, case.windows, case.projector.grid)
        estimate = MonteCarloScatter(
            case.hu.volume, setup, projector=case.projector, weights=case.weights, options=options.montecarlo, tell=tell
        )
    body = body_voxels(case.hu.volume, case.projector.grid)
    return ScatterUpdate(estimate, case.projector, case.counts, case.weights, body, len(case.windows))


class EsseOfAll:
    """Effective-source scatter of every window that is reconstructed."""

    def __init__(self, case: SpectCase, tell: Tell) -> None:
        from hepatica.imaging.spect.scatter.effective_source import EsseScatter

        tell("scatter: kernels in water")
        views = case.data.orbit.views
        self._tell = tell
        self._windows = [
            EsseScatter(
                case.hu.volume, case.projector.grid, case.data.orbit,
                columns=case.data.shape[1], camera=case.camera, model=model, weights=case.weights[n * views :][:views],
            )
            for n, model in enumerate(case.models)
        ]  # fmt: skip

    def __call__(self, image: Float32, passes: int) -> Float32:
        """Scattered counts of every view of every window."""
        self._tell(f"scatter: effective sources after pass {passes}")
        return np.concatenate([window(image, passes) for window in self._windows])
