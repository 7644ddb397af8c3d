"""Noise taken out of an image without its edges, and regions that end at edges: diffusion and the random walker."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.anatomy.segmentation.coarse import Mask

Array = NDArray[np.float32]

DIFFUSION_STEPS = 15
MIN_EDGE_HU = 6.0
"""Smallest contrast that counts as an edge where there is no noise."""

LEAST_LINK = 1e-3
"""Neighbours across the sharpest edge still hold together by this much, so that no voxel stands alone."""


def noise_sd(hu: Array, inside: Mask) -> float:
    """Standard deviation of the noise inside a mask, HU, from what a median of 27 voxels takes away; robust to edges.

    The median itself keeps about a tenth of the noise (its variance is pi/2/27 of a voxel's); hence the factor 1.1.
    """
    from scipy import ndimage

    left = np.abs(hu - ndimage.median_filter(hu, 3, mode="nearest"))[inside]
    return float(1.1 * 1.4826 * np.median(left)) if left.size else 0.0


def diffused(hu: Array, noise_hu: float) -> Array:
    """Edge-preserving smoothing: differences below about two standard deviations of the noise even out.

    References
    ----------
    .. [1] Perona and Malik, IEEE Trans Pattern Anal Mach Intell 1990;12:629.
    """
    out = hu.astype(np.float32).copy()
    edge = np.float32(max(2 * noise_hu, MIN_EDGE_HU))
    for _ in range(DIFFUSION_STEPS):
        change = np.zeros_like(out)
        for axis in range(3):
            difference = np.diff(out, axis=axis)
            flow = difference * np.exp(-np.square(difference / edge))
            low, high = _neighbours(axis)
            change[low] += flow
            change[high] -= flow
        out += change / np.float32(7)  # stable below 1/6
    return out


def random_walk(image: Array, mask: Mask, prior: ArrayLike, *, edge_hu: float, pull: ArrayLike) -> Array:
    """Probability of each voxel of a mask to belong to a region, shape of `image`; 0 outside the mask.

    The random walker with a prior in every voxel: probabilities vary little within tissue and freely across edges, and
    are pulled towards the prior. It minimises ``sum w (p_a - p_b)^2 + pull (p - prior)^2``.

    Parameters
    ----------
    image : ndarray, shape (i, j, k)
        Smoothed HU.
    mask : ndarray of bool
        Voxels to decide on.
    prior : array_like, shape of `image`
        Probability by intensity and place.
    edge_hu : float
        Difference of neighbours at which their link has fallen to 1/e.
    pull : float or array_like of shape (voxels of the mask,)
        Weight of the prior against one link.

    References
    ----------
    .. [1] Grady, Multilabel random walker image segmentation using prior models, CVPR 2005:763.
    """
    from scipy import sparse
    from scipy.sparse.linalg import cg

    out = np.zeros(image.shape, np.float32)
    count = int(mask.sum())
    if not count:
        return out
    number = np.full(image.shape, -1)
    number[mask] = np.arange(count)
    first, second, links = [], [], []
    for axis in range(3):
        low, high = _neighbours(axis)
        both = mask[low] & mask[high]
        link = np.exp(-np.square((image[low] - image[high])[both] / edge_hu)).astype(np.float64) + LEAST_LINK
        first += [number[low][both], number[high][both]]
        second += [number[high][both], number[low][both]]
        links += [link, link]
    rows, columns, weights = (np.concatenate(part) for part in (first, second, links))
    diagonal = np.bincount(rows, weights=weights, minlength=count) + np.asarray(pull)
    matrix = sparse.csr_array((-weights, (rows, columns)), shape=(count, count)) + sparse.diags_array(diagonal)
    wanted = np.asarray(prior, dtype=np.float64)[mask]
    # A residue of a thousandth moves no border; the diagonal preconditions well since the pull is everywhere.
    found, _ = cg(
        matrix,
        np.asarray(pull) * wanted,
        x0=wanted,
        rtol=1e-3,
        maxiter=200,
        M=sparse.diags_array(1 / diagonal),
    )
    out[mask] = np.clip(found, 0, 1)
    return out


def _neighbours(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    low, high = [slice(None)] * 3, [slice(None)] * 3
    low[axis], high[axis] = slice(0, -1), slice(1, None)
    return tuple(low), tuple(high)
