"""Reconstruction of PET from a list: expectation maximisation by ordered subsets, with a prior, or below zero.

The image maximises the Poisson likelihood of the list: expected on a line and bin are ``e s (A x) + b``, with the
line's efficiency e, the share s that leaves the patient, and b randoms and scatter. In list mode only
``b / (e s)`` of each event and the sensitivity image are needed (Parra and Barrett, IEEE Trans Med Imaging 1998;
17:228).

With few counts an image that cannot be negative adds up its noise where nothing is. Two methods let it go below zero:

- "aml" runs the same algorithm on ``x + a`` above a bound -a(x) <= 0 (Byrne, Inverse Probl 1998;14:1455; Van
  Slambrouck et al., IEEE Trans Med Imaging 2015;34:126). It needs ``A a < b / (e s)`` on every line
  (`reconstruct.bound`), which holds the bound to about half of the mean concentration with 80 % randoms: half a remedy.
- "wls" is least squares with weights of a model (`reconstruct.least_squares`): linear in the events, without any bound.
  Methods that follow the likelihood of a list itself below zero (NEGML: Nuyts et al., Conf Rec IEEE NSS/MIC 2002, 1740)
  need many counts for each line and bin: of a list the events alone say how it bends, and fluctuate with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.lines import LineProjector, box_around
from hepatica.imaging.pet.reconstruct.bound import lower_bound
from hepatica.imaging.pet.reconstruct.least_squares import LeastSquares, height_of, reference_of
from hepatica.imaging.pet.reconstruct.model_lines import ModelLines
from hepatica.imaging.reconstruct.algorithms import IterationOptions, penalty_gradient

Float32 = NDArray[np.float32]
Method = Literal["wls", "osem", "bsrem", "aml"]
BELOW_ZERO: tuple[Method, ...] = ("wls", "aml")
"""Methods whose voxels may be negative, so that means are not biased where little or nothing is."""

SEEN = 1e-2
"""Voxels seen less than this share of the best seen one are left at zero: the list says nothing of them."""
EVENTS_PER_SUBSET = 10_000
"""True and scattered coincidences that a subset needs: a 37-mm sphere that holds 2 % of the activity has then 200 of
them, and its mean goes up and down by 7 % from subset to subset. With fewer that swing is as large as the error."""
NEIGHBOURS = 6
FIRST_UPDATES, FIRST_EVENTS = 8, 20_000
"""Updates of osem for the reference image of wls, each by so many events at least."""


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
    model : ModelLines or None
        Lines and bins that stand for all, which wls needs.
    """

    events: Coincidences
    background: Float32
    sensitivity: Float32
    model: ModelLines | None = None

    def __post_init__(self) -> None:
        if self.background.shape != (len(self.events),):
            raise InputError(f"{len(self.events)} coincidences need one background each, not {self.background.shape}")
        if not (np.isfinite(self.background).all() and (self.background >= 0).all()):
            raise InputError("the background of a coincidence must be finite and not negative")

    def part(self, which: NDArray[np.bool_], share: float) -> ListData:
        """Some of the events, chosen with a chance that is their share."""
        model = None if self.model is None else self.model.shared(share)
        seen = self.sensitivity * np.float32(share)
        return ListData(self.events.taken(which), self.background[which], seen, model)


