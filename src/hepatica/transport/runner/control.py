"""A twin of every decay in endless uniform matter, as a control variate of the dose.

Most of a patient's liver is nearly uniform, and there the energy of a decay in a voxel is nearly that of the same decay
in uniform matter. The mean of the latter is known without any history: activity convolved with the voxel kernel. So a
decay is followed twice with the same random numbers, in the patient (energy x) and in uniform matter (energy c of mean
m), and ``x - b (c - m)`` has the mean of x whatever the coefficient b, and little variance where the two go together
(Hammersley and Handscomb, Monte Carlo Methods, 1964, 5.5).

The coefficient must not depend on the histories that it is applied to. It is that of least variance for classes of
voxels (density, dose), found from histories of a stream of its own that are used for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.core.constants import MEV_TO_J
from hepatica.core.region import Window, bounding_window
from hepatica.core.resample import resample
from hepatica.errors import PhysicsError
from hepatica.nuclides import Nuclide
from hepatica.transport.kernels.convolution import convolve_even
from hepatica.transport.kernels.voxel import kernel_names, point_kernel, voxel_kernel
from hepatica.transport.matter.composition import Medium
from hepatica.transport.matter.stepping import StepModel
from hepatica.transport.runner.scoring import CLASS_BOUNDS_G_ML, MAX_LABELS, Scoring, label_masses
from hepatica.transport.runner.source import emission
from hepatica.transport.runner.upload import Twin

FloatArray = NDArray[np.float64]

FINE_MM = 2.0
"""Where the voxels of the dose are not those of the activity, the mean of the twin is computed in parts of the latter of
at most this size, and taken as even over each."""

LEVELS = 12
"""Voxels are classed by powers of two of their dose in uniform matter, down to 2^-12 of the highest: below there is no
control. At that level 90Y has only bremsstrahlung left, which needs no better statistics."""

PILOT_HISTORIES = 40_000
"""Decays that the coefficients are found from, in two halves. A class with n voxels hit in both halves has its
coefficient to about 1 / sqrt(n); the variance left then exceeds the least possible by 1 / n of the variance."""

PILOT_SEED = 0x5EED << 32
"""Added to the seed (modulo 2^63): the pilot's stream is none of a run's."""

SHRINK = 10.0
"""A coefficient found from n voxels is taken as n / (n + 10) of itself: none from a handful."""

COVERED = 0.999
"""Part of a voxel in which the twin's mean must be known for a control there."""


@dataclass(frozen=True, slots=True, eq=False)
class Control:
    """Twin and its mean.

    Attributes
    ----------
    twin : Twin
        Endless matter that it moves in.
    expected_kev : ndarray of float64
        Mean energy of the twins in each element of the tally, keV per decay of the whole source; 0 where there is no
        control.
    classes : ndarray of int32
        Class of each element of the tally; -1 where there is no control.
    """

    twin: Twin
    expected_kev: FloatArray
    classes: NDArray[np.int32]

    def coefficients(self, first: FloatArray, second: FloatArray) -> NDArray[np.float32]:
        """Coefficient of each element of the tally from two equal halves of a pilot run.

        Parameters
        ----------
        first, second : ndarray of float64, shape (2, elements)
            Energy of the matter and of the twin.
        """
        matter, twin = first - second
        used = np.flatnonzero((self.classes >= 0) & (twin != 0))
        of = self.classes[used]
        size = int(self.classes.max(initial=0)) + 1
        both = np.bincount(of, matter[used] * twin[used], minlength=size)
        own = np.bincount(of, twin[used] ** 2, minlength=size)
        number = np.bincount(of, minlength=size)
        found = np.divide(both, own, out=np.zeros(size), where=own > 0) * (number / (number + SHRINK))
        found = np.append(np.clip(found, 0.0, 1.5), 0.0)
        return found[self.classes].astype(np.float32)


def usual_cutoffs(model: StepModel) -> bool:
    """Whether a step model stops particles where the point kernels do."""
    usual = StepModel()
    return model.cutoff_kev == usual.cutoff_kev and model.photon_cutoff_kev == usual.photon_cutoff_kev


