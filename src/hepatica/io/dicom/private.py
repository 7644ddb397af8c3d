"""Hepatica's own private attributes: numbers of a SPECT's lungs and a PET's ends, for which DICOM has no place.

Group 0071, creator HEPATICA. (0071,xx01) IS: levels that the lungs were found as. (0071,xx02) FD, five values or none:
lower and upper end of the 95 % interval of the lungs' true mean over the mean of the image, its relative standard
uncertainty, the part of it that is noise of the counts, and activity in the lungs over that in the image. (0071,xx03)
FD, two values: LPS z in mm between which the planes of a PET are seen well. Numbers alone: no identity can be in them.
"""

from __future__ import annotations

from typing import Any

from hepatica.core.lung_mean import LungMean
from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.io.dicom.tags import Header

GROUP, CREATOR = 0x0071, "HEPATICA"
LEVELS, NUMBERS, SEEN = 0x01, 0x02, 0x03
VRS = {LEVELS: "IS", NUMBERS: "FD", SEEN: "FD"}


def write_lung_mean(dataset: Any, lung: LungMean) -> None:
    """Write how well the mean of the lungs is known."""
    block = dataset.private_block(GROUP, CREATOR, create=True)
    block.add_new(LEVELS, VRS[LEVELS], str(lung.levels))
    if lung.numbers:
        block.add_new(NUMBERS, VRS[NUMBERS], list(lung.numbers))


def read_lung_mean(header: Header) -> tuple[LungMean | None, tuple[Message, ...]]:
    """What a file says of its lungs; None where it says nothing. A record that makes no sense is said."""
    levels, numbers = (header.private(GROUP, CREATOR, element) for element in (LEVELS, NUMBERS))
    if levels is None:
        return None, ()
    try:
        many = [] if numbers is None else list(numbers)
        return LungMean.of_numbers(int(levels), many), ()
    except (InputError, TypeError, ValueError):
        text = f"{header.path}: (0071,xx02) of {CREATOR} holds no uncertainty of the lungs: it is not known"
        note = Message("lung-record-unreadable", text, "reconstruct again, or give the DICOM image that was written")
        return LungMean(1), (note,)


def write_seen(dataset: Any, seen_z_mm: tuple[float, float]) -> None:
    """Write between which ends the planes of a PET are seen well."""
    block = dataset.private_block(GROUP, CREATOR, create=True)
    block.add_new(SEEN, VRS[SEEN], list(seen_z_mm))


def read_seen(header: Header) -> tuple[float, float] | None:
    """Between which ends a file's planes are seen well; None where it does not say two numbers in order."""
    told = header.private(GROUP, CREATOR, SEEN)
    try:
        low, high = (float(end) for end in told or ())
    except (TypeError, ValueError):
        return None
    return (low, high) if low < high else None


def is_own(element: Any) -> bool:
    """Whether an element is one of these, or names their creator: numbers, which hold no identity."""
    tag = element.tag
    if tag.group != GROUP:
        return False
    if tag.element < 0x100:
        return bool(element.value == CREATOR)
    return getattr(element, "private_creator", None) == CREATOR and VRS.get(tag.element & 0xFF) == element.VR
