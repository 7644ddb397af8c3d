"""Convolution of an image with an even kernel that is known by its octant of non-negative offsets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import GeometryError

Float32Array = NDArray[np.float32]

BLOCK_BYTES = 32 * 2**20
"""Size of the spectrum worked on at a time in the last, padded axis."""


def convolve_even(values: Float32Array, octant: Float32Array, workers: int | None = None) -> Float32Array:
    """Linear (zero-padded) convolution, the same shape as `values`.

    The kernel is even in each index, so its spectrum is real and comes from a cosine transform of the octant, an eighth
    of the padded volume. The data are padded one axis after the other, so that no transform runs over rows of zeros,
    and the last axis is transformed, multiplied and transformed back in blocks: the full padded spectrum never exists.

    Parameters
    ----------
    values : ndarray of float32, shape (n0, n1, n2)
        Image.
    octant : ndarray of float32, shape (h0, h1, h2)
        Kernel at offsets i, j, k >= 0; offsets of n or more along an axis cannot matter and are left out.
    workers : int or None
        Threads; None for all cores.

    Returns
    -------
    ndarray of float32
        Single precision: the rounding error is some 1e-7 of the image's root mean square times the kernel's.

    Raises
    ------
    GeometryError
        If either array does not have three axes.
    """
    if values.ndim != 3 or octant.ndim != 3:
        raise GeometryError(f"convolution needs three axes, not {values.shape} and {octant.shape}")
    threads = workers or os.cpu_count() or 1
    n0, n1, n2 = values.shape
    octant = octant[:n0, :n1, :n2]
    length = [even_fast_length(n + h - 1) for n, h in zip(values.shape, octant.shape, strict=True)]
    spectrum = _even_spectrum(octant, length, threads)
    data = _forward(values.astype(np.float32, copy=False), length, threads)
    _multiply_last_axis(data, spectrum, length[0], threads)
    return _backward(data, (n0, n1, n2), length, threads)


def even_fast_length(at_least: int) -> int:
    """Smallest even length, at least 2, whose transform is fast."""
    from scipy.fft import next_fast_len

    length = max(2, at_least)
    while (length := int(next_fast_len(length, real=True))) % 2:
        length += 1
    return length


def _even_spectrum(octant: Float32Array, length: list[int], threads: int) -> Float32Array:
    """Real spectrum of the even kernel at the non-negative frequencies: cosine transform (type I) of the octant."""
    from scipy.fft import dctn

    padded = np.zeros([n // 2 + 1 for n in length], np.float32)
    padded[tuple(slice(0, n) for n in octant.shape)] = octant
    return np.asarray(dctn(padded, type=1, workers=threads, overwrite_x=True), dtype=np.float32)


def _forward(values: Float32Array, length: list[int], threads: int) -> NDArray[np.complex64]:
    """Transform of the last two axes, some planes of the first at a time."""
    from scipy.fft import fft, rfft

    depth = length[2] // 2 + 1
    data = np.empty((values.shape[0], length[1], depth), np.complex64)
    for block in _planes(values.shape[0], length[1] * depth):
        part: Any = rfft(values[block], length[2], axis=2, workers=threads)
        data[block] = fft(part, length[1], axis=1, workers=threads, overwrite_x=True)
    return data


def _planes(count: int, size: int) -> Iterator[slice]:
    """Slices of planes whose spectra (of `size` numbers) take about `BLOCK_BYTES`."""
    step = max(1, BLOCK_BYTES // (8 * size))
    return (slice(first, first + step) for first in range(0, count, step))


def _multiply_last_axis(data: NDArray[np.complex64], spectrum: Float32Array, length: int, threads: int) -> None:
    """Transform axis 0, multiply with the kernel's spectrum, transform back; in place, in blocks of axis 1."""
    from scipy.fft import fft, ifft

    n, columns, depth = data.shape
    rows = np.minimum(np.arange(length), length - np.arange(length))
    mirrored = np.minimum(np.arange(columns), columns - np.arange(columns))
    step = max(1, BLOCK_BYTES // (length * depth * 8))
    for first in range(0, columns, step):
        block = slice(first, first + step)
        part: Any = fft(data[:, block], length, axis=0, workers=threads)
        part *= spectrum[:, mirrored[block]][rows]
        data[:, block] = ifft(part, axis=0, workers=threads, overwrite_x=True)[:n]


def _backward(
    data: NDArray[np.complex64], shape: tuple[int, int, int], length: list[int], threads: int
) -> Float32Array:
    from scipy.fft import ifft, irfft

    out = np.empty(shape, np.float32)
    for block in _planes(shape[0], length[1] * data.shape[2]):
        rows: Any = ifft(data[block], axis=1, workers=threads, overwrite_x=True)[:, : shape[1]]
        out[block] = irfft(rows, length[2], axis=2, workers=threads)[:, :, : shape[2]]
    return out
