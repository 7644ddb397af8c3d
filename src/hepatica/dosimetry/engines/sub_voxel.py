"""Structures below the size of the dose's voxels: their mass from the CT's voxels, their energy from where it lies.

A voxel of 4 mm at the base of the lung is half liver. Its one dose is neither's, and half its mass is not lung. So a
structure's mean dose is the energy in the structure over the mass of the structure, both counted where they are known:
mass in the CT's own voxels, energy where the engine puts it. Neither depends on the voxels of the dose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate, Grid, Kind, Region, Volume
from hepatica.core.region import Window
from hepatica.core.resample import resample, resample_region
from hepatica.errors import GeometryError, InputError

FloatArray = NDArray[np.float64]

FINE_MM = 2.5
"""Energy is shared between structures in voxels of at most this size: the electrons of 90Y leave half their energy
within 3 mm in tissue, and the lung's mean dose changes by less than 1 % where it is 1 mm (tests/physics)."""

MATTER_MM = 2.0
"""CT voxels are joined for Monte Carlo as long as they stay within this size: a border of liver and lung is then
blurred by 1 mm at most, little beside the range of 90Y electrons (11 mm in tissue, 40 mm in lung)."""

MIN_MASS_SHARE = 0.01
"""A structure that has less of a voxel's mass has the voxel's dose: its own would be the noise of a few histories."""


def fine_grid(activity: Grid, dose: Grid) -> Grid:
    """The activity image's voxels, cut into equal parts of at most 2.5 mm, no coarser than the voxels of the dose."""
    wanted = np.minimum(FINE_MM, min(dose.spacing_mm))
    parts = np.ceil(np.asarray(activity.spacing_mm) / wanted - 1e-6).astype(int)
    shape = tuple(int(n * p) for n, p in zip(activity.shape, parts, strict=True))
    affine = np.array(activity.affine)
    affine[:3, :3] = activity.affine[:3, :3] / parts
    affine[:3, 3] = activity.to_mm((1 / parts - 1) / 2)
    return Grid((shape[0], shape[1], shape[2]), affine, activity.frame_of_reference)


