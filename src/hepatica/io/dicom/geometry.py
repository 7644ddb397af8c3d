"""DICOM geometry, and the only place that knows it: image planes to Grid, Grid to image planes.

No other file reads or writes PixelSpacing, ImageOrientationPatient, ImagePositionPatient, SpacingBetweenSlices,
GridFrameOffsetVector or SliceThickness.

Conventions (DICOM PS3.3, C.7.6.2): ImageOrientationPatient holds the direction of a row (in which the column index
grows: our i), then of a column (our j). PixelSpacing is (between rows: our j, between columns: our i). Slices are put
in the order of their positions along the normal, row x column, so every grid made here is right-handed: i x j = k.
The distance between slices comes from their positions; SliceThickness is not a distance between slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.errors import DicomError, GeometryError
from hepatica.io.dicom.tags import Header

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
    warnings : tuple of str
        What was assumed.
    """

    grid: Grid
    slice_of: tuple[int, ...]
    warnings: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[int, ...]:
        """Index of the plane that is slice 0, 1, ...; for a stack with one plane per slice."""
        return tuple(int(n) for n in np.argsort(self.slice_of, kind="stable"))


# ---------------------------------------------------------------------------------------------------------------------
# From DICOM to Grid


def plane_of(header: Header) -> Plane:
    """Image plane of a single-frame image.

    Raises
    ------
    DicomError
        If position, orientation, spacing, rows or columns are missing or make no plane.
    """
    return _plane(header, header, header, header, name=str(header.path))


def series_stack(headers: Sequence[Header], *, frame_of_reference: str | None) -> Stack:
    """Grid of a series of single-frame images, one file per slice, in any order.

    Parameters
    ----------
    headers : sequence of Header
        The files.
    frame_of_reference : str or None
        Frame of Reference UID of the grid.

    Raises
    ------
    DicomError
        If a tag is missing, the planes differ in orientation, spacing or size, two lie at one position, one is
        missing, or they are stacked at a slant (gantry tilt). The files are named.
    """
    return stack_planes([plane_of(header) for header in headers], frame_of_reference=frame_of_reference)


def multiframe_planes(header: Header) -> tuple[Plane, ...]:
    """Planes of the frames of an enhanced multi-frame object (functional groups), in the order of the frames.

    Raises
    ------
    DicomError
        If a frame has no position, orientation or spacing, in its own functional group or the shared one.
    """
    shared = header.item("SharedFunctionalGroupsSequence")
    frames = header.items("PerFrameFunctionalGroupsSequence")
    count = header.required_integer("NumberOfFrames")
    if len(frames) != count:
        raise header.error("PerFrameFunctionalGroupsSequence", f"has {len(frames)} items for {count} frames")

    def group(frame: Header, keyword: str, number: int) -> Header:
        found = frame.item(keyword) or (shared.item(keyword) if shared else None)
        if found is None:
            raise header.error(keyword, f"frame {number} has none, and it is not in the shared functional groups")
        return found

    return tuple(
        _plane(
            group(frame, "PlanePositionSequence", number),
            group(frame, "PlaneOrientationSequence", number),
            group(frame, "PixelMeasuresSequence", number),
            header,
            name=f"{header.path}: frame {number}",
        )
        for number, frame in enumerate(frames, start=1)
    )


def multiframe_spacing_mm(header: Header) -> float | None:
    """SpacingBetweenSlices of the functional groups of an enhanced multi-frame object; None if it states none."""
    groups = [header.item("SharedFunctionalGroupsSequence"), header.item("PerFrameFunctionalGroupsSequence")]
    for group in groups:
        measures = group.item("PixelMeasuresSequence") if group else None
        if measures is not None and (spacing := measures.number("SpacingBetweenSlices")) is not None:
            return abs(spacing)
    return None


