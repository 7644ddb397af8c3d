"""A CT of a trunk on coarse voxels, with the landmarks from which organs are found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.body import body_region
from hepatica.anatomy.segmentation.coarse import Mask, coarse_volume, shrunk
from hepatica.anatomy.segmentation.landmarks import Spine, depth_inside_ribs_mm, diaphragm_height, spine_of
from hepatica.anatomy.segmentation.lungs import lung_regions
from hepatica.anatomy.segmentation.walker import diffused, noise_sd
from hepatica.core import Grid, Kind, Volume
from hepatica.errors import GeometryError, InputError

Array = NDArray[np.float32]

STEP_MM = 4.0
"""Voxels on which organs are looked for: a twentieth of a liver's width; borders are refined afterwards."""

HU_RANGE = (-200.0, 400.0)
"""CT numbers beyond it say no more about soft tissue."""

SOFT_HU = (-30.0, 250.0)
"""Soft tissue, fatty liver and enhanced organs included."""

MIN_WHOLE_LUNG_ML = 600.0
"""A whole adult lung holds more, even in expiration; a smaller one must be cut by the image's upper edge."""

LUNG_BELOW_HU = -550.0
"""Mean of a lung; bowel filled with gas and stool lies above."""

ABOVE_BASE_MM, BELOW_BASE_MM = 150.0, 260.0
"""What is kept above and below the lungs' lowest point: room for any dome and any liver."""

MIN_TRUNK_MM = 200.0
"""An adult trunk is wider; a head (about 150 to 170 mm) is not."""


@dataclass(frozen=True, slots=True, eq=False)
class Torso:
    """Coarse CT and landmarks; all arrays have the shape of `grid`, whose axes run along x, y, z.

    Attributes
    ----------
    grid : Grid
        Cubic voxels of `STEP_MM`.
    hu : ndarray
        CT numbers, averaged and clipped to `HU_RANGE`.
    smooth : ndarray
        The same without noise.
    noise_hu : float
        Standard deviation of the noise of `hu` in soft tissue.
    body, right_lung, left_lung : ndarray of bool
        The patient; lungs are empty where none is in the image.
    spine : Spine
        Middle and front of the vertebrae.
    inside_ribs_mm : ndarray
        Distance from the wall's inner surface, positive inside.
    below_diaphragm_mm : ndarray
        Distance below the diaphragm along z; below the image's upper edge where no lung ends in it.
    below_dome_mm : ndarray, shape (1, 1, slices)
        Distance of each slice below the top of the right dome.
    has_diaphragm : bool
        Whether a lung ends in the image.
    """

    grid: Grid
    hu: Array
    smooth: Array
    noise_hu: float
    body: Mask
    right_lung: Mask
    left_lung: Mask
    spine: Spine
    inside_ribs_mm: Array
    below_diaphragm_mm: Array
    below_dome_mm: Array
    has_diaphragm: bool

    @property
    def lungs(self) -> Mask:
        """Both lungs."""
        return self.right_lung | self.left_lung

    @property
    def soft(self) -> Mask:
        """Soft tissue of the body, fat left out."""
        low, high = SOFT_HU
        return self.body & ~self.lungs & (self.hu > low) & (self.hu < high)

    @property
    def left_of_spine_mm(self) -> Array:
        """Distance to the patient's left of the spine's middle, shape (i, 1, slices)."""
        index = np.arange(self.grid.shape[0])[:, None, None]
        return np.asarray((index - self.spine.middle[None, None, :]) * STEP_MM, np.float32)

    @property
    def behind_front_mm(self) -> Array:
        """Distance behind the front of the vertebrae, shape (1, j, slices)."""
        index = np.arange(self.grid.shape[1])[None, :, None]
        return np.asarray((index - self.spine.front[None, None, :]) * STEP_MM, np.float32)

    def volume_ml(self, mask: Mask) -> float:
        """Volume of a mask."""
        return float(mask.sum()) * self.grid.voxel_volume_ml


