"""Where the energy of a dose calculation is counted: the dose's voxels, apart for the structures and tissues in each.

Matter is followed in the voxels that it is known in (the CT's), whatever the voxels of the dose. One of those may hold
lung and liver at once, or liver and tumour; counted apart, the energy in its tumour is that of the tumour, and divided
by the mass of the tumour alone. What is counted apart is a label of each voxel of matter (`labels_of`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.resample import resample, resample_region
from hepatica.errors import InputError

FloatArray = NDArray[np.float64]
LabelArray = NDArray[np.uint16]

CLASS_BOUNDS_G_ML = (0.60, 1.10, 1.25)
"""Media outside the structures are counted apart between these: lung and air, soft tissue, spongy bone, compact bone.
Electrons lose the same energy per mass on either side of a border between media, to a few per cent, but lung has a
quarter of the mass of the tissue beside it and a steep dose; and what the CT shows as spongy bone is often the edge of
a rib. The bounds are those of lung, soft tissue and spongiosa in `composition.MEDIA_BY_DENSITY`."""

CLASSES = len(CLASS_BOUNDS_G_ML) + 1

LARGE_SHARE = 1 / 3
"""Matter that lies in the same structures and has more than this share of all mass is counted apart by classes too: it
is the body, not an organ."""

COVERED = (0.02, 0.25, 0.5, 0.75, 0.98)
"""Voxels of matter whose covered fraction lies between the first and the last are cut by a contour: they have labels of
their own, told apart by quarters. The structure gets its covered mass of them with their dose: in a voxel of matter
(2 mm) dose is taken as even."""

MAX_LABELS = 4096
"""Labels that are told apart: a torso with all its organs and some tens of tumours needs 200."""

MIN_SHARE = 1e-4
"""Share of a voxel's mass from which on a label is counted apart: less is rounding of the overlaps."""


@dataclass(frozen=True, slots=True, eq=False)
class DoseVoxels:
    """Voxels of the dose where they are not those of the matter.

    Attributes
    ----------
    grid : Grid
        The voxels.
    regions : sequence of Region
        Structures whose energy is counted apart where they share a voxel, on any voxels; they may overlap.
    """

    grid: Grid
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class LabelMasses:
    """Mass by voxel of the dose and label, arrays of one length; only where there is some.

    Attributes
    ----------
    voxel : ndarray of int64
        Flat index of the voxel.
    label : ndarray of uint16
        Label of the matter.
    mass_g : ndarray of float32
        Its mass in that voxel.
    """

    voxel: NDArray[np.int64]
    label: LabelArray
    mass_g: NDArray[np.float32]

    def sum_by_voxel(self, size: int, weights: NDArray[np.floating[Any]] | None = None) -> FloatArray:
        """Mass (times a weight for each element) of all labels in each of `size` voxels."""
        mass = self.mass_g.astype(np.float64)
        found = np.bincount(self.voxel, mass if weights is None else mass * weights, minlength=size)
        return np.asarray(found, dtype=np.float64)

    def moved(self, grid: Grid, window: tuple[slice, slice, slice]) -> LabelMasses:
        """The same for the voxels of `grid`, where these are those of its `window`."""
        shape = grid.crop(window).shape
        index = np.unravel_index(self.voxel, shape)
        whole = tuple(part + one.start for part, one in zip(index, window, strict=True))
        return LabelMasses(np.ravel_multi_index(whole, grid.shape).astype(np.int64), self.label, self.mass_g)


