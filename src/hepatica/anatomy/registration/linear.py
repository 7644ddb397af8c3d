"""Rigid and affine registration: from the best of several starts, coarse to fine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.registration.optimise import Effort, LinearModel, climb
from hepatica.anatomy.registration.polish import polished
from hepatica.anatomy.registration.prepared import Mask, Prepared, mask_on, prepare
from hepatica.anatomy.registration.similarity import Samples, similarity
from hepatica.anatomy.registration.starts import MIN_SHARED, Candidate
from hepatica.core import Region, Volume
from hepatica.core.transform import Transform
from hepatica.errors import GeometryError

FloatArray = NDArray[np.float64]

COARSE_MM, MIDDLE_MM, FINE_MM = 8.0, 4.0, 2.5
"""Voxels on which the images are compared. Finer than 2.5 mm adds little: a rigid body's place is known to a tenth of a
voxel, and images of radioembolization have 4 mm."""

COARSE = Effort(points=4000, iterations=80, first_step_mm=6.0, last_step_mm=0.2)
MIDDLE = Effort(points=15000, iterations=80, first_step_mm=2.0, last_step_mm=0.03)
AFFINE = Effort(points=15000, iterations=80, first_step_mm=0.5, last_step_mm=0.02)
FINE = Effort(points=30000, iterations=60, first_step_mm=0.7, last_step_mm=0.01)

JUDGING_POINTS = 20000
"""Points on which transforms are compared with each other."""


@dataclass(frozen=True, slots=True)
class TriedStart:
    """One start and what came of it.

    Attributes
    ----------
    name : str
        What it rests on.
    similarity : float
        Likeness of the images from there, after a coarse climb, 0 to 1.
    shared : float
        Share of the fixed image's points that the moving image then covers.
    start_shift_mm : tuple of float
        From it the fixed image's centre is shifted so, LPS.
    taken : bool
        Whether the registration went on from it.
    """

    name: str
    similarity: float
    shared: float
    start_shift_mm: tuple[float, float, float]
    taken: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two images at the resolutions at which they are compared, and the points at which they are judged.

    Attributes
    ----------
    fixed, moving : Prepared
        On voxels of 4 mm.
    fixed_coarse, moving_coarse : Prepared
        On voxels of 8 mm.
    sources : tuple of Volume
        The images as they are: fixed, moving.
    within : Region or None
        What counts; the body if None.
    rim_mm : float
        What counts around it.
    seed : int
        Of all points.
    """

    fixed: Prepared
    moving: Prepared
    fixed_coarse: Prepared
    moving_coarse: Prepared
    sources: tuple[Volume, Volume]
    within: Region | None
    rim_mm: float
    seed: int

    @classmethod
    def of(cls, fixed: Volume, moving: Volume, within: Region | None, rim_mm: float, seed: int) -> Pair:
        """Prepare both images.

        Raises
        ------
        GeometryError
            If no patient is in one of them, or the structure to count in lies outside of the fixed one.
        """
        one, other = prepare(fixed, "the fixed image"), prepare(moving, "the moving image")
        if within is not None:
            within.grid.require_shared_frame(fixed.grid, f"structure {within.name!r} and the fixed image")
            if within.is_empty or not (mask_on(within, one.grid, 0.0) & one.body).any():
                raise GeometryError(
                    f"the structure to count in, {within.name!r}, lies outside of the patient in the fixed image",
                    remedy="give structures that were drawn on the fixed image",
                )
        return cls(
            one.at(MIDDLE_MM, fixed),
            other.at(MIDDLE_MM, moving),
            one.at(COARSE_MM, fixed),
            other.at(COARSE_MM, moving),
            (fixed, moving),
            within,
            rim_mm,
            seed,
        )

    def swapped(self, within: Region | None) -> Pair:
        """The same images the other way round, with what counts in the one that is moving here."""
        return Pair(
            self.moving,
            self.fixed,
            self.moving_coarse,
            self.fixed_coarse,
            self.sources[::-1],
            within,
            self.rim_mm,
            self.seed,
        )

    def mask(self, prepared: Prepared) -> Mask | None:
        """What counts, on a resolution of the fixed image; None for the whole body."""
        if self.within is None:
            return None
        # A rim thinner than a voxel would leave the borders out, which are most of what there is to go by.
        rim = max(self.rim_mm, *prepared.grid.spacing_mm) if self.rim_mm > 0 else 0.0
        return mask_on(self.within, prepared.grid, rim) & prepared.body

    def judging(self, *, whole: bool = False) -> Samples:
        """Points for judging, others than those of the climbs."""
        within = None if whole else self.mask(self.fixed)
        return Samples.of(self.fixed, JUDGING_POINTS, self.seed + 1, within)


