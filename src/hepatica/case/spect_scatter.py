"""Scatter of a reconstruction on files: from windows before it, or from a model of the image between its passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepatica.case.spect_case import SpectCase
from hepatica.case.spect_options import FROM_WINDOWS, MonteCarloOptions, SpectOptions
from hepatica.case.spect_windows import scatter_from_windows
from hepatica.core import Kind, Volume
from hepatica.imaging.attenuation import attenuation_map
from hepatica.imaging.scatter_model import ScatterUpdate

if TYPE_CHECKING:
    from hepatica.imaging.montecarlo.projector import MonteCarloProjector
    from hepatica.imaging.montecarlo.settings import MonteCarloProjections

Tell = Callable[[str], None]
Float32 = NDArray[np.float32]

DENSE_PER_MM = 3e-4
"""Attenuation at 140 keV above which a voxel is not air (2 % of water's): activity elsewhere is noise."""


def windows_scatter(case: SpectCase, options: SpectOptions) -> tuple[Float32 | None, tuple[int, ...]]:
    """Additive term from windows beside the main ones, and their numbers; None where scatter is not taken from them."""
    if options.scatter not in FROM_WINDOWS:
        return None, ()
    parts = [scatter_from_windows(case.data, n, case.main, case.nuclide, options) for n in case.main]
    used = tuple(dict.fromkeys(n for _, numbers in parts for n in numbers))
    return np.concatenate([estimate for estimate, _ in parts]), used


def modelled_scatter(case: SpectCase, options: SpectOptions, tell: Tell) -> ScatterUpdate | None:
    """The `update_additive` of scatter that is computed of the image; None where there is none."""
    if options.scatter == "esse":
        return ScatterUpdate(EsseOfAll(case, tell), case.projector, case.counts, case.weights)
    if options.scatter == "mc":
        estimate = MonteCarloScatter(case, options.montecarlo, tell)
        return ScatterUpdate(estimate, case.projector, case.counts, case.weights)
    return None


class EsseOfAll:
    """Effective-source scatter of every window that is reconstructed."""

    def __init__(self, case: SpectCase, tell: Tell) -> None:
        from hepatica.imaging.esse import EsseScatter

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


@dataclass(slots=True)
class MonteCarloRuns:
    """What the Monte Carlo did, for the provenance: seconds, histories and reached uncertainty of each update."""

    settings: dict[str, Any] = field(default_factory=dict)
    updates: list[dict[str, float]] = field(default_factory=list)


class MonteCarloScatter:
    """Everything but unscattered photons through holes, by Monte Carlo, in every window that is reconstructed.

    The Monte Carlo gives both parts, in its own units; scattered counts are taken relative to its primary counts and
    put beside the primary counts of the system model. The camera's sensitivity, whether measured or not, so holds for
    both. Noise is smoothed with a Gaussian in the projections.
    """

    def __init__(self, case: SpectCase, options: MonteCarloOptions, tell: Tell) -> None:
        self._case, self._options, self._tell = case, options, tell
        self.runs = MonteCarloRuns()
        self._dense = attenuation_map(case.hu.volume, case.projector.grid, 140.0) > DENSE_PER_MM
        self._projector: MonteCarloProjector | None = None

    def __call__(self, image: Float32, passes: int) -> Float32:
        """Scattered counts of every view of every window; each update has random numbers of its own."""
        case = self._case
        inside = np.where(self._dense, image, np.float32(0))
        found = self._simulated(inside, passes)
        shape = (len(case.windows), *case.data.shape)
        weights = np.asarray(case.weights, dtype=np.float32).reshape(*shape[:2], 1, 1)
        ours = case.projector.forward(inside).reshape(shape) * weights
        theirs, other = found.primary * weights, found.other * weights
        ratio = ours.sum(axis=(1, 2, 3), dtype=np.float64) / theirs.sum(axis=(1, 2, 3), dtype=np.float64)
        scatter = self._smoothed(other) * ratio.astype(np.float32)[:, None, None, None]
        return np.asarray(scatter.reshape(case.counts.shape), dtype=np.float32)

    def _simulated(self, image: Float32, passes: int) -> MonteCarloProjections:
        from hepatica.imaging.montecarlo.settings import ProjectionSettings

        options, case = self._options, self._case
        if self._projector is None:
            self._tell("scatter: preparing the Monte Carlo")
            self._projector = self._prepared()
        settings = ProjectionSettings(
            target_uncertainty=options.uncertainty, time_limit_s=options.seconds, seed=options.seed + passes
        )

        def progress(state: Any) -> None:
            reached = "" if state.relative_uncertainty is None else f", {100 * state.relative_uncertainty:.1f} %"
            self._tell(f"scatter: {state.histories:.1e} photons after pass {passes}{reached}")

        # Bq per voxel, or counts per voxel of all views: only the proportion of scattered to primary counts is used.
        activity = Volume(case.projector.grid, image, Kind.ACTIVITY, case.start, "image")
        found = self._projector.project(activity, settings, progress=progress)
        self.runs.settings = found.provenance
        self.runs.updates.append(
            {
                "after_pass": passes,
                "seconds": found.seconds,
                "histories": found.histories,
                "reached_uncertainty": found.uncertainty,
                "other_over_primary": float(found.other.sum(dtype=np.float64) / found.primary.sum(dtype=np.float64)),
            }
        )
        return found

    def _prepared(self) -> MonteCarloProjector:
        from hepatica.imaging.montecarlo.projector import MonteCarloProjector, SpectSetup

        case = self._case
        setup = SpectSetup(case.camera, case.nuclide, case.data.orbit, case.windows, case.projector.grid)
        return MonteCarloProjector(case.hu.volume, setup, device=self._options.device)

    def _smoothed(self, counts: Float32) -> Float32:
        from scipy import ndimage

        sd = self._options.smooth_mm / np.sqrt(8 * np.log(2)) / np.asarray(self._case.data.pixel_mm)
        return np.asarray(ndimage.gaussian_filter(counts, (0, 0, *sd), mode="nearest"), dtype=np.float32)
