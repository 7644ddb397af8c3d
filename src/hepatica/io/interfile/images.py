"""Interfile: a header of `key := value` lines beside a file of plain numbers (.hv/.v, .hs/.s of STIR, .h33/.i33).

The header says neither unit nor, in most dialects, how the axes run. STIR's images of a patient head first supine run
to the left, to posterior and to the feet; other writers are taken as the same, with a warning.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, InputFile, Kind, Volume
from hepatica.core.image import NOTHING_STATED, Acquisition, Image, Stated, not_stated
from hepatica.core.message import Message
from hepatica.core.volume import voxel_unit, whole_labels
from hepatica.errors import GeometryError, InputError, UnitError
from hepatica.io.volumes.voxels import MAX_VOXEL_MM, MIN_VOXEL_MM

DEFLATE_LIMIT = 1032
"""Most that gzip can compress (RFC 1951): no more than that can be in a file."""

HEADERS = {".hv": ".v", ".hs": ".s", ".h33": ".i33"}
"""Suffix of the data by that of the header."""

MAX_HEADER_BYTES = 10**6
"""A header is text of a few kilobytes."""

LONGEST_NAME = 255
"""Characters of a file name that file systems take."""

MAX_VOXELS = 2**31
"""More voxels than any scanner's."""


def is_interfile(path: Path) -> bool:
    """Whether the name is that of an Interfile header or of its data."""
    return _plain_suffix(path) in {*HEADERS, *HEADERS.values()}


def holds_projections(path: Path) -> bool:
    """Whether an Interfile holds projections, not an image."""
    header = read_header(path)
    return bool(header.text("number of projections")) or "acquired" in header.text("process status").lower()


@dataclass(frozen=True, slots=True)
class Header:
    """Keys of a header, in lower case without marks, and where they stand."""

    path: Path
    values: dict[str, str]

    def error(self, key: str, message: str, *, remedy: str = "") -> InputError:
        """Error that names file and key."""
        return InputError(f"{self.path}: {key}: {message}", remedy=remedy)

    def text(self, *keys: str) -> str:
        """Value of the first of these keys that is there; empty if none is."""
        return next((self.values[key] for key in keys if self.values.get(key)), "")

    def numbers(self, *keys: str) -> tuple[float, ...]:
        """Numbers of the first of these keys that is there, alone or as a list."""
        text = self.text(*keys)
        if not text:
            return ()
        try:
            found = tuple(float(part) for part in re.split(r"[\s,;]+", text.strip("{} ")) if part)
        except ValueError:
            raise self.error(keys[0], f"{text[:80]!r} is no number") from None
        if not np.isfinite(found).all():
            raise self.error(keys[0], f"{text[:80]!r} is not finite")
        return found

    def number(self, *keys: str) -> float | None:
        """One number; None if no key is there."""
        found = self.numbers(*keys)
        if len(found) > 1:
            raise self.error(keys[0], f"has {len(found)} values; one is needed")
        return found[0] if found else None

    def required(self, *keys: str) -> float:
        """One number that must be there."""
        found = self.number(*keys)
        if found is None:
            raise self.error(keys[0], "is missing")
        return found

    def count(self, *keys: str) -> int:
        """A whole number of at least 1 that must be there."""
        found = self.required(*keys)
        if found != round(found) or not 1 <= found <= 1e6:
            raise self.error(keys[0], f"{found:g} is no count")
        return round(found)


def header_of(path: Path) -> Path:
    """The header, there or not, of an Interfile that is named by itself or by its data."""
    data_suffixes = {data: header for header, data in HEADERS.items()}
    if (suffix := _plain_suffix(path)) not in data_suffixes:
        return path
    name = path.name[: -len(".gz")] if path.name.lower().endswith(".gz") else path.name
    return path.with_name(name[: -len(suffix)] + data_suffixes[suffix])