def best_start(pair: Pair, candidates: Iterable[Candidate]) -> tuple[FloatArray, tuple[TriedStart, ...]]:
    """A coarse rigid climb from each start over the whole body: the best matrix, and what came of each.

    Raises
    ------
    GeometryError
        If the images overlap from none of them.
    """
    samples = pair.judging(whole=True)
    centre = pair.fixed.centre_mm
    found: list[tuple[FloatArray, TriedStart]] = []
    for candidate in candidates:
        try:
            matrix = climb(pair.fixed_coarse, pair.moving_coarse, candidate.matrix, "rigid", COARSE, pair.seed)
        except GeometryError:
            continue
        alike, share = similarity(samples, pair.moving, Transform.affine(matrix))
        x, y, z = (float(n) for n in candidate.matrix[:3, :3] @ centre + candidate.matrix[:3, 3] - centre)
        if share >= MIN_SHARED:
            found.append((matrix, TriedStart(candidate.name, alike, share, (x, y, z))))
    if not found:
        raise GeometryError(
            f"the images do not overlap: from no start do they share {MIN_SHARED:.0%} of the fixed image's patient",
            remedy="check that both show the same part of the body, or give landmarks",
        )
    best = max(range(len(found)), key=lambda n: found[n][1].similarity)
    tried = tuple(
        TriedStart(t.name, t.similarity, t.shared, t.start_shift_mm, n == best) for n, (_, t) in enumerate(found)
    )
    return found[best][0], tried


def refined(pair: Pair, start: FloatArray, model: LinearModel) -> FloatArray:
    """Matrix after the climbs on finer voxels, in the structure that counts where there is one.

    A climb that leaves the images less alike than it found them is not followed.
    """
    samples = Samples.of(pair.fixed, JUDGING_POINTS, pair.seed + 2, pair.mask(pair.fixed))
    best = _likeness(samples, pair, start)
    matrix = start
    for fixed, moving, step, effort in _ladder(pair, model):
        try:
            climbed = climb(fixed, moving, matrix, step, effort, pair.seed, pair.mask(fixed))
        except GeometryError:
            continue
        if (alike := _likeness(samples, pair, climbed)) > best:
            matrix, best = climbed, alike
    return polished(
        samples, pair.moving, matrix, model, similarity(samples, pair.moving, Transform.affine(matrix))[1] / 2
    )


def _likeness(samples: Samples, pair: Pair, matrix: FloatArray) -> float:
    return similarity(samples, pair.moving, Transform.affine(matrix))[0]


def _ladder(pair: Pair, model: LinearModel) -> Iterator[tuple[Prepared, Prepared, LinearModel, Effort]]:
    """Resolutions from coarse to fine, each with what may change on it."""
    if pair.within is not None:
        yield pair.fixed_coarse, pair.moving_coarse, "rigid", COARSE
    yield pair.fixed, pair.moving, "rigid", MIDDLE
    if model == "affine":
        yield pair.fixed, pair.moving, "affine", AFFINE
    if min(max(v.grid.spacing_mm) for v in pair.sources) <= FINE_MM + 1.0:
        fixed, moving = (p.at(FINE_MM, v) for p, v in zip((pair.fixed, pair.moving), pair.sources, strict=True))
        yield fixed, moving, model, FINE
