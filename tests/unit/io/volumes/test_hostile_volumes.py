"""NIfTI, MetaImage and NRRD files that are damaged or that lie: each is refused, with its name, or read right."""

from __future__ import annotations

import bz2
import gzip
import os
import socket
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.errors import GeometryError, HepaticaError, InputError, UnitError
from hepatica.io import input_files
from hepatica.io.describe import describe
from hepatica.io.dicom.rtdose import read_rtdose
from hepatica.io.itk import read_itk, read_label_layers, write_itk
from hepatica.io.read import Stated, read_image
from hepatica.io.structures.regions import read_structures
from hepatica.io.tables import read_table
from hepatica.workflow.inspect import inspect_images

SHAPE = (12, 11, 6)
MATRIX = "0.96 0.28 0 -0.28 0.96 0 0 0 1"


def values(kind: Any = np.float32) -> np.ndarray:
    return (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 101).astype(kind)


def written(path: Path, grid: Grid, kind: Any = np.float32) -> Path:
    turned = Grid(SHAPE, grid.affine)
    volume = Volume(turned, values(kind), Kind.LABEL if np.issubdtype(kind, np.integer) else Kind.UNKNOWN)
    return write_itk(volume, path)


def refused(path: Path, error: type[HepaticaError], words: str) -> None:
    """Refused by both doors within a moment, and named."""
    begun = time.monotonic()
    with pytest.raises(error, match=words) as found:
        read_itk(path, Kind.UNKNOWN)
    assert path.name in str(found.value)
    if path.is_file():
        (listed,) = describe(path).series
        assert listed.problems
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("kind", [np.float32, np.int16])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "a.nrrd"])
@pytest.mark.parametrize("share", [0.55, 0.999])
def test_a_file_cut_short_is_not_read_as_whole(
    tmp_path: Path, oblique_grid: Grid, name: str, kind: Any, share: float
) -> None:
    path = written(tmp_path / name, oblique_grid, kind)
    assert np.array_equal(read_itk(path, Kind.UNKNOWN)[0].values, values())
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(path, InputError, "cut short|cannot be read")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "a.nrrd"])
def test_more_voxels_than_the_header_says_are_refused_but_padding_is_not(
    tmp_path: Path, oblique_grid: Grid, name: str
) -> None:
    path = written(tmp_path / name, oblique_grid)
    whole = path.read_bytes()
    if name != "a.nii.gz":
        path.write_bytes(whole + bytes(-len(whole) % 512))
    else:
        raw = gzip.decompress(whole)
        path.write_bytes(gzip.compress(raw + bytes(-len(raw) % 512)))
    assert np.array_equal(read_itk(path, Kind.UNKNOWN)[0].values, values())
    if name in ("a.nii", "a.nii.gz"):
        raw = bytearray(whole if name == "a.nii" else gzip.decompress(whole))
        struct.pack_into("<h", raw, 46, SHAPE[2] - 1)  # dim[3]
        path.write_bytes(raw if name == "a.nii" else gzip.compress(raw))
    else:
        old, new = (f"{SHAPE[0]} {SHAPE[1]} {n}".encode() for n in (SHAPE[2], SHAPE[2] - 1))
        assert old in whole
        path.write_bytes(whole.replace(old, new, 1))
    refused(path, InputError, "holds more than the 660 voxels")


@pytest.mark.parametrize(("behind", "is_read"), [(4096, True), (4097, False), (b"\0\1", False), (b"xyz", False)])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "a.nrrd"])
def test_only_zeros_may_follow_the_voxels(
    tmp_path: Path, oblique_grid: Grid, name: str, behind: int | bytes, *, is_read: bool
) -> None:
    path = written(tmp_path / name, oblique_grid)
    more = bytes(behind) if isinstance(behind, int) else behind
    raw = path.read_bytes()
    path.write_bytes(gzip.compress(gzip.decompress(raw) + more) if name == "a.nii.gz" else raw + more)
    if is_read:
        assert np.array_equal(read_itk(path, Kind.UNKNOWN)[0].values, values())
    else:
        refused(path, InputError, "holds more|something follows")


