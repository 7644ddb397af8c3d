"""What a verb takes as an image or as structures: a path or a value, and the one place where both become values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
        If it is neither a path nor an `Image`; otherwise as `hepatica.io.read.read_image` and `Image.stating`.
    """
    if isinstance(source, Image):
        return source.stating(stated).used_as(role)
    return read_image(_path(source, role), role=role, series=series, stated=stated)


def _path(source: object, role: str) -> Path | str:
    if isinstance(source, str | Path):
        return source
    raise InputError(
        f"{role}: an image is a path or a hepatica.Image, not {type(source).__name__}",
        remedy="make one with hepatica.Image.from_array, which needs unit and voxel size",
    )


def as_images(
    sources: ImageSource | Sequence[ImageSource], *, role: str, series: str | None = None, stated: Sequence[Stated] = ()
) -> tuple[Image, ...]:
    """Each of one or several sources as an image; `stated` holds one for each or none."""
    alone: Any = sources
    given = alone if isinstance(alone, Sequence) and not isinstance(alone, str) else [alone]
    if not given:
        raise InputError(f"{role}: no image was given")
    each = list(stated) or [NOTHING_STATED] * len(given)
    return tuple(as_image(item, role=role, series=series, stated=s) for item, s in zip(given, each, strict=True))
