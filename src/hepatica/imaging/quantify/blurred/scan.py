"""A stand-in for a PET scan of known activity: blur and correlated noise, no projections.

Good for demonstrations and tests of what follows the scan. It is not a scanner model: scatter, randoms and
reconstruction artefacts are absent.
"""

from __future__ import annotations

import math

import numpy as np

from hepatica.core import Grid, Kind, Volume
from hepatica.core.constants import FWHM_PER_SD
from hepatica.core.resample import resample
from hepatica.errors import InputError

FWHM_TO_SD = 1 / FWHM_PER_SD


def blurred_pet(
    activity: Volume, grid: Grid, *, fwhm_mm: float, noise: float, noise_fwhm_mm: float = 4.0, seed: int
) -> Volume:
    """PET-like image of a known activity.

    Parameters
    ----------
    activity : Volume
        True activity per voxel (Bq), finer than the image.
    grid : Grid
        Grid of the image.
    fwhm_mm : float
        Full width at half maximum of the Gaussian blur; 90Y PET resolves 5 to 6 mm.
    noise : float
        Relative standard deviation of a voxel. Iterative reconstruction makes noise that is log-normal with a standard
        deviation proportional to the local mean (Barrett, Wilson and Tsui, Phys Med Biol 1994;39:833); its mean is
        kept, so that nothing is biased.
    noise_fwhm_mm : float
        Correlation length of the noise (post-filter of the reconstruction).
    seed : int
        Seed of the noise.

    Returns
    -------
    Volume
        Activity concentration in Bq/mL at the activity's instant, never negative.

    Raises
    ------
    InputError
        If a width or the noise is negative.
    """
    if min(fwhm_mm, noise, noise_fwhm_mm) < 0:
        raise InputError("blur and noise of a PET image cannot be negative")
    from scipy import ndimage

    activity.require_kind(Kind.ACTIVITY)
    seen = resample(activity, grid, "total").values / grid.voxel_volume_ml
    sigma = np.asarray(fwhm_mm * FWHM_TO_SD) / grid.spacing_mm
    image = ndimage.gaussian_filter(seen.astype(np.float32), sigma, mode="constant")
    if noise:
        white = np.random.default_rng(seed).standard_normal(grid.shape, dtype=np.float32)
        grain = ndimage.gaussian_filter(white, np.asarray(noise_fwhm_mm * FWHM_TO_SD) / grid.spacing_mm)
        spread = math.sqrt(math.log1p(noise**2))
        image = image * np.exp(spread * grain / grain.std() - spread**2 / 2)
    return Volume(grid, image, Kind.ACTIVITY_CONCENTRATION, activity.time, "simulated PET")
