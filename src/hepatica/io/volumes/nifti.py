"""NIfTI-1 and NIfTI-2 (.nii, .nii.gz, or .hdr beside .img): header and voxels.

Whether a file is packed by gzip is seen from its first bytes, not from its name.

A file may hold two descriptions of place (quaternion and affine); they must agree. Field offsets are those of nifti1.h
and nifti2.h.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.core.message import Message
from hepatica.errors import GeometryError, InputError, UnitError
from hepatica.io.input_files import Inflater, require_file, require_memory
from hepatica.io.volumes.voxels import (
    MAX_SKIPPED_BYTES,
    VoxelPlace,
    grid_of,
    read_voxels,
    reading,
    refuse_not_finite,
    scaled,
)

SAME_MM = 0.1
"""The two descriptions of place may differ by this much at the far corner: they hold single-precision numbers."""

_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip

_HEADER_BYTES = {1: 348, 2: 540}

_MAGIC = {1: (344, b"n+1\0"), 2: (4, b"n+2\0\r\n\x1a\n")}

_PAIR_MAGIC = {1: (344, b"ni1\0"), 2: (4, b"ni2\0\r\n\x1a\n")}
"""Of a header whose voxels are in another file."""

_GZIP = b"\x1f\x8b"

_PAIRS = {".hdr": ".img", ".img": ".hdr", ".hdr.gz": ".img.gz", ".img.gz": ".hdr.gz"}

_EXTENSION_BYTES = 4
"""Between a header and its voxels at least these say whether the header is extended."""


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
    datatype : int
        Type code of the voxels.
    offset : float
        Byte at which they start, as the file says.
    order : str
        "<" or ">".
    pixdim_mm : tuple of float
        Size of a voxel as pixdim says, in the file's unit of length.
    slope, intercept : float
        Scale of the values; a slope of 0 means that there is none.
    version : int
        1 or 2.
    intent : int
        What the values are meant for; 1006 a displacement, 1007 a vector.
    intent_name : str
        That in a program's own words.
    description : str
        Free text of at most 79 bytes.
    """

    shape: tuple[int, ...]
    qform_code: int
    sform_code: int
    qform: NDArray[np.float64]
    sform: NDArray[np.float64]
    units: int
    datatype: int
    offset: float
    order: str
    pixdim_mm: tuple[float, float, float]
    slope: float
    intercept: float
    version: int = 1
    intent: int = 0
    intent_name: str = ""
    description: str = ""

    @property
    def length_mm(self) -> float:
        """The unit of length in mm: metre, millimetre or micrometre; millimetre where none is stated."""
        return {1: 1000.0, 3: 1e-3}.get(self.units, 1.0)

    @property
    def affine_beats_pixdim(self) -> bool:
        """Whether the affine alone holds (METHOD 3) and pixdim says another size of voxels."""
        if self.qform_code or not self.sform_code:
            return False
        with np.errstate(all="ignore"):
            apart = np.abs(np.linalg.norm(self.sform[:3, :3], axis=0) - np.abs(self.pixdim_mm))
            return not (apart * self.shape[:3]).max() * self.length_mm <= SAME_MM


def read_nifti(path: Path) -> tuple[Grid, NDArray[Any], list[Message]]:
    """Grid, values by (i, j, k) and messages of a NIfTI-1 or NIfTI-2 file.

    Raises
    ------
    InputError
        If it is not one volume of real numbers, is damaged, or holds fewer or more voxels than its header says.
    GeometryError
        If its place is missing, contradictory or absurd, or its axes are not perpendicular.
    UnitError
        If a voxel is NaN or infinite, or the scale is.
    """
    grid, values, _, notes = _read(path, 1)
    return grid, values, notes


def read_nifti_vectors(path: Path) -> tuple[Grid, NDArray[Any], NiftiHeader, list[Message]]:
    """Grid, vectors by (i, j, k, component), header and messages of a NIfTI file with three values a voxel (dim 5).

    Raises
    ------
    InputError, GeometryError, UnitError
        As `read_nifti`.
    """
    return _read(path, 3)


