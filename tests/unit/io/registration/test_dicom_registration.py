"""DICOM registration objects: directions, matrices around a field, several registrations, and what is damaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.core.context import DicomContext, new_uid
from hepatica.core.transform import Affine, DisplacementField, Transform
from hepatica.errors import DicomError, GeometryError, InputError
from hepatica.io.registration.dicom import read_registration
from hepatica.io.registration.dicom_write import write_registration
from hepatica.io.registration.read import read_transform, read_transforms

POINTS = np.array([[0.0, 0.0, 0.0], [12.0, -31.0, 45.0], [-80.0, 20.0, 9.0]])


def moved(degrees: float, shift: tuple[float, float, float]) -> NDArray[np.float64]:
    turn = np.deg2rad(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    matrix[:3, 3] = shift
    return matrix


def context(frame: str = "", *, study: str = "") -> DicomContext:
    made = DicomContext.invented(slices=3)
    return replace(made, frame_of_reference=frame or made.frame_of_reference, study_uid=study or made.study_uid)


@pytest.fixture
def fixed() -> DicomContext:
    return context("1.2.826.0.1.3680043.8.498.1")


@pytest.fixture
def moving(fixed: DicomContext) -> DicomContext:
    return context("1.2.826.0.1.3680043.8.498.2", study=fixed.study_uid)


def field_on(grid: Grid) -> NDArray[np.float32]:
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2)
    shape = np.exp(-((points - middle) ** 2).sum(-1) / 2 / 20.0**2)[..., None]
    return (shape * np.array([2.0, -3.0, 6.0])).astype(np.float32)


def test_a_matrix_in_the_file_takes_the_source_to_the_registered_frame(
    tmp_path: Path, fixed: DicomContext, moving: DicomContext
) -> None:
    transform = Transform.affine(moved(12, (5, -7, 30)), uncertainty_mm=1.25)
    path = write_registration(tmp_path / "reg.dcm", transform, fixed, moving)
    dataset = pydicom.dcmread(path)
    assert dataset.FrameOfReferenceUID == fixed.frame_of_reference
    here, there = dataset.RegistrationSequence
    assert there.FrameOfReferenceUID == moving.frame_of_reference
    numbers = there.MatrixRegistrationSequence[0].MatrixSequence[0].FrameOfReferenceTransformationMatrix
    matrix = np.reshape([float(number) for number in numbers], (4, 4))
    # The moving point that belongs to a fixed one is taken back to it by the file's matrix.
    there_mm = transform.points_mm(POINTS)
    assert np.allclose(there_mm @ matrix[:3, :3].T + matrix[:3, 3], POINTS, atol=1e-6)
    identity = here.MatrixRegistrationSequence[0].MatrixSequence[0]
    assert identity.FrameOfReferenceTransformationMatrixType == "RIGID"
    forward, _ = read_transform(path, fixed=fixed.frame_of_reference, moving=moving.frame_of_reference)
    assert np.allclose(forward.points_mm(POINTS), there_mm, atol=1e-6)
    assert (forward.uncertainty_mm, forward.kind) == (1.25, "rigid")
    back, _ = read_transform(path, fixed=moving.frame_of_reference, moving=fixed.frame_of_reference)
    assert np.allclose(back.points_mm(there_mm), POINTS, atol=1e-6)
    assert (back.fixed_frame, back.moving_frame) == (moving.frame_of_reference, fixed.frame_of_reference)


def test_a_deformation_in_the_file_takes_the_registered_frame_to_the_source(
    tmp_path: Path, fixed: DicomContext, moving: DicomContext, oblique_grid: Grid
) -> None:
    grid = oblique_grid.with_frame_of_reference(None)
    middle = grid.to_mm([[12.0, 9.0, 7.0], [6.3, 4.4, 3.9]])
    steps = (Affine(moved(4, (1, 2, 3))), DisplacementField(grid, field_on(grid)), Affine(moved(-9, (40, 0, -5))))
    transform = Transform(steps, uncertainty_mm=2.0)
    start = steps[0].inverse().points_mm(middle)
    path = write_registration(tmp_path / "def.dcm", transform, fixed, moving)
    item = pydicom.dcmread(path).DeformableRegistrationSequence[0]
    assert item.SourceFrameOfReferenceUID == moving.frame_of_reference
    found, _ = read_transform(path, fixed=fixed.frame_of_reference, moving=moving.frame_of_reference)
    assert np.abs(transform.points_mm(start) - start).max() > 20
    assert np.allclose(found.points_mm(start), transform.points_mm(start), atol=1e-4)
    assert found.uncertainty_mm == 2.0
    back, _ = read_transform(path, fixed=moving.frame_of_reference, moving=fixed.frame_of_reference)
    assert np.allclose(back.points_mm(transform.points_mm(start)), start, atol=back.residual_mm + 1e-3)
    assert 0 < back.residual_mm < 1


def test_a_left_handed_grid_is_written_turned(tmp_path: Path, fixed: DicomContext, moving: DicomContext) -> None:
    affine = np.diag([3.0, 3.0, -4.0, 1.0])
    grid = Grid((8, 7, 6), affine)
    vectors = np.random.default_rng(3).normal(0, 0.3, (8, 7, 6, 3)).astype(np.float32)
    transform = Transform((DisplacementField(grid, vectors),))
    found, _ = read_transform(write_registration(tmp_path / "d.dcm", transform, fixed, moving))
    at = grid.to_mm([[1, 2, 3], [6, 5, 1]])
    assert np.allclose(found.points_mm(at), transform.points_mm(at), atol=1e-4)


def test_two_fields_are_sampled_as_one(
    tmp_path: Path, fixed: DicomContext, moving: DicomContext, oblique_grid: Grid
) -> None:
    one = DisplacementField(oblique_grid.with_frame_of_reference(None), field_on(oblique_grid))
    transform = Transform((Affine(moved(3, (2, 0, 0))), one, Affine(moved(-3, (0, 1, 0))), one))
    found, _ = read_transform(write_registration(tmp_path / "d.dcm", transform, fixed, moving))
    at = Affine(moved(3, (2, 0, 0))).inverse().points_mm(one.grid.to_mm([[12, 9, 7], [10, 8, 6]]))
    # Sampled at voxels of up to 5 mm: h^2/8 of the second derivative, 25 / 8 x 2 x 7 / 400.
    assert np.allclose(found.points_mm(at), transform.points_mm(at), atol=0.11)


def test_several_registrations_of_one_file_meet_in_the_registered_frame(
    tmp_path: Path, fixed: DicomContext, moving: DicomContext
) -> None:
    first, second = Transform.affine(moved(12, (5, -7, 30))), Transform.affine(moved(-3, (0, 9, 1)))
    path = write_registration(tmp_path / "a.dcm", first, fixed, moving)
    third = context("1.2.826.0.1.3680043.8.498.3", study=fixed.study_uid)
    other = pydicom.dcmread(write_registration(tmp_path / "b.dcm", second, fixed, third))
    dataset = pydicom.dcmread(path)
    dataset.RegistrationSequence.append(other.RegistrationSequence[1])
    # Two matrices follow one another in the order of their items.
    sequence = dataset.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence
    extra = pydicom.Dataset()
    extra.FrameOfReferenceTransformationMatrixType = "RIGID"
    extra.FrameOfReferenceTransformationMatrix = moved(0, (100, 0, 0)).ravel().tolist()
    sequence.append(extra)
    dataset.save_as(path)
    found = read_registration(path)
    assert found.frames == (fixed.frame_of_reference, moving.frame_of_reference, third.frame_of_reference)
    between = found.between(moving.frame_of_reference, third.frame_of_reference)
    at = first.points_mm(POINTS)
    assert np.allclose(between.points_mm(at), second.points_mm(POINTS + np.array([100, 0, 0])), atol=1e-6)
    with pytest.raises(DicomError, match="connects 3 frames"):
        found.other_than(fixed.frame_of_reference)
    with pytest.raises(DicomError, match=r"does not connect the frame of reference 9\.9"):
        found.between("9.9", third.frame_of_reference)


def test_files_follow_one_another(tmp_path: Path, fixed: DicomContext, moving: DicomContext) -> None:
    third = context("1.2.826.0.1.3680043.8.498.3")
    first, second = Transform.affine(moved(12, (5, -7, 30))), Transform.affine(moved(-3, (0, 9, 1)))
    paths = [
        write_registration(tmp_path / "a.dcm", first, fixed, moving),
        # Written the other way round: its direction is found by its frames.
        write_registration(tmp_path / "b.dcm", second.inverse(), third, moving),
    ]
    whole, _, files = read_transforms(paths, fixed=fixed.frame_of_reference, moving=third.frame_of_reference)
    assert np.allclose(whole.points_mm(POINTS), second.points_mm(first.points_mm(POINTS)), atol=1e-6)
    assert whole.moving_frame == third.frame_of_reference
    assert len(files) == 2
    with pytest.raises(InputError, match="1 to 20"):
        read_transforms([])


def test_both_objects_are_valid(
    tmp_path: Path,
    fixed: DicomContext,
    moving: DicomContext,
    oblique_grid: Grid,
    dciodvfy: Callable[[Path], list[str]],
) -> None:
    elsewhere = context("1.2.826.0.1.3680043.8.498.2")
    field = DisplacementField(oblique_grid.with_frame_of_reference(None), field_on(oblique_grid))
    for transform in (Transform.affine(moved(3, (1, 2, 3)), uncertainty_mm=1.0), Transform((field,))):
        for other in (moving, elsewhere):
            assert dciodvfy(write_registration(tmp_path / "x.dcm", transform, fixed, other)) == []


def test_an_object_without_identity_keeps_its_transform(
    tmp_path: Path, fixed: DicomContext, moving: DicomContext, oblique_grid: Grid
) -> None:
    from hepatica.core.privacy.anonymiser import Anonymiser
    from hepatica.core.privacy.secret import Secret
    from hepatica.io.dicom.identity.profile import deidentify

    field = DisplacementField(oblique_grid.with_frame_of_reference(None), field_on(oblique_grid))
    for transform in (
        Transform.affine(moved(3, (1, 2, 3)), uncertainty_mm=1.0),
        Transform((field,), uncertainty_mm=1.0),
    ):
        path = write_registration(tmp_path / "x.dcm", transform, fixed, moving)
        dataset = pydicom.dcmread(path)
        deidentify(dataset, Anonymiser.of(Secret(bytes(32)), [], {}))
        dataset.save_as(path)
        found, _ = read_transform(path)
        at = oblique_grid.to_mm([[12, 9, 7]])
        assert np.allclose(found.points_mm(at), transform.points_mm(at), atol=1e-4)
        assert found.uncertainty_mm == 1.0
        assert found.fixed_frame != fixed.frame_of_reference


def _without(keyword: str) -> Any:
    def change(dataset: pydicom.Dataset) -> None:
        for element in dataset.iterall():
            if element.VR == "SQ":
                for item in element.value:
                    if keyword in item:
                        del item[keyword]
        if keyword in dataset:
            del dataset[keyword]

    return change


def _set(keyword: str, value: object) -> Any:
    def change(dataset: pydicom.Dataset) -> None:
        for element in dataset.iterall():
            if element.VR == "SQ":
                for item in element.value:
                    if keyword in item:
                        setattr(item, keyword, value)

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_without("FrameOfReferenceTransformationMatrix"), "FrameOfReferenceTransformationMatrix"),
        (_without("MatrixRegistrationSequence"), "MatrixRegistrationSequence: is missing"),
        (_without("MatrixSequence"), "MatrixSequence: is missing"),
        (_without("FrameOfReferenceUID"), "FrameOfReferenceUID"),
        (_without("RegistrationSequence"), "RegistrationSequence"),
        (_set("FrameOfReferenceTransformationMatrix", [0.0] * 16), "last row"),
        (_set("FrameOfReferenceTransformationMatrix", np.diag([-1.0, 1, 1, 1]).ravel().tolist()), "mirrors"),
        (_set("FrameOfReferenceTransformationMatrixType", "WARPED"), "'WARPED' is not one of RIGID"),
    ],
)
def test_a_damaged_matrix_is_refused_by_file_and_tag(
    tmp_path: Path, fixed: DicomContext, moving: DicomContext, change: Any, match: str
) -> None:
    path = write_registration(tmp_path / "reg.dcm", Transform.affine(moved(3, (1, 2, 3))), fixed, moving)
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
    with pytest.raises(DicomError, match=match) as told:
        read_transform(path)
    assert str(path) in str(told.value)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_set("VectorGridData", b"\0" * 12), "VectorGridData: has 12 bytes"),
        (_set("VectorGridData", np.full(8 * 7 * 6 * 3, np.nan, "<f4").tobytes()), "VectorGridData.*no numbers"),
        (_set("GridDimensions", [8, 0, 6]), "GridDimensions"),
        (_set("GridResolution", [3.0, -3.0, 4.0]), "GridResolution: must be positive"),
        (_without("SourceFrameOfReferenceUID"), "SourceFrameOfReferenceUID: is missing"),
        (_without("ImagePositionPatient"), "ImagePositionPatient"),
    ],
)
def test_a_damaged_deformation_is_refused_by_file_and_tag(
    tmp_path: Path, fixed: DicomContext, moving: DicomContext, change: Any, match: str
) -> None:
    grid = Grid.axial((8, 7, 6), spacing_mm=(3, 3, 4))
    transform = Transform((DisplacementField(grid, np.zeros((8, 7, 6, 3))),))
    path = write_registration(tmp_path / "reg.dcm", transform, fixed, moving)
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
    with pytest.raises(DicomError, match=match) as told:
        read_transform(path)
    assert str(path) in str(told.value)


def test_a_frame_that_nobody_states_cannot_be_written(tmp_path: Path, fixed: DicomContext) -> None:
    nowhere = replace(context(), frame_of_reference="")
    with pytest.raises(GeometryError, match="of the moving image is not known"):
        write_registration(tmp_path / "x.dcm", Transform(), fixed, nowhere)
    with pytest.raises(GeometryError, match="of the fixed image"):
        write_registration(tmp_path / "x.dcm", Transform(fixed_frame=new_uid()), fixed, fixed)


def test_another_object_is_named(tmp_path: Path, fixed: DicomContext) -> None:
    path = tmp_path / "reg.dcm"
    write_registration(path, Transform(), fixed, context("1.2.3"))
    dataset = pydicom.dcmread(path)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.save_as(path)
    with pytest.raises(DicomError, match="CT Image Storage"):
        read_transform(path)


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, fixed: DicomContext, moving: DicomContext) -> None:
    """What the cut took may be an attribute of its own, here the comment that states the uncertainty."""
    transform = Transform.affine(moved(3, (1, 2, 3)), uncertainty_mm=1.5)
    path = write_registration(tmp_path / "reg.dcm", transform, fixed, moving)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DicomError, match="cut short"):
        read_transform(path)


def test_a_registered_frame_that_is_moved_itself_is_refused(tmp_path: Path, fixed: DicomContext) -> None:
    path = write_registration(tmp_path / "reg.dcm", Transform.affine(moved(3, (1, 2, 3))), fixed, fixed)
    with pytest.raises(DicomError, match="is the registered frame itself"):
        read_transform(path)
