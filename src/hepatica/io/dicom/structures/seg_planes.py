"""Planes of a segmentation: stated spacing against positions and SliceThickness, and planes that are missing.

Frames without a voxel may be left out of a segmentation, so a gap between planes is no fault as such. It is one where
*all* planes of a file are two or more spacings apart: nobody draws on every second slice and means those between to be
empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hepatica.core import Region
from hepatica.core.message import Message
from hepatica.io.dicom.structures.planes import POSITION_TOLERANCE, ROUNDING_MM, FloatArray, Plane, depths
from hepatica.io.dicom.tags import Header

MOST_SKIPPED = 4
"""Planes that are all this many spacings apart, or fewer, are taken for one set with planes left out."""

MISSING_AT_MOST = 3
"""A gap of more planes than this is taken to lie between two parts of a structure."""

ON_ONE_ANOTHER = 0.5
"""Part of the smaller section that must lie on the other for both to be of one part."""


def plane_spacing(
    header: Header, planes: Sequence[Plane], stated_mm: float | None
) -> tuple[float | None, tuple[Message, ...]]:
    """Distance between the slices of a segmentation, and what to know about it.

    Parameters
    ----------
    header : Header
        The file, for errors.
    planes : sequence of Plane
        Of its frames.
    stated_mm : float or None
        SpacingBetweenSlices.

    Returns
    -------
    tuple of (float or None, tuple of Message)
        None: the smallest distance between planes counts.

    Raises
    ------
    DicomError
        If the stated spacing contradicts the positions of the planes and SliceThickness does not decide between them.
    """
    depth, order = depths(planes)
    gaps = np.diff(depth[order])
    gaps = gaps[gaps > ROUNDING_MM]
    thickness = planes[0].thickness_mm
    if not gaps.size:
        return stated_mm, _one_plane(header, stated_mm, thickness)
    found = float(gaps.min())
    if stated_mm is None:
        return None, _not_stated(header, gaps, thickness)
    steps = gaps / stated_mm
    fits = bool((np.abs(steps - np.rint(steps)) * stated_mm <= _tolerance(stated_mm)).all())
    if (fits and np.rint(steps.min()) == 1) or (not fits and _same(found, stated_mm)):
        return stated_mm, ()
    stated = f"{stated_mm:g} mm"
    apart = f"the planes lie {found:.4g} mm apart, SliceThickness is {_text(thickness)}"
    if thickness is not None and _same(found, thickness) and _multiples(gaps, found):
        text = f"{header.path}: SpacingBetweenSlices of {stated} is contradicted: {apart}; taken as {found:.4g} mm"
        return found, (Message("spacing-contradicts-planes", text, "check the volume of the structures"),)
    if not fits:
        raise header.error("SpacingBetweenSlices", f"{stated} contradicts the planes: {apart}", remedy=_REMEDY)
    skipped = int(np.rint(found / stated_mm))
    if skipped <= MOST_SKIPPED and _multiples(gaps, found):
        if len(gaps) > 1:
            why = f"contradicts the planes: {apart}; only every {skipped}. plane is there, or the spacing is wrong"
            raise header.error("SpacingBetweenSlices", f"{stated} {why}", remedy=_REMEDY)
        text = (
            f"{header.path}: two planes {found:.4g} mm apart and none between, SpacingBetweenSlices is {stated}; "
            "what lies between counts as empty"
        )
        return stated_mm, (Message("planes-missing", text),)
    return stated_mm, ()


def missing_planes(drawn: Region, present: set[int]) -> list[Message]:
    """What to know of planes that have no frame though a structure lies on both sides of them.

    Parameters
    ----------
    drawn : Region
        The structure on the grid of its segmentation.
    present : set of int
        Slices that have a frame.
    """
    if drawn.is_empty:
        return []
    window = drawn.window[2]
    here = sorted(k for k in present if window.start <= k < window.stop)
    missing, volume_ml, first = 0, 0.0, None
    for low, high in pairwise(here):
        if not 1 < high - low <= MISSING_AT_MOST + 1:
            continue
        below, above = (drawn.coverage[:, :, k - window.start] for k in (low, high))
        smaller = min(float(below.sum()), float(above.sum()))
        if smaller > 0 and float(np.minimum(below, above).sum()) >= ON_ONE_ANOTHER * smaller:
            first = low if first is None else first
            missing += high - low - 1
            volume_ml += (high - low - 1) * float(below.sum() + above.sum()) / 2 * drawn.grid.voxel_volume_ml
    if first is None:
        return []
    corner = drawn.grid.to_mm([0, 0, first + 1])
    where = "(" + ", ".join(f"{x:.1f}" for x in corner) + ")"
    text = (
        f"structure {drawn.name!r}: {missing} planes without a frame between others that it lies on, the first at "
        f"{where} mm, count as empty; filled they would add {volume_ml:.3g} mL"
    )
    return [Message("planes-missing", text, "export the segmentation with all its planes")]


_REMEDY = "export the segmentation with all its planes and their distance"


def _one_plane(header: Header, stated_mm: float | None, thickness: float | None) -> tuple[Message, ...]:
    if stated_mm is None or not thickness or _same(stated_mm, thickness):
        return ()
    text = (
        f"{header.path}: one plane only, SpacingBetweenSlices is {stated_mm:g} mm, SliceThickness {thickness:g} mm; "
        f"taken as {stated_mm:g} mm thick"
    )
    return (Message("spacing-contradicts-thickness", text),)


def _not_stated(header: Header, gaps: FloatArray, thickness: float | None) -> tuple[Message, ...]:
    found = float(gaps.min())
    if not thickness or _same(found, thickness):
        return ()
    apart = f"the planes lie {found:.4g} mm apart, SliceThickness is {thickness:g} mm"
    if len(gaps) == 1 and found > 1.5 * thickness:
        raise header.error("SpacingBetweenSlices", f"is missing: {apart}", remedy=_REMEDY)
    text = f"{header.path}: SpacingBetweenSlices is missing: {apart}; slices are taken {found:.4g} mm apart"
    return (Message("slice-spacing-assumed", text),)


def _same(a_mm: float, b_mm: float) -> bool:
    return abs(a_mm - b_mm) <= _tolerance(max(a_mm, b_mm))


def _multiples(gaps: FloatArray, step_mm: float) -> bool:
    steps = gaps / step_mm
    return bool((np.abs(steps - np.rint(steps)) * step_mm <= _tolerance(step_mm)).all())


def _tolerance(step_mm: float) -> float:
    return max(ROUNDING_MM, POSITION_TOLERANCE * step_mm)


def _text(thickness: float | None) -> str:
    return "not stated" if thickness is None else f"{thickness:g} mm"
