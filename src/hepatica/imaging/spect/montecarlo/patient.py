"""The patient as the photons see it: an axial grid of densities and media, and attenuation as two integrals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.core.resample import resample
from hepatica.errors import GeometryError
from hepatica.transport.matter.composition import Medium, media_by_density
from hepatica.transport.matter.composition import medium as medium_named
from hepatica.transport.matter.media import HuCalibration, density_from_hu
from hepatica.transport.matter.photons import ENERGIES, HIGHEST_KEV, LOWEST_KEV, coefficients
from hepatica.transport.runner.upload import Phantom

FloatArray = NDArray[np.float64]

LOWEST_DENSITY_G_ML = 0.0005
"""Vacuum (padding outside the scan's circle) is followed as thin air of this density."""
BODY_DENSITY_G_ML = 0.05
"""Half-way between air and lung: the grid is cropped to what is denser."""
BASES = ("water", "bone")
FITTED_KEV = (40.0, 2500.0)


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Every medium as so much water and so much cortical bone.

    The attenuation coefficient per density of each medium is fitted by ``a water(E) + b bone(E)`` from 40 to 2500 keV
    (least squares of the relative error). Attenuation at every energy along a ray then follows from two integrals over
    density times a and density times b. Coherent scattering alone takes the same a and b, which is worse (to 20 % for
    fat) but only parts a few per cent of the counts into scattered and not.

    Attributes
    ----------
    parts : ndarray, shape (media, 2)
        a and b of each medium.
    worst : float
        Largest relative error of a medium's total coefficient.
    table : ndarray, shape (ENERGIES, 4)
        Total of water, of bone, coherent of water, of bone, 1/(mm g/mL), on the photon tables' energies.
    """

    parts: FloatArray
    worst: float
    table: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Patient:
    """Density and media on an axial grid, cropped to the body.

    Attributes
    ----------
    grid : Grid
        Axes along LPS.
    covered : Grid
        Grid of the CT, in which activity may lie.
    phantom : Phantom
        Density and medium of each voxel.
    basis : Basis
        Attenuation of the media that occur.
    """

    grid: Grid
    covered: Grid
    phantom: Phantom
    basis: Basis

    @property
    def corner_mm(self) -> FloatArray:
        """LPS position of the corner from which the kernels count."""
        return np.asarray(self.grid.origin_mm - np.asarray(self.grid.spacing_mm) / 2)

    def ray_densities(self) -> NDArray[np.float32]:
        """Density times a and b of every voxel, shape (voxels, 2)."""
        density = self.phantom.density.ravel()[:, None]
        return np.asarray(density * self.basis.parts[self.phantom.medium_index.ravel()], dtype=np.float32)


def patient_from_ct(hu: Volume, *, voxel_mm: float, calibration: HuCalibration | None = None) -> Patient:
    """Voxels of about `voxel_mm` from a CT in HU.

    Raises
    ------
    UnitError
        If the CT is not in HU.
    GeometryError
        If it holds nothing denser than air.
    """
    return patient_from_density(density_from_hu(hu, calibration), voxel_mm=voxel_mm)


def patient_from_density(density: Volume, *, voxel_mm: float) -> Patient:
    """The same from densities in g/mL (a phantom)."""
    density.require_kind(Kind.DENSITY)
    density.require_finite()
    whole = _axial_around(density.grid, voxel_mm)
    values = resample(density, whole, "mean").values
    window = _dense_window(values)
    grid = whole.crop(window)
    cropped = np.ascontiguousarray(values[window], dtype=np.float32)
    index, media = media_by_density(cropped)
    phantom = Phantom(grid.spacing_mm, np.maximum(cropped, np.float32(LOWEST_DENSITY_G_ML)), index, media)
    return Patient(grid, density.grid, phantom, _basis(media))


def _axial_around(grid: Grid, voxel_mm: float) -> Grid:
    """Axial grid over a grid's bounding box; the same voxels where it is axial and near enough to that size."""
    corners = grid.corners_mm()
    low, extent = corners.min(axis=0), np.ptp(corners, axis=0)
    shape = np.maximum(np.round(extent / voxel_mm), 1).astype(int)
    spacing = extent / shape
    origin = low + spacing / 2
    return Grid.axial(
        (int(shape[0]), int(shape[1]), int(shape[2])),
        spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        origin_mm=(float(origin[0]), float(origin[1]), float(origin[2])),
        frame_of_reference=grid.frame_of_reference,
    )


def _dense_window(density: NDArray[np.floating]) -> tuple[slice, slice, slice]:
    dense = density > BODY_DENSITY_G_ML
    if not dense.any():
        raise GeometryError(f"the CT holds nothing denser than {BODY_DENSITY_G_ML} g/mL: there is no patient in it")
    slices = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        at = np.flatnonzero(dense.any(axis=others))
        slices.append(slice(int(at[0]), int(at[-1]) + 1))
    return slices[0], slices[1], slices[2]


def _basis(media: tuple[Medium, ...]) -> Basis:
    energy = np.geomspace(*FITTED_KEV, 60)
    columns = np.stack([coefficients(medium_named(name), energy).sum(axis=0) for name in BASES], axis=1)
    parts, worst = [], 0.0
    for medium in media:
        relative = columns / coefficients(medium, energy).sum(axis=0)[:, None]
        found = np.linalg.lstsq(relative, np.ones(energy.size), rcond=None)[0]
        parts.append(found)
        worst = max(worst, float(np.abs(relative @ found - 1).max()))
    table_energy = np.geomspace(LOWEST_KEV, HIGHEST_KEV, ENERGIES)
    both = [coefficients(medium_named(name), table_energy) for name in BASES]
    table = np.stack([both[0].sum(axis=0), both[1].sum(axis=0), both[0][2], both[1][2]], axis=1) / 10
    return Basis(np.array(parts), worst, table)