def test_whether_a_nifti_is_packed_is_seen_from_its_content(tmp_path: Path, oblique_grid: Grid) -> None:
    plain, packed = tmp_path / "plain.nii.gz", tmp_path / "packed.nii"
    raw = written(tmp_path / "a.nii", oblique_grid).read_bytes()
    plain.write_bytes(raw)
    packed.write_bytes(gzip.compress(raw))
    for path in (plain, packed):
        assert np.array_equal(read_itk(path, Kind.UNKNOWN)[0].values, values())


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_nifti_in_two_files_is_read_by_either_name(
    tmp_path: Path, oblique_grid: Grid, version: int, suffix: str
) -> None:
    whole = nibabel.load(written(tmp_path / "a.nii", oblique_grid))
    pair = (nibabel.Nifti1Pair, nibabel.Nifti2Pair)[version - 1](np.asarray(whole.dataobj), whole.affine)
    pair.header.set_xyzt_units("mm")
    nibabel.save(pair, tmp_path / f"b.img{suffix}")
    expected = read_itk(tmp_path / "a.nii", Kind.UNKNOWN)[0].grid.affine
    for name in ("b.img", "b.hdr"):
        image = read_image(tmp_path / f"{name}{suffix}", stated=Stated(unit="counts"))
        assert np.array_equal(image.volume.values, values())
        assert np.allclose(image.grid.affine, expected, atol=1e-4)
        assert {Path(path).name for path in image.source.paths} == {f"b.img{suffix}", f"b.hdr{suffix}"}
    with pytest.raises(InputError, match="other half"):
        read_itk(Path((tmp_path / f"b.img{suffix}").rename(tmp_path / f"alone.img{suffix}")), Kind.UNKNOWN)


@pytest.mark.parametrize(
    ("name", "format_name"), [("x.vtk", "VTK"), ("x.tif", "TIFF"), ("x.gipl", "GIPL"), ("x.mnc", "MINC")]
)
def test_a_format_that_is_not_read_is_named(tmp_path: Path, name: str, format_name: str) -> None:
    (tmp_path / name).write_bytes(b"# what other programs write" * 50)
    for read in (
        lambda: read_image(tmp_path / name, role="ct"),
        lambda: inspect_images(tmp_path / name),
    ):
        with pytest.raises(HepaticaError, match=f"{format_name} by its name, which is not read: save it as NIfTI"):
            read()


@pytest.mark.parametrize(("code", "sides"), [(1, 0.004), (2, 4.0), (3, 4000.0)])
def test_a_unit_of_length_is_taken_as_stated_and_an_absurd_voxel_is_refused(
    tmp_path: Path, code: int, sides: float
) -> None:
    image = nibabel.Nifti1Image(np.ones((4, 5, 6), np.float32), np.diag([sides, sides, sides, 1]))
    image.header.set_xyzt_units(code)
    nibabel.save(image, tmp_path / "a.nii")
    grid = read_itk(tmp_path / "a.nii", Kind.UNKNOWN)[0].grid
    assert grid.spacing_mm == pytest.approx((4, 4, 4), rel=1e-5)
    image.header.set_xyzt_units(2 if code != 2 else 1)
    nibabel.save(image, tmp_path / "b.nii")
    refused(tmp_path / "b.nii", GeometryError, "its voxels would be .*unit of length")


def test_a_negative_image_is_no_activity(tmp_path: Path, oblique_grid: Grid) -> None:
    volume = Volume(Grid(SHAPE, oblique_grid.affine), -values(), Kind.UNKNOWN)
    path = write_itk(volume, tmp_path / "a.nii")
    with pytest.raises(UnitError, match="negative, and so is their sum"):
        read_image(path, role="activity", stated=Stated(unit="Bq/mL"))
    assert read_image(path, role="ct").volume.values.min() == -100


