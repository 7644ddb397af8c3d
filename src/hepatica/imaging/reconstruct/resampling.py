"""How noise of the counts shows in a reconstructed image: the reconstruction of resampled counts, many times.

Each replicate takes every measured number of counts as the mean of a Poisson distribution and draws from it (Haynor and
Woods, IEEE Trans Med Imaging 1989;8:337; Buvat, Phys Med Biol 2002;47:1761, for bootstrapping of projections), and runs
through the whole reconstruction, so that correlations between voxels, subsets, stopping and filters are all in the
spread. What no replicate changes is not in it: calibration, attenuation map, registration, the scatter model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError

Float32 = NDArray[np.float32]

MIN_SAMPLES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """Replicates of an image.

    Attributes
    ----------
    images : ndarray of float32, shape (samples, *image)
        One image for each resampling.
    seed : int
        Of the random numbers.
    """

    images: Float32
    seed: int

    @property
    def samples(self) -> int:
        """Number of replicates."""
        return len(self.images)

    @property
    def sd(self) -> Float32:
        """Standard deviation of every voxel."""
        return np.asarray(np.std(self.images, axis=0, ddof=1, dtype=np.float64), dtype=np.float32)

    @property
    def relative_error(self) -> float:
        """Relative standard error of a standard deviation from so many replicates, 1 / sqrt(2 (samples - 1))."""
        return 1 / math.sqrt(2 * (self.samples - 1))

    def region(self, coverage: NDArray[Any]) -> tuple[float, float]:
        """Mean over a region and its standard uncertainty, from the spread of the replicates' means.

        Neighbouring voxels are correlated: this cannot be had from the voxels' standard deviations.

        Parameters
        ----------
        coverage : ndarray, shape of the image
            Share of each voxel in the region, 0 to 1.

        Raises
        ------
        InputError
            If the region has another shape or is empty.
        """
        share = np.asarray(coverage, dtype=np.float64)
        if share.shape != self.images.shape[1:] or not share.sum() > 0:
            raise InputError(f"region of shape {share.shape}, sum {share.sum():g}: expected {self.images.shape[1:]}")
        means = np.tensordot(self.images, share, axes=share.ndim) / share.sum()
        return float(means.mean()), float(means.std(ddof=1))


def bootstrap(
    counts: NDArray[Any],
    reconstructed: Callable[[Float32], NDArray[Any]],
    *,
    samples: int,
    seed: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Ensemble:
    """Replicates of an image from resampled counts.

    Parameters
    ----------
    counts : ndarray
        As measured: of all windows that the reconstruction uses.
    reconstructed : callable
        Counts of that shape -> image.
    samples : int
        Replicates; 20 give standard deviations to 16 %.
    seed : int
        Of the random numbers; replicate n has a stream of its own.
    progress : callable, optional
        Told the number of each replicate, from 1, before it.

    Raises
    ------
    InputError
        If there are fewer than four samples.
    """
    if samples < MIN_SAMPLES:
        raise InputError(f"an uncertainty needs at least {MIN_SAMPLES} samples, not {samples}")
    images = []
    for number in range(samples):
        if progress is not None:
            progress(number + 1)
        drawn = np.random.default_rng([seed, number]).poisson(counts).astype(np.float32)
        images.append(np.asarray(reconstructed(drawn), dtype=np.float32))
    return Ensemble(np.stack(images), seed)
