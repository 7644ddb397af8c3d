"""How alike two images are where one lies on the other: one number for every kind of image, on stated points.

The symmetric uncertainty 2 I(F, M) / (H(F) + H(M)): mutual information over the mean entropy, 0 for images that say
nothing of each other and 1 for images that determine each other. It needs no like contrast, and does not grow merely
because the images overlap less or the overlap holds more air.

F. Maes et al., IEEE Trans. Med. Imaging 16 (1997) 187 (the entropy correlation coefficient is its square root);
C. Studholme, D. L. G. Hill, D. J. Hawkes, Pattern Recognition 32 (1999) 71 (invariance to overlap).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.registration.prepared import Mask, Prepared
from hepatica.core.transform import Transform

FloatArray = NDArray[np.float64]

BINS = 32
"""Of each image; with the 1e4 points that are used at least, the bias of the estimate, (BINS - 1)^2 / 2n nats
(Miller 1955), stays below 0.05."""

MIN_POINTS = 500
"""Fewer points in both images, and nothing is known of their likeness."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Points of the fixed image with its values there.

    Attributes
    ----------
    points_mm : ndarray, shape (n, 3)
        Fixed LPS positions.
    values : ndarray, shape (n,)
        Prepared values of the fixed image, 0 to 1.
    """

    points_mm: FloatArray
    values: NDArray[np.float32]

    @classmethod
    def of(cls, fixed: Prepared, most: int, seed: int, within: Mask | None = None) -> Samples:
        """Voxel centres of the body (or of a mask), at most so many, drawn without repeats by a seed."""
        counted = np.flatnonzero((fixed.body if within is None else within) & fixed.seen)
        if counted.size > most:
            counted = np.sort(np.random.default_rng(seed).choice(counted, most, replace=False))
        index = np.stack(np.unravel_index(counted, fixed.grid.shape), axis=-1)
        return cls(fixed.grid.to_mm(index), fixed.volume.values.reshape(-1)[counted])

    @staticmethod
    def seen(moving: Prepared, moved_mm: FloatArray) -> Mask:
        """Which of the points lie in the moving image's field of view, at the positions where they come to lie."""
        return _covered(moving, moving.grid.to_index(moved_mm))


def looked_up(moving: Prepared, moved_mm: FloatArray) -> NDArray[Any]:
    """Prepared values of the moving image at positions, trilinear, shape (n, 3) -> (n,)."""
    return _values_at(moving, moving.grid.to_index(moved_mm))


def _covered(moving: Prepared, index: FloatArray) -> Mask:
    """Which indices lie in the moving image's field of view, shape (n, 3) -> (n,)."""
    within = (index >= -0.5) & (index <= np.asarray(moving.grid.shape) - 0.5)
    inside: Mask = within[:, 0] & within[:, 1] & within[:, 2]
    if not moving.seen.all():
        at = np.clip(np.rint(index[inside]).astype(int), 0, np.asarray(moving.grid.shape) - 1)
        inside[inside] = moving.seen[tuple(at.T)]
    return inside


def _values_at(moving: Prepared, index: FloatArray) -> NDArray[Any]:
    from scipy import ndimage

    found: NDArray[Any] = ndimage.map_coordinates(moving.volume.values, index.T, order=1, mode="nearest")
    return found


def symmetric_uncertainty(first: NDArray[Any], second: NDArray[Any]) -> float:
    """2 I / (H + H) of paired values from 0 to 1, shape (n,); 0 where one of them is uniform."""
    joint = _joint(first, second)
    own, other = joint.sum(axis=1), joint.sum(axis=0)
    entropies = _entropy(own) + _entropy(other)
    if entropies <= 1e-9:
        return 0.0
    return max(0.0, 2.0 * (entropies - _entropy(joint)) / entropies)


def similarity(samples: Samples, moving: Prepared, transform: Transform) -> tuple[float, float]:
    """Likeness (0 to 1) of the images by the points that both see, and the share of the points that do.

    The likeness is 0 where fewer than `MIN_POINTS` do.
    """
    index = moving.grid.to_index(transform.points_mm(samples.points_mm))
    seen = _covered(moving, index)
    count = int(np.count_nonzero(seen))
    share = count / seen.size if seen.size else 0.0
    if count < MIN_POINTS:
        return 0.0, share
    return symmetric_uncertainty(samples.values[seen], _values_at(moving, index[seen])), share


def compared(
    samples: Samples, moving: Prepared, before: Transform, after: Transform
) -> tuple[float | None, float | None]:
    """Likeness before and after on the same points: those that the moving image covers either way.

    None, None where these are fewer than `MIN_POINTS`: the two cannot be compared.
    """
    placed = [transform.points_mm(samples.points_mm) for transform in (before, after)]
    seen = samples.seen(moving, placed[0]) & samples.seen(moving, placed[1])
    if int(seen.sum()) < MIN_POINTS:
        return None, None
    one, other = (symmetric_uncertainty(samples.values[seen], looked_up(moving, at[seen])) for at in placed)
    return one, other


def _joint(first: NDArray[Any], second: NDArray[Any]) -> FloatArray:
    """Joint distribution, each value shared out linearly over the two bins next to it, shape (BINS, BINS)."""
    rows, across = _parted(first), _parted(second)
    out = np.zeros(BINS * BINS)
    for row, one in rows:
        for column, other in across:
            out += np.bincount(row * BINS + column, weights=one * other, minlength=BINS * BINS)
    return np.asarray((out / out.sum()).reshape(BINS, BINS))


def _parted(values: NDArray[Any]) -> tuple[tuple[NDArray[np.intp], FloatArray], ...]:
    at = np.clip(np.asarray(values, dtype=np.float64), 0, 1) * (BINS - 1)
    low = np.minimum(at.astype(np.intp), BINS - 2)
    upper = at - low
    return (low, 1 - upper), (low + 1, upper)


def _entropy(probability: FloatArray) -> float:
    p = probability[probability > 0]
    return float(-(p * np.log(p)).sum())
