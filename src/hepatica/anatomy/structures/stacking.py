"""Contour planes put one behind the other: which planes are one, and how thick a slab of space each stands for.

A structure is drawn at one distance, or at several (thin slices through the tumour, thick ones elsewhere). A gap
between two planes belongs to the structure where

- it is at most twice the usual distance (one forgotten or skipped slice), or
- a gap of the same length follows or precedes it: that part is drawn at a distance of its own, or
- it is no longer than any image's slices are apart, and the outlines on both sides lie on one another.

Other gaps separate two parts of the structure, each with ends of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.polygons import FloatArray, IntArray
from hepatica.core.message import Message

MERGE_MM = 0.05
"""Contours whose planes lie closer than this share one plane; no scanner has thinner slices."""

ROUNDED_MM, REDRAWN_MM = 0.15, 0.5
"""Planes no farther apart than the first number, in a stack whose others are `LONELY` times as far, are one plane drawn
twice; up to the second number they are so if there are three places or more and no thin slices anywhere."""

LONELY = 3.0

WHOLE_GAP = 2.1
"""A gap of up to this many plane distances is filled (one skipped slice, with 5 % for rounding)."""

SAME_DISTANCE = 1.25
"""Neighbouring gaps that differ by less than this factor are of one distance."""

FARTHEST_SLICES_MM = 10.5
"""Slices of clinical images are at most 10 mm apart; a longer gap needs more than one neighbour's word."""

ON_ONE_ANOTHER = 0.5
"""Part of the smaller outline that must lie on the larger one for both to be of one body."""


@dataclass(frozen=True, slots=True)
class Slabs:
    """Contour planes and the slab of space each stands for, in mm along the normal; planes ascend.

    Attributes
    ----------
    plane_of : ndarray of int, shape (contours,)
        Plane of each contour.
    low, high : ndarray, shape (planes,)
        Faces of the slabs.
    distance_mm : float
        The usual distance between neighbouring planes.
    bridged : ndarray, shape (planes,)
        How much of each slab fills a place where planes are missing, in mm.
    messages : tuple of Message
        Gaps, and distances that were assumed or are mixed.
    """

    plane_of: IntArray
    low: FloatArray
    high: FloatArray
    distance_mm: float
    bridged: FloatArray
    messages: tuple[Message, ...]


def planes_of(heights_mm: FloatArray) -> IntArray:
    """Plane of each contour by its height along the normal; planes are numbered upwards.

    Heights a rounding apart are one plane. So are two or more that lie much closer to each other than to their
    neighbours: a plane drawn again on an image that is a tenth of a millimetre off.
    """
    order = np.argsort(heights_mm, kind="stable")
    plane_of = np.empty(len(heights_mm), dtype=np.int64)
    plane_of[order] = np.cumsum(np.concatenate([[False], np.diff(heights_mm[order]) > MERGE_MM]))
    planes = np.bincount(plane_of, weights=heights_mm) / np.bincount(plane_of)
    gaps = np.diff(planes)
    close = gaps <= REDRAWN_MM
    if not close.any():
        return plane_of
    bounds = np.concatenate([[0], np.flatnonzero(~close) + 1, [len(planes)]])
    groups = list(pairwise(bounds.tolist()))
    extents = [float(planes[end - 1] - planes[first]) for first, end in groups]
    most = REDRAWN_MM if len(groups) > 2 and max(extents) <= REDRAWN_MM else ROUNDED_MM
    merged = np.zeros(len(gaps), dtype=np.bool_)
    for (first, end), extent in zip(groups, extents, strict=True):
        beside = [gaps[at] for at in (first - 1, end - 1) if 0 <= at < len(gaps)]
        if extent <= most and all(gap >= LONELY * extent for gap in beside):
            merged[first : end - 1] = True
    renumbered = np.concatenate([[0], np.cumsum(~merged)])
    return np.asarray(renumbered[plane_of], dtype=np.int64)


