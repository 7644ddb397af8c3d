"""RT Structure Sets: round trip, what other programs read, and every way in which one can be wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from hepatica.core import Grid, Provenance, Region
from hepatica.core.context import DicomContext
from hepatica.core.message import Message
from hepatica.errors import DicomError, GeometryError, OutputError, UnknownNameError
from hepatica.io.dicom.structures.rtstruct import read_rtstruct, write_rtstruct
from hepatica.io.structures.structures import Label

LABELS = {"Liver": Label(1, "Liver", "ORGAN", (128, 64, 0)), "Tumour 1": Label(2, "Tumour 1", "GTV", (255, 0, 0))}


@pytest.fixture
def written(tmp_path: Path, two_regions: list[Region], context: DicomContext, oblique_grid: Grid) -> Path:
    path = tmp_path / "rs.dcm"
    write_rtstruct(path, two_regions, context, image_grid=oblique_grid, labels=LABELS)
    return path


def changed(path: Path, change: Callable[[Any], None]) -> Path:
    """The file after `change` of its data set."""
    ds = pydicom.dcmread(path)
    change(ds)
    ds.save_as(path)
    return path


def dice(a: Region, b: Region) -> float:
    return float(2 * np.minimum(a.full(), b.full()).sum() / (a.full().sum() + b.full().sum()))


def test_round_trip(written: Path, two_regions: list[Region], context: DicomContext, oblique_grid: Grid) -> None:
    found = read_rtstruct(written, oblique_grid, context=context)
    assert [region.name for region in found.regions] == ["Liver", "Tumour 1"]
    assert [(label.type, label.colour) for label in found.labels] == [("ORGAN", (128, 64, 0)), ("GTV", (255, 0, 0))]
    assert not found.messages
    assert not found.empty
    assert found.instance_uid == pydicom.dcmread(written).SOPInstanceUID
    for region, original in zip(found.regions, two_regions, strict=True):
        # 2.5 x 3.5 x 5 mm voxels: a ball of 9 mm radius is four slices high.
        assert region.volume_ml == pytest.approx(original.volume_ml, rel=0.05)
        assert dice(region, original) > 0.9
    assert found["Liver"].origin == "rs.dcm, ROI 1"
    with pytest.raises(UnknownNameError, match="Liver"):
        found["Spleen"]


def test_on_a_grid_of_another_direction(
    written: Path, two_regions: list[Region], context: DicomContext, oblique_grid: Grid
) -> None:
    low, high = oblique_grid.corners_mm().min(axis=0), oblique_grid.corners_mm().max(axis=0)
    shape = np.ceil((high - low) / [4, 4, 5]).astype(int).tolist()
    pet = Grid.axial(
        shape, spacing_mm=(4, 4, 5), origin_mm=low.tolist(), frame_of_reference=oblique_grid.frame_of_reference
    )
    there = read_rtstruct(written, pet, context=context)
    here = read_rtstruct(written, oblique_grid, context=context)
    for a, b in zip(there.regions, here.regions, strict=True):
        assert a.volume_ml == pytest.approx(b.volume_ml, rel=5e-3)
        centre = [np.average(g.to_mm(np.argwhere(r.full() > 0)), axis=0, weights=r.full()[r.full() > 0])
                  for r, g in ((a, pet), (b, oblique_grid))]  # fmt: skip
        np.testing.assert_allclose(centre[0], centre[1], atol=0.2)


def test_pydicom_reads_the_same_points(written: Path, context: DicomContext, oblique_grid: Grid) -> None:
    ds = pydicom.dcmread(written)
    assert [roi.ROIName for roi in ds.StructureSetROISequence] == ["Liver", "Tumour 1"]
    assert [o.RTROIInterpretedType for o in ds.RTROIObservationsSequence] == ["ORGAN", "GTV"]
    series = ds.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    uids = [instance.sop_instance_uid for instance in context.instances]
    assert [image.ReferencedSOPInstanceUID for image in series.ContourImageSequence] == uids
    for item in ds.ROIContourSequence:
        for contour in item.ContourSequence:
            points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
            assert len(points) == contour.NumberOfContourPoints
            k = oblique_grid.to_index(points)[:, 2]
            np.testing.assert_allclose(k, np.rint(k), atol=1e-4)
            assert contour.ContourImageSequence[0].ReferencedSOPInstanceUID == uids[int(np.rint(k[0]))]
    assert "esearch use only" in ds.StructureSetDescription
    assert ds.SoftwareVersions


def test_valid_dicom(written: Path, dciodvfy: Callable[[Path], list[str]]) -> None:
    assert dciodvfy(written) == []


def test_holes_and_long_contours_survive(tmp_path: Path, context: DicomContext) -> None:
    grid = Grid.axial((420, 420, 3), spacing_mm=(1, 1, 3), frame_of_reference=context.frame_of_reference)
    radius = np.hypot(*np.meshgrid(np.arange(420) - 209.5, np.arange(420) - 209.5, indexing="ij"))
    # A comb makes one contour of more than 64 kB of text.
    comb = (radius < 205) & ((np.arange(420)[:, None] % 4 < 2) | (np.arange(420)[None, :] < 200))
    shell = (radius < 205) & (radius > 150)
    regions = [
        Region.from_coverage(name, grid, np.repeat(mask[:, :, None], 3, axis=2))
        for name, mask in (("comb", comb), ("shell", shell))
    ]
    write_rtstruct(tmp_path / "rs.dcm", regions, context, provenance=Provenance(steps=("x" * 2000,)))
    found = read_rtstruct(tmp_path / "rs.dcm", grid)
    assert (
        max(len(c.ContourData) for c in pydicom.dcmread(tmp_path / "rs.dcm").ROIContourSequence[0].ContourSequence)
        > 9000
    )
    for region, original in zip(found.regions, regions, strict=True):
        assert region.volume_ml == pytest.approx(original.volume_ml, rel=0.01)
    assert not found["shell"].full()[210, 210, 1]


def test_regions_that_cannot_be_written(
    tmp_path: Path, two_regions: list[Region], context: DicomContext, oblique_grid: Grid
) -> None:
    path = tmp_path / "rs.dcm"
    liver = two_regions[0]
    nothing = Region.from_coverage("nothing", oblique_grid, np.zeros(oblique_grid.shape))
    with pytest.raises(GeometryError, match="'nothing' cannot be outlined"):
        write_rtstruct(path, [liver, nothing], context)
    with pytest.raises(GeometryError, match=r"distinct names.*Liver.*2 times"):
        write_rtstruct(path, [liver, liver], context)
    with pytest.raises(GeometryError, match="no structure was given"):
        write_rtstruct(path, [], context)
    elsewhere = Region.from_coverage("a", oblique_grid.with_frame_of_reference("1.2.3"), liver.full())
    with pytest.raises(GeometryError, match="frame of reference"):
        write_rtstruct(path, [elsewhere], context)
    with pytest.raises(GeometryError, match="another frame"):
        write_rtstruct(path, [liver, elsewhere], context)
    with pytest.raises(OutputError):
        write_rtstruct(tmp_path / "no" / "rs.dcm", [liver], context)
    for name in ("x" * 65, "a\\b", "a\nb", ""):
        with pytest.raises(GeometryError, match="no name for DICOM"):
            write_rtstruct(path, [liver.renamed(name)], context)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------------------------------
# Bad input


def contour_of(ds: Any, roi: int = 0, number: int = 3) -> Any:
    return ds.ROIContourSequence[roi].ContourSequence[number]


def with_points(contour: Any, points: Any) -> None:
    flat = np.asarray(points, dtype=float).ravel()
    contour.ContourData = [f"{x:.3f}" for x in flat]
    contour.NumberOfContourPoints = len(flat) // 3


def first_three(ds: Any) -> Any:
    return np.array(contour_of(ds).ContourData, dtype=float).reshape(-1, 3)


def make_open(ds: Any) -> None:
    contour_of(ds).ContourGeometricType = "OPEN_PLANAR"


def make_bow_tie(ds: Any) -> None:
    points = first_three(ds)
    n = len(points)
    with_points(contour_of(ds), points[[0, n // 4, 3 * n // 4, n // 2]])


def not_flat(ds: Any) -> None:
    points = first_three(ds)
    points[::2, 2] += 2
    with_points(contour_of(ds), points)


def cut_off(ds: Any) -> None:
    contour = contour_of(ds)
    contour.ContourData = list(contour.ContourData)[:-1]


def count_wrong(ds: Any) -> None:
    contour_of(ds).NumberOfContourPoints = 5


def not_a_number(ds: Any) -> None:
    contour_of(ds)["ContourData"] = pydicom.DataElement(0x30060050, "OB", b"1\\2\\nan\\4\\5\\6\\7\\8\\9 ")
    contour_of(ds).NumberOfContourPoints = 3


def not_text(ds: Any) -> None:
    contour_of(ds)["ContourData"] = pydicom.DataElement(0x30060050, "OB", b"1\\2\\x\\4\\5\\6\\7\\8\\9\\")


def other_frame(ds: Any) -> None:
    for roi in ds.StructureSetROISequence:
        roi.ReferencedFrameOfReferenceUID = "1.2.3"


def other_patient(ds: Any) -> None:
    ds.PatientID = "P2"


def far_away(ds: Any) -> None:
    for contour in ds.ROIContourSequence[0].ContourSequence:
        points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
        with_points(contour, points + np.array([500, 0, 0]))


def nothing_drawn(ds: Any) -> None:
    del ds.ROIContourSequence


def no_structures(ds: Any) -> None:
    del ds.StructureSetROISequence


def same_number(ds: Any) -> None:
    ds.StructureSetROISequence[1].ROINumber = 1


def twice_drawn(ds: Any) -> None:
    ds.ROIContourSequence[1].ReferencedROINumber = 1


def shifted(ds: Any) -> None:
    contour_of(ds).add_new(0x30060045, "DS", ["0", "0", "5"])


def miles_away(ds: Any) -> None:
    with_points(contour_of(ds), first_three(ds) * 1e5)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (twice_drawn, DicomError, "in two places"),
        (shifted, DicomError, "'Liver': shifted"),
        (miles_away, GeometryError, "'Liver': a contour has points"),
        (make_bow_tie, GeometryError, "'Liver'.*crosses itself"),
        (not_flat, GeometryError, "'Liver'.*not flat"),
        (cut_off, DicomError, "'Liver'.*cut off"),
        (count_wrong, DicomError, "'Liver': states 5 points"),
        (not_a_number, GeometryError, "'Liver'.*NaN"),
        (not_text, DicomError, "'Liver': is not a list of numbers"),
        (other_frame, GeometryError, "'Liver' is in the frame of reference 1.2.3"),
        (other_patient, DicomError, "'P2' is not the patient"),
        (far_away, GeometryError, "'Liver' lies wholly outside"),
        (nothing_drawn, GeometryError, "no contours in 'Liver', 'Tumour 1'"),
        (no_structures, DicomError, "holds no structures"),
        (same_number, DicomError, "occurs twice"),
    ],
)
def test_wrong_files_are_refused_by_name(
    written: Path,
    context: DicomContext,
    oblique_grid: Grid,
    change: Callable[[Any], None],
    error: type[Exception],
    message: str,
) -> None:
    changed(written, change)
    with pytest.raises(error, match=message):
        read_rtstruct(written, oblique_grid, context=context)


def test_an_open_contour_blocks_its_own_structure_only(written: Path, oblique_grid: Grid) -> None:
    sound = read_rtstruct(written, oblique_grid)
    changed(written, make_open)
    found = read_rtstruct(written, oblique_grid)
    assert [region.name for region in found.regions] == ["Tumour 1"]
    assert found.refused == ("Liver",)
    assert found["Tumour 1"].volume_ml == sound["Tumour 1"].volume_ml
    (message,) = (m for m in found.messages if m.code == "structure-refused")
    assert "'Liver' has a contour of type OPEN_PLANAR" in message.text
    assert str(written) in message.text
    assert read_rtstruct(written, oblique_grid, names=["Tumour 1"]).messages == ()
    with pytest.raises(DicomError, match=r"'Liver' has a contour of type OPEN_PLANAR.*naming the wanted ones"):
        read_rtstruct(written, oblique_grid, names=["Liver", "Tumour 1"])

    def no_tumour(ds: Any) -> None:
        del ds.ROIContourSequence[1]

    with pytest.raises(DicomError, match="OPEN_PLANAR"):
        read_rtstruct(changed(written, no_tumour), oblique_grid)


def test_a_contour_of_two_points_encloses_nothing(written: Path, oblique_grid: Grid) -> None:
    sound = read_rtstruct(written, oblique_grid)

    def one_more(ds: Any) -> None:
        item = ds.ROIContourSequence[0].ContourSequence
        for count in (1, 2):
            item.append(copy.deepcopy(item[3]))
            with_points(item[-1], first_three(ds)[:count] + np.array([0.5, 0.5, 0.0]))

    found = read_rtstruct(changed(written, one_more), oblique_grid)
    assert [r.volume_ml for r in found.regions] == [r.volume_ml for r in sound.regions]
    (message,) = found.messages
    assert message.code == "contours-enclose-nothing"
    assert "'Liver': 2 contours" in message.text

    def only_two(ds: Any) -> None:
        for contour in ds.ROIContourSequence[0].ContourSequence:
            with_points(contour, np.array(contour.ContourData, dtype=float).reshape(-1, 3)[:2])

    found = read_rtstruct(changed(written, only_two), oblique_grid)
    assert found.empty == ("Liver",)
    assert found["Tumour 1"].volume_ml == sound["Tumour 1"].volume_ml
    with pytest.raises(GeometryError, match="no contours in 'Liver'"):
        read_rtstruct(written, oblique_grid, names=["Liver"])


def test_what_is_wrong_with_others_does_not_matter(written: Path, oblique_grid: Grid) -> None:
    changed(written, far_away)
    with pytest.raises(GeometryError, match=r"rs\.dcm: structure 'Liver' lies.*name the wanted structures"):
        read_rtstruct(written, oblique_grid)
    found = read_rtstruct(written, oblique_grid, names=["Tumour 1"])
    assert [region.name for region in found.regions] == ["Tumour 1"]
    with pytest.raises(UnknownNameError, match="'Spleen'; known: Liver, Tumour 1"):
        read_rtstruct(written, oblique_grid, names=["Spleen"])


def test_empty_and_point_structures_are_listed(written: Path, oblique_grid: Grid) -> None:
    def empty_one(ds: Any) -> None:
        del ds.ROIContourSequence[0].ContourSequence

    changed(written, empty_one)
    found = read_rtstruct(written, oblique_grid)
    assert found.empty == ("Liver",)
    assert found.messages == (Message("structure-empty", "structure 'Liver' is empty: it has no contours"),)
    with pytest.raises(GeometryError, match="no contours in 'Liver'"):
        read_rtstruct(written, oblique_grid, names=["Liver"])


def test_points_are_left_out_and_said(written: Path, oblique_grid: Grid) -> None:
    def points(ds: Any) -> None:
        contour_of(ds).ContourGeometricType = "POINT"
        for contour in ds.ROIContourSequence[1].ContourSequence:
            contour.ContourGeometricType = "POINT"

    changed(written, points)
    found = read_rtstruct(written, oblique_grid)
    assert found.empty == ("Tumour 1",)
    assert any("'Liver': 1 single points" in str(message) for message in found.messages)
    assert any("'Tumour 1' is empty: it has only" in str(message) for message in found.messages)


def test_part_outside_is_said(written: Path, oblique_grid: Grid) -> None:
    half = oblique_grid.crop((slice(0, 12), slice(0, 18), slice(0, 15)))
    found = read_rtstruct(written, half)
    assert any("'Liver'" in str(message) and "outside the image" in str(message) for message in found.messages)


def test_contours_of_nothing_are_said(written: Path, oblique_grid: Grid) -> None:
    def forget(ds: Any) -> None:
        del ds.StructureSetROISequence[1]

    found = read_rtstruct(changed(written, forget), oblique_grid)
    assert "not listed" in found.messages[0].text


def test_equal_names_are_told_apart(written: Path, oblique_grid: Grid) -> None:
    def rename(ds: Any) -> None:
        ds.StructureSetROISequence[1].ROIName = "Liver"

    found = read_rtstruct(changed(written, rename), oblique_grid)
    assert [region.name for region in found.regions] == ["Liver", "Liver (2)"]
    assert "more than once" in found.messages[0].text


def test_drawn_on_another_series_is_said(written: Path, context: DicomContext, oblique_grid: Grid) -> None:
    pet = context.with_new_series(modality="PT")
    found = read_rtstruct(written, oblique_grid, context=pet)
    assert any("another series" in str(message) for message in found.messages)


def test_single_plane_takes_the_distance_of_the_others(written: Path, oblique_grid: Grid) -> None:
    def one_plane(ds: Any) -> None:
        ds.ROIContourSequence[1].ContourSequence = [contour_of(ds, 1, 1)]

    found = read_rtstruct(changed(written, one_plane), oblique_grid)
    assert any(
        "'Tumour 1': contours on one plane only, taken as 5 mm thick" in str(message) for message in found.messages
    )


def test_single_plane_alone_takes_the_slices_drawn_on(written: Path, oblique_grid: Grid) -> None:
    def one_plane(ds: Any) -> None:
        ds.ROIContourSequence[1].ContourSequence = [contour_of(ds, 1, 1)]

    path = changed(written, one_plane)
    dose_grid = oblique_grid.with_spacing((2.5, 3.5, 10.0))
    found = read_rtstruct(path, dose_grid, names=["Tumour 1"], slice_mm=5.0)
    (message,) = (m for m in found.messages if m.code == "one-plane-only")
    assert "5 mm thick" in message.text
    thick = read_rtstruct(path, dose_grid, names=["Tumour 1"], slice_mm=10.0)
    assert thick["Tumour 1"].volume_ml == pytest.approx(2 * found["Tumour 1"].volume_ml, rel=0.02)


def test_not_a_structure_set(
    tmp_path: Path, two_regions: list[Region], context: DicomContext, oblique_grid: Grid
) -> None:
    from hepatica.io.dicom.structures.seg import write_seg

    write_seg(tmp_path / "seg.dcm", two_regions, context)
    with pytest.raises(DicomError, match="Segmentation Storage"):
        read_rtstruct(tmp_path / "seg.dcm", oblique_grid)