@dataclass(frozen=True, slots=True)
class ListIterations:
    """How a list becomes an image.

    Attributes
    ----------
    iterations, subsets : int
        Passes over the list, and parts of it that are used one after another. Of wls steps, without subsets.
    method : {"osem", "bsrem", "aml", "wls"}
        Algorithm: osem keeps voxels above zero; bsrem is penalised with the relative-difference prior and converges
        (its first iteration is osem); wls is weighted least squares, linear in the events: voxels go below zero, so
        that noise is not added up where nothing is; aml goes as far as the background of the lines allows.
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
        if self.method not in get_args(Method):
            raise InputError(f"method {self.method!r} is none of {', '.join(get_args(Method))}")
        if min(self.prior_strength, self.prior_edge, self.relaxation) < 0:
            raise InputError("prior and relaxation must not be negative")
        if not 0 < self.bound_share < 1:
            raise InputError("the share of the bound lies between 0 and 1")
        if self.method == "wls" and self.subsets != 1:
            raise InputError(f"wls takes the whole list at once, not {self.subsets} subsets of it")
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
        First image; uniform where none is given. Of wls the look that is smoothed into its reference, as high as it is.
    weights : ndarray, shape (events,), optional
        How often each event counts (a bootstrap); once where none is given.
    on_iteration : callable, optional
        Told the number of iterations done and the image.

    Raises
    ------
    InputError
        If there are fewer events than subsets, the sensitivity is zero everywhere, or wls has no lines of the model.
    """
    if settings.method == "wls":
        return WlsProblem.of(data, projector, settings, within, start=start, weights=weights).solved(on_iteration)
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
class WlsProblem:
    """The equation of a list, its events' share in the right side, and the first look's voxels made ready.

    Attributes
    ----------
    ready : Prepared
        Whose one part holds the events.
    equation : LeastSquares
    inverse_variance : ndarray of float32
        Of each event of the part.
    """

    ready: Prepared
    equation: LeastSquares
    inverse_variance: Float32

    @classmethod
    def of(
        cls,
        data: ListData,
        projector: LineProjector,
        settings: ListIterations,
        within: NDArray[np.bool_] | None,
        *,
        start: NDArray[Any] | None = None,
        weights: NDArray[Any] | None = None,
    ) -> WlsProblem:
        """From a list; see `reconstruct_list`."""
        if data.model is None:
            raise InputError("the method wls needs lines and bins of the model, not of the events alone")
        given = start is not None
        if start is None:
            subsets = min(max(len(data.events) // FIRST_EVENTS, 1), FIRST_UPDATES)
            first = ListIterations(-(-FIRST_UPDATES // subsets), subsets)
            start = reconstruct_list(data, projector, first, within=within, weights=weights)
        ready = Prepared.of(data, projector, settings, within)
        if weights is not None:
            ready = ready.weighted(weights)
        inner, support = ready.projector, ready.support
        look = np.asarray(start, np.float32)[ready.window]
        about = reference_of(look, support, ready.seen, inner.grid.spacing_mm)
        part = ready.parts[0]
        if not given:
            seen = ready.seen * support
            height = height_of(about, data.model, inner, part.events, part.background, seen, weights=part.weight)
            about = about * np.float32(height)
        equation = LeastSquares.about(about, data.model, inner, support)
        return cls(ready, equation, equation.inverse_variance(part.events, part.background))

    def solved(self, on_iteration: Callable[[int, Float32], None] | None = None) -> Float32:
        """The image on the whole grid."""
        ready, reference = self.ready, self.equation.reference
        part = ready.parts[0]
        counted = self.inverse_variance if part.weight is None else self.inverse_variance * part.weight
        right = np.where(ready.support, ready.projector.back(counted, part.events) - ready.seen, 0).astype(np.float32)
        told = None
        if on_iteration is not None:
            told = lambda done, change: on_iteration(done, ready.image(reference + change))  # noqa: E731
        return ready.image(reference + self.equation.solved(right, ready.settings.iterations, told))

    def influence(self, region: NDArray[np.floating]) -> Float32:
        """Derivative of a region's value to how often each event of the list counts, the reference as it is."""
        ready = self.ready
        part = ready.parts[0]
        inside = np.where(ready.support, region[ready.window], 0).astype(np.float32)
        back = self.equation.solved(inside, ready.settings.iterations)
        found = np.zeros(len(part.events), np.float32)
        found[part.which] = self.inverse_variance * ready.projector.forward(back, part.events)
        return found


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
        safe = np.where(self.support, seen, np.float32(1))
        if settings.method == "bsrem" and done > 0:
            return self._penalised(shifted, back, seen, done)
        return np.where(self.support, shifted * back / safe, 0).astype(np.float32)

    def ratio(self, shifted: Float32, part: Part) -> Float32:
        """Counted over expected of each event of a part."""
        expected = self.projector.forward(shifted, part.events) + part.background
        counted = np.float32(1) if part.weight is None else part.weight
        slope = np.divide(counted, expected, out=np.zeros_like(expected), where=expected > 0)
        return np.asarray(slope, np.float32)

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
            spacing = self.projector.grid.spacing_mm
            ascent = ascent - penalty_gradient(image, options, spacing, within=self.support)
            curvature = seen + np.float32(NEIGHBOURS * strength)
        step = np.float32(1 / (1 + settings.relaxation * (done - 1)))
        made = image + step * image * ascent / np.where(self.support, curvature, 1)
        # a voxel at zero would stay there: it is kept a little above
        least = np.float32(1e-6 * float(image.max()))
        return np.where(self.support, np.maximum(made, least), 0).astype(np.float32)


def _part(data: ListData, number: int, subsets: int) -> Part:
    which = np.arange(number, len(data.events), subsets)
    which = which[data.events.taken(which).order()]
    return Part(which, data.events.taken(which), data.background[which])