def twin_for(
    nuclide: Nuclide, decays: Volume, density: Volume, index: NDArray[np.uint8], media: tuple[Medium, ...]
) -> Twin | None:
    """Endless matter most like that around the decays: the medium that holds most of them, at its mean density there.

    None where the nuclide has no kernel in any medium that holds decays.
    """
    known = {medium for name, medium in kernel_names() if name == nuclide.name}
    weight = resample(decays, density.grid, "total").values.ravel().astype(np.float64)
    held = np.bincount(index.ravel(), weight, minlength=len(media))
    held[[n for n, medium in enumerate(media) if medium.name not in known]] = 0
    if not held.max() > 0:
        return None
    medium = int(np.argmax(held))
    inside = np.where(index.ravel() == medium, weight, 0.0)
    return Twin(medium, float(inside @ density.values.ravel()) / float(inside.sum()))


def control_for(
    nuclide: Nuclide, twinned: Volume, density: Volume, twin: Twin, medium: Medium, *, total: float, scoring: Scoring | None
) -> Control:
    """Mean of the twins of decays `twinned` (of `total` in all), and classes of the tally's elements."""
    if scoring is None:
        expected, known = _expected_on_own_voxels(nuclide, twinned, twin, medium)
        mass = density.values.ravel() * np.float64(density.grid.voxel_volume_ml)
        label = np.digitize(density.values.ravel(), CLASS_BOUNDS_G_ML)
    else:
        expected, known = _expected_on(nuclide, twinned, twin, medium, density, scoring)
        mass = np.concatenate([scoring.mass_g.ravel(), scoring.part_mass_g, [1.0]]).astype(np.float64)
        voxels = np.digitize(scoring.density_g_ml().ravel(), CLASS_BOUNDS_G_ML) + MAX_LABELS
        label = np.concatenate([voxels, scoring.part_label, [0]])
    expected = np.where(known, expected, 0.0) / total
    dose = expected / mass
    top = float(dose.max(initial=0.0))
    level = np.full(dose.shape, LEVELS, np.int32)
    if top > 0:
        positive = dose > 0
        level[positive] = np.minimum(-np.log2(dose[positive] / top), LEVELS).astype(np.int32)
    controlled = known & (level < LEVELS)
    _, classes = np.unique(label * LEVELS + level, return_inverse=True)
    return Control(
        twin, np.where(controlled, expected, 0.0), np.where(controlled, classes.ravel(), -1).astype(np.int32)
    )


