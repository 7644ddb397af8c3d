"""Reconstruction of PET from a list: expectation maximisation by ordered subsets, with a prior, or below zero.

The image maximises the Poisson likelihood of the list: expected on a line and bin are ``e s (A x) + b``, with the
line's efficiency e, the share s that leaves the patient, and b randoms and scatter. In list mode only
``b / (e s)`` of each event and the sensitivity image are needed (Parra and Barrett, IEEE Trans Med Imaging 1998;
17:228).

With few counts an image that cannot be negative adds up its noise where nothing is. "aml" lets it go below zero
instead: with a bound -a(x) <= 0 the same algorithm runs on ``x + a`` (Byrne, Inverse Probl 1998;14:1455; Van Slambrouck
et al., IEEE Trans Med Imaging 2015;34:126), which needs ``A a < b / (e s)`` on every line (`reconstruct.bound`). NEGML,
which changes the likelihood of bins that are expected to count little, has no counterpart here: a line and bin of a
list is expected to count a thousandth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.lines import LineProjector, box_around
from hepatica.imaging.pet.reconstruct.bound import lower_bound
from hepatica.imaging.reconstruct.algorithms import IterationOptions, penalty_gradient

Float32 = NDArray[np.float32]
Method = Literal["osem", "bsrem", "aml"]

SEEN = 1e-2
"""Voxels seen less than this share of the best seen one are left at zero: the list says nothing of them."""
EVENTS_PER_SUBSET = 10_000
"""True and scattered coincidences that a subset needs: a 37-mm sphere that holds 2 % of the activity has then 200 of
them, and its mean goes up and down by 7 % from subset to subset. With fewer that swing is as large as the error."""
NEIGHBOURS = 6


@dataclass(frozen=True, slots=True, eq=False)
class ListData:
    """A list and what its lines mean.

    Attributes
    ----------
    events : Coincidences
    background : ndarray of float32, shape (events,)
        Expected randoms and scatter of each event's line and bin over its efficiency and survival: counts per
        annihilation per mm^2, the unit of the line integrals.
    sensitivity : ndarray of float32, shape of the grid
        Counted annihilations per annihilation in each voxel.
    """

    events: Coincidences
    background: Float32
    sensitivity: Float32

    def __post_init__(self) -> None:
        if self.background.shape != (len(self.events),):
            raise InputError(f"{len(self.events)} coincidences need one background each, not {self.background.shape}")
        if not (np.isfinite(self.background).all() and (self.background >= 0).all()):
            raise InputError("the background of a coincidence must be finite and not negative")


@dataclass(frozen=True, slots=True)
class ListIterations:
    """How a list becomes an image.

    Attributes
    ----------
    iterations, subsets : int
        Passes over the list, and parts of it that are used one after another.
    method : {"osem", "bsrem", "aml"}
        Algorithm: osem keeps voxels above zero; bsrem is penalised with the relative-difference prior and converges;
        aml lets voxels go below zero as far as the background of the lines allows, so that little is added up where
        nothing is.
    prior_strength : float
        Weight of the prior of bsrem over the sensitivity of the voxels, from 0.01 (many counts) to 1 (few).
    prior_edge : float
        Gamma of that prior: larger keeps edges more.
    relaxation : float
        Step of iteration n of bsrem is 1 / (1 + relaxation n).
    bound_share : float
        Of the background of a line that aml may take away, below 1.

    References
    ----------
    Subsets: Hudson and Larkin, IEEE Trans Med Imaging 1994;13:601. Prior: Nuyts et al., IEEE Trans Nucl Sci 2002;49:56.
    BSREM: Ahn and Fessler, IEEE Trans Med Imaging 2003;22:613.
    """

    iterations: int = 3
    subsets: int = 12
    method: Method = "osem"
    prior_strength: float = 0.0
    prior_edge: float = 2.0
    relaxation: float = 0.1
    bound_share: float = 0.9

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.subsets < 1:
            raise InputError(f"{self.iterations} iterations of {self.subsets} subsets make no image")
        if self.method not in ("osem", "bsrem", "aml"):
            raise InputError(f"method {self.method!r} is none of osem, bsrem, aml")
        if min(self.prior_strength, self.prior_edge, self.relaxation) < 0 or not 0 < self.bound_share < 1:
            raise InputError("prior and relaxation must not be negative, the share of the bound lie between 0 and 1")
        if self.prior_strength and self.method != "bsrem":
            raise InputError(f"method {self.method} has no prior", remedy="take bsrem, or no prior")


def subsets_allowed(prompts: int, randoms: float, wanted: int) -> int:
    """Subsets that a list has counts for: 10 000 coincidences that are not random each, but one at least."""
    return max(min(wanted, int(max(prompts - randoms, 0) // EVENTS_PER_SUBSET)), 1)


def reconstruct_list(
    data: ListData,
    projector: LineProjector,
    settings: ListIterations,
    *,
    within: NDArray[np.bool_] | None = None,
    start: NDArray[Any] | None = None,
    weights: NDArray[Any] | None = None,
    on_iteration: Callable[[int, Float32], None] | None = None,
) -> Float32:
    """Image of a list, annihilations per mm^3 within the frame.

    Parameters
    ----------
    data : ListData
    projector : LineProjector
        Of the events' scanner and bed.
    settings : ListIterations
    within : ndarray of bool, optional
        Where activity can be.
    start : ndarray, optional
        First image; uniform where none is given.
    weights : ndarray, shape (events,), optional
        How often each event counts (a bootstrap); once where none is given.
    on_iteration : callable, optional
        Told the number of iterations done and the image.

    Raises
    ------
    InputError
        If there are fewer events than subsets, or the sensitivity is zero everywhere.
    """
    ready = Prepared.of(data, projector, settings, within)
    if weights is not None:
        ready = ready.weighted(weights)
    shifted = ready.first(start)
    for done in range(settings.iterations):
        for number in range(settings.subsets):
            shifted = ready.update(shifted, number, done)
        if on_iteration is not None:
            on_iteration(done + 1, ready.image(shifted))
    return ready.image(shifted)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A subset: which events of the list, in an order that suits the memory, their background, how often each counts.

    The background is what is left above the bound.
    """

    which: NDArray[np.intp]
    events: Coincidences
    background: Float32
    weight: Float32 | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A list made ready for its updates, on the box of voxels that are reconstructed.

    Attributes
    ----------
    settings : ListIterations
    shape : tuple of int
        Of the whole grid.
    window : tuple of slice
        The box: outside of it nothing is looked for.
    projector : LineProjector
        Of the box.
    support : ndarray of bool
        Voxels of the box that are reconstructed.
    seen : ndarray of float32
        Counts per annihilation per mm^3 in each of them.
    parts : tuple of Part
    bound : ndarray of float32
        How far voxels may go below zero; 0 but for aml.
    """

    settings: ListIterations
    shape: tuple[int, ...]
    window: tuple[slice, slice, slice]
    projector: LineProjector
    support: NDArray[np.bool_]
    seen: Float32
    parts: tuple[Part, ...]
    bound: Float32

    @classmethod
    def of(
        cls, data: ListData, projector: LineProjector, settings: ListIterations, within: NDArray[np.bool_] | None
    ) -> Prepared:
        """From a list; see `reconstruct_list`."""
        if len(data.events) < settings.subsets:
            raise InputError(f"{len(data.events)} coincidences cannot be parted into {settings.subsets} subsets")
        seen = data.sensitivity * np.float32(np.prod(projector.grid.spacing_mm))
        support = seen > SEEN * float(seen.max())
        if within is not None:
            support &= within
        if not support.any():
            raise InputError("no voxel of the image is seen by the scanner: is the bed where the patient is?")
        window = box_around(support, projector.reach_voxels)
        inner = replace(projector, grid=projector.grid.crop(window))
        parts = tuple(_part(data, n, settings.subsets) for n in range(settings.subsets))
        bound = np.zeros(inner.grid.shape, np.float32)
        if settings.method == "aml":
            pairs = [(part.events, part.background) for part in parts]
            bound, left = lower_bound(pairs, inner, support[window], settings.bound_share)
            parts = tuple(replace(part, background=b) for part, b in zip(parts, left, strict=True))
        return cls(settings, seen.shape, window, inner, support[window], seen[window], parts, bound)

    def weighted(self, weights: NDArray[Any]) -> Prepared:
        """The same with events that count more than once, or not at all."""
        given = np.asarray(weights, np.float32)
        return replace(self, parts=tuple(replace(part, weight=given[part.which]) for part in self.parts))

    def first(self, start: NDArray[Any] | None) -> Float32:
        """First image above the bound."""
        if start is None:
            count = sum(len(p.events) if p.weight is None else float(p.weight.sum()) for p in self.parts)
            level = np.float32(count / float(self.seen[self.support].sum()))
            above = level + self.bound
        else:
            above = np.asarray(start, np.float32)[self.window] + self.bound
            level = np.float32(above[self.support].mean())
        return np.where(self.support, np.maximum(above, np.float32(1e-6) * level), 0).astype(np.float32)

    def update(self, shifted: Float32, number: int, done: int) -> Float32:
        """One update by a subset; `done` iterations were done."""
        part, settings = self.parts[number], self.settings
        back = self.projector.back(self.ratio(shifted, part), part.events)
        seen = self.seen / np.float32(settings.subsets)
        if settings.method != "bsrem":
            return np.where(self.support, shifted * back / np.where(self.support, seen, 1), 0).astype(np.float32)
        return self._penalised(shifted, back, seen, done)

    def ratio(self, shifted: Float32, part: Part) -> Float32:
        """Counted over expected of each event of a part."""
        expected = self.projector.forward(shifted, part.events) + part.background
        counted = np.float32(1) if part.weight is None else part.weight
        return np.asarray(np.divide(counted, expected, out=np.zeros_like(expected), where=expected > 0))

    def image(self, shifted: Float32) -> Float32:
        """Image on the whole grid."""
        found = np.zeros(self.shape, np.float32)
        found[self.window] = np.where(self.support, shifted - self.bound, 0)
        return found

    def _penalised(self, image: Float32, back: Float32, seen: Float32, done: int) -> Float32:
        """A relaxed step up the penalised likelihood, scaled by the image over its curvature."""
        settings = self.settings
        strength = settings.prior_strength * float(np.median(seen[self.support]))
        ascent, curvature = back - seen, seen
        if strength:
            options = IterationOptions(
                method="bsrem", prior_strength=strength, prior_edge=settings.prior_edge, relaxation=settings.relaxation
            )
            ascent = ascent - penalty_gradient(image, options, self.projector.grid.spacing_mm)
            curvature = seen + np.float32(NEIGHBOURS * strength)
        step = np.float32(1 / (1 + settings.relaxation * done))
        made = image + step * image * ascent / np.where(self.support, curvature, 1)
        # a voxel at zero would stay there: it is kept a little above
        least = np.float32(1e-6 * float(image.max()))
        return np.where(self.support, np.maximum(made, least), 0).astype(np.float32)


def _part(data: ListData, number: int, subsets: int) -> Part:
    which = np.arange(number, len(data.events), subsets)
    which = which[data.events.taken(which).order()]
    return Part(which, data.events.taken(which), data.background[which])
