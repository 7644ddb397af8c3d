"""What a NIfTI header says about place and scale, checked before ITK reads the file, or read here where ITK is wrong.

ITK chooses between the two descriptions of place that a NIfTI file may hold (quaternion and affine) without a word,
takes an identity where it holds none, and turns NaN into 0 while it reads. It takes the size of voxels from pixdim
where the affine alone holds, adds an intercept where a slope of 0 says that there is no scale, and knows no NIfTI-2.
Field offsets are those of nifti1.h and nifti2.h.
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

from hepatica.core import Grid
from hepatica.core.message import Message
from hepatica.errors import GeometryError, InputError, UnitError

SAME_MM = 0.1
"""The two descriptions of place may differ by this much at the far corner: they hold single-precision numbers."""

_FLOATS = {16: "f4", 64: "f8"}

_TYPES = {2: "u1", 4: "i2", 8: "i4", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8", **_FLOATS}

_HEADER_BYTES = {1: 348, 2: 540}

DEFLATE_LIMIT = 1032
"""Most that gzip can compress (RFC 1951); a file that claims more voxels than that is refused before allocation."""


@dataclass(frozen=True, slots=True)
class NiftiHeader:
    """Fields of a NIfTI header that say where the voxels are, and what a stored value means.

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
    pixdim_mm : tuple of float
        Size of a voxel as pixdim says, in the file's unit of length.
    slope, intercept : float
        Scale of the values; a slope of 0 means that there is none.
    version : int
        1 or 2.
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
    pixdim_mm: tuple[float, float, float]
    slope: float
    intercept: float
    version: int = 1

    @property
    def length_mm(self) -> float:
        """The unit of length in mm: metre, millimetre or micrometre; millimetre where none is stated."""
        return {1: 1000.0, 3: 1e-3}.get(self.units, 1.0)

    @property
    def affine_beats_pixdim(self) -> bool:
        """Whether the affine alone holds (METHOD 3) and pixdim says another size of voxels."""
        if self.qform_code or not self.sform_code:
            return False
        apart = np.abs(np.linalg.norm(self.sform[:3, :3], axis=0) - np.abs(self.pixdim_mm))
        return len(self.shape) >= 3 and not (apart * self.shape[:3]).max() * self.length_mm <= SAME_MM


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
            header = _parse(stream.read(_HEADER_BYTES[1]), path)
            notes = _check_place(header, path)
            _refuse_not_finite(stream, header, path)
    except (OSError, EOFError, zlib.error, struct.error, ValueError, OverflowError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    return notes


def header_for_own_reader(path: Path) -> NiftiHeader | None:
    """The header of a NIfTI file that ITK would read wrongly or not at all; None for every other file."""
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        return None
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as stream:
            header = _parse(stream.read(_HEADER_BYTES[2]), path)
    except (InputError, OSError, EOFError, zlib.error, struct.error, ValueError, OverflowError):
        # ITK's reader says what is wrong with it.
        return None
    odd_scale = not np.isfinite([header.slope, header.intercept]).all()
    unscaled = odd_scale or (header.slope == 0 and header.intercept != 0)
    # ITK takes the voxels of a.nii for those of a.nii.gz where both stand in one folder.
    name = path.name
    twin = path.with_name(name[:-3] if name.lower().endswith(".gz") else f"{name}.gz")
    own = header.version == 2 or unscaled or header.affine_beats_pixdim or twin.exists()
    return header if own else None


def read_nifti(path: Path, header: NiftiHeader) -> tuple[Grid, NDArray[Any], list[Message]]:
    """Grid, values by (i, j, k) and messages of a NIfTI-1 or NIfTI-2 file.

    Raises
    ------
    InputError
        If it is not one volume of real numbers, or is cut short.
    GeometryError
        If its place is missing or contradictory, or its axes are not perpendicular.
    UnitError
        If a voxel is NaN or infinite, or the scale is.
    """
    if len(header.shape) < 3 or any(n != 1 for n in header.shape[3:]) or min(header.shape) < 1:
        raise InputError(f"{path}: has {len(header.shape)} dimensions {header.shape}; one volume is needed")
    notes = _check_place(header, path)
    if header.datatype not in _TYPES:
        raise InputError(f"{path}: datatype {header.datatype} is not one real number a voxel")
    kind = np.dtype(header.order + _TYPES[header.datatype])
    shape = header.shape[0], header.shape[1], header.shape[2]
    wanted = int(np.prod(np.asarray(shape, dtype=object))) * kind.itemsize
    if wanted > DEFLATE_LIMIT * path.stat().st_size:
        raise InputError(
            f"{path}: claims {wanted // kind.itemsize} voxels in {path.stat().st_size} bytes; it is damaged"
        )
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as stream:
            stream.read(max(0, header.offset))
            raw = stream.read(wanted)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if len(raw) < wanted:
        raise InputError(f"{path}: is cut short: {len(raw)} bytes of {wanted} bytes of voxels")
    stored = np.frombuffer(raw, kind).astype(kind.newbyteorder("=")).reshape(shape, order="F")
    # A slope that is 0 or no number means no scale, and the intercept is then not used (as nibabel reads it).
    scaled = np.isfinite(header.slope) and header.slope != 0
    if scaled and not np.isfinite(header.intercept):
        raise UnitError(f"{path}: scl_slope {header.slope:g}, scl_inter {header.intercept:g}: is no scale")
    if np.issubdtype(kind, np.floating) and (bad := int((~np.isfinite(stored)).sum())):
        raise UnitError(f"{path}: {bad} voxels are NaN or infinite")
    values: NDArray[Any] = stored
    if scaled and (header.slope, header.intercept) != (1, 0):
        values = stored * np.float64(header.slope) + header.intercept
    if not scaled and header.intercept != 0:
        text = f"scl_slope is {header.slope:g}, which means no scale: scl_inter {header.intercept:g} is not used"
        notes.append(Message("scale-not-used", text, severity="note"))
    if header.affine_beats_pixdim:
        sizes = np.linalg.norm(header.sform[:3, :3], axis=0)
        told, held = (" x ".join(f"{n:g}" for n in numbers) for numbers in (np.abs(header.pixdim_mm), sizes))
        notes.append(Message("pixdim-differs", f"pixdim says voxels of {told}, the affine (sform) {held}, which holds"))
    affine = np.array(header.sform if header.sform_code else header.qform)
    affine[:3] *= header.length_mm
    # NIfTI's axes run to the right and to anterior, those of a Grid to the left and to posterior.
    affine[:2] *= -1
    try:
        return Grid(shape, affine), values, notes
    except GeometryError as error:
        raise GeometryError(f"{path}: {error}; its axes may not be perpendicular (shear): resample it first") from error


def _parse(raw: bytes, path: Path) -> NiftiHeader:
    if len(raw) >= 4 and any(struct.unpack_from(f"{o}i", raw)[0] == _HEADER_BYTES[2] for o in "<>"):
        return _parse_second(raw, path)
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
        pixdim_mm=(pixdim[1], pixdim[2], pixdim[3]),
        slope=float(numbers("f", 112)[0]),
        intercept=float(numbers("f", 116)[0]),
    )