def _read(path: Path, components: int) -> tuple[Grid, NDArray[Any], NiftiHeader, list[Message]]:
    path, voxel_path = pair_of(path)
    require_file(path)
    is_pair = path != voxel_path
    if not is_pair and (suffix := _pair_suffix(path)):
        raise InputError(f"{path}: cannot be read: its other half ({_PAIRS[suffix]}) is not beside it")
    first, _ = _beginning(path)
    header = _parse(first, path, is_pair=is_pair)
    size = require_file(voxel_path)
    _, packed = _beginning(voxel_path)
    shape = _shape(header, path, components)
    if header.datatype not in _TYPES:
        raise InputError(f"{path}: datatype {header.datatype} is not one real number a voxel")
    kind = np.dtype(header.order + _TYPES[header.datatype])
    count = math.prod(shape) * components
    require_memory(path, count, kind.itemsize)
    start = _start(header, path, size, packed=packed, is_pair=is_pair)
    notes = _check_place(header, path)
    affine = _affine(header)
    affine[:3] *= header.length_mm
    # NIfTI's axes run to the right and to anterior, those of a Grid to the left and to posterior.
    affine[:2] *= -1
    grid = grid_of(path, shape, affine)
    _require_scale(header, path)
    place = VoxelPlace(path, voxel_path, start, kind, count, encoding="gzip-file" if packed else "raw")
    stored = read_voxels(place).reshape(shape if components == 1 else (*shape, components), order="F")
    refuse_not_finite(path, stored)
    return grid, _values(header, stored, notes), header, notes


def _affine(header: NiftiHeader) -> NDArray[np.float64]:
    """Voxel index to RAS in the file's unit of length, with the sizes of pixdim where both agree.

    An affine in single precision has lost the last digits of a size (2.5 mm of turned axes), pixdim has them.
    """
    affine = np.array(header.sform if header.sform_code else header.qform)
    with np.errstate(all="ignore"):
        sizes = np.linalg.norm(affine[:3, :3], axis=0)
        if np.allclose(sizes, header.pixdim_mm, rtol=1e-6, atol=0):
            affine[:3, :3] *= np.asarray(header.pixdim_mm) / sizes
    return affine


def _shape(header: NiftiHeader, path: Path, components: int) -> tuple[int, int, int]:
    if components > 1 and header.shape[3:] != (1, components):
        raise InputError(f"{path}: dim {header.shape}: i x j x k x 1 x {components} is needed: three values a voxel")
    if len(header.shape) < 3 or (components == 1 and any(n != 1 for n in header.shape[3:])) or min(header.shape) < 1:
        raise InputError(f"{path}: has {len(header.shape)} dimensions {header.shape}; one volume is needed")
    return header.shape[0], header.shape[1], header.shape[2]


def pair_of(path: Path) -> tuple[Path, Path]:
    """Files of the header and of the voxels: the same but for .hdr beside .img, either of which names both."""
    suffix = _pair_suffix(path)
    other = path.with_name(path.name[: len(path.name) - len(suffix)] + _PAIRS[suffix]) if suffix else path
    if not other.is_file():
        return path, path
    return (other, path) if suffix.startswith(".img") else (path, other)


def _pair_suffix(path: Path) -> str:
    return next((suffix for suffix in _PAIRS if path.name.lower().endswith(suffix)), "")


def is_nifti_pair(path: Path) -> bool:
    """Whether a file is the header or the voxels of a NIfTI or Analyze image in two files."""
    if not _pair_suffix(path):
        return False
    header, voxels = pair_of(path)
    if header == voxels or not path.is_file():
        return False
    first, _ = _beginning(header)
    return len(first) >= _HEADER_BYTES[1] and any(
        struct.unpack_from(f"{order}i", first)[0] in _HEADER_BYTES.values() for order in "<>"
    )


def _beginning(path: Path) -> tuple[bytes, bool]:
    """First bytes, unpacked, of a file, and whether it is packed."""
    with reading(path), path.open("rb") as stream:
        packed = stream.read(len(_GZIP)) == _GZIP
        stream.seek(0)
        return (Inflater(stream) if packed else stream).read(_HEADER_BYTES[2]), packed