def torso_of(ct: Volume) -> Torso:
    """Find landmarks on a CT.

    Parameters
    ----------
    ct : Volume
        CT in HU, any orientation.

    Raises
    ------
    UnitError
        If it is not in HU, or a voxel is undefined.
    GeometryError
        If nothing is a body.
    InputError
        If it shows no spine, or nothing as wide as a trunk.
    """
    ct.require_kind(Kind.HU)
    ct.require_finite()
    whole = coarse_volume(ct, STEP_MM)
    body = body_region(whole)
    if (widest := _width_mm(body.mask())) < MIN_TRUNK_MM:
        raise InputError(
            f"{ct.name or 'CT'}: the patient is {widest:.0f} mm wide at most; this is no CT of a trunk",
            remedy="give a CT of the abdomen in Hounsfield units",
        )
    found = {lung.name: lung.mask() for lung in lung_regions(whole, body)}
    nothing = np.zeros(whole.grid.shape, dtype=bool)
    right, left = (_plausible_lung(found.get(f"lung {side}", nothing), whole) for side in ("right", "left"))
    keep = _window(body.mask(), right | left)
    hu = np.clip(whole.values[keep], *HU_RANGE).astype(np.float32)
    return _with_landmarks(ct, whole.grid.crop(keep), hu, body.mask()[keep], right[keep], left[keep])


def _with_landmarks(ct: Volume, grid: Grid, hu: Array, body: Mask, right: Mask, left: Mask) -> Torso:
    spine = spine_of(hu, body, STEP_MM)
    if spine is None:
        raise InputError(
            f"{ct.name or 'CT'}: shows no spine, by which organs are found",
            remedy="give a CT of the trunk in Hounsfield units, lying in the orientation that its header states",
        )
    soft = body & ~right & ~left & (hu > SOFT_HU[0]) & (hu < SOFT_HU[1])
    noise = noise_sd(hu, soft & shrunk(soft, 1.5 * STEP_MM, STEP_MM))
    height = diaphragm_height(right, left, spine, STEP_MM)
    top = float(grid.shape[2] - 1)
    levels = np.full(grid.shape[:2], top) if height is None else height
    dome = top
    if height is not None:
        beside = (np.arange(grid.shape[0])[:, None] - np.median(spine.middle)) * STEP_MM
        ends = right.any(axis=2) & (right.argmax(axis=2) > 0) & (beside < -30)
        dome = float(np.percentile(height[ends], 90)) if ends.any() else float(np.percentile(height, 90))
    slices = np.arange(grid.shape[2], dtype=np.float32)
    return Torso(
        grid=grid,
        hu=hu,
        smooth=diffused(hu, noise),
        noise_hu=noise,
        body=body,
        right_lung=right,
        left_lung=left,
        spine=spine,
        inside_ribs_mm=depth_inside_ribs_mm(hu, body, spine, STEP_MM),
        below_diaphragm_mm=np.asarray((levels[:, :, None] - slices) * STEP_MM, np.float32),
        below_dome_mm=np.asarray((dome - slices)[None, None, :] * STEP_MM, np.float32),
        has_diaphragm=height is not None,
    )


def require_trunk_orientation(ct: Volume) -> None:
    """GeometryError where a CT has fewer slices along the patient than a landmark needs."""
    corners = ct.grid.corners_mm()
    if (height := float(np.ptp(corners[:, 2]))) < 40:
        raise GeometryError(f"{ct.name or 'CT'}: {height:.0f} mm along the patient are too few to find organs in")


def _plausible_lung(lung: Mask, whole: Volume) -> Mask:
    """A lung, or nothing where bowel full of gas and stool was taken for one."""
    if not lung.any():
        return lung
    inner = shrunk(lung, STEP_MM, STEP_MM)
    if not inner.any() or float(whole.values[inner].mean()) > LUNG_BELOW_HU:
        return np.zeros_like(lung)
    sections = lung.sum(axis=(0, 1))
    highest = int(np.flatnonzero(sections)[-1])
    # A lung's section grows from its base: one that the upper edge cuts is about its widest there.
    cut = highest >= lung.shape[2] - 3 and sections[max(0, highest - 1)] > 0.7 * sections.max()
    large = float(lung.sum()) * whole.grid.voxel_volume_ml > MIN_WHOLE_LUNG_ML
    return lung if large or cut else np.zeros_like(lung)


def _width_mm(body: Mask) -> float:
    return float(body.any(axis=1).sum(axis=0).max()) * STEP_MM


def _window(body: Mask, lungs: Mask) -> tuple[slice, slice, slice]:
    """Block around the patient; along z, around the base of the lungs."""
    x, y = (np.flatnonzero(body.any(axis=axes)) for axes in ((1, 2), (0, 2)))
    z = slice(0, body.shape[2])
    if lungs.any():
        base = int(np.flatnonzero(lungs.any(axis=(0, 1)))[0])
        low = max(0, base - round(BELOW_BASE_MM / STEP_MM))
        z = slice(low, min(body.shape[2], base + round(ABOVE_BASE_MM / STEP_MM)))
    return slice(int(x[0]), int(x[-1]) + 1), slice(int(y[0]), int(y[-1]) + 1), z
