"""Segmentations as they come: contradicting spacing, missing planes, encodings of single bits, palettes."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from hepatica.anatomy.structures.codes import codes_of
from hepatica.anatomy.structures.roles import structure_of
from hepatica.core import Grid, Region
from hepatica.core.context import DicomContext
from hepatica.errors import DicomError
from hepatica.io.dicom.structures.seg import read_seg, write_seg
from hepatica.io.structures.regions import read_structures

LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
RLE, DEFLATED = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1"
JPEG_2000 = UID("1.2.840.10008.1.2.4.90")
SEEDS = range(6)


def random_region(rng: np.random.Generator, name: str, grid: Grid, low: int = 2, high: int = 13) -> Region:
    """Voxels about a random centre, on every slice from low to high."""
    i, j, k = np.indices(grid.shape)
    centre = rng.uniform(0.4, 0.6, 2) * grid.shape[:2]
    inside = np.hypot(i - centre[0], j - centre[1]) < rng.uniform(4, 7) + rng.uniform(-1, 1, grid.shape)
    return Region.from_coverage(name, grid, (inside & (k >= low) & (k < high)).astype(float))


def measures(ds: Any) -> Any:
    return ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]


def every_nth(ds: Any, n: int) -> None:
    """Leave out the frames of all planes but every n-th (the pixels are those of the file, by frame)."""
    pixels = ds.pixel_array
    kept = list(range(0, len(pixels), n))
    ds.PerFrameFunctionalGroupsSequence = [ds.PerFrameFunctionalGroupsSequence[at] for at in kept]
    ds.NumberOfFrames = len(kept)
    ds.PixelData = packed(pixels[kept])


def packed(pixels: NDArray[Any]) -> bytes:
    data = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    return data + b"\0" * (len(data) % 2)


@pytest.fixture
def written(tmp_path: Path, context: DicomContext, oblique_grid: Grid) -> tuple[Path, Region]:
    """One segment on ten neighbouring planes, 5 mm apart."""
    region = random_region(np.random.default_rng(3), "tumour", oblique_grid, 2, 12)
    write_seg(tmp_path / "seg.dcm", [region], context)
    return tmp_path / "seg.dcm", region


# ---------------------------------------------------------------------------------------------------------------------
# Spacing


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stated_spacing_that_the_planes_and_the_thickness_deny(
    seed: int, written: tuple[Path, Region], oblique_grid: Grid
) -> None:
    path, region = written
    stated = float(np.random.default_rng(seed).choice([1.0, 1.25, 2.5, 3.3, 7.0, 10.0, 50.0]))
    ds = pydicom.dcmread(path)
    measures(ds).SpacingBetweenSlices = f"{stated:g}"
    ds.save_as(path)
    found = read_seg(path, oblique_grid)
    assert found["tumour"].volume_ml == pytest.approx(region.volume_ml, rel=1e-3)
    (message,) = found.messages
    assert message.code == "spacing-contradicts-planes"
    assert f"SpacingBetweenSlices of {stated:g} mm is contradicted: the planes lie 5 mm apart" in message.text
    measures(ds).SliceThickness = f"{stated:g}"
    ds.save_as(path)
    with pytest.raises(DicomError, match=f"SpacingBetweenSlices: {stated:g} mm contradicts the planes.*5 mm apart"):
        read_seg(path, oblique_grid)
    del measures(ds).SliceThickness
    ds.save_as(path)
    with pytest.raises(DicomError, match=r"SpacingBetweenSlices.*SliceThickness is not stated"):
        read_seg(path, oblique_grid)


@pytest.mark.parametrize("thickness", [1.0, 5.0, 8.0])
def test_a_spacing_that_the_planes_confirm_is_not_doubted(
    thickness: float, written: tuple[Path, Region], oblique_grid: Grid
) -> None:
    # Slices may overlap or leave gaps: thickness is no distance.
    path, region = written
    ds = pydicom.dcmread(path)
    measures(ds).SliceThickness = f"{thickness:g}"
    ds.save_as(path)
    found = read_seg(path, oblique_grid)
    assert found["tumour"].volume_ml == pytest.approx(region.volume_ml, rel=1e-3)
    assert not found.messages


@pytest.mark.parametrize("n", [2, 3])
def test_every_nth_plane_alone_is_refused(n: int, written: tuple[Path, Region], oblique_grid: Grid) -> None:
    path, _ = written
    ds = pydicom.dcmread(path)
    every_nth(ds, n)
    ds.save_as(path)
    with pytest.raises(DicomError, match=rf"SpacingBetweenSlices: 5 mm contradicts.*only every {n}\. plane is there"):
        read_seg(path, oblique_grid)


def test_spacing_that_is_not_stated(written: tuple[Path, Region], oblique_grid: Grid) -> None:
    path, region = written
    ds = pydicom.dcmread(path)
    del measures(ds).SpacingBetweenSlices
    ds.save_as(path)
    found = read_seg(path, oblique_grid)
    assert found["tumour"].volume_ml == pytest.approx(region.volume_ml, rel=1e-3)
    assert not found.messages
    measures(ds).SliceThickness = "2.5"
    ds.save_as(path)
    (message,) = read_seg(path, oblique_grid).messages
    assert message.code == "slice-spacing-assumed"
    assert "SliceThickness is 2.5 mm" in message.text
    every_nth(ds, 9)
    ds.save_as(path)
    with pytest.raises(DicomError, match="SpacingBetweenSlices: is missing: the planes lie 45 mm apart"):
        read_seg(path, oblique_grid)


@pytest.mark.parametrize("seed", SEEDS)
def test_planes_missing_inside_a_structure_are_said(
    seed: int, tmp_path: Path, context: DicomContext, oblique_grid: Grid
) -> None:
    rng = np.random.default_rng(seed)
    region = random_region(rng, "tumour", oblique_grid, 1, 14)
    missing = sorted(rng.choice([4, 6, 8, 10], int(rng.integers(1, 4)), replace=False).tolist())
    values = region.mask().astype(float)
    values[:, :, missing] = 0
    write_seg(tmp_path / "seg.dcm", [Region.from_coverage("tumour", oblique_grid, values)], context)
    found = read_seg(tmp_path / "seg.dcm", oblique_grid)
    np.testing.assert_allclose(found["tumour"].full(), values, atol=1e-6)
    (message,) = found.messages
    assert message.code == "planes-missing"
    assert f"'tumour': {len(missing)} planes without a frame" in message.text
    lost = float(message.text.rsplit("add ", 1)[1].split()[0])
    assert lost == pytest.approx(region.mask()[:, :, missing].sum() * oblique_grid.voxel_volume_ml, rel=0.1)


# ---------------------------------------------------------------------------------------------------------------------
# Encodings


def run_lengths(frame: bytes) -> bytes:
    """PackBits of one segment: literal runs of up to 128, runs of equal bytes from 3 on."""
    out, at = bytearray(), 0
    while at < len(frame):
        same = 1
        while same < 128 and at + same < len(frame) and frame[at + same] == frame[at]:
            same += 1
        if same > 2:
            out += bytes([257 - same, frame[at]])
            at += same
        else:
            out += bytes([0, frame[at]])
            at += 1
    data = bytes(out) + b"\0" * (len(out) % 2)
    return (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56) + data


def deflated(frame: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = packer.compress(frame) + packer.flush()
    return data + b"\0" * (len(data) % 2)


def saved(ds: Any, path: Path, syntax: str, frames: list[bytes]) -> Path:
    ds.file_meta.TransferSyntaxUID = JPEG_2000 if syntax == DEFLATED else UID(syntax)
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    ds.save_as(path)
    if syntax == DEFLATED:
        # pydicom does not know it; its name is as long as that of JPEG 2000.
        path.write_bytes(path.read_bytes().replace(JPEG_2000.encode(), DEFLATED.encode() + b"\0", 1))
    return path


@pytest.mark.parametrize("size", [(24, 18), (23, 15), (19, 7), (7, 3)])
@pytest.mark.parametrize("how", ["native", "whole bytes", "rle", "rle bytes", "deflated"])
def test_single_bits_however_they_are_packed(size: tuple[int, int], how: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(size[0])
    grid = Grid((*size, 6), oblique_affine(), "1.2.826.0.1.3680043.8.498.1")
    values = (rng.random(grid.shape) < 0.5).astype(float)
    context = DicomContext.invented(slices=6, patient_id="P1")
    path = tmp_path / "seg.dcm"
    write_seg(path, [Region.from_coverage("liver", grid, values)], on_frame(context, grid))
    ds = pydicom.dcmread(path)
    pixels = ds.pixel_array
    rows = [np.packbits(frame.ravel(), bitorder="little").tobytes() for frame in pixels]
    if how == "whole bytes":
        data = b"".join(rows)
        ds.PixelData = data + b"\0" * (len(data) % 2)
        ds.save_as(path)
    elif how == "rle":
        saved(ds, path, RLE, [run_lengths(row) for row in rows])
    elif how == "rle bytes":
        saved(ds, path, RLE, [run_lengths(frame.astype(np.uint8).tobytes()) for frame in pixels])
    elif how == "deflated":
        saved(ds, path, DEFLATED, [deflated(row) for row in rows])
    found = read_seg(path, grid)
    np.testing.assert_allclose(found["liver"].full(), values, atol=1e-6)
    assert not found.messages


def oblique_affine() -> NDArray[np.float64]:
    """Turned about two axes, anisotropic, feet first."""
    a, b = 0.3, -0.2
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag([-1.0, 1.0, -1.0]) * [1.5, 2.5, 4.0]
    affine[:3, 3] = (-20.0, 14.0, 50.0)
    return affine


def on_frame(context: DicomContext, grid: Grid) -> DicomContext:
    from dataclasses import replace

    assert grid.frame_of_reference is not None
    return replace(context, frame_of_reference=grid.frame_of_reference)


@pytest.mark.parametrize("syntax", [RLE, DEFLATED])
def test_damaged_frames_are_refused(syntax: str, written: tuple[Path, Region], oblique_grid: Grid) -> None:
    path, _ = written
    ds = pydicom.dcmread(path)
    rows = [np.packbits(frame.ravel(), bitorder="little").tobytes() for frame in ds.pixel_array]
    encode = run_lengths if syntax == RLE else deflated
    frames = [encode(row) for row in rows]
    for bad in (frames[:-1], [*frames[:-1], encode(rows[0][:10])], [*frames[:-1], b"\xff" * 80]):
        saved(ds, path, syntax, bad)
        with pytest.raises(DicomError, match="PixelData"):
            read_seg(path, oblique_grid)


def label_map(path: Path, values: NDArray[Any], grid: Grid, names: dict[int, str]) -> Any:
    """A LABELMAP segmentation, made by hand from a binary one."""
    ds = pydicom.dcmread(path)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = LABEL_MAP
    ds.SegmentationType = "LABELMAP"
    ds.BitsAllocated = ds.BitsStored = 8 * values.dtype.itemsize
    ds.HighBit = ds.BitsStored - 1
    template = ds.SegmentSequence[0]
    ds.SegmentSequence = []
    for number, name in names.items():
        item = pydicom.Dataset()
        item.update(template)
        item.SegmentNumber, item.SegmentLabel = number, name
        ds.SegmentSequence.append(item)
    ds.PerFrameFunctionalGroupsSequence = []
    for k in range(grid.shape[2]):
        frame, plane = pydicom.Dataset(), pydicom.Dataset()
        plane.ImagePositionPatient = [f"{x:.6f}" for x in grid.to_mm([0, 0, k])]
        frame.PlanePositionSequence = [plane]
        ds.PerFrameFunctionalGroupsSequence.append(frame)
    ds.NumberOfFrames = grid.shape[2]
    ds.PixelData = values.transpose(2, 1, 0).tobytes()
    ds["PixelData"].VR = "OW" if values.dtype.itemsize > 1 else "OB"
    return ds


@pytest.mark.parametrize("seed", SEEDS)
def test_label_maps_of_any_look(seed: int, written: tuple[Path, Region], oblique_grid: Grid, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    kind = np.uint8 if seed % 2 else np.uint16
    numbers = sorted(rng.choice(np.arange(1, 250), 3, replace=False).tolist())
    values = rng.choice([0, *numbers], oblique_grid.shape).astype(kind)
    names = {0: "Background"} | {n: f"part {n}" for n in numbers[:2]}
    ds = label_map(written[0], values, oblique_grid, names)
    ds.add_new("PixelPaddingValue", "US", 0)
    if rng.random() < 0.7:
        ds.PhotometricInterpretation = "PALETTE COLOR"
        for colour in ("Red", "Green", "Blue"):
            ds.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
            ds.add_new(f"{colour}PaletteColorLookupTableData", "OW", bytes(512))
    folder = tmp_path / "segmentation"
    folder.mkdir()
    if rng.random() < 0.5:
        frames = [deflated(values[:, :, k].T.tobytes()) for k in range(oblique_grid.shape[2])]
        saved(ds, folder / "labels", DEFLATED, frames)
    else:
        ds.save_as(folder / "labels")
    for source in (folder, folder / "labels"):
        found = read_structures(source, oblique_grid)
        assert [region.name for region in found.regions] == [names[n] for n in numbers[:2]]
        for region, number in zip(found.regions, numbers, strict=False):
            np.testing.assert_allclose(region.full(), values == number, atol=1e-6)
        (message,) = found.messages
        assert message.code == "labels-unlisted"
        assert str([numbers[2]]) in message.text


# ---------------------------------------------------------------------------------------------------------------------
# Meaning


def kind_of(name: str) -> str:
    return codes_of(structure_of(name), derived=False)[1].meaning


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("liver minus tumours", "Liver"), ("Liver-GTV", "Liver"), ("tumour-free liver", "Liver"),
        ("non-tumour liver", "Liver"), ("peritumoural liver", "Tissue"), ("Normal Liver", "Liver"),
        ("liver tumour", "Neoplasm"), ("Liver_GTV", "Neoplasm"), ("tumour without necrosis", "Neoplasm"),
        ("tumour necrosis", "Necrosis"), ("Tumour 1", "Neoplasm"), ("Lung_L", "Left Lung"), ("Couch", "Tissue"),
        ("minus 3", "Tissue"),
    ],
)  # fmt: skip
def test_what_a_name_is_coded_as(name: str, meaning: str) -> None:
    assert kind_of(name) == meaning


@pytest.mark.parametrize("less", ["minus", "less", "without", "excluding", "excl.", "w/o"])
@pytest.mark.parametrize("taken", ["tumours", "GTV", "necrosis", "all lesions", "HCC 1"])
@pytest.mark.parametrize("kept", ["liver", "right lobe", "lung", "spleen", "kidney", "tumour 2"])
def test_what_is_taken_away_gives_no_code(kept: str, less: str, taken: str) -> None:
    # The liver without the necrosis of its tumours is no organ: it is not said to be one.
    expected = "Tissue" if (kept, taken) == ("liver", "necrosis") else kind_of(kept)
    assert kind_of(f"{kept} {less} {taken}") == expected
    assert kind_of(f"{kept.upper()}_{less}_{taken}") == expected


def test_the_code_is_in_the_file(tmp_path: Path, context: DicomContext, oblique_grid: Grid) -> None:
    region = random_region(np.random.default_rng(1), "liver minus tumours", oblique_grid)
    write_seg(tmp_path / "seg.dcm", [region], context)
    (label,) = read_seg(tmp_path / "seg.dcm", oblique_grid).labels
    assert label.type == "Liver"


def test_real_encodings_of_one_liver(real_data: Path) -> None:
    from hepatica.io.dicom.structures.seg import segmentation_grid

    found = {}
    for name in ("labelmap", "liver-rle", "liver-nonbyte-aligned-j2k"):
        path = real_data / "seg-liver" / f"{name}.dcm"
        found[name] = read_structures(path, segmentation_grid(path))
    # 107098 pixels of 0.8105 mm, 1 mm thick, counted from the decoded frames; one file has a narrower frame.
    for name in ("liver-rle", "liver-nonbyte-aligned-j2k"):
        assert found[name].regions[0].volume_ml == pytest.approx(107098 * 0.810547**2 / 1000, rel=1e-6)
        assert not found[name].messages
    assert [m.code for m in found["labelmap"].messages] == ["planes-missing", "planes-missing"]
