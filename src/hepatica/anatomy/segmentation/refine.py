"""Borders of an organ that was found on coarse voxels, drawn on finer ones and brought to the image's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.coarse import blurred, coarse_volume, shrunk
from hepatica.anatomy.segmentation.growing import Brightness, logistic
from hepatica.anatomy.segmentation.torso import HU_RANGE, STEP_MM
from hepatica.anatomy.segmentation.walker import diffused, noise_sd, random_walk
from hepatica.core import Grid, Kind, Volume
from hepatica.core.region import bounding_window
from hepatica.core.resample import resample

Array = NDArray[np.float32]

FINE_MM = 2.5
"""Voxels of the refinement: below the blur of a CT's reconstruction and breathing, so that less gains nothing."""

BAND_MM = 8.0
"""The border may move by this much, two coarse voxels."""

FAT_OR_AIR_BELOW_HU = -30.0
"""Where such a voxel lies beside the organ, its border is half way between both CT numbers."""

BORDER_BLUR_MM = 2.5
"""Standard deviation of the final smoothing: takes out steps, moves a flat border nowhere."""


def refined(ct: Volume, coarse: Grid, probability: Array, brightness: Brightness) -> Volume:
    """Covered fraction of the image's own voxels, from a probability on coarse ones.

    Within `BAND_MM` of the coarse border each fine voxel is decided anew by its CT number, its distance from the coarse
    border and the edges around it. Against fat and lung the border lies where the CT number is half way.

    Parameters
    ----------
    ct : Volume
        CT in HU.
    coarse : Grid
        Where `probability` is.
    probability : ndarray
        That a coarse voxel belongs to the organ.
    brightness : Brightness
        What the organ looks like.

    Returns
    -------
    Volume
        Probability on ``ct.grid``; the border is at one half.
    """
    from scipy import ndimage

    near = _widened(bounding_window(probability > 0.5), probability.shape, 4)
    part = ct.grid.window_of(coarse.crop(near))
    fine = coarse_volume(Volume(ct.grid.crop(part), ct.values[part], Kind.HU, None, ct.name), FINE_MM)
    known = Volume(coarse, blurred(probability, BORDER_BLUR_MM, STEP_MM), Kind.FRACTION)
    inside = resample(known, fine.grid, "linear").values > 0.5
    distance = FINE_MM * (ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside))
    clipped = np.clip(fine.values, *HU_RANGE).astype(np.float32)
    noise = noise_sd(clipped, shrunk(inside, 2 * FINE_MM, FINE_MM))
    image = diffused(clipped, noise)
    context = np.clip(distance / 2.0, -4.6, 4.6)
    prior = logistic(context + 0.7 * np.clip(_evidence(fine.values, image, brightness), -4, 3))
    prior = np.where(distance >= BAND_MM, 1.0, np.where(distance <= -BAND_MM, 0.0, prior))
    decide = np.abs(distance) < BAND_MM + 3
    pull = np.where(np.abs(distance) < BAND_MM, 0.3, 50.0)[decide]
    walked = random_walk(image, decide, prior, edge_hu=max(noise, 8.0), pull=pull)
    walked = np.where(distance >= BAND_MM + 3, np.float32(1), walked)
    smooth = Volume(fine.grid, blurred(walked, BORDER_BLUR_MM, FINE_MM), Kind.FRACTION)
    out = np.zeros(ct.grid.shape, np.float32)
    out[part] = resample(smooth, ct.grid.crop(part), "linear").values
    return Volume(ct.grid, out, Kind.FRACTION)


def _evidence(hu: Array, image: Array, brightness: Brightness) -> Array:
    """What each voxel says for the organ; a voxel that fat or air shares by how much of it they take."""
    from scipy import ndimage

    darkest = ndimage.minimum_filter(ndimage.gaussian_filter(hu, 0.5), 3)
    mean = np.float32(brightness.mean_hu)
    half = (mean + darkest) / 2
    mixed = (darkest < FAT_OR_AIR_BELOW_HU) & (image < mean - 1.5 * brightness.sd_hu)
    contrast = np.maximum(mean - darkest, 1.0)
    by_share = np.clip((hu - half) / (0.12 * contrast), -4, 4)
    return np.asarray(np.where(mixed, by_share, np.where(image < -40, -4.0, brightness.of(image))), np.float32)


def _widened(window: tuple[slice, slice, slice], shape: tuple[int, ...], by: int) -> tuple[slice, slice, slice]:
    i, j, k = (slice(max(0, s.start - by), min(n, s.stop + by)) for s, n in zip(window, shape, strict=True))
    return i, j, k