def stack_planes(planes: Sequence[Plane], *, frame_of_reference: str | None) -> Stack:
    """Grid of planes that lie evenly one behind the other, one plane per slice.

    A single plane needs a stated SliceThickness: that is then taken as its thickness, with a warning.

    Raises
    ------
    DicomError
        If the planes differ in orientation, spacing or size, two lie at one position, one is missing, or they are
        stacked at a slant. Files are named.
    """
    _require_alike(planes)
    if len(planes) == 1:
        return _single(planes[0], frame_of_reference)
    depth, order = _depths(planes)
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
    _require_alike(planes)
    depth, order = _depths(planes)
    steps = np.diff(depth[order])
    distinct = steps[steps > ROUNDING_MM]
    if not distinct.size and spacing_mm is None:
        alone = _single(planes[0], frame_of_reference)
        return Stack(alone.grid, (0,) * len(planes), alone.warnings)
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


def nuclear_stack(
    header: Header, *, frame_of_reference: str | None, slices: int, spacing_mm: float | None = None
) -> Stack:
    """Grid of an NM RECON TOMO volume (position and orientation in its DetectorInformationSequence).

    The sign of SpacingBetweenSlices says on which side of the first slice the others lie: positive along row x column,
    negative against it (DICOM PS3.3, C.8.4.15). Where it is missing, and the slice thickness equals the pixel
    spacing, the voxels are taken as cubes and the sign as positive, with a warning.

    Parameters
    ----------
    header : Header
        The file.
    frame_of_reference : str or None
        Frame of Reference UID of the grid.
    slices : int
        Number of slices.
    spacing_mm : float or None
        Signed distance between slices stated by the user; it takes the place of the file's.

    Raises
    ------
    DicomError
        If position, orientation or spacing are missing or contradictory.
    """
    detectors = header.items("DetectorInformationSequence")
    with_place = [d for d in detectors if "ImagePositionPatient" in d and "ImageOrientationPatient" in d]
    place = with_place[0] if with_place else header
    first = _plane(place, place, header, header, name=str(header.path))
    step, warnings = _nuclear_spacing(header, first, spacing_mm, slices)
    positions = [first.position_mm + first.normal * step * n for n in range(slices)]
    grid = _grid(
        first, positions[0] if step > 0 else positions[-1], first.normal * abs(step), slices, frame_of_reference
    )
    order = range(slices) if step > 0 else range(slices - 1, -1, -1)
    return Stack(grid, tuple(order), warnings)


def planar_grid(header: Header, *, frame_of_reference: str | None, images: int) -> Grid:
    """Grid of planar gamma camera images, which have no place in the patient: i and j in the detector's plane.

    k counts images (1 mm apart, meaningless). The first pixel lies at (0, 0, 0).
    """
    rows_mm, columns_mm = _pixel_spacing(header)
    return Grid.axial(
        (header.required_integer("Columns"), header.required_integer("Rows"), images),
        spacing_mm=(columns_mm, rows_mm, 1.0),
        frame_of_reference=frame_of_reference,
    )


def dose_stack(header: Header, *, frame_of_reference: str | None) -> Stack:
    """Grid of an RTDOSE, for any orientation (DICOM PS3.3, C.8.8.3.2).

    GridFrameOffsetVector that starts with zero holds distances along row x column from the first plane. One that
    starts with the z coordinate of ImagePositionPatient holds patient z coordinates; it needs axial planes.

    Raises
    ------
    DicomError
        If the offsets are missing, do not fit the number of frames, mean neither, or are uneven.
    """
    first = plane_of(header)
    count = header.integer("NumberOfFrames") or 1
    if count == 1 and "GridFrameOffsetVector" not in header:
        return _single(first, frame_of_reference)
    offsets = np.asarray(header.required_numbers("GridFrameOffsetVector", count))
    z = float(first.position_mm[2])
    if abs(offsets[0]) > ROUNDING_MM:
        if abs(offsets[0] - z) > ROUNDING_MM:
            raise header.error(
                "GridFrameOffsetVector",
                f"starts with {offsets[0]:g}, which is neither 0 (relative) nor the z of ImagePositionPatient, {z:g}",
            )
        if abs(abs(first.normal[2]) - 1) > DIRECTION_TOLERANCE:
            raise header.error("GridFrameOffsetVector", "holds patient z coordinates, but the planes are not axial")
        offsets = (offsets - offsets[0]) * np.sign(first.normal[2])
    planes = [
        Plane(
            first.position_mm + first.normal * (offset - offsets[0]),
            first.row,
            first.column,
            first.spacing_mm,
            first.size,
            first.thickness_mm,
            f"{header.path}: frame {number}",
        )
        for number, offset in enumerate(offsets, start=1)
    ]
    return stack_planes(planes, frame_of_reference=frame_of_reference)


