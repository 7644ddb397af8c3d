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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Volume
from hepatica.core.constants import MEV_TO_J
from hepatica.core.region import Window, bounding_window
from hepatica.core.resample import resample
from hepatica.nuclides import Nuclide
from hepatica.transport.kernels.convolution import convolve_even
from hepatica.transport.kernels.voxel import kernel_names, point_kernel, voxel_kernel
from hepatica.transport.matter.composition import LUNG_BELOW_G_ML, Medium
from hepatica.transport.matter.stepping import StepModel
from hepatica.transport.runner.scoring import CLASS_BOUNDS_G_ML, Scoring
from hepatica.transport.runner.upload import Twin

FloatArray = NDArray[np.float64]

LEVELS = 12
"""Voxels are classed by powers of two of their dose in uniform matter, down to 2^-12 of the highest: below there is no
control. At that level 90Y has only bremsstrahlung left, which needs no better statistics."""

PILOT_HISTORIES = 40_000
"""Decays that the coefficients are found from, in two halves. A class of n voxels with about the same energy has its
coefficient to about 1 / sqrt(n); the variance left then exceeds the least possible by 1 / n of the variance."""

PILOT_SEED = 0x5EED << 32
"""Added to the seed (modulo 2^63): the pilot's stream is none of a run's."""

FEW = 10.0
"""A coefficient found from n voxels has the weight n / (n + 10); the rest is that of its tissue at any dose. Voxels
count by the square of their twins' energy, (sum c^2)^2 / sum c^4: a few that hold most of it are a few."""

ENOUGH_DECAYS = 1.0
"""Voxels in which the twins of a whole run leave less than the energy of this many decays (some ten electrons of 90Y in
voxels of 4 mm) are reached by few: in them there is a control only where it follows the patient closely."""

CLOSE = 0.8
"""Squared correlation of the energy in the patient and of the twin, in the pilot's voxels of a class, from which on it
does. With less, a voxel that few decays reach is the noise of its twins: negative, with a spread hardly known."""

HIGHEST = 1.5
"""No coefficient is higher: those of tissue are 1, and more is the noise of few voxels."""

SAME_VOXELS = 1e-3
"""Largest difference, in voxels, between voxels of the decays and of the dose that are the same."""

LEAST_G_ML = 0.05
"""Density of air is taken as this for the class of a voxel."""


