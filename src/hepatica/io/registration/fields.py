"""Displacement fields as NIfTI, MetaImage or NRRD with three values a voxel.

A vector leads from a voxel of the fixed image to the moving image, in millimetres. In which directions its components
run is where programs differ:

- MetaImage and NRRD as ITK, ANTs, elastix and 3D Slicer write them: LPS, as the geometry. A NRRD whose space is RAS
  holds its vectors in RAS.
- NIfTI with five dimensions and intent 1007 (vector): ITK and ANTs turn the *geometry* to RAS when they write it and
  leave the *vectors* in LPS. With intent 1006 (displacement vector) they are RAS, as the standard asks; ITK reads
  them so.
- NiftyReg's and SPM's positions, and FSL's warps, are something else under the same intent or their own: refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.grid import Grid
from hepatica.core.message import Message
from hepatica.core.transform import DisplacementField, Transform
from hepatica.core.transform.transform import NOT_FOR_USE
from hepatica.errors import GeometryError, InputError
from hepatica.io.itk import write_voxels
from hepatica.io.volumes.metaimage import read_metaimage
from hepatica.io.volumes.nifti import NiftiHeader, read_nifti_vectors
from hepatica.io.volumes.nrrd import read_nrrd, vector_signs

MAX_DISPLACEMENT_MM = 1000.0
"""No tissue moves by a metre between two images; such vectors are positions, or are in another unit."""

NIFTI_DISPLACEMENT, NIFTI_VECTOR = 1006, 1007
"""Intent codes of nifti1.h."""

_SURE = re.compile(r"hepatica uncertainty_mm: (\d+(?:\.\d+)?)")


def read_displacement_field(path: Path | str) -> tuple[Transform, list[Message]]:
    """Transform of a displacement field in a file, with messages.

    Raises
    ------
    InputError
        If it cannot be read, does not hold three values a voxel, or these are no displacements.
    GeometryError
        If it does not say where its voxels are, or a vector is no number.
    """
    path = Path(path)
    name = path.name.lower()
    said = ""
    if name.endswith((".nrrd", ".nhdr")):
        grid, vectors, notes = read_nrrd(path, layers=True)
        signs = vector_signs(path)
    elif name.endswith((".mha", ".mhd")):
        grid, vectors, notes = read_metaimage(path, layers=True)
        signs = (1, 1, 1)
    else:
        grid, vectors, header, notes = read_nifti_vectors(path)
        signs = _nifti_signs(path, header, notes)
        said = header.description
    if vectors.shape[3] != 3:
        raise InputError(f"{path}: has {vectors.shape[3]} values per voxel; a displacement has three")
    field = _field(path, grid, vectors, signs)
    sure = _SURE.search(said)
    method = f"displacement field {path.name}"
    if NOT_FOR_USE in said:
        method = f"{NOT_FOR_USE}; {method}"
    return Transform((field,), uncertainty_mm=None if sure is None else float(sure[1]), method=method), list(notes)


def write_displacement_field(
    path: Path | str, field: DisplacementField, *, uncertainty_mm: float | None = None, warned: bool = False
) -> Path:
    """Write a field as ITK does (.nii, .nii.gz, .mha, .nrrd): vectors in LPS millimetres.

    Parameters
    ----------
    path : Path
        The file to write.
    field : DisplacementField
        From fixed to moving points.
    uncertainty_mm : float or None
        Standard uncertainty along each axis; in the description (descrip) of a NIfTI, from which it is read again.
    warned : bool
        Whether the word that it must not be used goes there too.

    Raises
    ------
    OutputError
        If the suffix is another one, or the file cannot be written.
    """
    words = [] if uncertainty_mm is None else [f"hepatica uncertainty_mm: {uncertainty_mm:.6f}"]
    if warned:
        words.append(NOT_FOR_USE)
    return write_voxels(field.vectors_mm.astype(np.float32), field.grid, path, notes="; ".join(words))


def _nifti_signs(path: Path, header: NiftiHeader, notes: list[Message]) -> tuple[int, int, int]:
    name = header.intent_name.strip()
    if name.upper().startswith("NREG") or name.lower() == "mapping" or header.intent >= 2000:
        raise InputError(
            f"{path}: intent {header.intent} {name!r}: positions or another program's own warp, not displacements",
            remedy="save it as a displacement field of ITK",
        )
    if header.intent == NIFTI_DISPLACEMENT:
        return -1, -1, 1
    if header.intent != NIFTI_VECTOR:
        text = (
            f"{path}: intent_code {header.intent} does not say that these are vectors; they are taken as ITK's, in LPS"
        )
        notes.append(Message("vectors-assumed", text, "look at a landmark"))
    return 1, 1, 1


def _field(path: Path, grid: Grid, vectors: NDArray[Any], signs: tuple[int, int, int]) -> DisplacementField:
    found = vectors.astype(np.float32 if vectors.dtype.itemsize <= 4 else np.float64)
    if signs != (1, 1, 1):
        found = found * np.asarray(signs, dtype=found.dtype)
    try:
        field = DisplacementField(grid, found)
    except GeometryError as error:
        raise GeometryError(f"{path}: {error}") from error
    if (largest := float(np.abs(found).max())) > MAX_DISPLACEMENT_MM:
        raise InputError(
            f"{path}: displacements of up to {largest:.3g} mm: these are positions, or in another unit",
            remedy="save displacements in millimetres",
        )
    return field
