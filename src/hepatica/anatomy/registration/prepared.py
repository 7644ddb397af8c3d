"""An image made ready for registration: smaller, its range cut, and everything that is no patient taken out.

The couch, the air around the patient and the border of the field of view move with the scanner and not with the
patient; each of them would pull a registration towards where the scanner stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.image import is_activity
from hepatica.core.resample import resample, resample_region
from hepatica.errors import GeometryError, UnitError

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

HU_RANGE = (-450.0, 450.0)
"""Fat, soft tissue, contrast agent and the spongy part of bone; lung and air are at the lower end, where they belong
together with what lies below -450 HU, compact bone and metal at the upper."""

AIR_HU = -1000.0
BODY_ABOVE_HU = -300.0
"""As `anatomy.segmentation.body`: skin against air with blur between them."""

BODY_MM = 5.0
"""Voxel on which the body is found: small against an arm, too large for clothes and the couch's foam."""

RIM_MM = 12.0
"""What is kept around the body, so that the skin's step against air counts."""

PERCENTILES = (0.5, 99.5)
"""Range of an image without Hounsfield units, of the voxels in the body; beyond it are a few hot ones."""

LOWEST_PERCENTILE = 0.1
"""Of all voxels, in place of the lowest one: a negative outlier of a filter is no background."""

BIAS_MM = 60.0
"""Width (standard deviation) of the mean by which an MR is evened out: wider than organs' borders, narrower than the
field of a surface coil."""

DEFORMED_MM = 3.0
"""Voxels of an image that is to be bent: finer than the 4 mm on which it is compared."""

MIN_BODY_ML = 100.0
"""A smaller piece is no part of a patient that could be registered."""

Spacing = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An image at one resolution, ready for registration.

    Attributes
    ----------
    volume : Volume
        Values from 0 to 1 over the range that counts; 0 outside the body.
    body : ndarray of bool, shape ``volume.values.shape``
        The patient with a rim of `RIM_MM`.
    seen : ndarray of bool, shape ``volume.values.shape``
        What the scanner's field of view covers: not the padding of a round reconstruction.
    centre_mm : ndarray, shape (3,)
        Centre of mass of the body.
    """

    volume: Volume
    body: Mask
    seen: Mask
    centre_mm: FloatArray

    @property
    def grid(self) -> Grid:
        """Grid of the values."""
        return self.volume.grid

    def points_mm(self, within: Mask | None = None) -> FloatArray:
        """Positions of the voxels of the body that are seen, shape (n, 3); only those of a mask, if one is given."""
        counted = self.body & self.seen if within is None else within & self.seen
        return self.grid.to_mm(np.argwhere(counted))

    def at(self, spacing_mm: float, source: Volume) -> Prepared:
        """The same at another resolution: body and field of view are taken over."""
        volume = coarse(source, spacing_mm)
        body, seen = (_nearest(mask, self.grid, volume.grid) for mask in (self.body, self.seen))
        if source.kind is Kind.UNKNOWN:
            volume = _even(volume, body)
        low, high = _range(source.kind, volume.values[body & seen])
        values = np.clip((volume.values - low) / (high - low), 0, 1)
        values = np.where(body, values, 0).astype(np.float32)
        return Prepared(volume.with_values(values, Kind.UNKNOWN), body, seen, self.centre_mm)


def prepare(volume: Volume, what: str) -> Prepared:
    """Body and field of view of an image, and its values, on voxels of 5 mm.

    Parameters
    ----------
    volume : Volume
        CT (HU), MR, PET or SPECT.
    what : str
        How errors name it.

    Raises
    ------
    UnitError
        For labels or a dose, which are no images of anatomy, or a voxel that is not finite.
    GeometryError
        If no patient is found in it.
    """
    if volume.kind in (Kind.LABEL, Kind.DOSE, Kind.DOSE_SD, Kind.ENERGY, Kind.FRACTION):
        raise UnitError(f"{what}: {volume.kind.meaning} cannot be registered; give the image that belongs to it")
    volume.require_finite()
    small = coarse(volume, BODY_MM)
    seen = ~padding(volume, small.grid)
    body = _body(small, seen)
    if body.sum() * small.grid.voxel_volume_ml < MIN_BODY_ML:
        raise GeometryError(f"{what}: no patient was found in it (less than {MIN_BODY_ML:g} mL stand out)")
    centre = small.grid.to_mm(np.argwhere(body)).mean(axis=0)
    rim = _grown(body, small.grid, RIM_MM)
    return Prepared(small, rim, seen, centre).at(BODY_MM, volume)


def coarse(volume: Volume, spacing_mm: float) -> Volume:
    """Mean over larger voxels; axes that are coarser already stay."""
    spacing = np.maximum(volume.grid.spacing_mm, spacing_mm)
    if np.allclose(spacing, volume.grid.spacing_mm, rtol=0.02):
        return volume.with_values(volume.values.astype(np.float32), Kind.UNKNOWN)
    whole = volume.with_values(volume.values.astype(np.float32, copy=False), Kind.UNKNOWN)
    if volume.kind is Kind.HU:
        whole = whole.with_values(np.clip(whole.values, AIR_HU, 2000.0))
    edge = AIR_HU if volume.kind is Kind.HU else 0.0
    return resample(whole, volume.grid.with_spacing(_three(spacing)), "mean", outside=edge)


def patient_alone(prepared: Prepared, source: Volume) -> Volume:
    """An image on voxels of `DEFORMED_MM`, air (or what is low there) around the patient.

    Not its lowest value: a negative outlier would leave a step where the rim ends.
    """
    small = coarse(source, DEFORMED_MM)
    volume = small.with_values(small.values, source.kind)
    body = _nearest(prepared.body, prepared.grid, volume.grid)
    padded = padding(source, volume.grid)
    around = volume.values[~(body | padded)]
    outside = AIR_HU if source.kind is Kind.HU or not around.size else float(np.percentile(around, LOWEST_PERCENTILE))
    return volume.with_values(np.where(body | padded, volume.values, outside).astype(np.float32))


def mask_on(region: Region, grid: Grid, rim_mm: float) -> Mask:
    """Voxels of a structure with a rim around it on another grid of the same frame of reference."""
    covered = resample_region(region, grid).full()
    return _grown(np.asarray(covered >= 0.5), grid, rim_mm)


def _three(values: Sequence[float] | FloatArray) -> Spacing:
    i, j, k = (float(n) for n in values)
    return i, j, k


def _range(kind: Kind, values: NDArray[Any]) -> tuple[float, float]:
    """Lowest and highest value that counts, of an image's values in the body."""
    if kind is Kind.HU:
        return HU_RANGE
    low, high = np.percentile(values, PERCENTILES)
    return float(low), float(max(high, low + 1e-6 * max(1.0, abs(low))))


