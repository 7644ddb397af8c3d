"""A patient of uniform density, where there is no CT."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Volume
from hepatica.core.constants import FWHM_PER_SD
from hepatica.core.image import Image
from hepatica.errors import GeometryError, InputError
from hepatica.transport.matter.media import AIR_HU, default_calibration

OUTLINE_BLUR_MM = 20.0
"""FWHM of the smoothing before an outline is taken from an emission image: a few voxels, so that noise has no part in
it. Our choice."""

UNIFORM_RELATIVE_SD = 0.05
"""Relative standard uncertainty of the density of soft tissue where no CT shows it: fat 0.95 to muscle and liver 1.06
g/mL (ICRU Report 46). Lung and bone are farther off."""


def hu_of_density(density_g_ml: float) -> float:
    """CT number to which the built-in calibration gives this density.

    Raises
    ------
    InputError
        If no CT number has it.

    Examples
    --------
    >>> from hepatica.transport.matter.media import default_calibration
    >>> round(hu_of_density(1.06), 1)
    72.7
    """
    table = default_calibration()
    if not table.density_g_ml[0] <= density_g_ml <= table.density_g_ml[-1]:
        raise InputError(f"no CT number has a density of {density_g_ml:g} g/mL")
    return float(np.interp(density_g_ml, table.density_g_ml, table.hu))


def uniform_patient(grid: Grid, density_g_ml: float, outline: NDArray[np.bool_] | None = None) -> Image:
    """What stands for a CT where there is none: one density, in air outside an outline.

    Parameters
    ----------
    grid : Grid
        Voxels.
    density_g_ml : float
        Density of the patient.
    outline : ndarray of bool, shape ``grid.shape``, or None
        Voxels of the patient; None for all.
    """
    hu = hu_of_density(density_g_ml)
    values = np.full(grid.shape, hu, dtype=np.float32) if outline is None else np.where(outline, hu, AIR_HU)
    where = "everywhere" if outline is None else "inside the outline of the activity"
    name = f"no CT: uniform {density_g_ml:g} g/mL {where}"
    return Image.from_array(values.astype(np.float32), unit="HU", grid=grid, name=name)


def outline_of(image: Volume, fraction: float) -> NDArray[np.bool_]:
    """The body as far as an emission image shows it: the largest piece above a share of its smoothed maximum, filled.

    Parameters
    ----------
    image : Volume
        Counts, activity or concentration.
    fraction : float
        Share of the highest smoothed value.

    Raises
    ------
    GeometryError
        If nothing lies above it.
    """
    from scipy import ndimage

    widths = [OUTLINE_BLUR_MM / FWHM_PER_SD / size for size in image.grid.spacing_mm]
    smooth = ndimage.gaussian_filter(np.asarray(image.values, dtype=np.float32), widths)
    labels, count = ndimage.label(smooth > fraction * float(smooth.max()))
    if not count or not float(smooth.max()) > 0:
        raise GeometryError(f"{image.name or 'image'}: holds nothing from which an outline could be taken")
    largest = labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1
    return np.asarray(ndimage.binary_fill_holes(largest), dtype=bool)