def _expected_on_own_voxels(
    nuclide: Nuclide, twinned: Volume, twin: Twin, medium: Medium
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Energy in each voxel of the decays, keV, and where it was computed; flat."""
    window = _reached(nuclide, twinned, twin, medium)
    energy = np.zeros(twinned.grid.shape)
    known = np.zeros(twinned.grid.shape, bool)
    energy[window] = _spread(nuclide, twinned.values[window], twinned.grid.spacing_mm, twin, medium)
    known[window] = True
    return energy.ravel(), known.ravel()


def _expected_on(
    nuclide: Nuclide, twinned: Volume, twin: Twin, medium: Medium, density: Volume, scoring: Scoring
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Energy in each element of a tally on other voxels, keV, and where all of it is known.

    In mixed voxels the parts have what the matter's voxels of their label have, and together what the voxel has.
    """
    window = _reached(nuclide, twinned, twin, medium)
    parts = np.maximum(np.ceil(np.asarray(twinned.grid.spacing_mm) / FINE_MM - 1e-6), 1).astype(int)
    fine = _cut(twinned.grid.crop(window), parts)
    values = twinned.values[window] / np.float32(parts.prod())
    for axis, n in enumerate(parts):
        values = np.repeat(values, n, axis=axis)
    energy = Volume(fine, _spread(nuclide, values, fine.spacing_mm, twin, medium).astype(np.float32), Kind.ENERGY)
    in_voxels = resample(energy, scoring.grid, "total").values.ravel().astype(np.float64)
    reach = Volume(fine, np.ones(fine.shape, np.float32), Kind.FRACTION)
    known = resample(reach, scoring.grid, "mean").values.ravel() > COVERED
    matter = Volume(density.grid, np.ones(density.grid.shape, np.float32), Kind.FRACTION)
    known &= resample(matter, scoring.grid, "mean").values.ravel() > COVERED
    apart = _in_parts(resample(energy, density.grid, "total"), scoring)
    mixed = scoring.mixed.ravel()
    voxel_of_part = np.repeat(np.flatnonzero(mixed >= 0), np.diff(scoring.first_part))
    whole = np.bincount(voxel_of_part, apart, minlength=len(mixed))
    scale = np.divide(in_voxels, whole, out=np.zeros_like(whole), where=whole > 0)
    apart *= scale[voxel_of_part]
    return (
        np.concatenate([np.where(mixed < 0, in_voxels, 0.0), apart, [0.0]]),
        np.concatenate([known & (mixed < 0), known[voxel_of_part], [False]]),
    )


def _in_parts(energy: Volume, scoring: Scoring) -> FloatArray:
    """Energy on the matter's voxels added up in the parts of the mixed voxels."""
    per_ml = Volume(energy.grid, energy.values / np.float32(energy.grid.voxel_volume_ml), Kind.DENSITY)
    found = label_masses(scoring.grid, per_ml, scoring.labels)
    part = scoring.part_of(found)
    inside = part >= 0
    sums = np.bincount(part[inside], found.mass_g[inside], minlength=len(scoring.part_label))
    return np.asarray(sums, dtype=np.float64)


def _spread(
    nuclide: Nuclide, decays: NDArray[np.floating], spacing_mm: tuple[float, float, float], twin: Twin, medium: Medium
) -> FloatArray:
    """Energy (keV) that decays leave in each voxel of a window, with the mean energies that are sampled."""
    kernel = voxel_kernel(
        nuclide, spacing_mm, half_shape=decays.shape, medium=medium.name, density_g_ml=twin.density_g_ml
    )
    voxel_kg = float(np.prod(spacing_mm)) * 1e-6 * twin.density_g_ml
    per_mev = np.float64(voxel_kg / MEV_TO_J)
    octant = kernel.electron_gy_per_decay * (per_mev * _sampled_kev(nuclide, "beta") / nuclide.electron_energy_mev)
    if nuclide.photon_energy_mev > 0:
        octant = octant + kernel.photon_gy_per_decay * (
            per_mev * _sampled_kev(nuclide, "photon") / nuclide.photon_energy_mev
        )
    scale = float(decays.max())
    found = convolve_even((decays / scale).astype(np.float32), octant.astype(np.float32))
    return np.maximum(found.astype(np.float64), 0.0) * scale


def _sampled_kev(nuclide: Nuclide, part: str) -> float:
    """Mean energy of a decay's electrons or photons as they are sampled; annihilation counts as photons."""
    usual = StepModel()
    try:
        return emission(
            nuclide,
            "photon" if part == "photon" else "beta",
            electron_cutoff_kev=usual.cutoff_kev,
            photon_cutoff_kev=usual.photon_cutoff_kev,
            split_pairs=True,
        ).mean_kev
    except PhysicsError:
        return 0.0


def electron_reach_mm(nuclide: Nuclide, medium: Medium, density_g_ml: float | None = None) -> float:
    """Radius within which nearly all the energy of electrons lies, in a medium of that (its nominal) density."""
    kernel = point_kernel(nuclide.name, medium.name)
    reach = kernel.radius_of_fraction_mm(0.98 * kernel.electron_sum)
    return reach * kernel.density_g_ml / (density_g_ml or kernel.density_g_ml)


def _reached(nuclide: Nuclide, twinned: Volume, twin: Twin, medium: Medium) -> Window:
    """Window of the decays' voxels that electrons of the twins reach."""
    reach = electron_reach_mm(nuclide, medium, twin.density_g_ml)
    window = bounding_window(twinned.values > 0)
    pad = np.ceil(reach / np.asarray(twinned.grid.spacing_mm)).astype(int) + 1
    i, j, k = (
        slice(max(w.start - p, 0), min(w.stop + p, n))
        for w, p, n in zip(window, pad, twinned.grid.shape, strict=True)
    )
    return i, j, k


def _cut(grid: Grid, parts: NDArray[np.integer]) -> Grid:
    """Each voxel cut into that many along each axis."""
    shape = tuple(int(n * p) for n, p in zip(grid.shape, parts, strict=True))
    affine = np.array(grid.affine)
    affine[:3, :3] = grid.affine[:3, :3] / parts
    affine[:3, 3] = grid.to_mm((1 / parts - 1) / 2)
    return Grid((shape[0], shape[1], shape[2]), affine, grid.frame_of_reference)
