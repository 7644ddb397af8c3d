"""DICOM Spatial Registration and Deformable Spatial Registration, read (PS3.3 A.39, C.20.2, C.20.3).

Both lead to a common frame, the Registered Reference Coordinate System, whose UID is the object's own.

- A matrix of Spatial Registration takes points of the *source* frame to the *registered* frame: (x', y', z', 1) =
  M (x, y, z, 1). Several matrices of one source follow one another in the order of their items.
- A deformation takes points of the *registered* frame to the *source* frame: pre-deformation matrix, then x + u(x) on
  the deformation grid, then post-deformation matrix. Beyond the grid u is zero.

A `Transform` takes points of the fixed frame to the moving frame. With the registered frame as the fixed one, a matrix
is therefore turned round, a deformation taken as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.context import DicomContext
from hepatica.core.message import Message
from hepatica.core.transform import Affine, DisplacementField, Transform
from hepatica.core.transform.steps import Step
from hepatica.errors import DicomError, GeometryError
from hepatica.io.dicom import geometry
from hepatica.io.dicom.context import context_of
from hepatica.io.dicom.objects import open_object
from hepatica.io.dicom.tags import Header

SPATIAL_REGISTRATION = "1.2.840.10008.5.1.4.1.1.66.1"
DEFORMABLE_REGISTRATION = "1.2.840.10008.5.1.4.1.1.66.3"

MATRIX_TYPES = ("RIGID", "RIGID_SCALE", "AFFINE")

RIGID_TOLERANCE = 1e-3
"""A matrix that is called RIGID may differ from a rotation by this much: programs write few digits."""

UNDEFINED_LENGTH = 0xFFFFFFFF

_UNCERTAINTY = re.compile(r"uncertainty (\d+(?:\.\d+)?) mm")


@dataclass(frozen=True, slots=True)
class Registrations:
    """What one registration object says.

    Attributes
    ----------
    path : Path
        The file.
    registered_frame : str
        UID of the frame that all lead to.
    transforms : dict of str to Transform
        For each other frame: from the registered frame to it.
    context : DicomContext
        Patient and study of the file.
    messages : tuple of Message
        What the reader must know.
    """

    path: Path
    registered_frame: str
    transforms: dict[str, Transform]
    context: DicomContext
    messages: tuple[Message, ...] = ()

    @property
    def frames(self) -> tuple[str, ...]:
        """All frames of reference that it connects, the registered one first."""
        return (self.registered_frame, *(frame for frame in self.transforms if frame != self.registered_frame))

    def other_than(self, frame: str) -> str:
        """The one frame beside the one given.

        Raises
        ------
        DicomError
            If there is none, or there are several.
        """
        others = [found for found in self.frames if found != frame]
        if len(others) != 1:
            raise DicomError(
                f"connects {len(self.frames)} frames of reference ({', '.join(self.frames)}); which one is meant is "
                "not known",
                path=self.path,
                tag="FrameOfReferenceUID",
            )
        return others[0]

    def between(self, fixed: str, moving: str) -> Transform:
        """From one of its frames to another: directly, turned round, or by way of the registered frame.

        Raises
        ------
        DicomError
            If it does not connect both.
        GeometryError
            If a field has to be turned round and cannot be.
        """
        for frame in (fixed, moving):
            if frame not in self.frames:
                raise DicomError(
                    f"does not connect the frame of reference {frame}; it holds {', '.join(self.frames)}",
                    path=self.path,
                    tag="FrameOfReferenceUID",
                )
        here = self.registered_frame
        nothing = Transform(fixed_frame=here, moving_frame=here, uncertainty_mm=0.0)
        to_fixed, to_moving = (nothing if frame == here else self.transforms[frame] for frame in (fixed, moving))
        return to_fixed.inverse().then(to_moving).simplified()


def is_registration(header: Header) -> bool:
    """Whether an object is one of the two that hold a registration."""
    return header.text("SOPClassUID") in (SPATIAL_REGISTRATION, DEFORMABLE_REGISTRATION)


def read_registration(path: Path | str) -> Registrations:
    """Read a registration object.

    Raises
    ------
    DicomError
        If it is none, or a frame, matrix or deformation grid is missing, damaged or contradictory; tag and file named.
    GeometryError
        If a deformation holds a value that is no number.
    """
    classes = (SPATIAL_REGISTRATION, DEFORMABLE_REGISTRATION)
    header = open_object(path, classes, "a Spatial Registration or Deformable Spatial Registration (REG)")
    _refuse_cut(header)
    registered = header.required_text("FrameOfReferenceUID")
    rigid = header.text("SOPClassUID") == SPATIAL_REGISTRATION
    sequence = "RegistrationSequence" if rigid else "DeformableRegistrationSequence"
    items = header.items(sequence)
    if not items:
        raise header.error(sequence, "is missing or holds no registration")
    found: dict[str, Transform] = {}
    notes: list[Message] = []
    for item in items:
        frame = _frame_of(item, header, registered, rigid=rigid)
        steps = _matrix_steps(item, notes) if rigid else _deformation_steps(item, registered, notes)
        transform = Transform(steps, registered, frame, _uncertainty(item), _method(item, rigid=rigid))
        if frame == registered and not _same(transform, Transform()):
            raise item.error(
                "FrameOfReferenceUID",
                f"{frame} is the registered frame itself, and yet it is moved: two images of one frame of reference "
                "were registered, and which one is meant is not known",
            )
        if (before := found.get(frame)) is not None and not _same(before, transform):
            raise item.error("FrameOfReferenceUID", f"{frame} is registered twice, differently")
        found[frame] = transform
    return Registrations(Path(path), registered, found, context_of([header]), (*notes, *header.messages()))


def _refuse_cut(header: Header) -> None:
    """DicomError if the file ends before an element does: what a sequence lost is not seen in what is left of it."""
    from pydicom.datadict import keyword_for_tag
    from pydicom.dataelem import RawDataElement

    for tag in header.dataset.keys():  # noqa: SIM118 - a data set yields elements, and converts them
        element = header.dataset.get_item(tag)
        if not isinstance(element, RawDataElement) or element.length == UNDEFINED_LENGTH:
            continue
        if len(element.value or b"") < element.length:
            raise header.error(
                keyword_for_tag(tag) or str(tag),
                f"the file is cut short: {len(element.value or b'')} of {element.length} bytes",
            )


def _frame_of(item: Header, header: Header, registered: str, *, rigid: bool) -> str:
    keyword = "FrameOfReferenceUID" if rigid else "SourceFrameOfReferenceUID"
    if frame := item.text(keyword):
        return frame
    if not rigid:
        raise item.error(keyword, "is missing or empty")
    # Without one the item is of images that it lists, whose frame only they state; what follows is then a guess.
    raise item.error(
        keyword,
        f"is missing: the registration to {registered} is of single images of no frame of reference",
        remedy="register images that state a frame of reference",
    )


def _matrix_steps(item: Header, notes: list[Message]) -> tuple[Step, ...]:
    """From the registered frame to the item's: its matrices turned round, last first."""
    registrations = item.items("MatrixRegistrationSequence")
    if not registrations:
        raise item.error("MatrixRegistrationSequence", "is missing")
    matrices = [matrix for one in registrations for matrix in one.items("MatrixSequence")]
    if not matrices:
        raise item.error("MatrixSequence", "is missing")
    return tuple(_matrix(found, notes).inverse() for found in reversed(matrices))


