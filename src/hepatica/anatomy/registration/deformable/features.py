"""What of an image is compared: the direction of its edges, or how alike a voxel's neighbours are to each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.registration.deformable.settings import Contrast

Image = NDArray[np.float32]

EDGE_SHARE = 0.06
"""Gradient per voxel, in the range of the image, at which an edge counts half: 120 HU of a CT's range of 2000, well
above noise of 40 HU after smoothing and below the edges of lung, skin and bone."""

EDGE_BLUR, PATCH_BLUR = 0.7, 0.5
"""Standard deviation in voxels by which an image is smoothed against noise before its edges or patches are taken."""

PATCH_VOXELS = 0.8
"""Standard deviation of the patches that are compared, in voxels."""

NOISE_SHARE = 0.02
"""Differences of patches below this share of the range are noise."""

SIX = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))


def features(image: Image, contrast: Contrast) -> Image:
    """Channels of an image with values from 0 to 1, shape (i, j, k) -> (i, j, k, channels).

    Like contrast: `edges`; unlike contrast: `self_similarity`.
    """
    return edges(image) if contrast == "like" else self_similarity(image)


def edges(image: Image) -> Image:
    """Outer product of the normalised gradient with itself, six channels; edges count whether they rise or fall.

    E. Haber, J. Modersitzki, Methods Inf. Med. 46 (2007) 292 (normalised gradient fields).
    """
    smooth = _blurred(image, EDGE_BLUR)
    gradient = np.stack([np.gradient(smooth, axis=axis) for axis in range(3)], axis=-1)
    unit = gradient / np.sqrt((gradient**2).sum(axis=-1, keepdims=True) + np.float32(EDGE_SHARE**2))
    x, y, z = (unit[..., axis] for axis in range(3))
    twice = np.float32(np.sqrt(2))
    return np.stack([x * x, y * y, z * z, twice * x * y, twice * x * z, twice * y * z], axis=-1).astype(np.float32)


def self_similarity(image: Image) -> Image:
    """How alike twelve pairs of a voxel's neighbours are, 0 to 1 (MIND-SSC).

    M. P. Heinrich et al., MICCAI 2013, LNCS 8149, 187.
    """
    smooth = _blurred(image, PATCH_BLUR)
    padded = np.pad(smooth, 1, mode="edge")
    beside = [padded[_window(1 + a, i), _window(1 + b, j), _window(1 + c, k)]
              for (a, b, c), (i, j, k) in ((at, image.shape) for at in SIX)]  # fmt: skip
    pairs = [(n, m) for n in range(6) for m in range(n) if np.dot(SIX[n], SIX[m]) == 0]
    out = np.empty((*image.shape, len(pairs)), dtype=np.float32)
    for channel, (n, m) in enumerate(pairs):
        out[..., channel] = _blurred((beside[n] - beside[m]) ** 2, PATCH_VOXELS)
    out -= out.min(axis=-1, keepdims=True)
    spread = out.mean(axis=-1, keepdims=True) + np.float32(NOISE_SHARE**2)
    return np.asarray(np.exp(-out / spread))


def _window(start: int, length: int) -> slice:
    return slice(start, start + length)


def _blurred(image: NDArray[Any], width: float) -> Image:
    from scipy import ndimage

    return np.asarray(ndimage.gaussian_filter(image, width, mode="nearest", truncate=3), dtype=np.float32)
