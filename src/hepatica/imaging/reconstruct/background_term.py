"""The additive term of a reconstruction: expected counts that do not come straight from the source.

Scatter is computed of one image, seldom, because that is dear; the image goes on changing. Where scatter is several
times the primary (bremsstrahlung: three to six times) a term that stands still while the image changes makes the two
chase each other for dozens of iterations. So the term follows: to what was computed for the image then comes what a
cheap stand-in makes of the change since, the change of the primary counts spread out in each view by a few Gaussians
and evenly, in the shares that come closest to the scatter computed. With the next computation its error goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import FWHM_PER_SD
from hepatica.errors import InputError

Float32 = NDArray[np.float32]
FloatArray = NDArray[np.float64]

SPREADS_MM = (30.0, 90.0, 250.0)
"""Widths (FWHM) of the Gaussians; beyond them counts are spread evenly over the view."""

FLOOR = 1e-3
"""Of the mean of a view: bins in which a Monte Carlo happened to count next to nothing get so much, and no less."""
MIN_SHARE = 0.1
"""The stand-in lowers a bin to this share of what was computed there, not further: a term near zero beside counts that
the image cannot make would drive the image without bounds."""


@dataclass(frozen=True, slots=True, eq=False)
class Additive:
    """Expected counts beside the primary ones.

    Attributes
    ----------
    counts : ndarray of float32, shape (views, u, v)
        For the image that they were computed of.
    primary : ndarray of float32, same shape, or None
        Primary counts of that image; None for a term that stands still.
    shares : ndarray, shape (windows, len(SPREADS_MM) + 1)
        Scattered counts per primary count, by width, the last spread evenly; for windows one after another.
    pixel_mm : tuple of float
        Size of a pixel along u and v.
    image : ndarray of float32, shape of the image, or None
        Takes the place of the image as it was.
    free : ndarray of bool, shape of the image, or None
        Voxels that go on changing; the others stay as they are. None for all.
    """

    counts: Float32
    primary: Float32 | None = None
    shares: FloatArray | None = None
    pixel_mm: tuple[float, float] = (1.0, 1.0)
    image: Float32 | None = None
    free: NDArray[np.bool_] | None = None

    @classmethod
    def following(cls, counts: Float32, primary: Float32, pixel_mm: tuple[float, float], windows: int = 1) -> Additive:
        """Term that follows the image.

        Parameters
        ----------
        counts, primary : ndarray, shape (windows * views, u, v)
            Scattered and primary counts of one image.
        pixel_mm : tuple of float
            Size of a pixel along u and v.
        windows : int
            How many windows stand one after another.

        Raises
        ------
        InputError
            If the shapes do not agree.
        """
        if counts.shape != primary.shape or windows < 1 or len(counts) % windows:
            raise InputError(
                f"additive term of shape {counts.shape}, primary of {primary.shape}, {windows} windows: do not agree"
            )
        counts = np.maximum(counts, np.float32(FLOOR) * counts.mean(axis=(1, 2), keepdims=True))
        parts = zip(np.split(counts, windows), np.split(primary, windows), strict=True)
        shares = np.array([_fitted(scatter, straight, pixel_mm) for scatter, straight in parts])
        return cls(counts, primary, shares, pixel_mm)

    def at(self, primary: Float32, views: NDArray[np.intp]) -> Float32:
        """Expected counts of some views for an image whose primary counts there are these."""
        if self.primary is None or self.shares is None:
            return np.asarray(self.counts[views])
        window = views * len(self.shares) // len(self.counts)
        change = _spread(primary - self.primary[views], self.pixel_mm)
        moved = np.einsum("wn,nwuv->wuv", self.shares[window], change, optimize=True)
        computed = self.counts[views]
        return np.asarray(np.maximum(computed + moved, np.float32(MIN_SHARE) * computed), dtype=np.float32)


def _spread(primary: Float32, pixel_mm: tuple[float, float]) -> Float32:
    """Primary counts of views spread by every width and evenly, shape (widths + 1, views, u, v)."""
    from scipy import ndimage

    made = np.empty((len(SPREADS_MM) + 1, *primary.shape), dtype=np.float32)
    for n, width in enumerate(SPREADS_MM):
        sd = width / FWHM_PER_SD / np.asarray(pixel_mm)
        ndimage.gaussian_filter(primary, (0, *sd), mode="constant", truncate=3.0, output=made[n])
    made[-1] = primary.mean(axis=(1, 2), keepdims=True)
    return made


def _fitted(scatter: Any, primary: Any, pixel_mm: tuple[float, float]) -> FloatArray:
    """Shares, none negative, with which spread primary counts come closest to scattered ones."""
    from scipy.optimize import nnls

    columns = _spread(primary, pixel_mm)[:, :, ::2, ::2].reshape(len(SPREADS_MM) + 1, -1)
    return np.asarray(nnls(columns.T.astype(np.float64), scatter[:, ::2, ::2].ravel().astype(np.float64))[0])