# ---------------------------------------------------------------------------------------------------------------------
# From Grid to DICOM


def right_handed(grid: Grid) -> tuple[Grid, bool]:
    """The grid with k along i x j, and whether k had to be turned round (then turn the array: ``values[:, :, ::-1]``).

    DICOM has no left-handed stack of slices: positions follow row x column.
    """
    if np.linalg.det(grid.affine[:3, :3]) > 0:
        return grid, False
    affine = np.array(grid.affine)
    affine[:3, 3] = grid.to_mm([0, 0, grid.shape[2] - 1])
    affine[:3, 2] = -affine[:3, 2]
    return Grid(grid.shape, affine, grid.frame_of_reference), True


def slice_positions_mm(grid: Grid) -> FloatArray:
    """LPS position of the first pixel of every slice: ImagePositionPatient, shape (slices, 3)."""
    k = np.arange(grid.shape[2])
    return grid.to_mm(np.stack([np.zeros_like(k), np.zeros_like(k), k], axis=1))


def orientation_of(grid: Grid) -> tuple[float, ...]:
    """Direction of a row, then of a column: the six numbers of ImageOrientationPatient."""
    return tuple(float(x) for x in np.concatenate([grid.direction[:, 0], grid.direction[:, 1]]))


def pixel_spacing_of(grid: Grid) -> tuple[float, float]:
    """Distance between rows (along j), then between columns (along i): the two numbers of PixelSpacing."""
    return grid.spacing_mm[1], grid.spacing_mm[0]


def write_plane(dataset: Any, grid: Grid, k: int = 0) -> None:
    """Set position, orientation, spacing, thickness, rows, columns and frame of reference of slice `k`.

    The thickness written is the distance between slices.
    """
    dataset.ImagePositionPatient = decimal_strings(slice_positions_mm(grid)[k])
    dataset.ImageOrientationPatient = decimal_strings(orientation_of(grid))
    write_spacing(dataset, grid)
    dataset.Rows, dataset.Columns = grid.shape[1], grid.shape[0]
    if grid.frame_of_reference is not None:
        dataset.FrameOfReferenceUID = grid.frame_of_reference


def write_spacing(dataset: Any, grid: Grid, *, between_slices: bool = False) -> None:
    """Set PixelSpacing and SliceThickness, and SpacingBetweenSlices if wanted (multi-frame objects)."""
    dataset.PixelSpacing = decimal_strings(pixel_spacing_of(grid))
    dataset.SliceThickness = decimal_strings([grid.spacing_mm[2]])[0]
    if between_slices:
        dataset.SpacingBetweenSlices = decimal_strings([grid.spacing_mm[2]])[0]


def write_dose_planes(dataset: Any, grid: Grid) -> None:
    """Set the geometry of an RTDOSE: first plane, number of frames, and offsets relative to the first plane.

    Raises
    ------
    GeometryError
        If the grid is left-handed (pass it through `right_handed` first): the offsets follow row x column.
    """
    if right_handed(grid)[1]:
        raise GeometryError("an RTDOSE needs a right-handed grid; turn its slices round with geometry.right_handed")
    write_plane(dataset, grid)
    dataset.NumberOfFrames = grid.shape[2]
    dataset.GridFrameOffsetVector = decimal_strings(np.arange(grid.shape[2]) * grid.spacing_mm[2])


