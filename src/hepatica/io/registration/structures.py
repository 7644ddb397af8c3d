"""Structures where they were drawn, without the image that they were drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from hepatica.core import Grid, Kind, Region
from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.io.dicom.context import instance_of
from hepatica.io.dicom.structures.rtstruct import RT_STRUCTURE_SET
from hepatica.io.dicom.structures.seg import segmentation_grid
from hepatica.io.dicom.tags import Header, open_dicom
from hepatica.io.itk import is_itk_file, read_itk
from hepatica.io.structures.regions import read_structures

IN_PLANE_MM = 1.0
"""Voxels on which contours are filled: the fraction that a border voxel is covered by is kept, so this is finer than
any outline is known."""

MAX_VOXELS = 60_000_000
"""Voxels for contours; above, coarser ones are taken."""

PLANE_MM = 3.0
"""Distance between planes where all contours lie on one."""

Form = Literal["RTSTRUCT", "SEG", "label map"]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Structures on voxels of their own frame of reference.

    Attributes
    ----------
    name : str
        Of the file.
    regions : tuple of Region
        None is empty.
    form : {"RTSTRUCT", "SEG", "label map"}
        What the file is.
    messages : tuple of Message
        What was skipped or assumed.
    """

    name: str
    regions: tuple[Region, ...]
    form: Form
    messages: tuple[Message, ...] = ()


def read_drawn(path: Path, names: Sequence[str] | None = None) -> Drawn:
    """Structures of a file: a SEG or label map on its own voxels, contours on voxels of 1 mm between their planes.

    Raises
    ------
    HepaticaError
        As `hepatica.io.structures.regions.read_structures`.
    """
    if is_itk_file(path):
        grid, form = read_itk(path, Kind.UNKNOWN)[0].grid, "label map"
    else:
        header = open_dicom(path)
        if instance_of(header).sop_class_uid == RT_STRUCTURE_SET:
            grid, form = _contour_grid(header), "RTSTRUCT"
        else:
            grid, form = segmentation_grid(path), "SEG"
    found = read_structures(path, grid, names=names)
    regions = tuple(region for region in found.regions if not region.is_empty)
    if not regions:
        raise InputError(f"{path}: holds no structure with a voxel")
    return Drawn(path.name, regions, form, found.messages)  # type: ignore[arg-type]


def _contour_grid(header: Header) -> Grid:
    """Axial grid over all contours of an RT Structure Set, its planes those of the contours."""
    points = []
    for roi in header.items("ROIContourSequence"):
        for contour in roi.items("ContourSequence"):
            numbers = contour.numbers("ContourData")
            if len(numbers) >= 9 and len(numbers) % 3 == 0:
                points.append(np.reshape(numbers, (-1, 3)))
    if not points:
        raise header.error("ROIContourSequence", "holds no contour")
    frames = {item.text("FrameOfReferenceUID") for item in header.items("ReferencedFrameOfReferenceSequence")} | {
        item.text("ReferencedFrameOfReferenceUID") for item in header.items("StructureSetROISequence")
    }
    frames.discard("")
    if len(frames) > 1:
        raise header.error("ReferencedFrameOfReferenceUID", f"structures lie in {len(frames)} frames of reference")
    heights = np.unique(np.round([part[:, 2].mean() for part in points], 2))
    steps = np.diff(heights)
    thick = float(np.median(steps)) if steps.size else PLANE_MM
    every = np.concatenate(points)
    low, high = every.min(axis=0), every.max(axis=0)
    low[2], high[2] = heights[0], heights[-1]
    side = IN_PLANE_MM
    planes = round((high[2] - low[2]) / thick) + 3
    while np.prod((high[:2] - low[:2]) / side + 5) * planes > MAX_VOXELS:
        side *= 1.5
    spacing = np.array([side, side, thick])
    shape = np.ceil((high - low) / spacing).astype(int) + 3
    frame = frames.pop() if frames else header.text("FrameOfReferenceUID") or None
    return Grid.axial(shape.tolist(), spacing_mm=spacing.tolist(), origin_mm=(low - spacing).tolist(),
                      frame_of_reference=frame)  # fmt: skip
