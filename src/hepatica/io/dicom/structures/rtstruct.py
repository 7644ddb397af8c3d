"""DICOM RT Structure Sets (PS3.3 C.8.8.5 and C.8.8.6): contours to regions, and regions to contours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.codes import ROI_TYPE, coded_meaning, codes_to_write, roi_type
from hepatica.anatomy.structures.contours import fill_contours, plane_distance_mm, region_contours
from hepatica.anatomy.structures.kinds import Structure
from hepatica.anatomy.structures.points import encloses
from hepatica.core import Grid, Provenance, Region
from hepatica.core.context import DicomContext, Instance
from hepatica.core.message import Message
from hepatica.core.region import Code
from hepatica.errors import DicomError, GeometryError
from hepatica.io.dicom.objects import (
    STUDY_COMPONENT,
    code,
    codes_in,
    frame_of_reference,
    new_object,
    open_object,
    provenance_text,
    references,
    require_names,
    require_numbered,
    require_patient,
    save_object,
)
from hepatica.io.dicom.tags import Header, pydicom_door
from hepatica.io.structures.structures import Gathering, Label, Structures

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"

OBSERVED = (
    "RTROIIdentificationCodeSequence",
    "SegmentedPropertyTypeCodeSequence",
    "SegmentedPropertyCategoryCodeSequence",
)
"""Where an observation holds codes (PS3.3 C.8.8.8)."""

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")

COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
"""Colours that differ for all kinds of colour vision: Okabe and Ito, Color Universal Design, 2008."""


@dataclass(frozen=True, slots=True)
class _Roi:
    label: Label
    frame: str
    contours: list[NDArray[np.float64]]
    points: int
    slab_mm: float | None
    refusal: DicomError | None


def read_rtstruct(
    path: Path | str,
    grid: Grid,
    *,
    context: DicomContext | None = None,
    names: Sequence[str] | None = None,
    slice_mm: float | None = None,
) -> Structures:
    """Read the structures of an RT Structure Set onto a grid.

    Parameters
    ----------
    path : Path
        The file.
    grid : Grid
        The voxels to cover, in the frame of reference that the contours refer to.
    context : DicomContext, optional
        Of the image that the grid belongs to: a structure set of another patient is refused, one drawn on another
        series is said.
    names : sequence of str, optional
        Structures to read; by default all. Those not named may be broken or lie elsewhere.
    slice_mm : float, optional
        Distance between the slices drawn on: thickness of a structure with contours on one plane only, where neither
        the file nor the other structures tell. Without it the grid's own spacing across the plane is taken.

    Raises
    ------
    DicomError
        If the file is no RT Structure Set, belongs to another patient, has broken contour data, or a structure that was
        named (or every one) has open contours.
    GeometryError
        If a structure refers to another frame of reference, lies wholly outside the grid, or has contours that
        `hepatica.anatomy.structures.contours.fill_contours` refuses; if no structure has contours.
    UnknownNameError
        If one of `names` is not in the file; the names there are listed.

    Notes
    -----
    Structures without contours, and those of points only, have no region: they are listed as empty, with a message. A
    structure with an open contour is refused alone, with a message, and the others are read.
    """
    header = open_object(path, (RT_STRUCTURE_SET,), "an RT Structure Set (RTSTRUCT)")
    drawn_elsewhere = _check_references(header, context)
    labels = _labels(header)
    gathering = Gathering(path, labels, names)
    gathering.messages[:0] = drawn_elsewhere
    contours_of = _drawn(header, labels, gathering.messages)
    items = {item.required_integer("ROINumber"): item for item in header.items("StructureSetROISequence")}
    rois: dict[str, _Roi] = {}
    refusal: DicomError | None = None
    for name, label in gathering.wanted():
        roi = _roi(name, label, items[label.number], contours_of.get(label.number), gathering.messages)
        if roi.refusal is not None:
            refusal = roi.refusal
            gathering.refuse(name, refusal)
        elif any(map(encloses, roi.contours)):
            _require_frame(name, roi, header, grid, gathering.messages)
            rois[name] = roi
        else:
            gathering.leave_empty(name, f"it has {_nothing(roi)}")
    if refusal is not None and not rois:
        raise refusal
    gathering.require_any(rois, "contours", "the structure set")
    regions = _regions(rois, grid, Path(path).name, slice_mm, gathering)
    for region, roi in zip(regions, rois.values(), strict=True):
        gathering.keep(region, roi.label)
    return gathering.structures(instance_uid=header.text("SOPInstanceUID"), messages=header.messages())


def write_rtstruct(
    path: Path | str,
    regions: Sequence[Region],
    context: DicomContext,
    *,
    image_grid: Grid | None = None,
    labels: Mapping[str, Label] | None = None,
    provenance: Provenance | None = None,
    drawn_at: datetime | None = None,
) -> Instance:
    """Write regions as closed contours on the slices of their grid.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists.
    regions : sequence of Region
        With distinct names. Holes are written as keyholes.
    context : DicomContext
        Of the images drawn on; all of them are referred to.
    image_grid : Grid, optional
        Grid of these images: contours of regions on it refer to their own slice.
    labels : mapping of str to Label, optional
        Type and colour of a structure by its name; by default the type of what it is, and a colour of `COLOURS`.
    provenance : Provenance, optional
        Written into StructureSetDescription.
    drawn_at : datetime, optional
        When they were drawn; now by default.

    Returns
    -------
    Instance
        Class and UID of the object written.

    Raises
    ------
    GeometryError
        If a region is empty or too thin for a contour, two have one name, a name does not fit DICOM, or the frames of
        reference differ.
    OutputError
        If the file cannot be written.
    """
    require_names([region.name for region in regions])
    with pydicom_door(Path(path), "cannot be written as DICOM"):
        dataset = new_object(context, RT_STRUCTURE_SET, "RTSTRUCT", description="Structures")
        frame = frame_of_reference(regions[0].grid, context)
        for region in regions[1:]:
            if region.grid.frame_of_reference not in (None, frame):
                raise GeometryError(
                    f"structure {region.name!r} is in another frame of reference than {regions[0].name!r}"
                )
        dataset.OperatorsName = ""
        dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = frame, ""
        dataset.StructureSetLabel = "hepatica"
        dataset.StructureSetDescription = provenance_text(provenance, 1024)
        if drawn_at is not None:
            dataset.SeriesDate, dataset.SeriesTime = drawn_at.strftime("%Y%m%d"), drawn_at.strftime("%H%M%S")
        dataset.StructureSetDate, dataset.StructureSetTime = dataset.SeriesDate, dataset.SeriesTime
        dataset.ReferencedFrameOfReferenceSequence = [_referenced_frame(frame, context)]
        dataset.StructureSetROISequence, dataset.ROIContourSequence, dataset.RTROIObservationsSequence = [], [], []
        for number, region in enumerate(regions, start=1):
            label = (labels or {}).get(region.name, Label(number, region.name))
            _write_roi(dataset, number, region, label, frame)
            dataset.ROIContourSequence.append(_contour_item(number, region, label, context, image_grid))
        dataset.ApprovalStatus = "UNAPPROVED"
    # Long contours exceed what a value with an explicit type can hold (64 kB).
    save_object(dataset, path, implicit=True)
    return Instance(RT_STRUCTURE_SET, dataset.SOPInstanceUID, Path(path))


# ---------------------------------------------------------------------------------------------------------------------
# Reading


def _check_references(header: Header, context: DicomContext | None) -> list[Message]:
    require_patient(header, context)
    if context is None:
        return []
    series = {
        series.text("SeriesInstanceUID")
        for frame in header.items("ReferencedFrameOfReferenceSequence")
        for study in frame.items("RTReferencedStudySequence")
        for series in study.items("RTReferencedSeriesSequence")
    }
    if series and context.series_uid not in series:
        other = ", ".join(sorted(series))
        text = f"{header.path}: drawn on another series ({other}) than the image ({context.series_uid})"
        return [Message("drawn-on-other-series", text)]
    return []


def _labels(header: Header) -> list[Label]:
    types = {
        item.integer("ReferencedROINumber"): (item.text("RTROIInterpretedType"), _codes(item))
        for item in header.items("RTROIObservationsSequence")
    }
    colours: dict[int | None, tuple[int, int, int]] = {}
    for item in header.items("ROIContourSequence"):
        rgb = item.numbers("ROIDisplayColor")
        if len(rgb) == 3 and all(0 <= c <= 255 for c in rgb):
            colours[item.integer("ReferencedROINumber")] = (int(rgb[0]), int(rgb[1]), int(rgb[2]))
    labels = []
    for item in header.items("StructureSetROISequence"):
        number = item.required_integer("ROINumber")
        kind, codes = types.get(number, ("", ()))
        stated = (*codes, Code(kind, ROI_TYPE, kind)) if kind else codes
        labels.append(Label(number, item.text("ROIName"), kind, colours.get(number), stated))
    require_numbered(header, [label.number for label in labels], "StructureSetROISequence", "ROINumber")
    return labels


def _codes(observation: Header) -> tuple[Code, ...]:
    """Modifiers first, which say more than what they modify."""
    modifiers = (
        found
        for keyword in OBSERVED[:2]
        for item in observation.items(keyword)
        for found in codes_in(item, "SegmentedPropertyTypeModifierCodeSequence")
    )
    return (*modifiers, *codes_in(observation, *OBSERVED))


def _drawn(header: Header, labels: list[Label], messages: list[Message]) -> dict[int, Header]:
    """ROI number -> the item that holds its contours."""
    items = header.items("ROIContourSequence")
    found = {item.required_integer("ReferencedROINumber"): item for item in items}
    if len(found) < len(items):
        raise header.error("ROIContourSequence", "holds the contours of one structure in two places")
    if strangers := sorted(set(found) - {label.number for label in labels}):
        text = f"{header.path}: contours of structures that are not listed are left out: {strangers}"
        messages.append(Message("contours-unlisted", text))
    return dict(found)


def _roi(name: str, label: Label, item: Header, drawn: Header | None, messages: list[Message]) -> _Roi:
    contours: list[NDArray[np.float64]] = []
    points = 0
    slabs: set[float] = set()
    for contour in drawn.items("ContourSequence") if drawn else []:
        kind = contour.text("ContourGeometricType")
        if kind == "POINT":
            points += 1
            continue
        if kind not in CLOSED:
            refusal = contour.error(
                "ContourGeometricType",
                f"structure {name!r} has a contour of type {kind or 'none'}: an open contour encloses nothing",
                remedy="close it, or leave the structure out by naming the wanted ones",
            )
            return _Roi(label, item.text("ReferencedFrameOfReferenceUID"), [], points, None, refusal)
        if any(contour.numbers("ContourOffsetVector")):
            raise contour.error("ContourOffsetVector", f"structure {name!r}: shifted contours are not read")
        contours.append(_contour_points(name, contour))
        if (slab := contour.number("ContourSlabThickness")) is not None and slab > 0:
            slabs.add(slab)
    if points and contours:
        messages.append(Message("points-left-out", f"structure {name!r}: {points} single points are left out"))
    slab_mm = slabs.pop() if len(slabs) == 1 else None
    return _Roi(label, item.text("ReferencedFrameOfReferenceUID"), contours, points, slab_mm, None)


def _nothing(roi: _Roi) -> str:
    """What a structure has that encloses nothing."""
    if roi.contours:
        return f"only contours of fewer than three points or along a line ({len(roi.contours)}), which enclose nothing"
    return f"only {roi.points} points, which enclose nothing" if roi.points else "no contours"


def _contour_points(name: str, contour: Header) -> NDArray[np.float64]:
    """Points of one contour, shape (n, 3); read from the bytes, because pydicom's numbers take ten times as long."""
    from pydicom.dataelem import RawDataElement

    try:
        with pydicom_door(contour.path, "ContourData", contour.problems):
            element = contour.dataset.get_item("ContourData")
            if isinstance(element, RawDataElement):
                text = (element.value or b"").decode("ascii").strip(" \0")
                numbers = np.array(text.split("\\") if text else [], dtype=np.float64)
            else:
                values = [] if element is None or not element.value else list(element.value)
                numbers = np.array(values, dtype=np.float64)
    except DicomError as error:
        raise contour.error(
            "ContourData", f"structure {name!r}: is not a list of numbers ({error.__cause__})"
        ) from error
    if numbers.size % 3:
        raise contour.error(
            "ContourData", f"structure {name!r}: {numbers.size} numbers are no points (x, y, z); the data are cut off"
        )
    stated = contour.integer("NumberOfContourPoints")
    if stated is not None and stated != numbers.size // 3:
        raise contour.error(
            "NumberOfContourPoints", f"structure {name!r}: states {stated} points, the data hold {numbers.size // 3}"
        )
    return numbers.reshape(-1, 3)