def test_every_plain_file_of_a_folder_is_described(tmp_path: Path, oblique_grid: Grid) -> None:
    for name in ("a.nii.gz", "b.mha", "c.nrrd"):
        written(tmp_path / name, oblique_grid)
    (tmp_path / "d.nii").write_bytes(b"damaged" * 99)
    (tmp_path / "notes.txt").write_text("x" * 999)
    found = describe(tmp_path)
    assert [(item.description, bool(item.problems)) for item in found.series] == [
        ("a.nii.gz", False),
        ("b.mha", False),
        ("c.nrrd", False),
        ("d.nii", True),
    ]
    assert [item.path.name for item in found.skipped] == ["notes.txt"]


def test_packed_files_of_two_members_and_with_bytes_behind(tmp_path: Path, oblique_grid: Grid) -> None:
    path = written(tmp_path / "a.nii.gz", oblique_grid)
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw[:700]) + gzip.compress(raw[700:]) + bytes(512))
    assert np.array_equal(read_itk(path, Kind.UNKNOWN)[0].values, values())
    path.write_bytes(gzip.compress(raw) + b"left over")
    refused(path, InputError, "something follows its packed voxels")
    damaged = bytearray(gzip.compress(raw))
    damaged[-6] ^= 1  # of the checksum
    path.write_bytes(damaged)
    refused(path, InputError, "cannot be read")


def nifti(path: Path, edit: Callable[[bytearray], None], grid: Grid) -> Path:
    raw = bytearray(written(path.with_name("whole.nii"), grid, np.int16).read_bytes())
    edit(raw)
    path.write_bytes(gzip.compress(raw) if path.name.endswith(".gz") else raw)
    return path


def put(layout: str, at: int, *numbers: Any) -> Callable[[bytearray], None]:
    return lambda raw: struct.pack_into(layout, raw, at, *numbers)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize(
    ("edit", "error", "words"),
    [
        (put("<h", 42, -12), InputError, "one volume is needed"),
        (put("<h", 42, 0), InputError, "one volume is needed"),
        (put("<h", 40, 9), InputError, "one volume is needed|bytes"),
        (put("<3h", 42, 32767, 32767, 32767), InputError, r"claims \d+ voxels"),
        (put("<8h", 40, 7, *[32767] * 7), InputError, "one volume is needed"),
        (put("<3h", 42, 1200, 1100, 600), InputError, "cut short|claims"),
        (put("<h", 70, 128), InputError, "datatype 128"),
        (put("<h", 70, 64), InputError, "cut short"),
        (put("<f", 108, 0.0), InputError, "vox_offset"),
        (put("<f", 108, NAN), InputError, "vox_offset"),
        (put("<f", 108, 1e30), InputError, "vox_offset|cut short"),
        (put("<f", 108, -352.0), InputError, "vox_offset"),
        (put("<f", 108, INF), InputError, "vox_offset"),
        (put("<f", 108, 352.5), InputError, "vox_offset"),
        (put("<2f", 112, 2.0, INF), UnitError, "is no scale"),
        (put("<12f", 280, *[NAN] * 12), GeometryError, "finite"),
        (put("<f", 280, 1e38), GeometryError, "differently"),
        (put("<f", 256, 1e38), GeometryError, "no rotation"),
        (put("<f", 80, -2.5), GeometryError, "no rotation"),
        (put("<4s", 344, b"ni1\0"), InputError, "another file"),
        (put("<4s", 344, b"\0\0\0\0"), InputError, "no NIfTI file"),
        (lambda raw: raw.__delitem__(slice(348, None)), InputError, "cut short|vox_offset|too short"),
        (lambda raw: raw.clear(), InputError, "cannot be read"),
    ],
)
def test_nifti_headers_that_lie(
    tmp_path: Path,
    oblique_grid: Grid,
    name: str,
    edit: Callable[[bytearray], None],
    error: type[HepaticaError],
    words: str,
) -> None:
    refused(nifti(tmp_path / name, edit, oblique_grid), error, words)


