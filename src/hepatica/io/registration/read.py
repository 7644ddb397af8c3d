"""The door for transforms: whatever the format, a `Transform` from the fixed to the moving frame, or an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hepatica.core.message import Message
from hepatica.core.provenance import InputFile
from hepatica.core.transform import Transform
from hepatica.errors import InputError
from hepatica.io.input_files import is_file
from hepatica.io.itk import is_itk_file
from hepatica.io.registration.dicom import in_frames, read_registration
from hepatica.io.registration.fields import read_displacement_field
from hepatica.io.registration.itk_transform import read_itk_transform

NO_TRANSFORMS = (".csv", ".fcsv", ".json", ".toml", ".xlsx")
"""Landmarks and tables."""

MAX_FILES = 20
"""Transforms that are applied one after the other."""


def read_transform(
    path: Path | str, *, fixed: str | None = None, moving: str | None = None
) -> tuple[Transform, list[Message]]:
    """Transform of a file, checked, with messages.

    Parameters
    ----------
    path : Path
        DICOM Spatial Registration or Deformable Spatial Registration; ITK transform as text (.tfm, .txt); displacement
        field (.nii, .nii.gz, .mha, .mhd, .nrrd, .nhdr).
    fixed, moving : str or None
        Frames of reference between which it is wanted. Of DICOM they choose the registration and its direction; of
        the others, which state none, they are taken to be meant.

    Raises
    ------
    InputError
        If it cannot be read or is none; the message names the file, and the tag or line.
    GeometryError
        If it folds, mirrors or holds values that are no numbers.
    """
    path = Path(path)
    name = path.name.lower()
    notes: list[Message] = []
    if name.endswith((".h5", ".hdf5", ".hdf")):
        raise InputError(
            f"{path}: ITK transforms in HDF5 are not read",
            remedy="save it as .tfm, or a deformation as a displacement field (.nii.gz)",
        )
    if not is_file(path):
        raise InputError(f"{path}: no such file; a transform was expected")
    if name.endswith(NO_TRANSFORMS):
        raise InputError(
            f"{path}: no transform is kept in such a file",
            remedy="give a DICOM registration, ITK transform (.tfm) or displacement field; landmarks go to register",
        )
    if name.endswith((".tfm", ".txt")):
        transform = read_itk_transform(path)
    elif is_itk_file(path):
        transform, notes = read_displacement_field(path)
    else:
        found = read_registration(path)
        notes += found.messages
        start = fixed if fixed in found.frames else found.registered_frame if fixed is None else None
        if start is None:
            start = found.other_than(moving) if moving in found.frames and moving is not None else str(fixed)
        end = moving if moving in found.frames and moving is not None else found.other_than(start)
        transform = found.between(start, end)
    return in_frames(transform, fixed, moving).checked(), notes


def read_transforms(
    paths: Sequence[Path | str], *, fixed: str | None = None, moving: str | None = None
) -> tuple[Transform, tuple[Message, ...], tuple[InputFile, ...]]:
    """One transform of several files that follow one another from the fixed to the moving frame.

    Raises
    ------
    InputError
        If there is none, or too many; else as `read_transform`.
    GeometryError
        If one does not begin where the one before it ends, or the last does not end in the moving frame.
    """
    if not 0 < len(paths) <= MAX_FILES:
        raise InputError(f"`transform` was given {len(paths)} times; 1 to {MAX_FILES} follow one another")
    whole: Transform | None = None
    notes: list[Message] = []
    for number, path in enumerate(paths):
        here = fixed if whole is None else whole.moving_frame
        there = moving if number == len(paths) - 1 else None
        step, said = read_transform(path, fixed=here, moving=there)
        whole = step if whole is None else whole.then(step)
        notes += said
    assert whole is not None
    files = tuple(InputFile.of("transform", Path(path)) for path in paths)
    return whole.simplified(), tuple(notes), files
