"""Reconstruction of PET from a list: expectation maximisation by ordered subsets, with a prior, or below zero.

The image maximises the Poisson likelihood of the list: expected on a line and bin are ``e s (A x) + b``, with the
line's efficiency e, the share s that leaves the patient, and b randoms and scatter. In list mode only
``b / (e s)`` of each event and the sensitivity image are needed (Parra and Barrett, IEEE Trans Med Imaging 1998;
17:228).

With few counts an image that cannot be negative adds up its noise where nothing is. Two methods let it go below zero:

- "aml" runs the same algorithm on ``x + a`` above a bound -a(x) <= 0 (Byrne, Inverse Probl 1998;14:1455; Van
  Slambrouck et al., IEEE Trans Med Imaging 2015;34:126). It needs ``A a < b / (e s)`` on every line
  (`reconstruct.bound`), which holds the bound to about half of the mean concentration with 80 % randoms: half a remedy.
- "negml" climbs the likelihood itself, without a bound. NEGML (Nuyts et al., Conf Rec IEEE NSS/MIC 2002, 1740) makes
  the likelihood of a bin that is expected to count less than psi a parabola; a line and bin of a list is expected to
  count a thousandth, so psi cannot be a number of counts here. It is each line's own background instead, or a share of
  it: below, the logarithm goes on as its parabola. The true image expects more than that on every line, so the
  equation that is solved keeps the truth as its expectation. Steps are those of a separable parabola above the
  likelihood (De Pierro, IEEE Trans Med Imaging 1995;14:132) about a smooth image, never about the voxel's own value,
  so that voxels pass zero freely.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import FWHM_PER_SD
from hepatica.errors import InputError
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.lines import LineProjector, box_around
from hepatica.imaging.pet.reconstruct.bound import lower_bound
from hepatica.imaging.reconstruct.algorithms import IterationOptions, penalty_gradient

Float32 = NDArray[np.float32]
Method = Literal["negml", "osem", "bsrem", "aml"]
BELOW_ZERO: tuple[Method, ...] = ("negml", "aml")
"""Methods whose voxels may be negative, so that means are not biased where little or nothing is."""

SEEN = 1e-2
"""Voxels seen less than this share of the best seen one are left at zero: the list says nothing of them."""
EVENTS_PER_SUBSET = 10_000
"""True and scattered coincidences that a subset needs: a 37-mm sphere that holds 2 % of the activity has then 200 of
them, and its mean goes up and down by 7 % from subset to subset. With fewer that swing is as large as the error."""
NEIGHBOURS = 6
SCALE_FWHM_MM = 12.0
"""The image that scales the steps of negml is smoothed so much: it shall know the lesions, not the noise."""
LEAST_EXPECTED = 1e-3
"""Of the mean background: where a line has none, the parabola begins there."""
FREE_SEEN, FREE_CURVATURE = 0.1, 0.5
"""Voxels that negml leaves free are seen at least so well as the best one, and crossed by enough events for a
curvature of so much of the mean one over the sensitivity. That falls as the randoms rise: a fixed number would leave no
voxel free where 95 % are random. Nothing in a list holds others back: lines without an event only pull them down. To
free deep voxels too (a tenth of the best one of their column) took a patient of 65 000 coincidences that are not random
20 % below its truth."""
DEEPEST = 10.0
"""No free voxel goes farther below zero than so many times the smooth image: far below noise, but no runaway."""


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
    method : {"osem", "bsrem", "aml", "negml"}
        Algorithm: osem keeps voxels above zero; bsrem is penalised with the relative-difference prior and converges
        (its first iteration, as that of negml, is osem);
        negml lets voxels go below zero, so that noise is not added up where nothing is; aml as far as the background
        of the lines allows.
    prior_strength : float
        Weight of the prior of bsrem over the sensitivity of the voxels, from 0.01 (many counts) to 1 (few).
    prior_edge : float
        Gamma of that prior: larger keeps edges more.
    relaxation : float
        Step of iteration n of bsrem is 1 / (1 + relaxation n).
    bound_share : float
        Of the background of a line that aml may take away, below 1.
    psi_share : float
        Of the background of a line, below which negml takes its likelihood for a parabola.

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
    psi_share: float = 1.0

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.subsets < 1:
            raise InputError(f"{self.iterations} iterations of {self.subsets} subsets make no image")
        if self.method not in get_args(Method):
            raise InputError(f"method {self.method!r} is none of {', '.join(get_args(Method))}")
        if min(self.prior_strength, self.prior_edge, self.relaxation) < 0:
            raise InputError("prior and relaxation must not be negative")
        if not 0 < self.bound_share < 1 or not 0 < self.psi_share <= 1:
            raise InputError("the shares of bound and psi lie between 0 and 1")
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
        if done == 1 and settings.method == "negml":
            ready = ready.with_scale(shifted)
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
    scale : ndarray of float32 or None
        Of the steps of negml, a step per count of a voxel, 0 where it goes on as osem; None in the first iteration,
        which is osem.
    deepest : ndarray of float32 or None
        How far free voxels of negml may go below zero.
    """

    settings: ListIterations
    shape: tuple[int, ...]
    window: tuple[slice, slice, slice]
    projector: LineProjector
    support: NDArray[np.bool_]
    seen: Float32
    parts: tuple[Part, ...]
    bound: Float32
    scale: Float32 | None = None
    deepest: Float32 | None = None

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

    def with_scale(self, image: Float32) -> Prepared:
        """The same with the steps of negml: about this image, smoothed, and no less than its mean."""
        from scipy.ndimage import gaussian_filter

        sd = [SCALE_FWHM_MM / FWHM_PER_SD / mm for mm in self.projector.grid.spacing_mm]
        smooth = gaussian_filter(np.maximum(image, 0), sd, mode="nearest")
        level = float((image * self.seen).sum() / self.seen[self.support].sum())
        about = np.where(self.support, np.maximum(smooth, level), 0).astype(np.float32)
        bent = np.zeros_like(about)
        for part in self.parts:
            shown = self.projector.forward(about, part.events)
            steepest = np.maximum(self.psi(part), (shown + part.background) / 2)
            bent += self.projector.back(shown / np.square(steepest), part.events)
        well = self.support & (self.seen > FREE_SEEN * float(self.seen.max()))
        usual = float(bent[well].sum(dtype=np.float64) / max(self.seen[well].sum(dtype=np.float64), 1e-30))
        free = well & (bent > FREE_CURVATURE * usual * self.seen) & (bent > 0)
        scale = np.where(free, about / np.where(free, bent, 1), 0).astype(np.float32)
        return replace(self, scale=scale, deepest=np.float32(DEEPEST) * about)

    def psi(self, part: Part) -> Float32:
        """Expected on the lines of a part, below which the likelihood is taken for a parabola."""
        share = np.float32(self.settings.psi_share)
        least = np.float32(LEAST_EXPECTED * float(part.background.mean()) + 1e-30)
        return np.asarray(np.maximum(share * part.background, least), np.float32)

    def update(self, shifted: Float32, number: int, done: int) -> Float32:
        """One update by a subset; `done` iterations were done."""
        part, settings = self.parts[number], self.settings
        back = self.projector.back(self.ratio(shifted, part), part.events)
        seen = self.seen / np.float32(settings.subsets)
        safe = np.where(self.support, seen, np.float32(1))
        if settings.method == "bsrem" and done > 0:
            return self._penalised(shifted, back, seen, done)
        if self.scale is not None and self.deepest is not None:
            free = shifted + np.float32(settings.subsets) * self.scale * (back - seen)
            shifted = np.where(self.scale > 0, np.maximum(free, -self.deepest), shifted * back / safe)
            return np.where(self.support, shifted, 0).astype(np.float32)
        return np.where(self.support, shifted * back / safe, 0).astype(np.float32)

    def ratio(self, shifted: Float32, part: Part) -> Float32:
        """Counted over expected of each event of a part."""
        expected = self.projector.forward(shifted, part.events) + part.background
        counted = np.float32(1) if part.weight is None else part.weight
        return np.asarray(counted * self.slope(expected, part)[0], np.float32)

    def slope(self, expected: Float32, part: Part) -> tuple[Float32, Float32]:
        """First and second derivative of the logarithm, or of what stands for it below a share of the background."""
        if self.scale is None:
            slope = np.divide(1, expected, out=np.zeros_like(expected), where=expected > 0).astype(np.float32)
            return slope, -slope * slope
        least = self.psi(part)
        above = np.maximum(expected, least)
        first = (2 * above - expected) / np.square(above)
        first = np.where(expected >= least, 1 / above, first)
        return first.astype(np.float32), np.asarray(-1 / np.square(above), np.float32)

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