@pytest.mark.parametrize(
    "matrix", [[NAN] * 12, [INF, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0], [1e38] * 12, [0.0] * 12, [1e-9, 0, 0, 0] * 3]
)
def test_an_affine_alone_that_is_no_place(tmp_path: Path, oblique_grid: Grid, matrix: list[float]) -> None:
    def edit(raw: bytearray) -> None:
        struct.pack_into("<2h", raw, 252, 0, 1)
        struct.pack_into("<12f", raw, 280, *matrix)

    refused(nifti(tmp_path / "a.nii", edit, oblique_grid), GeometryError, "finite|no place|perpendicular|spacing")


def test_a_slope_that_is_no_number_is_no_scale(tmp_path: Path, oblique_grid: Grid) -> None:
    path = nifti(tmp_path / "a.nii", put("<2f", 112, NAN, NAN), oblique_grid)
    assert np.array_equal(read_itk(path, Kind.UNKNOWN)[0].values, values())


def test_the_reader_agrees_with_nibabel_on_scaled_turned_images(tmp_path: Path, oblique_grid: Grid) -> None:
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ oblique_grid.affine
    for kind, slope in ((np.int16, 0.37), (np.uint8, 2.0), (np.int32, 1e-3), (np.float32, -1.5)):
        image = nibabel.Nifti1Image(values(kind), ras)
        image.header.set_slope_inter(slope, 12.5)
        path = tmp_path / "a.nii.gz"
        nibabel.save(image, path)
        volume, _ = read_itk(path, Kind.UNKNOWN)
        other = nibabel.load(path)
        np.testing.assert_allclose(volume.values, other.get_fdata(), rtol=2e-7)
        np.testing.assert_allclose(volume.grid.affine, np.diag([-1.0, -1.0, 1.0, 1.0]) @ other.affine, atol=1e-5)


def test_a_small_file_does_not_unpack_to_a_large_one(tmp_path: Path, oblique_grid: Grid) -> None:
    """Twice 256 MB of zeros behind the header of a small image: unpacked only as far as the header goes."""
    small = gzip.decompress(written(tmp_path / "a.nii.gz", oblique_grid).read_bytes())
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = packer.compress(small) + b"".join(packer.compress(bytes(1 << 22)) for _ in range(64)) + packer.flush()
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(packed)
    begun = time.monotonic()
    refused(path, InputError, "holds more than the 792 voxels")
    assert time.monotonic() - begun < 5


def test_what_memory_cannot_hold_is_refused(
    tmp_path: Path, oblique_grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.nii", oblique_grid)
    assert (input_files.machine_memory() or 1e12) > 1e8
    monkeypatch.setattr(input_files, "machine_memory", lambda: 9000)
    refused(path, InputError, "this machine has")


HEAD = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": MATRIX,
    "Offset": "31 -42 128",
    "ElementSpacing": "2.5 3.5 5",
    "DimSize": "12 11 6",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}


