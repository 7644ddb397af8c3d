"""How sure the activity of a region or a voxel is that was reconstructed from a list.

Events of a list are independent: counting each a Poisson number of times with mean 1 gives other lists that could as
well have been measured. Their reconstructions are the bootstrap (Efron, Ann Statist 1979;7:1; of list-mode PET:
Haynor and Woods, IEEE Trans Med Imaging 1989;8:337; Dahlbom, IEEE Trans Nucl Sci 2002;49:2062).

A region needs no resampling. Its value's derivative to how often each event counts is found for all events at once, by
going through the updates backwards; the variance is the sum of its squares, which is what the bootstrap comes to where
the reconstruction follows small changes linearly (the infinitesimal jackknife: Jaeckel 1972; Efron 1982). It costs two
to three reconstructions, for any number of events.

Neither knows what the scanner's efficiency, the attenuation, randoms or scatter are wrong by: that is added with the
calibration (`hepatica.imaging.pet.becquerels`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate
from hepatica.errors import InputError
from hepatica.imaging.pet.lines import LineProjector
from hepatica.imaging.pet.list_mode import ListData, ListIterations, Prepared, WlsProblem, reconstruct_list

Float32 = NDArray[np.float32]
FloatArray = NDArray[np.float64]

MIN_SAMPLES = 10
"""A standard deviation of ten samples is known to a quarter."""


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """What came of resampled lists.

    Attributes
    ----------
    voxel_sd : ndarray of float32, shape of the grid
        Standard deviation of each voxel, in the unit of the image (of what `made` makes of it).
    regions : ndarray, shape (samples, regions)
        Value of each region in each sample.
    """

    voxel_sd: Float32
    regions: FloatArray

    @property
    def region_sd(self) -> FloatArray:
        """Standard deviation of each region, shape (regions,)."""
        return np.asarray(self.regions.std(axis=0, ddof=1))


def bootstrapped(
    data: ListData,
    projector: LineProjector,
    settings: ListIterations,
    regions: Sequence[NDArray[np.floating]] = (),
    *,
    samples: int = 30,
    within: NDArray[np.bool_] | None = None,
    seed: int = 1,
    made: Callable[[Float32], NDArray[np.floating]] | None = None,
) -> Bootstrap:
    """Reconstructions of a list whose events are counted a Poisson number of times each.

    Parameters
    ----------
    data, projector, settings, within
        As `reconstruct_list` takes them.
    regions : sequence of ndarray, shape of the grid
        Weights of the voxels in each region's value: shares that are covered for a sum, over their sum for a mean.
    samples : int
        How many; the standard deviation is known to ``1 / sqrt(2 samples)``.
    made : callable, optional
        What is made of each image (filtered, laid into a larger one) before the voxels' standard deviation is taken.

    Raises
    ------
    InputError
        If there are fewer than ten samples.
    """
    if samples < MIN_SAMPLES:
        raise InputError(f"{samples} samples say too little of a standard deviation: take {MIN_SAMPLES} or more")
    rng = np.random.default_rng([seed, 6])
    total: Any = 0.0
    squares: Any = 0.0
    values = np.zeros((samples, len(regions)))
    for n in range(samples):
        weights = rng.poisson(1.0, len(data.events)).astype(np.float32)
        image = reconstruct_list(data, projector, settings, within=within, weights=weights).astype(np.float64)
        voxels = np.asarray(image if made is None else made(image.astype(np.float32)), np.float64)
        total, squares = total + voxels, squares + voxels**2
        values[n] = [float((image * region).sum()) for region in regions]
    variance = np.maximum(squares / samples - (total / samples) ** 2, 0) * samples / (samples - 1)
    return Bootstrap(np.sqrt(variance).astype(np.float32), values)


def region_estimates(
    data: ListData,
    projector: LineProjector,
    settings: ListIterations,
    regions: Mapping[str, NDArray[np.floating]],
    *,
    within: NDArray[np.bool_] | None = None,
) -> dict[str, Estimate]:
    """Value of each region and its standard uncertainty from counting, by the influence of every event.

    Parameters
    ----------
    data, projector, settings, within
        As `reconstruct_list` takes them; bsrem's prior has no derivative here, take `bootstrapped`.
    regions : mapping of str to ndarray, shape of the grid
        Weights of the voxels in each region's value.

    Returns
    -------
    dict of str to Estimate
        In the unit of the image times the weights.

    Raises
    ------
    InputError
        If the method is bsrem, or a region is not of the grid's shape.
    """
    image, influences = influence(data, projector, settings, list(regions.values()), within=within)
    found = {}
    for name, weights, each in zip(regions, regions.values(), influences, strict=True):
        found[name] = Estimate(float((image * weights).sum(dtype=np.float64)), float(np.sqrt(np.square(each).sum())))
    return found


def influence(
    data: ListData,
    projector: LineProjector,
    settings: ListIterations,
    regions: Sequence[NDArray[np.floating]],
    *,
    within: NDArray[np.bool_] | None = None,
) -> tuple[Float32, FloatArray]:
    """The image, and the derivative of each region's value to how often each event counts, shape (regions, events).

    Weighted least squares are linear in the events: the region goes through the same steps as the events do.
    """
    if settings.method == "bsrem":
        raise InputError("the influence of events is not known for a penalised image", remedy="take the bootstrap")
    for region in regions:
        if region.shape != projector.grid.shape:
            raise InputError(f"a region of shape {region.shape} does not lie on a grid of {projector.grid.shape}")
    if settings.method == "wls":
        problem = WlsProblem.of(data, projector, settings, within)
        each = [problem.influence(region) for region in regions]
        return problem.solved(), np.array(each, np.float64).reshape(len(regions), len(data.events))
    ready = Prepared.of(data, projector, settings, within)
    shifted = ready.first(None)
    done: list[tuple[Prepared, Float32, int]] = []
    for iteration in range(settings.iterations):
        for number in range(settings.subsets):
            done.append((ready, shifted, number))
            shifted = ready.update(shifted, number, iteration)
    slopes = [np.where(ready.support, region[ready.window], 0).astype(np.float32) for region in regions]
    found = np.zeros((len(regions), len(data.events)))
    for step in reversed(done):
        slopes = _back_through(*step, slopes, found)
    # the first image is the number of events over the sensitivity
    whole = float(ready.seen[ready.support].sum())
    for n, slope in enumerate(slopes):
        found[n] += float(slope[ready.support].sum(dtype=np.float64)) / whole
    return ready.image(shifted), found


def _back_through(
    ready: Prepared, before: Float32, number: int, slopes: list[Float32], found: FloatArray
) -> list[Float32]:
    """Derivatives to the image before an update from those to the image after it; adds the events' own to `found`."""
    part, projector = ready.parts[number], ready.projector
    first = ready.ratio(before, part)
    second = -first * first
    back = projector.back(first, part.events)
    seen = np.where(ready.support, ready.seen / np.float32(ready.settings.subsets), np.float32(1))
    grown, moved = np.where(ready.support, back / seen, 0), np.where(ready.support, before / seen, 0)
    result = []
    for n, slope in enumerate(slopes):
        along = projector.forward((slope * moved).astype(np.float32), part.events)
        found[n, part.which] += first * along
        result.append((slope * grown + projector.back(second * along, part.events)).astype(np.float32))
    return [np.where(ready.support, slope, 0).astype(np.float32) for slope in result]
