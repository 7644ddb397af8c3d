"""DICOM Spatial Registration and Deformable Spatial Registration, written (PS3.3 A.39, C.20.2, C.20.3)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.core.context import DicomContext, Instance
from hepatica.core.grid import Grid
from hepatica.core.transform import Affine, DisplacementField, Transform
from hepatica.core.transform.steps import FloatArray
from hepatica.core.transform.transform import NOT_FOR_USE
from hepatica.errors import GeometryError
from hepatica.io.dicom import geometry
from hepatica.io.dicom.objects import code, new_object, references, save_object
from hepatica.io.registration.dicom import DEFORMABLE_REGISTRATION, SPATIAL_REGISTRATION

_TYPES = {
    "identity": ("125021", "DCM", "Frame of Reference Identity"),
    "rigid": ("125024", "DCM", "Image Content-based Alignment"),
    "affine": ("125024", "DCM", "Image Content-based Alignment"),
}


def write_registration(path: Path | str, transform: Transform, fixed: DicomContext, moving: DicomContext) -> Path:
    """Write a transform: Spatial Registration without a displacement field, Deformable Spatial Registration with one.

    The fixed frame is the registered one, and the object belongs to the study of the fixed image. Of several fields, or
    matrices that do not stand around one field, the whole is sampled on the first field's grid.

    Parameters
    ----------
    path : Path
        The file to write.
    transform : Transform
        From fixed to moving.
    fixed, moving : DicomContext
        Of the two images; they give the frames of reference that the transform does not state.

    Raises
    ------
    GeometryError
        If a frame of reference is not known, or is another one than the image's.
    DicomError, OutputError
        If it cannot be written.
    """
    frames = [_frame(transform.fixed_frame, fixed, "fixed"), _frame(transform.moving_frame, moving, "moving")]
    plain = transform.simplified()
    affine = plain.is_affine
    kind = SPATIAL_REGISTRATION if affine else DEFORMABLE_REGISTRATION
    dataset = new_object(fixed, kind, "REG", description="Registration")
    dataset.BodyPartExamined = "ABDOMEN"
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = frames[0], ""
    dataset.ContentDate, dataset.ContentTime = dataset.InstanceCreationDate, dataset.InstanceCreationTime
    dataset.ContentLabel = "REGISTRATION"
    warned = "DO NOT USE: " if plain.method.startswith(NOT_FOR_USE) else ""
    dataset.ContentDescription = f"{warned}{plain.kind} registration"
    dataset.ContentCreatorName = ""
    if affine:
        here = _matrix_item(frames[0], Transform(), fixed.instances)
        dataset.RegistrationSequence = [here, _matrix_item(frames[1], plain, moving.instances)]
    else:
        dataset.DeformableRegistrationSequence = [_deformation_item(frames[1], plain, moving.instances)]
    _write_references(dataset, fixed, moving)
    return save_object(dataset, path)


def _frame(stated: str | None, context: DicomContext, side: str) -> str:
    found = {uid for uid in (stated, context.frame_of_reference) if uid}
    if len(found) != 1:
        problem = "is not known" if not found else f"is {stated} by the transform, {context.frame_of_reference} by it"
        raise GeometryError(f"the frame of reference of the {side} image {problem}; a registration must name it")
    return found.pop()


def _matrix_item(frame: str, transform: Transform, instances: Sequence[Instance]) -> Any:
    """Item of one source frame: the matrix from it to the registered frame, the inverse of the transform's."""
    from pydicom.dataset import Dataset

    item, registration = Dataset(), Dataset()
    item.FrameOfReferenceUID = frame
    if instances:
        item.ReferencedImageSequence = references(instances)
    registration.RegistrationTypeCodeSequence = [code(*_TYPES[transform.kind])]
    if transform.uncertainty_mm is not None:
        registration.FrameOfReferenceTransformationComment = _comment(transform.uncertainty_mm)
    registration.MatrixSequence = [_matrix(transform.inverse().matrix)]
    item.MatrixRegistrationSequence = [registration]
    return item


def _deformation_item(frame: str, transform: Transform, instances: Sequence[Instance]) -> Any:
    from pydicom.dataset import Dataset

    before, field, after = _around_one_field(transform)
    item = Dataset()
    item.SourceFrameOfReferenceUID = frame
    if instances:
        item.ReferencedImageSequence = references(instances)
    item.RegistrationTypeCodeSequence = [code("125024", "DCM", "Image Content-based Alignment")]
    if transform.uncertainty_mm is not None:
        item.FrameOfReferenceTransformationComment = _comment(transform.uncertainty_mm)
    item.PreDeformationMatrixRegistrationSequence = [_matrix(before)]
    item.PostDeformationMatrixRegistrationSequence = [_matrix(after)]
    grid, turned = geometry.right_handed(field.grid)
    vectors = field.vectors_mm[:, :, ::-1] if turned else field.vectors_mm
    place = Dataset()
    geometry.write_registration_grid(place, grid)
    place.VectorGridData = np.moveaxis(vectors, -1, 0).astype("<f4").tobytes(order="F")
    item.DeformableRegistrationGridSequence = [place]
    return item


def _around_one_field(transform: Transform) -> tuple[FloatArray, DisplacementField, FloatArray]:
    """Matrix, field, matrix: the transform's own steps, or all of it sampled on its first field's grid."""
    kinds = [kind for kind, _ in groupby(transform.steps, key=type)]
    fields = [step for step in transform.steps if isinstance(step, DisplacementField)]
    if len(fields) == 1:
        at = transform.steps.index(fields[0])
        before, after = (Transform(part).matrix for part in (transform.steps[:at], transform.steps[at + 1 :]))
        return before, fields[0], after
    first = fields[0].grid
    if kinds[0] is Affine:
        # Its grid lies behind a matrix; taken as it is where that matrix leads back to.
        back = np.linalg.inv(Transform(transform.steps[:1]).matrix) @ first.affine
        back[3] = 0, 0, 0, 1
        first = Grid(first.shape, back)
    return np.eye(4), transform.sampled(first), np.eye(4)


def _matrix(matrix: FloatArray) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.FrameOfReferenceTransformationMatrixType = "RIGID" if Affine(matrix).is_rigid else "AFFINE"
    item.FrameOfReferenceTransformationMatrix = geometry.decimal_strings(matrix)
    return item


def _comment(uncertainty_mm: float) -> str:
    return f"uncertainty {uncertainty_mm:.3f} mm per axis (k = 1)"


def _write_references(dataset: Any, fixed: DicomContext, moving: DicomContext) -> None:
    """Common Instance Reference module: which images, in this study and in others."""
    from pydicom.dataset import Dataset

    def series(context: DicomContext) -> Any:
        item = Dataset()
        item.SeriesInstanceUID = context.series_uid
        item.ReferencedInstanceSequence = references(context.instances)
        return item

    own = [context for context in (fixed, moving) if context.instances and context.study_uid == fixed.study_uid]
    if own:
        dataset.ReferencedSeriesSequence = [series(context) for context in own]
    if moving.instances and moving.study_uid != fixed.study_uid:
        other = Dataset()
        other.StudyInstanceUID = moving.study_uid
        other.ReferencedSeriesSequence = [series(moving)]
        dataset.StudiesContainingOtherReferencedInstancesSequence = [other]