def metaimage(path: Path, voxels: bytes | None = None, **changes: str | None) -> Path:
    raw = values("<i2").tobytes(order="F") if voxels is None else voxels
    fields = {key: text for key, text in {**HEAD, **changes}.items() if text is not None and key != "ElementDataFile"}
    name = changes.get("ElementDataFile") or "LOCAL"
    head = "".join(f"{key} = {text}\n" for key, text in fields.items()) + f"ElementDataFile = {name}\n"
    path.write_bytes(head.encode() + (raw if name == "LOCAL" else b""))
    return path


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"NDims": "1e5"}, InputError, "ndims: '1e5'"),
        ({"NDims": "99999999999999999999"}, InputError, "ndims"),
        ({"NDims": "-3"}, InputError, "ndims"),
        ({"NDims": None}, InputError, "ndims is missing"),
        ({"NDims": "2", "DimSize": "12 11"}, InputError, "2 dimensions"),
        ({"DimSize": "12 11"}, InputError, "3 dimensions 12 x 11"),
        ({"DimSize": "12 11 -6"}, InputError, "dimsize"),
        ({"DimSize": "12 11 0"}, InputError, "dimsize"),
        ({"DimSize": "4294967296 4294967296 4294967296"}, InputError, "claims"),
        ({"DimSize": "2000 2000 2000"}, InputError, "claims"),
        ({"DimSize": "200 200 200"}, InputError, "cut short"),
        ({"DimSize": "12 11 5"}, InputError, "holds more than the 660 voxels"),
        ({"ElementType": "MET_DOUBLE"}, InputError, "cut short"),
        ({"ElementType": "MET_UCHAR"}, InputError, "holds more"),
        ({"ElementType": "MET_OTHER"}, InputError, "ElementType"),
        ({"ElementNumberOfChannels": "3"}, InputError, "3 values per voxel"),
        ({"TransformMatrix": MATRIX.replace("0.96", "1e308", 1)}, GeometryError, "unit vectors"),
        ({"TransformMatrix": MATRIX.replace("0.96", "nan", 1)}, GeometryError, "9 finite numbers"),
        ({"TransformMatrix": MATRIX.replace("0.96", "", 1)}, GeometryError, "9 finite numbers"),
        ({"TransformMatrix": "0 0 0 0 0 0 0 0 0"}, GeometryError, "unit vectors"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, GeometryError, "perpendicular"),
        ({"Offset": "1e308 0 0"}, GeometryError, "no place"),
        ({"ElementSpacing": "0 1 1"}, GeometryError, "positive"),
        ({"ElementSpacing": "inf 1 1"}, GeometryError, "3 finite numbers"),
        ({"ElementSpacing": None}, GeometryError, "how large a voxel is"),
        ({"Position": "0 0 1"}, InputError, "stated twice"),
        ({"CompressedData": "True", "CompressedDataSize": "99999999"}, InputError, "cut short"),
        ({"CompressedData": "perhaps"}, InputError, "not True or False"),
        ({"CompressedData": "True"}, InputError, "cannot be read"),
        ({"HeaderSize": "64"}, InputError, "HeaderSize"),
        ({"ObjectType": "Mesh"}, InputError, "not an Image"),
        ({"ElementDataFile": "LIST"}, InputError, "several files"),
        ({"ElementDataFile": "slice%03d.raw 1 6 1"}, InputError, "several files"),
        ({"ElementDataFile": "/dev/zero"}, InputError, "not in its own folder"),
        ({"ElementDataFile": "/etc/passwd"}, InputError, "not in its own folder"),
        ({"ElementDataFile": "../a.raw"}, InputError, "not in its own folder"),
        ({"ElementDataFile": "below/../../a.raw"}, InputError, "not in its own folder"),
        ({"ElementDataFile": "..\\a.raw"}, InputError, "not in its own folder"),
        ({"ElementDataFile": "C:\\a.raw"}, InputError, "not in its own folder"),
        ({"ElementDataFile": "link.raw"}, InputError, "not in its own folder"),
        ({"ElementDataFile": "loop.raw"}, InputError, "not in its own folder|cannot be read"),
        ({"ElementDataFile": "pipe.raw"}, InputError, "a named pipe"),
        ({"ElementDataFile": "below"}, InputError, "a folder"),
        ({"ElementDataFile": "none.raw"}, InputError, "no such file"),
        ({"ElementDataFile": "a.mhd"}, InputError, "names itself"),
    ],
)
def test_metaimage_headers_that_lie(
    tmp_path: Path, changes: dict[str, str | None], error: type[HepaticaError], words: str
) -> None:
    folder = tmp_path / "in"
    (folder / "below").mkdir(parents=True)
    (tmp_path / "a.raw").write_bytes(values("<i2").tobytes(order="F"))
    (folder / "link.raw").symlink_to(tmp_path / "a.raw")
    (folder / "loop.raw").symlink_to(folder / "loop.raw")
    os.mkfifo(folder / "pipe.raw")
    path = metaimage(folder / "a.mhd", **changes)
    refused(path, error, words)