@dataclass(frozen=True, slots=True, eq=False)
class Control:
    """Twin, its mean, and how much of it is taken off where.

    Attributes
    ----------
    twin : Twin
        Endless matter that it moves in.
    expected_kev : ndarray of float64, shape (voxels of the dose,)
        Mean energy of the twins in each voxel, keV per decay of the whole source; 0 where there is no control.
    classes : ndarray of int32, shape (voxels of the dose,)
        Class of each voxel, a number of its tissue times LEVELS plus its level; -1 where there is no control.
    scoring : Scoring or None
        Parts of the voxels of the dose. Each is controlled by its share of the twin's energy in the whole voxel.
    reached_kev : ndarray of float32, shape (voxels of the dose,)
        As `expected_kev` of all decays, with a twin or not, wherever electrons reach.
    few : ndarray of bool, shape (voxels of the dose,)
        Voxels that few twins reach in a whole run (`ENOUGH_DECAYS`). It is known before any decay is followed: a choice
        by what a run finds in a voxel would bias its dose.
    """

    twin: Twin
    expected_kev: FloatArray
    classes: NDArray[np.int32]
    scoring: Scoring | None
    reached_kev: NDArray[np.float32]
    few: NDArray[np.bool_]

    def whole(self, tally: FloatArray) -> FloatArray:
        """Energy of the matter and of the twin in whole voxels, shape (2, voxels), from a tally of both."""
        matter, twin = tally.reshape(2, -1)
        size = self.classes.size
        if self.scoring is None:
            return np.stack([matter[:size], twin[:size]])
        return np.stack([self.scoring.split(matter.copy())[0], twin[:size]])

    def on_elements(self, values: NDArray[np.floating[Any]]) -> FloatArray:
        """Numbers of whole voxels shared out to the elements of a tally: to parts by their masses."""
        if self.scoring is None:
            return np.asarray(values, dtype=np.float64)
        mixed = self.scoring.mixed.ravel()
        voxel = np.repeat(np.flatnonzero(mixed >= 0), np.diff(self.scoring.first_part))
        mass = self.scoring.part_mass_g.astype(np.float64)
        share = mass / np.bincount(voxel, mass, minlength=mixed.size)[voxel]
        return np.concatenate([np.where(mixed < 0, values, 0.0), values[voxel] * share, [0.0]])

    def coefficients(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """Coefficient of each voxel from two equal halves of a pilot run, each as `whole` gives it."""
        matter, twin = first - second
        used = np.flatnonzero((self.classes >= 0) & (twin != 0))
        size = int(self.classes.max(initial=0)) // LEVELS * LEVELS + LEVELS
        rows = (matter[used] * twin[used], twin[used] ** 2, twin[used] ** 4, matter[used] ** 2)
        classes = self.classes[used]
        sums = np.stack([np.bincount(classes, values, minlength=size).astype(np.float64) for values in rows])
        usual, voxels = _slope(sums.reshape(len(rows), -1, LEVELS).sum(axis=2))
        usual *= voxels / (voxels + FEW)
        found, number = _slope(sums)
        weight = number / (number + FEW)
        found = weight * found + (1 - weight) * np.repeat(usual, LEVELS)
        products = sums[1] * sums[3]
        correlation = np.divide(sums[0] ** 2, products, out=np.zeros(size), where=(products > 0) & (number > FEW))
        of_class = np.append(np.clip(found, 0.0, HIGHEST), 0.0)[self.classes]
        close = np.append(correlation >= CLOSE, False)[self.classes]
        return np.where(self.few & ~close, 0.0, of_class)


def _slope(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slope through the origin from sums of x c, c^2 and c^4, and how many voxels it rests on."""
    number = np.divide(sums[1] ** 2, sums[2], out=np.zeros_like(sums[1]), where=sums[2] > 0)
    slope = np.divide(sums[0], sums[1], out=np.zeros_like(sums[1]), where=sums[1] > 0)
    return slope, number


def usual_cutoffs(model: StepModel) -> bool:
    """Whether a step model stops particles where the point kernels do."""
    usual = StepModel()
    return model.cutoff_kev == usual.cutoff_kev and model.photon_cutoff_kev == usual.photon_cutoff_kev


def twin_for(
    nuclide: Nuclide, decays: Volume, density: Volume, index: NDArray[np.uint8], media: tuple[Medium, ...]
) -> Twin | None:
    """Endless matter most like that around the decays: the medium that holds most of them, at its mean density there.

    Decays in lung have no twin (`strata.strata_of`) and do not count: twins of a liver's decays in endless lung would
    go centimetres beyond theirs.

    None where the nuclide has no kernel in any medium that holds decays.
    """
    known = {medium for name, medium in kernel_names() if name == nuclide.name}
    weight = resample(decays, density.grid, "total").values.ravel().astype(np.float64)
    weight[density.values.ravel() < LUNG_BELOW_G_ML] = 0.0
    held = np.bincount(index.ravel(), weight, minlength=len(media))
    held[[n for n, medium in enumerate(media) if medium.name not in known]] = 0
    if not held.max() > 0:
        return None
    medium = int(np.argmax(held))
    inside = np.where(index.ravel() == medium, weight, 0.0)
    return Twin(medium, float(inside @ density.values.ravel()) / float(inside.sum()))


@dataclass(frozen=True, slots=True, eq=False)
class Twins:
    """Decays that have a twin, and the matter that the twins move in.

    Attributes
    ----------
    nuclide : Nuclide
        What decays.
    decays : Volume
        Those with a twin, in each voxel of the activity.
    total : float
        All decays, those without a twin too.
    twin : Twin
        Matter of the twins.
    medium : Medium
        Its medium.
    """

    nuclide: Nuclide
    decays: Volume
    total: float
    twin: Twin
    medium: Medium

    def expected_kev(self, grid: Grid) -> tuple[FloatArray, NDArray[np.bool_]] | None:
        """Mean energy of the twins in each voxel of a grid, keV per decay of all, and where it is known.

        None where the voxels are not those of the decays (a block of them will do), or no twin reaches them.
        """
        shift = _shift(self.decays.grid, grid)
        if shift is None:
            return None
        source = _reached(self.nuclide, self.decays, self.twin, self.medium)
        there = tuple(
            slice(min(max(w.start - s, 0), n), min(max(w.stop - s, 0), n))
            for w, s, n in zip(source, shift, grid.shape, strict=True)
        )
        if any(d.start >= d.stop for d in there):
            return None
        here = tuple(
            slice(d.start + s - w.start, d.stop + s - w.start) for d, s, w in zip(there, shift, source, strict=True)
        )
        spacing_mm = self.decays.grid.spacing_mm
        spread = _spread(self.nuclide, self.decays.values[source], spacing_mm, self.twin, self.medium) / self.total
        expected, known = np.zeros(grid.shape), np.zeros(grid.shape, bool)
        expected[there], known[there] = spread[here], True
        return expected, known


def control_for(
    twins: Twins, every: Twins, density: Volume, scoring: Scoring | None, *, enough_kev: float
) -> Control | None:
    """Mean of the twins, and classes of the voxels of the dose: those of the density, or of another `scoring`.

    Voxels with less than `enough_kev` a decay are those that few reach; `every` is as if all decays had a twin.

    None where the voxels of the dose are not those of the decays: there the mean is not known to the tenth of a per
    cent that it must be known to.
    """
    grid = density.grid if scoring is None else scoring.grid
    found = twins.expected_kev(grid)
    if found is None:
        return None
    expected, known = found
    of_all = found if every is twins else every.expected_kev(grid) or found
    reached = of_all[0].ravel().astype(np.float32)
    own = density.values if scoring is None else scoring.density_g_ml()
    dose = (expected / np.maximum(own, LEAST_G_ML)).ravel()
    level = np.full(dose.shape, LEVELS, np.int32)
    positive = dose > 0
    level[positive] = np.minimum(-np.log2(dose[positive] / dose.max()), LEVELS).astype(np.int32)
    controlled = known.ravel() & (level < LEVELS)
    tissue = np.digitize(own.ravel(), CLASS_BOUNDS_G_ML)
    classes = np.where(controlled, tissue * LEVELS + level, -1).astype(np.int32)
    known_kev = np.where(controlled, expected.ravel(), 0.0)
    return Control(twins.twin, known_kev, classes, scoring, reached, known_kev < enough_kev)


def _shift(decays: Grid, dose: Grid) -> tuple[int, int, int] | None:
    """Voxel of the decays that the first voxel of the dose is; None where they are not the same voxels."""
    between = decays.inverse_affine @ dose.affine
    first = np.round(between[:3, 3])
    if not np.allclose(between, np.block([[np.eye(3), first[:, None]], [np.zeros(3), 1.0]]), atol=SAME_VOXELS):
        return None
    return int(first[0]), int(first[1]), int(first[2])


def _spread(
    nuclide: Nuclide, decays: NDArray[np.floating], spacing_mm: tuple[float, float, float], twin: Twin, medium: Medium
) -> FloatArray:
    """Energy (keV) that decays leave in each voxel of a window."""
    kernel = voxel_kernel(
        nuclide, spacing_mm, half_shape=decays.shape, medium=medium.name, density_g_ml=twin.density_g_ml
    )
    voxel_kg = float(np.prod(spacing_mm)) * 1e-6 * twin.density_g_ml
    octant = kernel.gy_per_decay * np.float32(1e3 * voxel_kg / MEV_TO_J)
    scale = float(decays.max())
    found = convolve_even((decays / scale).astype(np.float32), octant)
    return np.maximum(found.astype(np.float64), 0.0) * scale


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
        slice(max(w.start - p, 0), min(w.stop + p, n)) for w, p, n in zip(window, pad, twinned.grid.shape, strict=True)
    )
    return i, j, k
