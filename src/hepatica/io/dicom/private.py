"""Hepatica's own private attributes: a SPECT's lungs, a PET's ends, how well becquerels are known; DICOM has no place.

Group 0071, creator HEPATICA. (0071,xx01) IS: levels that the lungs were found as. (0071,xx02) FD, five values or none:
lower and upper end of the 95 % interval of the lungs' true mean over the mean of the image, its relative standard
uncertainty, the part of it that is noise of the counts, and activity in the lungs over that in the image. (0071,xx03)
FD, two values: LPS z in mm between which the planes of a PET are seen well; of an image that was turned three more: the
unit vector in LPS along which they are measured. (0071,xx04) FD, four values, -1 for one that is not known: relative
standard uncertainty of the scale common to all voxels, of the activity in the image by counting, activity in the image
over what the net counts of its list predict, and the standard uncertainty of that ratio. (0071,xx05) FD, three values a
region: mL, its share of the image, relative standard uncertainty by counting. Numbers alone: no identity is in them.
"""

from __future__ import annotations

from typing import Any

from hepatica.core.certainty import NOT_STATED, ImageCertainty
from hepatica.core.lung_mean import LungMean
from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.io.dicom.tags import Header

GROUP, CREATOR = 0x0071, "HEPATICA"
LEVELS, NUMBERS, SEEN, CERTAINTY, REGIONS = 0x01, 0x02, 0x03, 0x04, 0x05
VRS = {LEVELS: "IS", NUMBERS: "FD", SEEN: "FD", CERTAINTY: "FD", REGIONS: "FD"}
ALONG_Z = (0.0, 0.0, 1.0)


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


Seen = tuple[tuple[float, float] | None, tuple[float, float, float]]
"""Ends between which an image is seen well, None where they are not known, and along what."""


def write_seen(dataset: Any, seen_z_mm: tuple[float, float], along: tuple[float, float, float] = ALONG_Z) -> None:
    """Write between which ends the planes of a PET are seen well."""
    block = dataset.private_block(GROUP, CREATOR, create=True)
    block.add_new(SEEN, VRS[SEEN], [*seen_z_mm, *(along if along != ALONG_Z else ())])


def read_seen(header: Header) -> Seen:
    """Between which ends a file's planes are seen well, and along what; no ends where it does not say them in order."""
    told = header.private(GROUP, CREATOR, SEEN)
    try:
        low, high, *along = (float(number) for number in told or ())
        x, y, z = along or ALONG_Z
    except (TypeError, ValueError):
        return None, ALONG_Z
    return ((low, high), (x, y, z)) if low < high else (None, ALONG_Z)


def write_certainty(dataset: Any, certainty: ImageCertainty) -> None:
    """Write how well the becquerels of an image are known; nothing where nothing is."""
    if certainty == NOT_STATED:
        return
    block = dataset.private_block(GROUP, CREATOR, create=True)
    block.add_new(CERTAINTY, VRS[CERTAINTY], list(certainty.numbers))
    if certainty.counted:
        block.add_new(REGIONS, VRS[REGIONS], list(certainty.region_numbers))


def read_certainty(header: Header) -> tuple[ImageCertainty, tuple[Message, ...]]:
    """How well a file says that its becquerels are known. A record that makes no sense is said, and is not known."""
    four, regions = (header.private(GROUP, CREATOR, element) for element in (CERTAINTY, REGIONS))
    if four is None:
        return NOT_STATED, ()
    try:
        return ImageCertainty.of_numbers(list(four), list(regions or ())), ()
    except (InputError, TypeError, ValueError):
        text = f"{header.path}: (0071,xx04) of {CREATOR} holds no certainty of the activity: it is not known"
        return NOT_STATED, (Message("certainty-unreadable", text, "reconstruct again"),)


def is_own(element: Any) -> bool:
    """Whether an element is one of these, or names their creator: numbers, which hold no identity."""
    tag = element.tag
    if tag.group != GROUP:
        return False
    if tag.element < 0x100:
        return bool(element.value == CREATOR)
    return getattr(element, "private_creator", None) == CREATOR and VRS.get(tag.element & 0xFF) == element.VR