def test_metaimage_forms_that_are_right(tmp_path: Path) -> None:
    little, big = (values(f"{order}i2").tobytes(order="F") for order in "<>")
    text = " ".join(map(str, values(int).ravel(order="F"))).encode()
    (tmp_path / "below").mkdir()
    for name, content in (("a.raw", little), ("below/a.raw", big), ("a.zraw", zlib.compress(little)), ("h", b"x" * 9)):
        (tmp_path / name).write_bytes(content if name != "h" else content + little)
    for made in (
        metaimage(tmp_path / "1.mha"),
        metaimage(tmp_path / "2.mha", big, BinaryDataByteOrderMSB="True"),
        metaimage(tmp_path / "3.mha", zlib.compress(little), CompressedData="True"),
        metaimage(tmp_path / "4.mha", gzip.compress(little), CompressedData="True"),
        metaimage(tmp_path / "5.mha", text, BinaryData="False"),
        metaimage(tmp_path / "6.mhd", ElementDataFile="a.raw"),
        metaimage(tmp_path / "7.mhd", ElementDataFile="below/a.raw", BinaryDataByteOrderMSB="True"),
        metaimage(tmp_path / "8.mhd", ElementDataFile="a.zraw", CompressedData="True"),
        metaimage(tmp_path / "9.mhd", ElementDataFile="h", HeaderSize="9"),
        metaimage(tmp_path / "10.mhd", ElementDataFile="h", HeaderSize="-1"),
        metaimage(tmp_path / "11.mha", NDims="4", DimSize="12 11 6 1", TransformMatrix=None, Offset=None,
                  ElementSpacing="2.5 3.5 5 1"),
    ):  # fmt: skip
        volume, notes = read_itk(made, Kind.UNKNOWN)
        assert np.array_equal(volume.values, values()), made.name
        assert volume.grid.spacing_mm == pytest.approx((2.5, 3.5, 5.0))
        assert [note.code for note in notes] == ["place-assumed"] * (2 if made.name == "11.mha" else 0)
    with pytest.raises(InputError, match=r"not written in numbers|numbers for 792"):
        read_itk(metaimage(tmp_path / "t.mha", text + b" x", BinaryData="False"), Kind.UNKNOWN)
    with pytest.raises(InputError, match="whole numbers of 16 bits"):
        read_itk(metaimage(tmp_path / "t.mha", text[:-2] + b"99999", BinaryData="False"), Kind.UNKNOWN)


NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "12 11 6",
    "space directions": "(2.4,0.7,0) (-0.98,3.36,0) (0,0,-5)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(31,-42,128)",
}