def _deformation_steps(item: Header, registered: str, notes: list[Message]) -> tuple[Step, ...]:
    before = [_matrix(found, notes) for found in item.items("PreDeformationMatrixRegistrationSequence")]
    after = [_matrix(found, notes) for found in item.items("PostDeformationMatrixRegistrationSequence")]
    grids = item.items("DeformableRegistrationGridSequence")
    if not (before or grids or after):
        raise item.error("DeformableRegistrationGridSequence", "is missing, and so are the matrices around it")
    # The grid lies where the pre-deformation matrix leads: in the registered frame, unless that matrix moves it.
    frame = None if before else registered
    fields = [_field(found, frame) for found in grids]
    return (*before, *fields, *after)


def _matrix(item: Header, notes: list[Message]) -> Affine:
    numbers = item.required_numbers("FrameOfReferenceTransformationMatrix", 16)
    kind = item.required_text("FrameOfReferenceTransformationMatrixType")
    if kind not in MATRIX_TYPES:
        raise item.error(
            "FrameOfReferenceTransformationMatrixType", f"{kind!r} is not one of {', '.join(MATRIX_TYPES)}"
        )
    try:
        affine = Affine(np.reshape(numbers, (4, 4)))
        affine.check()
    except GeometryError as error:
        raise item.error("FrameOfReferenceTransformationMatrix", str(error)) from error
    turn = affine.matrix[:3, :3]
    if kind == "RIGID" and np.abs(turn.T @ turn - np.eye(3)).max() > RIGID_TOLERANCE:
        text = f"{item.path}: FrameOfReferenceTransformationMatrixType: RIGID, but the matrix stretches or shears"
        notes.append(Message("matrix-not-rigid", text, "ask who made it; the matrix is taken as it is"))
    return affine


def _field(item: Header, frame: str | None) -> DisplacementField:
    grid = geometry.registration_grid(item, frame_of_reference=frame)
    raw = item.value("VectorGridData")
    if not isinstance(raw, bytes):
        raise item.error("VectorGridData", "is missing or holds no bytes")
    expected = grid.size * 12
    if len(raw) != expected:
        raise item.error("VectorGridData", f"has {len(raw)} bytes for {expected} of a grid of {grid.shape} vectors")
    order = ">" if item.dataset.original_encoding[1] is False else "<"
    vectors: NDArray[Any] = np.frombuffer(raw, f"{order}f4").reshape((3, *grid.shape), order="F")
    try:
        return DisplacementField(grid, np.moveaxis(vectors, 0, -1).astype(np.float32))
    except GeometryError as error:
        raise item.error("VectorGridData", str(error)) from error


def _uncertainty(item: Header) -> float | None:
    """What hepatica wrote of the uncertainty; DICOM has no attribute for it."""
    places = (item, *item.items("MatrixRegistrationSequence"))
    for text in (place.text("FrameOfReferenceTransformationComment") for place in places):
        if (match := _UNCERTAINTY.search(text)) is not None:
            return float(match[1])
    return None


def _method(item: Header, *, rigid: bool) -> str:
    places = (item, *item.items("MatrixRegistrationSequence"))
    codes = [code.text("CodeMeaning") for place in places for code in place.items("RegistrationTypeCodeSequence")]
    kind = "Spatial Registration" if rigid else "Deformable Spatial Registration"
    return f"DICOM {kind}" + (f" ({', '.join(dict.fromkeys(code for code in codes if code))})" if any(codes) else "")


def _same(one: Transform, other: Transform) -> bool:
    return one.is_affine and other.is_affine and bool(np.allclose(one.matrix, other.matrix, atol=1e-3))


def in_frames(transform: Transform, fixed: str | None, moving: str | None) -> Transform:
    """The transform with frames of reference where it states none."""
    return replace(transform, fixed_frame=transform.fixed_frame or fixed, moving_frame=transform.moving_frame or moving)
