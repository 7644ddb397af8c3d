"""Hepatica's own private attributes: a SPECT's lungs, a PET's ends, how well becquerels are known; DICOM has no place.

Group 0071, creator HEPATICA. (0071,xx01) IS: levels that the lungs were found as. (0071,xx02) FD, five values or none:
lower and upper end of the 95 % interval of the lungs' true mean over the mean of the image, its relative standard
uncertainty, the part of it that is noise of the counts, and activity in the lungs over that in the image. (0071,xx03)
FD, two values: LPS z in mm between which the planes of a PET are seen well; of an image that was turned three more: the
unit vector in LPS along which they are measured. (0071,xx04) FD, four values, -1 for one that is not known: relative
standard uncertainty of the scale common to all voxels, of the activity in the image by counting, activity in the image
over what the net counts of its list predict, and the standard uncertainty of that ratio. (0071,xx05) FD, three values a
region: mL, its share of the image, relative standard uncertainty by counting. (0071,xx06) IS, of a SPECT that hepatica
reconstructed: what that said against the image, ten times the number in `DOUBTS` plus 0, 1 or 2 for a note, a warning
or something critical; 0 alone where it said nothing. Numbers alone: no identity is in them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from hepatica.core.certainty import NOT_STATED, ImageCertainty
from hepatica.core.lung_mean import LungMean
from hepatica.core.message import Message, Severity
from hepatica.errors import InputError
from hepatica.io.dicom.tags import Header

GROUP, CREATOR = 0x0071, "HEPATICA"
LEVELS, NUMBERS, SEEN, CERTAINTY, REGIONS, SAID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
VRS = {LEVELS: "IS", NUMBERS: "FD", SEEN: "FD", CERTAINTY: "FD", REGIONS: "FD", SAID: "IS"}
ALONG_Z = (0.0, 0.0, 1.0)

RECONSTRUCTED = "Reconstructed by hepatica."
"""How ImageComments of a SPECT that hepatica reconstructed begins."""

DOUBTS = {
    "no-lungs-on-ct": (1, "the CT showed no lungs, so that none were found as levels: a lung reads wrong"),
    "lung-by-voxel": (2, "the lungs were found voxel by voxel, which reads a faint one too low"),
    "counts-not-explained": (
        3,
        "the image does not explain the counts: CT, place, scatter or camera are not as stated",
    ),
    "activity-beside-body": (4, "activity lies outside the body that the CT shows: the CT is not where it was"),
    "no-body-on-ct": (5, "the CT showed no body"),
    "axis-overruled": (6, "the axis was stated elsewhere than the projections say"),
    "camera-overruled": (7, "another camera was stated than the projections say"),
    "scatter-not-corrected": (8, "scatter was not corrected"),
    "lead-taken-as-holes": (9, "counts through lead were taken for counts through holes"),
    "tissue-not-of-tissue-hu": (10, "tissue does not have the HU of tissue: the CT is not in HU"),
    "air-not-of-air-hu": (11, "air does not have the HU of air: the CT is not in HU"),
    "too-few-updates": (12, "too few updates were made for scatter of the image to be corrected"),
    "liver-in-lungs-of-ct": (13, "liver lies in the lungs of the CT, which is too low: the lungs' mean is too high"),
}
"""Code of a message that calls becquerels of a SPECT, or their place, in doubt -> its number, and what it says."""

NOT_CARRIED = "reconstruction-not-carried"
"""Code of the message that a file does not say what its reconstruction said."""
GIVE_RESULT = "give the folder of the reconstruction, with its result.json, or the file as it was written"
OF_RECONSTRUCTION = "of the reconstruction: "
"""How such a message begins where it is said of the image or its dose."""


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


def write_doubts(dataset: Any, said: Iterable[Message]) -> None:
    """Write what a reconstruction said against its image; that there was nothing too."""
    ranks = get_args(Severity)
    found = {str(10 * DOUBTS[one.code][0] + ranks.index(one.severity)) for one in said if one.code in DOUBTS}
    dataset.private_block(GROUP, CREATOR, create=True).add_new(SAID, VRS[SAID], sorted(found, key=int) or ["0"])


def read_doubts(header: Header) -> tuple[Message, ...]:
    """What the reconstruction of a SPECT said against it; of one of hepatica's that does not say it, that."""
    told, ranks = header.private(GROUP, CREATOR, SAID), get_args(Severity)
    if told is None:
        is_own_image = header.text("ImageComments").startswith(RECONSTRUCTED)
        return (_not_carried(header),) if is_own_image else ()
    words = {number: (code, text) for code, (number, text) in DOUBTS.items()}
    found = []
    try:
        for number in map(int, [told] if isinstance(told, int | str) else told):
            if number:
                code, text = words[number // 10]
                found.append(Message(code, OF_RECONSTRUCTION + text, GIVE_RESULT, ranks[number % 10]))
    except (KeyError, IndexError, TypeError, ValueError):
        return (_not_carried(header),)
    return tuple(found)


def _not_carried(header: Header) -> Message:
    text = (
        f"{header.path}: hepatica reconstructed it, and it does not hold what that said against the image: private "
        f"attributes of group {GROUP:04x} ({CREATOR}) were taken out on the way, or an older version wrote it"
    )
    return Message(NOT_CARRIED, text, GIVE_RESULT)


def is_own(element: Any) -> bool:
    """Whether an element is one of these, or names their creator: numbers, which hold no identity."""
    tag = element.tag
    if tag.group != GROUP:
        return False
    if tag.element < 0x100:
        return bool(element.value == CREATOR)
    return getattr(element, "private_creator", None) == CREATOR and VRS.get(tag.element & 0xFF) == element.VR
