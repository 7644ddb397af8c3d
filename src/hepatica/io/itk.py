"""NIfTI and MetaImage through SimpleITK. These files hold no unit and no time: the caller states them.

SimpleITK gives LPS whatever the file's own convention (NIfTI's RAS is turned), as `Grid` wants it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, InputFile, Kind, Volume
from hepatica.core.image import NOTHING_STATED, Acquisition, Image, Stated, not_stated
from hepatica.core.message import Message
from hepatica.core.volume import voxel_unit, whole_labels
from hepatica.errors import GeometryError, InputError, OutputError, UnitError
from hepatica.io.files import atomic_output
from hepatica.io.nifti import DEFLATE_LIMIT, check_nifti, header_for_own_reader, read_nifti
from hepatica.io.plain_headers import plain_header

SUFFIXES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd")
"""Formats that are read, by suffix; .mhd has its voxels in a second file and is not written."""


def is_itk_file(path: Path) -> bool:
    """Whether the name says NIfTI, MetaImage or NRRD."""
    return path.name.lower().endswith(SUFFIXES)


def read_itk_image(path: Path, *, role: str = "image", stated: Stated = NOTHING_STATED) -> Image:
    """NIfTI, MetaImage or NRRD file with the unit and the time that the user states.

    Raises
    ------
    InputError
        If the file cannot be read or is not one scalar volume.
    GeometryError
        If it does not say where its voxels are, or its axes are not perpendicular.
    UnitError
        If no unit was stated, it is unknown, or a voxel is NaN or infinite.
    """
    if stated.unit is None:
        raise UnitError(
            f"{path}: the file does not say what a voxel holds",
            remedy="state its unit ('Bq/mL', 'MBq h', 'counts', 'HU', ...)",
        )
    kind, factor = voxel_unit(stated.unit)
    volume, notes = read_itk(path, kind, factor=factor)
    volume.require_finite()
    volume = Volume(volume.grid, volume.values, kind, stated.time, path.name)
    missing = not_stated(kind, nuclide=stated.nuclide, time=stated.time)
    facts = Acquisition(
        description=path.name,
        unit_in_file="",
        nuclide=stated.nuclide,
        time_rule="stated by the user" if stated.time else "",
    )
    return Image(volume, None, facts, InputFile.of(role, path), tuple(notes), missing)


def read_itk(path: Path | str, kind: Kind, *, factor: float = 1.0, name: str = "") -> tuple[Volume, list[Message]]:
    """Volume from a NIfTI, MetaImage or NRRD file, with messages.

    Parameters
    ----------
    path : Path
        The file.
    kind : Kind
        What the values are after multiplication by `factor`; labels stay integers.
    factor : float
        From the file's unit to that of `kind`.
    name : str
        Name of the volume; the file's if empty.
    """
    import SimpleITK as sitk  # noqa: N813

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    values: NDArray[Any]
    if (header := header_for_own_reader(path)) is not None:
        grid, values, notes = read_nifti(path, header)
    else:
        with _itk_door(path):
            reader = sitk.ImageFileReader()
            reader.SetFileName(str(path))
            reader.ReadImageInformation()
            notes = _check_information(reader, path)
            image = reader.Execute()
            stored = sitk.GetArrayFromImage(image)
        if stored.ndim == 4:
            stored = stored[0]
        plain = plain_header(path)
        notes += plain.messages
        grid = _grid(reader, path, plain.length_mm)
        values = stored.transpose(2, 1, 0)
        if (plain.slope, plain.offset) != (1, 0):
            values = values * np.float64(plain.slope) + plain.offset
    if kind is Kind.LABEL:
        values = whole_labels(values, str(path))
    elif factor != 1.0 or values.dtype not in (np.float32, np.float64):
        dtype: Any = np.float64 if values.dtype.itemsize > 2 and values.dtype != np.float32 else np.float32
        values = values.astype(dtype) * dtype(factor)
    return Volume(grid, values, kind, name=name or path.name), notes


def read_label_layers(path: Path | str) -> tuple[tuple[Volume, ...], list[Message]]:
    """Label maps from a file with several values per voxel (layers of segments that overlap), with messages.

    Raises
    ------
    InputError
        If it cannot be read, or a value is no whole number.
    GeometryError
        If it does not say where its voxels are.
    """
    import SimpleITK as sitk  # noqa: N813

    path = Path(path)
    with _itk_door(path):
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        notes = _check_information(reader, path, layers=True)
        stored = sitk.GetArrayFromImage(reader.Execute())
    if stored.ndim != 4:
        stored = stored.reshape((*stored.shape[:3], -1))
    plain = plain_header(path)
    grid, notes = _grid(reader, path, plain.length_mm), [*notes, *plain.messages]
    layers = (whole_labels(stored[..., n].transpose(2, 1, 0), str(path)) for n in range(stored.shape[3]))
    return tuple(Volume(grid, values, Kind.LABEL, name=path.name) for values in layers), notes


def write_itk(volume: Volume, path: Path | str) -> Path:
    """Write a volume as .nii, .nii.gz, .mha or .nrrd; whole or not at all. Unit and time are not in the file.

    Raises
    ------
    OutputError
        If the suffix is another one, or the file cannot be written.
    """
    import SimpleITK as sitk  # noqa: N813

    path = Path(path)
    if not is_itk_file(path) or path.name.lower().endswith(".mhd"):
        raise OutputError(f"{path}: the name must end in {', '.join(s for s in SUFFIXES if s != '.mhd')}")
    values = volume.values
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    if values.dtype == np.int64:
        values = values.astype(np.int32)
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
    image.SetSpacing(volume.grid.spacing_mm)
    image.SetOrigin(volume.grid.origin_mm.tolist())
    image.SetDirection(volume.grid.direction.ravel().tolist())
    with atomic_output(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=not path.name.lower().endswith(".nii"))
        except RuntimeError as error:
            raise OutputError(f"{path}: cannot be written ({_reason(error)})") from error
    return path


@contextmanager
def _itk_door(path: Path) -> Iterator[None]:
    """Turn what ITK raises into InputError and keep its C++ warnings off the screen."""
    import SimpleITK as sitk  # noqa: N813

    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    except (RuntimeError, MemoryError, OverflowError) as error:
        reason = _reason(error)
        if "orthonormal" in reason.lower():
            raise GeometryError(f"{path}: its axes are not perpendicular (shear); resample the image first") from error
        raise InputError(f"{path}: cannot be read ({reason})") from error
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def _check_information(reader: Any, path: Path, *, layers: bool = False) -> list[Message]:
    """Refuse what is not one scalar volume with a place, before its voxels are read; messages otherwise."""
    size = reader.GetSize()
    if len(size) not in (3, 4) or (len(size) == 4 and size[3] != 1):
        raise InputError(f"{path}: has {len(size)} dimensions {tuple(size)}; one volume is needed")
    if reader.GetNumberOfComponents() != 1 and not (layers and len(size) == 3):
        raise InputError(f"{path}: has {reader.GetNumberOfComponents()} values per voxel; one is needed")
    voxels = int(np.prod(np.asarray(size, dtype=object))) * reader.GetNumberOfComponents()
    if path.suffix.lower() != ".mhd" and voxels > DEFLATE_LIMIT * path.stat().st_size:
        raise InputError(f"{path}: claims {voxels} voxels in {path.stat().st_size} bytes; it is damaged")
    return check_nifti(path) if path.name.lower().endswith((".nii", ".nii.gz")) else []


def _grid(reader: Any, path: Path, length_mm: float) -> Grid:
    dimension = reader.GetDimension()
    direction = np.reshape(reader.GetDirection(), (dimension, dimension))[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.asarray(reader.GetSpacing()[:3])
    affine[:3, 3] = reader.GetOrigin()[:3]
    if length_mm != 1:
        affine[:3] *= length_mm
    i, j, k = (int(n) for n in reader.GetSize()[:3])
    try:
        return Grid((i, j, k), affine)
    except GeometryError as error:
        raise GeometryError(f"{path}: {error}") from error


def _reason(error: BaseException) -> str:
    """Last line of ITK's many."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
