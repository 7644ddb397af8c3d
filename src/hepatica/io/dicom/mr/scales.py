"""One scale for all echoes: the slope that Philips keeps in a private element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hepatica.errors import DicomError
from hepatica.io.dicom import geometry
from hepatica.io.dicom.mr.components import PHASE
from hepatica.io.dicom.tags import Header

PRIVATE_GROUP, PRIVATE_CREATOR = 0x2005, "Philips MR Imaging DD 001"
SCALE_SLOPE, FRAME_ITEM = 0x0E, 0x0F
"""Elements of that group: the slope, and the sequence that holds it in a frame of an enhanced file (creator 005)."""

SAME_SCALE = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image: where it stands, its echo time, what it shows, its rescale slope and intercept.

    `private_slope` is the scale slope of Philips; None where there is none.
    """

    header: Header
    number: int
    plane: geometry.Plane
    echo_s: float
    component: str
    scale: tuple[float, float]
    private_slope: float | None = None


def private_slope(place: Header, header: Header | None = None) -> float | None:
    """Scale slope of Philips (2005,xx0E) of an image, or of a frame of an enhanced file.

    Raises
    ------
    DicomError
        If it is not positive.
    """
    found = place.private(PRIVATE_GROUP, PRIVATE_CREATOR, SCALE_SLOPE)
    if found is None and header is not None:
        inner = place.private(PRIVATE_GROUP, "Philips MR Imaging DD 005", FRAME_ITEM)
        if inner:
            found = Header(inner[0]).private(PRIVATE_GROUP, PRIVATE_CREATOR, SCALE_SLOPE)
    if found is None:
        return None
    value = float(found)
    if not value > 0:
        raise DicomError(f"the scale slope of Philips is {value:g}", path=(header or place).path, tag="(2005,xx0E)")
    return value


def one_scale(frames: Sequence[Frame]) -> list[Frame]:
    """Images on one scale: (SV RS + RI) / (RS SS) where RS SS is not the same in all of them.

    SV are stored values, RS and RI rescale slope and intercept, SS the scale slope. Phase images stay as they are.

    Raises
    ------
    DicomError
        If some images have a scale slope that others lack, and it would count.

    References
    ----------
    .. [1] Chenevert TL et al. Transl Oncol 2014;7:65.
    """
    scaled = [frame for frame in frames if frame.component != PHASE]
    products = [frame.scale[0] * frame.private_slope for frame in scaled if frame.private_slope is not None]
    if not products or max(products) - min(products) <= SAME_SCALE * max(abs(p) for p in products):
        return list(frames)
    if lacking := [frame for frame in scaled if frame.private_slope is None]:
        raise DicomError(
            "some images have a scale slope of Philips and others none: their signals cannot be compared",
            path=lacking[0].header.path,
            tag="(2005,xx0E)",
            remedy="export all images of the acquisition in one way",
        )
    return [
        frame
        if frame.component == PHASE or frame.private_slope is None
        else replace(frame, scale=(1 / frame.private_slope, frame.scale[1] / (frame.scale[0] * frame.private_slope)))
        for frame in frames
    ]