def read_header(path: Path) -> Header:
    """Header of an Interfile, named by itself or by its data.

    Raises
    ------
    InputError
        If there is none, or it is no Interfile.
    """
    header = header_of(path)
    if header != path and not header.is_file():
        raise InputError(f"{path}: these are the data of an Interfile, whose header {header.name} is not beside it")
    path = header
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        if path.stat().st_size > MAX_HEADER_BYTES:
            raise InputError(f"{path}: is too long for an Interfile header")
        lines = path.read_bytes().decode("latin-1").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    values: dict[str, str] = {}
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith(";")), "")
    if not re.match(r"\s*!?\s*interfile\s*:=", first, re.IGNORECASE):
        raise InputError(f"{path}: does not start with !INTERFILE :=, so it is no Interfile header")
    for line in lines:
        if line.lstrip().startswith(";") or ":=" not in line:
            continue
        key, value = line.split(":=", 1)
        words = " ".join(re.sub("[!_]", " ", key).lower().split())
        plain = re.sub(r"\s*\[\s*(\d+)\s*\]", r" [\1]", words)
        if plain in values and value.strip() and values[plain] not in ("", value.strip()):
            raise InputError(f"{path}: {plain}: is there twice, as {values[plain]!r} and {value.strip()!r}")
        values[plain] = value.strip() or values.get(plain, "")
    return Header(path, values)


def read_interfile_image(path: Path, *, role: str = "image", stated: Stated = NOTHING_STATED) -> Image:
    """Interfile image with the unit and the time that the user states.

    Raises
    ------
    InputError
        If header or data cannot be read, or hold something else than one volume.
    UnitError
        If no unit was stated, or the values cannot be in it.
    """
    if stated.unit is None:
        raise UnitError(
            f"{path}: the file does not say what a voxel holds",
            remedy="state its unit ('Bq/mL', 'MBq h', 'counts', 'HU', ...)",
        )
    kind, factor = voxel_unit(stated.unit)
    volume, notes = read_interfile(path, kind, factor=factor, slice_spacing_mm=stated.slice_spacing_mm)
    volume.require_finite()
    if kind is Kind.HU and float(volume.values.min()) >= 0:
        raise UnitError(
            f"{path}: no voxel lies below 0 HU, so the values are not HU (HU + 1000, or attenuation coefficients?)",
            remedy="convert them to HU first",
        )
    volume = Volume(volume.grid, volume.values, kind, stated.time, path.name)
    facts = Acquisition(
        description=path.name, nuclide=stated.nuclide, time_rule="stated by the user" if stated.time else ""
    )
    missing = not_stated(kind, nuclide=stated.nuclide, time=stated.time)
    header = read_header(path)
    source = InputFile.of(role, header.path, [header.path, data_file(header)])
    return Image(volume, None, facts, source, tuple(notes), missing)


def read_interfile(
    path: Path, kind: Kind, *, factor: float = 1.0, slice_spacing_mm: float | None = None
) -> tuple[Volume, list[Message]]:
    """Volume of an Interfile image, with messages; labels stay integers.

    Raises
    ------
    InputError
        If header or data cannot be read, or hold something else than one volume.
    """
    header = read_header(path)
    if header.text("matrix axis label [1]").lower().startswith("tangential"):
        raise header.error(
            "matrix axis label [1]", "these are sinograms of a PET, not an image", remedy="reconstruct them first"
        )
    if holds_projections(path):
        raise header.error("process status", "these are projections, not an image", remedy="reconstruct them first")
    size = (
        header.count("matrix size [1]"),
        header.count("matrix size [2]"),
        header.count("matrix size [3]", "number of slices", "total number of images"),
    )
    total = header.number("total number of images")
    if total is not None and total != size[2]:
        raise header.error("total number of images", f"{total:g} images of {size[2]} slices: one volume is needed")
    stored, notes = read_numbers(header, size)
    values = stored.transpose(2, 1, 0)[:, :, ::-1]
    grid = _grid(header, size, slice_spacing_mm, notes)
    if kind is Kind.LABEL:
        return Volume(grid, whole_labels(values, str(path)), kind, name=path.name), notes
    return Volume(grid, scaled(values, scale_of(header) * factor), kind, name=path.name), notes


