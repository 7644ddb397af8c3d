"""A Poisson fit of a few levels: how much of each of a few known patterns of counts a measurement holds.

Newton's method with the expected counts as weights (Fisher scoring), which is iteratively reweighted least squares
(Green, J R Stat Soc B 1984;46:149). The inverse of the information is the covariance that counting leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError, PhysicsError

FloatArray = NDArray[np.float64]

STEPS = 12
"""At most; four reach 1e-4 of a level from a start that is right within a factor of two."""
SETTLED = 1e-4
"""Largest change of a level, in its standard deviations of counting times ten, that ends the steps."""
MIN_EXPECTED = 0.05
"""Expected counts are taken as at least this share of the mean: a bin that no pattern reaches has no say."""


@dataclass(frozen=True, slots=True, eq=False)
class LevelFit:
    """Levels and what counting leaves open.

    Attributes
    ----------
    levels : ndarray, shape (patterns,)
        None negative.
    covariance : ndarray, shape (patterns, patterns)
        By counting alone; zero for a level that is held at zero.
    response : ndarray, shape (patterns, bins) or None
        Never kept; see `answer_to`.
    expected : ndarray of float32, shape (bins,)
        Counts that the levels make.
    """

    levels: FloatArray
    covariance: FloatArray
    expected: NDArray[np.float32]

    def answer_to(self, patterns: NDArray[np.float32], error: NDArray[Any]) -> FloatArray:
        """Change of the levels where the expected counts are changed by `error` and the measured ones are not."""
        return -self.covariance @ (patterns @ (error.ravel() / self.expected).astype(np.float32)).astype(np.float64)


def fit_levels(
    counts: NDArray[Any], patterns: NDArray[np.float32], *, ties: tuple[tuple[int, int, float], ...] = ()
) -> LevelFit:
    """Levels of largest Poisson likelihood.

    Parameters
    ----------
    counts : ndarray, shape (bins,)
        As measured.
    patterns : ndarray of float32, shape (patterns, bins)
        Expected counts at level 1.
    ties : tuple of (int, int, float)
        First and second pattern, whose levels are known to differ by no more than a standard deviation: a Gaussian
        prior on their difference.

    Raises
    ------
    InputError
        If the shapes do not agree.
    PhysicsError
        If the patterns cannot be told apart.
    """
    if patterns.ndim != 2 or counts.shape != patterns.shape[1:]:
        raise InputError(f"counts of shape {counts.shape}, patterns of {patterns.shape}: do not agree")
    data = counts.astype(np.float32)
    number = len(patterns)
    prior = np.zeros((number, number))
    for first, second, sd in ties:
        difference = np.zeros(number)
        difference[first], difference[second] = 1.0, -1.0
        prior += np.outer(difference, difference) / sd**2
    levels = np.full(number, float(data.sum(dtype=np.float64)) / float(patterns.sum(dtype=np.float64)))
    free = np.ones(number, dtype=bool)
    floor = np.float32(MIN_EXPECTED * float(data.mean(dtype=np.float64)))
    while True:
        levels, covariance, expected = _solved(data, patterns[free], prior[np.ix_(free, free)], levels[free], floor)
        full, spread = np.zeros(number), np.zeros((number, number))
        full[free], spread[np.ix_(free, free)] = levels, covariance
        if (full >= 0).all():
            return LevelFit(full, spread, expected)
        # A level below zero is held at zero, the lowest first, and the others are fitted again.
        free[int(np.argmin(full))] = False
        levels = np.maximum(full, 0)


def _solved(
    data: NDArray[np.float32], patterns: NDArray[np.float32], prior: FloatArray, levels: FloatArray, floor: np.float32
) -> tuple[FloatArray, FloatArray, NDArray[np.float32]]:
    for _ in range(STEPS):
        expected = np.maximum(levels.astype(np.float32) @ patterns, floor)
        weighted = patterns / expected
        information = (weighted @ patterns.T).astype(np.float64) + prior
        gradient = (weighted @ (data - levels.astype(np.float32) @ patterns)).astype(np.float64) - prior @ levels
        try:
            covariance = np.linalg.inv(information)
        except np.linalg.LinAlgError as error:
            raise PhysicsError("the regions cannot be told apart by the counts") from error
        step = covariance @ gradient
        levels = levels + step
        if (np.abs(step) <= 10 * SETTLED * np.sqrt(np.diag(covariance))).all():
            break
    return levels, covariance, np.maximum(levels.astype(np.float32) @ patterns, floor)
