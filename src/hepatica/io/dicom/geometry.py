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
from typing import Any

import numpy as np

from hepatica.core import Grid
from hepatica.core.message import Message
from hepatica.errors import DicomError, GeometryError
from hepatica.io.dicom.structures.planes import (
    DIRECTION_TOLERANCE,
    ROUNDING_MM,
    FloatArray,
    Plane,
    Stack,
    depths,
    grid_of,
    require_alike,
    single_plane,
    single_slice,
    stack_planes,
    stack_sparse,
)
from hepatica.io.dicom.tags import Header

__all__ = [
    "Plane",
    "Stack",
    "alike",
    "decimal_strings",
    "detector_plane",
    "dose_stack",
    "has_part_of_plane",
    "has_plane",
    "multiframe_planes",
    "multiframe_spacing_mm",
    "nuclear_stack",
    "orientation_of",
    "pixel_size_of",
    "pixel_spacing_of",
    "planar_grid",
    "plane_of",
    "positions_repeat",
    "registration_grid",
    "right_handed",
    "series_stack",
    "slice_positions_mm",
    "stack_planes",
    "stack_sparse",
    "write_dose_planes",
    "write_nuclear_planes",
    "write_pixel_size",
    "write_plane",
    "write_projection_plane",
    "write_registration_grid",
    "write_spacing",
]

# ---------------------------------------------------------------------------------------------------------------------
# From DICOM to Grid


def plane_of(header: Header) -> Plane:
    """Image plane of a single-frame image; of a gamma camera's slice its place stands in its detector's item.

    Raises
    ------
    DicomError
        If position, orientation, spacing, rows or columns are missing or make no plane.
    """
    place = _place_of(header)
    return _plane(place, place, header, header, name=str(header.path))


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
    place = _place_of(header)
    first = _plane(place, place, header, header, name=str(header.path))
    step, messages = _nuclear_spacing(header, first, spacing_mm, slices)
    positions = [first.position_mm + first.normal * step * n for n in range(slices)]
    grid = grid_of(
        first, positions[0] if step > 0 else positions[-1], first.normal * abs(step), slices, frame_of_reference
    )
    order = range(slices) if step > 0 else range(slices - 1, -1, -1)
    return Stack(grid, tuple(order), messages)


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


def pixel_size_of(header: Header) -> tuple[float, float]:
    """Size of a pixel of an image without a place in the patient, along its columns' index and its rows', mm.

    Raises
    ------
    DicomError
        If PixelSpacing is missing or makes no sense.
    """
    rows_mm, columns_mm = _pixel_spacing(header)
    return columns_mm, rows_mm


def write_pixel_size(dataset: Any, pixel_mm: float) -> None:
    """Set the edge of the square pixels of an image without a place in the patient, mm."""
    dataset.PixelSpacing = decimal_strings([pixel_mm, pixel_mm])


def detector_plane(header: Header, detector: Header) -> Plane | None:
    """Plane of the first view of a gamma camera's head, from its item of DetectorInformationSequence; None if absent.

    Raises
    ------
    DicomError
        If position and orientation are there but make no plane.
    """
    if "ImagePositionPatient" not in detector or "ImageOrientationPatient" not in detector:
        return None
    return _plane(detector, detector, header, header, name=str(header.path))


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
        return single_plane(first, frame_of_reference)
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


def registration_grid(header: Header, *, frame_of_reference: str | None) -> Grid:
    """Grid of an item of DeformableRegistrationGridSequence: axes along row, column and row x column, sizes in x, y, z.

    Raises
    ------
    DicomError
        If place, sizes or resolution are missing or make no grid.
    """
    from hepatica.io.input_files import MAX_VOXELS

    origin = np.asarray(header.required_numbers("ImagePositionPatient", 3))
    cosines = np.asarray(header.required_numbers("ImageOrientationPatient", 6))
    sizes = header.required_numbers("GridDimensions", 3)
    spacing = np.asarray(header.required_numbers("GridResolution", 3))
    if any(n != int(n) or n < 1 for n in sizes) or np.prod(np.asarray(sizes)) > MAX_VOXELS:
        raise header.error("GridDimensions", f"{list(sizes)} are no three sizes of a grid")
    if spacing.min() <= 0:
        raise header.error("GridResolution", f"must be positive, not {spacing.tolist()} mm")
    affine = np.eye(4)
    affine[:3, :3] = np.stack([cosines[:3], cosines[3:], np.cross(cosines[:3], cosines[3:])], axis=1) * spacing
    affine[:3, 3] = origin
    try:
        return Grid((int(sizes[0]), int(sizes[1]), int(sizes[2])), affine, frame_of_reference)
    except GeometryError as error:
        raise header.error("GridResolution", f"the deformation grid is no grid ({error})") from error


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


