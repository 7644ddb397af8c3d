"""A CT brought to few, large, cubic voxels along the patient axes, on which organs are looked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Volume
from hepatica.core.resample import resample

Mask = NDArray[np.bool_]
Array = NDArray[np.float32]

AIR_HU = -1000.0


def coarse_volume(volume: Volume, step_mm: float, *, outside: float = AIR_HU) -> Volume:
    """Averages of an intensive volume on an axial grid of cubic voxels, over the block of space that it fills.

    Blocks of whole voxels are averaged first, which lowers noise and is fast; then values are interpolated, so that an
    oblique or flipped image comes out along x, y, z like any other.

    Parameters
    ----------
    volume : Volume
        HU or concentration, any orientation.
    step_mm : float
        Side of the new voxels.
    outside : float
        Value where the volume does not reach.
    """
    factors = [
        min(n, max(1, int(step_mm // s))) for n, s in zip(volume.grid.shape, volume.grid.spacing_mm, strict=True)
    ]
    i, j, k = (n // f for n, f in zip(volume.grid.shape, factors, strict=True))
    kept = volume.values[: i * factors[0], : j * factors[1], : k * factors[2]]
    blocks = kept.reshape(i, factors[0], j, factors[1], k, factors[2]).mean(axis=(1, 3, 5), dtype=np.float32)
    affine = np.array(volume.grid.affine)
    affine[:3, :3] *= factors
    affine[:3, 3] = volume.grid.to_mm([(f - 1) / 2 for f in factors])
    averaged = Volume(Grid((i, j, k), affine, volume.grid.frame_of_reference), blocks, volume.kind, None, volume.name)
    return resample(averaged, axial_grid_around(volume.grid, step_mm), "linear", outside=outside)


def axial_grid_around(grid: Grid, step_mm: float) -> Grid:
    """Grid of cubic voxels along x, y, z that holds the block of another one."""
    corners = grid.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    shape = np.maximum(1, np.rint((high - low) / step_mm)).astype(int)
    origin = (low + high) / 2 - (shape - 1) / 2 * step_mm
    return Grid.axial(
        shape.tolist(),
        spacing_mm=(step_mm,) * 3,
        origin_mm=origin.tolist(),
        frame_of_reference=grid.frame_of_reference,
    )


def blurred(values: NDArray[np.generic], sd_mm: float, step_mm: float) -> Array:
    """Gaussian blur of cubic voxels; `sd_mm` is the standard deviation."""
    from scipy import ndimage

    return np.asarray(ndimage.gaussian_filter(values.astype(np.float32), sd_mm / step_mm, mode="nearest"))


def grown(mask: Mask, margin_mm: float, step_mm: float) -> Mask:
    """Voxels within a distance of a mask of cubic voxels."""
    from scipy import ndimage

    if not mask.any():
        return mask
    window = _window(mask, int(margin_mm / step_mm) + 1)
    out = np.zeros_like(mask)
    out[window] = ndimage.distance_transform_edt(~mask[window]) * step_mm <= margin_mm
    return out


def shrunk(mask: Mask, margin_mm: float, step_mm: float) -> Mask:
    """Voxels deeper in a mask than a distance; the image's edge is no border of the mask."""
    from scipy import ndimage

    padded = np.pad(mask, 1, mode="edge")
    if padded.all() or not mask.any():
        return mask
    # One layer around the mask: nothing beyond it is nearer.
    window = _window(padded, 1)
    out = np.zeros_like(padded)
    out[window] = ndimage.distance_transform_edt(padded[window]) * step_mm > margin_mm
    return out[1:-1, 1:-1, 1:-1]


def _window(mask: Mask, layers: int) -> tuple[slice, ...]:
    """Block that holds a mask, which is not empty, and so many voxels around it."""
    found = []
    for axis, size in enumerate(mask.shape):
        at = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        found.append(slice(max(0, int(at[0]) - layers), min(size, int(at[-1]) + layers + 1)))
    return tuple(found)


def opened(mask: Mask, radius_mm: float, step_mm: float) -> Mask:
    """Mask without what is thinner than twice a radius."""
    return grown(shrunk(mask, radius_mm, step_mm), radius_mm, step_mm) & mask


def largest_part(mask: Mask) -> Mask:
    """The largest connected part of a mask (neighbours share a face)."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    return np.asarray(labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1)


def closed(mask: Mask, reach_mm: float, step_mm: float) -> Mask:
    """Mask with gaps and dents narrower than twice a reach filled; the image's edge is no border of it."""
    pad = round(reach_mm / step_mm) + 1
    wide = np.pad(mask, pad, mode="edge")
    out = ~grown(~grown(wide, reach_mm, step_mm), reach_mm, step_mm)
    return out[pad:-pad, pad:-pad, pad:-pad]


def filled_by_slice(mask: Mask) -> Mask:
    """Mask with what it encloses in each slice across z."""
    from scipy import ndimage

    return np.stack([ndimage.binary_fill_holes(mask[:, :, k]) for k in range(mask.shape[2])], axis=2)
