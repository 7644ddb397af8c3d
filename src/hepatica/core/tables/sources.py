"""What stands for an image, for structures or for a dose map: a path, or the value itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hepatica.core.image import Image
from hepatica.core.region import Region, require_distinct
from hepatica.core.transform.transform import Transform
from hepatica.core.volume import Volume
from hepatica.errors import InputError

ImageSource = Path | str | Image
"""An image: a DICOM file or folder, NIfTI or MetaImage, or an `Image`."""

StructureSource = Path | str | Region | Sequence[Region]
"""Structures: RTSTRUCT, SEG, label map, or one region or several on the image's grid."""

TransformSource = Path | str | Transform
"""A transform between two frames of reference: DICOM registration, ITK transform, displacement field, or a value."""

LandmarkSource = Path | str | Mapping[str, Sequence[float]]
"""Landmarks: CSV, .fcsv or .mrk.json, or LPS mm by name."""

DoseSource = Path | str | Volume | Image
"""A dose map in Gy: RTDOSE, NIfTI or MetaImage, a folder that ``save`` of a dose or a plan wrote, or a value."""


def regions_of(source: object) -> tuple[Region, ...]:
    """The regions that stand for structures: one alone, or several.

    Raises
    ------
    InputError
        If it is anything else, or two of them have the same name.
    """
    if isinstance(source, Region):
        return (source,)
    found = tuple(source) if isinstance(source, Iterable) else (source,)
    regions = tuple(item for item in found if isinstance(item, Region))
    if len(regions) < len(found):
        raise InputError(
            "structures are a file (RTSTRUCT, SEG, label map), a hepatica.Region or a list of them, not "
            f"{type(source).__name__}"
        )
    require_distinct(regions)
    return regions