def nrrd(path: Path, voxels: bytes | None = None, **changes: str | None) -> Path:
    raw = values("<i2").tobytes(order="F") if voxels is None else voxels
    given = {key.replace("_", " "): text for key, text in changes.items()}
    lines = [f"{key}: {text}" for key, text in {**NRRD, **given}.items() if text is not None]
    path.write_bytes(("\n".join(["NRRD0004", "# made by a test", *lines]) + "\n\n").encode() + raw)
    return path


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"dimension": "16777216"}, InputError, "dimensions"),
        ({"dimension": "2", "sizes": "12 11"}, InputError, "dimensions"),
        ({"sizes": "12 11 0"}, InputError, "sizes"),
        ({"sizes": "461168601842738790 4 6"}, InputError, "claims"),
        ({"sizes": "99999999999999999999 4 6"}, InputError, "sizes"),
        ({"sizes": "12 11 60"}, InputError, "cut short"),
        ({"type": "double"}, InputError, "cut short"),
        ({"type": "block"}, InputError, "type"),
        ({"endian": None}, InputError, "endian"),
        ({"encoding": "bzip2"}, InputError, "cannot be read"),
        ({"encoding": "lzma"}, InputError, "encoding"),
        ({"encoding": "gzip"}, InputError, "cannot be read"),
        ({"space": None}, GeometryError, "where left, front and head are"),
        ({"space": "scanner-xyz"}, GeometryError, "where left, front and head are"),
        ({"space directions": None}, GeometryError, "space directions are missing"),
        ({"space directions": "(2.4,0.7,0) (-0.98,3.36,0)"}, GeometryError, "one vector for each axis"),
        ({"space directions": "(2.4,0.7,0) (-0.98,3.36,0) none"}, GeometryError, "three are needed"),
        ({"space directions": "(2.4,0.7,0) (-0.98,3.36,0) (0,0,1e308)"}, GeometryError, "no place"),
        ({"space directions": "(2.4,0.7,0) (-0.98,3.36,0) (0,0,inf)"}, GeometryError, "finite"),
        ({"space directions": "(2.4,0.7,0) (2.4,0.7,0) (0,0,1)"}, GeometryError, "perpendicular"),
        ({"space origin": None}, GeometryError, "space origin is missing"),
        ({"space origin": "(1,2)"}, GeometryError, "3 finite numbers"),
        ({"space origjn": "(1,2,3)"}, InputError, "no field of NRRD"),
        ({"byte skip": "-2"}, InputError, "byteskip"),
        ({"byte skip": "999999999", "encoding": "gzip"}, InputError, "behind where they can"),
        ({"line skip": "999999"}, InputError, "line skip"),
        ({"data file": "/dev/zero"}, InputError, "not in its own folder"),
        ({"data file": "../a.raw"}, InputError, "not in its own folder"),
        ({"data file": "LIST"}, InputError, "several files"),
        ({"data file": "a.%d.raw 1 6 1"}, InputError, "several files"),
    ],
)
def test_nrrd_headers_that_lie(
    tmp_path: Path, changes: dict[str, str | None], error: type[HepaticaError], words: str
) -> None:
    refused(nrrd(tmp_path / "a.nrrd", **changes), error, words)


