"""What a NIfTI-1 header says about place, checked before ITK reads it.

ITK chooses between the two descriptions of place that a NIfTI file may hold (quaternion and affine) without a word,
takes an identity where it holds none, and turns NaN into 0 while it reads. Field offsets are those of nifti1.h.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.message import Message
from hepatica.errors import GeometryError, InputError, UnitError

SAME_MM = 0.1
"""The two descriptions of place may differ by this much at the far corner: they hold single-precision numbers."""

_FLOATS = {16: "f4", 64: "f8"}


@dataclass(frozen=True, slots=True)
class NiftiHeader:
    """Fields of a NIfTI-1 header that say where the voxels are.

    Attributes
    ----------
    shape : tuple of int
        Sizes of all dimensions.
    qform_code, sform_code : int
        0 where that description is absent.
    qform, sform : ndarray, shape (4, 4)
        Voxel index to RAS mm.
    units : int
        Code of the unit of length; 0 unknown, 2 millimetre.
    datatype, offset : int
        Type code of the voxels and where they start.
    order : str
        "<" or ">".
    """

    shape: tuple[int, ...]
    qform_code: int
    sform_code: int
    qform: NDArray[np.float64]
    sform: NDArray[np.float64]
    units: int
    datatype: int
    offset: int
    order: str


def check_nifti(path: Path) -> list[Message]:
    """Refuse a NIfTI file that states no place or two different ones, or that holds NaN; messages otherwise.

    Raises
    ------
    InputError
        If the header cannot be read.
    GeometryError
        If the place is missing or contradictory.
    UnitError
        If a voxel is NaN or infinite.
    """
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as stream:
            header = _parse(stream.read(348), path)
            notes = _check_place(header, path)
            _refuse_not_finite(stream, header, path)
    except (OSError, EOFError, zlib.error, struct.error, ValueError, OverflowError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    return notes


def _parse(raw: bytes, path: Path) -> NiftiHeader:
    if len(raw) < 348:
        raise InputError(f"{path}: is too short for a NIfTI file")
    order = next((o for o in "<>" if struct.unpack_from(f"{o}i", raw)[0] == 348), "")
    if not order:
        raise InputError(f"{path}: cannot be read as NIfTI-1")

    def numbers(layout: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack_from(order + layout, raw, offset)

    dim, pixdim = numbers("8h", 40), numbers("8f", 76)
    sform = np.eye(4)
    sform[:3] = np.reshape(numbers("12f", 280), (3, 4))
    return NiftiHeader(
        shape=tuple(int(n) for n in dim[1 : 1 + max(0, min(7, dim[0]))]),
        qform_code=int(numbers("h", 252)[0]),
        sform_code=int(numbers("h", 254)[0]),
        qform=_quaternion_affine(numbers("3f", 256), numbers("3f", 268), pixdim),
        sform=sform,
        units=raw[123] & 7,
        datatype=int(numbers("h", 70)[0]),
        offset=int(numbers("f", 108)[0]),
        order=order,
    )


def _quaternion_affine(bcd: tuple[Any, ...], offset: tuple[Any, ...], pixdim: tuple[Any, ...]) -> NDArray[np.float64]:
    """Affine of the quaternion: METHOD 2 of nifti1.h."""
    b, c, d = bcd
    a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn * np.array([pixdim[1], pixdim[2], pixdim[3] * (-1 if pixdim[0] < 0 else 1)])
    affine[:3, 3] = offset
    return affine


def _check_place(header: NiftiHeader, path: Path) -> list[Message]:
    if header.qform_code == 0 and header.sform_code == 0:
        raise GeometryError(
            f"{path}: qform_code and sform_code are 0: the file does not say where left, front and head are; set one"
        )
    if header.qform_code and header.sform_code:
        corners = np.array([[0, 0, 0, 1], [*(n - 1 for n in header.shape[:3]), 1]], dtype=np.float64)
        apart = np.abs(corners @ (header.qform - header.sform).T)
        if not apart.max() <= SAME_MM:
            raise GeometryError(
                f"{path}: qform and sform place the image differently (by {apart.max():.1f} mm); "
                "keep the right one and set the code of the other to 0"
            )
    if header.units == 0:
        return [Message("length-unit-assumed", "the file does not state its unit of length: millimetres are assumed")]
    return []


def _refuse_not_finite(stream: Any, header: NiftiHeader, path: Path) -> None:
    if header.datatype not in _FLOATS or min(header.shape, default=0) < 1:
        return
    stream.read(max(0, header.offset - 348))
    kind = np.dtype(header.order + _FLOATS[header.datatype])
    left = int(np.prod(np.asarray(header.shape, dtype=object)))
    bad = 0
    while left > 0 and (block := stream.read(kind.itemsize * min(left, 1 << 20))):
        values = np.frombuffer(block[: len(block) // kind.itemsize * kind.itemsize], kind)
        bad += int((~np.isfinite(values)).sum())
        left -= 1 << 20
    if bad:
        raise UnitError(f"{path}: {bad} voxels are NaN or infinite")
