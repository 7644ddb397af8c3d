"""MR and SPECT of one patient side by side: voxels, structures, tumour to normal, at one resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Region, Volume
from hepatica.errors import InputError
from hepatica.imaging.quantify.uncertainty import Outline, edge_over_mean

FWHM_PER_SD = 2 * math.sqrt(2 * math.log(2))


@dataclass(frozen=True, slots=True)
class StructurePair:
    """Mean activity concentration of a structure by both, at the instant of the MR.

    Attributes
    ----------
    name : str
        Of the structure.
    volume_ml : float
        Of the structure.
    spect_bq_ml, mri_bq_ml : float
        Means.
    difference_percent : float or None
        MR less SPECT over their mean; None where that is not above zero.
    """

    name: str
    volume_ml: float
    spect_bq_ml: float
    mri_bq_ml: float
    difference_percent: float | None


@dataclass(frozen=True, slots=True)
class RatioPair:
    """Tumour to normal liver by both.

    Attributes
    ----------
    name : str
        Of the tumour.
    spect_tumour_to_normal, mri_tumour_to_normal : float
        Ratios of mean concentrations at one resolution.
    spect_tumour_to_normal_sd, mri_tumour_to_normal_sd : float
        Standard uncertainties: spread over independent pieces of the image, and the outline.
    difference_over_sd : float
        Difference over the standard uncertainty of both together.
    """

    name: str
    spect_tumour_to_normal: float
    spect_tumour_to_normal_sd: float
    mri_tumour_to_normal: float
    mri_tumour_to_normal_sd: float
    difference_over_sd: float


def blurred(volume: Volume, fwhm_mm: float) -> Volume:
    """A volume at the resolution of a camera: Gaussian of that full width at half maximum."""
    from scipy import ndimage

    if fwhm_mm <= 0:
        return volume
    sigma = [fwhm_mm / FWHM_PER_SD / h for h in volume.grid.spacing_mm]
    return volume.with_values(ndimage.gaussian_filter(volume.values.astype(np.float32), sigma, mode="reflect"))


def structure_pairs(spect: Volume, mri: Volume, regions: Sequence[Region]) -> tuple[StructurePair, ...]:
    """Means of both images in each structure."""
    out = []
    for region in regions:
        a, b = region.mean(spect), region.mean(mri)
        # Of a mean below zero, which noise makes, no difference is a part.
        difference = None if a + b <= 0 else 200 * (b - a) / (a + b)
        out.append(StructurePair(region.name, region.volume_ml, a, b, difference))
    return tuple(out)


def ratio_pairs(
    spect: Volume, mri: Volume, tumours: Sequence[Region], normal: Region, resolution_mm: float
) -> tuple[RatioPair, ...]:
    """T/N of each tumour by both images.

    Parameters
    ----------
    spect, mri : Volume
        On one grid, at one resolution.
    tumours : sequence of Region
        Tumours.
    normal : Region
        Normal liver.
    resolution_mm : float
        FWHM of both images.

    Raises
    ------
    InputError
        If the normal liver holds nothing by one of them.
    """
    parts = []
    for volume in (spect, mri):
        below = _mean_and_sd(volume, normal, resolution_mm)
        if below[0] <= 0:
            raise InputError(f"{volume.name or 'image'}: the normal liver holds nothing: there is no T/N")
        parts.append([_ratio(_mean_and_sd(volume, tumour, resolution_mm), below) for tumour in tumours])
    out = []
    for tumour, (a, a_sd), (b, b_sd) in zip(tumours, *parts, strict=True):
        both = math.hypot(a_sd, b_sd)
        out.append(RatioPair(tumour.name, a, a_sd, b, b_sd, (b - a) / both if both else 0.0))
    return tuple(out)


def liver_voxels(
    spect: Volume, mri: Volume, liver: Region, parts: Sequence[Region], apart_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Voxels of both in the liver, so far apart that they are independent, and the part of the liver each is in.

    Parameters
    ----------
    spect, mri : Volume
        On one grid.
    liver : Region
        Voxels that it covers by half are taken.
    parts : sequence of Region
        Segments or lobes; a voxel of none is of the rest.
    apart_mm : float
        Distance of the voxels that are taken, along each axis.
    """
    step = [max(1, math.ceil(apart_mm / h - 1e-6)) for h in spect.grid.spacing_mm]
    chosen = np.zeros(spect.grid.shape, dtype=bool)
    chosen[tuple(slice(s // 2, None, s) for s in step)] = True
    chosen &= liver.mask()
    of = np.zeros(spect.grid.shape, dtype=int)
    for number, region in enumerate(parts, start=1):
        of[region.mask() & (of == 0)] = number
    names = ["the rest", *(region.name for region in parts)]
    return (
        spect.values[chosen].astype(np.float64), mri.values[chosen].astype(np.float64),
        [names[n] for n in of[chosen]],
    )  # fmt: skip


def _ratio(tumour: tuple[float, float], normal: tuple[float, float]) -> tuple[float, float]:
    (t, t_sd), (n, n_sd) = tumour, normal
    return t / n, math.hypot(t_sd / n, t * n_sd / n**2)


def _mean_and_sd(volume: Volume, region: Region, resolution_mm: float) -> tuple[float, float]:
    """Mean and its standard uncertainty: spread over the square root of independent pieces, and the outline."""
    weight = region.coverage.astype(np.float64)
    values = volume.values[region.window].astype(np.float64)
    total = float(weight.sum())
    if not total:
        raise InputError(f"structure {region.name!r} covers no voxel")
    mean = float((weight * values).sum()) / total
    spread = math.sqrt(float((weight * (values - mean) ** 2).sum()) / total)
    sigma_mm = resolution_mm / FWHM_PER_SD
    piece_ml = max((4 * math.pi * sigma_mm**2) ** 1.5 / 1000, volume.grid.voxel_volume_ml)
    noise = spread / math.sqrt(max(region.volume_ml / piece_ml, 1.0))
    if mean <= 0:
        return mean, noise
    outline = Outline(sum(volume.grid.spacing_mm) / 3).volume_relative_sd(region.volume_ml)
    return mean, math.hypot(noise, abs(edge_over_mean(volume, region) - 1) * outline * mean)