def _parse_second(raw: bytes, path: Path) -> NiftiHeader:
    """Header of NIfTI-2: the same fields, wider and elsewhere."""
    if len(raw) < _HEADER_BYTES[2]:
        raise InputError(f"{path}: is too short for a NIfTI-2 file")
    order = next(o for o in "<>" if struct.unpack_from(f"{o}i", raw)[0] == _HEADER_BYTES[2])

    def numbers(layout: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack_from(order + layout, raw, offset)

    dim, pixdim = numbers("8q", 16), numbers("8d", 104)
    sform = np.eye(4)
    sform[:3] = np.reshape(numbers("12d", 400), (3, 4))
    return NiftiHeader(
        shape=tuple(int(n) for n in dim[1 : 1 + max(0, min(7, dim[0]))]),
        qform_code=int(numbers("i", 344)[0]),
        sform_code=int(numbers("i", 348)[0]),
        qform=_quaternion_affine(numbers("3d", 352), numbers("3d", 376), pixdim),
        sform=sform,
        units=int(numbers("i", 500)[0]) & 7,
        datatype=int(numbers("h", 12)[0]),
        offset=int(numbers("q", 168)[0]),
        order=order,
        pixdim_mm=(pixdim[1], pixdim[2], pixdim[3]),
        slope=float(numbers("d", 176)[0]),
        intercept=float(numbers("d", 184)[0]),
        version=2,
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
