"""What stands for an image, for structures or for a dose map: a path, or the value itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hepatica.core.image import Image
from hepatica.core.region import Region
from hepatica.core.volume import Volume

ImageSource = Path | str | Image
"""An image: a DICOM file or folder, NIfTI or MetaImage, or an `Image`."""

StructureSource = Path | str | Sequence[Region]
"""Structures: RTSTRUCT, SEG, label map, or regions on the image's grid."""

DoseSource = Path | str | Volume | Image
"""A dose map in Gy: RTDOSE, NIfTI or MetaImage, a folder that ``save`` of a dose or a plan wrote, or a value."""
