"""Where the energy of a dose calculation is counted: the dose's voxels, apart for lung, soft tissue, two kinds of bone.

Matter is followed in the voxels that it is known in (the CT's), whatever the voxels of the dose. One of those may hold
lung and liver at once; counted apart, the energy in its lung is that of lung, and divided by the mass of lung alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Volume
from hepatica.core.region import Window
from hepatica.core.resample import resample

FloatArray = NDArray[np.float64]

CLASS_BOUNDS_G_ML = (0.60, 1.10, 1.25)
"""Media are counted apart between these: lung and air, soft tissue, spongy bone, compact bone. Electrons lose the same
energy per mass on either side of a border between media, to a few per cent, but lung has a quarter of the mass of the
tissue beside it and a steep dose; and what the CT shows as spongy bone is often the edge of a rib. The bounds are those
of lung, soft tissue and spongiosa in `composition.MEDIA_BY_DENSITY`."""

CLASSES = len(CLASS_BOUNDS_G_ML) + 1

MIN_SHARE = 1e-4
"""Share of a voxel's mass from which on a class is counted apart: less is rounding of the overlaps."""


@dataclass(frozen=True, slots=True, eq=False)
class Scoring:
    """Voxels of the dose in a map of density on other voxels.

    A tally has one element for each voxel, then four (one for each class) for each voxel that holds more than one
    class, then one for all that lies outside.

    Attributes
    ----------
    grid : Grid
        Voxels of the dose.
    class_of_medium : ndarray of uint8, shape (media,)
        Class of each medium, 0 to 3.
    class_of_voxel : ndarray of uint8
        Class of each voxel of the density.
    mass_g : ndarray of float32, shape ``grid.shape``
        Mass of each voxel.
    mixed : ndarray of int32, shape ``grid.shape``
        Number of a voxel among those that hold more than one class; -1 for all others.
    class_mass_g : ndarray of float32, shape (mixed voxels, 4)
        Masses of the classes in these.
    from_matter : ndarray, shape (4, 4)
        Takes mm from the corner of the density's voxels to voxels from the corner of the dose's.
    """

    grid: Grid
    class_of_medium: NDArray[np.uint8]
    class_of_voxel: NDArray[np.uint8]
    mass_g: NDArray[np.float32]
    mixed: NDArray[np.int32]
    class_mass_g: NDArray[np.float32]
    from_matter: FloatArray

    @property
    def size(self) -> int:
        """Elements of a tally."""
        return self.grid.size + self.class_mass_g.size + 1

    def density_g_ml(self) -> NDArray[np.float32]:
        """Mean density of each voxel of the dose, shape ``grid.shape``."""
        return np.asarray(self.mass_g / np.float32(self.grid.voxel_volume_ml))

    def split(self, tally: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """Energy of the voxels, of the classes in the mixed ones, and of what lies outside; `tally` is changed."""
        voxels, parts = tally[: self.grid.size], tally[self.grid.size : -1].reshape(-1, CLASSES)
        voxels[np.flatnonzero(self.mixed.ravel() >= 0)] += parts.sum(axis=1)
        return voxels, parts, float(tally[-1])

    def shares(self, window: Window, mass_g: NDArray[np.floating[Any]]) -> tuple[FloatArray, FloatArray]:
        """Which shares of the energy belong to matter of these masses, by class, in a window of voxels.

        Parameters
        ----------
        window : tuple of slice
            Voxels.
        mass_g : ndarray, shape (..., 4)
            Mass of each class.

        Returns
        -------
        voxels : ndarray, shape of the window
            Shares of voxels of one class; 0 for mixed ones.
        parts : ndarray, shape (mixed voxels, 4)
            Shares of the classes in the mixed voxels.
        """
        mixed = self.mixed[window]
        apart = mixed >= 0
        whole = mass_g.sum(axis=-1, dtype=np.float64)
        voxels = np.where(apart, 0.0, _ratio(whole, self.mass_g[window]))
        parts = np.zeros(self.class_mass_g.shape)
        parts[mixed[apart]] = _ratio(mass_g[apart], self.class_mass_g[mixed[apart]])
        return voxels, parts


def _ratio(part: NDArray[np.floating[Any]], whole: NDArray[np.floating[Any]]) -> FloatArray:
    """Quotient that is 0 where the whole is, and at most 1."""
    quotient = np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
    return np.asarray(np.minimum(quotient, 1.0))


def scoring_on(
    grid: Grid, density: Volume, medium_index: NDArray[np.uint8], media: int, *, filling_g_ml: float
) -> Scoring:
    """Scoring on `grid` in a map of density whose media have these indices; beyond the map lies `filling_g_ml`."""
    values = np.asarray(density.values, dtype=np.float32)
    count = np.bincount(medium_index.ravel(), minlength=media)
    total = np.bincount(medium_index.ravel(), weights=values.ravel(), minlength=media)
    class_of = np.digitize(total / np.maximum(count, 1), CLASS_BOUNDS_G_ML).astype(np.uint8)
    classes = class_of[medium_index]
    masses = class_masses(grid, density, classes, filling_g_ml)
    whole = masses.sum(axis=-1)
    apart = (masses > MIN_SHARE * whole[..., None]).sum(axis=-1) > 1
    mixed = np.full(grid.shape, -1, np.int32)
    mixed[apart] = np.arange(int(apart.sum()), dtype=np.int32)
    return Scoring(grid, class_of, classes, whole, mixed, masses[apart], corner_map(density.grid, grid))


def class_masses(
    grid: Grid, density: Volume, classes: NDArray[np.uint8], filling_g_ml: float = 0.0
) -> NDArray[np.float32]:
    """Mass in g of each class in each voxel of `grid`, shape (*grid.shape, 4)."""
    out = np.zeros((*grid.shape, CLASSES), np.float32)
    for n in range(CLASSES):
        part = density.with_values(np.where(classes == n, density.values, np.float32(0)))
        filling = filling_g_ml if n == 0 else 0.0
        if filling or part.values.any():
            out[..., n] = resample(part, grid, "mean", outside=filling).values
    out *= np.float32(grid.voxel_volume_ml)
    return np.maximum(out, 0, out=out)


def corner_map(matter: Grid, grid: Grid) -> FloatArray:
    """Affine from mm along the axes of `matter`, from its outer corner, to voxels of `grid` from its outer corner."""
    inward = np.eye(4)
    inward[:3, :3] = np.diag(1 / np.asarray(matter.spacing_mm))
    inward[:3, 3] = -0.5
    found = grid.inverse_affine @ matter.affine @ inward
    found[:3, 3] += 0.5
    return np.asarray(found)