def test_a_line_of_a_header_that_goes_on_and_on(tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd")
    path.write_bytes(path.read_bytes().replace(b"space origin", b"space o" + b"[" * 3000, 1))
    refused(path, InputError, "no field of NRRD")
    path.write_bytes(b"NRRD0004\n" + b"x" * 5_000_000)
    refused(path, InputError, "its header has no end")
    path.with_suffix(".mha").write_bytes(b"Comment = x\n" * 500_000)
    refused(path.with_suffix(".mha"), InputError, "its header has no end|missing")


def test_nrrd_forms_that_are_right(tmp_path: Path) -> None:
    little, big = (values(f"{order}i2").tobytes(order="F") for order in "<>")
    text = " ".join(map(str, values(int).ravel(order="F"))).encode()
    (tmp_path / "a.raw").write_bytes(b"one line\n" + b"xy" + little)
    flipped = {
        "space": "RAS",
        "space_directions": "(-2.4,-0.7,0) (0.98,-3.36,0) (0,0,-5)",
        "space_origin": "(-31,42,128)",
    }
    expected = read_itk(nrrd(tmp_path / "0.nrrd"), Kind.UNKNOWN)[0].grid
    for made in (
        nrrd(tmp_path / "1.nrrd", big, endian="big"),
        nrrd(tmp_path / "2.nrrd", gzip.compress(little), encoding="gzip"),
        nrrd(tmp_path / "10.nrrd", bz2.compress(little), encoding="bzip2"),
        nrrd(tmp_path / "11.nrrd", bz2.compress(b"abc" + little[:99]) + bz2.compress(little[99:]), encoding="bz2",
             byte_skip="3"),
        nrrd(tmp_path / "12.nrrd", little + b"\n"),
        nrrd(tmp_path / "13.nrrd", little + bytes(4096)),
        nrrd(tmp_path / "3.nrrd", gzip.compress(b"abc" + little), encoding="gz", byte_skip="3"),
        nrrd(tmp_path / "4.nrrd", text, encoding="ascii"),
        nrrd(tmp_path / "5.nrrd", little.hex().encode(), encoding="hex"),
        nrrd(tmp_path / "6.nhdr", b"", data_file="a.raw", line_skip="1", byte_skip="2"),
        nrrd(tmp_path / "7.nhdr", b"", data_file="a.raw", byte_skip="-1"),
        nrrd(tmp_path / "8.nrrd", **flipped),
        nrrd(tmp_path / "9.nrrd", type="signed short int"),
    ):  # fmt: skip
        volume, notes = read_itk(made, Kind.UNKNOWN)
        assert np.array_equal(volume.values, values()), made.name
        assert np.allclose(volume.grid.affine, expected.affine), made.name
        assert not notes
    layered = np.stack([values("u1"), values("u1")[::-1]])
    steps = "none " + NRRD["space directions"]
    four = {"dimension": "4", "sizes": "2 12 11 6", "kinds": "list domain domain domain", "space_directions": steps}
    path = nrrd(tmp_path / "l.seg.nrrd", layered.tobytes(order="F"), type="uchar", **four)
    (first, second), _ = read_label_layers(path)
    assert np.array_equal(first.values, layered[0])
    assert np.array_equal(second.values, layered[1])
    with pytest.raises(InputError, match="2 values per voxel"):
        read_itk(path, Kind.LABEL)


@pytest.fixture(params=["a.nii", "a.nii.gz", "a.mha", "a.nrrd", "a.dcm", "a"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return tmp_path / request.param


def test_what_is_no_file_neither_blocks_nor_escapes(place: Path) -> None:
    def refused_by_all(words: str) -> None:
        for read in (lambda: read_image(place, role="ct"), lambda: read_image(place, stated=Stated(unit="counts"))):
            with pytest.raises(HepaticaError, match=words):
                read()

    os.mkfifo(place)
    refused_by_all("named pipe|no such file")
    place.unlink()
    if len(str(place)) < 100:
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(place))
            refused_by_all("socket|no such file")
        place.unlink()
    place.symlink_to(place)
    refused_by_all("cannot be read|no such file|symbolic links")
    place.unlink()
    place.mkdir()
    refused_by_all("is a folder|no ")
    place.rmdir()
    place.write_bytes(b"")
    refused_by_all("cannot be read|no ")


@pytest.mark.parametrize("name", ["a.nii", "a.mha", "a.nrrd", "a.dcm", "a.csv", "a.xlsx"])
@pytest.mark.parametrize("closed", ["folder", "file"])
def test_what_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, closed: str) -> None:
    """No right to enter the folder, or to read the file; the tests may run as root, whom chmod does not stop."""
    path = tmp_path / name
    path.write_bytes(b"x" * 500)
    real_stat, real_open = Path.stat, Path.open

    def stat(self: Path, **options: Any) -> os.stat_result:
        if self == path and closed == "folder":
            raise PermissionError(13, "Permission denied", str(path))
        return real_stat(self, **options)

    def refusing(self: Path, *arguments: Any, **options: Any) -> Any:
        if self == path:
            raise PermissionError(13, "Permission denied", str(path))
        return real_open(self, *arguments, **options)

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(Path, "open", refusing)
    grid = Grid.axial((2, 2, 2), spacing_mm=(1, 1, 1))
    doors: list[Callable[[], object]] = [lambda: read_structures(path, grid), lambda: read_rtdose(path)]
    if name in ("a.csv", "a.xlsx"):
        doors = [lambda: read_table(path)]
    elif name == "a.dcm" and closed == "file":
        assert "Permission denied" in describe(path).skipped[0].reason
    else:
        doors.append(lambda: read_image(path, stated=Stated(unit="counts")))
    for door in doors:
        with pytest.raises(HepaticaError, match="Permission denied") as found:
            door()
        assert name in str(found.value)