@dataclass(frozen=True, slots=True, eq=False)
class Scoring:
    """Voxels of the dose in a map of density on other voxels.

    A tally has one element for each voxel, then the parts (one for each label) of the voxels that hold more than one
    label, then one for all that lies outside.

    Attributes
    ----------
    grid : Grid
        Voxels of the dose.
    labels : ndarray of uint16
        Label of each voxel of the density.
    mass_g : ndarray of float32, shape ``grid.shape``
        Mass of each voxel.
    mixed : ndarray of int32, shape ``grid.shape``
        Number of a voxel among those that hold more than one label; -1 for all others.
    first_part : ndarray of int32, shape (mixed voxels + 1,)
        Where the parts of each of these begin, and the number of all parts.
    part_label : ndarray of uint16, shape (parts,)
        Labels of the parts, rising within a voxel.
    part_mass_g : ndarray of float32, shape (parts,)
        Their masses.
    from_matter : ndarray, shape (4, 4)
        Takes mm from the corner of the density's voxels to voxels from the corner of the dose's.
    same_voxels : bool
        Whether the voxels of the dose are those of the density.
    """

    grid: Grid
    labels: LabelArray
    mass_g: NDArray[np.float32]
    mixed: NDArray[np.int32]
    first_part: NDArray[np.int32]
    part_label: LabelArray
    part_mass_g: NDArray[np.float32]
    from_matter: FloatArray
    same_voxels: bool = False

    @property
    def size(self) -> int:
        """Elements of a tally."""
        return self.grid.size + self.part_mass_g.size + 1

    def density_g_ml(self) -> NDArray[np.float32]:
        """Mean density of each voxel of the dose, shape ``grid.shape``."""
        return np.asarray(self.mass_g / np.float32(self.grid.voxel_volume_ml))

    def split(self, tally: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """Energy of the voxels, of the parts of the mixed ones, and of what lies outside; `tally` is changed."""
        voxels, parts = tally[: self.grid.size], tally[self.grid.size : -1]
        if parts.size:
            voxels[np.flatnonzero(self.mixed.ravel() >= 0)] += np.add.reduceat(parts, self.first_part[:-1])
        return voxels, parts, float(tally[-1])

    def part_of(self, matter: LabelMasses) -> NDArray[np.int64]:
        """Part of the tally that each element of `matter` belongs to; -1 where it has its voxel to itself.

        A label that is too little to be a part of its voxel has the dose of the next one.
        """
        number = self.mixed.ravel()[matter.voxel].astype(np.int64)
        of_part = np.repeat(np.arange(len(self.first_part) - 1), np.diff(self.first_part)) * MAX_LABELS
        at = np.searchsorted(of_part + self.part_label, number * MAX_LABELS + matter.label)
        last = self.first_part[np.maximum(number, 0) + 1] - 1 if len(of_part) else at
        return np.where(number >= 0, np.minimum(at, last), -1)


def scoring_on(
    dose: DoseVoxels, density: Volume, medium_index: NDArray[np.uint8], media: int, *, filling_g_ml: float
) -> Scoring:
    """Scoring in a map of density whose media have these indices; beyond the map lies `filling_g_ml`."""
    grid = dose.grid
    labels = labels_of(density, medium_index, media, dose.regions)
    found = label_masses(grid, density, labels, filling_g_ml)
    whole = found.sum_by_voxel(grid.size)
    counted = found.mass_g > MIN_SHARE * whole[found.voxel]
    apart = np.bincount(found.voxel[counted], minlength=grid.size) > 1
    mixed = np.full(grid.size, -1, np.int32)
    mixed[apart] = np.arange(int(apart.sum()), dtype=np.int32)
    kept = counted & apart[found.voxel]
    order = np.lexsort((found.label[kept], found.voxel[kept]))
    parts_of = np.bincount(mixed[found.voxel[kept]], minlength=int(apart.sum()))
    return Scoring(
        grid=grid,
        labels=labels,
        mass_g=whole.astype(np.float32).reshape(grid.shape),
        mixed=mixed.reshape(grid.shape),
        first_part=np.concatenate([[0], np.cumsum(parts_of)]).astype(np.int32),
        part_label=found.label[kept][order],
        part_mass_g=found.mass_g[kept][order],
        from_matter=corner_map(density.grid, grid),
        same_voxels=grid.matches(density.grid),
    )


def labels_of(
    density: Volume, medium_index: NDArray[np.uint8], media: int, regions: Iterable[Region] = ()
) -> LabelArray:
    """What is counted apart in each voxel of matter: label 0 to 3 of its class outside the structures, others inside.

    Voxels that the same structures hold or cut (`COVERED`) have one label; of a body (`LARGE_SHARE`) each class has.

    Raises
    ------
    InputError
        If there are more than `MAX_LABELS`.
    """
    values = np.asarray(density.values, dtype=np.float32)
    count = np.bincount(medium_index.ravel(), minlength=media)
    total = np.bincount(medium_index.ravel(), weights=values.ravel(), minlength=media)
    classes = np.digitize(total / np.maximum(count, 1), CLASS_BOUNDS_G_ML).astype(np.uint8)[medium_index]
    atoms = _atoms(density.grid, regions)
    mass = np.bincount(atoms.ravel(), weights=values.ravel())
    by_class = mass > LARGE_SHARE * mass.sum()
    by_class[0] = True
    first = np.concatenate([[0], np.cumsum(np.where(by_class, CLASSES, 1))])
    if first[-1] > MAX_LABELS:
        raise InputError(
            f"Monte Carlo: the structures overlap in {len(mass)} ways; {MAX_LABELS} is the limit",
            remedy="name fewer structures",
        )
    return np.asarray(first[atoms] + np.where(by_class[atoms], classes, 0), dtype=np.uint16)


def _atoms(grid: Grid, regions: Iterable[Region]) -> NDArray[np.int32]:
    """Number of each voxel's set of structures that hold it or cut it, 0 where there is none."""
    atoms = np.zeros(grid.shape, np.int32)
    for region in regions:
        on = resample_region(region, grid)
        seen, covered = atoms[on.window], np.digitize(on.coverage, COVERED)
        for share in range(1, len(COVERED) + 1):
            # each set of voxels that the region reaches into becomes another one
            inside = covered == share
            reached = np.bincount(seen[inside], minlength=1) > 0
            seen[inside] = (atoms.max() + np.cumsum(reached))[seen[inside]]
    used = np.bincount(atoms.ravel()) > 0
    used[0] = True
    return np.asarray((np.cumsum(used) - 1)[atoms], dtype=np.int32)


def label_masses(grid: Grid, density: Volume, labels: LabelArray, filling_g_ml: float = 0.0) -> LabelMasses:
    """Mass of each label in each voxel of `grid`; space beyond the map has label 0 and the density `filling_g_ml`."""
    from scipy import ndimage

    values = np.asarray(density.values, dtype=np.float32)
    boxes = dict(enumerate(ndimage.find_objects(labels.astype(np.int32) + 1)))
    if filling_g_ml:
        boxes[0] = tuple(slice(0, n) for n in labels.shape)
    found = []
    for label, box in boxes.items():
        if box is None:
            continue
        part = np.where(labels[box] == label, values[box], np.float32(0))
        outside = filling_g_ml if label == 0 else 0.0
        if not outside and not part.any():
            continue
        there = density.grid.crop(box)
        window = (slice(0, grid.shape[0]), slice(0, grid.shape[1]), slice(0, grid.shape[2]))
        window = window if outside else grid.window_of(there)
        if window[0].stop == 0:
            continue
        mass = resample(Volume(there, part, Kind.DENSITY), grid.crop(window), "mean", outside=outside).values
        at = np.flatnonzero(mass > 0)
        one = LabelMasses(at, np.full(len(at), label, np.uint16), mass.ravel()[at].astype(np.float32))
        found.append(one.moved(grid, window))
    if not found:
        return LabelMasses(np.zeros(0, np.int64), np.zeros(0, np.uint16), np.zeros(0, np.float32))
    return LabelMasses(
        np.concatenate([one.voxel for one in found]),
        np.concatenate([one.label for one in found]),
        np.concatenate([one.mass_g for one in found]) * np.float32(grid.voxel_volume_ml),
    )


def corner_map(matter: Grid, grid: Grid) -> FloatArray:
    """Affine from mm along the axes of `matter`, from its outer corner, to voxels of `grid` from its outer corner."""
    inward = np.eye(4)
    inward[:3, :3] = np.diag(1 / np.asarray(matter.spacing_mm))
    inward[:3, 3] = -0.5
    found = grid.inverse_affine @ matter.affine @ inward
    found[:3, 3] += 0.5
    return np.asarray(found)
