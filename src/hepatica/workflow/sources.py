"""What a verb takes as an image or as structures: a path or a value, and the one place where both become values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hepatica.core import Region
from hepatica.core.image import NOTHING_STATED, Image, Stated
from hepatica.errors import InputError
from hepatica.io.read import read_image

ImageSource = Path | str | Image
"""An image: a DICOM file or folder, NIfTI or MetaImage, or an `Image`."""

StructureSource = Path | str | Sequence[Region]
"""Structures: RTSTRUCT, SEG, label map, or regions on the image's grid."""


def as_image(source: ImageSource, *, role: str, series: str | None = None, stated: Stated = NOTHING_STATED) -> Image:
    """The image itself: read where a path was given.

    Raises
    ------
    InputError
        If it is neither a path nor an `Image`; otherwise as `hepatica.io.read.read_image`.
    """
    given: object = source
    if isinstance(given, Image):
        return given.used_as(role)
    if isinstance(given, str | Path):
        return read_image(given, role=role, series=series, stated=stated)
    raise InputError(
        f"{role}: an image is a path or a hepatica.Image, not {type(given).__name__}",
        remedy="make one with hepatica.Image.from_array, which needs unit and voxel size",
    )


def as_images(
    sources: ImageSource | Sequence[ImageSource], *, role: str, series: str | None = None, stated: Sequence[Stated] = ()
) -> tuple[Image, ...]:
    """Each of one or several sources as an image; `stated` holds one for each or none."""
    given = [sources] if isinstance(sources, str | Path | Image) else sources
    if not isinstance(given, Sequence):
        given = [given]
    if not given:
        raise InputError(f"{role}: no image was given")
    said = list(stated) or [NOTHING_STATED] * len(given)
    return tuple(as_image(item, role=role, series=series, stated=s) for item, s in zip(given, said, strict=True))