def write_nuclear_planes(dataset: Any, grid: Grid) -> None:
    """Set the geometry of an NM RECON TOMO volume: spacing in the file, place of slice 0 in its one detector.

    Makes the item of DetectorInformationSequence if there is none. A left-handed grid gets a negative spacing.
    """
    from pydicom.dataset import Dataset

    step = -grid.spacing_mm[2] if right_handed(grid)[1] else grid.spacing_mm[2]
    write_spacing(dataset, grid)
    dataset.SpacingBetweenSlices = decimal_strings([step])[0]
    dataset.Rows, dataset.Columns = grid.shape[1], grid.shape[0]
    dataset.NumberOfFrames = dataset.NumberOfSlices = grid.shape[2]
    if not dataset.get("DetectorInformationSequence"):
        dataset.DetectorInformationSequence = [Dataset()]
    detector = dataset.DetectorInformationSequence[0]
    detector.ImagePositionPatient = decimal_strings(grid.origin_mm)
    detector.ImageOrientationPatient = decimal_strings(orientation_of(grid))
    if grid.frame_of_reference is not None:
        dataset.FrameOfReferenceUID = grid.frame_of_reference


def decimal_strings(numbers: Any) -> list[Any]:
    """Numbers as DS values of at most 16 characters.

    Sixteen characters keep at least 9 significant digits of any number (sign, point and a two-digit exponent taken
    off), so a coordinate below 10 m is kept to 1e-5 mm and a direction cosine to 1e-9.
    """
    from pydicom.valuerep import DSfloat

    return [DSfloat(float(number), auto_format=True) for number in np.asarray(numbers, dtype=np.float64).ravel()]


# ---------------------------------------------------------------------------------------------------------------------
# Steps


def _pixel_spacing(header: Header) -> tuple[float, float]:
    rows_mm, columns_mm = header.required_numbers("PixelSpacing", 2)
    if not (0.001 < rows_mm < 1000 and 0.001 < columns_mm < 1000):
        raise header.error("PixelSpacing", f"must be positive and sensible, not {rows_mm:g}, {columns_mm:g} mm")
    return rows_mm, columns_mm


def _plane(position: Header, orientation: Header, measures: Header, image: Header, *, name: str) -> Plane:
    cosines = np.asarray(orientation.required_numbers("ImageOrientationPatient", 6))
    row, column = cosines[:3], cosines[3:]
    lengths = np.array([np.linalg.norm(row), np.linalg.norm(column)])
    # A cosine written with three decimals is off by 5e-4; beyond ten times that the tag holds something else.
    if np.abs(lengths - 1).max() > 5 * DIRECTION_TOLERANCE or abs(row @ column) > 2 * DIRECTION_TOLERANCE:
        raise orientation.error("ImageOrientationPatient", f"{cosines.tolist()} are not two perpendicular unit vectors")
    row = row / lengths[0]
    column = column - row * (row @ column)
    column = column / np.linalg.norm(column)
    rows_mm, columns_mm = _pixel_spacing(measures)
    where = np.asarray(position.required_numbers("ImagePositionPatient", 3))
    if np.abs(where).max() > 1e5:
        raise position.error("ImagePositionPatient", f"{where.tolist()} mm lies outside any scanner")
    size = image.required_integer("Columns"), image.required_integer("Rows")
    if min(size) < 1:
        raise image.error("Rows", f"an image of {size[1]} rows and {size[0]} columns has no pixels")
    return Plane(where, row, column, (columns_mm, rows_mm), size, measures.number("SliceThickness"), name)


def _require_alike(planes: Sequence[Plane]) -> None:
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


def _depths(planes: Sequence[Plane]) -> tuple[FloatArray, NDArray[np.intp]]:
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


