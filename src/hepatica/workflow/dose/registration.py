"""Activity images of another frame of reference, brought to that of the CT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hepatica.core import InputFile
from hepatica.core.image import Image
from hepatica.core.message import Message, unique
from hepatica.errors import InputError
from hepatica.workflow.dose.options import DoseOptions
from hepatica.workflow.registration.transforms import given_transform, moved_image


@dataclass(frozen=True, slots=True, eq=False)
class Brought:
    """Activity images in the frame of reference of the CT.

    Attributes
    ----------
    images : tuple of Image
        All of them, those that lay there already unchanged.
    messages : tuple of Message
        What was moved, how surely, and what of it was cut off.
    inputs : tuple of InputFile
        Files of the transform.
    steps : tuple of str
        For the provenance.
    """

    images: tuple[Image, ...]
    messages: tuple[Message, ...] = ()
    inputs: tuple[InputFile, ...] = ()
    steps: tuple[str, ...] = ()


def brought_to_ct(scans: Sequence[Image], ct: Image | None, options: DoseOptions) -> Brought:
    """Activity brought over by the transform that was stated; the activity of a piece of tissue goes with it.

    Images of another frame of reference than the CT's are moved; where there is none, all are (a scan that breathing
    moved against its own CT).

    Raises
    ------
    InputError
        If there is no CT, or images of several frames of reference are to be moved by one transform.
    HepaticaError
        As `given_transform` and `core.transform.warp`.
    """
    stated = options.registration
    if stated.transform is None:
        if stated.transform_uncertainty_mm is not None:
            raise InputError("`transform_uncertainty_mm` is that of a `transform`; none was given")
        return Brought(tuple(scans))
    if ct is None:
        raise InputError("`transform` brings the activity to the CT; there is none", remedy="give `ct`")
    apart = [not scan.grid.shares_frame(ct.grid) for scan in scans]
    chosen = apart if any(apart) else [True] * len(scans)
    frames = {scan.grid.frame_of_reference for scan, move in zip(scans, chosen, strict=True) if move}
    if len(frames) > 1:
        raise InputError(
            f"activity images of {len(frames)} frames of reference were given, and one `transform`",
            remedy="bring each over first, by the verb warp",
        )
    images: list[Image] = []
    notes: list[Message] = []
    steps: list[str] = []
    files: tuple[InputFile, ...] = ()
    for scan, move in zip(scans, chosen, strict=True):
        if not move:
            images.append(scan)
            continue
        given = given_transform(stated, ct.grid, scan.grid, registered=options.scanner.registered)
        image, said, step = moved_image(scan, given, ct.grid)
        images.append(image)
        notes += said
        steps.append(step)
        files = given.inputs
    return Brought(tuple(images), unique(notes), files, tuple(steps))
