"""When to stop: after as many iterations as a stated noise allows, measured on the list itself.

Two scans, methods or scanners compare at equal noise only. Noise of an image is not known from one image: its texture
may be the patient. A list can be parted by a coin into two that are independent; half of their difference has the noise
of the whole list's image, voxel by voxel, after every iteration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError
from hepatica.imaging.pet.lines import LineProjector
from hepatica.imaging.pet.list_mode import ListData, ListIterations, reconstruct_list

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Stopping:
    """Noise of a voxel over the mean of the region after each iteration, and after how many the target was kept."""

    noise: tuple[float, ...]
    iterations: int


def iterations_for_noise(
    data: ListData,
    projector: LineProjector,
    settings: ListIterations,
    region: NDArray[np.bool_],
    target: float,
    *,
    within: NDArray[np.bool_] | None = None,
    seed: int = 1,
) -> Stopping:
    """Iterations after which noise in a region still keeps a target; `settings.iterations` at most, 1 at least.

    Parameters
    ----------
    data, projector, settings, within
        As `reconstruct_list` takes them.
    region : ndarray of bool, shape of the grid
        Where noise is measured, such as the normal liver.
    target : float
        Standard deviation of a voxel over the region's mean.

    Raises
    ------
    InputError
        If the target is not positive, the region has fewer than 30 voxels, or it holds no activity.
    """
    if not target > 0 or int(region.sum()) < LEAST_VOXELS:
        raise InputError(f"noise needs a target above 0 and a region of {LEAST_VOXELS} voxels or more")
    coin = np.random.default_rng([seed, 8]).random(len(data.events)) < 0.5
    halves = [_after_each(data.part(side, 0.5), projector, settings, region, within) for side in (coin, ~coin)]
    noise = []
    for a, b in zip(*halves, strict=True):
        mean = float((a + b).mean()) / 2
        if not mean > 0:
            raise InputError("the region in which noise is measured holds no activity")
        noise.append(float((a - b).std()) / 2 / mean)
    kept = [n + 1 for n, value in enumerate(noise) if value <= target]
    return Stopping(tuple(noise), max(kept, default=1))


def _after_each(
    half: ListData,
    projector: LineProjector,
    settings: ListIterations,
    region: NDArray[np.bool_],
    within: NDArray[np.bool_] | None,
) -> list[Float32]:
    """Voxels of the region after each iteration."""
    seen: list[Float32] = []

    def keep(_: int, image: Float32) -> None:
        seen.append(image[region])

    reconstruct_list(half, projector, settings, within=within, on_iteration=keep)
    return seen


LEAST_VOXELS = 30
"""A standard deviation of 30 independent voxels is known to 13 %; those of an image are not quite independent."""


def stopped(settings: ListIterations, stopping: Stopping) -> ListIterations:
    """The settings with the iterations found."""
    return replace(settings, iterations=stopping.iterations)
