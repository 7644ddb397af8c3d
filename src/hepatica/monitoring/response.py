"""What a planar camera in front of the patient sees of each region: blur, attenuation, scatter, cross-talk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Volume
from hepatica.errors import GeometryError, InputError
from hepatica.monitoring.setup import Array

PIXELS = 128

PRIORITY = ("guard", "target", "liver", "lungs", "outside")
"""Which region a pixel is drawn for first, where several show in it alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanarCamera:
    """A planar camera, as far as monitoring needs it.

    Attributes
    ----------
    name : str
        For people.
    sensitivity_cps_per_bq : float
        Counts per second and becquerel of a source in air, in the window.
    fwhm_mm : float
        Of the response at `at_mm` before the collimator; it grows in proportion to the distance from `core_mm` behind.
    attenuation_per_mm : float
        Of water at the energy of the window, broad beam.
    scatter : float
        Scattered counts per unscattered one.
    scatter_fwhm_mm : float
        Of their spread.
    pixel_mm : float
        Edge of a pixel.
    """

    name: str
    sensitivity_cps_per_bq: float
    fwhm_mm: float
    attenuation_per_mm: float
    scatter: float = 0.35
    scatter_fwhm_mm: float = 120.0
    pixel_mm: float = 4.0
    at_mm: float = 100.0
    core_mm: float = 40.0

    def fwhm_at(self, distance_mm: float) -> float:
        """Width of the response at a distance from the collimator, mm."""
        return self.fwhm_mm * (distance_mm + self.core_mm) / (self.at_mm + self.core_mm)


def region_images(
    shares: Mapping[str, Array], density: Volume, camera: PlanarCamera, *, moved_mm: tuple[float, float] = (0.0, 0.0)
) -> dict[str, Array]:
    """Expected anterior image of each region, counts per second and becquerel in each pixel.

    Parameters
    ----------
    shares : mapping of str to ndarray, shape (i, j, k)
        Where one becquerel of each region is; each adds up to 1.
    density : Volume
        Mass density in g/mL on an axial grid whose axes run along x, y, z.
    camera : PlanarCamera
        In front of the patient, 10 mm before the skin.
    moved_mm : tuple of float
        By how much the patient lies to the left and to the head of where the camera is centred.

    Returns
    -------
    dict of str to ndarray, shape (128, 128)
        Rows run from head to foot, columns from the patient's right to the left.

    Raises
    ------
    GeometryError
        If the grid is not axial.
    InputError
        If a distribution does not add up to 1 or has another shape.
    """
    from scipy.ndimage import gaussian_filter

    spacing = _axial(density.grid)
    depth = np.cumsum(np.asarray(density.values, np.float64), axis=1) * (spacing[1] / 1.0)
    depth -= 0.5 * np.asarray(density.values, np.float64) * spacing[1]
    kept = np.exp(-camera.attenuation_per_mm * depth)
    skin = int(np.argmax((np.asarray(density.values) > 0.3).any(axis=(0, 2))))
    slabs = [slice(n, min(n + 3, density.grid.shape[1])) for n in range(0, density.grid.shape[1], 3)]
    sigma = 1 / 2.3548 / spacing[[0, 2]]
    out = {}
    for name, share in shares.items():
        if share.shape != density.grid.shape or abs(float(share.sum()) - 1) > 1e-3:
            raise InputError(f"{name}: a distribution has the shape {density.grid.shape} and adds up to 1")
        image = np.zeros((share.shape[0], share.shape[2]))
        for slab in slabs:
            plane = (share[:, slab] * kept[:, slab]).sum(axis=1)
            if plane.any():
                distance = max(10.0, ((slab.start + slab.stop) / 2 - skin) * spacing[1] + 10.0)
                image += gaussian_filter(plane, camera.fwhm_at(distance) * sigma, mode="constant")
        image += camera.scatter * gaussian_filter(image, camera.scatter_fwhm_mm * sigma, mode="constant")
        out[name] = camera.sensitivity_cps_per_bq * _on_pixels(image, density.grid, spacing, camera.pixel_mm, moved_mm)
    return out


def _axial(grid: Grid) -> Array:
    axes = grid.affine[:3, :3]
    spacing = np.abs(np.diag(axes))
    if np.abs(axes - np.diag(np.diag(axes))).max() > 1e-3 * spacing.min() or (np.diag(axes) <= 0).any():
        raise GeometryError("the camera's view is computed on an axial grid that runs to left, back and head")
    return np.asarray(spacing)


def _on_pixels(image: Array, grid: Grid, spacing: Array, pixel_mm: float, moved_mm: tuple[float, float]) -> Array:
    """Resampled onto the detector, which is centred on the grid; counts are kept, but for what lies outside."""
    from scipy.ndimage import map_coordinates

    centre = (np.array(grid.shape, dtype=float) - 1) / 2
    across = (np.arange(PIXELS) - (PIXELS - 1) / 2) * pixel_mm
    x = centre[0] + (across - moved_mm[0]) / spacing[0]
    z = centre[2] + (-across - moved_mm[1]) / spacing[2]
    rows, columns = np.meshgrid(z, x, indexing="ij")
    found = map_coordinates(image, [columns, rows], order=1, mode="constant")
    return np.asarray(found * pixel_mm**2 / (spacing[0] * spacing[2]))


def masks_of(images: Mapping[str, Array], roles: Mapping[str, str]) -> NDArray[np.int64]:
    """Which region each pixel is counted for: its place in the order of `images`.

    Each image is scaled to its own largest pixel, and the largest takes the pixel; what shows less than a quarter of
    any belongs to the region outside.
    """
    scaled = np.stack([image / max(float(image.max()), 1e-300) for image in images.values()])
    names = list(images)
    order = np.array([1 + 0.01 * (len(PRIORITY) - PRIORITY.index(roles[name])) for name in names])
    outside = np.array([roles[name] == "outside" for name in names])
    scaled = scaled * order[:, None, None]
    if outside.any():
        scaled[outside] = 0.25
    return np.asarray(np.argmax(scaled, axis=0))


def response_of(images: Mapping[str, Array], mask: NDArray[np.int64]) -> Array:
    """Counts per second and becquerel in each mask (rows) of each region (columns)."""
    flat = mask.ravel()
    return np.stack(
        [np.bincount(flat, weights=image.ravel(), minlength=len(images)) for image in images.values()], axis=1
    )
