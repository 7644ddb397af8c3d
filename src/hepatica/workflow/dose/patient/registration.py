"""Activity images of another frame of reference, brought to that of the CT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hepatica.core import InputFile
from hepatica.core.image import Image
from hepatica.core.message import Message, unique
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.sources import StructureSource
from hepatica.errors import InputError
from hepatica.workflow.dose.options import DoseOptions
from hepatica.workflow.registration.at_hand import AtHand, transform_for
from hepatica.workflow.registration.transforms import GivenTransform, moved_image


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
    position_sd_mm : float or None
        Standard uncertainty of the transform along each axis; 0 where nothing was moved, None where it is not known.
    """

    images: tuple[Image, ...]
    messages: tuple[Message, ...] = ()
    inputs: tuple[InputFile, ...] = ()
    steps: tuple[str, ...] = ()
    position_sd_mm: float | None = 0.0


def brought_to_ct(
    scans: Sequence[Image],
    ct: Image | None,
    options: DoseOptions,
    structures: StructureSource | None = None,
    progress: Progress = silent,
) -> Brought:
    """Activity brought over by a transform or a registration; the activity of a piece of tissue goes with it.

    Images of another frame of reference than the CT's are moved; where there is none, all are (a scan that breathing
    moved against its own CT).

    Raises
    ------
    InputError
        If there is no CT, or images of several frames of reference are to be moved by one transform.
    HepaticaError
        As `transform_for` and `core.transform.warp`.
    """
    stated = options.registration
    if not stated.moves:
        return Brought(tuple(scans))
    if ct is None:
        name = "transform" if stated.register is None else "register"
        raise InputError(f"`{name}` brings the activity to the CT; there is none", remedy="give `ct`")
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
    given: GivenTransform | None = None
    at_hand = AtHand(ct, structures=structures, structure_roles=options.clinical.structure_roles)
    for scan, move in zip(scans, chosen, strict=True):
        if not move:
            images.append(scan)
            continue
        if given is None:
            # All that are moved share one frame of reference: one transform is theirs.
            grids = (ct.grid, scan.grid)
            given = transform_for(stated, grids, at_hand, registered=options.scanner.registered, progress=progress)
        image, said, step = moved_image(scan, given, ct.grid)
        images.append(image)
        notes += said
        steps.append(step)
    assert given is not None
    return Brought(tuple(images), unique(notes), given.inputs, tuple(steps), given.transform.uncertainty_mm)
