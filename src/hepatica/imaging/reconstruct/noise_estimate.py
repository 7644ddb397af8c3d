"""A quick estimate of the noise of every voxel of an MLEM or OSEM image, without repeating the reconstruction.

Around a solution, one MLEM update changes the error e of the image by ``e + D (b - F e)``: b is the back-projected
noise of the counts, of covariance F = A' diag(w^2 / expected) A, and D = image / sensitivity the step. After K updates
(each subset counts as one) the covariance is ``F^-1 (1 - (1 - D F)^K)^2``. Where F changes slowly between voxels it
is a convolution (Fessler, IEEE Trans Image Process 1996;5:493, for variances at a maximum; Barrett, Wilson and Tsui,
Phys Med Biol 1994;39:833, for noise against iterations), and the variance of a voxel the mean of that expression over
spatial frequencies, times the square of the post-filter's transfer. F is computed at a few voxels, each standing for
those around it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import FWHM_PER_SD
from hepatica.errors import InputError
from hepatica.imaging.reconstruct.algorithms import IterationOptions
from hepatica.imaging.spect.projector import Float32, SystemModel

FloatArray = NDArray[np.float64]

SAMPLES = 12
"""Voxels at which the noise's spectrum is computed: a projection and a back projection each."""
BLOCK = 64
"""Voxels per axis around each; farther away F is small."""
STEPS = 40
MIN_OF_IMAGE = 0.05
"""Samples lie where the image is above this share of its highest value."""


def quick_sd(
    image: NDArray[Any],
    projector: SystemModel,
    settings: IterationOptions,
    *,
    weights: NDArray[Any],
    additive: NDArray[Any],
    post_filter_mm: float = 0.0,
) -> Float32:
    """Standard deviation of every voxel from the noise of the counts, in the unit of the image.

    Within a third of what resampling gives in regions of activity (tests); it is no estimate for single voxels beside
    steep edges, and leaves out the noise of scatter windows.

    Parameters
    ----------
    image : ndarray, shape of the grid
        As reconstructed, without post-filter.
    projector, settings, weights, additive
        As the image was made with; for settings stopped early, those with the iterations that were done.
    post_filter_mm : float
        FWHM of the Gaussian that the image is filtered with after.

    Raises
    ------
    InputError
        If the method is penalised, or the image empty.
    """
    if settings.method == "bsrem":
        raise InputError("the quick uncertainty knows no prior: resample the counts for bsrem")
    values = np.asarray(image, dtype=np.float32)
    if not values.max(initial=0) > 0:
        raise InputError("the image is empty: it has no uncertainty to estimate")
    scale = np.asarray(weights, dtype=np.float32)[:, None, None]
    expected = projector.forward(values) * scale + additive
    share = scale**2 / np.maximum(expected, 1e-6 * float(expected.max()))
    seen = projector.back(np.broadcast_to(scale, projector.shape))
    step = np.where(seen > 0, values / np.where(seen > 0, seen, 1), 0)
    samples = _spread(values > MIN_OF_IMAGE * float(values.max()))
    steps = np.geomspace(1e-4 * float(step.max()), float(step.max()), STEPS)
    tables = []
    for sample in samples:
        one = np.zeros_like(values)
        one[tuple(sample)] = 1
        spectrum, passed = _spectrum(projector.back(projector.forward(one) * share), sample, projector, post_filter_mm)
        tables.append([_variance(spectrum, passed, float(d), settings.rounds * settings.updates) for d in steps])
    sd = np.zeros_like(values)
    nearest = _nearest(values.shape, samples)
    for number, table in enumerate(tables):
        there = nearest == number
        sd[there] = np.sqrt(np.interp(step[there], steps, table))
    return sd


def _variance(spectrum: FloatArray, passed: FloatArray, step: float, updates: int) -> float:
    grown = 1 - np.clip(1 - step * spectrum, -1, 1) ** updates
    return float(np.mean(grown**2 / np.maximum(spectrum, 1e-30) * passed))


def _spectrum(
    kernel: Float32, at: NDArray[np.intp], projector: SystemModel, post_filter_mm: float
) -> tuple[FloatArray, FloatArray]:
    """Spectrum of F around a voxel, and the squared transfer of the post-filter, on the same frequencies."""
    size = [min(BLOCK, 2 * n) for n in kernel.shape]
    block = np.zeros(size)
    inner, outer = [], []
    for place, n, m in zip(at, kernel.shape, size, strict=True):
        low, high = max(int(place) - m // 2, 0), min(int(place) + (m + 1) // 2, n)
        inner.append(slice(low, high))
        outer.append(slice(low - int(place) + m // 2, high - int(place) + m // 2))
    block[tuple(outer)] = kernel[tuple(inner)]
    spectrum = np.abs(np.fft.fftn(block))
    sd = post_filter_mm / FWHM_PER_SD
    square = np.zeros(size)
    for axis, (m, spacing) in enumerate(zip(size, projector.grid.spacing_mm, strict=True)):
        frequency = np.fft.fftfreq(m, spacing) ** 2
        square += np.expand_dims(frequency, [a for a in range(3) if a != axis])
    return spectrum, np.exp(-4 * np.pi**2 * sd**2 * square)


def _spread(where: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Voxels far from one another: each the farthest from those before it, the first nearest to the middle of all."""
    places = np.argwhere(where)
    chosen = [int(((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin())]
    distance = ((places - places[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(SAMPLES, len(places)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((places - places[chosen[-1]]) ** 2).sum(axis=1))
    return places[chosen]


def _nearest(shape: tuple[int, ...], samples: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number of the nearest sample of every voxel."""
    best = np.full(shape, np.inf)
    number = np.zeros(shape, dtype=np.intp)
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    for n, sample in enumerate(samples):
        distance = sum((axis - int(place)) ** 2 for axis, place in zip(axes, sample, strict=True))
        closer = distance < best
        best[closer], number[closer] = np.broadcast_to(distance, shape)[closer], n
    return number
