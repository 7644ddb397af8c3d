"""Reconstruction of PET from a list: ordered subsets of the expectation maximisation, with or without positivity.

The image maximises the Poisson likelihood of the list: expected on a line and bin are ``e s (A x) + b``, with the
line's efficiency e, the share s that leaves the patient, and b randoms and scatter. In list mode only
``b / (e s)`` of each event and the sensitivity image are needed (Parra and Barrett, IEEE Trans Med Imaging 1998;
17:228).

With few counts an image that cannot be negative adds up its noise where nothing is. `floor` lets it go below zero
instead: with a bound a(x) <= 0 the same algorithm runs on ``x - a`` (Byrne, Inverse Probl 1998;14:1455; "AML"), which
needs ``b / (e s) + A a > 0`` on every line. 90Y has enough randoms for a bound well below its noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.lines import LineProjector

Float32 = NDArray[np.float32]

SEEN = 1e-2
"""Voxels seen less than this share of the best seen one are left at zero: the list says nothing of them."""
FLOOR_SHARE = 0.9
"""Of the least background over path, as the bound below zero: a tenth of every line's background stays."""
OF_LINES = 1e-4
"""Share of the lines that may have less background per path than that bound asks for; there it is raised."""


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
    below_zero : bool
        Whether voxels may go below zero where the background lets them.
    """

    iterations: int = 3
    subsets: int = 12
    below_zero: bool = False

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.subsets < 1:
            raise InputError(f"{self.iterations} iterations of {self.subsets} subsets make no image")


def reconstruct_list(
    data: ListData,
    projector: LineProjector,
    settings: ListIterations,
    *,
    within: NDArray[np.bool_] | None = None,
    start: NDArray[Any] | None = None,
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
    on_iteration : callable, optional
        Told the number of iterations done and the image.

    Raises
    ------
    InputError
        If there are fewer events than subsets, or the sensitivity is zero everywhere.
    """
    if len(data.events) < settings.subsets:
        raise InputError(f"{len(data.events)} coincidences cannot be parted into {settings.subsets} subsets")
    voxel = float(np.prod(projector.grid.spacing_mm))
    seen = data.sensitivity * np.float32(voxel)
    support = seen > SEEN * float(seen.max())
    if within is not None:
        support &= within
    if not support.any():
        raise InputError("no voxel of the image is seen by the scanner: is the bed where the patient is?")
    parts = [_Part.of(data, slice(n, None, settings.subsets)) for n in range(settings.subsets)]
    floor = np.float32(0.0)
    if settings.below_zero:
        floor, parts = _lowered(parts, projector, support)
    share = np.float32(1 / settings.subsets)
    level = len(data.events) / float(seen[support].sum()) if start is None else 0.0
    shifted = np.where(support, (level if start is None else np.asarray(start, np.float32)) + floor, 0)
    shifted = np.maximum(shifted, np.where(support, np.float32(1e-6 * (level + floor)), 0)).astype(np.float32)
    inverse = np.where(support, 1 / np.where(support, seen * share, 1), 0).astype(np.float32)
    for done in range(settings.iterations):
        for part in parts:
            expected = projector.forward(shifted, part.events) + part.background
            ratio = np.divide(1, expected, out=np.zeros_like(expected), where=expected > 0)
            shifted = shifted * inverse * projector.back(ratio, part.events)
        if on_iteration is not None:
            on_iteration(done + 1, _above(shifted, floor, support))
    return _above(shifted, floor, support)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A subset: its events, in an order that suits the memory, and their background."""

    events: Coincidences
    background: Float32

    @classmethod
    def of(cls, data: ListData, which: slice) -> _Part:
        events, background = data.events.taken(which), data.background[which]
        order = events.order()
        return cls(events.taken(order), background[order])


def _lowered(
    parts: list[_Part], projector: LineProjector, support: NDArray[np.bool_]
) -> tuple[np.float32, list[_Part]]:
    """The bound below zero as a positive number, and the parts with the background that is left above it."""
    paths = [projector.forward(support.astype(np.float32), part.events) for part in parts]
    per_path = np.concatenate([p.background / np.maximum(path, 1e-6) for p, path in zip(parts, paths, strict=True)])
    crossing = np.concatenate(paths) > 0
    if not crossing.any():
        return np.float32(0), parts
    floor = np.float32(FLOOR_SHARE * np.quantile(per_path[crossing], OF_LINES))
    left = [
        _Part(part.events, np.maximum(part.background - floor * path, (1 - FLOOR_SHARE) * part.background))
        for part, path in zip(parts, paths, strict=True)
    ]
    return floor, left


def _above(shifted: Float32, floor: np.float32, support: NDArray[np.bool_]) -> Float32:
    return np.where(support, shifted - floor, 0).astype(np.float32)
