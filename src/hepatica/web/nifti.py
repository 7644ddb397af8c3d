"""A volume as the bytes of a NIfTI-1 file, for the 3-D tile, without a file on the disk."""

from __future__ import annotations

import struct

import numpy as np

from hepatica.core.volume import Volume

HEADER_BYTES = 352
FLOAT32 = 16
SCANNER = 1
"""sform_code: position in the scanner."""


def nifti_bytes(volume: Volume) -> bytes:
    """Single-file NIfTI-1, float32, little-endian; LPS becomes RAS by turning the first two axes of the patient round.

    References
    ----------
    .. [1] NIfTI-1 data format, nifti1.h (dim at byte 40, datatype 70, vox_offset 108, sform_code 254, srow_x 280).
    """
    head = bytearray(HEADER_BYTES)
    i, j, k = volume.grid.shape
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, i, j, k, 1, 1, 1, 1)
    struct.pack_into("<hh", head, 70, FLOAT32, 32)
    struct.pack_into("<8f", head, 76, 1.0, *volume.grid.spacing_mm, 0, 0, 0, 0)
    struct.pack_into("<ff", head, 108, float(HEADER_BYTES), 1.0)
    head[123] = 2  # millimetres
    struct.pack_into("<hh", head, 252, 0, SCANNER)
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.grid.affine
    struct.pack_into("<12f", head, 280, *ras[:3].ravel())
    head[344:348] = b"n+1\0"
    values = np.ascontiguousarray(volume.values.transpose(2, 1, 0), dtype="<f4")
    return bytes(head) + values.tobytes()