def _start(header: NiftiHeader, path: Path, size: int, *, packed: bool, is_pair: bool) -> int:
    """First byte of the voxels."""
    least = 0 if is_pair else _HEADER_BYTES[header.version] + _EXTENSION_BYTES
    # A packed file may be longer unpacked; then its end is met while it is read.
    most = size if not packed else MAX_SKIPPED_BYTES
    if not least <= header.offset <= most or not header.offset.is_integer():
        raise InputError(
            f"{path}: vox_offset {header.offset:g}: the voxels start behind the header, at byte {least} or later, and "
            f"within the file"
        )
    return int(header.offset)


def _is_scaled(header: NiftiHeader) -> bool:
    """Whether the values have a scale: a slope that is 0 or no number means none (nifti1.h, and nibabel)."""
    return bool(np.isfinite(header.slope)) and header.slope != 0


def _require_scale(header: NiftiHeader, path: Path) -> None:
    if _is_scaled(header) and not np.isfinite(header.intercept):
        raise UnitError(f"{path}: scl_slope {header.slope:g}, scl_inter {header.intercept:g}: is no scale")


def _values(header: NiftiHeader, stored: NDArray[Any], notes: list[Message]) -> NDArray[Any]:
    """The values that the stored numbers mean; what is said about them is added to `notes`."""
    if not _is_scaled(header):
        # The intercept is then not used.
        if header.intercept != 0:
            text = f"scl_slope is {header.slope:g}, which means no scale: scl_inter {header.intercept:g} is not used"
            notes.append(Message("scale-not-used", text, severity="note"))
        return stored
    if (header.slope, header.intercept) == (1, 0):
        return stored
    # float32 keeps 7 digits: enough for 16 bits, not for 32.
    narrow = stored.dtype.itemsize <= 2 or stored.dtype == np.float32
    return scaled(stored, header.slope, header.intercept, np.float32 if narrow else np.float64)


def _parse(raw: bytes, path: Path, *, is_pair: bool) -> NiftiHeader:
    second = len(raw) >= 4 and any(struct.unpack_from(f"{o}i", raw)[0] == _HEADER_BYTES[2] for o in "<>")
    version = 2 if second else 1
    if len(raw) < _HEADER_BYTES[version]:
        raise InputError(f"{path}: cannot be read: it is too short for a NIfTI file")
    at, magic = (_PAIR_MAGIC if is_pair else _MAGIC)[version]
    if raw[at : at + len(magic)] != magic:
        if is_pair:
            what = "it is no NIfTI header; Analyze 7.5 does not say where left is: save it as .nii"
        elif raw[at : at + 3] == _PAIR_MAGIC[version][1][:3]:
            what = "its voxels are in another file: name it .hdr, beside its .img"
        else:
            what = "it is no NIfTI file"
        raise InputError(f"{path}: cannot be read: {what}")
    return _parse_second(raw) if second else _parse_first(raw, path)


