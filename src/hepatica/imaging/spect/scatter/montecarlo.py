"""Scatter of an image by Monte Carlo, for the additive term of a reconstruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Volume
from hepatica.core.constants import FWHM_PER_SD
from hepatica.core.progress import Progress, silent
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import MonteCarloProjections, ProjectionSettings
from hepatica.imaging.spect.options import SCATTER_UNCERTAINTY, ScatterOptions
from hepatica.imaging.spect.projector import Float32, SystemModel
from hepatica.transport.runner.stopping import RunProgress


@dataclass(frozen=True, slots=True)
class ScatterRun:
    """What one Monte Carlo update of the scatter took and reached."""

    after_iteration: int
    seconds: float
    histories: int
    reached_uncertainty: float
    other_over_primary: float


class MonteCarloScatter:
    """Everything but unscattered photons through holes, in every window: the `estimate` of `ScatterUpdate`.

    The Monte Carlo gives both parts, in its own units; scattered counts are taken relative to its primary counts and
    put beside the primary counts of the system model, window by window. The camera's sensitivity, whether measured or
    not, so holds for both. Noise is smoothed with a Gaussian in the projections.

    Parameters
    ----------
    hu : Volume
        CT.
    setup : SpectSetup
        Camera, nuclide, orbit, windows and grid of the reconstruction.
    projector : SystemModel
        Of the reconstruction; a `JointProjector` in the order of the windows.
    weights : ndarray, shape (windows * views,)
        As given to `reconstruct`.
    options : ScatterOptions
        When to stop, random numbers, smoothing, device.
    progress : callable, optional
        Told each step.

    Attributes
    ----------
    provenance : mapping
        Settings and tables of the Monte Carlo.
    updates : list of ScatterRun
        All updates so far.
    """

    def __init__(
        self,
        hu: Volume,
        setup: SpectSetup,
        *,
        projector: SystemModel,
        weights: NDArray[Any],
        options: ScatterOptions,
        progress: Progress | None = None,
    ) -> None:
        self._hu, self._setup, self._system, self._options = hu, setup, projector, options
        self._weights = np.asarray(weights, dtype=np.float32).reshape(len(setup.windows), -1, 1, 1)
        self._progress = progress or silent
        self._projector: MonteCarloProjector | None = None
        self.provenance: Mapping[str, Any] = {}
        self.updates: list[ScatterRun] = []

    def __call__(self, image: Float32, iterations: int) -> Float32:
        """Scattered counts of every view of every window; each update has random numbers of its own."""
        found = self._simulated(image, iterations)
        modelled = self._system.forward(image).reshape(found.primary.shape) * self._weights
        simulated = found.primary * self._weights
        ratio = modelled.sum(axis=(1, 2, 3), dtype=np.float64) / simulated.sum(axis=(1, 2, 3), dtype=np.float64)
        scatter = self._smoothed(found.other * self._weights) * ratio.astype(np.float32)[:, None, None, None]
        return np.asarray(scatter.reshape(self._system.shape), dtype=np.float32)

    def coarser(self, factor: float, seed: int) -> MonteCarloScatter:
        """The same with `factor` times the uncertainty, other random numbers and updates of its own."""
        rules = self._options.stopping.with_default(SCATTER_UNCERTAINTY)
        work = 1 / factor**2
        rules = replace(
            rules,
            histories=None if rules.histories is None else max(1, round(rules.histories * work)),
            target_uncertainty=None if rules.target_uncertainty is None else factor * rules.target_uncertainty,
            time_limit_s=None if rules.time_limit_s is None else rules.time_limit_s * work,
            seed=rules.seed + seed,
        )
        made = MonteCarloScatter(
            self._hu, self._setup, projector=self._system, weights=np.ravel(self._weights),
            options=replace(self._options, stopping=rules), progress=self._progress,
        )  # fmt: skip
        made._projector = self._projector
        return made

    def _simulated(self, image: Float32, iterations: int) -> MonteCarloProjections:
        options = self._options
        if self._projector is None:
            self._progress("scatter: preparing the Monte Carlo")
            self._projector = MonteCarloProjector(self._hu, self._setup, device=options.device)
        rules = options.stopping.with_default(SCATTER_UNCERTAINTY)
        settings = ProjectionSettings.of(replace(rules, seed=rules.seed + iterations))

        def progress(state: RunProgress) -> None:
            reached = "" if state.relative_uncertainty is None else f", {100 * state.relative_uncertainty:.1f} %"
            self._progress(f"scatter: {state.histories:.1e} photons after iteration {iterations}{reached}")

        # Bq per voxel, or counts per voxel: only the proportion of scattered to primary counts is used.
        found = self._projector.project(Volume(self._setup.grid, image, Kind.ACTIVITY), settings, progress=progress)
        self.provenance = found.provenance
        other, primary = (float(part.sum(dtype=np.float64)) for part in (found.other, found.primary))
        self.updates.append(ScatterRun(iterations, found.seconds, found.histories, found.uncertainty, other / primary))
        return found

    def _smoothed(self, counts: Float32) -> Float32:
        from scipy import ndimage

        grid = self._setup.grid
        pixel_mm = np.array([grid.spacing_mm[0], grid.spacing_mm[2]])
        sd = self._options.montecarlo_smoothing_mm / FWHM_PER_SD / pixel_mm
        return np.asarray(ndimage.gaussian_filter(counts, (0, 0, *sd), mode="nearest"), dtype=np.float32)