def scaled(stored: NDArray[Any], scale: float) -> NDArray[np.float32]:
    """Stored numbers times a factor, worked out in double precision one step of the last axis at a time."""
    found = np.empty(stored.shape, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(stored.shape[-1]):
            part = stored[..., k]
            found[..., k] = part if scale == 1.0 else part.astype(np.float64) * scale
    return found


def _plain_suffix(path: Path) -> str:
    """Suffix in lower case, without .gz."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def data_file(header: Header) -> Path:
    """The file of numbers beside a header, or in a folder beside it; InputError if it is not there."""
    key = "name of data file"
    name = header.text(key)
    if not name:
        raise header.error(key, "is missing")
    shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
    if len(name) > LONGEST_NAME or Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        raise header.error(key, f"{shown} is not beside the header", remedy="write the name alone, without a folder")
    path = header.path.parent / name
    for found in (path, path.with_name(path.name + ".gz")):
        if found.is_file():
            return found
    raise header.error(key, f"{shown} is not beside the header")


def read_numbers(header: Header, size: tuple[int, ...]) -> tuple[NDArray[Any], list[Message]]:
    """Stored numbers in the order of the file, the last of `size` slowest; shape is `size` reversed."""
    notes: list[Message] = []
    for key in (
        "number of time frames",
        "number of energy windows",
        "number of time slots",
        "number of detector heads",
    ):
        if (several := header.number(key)) is not None and several > 1:
            raise header.error(key, f"{several:g} in one file: one of them is needed", remedy="export one of them")
    width = header.count("number of bytes per pixel")
    words = header.text("number format").lower()
    letter = next((code for word, code in (("unsigned", "u"), ("signed", "i"), ("float", "f")) if word in words), None)
    if letter is None or width not in ({"f": (4, 8)}.get(letter, (1, 2, 4))):
        raise header.error("number format", f"{words or 'nothing'!r} of {width} bytes is not read")
    order = header.text("imagedata byte order").upper().replace(" ", "")
    if not order and width > 1:
        text = f"{header.path}: imagedata byte order is not stated: big endian is taken, as Interfile 3.3 says"
        notes.append(Message("byte-order-assumed", text))
    if order not in ("", "LITTLEENDIAN", "BIGENDIAN"):
        raise header.error("imagedata byte order", f"{order!r} is neither LITTLEENDIAN nor BIGENDIAN")
    offset = header.number("data offset in bytes") or 2048 * (header.number("data starting block") or 0.0)
    voxels = int(np.prod(np.asarray(size, dtype=object)))
    if voxels > MAX_VOXELS or not 0 <= offset <= MAX_VOXELS or offset != round(offset):
        raise header.error("matrix size [1]", f"{voxels} voxels from byte {offset:g} on is no image")
    data = _bytes(header, voxels * width + round(offset))
    expected = voxels * width
    if len(data) - round(offset) != expected:
        raise header.error(
            "name of data file",
            f"holds {len(data) - round(offset)} bytes, but {' x '.join(map(str, size))} numbers of {width} bytes need "
            f"{expected}: the file is {'cut short' if len(data) - offset < expected else 'of something else'}",
        )
    kind = f"{'<' if order == 'LITTLEENDIAN' else '>'}{letter}{width}"
    return np.frombuffer(data, dtype=kind, offset=round(offset)).reshape(size[::-1]), notes


def _bytes(header: Header, most: int) -> bytes:
    """The data, at most one byte more than are needed."""
    path = data_file(header)
    try:
        there = path.stat().st_size
        if path.suffix.lower() == ".gz":
            with gzip.open(path) as packed:
                return packed.read(min(most + 1, DEFLATE_LIMIT * there))
        with path.open("rb") as plain:
            return plain.read(min(most + 1, there))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def scale_of(header: Header) -> float:
    """Factor from stored numbers to values."""
    scale = 1.0
    for key in ("image scaling factor [1]", "quantification units"):
        if re.fullmatch(r"[-+.\deE]+", header.text(key)):
            scale *= header.required(key)
    if scale == 0:
        raise header.error("image scaling factor [1]", "is 0: all values would be lost")
    if not math.isfinite(scale):
        raise header.error("image scaling factor [1]", "is too large: no value would be finite")
    return scale


def _grid(header: Header, size: tuple[int, int, int], spacing_mm: float | None, notes: list[Message]) -> Grid:
    """Grid in which slices run to the head, as `read_interfile` turns them."""
    x, y = (header.required(f"scaling factor (mm/pixel) [{n}]") for n in (1, 2))
    z = header.number("scaling factor (mm/pixel) [3]") if spacing_mm is None else abs(spacing_mm)
    if z is None:
        z = _slice_distance(header, x, notes)
    if not all(MIN_VOXEL_MM * 0.999 <= side <= MAX_VOXEL_MM * 1.001 for side in (x, y, z)):
        raise header.error(
            "scaling factor (mm/pixel) [1]",
            f"voxels of {x:g} x {y:g} x {z:g} mm; from {MIN_VOXEL_MM:g} to {MAX_VOXEL_MM:g} mm are read",
            remedy="look whether they are in mm",
        )
    orientation = header.text("patient orientation").lower().replace("_", " ")
    turned = header.text("patient rotation").lower()
    if orientation not in ("", "head in") or turned not in ("", "supine"):
        raise GeometryError(
            f"{header.path}: patient orientation: {orientation or 'head in'}, {turned or 'supine'} is not read",
            remedy="convert it to NIfTI with the program that wrote it",
        )
    firsts = [header.number(f"first pixel offset (mm) [{n}]") for n in (1, 2, 3)]
    if not (orientation and turned):
        text = (
            f"{header.path}: the header does not say how the axes run: columns are taken to the patient's left, rows "
            "to posterior and slices to the feet"
        )
        notes.append(
            Message("orientation-assumed", text, "check the image's orientation, mainly anterior and posterior")
        )
    if None in firsts:
        text = f"{header.path}: first pixel offset (mm) is missing: the middle of the image is put at the origin"
        notes.append(Message("place-assumed", text, "register it to the CT"))
    sides = (x, y, z)
    middle = [-(n - 1) / 2 * side for n, side in zip(size, sides, strict=True)]
    i, j, k = (stated if stated is not None else where for stated, where in zip(firsts, middle, strict=True))
    return Grid.axial(size, spacing_mm=sides, origin_mm=(i, j, -(k + (size[2] - 1) * z)))


def _slice_distance(header: Header, pixel_mm: float, notes: list[Message]) -> float:
    """Distance between slices from a key in pixels, in which some programs write millimetres."""
    keys = ("centre-centre slice separation (pixels)", "slice separation (pixels)", "slice thickness (pixels)")
    key = next((key for key in keys if header.text(key)), "")
    if not key:
        raise header.error("slice thickness (pixels)", "is missing", remedy="state `slice_spacing_mm`")
    stated = header.required(key)
    if abs(pixel_mm - 1) < 0.01 or stated <= 1.5:
        return stated * pixel_mm
    if stated < 3:
        raise header.error(
            key,
            f"{stated:g} is {stated * pixel_mm:.3g} mm in pixels, or {stated:g} mm written for pixels",
            remedy="state `slice_spacing_mm`",
        )
    text = f"{header.path}: {key}: {stated:g} would be {stated * pixel_mm:.3g} mm; {stated:g} mm are taken, not pixels"
    notes.append(Message("slice-spacing-assumed", text, "state `slice_spacing_mm` if it is another"))
    return stated
