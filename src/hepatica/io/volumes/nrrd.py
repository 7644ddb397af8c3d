"""NRRD (.nrrd, .nhdr): header and voxels, as teem.sourceforge.net/nrrd/format.html defines them."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.core.message import Message
from hepatica.errors import GeometryError, InputError, UnitError
from hepatica.io.input_files import require_memory
from hepatica.io.volumes.fields import Fields, read_fields
from hepatica.io.volumes.lengths import length_in_mm
from hepatica.io.volumes.voxels import VoxelPlace, grid_of, read_voxels, voxel_file

_NAMES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}

_TYPES = {name: kind for kind, names in _NAMES.items() for name in names.split(", ")}

_SPACES = {
    "left-posterior-superior": (1, 1),
    "lps": (1, 1),
    "right-anterior-superior": (-1, -1),
    "ras": (-1, -1),
    "left-anterior-superior": (1, -1),
    "las": (1, -1),
}
"""Signs that take x and y of a space to LPS."""

_ENCODINGS: dict[str, Literal["raw", "packed", "bzip2", "text", "hex"]] = {
    "raw": "raw", "gz": "packed", "gzip": "packed", "txt": "text", "text": "text", "ascii": "text", "hex": "hex",
    "bz2": "bzip2", "bzip2": "bzip2",
}  # fmt: skip

_FIELDS = {
    "dimension", "type", "blocksize", "encoding", "endian", "content", "number", "min", "max", "oldmin", "oldmax",
    "datafile", "lineskip", "byteskip", "sampleunits", "sizes", "spacings", "thicknesses", "axismins", "axismaxs",
    "centers", "centerings", "labels", "units", "kinds", "space", "spacedimension", "spaceunits", "spaceorigin",
    "spacedirections", "measurementframe",
}  # fmt: skip
"""Fields of the format, without spaces."""

MAX_LINES = 1000
"""Lines before the voxels that a header may ask to leave out."""


def read_nrrd(path: Path, *, layers: bool = False) -> tuple[Grid, NDArray[Any], list[Message]]:
    """Grid, values by (i, j, k) and messages; with `layers` the values of a voxel along a fourth axis.

    Raises
    ------
    InputError
        If it is not one volume of real numbers, its header contradicts its voxels, or these are outside its folder.
    GeometryError
        If its place is missing or absurd.
    UnitError
        If its values are quantised.
    """
    fields = read_fields(path, ":", lambda line, _: not line, first="NRRD000")
    unknown = [*fields.strays, *(key for key in fields.values if key not in _FIELDS)]
    if unknown:
        raise InputError(f"{path}: cannot be read: {unknown[0][:80]!r} is no field of NRRD")
    for key in ("oldmin", "oldmax"):
        if key in fields.values:
            raise UnitError(
                f"{path}: {key[:3]} {key[3:]}: the values are quantised, which is not read; save them as they are"
            )
    dimension, sizes = fields.whole("dimension", least=1), fields.wholes("sizes", least=1)
    if len(sizes) != dimension or dimension not in (3, 4):
        raise InputError(f"{path}: has {dimension} dimensions {' x '.join(map(str, sizes))}; one volume is needed")
    voxels = _place_of_voxels(fields, math.prod(sizes))
    axes, directions = _directions(fields, dimension)
    other = [axis for axis in range(dimension) if axis not in axes]
    channels = math.prod(sizes[axis] for axis in other)
    if channels != 1 and not layers:
        raise InputError(f"{path}: has {channels} values per voxel; one is needed")
    grid, notes = _grid(fields, [sizes[axis] for axis in axes], directions)
    values = read_voxels(voxels).reshape(sizes, order="F").transpose(*axes, *other)
    return grid, values.reshape((*values.shape[:3], channels)) if layers else values.reshape(values.shape[:3]), notes


def _place_of_voxels(fields: Fields, count: int) -> VoxelPlace:
    path = fields.path
    kind = _TYPES.get(" ".join(fields.required("type").lower().split()))
    if kind is None:
        raise InputError(f"{path}: type: {fields.required('type')[:80]!r} is not one real number a voxel")
    encoding = _ENCODINGS.get(fields.required("encoding").lower())
    if encoding is None:
        raise InputError(f"{path}: encoding: {fields.required('encoding')[:80]!r} is not read; save it as raw or gzip")
    order = (fields.text("endian") or "").lower()
    if order not in ("little", "big") and (order or (int(kind[1]) > 1 and encoding != "text")):
        raise InputError(f"{path}: endian: {order[:80]!r} is not little or big")
    stored = np.dtype((">" if order == "big" else "<") + kind)
    require_memory(path, count, stored.itemsize)
    name = fields.text("datafile")
    if name is not None and (name.split()[:1] == ["LIST"] or "%" in name):
        raise InputError(
            f"{path}: data file: {name[:80]!r}: voxels in several files are not read",
            remedy="save it as one .nrrd file",
        )
    file = path if name is None else voxel_file(path, name)
    skip = fields.whole("byteskip", least=-1, default=0)
    if skip < 0 and encoding != "raw":
        raise InputError(f"{path}: byte skip: -1 is for raw voxels only")
    start = _after_lines(file, fields.end if name is None else 0, fields.whole("lineskip", default=0))
    if encoding not in ("packed", "bzip2"):
        start, skip = -1 if skip < 0 else start + skip, 0
    return VoxelPlace(path, file, start, stored, count, encoding, skip)


def _after_lines(file: Path, start: int, lines: int) -> int:
    """First byte after so many lines."""
    if lines > MAX_LINES:
        raise InputError(f"{file}: line skip: {lines} lines before the voxels; at most {MAX_LINES} are left out")
    if not lines:
        return start
    with file.open("rb") as stream:
        stream.seek(start)
        for _ in range(lines):
            stream.readline(1 << 16)
        return stream.tell()


def _directions(fields: Fields, dimension: int) -> tuple[list[int], NDArray[np.float64]]:
    """Axes that run through space, and the step along each as a column, in the space of the file."""
    text = fields.text("spacedirections")
    if text is None:
        raise GeometryError(f"{fields.path}: space directions are missing: the file does not say where its axes run")
    steps = re.findall(r"none|\([^()]*\)", text, flags=re.IGNORECASE)
    if len(steps) != dimension or re.sub(r"none|\([^()]*\)|\s", "", text, flags=re.IGNORECASE):
        raise GeometryError(f"{fields.path}: space directions: {text[:80]!r}: one vector for each axis is needed")
    # "none" was written as (nan,nan,nan) by early programs.
    axes = [n for n, step in enumerate(steps) if step.lower() != "none" and "nan" not in step.lower()]
    if len(axes) != 3:
        raise GeometryError(f"{fields.path}: space directions: {len(axes)} axes run through space; three are needed")
    return axes, np.array([_vector(fields, "space directions", steps[axis]) for axis in axes]).T


def _vector(fields: Fields, key: str, text: str) -> list[float]:
    return fields.numbers(text.strip("() ").replace(",", " "), key, 3)


def _grid(fields: Fields, shape: list[int], directions: NDArray[np.float64]) -> tuple[Grid, list[Message]]:
    path = fields.path
    space = fields.text("space")
    if space is None or space.lower() not in _SPACES:
        raise GeometryError(
            f"{path}: space: {(space or 'not stated')[:80]!r}: where left, front and head are must be said "
            "(left-posterior-superior, right-anterior-superior or left-anterior-superior)"
        )
    origin = fields.text("spaceorigin")
    if origin is None:
        raise GeometryError(f"{path}: space origin is missing: the file does not say where its first voxel lies")
    key = "space units" if "spaceunits" in fields.values else "units"
    stated = [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', fields.text(key.replace(" ", "")) or "")]
    length_mm, notes = length_in_mm(path, key, [unit for unit in stated if unit.lower() not in ("", "none", "???")])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = directions, _vector(fields, "space origin", origin)
    affine[:3] *= length_mm
    affine[:2] *= np.array(_SPACES[space.lower()])[:, np.newaxis]
    return grid_of(path, shape, affine), list(notes)


def vector_signs(path: Path) -> tuple[int, int, int]:
    """Signs that take the components of a file's vectors to LPS: they run in its space, as its geometry does.

    Raises
    ------
    InputError
        If a measurement frame turns them, which is not read.
    """
    fields = read_fields(path, ":", lambda line, _: not line, first="NRRD000")
    frame = re.findall(r"\([^()]*\)", fields.text("measurementframe") or "(1,0,0) (0,1,0) (0,0,1)")
    if not np.array_equal([_vector(fields, "measurement frame", row) for row in frame], np.eye(3)):
        raise InputError(f"{path}: measurement frame: vectors that it turns are not read; save them in LPS")
    x, y = _SPACES[fields.required("space").lower()]
    return x, y, 1