def joined(density: Volume) -> Volume:
    """Density with voxels joined (mass kept) as long as they stay within 2 mm along each axis."""
    times = np.maximum(1, np.floor(MATTER_MM / np.asarray(density.grid.spacing_mm) + 1e-3)).astype(int)
    if (times == 1).all():
        return density
    shape = tuple(int(-(-n // t)) for n, t in zip(density.grid.shape, times, strict=True))
    affine = np.array(density.grid.affine)
    affine[:3, :3] = density.grid.affine[:3, :3] * times
    affine[:3, 3] = density.grid.to_mm((times - 1) / 2)
    return resample(density, Grid((shape[0], shape[1], shape[2]), affine, density.grid.frame_of_reference), "mean")


@dataclass(frozen=True, slots=True, eq=False)
class StructureDose:
    """A structure's own dose in each voxel that it touches.

    Attributes
    ----------
    region : Region
        On the window of the dose's voxels that it touches.
    dose : Volume
        Dose in Gy to the structure's share of each voxel, on the same window.
    density : Volume
        Density of that share in g/mL, on the same window.
    mean : Estimate
        Energy in the structure over its mass, Gy, with the engine's uncertainty.
    decays : float
        In the structure.
    """

    region: Region
    dose: Volume
    density: Volume
    mean: Estimate
    decays: float


class SubVoxels(Protocol):
    """What an engine knows below the size of the dose's voxels."""

    def structure(self, drawn: Region, dose: Volume, density: Volume) -> StructureDose:
        """Dose of a structure drawn on any voxels (the CT's, to lose nothing), given the maps on the dose's voxels."""
        ...


def structure_density(drawn: Region, density: Volume) -> Volume:
    """Density times coverage in the CT's voxels that a structure touches: its mass per volume of each.

    Raises
    ------
    GeometryError
        If it touches none.
    """
    on = resample_region(drawn, density.grid)
    if on.is_empty:
        raise GeometryError(f"region {drawn.name!r} covers no voxel of the CT")
    part = on.coverage * density.values[on.window]
    return Volume(density.grid.crop(on.window), part.astype(np.float32, copy=False), Kind.DENSITY)


def mass_on(part: Volume, grid: Grid, window: Window) -> FloatArray:
    """Mass in g of a `structure_density` in a window of another grid's voxels."""
    moved = resample(part, grid.crop(window), "mean").values.astype(np.float64)
    return np.asarray(np.maximum(moved, 0.0) * grid.voxel_volume_ml)


def decays_in(drawn: Region, decays: Volume) -> float:
    """Decays in a structure, even over each voxel of the activity image."""
    return resample_region(drawn, decays.grid).total(decays)


def structure_dose(
    drawn: Region, dose: Volume, own_dose: NDArray[Any], mass_g: FloatArray, *, mean: Estimate, decays: float
) -> StructureDose:
    """The parts put together; `own_dose` and `mass_g` have the shape of the structure's window in the dose's voxels."""
    region = resample_region(drawn, dose.grid)
    window = dose.grid.crop(region.window)
    volume = region.coverage.astype(np.float64) * dose.grid.voxel_volume_ml
    density = np.divide(mass_g, volume, out=np.zeros_like(mass_g), where=volume > 0)
    whole = tuple(slice(0, n) for n in window.shape)
    return StructureDose(
        region=Region(drawn.name, window, (whole[0], whole[1], whole[2]), region.coverage, drawn.origin),
        dose=Volume(window, own_dose.astype(np.float32), Kind.DOSE, name=dose.name),
        density=Volume(window, density, Kind.DENSITY),
        mean=mean,
        decays=decays,
    )


@dataclass(frozen=True, slots=True, eq=False)
class FineEnergy:
    """Energy of the engines local and kernel in fine voxels: even by volume within each.

    Attributes
    ----------
    energy_j : ndarray of float32
        Energy in each fine voxel; for `in_medium` the dose in Gy to the uniform medium instead.
    grid : Grid
        Fine voxels.
    decays, ct_density : Volume
        Decays on the activity image's voxels; density on the CT's.
    air_below_g_ml : float
        A share of a voxel that is less dense has no dose.
    in_medium : bool
        Whether it is the dose to a uniform medium.
    """

    energy_j: NDArray[np.float32]
    grid: Grid
    decays: Volume
    ct_density: Volume
    air_below_g_ml: float
    in_medium: bool = False

    def structure(self, drawn: Region, dose: Volume, density: Volume) -> StructureDose:
        """Dose of a structure."""
        part = structure_density(drawn, self.ct_density)
        region = resample_region(drawn, dose.grid)
        mass = mass_on(part, dose.grid, region.window)
        total_g = float(mass.sum())
        if not total_g > 0:
            raise InputError(f"region {drawn.name!r} has no mass in the density map ({total_g:g} g)")
        own = dose.values[region.window].astype(np.float64)
        fine = resample_region(drawn, self.grid)
        inside = self.energy_j[fine.window].astype(np.float64)
        if self.in_medium:
            mean = float((inside * mass_on(part, self.grid, fine.window)).sum()) / total_g
        else:
            mean = float((inside * fine.coverage).sum()) / (total_g / 1000)
            own = self._own(own, density.values[region.window], region.coverage * dose.grid.voxel_volume_ml, mass)
        return structure_dose(drawn, dose, own, mass, mean=Estimate(mean), decays=decays_in(drawn, self.decays))

    def _own(self, dose: FloatArray, density: NDArray[Any], volume_ml: NDArray[Any], mass_g: FloatArray) -> FloatArray:
        """Energy per volume of each voxel over the density of the structure's share of it."""
        share = np.divide(mass_g, volume_ml, out=np.zeros_like(mass_g), where=volume_ml > 0)
        own = np.divide(dose * density, share, out=np.zeros_like(dose), where=share >= self.air_below_g_ml)
        return np.asarray(own, dtype=np.float64)
