"""How much of each structure lies in what the activity images see, and what is said where that is not all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hepatica.anatomy.structures.clinical import ClinicalRegion, Structure
from hepatica.anatomy.structures.kinds import LIVER_PARTS, LUNGS
from hepatica.core.grid import Grid
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.core.resample import resample_region
from hepatica.core.seen_field import SeenField, cut_words
from hepatica.errors import InputError
from hepatica.planning.limits.dose_limits import SEEN_WHOLE
from hepatica.workflow.dose.patient.structures import NOTHING_COVERED, StructureSet, about_empty

WARNED = LIVER_PARTS | {Structure.TUMOUR, Structure.ALL_TUMOURS}
"""Structures whose doses decide; of others that are cut off it is noted."""


def seen_field(image: Image) -> SeenField:
    """Where an activity image sees well."""
    return SeenField(image.grid, image.acquisition.seen_z_mm, image.acquisition.seen_along)


ALL_SEEN = 0.999
"""Share from which on a structure is taken as it was drawn: less is missing than the voxels of a border make."""


def seen_parts(
    grid: Grid, exact: StructureSet, drawn: StructureSet, field: SeenField
) -> tuple[StructureSet, StructureSet, tuple[float, ...]]:
    """The parts of structures that the activity image sees, as drawn and on the dose's voxels, and their shares.

    What is said of a structure that is cut off is said of this part: of the rest nothing is known.

    Raises
    ------
    InputError
        If it sees nothing of any.
    """
    shares = [field.share(item.region) for item in exact.clinical]
    whole: list[ClinicalRegion] = []
    there: list[ClinicalRegion] = []
    kept: list[float] = []
    gone: list[str] = []
    for item, on_grid, share in zip(exact.clinical, drawn.clinical, shares, strict=True):
        part = item.region if share >= ALL_SEEN else field.seen_part(item.region)
        here = on_grid.region if share >= ALL_SEEN else resample_region(part, grid)
        if here.is_empty or not here.volume_ml:
            gone.append(item.region.name)
            continue
        whole.append(replace(item, region=part))
        there.append(replace(item, region=here))
        kept.append(share)
    if not whole:
        raise InputError(NOTHING_COVERED)
    messages = drawn.messages + about_empty(gone)
    return (
        replace(exact, clinical=tuple(whole), messages=messages),
        replace(drawn, clinical=tuple(there), messages=messages),
        tuple(kept),
    )


def about_seen(seen: Sequence[tuple[ClinicalRegion, float]]) -> tuple[Message, ...]:
    """Which structures the activity image does not see whole; of body and lungs others speak."""
    cut = [
        (item, share)
        for item, share in seen
        if share < SEEN_WHOLE and item.structure is not Structure.BODY and item.structure not in LUNGS
    ]
    if not cut:
        return ()
    shares = cut_words([(item.region.name, share) for item, share in cut])
    text = (
        f"the activity image sees a part of these structures alone ({shares}): their volumes, "
        "masses and doses are those of this part, of the rest nothing is known, and no limit and no model judges them"
    )
    severe = any(item.structure in WARNED for item, _ in cut)
    remedy = "take an image that sees them whole"
    return (Message("structure-not-seen-whole", text, remedy, "warning" if severe else "note"),)