def frame_position_mm(item: Any) -> tuple[float, ...]:
    """LPS position of a frame that pydicom's item of PlanePositionSequence states, as it is written."""
    return tuple(float(number) for number in item.ImagePositionPatient)


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


def write_projection_plane(
    dataset: Any, detector: Any, *, first_mm: Sequence[float], row: Sequence[float], pixel_mm: tuple[float, float]
) -> None:
    """Set pixel size, and in a detector's item the place of its first view, whose rows run to the patient's feet.

    Parameters
    ----------
    dataset, detector : Dataset
        The file and the item.
    first_mm : sequence of float
        LPS position of the centre of the first pixel (first row, first column).
    row : sequence of float
        Direction of a row.
    pixel_mm : tuple of float
        Distance between columns, between rows.
    """
    dataset.PixelSpacing = decimal_strings([pixel_mm[1], pixel_mm[0]])
    detector.ImagePositionPatient = decimal_strings(first_mm)
    detector.ImageOrientationPatient = decimal_strings([*row, 0.0, 0.0, -1.0])


def write_registration_grid(item: Any, grid: Grid) -> None:
    """Set place, sizes and resolution of an item of DeformableRegistrationGridSequence; the grid is right-handed."""
    item.ImagePositionPatient = decimal_strings(grid.origin_mm)
    item.ImageOrientationPatient = decimal_strings(orientation_of(grid))
    item.GridDimensions = list(grid.shape)
    item.GridResolution = list(grid.spacing_mm)


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


def _nuclear_spacing(
    header: Header, plane: Plane, stated_mm: float | None, slices: int
) -> tuple[float, tuple[Message, ...]]:
    if stated_mm is not None:
        if not 0.001 < abs(stated_mm) < 1000:
            raise GeometryError(f"slice spacing of {stated_mm} mm: must be a distance, negative to stack backwards")
        text = f"distance between slices of {stated_mm:g} mm as stated by the user"
        return stated_mm, (Message("slice-spacing-stated", text, severity="note"),)
    spacing = header.number("SpacingBetweenSlices")
    if spacing is not None:
        if not 0.001 < abs(spacing) < 1000:
            raise header.error("SpacingBetweenSlices", f"{spacing:g} mm is not a distance between slices")
        text = "SpacingBetweenSlices is negative: slices are stacked against row x column"
        return spacing, (Message("slices-against-normal", text, severity="note"),) if spacing < 0 else ()
    thickness = plane.thickness_mm
    if slices == 1 and thickness is not None and thickness > 0:
        return thickness, (single_slice(thickness),)
    cubic = thickness is not None and np.allclose(plane.spacing_mm, thickness, rtol=0.01, atol=0)
    if thickness is None or not cubic:
        found = "none" if thickness is None else f"{thickness:g} mm"
        raise header.error(
            "SpacingBetweenSlices",
            f"is missing, and SliceThickness ({found}) is not proof of it",
            remedy="state the distance between slices (`slice_spacing`, negative to stack against row x column)",
        )
    text = (
        f"SpacingBetweenSlices is missing: voxels are taken as cubes, {thickness:g} mm apart as SliceThickness and "
        "PixelSpacing agree, stacked along row x column"
    )
    return thickness, (Message("slice-spacing-assumed", text, "check head and feet"),)


def _place_of(header: Header) -> Header:
    """Where position and orientation stand: in the file, or in the item of a gamma camera's detector."""
    detectors = header.items("DetectorInformationSequence")
    with_place = [d for d in detectors if "ImagePositionPatient" in d and "ImageOrientationPatient" in d]
    return with_place[0] if with_place else header


def has_plane(header: Header) -> bool:
    """Whether an image has a place in the patient (a dose report or screen save in a CT series has none)."""
    place = _place_of(header)
    return "ImagePositionPatient" in place and "ImageOrientationPatient" in place


def has_part_of_plane(header: Header) -> bool:
    """Whether an image has a position or an orientation: without the other a tag was damaged."""
    return "ImagePositionPatient" in header or "ImageOrientationPatient" in header


def alike(headers: Sequence[Header]) -> list[list[Header]]:
    """Sort single-frame images into groups of the same orientation, spacing and size, in the order first met."""
    groups: list[tuple[Plane, list[Header]]] = []
    for header in headers:
        plane = plane_of(header)
        for reference, members in groups:
            try:
                require_alike([reference, plane])
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
    depth, order = depths(planes)
    return bool((np.diff(depth[order]) <= 1e-3).any())
