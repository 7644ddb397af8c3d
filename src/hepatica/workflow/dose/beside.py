"""What the result beside an image file says of the image: NIfTI has no place for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hepatica.core.certainty import NOT_STATED, ImageCertainty
from hepatica.core.image import Acquisition, Image
from hepatica.core.lung_mean import LungMean
from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.io.calibration_files import reconstruction_facts
from hepatica.planning.measured.earlier_results import is_result, result_file
from hepatica.workflow.sources import ImageSource
from hepatica.workflow.spect.doubts import with_full_doubts

MAKERS = {
    "reconstruct_pet": "pet.nii.gz",
    "reconstruct_spect": "spect.nii.gz",
    "quantify": "activity.nii.gz",
    "warp_image": "warped.nii.gz",
}
"""Verbs that write an image of activity and, beside it, what is known of it; under which name."""

MR = "MR"


def told_beside(image: Image, source: ImageSource) -> Image:
    """An image with what the result beside its file says of it: certainty, seen ends, lungs, doubts; or MR."""
    return _with_doubts(_told_beside(image, source), source)


def _with_doubts(image: Image, source: ImageSource) -> Image:
    """With what the reconstruction that made the file said against it."""
    if isinstance(source, Image):
        return image
    told = reconstruction_facts(Path(source))
    if not str(told.get("schema")).startswith("hepatica/reconstruct_spect/"):
        return image
    said = [one for one in told.get("messages") or () if isinstance(one, Mapping)]
    full = [
        Message(str(one["code"]), str(one["text"]), str(one.get("remedy") or ""), one.get("severity", "warning"))
        for one in said
    ]
    return replace(image, messages=with_full_doubts(image.messages, full))


def _told_beside(image: Image, source: ImageSource) -> Image:
    if isinstance(source, Image) or Path(source).is_dir():
        return image
    beside = Path(source).parent / "result.json"
    if not beside.is_file():
        return image
    if any(Path(source).name == name and is_result(beside, verb) for verb, name in MAKERS.items()):
        return _with_record(image, result_file(beside, *MAKERS), beside)
    # Without the covered part of voxels it is of an older hepatica, whose image has that part taken off.
    if not beside.with_name("covered.nii.gz").is_file() or not is_result(beside, "holmium_mri"):
        return image
    return replace(image, acquisition=replace(image.acquisition, modality=MR))


def _with_record(image: Image, told: Mapping[str, Any], beside: Path) -> Image:
    """What the image itself says stays; an older hepatica says nothing."""
    facts = image.acquisition
    if facts.seen_z_mm is None and (ends := _numbers(told.get("seen_z_mm"), 2)):
        along = _numbers(told.get("seen_along"), 3) or facts.seen_along
        facts = replace(facts, seen_z_mm=(ends[0], ends[1]), seen_along=(along[0], along[1], along[2]))
    facts = _with_lung(replace(facts, below_zero=facts.below_zero or bool(told.get("below_zero"))), told)
    record = told.get("image_certainty")
    if facts.certainty != NOT_STATED or record is None:
        return replace(image, acquisition=facts)
    try:
        return replace(image, acquisition=replace(facts, certainty=ImageCertainty.of_document(record)))
    except InputError:
        text = f"{beside} holds no certainty of the activity that can be read: it is not known"
        note = Message("certainty-unreadable", text, "reconstruct again, or give the DICOM image that was written")
        return replace(image, acquisition=facts).with_messages(note)


def _with_lung(facts: Acquisition, told: Mapping[str, Any]) -> Acquisition:
    """With the mean of the lungs of an image that was brought over; one that was not says its own."""
    record = told.get("lung_mean")
    if facts.lung is not None or not isinstance(record, Mapping):
        return facts
    names = ("low", "high", "relative_sd", "counting_relative_sd", "share_of_image")
    numbers = [record[name] for name in names if record.get(name) is not None]
    return replace(facts, lung=LungMean.of_numbers(int(record.get("levels", 1)), numbers))


def _numbers(value: object, count: int) -> tuple[float, ...]:
    """So many numbers; none where it is not that."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != count:
        return ()
    return tuple(float(one) for one in value) if all(isinstance(one, int | float) for one in value) else ()
