"""NIfTI, MetaImage and NRRD files. They hold no unit and no time: the caller states them.

What others made is read by hepatica itself (`hepatica.io.volumes`): a native parser dies or loops for ever on damaged
files, fills up those that are cut short and reads over units. SimpleITK only writes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, InputFile, Kind, Volume
from hepatica.core.image import NOTHING_STATED, Acquisition, Image, Stated, not_stated
from hepatica.core.message import Message
from hepatica.core.volume import voxel_unit, whole_labels
from hepatica.errors import OutputError, UnitError
from hepatica.io.files import atomic_output
from hepatica.io.input_files import require_file
from hepatica.io.volumes.metaimage import read_metaimage
from hepatica.io.volumes.nifti import is_nifti_pair, pair_of, read_nifti
from hepatica.io.volumes.nrrd import read_nrrd
from hepatica.io.volumes.voxels import refuse_not_finite

SUFFIXES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr")
"""Formats that are read, by suffix."""

WRITTEN = (".nii", ".nii.gz", ".mha", ".nrrd")
"""Formats that are written; those with their voxels in a second file are not."""


def is_itk_file(path: Path) -> bool:
    """Whether the name says NIfTI, MetaImage or NRRD, or it is one of the two files of a NIfTI pair (.hdr, .img)."""
    return path.name.lower().endswith(SUFFIXES) or is_nifti_pair(path)


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
    return Image(volume, None, facts, _source(role, path), tuple(notes), missing)


def _source(role: str, path: Path) -> InputFile:
    header, voxels = pair_of(path)
    return InputFile.of(role, path) if header == voxels else InputFile.of(role, header, [header, voxels])


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

    Raises
    ------
    InputError
        If the file cannot be read, is damaged, is not one scalar volume, or is too large for this machine.
    GeometryError
        If it does not say where its voxels are, or its axes are not perpendicular.
    UnitError
        If a voxel is NaN or infinite (but of `Kind.UNKNOWN`), a label is no whole number, or a scale is none.
    """
    path = Path(path)
    grid, stored, notes = _read(path)
    values: NDArray[Any] = stored
    if kind is Kind.LABEL:
        values = whole_labels(values, str(path))
    elif factor != 1.0 or values.dtype not in (np.float32, np.float64):
        dtype: Any = np.float64 if values.dtype.itemsize > 2 and values.dtype != np.float32 else np.float32
        values = values.astype(dtype)
        if factor != 1.0:
            values *= dtype(factor)
    if kind is not Kind.UNKNOWN:
        refuse_not_finite(path, values)
    return Volume(grid, values, kind, name=name or path.name), notes


def _read(path: Path, *, layers: bool = False) -> tuple[Grid, NDArray[Any], list[Message]]:
    """Grid, stored or scaled values, and messages of a file; with `layers` the values of a voxel on a fourth axis."""
    require_file(path)
    name = path.name.lower()
    if name.endswith((".nrrd", ".nhdr")):
        return read_nrrd(path, layers=layers)
    if name.endswith((".mha", ".mhd")):
        return read_metaimage(path, layers=layers)
    grid, values, notes = read_nifti(path)
    return grid, values[..., np.newaxis] if layers else values, notes


def read_label_layers(path: Path | str) -> tuple[tuple[Volume, ...], list[Message]]:
    """Label maps from a file with several values per voxel (layers of segments that overlap), with messages.

    Raises
    ------
    InputError
        If it cannot be read, or a value is no whole number.
    GeometryError
        If it does not say where its voxels are.
    """
    path = Path(path)
    grid, stored, notes = _read(path, layers=True)
    layers = (whole_labels(stored[..., n], str(path)) for n in range(stored.shape[3]))
    return tuple(Volume(grid, values, Kind.LABEL, name=path.name) for values in layers), notes


def write_itk(volume: Volume, path: Path | str, *, notes: str = "") -> Path:
    """Write a volume as .nii, .nii.gz, .mha or .nrrd; whole or not at all. Unit and time are not in the file.

    `notes` are the header's description, as in `write_voxels`.

    Raises
    ------
    OutputError
        If the suffix is another one, or the file cannot be written.
    """
    values = volume.values
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    if values.dtype == np.int64:
        values = values.astype(np.int32)
    return write_voxels(values, volume.grid, path, notes=notes)


def write_voxels(values: NDArray[Any], grid: Grid, path: Path | str, *, notes: str = "") -> Path:
    """Write values of a grid's voxels, shape (i, j, k), or vectors, shape (i, j, k, 3); whole or not at all.

    Parameters
    ----------
    values : ndarray
        Of a type that ITK writes.
    grid : Grid
        Where they lie.
    path : path
        The file; its suffix says the format.
    notes : str
        Description in the header (descrip of a NIfTI).

    Raises
    ------
    OutputError
        If the suffix is none of `WRITTEN`, or the file cannot be written.
    """
    import SimpleITK as sitk  # noqa: N813

    path = Path(path)
    if not path.name.lower().endswith(WRITTEN):
        raise OutputError(f"{path}: the name must end in {', '.join(WRITTEN)}")
    slices_first = np.ascontiguousarray(values.swapaxes(0, 2))
    image = sitk.GetImageFromArray(slices_first, isVector=values.ndim > 3)
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin(grid.origin_mm.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    if notes:
        image.SetMetaData("ITK_FileNotes", notes)
    with atomic_output(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=not path.name.lower().endswith(".nii"))
        except RuntimeError as error:
            raise OutputError(f"{path}: cannot be written ({_reason(error)})") from error
    return path


def _reason(error: BaseException) -> str:
    """Last line of ITK's many."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