def _require_frame(name: str, roi: _Roi, header: Header, grid: Grid, messages: list[Message]) -> None:
    frame = roi.frame
    if not frame:
        stated = {item.text("FrameOfReferenceUID") for item in header.items("ReferencedFrameOfReferenceSequence")}
        stated.discard("")
        frame = stated.pop() if len(stated) == 1 else ""
    if not frame:
        text = f"structure {name!r}: no frame of reference is stated; taken as that of the image"
        messages.append(Message("frame-of-reference-assumed", text))
    elif grid.frame_of_reference is not None and frame != grid.frame_of_reference:
        raise GeometryError(
            f"{header.path}: structure {name!r} is in the frame of reference {frame}, the image in "
            f"{grid.frame_of_reference}; register the images, or draw the structures on one of the same frame"
        )


def _regions(
    rois: Mapping[str, _Roi], grid: Grid, file: str, slice_mm: float | None, gathering: Gathering
) -> list[Region]:
    messages = gathering.messages
    distances = {name: plane_distance_mm(roi.contours) for name, roi in rois.items()}
    known = sorted(d for d in distances.values() if d is not None)
    usual = known[(len(known) - 1) // 2] if known else None
    regions = []
    for name, roi in rois.items():
        distance = distances[name]
        if distance is not None and usual is not None and distance > 1.5 * usual:
            text = (
                f"structure {name!r}: drawn every {distance:.3g} mm, others every {usual:.3g} mm; each contour stands "
                f"for {distance:.3g} mm"
            )
            messages.append(Message("drawn-sparsely", text))
        alone = roi.slab_mm or usual or slice_mm if distance is None else None
        if alone is not None:
            text = f"structure {name!r}: contours on one plane only, taken as {alone:.3g} mm thick"
            messages.append(Message("one-plane-only", text))
        origin = f"{file}, ROI {roi.label.number}"
        with gathering.reading():
            filled = fill_contours(name, roi.contours, grid, plane_distance_mm=alone, origin=origin)
        messages += filled.messages
        regions.append(filled.region)
    return regions


# ---------------------------------------------------------------------------------------------------------------------
# Writing


def _referenced_frame(frame: str, context: DicomContext) -> Any:
    from pydicom.dataset import Dataset

    item, study, series = Dataset(), Dataset(), Dataset()
    item.FrameOfReferenceUID = frame
    if context.instances:
        series.SeriesInstanceUID = context.series_uid
        series.ContourImageSequence = references(context.instances)
        study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = STUDY_COMPONENT, context.study_uid
        study.RTReferencedSeriesSequence = [series]
        item.RTReferencedStudySequence = [study]
    return item


def _write_roi(dataset: Any, number: int, region: Region, label: Label, frame: str) -> None:
    from pydicom.dataset import Dataset

    roi, observation = Dataset(), Dataset()
    roi.ROINumber = number
    roi.ReferencedFrameOfReferenceUID = frame
    roi.ROIName = region.name
    roi.ROIVolume = f"{region.volume_ml:.8g}"
    roi.ROIGenerationAlgorithm = ""
    if region.origin:
        roi.ROIDescription = region.origin[:1024]
    observation.ObservationNumber = observation.ReferencedROINumber = number
    _, kind, own = codes_to_write(region)
    meant = coded_meaning(own)
    observation.RTROIInterpretedType = label.type or roi_type(meant.structure or Structure.OTHER, derived=meant.derived)
    identity = code(*kind)
    identity.SegmentedPropertyTypeModifierCodeSequence = [code(*found) for found in own]
    observation.RTROIIdentificationCodeSequence = [identity]
    observation.ROIInterpreter = ""
    dataset.StructureSetROISequence.append(roi)
    dataset.RTROIObservationsSequence.append(observation)


def _contour_item(number: int, region: Region, label: Label, context: DicomContext, image_grid: Grid | None) -> Any:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset
    from pydicom.tag import Tag

    contours = region_contours(region)
    if not contours:
        raise GeometryError(f"structure {region.name!r} cannot be outlined: it fills no voxel by half")
    own_slice = image_grid is not None and region.grid.matches(image_grid) and bool(context.instances)
    item = Dataset()
    item.ReferencedROINumber = number
    item.ROIDisplayColor = list(label.colour or COLOURS[(number - 1) % len(COLOURS)])
    item.ContourSequence = []
    for points in contours:
        contour = Dataset()
        if own_slice:
            k = round(float(region.grid.to_index(points[0])[2]))
            contour.ContourImageSequence = _image_of_slice(context, k)
        contour.ContourGeometricType = "CLOSED_PLANAR"
        contour.NumberOfContourPoints = len(points)
        # A tenth of a micrometre is kept; no number exceeds the 16 characters of a decimal string.
        data = "\\".join([f"{x:.4f}" for x in points.ravel().tolist()]).encode("ascii")
        data += b" " * (len(data) % 2)
        # As bytes: the file states no value types, and pydicom's decimal strings take ten times as long.
        contour.add(DataElement(Tag("ContourData"), "OB", data))
        item.ContourSequence.append(contour)
    return item


def _image_of_slice(context: DicomContext, k: int) -> list[Any]:
    if context.is_multiframe:
        item = references(context.instances)[0]
        item.ReferencedFrameNumber = k + 1
        return [item]
    if not 0 <= k < len(context.instances):
        raise DicomError(f"slice {k} of the image has no instance; {len(context.instances)} are known")
    return references([context.instances[k]])
