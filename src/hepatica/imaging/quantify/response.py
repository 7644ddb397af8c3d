"""The response of the whole imaging chain, in the reconstructed image: a Gaussian, the same everywhere or not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.core.constants import FWHM_PER_SD
from hepatica.errors import GeometryError, InputError

Float64 = NDArray[np.float64]

REACH_SD = 5.0
"""The Gaussian is cut where 6e-7 of it is left."""

LEVELS = 8
"""Widths between which a varying response is interpolated."""

MAX_WIDTH_MM = 60.0


class Psf(Protocol):
    """Blurs an array on a grid; linear, and counts are kept but for what leaves the field."""

    def blur(self, values: NDArray[Any], grid: Grid) -> Float64:
        """Blurred copy, float64."""
        ...


@dataclass(frozen=True, slots=True)
class GaussianPsf:
    """One Gaussian everywhere.

    Attributes
    ----------
    fwhm_mm : float or tuple of float
        Full width at half maximum, or that along the patient's x, y, z (then only for grids along these axes).

    Raises
    ------
    InputError
        If a width is negative, not finite or above 60 mm.
    """

    fwhm_mm: float | tuple[float, float, float]

    def __post_init__(self) -> None:
        for width in np.atleast_1d(self.fwhm_mm):
            if not 0 <= width <= MAX_WIDTH_MM:
                raise InputError(f"the response's width must lie between 0 and {MAX_WIDTH_MM:g} mm, not {width} mm")

    def blur(self, values: NDArray[Any], grid: Grid) -> Float64:
        """See `Psf`; GeometryError for three widths on an oblique grid."""
        return gaussian(values, self._along(grid), grid)

    def _along(self, grid: Grid) -> Float64:
        if not isinstance(self.fwhm_mm, tuple):
            return np.full(3, float(self.fwhm_mm))
        if not grid.is_axial:
            raise GeometryError("a response with three widths is defined along the patient's axes; the grid is oblique")
        widths: Float64 = np.asarray(self.fwhm_mm, dtype=np.float64)[np.abs(grid.direction).argmax(axis=0)]
        return widths


@dataclass(frozen=True, slots=True, eq=False)
class VaryingPsf:
    """A Gaussian whose width depends on where the activity is.

    Each voxel's content is shared between the two nearest of eight widths so that its variance is right, and each
    share blurred with its own width.

    Attributes
    ----------
    fwhm_at : callable
        Positions in LPS mm, shape (..., 3), to FWHM in mm, shape (...).
    description : str
        For the provenance.
    """

    fwhm_at: Callable[[Float64], NDArray[Any]]
    description: str

    def blur(self, values: NDArray[Any], grid: Grid) -> Float64:
        """See `Psf`; InputError if a width is negative, not finite or above 60 mm."""
        index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
        width = np.asarray(self.fwhm_at(grid.to_mm(index)), dtype=np.float64)
        if width.shape != grid.shape or not (np.isfinite(width) & (width >= 0) & (width <= MAX_WIDTH_MM)).all():
            raise InputError(f"{self.description}: a width in mm from 0 to {MAX_WIDTH_MM:g} is needed for every voxel")
        variance = np.square(width)
        low, high = float(variance.min()), float(variance.max())
        if high - low < 1e-9 * max(high, 1.0):
            return gaussian(values, np.full(3, math.sqrt(high)), grid)
        levels = np.linspace(low, high, LEVELS)
        position = (variance - low) / (levels[1] - levels[0])
        out = np.zeros(grid.shape)
        for n, level in enumerate(levels):
            share = np.maximum(1 - np.abs(position - n), 0)
            out += gaussian(values * share, np.full(3, math.sqrt(level)), grid)
        return out


def gaussian(values: NDArray[Any], fwhm_mm: Float64, grid: Grid) -> Float64:
    """Blurred with a Gaussian of three widths along the grid's axes; outside the field there is nothing."""
    from scipy import ndimage

    sd = np.asarray(fwhm_mm) / FWHM_PER_SD / np.asarray(grid.spacing_mm)
    return np.asarray(
        ndimage.gaussian_filter(np.asarray(values, dtype=np.float64), sd, mode="constant", truncate=REACH_SD)
    )
