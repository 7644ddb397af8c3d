"""How far below zero an image may go, voxel by voxel, so that no line is expected to count less than nothing.

With a bound -a(x) the algorithm runs on ``x + a``; each line's background b must then stay above what the bound takes
from it, ``A a < b``. One number for all voxels is set by the line with the least background per path: a line that just
touches the skin, where nothing is attenuated, has ten times less than one through the liver, and a bound that it allows
(a few per cent of the liver's concentration) changes nothing. A map may be ten times lower deep in the body.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.lines import LineProjector

Float32 = NDArray[np.float32]

SHARPNESS = 12
"""Exponent of the mean that stands for the least value among the lines through a voxel."""
ROUNDS = 3
"""The map is raised where all of its lines have something left, so many times."""
OF_LINES = 1e-3
"""Share of the lines that may be asked for more than they have; there the background is raised."""
RANGE = 50.0
"""Ratios farther from their median than this are cut: their powers must stay numbers."""


def lower_bound(
    parts: Sequence[tuple[Coincidences, Float32]],
    projector: LineProjector,
    support: NDArray[np.bool_],
    share: float,
) -> tuple[Float32, list[Float32]]:
    """Bound below zero as a positive map, and the background of each part's lines that is left above it.

    Parameters
    ----------
    parts : sequence of (Coincidences, ndarray)
        Events and their background over efficiency and survival.
    projector : LineProjector
    support : ndarray of bool
        Voxels that are reconstructed.
    share : float
        Of a line's background that the bound may take, below 1.

    Returns
    -------
    bound : ndarray of float32, shape of the projector's grid
    left : list of ndarray of float32
    """
    bound = support.astype(np.float32)
    for _ in range(1 + ROUNDS):
        taken = [projector.forward(bound, events) for events, _ in parts]
        ratio, crossing = _ratios(parts, taken)
        if not crossing.any():
            return np.zeros_like(bound), [background for _, background in parts]
        bound = bound * _least(parts, projector, ratio, support)
    taken = [projector.forward(bound, events) for events, _ in parts]
    ratio, crossing = _ratios(parts, taken)
    scale = np.float32(share * np.quantile(ratio[crossing], OF_LINES))
    left = [
        np.maximum(background - scale * of, np.float32(1 - share) * background).astype(np.float32)
        for (_, background), of in zip(parts, taken, strict=True)
    ]
    return bound * scale, left


def _ratios(
    parts: Sequence[tuple[Coincidences, Float32]], taken: Sequence[Float32]
) -> tuple[Float32, NDArray[np.bool_]]:
    """Background over what the bound takes, of the lines of all parts one after another, and which cross the image."""
    background, of = np.concatenate([b for _, b in parts]), np.concatenate(taken)
    crossing = of > 1e-3 * float(of.max(initial=0))
    return np.divide(background, of, out=np.ones_like(of), where=crossing), crossing


def _least(
    parts: Sequence[tuple[Coincidences, Float32]],
    projector: LineProjector,
    ratio: Float32,
    support: NDArray[np.bool_],
) -> Float32:
    """About the least ratio among the lines through each voxel: a mean of a high negative power, weighted by path."""
    middle = float(np.median(ratio[ratio > 0])) if (ratio > 0).any() else 1.0
    powers = np.clip(ratio / middle, 1 / RANGE, RANGE).astype(np.float64) ** -SHARPNESS
    paths, sums, start = np.zeros(support.shape), np.zeros(support.shape), 0
    for events, background in parts:
        stop = start + len(background)
        sums += projector.back(powers[start:stop].astype(np.float32), events)
        paths += projector.back(np.ones(len(events), np.float32), events)
        start = stop
    mean = np.divide(sums, paths, out=np.ones_like(sums), where=(sums > 0) & (paths > 0))
    return np.asarray(np.where(support, middle * mean ** (-1 / SHARPNESS), 0), np.float32)
