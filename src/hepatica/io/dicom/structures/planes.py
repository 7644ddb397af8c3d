"""Image planes put together to a grid: arithmetic only, no DICOM attribute is read here (see geometry.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.core.message import Message
from hepatica.errors import DicomError

FloatArray = NDArray[np.float64]

DIRECTION_TOLERANCE = 1e-3
"""Largest difference between direction cosines that count as the same (0.06 degrees; headers hold about 6 digits)."""

SPACING_TOLERANCE = 1e-3
"""Largest relative difference between pixel spacings that count as the same."""

POSITION_TOLERANCE = 0.02
"""A slice may lie this fraction of the slice distance off its regular place..."""

ROUNDING_MM = 0.06
"""...or this far, whichever is more: positions written with one decimal are rounded by up to 0.05 mm."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One image plane.

    Attributes
    ----------
    position_mm : ndarray, shape (3,)
        LPS position of the centre of the first pixel.
    row, column : ndarray, shape (3,)
        Unit vectors along a row (i) and down a column (j).
    spacing_mm : tuple of float
        Distance between pixel centres along i and along j: PixelSpacing turned round.
    size : tuple of int
        Number of pixels along i and j (columns, rows).
    thickness_mm : float or None
        SliceThickness; only used for a slice that stands alone.
    name : str
        File (and frame) for messages.
    """

    position_mm: FloatArray
    row: FloatArray
    column: FloatArray
    spacing_mm: tuple[float, float]
    size: tuple[int, int]
    thickness_mm: float | None
    name: str

    @property
    def normal(self) -> FloatArray:
        """Unit vector row x column, shape (3,)."""
        return np.cross(self.row, self.column)


@dataclass(frozen=True, slots=True)
class Stack:
    """Planes put together to a grid.

    Attributes
    ----------
    grid : Grid
        Right-handed: k runs along row x column.
    slice_of : tuple of int
        ``slice_of[n]`` is the index k of the n-th plane (file or frame) that was given.
    messages : tuple of Message
        What was assumed.
    """

    grid: Grid
    slice_of: tuple[int, ...]
    messages: tuple[Message, ...] = ()

    @property
    def order(self) -> tuple[int, ...]:
        """Index of the plane that is slice 0, 1, ...; for a stack with one plane per slice."""
        return tuple(int(n) for n in np.argsort(self.slice_of, kind="stable"))


def stack_planes(planes: Sequence[Plane], *, frame_of_reference: str | None) -> Stack:
    """Grid of planes that lie evenly one behind the other, one plane per slice.

    A single plane needs a stated SliceThickness: that is then taken as its thickness, with a warning.

    Raises
    ------
    DicomError
        If the planes differ in orientation, spacing or size, two lie at one position, one is missing, or they are
        stacked at a slant. Files are named.
    """
    require_alike(planes)
    if len(planes) == 1:
        return single_plane(planes[0], frame_of_reference)
    depth, order = depths(planes)
    steps = np.diff(depth[order])
    usual = float(np.median(steps))
    _refuse_duplicates(planes, order, steps, usual)
    loose = np.abs(steps - usual) > 2 * _tolerance(usual)
    if loose.any():
        at = int(np.argmax(loose))
        before, after = planes[order[at]], planes[order[at + 1]]
        count = int(loose.sum())
        more = f" ({count} places)" if count > 1 else ""
        raise DicomError(
            f"slices {before.name} and {after.name} lie {steps[at]:.3f} mm apart, the others {usual:.3f} mm{more}; "
            "a slice is missing, or the series mixes two scans"
        )
    slice_of = np.empty(len(planes), dtype=int)
    slice_of[order] = np.arange(len(planes))
    return _fit(planes, slice_of, frame_of_reference)


def stack_sparse(planes: Sequence[Plane], *, frame_of_reference: str | None, spacing_mm: float | None = None) -> Stack:
    """Grid of planes of which some may be left out or repeated: the frames of a segmentation.

    Parameters
    ----------
    planes : sequence of Plane
        Parallel; several may lie at one position (one per segment).
    frame_of_reference : str or None
        Frame of Reference UID of the grid.
    spacing_mm : float or None
        Distance between slices as the file states it (`multiframe_spacing_mm`); None: the smallest distance found.

    Raises
    ------
    DicomError
        If a plane lies at no whole number of spacings from the first.
    """
    require_alike(planes)
    depth, order = depths(planes)
    steps = np.diff(depth[order])
    distinct = steps[steps > ROUNDING_MM]
    if not distinct.size and spacing_mm is None:
        alone = single_plane(planes[0], frame_of_reference)
        return Stack(alone.grid, (0,) * len(planes), alone.messages)
    step = spacing_mm if spacing_mm else float(distinct.min())
    if not step > 0:
        raise DicomError(f"{planes[0].name}: SpacingBetweenSlices: must be positive, not {step}")
    slots = (depth - depth.min()) / step
    slice_of = np.rint(slots).astype(int)
    off = np.abs(slots - slice_of) * step
    if (off > _tolerance(step)).any():
        at = int(np.argmax(off))
        raise DicomError(f"{planes[at].name}: lies {off[at]:.3f} mm off the planes, which are {step:.3f} mm apart")
    if slice_of.max() > 100_000:
        raise DicomError(f"{planes[0].name}: planes {step:.4f} mm apart span {np.ptp(depth):.0f} mm")
    return _fit(planes, slice_of, frame_of_reference, step_mm=step)


def require_alike(planes: Sequence[Plane]) -> None:
    """Raise DicomError unless the planes share size, spacing and orientation, naming the first that differs."""
    if not planes:
        raise DicomError("no image plane was given")
    first = planes[0]
    for plane in planes[1:]:
        if plane.size != first.size:
            raise DicomError(
                f"{plane.name} has {plane.size[0]} x {plane.size[1]} pixels, "
                f"{first.name} {first.size[0]} x {first.size[1]}"
            )
        if not np.allclose(plane.spacing_mm, first.spacing_mm, rtol=SPACING_TOLERANCE, atol=0):
            raise DicomError(f"{plane.name}: PixelSpacing differs from {first.name}")
        if max(np.abs(plane.row - first.row).max(), np.abs(plane.column - first.column).max()) > DIRECTION_TOLERANCE:
            raise DicomError(f"{plane.name}: ImageOrientationPatient differs from {first.name}")


def depths(planes: Sequence[Plane]) -> tuple[FloatArray, NDArray[np.intp]]:
    """Distance of each plane along the common normal, and the order of these."""
    normal = planes[0].normal
    depth = np.array([float(plane.position_mm @ normal) for plane in planes])
    return depth, np.argsort(depth, kind="stable")


def _tolerance(step_mm: float) -> float:
    return max(ROUNDING_MM, POSITION_TOLERANCE * abs(step_mm))


def _refuse_duplicates(planes: Sequence[Plane], order: NDArray[np.intp], steps: FloatArray, usual: float) -> None:
    same = steps <= max(1e-3, 0.05 * usual)
    if same.any():
        at = int(np.argmax(same))
        a, b = planes[order[at]], planes[order[at + 1]]
        raise DicomError(
            f"{a.name} and {b.name} lie at the same position ({int(same.sum())} such pairs); "
            "the series holds a slice twice, or several scans: keep one"
        )


def single_plane(plane: Plane, frame_of_reference: str | None) -> Stack:
    """Grid of a slice that stands alone: its stated thickness becomes the size of its voxels, with a warning."""
    if plane.thickness_mm is None or not plane.thickness_mm > 0:
        raise DicomError(f"{plane.name}: SliceThickness: a single slice needs a stated thickness, it has none")
    grid = grid_of(plane, plane.position_mm, plane.normal * plane.thickness_mm, 1, frame_of_reference)
    return Stack(grid, (0,), (single_slice(plane.thickness_mm),))


def single_slice(thickness_mm: float) -> Message:
    """What to know of a slice that stands alone."""
    text = f"a single slice: its SliceThickness of {thickness_mm:g} mm is taken as the size of its voxels"
    return Message("single-slice", text)


def _fit(
    planes: Sequence[Plane],
    slice_of: NDArray[Any],
    frame_of_reference: str | None,
    step_mm: float | None = None,
) -> Stack:
    """Grid through the planes; every plane must lie where the grid has its slice."""
    first = planes[0]
    low, high = int(np.min(slice_of)), int(np.max(slice_of))
    positions = np.array([plane.position_mm for plane in planes])
    middle, centre = float(np.mean(slice_of)), positions.mean(axis=0)
    # Least squares over all slices: rounding of the first and the last position would else tilt the whole stack.
    spread = float(((slice_of - middle) ** 2).sum())
    step = float((slice_of - middle) @ (positions @ first.normal)) / spread if spread else step_mm
    if step is None:
        raise DicomError(f"{first.name}: one position alone gives no distance between slices")
    expected = centre + np.outer(slice_of - middle, first.normal * step)
    off = np.linalg.norm(positions - expected, axis=1)
    # The normal is known from rounded cosines, so a long stack may lean a little in all.
    if (off > _tolerance(step) + 0.1 * DIRECTION_TOLERANCE * step * (high - low)).any():
        at = int(np.argmax(off))
        raise DicomError(
            f"{planes[at].name} lies {off[at]:.2f} mm off the even line of slices: "
            "they are stacked at a slant (gantry tilt) or unevenly; resample the series first"
        )
    origin = centre + first.normal * step * (low - middle)
    grid = grid_of(first, origin, first.normal * step, high - low + 1, frame_of_reference)
    return Stack(grid, tuple(int(k) for k in slice_of))


def grid_of(plane: Plane, origin: FloatArray, step: FloatArray, slices: int, frame_of_reference: str | None) -> Grid:
    """Grid of planes like `plane`, the first at `origin`, each `step` further."""
    affine = np.eye(4)
    affine[:3, 0] = plane.row * plane.spacing_mm[0]
    affine[:3, 1] = plane.column * plane.spacing_mm[1]
    affine[:3, 2] = step
    affine[:3, 3] = origin
    return Grid((plane.size[0], plane.size[1], slices), affine, frame_of_reference)