def _single(plane: Plane, frame_of_reference: str | None) -> Stack:
    if plane.thickness_mm is None or not plane.thickness_mm > 0:
        raise DicomError(f"{plane.name}: SliceThickness: a single slice needs a stated thickness, it has none")
    grid = _grid(plane, plane.position_mm, plane.normal * plane.thickness_mm, 1, frame_of_reference)
    note = f"a single slice: its SliceThickness of {plane.thickness_mm:g} mm is taken as the size of its voxels"
    return Stack(grid, (0,), (note,))


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
    grid = _grid(first, origin, first.normal * step, high - low + 1, frame_of_reference)
    return Stack(grid, tuple(int(k) for k in slice_of))


def _grid(plane: Plane, origin: FloatArray, step: FloatArray, slices: int, frame_of_reference: str | None) -> Grid:
    affine = np.eye(4)
    affine[:3, 0] = plane.row * plane.spacing_mm[0]
    affine[:3, 1] = plane.column * plane.spacing_mm[1]
    affine[:3, 2] = step
    affine[:3, 3] = origin
    return Grid((plane.size[0], plane.size[1], slices), affine, frame_of_reference)


def _nuclear_spacing(
    header: Header, plane: Plane, stated_mm: float | None, slices: int
) -> tuple[float, tuple[str, ...]]:
    if stated_mm is not None:
        if not 0.001 < abs(stated_mm) < 1000:
            raise GeometryError(f"slice spacing of {stated_mm} mm: must be a distance, negative to stack backwards")
        return stated_mm, (f"distance between slices of {stated_mm:g} mm as stated by the user",)
    spacing = header.number("SpacingBetweenSlices")
    if spacing is not None:
        if not 0.001 < abs(spacing) < 1000:
            raise header.error("SpacingBetweenSlices", f"{spacing:g} mm is not a distance between slices")
        side = ("SpacingBetweenSlices is negative: slices are stacked against row x column",) if spacing < 0 else ()
        return spacing, side
    thickness = plane.thickness_mm
    if slices == 1 and thickness is not None and thickness > 0:
        return thickness, (
            f"a single slice: its SliceThickness of {thickness:g} mm is taken as the size of its voxels",
        )
    cubic = thickness is not None and np.allclose(plane.spacing_mm, thickness, rtol=0.01, atol=0)
    if thickness is None or not cubic:
        found = "none" if thickness is None else f"{thickness:g} mm"
        raise header.error(
            "SpacingBetweenSlices",
            f"is missing, and SliceThickness ({found}) is not proof of it; "
            "state the distance between slices (slice_spacing_mm, negative to stack against row x column)",
        )
    note = (
        f"SpacingBetweenSlices is missing: voxels are taken as cubes, {thickness:g} mm apart as SliceThickness and "
        "PixelSpacing agree, stacked along row x column; check head and feet"
    )
    return thickness, (note,)


def has_plane(header: Header) -> bool:
    """Whether an image has a place in the patient (a dose report or screen save in a CT series has none)."""
    return "ImagePositionPatient" in header and "ImageOrientationPatient" in header


def alike(headers: Sequence[Header]) -> list[list[Header]]:
    """Sort single-frame images into groups of the same orientation, spacing and size, in the order first met."""
    groups: list[tuple[Plane, list[Header]]] = []
    for header in headers:
        plane = plane_of(header)
        for reference, members in groups:
            try:
                _require_alike([reference, plane])
            except DicomError:
                continue
            members.append(header)
            break
        else:
            groups.append((plane, [header]))
    return [members for _, members in groups]


def positions_repeat(headers: Sequence[Header]) -> bool:
    """Whether two parallel images lie at one position: more than one volume, or a slice twice."""
    planes = [plane_of(header) for header in headers]
    depth, order = _depths(planes)
    return bool((np.diff(depth[order]) <= 1e-3).any())