def _parse_first(raw: bytes, path: Path) -> NiftiHeader:
    """Header of NIfTI-1."""
    order = next((o for o in "<>" if struct.unpack_from(f"{o}i", raw)[0] == 348), "")
    if not order:
        raise InputError(f"{path}: cannot be read as NIfTI-1")

    def numbers(layout: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack_from(order + layout, raw, offset)

    dim, pixdim = numbers("8h", 40), numbers("8f", 76)
    sform = np.eye(4)
    sform[:3] = np.reshape(numbers("12f", 280), (3, 4))
    return NiftiHeader(
        shape=tuple(int(n) for n in dim[1 : 1 + dim[0]]) if 0 < dim[0] < 8 else (),
        qform_code=int(numbers("h", 252)[0]),
        sform_code=int(numbers("h", 254)[0]),
        qform=_quaternion_affine(numbers("3f", 256), numbers("3f", 268), pixdim),
        sform=sform,
        units=raw[123] & 7,
        datatype=int(numbers("h", 70)[0]),
        offset=float(numbers("f", 108)[0]),
        order=order,
        pixdim_mm=(pixdim[1], pixdim[2], pixdim[3]),
        slope=float(numbers("f", 112)[0]),
        intercept=float(numbers("f", 116)[0]),
        intent=int(numbers("h", 68)[0]),
        intent_name=raw[328:344].split(b"\0")[0].decode("latin-1"),
        description=raw[148:228].split(b"\0")[0].decode("latin-1"),
    )


def _parse_second(raw: bytes) -> NiftiHeader:
    """Header of NIfTI-2: the same fields, wider and elsewhere."""
    order = next(o for o in "<>" if struct.unpack_from(f"{o}i", raw)[0] == _HEADER_BYTES[2])

    def numbers(layout: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack_from(order + layout, raw, offset)

    dim, pixdim = numbers("8q", 16), numbers("8d", 104)
    sform = np.eye(4)
    sform[:3] = np.reshape(numbers("12d", 400), (3, 4))
    return NiftiHeader(
        shape=tuple(int(n) for n in dim[1 : 1 + dim[0]]) if 0 < dim[0] < 8 else (),
        qform_code=int(numbers("i", 344)[0]),
        sform_code=int(numbers("i", 348)[0]),
        qform=_quaternion_affine(numbers("3d", 352), numbers("3d", 376), pixdim),
        sform=sform,
        units=int(numbers("i", 500)[0]) & 7,
        datatype=int(numbers("h", 12)[0]),
        offset=float(numbers("q", 168)[0]),
        order=order,
        pixdim_mm=(pixdim[1], pixdim[2], pixdim[3]),
        slope=float(numbers("d", 176)[0]),
        intercept=float(numbers("d", 184)[0]),
        version=2,
        intent=int(numbers("i", 504)[0]),
        intent_name=raw[508:524].split(b"\0")[0].decode("latin-1"),
        description=raw[240:320].split(b"\0")[0].decode("latin-1"),
    )


def _quaternion_affine(bcd: tuple[Any, ...], offset: tuple[Any, ...], pixdim: tuple[Any, ...]) -> NDArray[np.float64]:
    """Affine of the quaternion, METHOD 2 of nifti1.h; NaN where its numbers are no rotation and no size."""
    b, c, d = bcd
    if not _is_rotation(bcd, pixdim):
        return np.full((4, 4), np.nan)
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


def _is_rotation(bcd: tuple[Any, ...], pixdim: tuple[Any, ...]) -> bool:
    """Whether three numbers are those of a quaternion of length 1, and sizes of voxels are positive.

    Single precision, of values that were rounded, leaves 1e-3 (nibabel allows less).
    """
    return math.hypot(*bcd) <= 1.001 and all(0 < size < math.inf for size in pixdim[1:4])


def _check_place(header: NiftiHeader, path: Path) -> list[Message]:
    """Refuse a place that is missing, contradictory or no number; messages otherwise."""
    if header.qform_code == 0 and header.sform_code == 0:
        raise GeometryError(
            f"{path}: qform_code and sform_code are 0: the file does not say where left, front and head are; set one"
        )
    if header.qform_code and not np.isfinite(header.qform).all():
        raise GeometryError(f"{path}: quatern_b, _c and _d with pixdim are no rotation with sizes of voxels")
    if header.sform_code and not np.isfinite(header.sform).all():
        raise GeometryError(f"{path}: srow_x, _y and _z (the sform) are not all finite numbers")
    if header.qform_code and header.sform_code:
        corners = np.array([[0, 0, 0, 1], [*(n - 1 for n in header.shape[:3]), 1]], dtype=np.float64)
        with np.errstate(all="ignore"):
            apart = np.abs(corners @ (header.qform - header.sform).T)
        if not apart.max() <= SAME_MM:
            raise GeometryError(
                f"{path}: qform and sform place the image differently (by {apart.max():.1f} mm); "
                "keep the right one and set the code of the other to 0"
            )
    notes = []
    if header.units not in (1, 2, 3):
        text = "the file does not state its unit of length: millimetres are assumed"
        notes.append(Message("length-unit-assumed", text))
    if header.affine_beats_pixdim:
        with np.errstate(all="ignore"):
            sizes = np.linalg.norm(header.sform[:3, :3], axis=0)
        told, held = (" x ".join(f"{n:g}" for n in numbers) for numbers in (np.abs(header.pixdim_mm), sizes))
        notes.append(Message("pixdim-differs", f"pixdim says voxels of {told}, the affine (sform) {held}, which holds"))
    return notes
