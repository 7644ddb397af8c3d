"""Scatter of an image by Monte Carlo, for the additive term of a reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Volume
from hepatica.core.constants import FWHM_PER_SD
from hepatica.errors import InputError
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import MonteCarloProjections, ProjectionSettings
from hepatica.imaging.spect.projector import Float32, SystemModel
from hepatica.transport.runner.stopping import RunProgress


@dataclass(frozen=True, slots=True)
class MonteCarloOptions:
    """Scatter by Monte Carlo between the passes.

    Attributes
    ----------
    uncertainty : float or None
        Relative standard uncertainty to reach in a bin of the projections in each update, before smoothing.
    seconds : float or None
        Most time for an update; a run that is ended by it is not the same twice.
    seed : int
        Of the random numbers.
    device : str
        "cpu" or "cuda".
    smooth_mm : float
        Gaussian smoothing of the scattered counts, FWHM.
    """

    uncertainty: float | None = 0.1
    seconds: float | None = None
    seed: int = 1
    device: str = "cpu"
    smooth_mm: float = 12.0

    def __post_init__(self) -> None:
        if self.uncertainty is None and self.seconds is None:
            raise InputError("Monte Carlo scatter: say when to stop, by uncertainty or time")
        if self.uncertainty is not None and not 0 < self.uncertainty < 1:
            raise InputError(f"Monte Carlo scatter: the uncertainty must lie between 0 and 1, not {self.uncertainty:g}")
        if self.seconds is not None and not self.seconds > 0:
            raise InputError(f"Monte Carlo scatter: the time must be positive, not {self.seconds:g} s")
        if self.smooth_mm < 0 or self.seed < 0:
            raise InputError("Monte Carlo scatter: smoothing and seed cannot be negative")


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
    options : MonteCarloOptions
        When to stop, and random numbers.
    tell : callable, optional
        Told each step.

    Attributes
    ----------
    provenance : dict
        Settings and tables of the Monte Carlo.
    updates : list of dict
        Seconds, histories, reached uncertainty and scatter over primary of each update so far.
    """

    def __init__(
        self,
        hu: Volume,
        setup: SpectSetup,
        *,
        projector: SystemModel,
        weights: NDArray[Any],
        options: MonteCarloOptions,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._hu, self._setup, self._system, self._options = hu, setup, projector, options
        self._weights = np.asarray(weights, dtype=np.float32).reshape(len(setup.windows), -1, 1, 1)
        self._tell = tell or (lambda step: None)
        self._projector: MonteCarloProjector | None = None
        self.provenance: Mapping[str, object] = {}
        self.updates: list[dict[str, float]] = []

    def __call__(self, image: Float32, passes: int) -> Float32:
        """Scattered counts of every view of every window; each update has random numbers of its own."""
        found = self._simulated(image, passes)
        ours = self._system.forward(image).reshape(found.primary.shape) * self._weights
        theirs = found.primary * self._weights
        ratio = ours.sum(axis=(1, 2, 3), dtype=np.float64) / theirs.sum(axis=(1, 2, 3), dtype=np.float64)
        scatter = self._smoothed(found.other * self._weights) * ratio.astype(np.float32)[:, None, None, None]
        return np.asarray(scatter.reshape(self._system.shape), dtype=np.float32)

    def _simulated(self, image: Float32, passes: int) -> MonteCarloProjections:
        options = self._options
        if self._projector is None:
            self._tell("scatter: preparing the Monte Carlo")
            self._projector = MonteCarloProjector(self._hu, self._setup, device=options.device)
        settings = ProjectionSettings(
            target_uncertainty=options.uncertainty, time_limit_s=options.seconds, seed=options.seed + passes
        )

        def progress(state: RunProgress) -> None:
            reached = "" if state.relative_uncertainty is None else f", {100 * state.relative_uncertainty:.1f} %"
            self._tell(f"scatter: {state.histories:.1e} photons after pass {passes}{reached}")

        # Bq per voxel, or counts per voxel: only the proportion of scattered to primary counts is used.
        found = self._projector.project(Volume(self._setup.grid, image, Kind.ACTIVITY), settings, progress=progress)
        self.provenance = found.provenance
        self.updates.append(
            {
                "after_pass": passes,
                "seconds": found.seconds,
                "histories": found.histories,
                "reached_uncertainty": found.uncertainty,
                "other_over_primary": float(found.other.sum(dtype=np.float64) / found.primary.sum(dtype=np.float64)),
            }
        )
        return found

    def _smoothed(self, counts: Float32) -> Float32:
        from scipy import ndimage

        grid = self._setup.grid
        sd = self._options.smooth_mm / FWHM_PER_SD / np.array([grid.spacing_mm[0], grid.spacing_mm[2]])
        return np.asarray(ndimage.gaussian_filter(counts, (0, 0, *sd), mode="nearest"), dtype=np.float32)
