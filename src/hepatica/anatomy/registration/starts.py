"""Where a registration may begin: headers, centres, body outlines, landmarks, and every height along head and feet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.registration.prepared import Prepared
from hepatica.anatomy.registration.similarity import Samples, similarity
from hepatica.core.transform import Transform

FloatArray = NDArray[np.float64]

MIN_SHARED = 0.15
"""Share of the fixed image's points that the moving image must cover at least: the dome of a liver in a field of view
that ends there."""

SEARCH_STEP_MM = 10.0
"""Between heights that are tried; the coarse climb that follows reaches some 20 mm."""

SEARCH_POINTS = 8000
KEPT = 3
"""Heights that go on to the climb: the trunk looks alike one vertebra or one kidney further on."""

APART_MM = 30.0
"""Heights nearer to each other than this climb to the same place."""

MIN_SHARED_MM = 60.0
"""Height that both must show: less than two vertebrae with the organ between them decides nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One start.

    Attributes
    ----------
    name : str
        What it rests on.
    matrix : ndarray, shape (4, 4)
        From fixed to moving mm.
    """

    name: str
    matrix: FloatArray


def shifted(shift_mm: FloatArray) -> FloatArray:
    """Matrix of a shift."""
    matrix = np.eye(4)
    matrix[:3, 3] = shift_mm
    return matrix


def header_start() -> Candidate:
    """The images as their headers place them."""
    return Candidate("headers", np.eye(4))


def centre_start(fixed: Prepared, moving: Prepared) -> Candidate:
    """Middle of the one block of voxels on that of the other."""
    one, other = (p.grid.corners_mm().mean(axis=0) for p in (fixed, moving))
    return Candidate("centres", shifted(other - one))


def body_start(fixed: Prepared, moving: Prepared) -> Candidate:
    """Centre of mass of the one body on that of the other."""
    return Candidate("body", shifted(moving.centre_mm - fixed.centre_mm))


def head_feet_starts(fixed: Prepared, moving: Prepared, seed: int) -> tuple[Candidate, ...]:
    """The heights at which the images look most alike, the bodies' slices laid on each other's middle.

    For scans that show different parts of the body: every `SEARCH_STEP_MM` at which both show `MIN_SHARED_MM` or more
    is tried, the `KEPT` best local maxima are given back, best first.
    """
    samples = Samples.of(fixed, SEARCH_POINTS, seed)
    one, other = _slices(fixed), _slices(moving)
    lowest, highest = min(other) - max(one), max(other) - min(one)
    tried: list[tuple[float, FloatArray]] = []
    for height in np.arange(lowest + MIN_SHARED_MM, highest - MIN_SHARED_MM + SEARCH_STEP_MM, SEARCH_STEP_MM):
        steps = round(float(height) / SEARCH_STEP_MM)
        shared = [at for at in one if at + steps * SEARCH_STEP_MM in other]
        if not shared:
            continue
        aside = np.mean([other[at + steps * SEARCH_STEP_MM] - one[at] for at in shared], axis=0)
        shift = np.array([aside[0], aside[1], steps * SEARCH_STEP_MM])
        alike, share = similarity(samples, moving, Transform.translation(shift.tolist()))
        if share >= MIN_SHARED:
            tried.append((alike, shift))
    return tuple(Candidate("head-feet", shifted(shift)) for _, shift in _maxima(tried))


def _slices(prepared: Prepared) -> dict[float, FloatArray]:
    """Centre (x, y) of the body in slabs of `SEARCH_STEP_MM` by their height, a multiple of it."""
    points = prepared.points_mm()
    heights = np.rint(points[:, 2] / SEARCH_STEP_MM).astype(int)
    counts = np.bincount(heights - heights.min())
    low = int(heights.min())
    sums = [np.bincount(heights - low, weights=points[:, axis]) for axis in (0, 1)]
    return {(low + n) * SEARCH_STEP_MM: np.array([sums[0][n], sums[1][n]]) / counts[n] for n in np.flatnonzero(counts)}


def _maxima(tried: list[tuple[float, FloatArray]]) -> list[tuple[float, FloatArray]]:
    """The best, then the next best that lies `APART_MM` from all that were taken."""
    kept: list[tuple[float, FloatArray]] = []
    for alike, shift in sorted(tried, key=lambda item: -item[0]):
        if all(abs(shift[2] - other[2]) >= APART_MM for _, other in kept):
            kept.append((alike, shift))
        if len(kept) == KEPT:
            break
    return kept