def usual_step(gaps: FloatArray) -> float | None:
    """Lower median of distances: neither a short step nor the jump between two parts moves it; None without any."""
    return float(np.sort(gaps)[(len(gaps) - 1) // 2]) if len(gaps) else None


def slabs(
    name: str,
    heights_mm: FloatArray,
    plane_of: IntArray,
    *,
    alone_mm: float | None,
    slice_mm: float,
    shared_part: Callable[[int], float],
) -> Slabs:
    """Slab of space that each plane stands for.

    Parameters
    ----------
    name : str
        The structure's name, for messages.
    heights_mm : ndarray, shape (contours,)
        Height of each contour along the normal.
    plane_of : ndarray of int, shape (contours,)
        Plane of each contour, see `planes_of`.
    alone_mm : float or None
        Thickness of a structure on one plane; None: `slice_mm`, with a message.
    slice_mm : float
        Distance between the slices of the image.
    shared_part : callable
        Part of the smaller of the outlines on plane n and n + 1 that lies within both, by n.
    """
    planes = np.bincount(plane_of, weights=heights_mm) / np.bincount(plane_of)
    gaps = np.diff(planes)
    messages: list[Message] = []
    distance = usual_step(gaps)
    if distance is None:
        distance = alone_mm
    if distance is None:
        distance = slice_mm
        text = f"contours on one plane only; taken as one image slice, {distance:g} mm thick"
        messages.append(Message("one-plane-only", f"structure {name!r}: {text}"))
    run = _run_lengths(gaps)
    joined = gaps <= WHOLE_GAP * distance
    for at in np.flatnonzero(~joined):
        joined[at] = _belongs(float(gaps[at]), int(run[at]), lambda at=int(at): shared_part(at))  # type: ignore[misc]
    own = joined & (run > 1) & ((gaps > 1.5 * distance) | (gaps < distance / 1.5))
    if own.any():
        text = (
            f"planes at mixed distances ({gaps[joined].min():.3g} to {gaps[joined].max():.3g} mm); each contour stands "
            "for the space half way to its neighbours"
        )
        messages.append(Message("planes-at-mixed-distances", f"structure {name!r}: {text}", severity="note"))
    skipped = np.where(joined & ~own & (gaps > 1.5 * distance), gaps - distance, 0.0) / 2
    if parts := int((~joined).sum()):
        text = (
            f"structure {name!r}: {parts} gaps of {gaps[~joined].min():.3g} mm or more between contour planes "
            f"({distance:.3g} mm apart) separate its parts"
        )
        messages.append(Message("gaps-separate-parts", text, "if slices were skipped in drawing, fill them in"))
    below, above = _halves(gaps, joined, own, distance)
    bridged = np.append(skipped, 0.0) + np.insert(skipped, 0, 0.0)
    return Slabs(plane_of, planes - below, planes + above, distance, bridged, tuple(messages))


def _run_lengths(gaps: FloatArray) -> IntArray:
    """How many gaps of one distance follow each other where each gap stands, shape as `gaps`."""
    if not len(gaps):
        return np.zeros(0, dtype=np.int64)
    ratio = gaps[1:] / gaps[:-1]
    changes = (ratio > SAME_DISTANCE) | (ratio < 1 / SAME_DISTANCE)
    which = np.concatenate([[0], np.cumsum(changes)])
    return np.asarray(np.bincount(which)[which], dtype=np.int64)


def _belongs(gap_mm: float, run: int, shared_part: Callable[[], float]) -> bool:
    """Whether a gap longer than `WHOLE_GAP` lies within one body."""
    if run > 2 or (run == 2 and gap_mm <= FARTHEST_SLICES_MM):
        return True
    return (run == 2 or gap_mm <= FARTHEST_SLICES_MM) and shared_part() >= ON_ONE_ANOTHER


def _halves(
    gaps: FloatArray, joined: NDArray[np.bool_], own: NDArray[np.bool_], distance: float
) -> tuple[FloatArray, FloatArray]:
    """How far each slab reaches below and above its plane."""
    half = gaps / 2
    # An end beside a long gap: as the gap on the other side, where that is of a distance of its own.
    usual = distance / 2
    inner_below = np.insert(np.where(own, half, usual), 0, usual)
    inner_above = np.append(np.where(own, half, usual), usual)
    above = np.append(np.where(joined, half, inner_below[: len(gaps)]), usual)
    below = np.insert(np.where(joined, half, inner_above[1:]), 0, usual)
    if len(gaps) and joined[-1]:
        above[-1] = half[-1]
    if len(gaps) and joined[0]:
        below[0] = half[0]
    return below, above