def _even(volume: Volume, body: Mask) -> Volume:
    """An MR over its own smooth mean, so that the coils' sensitivity does not count as tissue.

    The mean is over what is brighter than a tenth of the body's mean: lung and bone have no signal to be uneven.
    """
    from scipy import ndimage

    values = np.maximum(volume.values - min(0.0, float(np.percentile(volume.values, LOWEST_PERCENTILE))), 0)
    bright = (body & (values > 0.1 * values[body].mean())).astype(np.float32)
    width = BIAS_MM / np.asarray(volume.grid.spacing_mm)
    weight = ndimage.gaussian_filter(bright, width)
    mean = ndimage.gaussian_filter(values * bright, width) / np.maximum(weight, 1e-3)
    return volume.with_values(values / np.maximum(mean, 1e-2 * float(mean.max())))


def padding(volume: Volume, small: Grid) -> Mask:
    """Voxels that a round reconstruction filled up: below air, all alike, and reaching the corners."""
    values = volume.values
    corners = values[:: max(1, values.shape[0] - 1), :: max(1, values.shape[1] - 1), :: max(1, values.shape[2] - 1)]
    pad = float(corners.flat[0])
    if volume.kind is not Kind.HU or pad >= AIR_HU or not (corners == pad).all():
        return np.zeros(small.shape, dtype=bool)
    share = volume.with_values((values == pad).astype(np.float32), Kind.FRACTION)
    filled = share if small.matches(volume.grid) else resample(share, small, "mean", outside=1.0)
    return np.asarray(filled.values > 0.9)


def _body(small: Volume, seen: Mask) -> Mask:
    """The largest piece that stands out from the background, holes filled."""
    from scipy import ndimage

    values = np.where(seen, small.values, small.values[seen].min() if seen.any() else 0)
    above = values > _background(values)
    grid = small.grid
    opened = _grown(~_grown(~above, grid, BODY_MM), grid, BODY_MM) & above
    labels, count = ndimage.label(opened)
    if not count:
        return np.zeros(above.shape, dtype=bool)
    largest = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    filled = largest.copy()
    for axis in range(3):
        for n in range(filled.shape[axis]):
            plane: tuple[Any, ...] = tuple(n if a == axis else slice(None) for a in range(3))
            filled[plane] = ndimage.binary_fill_holes(filled[plane])
    return np.asarray(filled)


def _background(values: NDArray[Any]) -> float:
    """Value that parts the patient from air: -300 HU where the image has air at -1000, else half of Otsu's.

    N. Otsu, IEEE Trans. Syst. Man Cybern. 9 (1979) 62. Half of it, because skin and lung are darker than the mean
    tissue of an MR and most of a PET.
    """
    low, high = float(np.percentile(values, LOWEST_PERCENTILE)), float(values.max())
    if low <= -900:
        return BODY_ABOVE_HU
    counts, edges = np.histogram(values, bins=256, range=(low, max(high, low + 1e-6)))
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    best = float(middle[int(np.nanargmax(between))]) if high > low else low
    return low + 0.5 * (best - low)


def _grown(mask: Mask, grid: Grid, by_mm: float) -> Mask:
    """A mask with everything within a distance of it."""
    from scipy import ndimage

    if by_mm <= 0 or not mask.any():
        return mask
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=grid.spacing_mm) <= by_mm)


def _nearest(mask: Mask, source: Grid, target: Grid) -> Mask:
    """A mask on other voxels over the same block of space; beyond it that of the edge."""
    from scipy import ndimage

    matrix = source.inverse_affine @ target.affine
    found = ndimage.affine_transform(
        mask.astype(np.uint8), matrix[:3, :3], matrix[:3, 3], target.shape, order=0, mode="nearest"
    )
    return np.asarray(found > 0)


def holds_uptake(volume: Volume) -> bool:
    """Whether a volume shows activity and no anatomy: it may be shifted and turned by it, never bent."""
    return is_activity(volume.kind)
