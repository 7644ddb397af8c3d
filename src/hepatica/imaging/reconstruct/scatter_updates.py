"""Scatter computed from the image and put into the reconstruction's additive term between iterations."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError
from hepatica.imaging.reconstruct.background_term import Additive
from hepatica.imaging.spect.projector import Float32, SystemModel

UPDATE_ITERATIONS = (1, 2, 4, 7, 11, 16, 22)
"""Iterations after which scatter is computed anew: it is smooth and follows the image's coarse features, which settle
within the first iterations."""

Estimate = Callable[[Float32, int], Float32]
"""Image and iterations done -> expected scattered counts of every view, in units of system model and weights."""


@dataclass(frozen=True, slots=True, eq=False)
class ScatterUpdate:
    """The callable `additive` of `reconstruct` for scatter that a model computes of the image.

    An image made without scatter correction holds the scatter as activity, and scatter computed of it is too large in
    the same proportion: primary and scattered counts are scaled to add up to the measured ones, as they do at the end.
    Until scatter is computed again, the term follows the image (`additive.Additive`).

    Parameters
    ----------
    estimate : callable
        Image and iterations done -> scattered counts.
    projector : SystemModel
        Of the reconstruction.
    counts : ndarray, shape (views, u, v)
        As given to `reconstruct`.
    weights : ndarray, shape (views,)
        As given to `reconstruct`.
    body : ndarray of bool, shape of the image, or None
        Where activity can be (`attenuation.body_voxels`): what an image without correction shows beside the body is
        scatter, and would pass for primary counts that scatter nowhere.
    windows : int
        How many windows stand one after another.
    iterations : collection of int
        After which iterations to compute; the smallest comes first.

    Raises
    ------
    InputError
        If no iteration is named, or one before the first.
    """

    estimate: Estimate
    projector: SystemModel
    counts: NDArray[Any]
    weights: NDArray[Any]
    body: NDArray[np.bool_] | None = None
    windows: int = 1
    iterations: Collection[int] = UPDATE_ITERATIONS

    def __post_init__(self) -> None:
        if not self.iterations or min(self.iterations) < 1:
            raise InputError(f"scatter is computed after iterations 1, 2, ...; not after {sorted(self.iterations)}")

    def __call__(self, image: Float32, done: int) -> Additive | None:
        """Additive term from now on, or None to keep the one in use."""
        if done not in self.iterations:
            return None
        if self.body is not None:
            image = np.where(self.body, image, np.float32(0))
        scatter = np.maximum(self.estimate(image, done), 0)
        primary = self.projector.forward(image)
        primary *= np.asarray(self.weights, dtype=np.float32)[:, None, None]
        straight, scattered = (float(a.sum(dtype=np.float64)) for a in (primary, scatter))
        if not straight > 0:
            raise InputError("the image is empty: no scatter can be computed of it")
        scale = np.float32(np.sum(self.counts, dtype=np.float64) / (straight + scattered))
        spacing = self.projector.grid.spacing_mm
        return Additive.following(scatter * scale, primary * scale, (spacing[0], spacing[2]), self.windows)
