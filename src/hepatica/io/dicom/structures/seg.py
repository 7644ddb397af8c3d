"""DICOM Segmentations (PS3.3 C.8.20): voxels to regions, and regions to voxels.

Read by our own code through `geometry`: libraries that give back a volume leave out slices without segment, which
shifts what follows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.codes import codes_to_write
from hepatica.core import Grid, Provenance, Region
from hepatica.core.context import DicomContext, Instance, new_uid
from hepatica.core.message import Message
from hepatica.core.region import bounding_window
from hepatica.errors import DicomError, GeometryError
from hepatica.io.dicom import geometry
from hepatica.io.dicom.context import write_patient_and_study
from hepatica.io.dicom.objects import (
    MANUFACTURER,
    RESEARCH_ONLY,
    code,
    codes_in,
    frame_of_reference,
    open_object,
    provenance_text,
    references,
    require_names,
    require_numbered,
    require_patient,
    save_object,
    stamp,
)
from hepatica.io.dicom.pixels import GREY, RLE, decoded, frame_bytes, stored_values
from hepatica.io.dicom.structures.seg_planes import missing_planes, plane_spacing
from hepatica.io.dicom.tags import DEFLATED_FRAMES, Header, open_dicom, pydicom_door
from hepatica.io.structures.structures import Gathering, Label, Structures
from hepatica.version import __version__

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"

FULL = 255
"""MaximumFractionalValue of what is written."""

MAX_VOXELS = 1_000_000_000
"""Of one segment, with the slices between its frames; a 1024 x 1024 CT of 1000 slices has as many."""


def segmentation_grid(path: Path | str) -> Grid:
    """Voxels that a Segmentation itself is drawn on; planes without any segment between its own count too.

    Raises
    ------
    DicomError
        If the file is no Segmentation, or its planes do not make a grid.
    """
    return _stack_of(open_object(path, (SEGMENTATION, LABEL_MAP), "a Segmentation (SEG)")).grid


def _stack_of(header: Header) -> geometry.Stack:
    planes = geometry.multiframe_planes(header)
    spacing_mm, messages = plane_spacing(header, planes, geometry.multiframe_spacing_mm(header) or None)
    stack = geometry.stack_sparse(
        planes, frame_of_reference=header.text("FrameOfReferenceUID") or None, spacing_mm=spacing_mm
    )
    return replace(stack, messages=(*stack.messages, *messages))


def read_seg(
    path: Path | str, grid: Grid, *, context: DicomContext | None = None, names: Sequence[str] | None = None
) -> Structures:
    """Read the segments of a Segmentation (BINARY, FRACTIONAL or LABELMAP) onto a grid.

    Parameters
    ----------
    path, grid, context, names
        As for `hepatica.io.dicom.structures.rtstruct.read_rtstruct`.

    Raises
    ------
    DicomError
        If the file is no Segmentation, damaged or contradictory, or belongs to another patient.
    GeometryError
        If its frame of reference is not the grid's, or a segment lies wholly outside the grid.
    UnknownNameError
        If one of `names` is not in the file.

    Notes
    -----
    A fraction is what of the voxel is covered if the file says OCCUPANCY. A PROBABILITY is no volume: voxels of at
    least one half count as inside, and that is said.
    """
    header = open_object(path, (SEGMENTATION, LABEL_MAP), "a Segmentation (SEG)")
    require_patient(header, context)
    stack = _stack_of(header)
    stack.grid.require_shared_frame(grid, f"{path} and the image")
    labels = _labels(header)
    gathering = Gathering(path, labels, names)
    pixels, notes = _coverage(header)
    gathering.messages += [*notes, *stack.messages]
    frames_of = _frames_of(header, labels, len(pixels))
    for name, label in gathering.wanted():
        frames = list(range(len(pixels))) if frames_of is None else frames_of[label.number]
        drawn = _segment(name, label, stack, pixels, frames, frames_of is None, Path(path).name)
        gathering.messages += missing_planes(drawn, {stack.slice_of[frame] for frame in frames})
        if drawn.is_empty:
            gathering.leave_empty(name, "no voxel belongs to it")
        else:
            gathering.keep_on(grid, drawn, label)
    found = gathering.structures(instance_uid=header.text("SOPInstanceUID"), messages=header.messages())
    gathering.require_any(found.regions, "voxels", "the segmentation")
    return found


def write_seg(
    path: Path | str,
    regions: Sequence[Region],
    context: DicomContext,
    *,
    image_grid: Grid | None = None,
    fractional: bool = False,
    provenance: Provenance | None = None,
) -> Instance:
    """Write regions as segments on their grid.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists.
    regions : sequence of Region
        On one grid, with distinct names. Their codes are written, else those that their names mean.
    context : DicomContext
        Of the images segmented; at least one instance.
    image_grid : Grid, optional
        Grid of these images: each frame of regions on it refers to its own slice.
    fractional : bool
        Keep covered fractions in 255 steps (OCCUPANCY); otherwise voxels covered by half or more are inside (BINARY).
    provenance : Provenance, optional
        Written into the description of the contributing equipment.

    Raises
    ------
    GeometryError
        If there is no region, one is empty, two have one name, a name does not fit DICOM, or grids or frames of
        reference differ.
    OutputError
        If the file cannot be written.
    """
    import highdicom

    grid = _shared_grid(regions)
    frame = frame_of_reference(grid, context)
    right, turned = geometry.right_handed(grid.with_frame_of_reference(frame))
    filled = _filled_slices(regions, fractional, turned=turned)
    own_images = image_grid is not None and grid.matches(image_grid)
    with pydicom_door(Path(path), "cannot be written as DICOM"):
        sources = _sources(context, right, own_images=own_images, turned=turned)
        row_column = geometry.orientation_of(right)
        dataset = highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=filled,
            segmentation_type="FRACTIONAL" if fractional else "BINARY",
            fractional_type="OCCUPANCY",
            segment_descriptions=[_description(n, region) for n, region in enumerate(regions, start=1)],
            series_instance_uid=new_uid(),
            series_number=1,
            sop_instance_uid=new_uid(),
            instance_number=1,
            manufacturer=MANUFACTURER,
            manufacturer_model_name=MANUFACTURER,
            software_versions=__version__,
            device_serial_number="none",
            content_description=RESEARCH_ONLY,
            content_label="HEPATICA",
            plane_orientation=highdicom.PlaneOrientationSequence("PATIENT", row_column),
            plane_positions=[
                highdicom.PlanePositionSequence("PATIENT", geometry.decimal_strings(position))
                for position in geometry.slice_positions_mm(right)
            ],
            pixel_measures=highdicom.PixelMeasuresSequence(
                pixel_spacing=geometry.decimal_strings(geometry.pixel_spacing_of(right)),
                slice_thickness=geometry.decimal_strings([right.spacing_mm[2]])[0],
                spacing_between_slices=geometry.decimal_strings([right.spacing_mm[2]])[0],
            ),
        )
        _write_frames(dataset, regions, right, fractional=fractional, turned=turned)
        write_patient_and_study(context, dataset)
        stamp(dataset, context)
        dataset.ContentDate, dataset.ContentTime = dataset.InstanceCreationDate, dataset.InstanceCreationTime
        dataset.SeriesDescription = "Segments (hepatica, research use only)"
        dataset.ContributingEquipmentSequence = [_equipment(provenance)]
        if not own_images:
            _refer_to_series_only(dataset, context)
    save_object(dataset, path)
    return Instance(SEGMENTATION, str(dataset.SOPInstanceUID), Path(path), int(dataset.NumberOfFrames))


# ---------------------------------------------------------------------------------------------------------------------
# Reading


def _labels(header: Header) -> list[Label]:
    labels = []
    for item in header.items("SegmentSequence"):
        kind = item.item("SegmentedPropertyTypeCodeSequence")
        codes = (
            *(codes_in(kind, "SegmentedPropertyTypeModifierCodeSequence") if kind else ()),
            *codes_in(item, "SegmentedPropertyTypeCodeSequence", "SegmentedPropertyCategoryCodeSequence"),
        )
        number = item.required_integer("SegmentNumber")
        labels.append(Label(number, item.text("SegmentLabel"), kind.text("CodeMeaning") if kind else "", codes=codes))
    require_numbered(header, [label.number for label in labels], "SegmentSequence", "SegmentNumber")
    # A label map describes its background as a segment of number 0.
    return [label for label in labels if label.number != 0]


def _coverage(header: Header) -> tuple[NDArray[Any], list[Message]]:
    """Frames as covered fractions (float32), or as labels (integers) for a label map, and what was assumed."""
    kind = header.text("SegmentationType")
    if kind == "LABELMAP":
        # Each label may have a colour of its own (PS3.3 C.8.20.2): the stored value stays the label.
        stored = stored_values(header, photometric=(*GREY, "PALETTE COLOR"))
        return stored, _unlisted(header, stored)
    if kind == "BINARY":
        return _binary(header), []
    if kind != "FRACTIONAL":
        raise header.error("SegmentationType", f"{kind or 'none'} is not BINARY, FRACTIONAL or LABELMAP")
    most = header.required_integer("MaximumFractionalValue")
    stored = stored_values(header)
    if most < 1 or int(stored.max()) > most:
        raise header.error("MaximumFractionalValue", f"is {most}, the largest value {int(stored.max())}")
    meaning = header.text("SegmentationFractionalType")
    if meaning == "OCCUPANCY":
        return stored.astype(np.float32) / np.float32(most), []
    if meaning != "PROBABILITY":
        raise header.error("SegmentationFractionalType", f"{meaning or 'none'} is not OCCUPANCY or PROBABILITY")
    text = f"{header.path}: fractions are probabilities, not volumes; voxels of at least one half count as inside"
    return stored >= most / 2, [Message("probabilities-thresholded", text)]


def _binary(header: Header) -> NDArray[np.uint8]:
    """Frames of single bits, packed without gaps, the first pixel in the lowest bit (PS3.5, annex D)."""
    if header.path is None or header.required_integer("BitsAllocated") != 1:
        raise header.error("BitsAllocated", "must be 1 for a BINARY segmentation")
    full = open_dicom(header.path, pixels=True)
    frames = full.required_integer("NumberOfFrames")
    shape = frames, full.required_integer("Rows"), full.required_integer("Columns")
    needed = math.prod(shape)
    if min(shape) < 1:
        raise full.error("PixelData", f"does not hold {shape[0]} frames of {shape[1]} x {shape[2]} bits")
    if full.syntax is not None and full.syntax.is_encapsulated:
        # Compressed masks rarely exceed a ratio of a few hundred; the file bounds what may be asked of memory.
        if needed > 100_000 * max(header.path.stat().st_size, 1):
            raise full.error("PixelData", f"claims {needed} pixels in a file of {header.path.stat().st_size} bytes")
        if full.syntax in (RLE, DEFLATED_FRAMES):
            return _unpacked_frames(full, shape)
        return np.asarray(decoded(full, shape) != 0, dtype=np.uint8)
    with pydicom_door(header.path, "PixelData", full.problems):
        data = full.dataset.get("PixelData")
    length, by_frame = -(-needed // 8), shape[0] * -(-needed // shape[0] // 8)
    found = len(data) if isinstance(data, bytes) else -1
    if length <= found <= length + length % 2:
        bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=needed, bitorder="little")
        return bits.reshape(shape)
    if by_frame <= found <= by_frame + by_frame % 2:
        # Some programs begin every frame with a new byte; the length tells.
        rows = np.frombuffer(data, dtype=np.uint8, count=by_frame).reshape(shape[0], -1)
        return np.unpackbits(rows, axis=1, count=shape[1] * shape[2], bitorder="little").reshape(shape)
    raise full.error("PixelData", f"does not hold {shape[0]} frames of {shape[1]} x {shape[2]} bits")


def _unpacked_frames(full: Header, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Single bits of frames that are compressed each for itself; every frame begins with a new byte."""
    size = shape[1] * shape[2]
    pixels = np.zeros((shape[0], size), dtype=np.uint8)
    for number, data in enumerate(frame_bytes(full, shape[0], -(-size // 8))):
        stored = np.frombuffer(data, dtype=np.uint8)
        # Some programs keep a byte for each bit.
        whole = len(stored) >= size > 8
        pixels[number] = stored[:size] != 0 if whole else np.unpackbits(stored, count=size, bitorder="little")
    return pixels.reshape(shape)


def _unlisted(header: Header, stored: NDArray[Any]) -> list[Message]:
    """What to know of labels in a label map's pixels that no segment describes."""
    listed = {item.integer("SegmentNumber") for item in header.items("SegmentSequence")}
    strangers = sorted({int(n) for n in np.unique(stored)} - listed - {0, header.integer("PixelPaddingValue")})
    if not strangers:
        return []
    text = f"{header.path}: voxels of labels that no segment describes are left out: {strangers[:10]}"
    return [Message("labels-unlisted", text)]


def _frames_of(header: Header, labels: list[Label], frames: int) -> dict[int, list[int]] | None:
    """Segment number -> its frames; None for a label map, whose frames hold all segments."""
    if header.text("SegmentationType") == "LABELMAP":
        return None
    shared = header.item("SharedFunctionalGroupsSequence")
    groups = header.items("PerFrameFunctionalGroupsSequence")
    if len(groups) != frames:
        raise header.error("PerFrameFunctionalGroupsSequence", f"has {len(groups)} items for {frames} frames")
    out: dict[int, list[int]] = {label.number: [] for label in labels}
    for number, group in enumerate(groups):
        identity = group.item("SegmentIdentificationSequence") or (
            shared.item("SegmentIdentificationSequence") if shared else None
        )
        if identity is None:
            raise header.error("SegmentIdentificationSequence", f"frame {number + 1} belongs to no segment")
        segment = identity.required_integer("ReferencedSegmentNumber")
        if segment not in out:
            raise identity.error(
                "ReferencedSegmentNumber", f"frame {number + 1} names segment {segment}: there is none"
            )
        out[segment].append(number)
    return out


def _segment(
    name: str,
    label: Label,
    stack: geometry.Stack,
    pixels: NDArray[Any],
    frames: list[int],
    is_label_map: bool,
    file: str,
) -> Region:
    origin = f"{file}, segment {label.number}"
    columns, rows, _ = stack.grid.shape
    at = [stack.slice_of[frame] for frame in frames]
    if len(set(at)) < len(at):
        raise DicomError(f"{file}: structure {name!r} has two frames on one plane")
    if not frames:
        return Region(name, stack.grid, (slice(0, 0),) * 3, np.zeros((0, 0, 0), np.float32), origin)
    first, last = min(at), max(at)
    if (last - first + 1) * rows * columns > MAX_VOXELS:
        raise DicomError(f"{file}: structure {name!r} spans {last - first + 1} slices of {rows} x {columns} voxels")
    box = np.zeros((last - first + 1, rows, columns), dtype=np.float32)
    for frame, k in zip(frames, at, strict=True):
        box[k - first] = pixels[frame] == label.number if is_label_map else pixels[frame]
    covered = box.transpose(2, 1, 0)
    inner = bounding_window(covered > 0)
    k_window = slice(inner[2].start + first, inner[2].stop + first)
    return Region(name, stack.grid, (inner[0], inner[1], k_window), covered[inner], origin)


# ---------------------------------------------------------------------------------------------------------------------
# Writing


STAND_IN = (1, 8)
"""Rows and columns of the frames that highdicom sees: one byte of bits. It writes what is said of frames; the frames
themselves, which it would copy several times (420 MB for four segments of a 512 x 512 x 400 CT), are packed here."""


def _shared_grid(regions: Sequence[Region]) -> Grid:
    require_names([region.name for region in regions])
    for region in regions:
        region.grid.require_match(regions[0].grid, f"segments {region.name!r} and {regions[0].name!r}")
        if not (region.coverage >= 0.5).any():
            raise GeometryError(f"structure {region.name!r} is empty, or fills no voxel by half")
    return regions[0].grid


def _filled_slices(regions: Sequence[Region], fractional: bool, *, turned: bool) -> NDArray[Any]:
    """For each slice and segment a frame in place of the one to be written: filled where that holds anything."""
    slices = regions[0].grid.shape[2]
    found = np.zeros((slices, *STAND_IN, len(regions)), dtype=np.float32 if fractional else np.uint8)
    for n, region in enumerate(regions):
        holds = (region.coverage > 0) if fractional else (region.coverage >= 0.5)
        found[region.window[2], :, :, n] = np.reshape(holds.any(axis=(0, 1)), (-1, 1, 1))
    return found[::-1] if turned else found


def _write_frames(dataset: Any, regions: Sequence[Region], grid: Grid, *, fractional: bool, turned: bool) -> None:
    """Put the pixels of every frame that the dataset describes into it; `grid` is that of the file."""
    columns, rows, slices = grid.shape
    positions = [tuple(map(float, geometry.decimal_strings(at))) for at in geometry.slice_positions_mm(grid)]
    slice_of = {position: k for k, position in enumerate(positions)}
    shared = dataset.SharedFunctionalGroupsSequence[0]

    def said(what: str, frame: Any) -> Any:
        """What all frames have in common stands once."""
        return (frame if what in frame else shared)[what].value[0]

    data = bytearray()
    # Eight frames of any size are whole bytes.
    group = np.zeros((8, rows, columns), dtype=np.uint8)
    described = dataset.PerFrameFunctionalGroupsSequence
    for first in range(0, len(described), len(group)):
        frames = described[first : first + len(group)]
        group[:] = 0
        for frame, pixels in zip(frames, group, strict=False):
            region = regions[int(said("SegmentIdentificationSequence", frame).ReferencedSegmentNumber) - 1]
            k = slice_of[geometry.frame_position_mm(said("PlanePositionSequence", frame))]
            i, j, along = region.window
            covered = region.coverage[:, :, (slices - 1 - k if turned else k) - along.start].T
            pixels[j, i] = np.around(covered * FULL) if fractional else covered >= 0.5
        used = group[: len(frames)]
        data += used.tobytes() if fractional else np.packbits(used, bitorder="little").tobytes()
    dataset.Rows, dataset.Columns = rows, columns
    dataset["PixelData"].value = bytes(data) + b"\0" * (len(data) % 2)


def _sources(context: DicomContext, grid: Grid, *, own_images: bool, turned: bool) -> list[Any]:
    """The images as far as a segmentation must know them: identity, and place on `grid`."""
    from pydicom.dataset import Dataset

    if not context.instances:
        raise GeometryError("a segmentation refers to the images it was drawn on; the context names none")
    if context.is_multiframe or not own_images:
        instances = context.instances[:1]
    else:
        instances = context.instances[::-1] if turned else context.instances
    sources = []
    for k, instance in enumerate(instances):
        source = Dataset()
        write_patient_and_study(context, source)
        source.SOPClassUID, source.SOPInstanceUID = instance.sop_class_uid, instance.sop_instance_uid
        source.SeriesInstanceUID, source.Modality = context.series_uid, context.modality
        geometry.write_plane(source, grid, k)
        source.Rows, source.Columns = STAND_IN
        sources.append(source)
    return sources


def _refer_to_series_only(dataset: Any, context: DicomContext) -> None:
    """The images lie on another grid: no frame comes from one slice of them."""
    from pydicom.dataset import Dataset

    for frame in dataset.PerFrameFunctionalGroupsSequence:
        if "DerivationImageSequence" in frame:
            del frame.DerivationImageSequence
    series = Dataset()
    series.SeriesInstanceUID = context.series_uid
    series.ReferencedInstanceSequence = references(context.instances)
    dataset.ReferencedSeriesSequence = [series]


def _description(number: int, region: Region) -> Any:
    import highdicom
    from pydicom.sr.coding import Code as DicomCode

    category, kind, own = codes_to_write(region)
    description = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=region.name,
        segmented_property_category=DicomCode(*category),
        segmented_property_type=DicomCode(*kind),
        algorithm_type="SEMIAUTOMATIC",
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=MANUFACTURER, version=__version__, family=DicomCode("123109", "DCM", "Manual Processing")
        ),
    )
    if region.origin:
        description.SegmentDescription = region.origin[:1024]
    description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [
        code(found.value, found.scheme, found.meaning) for found in own
    ]
    return description


def _equipment(provenance: Provenance | None) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code("109102", "DCM", "Processing Equipment")]
    item.Manufacturer = MANUFACTURER
    item.SoftwareVersions = __version__
    item.ContributionDescription = provenance_text(provenance, 1024)
    return item
