"""Planes to grid and back, on grids that are turned, flipped, anisotropic and never square."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from hepatica.core import Grid
from hepatica.errors import DicomError, GeometryError
from hepatica.io.dicom import geometry
from hepatica.io.dicom.tags import Header

FOR = "1.2.826.0.1.3680043.8.498.1"


def slices_of(grid: Grid) -> list[Header]:
    headers = []
    for k in range(grid.shape[2]):
        dataset = Dataset()
        geometry.write_plane(dataset, grid, k)
        headers.append(Header(dataset, Path(f"slice{k:02d}.dcm")))
    return headers


def turned(headers: list[Header], **changes: object) -> list[Header]:
    for header in headers:
        for keyword, value in changes.items():
            setattr(header.dataset, keyword, value)
    return headers


def same(a: Grid, b: Grid, tolerance_mm: float = 1e-6) -> bool:
    return a.shape == b.shape and float(np.abs(a.corners_mm() - b.corners_mm()).max()) < tolerance_mm


ORIENTATIONS = {
    "HFS": ((1, 0, 0), (0, 1, 0)),
    "HFP": ((-1, 0, 0), (0, -1, 0)),
    "FFS": ((-1, 0, 0), (0, 1, 0)),
    "FFP": ((1, 0, 0), (0, -1, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
}


def grid_along(row: tuple[int, ...], column: tuple[int, ...], shape: tuple[int, int, int] = (7, 5, 6)) -> Grid:
    affine = np.eye(4)
    axes = np.array([row, column, np.cross(row, column)], dtype=float).T
    affine[:3, :3] = axes * [1.5, 2.5, 4.0]
    affine[:3, 3] = (-31.25, 12.5, 211.75)
    return Grid(shape, affine, FOR)


@pytest.fixture(params=[*ORIENTATIONS, "oblique"])
def any_grid(request: pytest.FixtureRequest, oblique_grid: Grid) -> Grid:
    if request.param == "oblique":
        return geometry.right_handed(oblique_grid)[0]
    return grid_along(*ORIENTATIONS[request.param])


def test_series_in_any_order_gives_the_grid_back(any_grid: Grid) -> None:
    headers = slices_of(any_grid)
    shuffled = list(np.random.default_rng(1).permutation(len(headers)))
    stack = geometry.series_stack([headers[n] for n in shuffled], frame_of_reference=FOR)
    assert same(stack.grid, any_grid)
    assert [shuffled[n] for n in stack.order] == list(range(len(headers)))
    assert [int(n) for n in stack.slice_of] == shuffled
    assert stack.grid.frame_of_reference == FOR


def test_pixel_spacing_is_row_then_column(any_grid: Grid) -> None:
    header = slices_of(any_grid)[0]
    assert float(header.dataset.PixelSpacing[0]) == pytest.approx(any_grid.spacing_mm[1])
    assert header.dataset.Rows == any_grid.shape[1]


def test_slice_thickness_is_not_the_spacing(any_grid: Grid) -> None:
    stack = geometry.series_stack(turned(slices_of(any_grid), SliceThickness="9"), frame_of_reference=None)
    assert stack.grid.spacing_mm[2] == pytest.approx(any_grid.spacing_mm[2])


def test_decimal_strings_keep_the_far_corner(oblique_grid: Grid) -> None:
    affine = np.array(oblique_grid.affine)
    affine[:3, :3] *= 1 / 3
    affine[:3, 3] = np.array([1000 / 7, -2000 / 3, 1234.56789012345])
    grid = geometry.right_handed(Grid((512, 512, 300), affine, FOR))[0]
    dataset = Dataset()
    geometry.write_dose_planes(dataset, grid)
    assert all(len(str(x)) <= 16 for x in dataset.ImageOrientationPatient)
    back = geometry.dose_stack(Header(dataset), frame_of_reference=FOR).grid
    assert np.abs(back.corners_mm() - grid.corners_mm()).max() < 1e-4


def test_gap_is_refused_with_the_files(any_grid: Grid) -> None:
    headers = slices_of(any_grid)
    del headers[2]
    with pytest.raises(DicomError, match=r"slice01\.dcm and slice03\.dcm.*missing"):
        geometry.series_stack(headers, frame_of_reference=None)


def test_duplicate_is_refused_with_the_files(any_grid: Grid) -> None:
    headers = slices_of(any_grid)
    again = Header(headers[3].dataset, Path("again.dcm"))
    with pytest.raises(DicomError, match=r"slice03\.dcm and again\.dcm lie at the same position"):
        geometry.series_stack([*headers, again], frame_of_reference=None)


def test_gantry_tilt_is_refused() -> None:
    headers = slices_of(grid_along((1, 0, 0), (0, 1, 0)))
    for k, header in enumerate(headers):
        x, y, z = header.dataset.ImagePositionPatient
        header.dataset.ImagePositionPatient = [x, float(y) + 0.4 * k, z]
    with pytest.raises(DicomError, match="slant"):
        geometry.series_stack(headers, frame_of_reference=None)


def test_positions_rounded_to_a_tenth_are_even_enough() -> None:
    headers = slices_of(grid_along((1, 0, 0), (0, 1, 0), (4, 4, 30)))
    for k, header in enumerate(headers):
        header.dataset.ImagePositionPatient = [0, 0, f"{k * 1.25:.1f}"]
    assert geometry.series_stack(headers, frame_of_reference=None).grid.spacing_mm[2] == pytest.approx(1.25, abs=0.004)


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0], "perpendicular"),
        ("ImageOrientationPatient", [2, 0, 0, 0, 1, 0], "unit vectors"),
        ("ImageOrientationPatient", None, "missing"),
        ("ImagePositionPatient", [0, 0], "expected 3"),
        ("PixelSpacing", [0, 1], "positive"),
        ("PixelSpacing", None, "missing"),
        ("Rows", 0, "no pixels"),
    ],
)
def test_bad_planes_are_refused(keyword: str, value: object, words: str) -> None:
    headers = turned(slices_of(grid_along((1, 0, 0), (0, 1, 0))), **{keyword: value})
    with pytest.raises(DicomError, match=words) as caught:
        geometry.series_stack(headers, frame_of_reference=None)
    assert "slice00.dcm" in str(caught.value)


def test_planes_that_differ_are_refused() -> None:
    for keyword, value in [("ImageOrientationPatient", [-1, 0, 0, 0, -1, 0]), ("PixelSpacing", [3, 1.5]), ("Rows", 4)]:
        headers = slices_of(grid_along((1, 0, 0), (0, 1, 0)))
        turned(headers[3:4], **{keyword: value})
        with pytest.raises(DicomError, match="slice03"):
            geometry.series_stack(headers, frame_of_reference=None)


def test_single_slice_needs_a_stated_thickness() -> None:
    header = slices_of(grid_along((1, 0, 0), (0, 1, 0)))[:1]
    stack = geometry.series_stack(header, frame_of_reference=None)
    assert stack.grid.spacing_mm[2] == pytest.approx(4.0)
    assert "single slice" in stack.messages[0].text
    del header[0].dataset.SliceThickness
    with pytest.raises(DicomError, match="stated thickness"):
        geometry.series_stack(header, frame_of_reference=None)


class TestNuclear:
    def of(self, grid: Grid) -> Dataset:
        dataset = Dataset()
        geometry.write_nuclear_planes(dataset, grid)
        return dataset

    def test_round_trip(self, any_grid: Grid) -> None:
        stack = geometry.nuclear_stack(Header(self.of(any_grid)), frame_of_reference=FOR, slices=any_grid.shape[2])
        assert same(stack.grid, any_grid)
        assert stack.slice_of == tuple(range(any_grid.shape[2]))

    def test_negative_spacing_stacks_backwards(self, any_grid: Grid) -> None:
        affine = np.array(any_grid.affine)
        affine[:3, 3] = any_grid.to_mm([0, 0, any_grid.shape[2] - 1])
        affine[:3, 2] *= -1
        backwards = Grid(any_grid.shape, affine, FOR)
        dataset = self.of(backwards)
        assert float(dataset.SpacingBetweenSlices) < 0
        stack = geometry.nuclear_stack(Header(dataset), frame_of_reference=FOR, slices=any_grid.shape[2])
        assert same(stack.grid, any_grid)
        assert stack.slice_of == tuple(range(any_grid.shape[2] - 1, -1, -1))
        assert "negative" in stack.messages[0].text

    def test_missing_spacing(self) -> None:
        dataset = self.of(grid_along((1, 0, 0), (0, 1, 0)))
        del dataset.SpacingBetweenSlices
        with pytest.raises(DicomError, match="state the distance between slices"):
            geometry.nuclear_stack(Header(dataset), frame_of_reference=None, slices=6)
        stated = geometry.nuclear_stack(Header(dataset), frame_of_reference=None, slices=6, spacing_mm=-4.0)
        assert stated.grid.spacing_mm[2] == 4.0
        assert "stated by the user" in stated.messages[0].text

    def test_cubes_are_assumed_with_a_warning(self) -> None:
        dataset = self.of(Grid.axial((5, 4, 6), spacing_mm=(4.8, 4.8, 4.8)))
        del dataset.SpacingBetweenSlices
        stack = geometry.nuclear_stack(Header(dataset), frame_of_reference=None, slices=6)
        assert stack.grid.spacing_mm[2] == pytest.approx(4.8)
        assert "cubes" in stack.messages[0].text


class TestDose:
    def of(self, grid: Grid) -> Dataset:
        dataset = Dataset()
        geometry.write_dose_planes(dataset, grid)
        return dataset

    def test_relative_offsets(self, any_grid: Grid) -> None:
        assert same(geometry.dose_stack(Header(self.of(any_grid)), frame_of_reference=FOR).grid, any_grid)

    @pytest.mark.parametrize("name", ["HFS", "HFP", "FFS", "FFP"])
    def test_absolute_offsets(self, name: str) -> None:
        grid = grid_along(*ORIENTATIONS[name])
        dataset = self.of(grid)
        dataset.GridFrameOffsetVector = geometry.decimal_strings(geometry.slice_positions_mm(grid)[:, 2])
        assert same(geometry.dose_stack(Header(dataset), frame_of_reference=FOR).grid, grid)

    def test_descending_offsets_turn_the_frames(self) -> None:
        grid = grid_along((1, 0, 0), (0, 1, 0))
        dataset = self.of(grid)
        dataset.ImagePositionPatient = geometry.decimal_strings(geometry.slice_positions_mm(grid)[-1])
        dataset.GridFrameOffsetVector = [-float(x) for x in dataset.GridFrameOffsetVector]
        stack = geometry.dose_stack(Header(dataset), frame_of_reference=FOR)
        assert same(stack.grid, grid)
        assert stack.slice_of == (5, 4, 3, 2, 1, 0)

    def test_offsets_that_mean_nothing(self, oblique_grid: Grid) -> None:
        dataset = self.of(geometry.right_handed(oblique_grid)[0])
        offsets = np.array([float(x) for x in dataset.GridFrameOffsetVector])
        dataset.GridFrameOffsetVector = list(offsets + 3.0)
        with pytest.raises(DicomError, match="neither 0"):
            geometry.dose_stack(Header(dataset), frame_of_reference=None)
        dataset.GridFrameOffsetVector = list(offsets + float(dataset.ImagePositionPatient[2]))
        with pytest.raises(DicomError, match="not axial"):
            geometry.dose_stack(Header(dataset), frame_of_reference=None)
        dataset.GridFrameOffsetVector = list(offsets[:-1])
        with pytest.raises(DicomError, match="GridFrameOffsetVector"):
            geometry.dose_stack(Header(dataset), frame_of_reference=None)

    def test_left_handed_grid_is_turned_first(self, oblique_grid: Grid) -> None:
        affine = np.array(oblique_grid.affine)
        affine[:3, 2] *= -1
        left = Grid(oblique_grid.shape, affine, FOR)
        with pytest.raises(GeometryError, match="right-handed"):
            self.of(left)
        right, flipped = geometry.right_handed(left)
        assert flipped
        assert np.allclose(right.to_mm([1, 2, 0]), left.to_mm([1, 2, left.shape[2] - 1]))


class TestSparse:
    def planes(self, grid: Grid, slices: list[int]) -> list[geometry.Plane]:
        headers = slices_of(grid)
        return [geometry.plane_of(headers[k]) for k in slices]

    def test_frames_left_out_and_repeated(self, any_grid: Grid) -> None:
        stack = geometry.stack_sparse(self.planes(any_grid, [4, 1, 2, 4, 1]), frame_of_reference=FOR)
        assert stack.slice_of == (3, 0, 1, 3, 0)
        assert stack.grid.shape[2] == 4
        assert np.allclose(stack.grid.origin_mm, any_grid.to_mm([0, 0, 1]))

    def test_stated_spacing_fills_gaps(self, any_grid: Grid) -> None:
        planes = self.planes(any_grid, [0, 4])
        step = any_grid.spacing_mm[2]
        assert geometry.stack_sparse(planes, frame_of_reference=FOR, spacing_mm=step).slice_of == (0, 4)

    def test_off_the_raster(self, any_grid: Grid) -> None:
        planes = self.planes(any_grid, [0, 1, 3])
        with pytest.raises(DicomError, match="off the planes"):
            geometry.stack_sparse(planes, frame_of_reference=FOR, spacing_mm=any_grid.spacing_mm[2] * 0.83)

    def test_one_position(self, any_grid: Grid) -> None:
        planes = self.planes(any_grid, [2, 2])
        assert geometry.stack_sparse(planes, frame_of_reference=FOR).slice_of == (0, 0)
        assert geometry.stack_sparse(planes, frame_of_reference=FOR, spacing_mm=2.0).grid.spacing_mm[2] == 2.0


def test_functional_groups(any_grid: Grid) -> None:
    dataset = Dataset()
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = any_grid.shape[1], any_grid.shape[0], any_grid.shape[2]
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    geometry.write_spacing(measures, any_grid, between_slices=True)
    orientation.ImageOrientationPatient = geometry.decimal_strings(geometry.orientation_of(any_grid))
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for where in geometry.slice_positions_mm(any_grid)[::-1]:
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = geometry.decimal_strings(where)
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    header = Header(dataset, Path("enhanced.dcm"))
    stack = geometry.stack_planes(geometry.multiframe_planes(header), frame_of_reference=FOR)
    assert same(stack.grid, any_grid)
    assert stack.slice_of == tuple(range(any_grid.shape[2] - 1, -1, -1))
    assert geometry.multiframe_spacing_mm(header) == pytest.approx(any_grid.spacing_mm[2])
    del shared.PlaneOrientationSequence
    with pytest.raises(DicomError, match="PlaneOrientationSequence: frame 1"):
        geometry.multiframe_planes(header)
