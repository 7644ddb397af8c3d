"""What an MR image shows: magnitude, phase, real or imaginary part; and phase images in radians."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import DicomError
from hepatica.io.dicom.tags import Header

MAGNITUDE, PHASE, REAL, IMAGINARY = "magnitude", "phase", "real", "imaginary"

_WORDS = {
    "M": MAGNITUDE, "MAGNITUDE": MAGNITUDE, "M_FFE": MAGNITUDE,
    "P": PHASE, "PHASE": PHASE, "PHASE MAP": PHASE,
    "R": REAL, "REAL": REAL,
    "I": IMAGINARY, "IMAGINARY": IMAGINARY,
}  # fmt: skip
"""Words of ImageType, ComplexImageComponent and FrameType."""

_GE_KINDS = {0: MAGNITUDE, 1: PHASE, 2: REAL, 3: IMAGINARY}

SIEMENS_HALF_TURN = 4096.0
"""Rescaled Siemens phase runs from -4096 to 4094, one turn."""

ROUNDING = 1.002


def component_of(header: Header, file: Header | None = None) -> str:
    """What an image shows; magnitude where nothing says otherwise."""
    words = [*header.texts("ComplexImageComponent"), *header.texts("ImageType"), *header.texts("FrameType")]
    for word in words:
        found = _WORDS.get(word.upper())
        if found is not None and word.upper() != "M":
            return found
    private = (file or header).private(0x0043, "GEMS_PARM_01", 0x2F)
    if isinstance(private, int) and private in _GE_KINDS:
        return _GE_KINDS[private]
    return MAGNITUDE


def radians(values: NDArray[np.float32], header: Header, half_turn: float | None) -> NDArray[np.float32]:
    """Phase in rad.

    Parameters
    ----------
    values : ndarray
        Rescaled phase images.
    header : Header
        Of one of them.
    half_turn : float or None
        Value of half a turn, stated by the user.

    Raises
    ------
    DicomError
        If the range of the values is none of radians, milliradians or the 12 bits of Siemens.
    """
    low, high = float(values.min()), float(values.max())
    largest = max(abs(low), abs(high))
    siemens = "SIEMENS" in header.text("Manufacturer").upper()
    if half_turn is not None:
        scale, offset = np.pi / half_turn, 0.0
    elif largest <= np.pi * ROUNDING:
        scale, offset = 1.0, 0.0
    elif siemens and low >= 0 and high <= SIEMENS_HALF_TURN:
        scale, offset = 2 * np.pi / SIEMENS_HALF_TURN, -np.pi
    elif largest <= 1000 * np.pi * ROUNDING and not siemens:
        scale, offset = 1e-3, 0.0
    elif largest <= SIEMENS_HALF_TURN * ROUNDING:
        scale, offset = np.pi / SIEMENS_HALF_TURN, 0.0
    else:
        raise DicomError(
            f"phase images run from {low:g} to {high:g}: the value of half a turn is not known",
            path=header.path,
            remedy="state `phase_half_turn`",
        )
    return (values * np.float32(scale) + np.float32(offset)).astype(np.float32)
