"""Regions that a workstation left in a planar file as overlay planes (DICOM PS3.3 C.9.2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from hepatica.core import Grid, Region
from hepatica.io.dicom.tags import Header, pydicom_door

GROUPS = range(0x6000, 0x6020, 2)


def overlay_regions(header: Header, grid: Grid) -> tuple[Region, ...]:
    """Overlay planes of regions of interest as regions on the file's frames; none if there are none.

    Parameters
    ----------
    header : Header
        Of the planar file.
    grid : Grid
        Its frames, as `read_planar` gives them.

    Raises
    ------
    DicomError
        If an overlay does not fit the frames or covers no pixel.
    """
    found = []
    for group in GROUPS:
        data = _value(header, group, 0x3000)
        if not data or _text(header, group, 0x0040) == "G":
            continue
        number = (group & 0xFF) // 2 + 1
        name = _text(header, group, 0x1500) or _text(header, group, 0x0022) or f"overlay {number}"
        rows, columns = _number(header, group, 0x0010), _number(header, group, 0x0011)
        frames = _number(header, group, 0x0015) or 1
        first = max(_number(header, group, 0x0051), 1) - 1
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        if (columns, rows) != grid.shape[:2] or bits.size < frames * rows * columns or first + frames > grid.shape[2]:
            raise header.error(
                "OverlayData",
                f"overlay {name!r} of {columns} x {rows} pixels and {frames} frames does not fit the image",
            )
        mask = np.zeros(grid.shape, np.float32)
        planes = bits[: frames * rows * columns].reshape(frames, rows, columns)
        mask[:, :, first : first + frames] = planes.transpose(2, 1, 0)
        region = Region.from_coverage(name, grid, mask, origin=f"overlay plane {group:04X}")
        if region.is_empty:
            raise header.error(
                "OverlayData",
                f"overlay {name!r} covers no pixel",
                remedy="draw it, take it out of the file, or give `structures`",
            )
        found.append(region)
    return tuple(found)


def _value(header: Header, group: int, element: int) -> Any:
    with pydicom_door(header.path, f"overlay attribute ({group:04X},{element:04X})", header.problems):
        found = header.dataset.get((group, element))
        return None if found is None else found.value


def _text(header: Header, group: int, element: int) -> str:
    value = _value(header, group, element)
    return "" if value is None else str(value).strip()


def _number(header: Header, group: int, element: int) -> int:
    """A whole number, 0 where there is none."""
    text = _text(header, group, element)
    return int(text) if text.isdigit() else 0
