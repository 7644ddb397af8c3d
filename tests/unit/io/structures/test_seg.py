"""Segmentations: round trip, other programs, broken files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest

from hepatica.core import Grid, Provenance, Region
from hepatica.core.context import DicomContext
from hepatica.errors import DicomError, GeometryError, OutputError, UnknownNameError
from hepatica.io.dicom.structures.seg import read_seg, write_seg


def mirrored(region: Region) -> Region:
    """The same region on a left-handed grid."""
    grid = region.grid
    affine = np.array(grid.affine)
    affine[:3, 3] = grid.to_mm([0, 0, grid.shape[2] - 1])
    affine[:3, 2] *= -1
    turned = Grid(grid.shape, affine, grid.frame_of_reference)
    return Region.from_coverage(region.name, turned, region.full()[:, :, ::-1])


@pytest.mark.parametrize("fractional", [False, True])
@pytest.mark.parametrize("turn", [lambda r: r, mirrored], ids=["right-handed", "left-handed"])
def test_round_trip(
    tmp_path: Path,
    two_regions: list[Region],
    context: DicomContext,
    oblique_grid: Grid,
    fractional: bool,
    turn: Callable[[Region], Region],
) -> None:
    write_seg(tmp_path / "seg.dcm", [turn(r) for r in two_regions], context, fractional=fractional)
    found = read_seg(tmp_path / "seg.dcm", oblique_grid, context=context)
    assert [region.name for region in found.regions] == ["Liver", "Tumour 1"]
    assert [label.type for label in found.labels] == ["Liver", "Neoplasm"]
    assert not found.messages
    for region, original in zip(found.regions, two_regions, strict=True):
        expected = original.full() if fractional else original.mask()
        np.testing.assert_allclose(region.full(), expected, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("fractional", [False, True])
def test_valid_dicom(
    tmp_path: Path,
    two_regions: list[Region],
    context: DicomContext,
    oblique_grid: Grid,
    dciodvfy: Callable[[Path], list[str]],
    fractional: bool,
) -> None:
    for image_grid in (oblique_grid, None):
        write_seg(
            tmp_path / "seg.dcm",
            two_regions,
            context,
            image_grid=image_grid,
            fractional=fractional,
            provenance=Provenance(steps=("one",)),
        )
        assert dciodvfy(tmp_path / "seg.dcm") == []


def test_highdicom_reads_the_same_voxels_at_the_same_place(
    tmp_path: Path, two_regions: list[Region], context: DicomContext, oblique_grid: Grid
) -> None:
    write_seg(tmp_path / "seg.dcm", two_regions, context, image_grid=oblique_grid)
    seg = highdicom.seg.segread(tmp_path / "seg.dcm")
    assert seg.number_of_segments == 2
    volume = seg.get_volume(combine_segments=False)
    for number, region in enumerate(two_regions):
        inside = np.argwhere(np.asarray(volume.array[..., number]) > 0)
        index = oblique_grid.to_index(volume.map_indices_to_reference(inside))
        np.testing.assert_allclose(index, np.rint(index), atol=1e-4)
        mask = np.zeros(oblique_grid.shape, dtype=bool)
        mask[tuple(np.rint(index).astype(int).T)] = True
        np.testing.assert_array_equal(mask, region.mask())
    # Every frame refers to its own image.
    frame = seg.PerFrameFunctionalGroupsSequence[2]
    position = frame.PlanePositionSequence[0].ImagePositionPatient
    k = round(float(oblique_grid.to_index(np.array(position, dtype=float))[2]))
    source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
    assert source == context.instances[k].sop_instance_uid


def test_without_the_image_grid_the_series_is_referred_to(
    tmp_path: Path, two_regions: list[Region], context: DicomContext
) -> None:
    write_seg(tmp_path / "seg.dcm", two_regions, context)
    ds = pydicom.dcmread(tmp_path / "seg.dcm")
    assert len(ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == len(context.instances)
    assert not any("DerivationImageSequence" in frame for frame in ds.PerFrameFunctionalGroupsSequence)


def test_onto_a_coarser_axial_grid(
    tmp_path: Path, two_regions: list[Region], context: DicomContext, oblique_grid: Grid
) -> None:
    write_seg(tmp_path / "seg.dcm", two_regions, context, fractional=True)
    coarse = oblique_grid.with_spacing((5.0, 7.0, 5.0))
    found = read_seg(tmp_path / "seg.dcm", coarse)
    for region, original in zip(found.regions, two_regions, strict=True):
        assert region.volume_ml == pytest.approx(original.volume_ml, rel=2e-3)


def test_empty_slices_inside_a_segment_stay_empty(tmp_path: Path, context: DicomContext, oblique_grid: Grid) -> None:
    values = np.zeros(oblique_grid.shape)
    values[3:8, 4:9, [2, 3, 8, 12]] = 1
    parts = Region.from_coverage("parts", oblique_grid, values, origin="drawn by hand")
    write_seg(tmp_path / "seg.dcm", [parts], context)
    assert pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence[0].SegmentDescription == "drawn by hand"
    found = read_seg(tmp_path / "seg.dcm", oblique_grid)
    np.testing.assert_allclose(found["parts"].full(), values, atol=1e-6)


def rewritten(path: Path, change: Callable[[Any], None]) -> Path:
    ds = pydicom.dcmread(path)
    change(ds)
    ds.save_as(path)
    return path


def test_probability_is_no_volume(
    tmp_path: Path, two_regions: list[Region], context: DicomContext, oblique_grid: Grid
) -> None:
    path = tmp_path / "seg.dcm"
    write_seg(path, two_regions, context, fractional=True)
    rewritten(path, lambda ds: setattr(ds, "SegmentationFractionalType", "PROBABILITY"))
    found = read_seg(path, oblique_grid)
    assert "probabilities" in found.messages[0].text
    assert set(np.unique(found["Liver"].full())) == {0, 1}


def test_label_map(tmp_path: Path, two_regions: list[Region], context: DicomContext, oblique_grid: Grid) -> None:
    liver, tumour = two_regions
    write_seg(tmp_path / "seg.dcm", [liver - tumour, tumour], context)
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    # Made by hand from a binary one: one frame per slice, the segment's number in each pixel.
    labels = np.where(tumour.mask(), 2, np.where(liver.mask(), 1, 0)).astype(np.uint8)
    seg.SOPClassUID = seg.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.7"
    seg.SegmentationType = "LABELMAP"
    seg.BitsAllocated = seg.BitsStored = 8
    seg.HighBit = 7
    template = seg.PerFrameFunctionalGroupsSequence[0]
    frames = []
    for k in range(oblique_grid.shape[2]):
        frame = pydicom.Dataset()
        plane = pydicom.Dataset()
        plane.ImagePositionPatient = [f"{x:.6f}" for x in oblique_grid.to_mm([0, 0, k])]
        frame.PlanePositionSequence = [plane]
        frames.append(frame)
    assert template
    seg.PerFrameFunctionalGroupsSequence = frames
    seg.NumberOfFrames = len(frames)
    seg.PixelData = labels.transpose(2, 1, 0).tobytes()
    seg["PixelData"].VR = "OB"
    seg.save_as(tmp_path / "labels.dcm")
    found = read_seg(tmp_path / "labels.dcm", oblique_grid)
    np.testing.assert_allclose(found["Tumour 1"].full(), labels == 2, atol=1e-6)
    np.testing.assert_allclose(found.regions[0].full(), labels == 1, atol=1e-6)


def other_frame(ds: Any) -> None:
    ds.FrameOfReferenceUID = "1.2.3"


def other_patient(ds: Any) -> None:
    ds.PatientID = "P2"


def no_such_segment(ds: Any) -> None:
    for frame in ds.PerFrameFunctionalGroupsSequence:
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 7


def short_pixels(ds: Any) -> None:
    ds.PixelData = ds.PixelData[:10]


def unknown_type(ds: Any) -> None:
    ds.SegmentationType = "SURFACE"


def two_on_a_plane(ds: Any) -> None:
    for frame in ds.PerFrameFunctionalGroupsSequence:
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 1


def no_segments(ds: Any) -> None:
    del ds.SegmentSequence


def no_groups(ds: Any) -> None:
    ds.PerFrameFunctionalGroupsSequence = list(ds.PerFrameFunctionalGroupsSequence)[:-1]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (other_frame, GeometryError, "frames of reference differ"),
        (other_patient, DicomError, "'P2' is not the patient"),
        (no_such_segment, DicomError, "segment 7"),
        (short_pixels, DicomError, "PixelData"),
        (unknown_type, DicomError, "SURFACE"),
        (two_on_a_plane, DicomError, "two frames on one plane"),
        (no_segments, DicomError, "SegmentSequence: holds no structures"),
        (no_groups, DicomError, "PerFrameFunctionalGroupsSequence"),
    ],
)
def test_wrong_files_are_refused(
    tmp_path: Path,
    two_regions: list[Region],
    context: DicomContext,
    oblique_grid: Grid,
    change: Callable[[Any], None],
    error: type[Exception],
    message: str,
) -> None:
    write_seg(tmp_path / "seg.dcm", two_regions, context)
    rewritten(tmp_path / "seg.dcm", change)
    with pytest.raises(error, match=message):
        read_seg(tmp_path / "seg.dcm", oblique_grid, context=context)


def test_outside_the_image(
    tmp_path: Path, two_regions: list[Region], context: DicomContext, oblique_grid: Grid
) -> None:
    write_seg(tmp_path / "seg.dcm", two_regions, context)
    half = oblique_grid.crop((slice(0, 12), slice(0, 18), slice(0, 15)))
    assert any("outside the image" in str(message) for message in read_seg(tmp_path / "seg.dcm", half).messages)
    corner = oblique_grid.crop((slice(0, 2), slice(0, 2), slice(0, 2)))
    with pytest.raises(GeometryError, match="'Liver' lies wholly outside"):
        read_seg(tmp_path / "seg.dcm", corner)


def test_chosen_by_name(tmp_path: Path, two_regions: list[Region], context: DicomContext, oblique_grid: Grid) -> None:
    write_seg(tmp_path / "seg.dcm", two_regions, context)
    assert [r.name for r in read_seg(tmp_path / "seg.dcm", oblique_grid, names=["Tumour 1"]).regions] == ["Tumour 1"]
    with pytest.raises(UnknownNameError, match="Spleen"):
        read_seg(tmp_path / "seg.dcm", oblique_grid, names=["Spleen"])


def test_regions_that_cannot_be_written(
    tmp_path: Path, two_regions: list[Region], context: DicomContext, oblique_grid: Grid
) -> None:
    path = tmp_path / "seg.dcm"
    liver = two_regions[0]
    nothing = Region.from_coverage("nothing", oblique_grid, np.zeros(oblique_grid.shape))
    other = Region.from_coverage("other", oblique_grid.with_spacing((5, 5, 5)), np.ones((12, 13, 15)))
    elsewhere = Region.from_coverage("a", oblique_grid.with_frame_of_reference("1.2.3"), liver.full())
    for regions, message in (
        ([liver, nothing], "'nothing' is empty"),
        ([liver, liver], "distinct names"),
        ([], "no structure was given"),
        ([liver, other], "grids differ"),
        ([elsewhere], "frame of reference"),
    ):
        with pytest.raises(GeometryError, match=message):
            write_seg(path, regions, context)
    with pytest.raises(OutputError):
        write_seg(tmp_path / "no" / "seg.dcm", [liver], context)
    for name in ("x" * 65, "a\\b", "a\nb", ""):
        with pytest.raises(GeometryError, match="no name for DICOM"):
            write_seg(path, [liver.renamed(name)], context)
    assert not list(tmp_path.iterdir())
