"""MetaImage (.mha, .mhd): header and voxels, as MetaIO writes them.

Rows of TransformMatrix are the directions of the axes in LPS; what is not stated is the identity and the origin.
"ElementToIntensityFunction" takes a stored number to an intensity.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.core.message import Message
from hepatica.errors import GeometryError, InputError, UnitError
from hepatica.io.input_files import require_memory
from hepatica.io.volumes.fields import Fields, read_fields
from hepatica.io.volumes.lengths import length_in_mm
from hepatica.io.volumes.voxels import VoxelPlace, grid_of, read_voxels, scaled, voxel_file

UNIT_LENGTH = 1e-3
"""A direction may differ from a unit vector by this much: programs write as few as four digits."""

_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
"""Sizes as in MetaIO's metaTypes.h, where a long has four bytes."""


def read_metaimage(path: Path, *, layers: bool = False) -> tuple[Grid, NDArray[Any], list[Message]]:
    """Grid, values by (i, j, k) and messages; with `layers` the values of a voxel along a fourth axis.

    Raises
    ------
    InputError
        If it is not one volume of real numbers, its header contradicts its voxels, or these are outside its folder.
    GeometryError
        If its place is missing or absurd.
    UnitError
        If its scale is none.
    """
    fields = read_fields(path, "=", lambda _, key: key == "elementdatafile")
    if (kind := fields.text("objecttype") or "Image").lower() != "image":
        raise InputError(f"{path}: ObjectType: {kind[:80]!r} is not an Image")
    shape, channels = _shape(fields, layers=layers)
    voxels = _place_of_voxels(fields, math.prod(shape) * channels)
    grid, notes = _grid(fields, shape)
    slope, offset, scaling = _scale(fields)
    values = read_voxels(voxels)
    if (slope, offset) != (1, 0):
        values = scaled(values, slope, offset, np.float64)
    values = values.reshape((channels, *shape), order="F")
    return grid, np.moveaxis(values, 0, -1) if layers else values[0], [*notes, *scaling]


def _shape(fields: Fields, *, layers: bool) -> tuple[list[int], int]:
    """Sizes of the three axes, and how many values a voxel has."""
    dimensions, sizes = fields.whole("ndims", least=1), fields.wholes("dimsize", least=1)
    if len(sizes) != dimensions or dimensions not in (3, 4) or any(n != 1 for n in sizes[3:]):
        raise InputError(
            f"{fields.path}: has {dimensions} dimensions {' x '.join(map(str, sizes))}; one volume is needed"
        )
    channels = fields.whole("elementnumberofchannels", least=1, default=1)
    if channels != 1 and not layers:
        raise InputError(f"{fields.path}: has {channels} values per voxel; one is needed")
    return sizes[:3], channels


def _place_of_voxels(fields: Fields, count: int) -> VoxelPlace:
    path = fields.path
    element = fields.required("elementtype").upper()
    if element not in _TYPES:
        raise InputError(f"{path}: ElementType: {element[:80]!r} is not one real number a voxel")
    big = _is_true(fields, "binarydatabyteordermsb", "elementbyteordermsb")
    kind = np.dtype((">" if big else "<") + _TYPES[element])
    require_memory(path, count, kind.itemsize)
    name = fields.required("elementdatafile")
    local = name.lower() == "local"
    if name.split()[0].upper() == "LIST" or "%" in name:
        raise InputError(
            f"{path}: ElementDataFile: {name[:80]!r}: voxels in several files are not read",
            remedy="save it as one .mha file",
        )
    packed = _is_true(fields, "compresseddata")
    skip = fields.whole("headersize", least=-1, default=0)
    if (local or packed) and skip > 0:
        raise InputError(f"{path}: HeaderSize: {skip} stands beside voxels that are packed or in the same file")
    return VoxelPlace(
        header=path,
        file=path if local else voxel_file(path, name),
        # Behind a header of unknown length (-1) the voxels are the last bytes; packed ones are the whole file.
        start=fields.end if local else 0 if packed else skip,
        kind=kind,
        count=count,
        encoding="packed" if packed else "raw" if _is_true(fields, "binarydata", default=True) else "text",
        packed_bytes=fields.whole("compresseddatasize", default=0) or None if packed else None,
    )


def _is_true(fields: Fields, *keys: str, default: bool = False) -> bool:
    text = (fields.text(*keys) or str(default)).lower()
    if text not in ("true", "false", "t", "f", "1", "0"):
        raise InputError(f"{fields.path}: {keys[0]}: {text[:80]!r} is not True or False")
    return text in ("true", "t", "1")


def _grid(fields: Fields, shape: list[int]) -> tuple[Grid, list[Message]]:
    path = fields.path
    spacing_text = fields.text("elementspacing") or fields.text("elementsize")
    if spacing_text is None:
        raise GeometryError(f"{path}: ElementSpacing is missing: the file does not say how large a voxel is")
    offset_text = fields.text("offset", "position", "origin")
    matrix_text = fields.text("transformmatrix", "rotation", "orientation")
    size = fields.whole("ndims")
    spacing = np.array(fields.numbers(spacing_text, "ElementSpacing", size))
    offset = np.array(fields.numbers(offset_text, "Offset", size)) if offset_text else np.zeros(size)
    matrix = np.eye(size)
    if matrix_text:
        matrix = np.reshape(fields.numbers(matrix_text, "TransformMatrix", size * size), (size, size))
    lengths = [math.hypot(*row) for row in matrix]
    if max(abs(length - 1) for length in lengths) > UNIT_LENGTH:
        shown = ", ".join(f"{length:g}" for length in lengths)
        raise GeometryError(f"{path}: TransformMatrix: its rows are {shown} long; directions are unit vectors")
    if not (spacing[:3] > 0).all():
        raise GeometryError(f"{path}: ElementSpacing: {spacing_text[:80]!r} must be positive")
    length_mm, notes = length_in_mm(path, "DistanceUnits", [fields.text("distanceunits") or "mm"])
    affine = np.eye(4)
    affine[:3, :3] = (matrix[:3, :3].T * spacing[:3]) * length_mm
    affine[:3, 3] = offset[:3] * length_mm
    if offset_text is None:
        text = "Offset is not stated: the first voxel is taken to lie at 0 0 0"
        notes += (Message("place-assumed", text),)
    if matrix_text is None:
        text = "TransformMatrix is not stated: the axes are taken to run to the left, to posterior and to the head"
        notes += (Message("place-assumed", text),)
    return grid_of(path, shape, affine), list(notes)


def _scale(fields: Fields) -> tuple[float, float, list[Message]]:
    """Slope and offset of the intensity, and what to know about them."""
    found = []
    for part, usual in (("Slope", "1"), ("Offset", "0")):
        text = fields.text(f"elementtointensityfunction{part.lower()}") or usual
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise UnitError(f"{fields.path}: ElementToIntensityFunction{part}: {text[:80]!r} is not a number")
        found.append(number)
    slope, offset = found
    if slope == 0:
        raise UnitError(f"{fields.path}: ElementToIntensityFunctionSlope: is 0: all values would be lost")
    if (slope, offset) == (1, 0):
        return slope, offset, []
    text = f"ElementToIntensityFunctionSlope {slope:g} and -Offset {offset:g} are applied to the stored values"
    return slope, offset, [Message("intensity-scaled", text, severity="note")]
